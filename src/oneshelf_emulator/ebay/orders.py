"""What happens to an order at eBay: checked out (or not yet paid, and hidden), confirmed, shipped, refunded.

In: a buyer's basket; the seller's hand; the clock. Out: orders, sales in the world, ORDER_CONFIRMATION.
Never: answers HTTP; cancels (cancellations.py does).
Source: Sell Fulfillment 1.20.6 (order and fulfillment texts), read 2026-11; contracts sheet ebay 5, 6, 10, 12.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..world import Buyer, Sale, World
from .seller import Offer, Seller


@dataclass
class Line:
    line_item_id: str
    offer_id: str
    listing_id: str
    variation_id: str | None
    sku: str
    title: str
    aspects: dict[str, str]
    quantity: int
    unit_minor: int

    @property
    def cost_minor(self) -> int:
        return self.unit_minor * self.quantity


@dataclass
class Fulfillment:
    fulfillment_id: str
    lines: dict[str, int]
    shipped_at: datetime
    carrier: str | None
    tracking: str | None


@dataclass
class Refund:
    refund_id: str
    amount_minor: int
    created_at: datetime
    line_item_id: str | None
    status: str = "PENDING"


@dataclass
class Order:
    """One order. `visible_at` None: an unpaid checkout that no call shows."""

    order_id: str
    legacy_order_id: str
    buyer: Buyer
    username: str
    email: str
    lines: list[Line]
    currency: str
    delivery_minor: int
    tax_minor: int
    created_at: datetime
    modified_at: datetime
    visible_at: datetime | None = None
    paid_at: datetime | None = None
    payment_status: str = "PENDING"
    cancel_state: str = "NONE_REQUESTED"
    cancelled_at: datetime | None = None
    is_gone: bool = False  # a checkout that was never paid
    hub_reference: str | None = None  # sent through eBay's hub, by its international programme
    fulfillments: list[Fulfillment] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)

    @property
    def goods_minor(self) -> int:
        return sum(line.cost_minor for line in self.lines)

    @property
    def total_minor(self) -> int:
        return self.goods_minor + self.delivery_minor

    @property
    def refunded_minor(self) -> int:
        return sum(refund.amount_minor for refund in self.refunds)

    def shipped_units(self, line_item_id: str) -> int:
        return sum(parcel.lines.get(line_item_id, 0) for parcel in self.fulfillments)

    def line_status(self, line: Line) -> str:
        """FULFILLED as soon as any unit of the line is in a fulfillment."""
        return "FULFILLED" if self.shipped_units(line.line_item_id) else "NOT_STARTED"

    def status(self) -> str:
        states = {self.line_status(line) for line in self.lines}
        return states.pop() if len(states) == 1 else "IN_PROGRESS"


class Orders:
    """The order desk of one seller."""

    def __init__(self, world: World, seller: Seller, rng: random.Random, switches: Mapping[str, Any]) -> None:
        self.world = world
        self.seller = seller
        self.rng = rng
        self.switches = switches
        self.orders: dict[str, Order] = {}
        self.by_legacy: dict[str, Order] = {}
        self.sales: dict[str, Sale] = {}  # by legacy order id, which never changes
        self.confirmed: Callable[[Order], None] = lambda order: None  # set by the emulator: sends notifications
        self._people: dict[str, tuple[str, str]] = {}
        self._line_ids = 6_254_000_000 + rng.randrange(400_000)

    def checkout(self, buyer: Buyer, lines: Mapping[str, int]) -> Sale | None:
        """Place an order, or return None if one of the lines is not shown in that quantity.

        Item and offer quantities fall here, before any call shows the order and before any notification.
        """
        picks = [(self.seller.best_offer(sku), pieces) for sku, pieces in lines.items()]
        offers = [(offer, pieces) for offer, pieces in picks if offer and 0 < pieces <= self.seller.shown_by(offer)]
        if not lines or len(offers) != len(lines):
            return None
        order = self._order(buyer, [self._line(offer, pieces) for offer, pieces in offers])
        for offer, pieces in offers:
            self.seller.take(offer, pieces)
        unpaid = self.rng.random() < float(self.switches["unpaid_share"])
        if unpaid:
            order.order_id = order.legacy_order_id  # another one when the buyer pays
        self.orders[order.order_id] = self.by_legacy[order.legacy_order_id] = order
        sale = Sale("ebay", order.order_id, order.created_at, dict(lines), buyer.key)
        self.sales[order.legacy_order_id] = sale
        self.world.sales.append(sale)
        self.world.note("ebay", "sold", order_id=order.order_id, lines=sale.lines)
        if unpaid:
            lapses = self.rng.random() < float(self.switches["lapse_share"])
            self.world.clock.after(
                float(self.switches["unpaid_s"]), lambda: self.lapse(order) if lapses else self.pay_checkout(order)
            )
        else:
            self._confirm(order)
        return sale

    def pay_checkout(self, order: Order) -> None:
        """The buyer pays a checkout that was hidden: the order appears under a new id. Nothing if it is not hidden."""
        if order.visible_at is not None or order.is_gone:
            return
        del self.orders[order.order_id]
        order.order_id = self._order_id()
        self.orders[order.order_id] = order
        sale = self.sales[order.legacy_order_id]
        self.world.note("ebay", "order_id_changed", before=sale.order_id, after=order.order_id)
        sale.order_id = order.order_id
        self._confirm(order)

    def lapse(self, order: Order) -> None:
        """The buyer never pays a hidden checkout: it never appears. Stock comes back only by the switch."""
        if order.visible_at is not None or order.is_gone:
            return
        order.is_gone, order.cancelled_at = True, self.world.clock.now()
        if self.switches["restock_on_lapse"]:
            self.restock(order)
        self.sales[order.legacy_order_id].cancelled_at = order.cancelled_at
        self.world.note("ebay", "cancelled", order_id=order.order_id, restock=bool(self.switches["restock_on_lapse"]))

    def visible(self) -> list[Order]:
        """Return the orders that calls show at this moment, oldest first."""
        now = self.world.clock.now()
        found = [order for order in self.orders.values() if order.visible_at and order.visible_at <= now]
        return sorted(found, key=lambda order: (order.created_at, order.order_id))

    def find(self, order_id: str) -> Order | None:
        """Return a visible order by its id or its legacy id."""
        now = self.world.clock.now()
        order = self.orders.get(order_id) or self.by_legacy.get(order_id)
        return order if order and order.visible_at and order.visible_at <= now else None

    def touch(self, order: Order) -> None:
        order.modified_at = self.world.clock.now()

    def ship(
        self, order: Order, lines: Mapping[str, int], *, carrier: str | None, tracking: str | None, at: datetime
    ) -> str:
        """Add a fulfillment and return its id: the tracking number, or an arbitrary one."""
        parcel = Fulfillment(tracking or str(999 + len(order.fulfillments)), dict(lines), at, carrier, tracking)
        order.fulfillments.append(parcel)
        if self.switches["shipment_moves_modified"]:
            self.touch(order)
        sale = self.sales[order.legacy_order_id]
        for line in order.lines:
            pieces = lines.get(line.line_item_id, 0)
            if pieces:
                sale.shipped[line.sku] = sale.shipped.get(line.sku, 0) + pieces
        return parcel.fulfillment_id

    def refund(self, order: Order, amount_minor: int, line_item_id: str | None = None) -> Refund:
        """Start a refund. It is PENDING now and REFUNDED after `refund_s`; the payment status follows then."""
        refund = Refund(
            str(self.rng.randrange(5_000_000_000, 6_000_000_000)), amount_minor, self.world.clock.now(), line_item_id
        )
        order.refunds.append(refund)
        self.touch(order)

        def settle() -> None:
            refund.status = "REFUNDED"
            whole = order.refunded_minor >= order.total_minor
            order.payment_status = "FULLY_REFUNDED" if whole else "PARTIALLY_REFUNDED"
            self.touch(order)

        self.world.clock.after(float(self.switches["refund_s"]), settle)
        return refund

    def restock(self, order: Order) -> None:
        for line in order.lines:
            self.seller.give_back(line.offer_id, line.quantity)

    def _confirm(self, order: Order) -> None:
        """The checkout is complete: payment now or soon, visible after the lag, notified after its delay."""
        now = self.world.clock.now()
        order.visible_at = now + timedelta(seconds=self.world.clock.shortened(float(self.switches["order_lag_s"])))
        order.modified_at = now
        if self.rng.random() < float(self.switches["payment_pending_share"]):
            self.world.clock.after(float(self.switches["payment_pending_s"]), lambda: self.pay(order))
        else:
            self.pay(order)
        self.world.clock.after(float(self.switches["notification_delay_s"]), lambda: self.confirmed(order))

    def pay(self, order: Order) -> None:
        """The payment clears. Nothing if it already has, or if the order is cancelled."""
        if order.payment_status != "PENDING" or order.cancelled_at:
            return
        order.payment_status, order.paid_at = "PAID", self.world.clock.now()
        self.touch(order)
        self.sales[order.legacy_order_id].paid_at = order.paid_at

    def _line(self, offer: Offer, pieces: int) -> Line:
        listing, item = self.seller.listings[offer.listing_id or ""], self.seller.items[offer.sku]
        self._line_ids += self.rng.randrange(1, 9)
        aspects = (item.product or {}).get("aspects", {}) if offer.variation_id else {}
        return Line(
            line_item_id=str(self._line_ids),
            offer_id=offer.offer_id,
            listing_id=listing.listing_id,
            variation_id=offer.variation_id,
            sku=offer.sku,
            title=listing.title,
            aspects={name: ", ".join(values) for name, values in aspects.items()},
            quantity=pieces,
            unit_minor=offer.price_minor,
        )

    def _order(self, buyer: Buyer, lines: list[Line]) -> Order:
        now = self.world.clock.now()
        username, email = self._person(buyer)
        offer = self.seller.offers[lines[0].offer_id]
        goods = sum(line.cost_minor for line in lines)
        return Order(
            order_id=self._order_id(),
            legacy_order_id=f"{lines[0].listing_id}-{self.rng.randrange(1_000_000_000, 3_000_000_000)}",
            buyer=buyer,
            username=username,
            email=email,
            lines=lines,
            currency=offer.currency,
            delivery_minor=int(self.switches["delivery_minor"]),
            tax_minor=goods * 8 // 100 if buyer.address.country == "US" else 0,
            created_at=now,
            modified_at=now,
        )

    def _order_id(self) -> str:
        while True:
            middle, last = self.rng.randrange(10_000, 99_999), self.rng.randrange(10_000, 99_999)
            order_id = f"{self.rng.randrange(10, 30)}-{middle}-{last}"
            if order_id not in self.orders:
                return order_id

    def _person(self, buyer: Buyer) -> tuple[str, str]:
        """Return the member name (or immutable id) and relay address of a person: the same on every order."""
        if buyer.key not in self._people:
            word = "".join(self.rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=8))
            name = word if self.switches["immutable_usernames"] else f"{buyer.key[:12]}_{word[:4]}"
            self._people[buyer.key] = (name, f"{word}{self.rng.getrandbits(24):06x}@members.ebay.com")
        return self._people[buyer.key]
