"""Etsy: messages → facts, the door, tokens, the feed. What is shown and written: test_etsy_connector_shelf.py."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from oneshelf.channels.contract import Channel, Cursor, NoAnswer, RawMessage, RawRequest, Request, Response, Secret
from oneshelf.channels.etsy import connect
from oneshelf.channels.etsy.auth import consent_url
from oneshelf.core.errors import Park, Retry, SignInAgain, Unreadable
from oneshelf.core.facts import Address, CatalogueHint, Ignored, Money, OrderHint, OrderSeen, OutletHint, Payment
from oneshelf.publish.limiter import Limiter
from oneshelf.runtime.clock import ManualClock

PAYLOADS = Path(__file__).parent / "payloads" / "etsy"
NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
SHOP = connect({"shop_id": "12345"})


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


def receipt(**changes: object) -> dict:
    document = json.loads((PAYLOADS / "receipt_completed.json").read_text())
    return {**document, **changes}


def order(**changes: object) -> OrderSeen:
    [fact] = SHOP.parse(RawMessage("poll:order", json.dumps(receipt(**changes)).encode()))
    assert isinstance(fact, OrderSeen)
    return fact


def usd(minor: int) -> dict:
    return {"amount": minor, "divisor": 100, "currency_code": "USD"}


def line(**changes: object) -> dict:
    return {**receipt()["transactions"][0], **changes}


def test_etsy_is_a_channel() -> None:
    assert isinstance(SHOP, Channel)
    with pytest.raises(ValueError, match="not a number"):
        connect({"shop_id": "12345/../9"})


# --- orders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "topic"), [("receipt_completed", "poll:order"), ("order_paid", "order.paid")])
def test_payload_becomes_its_facts(name: str, topic: str) -> None:
    facts = SHOP.parse(RawMessage(topic, (PAYLOADS / f"{name}.json").read_bytes()))
    assert json.loads(msgspec.json.encode(facts)) == json.loads((PAYLOADS / f"{name}.facts.json").read_text())


@pytest.mark.parametrize(
    ("status", "paid", "payment", "cancelled"),
    [
        ("Open", False, Payment.PENDING, False),
        ("Payment Processing", False, Payment.PENDING, False),
        ("paid", True, Payment.PAID, False),
        ("Paid", True, Payment.PAID, False),
        ("PAID", False, Payment.PENDING, False),
        ("Canceled", True, Payment.PAID, True),
        ("canceled", False, Payment.FAILED, True),
        ("Fully Refunded", True, Payment.PAID, False),
        ("partially refunded", True, Payment.PAID, False),
        ("Something New", True, Payment.PAID, False),
        ("Something New", False, Payment.PENDING, False),
        (None, None, Payment.PENDING, False),
        ("Paid", None, Payment.PAID, False),
    ],
)
def test_status_decides_in_any_case(status: str, paid: bool, payment: Payment, cancelled: bool) -> None:
    seen = order(status=status, is_paid=paid, is_shipped=False)
    assert (seen.payment, seen.cancelled) == (payment, cancelled)
    assert [(one.ordered, one.cancelled, one.shipped) for one in seen.lines] == [(1, int(cancelled), 0)] * 2


def test_cancel_after_shipment_keeps_the_pieces_shipped() -> None:
    seen = order(status="Canceled", is_paid=True, is_shipped=True)
    assert seen.cancelled
    assert [(one.cancelled, one.shipped) for one in seen.lines] == [(0, 1), (0, 1)]


def test_personalisation_is_a_note_and_no_part_of_the_key() -> None:
    asked = [
        {"property_id": 513, "value_id": 107366603999, "formatted_name": "Color", "formatted_value": "Blue"},
        {"property_id": 54, "value_id": None, "formatted_name": "Name", "formatted_value": "Zo&euml; O&#39;Neil"},
        {"property_id": 60, "value_id": 7, "formatted_name": "Font", "formatted_value": "Serif", "question_id": 9},
    ]
    by_data = order(transactions=[line(variations=asked)])
    assert by_data.lines[0].listing_keys[0] == "product:1272611522/513=Blue;514=Large"
    by_text = order(transactions=[line(variations=asked, product_data=[])])
    assert by_text.lines[0].listing_keys == (
        "product:1272611522/513=Blue",
        "product:1272611522/#513=107366603999",
        "sku:VHCR01GLA",
    )
    assert "Name: Zoë O'Neil" in by_text.note
    assert "Font: Serif" in by_text.note


def test_a_line_whose_listing_is_gone_keeps_its_sku() -> None:
    assert order(transactions=[line(listing_id=None)]).lines[0].listing_keys == ("sku:VHCR01GLA",)
    assert order(transactions=[line(listing_id=None, sku=None)]).lines[0].listing_keys == ()


def test_a_single_product_is_also_known_by_its_listing() -> None:
    seen = order(transactions=[line(variations=[], product_data=None)])
    assert seen.lines[0].listing_keys == ("product:1272611522/", "listing:1272611522", "sku:VHCR01GLA")


def test_us_tax_is_collected_by_etsy_and_the_discount_is_split_to_the_cent() -> None:
    seen = order(
        country_iso="US",
        transactions=[line(price=usd(1000), quantity=2), line(transaction_id=2, price=usd(999))],
        total_price=usd(2999),
        total_shipping_cost=usd(500),
        total_tax_cost=usd(215),
        total_vat_cost=usd(0),
        discount_amt=usd(100),
        gift_wrap_price=usd(0),
        grandtotal=usd(3614),
    )
    totals = seen.totals
    assert totals is not None
    assert (totals.items.minor, totals.shipping.minor, totals.tax.minor, totals.discount.minor) == (2999, 500, 215, 100)
    assert totals.total == Money(3614, "USD")
    assert [one.subtotal for one in seen.lines] == [Money(2000, "USD"), Money(999, "USD")]
    assert [one.discount for one in seen.lines] == [Money(67, "USD"), Money(33, "USD")]
    assert [one.taxes[0].amount.minor for one in seen.lines] == [143, 72]
    assert all(one.taxes[0].collected_by_channel for one in seen.lines)
    assert not order(total_tax_cost={**usd(10), "currency_code": "EUR"}).lines[0].taxes[0].collected_by_channel


@pytest.mark.parametrize(
    ("vat", "wrap", "grand", "shipping", "tax", "discount", "remark"),
    [
        (230, 0, 3650, 2270, 0, 0, False),  # VAT inside the prices
        (230, 0, 3880, 2270, 230, 0, False),  # VAT on top
        (0, 300, 3950, 2570, 0, 0, False),
        (230, 300, 4180, 2570, 230, 0, False),
        (0, 0, 1380, 2270, 0, 2270, True),  # a free-shipping coupon is not in discount_amt
        (0, 0, 3700, 2320, 0, 0, True),
    ],
)
def test_totals_always_meet_the_grand_total(
    vat: int, wrap: int, grand: int, shipping: int, tax: int, discount: int, remark: bool
) -> None:
    def eur(minor: int) -> dict:
        return {**usd(minor), "currency_code": "EUR"}

    seen = order(total_vat_cost=eur(vat), gift_wrap_price=eur(wrap), grandtotal=eur(grand))
    assert seen.totals is not None
    assert (seen.totals.shipping.minor, seen.totals.tax.minor, seen.totals.discount.minor) == (shipping, tax, discount)
    parts = seen.totals.items.minor + shipping + tax - discount
    assert parts == seen.totals.total.minor == grand
    assert sum(one.discount.minor for one in seen.lines if one.discount) == discount
    assert sum(part.amount.minor for one in seen.lines for part in one.taxes) == tax
    assert ("miss its total" in seen.note) is remark


def test_money_follows_divisor_and_currency() -> None:
    yen = {"amount": 250000, "divisor": 100, "currency_code": "JPY"}
    seen = order(
        transactions=[line(price=yen)],
        **dict.fromkeys(("total_shipping_cost", "total_tax_cost", "total_vat_cost", "discount_amt", "gift_wrap_price")),
        total_price=yen,
        grandtotal=yen,
    )
    assert seen.totals is not None
    assert seen.totals.total == Money(2500, "JPY")


def test_money_that_cannot_be_read_does_not_keep_stock_from_being_held() -> None:
    for odd in ({**usd(690), "divisor": 0}, {"amount": None}, "6.90", {**usd(690), "currency_code": "GBP"}):
        seen = order(transactions=[line(price=odd)])
        assert seen.totals is None
        assert seen.lines[0].ordered == 1 and seen.lines[0].subtotal is None
        assert "money can't be read" in seen.note
    assert order(grandtotal=None).totals is None


def test_a_price_of_the_whole_line_is_recognised_by_the_total() -> None:
    eur = {**usd(690), "currency_code": "EUR"}
    seen = order(transactions=[line(quantity=3, price=eur)], total_price=eur, grandtotal={**eur, "amount": 2960})
    assert seen.lines[0].subtotal == Money(690, "EUR")
    assert seen.totals is not None and seen.totals.items.minor == 690


def test_withheld_address_is_told() -> None:
    withheld = dict.fromkeys(("first_line", "second_line", "city", "state", "zip", "country_iso", "buyer_email"))
    seen = order(**withheld)
    assert seen.ship_to == Address(name="MARIA EXAMPLE")
    assert seen.buyer is not None and seen.buyer.email is None
    assert "withholds the address" in seen.note
    assert "withholds" not in order().note


def test_second_parcel_ships_no_more_units() -> None:
    two = [*receipt()["shipments"], {"receipt_shipping_id": None, "carrier_name": "usps", "tracking_code": "94"}]
    seen = order(shipments=two)
    assert [sum(parcel.units.values()) for parcel in seen.shipments] == [2, 0]
    assert seen.shipments[1].shipment_id == "94"


def test_gift_and_digital() -> None:
    seen = order(is_gift=True, gift_message="Love", gift_sender="Ann", transactions=[line(is_digital=True)])
    assert "Gift from Ann: Love" in seen.note
    assert not seen.lines[0].needs_shipping


def test_numbers_as_text_nulls_and_unknown_fields_do_not_matter() -> None:
    seen = order(
        receipt_id="2746298241",
        zip=28028,
        shipments=None,
        refunds=None,
        new_field={"a": [1]},
        updated_timestamp="1672698331",
        is_gift=None,
        transactions=[line(quantity="3", transaction_id="77", is_digital=None)],
    )
    assert (seen.order_id, seen.lines[0].ordered, seen.lines[0].line_id) == ("2746298241", 3, "77")
    assert seen.ship_to is not None and seen.ship_to.postal_code == "28028"
    assert seen.updated_at == datetime(2023, 1, 2, 22, 25, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        (PAYLOADS / "receipt_completed.json").read_bytes()[:-40],
        b"\xff\xfe{}",
        b'{"receipt_id":1}',
        b'{"receipt_id":null,"transactions":[]}',
        b'{"receipt_id":1,"transactions":[{"transaction_id":1,"quantity":null}]}',
        b'{"receipt_id":1,"transactions":[{"transaction_id":1,"quantity":-1}]}',
        b'{"receipt_id":1,"transactions":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b"<html>502</html>",
    ],
)
def test_unreadable_receipt_says_so(body: bytes) -> None:
    with pytest.raises(Unreadable):
        SHOP.parse(RawMessage("poll:order", body))


# --- webhooks --------------------------------------------------------------------------------------------------------


def hook(topic: str, url: str | None, **more: object) -> RawMessage:
    return RawMessage(topic, json.dumps({"event_type": topic, "resource_url": url, "shop_id": 12345, **more}).encode())


BASE = "https://openapi.etsy.com/v3/application"


def test_events_become_hints() -> None:
    assert SHOP.parse(hook("order.canceled", f"{BASE}/shops/12345/receipts/54321")) == [OrderHint("54321")]
    assert SHOP.parse(hook("inventory.out_of_stock", f"{BASE}/listings/77/inventory")) == [OutletHint("77")]
    assert SHOP.parse(hook("inventory.updated", f"{BASE}/listings/77/inventory")) == [
        OutletHint("77"),
        CatalogueHint("77"),
    ]
    assert SHOP.parse(hook("listing.deleted", f"{BASE}/shops/12345/listings/77")) == [CatalogueHint("77", deleted=True)]
    assert SHOP.parse(hook("listing.updated", None, data={"listing_id": "77"})) == [CatalogueHint("77")]
    [ignored] = SHOP.parse(hook("order.delivered", f"{BASE}/shops/12345/receipts/1"))
    assert isinstance(ignored, Ignored)
    nested = RawMessage("order.paid", json.dumps({"data": {"resource_url": f"{BASE}/shops/12345/receipts/9"}}).encode())
    assert SHOP.parse(nested) == [OrderHint("9")]


@pytest.mark.parametrize(
    ("topic", "url"),
    [
        ("order.paid", f"{BASE}/shops/999/receipts/54321"),
        ("order.paid", f"{BASE}/shops/12345/receipts/54321/../../../secret"),
        ("order.paid", "http://169.254.169.254/latest/meta-data"),
        ("order.paid", f"{BASE}/shops/12345/receipts/"),
        ("order.paid", "https://[bad"),
        ("order.paid", None),
        ("order.paid", f"{BASE}/listings/1"),
        ("shop.renamed", f"{BASE}/shops/12345"),
    ],
)
def test_foreign_paths_and_unknown_kinds_are_unreadable(topic: str, url: str | None) -> None:
    with pytest.raises(Unreadable):
        SHOP.parse(hook(topic, url))


KEY = b"an etsy signing key of some bytes"
SECRET = {"webhook_secret": "whsec_" + base64.b64encode(KEY).decode()}
BODY = (PAYLOADS / "order_paid.json").read_bytes()


def signed(body: bytes = BODY, at: datetime = NOW, form: str = "v1,{}", key: bytes = KEY) -> RawRequest:
    stamp = str(int(at.timestamp()))
    mac = base64.b64encode(hmac.new(key, f"msg_1.{stamp}.".encode() + body, hashlib.sha256).digest()).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": form.format(mac)}
    return RawRequest("POST", "https://us.example/hooks/etsy", {}, headers, body)


@pytest.mark.parametrize("form", ["v1,{}", "{}", "v1,AAAA v1,{}", "v2,AAAA v1,{} v1,BBBB"])
def test_signature_forms_that_are_accepted(form: str) -> None:
    assert SHOP.door.verify(signed(form=form), SECRET, NOW)


def test_signature_by_either_key_of_a_rotation() -> None:
    both = {"webhook_secret": "whsec_b2xkIGtleQ== " + SECRET["webhook_secret"]}
    assert SHOP.door.verify(signed(), both, NOW)


def test_forged_webhooks_are_refused() -> None:
    good = signed()
    for place in range(0, len(BODY), 7):
        body = bytearray(BODY)
        body[place] ^= 1
        assert not SHOP.door.verify(msgspec.structs.replace(good, body=bytes(body)), SECRET, NOW)
    for header, value in (("webhook-id", "msg_2"), ("webhook-timestamp", "x"), ("webhook-signature", "")):
        assert not SHOP.door.verify(msgspec.structs.replace(good, headers={**good.headers, header: value}), SECRET, NOW)
    mac = good.headers["webhook-signature"]
    for place in range(3, len(mac) - 1):
        forged = mac[:place] + ("A" if mac[place] != "A" else "B") + mac[place + 1 :]
        headers = {**good.headers, "webhook-signature": forged}
        assert not SHOP.door.verify(msgspec.structs.replace(good, headers=headers), SECRET, NOW)
    assert not SHOP.door.verify(signed(key=b"another"), SECRET, NOW)
    assert not SHOP.door.verify(signed(form="v2,{}"), SECRET, NOW)
    assert not SHOP.door.verify(good, {}, NOW)
    assert not SHOP.door.verify(good, {"webhook_secret": "whsec_"}, NOW)
    assert not SHOP.door.verify(signed(key=b"", form="{}"), {"webhook_secret": ""}, NOW)
    odd = {**good.headers, "webhook-signature": "v1,é"}
    assert not SHOP.door.verify(msgspec.structs.replace(good, headers=odd), SECRET, NOW)


def test_timestamps_more_than_five_minutes_off_are_refused() -> None:
    for seconds, accepted in ((299, True), (301, False), (-299, True), (-301, False)):
        at = NOW + timedelta(seconds=seconds)
        assert SHOP.door.verify(signed(at=at), SECRET, NOW) is accepted


def test_claim_reads_flat_and_nested_numbers_and_texts() -> None:
    for body in (
        {"event_type": "order.paid", "shop_id": 12345},
        {"event_type": "order.paid", "shop_id": "12345"},
        {"data": {"event_type": "order.paid", "shop_id": "12345"}},
    ):
        claimed = SHOP.door.claimed(signed(json.dumps(body).encode()))
        assert (claimed.account_external_id, claimed.topic, claimed.delivery_id) == ("12345", "order.paid", "msg_1")
        assert claimed.triggered_at == NOW
    for body in (b"{", b"[]", b'{"event_type":"order.paid"}', b'{"shop_id":1}', b"\xff"):
        with pytest.raises(Unreadable):
            SHOP.door.claimed(signed(body))
    assert SHOP.door.challenge(signed(), SECRET) is None


# --- tokens ----------------------------------------------------------------------------------------------------------

KEYS = {"keystring": "key", "shared_secret": "shh", "access_token": "1.old", "refresh_token": "1.r1"}
PAIR = {"access_token": "1.new", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "1.r2"}


def test_every_call_carries_key_and_token() -> None:
    request = SHOP.auth.authorized(Request("GET", "https://x/y", "getMe"), Secret(KEYS))
    assert request.headers == {"x-api-key": "key:shh", "authorization": "Bearer 1.old"}


def test_renewal_is_needed_within_a_minute_of_the_end() -> None:
    needs = SHOP.auth.needs_renewal
    assert needs(Secret({}), NOW)
    assert needs(Secret(KEYS, NOW + timedelta(seconds=60)), NOW)
    assert not needs(Secret(KEYS, NOW + timedelta(seconds=61)), NOW)
    assert not needs(Secret(KEYS), NOW)


async def test_renewal_gives_a_new_pair() -> None:
    http = Scripted((200, PAIR))
    new = await SHOP.auth.renew(http, Secret(KEYS, NOW, version=4), NOW)
    [asked] = http.asked
    assert asked.url == "https://openapi.etsy.com/v3/public/oauth/token"
    assert asked.bare and asked.method == "POST"
    form = {"grant_type": ["refresh_token"], "client_id": ["key"], "refresh_token": ["1.r1"]}
    assert parse_qs(asked.body.decode()) == form
    assert (new.values["access_token"], new.values["refresh_token"]) == ("1.new", "1.r2")
    assert (new.expires_at, new.version) == (NOW + timedelta(hours=1), 5)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"error": "invalid_grant", "error_description": "stale"}), SignInAgain),
        ((401, {"error": "invalid_client"}), SignInAgain),
        ((403, {"error": "Shared secret is required in x-api-key header."}), SignInAgain),
        ((429, {"error": "Exceeded daily rate limit"}, {"retry-after": "77"}), Retry),
        ((500, b"<html>"), Retry),
        ((200, b"<html>"), Retry),
        ((200, {"token_type": "Bearer"}), Retry),
        (NoAnswer("timed out", sent=True), Retry),
    ],
)
async def test_renewal_refused(answer: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        await SHOP.auth.renew(Scripted(answer), Secret(KEYS), NOW)


async def test_sign_in_with_the_code_of_the_consent_page() -> None:
    url = urlsplit(consent_url("key", "https://us.example/back", "st", "v" * 43))
    asked = {name: values[0] for name, values in parse_qs(url.query).items()}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).decode().rstrip("=")
    assert asked["code_challenge"] == challenge
    http = Scripted((200, PAIR))
    secret = await SHOP.oauth.sign_in(http, Secret(KEYS), "c0de", "https://us.example/back", "v" * 43, NOW)
    assert parse_qs(http.asked[0].body.decode())["code_verifier"] == ["v" * 43]
    assert secret.values["refresh_token"] == "1.r2"


def test_401_is_a_refused_token_and_403_is_not() -> None:
    assert SHOP.auth.token_refused(Response(401, {}, b'{"error":"invalid_token"}', NOW))
    assert not SHOP.auth.token_refused(Response(403, {}, b"{}", NOW))


# --- budgets ---------------------------------------------------------------------------------------------------------


def test_rate_headers_are_read() -> None:
    headers = {"x-limit-per-second": "10", "x-remaining-this-second": "8", "x-limit-per-day": "10000"}
    answer = Response(200, {**headers, "x-remaining-today": "9123"}, b"{}", NOW)
    second, day = SHOP.budget_seen(Request("GET", "u", "getMe"), answer)
    assert (second.limit, second.rate_per_s, second.burst, second.left) == ("per_second", 5.0, 5.0, 8.0)
    assert (day.limit, day.left_today) == ("per_day", 9123)
    assert SHOP.budget_seen(Request("GET", "u", "getMe"), Response(200, {}, b"{}", NOW)) == []


@pytest.mark.parametrize("told", [5, 10, 150])
def test_I19_no_second_ever_holds_more_calls_than_etsy_allows_in_one(told: int) -> None:
    """Found by the simulator: a full bucket of ten and what flowed in beside it were eleven calls in 0.6 s."""
    at = NOW
    one = Limiter(SHOP.limits, ManualClock(NOW))
    headers = {"x-limit-per-second": str(told), "x-remaining-this-second": str(told), "x-remaining-today": "9123"}
    for seen in SHOP.budget_seen(Request("GET", "u", "getMe"), Response(200, headers, b"{}", NOW)):
        one.observe(seen, at)
    at += timedelta(minutes=1)
    calls = []
    while at < NOW + timedelta(seconds=64):
        wait_s = one.try_take("getMe", 3, at)
        if wait_s == 0.0:
            calls.append(at)
        else:
            at += timedelta(seconds=wait_s)
    per_second = [sum(begin <= call < begin + timedelta(seconds=1) for call in calls) for begin in calls]
    assert max(per_second) <= told and len(calls) >= told * 2


def test_429_waits_on_the_right_count() -> None:
    daily = Response(429, {"retry-after": "86400"}, b'{"error":"Exceeded daily rate limit"}', NOW)
    [day] = SHOP.budget_seen(Request("GET", "u", "getMe"), daily)
    assert (day.limit, day.wait_s) == ("per_day", 86400.0)
    quick = Response(429, {}, b'{"error":"Exceeded per second rate limit"}', NOW)
    [second] = SHOP.budget_seen(Request("GET", "u", "getMe"), quick)
    assert (second.limit, second.wait_s) == ("per_second", 1.0)


# --- the feed --------------------------------------------------------------------------------------------------------

SINCE = NOW - timedelta(minutes=5)


def query(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}


def rows(*updated: int) -> list[dict]:
    return [{"receipt_id": 1000 + place, "updated_timestamp": at} for place, at in enumerate(updated)]


async def test_one_page_ends_the_run() -> None:
    http = Scripted((200, {"count": 2, "results": rows(1793706000, 1793706100)}))
    page = await SHOP.fetch(http, Cursor(SINCE), NOW)
    asked = query(http.asked[0])
    now = int(NOW.timestamp())
    assert asked == {
        "min_last_modified": str(now - 300 - 660),
        "sort_on": "updated",
        "sort_order": "asc",
        "limit": "100",
        "offset": "0",
    }
    assert (page.cursor, page.complete_through_at) == (Cursor(NOW), NOW - timedelta(seconds=30))
    assert page.messages[0].delivery_key.startswith("1000:1793706000:")
    assert len(page.messages[0].delivery_key) == len("1000:1793706000:") + 16


async def test_pages_follow_the_youngest_row_and_lose_none_that_moves_away() -> None:
    """A world where receipts of page 1 change (and so move to the end) before page 2 is read."""
    start = int(NOW.timestamp()) - 600
    world = {number: start + number for number in range(250)}
    received: set[int] = set()
    cursor = Cursor(SINCE)
    for turn in range(10):
        http = Scripted()

        async def answer(request: Request) -> Response:
            asked = query(request)
            low, offset = int(asked["min_last_modified"]), int(asked["offset"])
            inside = sorted((at, number) for number, at in world.items() if low <= at)
            found = [{"receipt_id": n, "updated_timestamp": at} for at, n in inside[offset : offset + 100]]
            return Response(200, {}, json.dumps({"count": len(inside), "results": found}).encode(), NOW)

        http.request = answer
        page = await SHOP.fetch(http, cursor, NOW + timedelta(seconds=turn))
        received |= {json.loads(message.body)["receipt_id"] for message in page.messages}
        for number in range(turn * 30, turn * 30 + 30):
            world[number] = int(NOW.timestamp()) + 60
        cursor = page.cursor
        if cursor.run is None:
            break
    assert cursor == Cursor(NOW)
    assert received == set(range(250))


async def test_more_changes_in_a_second_than_a_page_holds_go_on_by_count_with_overlap() -> None:
    at = int(NOW.timestamp())
    run = {"min": at - 1, "to": at, "offset": 0}
    page = await SHOP.fetch(Scripted((200, {"count": 230, "results": rows(*[at] * 100)})), Cursor(SINCE, run), NOW)
    assert page.cursor == Cursor(SINCE, {"min": at - 1, "to": at, "offset": 90})
    assert page.complete_through_at is None


async def test_rows_out_of_order_are_not_followed() -> None:
    at = int(NOW.timestamp())
    updated = [at - 5, *[at - 400] * 99]
    page = await SHOP.fetch(Scripted((200, {"count": 150, "results": rows(*updated)})), Cursor(SINCE), NOW)
    assert page.cursor.run is not None and page.cursor.run["offset"] == 90


async def test_one_odd_row_does_not_stop_the_feed() -> None:
    http = Scripted((200, b'{"count":2,"results":[{"receipt_id":null},{"receipt_id":5,"updated_timestamp":"9"}]}'))
    page = await SHOP.fetch(http, Cursor(SINCE), NOW)
    assert [message.delivery_key.split(":")[:2] for message in page.messages] == [["?", ""], ["5", "9"]]


async def test_order_by_id_and_its_absence() -> None:
    http = Scripted((200, receipt()), (404, {"error": "Resource not found"}))
    found = await SHOP.fetch_order(http, "2746298241")
    assert found is not None and found.delivery_key.startswith("2746298241:1672698331:")
    assert http.asked[0].url == "https://openapi.etsy.com/v3/application/shops/12345/receipts/2746298241"
    assert await SHOP.fetch_order(http, "1") is None
    assert await SHOP.fetch_order(Scripted(), "../listings/1") is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((401, {"error": "invalid_token"}), SignInAgain),
        ((403, {"error": "Unauthorized"}), SignInAgain),
        ((400, {"error": "bad"}), Park),
        ((429, {"error": "Exceeded daily rate limit"}, {"retry-after": "600"}), Retry),
        ((500, {"error": "Server Error"}), Retry),
        ((503, b"<html>"), Retry),
        ((200, b'{"count":1,"results":[{"rec'), Retry),
        ((200, b"\xff\xff"), Retry),
        ((200, b"[" * 10_000), Retry),
        (NoAnswer("cut", sent=True), NoAnswer),
    ],
)
async def test_a_read_that_fails(answer: object, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        await SHOP.fetch(Scripted(answer), Cursor(SINCE), NOW)
    if "600" in str(answer):
        assert caught.value.wait_s == 600.0


async def test_who_asks_for_the_users_shop() -> None:
    http = Scripted((200, {"user_id": 7, "shop_id": 12345}), (200, {"shop_name": "Mugs", "currency_code": "USD"}))
    who = await connect({}).who(http)
    assert (who.external_id, who.label, who.currency) == ("12345", "Mugs", "USD")
    with pytest.raises(SignInAgain):
        await connect({}).who(Scripted((200, {"user_id": 7, "shop_id": None})))


async def test_webhooks_are_left_to_a_person() -> None:
    [todo] = await SHOP.subscribe(Scripted(), "https://us.example/hooks/etsy", {})
    assert "https://us.example/hooks/etsy" in todo.todo
    [done] = await SHOP.subscribe(Scripted(), "https://us.example/hooks/etsy", SECRET)
    assert done.todo == ""
