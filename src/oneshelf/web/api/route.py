"""How a resource is added in a few lines: what a route of the API is, and what it is given.

    routes = Routes("stock", "What is there")

    @routes.reads("/stock/levels")
    async def levels(call: Call, sku: str = "", cursor: CursorText = "", limit: Limit = LIMIT) -> Page[StockRow]:
        return await call.page(cursor, limit, lambda tx, after, n: stock_rows(…), key=lambda row: [row.sku, row.location_id])

    @routes.writes("/stock/counts", dry=True)
    async def count(call: Call, body: CountIn) -> CountOut:
        return await call.command("count", body)

The function's own annotations are the document: its parameters, its body (a pydantic model), what it gives (structs). A read needs the
scope AREA:read, a write AREA:write. Errors are raised, never returned.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from typing import Annotated, Any, TypeVar, cast, get_type_hints

import msgspec
from fastapi import APIRouter, Depends, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from oneshelf.core import spreadsheet
from oneshelf.core.errors import NotThere, Stop
from oneshelf.core.instants import to_us
from oneshelf.db.tx import Tx
from oneshelf.tenants.api_tokens import Caller
from oneshelf.web.acting import Acting
from oneshelf.wiring import Service

from . import once
from .paging import Cursors, Page, cut
from .problems import ApiError, of_error

T = TypeVar("T")
Row = TypeVar("Row")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
KEY_HEADER = "Idempotency-Key"
JSON, CSV = "application/json", "text/csv"


class Body(BaseModel):
    """A body: exactly these fields, each of its own kind."""

    model_config = ConfigDict(extra="forbid", strict=True, str_max_length=10_000)


class Desk:
    """What every request needs of the service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.cursors = Cursors(service.sealer, service.tenant_id)


class Asked:
    """One request at work: who asks, and what it may use. In a route's parameters as `call: Call`."""

    def __init__(self, request: Request, dry_run: bool = False) -> None:
        self._request = request
        self._desk: Desk = request.app.state.desk
        self.caller: Caller = request.state.caller
        self.dry_run = dry_run
        self.tenant_id = self.caller.tenant_id

    @property
    def now(self) -> int:
        return to_us(self._desk.service.clock.now())

    @property
    def service(self) -> Service:
        """Return the service, which notes this caller, and undoes what it does if this is a dry run."""
        return cast(Service, Acting(self._desk.service, self.caller.actor, dry_run=self.dry_run))

    @property
    def is_csv(self) -> bool:
        return self._request.headers.get("content-type", "").split(";")[0].strip().lower() == CSV

    async def body(self) -> bytes:
        """Return what was sent, as it came."""
        return await self._request.body()

    async def read(self, look: Callable[[Tx], T]) -> T:
        """Look into the database, in a transaction that can't write."""

        def in_thread() -> T:
            with self._desk.service.store.reader() as tx:
                return look(tx)

        return await run_in_threadpool(in_thread)

    async def page(
        self,
        cursor: str,
        limit: int,
        look: Callable[[Tx, list[Any] | None, int], list[Row]],
        *,
        key: Callable[[Row], Sequence[Any]],
    ) -> Page[Row]:
        """Give one page. `look(tx, after, n)`: at most n rows after a position (None: from the start); `key`: a row's position."""
        query = sorted((k, v) for k, v in self._request.query_params.multi_items() if k not in ("cursor", "limit"))
        of = msgspec.json.encode([self._request.scope["route"].path_format, self._request.path_params, query]).decode()
        cursors = self._desk.cursors
        after = cursors.open(of, cursor) if cursor else None
        rows = await self.read(lambda tx: look(tx, after, limit + 1))
        return cut(rows, limit, lambda position: cursors.seal(of, position), key)

    async def command(self, name: str, body: Body | dict[str, Any], **more: Any) -> Any:
        """Carry out a command of the local door, as this caller."""
        from oneshelf.web.commands import COMMANDS

        given = body.model_dump(exclude_none=True) if isinstance(body, Body) else body
        return await COMMANDS[name](self.service, {**given, **more})

    async def look_or_do(self, name: str, payload: dict[str, Any]) -> Any:
        """Carry out a command that has a preview of its own, or give that in a dry run: it looks and does in several steps."""
        from oneshelf.web.commands import COMMANDS

        service = cast(Service, Acting(self._desk.service, self.caller.actor))
        return await COMMANDS[name](service, {**payload, "yes": not self.dry_run})


def _asked(request: Request) -> Asked:
    return Asked(request)


def _asked_dry(
    request: Request,
    dry_run: Annotated[bool, Query(description="Say what would be done, and do nothing.")] = False,
) -> Asked:
    return Asked(request, dry_run)


Call = Annotated[Asked, Depends(_asked)]
DryCall = Annotated[Asked, Depends(_asked_dry)]


def found(row: T | None, what: str) -> T:
    """Return what was looked for. Raises NotThere, which is answered 404. `what`: "There is no order 7"."""
    if row is None:
        raise NotThere(f"{what}.")
    return row


