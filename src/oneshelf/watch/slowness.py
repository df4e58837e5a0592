"""Are we slow? Our own two parts of the way, over the last hour (SEMANTICS 12.1): booking what was heard, telling what can't wait.

In: orders, attempts. Out: a task while one is too slow. Tables: reads orders, attempt. Never: counts the channel's own parts; judges a
few measurements; counts what may wait (a safe lower number, a raise).
"""

from __future__ import annotations

from oneshelf.core.instants import SECOND
from oneshelf.db.journal import close_task, open_task
from oneshelf.db.tx import Tx

from .latency import percentile

#: Over how long, and of how many measurements: at least, and the newest at most.
SPAN_S = 3_600
LEAST, MOST = 20, 5_000
#: S12.1: above these, in the slowest hundredth, a person is told.
DECIDE_S = 2.0
PUBLISH_S = 5.0
TASK = "ours_slow"


def look(tx: Tx, tenant_id: int, now: int) -> None:
    """Open or close the task of each of our two parts."""
    since = now - SPAN_S * SECOND
    decided = tx.all(
        "SELECT decided_at - received_at FROM orders WHERE tenant_id = :t AND placed_at >= :early AND received_at >= :since "
        "AND standing = 'live' ORDER BY placed_at DESC LIMIT :n",
        t=tenant_id,
        n=MOST,
        # Placed long before it was heard is rare, and the index is by the time of purchase.
        early=since - SPAN_S * SECOND,
        since=since,
    )
    # To zero, and from zero: what may never wait (priorities 1 and 3). What a budget made wait is in it: the buyer waited too.
    told = tx.all(
        """SELECT a.accepted_at - a.dirty_at FROM attempt a
             JOIN account c ON c.tenant_id = a.tenant_id AND c.account_id = a.account_id
            WHERE a.tenant_id = :t AND a.started_at >= :since AND a.accepted_at IS NOT NULL
              AND a.dirty_at IS NOT NULL AND ((a.quantity = 0 AND a.was > 0) OR (a.quantity > 0 AND a.was = 0))
            ORDER BY a.started_at DESC LIMIT :n""",
        t=tenant_id,
        n=MOST,
        since=since,
    )
    _judge(tx, tenant_id, now, "decide", [row[0] for row in decided], DECIDE_S, "Orders are booked late")
    _judge(tx, tenant_id, now, "publish", [row[0] for row in told], PUBLISH_S, "Urgent numbers are told late")


def _judge(tx: Tx, tenant_id: int, now: int, part: str, spans: list[int], most_s: float, what: str) -> None:
    slowest = percentile(sorted(spans), 99) / SECOND if len(spans) >= LEAST else 0.0
    if slowest > most_s:
        why = f"The slowest hundredth of {len(spans)} in the last hour took {slowest:.1f} s or more; it should be below {most_s:g} s"
        open_task(tx, tenant_id, now, TASK, part, what, why)
    else:
        close_task(tx, tenant_id, now, TASK, part)
