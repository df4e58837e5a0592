"""Who must hear of it: outlets and their names, ties to SKUs, dirty marks cleared by generation."""

from __future__ import annotations

import pytest
from tests.unit.seeding import NOW, TENANT, account, found, item, linked, marks, outlet

from oneshelf.db.store import Store, transaction
from oneshelf.listings import dirty, links
from oneshelf.listings.links import Matched, Tie


def test_a_catalogue_page_makes_outlets_once_and_later_pages_change_them(store: Store) -> None:
    with transaction(store) as tx:
        ebay = account(tx)
        assert links.keep_listings(tx, TENANT, ebay, [found("mug", "MUG"), found("hat", "HAT")], NOW) == 2
        assert links.keep_listings(tx, TENANT, ebay, [found("mug", "MUG-2", state="ended"), found("sock")], NOW) == 1
        assert tx.all("SELECT outlet_id, external_id, sku_text, state, title FROM outlet ORDER BY outlet_id") == [
            (1, "mug", "MUG-2", "ended", "Mug"),
            (2, "hat", "HAT", "live", "Hat"),
            (3, "sock", "", "live", "Sock"),
        ]


def test_an_outlet_twice_on_one_page_is_one_outlet_with_both_names(store: Store) -> None:
    """Amazon: several listings share one number (S1.4)."""
    with transaction(store) as tx:
        amazon = account(tx, "amazon", "A1:eu")
        page = [found("mug", keys=("asin:B1",)), found("mug", keys=("asin:B2", "sku:mug"))]
        assert links.keep_listings(tx, TENANT, amazon, page, NOW) == 1
        ties = links.ties_for(tx, TENANT, amazon, ["asin:B1", "asin:B2", "sku:mug", "asin:B3"])
        assert ties == {key: Tie(1, {}) for key in ("asin:B1", "asin:B2", "sku:mug")}


def test_a_name_that_moves_to_another_listing_names_the_new_one(store: Store) -> None:
    with transaction(store) as tx:
        ebay = account(tx)
        links.keep_listings(tx, TENANT, ebay, [found("old", keys=("item:1",))], NOW)
        links.keep_listings(tx, TENANT, ebay, [found("new", keys=("item:1",))], NOW)
        assert links.ties_for(tx, TENANT, ebay, ["item:1"]) == {"item:1": Tie(2, {})}


def test_the_same_name_at_two_accounts_is_two_listings(store: Store) -> None:
    with transaction(store) as tx:
        one, two = account(tx, "ebay", "a"), account(tx, "ebay", "b")
        links.keep_listings(tx, TENANT, one, [found("mug")], NOW)
        links.keep_listings(tx, TENANT, two, [found("mug")], NOW)
        assert links.ties_for(tx, TENANT, one, ["key:mug"])["key:mug"].outlet_id == 1
        assert links.ties_for(tx, TENANT, two, ["key:mug"])["key:mug"].outlet_id == 2


def test_S1_11_a_tie_names_every_part_of_a_bundle_and_replaces_the_one_before(store: Store) -> None:
    with transaction(store) as tx:
        ebay = account(tx)
        set_of_mugs = linked(tx, ebay, "set", {"MUG": 4, "BOX": 1})
        assert links.ties_for(tx, TENANT, ebay, ["key:set"])["key:set"].parts == {"MUG": 4, "BOX": 1}
        links.link(tx, TENANT, set_of_mugs, {"MUG": 6}, NOW, by="a person")
        assert links.ties_for(tx, TENANT, ebay, ["key:set"])["key:set"].parts == {"MUG": 6}
        assert marks(tx) == {set_of_mugs: 1}


@pytest.mark.parametrize("parts", [{}, {"MUG": 0}, {"MUG": 1, "HAT": -1}])
def test_a_tie_to_nothing_is_refused_and_the_old_one_stays(store: Store, parts: dict[str, int]) -> None:
    with transaction(store) as tx:
        ebay = account(tx)
        mug = linked(tx, ebay, "mug", {"MUG": 1})
        with pytest.raises(ValueError, match="at least 1 piece"):
            links.link(tx, TENANT, mug, parts, NOW, by="test")
        assert links.ties_for(tx, TENANT, ebay, ["key:mug"])["key:mug"].parts == {"MUG": 1}


