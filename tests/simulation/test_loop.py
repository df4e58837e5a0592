"""The loop of the simulator: virtual time, chance among what is ready together, and death."""

from __future__ import annotations

import asyncio
import contextvars
import random

import pytest

from oneshelf_simulator.loop import OWNER, Deadlock, SimLoop


def test_time_jumps_to_the_next_timer() -> None:
    loop = SimLoop(random.Random(1))

    async def wait() -> float:
        await asyncio.sleep(86_400.0)
        return loop.time()

    assert loop.run(wait()) == 86_400.0


def test_who_waits_for_ever_is_told() -> None:
    loop = SimLoop(random.Random(1))

    async def wait() -> None:
        await loop.create_future()

    with pytest.raises(Deadlock):
        loop.run(wait())


def test_chance_orders_the_tasks_that_are_ready_together() -> None:
    def order_of(seed: int) -> list[int]:
        loop, seen = SimLoop(random.Random(seed)), []

        async def one(number: int) -> None:
            seen.append(number)

        async def all_of_them() -> None:
            await asyncio.gather(*(one(number) for number in range(8)))

        loop.run(all_of_them())
        return seen

    assert order_of(1) == order_of(1) != order_of(2)
    assert sorted(order_of(2)) == list(range(8))


def test_what_belongs_to_a_dead_life_never_runs_again_not_even_its_finally() -> None:
    loop, seen = SimLoop(random.Random(1)), []

    async def life() -> None:
        try:
            await asyncio.sleep(10)
            seen.append("went on")
        finally:
            seen.append("finally")

    async def world() -> None:
        context = contextvars.copy_context()
        context.run(OWNER.set, 1)
        loop.create_task(life(), context=context)
        await asyncio.sleep(5)
        loop.dead.add(1)
        await asyncio.sleep(60)
        assert seen == []

    loop.run(world())
