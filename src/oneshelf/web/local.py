"""The local door: how a command on this machine asks the running service, which alone may write (DESIGN D5).

A token of this start lies in the data folder, readable by its owner only; the door also wants a loopback peer.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from pathlib import Path
from typing import Any

import aiohttp
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from oneshelf.core.errors import OneshelfError, Stop
from oneshelf.settings import Settings
from oneshelf.wiring import Service

from .commands import COMMANDS

FILE = "service.json"
#: A check of a large shop reads every listing.
ANSWER_WITHIN_S = 1800.0
_WRONG = "The command was not given as it should be: {}"
_LOOK_FIRST = "What was asked may have been done: look before you ask again."


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
            return JSONResponse({"error": _WRONG.format(error)}, 400)

    return [Route("/local/{command}", obey, methods=["POST"])]


def close_door(settings: Settings) -> None:
    """Forget this start's token."""
    (settings.data_dir / FILE).unlink(missing_ok=True)


def _door(path: Path) -> dict[str, str] | None:
    return json.loads(path.read_text()) if path.exists() else None


async def ask(settings: Settings, command: str, payload: dict[str, Any]) -> Any:
    """Carry out a command: by the running service, or, when none runs, on the file itself. Raises OneshelfError with its words."""
    door = _door(settings.data_dir / FILE)
    if door is not None:
        try:
            return await _ask_running(door, command, payload)
        except aiohttp.ClientConnectorError:
            pass  # it was killed; its file stayed
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Stop(f"The service did not answer ({type(error).__name__}). {_LOOK_FIRST}") from error
    service = Service(settings)
    await service.start(loops=False)
    try:
        return await COMMANDS[command](service, payload)
    except (KeyError, TypeError, ValueError) as error:
        raise Stop(_WRONG.format(error)) from error
    finally:
        await service.stop()


async def _ask_running(door: dict[str, str], command: str, payload: dict[str, Any]) -> Any:
    timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
    headers = {"Authorization": f"Bearer {door['token']}"}
    async with (
        aiohttp.ClientSession(timeout=timeout, headers=headers) as http,
        http.post(f"{door['url']}/local/{command}", json=payload) as answer,
    ):
        text = await answer.text()
        if answer.status in (400, 403, 404, 409):
            raise Stop(json.loads(text)["error"])
        if answer.status != 200:
            raise Stop(f"The service answered {answer.status}; its log says why. {_LOOK_FIRST}")
        return json.loads(text)
