"""The loop that reads the hub's levels: what somebody wants read, and a bulk export from time to time (SEMANTICS 4.6, 9.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from oneshelf.channels.contract import ExportState, Http, Hub, HubLevel, NoAnswer
from oneshelf.core.backoff import backoff_s
from oneshelf.core.errors import Park, Retry, Stop
from oneshelf.core.instants import SECOND, to_us
from oneshelf.db.tx import Tx
from oneshelf.imports import adopting
from oneshelf.orders.accounts import Account, load_accounts
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from . import hub as judging

log = structlog.get_logger()

LOOK_EVERY_S = 1.0
FAILED_WAIT_S = 3.0
#: Items whose read could not be judged because calls are under way (S9.5) are read again after so long, doubling.
AGAIN_S = 0.5
AGAIN_S_MAX = 8.0
#: S4.6: order feeds don't show stock edits, so all levels are read by one bulk export so often.
EXPORT_EVERY_S = 900.0
EXPORT_LOOK_EVERY_S = 2.0
#: A failed export is begun again after this, doubled each time.
EXPORT_AGAIN_S = 30.0
#: The export's row in `feed`: polled_at says when the last whole one began.
LEVELS = "levels"


async def run(
    *,
    tenant_id: int,
    account_id: int,
    hub: Hub,
    http: Http,
    writer: Writer,
    clock: Clock,
    bell: Bell,
    stop: asyncio.Event,
    poke_poll: Callable[[], None],
    on_changed: Callable[[], None],
    export_every_s: float = EXPORT_EVERY_S,
) -> None:
    """1. Take what is wanted.  2. Read it in one query.  3. Judge it.  In between, a bulk export finds what no webhook told."""
    exporting = asyncio.ensure_future(
        _export_loop(tenant_id, account_id, hub, http, writer, clock, bell, stop, export_every_s)
    )
    wanted: frozenset[str] = frozenset()
    again_s = AGAIN_S
    try:
        while not stop.is_set():
            try:
                before, wanted = (
                    wanted,
                    await read_wanted(tenant_id, account_id, hub, http, writer, clock, poke_poll, on_changed),
                )
                # Items that a read could not settle, because calls are under way there, are wanted again at once.
                again_s = min(AGAIN_S_MAX, 2 * again_s) if wanted and wanted <= before else AGAIN_S
                if not wanted or wanted <= before:
                    await bell.wait(again_s if wanted else LOOK_EVERY_S, stop)
            except Stop:
                raise
            except (NoAnswer, Retry, Park) as error:
                log.warning("hub_read_failed", problem=str(error) or type(error).__name__)
                await bell.wait(FAILED_WAIT_S, stop)
            except Exception:
                log.exception("hub_read_broke")
                await bell.wait(FAILED_WAIT_S, stop)
    finally:
        exporting.cancel()


async def read_wanted(
    tenant_id: int,
    account_id: int,
    hub: Hub,
    http: Http,
    writer: Writer,
    clock: Clock,
    poke_poll: Callable[[], None],
    on_changed: Callable[[], None],
) -> frozenset[str]:
    """Read and judge one call's worth. Returns the items that were read; empty: nothing is wanted."""

    def take(tx: Tx) -> tuple[Account | None, list[str]]:
        account = load_accounts(tx, tenant_id).get(account_id)
        if account is None or account.opened_at is None:
            return account, []
        judging.want_due_reads(tx, tenant_id, account)
        return account, judging.wanted_items(tx, tenant_id)

    account, item_ids = await writer.do(take)
    if account is None or not item_ids:
        return frozenset()
    asked_at = to_us(clock.now())
    levels = await hub.levels(http, item_ids)
    read = judging.Read(levels, asked_at, f"{asked_at}")
    told = await writer.do(lambda tx: judging.judge_read(tx, tenant_id, account, read, to_us(clock.now())))
    missing = set(item_ids) - {level.item_id for level in levels}
    if missing:
        await writer.do(lambda tx: judging.give_up_reading(tx, tenant_id, missing, to_us(clock.now())))
    if told.poll_hub:
        poke_poll()
    if told.edits or told.odd:
        on_changed()
    return frozenset(item_ids)


