"""eBay: messages → facts, the door, tokens, budgets. Requests to eBay: test_ebay_connector_requests.py."""

from __future__ import annotations

import base64
import hashlib
import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from oneshelf.channels.contract import Channel, NoAnswer, RawMessage, RawRequest, Request, Response, Secret
from oneshelf.channels.ebay import connect
from oneshelf.channels.ebay.auth import consent_url
from oneshelf.core.errors import Park, Retry, SignInAgain, Unreadable
from oneshelf.core.facts import AccessLost, ErasureAsked, Ignored, OrderHint, OrderSeen, Payment

PAYLOADS = Path(__file__).parent / "payloads" / "ebay"
NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
SELLER = connect({"user_id": "ma8vp1jySJC"})
APP = {"client_id": "app", "client_secret": "cert", "verification_token": "t" * 40}


class Scripted:
    """An Http that gives prepared answers in order and keeps what was asked."""

    def __init__(self, *answers: object) -> None:
        self.answers, self.asked = list(answers), []

    async def request(self, request: Request) -> Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body, *headers = answer
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Response(status, headers[0] if headers else {}, raw, NOW)


def document(name: str = "order_two_parcels") -> dict[str, Any]:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def seen(document: Any) -> OrderSeen:
    [fact] = SELLER.parse(RawMessage("poll:order", json.dumps(document).encode()))
    assert isinstance(fact, OrderSeen)
    return fact


def changed(**changes: object) -> OrderSeen:
    whole = document()
    whole["order"].update(changes)
    return seen(whole)


def us_order(tax: list[object] | None = None, **pricing: str) -> OrderSeen:
    order = document("order_us_tax")
    order["pricingSummary"].update({name: {"value": value, "currency": "USD"} for name, value in pricing.items()})
    if tax is not None:
        order["lineItems"][0]["taxes"] = tax
    return seen(order)


def test_ebay_is_a_channel() -> None:
    assert isinstance(SELLER, Channel)


# --- orders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("order_two_parcels", "poll:order"),
        ("order_us_tax", "poll:order"),
        ("order_confirmation", "ORDER_CONFIRMATION"),
        ("account_deletion", "MARKETPLACE_ACCOUNT_DELETION"),
    ],
)
def test_payload_becomes_its_facts(name: str, topic: str) -> None:
    facts = SELLER.parse(RawMessage(topic, (PAYLOADS / f"{name}.json").read_bytes()))
    assert json.loads(msgspec.json.encode(facts)) == json.loads((PAYLOADS / f"{name}.facts.json").read_text())


@pytest.mark.parametrize(
    ("status", "payment"),
    [
        ("PENDING", Payment.PENDING),
        ("PAID", Payment.PAID),
        ("FAILED", Payment.FAILED),
        ("PARTIALLY_REFUNDED", Payment.PAID),
        ("FULLY_REFUNDED", Payment.PAID),
        ("SOMETHING_NEW", Payment.PENDING),
        (None, Payment.PENDING),
    ],
)
def test_payment_status(status: str, payment: Payment) -> None:
    assert changed(orderPaymentStatus=status).payment is payment


def test_a_full_refund_is_no_cancel_and_a_cancel_frees_only_what_is_not_shipped() -> None:
    assert not changed(orderPaymentStatus="FULLY_REFUNDED").cancelled
    order = changed(cancelStatus={"cancelState": "CANCELED", "cancelledDate": "2026-09-24T10:00:00Z"})
    assert order.cancelled and order.cancelled_at == datetime(2026, 9, 24, 10, tzinfo=UTC)
    assert [(line.ordered, line.shipped, line.cancelled) for line in order.lines] == [(4, 4, 0), (4, 1, 3)]


def test_a_wish_to_cancel_is_a_note() -> None:
    order = changed(cancelStatus={"cancelState": "IN_PROGRESS", "cancelRequests": []})
    assert not order.cancelled
    assert "asked for" in order.note


def test_units_shipped_come_from_the_parcels_only() -> None:
    whole = document()
    whole["shippingFulfillments"] = []
    assert [line.shipped for line in seen(whole).lines] == [0, 0]
    whole["shippingFulfillments"] = None
    assert [line.shipped for line in seen(whole).lines] == [1, 1], "FULFILLED proves one unit, no more"
    assert [line.shipped for line in seen(whole["order"]).lines] == [1, 1]
    whole = document()
    whole["shippingFulfillments"][1]["lineItems"] = [{"lineItemId": "10085146243312", "quantity": None}]
    assert seen(whole).lines[1].shipped == 4
    whole["shippingFulfillments"][1]["lineItems"] = [{"lineItemId": "10085146243312", "quantity": "9"}]
    assert seen(whole).lines[1].shipped == 4


