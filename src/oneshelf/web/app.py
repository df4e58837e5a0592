"""The web app: pages, live changes, health; and the channels' doors, which others hand in.

**There is no login yet.** So the pages are for the machine that runs Oneshelf: listen on localhost (the default), and reach it from
elsewhere through something that asks who you are (an SSH tunnel, a proxy with a login). A request whose Host is not this machine's is
refused, so that no page on the web can read the dashboard through a visitor's browser (DNS rebinding). The doors of the channels are
open to any Host: what comes in there is believed only by its signature.

In: a State (who the tenant is, a reader, the time, health). Out: `build(state)`, a Starlette app.
Never: writes; sends a page that runs or loads anything but our own files.
"""

from __future__ import annotations

import gzip
import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oneshelf.channels.contract import Capabilities
from oneshelf.core.instants import iso

from .live import STREAMS_MAX, Live
from .pages import Missing, Page, Pages, State

log = structlog.get_logger()

#: Hosts that are this machine.
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

#: Below these addresses the channels knock (their messages are signed), send the merchant back after a sign-in (which is known by its
#: state), and programs ask (each with its token, which no browser sends by itself): any Host may bring them.
DOORS = ("/webhooks/", "/connect/", "/api/")
#: Style sheet and icon, which the sign-in pages need under any name; they say nothing of the shop.
ASSETS = "/static/"

#: Longest SKU or search that is looked for.
TEXT_MAX = 200

_STATIC = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


def build(
    state: State,
    extra_routes: Iterable[BaseRoute] = (),
    *,
    hosts: Iterable[str] = (),
    can: Mapping[str, Capabilities] | None = None,
    stopping: Callable[[], bool] | None = None,
) -> Starlette:
    """Return the app.

    `extra_routes`: what else is served here; those below DOORS are open to any Host. `hosts`: further Host names (without port) that may see the pages: only
    such that something with a login stands before. `can`: what each channel can do, by name (its largest number). `stopping`: whether
    the service is about to end; open streams end then, so that nothing waits for them.
    """
    files, assets = _assets()
    pages = Pages(state, assets, can)

    def ended() -> bool:
        return (stopping is not None and stopping()) or state.health() is not None

    live = Live(lambda topic: pages.by_topic(topic).frame, lambda: iso(state.now()) or "", assets["version"], ended)
    site = _Site(state, pages, live)
    routes: list[BaseRoute] = [
        Route("/", site.overview),
        Route("/stock", site.stock),
        Route("/sku/{sku:path}", site.sku),
        Route("/why/{outlet_id:int}", site.why),
        Route("/live", site.live),
        Route("/healthz", site.healthz),
        Route("/static/{name}", files),
        *extra_routes,
    ]
    allowed = LOCAL_HOSTS | {host.lower() for host in hosts}
    app = Starlette(
        routes=routes,
        middleware=[Middleware(_Guard, allowed=allowed), Middleware(GZipMiddleware, minimum_size=1_000)],
        exception_handlers={Missing: site.missing, 404: site.missing, Exception: site.broken},
    )
    app.state.live = live
    app.state.sign_in_page = pages.sign_in
    return app


