"""An order in one form, whichever way it came, and what its counts mean. Pure.

In: `OrderForm`s, filled by from_webhook.py and from_graphql.py. Out: `OrderSeen`. Never: reads JSON.

Webhooks have the REST shape, our reads the GraphQL shape. Both end here, so that the same order gives the same facts.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from oneshelf.core.errors import Retry
from oneshelf.core.facts import (
    Address,
    BuyerSeen,
    LineSeen,
    Money,
    OrderSeen,
    OrderTotals,
    Payment,
    ReturnSeen,
    ShipmentSeen,
)
from oneshelf.core.relay import is_relay

#: What a financial status means for stock. Shopify commits stock when the order is created and gives it back only when the order is
#: cancelled, whatever happened to the money: so nothing here is FAILED, or our level would rise while the hub's stays.
#: AUTHORIZED is the normal state of shops that capture at shipping; a refund moves money, not stock (S5.4).
#: Source: Shopify Admin GraphQL OrderDisplayFinancialStatus, 2026-10 ("an order can remain open even when its payment is voided").
PAYMENT = {
    "paid": Payment.PAID,
    "partially_paid": Payment.PAID,
    "authorized": Payment.PAID,
    "partially_refunded": Payment.PAID,
    "refunded": Payment.PAID,
    "pending": Payment.PENDING,
    "voided": Payment.PENDING,
    "expired": Payment.PENDING,
}

#: What a fulfilment's status means for its pieces. "waiting": a fulfilment service has not answered yet, nothing left the shelf.
#: Source: Shopify Admin GraphQL FulfillmentStatus, 2026-10. Unknown ones wait.
FULFILLMENT = {
    "success": "shipped",
    "cancelled": "void",
    "error": "void",
    "failure": "void",
    "open": "waiting",
    "pending": "waiting",
}

#: Fulfilment orders in these states say nothing about where open pieces will leave from.
#: Source: Shopify Admin GraphQL FulfillmentOrderStatus, 2026-10.
WORK_DONE = {"closed", "cancelled"}

#: Our marks on an order that we imported, and on its lines.
ORDER_KEY = "oneshelf_key"
LINE_KEY = "oneshelf_line_id"


class FormLine(msgspec.Struct):
    """A line with Shopify's counts: `quantity` ever ordered, `current` without refunded and removed pieces."""

    line_id: str
    variant_id: str | None
    sku: str | None
    title: str
    quantity: int
    current: int
    unfulfilled: int | None
    needs_shipping: bool
    unit_price: Money | None = None
    discount: Money | None = None
    copy_of_line_id: str | None = None


class FormShipment(msgspec.Struct):
    """A fulfilment. `status` in lower case."""

    shipment_id: str
    status: str
    created_at: datetime | None
    units: dict[str, int]
    tracking_numbers: tuple[str, ...] = ()
    tracking_url: str | None = None
    carrier: str | None = None
    location_id: str | None = None


class FormRefundLine(msgspec.Struct):
    """Pieces of one line in a refund. `restock` in lower case: return, cancel, no_restock, legacy_restock."""

    refund_line_id: str
    line_id: str
    pieces: int
    restock: str
    location_id: str | None
    created_at: datetime | None


class OrderForm(msgspec.Struct):
    """An order as Shopify tells it, in one form."""

    order_id: str
    number: str
    created_at: datetime | None
    updated_at: datetime | None
    cancelled_at: datetime | None
    financial_status: str
    lines: list[FormLine]
    shipments: list[FormShipment]
    refund_lines: list[FormRefundLine]
    locations: dict[str, dict[str, int]]
    buyer: BuyerSeen | None
    ship_to: Address | None
    total: Money | None
    tax: Money | None
    shipping: Money | None
    discount: Money | None
    taxes_included: bool
    shipping_title: str | None
    note: str
    #: Our metafield, our attribute and the source's own number, where present.
    key_metafield: str | None = None
    key_attribute: str | None = None
    source_identifier: str | None = None