def test_listing_keys_by_variation_then_sku() -> None:
    whole = document()
    line = whole["order"]["lineItems"][0]
    line.update(legacyVariationId="0", sku=" ")
    assert seen(whole).lines[0].listing_keys == ("listing:405522551284/",)
    line.update(legacyItemId=None, sku="A B/C")
    assert seen(whole).lines[0].listing_keys == ("sku:A B/C",)


def test_tax_collected_by_ebay_is_what_the_buyer_paid_with_and_without_breakdown() -> None:
    both = {"taxType": "STATE_SALES_TAX", "amount": {"value": "10.11", "currency": "USD"}}
    for order in (us_order(), us_order(tax=[both], total="97.99", tax_="10.11")):
        assert order.totals is not None
        assert (order.totals.tax.minor, order.totals.total.minor) == (1011, 9799)
        assert [tax.collected_by_channel for tax in order.lines[0].taxes] == [True]
        assert order.note == ""


def test_own_tax_is_not_collected_by_ebay() -> None:
    own = {"taxType": "TIRE_RECYCLING_FEE", "amount": {"value": "2.00", "currency": "USD"}}
    order = us_order(tax=[own], total="89.88")
    assert [(tax.title, tax.amount.minor, tax.collected_by_channel) for tax in order.lines[0].taxes] == [
        ("Tire recycling fee", 200, False),
        ("State sales tax", 1011, True),
    ]
    assert order.totals is not None and order.totals.total.minor == 9999


@pytest.mark.parametrize(
    ("pricing", "shipping", "discount", "total", "remark"),
    [
        ({"total": "97.99"}, 0, 0, 9799, False),
        ({"deliveryCost": "5.00", "deliveryDiscount": "-5.00", "total": "87.88"}, 0, 0, 9799, False),
        ({"adjustment": "-3.00", "total": "84.88"}, 0, 300, 9499, False),
        ({"fee": "1.50", "total": "99.49"}, 150, 0, 9949, False),
        ({"priceDiscount": "-8.00", "total": "79.88"}, 0, 800, 8999, False),
        ({"total": "100.00"}, 201, 0, 10000, True),
        ({"total": "90.00"}, 0, 799, 9000, True),
    ],
)
def test_totals_always_meet_the_total(
    pricing: dict[str, str], shipping: int, discount: int, total: int, remark: bool
) -> None:
    order = us_order(**pricing)
    totals = order.totals
    assert totals is not None
    assert (totals.shipping.minor, totals.discount.minor, totals.total.minor) == (shipping, discount, total)
    assert totals.items.minor + shipping + totals.tax.minor - discount == total
    assert sum(line.discount.minor for line in order.lines if line.discount) == discount
    assert ("miss its total" in order.note) is remark


def test_money_that_cannot_be_read_does_not_keep_stock_from_being_held() -> None:
    for odd in (
        {"value": "12,50", "currency": "EUR"},
        {"value": "12.50", "currency": "GBP"},
        {"value": "NaN", "currency": "EUR"},
    ):
        whole = document()
        whole["order"]["lineItems"][0]["lineItemCost"] = odd
        order = seen(whole)
        assert order.totals is None and [line.ordered for line in order.lines] == [4, 4]
        assert "money can't be read" in order.note


def test_dates_without_milliseconds_ids_as_numbers_nulls_and_new_fields() -> None:
    whole = document()
    order = whole["order"]
    order.update(orderId=1215199, lastModifiedDate="2026-09-23T09:41:52Z", buyer=None, newField=[1], program=None)
    order["lineItems"][0].update(
        quantity="4", lineItemId=10085146243212, taxes=None, lineItemFulfillmentInstructions=None
    )
    found = seen(whole)
    assert (found.order_id, found.lines[0].line_id, found.lines[0].shipped) == ("1215199", "10085146243212", 4)
    assert found.updated_at == datetime(2026, 9, 23, 9, 41, 52, tzinfo=UTC)
    assert found.buyer is not None and found.buyer.name == "Muster Bau & Energie GmbH"