class _Route(APIRoute):
    """1. Does the token open it?  2. Was it done already?  3. Do it.  4. Keep the answer.  Whatever fails is a problem."""

    def get_route_handler(self) -> Handler:
        inner = super().get_route_handler()
        scope = (self.openapi_extra or {})["x-scope"]
        writes = scope.endswith(":write")

        takes_json = self.body_field is not None

        async def handle(request: Request) -> Response:
            try:
                caller: Caller = request.state.caller
                if scope not in caller.scopes:
                    raise ApiError("no-scope", f"The token {caller.name!r} does not open {scope}.")
                if takes_json and not _is_json(request):
                    raise ApiError("media-type", "Send JSON, with Content-Type: application/json.")
                key = request.headers.get(KEY_HEADER.lower()) if writes else None
                return await (inner(request) if key is None else _once(request, once.checked(key), inner))
            except Exception as error:  # every kind has its answer; what nobody foresaw is logged there
                return of_error(error, request.url.path)

        return handle


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    return kind == JSON or (kind.startswith("application/") and kind.endswith("+json"))


async def _once(request: Request, key: str, inner: Handler) -> Response:
    service: Service = request.app.state.desk.service
    caller: Caller = request.state.caller
    where = (caller.tenant_id, caller.token_no, key)
    address = f"{request.url.path}?{request.url.query}"
    print_ = once.fingerprint(request.method, address, await request.body())
    now = to_us(service.clock.now())
    kept = await service.writer.do(lambda tx: once.begin(tx, *where, print_, now))
    if kept is not None:
        return Response(kept.body, kept.status, {"cache-control": "no-store", "idempotent-replayed": "true"}, JSON)
    try:
        answer = await inner(request)
    except Stop:
        raise  # nothing can be kept; at the next start it is LOST
    except Exception as error:
        answer = of_error(error, request.url.path)
    if answer.status_code < 500:
        done = once.Kept(answer.status_code, _without_secret(bytes(answer.body))) if answer.status_code < 400 else None
        await service.writer.do(lambda tx: once.end(tx, *where, done))
    else:
        await service.writer.do(lambda tx: once.lose(tx, *where))
    return answer


def _without_secret(body: bytes) -> bytes:
    """Return an answer as it may be kept: a secret is shown once."""
    said = msgspec.json.decode(body)
    if not isinstance(said, dict) or "secret" not in said:
        return body
    return msgspec.json.encode({**said, "secret": ""})


#: What the routes give, for the OpenAPI document: filled as modules are loaded.
GIVEN: list[Any] = []


def _file(media_type: str) -> dict[str, Any]:
    return {"required": True, "content": {media_type: {"schema": {"type": "string"}}}}


async def csv_of(call: Asked) -> str:
    """Return the CSV file that was sent, however a spreadsheet saved it. Raises ApiError for one that is no text."""
    if not call.is_csv:
        raise ApiError("media-type", "Send the file as it is, with Content-Type: text/csv.")
    try:
        return spreadsheet.decoded(await call.body())[0]
    except spreadsheet.SheetWrong as error:
        raise ApiError("not-valid", f"{error}.") from None


class Routes(APIRouter):
    """The routes of one area. `area`: whose scopes open them; `about`: for people."""

    def __init__(self, area: str, about: str) -> None:
        super().__init__(route_class=_Route, tags=[area])
        self.area = area
        self.about = about

    def reads(self, path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """GET that changes nothing."""
        return self._add("GET", path, f"{self.area}:read", 200)

    def writes(self, path: str, *, method: str = "POST", status: int = 200) -> Callable[..., Any]:
        """POST (or another method) that changes something."""
        return self._add(method, path, f"{self.area}:write", status)

    def asks(self, path: str) -> Callable[..., Any]:
        """POST that changes nothing: what is asked for must not stand in an address. Its answer is never kept."""
        return self._add("POST", path, f"{self.area}:read", 200)

    def sheet(self, path: str) -> Callable[..., Any]:
        """POST of a CSV file, which the function reads by `csv_of`."""
        return self._add("POST", path, f"{self.area}:write", 200, takes=CSV)

    def exports(self, path: str) -> Callable[..., Any]:
        """GET of a CSV file: the function gives its text."""
        return self._add("GET", path, f"{self.area}:read", 200, media_type=CSV)

    def _add(
        self, method: str, path: str, scope: str, status: int, *, media_type: str = JSON, takes: str = ""
    ) -> Callable[..., Any]:
        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            gives = get_type_hints(function)["return"]
            if gives not in GIVEN:
                GIVEN.append(gives)

            @wraps(function)
            async def answered(*args: Any, **kwargs: Any) -> Response:
                value = await function(*args, **kwargs)
                body = value.encode() if media_type == CSV else msgspec.json.encode(value)
                return Response(body, status, {"cache-control": "no-store"}, media_type)

            lines = inspect.cleandoc(function.__doc__ or "").split("\n\n", 1)
            self.add_api_route(
                path,
                answered,
                methods=[method],
                status_code=status,
                response_model=None,
                summary=" ".join(lines[0].split()),
                description=lines[1] if len(lines) > 1 else "",
                operation_id=function.__name__,
                openapi_extra={
                    "x-scope": scope,
                    "x-gives": GIVEN.index(gives),
                    "x-media-type": media_type,
                    "security": [{"token": []}],
                    **({"requestBody": _file(takes)} if takes else {}),
                },
            )
            return function

        return decorate
