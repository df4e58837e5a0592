"""The quantity ledger: one number per (item, location, name), moved by postings only.

on_hand = available + committed + reserved + damaged + quality_control + safety_stock, always: it is never stored.
Owns: levels, adjustment groups, what follows from a change of `available` (webhooks, search).
Source: contracts sheet shopify section 5; Shopify docs "inventory management apps".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import payloads
from .records import (
    ON_HAND_NAMES,
    AdjustmentEntry,
    AdjustmentGroup,
    InventoryItem,
    InventoryLevel,
    Location,
    Product,
    ProductVariant,
)

if TYPE_CHECKING:
    from .shop import Shopify


@dataclass(frozen=True)
class Move:
    """`delta` pieces more (or fewer) under one stored name of a level."""

    level: InventoryLevel
    name: str
    delta: int
    ledger_document_uri: str | None = None


class Ledger:
    """Levels and their postings."""

    def __init__(self, shop: Shopify) -> None:
        self.shop = shop

    def level(self, item: InventoryItem, location: Location, *, active: bool = True) -> InventoryLevel:
        """Return the level of an item at a location; one that does not exist yet is made, all quantities 0."""
        found = item.levels.get(location.id)
        if found is None:
            now = self.shop.store.now()
            number = self.shop.store.new_id("InventoryLevel")
            found = self.shop.store.add(InventoryLevel(number, item, location, now, now, is_active=active))
            item.levels[location.id] = found
        return found

    def post(
        self,
        moves: Iterable[Move],
        *,
        reason: str,
        reference: str | None = None,
        by_app: bool = False,
        touch_product: bool = True,
    ) -> AdjustmentGroup | None:
        """Apply all moves and return their group, or None if nothing moved.

        The group has one entry for each named quantity that moved, and one for each `on_hand` that moved with it.
        """
        moving = [move for move in moves if move.delta]
        if not moving:
            return None
        store = self.shop.store
        group = AdjustmentGroup(store.new_id("InventoryAdjustmentGroup"), store.now(), reason, reference, by_app)
        on_hand: dict[InventoryLevel, int] = {}
        sellable: dict[InventoryLevel, None] = {}
        for move in moving:
            self._apply(move)
            entry = AdjustmentEntry(
                move.level, move.name, move.delta, move.level.quantities[move.name], move.ledger_document_uri
            )
            group.entries.append(entry)
            if move.name in ON_HAND_NAMES:
                on_hand[move.level] = on_hand.get(move.level, 0) + move.delta
            if move.name == "available":
                sellable[move.level] = None
        for level, delta in on_hand.items():
            if delta:
                level.changed_at["on_hand"] = group.created_at
                group.entries.append(AdjustmentEntry(level, "on_hand", delta, level.quantity("on_hand")))
        if by_app:  # only these can be asked for again
            store.add(group)
        heard = {move.level: None for move in moving} if self.shop.switches["level_webhook_any_name"] else sellable
        for level in heard:
            self.announce(level, touch_product=touch_product)
        return group

    def _apply(self, move: Move) -> None:
        level, now = move.level, self.shop.store.now()
        level.before = {**level.quantities, "on_hand": level.quantity("on_hand")}
        level.quantities[move.name] += move.delta
        level.changed_at[move.name] = now
        level.updated_at = now

    def announce(self, level: InventoryLevel, *, touch_product: bool = True) -> None:
        """Tell subscribers and the search index that a level's `available` changed."""
        shop = self.shop
        shop.webhooks.emit("inventory_levels/update", level.gid, lambda: payloads.inventory_level(level))
        for variant in level.item.variants:
            shop.index.touch(variant)
            if touch_product:
                self.touch_product(variant.product)

    def touch_product(self, product: Product) -> None:
        """Say products/update, as Shopify does whenever a variant sells or changes (quirk 14 of the sheet)."""
        shop = self.shop
        product.updated_at = shop.store.now()
        shop.index.touch(product)
        shop.webhooks.emit(
            "products/update",
            product.gid,
            lambda: payloads.product(product) if shop.store.get(Product, product.id) else None,
        )

    # -- reading ----------------------------------------------------------------------------------------------------

    def online_available(self, variant: ProductVariant) -> int:
        """Return what web checkout may sell: `available` over active locations that fulfil online orders."""
        return variant.sellable_online_quantity

    def shown(self, level: InventoryLevel, name: str) -> int:
        """Return a quantity as a reader sees it now (fault stale_read: as it was before the last change)."""
        if level.before is not None and self.shop.world.faults.roll("stale_read", "shopify", "quantities"):
            return level.before[name]
        return level.quantity(name)
