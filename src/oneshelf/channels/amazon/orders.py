"""One order document of the Orders API 2026-01-01 → facts. Pure.

In: the document as `searchOrders` or `getOrder` gave it. Out: one OrderSeen, or Ignored for orders that are not ours to serve.
Never: the v0 shape, whose words reach us only in notifications (`parse`).
Source for all below: model orders_2026-01-01 and Amazon's v0 field map, commits of 2026-08; sheet sections 4.2 to 4.5, read 2026-11.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec import Raw

from oneshelf.channels.amazon import proceeds, wire
from oneshelf.core.errors import Unreadable
from oneshelf.core.facts import (
    Address,
    BuyerSeen,
    Fact,
    Ignored,
    LineSeen,
    OrderSeen,
    Payment,
    ShipmentSeen,
)
from oneshelf.core.relay import is_relay


class Standing(NamedTuple):
    """What an order's status says: how far the money is, whether it is called off, whether every piece left."""

    payment: Payment
    cancelled: bool = False
    all_shipped: bool = False
    not_ours: bool = False


#: Both vocabularies in one table, letters only: v0 "PartiallyShipped" = 2026 "PARTIALLY_SHIPPED"; v0 "Canceled", 2026 "CANCELLED".
#: INVOICE_UNCONFIRMED is in Amazon's field map and not in its model: shipped, invoice open (Brazil).
STANDING: dict[str, Standing] = {
    "PENDINGAVAILABILITY": Standing(Payment.PENDING),
    "PENDING": Standing(Payment.PENDING),
    "UNSHIPPED": Standing(Payment.PAID),
    "PARTIALLYSHIPPED": Standing(Payment.PAID),
    "SHIPPED": Standing(Payment.PAID, all_shipped=True),
    "INVOICEUNCONFIRMED": Standing(Payment.PAID, all_shipped=True),
    "CANCELLED": Standing(Payment.PENDING, cancelled=True),
    "CANCELED": Standing(Payment.PENDING, cancelled=True),
    "UNFULFILLABLE": Standing(Payment.PENDING, not_ours=True),
}
#: A status from the future holds stock and is not shipped: the side on which nothing is sold twice.
UNKNOWN_STANDING = Standing(Payment.PENDING)

REPLACEMENTS = ("REPLACEMENT_ORIGINAL_ID", "EXCHANGE_ORIGINAL_ID")

#: Packages that never left, or left no more.
_NOT_YET_SENT = ("PENDING",)
_CANCELLED_PACKAGE = ("CANCELLED", "CANCELED")

#: More units than this on one line is no order; the bound keeps absurd integers out of the database.
UNITS_MAX = 1_000_000


def order_facts(body: bytes) -> list[Fact]:
    """Read one order document. Raises Unreadable on what decides and can't be read: ids, counts, currencies, a missing status."""
    order = wire.deciding(body, wire.Order)
    if not order.order_id:
        raise Unreadable("an order without an id")
    channel_name = ((order.sales_channel.channel_name if order.sales_channel else None) or "").upper()
    if channel_name == "NON_AMAZON":
        return [Ignored("sold outside Amazon: a multi-channel fulfilment order of Amazon's stock")]
    status = (order.fulfillment.fulfillment_status if order.fulfillment else None) or ""
    if not status:
        raise Unreadable("an order without fulfillmentStatus (FULFILLMENT was not included)")
    standing = standing_of(status)
    if standing.not_ours:
        return [Ignored("unfulfillable: multi-channel fulfilment only")]
    return [_order_seen(order, status, standing)]


def standing_of(status: str) -> Standing:
    """Look a status up, v0 or 2026 spelling, any case."""
    return STANDING.get(re.sub(r"[^A-Z]", "", status.upper()), UNKNOWN_STANDING)


def instant(value: str | None) -> datetime | None:
    """Read an ISO 8601 instant, with or without fractions of a second; None for nothing or nonsense."""
    if not value:
        return None
    try:
        read = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)


def units(count: int, what: str) -> int:
    """Return the count if it can be one, else raise Unreadable."""
    if not 0 <= count <= UNITS_MAX:
        raise Unreadable(f"{what} out of range")
    return count


