"""Etsy's two budgets of an app key: calls per second, and calls in a sliding day.

In: one knock per call. Out: whether it may pass, and the four headers. Never: knows what the call is.
Source: https://developers.etsy.com/documentation/essentials/rate-limits, read 2026-11; texts etsy/open-api #198 #611.
"""

from __future__ import annotations

import math
from collections import deque
from datetime import datetime, timedelta

from ..clock import Clock

BUCKETS_PER_DAY = 96


class Budget:
    """Counts calls. Windows are shortened by the clock's factor; the limits may be changed at any time.

    The second is a fixed window that begins with its first call; the day slides in `BUCKETS_PER_DAY` buckets.
    A refused call spends nothing.
    """

    def __init__(self, clock: Clock, per_second: int, per_day: int) -> None:
        self.clock = clock
        self.per_second = per_second
        self.per_day = per_day
        self._second_ends_at: datetime | None = None
        self._in_second = 0
        self._buckets: deque[tuple[datetime, int]] = deque()  # (begin, calls)

    def knock(self) -> tuple[str, int] | None:
        """Count one call and return None; or return (error text, seconds to wait) without counting it."""
        now = self.clock.now()
        self._turn(now)
        if self._used_today() >= self.per_day:
            frees_at = self._buckets[0][0] + self._day() if self._buckets else now + self._day()
            return "Exceeded daily rate limit", max(1, math.ceil((frees_at - now).total_seconds()))
        if self._in_second >= self.per_second:
            return "Exceeded per second rate limit", 1
        self._in_second += 1
        if self._second_ends_at is None:
            self._second_ends_at = now + timedelta(seconds=self.clock.shortened(1.0))
        width = self._day() / BUCKETS_PER_DAY
        if self._buckets and now < self._buckets[-1][0] + width:
            begin, calls = self._buckets[-1]
            self._buckets[-1] = (begin, calls + 1)
        else:
            self._buckets.append((now, 1))
        return None

    def use_up(self, left: int, frees_in_s: float) -> list[tuple[datetime, int]]:
        """Let all but `left` of the day's calls be spent, the oldest of them free in `frees_in_s`; return what was spent before."""
        before = list(self._buckets)
        begin = self.clock.now() + timedelta(seconds=frees_in_s) - self._day()
        self._buckets = deque([(begin, max(0, self.per_day - left))])
        return before

    def put_back(self, spent: list[tuple[datetime, int]]) -> None:
        """Take back `use_up`."""
        self._buckets = deque(spent)

    def headers(self) -> dict[str, str]:
        """Return the four headers that stand on every answer."""
        self._turn(self.clock.now())
        return {
            "x-limit-per-second": str(self.per_second),
            "x-remaining-this-second": str(max(0, self.per_second - self._in_second)),
            "x-limit-per-day": str(self.per_day),
            "x-remaining-today": str(max(0, self.per_day - self._used_today())),
        }

    def _turn(self, now: datetime) -> None:
        second = timedelta(seconds=self.clock.shortened(1.0))
        ends_at = self._second_ends_at
        if ends_at is not None and not ends_at - second <= now < ends_at:  # also after the clock was set back
            self._second_ends_at, self._in_second = None, 0
        while self._buckets and self._buckets[0][0] + self._day() <= now:
            self._buckets.popleft()

    def _used_today(self) -> int:
        return sum(calls for _, calls in self._buckets)

    def _day(self) -> timedelta:
        return timedelta(seconds=self.clock.shortened(86400.0))
