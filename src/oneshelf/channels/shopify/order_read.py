"""Orders read by us: the feed, and one order by id.

In: a cursor, or an order's id. Out: "poll:order" messages. Never: decides what an order means (parse.py does), or keeps state
between calls: a run's frozen window and page token travel in the Cursor.

An order is read in a short form (5 lines, 2 parcels, 2 refunds …) of 185 points; one that does not fit is read again in the long
form, part by part. Only 60 days are visible without the scope read_all_orders: an older order is null, not an error.
Source: Shopify Admin GraphQL orders(query:, sortKey: UPDATED_AT), 2026-10; docs "Access scopes" (60 days), read 2026-11.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from oneshelf.channels.contract import Cursor, Http, Page, RawMessage
from oneshelf.channels.shopify import documents as docs
from oneshelf.channels.shopify import ids
from oneshelf.channels.shopify.form import all_records, instant, record, records
from oneshelf.channels.shopify.graphql import GraphQL
from oneshelf.channels.shopify.parse import POLLED_ORDER
from oneshelf.core.errors import Retry

#: Pages of one part of one order: 100 × 100 lines, ten times what Shopify sells in one order.
PART_PAGES_MAX = 100


def updated(since: datetime) -> str:
    """Return the search for orders updated since an instant. An unknown field would be ignored, and everything returned: this text is a
    constant but for its instant, and the answer is checked against it.

    >>> updated(datetime(2026, 11, 23, 4, tzinfo=UTC))
    "updated_at:>='2026-11-23T04:00:00Z'"
    """
    return f"updated_at:>='{_iso(since)}'"


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class OrderReader:
    """Reads orders through one shop's endpoint. `visibility_delay_s`: how late search shows an order (S4.6)."""

    def __init__(self, graphql: GraphQL, visibility_delay_s: float) -> None:
        self._graphql = graphql
        self._delay = timedelta(seconds=visibility_delay_s)

    async def fetch(self, http: Http, cursor: Cursor, now: datetime) -> Page:
        """Read one page, oldest change first. A run asks one frozen query without an end: an order that changes while we page moves
        behind the pages that are still to come. With an end it would leave, unseen, and the run would count as complete past it (I22).
        So a run is complete through its first page's instant."""
        run = cursor.run or {"since": _iso(cursor.since), "until": _iso(now), "after": None}
        since, until = instant(run["since"]), instant(run["until"])
        if since is None or until is None:
            raise Retry(f"a cursor without its window: {run}")
        variables = {"filter": updated(since), "cursor": run["after"]}
        answer = await self._graphql.ask(http, docs.ORDERS_CHANGED, variables)
        orders = record(answer.data.get("orders"))
        nodes = all_records(orders.get("nodes"), "orders")
        _refuse_ignored_filter(nodes, since)
        messages = [await self._message(http, node, answer.received_at) for node in nodes]
        after = _next(orders)
        if after is not None:
            return Page(tuple(m for m in messages if m), Cursor(cursor.since, {**run, "after": after}))
        done = until - self._delay
        return Page(tuple(m for m in messages if m), Cursor(max(cursor.since, done)), complete_through_at=done)

    async def fetch_order(self, http: Http, order_id: str) -> RawMessage | None:
        """Read one order, None if Shopify shows none (deleted, or older than 60 days)."""
        answer = await self._graphql.ask(http, docs.ORDER, {"id": ids.gid("Order", order_id)})
        node = answer.data.get("order")
        if node is None:
            return None
        if not isinstance(node, dict):
            raise Retry(f"Shopify's answer about order {order_id} holds no order")
        return await self._message(http, node, answer.received_at)

    async def _message(self, http: Http, node: dict[str, Any], read_at: datetime) -> RawMessage | None:
        whole = await self._long_form(http, node) if overflows(node) else node
        return None if whole is None else polled(whole, read_at)

    async def _long_form(self, http: Http, node: dict[str, Any]) -> dict[str, Any] | None:
        """Read the head, then every part by its pages. The head's updatedAt is the snapshot's: what changes while we read
        raises it, and the feed shows the order again."""
        answer = await self._graphql.ask(http, docs.ORDER_HEAD, {"id": node["id"]})
        head = answer.data.get("order")
        if head is None:
            return None
        work = records(record(head.get("fulfillmentOrders")).get("nodes"))
        lines = await self._part(http, docs.ORDER_LINES, node["id"], "lineItems")
        return {
            **head,
            "lineItems": lines["lineItems"],
            "fulfillments": [
                await self._part(http, docs.FULFILLMENT, f["id"], "fulfillmentLineItems")
                for f in records(head.get("fulfillments"))
            ],
            "refunds": [
                await self._part(http, docs.REFUND, r["id"], "refundLineItems") for r in records(head.get("refunds"))
            ],
            "fulfillmentOrders": {
                "nodes": [await self._part(http, docs.FULFILLMENT_ORDER, w["id"], "lineItems") for w in work]
            },
        }

    async def _part(self, http: Http, document: docs.Document, part_id: str, connection: str) -> dict[str, Any]:
        """Read one part with all pages of its connection. Raises Retry when it went away meanwhile."""
        part: dict[str, Any] = {}
        nodes: list[Any] = []
        after: str | None = None
        for _ in range(PART_PAGES_MAX):
            answer = await self._graphql.ask(http, document, {"id": part_id, "cursor": after})
            part = record(answer.data.get("part"))
            if not part:
                raise Retry(f"{part_id} went away while its order was read")
            nodes += all_records(record(part.get(connection)).get("nodes"), connection)
            after = _next(part.get(connection))
            if after is None:
                return {**part, connection: {"nodes": nodes}}
        raise Retry(f"{part_id} has more than {PART_PAGES_MAX} pages of {connection}")


def polled(node: dict[str, Any], read_at: datetime) -> RawMessage:
    """Return one order node as a message, keyed by S4.2."""
    body = msgspec.json.encode(node, order="deterministic")
    digest = hashlib.sha256(body).hexdigest()[:16]
    key = f"{ids.number(node.get('id'))}:{node.get('updatedAt')}:{digest}"
    return RawMessage(topic=POLLED_ORDER, body=body, delivery_key=key, fetched_at=read_at)


def overflows(node: dict[str, Any]) -> bool:
    """Return True if the short form may not hold the whole order."""
    fulfillments, refunds = records(node.get("fulfillments")), records(node.get("refunds"))
    if len(fulfillments) >= docs.SHORT_LISTS or len(refunds) >= docs.SHORT_LISTS:
        return True
    if any(len(records(f.get("trackingInfo"))) >= docs.SHORT_TRACKING for f in fulfillments):
        return True
    work = record(node.get("fulfillmentOrders"))
    connections = [
        node.get("lineItems"),
        work,
        *(f.get("fulfillmentLineItems") for f in fulfillments),
        *(r.get("refundLineItems") for r in refunds),
        *(w.get("lineItems") for w in records(work.get("nodes"))),
    ]
    return any(_next(connection) is not None for connection in connections)


def _next(connection: Any) -> str | None:
    """Return the cursor of the next page, None if there is none."""
    info = record(record(connection).get("pageInfo"))
    return str(info.get("endCursor") or "") or None if info.get("hasNextPage") else None


def _refuse_ignored_filter(nodes: list[dict[str, Any]], since: datetime) -> None:
    """An ignored filter returns every order there is; better no page than a wrong one. Raises Retry."""
    for node in nodes:
        updated_at = instant(node.get("updatedAt"))
        if updated_at is not None and updated_at < since - timedelta(seconds=1):
            raise Retry(f"the orders search ignored its window: {node.get('id')} was updated at {updated_at}")