def test_what_the_packer_must_know() -> None:
    start = document()["order"]["fulfillmentStartInstructions"]
    start[0]["shippingStep"]["shipToReferenceId"] = "EBAY123"
    order = changed(fulfillmentStartInstructions=start, buyerCheckoutNotes="Ring twice")
    assert order.note.startswith("Ring twice") and "EBAY123" in order.note
    digital = deepcopy(start)
    digital[0]["fulfillmentInstructionsType"] = "DIGITAL"
    assert not changed(fulfillmentStartInstructions=digital).lines[0].needs_shipping
    digital[0]["fulfillmentInstructionsType"] = "FULFILLED_BY_EBAY"
    assert changed(fulfillmentStartInstructions=digital).fulfilled_by_channel
    assert changed(fulfillmentStartInstructions=None).ship_to is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        (PAYLOADS / "order_two_parcels.json").read_bytes()[:-30],
        b"\xff{}",
        b"{}",
        b'{"order":null}',
        b'{"orderId":null,"lineItems":[]}',
        b'{"orderId":"1","lineItems":[{"lineItemId":"1"}]}',
        b'{"orderId":"1","lineItems":[{"lineItemId":null,"quantity":1}]}',
        b'{"orderId":"1","lineItems":[{"lineItemId":"1","quantity":-2}]}',
        b'{"orderId":"1","lineItems":[],"buyer":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b"<html>503</html>",
    ],
)
def test_unreadable_order_says_so(body: bytes) -> None:
    with pytest.raises(Unreadable):
        SELLER.parse(RawMessage("poll:order", body))


# --- notifications ---------------------------------------------------------------------------------------------------


def notice(topic: str, data: object) -> RawMessage:
    body = {"metadata": {"topic": topic, "schemaVersion": "1.0"}, "notification": {"notificationId": "n", "data": data}}
    return RawMessage(topic, json.dumps(body).encode())


SHIPPED = {"orderId": "11-1", "lineItemId": "6", "publicUserId": "ma8vp1jySJC", "trackingNumber": "94"}
CANCEL = {
    "activityType": "CANCELLATION_COMPLETED",
    "orderCancellation": {
        "seller": {"userId": "ma8vp1jySJC"},
        "cancellationLineItems": [{"orderId": "11-1"}, {"orderId": "11-1"}, {"orderId": "11-2"}],
    },
}


def test_notifications_become_hints() -> None:
    assert SELLER.parse(notice("ITEM_MARKED_SHIPPED", SHIPPED)) == [OrderHint("11-1")]
    assert SELLER.parse(notice("ITEM_MARKED_SHIPPED", {"itemMarkedShipped": SHIPPED})) == [OrderHint("11-1")]
    assert SELLER.parse(notice("ORDER_CANCELLATION_ACTIVITY", CANCEL)) == [OrderHint("11-1"), OrderHint("11-2")]
    revoked = {"userId": "ma8vp1jySJC", "revokeReason": "PASSWORD_CHANGE"}
    assert SELLER.parse(notice("AUTHORIZATION_REVOCATION", revoked)) == [AccessLost("PASSWORD_CHANGE")]
    assert SELLER.parse(notice("MARKETPLACE_ACCOUNT_DELETION", {"userId": "b", "username": "b"})) == [
        ErasureAsked("erase", "b")
    ]
    for topic in ("ORDER_RETURN_ACTIVITY", "NEW_MESSAGE", "FEEDBACK_LEFT", "ITEM_OUT_OF_STOCK", "LISTING"):
        [fact] = SELLER.parse(notice(topic, {}))
        assert isinstance(fact, Ignored)


@pytest.mark.parametrize(
    ("topic", "data"),
    [
        ("ORDER_CONFIRMATION", {"user": {"userId": "somebody"}, "order": {"orderId": "1"}}),
        ("ORDER_CONFIRMATION", {"user": {"userId": "ma8vp1jySJC"}, "order": {}}),
        ("ORDER_CONFIRMATION", None),
        ("MARKETPLACE_ACCOUNT_DELETION", {}),
        ("ORDER_UPDATED", {"order": {"orderId": "1"}}),
    ],
)
def test_other_sellers_and_unknown_topics_are_unreadable(topic: str, data: object) -> None:
    with pytest.raises(Unreadable):
        SELLER.parse(notice(topic, data))


# --- the door --------------------------------------------------------------------------------------------------------

OFFICIAL = json.loads((PAYLOADS / "account_deletion.headers.json").read_text())
KEYS = {f"key:{OFFICIAL['kid']}": OFFICIAL["public key"]["key"]}
URL = "https://us.example/hooks/ebay"


def official(signature: str = "x-ebay-signature") -> RawRequest:
    body = (PAYLOADS / "account_deletion.json").read_bytes()
    return RawRequest("POST", URL, {}, {"x-ebay-signature": OFFICIAL[signature]}, body)


def test_ebays_own_example_verifies_and_its_mismatch_does_not() -> None:
    assert SELLER.door.verify(official(), KEYS, NOW)
    assert not SELLER.door.verify(official("signature of another message"), KEYS, NOW)
    assert SELLER.door.forged_status == 412


