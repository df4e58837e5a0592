"""What keeps a connected account as it should be: its subscriptions every hour, its catalogue as it changes, its
books every night."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from oneshelf.channels.session import Priority
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from . import follow_loop, nightly, subscribing
from .bring_up import Runs


class Kept(Runs, Protocol):
    """A started account with what its catalogue loop waits on."""

    @property
    def tenant_id(self) -> int: ...
    @property
    def catalogue_bell(self) -> Bell: ...
    @property
    def reading_catalogue(self) -> asyncio.Lock: ...


def loops(
    one: Kept,
    writer: Writer,
    clock: Clock,
    stop: asyncio.Event,
    callback_url: str | None,
    on_catalogue: Callable[[], None],
) -> list[Coroutine[Any, Any, None]]:
    """Return the loops of one account, to be started."""
    http = one.session.with_priority(Priority.CATALOGUE)
    return [
        subscribing.run(one.tenant_id, one.account_id, one.channel, http, callback_url, one.app, writer, clock, stop),
        nightly.run(
            one.tenant_id,
            one.account_id,
            one.channel,
            one.session.with_priority(Priority.VERIFY),
            writer,
            clock,
            stop,
        ),
        follow_loop.run(
            tenant_id=one.tenant_id,
            account_id=one.account_id,
            channel=one.channel,
            http=http,
            writer=writer,
            clock=clock,
            bell=one.catalogue_bell,
            stop=stop,
            lock=one.reading_catalogue,
            on_changed=on_catalogue,
        ),
    ]
