"""eBay's paths with their gates: token, scope, day counter, body; and eBay's ways to refuse.

In: HTTP. Out: JSON (XML for Trading, HTML from the edge). Never: decides what a sale or a write means.
Source: the security entries of the Sell, Commerce and Developer OpenAPI documents, read 2026-11.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from ..door import IN_PROCESS, RawPath
from .oauth import ROOT, Access
from .refused import PostOrderRefused, Refused, TokenRefused

if TYPE_CHECKING:
    from .emulator import Ebay

log = logging.getLogger(__name__)
#: Characters that must be percent-encoded in a query; the edge refuses them raw.
RAW_FORBIDDEN = re.compile(rb"[\[\]{}|]")


@dataclass
class Call:
    """One call that passed the gates."""

    request: Request
    raw: bytes
    access: Access

    def part(self, name: str) -> str:
        """Return a path parameter, decoded (a SKU may hold `%2F`)."""
        return unquote(self.request.path_params[name])

    def query(self, *known: str) -> dict[str, str]:
        """Return the query. Raises Refused 2004 for a parameter that the operation does not know."""
        query = dict(self.request.query_params)
        unknown = sorted(set(query) - set(known))
        if unknown:
            raise Refused(2004, f"unknown query parameter: {', '.join(unknown)}")
        return query

    def body(self, *known: str) -> dict[str, Any]:
        """Return the JSON object of the body. Raises Refused 2004 for anything else and for unknown fields."""
        if self.request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
            raise Refused(2004, "the content type must be application/json", status=415)
        try:
            body = json.loads(self.raw, parse_constant=_no_constant)
            json.dumps(body, ensure_ascii=False).encode()  # lone surrogates could not be answered
        except (ValueError, RecursionError):
            raise Refused(2004, "the body is not valid JSON") from None
        if not isinstance(body, dict):
            raise Refused(2004, "the body must be an object")
        unknown = sorted(set(body) - set(known)) if known else []
        if unknown:
            raise Refused(2004, f"unknown field: {', '.join(unknown)}")
        return body


@dataclass(frozen=True)
class Operation:
    """One operation. `kind`: "user", "application" or "any" token; `scopes`: one of them is enough (names below ROOT).

    `signed`: it moves money, so sellers of the EU and the UK sign it.
    """

    name: str
    method: str
    path: str
    api: str | None
    kind: str
    scopes: tuple[str, ...]
    handler: Callable[[Call], Any]
    scheme: str = "bearer"
    signed: bool = False


class Wire:
    """The ASGI app of one emulated eBay (all hosts: api, apiz, auth)."""

    def __init__(self, ebay: Ebay, operations: list[Operation], trading: Callable[[Request, bytes], Response]) -> None:
        self.ebay = ebay
        self.trading = trading
        paths: dict[str, dict[str, Operation]] = {}
        for operation in operations:
            paths.setdefault(operation.path, {})[operation.method] = operation
        routes = [
            Route("/oauth2/authorize", self._authorize, methods=["GET"]),
            Route("/identity/v1/oauth2/token", self._token, methods=["POST"]),
            Route("/ws/api.dll", self._trading, methods=["POST"]),
            *(Route(path, self._endpoint(by_method), methods=list(by_method)) for path, by_method in paths.items()),
        ]
        self.app = Starlette(
            routes=routes,
            middleware=[Middleware(RawPath)],
            exception_handlers={404: self._no_route, 405: self._no_route},
        )
        self.app.router.redirect_slashes = False
        self.app.state.throttled_answer = lambda request: _errors(Refused(2001))
        self.app.state.expired_answer = self._expired
        self.app.state.operation_of = self.operation_of
        self._patterns = [(each, re.compile(re.sub(r"\{\w+\}", "[^/]+", each.path))) for each in operations]

    def operation_of(self, scope: Any, body: bytes) -> str:
        """Return the operation that a request means, for faults ("createToken" for the token endpoint)."""
        raw = (scope.get("raw_path") or scope["path"].encode()).split(b"?")[0].decode("latin-1")
        if raw == "/identity/v1/oauth2/token":
            return "createToken"
        for operation, pattern in self._patterns:
            if operation.method == scope["method"] and pattern.fullmatch(raw):
                return operation.name
        return f"{scope['method']} {raw}"

    def _endpoint(self, by_method: dict[str, Operation]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            operation = by_method["GET" if request.method == "HEAD" else request.method]
            return await self._answer(request, operation)

        return endpoint

    async def _answer(self, request: Request, operation: Operation) -> Response:
        """Run one call; whatever goes wrong becomes an answer in eBay's words."""
        raw = await request.body()
        edge = _edge(request, raw)
        if edge is not None:
            return edge
        try:
            call = Call(request, raw, self._check(request, operation))
            if operation.signed:
                self.ebay.signatures.check(request, raw)
            result = operation.handler(call)
            if inspect.isawaitable(result):
                result = await result
            return result if isinstance(result, Response) else JSONResponse(result)
        except Refused as refusal:
            return _post_order_style(refusal) if operation.scheme == "iaf" else _errors(refusal)
        except PostOrderRefused as refusal:
            return JSONResponse({"error": [refusal.error]}, refusal.status)
        except Exception:  # a mistake of the emulator: the client sees what eBay's own mistakes look like
            log.exception("the emulated eBay failed on %s %s", request.method, request.url.path)
            self.ebay.world.note("ebay", "emulator_error", path=request.url.path)
            return _errors(Refused(2003))

    def _check(self, request: Request, operation: Operation) -> Access:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        allowed = ("iaf", "token") if operation.scheme == "iaf" else ("bearer",)
        if not token:
            raise Refused(1002, status=401)
        access = self.ebay.tokens.check(token.strip()) if scheme.lower() in allowed else None
        if access is None:
            raise Refused(1001)
        wanted = {f"{ROOT}/{name}" if name else ROOT for name in operation.scopes}
        if operation.kind not in ("any", access.kind) or (wanted and not wanted & access.scopes):
            raise Refused(1100)
        if operation.api and not self.ebay.quotas.take(operation.api):
            raise Refused(2001)
        return access

    async def _authorize(self, request: Request) -> Response:
        """The consent page, with a seller who agrees at once; the RuName stands for the accept URL."""
        query = dict(request.query_params)
        try:
            code = self.ebay.tokens.consent(query)
        except TokenRefused as refusal:
            return _token_error(refusal)
        back = {"code": code, "expires_in": "299", **({"state": query["state"]} if "state" in query else {})}
        accept = self.ebay.tokens.accept_url
        return RedirectResponse(f"{accept}{'&' if '?' in accept else '?'}{urlencode(back)}", 302)

    async def _token(self, request: Request) -> Response:
        raw = await request.body()
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return _token_error(TokenRefused(400, "invalid_request", "the body must be a form"))
        form = dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))
        try:
            return JSONResponse(self.ebay.tokens.exchange(request.headers.get("authorization", ""), form))
        except TokenRefused as refusal:
            return _token_error(refusal)

    async def _trading(self, request: Request) -> Response:
        return self.trading(request, await request.body())

    async def _no_route(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        return _errors(Refused(2002, status=status))

    def _expired(self, request: Request) -> Response | None:
        if not request.headers.get("authorization", "").lower().startswith(("bearer", "iaf")):
            return None
        return _errors(Refused(1001))

    def day(self) -> timedelta:
        """Return the length of a day on the shared clock."""
        return timedelta(seconds=self.ebay.world.clock.shortened(86_400.0))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _edge(request: Request, raw: bytes) -> Response | None:
    """What the edge refuses before any API sees it: in HTML."""
    if RAW_FORBIDDEN.search(request.scope.get("query_string", b"")):
        return HTMLResponse("<html><body><h1>HTTP Status 400 - Bad Request</h1></body></html>", 400)
    headers = request.headers
    measured = "content-length" in headers or "transfer-encoding" in headers or request.scope.get(IN_PROCESS)
    return None if measured or request.method not in ("POST", "PUT") else length_required()


def length_required() -> Response:
    return HTMLResponse("<html><body><h1>411 Length Required</h1></body></html>", 411)


def _errors(refusal: Refused) -> Response:
    return JSONResponse({"errors": [refusal.error]}, refusal.status)


def _post_order_style(refusal: Refused) -> Response:
    error = {**refusal.error, "severity": "ERROR", "parameter": [], "httpStatusCode": refusal.status}
    return JSONResponse({"error": [error]}, refusal.status)


def _token_error(refusal: TokenRefused) -> Response:
    return JSONResponse({"error": refusal.error, "error_description": refusal.description}, refusal.status)
