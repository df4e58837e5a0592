"""Tasks: what only a person can do."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query

from oneshelf.db.tx import Tx
from oneshelf.watch.history import TaskOfList, tasks

from ..paging import LIMIT, CursorText, Limit, Page
from ..route import Call, Routes

routes = Routes("tasks", "What only a person can do.")


@routes.reads("/tasks")
async def list_tasks(
    call: Call,
    every: Annotated[bool, Query(description="Those that are over, too.")] = False,
    cursor: CursorText = "",
    limit: Limit = LIMIT,
) -> Page[TaskOfList]:
    """What waits for a person, the newest first. A task ends by itself when the world has changed."""

    def look(tx: Tx, after: list[Any] | None, n: int) -> list[TaskOfList]:
        return tasks(tx, call.tenant_id, every=every, before=after[0] if after else None, limit=n)

    return await call.page(cursor, limit, look, key=lambda row: (row.task_no,))
