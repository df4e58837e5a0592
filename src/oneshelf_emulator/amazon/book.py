"""The order book: what Amazon itself believes about every order. No wire format.

Owns: orders, their items and packages, and what a sale, a cancel and a parcel do to the live quantity.
Source: Amazon model orders_2026-01-01 (FulfillmentStatus); seller help G40571 (pending orders hold stock); seller
support blog 2010-06 (a cancel for lack of stock does not put the quantity back); read 2026-11.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..world import Buyer, Sale, World
from .limits import MARKETPLACES, Marketplace
from .shelf import Listing, Shelf

PENDING, UNSHIPPED, PARTIALLY_SHIPPED = "PENDING", "UNSHIPPED", "PARTIALLY_SHIPPED"
SHIPPED, CANCELLED = "SHIPPED", "CANCELLED"

#: Cancel reasons of the order acknowledgement feed. Source: OrderAcknowledgement.xsd, release 1.9.
CANCEL_REASONS = frozenset(
    {
        "NoInventory",
        "ShippingAddressUndeliverable",
        "CustomerExchange",
        "BuyerCanceled",
        "GeneralAdjustment",
        "CarrierCreditDecision",
        "RiskAssessmentInformationNotValid",
        "CarrierCoverageFailure",
        "CustomerReturn",
        "MerchandiseNotReceived",
    }
)
#: Snapshots kept of one order, for readers that see it late.
VERSIONS_MAX = 8


@dataclass
class Item:
    """One line. Money in minor units of the order's currency; `unit_minor` for one piece, the rest for the line."""

    order_item_id: str
    sku: str
    asin: str
    title: str
    quantity: int
    unit_minor: int
    tax_minor: int = 0
    shipping_minor: int = 0
    shipping_tax_minor: int = 0
    discount_minor: int = 0
    shipped: int = 0
    cancel_requested: str | None = None
    cancelled_by: str | None = None
    cancel_reason: str | None = None
    gift: bool = False

    @property
    def open_pieces(self) -> int:
        """Pieces that are still owed."""
        return 0 if self.cancelled_by else self.quantity - self.shipped


@dataclass(frozen=True)
class Package:
    """One confirmed parcel. `pieces` is {order_item_id: pieces}."""

    reference: str
    carrier: str
    service: str
    tracking: str
    shipped_at: datetime
    created_at: datetime
    pieces: dict[str, int]


@dataclass
class Order:
    """One order. `versions` are earlier states, oldest first, for searches that lag behind."""

    order_id: str
    marketplace: Marketplace
    created_at: datetime
    updated_at: datetime
    status: str
    by_amazon: bool
    buyer: Buyer
    relay_email: str
    items: list[Item]
    ship_by: tuple[datetime, datetime]
    deliver_by: tuple[datetime, datetime]
    packages: dict[str, Package] = field(default_factory=dict)
    seller_order_id: str | None = None
    replaces: str | None = None
    listed: bool = True
    #: The business that bought, and its own number for it.
    business: tuple[str, str] | None = None
    #: Sold outside of Amazon, served from Amazon's stock (multi-channel fulfilment).
    elsewhere: bool = False
    versions: list[Order] = field(default_factory=list)

    def item(self, order_item_id: str) -> Item | None:
        """Return the item of this id, or None."""
        return next((item for item in self.items if item.order_item_id == order_item_id), None)

    def snapshot(self) -> Order:
        """Return a copy that later changes leave alone."""
        return replace(self, items=[replace(item) for item in self.items], packages=dict(self.packages), versions=[])

    def as_of(self, instant: datetime) -> Order | None:
        """Return the order as it stood at `instant`, or None if it did not exist."""
        if self.updated_at <= instant:
            return self
        return next((each for each in reversed(self.versions) if each.updated_at <= instant), None)


