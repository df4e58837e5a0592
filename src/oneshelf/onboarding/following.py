"""The catalogue, followed after connecting: what a hint named is read again, and everything once a night (SEMANTICS 4.5, 8.16).

In: hints, the night, a command. Out: outlets with their states, links of new listings, orders that waited for them booked.
Never: moves an account along its states (a LIVE one stays LIVE); unlinks by itself; believes one silence that a listing is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from oneshelf.channels.abilities import FollowsCatalogue
from oneshelf.channels.contract import CataloguePage, Channel, ExportState, Http, Hub, ListingFound, NoAnswer
from oneshelf.core.errors import Park, Retry
from oneshelf.core.instants import SECOND, to_us
from oneshelf.db.journal import close_task, note, open_task
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty, hints, links
from oneshelf.orders.relink import relink_account
from oneshelf.reconcile.worker import wait_for_export
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from . import pinned, shop, unmanaged
from .bundles import components_of, keep_bundles

#: Hints read in one go, and how often "does not exist" is heard before it is believed.
HINTS_AT_ONCE = 20
EMPTY_MAX = 2
#: More than this share of a catalogue gone in one night is our mistake or the channel's: a person looks first.
GONE_PERCENT_MAX = 20
GONE_ALWAYS_FINE = 10
NIGHT_US = 86_400 * SECOND
FAILED_WAIT_US = 600 * SECOND
PROBLEM_MAX = 300


class Run(msgspec.Struct):
    """A full reading under way or done. `cursor` None with `read` 0: at its beginning. `gone`: no longer there. `total`: where known."""

    started_at: int
    cursor: dict[str, Any] | None = None
    read: int = 0
    total: int | None = None
    new: int = 0
    linked: int = 0
    booked: int = 0
    gone: int = 0
    done: bool = False
    export_id: str = ""
    #: When the reading before this one began: an outlet that neither has seen is gone where single listings can't be read.
    before_at: int | None = None


Progress = Callable[[Run], None]


def _quiet(_: Run) -> None:
    return None


def load_run(tx: Tx, tenant_id: int, account_id: int) -> tuple[Run | None, int]:
    """Return the last or present reading and when the next is due (0: at once)."""
    row = tx.one(
        "SELECT state, due_at FROM upkeep WHERE tenant_id = :t AND account_id = :a AND name = 'catalogue'",
        t=tenant_id,
        a=account_id,
    )
    if row is None:
        return None, -1
    return (None if row[0] == "{}" else msgspec.json.decode(row[0], type=Run)), row[1]


def _keep_run(
    tx: Tx, tenant_id: int, account_id: int, run: Run, now: int, *, due_at: int = 0, problem: str = ""
) -> None:
    tx.run(
        """INSERT INTO upkeep (tenant_id, account_id, name, state, started_at, done_at, due_at, failures, problem)
           VALUES (:t, :a, 'catalogue', :s, :start, :done, :due, :failed, :p)
           ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET state = excluded.state, started_at = excluded.started_at,
               done_at = COALESCE(excluded.done_at, upkeep.done_at), due_at = excluded.due_at, problem = excluded.problem,
               failures = CASE WHEN excluded.problem = '' THEN 0 ELSE upkeep.failures + 1 END""",
        t=tenant_id,
        a=account_id,
        s=msgspec.json.encode(run).decode(),
        start=run.started_at,
        done=now if run.done else None,
        due=due_at,
        failed=int(bool(problem)),
        p=problem[:PROBLEM_MAX],
    )


def plan_next(tx: Tx, tenant_id: int, account_id: int, at: int) -> None:
    """Say when the catalogue is to be read whole (0: at once); a reading under way goes on."""
    tx.run(
        """INSERT INTO upkeep (tenant_id, account_id, name, due_at) VALUES (:t, :a, 'catalogue', :at)
           ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET due_at = excluded.due_at""",
        t=tenant_id,
        a=account_id,
        at=at,
    )


# --- everything, once a night ------------------------------------------------------------------------------------------


async def reread(
    tenant_id: int,
    account_id: int,
    channel: Channel,
    http: Http,
    writer: Writer,
    clock: Clock,
    progress: Progress = _quiet,
    look_every_s: float = 1.0,
) -> Run:
    """Read the whole catalogue, from where an interrupted reading stopped. Raises Retry, NoAnswer, Park: what was read stays."""
    run = await writer.do(partial(_begin, tenant_id=tenant_id, account_id=account_id, now=to_us(clock.now())))
    try:
        if isinstance(channel, Hub):
            await _reread_hub(tenant_id, account_id, channel, http, writer, clock, run, progress, look_every_s)
        else:
            await _reread_pages(tenant_id, account_id, channel, http, writer, clock, run, progress)
    except (Retry, NoAnswer, Park) as error:
        words = str(error) or type(error).__name__
        now = to_us(clock.now())
        if isinstance(error, Park):  # the page address may be what is wrong: begin anew the next time
            run = msgspec.structs.replace(run, cursor=None, read=0, export_id="")
        await writer.do(
            lambda tx: _keep_run(tx, tenant_id, account_id, run, now, due_at=now + FAILED_WAIT_US, problem=words)
        )
        raise
    progress(run)
    return run


def _begin(tx: Tx, tenant_id: int, account_id: int, now: int) -> Run:
    run, _ = load_run(tx, tenant_id, account_id)
    if run is None or run.done:
        run = Run(now, before_at=None if run is None else run.started_at)
        _keep_run(tx, tenant_id, account_id, run, now)
    return run


async def _reread_pages(
    tenant_id: int,
    account_id: int,
    channel: Channel,
    http: Http,
    writer: Writer,
    clock: Clock,
    run: Run,
    progress: Progress,
) -> None:
    while True:
        page = await channel.catalogue(http, run.cursor)
        if page.cursor is not None and page.cursor == run.cursor:
            raise Park("the catalogue gave the same page address twice")
        now = to_us(clock.now())
        await writer.do(partial(_keep_page, tenant_id=tenant_id, account_id=account_id, page=page, run=run, now=now))
        run.cursor = page.cursor
        progress(run)
        if page.cursor is None:
            break
        await asyncio.sleep(page.again_in_s)
    told, now = page.unmanaged, to_us(clock.now())
    await writer.do(lambda tx: unmanaged.keep(tx, tenant_id, account_id, channel, told, now))
    follows = isinstance(channel, FollowsCatalogue)
    now = to_us(clock.now())
    await writer.do(
        partial(_finish_pages, tenant_id=tenant_id, account_id=account_id, run=run, now=now, follows=follows)
    )


def _keep_page(tx: Tx, tenant_id: int, account_id: int, page: CataloguePage, run: Run, now: int) -> None:
    """Listings and the place where the next page begins are durable together."""
    run.new += keep_found(tx, tenant_id, account_id, page.listings, now)
    run.read += len(page.listings)
    run.total = page.total if page.total is not None else run.total
    _keep_run(tx, tenant_id, account_id, msgspec.structs.replace(run, cursor=page.cursor), now)


def _finish_pages(tx: Tx, tenant_id: int, account_id: int, run: Run, now: int, follows: bool) -> None:
    matched = links.match_by_sku(tx, tenant_id, account_id, now)
    run.linked, run.booked = matched.linked, relink_account(tx, tenant_id, account_id, now)
    _missed(tx, tenant_id, account_id, run, now, follows)
    row = tx.one("SELECT channel FROM account WHERE tenant_id = :t AND account_id = :a", t=tenant_id, a=account_id)
    pinned.tell(tx, tenant_id, account_id, row[0].title() if row else "", run.started_at, now)
    _end(tx, tenant_id, account_id, run, now)


def _end(tx: Tx, tenant_id: int, account_id: int, run: Run, now: int) -> None:
    run.done, run.cursor, run.export_id = True, None, ""
    _keep_run(tx, tenant_id, account_id, run, now, due_at=now + NIGHT_US)
    if run.new or run.gone:
        what = "The catalogue was read again"
        note(
            tx, tenant_id, now, "oneshelf", what, f"account:{account_id}", new=run.new, linked=run.linked, gone=run.gone
        )


def _missed(tx: Tx, tenant_id: int, account_id: int, run: Run, now: int, follows: bool) -> None:
    """What a whole reading did not show: asked for one by one, or, where that can't be done, gone after two readings without it."""
    rows = tx.all(
        "SELECT outlet_id, write_unit, seen_at FROM outlet WHERE tenant_id = :t AND account_id = :a AND seen_at < :start "
        "AND state NOT IN ('ended', 'gone') ORDER BY outlet_id",
        t=tenant_id,
        a=account_id,
        start=run.started_at,
    )
    subject = str(account_id)
    if len(rows) > GONE_ALWAYS_FINE and len(rows) * 100 > (run.read + len(rows)) * GONE_PERCENT_MAX:
        why = f"{len(rows)} listings that were there are not in it, {run.read} are. Nothing was changed; look at the channel."
        open_task(tx, tenant_id, now, "catalogue_shrank", subject, "A catalogue came back much smaller", why)
        return
    close_task(tx, tenant_id, now, "catalogue_shrank", subject)
    if follows:
        hints.want_all(tx, tenant_id, account_id, sorted({unit for _, unit, _ in rows}), now)
    else:
        gone = [one for one, _, seen_at in rows if run.before_at is not None and seen_at < run.before_at]
        run.gone = mark_gone(tx, tenant_id, gone, now)


