"""S14.2: a hub order that another app made from a marketplace order is its copy too: named by the marketplace's own order id."""

from __future__ import annotations

import msgspec
import pytest
from tests.scenario.engine import EBAY, ETSY, SHOP, World, order
from tests.scenario.invariants import check

from oneshelf.core.facts import OrderSeen
from oneshelf.core.instants import SECOND
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


@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "in one batch"])
def test_S14_2_a_copy_heard_first_is_its_copy_as_soon_as_the_order_is_heard(world: World, at_once: bool) -> None:
    """Found by the simulator: it went on counting for itself, and when it was short it was cancelled in the shop alone; at the marketplace
    the order stood open, and its parcel was told to nobody."""
    world.hear(SHOP, foreign_copy(world, "27-1"), handled=not at_once)
    world.hear(EBAY, order("27-1", world.now, MUG=1), handled=not at_once)
    if at_once:
        world.handle()
    assert world.k("MUG") == 4
    assert (world.order(EBAY, "27-1", "standing"), world.order(SHOP, "9001", "standing")) == ("live", "copy")
    assert world.order(EBAY, "27-1", "hub_order_id") == "9001"
    assert [kind for kind, *_ in world.open_intents() if kind == "import"] == []
    check(world)


@pytest.mark.parametrize("first", ["the copy", "the orders"])
@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "in one batch"])
def test_S14_2_an_id_that_two_accounts_have_names_neither(world: World, at_once: bool, first: str) -> None:
    said = [(SHOP, foreign_copy(world, "27-1"))]
    orders = [(EBAY, order("27-1", world.now, MUG=1)), (ETSY, order("27-1", world.now, MUG=1))]
    for account_id, seen in said + orders if first == "the copy" else orders + said:
        world.hear(account_id, seen, handled=not at_once)
    if at_once:
        world.handle()
    if first == "the orders" or at_once:
        assert world.k("MUG") == 2
        assert {world.order(account, "27-1", "hub_order_id") for account in (EBAY, ETSY)} == {None}
    else:  # there was one such order when the copy's was heard
        assert world.k("MUG") == 3
        assert (world.order(EBAY, "27-1", "hub_order_id"), world.order(ETSY, "27-1", "hub_order_id")) == ("9001", None)
    check(world)


def test_S14_2_an_order_and_its_copy_by_another_app_in_one_batch_are_counted_once(world: World) -> None:
    world.hear(EBAY, order("27-1", world.now, MUG=1), handled=False)
    world.hear(SHOP, foreign_copy(world, "27-1"), handled=False)
    world.handle()
    assert world.k("MUG") == 4
    assert (world.order(EBAY, "27-1", "hub_order_id"), world.order(SHOP, "9001", "standing")) == ("9001", "copy")
    check(world)


def test_S0_6_a_copy_that_a_parcel_has_left_stays_what_it_is_and_the_order_holds_nothing_more(world: World) -> None:
    copy_id = world.hub.sell(world.now, MUG=2)
    world.hub.orders[copy_id].copy_of_key = "27-1"
    world.hub.fulfil(world.tick(), copy_id, MUG=1)
    world.hub_news()
    world.hear(EBAY, order("27-1", world.now, MUG=2))
    assert world.k("MUG") == 3
    assert (world.order(EBAY, "27-1", "standing"), world.order(SHOP, copy_id, "standing")) == ("counted", "live")
    check(world)


def test_S0_6_an_order_from_before_its_account_went_live_is_counted_where_its_copy_stands(world: World) -> None:
    world.rows("UPDATE account SET live_at = :at WHERE account_id = 3 RETURNING 1", at=world.now)
    world.hear(SHOP, foreign_copy(world, "27-1"))
    world.hear(EBAY, order("27-1", world.now - 60 * SECOND, MUG=1))
    assert (world.k("MUG"), world.order(EBAY, "27-1", "standing")) == (4, "counted")
    check(world)


def test_a_name_that_is_no_order_of_ours_is_a_web_sale(world: World) -> None:
    world.hear(EBAY, order("27-1", world.now, MUG=1))
    world.hear(SHOP, foreign_copy(world, "somebody's reference"))
    assert world.k("MUG") == 3
    check(world)
