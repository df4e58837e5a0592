"""What may still be spent of one thing that a channel meters: a bucket that refills, and calls in a sliding day.

In: a RateLimit, takings, what answers say. Out: whether a call fits now, else how long until it does.
Never: waits, asks for the time, knows who else wants to call (that is limiter.py).
"""

from __future__ import annotations

import math
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

from oneshelf.channels.contract import BudgetSeen, RateLimit

DAY_S = 86_400
#: A day's calls are counted in slots of this length; a slot counts until all of it is older than a day. 24 h are 145 slots.
SLOT_S = 600
#: The part of a day's calls that only priorities 1 and 2 may spend (S8.11).
DAY_RESERVE = 0.1
#: The last priority that may spend the reserve.
RESERVE_PRIORITY_MAX = 2
#: The part of a day's calls that may be spent at once by who spends evenly; the rest comes back over the day.
EVEN_BURST = 0.1
#: So few calls left for who spends evenly: the last of them had to be waited for (a read needs two, and a write follows it).
EVEN_SHORT = 2.0
#: A granted call whose answer nobody reported counts as under way this long.
UNDER_WAY_S_MAX = 120.0
#: A millionth of a call is not worth a wait: rounding of floats.
TINY = 1e-6

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DayCount:
    """At most `per_day` calls in any 24 hours; survives a restart by `slots`.

    `elsewhere` is what the channel says was spent and we did not count (another installation, before a lost database). We can't know
    when those calls leave the window, so they are taken to be spread evenly over the day before we heard of them.
    """

    def __init__(self, per_day: int) -> None:
        self.per_day = per_day
        self.slots: dict[int, int] = {}
        self._elsewhere = 0
        self._elsewhere_at = _EPOCH

    def used(self, now: datetime) -> int:
        """Return how many calls the last 24 hours hold."""
        return self._counted(now) + self._spent_elsewhere(now)

    def left(self, now: datetime) -> int:
        """Return how many calls are left now, the reserve included. Never negative."""
        return max(0, self.per_day - self.used(now))

    def allowed(self, priority: int) -> int:
        """Return how many of a day's calls this priority may use up."""
        if priority <= RESERVE_PRIORITY_MAX:
            return self.per_day
        return self.per_day - math.ceil(self.per_day * DAY_RESERVE)

    def add(self, now: datetime, calls: int = 1) -> None:
        """Count calls (a negative number takes some of this slot back)."""
        slot = _slot(now)
        self.slots[slot] = max(0, self.slots.get(slot, 0) + calls)

    def wait_s(self, priority: int, now: datetime, calls: int = 1) -> float:
        """Return the seconds until so many more calls fit; infinite when this priority may never call."""
        allowed = self.allowed(priority)
        over = self.used(now) + min(calls, max(1, allowed)) - allowed
        if over <= 0:
            return 0.0
        if allowed < 1:
            return math.inf
        waits = []
        freed = 0
        for slot in sorted(self.slots):
            freed += self.slots[slot]
            if freed >= over:
                waits.append(_slot_ends_s(slot, now))
                break
        if self._spent_elsewhere(now) >= over:
            waits.append(over * DAY_S / self._elsewhere)
        return max(TINY, min(waits, default=float(DAY_S)))

    def seen(self, left: int, now: datetime) -> None:
        """Adopt the channel's own "left today". More left than we thought possible means that the day's budget is larger."""
        self.per_day = max(self.per_day, left)
        self._elsewhere = max(0, self.per_day - left - self._counted(now))
        self._elsewhere_at = now

    def load(self, slots: dict[str, int], now: datetime) -> None:
        """Add what was counted before a restart; where both know a slot, the larger number is true."""
        for name, calls in slots.items():
            self.slots[int(name)] = max(int(calls), self.slots.get(int(name), 0))
        self._counted(now)

    def _counted(self, now: datetime) -> int:
        gone = [slot for slot in self.slots if _slot_ends_s(slot, now) <= 0]
        for slot in gone:
            del self.slots[slot]
        return sum(self.slots.values())

    def _spent_elsewhere(self, now: datetime) -> int:
        age_s = max(0.0, (now - self._elsewhere_at).total_seconds())
        return math.ceil(self._elsewhere * max(0.0, 1 - age_s / DAY_S) - TINY)


