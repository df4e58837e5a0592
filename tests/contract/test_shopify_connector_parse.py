"""Shopify's messages → facts: official samples, the same order both ways, what the counts mean, odd shapes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from official import CONTRACTS
from shopify_script import PAYLOADS, as_shopify_would, payload

from oneshelf.channels.contract import RawMessage
from oneshelf.channels.shopify import connect
from oneshelf.channels.shopify import documents as docs
from oneshelf.channels.shopify.form import FormLine, cancelled_pieces
from oneshelf.channels.shopify.parse import POLLED_ORDER
from oneshelf.core.errors import Unreadable
from oneshelf.core.facts import (
    AccessLost,
    CatalogueHint,
    ErasureAsked,
    Fact,
    Ignored,
    LocationsHint,
    Money,
    OrderHint,
    OrderSeen,
    OutletHint,
    Payment,
    ReturnSeen,
    ShipmentSeen,
)
from oneshelf.core.relay import is_relay

SHOPIFY = connect({"shop": "demo.myshopify.com"})
SAMPLES = sorted(p for p in PAYLOADS.glob("*.*.json") if not p.name.endswith(".facts.json"))


def parse(topic: str, body: bytes | dict[str, Any]) -> list[Fact]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return SHOPIFY.parse(RawMessage(topic=topic, body=raw))


def order(body: dict[str, Any], topic: str = "orders/updated") -> OrderSeen:
    (fact,) = parse(topic, body)
    assert isinstance(fact, OrderSeen)
    return fact


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.stem)
def test_official_sample_gives_its_facts(path: Path) -> None:
    topic = path.stem.replace(".", "/")
    facts = json.loads(path.with_name(f"{path.stem}.facts.json").read_text())
    assert json.loads(msgspec.json.encode(parse(topic, path.read_bytes()))) == facts


def test_samples_are_there() -> None:
    assert len(SAMPLES) == 24


# --- topics ---------------------------------------------------------------------------------------------------------------


def test_every_topic_that_shopify_lists_is_known() -> None:
    path = CONTRACTS / "shopify" / "webhooks" / "topics.json"
    if not path.exists():
        pytest.skip("the official topic list is not present")
    topics = [t["topic"] for t in json.loads(path.read_text())["topics"]]
    assert len(topics) == 221
    for topic in topics:
        sample = path.parent / f"{topic.replace('/', '.')}.sample.json"
        assert parse(topic, sample.read_bytes() if sample.exists() else b"{}")


@pytest.mark.parametrize(
    "topic", ("orders/teleported", "products/levitate", "moons/create", "", "orders", "Poll:order")
)
def test_unknown_topic_is_unreadable(topic: str) -> None:
    with pytest.raises(Unreadable):
        parse(topic, b"{}")


def test_ids_rounded_on_the_way_are_taken_from_the_gid() -> None:
    (fact,) = parse("inventory_levels/update", payload("inventory_levels.update.json"))
    assert fact == OutletHint("gid://shopify/InventoryItem/271878346596884015|gid://shopify/Location/24826418")


def test_inventory_level_with_available_null_is_still_a_hint() -> None:
    body = {**json.loads(payload("inventory_levels.update.json")), "available": None}
    assert isinstance(parse("inventory_levels/update", body)[0], OutletHint)


@pytest.mark.parametrize(
    ("topic", "body", "fact"),
    (
        ("orders/edited", {"order_edit": {"order_id": 7}}, OrderHint("7")),
        ("refunds/create", {"id": 1, "order_id": "8"}, OrderHint("8")),
        ("fulfillment_orders/moved", {"fulfillment_order": {"order_id": 9}}, OrderHint("9")),
        ("products/delete", {"id": 5}, CatalogueHint("gid://shopify/Product/5", deleted=True)),
        ("locations/deactivate", {"id": 61000000001, "active": False}, LocationsHint()),
        ("locations/activate", {"id": 61000000001, "active": True}, LocationsHint()),
        ("locations/delete", {"id": 61000000001}, LocationsHint()),
        ("app/uninstalled", {}, AccessLost("the app was uninstalled from the shop")),
        ("customers/redact", {"customer": {"id": None, "email": "a@b.c"}}, ErasureAsked("erase", "a@b.c")),
        ("customers/redact", {"customer": {}, "orders_to_redact": [7]}, ErasureAsked("erase", "", ("7",))),
        ("customers/redact", {"orders_to_redact": [7, None]}, ErasureAsked("erase", "", ("7",))),
        (
            "customers/data_request",
            {"customer": {"id": 5}, "orders_requested": [7, 8]},
            ErasureAsked("export", "5", ("7", "8")),
        ),
    ),
)
def test_topic_gives_fact(topic: str, body: dict[str, Any], fact: Fact) -> None:
    assert parse(topic, body) == [fact]


@pytest.mark.parametrize(
    ("topic", "body"),
    (
        ("orders/edited", {"order_edit": None}),
        ("refunds/create", {"id": 1}),
        ("inventory_levels/update", {"location_id": 1}),
        ("products/update", {"title": "x"}),
        ("customers/redact", {"customer": {}}),
        ("orders/create", {"id": 1}),
        ("orders/create", {"line_items": []}),
        ("orders/create", {"id": 1, "line_items": [{"id": 2}]}),
        ("orders/create", {"id": 1, "line_items": [{"id": 2, "quantity": "many"}]}),
        (POLLED_ORDER, {"id": "gid://shopify/Order/1"}),
    ),
)
def test_a_message_without_what_matters_is_unreadable(topic: str, body: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        parse(topic, body)


# --- odd shapes -----------------------------------------------------------------------------------------------------------

DEEP = b'{"id":1,"line_items":[],"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}"


@pytest.mark.parametrize("topic", ("orders/create", POLLED_ORDER, "refunds/create", "inventory_levels/update"))
@pytest.mark.parametrize(
    "body",
    (
        b"",
        b'{"id": 1, "line_',
        b'\xff\xfe{"id":1}',
        b'{"id":1,"line_items":[],"lineItems":{"nodes":[]},"x":"\xff"}',
        DEEP,
        b"null",
        b"[]",
        b"<html>busy</html>",
    ),
    ids=("empty", "truncated", "utf16", "not_utf8", "deep", "null", "list", "html"),
)
def test_unreadable_bodies(topic: str, body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse(topic, body)


def test_nulls_strings_for_numbers_and_unknown_enums_are_borne() -> None:
    seen = order(
        {
            "id": "12",
            "line_items": [{"id": "3", "quantity": "2", "current_quantity": None, "variant_id": "44", "sku": None}],
            "financial_status": "paid_in_shells",
            "created_at": "2026-11-23T05:00:00.250+01:00",
            "updated_at": None,
            "customer": None,
            "shipping_address": None,
            "fulfillments": None,
            "refunds": [{"id": 1, "refund_line_items": None}],
            "shipping_lines": None,
            "note_attributes": None,
            "total_price": None,
        }
    )
    assert seen.order_id == "12"
    assert seen.payment is Payment.PENDING
    assert seen.placed_at == datetime(2026, 11, 23, 4, 0, 0, 250_000, tzinfo=UTC)
    assert seen.updated_at is None
    assert (seen.lines[0].ordered, seen.lines[0].cancelled, seen.lines[0].listing_keys) == (2, 0, ("variant:44",))
    assert seen.buyer is None and seen.ship_to is None and seen.totals is None


def test_fulfillment_with_an_unknown_status_has_not_shipped() -> None:
    body = webhook_order(fulfillments=[fulfillment(status="teleported")])
    assert order(body).shipments == ()
    assert order(body).lines[0].shipped == 0


@pytest.mark.parametrize("status", ("error", "failure", "cancelled"))
def test_fulfillment_that_failed_counts_nothing(status: str) -> None:
    seen = order(webhook_order(fulfillments=[fulfillment(status=status)]))
    assert (seen.lines[0].shipped, [s.cancelled for s in seen.shipments]) == (0, [True])


# --- payment --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "payment"),
    (
        ("paid", Payment.PAID),
        ("partially_paid", Payment.PAID),
        ("AUTHORIZED", Payment.PAID),
        ("refunded", Payment.PAID),
        ("partially_refunded", Payment.PAID),
        ("pending", Payment.PENDING),
        ("voided", Payment.PENDING),
        ("expired", Payment.PENDING),
        (None, Payment.PENDING),
    ),
)
def test_payment(status: str | None, payment: Payment) -> None:
    assert order(webhook_order(financial_status=status)).payment is payment


def test_test_orders_count() -> None:
    assert order(webhook_order(test=True)).lines[0].ordered == 3


# --- counts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("story", "quantity", "current", "unfulfilled", "shipped", "refunded", "cancelled"),
    (
        ("untouched", 3, 3, 3, 0, {}, 0),
        ("one removed by an edit", 3, 2, 2, 0, {}, 1),
        ("one refunded with restock before shipping", 3, 2, 2, 0, {"cancel": 1}, 1),
        ("one refunded, current not yet told", 3, 3, 3, 0, {"cancel": 1}, 1),
        ("one refunded without restock before shipping", 3, 2, 2, 0, {"no_restock": 1}, 1),
        ("all shipped, one sent back", 3, 2, 0, 3, {"return": 1}, 0),
        ("all shipped, one refunded for damage", 3, 2, 0, 3, {"no_restock": 1}, 0),
        ("one shipped and refunded for damage, two open", 3, 2, 2, 1, {"no_restock": 1}, 0),
        ("one shipped, one open one refunded without restock", 3, 2, 1, 1, {"no_restock": 1}, 1),
        ("one shipped, one cancelled, one sent back", 3, 1, 1, 1, {"cancel": 1, "return": 1}, 1),
        ("marked as return though never shipped", 1, 0, 0, 0, {"return": 1}, 1),
        ("an old restock of an open piece", 1, 0, 0, 0, {"legacy_restock": 1}, 1),
        ("unfulfilled not told", 2, 1, None, 0, {"no_restock": 1}, 1),
        ("unfulfilled not told, may be the shipped one", 2, 1, None, 1, {"no_restock": 1}, 0),
        ("cancel crossed the parcel", 2, 0, 0, 2, {"cancel": 2}, 0),
    ),
)
def test_cancelled_pieces(
    story: str,
    quantity: int,
    current: int,
    unfulfilled: int | None,
    shipped: int,
    refunded: dict[str, int],
    cancelled: int,
) -> None:
    line = FormLine("1", "2", "MUG", "Mug", quantity, current, unfulfilled, True)
    assert cancelled_pieces(line, shipped, 0, refunded) == cancelled, story


def test_pieces_at_a_fulfillment_service_are_neither_shipped_nor_cancelled() -> None:
    """3 ordered, 1 waits at a service, 1 refunded without restock after it had been shipped: 1 is free, nothing cancelled."""
    line = FormLine("1", "2", "MUG", "Mug", 3, 2, 1, True)
    assert cancelled_pieces(line, 1, 1, {"no_restock": 1}) == 0


def webhook_order(**changes: Any) -> dict[str, Any]:
    """The official orders/create sample, its one line of interest with a variant and three pieces."""
    body: dict[str, Any] = json.loads(payload("orders.create.json"))
    line = {**body["line_items"][0], "variant_id": 808950810, "quantity": 3, "current_quantity": 3}
    body.update(line_items=[line, *body["line_items"][1:]], cancelled_at=None, cancel_reason=None)
    body.update(changes)
    return body


def fulfillment(**changes: Any) -> dict[str, Any]:
    """The official fulfillments/create sample, shipping one piece of the first line."""
    body: dict[str, Any] = json.loads(payload("fulfillments.create.json"))
    body.update({"status": "success", "line_items": body["line_items"][:1], "location_id": 61000000001, **changes})
    return {**body, "admin_graphql_api_id": f"gid://shopify/Fulfillment/{body['id']}"}


def refund(kind: str, quantity: int = 1) -> dict[str, Any]:
    """The official refunds/create sample, its first line with this restock type."""
    body: dict[str, Any] = json.loads(payload("refunds.create.json"))
    line = {**body["refund_line_items"][0], "restock_type": kind, "quantity": quantity, "location_id": 61000000001}
    return {**body, "refund_line_items": [line]}


def test_parcel_and_return() -> None:
    seen = order(
        webhook_order(
            fulfillments=[
                fulfillment(
                    tracking_number="1Z2345",
                    tracking_numbers=["1Z2345", "1Z2346"],
                    tracking_url="https://ups.example/1Z2345",
                    tracking_urls=["https://ups.example/1Z2345", "https://ups.example/1Z2346"],
                    tracking_company="UPS",
                ),
                fulfillment(
                    id=123457,
                    status="cancelled",
                    tracking_number=None,
                    tracking_numbers=[],
                    tracking_url=None,
                    tracking_urls=[],
                ),
            ],
            refunds=[refund("return")],
        )
    )
    assert seen.lines[0].shipped == 1
    assert seen.lines[0].cancelled == 0
    assert seen.shipments == (
        ShipmentSeen(
            "123456",
            datetime(2022, 1, 1, tzinfo=UTC),
            {"487817672276298554": 1},
            "1Z2345",
            "UPS",
            "https://ups.example/1Z2345",
            location_id="gid://shopify/Location/61000000001",
            more_tracking_numbers=("1Z2346",),
        ),
        ShipmentSeen(
            "123457",
            datetime(2022, 1, 1, tzinfo=UTC),
            {"487817672276298554": 1},
            None,
            "UPS",
            location_id="gid://shopify/Location/61000000001",
            cancelled=True,
        ),
    )
    assert seen.returns == (
        ReturnSeen(
            "487817672276298600",
            "487817672276298554",
            1,
            "gid://shopify/Location/61000000001",
            datetime(2022, 1, 1, tzinfo=UTC),
        ),
    )


def test_refund_without_restock_is_no_return() -> None:
    assert order(webhook_order(fulfillments=[fulfillment()], refunds=[refund("no_restock")])).returns == ()


def test_a_return_of_what_never_left_is_a_cancel_and_no_return() -> None:
    body = webhook_order(refunds=[refund("return")])
    body["line_items"][0].update(current_quantity=2, fulfillable_quantity=2)
    seen = order(body)
    assert (seen.lines[0].cancelled, seen.returns) == (1, ())


# --- copies ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source_identifier", "attributes", "key"),
    (
        (None, [], None),
        ("902-3159896-1390916", [], "902-3159896-1390916"),
        ("902-3159896-1390916", [{"name": "oneshelf_key", "value": "amazon:1:902"}], "amazon:1:902"),
        (None, [{"name": "oneshelf_key", "value": "amazon:1:902"}], None),  # a duplicate that the merchant made
    ),
)
def test_copy_of_key(source_identifier: str | None, attributes: list[dict[str, str]], key: str | None) -> None:
    body = webhook_order(source_identifier=source_identifier, note_attributes=attributes)
    assert order(body).copy_of_key == key


def test_the_copys_line_names_the_marketplace_line() -> None:
    body = webhook_order()
    body["line_items"][0]["properties"] = [{"name": "oneshelf_line_id", "value": 68828574383266}]
    assert order(body).lines[0].copy_of_line_id == "68828574383266"
    assert order(body).lines[1].copy_of_line_id is None


@pytest.mark.parametrize(
    ("email", "relay"),
    (
        ("x1@marketplace.amazon.de", True),
        ("x1@Members.eBay.com", True),
        ("ada@example.com", False),
        ("ada@amazon.de", False),
    ),
)
def test_relay_addresses(email: str, relay: bool) -> None:
    assert is_relay(email) is relay


# --- the same order both ways ---------------------------------------------------------------------------------------------


def bag(rest: dict[str, Any]) -> dict[str, Any]:
    money = rest["presentment_money"]
    return {"presentmentMoney": {"amount": money["amount"], "currencyCode": money["currency_code"]}}


def ref(kind: str, numeric: object) -> dict[str, str] | None:
    return None if numeric is None else {"id": f"gid://shopify/{kind}/{numeric}"}


def page(nodes: list[Any]) -> dict[str, Any]:
    return {"nodes": nodes, "pageInfo": {"hasNextPage": False, "endCursor": None}}


def graphql_order(rest: dict[str, Any], **changes: Any) -> bytes:
    """The same order as our own document answers it, by the official schema where that is present."""
    address, customer = rest["shipping_address"], rest["customer"]
    node = {
        "id": rest["admin_graphql_api_id"],
        "name": rest["name"],
        "createdAt": "2022-01-01T00:00:00Z",
        "updatedAt": "2022-01-01T00:00:00Z",
        "cancelledAt": rest["cancelled_at"],
        "test": rest["test"],
        "sourceIdentifier": rest["source_identifier"],
        "note": rest["note"],
        "email": rest["email"],
        "phone": rest["phone"],
        "displayFinancialStatus": rest["financial_status"].upper(),
        "taxesIncluded": rest["taxes_included"],
        "presentmentCurrencyCode": rest["presentment_currency"],
        "customAttributes": [{"key": a["name"], "value": a["value"]} for a in rest["note_attributes"]],
        "metafield": None,
        "customer": {
            "id": customer["admin_graphql_api_id"],
            "firstName": customer["first_name"],
            "lastName": customer["last_name"],
        },
        "shippingAddress": {
            **{name: address[name] for name in ("name", "address1", "address2", "city", "province", "zip", "phone")},
            "provinceCode": address["province_code"],
            "countryCodeV2": address["country_code"],
        },
        "shippingLines": page([{"title": line["title"]} for line in rest["shipping_lines"]]),
        "totalPriceSet": bag(rest["total_price_set"]),
        "totalTaxSet": bag(rest["total_tax_set"]),
        "totalShippingPriceSet": bag(rest["total_shipping_price_set"]),
        "totalDiscountsSet": bag(rest["total_discounts_set"]),
        "lineItems": page([graphql_line(line) for line in rest["line_items"]]),
        "fulfillments": [graphql_fulfillment(f) for f in rest["fulfillments"]],
        "refunds": [graphql_refund(r) for r in rest["refunds"]],
        "fulfillmentOrders": page([]),
        **changes,
    }
    body = {"query": docs.ORDER.text, "variables": {"id": node["id"]}}
    return json.dumps(as_shopify_would(body, {"order": node})["order"]).encode()


def graphql_line(line: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": line["admin_graphql_api_id"],
        "name": line["name"],
        "sku": line["sku"],
        "quantity": line["quantity"],
        "currentQuantity": line["current_quantity"],
        "unfulfilledQuantity": line["fulfillable_quantity"],
        "requiresShipping": line["requires_shipping"],
        "variant": ref("ProductVariant", line["variant_id"]),
        "originalUnitPriceSet": bag(line["price_set"]),
        "totalDiscountSet": bag(line["total_discount_set"]),
        "customAttributes": [{"key": p["name"], "value": p["value"]} for p in line["properties"]],
    }


def graphql_fulfillment(seen: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/Fulfillment/{seen['id']}",
        "status": seen["status"].upper(),
        "createdAt": "2022-01-01T00:00:00Z",
        "location": ref("Location", seen["location_id"]),
        "trackingInfo": [
            {"company": seen["tracking_company"], "number": number, "url": url}
            for number, url in zip(seen["tracking_numbers"], seen["tracking_urls"], strict=True)
        ],
        "fulfillmentLineItems": page(
            [{"quantity": i["quantity"], "lineItem": {"id": i["admin_graphql_api_id"]}} for i in seen["line_items"]]
        ),
    }


def graphql_refund(seen: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": seen["admin_graphql_api_id"],
        "createdAt": "2022-01-01T00:00:00Z",
        "refundLineItems": page(
            [
                {
                    "id": f"gid://shopify/RefundLineItem/{line['id']}",
                    "quantity": line["quantity"],
                    "restockType": line["restock_type"].upper(),
                    "lineItem": {"id": line["line_item"]["admin_graphql_api_id"]},
                    "location": ref("Location", line["location_id"]),
                }
                for line in seen["refund_line_items"]
            ]
        ),
    }


ORDERS: dict[str, dict[str, Any]] = {
    "as created": webhook_order(),
    "cancelled": webhook_order(cancelled_at="2022-01-01T00:00:00Z", financial_status="voided"),
    "shipped in part, refunded in part": webhook_order(
        fulfillments=[
            fulfillment(
                tracking_numbers=["1z827wk74630", "1Z2"],
                tracking_url="https://ups.example/1",
                tracking_urls=["https://ups.example/1", None],
            ),
            fulfillment(id=9, status="cancelled"),
        ],
        refunds=[refund("return"), refund("cancel")],
        financial_status="partially_refunded",
    ),
    "a copy": webhook_order(
        source_identifier="902-3159896-1390916",
        note_attributes=[{"name": "oneshelf_key", "value": "amazon:1:902-3159896-1390916"}],
        note="ring twice",
    ),
}


@pytest.mark.parametrize("name", ORDERS)
def test_webhook_and_graphql_give_the_same_order(name: str) -> None:
    rest = ORDERS[name]
    by_webhook = order(rest)
    (by_read,) = parse(POLLED_ORDER, graphql_order(rest))
    assert by_read == by_webhook
    assert by_webhook.totals is not None and by_webhook.totals.total == Money(40495, "USD")


def test_custom_id_wins_in_our_own_document() -> None:
    raw = graphql_order(ORDERS["as created"], metafield={"value": "etsy:2:311"})
    (seen,) = parse(POLLED_ORDER, raw)
    assert isinstance(seen, OrderSeen) and seen.copy_of_key == "etsy:2:311"


def test_locations_come_from_open_fulfilment_orders_only() -> None:
    def work(status: str, location: str | None, remaining: int) -> dict[str, Any]:
        unit = {"remainingQuantity": remaining, "lineItem": {"id": "gid://shopify/LineItem/487817672276298554"}}
        return {
            "id": "gid://shopify/FulfillmentOrder/1",
            "status": status,
            "assignedLocation": {"location": ref("Location", location)},
            "lineItems": page([unit]),
        }

    raw = graphql_order(
        ORDERS["as created"],
        fulfillmentOrders=page(
            [work("OPEN", "61", 2), work("ON_HOLD", "62", 1), work("CLOSED", "63", 0), work("CANCELLED", "63", 3)]
        ),
    )
    (seen,) = parse(POLLED_ORDER, raw)
    assert isinstance(seen, OrderSeen)
    assert seen.locations == {"487817672276298554": {"gid://shopify/Location/61": 2, "gid://shopify/Location/62": 1}}


def test_ignored_topics_say_why() -> None:
    (fact,) = parse("bulk_operations/finish", payload("bulk_operations.finish.json"))
    assert fact == Ignored("bulk_operations/finish: exports are polled")
