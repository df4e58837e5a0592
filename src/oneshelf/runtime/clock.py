"""What time it is, as an argument.

In: the machine's clocks.
Out: aware UTC instants and monotonic seconds.
Never: anything else; nobody else asks the machine for the time.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return this instant, aware, UTC."""

    def monotonic(self) -> float:
        """Return seconds since some start that never go back: for durations only."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is moved: for tests."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 14, 23, 0, tzinfo=UTC)) -> None:
        if start.utcoffset() != timedelta(0):
            raise ValueError(f"a clock starts at an aware UTC instant, not at {start!r}")
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let `seconds` (0 or more) pass."""
        if seconds < 0:
            raise ValueError(f"time does not pass backwards: {seconds} s; use set() for a clock that is put right")
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def set(self, now: datetime) -> None:
        """Put the wall clock to `now`, back too; the monotonic seconds stand still, as they do on a real machine."""
        self._now = now
