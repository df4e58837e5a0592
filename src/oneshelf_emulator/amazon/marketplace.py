"""Amazon, assembled: one seller account in one region, its wire, its buyers, its seller's own hands.

In: requests as Amazon's Selling Partner API and Login with Amazon receive them; `buy`; `console`.
Out: answers; messages in the seller's queue.
Never: imports the product.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..broken import Broken
from ..door import RawPath
from ..throttle import Bucket
from ..world import Buyer, Product, Sale, World
from .book import Book, Order
from .broken import STATES
from .consent import PATH as CONSENT
from .consent import ConsentPage
from .console import CONSOLE
from .feeds import FeedsApi
from .limits import MARKETPLACES, PLANS
from .listings import ListingsApi
from .notifications import NotificationsApi, SendMessage
from .orders import OrdersApi
from .reports import ReportsApi
from .shelf import MERCHANT, Listing, Shelf
from .shipments import ShipmentsApi
from .storage import PREFIX as STORAGE
from .storage import Storage
from .tokens import Tokens
from .wire import DENIED, Refusal, operation, with_headers

#: The seller's own AWS account, whose bus has a rule towards the queue.
EVENT_BRIDGE_ACCOUNT = "123456789012"
#: How many messages are kept for a test in process.
MESSAGES_KEPT = 50_000

#: Every behaviour that Amazon does not document, or that a test may want otherwise. See README.md.
SWITCHES: dict[str, Any] = {
    "marketplace_ids": ("ATVPDKIKX0DER",),
    "roles": ("direct-to-consumer-shipping",),
    "missing_roles": (),
    "apply_s": (15.0, 120.0),
    "apply_in_order": True,
    "pending_s": 1800.0,
    "pending_cancel_chance": 0.02,
    "slow_payment_chance": 0.01,
    "auto_cancel_s": 11 * 86_400.0,
    "notify_s": (1.0, 10.0),
    "notify_on_placement": True,
    "get_order_lag_s": 0.0,
    "list_miss_chance": 0.0,
    "paging": "snapshot",
    "price_on_pending": False,
    "promotion_chance": 0.0,
    "gift_chance": 0.0,
    "business_chance": 0.0,
    "tax_basis_points": 825,
    "cancel_order_call": False,
    "feed_s": (60.0, 300.0),
    "created_apart_s": 60.0,
    "report_s": (30.0, 120.0),
    "report_cache_s": 3600.0,
    "report_fatal": False,
    "bus_rule": True,
    "application_state": "draft",
}


class Amazon:
    """One seller account. `send_message(queue_arn, body)` puts a message into a queue (server: SQS; default: `sent`)."""

    name = "amazon"

    def __init__(
        self,
        world: World,
        *,
        base_url: str = "http://amazon.test",
        send_message: SendMessage | None = None,
        **switches: Any,
    ) -> None:
        unknown = switches.keys() - SWITCHES.keys()
        if unknown:
            raise ValueError(f"unknown Amazon switches: {', '.join(sorted(unknown))}")
        self.world = world
        self.base_url = base_url
        self.switches: dict[str, Any] = {**SWITCHES, **switches}
        self.marketplace_ids: tuple[str, ...] = tuple(self.switches["marketplace_ids"])
        self.roles: Collection[str] = frozenset(self.switches["roles"])
        self._rng = world.rng("amazon")
        self.seller_id = "A" + "".join(self._rng.choices("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=13))
        self.application_id = f"amzn1.sp.solution.{self._rng.getrandbits(128):032x}"
        self.queue: dict[str, str] = {}
        #: Operations that the application lacks the role for (broken state `role_taken`).
        #: Changes the queue that the server made: "missing", "not_allowed" or "" (as it should be).
        self.set_queue: Callable[[str], Awaitable[None]] | None = None
        #: The latest messages sent while no other `send_message` is set: (queue ARN, body).
        self.sent: deque[tuple[str, str]] = deque(maxlen=MESSAGES_KEPT)
        self.send_message: SendMessage = send_message or self._keep_message
        self.tokens = Tokens(world.clock, world.rng("amazon:tokens"))
        self.buckets = {plan.operation: Bucket(plan.rate_per_s, plan.burst, world.clock) for plan in PLANS}
        apart_s = float(self.switches["created_apart_s"])
        self.shelf = Shelf(world.clock, world.rng("amazon:shelf"), self.marketplace_ids, apart_s)
        self.book = Book(world, self.shelf, self.switches)
        self.orders_api = OrdersApi(self)
        self.listings_api = ListingsApi(self)
        self.notifications = NotificationsApi(self)
        self.storage = Storage(self, world.rng("amazon:storage"))
        self.feeds = FeedsApi(self)
        self.reports = ReportsApi(self)
        self.book.changed = self.notifications.order_changed
        self.shelf.quantity_changed = self.notifications.quantity_changed
        self.shelf.deleted = lambda listing: self.notifications.status_changed(listing, deleted=True)
        self.app = self._application()

    def _application(self) -> Starlette:
        routes = [
            Route("/auth/o2/token", self.tokens.endpoint, methods=["POST"]),
            Route(
                "/sellers/v1/marketplaceParticipations",
                operation(self, "getMarketplaceParticipations", self._participations),
                methods=["GET"],
            ),
            *self.orders_api.routes(),
            *ShipmentsApi(self).routes(),
            *self.listings_api.routes(),
            *self.notifications.routes(),
            *self.feeds.routes(),
            *self.reports.routes(),
            *self.storage.routes(),
            *ConsentPage(self).routes(),
        ]
        app = Starlette(
            routes=routes,
            middleware=[Middleware(RawPath)],
            exception_handlers={HTTPException: self._no_route},
        )
        app.router.redirect_slashes = False
        app.state.throttled_answer = self._throttled
        app.state.expired_answer = self._expired
        app.state.operation_of = _operation_of
        return app

    # What the wire shares

    def headed(self, answer: Response, operation_name: str | None) -> Response:
        """Add the request id, and the rate where Amazon promises it."""
        request_id = f"{self._rng.getrandbits(128):032x}"
        bucket = self.buckets.get(operation_name or "")
        # The rate of the shared clock: a client that adopts it keeps pace with a compressed world.
        rate = bucket.rate_per_s * self.world.clock.factor if bucket else None
        return with_headers(answer, request_id, rate)

    async def _no_route(self, request: Request, failure: Exception) -> Response:
        return self.headed(Refusal(403, DENIED).answer(), None)  # an unencoded slash in a SKU ends here too

    def _throttled(self, request: Request) -> Response:
        return self.headed(Refusal(429, "You exceeded your quota for the requested resource.").answer(), None)

    def _expired(self, request: Request) -> Response | None:
        if request.url.path in ("/auth/o2/token", CONSENT) or request.url.path.startswith(STORAGE):
            return None
        return self.headed(Refusal(403, DENIED, "The access token you provided has expired.").answer(), None)

    async def _participations(self, request: Request) -> Response:
        return JSONResponse(
            {
                "payload": [
                    {
                        "marketplace": {
                            "id": place.id,
                            "countryCode": place.country,
                            "name": place.name,
                            "defaultCurrencyCode": place.currency,
                            "defaultLanguageCode": place.language,
                            "domainName": f"www.{place.domain}",
                        },
                        "storeName": "Emulated Store",
                        "participation": {"isParticipating": True, "hasSuspendedListings": False},
                    }
                    for place in (MARKETPLACES[each] for each in self.marketplace_ids)
                ]
            }
        )

    async def _keep_message(self, queue_arn: str, body: str) -> None:
        self.sent.append((queue_arn, body))

    # What the emulator's server, shoppers and auditors use

    def credentials(self) -> dict[str, Any]:
        """Return what a client needs to connect. `sqs` is there once the server has made a queue."""
        place = MARKETPLACES[self.marketplace_ids[0]]
        return {
            "endpoint": self.base_url,
            "token_url": f"{self.base_url}/auth/o2/token",
            "consent_url": f"{self.base_url}{CONSENT}",
            "application_id": self.application_id,
            "application_state": self.switches["application_state"],
            "event_bridge_account_id": EVENT_BRIDGE_ACCOUNT,
            "client_id": self.tokens.client_id,
            "client_secret": self.tokens.client_secret,
            "refresh_token": self.tokens.refresh_token,
            "seller_id": self.seller_id,
            "region": place.region,
            "marketplace_ids": list(self.marketplace_ids),
            "sqs": dict(self.queue),
        }

    def stock_up(self, products: Sequence[Product], *, by_amazon: Collection[str] = ()) -> None:
        """Create a listing for each product with its stock. SKUs in `by_amazon` lie in Amazon's own stock (FBA)."""
        for product in products:
            self.shelf.stock(product, by_amazon=product.sku in by_amazon)

    def shown(self, sku: str) -> int:
        """Return how many pieces of `sku` a buyer can put into the cart now."""
        listing = self.shelf.listings.get(sku)
        return listing.buyable_pieces if listing else 0

    def buy(self, buyer: Buyer, lines: Mapping[str, int]) -> Sale | None:
        """A checkout: all lines or none. The live quantity falls at once, the order begins as PENDING."""
        return self.book.checkout(buyer, lines)

    def orders(self) -> list[dict[str, Any]]:
        """Return every order as Amazon itself counts it. `lines` as ordered, `cancelled` pieces among them by SKU."""
        return [_truth(order) for order in self.book.orders.values()]

    def console(self, action: str, **args: Any) -> dict[str, Any]:
        """Do something in Seller Central, or as the buyer of an order. Raises ValueError on what is unknown."""
        try:
            act = CONSOLE[action]
        except KeyError:
            raise ValueError(f"unknown action {action!r}; known: {', '.join(CONSOLE)}") from None
        try:
            return act(self, **args)
        except TypeError as error:
            raise ValueError(f"{action}: {error}") from None

    def _offer_of(self, listing: Listing) -> dict[str, Any] | None:
        """Return what the seller asks everybody in the first marketplace, as it stands in Seller Central; None: no offer."""
        offers = listing.attributes.get(self.marketplace_ids[0], {}).get("purchasable_offer", [])
        return next((dict(each) for each in offers if each.get("audience", "ALL") == "ALL"), None)

    def broken_states(self) -> dict[str, Broken]:
        """Return the broken states that Amazon knows, by name."""
        return STATES

    def state(self) -> dict[str, Any]:
        """Return the numbers for the control door."""
        by_status: dict[str, int] = {}
        for order in self.book.orders.values():
            by_status[order.status] = by_status.get(order.status, 0) + 1
        return {
            "stock": {sku: self.shown(sku) for sku in self.shelf.listings},
            "live": {sku: listing.live.get(MERCHANT) for sku, listing in self.shelf.listings.items()},
            "offers": {sku: self._offer_of(listing) for sku, listing in self.shelf.listings.items()},
            "by_amazon": sorted(sku for sku, listing in self.shelf.listings.items() if listing.by_amazon),
            "orders": len(self.book.orders),
            "orders_by_status": by_status,
            "subscriptions": {kind: len(each) for kind, each in self.notifications.subscriptions.items() if each},
            "messages_kept": len(self.sent),
        }


