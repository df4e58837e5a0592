"""eBay: the feed, catalogue, reads, writes, set-up; every request against the published specifications."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jsonschema
import pytest

from oneshelf.channels.contract import Cursor, NoAnswer, Offer, Outlet, RawMessage, Request, Response
from oneshelf.channels.ebay import Ebay, connect
from oneshelf.core.errors import Park, Retry, SignInAgain
from oneshelf.core.facts import OrderSeen
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown

PAYLOADS = Path(__file__).parent / "payloads" / "ebay"
CONTRACTS = Path(os.environ.get("ONESHELF_CONTRACTS") or Path(__file__).parents[3] / "shared" / "contracts") / "ebay"
NOW = datetime(2026, 11, 3, 12, 0, 0, 123000, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=1)
APP = {"client_id": "app", "client_secret": "cert", "verification_token": "t" * 40}
URL = "https://us.example/hooks/ebay"

BASES = {
    "https://api.ebay.com/sell/inventory/v1": "normalized/sell_inventory_v1_oas3.json",
    "https://api.ebay.com/sell/fulfillment/v1": "normalized/sell_fulfillment_v1_oas3.json",
    "https://api.ebay.com/commerce/notification/v1": "normalized/commerce_notification_v1_oas3.json",
    "https://apiz.ebay.com/commerce/identity/v1": "commerce_identity_v1_oas3.json",
    "https://api.ebay.com/sell/account/v1": "sell_account_v1_oas3.json",
    "https://api.ebay.com/sell/feed/v1": "sell_feed_v1_oas3.json",
    "https://api.ebay.com/developer/analytics/v1_beta": "developer_analytics_v1_beta_oas3.json",
    "https://api.ebay.com/post-order/v2": "postorder_cancellation_oas3.json",
}

#: eBay publishes no schema of Post-Order: the paths are a list made by hand, the fields are the fact sheet's.
POST_ORDER = {
    "createCancellation": ({"legacyOrderId", "cancelReason", "buyerPaid"}, {"buyerPaidDate"}),
    "checkCancellationEligibility": ({"legacyOrderId"}, set()),
}


def seller() -> Ebay:
    return connect({"user_id": "ma8vp1jySJC", "alert_email": "ops@us.example"})


class Scripted:
    """An Http that gives prepared answers in order, and holds every request against eBay's specifications."""

    def __init__(self, *answers: object) -> None:
        self.answers, self.asked = list(answers), []

    async def request(self, request: Request) -> Response:
        self.asked.append(request)
        fits_the_specification(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body, *headers = answer
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Response(status, headers[0] if headers else {}, raw, NOW)

    @property
    def done(self) -> list[str]:
        return [f"{one.method} {urlsplit(one.url).path}" for one in self.asked]


@cache
def specification(name: str) -> dict[str, Any] | None:
    path = CONTRACTS / name
    return json.loads(path.read_text()) if path.exists() else None


def fits_the_specification(request: Request) -> None:
    base = next((one for one in BASES if request.url.startswith(one)), None)
    if base is None:
        assert request.url.startswith(
            ("https://api.ebay.com/ws/api.dll", "https://api.ebay.com/identity/v1/oauth2/token")
        )
        return
    spec = specification(BASES[base])
    if spec is None:
        return
    address = urlsplit(request.url.removeprefix(base))
    for path, methods in spec["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), address.path) and request.method.lower() in methods:
            operation = methods[request.method.lower()]
            break
    else:
        raise AssertionError(f"no such operation: {request.method} {request.url}")
    parameters = operation.get("parameters", [])
    known = {one["name"]: one["schema"] for one in parameters if one["in"] == "query"}
    if "post-order" in base:
        return _post_order_rules(operation["operationId"], request)
    for name, _ in parse_qsl(address.query):
        assert name in known, f"{operation['operationId']} has no parameter {name}"
    for one in parameters:
        if one["in"] == "header" and one.get("required"):
            assert one["name"].lower() in request.headers, f"{operation['operationId']} needs {one['name']}"
    if request.body:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.validate(json.loads(request.body), _strict({**schema, "components": spec["components"]}))
        _prose_rules(operation["operationId"], json.loads(request.body))


def _post_order_rules(operation: str, request: Request) -> None:
    """Source: the fact sheet's section on cancellation."""
    assert request.headers.get("x-ebay-c-marketplace-id", "").startswith("EBAY_"), "the site is missing"
    body = json.loads(request.body) if request.body else {}
    needed, allowed = POST_ORDER.get(operation, (set(), set()))
    assert needed <= set(body) <= needed | allowed, f"{operation}: {sorted(body)}"
    if operation == "createCancellation":
        assert body["cancelReason"] in ("OUT_OF_STOCK_OR_CANNOT_FULFILL", "BUYER_ASKED_CANCEL", "ADDRESS_ISSUES")


def _strict(schema: Any) -> Any:
    """The schemas require little: fields that are not in them are refused here."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {name: _strict(one) for name, one in schema.items() if not (name == "format" and isinstance(one, str))}
    if copy.get("type") == "object" and "enum" in copy:
        del copy["type"]  # some of eBay's documents call their words objects
    if copy.get("type") == "object" and isinstance(schema.get("properties"), dict):
        copy.setdefault("additionalProperties", False)
    return copy


def _prose_rules(operation: str, body: dict[str, Any]) -> None:
    """What the reference says in words. Source: bulkUpdatePriceQuantity, bulkGetInventoryItem; createDestination; bulkMigrateListing."""
    if operation == "createShippingFulfillment":
        assert body["lineItems"] and all(one["quantity"] > 0 for one in body["lineItems"])
        assert ("trackingNumber" in body) == ("shippingCarrierCode" in body), "carrier and number go together"
        assert body.get("trackingNumber", "A").isalnum()
    elif operation == "bulkMigrateListing":
        assert 1 <= len(body["requests"]) <= 5
    elif operation.startswith("bulk"):
        skus = [one["sku"] for one in body["requests"]]
        assert 1 <= len(skus) <= 25 and len(set(skus)) == len(skus) and all(len(sku) <= 50 for sku in skus)
    if operation == "createDestination":
        assert re.fullmatch(r"[A-Za-z0-9_-]{32,80}", body["deliveryConfig"]["verificationToken"])


@pytest.mark.skipif(specification(BASES[next(iter(BASES))]) is None, reason="eBay's specifications are not here")
@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", "https://api.ebay.com/sell/fulfillment/v1/order?page=1", "getOrders"),
        Request("GET", "https://api.ebay.com/sell/fulfillment/v1/orders", "getOrders"),
        Request(
            "POST",
            "https://api.ebay.com/sell/inventory/v1/bulk_update_price_quantity",
            "x",
            {},
            b'{"requests":[{"sku":"A"}]}',
        ),
        Request(
            "POST",
            "https://api.ebay.com/sell/inventory/v1/bulk_update_price_quantity",
            "x",
            {"content-type": "application/json"},
            b'{"requests":[{"sku":"A","quantity":3}]}',
        ),
        Request(
            "POST",
            "https://api.ebay.com/sell/inventory/v1/bulk_get_inventory_item",
            "x",
            {"content-type": "application/json"},
            b'{"requests":[{"sku":"A"},{"sku":"A"}]}',
        ),
        Request("GET", "https://elsewhere.example/sell", "x"),
        Request(
            "POST",
            "https://api.ebay.com/sell/fulfillment/v1/order/1/shipping_fulfillment",
            "x",
            {"content-type": "application/json"},
            b'{"lineItems":[{"lineItemId":"6","quantity":1}],"trackingNumber":"94-00","shippingCarrierCode":"USPS"}',
        ),
        Request(
            "POST",
            "https://api.ebay.com/sell/fulfillment/v1/order/1/shipping_fulfillment",
            "x",
            {"content-type": "application/json"},
            b'{"trackingNumber":"94","shippingCarrierCode":"USPS"}',
        ),
        Request("POST", "https://api.ebay.com/post-order/v2/cancellation", "x", {}, b'{"legacyOrderId":"1"}'),
        Request("POST", "https://api.ebay.com/post-order/v2/cancellation/1/refund", "x", {}, b""),
    ],
)
def test_planted_violations_are_seen(request_: Request) -> None:
    with pytest.raises((AssertionError, jsonschema.ValidationError)):
        fits_the_specification(request_)


# --- the feed --------------------------------------------------------------------------------------------------------


def orders(
    *numbers: int, status: str = "NOT_STARTED", modified: str = "2026-11-03T11:59:00.000Z"
) -> list[dict[str, Any]]:
    return [
        {"orderId": f"11-{n}", "lastModifiedDate": modified, "orderFulfillmentStatus": status, "lineItems": []}
        for n in numbers
    ]


def answer(found: list[dict[str, Any]], total: int, **more: object) -> tuple[int, dict[str, Any]]:
    return 200, {"href": "h", "limit": 200, "offset": 0, "total": total, "orders": found, **more}


def query(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}


async def test_the_window_is_open_encoded_and_complete_through_the_past() -> None:
    http = Scripted(answer(orders(1, 2), 2))
    page = await seller().fetch(http, Cursor(SINCE), NOW)
    assert query(http.asked[0]) == {
        "filter": "lastmodifieddate:[2026-11-03T11:48:00.123Z..]",
        "fieldGroups": "TAX_BREAKDOWN",
        "limit": "200",
        "offset": "0",
    }
    assert not set("[]{}|:") & set(urlsplit(http.asked[0].url).query)
    assert page.cursor == Cursor(NOW - timedelta(seconds=5))
    assert page.complete_through_at == NOW - timedelta(seconds=35)
    key = page.messages[0].delivery_key
    assert key.startswith("11-1:2026-11-03T11:59:00.000Z:") and len(key.rpartition(":")[2]) == 16
    assert json.loads(page.messages[0].body)["order"] == orders(1)[0]


async def test_window_never_begins_before_what_ebay_keeps() -> None:
    http = Scripted(answer([], 0))
    await seller().fetch(http, Cursor(datetime(2010, 1, 1, tzinfo=UTC)), NOW)
    assert query(http.asked[0])["filter"].startswith("lastmodifieddate:[2024-11-")


async def test_pages_overlap_and_follow_one_frozen_window() -> None:
    ebay, http = seller(), Scripted(answer(orders(*range(200)), 330), answer(orders(*range(180, 330)), 330))
    first = await ebay.fetch(http, Cursor(SINCE), NOW)
    assert first.cursor.run is not None and first.cursor.run["offset"] == 180
    assert (first.cursor.since, first.complete_through_at) == (SINCE, None)
    last = await ebay.fetch(http, first.cursor, NOW + timedelta(hours=1))
    assert query(http.asked[1])["filter"] == query(http.asked[0])["filter"]
    assert query(http.asked[1])["offset"] == "180"
    assert last.cursor == Cursor(NOW - timedelta(seconds=5))


async def test_orders_that_leave_the_window_while_paging_hide_none() -> None:
    """Sixty orders of page 1 change (and leave the window) before page 2 is read: the rest moves up by sixty."""
    world, ebay, received = list(range(500)), seller(), set()
    cursor = Cursor(SINCE)

    async def give(request: Request) -> Response:
        offset = int(query(request)["offset"])
        page = answer(orders(*world[offset : offset + 200]), len(world))[1]
        return Response(200, {}, json.dumps(page).encode(), NOW)

    http = Scripted()
    http.request = give
    for turn in range(20):
        page = await ebay.fetch(http, cursor, NOW)
        received |= {json.loads(message.body)["order"]["orderId"] for message in page.messages}
        if turn == 0:
            del world[:60]
        cursor = page.cursor
        if cursor.run is None:
            break
    assert cursor.run is None
    assert received == {f"11-{n}" for n in range(500)}


async def test_shipped_orders_bring_their_parcels_and_a_parcel_alone_makes_a_new_key() -> None:
    parcels = {"total": 1, "fulfillments": [{"fulfillmentId": "9", "lineItems": [{"lineItemId": "6", "quantity": 1}]}]}
    order = {**orders(1, status="IN_PROGRESS")[0], "lineItems": [{"lineItemId": "6", "quantity": 3}]}
    ebay, http = (
        seller(),
        Scripted(answer([order], 1), (200, parcels), (200, order), (200, {"total": 0, "fulfillments": []})),
    )
    page = await ebay.fetch(http, Cursor(SINCE), NOW)
    assert http.done[1] == "GET /sell/fulfillment/v1/order/11-1/shipping_fulfillment"
    [seen] = ebay.parse(page.messages[0])
    assert isinstance(seen, OrderSeen) and seen.lines[0].shipped == 1
    again = await ebay.fetch_order(http, "11-1")
    assert again is not None and again.delivery_key != page.messages[0].delivery_key
    [now] = ebay.parse(again)
    assert isinstance(now, OrderSeen) and now.lines[0].shipped == 0


async def test_overlapping_polls_do_not_ask_for_the_same_parcels_each_time() -> None:
    found, none = orders(1, status="FULFILLED"), (200, {"total": 0, "fulfillments": []})
    ebay, http = seller(), Scripted(answer(found, 1), none, answer(found, 1))
    await ebay.fetch(http, Cursor(SINCE), NOW)
    await ebay.fetch(http, Cursor(SINCE), NOW)
    assert len(http.asked) == 3
    later = orders(1, status="FULFILLED", modified="2026-11-03T12:00:00.000Z")
    more = Scripted(answer(later, 1), none)
    await ebay.fetch(more, Cursor(SINCE), NOW)
    assert len(more.asked) == 2


async def test_parcels_that_cannot_be_read_let_the_page_be_read_again() -> None:
    http = Scripted(answer(orders(1, status="FULFILLED"), 1), (500, {"errors": [{"errorId": 30500}]}))
    with pytest.raises(Retry):
        await seller().fetch(http, Cursor(SINCE), NOW)


async def test_order_by_id_and_its_absence() -> None:
    unknown = {"errors": [{"errorId": 32100, "message": "Invalid order ID: 1"}]}
    http = Scripted((404, {}), (400, unknown), (200, orders(7)[0]))
    assert await seller().fetch_order(http, "11-14972-20806") is None
    assert await seller().fetch_order(http, "a/b?c") is None
    assert http.asked[1].url.endswith("/order/a%2Fb%3Fc?fieldGroups=TAX_BREAKDOWN")
    found = await seller().fetch_order(http, "11-7")
    assert isinstance(found, RawMessage) and found.delivery_key.startswith("11-7:")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {"errors": [{"errorId": 1001, "message": "Invalid access token"}]}, SignInAgain),
        (403, {"errors": [{"errorId": 1100, "message": "Access denied"}]}, SignInAgain),
        (400, {"errors": [{"errorId": 30850, "message": "Start and end dates can't be in the future"}]}, Retry),
        (400, {"errors": [{"errorId": 30800, "message": "Invalid filter value"}]}, Park),
        (429, {"errors": [{"errorId": 2001, "message": "Too many requests."}]}, Retry),
        (500, {"errors": [{"errorId": 30500}]}, Retry),
        (503, b"<html>", Retry),
        (200, b'{"orders":[{"orderId":', Retry),
        (200, b"\xff", Retry),
        (200, b"[" * 10_000, Retry),
    ],
)
async def test_a_read_that_fails(status: int, body: object, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        await seller().fetch(Scripted((status, body)), Cursor(SINCE), NOW)
    if status == 400:
        assert str(body["errors"][0]["errorId"]) in str(caught.value)  # type: ignore[index]


# --- catalogue -------------------------------------------------------------------------------------------------------


def item(sku: str, quantity: int | None = 7, **more: object) -> dict[str, Any]:
    level = {} if quantity is None else {"shipToLocationAvailability": {"quantity": quantity}}
    return {"sku": sku, "locale": "en_US", "availability": level, "product": {"title": f"Tee {sku}"}, **more}


def offer(listing_id: str = "110035400937", available: int | None = None, **more: object) -> dict[str, Any]:
    found = {
        "offerId": "36445435465",
        "marketplaceId": "EBAY_US",
        "format": "FIXED_PRICE",
        "status": "PUBLISHED",
        "listing": {"listingId": listing_id, "listingStatus": "ACTIVE"},
        "pricingSummary": {"price": {"value": "19.90", "currency": "USD"}},
    }
    return {**found, **({} if available is None else {"availableQuantity": available}), **more}


def items(found: list[dict[str, Any]], total: int) -> tuple[int, dict[str, Any]]:
    return 200, {"href": "h", "limit": 25, "size": len(found), "total": total, "inventoryItems": found}


def offers(*found: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 200, {"href": "h", "limit": 100, "size": len(found), "total": len(found), "offers": list(found)}


NONE = (404, {"errors": [{"errorId": 25713, "message": "This Offer is not available."}]})


async def test_catalogue_reads_items_by_page_number_and_their_offers() -> None:
    http = Scripted(items([item("TEE-RED-M"), item("A/B &")], 27), offers(offer()), NONE)
    page = await seller().catalogue(http, {"page": 0})
    assert query(http.asked[0]) == {"limit": "25", "offset": "0"}
    assert http.asked[0].headers["accept-language"] == "en-US"
    assert http.asked[2].url.endswith("/offer?sku=A%2FB%20%26&limit=100&offset=0")
    first, second = page.listings
    assert first.listing_keys == ("listing:110035400937/", "sku:TEE-RED-M")
    assert (first.outlet_external_id, first.quantity, first.state, first.price_minor) == ("TEE-RED-M", 7, "live", 1990)
    assert (second.state, second.listing_keys) == ("draft", ("sku:A/B &",))
    assert (page.cursor, page.total) == ({"page": 1}, 27)
    http = Scripted(items([item("Z"), item("Y")], 27), NONE, NONE)
    end = await seller().catalogue(http, page.cursor)
    assert query(http.asked[0])["offset"] == "1", "a page number, not a record number"
    assert end.cursor is None


@pytest.mark.parametrize(
    ("found", "quantity", "state", "pinned"),
    [
        (offer(available=3), 3, "live", True),
        (offer(available=7), 7, "live", False),
        (offer(available=0), 0, "out_of_stock", True),
        (
            offer(listing={"listingId": "1", "listingStatus": "OUT_OF_STOCK"}),
            7,
            "out_of_stock",
            False,
        ),
        (offer(listing={"listingId": "1", "listingStatus": "ENDED"}), 7, "ended", False),
        (offer(listing=None), 7, "live", False),
        (offer(status="UNPUBLISHED", available=2), 7, "draft", False),
        (offer(format="AUCTION"), 7, "draft", False),
    ],
)
async def test_what_an_item_shows(found: dict[str, Any], quantity: int, state: str, pinned: bool) -> None:
    page = await seller().catalogue(Scripted(items([item("A")], 1), offers(found)), {"page": 0})
    [one] = page.listings
    assert (one.quantity, one.state, one.extra["pinned"]) == (quantity, state, pinned)


async def test_variations_are_known_by_sku_only() -> None:
    http = Scripted(items([item("A", inventoryItemGroupKeys=["G"])], 1), offers(offer()))
    [one] = (await seller().catalogue(http, {"page": 0})).listings
    assert one.listing_keys == ("sku:A",) and one.extra["grouped"]


async def test_one_sku_that_ebay_does_not_take_hides_no_other() -> None:
    bad = (400, {"errors": [{"errorId": 25709, "message": "Invalid value for sku"}]})
    page = await seller().catalogue(Scripted(items([item("A"), item("B")], 2), bad, offers(offer())), {"page": 0})
    assert "25709" in page.listings[0].extra["problem"] and page.listings[1].state == "live"
    with pytest.raises(SignInAgain):
        await seller().catalogue(Scripted(items([item("A")], 1), (401, {})), None)


# --- read ------------------------------------------------------------------------------------------------------------


def outlet(sku: str) -> Outlet:
    return Outlet(sku, sku)


def row(sku: str, quantity: int | None = 7, status: object = 200, **more: object) -> dict[str, Any]:
    return {"sku": sku, "statusCode": status, "inventoryItem": item(sku, quantity), **more}


def failed(sku: str, error: int, status: int = 404, words: str = "no") -> dict[str, Any]:
    return {"sku": sku, "statusCode": status, "errors": [{"errorId": error, "message": words}]}


async def test_read_matches_each_sku() -> None:
    rows = [row("C", 0), failed("B", 25702), row("A"), row("D", None), failed("E", 25001, 500)]
    http = Scripted((207, {"responses": rows}))
    seen = await seller().read(http, [outlet(sku) for sku in "ABCDEF"])
    assert [(one.external_id, one.quantity, one.state) for one in seen] == [
        ("A", 7, "live"),
        ("B", None, "gone"),
        ("C", 0, "out_of_stock"),
        ("D", None, "live"),
        ("E", None, "live"),
        ("F", None, "live"),
    ]
    assert all(one.problem for one in seen[3:])
    assert not http.asked[0].writes


async def test_one_unknown_sku_that_fails_all_is_found_by_halves() -> None:
    no = (400, {"errors": [{"errorId": 25702, "message": "SKU B is not available in the system"}]})
    http = Scripted(no, (200, {"responses": [row("A")]}), no, no, (200, {"responses": [row("C", 2)]}))
    seen = await seller().read(http, [outlet(sku) for sku in "ABC"])
    assert [(one.quantity, one.state) for one in seen] == [(7, "live"), (None, "gone"), (2, "live")]


async def test_read_refused_for_another_reason() -> None:
    other = (400, {"errors": [{"errorId": 25709, "message": "Invalid request"}]})
    http = Scripted(other, other, (200, {"responses": [row("B")]}))
    bad, good = await seller().read(http, [outlet("A"), outlet("B")])
    assert (bad.quantity, bad.problem, good.quantity) == (None, "25709 Invalid request", 7)
    with pytest.raises(Retry):
        await seller().read(Scripted((503, b"<html>")), [outlet("A"), outlet("B")])


# --- publish ---------------------------------------------------------------------------------------------------------


async def publish(wanted: dict[str, int], *answers: object) -> tuple[Scripted, list[Outcome]]:
    http = Scripted(*answers)
    return http, await seller().publish(http, [Offer(outlet(sku), quantity) for sku, quantity in wanted.items()])


async def test_write_is_the_item_level_quantity_only() -> None:
    rows = [{"sku": "TEE-RED-M", "offerId": "36445435465", "statusCode": 200}, failed("NOPE", 25702)]
    http, outcomes = await publish({"NOPE": 1, "TEE-RED-M": 7}, (207, {"responses": rows}))
    assert json.loads(http.asked[0].body) == {
        "requests": [
            {"sku": "NOPE", "shipToLocationAvailability": {"quantity": 1}},
            {"sku": "TEE-RED-M", "shipToLocationAvailability": {"quantity": 7}},
        ]
    }
    assert http.asked[0].writes
    assert outcomes == [Rejected("25702 no", code="25702"), Accepted("TEE-RED-M")]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (failed("A", 25001, 500, "system"), Unknown("25001 system")),
        (failed("A", 25025, 500, "concurrent access"), Unknown("25025 concurrent access")),
        (failed("A", 25025, 409, "concurrent access"), Unknown("25025 concurrent access")),
        (failed("A", 25002, 400, "Please try again later"), Unknown("25002 Please try again later")),
        (
            failed("A", 25002, 400, "The title can not be revised"),
            Rejected("25002 The title can not be revised", code="25002"),
        ),
        (
            failed("A", 25002, 400, "You have reached the maximum number of revisions"),
            Throttled(3600.0, "25002 You have reached the maximum number of revisions"),
        ),
        (failed("A", 25709, 400, "bad value"), Rejected("25709 bad value", code="25709")),
        (failed("A", 25713, 404, "not available"), Rejected("25713 not available", code="25713")),
        (failed("A", 25759, 400, "auction"), Rejected("25759 auction", code="25759")),
        (failed("A", 25026, 400, "selling limit"), Rejected("25026 selling limit", code="25026")),
        (failed("A", 2001, 429, "too many"), Throttled(None, "2001 too many")),
        ({"sku": "A", "statusCode": 400}, Rejected("HTTP 400", code="400")),
        ({"sku": "A"}, Unknown("eBay gave this entry no statusCode")),
        ({"sku": "A", "statusCode": "204"}, Accepted("A")),
        ({"sku": "OTHER", "statusCode": 200}, Unknown("eBay's answer leaves this SKU out")),
    ],
)
async def test_an_entry_becomes_an_outcome(entry: dict[str, Any], expected: Outcome) -> None:
    _, outcomes = await publish({"A": 1}, (200, {"responses": [entry]}))
    assert outcomes == [expected]


async def test_rows_of_one_sku_that_disagree_are_unknown() -> None:
    rows = [{"sku": "A", "statusCode": 200}, failed("A", 25713)]
    _, [outcome] = await publish({"A": 1}, (207, {"responses": rows}))
    assert isinstance(outcome, Unknown)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            (429, {"errors": [{"errorId": 2001, "message": "Too many requests."}]}),
            Throttled(30.0, "2001 Too many requests."),
        ),
        ((401, {"errors": [{"errorId": 1001, "message": "bad"}]}), Rejected("1001 bad", code="unauthorized")),
        ((403, {"errors": [{"errorId": 1100, "message": "denied"}]}), Rejected("1100 denied", code="unauthorized")),
        ((500, {"errors": [{"errorId": 25025, "message": "busy"}]}), Unknown("25025 busy")),
        ((503, b"<html>"), Unknown("HTTP 503")),
        ((200, b"<html>"), Unknown("eBay's answer leaves this SKU out")),
        ((200, b'{"responses":[{"sku"'), Unknown("eBay's answer leaves this SKU out")),
        (NoAnswer("timed out", sent=True), Unknown("timed out")),
        (NoAnswer("refused", sent=False), Throttled(None, "refused")),
    ],
)
async def test_an_answer_without_entries_is_every_offers(reply: object, expected: Outcome) -> None:
    http, outcomes = await publish({"A": 1, "B": 2}, reply)
    assert outcomes == [expected, expected]
    assert len(http.asked) == 1


async def test_a_batch_refused_as_a_whole_is_split_until_it_is_about_one() -> None:
    no = (400, {"errors": [{"errorId": 25709, "message": "bad value"}]})
    yes = [(200, {"responses": [{"sku": sku, "statusCode": 200}]}) for sku in "AC"]
    http, outcomes = await publish({"A": 1, "B": 2, "C": 3}, no, yes[0], no, no, yes[1])
    assert outcomes == [Accepted("A"), Rejected("25709 bad value", code="25709"), Accepted("C")]
    assert len(http.asked) == 5


# --- who and set-up --------------------------------------------------------------------------------------------------


async def test_who_is_the_immutable_id() -> None:
    user = {"userId": "ma8vp1jySJC", "username": "tees4u", "registrationMarketplaceId": "EBAY_US"}
    http = Scripted((200, user))
    who = await connect({"marketplace_id": "EBAY_DE"}).who(http)
    assert (who.external_id, who.label, who.currency) == ("ma8vp1jySJC", "tees4u", "EUR")
    assert http.done == ["GET /commerce/identity/v1/user/"]


def preference(on: str) -> tuple[int, bytes]:
    return 200, f"<R><OutOfStockControlPreference>{on}</OutOfStockControlPreference></R>".encode()


TOKEN = (200, {"access_token": "app1", "expires_in": 7200})
EMPTY = (200, {"total": 0, "href": "h", "limit": 100})
HERE = {
    "destinationId": "d1",
    "status": "ENABLED",
    "deliveryConfig": {"endpoint": URL, "verificationToken": "t" * 40},
}


def subscribed(topic: str, status: str = "ENABLED", destination: str = "d1") -> dict[str, Any]:
    return {"subscriptionId": f"s-{topic}", "topicId": topic, "status": status, "destinationId": destination}


async def test_first_set_up_in_order() -> None:
    made = (201, b"", {"location": "https://api.ebay.com/commerce/notification/v1/subscription/s1"})
    denied = (403, {"errors": [{"errorId": 195011, "message": "Not authorized for this topic."}]})
    http = Scripted(
        preference("true"),
        TOKEN,
        (404, {"errors": [{"errorId": 195026}]}),
        (204, b""),
        EMPTY,
        (201, b"", {"location": "https://api.ebay.com/commerce/notification/v1/destination/d1"}),
        EMPTY,
        made,
        denied,
        denied,
        EMPTY,
        made,
        made,
    )
    findings = await seller().subscribe(http, URL, APP)
    assert all(one.ok for one in findings)
    assert [one.what for one in findings if one.todo] == [
        "eBay notifications: ITEM_MARKED_SHIPPED",
        "eBay notifications: ORDER_CANCELLATION_ACTIVITY",
    ]
    bodies = [json.loads(one.body) for one in http.asked if one.body.startswith(b"{")]
    assert bodies[0] == {"alertEmail": "ops@us.example"}
    assert bodies[2] == {
        "topicId": "ORDER_CONFIRMATION",
        "destinationId": "d1",
        "status": "ENABLED",
        "payload": {"format": "JSON", "schemaVersion": "1.1", "deliveryProtocol": "HTTPS"},
    }
    by_seller = [one for one in http.asked if one.operation == "subscription" and not one.bare]
    assert len(by_seller) == 4, "user topics with the seller's token, application topics with the application's"


async def test_set_up_again_changes_nothing() -> None:
    user = {
        "subscriptions": [
            subscribed(t) for t in ("ORDER_CONFIRMATION", "ITEM_MARKED_SHIPPED", "ORDER_CANCELLATION_ACTIVITY")
        ]
    }
    app = {"subscriptions": [subscribed(t) for t in ("MARKETPLACE_ACCOUNT_DELETION", "AUTHORIZATION_REVOCATION")]}
    http = Scripted(
        preference("true"),
        TOKEN,
        (200, {"alertEmail": "a@b.c"}),
        (200, {"destinations": [HERE]}),
        (200, {**user, "href": "h", "limit": 100, "total": 3}),
        (200, {**app, "href": "h", "limit": 100, "total": 2}),
    )
    findings = await seller().subscribe(http, URL, APP)
    assert all(one.ok and not one.todo for one in findings)
    assert not any(one.writes for one in http.asked)


async def test_marked_down_destination_and_disabled_subscription_are_put_right() -> None:
    down = {**HERE, "status": "MARKED_DOWN"}
    other = {"destinationId": "d0", "status": "ENABLED", "deliveryConfig": {"endpoint": "https://x.example"}}
    user = [subscribed("ORDER_CONFIRMATION", "DISABLED"), subscribed("ITEM_MARKED_SHIPPED", destination="d0")]
    http = Scripted(
        preference("true"),
        TOKEN,
        (200, {"alertEmail": "a@b.c"}),
        (200, {"destinations": [other], "next": "https://api.ebay.com/x?limit=100&continuation_token=c2", "href": "h"}),
        (200, {"destinations": [down], "href": "h"}),
        (204, b""),
        (
            200,
            {"subscriptions": [*user, subscribed("ORDER_CANCELLATION_ACTIVITY")], "href": "h", "limit": 1, "total": 3},
        ),
        (204, b""),
        (204, b""),
        EMPTY,
        (409, {"errors": [{"errorId": 195012, "message": "Subscription already exists"}]}),
        (201, b""),
    )
    findings = await seller().subscribe(http, URL, APP)
    assert all(one.ok for one in findings)
    assert query(http.asked[4])["continuation_token"] == "c2"
    puts = [urlsplit(one.url).path.rpartition("/v1/")[2] for one in http.asked if one.method == "PUT"]
    assert puts == ["destination/d1", "subscription/s-ORDER_CONFIRMATION", "subscription/s-ITEM_MARKED_SHIPPED"]


async def test_what_stands_in_the_way_is_told() -> None:
    off, nothing = await seller().subscribe(Scripted(preference("false")), None, APP)
    assert not off.ok and "Switch it on" in off.todo
    assert not nothing.ok
    unread, _ = await seller().subscribe(Scripted((200, b"<Ack>Failure</Ack>")), None, APP)
    assert unread.ok and unread.todo
    failed_challenge = (409, {"errors": [{"errorId": 195020, "message": "Challenge verification failed"}]})
    http = Scripted(preference("true"), TOKEN, (200, {"alertEmail": "a@b.c"}), EMPTY, failed_challenge)
    _, refused = await seller().subscribe(http, URL, APP)
    assert not refused.ok and "195020" in refused.todo
    no_mail = Scripted(preference("true"), TOKEN, (404, {}))
    _, mail = await connect({}).subscribe(no_mail, URL, APP)
    assert not mail.ok and "alert_email" in mail.todo


async def test_required_topic_refused_is_not_ok_and_a_500_is_tried_again() -> None:
    start = [
        preference("true"),
        TOKEN,
        (200, {"alertEmail": "a@b.c"}),
        (200, {"destinations": [HERE], "href": "h"}),
        EMPTY,
    ]
    denied = (403, {"errors": [{"errorId": 195011, "message": "Not authorized for this topic."}]})
    http = Scripted(*start, denied, denied, denied, (403, {}))
    with pytest.raises(SignInAgain):
        await seller().subscribe(Scripted(*start[:3], (401, {}), TOKEN, (401, {})), URL, APP)
    findings = await seller().subscribe(http, URL, APP)
    assert [one.ok for one in findings][2:] == [False, True, True, False, False]
    with pytest.raises(Retry):
        await seller().subscribe(Scripted(*start, (500, {"errors": [{"errorId": 195000}]})), URL, APP)
