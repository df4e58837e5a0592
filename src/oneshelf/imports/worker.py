"""The hub's loop: holds first, then imports, then corrections of copies. A call is two steps with the network between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from oneshelf.channels.abilities import ChangesCopy, FulfilsCopy, HoldsCopy, MovesCopy
from oneshelf.channels.contract import Http, Hub, NoAnswer
from oneshelf.core.errors import Park, Retry, Stop
from oneshelf.core.instants import SECOND, to_us, until_s
from oneshelf.core.outcome import Outcome, Rejected, Throttled, Unknown
from oneshelf.core.slot import SIGN_IN_S
from oneshelf.db.tx import Tx
from oneshelf.orders import closing, intents, keeping_up, manual_holds, routing
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from . import changes, copy_orders, counts, holding, moves, rerouting

log = structlog.get_logger()

LOOK_EVERY_S = 0.5


async def run(
    *,
    tenant_id: int,
    hub: Hub,
    http: Http,
    writer: Writer,
    clock: Clock,
    bell: Bell,
    on_settled: Callable[[], None],
    stop: asyncio.Event,
    not_found_after_s: float = copy_orders.NOT_FOUND_AFTER_S,
    at_once: int = 4,
) -> None:
    """Carry out what is due, up to `at_once` calls at a time, until `stop`. `on_settled` is called after each: there may be news to book, and
    levels to read."""
    running: set[asyncio.Task[None]] = set()
    look_at = looked_through = 0

    async def settle(step: Callable[..., Any], *args: Any) -> None:
        await writer.do(lambda tx: step(tx, tenant_id, *args, to_us(clock.now())))
        on_settled()
        bell.ring()

    async def move() -> None:
        call = await writer.do(lambda tx: moves.plan(tx, tenant_id, to_us(clock.now())))
        if call is not None:
            key, reference = call.batch.idempotency_key, f"gid://oneshelf/Moves/{call.batch.intent_no}"
            start(settle_after(hub.move(http, call.moves, key, reference), moves.settle, call))

    async def import_one() -> bool:
        call = await writer.do(lambda tx: copy_orders.plan(tx, tenant_id, to_us(clock.now())))
        if isinstance(call, copy_orders.CreateCall):
            creating = hub.create_order(http, call.draft, ignore_policy=call.ignore_policy)
            start(settle_after(creating, copy_orders.settle_create, call))
        elif isinstance(call, copy_orders.FindCall):
            start(find(call))
        return call is not None

    async def find(call: copy_orders.FindCall) -> None:
        found, problem = None, ""
        try:
            found = await hub.find_copy(http, call.external_key)
        except (NoAnswer, Retry, Park) as error:
            problem = str(error) or type(error).__name__
        await writer.do(
            lambda tx: copy_orders.settle_find(
                tx, tenant_id, call, found, problem, to_us(clock.now()), not_found_after_s
            )
        )
        bell.ring()

    async def correct() -> None:
        call = await writer.do(lambda tx: copy_orders.plan_correction(tx, tenant_id, to_us(clock.now())))
        if call is None:
            return
        key, why = call.intent.idempotency_key, "cancelled at the marketplace"
        if call.pieces is None:
            doing = hub.cancel_copy(http, call.hub_order_id, why, key)
        else:
            doing = hub.remove_pieces(http, call.hub_order_id, call.pieces, why, key)
        start(settle_after(doing, copy_orders.settle_correction, call))

    async def count() -> None:
        call = await writer.do(lambda tx: counts.plan(tx, tenant_id, to_us(clock.now())))
        if call is not None:
            start(settle_after(counts.send(hub, http, call), counts.settle, call))

    async def change() -> None:
        """What the marketplaces said later (S14.7); a person does what the hub's connector can't."""
        call = await writer.do(lambda tx: changes.plan(tx, tenant_id, to_us(clock.now())))
        if call is not None and isinstance(hub, ChangesCopy):
            doing = hub.change_copy(http, call.hub_order_id, call.change, call.intent.idempotency_key)
            start(settle_after(doing, changes.settle, call))
        elif call is not None:
            await settle(changes.settle, call, changes.NO_ABILITY)

    async def fulfil() -> None:
        """What left from the marketplaces (S10.6)."""
        call = await writer.do(lambda tx: changes.plan_fulfilment(tx, tenant_id, to_us(clock.now())))
        if call is not None and isinstance(hub, FulfilsCopy):
            doing = hub.fulfil_copy(http, call.hub_order_id, call.parcel)
            start(settle_after(doing, changes.settle_fulfilment, call))
        elif call is not None:
            await settle(changes.settle_fulfilment, call, changes.NO_ABILITY)

    async def reroute() -> None:
        """Copies whose fulfilment orders stand elsewhere than it was decided (R6)."""
        call = await writer.do(lambda tx: rerouting.plan(tx, tenant_id, to_us(clock.now())))
        if call is not None and isinstance(hub, MovesCopy):
            start(settle_after(hub.move_copy(http, call.hub_order_id, call.wanted), rerouting.settle, call))
        elif call is not None:
            await settle(rerouting.settle, call, changes.NO_ABILITY)

    async def leave_empty() -> None:
        """Orders whose location ran out are decided again (R7), and what came to one that is closed goes on elsewhere."""
        nonlocal look_at, looked_through

        def look(tx: Tx) -> int:
            closing.look_again(tx, tenant_id, now)
            return routing.leave_empty(tx, tenant_id, looked_through, now)

        now = to_us(clock.now())
        if now >= look_at:
            looked_through = await writer.do(look)
            look_at = now + (0 if looked_through else rerouting.LOOK_EVERY_S * SECOND)

    async def hold() -> None:
        call = await writer.do(lambda tx: holding.plan(tx, tenant_id, to_us(clock.now())))
        if call is not None and isinstance(hub, HoldsCopy):
            do = hub.hold_copy if call.holds else hub.release_copy
            start(settle_after(do(http, call.hub_order_id, call.intent.idempotency_key), holding.settle, call))
        elif call is not None:
            await settle(holding.settle, call, changes.NO_ABILITY)

    async def settle_after(call: Awaitable[Outcome], step: Callable[..., Any], planned: Any) -> None:
        """A step that goes on breaking leaves its intent to be asked about: it would wait for its answer for good."""
        outcome = await outcome_of(call)
        try:
            await writer.take_in(lambda tx: step(tx, tenant_id, planned, outcome, to_us(clock.now())))
            on_settled()
        except Stop:
            raise
        except Exception:
            log.exception("hub_call_not_settled")
            intent = planned.batch if isinstance(planned, moves.MoveCall) else planned.intent
            why = Unknown("what came back could not be taken in")
            await writer.take_in(lambda tx: intents.put_off(tx, tenant_id, intent, why, to_us(clock.now())))
        bell.ring()

    def start(work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        running.add(task)
        task.add_done_callback(running.discard)

    #: What carries out which kinds of intents, in this order; imports come after them, as many as there is room for.
    doers: tuple[tuple[Callable[[], Awaitable[None]], tuple[str, ...]], ...] = (
        (move, moves.ALL_KINDS),
        (correct, copy_orders.CORRECTIONS),
        (count, counts.KINDS),
        (change, (keeping_up.CHANGE,)),
        (fulfil, (keeping_up.FULFIL,)),
        (hold, holding.KINDS),
        (reroute, (routing.MOVE,)),
    )
    kinds = tuple(kind for _, some in doers for kind in some) + (copy_orders.KIND,)
    while not stop.is_set():
        try:
            before = len(running)
            await leave_empty()
            due, wait_s = await writer.do(lambda tx: _look(tx, tenant_id, kinds, to_us(clock.now())))
            for do, some in doers:
                if not due.isdisjoint(some):
                    await do()
            while copy_orders.KIND in due and len(running) < at_once and await import_one():
                pass
            if len(running) == before:
                await bell.wait(wait_s, stop)
            elif len(running) >= at_once:
                await asyncio.wait(running, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
        except Stop:
            raise
        except Exception:
            log.exception("hub_loop_failed")
            await bell.wait(LOOK_EVERY_S, stop)
    if running:
        await asyncio.wait(running, timeout=5.0)


def _look(tx: Tx, tenant_id: int, kinds: tuple[str, ...], now: int) -> tuple[set[str], float]:
    """Let time do its part, and return the kinds that are due and how long nothing else will be, at most LOOK_EVERY_S."""
    manual_holds.end_due(tx, tenant_id, now)
    moves.hold_what_waits(tx, tenant_id, now)
    first = intents.first_due_at(tx, tenant_id, kinds)
    later = (*first.values(), moves.next_wait_ends_at(tx, tenant_id, now), manual_holds.next_ends_at(tx, tenant_id))
    return {kind for kind, due_at in first.items() if due_at <= now}, until_s(later, now, LOOK_EVERY_S)


async def outcome_of(call: Awaitable[Outcome]) -> Outcome:
    """Return the outcome; whatever a call raises is never a yes and never a no (I18). A shop that lets us in no more has refused none of
    them: each is made when somebody has signed in again."""
    try:
        outcome = await call
        if isinstance(outcome, Rejected) and outcome.code == "unauthorized":
            return Throttled(SIGN_IN_S, outcome.reason)
        return outcome
    except NoAnswer as error:
        return Unknown(error.reason)
    except Retry as error:
        return Throttled(error.wait_s, str(error))
    except Park as error:
        return Unknown(str(error))
    except Exception as error:
        log.exception("hub_call_failed")
        return Unknown(f"{type(error).__name__}: {error}")
