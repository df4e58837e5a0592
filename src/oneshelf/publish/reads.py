"""The step that takes in a read: what it means, what is held, what each outlet waits for now.

In: what outlets show. Out: slots at rest or waiting, provisional reservations, tasks, journal lines. Tables it owns: slot, attempt.
Never: takes Unknown for a yes or a no before it (I18), changes stock because a listing shows more (9.4), clears a newer mark (I12).
"""

from __future__ import annotations

from collections.abc import Sequence

from oneshelf.channels.contract import Capabilities, NoAnswer, Seen
from oneshelf.core.backoff import backoff_s
from oneshelf.core.drift import NO_SALES, Sales, Verdict
from oneshelf.core.errors import Retry, SignInAgain
from oneshelf.core.instants import to_us
from oneshelf.core.slot import (
    GONE_MAX,
    READ_RETRY_S,
    READ_RETRY_S_MAX,
    SIGN_IN_S,
    SlotEvent,
    SlotState,
)
from oneshelf.db.journal import close_task, open_task
from oneshelf.db.tx import Tx
from oneshelf.orders.provisional import hold_unseen
from oneshelf.orders.sales import sales_of

from .concluding import conclude
from .exposure import put_back_of_strict
from .landing import Read, explain_cancels, explain_late, give_up, judge_reads
from .resting import (
    CLOSED,
    REASON_MAX,
    SIGN_IN,
    ask_to_sign_in,
    subject_of,
    us,
    words,
)
from .slots import (
    AccountRow,
    ReadCall,
    Slot,
    account_row,
    late_writes,
    load,
    looks_for,
    save,
    windows,
)


def settle_read(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    can: Capabilities,
    call: ReadCall,
    result: Sequence[Seen] | BaseException,
    now: int,
) -> bool:
    """Take in a read. Returns whether pieces were held that are news for everybody else.

    1. What could not be read waits.  2. Judge each outlet against what was believed or sent (core/drift).  3. Sales unheard are held.
    4. With the levels as they are now: rest, wait for a write, look again, or park.
    """
    slots = {s.outlet_id: s for s in load(tx, tenant_id, [i.outlet_id for i in call.items]).values()}
    slots = {o: s for o, s in slots.items() if s.state is SlotState.READING}
    account = account_row(tx, tenant_id, account_id)
    if isinstance(result, BaseException):
        _all_failed(tx, tenant_id, account, can, list(slots.values()), result, now)
        save(tx, tenant_id, slots.values())
        return False
    close_task(tx, tenant_id, now, SIGN_IN, str(account_id))
    found = {seen.external_id: seen for seen in result}
    there = account.there(now)
    since = {
        o: min(s.believed_at or there, s.base_at or there, account.there(s.sent_at or now)) - account.skew
        for o, s in slots.items()
    }
    sales = sales_of(tx, tenant_id, since)
    reads: list[Read] = []
    held = False
    for item in call.items:
        slot = slots.get(item.outlet_id)
        if slot is None:
            continue
        seen = found.get(item.outlet.external_id)
        own = sales.get(slot.outlet_id, NO_SALES)
        read = _take(tx, tenant_id, account, can, slot, seen, own, now)
        if read is not None:
            reads.append(read)
    if reads:
        window = windows(tx, tenant_id, account)
        judge_reads(tx, tenant_id, account, can, reads, window, now, spread=call.spread)
        late = late_writes(tx, tenant_id, [read.slot for read in reads], now)
        explain_late(tx, tenant_id, account, reads, late, now)
        explain_cancels(tx, tenant_id, reads, since)
        read_before = {r.slot.outlet_id: r.slot.believed_at for r in reads if r.slot.believed_at is not None}
        apart = account.skew + max(0, account.ahead)  # by whichever clock a cancel is the later
        put_back = put_back_of_strict(tx, tenant_id, {o: at - apart for o, at in read_before.items()})
        for read in reads:
            read.put_back = put_back.get(read.slot.outlet_id, 0)
        held = _hold(tx, tenant_id, account_id, reads, now)
        conclude(tx, tenant_id, account, can, reads, looks_for(late, window), now)
    save(tx, tenant_id, slots.values())
    return held


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
) -> Read | None:
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
    least = _least_expected(slot, sales, read_at, account)
    by_hand = seen.state == "inactive" and seen.quantity == 0 and least is not None and least > 0
    if seen.state in ("ended", "draft") or by_hand:
        _close(tx, tenant_id, slot, f"The listing is {seen.state}; make it live again at the channel", now)
        return None
    return Read(slot, seen, seen.quantity, read_at, sales, Verdict("first"), unsettles=slot.sent is not None)


def _least_expected(slot: Slot, sales: Sales, read_at: int, account: AccountRow) -> int | None:
    """The least that any explanation lets the outlet show now; None: nothing is expected."""
    if slot.sent is not None:
        sent_at = read_at if slot.sent_at is None else account.there(slot.sent_at)
        after = slot.base_at if slot.base_at is not None else sent_at
        numbers = [slot.sent] if slot.base is None else [slot.sent, slot.base]
        return min(numbers) - sales.between(after - account.skew, read_at + account.skew)
    if slot.believed is None or slot.believed_at is None:
        return None
    return slot.believed - slot.odd - sales.between(slot.believed_at - account.skew, read_at + account.skew)


def _close(tx: Tx, tenant_id: int, slot: Slot, why: str, now: int) -> None:
    """The listing can't sell: nothing of what was believed holds, and a person must say what it is to be."""
    slot.go(SlotEvent.CLOSED)
    give_up(tx, tenant_id, [slot.outlet_id])
    slot.sent = slot.acked_at = slot.believed = slot.believed_at = slot.odd_since = slot.wait_until = None
    slot.verified = slot.exposure = slot.attempts = slot.odd = 0
    slot.reason = why
    open_task(tx, tenant_id, now, CLOSED, subject_of(slot.outlet_id), "A linked listing does not sell", why)


def _hold(tx: Tx, tenant_id: int, account_id: int, reads: Sequence[Read], now: int) -> bool:
    """Reserve what a read misses: a sale whose order has not arrived (9.2, 8.4). Returns whether anything is missing."""
    missing = [
        read
        for read in reads
        if read.settled and read.verdict.kind in ("missing", "seen", "doubtful") and read.verdict.units > 0
    ]
    for read in missing:
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
    return bool(missing)
