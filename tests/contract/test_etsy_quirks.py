"""Etsy as sellers meet it: what its documents don't say, and what other programs stumble over, each by name.

What is of one part only stands with that part: statuses, personalisation, VAT, 429 and batch reads in test_etsy_connector*.py.
"""

from __future__ import annotations

import copy
import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from test_etsy_connector import NOW, SHOP, SINCE, Scripted, line, order, receipt, usd
from test_etsy_connector_prices import DOCUMENT, L, M, Shelf, told
from test_parcels import UPS, Listening, known, parcel, story
from wire import Wire

from oneshelf.channels.abilities import CancelWish, Parcel, PriceOffer
from oneshelf.channels.contract import Cursor, NoAnswer, Offer, Outlet, Request, Response
from oneshelf.channels.session import Priority
from oneshelf.core.errors import Park, Retry
from oneshelf.core.facts import Money, OrderSeen, Payment
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled
from oneshelf.publish.limiter import Limiter

WISH = CancelWish(order_id="2746298241", lines={}, whole=True, key="1")


def eur(minor: int) -> dict[str, Any]:
    return {**usd(minor), "currency_code": "EUR"}


def refund(amount: object, **more: Any) -> dict[str, Any]:
    return {"amount": amount, "created_timestamp": 1672700000, "reason": "x", "status": "succeeded", **more}


# --- receipts: refunds and cancels -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refunds", "expected"),
    [
        ([], Money(0, "EUR")),
        ([refund(eur(500)), refund(eur(250))], Money(750, "EUR")),
        ([refund(eur(500)), refund(eur(500))], Money(1000, "EUR")),  # two alike are two: they carry no id
        ([refund(eur(500), status=None)], Money(500, "EUR")),
        ([refund(eur(500), status="Failed"), refund(eur(1), status="PENDING")], Money(0, "EUR")),
        ([refund(usd(500))], None),
        ([refund(None)], None),
        ([refund("5.00")], None),
        (["?"], None),
        ({}, None),
        (None, None),
    ],
)
def test_refunds_add_up_and_what_can_not_be_read_is_not_guessed(refunds: object, expected: Money | None) -> None:
    seen = order(refunds=refunds)
    assert seen.refunded == expected
    assert seen.totals is not None and seen.totals.total == Money(3650, "EUR")


def test_a_partial_refund_moves_money_and_no_stock() -> None:
    seen = order(status="Partially Refunded", is_shipped=False, refunds=[refund(eur(500))])
    assert (seen.payment, seen.cancelled, seen.refunded) == (Payment.PAID, False, Money(500, "EUR"))
    assert [(one.ordered, one.cancelled) for one in seen.lines] == [(1, 0), (1, 0)]


def test_a_receipt_never_says_that_a_buyer_asks_for_a_cancel() -> None:
    assert order(message_from_buyer="please cancel", refunds=[refund(eur(1), reason="cancel")]).cancel_asked == ""


@pytest.mark.parametrize("action", ["cancel", "refund"])
async def test_a_cancel_or_refund_that_moves_no_update_time_is_news_all_the_same(action: str) -> None:
    """#604, #629: the feed hides it, a read by id shows it under another key, so that the inbox does not drop it as known."""
    wire, channel, before = await story("etsy")
    first = await channel.fetch_order(wire, before.order_id)
    wire.market.console(action, order_id=before.order_id)
    wire.pass_time(60)
    second = await channel.fetch_order(wire, before.order_id)
    (seen,) = channel.parse(second)
    assert isinstance(seen, OrderSeen) and before.totals is not None
    assert seen.updated_at == before.updated_at
    assert first.delivery_key != second.delivery_key
    assert (seen.cancelled, seen.refunded) == (action == "cancel", before.totals.total)


