"""The loop that keeps one account's catalogue followed: hints as they come, everything once a night."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from oneshelf.channels.contract import Channel, Http, NoAnswer
from oneshelf.core.errors import Park, Retry, Stop
from oneshelf.core.instants import to_us, until_s
from oneshelf.db.tx import Tx
from oneshelf.listings import hints
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from . import following

log = structlog.get_logger()

LOOK_EVERY_S = 5.0
FAILED_WAIT_S = 30.0


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
    lock: asyncio.Lock,
    on_changed: Callable[[], None],
) -> None:
    """`lock`: held while the whole catalogue is read, so that a command and the night don't read it twice at once."""
    while not stop.is_set():
        try:
            hint_at, all_is_due = await writer.do(lambda tx: _due(tx, tenant_id, account_id, to_us(clock.now())))
            wait = until_s([hint_at], to_us(clock.now()), LOOK_EVERY_S)
            if hint_at is not None and hint_at <= to_us(clock.now()):
                await following.follow_hints(tenant_id, account_id, channel, http, writer, clock)
                on_changed()
                wait = 0.0
            if all_is_due and not lock.locked():
                async with lock:
                    await following.reread(tenant_id, account_id, channel, http, writer, clock)
                on_changed()
        except Stop:
            raise
        except (NoAnswer, Retry, Park) as error:
            log.warning("catalogue_not_read", account_id=account_id, problem=str(error) or type(error).__name__)
            wait = FAILED_WAIT_S
        except Exception:
            log.exception("catalogue_follow_broke", account_id=account_id)
            wait = FAILED_WAIT_S
        await bell.wait(wait, stop)


def _due(tx: Tx, tenant_id: int, account_id: int, now: int) -> tuple[int | None, bool]:
    """When a hint may be followed, and whether the whole catalogue is to be read."""
    return hints.next_at(tx, tenant_id, account_id), _is_due(tx, tenant_id, account_id, now)


def _is_due(tx: Tx, tenant_id: int, account_id: int, now: int) -> bool:
    """Whether the whole catalogue is to be read; the first time is a day after connecting, which read it."""
    _, due_at = following.load_run(tx, tenant_id, account_id)
    if due_at < 0:
        following.plan_next(tx, tenant_id, account_id, now + following.NIGHT_US)
        return False
    matched = tx.one(
        "SELECT 1 FROM account WHERE tenant_id = :t AND account_id = :a AND state IN ('MATCHED', 'PREVIEWED', 'LIVE', 'PAUSED')",
        t=tenant_id,
        a=account_id,
    )
    return matched is not None and due_at <= now
