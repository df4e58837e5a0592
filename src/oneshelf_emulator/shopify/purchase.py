"""A buyer at the web shop: checkout, payment and order in one moment.

Source: contracts sheet shopify section 13: no reservation in the cart; `available` falls when the order is created;
DENY stops checkout at 0, counted over the locations that fulfil online orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..world import Address as BuyerAddress
from ..world import Buyer, Sale
from .customers import upsert
from .money import Bag
from .order_records import LineItem, LineItemGroup, Order, Transaction
from .orders import IGNORING, OBEYING, place, route
from .records import Address, ProductVariant

if TYPE_CHECKING:
    from .shop import Shopify

#: What "always in stock" shows: untracked, or sold on after 0.
UNLIMITED = 1_000_000
ONLINE_STORE_APP = 580111


def shown(variant: ProductVariant) -> int:
    """Return how many pieces checkout would sell now."""
    if variant.product.status != "ACTIVE":
        return 0
    if not variant.inventory_item.tracked or variant.inventory_policy == "CONTINUE":
        return UNLIMITED
    return max(0, variant.sellable_online_quantity)


def buy(shop: Shopify, buyer: Buyer, lines: Mapping[str, int]) -> Sale | None:
    """Place a paid web order, or return None if anything in it is not for sale."""
    try:
        wanted = {shop.variant(sku): pieces for sku, pieces in lines.items()}
    except KeyError:
        return None
    if not wanted or any(pieces < 1 or shown(variant) < pieces for variant, pieces in wanted.items()):
        return None
    order = _order(shop, buyer, wanted)
    shares = route(shop, order.line_items, OBEYING)
    if shares is None:
        return None
    order.inventory_behaviour = IGNORING
    placed_at = shop.world.clock.now()
    sale = Sale("shopify", str(order.id), placed_at, dict(lines), buyer.key, paid_at=placed_at)
    shop.sales_by_order[order.id] = sale
    shop.world.sales.append(sale)
    place(shop, order, shares)
    shop.world.note("shopify", "sale", order=order.name, lines=dict(lines), buyer=buyer.key)
    return sale


def _order(shop: Shopify, buyer: Buyer, wanted: Mapping[ProductVariant, int]) -> Order:
    store, now = shop.store, shop.store.now()
    number = shop.next_order_number()
    order = Order(
        store.new_id("Order"), number, f"#{number}", now, now, now, shop.currency, shop.currency, "web",
        ONLINE_STORE_APP, "Online Store",
    )  # fmt: skip
    order.taxes_included = shop.taxes_included
    order.email = buyer.email
    order.shipping_address = order.billing_address = to_address(store.new_id("MailingAddress"), buyer.address)
    first, _, last = buyer.name.partition(" ")
    given = {"email": buyer.email, "firstName": first, "lastName": last}
    order.customer = upsert(shop, given, order.shipping_address)
    for variant, pieces in wanted.items():
        if variant.components:
            order.line_items += _expanded(shop, variant, pieces)
        else:
            order.line_items.append(_line(shop, variant, pieces, Bag(variant.price, variant.price)))
    total = order.total_price_set
    number = store.new_id("OrderTransaction")
    order.transactions.append(Transaction(number, "SALE", "SUCCESS", "shopify_payments", total, now, now))
    return order


def _line(shop: Shopify, variant: ProductVariant, pieces: int, price: Bag) -> LineItem:
    return LineItem(
        shop.store.new_id("LineItem"),
        variant.product.title,
        pieces,
        price,
        variant,
        sku=variant.sku,
        vendor=variant.product.vendor,
        requires_shipping=variant.inventory_item.requires_shipping,
        taxable=variant.taxable,
    )


def _expanded(shop: Shopify, bundle: ProductVariant, pieces: int) -> list[LineItem]:
    """A bundle is bought as its components: each a line, all of one group. How the price is shared is not documented: the first
    component carries it here, so that sums stay whole [U]."""
    group = shop.store.add(LineItemGroup(shop.store.new_id("LineItemGroup"), bundle.product.title, pieces, bundle))
    lines: list[LineItem] = []
    for each in bundle.components:
        price = Bag(bundle.price, bundle.price) * (0 if lines else 1)
        line = _line(shop, each.product_variant, pieces * each.quantity, price)
        if not lines and each.quantity > 1:
            line.price = Bag(bundle.price, bundle.price).share(1, each.quantity)
        line.line_item_group = group
        lines.append(line)
    return lines


def to_address(number: int, it: BuyerAddress) -> Address:
    """Return a buyer's address as Shopify keeps it."""
    first, _, last = it.name.partition(" ")
    return Address(
        number, first, last, None, it.line1, it.line2 or None, it.city, it.postal_code, it.region or None, it.country,
        it.phone,
    )  # fmt: skip
