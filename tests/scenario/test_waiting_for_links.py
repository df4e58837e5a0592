"""Orders that wait for a link, and what ends their waiting (SEMANTICS 4.5, 14.1, 1.12)."""

from __future__ import annotations

import msgspec
import pytest
from tests.scenario.engine import EBAY, TENANT, World, changed, order

from oneshelf.core.facts import OrderSeen
from oneshelf.core.instants import SECOND, from_us
from oneshelf.db.store import Store, transaction
from oneshelf.listings import links
from oneshelf.orders.copies import LINK_BEFORE_SHIP_BY_S
from oneshelf.orders.relink import import_without_link, relink, relink_account
from oneshelf.shipping import deadlines

DAY_S = 86_400


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 10)
    world.item("CUP", 3)
    return world.open()


def sold_with_unlinked(world: World, in_s: int = 2 * DAY_S) -> OrderSeen:
    """An order of a linked and an unlinked line, to be sent within `in_s` seconds."""
    seen = order("E-1", world.now, MUG=2, POT=1)
    seen = msgspec.structs.replace(seen, ship_by_at=from_us(world.now + in_s * SECOND))
    world.hear(EBAY, seen)
    return seen


def look(world: World) -> None:
    with transaction(world.store) as tx:
        deadlines.alert(tx, TENANT, world.now)
    world.run_hub()
    world.tick(1)
    world.run_hub()


class TestMustLeaveSoon:
    def test_S14_1_a_day_before_its_ship_by_it_is_imported_without_the_line(self, world: World) -> None:
        sold_with_unlinked(world)
        world.tick(2 * DAY_S - LINK_BEFORE_SHIP_BY_S - 1)
        look(world)
        assert (world.hub.orders, world.row("MUG")) == ({}, "10/8/0/2")
        look(world)
        assert len(world.hub.orders) == 1
        assert (world.row("MUG"), world.tasks()) == ("10/8/2/0", ["unlinked_order"])
        with transaction(world.store) as tx:
            assert import_without_link(tx, TENANT, world.now) == 0, "once"

    def test_S14_1_linked_after_that_its_pieces_are_held_and_a_person_adds_them(self, world: World) -> None:
        sold_with_unlinked(world, LINK_BEFORE_SHIP_BY_S)
        look(world)
        outlet_id = world.list(EBAY, "POT", {"CUP": 1})
        with transaction(world.store) as tx:
            relink(tx, TENANT, outlet_id, world.now)
        look(world)
        assert (len(world.hub.orders), world.row("CUP"), world.tasks()) == (1, "3/2/0/1", ["add_to_copy"])

    def test_of_an_order_without_any_link_nothing_is_imported(self, world: World) -> None:
        seen = msgspec.structs.replace(order("E-2", world.now, POT=1), ship_by_at=from_us(world.now))
        world.hear(EBAY, seen)
        look(world)
        assert world.hub.orders == {}

    def test_orders_without_any_link_keep_no_other_from_being_imported(self, world: World) -> None:
        world.hear(EBAY, msgspec.structs.replace(order("E-0", world.now, POT=1), ship_by_at=from_us(world.now)))
        sold_with_unlinked(world)
        world.tick(DAY_S)
        with transaction(world.store) as tx:
            assert import_without_link(tx, TENANT, world.now, limit=1) == 1
        world.run_hub()
        assert len(world.hub.orders) == 1


class TestShippedThere:
    def test_S5_2_shipped_before_it_is_linked_the_order_is_shipped(self, world: World) -> None:
        sold = order("E-1", world.now, POT=1)
        world.hear(EBAY, sold)
        assert world.order(EBAY, "E-1", "state") == "UNLINKED"
        world.hear(EBAY, changed(sold, world.tick(60), shipped=1))
        assert world.order(EBAY, "E-1", "state") == "SHIPPED"
        outlet_id = world.list(EBAY, "POT", {"CUP": 1})
        with transaction(world.store) as tx:
            assert relink(tx, TENANT, outlet_id, world.now) == 1, "its piece can still leave the count"
        assert (world.line(EBAY, "E-1"), world.k("CUP"), world.tasks()) == ("S", 2, [])

    def test_in_part_shipped_it_still_waits(self, world: World) -> None:
        sold = order("E-1", world.now, POT=2)
        world.hear(EBAY, sold)
        world.hear(EBAY, changed(sold, world.tick(60), shipped=1))
        assert world.order(EBAY, "E-1", "state") == "UNLINKED"


def test_S1_12_found_to_be_filled_by_the_channel_its_lines_wait_no_more(world: World) -> None:
    world.hear(EBAY, order("E-1", world.now, POT=1))
    assert world.tasks() == ["unlinked_order"]
    world.list(EBAY, "POT", None, fulfilled_by_channel=True)
    with transaction(world.store) as tx:
        links.match_by_sku(tx, TENANT, EBAY, world.now)
        assert relink_account(tx, TENANT, EBAY, world.now) == 1
    assert world.tasks() == []
    assert world.value("SELECT COUNT(*) FROM order_line WHERE order_id = 'E-1'") == 0
    assert world.order(EBAY, "E-1", "state") == "EMPTY"
