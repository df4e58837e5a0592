"""Pieces held by hand: they leave every number at once, the shop's too, come back in time, and stand against no sale."""

from __future__ import annotations

import pytest
from tests.scenario.engine import AMAZON, EBAY, TENANT, World, order
from tests.scenario.invariants import check, check_at_rest

from oneshelf.core.errors import NotThere
from oneshelf.core.instants import SECOND
from oneshelf.db.store import Store, transaction
from oneshelf.orders import manual_holds
from oneshelf.orders.manual_holds import CannotHold, ManualHold

HOUR = 3_600 * SECOND


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", L1=5, L2=3)
    return world.open()


def hold(world: World, pieces: int, *, location: str = "", for_us: int = HOUR) -> ManualHold:
    with transaction(world.store) as tx:
        return manual_holds.hold(
            tx, TENANT, "MUG", pieces, world.now + for_us, world.now, by="Ada", why="a test", location=location
        )


def release(world: World, hold_no: int) -> ManualHold:
    with transaction(world.store) as tx:
        return manual_holds.release(tx, TENANT, hold_no, world.now, by="Ada")


def end_due(world: World) -> list[int]:
    with transaction(world.store) as tx:
        return [one.hold_no for one in manual_holds.end_due(tx, TENANT, world.now)]


def held_after(world: World) -> str:
    world.run_hub()
    check(world)
    return world.row("MUG")


def test_a_hold_leaves_every_number_and_the_shop_expects_it(world: World) -> None:
    held = hold(world, 2)
    assert (held.location_id, world.k("MUG"), world.offers("MUG")) == ("L1", 6, (6, 6, 6))
    assert held_after(world) == "5/3/0/2"
    world.tick(60)
    world.complete()
    world.read("MUG")
    assert world.k("MUG") == 6, "what we hold there is no edit and no sale"
    release(world, held.hold_no)
    assert (world.k("MUG"), held_after(world)) == (8, "5/5/0/0")
    world.to_rest()
    check_at_rest(world, {})


def test_a_hold_ends_by_time_alone(world: World) -> None:
    hold(world, 2, for_us=60 * SECOND)
    later = hold(world, 1, location="L2")
    assert end_due(world) == []
    world.tick(60)
    assert end_due(world) == [1]
    assert (world.k("MUG"), [one.hold_no for one in _open(world)]) == (7, [later.hold_no])


def test_S1_10_what_a_sale_needs_is_given_back_the_newest_hold_first(world: World) -> None:
    first, second = hold(world, 2, location="L1"), hold(world, 2, location="L1")
    held_after(world)
    world.hear(EBAY, order("E-1", world.now, MUG=8))
    assert world.k("MUG") == -4
    assert end_due(world) == [second.hold_no, first.hold_no]
    assert world.k("MUG") == 0
    held_after(world)
    states = world.rows("SELECT state FROM manual_hold")
    assert states == [("GAVE_WAY",), ("GAVE_WAY",)]


def test_a_hold_that_can_not_be_is_refused_with_words_and_moves_nothing(world: World) -> None:
    before = world.level("MUG")
    with pytest.raises(CannotHold, match="5 available at L1, so 6"):
        hold(world, 6)
    with pytest.raises(CannotHold, match="Hold 1 or more"):
        hold(world, 0)
    with pytest.raises(CannotHold, match="a moment to come"):
        hold(world, 1, for_us=0)
    with pytest.raises(CannotHold, match="within 90 days"):
        hold(world, 1, for_us=91 * 24 * HOUR)
    with pytest.raises(CannotHold, match="no location of yours"):
        hold(world, 1, location="L9")
    with pytest.raises(NotThere, match="Hold 7 is not open"):
        release(world, 7)
    with pytest.raises(CannotHold, match="not a tracked SKU"), transaction(world.store) as tx:
        manual_holds.hold(tx, TENANT, "CUP", 1, world.now + HOUR, world.now, by="Ada")
    assert (world.level("MUG"), _open(world)) == (before, [])


def test_a_crash_between_hold_and_answer_ends_in_the_same_numbers(world: World) -> None:
    held = hold(world, 2)
    call = world.plan_moves()
    assert call is not None
    world.do(call)  # done there, and nobody hears
    world.restart()
    assert held_after(world) == "5/3/0/2"
    release(world, held.hold_no)
    world.hear(AMAZON, order("A-1", world.now, MUG=1))
    world.to_rest()
    check_at_rest(world, {"MUG": 1})


def _open(world: World) -> list[ManualHold]:
    with transaction(world.store) as tx:
        return manual_holds.list_holds(tx, TENANT)
