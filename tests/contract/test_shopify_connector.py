"""What the Shopify connector asks and how it takes the answers: tokens, signatures, all layers of failure, feed, levels, exports."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from shopify_script import NOW, SETTINGS, Script, Step, data, payload, reply, top_level

from oneshelf.channels.contract import (
    BudgetSeen,
    Channel,
    Cursor,
    ExportState,
    Hub,
    HubFacts,
    HubLevel,
    NoAnswer,
    Offer,
    Outlet,
    RawRequest,
    Request,
    Response,
    Secret,
    Seen,
)
from oneshelf.channels.shopify import Shopify, connect
from oneshelf.channels.shopify.exports import BATCH
from oneshelf.channels.shopify.subscriptions import SCOPES, TOPICS
from oneshelf.core.errors import Closed, Park, Retry, SignInAgain, Unreadable, UsedUp
from oneshelf.core.facts import Money, OrderSeen
from oneshelf.core.outcome import Rejected, Throttled, Unknown

SHOPIFY = connect(SETTINGS)
URL = "https://demo.myshopify.com/admin/api/2026-10/graphql.json"
PAGE_END = {"hasNextPage": False, "endCursor": None}


def test_it_is_a_channel_and_a_hub() -> None:
    assert isinstance(SHOPIFY, Channel) and isinstance(SHOPIFY, Hub)


# --- settings -------------------------------------------------------------------------------------------------------------


def test_addresses_default_to_the_shop() -> None:
    shop = connect({"shop": "Demo"})
    assert shop.shop == "demo.myshopify.com"
    assert shop.auth.token_url == "https://demo.myshopify.com/admin/oauth/access_token"


async def test_endpoint_and_version_can_be_set() -> None:
    shop = connect(
        {"shop": "demo", "endpoint": "http://127.0.0.1:9/shop/", "api_version": "2026-07", "currency": "EUR"}
    )
    http = Script(("FindCopy", data({"orderByIdentifier": None})))
    assert await shop.find_copy(http, "k") is None
    assert http.requests[0].url == "http://127.0.0.1:9/shop/admin/api/2026-07/graphql.json"
    assert shop.auth.token_url == "http://127.0.0.1:9/shop/admin/oauth/access_token"


@pytest.mark.parametrize("shop", ("", "evil.example", "a.myshopify.com.evil.example", "a/b.myshopify.com", "-a"))
def test_what_is_no_shop_is_refused(shop: str) -> None:
    with pytest.raises(ValueError):
        connect({"shop": shop})


def test_development_shops_make_five_orders_a_minute() -> None:
    assert [limit.name for limit in SHOPIFY.limits] == ["points"]
    limits = connect({**SETTINGS, "plan": "development"}).limits
    assert [(limit.name, limit.operations) for limit in limits] == [
        ("points", ("*",)),
        ("new_orders", ("ImportOrder",)),
    ]


# --- tokens ---------------------------------------------------------------------------------------------------------------

CREDENTIALS = {"client_id": "id", "client_secret": "cs"}


def test_the_token_goes_in_its_header() -> None:
    request = Request("POST", URL, "Shop", headers={"Accept": "a"})
    sent = SHOPIFY.auth.authorized(request, Secret({"access_token": "shpat_1"}))
    assert sent.headers == {"Accept": "a", "X-Shopify-Access-Token": "shpat_1"}


@pytest.mark.parametrize(
    ("values", "expires_in_s", "needed"),
    (
        ({}, None, True),
        ({"access_token": "shpat_1"}, None, False),
        ({"access_token": "shpat_1"}, -5, False),
        ({"access_token": "a", **CREDENTIALS}, 61, False),
        ({"access_token": "a", **CREDENTIALS}, 60, True),
        ({"access_token": "a", **CREDENTIALS}, None, False),
    ),
)
def test_needs_renewal(values: dict[str, str], expires_in_s: int | None, needed: bool) -> None:
    end = None if expires_in_s is None else NOW + timedelta(seconds=expires_in_s)
    assert SHOPIFY.auth.needs_renewal(Secret(values, end), NOW) is needed


async def test_client_credentials() -> None:
    http = Script(("oauth_token", reply(200, {"access_token": "new", "scope": "read_orders", "expires_in": 86399})))
    secret = await SHOPIFY.auth.renew(http, Secret({"access_token": "old", **CREDENTIALS}, NOW, 4), NOW)
    assert secret == Secret({"access_token": "new", **CREDENTIALS}, NOW + timedelta(seconds=86399), 5, 86399)
    request = http.requests[0]
    assert json.loads(request.body) == {"client_id": "id", "client_secret": "cs", "grant_type": "client_credentials"}
    assert (request.method, request.url, request.bare) == ("POST", SHOPIFY.auth.token_url, True)


async def test_refresh_token_rotates() -> None:
    answer = {"access_token": "a2", "expires_in": 3600, "refresh_token": "r2", "refresh_token_expires_in": 7776000}
    http = Script(("oauth_token", reply(200, answer)))
    old = Secret({"access_token": "a1", "refresh_token": "r1", **CREDENTIALS}, NOW)
    secret = await SHOPIFY.auth.renew(http, old, NOW)
    assert json.loads(http.requests[0].body) == {**CREDENTIALS, "grant_type": "refresh_token", "refresh_token": "r1"}
    assert (secret.values["access_token"], secret.values["refresh_token"]) == ("a2", "r2")
    assert secret.values["refresh_token_expires_at"] == "2027-02-21T12:00:00+00:00"
    assert (secret.expires_at, secret.version) == (NOW + timedelta(hours=1), 1)


@pytest.mark.parametrize(
    ("ends_in", "words"),
    (
        (timedelta(days=-3), "the refresh token ended on 20 November 2026, because Oneshelf did not run for that long"),
        (timedelta(days=40), "the refresh token was used elsewhere or withdrawn"),
        (None, "the refresh token was used elsewhere or withdrawn"),
    ),
)
async def test_a_refresh_token_that_is_refused_says_why_and_what_to_do(ends_in: timedelta | None, words: str) -> None:
    values = {"access_token": "a1", "refresh_token": "r1", **CREDENTIALS}
    if ends_in is not None:
        values["refresh_token_expires_at"] = (NOW + ends_in).isoformat()
    http = Script(("oauth_token", reply(400, {"error": "invalid_grant"})))
    with pytest.raises(SignInAgain) as raised:
        await SHOPIFY.auth.renew(http, Secret(values, NOW), NOW)
    assert words in str(raised.value)
    assert "oneshelf channels connect shopify" in str(raised.value)
    assert "r1" not in str(raised.value)


async def test_a_static_token_that_is_refused_needs_a_person() -> None:
    with pytest.raises(SignInAgain):
        await SHOPIFY.auth.renew(Script(), Secret({"access_token": "shpat_1"}), NOW)


@pytest.mark.parametrize(
    ("answer", "error"),
    (
        (reply(400, {"error": "invalid_grant"}), SignInAgain),
        (reply(401, {"error": "invalid_client"}), SignInAgain),
        (reply(404, b"<html>"), SignInAgain),
        (reply(400, {"error": "temporarily_unavailable"}), Retry),
        (reply(429, b""), Retry),
        (reply(503, b"<html>"), Retry),
        (reply(200, b"<html>"), Retry),
        (reply(200, {"access_token": ""}), Retry),
        (NoAnswer("cut", sent=True), Retry),
    ),
)
async def test_renewal_that_fails(answer: Response | NoAnswer, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        await SHOPIFY.auth.renew(Script(("oauth_token", answer)), Secret(CREDENTIALS), NOW)
    assert "cs" not in str(raised.value).split()


def test_only_401_refuses_the_token() -> None:
    assert [SHOPIFY.auth.token_refused(reply(s, {})) for s in (200, 401, 403)] == [False, True, False]


# --- the door -------------------------------------------------------------------------------------------------------------

BODY = payload("orders.create.json")


def webhook(body: bytes = BODY, signature: str | None = None, **headers: str) -> RawRequest:
    sent = {
        "x-shopify-topic": "orders/create",
        "x-shopify-shop-domain": "Demo.myshopify.com",
        "x-shopify-webhook-id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
        "x-shopify-triggered-at": "2026-11-23T03:29:50.123456789Z",
        "x-shopify-hmac-sha256": sign(BODY) if signature is None else signature,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return RawRequest("POST", "https://hub.example/webhooks/shopify", {}, sent, body)


def sign(body: bytes, secret: str = "cs") -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


@pytest.mark.parametrize(
    ("request_", "secrets", "genuine"),
    (
        (webhook(), {"client_secret": "cs"}, True),
        (webhook(), {"client_secret": "new", "previous_client_secret": "cs"}, True),
        (webhook(BODY + b" "), {"client_secret": "cs"}, False),
        (webhook(BODY[:-1]), {"client_secret": "cs"}, False),
        (webhook(BODY.replace(b"9999", b"9998", 1)), {"client_secret": "cs"}, False),
        (webhook(), {"client_secret": "other"}, False),
        (webhook(signature=""), {"client_secret": "cs"}, False),
        (webhook(signature="é"), {"client_secret": "cs"}, False),
        (webhook(signature=sign(BODY, "")), {"client_secret": ""}, False),
        (webhook(signature=sign(BODY, "")), {}, False),
        (webhook(signature=hmac.new(b"cs", BODY, hashlib.sha256).hexdigest()), {"client_secret": "cs"}, False),
    ),
)
def test_signature(request_: RawRequest, secrets: dict[str, str], genuine: bool) -> None:
    assert SHOPIFY.door.verify(request_, secrets, NOW) is genuine


def test_one_changed_byte_of_the_signature_is_refused() -> None:
    good = sign(BODY)
    for index in (0, 20, 42):
        bad = good[:index] + ("A" if good[index] != "A" else "B") + good[index + 1 :]
        assert SHOPIFY.door.verify(webhook(signature=bad), {"client_secret": "cs"}, NOW) is False


def test_claimed() -> None:
    claimed = SHOPIFY.door.claimed(webhook())
    assert claimed.account_external_id == "demo.myshopify.com"
    assert (claimed.topic, claimed.delivery_id) == ("orders/create", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043")
    assert claimed.triggered_at == datetime(2026, 11, 23, 3, 29, 50, 123456, tzinfo=UTC)
    assert SHOPIFY.door.claimed(webhook(x_shopify_webhook_id="")).delivery_id is None
    assert SHOPIFY.door.forged_status == 401 and SHOPIFY.door.challenge(webhook(), {}) is None


@pytest.mark.parametrize("missing", ("x_shopify_topic", "x_shopify_shop_domain"))
def test_a_webhook_that_names_no_shop_or_topic(missing: str) -> None:
    with pytest.raises(Unreadable):
        SHOPIFY.door.claimed(webhook(**{missing: ""}))


# --- all layers of failure ------------------------------------------------------------------------------------------------

FAILURES: list[tuple[str, Response | NoAnswer, type[Exception], object]] = [
    ("400", reply(400, {"errors": "bad"}), Park, Rejected),
    ("401", reply(401, {"errors": "[API] Invalid API key or access token"}), SignInAgain, Rejected),
    ("402", reply(402, {"errors": "Unavailable Shop"}), Closed, Throttled),
    ("403", reply(403, b""), SignInAgain, Rejected),
    ("404", reply(404, b"<html>"), SignInAgain, Rejected),
    ("423", reply(423, b""), Closed, Throttled),
    ("429", reply(429, b"", {"retry-after": "2.5"}), UsedUp, Throttled),
    ("500", reply(500, b"<html>"), Retry, Unknown),
    ("502", reply(502, b""), Retry, Unknown),
    ("302", reply(302, b""), Retry, Unknown),
    ("200 html", reply(200, b"<html>ok</html>"), Retry, Unknown),
    ("200 list", reply(200, []), Retry, Unknown),
    ("200 empty", reply(200, b""), Retry, Unknown),
    ("200 deep", reply(200, b"[" * 10_000), Retry, Unknown),
    ("200 no data", reply(200, {"data": None}), Retry, Unknown),
    ("200 errors as text", reply(200, {"errors": "Something"}), Retry, Unknown),
    ("THROTTLED", reply(200, payload("throttled.json")), UsedUp, Throttled),
    ("MAX_COST_EXCEEDED", top_level("MAX_COST_EXCEEDED"), Park, Rejected),
    ("ACCESS_DENIED", top_level("ACCESS_DENIED", root="x"), SignInAgain, Rejected),
    ("SHOP_INACTIVE", top_level("SHOP_INACTIVE"), Closed, Throttled),
    ("INTERNAL_SERVER_ERROR", top_level("INTERNAL_SERVER_ERROR"), Retry, Unknown),
    ("BAD_REQUEST", top_level("BAD_REQUEST", "The @idempotent directive is required"), Park, Rejected),
    ("INVALID_FIELD_ARGUMENTS", top_level("INVALID_FIELD_ARGUMENTS"), Park, Rejected),
    ("INVALID_VARIABLE", top_level("INVALID_VARIABLE"), Park, Rejected),
    ("undefinedField", top_level("undefinedField"), Park, Rejected),
    ("unheard-of code", top_level("WORMHOLE"), Retry, Unknown),
    ("no code", top_level(None), Retry, Unknown),
]


@pytest.mark.parametrize(("answer", "error"), [(a, e) for _, a, e, _ in FAILURES], ids=[f[0] for f in FAILURES])
async def test_failure_of_a_read(answer: Response, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        await SHOPIFY.find_copy(Script(("FindCopy", answer)), "k")
    assert type(raised.value) is error


@pytest.mark.parametrize(("answer", "kind"), [(a, o) for _, a, _, o in FAILURES], ids=[f[0] for f in FAILURES])
async def test_failure_of_a_write(answer: Response, kind: type) -> None:
    outcome = await SHOPIFY.set_on_hand(Script(("SetQuantities", answer)), "1", "2", 5, 6, "key", "count 1")
    assert type(outcome) is kind


async def test_unauthorized_writes_say_so() -> None:
    for answer in (reply(401, {}), reply(403, {}), top_level("ACCESS_DENIED")):
        outcome = await SHOPIFY.set_on_hand(Script(("SetQuantities", answer)), "1", "2", 5, 6, "key", "count 1")
        assert isinstance(outcome, Rejected) and outcome.code == "unauthorized"


async def test_throttled_waits_for_what_is_missing() -> None:
    """752 asked, 666 there, 100 a second: 0.86 s."""
    script = Script(("SetQuantities", reply(200, payload("throttled.json"))))
    outcome = await SHOPIFY.set_on_hand(script, "1", "2", 5, 6, "key", "count 1")
    assert isinstance(outcome, Throttled) and outcome.wait_s == pytest.approx(0.86)
    with pytest.raises(Retry) as raised:
        await SHOPIFY.find_copy(Script(("FindCopy", reply(200, payload("throttled.json")))), "k")
    assert raised.value.wait_s == pytest.approx(0.86)


async def test_no_answer_to_a_write() -> None:
    sent = Script(("SetQuantities", NoAnswer("timed out", sent=True)))
    assert isinstance(await SHOPIFY.set_on_hand(sent, "1", "2", 5, 6, "key", "r"), Unknown)
    refused = Script(("SetQuantities", NoAnswer("connection refused", sent=False)))
    assert isinstance(await SHOPIFY.set_on_hand(refused, "1", "2", 5, 6, "key", "r"), Throttled)


async def test_no_answer_to_a_read_is_the_callers() -> None:
    with pytest.raises(NoAnswer):
        await SHOPIFY.find_copy(Script(("FindCopy", NoAnswer("timed out", sent=True))), "k")


# --- budget ---------------------------------------------------------------------------------------------------------------


def seen(response: Response, bare: bool = False) -> list[BudgetSeen]:
    return SHOPIFY.budget_seen(Request("POST", URL, "Shop", bare=bare), response)


def test_budget_is_what_the_answer_says() -> None:
    status = {"maximumAvailable": 20000.0, "currentlyAvailable": 19990, "restoreRate": 1000.0}
    answer = data({}, cost={"requestedQueryCost": 12, "actualQueryCost": 10, "throttleStatus": status})
    assert seen(answer) == [BudgetSeen("points", rate_per_s=1000.0, burst=20000.0, left=19990.0)]
    (throttled,) = seen(reply(200, payload("throttled.json")))
    assert (throttled.left, throttled.wait_s) == (666.0, pytest.approx(0.86))
    assert seen(reply(429, b"", {"retry-after": "3"})) == [BudgetSeen("points", wait_s=3.0)]


@pytest.mark.parametrize(
    "body", (b"", b"<html>", b"{}", b'{"extensions":null}', b'{"extensions":{"cost":"x"}}', b"[1]")
)
def test_an_answer_without_a_budget_says_nothing(body: bytes) -> None:
    assert seen(reply(200, body)) == []


def test_files_spend_no_points() -> None:
    assert seen(reply(429, b""), bare=True) == []


# --- the feed -------------------------------------------------------------------------------------------------------------


def node(number: int, updated_at: str = "2026-11-23T11:30:00Z", **changes: Any) -> dict[str, Any]:
    money = {"presentmentMoney": {"amount": "19.90", "currencyCode": "EUR"}}
    return {
        "id": f"gid://shopify/Order/{number}",
        "name": f"#{number}",
        "createdAt": "2026-11-23T11:00:00Z",
        "updatedAt": updated_at,
        "test": False,
        "displayFinancialStatus": "PAID",
        "taxesIncluded": True,
        "presentmentCurrencyCode": "EUR",
        "customAttributes": [],
        "shippingLines": {"nodes": [], "pageInfo": PAGE_END},
        "totalPriceSet": money,
        "totalTaxSet": None,
        "totalShippingPriceSet": money,
        "totalDiscountsSet": None,
        "lineItems": {"nodes": [line(1)], "pageInfo": PAGE_END},
        "fulfillments": [],
        "refunds": [],
        "fulfillmentOrders": {"nodes": [], "pageInfo": PAGE_END},
        **changes,
    }


def line(number: int, quantity: int = 1) -> dict[str, Any]:
    money = {"presentmentMoney": {"amount": "19.90", "currencyCode": "EUR"}}
    return {
        "id": f"gid://shopify/LineItem/{number}",
        "name": "Mug",
        "sku": "MUG",
        "quantity": quantity,
        "currentQuantity": quantity,
        "unfulfilledQuantity": quantity,
        "requiresShipping": True,
        "variant": {"id": "gid://shopify/ProductVariant/5"},
        "originalUnitPriceSet": money,
        "totalDiscountSet": money,
        "customAttributes": [],
    }


def page(nodes: list[dict[str, Any]], after: str | None = None) -> dict[str, Any]:
    return {"orders": {"nodes": nodes, "pageInfo": {"hasNextPage": after is not None, "endCursor": after}}}


SINCE = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
WINDOW = "updated_at:>='2026-11-23T11:00:00Z'"


async def test_a_run_asks_one_frozen_query_to_its_end() -> None:
    http = Script(
        ("OrdersChanged", page([node(1), node(2)], "c1")),
        ("OrdersChanged", page([node(2), node(3)])),
    )
    first = await SHOPIFY.fetch(http, Cursor(SINCE), NOW)
    assert http.variables == {"filter": WINDOW, "cursor": None}
    assert first.complete_through_at is None and first.cursor.since == SINCE and first.cursor.run is not None
    later = NOW + timedelta(minutes=5)
    second = await SHOPIFY.fetch(http, first.cursor, later)
    assert http.variables == {"filter": WINDOW, "cursor": "c1"}
    assert second.cursor == Cursor(NOW - timedelta(seconds=10))
    assert second.complete_through_at == NOW - timedelta(seconds=10)
    orders = [SHOPIFY.parse(m)[0] for m in (*first.messages, *second.messages)]
    assert [o.order_id for o in orders if isinstance(o, OrderSeen)] == ["1", "2", "2", "3"]
    keys = [m.delivery_key for m in (*first.messages, *second.messages)]
    assert keys[1] == keys[2] and len(set(keys)) == 3  # a page that overlaps brings the same key
    assert keys[0].startswith("1:2026-11-23T11:30:00Z:") and len(keys[0].rsplit(":", 1)[1]) == 16
    assert first.messages[0].topic == "poll:order" and first.messages[0].fetched_at == NOW


async def test_an_order_that_changed_has_another_key() -> None:
    keys = set()
    for status in ("PAID", "PENDING"):
        http = Script(("OrdersChanged", page([node(1, displayFinancialStatus=status)])))
        keys.add((await SHOPIFY.fetch(http, Cursor(SINCE), NOW)).messages[0].delivery_key)
    assert len(keys) == 2


async def test_the_cursor_never_goes_back() -> None:
    http = Script(("OrdersChanged", page([])))
    found = await SHOPIFY.fetch(http, Cursor(NOW), NOW)
    assert found.cursor.since == NOW and found.messages == ()


async def test_a_search_that_ignores_its_window_is_not_believed() -> None:
    http = Script(("OrdersChanged", page([node(1, "2026-11-20T00:00:00Z")])))
    with pytest.raises(Retry):
        await SHOPIFY.fetch(http, Cursor(SINCE), NOW)


async def test_withheld_personal_fields_do_not_stop_the_feed() -> None:
    error = {"message": "not approved", "path": ["orders", "nodes", 0, "customer"]}
    answer = reply(200, {"data": page([node(1)]), "errors": [{**error, "extensions": {"code": "ACCESS_DENIED"}}]})
    found = await SHOPIFY.fetch(Script(("OrdersChanged", answer)), Cursor(SINCE), NOW)
    assert len(found.messages) == 1


@pytest.mark.parametrize(("code", "error"), (("ACCESS_DENIED", SignInAgain), ("INTERNAL_SERVER_ERROR", Retry)))
async def test_a_hole_where_it_matters_does(code: str, error: type[Exception]) -> None:
    hole = {"message": "no", "path": ["orders", "nodes", 0, "refunds"], "extensions": {"code": code}}
    answer = reply(200, {"data": page([node(1)]), "errors": [hole]})
    with pytest.raises(error):
        await SHOPIFY.fetch(Script(("OrdersChanged", answer)), Cursor(SINCE), NOW)


async def test_one_order_by_id() -> None:
    http = Script(("Order", {"order": node(7)}))
    message = await SHOPIFY.fetch_order(http, "7")
    assert http.variables == {"id": "gid://shopify/Order/7"}
    assert message is not None and message.topic == "poll:order"
    assert await SHOPIFY.fetch_order(Script(("Order", {"order": None})), "7") is None


async def test_an_order_too_large_for_the_short_form_is_read_in_parts() -> None:
    """Six lines: the short form shows five. The long form reads head, lines by pages, and each parcel, refund, fulfilment order."""
    short = node(
        7, lineItems={"nodes": [line(n) for n in range(1, 6)], "pageInfo": {"hasNextPage": True, "endCursor": "x"}}
    )
    units = {"nodes": [{"quantity": 1, "lineItem": {"id": "gid://shopify/LineItem/1"}}], "pageInfo": PAGE_END}
    more_units = {"nodes": [{"quantity": 2, "lineItem": {"id": "gid://shopify/LineItem/6"}}], "pageInfo": PAGE_END}
    parcel = {"id": "gid://shopify/Fulfillment/8", "status": "SUCCESS", "createdAt": "2026-11-23T11:20:00Z"}
    parcel = {**parcel, "location": {"id": "gid://shopify/Location/61"}, "trackingInfo": []}
    refunded = {
        "id": "gid://shopify/RefundLineItem/4",
        "quantity": 1,
        "restockType": "RETURN",
        "lineItem": {"id": "gid://shopify/LineItem/6"},
        "location": None,
    }
    work = {"id": "gid://shopify/FulfillmentOrder/3", "status": "OPEN"}
    work = {**work, "assignedLocation": {"location": {"id": "gid://shopify/Location/61"}}}
    remaining = {
        "nodes": [{"remainingQuantity": 1, "lineItem": {"id": "gid://shopify/LineItem/2"}}],
        "pageInfo": PAGE_END,
    }
    head = {
        **{name: value for name, value in short.items() if name != "lineItems"},
        "fulfillments": [{"id": parcel["id"]}],
        "refunds": [{"id": "gid://shopify/Refund/9"}],
        "fulfillmentOrders": {"nodes": [{"id": work["id"]}], "pageInfo": PAGE_END},
    }
    lines = [line(n, 3) for n in range(1, 7)]
    http = Script(
        ("Order", {"order": short}),
        ("OrderHeadAndParts", {"order": head}),
        (
            "OrderLines",
            {"part": {"lineItems": {"nodes": lines[:4], "pageInfo": {"hasNextPage": True, "endCursor": "l1"}}}},
        ),
        ("OrderLines", {"part": {"lineItems": {"nodes": lines[4:], "pageInfo": PAGE_END}}}),
        (
            "Fulfillment",
            part(parcel, fulfillmentLineItems={**units, "pageInfo": {"hasNextPage": True, "endCursor": "f1"}}),
        ),
        ("Fulfillment", part(parcel, fulfillmentLineItems=more_units)),
        ("RefundById", part(head["refunds"][0], refundLineItems={"nodes": [refunded], "pageInfo": PAGE_END})),
        ("FulfillmentOrder", part(work, lineItems=remaining)),
    )
    message = await SHOPIFY.fetch_order(http, "7")
    http.done()
    assert message is not None
    (fact,) = SHOPIFY.parse(message)
    assert isinstance(fact, OrderSeen)
    assert [(seen.line_id, seen.ordered, seen.shipped) for seen in fact.lines] == [
        ("1", 3, 1),
        ("2", 3, 0),
        ("3", 3, 0),
        ("4", 3, 0),
        ("5", 3, 0),
        ("6", 3, 2),
    ]
    assert fact.returns[0].line_id == "6" and fact.locations == {"2": {"gid://shopify/Location/61": 1}}


def part(value: dict[str, Any], **connection: Any) -> dict[str, Any]:
    return {"part": {**value, **connection}}


async def test_as_many_parcels_as_the_short_form_shows_may_be_more() -> None:
    parcel = {"status": "SUCCESS", "createdAt": "2026-11-23T11:20:00Z", "location": None, "trackingInfo": []}
    units = {"nodes": [], "pageInfo": PAGE_END}
    short = node(
        7,
        fulfillments=[
            {**parcel, "id": f"gid://shopify/Fulfillment/{n}", "fulfillmentLineItems": units} for n in range(3)
        ],
    )
    http = Script(("Order", {"order": short}), ("OrderHeadAndParts", {"order": None}))
    assert await SHOPIFY.fetch_order(http, "7") is None
    http.done()


# --- shop, locations, levels ------------------------------------------------------------------------------------------------

SHOP = {
    "shop": {
        "id": "gid://shopify/Shop/1",
        "name": "Demo",
        "myshopifyDomain": "Demo.myshopify.com",
        "currencyCode": "EUR",
        "ianaTimezone": "Europe/Berlin",
        "taxesIncluded": True,
        "plan": {"publicDisplayName": "Basic", "partnerDevelopment": False, "shopifyPlus": False},
    },
    "currentAppInstallation": {
        "id": "gid://shopify/AppInstallation/1",
        "accessScopes": [{"handle": h} for h in ("read_products", "write_inventory", "read_orders", "write_orders")],
    },
}


async def test_who() -> None:
    account = await SHOPIFY.who(Script(("Shop", SHOP)))
    assert (account.external_id, account.label, account.currency) == ("demo.myshopify.com", "Demo", "EUR")
    assert "write_inventory" in account.extra["scopes"]


async def test_locations_by_pages() -> None:
    def place(number: int, **changes: Any) -> dict[str, Any]:
        flags = {"isActive": True, "fulfillsOnlineOrders": True, "isFulfillmentService": False, "address": {}}
        return {"id": f"gid://shopify/Location/{number}", "name": f"L{number}", **flags, **changes}

    http = Script(
        ("Locations", {"locations": {"nodes": [place(1)], "pageInfo": {"hasNextPage": True, "endCursor": "a"}}}),
        (
            "Locations",
            {"locations": {"nodes": [place(2, isActive=False, isFulfillmentService=True)], "pageInfo": PAGE_END}},
        ),
    )
    found = await SHOPIFY.locations(http)
    assert [(x.location_id, x.active, x.is_fulfillment_service) for x in found] == [
        ("gid://shopify/Location/1", True, False),
        ("gid://shopify/Location/2", False, True),
    ]


ITEM, L1, L2 = "gid://shopify/InventoryItem/11", "gid://shopify/Location/1", "gid://shopify/Location/2"


def level(location: str, **numbers: int) -> dict[str, Any]:
    names = {
        "available": 4,
        "committed": 2,
        "on_hand": 12,
        "reserved": 1,
        "incoming": 7,
        "damaged": 2,
        "quality_control": 1,
        "safety_stock": 2,
        **numbers,
    }
    return {
        "id": f"gid://shopify/InventoryLevel/5?inventory_item_id=11&l={location[-1]}",
        "location": {"id": location},
        "quantities": [{"name": name, "quantity": number} for name, number in names.items()],
    }


def item(*levels: dict[str, Any], after: str | None = None, tracked: bool = True) -> dict[str, Any]:
    info = {"hasNextPage": after is not None, "endCursor": after}
    return {
        "__typename": "InventoryItem",
        "id": ITEM,
        "tracked": tracked,
        "inventoryLevels": {"nodes": list(levels), "pageInfo": info},
    }


async def test_levels_take_all_names_and_all_pages() -> None:
    http = Script(
        ("ItemLevels", {"nodes": [item(level(L1), after="p")]}),
        ("MoreLevels", {"part": item(level(L2, available=-1))}),
    )
    assert await SHOPIFY.levels(http, ["11"]) == [
        HubLevel(ITEM, L1, 12, 4, 2, 1, 5, 7, NOW),
        HubLevel(ITEM, L2, 12, -1, 2, 1, 5, 7, NOW),
    ]
    assert http.bodies[0]["variables"] == {"ids": [ITEM]}
    assert http.requests[0].cost == 17.0


async def test_levels_ask_at_most_fifteen_items_a_call() -> None:
    http = Script(
        ("ItemLevels", {"nodes": [None] * 15}),
        ("ItemLevels", {"nodes": [None]}),
    )
    assert await SHOPIFY.levels(http, [str(n) for n in range(16)]) == []
    assert [len(body["variables"]["ids"]) for body in http.bodies] == [15, 1]


async def test_levels_of_untracked_items_are_left_out() -> None:
    assert await SHOPIFY.levels(Script(("ItemLevels", {"nodes": [item(level(L1), tracked=False)]})), [ITEM]) == []


async def test_a_level_without_a_number_is_not_zero() -> None:
    broken = level(L1)
    broken["quantities"] = [q for q in broken["quantities"] if q["name"] != "on_hand"]
    with pytest.raises(Retry):
        await SHOPIFY.levels(Script(("ItemLevels", {"nodes": [item(broken)]})), [ITEM])


async def test_an_answer_that_lost_a_node_is_not_matched_by_place() -> None:
    with pytest.raises(Retry):
        await SHOPIFY.levels(Script(("ItemLevels", {"nodes": []})), [ITEM])


def outlets(*external_ids: str) -> list[Outlet]:
    return [Outlet(external_id, external_id) for external_id in external_ids]


async def test_read_shows_available_as_it_is() -> None:
    http = Script(("ItemLevels", {"nodes": [item(level(L1, available=-1), level(L2, available=3)), None]}))
    wanted = outlets(f"{ITEM}|{L1}", f"{ITEM}|{L2}", f"{ITEM}|{L1[:-1]}9", "gid://shopify/InventoryItem/12|" + L1, ITEM)
    found = await SHOPIFY.read(http, wanted)
    assert [(s.external_id, s.quantity, s.state) for s in found] == [
        (f"{ITEM}|{L1}", -1, "live"),
        (f"{ITEM}|{L2}", 3, "live"),
        (f"{ITEM}|{L1[:-1]}9", None, "gone"),
        (f"gid://shopify/InventoryItem/12|{L1}", None, "gone"),
        (ITEM, 2, "live"),
    ]
    assert http.variables == {"ids": [ITEM, "gid://shopify/InventoryItem/12"]}
    assert all(s.read_at == NOW for s in found)


async def test_read_of_an_untracked_item_has_no_number() -> None:
    (found,) = await SHOPIFY.read(Script(("ItemLevels", {"nodes": [item(tracked=False)]})), outlets(f"{ITEM}|{L1}"))
    assert found == Seen(f"{ITEM}|{L1}", None, NOW, problem="the item is not tracked")


async def test_the_hub_is_not_written_by_slots() -> None:
    offers = [Offer(outlet, 3) for outlet in outlets("a", "b")]
    outcomes = await SHOPIFY.publish(Script(), offers)
    assert [o.code for o in outcomes if isinstance(o, Rejected)] == ["not_written", "not_written"]


# --- catalogue ------------------------------------------------------------------------------------------------------------


def product(number: int, title: str, **changes: Any) -> dict[str, Any]:
    facts = {"vendor": "Kiln & Clay", "productType": "Tableware", "tags": ["kitchen", "Sale"]}
    return {"id": f"gid://shopify/Product/{number}", "title": title, "status": "ACTIVE", **facts, **changes}


def variant(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/ProductVariant/{number}",
        "title": "Default Title",
        "sku": " mug-1 ",
        "barcode": "4012345678901",
        "price": "19.90",
        "compareAtPrice": "24.00",
        "inventoryQuantity": 4,
        "requiresComponents": False,
        "product": product(8, "Mug"),
        "inventoryItem": {
            "id": f"gid://shopify/InventoryItem/{number + 100}",
            "sku": " mug-1 ",
            "tracked": True,
            "unitCost": {"amount": "7.5", "currencyCode": "EUR"},
        },
        **changes,
    }


def variants(*nodes: dict[str, Any], after: str | None = None) -> dict[str, Any]:
    info = {"hasNextPage": after is not None, "endCursor": after}
    return {"shop": {"currencyCode": "EUR"}, "productVariants": {"nodes": list(nodes), "pageInfo": info}}


async def test_catalogue_by_pages() -> None:
    http = Script(("Variants", variants(variant(1), after="v1")), ("Variants", variants(variant(2, title="Red"))))
    first = await SHOPIFY.catalogue(http, None)
    assert first.cursor is not None
    second = await SHOPIFY.catalogue(http, first.cursor)
    assert http.variables == {"cursor": "v1", "filter": None}
    assert second.cursor is None
    (found,) = first.listings
    assert found.outlet_external_id == found.write_unit == "gid://shopify/InventoryItem/101"
    assert found.listing_keys == ("variant:1", "item:gid://shopify/InventoryItem/101", "sku: mug-1 ")
    told = (found.sku, found.title, found.quantity, found.price_minor, found.currency)
    assert told == (" mug-1 ", "Mug", 4, 1990, "EUR")
    assert found.extra == {
        "variant_id": "gid://shopify/ProductVariant/1",
        "item_id": "gid://shopify/InventoryItem/101",
        "product_id": "gid://shopify/Product/8",
    }
    assert second.listings[0].title == "Mug - Red"
    cost, was = Money(750, "EUR"), Money(2400, "EUR")
    assert found.facts == HubFacts("Kiln & Clay", "Tableware", ("kitchen", "Sale"), cost, was, "4012345678901")


async def test_a_variant_that_says_little_has_facts_that_say_little() -> None:
    bare = variant(1, barcode=None, compareAtPrice=None, product=product(8, "Mug", vendor="", productType="", tags=[]))
    bare["inventoryItem"]["unitCost"] = None
    (found,) = (await SHOPIFY.catalogue(Script(("Variants", variants(bare))), None)).listings
    assert found.facts == HubFacts()  # an unknown cost is not 0


@pytest.mark.parametrize(
    ("changes", "state", "untracked"),
    (
        ({}, "live", False),
        ({"product": product(8, "Mug", status="ARCHIVED")}, "inactive", False),
        ({"product": product(8, "Mug", status="DRAFT")}, "draft", False),
        ({"requiresComponents": True}, "live", True),
        (
            {
                "inventoryItem": {
                    "id": "gid://shopify/InventoryItem/1",
                    "sku": None,
                    "tracked": False,
                    "unitCost": None,
                },
                "sku": None,
            },
            "live",
            True,
        ),
    ),
)
async def test_variant_state(changes: dict[str, Any], state: str, untracked: bool) -> None:
    (found,) = (await SHOPIFY.catalogue(Script(("Variants", variants(variant(1, **changes)))), None)).listings
    assert (found.state, found.untracked) == (state, untracked)


async def test_catalogue_of_one_product_or_item() -> None:
    other = variant(3, product=product(9, "Cup"))
    http = Script(("Variants", variants(variant(1), other)))
    found = await SHOPIFY.catalogue(http, {"only": "gid://shopify/Product/8"})
    assert http.variables["filter"] == "product_id:8"
    assert [x.listing_keys[0] for x in found.listings] == ["variant:1"]  # an ignored filter brings more
    answer = {"shop": {"currencyCode": "EUR"}, "inventoryItem": {"variants": {"nodes": [variant(1)]}}}
    http = Script(("VariantsOfItem", answer))
    assert len((await SHOPIFY.catalogue(http, {"only": "gid://shopify/InventoryItem/101"})).listings) == 1


# --- exports --------------------------------------------------------------------------------------------------------------

EXPORT = "gid://shopify/BulkOperation/1"


def started(**changes: Any) -> dict[str, Any]:
    operation = {"id": EXPORT, "status": "CREATED", "createdAt": "2026-11-23T11:50:00Z"}
    return {"bulkOperationRunQuery": {"bulkOperation": operation, "userErrors": [], **changes}}


async def test_start_export() -> None:
    for start in (SHOPIFY.start_levels_export, SHOPIFY.start_catalogue_export):
        assert await start(Script(("StartExport", started()))) == ExportState(EXPORT, "running")


@pytest.mark.parametrize(
    ("code", "kind"), (("OPERATION_IN_PROGRESS", Throttled), ("LIMIT_REACHED", Throttled), ("INVALID", Rejected))
)
async def test_start_export_refused(code: str, kind: type) -> None:
    error = {"code": code, "field": None, "message": "no"}
    answer = started(bulkOperation=None, userErrors=[error])
    assert isinstance(await SHOPIFY.start_levels_export(Script(("StartExport", answer))), kind)


def operation(**changes: Any) -> dict[str, Any]:
    base = {
        "id": EXPORT,
        "status": "COMPLETED",
        "errorCode": None,
        "objectCount": "3",
        "createdAt": "2026-11-23T11:50:00Z",
    }
    return {"bulkOperation": {**base, "url": "https://storage.example/x.jsonl?sig=1", **changes}}


@pytest.mark.parametrize(
    ("changes", "state"),
    (
        ({}, ExportState(EXPORT, "done", 3, "https://storage.example/x.jsonl?sig=1")),
        ({"url": None, "objectCount": "0"}, ExportState(EXPORT, "done", 0, None)),
        ({"status": "RUNNING", "url": None}, ExportState(EXPORT, "running", 3)),
        ({"status": "FAILED", "errorCode": "TIMEOUT", "url": None}, ExportState(EXPORT, "failed", 3, reason="TIMEOUT")),
        ({"status": "CANCELED", "url": None}, ExportState(EXPORT, "failed", 3, reason="CANCELED")),
        ({"status": "EXPIRED"}, ExportState(EXPORT, "failed", 3, reason="EXPIRED")),
    ),
)
async def test_export_state(changes: dict[str, Any], state: ExportState) -> None:
    assert await SHOPIFY.export_state(Script(("ExportState", operation(**changes))), EXPORT) == state


DONE = ExportState(EXPORT, "done", 3, "https://storage.example/x.jsonl?sig=1")


def jsonl(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).replace("/", "\\/").encode() + b"\n" for row in rows)


async def all_of(batches: AsyncIterator[list[Any]]) -> list[Any]:
    return [one async for batch in batches for one in batch]


def exported(level: dict[str, Any], item: str, tracked: bool) -> dict[str, Any]:
    return {"item": {"tracked": tracked}, **level, "__parentId": item}


async def test_levels_export_bears_children_in_any_order() -> None:
    """Children need not follow their parent: an item that is not tracked is known by its levels' own lines."""
    body = jsonl(
        exported(level(L2), ITEM, True),
        {"id": "gid://shopify/InventoryItem/12"},
        {"id": ITEM},
        exported(level(L1), "gid://shopify/InventoryItem/12", False),
        exported(level(L1, available=0), ITEM, True),
    )
    http = Script(("ExportState", operation()), ("bulk_download", reply(200, body)))
    found = await all_of(SHOPIFY.levels_export(http, DONE))
    at = datetime(2026, 11, 23, 11, 50, tzinfo=UTC)
    assert found == [HubLevel(ITEM, L2, 12, 4, 2, 1, 5, 7, at), HubLevel(ITEM, L1, 12, 0, 2, 1, 5, 7, at)]
    download = http.requests[-1]
    assert (download.method, download.url, download.bare, download.cost) == ("GET", DONE.url, True, 0)


