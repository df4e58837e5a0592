"""The ledger's one door. Nothing else touches stock_level (I1, I17)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from oneshelf.core.errors import OneshelfError
from oneshelf.core.stock import Entry, Level
from oneshelf.db import events
from oneshelf.db.tx import Tx, next_values

Posted = Literal["posted", "already_done"]
#: The buckets of a level, in the order of its columns.
BUCKETS = ("on_hand", "committed", "reserved", "foreign_reserved", "unavailable", "incoming")


class InsufficientStock(OneshelfError):
    """Our own move asks for more pieces than are available; nothing was moved."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(
            f"{entry.sku} at {entry.location_id}: {entry.takes} asked for, fewer are available; nothing was moved."
        )
        self.entry = entry


_INSERT = """INSERT INTO ledger_entry (tenant_id, entry_key, entry_no, sku, location_id, on_hand, committed, reserved,
    foreign_reserved, unavailable, incoming, reason, source, order_no, posted_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""

_MOVE = """INSERT INTO stock_level (tenant_id, sku, location_id, on_hand, committed, reserved, foreign_reserved, unavailable, incoming)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant_id, sku, location_id) DO UPDATE SET
        on_hand = stock_level.on_hand + excluded.on_hand, committed = stock_level.committed + excluded.committed,
        reserved = stock_level.reserved + excluded.reserved,
        foreign_reserved = stock_level.foreign_reserved + excluded.foreign_reserved,
        unavailable = stock_level.unavailable + excluded.unavailable, incoming = stock_level.incoming + excluded.incoming"""


def post(tx: Tx, tenant_id: int, entries: Sequence[Entry], now: int) -> list[Posted]:
    """Post facts: write the entries, move the levels by their sums. Returns one answer an entry, in order.

    A key that was posted before changes nothing ("already_done"), also within the same call. Facts are never refused (S1.10).
    The caller marks the listings of the moved SKUs dirty in the same transaction (listings/dirty).
    """
    if not entries:
        return []
    known = {
        key
        for (key,) in tx.all(
            "SELECT entry_key FROM ledger_entry WHERE tenant_id = :tenant AND entry_key {in:keys}",
            tenant=tenant_id,
            keys=[entry.key for entry in entries],
        )
    }
    answers: list[Posted] = []
    fresh: list[Entry] = []
    for entry in entries:
        if entry.key in known:
            answers.append("already_done")
        else:
            known.add(entry.key)
            fresh.append(entry)
            answers.append("posted")
    _write(tx, tenant_id, fresh, now)
    return answers


def _write(tx: Tx, tenant_id: int, entries: list[Entry], now: int) -> None:
    if not entries:
        return
    numbers = next_values(tx, tenant_id, "ledger_entry", len(entries))
    moves: dict[tuple[str, str], Level] = {}
    for e in entries:
        where = (e.sku, e.location_id)
        move = moves.get(where)
        if move is None:
            move = moves[where] = Level()
        move.add(e)
    tx.many(_INSERT, [_row(tenant_id, entry_no, e, now) for entry_no, e in zip(numbers, entries, strict=True)])
    tx.many(
        _MOVE,
        # Sorted, so that two writers of one database would lock in the same order (D7b).
        [
            (
                tenant_id,
                sku,
                location_id,
                m.on_hand,
                m.committed,
                m.reserved,
                m.foreign_reserved,
                m.unavailable,
                m.incoming,
            )
            for (sku, location_id), m in sorted(moves.items())
        ],
    )
    moved = [{"sku": sku, "location": location_id} for sku, location_id in sorted(moves)]
    events.tell(tx, tenant_id, now, "stock.changed", moved)


def _row(tenant_id: int, entry_no: int, e: Entry, now: int) -> tuple[Any, ...]:
    """One row of ledger_entry, in the order of _INSERT."""
    return (
        tenant_id,
        e.key,
        entry_no,
        e.sku,
        e.location_id,
        e.on_hand,
        e.committed,
        e.reserved,
        e.foreign_reserved,
        e.unavailable,
        e.incoming,
        e.reason,
        e.source,
        e.order_no,
        now,
    )


def post_decision(tx: Tx, tenant_id: int, entry: Entry, now: int) -> Posted:
    """Post one decision of ours (a manual hold, a transfer): only if enough is available. Raises InsufficientStock.

    The guard is in the statement that moves the number, so no reading before it can be out of date. One that takes nothing is posted
    as a fact would be.
    """
    if entry.takes <= 0:
        return post(tx, tenant_id, [entry], now)[0]
    known = tx.one(
        "SELECT 1 FROM ledger_entry WHERE tenant_id = :tenant AND entry_key = :key", tenant=tenant_id, key=entry.key
    )
    if known:
        return "already_done"
    moved = tx.run(
        """UPDATE stock_level SET on_hand = on_hand + :on_hand, committed = committed + :committed,
                  reserved = reserved + :reserved, foreign_reserved = foreign_reserved + :foreign_reserved,
                  unavailable = unavailable + :unavailable, incoming = incoming + :incoming
            WHERE tenant_id = :tenant AND sku = :sku AND location_id = :location
              AND on_hand - committed - reserved - unavailable >= :takes""",
        tenant=tenant_id,
        sku=entry.sku,
        location=entry.location_id,
        on_hand=entry.on_hand,
        committed=entry.committed,
        reserved=entry.reserved,
        foreign_reserved=entry.foreign_reserved,
        unavailable=entry.unavailable,
        incoming=entry.incoming,
        takes=entry.takes,
    )
    if moved != 1:
        raise InsufficientStock(entry)
    entry_no = next_values(tx, tenant_id, "ledger_entry")[0]
    tx.many(_INSERT, [_row(tenant_id, entry_no, entry, now)])
    events.tell(tx, tenant_id, now, "stock.changed", [{"sku": entry.sku, "location": entry.location_id}])
    return "posted"


def differences(tx: Tx, tenant_id: int) -> list[tuple[str, str, str, int, int]]:
    """Return (sku, location, bucket, level, sum of entries) wherever they differ: the audit of I1. Empty is right."""
    columns = ", ".join(BUCKETS)
    sums = ", ".join(f"CAST(SUM({bucket}) AS BIGINT)" for bucket in BUCKETS)
    levels = {
        (row[0], row[1]): row[2:]
        for row in tx.all(f"SELECT sku, location_id, {columns} FROM stock_level WHERE tenant_id = :t", t=tenant_id)
    }
    entries = {
        (row[0], row[1]): row[2:]
        for row in tx.all(
            f"SELECT sku, location_id, {sums} FROM ledger_entry WHERE tenant_id = :t GROUP BY sku, location_id",
            t=tenant_id,
        )
    }
    nothing = (0,) * len(BUCKETS)
    found = []
    for where in sorted(levels.keys() | entries.keys()):
        for bucket, level, total in zip(BUCKETS, levels.get(where, nothing), entries.get(where, nothing), strict=True):
            if level != total:
                found.append((*where, bucket, level, total))
    return found


def set_to_sums(tx: Tx, tenant_id: int, found: Sequence[tuple[str, str, str, int, int]]) -> None:
    """Bring levels back to the sums of their entries, by what `differences` found in the same transaction. No entry is touched: whoever
    repairs posts one that says so."""
    moves: dict[tuple[str, str], dict[str, int]] = {}
    for sku, location_id, bucket, level, total in found:
        moves.setdefault((sku, location_id), {})[bucket] = total - level
    rows = [(tenant_id, *where, *(move.get(bucket, 0) for bucket in BUCKETS)) for where, move in sorted(moves.items())]
    tx.many(_MOVE, rows)


def skus_of(entries: Iterable[Entry]) -> set[str]:
    """The SKUs whose numbers these entries move."""
    return {entry.sku for entry in entries}
