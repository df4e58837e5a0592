"""What a read says about the writes that were sent: which has landed, which is still to come, which is given up.

In: reads. Out: a verdict for each (core/drift), attempts seen or unseen. Tables it owns: attempt.
Never: takes Unknown for a yes or a no before a read (I18).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from oneshelf.channels.contract import Capabilities, Seen
from oneshelf.core.drift import Sales, Verdict, judge, judge_unit, judge_write
from oneshelf.core.instants import SECOND
from oneshelf.core.slot import (
    BASE_FRESH_S,
    UNSEEN_MAX,
    URGENT_MAX,
    SlotEvent,
    next_look_s,
)
from oneshelf.db.journal import open_task
from oneshelf.db.tx import Tx
from oneshelf.orders.sales import cancelled_of

from .resting import (
    NEVER_SEEN,
    subject_of,
    us,
)
from .slots import (
    LATE_MAX_S,
    AccountRow,
    LateWrite,
    Slot,
    Windows,
)


class Read(msgspec.Struct):
    """One outlet's read while it is judged. `read_at`: by the channel's clock, microseconds."""

    slot: Slot
    seen: Seen
    shown: int
    read_at: int
    sales: Sales
    verdict: Verdict
    #: The write that this read was to find has been found, given up, or there was none.
    settled: bool = True
    #: What it sold of its old number may still be unheard: a write was not yet seen when it was asked for, or shows late, as a sale would.
    unsettles: bool = False
    #: Of a strict SKU: listings that the channel may have put back by itself since the read before, and sold again unheard.
    put_back: int = 0


def give_up(tx: Tx, tenant_id: int, outlet_ids: Sequence[int]) -> None:
    """The write under way is not waited for any more (it may still land: `late_writes`)."""
    tx.run(
        "UPDATE attempt SET outcome = 'UNSEEN' WHERE tenant_id = :t AND outlet_id {in:ids} AND outcome IN ('ACCEPTED', 'UNKNOWN')",
        t=tenant_id,
        ids=list(outlet_ids),
    )


def doubt(tx: Tx, tenant_id: int, account: AccountRow, slots: Iterable[Slot], now: int) -> None:
    """Take back the proof that a write has landed, where an own order came after the read and had been placed before it.

    Unheard, that sale may have made the outlet show the number before the write did. So the write may still land, over whatever is
    sold meanwhile: it is late (`late_writes`) until it can't. An order that was known at the read was considered there (8.4).
    """
    since = now - LATE_MAX_S * SECOND
    lately = [slot.outlet_id for slot in slots if slot.sent_at is not None and slot.sent_at > since]
    if not lately:
        return
    tx.run(
        """UPDATE attempt SET outcome = 'DOUBTED'
            WHERE tenant_id = :t AND outlet_id {in:ids} AND outcome = 'SEEN' AND started_at > :since AND EXISTS (
                SELECT 1 FROM order_line l JOIN orders o ON o.tenant_id = l.tenant_id AND o.order_no = l.order_no
                 WHERE l.tenant_id = attempt.tenant_id AND l.outlet_id = attempt.outlet_id AND l.placed_s >= :from_s
                   AND o.placed_at > attempt.started_at + :before AND o.placed_at <= attempt.seen_at + :after
                   AND o.decided_at > attempt.seen_at)""",
        t=tenant_id,
        ids=lately,
        since=since,
        from_s=account.there(since) // SECOND - round(BASE_FRESH_S),
        before=account.there(-round(BASE_FRESH_S * SECOND) - account.skew),
        after=account.there(account.skew),
    )


def judge_reads(
    tx: Tx,
    tenant_id: int,
    account: AccountRow,
    can: Capabilities,
    reads: Sequence[Read],
    window: Windows,
    now: int,
    *,
    spread: bool = False,
) -> None:
    """Judge every read against the write not yet seen, or else against what was believed. `spread`: how late it looked measures nothing."""
    skew = account.skew
    for read in reads:
        slot = read.slot
        if slot.sent is None:
            read.verdict = _judge_plain(read, slot.believed, slot.believed_at, skew)
        else:
            after = slot.base_at if slot.base_at is not None else account.there(slot.sent_at or now)
            ambiguous = read.sales.between(after - skew, read.read_at + skew)
            read.verdict = judge_write(read.shown, sent=slot.sent, base=slot.base, ambiguous=ambiguous)
    if can.reads_before_write:
        _judge_units(reads)
    landed, given_up = [], []
    for read in reads:
        slot = read.slot
        if slot.sent is None:
            continue
        if read.verdict.kind == "doubtful":
            # What is shown is true either way; that the write may still land is kept in mind.
            given_up.append(slot.outlet_id)
            slot.unseen = 0
            slot.sent = slot.acked_at = None
        elif read.verdict.kind == "seen":
            landed.append((now, tenant_id, slot.outlet_id))
            slot.unseen = 0
            slot.since_at = slot.sent_at  # what is still owed became so after it was sent
            slot.sent = slot.acked_at = None
        elif not _wait_for_it(tx, tenant_id, read, window, now):
            given_up.append(slot.outlet_id)
            if read.settled:
                read.verdict = _judge_plain(read, slot.base, slot.base_at, skew)
    if given_up:
        give_up(tx, tenant_id, given_up)
    tx.many(
        f"UPDATE attempt SET seen_at = ?, outcome = 'SEEN'{', spread = 1' if spread else ''} "
        "WHERE tenant_id = ? AND outlet_id = ? AND outcome IN ('ACCEPTED', 'UNKNOWN')",
        landed,
    )


def explain_late(
    tx: Tx,
    tenant_id: int,
    account: AccountRow,
    reads: Sequence[Read],
    late: Mapping[int, Sequence[LateWrite]],
    now: int,
) -> None:
    """A number of ours that lands late is neither a sale nor drift (9.4).

    One whose proof was taken back can only have raised the number: it was shown before. Where it shows fewer, it may be a sale all the
    same: who promises a piece once only waits for the feed (S8.6).
    """
    landed = []
    for read in reads:
        if not read.settled or read.verdict.kind not in ("missing", "excess"):
            continue
        for write in late.get(read.slot.outlet_id, ()):
            if write.doubted and read.verdict.kind == "missing":
                continue
            sold = read.sales.between(account.there(write.sent_at) - account.skew, read.read_at + account.skew)
            if write.quantity - sold <= read.shown <= write.quantity:
                read.unsettles = read.unsettles or read.verdict.kind == "missing"
                read.verdict = Verdict("echo")
                landed.append((now, tenant_id, write.attempt_no))
                break
    tx.many("UPDATE attempt SET seen_at = ?, outcome = 'SEEN' WHERE tenant_id = ? AND attempt_no = ?", landed)


def explain_cancels(tx: Tx, tenant_id: int, reads: Sequence[Read], since: Mapping[int, int]) -> None:
    """What the channel put back of own orders that it has cancelled, as we have heard, is no drift: nothing needs to be waited for (9.3).

    `since`: of each outlet, the instant of the last fact about it.
    """
    odd = [read for read in reads if read.settled and read.verdict.kind == "excess"]
    cancelled = cancelled_of(tx, tenant_id, {read.slot.outlet_id: since[read.slot.outlet_id] for read in odd})
    for read in odd:
        left = read.verdict.units - cancelled.get(read.slot.outlet_id, 0)
        read.verdict = Verdict("excess", left) if left > 0 else Verdict("echo")


def _judge_plain(read: Read, believed: int | None, believed_at: int | None, skew: int) -> Verdict:
    if believed is None or believed_at is None:
        return Verdict("first")
    certain = read.sales.between(believed_at + skew, read.read_at - skew)
    possible = read.sales.between(believed_at - skew, read.read_at + skew)
    return judge(read.shown, max(0, believed - read.slot.odd), certain=certain, possible=possible)


def _judge_units(reads: Sequence[Read]) -> None:
    units: dict[str, list[Read]] = {}
    for read in reads:
        if read.slot.sent is not None:
            units.setdefault(read.slot.write_unit, []).append(read)
    for of_unit in units.values():
        whole = judge_unit((r.verdict, r.slot.sent != r.slot.base) for r in of_unit)
        for read in of_unit:
            if whole == "not_yet":
                read.verdict = Verdict("not_yet")
            elif whole == "landed" and read.verdict.kind == "doubtful":
                read.verdict = Verdict("seen")


def _wait_for_it(tx: Tx, tenant_id: int, read: Read, window: Windows, now: int) -> bool:
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


def _never_seen(tx: Tx, tenant_id: int, read: Read, now: int) -> None:
    slot = read.slot
    why = f"{UNSEEN_MAX} times the channel took {slot.sent} and went on showing {read.shown}"
    slot.go(SlotEvent.NEVER_SEEN)
    slot.believed, slot.believed_at, slot.verified = read.shown, read.read_at, 0
    slot.sent = slot.acked_at = slot.wait_until = None
    slot.reason = why
    read.settled = False
    open_task(tx, tenant_id, now, NEVER_SEEN, subject_of(slot.outlet_id), "A listing does not take its number", why)