def order_seen(form: OrderForm, shop: str) -> OrderSeen:
    """Return the whole snapshot."""
    shipments = tuple(
        _shipment(s)
        for s in sorted(form.shipments, key=lambda s: s.shipment_id)
        if FULFILLMENT.get(s.status) in ("shipped", "void")
    )
    lines = tuple(_line(line, form) for line in form.lines)
    return OrderSeen(
        order_id=form.order_id,
        payment=PAYMENT.get(form.financial_status, Payment.PENDING),
        lines=lines,
        placed_at=form.created_at,
        updated_at=form.updated_at,
        cancelled=form.cancelled_at is not None,
        cancelled_at=form.cancelled_at,
        number=form.number,
        shipments=shipments,
        returns=_returns(form),
        buyer=form.buyer,
        ship_to=form.ship_to,
        totals=_totals(form, lines),
        copy_of_key=_copy_of_key(form),
        locations=form.locations,
        deep_link=f"https://{shop}/admin/orders/{form.order_id}" if shop else None,
        note=form.note,
    )


def _shipment(seen: FormShipment) -> ShipmentSeen:
    return ShipmentSeen(
        shipment_id=seen.shipment_id,
        created_at=seen.created_at,
        units=seen.units,
        tracking_number=seen.tracking_numbers[0] if seen.tracking_numbers else None,
        carrier=seen.carrier,
        tracking_url=seen.tracking_url,
        location_id=seen.location_id,
        cancelled=FULFILLMENT[seen.status] == "void",
        more_tracking_numbers=seen.tracking_numbers[1:],
    )


def _line(line: FormLine, form: OrderForm) -> LineSeen:
    shipped = _units(form.shipments, line.line_id, "shipped")
    return LineSeen(
        line_id=line.line_id,
        listing_keys=_listing_keys(line),
        ordered=line.quantity,
        cancelled=cancelled_pieces(
            line, shipped, _units(form.shipments, line.line_id, "waiting"), _refunded(form, line.line_id)
        ),
        shipped=shipped,
        sku=line.sku,
        title=line.title,
        subtotal=_times(line.unit_price, line.quantity),
        discount=line.discount,
        needs_shipping=line.needs_shipping,
        copy_of_line_id=line.copy_of_line_id,
    )


def _listing_keys(line: FormLine) -> tuple[str, ...]:
    """A line without a variant (custom item, deleted variant) takes no stock in Shopify, so it names no listing."""
    if line.variant_id is None:
        return ()
    return (f"variant:{line.variant_id}", f"sku:{line.sku}") if line.sku else (f"variant:{line.variant_id}",)


def _times(price: Money | None, quantity: int) -> Money | None:
    return None if price is None else Money(price.minor * quantity, price.currency)


def _units(shipments: Iterable[FormShipment], line_id: str, meaning: str) -> int:
    return sum(s.units.get(line_id, 0) for s in shipments if FULFILLMENT.get(s.status, "waiting") == meaning)


def _refunded(form: OrderForm, line_id: str) -> dict[str, int]:
    pieces: dict[str, int] = {}
    for refund in form.refund_lines:
        if refund.line_id == line_id:
            pieces[refund.restock] = pieces.get(refund.restock, 0) + refund.pieces
    return pieces


def cancelled_pieces(line: FormLine, shipped: int, waiting: int, refunded: dict[str, int]) -> int:
    """Return how many pieces of the line nobody wants any more, of those that were not shipped.

    `current` falls for three reasons: removed before shipping (an edit, or a refund line of type cancel): cancelled; sent back
    (type return): not cancelled; refunded without restock, of which Shopify does not say whether the piece had been shipped. Those
    count as cancelled as far as they can't be shipped ones, or as Shopify's own unfulfilled count misses them.
    """
    returned = min(refunded.get("return", 0), shipped)
    cancels = sum(n for kind, n in refunded.items() if kind == "cancel")
    unclear = sum(n for kind, n in refunded.items() if kind not in ("return", "cancel"))
    never_shipped = refunded.get("return", 0) - returned
    edits = max(0, line.quantity - line.current - cancels - unclear - refunded.get("return", 0))
    known = cancels + edits + never_shipped
    of_unclear = max(0, unclear - (shipped - returned))
    if unclear and line.unfulfilled is not None:
        missed = line.quantity - shipped - waiting - known - line.unfulfilled
        of_unclear = min(max(missed, of_unclear), unclear)
    return max(0, min(known + of_unclear, line.quantity - shipped))


