"""Seller Central and the buyer's account: what people do on Amazon's own site.

In: an action by name. Out: what changed. Never: takes time; what a person does there is done at once.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..world import Address, Buyer
from .book import CANCEL_REASONS, Order, Package
from .limits import MARKETPLACES
from .patches import issue
from .shelf import MERCHANT, Listing
from .wire import DECIMALS

if TYPE_CHECKING:
    from .marketplace import Amazon


def _listing(amazon: Amazon, sku: str) -> Listing:
    listing = amazon.shelf.listings.get(sku)
    if listing is None:
        raise ValueError(f"Amazon has no listing {sku!r}")
    return listing


def _order(amazon: Amazon, order_id: str) -> Order:
    order = amazon.book.orders.get(order_id)
    if order is None:
        raise ValueError(f"Amazon has no order {order_id!r}")
    return order


def set_quantity(amazon: Amazon, sku: str, quantity: int) -> dict[str, Any]:
    """The seller types a quantity: attributes and live number change at once."""
    listing = _listing(amazon, sku)
    if not isinstance(quantity, int) or quantity < 0:
        raise ValueError(f"the quantity must be a whole number of 0 or more, got {quantity!r}")
    entry = {"fulfillment_channel_code": MERCHANT, "quantity": quantity}
    patch = {"op": "merge", "path": "/attributes/fulfillment_availability", "value": [entry]}
    amazon.shelf.apply_patches(sku, listing.product_type, [patch], list(listing.attributes))
    amazon.world.note("amazon", "console_set_quantity", sku=sku, quantity=quantity)
    return {"sku": sku, "live": listing.live.get(MERCHANT)}


def set_price(amazon: Amazon, sku: str, price_minor: int, marketplace_id: str | None = None) -> dict[str, Any]:
    """The seller types a price, in minor units of the marketplace's currency."""
    where = marketplace_id or amazon.marketplace_ids[0]
    listing, currency = _listing(amazon, sku), MARKETPLACES[where].currency
    amount = float(Decimal(price_minor) / 10 ** DECIMALS.get(currency, 2))
    offer = {
        "marketplace_id": where,
        "currency": currency,
        "audience": "ALL",
        "our_price": [{"schedule": [{"value_with_tax": amount}]}],
    }
    patch = {"op": "merge", "path": "/attributes/purchasable_offer", "value": [offer]}
    amazon.shelf.apply_patches(sku, listing.product_type, [patch], [where])
    return {"sku": sku, "price_minor": amazon.shelf.price_minor(listing, where)}


def set_sale(
    amazon: Amazon, sku: str, price_minor: int, start_at: str, end_at: str, marketplace_id: str | None = None
) -> dict[str, Any]:
    """The seller types a sale price with its first and last day (ISO 8601)."""
    where = marketplace_id or amazon.marketplace_ids[0]
    listing, currency = _listing(amazon, sku), MARKETPLACES[where].currency
    amount = float(Decimal(price_minor) / 10 ** DECIMALS.get(currency, 2))
    sale = {"start_at": start_at, "end_at": end_at, "value_with_tax": amount}
    offer = {
        "marketplace_id": where,
        "currency": currency,
        "audience": "ALL",
        "discounted_price": [{"schedule": [sale]}],
    }
    patch = {"op": "merge", "path": "/attributes/purchasable_offer", "value": [offer]}
    amazon.shelf.apply_patches(sku, listing.product_type, [patch], [where])
    return {"sku": sku, "sale": sale}


def cancel_order(amazon: Amazon, order_id: str, reason: str = "NoInventory") -> dict[str, Any]:
    """The seller cancels. NoInventory leaves the quantity down, other reasons put it back. Not while PENDING."""
    order = _order(amazon, order_id)
    if reason not in CANCEL_REASONS:
        raise ValueError(f"unknown reason {reason!r}; known: {', '.join(sorted(CANCEL_REASONS))}")
    if order.status == "PENDING":
        raise ValueError(f"order {order_id} is PENDING: the seller cannot cancel it yet")
    amazon.book.cancel(order, "MERCHANT", reason, gives_back=reason != "NoInventory")
    return {"order_id": order_id, "state": order.status}


def buyer_cancel(amazon: Amazon, order_id: str, reason: str = "ORDERED_BY_MISTAKE") -> dict[str, Any]:
    """The buyer asks for a cancel: done at once while PENDING, only a request later."""
    order = _order(amazon, order_id)
    amazon.book.request_cancel(order, reason)
    return {"order_id": order_id, "state": order.status}


def pay(amazon: Amazon, order_id: str) -> dict[str, Any]:
    """The payment comes through now: PENDING becomes UNSHIPPED."""
    order = _order(amazon, order_id)
    amazon.book.pay(order)
    return {"order_id": order_id, "state": order.status}


def fail_payment(amazon: Amazon, order_id: str) -> dict[str, Any]:
    """The payment fails: a PENDING order is cancelled by Amazon and the quantity comes back."""
    order = _order(amazon, order_id)
    if order.status != "PENDING":
        raise ValueError(f"order {order_id} is {order.status}, not PENDING")
    amazon.book.cancel(order, "AMAZON", "PaymentFailed", gives_back=True)
    return {"order_id": order_id, "state": order.status}