async def test_S4_6_a_large_export_comes_in_batches() -> None:
    body = jsonl(*(exported(level(L1), f"gid://shopify/InventoryItem/{n}", True) for n in range(2 * BATCH + 1)))
    http = Script(("ExportState", operation()), ("bulk_download", reply(200, body)))
    assert [len(batch) async for batch in SHOPIFY.levels_export(http, DONE)] == [BATCH, BATCH, 1]


async def test_an_empty_export_has_no_file() -> None:
    http = Script(("ExportState", operation(url=None)))
    assert await all_of(SHOPIFY.levels_export(http, ExportState(EXPORT, "done"))) == []


async def test_catalogue_export() -> None:
    http = Script(("bulk_download", reply(200, jsonl(variant(1), variant(2, title="Red")))))
    found = await all_of(SHOPIFY.catalogue_export(http, DONE))
    assert [(x.listing_keys[0], x.title, x.price_minor) for x in found] == [
        ("variant:1", "Mug", 1990),
        ("variant:2", "Mug - Red", 1990),
    ]


@pytest.mark.parametrize("answer", (reply(404, b""), reply(200, b'{"id":"gid:'), reply(200, b"[1]\n"), reply(500, b"")))
async def test_half_a_file_does_not_look_whole(answer: Response) -> None:
    with pytest.raises(Retry):
        await all_of(SHOPIFY.catalogue_export(Script(("bulk_download", answer)), DONE))