def _returns(form: OrderForm) -> tuple[ReturnSeen, ...]:
    """Only what had been shipped can come back; a "return" of an unshipped piece is a cancel, and counted there."""
    left = {line.line_id: _units(form.shipments, line.line_id, "shipped") for line in form.lines}
    found = []
    for refund in sorted(form.refund_lines, key=lambda r: (len(r.refund_line_id), r.refund_line_id)):
        pieces = min(refund.pieces, left.get(refund.line_id, 0)) if refund.restock == "return" else 0
        if pieces > 0:
            left[refund.line_id] -= pieces
            found.append(
                ReturnSeen(refund.refund_line_id, refund.line_id, pieces, refund.location_id, refund.created_at)
            )
    return tuple(found)


def _totals(form: OrderForm, lines: tuple[LineSeen, ...]) -> OrderTotals | None:
    if form.total is None:
        return None
    currency = form.total.currency
    none = Money(0, currency)
    items = sum(line.subtotal.minor for line in lines if line.subtotal is not None)
    return OrderTotals(
        items=Money(items, currency),
        shipping=form.shipping or none,
        tax=form.tax or none,
        discount=form.discount or none,
        total=form.total,
        taxes_included=form.taxes_included,
        shipping_title=form.shipping_title or "Shipping",
    )


def _copy_of_key(form: OrderForm) -> str | None:
    """The custom id is unique by definition. Our attribute counts only beside a source identifier, which is set at creation
    only: a duplicate that the merchant makes of a copy takes the attributes along, but is a new order."""
    if form.key_metafield:
        return form.key_metafield
    if form.source_identifier:
        return form.key_attribute or form.source_identifier
    return None


# --- small readings that both forms share --------------------------------------------------------------------------------


def instant(value: object) -> datetime | None:
    """Return an RFC 3339 instant in UTC, with or without fractions; None if it is none."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def text(value: object) -> str | None:
    """Return the value as text, None if it is empty."""
    if value is None or value == "" or isinstance(value, bool):
        return None
    return str(value)


def texts(values: object) -> tuple[str, ...]:
    """Return the texts of several that are there, each once, in order; none if there are not several."""
    found = map(text, values) if isinstance(values, Iterable) and not isinstance(values, str) else ()
    return tuple(dict.fromkeys(one for one in found if one))


def record(value: object) -> dict[str, Any]:
    """Return the object, an empty one if it is none: what an answer leaves out, or holds in a shape of its own, says nothing."""
    return value if isinstance(value, dict) else {}


def records(values: object) -> list[dict[str, Any]]:
    """Return the objects of a list, none if it is no list."""
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []


def all_records(values: object, what: str) -> list[dict[str, Any]]:
    """Return the objects of a list of which each counts: one that was left out would be missed, or taken for gone. Raises Retry."""
    found = records(values)
    if not isinstance(values, list) or len(found) != len(values):
        raise Retry(f"Shopify's answer does not hold the {what} that it was asked for")
    return found


def whole(value: object) -> int | None:
    """Return the count, None if it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def buyer_of(
    customer_id: str | None, first_name: str | None, last_name: str | None, email: str | None, phone: str | None
) -> BuyerSeen | None:
    """Return the buyer, or None where everything is withheld."""
    name = " ".join(part for part in (first_name, last_name) if part) or None
    if not (customer_id or name or email or phone):
        return None
    return BuyerSeen(
        channel_buyer_id=customer_id,
        name=name,
        email=email,
        email_is_relay=bool(email) and is_relay(email or ""),
        phone=phone,
    )
