"""When a copy may leave: settled or uncontested, else it is held; possession beats priority; pins (SEMANTICS 6.5 to 6.7, I8, I9)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from tests.scenario.engine import AMAZON, EBAY, ETSY, SHOP, TENANT, World, order
from tests.scenario.invariants import check

from oneshelf.core.instants import SECOND
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Unknown
from oneshelf.db.store import Store, transaction
from oneshelf.imports import holding
from oneshelf.orders.pins import pin_line
from oneshelf.publish.releasing import release


class Desk:
    """What the loops do about releases, and what the shop's desk may pack."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.held: set[str] = set()
        self.calls: list[str] = []

    def look(self) -> int:
        with transaction(self.world.store) as tx:
            return release(tx, TENANT, self.world.now)

    def carry_out(self, outcome: Outcome | None = None) -> None:
        for _ in range(10):
            with transaction(self.world.store) as tx:
                call = holding.plan(tx, TENANT, self.world.now)
            if call is None:
                return
            self.calls.append(
                f"{'hold' if call.holds else 'release'} {self.world.hub.orders[call.hub_order_id].copy_of_key}"
            )
            if outcome is None:
                (self.held.add if call.holds else self.held.discard)(call.hub_order_id)
            with transaction(self.world.store) as tx:
                holding.settle(tx, TENANT, call, outcome or Accepted(), self.world.now)

    def run(self) -> None:
        self.world.run_hub()
        self.world.hub_news()
        self.look()
        self.carry_out()

    def is_held(self, account_id: int, order_id: str) -> bool:
        return self.world.order(account_id, order_id, "hub_order_id") in self.held

    def why(self, account_id: int, order_id: str) -> tuple[str, str]:
        no = self.world.order(account_id, order_id, "order_no")
        return self.world.rows("SELECT state, why FROM release WHERE order_no = :n", n=no)[0]


def a_world(store: Store, pieces: int) -> World:
    world = World(store)
    world.item("MUG", pieces)
    world.open()
    world.tick(3600)
    world.complete()
    world.tick(60)  # what is bought within the last minute is news to every feed
    return world


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(a_world(store, 2))


def sell(world: World, account_id: int, order_id: str, seconds_ago: float = 0, **more: Any) -> None:
    world.hear(account_id, order(order_id, world.now - int(seconds_ago * SECOND), MUG=more.pop("pieces", 1), **more))


def test_S6_5_with_enough_left_it_leaves_at_once_and_is_never_held(desk: Desk) -> None:
    sell(desk.world, EBAY, "E-1")
    desk.run()
    assert desk.why(EBAY, "E-1") == ("RELEASED", "uncontested")
    assert desk.world.line(EBAY, "E-1") == "R" and desk.world.order(EBAY, "E-1") == "RELEASED"
    assert desk.calls == []
    check(desk.world)


def test_S6_5_the_last_piece_waits_until_every_channel_is_heard(desk: Desk) -> None:
    world = desk.world
    sell(world, EBAY, "E-1", pieces=2)
    desk.run()
    assert (desk.is_held(EBAY, "E-1"), world.line(EBAY, "E-1")) == (True, "O")
    world.tick(4)
    world.complete(SHOP, AMAZON, EBAY)
    desk.run()
    assert desk.is_held(EBAY, "E-1")  # Etsy may have sold it before
    world.complete(ETSY)
    desk.run()
    assert (desk.is_held(EBAY, "E-1"), world.line(EBAY, "E-1")) == (False, "R")
    assert desk.why(EBAY, "E-1") == ("RELEASED", "settled")
    assert [call.split()[0] for call in desk.calls] == ["hold", "release"]


