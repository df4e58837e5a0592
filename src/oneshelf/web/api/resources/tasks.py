"""Tasks: what only a person can do."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query
from pydantic import Field

from oneshelf.db.tx import Tx
from oneshelf.watch.tasks import SNOOZE_S_MAX, Task, task, tasks

from ..paging import LIMIT, CursorText, Limit, Page
from ..route import Body, Call, DryCall, Routes
from ..shapes import Number

routes = Routes("tasks", "What only a person can do.")


@routes.reads("/tasks")
async def list_tasks(
    call: Call,
    severity: Literal["", "urgent", "warning", "notice"] = "",
    channel: Annotated[str, Query(max_length=50)] = "",
    kind: Annotated[str, Query(max_length=100)] = "",
    snoozed: Annotated[bool, Query(description="Those that were put off, too.")] = False,
    closed: Annotated[bool, Query(description="Those that are over, instead.")] = False,
    cursor: CursorText = "",
    limit: Limit = LIMIT,
) -> Page[Task]:
    """What waits for a person: the most urgent first, of equals the next due. A task ends by itself when the world has changed."""

    def look(tx: Tx, after: list[Any] | None, n: int) -> list[Task]:
        return tasks(
            tx,
            call.tenant_id,
            call.now,
            severity=severity,
            channel=channel,
            kind=kind,
            snoozed=snoozed,
            closed=closed,
            after=after[0] if after else 0,
            limit=n,
        )

    return await call.page(cursor, limit, look, key=lambda row: (row.task,))


@routes.reads("/tasks/{number}")
async def show_task(call: Call, number: Number) -> Task:
    """One task."""
    return await call.read(lambda tx: task(tx, call.tenant_id, number, call.now))


class DoneIn(Body):
    """`anyway`: end it although it would end by itself."""

    anyway: bool = False


@routes.writes("/tasks/{number}/done")
async def end_task(call: DryCall, number: Number, body: DoneIn) -> Task:
    """Say that a task is done."""
    return msgspec.convert(await call.command("task_done", body, task=number), Task)


class SnoozeIn(Body):
    """Put it off for so many seconds; 0: not any more."""

    for_s: Annotated[int, Field(ge=0, le=SNOOZE_S_MAX)]


@routes.writes("/tasks/{number}/snooze")
async def snooze_task(call: DryCall, number: Number, body: SnoozeIn) -> Task:
    """Put a task off for a while."""
    return msgspec.convert(await call.command("task_snooze", body, task=number), Task)
