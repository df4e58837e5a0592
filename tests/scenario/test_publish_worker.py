"""The publishing loop as it runs: the real writer and limiter, a marketplace in memory, real (short) time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.scenario.publish_bench import EBAY, ETSY, SHOP, Bench, T

from oneshelf.channels.contract import Capabilities, Offer, Outlet, RateLimit, Seen
from oneshelf.core.errors import Retry
from oneshelf.core.instants import to_us
from oneshelf.core.outcome import Accepted, Outcome
from oneshelf.db.store import Store
from oneshelf.publish import worker
from oneshelf.publish.limiter import Limiter
from oneshelf.publish.planning import WaitUntil
from oneshelf.publish.recovery import at_rest
from oneshelf.runtime import writer as writing
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import SystemClock
from oneshelf.runtime.writer import Writer


class Channel:
    """A connector whose marketplace answers after a moment, and which notices two calls of one unit at once."""

    operations = {"read": "read", "write": "write"}

    def __init__(self, shown: dict[str, int], can: Capabilities) -> None:
        self.shown, self.can = shown, can
        self.busy: set[str] = set()
        self.most = 0
        self.under_way = 0
        self.reads = 0
        self.writes: list[dict[str, int]] = []
        self.trouble: list[BaseException] = []
        self.documents: list[object] = []
        self.granted: list[tuple[int, str]] = []

    async def _call(self, units: set[str], http: Session) -> None:
        assert not units & self.busy, "two calls of one unit at once"
        self.granted.append((http.priority, http.operation))
        self.busy |= units
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.1)  # longer than a step, so that calls overlap
        self.under_way -= 1
        self.busy -= units

    async def read(self, http: Session, outlets: Sequence[Outlet]) -> list[Seen]:
        await self._call({outlet.write_unit for outlet in outlets}, http)
        self.reads += 1
        if self.trouble:
            raise self.trouble.pop()
        now = SystemClock().now()
        return [Seen(o.external_id, self.shown[o.external_id], now, document=self.reads) for o in outlets]

    async def publish(self, http: Session, offers: Sequence[Offer]) -> list[Outcome]:
        await self._call({offer.outlet.write_unit for offer in offers}, http)
        if self.trouble:
            raise self.trouble.pop()
        self.documents.extend(offer.seen.document if offer.seen else None for offer in offers)
        self.writes.append({offer.outlet.external_id: offer.quantity for offer in offers})
        self.shown.update(self.writes[-1])
        return [Accepted() for _ in offers]


class Session:
    """Carries the priority and the operation that was paid for."""

    def __init__(self, priority: int = 0, operation: str = "") -> None:
        self.priority, self.operation = priority, operation

    def with_priority(self, priority: int) -> Session:
        return Session(priority)

    def granted(self, operation: str, times: int = 1) -> Session:
        return Session(self.priority, operation)

    def channel_now(self) -> datetime:
        return datetime.now(UTC)


LIMITS = (RateLimit("calls", ("*",), "test", rate_per_s=200.0, burst=20.0),)


async def publish_until(
    store: Store, channel: Channel, done: Callable[[], bool], bell: Bell | None = None, seconds: float = 8.0
) -> list[str]:
    """Run the loop until `done`; return what keeps it from rest. The store is closed and opened again around it."""
    store.close()
    writer = Writer(store)
    writer.start()
    stop, bell = asyncio.Event(), bell or Bell()
    loop = asyncio.create_task(
        worker.run(
            tenant_id=T,
            account_id=SHOP,
            channel=channel,  # type: ignore[arg-type]
            session=Session(),  # type: ignore[arg-type]
            limiter=Limiter(LIMITS, SystemClock()),
            writer=writer,
            clock=SystemClock(),
            bell=bell,
            stop=stop,
        )
    )
    try:
        async with asyncio.timeout(seconds):
            while not done() or await writer.do(lambda tx: at_rest(tx, T)):
                assert not loop.done(), loop
                await asyncio.sleep(0.02)
        return await writer.do(lambda tx: at_rest(tx, T))
    finally:
        stop.set()
        await loop
        writer.stop()
        store.open()


def made(store: Store, channel: str, names: Sequence[str], unit: str | None = None) -> tuple[Bench, Channel]:
    bench = Bench(store, channel)
    bench.now = to_us(SystemClock().now())
    for name in names:
        bench.outlet(name, {name: 1}, shown=0, unit=unit)
        bench.stock(name, 3)
    return bench, Channel(dict(bench.market.shown), ETSY if channel == "etsy" else EBAY)


async def test_many_listings_are_published_several_calls_at_once(store: Store) -> None:
    names = [f"M{n}" for n in range(90)]
    _, channel = made(store, "ebay", names)
    assert await publish_until(store, channel, lambda: set(channel.shown.values()) == {3}) == []
    assert sum(map(len, channel.writes)) == 90
    assert 1 < channel.most <= worker.CALLS_MAX
    assert {operation for _, operation in channel.granted} == {"read", "write"}
    assert {priority for priority, _ in channel.granted} <= {3, 5, 6}


async def test_what_was_planned_to_wait_is_looked_at_when_its_time_has_come(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by the simulator: it waited until somebody rang, or for the next look."""
    _, channel = made(store, "ebay", ["MUG"])
    monkeypatch.setattr(worker, "LOOK_EVERY_S", 60.0)
    plan, waited = worker.plan, []

    def later(*args: Any, **more: Any) -> Any:
        if waited:
            return plan(*args, **more)
        waited.append(True)
        return WaitUntil(to_us(SystemClock().now()) + 300_000)

    monkeypatch.setattr(worker, "plan", later)
    assert await publish_until(store, channel, lambda: channel.shown == {"MUG": 3}) == []


