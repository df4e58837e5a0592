"""eBay as the rest of the emulator sees it: one application, one seller, one wire for all hosts.

In: products to list, buyers, the seller's hand, HTTP. Out: `app`, `credentials`, `shown`, `orders`, `state`.
Never: imports the product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..broken import Broken
from ..world import Buyer, Product, Sale, World
from .broken import STATES
from .bulk_update import BulkUpdate
from .cancellations import Cancellation, Cancellations
from .elsewhere import Elsewhere
from .feed_api import FeedApi
from .fulfillment_api import FulfillmentApi
from .inventory_api import InventoryApi
from .notification_api import NotificationApi
from .notifications import Notifications
from .oauth import SCOPES, Tokens
from .orders import Order, Orders
from .other_apis import OtherApis
from .quotas import Days, Quotas
from .refused import PostOrderRefused, Refused
from .seller import REVISIONS_PER_DAY, Listing, Seller
from .signatures import Signatures
from .wire import Wire

#: Everything that can be set, with its default. README.md says what each does and which are unconfirmed.
SWITCHES: dict[str, Any] = {
    "marketplace_id": "EBAY_US",
    "location_key": "MAIN",
    "location_distribution": False,
    "pin_offers": False,
    "group_by": "prefix",
    "out_of_stock_control": True,
    "revisions_per_day": REVISIONS_PER_DAY,
    "limits": {},
    "write_busy_s": 0.0,
    "failed_bulk_200_share": 0.5,
    "order_lag_s": 1.0,
    "notification_delay_s": 2.0,
    "unpaid_share": 0.0,
    "unpaid_s": 3600.0,
    "lapse_share": 0.0,
    "restock_on_lapse": False,
    "payment_pending_share": 0.0,
    "payment_pending_s": 3600.0,
    "refund_s": 5.0,
    "delivery_minor": 599,
    "shipment_moves_modified": True,
    "shipment_dedupe": False,
    "immutable_usernames": False,
    "mark_down_after": 100,
    "seller_hub_share": 0.0,
    "signatures_required": False,
    "report_s": 1.0,
    "report_has_out_of_stock": False,
    "failed_report_share": 0.0,
}


class Ebay:
    """One emulated eBay."""

    name = "ebay"

    def __init__(self, world: World, *, base_url: str = "http://ebay.test", **switches: Any) -> None:
        unknown = sorted(set(switches) - set(SWITCHES))
        if unknown:
            raise ValueError(f"unknown switches: {', '.join(unknown)}; known: {', '.join(SWITCHES)}")
        self.world = world
        self.base_url = base_url
        self.switches: dict[str, Any] = {**SWITCHES, "limits": {}, **switches}
        self.rng = world.rng("ebay")
        days = Days(world.clock)
        self.quotas = Quotas(days, self.switches)
        client = (f"Emulated-Shelf-PRD-{self.rng.getrandbits(32):08x}", f"PRD-{self.rng.getrandbits(96):024x}")
        self.tokens = Tokens(
            world.clock, world.rng("ebay.oauth"), self.quotas, client=client, runame="Emulated-Emulated-Shelf-xyzabcd"
        )
        self.seller = Seller(world, world.rng("ebay.seller"), days, self.switches)
        self.order_desk = Orders(world, self.seller, world.rng("ebay.orders"), self.switches)
        self.cancellations = Cancellations(world, self.order_desk, world.rng("ebay.cancellations"), self.switches)
        self.notifications = Notifications(world, world.rng("ebay.notifications"), self.switches)
        self.order_desk.confirmed = self._notify_confirmed
        self.bulk = BulkUpdate(
            self.seller, self.rng, self.switches, lambda fault: self.strikes(fault, "bulkUpdatePriceQuantity")
        )
        self.elsewhere = Elsewhere(self.seller)
        apis = (InventoryApi(self), FulfillmentApi(self), NotificationApi(self), FeedApi(self))
        self.signatures = Signatures(world.clock, world.rng("ebay.signatures"), self.switches)
        other = OtherApis(self)
        operations = [operation for api in apis for operation in api.table()] + other.table()
        self.wire = Wire(self, operations, other.trading)
        self.app = self.wire.app

    def strikes(self, fault: str, operation: str) -> bool:
        return self.world.faults.roll(fault, self.name, operation)

    def credentials(self) -> dict[str, Any]:
        """Return what a client needs. Each call is a consent of its own, with its own refresh token."""
        grant = self.tokens.grant(SCOPES)
        return {
            "base_url": self.base_url,
            "apiz_url": self.base_url,
            "token_url": f"{self.base_url}/identity/v1/oauth2/token",
            "connect_url": f"{self.base_url}/oauth2/authorize",
            "client_id": self.tokens.client_id,
            "client_secret": self.tokens.client_secret,
            "ru_name": self.tokens.runame,
            "accept_url": self.tokens.accept_url,
            "scopes": sorted(SCOPES),
            "user_id": self.seller.user_id,
            "username": self.seller.username,
            "marketplace_id": self.switches["marketplace_id"],
            **self.signatures.credentials(),
            "access_token": grant["access_token"],
            "expires_in": grant["expires_in"],
            "refresh_token": grant["refresh_token"],
            "refresh_token_expires_in": grant["refresh_token_expires_in"],
        }

    def stock_up(self, products: Sequence[Product]) -> None:
        """Make items, offers and published listings for `products`."""
        known = set(self.seller.listings)
        self.seller.stock_up(products)
        share = float(self.switches["seller_hub_share"])
        for listing_id in [each for each in self.seller.listings if share > 0 and each not in known]:
            if self.rng.random() < share:
                self.elsewhere.take_out(self.seller.listings[listing_id])

    def shown(self, sku: str) -> int:
        """Return how many pieces of `sku` a buyer could order now."""
        offer = self.seller.best_offer(sku)
        return self.seller.shown_by(offer) if offer else 0

    def buy(self, buyer: Buyer, lines: Mapping[str, int]) -> Sale | None:
        """Check out, or return None if something is not shown in that quantity."""
        return self.order_desk.checkout(buyer, lines)

    def orders(self) -> list[dict[str, Any]]:
        """Return the truth about every order, hidden ones included."""
        now = self.world.clock.now()
        return [
            {
                "id": order.order_id,
                "legacy_id": order.legacy_order_id,
                "placed_at": order.created_at.isoformat(),
                "state": self._state(order),
                "lines": dict(self.order_desk.sales[order.legacy_order_id].lines),
                "visible": bool(order.visible_at and order.visible_at <= now),
                "paid": order.paid_at is not None,
                "cancelled": order.cancelled_at is not None,
                "shipped": dict(self.order_desk.sales[order.legacy_order_id].shipped),
                "tracking": [parcel.tracking for parcel in order.fulfillments if parcel.tracking],
            }
            for order in self.order_desk.orders.values()
        ]

    def state(self) -> dict[str, Any]:
        """Return what the control door shows. JSON-able."""
        return {
            "stock": {sku: self.shown(sku) for sku in sorted(self.seller.items)},
            "prices": {
                sku: offer.price_minor for sku in sorted(self.seller.items) if (offer := self.seller.best_offer(sku))
            },
            "orders": len(self.order_desk.orders),
            "listings": {listing.listing_id: listing.status for listing in self.seller.listings.values()},
            "destinations": {d.endpoint: d.status for d in self.notifications.destinations.values()},
            "cancellations": {case.cancel_id: case.status for case in self.cancellations.cases.values()},
            "switches": dict(self.switches),
        }

    def console(self, action: str, **args: Any) -> dict[str, Any]:
        """Let the seller or a buyer act in eBay's own site. Raises ValueError if it is unknown or refused."""
        handler = self._actions().get(action)
        if handler is None:
            raise ValueError(f"unknown action {action!r}; known: {', '.join(sorted(self._actions()))}")
        try:
            return handler(**args) or {"ok": True}
        except (Refused, PostOrderRefused) as refusal:
            raise ValueError(str(refusal)) from refusal
        except TypeError as error:
            raise ValueError(f"{action}: {error}") from error

    def sample(self, topic_id: str) -> dict[str, Any]:
        """Return the data of a test message."""
        user = {"userId": self.seller.user_id, "username": self.seller.username}
        if topic_id == "ORDER_CONFIRMATION":
            line = {"orderLineItemId": "10000000000001", "listingId": "110000000000", "quantity": 1}
            return {"user": user, "order": {"orderId": "11-11111-11111", "orderLineItems": [line]}}
        return {**user, "eiasToken": "emulated"}

    def _notify_confirmed(self, order: Order) -> None:
        """ORDER_CONFIRMATION: one message per line item, without SKU."""
        user = {"userId": self.seller.user_id, "username": self.seller.username}
        for line in order.lines:
            row = {"orderLineItemId": line.line_item_id, "listingId": line.listing_id, "quantity": line.quantity}
            data = {"user": user, "order": {"orderId": order.order_id, "orderLineItems": [row]}}
            self.notifications.emit("ORDER_CONFIRMATION", data)

    def broken_states(self) -> dict[str, Broken]:
        """Return the broken states that eBay knows, by name."""
        return STATES

    def _actions(self) -> dict[str, Callable[..., dict[str, Any] | None]]:
        desk, cases, seller = self.order_desk, self.cancellations, self.seller
        return {
            "set_quantity": self._set_quantity,
            "set_offer_quantity": self._set_offer_quantity,
            "set_price": self._set_price,
            "end_listing": lambda sku: seller.end(self._listing(sku)),
            "list_in_seller_hub": lambda sku, **more: {"listing_id": self.elsewhere.list(sku, **more).listing_id},
            "relist": lambda sku: {"listing_id": self._relist(sku).listing_id},
            "set_out_of_stock_control": lambda on: self.switches.update(out_of_stock_control=bool(on)),
            "cancel": lambda order_id, restock=False, reason="OUT_OF_STOCK_OR_CANNOT_FULFILL": {
                "cancel_id": cases.create(self._order(order_id), reason=reason, relist=bool(restock)).cancel_id
            },
            "request_cancel": lambda order_id, reason="BUYER_CANCEL_ORDER": {
                "cancel_id": cases.request(self._order(order_id), reason=reason).cancel_id
            },
            "approve_cancel": lambda cancel_id, restock=False: cases.approve(
                self._case(cancel_id), relist=bool(restock)
            ),
            "reject_cancel": lambda cancel_id: cases.reject(self._case(cancel_id)),
            "refund": lambda order_id, amount_minor=None: {
                "refund_id": self._refund(self._order(order_id), amount_minor)
            },
            "ship": self._ship,
            "send_through_hub": self._send_through_hub,
            "pay": lambda order_id: self._pay(self._order(order_id)),
            "lapse": lambda order_id: desk.lapse(self._order(order_id)),
            "set_accept_url": lambda url: setattr(self.tokens, "accept_url", url),
            "expire_tokens": lambda: self.tokens.expire_access(),
            "revoke": self._revoke,
            "account_deletion": self._account_deletion,
        }

    def _set_quantity(self, sku: str, quantity: int) -> None:
        """The seller types an item quantity in Seller Hub (an offer that is pinned follows)."""
        item = self.seller.items.get(sku)
        if item is None or int(quantity) < 0:
            raise ValueError(f"no item {sku!r}, or a negative quantity")
        item.set_quantity(int(quantity))
        for offer in self.seller.offers_of(sku):
            if offer.available_quantity is not None:
                offer.available_quantity = int(quantity)
        self.seller.settle(sku)

    def _set_offer_quantity(self, sku: str, quantity: int | None) -> None:
        """Pin (or with None unpin) the offer quantity, which then caps what is shown."""
        for offer in self.seller.offers_of(sku):
            offer.available_quantity = None if quantity is None else int(quantity)
        self.seller.settle(sku)

    def _set_price(self, sku: str, price_minor: int) -> None:
        for offer in self.seller.offers_of(sku):
            offer.price_minor = int(price_minor)

    def _relist(self, sku: str) -> Listing:
        offers = self.seller.offers_of(sku)
        ended = [self.seller.offers[each] for each in self._listing(sku).offer_ids]
        if any(offer.status == "PUBLISHED" for offer in offers):
            raise ValueError(f"{sku} is listed")
        return self.seller.publish(ended)

    def _listing(self, sku: str) -> Listing:
        offers = self.seller.offers_of(sku)
        listing = self.seller.listing_of(offers[0]) if offers else None
        if listing is None:
            raise ValueError(f"no listing carries {sku!r}")
        return listing

    def _refund(self, order: Order, amount_minor: int | None) -> str:
        left = order.total_minor - order.refunded_minor
        wanted = left if amount_minor is None else int(amount_minor)
        if order.paid_at is None or not 0 < wanted <= left:
            raise ValueError(f"{left if order.paid_at else 0} can be refunded, not {wanted}")
        return self.order_desk.refund(order, wanted).refund_id

    def _ship(
        self, order_id: str, tracking: str | None = None, carrier: str | None = None, lines: Any = None
    ) -> dict[str, Any]:
        """Ship `lines` ({sku: pieces}), or all that is left."""
        order = self._order(order_id)
        if order.payment_status not in ("PAID", "PARTIALLY_REFUNDED") or order.cancelled_at:
            raise ValueError("the order cannot be shipped")
        left = {line.line_item_id: line.quantity - order.shipped_units(line.line_item_id) for line in order.lines}
        if lines is not None:
            left = {line.line_item_id: int(lines.get(line.sku, 0)) for line in order.lines}
        wanted = {line: pieces for line, pieces in left.items() if pieces > 0}
        if not wanted:
            raise ValueError("nothing is left to ship")
        now = self.world.clock.now()
        carrier = carrier or ("USPS" if tracking else None)
        return {"fulfillment_id": self.order_desk.ship(order, wanted, carrier=carrier, tracking=tracking, at=now)}

    def _send_through_hub(self, order_id: str) -> dict[str, Any]:
        """The order goes by eBay's international programme: to its hub, under a reference."""
        order = self._order(order_id)
        order.hub_reference = str(self.rng.randrange(10**15, 10**16))
        self.order_desk.touch(order)
        return {"reference": order.hub_reference}

    def _pay(self, order: Order) -> None:
        self.order_desk.pay_checkout(order)
        self.order_desk.pay(order)

    def _revoke(self) -> None:
        """The seller withdraws consent: tokens die, AUTHORIZATION_REVOCATION goes out."""
        self.tokens.revoke()
        self.notifications.emit("AUTHORIZATION_REVOCATION", self.sample("AUTHORIZATION_REVOCATION"))

    def _account_deletion(self, username: str, user_id: str = "") -> None:
        """A buyer's account is deleted: MARKETPLACE_ACCOUNT_DELETION goes out."""
        data = {"username": username, "userId": user_id or username, "eiasToken": "emulated"}
        self.notifications.emit("MARKETPLACE_ACCOUNT_DELETION", data)

    def _order(self, order_id: str) -> Order:
        order = self.order_desk.orders.get(str(order_id)) or self.order_desk.by_legacy.get(str(order_id))
        if order is None:
            raise ValueError(f"no order {order_id}")
        return order

    def _case(self, cancel_id: str) -> Cancellation:
        case = self.cancellations.cases.get(str(cancel_id))
        if case is None:
            raise ValueError(f"no cancellation {cancel_id}")
        return case

    @staticmethod
    def _state(order: Order) -> str:
        if order.is_gone:
            return "lapsed"
        if order.visible_at is None:
            return "unpaid"
        return f"{order.payment_status}/{order.status()}/{order.cancel_state}"
