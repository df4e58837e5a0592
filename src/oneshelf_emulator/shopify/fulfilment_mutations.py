"""Mutations on fulfilment orders and fulfilments: what Shopify refuses, then fulfilment.py.

Source: contracts sheet shopify section 10; descriptions in the Admin GraphQL schema 2026-10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import fulfilment
from .errors import Payload, user_error
from .fulfilment import Tracking
from .order_records import Fulfillment, FulfillmentOrder, Hold, WorkLine
from .records import Location

if TYPE_CHECKING:
    from .shop import Shopify

LINES_MAX = 512
HOLDS_MAX = 10


def _work(shop: Shopify, gid: str) -> FulfillmentOrder | None:
    """Return a fulfilment order that routing has made visible."""
    work = shop.store.find(gid, FulfillmentOrder)
    return work if work is not None and work.shown and shop.visible(work.order) else None


def read_tracking(given: Payload | None) -> Tracking:
    """Read FulfillmentTrackingInput; single and plural fields may be mixed."""
    given = given or {}
    numbers = [*([given["number"]] if given.get("number") else []), *(given.get("numbers") or [])]
    urls = [*([given["url"]] if given.get("url") else []), *(given.get("urls") or [])]
    return Tracking(given.get("company"), tuple(numbers), tuple(urls))


def read_parts(work: FulfillmentOrder, entries: list[Payload] | None) -> dict[WorkLine, int] | str:
    """Return pieces for each line (all that remain if none are named), or why not."""
    if not entries:
        return {line: line.remaining_quantity for line in work.open_lines}
    by_gid = {line.gid: line for line in work.lines}
    parts: dict[WorkLine, int] = {}
    for entry in entries:
        line = by_gid.get(entry["id"])
        if line is None:
            return "Fulfillment order line item does not exist."
        if entry["quantity"] < 1:
            return "Quantity must be greater than 0."
        parts[line] = parts.get(line, 0) + entry["quantity"]
        if parts[line] > line.remaining_quantity:
            return "Invalid fulfillment order line item quantity requested."
    return parts


def fulfillment_create(shop: Shopify, arguments: Payload) -> Payload:
    given = arguments["fulfillment"]

    def no(message: str, *path: str | int) -> Payload:
        return {"fulfillment": None, "userErrors": [user_error(message, ("fulfillment", *path))]}

    parts: dict[WorkLine, int] = {}
    works: list[FulfillmentOrder] = []
    for i, entry in enumerate(given["lineItemsByFulfillmentOrder"]):
        path = ("lineItemsByFulfillmentOrder", i)
        work = _work(shop, entry["fulfillmentOrderId"])
        if work is None:
            return no("Fulfillment order does not exist.", *path, "fulfillmentOrderId")
        if work.location.is_fulfillment_service:
            return no("Fulfillment order is assigned to another app's fulfillment service.", *path)
        if "CREATE_FULFILLMENT" not in work.actions:
            message = f"Fulfillment order {work.id} has an unfulfillable status= {work.status.lower()}."
            return no(message, *path)
        chosen = read_parts(work, entry.get("fulfillmentOrderLineItems"))
        if isinstance(chosen, str):
            return no(chosen, *path, "fulfillmentOrderLineItems")
        works.append(work)
        parts |= chosen
    if not works:
        return no("At least one fulfillment order is required.", "lineItemsByFulfillmentOrder")
    if len({work.order for work in works}) > 1 or len({work.location for work in works}) > 1:
        return no("All fulfillment orders must belong to the same order and location.", "lineItemsByFulfillmentOrder")
    if len(parts) > LINES_MAX:
        return no(f"At most {LINES_MAX} line items can be fulfilled at once.", "lineItemsByFulfillmentOrder")
    tracking = read_tracking(given.get("trackingInfo"))
    result = fulfilment.fulfil(shop, works[0].order, parts, works[0].location, tracking)
    return {"fulfillment": result, "userErrors": []}


def fulfillment_cancel(shop: Shopify, arguments: Payload) -> Payload:
    found = shop.store.find(arguments["id"], Fulfillment)
    if found is None:
        return {"fulfillment": None, "userErrors": [user_error("Fulfillment not found.", ["id"])]}
    if not fulfilment.can_unsend(found):
        return {"fulfillment": None, "userErrors": [user_error("Fulfillment cannot be cancelled.", ["id"])]}
    fulfilment.unsend(shop, found)
    return {"fulfillment": found, "userErrors": []}


def tracking_update(shop: Shopify, arguments: Payload) -> Payload:
    found = shop.store.find(arguments["fulfillmentId"], Fulfillment)
    if found is None or found.cancelled:
        return {"fulfillment": None, "userErrors": [user_error("Fulfillment not found.", ["fulfillmentId"])]}
    fulfilment.track(shop, found, read_tracking(arguments["trackingInfoInput"]))
    return {"fulfillment": found, "userErrors": []}


def work_move(shop: Shopify, arguments: Payload) -> Payload:
    """fulfillmentOrderMove: one error code exists; the other refusals come without code."""

    def no(message: str, field: str, code: str | None = None) -> Payload:
        nothing = {"movedFulfillmentOrder": None, "originalFulfillmentOrder": None, "remainingFulfillmentOrder": None}
        return {**nothing, "userErrors": [user_error(message, [field], code)]}

    work = _work(shop, arguments["id"])
    if work is None:
        return no("Fulfillment order not found.", "id")
    goal = shop.store.find(arguments["newLocationId"], Location)
    if goal is None or not goal.is_active:
        return no("Location not found.", "newLocationId")
    if work.progress_reported:
        message = "Cannot move a fulfillment order that has progress reported."
        return no(message, "id", "CANNOT_MOVE_FULFILLMENT_ORDER_WITH_REPORTED_PROGRESS")
    if "MOVE" not in work.actions:
        return no(f"Fulfillment order cannot be moved: its status is {work.status}.", "id")
    if goal is work.location:
        return no("The fulfillment order is already assigned to this location.", "newLocationId")
    parts = read_parts(work, arguments.get("fulfillmentOrderLineItems"))
    if isinstance(parts, str):
        return no(parts, "fulfillmentOrderLineItems")
    if not all(is_stocked(line, goal) for line in parts):
        return no("The destination location doesn't stock the requested inventory item.", "newLocationId")
    chosen = parts if arguments.get("fulfillmentOrderLineItems") else None
    moved = fulfilment.move(shop, work, goal, chosen)
    return {
        "movedFulfillmentOrder": moved,
        "originalFulfillmentOrder": work,
        "remainingFulfillmentOrder": None,
        "userErrors": [],
    }


def work_split(shop: Shopify, arguments: Payload) -> Payload:
    """fulfillmentOrderSplit: all or nothing. At the place it stands; what is not named stays in the original."""

    def no(message: str, code: str | None, *path: str | int) -> Payload:
        error = user_error(message, ("fulfillmentOrderSplits", *path), code)
        return {"fulfillmentOrderSplits": None, "userErrors": [error]}

    wanted: dict[FulfillmentOrder, dict[WorkLine, int]] = {}
    for i, entry in enumerate(arguments["fulfillmentOrderSplits"]):
        work = _work(shop, entry["fulfillmentOrderId"])
        given = entry["fulfillmentOrderLineItems"]
        if work is None:
            return no("Fulfillment order does not exist.", "FULFILLMENT_ORDER_NOT_FOUND", i, "fulfillmentOrderId")
        if not given:
            message = "The fulfillment order must have at least one line item input to split."
            return no(message, "NO_LINE_ITEMS_PROVIDED_TO_SPLIT", i, "fulfillmentOrderLineItems")
        if any(each["quantity"] < 1 for each in given):
            message = "The fulfillment order line item quantity must be greater than 0."
            return no(message, "GREATER_THAN", i, "fulfillmentOrderLineItems")
        parts = read_parts(work, given)
        everything = sum(line.remaining_quantity for line in work.open_lines)
        if work in wanted or isinstance(parts, str) or sum(parts.values()) >= everything:
            message = "The fulfillment order line item quantity is invalid."
            return no(message, "INVALID_LINE_ITEM_QUANTITY", i, "fulfillmentOrderLineItems")
        if "SPLIT" not in work.actions:
            return no(f"Fulfillment order cannot be split: its status is {work.status}.", None, i, "fulfillmentOrderId")
        wanted[work] = parts
    results = [
        {
            "fulfillmentOrder": work,
            "remainingFulfillmentOrder": fulfilment.split(shop, work, parts),
            "replacementFulfillmentOrder": None,
        }
        for work, parts in wanted.items()
    ]
    return {"fulfillmentOrderSplits": results, "userErrors": []}


def is_stocked(line: WorkLine, goal: Location) -> bool:
    """Return whether the item of a line has an active level at `goal` (always, for untracked and custom lines)."""
    variant = line.line_item.variant
    if variant is None or not variant.inventory_item.tracked:
        return True
    level = variant.inventory_item.levels.get(goal.id)
    return level is not None and level.is_active


def work_hold(shop: Shopify, arguments: Payload) -> Payload:
    given = arguments["fulfillmentHold"]

    def no(message: str, code: str, *path: str) -> Payload:
        nothing = {"fulfillmentHold": None, "fulfillmentOrder": None, "remainingFulfillmentOrder": None}
        return {**nothing, "userErrors": [user_error(message, path, code)]}

    work = _work(shop, arguments["id"])
    if work is None:
        return no("Fulfillment order not found.", "FULFILLMENT_ORDER_NOT_FOUND", "id")
    if "HOLD" not in work.actions:
        return no(f"Fulfillment order is {work.status} and can't be held.", "TAKEN", "id")
    own = [hold for hold in work.holds if hold.by_app]
    handle = given.get("handle") or ""
    if len(own) >= HOLDS_MAX:
        message = "The maximum number of fulfillment holds for this fulfillment order has been reached for this app."
        return no(message, "FULFILLMENT_ORDER_HOLD_LIMIT_REACHED", "id")
    if any(hold.handle == handle for hold in own):
        message = "The handle provided for the fulfillment hold is already in use by this app for another hold."
        return no(message, "DUPLICATE_FULFILLMENT_HOLD_HANDLE", "fulfillmentHold", "handle")
    hold = Hold(shop.store.new_id("FulfillmentHold"), given["reason"], handle, given.get("reasonNotes"))
    fulfilment.put_on_hold(shop, work, hold)
    return {"fulfillmentHold": hold, "fulfillmentOrder": work, "remainingFulfillmentOrder": None, "userErrors": []}


def work_release(shop: Shopify, arguments: Payload) -> Payload:
    work = _work(shop, arguments["id"])
    if work is None:
        error = user_error("Fulfillment order not found.", ["id"], "FULFILLMENT_ORDER_NOT_FOUND")
        return {"fulfillmentOrder": None, "userErrors": [error]}
    wanted = arguments.get("holdIds")
    fulfilment.release(shop, work, None if wanted is None else [h for h in work.holds if h.gid in wanted])
    return {"fulfillmentOrder": work, "userErrors": []}
