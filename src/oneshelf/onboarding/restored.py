"""A backup was put back: what happened since is to be found out, and nothing done since is to be done twice (RELIABILITY F11).

In: a database whose copy said when it was made. Out: everything that leaves is read first; a task that says what only a person knows.
Tables it owns: none. Never: guesses what was done meanwhile; the channels are asked.

1. Counters go on behind what was given out since (db/backup).  2. Every level of the hub is read before anything is held there or imported
from there (imports/adopting).  3. Every listing and price is read before it is written.  4. A parcel that may have been told since is looked
for before it is told (shipping/telling).  Orders come back by the feeds, from where the copy stood; imports by the key on the hub order.
"""

from __future__ import annotations

from oneshelf.core.instants import from_us
from oneshelf.db import backup
from oneshelf.db.journal import note, open_task
from oneshelf.db.tx import Tx
from oneshelf.imports import adopting
from oneshelf.pricing import marks
from oneshelf.publish.pausing import mark_listings
from oneshelf.tenants.accounts import accounts

TASK = "restored"


def begin_if_restored(tx: Tx, tenant_id: int, now: int) -> int | None:
    """At a start: return when the copy was made that the database is (microseconds), once; None if it is none."""
    copied_at = backup.take_mark(tx, tenant_id, now)
    if copied_at is None:
        return None
    adopting.begin(tx, tenant_id)
    for row in accounts(tx, tenant_id):
        if row.state == "LIVE" and row.channel != "shopify":
            mark_listings(tx, tenant_id, row.account_id, now, "a backup was put back", reread=True)
            marks.mark_account(tx, tenant_id, row.account_id, now, "a backup was put back")
    at = f"{from_us(copied_at):%Y-%m-%d %H:%M} UTC"
    what = f"Enter again what was entered here since {at}: a backup of then was put back"
    why = "Orders and numbers are read from the channels; counts, holds, rules, links and decisions that were made here since are not there"
    open_task(tx, tenant_id, now, TASK, "", what, why)
    note(
        tx, tenant_id, now, "service", "A backup was put back: everything is read before anything leaves", copied_at=at
    )
    return copied_at
