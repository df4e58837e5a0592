"""A bell that a loop waits for: rung when there is something to do, with a time after which it looks anyway."""

from __future__ import annotations

import asyncio


class Bell:
    """Rings once however often it is rung meanwhile. One loop waits for it at a time. Bells are hints: the truth is in the tables."""

    def __init__(self) -> None:
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None
        self._watch: asyncio.Task[None] | None = None

    def ring(self) -> None:
        self._rung = True
        self._wake()

    async def wait(self, seconds: float, stop: asyncio.Event) -> bool:
        """Return when rung, when `seconds` have passed, or when `stop` is set (the same one at every wait); say whether it was rung."""
        if not self._rung and not stop.is_set():
            loop = asyncio.get_running_loop()
            if self._watch is None:  # once for all waits: a task a wait was a third of what an idle service costs
                self._watch = loop.create_task(self._wake_at(stop))
            waiter = self._waiter = loop.create_future()
            timer = loop.call_later(max(0.0, seconds), self._wake)
            try:
                await waiter
            finally:
                timer.cancel()
                self._waiter = None
        rung, self._rung = self._rung, False
        return rung

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake()
