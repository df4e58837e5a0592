"""The emulated Shopify: its webhooks, the merchant's hand, and figures that agree wherever they are shown."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLEnumType, GraphQLObjectType, get_named_type, is_leaf_type
from shopify_client import ANNA, Client, new_client
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf_emulator.courier import Courier
from oneshelf_emulator.door import deliver_in_process
from oneshelf_emulator.shopify.records import InventoryLevel, WebhookSubscription
from oneshelf_emulator.shopify.webhooks import RETRY_LADDER_S, topic_path

REPO = Path(__file__).resolve().parents[3]
CONTRACTS = Path(os.environ.get("ONESHELF_CONTRACTS", REPO.parent / "shared" / "contracts")) / "shopify"
needs_contracts = pytest.mark.skipif(
    not CONTRACTS.is_dir(), reason="the sample payloads are not beside this repository"
)

ALL_TOPICS = ["ORDERS_CREATE", "ORDERS_PAID", "ORDERS_UPDATED", "ORDERS_CANCELLED", "ORDERS_FULFILLED", "ORDERS_PARTIALLY_FULFILLED", "REFUNDS_CREATE", "INVENTORY_LEVELS_UPDATE", "INVENTORY_LEVELS_CONNECT", "INVENTORY_LEVELS_DISCONNECT", "INVENTORY_ITEMS_UPDATE", "PRODUCTS_CREATE", "PRODUCTS_UPDATE", "PRODUCTS_DELETE", "FULFILLMENTS_CREATE", "FULFILLMENTS_UPDATE", "FULFILLMENT_ORDERS_ORDER_ROUTING_COMPLETE", "FULFILLMENT_ORDERS_MOVED", "FULFILLMENT_ORDERS_PLACED_ON_HOLD", "FULFILLMENT_ORDERS_HOLD_RELEASED", "LOCATIONS_CREATE", "LOCATIONS_DEACTIVATE", "CUSTOMERS_CREATE", "CUSTOMERS_UPDATE", "BULK_OPERATIONS_FINISH", "APP_UNINSTALLED", "APP_SCOPES_UPDATE"]  # fmt: skip


async def subscribed(*topics: str, **switches: Any) -> Client:
    client = new_client(**switches)
    for topic in topics:
        assert (await client.subscribe(topic))["userErrors"] == []
    return client


async def test_a_delivery_is_signed_and_carries_every_header() -> None:
    client = await subscribed("ORDERS_CREATE")
    client.shop.buy(ANNA, {"MUG": 1})
    client.clock.advance(1)
    (parcel,) = client.notebook.parcels
    secret = client.shop.credentials()["webhook_secret"].encode()
    signature = base64.b64encode(hmac.new(secret, parcel.body, hashlib.sha256).digest()).decode()
    assert parcel.url == "https://hub.test/hooks" and parcel.timeout_s == 5.0
    assert {key: value for key, value in parcel.headers.items() if not key.endswith("-Id")} == {
        "Content-Type": "application/json",
        "User-Agent": "Shopify-Captain-Hook",
        "X-Shopify-Topic": "orders/create",
        "X-Shopify-Hmac-Sha256": signature,
        "X-Shopify-Shop-Domain": "oneshelf-emulated.myshopify.com",
        "X-Shopify-API-Version": "2026-10",
        "X-Shopify-Triggered-At": "2026-11-23T14:23:00.000000000Z",
    }
    assert parcel.headers["X-Shopify-Webhook-Id"] != parcel.headers["X-Shopify-Event-Id"]


async def test_topics_of_one_event_share_its_id_but_not_the_webhook_id() -> None:
    client = await subscribed("ORDERS_CREATE", "ORDERS_PAID", "ORDERS_UPDATED")
    client.shop.buy(ANNA, {"MUG": 1})
    client.clock.advance(1)
    assert client.notebook.topics() == ["orders/create", "orders/paid", "orders/updated"]
    assert len({parcel.headers["X-Shopify-Event-Id"] for parcel in client.notebook.parcels}) == 1
    assert len({parcel.headers["X-Shopify-Webhook-Id"] for parcel in client.notebook.parcels}) == 3


async def test_quick_changes_are_merged_and_show_the_last_number() -> None:
    client = await subscribed("INVENTORY_LEVELS_UPDATE")
    for quantity in (0, 10, 4):
        client.shop.console("set_available", sku="MUG", quantity=quantity)
    client.clock.advance(1)
    assert [body["available"] for body in client.notebook.bodies("inventory_levels/update")] == [4]
    client.shop.switches["webhook_debounce"] = False
    for quantity in (0, 10, 0):
        client.shop.console("set_available", sku="MUG", quantity=quantity)
    client.clock.advance(1)
    assert [body["available"] for body in client.notebook.bodies("inventory_levels/update")] == [4, 0, 0, 0]


async def test_own_writes_come_back_and_say_nothing_of_their_writer() -> None:
    client = await subscribed("INVENTORY_LEVELS_UPDATE", "PRODUCTS_UPDATE", "ORDERS_CREATE")
    await client.imported(("MUG", 2), sourceIdentifier="etsy-1", sourceName="etsy")
    client.clock.advance(1)
    (level,) = client.notebook.bodies("inventory_levels/update")
    assert sorted(level) == ["admin_graphql_api_id", "available", "inventory_item_id", "location_id", "updated_at"]
    assert level["available"] == 8
    (order,) = client.notebook.bodies("orders/create")
    assert (order["source_identifier"], order["source_name"], order["app_id"]) == ("etsy-1", "etsy", client.shop.app_id)
    assert client.notebook.topics().count("products/update") == 1


async def test_a_parcel_tells_of_committed_only_when_asked_to() -> None:
    quiet = await subscribed("INVENTORY_LEVELS_UPDATE")
    loud = await subscribed("INVENTORY_LEVELS_UPDATE", level_webhook_any_name=True)
    for client, heard in ((quiet, 1), (loud, 2)):
        client.shop.buy(ANNA, {"MUG": 1})
        client.clock.advance(3)
        client.shop.console("fulfil", order="#1001")
        client.clock.advance(3)
        assert client.notebook.topics().count("inventory_levels/update") == heard


async def test_subscribing_minds_address_scope_and_doubles() -> None:
    client = new_client(scopes=["read_products", "read_orders"])

    async def said(topic: str, uri: str) -> list[str]:
        return [error["message"] for error in (await client.subscribe(topic, uri))["userErrors"]]

    assert await said("ORDERS_CREATE", "https://hub.test/x") == []
    assert await said("ORDERS_CREATE", "https://hub.test/x") == ["Address for this topic has already been taken"]
    assert await said("ORDERS_UPDATED", "http://hub.example/x") == ["Address protocol http:// is not supported"]
    assert await said("ORDERS_UPDATED", "ftp://hub.example/x") == ["Address is invalid"]
    assert await said("ORDERS_UPDATED", "http://127.0.0.1:8000/x") == []
    assert "requires access to the read_inventory scope" in (await said("INVENTORY_LEVELS_UPDATE", "https://h.test"))[0]
    client.shop.switches["allow_loopback_http"] = False
    assert await said("ORDERS_PAID", "http://127.0.0.1:8000/x") == ["Address protocol http:// is not supported"]
    listed = await client("{ webhookSubscriptions(first: 10) { nodes { id topic uri } } }")
    first = listed["webhookSubscriptions"]["nodes"][0]
    assert first["topic"] == "ORDERS_CREATE" and len(listed["webhookSubscriptions"]["nodes"]) == 2
    delete = """mutation D($id: ID!) { webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId
        userErrors { message } } }"""
    gone = (await client(delete, {"id": first["id"]}))["webhookSubscriptionDelete"]
    assert gone == {"deletedWebhookSubscriptionId": first["id"], "userErrors": []}
    assert (await client(delete, {"id": first["id"]}))["webhookSubscriptionDelete"]["userErrors"] != []


class Receiver:
    """A hub that answers what it is told to."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.got: list[tuple[str, bytes]] = []
        self.app = Starlette(routes=[Route("/hooks", self.hear, methods=["POST"])])

    async def hear(self, request: Request) -> Response:
        self.got.append((request.headers["x-shopify-webhook-id"], await request.body()))
        return Response(status_code=self.status)


