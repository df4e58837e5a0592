"""Commands about the plan: what it has, another one, the raise after a downgrade."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from oneshelf.core.instants import to_us
from oneshelf.tenants.plan import plan_named
from oneshelf.watch import plan_change
from oneshelf.wiring import Service

from .acting import Acting


async def run_plan_set(service: Service, payload: dict[str, Any]) -> Any:
    """Give the tenant a plan with `yes`; without it say what that would do. Which numbers would rise once the raise is accepted is said
    both times, and none rises now."""
    name = plan_named(str(payload["plan"]))
    yes = bool(payload.get("yes"))
    acting = Acting(service, service.by, dry_run=not yes)
    now = to_us(service.clock.now())
    told = await acting.writer.do(
        partial(plan_change.change, tenant_id=service.tenant_id, name=name, now=now, by=service.by)
    )
    risen = await _rises(service) if told.frozen else []
    if yes:
        service.wake_all()
    return {**msgspec.to_builtins(told), "done": yes, **_named(risen)}


async def run_plan_accept_raise(service: Service, payload: dict[str, Any]) -> Any:
    """Let frozen rules count no more, with `yes`; without it say which numbers would rise."""
    yes = bool(payload.get("yes"))
    now = to_us(service.clock.now())
    shown = await service.writer.do(lambda tx: plan_change.show(tx, service.tenant_id))
    risen = await _rises(service) if shown.frozen else []
    if yes and shown.frozen:
        await service.writer.do(partial(plan_change.accept_raise, tenant_id=service.tenant_id, now=now, by=service.by))
        service.wake_all()
    return {"plan": shown.plan, "frozen": shown.frozen, "done": yes and shown.frozen, **_named(risen)}


async def _rises(service: Service) -> list[plan_change.Rise]:
    """Some hundred listings a transaction, so that a large shop's news does not wait for them."""
    found: list[plan_change.Rise] = []
    now = to_us(service.clock.now())
    outlets = await service.writer.do(lambda tx: plan_change.outlets_under_rules(tx, service.tenant_id))
    for account_id, mine in outlets.items():
        one = service.running.get(account_id)
        if one is None:
            continue
        for start in range(0, len(mine), plan_change.LOOKED_AT_ONCE):
            step = partial(
                plan_change.rises,
                tenant_id=service.tenant_id,
                account_id=account_id,
                outlet_ids=mine[start : start + plan_change.LOOKED_AT_ONCE],
                can=one.channel.can,
                now=now,
            )
            found += await service.writer.do(step)
    return found


def _named(risen: list[plan_change.Rise]) -> dict[str, Any]:
    largest = sorted(risen, key=lambda one: (one.shows - one.would_show, one.listing))
    return {"would_rise": len(risen), "rises": msgspec.to_builtins(largest[: plan_change.NAMED_MAX])}


COMMANDS = {"plan_set": run_plan_set, "plan_accept_raise": run_plan_accept_raise}
