"""Rows that other rooms leave for people: tasks (what only a person can do) and the audit trail."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from oneshelf.core.instants import SECOND
from oneshelf.core.tasks import kind_of

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


def notes(
    tx: Tx, tenant_id: int, now: int, actor: str, what: str, lines: Sequence[tuple[str, Mapping[str, Any]]]
) -> None:
    """Write many lines of one kind: (subject, detail) each. As `note`."""
    if lines:
        numbers = next_values(tx, tenant_id, "journal", len(lines))
        tx.many(
            "INSERT INTO journal (tenant_id, line_no, at, actor, what, subject, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (tenant_id, number, now, actor, what, subject, json.dumps(detail))
                for number, (subject, detail) in zip(numbers, lines, strict=True)
            ],
        )


def open_task(
    tx: Tx, tenant_id: int, now: int, kind: str, subject: str, what: str, why: str = "", due_at: int | None = None
) -> None:
    """Open a task for a person; one of the same kind and subject that is still open is left as it is.

    Whoever wants to be told of its severity is told by the row that is left here, in this transaction (`watch/alerts` sends it).
    """
    open_already = tx.one(
        "SELECT task_no FROM task WHERE tenant_id = :tenant AND kind = :kind AND subject = :subject AND closed_at IS NULL",
        tenant=tenant_id,
        kind=kind,
        subject=subject,
    )
    if open_already:
        return
    same = kind_of(kind)
    if due_at is None and same.due_s is not None:
        due_at = now + same.due_s * SECOND
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
    tell(tx, tenant_id, task_no, "opened", same.rank, now)


def tell(tx: Tx, tenant_id: int, task_no: int, stage: str, rank: int, now: int) -> None:
    """Leave word of a task for everyone who wants to hear of this rank of severity (0 urgent); the same stage never twice."""
    tx.run(
        """INSERT INTO alert (tenant_id, receiver_no, task_no, stage, urgent, created_at)
           SELECT r.tenant_id, r.receiver_no, :task_no, :stage, :urgent, :now FROM alert_receiver r
            WHERE r.tenant_id = :tenant AND r.removed_at IS NULL AND r.least >= :rank
           ON CONFLICT (tenant_id, receiver_no, task_no, stage) DO NOTHING""",
        tenant=tenant_id,
        task_no=task_no,
        stage=stage,
        rank=rank,
        urgent=int(rank == 0),
        now=now,
    )


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
