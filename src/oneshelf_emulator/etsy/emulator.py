"""Etsy as the rest of the emulator sees it: one shop, one app, one wire.

In: products to list, buyers, the seller's hand, HTTP. Out: `app`, `credentials`, `shown`, `orders`, `state`.
Never: imports the product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..broken import Broken
from ..world import Buyer, Product, Sale, World
from . import oauth
from .broken import STATES
from .limits import Budget
from .listings import Listings
from .operations import Operations
from .orders import Orders
from .refused import Refused
from .shop import Receipt, Shop
from .webhooks import EVENTS, Webhooks
from .wire import Wire

#: Everything that can be set, with its default. [U] = not confirmed by Etsy. README.md says what each does.
SWITCHES: dict[str, Any] = {
    "qps": 10,
    "qpd": 10_000,
    "app_kind": "commercial",
    "shop_country": "US",
    "region_gate": False,
    "vacation": False,
    "buyer_email_approved": False,
    "status_case": "capitalised",
    "silent_change": True,
    "open_s": 1.0,
    "processing_s": 2.0,
    "payment_fail_share": 0.0,
    "restock_on_failed_payment": False,
    "shipping_minor": 499,
    "auto_renew": True,
    "group_by": "prefix",
    "shared_quantity_sale": "all",
    "new_ids_on_put": "always",
    "put_conflict_share": 0.0,
    "listing_sum_max": None,
    "sku_length_max": 32,
    "quantity_moves_updated": True,
    "tracking_dedupe": False,
    "cancelled_receipt_404": False,
    "offset_ceiling": 12_000,
    "webhook_shop_id": "number",
    "webhook_signature": "v1",
    "resource_host": "https://openapi.etsy.com",
}
REDIRECT_URI = "https://app.example/etsy/callback"


class Etsy:
    """One emulated Etsy: an app key, one seller with one shop, and the wire in front of it."""

    name = "etsy"

    def __init__(self, world: World, *, base_url: str = "http://etsy.test", **switches: Any) -> None:
        unknown = sorted(set(switches) - set(SWITCHES))
        if unknown:
            raise ValueError(f"unknown switches: {', '.join(unknown)}; known: {', '.join(SWITCHES)}")
        self.world = world
        self.base_url = base_url
        self.switches: dict[str, Any] = {**SWITCHES, **switches}
        self.rng = world.rng("etsy")
        self.opened_at = world.clock.now()
        self.application_id = self.rng.randrange(100_000_000_000, 900_000_000_000)
        self.keystring = f"{self.rng.getrandbits(96):024x}"
        self.shared_secret = f"{self.rng.getrandbits(40):010x}"
        self.shop = Shop(world.rng("etsy.shop"))
        self.tokens = oauth.Tokens(
            world.clock, world.rng("etsy.oauth"), keystring=self.keystring, user_id=self.shop.user_id
        )
        self.tokens.redirect_uris.add(REDIRECT_URI)
        self.budget = Budget(world.clock, int(self.switches["qps"]), int(self.switches["qpd"]))
        self.webhooks = Webhooks(world, world.rng("etsy.webhooks"), self.switches)
        self.listings = Listings(world, self.shop, self.webhooks, self.switches)
        self.orders_desk = Orders(world, self.shop, self.webhooks, world.rng("etsy.orders"), self.switches)
        self.app = Wire(self, Operations(self).table()).app

    def sync_limits(self) -> None:
        """Take over qps and qpd, which may be switched while running."""
        self.budget.per_second, self.budget.per_day = int(self.switches["qps"]), int(self.switches["qpd"])

    def strikes(self, fault: str, operation: str) -> bool:
        return self.world.faults.roll(fault, self.name, operation)

    def credentials(self) -> dict[str, Any]:
        """Return what a client needs. Each call is a consent of its own, with its own refresh token."""
        pair = self.tokens.grant(oauth.SCOPES)
        return {
            "base_url": self.base_url,
            "token_url": f"{self.base_url}/v3/public/oauth/token",
            "connect_url": f"{self.base_url}/oauth/connect",
            "redirect_uri": REDIRECT_URI,
            "keystring": self.keystring,
            "shared_secret": self.shared_secret,
            "user_id": self.shop.user_id,
            "shop_id": self.shop.shop_id,
            "scopes": sorted(oauth.SCOPES),
            "access_token": pair["access_token"],
            "expires_in": pair["expires_in"],
            "refresh_token": pair["refresh_token"],
            "webhook_secret": self.webhooks.secret,
        }

    def set_webhook(self, url: str | None, events: Sequence[str] = ()) -> None:
        """Set the app's one endpoint, as by hand in the developer site (no events: all). Raises ValueError."""
        self.webhooks.set(url, frozenset(events) or EVENTS)

    def stock_up(self, products: Sequence[Product]) -> None:
        """Make listings for `products`. Source of the grouping: listings.py."""
        self.listings.stock_up(products)

    def shown(self, sku: str) -> int:
        """Return how many pieces of `sku` a buyer could order now."""
        if self.switches["vacation"]:
            return 0
        found = self.shop.find(sku)
        if found:
            self.listings.get(found[0].listing_id)
        return self.shop.offered(sku)

    def buy(self, buyer: Buyer, lines: Mapping[str, int]) -> Sale | None:
        """Check out, or return None if something is not on offer."""
        if self.switches["vacation"]:
            return None
        for sku in lines:
            self.shown(sku)  # lets listings age first
        return self.orders_desk.checkout(buyer, lines)

    def orders(self) -> list[dict[str, Any]]:
        """Return the truth about every order: id, placed_at, state, lines, cancelled and shipped."""
        return [
            {
                "id": str(receipt.receipt_id),
                "placed_at": receipt.created_at.isoformat(),
                "state": receipt.status,
                "lines": dict(self.orders_desk.sales[receipt.receipt_id].lines),
                "paid": receipt.paid_at is not None,
                "cancelled": receipt.cancelled_at is not None,
                "shipped": receipt.shipped_at is not None,
                "tracking": [shipment.tracking_code for shipment in receipt.shipments],
            }
            for receipt in self.shop.receipts.values()
        ]

    def state(self) -> dict[str, Any]:
        """Return what the control door shows. JSON-able."""
        skus = sorted({p.sku for listing in self.listings.all() for p in listing.products if p.sku})
        return {
            "stock": {sku: self.shown(sku) for sku in skus},
            "prices": {p.sku: p.price_minor for listing in self.listings.all() for p in listing.products if p.sku},
            "orders": len(self.shop.receipts),
            "listings": {str(listing.listing_id): listing.state for listing in self.shop.listings.values()},
            "fees_minor": self.shop.fees_minor,
            "mails": len(self.shop.mails),
            "webhook": {"url": self.webhooks.url, "events": sorted(self.webhooks.events)},
            "limits": self.budget.headers(),
            "switches": dict(self.switches),
        }

    def console(self, action: str, **args: Any) -> dict[str, Any]:
        """Let the seller (or the developer) act in Etsy's own site. Raises ValueError if it is unknown or refused."""
        handler = self._actions().get(action)
        if handler is None:
            raise ValueError(f"unknown action {action!r}; known: {', '.join(sorted(self._actions()))}")
        try:
            return handler(**args) or {"ok": True}
        except Refused as refusal:
            raise ValueError(refusal.error) from refusal
        except TypeError as error:
            raise ValueError(f"{action}: {error}") from error

    def broken_states(self) -> dict[str, Broken]:
        """Return the broken states that Etsy knows, by name."""
        return STATES

    def _actions(self) -> dict[str, Callable[..., dict[str, Any] | None]]:
        listings, desk, tokens = self.listings, self.orders_desk, self.tokens
        return {
            "set_quantity": lambda sku, quantity: listings.set_quantity(sku, int(quantity)),
            "set_price": lambda sku, price_minor: listings.set_price(sku, int(price_minor)),
            "end_listing": lambda sku: listings.set_state(listings.of_sku(sku), "inactive"),
            "activate_listing": lambda sku: listings.set_state(listings.of_sku(sku), "active"),
            "delete_listing": lambda sku: {"listing_id": listings.delete(sku)},
            "cancel": lambda order_id, restock=False: desk.cancel(self._receipt(order_id), restock=bool(restock)),
            "refund": lambda order_id, amount_minor=None, reason="Refund": desk.refund(
                self._receipt(order_id), amount_minor, reason
            ),
            # Etsy's own people approve an app for it, one by one; nothing that a seller can press.
            "approve_buyer_email": lambda approved=True: self.switches.update(buyer_email_approved=bool(approved)),
            "pay": lambda order_id: desk.pay(self._receipt(order_id)),
            "payment_failed": lambda order_id, restock=False: desk.payment_failed(
                self._receipt(order_id), restock=bool(restock)
            ),
            "ship": lambda order_id, tracking="", carrier="": desk.ship(
                self._receipt(order_id), code=tracking, carrier=carrier
            ),
            "deliver": lambda order_id: desk.deliver(self._receipt(order_id)),
            "set_webhook": lambda url, events=(): self.set_webhook(url, events),
            "replay_webhook": lambda webhook_id: self.webhooks.replay(webhook_id),
            "register_redirect_uri": lambda uri: tokens.redirect_uris.add(uri),
            "expire_tokens": lambda: tokens.expire_access(),
            "disconnect": lambda: tokens.revoke_all(),
        }

    def _receipt(self, order_id: str) -> Receipt:
        receipt = self.shop.receipts.get(int(order_id)) if str(order_id).isdigit() else None
        if receipt is None:
            raise ValueError(f"no order {order_id}")
        return receipt
