"""The planner's loop: at every step of time, what time alone may have moved is planned again (SEMANTICS 3.8); whenever it is rung, what the
hub holds back of strict SKUs is brought to what it should be (2.9), copies that may leave are released (6.5), and price sales begin and end.

In: a bell, the clock, strict SKUs. Out: dirty marks, holds. Tables: none of its own; steps run in the writer.
Never: holds the writer for more than a few hundred SKUs; looks every second at what nothing has moved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from oneshelf.core.errors import Stop
from oneshelf.core.instants import SECOND, to_us
from oneshelf.core.pace import BURST_STEP_S, step_of
from oneshelf.db.tx import Tx
from oneshelf.pricing.rules import sale_ticks
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from . import guard
from .releasing import release
from .strict import Turn, hold_back, next_turn
from .ticking import PLANNED_AT_ONCE, Heard, plan_again, planned, tick

log = structlog.get_logger()

#: How often shares of strict SKUs and copies are looked at when no bell rang: bells are hints. Who books, reads, tells a number, or has
#: polled a feed to its end, rings.
LOOK_EVERY_S = 5.0
#: How soon a bell is heard again: in a rush everybody rings, and a look costs the writer the more the more SKUs are strict.
LOOK_AGAIN_S = 0.25
#: How soon the next ones are looked at while not all strict SKUs had their turn.
NEXT_TURN_S = 0.5


async def run(
    tenant_id: int,
    heard: Callable[[], Sequence[Heard]],
    writer: Writer,
    clock: Clock,
    bell: Bell,
    stop: asyncio.Event,
    on_changed: Callable[[], None],
) -> None:
    """Tick at once, then just after every step, until `stop` is set. `on_changed`: an outlet became dirty, or the hub owes a hold. Raises
    Stop."""
    ticked, turn = 0, Turn(frozenset())
    pause = Bell()
    while not stop.is_set():
        now = to_us(clock.now())
        try:
            turn, changed = await writer.do(partial(_look, tenant_id=tenant_id, now=now, after=turn.after))
            if step_of(now) != ticked:
                ticked = step_of(now)
                changed += await writer.do(partial(guard.lapse, tenant_id=tenant_id, now=now))
                changed += await once(tenant_id, list(heard()), writer, clock)
            if changed:
                on_changed()
        except Stop:
            raise
        except Exception:
            log.exception("planner_broke")
        await pause.wait(LOOK_AGAIN_S, stop)
        await bell.wait(min(NEXT_TURN_S if turn.more else LOOK_EVERY_S, _to_next_step_s(to_us(clock.now()))), stop)


def _look(tx: Tx, tenant_id: int, now: int, after: str) -> tuple[Turn, int]:
    turn = next_turn(tx, tenant_id, after)
    changed = hold_back(tx, tenant_id, now, turn.skus)
    return turn, changed + release(tx, tenant_id, now) + sale_ticks(tx, tenant_id, now)


def _to_next_step_s(now: int) -> float:
    return (step_of(now) + BURST_STEP_S * SECOND - now) / SECOND


async def once(tenant_id: int, heard: Sequence[Heard], writer: Writer, clock: Clock) -> int:
    """One tick. Returns how many outlets became dirty."""
    due = await writer.do(lambda tx: tick(tx, tenant_id, heard, to_us(clock.now())))
    can = {one.account_id: one.can for one in heard}
    changed = 0
    for start in range(0, len(due.skus), PLANNED_AT_ONCE):
        some = due.skus[start : start + PLANNED_AT_ONCE]
        now = to_us(clock.now())
        changed += await writer.do(partial(plan_again, tenant_id=tenant_id, can=can, skus=some, now=now))
    await writer.do(partial(planned, tenant_id=tenant_id, done=due))
    return changed
