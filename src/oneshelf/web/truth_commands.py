"""Commands that ask whether the numbers are true, and how fast: the probe, holds by hand, the proof that no order is lost."""

from __future__ import annotations

from typing import Any

import msgspec

from oneshelf.core.errors import NotThere
from oneshelf.core.instants import SECOND, to_us
from oneshelf.orders import manual_holds
from oneshelf.watch import probe, proof
from oneshelf.wiring import Service

from .one_step import NotTaken


async def run_probe(service: Service, payload: dict[str, Any]) -> Any:
    """Begin a probe of one SKU; it goes on beside the loops. Ask `probe_state` how far it is."""
    if not service.local_url:
        raise NotTaken("A probe needs the running service: nothing would be told without it. Start it: oneshelf serve")
    begun = await probe.start(
        service.tenant_id,
        str(payload["sku"]),
        service.checked(),
        service.writer,
        service.clock,
        by=service.by,
    )
    service.wake_all()
    service.background(
        probe.finish(service.tenant_id, begun, service.writer, service.clock, service.stopping, service.wake_all)
    )
    return {"probe_no": begun.probe_no, "sku": begun.sku}


async def run_probe_state(service: Service, payload: dict[str, Any]) -> Any:
    """How far a probe is."""
    number = int(payload["probe_no"])
    found = await service.writer.do(lambda tx: probe.probes(tx, service.tenant_id, only=number))
    if not found:
        raise NotThere(f"There is no probe {number}. `oneshelf probe list` shows them.")
    return msgspec.to_builtins(found[0])


async def run_probe_schedule(service: Service, payload: dict[str, Any]) -> Any:
    """Probe a SKU every so many days, or (`sku` "") none."""
    sku, every_days = str(payload.get("sku") or ""), int(payload.get("every_days") or probe.EVERY_DAYS)
    now = to_us(service.clock.now())
    await service.writer.do(lambda tx: probe.set_schedule(tx, service.tenant_id, sku, every_days, now, by=service.by))
    return {"sku": sku, "every_days": every_days if sku else None}


async def run_hold(service: Service, payload: dict[str, Any]) -> Any:
    """Hold pieces of a SKU by hand for a while."""
    now = to_us(service.clock.now())
    until = int(payload["until_at"]) if payload.get("until_at") else now + int(payload["for_s"]) * SECOND
    held = await service.writer.do(
        lambda tx: manual_holds.hold(
            tx,
            service.tenant_id,
            str(payload["sku"]),
            int(payload["pieces"]),
            until,
            now,
            by=service.by,
            why=str(payload.get("why") or ""),
            location=str(payload.get("location") or ""),
        )
    )
    service.wake_all()
    return msgspec.to_builtins(held)


async def run_release_hold(service: Service, payload: dict[str, Any]) -> Any:
    """End a hold before its time."""
    number, now = int(payload["hold_no"]), to_us(service.clock.now())
    held = await service.writer.do(lambda tx: manual_holds.release(tx, service.tenant_id, number, now, by=service.by))
    service.wake_all()
    return msgspec.to_builtins(held)


async def run_proof(service: Service, payload: dict[str, Any]) -> Any:
    """Compare each channel's own list of orders with ours, by day."""
    wanted = payload.get("account_id")
    checked = [one for one in service.checked() if wanted in (None, one.account_id)]
    if wanted is not None and not checked:
        raise NotThere(f"Account {wanted} is not connected. `oneshelf channels list` shows the accounts.")
    days = int(payload.get("days") or 1)
    return msgspec.to_builtins(await proof.prove(service.tenant_id, checked, service.writer, service.clock, days=days))


COMMANDS = {
    "probe": run_probe,
    "probe_state": run_probe_state,
    "probe_schedule": run_probe_schedule,
    "hold": run_hold,
    "release_hold": run_release_hold,
    "proof": run_proof,
}
