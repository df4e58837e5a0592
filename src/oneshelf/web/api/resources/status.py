"""Status: is every number true, how long it takes, what happened, what waits for a person."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import Query

from oneshelf.db.undo import BulkChange, changes
from oneshelf.watch import history
from oneshelf.watch.latency import Percentiles, latency
from oneshelf.watch.overview import Overview, overview
from oneshelf.watch.rest import unrest

from ..paging import LIMIT, CursorText, Limit, Page
from ..route import Call, Routes

routes = Routes("status", "Is every number true, how long it takes, what happened.")


class Health(msgspec.Struct, frozen=True):
    """`ok`: the service can keep what it is told; else `problem` says what is wrong."""

    ok: bool
    problem: str


@routes.reads("/status/health")
async def show_health(call: Call) -> Health:
    """Whether the service can keep what it is told."""
    problem = call.service.health()
    return Health(problem is None, problem or "")


@routes.reads("/status/overview")
async def show_overview(call: Call) -> Overview:
    """Every figure of the first page: numbers right and on their way, orders, channels, sales, tasks."""
    return await call.read(lambda tx: overview(tx, call.tenant_id, call.now))


@routes.reads("/status/latency")
async def show_latency(call: Call) -> dict[str, dict[str, Percentiles]]:
    """How long news and numbers take, by channel, in seconds: notice, decide, publish, effect."""
    return await call.read(lambda tx: latency(tx, call.tenant_id))


@routes.reads("/status/unrest")
async def show_unrest(call: Call) -> list[str]:
    """What is still under way, in words; none: everything is at rest."""
    return await call.read(lambda tx: unrest(tx, call.tenant_id))


@routes.reads("/status/journal")
async def list_journal(
    call: Call,
    subject: Annotated[str | None, Query(max_length=400, description="`sku:MUG`, `order:7`, `account:2` …")] = None,
    cursor: CursorText = "",
    limit: Limit = LIMIT,
) -> Page[history.JournalLine]:
    """The audit trail, the newest first: what happened, by whom, to what."""
    return await call.page(
        cursor,
        limit,
        lambda tx, after, n: history.journal(
            tx, call.tenant_id, subject=subject, before=after[0] if after else None, limit=n
        ),
        key=lambda row: (row.line_no,),
    )


@routes.reads("/status/changes")
async def list_changes(call: Call, cursor: CursorText = "", limit: Limit = LIMIT) -> Page[BulkChange]:
    """Changes of many things at once, by files; each can be taken back within 30 days."""
    return await call.page(
        cursor,
        limit,
        lambda tx, after, n: changes(tx, call.tenant_id, before=after[0] if after else None, limit=n),
        key=lambda row: (row.change,),
    )
