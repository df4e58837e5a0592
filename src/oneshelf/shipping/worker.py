"""One marketplace's loop: parcels told, cancels asked for and followed. A call is two steps with the network between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog

from oneshelf.channels.abilities import Cancels, ShipmentTold, Ships
from oneshelf.channels.contract import Channel, Http, NoAnswer
from oneshelf.core.errors import Park, Retry, Stop
from oneshelf.core.instants import to_us, until_s
from oneshelf.core.outcome import Outcome, Throttled, Unknown
from oneshelf.db.tx import Tx
from oneshelf.orders import intents
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from . import cancelling, looking, telling

log = structlog.get_logger()

LOOK_EVERY_S = 1.0
DueAt = Callable[[Tx, int, int], int | None]


async def run(
    *,
    tenant_id: int,
    account_id: int,
    channel: Channel,
    http: Http,
    writer: Writer,
    clock: Clock,
    bell: Bell,
    stop: asyncio.Event,
    on_changed: Callable[[], None],
    not_found_after_s: float = looking.NOT_FOUND_AFTER_S,
) -> None:
    """Carry out what is due of one account, one call after the other, until `stop`."""
    steps: list[tuple[DueAt, Callable[[], Awaitable[bool]]]] = []
    if isinstance(channel, Ships):
        ship = partial(ship_one, tenant_id, account_id, channel, http, writer, clock, not_found_after_s)
        steps.append((telling.due_at, ship))
    if isinstance(channel, Cancels):
        cancel = partial(cancel_one, tenant_id, account_id, channel, http, writer, clock, not_found_after_s)
        steps.append((cancelling.due_at, cancel))

    def first(tx: Tx) -> list[int | None]:
        return [due_at(tx, tenant_id, account_id) for due_at, _ in steps]

    was_broken = False
    while steps and not stop.is_set():
        try:
            if was_broken:
                await writer.do(lambda tx: _recover(tx, tenant_id, account_id))
                was_broken = False
            due, now = await writer.do(first), to_us(clock.now())
            busy = [await step() for (_, step), at in zip(steps, due, strict=True) if at is not None and at <= now]
            if any(busy):
                on_changed()
            else:
                await bell.wait(until_s(due, now, LOOK_EVERY_S), stop)
        except Stop:
            raise
        except Exception:
            log.exception("shipping_failed", account_id=account_id)
            was_broken = True
            await bell.wait(LOOK_EVERY_S, stop)


def _recover(tx: Tx, tenant_id: int, account_id: int) -> None:
    """No call of this loop is under way any more: one whose answer could not be taken in may have been done, and is looked for."""
    telling.recover(tx, tenant_id, account_id)
    intents.recover_account(tx, tenant_id, account_id, is_hub=False, own=(cancelling.KIND,))


async def ship_one(
    tenant_id: int,
    account_id: int,
    channel: Ships,
    http: Http,
    writer: Writer,
    clock: Clock,
    not_found_after_s: float = looking.NOT_FOUND_AFTER_S,
) -> bool:
    """Tell one parcel, or read one order's list. False: nothing is due."""
    ability = channel.ships
    call = await writer.do(lambda tx: telling.plan(tx, tenant_id, account_id, ability, to_us(clock.now())))
    if call is None:
        return False
    if isinstance(call, telling.TellCall):
        outcome = await outcome_of(channel.ship(http, call.order_id, call.parcel, call.known))
        await writer.take_in(lambda tx: telling.settle(tx, tenant_id, call, outcome, to_us(clock.now())))
        return True
    told: list[ShipmentTold] | None = None
    problem = ""
    try:
        told = await channel.shipments(http, call.order_id)
    except (NoAnswer, Retry, Park) as error:
        problem = str(error) or type(error).__name__
    except Exception as error:  # a read that breaks says nothing about the parcel
        log.exception("shipments_not_read", account_id=account_id)
        problem = type(error).__name__
    await writer.take_in(
        lambda tx: looking.settle(tx, tenant_id, call, told, problem, to_us(clock.now()), not_found_after_s)
    )
    return True


async def cancel_one(
    tenant_id: int,
    account_id: int,
    channel: Cancels,
    http: Http,
    writer: Writer,
    clock: Clock,
    not_found_after_s: float = looking.NOT_FOUND_AFTER_S,
) -> bool:
    """Ask for one cancel, or read how far one is. False: nothing is due."""
    call = await writer.do(lambda tx: cancelling.plan(tx, tenant_id, account_id, to_us(clock.now())))
    if call is None:
        return False
    if isinstance(call, cancelling.CancelCall):
        outcome = await outcome_of(channel.cancel(http, call.wish))
        link, how = channel.cancel_link(call.wish.order_id), channel.cancels.how
        await writer.take_in(lambda tx: cancelling.settle(tx, tenant_id, call, outcome, how, link, to_us(clock.now())))
        return True
    state: Any = None
    problem = ""
    try:
        state = await channel.cancel_state(http, call.wish, call.reference)
    except (NoAnswer, Retry, Park) as error:
        problem = str(error) or type(error).__name__
    except Exception as error:
        log.exception("cancel_not_read", account_id=account_id)
        problem = type(error).__name__
    link = channel.cancel_link(call.wish.order_id)
    if channel.cancels.how == "job":
        not_found_after_s = max(not_found_after_s, cancelling.JOB_NOT_FOUND_AFTER_S)
    await writer.take_in(
        lambda tx: cancelling.settle_look(
            tx, tenant_id, call, state, problem, link, to_us(clock.now()), not_found_after_s
        )
    )
    return True


async def outcome_of(call: Awaitable[Outcome]) -> Outcome:
    """Return the outcome; whatever a call raises is never a yes and never a no (I18)."""
    try:
        return await call
    except NoAnswer as error:
        return Unknown(error.reason) if error.sent else Throttled(None, error.reason)  # it never left: nothing was done
    except Retry as error:
        return Throttled(error.wait_s, str(error))
    except Park as error:
        return Unknown(str(error))
    except Exception as error:
        log.exception("shipping_call_failed")
        return Unknown(f"{type(error).__name__}: {error}")
