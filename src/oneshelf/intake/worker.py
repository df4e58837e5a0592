"""The loops of intake: handle what was stored, poll each account, read the orders that hints named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

import msgspec
import structlog

from oneshelf.channels.contract import Channel, Cursor, Http, NoAnswer
from oneshelf.core.backoff import backoff_s
from oneshelf.core.errors import Park, Retry, SignInAgain, Stop
from oneshelf.core.instants import SECOND, to_us, until_s
from oneshelf.core.outcome import Unknown
from oneshelf.db.backup import restored_at
from oneshelf.db.journal import close_task, open_task
from oneshelf.db.tx import Tx
from oneshelf.orders import claims, intents
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from . import poll
from .handle import HANDLE_MAX, Handled, Parses, handle
from .inbox import Raw, keep
from .rereading import read_page
from .searching import search

log = structlog.get_logger()

#: How often the inbox is looked at when no bell rang: bells are hints.
LOOK_EVERY_S = 1.0
#: A page failed: wait so long before the next try, doubling up to the longest.
FAILED_WAIT_S = 2.0
FAILED_WAIT_MAX_S = 300.0
#: So many pages in a row without a message, each naming a next one, and the run gets nowhere.
EMPTY_PAGES_MAX = 100
#: A change of what we think of a channel's clock that is more than the running of the clocks between two looks.
CLOCK_STEP = timedelta(seconds=1)


async def handle_loop(
    tenant_id: int,
    parsers: Callable[[], Mapping[int, Parses]],
    writer: Writer,
    clock: Clock,
    news: Bell,
    stop: asyncio.Event,
    on_handled: Callable[[Handled], None],
) -> None:
    """Handle until the inbox is empty, then wait for the bell. `on_handled` is told of what was booked, and of every bell: a feed that was
    polled to its end is news for what waits to be sure of it."""
    rung = False
    while not stop.is_set():
        try:
            done = await writer.do(lambda tx: handle(tx, tenant_id, parsers(), to_us(clock.now())))
        except Stop:
            raise
        except Exception:
            log.exception("handling_failed")
            await news.wait(LOOK_EVERY_S, stop)
            continue
        if done.rows or rung:
            on_handled(done)
        rung = done.rows < HANDLE_MAX and await news.wait(LOOK_EVERY_S, stop)


async def poll_loop(
    tenant_id: int,
    account_id: int,
    channel: Channel,
    http: Http,
    writer: Writer,
    clock: Clock,
    interval_s: float,
    connected_at: int,
    poke: Bell,
    news: Bell,
    stop: asyncio.Event,
    channel_now: Callable[[], datetime] | None = None,
) -> None:
    """One run of pages, then wait for the interval or for a poke (S9.2: a lower read of the hub is judged by its orders).

    `channel_now`: the present by the channel's own clock, where that is known."""
    failures = 0
    while not stop.is_set():
        try:
            await poll_once(tenant_id, account_id, channel, http, writer, clock, connected_at, news, channel_now)
            failures = 0
            wait = interval_s
        except Stop:
            raise
        except (NoAnswer, Retry, Park) as error:
            failures += 1
            await _note_failure(tenant_id, account_id, channel, writer, clock, error)
            wait = backoff_s(FAILED_WAIT_S, failures, FAILED_WAIT_MAX_S)
            if isinstance(error, Retry) and error.wait_s is not None:
                wait = max(wait, error.wait_s)
        except Exception:
            failures += 1
            log.exception("poll_failed", account_id=account_id)
            wait = backoff_s(FAILED_WAIT_S, failures, FAILED_WAIT_MAX_S)
        await poke.wait(wait, stop)


async def poll_once(
    tenant_id: int,
    account_id: int,
    channel: Channel,
    http: Http,
    writer: Writer,
    clock: Clock,
    connected_at: int,
    news: Bell,
    channel_now: Callable[[], datetime] | None = None,
) -> None:
    """Read one run to its end. Each page and its cursor are durable together.

    Raises Park for a run that gets nowhere (FC-B17): a page address that was there before, or only empty pages.
    """
    feed = await writer.do(lambda tx: poll.load_feed(tx, tenant_id, account_id))
    cursor = poll.start_cursor(feed, connected_at)
    been = {msgspec.json.encode(cursor)}
    empty = 0

    def ahead() -> timedelta:
        return (channel_now or clock.now)() - clock.now()

    while True:
        believed = ahead()
        page = await channel.fetch(http, cursor, (channel_now or clock.now)())
        # The first answer after a start is what tells that the channel's clock is behind ours: then its present, up to which this page
        # was thought to be complete, had not come there (F28, I22). A run of several pages is asked up to that instant: it begins anew.
        behind = ahead() - believed
        anew = False
        if behind < -CLOCK_STEP and page.complete_through_at is not None:
            page = msgspec.structs.replace(page, complete_through_at=page.complete_through_at + behind)
        elif behind < -CLOCK_STEP:
            anew, page = True, msgspec.structs.replace(page, cursor=Cursor(page.cursor.since))
        now = to_us(clock.now())
        answers = await writer.do(
            partial(poll.keep_page, tenant_id=tenant_id, account_id=account_id, page=page, now=now)
        )
        if "stored" in answers or page.complete_through_at is not None:
            news.ring()
        cursor = page.cursor
        if anew:
            been, empty = {msgspec.json.encode(cursor)}, 0
            continue
        if cursor.run is None:
            return
        address = msgspec.json.encode(cursor)
        empty = 0 if page.messages else empty + 1
        if address in been:
            raise Park("the channel gave a page address again that was read already; the run begins anew")
        if empty > EMPTY_PAGES_MAX:
            raise Park(f"the channel gave {empty} empty pages in a row and always a next one; the run begins anew")
        been.add(address)


