"""The loop of one marketplace: whatever a connector raises is neither a yes nor a no (SEMANTICS I18)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import pytest
from tests.scenario.engine import AMAZON, World, order
from tests.scenario.fake_market import CANCELS, SHIPS, FakeMarket
from tests.scenario.service import until

from oneshelf.channels.abilities import CancelState, CancelWish, Parcel, ShipmentTold
from oneshelf.channels.contract import NoAnswer
from oneshelf.core.errors import Park, Retry
from oneshelf.core.instants import from_us
from oneshelf.core.outcome import Accepted, Outcome
from oneshelf.db.store import Store, transaction
from oneshelf.orders import short
from oneshelf.runtime import writer
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.writer import Writer
from oneshelf.shipping import telling, worker


class Here(Writer):
    """The writer and the clock of a test: steps at once, the world's time."""

    def __init__(self, world: World) -> None:  # without the thread of a real one
        self.world = world

    async def do(self, step: Callable[[Any], Any]) -> Any:
        with transaction(self.world.store) as tx:
            return step(tx)

    def now(self) -> datetime:
        return from_us(self.world.now)


class Stand:
    """A marketplace whose next calls raise what they are told to, then work."""

    ships = SHIPS[AMAZON]
    cancels = CANCELS[AMAZON]

    def __init__(self, market: FakeMarket) -> None:
        self.market = market
        self.raises: list[Exception] = []
        self.calls: list[str] = []
        self.asked: CancelWish | None = None

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.raises:
            raise self.raises.pop(0)

    async def shipments(self, http: Any, order_id: str) -> list[ShipmentTold]:
        self._call("shipments")
        return self.market.told(AMAZON, order_id)

    async def ship(self, http: Any, order_id: str, parcel: Parcel, known: Mapping[str, Any]) -> Outcome:
        self._call("ship")
        return self.market.ship(AMAZON, order_id, parcel)

    def cancel_link(self, order_id: str) -> str:
        return f"https://example.test/{order_id}"

    async def cancel(self, http: Any, wish: CancelWish) -> Outcome:
        self._call("cancel")
        self.asked = wish
        return Accepted("job-1")

    async def cancel_state(self, http: Any, wish: CancelWish, reference: str | None) -> CancelState:
        self._call("cancel_state")
        return CancelState("done" if self.asked is not None else "none")


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 1)
    return world.open()


@pytest.fixture
def stand(world: World) -> Stand:
    return Stand(FakeMarket(world))


def one_parcel(world: World) -> None:
    world.hear(AMAZON, order("A-1", world.now, MUG=1))
    world.run_hub()
    world.hub_news()
    world.hub.fulfil(world.tick(60), world.order(AMAZON, "A-1", "hub_order_id"))
    world.hub_news()


async def ship(world: World, stand: Stand) -> bool:
    here: Any = Here(world)
    return await worker.ship_one(1, AMAZON, stand, None, here, here)  # type: ignore[arg-type]


async def cancel(world: World, stand: Stand) -> bool:
    here: Any = Here(world)
    return await worker.cancel_one(1, AMAZON, stand, None, here, here, 60.0)  # type: ignore[arg-type]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("error", "state"),
    [
        (NoAnswer("timed out", sent=True), "UNKNOWN"),
        (NoAnswer("no connection", sent=False), "QUEUED"),
        (KeyError("trackingNumber"), "UNKNOWN"),
        (Park("sign in again"), "UNKNOWN"),
        (Retry("slow down", wait_s=5), "QUEUED"),
    ],
)
async def test_I18_what_a_connector_raises_is_neither_yes_nor_no(
    world: World, stand: Stand, error: Exception, state: str
) -> None:
    one_parcel(world)
    stand.raises = [error]
    assert await ship(world, stand)
    assert world.value("SELECT state FROM shipment") == state
    assert not await ship(world, stand), "not at once again"


@pytest.mark.asyncio
async def test_S10_2_after_no_answer_the_list_is_read_and_a_failing_read_says_nothing(
    world: World, stand: Stand
) -> None:
    one_parcel(world)
    stand.raises = [NoAnswer("timed out", sent=True), NoAnswer("timed out", sent=True), ValueError("no JSON")]
    for _ in range(3):
        await ship(world, stand)
        world.tick(300)
    assert (stand.calls, world.value("SELECT state FROM shipment")) == (["ship", "shipments", "shipments"], "UNKNOWN")
    for _ in range(4):
        await ship(world, stand)
        world.tick(300)
    assert stand.calls[3:] == ["shipments", "shipments", "ship"]
    assert (world.value("SELECT state FROM shipment"), len(stand.market.mails)) == ("CONFIRMED", 1)


