"""Failures of real systems, E: mapping and catalogue (docs/reference/failures.md)."""

from __future__ import annotations

from pathlib import Path

from tests.scenario.town import OFTEN_S, Town, thing, town

from oneshelf.core.instants import SECOND
from oneshelf.core.tasks import kind_of
from oneshelf.listings import mapping


def unlinked(there: Town) -> list[mapping.Row]:
    found: list[mapping.Row] = there.tx(lambda tx: mapping.rows(tx, 1, unlinked=True, suggest=True))
    return found


def test_FC_E01_an_order_for_what_the_shop_does_not_have_waits_in_sight_and_is_finished_by_its_link(
    tmp_path: Path,
) -> None:
    with town(
        tmp_path,
        thing("MUG", 5),
        thing("JAR", 8),
        channels=("shopify", "ebay"),
        before=lambda there: there.console("shopify", "set_variant", sku="JAR", new_sku="POT"),
    ) as there:
        sold = there.buy("ebay", JAR=2, MUG=1)
        there.wait()
        assert there.rows("SELECT sku, state, ordered FROM order_line ORDER BY sku") == [("", "U", 2), ("MUG", "O", 1)]
        [(kind, subject, _)] = [one for one in there.tasks() if one[0] != "unlinked_listing"]
        assert kind == "unlinked_order" and sold in subject
        due, ship_by = there.rows(
            "SELECT t.due_at, o.ship_by_at FROM task t, orders o WHERE t.kind = 'unlinked_order' AND o.copy_key = ''"
        )[0]
        assert kind_of(kind).rank == 0 and due == ship_by > there.now_us() + 40 * 3_600 * SECOND, "urgent, days before"
        assert (there.level("MUG"), there.copies()) == ((5, 1, 0, 0), []), "its pieces are held, the order waits whole"
        [row] = unlinked(there)
        there.command("link", outlet_id=row.listing, parts={"POT": 1})
        there.until(lambda: there.copies() != [], "the order stands in the shop")
        assert there.copies()[0]["lines"] == {"MUG": 1, "POT": 2}
        assert there.level("POT") == (8, 2, 0, 0)
        there.until(lambda: there.tasks() == [], "nobody is asked any more")
        there.wait(120)
        there.true()


def test_FC_E02_a_sku_that_differs_by_case_or_a_blank_is_suggested_and_only_tied_by_a_person(tmp_path: Path) -> None:
    def other_spellings(there: Town) -> None:
        there.console("shopify", "set_variant", sku="MUG-1", new_sku="mug-1")
        there.console("shopify", "set_variant", sku="CUP", new_sku="CUP ")

    with town(
        tmp_path, thing("MUG-1", 5), thing("CUP", 3), channels=("shopify", "ebay"), before=other_spellings
    ) as there:
        found = {row.sku_text: [(one.sku, one.units) for one in row.suggestions] for row in unlinked(there)}
        assert found == {"MUG-1": [("mug-1", 1)], "CUP": [("CUP ", 1)]}
        assert [kind for kind, _, _ in there.tasks()] == ["unlinked_listing"] * 2
        there.buy("shopify", **{"mug-1": 1})
        there.wait(300)
        assert there.shown("MUG-1")["ebay"] == 5, "nothing is told by a likeness"
        [mug] = [row for row in unlinked(there) if row.sku_text == "MUG-1"]
        there.command("link", outlet_id=mug.listing, parts={"mug-1": 1})
        there.until(lambda: there.shown("MUG-1")["ebay"] == 4, "it is told now")
        assert there.shops["shopify"].state()["listings"] == 2, "no product was made"


def again(there: Town, sku: str) -> None:
    """The merchant makes a second product with a SKU that he has; the admin only warns of it."""
    there.console("shopify", "add_product", sku=sku, title=f"{sku.title()} II", price_minor=900, stock=7)


