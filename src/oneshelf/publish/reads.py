"""The step that takes in a read: what it means, what is held, what each outlet waits for now.

In: what outlets show. Out: slots at rest or waiting, provisional reservations, tasks, journal lines. Tables it owns: slot, attempt.
Never: takes Unknown for a yes or a no before it (I18), changes stock because a listing shows more (9.4), clears a newer mark (I12).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from oneshelf.channels.contract import Capabilities, NoAnswer, Seen
from oneshelf.core.drift import NO_SALES, Sales, Verdict, judge, judge_unit, judge_write
from oneshelf.core.errors import Retry, SignInAgain
from oneshelf.core.instants import SECOND, iso, to_us
from oneshelf.core.slot import (
    GONE_MAX,
    LOWER_UNSAFE,
    READ_RETRY_S,
    READ_RETRY_S_MAX,
    REPAIR,
    REPAIRS_MAX,
    SIGN_IN_S,
    UNSEEN_MAX,
    URGENT_MAX,
    SlotEvent,
    SlotState,
    backoff_s,
    next_look_s,
)
from oneshelf.db.journal import close_task, note, open_task
from oneshelf.db.tx import Tx
from oneshelf.orders.provisional import hold_unseen
from oneshelf.orders.sales import sales_of

from .numbers import Number, numbers_of
from .resting import (
    CLOSED,
    DAY,
    FOUGHT,
    NEVER_SEEN,
    REASON_MAX,
    SIGN_IN,
    ask_to_sign_in,
    rest,
    shown_range,
    subject_of,
    us,
    weigh,
    words,
)
from .slots import (
    AccountRow,
    Mark,
    ReadCall,
    Slot,
    Windows,
    account_row,
    load,
    marks_of,
    orders_complete_through,
    save,
    windows,
)

#: A write older than this can't land any more, whatever was measured.
LATE_MAX_S = 3_600


class _Read(msgspec.Struct):
    """One outlet's read while it is judged."""

    slot: Slot
    seen: Seen
    shown: int
    read_at: int
    sales: Sales
    verdict: Verdict
    #: The write that this read was to find has been found, given up, or there was none.
    settled: bool = True


def settle_read(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    can: Capabilities,
    call: ReadCall,
    result: Sequence[Seen] | BaseException,
    now: int,
) -> None:
    """Take in a read.

    1. What could not be read waits.  2. Judge each outlet against what was believed or sent (core/drift).  3. Sales unheard are held.
    4. With the levels as they are now: rest, wait for a write, look again, or park.
    """
    slots = {s.outlet_id: s for s in load(tx, tenant_id, [i.outlet_id for i in call.items]).values()}
    slots = {o: s for o, s in slots.items() if s.state is SlotState.READING}
    account = account_row(tx, tenant_id, account_id)
    if isinstance(result, BaseException):
        _all_failed(tx, tenant_id, account, can, list(slots.values()), result, now)
        save(tx, tenant_id, slots.values())
        return
    close_task(tx, tenant_id, now, SIGN_IN, str(account_id))
    found = {seen.external_id: seen for seen in result}
    since = {o: min(s.believed_at or now, s.base_at or now, s.sent_at or now) - account.skew for o, s in slots.items()}
    sales = sales_of(tx, tenant_id, since)
    reads = []
    for item in call.items:
        slot = slots.get(item.outlet_id)
        if slot is None:
            continue
        seen = found.get(item.outlet.external_id)
        own = sales.get(slot.outlet_id, NO_SALES)
        read = _take(tx, tenant_id, account, can, slot, seen, own, now)
        if read is not None:
            reads.append(read)
    _judge_writes(tx, tenant_id, account, can, reads, now)
    _hold(tx, tenant_id, account_id, reads, now)
    _conclude(tx, tenant_id, account, can, reads, now)
    save(tx, tenant_id, slots.values())


def _all_failed(
    tx: Tx,
    tenant_id: int,
    account: AccountRow,
    can: Capabilities,
    slots: Sequence[Slot],
    error: BaseException,
    now: int,
) -> None:
    wait_s = error.wait_s if isinstance(error, Retry) else None
    if isinstance(error, SignInAgain):
        ask_to_sign_in(tx, tenant_id, account.account_id, words(error), now)
        wait_s = SIGN_IN_S
    reason = error.reason if isinstance(error, NoAnswer) else words(error)
    for slot in slots:
        _read_failed(slot, reason, account, can, now, wait_s, may_be_blind=not isinstance(error, SignInAgain))


