"""The API as one app, to be mounted at PREFIX."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response
from starlette.routing import Mount

from oneshelf.core.instants import to_us
from oneshelf.tenants import api_tokens
from oneshelf.tenants.api_tokens import Caller
from oneshelf.wiring import Service

from . import once
from .document import document
from .door import Door
from .problems import of_error
from .rate import Rate
from .resources import ALL
from .route import Desk

PREFIX = "/api/v1"


def mount(service: Service) -> Mount:
    """Return the API's routes below PREFIX. The service has started."""
    service.writer.submit(partial(once.lose, tenant_id=service.tenant_id))
    return Mount(PREFIX, app=build_api(service))


def build_api(service: Service) -> FastAPI:
    """Return the app."""
    areas = {routes.area: routes.about for routes in ALL}
    app = FastAPI(
        title="Oneshelf",
        version="1",
        openapi_url=None,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        openapi_tags=[{"name": area, "description": about} for area, about in areas.items()],
        exception_handlers={Exception: _problem, 404: _problem, 405: _problem},
    )
    app.state.desk = Desk(service)
    for routes in ALL:
        app.include_router(routes)

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response:
        return JSONResponse(document(app), media_type="application/vnd.oai.openapi+json;version=3.1")

    app.add_middleware(
        Door, caller_of=partial(_caller_of, service), rate=Rate(service.settings.api_requests_per_minute)
    )
    return app


async def _problem(request: Request, error: Exception) -> Response:
    return of_error(error, request.url.path)


def _caller_of(service: Service, text: str) -> Caller | None:
    """Return whose token it is; that it was used is kept once an hour."""
    with service.store.reader() as tx:
        caller = api_tokens.caller_of(tx, service.tenant_id, text)
    if caller is not None:
        now = to_us(service.clock.now())
        if caller.used_at is None or now - caller.used_at >= api_tokens.USED_WITHIN_US:
            service.writer.submit(
                partial(api_tokens.note_used, tenant_id=caller.tenant_id, token_no=caller.token_no, now=now)
            )
    return caller