async def test_an_export_that_is_not_done_is_not_read() -> None:
    with pytest.raises(Retry):
        await all_of(SHOPIFY.catalogue_export(Script(), ExportState(EXPORT, "failed", reason="TIMEOUT")))


async def test_export_rows_bear_blank_lines() -> None:
    http = Script(("bulk_download", reply(200, b"\n" + jsonl(variant(1)) + b"\n\n")))
    assert len(await all_of(SHOPIFY.catalogue_export(http, DONE))) == 1


# --- webhooks -------------------------------------------------------------------------------------------------------------

URI = "https://hub.example/webhooks/shopify"
OK_CREATE = {
    "webhookSubscriptionCreate": {
        "webhookSubscription": {"id": "gid://shopify/WebhookSubscription/9"},
        "userErrors": [],
    }
}
OK_DELETE = {
    "webhookSubscriptionDelete": {
        "deletedWebhookSubscriptionId": "gid://shopify/WebhookSubscription/1",
        "userErrors": [],
    }
}


def subscription(topic: str, uri: str = URI, fields: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/WebhookSubscription/{topic}",
        "topic": topic,
        "uri": uri,
        "filter": None,
        "includeFields": list(fields),
    }


def listed(*nodes: dict[str, Any]) -> Step:
    return ("Subscriptions", {"webhookSubscriptions": {"nodes": list(nodes), "pageInfo": PAGE_END}})


