"""S4.4: any arrival order of the same set of facts, duplicates too, ends in the same levels, coverage and states."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.scenario.engine import AMAZON, EBAY, ETSY, SHOP, World, key_of, order
from tests.scenario.invariants import check

from oneshelf.core.facts import LineSeen, OrderSeen, Payment, ShipmentSeen
from oneshelf.core.instants import SECOND, from_us
from oneshelf.db.store import Store


def _runs(store: Store) -> settings:
    """Many stories on SQLite; a few on PostgreSQL, where each message is a journey to a server."""
    return settings(
        max_examples=40 if store.dialect == "sqlite" else 8,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        derandomize=True,
        phases=[Phase.generate],  # every run leaves its orders behind, so a smaller example would be another one
    )


class Story(msgspec.Struct):
    """What one order looks like at successive instants: (paid, ordered, cancelled, shipped, whole order cancelled)."""

    account: int
    placed_s: int
    steps: list[tuple[bool, int, int, int, bool]]


#: Turns of a life that chance alone would seldom put together.
_TURNS = [
    [],
    ["ship", "unship"],
    ["end", "revive"],
    ["ship", "more"],
    ["pay", "cancel"],
    ["end", "ship"],
    ["end", "ship", "unship"],
]
_EVENTS = ["pay", "cancel", "ship", "unship", "end", "revive", "more"]


@st.composite
def stories(draw: Any) -> Story:
    """A marketplace order's life: paid at some time, pieces cancelled, shipped, un-shipped, or all cancelled and perhaps revived."""
    ordered = draw(st.integers(1, 2))
    paid, cancelled, shipped, ended = draw(st.booleans()), 0, 0, False
    steps = [(paid, ordered, 0, 0, False)]
    for event in draw(st.sampled_from(_TURNS)) + draw(st.lists(st.sampled_from(_EVENTS), max_size=3)):
        match event:
            case "pay":
                paid = True
            case "cancel" if cancelled + shipped < ordered:
                cancelled += 1
            case "ship" if cancelled + shipped < ordered:
                paid, shipped = True, shipped + 1
            case "unship" if shipped:
                shipped -= 1
            case "end":
                ended = True
            case "revive":
                ended = False
            case "more" if not ended:
                ordered += 1
        steps.append((paid, ordered, cancelled, shipped, ended))
    return Story(draw(st.sampled_from([AMAZON, EBAY, ETSY])), draw(st.integers(0, 3)), steps)


def snapshots(story: Story, order_id: str, sku: str, start: int) -> list[OrderSeen]:
    placed = start + story.placed_s * SECOND
    return [
        OrderSeen(
            order_id=order_id,
            payment=Payment.PAID if paid else Payment.PENDING,
            lines=(LineSeen("l1", (f"sku:{sku}",), ordered, cancelled=cancelled, shipped=shipped, sku=sku),),
            placed_at=from_us(placed),
            updated_at=from_us(placed + i * SECOND),
            cancelled=ended,
        )
        for i, (paid, ordered, cancelled, shipped, ended) in enumerate(story.steps)
    ]


def outcome(world: World, sku: str) -> Any:
    """Levels, and of every line what it is; order ids without their run's suffix."""
    lines = world.rows(
        "SELECT order_id, state, ordered, cancelled, shipped, told_shipped, reserved, committed, coverage FROM order_line WHERE sku = :s",
        s=sku,
    )
    return world.level(sku), sorted((order_id.split("~")[0], *rest) for order_id, *rest in lines)


