"""Status: is every number true, how long it takes, what happened, what waits for a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from fastapi import Query

from oneshelf.core.instants import SECOND, from_us, iso
from oneshelf.core.plan import Capability
from oneshelf.db.undo import BulkChange, changes
from oneshelf.tenants.plan import plan_of
from oneshelf.tenants.usage import Used, usage
from oneshelf.watch import history
from oneshelf.watch.drift import DriftReport, drift_report
from oneshelf.watch.latency import Percentiles, latency
from oneshelf.watch.overview import Overview, overview
from oneshelf.watch.probe import ProbeRow, probes
from oneshelf.watch.proof import Proof
from oneshelf.watch.rest import unrest

from ..paging import LIMIT, CursorText, Limit, Page
from ..route import Body, Call, Routes
from ..shapes import Text

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


@routes.reads("/status/drift")
async def show_drift(
    call: Call,
    days: Annotated[int, Query(ge=1, le=90, description="So many days back from now.")] = 7,
) -> DriftReport:
    """Numbers that were found different from ours, by cause and channel, and what is not settled yet."""
    now = call.now
    return await call.read(lambda tx: drift_report(tx, call.tenant_id, now - days * 86_400 * SECOND, now))


@routes.reads("/status/proof")
async def prove_orders(
    call: Call, days: Annotated[int, Query(ge=1, le=31, description="So many days back from now.")] = 1
) -> Proof:
    """Compare each channel's own list of orders with ours, by day. It asks the channels: it takes a while."""
    return msgspec.convert(await call.command("proof", {"days": days}), Proof)


@routes.reads("/status/probes")
async def list_probes(call: Call) -> list[ProbeRow]:
    """The newest 20 measurements of how long a number really needs."""
    return await call.read(lambda tx: probes(tx, call.tenant_id))


class ProbeIn(Body):
    """A SKU of which a piece can be held for a minute."""

    sku: Text


class ProbeBegun(msgspec.Struct, frozen=True):
    """The probe that began."""

    probe_no: int
    sku: str


@routes.writes("/status/probes")
async def begin_probe(call: Call, body: ProbeIn) -> ProbeBegun:
    """Hold one piece and measure until every listing shows it; then the piece is free again."""
    return msgspec.convert(await call.command("probe", body), ProbeBegun)


class PlanShown(msgspec.Struct, frozen=True):
    """The plan, and what it has. `frozen`: rules that were in force at a downgrade count on."""

    plan: str
    since_at: str | None
    frozen: bool
    has: list[str]


@routes.reads("/status/plan")
async def show_plan(call: Call) -> PlanShown:
    """What the plan has."""
    plan = await call.read(lambda tx: plan_of(tx, call.tenant_id))
    return PlanShown(plan.name, iso(plan.since_at), plan.frozen, [one for one in Capability if plan.allows(one)])


@routes.reads("/status/usage")
async def show_usage(
    call: Call, days: Annotated[int, Query(ge=1, le=366, description="So many days back from today (UTC).")] = 30
) -> list[Used]:
    """Orders, numbers, prices and calls by day and account, the newest day first."""
    today = from_us(call.now).date()
    return await call.read(lambda tx: usage(tx, call.tenant_id, today - timedelta(days=days - 1), today))
