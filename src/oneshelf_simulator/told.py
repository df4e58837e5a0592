"""What the engine told the listings of a SKU, and which of them wait for a person.

In: the database, by plain SQL. Out: yes or no. Never: imports the product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Told:
    """`rows(sql, *parameters)` reads the database; `exists()`: whether it is there at all (a restore takes it away for a moment)."""

    def __init__(self, rows: Callable[..., list[tuple[Any, ...]]], exists: Callable[[], bool]) -> None:
        self.rows = rows
        self.exists = exists

    def is_fought_over(self, channel: str, sku: str) -> bool:
        """Whether a listing there that takes a SKU is parked because somebody else writes its number (9.4): a task says so."""
        if not self.exists():
            return False
        return bool(
            self.rows(
                "SELECT 1 FROM task t JOIN slot s ON s.tenant_id = t.tenant_id AND t.subject = 'outlet:' || s.outlet_id "
                "JOIN link k ON k.tenant_id = s.tenant_id AND k.outlet_id = s.outlet_id "
                "JOIN account c ON c.tenant_id = s.tenant_id AND c.account_id = s.account_id "
                "WHERE t.kind = 'someone_else_writes' AND t.closed_at IS NULL AND s.state = 'PARKED' AND c.channel = ? AND k.sku = ?",
                channel,
                sku,
            )
        )

    def raised(self, channel: str, sku: str, since: int) -> bool:
        """Whether a write above 0 was sent since an instant to the outlets of a SKU there, or to one that is written with them: Etsy
        reopens a whole listing with one piece of its first offering."""
        if not self.exists():
            return False
        return bool(
            self.rows(
                "SELECT 1 FROM attempt a JOIN outlet o ON o.tenant_id = a.tenant_id AND o.outlet_id = a.outlet_id "
                "JOIN account c ON c.tenant_id = a.tenant_id AND c.account_id = a.account_id "
                "JOIN outlet s ON s.tenant_id = o.tenant_id AND s.account_id = o.account_id AND s.write_unit = o.write_unit "
                "JOIN link k ON k.tenant_id = s.tenant_id AND k.outlet_id = s.outlet_id "
                "WHERE c.channel = ? AND k.sku = ? AND a.quantity > 0 AND a.started_at >= ? LIMIT 1",
                channel,
                sku,
                since,
            )
        )
