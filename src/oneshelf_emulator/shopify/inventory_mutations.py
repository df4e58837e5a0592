"""The quantity mutations: everything the schema does not show is checked here, then posted as a whole or not at all.

Source: contracts sheet shopify section 6; descriptions of the user error codes in the Admin GraphQL schema 2026-10.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graphql import GraphQLResolveInfo

from . import payloads
from .errors import Payload, missing_argument, user_error
from .inventory import Move
from .records import AdjustmentGroup, InventoryItem, InventoryLevel, Location

if TYPE_CHECKING:
    from .shop import Shopify

#: Source: contracts sheet shopify section 6 [C 21]; checked at run time, no enum.
REASONS = frozenset(
    [
        "correction",
        "cycle_count_available",
        "damaged",
        "movement_created",
        "movement_updated",
        "movement_received",
        "movement_canceled",
        "other",
        "promotion",
        "quality_control",
        "received",
        "reservation_created",
        "reservation_deleted",
        "reservation_updated",
        "restock",
        "safety_stock",
        "shrinkage",
    ]
)
ADJUSTABLE = frozenset({"available", "damaged", "quality_control", "reserved", "safety_stock", "incoming"})
MOVABLE = ADJUSTABLE - {"incoming"}
SET_BOUND = 1_000_000_000
ADJUST_BOUND = 2_000_000_000
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+\Z")
_SHOPIFY_URI = re.compile(r"gid://shopify/", re.IGNORECASE)


class _Check:
    """Collects user errors. `code(...)` gives back an error code or None, by what the mutation's enum knows."""

    def __init__(self, shop: Shopify) -> None:
        self.shop = shop
        self.errors: list[Payload] = []
        self._made: list[InventoryLevel] = []

    def level(self, item: InventoryItem, location: Location) -> InventoryLevel:
        """Return the level; one made only for this call is not active: the item is not stocked there [C 18]."""
        if location.id not in item.levels:
            self._made.append(self.shop.ledger.level(item, location, active=False))
        return item.levels[location.id]

    def take_back(self) -> None:
        """Unmake the levels of a call that is refused."""
        for level in self._made:
            del level.item.levels[level.location.id]
            self.shop.store.drop(level)

    def say(self, code: str, message: str, *path: str | int) -> None:
        self.errors.append(user_error(message, ("input", *path), code))

    def header(self, given: Payload) -> None:
        if given["reason"] not in REASONS:
            self.say("INVALID_REASON", "The specified reason is invalid.", "reason")
        uri = given.get("referenceDocumentUri")
        if uri is not None and not _URI.match(uri):
            self.say(
                "INVALID_REFERENCE_DOCUMENT", "The specified reference document is invalid.", "referenceDocumentUri"
            )

    def item(self, gid: str, *path: str | int) -> InventoryItem | None:
        item = self.shop.store.find(gid, InventoryItem)
        if item is None:
            self.say("INVALID_INVENTORY_ITEM", "The specified inventory item could not be found.", *path)
        elif item.is_bundle:
            self.say(
                "NON_MUTABLE_INVENTORY_ITEM",
                "The specified inventory item is not allowed to be adjusted via API.",
                *path,
            )
        return item

    def location(self, gid: str, *path: str | int) -> Location | None:
        location = self.shop.store.find(gid, Location)
        if location is None or not location.is_active:
            self.say("INVALID_LOCATION", "The specified location could not be found.", *path)
            return None
        return location

    def unchanged(self, level: InventoryLevel, name: str, given: Payload, *path: str | int) -> None:
        expected = given["changeFromQuantity"]
        if expected is not None and expected != level.quantity(name):
            self.say(
                "CHANGE_FROM_QUANTITY_STALE",
                "The changeFromQuantity argument no longer matches the persisted quantity.",
                *path,
                "changeFromQuantity",
            )

    def ledger_uri(self, name: str, uri: str | None, *path: str | int) -> None:
        if name == "available":
            if uri is not None:
                self.say(
                    "INVALID_AVAILABLE_DOCUMENT",
                    "A ledger document URI is not allowed when adjusting available.",
                    *path,
                )
        elif uri is None:
            self.say(
                "INVALID_QUANTITY_DOCUMENT", "A ledger document URI is required except when adjusting available.", *path
            )
        elif _SHOPIFY_URI.match(uri):
            self.say(
                "INTERNAL_LEDGER_DOCUMENT",
                "Internal (gid://shopify/) ledger documents are not allowed to be adjusted via API.",
                *path,
            )
        elif not _URI.match(uri):
            self.say("INVALID_LEDGER_DOCUMENT", "The specified ledger document is invalid.", *path)


