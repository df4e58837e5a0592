"""The price half of one account's publishing: in the same loop as its numbers, after them.

In: marks, due times. Out: price reads and writes at the channel. Tables: none of its own; steps run in the writer.
Never: decides; takes a budget that a number waits for; makes a call whose slots were not committed first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

import structlog

from oneshelf.channels.abilities import PriceOffer, Prices, PriceSeen
from oneshelf.channels.contract import Capabilities, Http
from oneshelf.core.errors import Stop
from oneshelf.core.facts import Money
from oneshelf.core.instants import SECOND, to_us
from oneshelf.core.outcome import Outcome
from oneshelf.core.price import PRICE_CALL
from oneshelf.core.slot import BASE_FRESH_S
from oneshelf.db.tx import Tx
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from .limiter import Limiter
from .planning import CALLS_OF, Due, WaitUntil
from .price_planning import look, plan, wake
from .price_settling import settle_price_read, settle_price_write
from .price_slots import PriceReadCall, PriceWriteCall, PriceWriteItem
from .recovery import abandon_price
from .slots import AccountRow
from .waking import WAKE_MAX

log = structlog.get_logger()

#: Price calls of one account under way at once, beside its numbers'.
CALLS_MAX = 2


class Session(Protocol):
    """`Http` for one account (channels/session)."""

    def with_priority(self, priority: int) -> Session: ...

    def granted(self, operation: str, times: int = 1) -> Http: ...

    def channel_now(self) -> datetime: ...


class PriceCalls:
    """One account's price calls under way, and the last reads, whose document and sale a write takes along.

    `forget`: what was read of these outlets' numbers is out of date, because a price write carried them.
    """

    def __init__(
        self,
        tenant_id: int,
        account_id: int,
        can: Capabilities,
        channel: Prices,
        session: Session,
        limiter: Limiter,
        writer: Writer,
        clock: Clock,
        bell: Bell,
        forget: Callable[[Iterable[str]], None],
    ) -> None:
        self.tenant_id = tenant_id
        self.account_id = account_id
        self.can = can
        self.channel = channel
        self.session = session
        self.limiter = limiter
        self.writer = writer
        self.clock = clock
        self.bell = bell
        self.forget = forget
        self.fresh: dict[str, PriceSeen] = {}
        self.calls: set[asyncio.Task[None]] = set()

    def now(self) -> int:
        return to_us(self.clock.now())

    def wake_and_look(self, tx: Tx, account: AccountRow) -> tuple[bool, Due]:
        """Hear of marks and say what is due: runs in one step with the numbers'. The first: there is more to hear of."""
        now = self.now()
        woken = wake(tx, self.tenant_id, self.account_id, now)
        return woken >= WAKE_MAX, look(tx, self.tenant_id, self.account_id, self.channel.prices, now, account)

    async def turn(self, due: Due) -> float | None:
        """Start at most one call. Return the seconds until there may be more to do (0: at once), None: when rung."""
        waits = [] if due.next_at is None else [max(0.001, (due.next_at - self.now()) / SECOND)]
        if len(self.calls) < CALLS_MAX:
            for kind, _ in due.kinds:
                operation = self.channel.prices.operations[kind]
                wait_s = self.limiter.try_take(
                    operation, PRICE_CALL, self.clock.now(), ages=False, evenly=True, calls=CALLS_OF[kind]
                )
                if wait_s > 0:
                    waits.append(wait_s)
                    continue
                at = await self._start(kind, operation)
                if at is not None and at <= self.now():
                    return 0.0
                if at is not None:  # planned to wait, which the look before it could not know
                    waits.append((at - self.now()) / SECOND)
        return min(waits, default=None)

    async def _start(self, kind: str, operation: str) -> int | None:
        """Plan the call whose budget was given, and make it in a task. Return when to look again (microseconds; None: when rung)."""
        oldest = to_us(self.session.channel_now()) - round(BASE_FRESH_S * SECOND)
        self.fresh = {name: seen for name, seen in self.fresh.items() if to_us(seen.read_at) >= oldest}
        fresh = dict(self.fresh)
        call: PriceReadCall | PriceWriteCall | WaitUntil | None = None
        try:
            call = await self.writer.do(
                lambda tx: plan(
                    tx,
                    self.tenant_id,
                    self.account_id,
                    self.can,
                    self.channel.prices,
                    self.now(),
                    fresh=fresh,
                    kinds=[kind],
                )
            )
        finally:
            if not isinstance(call, PriceReadCall | PriceWriteCall):
                self.limiter.give_back(operation, self.clock.now())
        if isinstance(call, WaitUntil):
            return call.at
        http = self.session.with_priority(call.priority).granted(operation)
        task = asyncio.create_task(self._carry_out(call, http))
        self.calls.add(task)
        task.add_done_callback(self._ended)
        return self.now()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.calls.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("price_call_broke", account_id=self.account_id, error=repr(task.exception()))
        self.bell.ring()

    async def _carry_out(self, call: PriceReadCall | PriceWriteCall, http: Http) -> None:
        """Make the call, take in what came back. If that can't be taken in, its slots are read again later."""
        try:
            if isinstance(call, PriceReadCall):
                await self._read(call, http)
            else:
                await self._write(call, http)
        except Stop:
            raise
        except Exception as error:
            log.exception("price_answer_not_taken_in", account_id=self.account_id)
            reason = f"the answer could not be taken in: {type(error).__name__}"
            await self.writer.take_in(lambda tx: abandon_price(tx, self.tenant_id, call, reason, self.now()))

    async def _read(self, call: PriceReadCall, http: Http) -> None:
        result: Sequence[PriceSeen] | Exception
        try:
            result = await self.channel.read_prices(http, [item.outlet for item in call.items])
        except Exception as error:  # Retry, NoAnswer, SignInAgain, or a mistake of the connector: it was only a read
            result = error
        else:
            self.fresh.update((seen.external_id, seen) for seen in result)
        await self.writer.do(
            lambda tx: settle_price_read(tx, self.tenant_id, self.account_id, call, result, self.now())
        )

    async def _write(self, call: PriceWriteCall, http: Http) -> None:
        outcomes: Sequence[Outcome] | Exception
        try:
            outcomes = await self.channel.publish_prices(http, [offer_of(item) for item in call.items])
        except Exception as error:  # a connector never raises here; if one does, nobody knows what was done
            outcomes = error
        for item in call.items:
            self.fresh.pop(item.outlet.external_id, None)
        self.forget(item.outlet.external_id for item in call.along)
        await self.writer.do(
            lambda tx: settle_price_write(tx, self.tenant_id, self.account_id, self.can, call, outcomes, self.now())
        )


def offer_of(item: PriceWriteItem) -> PriceOffer:
    """Return what the connector is told: the price, and beside it what was read there. A sale and a struck-out price are the merchant's."""
    return PriceOffer(
        item.outlet,
        Money(item.price_minor, item.currency),
        compare_at=item.seen.compare_at,
        sale=item.seen.sale,
        quantity=item.quantity,
        seen=item.seen,
    )
