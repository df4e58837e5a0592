"""Rows that other rooms leave for people: tasks (what only a person can do) and the audit trail."""

from __future__ import annotations

import json
from typing import Any

from . import events
from .tx import Tx, next_values


def note(tx: Tx, tenant_id: int, now: int, actor: str, what: str, subject: str = "", **detail: Any) -> None:
    """Write one line of the audit trail: what happened, in the past tense. No personal data, no secrets."""
    line_no = next_values(tx, tenant_id, "journal")[0]
    tx.run(
        "INSERT INTO journal (tenant_id, line_no, at, actor, what, subject, detail) "
        "VALUES (:tenant, :line_no, :now, :actor, :what, :subject, :detail)",
        tenant=tenant_id,
        line_no=line_no,
        now=now,
        actor=actor,
        what=what,
        subject=subject,
        detail=json.dumps(detail),
    )


def open_task(
    tx: Tx, tenant_id: int, now: int, kind: str, subject: str, what: str, why: str = "", due_at: int | None = None
) -> None:
    """Open a task for a person; one of the same kind and subject that is still open is left as it is."""
    open_already = tx.one(
        "SELECT task_no FROM task WHERE tenant_id = :tenant AND kind = :kind AND subject = :subject AND closed_at IS NULL",
        tenant=tenant_id,
        kind=kind,
        subject=subject,
    )
    if open_already:
        return
    task_no = next_values(tx, tenant_id, "task")[0]
    tx.run(
        "INSERT INTO task (tenant_id, task_no, kind, subject, what, why, opened_at, due_at) "
        "VALUES (:tenant, :task_no, :kind, :subject, :what, :why, :now, :due_at)",
        tenant=tenant_id,
        task_no=task_no,
        kind=kind,
        subject=subject,
        what=what,
        why=why,
        now=now,
        due_at=due_at,
    )
    events.tell(tx, tenant_id, now, "task.opened", [{"task": task_no, "kind": kind}])


def close_task(tx: Tx, tenant_id: int, now: int, kind: str, subject: str) -> None:
    """End a task because the world has changed."""
    ended = tx.all(
        "UPDATE task SET closed_at = :now "
        "WHERE tenant_id = :tenant AND kind = :kind AND subject = :subject AND closed_at IS NULL RETURNING task_no",
        tenant=tenant_id,
        kind=kind,
        subject=subject,
        now=now,
    )
    events.tell(tx, tenant_id, now, "task.closed", [{"task": task_no, "kind": kind} for (task_no,) in ended])
