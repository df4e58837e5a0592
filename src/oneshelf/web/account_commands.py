"""Commands about one account: pause it, resume it."""

from __future__ import annotations

from typing import Any

import msgspec

from oneshelf.core.errors import Park
from oneshelf.core.instants import to_us
from oneshelf.db.tx import Tx
from oneshelf.publish import pausing
from oneshelf.wiring import Running, Service


class NoAccount(Park):
    """The account is not there."""


async def run_pause(service: Service, payload: dict[str, Any]) -> Any:
    """Stop an account's writes, at once or (`zero_first`) when all its listings show 0; say what goes on selling."""
    one = _running(service, payload)
    now, zero_first = to_us(service.clock.now()), bool(payload.get("zero_first"))

    def step(tx: Tx) -> tuple[bool, pausing.Exposed]:
        # What is exposed is said of the numbers as they ought to be, not of the zeros that were just asked for.
        found = pausing.exposed(tx, service.tenant_id, one.account_id, one.channel.can, now)
        return pausing.pause(tx, service.tenant_id, one.account_id, now, zero_first=zero_first, by="merchant"), found

    paused, found = await service.writer.do(step)
    one.bell.ring()
    return {"account_id": one.account_id, "paused": paused, **msgspec.to_builtins(found)}


async def run_resume(service: Service, payload: dict[str, Any]) -> Any:
    """Let an account's writes begin again, with reads."""
    one = _running(service, payload)
    now = to_us(service.clock.now())
    marked = await service.writer.do(
        lambda tx: pausing.resume(tx, service.tenant_id, one.account_id, now, by="merchant")
    )
    one.bell.ring()
    return {"account_id": one.account_id, "paused": False, "to_be_read": marked}


def _running(service: Service, payload: dict[str, Any]) -> Running:
    one = service.running.get(int(payload["account_id"]))
    if one is None:
        raise NoAccount(
            f"Account {payload['account_id']} is not connected. `oneshelf channels list` shows the accounts."
        )
    return one
