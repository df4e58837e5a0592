"""Commands about the safe pause of all or some accounts at once."""

from __future__ import annotations

from typing import Any

import msgspec

from oneshelf.core.instants import iso, to_us
from oneshelf.db.tx import Tx
from oneshelf.publish import pausing, safe_pause
from oneshelf.wiring import Service


def _plain(made: safe_pause.SafePause) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.structs.asdict(made)
    return {**said, "since_at": iso(made.since_at)}


async def run_safe_pause(service: Service, payload: dict[str, Any]) -> Any:
    """Begin a safe pause; say of every account that is frozen what goes on selling."""
    now, wanted = to_us(service.clock.now()), payload.get("account_ids") or None
    can = {one.account_id: one.channel.can for one in service.running.values()}

    def step(tx: Tx) -> dict[str, Any]:
        # What is exposed is said of the numbers as they ought to be, before anything is closed.
        ids = [account_id for account_id in (wanted or sorted(can)) if account_id in can]
        exposed = {a: pausing.exposed(tx, service.tenant_id, a, can[a], now) for a in ids}
        made = safe_pause.start(
            tx,
            service.tenant_id,
            now,
            by=service.by,
            freeze=bool(payload.get("freeze")),
            zero_first=bool(payload.get("zero_first")),
            pieces=int(payload.get("pieces") or 0),
            account_ids=wanted,
            why=str(payload.get("why") or ""),
        )
        said = {str(a): msgspec.to_builtins(exposed[a]) for a in made.frozen if a in exposed}
        return {**_plain(made), "exposed": said}

    done = await service.writer.do(step)
    service.wake_all()
    return done


async def run_safe_pause_state(service: Service, payload: dict[str, Any]) -> Any:
    """The safe pause that is on, or null."""
    found = await service.writer.do(lambda tx: safe_pause.current(tx, service.tenant_id))
    return None if found is None else _plain(found)


async def run_safe_pause_undo(service: Service, payload: dict[str, Any]) -> Any:
    """Put back what was before the safe pause."""
    now = to_us(service.clock.now())
    done = await service.writer.do(lambda tx: safe_pause.undo(tx, service.tenant_id, now, by=service.by))
    service.wake_all()
    return msgspec.to_builtins(done)


COMMANDS = {
    "safe_pause": run_safe_pause,
    "safe_pause_state": run_safe_pause_state,
    "safe_pause_undo": run_safe_pause_undo,
}
