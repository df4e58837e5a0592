"""One account's way to its channel: pays for each call, signs it, renews the token once for all who need it, and notes what came back.

In: requests of a connector, without authorization. Out: the channel's answers.
Never: sends a request that writes again, unless the channel said that the token was refused, i.e. that nothing was done; uses a
renewed token before it is stored.
"""

from __future__ import annotations

import asyncio
import copy
import math
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import IntEnum
from typing import Protocol, runtime_checkable

import msgspec
import structlog

from oneshelf.core.errors import Retry, SignInAgain, UsedUp
from oneshelf.runtime.clock import Clock

from .contract import Auth, BudgetSeen, Http, NoAnswer, Request, Response, Secret

log = structlog.get_logger(__name__)


class Priority(IntEnum):
    """Who spends a budget first (S8.9); 1 is served first."""

    ZERO_OUT = 1
    LOWER_UNSAFE = 2
    REOPEN = 3
    LOWER_SAFE = 4
    RAISE = 5
    REPAIR = 6
    # What is not a number for an outlet, by the same scale:
    POLL = 3
    SHIP = 4
    CATALOGUE = 6
    VERIFY = 6


class Paces(Protocol):
    """What a session needs of publish/limiter."""

    async def acquire(self, operation: str, priority: int, cost: float = 1.0) -> None:
        """Wait until the call may be made, and spend it."""

    def answered(self, operation: str, now: datetime, seen: list[BudgetSeen]) -> None:
        """The call is over; `seen` is what its answer said about budgets."""


class CredentialStore(Protocol):
    """Where an account's secret is kept, sealed."""

    async def load(self) -> Secret:
        """Return what is stored now. Asked before every call: keep it at hand."""

    async def save(self, secret: Secret, expected_version: int) -> Secret:
        """Store `secret` durably if `expected_version` is still the stored one; return what is stored now (ours, or a newer one)."""


@runtime_checkable
class Leases(Protocol):
    """A CredentialStore that several processes share: only one of them renews at a time."""

    async def fresh(self) -> Secret:
        """Return what is stored now, read anew."""

    async def lease(self, version: int) -> bool:
        """Take the right to renew this version for a while; False: somebody else has it, or the version is another."""

    async def give_back(self, version: int) -> None:
        """The renewal did not happen."""


#: How often a renewal by another process is looked after, and how often at most (more than its lease).
LEASE_LOOK_S = 0.5
LEASE_LOOKS_MAX = 120


class Calls(msgspec.Struct):
    """What became of an account's calls of one operation since the start. `seconds` is the sum of the times to the answer."""

    calls: int = 0
    answers: dict[str, int] = {}
    seconds: float = 0.0


#: A difference of clocks up to this much, beyond what a call leaves open, is none, seconds.
CLOCKS_DIFFER_S = 2.0