async def _reread_hub(
    tenant_id: int,
    account_id: int,
    hub: Hub,
    http: Http,
    writer: Writer,
    clock: Clock,
    run: Run,
    progress: Progress,
    look_every_s: float,
) -> None:
    """Locations, then all variants by one bulk operation; one that was under way when we stopped is waited for."""
    places = await hub.locations(http)
    await writer.do(lambda tx: shop.keep_places(tx, tenant_id, places, to_us(clock.now())))
    started = await (hub.export_state(http, run.export_id) if run.export_id else hub.start_catalogue_export(http))
    if isinstance(started, ExportState) and started.status == "failed" and run.export_id:
        started = await hub.start_catalogue_export(http)
    if not isinstance(started, ExportState):
        raise Retry(f"Shopify did not start the catalogue export: {started}")
    run.export_id = started.export_id
    await writer.do(lambda tx: _keep_run(tx, tenant_id, account_id, run, to_us(clock.now())))
    state = await wait_for_export(hub, http, started, look_every_s)
    found = [one async for batch in hub.catalogue_export(http, state) for one in batch]
    made_of = await components_of(hub, http, found)
    run.read = run.total = len(found)
    progress(run)

    def keep(tx: Tx) -> None:
        now = to_us(clock.now())
        told = shop.keep_variants(tx, tenant_id, account_id, found, now)
        keep_bundles(tx, tenant_id, made_of, found, now)
        missing = shop.missing_items(tx, tenant_id, {str(one.extra.get("item_id", "")) for one in found})
        subject = str(account_id)
        if len(missing) > GONE_ALWAYS_FINE and len(missing) * 100 > (run.read + len(missing)) * GONE_PERCENT_MAX:
            why = f"{len(missing)} SKUs that were there are not in it. Nothing was changed; look at the shop."
            open_task(
                tx, tenant_id, now, "catalogue_shrank", subject, "The shop's catalogue came back much smaller", why
            )
        else:
            close_task(tx, tenant_id, now, "catalogue_shrank", subject)
            run.gone = shop.delete_items(tx, tenant_id, account_id, missing, now)
        run.new, run.linked, run.booked = told.new, told.linked, told.booked
        _end(tx, tenant_id, account_id, run, now)

    await writer.do(keep)


