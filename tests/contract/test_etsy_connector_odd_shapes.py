"""Etsy: any one value of an answer replaced by an odd one never crashes; at worst it is named unreadable, or to be tried again."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from oneshelf.channels.contract import Cursor, Offer, Outlet, RawMessage, RawRequest, Request, Response
from oneshelf.channels.etsy import connect
from oneshelf.core.errors import OneshelfError
from oneshelf.core.facts import OrderSeen

PAYLOADS = Path(__file__).parent / "payloads" / "etsy"
NOW = datetime(2026, 11, 3, tzinfo=UTC)
SHOP = connect({"shop_id": "12345"})
OUTLET = Outlet("123456789/200=Red;62809790503=M", "123456789")
ODD = [None, "x", 1, -1, 10**30, 1.5, True, [], {}, [None], [{}], "9" * 5000]


class Says:
    """An Http that always says the same."""

    def __init__(self, body: bytes) -> None:
        self.body, self.sent = body, []

    async def request(self, request: Request) -> Response:
        self.sent.append(request)
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


@pytest.mark.parametrize(("name", "topic"), [("receipt_completed", "poll:order"), ("order_paid", "order.paid")])
def test_messages(name: str, topic: str) -> None:
    read = 0
    for body in variants(payload(name)):
        try:
            facts = SHOP.parse(RawMessage(topic, body))
        except OneshelfError:
            continue
        read += 1
        for fact in facts:
            if isinstance(fact, OrderSeen) and fact.totals is not None:
                totals = fact.totals
                parts = totals.items.minor + totals.shipping.minor + totals.tax.minor - totals.discount.minor
                assert parts == totals.total.minor
    assert read > 10


def test_claims() -> None:
    for body in variants(payload("order_paid")):
        try:
            claimed = SHOP.door.claimed(RawRequest("POST", "u", {}, {}, body))
        except OneshelfError:
            continue
        assert claimed.account_external_id.isdigit()


async def test_reads_and_writes_never_drop_a_product() -> None:
    for body in variants(payload("inventory_two_sizes")):
        try:
            [seen] = await SHOP.read(Says(body), [OUTLET])
        except OneshelfError:
            continue
        http = Says(body)
        [_outcome] = await SHOP.publish(http, [Offer(OUTLET, 2, seen)])
        for request in http.sent:
            if request.method == "PUT":
                kept = sum(not one.get("is_deleted") for one in json.loads(body)["products"])
                assert len(json.loads(request.body)["products"]) == kept


async def test_lists() -> None:
    inventory = payload("inventory_two_sizes")
    inventory.pop("listing")
    row = {
        "listing_id": 123456789,
        "title": "T",
        "state": "active",
        "quantity": 3,
        "skus": ["A"],
        "inventory": inventory,
    }
    for body in variants({"count": 1, "results": [row]}):
        for call in (
            lambda http: SHOP.catalogue(http, None),
            lambda http: SHOP.read(http, [OUTLET, Outlet("5", "5")]),
        ):
            try:
                assert await call(Says(body)) is not None
            except OneshelfError:
                continue
    for body in variants({"count": 2, "results": [{"receipt_id": 1, "updated_timestamp": 1793706000}]}):
        try:
            page = await SHOP.fetch(Says(body), Cursor(NOW), NOW)
        except OneshelfError:
            continue
        assert page.cursor.run is None or page.cursor.run["offset"] > 0 or page.cursor.run["min"] > 0


async def test_who() -> None:
    for body in variants({"user_id": 1, "shop_id": 12345, "shop_name": "s", "currency_code": "USD"}):
        try:
            assert (await SHOP.who(Says(body))).external_id.isdigit()
        except OneshelfError:
            continue
