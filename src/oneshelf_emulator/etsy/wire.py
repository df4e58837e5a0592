"""The paths of the Etsy Open API v3, with their checks: key, budget, token, scope, owner.

In: HTTP. Out: JSON, with the rate headers on every answer. Never: decides what a sale or a write means.
Source: Etsy Open API v3 document (paths, scopes, statuses), read 2026-11; texts etsy/open-api #1529 #198 #611 #1681.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from .query import form_of, is_json, json_of
from .refused import Refused

if TYPE_CHECKING:
    from .emulator import Etsy

log = logging.getLogger(__name__)
BODY_BYTES_MAX = 2_000_000


@dataclass
class Call:
    """One call that passed the gates: its request, body, and the scopes of its token (none without OAuth)."""

    request: Request
    body: bytes
    scopes: frozenset[str]

    def number(self, name: str) -> int:
        """Return a path id. Raises Refused 400 for what is no positive integer."""
        raw = self.request.path_params[name]
        if not re.fullmatch(r"[1-9][0-9]{0,18}", raw):
            raise Refused(400, f"Expected int value for '{name}' (got '{raw[:40]}')")
        return int(raw)


Handler = Callable[[Call], Any]


@dataclass(frozen=True)
class Operation:
    """One operation of the document. `scope` None: the key alone is enough."""

    name: str
    method: str
    path: str
    scope: str | None
    handler: Handler
    status: int = 200


class Wire:
    """The ASGI app of one emulated Etsy."""

    def __init__(self, etsy: Etsy, operations: list[Operation]) -> None:
        self.etsy = etsy
        self.operations = operations
        paths: dict[str, dict[str, Operation]] = {}
        for operation in operations:
            paths.setdefault(operation.path, {})[operation.method] = operation
        routes = [
            Route("/oauth/connect", self._connect, methods=["GET"]),
            Route("/v3/public/oauth/token", self._token, methods=["POST"]),
            *(Route(path, self._endpoint(by_method), methods=list(by_method)) for path, by_method in paths.items()),
        ]
        self.app = Starlette(routes=routes, exception_handlers={404: self._no_route, 405: self._no_route})
        self.app.router.redirect_slashes = False
        self.app.state.throttled_answer = self._throttled
        self.app.state.expired_answer = self._expired
        self.app.state.operation_of = self.operation_of
        self._patterns = [
            (operation, re.compile(re.sub(r"\{\w+\}", "[^/]+", operation.path))) for operation in operations
        ]

    def operation_of(self, scope: Any, body: bytes) -> str:
        """Return the operationId that a request means, for faults ("createToken" for the token endpoint)."""
        if scope["path"] == "/v3/public/oauth/token":
            return "createToken"
        for operation, pattern in self._patterns:
            if operation.method == scope["method"] and pattern.fullmatch(scope["path"]):
                return operation.name
        return f"{scope['method']} {scope['path']}"

    def _endpoint(self, by_method: dict[str, Operation]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            operation = by_method["GET" if request.method == "HEAD" else request.method]
            return await self._answer(request, lambda body: self._run(operation, request, body))

        return endpoint

    async def _answer(self, request: Request, run: Callable[[bytes], Response]) -> Response:
        """Run one call; whatever goes wrong becomes an answer in Etsy's words, with the rate headers."""
        body = await request.body()
        try:
            if len(body) > BODY_BYTES_MAX:
                raise Refused(413, "Request entity too large")
            response = run(body)
        except Refused as refusal:
            response = _error(refusal)
        except Exception:  # a mistake of the emulator: the client sees what Etsy's own mistakes look like
            log.exception("the emulated Etsy failed on %s %s", request.method, request.url.path)
            self.etsy.world.note("etsy", "emulator_error", path=request.url.path)
            response = JSONResponse({"error": "Server Error"}, 500)
        response.headers.update(self.etsy.budget.headers())
        return response

    def _run(self, operation: Operation, request: Request, body: bytes) -> Response:
        self._check_key(request)
        self._check_budget()
        scopes = self._check_token(request, operation)
        result = operation.handler(Call(request, body, scopes))
        return result if isinstance(result, Response) else JSONResponse(result, operation.status)

    def _check_key(self, request: Request) -> None:
        key = request.headers.get("x-api-key")
        keystring, shared_secret = self.etsy.keystring, self.etsy.shared_secret
        if not key:
            raise Refused(401, "Missing x-api-key header or client_id")
        if key == keystring:
            raise Refused(403, "Shared secret is required in x-api-key header.")
        if key != f"{keystring}:{shared_secret}":
            raise Refused(403, "Invalid API key: should be in the format 'keystring:shared_secret'.")

    def _check_budget(self) -> None:
        self.etsy.sync_limits()
        refused = self.etsy.budget.knock()
        if refused:
            raise Refused(429, refused[0], str(refused[1]))

    def _check_token(self, request: Request, operation: Operation) -> frozenset[str]:
        authorization = request.headers.get("authorization", "")
        scheme, _, bearer = authorization.partition(" ")
        if not authorization and operation.scope is None:
            return frozenset()
        if scheme.lower() != "bearer" or not bearer:
            raise Refused(401, "invalid_token", "a Bearer access token is required")
        scopes = self.etsy.tokens.check(bearer.strip())
        if operation.scope is not None and operation.scope not in scopes:
            raise Refused(403, "insufficient_scope", f"the access token lacks the scope {operation.scope}")
        return scopes

    async def _connect(self, request: Request) -> Response:
        """The consent page, with a seller who says yes at once."""
        query = dict(request.query_params)
        try:
            code, redirect_uri = self.etsy.tokens.consent(query)
        except Refused as refusal:
            return _error(refusal)
        glue = "&" if "?" in redirect_uri else "?"
        return RedirectResponse(f"{redirect_uri}{glue}{urlencode({'code': code, 'state': query['state']})}", 302)

    async def _token(self, request: Request) -> Response:
        def run(body: bytes) -> Response:
            fields = form_of(request, body)
            if not fields and is_json(request):  # one client library posts JSON
                parsed = json_of(body)
                fields = {k: str(v) for k, v in parsed.items()} if isinstance(parsed, dict) else {}
            return JSONResponse(self.etsy.tokens.exchange(fields))

        return await self._answer(request, run)

    async def _no_route(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        text = "Resource not found" if status == 404 else "Method not allowed"
        return JSONResponse({"error": text}, status, headers=self.etsy.budget.headers())

    def _throttled(self, request: Request) -> Response:
        response = _error(Refused(429, "Exceeded per second rate limit", "1"))
        response.headers.update(self.etsy.budget.headers())
        return response

    def _expired(self, request: Request) -> Response | None:
        if not request.headers.get("authorization"):
            return None
        return _error(Refused(401, "invalid_token", "access token is expired"))


def _error(refusal: Refused) -> Response:
    """Return the answer to a refused call. For a 429 the description holds the seconds to wait."""
    if refusal.status == 429:
        return JSONResponse({"error": refusal.error}, 429, headers={"retry-after": refusal.description or "1"})
    body = {"error": refusal.error}
    if refusal.description:
        body["error_description"] = refusal.description
    return JSONResponse(body, refusal.status)
