"""Listings that show less than they are told, because something at the channel holds the number down (SEMANTICS 8.16).

In: what a whole reading of the catalogue stored (`extra["pinned"]`). Out: a task that is true. Never: changes anything at the channel;
takes for a lower quantity of the offer what our own write, or a sale, changed between the reading of item and offer.
"""

from __future__ import annotations

from oneshelf.core.instants import SECOND
from oneshelf.db.journal import close_task, open_task
from oneshelf.db.tx import Tx

TASK = "pinned_listings"
#: Examples that the task names.
NAMED_MAX = 5


def tell(tx: Tx, tenant_id: int, account_id: int, channel: str, since: int, now: int) -> int:
    """Open, renew or close the task of an account; returns how many listings are pinned. `since`: when the reading began."""
    rows = tx.all(
        """SELECT o.external_id FROM outlet o WHERE o.tenant_id = :t AND o.account_id = :a AND o.extra LIKE '%"pinned": true%'
              AND o.state NOT IN ('ended', 'draft', 'gone')
              AND NOT EXISTS (SELECT 1 FROM attempt w WHERE w.tenant_id = o.tenant_id AND w.outlet_id = o.outlet_id
                                 AND (w.started_at >= :since OR COALESCE(w.seen_at, 0) >= :since))
              AND NOT EXISTS (SELECT 1 FROM order_line l WHERE l.tenant_id = o.tenant_id AND l.outlet_id = o.outlet_id
                                 AND l.placed_s >= :since_s)
            ORDER BY o.external_id""",
        t=tenant_id,
        a=account_id,
        since=since,
        since_s=since // SECOND,
    )
    names = ", ".join(str(name) for (name,) in rows[:NAMED_MAX])
    what = f"{len(rows)} listings on {channel} show less than they are told"
    why = (
        f"A quantity of the offer itself holds the number down ({names}{' …' if len(rows) > NAMED_MAX else ''}): {channel} shows the lower "
        f"of the two. Clear the offer's own quantity there, then: oneshelf channels reread {account_id}"
    )
    renew_task(tx, tenant_id, now, TASK, str(account_id), what, why, wanted=bool(rows))
    return len(rows)


def renew_task(tx: Tx, tenant_id: int, now: int, kind: str, subject: str, what: str, why: str, *, wanted: bool) -> None:
    """Let the one task of this kind and subject say what is true now; none is open where it is not wanted."""
    open_one = tx.one(
        "SELECT what, why FROM task WHERE tenant_id = :t AND kind = :k AND subject = :s AND closed_at IS NULL",
        t=tenant_id,
        k=kind,
        s=subject,
    )
    if open_one is not None and not (wanted and tuple(open_one) == (what, why)):
        close_task(tx, tenant_id, now, kind, subject)
    if wanted:
        open_task(tx, tenant_id, now, kind, subject, what, why)
