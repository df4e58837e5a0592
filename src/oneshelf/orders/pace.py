"""Counts what was bought into the paces that the planner reads (SEMANTICS 3.5, 3.6, 1.11).

In: order lines heard for the first time. Out: one addition an outlet and SKU. Tables it owns: pace.
Never: reads what it adds to (a batch costs one statement); counts a line twice; takes a cancelled order back: demand is what was asked for.
"""

from __future__ import annotations

from oneshelf.core import pace
from oneshelf.db.tx import Tx

#: In `pace`: the hub sells a SKU as one outlet, whatever its locations.
HUB_OUTLET = 0

_ADD = f"""INSERT INTO pace (tenant_id, sku, outlet_id, account_id, orders, pieces, burst, burst_hour) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant_id, sku, outlet_id) DO UPDATE SET
        orders = pace.orders + excluded.orders, pieces = pace.pieces + excluded.pieces,
        burst = CASE excluded.burst_hour - pace.burst_hour
            WHEN 0 THEN pace.burst + excluded.burst
            WHEN 1 THEN pace.burst * {pace.BURST_FADE!r} + excluded.burst
            WHEN -1 THEN pace.burst + excluded.burst * {pace.BURST_FADE!r}
            ELSE CASE WHEN excluded.burst_hour > pace.burst_hour THEN excluded.burst ELSE pace.burst END END,
        burst_hour = CASE WHEN excluded.burst_hour > pace.burst_hour THEN excluded.burst_hour ELSE pace.burst_hour END"""


class Counter:
    """What one batch adds. Sales of one outlet and SKU in one hour are added up before they are written."""

    def __init__(self) -> None:
        self._sold: dict[tuple[str, int, int, int], list[float]] = {}
        self._weights: dict[int, tuple[float, float]] = {}

    def count(self, sku: str, outlet_id: int, account_id: int, pieces: int, placed_at: int) -> None:
        """Take up one order line of `pieces` (above 0), at its time of purchase."""
        second = placed_at // 1_000_000
        weights = self._weights.get(second)
        if weights is None:
            weights = self._weights[second] = pace.weight(placed_at), pace.burst_weight(placed_at)
        key = (sku, outlet_id, account_id, pace.hour_of(placed_at))
        sums = self._sold.get(key)
        if sums is None:
            sums = self._sold[key] = [0.0, 0.0, 0.0]
        sums[0] += weights[0]
        sums[1] += weights[0] * pieces
        sums[2] += weights[1]

    def write(self, tx: Tx, tenant_id: int) -> None:
        # Sorted, so that two writers of one database would lock in the same order (D7b).
        tx.many(
            _ADD,
            [
                (tenant_id, sku, outlet_id, account_id, *sums, hour)
                for (sku, outlet_id, account_id, hour), sums in sorted(self._sold.items())
            ],
        )
