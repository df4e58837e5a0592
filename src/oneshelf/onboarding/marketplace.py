"""A marketplace account's way to live: catalogue, links, first reads, the preview, and only then numbers (SEMANTICS 0.7)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from oneshelf.channels.batches import read_batches
from oneshelf.channels.contract import Capabilities, Channel, Finding, Http, NoAnswer, Outlet, Seen
from oneshelf.core.errors import Park, Retry
from oneshelf.core.instants import to_us
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty, links
from oneshelf.orders import relink
from oneshelf.publish.numbers import numbers_of
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer
from oneshelf.tenants.accounts import set_matched, set_state

from . import pinned, unmanaged

#: More of the listings than this set to 0 by the first fill needs a second yes. S0.7
ZEROS_PERCENT_MAX = 20
#: How often a page of the first catalogue, or a batch of first numbers, is asked for, and how long to wait between at most.
TRIES_A_PAGE = 4
TRY_AGAIN_S_MAX = 60.0

Answer = TypeVar("Answer")


class NotReady(Park):
    """The account can't go live yet."""


class Preview(msgspec.Struct, frozen=True):
    """What going live would do, in listings."""

    linked: int
    unlinked: int
    right: int
    to_zero: int
    lower: int
    higher: int
    unread: int

    @property
    def needs_second_yes(self) -> bool:
        return self.to_zero * 100 > self.linked * ZEROS_PERCENT_MAX


