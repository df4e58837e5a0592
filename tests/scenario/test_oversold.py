"""Oversold pieces are sorted by cause (SEMANTICS 13.1): before anybody could know, late, by our own write, by hand."""

from __future__ import annotations

import pytest
from tests.scenario.engine import EBAY, ETSY, SHOP, TENANT, World, order

from oneshelf.core.instants import SECOND
from oneshelf.db.store import Store, transaction
from oneshelf.watch.oversold import Oversold, by_cause


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 1)
    world.open()
    world.tick(3600)
    return world


def sold(world: World, account_id: int, order_id: str, placed_s: float, heard_s: float) -> None:
    """An order of one mug, placed and heard so many seconds from now."""
    placed_at = world.now + int(placed_s * SECOND)
    later = world.now
    world.now += int(heard_s * SECOND)
    world.hear(account_id, order(order_id, placed_at, MUG=1))
    world.now = later


def told(world: World, account_id: int, quantity: int, after_s: float) -> None:
    """A write of ours that began so many seconds from now."""
    outlet_id = world.outlet(account_id, "MUG")
    with transaction(world.store) as tx:
        tx.run(
            "INSERT INTO attempt (tenant_id, attempt_no, outlet_id, account_id, quantity, started_at) "
            "VALUES (1, 1, :o, :a, :q, :at)",
            o=outlet_id,
            a=account_id,
            q=quantity,
            at=world.now + int(after_s * SECOND),
        )


def causes(world: World) -> Oversold:
    with transaction(world.store) as tx:
        return by_cause(tx, TENANT)


def test_one_sale_of_one_piece_oversells_nothing(world: World) -> None:
    sold(world, EBAY, "E-1", 0, 1)
    assert causes(world) == Oversold()


def test_the_same_second_on_two_channels_is_the_window(world: World) -> None:
    sold(world, EBAY, "E-1", 0, 1)
    sold(world, ETSY, "T-1", 0.5, 2)
    assert causes(world) == Oversold(window=1)


def test_a_sale_long_after_the_last_piece_was_heard_of_is_late(world: World) -> None:
    sold(world, EBAY, "E-1", 0, 1)
    sold(world, ETSY, "T-1", 60, 61)  # heard at 1; Etsy applies within 5 s, we tell within 5 s
    assert causes(world) == Oversold(late=1)


def test_within_five_seconds_and_the_channels_own_time_it_is_not_yet_late(world: World) -> None:
    sold(world, EBAY, "E-1", 0, 1)
    sold(world, ETSY, "T-1", 10, 11)
    assert causes(world) == Oversold(window=1)


def test_a_write_of_ours_that_put_the_piece_back_is_a_race(world: World) -> None:
    sold(world, EBAY, "E-1", 0, 1)
    told(world, ETSY, 1, 3)
    sold(world, ETSY, "T-1", 4, 5)
    assert causes(world) == Oversold(race=1)


def test_a_write_of_zero_puts_nothing_back(world: World) -> None:
    sold(world, EBAY, "E-1", 0, 1)
    told(world, ETSY, 0, 3)
    sold(world, ETSY, "T-1", 4, 5)
    assert causes(world) == Oversold(window=1)


def test_a_piece_taken_off_by_hand_is_nobodys_sale(world: World) -> None:
    sold(world, EBAY, "E-1", 0, 1)
    world.hub.cell("MUG", "L1").on_hand -= 1  # the merchant counts one fewer
    world.tick(60)
    for _ in range(3):
        world.read("MUG")
        world.complete(SHOP)
        world.tick(30)
    assert world.k("MUG") == -1
    assert causes(world) == Oversold(hand=1)
