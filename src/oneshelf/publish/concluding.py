"""What a judged read leads to: rest, a number to tell, another look, or a person.

In: reads with their verdicts, levels, marks, the feed's progress. Out: slots, tasks, journal lines. Tables it owns: slot.
Never: changes stock because a listing shows more (9.4), clears a newer mark (I12), repairs for ever against someone else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from oneshelf.channels.contract import Capabilities
from oneshelf.core.instants import iso
from oneshelf.core.slot import (
    LOWER_UNSAFE,
    REPAIR,
    REPAIRS_MAX,
    SlotEvent,
)
from oneshelf.db.journal import note, open_task
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty

from .landing import Read
from .numbers import Number, numbers_of
from .resting import (
    CHOSEN,
    DAY,
    EDITED,
    FOUGHT,
    left_alone,
    rest,
    rest_or_look_again,
    shown_range,
    subject_of,
    weigh,
)
from .slots import (
    AccountRow,
    Looks,
    Mark,
    Slot,
    marks_of,
    orders_complete_through,
)

#: How often in a day a listing may fall without an order before a person is told (9.4).
FALLEN_MAX = 2


class _Then(msgspec.Struct, frozen=True):
    """What the conclusions of one call share."""

    numbers: Mapping[int, Number]
    marks: Mapping[int, Mark]
    looks: Looks
    released: Mapping[int, int]
    complete: int


def conclude(
    tx: Tx,
    tenant_id: int,
    account: AccountRow,
    can: Capabilities,
    reads: Sequence[Read],
    looks: Looks,
    now: int,
) -> None:
    """With the levels as they are now: rest, wait for a write, look again, or park. `looks`: when to look for writes of ours
    that were not waited for and may still land."""
    ids = [read.slot.outlet_id for read in reads if read.settled]
    if not ids:
        return
    complete = orders_complete_through(tx, tenant_id, account.account_id)
    then = _Then(
        numbers=numbers_of(tx, tenant_id, account.account_id, ids, can, now),
        marks=marks_of(tx, tenant_id, ids),
        looks=looks,
        released=_released(tx, tenant_id, ids, now),
        complete=-1 if complete is None else complete - account.skew,
    )
    dirty.taken(tx, tenant_id, list(then.marks))
    for read in reads:
        if read.settled:
            slot = read.slot
            waited = slot.odd_since
            slot.believed, slot.believed_at, slot.verified = read.shown, read.read_at, 1
            # What it sold of its old number, or of what came back to it, may still be unheard.
            if read.unsettles or read.put_back:
                before = slot.exposure if read.unsettles else max(read.shown, _still_unsettled(slot, then))
                slot.unsettled, slot.unsettled_until = before + read.put_back, read.read_at + account.skew
            slot.exposure = read.shown
            slot.odd_since, slot.odd = None, 0
            _next(tx, tenant_id, account, can, read, waited, then, now)


def _still_unsettled(slot: Slot, then: _Then) -> int:
    settled = slot.unsettled_until is None or slot.unsettled_until <= then.complete
    return 0 if settled else slot.unsettled


def _next(
    tx: Tx,
    tenant_id: int,
    account: AccountRow,
    can: Capabilities,
    read: Read,
    waited: int | None,
    then: _Then,
    now: int,
) -> None:
    """Rest, or say what the outlet waits for."""
    slot = read.slot
    number, mark = then.numbers.get(slot.outlet_id), then.marks.get(slot.outlet_id)
    if number is None:  # unlinked meanwhile
        rest(tx, tenant_id, slot, mark, now)
        return
    low, high = shown_range(slot, read.sales, account.skew)
    weigh(slot, number, high, account, mark, now)
    slot.generation = max(slot.generation, mark.generation) if mark else slot.generation
    if mark is not None and mark.reread:
        _wait(slot, mark, now, reason="asked to look again while it was read")
        slot.verified = 0
    elif slot.offer == high:
        looks = then.looks.get(slot.outlet_id, ())
        rest_or_look_again(tx, tenant_id, account, slot, mark, looks, low == high, now)
    elif read.verdict.kind == "excess":
        _too_many(tx, tenant_id, read, waited, mark, then, now)
    elif not (then.released.get(slot.outlet_id) and _fights(tx, tenant_id, slot, then, now)):
        _wait(slot, mark, now)
        left_alone(slot, number, high, can.write == "absolute", now)


def _wait(slot: Slot, mark: Mark | None, now: int, reason: str = "") -> None:
    slot.go(SlotEvent.READ_DIFFERS)
    slot.since_at = slot.since_at or (mark.since_at if mark else now)
    slot.wait_until = None
    slot.reason = reason or (slot.reason if slot.reason in CHOSEN else "")


def _too_many(tx: Tx, tenant_id: int, read: Read, waited: int | None, mark: Mark | None, then: _Then, now: int) -> None:
    """S9.3: more than believed. An order's cancel or a return may be on its way: wait for the feed, look again; what is left then is
    drift and is repaired. When a number is due anyway, that number is the repair."""
    slot, excess = read.slot, read.verdict.units
    if slot.offer != read.shown - excess:
        _wait(slot, mark, now)
        return
    if waited is None or waited > then.complete:
        _wait(slot, mark, now, reason=f"shows {excess} more than any order explains; waits for its feed")
        slot.odd, slot.odd_since, slot.verified = excess, waited or read.read_at, 0
        return
    if slot.repairs_since is None or slot.repairs_since <= now - DAY:
        slot.repairs, slot.repairs_since = 0, now
    slot.repairs += 1
    note(
        tx,
        tenant_id,
        now,
        "reconcile",
        "Drift +: a listing showed more than any order explains",
        subject_of(slot.outlet_id),
        shown=read.shown,
        listings=excess,
        since=iso(waited),
        repair=slot.repairs,
    )
    if _fights(tx, tenant_id, slot, then, now):
        return
    _wait(slot, mark, now, reason="repair: somebody or something else wrote here")
    slot.priority = slot.priority if slot.priority <= LOWER_UNSAFE else REPAIR


def _fights(tx: Tx, tenant_id: int, slot: Slot, then: _Then, now: int) -> bool:
    """S9.4: at the third repair in a day stop, and say that someone or something else writes here."""
    fallen = then.released.get(slot.outlet_id, 0)
    recent = slot.repairs_since is not None and slot.repairs_since > now - DAY
    subject = subject_of(slot.outlet_id)
    if (slot.repairs if recent else 0) + fallen < REPAIRS_MAX:
        if fallen >= FALLEN_MAX:
            why = f"{fallen} times in a day it fell without an order"
            open_task(tx, tenant_id, now, EDITED, subject, "Somebody edits this listing's number at the channel", why)
        return False
    slot.go(SlotEvent.FOUGHT)
    slot.repairs = max(slot.repairs, REPAIRS_MAX)
    slot.repairs_since = slot.repairs_since if recent else now
    slot.wait_until = None
    slot.reason = "someone or something else writes here: repaired three times in a day"
    open_task(
        tx, tenant_id, now, FOUGHT, subject, "Someone or something else writes this listing's number", slot.reason
    )
    return True


def _released(tx: Tx, tenant_id: int, outlet_ids: Sequence[int], now: int) -> dict[int, int]:
    """How often in a day each outlet showed fewer and no order came (drift −), since a person last said to try again."""
    rows = tx.all(
        """SELECT p.outlet_id, COUNT(DISTINCT p.read_at) FROM provisional p
             JOIN slot s ON s.tenant_id = p.tenant_id AND s.outlet_id = p.outlet_id
            WHERE p.tenant_id = :t AND p.state = 'RELEASED' AND p.outlet_id {in:ids} AND p.read_at > :day
              AND (s.repairs > 0 OR s.repairs_since IS NULL OR p.read_at > s.repairs_since) GROUP BY p.outlet_id""",
        t=tenant_id,
        ids=list(outlet_ids),
        day=now - DAY,
    )
    return {row[0]: int(row[1]) for row in rows}
