"""Sending, un-sending, moving and holding: what happens to fulfilment orders and to `committed`.

Callers have checked their wishes; nothing here refuses.
Source: contracts sheet shopify sections 5 and 10; Shopify docs of `fulfillmentCreate`, `fulfillmentOrderMove`,
`fulfillmentOrderHold`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import payloads
from .inventory import Move
from .order_records import FulfilledPiece, Fulfillment, FulfillmentOrder, Hold, Order, WorkLine
from .orders import changed, returnable
from .records import Location

if TYPE_CHECKING:
    from .shop import Shopify

#: Carriers whose tracking address Shopify builds itself, when none is given. Source: FulfillmentTrackingInfo.company.
_TRACKING_URL = {
    "UPS": "https://www.ups.com/track?tracknum={}",
    "FedEx": "https://www.fedex.com/fedextrack/?trknbr={}",
    "USPS": "https://tools.usps.com/go/TrackConfirmAction?tLabels={}",
    "DHL Express": "https://www.dhl.com/en/express/tracking.html?AWB={}",
    "Royal Mail": "https://www.royalmail.com/track-your-item#/tracking-results/{}",
    "DPD": "https://www.dpd.com/tracking/{}",
    "GLS": "https://gls-group.com/track/{}",
}


@dataclass(frozen=True)
class Tracking:
    """Parcel data as given: `company` free text."""

    company: str | None = None
    numbers: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    def all_urls(self) -> list[str]:
        """Return the addresses; for a known carrier without any, the ones Shopify builds."""
        if self.urls or self.company not in _TRACKING_URL:
            return list(self.urls)
        return [_TRACKING_URL[self.company].format(number) for number in self.numbers]


def fulfil(
    shop: Shopify, order: Order, parts: Mapping[WorkLine, int], location: Location, tracking: Tracking
) -> Fulfillment:
    """Send pieces: they leave `committed` and, with it, `on_hand`."""
    store = shop.store
    now = store.now()
    name = f"{order.name}.{len(order.fulfillments) + 1}"
    result = store.add(Fulfillment(store.new_id("Fulfillment"), order, location, name, now, now))
    result.company, result.numbers, result.urls = tracking.company, list(tracking.numbers), tracking.all_urls()
    moves: list[Move] = []
    for work_line, pieces in parts.items():
        line = work_line.line_item
        claimed = min(pieces, work_line.claimed)
        work_line.remaining_quantity -= pieces
        work_line.claimed -= claimed
        line.fulfilled += pieces
        number = store.new_id("FulfillmentLineItem")
        result.pieces.append(store.add(FulfilledPiece(number, line, pieces, work_line, claimed)))
        if claimed and line.variant:
            moves.append(Move(shop.ledger.level(line.variant.inventory_item, location), "committed", -claimed))
    for work in order.fulfillment_orders:
        if any(work_line in parts for work_line in work.lines):
            work.updated_at = now
            work.fulfillments.append(result)
    order.fulfillments.append(result)
    shop.ledger.post(moves, reason="other")
    event_id = store.new_uuid()
    shop.webhooks.emit("fulfillments/create", result.gid, lambda: payloads.fulfillment(result), event_id=event_id)
    done = order.display_fulfillment_status == "FULFILLED"
    changed(shop, order, "orders/fulfilled" if done else "orders/partially_fulfilled", event_id=event_id)
    shop.on_fulfilled(order, result)
    return result


def can_unsend(fulfillment: Fulfillment) -> bool:
    """Return whether a fulfilment can be cancelled: it stands, and none of its pieces came back already."""
    return not fulfillment.cancelled and all(returnable(p.line_item) >= p.quantity for p in fulfillment.pieces)


def unsend(shop: Shopify, fulfillment: Fulfillment) -> None:
    """Cancel a fulfilment: its pieces are to be sent again, from a fulfilment order that is open or made anew."""
    store, order = shop.store, fulfillment.order
    fulfillment.cancelled = True
    fulfillment.updated_at = store.now()
    order.closed_at = None if order.cancelled_at is None else order.closed_at
    moves: list[Move] = []
    fresh: FulfillmentOrder | None = None
    for piece in fulfillment.pieces:
        home = next(work for work in order.fulfillment_orders if piece.work_line in work.lines)
        target = piece.work_line
        if not home.is_live:
            if fresh is None:
                now = store.now()
                fresh = FulfillmentOrder(store.new_id("FulfillmentOrder"), order, fulfillment.location, now, now)
                fresh.shown = True
            number = store.new_id("FulfillmentOrderLineItem")
            target = store.add(WorkLine(number, piece.line_item, piece.quantity, 0, 0))
            fresh.lines.append(target)
        target.remaining_quantity += piece.quantity
        target.claimed += piece.claimed
        piece.line_item.fulfilled -= piece.quantity
        if piece.claimed and piece.line_item.variant:
            level = shop.ledger.level(piece.line_item.variant.inventory_item, fulfillment.location)
            moves.append(Move(level, "committed", piece.claimed))
    if fresh is not None:
        order.fulfillment_orders.append(store.add(fresh))
    shop.ledger.post(moves, reason="other")
    shop.webhooks.emit("fulfillments/update", fulfillment.gid, lambda: payloads.fulfillment(fulfillment))
    changed(shop, order)


def track(shop: Shopify, fulfillment: Fulfillment, tracking: Tracking) -> None:
    """Replace the tracking data of a fulfilment."""
    fulfillment.company, fulfillment.numbers = tracking.company, list(tracking.numbers)
    fulfillment.urls = tracking.all_urls()
    fulfillment.updated_at = shop.store.now()
    shop.webhooks.emit("fulfillments/update", fulfillment.gid, lambda: payloads.fulfillment(fulfillment))
    changed(shop, fulfillment.order)


# -- moving and holding ----------------------------------------------------------------------------------------------


def move(
    shop: Shopify, work: FulfillmentOrder, goal: Location, parts: Mapping[WorkLine, int] | None = None
) -> FulfillmentOrder:
    """Assign work to another location; return the fulfilment order that now holds it.

    The whole of an untouched fulfilment order keeps its id; a part, or the rest of a partly sent one, moves into a
    new one, which also takes over the work already waiting at that location (its old fulfilment order closes).
    """
    wanted = dict(parts) if parts else {line: line.remaining_quantity for line in work.open_lines}
    whole = all(line.total_quantity == wanted.get(line, 0) for line in work.lines)
    store, order, source = shop.store, work.order, work.location
    claims = _carry(shop, wanted, source, goal)
    neighbours = [
        each for each in order.fulfillment_orders if each is not work and each.location is goal and each.is_live
    ]
    now = store.now()
    if whole and not neighbours:
        moved = work
        work.location, work.updated_at = goal, now
    else:
        moved = store.add(FulfillmentOrder(store.new_id("FulfillmentOrder"), order, goal, now, now, shown=work.shown))
        order.fulfillment_orders.append(moved)
        for line, pieces in wanted.items():
            _hand_over(shop, line, pieces, claims[line], moved)
        for neighbour in neighbours:
            neighbour.updated_at = now
            for line in neighbour.open_lines:
                _hand_over(shop, line, line.remaining_quantity, line.claimed, moved)
        work.updated_at = now
    _tell_moved(shop, work, moved, source, list(wanted.items()))
    changed(shop, order)
    return moved


def split(shop: Shopify, work: FulfillmentOrder, parts: Mapping[WorkLine, int]) -> FulfillmentOrder:
    """Take pieces out of a fulfilment order into a new one at the same location; return it."""
    store, order, now = shop.store, work.order, shop.store.now()
    made = store.add(
        FulfillmentOrder(store.new_id("FulfillmentOrder"), order, work.location, now, now, shown=work.shown)
    )
    order.fulfillment_orders.append(made)
    for line, pieces in parts.items():
        _hand_over(shop, line, pieces, min(pieces, line.claimed), made)
    work.updated_at = now
    told = [{"id": line.gid, "quantity": pieces} for line, pieces in parts.items()]
    shop.webhooks.emit(
        "fulfillment_orders/split",
        work.gid,
        lambda: {
            "fulfillment_order": payloads.fulfillment_order(work),
            "remaining_fulfillment_order": payloads.fulfillment_order(made),
            "replacement_fulfillment_order": None,
            "split_line_items": told,
        },
    )
    changed(shop, order)
    return made


def report_progress(shop: Shopify, work: FulfillmentOrder) -> None:
    """Note that somebody has begun to pack it: it can't be moved any more."""
    work.progress_reported, work.updated_at = True, shop.store.now()
    changed(shop, work.order)


