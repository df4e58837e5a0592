"""Orders and what hangs on them: lines, payments, refunds, fulfilment orders, fulfilments. Figures only, no actions.

Pieces of a line: `quantity` as ordered; `fulfilled` sent; `removed` taken off before sending; `refunded` refunded
(those that were removed included). Of the pieces still to send, the fulfilment orders say where, and how many of
them hold a claim on stock (`claimed`): an order imported with BYPASS has none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from .money import Bag
from .records import Address, Customer, Location, Metafield, Product, ProductVariant, Record, ShippingLine, TaxLine


@dataclass(eq=False)
class LineItemGroup(Record):
    """A bundle that was bought; its components are the order's lines."""

    kind = "LineItemGroup"
    title: str
    quantity: int
    variant: ProductVariant
    custom_attributes: list[tuple[str, str]] = field(default_factory=list)

    @property
    def variant_id(self) -> str:
        return self.variant.gid

    @property
    def product_id(self) -> str:
        return self.variant.product.gid

    @property
    def variant_sku(self) -> str:
        return self.variant.sku


@dataclass(eq=False)
class LineItem(Record):
    kind = "LineItem"
    title: str
    quantity: int
    price: Bag  # a piece
    variant: ProductVariant | None = None
    sku: str | None = None
    vendor: str | None = None
    variant_title: str | None = None
    requires_shipping: bool = True
    taxable: bool = True
    tax_lines: list[TaxLine] = field(default_factory=list)
    custom_attributes: list[tuple[str, str]] = field(default_factory=list)
    fulfilled: int = 0
    removed: int = 0
    refunded: int = 0
    order: Order | None = None
    discount: Bag | None = None  # its part of the order's discount code
    line_item_group: LineItemGroup | None = None  # the bundle of which it is a component

    @property
    def name(self) -> str:
        return f"{self.title} - {self.variant_title}" if self.variant_title else self.title

    @property
    def product(self) -> Product | None:
        return self.variant.product if self.variant else None

    @property
    def current_quantity(self) -> int:
        """Pieces ordered, without refunded and removed ones."""
        return self.quantity - self.refunded

    @property
    def refundable_quantity(self) -> int:
        return self.current_quantity

    @property
    def unfulfilled_quantity(self) -> int:
        """Pieces not yet sent and not removed."""
        return self.quantity - self.fulfilled - self.removed

    @property
    def non_fulfillable_quantity(self) -> int:
        return self.removed

    @property
    def restockable(self) -> bool:
        return self.current_quantity > 0

    @property
    def original_unit_price_set(self) -> Bag:
        return self.price

    @property
    def discounted_unit_price_set(self) -> Bag:
        return self.price

    @property
    def original_total_set(self) -> Bag:
        return self.price * self.quantity

    @property
    def discounted_total_set(self) -> Bag:
        return self.original_total_set

    def net_of(self, pieces: int) -> Bag:
        """Return the price of `pieces` of this line, its part of the order's discount taken off."""
        price = self.price * pieces
        return price if self.discount is None else price - self.discount.share(pieces, self.quantity)

    def tax_of(self, pieces: int) -> Bag:
        """Return the tax on `pieces` of this line."""
        total = self.price * 0
        for tax in self.tax_lines:
            total = total + tax.price_set
        return total.share(pieces, self.quantity)


@dataclass(eq=False)
class Transaction(Record):
    kind = "OrderTransaction"
    transaction_kind: str
    status: str
    gateway: str | None
    amount_set: Bag
    created_at: datetime
    processed_at: datetime
    parent: Transaction | None = None
    test: bool = False


@dataclass(eq=False)
class RefundLine(Record):
    kind = "RefundLineItem"
    line_item: LineItem
    quantity: int
    restock_type: str
    restocked: bool
    location: Location | None

    @property
    def price_set(self) -> Bag:
        return self.line_item.price

    @property
    def subtotal_set(self) -> Bag:
        return self.line_item.net_of(self.quantity)

    @property
    def total_tax_set(self) -> Bag:
        return self.line_item.tax_of(self.quantity)


@dataclass(eq=False)
class Refund(Record):
    kind = "Refund"
    order: Order
    note: str | None
    created_at: datetime
    processed_at: datetime
    lines: list[RefundLine] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    shipping: Bag | None = None

    @property
    def updated_at(self) -> datetime:
        return self.created_at

    @property
    def total_refunded_set(self) -> Bag:
        total = self.order.zero
        for transaction in self.transactions:
            if transaction.status == "SUCCESS":
                total = total + transaction.amount_set
        return total


@dataclass(eq=False)
class Hold(Record):
    kind = "FulfillmentHold"
    reason: str
    handle: str
    reason_notes: str | None = None
    by_app: bool = True


@dataclass(eq=False)
class WorkLine(Record):
    """A line of a fulfilment order: pieces to send from its location."""

    kind = "FulfillmentOrderLineItem"
    line_item: LineItem
    total_quantity: int
    remaining_quantity: int
    claimed: int  # of the remaining ones, how many are in the location's `committed`


