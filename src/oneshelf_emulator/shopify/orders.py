"""What happens to stock and money when an order is placed, cancelled or refunded.

In: complete order records, decided cancellations and refunds (checked by the callers).
Out: postings in the ledger, fulfilment orders, webhooks.
Source: contracts sheet shopify sections 5, 8, 9, 13; Shopify docs of `orderCreate`, `orderCancel`, `refundCreate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import payloads
from .inventory import Move
from .money import Bag
from .order_records import FulfillmentOrder, LineItem, Order, Refund, RefundLine, Transaction, WorkLine
from .records import Customer, InventoryItem, Location

if TYPE_CHECKING:
    from .shop import Shopify

BYPASS, OBEYING, IGNORING = "BYPASS", "DECREMENT_OBEYING_POLICY", "DECREMENT_IGNORING_POLICY"


@dataclass(frozen=True)
class Share:
    """`pieces` of a line go out from `location`, `claimed` of them out of its stock."""

    line: LineItem
    location: Location
    pieces: int
    claimed: int


# -- which location serves what -----------------------------------------------------------------------------------


def route(shop: Shopify, lines: Sequence[LineItem], behaviour: str) -> list[Share] | None:
    """Share out the pieces of an order's lines; None if stock is short and the policy has to be obeyed.

    One location for the whole order if one has it all, else one for each line, else pieces from several; what no
    location has goes to the first and takes its `available` below 0. Which location really claims is not known [U].
    """
    places = shop.selling_locations()
    left = {
        (line.variant.inventory_item, place): _available(line.variant.inventory_item, place)
        for line in lines
        if line.variant
        for place in places
    }
    if behaviour == OBEYING and _is_short(lines, places, left):
        return None
    whole = _one_for_all(lines, places, left)
    shares: list[Share] = []
    for line in lines:
        claims = behaviour != BYPASS and line.variant is not None and line.variant.inventory_item.tracked
        if not claims or line.variant is None:
            shares.append(Share(line, whole or places[0], line.quantity, 0))
            continue
        for place, pieces in _places_for(line.variant.inventory_item, line.quantity, whole, places, left):
            left[(line.variant.inventory_item, place)] -= pieces
            shares.append(Share(line, place, pieces, pieces))
    return shares


def _available(item: InventoryItem, place: Location) -> int:
    level = item.levels.get(place.id)
    return level.quantity("available") if level is not None and level.is_active else 0


def _is_short(
    lines: Sequence[LineItem], places: list[Location], left: dict[tuple[InventoryItem, Location], int]
) -> bool:
    wanted: dict[InventoryItem, int] = {}
    for line in lines:
        if line.variant and line.variant.inventory_item.tracked and line.variant.inventory_policy == "DENY":
            item = line.variant.inventory_item
            wanted[item] = wanted.get(item, 0) + line.quantity
    return any(sum(left[(item, place)] for place in places) < pieces for item, pieces in wanted.items())


def _one_for_all(
    lines: Sequence[LineItem], places: list[Location], left: dict[tuple[InventoryItem, Location], int]
) -> Location | None:
    wanted: dict[InventoryItem, int] = {}
    for line in lines:
        if line.variant and line.variant.inventory_item.tracked:
            item = line.variant.inventory_item
            wanted[item] = wanted.get(item, 0) + line.quantity
    for place in places:
        if all(left[(item, place)] >= pieces for item, pieces in wanted.items()):
            return place
    return None


def _places_for(
    item: InventoryItem,
    pieces: int,
    whole: Location | None,
    places: list[Location],
    left: dict[tuple[InventoryItem, Location], int],
) -> list[tuple[Location, int]]:
    if whole is not None:
        return [(whole, pieces)]
    for place in places:
        if left[(item, place)] >= pieces:
            return [(place, pieces)]
    result: dict[Location, int] = {}
    for place in sorted(places, key=lambda each: -left[(item, each)]):
        part = min(pieces, max(0, left[(item, place)]))
        if part:
            result[place] = part
            pieces -= part
    if pieces:
        stocked = [place for place in places if place.id in item.levels]
        first = next(iter(result), None) or (stocked or places)[0]
        result[first] = result.get(first, 0) + pieces
    return list(result.items())


# -- placing ---------------------------------------------------------------------------------------------------------


def place(shop: Shopify, order: Order, shares: Sequence[Share]) -> Order:
    """Put an order into the books: claim its stock, make its fulfilment orders, tell the world."""
    store = shop.store
    store.add(order)
    by_place: dict[Location, FulfillmentOrder] = {}
    moves: list[Move] = []
    for share in shares:
        work = by_place.get(share.location)
        if work is None:
            number, now = store.new_id("FulfillmentOrder"), store.now()
            work = by_place[share.location] = store.add(FulfillmentOrder(number, order, share.location, now, now))
            order.fulfillment_orders.append(work)
        number = store.new_id("FulfillmentOrderLineItem")
        work.lines.append(store.add(WorkLine(number, share.line, share.pieces, share.pieces, share.claimed)))
        if share.claimed and share.line.variant:
            level = shop.ledger.level(share.line.variant.inventory_item, share.location, active=False)
            moves += [Move(level, "available", -share.claimed), Move(level, "committed", share.claimed)]
    shop.ledger.post(moves, reason="reservation_created")
    for record in (*order.line_items, *order.transactions, *order.shipping_lines, *order.metafields):
        store.add(record)
    for line in order.line_items:
        line.order = order
    for metafield in order.metafields:
        shop.orders_by_metafield[(metafield.namespace, metafield.key, metafield.value)] = order
    if order.customer is not None:
        order.customer.orders.append(order)
    shop.index.touch(order)
    event_id = store.new_uuid()
    for topic in ("orders/create", *(["orders/paid"] if order.fully_paid else [])):
        shop.webhooks.emit(topic, order.gid, lambda: payloads.order(order), event_id=event_id)
    if shop.switches["orders_updated_on_create"]:
        shop.webhooks.emit("orders/updated", order.gid, lambda: payloads.order(order), event_id=event_id)
    shop.later(float(shop.switches["routing_delay_s"]), lambda: routed(shop, order))  # type: ignore[arg-type]
    return order


def routed(shop: Shopify, order: Order) -> None:
    """Routing has run: from now on the fulfilment orders can be seen."""
    for work in order.fulfillment_orders:
        if not work.shown:
            work.shown = True
            shop.webhooks.emit(
                "fulfillment_orders/order_routing_complete",
                work.gid,
                lambda work=work: {"fulfillment_order": payloads.fulfillment_order(work)},  # type: ignore[misc]
            )


def changed(shop: Shopify, order: Order, *topics: str, event_id: str | None = None) -> None:
    """Note that an order changed: its time stamp, search, `topics` and orders/updated."""
    order.updated_at = shop.store.now()
    all_sent = order.display_fulfillment_status == "FULFILLED"
    if shop.switches["auto_archive"] and all_sent and order.fully_paid and order.closed_at is None:
        order.closed_at = order.updated_at
    shop.index.touch(order)
    for topic in (*topics, "orders/updated"):
        shop.webhooks.emit(topic, order.gid, lambda: payloads.order(order), event_id=event_id)


def customer_changed(shop: Shopify, customer: Customer, topic: str) -> None:
    customer.updated_at = shop.store.now()
    shop.index.touch(customer)
    shop.webhooks.emit(topic, customer.gid, lambda: payloads.customer(customer, shop.currency))


# -- taking pieces off -----------------------------------------------------------------------------------------------


def take_off(
    shop: Shopify, line: LineItem, pieces: int, *, restock: bool, to: Location | None = None, lost: bool = False
) -> list[Move]:
    """Take unsent pieces off a line's fulfilment orders; return what that moves in stock.

    Claimed pieces leave `committed`. With `restock` they come back to `available`, at `to` or where they were
    claimed; without it they leave `on_hand` too. `lost`: not restocked because the location is closed.
    Pieces that were never claimed (BYPASS) move nothing.
    """
    moves: list[Move] = []
    assert line.order is not None
    for work in line.order.fulfillment_orders:
        for work_line in work.lines:
            if work_line.line_item is not line or pieces <= 0:
                continue
            part = min(pieces, work_line.remaining_quantity)
            claimed = min(part, work_line.claimed)
            work_line.remaining_quantity -= part
            work_line.total_quantity -= part
            work_line.claimed -= claimed
            work.updated_at = shop.store.now()
            pieces -= part
            if claimed and line.variant:
                item = line.variant.inventory_item
                moves.append(Move(shop.ledger.level(item, work.location), "committed", -claimed))
                if restock and not lost:
                    moves.append(Move(shop.ledger.level(item, to or work.location), "available", claimed))
    return moves


@dataclass(frozen=True)
class RefundWish:
    """One line of a refund, checked: `pieces` of `line`."""

    line: LineItem
    pieces: int
    restock_type: str
    location: Location | None


def refund(
    shop: Shopify,
    order: Order,
    wishes: Sequence[RefundWish],
    transactions: Sequence[Transaction] = (),
    *,
    note: str | None = None,
    shipping: Bag | None = None,
    lost: bool = False,
    also: Sequence[str] = (),
) -> Refund:
    """Book a refund: pieces off the order, stock by `restock_type`, money by `transactions`."""
    store = shop.store
    now = store.now()
    result = store.add(Refund(store.new_id("Refund"), order, note, now, now, shipping=shipping))
    moves: list[Move] = []
    for wish in wishes:
        moves += _refund_line(shop, result, wish, lost=lost)
    for transaction in transactions:
        store.add(transaction)
        order.transactions.append(transaction)
        result.transactions.append(transaction)
    if transactions:
        order.forced_financial_status = None
    order.refunds.append(result)
    shop.ledger.post(moves, reason="restock")
    event_id = store.new_uuid()
    shop.webhooks.emit("refunds/create", result.gid, lambda: payloads.refund(result), event_id=event_id)
    changed(shop, order, *also, event_id=event_id)
    return result


def _refund_line(shop: Shopify, result: Refund, wish: RefundWish, *, lost: bool) -> list[Move]:
    line, pieces, moves = wish.line, wish.pieces, []
    number = shop.store.new_id("RefundLineItem")
    where, restocked = wish.location, False
    if wish.restock_type == "CANCEL":
        moves = take_off(shop, line, pieces, restock=True, to=wish.location, lost=lost)
        line.removed += pieces
        restocked = any(move.name == "available" for move in moves)
    elif wish.restock_type == "RETURN" and wish.location is not None and line.variant:
        if line.variant.inventory_item.tracked:
            moves = [Move(shop.ledger.level(line.variant.inventory_item, wish.location), "available", pieces)]
        restocked = True
    elif shop.switches["no_restock"] == "removes":
        unsent = min(pieces, line.unfulfilled_quantity)
        moves = take_off(shop, line, unsent, restock=False)
        line.removed += unsent
    if where is None and moves:
        where = moves[0].level.location
    line.refunded += pieces
    place_shown = where if restocked else None
    result.lines.append(shop.store.add(RefundLine(number, line, pieces, wish.restock_type, restocked, place_shown)))
    return moves


def suggested_refund(order: Order, parts: Sequence[tuple[LineItem, int]], shipping: Bag | None) -> dict[str, Any]:
    """What Shopify would give back for these pieces: never more than is left of what was received, spread over the payments that took it,
    the first first. [U]: in which order several payments are used."""
    zero = order.zero
    subtotal = sum((line.net_of(pieces) for line, pieces in parts), zero)
    tax = sum((line.tax_of(pieces) for line, pieces in parts), zero)
    left = (order.total_received_set - order.total_refunded_set).at_least_zero()
    wanted = subtotal + (zero if order.taxes_included else tax) + (shipping or zero)
    amount = wanted if wanted.presentment_money.minor <= left.presentment_money.minor else left
    rest, suggested = amount, []
    for sale in order.transactions:
        if (
            sale.transaction_kind not in ("SALE", "CAPTURE")
            or sale.status != "SUCCESS"
            or not rest.presentment_money.minor
        ):
            continue
        back = sum(
            (t.amount_set for t in order.transactions if t.parent is sale and t.transaction_kind == "REFUND"), zero
        )
        there = (sale.amount_set - back).at_least_zero()
        taken = rest if rest.presentment_money.minor <= there.presentment_money.minor else there
        if taken.presentment_money.minor:
            rest = rest - taken
            suggested.append(
                {
                    "amountSet": taken,
                    "gateway": sale.gateway,
                    "kind": "SUGGESTED_REFUND",
                    "maximumRefundableSet": there,
                    "parentTransaction": sale,
                }
            )
    return {
        "amountSet": amount,
        "maximumRefundableSet": left,
        "subtotalSet": subtotal,
        "suggestedTransactions": suggested,
        "totalTaxSet": tax,
    }


def returnable(line: LineItem) -> int:
    """Return how many sent pieces have not come back yet."""
    return max(0, line.fulfilled - (line.refunded - line.removed))


def money_back(shop: Shopify, order: Order) -> list[Transaction]:
    """Return the refund of everything received and not yet given back, on the gateway that took it."""
    rest = order.total_received_set - order.total_refunded_set
    if rest.shop_money.minor <= 0:
        return []
    sale = next(
        (t for t in order.transactions if t.transaction_kind in ("SALE", "CAPTURE") and t.status == "SUCCESS"), None
    )
    now = shop.store.now()
    number = shop.store.new_id("OrderTransaction")
    gateway = sale.gateway if sale else "manual"
    return [Transaction(number, "REFUND", "SUCCESS", gateway, rest, now, now, parent=sale, test=order.test)]


def cancel(shop: Shopify, order: Order, *, reason: str, restock: bool, money: bool, lost: bool = False) -> None:
    """Cancel an order: every unsent piece off, money back if asked for."""
    kind = "CANCEL" if restock else "NO_RESTOCK"
    order.cancelled_at = shop.store.now()
    order.cancel_reason = reason
    order.closed_at = order.cancelled_at
    wishes = [
        RefundWish(line, line.unfulfilled_quantity, kind, None)
        for line in order.line_items
        if line.unfulfilled_quantity
    ]
    transactions = money_back(shop, order) if money else []
    if not restock:
        _without_restock(shop, order, wishes, transactions)
    else:
        refund(shop, order, wishes, transactions, lost=lost, also=["orders/cancelled"])
    shop.world.note("shopify", "order cancelled", order=order.name, restock=restock)
    shop.on_cancelled(order)


def _without_restock(shop: Shopify, order: Order, wishes: list[RefundWish], transactions: list[Transaction]) -> None:
    """A cancel without restock always takes the pieces off, whatever a NO_RESTOCK refund does (switch no_restock)."""
    moves: list[Move] = []
    for wish in wishes:
        moves += take_off(shop, wish.line, wish.pieces, restock=False)
        wish.line.removed += wish.pieces
    shop.ledger.post(moves, reason="shrinkage")
    refund(shop, order, wishes, transactions, also=["orders/cancelled"])
