"""What one more cancel does to a seller's rate at a channel (SEMANTICS 7.5), by our own count of orders and of cancels that we asked for.

In: an account, its channel's ability. Out: the rate now, after, and the limit. Tables: reads orders and intent.
Never: claims to be the channel's own figure: what was sold or cancelled before we were connected, or by hand there, is not in it.
"""

from __future__ import annotations

import msgspec

from oneshelf.channels.abilities import CancelAbility
from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx

DAY = 86_400 * SECOND


class CancelRate(msgspec.Struct, frozen=True):
    """Orders and cancels of the last `days`; `limit_percent` None: the channel has no limit. Rates in percent, None without any order."""

    orders: int
    cancels: int
    days: int
    limit_percent: float | None
    counts_against: str

    @property
    def now_percent(self) -> float | None:
        return 100 * self.cancels / self.orders if self.orders else None

    @property
    def after_percent(self) -> float | None:
        return 100 * (self.cancels + 1) / self.orders if self.orders else None

    def words(self) -> str:
        """What a cancel costs there, for a person; '' where it costs nothing."""
        if not self.counts_against:
            return ""
        said = f"What a cancel costs there: {self.counts_against}"
        if self.limit_percent is None or self.now_percent is None:
            return f"{said}."
        return (
            f"{said}: {self.now_percent:.2f} % now, {self.after_percent:.2f} % after it, limit {self.limit_percent:g} % "
            f"(Oneshelf's own count: {self.orders} orders in {self.days} days)."
        )


def rate_of(tx: Tx, tenant_id: int, account_id: int, ability: CancelAbility, now: int) -> CancelRate:
    """Count over the time that the channel looks at; a channel may look further back at sellers of few orders."""
    days = ability.rate_days
    orders = _orders(tx, tenant_id, account_id, now - days * DAY)
    if ability.few_orders and orders < ability.few_orders:
        days = ability.rate_days_of_few
        orders = _orders(tx, tenant_id, account_id, now - days * DAY)
    row = tx.one(
        "SELECT COUNT(DISTINCT entity) FROM intent WHERE tenant_id = :t AND kind = 'cancel' AND state = 'DONE' "
        "AND settled_at >= :since AND entity LIKE :e",
        t=tenant_id,
        since=now - days * DAY,
        e=f"{account_id}/%",
    )
    cancels = int(row[0]) if row else 0
    return CancelRate(orders, cancels, days, ability.limit_percent, ability.counts_against)


def _orders(tx: Tx, tenant_id: int, account_id: int, since: int) -> int:
    row = tx.one(
        "SELECT COUNT(*) FROM orders WHERE tenant_id = :t AND account_id = :a AND placed_at >= :since AND payment = 'paid'",
        t=tenant_id,
        a=account_id,
        since=since,
    )
    return int(row[0]) if row else 0
