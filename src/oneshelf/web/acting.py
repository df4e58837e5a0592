"""The service as one caller sees it: who acts, and whether what is done stays.

In: a service, an actor, dry_run. Out: the same service, whose commands note that actor; with dry_run each of their transactions is undone
after it has run, so that what it says is what would be. Never: another way of doing it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from oneshelf.db.tx import Tx, rehearse
from oneshelf.runtime.writer import Writer
from oneshelf.wiring import Service

T = TypeVar("T")


class _Rehearsing:
    """A writer whose steps are undone. Only for commands of one step: a second would not find what the first did."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def do(self, step: Callable[[Tx], T]) -> T:
        return await self._writer.do(partial(rehearse, step=step))


class Acting:
    """Stands for a Service; what is not named here is the service's own."""

    def __init__(self, service: Service, by: str, *, dry_run: bool = False) -> None:
        self._service = service
        self.by = by
        self.writer: Any = _Rehearsing(service.writer) if dry_run else service.writer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)