@pytest.mark.asyncio
async def test_S7_3_a_cancel_is_asked_once_and_followed(world: World, stand: Stand) -> None:
    world.rows('UPDATE account SET settings = \'{"cancel_short": "auto"}\' WHERE account_id = 2 RETURNING 1')
    world.hear(AMAZON, order("A-0", world.now, MUG=1))
    world.hear(AMAZON, order("A-1", world.tick(10), MUG=1))
    world.tick(short.GRACE_S + 60)
    world.complete()
    assert stand.market.decide() == {AMAZON}
    world.tick(short.REVOKE_S)
    assert await cancel(world, stand)
    assert (stand.asked and stand.asked.lines, world.line(AMAZON, "A-1")) == ({"MUG": 1}, "X")
    stand.raises = [NoAnswer("timed out", sent=True)]
    for _ in range(3):
        world.tick(60)
        await cancel(world, stand)
    assert world.line(AMAZON, "A-1") == "C"
    assert stand.calls == ["cancel", "cancel_state", "cancel_state"]


@pytest.mark.asyncio
async def test_S7_3_a_job_without_an_answer_is_given_half_an_hour(world: World, stand: Stand) -> None:
    world.rows('UPDATE account SET settings = \'{"cancel_short": "auto"}\' WHERE account_id = 2 RETURNING 1')
    world.hear(AMAZON, order("A-0", world.now, MUG=1))
    world.hear(AMAZON, order("A-1", world.tick(10), MUG=1))
    world.tick(short.GRACE_S + 60)
    world.complete()
    stand.market.decide()
    stand.raises = [NoAnswer("timed out", sent=True)]
    await cancel(world, stand)
    for _ in range(5):
        world.tick(120)
        await cancel(world, stand)
    assert world.line(AMAZON, "A-1") == "X"
    for _ in range(3):
        world.tick(1800)
        await cancel(world, stand)
    assert (world.line(AMAZON, "A-1"), stand.calls.count("cancel")) == ("M", 1)


@pytest.mark.asyncio
def started(world: World, stand: Stand, stop: asyncio.Event, changed: asyncio.Event) -> asyncio.Future[None]:
    """The loop of the marketplace, running."""
    here: Any = Here(world)
    return asyncio.ensure_future(
        worker.run(
            tenant_id=1,
            account_id=AMAZON,
            channel=stand,  # type: ignore[arg-type]
            http=None,  # type: ignore[arg-type]
            writer=here,
            clock=here,
            bell=Bell(),
            stop=stop,
            on_changed=changed.set,
        )
    )


async def test_the_loop_carries_out_what_is_due_and_stops_when_told(world: World, stand: Stand) -> None:
    one_parcel(world)
    stop, changed = asyncio.Event(), asyncio.Event()
    loop = started(world, stand, stop, changed)
    await asyncio.wait_for(changed.wait(), 5)
    stop.set()
    await asyncio.wait_for(loop, 5)
    assert world.value("SELECT state FROM shipment") == "CONFIRMED"


@pytest.mark.parametrize("broken", [1, 99], ids=["once", "for good"])
async def test_I17_an_answer_that_could_not_be_taken_in_is_taken_in_again_or_the_parcel_is_looked_for(
    world: World, stand: Stand, monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    """Found by the simulator: one failed step, and the parcel counted as on its way until the next start."""
    one_parcel(world)
    monkeypatch.setattr(writer, "TAKE_IN_AGAIN_S", (0.0, 0.0, 0.0))
    breaks(monkeypatch, "settle", broken)
    stop, changed = asyncio.Event(), asyncio.Event()
    loop = started(world, stand, stop, changed)

    async def ended() -> bool:
        return bool(world.value("SELECT state FROM shipment") == "CONFIRMED")

    await until(ended, "taken in, or looked for", 10.0)
    stop.set()
    await asyncio.wait_for(loop, 5)
    assert stand.calls == (["ship"] if broken == 1 else ["ship", "shipments"])


async def test_I17_the_loop_outlives_a_recovery_that_fails_too(
    world: World, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_parcel(world)
    monkeypatch.setattr(writer, "TAKE_IN_AGAIN_S", ())
    monkeypatch.setattr(worker, "LOOK_EVERY_S", 0.01)
    breaks(monkeypatch, "settle", 1)
    breaks(monkeypatch, "recover", 5)
    stop, changed = asyncio.Event(), asyncio.Event()
    loop = started(world, stand, stop, changed)

    async def ended() -> bool:
        return loop.done() or bool(world.value("SELECT state FROM shipment") == "CONFIRMED")

    await until(ended, "looked for", 10.0)
    assert not loop.done()
    stop.set()
    await asyncio.wait_for(loop, 5)
    assert stand.calls == ["ship", "shipments"]


def breaks(monkeypatch: pytest.MonkeyPatch, step: str, times: int) -> None:
    """Let a step of telling fail so often before it works."""
    left, works = [times], getattr(telling, step)

    def tried(*args: Any) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise MemoryError
        works(*args)

    monkeypatch.setattr(telling, step, tried)
