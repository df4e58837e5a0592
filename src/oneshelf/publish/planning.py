"""Steps that decide what leaves: look (what is due), plan (one call).

In: slots, levels, rules. Out: calls, written down before they are made. Tables it owns: slot, attempt.
Never: calls anybody; writes for an account that is not LIVE (0.7); asks two things of one write unit at once (I12).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from oneshelf.channels.contract import Capabilities, Outlet, Seen
from oneshelf.core.drift import NO_SALES
from oneshelf.core.instants import SECOND
from oneshelf.core.slot import AGED_S, BASE_FRESH_S, LOWER_UNSAFE, REOPEN, URGENT_MAX, SlotEvent, SlotState, urgency
from oneshelf.db.tx import Tx, next_values
from oneshelf.listings import dirty
from oneshelf.orders.sales import sales_of

from . import floods
from .exposure import of_slot, room_for
from .numbers import Number, numbers_of
from .rations import USED_UP_WAIT_S, rations_of, reopened_until
from .resting import CHOSEN, GUARDED, RATIONED, SHOWS_ONE, left_alone, rest_or_look_again, shown_range, weigh
from .slots import (
    AccountRow,
    Mark,
    ReadCall,
    ReadItem,
    Slot,
    WriteCall,
    WriteItem,
    account_row,
    late_looks,
    load_units,
    marks_of,
    orders_complete_through,
    save,
)
from .strict import LOOK_AGAIN_S_MAX, close_or_wait

#: Of how many slots of one priority the most urgent is sought; older ones come first beyond that.
COMPARED_MAX = 64
#: How often one plan looks for something to write among slots that turn out to be at rest already.
LOOKS_MAX = 8

_FRESH = round(BASE_FRESH_S * SECOND)


class WaitUntil(msgspec.Struct, frozen=True):
    """Nothing is due before `at` (microseconds); None: nothing at all, until something becomes dirty or a feed moves."""

    at: int | None


#: How many of a day's calls have to be free for one of this kind. A read is the base of a write, for BASE_FRESH_S: where the day's calls
#: come back more slowly than that, one by one, a read that takes the last is made for nothing, again and again.
CALLS_OF = {"read": 2, "write": 1}


class Due(msgspec.Struct, frozen=True):
    """The priorities of the most urgent read and write that may be made now (None: none), and when else to look."""

    read: int | None
    write: int | None
    next_at: int | None

    @property
    def kinds(self) -> list[tuple[str, int]]:
        """("write" or "read", priority), most urgent first; of equals the write, whose number was read for already."""
        found = [("write", self.write), ("read", self.read)]
        return sorted(((k, p) for k, p in found if p is not None), key=lambda kind: kind[1])


# --- look -------------------------------------------------------------------------------------------------------------

_FREE = """(s.wait_until IS NULL OR s.wait_until <= :now)
           AND s.write_unit NOT IN (SELECT f.write_unit FROM slot f WHERE f.tenant_id = :t AND f.account_id = :a
                                      AND f.state IN ('READING', 'SENDING'))"""

#: A zero-out whose read failed goes on without it (8.2), except where a write needs the document (8.15).
_BLIND = """(s.verified = 0 AND s.offer = 0 AND s.attempts > 0 AND s.odd_since IS NULL
           AND (s.sent IS NULL OR s.sent <> 0) AND (s.believed IS NULL OR s.believed <> 0))"""

#: Something was heard that may explain what is shown (an own cancel, 8.5): who waits for the feed to tell more looks at once.
_ASKED_AGAIN = """EXISTS (SELECT 1 FROM dirty_listing d WHERE d.tenant_id = s.tenant_id AND d.outlet_id = s.outlet_id AND d.reread = 1)"""

_READ_DUE = f"""{_FREE} AND (
    s.state IN ('APPLYING', 'UNKNOWN')
    OR (s.state = 'WAITING' AND s.verified = 2)
    OR (s.state = 'WAITING' AND s.verified = 0 AND (s.odd_since IS NULL OR s.odd_since <= :complete OR {_ASKED_AGAIN})
        AND NOT (:writes = 1 AND :reads_first = 0 AND {_BLIND}))
    OR (s.state = 'WAITING' AND s.verified = 1 AND :writes = 1 AND (s.offer > 0 OR :reads_first = 1) AND s.believed_at < :fresh))"""

#: The last condition: where a number is written with its whole listing, the listing's price goes along (Etsy). A price call without answer
#: is never joined by another, and a price not yet seen is not undone by a number that can wait.
_WRITE_DUE = f"""{_FREE} AND :writes = 1 AND s.state = 'WAITING' AND (
    (s.verified = 1 AND ((s.offer = 0 AND :reads_first = 0) OR s.believed_at >= :fresh))
    OR (:reads_first = 0 AND {_BLIND}))
    AND (:reads_first = 0 OR NOT EXISTS (SELECT 1 FROM price_slot p WHERE p.tenant_id = :t AND p.account_id = :a
           AND p.write_unit = s.write_unit AND (p.state = 'SENDING' OR (p.state IN ('APPLYING', 'UNKNOWN') AND s.priority > :urgent))))"""


def _terms(tx: Tx, tenant_id: int, account: AccountRow, can: Capabilities, now: int) -> dict[str, int]:
    """The parameters of the two conditions above."""
    complete = orders_complete_through(tx, tenant_id, account.account_id)
    return {
        "t": tenant_id,
        "a": account.account_id,
        "now": now,
        "aged": now - AGED_S * SECOND,
        "fresh": account.there(now) - _FRESH,
        "complete": -1 if complete is None else complete - account.skew,
        "writes": int(account.writes),
        "reads_first": int(can.reads_before_write),
        "urgent": URGENT_MAX,
    }


def look(
    tx: Tx, tenant_id: int, account_id: int, can: Capabilities, now: int, account: AccountRow | None = None
) -> Due:
    """Say what may be done now, without planning it: who asks the limiter needs the priority first (I19). `account`: its row, for who
    has it already."""
    account = account or account_row(tx, tenant_id, account_id)
    return _look(tx, account, _terms(tx, tenant_id, account, can, now))


def _look(tx: Tx, account: AccountRow, terms: dict[str, int]) -> Due:
    there = _there(tx, terms["t"], terms["a"]) if account.reads else []
    if not there:
        return Due(None, None, None)
    later = tx.one(
        "SELECT MIN(wait_until) FROM slot WHERE tenant_id = :t AND account_id = :a "
        "AND state IN ('WAITING', 'APPLYING', 'UNKNOWN') AND wait_until > :now",
        t=terms["t"],
        a=terms["a"],
        now=terms["now"],
    )
    read, write = (_first(tx, condition, terms, there) for condition in (_READ_DUE, _WRITE_DUE))
    return Due(read, write, later[0] if later else None)


def _there(tx: Tx, tenant_id: int, account_id: int) -> list[tuple[int, str]]:
    """Return the (priority, state) that some slot has which may be due, most urgent first: so few, that each can be looked at by
    index, however many wait."""
    rows = tx.all(
        "SELECT DISTINCT priority, state FROM slot WHERE tenant_id = :t AND account_id = :a "
        "AND state IN ('WAITING', 'APPLYING', 'UNKNOWN') ORDER BY priority, state",
        t=tenant_id,
        a=account_id,
    )
    return [(row[0], row[1]) for row in rows]


def _now_priority(priority: int, since_at: int | None, aged: int) -> int:
    """Waiting long moves up by one, not above 2 (8.10)."""
    return priority - 1 if priority > LOWER_UNSAFE and since_at is not None and since_at <= aged else priority


def _oldest(
    tx: Tx, condition: str, terms: dict[str, int], priority: int, state: str, limit: int
) -> list[tuple[Any, ...]]:
    """Return (outlet, write unit, priority now, believed, offer, since, v) of the due slots of one priority and state, oldest first."""
    rows = tx.all(
        f"""SELECT s.outlet_id, s.write_unit, s.priority, s.believed, s.offer, s.since_at, s.v FROM slot s
             WHERE s.tenant_id = :t AND s.account_id = :a AND s.state = :state AND s.priority = :priority AND {condition}
             ORDER BY s.since_at LIMIT :limit""",
        state=state,
        priority=priority,
        limit=limit,
        **terms,
    )
    return [(*row[:2], _now_priority(row[2], row[5], terms["aged"]), *row[3:]) for row in rows]


def _first(tx: Tx, condition: str, terms: dict[str, int], there: Sequence[tuple[int, str]]) -> int | None:
    """Return the priority of the most urgent slot that is due, or None."""
    best: int | None = None
    for priority, state in there:
        if best is not None and priority > best + 1:
            break
        found = _oldest(tx, condition, terms, priority, state, 1)
        if found and (best is None or found[0][2] < best):
            best = found[0][2]
    return best


def _candidates(tx: Tx, condition: str, terms: dict[str, int], limit: int) -> list[tuple[int, str, int]]:
    """Return (outlet, write unit, priority now) of at most `limit` due slots, most urgent first."""
    found: list[tuple[Any, ...]] = []
    enough_at: int | None = None
    for priority, state in _there(tx, terms["t"], terms["a"]):
        if enough_at is not None and priority > enough_at + 1:
            break
        found += _oldest(tx, condition, terms, priority, state, max(limit, COMPARED_MAX))
        if enough_at is None and len(found) >= limit:
            enough_at = priority
    found.sort(key=lambda row: (row[2], -urgency(row[2], row[3], row[4], row[6]), row[5] or 0, row[0]))
    return [(row[0], row[1], row[2]) for row in found[:limit]]


# --- plan -------------------------------------------------------------------------------------------------------------


def plan(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    can: Capabilities,
    now: int,
    *,
    fresh: Mapping[str, Seen] | None = None,
    kinds: Sequence[str] | None = None,
    spread: bool = False,
) -> ReadCall | WriteCall | WaitUntil:
    """Take the most urgent call whose budget was given (`kinds`; None: any), move its slots, record its attempts.

    The number is computed here, from this moment's levels; send it as soon as this is committed. `fresh`: the last reads by the
    outlet's external id, whose documents a whole-unit write needs (8.15). `spread`: the day's calls have run short, and the call may have
    waited for one: how long it takes is not measured (3.4). Returns when to look again if nothing is due.
    """
    account = account_row(tx, tenant_id, account_id)
    terms = _terms(tx, tenant_id, account, can, now)
    due = _look(tx, account, terms)
    for kind in (kind for kind, _ in due.kinds if kinds is None or kind in kinds):
        call: ReadCall | WriteCall | None
        if kind == "read":
            call = _plan_read(tx, account, can, terms, spread)
        else:
            call = _plan_write(tx, account, can, terms, fresh or {}, spread)
        if call is not None:
            return call
    # Planning may have found that a number is right, or that it needs another read first.
    again = _look(tx, account, terms)
    if again.read is None or due.read is not None:
        return WaitUntil(again.next_at)
    if kinds is not None and "read" not in kinds:
        return WaitUntil(now)
    return _plan_read(tx, account, can, terms, spread) or WaitUntil(again.next_at)


def _plan_read(tx: Tx, account: AccountRow, can: Capabilities, terms: dict[str, int], spread: bool) -> ReadCall | None:
    """1. The most urgent outlets, whole units, a batch full.  2. Drop the wish to read them: this is it.  3. READING."""
    tenant_id, account_id = terms["t"], account.account_id
    found = _candidates(tx, _READ_DUE, terms, can.read_batch)
    if not found:
        return None
    of_unit: dict[str, list[Slot]] = {}
    for slot in load_units(tx, tenant_id, account_id, [unit for _, unit, _ in found]):
        if slot.state is not SlotState.PARKED:
            of_unit.setdefault(slot.write_unit, []).append(slot)
    chosen: dict[str, list[Slot]] = {}
    for _, unit, _ in found:
        if unit in chosen or unit not in of_unit:
            continue
        if chosen and sum(map(len, chosen.values())) + len(of_unit[unit]) > can.read_batch:
            break
        chosen[unit] = of_unit[unit]
    slots = [slot for unit in chosen.values() for slot in unit]
    if not slots:
        return None
    marks = marks_of(tx, tenant_id, [slot.outlet_id for slot in slots])
    dirty.reread_taken(tx, tenant_id, [slot.outlet_id for slot in slots])
    outlets = outlets_of(tx, tenant_id, [slot.outlet_id for slot in slots])
    for slot in slots:
        slot.go(SlotEvent.READ)
        slot.wait_until = None
    save(tx, tenant_id, slots)
    items = tuple(
        ReadItem(s.outlet_id, outlets[s.outlet_id], marks[s.outlet_id].generation if s.outlet_id in marks else 0)
        for s in slots
    )
    return ReadCall(tenant_id, account_id, found[0][2], items, spread)


def outlets_of(tx: Tx, tenant_id: int, outlet_ids: Sequence[int]) -> dict[int, Outlet]:
    rows = tx.all(
        "SELECT outlet_id, external_id, write_unit, extra FROM outlet WHERE tenant_id = :t AND outlet_id {in:ids}",
        t=tenant_id,
        ids=list(outlet_ids),
    )
    return {row[0]: Outlet(row[1], row[2], json.loads(row[3])) for row in rows}


class Told(msgspec.Struct):
    """A number to be told, before it is written down."""

    slot: Slot
    quantity: int
    number: Number
    mark: Mark | None
    #: It goes along with its unit, and needs no write by itself (8.15).
    along: bool = False
    #: It reopens a sold-out listing, for a fee (8.16).
    renews: bool = False

    def wait(self, until: int, reason: str) -> None:
        """It is not told now. What only goes along waits for nothing."""
        if self.slot.state is SlotState.WAITING:
            self.slot.wait_until, self.slot.reason = until, reason


def _plan_write(
    tx: Tx, account: AccountRow, can: Capabilities, terms: dict[str, int], fresh: Mapping[str, Seen], spread: bool
) -> WriteCall | None:
    """1. The most urgent units.  2. Their numbers at this moment; who is right already rests.  3. Attempts, SENDING."""
    tenant_id, account_id, now = terms["t"], account.account_id, terms["now"]
    most = 1 if can.reads_before_write else can.write_batch
    for _ in range(LOOKS_MAX):
        found = _candidates(tx, _WRITE_DUE, terms, most)
        if not found:
            return None
        slots = load_units(tx, tenant_id, account_id, [unit for _, unit, _ in found])
        due = {outlet_id for outlet_id, _, _ in found}
        outlets = outlets_of(tx, tenant_id, [slot.outlet_id for slot in slots])
        told = _numbers_to_tell(tx, tenant_id, account, can, slots, due, now)
        if can.reads_before_write and not all(outlets[one.slot.outlet_id].external_id in fresh for one in told):
            told = _read_again(slots)  # the documents that the write needs are gone: a restart
        told = _strictly(tx, tenant_id, told, now)
        _mark_renewals(told, can, [fresh.get(outlet.external_id) for outlet in outlets.values()])
        if can.opens_with_one:
            told = _open_strictly(tx, tenant_id, told, list(outlets), now)
        told = _within_rations(tx, tenant_id, account, can, told, now)
        save(tx, tenant_id, slots)
        if told:
            items = record(tx, tenant_id, account, told, outlets, now, spread=spread)
            return WriteCall(tenant_id, account_id, found[0][2], items)
    return None


def _numbers_to_tell(
    tx: Tx, tenant_id: int, account: AccountRow, can: Capabilities, slots: list[Slot], due: set[int], now: int
) -> list[Told]:
    """Compute what each outlet is told now. Empty: none of them needs it."""
    ids = [slot.outlet_id for slot in slots if slot.state is not SlotState.PARKED]
    numbers = numbers_of(tx, tenant_id, account.account_id, ids, can, now)
    marks = marks_of(tx, tenant_id, ids)
    late = late_looks(tx, tenant_id, account, slots, now)
    since = {s.outlet_id: s.believed_at - account.skew for s in slots if s.believed_at is not None}
    sales = sales_of(tx, tenant_id, since)
    held = floods.held_of(
        tx,
        tenant_id,
        {s.outlet_id: (s.believed, n.offer, n.strict) for s in slots if (n := numbers.get(s.outlet_id)) is not None},
        now,
    )
    told = []
    needed = False
    for slot in slots:
        number, mark = numbers.get(slot.outlet_id), marks.get(slot.outlet_id)
        if number is None or slot.state not in (SlotState.WAITING, SlotState.QUIET):
            continue
        if slot.outlet_id in due or (can.reads_before_write and _is_due(slot, now)):
            low, high = 0, None
            if slot.believed is not None:
                low, high = shown_range(slot, sales.get(slot.outlet_id, NO_SALES), account.skew)
            weigh(slot, number, high, account, mark, now)
            if slot.verified and high == slot.offer:
                rest_or_look_again(tx, tenant_id, account, slot, mark, late.get(slot.outlet_id, ()), low == high, now)
            elif slot.outlet_id in held:
                slot.wait_until, slot.reason = held[slot.outlet_id].until, GUARDED
            elif left_alone(slot, number, high, can.write == "absolute", now):
                pass
            elif _may_send(slot, can, account.there(now)):
                needed = True
                told.append(Told(slot, slot.offer, number, mark))
                continue
        if can.reads_before_write and _is_fresh(slot, account.there(now)):
            # Taken along with its unit: what was just read, never more than its offer (8.15, I16).
            told.append(Told(slot, min(slot.believed or 0, number.offer), number, mark, along=True))
    return told if needed else []


def _is_due(slot: Slot, now: int) -> bool:
    return (
        slot.state is SlotState.WAITING
        and slot.verified == 1
        and slot.odd_since is None
        and (slot.wait_until is None or slot.wait_until <= now)
    )


def _is_fresh(slot: Slot, there: int) -> bool:
    """`there`: the present by the channel's clock."""
    return slot.believed_at is not None and slot.believed_at >= there - _FRESH