def test_one_byte_off_is_refused() -> None:
    good = official()
    for place in range(0, len(good.body), 5):
        body = bytearray(good.body)
        body[place] ^= 1
        assert not SELLER.door.verify(msgspec.structs.replace(good, body=bytes(body)), KEYS, NOW)


def header(**parts: str) -> dict[str, str]:
    return {"x-ebay-signature": base64.b64encode(json.dumps(parts).encode()).decode()}


def test_unknown_keys_other_algorithms_and_nonsense_are_refused() -> None:
    good = official()
    assert not SELLER.door.verify(good, {}, NOW)
    assert not SELLER.door.verify(good, {f"key:{OFFICIAL['kid']}": "no key"}, NOW)
    for headers in (
        {},
        {"x-ebay-signature": ""},
        {"x-ebay-signature": "é"},
        {"x-ebay-signature": "e30="},
        header(kid="../x"),
    ):
        assert not SELLER.door.verify(msgspec.structs.replace(good, headers=headers), KEYS, NOW)
    public = rsa.generate_private_key(65537, 2048).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    assert not SELLER.door.verify(good, {f"key:{OFFICIAL['kid']}": pem}, NOW)


@pytest.mark.parametrize(("digest", "method"), [("SHA1", hashes.SHA1), ("SHA256", hashes.SHA256)])
def test_both_digests_with_a_key_on_several_lines(digest: str, method: type[hashes.HashAlgorithm]) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signature = base64.b64encode(private.sign(b"{}", ec.ECDSA(method()))).decode()
    request = RawRequest("POST", URL, {}, header(alg="ecdsa", kid="k1", signature=signature, digest=digest), b"{}")
    assert SELLER.door.verify(request, {"key:k1": pem.decode()}, NOW)
    other = header(alg="ecdsa", kid="k1", signature=signature, digest="MD5")
    assert not SELLER.door.verify(msgspec.structs.replace(request, headers=other), {"key:k1": pem.decode()}, NOW)


def test_challenge_is_answered_for_the_very_address() -> None:
    request = RawRequest("GET", f"{URL}?challenge_code=abc", {"challenge_code": "abc"}, {}, b"")
    answer = SELLER.door.challenge(request, APP)
    expected = hashlib.sha256(b"abc" + b"t" * 40 + URL.encode()).hexdigest()
    assert answer == (200, "application/json", b'{"challengeResponse":"' + expected.encode() + b'"}')
    assert SELLER.door.challenge(official(), APP) is None
    assert SELLER.door.challenge(request, {}) is None


def claim(message: RawMessage) -> RawRequest:
    return RawRequest("POST", URL, {}, {"x-ebay-signature": OFFICIAL["x-ebay-signature"]}, message.body)


def test_claims_by_topic() -> None:
    claimed = SELLER.door.claimed(claim(RawMessage("x", (PAYLOADS / "order_confirmation.json").read_bytes())))
    assert (claimed.account_external_id, claimed.topic) == ("ma8vp1jySJC", "ORDER_CONFIRMATION")
    assert claimed.delivery_id == "49feeaeb-4982-42d9-a377-9645b8479411"
    assert claimed.key_id == OFFICIAL["kid"]
    assert claimed.triggered_at == datetime(2026, 7, 1, 10, tzinfo=UTC)
    for topic, data in (("ITEM_MARKED_SHIPPED", SHIPPED), ("ORDER_CANCELLATION_ACTIVITY", CANCEL)):
        assert SELLER.door.claimed(claim(notice(topic, data))).account_external_id == "ma8vp1jySJC"
    assert SELLER.door.claimed(official()).account_external_id == ""
    for message in (
        notice("ORDER_CONFIRMATION", {}),
        RawMessage("x", b"{"),
        RawMessage("x", b"[]"),
        RawMessage("x", b"{}"),
    ):
        with pytest.raises(Unreadable):
            SELLER.door.claimed(claim(message))


# --- tokens ----------------------------------------------------------------------------------------------------------

SECRET = Secret({"client_id": "app", "client_secret": "cert", "refresh_token": "r1", "access_token": "old"}, NOW)
TOKEN = {"access_token": "new", "expires_in": 7200, "token_type": "User Access Token"}