class _Account:
    """What all views of one session share."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.unsaved: tuple[Secret, int] | None = None
        self.renewals: set[asyncio.Task[Secret]] = set()
        self.renewed = 0
        self.calls: dict[str, Calls] = {}
        self.clock_ahead_s = 0.0
        self.clocks_compared = False
        self.compared_in_s = math.inf  # how long the call took that told clock_ahead_s


class Session:
    """`Http` for one account. Safe for many requests at once in one event loop.

    `budget_seen` is the connector's. `priority`: 1 to 6 (`Priority`).
    """

    def __init__(
        self,
        http: Http,
        auth: Auth,
        credentials: CredentialStore,
        limiter: Paces,
        clock: Clock,
        *,
        budget_seen: Callable[[Request, Response], list[BudgetSeen]],
        priority: int = Priority.POLL,
    ) -> None:
        self._http = http
        self._auth = auth
        self._credentials = credentials
        self._limiter = limiter
        self._clock = clock
        self._budget_seen = budget_seen
        self._priority = priority
        self._tickets: dict[str, int] = {}
        self._patience_s: float | None = None
        self._account = _Account()

    @property
    def calls(self) -> dict[str, Calls]:
        """What was called since the start, by operation: for display."""
        return self._account.calls

    @property
    def renewals(self) -> int:
        """How often the token was renewed here since the start."""
        return self._account.renewed

    @property
    def clock_ahead_s(self) -> float:
        """How many seconds the channel's clock is ahead of ours (below 0: behind), by the Date of its last answer; 0 while
        the call leaves it open that they agree to CLOCKS_DIFFER_S."""
        return self._account.clock_ahead_s

    @property
    def clocks_compared(self) -> bool:
        """Whether an answer has told the channel's time since the start."""
        return self._account.clocks_compared

    def channel_now(self) -> datetime:
        """Return the present by the channel's clock: what its order feed is asked by (F28). Feeds refuse or hide what is in their
        future, and are complete through no instant that has not come there."""
        return self._clock.now() + timedelta(seconds=self._account.clock_ahead_s)

    def with_priority(self, priority: int) -> Session:
        """Return a view of this session whose calls are paid for at `priority`."""
        view = copy.copy(self)
        view._priority = priority
        return view

    def with_patience(self, most_s: float) -> Session:
        """Return a view whose calls wait for the limiter at most `most_s` seconds each, then raise UsedUp: for who has a person waiting."""
        view = copy.copy(self)
        view._patience_s = most_s
        return view

    def granted(self, operation: str, times: int = 1) -> Session:
        """Return a view whose first `times` calls of `operation` are paid for already (by `Limiter.try_take`)."""
        view = copy.copy(self)
        view._tickets = {operation: times}
        return view

    async def request(self, request: Request) -> Response:
        """Send one request; `bare` ones as they are, unpaid.

        Raises NoAnswer. Raises SignInAgain or Retry when the token could not be renewed; the request was not sent then (or was
        refused with nothing done). Raises UsedUp when the limiter asks for more patience than `with_patience` gave.
        """
        if request.bare:
            return await self._counted(request)
        await self._pay(request)
        try:
            secret = await self._credentials.load()
            if self._auth.needs_renewal(secret, self._clock.now()):
                secret = await self._renewed(secret)
        except BaseException:
            self._limiter.answered(request.operation, self._clock.now(), [])
            raise
        response = await self._paid(request, secret)
        if not self._auth.token_refused(response):
            return response
        secret = await self._renewed(secret)
        await self._acquire(request)
        return await self._paid(request, secret)

    async def lines(self, request: Request, *, line_bytes_max: int, bytes_max: int) -> AsyncIterator[bytes]:
        """As `Http.lines`: a bare call, unpaid. Its time is the whole download's, with what the reader does between lines."""
        counts = self._account.calls.setdefault(request.operation, Calls())
        counts.calls += 1
        started = self._clock.monotonic()
        end = "cancelled"
        try:
            async for line in self._http.lines(request, line_bytes_max=line_bytes_max, bytes_max=bytes_max):
                yield line
            end = "2xx"
        except NoAnswer:
            end = "no answer"
            raise
        finally:
            counts.seconds += self._clock.monotonic() - started
            counts.answers[end] = counts.answers.get(end, 0) + 1

    async def _pay(self, request: Request) -> None:
        tickets = self._tickets.get(request.operation, 0)
        if tickets > 0:
            self._tickets[request.operation] = tickets - 1
        else:
            await self._acquire(request)

    async def _acquire(self, request: Request) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._limiter.acquire(request.operation, self._priority, request.cost)
        except TimeoutError:
            raise UsedUp(f"no call of {request.operation} is free within {self._patience_s:g} s") from None

    async def _paid(self, request: Request, secret: Secret) -> Response:
        """Send a call that was paid for, and tell the limiter that it is over and what the answer says."""
        seen: list[BudgetSeen] = []
        try:
            response = await self._counted(self._auth.authorized(request, secret))
            seen = self._what_was_seen(request, response)
            return response
        finally:
            self._limiter.answered(request.operation, self._clock.now(), seen)

    def _what_was_seen(self, request: Request, response: Response) -> list[BudgetSeen]:
        """Ask the connector. A header that it can't read must not turn a write's answer into an error."""
        try:
            return self._budget_seen(request, response)
        except Exception as error:
            log.warning("budget headers not understood", operation=request.operation, error=repr(error))
            return []

    async def _counted(self, request: Request) -> Response:
        counts = self._account.calls.setdefault(request.operation, Calls())
        counts.calls += 1
        started = self._clock.monotonic()
        end = "cancelled"
        try:
            response = await self._http.request(request)
            end = f"{response.status // 100}xx"
            if not request.bare:  # a bare call may go to another server: a sign-in, a store of reports
                self._compare_clocks(response, self._clock.monotonic() - started)
            ahead = timedelta(seconds=self._account.clock_ahead_s)
            return msgspec.structs.replace(response, channel_at=response.received_at + ahead)
        except NoAnswer:
            end = "no answer"
            raise
        finally:
            counts.seconds += self._clock.monotonic() - started
            counts.answers[end] = counts.answers.get(end, 0) + 1

    def _compare_clocks(self, response: Response, took_s: float) -> None:
        """The Date was written at some moment of the call, and is cut to its second: a slow answer says less about the clocks, and
        what a quick one said stands until an answer contradicts it."""
        account = self._account
        try:
            said = parsedate_to_datetime(response.headers["date"])
        except (KeyError, ValueError):
            return
        said = said if said.tzinfo is not None else said.replace(tzinfo=UTC)
        least_s = (said - response.received_at).total_seconds()
        most_s = least_s + took_s + 1.0
        account.clocks_compared = True
        slack_s = CLOCKS_DIFFER_S if account.clock_ahead_s == 0.0 else 0.0
        contradicts = not least_s - slack_s <= account.clock_ahead_s <= most_s + slack_s
        if not contradicts and took_s >= account.compared_in_s:
            return
        same = least_s <= CLOCKS_DIFFER_S and most_s >= -CLOCKS_DIFFER_S
        ahead_s = 0.0 if same else (least_s + most_s) / 2
        if same is not (account.clock_ahead_s == 0.0):
            log.warning("the channel's clock and ours differ", ahead_s=round(ahead_s, 1))
        account.clock_ahead_s, account.compared_in_s = ahead_s, took_s

    # --- renewal ------------------------------------------------------------------------------------------------------

    async def _renewed(self, used: Secret) -> Secret:
        """Return a secret newer than `used`. However many ask at once, the channel is asked once.

        The renewal goes on if the asker is cancelled: a channel that rotates refresh tokens has already forgotten the old one.
        """
        account = self._account
        task = asyncio.ensure_future(self._renew_alone(used))
        account.renewals.add(task)
        task.add_done_callback(_look_at_the_end)
        task.add_done_callback(account.renewals.discard)
        return await asyncio.shield(task)

    async def _renew_alone(self, used: Secret) -> Secret:
        async with self._account.lock:
            secret = await self._save_unsaved()
            if secret.version != used.version and not self._auth.needs_renewal(secret, self._clock.now()):
                return secret
            renewed = await self._leased(secret)
            if renewed is not None:
                return renewed
            try:
                new = await self._auth.renew(self._only_bare, secret, self._clock.now())
            except SignInAgain:
                # Another worker may have renewed with the same refresh token, which made ours void.
                latest = await self._newest()
                if latest.version > secret.version:
                    return latest
                await self._give_back(secret)
                raise
            except Retry:
                await self._give_back(secret)
                raise
            except NoAnswer as error:
                await self._give_back(secret)
                raise NoAnswer(f"token renewal: {error.reason}", sent=False) from error
            self._account.renewed += 1
            self._account.unsaved = (msgspec.structs.replace(new, version=secret.version + 1), secret.version)
            return await self._save_unsaved()

    async def _leased(self, secret: Secret) -> Secret | None:
        """Take the right to renew; None: it is ours. Else wait for who has it, and return what they stored."""
        store = self._credentials
        if not isinstance(store, Leases):
            return None
        for _ in range(LEASE_LOOKS_MAX):
            if await store.lease(secret.version):
                return None
            latest = await store.fresh()
            if latest.version != secret.version:
                return latest
            await asyncio.sleep(LEASE_LOOK_S)
        raise Retry("another process has been renewing the access token for too long")

    async def _give_back(self, secret: Secret) -> None:
        if isinstance(self._credentials, Leases):
            await self._credentials.give_back(secret.version)

    async def _newest(self) -> Secret:
        return await (self._credentials.fresh() if isinstance(self._credentials, Leases) else self._credentials.load())

    async def _save_unsaved(self) -> Secret:
        """Store the renewed secret, if there is one; return what is stored.

        One that could not be stored (database trouble) is kept, and stored before anybody renews again: its refresh token may be
        the only one that the channel still knows.
        """
        if self._account.unsaved is None:
            return await self._credentials.load()
        secret, expected_version = self._account.unsaved
        stored = await self._credentials.save(secret, expected_version)
        self._account.unsaved = None
        return stored

    @property
    def _only_bare(self) -> Http:
        return _OnlyBare(self)


class _OnlyBare:
    """What `Auth.renew` is given: a way to make bare calls only, so that a renewal can't wait for itself."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def request(self, request: Request) -> Response:
        if not request.bare:
            raise ValueError(f"{request.operation}: a token is asked for by a bare request")
        return await self._session.request(request)

    def lines(self, request: Request, *, line_bytes_max: int, bytes_max: int) -> AsyncIterator[bytes]:
        return self._session.lines(request, line_bytes_max=line_bytes_max, bytes_max=bytes_max)


def _look_at_the_end(task: asyncio.Task[Secret]) -> None:
    """Read the exception, so that asyncio does not report it as never seen when every asker was cancelled."""
    if not task.cancelled():
        task.exception()
