"""Bundles, kits and packs: defined, tied to their listings, taken by orders, taken anew (SEMANTICS 1.11, 14.6; B1 to B6)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.scenario.engine import AMAZON, EBAY, TENANT, World, order
from tests.scenario.invariants import check, check_at_rest

from oneshelf.channels.contract import ListingFound
from oneshelf.db.store import Store, transaction
from oneshelf.listings import bundles, links
from oneshelf.onboarding.bundles import keep_bundles
from oneshelf.orders.bundles import BundleChange, define


@pytest.fixture
def world(store: Store) -> World:
    """MUG 10, CUP 3; SET is on Amazon and eBay, not linked."""
    world = World(store)
    world.item("MUG", 10)
    world.item("CUP", 3)
    world.open()
    for account in (AMAZON, EBAY):
        world.list(account, "SET", None)
    return world


def made(world: World, sku: str = "SET", **more: Any) -> BundleChange:
    parts = more.pop("parts", {"MUG": 2, "CUP": 1})
    with transaction(world.store) as tx:
        return define(tx, TENANT, sku, parts, world.now, by="a test", **more)


def parts_of(world: World, account: int, name: str) -> dict[str, int]:
    rows = world.rows("SELECT sku, units FROM link WHERE outlet_id = :o", o=world.outlet(account, name))
    return dict(rows)


def took(world: World, order_id: str) -> dict[str, int]:
    rows = world.rows(
        "SELECT sku, reserved + committed FROM order_line WHERE order_id = :o AND sku <> '' ORDER BY sku", o=order_id
    )
    return dict(rows)


def found(sku: str, *, bundle: bool) -> ListingFound:
    extra: dict[str, Any] = {"variant_id": f"variant-{sku}", **({"bundle": True} if bundle else {})}
    return ListingFound(sku, sku, (f"sku:{sku}",), sku, sku, None, extra=extra)


def test_B1_a_bundle_ties_its_listings_and_shows_the_least_of_its_parts(world: World) -> None:
    done = made(world)
    assert [(one.channel, one.before, one.after) for one in done.listings] == [
        ("amazon", {}, {"CUP": 1, "MUG": 2}),
        ("ebay", {}, {"CUP": 1, "MUG": 2}),
    ]
    assert (done.makes, world.offer(AMAZON, "SET"), world.offer(EBAY, "SET")) == (3, 3, 3)
    with transaction(world.store) as tx:
        (one,) = bundles.bundles(tx, TENANT)
    assert (one.sku, one.parts, one.source, one.listings, one.linked, one.makes) == (
        "SET",
        {"CUP": 1, "MUG": 2},
        "merchant",
        2,
        2,
        3,
    )
    assert world.tasks("unlinked_listing") == []


def test_B1_a_listing_that_comes_later_is_tied_by_its_SKU(world: World) -> None:
    made(world, "MUG-2", parts={"MUG": 2})
    world.list(EBAY, "MUG-2", None)
    with transaction(world.store) as tx:
        assert links.match_by_sku(tx, TENANT, EBAY, world.now, only=["MUG-2"]).linked == 1
    assert (parts_of(world, EBAY, "MUG-2"), world.offer(EBAY, "MUG-2")) == ({"MUG": 2}, 5)


def test_B1_a_listing_that_a_person_linked_otherwise_stays(world: World) -> None:
    world.link(world.outlet(AMAZON, "SET"), {"CUP": 1, "MUG": 1})
    assert [one.channel for one in made(world).listings] == ["ebay"]
    assert parts_of(world, AMAZON, "SET") == {"CUP": 1, "MUG": 1}


@pytest.mark.parametrize(
    ("sku", "parts", "says"),
    [
        ("BIG", {"SET": 1}, "SET is a bundle itself: name its parts instead, a bundle has no bundles in it"),
        ("CUP-BOX", {"TEA": 1}, "the shop has no SKU TEA"),
        ("MUG", {"CUP": 2}, "MUG has stock of its own in the shop"),
        ("BIG", {"MUG": 0}, "of MUG a bundle takes 1 to 10000 pieces"),
        ("BIG", {"BIG": 1}, "BIG can't be a part of itself"),
        ("BIG", {}, "a bundle has a SKU of its own and at least one part"),
    ],
)
def test_B2_what_can_t_be_a_bundle_is_refused_in_words(
    world: World, sku: str, parts: dict[str, int], says: str
) -> None:
    made(world)
    with pytest.raises(ValueError, match=says):
        made(world, sku, parts=parts)


def test_B2_a_part_can_t_become_a_bundle(world: World) -> None:
    made(world)
    world.rows("UPDATE item SET tracked = 0 WHERE sku = 'CUP' RETURNING 1")
    with pytest.raises(ValueError, match="CUP is a part of SET: a bundle has no bundles in it"):
        made(world, "CUP", parts={"MUG": 1})


def test_B3_orders_that_waited_are_booked_with_all_parts_and_imported_as_pieces(world: World) -> None:
    world.hear(AMAZON, order("A-1", world.now, SET=2))
    assert took(world, "A-1") == {}
    assert made(world).booked == 1
    assert took(world, "A-1") == {"CUP": 2, "MUG": 4}
    world.to_rest()
    (copy,) = world.hub.orders.values()
    pieces = {sku: sum(line.quantity for line in copy.lines if line.sku == sku) for sku in ("CUP", "MUG")}
    assert pieces == {"CUP": 2, "MUG": 4}
    assert copy.draft is not None and sum(one.pieces * one.unit_price_minor for one in copy.draft.lines) == 2000
    check_at_rest(world, {"CUP": 2, "MUG": 4})


class TestB4:
    """Open orders keep what they took, unless the merchant lets them take it anew."""

    @pytest.fixture
    def world(self, world: World) -> World:
        made(world, parts={"MUG": 1})
        world.hear(AMAZON, order("A-1", world.now, paid=False, SET=2))
        world.hear(EBAY, order("E-1", world.now, SET=1))
        world.run_hub()
        return world

    def test_B4_they_keep_what_they_took(self, world: World) -> None:
        done = made(world)
        assert [(one.order_id, one.took, one.would_take, one.why_not) for one in done.open_orders] == [
            ("A-1", {"MUG": 2}, {"CUP": 2, "MUG": 4}, ""),
            ("E-1", {"MUG": 1}, {"CUP": 1, "MUG": 2}, "it stands in the shop: change it there"),
        ]
        assert (took(world, "A-1"), took(world, "E-1")) == ({"MUG": 2}, {"MUG": 1})
        assert (parts_of(world, AMAZON, "SET"), world.k("MUG")) == ({"CUP": 1, "MUG": 2}, 7)

    def test_B4_taken_anew_they_take_the_new_parts_once_and_there_and_back(self, world: World) -> None:
        done = made(world, retake=True)
        assert [(one.order_id, one.taken_anew) for one in done.open_orders] == [("A-1", True), ("E-1", False)]
        assert (took(world, "A-1"), took(world, "E-1")) == ({"CUP": 2, "MUG": 4}, {"MUG": 1})
        assert (world.k("MUG"), world.k("CUP")) == (5, 1)
        check(world)
        made(world, parts={"CUP": 1}, retake=True)  # MUG is given back
        assert (took(world, "A-1"), world.k("MUG"), world.k("CUP")) == ({"CUP": 2}, 9, 1)
        check(world)
        made(world, parts={"MUG": 3}, retake=True)  # and taken once more, under keys that were not used
        assert (took(world, "A-1"), world.k("MUG"), world.k("CUP")) == ({"MUG": 6}, 3, 3)
        check(world)
        world.to_rest()
        check_at_rest(world, {"MUG": 7})

    def test_a_preview_leaves_everything_as_it_was(self, world: World) -> None:
        before = world.rows("SELECT * FROM order_line"), world.rows("SELECT * FROM stock_level ORDER BY sku")
        with pytest.raises(RuntimeError), transaction(world.store) as tx:
            define(tx, TENANT, "SET", {"MUG": 2, "CUP": 1}, world.now, by="a test", retake=True)
            raise RuntimeError
        assert before == (world.rows("SELECT * FROM order_line"), world.rows("SELECT * FROM stock_level ORDER BY sku"))


def test_a_bundle_that_is_dropped_leaves_its_listings_tied(world: World) -> None:
    made(world)
    with transaction(world.store) as tx:
        assert bundles.drop_bundle(tx, TENANT, "SET", world.now, by="a test") == 2
        assert bundles.bundles(tx, TENANT) == []
        with pytest.raises(LookupError, match="there is no bundle SET"):
            bundles.drop_bundle(tx, TENANT, "SET", world.now, by="a test")
    assert parts_of(world, AMAZON, "SET") == {"CUP": 1, "MUG": 2}


class TestB6:
    """The shop's own bundles."""

    def keep(self, world: World, parts: dict[str, dict[str, int]], *variants: ListingFound) -> None:
        with transaction(world.store) as tx:
            keep_bundles(tx, TENANT, parts, variants, world.now)

    def test_B6_a_bundle_of_the_shop_ties_listings_elsewhere_and_follows_it(self, world: World) -> None:
        self.keep(world, {"SET": {"MUG": 2, "CUP": 1}}, found("SET", bundle=True))
        assert parts_of(world, AMAZON, "SET") == {"CUP": 1, "MUG": 2}
        self.keep(world, {"SET": {"MUG": 1}}, found("SET", bundle=True))
        assert parts_of(world, AMAZON, "SET") == {"MUG": 1}
        self.keep(world, {}, found("SET", bundle=False))
        with transaction(world.store) as tx:
            assert bundles.bundles(tx, TENANT) == []

    def test_B6_what_the_merchant_defined_here_stays(self, world: World) -> None:
        made(world)
        self.keep(world, {"SET": {"MUG": 9}}, found("SET", bundle=True))
        assert parts_of(world, AMAZON, "SET") == {"CUP": 1, "MUG": 2}

    def test_B6_one_that_can_t_be_is_a_task_until_it_can(self, world: World) -> None:
        self.keep(world, {"SET": {"": 1}}, found("SET", bundle=True))
        assert world.value("SELECT why FROM task WHERE kind = 'hub_bundle'") == "one of its components has no SKU"
        self.keep(world, {"SET": {"MUG": 1}}, found("SET", bundle=True))
        assert world.tasks("hub_bundle") == []
