"""The judge of releases (I9): a copy that left as settled left when nobody who had bought earlier could still come.

In: the marketplaces' own sales; the database, by plain SQL; which orders are stored. Out: words for a breach. Never: imports the product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .offers import RANKS
from .shelf import Shelf, plain_id

SECOND = 1_000_000
#: What its marketplace shows so much later than it was bought is nobody's fault (S3.3: eBay, until it is paid).
SHOWN_LATE_US = 20 * SECOND


class Releases:
    """`rows(sql, *parameters)` reads the database; `channel(account id)` names an account's channel; `stored_ids`: the orders that a
    stored message names."""

    def __init__(
        self,
        shelf: Shelf,
        rows: Callable[..., list[tuple[Any, ...]]],
        channel: Callable[[int], str],
        stored_ids: set[tuple[str, str]],
    ) -> None:
        self.shelf = shelf
        self.rows = rows
        self.channel = channel
        self.stored_ids = stored_ids
        self.judged = 0

    def new(self, count: int) -> list[tuple[str, str, int, str]]:
        """Return (channel, order id, placed at, SKU) of what was released as settled since the last call. `count`: how many ever were."""
        if count <= self.judged:
            return []
        found = self.rows(
            "SELECT o.account_id, o.order_id, o.placed_at, l.sku, r.order_no FROM release r "
            "JOIN orders o ON o.tenant_id = r.tenant_id AND o.order_no = r.order_no "
            "JOIN order_line l ON l.tenant_id = o.tenant_id AND l.order_no = o.order_no "
            "WHERE r.why = 'settled' AND l.sku <> '' AND r.order_no IN "
            "(SELECT order_no FROM release WHERE why = 'settled' ORDER BY released_at DESC, order_no DESC LIMIT ?)",
            count - self.judged,
        )
        self.judged = count
        return [(self.channel(row[0]), plain_id(row[1]), row[2], row[3]) for row in found]

    def contested(self, sku: str, channel: str) -> bool:
        """Whether anybody bought it elsewhere."""
        return any(sale.channel != channel and sku in self.shelf.pieces(sale) for sale in self.shelf.sales())

    def unheard(self, channel: str, placed_at: int, sku: str) -> list[str]:
        """Return the orders that go before one of this channel and instant, want this SKU, and are not stored."""
        key = (placed_at // SECOND, RANKS[channel])
        found = []
        for sale in self.shelf.sales():
            bought = int(sale.placed_at.timestamp() * SECOND)
            if (bought // SECOND, RANKS[sale.channel]) >= key or sale.cancelled_at:
                continue
            if sku not in self.shelf.pieces(sale):
                continue
            if self.shelf.is_hidden(sale) or not self.shelf.is_listed(sale):
                continue
            if self.shelf.seen_from(sale) > bought + SHOWN_LATE_US:
                continue
            if (sale.channel, plain_id(sale.order_id)) not in self.stored_ids:
                found.append(f"{sale.channel} order {plain_id(sale.order_id)}")
        return found
