"""What the explorer walked through, walked by the real steps on a real database: every n-th state's way, then rest at the truth.

Each move of a way is something that happens outside (a sale, its news, a write that lands) or a turn of the engine, which then does what it wants to
do. Two seconds pass with each, so that a write lands within the time that its channel may take. No sweep helps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.model.explore import Counterexample, explore
from tests.model.publishing import Engine, Rules
from tests.scenario.publish_bench import SHOP, Bench, T

from oneshelf.core.instants import SECOND
from oneshelf.db.sqlite import SqliteStore
from oneshelf.orders import provisional
from oneshelf.publish.planning import WaitUntil

STOCK = 2
#: Longer than two clocks may differ.
MOVE_S = 2.1
NEVER = 10**15


class Walk:
    """One way through the world, with a bench of its own on an empty database."""

    def __init__(self, store: SqliteStore) -> None:
        bench = self.bench = Bench(store, "ebay")
        for name in ("A", "B"):
            bench.outlet(name, {"MUG": 1}, shown=STOCK)
        bench.stock("MUG", STOCK)
        bench.run()
        bench.now += 60 * SECOND
        bench.market.lands_after = NEVER
        self.unheard: dict[str, list[Callable[[], None]]] = {"A": [], "B": []}
        self.sold = 0

    def go(self, move: str) -> None:
        bench = self.bench
        bench.now += round(MOVE_S * SECOND)
        words = move.split()
        if words[0] == "sell":
            if bench.market.shown[words[1]] > 0:
                self.unheard[words[1]].append(bench.sell(words[1], heard=False))
                self.sold += 1
        elif words[0] == "hear":
            if self.unheard[words[1]]:
                self.unheard[words[1]].pop(-1 if move.endswith("last") else 0)()
        elif words[0] == "poll":
            self.poll(words[1])
        elif words[0] == "land":
            self.land(words[1].split("=")[0])
        else:
            bench.wake()
            if not isinstance(call := bench.plan(), WaitUntil):
                bench.call(call)

    def poll(self, *names: str) -> None:
        for name in names:
            while self.unheard[name]:
                self.unheard[name].pop(0)()
        bench = self.bench
        if not any(self.unheard.values()):  # one account here: its feed is complete when both outlets were heard
            bench.complete_through(bench.now)
            bench.tx(lambda tx: provisional.settle_due(tx, T, SHOP, bench.now, 2, bench.now))

    def land(self, name: str) -> None:
        landing = self.bench.market.landing
        for one in landing:
            if one[1] == name:
                landing.remove(one)
                self.bench.market.shown[name] = one[2]
                return

    def calm(self) -> None:
        """What is under way lands, all is heard, and the engine is left alone."""
        bench = self.bench
        for name in ("A", "B"):
            while any(one[1] == name for one in bench.market.landing):
                self.land(name)
        bench.market.lands_after = 0
        for _ in range(4):
            bench.now += 5 * SECOND
            self.poll("A", "B")
            bench.run(60)


@pytest.fixture
def stores(sqlite_migrated: Path) -> Iterator[Callable[[], SqliteStore]]:
    """Opens the empty database in memory, as often as one asks."""
    opened: list[SqliteStore] = []

    def fresh() -> SqliteStore:
        if opened:
            opened.pop().close()
        path = sqlite_migrated.parent / "walk.db"
        path.write_bytes(sqlite_migrated.read_bytes())
        store = SqliteStore(str(path))
        store.open()
        opened.append(store)
        return store

    yield fresh
    for store in opened:
        store.close()


def ways(orders: int, every: int) -> list[list[str]]:
    engine = Engine(STOCK, outlets=2, orders=orders, faults=0)
    return list(explore(engine.start, engine.moves, engine.wrong).paths(every))


def follow(way: list[str], store: SqliteStore) -> None:
    walk = Walk(store)
    for move in way:
        walk.go(move)
    walk.calm()
    bench = walk.bench
    left = max(0, STOCK - walk.sold)
    assert (bench.market.shown, bench.rest(), bench.provisional()) == ({"A": left, "B": left}, [], 0), way


def test_I13_the_real_steps_come_to_the_truth_on_every_100th_way(stores: Callable[[], SqliteStore]) -> None:
    found = ways(orders=3, every=100)
    assert len(found) > 60
    for way in found:
        follow(way, stores())


def test_S8_4_the_real_steps_bear_the_way_that_breaks_a_proof_that_is_never_doubted(
    stores: Callable[[], SqliteStore],
) -> None:
    engine = Engine(STOCK, outlets=2, orders=3, faults=0, rules=Rules(proof_is_doubted=False))
    with pytest.raises(Counterexample) as found:
        explore(engine.start, engine.moves, engine.wrong)
    follow(found.value.path, stores())


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_I13_the_real_steps_come_to_the_truth_on_every_way(stores: Callable[[], SqliteStore]) -> None:
    for way in ways(orders=3, every=1):
        follow(way, stores())