async def test_a_receipt_that_vanished_is_no_proof_of_a_cancel() -> None:
    """#338, #160: a cancelled receipt has answered 404; so does one of another shop."""
    gone = await SHOP.cancel_state(Scripted((404, {"error": "Resource not found"})), WISH, None)
    there = await SHOP.cancel_state(Scripted((200, receipt(status="Paid"))), WISH, None)
    assert (gone.state, there.state) == ("none", "none")
    assert "does not show this order" in gone.reason and "does not show" not in there.reason
    assert (await SHOP.cancel_state(Scripted((200, receipt(status="Canceled"))), WISH, None)).state == "done"


async def test_a_lost_receipt_does_not_read_as_one_without_parcels() -> None:
    with pytest.raises(Park):
        await SHOP.shipments(Scripted((404, {"error": "Resource not found"})), "2746298241")


# --- receipts: parcels, gifts, people, money -------------------------------------------------------------------------


def test_a_tracking_code_that_is_listed_twice_is_one_parcel() -> None:
    one = {"receipt_shipping_id": None, "carrier_name": "usps", "tracking_code": "94"}
    seen = order(shipments=[one, one, {**one, "tracking_code": "95"}])
    assert [(parcel.shipment_id, sum(parcel.units.values())) for parcel in seen.shipments] == [("94", 2), ("95", 0)]


def test_a_parcel_on_a_receipt_that_is_not_shipped_ships_nothing() -> None:
    seen = order(status="Paid", is_shipped=False)
    assert [parcel.units for parcel in seen.shipments] == [{}]
    assert [one.shipped for one in seen.lines] == [0, 0]


def test_gift_wrap_is_paid_and_named() -> None:
    seen = order(is_gift=True, gift_message="", gift_wrap_price=eur(300), grandtotal=eur(3950))
    assert seen.totals is not None
    assert (seen.totals.shipping, seen.totals.shipping_title) == (Money(2570, "EUR"), "Shipping and gift wrap")
    assert seen.note == "Gift."


def test_a_coupon_that_takes_all_leaves_no_line_below_nothing() -> None:
    seen = order(discount_amt=eur(-1380), grandtotal=eur(2270))
    assert seen.totals is not None and seen.totals.discount == Money(1380, "EUR")
    assert "miss its total" not in seen.note
    assert [one.discount for one in seen.lines] == [one.subtotal for one in seen.lines] == [Money(690, "EUR")] * 2


def test_vat_on_top_is_etsys_to_remit_and_a_tax_of_another_country_the_sellers() -> None:
    seen = order(country_iso="GB", total_vat_cost=eur(400), total_tax_cost=eur(10), grandtotal=eur(4060))
    taxes = [(one.title, one.amount.minor, one.collected_by_channel) for row in seen.lines for one in row.taxes]
    assert taxes == [("Sales tax", 5, False), ("VAT", 200, True)] * 2


@pytest.mark.parametrize(
    ("amount", "divisor", "currency", "minor"),
    [(2500, 1, "JPY", 2500), (250000, 100, "JPY", 2500), (12500, 1000, "KWD", 12500), (1250, 100, "KWD", 12500)],
)
async def test_currencies_without_cents_keep_their_amount_in_orders_and_prices(
    amount: int, divisor: int, currency: str, minor: int
) -> None:
    money = {"amount": amount, "divisor": divisor, "currency_code": currency}
    assert order(grandtotal=money, refunds=[refund(money)]).refunded == Money(minor, currency)
    document = copy.deepcopy(DOCUMENT)
    for product in document["products"]:
        product["offerings"][0]["price"] = money
    shelf = Shelf(**document)
    assert [one.price for one in await SHOP.read_prices(shelf, [M, L])] == [Money(minor, currency)] * 2
    both = [PriceOffer(one, Money(minor, currency)) for one in (M, L)]
    assert await SHOP.publish_prices(shelf, both) == [Accepted("123456789")] * 2
    assert [price for price, _ in told(shelf.put[0])] == [amount / divisor] * 2