def test_S6_5_what_others_may_have_sold_unheard_is_reckoned_by_their_pace(store: Store) -> None:
    world = a_world(store, 30)
    desk = Desk(world)
    for n in range(10):  # Amazon sells fast, and is heard after 330 s: about eleven pieces may be unheard
        world.tick(1)
        sell(world, AMAZON, f"A-{n}")
    sell(world, EBAY, "E-1")
    assert world.k("MUG") == 19
    desk.run()
    assert desk.is_held(EBAY, "E-1")
    with transaction(store) as tx:  # as soon as Amazon is heard within seconds, nineteen are enough
        tx.run(
            "INSERT INTO channel_window (tenant_id, account_id, notice, publish, grace, measured_at) VALUES (1, :a, :n, :n, :g, 0)",
            a=AMAZON,
            n=5 * SECOND,
            g=10**15,
        )
    desk.run()
    assert desk.why(EBAY, "E-1") == ("RELEASED", "uncontested")


def test_S6_5_nobody_waits_longer_than_half_an_hour(desk: Desk) -> None:
    world = desk.world
    sell(world, EBAY, "E-1", pieces=2)
    desk.run()
    world.tick(1_798)
    desk.run()
    assert desk.is_held(EBAY, "E-1")
    world.tick(3)
    desk.run()
    assert desk.why(EBAY, "E-1") == ("RELEASED", "waited long enough")
    assert world.value("SELECT COUNT(*) FROM journal WHERE what = 'Released although a channel was not heard'") == 1


def test_S6_5_a_short_line_is_not_released_by_time(desk: Desk) -> None:
    world = desk.world
    sell(world, EBAY, "E-1", 5, pieces=2)
    sell(world, ETSY, "T-1", 2)
    desk.run()
    world.tick(4_000)
    desk.run()
    assert (desk.is_held(ETSY, "T-1"), world.line(ETSY, "T-1", "coverage")) == (True, "SHORT")
    assert not desk.is_held(EBAY, "E-1")


def test_S6_6_a_later_arrival_displaces_what_is_covered_but_not_what_is_released(desk: Desk) -> None:
    world = desk.world
    sell(world, EBAY, "E-1", 3)
    desk.run()  # one piece is left: it leaves
    world.tick(1)
    sell(world, ETSY, "T-1", 2)
    desk.run()  # the last: it is held
    assert (world.line(EBAY, "E-1"), desk.is_held(ETSY, "T-1")) == ("R", True)
    sell(world, AMAZON, "A-1", 60)  # bought before both
    assert [world.line(a, o, "coverage") for a, o in ((AMAZON, "A-1"), (EBAY, "E-1"), (ETSY, "T-1"))] == [
        "COVERED",
        "COVERED",
        "SHORT",
    ]
    assert world.line(EBAY, "E-1") == "R"
    world.tick(10)
    world.complete()
    desk.run()
    assert (world.line(AMAZON, "A-1"), desk.is_held(ETSY, "T-1")) == ("R", True)
    check(world)


@pytest.mark.parametrize("arrival", list(itertools.permutations(range(3))))
def test_I9_the_winners_of_the_last_pieces_are_the_first_by_time_in_any_order_of_arrival(
    store: Store, arrival: tuple[int, ...]
) -> None:
    world = a_world(store, 2)
    desk = Desk(world)
    bought = [(AMAZON, "A-1", 30), (EBAY, "E-1", 20), (ETSY, "T-1", 10)]
    base = world.now
    for n in arrival:
        account_id, order_id, before_s = bought[n]
        world.hear(account_id, order(order_id, base - before_s * SECOND, MUG=1))
        desk.run()
        world.tick(1)
    world.tick(4)
    world.complete()
    desk.run()
    # The first two heard left one behind, so the very first may have been released before all were heard (S6.6); never the last piece.
    released = [order_id for account_id, order_id, _ in bought if world.line(account_id, order_id) == "R"]
    assert len(released) == 2
    contested = [bought[n][1] for n in arrival[1:]]
    assert [o for o in released if o in contested] == [o for _, o, _ in bought if o in contested][:1]
    assert [desk.is_held(a, o) for a, o, _ in bought] == [o not in released for _, o, _ in bought]
    check(world)


