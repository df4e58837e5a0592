"""The planner's loop: how often it looks, whoever rings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.scenario.engine import TENANT, World
from tests.scenario.service import until
from tests.scenario.test_shipping_worker import Here

from oneshelf.db.store import Store, transaction
from oneshelf.listings import risk
from oneshelf.publish import tick_loop
from oneshelf.runtime.bell import Bell


class Counting(Here):
    """Counts the steps that it is asked for."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.steps = 0

    async def do(self, step: Callable[[Any], Any]) -> Any:
        self.steps += 1
        return await super().do(step)


async def test_however_often_it_is_rung_it_looks_again_after_a_pause(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(store)
    world.item("MUG", 9)
    world.open()
    with transaction(store) as tx:
        risk.set_strict(tx, TENANT, "MUG", True, world.now, by="Ada")
    here: Any = Counting(world)
    bell, stop = Bell(), asyncio.Event()

    def owed() -> None:
        bell.ring()  # as the service does: the hub's loop is told, and rings back

    monkeypatch.setattr(tick_loop, "LOOK_AGAIN_S", 60.0)
    loop = asyncio.ensure_future(tick_loop.run(TENANT, list, here, here, bell, stop, owed))

    async def held() -> bool:
        return bool(world.value("SELECT COUNT(*) FROM claim WHERE claim_key LIKE 'strict:%' AND want > 0"))

    await until(held, "the shop holds back what the others show", 10.0)
    await asyncio.sleep(0)
    steps = here.steps
    for _ in range(50):
        bell.ring()
        await asyncio.sleep(0.001)
    assert here.steps - steps <= 4, "no second look: what is left of the first tick, at most"
    stop.set()
    await asyncio.wait_for(loop, 5)