def test_a_shop_whose_orders_come_in_several_currencies_keeps_each_order_in_its_own() -> None:
    assert [order(refunds=[]).refunded, order(grandtotal=usd(3650), refunds=[]).refunded] == [
        Money(0, "EUR"),
        Money(0, "USD"),
    ]


def test_a_digital_order_without_an_address_withholds_nothing() -> None:
    nowhere = dict.fromkeys(("name", "first_line", "second_line", "city", "state", "zip", "country_iso"))
    files = order(**nowhere, transactions=[line(is_digital=True)])
    assert files.ship_to is None and "withholds" not in files.note
    mixed = order(**nowhere, transactions=[line(is_digital=True), line(transaction_id=2)])
    assert "withholds the address" in mixed.note
    assert [one.needs_shipping for one in mixed.lines] == [False, True]


# --- listings --------------------------------------------------------------------------------------------------------


def same_sku() -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    for product in document["products"]:
        product["sku"] = "TEE"
    return document


async def test_one_sku_on_two_variations_stays_two_outlets() -> None:
    row = {"listing_id": 123456789, "title": "T", "state": "active", "inventory": same_sku()}
    page = await SHOP.catalogue(Scripted((200, {"count": 1, "results": [row]})), None)
    assert [one.outlet_external_id for one in page.listings] == [M.external_id, L.external_id]
    firsts = [one.listing_keys[0] for one in page.listings]
    assert len(set(firsts)) == 2 and all(one.listing_keys[-1] == "sku:TEE" for one in page.listings)
    shelf = Shelf(**same_sku())
    assert await SHOP.publish(shelf, [Offer(L, 1)]) == [Accepted("123456789")]
    assert [number for _, number in told(shelf.put[0])] == [7, 1]


async def test_a_price_write_enables_nothing() -> None:
    """A number above 0 handed along with a price is for an outlet on sale; a disabled one is the merchant's decision."""
    document = copy.deepcopy(DOCUMENT)
    document["products"][0]["offerings"][0]["is_enabled"] = False
    shelf = Shelf(**document)
    both = [PriceOffer(M, Money(2150, "USD"), quantity=5), PriceOffer(L, Money(2150, "USD"), quantity=2)]
    assert await SHOP.publish_prices(shelf, both) == [Accepted("123456789")] * 2
    assert [one["offerings"][0]["is_enabled"] for one in shelf.put[0]["products"]] == [False, True]
    assert told(shelf.put[0]) == [(21.5, 5), (21.5, 2)]


async def test_a_price_write_that_would_leave_nothing_on_sale_is_not_sent() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["products"][0]["offerings"][0]["is_enabled"] = False
    shelf = Shelf(**document)
    both = [PriceOffer(M, Money(2150, "USD")), PriceOffer(L, Money(2150, "USD"), quantity=0)]
    assert {one.code for one in await SHOP.publish_prices(shelf, both)} == {"out_of_stock"}  # type: ignore[union-attr]
    assert shelf.put == []


class Batch:
    """An Http that knows every listing but one, and answers a batch that names it with 404."""

    def __init__(self, unknown: int) -> None:
        self.unknown, self.asked = unknown, 0

    async def request(self, request: Request) -> Response:
        self.asked += 1
        address = urlsplit(request.url)
        if not address.path.endswith("/batch/inventory"):
            lost = f"/listings/{self.unknown}" in address.path
            body = b'{"error": "Resource not found"}' if lost else json.dumps(DOCUMENT).encode()
            return Response(404 if lost else 200, {}, body, NOW)
        ids = [int(one) for part in parse_qs(address.query)["listing_ids"] for one in part.split(",")]
        if self.unknown in ids:
            return Response(404, {}, b'{"error": "Resource not found"}', NOW)
        rows = [{"listing_id": one, "state": "active", "inventory": DOCUMENT} for one in ids]
        return Response(200, {}, json.dumps({"count": len(rows), "results": rows}).encode(), NOW)