class _Guard:
    """Lets only this machine's Host see pages, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, allowed: frozenset[str]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in present),
                ]
            await send(message)

        if scope["path"].startswith((*DOORS, ASSETS)) or _host(scope) in self._allowed:
            await self._app(scope, receive, send_guarded)
            return
        refusal = PlainTextResponse(
            "This dashboard has no login, so it is shown only to the machine that runs it. Open it as http://localhost, "
            "for example through an SSH tunnel.\n",
            403,
        )
        await refusal(scope, receive, send_guarded)


def _host(scope: Scope) -> str:
    """Return the Host without its port, in lower case; "" for none or one that is no host."""
    raw = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
    try:
        host = urlsplit(f"//{raw}").hostname or ""
    except ValueError:
        return ""
    return f"[{host}]" if ":" in host else host


class _Site:
    """The addresses."""

    def __init__(self, state: State, pages: Pages, live: Live) -> None:
        self._state = state
        self._pages = pages
        self._live = live

    def overview(self, request: Request) -> Response:
        return self._answer(request, self._pages.overview())

    def sku(self, request: Request) -> Response:
        return self._answer(request, self._pages.sku(request.path_params["sku"][:TEXT_MAX]))

    def why(self, request: Request) -> Response:
        page = self._pages.why(request.path_params["outlet_id"], request.query_params.get("sku", "")[:TEXT_MAX])
        return self._answer(request, page)

    def stock(self, request: Request) -> Response:
        query = request.query_params
        return self._answer(
            request, self._pages.stock(query.get("after", "")[:TEXT_MAX], query.get("q", "").strip()[:TEXT_MAX])
        )

    def _answer(self, request: Request, page: Page) -> Response:
        wanted = request.query_params.get("part")
        html = self._pages.html(page) if wanted is None else _parts(page, wanted.split(","))
        return HTMLResponse(html, headers={"cache-control": "no-store"})

    async def live(self, request: Request) -> Response:
        topic = request.query_params.get("on", "")[: TEXT_MAX * 4]
        have = request.headers.get("last-event-id") or request.query_params.get("have", "")
        if not topic or self._live.streams >= STREAMS_MAX:
            return PlainTextResponse("No page, or too many streams.", 400 if not topic else 503)
        stream = self._live.stream(topic, have, request.query_params.get("v", ""))
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    async def healthz(self, request: Request) -> Response:
        problem = await run_in_threadpool(self._state.health)
        if problem is None:
            return JSONResponse({"ok": True}, headers={"cache-control": "no-store"})
        return JSONResponse({"ok": False, "why": problem}, 503, headers={"cache-control": "no-store"})

    def missing(self, request: Request, error: Exception) -> Response:
        text = str(error) if isinstance(error, Missing) else "Nothing is lost. Perhaps the address was mistyped."
        return HTMLResponse(
            self._pages.error("There is nothing here.", text), 404, headers={"cache-control": "no-store"}
        )

    def broken(self, request: Request, error: Exception) -> Response:
        reference = secrets.token_hex(4).upper()
        log.error("page_failed", path=request.url.path, reference=reference, exc_info=error)
        problem = self._state.health()
        text = f"No data is affected. Reference {reference}: it stands in the log with the cause. Try again."
        if problem is not None:
            text = f"The service has stopped: {problem} No message that was answered is lost. Reference {reference}."
        return HTMLResponse(
            self._pages.error("This page could not be built.", text), 500, headers={"cache-control": "no-store"}
        )


def _parts(page: Page, names: list[str]) -> str:
    """Return some parts of a page, each in an element of its id; `why` alone is a popover's content."""
    if names == ["why"]:
        return page.frame.parts.get("why", "")
    found = []
    for name in names:
        if name in page.frame.parts:
            found.append(f'<div id="{name}">{page.frame.parts[name]}</div>')
        elif name in page.frame.rows:
            rows = "".join(page.frame.rows[name].values())
            found.append(
                f'<ol id="{name}">{rows}</ol>'
                if rows.startswith("<li")
                else f'<table><tbody id="{name}">{rows}</tbody></table>'
            )
    return "".join(found)


def _assets() -> tuple[ASGIApp, dict[str, str]]:
    """Read our files once: {name: address with a hash of its content}, and the app that serves them for ever."""
    contents = {
        "app.css": (_STATIC / "tokens.css").read_bytes() + (_STATIC / "app.css").read_bytes(),
        "app.js": (_STATIC / "app.js").read_bytes(),
        "icon.svg": (_STATIC / "icon.svg").read_bytes(),
    }
    names: dict[str, str] = {}
    served: dict[str, tuple[bytes, bytes, str]] = {}
    for name, content in contents.items():
        stem, kind = Path(name).stem, Path(name).suffix
        hashed = f"{stem}.{hashlib.sha256(content).hexdigest()[:12]}{kind}"
        names[name] = f"/static/{hashed}"
        served[hashed] = (content, gzip.compress(content, 9, mtime=0), _TYPES[kind])
    names["version"] = hashlib.sha256("".join(sorted(names.values())).encode()).hexdigest()[:12]

    async def serve(request: Request) -> Response:
        found = served.get(request.path_params["name"])
        if found is None:
            return PlainTextResponse("No such file.", 404)
        content, zipped, media_type = found
        headers = {"cache-control": "public, max-age=31536000, immutable", "vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(zipped, media_type=media_type, headers={**headers, "content-encoding": "gzip"})
        return Response(content, media_type=media_type, headers=headers)

    return serve, names  # type: ignore[return-value]
