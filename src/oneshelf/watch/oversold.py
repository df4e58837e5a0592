"""Oversold pieces by cause (SEMANTICS 13.1), from what is stored: who bought first, when we heard of it, what we told meanwhile.

The last piece goes at d at instant x; c accepts another at t. *window*: c sold before we could have heard and told it. *late*: we had
the time. *race*: our own write had put the piece back. *hand*: somebody edited the channel's number.
"""

from __future__ import annotations

import msgspec

from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx
from oneshelf.stock.levels import available_of

#: S13.1: from the first news of x, so long may pass before c must have refused, beside c's own time to apply.
TELL_WITHIN_S = 5
#: How long a channel may take to apply a write that it accepted, until measured. S0.8
APPLY_S = {"shopify": 2, "amazon": 120, "ebay": 10, "etsy": 5}


class Oversold(msgspec.Struct):
    """Pieces oversold, by cause."""

    window: int = 0
    late: int = 0
    race: int = 0
    hand: int = 0


class ShortLine(msgspec.Struct, frozen=True):
    """An order line that nothing on hand stands behind."""

    order_no: int
    account_id: int
    channel: str
    sku: str
    outlet_id: int
    pieces: int
    placed_at: int


def by_cause(tx: Tx, tenant_id: int) -> Oversold:
    """Count the pieces of all lines that are SHORT now, each under its cause."""
    counts = Oversold()
    for line in short_lines(tx, tenant_id):
        cause = cause_of(tx, tenant_id, line)
        setattr(counts, cause, getattr(counts, cause) + line.pieces)
    return counts


def short_lines(tx: Tx, tenant_id: int) -> list[ShortLine]:
    rows = tx.all(
        """SELECT l.order_no, l.account_id, a.channel, l.sku, l.outlet_id, l.reserved + l.committed, o.placed_at
             FROM order_line l JOIN orders o ON o.tenant_id = l.tenant_id AND o.order_no = l.order_no
             JOIN account a ON a.tenant_id = l.tenant_id AND a.account_id = l.account_id
            WHERE l.tenant_id = :t AND l.coverage = 'SHORT' ORDER BY o.placed_at""",
        t=tenant_id,
    )
    short = [ShortLine(*row) for row in rows]
    k = available_of(tx, tenant_id, {line.sku for line in short})
    return [line for line in short if k[line.sku] < 0]


def cause_of(tx: Tx, tenant_id: int, line: ShortLine) -> str:
    """Return window, late, race or hand for one short line."""
    sold_out = _last_piece(tx, tenant_id, line)
    if sold_out is None:
        return "hand" if _was_edited(tx, tenant_id, line) else "window"
    heard_at = sold_out
    if line.placed_at <= heard_at + (TELL_WITHIN_S + APPLY_S[line.channel]) * SECOND:
        return "race" if _we_raised(tx, tenant_id, line, heard_at) else "window"
    if _we_raised(tx, tenant_id, line, heard_at):
        return "race"
    return "late"


def _last_piece(tx: Tx, tenant_id: int, line: ShortLine) -> int | None:
    """When we first heard of the sale elsewhere that took the last piece: the newest earlier purchase of the SKU on another account."""
    row = tx.one(
        """SELECT o.received_at FROM order_line l JOIN orders o ON o.tenant_id = l.tenant_id AND o.order_no = l.order_no
            WHERE l.tenant_id = :t AND l.sku = :s AND l.account_id <> :a AND l.coverage = 'COVERED' AND o.placed_at <= :at
            ORDER BY o.placed_at DESC LIMIT 1""",
        t=tenant_id,
        s=line.sku,
        a=line.account_id,
        at=line.placed_at,
    )
    return None if row is None else int(row[0])


def _we_raised(tx: Tx, tenant_id: int, line: ShortLine, since: int) -> bool:
    """Whether a write of ours above 0 reached this outlet after the last piece was sold: it put the piece back on sale."""
    row = tx.one(
        "SELECT 1 FROM attempt WHERE tenant_id = :t AND outlet_id = :o AND quantity > 0 AND started_at > :since AND started_at <= :at",
        t=tenant_id,
        o=line.outlet_id,
        since=since,
        at=line.placed_at,
    )
    return row is not None


def _was_edited(tx: Tx, tenant_id: int, line: ShortLine) -> bool:
    row = tx.one(
        "SELECT 1 FROM ledger_entry WHERE tenant_id = :t AND sku = :s AND on_hand < 0 AND entry_key LIKE 'edit:%'",
        t=tenant_id,
        s=line.sku,
    )
    return row is not None