@dataclass(eq=False)
class FulfillmentOrder(Record):
    kind = "FulfillmentOrder"
    order: Order
    location: Location
    created_at: datetime
    updated_at: datetime
    lines: list[WorkLine] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    fulfillments: list[Fulfillment] = field(default_factory=list)
    cancelled: bool = False
    shown: bool = False  # routing has run: before, nobody sees it
    progress_reported: bool = False  # somebody said that it is being packed

    @property
    def open_lines(self) -> list[WorkLine]:
        return [line for line in self.lines if line.remaining_quantity > 0]

    @property
    def is_live(self) -> bool:
        return not self.cancelled and bool(self.open_lines)

    @property
    def status(self) -> str:
        if self.cancelled:
            return "CANCELLED"
        if not self.open_lines:
            return "CLOSED"
        if self.holds:
            return "ON_HOLD"
        started = self.progress_reported or any(not f.cancelled for f in self.fulfillments)
        return "IN_PROGRESS" if started else "OPEN"

    @property
    def actions(self) -> list[str]:
        """What may be done to it now (supportedActions)."""
        if self.location.is_fulfillment_service and self.status in ("OPEN", "IN_PROGRESS"):
            return ["REQUEST_FULFILLMENT", "MOVE"]  # its own app sends it
        by_status = {
            "OPEN": ["CREATE_FULFILLMENT", "MOVE", "HOLD", "REPORT_PROGRESS", "SPLIT"],
            "IN_PROGRESS": ["CREATE_FULFILLMENT", "MOVE", "HOLD", "SPLIT"],
            "ON_HOLD": ["RELEASE_HOLD", "HOLD", "MOVE"],
        }
        allowed = by_status.get(self.status, [])
        return [each for each in allowed if each not in ("MOVE", "SPLIT")] if self.progress_reported else allowed


@dataclass(eq=False)
class Fulfillment(Record):
    kind = "Fulfillment"
    order: Order
    location: Location
    name: str
    created_at: datetime
    updated_at: datetime
    pieces: list[FulfilledPiece] = field(default_factory=list)
    company: str | None = None
    numbers: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    cancelled: bool = False

    @property
    def status(self) -> str:
        return "CANCELLED" if self.cancelled else "SUCCESS"

    @property
    def display_status(self) -> str:
        return "CANCELED" if self.cancelled else "FULFILLED"

    @property
    def total_quantity(self) -> int:
        return sum(piece.quantity for piece in self.pieces)

    @property
    def requires_shipping(self) -> bool:
        return any(piece.line_item.requires_shipping for piece in self.pieces)

    def tracking(self) -> list[dict[str, str | None]]:
        """Return one entry for each parcel."""
        count = max(len(self.numbers), len(self.urls), 1 if self.company else 0)
        return [
            {
                "company": self.company,
                "number": self.numbers[i] if i < len(self.numbers) else None,
                "url": self.urls[i] if i < len(self.urls) else None,
            }
            for i in range(count)
        ]


@dataclass(eq=False)
class FulfilledPiece(Record):
    kind = "FulfillmentLineItem"
    line_item: LineItem
    quantity: int
    work_line: WorkLine
    claimed: int


