"""Orders and sellers: one method an endpoint, carrying Amazon's names.

In: an Account and `Http`. Out: raw order documents as inbox messages, pages, who the seller is. Never: authorization, retries, sleeps.
Source: models orders_2026-01-01 (searchOrders, getOrder) and sellers, commit 34dc93f; sheet section 4.1, read 2026-11.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from oneshelf.channels.amazon import wire
from oneshelf.channels.amazon.account import Account, QueryValue, build, path_part
from oneshelf.channels.amazon.answers import body_of_read, decoded
from oneshelf.channels.amazon.orders import instant
from oneshelf.channels.contract import AccountSeen, Cursor, Http, Page, RawMessage
from oneshelf.core.errors import Park

#: Without FULFILLMENT an order has no status at all. Source: model orders_2026-01-01, includedData.
INCLUDED_DATA = ("BUYER", "RECIPIENT", "PROCEEDS", "PROMOTION", "CANCELLATION", "FULFILLMENT", "PACKAGES", "TAX")
ORDERS_PER_PAGE = 100


async def search_orders(http: Http, account: Account, cursor: Cursor, now: datetime) -> Page:
    """Read one page of orders updated since the cursor.

    One run asks one frozen query; `lastUpdatedBefore` is never sent, the answer's own is the effective bound. The run is complete
    through that bound, but not through anything younger than the visibility delay. A token that Amazon no longer takes ends the run
    without moving `since`: the next page starts again.
    Raises Retry, Park, SignInAgain; NoAnswer passes through.
    """
    run = dict(cursor.run) if cursor.run else _new_run(account, cursor.since, now)
    query: dict[str, QueryValue] = dict(run["query"])
    if run.get("token"):
        query["paginationToken"] = run["token"]
    request = build(account, "searchOrders", "/orders/2026-01-01/orders", query)
    response = await http.request(request)
    if response.status == 400 and run.get("token"):
        return Page(messages=(), cursor=Cursor(since=cursor.since), complete_through_at=None)
    answer = decoded(request, body_of_read(request, response), wire.SearchOrdersAnswer)
    messages = tuple(order_message(document, response.received_at) for document in answer.orders)
    run["until"] = _earlier(run["until"], answer.last_updated_before)
    run["token"] = answer.pagination.next_token if answer.pagination else None
    if run["token"]:
        return Page(messages=messages, cursor=Cursor(since=cursor.since, run=run), complete_through_at=None)
    through = datetime.fromisoformat(run["until"])
    return Page(messages=messages, cursor=Cursor(since=max(cursor.since, through)), complete_through_at=through)


async def get_order(http: Http, account: Account, order_id: str) -> RawMessage | None:
    """Read one order. None: Amazon does not know it, or it is another seller's (weak evidence). Raises as `search_orders`."""
    request = build(
        account, "getOrder", f"/orders/2026-01-01/orders/{path_part(order_id)}", {"includedData": INCLUDED_DATA}
    )
    response = await http.request(request)
    if response.status == 404:
        return None
    answer = decoded(request, body_of_read(request, response), wire.GetOrderAnswer)
    return order_message(answer.order, response.received_at)


async def get_marketplace_participations(http: Http, account: Account) -> AccountSeen:
    """Ask in which marketplaces the seller takes part, and their currencies. The seller id itself is in no answer: it is a setting.

    Source: model sellers (getMarketplaceParticipations), read 2026-11.
    """
    request = build(account, "getMarketplaceParticipations", "/sellers/v1/marketplaceParticipations")
    answer = decoded(request, body_of_read(request, await http.request(request)), wire.ParticipationsAnswer)
    seen = {
        each.marketplace.id: each
        for each in answer.payload
        if each.participation and each.participation.is_participating
    }
    if not seen:
        raise Park("Amazon names no marketplace in which this seller takes part")
    main = next((seen[id_] for id_ in account.marketplace_ids if id_ in seen), next(iter(seen.values())))
    return AccountSeen(
        external_id=account.external_id,
        label=main.store_name or account.seller_id,
        currency=main.marketplace.default_currency_code,
        extra={
            "marketplaces": [
                {"id": id_, "name": each.marketplace.name, "currency": each.marketplace.default_currency_code}
                for id_, each in seen.items()
            ],
            "not_participating": [id_ for id_ in account.marketplace_ids if id_ not in seen],
        },
    )


def order_message(document: msgspec.Raw, fetched_at: datetime) -> RawMessage:
    """Make the inbox row of one order document: key = order id, update time, hash (S4.2). An unreadable one is kept too."""
    body = bytes(document)
    digest = hashlib.sha256(body).hexdigest()[:16]
    head = wire.informing(document, wire.OrderHead)
    key = f"{head.order_id}:{head.last_updated_time}:{digest}" if head else f"unreadable::{digest}"
    return RawMessage(topic="poll:order", body=body, delivery_key=key, fetched_at=fetched_at)


def timestamp(at: datetime) -> str:
    """Write an instant as Amazon's examples do: UTC, milliseconds, "Z"."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _new_run(account: Account, since: datetime, now: datetime) -> dict[str, Any]:
    """Freeze the query of one run. Asking from later than the visible end would be an empty window, or a 400."""
    visible_end = now - timedelta(seconds=account.visibility_delay_s)
    query = {
        "lastUpdatedAfter": timestamp(min(since, visible_end)),
        "marketplaceIds": list(account.marketplace_ids),
        "includedData": list(INCLUDED_DATA),
        "maxResultsPerPage": ORDERS_PER_PAGE,
    }
    return {"query": query, "token": None, "until": visible_end.isoformat()}


def _earlier(until: str, bound: str | None) -> str:
    """Return the earlier of the run's bound and the one this answer names."""
    named = instant(bound)
    return min(datetime.fromisoformat(until), named).isoformat() if named else until