def test_a_hold_that_is_refused_stops_nothing(desk: Desk) -> None:
    world = desk.world
    sell(world, EBAY, "E-1", pieces=2)
    world.run_hub()
    world.hub_news()
    desk.look()
    desk.carry_out(Rejected("nothing of it is left to send", "not_open"))
    world.tick(4)
    world.complete()
    desk.run()
    assert world.line(EBAY, "E-1") == "R" and world.tasks() == []


def test_I18_a_hold_without_answer_is_asked_again_and_released_after_its_answer(desk: Desk) -> None:
    world = desk.world
    sell(world, EBAY, "E-1", pieces=2)
    world.run_hub()
    world.hub_news()
    desk.look()
    desk.carry_out(Unknown("timed out"))
    world.tick(0.1)
    world.complete(through=world.now + 60 * SECOND)
    desk.look()
    desk.carry_out()
    assert [call.split()[0] for call in desk.calls] == ["hold"]  # the release waits
    world.tick(60)
    desk.carry_out()
    world.tick(60)
    desk.carry_out()
    assert [call.split()[0] for call in desk.calls] == ["hold", "hold", "release"]
    assert not desk.held


def test_a_release_that_is_refused_is_a_persons(desk: Desk) -> None:
    world = desk.world
    sell(world, EBAY, "E-1", pieces=2)
    desk.run()
    world.tick(4)
    world.complete()
    desk.look()
    desk.carry_out(Rejected("no access", "INVALID_ACCESS"))
    assert world.tasks() == ["release_copy"]


def test_what_was_cancelled_while_it_was_held_is_let_go(desk: Desk) -> None:
    world = desk.world
    sell(world, EBAY, "E-1", 9, pieces=2)
    desk.run()
    assert desk.held
    sell(world, EBAY, "E-1", 9, pieces=2, updated=world.now, cancelled=True)
    desk.run()
    assert desk.why(EBAY, "E-1")[0] == "OVER" and not desk.held


class TestPins:
    def test_S6_7_a_pin_goes_first_and_stands_in_the_ledger(self, desk: Desk) -> None:
        world = desk.world
        sell(world, EBAY, "E-1", 9, pieces=2)
        sell(world, ETSY, "T-1", 3, pieces=2)

        def say(order_id: str, word: Any) -> str:
            with transaction(world.store) as tx:
                return pin_line(tx, TENANT, order_id, "", word, world.now, by="Ada")

        def verdicts() -> list[str]:
            return [world.line(EBAY, "E-1", "coverage"), world.line(ETSY, "T-1", "coverage")]

        assert verdicts() == ["COVERED", "SHORT"]
        assert say("T-1", 1) == "Line MUG of order T-1 goes before all that are not pinned."
        assert verdicts() == ["SHORT", "COVERED"]
        say("T-1", 0)
        assert verdicts() == ["COVERED", "SHORT"]
        say("E-1", -1)
        assert verdicts() == ["SHORT", "COVERED"]
        assert world.entries("pin:") == [
            f"pin:{ETSY}/T-1/MUG/MUG:1",
            f"pin:{ETSY}/T-1/MUG/MUG:2",
            f"pin:{EBAY}/E-1/MUG/MUG:1",
        ]
        check(world)

    def test_S6_7_a_pin_never_displaces_what_is_released(self, desk: Desk) -> None:
        world = desk.world
        sell(world, EBAY, "E-1", 9)
        desk.run()
        sell(world, ETSY, "T-1", 3, pieces=2)
        with transaction(world.store) as tx:
            pin_line(tx, TENANT, "T-1", "", 1, world.now, by="Ada")
            with pytest.raises(ValueError, match="waits for no pieces"):
                pin_line(tx, TENANT, "E-1", "", 1, world.now, by="Ada")
            for name, line in (("NO", ""), ("T-1", "9")):
                with pytest.raises(LookupError):
                    pin_line(tx, TENANT, name, line, 1, world.now, by="Ada")
        assert world.line(ETSY, "T-1", "coverage") == "SHORT"
        assert world.line(EBAY, "E-1") == "R"
