"""How long a number really needs, tried out: one piece is held, every listing is read until it shows, the piece is given back (SEMANTICS 12.2).

In: one SKU of which a piece is available. Out: a row of `probe`: per account when we decided to tell it, when it said yes, when it showed.
Tables it owns: probe. Never: raises a number above its offer; leaves its piece held when it ends (and if it dies, the hold ends by time).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import msgspec
import structlog

from oneshelf.channels.batches import read_batches
from oneshelf.channels.contract import Hub, NoAnswer, Outlet
from oneshelf.core.errors import Park, Retry
from oneshelf.core.instants import SECOND, iso, to_us
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx, next_values
from oneshelf.orders import manual_holds
from oneshelf.publish.numbers import numbers_of
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from .check import Checked

log = structlog.get_logger()

#: So long a listing is looked at before it counts as not seen.
LIMIT_S = 600.0
#: Between two looks at a listing, the first few and then; each costs a call of the account's budget.
FIRST_LOOKS, FIRST_LOOKS_EVERY_S = 6, 0.5
LOOK_EVERY_S = 2.0
#: What a merchant is promised of the way to every other channel.
GOAL_S = 30.0
#: The hold outlives the measurement by so long if nobody is left to end it.
_SPARE_S = 300.0
#: How often it is looked whether a scheduled probe is due, and every how many days one is, unless the merchant says otherwise.
TURN_EVERY_S = 600.0
EVERY_DAYS = 30
#: Among the tenant's own settings in `upkeep` (account 0): which SKU is probed by itself, and how often.
_NAME = "probe"
_DAY = 86_400 * SECOND

Verdict = Literal["shown", "not_shown", "unchanged", "not_live", "not_linked", "no_answer"]


class CannotProbe(Park):
    """The probe can't be made; nothing was held."""


class Seen(msgspec.Struct):
    """What was measured at one account. Seconds since the piece was held; None: not measured.

    `told_s`: the channel said yes to the last of its listings (the shop: to the hold). `shown_s`: all of them were read as they should be,
    within one look. `effect_s` = shown − told is the channel's own part, the rest is ours.
    """

    account_id: int
    channel: str
    verdict: Verdict
    listings: int = 0
    looks: int = 0
    told_s: float | None = None
    shown_s: float | None = None
    effect_s: float | None = None
    note: str = ""


class ProbeRow(msgspec.Struct, frozen=True):
    """One probe. Instants as ISO 8601. `within_goal`: every listing that was to change showed it within 30 s; None while it runs."""

    probe_no: int
    sku: str
    asked_by: str
    state: str
    began_at: str
    ended_at: str | None
    seen: list[Seen]
    problem: str
    within_goal: bool | None


class _Target(msgspec.Struct, frozen=True):
    """What an account has to show: {external id: number at most}; of the shop, `available` at the location where the piece is held."""

    probed: Checked
    outlets: list[Outlet]
    at_most: dict[str, int]
    outlet_ids: list[int]
    verdict: Verdict


class Begun(msgspec.Struct, frozen=True):
    """A probe whose piece is held; `look` goes on from here."""

    probe_no: int
    hold_no: int
    sku: str
    location_id: str
    item_id: str
    began_at: int
    targets: list[_Target]


def begin(tx: Tx, tenant_id: int, sku: str, accounts: Sequence[Checked], now: int, *, by: str) -> Begun:
    """Hold the piece and say what each account must come to show. Raises CannotProbe, CannotHold."""
    if tx.one("SELECT 1 FROM probe WHERE tenant_id = :t AND state = 'RUNNING' LIMIT 1", t=tenant_id) is not None:
        raise CannotProbe("A probe is running; wait for its end. `oneshelf probe list` shows it.")
    before = {one.account_id: _offers(tx, tenant_id, one, sku, now) for one in accounts}
    until = now + int((LIMIT_S + _SPARE_S) * SECOND)
    held = manual_holds.hold(tx, tenant_id, sku, 1, until, now, by=by, why="latency probe")
    targets = [_target(tx, tenant_id, one, held, before[one.account_id], now) for one in accounts]
    item = tx.one("SELECT item_id FROM item WHERE tenant_id = :t AND sku = :s", t=tenant_id, s=sku)
    number = next_values(tx, tenant_id, "probe")[0]
    tx.run(
        "INSERT INTO probe (tenant_id, probe_no, sku, asked_by, hold_no, began_at) VALUES (:t, :no, :s, :by, :h, :now)",
        t=tenant_id,
        no=number,
        s=sku,
        by=by,
        h=held.hold_no,
        now=now,
    )
    return Begun(number, held.hold_no, sku, held.location_id, "" if item is None else item[0], now, targets)