def _order_seen(order: wire.Order, status: str, standing: Standing) -> OrderSeen:
    by_amazon = ((order.fulfillment.fulfilled_by if order.fulfillment else None) or "").upper() == "AMAZON"
    marketplace_id = order.sales_channel.marketplace_id if order.sales_channel else None
    replaces = _replaced_order(order)
    prices = [proceeds.LineMoney(item) for item in order.order_items]
    currency = next((p.currency for p in prices if p.currency), proceeds.currency_of_marketplace(marketplace_id))
    if replaces and currency:
        prices = [p if p.subtotal is not None else proceeds.without_price(currency) for p in prices]
    totals, money_note = proceeds.totals_of(order, prices)
    updated_at = instant(order.last_updated_time)
    notes = [
        f"replacement of {replaces}" if replaces else "",
        f"unknown status {status[:40]!r}" if standing is UNKNOWN_STANDING else "",
        *(_cancel_request(item) for item in order.order_items),
        *_for_the_packer(order),
        money_note,
    ]
    wishes = [wish for item in order.order_items if (wish := _cancel_wish(item)) is not None]
    over = standing.cancelled or standing.all_shipped
    return OrderSeen(
        order_id=order.order_id,
        number=order.order_id,
        payment=standing.payment,
        lines=tuple(
            _line(item, price, standing, by_amazon) for item, price in zip(order.order_items, prices, strict=True)
        ),
        placed_at=instant(order.created_time),
        updated_at=updated_at,
        cancelled=standing.cancelled,
        cancelled_at=updated_at if standing.cancelled else None,
        marketplace_id=marketplace_id,
        shipments=_shipments(order),
        buyer=_buyer(order),
        ship_to=_ship_to(order),
        totals=totals,
        ship_by_at=_ship_by(order),
        fulfilled_by_channel=by_amazon,
        note="; ".join(dict.fromkeys(note for note in notes if note)),
        cancel_asked=wishes[0] if wishes and not over else "",
    )


def _line(item: wire.OrderItem, price: proceeds.LineMoney, standing: Standing, by_amazon: bool) -> LineSeen:
    product = item.product or wire.Product()
    sku = None if product.seller_sku in (None, "") else str(product.seller_sku)
    ordered, shipped, cancelled = _counts(item, standing)
    return LineSeen(
        line_id=str(item.order_item_id),
        listing_keys=(f"sku:{sku}",) if sku is not None else (),
        ordered=ordered,
        cancelled=cancelled,
        shipped=shipped,
        sku=sku,
        title=wire.text(product.title) or "",
        subtotal=price.money(price.subtotal),
        discount=price.money(price.discount) if price.discount else None,
        taxes=price.tax_lines(price.tax),
        fulfilled_by_channel=by_amazon,
    )


def _counts(item: wire.OrderItem, standing: Standing) -> tuple[int, int, int]:
    """Return (ordered, shipped, cancelled). Amazon gives no cancelled count; it is what is neither shipped nor still to ship.

    An executed cancellation names no quantity: if the rest still reads as unfulfilled, all of the rest is cancelled; if the two counts
    already fall short of the ordered ones, they have taken it into account.
    """
    ordered = units(item.quantity_ordered, "quantityOrdered")
    counted = item.fulfillment or wire.ItemFulfillment()
    if counted.quantity_fulfilled is None:
        shipped = ordered if standing.all_shipped else 0
    else:
        shipped = units(counted.quantity_fulfilled, "quantityFulfilled")
    ordered = max(ordered, shipped)
    rest = ordered - shipped
    if standing.cancelled:
        return ordered, shipped, rest
    still_wanted = rest
    if counted.quantity_unfulfilled is not None:
        still_wanted = min(rest, units(counted.quantity_unfulfilled, "quantityUnfulfilled"))
    if item.cancellation and item.cancellation.cancellation_execution and still_wanted == rest:
        still_wanted = 0
    return ordered, shipped, rest - still_wanted


def _cancel_wish(item: wire.OrderItem) -> str | None:
    """Return why the buyer asks for a cancel of this item ("asked" without a reason), None if they don't, or it is done."""
    asked = item.cancellation.cancellation_request if item.cancellation else None
    if asked is None or (item.cancellation and item.cancellation.cancellation_execution):
        return None
    return (wire.text(asked.cancel_reason) or "asked")[:120]