def test_what_the_channel_fulfils_or_nobody_counts_is_known_as_such(store: Store) -> None:
    with transaction(store) as tx:
        amazon = account(tx, "amazon", "A1:eu")
        page = [found("fba", fulfilled_by_channel=True), found("file", untracked=True), found("own")]
        links.keep_listings(tx, TENANT, amazon, page, NOW)
        ties = links.ties_for(tx, TENANT, amazon, ["key:fba", "key:file", "key:own"])
        assert {key: tie.fulfilled_by_channel for key, tie in ties.items()} == {
            "key:fba": True,
            "key:file": True,
            "key:own": False,
        }


def test_only_exactly_the_same_sku_is_tied_and_the_rest_becomes_a_task_once(store: Store) -> None:
    with transaction(store) as tx:
        ebay = account(tx)
        for sku in ("MUG", "HAT"):
            item(tx, sku)
        item(tx, "OLD", deleted=1)
        page = [
            found("a", "MUG"),
            found("b", "mug"),
            found("c", " HAT"),
            found("d", "OLD"),
            found("e"),
            found("f", "MUG"),
        ]
        links.keep_listings(tx, TENANT, ebay, page, NOW)
        assert links.match_by_sku(tx, TENANT, ebay, NOW) == Matched(linked=2, unlinked=4, ambiguous=0)
        assert links.match_by_sku(tx, TENANT, ebay, NOW) == Matched(linked=0, unlinked=4, ambiguous=0)
        assert tx.all("SELECT outlet_id, sku, units FROM link ORDER BY outlet_id") == [(1, "MUG", 1), (6, "MUG", 1)]
        tasks = "SELECT subject, why FROM task WHERE closed_at IS NULL ORDER BY subject"
        assert tx.all(tasks) == [
            ("2", "its SKU 'mug' is not in the shop"),
            ("3", "its SKU ' HAT' is not in the shop"),
            ("4", "its SKU 'OLD' is not in the shop"),
            ("5", "it has no SKU"),
        ]
        links.link(tx, TENANT, outlet(tx, ebay, "b"), {"MUG": 1}, NOW, by="a person")
        assert [subject for subject, _ in tx.all(tasks)] == ["3", "4", "5"]


def test_matching_leaves_alone_what_is_over_fulfilled_elsewhere_or_tied_already(store: Store) -> None:
    with transaction(store) as tx:
        ebay = account(tx)
        item(tx, "MUG")
        page = [
            found("ended", "MUG", state="ended"),
            found("draft", "MUG", state="draft"),
            found("fba", "MUG", fulfilled_by_channel=True),
        ]
        links.keep_listings(tx, TENANT, ebay, page, NOW)
        linked(tx, ebay, "by hand", {"HAT": 3}, sku="MUG")
        assert links.match_by_sku(tx, TENANT, ebay, NOW) == Matched(0, 0, 0)
        assert tx.all("SELECT sku, units FROM link") == [("HAT", 3)]


def test_the_hub_is_the_shop_that_is_connected(store: Store) -> None:
    with transaction(store) as tx:
        assert links.hub_account(tx, TENANT) is None
        account(tx, "ebay")
        shop = account(tx, "shopify", "a.myshopify.com")
        assert links.hub_account(tx, TENANT) == shop
        tx.run("UPDATE account SET state = 'DISCONNECTED' WHERE channel = 'shopify'")
        assert links.hub_account(tx, TENANT) is None


# --- dirty ----------------------------------------------------------------------------------------------------------------


def test_a_moved_sku_marks_every_outlet_that_sells_it_once(store: Store) -> None:
    with transaction(store) as tx:
        ebay, etsy = account(tx), account(tx, "etsy", "42")
        single = linked(tx, ebay, "single", {"MUG": 1})
        bundle = linked(tx, etsy, "bundle", {"MUG": 2, "BOX": 1})
        linked(tx, etsy, "hat", {"HAT": 1})
        dirty.mark(tx, TENANT, ["MUG", "BOX", "MUG"], NOW, "an order")
        assert marks(tx) == {single: 1, bundle: 1}


def test_a_mark_on_a_mark_is_a_new_generation_and_keeps_its_age(store: Store) -> None:
    with transaction(store) as tx:
        mug = linked(tx, account(tx), "mug", {"MUG": 1})
        dirty.mark(tx, TENANT, ["MUG"], NOW, "first")
        dirty.mark(tx, TENANT, ["MUG"], NOW + 9, "second")
        dirty.mark_outlets(tx, TENANT, [mug], NOW + 10, "third")
        assert tx.all("SELECT generation, since_at, reread FROM dirty_listing") == [(3, NOW, 0)]