async def test_one_unknown_id_among_a_hundred_costs_some_calls_and_hides_nobody() -> None:
    http = Batch(unknown=142)
    names = [Outlet(f"{number}/200=Red;62809790503=M", str(number)) for number in range(100, 200)]
    seen = await SHOP.read(http, names)
    assert [one.external_id for one in seen if one.state == "gone"] == ["142/200=Red;62809790503=M"]
    assert [one.quantity for one in seen].count(7) == 99
    assert http.asked <= 20


# --- limits and paging -----------------------------------------------------------------------------------------------

BUSY = {
    "per_second": ({"retry-after": "1"}, b'{"error": "Exceeded per second rate limit"}', 1.0),
    "per_second, untold": ({}, b'{"error": "Exceeded per second rate limit"}', 1.0),
    "per_day": ({"retry-after": "86400"}, b'{"error": "Exceeded daily rate limit"}', 86400.0),
    "per_day, untold": ({}, b'{"error": "Exceeded daily rate limit"}', 900.0),
    "per_day by its header": ({"x-remaining-today": "0"}, b"<html>", 900.0),
}


@pytest.mark.parametrize("kind", BUSY)
async def test_429_names_its_count_and_its_wait_to_reads_writes_and_budgets(kind: str) -> None:
    headers, body, wait_s = BUSY[kind]
    answer = (429, body, headers)
    with pytest.raises(Retry) as busy:
        await SHOP.fetch(Scripted(answer), Cursor(SINCE), NOW)
    assert busy.value.wait_s == wait_s
    [outcome] = await SHOP.publish(Scripted(answer), [Offer(M, 1)])
    assert isinstance(outcome, Throttled) and outcome.wait_s == wait_s
    told = SHOP.budget_seen(Request("GET", "u", "getMe"), Response(429, headers, body, NOW))
    assert [(one.limit, one.wait_s) for one in told if one.wait_s] == [(kind.partition(",")[0].split()[0], wait_s)]


