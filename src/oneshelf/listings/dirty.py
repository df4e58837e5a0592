"""A listing is dirty: it owes the world a number. Marks carry a generation and are cleared by it, never by time."""

from __future__ import annotations

from collections.abc import Iterable

from oneshelf.db.tx import Tx

from .owed import Marks

_MARKS = Marks("dirty_listing")
mark_outlets = _MARKS.mark_outlets
clear = _MARKS.clear
taken = _MARKS.taken
reread_taken = _MARKS.reread_taken

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


def accounts_marked(tx: Tx, tenant_id: int) -> list[int]:
    """Return the accounts with an outlet that was marked since its publisher last looked."""
    rows = tx.all(
        # CROSS JOIN: the few that are marked first. SQLite would begin with all listings, at each batch that is booked.
        """SELECT DISTINCT o.account_id FROM dirty_listing d CROSS JOIN outlet o
            WHERE d.tenant_id = :t AND d.generation > d.taken AND o.tenant_id = d.tenant_id AND o.outlet_id = d.outlet_id""",
        t=tenant_id,
    )
    return [account_id for (account_id,) in rows]
