"""Conflicts as a person sees them: who got the pieces and why, what else was tried, and every word that can be taken back (SEMANTICS 6, 7)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.scenario.engine import AMAZON, EBAY, ETSY, TENANT, World, order
from tests.scenario.fake_market import CANCELS, FakeMarket
from tests.scenario.invariants import check

from oneshelf.core.instants import SECOND, iso
from oneshelf.db.store import Store, transaction
from oneshelf.orders import decisions, pins, short
from oneshelf.orders.decisions import NotDecided
from oneshelf.shipping import cancelling
from oneshelf.shipping.cancelling import NotRevoked
from oneshelf.watch.conflicts import Conflict, conflicts


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 1)
    return world.open()


@pytest.fixture
def market(world: World) -> FakeMarket:
    return FakeMarket(world)


def found(world: World) -> list[Conflict]:
    with transaction(world.store) as tx:
        return conflicts(tx, TENANT, CANCELS, world.now)


def do(world: World, step: Any, *args: Any) -> Any:
    with transaction(world.store) as tx:
        return step(tx, TENANT, *args, world.now, by="Ada")


def same_second(world: World) -> None:
    """The last mug is bought on eBay and Amazon in one second; eBay's order is heard first."""
    bought = world.tick(5)
    world.tick(2)
    world.hear(EBAY, order("E-1", bought + 300_000, MUG=1))
    world.tick(3)
    world.hear(AMAZON, order("A-1", bought + 900_000, MUG=1))
    world.run_hub()
    world.hub_news()


def over(world: World) -> None:
    world.tick(short.GRACE_S + 60)
    world.complete()


def test_S6_2_both_orders_stand_with_both_clocks_and_the_verdict(world: World) -> None:
    assert found(world) == []
    same_second(world)
    (one,) = found(world)
    assert (one.sku, one.oversold, one.state, one.settled, one.heard_first) == ("MUG", 1, "grace", False, True)
    (winner,) = one.winners
    assert (one.loser.order_id, one.loser.place, winner.order_id, winner.place) == ("E-1", 2, "A-1", 1)
    assert one.loser.received_at < winner.received_at and one.loser.placed_at < winner.placed_at
    assert one.verdict.startswith("Amazon order A-1 goes before Ebay order E-1: both were bought in the same second")
    assert (one.cancel_how, one.rate_now_percent, one.rate_after_percent) == ("call", 0.0, 100.0)
    assert one.rate_limit_percent == CANCELS[EBAY].limit_percent
    over(world)
    assert (found(world)[0].state, found(world)[0].settled) == ("open", True)


def test_the_exits_are_counted_where_pieces_still_are(world: World) -> None:
    world.item("CUP", L1=1, L2=4)
    world.read("CUP")
    world.tick(600)
    world.complete()
    world.read_wanted()
    world.rows("UPDATE location SET in_scope = 0 WHERE location_id = 'L2' RETURNING 1")
    world.hub.cell("CUP", "L1").incoming = 7
    world.read("CUP")
    world.hear(AMAZON, order("A-0", world.now, paid=False, CUP=1))
    world.tick(5)
    world.hear(EBAY, order("E-0", world.now, CUP=1))
    (one,) = found(world)
    pieces = {way.name: way.pieces for way in one.exits}
    assert pieces == {"other_location": 4, "incoming": 7, "unavailable": 0, "held": 0, "unpaid": 1, "buffer": 0}
    assert "bought 5 s earlier" in one.verdict


def test_S7_3_a_cancel_waits_ten_seconds_and_can_be_revoked_until_then(world: World, market: FakeMarket) -> None:
    same_second(world)
    over(world)
    said = market.word("E-1", "", "cancel")
    assert "in 10 seconds" in said and "conflicts revoke E-1" in said
    (one,) = found(world)
    assert (one.state, one.revoke_until) == ("cancel_waits", iso(world.now + 10 * SECOND))
    assert market.plan_cancel(EBAY, after_s=9) is None
    assert "hears nothing of it" in do(world, cancelling.revoke, "E-1", "")
    assert market.plan_cancel(EBAY) is None
    (one,) = found(world)
    assert (one.state, world.line(EBAY, "E-1")) == ("asked", "M")
    with pytest.raises(NotRevoked, match="waits any more"):
        do(world, cancelling.revoke, "E-1", "")
    check(world)


def test_I10_once_sent_it_can_not_be_revoked(world: World, market: FakeMarket) -> None:
    same_second(world)
    over(world)
    market.word("E-1", "", "cancel")
    assert market.plan_cancel(EBAY) is not None
    with pytest.raises(NotRevoked, match="it was sent"):
        do(world, cancelling.revoke, "E-1", "")
    assert found(world)[0].state == "cancelling"


def test_a_revoked_cancel_can_be_approved_again_and_is_sent_once(world: World, market: FakeMarket) -> None:
    same_second(world)
    over(world)
    market.word("E-1", "", "cancel")
    do(world, cancelling.revoke, "E-1", "")
    with pytest.raises(NotDecided, match="may still be covered"):  # its grace begins anew
        market.word("E-1", "", "cancel")
    over(world)
    market.word("E-1", "", "cancel")
    assert market.run_cancels(EBAY) == 1
    assert [wish.order_id for wish in market.cancel_calls] == ["E-1"]


def test_wait_and_backorder_are_taken_back(world: World, market: FakeMarket) -> None:
    same_second(world)
    over(world)
    market.word("E-1", "", "backorder")
    assert found(world)[0].state == "backorder"
    assert do(world, decisions.take_back, "E-1", "").startswith("Backorder is taken back")
    assert found(world)[0].state == "open"
    with pytest.raises(NotDecided, match="none waits"):
        do(world, decisions.take_back, "E-1", "")


def test_S6_7_a_pin_turns_a_conflict_round(world: World) -> None:
    same_second(world)
    do(world, pins.pin_line, "E-1", "", 1)
    (one,) = found(world)
    assert (one.loser.order_id, one.winners[0].order_id, one.winners[0].pin) == ("A-1", "E-1", 1)
    assert one.verdict.endswith("it is pinned.")
    do(world, pins.pin_line, "E-1", "", 0)
    assert found(world)[0].loser.order_id == "E-1"


def test_nothing_on_hand_for_anybody_is_said(world: World) -> None:
    world.hub.cell("MUG", "L1").on_hand = 0
    world.read("MUG")
    world.tick(600)
    world.complete()
    world.read_wanted()
    world.hear(ETSY, order("T-1", world.now, MUG=1))
    (one,) = found(world)
    assert (one.winners, one.verdict.split(":")[0], one.cancel_how) == ([], "Nothing is on hand for anybody", "person")