@dataclass(eq=False)
class Order(Record):
    kind = "Order"
    number: int
    name: str
    created_at: datetime
    updated_at: datetime
    processed_at: datetime
    currency_code: str
    presentment_currency_code: str
    source_name: str
    app_id: int
    app_name: str
    line_items: list[LineItem] = field(default_factory=list)
    shipping_lines: list[ShippingLine] = field(default_factory=list)
    order_tax_lines: list[TaxLine] = field(default_factory=list)
    taxes_included: bool = False
    discount: Bag | None = None
    discount_codes: list[str] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    fulfillment_orders: list[FulfillmentOrder] = field(default_factory=list)
    fulfillments: list[Fulfillment] = field(default_factory=list)
    metafields: list[Metafield] = field(default_factory=list)
    customer: Customer | None = None
    email: str | None = None
    phone: str | None = None
    note: str | None = None
    po_number: str | None = None
    tags: list[str] = field(default_factory=list)
    custom_attributes: list[tuple[str, str | None]] = field(default_factory=list)
    shipping_address: Address | None = None
    billing_address: Address | None = None
    source_identifier: str | None = None
    registered_source_url: str | None = None
    test: bool = False
    cancel_reason: str | None = None
    cancelled_at: datetime | None = None
    closed_at: datetime | None = None
    forced_financial_status: str | None = None  # given to orderCreate; dropped when money next moves
    inventory_behaviour: str = "BYPASS"

    @property
    def zero(self) -> Bag:
        return Bag.zero(self.currency_code, self.presentment_currency_code)

    def total(self, bags: list[Bag]) -> Bag:
        """Return the sum of `bags` in this order's currencies."""
        result = self.zero
        for bag in bags:
            result = result + bag
        return result

    # -- money ------------------------------------------------------------------------------------------------------

    @property
    def tax_lines(self) -> list[TaxLine]:
        lines = [tax for line in self.line_items for tax in line.tax_lines]
        return self.order_tax_lines or lines + [tax for line in self.shipping_lines for tax in line.tax_lines]

    @property
    def line_items_total(self) -> Bag:
        return self.total([line.original_total_set for line in self.line_items])

    @property
    def total_discounts_set(self) -> Bag:
        return self.discount or self.zero

    @property
    def subtotal_price_set(self) -> Bag:
        return self.line_items_total - self.total_discounts_set

    @property
    def total_shipping_price_set(self) -> Bag:
        return self.total([line.price for line in self.shipping_lines])

    @property
    def total_tax_set(self) -> Bag:
        return self.total([tax.price_set for tax in self.tax_lines])

    @property
    def total_price_set(self) -> Bag:
        price = self.subtotal_price_set + self.total_shipping_price_set
        return price if self.taxes_included else price + self.total_tax_set

    @property
    def original_total_price_set(self) -> Bag:
        return self.total_price_set

    @property
    def refunded_lines(self) -> list[RefundLine]:
        return [line for refund in self.refunds for line in refund.lines]

    @property
    def current_subtotal_price_set(self) -> Bag:
        off = self.total([line.subtotal_set for line in self.refunded_lines])
        return (self.subtotal_price_set - off).at_least_zero()

    @property
    def current_total_tax_set(self) -> Bag:
        off = self.total([line.total_tax_set for line in self.refunded_lines])
        return (self.total_tax_set - off).at_least_zero()

    @property
    def current_shipping_price_set(self) -> Bag:
        off = self.total([refund.shipping for refund in self.refunds if refund.shipping])
        return (self.total_shipping_price_set - off).at_least_zero()

    @property
    def current_total_price_set(self) -> Bag:
        price = self.current_subtotal_price_set + self.current_shipping_price_set
        return price if self.taxes_included else price + self.current_total_tax_set

    def _moved(self, *kinds: str) -> Bag:
        done = [t for t in self.transactions if t.status == "SUCCESS" and t.transaction_kind in kinds]
        return self.total([transaction.amount_set for transaction in done])

    @property
    def total_received_set(self) -> Bag:
        return self._moved("SALE", "CAPTURE")

    @property
    def total_refunded_set(self) -> Bag:
        return self._moved("REFUND")

    @property
    def total_outstanding_set(self) -> Bag:
        if self.cancelled_at:
            return self.zero
        return (self.current_total_price_set - (self.total_received_set - self.total_refunded_set)).at_least_zero()

    @property
    def display_financial_status(self) -> str:
        received, refunded = self.total_received_set.shop_money.minor, self.total_refunded_set.shop_money.minor
        if refunded and refunded >= received:
            return "REFUNDED"
        if refunded:
            return "PARTIALLY_REFUNDED"
        if self.forced_financial_status:
            return self.forced_financial_status
        if received and received >= self.current_total_price_set.shop_money.minor:
            return "PAID"
        if received:
            return "PARTIALLY_PAID"
        if self.cancelled_at:
            return "VOIDED"
        if self._moved("AUTHORIZATION").shop_money.minor:
            return "AUTHORIZED"
        return "PENDING" if self.total_price_set.shop_money.minor else "PAID"

    @property
    def fully_paid(self) -> bool:
        return self.display_financial_status in ("PAID", "PARTIALLY_REFUNDED", "REFUNDED")

    @property
    def unpaid(self) -> bool:
        return self.display_financial_status in ("PENDING", "AUTHORIZED", "EXPIRED", "PARTIALLY_PAID")

    @property
    def payment_gateway_names(self) -> list[str]:
        return sorted({transaction.gateway for transaction in self.transactions if transaction.gateway})

    # -- pieces -----------------------------------------------------------------------------------------------------

    @property
    def display_fulfillment_status(self) -> str:
        sent = sum(line.fulfilled for line in self.line_items)
        left = sum(line.unfulfilled_quantity for line in self.line_items)
        if sent and not left:
            return "FULFILLED"
        live = [work for work in self.fulfillment_orders if work.is_live]
        if sent:
            return "PARTIALLY_FULFILLED"
        return "ON_HOLD" if live and all(work.holds for work in live) else "UNFULFILLED"

    @property
    def subtotal_line_items_quantity(self) -> int:
        return sum(line.quantity for line in self.line_items)

    @property
    def current_subtotal_line_items_quantity(self) -> int:
        return sum(line.current_quantity for line in self.line_items)

    @property
    def fulfillable(self) -> bool:
        return any(work.is_live for work in self.fulfillment_orders)

    @property
    def requires_shipping(self) -> bool:
        return any(line.requires_shipping for line in self.line_items)

    @property
    def restockable(self) -> bool:
        return self.current_subtotal_line_items_quantity > 0

    @property
    def refundable(self) -> bool:
        return self.restockable or (self.total_received_set - self.total_refunded_set).shop_money.minor > 0

    # -- the rest ---------------------------------------------------------------------------------------------------

    @property
    def shipping_line(self) -> ShippingLine | None:
        return self.shipping_lines[0] if self.shipping_lines else None

    @property
    def closed(self) -> bool:
        return self.closed_at is not None

    @property
    def confirmed(self) -> bool:
        return True

    @property
    def edited(self) -> bool:
        return any(line.removed for line in self.line_items)