def _read_failed(
    slot: Slot,
    reason: str,
    account: AccountRow,
    can: Capabilities,
    now: int,
    wait_s: float | None = None,
    *,
    may_be_blind: bool = True,
) -> None:
    """The slot waits, longer each time. A zero need not: planning sends it without a read (8.2), where a write needs none (8.15)."""
    slot.go(SlotEvent.READ_FAILED)
    slot.attempts += 1
    slot.verified = 0
    slot.reason = f"read failed: {reason}"[:REASON_MAX]
    wait = max(wait_s or 0.0, backoff_s(READ_RETRY_S, slot.attempts, READ_RETRY_S_MAX))
    blind = may_be_blind and account.writes and not can.reads_before_write and slot.odd_since is None
    to_zero = slot.offer == 0 and slot.sent != 0 and slot.believed != 0
    slot.wait_until = now if blind and to_zero else now + us(wait)


def _take(
    tx: Tx,
    tenant_id: int,
    account: AccountRow,
    can: Capabilities,
    slot: Slot,
    seen: Seen | None,
    sales: Sales,
    now: int,
) -> _Read | None:
    """Turn what is seen into a read to judge; None: it said no number, and the slot is dealt with."""
    if seen is None:
        _read_failed(slot, "the answer did not name this listing", account, can, now)
        return None
    if seen.state == "gone":
        if slot.attempts + 1 < GONE_MAX:
            _read_failed(slot, "the channel does not know this listing", account, can, now)
        else:
            _close(tx, tenant_id, slot, "The channel does not know this listing any more", now)
        return None
    if seen.quantity is None:
        _read_failed(slot, seen.problem or "the channel gave no number", account, can, now)
        return None
    read_at = to_us(seen.read_at)
    least = _least_expected(slot, sales, read_at, account.skew)
    by_hand = seen.state == "inactive" and seen.quantity == 0 and least is not None and least > 0
    if seen.state in ("ended", "draft") or by_hand:
        _close(tx, tenant_id, slot, f"The listing is {seen.state}; make it live again at the channel", now)
        return None
    return _Read(slot, seen, seen.quantity, read_at, sales, Verdict("first"))


def _least_expected(slot: Slot, sales: Sales, read_at: int, skew: int) -> int | None:
    """The least that any explanation lets the outlet show now; None: nothing is expected."""
    if slot.sent is not None:
        after = slot.base_at if slot.base_at is not None else slot.sent_at or read_at
        numbers = [slot.sent] if slot.base is None else [slot.sent, slot.base]
        return min(numbers) - sales.between(after - skew, read_at + skew)
    if slot.believed is None or slot.believed_at is None:
        return None
    return slot.believed - slot.odd - sales.between(slot.believed_at - skew, read_at + skew)


def _close(tx: Tx, tenant_id: int, slot: Slot, why: str, now: int) -> None:
    """The listing can't sell: nothing of what was believed holds, and a person must say what it is to be."""
    slot.go(SlotEvent.CLOSED)
    _give_up(tx, tenant_id, [slot.outlet_id])
    slot.sent = slot.acked_at = slot.believed = slot.believed_at = slot.odd_since = slot.wait_until = None
    slot.verified = slot.exposure = slot.attempts = slot.odd = 0
    slot.reason = why
    open_task(tx, tenant_id, now, CLOSED, subject_of(slot.outlet_id), "A linked listing does not sell", why)


def _give_up(tx: Tx, tenant_id: int, outlet_ids: Sequence[int]) -> None:
    """The write under way is not waited for any more (it may still land: `_late_until` looks once more)."""
    tx.run(
        "UPDATE attempt SET outcome = 'UNSEEN' WHERE tenant_id = :t AND outlet_id {in:ids} AND outcome IN ('ACCEPTED', 'UNKNOWN')",
        t=tenant_id,
        ids=list(outlet_ids),
    )