class Runs:
    """Two SKUs a pair of runs: one hears everything in order, one as it comes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.number = 0

    def sku(self, pieces: int) -> str:
        self.number += 1
        sku = f"S{self.number}"
        self.world.item(sku, pieces)
        self.world.open_stock()
        return sku


def hear_all(world: World, facts: list[tuple[int, OrderSeen]], *, together: int = 100) -> None:
    """Let all of it arrive, so many messages to a batch."""
    world.tick(60)
    for i, (account_id, seen) in enumerate(facts, 1):
        world.hear(account_id, seen, handled=i % together == 0)
    world.handle()


def test_S4_4_snapshots_of_several_orders_commute(store: Store) -> None:
    world = World(store)
    world.open()
    runs = Runs(world)

    @_runs(store)
    @given(st.lists(stories(), min_size=1, max_size=3), st.integers(0, 4), st.data())
    def run(told: list[Story], pieces: int, data: st.DataObject) -> None:
        expected, found = runs.sku(pieces), runs.sku(pieces)
        start = world.now
        in_order: list[tuple[int, OrderSeen]] = []
        mixed: list[tuple[int, OrderSeen]] = []
        for i, story in enumerate(told):
            in_order += [(story.account, s) for s in snapshots(story, f"{i}~{expected}", expected, start)]
            mixed += [(story.account, s) for s in snapshots(story, f"{i}~{found}", found, start)]
        again = data.draw(st.lists(st.sampled_from(mixed), max_size=4))
        hear_all(world, in_order)
        hear_all(world, data.draw(st.permutations([*mixed, *again])), together=data.draw(st.integers(1, 3)))
        assert outcome(world, found) == outcome(world, expected)
        check(world)

    run()


def test_S4_4_snapshots_heard_one_by_one_or_together_end_the_same(store: Store) -> None:
    world = World(store)
    world.open()
    runs = Runs(world)

    @_runs(store)
    @given(st.lists(stories(), min_size=1, max_size=3), st.integers(0, 4))
    def run(told: list[Story], pieces: int) -> None:
        together, single = runs.sku(pieces), runs.sku(pieces)
        world.tick(60)
        for sku in (together, single):
            for i, story in enumerate(told):
                for seen in snapshots(story, f"{i}~{sku}", sku, world.now - 60 * SECOND):
                    world.hear(story.account, seen, handled=sku is single)
            world.handle()
        assert outcome(world, single) == outcome(world, together)

    run()


@st.composite
def copy_steps(draw: Any) -> list[tuple[int, int, bool]]:
    """What the hub copy of an order of 3 looks like at successive instants: (fulfilled, removed, its last fulfilment cancelled)."""
    fulfilled, removed, undone = 0, 0, False
    steps = [(0, 0, False)]
    for _ in range(draw(st.integers(0, 3))):
        match draw(st.sampled_from(["fulfil", "remove", "undo"])):
            case "fulfil" if fulfilled + removed < 3 and not undone:
                fulfilled += 1
            case "remove" if fulfilled + removed < 3 and not undone:
                removed += 1
            case "undo" if fulfilled:
                undone = True
        steps.append((fulfilled, removed, undone))
    return steps


def copies(steps: list[tuple[int, int, bool]], order_id: str, sku: str, start: int) -> list[OrderSeen]:
    made = []
    for i, (fulfilled, removed, undone) in enumerate(steps):
        shipments = tuple(
            ShipmentSeen(
                f"F{n}-{order_id}", from_us(start), {"h1": 1}, location_id="L1", cancelled=undone and n == fulfilled - 1
            )
            for n in range(fulfilled)
        )
        shipped = fulfilled - int(undone)
        made.append(
            OrderSeen(
                order_id=f"hub-{order_id}",
                payment=Payment.PAID,
                lines=(
                    LineSeen(
                        "h1", (f"sku:{sku}",), 3, cancelled=removed, shipped=shipped, sku=sku, copy_of_line_id=sku
                    ),
                ),
                placed_at=from_us(start),
                updated_at=from_us(start + i * SECOND),
                shipments=shipments,
                copy_of_key=key_of(EBAY, order_id),
                locations={"h1": {"L1": 1}},
            )
        )
    return made


def test_S4_4_news_of_an_order_and_of_its_hub_copy_commute(store: Store) -> None:
    world = World(store)
    world.open()
    runs = Runs(world)

    @_runs(store)
    @given(copy_steps(), st.lists(st.sampled_from(["shipped", "cancelled"]), max_size=2), st.data())
    def run(steps: list[tuple[int, int, bool]], told: list[str], data: st.DataObject) -> None:
        expected, found = runs.sku(5), runs.sku(5)
        start = world.now
        sets: list[list[tuple[int, OrderSeen]]] = []
        for sku in (expected, found):
            sold = order(f"E~{sku}", start, **{sku: 3})
            facts = [(EBAY, sold)]
            line = sold.lines[0]
            for i, what in enumerate(told):
                line = msgspec.structs.replace(line, **{what: 1})
                facts.append(
                    (EBAY, msgspec.structs.replace(sold, lines=(line,), updated_at=from_us(start + (i + 1) * SECOND)))
                )
            facts += [(SHOP, seen) for seen in copies(steps, f"E~{sku}", sku, start)]
            sets.append(facts)
        hear_all(world, sets[0])
        first, *others = sets[1]  # an import is made of a stored order, so some snapshot of it is always first
        hear_all(world, [first, *data.draw(st.permutations(others))], together=data.draw(st.integers(1, 3)))
        assert outcome(world, found) == outcome(world, expected)
        check(world)

    run()


def test_S4_4_a_web_order_and_its_parcels_commute(store: Store) -> None:
    world = World(store)
    world.open()
    runs = Runs(world)

    @_runs(store)
    @given(copy_steps(), st.data())
    def run(steps: list[tuple[int, int, bool]], data: st.DataObject) -> None:
        expected, found = runs.sku(5), runs.sku(5)
        facts = [
            [
                (SHOP, msgspec.structs.replace(seen, copy_of_key=None))
                for seen in copies(steps, f"W~{sku}", sku, world.now)
            ]
            for sku in (expected, found)
        ]
        hear_all(world, facts[0])
        hear_all(world, data.draw(st.permutations([*facts[1], *facts[1]])), together=data.draw(st.integers(1, 3)))
        assert outcome(world, found) == outcome(world, expected)
        check(world)

    run()


@pytest.mark.parametrize("behind_s", [0, 300])
def test_S4_3_a_snapshot_of_the_same_instant_that_was_read_goes_before_a_late_webhook(
    store: Store, behind_s: int
) -> None:
    """Channels tell whole seconds: the webhook of the first of two changes in a second arrives after the poll that saw both. Found by the
    simulator with a clock of ours that was behind: the webhook stood for good, because the next poll brings what was read already."""
    world = World(store)
    world.item("MUG", 10)
    world.open()
    first = order("E-1", world.now, MUG=3, updated=world.now + behind_s * SECOND)
    both = msgspec.structs.replace(first, lines=(msgspec.structs.replace(first.lines[0], cancelled=1),))
    world.tick(5)
    world.hear(EBAY, both, source="poll")
    world.tick(5)
    world.hear(EBAY, first)
    assert world.level("MUG") == (10, 2, 0, 0)


def test_S4_3_of_two_messages_of_the_same_instant_the_one_that_came_later_counts_until_the_order_is_read(
    store: Store,
) -> None:
    world = World(store)
    world.item("MUG", 10)
    world.open()
    first = order("E-1", world.now, MUG=3)
    both = msgspec.structs.replace(first, lines=(msgspec.structs.replace(first.lines[0], cancelled=1),))
    world.hear(EBAY, first)
    world.tick()
    world.hear(EBAY, both)
    assert world.level("MUG") == (10, 2, 0, 0)
    world.tick()
    world.hear(EBAY, first)
    assert world.level("MUG") == (10, 3, 0, 0)
    world.tick(10)
    world.hear(EBAY, both, source="poll")
    assert world.level("MUG") == (10, 2, 0, 0)
    check(world)