# --- single listings ---------------------------------------------------------------------------------------------------


def keep_found(tx: Tx, tenant_id: int, account_id: int, found: Sequence[ListingFound], now: int) -> int:
    """Store listings as they are now; one that is over gives its slot back, one whose SKU changed keeps its link and asks."""
    before = {
        external_id: (outlet_id, sku_text, state)
        for outlet_id, external_id, sku_text, state in tx.all(
            "SELECT outlet_id, external_id, sku_text, state FROM outlet WHERE tenant_id = :t AND account_id = :a "
            "AND external_id {in:ids}",
            t=tenant_id,
            a=account_id,
            ids=[one.outlet_external_id for one in found],
        )
    }
    fresh = links.keep_listings(tx, tenant_id, account_id, found, now)
    over = []
    for one in found:
        known = before.get(one.outlet_external_id)
        if known is None:
            continue
        outlet_id, sku_text, state = known
        if one.state in links.NOT_ON_SALE and state not in links.NOT_ON_SALE:
            over.append(outlet_id)
        if sku_text and one.sku and one.sku != sku_text:
            _ask_renamed(tx, tenant_id, outlet_id, one, sku_text, now)
    dirty.mark_outlets(tx, tenant_id, over, now, "not on sale any more")
    return fresh


def _ask_renamed(tx: Tx, tenant_id: int, outlet_id: int, one: ListingFound, old: str, now: int) -> None:
    """Its link stays: a new name is no new thing. But it may be one."""
    tied = tx.all("SELECT sku FROM link WHERE tenant_id = :t AND outlet_id = :o", t=tenant_id, o=outlet_id)
    if not tied or (one.sku,) in tied:
        return
    what = f"Say what the listing “{one.title}” sells: its SKU is now {one.sku}"
    why = f"It was {old} and stays linked to {tied[0][0]}. Other goods? oneshelf listings link {outlet_id} SKU"
    open_task(tx, tenant_id, now, "listing_renamed", str(outlet_id), what, why)


def mark_gone(tx: Tx, tenant_id: int, outlet_ids: Sequence[int], now: int) -> int:
    """These do not exist any more: their state says so, their slot rests, their links stay for a return."""
    changed = tx.run(
        "UPDATE outlet SET state = 'gone' WHERE tenant_id = :t AND outlet_id {in:ids} AND state <> 'gone'",
        t=tenant_id,
        ids=list(outlet_ids),
    )
    dirty.mark_outlets(tx, tenant_id, outlet_ids, now, "the channel does not have it any more")
    return changed


