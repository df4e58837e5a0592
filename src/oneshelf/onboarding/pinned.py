"""Listings that show less than they are told, because something at the channel holds the number down (SEMANTICS 8.16).

In: what a whole reading of the catalogue stored (`extra["pinned"]`). Out: a task that is true. Never: changes anything at the channel.
"""

from __future__ import annotations

from oneshelf.db.journal import close_task, open_task
from oneshelf.db.tx import Tx

TASK = "pinned_listings"
#: Examples that the task names.
NAMED_MAX = 5


def tell(tx: Tx, tenant_id: int, account_id: int, channel: str, now: int) -> int:
    """Open, renew or close the task of an account; returns how many listings are pinned."""
    rows = tx.all(
        "SELECT external_id FROM outlet WHERE tenant_id = :t AND account_id = :a AND extra LIKE '%\"pinned\": true%' "
        "AND state NOT IN ('ended', 'draft', 'gone') ORDER BY external_id",
        t=tenant_id,
        a=account_id,
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
