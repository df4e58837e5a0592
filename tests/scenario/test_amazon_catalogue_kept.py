"""Amazon's catalogue by the report, stored: through the steps of the nightly reading and of connecting, over a real database.

The emulated marketplace stands beside it in virtual time; only the connector's pause between two looks is made short.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from tests.scenario.engine import AMAZON, TENANT, World
from tests.scenario.test_following import Clock, Through
from wire import Wire

from oneshelf.channels.amazon import catalogue
from oneshelf.channels.contract import NoAnswer, Request, Response
from oneshelf.db.store import Store
from oneshelf.onboarding import following, marketplace
from oneshelf.wiring import build_channel
from oneshelf_emulator.world import Product

MANY = 1_040
#: Nothing else pauses for just so long.
PAUSE_S = 0.0517


@pytest.fixture
def world(store: Store) -> World:
    return World(store).open()


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    monkeypatch.setattr(catalogue, "LOOK_EVERY_S", PAUSE_S)
    goods = [Product(f"S{n:05d}", f"Thing {n}", 1200, "USD", 5) for n in range(MANY)]
    wire = Wire("amazon", goods, created_apart_s=0.0, report_s=(0.6, 0.6))
    wire.market.console("move_to_amazon", sku="S00003", quantity=4)
    return wire


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every pause that is made, in seconds."""
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", noted)
    return pauses


class Cut:
    """The wire, cut after so many calls: nothing answers any more."""

    def __init__(self, wire: Wire, calls: int) -> None:
        self.wire, self.left = wire, calls

    async def request(self, request: Request) -> Response:
        if not request.bare:
            self.left -= 1
            if self.left < 0:
                raise NoAnswer("cut", sent=True)
        return await self.wire.request(request)

    def lines(self, request: Request, **bounds: int) -> Any:
        return self.wire.lines(request, **bounds)


def kept(world: World) -> list[tuple[Any, ...]]:
    return [
        tuple(row)
        for row in world.rows(
            "SELECT external_id, fulfilled_by_channel, state FROM outlet WHERE account_id = :a AND seen_at >= :since "
            "ORDER BY external_id",
            a=AMAZON,
            since=world.now,
        )
    ]


EXPECTED = [(f"S{n:05d}", int(n == 3), "live") for n in range(MANY)]


async def test_a_nightly_reading_that_breaks_off_in_the_report_goes_on_after_a_restart(
    world: World, wire: Wire, slept: list[float]
) -> None:
    writer: Any = Through(world.store)
    rounds: Counter[str] = Counter()
    # 50 calls reach the thousandth, 50 more find that no later date helps; then the report, and twenty SKUs a call.
    for calls in (60, 60, 10_000):
        wire.channel = build_channel("amazon", settings_of(wire))  # a process of its own each time
        try:
            run = await following.reread(TENANT, AMAZON, wire.channel, Cut(wire, calls), writer, Clock(world))
        except NoAnswer:
            rounds["broke off"] += 1
            state, _ = following.load_run(Tx(world), TENANT, AMAZON)
            assert state is not None and state.cursor is not None
            rounds["in the report"] += "document" in state.cursor.get("report", {})
            continue
        assert run.done and run.total == MANY
        rounds["done"] += 1
    assert rounds == {"broke off": 2, "in the report": 1, "done": 1}
    assert kept(world) == EXPECTED
    assert slept.count(PAUSE_S) >= 2, "it waits where the channel says that it is still making what comes next"
    assert len(wire.market.reports.reports) == 1, "the report that was made is read on, not asked for again"
    assert wire.judge.violations == []


async def test_connecting_reads_them_all_and_waits_where_the_channel_says_so(
    world: World, wire: Wire, slept: list[float]
) -> None:
    writer: Any = Through(world.store)
    matched = await marketplace.read_catalogue(TENANT, AMAZON, wire.channel, wire, writer, Clock(world))
    assert slept.count(PAUSE_S) >= 2
    assert matched.unlinked == MANY - 1 and kept(world) == EXPECTED


def settings_of(wire: Wire) -> dict[str, str]:
    keys = wire.market.credentials()
    plain = {name: keys[name] for name in ("seller_id", "endpoint", "token_url")}
    return {**plain, "marketplace_ids": ",".join(keys["marketplace_ids"])}


class Tx:
    """The open database of the world, read as a step reads it."""

    def __init__(self, world: World) -> None:
        self.world = world

    def one(self, sql: str, **values: Any) -> Any:
        rows = self.world.rows(sql, **values)
        return rows[0] if rows else None
