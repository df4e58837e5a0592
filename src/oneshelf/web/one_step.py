"""How a command changes something: one step in the writer, its refusals in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from oneshelf.core.errors import NotThere, Park
from oneshelf.core.instants import to_us
from oneshelf.db.tx import Tx, rehearse
from oneshelf.wiring import Service

Result = TypeVar("Result")


class NotTaken(Park):
    """The command can't be carried out as it was given."""


async def act(service: Service, step: Callable[[Tx, int], Result], *, preview: bool = False) -> Result:
    """Run a step at this moment; what it refuses is said to the person. Then numbers and prices are on their way. `preview`: it is done,
    its answer taken, and everything undone."""
    now = to_us(service.clock.now())

    def do(tx: Tx) -> Result:
        return rehearse(tx, lambda tx: step(tx, now)) if preview else step(tx, now)

    try:
        done = await service.writer.do(do)
    except LookupError as error:
        raise NotThere(f"It was not taken: {str(error.args[0]).rstrip('.')}.") from error
    except ValueError as error:
        raise NotTaken(f"It was not taken: {str(error.args[0]).rstrip('.')}.") from error
    if not preview:
        service.wake_all()
    return done