def ship(amazon: Amazon, order_id: str, tracking: str = "1Z999", carrier: str = "UPS") -> dict[str, Any]:
    """The seller confirms in Seller Central that everything open has left."""
    order = _order(amazon, order_id)
    pieces = {item.order_item_id: item.open_pieces for item in order.items if item.open_pieces}
    if order.by_amazon or order.status not in ("UNSHIPPED", "PARTIALLY_SHIPPED") or not pieces:
        raise ValueError(f"order {order_id} is {order.status}: nothing to ship")
    now = amazon.world.clock.now()
    reference = str(len(order.packages) + 9001)
    amazon.book.confirm(order, Package(reference, carrier, "", tracking, now, now, pieces))
    return {"order_id": order_id, "state": order.status}


def replacement(amazon: Amazon, order_id: str) -> dict[str, Any]:
    """Customer service sends a free replacement: a new order at price 0 that takes stock."""
    order = _order(amazon, order_id)
    if order.by_amazon:
        raise ValueError("replacements of Amazon's own stock are Amazon's business")
    sale = amazon.book.replace_order(order)
    return {"order_id": sale.order_id, "replaces": order_id}


def sell_elsewhere(amazon: Amazon, sku: str, pieces: int) -> dict[str, Any]:
    """The seller has Amazon send pieces of its own stock for a sale of another channel (multi-channel fulfilment)."""
    _listing(amazon, sku)
    home = Address("Elsewhere Buyer", "2 Side St", "Salem", "OR", "97301", "US", None)
    buyer = Buyer("elsewhere", "Elsewhere Buyer", "buyer@elsewhere.example", home)
    return {"order_id": amazon.book.sell_elsewhere(buyer, sku, pieces).order_id}


def close_listing(amazon: Amazon, sku: str) -> dict[str, Any]:
    """The seller closes the listing: it stays, but nobody can buy it."""
    listing = _listing(amazon, sku)
    listing.closed = True
    amazon.notifications.status_changed(listing)
    return {"sku": sku, "shown": amazon.shown(sku)}


def reopen_listing(amazon: Amazon, sku: str) -> dict[str, Any]:
    """The seller opens a closed listing again."""
    listing = _listing(amazon, sku)
    listing.closed = False
    listing.issues.clear()
    amazon.notifications.status_changed(listing)
    return {"sku": sku, "shown": amazon.shown(sku)}


def suppress(amazon: Amazon, sku: str) -> dict[str, Any]:
    """Amazon suppresses the listing for a bad price."""
    listing = _listing(amazon, sku)
    found = issue("18155", "The price is higher than Amazon allows.", "purchasable_offer", "INVALID_PRICE")
    enforcement = {"actions": [{"action": "LISTING_SUPPRESSED"}], "exemption": {"status": "NOT_EXEMPT"}}
    listing.issues.append({**found, "enforcements": enforcement, "marketplaceIds": list(listing.attributes)})
    listing.closed = True
    amazon.notifications.status_changed(listing)
    return {"sku": sku, "shown": amazon.shown(sku)}


def delete_listing(amazon: Amazon, sku: str) -> dict[str, Any]:
    """The seller deletes the listing."""
    _listing(amazon, sku)
    amazon.shelf.delete(sku)
    return {"sku": sku}


def move_to_amazon(amazon: Amazon, sku: str, quantity: int) -> dict[str, Any]:
    """The seller converts the listing to FBA with `quantity` pieces in Amazon's warehouse."""
    listing = _listing(amazon, sku)
    listing.live = {amazon.shelf.fba_code: None}
    listing.fba_stock = quantity
    for attributes in listing.attributes.values():
        attributes["fulfillment_availability"] = [{"fulfillment_channel_code": amazon.shelf.fba_code}]
    return {"sku": sku, "shown": amazon.shown(sku)}


def expire_tokens(amazon: Amazon) -> dict[str, Any]:
    """Every access token expires now."""
    amazon.tokens.expire_all()
    return {}


def revoke(amazon: Amazon) -> dict[str, Any]:
    """The seller takes the application's rights away."""
    amazon.tokens.revoke()
    return {}


def authorize(amazon: Amazon) -> dict[str, Any]:
    """The seller grants the rights (again); returns the code for the token endpoint."""
    return {"code": amazon.tokens.authorize(), "selling_partner_id": amazon.seller_id}


def switch(amazon: Amazon, name: str, value: Any) -> dict[str, Any]:
    """Change a switch while running. `marketplace_ids` and `roles` are fixed at the start."""
    if name not in amazon.switches or name in ("marketplace_ids", "roles"):
        raise ValueError(f"no such switch to change: {name!r}; known: {', '.join(amazon.switches)}")
    amazon.switches[name] = value
    return {name: value}


CONSOLE: dict[str, Callable[..., dict[str, Any]]] = {
    each.__name__: each
    for each in (
        set_quantity,
        set_price,
        set_sale,
        cancel_order,
        buyer_cancel,
        pay,
        fail_payment,
        ship,
        replacement,
        sell_elsewhere,
        close_listing,
        reopen_listing,
        suppress,
        delete_listing,
        move_to_amazon,
        expire_tokens,
        revoke,
        authorize,
        switch,
    )
}
