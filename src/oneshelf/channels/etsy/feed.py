"""Orders, read page by page by their last change, oldest first.

In: a cursor. Out: one receipt a message, as it came. Never: relies on the feed alone: cancels and refunds may not move a receipt's
update time (etsy/open-api #604, #629, #339), so open orders are also read again by id.

A page starts where the last one's youngest row stood (`min_last_modified`), not at a row count: rows that change meanwhile move to the
end and would shift a count past orders never seen. The window has no end: from one that has they would leave, unseen, and the run would
count as complete past them (I22). A run is complete through its first page's instant.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from oneshelf.channels.contract import Cursor, Http, Page, RawMessage
from oneshelf.channels.etsy.client import ROWS_MAX, EtsyClient
from oneshelf.channels.etsy.wire import whole

#: How far each poll reaches back over the last one: 10 min plus twice the visibility delay (S4.6).
OVERLAP_S = 660
#: How late the feed may show an order (S4.6).
VISIBILITY_DELAY_S = 30
#: Rows read twice where a page can only go on by row count (more than 100 changes within two seconds).
_ROWS_AGAIN = 10
#: The earliest instant that Etsy takes. Source: getShopReceipts, min_last_modified.
_EARLIEST = 946_684_800


class _Stamp(msgspec.Struct):
    receipt_id: Any = None
    updated_timestamp: Any = None
    update_timestamp: Any = None


def _stamp(body: bytes) -> tuple[str, int | None]:
    """Return (receipt id, update second) as far as they can be read; parse says later what is wrong."""
    try:
        stamp = msgspec.json.decode(body, type=_Stamp)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "?", None
    updated = whole(stamp.updated_timestamp)
    return str(stamp.receipt_id or "?"), whole(stamp.update_timestamp) if updated is None else updated


def message(body: bytes, fetched_at: datetime) -> RawMessage:
    """Return a receipt as the inbox keeps it. Key: id, update time, content (a silent change has the same time)."""
    receipt_id, updated = _stamp(body)
    key = f"{receipt_id}:{updated if updated is not None else ''}:{hashlib.sha256(body).hexdigest()[:16]}"
    return RawMessage(topic="poll:order", body=body, delivery_key=key, fetched_at=fetched_at)


async def fetch(client: EtsyClient, http: Http, cursor: Cursor, now: datetime) -> Page:
    """Read one page. Raises Retry, SignInAgain, Park, NoAnswer."""
    run = cursor.run or _window(cursor, now)
    start, offset, end = int(run["min"]), int(run["offset"]), int(run["to"])
    rows, received_at = await client.get_shop_receipts(http, min_last_modified=start, offset=offset)
    messages = tuple(message(bytes(row), received_at) for row in rows.results)
    count = len(messages)
    last = count < ROWS_MAX if rows.count is None else offset + count >= rows.count
    if last or not messages:
        through = datetime.fromtimestamp(end, UTC)
        complete = through - timedelta(seconds=VISIBILITY_DELAY_S)
        return Page(messages, Cursor(since=through), complete_through_at=complete)
    return Page(messages, Cursor(since=cursor.since, run=_next(run, messages)))


def _window(cursor: Cursor, now: datetime) -> dict[str, Any]:
    start = max(_EARLIEST, int(cursor.since.timestamp()) - OVERLAP_S)
    return {"min": start, "to": max(start, int(now.timestamp())), "offset": 0}


def _next(run: dict[str, Any], messages: tuple[RawMessage, ...]) -> dict[str, Any]:
    """Go on a second before the youngest row; by row count where that would not advance, or the rows are not in order."""
    stamps = [_stamp(one.body)[1] for one in messages]
    seconds = [second for second in stamps if second is not None]
    ordered = len(seconds) == len(stamps) and seconds == sorted(seconds)
    if ordered and int(run["min"]) + 1 < seconds[-1]:
        return {**run, "min": seconds[-1] - 1, "offset": 0}
    return {**run, "offset": int(run["offset"]) + max(1, len(messages) - _ROWS_AGAIN)}


async def fetch_order(client: EtsyClient, http: Http, order_id: str) -> RawMessage | None:
    """Read one receipt by id. None: 404, which a cancelled one may also give."""
    if not order_id.isdigit():
        return None
    response = await client.get_shop_receipt(http, order_id)
    return None if response is None else message(response.body, response.received_at)
