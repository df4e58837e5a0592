"""Orders, read page by page by their last change, each with its parcels.

In: a cursor. Out: one message an order. Never: asks for a window that ends: an order that changes while we page would leave it, unseen,
and the run would count as complete past it (I22).

Sorted by creation while filtered by change. A run is complete through its first page's instant. Pages overlap, and a page whose total
fell by more than the overlap is followed by a step back: nothing should leave, but then nothing is lost.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

import msgspec

from oneshelf.channels.contract import Cursor, Http, Page, RawMessage, Response
from oneshelf.channels.ebay.client import EbayClient
from oneshelf.channels.ebay.wire import inside, instant, iso, text
from oneshelf.core.errors import Retry

#: How far each poll reaches back over the last one: 10 min plus twice the visibility delay (S4.6).
OVERLAP_S = 660
#: How late the feed may show an order (S4.6).
VISIBILITY_DELAY_S = 30
#: The window ends so long before now, for clocks that differ.
_CLOCK_SKEW_S = 5
#: eBay keeps two years; a window may not begin before.
_OLDEST = timedelta(days=725)
_ROWS_AGAIN = 20

#: How long a list of parcels is believed while its order does not change (createShippingFulfillment may not move lastModifiedDate).
_PARCELS_FRESH_S = 120
_PARCELS_KEPT = 2_000


class _Stamp(msgspec.Struct, rename="camel"):
    order_id: Any = None
    last_modified_date: Any = None
    order_fulfillment_status: Any = None
    cancel_status: Any = None


class _Document(msgspec.Struct, rename="camel"):
    order: msgspec.Raw
    shipping_fulfillments: msgspec.Raw | None


class Feed:
    """The order feed of one seller. Remembers parcels for two minutes, only to spare calls: overlapping polls see an order often."""

    def __init__(self, client: EbayClient) -> None:
        self._client = client
        self._parcels: dict[tuple[str, str], tuple[datetime, bytes]] = {}

    async def fetch(self, http: Http, cursor: Cursor, now: datetime) -> Page:
        """Read one page. Raises Retry, SignInAgain, Park, NoAnswer."""
        run = cursor.run or _window(cursor, now)
        offset = int(run["offset"])
        page, received_at = await self._client.get_orders(http, start=run["from"], offset=offset)
        messages = [await self._message(http, await self._whole(http, bytes(raw)), received_at) for raw in page.orders]
        count = len(messages)
        more = offset + count < page.total if page.total is not None else bool(page.next)
        fallen = int(run["total"]) - page.total if run.get("total") and page.total is not None else 0
        if fallen > _ROWS_AGAIN:
            run = {**run, "offset": max(0, offset - fallen), "total": page.total}
        elif more and count:
            run = {**run, "offset": offset + max(1, count - _ROWS_AGAIN), "total": page.total}
        else:
            through = instant(run["to"])
            assert through is not None
            complete = through - timedelta(seconds=VISIBILITY_DELAY_S)
            return Page(tuple(messages), Cursor(since=through), complete_through_at=complete)
        return Page(tuple(messages), Cursor(since=cursor.since, run=run))

    async def fetch_order(self, http: Http, order_id: str) -> RawMessage | None:
        """Read one order by id, with its parcels as they are now."""
        response: Response | None = await self._client.get_order(http, order_id)
        if response is None:
            return None
        return await self._message(http, response.body, response.received_at, fresh=True)

    async def _whole(self, http: Http, raw: bytes) -> bytes:
        """Return the order, read by id while a cancel is in progress: only there eBay names who asks (cancelRequests)."""
        stamp = _stamp(raw)
        order_id = text(stamp.order_id)
        if not order_id or (text(inside(stamp.cancel_status, "cancelState")) or "").upper() != "IN_PROGRESS":
            return raw
        response = await self._client.get_order(http, order_id)
        return raw if response is None else response.body

    async def _message(self, http: Http, raw: bytes, received_at: datetime, *, fresh: bool = False) -> RawMessage:
        """Return an order as the inbox keeps it. Key: id, update time, content (parcels may come without a new update time)."""
        stamp = _stamp(raw)
        order_id, updated = text(stamp.order_id), text(stamp.last_modified_date) or ""
        parcels: bytes | None = None
        if order_id and (text(stamp.order_fulfillment_status) or "NOT_STARTED").upper() != "NOT_STARTED":
            parcels = await self._parcels_of(http, (order_id, updated), received_at, fresh=fresh)
        document = _Document(msgspec.Raw(raw), None if parcels is None else msgspec.Raw(parcels))
        body = msgspec.json.encode(document)
        key = f"{order_id or '?'}:{updated}:{hashlib.sha256(body).hexdigest()[:16]}"
        return RawMessage(topic="poll:order", body=body, delivery_key=key, fetched_at=received_at)

    async def _parcels_of(self, http: Http, key: tuple[str, str], now: datetime, *, fresh: bool) -> bytes:
        kept = self._parcels.get(key)
        if kept and not fresh and timedelta(0) <= now - kept[0] < timedelta(seconds=_PARCELS_FRESH_S):
            return kept[1]
        raw, read_at = await self._client.get_shipping_fulfillments(http, key[0])
        while len(self._parcels) >= _PARCELS_KEPT:
            self._parcels.pop(next(iter(self._parcels)))
        self._parcels[key] = (read_at, bytes(raw))
        return bytes(raw)


def _stamp(raw: bytes) -> _Stamp:
    try:
        return msgspec.json.decode(raw, type=_Stamp)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Stamp()


def _window(cursor: Cursor, now: datetime) -> dict[str, Any]:
    end = now - timedelta(seconds=_CLOCK_SKEW_S)
    start = max(cursor.since - timedelta(seconds=OVERLAP_S), now - _OLDEST)
    if start >= end:
        raise Retry("eBay: the feed already stands at the present", wait_s=float(_CLOCK_SKEW_S))
    return {"from": iso(start), "to": iso(end), "offset": 0}