async def test_twelve_thousand_changed_receipts_are_read_without_a_deep_offset() -> None:
    """Offsets above 12,000 are said to be refused: the feed goes on by time."""
    first = int(SINCE.timestamp()) - 600
    world = [(first + number // 20, number) for number in range(12_500)]
    deepest, received, cursor = 0, set(), Cursor(SINCE)

    async def answer(request: Request) -> Response:
        nonlocal deepest
        asked = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
        low, offset = int(asked["min_last_modified"]), int(asked["offset"])
        deepest = max(deepest, offset)
        inside = [one for one in world if low <= one[0]]
        rows = [{"receipt_id": n, "updated_timestamp": at} for at, n in inside[offset : offset + 100]]
        return Response(200, {}, json.dumps({"count": len(inside), "results": rows}).encode(), NOW)

    http = Scripted()
    http.request = answer  # type: ignore[method-assign]
    for _ in range(400):
        page = await SHOP.fetch(http, cursor, NOW)
        received |= {json.loads(one.body)["receipt_id"] for one in page.messages}
        cursor = page.cursor
        if cursor.run is None:
            break
    assert len(received) == 12_500
    assert deepest == 0


# --- parcels: every success mails the buyer --------------------------------------------------------------------------


async def first_told(number: str | None = UPS) -> tuple[Wire, Any, OrderSeen]:
    """An order whose first version was told while its answer was lost: we know no reference of it."""
    wire, channel, seen = await story("etsy")
    if not number:  # in the site of a shop elsewhere: within the United States a number is asked for
        wire.market.switches["shop_country"] = "DE"
    wire.market.console("ship", order_id=seen.order_id, tracking=number or "", carrier="ups" if number else "")
    return wire, channel, seen


async def tell(http: Listening, channel: Any, seen: OrderSeen, **more: Any) -> Outcome:
    given: Parcel = parcel(http.wire, {seen.lines[0].line_id: 1}, version=2, **more)
    outcome: Outcome = await channel.ship(http, seen.order_id, given, known(seen))
    return outcome


@pytest.mark.parametrize("number", [UPS, "1z 999-aa1-0123456784"])
async def test_S10_2_a_later_version_with_the_number_that_is_there_is_found_and_not_told(number: str) -> None:
    wire, channel, seen = await first_told()
    http = Listening(wire)
    (there,) = await channel.shipments(wire, seen.order_id)
    assert await tell(http, channel, seen, tracking_number=number) == Accepted(there.reference)
    assert http.written == []


@pytest.mark.parametrize("before", [UPS, None])
async def test_S10_2_a_later_version_with_another_number_is_a_persons(before: str | None) -> None:
    wire, channel, seen = await first_told(before)
    http = Listening(wire)
    outcome = await tell(http, channel, seen, tracking_number="1Z999AA10123456785")
    assert isinstance(outcome, Rejected) and outcome.code == "no_edit"
    assert http.written == []


async def test_S10_2_a_later_version_of_what_was_never_told_is_told_once() -> None:
    wire, channel, seen = await story("etsy")
    http = Listening(wire)
    answers = [await tell(http, channel, seen), await tell(http, channel, seen)]
    assert isinstance(answers[0], Accepted) and answers[1] == answers[0]
    assert len(http.written) == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Response(503, {}, b"<html>", NOW), Throttled),
        (Response(404, {}, b'{"error": "Resource not found"}', NOW), Rejected),
        (Response(401, {}, b'{"error": "invalid_token"}', NOW), Rejected),
        (NoAnswer("timed out", sent=True), Throttled),
        (Response(200, {}, b"<html>", NOW), Throttled),
    ],
)
async def test_S10_2_a_later_version_is_not_told_unless_the_receipt_was_read(answer: object, expected: type) -> None:
    class Blind:
        writes = 0

        async def request(self, request: Request) -> Response:
            self.writes += request.writes
            if isinstance(answer, Exception):
                raise answer
            assert isinstance(answer, Response)
            return answer

    given = Parcel(key="901", units={}, shipped_at=NOW, carrier="UPS", tracking_number=UPS, version=2)
    http = Blind()
    assert isinstance(await SHOP.ship(http, "2746298241", given, {}), expected)
    assert http.writes == 0


# --- the sliding day ---------------------------------------------------------------------------------------------------


def test_S8_11_the_last_tenth_of_etsys_sliding_day_is_for_urgent_numbers_and_comes_back_as_it_slides() -> None:
    """The headers of any answer tell what is left; what is spent is freed a day after it was spent, not at midnight."""
    limiter = Limiter(SHOP.limits, Still())
    request = Request("GET", "https://openapi.etsy.com/v3/application/users/me", "getMe")

    def told(left: int, at: datetime) -> None:
        headers = {"x-limit-per-day": "5000", "x-remaining-today": str(left), "x-limit-per-second": "5"}
        limiter.answered("getMe", at, SHOP.budget_seen(request, Response(200, headers, b"{}", at)))

    told(501, NOW)
    assert limiter.try_take("getMe", Priority.POLL, NOW) == 0.0
    told(500, NOW)
    for priority in (Priority.POLL, Priority.RAISE, Priority.REPAIR):
        assert limiter.try_take("getMe", priority, NOW) > 1.0
    for priority in (Priority.ZERO_OUT, Priority.LOWER_UNSAFE):
        assert limiter.try_take("getMe", priority, NOW + timedelta(seconds=1)) == 0.0
    later = NOW + timedelta(hours=1)  # a twenty-fourth of what others spent before has left the window
    assert limiter.try_take("getMe", Priority.POLL, later) == 0.0
    told(0, later)
    assert limiter.try_take("getMe", Priority.ZERO_OUT, later + timedelta(seconds=1)) > 1.0


class Still:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0
