"""S14.2: a hub order that another app made from a marketplace order is its copy too: named by the marketplace's own order id."""

from __future__ import annotations

import msgspec
import pytest
from tests.scenario.engine import EBAY, SHOP, World, order
from tests.scenario.invariants import check

from oneshelf.core.facts import OrderSeen
from oneshelf.db.store import Store


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 5)
    world.open()
    world.tick(3600)
    return world


def foreign_copy(world: World, names: str) -> OrderSeen:
    return msgspec.structs.replace(order("9001", world.now, MUG=1), copy_of_key=names)


def test_S14_2_a_copy_by_another_app_is_linked_and_counted_once(world: World) -> None:
    world.hear(EBAY, order("27-1", world.now, MUG=1))
    world.hear(SHOP, foreign_copy(world, "27-1"))
    assert world.k("MUG") == 4
    assert world.order(EBAY, "27-1", "hub_order_id") == "9001"
    assert [kind for kind, *_ in world.open_intents() if kind == "import"] == []
    check(world)


def test_S0_6_the_copy_heard_first_counts_and_the_order_holds_nothing_more(world: World) -> None:
    world.hear(SHOP, foreign_copy(world, "27-1"))
    world.hear(EBAY, order("27-1", world.now, MUG=1))
    assert world.k("MUG") == 4
    assert world.order(EBAY, "27-1", "standing") == "counted"
    check(world)


def test_a_name_that_is_no_order_of_ours_is_a_web_sale(world: World) -> None:
    world.hear(EBAY, order("27-1", world.now, MUG=1))
    world.hear(SHOP, foreign_copy(world, "somebody's reference"))
    assert world.k("MUG") == 3
    check(world)
