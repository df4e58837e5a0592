"""The loop that publishes for one account, numbers first, then prices: wake, look, ask the limiter, plan, call, settle.

In: a bell, due times. Out: reads and writes at the channel. Tables: none of its own; steps run in the writer.
Never: decides; holds a transaction while it calls; makes a call whose slots were not committed first; dies of one bad answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

import structlog

from oneshelf.channels.abilities import Prices
from oneshelf.channels.contract import Channel, Http, NamesItsCalls, Offer, Seen
from oneshelf.core.errors import Stop
from oneshelf.core.instants import SECOND, to_us
from oneshelf.core.outcome import Outcome
from oneshelf.core.slot import BASE_FRESH_S, TO_ZERO
from oneshelf.db.tx import Tx
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from .limiter import Limiter
from .pausing import pause_when_zero
from .planning import CALLS_OF, Due, WaitUntil, look, plan
from .price_worker import PriceCalls
from .reads import settle_read
from .recovery import abandon, recover
from .slots import ReadCall, WriteCall, account_row
from .waking import WAKE_MAX, wake
from .writes import settle_write

log = structlog.get_logger()

#: Calls of one account under way at once.
CALLS_MAX = 4
#: How often the tables are looked at when no bell rang: bells are hints.
LOOK_EVERY_S = 5.0
#: After something broke in the loop itself.
BROKEN_WAIT_S = 1.0
#: How long calls under way may finish when the service stops; what is cut off is UNKNOWN at the next start.
STOP_S_MAX = 10.0


class Session(Protocol):
    """`Http` for one account (channels/session)."""

    def with_priority(self, priority: int) -> Session: ...

    def granted(self, operation: str, times: int = 1) -> Http: ...

    def channel_now(self) -> datetime: ...


async def run(
    *,
    tenant_id: int,
    account_id: int,
    channel: Channel,
    session: Session,
    limiter: Limiter,
    writer: Writer,
    clock: Clock,
    bell: Bell,
    stop: asyncio.Event,
    calls_max: int = CALLS_MAX,
    on_settled: Callable[[bool], None] = lambda held: None,
) -> None:
    """Publish until `stop` is set. `on_settled` is called after each read and write of numbers: what outlets may still sell has moved, and
    (True) a read has held pieces that other accounts must hear of.

    1. What an earlier life left is UNKNOWN.  2. Wake: marks → slots.  3. Look: what is due.  4. The limiter says which call may be made.
    5. Plan it: its number is computed now.  6. Call, settle, ring.  Raises Stop when the database can't go on.
    """
    publisher = _Publisher(tenant_id, account_id, channel, session, limiter, writer, clock, bell, on_settled)
    await writer.do(lambda tx: recover(tx, tenant_id, to_us(clock.now()), account_id))
    try:
        while not stop.is_set():
            try:
                wait_s = await publisher.turn(calls_max)
            except Stop:
                raise
            except Exception:
                log.exception("publishing_broke", account_id=account_id)
                wait_s = BROKEN_WAIT_S
            if wait_s > 0:
                await bell.wait(wait_s, stop)
    finally:
        await publisher.finish()


class _Publisher:
    """One account's calls under way, and the last reads, which whole-unit writes need (8.15)."""

    def __init__(
        self,
        tenant_id: int,
        account_id: int,
        channel: Channel,
        session: Session,
        limiter: Limiter,
        writer: Writer,
        clock: Clock,
        bell: Bell,
        on_settled: Callable[[bool], None],
    ) -> None:
        self.tenant_id = tenant_id
        self.account_id = account_id
        self.channel = channel
        self.session = session
        self.limiter = limiter
        self.writer = writer
        self.clock = clock
        self.bell = bell
        self.on_settled = on_settled
        self.fresh: dict[str, Seen] = {}
        self.calls: set[asyncio.Task[None]] = set()
        self.operations = dict(channel.operations) if isinstance(channel, NamesItsCalls) else {}
        self.prices: PriceCalls | None = None
        if isinstance(channel, Prices):
            self.prices = PriceCalls(
                tenant_id,
                account_id,
                channel.can,
                channel,
                session,
                limiter,
                writer,
                clock,
                bell,
                self._forget,
            )

    def now(self) -> int:
        return to_us(self.clock.now())

    async def turn(self, calls_max: int) -> float:
        """Start at most one call. Return the seconds until there may be more to do (0: at once)."""
        more, due, due_prices = await self.writer.do(self._wake_and_look)
        if more:
            return 0.0
        waits = [LOOK_EVERY_S]
        if due.next_at is not None:
            waits.append(max(0.001, (due.next_at - self.now()) / SECOND))
        if len(self.calls) >= calls_max:
            return min(waits)  # a call that ends rings
        for kind, priority in due.kinds:
            operation = self.operations.get(kind)
            wait_s = 0.0
            if operation is not None:  # only what goes to zero may take from the rest of the day
                wait_s = self.limiter.try_take(
                    operation, priority, self.clock.now(), evenly=priority > TO_ZERO, calls=CALLS_OF[kind]
                )
            if wait_s > 0:
                waits.append(wait_s)
                continue
            at = await self._start(kind, operation)
            if at is not None and at <= self.now():
                return 0.0
            if at is not None:  # planned to wait, which the look before it could not know
                waits.append((at - self.now()) / SECOND)
        # After the numbers; one that waits for its budget has its place before every price in the limiter's line.
        if self.prices is not None and due_prices is not None:
            wait = await self.prices.turn(due_prices)
            waits += [] if wait is None else [wait]
        return min(waits)

    def _wake_and_look(self, tx: Tx) -> tuple[bool, Due, Due | None]:
        now = self.now()
        woken = wake(tx, self.tenant_id, self.account_id, self.channel.can, now)
        account = account_row(tx, self.tenant_id, self.account_id)
        if pause_when_zero(tx, self.tenant_id, self.account_id, now, account):
            account = account_row(tx, self.tenant_id, self.account_id)
        due = look(tx, self.tenant_id, self.account_id, self.channel.can, now, account)
        more, due_prices = (False, None) if self.prices is None else self.prices.wake_and_look(tx, account)
        return woken >= WAKE_MAX or more, due, due_prices

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            self.fresh.pop(name, None)

    async def _start(self, kind: str, operation: str | None) -> int | None:
        """Plan the call whose budget was given, and make it in a task. Return when to look again (microseconds; None: when rung)."""
        self._forget_old_reads()
        fresh = dict(self.fresh)
        call: ReadCall | WriteCall | WaitUntil | None = None
        try:
            spread = operation is not None and self.limiter.is_spread(operation, self.clock.now())
            call = await self.writer.do(
                lambda tx: plan(
                    tx,
                    self.tenant_id,
                    self.account_id,
                    self.channel.can,
                    self.now(),
                    fresh=fresh,
                    kinds=[kind],
                    spread=spread,
                )
            )
        finally:
            if operation is not None and not isinstance(call, ReadCall | WriteCall):
                self.limiter.give_back(operation, self.clock.now())
        if isinstance(call, WaitUntil):
            return call.at
        task = asyncio.create_task(self._carry_out(call, self._paid(call, operation)))
        self.calls.add(task)
        task.add_done_callback(self._ended)
        return self.now()

    def _paid(self, call: ReadCall | WriteCall, operation: str | None) -> Http:
        """The session for this call. A read of one unit may be metered as another operation: then it pays for itself."""
        session = self.session.with_priority(call.priority)
        if operation is None:
            return session.granted("", 0)
        if isinstance(call, ReadCall) and len({item.outlet.write_unit for item in call.items}) == 1:
            needed = self.operations.get("read_one", operation)
            if needed != operation:
                self.limiter.give_back(operation, self.clock.now())
                return session.granted("", 0)
        return session.granted(operation)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.calls.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("publishing_call_broke", account_id=self.account_id, error=repr(task.exception()))
        self.bell.ring()

    async def _carry_out(self, call: ReadCall | WriteCall, http: Http) -> None:
        """Make the call, take in what came back. If that can't be taken in, its slots are read again later."""
        try:
            if isinstance(call, ReadCall):
                await self._read(call, http)
            else:
                await self._write(call, http)
        except Stop:
            raise
        except Exception as error:
            log.exception("answer_not_taken_in", account_id=self.account_id)
            reason = f"the answer could not be taken in: {type(error).__name__}"
            await self.writer.take_in(lambda tx: abandon(tx, self.tenant_id, call, reason, self.now()))

    async def _read(self, call: ReadCall, http: Http) -> None:
        result: Sequence[Seen] | Exception
        try:
            result = await self.channel.read(http, [item.outlet for item in call.items])
        except Exception as error:  # Retry, NoAnswer, SignInAgain, or a mistake of the connector: it was only a read
            result = error
        else:
            self.fresh.update((seen.external_id, seen) for seen in result)
        held = await self.writer.do(
            lambda tx: settle_read(tx, self.tenant_id, self.account_id, self.channel.can, call, result, self.now())
        )
        self.on_settled(held)

    async def _write(self, call: WriteCall, http: Http) -> None:
        offers = [Offer(item.outlet, item.quantity, self.fresh.get(item.outlet.external_id)) for item in call.items]
        outcomes: Sequence[Outcome] | Exception
        try:
            outcomes = await self.channel.publish(http, offers)
        except Exception as error:  # a connector never raises here; if one does, nobody knows what was done
            outcomes = error
        for item in call.items:
            self.fresh.pop(item.outlet.external_id, None)
        await self.writer.do(
            lambda tx: settle_write(tx, self.tenant_id, self.account_id, self.channel.can, call, outcomes, self.now())
        )
        self.on_settled(False)

    def _forget_old_reads(self) -> None:
        oldest = to_us(self.session.channel_now()) - round(BASE_FRESH_S * SECOND)
        self.fresh = {name: seen for name, seen in self.fresh.items() if to_us(seen.read_at) >= oldest}

    async def finish(self) -> None:
        """Let calls under way end; cut off what takes too long."""
        calls = self.calls | (self.prices.calls if self.prices is not None else set())
        if not calls:
            return
        _, late = await asyncio.wait(calls, timeout=STOP_S_MAX)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
