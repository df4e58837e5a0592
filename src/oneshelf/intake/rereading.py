"""Orders of days that have been, read again because a person asks for it (SEMANTICS 4.3, 4.6).

In: an account, from when on. Out: orders in the inbox, stored like any that were read; how far the reading is. Tables: its row of upkeep.
Never: moves the feed's cursor or its instant; counts an order twice (an order that is known changes nothing); reads without a bound.
"""

from __future__ import annotations

from functools import partial

import msgspec
import structlog

from oneshelf.channels.contract import Channel, Cursor, Http, NoAnswer, Page
from oneshelf.core.errors import Park, Retry, Stop
from oneshelf.core.instants import SECOND, from_us, to_us
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from .inbox import Raw, keep

log = structlog.get_logger()

NAME = "orders_again"
#: No further back than this: Shopify shows no older orders, and what is older is shipped.
DAYS_MAX = 60
#: Pages of one reading. Whoever has more reads from a later day on.
PAGES_MAX = 5_000
#: A page that failed is tried again after so long, seconds; a command tries it at once.
FAILED_WAIT_S = 60


class CannotReread(Park):
    """The orders can't be read again as it was asked for; nothing was begun."""


class Rereading(msgspec.Struct):
    """One reading. `since`, `asked_at` in microseconds; `read`: orders that came; `new`: messages that were not in the inbox yet."""

    since: int
    asked_at: int
    cursor: Cursor
    pages: int = 0
    read: int = 0
    new: int = 0
    done: bool = False


def load(tx: Tx, tenant_id: int, account_id: int) -> tuple[Rereading | None, int, str]:
    """Return the present or last reading, when its next page is due, and why it stands if it does."""
    row = tx.one(
        "SELECT state, due_at, problem FROM upkeep WHERE tenant_id = :t AND account_id = :a AND name = :n",
        t=tenant_id,
        a=account_id,
        n=NAME,
    )
    return (None, 0, "") if row is None else (msgspec.json.decode(row[0], type=Rereading), row[1], row[2])


def ask(tx: Tx, tenant_id: int, account_id: int, since: int, now: int, *, by: str) -> Rereading:
    """Have the orders that changed at or after `since` read again. One that is under way from the same moment on goes on where it stopped.

    Raises CannotReread.
    """
    if not now - DAYS_MAX * 86_400 * SECOND <= since < now:
        raise CannotReread(f"Say from which moment on: one of the last {DAYS_MAX} days.")
    found, _, _ = load(tx, tenant_id, account_id)
    if found is None or found.done or found.since != since:
        found = Rereading(since, now, Cursor(from_us(since)))
        note(tx, tenant_id, now, by, "Orders are read again", f"account:{account_id}", since=since)
    _keep(tx, tenant_id, account_id, found)
    return found


def _keep(tx: Tx, tenant_id: int, account_id: int, run: Rereading, *, due_at: int = 0, problem: str = "") -> None:
    tx.run(
        """INSERT INTO upkeep (tenant_id, account_id, name, state, started_at, due_at, problem) VALUES (:t, :a, :n, :s, :at, :due, :p)
           ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET state = excluded.state, started_at = excluded.started_at,
               due_at = excluded.due_at, problem = excluded.problem""",
        t=tenant_id,
        a=account_id,
        n=NAME,
        s=msgspec.json.encode(run).decode(),
        at=run.asked_at,
        due=due_at,
        p=problem[:500],
    )


async def read_page(
    tenant_id: int, account_id: int, channel: Channel, http: Http, writer: Writer, clock: Clock
) -> bool:
    """Read the next page of a reading, if one is due; returns whether one was read. The page and the place of the next are durable
    together, so that a reading that was cut off goes on there."""
    run, due_at, _ = await writer.do(lambda tx: load(tx, tenant_id, account_id))
    now = to_us(clock.now())
    if run is None or run.done or due_at > now:
        return False
    try:
        page = await channel.fetch(http, run.cursor, clock.now())
        if page.cursor == run.cursor:
            raise Park("the channel gave the same page address twice")
        if run.pages >= PAGES_MAX:
            raise Park(f"it has more than {PAGES_MAX} pages; ask from a later day on")
    except Stop:
        raise
    except (NoAnswer, Retry, Park) as error:
        words, again_at = str(error) or type(error).__name__, to_us(clock.now()) + FAILED_WAIT_S * SECOND
        log.warning("orders_not_read_again", account_id=account_id, problem=words)
        await writer.do(lambda tx: _keep(tx, tenant_id, account_id, run, due_at=again_at, problem=words))
        return False
    now = to_us(clock.now())
    await writer.do(partial(_keep_page, tenant_id=tenant_id, account_id=account_id, run=run, page=page, now=now))
    return True


def _keep_page(tx: Tx, tenant_id: int, account_id: int, run: Rereading, page: Page, now: int) -> None:
    raws = [Raw(tenant_id, account_id, m.topic, m.delivery_key, "read", m.headers, m.body, now) for m in page.messages]
    answers = keep(tx, raws)
    run.pages += 1
    run.read += len(answers)
    run.new += answers.count("stored")
    run.cursor, run.done = page.cursor, page.cursor.run is None
    _keep(tx, tenant_id, account_id, run)
