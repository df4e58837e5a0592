"""A listing is dirty: it owes the world a number. Marks carry a generation and are cleared by it, never by time."""

from __future__ import annotations

from collections.abc import Iterable

from oneshelf.db.tx import Tx

#: An outlet takes a quantity from us only if it is one of ours to write: linked, not fulfilled by the channel, not the hub.
_OURS = """o.tenant_id = :t AND o.fulfilled_by_channel = 0 AND o.state NOT IN ('ended', 'draft', 'gone') AND a.channel <> 'shopify'
           AND a.state IN ('PREVIEWED', 'LIVE', 'PAUSED', 'MATCHED', 'CONNECTED')"""


def mark(tx: Tx, tenant_id: int, skus: Iterable[str], now: int, why: str) -> None:
    """Mark every outlet of these SKUs dirty. One that is dirty already gets a new generation and keeps its age."""
    wanted = sorted(set(skus))
    if not wanted:
        return
    # CROSS JOIN: SQLite joins in the order written, so it begins with the few links of these SKUs and not with every outlet.
    tx.run(
        f"""INSERT INTO dirty_listing (tenant_id, outlet_id, generation, since_at, why)
            SELECT DISTINCT o.tenant_id, o.outlet_id, 1, CAST(:now AS BIGINT), CAST(:why AS TEXT)
              FROM link k CROSS JOIN outlet o CROSS JOIN account a
             WHERE k.tenant_id = :t AND k.sku {{in:skus}} AND o.outlet_id = k.outlet_id
               AND a.tenant_id = o.tenant_id AND a.account_id = o.account_id AND {_OURS}
            ON CONFLICT (tenant_id, outlet_id) DO UPDATE SET generation = dirty_listing.generation + 1""",
        t=tenant_id,
        skus=wanted,
        now=now,
        why=why,
    )


def mark_outlets(
    tx: Tx, tenant_id: int, outlet_ids: Iterable[int], now: int, why: str, *, reread: bool = False
) -> None:
    """Mark these outlets dirty, whatever their SKU did (a rule changed, a repair is due).

    `reread`: what we believe they show is out of date; read before anything is decided (S8.5, S9.1).
    """
    tx.many(
        """INSERT INTO dirty_listing (tenant_id, outlet_id, generation, since_at, why, reread) VALUES (?, ?, 1, ?, ?, ?)
           ON CONFLICT (tenant_id, outlet_id) DO UPDATE SET generation = dirty_listing.generation + 1,
               reread = CASE WHEN excluded.reread = 1 THEN 1 ELSE dirty_listing.reread END""",
        [(tenant_id, outlet_id, now, why, int(reread)) for outlet_id in outlet_ids],
    )


def clear(tx: Tx, tenant_id: int, outlet_id: int, generation: int) -> bool:
    """Clear a mark if it is still of this generation. False: it was marked again meanwhile and stays."""
    return (
        tx.run(
            "DELETE FROM dirty_listing WHERE tenant_id = :t AND outlet_id = :o AND generation = :g",
            t=tenant_id,
            o=outlet_id,
            g=generation,
        )
        == 1
    )


def taken(tx: Tx, tenant_id: int, outlet_ids: Iterable[int]) -> None:
    """These marks, as they stand now, have been looked at; what is set from now on is news."""
    tx.run(
        "UPDATE dirty_listing SET taken = generation WHERE tenant_id = :t AND outlet_id {in:ids} AND generation > taken",
        t=tenant_id,
        ids=list(outlet_ids),
    )


def reread_taken(tx: Tx, tenant_id: int, outlet_ids: Iterable[int]) -> None:
    """A read of these outlets is on its way: the wish to read them is granted. One that comes from now on is a new wish."""
    tx.run(
        "UPDATE dirty_listing SET reread = 0 WHERE tenant_id = :t AND outlet_id {in:ids} AND reread = 1",
        t=tenant_id,
        ids=list(outlet_ids),
    )
