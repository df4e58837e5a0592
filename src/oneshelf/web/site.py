"""The whole site of one service: the front door for webhooks, the pages, and the local door for commands on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from starlette.applications import Starlette

from oneshelf.core.instants import to_us
from oneshelf.db.tx import Tx
from oneshelf.intake.webhook import routes
from oneshelf.wiring import Service

from . import signing_in
from .api.app import mount
from .app import build
from .local import open_door


class State:
    """What the pages see of the service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.tenant_id = service.tenant_id
        self.public_url = service.settings.public_url

    @contextmanager
    def reader(self) -> Iterator[Tx]:
        with self._service.store.reader() as tx:
            yield tx

    def now(self) -> int:
        return to_us(self._service.clock.now())

    def health(self) -> str | None:
        return self._service.health()


def site(service: Service, url: str) -> Starlette:
    """Return the ASGI app. `url`: where it listens on this machine."""
    doors = routes(
        service,
        service.writer,
        service.clock,
        service.counts,
        body_max=service.settings.webhook_body_bytes_max,
        public_url=service.settings.public_url,
        on_news=service.news.ring,
    )
    service.local_url = url

    def page(title: str, said: Sequence[str], text: str, command: str) -> str:
        shown: str = app.state.sign_in_page(title, said, text, command)
        return shown

    app = build(
        State(service),
        extra_routes=[*doors, *signing_in.routes(service, page), *open_door(service, url), mount(service)],
        can=service.capabilities,
        stopping=service.stopping.is_set,
    )
    return app