def _judge_writes(
    tx: Tx, tenant_id: int, account: AccountRow, can: Capabilities, reads: Sequence[_Read], now: int
) -> None:
    """Judge every read; a write of a whole unit has landed for all of its outlets or for none."""
    skew = account.skew
    for read in reads:
        slot = read.slot
        if slot.sent is not None:
            after = slot.base_at if slot.base_at is not None else slot.sent_at or read.read_at
            ambiguous = read.sales.between(after - skew, read.read_at + skew)
            read.verdict = judge_write(read.shown, sent=slot.sent, base=slot.base, ambiguous=ambiguous)
        else:
            read.verdict = _judge_plain(read, slot.believed, slot.believed_at, skew)
    if can.reads_before_write:
        _judge_units(reads)
    window = windows(tx, tenant_id, account) if any(read.slot.sent is not None for read in reads) else None
    landed, given_up = [], []
    for read in reads:
        slot = read.slot
        if slot.sent is None or window is None:
            continue
        if read.verdict.kind == "seen":
            landed.append((read.read_at, tenant_id, slot.outlet_id))
            slot.unseen = 0
            slot.since_at = slot.sent_at  # what is still owed became so after it was sent
            slot.sent = slot.acked_at = None
        elif not _wait_for_it(tx, tenant_id, read, window, now):
            given_up.append(slot.outlet_id)
    if given_up:
        _give_up(tx, tenant_id, given_up)
    tx.many(
        "UPDATE attempt SET seen_at = ?, outcome = 'SEEN' WHERE tenant_id = ? AND outlet_id = ? AND outcome IN ('ACCEPTED', 'UNKNOWN')",
        landed,
    )
    for read in reads:
        if read.slot.outlet_id in given_up and read.settled:
            read.verdict = _judge_plain(read, read.slot.base, read.slot.base_at, skew)
            read.slot.odd = 0


def _judge_plain(read: _Read, believed: int | None, believed_at: int | None, skew: int) -> Verdict:
    if believed is None or believed_at is None:
        return Verdict("first")
    certain = read.sales.between(believed_at + skew, read.read_at - skew)
    possible = read.sales.between(believed_at - skew, read.read_at + skew)
    return judge(read.shown, max(0, believed - read.slot.odd), certain=certain, possible=possible)


def _judge_units(reads: Sequence[_Read]) -> None:
    units: dict[str, list[_Read]] = {}
    for read in reads:
        if read.slot.sent is not None:
            units.setdefault(read.slot.write_unit, []).append(read)
    for of_unit in units.values():
        if not judge_unit((r.verdict, r.slot.sent != r.slot.base) for r in of_unit):
            for read in of_unit:
                read.verdict = Verdict("not_yet")


def _wait_for_it(tx: Tx, tenant_id: int, read: _Read, window: Windows, now: int) -> bool:
    """A write is not seen. True: look again later (or parked for good); False: go on from what the read shows.

    Accepted: until twice the publish window; the third in a row that never shows parks the slot. Urgent and different: the next write
    may not wait for this one (8.1). Unknown: one read tells (8.2); it may still land, so a later look is kept.
    """
    slot = read.slot
    urgent = slot.priority <= URGENT_MAX and slot.offer != slot.sent
    if slot.acked_at is not None and not urgent:
        if now < slot.acked_at + window.deadline:
            look_s = next_look_s((now - slot.acked_at) / SECOND, window.first_look / SECOND, window.deadline / SECOND)
            slot.go(SlotEvent.NOT_YET)
            slot.wait_until = max(now + us(0.5), slot.acked_at + us(look_s))
            read.settled = False
            return True
        slot.unseen += 1
        if slot.unseen >= UNSEEN_MAX:
            _never_seen(tx, tenant_id, read, now)
            return False
    slot.sent = slot.acked_at = None
    return False


def _never_seen(tx: Tx, tenant_id: int, read: _Read, now: int) -> None:
    slot = read.slot
    why = f"{UNSEEN_MAX} times the channel took {slot.sent} and went on showing {read.shown}"
    slot.go(SlotEvent.NEVER_SEEN)
    slot.believed, slot.believed_at, slot.verified = read.shown, read.read_at, 0
    slot.sent = slot.acked_at = slot.wait_until = None
    slot.reason = why
    read.settled = False
    open_task(tx, tenant_id, now, NEVER_SEEN, subject_of(slot.outlet_id), "A listing does not take its number", why)


def _hold(tx: Tx, tenant_id: int, account_id: int, reads: Sequence[_Read], now: int) -> None:
    """Reserve what a read misses: a sale whose order has not arrived (9.2, 8.4)."""
    for read in reads:
        if read.settled and read.verdict.kind in ("missing", "seen") and read.verdict.units > 0:
            hold_unseen(
                tx,
                tenant_id,
                account_id=account_id,
                outlet_id=read.slot.outlet_id,
                units=read.verdict.units,
                read_at=read.read_at,
                read_id=str(read.read_at),
                now=now,
            )


# --- what a read leads to ---------------------------------------------------------------------------------------------


