"""The price half of the publishing loop: the real writer and limiter, a marketplace in memory, real (short) time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from tests.scenario.price_bench import PriceBench
from tests.scenario.publish_bench import EBAY, ETSY, SHOP, T
from tests.scenario.test_publish_worker import Channel, Session

from oneshelf.channels.abilities import PriceAbility, PriceOffer, PriceSeen
from oneshelf.channels.contract import Outlet, RateLimit
from oneshelf.core.errors import Retry
from oneshelf.core.facts import Money
from oneshelf.core.instants import to_us
from oneshelf.core.outcome import Accepted, Outcome
from oneshelf.db.store import Store
from oneshelf.pricing.marks import mark_account
from oneshelf.publish import price_worker, worker
from oneshelf.publish.limiter import Limiter
from oneshelf.publish.recovery import at_rest
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import SystemClock
from oneshelf.runtime.writer import Writer


class Priced(Channel):
    """A connector that tells numbers and prices; notices two calls of one unit at once, and in which order calls are made."""

    def __init__(self, bench: PriceBench, operations: dict[str, str], *, carries: bool = False) -> None:
        super().__init__(dict(bench.market.shown), ETSY if carries else EBAY)
        self.asks = {name: money.minor for name, money in bench.prices.asks.items()}
        self.prices = PriceAbility(
            100 if carries else 25, 25, 1.0, operations, reads_before_write=carries, carries_quantity=carries
        )
        self.order: list[str] = []
        self.price_writes: list[dict[str, int]] = []
        self.prices_under_way = self.most_prices = 0

    async def read(self, http: Session, outlets: Sequence[Outlet]) -> list:
        self.order.append("number")
        return await super().read(http, outlets)

    async def publish(self, http: Session, offers: Sequence) -> list[Outcome]:
        self.order.append("number")
        return await super().publish(http, offers)

    async def read_prices(self, http: Session, outlets: Sequence[Outlet]) -> list[PriceSeen]:
        self.order.append("price")
        self.prices_under_way += 1
        self.most_prices = max(self.most_prices, self.prices_under_way)
        await asyncio.sleep(0.05)
        self.prices_under_way -= 1
        if self.trouble:
            raise self.trouble.pop()
        now = SystemClock().now()
        return [PriceSeen(o.external_id, Money(self.asks[o.external_id], "EUR"), now) for o in outlets]

    async def publish_prices(self, http: Session, offers: Sequence[PriceOffer]) -> list[Outcome]:
        self.order.append("price")
        if self.prices.carries_quantity:
            await self._call({offer.outlet.write_unit for offer in offers}, http)
        for offer in offers:
            self.asks[offer.outlet.external_id] = offer.price.minor
            if offer.quantity is not None:
                name = offer.outlet.external_id
                self.shown[name] = min(offer.quantity, self.shown[name])
        self.price_writes.append({offer.outlet.external_id: offer.price.minor for offer in offers})
        return [Accepted() for _ in offers]


async def publish_until(
    store: Store, channel: Channel, limiter: Limiter, done: Callable[[], bool], seconds: float = 12.0
) -> list[str]:
    """Run the loop until `done` and at rest. The store is closed and opened again around it."""
    store.close()
    writer = Writer(store)
    writer.start()
    stop = asyncio.Event()
    loop = asyncio.create_task(
        worker.run(
            tenant_id=T,
            account_id=SHOP,
            channel=channel,  # type: ignore[arg-type]
            session=Session(),  # type: ignore[arg-type]
            limiter=limiter,
            writer=writer,
            clock=SystemClock(),
            bell=Bell(),
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


OWN = {"read": "read_prices", "write": "write_prices"}
SAME = {"read": "read", "write": "write"}
PLENTY = (RateLimit("calls", ("*",), "test", rate_per_s=200.0, burst=20.0),)


def made(store: Store, names: Sequence[str], channel: str = "ebay", unit: str | None = None) -> PriceBench:
    bench = PriceBench(store, channel)
    bench.now = to_us(SystemClock().now())
    for name in names:
        bench.listing(name, {name: 1}, 500, shown=0, unit=unit)
        bench.stock(name, 3)
    bench.hub(**dict.fromkeys(names, 700))
    bench.tx(lambda tx: mark_account(tx, T, SHOP, bench.now, "test"))
    return bench


async def test_numbers_and_prices_are_published_in_one_loop(store: Store) -> None:
    names = [f"M{n:02}" for n in range(60)]
    channel = Priced(made(store, names), OWN)
    limiter = Limiter(PLENTY, SystemClock())
    assert await publish_until(store, channel, limiter, lambda: set(channel.asks.values()) == {700}) == []
    assert set(channel.shown.values()) == {3} and sum(map(len, channel.price_writes)) == 60
    assert channel.most_prices <= price_worker.CALLS_MAX
    assert {operation for _, operation in channel.granted} == {"read", "write"}


async def test_P6_a_price_does_not_take_a_budget_that_a_number_waits_for(store: Store) -> None:
    """Both spend from one small budget: while numbers are due, they have it."""
    names = [f"M{n:02}" for n in range(30)]
    channel = Priced(made(store, names), SAME)
    channel.can = EBAY.__class__(
        **{**{f: getattr(EBAY, f) for f in EBAY.__struct_fields__}, "read_batch": 10, "write_batch": 10}
    )
    limiter = Limiter((RateLimit("calls", ("*",), "test", rate_per_s=10.0, burst=1.0),), SystemClock())
    assert await publish_until(store, channel, limiter, lambda: set(channel.asks.values()) == {700}, 20.0) == []
    assert channel.order[:4] == ["number"] * 4, channel.order


async def test_P9_a_listing_s_price_and_numbers_are_never_two_calls_at_once(store: Store) -> None:
    channel = Priced(made(store, ["red", "blue"], "etsy", unit="77"), OWN, carries=True)
    limiter = Limiter(PLENTY, SystemClock())
    assert await publish_until(store, channel, limiter, lambda: set(channel.asks.values()) == {700}, 20.0) == []
    assert channel.shown == {"red": 3, "blue": 3} and channel.price_writes == [{"blue": 700, "red": 700}]


@pytest.mark.parametrize("trouble", [Retry("down"), RuntimeError("a mistake of the connector"), TimeoutError()])
async def test_no_price_answer_kills_the_loop(store: Store, trouble: BaseException) -> None:
    bench = made(store, ["MUG"])
    channel = Priced(bench, OWN)
    real = channel.read

    async def read(http: Session, outlets: Sequence[Outlet]) -> list:
        return await real(http, outlets)

    channel.read = read  # type: ignore[method-assign]
    seen: list[BaseException] = [trouble]
    prices = channel.read_prices

    async def read_prices(http: Session, outlets: Sequence[Outlet]) -> list[PriceSeen]:
        if seen:
            raise seen.pop()
        return await prices(http, outlets)

    channel.read_prices = read_prices  # type: ignore[method-assign]
    limiter = Limiter(PLENTY, SystemClock())
    assert await publish_until(store, channel, limiter, lambda: channel.asks == {"MUG": 700}) == []
    assert seen == []


def test_P6_a_place_that_does_not_age_stays_behind_what_comes_later() -> None:
    class At:
        now_at = datetime(2026, 11, 20, tzinfo=UTC)

        def now(self) -> datetime:
            return self.now_at

    clock = At()
    limiter = Limiter((RateLimit("calls", ("*",), "test", rate_per_s=0.001, burst=1.0),), clock)  # type: ignore[arg-type]
    assert limiter.try_take("write", 4, clock.now()) == 0.0  # the bucket is empty now
    for minutes in range(0, 16, 1):
        clock.now_at = datetime(2026, 11, 20, 0, minutes, tzinfo=UTC)
        assert limiter.try_take("write", 6, clock.now(), ages=False) > 0
    clock.now_at = datetime(2026, 11, 20, 0, 16, 39, tzinfo=UTC)
    assert limiter.try_take("write", 5, clock.now()) > 0  # a number that comes now
    clock.now_at += timedelta(seconds=2)
    assert limiter.try_take("write", 6, clock.now(), ages=False) > 0, "the number is before it"
    assert limiter.try_take("write", 5, clock.now()) == 0.0
