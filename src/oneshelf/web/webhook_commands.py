"""Commands about webhooks that we send: endpoints, secrets, sending again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from oneshelf.core.instants import to_us
from oneshelf.db.tx import Tx
from oneshelf.webhooks import deliveries, endpoints
from oneshelf.wiring import Service


async def _do(service: Service, step: Callable[[Tx, int], Any]) -> Any:
    """Run a step at this moment; the loop looks at once."""
    now = to_us(service.clock.now())
    done = await service.writer.do(lambda tx: step(tx, now))
    service.webhooks_bell.ring()
    return msgspec.to_builtins(done)


async def run_webhook_create(service: Service, payload: dict[str, Any]) -> Any:
    """Make an endpoint; its secret is in this answer only."""
    return await _do(
        service,
        lambda tx, now: endpoints.create(
            tx,
            service.sealer,
            service.tenant_id,
            str(payload["url"]),
            [str(kind) for kind in payload.get("kinds") or ()],
            str(payload.get("about") or ""),
            now,
            by=service.by,
            allow_private=service.settings.webhooks_allow_private,
        ),
    )


async def run_webhook_change(service: Service, payload: dict[str, Any]) -> Any:
    """Change an endpoint's address, kinds or words; what is not named stays."""
    number = int(payload["endpoint"])
    named = {name: payload[name] for name in ("url", "kinds", "about") if payload.get(name) is not None}
    allow_private = service.settings.webhooks_allow_private

    def step(tx: Tx, now: int) -> Any:
        endpoints.change(tx, service.tenant_id, number, now, by=service.by, allow_private=allow_private, **named)
        return endpoints.endpoints(tx, service.tenant_id, number)[0]

    return await _do(service, step)


async def run_webhook_rotate(service: Service, payload: dict[str, Any]) -> Any:
    """Make a new secret; for a day both sign."""
    number = int(payload["endpoint"])
    return await _do(
        service,
        lambda tx, now: endpoints.rotate(tx, service.sealer, service.tenant_id, number, now, by=service.by),
    )


async def run_webhook_enable(service: Service, payload: dict[str, Any]) -> Any:
    """Send to an endpoint again, or (`enabled` False) send nothing to it for now."""
    number, enabled = int(payload["endpoint"]), bool(payload["enabled"])

    def step(tx: Tx, now: int) -> Any:
        if enabled:
            endpoints.enable(tx, service.tenant_id, number, now, by=service.by)
        else:
            endpoints.disable(tx, service.tenant_id, number, "disabled by hand", now, by=service.by)
        return endpoints.endpoints(tx, service.tenant_id, number)[0]

    return await _do(service, step)


async def run_webhook_remove(service: Service, payload: dict[str, Any]) -> Any:
    """Forget an endpoint."""
    number = int(payload["endpoint"])
    await _do(service, lambda tx, now: endpoints.remove(tx, service.tenant_id, number, now, by=service.by))
    return {"endpoint": number, "removed": True}


async def run_webhook_replay(service: Service, payload: dict[str, Any]) -> Any:
    """Send events again: these, or all since a moment (microseconds)."""
    number, since = int(payload["endpoint"]), payload.get("since")
    nos = [int(no) for no in payload.get("events") or ()]

    def step(tx: Tx, now: int) -> Any:
        return deliveries.replay(tx, service.tenant_id, number, now, by=service.by, since=since, event_nos=nos)

    return {"endpoint": number, "events": await _do(service, step)}


async def run_webhook_test(service: Service, payload: dict[str, Any]) -> Any:
    """Send one test event to an endpoint."""
    number = int(payload["endpoint"])
    sent = await _do(service, lambda tx, now: deliveries.send_test(tx, service.tenant_id, number, now))
    return {"endpoint": number, "event": sent}


COMMANDS = {
    "webhook_create": run_webhook_create,
    "webhook_change": run_webhook_change,
    "webhook_rotate": run_webhook_rotate,
    "webhook_enable": run_webhook_enable,
    "webhook_remove": run_webhook_remove,
    "webhook_replay": run_webhook_replay,
    "webhook_test": run_webhook_test,
}
