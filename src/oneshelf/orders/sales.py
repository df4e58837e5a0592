"""What an outlet sold by its own orders, by the channel's time of purchase: what its number went down by itself.

In: outlets and instants. Out: listings sold since.
Tables: reads order_line and orders.
Never: stores what is believed (publish subtracts when it plans); looks at when an order arrived.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from oneshelf.core.drift import Sales
from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx


def sales_of(tx: Tx, tenant_id: int, since: Mapping[int, int]) -> dict[int, Sales]:
    """Return {outlet: its own sales placed after its instant (microseconds)}; outlets without a sale are left out.

    Counts what was ordered, in listings: a bundle's line has a row a part and counts once. Pieces cancelled later were taken off the
    number too; whether the channel puts them back only a read can tell, and an own cancel asks for one (S8.5).
    """
    if not since:
        return {}
    rows = tx.all(
        """SELECT l.outlet_id, MAX(o.placed_at), MAX(l.ordered / l.units_per_listing)
             FROM order_line l JOIN orders o ON o.tenant_id = l.tenant_id AND o.order_no = l.order_no
            WHERE l.tenant_id = :t AND l.outlet_id {in:outlets} AND l.placed_s >= :from_s AND l.units_per_listing > 0
            GROUP BY l.outlet_id, l.order_no, l.line_id""",
        t=tenant_id,
        outlets=sorted(since),
        from_s=min(since.values()) // SECOND,
    )
    found: dict[int, list[tuple[int, int]]] = {}
    for outlet_id, placed_at, units in rows:
        if placed_at > since[outlet_id] and units > 0:
            found.setdefault(outlet_id, []).append((placed_at, int(units)))
    return {outlet_id: Sales(tuple(sorted(placed))) for outlet_id, placed in found.items()}


def cancelled_of(tx: Tx, tenant_id: int, since: Mapping[int, int]) -> dict[int, int]:
    """Return {outlet: listings of its own orders that the channel has cancelled}, of orders that changed there, or were heard of, after
    the outlet's instant (microseconds): so many it may have put back by itself. Outlets without a cancel are left out."""
    if not since:
        return {}
    rows = tx.all(
        """SELECT l.outlet_id, MAX(COALESCE(o.updated_at, 0)), MAX(o.decided_at), MAX(l.told_cancelled / l.units_per_listing)
             FROM order_line l JOIN orders o ON o.tenant_id = l.tenant_id AND o.order_no = l.order_no
            WHERE l.tenant_id = :t AND l.outlet_id {in:outlets} AND l.told_cancelled > 0 AND l.units_per_listing > 0
              AND (o.decided_at > :from_at OR o.updated_at > :from_at)
            GROUP BY l.outlet_id, l.order_no, l.line_id""",
        t=tenant_id,
        outlets=sorted(since),
        from_at=min(since.values()),
    )
    found: dict[int, int] = {}
    for outlet_id, updated_at, decided_at, units in rows:
        if max(updated_at, decided_at) > since[outlet_id] and units > 0:
            found[outlet_id] = found.get(outlet_id, 0) + int(units)
    return found


def own_sales(tx: Tx, tenant_id: int, outlet_ids: Iterable[int], since: Mapping[int, int]) -> dict[int, int]:
    """Return {outlet: listings it sold by own orders placed after `since[outlet]`}, 0 where there is none."""
    wanted = list(outlet_ids)
    sales = sales_of(tx, tenant_id, {outlet_id: since[outlet_id] for outlet_id in wanted if outlet_id in since})
    return {outlet_id: sales[outlet_id].between(since[outlet_id]) if outlet_id in sales else 0 for outlet_id in wanted}