async def _export_loop(
    tenant_id: int,
    account_id: int,
    hub: Hub,
    http: Http,
    writer: Writer,
    clock: Clock,
    bell: Bell,
    stop: asyncio.Event,
    every_s: float,
) -> None:
    """Export so often, by when the last whole one began: a service that is started again and again exports all the same. One that failed is
    begun again soon."""
    pause = Bell()
    failures = 0
    while not stop.is_set():
        last_at = await writer.do(lambda tx: last_export_at(tx, tenant_id, account_id))
        wait_s = export_wait_s(last_at, to_us(clock.now()), every_s, failures)
        if wait_s > 0:
            await pause.wait(wait_s, stop)
            if stop.is_set():
                return
        try:
            await export_once(tenant_id, account_id, hub, http, writer, clock)
            failures = 0
            bell.ring()
            continue
        except (NoAnswer, Retry, Park) as error:
            log.warning("levels_export_failed", problem=str(error) or type(error).__name__)
        except Exception:
            log.exception("levels_export_broke")
        failures += 1


def export_wait_s(last_at: int | None, now: int, every_s: float, failures: int = 0) -> float:
    """Return after how many seconds the next export is due (0 or less: now). `failures`: in a row.

    >>> export_wait_s(0, 100 * SECOND, 900.0), export_wait_s(None, 100 * SECOND, 900.0), export_wait_s(0, 2_000 * SECOND, 900.0, 3)
    (800.0, 900.0, 120.0)
    """
    if last_at is None:
        return every_s
    wait_s = min(every_s, every_s - (now - last_at) / SECOND)  # never longer, if the clock was set back
    return max(wait_s, backoff_s(EXPORT_AGAIN_S, failures, every_s)) if failures else wait_s


def last_export_at(tx: Tx, tenant_id: int, account_id: int) -> int | None:
    """Return when the last whole export of the account's levels began (microseconds); before the first, when its levels were first read."""
    row = tx.one(
        """SELECT COALESCE(f.polled_at, a.opened_at) FROM account a
             LEFT JOIN feed f ON f.tenant_id = a.tenant_id AND f.account_id = a.account_id AND f.name = :name
            WHERE a.tenant_id = :t AND a.account_id = :a""",
        t=tenant_id,
        a=account_id,
        name=LEVELS,
    )
    return None if row is None else row[0]


def note_export(tx: Tx, tenant_id: int, account_id: int, at: int) -> None:
    """An export that began at this instant has been compared whole."""
    tx.run(
        """INSERT INTO feed (tenant_id, account_id, name, polled_at, pages) VALUES (:t, :a, :name, :at, 1)
           ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET polled_at = excluded.polled_at, pages = feed.pages + 1""",
        t=tenant_id,
        a=account_id,
        name=LEVELS,
        at=at,
    )


async def export_once(tenant_id: int, account_id: int, hub: Hub, http: Http, writer: Writer, clock: Clock) -> int:
    """Export all levels and ask for a read of each that differs. Returns how many differ."""
    asked_at = to_us(clock.now())
    state = await hub.start_levels_export(http)
    if not isinstance(state, ExportState):
        raise Retry(f"Shopify did not start the export: {state}")
    state = await wait_for_export(hub, http, state)
    differ = 0
    async for levels in hub.levels_export(http, state):
        # One batch a transaction: orders wait behind it, and a whole shop's levels are not held.
        def compare(tx: Tx, levels: list[HubLevel] = levels) -> int:
            account = load_accounts(tx, tenant_id)[account_id]
            return judging.compare_export(tx, tenant_id, account, levels, asked_at)

        differ += await writer.do(compare)

    def note_it(tx: Tx) -> None:
        note_export(tx, tenant_id, account_id, asked_at)
        adopting.tell_of_unclaimed(tx, tenant_id, to_us(clock.now()))

    await writer.do(note_it)
    return differ


#: So many looks at an export in a row may stay without an answer.
EXPORT_LOOKS_FAILED_MAX = 8


async def wait_for_export(
    hub: Hub, http: Http, state: ExportState, look_every_s: float = EXPORT_LOOK_EVERY_S
) -> ExportState:
    """Look until the export is done. Raises Retry if it failed, and NoAnswer or Retry after EXPORT_LOOKS_FAILED_MAX looks in a row
    without an answer: the export goes on at the hub meanwhile."""
    failed = 0
    while state.status == "running":
        await asyncio.sleep(look_every_s * (1 + failed))
        try:
            state = await hub.export_state(http, state.export_id)
            failed = 0
        except (NoAnswer, Retry):
            failed += 1
            if failed >= EXPORT_LOOKS_FAILED_MAX:
                raise
    if state.status == "failed":
        raise Retry(f"Shopify's export failed: {state.reason}")
    return state
