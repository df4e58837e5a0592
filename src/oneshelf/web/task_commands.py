"""Commands about tasks: one is done, one is put off; a parked listing is tried again."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from oneshelf.core.errors import NotThere
from oneshelf.core.instants import to_us
from oneshelf.publish.recovery import retry
from oneshelf.watch import tasks
from oneshelf.wiring import Service


async def run_task_done(service: Service, payload: dict[str, Any]) -> Any:
    """Say that a task is done."""
    step = partial(
        tasks.done,
        tenant_id=service.tenant_id,
        task_no=int(payload["task"]),
        now=to_us(service.clock.now()),
        by=service.by,
        anyway=bool(payload.get("anyway")),
    )
    return msgspec.to_builtins(await service.writer.do(step))


async def run_task_snooze(service: Service, payload: dict[str, Any]) -> Any:
    """Put a task off for so many seconds; 0: not any more."""
    step = partial(
        tasks.snooze,
        tenant_id=service.tenant_id,
        task_no=int(payload["task"]),
        for_s=int(payload["for_s"]),
        now=to_us(service.clock.now()),
        by=service.by,
    )
    return msgspec.to_builtins(await service.writer.do(step))


async def run_listing_retry(service: Service, payload: dict[str, Any]) -> Any:
    """Try a parked listing's number again: it is read first."""
    outlet_id, now = int(payload["outlet_id"]), to_us(service.clock.now())
    step = partial(retry, tenant_id=service.tenant_id, outlet_ids=[outlet_id], now=now, by=service.by)
    if not await service.writer.do(step):
        raise NotThere(f"The number of listing {outlet_id} is not parked.")
    service.wake_all()
    return {"listing": outlet_id}


COMMANDS = {"task_done": run_task_done, "task_snooze": run_task_snooze, "listing_retry": run_listing_retry}
