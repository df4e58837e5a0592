"""eBay: sign-in, prices, parcels and cancels. Every request is held against the published specifications."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from test_ebay_connector_requests import NOW, Scripted, answer, orders, seller

from oneshelf.channels.abilities import (
    Cancels,
    CancelState,
    CancelWish,
    Parcel,
    PriceOffer,
    Prices,
    PriceSeen,
    Sale,
    Ships,
    SignInWish,
    SignsIn,
)
from oneshelf.channels.contract import Cursor, NoAnswer, Outlet, Request, Secret
from oneshelf.channels.ebay import SIGN_IN, connect
from oneshelf.channels.ebay.parcels import carrier_of, tracking_of
from oneshelf.core.errors import Park, Retry, SignInAgain
from oneshelf.core.facts import Money, OrderSeen
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown

LOST = NoAnswer("timed out", sent=True)
UNSENT = NoAnswer("refused", sent=False)


def test_ebay_has_these_abilities() -> None:
    ebay = seller()
    assert isinstance(ebay, Prices) and isinstance(ebay, Ships) and isinstance(ebay, Cancels)
    assert isinstance(SIGN_IN, SignsIn)


# --- signing in ------------------------------------------------------------------------------------------------------

KEYS = {"client_id": "app", "client_secret": "cert", "ru_name": "Our_RuName-abc"}


def wish(settings: dict[str, str] | None = None, **app: str) -> SignInWish:
    return SignInWish(settings or {}, {**KEYS, **app}, "https://us.example/connect/ebay/callback", "st-1", "v" * 43)


def test_consent_page_names_the_runame_and_every_scope() -> None:
    url = urlsplit(SIGN_IN.consent_url(wish()))
    asked = parse_qs(url.query)
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://auth.ebay.com/oauth2/authorize"
    assert asked["redirect_uri"] == ["Our_RuName-abc"] and asked["state"] == ["st-1"]
    scopes = asked["scope"][0].split(" ")
    assert scopes[0] == "https://api.ebay.com/oauth/api_scope" and len(scopes) == 6
    sandbox = SIGN_IN.consent_url(wish({"endpoint": "https://api.sandbox.ebay.com"}))
    assert sandbox.startswith("https://auth.sandbox.ebay.com/oauth2/authorize?")
    with pytest.raises(Park, match="ru_name"):
        SIGN_IN.consent_url(wish(ru_name=""))
    with pytest.raises(Park, match="client_id"):
        SIGN_IN.consent_url(wish(client_id=""))


def test_code_is_decoded_once_and_only_with_our_state() -> None:
    query = dict(parse_qsl("state=st-1&code=v%5E1.1%23i%5E1%2525&expires_in=299"))
    assert SIGN_IN.code(wish(), query, NOW) == "v^1.1#i^1%25"
    for bad, words in (
        ({"state": "st-2", "code": "x"}, "another sign-in"),
        ({"code": "x"}, "another sign-in"),
        ({"state": "st-1", "error": "access_denied"}, "did not agree"),
        ({"state": "st-1", "error": "invalid_scope"}, "scopes"),
        ({"state": "st-1", "error": "server_error"}, "server_error"),
        ({"state": "st-1"}, "no code"),
    ):
        with pytest.raises(Park, match=words):
            SIGN_IN.code(wish(), bad, NOW)


TOKENS = {"access_token": "a1", "expires_in": 7200, "refresh_token": "r1", "refresh_token_expires_in": 47304000}
BACK = {"state": "st-1", "code": "v^1.1#i"}


async def test_a_code_becomes_the_accounts_secret() -> None:
    http = Scripted((200, TOKENS))
    found = (await SIGN_IN.signed_in(http, wish(), BACK, NOW)).secret
    form = parse_qs(http.asked[0].body.decode())
    assert form == {"grant_type": ["authorization_code"], "code": ["v^1.1#i"], "redirect_uri": ["Our_RuName-abc"]}
    assert http.asked[0].bare and http.asked[0].headers["authorization"].startswith("Basic ")
    ends = NOW + timedelta(seconds=47304000)
    assert found.values == {
        **KEYS,
        "access_token": "a1",
        "refresh_token": "r1",
        "refresh_expires_at": ends.strftime("%Y-%m-%dT%H:%M:%S.123Z"),
    }
    assert found.expires_at == NOW + timedelta(hours=2)
    with pytest.raises(SignInAgain):
        await SIGN_IN.signed_in(Scripted((400, {"error": "invalid_grant"})), wish(), BACK, NOW)
    with pytest.raises(Retry):
        await SIGN_IN.signed_in(Scripted(LOST), wish(), BACK, NOW)
    with pytest.raises(Park, match="no refresh token"):
        await SIGN_IN.signed_in(Scripted((200, {"access_token": "a"})), wish(), BACK, NOW)


async def test_a_consent_of_eighteen_months_that_is_over_asks_to_sign_in_again_without_a_call() -> None:
    old = Secret({**KEYS, "refresh_token": "r1", "refresh_expires_at": "2026-11-03T12:00:00.000Z"})
    with pytest.raises(SignInAgain, match="ended on 03 November 2026"):
        await seller().auth.renew(Scripted(), old, NOW)
    kept = await seller().auth.renew(Scripted((200, {"access_token": "a2"})), old, NOW - timedelta(days=1))
    assert kept.values["refresh_expires_at"] == "2026-11-03T12:00:00.000Z"


# --- prices ----------------------------------------------------------------------------------------------------------


def an_offer(offer_id: str = "36445435465", **more: object) -> dict[str, Any]:
    return {
        "offerId": offer_id,
        "sku": "A",
        "marketplaceId": "EBAY_US",
        "format": "FIXED_PRICE",
        "status": "PUBLISHED",
        "listing": {"listingId": "110035400937", "listingStatus": "ACTIVE"},
        "pricingSummary": {"price": {"value": "19.90", "currency": "USD"}},
        **more,
    }


def offers(*found: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 200, {"href": "h", "limit": 100, "size": len(found), "total": len(found), "offers": list(found)}


def outlet(sku: str = "A", *kept: dict[str, Any]) -> Outlet:
    one = {"offer_id": f"o-{sku}", "published": True, "currency": "USD"}
    return Outlet(sku, sku, {"offers": list(kept) or [one]})


async def test_prices_are_read_from_our_marketplaces_published_offer() -> None:
    german = an_offer("2", marketplaceId="EBAY_DE", pricingSummary={"price": {"value": "18.50", "currency": "EUR"}})
    none = (404, {"errors": [{"errorId": 25713, "message": "This Offer is not available."}]})
    http = Scripted(offers(german, an_offer()), none, offers(an_offer(status="UNPUBLISHED")))
    seen = await seller().read_prices(http, [outlet("A"), outlet("B"), outlet("C")])
    assert [(one.price, one.state, one.read_at) for one in seen] == [
        (Money(1990, "USD"), "live", NOW),
        (None, "draft", NOW),
        (None, "draft", NOW),
    ]
    assert seen[1].problem and [one["offer_id"] for one in seen[0].document] == ["2", "36445435465"]


async def test_a_price_goes_to_the_offers_of_its_currency_and_touches_no_quantity() -> None:
    found = (
        {"offer_id": "1", "published": True, "currency": "USD"},
        {"offer_id": "2", "published": True, "currency": "EUR"},
        {"offer_id": "3", "published": False, "currency": "USD"},
    )
    rows = [{"sku": "A", "offerId": "1", "statusCode": 200}, {"sku": "B", "offerId": "7", "statusCode": 400, "errors": [{"errorId": 25002, "message": "A sale is live"}]}]  # fmt: skip
    http = Scripted((207, {"responses": rows}))
    fresh = PriceSeen("B", None, NOW, document=[{"offer_id": "7", "published": True, "currency": "USD"}])
    outcomes = await seller().publish_prices(
        http,
        [
            PriceOffer(outlet("A", *found), Money(2000, "USD")),
            PriceOffer(outlet("B"), Money(1, "USD"), seen=fresh),
            PriceOffer(outlet("C"), Money(2000, "GBP")),
            PriceOffer(outlet("D"), Money(0, "USD")),
            PriceOffer(outlet("E"), Money(1, "USD"), sale=Sale(Money(1, "USD"), NOW, NOW)),
        ],
    )
    assert json.loads(http.asked[0].body) == {
        "requests": [
            {"sku": "A", "offers": [{"offerId": "1", "price": {"value": "20.00", "currency": "USD"}}]},
            {"sku": "B", "offers": [{"offerId": "7", "price": {"value": "0.01", "currency": "USD"}}]},
        ]
    }
    assert b"uantity" not in http.asked[0].body.replace(b"shipToLocation", b"x") and http.asked[0].writes
    assert outcomes[0] == Accepted("A")
    assert [one.code for one in outcomes[1:] if isinstance(one, Rejected)] == ["25002", "no_offer", "price", "not_able"]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ((200, {"responses": [{"sku": "A", "offerId": "o-A", "statusCode": 200}]}), Accepted("A")),
        ((200, {"responses": [{"sku": "A", "offerId": "other", "statusCode": 200}]}), Unknown),
        ((200, {"responses": []}), Unknown),
        ((500, {"errors": [{"errorId": 25001, "message": "system"}]}), Unknown),
        ((503, b"<html>"), Unknown),
        ((429, {"errors": [{"errorId": 2001, "message": "Too many"}]}), Throttled),
        (LOST, Unknown),
        (UNSENT, Throttled),
        ((400, {"errors": [{"errorId": 25709, "message": "bad"}]}), Rejected("25709 bad", code="25709")),
    ],
)
async def test_a_price_ends_as_its_answer_proves(reply: object, expected: Any) -> None:
    [outcome] = await seller().publish_prices(Scripted(reply), [PriceOffer(outlet(), Money(500, "USD"))])
    assert isinstance(outcome, expected) if isinstance(expected, type) else outcome == expected


def test_yen_have_no_cents() -> None:
    from oneshelf.channels.ebay.wire import amount

    assert amount(Money(1200, "JPY"))["value"] == "1200" and amount(Money(5, "USD"))["value"] == "0.05"


# --- parcels ---------------------------------------------------------------------------------------------------------

AT = datetime(2026, 7, 1, 10, tzinfo=UTC)


def parcel(**more: Any) -> Parcel:
    given = {
        "key": "F1",
        "units": {"6254458011": 1},
        "shipped_at": AT,
        "carrier": "ups",
        "tracking_number": "9400 11-18",
    }
    return Parcel(**{**given, **more})


async def ship(reply: object, **more: Any) -> tuple[Outcome, Scripted]:
    http = Scripted(reply)
    return await seller().ship(http, "11-14972-20806", parcel(**more), {}), http


MADE = (201, b"", {"location": "https://api.ebay.com/sell/fulfillment/v1/order/11/shipping_fulfillment/94001118"})


async def test_a_parcel_is_told_with_its_lines_carrier_and_plain_number() -> None:
    outcome, http = await ship(MADE)
    assert outcome == Accepted("94001118")
    assert http.done == ["POST /sell/fulfillment/v1/order/11-14972-20806/shipping_fulfillment"]
    assert http.asked[0].writes and json.loads(http.asked[0].body) == {
        "lineItems": [{"lineItemId": "6254458011", "quantity": 1}],
        "shippedDate": "2026-07-01T10:00:00.000Z",
        "shippingCarrierCode": "UPS",
        "trackingNumber": "94001118",
    }


async def test_carrier_and_number_go_together_or_not_at_all() -> None:
    _, http = await ship(MADE, tracking_number=None)
    assert set(json.loads(http.asked[0].body)) == {"lineItems", "shippedDate"}
    _, http = await ship(MADE, carrier=None)
    assert json.loads(http.asked[0].body)["shippingCarrierCode"] == "Other"
    _, http = await ship(MADE, tracking_number="--")
    assert "shippingCarrierCode" not in json.loads(http.asked[0].body)
    assert carrier_of("United Parcel Service") == "UPS" and carrier_of(" Colis Privé ") == "Colis Privé"
    assert tracking_of("1Z 999-é") == "1Z999"


async def test_a_told_parcel_cannot_be_changed_and_an_empty_one_is_not_told() -> None:
    outcome, http = await ship(MADE, version=2, reference="94001118")
    assert isinstance(outcome, Rejected) and outcome.code == "no_edit" and not http.asked
    outcome, http = await ship(MADE, units={"6254458011": 0})
    assert isinstance(outcome, Rejected) and not http.asked
    assert not seller().ships.edits


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (LOST, Unknown),
        (UNSENT, Throttled),
        ((500, {"errors": [{"errorId": 30500, "message": "System error"}]}), Unknown),
        ((400, {"errors": [{"errorId": 30500, "message": "System error"}]}), Unknown),
        ((409, {"errors": [{"errorId": 1, "message": "exists"}]}), Unknown),
        ((429, {"errors": [{"errorId": 2001}]}), Throttled),
        ((503, b"<html>"), Unknown),
        ((200, b"<html>"), Unknown),
        ((404, {"errors": [{"errorId": 32100, "message": "Invalid Order Id"}]}), Rejected),
        ((401, {"errors": [{"errorId": 1001}]}), Rejected),
    ],
)
async def test_a_parcel_ends_as_its_answer_proves(reply: object, expected: type) -> None:
    outcome, _ = await ship(reply)
    assert isinstance(outcome, expected)


async def test_parcels_are_read_before_a_retry_and_no_list_is_no_proof_of_absence() -> None:
    found = [
        {
            "fulfillmentId": "94",
            "lineItems": [{"lineItemId": "6", "quantity": 2}],
            "shippedDate": "2026-07-01T10:00:00.000Z",
            "shipmentTrackingNumber": "94",
            "shippingCarrierCode": "USPS",
        },  # fmt: skip
        {"fulfillmentId": "999", "lineItems": [{"lineItemId": "6"}]},
    ]
    first, second = await seller().shipments(Scripted((200, {"total": 2, "fulfillments": found})), "11-1")
    assert (first.reference, first.units, first.carrier, first.tracking_number) == ("94", {"6": 2}, "USPS", "94")
    assert first.shipped_at == AT and second.units is None
    assert await seller().shipments(Scripted((200, {"total": 0, "fulfillments": []})), "11-1") == []
    for odd in ((200, {}), (200, {"total": 1, "fulfillments": 3}), (500, {}), (200, b"<html>")):
        with pytest.raises(Retry):
            await seller().shipments(Scripted(odd), "11-1")


# --- cancels ---------------------------------------------------------------------------------------------------------


def an_order(state: str = "NONE_REQUESTED", **more: object) -> tuple[int, dict[str, Any]]:
    lines = [
        {"lineItemId": "6", "quantity": 2, "listingMarketplaceId": "EBAY_GB"},
        {"lineItemId": "7", "quantity": 1, "listingMarketplaceId": "EBAY_GB"},
    ]
    order = {
        "orderId": "11-1",
        "legacyOrderId": "110035400937-1234567890",
        "orderPaymentStatus": "PAID",
        "cancelStatus": {"cancelState": state},
        "paymentSummary": {"payments": [{"paymentDate": "2026-07-01T10:00:00.000Z", "paymentStatus": "PAID"}]},
        "lineItems": lines,
    }
    return 200, {**order, **more}


def case(status: str, requestor: str = "SELLER", at: str = "2026-11-01T00:00:00.000Z") -> dict[str, Any]:
    return {
        "cancelId": "5000000001",
        "requestorType": requestor,
        "cancelStatus": status,
        "cancelRequestDate": {"value": at},
    }


def cases(*found: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 200, {"cancellations": list(found), "total": len(found)}


ELIGIBLE = (200, {"legacyOrderId": "x", "eligible": True})
ALL = CancelWish("11-1", {"6": 2, "7": 1}, whole=True, key="k")


async def test_a_whole_order_is_cancelled_by_its_legacy_id_without_relisting() -> None:
    http = Scripted(an_order(), ELIGIBLE, (201, {"cancelId": "5000000001"}))
    assert await seller().cancel(http, ALL) == Accepted("5000000001")
    assert http.done[1:] == ["POST /post-order/v2/cancellation/check_eligibility", "POST /post-order/v2/cancellation"]
    assert json.loads(http.asked[2].body) == {
        "legacyOrderId": "110035400937-1234567890",
        "cancelReason": "OUT_OF_STOCK_OR_CANNOT_FULFILL",
        "buyerPaid": True,
        "buyerPaidDate": {"value": "2026-07-01T10:00:00.000Z"},
    }
    assert http.asked[2].headers["x-ebay-c-marketplace-id"] == "EBAY_GB"
    assert [one.writes for one in http.asked] == [False, False, True]


async def test_an_unpaid_order_says_so() -> None:
    http = Scripted(an_order(orderPaymentStatus="PENDING"), ELIGIBLE, (201, {"cancelId": "1"}))
    await seller().cancel(http, ALL)
    assert "buyerPaidDate" not in json.loads(http.asked[2].body) and not json.loads(http.asked[2].body)["buyerPaid"]


@pytest.mark.parametrize(
    "some",
    [
        CancelWish("11-1", {"6": 2, "7": 1}, whole=False, key="k"),
        CancelWish("11-1", {"6": 2, "7": 0}, whole=True, key="k"),
    ],
)
async def test_some_lines_of_an_order_are_for_a_person(some: CancelWish) -> None:
    http = Scripted(an_order())
    outcome = await seller().cancel(http, some)
    assert isinstance(outcome, Rejected) and outcome.code == "lines"
    assert not any(one.writes for one in http.asked)
    assert not seller().cancels.lines and seller().cancels.limit_percent == 2.0


async def test_a_buyer_who_asks_gets_a_yes_which_is_no_defect() -> None:
    http = Scripted(an_order("IN_PROGRESS"), cases(case("CANCEL_REQUESTED", "BUYER")), (200, b""))
    assert await seller().cancel(http, ALL) == Accepted("5000000001")
    assert http.done[2] == "POST /post-order/v2/cancellation/5000000001/approve" and http.asked[2].body == b""
    page = Scripted(an_order("IN_PROGRESS"), cases(case("CANCEL_REQUESTED", "BUYER")), (200, b"<html>"))
    assert isinstance(await seller().cancel(page, ALL), Unknown)


async def test_what_is_cancelled_is_not_cancelled_again_and_what_may_not_be_is_not_tried() -> None:
    assert await seller().cancel(Scripted(an_order("CANCELED")), ALL) == Accepted()
    no = (200, {"eligible": False, "failureReason": ["The order has been shipped."]})
    outcome = await seller().cancel(Scripted(an_order(), no), ALL)
    assert isinstance(outcome, Rejected) and outcome.code == "not_eligible" and "shipped" in outcome.reason
    outcome = await seller().cancel(Scripted((404, {})), ALL)
    assert isinstance(outcome, Rejected) and outcome.code == "unknown_order"


POST_ORDER_NO = {
    "error": [{"errorId": 1616, "message": "Invalid Input.", "parameter": [{"name": "x", "value": "why"}]}]
}


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ([LOST], Throttled(None, "nothing was asked yet: timed out")),
        ([(503, b"<html>")], Throttled),
        ([(401, {})], Rejected),
        ([an_order(), LOST], Throttled),
        ([an_order(), ELIGIBLE, LOST], Unknown("timed out")),
        ([an_order(), ELIGIBLE, UNSENT], Throttled(None, "refused")),
        ([an_order(), ELIGIBLE, (500, {})], Unknown("HTTP 500")),
        ([an_order(), ELIGIBLE, (201, b"<html>")], Unknown),
        ([an_order(), ELIGIBLE, (429, {})], Throttled),
        ([an_order(), ELIGIBLE, (400, POST_ORDER_NO)], Rejected("1616 Invalid Input. · why", code="1616")),
        ([an_order(), ELIGIBLE, (403, {"error": [{"errorId": 215001, "message": "no key"}]})], Rejected),
    ],
)
async def test_a_cancel_ends_as_its_answer_proves(replies: list[object], expected: Any) -> None:
    outcome = await seller().cancel(Scripted(*replies), ALL)
    assert isinstance(outcome, expected) if isinstance(expected, type) else outcome == expected
    if expected is Rejected and len(replies) == 3:
        assert isinstance(outcome, Rejected) and outcome.code == "signature" and "signing_jwe" in outcome.reason


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("CANCEL_REQUESTED", "running"),
        ("CANCEL_PENDING", "running"),
        ("CANCEL_CLOSED_WITH_REFUND", "done"),
        ("CANCEL_CLOSED_NO_REFUND", "done"),
        ("CANCEL_CLOSED_UNKNOWN_REFUND", "done"),
        ("CANCEL_REJECTED", "refused"),
        ("INVALID", "refused"),
    ],
)
async def test_how_far_a_cancel_is(status: str, state: str) -> None:
    found = await seller().cancel_state(Scripted((200, {"cancelDetail": case(status)})), ALL, "5000000001")
    assert found == CancelState(state, status)  # type: ignore[arg-type]
    http = Scripted(an_order("IN_PROGRESS"), cases(case("CANCEL_REQUESTED", "BUYER", "2026-11-02"), case(status)))
    assert await seller().cancel_state(http, ALL, None) == CancelState(state, status)  # type: ignore[arg-type]
    assert parse_qs(urlsplit(http.asked[1].url).query)["legacy_order_id"] == ["110035400937-1234567890"]


async def test_a_case_that_does_not_say_it_is_settled_by_the_order() -> None:
    closed = (200, {"cancelDetail": case("CANCEL_CLOSED_FOR_COMMITMENT")})
    for order, state in ((an_order("CANCELED"), "done"), (an_order(), "refused")):
        assert (await seller().cancel_state(Scripted(closed, order), ALL, "5")).state == state
    new = (200, {"cancelDetail": case("SOMETHING_NEW")})
    assert (await seller().cancel_state(Scripted(new, an_order()), ALL, "5")).state == "running"


async def test_a_cancel_whose_answer_was_lost_is_found_by_the_order() -> None:
    assert (await seller().cancel_state(Scripted(an_order("CANCELED")), ALL, None)).state == "done"
    assert (await seller().cancel_state(Scripted(an_order(), cases()), ALL, None)).state == "none"
    assert (await seller().cancel_state(Scripted((404, {})), ALL, "5")).state == "none"
    with pytest.raises(Retry):
        await seller().cancel_state(Scripted(an_order(), (200, {})), ALL, None)


def test_a_person_cancels_on_the_orders_own_page() -> None:
    assert seller().cancel_link("11-1/2") == "https://www.ebay.com/mesh/ord/details?orderid=11-1%2F2"
    assert connect({"marketplace_id": "EBAY_DE"}).cancel_link("1").startswith("https://www.ebay.de/")


# --- tokens of Post-Order and the signature --------------------------------------------------------------------------


def test_post_order_takes_the_token_as_iaf() -> None:
    secret = Secret({"access_token": "t"})
    for operation in ("createCancellation", "searchCancellations", "getCancellation", "checkCancellationEligibility"):
        signed = seller().auth.authorized(Request("GET", "u", operation), secret)
        assert signed.headers == {"authorization": "IAF t"}


async def test_eu_and_uk_sellers_sign_what_moves_money() -> None:
    private = Ed25519PrivateKey.generate()
    der = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    http = Scripted(an_order(), ELIGIBLE, (201, {"cancelId": "1"}))
    await seller().cancel(http, ALL)
    request = http.asked[2]
    secret = Secret({"access_token": "t", "signing_jwe": "jwe", "signing_private_key": base64.b64encode(der).decode()})
    signed = seller().auth.authorized(request, secret).headers
    created = int(NOW.timestamp())
    params = f'("content-digest" "x-ebay-signature-key" "@method" "@path" "@authority");created={created}'
    assert signed["signature-input"] == f"sig1={params}"
    digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
    assert signed["content-digest"] == f"sha-256=:{digest}:"
    base = (
        f'"content-digest": sha-256=:{digest}:\n"x-ebay-signature-key": jwe\n"@method": POST\n'
        f'"@path": /post-order/v2/cancellation\n"@authority": api.ebay.com\n"@signature-params": {params}'
    )
    [signature] = re.findall(r"^sig1=:(.+):$", signed["signature"])
    private.public_key().verify(base64.b64decode(signature), base.encode())
    plain = seller().auth.authorized(request, Secret({"access_token": "t"})).headers
    assert not {"signature", "signature-input", "x-ebay-signature-key", "content-digest"} & set(plain)
    with pytest.raises(SignInAgain, match="signing_private_key"):
        seller().auth.authorized(request, Secret({"signing_jwe": "j", "signing_private_key": "no"}))


# --- a wish to cancel, refunds ---------------------------------------------------------------------------------------


def seen(**more: object) -> OrderSeen:
    from oneshelf.channels.contract import RawMessage

    order = {"orderId": "11-1", "lineItems": [{"lineItemId": "6", "quantity": 1}], **more}
    [fact] = seller().parse(RawMessage("poll:order", json.dumps(order).encode()))
    assert isinstance(fact, OrderSeen)
    return fact


def wish_of(initiator: str, state: str = "REQUESTED") -> dict[str, Any]:
    one = {"cancelInitiator": initiator, "cancelRequestState": state, "cancelReason": "order placed by mistake"}
    return {"cancelState": "IN_PROGRESS", "cancelRequests": [one]}


def test_a_buyers_wish_to_cancel_is_told_with_its_reason() -> None:
    assert seen(cancelStatus=wish_of("Buyer")).cancel_asked == "order placed by mistake"
    assert seen(cancelStatus=wish_of("Seller")).cancel_asked == ""
    assert seen(cancelStatus=wish_of("Buyer", "REJECTED")).cancel_asked == ""
    assert seen(cancelStatus={"cancelState": "IN_PROGRESS"}).cancel_asked == "asked"
    assert seen(cancelStatus={"cancelState": "CANCELED"}).cancel_asked == ""


def test_refunds_add_up_what_was_given_back() -> None:
    def refund(value: str, state: str = "REFUNDED", currency: str = "USD") -> dict[str, Any]:
        return {"refundStatus": state, "amount": {"value": value, "currency": currency}}

    pricing = {"total": {"value": "30.00", "currency": "USD"}}
    for refunds, expected in (
        ([refund("5.00"), refund("2.50"), refund("9.00", "PENDING"), refund("1.00", "FAILED")], Money(750, "USD")),
        ([], Money(0, "USD")),
        ([refund("5.00", currency="EUR")], None),
        (None, None),
    ):
        assert seen(pricingSummary=pricing, paymentSummary={"refunds": refunds}).refunded == expected


async def test_who_asks_for_a_cancel_is_only_in_a_read_by_id_so_the_feed_reads_it() -> None:
    listed = {**orders(1)[0], "cancelStatus": {"cancelState": "IN_PROGRESS", "cancelRequests": []}}
    full = {**listed, "cancelStatus": wish_of("Buyer")}
    http = Scripted(answer([listed], 1), (200, full))
    page = await seller().fetch(http, Cursor(NOW - timedelta(minutes=1)), NOW)
    assert http.done[1] == "GET /sell/fulfillment/v1/order/11-1"
    [fact] = seller().parse(page.messages[0])
    assert isinstance(fact, OrderSeen) and fact.cancel_asked == "order placed by mistake"
    gone = Scripted(answer([listed], 1), (404, {}))
    page = await seller().fetch(gone, Cursor(NOW - timedelta(minutes=1)), NOW)
    assert msgspec.json.decode(page.messages[0].body)["order"]["orderId"] == "11-1"