def _may_send(slot: Slot, can: Capabilities, there: int) -> bool:
    """Whether the number, as it is now, may go without another read."""
    if can.reads_before_write or slot.offer > 0:
        return bool(slot.verified) and _is_fresh(slot, there)
    return bool(slot.verified) or (slot.attempts > 0 and slot.sent != 0 and slot.believed != 0)


def _mark_renewals(told: Sequence[Told], can: Capabilities, unit: Sequence[Seen | None]) -> None:
    """S8.16: what puts something on sale in a listing that is sold out renews it. `unit`: the last reads of its offerings."""
    if can.zero_is_state and all(s is not None and s.quantity == 0 and s.state == "out_of_stock" for s in unit):
        for one in told:
            one.renews = one.quantity > 0


def _within_rations(
    tx: Tx, tenant_id: int, account: AccountRow, can: Capabilities, told: list[Told], now: int
) -> list[Told]:
    """Leave out what the channel lets us tell only so often; it waits in sight."""
    rations = rations_of(tx, tenant_id, account.account_id, can, [one.slot.outlet_id for one in told], now)
    renewing = [one.slot.outlet_id for one in told if one.renews]
    again_at = reopened_until(tx, tenant_id, renewing, now) if renewing else None
    kept = []
    for one in sorted(told, key=lambda one: one.slot.priority):  # siblings share a ration: the urgent ones take first
        if one.renews and again_at is not None:
            one.wait(again_at, RATIONED)
        elif not rations.take(one.slot.outlet_id, urgent=one.slot.priority <= URGENT_MAX):
            one.wait(now + USED_UP_WAIT_S * SECOND, RATIONED)
        else:
            kept.append(one)
    return _worth_a_call(kept)


