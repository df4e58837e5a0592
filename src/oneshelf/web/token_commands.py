"""Commands about keys to the API: make one, take one back."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from oneshelf.core.instants import to_us
from oneshelf.tenants import api_tokens
from oneshelf.wiring import Service


async def run_token_create(service: Service, payload: dict[str, Any]) -> Any:
    """Make a token; its text is in this answer only."""
    step = partial(
        api_tokens.create,
        tenant_id=service.tenant_id,
        name=str(payload["name"]),
        scopes=[str(scope) for scope in payload["scopes"]],
        now=to_us(service.clock.now()),
        by=service.by,
    )
    return msgspec.to_builtins(await service.writer.do(step))


async def run_token_revoke(service: Service, payload: dict[str, Any]) -> Any:
    """Take a token back."""
    token_no = int(payload["token"])
    now = to_us(service.clock.now())
    await service.writer.do(lambda tx: api_tokens.revoke(tx, service.tenant_id, token_no, now, by=service.by))
    return {"token": token_no, "revoked": True}


COMMANDS = {"token_create": run_token_create, "token_revoke": run_token_revoke}
