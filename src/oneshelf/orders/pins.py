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
