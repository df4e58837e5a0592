"""An outlet may owe the world a price. As listings/dirty, for prices: cleared by generation, never by time.

Tables it owns: price_mark. Never: looks whether the price is right already; publish does.
"""

from __future__ import annotations

from collections.abc import Iterable

from oneshelf.db.tx import Tx
from oneshelf.listings.owed import Marks

_MARKS = Marks("price_mark")
mark_outlets = _MARKS.mark_outlets
clear = _MARKS.clear
taken = _MARKS.taken
reread_taken = _MARKS.reread_taken


def mark(tx: Tx, tenant_id: int, skus: Iterable[str], now: int, why: str) -> None:
    """Mark every outlet of these SKUs at accounts that follow. One that is marked already gets a new generation and keeps its age."""
    wanted = sorted(set(skus))
    if not wanted:
        return
    # CROSS JOIN: SQLite joins in the order written, so it begins with the few links of these SKUs and not with every outlet.
    rows = tx.all(
        """SELECT DISTINCT o.outlet_id FROM link k CROSS JOIN outlet o CROSS JOIN price_policy p
            WHERE k.tenant_id = :t AND k.sku {in:skus} AND o.tenant_id = k.tenant_id AND o.outlet_id = k.outlet_id
              AND p.tenant_id = o.tenant_id AND p.account_id = o.account_id AND p.mode = 'follow'
              AND o.fulfilled_by_channel = 0 AND o.state NOT IN ('ended', 'draft', 'gone') ORDER BY o.outlet_id""",
        t=tenant_id,
        skus=wanted,
    )
    mark_outlets(tx, tenant_id, [outlet_id for (outlet_id,) in rows], now, why)


def mark_account(tx: Tx, tenant_id: int, account_id: int, now: int, why: str) -> int:
    """Mark every outlet of an account whose price is ours to tell, to be read first. Returns how many."""
    rows = tx.all(
        """SELECT DISTINCT o.outlet_id FROM outlet o
             JOIN link k ON k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id
            WHERE o.tenant_id = :t AND o.account_id = :a AND o.fulfilled_by_channel = 0
              AND o.state NOT IN ('ended', 'draft', 'gone') ORDER BY o.outlet_id""",
        t=tenant_id,
        a=account_id,
    )
    mark_outlets(tx, tenant_id, [row[0] for row in rows], now, why, reread=True)
    return len(rows)


def look_again(tx: Tx, tenant_id: int, outlet_ids: Iterable[int]) -> None:
    """Marks of these, if there are any, are news once more: what they were set for may have come while a call was out."""
    tx.run(
        "UPDATE price_mark SET taken = 0 WHERE tenant_id = :t AND outlet_id {in:ids}",
        t=tenant_id,
        ids=list(outlet_ids),
    )