def test_FC_E03_a_sku_on_two_products_is_refused_in_words_and_the_first_keeps_it(tmp_path: Path) -> None:
    """Two mugs from the beginning: neither is counted for the SKU. A second cup later: the first goes on."""
    with town(
        tmp_path,
        thing("MUG", 5),
        thing("CUP", 3),
        channels=("shopify", "ebay"),
        before=lambda there: again(there, "MUG"),
    ) as there:
        assert [subject for _, subject, _ in there.tasks("duplicate_sku")] == ["MUG"]
        assert [(row.sku_text, row.problem) for row in unlinked(there)] == [
            ("MUG", "its SKU stands on two variants of the shop")
        ]
        again(there, "CUP")
        there.wait(120)
        assert [subject for _, subject, _ in there.tasks("duplicate_sku")] == ["MUG", "CUP"]
        there.buy("ebay", CUP=1)
        there.wait(300)
        assert there.level("CUP") == (3, 1, 0, 0), "the cup that had the SKU"
        assert there.rows("SELECT DISTINCT sku FROM stock_level") == [("CUP",)]


def no_sku(there: Town) -> None:
    """The seller empties the SKU field of an Etsy listing."""
    [product] = [p for one in there.shops["etsy"].listings.all() for p in one.products if p.sku == "JAR"]
    product.sku = ""


def test_FC_E04_a_listing_without_a_sku_stands_among_the_unlinked_with_what_it_sold(tmp_path: Path) -> None:
    with town(tmp_path, thing("MUG", 5), thing("JAR", 8), channels=("shopify", "etsy"), before=no_sku) as there:
        [row] = unlinked(there)
        assert (row.problem, row.sold) == ("it has no SKU", 0)
        assert [one.sku for one in row.suggestions] == ["JAR"], "by its title"
        [listing] = [one for one in there.shops["etsy"].listings.all() if one.products[0].sku == ""]
        listing.products[
            0
        ].sku = "SOLD-BY-TITLE"  # the emulated buyer asks by SKU; the listing's own is empty again afterwards
        there.shops["etsy"].shop.index(listing)
        there.buy("etsy", **{"SOLD-BY-TITLE": 3})
        listing.products[0].sku = ""
        there.wait()
        [row] = unlinked(there)
        assert row.sold == 3
        there.command("link", outlet_id=row.listing, parts={"JAR": 1})
        there.wait(300)
        assert there.level("JAR") == (8, 3, 0, 0)


def test_FC_E06_a_product_deleted_in_the_shop_shows_0_elsewhere_until_it_is_there_again(tmp_path: Path) -> None:
    """eBay does not take the 0 for a while; it is told again until it shows. The product comes back: so do the numbers."""
    with town(
        tmp_path, thing("MUG", 5), thing("CUP", 3), channels=("shopify", "ebay", "etsy"), looks_s=OFTEN_S
    ) as there:
        there.faults.set("error_500", 1.0, "ebay")
        there.console("shopify", "delete_product", sku="MUG")
        there.until(lambda: there.shops["etsy"].shown("MUG") == 0, "Etsy sells no more of it", within_s=300)
        assert [kind for kind, _, _ in there.tasks()] == ["hub_deleted"]
        there.wait(600)
        there.faults.set("error_500", 0.0, "ebay")
        there.until(lambda: there.shops["ebay"].shown("MUG") == 0, "eBay neither", within_s=900)
        there.console("shopify", "add_product", sku="MUG", title="Mug", price_minor=1_200, stock=4)
        there.shows("MUG", 4, within_s=7_200)
        assert there.shown("CUP") == {"shopify": 3, "ebay": 3, "etsy": 3}


def test_FC_E08_each_variant_has_its_own_number_on_every_channel(tmp_path: Path) -> None:
    sizes = {"TEE-S": 5, "TEE-M": 2, "TEE-L": 0}
    with town(tmp_path, *(thing(sku, pieces) for sku, pieces in sizes.items())) as there:
        assert {sku: set(there.shown(sku).values()) for sku in sizes} == {sku: {n} for sku, n in sizes.items()}
        there.buy("etsy", **{"TEE-M": 1})
        there.shows("TEE-M", 1)
        there.buy("ebay", **{"TEE-S": 2})
        there.shows("TEE-S", 3)
        assert {sku: there.level(sku)[:2] for sku in sizes} == {"TEE-S": (5, 2), "TEE-M": (2, 1), "TEE-L": (0, 0)}
        assert set(there.shown("TEE-L").values()) == {0}
        there.true()
