"""The local door: where a command on this machine (asking.py) reaches the running service, which alone may write (DESIGN D5).

A token of this start lies in the data folder, readable by its owner only; the door also wants a loopback peer.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from oneshelf.core.errors import OneshelfError
from oneshelf.settings import Settings
from oneshelf.wiring import Service

from .asking import FILE, WRONG
from .commands import COMMANDS


def open_door(service: Service, url: str) -> list[Route]:
    """Write the address and this start's token, and return the route."""
    token = secrets.token_urlsafe(32)
    path = service.settings.data_dir / FILE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"url": url, "token": token}, file)

    async def obey(request: Request) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        peer = request.client.host if request.client else ""
        if peer not in ("127.0.0.1", "::1") or not hmac.compare_digest(given.encode(), token.encode()):
            return JSONResponse({"error": "This door is for commands on this machine."}, 403)
        command = COMMANDS.get(request.path_params["command"])
        if command is None:
            return JSONResponse({"error": "No such command."}, 404)
        try:
            return JSONResponse(await command(service, await request.json()))
        except OneshelfError as error:
            return JSONResponse({"error": str(error)}, 409)
        except (KeyError, TypeError, ValueError) as error:
            return JSONResponse({"error": WRONG.format(error)}, 400)

    return [Route("/local/{command}", obey, methods=["POST"])]


def close_door(settings: Settings) -> None:
    """Forget this start's token."""
    (settings.data_dir / FILE).unlink(missing_ok=True)