async def follow_hints(
    tenant_id: int, account_id: int, channel: Channel, http: Http, writer: Writer, clock: Clock
) -> int:
    """Read again what hints named, a few; returns how many were read. Without the ability a hint brings the whole reading forward."""
    due = await writer.do(lambda tx: hints.due(tx, tenant_id, account_id, to_us(clock.now()), HINTS_AT_ONCE))
    if not due:
        return 0
    if not isinstance(channel, FollowsCatalogue):
        await writer.do(
            partial(_bring_forward, tenant_id=tenant_id, account_id=account_id, due=due, now=to_us(clock.now()))
        )
        return len(due)
    for hint in due:
        if hint.external_id == hints.LOCATIONS and isinstance(channel, Hub):
            await _follow_locations(tenant_id, account_id, channel, http, writer, clock, hint)
            continue
        wait_s: float | None = None
        found: list[ListingFound] = []
        made_of: dict[str, dict[str, int]] = {}
        try:
            found = await channel.listings_of(http, hint.external_id)
            made_of = await components_of(channel, http, found)
        except Retry as error:
            wait_s = error.wait_s or 0.0
        except (NoAnswer, Park):
            wait_s = 0.0
        await writer.do(
            partial(
                _take_hint,
                tenant_id=tenant_id,
                account_id=account_id,
                is_hub=isinstance(channel, Hub),
                hint=hint,
                found=found,
                made_of=made_of,
                wait_s=wait_s,
                now=to_us(clock.now()),
            )
        )
    return len(due)


async def _follow_locations(
    tenant_id: int, account_id: int, hub: Hub, http: Http, writer: Writer, clock: Clock, hint: hints.Hint
) -> None:
    """Read the hub's locations again: one that opened or closed changes what is on sale everywhere."""
    try:
        places = await hub.locations(http)
    except (NoAnswer, Retry, Park) as error:
        wait_s = (error.wait_s if isinstance(error, Retry) else None) or 0.0
        await writer.do(
            lambda tx: hints.again(tx, tenant_id, account_id, hint, to_us(clock.now()), empty=False, wait_s=wait_s)
        )
        return

    def keep(tx: Tx) -> None:
        shop.keep_places(tx, tenant_id, places, to_us(clock.now()))
        hints.done(tx, tenant_id, account_id, hint)

    await writer.do(keep)


def _bring_forward(tx: Tx, tenant_id: int, account_id: int, due: Sequence[hints.Hint], now: int) -> None:
    run, due_at = load_run(tx, tenant_id, account_id)
    soon = now if run is None or not run.done else max(now, run.started_at + 3_600 * SECOND)
    if due_at < 0 or due_at > soon:
        plan_next(tx, tenant_id, account_id, soon)
    for hint in due:
        hints.done(tx, tenant_id, account_id, hint)


def _take_hint(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    is_hub: bool,
    hint: hints.Hint,
    found: Sequence[ListingFound],
    wait_s: float | None,
    now: int,
    made_of: Mapping[str, Mapping[str, int]] | None = None,
) -> None:
    if wait_s is not None:
        hints.again(tx, tenant_id, account_id, hint, now, empty=False, wait_s=wait_s)
        return
    if not found and hint.empty + 1 < EMPTY_MAX:
        hints.again(tx, tenant_id, account_id, hint, now, empty=True)
        return
    if is_hub:
        shop.keep_variants(tx, tenant_id, account_id, found, now)
        keep_bundles(tx, tenant_id, made_of or {}, found, now)
        missing = shop.missing_items(
            tx, tenant_id, {str(one.extra.get("item_id", "")) for one in found}, hint.external_id
        )
        shop.delete_items(tx, tenant_id, account_id, missing, now)
    else:
        keep_found(tx, tenant_id, account_id, found, now)
        rest = tx.all(
            "SELECT outlet_id, external_id FROM outlet WHERE tenant_id = :t AND account_id = :a AND state NOT IN ('gone', 'ended') "
            "AND (write_unit = :e OR external_id = :e)",
            t=tenant_id,
            a=account_id,
            e=hint.external_id,
        )
        here = {one.outlet_external_id for one in found}
        mark_gone(tx, tenant_id, [outlet_id for outlet_id, name in rest if name not in here], now)
        if found:
            links.match_by_sku(tx, tenant_id, account_id, now, only=here)
            relink_account(tx, tenant_id, account_id, now)
    hints.done(tx, tenant_id, account_id, hint)
