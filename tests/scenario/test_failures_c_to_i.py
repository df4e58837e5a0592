"""Failures of real systems: C echo and propagation, F cancels, G rounding, H bundles, I operations (docs/reference/failures.md)."""

from __future__ import annotations

import pytest
from tests.scenario.engine import EBAY, ETSY, TENANT, World, changed, order
from tests.scenario.invariants import check
from tests.scenario.publish_bench import Bench

from oneshelf.core.instants import SECOND
from oneshelf.core.outcome import Accepted, Throttled
from oneshelf.db.store import Store, transaction
from oneshelf.intake.worker import reread_open_orders
from oneshelf.listings import policy


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 5)
    world.item("CUP", 4)
    world.open()
    world.tick(60)
    return world


def test_FC_C05_a_poll_after_the_parcel_left_does_not_undo_it(world: World) -> None:
    """The poll brings the order as the marketplace still knows it, unshipped and with a newer instant."""
    placed = order("E-1", world.now, MUG=1)
    world.hear(EBAY, placed)
    world.to_rest()
    copy_id = world.order(EBAY, "E-1", "hub_order_id")
    world.hub.fulfil(world.tick(60), copy_id, MUG=1)
    world.hub_news()
    assert (world.line(EBAY, "E-1"), world.level("MUG")) == ("S", (4, 0, 0, 0))
    world.tick(60)
    world.hear(EBAY, changed(placed, world.now), source="poll")
    assert (world.line(EBAY, "E-1"), world.level("MUG")) == ("S", (4, 0, 0, 0))
    check(world)


def test_FC_F02_an_order_that_its_feed_never_mentions_again_is_asked_for_by_its_id(world: World) -> None:
    """Etsy's cancel moves no update time: the feed is complete and silent, and the pieces would be held for good."""
    placed = order("T-1", world.now, MUG=2)
    world.hear(ETSY, placed)
    world.complete(ETSY)

    def ask() -> int:
        with transaction(world.store) as tx:
            return reread_open_orders(tx, TENANT, ETSY, world.now, every_s=3_600)

    world.tick(3_000)
    assert ask() == 0, "not before its hour"
    world.tick(700)
    assert ask() == 1
    assert world.rows("SELECT entity, state FROM intent WHERE kind = 'fetch_order'") == [(f"{ETSY}/T-1", "WAITING")]
    world.hear(ETSY, order("T-1", world.now - 3_700 * SECOND, updated=world.now, cancelled=True, MUG=2), source="read")
    assert (world.line(ETSY, "T-1"), world.level("MUG")) == ("C", (5, 0, 0, 0))
    with transaction(world.store) as tx:
        tx.run("UPDATE intent SET state = 'DONE' WHERE kind = 'fetch_order'")  # it was read
    world.tick(7_200)
    assert ask() == 0, "what is over is left alone"


def test_FC_G09_ninety_per_cent_of_one_piece_is_none_and_the_others_sell_it(world: World) -> None:
    with transaction(world.store) as tx:
        policy.set_rule(tx, TENANT, EBAY, "", world.now, by="a test", safety_percent=90)
    assert world.offer(EBAY, "MUG") == 4
    world.hear(EBAY, order("E-1", world.now, MUG=4))
    assert world.k("MUG") == 1
    assert world.offers("MUG") == (1, 0, 1), "the others sell the last one"


def test_FC_H06_a_held_bundle_takes_its_parts_once(world: World) -> None:
    """Unpaid, paid, imported: at each step every part is short by what was sold, and the bundle shows all that is left."""
    world.list(EBAY, "SET", {"MUG": 1, "CUP": 2})
    assert world.offer(EBAY, "SET") == 2
    placed = order("E-1", world.now, paid=False, SET=1)
    world.hear(EBAY, placed)
    seen = []
    for paid in (False, True):
        if paid:
            world.hear(EBAY, order("E-1", world.now, paid=True, updated=world.tick(5), SET=1))
        world.run_hub()
        seen.append((world.k("MUG"), world.k("CUP"), world.offer(EBAY, "SET")))
    assert seen == [(4, 2, 1), (4, 2, 1)]


def test_FC_I01_four_limits_in_a_row_delay_a_number_and_drop_none(store: Store) -> None:
    bench = Bench(store, "ebay")
    for name in ("A", "B", "C"):
        bench.outlet(name, {name: 1}, shown=0)
        bench.stock(name, 3)
    ends = [Throttled(30.0)] * 4
    bench.market.answers = lambda offer: ends.pop() if offer.outlet.external_id == "B" and ends else Accepted()
    bench.run(600)
    assert ends == []
    assert bench.market.shown == {"A": 3, "B": 3, "C": 3}
    assert [outcome for _, outcome in bench.attempts("B")] == ["THROTTLED"] * 4 + ["SEEN"]
    assert (bench.rest(), bench.open_tasks()) == ([], [])
