"""A careful client of the emulated Shopify, and a courier that only writes down."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from oneshelf_emulator.clock import VirtualClock
from oneshelf_emulator.courier import Courier, Parcel
from oneshelf_emulator.door import Answer, call
from oneshelf_emulator.shopify import Shopify
from oneshelf_emulator.world import Address, Buyer, Product, World

ANNA = Buyer("anna", "Anna Ode", "anna@mail.test", Address("Anna Ode", "Elmweg 1", "Berlin", "BE", "10115", "DE"))
PRODUCTS = [Product("MUG", "Mug", 1990, "EUR", 10), Product("CUP", "Cup", 900, "EUR", 1)]
LEVEL = """query Level($item: ID!, $place: ID!) { inventoryItem(id: $item) { inventoryLevel(locationId: $place, includeInactive: true) {
  isActive quantities(names: ["on_hand", "available", "committed", "reserved"]) { name quantity } } } }"""
IMPORT = """mutation Import($order: OrderCreateOrderInput!, $options: OrderCreateOptionsInput) {
  orderCreate(order: $order, options: $options) { order { id name displayFinancialStatus displayFulfillmentStatus
    totalPriceSet { shopMoney { amount } } lineItems(first: 10) { nodes { id sku quantity requiresShipping } } }
    userErrors { code field message } } }"""
WORK = """query Work($id: ID!) { order(id: $id) { displayFulfillmentStatus fulfillmentOrders(first: 10) { nodes { id status
  assignedLocation { location { id } } supportedActions { action }
  lineItems(first: 10) { nodes { id remainingQuantity totalQuantity lineItem { id } } } } } } }"""


class Notebook(Courier):
    """Keeps parcels in place of sending them."""

    def __init__(self, clock: VirtualClock, faults: Any) -> None:
        super().__init__(clock, faults)
        self.parcels: list[Parcel] = []

    def send(self, parcel: Parcel, delay_s: float = 0.0) -> None:
        self.parcels.append(parcel)

    def topics(self) -> list[str]:
        return [parcel.topic for parcel in self.parcels]

    def bodies(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(parcel.body) for parcel in self.parcels if parcel.topic == topic]


@dataclass
class Client:
    """One shop, one app, one token."""

    shop: Shopify
    clock: VirtualClock
    notebook: Notebook
    token: str = ""
    version: str = "2026-10"
    last: Answer | None = None
    _keys: int = 0
    extra: dict[str, str] = field(default_factory=dict)

    async def grant(self, **given: str) -> tuple[int, dict[str, Any]]:
        body = {"client_id": self.shop.client_id, "client_secret": self.shop.client_secret, **given}
        headers = {"content-type": "application/json"}
        answer = await call(
            self.shop.app, "POST", "/admin/oauth/access_token", headers=headers, body=json.dumps(body).encode()
        )
        return answer.status, json.loads(answer.body)

    async def raw(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send one request; return the whole answer."""
        if not self.token:
            self.token = (await self.grant(grant_type="client_credentials"))[1]["access_token"]
        headers = {"content-type": "application/json", "X-Shopify-Access-Token": self.token}
        body = json.dumps({"query": query, "variables": variables or {}}).encode()
        path = f"/admin/api/{self.version}/graphql.json"
        self.last = await call(self.shop.app, "POST", path, headers=headers, body=body)
        document: dict[str, Any] = json.loads(self.last.body)
        return document

    async def __call__(self, query: str, variables: dict[str, Any] | None = None) -> Any:
        """Send one request that must succeed; return `data`."""
        document = await self.raw(query, variables)
        assert "errors" not in document, document["errors"]
        return document["data"]

    def key(self) -> str:
        self._keys += 1
        return f"key-{self._keys}"

    def item(self, sku: str) -> str:
        return self.shop.variant(sku).inventory_item.gid

    def variant(self, sku: str) -> str:
        return self.shop.variant(sku).gid

    def place(self, name: str = "Main warehouse") -> str:
        found = self.shop.location(name)
        assert found is not None
        return found.gid

    async def level(self, sku: str, place: str = "Main warehouse") -> tuple[int, int, int, int]:
        """Return on_hand, available, committed, reserved."""
        data = await self(LEVEL, {"item": self.item(sku), "place": self.place(place)})
        rows = data["inventoryItem"]["inventoryLevel"]["quantities"]
        return tuple(row["quantity"] for row in rows)  # type: ignore[return-value]

    def order_input(self, *lines: tuple[str, int], paid: str | None = None, **more: Any) -> dict[str, Any]:
        items = [
            {"variantId": self.variant(sku), "quantity": n, "requiresShipping": True, "priceSet": money("20.00")}
            for sku, n in lines
        ]
        paid_by = [{"kind": "SALE", "status": "SUCCESS", "gateway": "etsy", "amountSet": money(paid)}] if paid else []
        return {"lineItems": items, "transactions": paid_by, **more}

    async def imported(self, *lines: tuple[str, int], claim: str = "DECREMENT_IGNORING_POLICY", **more: Any) -> Any:
        """Import an order; return its document."""
        order = self.order_input(*lines, **more)
        data = await self(IMPORT, {"order": order, "options": {"inventoryBehaviour": claim}})
        assert data["orderCreate"]["userErrors"] == []
        return data["orderCreate"]["order"]

    async def work(self, order_id: str) -> list[dict[str, Any]]:
        """Return the fulfilment orders that can be seen."""
        data = await self(WORK, {"id": order_id})
        nodes: list[dict[str, Any]] = data["order"]["fulfillmentOrders"]["nodes"]
        return nodes

    async def ship(self, work: dict[str, Any], pieces: int | None = None) -> Any:
        entry: dict[str, Any] = {"fulfillmentOrderId": work["id"]}
        if pieces is not None:
            line = work["lineItems"]["nodes"][0]["id"]
            entry["fulfillmentOrderLineItems"] = [{"id": line, "quantity": pieces}]
        query = """mutation Ship($f: FulfillmentInput!) { fulfillmentCreate(fulfillment: $f) {
            fulfillment { id status trackingInfo(first: 5) { company number url } } userErrors { field message } } }"""
        tracking = {"company": "UPS", "number": "1Z"}
        data = await self(query, {"f": {"lineItemsByFulfillmentOrder": [entry], "trackingInfo": tracking}})
        return data["fulfillmentCreate"]

    async def subscribe(self, topic: str, uri: str = "https://hub.test/hooks") -> Any:
        query = """mutation Hook($topic: WebhookSubscriptionTopic!, $uri: String!) {
            webhookSubscriptionCreate(topic: $topic, webhookSubscription: { uri: $uri, format: JSON }) {
            webhookSubscription { id topic uri } userErrors { field message } } }"""
        return (await self(query, {"topic": topic, "uri": uri}))["webhookSubscriptionCreate"]


def money(amount: str) -> dict[str, Any]:
    return {"shopMoney": {"amount": amount, "currencyCode": "EUR"}}


def new_client(*, seed: int = 1, stock: Any = None, **switches: object) -> Client:
    """Return a client of a fresh shop with a MUG (10) and a CUP (1)."""
    clock = VirtualClock()
    world = World(seed=seed, clock=clock)
    notebook = Notebook(clock, world.faults)
    world.courier = notebook
    shop = Shopify(world, **switches)
    shop.stock_up(PRODUCTS, stock=stock)
    return Client(shop, clock, notebook)
