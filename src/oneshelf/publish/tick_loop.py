"""The loop of the planner's tick: at every step of time, what time alone may have moved is planned again (SEMANTICS 3.8).

In: the clock. Out: dirty marks. Tables: none of its own; steps run in the writer. Never: holds the writer for more than a few hundred SKUs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from oneshelf.core.errors import Stop
from oneshelf.core.instants import SECOND, to_us
from oneshelf.core.pace import BURST_STEP_S
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from .ticking import PLANNED_AT_ONCE, Heard, plan_again, tick

log = structlog.get_logger()


async def run(
    tenant_id: int,
    heard: Callable[[], Sequence[Heard]],
    writer: Writer,
    clock: Clock,
    stop: asyncio.Event,
    on_changed: Callable[[], None],
) -> None:
    """Tick at once, then just after every step, until `stop` is set. `on_changed`: some outlet became dirty. Raises Stop."""
    pause = Bell()
    step = BURST_STEP_S * SECOND
    while not stop.is_set():
        try:
            if await once(tenant_id, list(heard()), writer, clock):
                on_changed()
        except Stop:
            raise
        except Exception:
            log.exception("planner_tick_broke")
        await pause.wait((step - to_us(clock.now()) % step) / SECOND + 0.001, stop)


async def once(tenant_id: int, heard: Sequence[Heard], writer: Writer, clock: Clock) -> int:
    """One tick. Returns how many outlets became dirty."""
    skus = await writer.do(lambda tx: tick(tx, tenant_id, heard, to_us(clock.now())))
    can = {one.account_id: one.can for one in heard}
    changed = 0
    for start in range(0, len(skus), PLANNED_AT_ONCE):
        some = skus[start : start + PLANNED_AT_ONCE]
        now = to_us(clock.now())
        changed += await writer.do(partial(plan_again, tenant_id=tenant_id, can=can, skus=some, now=now))
    return changed
