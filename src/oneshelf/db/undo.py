"""Changes of many things at once, kept so that they can be taken back: files and lists that were taken in.

In: how things were before. Out: a number for the person; later the same, once. Tables it owns: bulk_change.
Never: takes anything back itself (the room that made the change does); gives the same change twice.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from oneshelf.core.errors import NotThere, Park
from oneshelf.core.instants import SECOND, iso

from .journal import note
from .tx import Tx, next_values

#: So long a change can be taken back.
UNDO_US = 30 * 86_400 * SECOND


class AlreadyUndone(Park):
    """The change was taken back before."""


class BulkChange(msgspec.Struct, frozen=True):
    """One change of many things. `changed`: how many. Instants as ISO 8601, UTC."""

    change: int
    kind: str
    by: str
    changed: int
    made_at: str
    undone_at: str | None


def keep(tx: Tx, tenant_id: int, kind: str, changed: int, before: Any, now: int, *, by: str) -> int:
    """Keep how things were (`before`: plain values) in the transaction that changes them; return the change's number. What is too old
    to be taken back is forgotten."""
    tx.run("DELETE FROM bulk_change WHERE tenant_id = :t AND made_at < :then", t=tenant_id, then=now - UNDO_US)
    change_no = next_values(tx, tenant_id, "bulk_change")[0]
    tx.run(
        """INSERT INTO bulk_change (tenant_id, change_no, kind, actor, changed, before, made_at)
           VALUES (:t, :no, :kind, :by, :changed, :before, :now)""",
        t=tenant_id,
        no=change_no,
        kind=kind,
        by=by,
        changed=changed,
        before=json.dumps(before),
        now=now,
    )
    note(tx, tenant_id, now, by, "Many were changed at once", f"change:{change_no}", kind=kind, changed=changed)
    return change_no


def take(tx: Tx, tenant_id: int, kind: str, change_no: int, now: int, *, by: str) -> Any:
    """Return how things were before a change; it counts as taken back from now on. Raises NotThere, AlreadyUndone."""
    row = tx.one(
        "SELECT before, undone_at FROM bulk_change WHERE tenant_id = :t AND change_no = :no AND kind = :kind AND made_at >= :then",
        t=tenant_id,
        no=change_no,
        kind=kind,
        then=now - UNDO_US,
    )
    if row is None:
        raise NotThere(f"There is no change {change_no} of {kind} that can be taken back; after 30 days none can.")
    if row[1] is not None:
        raise AlreadyUndone(f"Change {change_no} was taken back at {iso(row[1])}.")
    tx.run(
        "UPDATE bulk_change SET undone_at = :now WHERE tenant_id = :t AND change_no = :no",
        now=now,
        t=tenant_id,
        no=change_no,
    )
    note(tx, tenant_id, now, by, "A change of many was taken back", f"change:{change_no}", kind=kind)
    return json.loads(row[0])


def changes(tx: Tx, tenant_id: int, *, before: int | None = None, limit: int = 50) -> list[BulkChange]:
    """Return them, the newest first; `before`: only those with a smaller number."""
    rows = tx.all(
        """SELECT change_no, kind, actor, changed, made_at, undone_at FROM bulk_change
            WHERE tenant_id = :t AND (CAST(:before AS BIGINT) IS NULL OR change_no < :before) ORDER BY change_no DESC LIMIT :n""",
        t=tenant_id,
        before=before,
        n=limit,
    )
    return [
        BulkChange(no, kind, by, changed, iso(made) or "", iso(undone)) for no, kind, by, changed, made, undone in rows
    ]