class Book:
    """All orders of the seller. `changed(order, change_type, reason)` is called after every change."""

    def __init__(self, world: World, shelf: Shelf, switches: Mapping[str, object]) -> None:
        self.world = world
        self.shelf = shelf
        self.switches = switches
        self.rng: random.Random = world.rng("amazon:orders")
        self.orders: dict[str, Order] = {}
        self.sales: dict[str, Sale] = {}
        self.changed: Callable[[Order, str, str], None] = lambda order, change_type, reason: None
        self._relay: dict[str, str] = {}

    # Buyers

    def checkout(self, buyer: Buyer, lines: Mapping[str, int]) -> Sale | None:
        """Place one order if every line is shown in full; None if not. FBA lines become an order of their own.

        The live quantity falls at once. Orders of Amazon's own stock are not in `world.sales`: no shelf of ours moved.
        """
        listings = self.shelf.listings
        wanted = {sku: pieces for sku, pieces in lines.items() if pieces > 0}
        if not wanted or any(sku not in listings or listings[sku].buyable_pieces < n for sku, n in wanted.items()):
            return None
        where = MARKETPLACES[self.rng.choice(self.shelf.marketplace_ids)]
        if any(self.shelf.price_minor(listings[sku], where.id) is None for sku in wanted):
            return None
        sale: Sale | None = None
        for by_amazon in (True, False):
            mine = {sku: n for sku, n in wanted.items() if listings[sku].by_amazon is by_amazon}
            if mine:
                sale = self._place(buyer, mine, where, by_amazon)
        return sale

    def _place(self, buyer: Buyer, lines: Mapping[str, int], where: Marketplace, by_amazon: bool) -> Sale:
        now = self.world.clock.now()
        items = [self._item(self.shelf.listings[sku], pieces, where) for sku, pieces in lines.items()]
        if not by_amazon and self.rng.random() < 0.4:
            items[0].shipping_minor = 499
            items[0].shipping_tax_minor = self._tax(499, where)
        items[0].gift = self._strikes("gift_chance")
        number = f"PO-{self.rng.randint(1000, 9999)}" if self._strikes("business_chance") else None
        order = Order(
            order_id=self._order_id(),
            business=(f"{buyer.name} Ltd", number) if number else None,
            marketplace=where,
            created_at=now,
            updated_at=now,
            status=PENDING,
            by_amazon=by_amazon,
            buyer=buyer,
            relay_email=self._relay_email(buyer, where),
            items=items,
            ship_by=(now, now + timedelta(days=2)),
            deliver_by=(now + timedelta(days=3), now + timedelta(days=7)),
            listed=self.rng.random() >= self._chance("list_miss_chance"),
        )
        for sku, pieces in lines.items():
            if by_amazon:
                self.shelf.listings[sku].fba_stock -= pieces
            else:
                self.shelf.move_live(sku, -pieces)
        return self._enter(order)

    def _chance(self, switch: str) -> float:
        return float(str(self.switches[switch]))

    def _strikes(self, switch: str) -> bool:
        """Roll; nothing is drawn where the chance is 0, so that a world without it stays as it was."""
        chance = self._chance(switch)
        return chance > 0 and self.rng.random() < chance

    def sell_elsewhere(self, buyer: Buyer, sku: str, pieces: int) -> Order:
        """The seller lets Amazon send pieces of its stock for a sale of another channel. Raises ValueError if there are too few."""
        listing = self.shelf.listings[sku]
        if not listing.by_amazon or listing.fba_stock < pieces:
            raise ValueError(f"Amazon does not have {pieces} of {sku} in its own stock")
        sale = self._place(buyer, {sku: pieces}, MARKETPLACES[self.shelf.marketplace_ids[0]], True)
        self.orders[sale.order_id].elsewhere = True
        return self.orders[sale.order_id]

    def _enter(self, order: Order) -> Sale:
        lines: dict[str, int] = {}
        for item in order.items:
            lines[item.sku] = lines.get(item.sku, 0) + item.quantity
        sale = Sale("amazon", order.order_id, order.created_at, lines, order.buyer.key)
        self.orders[order.order_id] = order
        self.sales[order.order_id] = sale
        if not order.by_amazon:
            self.world.sales.append(sale)
        self.world.note("amazon", "order_placed", order=order.order_id, lines=lines, by_amazon=order.by_amazon)
        if self.switches["notify_on_placement"]:
            self.changed(order, "OrderStatusChange", "New Order")
        self._plan_payment(order)
        return sale

    def _item(self, listing: Listing, pieces: int, where: Marketplace) -> Item:
        unit = self.shelf.price_minor(listing, where.id) or 0
        discount = unit * pieces // 10 if self.rng.random() < float(str(self.switches["promotion_chance"])) else 0
        item_id = "".join(self.rng.choices("0123456789", k=14))  # may begin with 0: it is text
        return Item(
            item_id, listing.sku, listing.asin or "", listing.title, pieces, unit,
            tax_minor=self._tax(unit * pieces - discount, where), discount_minor=discount,
        )  # fmt: skip

    def _tax(self, minor: int, where: Marketplace) -> int:
        if where.tax_included:
            return 0
        return (minor * int(str(self.switches["tax_basis_points"])) + 5_000) // 10_000

    def _order_id(self) -> str:
        while True:
            order_id = f"{self.rng.randint(100, 119)}-{self.rng.randrange(10**7):07d}-{self.rng.randrange(10**7):07d}"
            if order_id not in self.orders:
                return order_id

    def _relay_email(self, buyer: Buyer, where: Marketplace) -> str:
        domain = where.domain.removeprefix("amazon.")
        relay = self._relay.setdefault(
            buyer.key, "".join(self.rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=15))
        )
        return f"{relay}@marketplace.amazon.{domain}"

    # Payment

    def _plan_payment(self, order: Order) -> None:
        draw = self.rng.random()
        wait_s = float(str(self.switches["pending_s"]))
        fails = draw < float(str(self.switches["pending_cancel_chance"]))
        if draw > 1 - float(str(self.switches["slow_payment_chance"])):
            wait_s = self.rng.uniform(6 * 3600, 3 * 86_400)  # payment checks can take up to 21 days
        by = "BUYER" if fails and self.rng.random() < 0.5 else "AMAZON"

        def settle() -> None:
            if order.status != PENDING:
                return
            if fails:
                self.cancel(order, by, "BuyerCanceled" if by == "BUYER" else "PaymentFailed", gives_back=True)
            else:
                self.pay(order)

        self.world.clock.after(wait_s, settle)

    def pay(self, order: Order) -> None:
        """PENDING becomes UNSHIPPED."""
        if order.status != PENDING:
            raise ValueError(f"order {order.order_id} is {order.status}, only PENDING can be paid")
        with _change(self, order):
            order.status = UNSHIPPED
        self.sales[order.order_id].paid_at = order.updated_at
        self.world.note("amazon", "order_paid", order=order.order_id)
        self.changed(order, "OrderStatusChange", "Payment Complete")

        def give_up() -> None:  # Amazon cancels what is not confirmed 7 business days after the ship-by date
            if order.status == UNSHIPPED and not order.by_amazon:
                self.cancel(order, "AMAZON", "NotShippedInTime", gives_back=False)

        self.world.clock.after(float(str(self.switches["auto_cancel_s"])), give_up)
        if order.by_amazon:
            self.world.clock.after(12 * 3600, lambda: self._amazon_ships(order))

    def _amazon_ships(self, order: Order) -> None:
        if order.status == UNSHIPPED:
            with _change(self, order):
                order.status = SHIPPED
                for item in order.items:
                    item.shipped = item.quantity
            self.changed(order, "OrderStatusChange", "Order Shipped")

    # Cancels

    def cancel(self, order: Order, by: str, reason: str, *, gives_back: bool, only: set[str] | None = None) -> None:
        """Cancel the open pieces of an order, or of the items in `only`. `gives_back`: the live quantity rises again.

        Raises ValueError where nothing can be cancelled.
        """
        items = [item for item in order.items if item.open_pieces and (only is None or item.order_item_id in only)]
        if order.status in (SHIPPED, CANCELLED) or not items:
            raise ValueError(f"order {order.order_id} is {order.status}: nothing left to cancel")
        with _change(self, order):
            for item in items:
                pieces = item.open_pieces
                item.cancelled_by, item.cancel_reason = by, reason
                if gives_back and not order.by_amazon:
                    self.shelf.move_live(item.sku, pieces)
                elif gives_back and item.sku in self.shelf.listings:
                    self.shelf.listings[item.sku].fba_stock += pieces
            self._settle_status(order)
        if order.status == CANCELLED:
            self.sales[order.order_id].cancelled_at = order.updated_at
        self.world.note("amazon", "order_cancelled", order=order.order_id, by=by, reason=reason, status=order.status,
                        items=[item.order_item_id for item in items], gives_back=gives_back)  # fmt: skip
        self.changed(order, "OrderStatusChange", "Order Canceled")

    def request_cancel(self, order: Order, reason: str) -> None:
        """The buyer asks for a cancel. While PENDING it happens at once, later it is only a request."""
        if order.status == PENDING:
            self.cancel(order, "BUYER", reason, gives_back=True)
            return
        if order.status != UNSHIPPED:
            raise ValueError(f"order {order.order_id} is {order.status}: the buyer can no longer ask for a cancel")
        with _change(self, order):
            for item in order.items:
                item.cancel_requested = reason
        self.world.note("amazon", "cancel_requested", order=order.order_id)
        self.changed(order, "BuyerRequestedChange", "Buyer Requested Cancel")

    # Parcels

    def confirm(self, order: Order, package: Package) -> None:
        """Enter a parcel; the same reference edits the earlier one. The caller has checked the pieces."""
        with _change(self, order):
            earlier = order.packages.pop(package.reference, None)
            sale = self.sales[order.order_id]
            for parcel, sign in ((earlier, -1), (package, 1)):
                for order_item_id, pieces in parcel.pieces.items() if parcel else ():
                    item = order.item(order_item_id)
                    assert item
                    item.shipped += sign * pieces
                    sale.shipped[item.sku] = sale.shipped.get(item.sku, 0) + sign * pieces
            order.packages[package.reference] = package
            self._settle_status(order)
        self.world.note("amazon", "shipment_confirmed", order=order.order_id, reference=package.reference,
                        pieces=package.pieces, edit=earlier is not None)  # fmt: skip
        self.changed(order, "OrderStatusChange", "Order Shipped")

    def acknowledge(self, order: Order, seller_order_id: str | None) -> None:
        """Tie the seller's own order number to the order."""
        with _change(self, order):
            order.seller_order_id = seller_order_id

    def replace_order(self, order: Order) -> Sale:
        """The buyer gets a free replacement: a new order at price 0 that still takes stock."""
        now = self.world.clock.now()
        items = [
            replace(item, order_item_id="".join(self.rng.choices("0123456789", k=14)), unit_minor=0, tax_minor=0,
                    shipping_minor=0, shipping_tax_minor=0, discount_minor=0, shipped=0, cancel_requested=None,
                    cancelled_by=None, cancel_reason=None)
            for item in order.items
        ]  # fmt: skip
        again = replace(
            order.snapshot(), order_id=self._order_id(), created_at=now, updated_at=now, status=PENDING, items=items,
            packages={}, replaces=order.order_id, ship_by=(now, now + timedelta(days=2)), seller_order_id=None,
            deliver_by=(now + timedelta(days=3), now + timedelta(days=7)),
        )  # fmt: skip
        for item in items:
            self.shelf.move_live(item.sku, -item.quantity)
        return self._enter(again)

    def _settle_status(self, order: Order) -> None:
        if all(item.cancelled_by and not item.shipped for item in order.items):
            order.status = CANCELLED
        elif not any(item.open_pieces for item in order.items):
            order.status = SHIPPED
        elif any(item.shipped for item in order.items):
            order.status = PARTIALLY_SHIPPED
        elif order.status != PENDING:
            order.status = UNSHIPPED


class _change:
    """Keeps the earlier state of an order and moves its `updated_at`."""

    def __init__(self, book: Book, order: Order) -> None:
        self.book, self.order = book, order

    def __enter__(self) -> None:
        self.order.versions.append(self.order.snapshot())
        del self.order.versions[:-VERSIONS_MAX]

    def __exit__(self, *failure: object) -> None:
        # Strictly later than before, so that two changes of one instant are two states.
        earliest = self.order.updated_at + timedelta(milliseconds=1)
        self.order.updated_at = max(self.book.world.clock.now(), earliest)
