"""What the Amazon connector makes of messages: official examples → facts, odd shapes, money, the queue's envelope."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from oneshelf.channels.amazon import claim, connect, queue_message
from oneshelf.channels.amazon.money import AmountSeen, money_of
from oneshelf.channels.amazon.parse import parse
from oneshelf.channels.contract import RawMessage
from oneshelf.core.errors import Unreadable
from oneshelf.core.facts import CatalogueHint, Fact, Ignored, Money, OrderHint, OrderSeen, OutletHint, Payment

PAYLOADS = Path(__file__).parent / "payloads" / "amazon"
EXAMPLES = sorted(
    path
    for kind in ("order_*", "notification_*")
    for path in PAYLOADS.glob(f"{kind}.json")
    if ".facts." not in path.name
)
Edit = Callable[[dict[str, Any]], object]


def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_bytes())
    return document


def parse_order(document: object) -> OrderSeen:
    facts = parse(RawMessage(topic="poll:order", body=json.dumps(document).encode()))
    assert len(facts) == 1 and isinstance(facts[0], OrderSeen)
    return facts[0]


def edited(name: str, edit: Edit) -> dict[str, Any]:
    document = copy.deepcopy(load(name))
    edit(document)
    return document


def order_change(edit: Edit = lambda change: None) -> list[Fact]:
    """The official ORDER_CHANGE example, with its inner notification edited."""
    document = load("notification_order_change")
    edit(document["Payload"]["OrderChangeNotification"])
    return parse(queue_message(json.dumps(document).encode(), "m-1"))


# --- official examples ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_official_example_gives_its_facts(path: Path) -> None:
    topic = "poll:order" if path.name.startswith("order_") else "queue:EXAMPLE"
    facts = parse(RawMessage(topic=topic, body=path.read_bytes()))
    expected = msgspec.json.decode(path.with_suffix(".facts.json").read_bytes(), type=list[Fact])
    assert facts == expected


def test_there_is_an_example_of_every_kind() -> None:
    assert len(EXAMPLES) == 18


# --- order status and counts ------------------------------------------------------------------------------------------


def set_status(status: str) -> Edit:
    return lambda order: order["fulfillment"].update(fulfillmentStatus=status)


@pytest.mark.parametrize(
    ("status", "payment", "cancelled"),
    [
        ("PENDING_AVAILABILITY", Payment.PENDING, False),
        ("PENDING", Payment.PENDING, False),
        ("UNSHIPPED", Payment.PAID, False),
        ("unshipped", Payment.PAID, False),
        ("PARTIALLY_SHIPPED", Payment.PAID, False),
        ("SHIPPED", Payment.PAID, False),
        ("INVOICE_UNCONFIRMED", Payment.PAID, False),
        ("CANCELLED", Payment.PENDING, True),
    ],
)
def test_status_says_payment_and_cancellation(status: str, payment: Payment, cancelled: bool) -> None:
    order = parse_order(edited("order_unshipped_gift_br", set_status(status)))
    assert (order.payment, order.cancelled) == (payment, cancelled)


def test_status_from_the_future_holds_stock_and_says_so() -> None:
    order = parse_order(edited("order_unshipped_gift_br", set_status("BEAMED_UP")))
    assert (order.payment, order.cancelled, order.lines[0].ordered) == (Payment.PENDING, False, 1)
    assert "BEAMED_UP" in order.note


def counts(
    *, ordered: int, fulfilled: int | None, unfulfilled: int | None, status: str, executed: bool = False
) -> tuple[int, int, int]:
    def edit(order: dict[str, Any]) -> None:
        order["fulfillment"]["fulfillmentStatus"] = status
        item = order["orderItems"][0]
        item["quantityOrdered"] = ordered
        item["fulfillment"] = {"quantityFulfilled": fulfilled, "quantityUnfulfilled": unfulfilled}
        if executed:
            item["cancellation"] = {"cancellationExecution": {"cancelledBy": "BUYER"}}

    line = parse_order(edited("order_shipped_facilitator_tr", edit)).lines[0]
    return line.ordered, line.shipped, line.cancelled


def test_counts_of_a_line() -> None:
    assert counts(ordered=5, fulfilled=0, unfulfilled=5, status="UNSHIPPED") == (5, 0, 0)
    assert counts(ordered=5, fulfilled=2, unfulfilled=3, status="PARTIALLY_SHIPPED") == (5, 2, 0)
    assert counts(ordered=5, fulfilled=2, unfulfilled=1, status="PARTIALLY_SHIPPED") == (5, 2, 2)
    assert counts(ordered=5, fulfilled=2, unfulfilled=3, status="CANCELLED") == (5, 2, 3)
    assert counts(ordered=5, fulfilled=0, unfulfilled=5, status="UNSHIPPED", executed=True) == (5, 0, 5)
    assert counts(ordered=5, fulfilled=0, unfulfilled=3, status="UNSHIPPED", executed=True) == (5, 0, 2)


def test_counts_without_the_fulfilment_block_follow_the_status() -> None:
    assert counts(ordered=2, fulfilled=None, unfulfilled=None, status="SHIPPED") == (2, 2, 0)
    assert counts(ordered=2, fulfilled=None, unfulfilled=None, status="PENDING") == (2, 0, 0)
    assert counts(ordered=2, fulfilled=None, unfulfilled=None, status="CANCELLED") == (2, 0, 2)


def test_line_that_amazon_counts_down_to_zero_when_cancelled_is_no_negative() -> None:
    assert counts(ordered=0, fulfilled=0, unfulfilled=0, status="CANCELLED") == (0, 0, 0)


def test_buyers_wish_to_cancel_is_told_and_cancels_nothing() -> None:
    def edit(order: dict[str, Any]) -> None:
        order["orderItems"][0]["cancellation"] = {
            "cancellationRequest": {"requester": "BUYER", "cancelReason": "Ordered by mistake"}
        }

    order = parse_order(edited("order_unshipped_gift_br", edit))
    assert order.note.split("; ")[0] == "the buyer asks to cancel: Ordered by mistake"
    assert order.cancel_asked == "Ordered by mistake"
    assert (order.cancelled, order.lines[0].cancelled) == (False, 0)


def test_order_sold_outside_amazon_is_no_sale() -> None:
    document = edited("order_unshipped_gift_br", lambda order: order["salesChannel"].update(channelName="NON_AMAZON"))
    facts = parse(RawMessage(topic="poll:order", body=json.dumps(document).encode()))
    assert [type(fact) for fact in facts] == [Ignored]


def test_unfulfillable_order_is_ignored() -> None:
    document = edited("order_unshipped_gift_br", set_status("UNFULFILLABLE"))
    facts = parse(RawMessage(topic="poll:order", body=json.dumps(document).encode()))
    assert [type(fact) for fact in facts] == [Ignored]


def test_replacement_order_costs_nothing_and_still_ships() -> None:
    def edit(order: dict[str, Any]) -> None:
        order["associatedOrders"] = [{"orderId": "171-1", "associationType": "REPLACEMENT_ORIGINAL_ID"}]
        order.pop("proceeds")
        order["orderItems"][0].pop("proceeds")
        order["orderItems"][0]["product"].pop("price")

    order = parse_order(edited("order_unshipped_gift_br", edit))
    assert order.lines[0].ordered == 1 and order.lines[0].subtotal == Money(0, "BRL")
    assert order.totals is not None and order.totals.total == Money(0, "BRL")
    assert order.note.split("; ")[0] == "replacement of 171-1"


def test_cancelled_package_counts_nothing_and_pending_package_is_no_parcel() -> None:
    def edit(order: dict[str, Any]) -> None:
        first = order["packages"][0]
        waiting = {**first, "packageReferenceId": 2, "packageStatus": {"status": "PENDING"}}
        called_off = {**first, "packageReferenceId": "3", "packageStatus": {"status": "CANCELLED"}}
        order["packages"] = [first, waiting, called_off]

    shipments = parse_order(edited("order_shipped_gb", edit)).shipments
    assert [(s.shipment_id, s.cancelled) for s in shipments] == [("UK-PKG-CONSUMER-2024-002", False), ("3", True)]


# --- money ------------------------------------------------------------------------------------------------------------


def priced(grand: str, breakdowns: list[dict[str, Any]], order_level: list[dict[str, Any]] | None = None) -> OrderSeen:
    """The official US example with other proceeds: one line, two units at 10.00."""

    def amount(value: str) -> dict[str, str]:
        return {"amount": value, "currencyCode": "USD"}

    def edit(order: dict[str, Any]) -> None:
        order["proceeds"] = {
            "grandTotal": amount(grand),
            "breakdowns": [{"type": b["type"], "subtotal": amount(b["subtotal"])} for b in order_level or []],
        }
        item = order["orderItems"][0]
        item["quantityOrdered"] = 2
        item["product"]["price"]["unitPrice"] = amount("10.00")
        item["proceeds"]["breakdowns"] = [
            {
                "type": b["type"],
                "subtotal": amount(b["subtotal"]),
                "detailedBreakdowns": [
                    {"subtype": kind, "value": amount(value)} for kind, value in b.get("of", {}).items()
                ],
            }
            for b in breakdowns
        ]

    return parse_order(edited("order_unshipped_taxed_us", edit))


def sums(order: OrderSeen) -> tuple[int, int, int, int, int]:
    assert order.totals is not None
    t = order.totals
    return t.items.minor, t.shipping.minor, t.tax.minor, t.discount.minor, t.total.minor


def test_money_adds_up_with_tax_on_top() -> None:
    order = priced(
        "25.10",
        [
            {"type": "ITEM", "subtotal": "20.00"},
            {"type": "SHIPPING", "subtotal": "4.00"},
            {"type": "GIFT_WRAP", "subtotal": "1.50"},
            {"type": "TAX", "subtotal": "2.10", "of": {"ITEM": "1.80", "SHIPPING": "0.30"}},
            {"type": "DISCOUNT", "subtotal": "2.50", "of": {"ITEM": "1.00", "SHIPPING": "1.50"}},
        ],
    )
    assert sums(order) == (2000, 550, 210, 250, 2510)
    assert order.totals is not None and not order.totals.taxes_included and "differs" not in order.note
    assert order.totals.shipping_title == "Shipping, gift wrap"
    assert [tax.amount.minor for tax in order.totals.shipping_taxes] == [30]
    line = order.lines[0]
    assert (line.subtotal, line.discount) == (Money(2000, "USD"), Money(100, "USD"))
    assert [tax.amount.minor for tax in line.taxes] == [180]


def test_negative_discounts_are_discounts_too() -> None:
    order = priced("18.00", [{"type": "ITEM", "subtotal": "20.00"}, {"type": "DISCOUNT", "subtotal": "-2.00"}])
    assert sums(order) == (2000, 0, 0, 200, 1800)
    assert order.lines[0].discount == Money(200, "USD") and "differs" not in order.note


def test_tax_within_the_prices_is_told_by_the_grand_total() -> None:
    order = priced("20.00", [{"type": "ITEM", "subtotal": "20.00"}, {"type": "TAX", "subtotal": "3.19"}])
    assert sums(order) == (2000, 0, 319, 0, 2000)
    assert order.totals is not None and order.totals.taxes_included


def test_unit_price_times_quantity_where_amazon_gives_no_item_sum() -> None:
    order = priced("20.00", [])
    assert order.lines[0].subtotal == Money(2000, "USD") and sums(order) == (2000, 0, 0, 0, 2000)


def test_delivery_tip_of_the_order_is_a_charge() -> None:
    tip = [{"type": "DELIVERY_TIP", "subtotal": "3.00"}, {"type": "ITEM", "subtotal": "20.00"}]
    order = priced("23.00", [{"type": "ITEM", "subtotal": "20.00"}], tip)
    assert sums(order) == (2000, 300, 0, 0, 2300)


@pytest.mark.parametrize(("grand", "shipping", "discount"), [("20.07", 7, 0), ("19.93", 0, 7)])
def test_unexplained_difference_keeps_amazons_total_and_is_told(grand: str, shipping: int, discount: int) -> None:
    order = priced(grand, [{"type": "ITEM", "subtotal": "20.00"}])
    assert sums(order) == (2000, shipping, 0, discount, 2000 + shipping - discount)
    assert "differs" in order.note


def test_tax_collected_by_amazon_is_marked() -> None:
    def edit(order: dict[str, Any]) -> None:
        order["orderItems"][0]["proceeds"]["breakdowns"].append(
            {"type": "TAX", "subtotal": {"amount": "20.83", "currencyCode": "TRY"}}
        )

    line = parse_order(edited("order_shipped_facilitator_tr", edit)).lines[0]
    assert [(tax.amount, tax.collected_by_channel) for tax in line.taxes] == [(Money(2083, "TRY"), True)]


def test_pending_order_without_prices_has_no_totals() -> None:
    def edit(order: dict[str, Any]) -> None:
        order["fulfillment"]["fulfillmentStatus"] = "PENDING"
        for block in ("proceeds", "buyer", "recipient"):
            order.pop(block)
        order["orderItems"][0].pop("proceeds")
        order["orderItems"][0]["product"].pop("price")

    order = parse_order(edited("order_unshipped_gift_br", edit))
    assert (order.totals, order.buyer, order.ship_to, order.lines[0].subtotal) == (None, None, None, None)
    assert (order.payment, order.lines[0].ordered) == (Payment.PENDING, 1)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("19.90", "EUR", 1990), ("5980", "JPY", 5980), ("5980.00", "JPY", 5980), ("0.1", "KWD", 100), ("-5", "USD", -500)],
)
def test_minor_units_follow_the_currency(amount: str, currency: str, minor: int) -> None:
    seen = msgspec.json.decode(json.dumps({"amount": amount, "currencyCode": currency}).encode(), type=AmountSeen)
    assert money_of(seen) == Money(minor, currency)


def test_amount_as_a_json_number_is_read_digit_by_digit() -> None:
    seen = msgspec.json.decode(b'{"amount": 1.10, "currencyCode": "USD"}', type=AmountSeen)
    assert money_of(seen) == Money(110, "USD")


@pytest.mark.parametrize(
    ("amount", "currency"),
    [("1.00", "XQQ"), ("1.00", ""), ("1.005", "USD"), ("59.5", "JPY"), ("NaN", "USD"), ("1E+400", "USD")],
)
def test_money_nobody_can_read_is_unreadable(amount: str, currency: str) -> None:
    seen = msgspec.json.decode(json.dumps({"amount": amount, "currencyCode": currency}).encode(), type=AmountSeen)
    with pytest.raises(Unreadable):
        money_of(seen)


@pytest.mark.parametrize("amount", ["299.905", "Infinity", "many"])
def test_unreadable_total_parks_the_order(amount: str) -> None:
    with pytest.raises(Unreadable):
        parse_order(
            edited("order_unshipped_gift_br", lambda order: order["proceeds"]["grandTotal"].update(amount=amount))
        )


def test_two_currencies_in_one_order_park_it() -> None:
    def edit(order: dict[str, Any]) -> None:
        order["proceeds"]["grandTotal"]["currencyCode"] = "USD"

    with pytest.raises(Unreadable):
        parse_order(edited("order_unshipped_gift_br", edit))


# --- odd shapes -------------------------------------------------------------------------------------------------------


def test_numbers_as_strings_and_fractions_of_seconds_are_read() -> None:
    def edit(order: dict[str, Any]) -> None:
        order["createdTime"] = "2024-12-24T20:30:00.123Z"
        order["orderItems"][0]["quantityOrdered"] = "3"
        order["orderItems"][0]["orderItemId"] = "05015851154158"
        order["orderItems"][0]["fulfillment"] = {"quantityFulfilled": "1", "quantityUnfulfilled": "2"}

    order = parse_order(edited("order_unshipped_gift_br", edit))
    assert order.placed_at == datetime(2024, 12, 24, 20, 30, 0, 123000, tzinfo=UTC)
    line = order.lines[0]
    assert (line.line_id, line.ordered, line.shipped) == ("05015851154158", 3, 1)


@pytest.mark.parametrize(
    "edit",
    [
        lambda order: order.update(buyer=None, recipient=None, packages=None, associatedOrders=None, proceeds=None),
        lambda order: order.update(buyer="hidden", recipient=[], packages={"no": "list"}),
        lambda order: order["recipient"]["deliveryAddress"].update(name=["a"], phone=5),
        lambda order: order["fulfillment"].update(shipByWindow="soon"),
        lambda order: order.update(createdTime="yesterday", lastUpdatedTime=None),
        lambda order: order["orderItems"][0].update(promotion=7, expense="x", somethingNew={"a": [1]}),
    ],
)
def test_what_only_informs_never_parks_an_order(edit: Edit) -> None:
    order = parse_order(edited("order_unshipped_gift_br", edit))
    assert order.lines[0].listing_keys == ("sku:ECHO-DOT-4-BR-PRETO",) and order.lines[0].ordered == 1


def test_line_without_a_sku_names_no_listing() -> None:
    line = parse_order(
        edited("order_unshipped_gift_br", lambda order: order["orderItems"][0]["product"].pop("sellerSku"))
    ).lines[0]
    assert (line.sku, line.listing_keys, line.ordered) == (None, (), 1)


@pytest.mark.parametrize(
    "edit",
    [
        lambda order: order.pop("orderId"),
        lambda order: order.update(orderId=""),
        lambda order: order.update(orderItems=None),
        lambda order: order["orderItems"][0].pop("orderItemId"),
        lambda order: order["orderItems"][0].update(quantityOrdered=None),
        lambda order: order["orderItems"][0].update(quantityOrdered=-1),
        lambda order: order["orderItems"][0].update(quantityOrdered=10**12),
        lambda order: order["orderItems"][0].update(quantityOrdered="two"),
        lambda order: order.pop("fulfillment"),
    ],
)
def test_what_decides_parks_an_order_when_it_is_wrong(edit: Edit) -> None:
    with pytest.raises(Unreadable):
        parse_order(edited("order_unshipped_gift_br", edit))


WHOLE = (PAYLOADS / "order_unshipped_gift_br.json").read_bytes()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"<html>busy</html>",
        WHOLE[: len(WHOLE) // 2],
        WHOLE.replace(b"Flores", b"Fl\xffres"),
        b"[" * 10_000 + b"]" * 10_000,
        WHOLE.replace(b'"programs": [', b'"programs": [' + b"[" * 10_000 + b"]" * 10_000 + b","),
    ],
    ids=["empty", "null", "list", "html", "truncated", "non-utf-8", "deep", "deep-inside"],
)
@pytest.mark.parametrize("topic", ["poll:order", "queue:ORDER_CHANGE"])
def test_damaged_bytes_are_unreadable(topic: str, body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse(RawMessage(topic=topic, body=body))


def test_unknown_topics_and_kinds_are_unreadable() -> None:
    with pytest.raises(Unreadable):
        parse(RawMessage(topic="webhook:order", body=WHOLE))
    unknown = {"NotificationType": "MOON_PHASE", "Payload": {}, "NotificationMetadata": {}}
    with pytest.raises(Unreadable):
        parse(queue_message(json.dumps(unknown).encode(), "m-1"))


# --- notifications ----------------------------------------------------------------------------------------------------


def summary(**fields: object) -> Edit:
    return lambda change: change["Summary"].update(fields)


def seen_in(facts: list[Fact]) -> OrderSeen:
    assert isinstance(facts[0], OrderSeen) and facts[1] == OrderHint("903-8868176-2219830")
    return facts[0]


def test_pending_notification_reserves_without_a_call() -> None:
    order = seen_in(order_change(summary(OrderStatus="Pending")))
    assert (order.complete, order.payment) == (False, Payment.PENDING)
    assert [(line.listing_keys, line.ordered, line.shipped) for line in order.lines] == [(("sku:SellerSKUID1",), 10, 0)]


def test_cancelled_notification_wants_nothing_more() -> None:
    order = seen_in(order_change(summary(OrderStatus="Canceled")))
    assert order.cancelled and (order.lines[0].ordered, order.lines[0].cancelled) == (10, 10)


def test_shipped_notification_counts_the_shipped_units() -> None:
    def edit(change: dict[str, Any]) -> None:
        change["Summary"]["OrderStatus"] = "PartiallyShipped"
        change["Summary"]["OrderItems"][0]["QuantityShipped"] = 4

    order = seen_in(order_change(edit))
    assert (order.payment, order.lines[0].shipped, order.lines[0].cancelled) == (Payment.PAID, 4, 0)


def test_notification_is_never_newer_than_the_order_it_tells_of() -> None:
    def without_time(change: dict[str, Any]) -> None:
        change["OrderChangeTrigger"]["TimeOfOrderChange"] = None

    assert seen_in(order_change()).updated_at == datetime(2022, 11, 29, 19, 42, 4, tzinfo=UTC)
    assert seen_in(order_change(without_time)).updated_at == datetime(2022, 7, 13, 19, 42, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    "edit",
    [
        summary(FulfillmentType="AFN"),
        summary(OrderItems=[]),
        summary(OrderItems=None),
        summary(OrderStatus=None),
        summary(OrderStatus="Unfulfillable"),
        lambda change: change.update(NotificationLevel="OrderItemLevel"),
        lambda change: change.update(Summary=None),
    ],
    ids=["amazon-ships", "no-items", "null-items", "no-status", "unfulfillable", "item-level", "no-summary"],
)
def test_summary_that_does_not_tell_enough_is_a_hint(edit: Edit) -> None:
    assert order_change(edit) == [OrderHint("903-8868176-2219830")]


@pytest.mark.parametrize(
    "edit",
    [
        lambda change: change.pop("AmazonOrderId"),
        lambda change: change["Summary"]["OrderItems"][0].update(Quantity="some"),
        lambda change: change["Summary"]["OrderItems"][0].pop("SellerSKU"),
        lambda change: change["Summary"].update(OrderItems=["x"]),
    ],
)
def test_order_change_without_what_decides_is_unreadable(edit: Edit) -> None:
    with pytest.raises(Unreadable):
        order_change(edit)


def test_quantity_of_amazons_own_stock_is_no_hint() -> None:
    document = load("notification_listings_item_mfn_quantity_change")
    document["Payload"]["FulfillmentChannelCode"] = "AMAZON_NA"
    assert [type(fact) for fact in parse(queue_message(json.dumps(document).encode(), "m"))] == [Ignored]


def test_deleted_listing_is_told() -> None:
    document = load("notification_listings_item_status_change")
    document["Payload"]["Status"] = ["DELETED"]
    document["NotificationType"] = "LISTINGS_ITEM_STATUS_CHANGED"
    assert parse(queue_message(json.dumps(document).encode(), "m")) == [CatalogueHint("NLS-SHOES-03", deleted=True)]


# --- the queue --------------------------------------------------------------------------------------------------------


def test_queue_message_is_keyed_by_the_notification_id() -> None:
    body = (PAYLOADS / "notification_order_change.json").read_bytes()
    first, again = queue_message(body, "sqs-1"), queue_message(body, "sqs-2")
    assert first.topic == "queue:ORDER_CHANGE"
    assert first.delivery_key == "queue:ORDER_CHANGE:d0e9e693-c3ad-4373-979f-ed4ec98dd746"
    assert first.delivery_key == again.delivery_key and first.headers != again.headers


def test_queue_message_without_an_id_is_keyed_by_its_bytes_and_a_damaged_one_is_kept() -> None:
    damaged = queue_message(b"\xff not json", "sqs-1")
    assert damaged.topic == "queue:unreadable" and damaged.delivery_key.startswith("queue:unreadable:")
    with pytest.raises(Unreadable):
        parse(damaged)


@pytest.mark.parametrize("as_text", [False, True])
def test_event_bridge_detail_is_unwrapped(as_text: bool) -> None:
    detail = load("notification_listings_item_mfn_quantity_change")
    event = {"version": "0", "source": "aws.partner/x", "detail": json.dumps(detail) if as_text else detail}
    message = queue_message(json.dumps(event).encode(), "sqs-1")
    assert message.topic == "queue:LISTINGS_ITEM_MFN_QUANTITY_CHANGE"
    assert message.delivery_key == "queue:LISTINGS_ITEM_MFN_QUANTITY_CHANGE:8e009934-da2c-4f9c-9bc7-93f23b7e1f60"
    assert parse(message) == [OutletHint("NLS-SHOES-03")]


@pytest.mark.parametrize(
    ("name", "seller_id", "region"),
    [
        ("notification_order_change", "A3TH9S8BH6GOGM", "na"),
        ("notification_listings_item_mfn_quantity_change", "AXXXXXXXXXXXXX", None),
        ("notification_feed_processing_finished", "A3TH9S8BH6GOGM", None),
        ("notification_feed_processing_finished_2", None, None),
        ("notification_item_inventory_event_change", "A21CXK3C4ERTY8", "na"),
        ("notification_transaction_update", "A3TH9S8BH6GOGM", None),
    ],
)
def test_both_envelope_spellings_name_their_seller(name: str, seller_id: str | None, region: str | None) -> None:
    claimed = claim((PAYLOADS / f"{name}.json").read_bytes())
    assert (claimed.seller_id, claimed.region) == (seller_id, region)


def test_message_about_another_seller_or_region_is_not_this_accounts() -> None:
    body = (PAYLOADS / "notification_order_change.json").read_bytes()
    mine = connect({"seller_id": "A3TH9S8BH6GOGM", "marketplace_ids": "ATVPDKIKX0DER"})
    abroad = connect({"seller_id": "A3TH9S8BH6GOGM", "marketplace_ids": "A1PA6795UKMFR9"})
    other = connect({"seller_id": "B0THER", "marketplace_ids": "ATVPDKIKX0DER"})
    assert [each.claims(claim(body)) for each in (mine, abroad, other)] == [True, False, False]
    assert len(mine.parse(queue_message(body, "m"))) == 2
    with pytest.raises(Unreadable):
        other.parse(queue_message(body, "m"))