def _worth_a_call(told: list[Told]) -> list[Told]:
    """Nothing is told where all that is left would only go along (8.15)."""
    return told if any(not one.along for one in told) else []


def _strictly(tx: Tx, tenant_id: int, told: list[Told], now: int) -> list[Told]:
    """S8.7, S8.8: what could promise a piece of a strict SKU twice is told 0 first, or waits. A write unit goes together: who is taken
    along would be told again what it may have sold."""
    if not any(one.number.strict for one in told):
        return told
    kept: list[Told] = []
    wanted: dict[int, int] = {}
    for unit in sorted({one.slot.write_unit for one in told}):
        members = [one for one in told if one.slot.write_unit == unit]
        strict = [one for one in members if one.number.strict]
        raised = {one.slot.outlet_id: one.quantity for one in strict if one.quantity}
        if not raised or room_for(tx, tenant_id, {**wanted, **raised}, now):
            wanted.update(raised)
            kept += members
            continue
        closing = close_or_wait([one.slot for one in strict], now)
        zeros = [Told(one.slot, 0, one.number, one.mark) for one in strict if one.slot.outlet_id in closing]
        loose = [one for one in members if not one.number.strict]
        if zeros or any(one.quantity != one.slot.believed for one in loose):
            kept += loose + zeros
    return kept


