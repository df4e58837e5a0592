"""One emulated Shopify shop with one app installed: the wire, its buyers, its merchant.

In: HTTP from the app; purchases from shoppers; the merchant's hand (console.py).
Out: answers; webhooks; sales in the world's diary.
Owns: everything that Shopify would know of this shop.
Never: imports the product.
Read next: graphql_api.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..broken import Broken
from ..world import Buyer, Product, Sale, World
from . import console, payloads, purchase, scopes
from . import fulfilment as fulfilments
from . import records as r
from .auth import Auth
from .broken import STATES
from .consent import Consent
from .graphql_api import UNAUTHORIZED, Api
from .idempotency import Keys
from .inventory import Ledger, Move
from .money import Money
from .order_create import Pace
from .order_records import Fulfillment, Order, Transaction
from .search import Index
from .store import Store
from .webhooks import RETRY_LADDER_S, Webhooks

#: Every behaviour that is not confirmed, or worth turning in a test. See README.md for what each does.
SWITCHES: dict[str, object] = {
    "plan": "standard",
    "connection_cost_share": 0.25,
    "scopes": None,
    "search_lag_s": 2.0,
    "routing_delay_s": 2.0,
    "cancel_job_s": 2.0,
    "bulk_start_s": 1.0,
    "bulk_run_s": 4.0,
    "bulk_per_object_s": 0.001,
    "orders_per_minute": None,
    "protected_data": "shown",
    "set_negative_available": "accept",
    "move_below_zero": "refuse",
    "move_carries_committed": True,
    "no_restock": "removes",
    "refund_mixup": "refuse",
    "cancel_after_fulfilment": "refuse",
    "taken_id_metafield": "user_error",
    "protected_source_name": "refuse",
    "auto_archive": True,
    "orders_updated_on_create": True,
    "level_webhook_any_name": False,
    "webhook_assembly_s": 0.5,
    "webhook_debounce": True,
    "webhook_retry_ladder_s": RETRY_LADDER_S,
    "webhook_api_version": "2026-10",
    "allow_loopback_http": True,
    "legacy_token": False,
    "access_token_s": 3_600.0,
    "refresh_token_s": 90 * 86_400.0,
    "currency": None,
    "taxes_included": True,
    "domain": "oneshelf-emulated.myshopify.com",
}
ORDER_AGE_MAX = timedelta(days=60)
ONLINE_STORE_APP = 580111


class Shopify:
    """The hub, emulated. Unknown switches raise ValueError."""

    name = "shopify"

    def __init__(self, world: World, *, base_url: str = "http://shopify.test", **switches: object) -> None:
        unknown = sorted(set(switches) - set(SWITCHES))
        if unknown:
            raise ValueError(f"unknown switches of the Shopify emulator: {', '.join(unknown)}")
        self.world = world
        self.base_url = base_url
        self.switches: dict[str, object] = {**SWITCHES, **switches}
        self.chance = world.rng("shopify")
        self.domain = str(self.switches["domain"])
        self.currency = str(self.switches["currency"] or "EUR")
        self.taxes_included = bool(self.switches["taxes_included"])
        self.shop_name, self.shop_email, self.shop_id = "Emulated Shop", "merchant@example.test", 62_000_000_001
        self.app_id, self.app_name = 190_000_001, "Oneshelf"
        self.client_id = f"{self.chance.getrandbits(128):032x}"
        self.client_secret = f"shpss_{self.chance.getrandbits(128):032x}"
        wanted: Any = self.switches["scopes"]
        self.granted_scopes: frozenset[str] = scopes.DEFAULT if wanted is None else frozenset(wanted)
        self.installed = True
        self.shop_status: int | None = None  # an HTTP status that closes the shop: 402, 403, 404, 423
        self.store = Store(world.clock, world.rng("shopify ids"))
        self.created_at = self.store.now()
        self.index = Index(self.later, float(self.switches["search_lag_s"]))  # type: ignore[arg-type]
        self.webhooks = Webhooks(self)
        self.ledger = Ledger(self)
        self.keys = Keys(world.clock)
        self.auth = Auth(self)
        self.consent = Consent(self)
        self.pace = Pace(self)
        self.customers_by_email: dict[str, r.Customer] = {}
        self.orders_by_metafield: dict[tuple[str, str, str], Order] = {}
        self.sales_by_order: dict[int, Sale] = {}
        self._variants_by_sku: dict[str, list[r.ProductVariant]] = {}
        self._order_number = 1000
        self._refresh_token: str | None = None
        self._legacy_token: str | None = None
        self.add_location("Main warehouse")
        self.api = Api(self)
        self.app = self._routes()

    def _routes(self) -> Starlette:
        app = Starlette(
            routes=[
                Route("/admin/api/{version}/graphql.json", self.api.endpoint, methods=["POST"]),
                Route("/admin/oauth/access_token", self._token, methods=["POST"]),
                Route("/admin/oauth/authorize", self.consent.page, methods=["GET", "POST"]),
                Route("/bulk-results/{name}", self._bulk_result, methods=["GET"]),
            ]
        )
        # For throttle.FaultGate, which strikes in front of this app.
        app.state.throttled_answer = lambda _request: JSONResponse(self.api.throttled())
        app.state.expired_answer = self._expired
        app.state.operation_of = lambda scope, body: (
            self.api.operation_of(body) if scope["path"].endswith("/graphql.json") else scope["path"]
        )
        return app

    def _expired(self, request: Request) -> Response | None:
        is_api = request.url.path.endswith("/graphql.json")
        return JSONResponse({"errors": UNAUTHORIZED}, 401) if is_api else None

    async def _token(self, request: Request) -> Response:
        status, document = self.auth.exchange(request.headers.get("content-type", ""), await request.body())
        return JSONResponse(document, status, {"X-Request-Id": self.new_request_id()})

    async def _bulk_result(self, request: Request) -> Response:
        body = self.api.bulk.fetch(request.path_params["name"])
        if body is None:
            return Response("<Error><Code>AccessDenied</Code></Error>", 403, media_type="application/xml")
        return Response(body, media_type="application/jsonl")

    # -- what every part needs --------------------------------------------------------------------------------------

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Run `action` after `seconds` (shortened); at once if the clock cannot wait yet (no loop runs)."""
        if seconds <= 0:
            action()
            return
        try:
            self.world.clock.after(seconds, action)
        except RuntimeError:
            action()

    def new_request_id(self) -> str:
        return self.store.new_uuid()

    def closed_answer(self) -> tuple[int, str] | None:
        """Return status and message if the shop or the app's way in is closed."""
        if not self.installed:
            return 401, UNAUTHORIZED
        texts = {402: "Unavailable Shop", 403: "Forbidden", 404: "Not Found", 423: "Locked"}
        return (self.shop_status, texts.get(self.shop_status, "Error")) if self.shop_status else None

    def visible(self, order: Order) -> bool:
        """Without read_all_orders an app sees the last 60 days only."""
        return "read_all_orders" in self.granted_scopes or order.created_at > self.world.clock.now() - ORDER_AGE_MAX

    def order(self, gid: object) -> Order | None:
        found = self.store.find(gid, Order)
        return found if found is not None and self.visible(found) else None

    def order_of_transaction(self, transaction: Transaction) -> Order | None:
        return next((order for order in self.store.all(Order) if transaction in order.transactions), None)

    def next_order_number(self) -> int:
        self._order_number += 1
        return self._order_number

    def too_many_orders(self) -> bool:
        return self.pace.is_full()

    def count_order(self) -> None:
        self.pace.count()

    def selling_locations(self) -> list[r.Location]:
        """Return the locations that serve online orders, in order of priority; if none, any, closed ones last."""
        every = self.store.all(r.Location)
        online = [place for place in every if place.sells_online and not place.is_fulfillment_service]
        return online or [place for place in every if place.is_active] or every

    def tell_customer(self, customer: r.Customer, topic: str) -> None:
        customer.updated_at = self.store.now()
        self.index.touch(customer)
        self.webhooks.emit(topic, customer.gid, lambda: payloads.customer(customer, self.currency))

    def fulfil_all(self, order: Order, given: Mapping[str, Any]) -> None:
        """Send the whole of a new order at once (`fulfillmentStatus: FULFILLED`)."""
        tracking = fulfilments.Tracking(given.get("company"), (given["number"],) if given.get("number") else ())
        for work in [work for work in order.fulfillment_orders if work.is_live]:
            parts = {line: line.remaining_quantity for line in work.open_lines}
            fulfilments.fulfil(self, order, parts, work.location, tracking)

    def on_cancelled(self, order: Order) -> None:
        sale = self.sales_by_order.get(order.id)
        if sale is not None:
            sale.cancelled_at = self.world.clock.now()

    def on_fulfilled(self, order: Order, fulfillment: Fulfillment) -> None:
        sale = self.sales_by_order.get(order.id)
        if sale is None:
            return
        for piece in fulfillment.pieces:
            sku = piece.line_item.sku or ""
            sale.shipped[sku] = sale.shipped.get(sku, 0) + piece.quantity

    # -- documents about the shop itself ----------------------------------------------------------------------------

    def shop_document(self) -> dict[str, Any]:
        plan = str(self.switches["plan"])
        slow = self.switches["orders_per_minute"] is not None
        public = "Development" if slow else {"standard": "Grow", "advanced": "Advanced", "plus": "Plus"}[plan]
        return {
            "id": f"gid://shopify/Shop/{self.shop_id}",
            "name": self.shop_name,
            "email": self.shop_email,
            "contactEmail": self.shop_email,
            "createdAt": self.created_at,
            "updatedAt": self.created_at,
            "currencyCode": self.currency,
            "enabledPresentmentCurrencies": [self.currency],
            "ianaTimezone": "Etc/UTC",
            "timezoneOffset": "+0000",
            "myshopifyDomain": self.domain,
            "shopOwnerName": "Emulated Merchant",
            "taxesIncluded": self.taxes_included,
            "url": f"https://{self.domain}",
            "weightUnit": "KILOGRAMS",
            "plan": {"partnerDevelopment": slow, "publicDisplayName": public, "shopifyPlus": plan == "plus"},
        }

    def app_document(self) -> dict[str, Any]:
        return {
            "id": f"gid://shopify/App/{self.app_id}",
            "apiKey": self.client_id,
            "handle": self.app_name.lower(),
            "title": self.app_name,
        }

    def installation(self, granted: frozenset[str]) -> dict[str, Any]:
        return {
            "id": "gid://shopify/AppInstallation/510000000001",
            "app": self.app_document(),
            "accessScopes": [{"handle": s, "description": s.replace("_", " ").capitalize()} for s in sorted(granted)],
        }

    # -- catalogue --------------------------------------------------------------------------------------------------

    def add_location(self, name: str, *, online: bool = True, service: bool = False) -> r.Location:
        now = self.store.now()
        place = r.Location(self.store.new_id("Location"), name, "DE", now, now, True, online, service)
        self.index.touch(self.store.add(place), at_once=True)
        return place

    def stock_up(self, products: Sequence[Product], *, stock: Mapping[str, Mapping[str, int]] | None = None) -> None:
        """Make a product with one variant for each, stocked at the first location. All in one currency (ValueError).

        `stock` ({sku: {location name: available}}) places stock elsewhere; locations it names are made if unknown.
        """
        for product in products:
            self.add_product(product, (stock or {}).get(product.sku))

    def add_product(self, product: Product, places: Mapping[str, int] | None = None) -> r.ProductVariant:
        if self.switches["currency"] is None and not self._variants_by_sku:
            self.currency = product.currency
        if product.currency != self.currency:
            raise ValueError(f"{product.sku} is priced in {product.currency}, the emulated shop in {self.currency}")
        now, store = self.store.now(), self.store
        record = store.add(
            r.Product(
                store.new_id("Product"), product.title, product.vendor, now, now,
                product_type=product.product_type, tags=sorted(product.tags),
            )
        )  # fmt: skip
        item = store.add(r.InventoryItem(store.new_id("InventoryItem"), product.sku, now, now))
        if product.cost_minor is not None:
            item.unit_cost = Money(product.cost_minor, product.currency)
        price = Money(product.price_minor, product.currency)
        variant = store.add(r.ProductVariant(store.new_id("ProductVariant"), record, item, price, now, now))
        if product.compare_at_minor is not None:
            variant.compare_at_price = Money(product.compare_at_minor, product.currency)
        variant.barcode = product.barcode
        record.variants.append(variant)
        item.variants.append(variant)
        self._variants_by_sku.setdefault(product.sku, []).append(variant)
        for name, available in (places or {store.all(r.Location)[0].name: product.stock}).items():
            place = self.location(name) or self.add_location(name)
            level = self.ledger.level(item, place)
            level.quantities["available"] = available
            level.changed_at = {"available": now, "on_hand": now}
        for each in (record, item, variant):
            self.index.touch(each, at_once=True)
        self.webhooks.emit("products/create", record.gid, lambda: payloads.product(record))
        return variant

    def remove_product(self, product: r.Product) -> None:
        for variant in product.variants:
            self._variants_by_sku[variant.sku].remove(variant)
            for each in (variant, variant.inventory_item, *variant.inventory_item.levels.values()):
                self.store.drop(each)
            self.index.forget(variant)
            self.index.forget(variant.inventory_item)
        self.store.drop(product)
        self.index.forget(product)
        number = product.id
        self.webhooks.emit("products/delete", product.gid, lambda: {"id": number})

    def rename(self, variant: r.ProductVariant, sku: str) -> None:
        """Change a SKU."""
        self._variants_by_sku[variant.sku].remove(variant)
        variant.inventory_item.sku = sku
        self._variants_by_sku.setdefault(sku, []).append(variant)

    def sku_count(self, sku: str) -> int:
        return len(self._variants_by_sku.get(sku, ()))

    def variant(self, sku: str) -> r.ProductVariant:
        """Return the first variant with this SKU. Raises KeyError."""
        found = self._variants_by_sku.get(sku)
        if not found:
            raise KeyError(f"the Shopify emulator has no variant with SKU {sku!r}")
        return found[0]

    def location(self, name: str) -> r.Location | None:
        """Return a location by name, bare id or global id."""
        every = self.store.all(r.Location)
        return next((place for place in every if name in (place.name, str(place.id), place.gid)), None)

    def move_stock(self, moves: Sequence[Move], reason: str) -> None:
        """Post what the merchant's own hand does in the admin."""
        self.ledger.post(moves, reason=reason)

    # -- the interface of every marketplace -------------------------------------------------------------------------

    def credentials(self) -> dict[str, Any]:
        """Return what a client needs to connect. `webhook_secret` is the client secret."""
        if self._refresh_token is None or not self.auth.is_refresh_token(self._refresh_token):
            self._refresh_token = self.auth.new_refresh_token()
        if self.switches["legacy_token"] and self._legacy_token is None:
            self._legacy_token = self.auth.never_expiring()
        return {
            "shop_domain": self.domain,
            "base_url": self.base_url,
            "api_version": "2026-10",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "webhook_secret": self.client_secret,
            "refresh_token": self._refresh_token,
            "access_token": self._legacy_token,
            "app_id": self.app_id,
            "scopes": sorted(self.granted_scopes),
        }

    def shown(self, sku: str) -> int:
        """Return how many pieces a web buyer can put into a checkout (0 for an unknown SKU)."""
        try:
            return purchase.shown(self.variant(sku))
        except KeyError:
            return 0

    def buy(self, buyer: Buyer, lines: Mapping[str, int]) -> Sale | None:
        """Check out at the web shop; None if DENY stops it. Stock falls as the order is created, which is at once."""
        return purchase.buy(self, buyer, lines)

    def orders(self) -> list[dict[str, Any]]:
        """Return the truth for auditors, oldest first."""
        return [_order_truth(order) for order in self.store.all(Order)]

    def console(self, action: str, **arguments: Any) -> dict[str, Any]:
        """Do what a merchant does in the admin; see console.py. Raises ValueError for an unknown action or thing."""
        return console.do(self, action, arguments)

    def broken_states(self) -> dict[str, Broken]:
        """Return the broken states that Shopify knows, by name."""
        return STATES

    def state(self) -> dict[str, Any]:
        """Return a JSON-able picture for the control door."""
        levels = [
            {
                "sku": level.item.sku,
                "location": level.location.name,
                "on_hand": level.quantity("on_hand"),
                **{name: level.quantity(name) for name in r.STORED_NAMES},
            }
            for level in self.store.all(r.InventoryLevel)
        ]
        subscriptions = self.store.all(r.WebhookSubscription)
        return {
            "stock": {sku: self.shown(sku) for sku in self._variants_by_sku},
            "orders": self.store.count(Order),
            "listings": self.store.count(r.ProductVariant),
            "levels": levels,
            "subscriptions": [{"id": s.gid, "topic": s.topic, "uri": s.uri} for s in subscriptions],
            "installed": self.installed,
        }


def _order_truth(order: Order) -> dict[str, Any]:
    lines: dict[str, int] = {}
    current: dict[str, int] = {}
    fulfilled: dict[str, int] = {}
    for line in order.line_items:
        key = line.sku or str(line.id)
        lines[key] = lines.get(key, 0) + line.quantity
        current[key] = current.get(key, 0) + line.current_quantity
        fulfilled[key] = fulfilled.get(key, 0) + line.fulfilled
    at: datetime = order.created_at
    return {
        "id": str(order.id),
        "gid": order.gid,
        "name": order.name,
        "placed_at": at.isoformat(),
        "state": "cancelled" if order.cancelled_at else order.display_fulfillment_status.lower(),
        "financial_status": order.display_financial_status.lower(),
        "lines": lines,
        "current": current,
        "fulfilled": fulfilled,
        "source_name": order.source_name,
        "source_identifier": order.source_identifier,
        "imported": order.app_id != ONLINE_STORE_APP,
        "inventory_behaviour": order.inventory_behaviour,
        "tags": list(order.tags),
        "tracking": [
            {"company": f.company, "numbers": list(f.numbers), "cancelled": f.cancelled} for f in order.fulfillments
        ],
    }
