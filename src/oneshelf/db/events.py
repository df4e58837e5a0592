"""What happened, for programs of other people: written in the same transaction as the thing itself, sent later by `webhooks`.

In: a kind and ids. Out: a row. Tables it owns: event. Never: holds anything about a person, or a secret: ids and numbers only, and
whoever wants more asks the API.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from oneshelf.core.instants import iso

from .tx import Tx, next_values

#: Kind → what it says, and the names of its ids.
KINDS: dict[str, str] = {
    "order.stored": "An order is on the books: `order`, `account`, `order_id` (the channel's id)",
    "order.imported": "A marketplace order stands in the shop: `order`, `hub_order_id`",
    "order.short": "Nothing on hand stands behind a line: `order`, `line`, `sku`",
    "stock.changed": "A level moved: `sku`, `location`",
    "listing.changed": "A listing was told another number and its channel said yes, or it was linked otherwise: `listing`",
    "shipment.told": "A parcel was told to its marketplace: `order`, `parcel`",
    "price.changed": "A listing was told another price and its channel said yes: `listing`",
    "customer.stage_changed": "A customer is in another stage: `customer`, `stage`",
    "task.opened": "Something waits for a person: `task`, `kind`",
    "task.closed": "It waits no more: `task`, `kind`",
    "account.state_changed": "An account is in another state: `account`, `state`",
    "webhook.test": "A test that somebody asked for: `endpoint`",
}


class Event(msgspec.Struct, frozen=True):
    """One thing that happened. `ids` name what it happened to. Instants as ISO 8601, UTC."""

    event: int
    kind: str
    at: str
    ids: dict[str, Any]


def tell(tx: Tx, tenant_id: int, now: int, kind: str, happened: Sequence[dict[str, Any]]) -> None:
    """Keep that something happened, once an item of `happened` (its ids). Kept only while a webhook endpoint is there to hear it."""
    if not happened:
        return
    if tx.one("SELECT 1 FROM webhook_endpoint WHERE tenant_id = :t LIMIT 1", t=tenant_id) is None:
        return
    keep(tx, tenant_id, now, kind, happened)


def keep(tx: Tx, tenant_id: int, now: int, kind: str, happened: Sequence[dict[str, Any]]) -> range:
    """Keep it whoever hears it; returns the events' numbers."""
    if kind not in KINDS:
        raise ValueError(f"no kind of event: {kind}")
    numbers = next_values(tx, tenant_id, "event", len(happened))
    tx.many(
        "INSERT INTO event (tenant_id, event_no, kind, at, ids) VALUES (?, ?, ?, ?, ?)",
        [(tenant_id, no, kind, now, json.dumps(ids)) for no, ids in zip(numbers, happened, strict=True)],
    )
    return numbers


def events(tx: Tx, tenant_id: int, *, kind: str | None = None, after: int = 0, limit: int = 50) -> list[Event]:
    """Return what happened, the oldest first; only what came `after` an event's number."""
    rows = tx.all(
        """SELECT event_no, kind, at, ids FROM event WHERE tenant_id = :t AND event_no > :after
              AND (CAST(:kind AS TEXT) IS NULL OR kind = :kind) ORDER BY event_no LIMIT :n""",
        t=tenant_id,
        after=after,
        kind=kind,
        n=limit,
    )
    return [Event(no, kind, iso(at) or "", json.loads(ids)) for no, kind, at, ids in rows]
