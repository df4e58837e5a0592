"""What the ledger and the journal say of the past: entries, levels at a moment, what happened.

In: a SKU, a moment. Out: rows for people and machines. Tables: reads ledger_entry, stock_level, journal. Never: changes a row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from oneshelf.core.instants import iso
from oneshelf.db.tx import Tx

from .listing import StockRow, stock_rows


class Entry(msgspec.Struct, frozen=True):
    """One entry of the ledger: changes of the buckets in pieces. Never changed, never deleted. Instants as ISO 8601, UTC."""

    entry_no: int
    key: str
    sku: str
    location_id: str
    on_hand: int
    committed: int
    reserved: int
    unavailable: int
    incoming: int
    reason: str
    source: str
    order_no: int | None
    posted_at: str


def entries(
    tx: Tx, tenant_id: int, *, sku: str | None = None, before: int | None = None, limit: int = 50
) -> list[Entry]:
    """Return entries, the newest first; those `before` an entry's number."""
    rows = tx.all(
        """SELECT entry_no, entry_key, sku, location_id, on_hand, committed, reserved, unavailable, incoming, reason, source, order_no,
                  posted_at
             FROM ledger_entry WHERE tenant_id = :t AND (CAST(:sku AS TEXT) IS NULL OR sku = :sku)
              AND (CAST(:before AS BIGINT) IS NULL OR entry_no < :before) ORDER BY entry_no DESC LIMIT :n""",
        t=tenant_id,
        sku=sku,
        before=before,
        n=limit,
    )
    return [Entry(*(*row[:12], iso(row[12]) or "")) for row in rows]


def stock_rows_at(
    tx: Tx,
    tenant_id: int,
    at: int,
    *,
    sku: str | None = None,
    prefix: str = "",
    after: Sequence[str] | None = None,
    limit: int = 200,
) -> list[StockRow]:
    """Return the levels as they were at a moment (microseconds UTC), the entries of that moment among them: the sums of the ledger up to
    it. A SKU that had no entry yet stood at 0. Names are today's."""
    today = stock_rows(tx, tenant_id, sku=sku, prefix=prefix, after=after, limit=limit)
    sums = {
        (row[0], row[1]): tuple(map(int, row[2:]))
        for row in tx.all(
            """SELECT sku, location_id, SUM(on_hand), SUM(committed), SUM(reserved), SUM(unavailable), SUM(incoming)
                 FROM ledger_entry WHERE tenant_id = :t AND sku {in:skus} AND posted_at <= :at GROUP BY sku, location_id""",
            t=tenant_id,
            skus=sorted({row.sku for row in today}),
            at=at,
        )
    }
    return [_as_it_was(row, sums.get((row.sku, row.location_id), (0, 0, 0, 0, 0))) for row in today]


def _as_it_was(row: StockRow, sums: tuple[int, ...]) -> StockRow:
    on_hand, committed, reserved, unavailable, incoming = sums
    return msgspec.structs.replace(
        row,
        on_hand=on_hand,
        committed=committed,
        reserved=reserved,
        unavailable=unavailable,
        incoming=incoming,
        available=on_hand - committed - reserved - unavailable,
    )


class JournalLine(msgspec.Struct, frozen=True):
    """One line of the audit trail: what happened, by whom, to what. Instants as ISO 8601, UTC."""

    line_no: int
    at: str
    by: str
    what: str
    subject: str
    detail: dict[str, Any]


def journal(
    tx: Tx, tenant_id: int, *, subject: str | None = None, before: int | None = None, limit: int = 50
) -> list[JournalLine]:
    """Return lines, the newest first; of one subject (`sku:MUG`, `order:7`); those `before` a line's number."""
    rows = tx.all(
        """SELECT line_no, at, actor, what, subject, detail FROM journal
            WHERE tenant_id = :t AND (CAST(:subject AS TEXT) IS NULL OR subject = :subject)
              AND (CAST(:before AS BIGINT) IS NULL OR line_no < :before) ORDER BY line_no DESC LIMIT :n""",
        t=tenant_id,
        subject=subject,
        before=before,
        n=limit,
    )
    return [JournalLine(no, iso(at) or "", by, what, of, json.loads(detail)) for no, at, by, what, of, detail in rows]


class AttemptOfList(msgspec.Struct, frozen=True):
    """One try to tell a listing its number: sent, accepted, seen are three things. Instants as ISO 8601, UTC."""

    attempt_no: int
    quantity: int
    was: int | None
    sent_at: str
    accepted_at: str | None
    seen_at: str | None
    outcome: str
    reason: str


def attempts(
    tx: Tx, tenant_id: int, outlet_id: int, *, until: int | None = None, before: int | None = None, limit: int = 50
) -> list[AttemptOfList]:
    """Return tries of one outlet, the newest first; those begun by `until` (microseconds UTC), and `before` a try's number."""
    rows = tx.all(
        """SELECT attempt_no, quantity, was, started_at, accepted_at, seen_at, outcome, reason FROM attempt
            WHERE tenant_id = :t AND outlet_id = :o AND (CAST(:until AS BIGINT) IS NULL OR started_at <= :until)
              AND (CAST(:before AS BIGINT) IS NULL OR attempt_no < :before) ORDER BY attempt_no DESC LIMIT :n""",
        t=tenant_id,
        o=outlet_id,
        until=until,
        before=before,
        n=limit,
    )
    return [
        AttemptOfList(no, quantity, was, iso(sent) or "", iso(accepted), iso(seen), outcome, reason)
        for no, quantity, was, sent, accepted, seen, outcome, reason in rows
    ]