def _offers(tx: Tx, tenant_id: int, one: Checked, sku: str, now: int) -> dict[int, int]:
    """Return {outlet: offer} of the account's listings that sell this SKU."""
    rows = tx.all(
        """SELECT o.outlet_id FROM outlet o JOIN link k ON k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id
            WHERE o.tenant_id = :t AND o.account_id = :a AND k.sku = :s AND o.fulfilled_by_channel = 0
              AND o.state NOT IN ('ended', 'draft', 'gone')""",
        t=tenant_id,
        a=one.account_id,
        s=sku,
    )
    numbers = numbers_of(tx, tenant_id, one.account_id, [row[0] for row in rows], one.channel.can, now)
    return {outlet_id: number.offer for outlet_id, number in numbers.items()}


def _target(
    tx: Tx, tenant_id: int, one: Checked, held: manual_holds.ManualHold, before: dict[int, int], now: int
) -> _Target:
    state = tx.one("SELECT state FROM account WHERE tenant_id = :t AND account_id = :a", t=tenant_id, a=one.account_id)
    if state is None or state[0] != "LIVE":
        return _Target(one, [], {}, [], "not_live")
    if isinstance(one.channel, Hub):
        shown = tx.one(
            "SELECT available FROM hub_level WHERE tenant_id = :t AND sku = :s AND location_id = :l",
            t=tenant_id,
            s=held.sku,
            l=held.location_id,
        )
        if shown is None:
            return _Target(one, [], {}, [], "unchanged")
        return _Target(one, [], {held.location_id: int(shown[0]) - 1}, [], "not_shown")
    if not before:
        return _Target(one, [], {}, [], "not_linked")
    after = _offers(tx, tenant_id, one, held.sku, now)
    moved = [outlet_id for outlet_id, offer in before.items() if after.get(outlet_id, offer) < offer]
    if not moved:
        return _Target(one, [], {}, [], "unchanged")
    rows = tx.all(
        "SELECT outlet_id, external_id, write_unit, extra FROM outlet WHERE tenant_id = :t AND outlet_id {in:ids} "
        "ORDER BY write_unit, outlet_id",
        t=tenant_id,
        ids=sorted(moved),
    )
    return _Target(
        one,
        [Outlet(row[1], row[2], json.loads(row[3])) for row in rows],
        {row[1]: after[row[0]] for row in rows},
        [row[0] for row in rows],
        "not_shown",
    )


async def start(
    tenant_id: int, sku: str, accounts: Sequence[Checked], writer: Writer, clock: Clock, *, by: str
) -> Begun:
    """Hold the piece. Raises CannotProbe, CannotHold; then nothing was done."""
    return await writer.do(lambda tx: begin(tx, tenant_id, sku, accounts, to_us(clock.now()), by=by))


async def finish(
    tenant_id: int, begun: Begun, writer: Writer, clock: Clock, stop: asyncio.Event, on_changed: Callable[[], None]
) -> None:
    """Look until the end; what goes wrong stands in the probe's row. `on_changed`: the piece is free again."""
    try:
        await look(tenant_id, begun, writer, clock, stop)
    except Exception:
        log.exception("probe_failed", probe=begun.probe_no)
    on_changed()


async def run(
    tenant_id: int,
    accounts: Callable[[], Sequence[Checked]],
    writer: Writer,
    clock: Clock,
    stop: asyncio.Event,
    on_changed: Callable[[], None],
) -> None:
    """Probe what the merchant scheduled, when its turn comes, until `stop`."""
    pause = Bell()
    await writer.do(lambda tx: recover(tx, tenant_id, to_us(clock.now())))
    while not stop.is_set():
        sku = await writer.do(lambda tx: due(tx, tenant_id, to_us(clock.now())))
        if sku is not None:
            try:
                begun = await start(tenant_id, sku, accounts(), writer, clock, by="schedule")
                on_changed()
                await finish(tenant_id, begun, writer, clock, stop, on_changed)
            except Park as error:
                await writer.do(partial(_not_made, tenant_id=tenant_id, sku=sku, why=str(error), clock=clock))
        await pause.wait(TURN_EVERY_S, stop)


def _not_made(tx: Tx, tenant_id: int, sku: str, why: str, clock: Clock) -> None:
    note(tx, tenant_id, to_us(clock.now()), "probe", "A probe could not be made", f"sku:{sku}", why=why)


