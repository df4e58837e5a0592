"""Cancelling at eBay: whole orders, never after a parcel, refund by itself, no stock back unless it is relisted.

In: a seller's or a buyer's wish. Out: cases that go their way on the clock; the order's cancelState follows.
Never: answers HTTP.
Source: Post-Order v2 cancellation (create, approve, reject, get, search), 2.10.0; contracts sheet ebay 11.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..world import World
from .orders import Order, Orders
from .refused import PostOrderRefused

SELLER_REASONS = frozenset({"OUT_OF_STOCK_OR_CANNOT_FULFILL", "BUYER_ASKED_CANCEL", "ADDRESS_ISSUES"})
OPEN = frozenset({"CANCEL_REQUESTED", "CANCEL_PENDING"})


@dataclass
class Cancellation:
    """One case. `status` and `state` in the words of Post-Order; `relist`: all pieces go back on sale."""

    cancel_id: str
    legacy_order_id: str
    requestor: str
    reason: str
    requested_at: datetime
    state: str
    status: str
    relist: bool = False
    closed_at: datetime | None = None


class Cancellations:
    """The cancellation cases of one seller."""

    def __init__(self, world: World, orders: Orders, rng: random.Random, switches: Mapping[str, Any]) -> None:
        self.world = world
        self.orders = orders
        self.rng = rng
        self.switches = switches
        self.cases: dict[str, Cancellation] = {}

    def of(self, order: Order) -> list[Cancellation]:
        return [case for case in self.cases.values() if case.legacy_order_id == order.legacy_order_id]

    def why_not(self, order: Order) -> str | None:
        """Return why the order cannot be cancelled, or None."""
        if order.cancelled_at:
            return "The order is already cancelled."
        if order.fulfillments:
            return "The order has been shipped and cannot be cancelled."
        if any(case.status in OPEN for case in self.of(order)):
            return "A cancellation request already exists for this order."
        if order.refunds:
            return "The order was refunded and cannot be cancelled."
        return None

    def create(self, order: Order, *, reason: str, relist: bool) -> Cancellation:
        """The seller cancels. Raises PostOrderRefused."""
        obstacle = self.why_not(order)
        if obstacle:
            raise PostOrderRefused(1616, obstacle, about={"legacyOrderId": order.legacy_order_id})
        case = self._open(order, "SELLER", reason, "CANCEL_PENDING", "REFUND_PENDING")
        case.relist = relist
        self._carry_out(case, order)
        return case

    def request(self, order: Order, *, reason: str) -> Cancellation:
        """The buyer asks. Raises PostOrderRefused."""
        obstacle = self.why_not(order)
        if obstacle:
            raise PostOrderRefused(1616, obstacle, about={"legacyOrderId": order.legacy_order_id})
        return self._open(order, "BUYER", reason, "CANCEL_REQUESTED", "APPROVAL_PENDING")

    def approve(self, case: Cancellation, *, relist: bool = False) -> None:
        """The seller agrees to a buyer's wish. Raises PostOrderRefused."""
        order = self._waiting(case)
        case.status, case.state, case.relist = "CANCEL_PENDING", "REFUND_PENDING", relist
        self._carry_out(case, order)

    def reject(self, case: Cancellation) -> None:
        """The seller refuses a buyer's wish. Raises PostOrderRefused."""
        order = self._waiting(case)
        case.status, case.state, case.closed_at = "CANCEL_REJECTED", "CLOSED", self.world.clock.now()
        order.cancel_state = "NONE_REQUESTED"
        self.orders.touch(order)

    def order_of(self, case: Cancellation) -> Order:
        return self.orders.by_legacy[case.legacy_order_id]

    def _waiting(self, case: Cancellation) -> Order:
        if case.status != "CANCEL_REQUESTED":
            raise PostOrderRefused(
                1617, "The cancellation is not waiting for approval.", about={"cancelId": case.cancel_id}
            )
        return self.order_of(case)

    def _open(self, order: Order, requestor: str, reason: str, status: str, state: str) -> Cancellation:
        cancel_id = str(5_000_000_001 + len(self.cases))
        now = self.world.clock.now()
        case = Cancellation(cancel_id, order.legacy_order_id, requestor, reason, now, state, status)
        self.cases[cancel_id] = case
        order.cancel_state = "IN_PROGRESS"
        self.orders.touch(order)
        return case

    def _carry_out(self, case: Cancellation, order: Order) -> None:
        """Refund what was paid; after `refund_s` the case is closed and the order is CANCELED."""
        if order.paid_at:
            case.state = "REFUND_INITIATED"
            self.orders.refund(order, order.total_minor - order.refunded_minor)
        self.world.clock.after(float(self.switches["refund_s"]), lambda: self._close(case, order))

    def _close(self, case: Cancellation, order: Order) -> None:
        now = self.world.clock.now()
        case.state, case.closed_at = "CLOSED", now
        case.status = "CANCEL_CLOSED_WITH_REFUND" if order.paid_at else "CANCEL_CLOSED_NO_REFUND"
        order.cancel_state, order.cancelled_at = "CANCELED", now
        if order.payment_status == "PENDING":
            order.payment_status = "FAILED"
        if case.relist:
            self.orders.restock(order)
        self.orders.touch(order)
        self.orders.sales[order.legacy_order_id].cancelled_at = now
        self.world.note("ebay", "cancelled", order_id=order.order_id, restock=case.relist)