async def test_renewal_keeps_the_refresh_token() -> None:
    http = Scripted((200, TOKEN))
    new = await SELLER.auth.renew(http, SECRET, NOW)
    [asked] = http.asked
    assert asked.url == "https://api.ebay.com/identity/v1/oauth2/token" and asked.bare
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(b"app:cert").decode()
    assert parse_qs(asked.body.decode()) == {"grant_type": ["refresh_token"], "refresh_token": ["r1"]}
    assert new.values == {**SECRET.values, "access_token": "new"}
    assert (new.expires_at, new.version) == (NOW + timedelta(hours=2), 1)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"error": "invalid_grant", "error_description": "revoked"}), SignInAgain),
        ((401, {"error": "invalid_client", "error_description": "client authentication failed"}), SignInAgain),
        ((400, {"error": "invalid_scope"}), SignInAgain),
        ((429, {"errors": [{"errorId": 2001}]}), Retry),
        ((500, b"<html>"), Retry),
        ((200, b"{"), Retry),
        ((200, {}), Retry),
        (NoAnswer("cut", sent=True), Retry),
    ],
)
async def test_renewal_refused(answer: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        await SELLER.auth.renew(Scripted(answer), SECRET, NOW)
    with pytest.raises(SignInAgain):
        await SELLER.auth.renew(Scripted(), Secret({}), NOW)


async def test_sign_in() -> None:
    url = urlsplit(consent_url("app", "Our-RuName", "st"))
    assert parse_qs(url.query)["redirect_uri"] == ["Our-RuName"]
    assert "sell.inventory" in parse_qs(url.query)["scope"][0] and "+" not in url.query
    http = Scripted((200, {**TOKEN, "refresh_token": "r9", "refresh_token_expires_in": 47304000}))
    secret = await SELLER.oauth.sign_in(http, Secret({**SECRET.values, "ru_name": "Our-RuName"}), "v^1.1#i", NOW)
    assert parse_qs(http.asked[0].body.decode())["code"] == ["v^1.1#i"]
    assert secret.values["refresh_token"] == "r9"


def test_tokens_on_requests() -> None:
    auth = SELLER.auth
    assert auth.authorized(Request("GET", "u", "getOrders"), SECRET).headers == {"authorization": "Bearer old"}
    trading = auth.authorized(Request("POST", "u", "GetUserPreferences"), SECRET)
    assert trading.headers == {"x-ebay-api-iaf-token": "old"}
    assert auth.needs_renewal(Secret({}), NOW)
    assert auth.needs_renewal(Secret({"access_token": "a"}, NOW + timedelta(seconds=60)), NOW)
    assert not auth.needs_renewal(Secret({"access_token": "a"}, NOW + timedelta(seconds=61)), NOW)
    assert auth.token_refused(Response(401, {}, b"", NOW)) and not auth.token_refused(Response(403, {}, b"", NOW))


async def test_public_key_mints_one_application_token_and_keeps_it() -> None:
    ebay = connect({})
    http = Scripted(
        (200, {**TOKEN, "access_token": "app1"}), (200, OFFICIAL["public key"]), (200, OFFICIAL["public key"])
    )
    assert await ebay.public_key(http, "k-1", APP) == OFFICIAL["public key"]["key"]
    assert await ebay.public_key(http, "k-1", APP) == OFFICIAL["public key"]["key"]
    assert [asked.operation for asked in http.asked] == ["applicationToken", "getPublicKey", "getPublicKey"]
    assert http.asked[1].headers == {"authorization": "Bearer app1"} and http.asked[1].bare
    assert parse_qs(http.asked[0].body.decode())["grant_type"] == ["client_credentials"]
    again = Scripted((401, {}), (200, {**TOKEN, "access_token": "app2"}), (404, {"errors": [{"errorId": 195001}]}))
    with pytest.raises(Park, match="195001"):
        await ebay.public_key(again, "k-2", APP)
    assert again.asked[2].headers == {"authorization": "Bearer app2"}
    for bad in ("../config", "", "a/b", "x" * 200):
        with pytest.raises(Park):
            await ebay.public_key(Scripted(), bad, APP)
    with pytest.raises(Park, match="client_id"):
        await ebay.public_key(Scripted(), "k-1", {})


def test_429_is_told_to_the_budget_of_its_operation() -> None:
    seen_ = SELLER.budget_seen(Request("GET", "u", "getOrders"), Response(429, {"retry-after": "9"}, b"", NOW))
    assert [(one.limit, one.wait_s) for one in seen_] == [("sell.fulfillment", 9.0)]
    assert SELLER.budget_seen(Request("GET", "u", "getUser"), Response(429, {}, b"", NOW))[0].limit == "pace"
    assert SELLER.budget_seen(Request("GET", "u", "getOrders"), Response(200, {}, b"", NOW)) == []
    [revisions] = [limit for limit in SELLER.limits if limit.name == "revisions"]
    assert revisions.per_day == 250 and all(limit.source for limit in SELLER.limits)
