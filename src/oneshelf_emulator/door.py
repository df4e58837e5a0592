"""The door in process: one request into an ASGI app, one parcel into an ASGI receiver, without a socket.

In: method, raw path, query, headers, body.
Out: the answer as a client would read it, or TimeoutError where a client would wait in vain.
Never: touches the path. `/a%2Fb` arrives as `/a%2Fb` in `raw_path` and as `/a/b` in `path`, as behind a real server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from .courier import Deliver

#: Key in the ASGI scope of a request that came by this door. `throttle.FaultGate` raises TimeoutError there.
IN_PROCESS = "emulator.in_process"


@dataclass(frozen=True)
class Answer:
    """What came back. Header names in lower case; repeated headers are joined by ", "."""

    status: int
    headers: dict[str, str]
    body: bytes


async def call(
    app: ASGIApp,
    method: str,
    path: str,
    *,
    query: str = "",
    headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
    body: bytes = b"",
) -> Answer:
    """Send one request into `app` and return its answer.

    `path` is the raw path, percent-encoded as on the wire; a `?query` in it is honoured if `query` is empty.
    Raises TimeoutError where the marketplace never answers (faults timeout_before, timeout_after). A cut answer
    (fault cut_answer) has fewer bytes than its content-length says.
    """
    if not query and "?" in path:
        path, _, query = path.partition("?")
    pairs = headers.items() if isinstance(headers, Mapping) else (headers or ())
    raw_headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    if not any(name == b"host" for name, _ in raw_headers):
        raw_headers.append((b"host", b"emulator.test"))
    raw_headers.append((b"content-length", str(len(body)).encode())) if body else None
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method.upper(),
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "root_path": "",
        "query_string": query.encode("ascii"),
        "headers": raw_headers,
        "client": ("127.0.0.1", 1),
        "server": ("emulator.test", 80),
        "state": {},
        IN_PROCESS: True,
    }
    return await _run(app, scope, body)


async def _run(app: ASGIApp, scope: dict[str, Any], body: bytes) -> Answer:
    asked = False
    answered = asyncio.Event()
    status = 0
    got: list[tuple[bytes, bytes]] = []
    chunks: list[bytes] = []

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status, got
        if message["type"] == "http.response.start":
            status, got = message["status"], list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            chunks.append(message.get("body", b""))
            if not message.get("more_body", False):
                answered.set()

    await app(scope, receive, send)
    joined: dict[str, str] = {}
    for name, value in got:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        joined[key] = f"{joined[key]}, {text}" if key in joined else text
    return Answer(status, joined, b"".join(chunks))


def deliver_in_process(receivers: Mapping[str, ASGIApp]) -> Deliver:
    """Return a `Courier.deliver` that hands parcels to ASGI apps.

    `receivers` maps an origin ("http://oneshelf.test") to its app. An unknown origin raises ConnectionError, as a
    host that nobody listens on.
    """

    async def deliver(url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> int:
        parts = urlsplit(url)
        app = receivers.get(f"{parts.scheme}://{parts.netloc}")
        if app is None:
            raise ConnectionError(f"nobody listens at {parts.scheme}://{parts.netloc}")
        async with asyncio.timeout(timeout_s):
            answer = await call(app, "POST", parts.path or "/", query=parts.query, headers=headers, body=body)
        return answer.status

    return deliver


class RawPath:
    """ASGI middleware: route on the raw path, so that `%2F` in an id stays inside its segment.

    Path parameters then arrive percent-encoded; the handler decodes them with `urllib.parse.unquote`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path")
        if scope["type"] == "http" and raw:
            scope = dict(scope, path=raw.split(b"?")[0].decode("latin-1"))
        await self.app(scope, receive, send)
