"""Commands about bundles."""

from __future__ import annotations

from typing import Any

import msgspec

from oneshelf.listings import bundles
from oneshelf.orders.bundles import define
from oneshelf.wiring import Service

from .one_step import act


async def run_bundle(service: Service, payload: dict[str, Any]) -> Any:
    """Define a bundle; with `preview` only say what would change. `retake`: open orders that took other pieces take these."""
    sku, parts = str(payload["sku"]), {str(part): int(units) for part, units in payload["parts"].items()}
    done = await act(
        service,
        lambda tx, now: define(
            tx, service.tenant_id, sku, parts, now, by=service.by, retake=bool(payload.get("retake"))
        ),
        preview=bool(payload.get("preview")),
    )
    return msgspec.to_builtins(done)


async def run_drop_bundle(service: Service, payload: dict[str, Any]) -> Any:
    """Forget a bundle; its listings stay tied to its parts."""
    sku = str(payload["sku"])
    tied = await act(service, lambda tx, now: bundles.drop_bundle(tx, service.tenant_id, sku, now, by=service.by))
    return {"sku": sku, "listings": tied}


COMMANDS = {"bundle": run_bundle, "drop_bundle": run_drop_bundle}