async def with_courier(status: int) -> tuple[Client, Receiver]:
    client = await subscribed("ORDERS_CREATE")
    receiver = Receiver(status)
    courier = Courier(client.clock, client.shop.world.faults)
    courier.deliver = deliver_in_process({"https://hub.test": receiver.app})
    client.shop.world.courier = courier
    client.shop.buy(ANNA, {"MUG": 1})
    client.clock.advance(1)
    await courier.idle()
    return client, receiver


async def test_eight_retries_in_four_hours_then_the_subscription_is_gone() -> None:
    client, receiver = await with_courier(status=503)
    assert len(RETRY_LADDER_S) == 8 and round(sum(RETRY_LADDER_S)) == 4 * 3600
    for wait in RETRY_LADDER_S:
        assert client.shop.state()["subscriptions"] != []
        client.clock.advance(wait)
        await client.shop.world.courier.idle()
    assert len(receiver.got) == 9 and len(set(receiver.got)) == 1  # the same bytes under the same id
    assert client.shop.state()["subscriptions"] == []


async def test_a_delivered_webhook_is_not_repeated() -> None:
    client, receiver = await with_courier(status=204)
    client.clock.advance(5 * 3600)
    await client.shop.world.courier.idle()
    assert len(receiver.got) == 1 and len(client.shop.state()["subscriptions"]) == 1


