"""Which hub copies still wait to be released to fulfilment, and why (SEMANTICS 6.5, 6.6).

In: an order that now stands in the hub. Out: a row until its pieces are released; publish/releasing decides, imports carries holds out.
Tables it owns: release. Never: decides; holds what may leave at once.
"""

from __future__ import annotations

from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx

HOLD = "hold_copy"
RELEASE = "release_copy"
#: S6.5: nobody waits longer than this for channels that can't be heard.
WAIT_S_MAX = 30 * 60


def want(tx: Tx, tenant_id: int, order_no: int, now: int) -> None:
    """This order stands in the hub: it is to be released when it may be. Once an order."""
    tx.run(
        "INSERT INTO release (tenant_id, order_no, state, since_at) VALUES (:t, :o, 'NEW', :now) ON CONFLICT (tenant_id, order_no) DO NOTHING",
        t=tenant_id,
        o=order_no,
        now=now,
    )


def waiting(tx: Tx, tenant_id: int, limit: int) -> list[tuple[int, str, int]]:
    """Return (order number, NEW or HELD, since when) of those that are not released yet, the newest news first.

    One that is held and short is left out: it can't leave before its coverage changes, and would stand in the way of those that can.
    """
    return [
        (row[0], row[1], row[2])
        for row in tx.all(
            """SELECT r.order_no, r.state, r.since_at FROM release r WHERE r.tenant_id = :t AND r.state IN ('NEW', 'HELD')
                  AND (r.state = 'NEW' OR NOT EXISTS (
                      SELECT 1 FROM order_line l WHERE l.tenant_id = r.tenant_id AND l.order_no = r.order_no
                         AND l.coverage = 'SHORT' AND l.state IN ('O', 'M')))
                ORDER BY r.state DESC, r.order_no LIMIT :n""",
            t=tenant_id,
            n=limit,
        )
    ]


def became(tx: Tx, tenant_id: int, order_no: int, state: str, now: int, why: str = "") -> None:
    """Keep where it stands: HELD, RELEASED (with why it might be), or OVER (nothing of it is open any more)."""
    tx.run(
        "UPDATE release SET state = :s, why = :w, released_at = CASE WHEN :s IN ('RELEASED', 'OVER') THEN CAST(:now AS BIGINT) END "
        "WHERE tenant_id = :t AND order_no = :o",
        t=tenant_id,
        o=order_no,
        s=state,
        w=why,
        now=now,
    )


def state_of(tx: Tx, tenant_id: int, order_no: int) -> str | None:
    row = tx.one("SELECT state FROM release WHERE tenant_id = :t AND order_no = :o", t=tenant_id, o=order_no)
    return None if row is None else row[0]


def waited_long(since_at: int, now: int) -> bool:
    return now - since_at >= WAIT_S_MAX * SECOND