def _require_change_from(entries: list[Payload], type_name: str) -> None:
    """Since 2026-04 the field must be there; explicit null means "no check"."""
    for entry in entries:
        if "changeFromQuantity" not in entry:
            raise missing_argument(type_name, "changeFromQuantity")


def set_quantities(shop: Shopify, info: GraphQLResolveInfo[Any], arguments: Payload) -> Payload:
    given = arguments["input"]
    _require_change_from(given["quantities"], "InventoryQuantityInput")
    return _once(shop, info, arguments, lambda check: _plan_set(shop, check, given))


def _plan_set(shop: Shopify, check: _Check, given: Payload) -> list[Move]:
    check.header(given)
    name = given["name"]
    if name not in ("available", "on_hand"):
        check.say("INVALID_NAME", "The quantity name must be either 'available' or 'on_hand'.", "name")
        return []
    moves: list[Move] = []
    pairs: set[tuple[str, str]] = set()
    for i, entry in enumerate(given["quantities"]):
        path = ("quantities", i)
        pair = (entry["inventoryItemId"], entry["locationId"])
        if pair in pairs:
            check.say(
                "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR",
                "The combination of inventoryItemId and locationId must be unique.",
                *path,
            )
        pairs.add(pair)
        quantity = entry["quantity"]
        if quantity > SET_BOUND:
            check.say(
                "INVALID_QUANTITY_TOO_HIGH", "The total quantity can't be higher than 1,000,000,000.", *path, "quantity"
            )
        elif quantity < -SET_BOUND:
            check.say(
                "INVALID_QUANTITY_TOO_LOW", "The total quantity can't be lower than -1,000,000,000.", *path, "quantity"
            )
        elif quantity < 0 and (name == "on_hand" or shop.switches["set_negative_available"] == "refuse"):
            check.say("INVALID_QUANTITY_NEGATIVE", "The quantity can't be negative.", *path, "quantity")
        item = check.item(entry["inventoryItemId"], *path, "inventoryItemId")
        location = check.location(entry["locationId"], *path, "locationId")
        if item is None or location is None:
            continue
        level = check.level(item, location)
        check.unchanged(level, name, entry, *path)
        moves.append(Move(level, "available", quantity - level.quantity(name)))
    return moves


def adjust_quantities(shop: Shopify, info: GraphQLResolveInfo[Any], arguments: Payload) -> Payload:
    given = arguments["input"]
    _require_change_from(given["changes"], "InventoryChangeInput")
    return _once(shop, info, arguments, lambda check: _plan_adjust(shop, check, given))


def _plan_adjust(shop: Shopify, check: _Check, given: Payload) -> list[Move]:
    check.header(given)
    name = given["name"]
    if name not in ADJUSTABLE:
        check.say("INVALID_QUANTITY_NAME", "The specified quantity name is invalid.", "name")
        return []
    if len({entry.get("ledgerDocumentUri") for entry in given["changes"]}) > 1:
        check.say(
            "MAX_ONE_LEDGER_DOCUMENT",
            "All changes must have the same ledger document URI or, in the case of adjusting available, no ledger document URI.",
            "changes",
        )
    moves: list[Move] = []
    for i, entry in enumerate(given["changes"]):
        path = ("changes", i)
        check.ledger_uri(name, entry.get("ledgerDocumentUri"), *path, "ledgerDocumentUri")
        if entry["delta"] > ADJUST_BOUND:
            check.say("INVALID_QUANTITY_TOO_HIGH", "The quantity can't be higher than 2,000,000,000.", *path, "delta")
        elif entry["delta"] < -ADJUST_BOUND:
            check.say("INVALID_QUANTITY_TOO_LOW", "The quantity can't be lower than -2,000,000,000.", *path, "delta")
        item = check.item(entry["inventoryItemId"], *path, "inventoryItemId")
        location = check.location(entry["locationId"], *path, "locationId")
        if item is None or location is None:
            continue
        level = check.level(item, location)
        check.unchanged(level, name, entry, *path)
        moves.append(Move(level, name, entry["delta"], entry.get("ledgerDocumentUri")))
    return moves


