"""The HTTP door: one port a marketplace, one for the control door, one for the queue, all in one process.

In: addresses. Out: the emulation on sockets; webhooks by HTTP.
Never: listens on more than the host it is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any, cast

import aiohttp
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .clock import Clock
from .control import control_app
from .emulation import Emulation
from .sqs import QueueServer
from .throttle import ABORT

#: Open webhook connections at most; more wait.
CONNECTIONS_MAX = 200


@dataclass
class Addresses:
    """Where to listen. Port 0: the system chooses."""

    host: str = "127.0.0.1"
    ports: dict[str, int] = field(default_factory=dict)  # by channel, "control" and "sqs"
    with_queue: bool = True


class _Cuttable(HttpToolsProtocol):
    """Lets the app cut the connection in the middle of an answer (faults cut_answer and timeout)."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)[ABORT] = self.transport.abort


class _Server(uvicorn.Server):
    """One of several servers in a loop: signals are not its business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Dated:
    """ASGI middleware: every answer says what time it is there. Source: RFC 9110, 6.6.1 (Date)."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self.app = app
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(self.clock.now(), usegmt=True).encode()
                message = {**message, "headers": [*message.get("headers", []), (b"date", date)]}
            await send(message)

        await self.app(scope, receive, dated)


class EmulatorServer:
    """Serves one emulation. `start`, then `urls` are known; `stop` frees everything."""

    def __init__(self, emulation: Emulation, addresses: Addresses | None = None) -> None:
        self.emulation = emulation
        self.addresses = addresses or Addresses()
        self.urls: dict[str, str] = {}
        self._servers: list[_Server] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        self._queue: QueueServer | None = None

    async def start(self) -> None:
        """Open all ports. Raises OSError if one is taken."""
        for channel, app in self.emulation.apps.items():
            url = self._listen(channel, _Dated(app, self.emulation.clock))
            self.emulation.set_base_url(channel, url)
        self._listen("control", control_app(self.emulation))
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX))
        send_message, queue = None, {}
        if self.addresses.with_queue:
            self._queue = QueueServer(self.addresses.host, self.addresses.ports.get("sqs", 0))
            await asyncio.to_thread(self._queue.start)
            self.urls["sqs"] = self._queue.url
            send_message, queue = self._queue.send, self._queue.queue
            self.emulation.before_reset = self._queue.purge
            self.emulation.set_queue = self._queue.set_state
        self.emulation.connect(self._deliver, send_message, queue)
        while not all(server.started for server in self._servers):  # noqa: ASYNC110  uvicorn has no event for it
            await asyncio.sleep(0.005)

    def _listen(self, name: str, app: ASGIApp) -> str:
        address = (self.addresses.host, self.addresses.ports.get(name, 0))
        try:
            door = socket.create_server(address, backlog=512)
        except OSError as problem:
            raise OSError(f"{name} cannot listen on {address[0]}:{address[1]}: {problem.strerror}") from problem
        # Accepted connections inherit it; else an answer on a kept connection waits for the client's delayed acknowledgement.
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            app,
            http=_Cuttable,
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            date_header=False,  # by the clock of the emulated world: _Dated
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        self._servers.append(server)
        self._tasks.append(asyncio.create_task(server.serve(sockets=[door])))
        self.urls[name] = f"http://{address[0]}:{door.getsockname()[1]}"
        return self.urls[name]

    async def _deliver(self, url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> int:
        assert self._session is not None
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with self._session.post(
            url, data=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            await answer.read()
            return answer.status

    def welcome(self) -> dict[str, Any]:
        """Return all addresses and credentials: what `--json` prints."""
        return {**self.urls, "credentials": self.emulation.credentials()}

    async def stop(self) -> None:
        """Close all ports and end what is under way."""
        self.emulation.shoppers.stop()
        self.emulation.world.courier.stop()
        for server in self._servers:
            server.should_exit = True
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        if self._queue is not None:
            await asyncio.to_thread(self._queue.stop)


async def serve(emulation: Emulation, addresses: Addresses, *, as_json: bool) -> None:
    """Run until SIGTERM or SIGINT. Prints one line (or a table) when ready."""
    server = EmulatorServer(emulation, addresses)
    enough = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, enough.set)
    try:
        await server.start()
        welcome = server.welcome()
        print(json.dumps(welcome, default=str) if as_json else table(welcome), flush=True)
        await enough.wait()
    finally:
        await server.stop()


def table(welcome: Mapping[str, Any]) -> str:
    """Return the addresses and credentials for a person to read."""
    lines = ["The marketplaces are open. Stop with Ctrl-C.", ""]
    lines += [f"  {name:<9} {url}" for name, url in welcome.items() if isinstance(url, str)]
    lines += ["", f"  steer     curl {welcome['control']}/_emulator/state"]
    for channel, keys in welcome["credentials"].items():
        lines += ["", f"  {channel}"]
        lines += [f"    {name:<18} {_shown(value)}" for name, value in keys.items()]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def run(emulation: Emulation, addresses: Addresses, *, as_json: bool) -> int:
    """Serve in a loop of its own; return the exit status."""
    try:
        asyncio.run(serve(emulation, addresses, as_json=as_json))
    except OSError as problem:
        print(f"oneshelf_emulator: {problem}; choose another port or 0", file=sys.stderr)
        return 1
    return 0
