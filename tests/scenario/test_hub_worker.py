"""The loop that writes into the shop: who is told that a call was answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.scenario.engine import AMAZON, TENANT, World, order
from tests.scenario.service import until
from tests.scenario.test_shipping_worker import Here

from oneshelf.channels.contract import Move
from oneshelf.core.outcome import Outcome
from oneshelf.db.store import Store
from oneshelf.imports import worker
from oneshelf.runtime.bell import Bell


class Shop:
    """The world's shop as the loop calls it."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def move(self, http: Any, moves: Sequence[Move], key: str, reference: str) -> Outcome:
        return self.world.hub.move(moves, key)


async def test_S9_5_a_refused_hold_rings_for_the_read_that_it_asks_for(store: Store) -> None:
    """Found by the simulator: nobody rang, and of a strict SKU the shop showed what stood elsewhere until the next look."""
    world = World(store)
    world.item("MUG", 1)
    world.open()
    world.hub.cell("MUG", "L1").committed += 1  # a web sale that nobody has heard of
    world.hear(AMAZON, order("A-1", world.tick(), paid=False, MUG=1))
    world.tick(120)
    here: Any = Here(world)
    stop, told = asyncio.Event(), asyncio.Event()
    shop: Any = Shop(world)
    loop = asyncio.ensure_future(
        worker.run(
            tenant_id=TENANT,
            hub=shop,
            http=None,  # type: ignore[arg-type]
            writer=here,
            clock=here,
            bell=Bell(),
            on_settled=told.set,
            stop=stop,
        )
    )

    async def refused() -> bool:
        return bool(world.value("SELECT COUNT(*) FROM claim WHERE refused = 1") and told.is_set())

    await until(refused, "the hold was refused", 10.0)
    stop.set()
    await asyncio.wait_for(loop, 5)
    assert world.value("SELECT wanted FROM hub_level WHERE sku = 'MUG' AND location_id = 'L1'") == 1