def test_I12_a_mark_is_cleared_only_by_the_generation_that_was_seen(store: Store) -> None:
    with transaction(store) as tx:
        mug = linked(tx, account(tx), "mug", {"MUG": 1})
        dirty.mark(tx, TENANT, ["MUG"], NOW, "first")
        dirty.mark(tx, TENANT, ["MUG"], NOW, "second")
        assert dirty.clear(tx, TENANT, mug, 1) is False
        assert marks(tx) == {mug: 2}
        assert dirty.clear(tx, TENANT, mug, 2) is True
        assert dirty.clear(tx, TENANT, mug, 2) is False
        assert marks(tx) == {}


def test_what_is_not_ours_to_write_is_never_marked_by_its_stock(store: Store) -> None:
    with transaction(store) as tx:
        shop, amazon = account(tx, "shopify", "a.myshopify.com"), account(tx, "amazon", "A1:eu")
        gone = account(tx, "ebay", "gone", state="DISCONNECTED")
        linked(tx, shop, "hub", {"MUG": 1})
        linked(tx, amazon, "fba", {"MUG": 1}, fulfilled_by_channel=True)
        linked(tx, amazon, "over", {"MUG": 1}, state="ended")
        linked(tx, amazon, "not yet", {"MUG": 1}, state="draft")
        linked(tx, gone, "left", {"MUG": 1})
        ours = linked(tx, amazon, "ours", {"MUG": 1}, state="inactive")
        dirty.mark(tx, TENANT, ["MUG"], NOW, "an order")
        assert marks(tx) == {ours: 1}


def test_a_listing_that_is_ours_again_is_marked_to_be_read(store: Store) -> None:
    """While it was over, nobody told it anything: what it shows now is not what it should."""
    with transaction(store) as tx:
        amazon = account(tx, "amazon", "A1:eu")
        back = linked(tx, amazon, "back", {"MUG": 1}, state="ended")
        own = linked(tx, amazon, "own", {"MUG": 1}, fulfilled_by_channel=True)
        linked(tx, amazon, "same", {"MUG": 1})
        linked(tx, amazon, "still", {"MUG": 1}, state="ended")
        page = [found("back"), found("own"), found("same"), found("still", state="draft"), found("new")]
        links.keep_listings(tx, TENANT, amazon, page, NOW)
        assert tx.all("SELECT outlet_id, reread FROM dirty_listing ORDER BY outlet_id") == [(back, 1), (own, 1)]


def test_the_wish_to_read_survives_other_marks_until_a_read_is_on_its_way(store: Store) -> None:
    with transaction(store) as tx:
        mug = linked(tx, account(tx), "mug", {"MUG": 1})
        dirty.mark_outlets(tx, TENANT, [mug], NOW, "the channel says it changed", reread=True)
        dirty.mark(tx, TENANT, ["MUG"], NOW, "an order")
        dirty.mark_outlets(tx, TENANT, [mug], NOW, "a rule")
        assert tx.all("SELECT generation, reread FROM dirty_listing") == [(3, 1)]
        dirty.reread_taken(tx, TENANT, [mug])
        assert tx.all("SELECT generation, reread FROM dirty_listing") == [(3, 0)]
        dirty.mark_outlets(tx, TENANT, [mug], NOW, "again", reread=True)
        assert tx.all("SELECT generation, reread FROM dirty_listing") == [(4, 1)]


def test_I20_a_sku_of_one_tenant_marks_nothing_of_another(store: Store) -> None:
    with transaction(store) as tx:
        mine = linked(tx, account(tx, "ebay", "a"), "mug", {"MUG": 1})
        theirs = linked(tx, account(tx, "ebay", "b", tenant_id=2), "mug", {"MUG": 1}, tenant_id=2)
        dirty.mark(tx, 1, ["MUG"], NOW, "an order")
        assert (marks(tx, tenant_id=1), marks(tx, tenant_id=2)) == ({mine: 1}, {})
        dirty.mark(tx, 2, ["MUG"], NOW, "an order")
        assert dirty.clear(tx, 1, mine, 1)
        assert marks(tx, tenant_id=2) == {theirs: 1}


def test_nothing_to_mark_is_nothing_done(store: Store) -> None:
    with transaction(store) as tx:
        dirty.mark(tx, TENANT, [], NOW, "nothing")
        dirty.mark_outlets(tx, TENANT, [], NOW, "nothing")
        dirty.reread_taken(tx, TENANT, [])
        assert marks(tx) == {}
