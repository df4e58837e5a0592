"""Booked orders, told to the room of customers as it sees them: who bought, and what it counts.

In: a batch that was written. Out: `BoughtOrder`s. Never: decides whose an order is.
"""

from __future__ import annotations

from collections.abc import Sequence

from oneshelf.core.purchase import purchase
from oneshelf.customers import matching
from oneshelf.customers.bought import BoughtOrder

from .batch import Batch, Heard
from .rows import OrderRow, load_orders_by_no


def follow_buyers(batch: Batch, heard: Sequence[Heard]) -> None:
    """Match and count every order that this batch changed, in the order in which it was heard."""
    changed = dict.fromkeys(batch.dirty_orders)
    changed |= dict.fromkeys(order_no for order_no, _, _ in batch.dirty_lines)
    by_no = {order.order_no: order for order in batch.orders.values()}
    copies = _copies(batch, heard)
    # A hub order that turns out to be the copy of an order that is only now heard of: it counted, and does no more.
    by_no |= load_orders_by_no(batch.tx, batch.tenant_id, copies.keys() - by_no.keys())
    orders = [by_no[order_no] for order_no in dict.fromkeys([*changed, *copies]) if order_no in by_no]
    matching.follow(batch.tx, batch.tenant_id, [_bought(batch, order, copies) for order in orders], batch.now)


def _copies(batch: Batch, heard: Sequence[Heard]) -> dict[int, int]:
    """{hub order: the marketplace order that it copies} as far as this batch knows, whichever of the two was heard first."""
    found: dict[int, int] = {}
    for h in heard:
        order = batch.orders[(h.account_id, h.order.order_id)]
        if batch.accounts[h.account_id].is_hub:
            named = batch.copied_order(h)
            source = None if named is None else batch.orders.get(named)
            if source is not None:
                found[order.order_no] = source.order_no
        elif (by := batch.named_by(batch.accounts[h.account_id], h.order.order_id)) is not None:
            found[by[0]] = order.order_no
    return found


def _bought(batch: Batch, order: OrderRow, copies: dict[int, int]) -> BoughtOrder:
    wanted: dict[str, int] = {}
    for (line_id, _), line in batch.lines.get(order.order_no, {}).items():
        wanted[line_id] = wanted.get(line_id, 0) + line.ordered - line.cancelled
    counts = purchase(
        payment=order.payment,
        currency=order.currency,
        total_minor=order.total_minor,
        document=batch.documents.get(order.order_no, order.document),
        wanted=wanted,
    )
    return BoughtOrder(
        order_no=order.order_no,
        channel=str(batch.accounts[order.account_id].channel),
        placed_at=order.placed_at,
        person=order.person,
        copy_of=copies.get(order.order_no) or order.copy_of_order_no or 0,
        purchase=counts,
    )