def _truth(order: Order) -> dict[str, Any]:
    lines: dict[str, int] = {}
    cancelled: dict[str, int] = {}
    shipped: dict[str, int] = {}
    for item in order.items:
        lines[item.sku] = lines.get(item.sku, 0) + item.quantity
        if item.cancelled_by:
            cancelled[item.sku] = cancelled.get(item.sku, 0) + item.quantity - item.shipped
        if item.shipped:
            shipped[item.sku] = shipped.get(item.sku, 0) + item.shipped
    return {
        "id": order.order_id,
        "placed_at": order.created_at.isoformat(),
        "state": order.status,
        "lines": lines,
        "cancelled": cancelled,
        "shipped": shipped,
        "by_amazon": order.by_amazon,
        "buyer": order.buyer.key,
    }


_PATTERNS = [
    (plan.method, re.compile("^" + re.escape(plan.path).replace(r"\{\}", "[^/]+") + "$"), plan.operation)
    for plan in PLANS
]


def _operation_of(scope: Mapping[str, Any], body: bytes) -> str:
    """Return the operation id of a request ("patchListingsItem"), or "METHOD /path"."""
    path = (scope.get("raw_path") or scope["path"].encode()).split(b"?")[0].decode("latin-1")
    for method, pattern, name in _PATTERNS:
        if method == scope["method"] and pattern.match(path):
            return name
    return "token" if path == "/auth/o2/token" else f"{scope['method']} {unquote(path)}"