def move_quantities(shop: Shopify, info: GraphQLResolveInfo[Any], arguments: Payload) -> Payload:
    given = arguments["input"]
    terminals = [entry[side] for entry in given["changes"] for side in ("from", "to")]
    _require_change_from(terminals, "InventoryMoveQuantityTerminalInput")
    return _once(shop, info, arguments, lambda check: _plan_move(shop, check, given))


def _plan_move(shop: Shopify, check: _Check, given: Payload) -> list[Move]:
    check.header(given)
    terminals = [entry[side] for entry in given["changes"] for side in ("from", "to")]
    if len({each.get("ledgerDocumentUri") for each in terminals} - {None}) > 2:
        check.say(
            "MAXIMUM_LEDGER_DOCUMENT_URIS",
            "Only a maximum of 2 ledger document URIs across all changes is allowed.",
            "changes",
        )
    moves: list[Move] = []
    left: dict[tuple[InventoryLevel, str], int] = {}
    for i, entry in enumerate(given["changes"]):
        moves += _plan_one_move(shop, check, entry, left, ("changes", i))
    return moves


def _plan_one_move(
    shop: Shopify,
    check: _Check,
    entry: Payload,
    left: dict[tuple[InventoryLevel, str], int],
    path: tuple[str | int, ...],
) -> list[Move]:
    origin, goal, quantity = entry["from"], entry["to"], entry["quantity"]
    known = True
    for side, terminal in (("from", origin), ("to", goal)):
        if terminal["name"] not in MOVABLE:
            check.say("INVALID_QUANTITY_NAME", "The specified quantity name is invalid.", *path, side, "name")
            known = False
        else:
            check.ledger_uri(terminal["name"], terminal.get("ledgerDocumentUri"), *path, side, "ledgerDocumentUri")
    if origin["locationId"] != goal["locationId"]:
        check.say("DIFFERENT_LOCATIONS", "The quantities can't be moved between different locations.", *path)
    if origin["name"] == goal["name"]:
        check.say("SAME_QUANTITY_NAME", "The quantity names for each change can't be the same.", *path)
    if quantity < 0:
        check.say("INVALID_QUANTITY_NEGATIVE", "The quantity can't be negative.", *path, "quantity")
    elif quantity > ADJUST_BOUND:
        check.say("INVALID_QUANTITY_TOO_HIGH", "The quantity can't be higher than 2,000,000,000.", *path, "quantity")
    item = check.item(entry["inventoryItemId"], *path, "inventoryItemId")
    location = check.location(origin["locationId"], *path, "from", "locationId")
    if item is None or location is None or not known:
        return []
    level = check.level(item, location)
    check.unchanged(level, origin["name"], origin, *path, "from")
    check.unchanged(level, goal["name"], goal, *path, "to")
    key = (level, origin["name"])
    left[key] = left.get(key, level.quantity(origin["name"])) - quantity
    if quantity and left[key] < 0 and shop.switches["move_below_zero"] == "refuse":
        check.say("INVALID_QUANTITY_NEGATIVE", "The quantity can't be negative.", *path, "quantity")
    return [
        Move(level, origin["name"], -quantity, origin.get("ledgerDocumentUri")),
        Move(level, goal["name"], quantity, goal.get("ledgerDocumentUri")),
    ]


