"""Privacy: what the platforms asked to erase or export."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Query

from oneshelf.customers import privacy

from ..route import Call, Routes, found
from ..shapes import Number

routes = Routes("privacy", "Requests about personal data. Not among the scopes of `read`: name it.")


@routes.reads("/privacy/requests")
async def list_privacy_requests(
    call: Call, waiting: Annotated[bool, Query(description="Only those not done.")] = False
) -> list[privacy.Request]:
    """What the platforms asked to erase or export, the newest first. Names nobody."""
    return await call.read(lambda tx: privacy.requests(tx, call.tenant_id, waiting=waiting))


@routes.reads("/privacy/requests/{request}/export")
async def export_person(call: Call, request: Number) -> dict[str, Any]:
    """Everything kept of the person of an export request: personal data. Hand it to the person, then say done."""
    what = f"There is no open export request {request}"
    return found(await call.read(lambda tx: privacy.export(tx, call.tenant_id, request)), what)


class RequestDone(msgspec.Struct, frozen=True):
    """The request that is over."""

    request: int


@routes.writes("/privacy/requests/{request}/done")
async def end_privacy_request(call: Call, request: Number) -> RequestDone:
    """Say that the person has the file: the request is over, and we forget whom it was about."""
    await call.command("privacy_export", {"request": request, "done": True})
    return RequestDone(request)