class _Then(msgspec.Struct, frozen=True):
    """What the conclusions of one call share."""

    numbers: Mapping[int, Number]
    marks: Mapping[int, Mark]
    late: Mapping[int, int]
    released: Mapping[int, int]
    complete: int


def _conclude(tx: Tx, tenant_id: int, account: AccountRow, can: Capabilities, reads: Sequence[_Read], now: int) -> None:
    ids = [read.slot.outlet_id for read in reads if read.settled]
    if not ids:
        return
    complete = orders_complete_through(tx, tenant_id, account.account_id)
    then = _Then(
        numbers=numbers_of(tx, tenant_id, account.account_id, ids, can),
        marks=marks_of(tx, tenant_id, ids),
        late=_late_until(tx, tenant_id, account, ids, now),
        released=_released(tx, tenant_id, ids, now),
        complete=-1 if complete is None else complete - account.skew,
    )
    for read in reads:
        if read.settled:
            slot = read.slot
            waited = slot.odd_since
            slot.believed, slot.believed_at, slot.verified = read.shown, read.read_at, 1
            slot.exposure = read.shown
            slot.odd_since, slot.odd = None, 0
            _next(tx, tenant_id, account, read, waited, then, now)


def _next(tx: Tx, tenant_id: int, account: AccountRow, read: _Read, waited: int | None, then: _Then, now: int) -> None:
    """Rest, or say what the outlet waits for."""
    slot = read.slot
    number, mark = then.numbers.get(slot.outlet_id), then.marks.get(slot.outlet_id)
    if number is None:  # unlinked meanwhile
        rest(tx, tenant_id, slot, mark, now)
        return
    low, high = shown_range(slot, read.sales, account.skew)
    weigh(slot, number, high, account, mark)
    slot.generation = max(slot.generation, mark.generation) if mark else slot.generation
    if mark is not None and mark.reread:
        _wait(slot, mark, now, reason="asked to look again while it was read")
        slot.verified = 0
    elif slot.offer == high:
        again_at = max(then.late.get(slot.outlet_id, 0), now + 2 * account.skew if low != high else 0)
        if again_at > now:
            _wait(slot, mark, now, reason="right, but an earlier write or a sale of this moment may still change it")
            slot.verified, slot.priority, slot.wait_until = 0, REPAIR, again_at
        else:
            rest(tx, tenant_id, slot, mark, now)
    elif read.verdict.kind == "excess":
        _too_many(tx, tenant_id, read, waited, mark, then, now)
    elif not (then.released.get(slot.outlet_id) and _fights(tx, tenant_id, slot, then, now)):
        _wait(slot, mark, now)


def _wait(slot: Slot, mark: Mark | None, now: int, reason: str = "") -> None:
    slot.go(SlotEvent.READ_DIFFERS)
    slot.since_at = slot.since_at or (mark.since_at if mark else now)
    slot.wait_until = None
    slot.reason = reason


def _too_many(
    tx: Tx, tenant_id: int, read: _Read, waited: int | None, mark: Mark | None, then: _Then, now: int
) -> None:
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
    subject = subject_of(slot.outlet_id)
    if slot.repairs_since is None or slot.repairs_since <= now - DAY:
        slot.repairs, slot.repairs_since = 0, now
    if slot.repairs + fallen < REPAIRS_MAX:
        if fallen >= 2:
            why = f"{fallen} times in a day it fell without an order"
            open_task(tx, tenant_id, now, FOUGHT, subject, "Somebody edits this listing at the channel", why)
        return False
    slot.go(SlotEvent.FOUGHT)
    slot.repairs = max(slot.repairs, REPAIRS_MAX)
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


def _late_until(tx: Tx, tenant_id: int, account: AccountRow, outlet_ids: Sequence[int], now: int) -> dict[int, int]:
    """Until when a write that was overtaken, given up or never answered may still land: the outlet is looked at once more then."""
    rows = tx.all(
        """SELECT outlet_id, MAX(COALESCE(accepted_at, started_at)) FROM attempt
            WHERE tenant_id = :t AND outlet_id {in:ids} AND outcome IN ('SUPERSEDED', 'UNSEEN') AND started_at > :since
            GROUP BY outlet_id""",
        t=tenant_id,
        ids=list(outlet_ids),
        since=now - LATE_MAX_S * SECOND,
    )
    if not rows:
        return {}
    deadline = windows(tx, tenant_id, account).deadline
    return {outlet_id: at + deadline for outlet_id, at in rows if at + deadline > now}