async def test_I17_an_answer_that_could_not_be_taken_in_is_given_up_however_often_that_fails_too(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the listing would count as being read until the next start."""
    _, channel = made(store, "ebay", ["MUG"])
    monkeypatch.setattr(writing, "TAKE_IN_AGAIN_S", (0.0, 0.0, 0.0))
    fails = {"settle_read": 1, "abandon": 3}
    for name in fails:

        def tried(*args: Any, name: str = name, works: Any = getattr(worker, name)) -> Any:
            fails[name] -= 1
            if fails[name] >= 0:
                raise MemoryError
            return works(*args)

        monkeypatch.setattr(worker, name, tried)
    assert await publish_until(store, channel, lambda: channel.shown == {"MUG": 3}, seconds=20.0) == []
    assert fails["abandon"] < 0


async def test_a_whole_listing_goes_with_the_document_that_was_read(store: Store) -> None:
    _, channel = made(store, "etsy", ["red", "blue"], unit="77")
    assert await publish_until(store, channel, lambda: channel.shown == {"red": 3, "blue": 3}) == []
    assert channel.writes == [{"red": 3, "blue": 3}]
    assert channel.documents == [1, 1]


@pytest.mark.parametrize("trouble", [Retry("down"), RuntimeError("a mistake of the connector"), TimeoutError()])
async def test_no_answer_kills_the_loop(store: Store, trouble: BaseException) -> None:
    _, channel = made(store, "ebay", ["MUG"])
    channel.trouble = [trouble]
    assert await publish_until(store, channel, lambda: channel.shown == {"MUG": 3}) == []


async def test_an_answer_that_can_t_be_taken_in_leaves_nothing_on_its_way(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, channel = made(store, "ebay", ["MUG"])
    real, failures = worker.settle_read, [ValueError("cannot take this in")]

    def settle(*args: object) -> None:
        if failures:
            raise failures.pop()
        real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "settle_read", settle)
    assert await publish_until(store, channel, lambda: channel.shown == {"MUG": 3}, seconds=12.0) == []
    assert channel.reads >= 3


async def test_a_budget_given_for_nothing_is_given_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _, channel = made(store, "ebay", ["MUG"])
    taken, back = [], []
    take, give = Limiter.try_take, Limiter.give_back

    def try_take(self: Limiter, operation: str, priority: int, now: datetime, cost: float = 1.0, **how: Any) -> float:
        wait_s = take(self, operation, priority, now, cost, **how)
        taken.extend([operation] if wait_s == 0 else [])
        return wait_s

    def give_back(self: Limiter, operation: str, now: datetime, cost: float = 1.0) -> None:
        back.append(operation)
        give(self, operation, now, cost)

    monkeypatch.setattr(Limiter, "try_take", try_take)
    monkeypatch.setattr(Limiter, "give_back", give_back)
    real, nothing = worker.plan, [WaitUntil(None)]
    monkeypatch.setattr(worker, "plan", lambda *a, **kw: nothing.pop() if nothing else real(*a, **kw))
    await publish_until(store, channel, lambda: channel.shown == {"MUG": 3})
    assert len(taken) - len(back) == channel.reads + len(channel.writes)
    assert back == ["read"]
