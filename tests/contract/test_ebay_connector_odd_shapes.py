"""eBay: any one value of an answer replaced by an odd one never crashes; at worst it is named unreadable, or to be tried again."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from oneshelf.channels.contract import Cursor, Offer, Outlet, RawMessage, RawRequest, Request, Response
from oneshelf.channels.ebay import connect
from oneshelf.core.errors import OneshelfError
from oneshelf.core.facts import OrderSeen

PAYLOADS = Path(__file__).parent / "payloads" / "ebay"
NOW = datetime(2026, 11, 3, tzinfo=UTC)
SELLER = connect({"user_id": "ma8vp1jySJC"})
ODD = [None, "x", 1, -1, 10**30, 1.5, True, [], {}, [None], [{}], "9" * 5000]
A, B = Outlet("A", "A"), Outlet("B", "B")


class Says:
    """An Http that always says the same."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def request(self, request: Request) -> Response:
        return Response(200, {}, self.body, NOW)


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    inner = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for name, one in inner:
        yield from places(one, (*here, name))


def variants(document: Any) -> Iterator[bytes]:
    for place in places(document):
        for odd in ODD:
            if not place:
                yield json.dumps(odd).encode()
                continue
            changed = copy.deepcopy(document)
            inner = changed
            for step in place[:-1]:
                inner = inner[step]
            inner[place[-1]] = odd
            yield json.dumps(changed).encode()


def payload(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("order_two_parcels", "poll:order"),
        ("order_us_tax", "poll:order"),
        ("order_confirmation", "ORDER_CONFIRMATION"),
        ("account_deletion", "MARKETPLACE_ACCOUNT_DELETION"),
    ],
)
def test_messages(name: str, topic: str) -> None:
    read = 0
    for body in variants(payload(name)):
        try:
            facts = SELLER.parse(RawMessage(topic, body))
        except OneshelfError:
            continue
        read += 1
        for fact in facts:
            if isinstance(fact, OrderSeen):
                assert all(line.shipped + line.cancelled <= line.ordered for line in fact.lines)
            if isinstance(fact, OrderSeen) and fact.totals is not None:
                totals = fact.totals
                parts = totals.items.minor + totals.shipping.minor + totals.tax.minor - totals.discount.minor
                assert parts == totals.total.minor
    assert read > 10


@pytest.mark.parametrize("name", ["order_confirmation", "account_deletion"])
def test_claims(name: str) -> None:
    for body in variants(payload(name)):
        try:
            assert SELLER.door.claimed(RawRequest("POST", "u", {}, {}, body)).topic
        except OneshelfError:
            continue


async def test_the_feed() -> None:
    order = {"orderId": "1", "lastModifiedDate": "x", "orderFulfillmentStatus": "FULFILLED", "lineItems": []}
    for body in variants({"total": 1, "next": "u", "orders": [order], "fulfillments": [{"fulfillmentId": "9"}]}):
        for call in (
            lambda http: SELLER.fetch(http, Cursor(NOW - timedelta(days=1)), NOW),
            lambda http: SELLER.fetch_order(http, "1"),
        ):
            try:
                assert await call(Says(body)) is not None
            except OneshelfError:
                continue


async def test_the_catalogue() -> None:
    item = {
        "sku": "A",
        "availability": {"shipToLocationAvailability": {"quantity": 7}},
        "product": {"title": "T"},
        "groupIds": [],
    }
    offer = {
        "offerId": "3",
        "marketplaceId": "EBAY_US",
        "format": "FIXED_PRICE",
        "status": "PUBLISHED",
        "availableQuantity": 3,
        "listing": {"listingId": "1", "listingStatus": "ACTIVE"},
        "pricingSummary": {"price": {"value": "19.90", "currency": "USD"}},
    }
    for body in variants({"total": 1, "inventoryItems": [item], "offers": [offer]}):
        try:
            assert len((await SELLER.catalogue(Says(body), None)).listings) <= 1
        except OneshelfError:
            continue


async def test_reads_and_writes() -> None:
    error = {"errorId": 1, "message": "m", "parameters": [{"value": "v"}]}
    item = {"availability": {"shipToLocationAvailability": {"quantity": 7}}}
    for body in variants({"responses": [{"sku": "A", "statusCode": 200, "errors": [error], "inventoryItem": item}]}):
        assert len(await SELLER.publish(Says(body), [Offer(A, 2), Offer(B, 0)])) == 2
        try:
            assert len(await SELLER.read(Says(body), [A, B])) == 2
        except OneshelfError:
            continue


async def test_who() -> None:
    for body in variants({"userId": "u", "username": "n"}):
        try:
            assert (await SELLER.who(Says(body))).external_id
        except OneshelfError:
            continue
