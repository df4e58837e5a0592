"""The one clock that the emulator shares with its client: instants are real (or virtual), durations are compressed."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class Clock:
    """Real time. `factor` shortens durations only: processing, pending, token life, throttle refill.

    Instants that the emulator writes into documents are the real present, `ahead_s` seconds ahead of this machine's clock: 0 but
    in the broken state `clock_off`.
    """

    ahead_s = 0.0

    def __init__(self, factor: float = 1.0) -> None:
        if factor <= 0:
            raise ValueError(f"the clock factor must be above 0, got {factor}")
        self.factor = factor

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)

    def shortened(self, seconds: float) -> float:
        """Return how many seconds of the shared clock a real duration of `seconds` takes here."""
        return seconds / self.factor

    def after(self, seconds: float, action: Callable[[], None], *, shortened: bool = True) -> None:
        """Run `action` once, `seconds` from now (shortened by the factor unless told otherwise)."""
        delay = self.shortened(seconds) if shortened else seconds
        asyncio.get_running_loop().call_later(delay, action)


class VirtualClock(Clock):
    """A clock that stands still until `advance`: for tests in process. Same-instant actions run in the order given."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 14, 23, 0, tzinfo=UTC), factor: float = 1.0) -> None:
        super().__init__(factor)
        self._now = start
        self._order = itertools.count()
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []

    def now(self) -> datetime:
        return self._now + timedelta(seconds=self.ahead_s)

    def after(self, seconds: float, action: Callable[[], None], *, shortened: bool = True) -> None:
        delay = self.shortened(seconds) if shortened else seconds
        heapq.heappush(self._agenda, (self._now + timedelta(seconds=delay), next(self._order), action))

    def advance(self, seconds: float) -> None:
        """Move time forward by `seconds` of the shared clock and run what falls due, in order of time."""
        end = self._now + timedelta(seconds=seconds)
        while self._agenda and self._agenda[0][0] <= end:
            due_at, _, action = heapq.heappop(self._agenda)
            self._now = max(self._now, due_at)
            action()
        self._now = end
