"""Reads of the hub's levels, judged (SEMANTICS 0.3 to 0.5, 9.2, 9.3, 9.5).

An unexplained difference at the hub is always the merchant's: he works there. A lower read may be a web sale whose order has not
arrived: it is reserved at once and judged when the order feed is complete. A higher one waits for the feed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from oneshelf.channels.contract import HubLevel
from oneshelf.core.instants import SECOND
from oneshelf.core.stock import Level
from oneshelf.db.journal import open_task
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty
from oneshelf.orders import covering, intents
from oneshelf.orders.accounts import Account
from oneshelf.stock.levels import levels_of

from .expectation import expected, skus_of, want_reads
from .judge import Judge, Read, Told

__all__ = ["Read", "Told", "judge_read"]

#: Items one read call asks for at most: with a handful of locations each it stays within one query's cost.
ITEMS_A_READ = 50


def wanted_items(tx: Tx, tenant_id: int, limit: int = ITEMS_A_READ) -> list[str]:
    """Return the item ids that somebody wants read."""
    rows = tx.all(
        """SELECT i.item_id FROM hub_level h JOIN item i ON i.tenant_id = h.tenant_id AND i.sku = h.sku
            WHERE h.tenant_id = :t AND h.wanted = 1 AND i.item_id <> '' GROUP BY i.item_id ORDER BY MIN(h.read_at) LIMIT :limit""",
        t=tenant_id,
        limit=limit,
    )
    return [item_id for (item_id,) in rows]


def judge_read(tx: Tx, tenant_id: int, hub: Account, read: Read, now: int) -> Told:
    """Judge one read of some items at all their locations. Posts edits as facts; reserves what may be an unheard sale."""
    told = Told()
    skus = skus_of(tx, tenant_id, read.levels)
    by_sku: dict[str, list[HubLevel]] = {}
    for level in read.levels:
        if (sku := skus.get(level.item_id)) is not None:
            by_sku.setdefault(sku, []).append(level)
    known = levels_of(tx, tenant_id, by_sku)
    through = _complete_through(tx, tenant_id, hub)
    moved: set[str] = set()
    for sku, levels in by_sku.items():
        if Judge(tx, tenant_id, hub, sku, levels, read, through, now, told).judge(known):
            moved.add(sku)
    dirty.mark(tx, tenant_id, moved, now, "an edit in Shopify")
    covering.recompute(tx, tenant_id, moved, now)
    return told


def _complete_through(tx: Tx, tenant_id: int, hub: Account) -> int:
    """How far the hub's order feed is complete *and booked*; 0 while anything of it waits."""
    row = tx.one(
        """SELECT complete_through_at FROM feed f WHERE tenant_id = :t AND account_id = :a AND name = 'orders'
              AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.tenant_id = f.tenant_id AND i.state = 'NEW' AND i.account_id = f.account_id)
              AND NOT EXISTS (SELECT 1 FROM intent n WHERE n.tenant_id = f.tenant_id AND n.kind = 'fetch_order'
                              AND n.entity LIKE CAST(:a AS TEXT) || '/%' AND n.not_found < :most
                              AND n.state IN ('WAITING', 'SENDING', 'UNKNOWN'))""",
        t=tenant_id,
        most=intents.NOT_KNOWN_MAX,
        a=hub.account_id,
    )
    return 0 if row is None or row[0] is None else int(row[0])


def want_due_reads(tx: Tx, tenant_id: int, hub: Account) -> int:
    """Ask for the reads that can now be judged: differences and reservations that the feed is complete through."""
    through = _complete_through(tx, tenant_id, hub) - hub.skew_s * SECOND
    return tx.run(
        """UPDATE hub_level SET wanted = 1 WHERE tenant_id = :t AND wanted = 0 AND (
               (odd_since IS NOT NULL AND odd_since <= :through)
               OR EXISTS (SELECT 1 FROM provisional p WHERE p.tenant_id = hub_level.tenant_id AND p.sku = hub_level.sku
                          AND p.location_id = hub_level.location_id AND p.outlet_id = 0 AND p.state = 'OPEN' AND p.read_at <= :through))""",
        t=tenant_id,
        through=through,
    )


def give_up_reading(tx: Tx, tenant_id: int, item_ids: Iterable[str], now: int) -> None:
    """The hub no longer knows these items: stop asking, and tell a person (FC-E06)."""
    for sku, item_id in tx.all(
        "SELECT sku, item_id FROM item WHERE tenant_id = :t AND item_id {in:ids}", t=tenant_id, ids=sorted(item_ids)
    ):
        tx.run("UPDATE hub_level SET wanted = 0 WHERE tenant_id = :t AND sku = :s", t=tenant_id, s=sku)
        open_task(
            tx, tenant_id, now, "gone_from_hub", sku, f"Say what {sku} is now", f"Shopify no longer knows {item_id}"
        )


def compare_export(tx: Tx, tenant_id: int, hub: Account, levels: Sequence[HubLevel], asked_at: int) -> int:
    """S4.6: a bulk export is a hint. Every level that differs from what we expect is wanted for a read of its own; returns how many."""
    skus = skus_of(tx, tenant_id, levels)
    known = levels_of(tx, tenant_id, set(skus.values()))
    wanted = []
    for level in levels:
        sku = skus.get(level.item_id)
        if sku is None:
            continue
        ours = known.get((sku, level.location_id), Level())
        value = expected(tx, tenant_id, hub, sku, level.location_id, ours)
        if level.available != value or level.unavailable != ours.unavailable:
            wanted.append((sku, level.location_id))
    want_reads(tx, tenant_id, wanted)
    return len(wanted)
