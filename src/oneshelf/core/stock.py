"""Quantities of one SKU at one location, and the entries that move them (SEMANTICS 1)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Level(msgspec.Struct, gc=False):
    """The buckets of one (SKU, location), in whole pieces. Each is the sum of its ledger entries (I1).

    `foreign_reserved` is the part of `reserved` that the hub holds for reasons of its own (S0.3).
    """

    on_hand: int = 0
    committed: int = 0
    reserved: int = 0
    foreign_reserved: int = 0
    unavailable: int = 0
    incoming: int = 0

    @property
    def available(self) -> int:
        """K_l: what may still be sold here. May be negative (S1.2)."""
        return self.on_hand - self.committed - self.reserved - self.unavailable

    def add(self, entry: Entry) -> None:
        """Move the buckets by one entry."""
        self.on_hand += entry.on_hand
        self.committed += entry.committed
        self.reserved += entry.reserved
        self.foreign_reserved += entry.foreign_reserved
        self.unavailable += entry.unavailable
        self.incoming += entry.incoming


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One ledger entry: changes of the buckets of one (SKU, location), under a key that can be posted once (S4.2)."""

    key: str
    sku: str
    location_id: str
    reason: str
    on_hand: int = 0
    committed: int = 0
    reserved: int = 0
    foreign_reserved: int = 0
    unavailable: int = 0
    incoming: int = 0
    source: str = ""
    order_no: int | None = None

    @property
    def takes(self) -> int:
        """What the entry costs `available`, in pieces; below 0 if it gives."""
        return self.committed + self.reserved + self.unavailable - self.on_hand

    @property
    def moves_nothing(self) -> bool:
        return not (
            self.on_hand
            or self.committed
            or self.reserved
            or self.foreign_reserved
            or self.unavailable
            or self.incoming
        )


def available(levels: Iterable[Level]) -> int:
    """K over several locations: what may still be sold, negative when oversold (S1.2)."""
    return sum(level.available for level in levels)


def oversold(available_pieces: int) -> int:
    """How many sold pieces nothing on hand stands behind (S1.3)."""
    return max(0, -available_pieces)
