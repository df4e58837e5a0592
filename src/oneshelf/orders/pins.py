"""A merchant's word on who gets the pieces: a line pinned goes first, a line given up goes last (SEMANTICS 6.7).

In: a line and the word. Out: coverage walked anew; an entry in the ledger that moves nothing, a line in the audit trail. Never: displaces what is released or shipped (I8).
"""

from __future__ import annotations

from typing import Literal

from oneshelf.core.stock import Entry
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.stock import ledger

from . import covering

#: 1: COVERED before all that are not pinned. 0: by the time of purchase. -1: given up, after all others.
Pin = Literal[1, 0, -1]

_REASONS = {1: "pinned", 0: "pin taken back", -1: "given up"}
_WORDS = {1: "A line was pinned", 0: "A line's pin was taken back", -1: "A line was given up"}


def pin(tx: Tx, tenant_id: int, order_no: int, line_id: str, sku: str, word: Pin, now: int, *, by: str) -> None:
    """Pin one SKU of a line, or give it up, or take either back. Raises ValueError if there is no such line."""
    changed = tx.run(
        "UPDATE order_line SET pin = :p WHERE tenant_id = :t AND order_no = :o AND line_id = :l AND sku = :s",
        p=word,
        t=tenant_id,
        o=order_no,
        l=line_id,
        s=sku,
    )
    if not changed:
        raise ValueError(f"order {order_no} has no line {line_id} of {sku}")
    row = tx.one(
        "SELECT account_id, order_id, location_id FROM order_line WHERE tenant_id = :t AND order_no = :o AND line_id = :l AND sku = :s",
        t=tenant_id,
        o=order_no,
        l=line_id,
        s=sku,
    )
    assert row is not None
    said_before = tx.one(
        f"SELECT COUNT(*) FROM ledger_entry WHERE tenant_id = :t AND order_no = :o AND sku = :s AND reason IN {tuple(_REASONS.values())}",
        t=tenant_id,
        o=order_no,
        s=sku,
    )
    assert said_before is not None
    key = f"pin:{row[0]}/{row[1]}/{line_id}/{sku}:{said_before[0] + 1}"
    entry = Entry(key=key, sku=sku, location_id=row[2], reason=_REASONS[word], source=by, order_no=order_no)
    ledger.post(tx, tenant_id, [entry], now)
    note(tx, tenant_id, now, by, _WORDS[word], f"order:{order_no}", line=line_id, sku=sku)
    covering.recompute(tx, tenant_id, [sku], now)


def pin_line(
    tx: Tx, tenant_id: int, order_name: str, line_id: str, word: Pin, now: int, *, by: str, account_id: int = 0
) -> str:
    """Pin a line of an order by the id or number that its channel shows (`line_id` '': its only line; `account_id` 0: of any account).
    Returns what happens, in words.

    Raises LookupError if there is no such order or line, or several; ValueError if nothing of it waits for pieces any more.
    """
    rows = tx.all(
        """SELECT l.order_no, l.line_id, l.sku, l.state, l.order_id FROM orders o
             JOIN order_line l ON l.tenant_id = o.tenant_id AND l.order_no = o.order_no
            WHERE o.tenant_id = :t AND (o.order_id = :n OR o.number = :n) AND o.standing = 'live' AND l.sku <> ''
              AND (:a = 0 OR o.account_id = :a)
            ORDER BY l.order_no, l.line_id, l.sku""",
        t=tenant_id,
        n=order_name,
        a=account_id,
    )
    if len({row[0] for row in rows}) != 1:
        raise LookupError(
            f"there {'are several orders' if rows else 'is no order'} {order_name}; give the id that its channel shows"
        )
    lines = sorted({row[1] for row in rows})
    if not line_id and len(lines) > 1:
        raise LookupError(f"say which line of order {order_name}: {', '.join(lines)}")
    chosen = [row for row in rows if row[1] == (line_id or lines[0])]
    if not chosen:
        raise LookupError(f"order {order_name} has no line {line_id}: {', '.join(lines)}")
    waiting = [row for row in chosen if row[3] in ("P", "O", "M")]
    if not waiting:
        raise ValueError(
            f"line {chosen[0][1]} of order {order_name} waits for no pieces: it is released, shipped or cancelled"
        )
    for order_no, line, sku, _, _ in waiting:
        pin(tx, tenant_id, order_no, line, sku, word, now, by=by)
    says = {
        1: "goes before all that are not pinned",
        0: "stands by its time of purchase again",
        -1: "gets pieces after all others",
    }
    return f"Line {chosen[0][1]} of order {chosen[0][4]} {says[word]}."