# -- shapes and figures ----------------------------------------------------------------------------------------------


async def _busy_day() -> Client:
    """Let a merchant's day set off every topic."""
    client = await subscribed(*ALL_TOPICS)
    shop, do = client.shop, client.shop.console
    do("add_location", name="North")
    for sku in ("MUG", "CUP"):
        do("receive", sku=sku, quantity=20, location="North")
    shop.buy(ANNA, {"MUG": 3})
    shop.buy(ANNA, {"MUG": 2, "CUP": 1})
    shop.buy(ANNA, {"CUP": 1})
    client.clock.advance(5)
    do("fulfil", order="#1001", lines={"MUG": 1}, tracking={"company": "DHL Express", "number": "JD1"})
    do("fulfil", order="#1001")
    do("refund_lines", order="#1001", lines={"MUG": 1}, restock="RETURN")
    do("set_tracking", order="#1001", company="UPS", number="1Z")
    do("hold", order="#1002")
    do("release_hold", order="#1002")
    do("move_fulfilment_order", order="#1002", location="North", lines={"MUG": 1})
    do("cancel", order="#1003", restock=True)
    do("set_price", sku="CUP", price_minor=1_050)
    do("set_variant", sku="CUP", policy="CONTINUE")
    do("add_product", sku="HAT", title="Hat", price_minor=2_000, stock=4)
    level = shop.ledger.level(shop.variant("HAT").inventory_item, shop.location("North"), active=False)  # type: ignore[arg-type]
    key = client.key()
    await client(f'mutation {{ inventoryActivate(inventoryItemId: "{level.item.gid}", locationId: "{level.location.gid}")'
                 f' @idempotent(key: "{key}") {{ userErrors {{ message }} }} }}')  # fmt: skip
    await client(f'mutation {{ inventoryDeactivate(inventoryLevelId: "{level.gid}") {{ userErrors {{ message }} }} }}')
    await client(
        'mutation { bulkOperationRunQuery(query: "{ products { edges { node { id } } } }") { userErrors { message } } }'
    )
    client.clock.advance(10)
    do("delete_product", sku="HAT")
    do("set_scopes", scopes=["read_products"])
    do("deactivate_location", location="North")
    do("uninstall")
    client.clock.advance(10)
    return client


async def test_every_topic_is_sent_in_a_busy_day() -> None:
    client = await _busy_day()
    assert set(client.notebook.topics()) == {topic_path(topic) for topic in ALL_TOPICS}
    assert client.shop.state()["subscriptions"] == [] and not client.shop.state()["installed"]