async def test_subscribe_makes_only_what_is_missing() -> None:
    have = [subscription(t) for t in TOPICS if t != "REFUNDS_CREATE"]
    http = Script(("Shop", SHOP), listed(*have), ("Subscribe", OK_CREATE))
    findings = await SHOPIFY.subscribe(http, URI, {})
    assert http.variables == {"topic": "REFUNDS_CREATE", "uri": URI}
    assert [f.ok for f in findings if f.what.startswith("webhook")] == [True] * len(TOPICS)


async def test_subscribe_replaces_a_wrong_address_after_the_new_one_stands() -> None:
    have = [subscription(t, "https://old.example" if t == "ORDERS_CREATE" else URI) for t in TOPICS]
    http = Script(("Shop", SHOP), listed(*have), ("Subscribe", OK_CREATE), ("Unsubscribe", OK_DELETE))
    await SHOPIFY.subscribe(http, URI, {})
    http.done()
    assert http.variables == {"id": "gid://shopify/WebhookSubscription/ORDERS_CREATE"}


async def test_subscribe_replaces_one_whose_payload_is_cut() -> None:
    have = [subscription(t, fields=("id",) if t == "ORDERS_CREATE" else ()) for t in TOPICS]
    http = Script(("Shop", SHOP), listed(*have), ("Unsubscribe", OK_DELETE), ("Subscribe", OK_CREATE))
    await SHOPIFY.subscribe(http, URI, {})
    http.done()


