"""The hub's loop: holds first, then imports, then corrections of copies. A call is two steps with the network between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from oneshelf.channels.abilities import ChangesCopy, FulfilsCopy, HoldsCopy
from oneshelf.channels.contract import Http, Hub, NoAnswer
from oneshelf.core.errors import Park, Retry, Stop
from oneshelf.core.instants import to_us
from oneshelf.core.outcome import Outcome, Throttled, Unknown
from oneshelf.orders import manual_holds
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from . import changes, copy_orders, counts, holding, moves

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
    news: Bell,
    stop: asyncio.Event,
    not_found_after_s: float = copy_orders.NOT_FOUND_AFTER_S,
    at_once: int = 4,
) -> None:
    """Carry out what is due, up to `at_once` calls at a time, until `stop`."""
    running: set[asyncio.Task[None]] = set()

    async def settle(step: Callable[..., Any], *args: Any) -> None:
        await writer.do(lambda tx: step(tx, tenant_id, *args, to_us(clock.now())))
        news.ring()
        bell.ring()

    async def move() -> None:
        call = await writer.do(lambda tx: _plan_moves(tx, tenant_id, to_us(clock.now())))
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

    async def keep_up() -> None:
        """What the marketplaces said and did later (S10.6, S14.7); a person does what the hub's connector can't."""
        change = await writer.do(lambda tx: changes.plan(tx, tenant_id, to_us(clock.now())))
        if change is not None and isinstance(hub, ChangesCopy):
            doing = hub.change_copy(http, change.hub_order_id, change.change, change.intent.idempotency_key)
            start(settle_after(doing, changes.settle, change))
        elif change is not None:
            await settle(changes.settle, change, changes.NO_ABILITY)
        left = await writer.do(lambda tx: changes.plan_fulfilment(tx, tenant_id, to_us(clock.now())))
        if left is not None and isinstance(hub, FulfilsCopy):
            doing = hub.fulfil_copy(http, left.hub_order_id, left.parcel)
            start(settle_after(doing, changes.settle_fulfilment, left))
        elif left is not None:
            await settle(changes.settle_fulfilment, left, changes.NO_ABILITY)
        await hold()

    async def hold() -> None:
        call = await writer.do(lambda tx: holding.plan(tx, tenant_id, to_us(clock.now())))
        if call is not None and isinstance(hub, HoldsCopy):
            do = hub.hold_copy if call.holds else hub.release_copy
            start(settle_after(do(http, call.hub_order_id, call.intent.idempotency_key), holding.settle, call))
        elif call is not None:
            await settle(holding.settle, call, changes.NO_ABILITY)

    async def settle_after(call: Awaitable[Outcome], step: Callable[..., Any], planned: Any) -> None:
        await settle(step, planned, await outcome_of(call))

    def start(work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        running.add(task)
        task.add_done_callback(running.discard)

    while not stop.is_set():
        try:
            before = len(running)
            await move()
            await correct()
            await count()
            await keep_up()
            while len(running) < at_once and await import_one():
                pass
            if len(running) == before:
                await bell.wait(LOOK_EVERY_S, stop)
            elif len(running) >= at_once:
                await asyncio.wait(running, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
        except Stop:
            raise
        except Exception:
            log.exception("hub_loop_failed")
            await bell.wait(LOOK_EVERY_S, stop)
    if running:
        await asyncio.wait(running, timeout=5.0)


def _plan_moves(tx: Any, tenant_id: int, now: int) -> moves.MoveCall | None:
    manual_holds.end_due(tx, tenant_id, now)
    moves.hold_what_waits(tx, tenant_id, now)
    return moves.plan(tx, tenant_id, now)


async def outcome_of(call: Awaitable[Outcome]) -> Outcome:
    """Return the outcome; whatever a call raises is never a yes and never a no (I18)."""
    try:
        return await call
    except NoAnswer as error:
        return Unknown(error.reason)
    except Retry as error:
        return Throttled(error.wait_s, str(error))
    except Park as error:
        return Unknown(str(error))
    except Exception as error:
        log.exception("hub_call_failed")
        return Unknown(f"{type(error).__name__}: {error}")