async def _note_failure(
    tenant_id: int, account_id: int, channel: Channel, writer: Writer, clock: Clock, error: Exception
) -> None:
    def step(tx: Tx) -> None:
        now = to_us(clock.now())
        problem = str(error) or type(error).__name__
        poll.keep_failure(tx, tenant_id, account_id, problem, now, forget_run=isinstance(error, Park))
        if isinstance(error, SignInAgain):
            open_task(
                tx, tenant_id, now, "connect_again", str(account_id), f"Connect {channel.name.title()} again", problem
            )

    await writer.do(step)


async def fetch_loop(
    tenant_id: int,
    account_id: int,
    channel: Channel,
    http: Http,
    writer: Writer,
    clock: Clock,
    poke: Bell,
    news: Bell,
    stop: asyncio.Event,
    at_once: int = 4,
) -> None:
    """Read the orders that hints named, a few at a time, and look for orders that a read says must be there; when none waits, a page of
    what a person wants read again."""
    while not stop.is_set():
        due, next_at = await writer.do(lambda tx: _take(tx, tenant_id, account_id, at_once, to_us(clock.now())))
        if not due and await read_page(tenant_id, account_id, channel, http, writer, clock):
            news.ring()
            continue
        if not due:
            await poke.wait(until_s([next_at], to_us(clock.now()), LOOK_EVERY_S), stop)
            continue
        await asyncio.gather(
            *(
                (search if intent.kind == "find_orders" else _fetch)(
                    tenant_id, account_id, channel, http, writer, clock, intent, news
                )
                for intent in due
            )
        )


#: What `fetch_loop` carries out.
_READS = ("fetch_order", "find_orders")


def _take(tx: Tx, tenant_id: int, account_id: int, at_once: int, now: int) -> tuple[list[intents.Intent], int | None]:
    """Take up what is due; if nothing is, say when something will be."""
    mine = f"{account_id}/%"
    due = intents.due(tx, tenant_id, _READS, now, at_once, entity=mine)
    for intent in due:
        intents.sending(tx, tenant_id, intent, now)
    return due, None if due else intents.next_due_at(tx, tenant_id, _READS, entity=mine)


async def _fetch(
    tenant_id: int,
    account_id: int,
    channel: Channel,
    http: Http,
    writer: Writer,
    clock: Clock,
    intent: intents.Intent,
    news: Bell,
) -> None:
    order_id = intent.payload["order_id"]
    try:
        message = await channel.fetch_order(http, order_id)
        problem = f"{channel.name.title()} does not know order {order_id}"
        intent.not_found += message is None
    except (
        NoAnswer,
        Retry,
    ) as error:  # says nothing about the order: a channel that was down must not cost an hour more
        message, problem = None, str(error) or type(error).__name__
    except Park as error:
        message, problem = None, str(error) or type(error).__name__
        intent.not_found += 1
    except Exception as error:
        log.exception("fetch_order_failed", account_id=account_id)
        message, problem = None, f"our reader failed: {type(error).__name__}"
        intent.not_found += 1
    received_at = to_us(clock.now())

    def step(tx: Tx) -> None:
        if message is not None:
            # It is taken in although it may be as before: that it was read just now is news, or it would be asked for at every look; and what
            # is stored may have come from elsewhere since it was heard.
            key = f"{message.delivery_key}@{received_at}"
            raw = Raw(
                tenant_id,
                account_id,
                message.topic,
                key,
                "read",
                message.headers,
                message.body,
                received_at,
            )
            keep(tx, [raw])
            intents.settle(tx, tenant_id, intent, "DONE", received_at)
            close_task(tx, tenant_id, received_at, "fetch_order", intent.entity)
        elif intent.not_found >= intents.NOT_KNOWN_MAX:
            what = f"Look for order {order_id} at {channel.name.title()}"
            open_task(tx, tenant_id, received_at, "fetch_order", intent.entity, what, problem)
            due_at = received_at + 3600 * SECOND
            intents.settle(tx, tenant_id, intent, "WAITING", received_at, reason=problem, due_at=due_at)
        else:
            intents.put_off(tx, tenant_id, intent, Unknown(problem), received_at)

    await writer.do(step)
    if message is not None:
        news.ring()


def reread_open_orders(tx: Tx, tenant_id: int, account_id: int, now: int, every_s: float, limit: int = 50) -> int:
    """S4.6: orders that may change without moving the feed (Etsy cancels) are read again by id, the longest unread first; after a restore
    every one that was not read since: what was heard of it meanwhile is forgotten (F11).

    One that is asked for already, and that the channel does not show, keeps no other from being asked for. Returns how many were.
    """
    rows = tx.all(
        """SELECT o.order_id FROM orders o WHERE o.tenant_id = :t AND o.account_id = :a
              AND o.state IN ('PENDING', 'OPEN', 'PARTIAL', 'RELEASED', 'MERCHANT', 'CANCEL_WANTED') AND o.fetched_at <= :bound
              AND NOT EXISTS (SELECT 1 FROM intent i WHERE i.tenant_id = o.tenant_id AND i.kind = 'fetch_order'
                    AND i.entity = CAST(o.account_id AS TEXT) || '/' || o.order_id AND i.state IN ('WAITING', 'SENDING', 'UNKNOWN'))
            ORDER BY o.fetched_at, o.order_no LIMIT :limit""",
        t=tenant_id,
        a=account_id,
        bound=max(now - int(every_s * SECOND), restored_at(tx, tenant_id) or 0),
        limit=limit,
    )
    for (order_id,) in rows:
        entity = f"{account_id}/{order_id}"
        claims.add_intent(tx, tenant_id, "fetch_order", entity, now, {"order_id": order_id}, now, priority=6)
    return len(rows)