def _unlike(sample: Any, given: Any, path: str) -> list[str]:
    """Return where a payload has keys that the sample has not, or another kind of value."""
    if isinstance(sample, dict) and isinstance(given, dict):
        extra = [f"{path}.{key} is not in the sample" for key in given if key not in sample]
        return extra + [
            row for key in given if key in sample for row in _unlike(sample[key], given[key], f"{path}.{key}")
        ]
    if isinstance(sample, list) and isinstance(given, list):
        return [row for each in given if sample for row in _unlike(sample[0], each, f"{path}[]")]
    numbers = isinstance(sample, int | float) and isinstance(given, int | float)
    if sample is None or given is None or numbers or type(sample) is type(given):
        return []
    return [f"{path} is {type(given).__name__}, in the sample {type(sample).__name__}"]


@needs_contracts
async def test_payloads_have_the_shape_of_shopifys_samples() -> None:
    client = await _busy_day()
    samples = {path.name.removesuffix(".sample.json"): path for path in (CONTRACTS / "webhooks").glob("*.sample.json")}
    wrong: set[str] = set()
    for parcel in client.notebook.parcels:
        sample = json.loads(samples[parcel.topic.replace("/", ".")].read_text())
        body = json.loads(parcel.body)
        if parcel.topic in ("orders/create", "orders/updated", "products/update", "inventory_levels/update"):
            wrong |= {f"{parcel.topic}.{key} is missing" for key in sample if key not in body}
        wrong |= set(_unlike(sample, body, parcel.topic))
    # Real orders have tax lines, note attributes, properties and discounts of a shape that the sample leaves empty.
    assert sorted(wrong) == []


async def test_webhook_and_graphql_tell_the_same_figures() -> None:
    client = await subscribed("ORDERS_UPDATED", "ORDERS_CREATE", "REFUNDS_CREATE", "FULFILLMENTS_CREATE")
    client.shop.buy(ANNA, {"MUG": 4})
    client.clock.advance(3)
    client.shop.console("fulfil", order="#1001", lines={"MUG": 2}, tracking={"company": "UPS", "number": "1Z"})
    client.shop.console("refund_lines", order="#1001", lines={"MUG": 1}, restock="CANCEL")
    client.clock.advance(3)
    body = client.notebook.bodies("orders/updated")[-1]
    query = """query O($id: ID!) { order(id: $id) { legacyResourceId updatedAt displayFinancialStatus totalPriceSet {
        shopMoney { amount } } currentTotalPriceSet { shopMoney { amount } } customer { legacyResourceId }
        lineItems(first: 5) { nodes { id quantity currentQuantity unfulfilledQuantity variant { legacyResourceId } } }
        fulfillments { legacyResourceId } refunds { legacyResourceId } } }"""
    order = (await client(query, {"id": body["admin_graphql_api_id"]}))["order"]
    line, shown = body["line_items"][0], order["lineItems"]["nodes"][0]
    assert order["legacyResourceId"] == str(body["id"])
    assert body["updated_at"].replace("+00:00", "Z") == order["updatedAt"]
    assert order["displayFinancialStatus"].lower() == body["financial_status"] == "partially_refunded"
    assert body["fulfillment_status"] == "partial"
    assert float(order["totalPriceSet"]["shopMoney"]["amount"]) == float(body["total_price"]) == 79.6
    assert float(order["currentTotalPriceSet"]["shopMoney"]["amount"]) == float(body["current_total_price"]) == 59.7
    assert (line["quantity"], line["current_quantity"], line["fulfillable_quantity"]) == (4, 3, 1)
    assert (shown["quantity"], shown["currentQuantity"], shown["unfulfilledQuantity"]) == (4, 3, 1)
    assert str(line["variant_id"]) == shown["variant"]["legacyResourceId"]
    assert [str(f["id"]) for f in body["fulfillments"]] == [f["legacyResourceId"] for f in order["fulfillments"]]
    assert [str(r["id"]) for r in body["refunds"]] == [r["legacyResourceId"] for r in order["refunds"]]
    assert str(body["customer"]["id"]) == order["customer"]["legacyResourceId"]