def _carry(shop: Shopify, wanted: Mapping[WorkLine, int], source: Location, goal: Location) -> dict[WorkLine, int]:
    """Move the claims in stock (switch move_carries_committed); return how many claims go along for each line."""
    moves: list[Move] = []
    claims: dict[WorkLine, int] = {}
    for line, pieces in wanted.items():
        claimed = claims[line] = min(pieces, line.claimed)
        if not claimed or not line.line_item.variant or not shop.switches["move_carries_committed"]:
            continue
        item = line.line_item.variant.inventory_item
        old, new = shop.ledger.level(item, source), shop.ledger.level(item, goal)
        moves += [Move(old, "committed", -claimed), Move(old, "available", claimed)]
        moves += [Move(new, "available", -claimed), Move(new, "committed", claimed)]
    shop.ledger.post(moves, reason="movement_updated")
    return claims


def _hand_over(shop: Shopify, line: WorkLine, pieces: int, claimed: int, to: FulfillmentOrder) -> None:
    number = shop.store.new_id("FulfillmentOrderLineItem")
    to.lines.append(shop.store.add(WorkLine(number, line.line_item, pieces, pieces, claimed)))
    line.remaining_quantity -= pieces
    line.total_quantity -= pieces
    line.claimed -= claimed


def _tell_moved(
    shop: Shopify,
    work: FulfillmentOrder,
    moved: FulfillmentOrder,
    source: Location,
    lines: Sequence[tuple[WorkLine, int]],
) -> None:
    def document(each: FulfillmentOrder) -> dict[str, object]:
        return payloads.fulfillment_order(each) | {"assigned_location_id": each.location.gid}

    requested = [{"id": line.gid, "quantity": pieces} for line, pieces in lines]
    shop.webhooks.emit(
        "fulfillment_orders/moved",
        moved.gid,
        lambda: {
            "original_fulfillment_order": document(work),
            "moved_fulfillment_order": document(moved),
            "destination_location_id": moved.location.gid,
            "fulfillment_order_line_items_requested": requested,
            "source_location": {"id": source.gid},
        },
    )


