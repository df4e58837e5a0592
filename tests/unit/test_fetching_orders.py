"""Orders that a hint named are read by id: a channel that is down says nothing about them, one that does not know them does. A page is
complete by the channel's own clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.unit.seeding import NOW, TENANT

from oneshelf.channels.contract import Cursor, Page
from oneshelf.core.http import NoAnswer
from oneshelf.core.instants import SECOND, to_us
from oneshelf.db.store import Store
from oneshelf.intake.worker import FAILED_WAIT_MAX_S, _fetch, poll_loop, poll_once
from oneshelf.orders import claims, intents
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import ManualClock
from oneshelf.runtime.writer import Writer


@pytest.fixture
async def writer(store: Store) -> AsyncIterator[Writer]:
    store.close()
    writer = Writer(store)
    await asyncio.to_thread(writer.start)
    yield writer
    await asyncio.to_thread(writer.stop)
    store.open()


class Answering:
    """A channel that answers a reading of an order in one way."""

    name = "ebay"

    def __init__(self, answer: Exception | None) -> None:
        self.answer = answer

    async def fetch_order(self, http: Any, order_id: str) -> None:
        if self.answer is not None:
            raise self.answer


async def read(writer: Writer, answer: Exception | None, times: int) -> tuple[Any, ...]:
    """Ask for an order, read it `times`; return (state, seconds until the next try, open tasks)."""
    clock = ManualClock()
    await writer.do(lambda tx: claims.add_intent(tx, TENANT, "fetch_order", "3/E-1", 1, {"order_id": "E-1"}, NOW))
    channel: Any = SimpleNamespace(
        name=SimpleNamespace(title=lambda: "eBay"), fetch_order=Answering(answer).fetch_order
    )
    for _ in range(times):

        def take(tx: Any) -> intents.Intent:
            (found,) = intents.due(tx, TENANT, ("fetch_order",), 2**62, 1)
            intents.sending(tx, TENANT, found, NOW)
            return found

        intent = await writer.do(take)
        await _fetch(TENANT, 3, channel, None, writer, clock, intent, Bell())  # type: ignore[arg-type]
    now = int(clock.now().timestamp() * SECOND)
    row = await writer.do(lambda tx: tx.one("SELECT state, due_at FROM intent WHERE kind = 'fetch_order'"))
    tasks = await writer.do(lambda tx: tx.all("SELECT kind FROM task WHERE closed_at IS NULL"))
    return row[0], (row[1] - now) // SECOND, tasks


@pytest.mark.parametrize(("learned_s", "through_s"), [(-299.0, -329.0), (299.0, -30.0), (0.0, -30.0)])
async def test_F28_the_first_answer_after_a_start_says_how_far_a_page_is_complete(
    writer: Writer, learned_s: float, through_s: float
) -> None:
    """Ours is ahead and nobody knows it yet: the page would count as complete through an instant that has not come there (I22)."""
    clock, ahead_s = ManualClock(), 0.0

    class Feed:
        async def fetch(self, http: Any, cursor: Cursor, now: datetime) -> Page:
            nonlocal ahead_s
            ahead_s = learned_s
            return Page((), Cursor(now), now - timedelta(seconds=30))

    def channel_now() -> datetime:
        return clock.now() + timedelta(seconds=ahead_s)

    feed: Any = Feed()
    await poll_once(TENANT, 3, feed, None, writer, clock, NOW, Bell(), channel_now)  # type: ignore[arg-type]
    row = await writer.do(lambda tx: tx.one("SELECT complete_through_at FROM feed WHERE account_id = 3"))
    assert row == (to_us(clock.now() + timedelta(seconds=through_s)),)


async def test_F28_a_run_of_pages_up_to_an_instant_that_has_not_come_there_begins_anew(writer: Writer) -> None:
    """The first page's answer tells that the channel's clock is behind; the last page would count as complete through our present."""
    clock, ahead_s, asked = ManualClock(), 0.0, []

    class Feed:
        async def fetch(self, http: Any, cursor: Cursor, now: datetime) -> Page:
            nonlocal ahead_s
            ahead_s = -299.0
            run = cursor.run or {"until": now.isoformat(), "page": 0}
            asked.append((run["until"], run["page"]))
            if run["page"] == 0:
                return Page((), Cursor(cursor.since, {**run, "page": 1}))
            until = datetime.fromisoformat(run["until"])
            return Page((), Cursor(until), until - timedelta(seconds=30))

    def channel_now() -> datetime:
        return clock.now() + timedelta(seconds=ahead_s)

    feed: Any = Feed()
    await poll_once(TENANT, 3, feed, None, writer, clock, NOW, Bell(), channel_now)  # type: ignore[arg-type]
    row = await writer.do(lambda tx: tx.one("SELECT complete_through_at FROM feed WHERE account_id = 3"))
    assert row == (to_us(clock.now() - timedelta(seconds=329)),)
    ours, theirs = clock.now().isoformat(), channel_now().isoformat()
    assert asked == [(ours, 0), (theirs, 0), (theirs, 1)]


class Counting(Bell):
    """A bell whose waits are over at once, until there were so many."""

    def __init__(self, waits: int, stop: asyncio.Event) -> None:
        super().__init__()
        self.left, self.ends, self.longest_s = waits, stop, 0.0

    async def wait(self, seconds: float, stop: asyncio.Event) -> bool:
        self.left, self.longest_s = self.left - 1, max(self.longest_s, seconds)
        if self.left <= 0:
            self.ends.set()
        await asyncio.sleep(0)
        return False


async def test_F45_a_channel_that_is_away_for_a_week_ends_no_loop(writer: Writer) -> None:
    """Every 300 s: after three and a half days that is the 1,024th time, and a loop that ends ends the service."""

    class Away:
        name = SimpleNamespace(title=lambda: "eBay")

        async def fetch(self, http: Any, cursor: Cursor, now: datetime) -> Page:
            raise NoAnswer("connection refused", sent=False)

    stop = asyncio.Event()
    poke, away = Counting(1_100, stop), cast(Any, Away())
    await poll_loop(TENANT, 3, away, cast(Any, None), writer, ManualClock(), 60.0, NOW, poke, Bell(), stop)
    assert (poke.left, poke.longest_s) == (0, FAILED_WAIT_MAX_S)


async def test_F45_a_channel_that_was_down_is_asked_again_within_minutes(writer: Writer) -> None:
    """An hour's wait would keep every edit and every suspected sale of the account waiting as long (S9.2)."""
    state, wait_s, tasks = await read(writer, NoAnswer("no answer within 10 s", sent=True), 12)
    assert (state, tasks) == ("UNKNOWN", [])
    assert 0 < wait_s <= intents.LONGEST_WAIT_S


async def test_an_order_that_its_channel_does_not_know_is_given_to_a_person(writer: Writer) -> None:
    state, wait_s, tasks = await read(writer, None, intents.NOT_KNOWN_MAX)
    assert (state, wait_s, tasks) == ("WAITING", 3600, [("fetch_order",)])


async def test_not_before_it_has_said_so_often(writer: Writer) -> None:
    state, wait_s, tasks = await read(writer, None, intents.NOT_KNOWN_MAX - 1)
    assert (state, tasks) == ("UNKNOWN", []) and wait_s <= intents.LONGEST_WAIT_S