def _slot(now: datetime) -> int:
    return (now - _EPOCH) // timedelta(seconds=SLOT_S)


def _slot_ends_s(slot: int, now: datetime) -> float:
    """Return the seconds until no call of the slot is within the last 24 hours."""
    return (_EPOCH + timedelta(seconds=(slot + 1) * SLOT_S + DAY_S) - now).total_seconds()


class Budget:
    """One RateLimit as it stands. `share`: the part of it that this process may spend (above 0, at most 1)."""

    def __init__(self, limit: RateLimit, now: datetime, share: float = 1.0) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"a share of a budget is above 0 and at most 1, got {share}")
        self.limit = limit
        self.share = share
        self.rate_per_s = None if limit.rate_per_s is None else limit.rate_per_s * share
        self.burst = max(1.0, limit.burst * share)
        self.day = None if limit.per_day is None else DayCount(max(1, math.floor(limit.per_day * share)))
        self._even = self._even_burst
        self._even_at = now
        self._level = self.burst
        self._seen_at = now
        self._pause_s = 0.0
        self._paused_until = now
        self._under_way: deque[tuple[datetime, str, float]] = deque()

    def level(self, now: datetime) -> float:
        """Return what the bucket holds now. A clock that was set back refills nothing, and goes on from there."""
        elapsed_s = (now - self._seen_at).total_seconds()
        if self.rate_per_s is not None and elapsed_s > 0:
            self._level = min(self.burst, self._level + elapsed_s * self.rate_per_s)
        self._seen_at = now
        return self._level

    def price(self, cost: float) -> float:
        """Return what a call of `cost` takes: 1 where calls are counted; never more than a full bucket."""
        return min(self.burst, cost if self.limit.counts == "cost" else 1.0)

    def closed_s(self, priority: int, now: datetime, *, evenly: bool = False, calls: int = 1) -> float:
        """Return the seconds that a pause or the day's count keep this priority away, whatever the bucket holds.

        `evenly`: a call that leaves some of the day for later. Without it a busy morning spends the day, and nothing is left for a rush at
        noon (measured: `oneshelf bench policies`). `calls`: so many have to be free of the day, for this one and those that follow it.
        """
        day_s = 0.0 if self.day is None else self.day.wait_s(priority, now, calls)
        if evenly and self.day is not None:
            day_s = max(day_s, (min(float(calls), self._even_burst) - self._even_level(now)) / self._even_rate)
        return max(day_s, self.pause_left_s(now))

    @property
    def _even_burst(self) -> float:
        return 0.0 if self.day is None else max(1.0, self.day.per_day * EVEN_BURST)

    @property
    def _even_rate(self) -> float:
        """Calls a second that come back of a day's."""
        return 0.0 if self.day is None else max(1.0, self.day.per_day * (1.0 - DAY_RESERVE)) / DAY_S

    def _even_level(self, now: datetime) -> float:
        """Return how many calls may be spent evenly now; below 0: others have spent more than their part."""
        elapsed_s = max(0.0, (now - self._even_at).total_seconds())
        self._even = min(self._even_burst, self._even + elapsed_s * self._even_rate)
        self._even_at = now
        return self._even

    def is_spread(self, now: datetime) -> bool:
        """Whether who spends evenly has to wait for the day's calls to come back, or had to just now."""
        return self.day is not None and self._even_level(now) < EVEN_SHORT

    def pause_left_s(self, now: datetime) -> float:
        """Return the seconds that a pause still lasts: never longer than it was meant, even if the clock was set back."""
        left_s = (self._paused_until - now).total_seconds()
        if left_s > self._pause_s:
            left_s = self._pause_s
            self._paused_until = now + timedelta(seconds=left_s)
        return max(0.0, left_s)

    def pause(self, wait_s: float, now: datetime) -> None:
        """Let nobody spend for `wait_s` seconds (a shorter pause never ends a longer one)."""
        if wait_s > self.pause_left_s(now):
            self._pause_s = wait_s
            self._paused_until = now + timedelta(seconds=wait_s)

    def take(self, operation: str, cost: float, now: datetime) -> None:
        """Spend one call. The caller has seen that it fits."""
        if self.rate_per_s is not None:
            self._level = max(0.0, self.level(now) - self.price(cost))
        if self.day is not None:
            self.day.add(now)
            self._even = max(-self._even_burst, self._even_level(now) - 1.0)
        self._forget_lost(now)
        self._under_way.append((now, operation, cost))

    def give_back(self, operation: str, cost: float, now: datetime) -> None:
        """Undo `take`: the call was never made."""
        if self.rate_per_s is not None:
            self._level = min(self.burst, self.level(now) + self.price(cost))
        if self.day is not None:
            self.day.add(now, -1)
            self._even = min(self._even_burst, self._even_level(now) + 1.0)
        self._close(operation)

    def answered(self, operation: str, now: datetime) -> float:
        """Note that the oldest call of this operation is over; return its cost (0 if none was under way)."""
        self._forget_lost(now)
        return self._close(operation)

    def seen(self, seen: BudgetSeen, now: datetime, paid: float = 0.0) -> None:
        """Adopt what an answer said.

        A smaller level than ours is believed at once. A larger one only as far as this call (which cost us `paid`) may have been
        over-charged, every call costing at least 1; what is under way may not be in the channel's number yet.
        """
        self.level(now)
        numbers = (seen.rate_per_s, seen.burst, seen.left, seen.wait_s)
        if not all(math.isfinite(number) for number in numbers if number is not None):
            return  # a header that said "inf" or "nan"
        if seen.rate_per_s is not None and seen.rate_per_s > 0 and self.rate_per_s is not None:
            self.rate_per_s = seen.rate_per_s * self.share
        if seen.burst is not None and seen.burst > 0:
            self.burst = max(1.0, seen.burst * self.share)
            self._level = min(self._level, self.burst)
        if seen.left is not None:
            left = max(0.0, seen.left)
            under_way = sum(self.price(cost) for _, _, cost in self._under_way)
            refunded = min(self._level + max(0.0, self.price(paid) - 1), left - under_way, self.burst)
            self._level = min(left, max(self._level, refunded))
        if seen.left_today is not None and self.day is not None:
            self.day.seen(math.floor(max(0, seen.left_today) * self.share), now)
        if seen.wait_s is not None and seen.wait_s > 0:
            self.pause(seen.wait_s, now)

    def snapshot(self, now: datetime) -> dict[str, Any]:
        """Return how it stands, for display and for `load` after a restart. Plain JSON types."""
        state: dict[str, Any] = {
            "at": now.isoformat(),
            "rate_per_s": self.rate_per_s,
            "burst": self.burst,
            "level": round(self.level(now), 6),
            "paused_s": round(self.pause_left_s(now), 3),
        }
        if self.day is not None:
            state["per_day"] = self.day.per_day
            state["left_today"] = self.day.left(now)
            state["slots"] = {str(slot): calls for slot, calls in sorted(self.day.slots.items())}
        return state

    def load(self, state: dict[str, Any], now: datetime) -> None:
        """Go on from a snapshot: day counts, the bucket's level refilled by the time between, a pause that still lasts."""
        if self.day is not None:
            self.day.load(state.get("slots", {}), now)
        if "at" not in state:
            return
        away_s = max(0.0, (now - datetime.fromisoformat(state["at"])).total_seconds())
        if self.rate_per_s is not None:
            self._level = min(self.level(now), float(state.get("level", self.burst)) + away_s * self.rate_per_s)
        self.pause(max(0.0, float(state.get("paused_s", 0.0)) - away_s), now)

    def _close(self, operation: str) -> float:
        for index, (_, name, cost) in enumerate(self._under_way):
            if name == operation:
                del self._under_way[index]
                return cost
        return 0.0

    def _forget_lost(self, now: datetime) -> None:
        while self._under_way and (now - self._under_way[0][0]).total_seconds() > UNDER_WAY_S_MAX:
            self._under_way.popleft()