async def test_subscribe_says_what_was_refused() -> None:
    refused = {
        "webhookSubscriptionCreate": {
            "webhookSubscription": None,
            "userErrors": [{"field": ["topic"], "message": "no scope"}],
        }
    }
    http = Script(("Shop", SHOP), listed(*[subscription(t) for t in TOPICS[1:]]), ("Subscribe", refused))
    findings = await SHOPIFY.subscribe(http, URI, {})
    assert [f.todo for f in findings if f.what == f"webhook {TOPICS[0]}"] == ["Subscribe: no scope"]


async def test_subscribe_checks_scopes_and_version() -> None:
    answer = reply(200, {"data": SHOP}, {"x-shopify-api-version": "2027-01"})
    findings = await SHOPIFY.subscribe(Script(("Shop", answer)), None, {})
    missing = {f.what for f in findings if not f.ok}
    assert "API version 2026-10" in missing and "webhooks" in missing and "scope read_locations" in missing
    assert "scope read_inventory" not in missing  # write_inventory includes it
    assert len([f for f in findings if f.what.startswith("scope ")]) == len(SCOPES)


ANY_READ: list[tuple[str, Callable[[Shopify, Script], Awaitable[object]]]] = [
    ("Shop", lambda s, h: s.who(h)),
    ("Locations", lambda s, h: s.locations(h)),
    ("ItemLevels", lambda s, h: s.read(h, outlets(ITEM))),
    ("Variants", lambda s, h: s.catalogue(h, None)),
    ("OrdersChanged", lambda s, h: s.fetch(h, Cursor(SINCE), NOW)),
    ("Order", lambda s, h: s.fetch_order(h, "1")),
    ("ExportState", lambda s, h: s.export_state(h, EXPORT)),
]


@pytest.mark.parametrize(("name", "read"), ANY_READ, ids=[name for name, _ in ANY_READ])
async def test_every_read_waits_when_throttled(name: str, read: Callable[[Shopify, Script], Awaitable[object]]) -> None:
    with pytest.raises(Retry) as raised:
        await read(SHOPIFY, Script((name, reply(200, payload("throttled.json")))))
    assert raised.value.wait_s == pytest.approx(0.86)


async def test_writes_are_marked_as_writes() -> None:
    http = Script(("SetQuantities", reply(500, b"")), ("FindCopy", data({"orderByIdentifier": None})))
    await SHOPIFY.set_on_hand(http, "1", "2", 5, 6, "key", "r")
    await SHOPIFY.find_copy(http, "k")
    assert [r.writes for r in http.requests] == [True, False]
