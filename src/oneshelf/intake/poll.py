"""Polling: every channel is also polled, always, with overlap, into the same inbox (SEMANTICS 4.6, 3.3)."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from oneshelf.channels.contract import Cursor, Page
from oneshelf.core.instants import from_us, to_us_or_none
from oneshelf.db.tx import Tx

from .inbox import Kept, Raw, keep

#: How far each run reaches back before the last complete instant. S4.6: 2 × notice + 10 minutes.
OVERLAP_S = 610
ORDERS = "orders"


class Feed(msgspec.Struct, frozen=True):
    """Where one account's order feed stands. `complete_through_at` and `failing_since` in microseconds UTC."""

    cursor: Cursor | None
    complete_through_at: int | None
    failing_since: int | None


def load_feed(tx: Tx, tenant_id: int, account_id: int) -> Feed:
    row = tx.one(
        "SELECT cursor, complete_through_at, failing_since FROM feed WHERE tenant_id = :t AND account_id = :a AND name = :n",
        t=tenant_id,
        a=account_id,
        n=ORDERS,
    )
    if row is None:
        return Feed(None, None, None)
    cursor = msgspec.json.decode(row[0], type=Cursor) if row[0] != "{}" else None
    return Feed(cursor, row[1], row[2])


def start_cursor(feed: Feed, connected_at: int) -> Cursor:
    """Return where the next page begins: the run in progress, or a new run with overlap; never before the account's start."""
    if feed.cursor is not None and feed.cursor.run is not None:
        return feed.cursor
    since = from_us(feed.complete_through_at if feed.complete_through_at is not None else connected_at)
    return Cursor(since=since - timedelta(seconds=OVERLAP_S))


def keep_page(tx: Tx, tenant_id: int, account_id: int, page: Page, now: int) -> list[Kept]:
    """Store a page's messages and the cursor in one transaction. `complete_through_at` never goes back (I22)."""
    answers = keep(
        tx,
        [
            Raw(tenant_id, account_id, message.topic, message.delivery_key, "poll", message.headers, message.body, now)
            for message in page.messages
        ],
    )
    through = to_us_or_none(page.complete_through_at)
    tx.run(
        """INSERT INTO feed (tenant_id, account_id, name, cursor, complete_through_at, polled_at, pages)
           VALUES (:t, :a, :n, :cursor, :through, :now, 1)
           ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET cursor = excluded.cursor, polled_at = excluded.polled_at,
               pages = feed.pages + 1, failing_since = NULL, problem = '',
               complete_through_at = CASE WHEN feed.complete_through_at IS NULL THEN excluded.complete_through_at
                   WHEN excluded.complete_through_at > feed.complete_through_at THEN excluded.complete_through_at
                   ELSE feed.complete_through_at END""",
        t=tenant_id,
        a=account_id,
        n=ORDERS,
        cursor=msgspec.json.encode(page.cursor).decode(),
        through=through,
        now=now,
    )
    return answers


def keep_failure(tx: Tx, tenant_id: int, account_id: int, problem: str, now: int, *, forget_run: bool) -> None:
    """A page failed: the cursor stays (FC-B11); a refused page token starts the run anew from the last complete instant."""
    tx.run(
        """INSERT INTO feed (tenant_id, account_id, name, failing_since, problem, polled_at) VALUES (:t, :a, :n, :now, :p, :now)
           ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET problem = excluded.problem, polled_at = excluded.polled_at,
               failing_since = COALESCE(feed.failing_since, excluded.failing_since),
               cursor = CASE WHEN CAST(:forget AS INTEGER) = 1 THEN '{}' ELSE feed.cursor END""",
        t=tenant_id,
        a=account_id,
        n=ORDERS,
        now=now,
        p=problem[:500],
        forget=int(forget_run),
    )
