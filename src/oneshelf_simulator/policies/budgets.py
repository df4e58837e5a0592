"""What a channel lets us spend, by the product's own buckets and day counts.

In: a channel's limits. Out: how long a read or write must wait. Never: waits.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from oneshelf.channels.contract import RateLimit
from oneshelf.core.instants import SECOND
from oneshelf.core.slot import TO_ZERO
from oneshelf.publish.budget import Budget
from oneshelf.publish.planning import CALLS_OF

from .scenarios import Channel

_START = datetime(2026, 1, 1, tzinfo=UTC)


class Purse:
    """One account's budgets: reads and writes have a bucket each; a day's calls are of both."""

    def __init__(self, channel: Channel) -> None:
        self._kinds = {
            kind: Budget(
                RateLimit(kind, (kind,), "the scenario", rate_per_s=channel.calls_per_s, burst=channel.calls_per_s),
                _START,
            )
            for kind in ("read", "write")
        }
        self._day = None
        if channel.per_day is not None:
            self._day = Budget(RateLimit("day", ("*",), "the scenario", per_day=channel.per_day), _START)

    def wait(self, kind: str, priority: int, now: int) -> int:
        """Return the microseconds until a call of this priority may be made; 0: now."""
        at = _START + timedelta(microseconds=now)
        bucket = self._kinds[kind]
        level, rate = bucket.level(at), bucket.rate_per_s or 1.0
        wait_s = 0.0 if level >= 1.0 - 1e-6 else (1.0 - level) / rate
        if self._day is not None:
            wait_s = max(wait_s, self._day.closed_s(priority, at, evenly=priority > TO_ZERO, calls=CALLS_OF[kind]))
        return 0 if wait_s <= 0.0 else max(1, round(wait_s * SECOND) + 1)

    def is_spread(self, now: int) -> bool:
        """Whether numbers that may wait have to, for the day's calls to come back."""
        return self._day is not None and self._day.is_spread(_START + timedelta(microseconds=now))

    def take(self, kind: str, now: int) -> None:
        at = _START + timedelta(microseconds=now)
        self._kinds[kind].take(kind, 1.0, at)
        if self._day is not None:
            self._day.take(kind, 1.0, at)

    def give_back(self, kind: str, now: int) -> None:
        """Undo `take`: the call was not made."""
        at = _START + timedelta(microseconds=now)
        self._kinds[kind].give_back(kind, 1.0, at)
        if self._day is not None:
            self._day.give_back(kind, 1.0, at)
