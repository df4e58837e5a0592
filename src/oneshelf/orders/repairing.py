"""Books that differ, put right in sight: levels against their entries (I1), the ledger against what order lines hold (I3).

In: levels, entries, order lines. Out: one entry a correction that says from what to what, a line of the journal, dirty listings.
Tables it owns: none (entries go through the ledger's door). Never: changes or deletes an entry; overwrites a number without a word.
"""

from __future__ import annotations

import msgspec

from oneshelf.core.stock import Entry
from oneshelf.db.journal import close_task, note
from oneshelf.db.tx import Tx, next_values
from oneshelf.listings import dirty
from oneshelf.stock import ledger

from . import covering

_BUCKETS = ("reserved", "committed")


class Drift(msgspec.Struct, frozen=True):
    """What the lines of an order hold of a SKU at a location, and what its entries make; pieces of one bucket."""

    order_no: int
    sku: str
    location_id: str
    bucket: str
    lines: int
    entries: int

    def in_words(self, order: str) -> str:
        return f"order {order} holds {self.lines} {self.bucket} of {self.sku} at {self.location_id}, its entries make {self.entries}"


def drifted(tx: Tx, tenant_id: int) -> list[Drift]:
    """Return where the ledger and the order lines disagree; empty is right."""
    made = _held(
        tx,
        "SELECT order_no, sku, location_id, CAST(SUM(reserved) AS BIGINT), CAST(SUM(committed) AS BIGINT) FROM ledger_entry "
        "WHERE tenant_id = :t AND order_no IS NOT NULL GROUP BY order_no, sku, location_id "
        "HAVING SUM(reserved) <> 0 OR SUM(committed) <> 0",
        tenant_id,
    )
    held = _held(
        tx,
        "SELECT order_no, sku, location_id, CAST(SUM(reserved) AS BIGINT), CAST(SUM(committed) AS BIGINT) FROM order_line "
        "WHERE tenant_id = :t AND sku <> '' AND (reserved <> 0 OR committed <> 0) GROUP BY order_no, sku, location_id",
        tenant_id,
    )
    return [
        Drift(*where, bucket, lines, entries)
        for where in sorted(made.keys() | held.keys())
        for bucket, lines, entries in zip(_BUCKETS, held.get(where, (0, 0)), made.get(where, (0, 0)), strict=True)
        if lines != entries
    ]


def _held(tx: Tx, sql: str, tenant_id: int) -> dict[tuple[int, str, str], tuple[int, int]]:
    return {(row[0], row[1], row[2]): (row[3], row[4]) for row in tx.all(sql, t=tenant_id)}


def order_names(tx: Tx, tenant_id: int, found: list[Drift]) -> dict[int, str]:
    rows = tx.all(
        "SELECT order_no, order_id FROM orders WHERE tenant_id = :t AND order_no {in:these}",
        t=tenant_id,
        these=sorted({one.order_no for one in found}),
    )
    return dict(rows)  # type: ignore[arg-type]


def repair(tx: Tx, tenant_id: int, now: int, *, by: str) -> list[str]:
    """Put right what differs in our own books; returns each correction in words. Done twice it does nothing the second time.

    1. Levels are set back to the sums of their entries, and an entry that moves nothing says so.  2. What an order's entries make more or
    less than its lines hold is made up by an entry of its own.  3. Coverage and listings follow, the shop is read again.
    """
    said: list[str] = []
    entries: list[Entry] = []
    levels = ledger.differences(tx, tenant_id)
    ledger.set_to_sums(tx, tenant_id, levels)
    for sku, location_id, bucket, level, total in levels:
        words = f"{bucket} was {level}, its entries make {total}"
        said.append(f"{sku} at {location_id}: {words}")
        reason = "level set back to the sum of its entries"
        entries.append(Entry(_key(tx, tenant_id), sku, location_id, reason, source=f"{by}: {words}"))
    drifts = drifted(tx, tenant_id)
    names = order_names(tx, tenant_id, drifts)
    for one in drifts:
        words = one.in_words(names.get(one.order_no, str(one.order_no)))
        said.append(words)
        entry = Entry(
            _key(tx, tenant_id),
            one.sku,
            one.location_id,
            "made up to what its order holds",
            source=f"{by}: {words}",
            order_no=one.order_no,
        )
        entries.append(msgspec.structs.replace(entry, **{one.bucket: one.lines - one.entries}))
    ledger.post(tx, tenant_id, entries, now)
    skus = sorted(ledger.skus_of(entries))
    if skus:
        covering.recompute(tx, tenant_id, skus, now)
        dirty.mark(tx, tenant_id, skus, now, "books put right")
        tx.run("UPDATE hub_level SET wanted = 1 WHERE tenant_id = :t AND sku {in:skus}", t=tenant_id, skus=skus)
        close_task(tx, tenant_id, now, "books_differ", "")
    for entry, words in zip(entries, said, strict=True):
        note(tx, tenant_id, now, by, "The books were put right", f"sku:{entry.sku}", entry=entry.key, was=words)
    return said


def _key(tx: Tx, tenant_id: int) -> str:
    return f"repair:{next_values(tx, tenant_id, 'repair')[0]}"
