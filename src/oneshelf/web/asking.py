"""How a command on this machine asks the running service, which alone may write (DESIGN D5), at its local door (local.py).

Where one runs, what it is made of is not loaded: that takes longer than most answers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp

from oneshelf.core.errors import Stop
from oneshelf.settings import Settings

FILE = "service.json"
#: A check of a large shop reads every listing.
ANSWER_WITHIN_S = 1800.0
WRONG = "The command was not given as it should be: {}"
_LOOK_FIRST = "What was asked may have been done: look before you ask again."


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
    from oneshelf.wiring import Service

    from .commands import COMMANDS

    service = Service(settings)
    await service.start(loops=False)
    try:
        return await COMMANDS[command](service, payload)
    except (KeyError, TypeError, ValueError) as error:
        raise Stop(WRONG.format(error)) from error
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