async def read_catalogue(
    tenant_id: int,
    account_id: int,
    channel: Channel,
    http: Http,
    writer: Writer,
    clock: Clock,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> links.Matched:
    """Read all listings page by page, store them, tie those of the same SKU. `progress(read so far, total if known)`."""
    cursor, read = None, 0
    began = to_us(clock.now())
    while True:
        page = await _patiently(partial(channel.catalogue, http, cursor))
        now = to_us(clock.now())
        await writer.do(
            partial(links.keep_listings, tenant_id=tenant_id, account_id=account_id, found=page.listings, now=now)
        )
        read += len(page.listings)
        progress(read, page.total)
        if page.cursor is None:
            break
        if page.cursor == cursor:
            raise NotReady("The catalogue gave the same page address twice; try again.")
        cursor = page.cursor
        if page.again_in_s:
            await asyncio.sleep(page.again_in_s)

    def match(tx: Tx) -> links.Matched:
        now = to_us(clock.now())
        unmanaged.keep(tx, tenant_id, account_id, channel, page.unmanaged, now)
        pinned.tell(tx, tenant_id, account_id, channel.name.title(), began, now)
        matched = links.match_by_sku(tx, tenant_id, account_id, now)
        set_matched(tx, tenant_id, account_id, now)
        return matched

    return await writer.do(match)


async def _patiently(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask again: one answer lost among hundreds, or refused for its pace, must not undo a connecting. Raises what the last try raised."""
    for tried in range(TRIES_A_PAGE - 1):
        try:
            return await ask()
        except (Retry, NoAnswer) as lost:
            wait_s = lost.wait_s if isinstance(lost, Retry) else None
            await asyncio.sleep(min(TRY_AGAIN_S_MAX, 2.0**tried if wait_s is None else wait_s))
    return await ask()


def linked_outlets(tx: Tx, tenant_id: int, account_id: int) -> list[tuple[int, Outlet]]:
    """Return the outlets whose number is ours to write."""
    rows = tx.all(
        "SELECT DISTINCT o.outlet_id, o.external_id, o.write_unit, o.extra FROM outlet o "
        "JOIN link k ON k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id "
        "WHERE o.tenant_id = :t AND o.account_id = :a AND o.fulfilled_by_channel = 0 AND o.state NOT IN ('ended', 'draft', 'gone') "
        "ORDER BY o.write_unit, o.outlet_id",
        t=tenant_id,
        a=account_id,
    )
    return [(row[0], Outlet(row[1], row[2], json.loads(row[3]))) for row in rows]


async def read_numbers(
    tenant_id: int, account_id: int, channel: Channel, http: Http, writer: Writer, clock: Clock
) -> int:
    """Read what every linked outlet shows now; returns how many gave a number."""
    outlets = await writer.do(lambda tx: linked_outlets(tx, tenant_id, account_id))
    ids = {outlet.external_id: outlet_id for outlet_id, outlet in outlets}
    read = 0
    for batch in read_batches([(outlet.write_unit, outlet) for _, outlet in outlets], channel.can):
        seen = await _patiently(partial(channel.read, http, batch))
        read += await writer.do(partial(_believe, tenant_id=tenant_id, account_id=account_id, ids=ids, seen=seen))
    return read


def _believe(tx: Tx, tenant_id: int, account_id: int, ids: dict[str, int], seen: Sequence[Seen]) -> int:
    """Store first reads as what the outlets are believed to show.

    An account at work that is connected again keeps what it believes: its publisher has written and read meanwhile, and this answer may be older,
    and would hide a sale that nobody has told yet (S9.2). Its outlets are read and judged again instead.
    """
    rows = [
        (tenant_id, ids[one.external_id], account_id, one.quantity, to_us(one.read_at))
        for one in seen
        if one.quantity is not None and one.external_id in ids
    ]
    tx.many(
        """INSERT INTO slot (tenant_id, outlet_id, account_id, write_unit, state, believed, believed_at, verified)
           SELECT o.tenant_id, o.outlet_id, o.account_id, o.write_unit, 'QUIET', r.believed, r.believed_at, 1
             FROM (SELECT CAST(? AS BIGINT) AS tenant_id, CAST(? AS BIGINT) AS outlet_id, CAST(? AS BIGINT) AS account_id,
                          CAST(? AS BIGINT) AS believed, CAST(? AS BIGINT) AS believed_at) r
             JOIN outlet o ON o.tenant_id = r.tenant_id AND o.outlet_id = r.outlet_id WHERE true
           ON CONFLICT (tenant_id, outlet_id) DO UPDATE SET
               (believed, believed_at, verified) = (SELECT
                   CASE WHEN k.keeps THEN slot.believed ELSE excluded.believed END,
                   CASE WHEN k.keeps THEN slot.believed_at ELSE excluded.believed_at END,
                   CASE WHEN k.keeps THEN 0 ELSE 1 END
                   FROM (SELECT slot.believed IS NOT NULL AND a.state IN ('LIVE', 'PAUSED') AS keeps FROM account a
                          WHERE a.tenant_id = slot.tenant_id AND a.account_id = slot.account_id) k)""",
        rows,
    )
    return len(rows)


def preview(tx: Tx, tenant_id: int, account_id: int, can: Capabilities, now: int) -> Preview:
    """Count what going live would change."""
    outlets = [outlet_id for outlet_id, _ in linked_outlets(tx, tenant_id, account_id)]
    numbers = numbers_of(tx, tenant_id, account_id, outlets, can, now)
    shown = dict(
        tx.all(
            "SELECT outlet_id, believed FROM slot WHERE tenant_id = :t AND account_id = :a AND believed IS NOT NULL",
            t=tenant_id,
            a=account_id,
        )
    )
    counts = {"right": 0, "to_zero": 0, "lower": 0, "higher": 0, "unread": 0}
    for outlet_id in outlets:
        offer, now_shown = numbers[outlet_id].offer, shown.get(outlet_id)
        if now_shown is None:
            counts["unread"] += 1
        elif now_shown == offer:
            counts["right"] += 1
        elif offer == 0:
            counts["to_zero"] += 1
        else:
            counts["lower" if offer < now_shown else "higher"] += 1
    unlinked = tx.one(
        "SELECT COUNT(*) FROM outlet o WHERE o.tenant_id = :t AND o.account_id = :a AND o.fulfilled_by_channel = 0 "
        "AND NOT EXISTS (SELECT 1 FROM link k WHERE k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id)",
        t=tenant_id,
        a=account_id,
    )
    assert unlinked is not None
    return Preview(linked=len(outlets), unlinked=int(unlinked[0]), **counts)


def held_back(findings: Sequence[Finding]) -> str:
    """Return why the account may not go live yet, by what the channel was last found to be like; "" if nothing speaks against it."""
    return "; ".join(f"{one.what}: {one.todo}" for one in findings if one.holds_back and not one.ok)


def go_live(
    tx: Tx, tenant_id: int, account_id: int, shown: Preview, now: int, *, accepted: bool, accepted_zeros: bool = False
) -> None:
    """S0.7: the preview is accepted; from now on numbers leave. Raises NotReady with what is missing."""
    if not accepted:
        raise NotReady("Accept the preview first: oneshelf channels live ACCOUNT --yes.")
    if shown.unread:
        raise NotReady(
            f"{shown.unread} listings have not been read yet; wait for the reads, then look at the preview again."
        )
    if shown.needs_second_yes and not accepted_zeros:
        raise NotReady(
            f"{shown.to_zero} of {shown.linked} listings would go to 0. If that is right: oneshelf channels live ACCOUNT --yes --zeros."
        )
    set_state(tx, tenant_id, account_id, "LIVE", now)
    relink.import_what_waits(tx, tenant_id, account_id, now)
    outlets = [outlet_id for outlet_id, _ in linked_outlets(tx, tenant_id, account_id)]
    dirty.mark_outlets(tx, tenant_id, outlets, now, "first fill")
    note(
        tx,
        tenant_id,
        now,
        "merchant",
        "The account went live",
        f"account:{account_id}",
        to_zero=shown.to_zero,
        lower=shown.lower,
        higher=shown.higher,
    )