async def look(
    tenant_id: int, begun: Begun, writer: Writer, clock: Clock, stop: asyncio.Event, *, limit_s: float = LIMIT_S
) -> ProbeRow:
    """Read every account until it shows the held piece, at most `limit_s`; then give the piece back. Returns what was measured."""
    seen = [
        Seen(one.probed.account_id, str(one.probed.channel.name), one.verdict, len(one.at_most))
        for one in begun.targets
    ]
    problem = ""
    try:
        await asyncio.gather(
            *(
                _look_at(tenant_id, begun, target, one, writer, clock, stop, limit_s)
                for target, one in zip(begun.targets, seen, strict=True)
                if target.at_most
            )
        )
        if stop.is_set():
            problem = "the service was stopped meanwhile"
    except Exception as error:
        problem = type(error).__name__
        raise
    finally:
        now = to_us(clock.now())
        await writer.do(partial(_end, tenant_id=tenant_id, begun=begun, seen=seen, problem=problem, now=now))
    found = await writer.do(lambda tx: probes(tx, tenant_id, only=begun.probe_no))
    return found[0]


async def _look_at(
    tenant_id: int,
    begun: Begun,
    target: _Target,
    seen: Seen,
    writer: Writer,
    clock: Clock,
    stop: asyncio.Event,
    limit_s: float,
) -> None:
    pause, until = Bell(), begun.began_at + int(limit_s * SECOND)
    while not stop.is_set():
        try:
            shows = await _shows(begun, target)
            seen.looks += 1
            seen.note = ""
        except (NoAnswer, Retry, Park) as error:
            shows = {}
            seen.note = f"no answer: {error or type(error).__name__}"
        now = to_us(clock.now())
        # Fewer are right too: somebody bought meanwhile.
        if shows and all(name in shows and shows[name] <= most for name, most in target.at_most.items()):
            seen.verdict, seen.shown_s = "shown", _since(begun, now)
            told = await writer.do(partial(_told_at, tenant_id=tenant_id, begun=begun, target=target))
            if told is not None:
                seen.told_s = _since(begun, told)
                seen.effect_s = round(max(0.0, seen.shown_s - seen.told_s), 3)
            await writer.do(partial(_save_seen, tenant_id=tenant_id, begun=begun, seen=seen))
            return
        if now >= until:
            seen.verdict = "no_answer" if seen.looks == 0 else "not_shown"
            return
        await pause.wait(FIRST_LOOKS_EVERY_S if seen.looks < FIRST_LOOKS else LOOK_EVERY_S, stop)


async def _shows(begun: Begun, target: _Target) -> dict[str, int]:
    channel, http = target.probed.channel, target.probed.http
    if isinstance(channel, Hub):
        levels = await channel.levels(http, [begun.item_id])
        return {level.location_id: level.available for level in levels if level.location_id == begun.location_id}
    found: dict[str, int] = {}
    for some in read_batches([(one.write_unit, one) for one in target.outlets], channel.can):
        for one in await channel.read(http, some):
            if one.quantity is not None:
                found[one.external_id] = one.quantity
    return found


def _since(begun: Begun, at: int) -> float:
    return round(max(0, at - begun.began_at) / SECOND, 3)


def _told_at(tx: Tx, tenant_id: int, begun: Begun, target: _Target) -> int | None:
    """When the last of the account's listings was accepted; of the shop, when it took the hold."""
    if isinstance(target.probed.channel, Hub):
        row = tx.one(
            "SELECT settled_at FROM intent WHERE tenant_id = :t AND kind = 'hold' AND entity = :e AND state = 'DONE'",
            t=tenant_id,
            e=manual_holds.claim_key(begun.hold_no),
        )
    else:
        row = tx.one(
            "SELECT MAX(accepted_at) FROM attempt WHERE tenant_id = :t AND outlet_id {in:ids} AND started_at >= :from",
            t=tenant_id,
            ids=target.outlet_ids,
            **{"from": begun.began_at},
        )
    return None if row is None or row[0] is None else int(row[0])


def _save_seen(tx: Tx, tenant_id: int, begun: Begun, seen: Seen) -> None:
    """Keep what one account showed as soon as it is known: who waits can watch."""
    row = tx.one(
        "SELECT seen FROM probe WHERE tenant_id = :t AND probe_no = :no AND state = 'RUNNING'",
        t=tenant_id,
        no=begun.probe_no,
    )
    if row is not None:
        tx.run(
            "UPDATE probe SET seen = :seen WHERE tenant_id = :t AND probe_no = :no",
            seen=json.dumps([*json.loads(row[0]), msgspec.to_builtins(seen)]),
            t=tenant_id,
            no=begun.probe_no,
        )


