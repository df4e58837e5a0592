"""Who may call a channel now, and who next: nobody exceeds what the channel meters, and the dearest number goes first (S8.9, S8.11).

In: wishes to call (operation, priority, cost), what answers say about budgets. Out: "now", or the seconds to wait.
Never: calls; looks at the time by itself (the instant is an argument, the clock is asked for waiters only).

There is one line of waiters for everything that shares a budget. A call may overtake a better placed one only where that does not
delay it: a sweep that needs a budget nobody else waits for goes on, and one that waits an hour for its own does not block others.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from oneshelf.channels.contract import BudgetSeen, RateLimit
from oneshelf.channels.session import Priority as Priority
from oneshelf.runtime.clock import Clock

from .budget import TINY, Budget

#: A refused `try_take` keeps its place in the line this long after the instant it was told to come back at.
PLACE_KEPT_S = 1.0
#: Who has waited this long is served one priority better, again and again, but never better than 2 (S8.10).
AGES_AFTER_S = 600.0
AGED_PRIORITY_MIN = 2
#: A waiter is looked at again at least this often (the wall clock may have been put right).
RECHECK_S = 60.0
#: Waits where a channel says "too many" without saying how long: the first, the longest; after a quiet minute it starts anew.
THROTTLED_S_FIRST = 1.0
THROTTLED_S_MAX = 60.0
THROTTLED_QUIET_S = 60.0

Later = Callable[[float, Callable[[], None]], Any]


@dataclass(eq=False, slots=True)
class _Place:
    """Somebody's place in the line. Without `future` it is a caller of `try_take` who was told to come back."""

    limiter: Limiter
    operation: str
    priority: int
    cost: float
    number: int
    asked_at: datetime
    budgets: tuple[Budget, ...]
    future: asyncio.Future[None] | None = None
    kept_until: datetime | None = None
    granted: bool = False
    ages: bool = True
    evenly: bool = False
    calls: int = 1

    def rank(self, now: datetime) -> tuple[int, int]:
        """Return what the line is sorted by: priority, better by one for each ten minutes of waiting; then the order of asking."""
        if self.priority <= AGED_PRIORITY_MIN or not self.ages:
            return self.priority, self.number
        aged = int((now - self.asked_at).total_seconds() // AGES_AFTER_S)
        return max(AGED_PRIORITY_MIN, self.priority - max(0, aged)), self.number


class _Ahead:
    """What those who stand ahead need of one bucket. `held` of it must not be spent by others now, or they would be late."""

    __slots__ = ("demand", "held")

    def __init__(self) -> None:
        self.demand = 0.0
        self.held = 0.0

    def wait_s(self, budget: Budget, cost: float, now: datetime) -> float:
        if budget.rate_per_s is None:
            return 0.0
        left = budget.level(now) - budget.price(cost)
        if left + TINY >= self.held:
            return 0.0 if left + TINY >= 0 else -left / budget.rate_per_s
        return (self.demand - left) / budget.rate_per_s

    def add(self, budget: Budget, cost: float, wait_s: float) -> None:
        if budget.rate_per_s is None:
            return
        held = self.demand + budget.price(cost) - budget.rate_per_s * wait_s
        if held > 0:  # else the bucket will have refilled by the time they are served
            self.demand += budget.price(cost)
            self.held = max(self.held, held)


class AppBudgets:
    """What all accounts of one channel app share: the budgets of scope "app", and the line of waiters.

    `share`: the part of the app's budgets that this process may spend, where several processes use one app (1 ÷ processes).
    `later(seconds, what)`: how to be woken; the event loop's by default.
    """

    def __init__(
        self, limits: Sequence[RateLimit], clock: Clock, *, share: float = 1.0, later: Later | None = None
    ) -> None:
        self.clock = clock
        self.budgets = {limit.name: Budget(limit, clock.now(), share) for limit in limits if limit.scope == "app"}
        #: Steps run in the writer's thread, sessions in the event loop's.
        self.lock = threading.RLock()
        self._later = later
        self._places: list[_Place] = []
        self._numbers = itertools.count()
        self._wake_at: datetime | None = None

    def next_number(self) -> int:
        return next(self._numbers)

    def waiting(self, limiter: Limiter | None = None) -> int:
        """Return how many calls wait in `acquire` (of one account)."""
        return sum(p.future is not None and limiter in (None, p.limiter) for p in self._places)

    def serve(self, now: datetime) -> None:
        """Let go whoever may go. Called by the timer, and by a simulation that moved its clock."""
        with self.lock:
            self._walk(now, None)

    def ask(self, place: _Place, now: datetime) -> float:
        """Return 0.0 when this call may be made now (it is spent then), else the seconds until it is likely to. It stays in the line."""
        with self.lock:
            if place not in self._places:
                self._places.append(place)
            return self._walk(now, place)

    def find(self, limiter: Limiter, operation: str, priority: int, ages: bool) -> _Place | None:
        """Return the place that an earlier `try_take` of the same kind has kept."""
        for place in self._places:
            same = place.limiter is limiter and place.operation == operation and place.priority == priority
            if same and place.ages is ages and place.future is None:
                return place
        return None

    def leave(self, place: _Place, now: datetime) -> None:
        """Give up a place; those behind may go now."""
        with self.lock:
            if place in self._places:
                self._places.remove(place)
                self._walk(now, None)

    def _walk(self, now: datetime, asking: _Place | None) -> float:
        """Go along the line, best placed first: grant who can go, note what the others need. Return `asking`'s wait."""
        ahead: dict[Budget, _Ahead] = {}
        stay: list[_Place] = []
        asking_s = next_s = float("inf")
        for place in sorted(self._places, key=lambda p: p.rank(now)):
            if place is not asking and place.kept_until is not None and place.kept_until < now:
                continue
            wait_s = place.limiter.pause_left_s(place.operation, now)
            for budget in place.budgets:
                wait_s = max(wait_s, budget.closed_s(place.priority, now, evenly=place.evenly, calls=place.calls))
                wait_s = max(wait_s, ahead.setdefault(budget, _Ahead()).wait_s(budget, place.cost, now))
            if wait_s <= 0 and (place is asking or place.future is not None):
                self._grant(place, now)
                if place is asking:
                    asking_s = 0.0
                continue
            for budget in place.budgets:
                ahead[budget].add(budget, place.cost, wait_s)
            stay.append(place)
            wait_s = _whole_us(wait_s)
            if place is asking:
                asking_s = wait_s
            if place.future is not None:
                next_s = min(next_s, wait_s)
        self._places = stay
        self._wake_in(next_s, now)
        return asking_s

    def _grant(self, place: _Place, now: datetime) -> None:
        for budget in place.budgets:
            budget.take(place.operation, place.cost, now)
        place.granted = True
        if place.future is not None:
            place.future.get_loop().call_soon_threadsafe(_tell, place.future)

    def _wake_in(self, wait_s: float, now: datetime) -> None:
        """See to it that the line is looked at when its next waiter can go."""
        loop = next((p.future.get_loop() for p in self._places if p.future is not None), None)
        if loop is None:
            return
        wait_s = min(wait_s, RECHECK_S)
        wake_at = now + timedelta(seconds=wait_s)
        if self._wake_at is not None and now <= self._wake_at <= wake_at:
            return
        self._wake_at = wake_at
        wake = partial(self._wake, wake_at)
        if self._later is not None:
            self._later(wait_s, wake)
        else:
            loop.call_soon_threadsafe(loop.call_later, wait_s, wake)

    def _wake(self, wake_at: datetime) -> None:
        with self.lock:
            if self._wake_at != wake_at:
                return  # an earlier timer has taken over
            self._wake_at = None
            self._walk(self.clock.now(), None)


def _tell(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _whole_us(seconds: float) -> float:
    """Round up to a microsecond, the step of an instant: who comes back then must not be a hair too early."""
    return max(1, int(seconds * 1_000_000) + 1) / 1_000_000 if seconds < 1e9 else seconds


class Limiter:
    """The budgets of one account, and its way into the line it shares with others.

    `app`: of the channel app; without it the account has the budgets of scope "app" for itself. Times are aware UTC; a wait is in
    seconds, above 0. Usable from several threads.
    """

    def __init__(
        self, limits: Sequence[RateLimit], clock: Clock, app: AppBudgets | None = None, *, later: Later | None = None
    ) -> None:
        self._clock = clock
        self._app = app if app is not None else AppBudgets(limits, clock, later=later)
        now = clock.now()
        own = {limit.name: Budget(limit, now) for limit in limits if limit.scope == "account"}
        shared = {limit.name: self._app.budgets[limit.name] for limit in limits if limit.scope == "app"}
        self._budgets: dict[str, Budget] = {**own, **shared}
        self._spends: dict[str, tuple[Budget, ...]] = {}
        #: operation → (until, the whole pause in seconds)
        self._pauses: dict[str, tuple[datetime, float]] = {}
        #: Names in BudgetSeen that the connector's limits don't have: a mistake there, shown.
        self.unknown_limits: set[str] = set()

    def try_take(
        self,
        operation: str,
        priority: int,
        now: datetime,
        cost: float = 1.0,
        *,
        ages: bool = True,
        evenly: bool = False,
        calls: int = 1,
    ) -> float:
        """Spend one call and return 0.0, or return the seconds after which to ask again; nothing is spent then.

        Who asks again no later than PLACE_KEPT_S after that keeps the place in the line. `ages` False: waiting makes it no more urgent.
        `evenly`: it leaves some of a day's calls for the rest of the day. `calls`: so many of a day's have to be free, this one and those
        that only make sense at once after it.
        """
        with self._app.lock:
            place = self._app.find(self, operation, priority, ages) or self._place(operation, priority, cost, now)
            place.cost, place.ages, place.evenly, place.calls = cost, ages, evenly, calls
            wait_s = self._app.ask(place, now)
            if wait_s > 0:
                place.kept_until = now + timedelta(seconds=min(wait_s, 1e9) + PLACE_KEPT_S)
            return wait_s

    async def acquire(self, operation: str, priority: int, cost: float = 1.0) -> None:
        """Wait until the call may be made, and spend it. Cancelled: nothing is spent."""
        place = self._place(operation, priority, cost, self._clock.now())
        place.future = asyncio.get_running_loop().create_future()
        self._app.ask(place, self._clock.now())
        if place.granted:
            return
        try:
            await place.future
        except BaseException:
            if place.granted:
                self.give_back(operation, self._clock.now(), cost)
            self._app.leave(place, self._clock.now())
            raise

    def give_back(self, operation: str, now: datetime, cost: float = 1.0) -> None:
        """Undo one `try_take`: the call was never made (its transaction was taken back)."""
        with self._app.lock:
            for budget in self._budgets_of(operation):
                budget.give_back(operation, cost, now)
            self._app.serve(now)

    def answered(self, operation: str, now: datetime, seen: Sequence[BudgetSeen] = ()) -> None:
        """Note that a call of this operation is over, and what its answer says about budgets."""
        with self._app.lock:
            paid = {budget: budget.answered(operation, now) for budget in self._budgets_of(operation)}
            for one in seen:
                budget = self._budgets.get(one.limit)
                if budget is None:
                    self.unknown_limits.add(one.limit)
                else:
                    budget.seen(one, now, paid.get(budget, 0.0))
            if seen:
                self._app.serve(now)

    def observe(self, seen: BudgetSeen, now: datetime) -> None:
        """Adopt what is known of a budget from elsewhere than a call's own answer."""
        with self._app.lock:
            budget = self._budgets.get(seen.limit)
            if budget is None:
                self.unknown_limits.add(seen.limit)
                return
            budget.seen(seen, now)
            self._app.serve(now)

    def throttled(self, operation: str, now: datetime, wait_s: float | None = None) -> float:
        """Make no call of this operation for `wait_s` seconds; return the pause in seconds.

        None: the channel did not say; 1 s, doubled each time up to a minute. Told twice of one refusal, it does not double.
        """
        with self._app.lock:
            left_s = self.pause_left_s(operation, now)
            if wait_s is None:
                if left_s > 0:
                    return left_s
                until, last_s = self._pauses.get(operation, (now, 0.0))
                quiet = (now - until).total_seconds() > THROTTLED_QUIET_S
                wait_s = THROTTLED_S_FIRST if quiet or last_s <= 0 else min(last_s * 2, THROTTLED_S_MAX)
            if wait_s > left_s:
                self._pauses[operation] = (now + timedelta(seconds=wait_s), wait_s)
            return max(wait_s, left_s)

    def pause_left_s(self, operation: str, now: datetime) -> float:
        """Return the seconds for which no call of this operation is made (0.0: none)."""
        until, pause_s = self._pauses.get(operation, (now, 0.0))
        left_s = (until - now).total_seconds()
        if left_s > pause_s:  # the clock was set back
            left_s = pause_s
            self._pauses[operation] = (now + timedelta(seconds=pause_s), pause_s)
        return max(0.0, left_s)

    def is_spread(self, operation: str, now: datetime) -> bool:
        """Whether a day's calls of this operation have run so short that all but zeros wait for them to come back."""
        with self._app.lock:
            return any(budget.is_spread(now) for budget in self._budgets_of(operation))

    def snapshot(self, now: datetime) -> dict[str, dict[str, Any]]:
        """Return every budget by its limit's name, for display and for `load`. Plain JSON types."""
        with self._app.lock:
            return {name: budget.snapshot(now) for name, budget in self._budgets.items()}

    def pauses(self, now: datetime) -> dict[str, float]:
        """Return the operations that pause, with the seconds left: for display."""
        left = {operation: self.pause_left_s(operation, now) for operation in list(self._pauses)}
        return {operation: seconds for operation, seconds in left.items() if seconds > 0}

    @property
    def waiting(self) -> int:
        """How many calls of this account wait in `acquire`."""
        return self._app.waiting(self)

    def load(self, state: Mapping[str, Mapping[str, Any]], now: datetime) -> None:
        """Go on from a snapshot: what was spent today is not forgotten by a restart. Limits that are gone are passed over."""
        with self._app.lock:
            for name, one in state.items():
                if name in self._budgets:
                    self._budgets[name].load(dict(one), now)

    def _place(self, operation: str, priority: int, cost: float, now: datetime) -> _Place:
        return _Place(self, operation, priority, cost, self._app.next_number(), now, self._budgets_of(operation))

    def _budgets_of(self, operation: str) -> tuple[Budget, ...]:
        if operation not in self._spends:
            self._spends[operation] = tuple(
                budget
                for budget in self._budgets.values()
                if operation in budget.limit.operations or "*" in budget.limit.operations
            )
        return self._spends[operation]