def _every_field(kind: Any, depth: int) -> str:
    """Select all leaf fields of a type, and of the objects in it down to `depth`."""
    parts = []
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        needed = [a for a, given in field.args.items() if str(given.type).endswith("!")]
        sizes = "(first: 5)" if "first" in field.args else ""
        if needed == ["names"]:
            sizes = '(names: ["available", "on_hand"])'
        elif needed:
            continue
        if is_leaf_type(inner) or isinstance(inner, GraphQLEnumType):
            parts.append(name)
        elif depth and isinstance(inner, GraphQLObjectType):
            below = _every_field(inner, depth - 1)
            if below:
                parts.append(f"{name}{sizes} {{ {below} }}")
    return " ".join(parts)


async def test_every_field_of_the_schema_answers() -> None:
    client = await _busy_day()
    shop = client.shop
    shop.installed, shop.granted_scopes = True, new_client().shop.granted_scopes
    client.token = ""
    await client.subscribe("ORDERS_CREATE")
    schema = shop.api.schema
    await client.imported(("MUG", 1), paid="20.00", customAttributes=[{"key": "a", "value": "b"}])
    client.clock.advance(30)
    await client("mutation { metafieldDefinitionCreate(definition: { name: \"I\", key: \"ext\", type: \"id\", "
                 "ownerType: ORDER }) { createdDefinition { id } } }")  # fmt: skip
    entry = (
        f'inventoryItemId: "{client.item("MUG")}", locationId: "{client.place()}", delta: 1, changeFromQuantity: null'
    )
    adjust = f'inventoryAdjustQuantities(input: {{ name: "available", reason: "other", changes: [{{ {entry} }}] }})'
    await client(f'mutation {{ {adjust} @idempotent(key: "z") {{ userErrors {{ message }} }} }}')
    asked: set[str] = set()
    for kind in list(shop.store._tables):
        record = next(iter(shop.store._tables[kind].values()), None)
        if record is None or kind in ("Job", "RefundLineItem", "ShippingLine", "MailingAddress"):
            continue
        shop.api.bucket.give_back(2_000)
        if hasattr(record, "shown"):
            record.shown = True
        body = _every_field(schema.type_map[kind], 2 if kind in ("Order", "Refund", "Fulfillment") else 1)
        answer = await client.raw(f'{{ node(id: "{record.gid}") {{ ... on {kind} {{ {body} }} }} }}')
        if "data" not in answer:  # too dear in one piece
            body = _every_field(schema.type_map[kind], 1)
            answer = await client.raw(f'{{ node(id: "{record.gid}") {{ ... on {kind} {{ {body} }} }} }}')
        assert "errors" not in answer, (kind, answer["errors"][:2])
        assert answer["data"]["node"] is not None, kind
        asked.add(kind)
    assert {"Order", "InventoryItem", "FulfillmentOrder", "WebhookSubscription", "InventoryAdjustmentGroup"} <= asked
    roots = _every_field(schema.query_type, 2)
    for part in ("shop", "currentAppInstallation", "inventoryProperties", "publicApiVersions"):
        assert part in roots
    shop.api.bucket.give_back(2_000)
    small = "shop { id plan { shopifyPlus } } currentAppInstallation { app { id } } publicApiVersions { handle }"
    assert (await client(f"{{ {small} ordersCount {{ count precision }} }}"))["ordersCount"]["count"] == 4


# -- the merchant's hand ---------------------------------------------------------------------------------------------


async def test_console_refuses_what_it_does_not_know() -> None:
    shop = new_client().shop
    for action, given in (("fly", {}), ("cancel", {"order": "#9"}), ("set_available", {"sku": "HAT", "quantity": 1}),
                          ("set_available", {"sku": "MUG"}), ("transfer", {"sku": "MUG", "quantity": 1, "origin": "x", "goal": "y"})):  # fmt: skip
        with pytest.raises(ValueError):
            shop.console(action, **given)
    assert shop.shown("MUG") == 10


