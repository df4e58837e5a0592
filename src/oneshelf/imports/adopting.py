"""Holds that were made after a backup and forgotten when it was put back (SEMANTICS 9.5; RELIABILITY F11).

In: what the hub reserves beyond what the copy of the ledger knows, by the first read of a level after the restore. Out: claims that have their
pieces without a second call; a task for what nobody claims.
Tables it owns: none (claim and hub_level are written as their rooms do; entries go through the ledger's door).
Never: gives back pieces in the hub that may be somebody else's.

A key of its own for each call does not help here: the restored ledger makes its batches anew, of other members. So the first read of a level takes
everything reserved there that we know nothing of as foreign (the safe side: it is not on sale), and a claim that is owed a hold takes its
pieces out of that before it asks the hub for any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from oneshelf.core.instants import SECOND
from oneshelf.core.stock import Entry
from oneshelf.db.backup import restored_at
from oneshelf.db.journal import close_task, open_task
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty
from oneshelf.orders import covering
from oneshelf.orders.claims import ClaimRow
from oneshelf.stock import ledger
from oneshelf.stock.levels import levels_of

#: The reason of entries that put reserved pieces into what is to be claimed, and that take them out.
SINCE_BACKUP = "reserved in Shopify since the backup"
#: What nobody has claimed so long after a restore is a person's to look at, seconds: every channel was heard by then.
UNCLAIMED_AFTER_S = 600
TASK = "reserved_since_backup"


def begin(tx: Tx, tenant_id: int) -> None:
    """After a restore no level of the hub is known: each is read, and until then nothing is held there or imported from there."""
    tx.run("UPDATE hub_level SET read_at = 0, wanted = 1 WHERE tenant_id = :t", t=tenant_id)


def waits_for_read(tx: Tx, tenant_id: int, claims: Iterable[ClaimRow]) -> bool:
    """Whether one of these claims is for a level that was not read since a restore."""
    if restored_at(tx, tenant_id) is None:
        return False
    return any(
        tx.one(
            "SELECT 1 FROM hub_level WHERE tenant_id = :t AND sku = :s AND location_id = :l AND read_at = 0 AND wanted = 1",
            t=tenant_id,
            s=claim.sku,
            l=claim.location_id,
        )
        for claim in claims
    )


def is_first_read(tx: Tx, tenant_id: int, sku: str, location_id: str) -> bool:
    """Whether a level is being read for the first time after a restore."""
    if restored_at(tx, tenant_id) is None:
        return False
    row = tx.one(
        "SELECT read_at FROM hub_level WHERE tenant_id = :t AND sku = :s AND location_id = :l",
        t=tenant_id,
        s=sku,
        l=location_id,
    )
    return row is not None and row[0] == 0


def adopt(tx: Tx, tenant_id: int, claim: ClaimRow, pieces: int, mark: str, now: int) -> int:
    """Let a claim that is owed `pieces` take as many as are reserved for nobody known; return how many. `claim.held` has them then; saving
    it is the caller's. `mark`: tells this adoption from others of the same level."""
    taken = min(pieces, _unclaimed(tx, tenant_id, claim.sku, claim.location_id))
    if taken <= 0:
        return 0
    entry = Entry(
        key=f"edit:{claim.sku}:{claim.location_id}:adopted:{mark}",
        sku=claim.sku,
        location_id=claim.location_id,
        reason=SINCE_BACKUP,
        reserved=-taken,
        foreign_reserved=-taken,
        source="Shopify",
    )
    ledger.post(tx, tenant_id, [entry], now)
    dirty.mark(tx, tenant_id, [claim.sku], now, SINCE_BACKUP)
    covering.recompute(tx, tenant_id, [claim.sku], now)
    claim.held += taken
    return taken


def _unclaimed(tx: Tx, tenant_id: int, sku: str, location_id: str) -> int:
    """Pieces that the hub reserved between backup and restore, and that no claim has taken; the hub may have given some of them back."""
    if restored_at(tx, tenant_id) is None:
        return 0
    level = levels_of(tx, tenant_id, [sku]).get((sku, location_id))
    if level is None or level.foreign_reserved <= 0:
        return 0
    row = tx.one(
        "SELECT CAST(COALESCE(SUM(foreign_reserved), 0) AS BIGINT) FROM ledger_entry "
        "WHERE tenant_id = :t AND sku = :s AND location_id = :l AND reason = :r",
        t=tenant_id,
        s=sku,
        l=location_id,
        r=SINCE_BACKUP,
    )
    assert row is not None
    return max(0, min(int(row[0]), level.foreign_reserved))


def tell_of_unclaimed(tx: Tx, tenant_id: int, now: int) -> None:
    """Leave to a person what nobody has claimed in UNCLAIMED_AFTER_S: nobody but a person knows whose it is."""
    since = restored_at(tx, tenant_id)
    if since is None or now < since + UNCLAIMED_AFTER_S * SECOND:
        return
    left: dict[str, list[str]] = {
        sku: []
        for (sku,) in tx.all(
            "SELECT subject FROM task WHERE tenant_id = :t AND kind = :k AND closed_at IS NULL", t=tenant_id, k=TASK
        )
    }
    there: Counter[str] = Counter()
    for sku, location_id, name in tx.all(
        """SELECT s.sku, s.location_id, l.name FROM stock_level s JOIN location l ON l.tenant_id = s.tenant_id AND l.location_id = s.location_id
            WHERE s.tenant_id = :t AND s.foreign_reserved > 0 ORDER BY s.sku, l.priority, s.location_id""",
        t=tenant_id,
    ):
        if pieces := _unclaimed(tx, tenant_id, sku, location_id):
            there[sku] += pieces
            left.setdefault(sku, []).append(f"{pieces} at {name}")
    for sku, places in left.items():
        if places:
            what = f"Give {there[sku]} reserved {sku} back in Shopify, if nobody there reserved them"
            why = (
                f"Reserved after the backup that was put back, and no order asks for them: {', '.join(places)}. Meanwhile they are "
                "not on sale"
            )
            open_task(tx, tenant_id, now, TASK, sku, what, why)
        else:
            close_task(tx, tenant_id, now, TASK, sku)
