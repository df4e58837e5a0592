"""Runs the service with its site until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable

import uvicorn

from oneshelf.core.errors import Stop
from oneshelf.settings import Settings
from oneshelf.wiring import Service

from .local import close_door
from .site import site


async def serve(settings: Settings, on_ready: Callable[[str], None]) -> str:
    """Serve until SIGTERM, SIGINT or a broken database. Returns what stopped it, "" if it was asked to. Raises Stop."""
    sock = listen(settings.host, settings.port)
    port = sock.getsockname()[1]
    local = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    url = f"http://{local}:{port}"
    service = Service(settings)
    try:
        await service.start()
    except BaseException:
        sock.close()
        raise
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, service.stopping.set)
    server = quiet_server(service, url)
    serving = asyncio.ensure_future(server.serve(sockets=[sock]))
    on_ready(url)
    await service.stopping.wait()
    server.should_exit = True
    await service.stop()
    await asyncio.wait([serving], timeout=5)
    close_door(settings)
    return service.health() or ""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the service decides when to stop."""

    def install_signal_handlers(self) -> None:
        return

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


def quiet_server(service: Service, url: str) -> uvicorn.Server:
    """Return a server for the service's site that logs only what is wrong."""
    return _Server(
        uvicorn.Config(
            site(service, url), log_level="warning", lifespan="off", access_log=False, timeout_graceful_shutdown=2
        )
    )


def listen(host: str, port: int) -> socket.socket:
    """Bind before anything else starts. Raises Stop if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Accepted connections inherit it; asyncio sets it only on sockets that it made itself. Without it an answer on a connection that
    # is kept open waits 40 ms for the other side's delayed acknowledgement.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise Stop(
            f"Port {port} of {host} can't be used: {error.strerror}. Choose another: --port or ONESHELF_PORT."
        ) from error
    sock.listen(256)
    return sock