def _cancel_request(item: wire.OrderItem) -> str:
    """Say that the buyer asks to cancel. Only a request: the seller decides (sheet section 4.2)."""
    wish = _cancel_wish(item)
    if wish is None:
        return ""
    return "the buyer asks to cancel" + (f": {wish}" if wish != "asked" else "")


def _for_the_packer(order: wire.Order) -> list[str]:
    """Return what must be known when the order is packed: collected in the shop, gifts, a business's own number, where to leave it."""
    programs = {str(each).upper() for each in wire.informing(order.programs, list[str]) or []}
    notes = ["the buyer collects it in the store: not to be shipped"] if "IN_STORE_PICK_UP" in programs else []
    buyer = wire.informing(order.buyer, wire.Buyer) or wire.Buyer()
    company, number = wire.text(buyer.buyer_company_name), wire.text(buyer.buyer_purchase_order_number)
    if "AMAZON_BUSINESS" in programs or company or number:
        notes.append(
            "business order" + (f" of {company}" if company else "") + (f", its number {number}" if number else "")
        )
    for item in order.order_items:
        raw = item.fulfillment.packing if item.fulfillment else Raw(b"")
        packing = wire.informing(raw, wire.Packing)
        gift = packing.gift_option if packing else None
        if gift is not None:
            words, wrap = wire.text(gift.gift_message), wire.text(gift.gift_wrap_level)
            notes.append("Gift" + (f", wrapped ({wrap})" if wrap else "") + (f": {words}" if words else ""))
    recipient = wire.informing(order.recipient, wire.Recipient)
    wanted = recipient.delivery_preference if recipient else None
    if wanted is not None:
        where, how = wire.text(wanted.drop_off_location), wire.text(wanted.address_instruction)
        notes += [f"delivery: {', '.join(part for part in (where, how) if part)}"] if where or how else []
    return notes


def _replaced_order(order: wire.Order) -> str | None:
    for associated in order.associated_orders or []:
        if (associated.association_type or "").upper() in REPLACEMENTS:
            return associated.order_id or "an earlier order"
    return None


def _shipments(order: wire.Order) -> tuple[ShipmentSeen, ...]:
    parcels = []
    for package in wire.informing(order.packages, list[wire.Package]) or []:
        status = ((package.package_status.status if package.package_status else None) or "").upper()
        if status in _NOT_YET_SENT:
            continue
        units_by_line: dict[str, int] = {}
        for part in package.package_items or []:
            line_id = str(part.order_item_id)
            units_by_line[line_id] = units_by_line.get(line_id, 0) + max(0, part.quantity)
        parcels.append(
            ShipmentSeen(
                shipment_id=str(package.package_reference_id),
                created_at=instant(package.ship_time) or instant(package.created_time),
                units=units_by_line,
                tracking_number=wire.text(package.tracking_number),
                carrier=wire.text(package.carrier),
                cancelled=status in _CANCELLED_PACKAGE,
            )
        )
    return tuple(parcels)


def _buyer(order: wire.Order) -> BuyerSeen | None:
    seen = wire.informing(order.buyer, wire.Buyer)
    if seen is None:
        return None
    email = wire.text(seen.buyer_email)
    name = wire.text(seen.buyer_name)
    if email is None and name is None:
        return None
    return BuyerSeen(name=name, email=email, email_is_relay=bool(email) and is_relay(email or ""))


def _ship_to(order: wire.Order) -> Address | None:
    recipient = wire.informing(order.recipient, wire.Recipient)
    seen = recipient.delivery_address if recipient else None
    if seen is None:
        return None
    rest = (wire.text(part) for part in (seen.company_name, seen.address_line2, seen.address_line3))
    address = Address(
        name=wire.text(seen.name),
        line1=wire.text(seen.address_line1),
        line2=", ".join(part for part in rest if part) or None,
        city=wire.text(seen.city) or wire.text(seen.municipality) or wire.text(seen.district_or_county),
        region=wire.text(seen.state_or_region),
        postal_code=wire.text(seen.postal_code),
        country=wire.text(seen.country_code),
        phone=wire.text(seen.phone),
    )
    return None if address == Address() else address


def _ship_by(order: wire.Order) -> datetime | None:
    raw = order.fulfillment.ship_by_window if order.fulfillment else None
    window = wire.informing(raw, wire.Window) if raw is not None else None
    return instant(window.latest_date_time) if window else None
