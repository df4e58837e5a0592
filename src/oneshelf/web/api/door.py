"""Before any route: whose token is it, has it requests left, is the body of a size and a pace that we take.

In: a raw request. Out: the same with its caller and its whole body, or a problem. Never: reads a body for somebody without a token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oneshelf.tenants.api_tokens import Caller

from .problems import of_error, problem
from .rate import Rate

#: Largest body, bytes: a CSV file of some ten thousand rows.
BODY_MAX = 5 * 1024 * 1024
#: So long a body may take to arrive.
BODY_WITHIN_S = 30.0
#: What is shown to everybody: it says nothing of the shop.
OPEN = ("/openapi.json",)

_REALM = {"www-authenticate": 'Bearer realm="oneshelf"'}


class Door:
    """Stands before the API's app. `caller_of`: whose token a text is (it may read the database)."""

    def __init__(self, app: ASGIApp, *, caller_of: Callable[[str], Caller | None], rate: Rate) -> None:
        self._app = app
        self._caller_of = caller_of
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path in OPEN and scope["method"] == "GET":
            await self._app(scope, receive, send)
            return
        try:
            await self._let_in(scope, receive, send)
        except Exception as error:  # whatever it is: an answer that says so, and a line in the log
            await of_error(error, scope["path"])(scope, receive, send)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        kind, _, text = headers.get("authorization", "").partition(" ")
        caller = await run_in_threadpool(self._caller_of, text.strip()) if kind.lower() == "bearer" else None
        if caller is None:
            words = (
                "This token opens nothing: it was mistyped or revoked."
                if kind
                else "Send `Authorization: Bearer …` with a token of `oneshelf tokens create`."
            )
            await problem("no-token", words, headers=_REALM)(scope, receive, send)
            return
        left = self._rate.take(caller.token_no, monotonic())
        send = _with_headers(send, self._rate.headers(left))
        if left.wait_s:
            words = f"This token has made its {self._rate.per_minute} requests of a minute. Wait {left.wait_s} s."
            await problem("too-many", words, headers={"retry-after": str(left.wait_s)})(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                body = await _body(Request(scope, receive))
        except TimeoutError:
            words = f"A request has to arrive within {BODY_WITHIN_S:g} s."
            await problem("too-slow", words, headers={"connection": "close"})(scope, receive, send)
            return
        except ClientDisconnect:
            return  # nobody hears the answer
        if body is None:
            words = f"A request may have {BODY_MAX} bytes at most. Send fewer items, or the file in parts."
            await problem("too-large", words, headers={"connection": "close"})(scope, receive, send)
            return
        # A file may be UTF-16; whoever reads it looks for itself.
        is_text = not headers.get("content-type", "").lower().startswith("text/csv")
        in_body = is_text and (b"\0" in body or b"\\u0000" in body)
        if "\0" in scope["path"] or b"%00" in scope["query_string"] or in_body:
            await problem("not-valid", "The character 0 is no text that can be kept.")(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, _again(body, receive), send)


async def _body(request: Request) -> bytes | None:
    """Read the body, never more than BODY_MAX bytes; None if it is larger."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and (len(length) > 12 or int(length) > BODY_MAX):
        return None
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_MAX:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _again(body: bytes, receive: Receive) -> Receive:
    """Give a body that was read once more, then what comes after it."""
    given = False

    async def give() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give


def _with_headers(send: Send, headers: dict[str, str]) -> Callable[[Any], Awaitable[None]]:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return sent
