"""Budgets that refill on the clock, and the gate that lets faults strike in front of a marketplace.

In: requests.
Out: the marketplace's answer, or what a fault makes of it.
Never: knows a wire format: the marketplace says how its own "too many" and "expired" look.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, MutableMapping
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .clock import Clock
from .door import IN_PROCESS
from .world import World

#: Longest that a request without an answer is kept open, real seconds.
SILENCE_S_MAX = 30.0
#: Key in the ASGI scope under which the HTTP door puts a function that cuts the connection.
ABORT = "emulator.abort"
DAY_S = 86_400.0
#: How late a slow answer comes, real seconds.
SLOW_S = 2.0


class Bucket:
    """A token bucket: `burst` at most, refilled by `rate_per_s` (real seconds; the clock's factor makes it faster)."""

    def __init__(self, rate_per_s: float, burst: float, clock: Clock) -> None:
        self.rate_per_s = rate_per_s
        self.burst = float(burst)
        self.clock = clock
        self._level = float(burst)
        self._seen_at = clock.now()

    @property
    def level(self) -> float:
        """How many tokens are there now."""
        now = self.clock.now()
        elapsed_s = max(0.0, (now - self._seen_at).total_seconds()) * self.clock.factor
        self._level = min(self.burst, self._level + elapsed_s * self.rate_per_s)
        self._seen_at = now
        return self._level

    def take(self, cost: float = 1.0) -> bool:
        """Take `cost` tokens if they are there; return whether they were. A refusal costs nothing."""
        if self.level + 1e-9 < cost:
            return False
        self._level -= cost
        return True

    def give_back(self, cost: float) -> None:
        """Return tokens that were asked for but not used."""
        self._level = min(self.burst, self.level + cost)

    def wait_s(self, cost: float = 1.0) -> float:
        """Return the seconds of the shared clock until `cost` tokens are there."""
        short = cost - self.level
        return max(0.0, self.clock.shortened(short / self.rate_per_s)) if self.rate_per_s else float("inf")


class DayCounter:
    """At most `limit` calls in any window of 24 hours (shortened by the factor). Slides; does not reset at midnight."""

    def __init__(self, limit: int, clock: Clock, window_s: float = DAY_S) -> None:
        self.limit = limit
        self.clock = clock
        self.window_s = window_s
        self._taken: deque[datetime] = deque()

    @property
    def left(self) -> int:
        """How many calls are left at this moment."""
        oldest = self.clock.now() - timedelta(seconds=self.clock.shortened(self.window_s))
        while self._taken and self._taken[0] <= oldest:
            self._taken.popleft()
        return self.limit - len(self._taken)

    def take(self) -> bool:
        """Count one call if the limit allows it; return whether it did."""
        if self.left <= 0:
            return False
        self._taken.append(self.clock.now())
        return True

    def wait_s(self) -> float:
        """Return the seconds of the shared clock until the next call is allowed."""
        if self.left > 0:
            return 0.0
        free_at = self._taken[0] + timedelta(seconds=self.clock.shortened(self.window_s))
        return max(0.0, (free_at - self.clock.now()).total_seconds())


class FaultGate:
    """ASGI middleware in front of a marketplace: rolls the faults that any marketplace may have, once a request.

    Before the app runs: error_500, error_503_html, timeout_before, expired_token, throttle (in this order, the first
    that strikes). After it ran: timeout_after (done, answer lost), cut_answer (done, half the body arrives), error_500_after
    (done, the answer says 500); slow_answer (done, the answer comes SLOW_S late) goes with any of them.

    The marketplace may set on `app.state`:
      throttled_answer(request) -> Response         its own "too many requests" (default: a bare 429)
      expired_answer(request) -> Response | None    its own "token expired"; None where no token is asked for
      operation_of(scope, body) -> str              the name of the operation, for `Faults.arm`
    Without `operation_of` the name is "METHOD /raw/path". `Faults.arm` takes shell patterns ("PATCH /listings/*").
    """

    def __init__(self, app: Any, world: World, channel: str) -> None:
        self.app: ASGIApp = app
        self.world = world
        self.channel = channel
        self._state = getattr(app, "state", None)

    def _own(self, name: str) -> Callable[..., Any] | None:
        return getattr(self._state, name, None) if self._state is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = await _read(receive)
        operation_of = self._own("operation_of")
        raw = (scope.get("raw_path") or scope["path"].encode()).split(b"?")[0].decode("latin-1")
        operation = operation_of(scope, body) if operation_of else f"{scope['method']} {raw}"

        def strikes(name: str) -> bool:
            return self.world.faults.roll(name, self.channel, operation)

        early = self._early_answer(strikes, Request(scope))
        if early is SILENT:
            await _fall_silent(scope, receive)
            return
        if isinstance(early, Response):
            await early(scope, receive, send)
            return
        lost, cut, failed = strikes("timeout_after"), strikes("cut_answer"), strikes("error_500_after")
        slow = strikes("slow_answer")
        replay = _replay(body, receive)
        if not (lost or cut or failed or slow):
            await self.app(scope, replay, send)
            return
        answer = _Kept()
        await self.app(scope, replay, answer.keep)
        if slow:
            await asyncio.sleep(SLOW_S)
        if lost:
            await _fall_silent(scope, receive)
        elif failed:
            await _server_error()(scope, receive, send)
        elif not cut:
            await send(answer.start)
            await send({"type": "http.response.body", "body": answer.body})
        else:
            await _send_half(scope, receive, send, answer)

    def _early_answer(self, strikes: Callable[[str], bool], request: Request) -> Response | object | None:
        if strikes("error_500"):
            return _server_error()
        if strikes("error_503_html"):
            return HTMLResponse("<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>", 503)
        if strikes("timeout_before"):
            return SILENT
        expired = self._own("expired_answer")
        if expired is not None and strikes("expired_token"):
            answer: Response | None = expired(request)
            if answer is not None:
                return answer
        if strikes("throttle"):
            throttled = self._own("throttled_answer")
            return throttled(request) if throttled else Response("Too Many Requests", 429)
        return None


def _server_error() -> Response:
    return JSONResponse({"errors": [{"code": "InternalFailure", "message": "Internal Server Error"}]}, 500)


#: Marks a request that shall get no answer.
SILENT = object()


class _Kept:
    """Collects an answer in place of sending it."""

    def __init__(self) -> None:
        self.start: MutableMapping[str, Any] = {}
        self.body = b""

    async def keep(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.start = message
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")


async def _read(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _fall_silent(scope: Scope, receive: Receive) -> None:
    """Answer nothing: over HTTP until the client gives up (or SILENCE_S_MAX), in process by TimeoutError."""
    if scope.get(IN_PROCESS):
        raise TimeoutError("no answer (fault injected by the emulator)")
    try:
        async with asyncio.timeout(SILENCE_S_MAX):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        await _abort(scope, receive)


async def _send_half(scope: Scope, receive: Receive, send: Send, answer: _Kept) -> None:
    headers = [(name, value) for name, value in answer.start.get("headers", []) if name.lower() != b"content-length"]
    headers.append((b"content-length", str(max(1, len(answer.body))).encode()))
    await send({**answer.start, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
    if not scope.get(IN_PROCESS):
        await asyncio.sleep(0.01)  # let the half leave before the cut
        await _abort(scope, receive)


async def _abort(scope: Scope, receive: Receive) -> None:
    """Cut the connection, and wait until the server knows: it takes an early return for a bug otherwise."""
    abort = scope.get(ABORT)
    if abort is not None:
        abort()
        while (await receive())["type"] != "http.disconnect":
            pass