def put_on_hold(shop: Shopify, work: FulfillmentOrder, hold: Hold) -> None:
    """Add a hold: nothing of this fulfilment order can be sent until all its holds are released."""
    shop.store.add(hold)
    work.holds.append(hold)
    work.updated_at = shop.store.now()

    def build() -> dict[str, object]:
        holds = [payloads.hold(each, shop.app_id) for each in work.holds]
        return {
            "fulfillment_order": payloads.fulfillment_order(work) | {"fulfillment_holds": holds},
            "remaining_fulfillment_order": None,
            "held_fulfillment_order_line_items": [
                {"id": x.gid, "quantity": x.remaining_quantity} for x in work.open_lines
            ],
            "created_fulfillment_hold": payloads.hold(hold, shop.app_id),
        }

    shop.webhooks.emit("fulfillment_orders/placed_on_hold", work.gid, build)
    changed(shop, work.order)


def release(shop: Shopify, work: FulfillmentOrder, holds: Sequence[Hold] | None = None) -> None:
    """Release the given holds, or all."""
    gone = list(work.holds if holds is None else holds)
    work.holds = [each for each in work.holds if each not in gone]
    for hold in gone:
        shop.store.drop(hold)
    work.updated_at = shop.store.now()
    if gone and not work.holds:
        document = lambda: {"fulfillment_order": payloads.fulfillment_order(work)}  # noqa: E731
        shop.webhooks.emit("fulfillment_orders/hold_released", work.gid, document)
    changed(shop, work.order)
