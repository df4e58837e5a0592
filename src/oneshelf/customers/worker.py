"""The loop of this room: privacy requests, retention, stages that time changes, orders not matched yet. Small steps, so that orders never
wait for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import structlog

from oneshelf.core.errors import Stop
from oneshelf.core.instants import SECOND, to_us
from oneshelf.db.tx import Tx
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from . import catching_up, privacy, retention, ticking

log = structlog.get_logger()

LOOK_EVERY_S = 60.0
RETENTION_EVERY_US = 3_600 * SECOND
FAILED_WAIT_S = 30.0


async def run(
    tenant_id: int,
    writer: Writer,
    clock: Clock,
    bell: Bell,
    stop: asyncio.Event,
    of_departed: Callable[[Tx], int],
) -> None:
    """`of_departed`: take what came for accounts that are gone; returns how many messages that were."""
    while not stop.is_set():
        try:
            more = await writer.do(lambda tx: bool(of_departed(tx)))
            more = await writer.do(lambda tx: privacy.step(tx, tenant_id, to_us(clock.now()))) or more
            more = await writer.do(lambda tx: retain(tx, tenant_id, to_us(clock.now()))) or more
            more = await writer.do(lambda tx: catching_up.step(tx, tenant_id, to_us(clock.now()))) or more
            more = await writer.do(lambda tx: ticking.tick(tx, tenant_id, to_us(clock.now()))) or more
            wait = 0.01 if more else LOOK_EVERY_S
        except Stop:
            raise
        except Exception:
            log.exception("privacy_step_failed")
            wait = FAILED_WAIT_S
        await bell.wait(wait, stop)


def retain(tx: Tx, tenant_id: int, now: int) -> bool:
    """Do a step of the hourly retention if it is due; True: there is more to do at once."""
    row = tx.one(
        "SELECT state, due_at FROM upkeep WHERE tenant_id = :t AND account_id = 0 AND name = 'retention'", t=tenant_id
    )
    if row is not None and row[1] > now:
        return False
    after_seq = 0 if row is None else json.loads(row[0]).get("after_seq", 0)
    swept, after_seq = retention.step(tx, tenant_id, now, after_seq)
    tx.run(
        """INSERT INTO upkeep (tenant_id, account_id, name, state, done_at, due_at) VALUES (:t, 0, 'retention', :s, :now, :due)
           ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET state = excluded.state, done_at = excluded.done_at,
               due_at = excluded.due_at""",
        t=tenant_id,
        s=json.dumps({"after_seq": after_seq}),
        now=now,
        due=now if swept.more else now + RETENTION_EVERY_US,
    )
    return swept.more