def _end(tx: Tx, tenant_id: int, begun: Begun, seen: list[Seen], problem: str, now: int) -> None:
    if any(one.hold_no == begun.hold_no for one in manual_holds.list_holds(tx, tenant_id)):
        manual_holds.release(tx, tenant_id, begun.hold_no, now, by="probe")
    tx.run(
        "UPDATE probe SET state = :s, ended_at = :now, seen = :seen, problem = :p WHERE tenant_id = :t AND probe_no = :no",
        s="FAILED" if problem else "DONE",
        now=now,
        seen=json.dumps(msgspec.to_builtins(seen)),
        p=problem,
        t=tenant_id,
        no=begun.probe_no,
    )
    said = {one.channel: one.shown_s if one.shown_s is not None else one.verdict for one in seen}
    note(tx, tenant_id, now, "probe", "A probe ended", f"sku:{begun.sku}", probe=begun.probe_no, seconds=said)


def recover(tx: Tx, tenant_id: int, now: int) -> int:
    """At a start: probes that were running when the service died have failed; their pieces are given back. Returns how many."""
    rows = tx.all("SELECT probe_no, hold_no, sku FROM probe WHERE tenant_id = :t AND state = 'RUNNING'", t=tenant_id)
    for probe_no, hold_no, sku in rows:
        _end(tx, tenant_id, Begun(probe_no, hold_no, sku, "", "", now, []), [], "the service died meanwhile", now)
    return len(rows)


def probes(tx: Tx, tenant_id: int, *, limit: int = 20, only: int | None = None) -> list[ProbeRow]:
    """Return the probes, the newest first."""
    rows = tx.all(
        "SELECT probe_no, sku, asked_by, state, began_at, ended_at, seen, problem FROM probe "
        "WHERE tenant_id = :t AND (probe_no = :no OR :no = 0) ORDER BY probe_no DESC LIMIT :n",
        t=tenant_id,
        no=only or 0,
        n=limit,
    )
    found = []
    for number, sku, by, state, began, ended, seen, problem in rows:
        measured = msgspec.convert(json.loads(seen), list[Seen])
        found.append(
            ProbeRow(number, sku, by, state, iso(began) or "", iso(ended), measured, problem, _within(state, measured))
        )
    return found


def _within(state: str, seen: Sequence[Seen]) -> bool | None:
    if state == "RUNNING":
        return None
    moved = [one for one in seen if one.verdict in ("shown", "not_shown", "no_answer")]
    return state == "DONE" and bool(moved) and all((one.shown_s or GOAL_S + 1) <= GOAL_S for one in moved)


class Schedule(msgspec.Struct, frozen=True):
    """Which SKU is probed by itself, and every how many days. `due_at` in microseconds."""

    sku: str
    every_days: int
    due_at: int


def schedule(tx: Tx, tenant_id: int) -> Schedule | None:
    """Return what is probed by itself, or None."""
    row = tx.one(
        "SELECT state, due_at FROM upkeep WHERE tenant_id = :t AND account_id = 0 AND name = :n", t=tenant_id, n=_NAME
    )
    if row is None:
        return None
    said = json.loads(row[0])
    return Schedule(said["sku"], int(said["every_days"]), int(row[1])) if said.get("sku") else None


def set_schedule(tx: Tx, tenant_id: int, sku: str, every_days: int, now: int, *, by: str) -> None:
    """Probe this SKU every so many days (1 to 365), first at once; `sku` "": no more. Raises CannotProbe."""
    if sku and tx.one("SELECT 1 FROM item WHERE tenant_id = :t AND sku = :s", t=tenant_id, s=sku) is None:
        raise CannotProbe(f"There is no SKU {sku} on the shelf.")
    if sku and not 1 <= every_days <= 365:
        raise CannotProbe(f"Every {every_days} days can't be kept. Say 1 to 365.")
    _put(tx, tenant_id, sku, every_days, now)
    what = "A SKU is probed by itself" if sku else "Nothing is probed by itself any more"
    note(tx, tenant_id, now, by, what, f"sku:{sku}" if sku else "", every_days=every_days)


def due(tx: Tx, tenant_id: int, now: int) -> str | None:
    """Return the SKU whose turn it is, and move its turn on; None: none is due."""
    found = schedule(tx, tenant_id)
    if found is None or found.due_at > now:
        return None
    _put(tx, tenant_id, found.sku, found.every_days, now + found.every_days * _DAY)
    return found.sku


def _put(tx: Tx, tenant_id: int, sku: str, every_days: int, due_at: int) -> None:
    tx.run(
        """INSERT INTO upkeep (tenant_id, account_id, name, state, due_at) VALUES (:t, 0, :n, :s, :due)
           ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET state = excluded.state, due_at = excluded.due_at""",
        t=tenant_id,
        n=_NAME,
        s=json.dumps({"sku": sku, "every_days": every_days}),
        due=due_at,
    )
