"""Commands about one account and its messages: pause it, resume it; what could not be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from oneshelf.core.errors import NotThere
from oneshelf.core.instants import to_us
from oneshelf.db.tx import Tx
from oneshelf.intake import parked
from oneshelf.publish import pausing
from oneshelf.wiring import Running, Service


async def run_pause(service: Service, payload: dict[str, Any]) -> Any:
    """Stop an account's writes, at once or (`zero_first`) when all its listings show 0; say what goes on selling."""
    one = _running(service, payload)
    now, zero_first = to_us(service.clock.now()), bool(payload.get("zero_first"))

    def step(tx: Tx) -> tuple[bool, pausing.Exposed]:
        # What is exposed is said of the numbers as they ought to be, not of the zeros that were just asked for.
        found = pausing.exposed(tx, service.tenant_id, one.account_id, one.channel.can, now)
        return pausing.pause(tx, service.tenant_id, one.account_id, now, zero_first=zero_first, by=service.by), found

    paused, found = await service.writer.do(step)
    one.bell.ring()
    return {"account_id": one.account_id, "paused": paused, **msgspec.to_builtins(found)}


async def run_resume(service: Service, payload: dict[str, Any]) -> Any:
    """Let an account's writes begin again, with reads."""
    one = _running(service, payload)
    now = to_us(service.clock.now())
    marked = await service.writer.do(
        lambda tx: pausing.resume(tx, service.tenant_id, one.account_id, now, by=service.by)
    )
    one.bell.ring()
    return {"account_id": one.account_id, "paused": False, "to_be_read": marked}


async def run_inbox_retry(service: Service, payload: dict[str, Any]) -> Any:
    """Let parked messages be handled again."""
    return await _with_parked(service, payload, parked.retry)


async def run_inbox_set_aside(service: Service, payload: dict[str, Any]) -> Any:
    """Say that nothing is to be done with parked messages."""
    return await _with_parked(service, payload, parked.set_aside)


async def _with_parked(service: Service, payload: dict[str, Any], step: Callable[..., int]) -> Any:
    seqs, now = {int(seq) for seq in payload.get("seqs") or ()}, to_us(service.clock.now())
    done = await service.writer.do(lambda tx: step(tx, service.tenant_id, seqs, now, by=service.by))
    service.news.ring()
    return {"messages": done}


def _running(service: Service, payload: dict[str, Any]) -> Running:
    one = service.running.get(int(payload["account_id"]))
    if one is None:
        raise NotThere(
            f"Account {payload['account_id']} is not connected. `oneshelf channels list` shows the accounts."
        )
    return one
