"""A bell that a loop waits for: rung when there is something to do, with a time after which it looks anyway."""

from __future__ import annotations

import asyncio


class Bell:
    """Rings once however often it is rung meanwhile. Bells are hints: the truth is in the tables."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()

    async def wait(self, seconds: float, stop: asyncio.Event) -> bool:
        """Return when rung, when `seconds` have passed, or when `stop` is set; say whether it was rung."""
        if not self._event.is_set() and not stop.is_set():
            waits = [asyncio.ensure_future(self._event.wait()), asyncio.ensure_future(stop.wait())]
            try:
                await asyncio.wait(waits, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
        rung = self._event.is_set()
        self._event.clear()
        return rung
