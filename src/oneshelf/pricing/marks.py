"""An outlet may owe the world a price. As listings/dirty, for prices: cleared by generation, never by time.

Tables it owns: price_mark. Never: looks whether the price is right already; publish does.
"""

from __future__ import annotations

from collections.abc import Iterable

from oneshelf.db.tx import Tx


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


def mark_outlets(
    tx: Tx, tenant_id: int, outlet_ids: Iterable[int], now: int, why: str, *, reread: bool = False
) -> None:
    """Mark these outlets. `reread`: what we believe they ask is out of date; read before anything is decided."""
    tx.many(
        """INSERT INTO price_mark (tenant_id, outlet_id, generation, since_at, why, reread) VALUES (?, ?, 1, ?, ?, ?)
           ON CONFLICT (tenant_id, outlet_id) DO UPDATE SET generation = price_mark.generation + 1,
               reread = CASE WHEN excluded.reread = 1 THEN 1 ELSE price_mark.reread END""",
        [(tenant_id, outlet_id, now, why, int(reread)) for outlet_id in outlet_ids],
    )


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


def clear(tx: Tx, tenant_id: int, outlet_id: int, generation: int) -> bool:
    """Clear a mark if it is still of this generation. False: it was marked again meanwhile and stays."""
    return (
        tx.run(
            "DELETE FROM price_mark WHERE tenant_id = :t AND outlet_id = :o AND generation = :g",
            t=tenant_id,
            o=outlet_id,
            g=generation,
        )
        == 1
    )


def taken(tx: Tx, tenant_id: int, outlet_ids: Iterable[int]) -> None:
    """These marks, as they stand now, have been looked at; what is set from now on is news."""
    tx.run(
        "UPDATE price_mark SET taken = generation WHERE tenant_id = :t AND outlet_id {in:ids} AND generation > taken",
        t=tenant_id,
        ids=list(outlet_ids),
    )


def look_again(tx: Tx, tenant_id: int, outlet_ids: Iterable[int]) -> None:
    """Marks of these, if there are any, are news once more: what they were set for may have come while a call was out."""
    tx.run(
        "UPDATE price_mark SET taken = 0 WHERE tenant_id = :t AND outlet_id {in:ids}",
        t=tenant_id,
        ids=list(outlet_ids),
    )


def reread_taken(tx: Tx, tenant_id: int, outlet_ids: Iterable[int]) -> None:
    """A read of these outlets is on its way: the wish to read them is granted. One that comes from now on is a new wish."""
    tx.run(
        "UPDATE price_mark SET reread = 0 WHERE tenant_id = :t AND outlet_id {in:ids} AND reread = 1",
        t=tenant_id,
        ids=list(outlet_ids),
    )
