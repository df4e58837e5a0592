"""A bell is heard once however often it rings, by who waits now or comes next."""

from __future__ import annotations

import asyncio

from oneshelf.runtime.bell import Bell


def test_who_waits_is_told_whether_it_rang_or_the_time_passed() -> None:
    async def story() -> list[bool]:
        bell, stop = Bell(), asyncio.Event()
        bell.ring()
        bell.ring()
        heard = [await bell.wait(60.0, stop), await bell.wait(0.0, stop)]
        asyncio.get_running_loop().call_soon(bell.ring)
        return [*heard, await bell.wait(60.0, stop)]

    assert asyncio.run(story()) == [True, False, True]


def test_a_stop_ends_every_wait() -> None:
    async def story() -> list[bool]:
        bells, stop = [Bell(), Bell()], asyncio.Event()
        asyncio.get_running_loop().call_soon(stop.set)
        now = [await bell.wait(60.0, stop) for bell in bells]
        return [*now, await bells[0].wait(60.0, stop)]

    assert asyncio.run(story()) == [False, False, False]


def test_a_bell_watches_its_stop_once_for_all_its_waits() -> None:
    async def story() -> int:
        bell, stop = Bell(), asyncio.Event()
        for _ in range(50):
            await bell.wait(0.0, stop)
        return len(asyncio.all_tasks())

    assert asyncio.run(story()) == 2