def _open_strictly(tx: Tx, tenant_id: int, told: list[Told], unit: Sequence[int], now: int) -> list[Told]:
    """S8.7 for a sold-out listing: opened again it shows one piece, of whichever offering, until it is told its numbers (8.16). While that
    may be a piece too many of a strict SKU it stays closed. `unit`: all outlets of the listing."""
    opening = {one.slot.outlet_id for one in told if one.renews}
    may_show_one = dict.fromkeys(set(unit) - opening, 1)
    if not opening or not may_show_one or room_for(tx, tenant_id, may_show_one, now):
        return told
    for one in told:
        if one.renews:
            one.wait(now + LOOK_AGAIN_S_MAX * SECOND, SHOWS_ONE)
    return _worth_a_call([one for one in told if not one.renews])


def _read_again(slots: Sequence[Slot]) -> list[Told]:
    for slot in slots:
        if slot.state is SlotState.WAITING:
            slot.verified = 0
    return []


def record(
    tx: Tx,
    tenant_id: int,
    account: AccountRow,
    told: Sequence[Told],
    outlets: Mapping[int, Outlet],
    now: int,
    *,
    spread: bool = False,
) -> tuple[WriteItem, ...]:
    """Write the attempts down and move the slots to SENDING: after the commit the call may be made, and a crash knows of it."""
    tx.run(
        "UPDATE attempt SET outcome = 'SUPERSEDED' WHERE tenant_id = :t AND outlet_id {in:ids} AND outcome IN ('ACCEPTED', 'UNKNOWN')",
        t=tenant_id,
        ids=[one.slot.outlet_id for one in told],
    )
    complete = orders_complete_through(tx, tenant_id, account.account_id)
    rows, items = [], []
    for attempt_no, one in zip(next_values(tx, tenant_id, "attempt", len(told)), told, strict=True):
        slot, mark = one.slot, one.mark
        generation = mark.generation if mark else 0
        measured = mark is not None and slot.reason not in CHOSEN
        dirty_at = max(slot.since_at or mark.since_at, account.live_at or 0) if mark and measured else None
        if dirty_at is not None and slot.priority > REOPEN:
            # It might wait (8.10): its time in the queue is no part of p_c (3.4), nor of the goals (12.1).
            dirty_at = now
        rows.append(
            (
                tenant_id,
                attempt_no,
                slot.outlet_id,
                slot.account_id,
                one.quantity,
                slot.believed,
                generation,
                dirty_at,
                now,
                json.dumps(one.number.why),
                int(one.renews),
                int(spread),
            )
        )
        items.append(WriteItem(slot.outlet_id, outlets[slot.outlet_id], one.quantity, attempt_no, generation))
        slot.go(SlotEvent.SEND)
        old = of_slot(slot.believed, slot.sent, slot.exposure, slot.unsettled, slot.unsettled_until, complete)
        slot.exposure = old + one.quantity
        slot.sent, slot.sent_at, slot.acked_at = one.quantity, now, None
        slot.base, slot.base_at = slot.believed, slot.believed_at
        slot.wait_until = slot.odd_since = None
        slot.odd = 0
    tx.many(
        """INSERT INTO attempt (tenant_id, attempt_no, outlet_id, account_id, quantity, was, generation, dirty_at, started_at, why, renews,
                                spread)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        rows,
    )
    save(tx, tenant_id, [one.slot for one in told])
    return tuple(items)
