"""Suggestions for listings that are not linked, and links by spreadsheet."""

from __future__ import annotations

import time

import pytest
from tests.unit import seeding
from tests.unit.seeding import NOW, TENANT

from oneshelf.core.errors import NotThere
from oneshelf.db.store import Store, transaction
from oneshelf.db.undo import AlreadyUndone
from oneshelf.listings import links, mapping
from oneshelf.listings.suggest import Shop, Unlinked

SHOP = Shop(
    [
        ("MUG-BLUE", "Blue enamel mug 300 ml"),
        ("MUG-RED", "Red enamel mug 300 ml"),
        ("000123", "Teapot, cast iron"),
        ("LAMP", "Lamp"),
    ]
)


def best(sku_text: str, title: str = "") -> tuple[str, float, int] | None:
    found = SHOP.suggest(Unlinked(1, sku_text, title))
    return (found[0].sku, found[0].score, found[0].units) if found else None


@pytest.mark.parametrize(
    ("sku_text", "title", "expected"),
    [
        ("mug-blue", "", ("MUG-BLUE", 1.0, 1)),
        ("MUG BLUE ", "", ("MUG-BLUE", 0.95, 1)),
        ("mug_blue", "", ("MUG-BLUE", 0.95, 1)),
        ("123", "", ("000123", 0.9, 1)),
        ("FBM-MUG-BLUE", "", ("MUG-BLUE", 0.72, 1)),
        ("MUG-BLUE-UK", "", ("MUG-BLUE", 0.77, 1)),
        ("MUG-BLUE-6PK", "", ("MUG-BLUE", 0.72, 6)),
        ("", "Blue enamel mug, 300ml", ("MUG-BLUE", 0.78, 1)),
        ("XYZ", "Something else", None),
        ("", "", None),
    ],
)
def test_near_misses(sku_text: str, title: str, expected: tuple[str, float, int] | None) -> None:
    found = best(sku_text, title)
    if expected is None:
        assert found is None
    else:
        assert found is not None and found[0] == expected[0] and found[2] == expected[2]
        assert found[1] == pytest.approx(expected[1], abs=0.04)


def test_a_short_sku_begins_too_many() -> None:
    assert Shop([("MUG", "x")]).suggest(Unlinked(1, "MUGGLE", "")) == []


def test_a_hundred_thousand_skus_take_seconds() -> None:
    """No listing is compared with every SKU: twice the shop must not be twice the time a listing."""

    def took(count: int) -> float:
        shop = Shop((f"SKU-{n:06}", f"Product number {n:06} of many") for n in range(count))
        asked = [Unlinked(n, f"sku {n * 7:06} x", f"Product number {n * 7:06} of many!") for n in range(300)]
        started = time.perf_counter()
        for one in asked:
            assert shop.suggest(one)
        return time.perf_counter() - started

    small, large = took(10_000), took(100_000)
    assert large < 5 * small + 0.5


@pytest.fixture
def linked(store: Store) -> tuple[Store, dict[str, int]]:
    with transaction(store) as tx:
        account = seeding.account(tx)
        for sku in ("MUG", "CUP", "A=B"):
            seeding.item(tx, sku)
        links.keep_listings(
            tx, TENANT, account, [seeding.found("one", "MUG"), seeding.found("two", "mug"), seeding.found("three")], NOW
        )
        links.match_by_sku(tx, TENANT, account, NOW)
        return store, {name: seeding.outlet(tx, account, name) for name in ("one", "two", "three")}


def test_the_list_says_why_and_what_it_may_be(linked: tuple[Store, dict[str, int]]) -> None:
    store, outlets = linked
    with transaction(store) as tx:
        rows = {row.listing: row for row in mapping.rows(tx, TENANT, unlinked=True, suggest=True)}
    assert set(rows) == {outlets["two"], outlets["three"]}
    assert rows[outlets["two"]].problem == "its SKU is not in the shop"
    assert [one.sku for one in rows[outlets["two"]].suggestions] == ["MUG"]
    assert rows[outlets["three"]].problem == "it has no SKU"


def test_a_file_that_was_not_changed_changes_nothing(linked: tuple[Store, dict[str, int]]) -> None:
    store, _ = linked
    with transaction(store) as tx:
        wanted = mapping.read_csv(tx, TENANT, mapping.to_csv(mapping.rows(tx, TENANT)))
    assert (wanted.links, wanted.unlinks, wanted.same, wanted.problems) == ({}, [], 3, [])


def test_each_row_is_right_or_says_what_is_wrong(linked: tuple[Store, dict[str, int]]) -> None:
    store, outlets = linked
    one, two, three = outlets["one"], outlets["two"], outlets["three"]
    text = "\n".join(
        [
            "listing,title,parts",
            f"{two},x,MUG=2; CUP=1",
            f"{three},x,A=B",
            f"{one},x,-",
            f"{two},x,MUG",
            "999999,x,MUG",
            "one,x,MUG",
        ]
    )
    with transaction(store) as tx:
        wanted = mapping.read_csv(tx, TENANT, text)
        assert wanted.links == {two: {"MUG": 2, "CUP": 1}, three: {"A=B": 1}}
        assert wanted.unlinks == [one]
        assert [number for number, _ in wanted.problems] == [5, 6, 7]
        before = tx.all("SELECT outlet_id, sku, units FROM link ORDER BY outlet_id, sku")
        assert mapping.apply(tx, TENANT, wanted, NOW, by="a test") == 1
        assert tx.all("SELECT outlet_id, sku, units FROM link ORDER BY outlet_id, sku") == [
            (two, "CUP", 1),
            (two, "MUG", 2),
            (three, "A=B", 1),
        ]
        assert mapping.put_back(tx, TENANT, 1, NOW, by="a test") == ([one], [two, three])
        assert tx.all("SELECT outlet_id, sku, units FROM link ORDER BY outlet_id, sku") == before
        with pytest.raises(AlreadyUndone):
            mapping.put_back(tx, TENANT, 1, NOW, by="a test")
        with pytest.raises(NotThere, match="no change 1"):
            mapping.put_back(tx, TENANT + 1, 1, NOW, by="a test")


@pytest.mark.parametrize("parts", ["NOPE", "MUG=0", "MUG=x", "MUG=99999", "MUG=1; MUG=2", "=3"])
def test_bad_parts(linked: tuple[Store, dict[str, int]], parts: str) -> None:
    store, outlets = linked
    with transaction(store) as tx:
        wanted = mapping.read_csv(tx, TENANT, f"listing,parts\n{outlets['two']},{parts}\n")
    assert (wanted.links, len(wanted.problems)) == ({}, 1)


def test_a_title_is_no_formula() -> None:
    row = mapping.Row(1, 1, "ebay", "=1+1", "", "@x", "live", {})
    assert "'=1+1" in mapping.to_csv([row]) and "'@x" in mapping.to_csv([row])


def test_unlinking_stops_the_number_and_asks(linked: tuple[Store, dict[str, int]]) -> None:
    store, outlets = linked
    with transaction(store) as tx:
        assert mapping.unlink(tx, TENANT, outlets["one"], NOW, by="a test")
        assert not mapping.unlink(tx, TENANT, outlets["one"], NOW, by="a test")
        assert tx.all(
            "SELECT subject FROM task WHERE kind = 'unlinked_listing' AND subject = :s", s=str(outlets["one"])
        )