def _once(
    shop: Shopify, info: GraphQLResolveInfo[Any], arguments: Payload, plan: Callable[[_Check], list[Move]]
) -> Payload:
    """Plan, post and answer, once for the key."""

    def refuse(code: str, message: str) -> Payload:
        return {"inventoryAdjustmentGroup": None, "userErrors": [user_error(message, None, code)]}

    def run() -> tuple[Payload, Callable[[], Payload]]:
        check = _Check(shop)
        moves = plan(check)
        if check.errors:
            check.take_back()
            return {"inventoryAdjustmentGroup": None, "userErrors": check.errors}, dict
        given = arguments["input"]
        if shop.world.faults.roll("never_applied", "shopify", info.field_name):
            moves = []
        group = shop.ledger.post(
            moves, reason=given["reason"], reference=given.get("referenceDocumentUri"), by_app=True
        )
        answer: Payload = {"inventoryAdjustmentGroup": group, "userErrors": []}
        return answer, lambda: {"inventoryAdjustmentGroup": _rebuilt(group), "userErrors": []}

    return shop.keys.once(info, arguments, run, refuse)


def _rebuilt(group: AdjustmentGroup | None) -> AdjustmentGroup | None:
    """Return the group as a replay shows it: quantities of now, not of then."""
    if group is not None:
        for entry in group.entries:
            entry.quantity_after_change = entry.level.quantity(entry.name)
    return group


# -- activation -------------------------------------------------------------------------------------------------------


def activate(shop: Shopify, info: GraphQLResolveInfo[Any], arguments: Payload) -> Payload:
    """inventoryActivate: errors are plain, without code."""

    def refuse(_code: str, message: str) -> Payload:
        return {"inventoryLevel": None, "userErrors": [user_error(message)]}

    def run() -> tuple[Payload, Callable[[], Payload]]:
        answer = _activate(shop, arguments)
        return answer, lambda: answer

    return shop.keys.once(info, arguments, run, refuse)


def _activate(shop: Shopify, given: Payload) -> Payload:
    def no(message: str, field: str) -> Payload:
        return {"inventoryLevel": None, "userErrors": [user_error(message, [field])]}

    item = shop.store.find(given["inventoryItemId"], InventoryItem)
    location = shop.store.find(given["locationId"], Location)
    if item is None:
        return no("The product couldn't be stocked because the inventory item wasn't found.", "inventoryItemId")
    if location is None or not location.is_active:
        return no("The product couldn't be stocked because the location wasn't found.", "locationId")
    available, on_hand = given.get("available"), given.get("onHand")
    if available is not None and on_hand is not None:
        return no("Only one of available and onHand can be given.", "onHand")
    existing = item.levels.get(location.id)
    if existing is not None and existing.is_active and available is not None:
        return no("Not allowed to set available quantity when the item is already active at the location.", "available")
    level = shop.ledger.level(item, location)
    connected, level.is_active = not level.is_active or existing is None, True
    level.updated_at = shop.store.now()
    target = available if available is not None else on_hand
    if target is not None:  # without either, the old numbers stay
        old = level.quantity("available" if available is not None else "on_hand")
        shop.ledger.post([Move(level, "available", target - old)], reason="correction", by_app=True)
    if connected:
        shop.webhooks.emit("inventory_levels/connect", level.gid, lambda: payloads.inventory_level(level))
        for variant in item.variants:
            shop.index.touch(variant)
    return {"inventoryLevel": level, "userErrors": []}


def deactivate(shop: Shopify, arguments: Payload) -> Payload:
    """inventoryDeactivate: keeps the quantities (since 2026-04), refuses while orders or arrivals hang on the level."""
    level = shop.store.find(arguments["inventoryLevelId"], InventoryLevel)
    if level is None:
        return {"userErrors": [user_error("The inventory level couldn't be found.", ["inventoryLevelId"])]}
    if level.quantity("committed") or level.quantity("incoming"):
        message = "The product couldn't be unstocked because it has committed or incoming inventory."
        return {"userErrors": [user_error(message, ["inventoryLevelId"])]}
    level.is_active = False
    level.updated_at = shop.store.now()
    document = {"inventory_item_id": level.item.id, "location_id": level.location.id}
    shop.webhooks.emit("inventory_levels/disconnect", level.gid, lambda: document)
    for variant in level.item.variants:
        shop.index.touch(variant)
    return {"userErrors": []}
