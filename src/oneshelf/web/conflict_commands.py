"""Commands about conflicts: see them, cancel, take that back within its ten seconds, take a word back."""

from __future__ import annotations

from typing import Any

import msgspec

from oneshelf.core.instants import SECOND, iso, to_us
from oneshelf.db.tx import Tx
from oneshelf.orders import decisions, short
from oneshelf.shipping import cancelling
from oneshelf.watch import conflicts
from oneshelf.wiring import Service


async def run_conflicts(service: Service, payload: dict[str, Any]) -> Any:
    """The open conflicts, the oldest purchase first."""
    sku, now = str(payload.get("sku") or ""), to_us(service.clock.now())
    abilities = service.cancel_channels().abilities
    found = await service.writer.do(lambda tx: conflicts.conflicts(tx, service.tenant_id, abilities, now, sku=sku))
    return msgspec.to_builtins(found)


async def run_approve(service: Service, payload: dict[str, Any]) -> Any:
    """Cancel a short line: it is sent in ten seconds, and may be revoked until then."""
    order, line, now = str(payload["order"]), str(payload.get("line") or ""), to_us(service.clock.now())
    whose = int(payload.get("account_id") or 0)

    def step(tx: Tx) -> str:
        return decisions.decide_line(
            tx,
            service.tenant_id,
            order,
            line,
            "cancel",
            service.cancel_channels(),
            now,
            by=service.by,
            account_id=whose,
        )

    said = await service.writer.do(step)
    service.wake_all()
    return {"order": order, "line": line, "said": said, "revoke_until": iso(now + short.REVOKE_S * SECOND)}


async def run_revoke(service: Service, payload: dict[str, Any]) -> Any:
    """Take back a cancel that was not sent yet."""
    order, line, now = str(payload["order"]), str(payload.get("line") or ""), to_us(service.clock.now())
    whose = int(payload.get("account_id") or 0)
    said = await service.writer.do(
        lambda tx: cancelling.revoke(tx, service.tenant_id, order, line, now, by=service.by, account_id=whose)
    )
    service.wake_all()
    return {"order": order, "line": line, "said": said}


async def run_undo(service: Service, payload: dict[str, Any]) -> Any:
    """Take back the word on a short line (wait, backorder): a person is asked again."""
    order, line, now = str(payload["order"]), str(payload.get("line") or ""), to_us(service.clock.now())
    whose = int(payload.get("account_id") or 0)
    said = await service.writer.do(
        lambda tx: decisions.take_back(tx, service.tenant_id, order, line, now, by=service.by, account_id=whose)
    )
    service.wake_all()
    return {"order": order, "line": line, "said": said}


COMMANDS = {
    "conflicts": run_conflicts,
    "conflict_approve": run_approve,
    "conflict_revoke": run_revoke,
    "conflict_undo": run_undo,
}