async def test_the_merchant_moves_stock_by_hand() -> None:
    client = new_client()
    do = client.shop.console
    do("add_location", name="North")
    assert do("set_on_hand", sku="MUG", quantity=12)["available"] == 12
    assert do("adjust", sku="MUG", delta=-2)["on_hand"] == 10
    assert do("move", sku="MUG", quantity=3, goal="damaged")["available"] == 7
    assert do("transfer", sku="MUG", quantity=2, origin="Main warehouse", goal="North")["goal"]["available"] == 2
    assert do("restock", sku="MUG", quantity=1)["available"] == 6
    assert client.shop.shown("MUG") == 8
    do("deactivate_location", location="North")
    assert client.shop.shown("MUG") == 6


async def test_lost_subscriptions_and_expired_tokens_happen_without_a_word() -> None:
    client = await subscribed("ORDERS_CREATE", "PRODUCTS_UPDATE")
    assert len(client.shop.console("delete_subscription", topic="ORDERS_CREATE")["deleted"]) == 1
    client.shop.buy(ANNA, {"MUG": 1})
    client.clock.advance(1)
    assert client.notebook.topics() == ["products/update"]
    client.shop.console("expire_tokens")
    await client.raw("{ shop { id } }")
    assert client.last is not None and client.last.status == 401
    assert [each.topic for each in client.shop.store.all(WebhookSubscription)] == ["PRODUCTS_UPDATE"]


@pytest.mark.parametrize("seed", range(6))
async def test_committed_is_always_what_open_orders_claim(seed: int) -> None:
    """Invariants: committed = claims of the fulfilment orders; pieces of a line never vanish; no negative committed."""
    rng = random.Random(seed)
    client = new_client(seed=seed, stock={"MUG": {"Main warehouse": 30, "North": 9}, "CUP": {"North": 20}})
    shop, do = client.shop, client.shop.console
    for _ in range(120):
        orders = [order["name"] for order in shop.orders()]
        order = rng.choice(orders) if orders else "#0"
        sku = rng.choice(["MUG", "CUP"])
        pieces = rng.randint(1, 3)
        act = rng.randrange(9)
        try:
            if act <= 2:
                shop.buy(ANNA, {sku: pieces})
            elif act == 3:
                do("fulfil", order=order, lines={sku: pieces})
            elif act == 4:
                do("cancel_fulfilment", order=order)
            elif act == 5:
                do("move_fulfilment_order", order=order, location=rng.choice(["North", "Main warehouse"]),
                   lines=rng.choice([None, {sku: 1}]))  # fmt: skip
            elif act == 6:
                do("refund_lines", order=order, lines={sku: 1}, restock=rng.choice(["CANCEL", "RETURN", "NO_RESTOCK"]),
                   location=rng.choice(["North", "Main warehouse"]))  # fmt: skip
            elif act == 7:
                do("cancel", order=order, restock=rng.random() < 0.5)
            else:
                do("receive", sku=sku, quantity=pieces, location="North")
        except ValueError:
            pass
        client.clock.advance(rng.choice([0, 1, 5]))
        _check_books(client)
    assert len(shop.orders()) > 10


def _check_books(client: Client) -> None:
    from oneshelf_emulator.shopify.order_records import Order

    claims: dict[tuple[int, int], int] = {}
    for order in client.shop.store.all(Order):
        for line in order.line_items:
            waiting = sum(
                w.remaining_quantity for work in order.fulfillment_orders for w in work.lines if w.line_item is line
            )
            assert waiting == line.unfulfilled_quantity >= 0
            assert 0 <= line.current_quantity <= line.quantity and line.removed <= line.refunded
        for work in order.fulfillment_orders:
            for row in work.lines:
                assert 0 <= row.claimed <= row.remaining_quantity <= row.total_quantity
                variant = row.line_item.variant
                assert variant is not None
                key = (variant.inventory_item.id, work.location.id)
                claims[key] = claims.get(key, 0) + row.claimed
    for level in client.shop.store.all(InventoryLevel):
        assert level.quantity("committed") == claims.get((level.item.id, level.location.id), 0)
