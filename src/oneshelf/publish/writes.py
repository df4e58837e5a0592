"""The step that takes in the ends of a write, matched per item (8.13).

In: outcomes. Out: slots that wait to see the number, wait their turn, or are parked; attempts, tasks. Tables it owns: slot, attempt.
Never: takes silence for a yes or a no.
"""

from __future__ import annotations

from collections.abc import Sequence

from oneshelf.channels.contract import Capabilities
from oneshelf.core.backoff import backoff_s
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown
from oneshelf.core.slot import (
    READ_RETRY_S,
    READ_RETRY_S_MAX,
    REPAIR,
    SIGN_IN_S,
    STALE_MAX,
    THROTTLED_S,
    THROTTLED_S_MAX,
    UNKNOWN_READ_S,
    UNKNOWN_READ_S_MAX,
    URGENT_MAX,
    URGENT_S_MAX,
    SlotEvent,
    SlotState,
)
from oneshelf.db import events
from oneshelf.db.journal import open_task
from oneshelf.db.tx import Tx
from oneshelf.tenants import usage

from .numbers import numbers_of
from .resting import REASON_MAX, REFUSED, ask_to_sign_in, rest, subject_of, us, weigh, words
from .slots import AccountRow, Mark, Slot, WriteCall, account_row, load, marks_of, save, windows


def settle_write(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    can: Capabilities,
    call: WriteCall,
    outcomes: Sequence[Outcome] | BaseException,
    now: int,
) -> None:
    """Take in the ends of a write, matched per item (8.13); an item without its own end is Unknown."""
    account = account_row(tx, tenant_id, account_id)
    slots = load(tx, tenant_id, [item.outlet_id for item in call.items])
    marks = marks_of(tx, tenant_id, list(slots))
    is_taken = not isinstance(outcomes, BaseException) and any(isinstance(one, Accepted) for one in outcomes)
    first_look = windows(tx, tenant_id, account).first_look if is_taken else 0
    ended, written = [], []
    for index, item in enumerate(call.items):
        slot = slots.get(item.outlet_id)
        if slot is None or slot.state is not SlotState.SENDING:
            continue
        outcome: Outcome
        if isinstance(outcomes, BaseException):
            outcome = Unknown(f"the call broke: {words(outcomes)}")
        elif index < len(outcomes):
            outcome = outcomes[index]
        else:
            outcome = Unknown("the answer did not name this item")
        mark = marks.get(item.outlet_id)
        word = _end_write(tx, tenant_id, account, can, slot, outcome, mark, first_look, now)
        accepted_at = now if isinstance(outcome, Accepted) else None
        seen_at = now if word == "SEEN" else None
        ended.append((word, slot.reason, accepted_at, seen_at, tenant_id, item.attempt_no))
        written.append(item)
        if word == "SEEN":
            _confirmed(tx, tenant_id, account, can, slot, mark, now)
    tx.many(
        "UPDATE attempt SET outcome = ?, reason = ?, accepted_at = ?, seen_at = ? WHERE tenant_id = ? AND attempt_no = ?",
        ended,
    )
    told = [item.outlet_id for item, row in zip(written, ended, strict=True) if row[2] is not None]
    events.tell(tx, tenant_id, now, "listing.changed", [{"listing": outlet_id} for outlet_id in told])
    usage.add(tx, tenant_id, now, "numbers", [(account_id, sum(one[2] is not None for one in ended))])
    save(tx, tenant_id, slots.values())


def _end_write(
    tx: Tx,
    tenant_id: int,
    account: AccountRow,
    can: Capabilities,
    slot: Slot,
    outcome: Outcome,
    mark: Mark | None,
    first_look: int,
    now: int,
) -> str:
    """Move one slot by its end; return the attempt's word. `first_look`: when a look pays after a yes, microseconds."""
    slot.reason = ""
    if isinstance(outcome, Accepted):
        slot.attempts = 0
        if can.write == "compare_and_set":
            slot.go(SlotEvent.SEEN_AT_ONCE)
            return "SEEN"
        slot.go(SlotEvent.ACCEPTED)
        slot.verified = 0
        slot.acked_at = now
        slot.wait_until = now + first_look
        slot.priority = REPAIR
        return "ACCEPTED"
    if isinstance(outcome, Unknown):
        slot.go(SlotEvent.NO_ANSWER)
        slot.attempts += 1
        slot.verified = 0
        slot.wait_until = now + us(backoff_s(UNKNOWN_READ_S, slot.attempts, UNKNOWN_READ_S_MAX))
        slot.reason = f"no answer: {outcome.reason}"[:REASON_MAX]
        return "UNKNOWN"
    # Nothing was done: what was believed before still holds, unless somebody asked for a read meanwhile.
    slot.sent = slot.acked_at = None
    slot.exposure = slot.believed or 0
    slot.verified = int(bool(slot.verified) and not (mark and mark.reread))
    if isinstance(outcome, Throttled):
        _held_back(slot, f"throttled: {outcome.reason}", outcome.wait_s, now)
        return "THROTTLED"
    return _refused(tx, tenant_id, account, slot, outcome, now)


def _held_back(slot: Slot, reason: str, wait_s: float | None, now: int) -> None:
    slot.go(SlotEvent.THROTTLED)
    slot.attempts += 1
    most_s = URGENT_S_MAX if slot.priority <= URGENT_MAX else THROTTLED_S_MAX
    wait = wait_s if wait_s is not None else backoff_s(THROTTLED_S, slot.attempts, most_s)
    slot.wait_until = now + us(wait)
    slot.reason = reason[:REASON_MAX]


def _refused(tx: Tx, tenant_id: int, account: AccountRow, slot: Slot, outcome: Rejected, now: int) -> str:
    """A no to this number parks the slot; a no to our credentials waits for a person, the listing is not at fault."""
    if outcome.stale:
        slot.go(SlotEvent.STALE)
        slot.verified = 0
        slot.attempts += 1
        late = slot.attempts > STALE_MAX
        slot.wait_until = (
            now + us(backoff_s(READ_RETRY_S, slot.attempts - STALE_MAX, READ_RETRY_S_MAX)) if late else None
        )
        slot.reason = f"another number was there: {outcome.reason}"[:REASON_MAX]
        return "REJECTED"
    if outcome.code == "unauthorized":
        ask_to_sign_in(tx, tenant_id, account.account_id, words(outcome.reason), now)
        _held_back(slot, f"not signed in: {outcome.reason}", SIGN_IN_S, now)
        return "REJECTED"
    slot.go(SlotEvent.REJECTED)
    slot.wait_until = None
    slot.reason = f"refused: {outcome.reason}"[:REASON_MAX]
    open_task(tx, tenant_id, now, REFUSED, subject_of(slot.outlet_id), "A listing refuses its number", slot.reason)
    return "REJECTED"


def _confirmed(
    tx: Tx, tenant_id: int, account: AccountRow, can: Capabilities, slot: Slot, mark: Mark | None, now: int
) -> None:
    """Compare-and-set: the yes says what is shown. Rest if that is still the offer."""
    slot.believed, slot.believed_at, slot.verified = slot.sent, account.there(now), 1
    slot.sent = slot.acked_at = slot.wait_until = None
    slot.exposure = slot.believed or 0
    number = numbers_of(tx, tenant_id, account.account_id, [slot.outlet_id], can, now).get(slot.outlet_id)
    if number is None or number.offer == slot.believed:
        rest(tx, tenant_id, slot, mark, now)
    else:
        weigh(slot, number, slot.believed, account, mark, now)
