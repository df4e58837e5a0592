"""The judge of strict SKUs (I15): what all outlets show together, and what a write of ours adds, is never more than there is.

In: the marketplaces' truth and the physical shelf; the database, by plain SQL. Out: words for a breach. Never: imports the product.

A SKU is *promised* from when everything is so for the first time: the outlets and the shop show no more together than there is, and the
engine knows of all of it. A hand that typed a number, pieces that left the shelf without a sale, an order that no search shows (F21), a
channel that showed a number of some time ago, and a cancel that put pieces back end that, until it is so again: what Amazon puts back by
itself is put back in the shop a second time when the order's copy there is cancelled, until the shop's number has been moved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from .shelf import MARKETPLACES, Shelf

#: How often it is looked at whether a SKU is promised (again), microseconds.
LOOK_US = 30 * 1_000_000
#: A write of which nothing was seen may land so late, microseconds.
LANDS_US = 900 * 1_000_000


class Strict:
    """`rows(sql, *parameters)` reads the database; `now_us`: the world's instant in microseconds."""

    def __init__(
        self, shelf: Shelf, rows: Callable[..., list[tuple[Any, ...]]], now_us: Callable[[], int], skus: Iterable[str]
    ) -> None:
        self.shelf = shelf
        self.rows = rows
        self.now_us = now_us
        self.skus = frozenset(skus)
        self.promised: set[str] = set()
        self._looked = 0

    def loosened(self, skus: Iterable[str]) -> None:
        """What nobody could have known has happened to these."""
        self.promised.difference_update(skus)

    def misled(self) -> None:
        """A channel answered with a number that it had some time ago (F23): whose, and whether the engine goes by it, is seen when the
        answer has been taken in. Nobody can know that it was a lie before the next read."""
        self.promised.clear()
        self._looked = self.now_us() + LOOK_US

    def look(self) -> None:
        """See which SKUs are promised by now."""
        waiting = sorted(self.skus - self.promised)
        if not waiting or self.now_us() < self._looked + LOOK_US:
            return
        self._looked = self.now_us()
        owed = self.shelf.owed()
        self.promised.update(sku for sku in waiting if self._is_known(sku, self._k(sku, owed)))

    def broken(self, wanted: Counter[str] | None = None) -> list[str]:
        """Say which promised SKUs are shown more often than they are there. `wanted`: pieces by SKU that are about to be told."""
        found = []
        skus = sorted(self.promised & set(wanted)) if wanted is not None else sorted(self.promised)
        owed = self.shelf.owed() if skus else Counter()
        for sku in skus:
            k, shown, more = self._k(sku, owed), self.shown(sku), wanted[sku] if wanted else 0
            if sum(shown.values()) + more > max(0, k):
                found.append(f"strict {sku}: {shown} are shown, {more} more are told, K is {k}")
        return found

    def shown(self, sku: str) -> dict[str, int]:
        """Pieces that buyers may take, by channel."""
        return {channel: self.shelf.shown_pieces(channel, sku) for channel in ("shopify", *MARKETPLACES)}

    def _k(self, sku: str, owed: Counter[str]) -> int:
        return self.shelf.on_hand[sku] - owed[sku] - self.shelf.damaged[sku]

    def _moves_in_the_shop(self, sku: str) -> bool:
        """Whether the shop's number is between two steps of a claim: of pieces that are held and imported both it shows too few for a moment."""
        ((moving,),) = self.rows(
            "SELECT COUNT(*) FROM claim c WHERE c.sku = ? AND c.open = 1 AND (c.want <> c.held + c.imported OR EXISTS ("
            "SELECT 1 FROM intent i WHERE i.tenant_id = c.tenant_id AND i.state IN ('SENDING', 'UNKNOWN') "
            "AND (i.entity = c.claim_key OR c.claim_key LIKE i.entity || '/%')))",
            sku,
        )
        return bool(moving)

    def _is_known(self, sku: str, k: int) -> bool:
        shown = self.shown(sku)
        if sum(shown.values()) > max(0, k):
            return False
        levels = self.rows(
            "SELECT SUM(on_hand - committed - reserved - unavailable) FROM stock_level WHERE sku = ?", sku
        )
        if levels != [(k,)] or self._moves_in_the_shop(sku):
            return False
        for channel, listing, believed, on_its_way in self.rows(
            "SELECT a.channel, o.sku_text, s.believed, (SELECT COUNT(*) FROM attempt t WHERE t.tenant_id = s.tenant_id "
            "AND t.outlet_id = s.outlet_id AND t.quantity > 0 AND (t.outcome IN ('SENDING', 'ACCEPTED', 'UNKNOWN') "
            "OR (t.outcome IN ('SUPERSEDED', 'UNSEEN') AND t.started_at > ?))) "
            "FROM slot s JOIN link k ON k.tenant_id = s.tenant_id AND k.outlet_id = s.outlet_id "
            "JOIN outlet o ON o.tenant_id = s.tenant_id AND o.outlet_id = s.outlet_id "
            "JOIN account a ON a.tenant_id = s.tenant_id AND a.account_id = s.account_id WHERE k.sku = ?",
            self.now_us() - LANDS_US,
            sku,
        ):
            if channel == "shopify":
                continue
            if on_its_way or believed is None or believed < self.shelf.shown(channel, listing):
                return False
        return True
