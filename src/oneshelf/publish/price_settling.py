"""Steps that take in what came back of a price call: reads, and the ends of writes.

In: prices seen, outcomes. Out: price slots at rest, waiting or parked; attempts, tasks, journal lines. Tables it owns: price_slot,
price_attempt. Never: takes silence for a yes or a no; clears a newer mark; repairs for ever against someone else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from oneshelf.channels.abilities import PriceSeen
from oneshelf.channels.contract import Capabilities, NoAnswer
from oneshelf.core.backoff import backoff_s
from oneshelf.core.errors import Retry, SignInAgain
from oneshelf.core.instants import SECOND, to_us
from oneshelf.core.money import in_words
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown
from oneshelf.core.price import PRICE_CHANGED, PRICE_REPAIR, REPAIR_DAYS, NoPrice, Priced
from oneshelf.core.slot import (
    GONE_MAX,
    READ_RETRY_S,
    READ_RETRY_S_MAX,
    REPAIRS_MAX,
    SIGN_IN_S,
    STALE_MAX,
    THROTTLED_S,
    THROTTLED_S_MAX,
    UNKNOWN_READ_S,
    UNKNOWN_READ_S_MAX,
    UNSEEN_MAX,
    SlotEvent,
    SlotState,
    next_look_s,
)
from oneshelf.db import events
from oneshelf.db.journal import note, open_task
from oneshelf.db.tx import Tx
from oneshelf.pricing import marks
from oneshelf.pricing.levels import prices_of
from oneshelf.tenants import usage

from . import carrying
from .price_slots import (
    FOUGHT,
    NEVER_SEEN,
    REFUSED,
    Following,
    PriceReadCall,
    PriceSlot,
    PriceWriteCall,
    close_account_tasks,
    following,
    late_prices,
    load,
    marks_of,
    park,
    park_for_no_price,
    rest,
    save,
)
from .resting import DAY, REASON_MAX, ask_to_sign_in, subject_of, us, words
from .slots import LOOK_AGAIN, Mark, Windows, WriteCall, account_row, windows
from .writes import settle_write

#: A listing that is not on sale takes no price now (Etsy); it is told when its number shows that it is again.
NOT_ON_SALE = ("out_of_stock", "inactive", "sold_out", "draft", "expired")
#: Refusals that say nothing against the price: what the call needed could not be read.
NOT_SENT = ("read_failed",)
NOT_SENT_WAIT_S = 300.0


# --- a read -----------------------------------------------------------------------------------------------------------


def settle_price_read(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    call: PriceReadCall,
    result: Sequence[PriceSeen] | BaseException,
    now: int,
) -> None:
    """Take in a read.

    1. What could not be read waits.  2. A write not yet seen: it has landed, may still, or is given up.  3. With the hub's price as it is
    now: rest, wait for a write, look again, or park.
    """
    slots = {
        o: s for o, s in load(tx, tenant_id, [i.outlet_id for i in call.items]).items() if s.state is SlotState.READING
    }
    whose = following(tx, tenant_id, account_id)
    if isinstance(result, BaseException):
        wait_s = result.wait_s if isinstance(result, Retry) else None
        if isinstance(result, SignInAgain):
            ask_to_sign_in(tx, tenant_id, account_id, words(result), now)
            wait_s = SIGN_IN_S
        for slot in slots.values():
            _read_failed(slot, result.reason if isinstance(result, NoAnswer) else words(result), now, wait_s)
        save(tx, tenant_id, slots.values())
        return
    found = {seen.external_id: seen for seen in result}
    window = windows(tx, tenant_id, whose.account, "price_attempt")
    judged: list[tuple[PriceSlot, PriceSeen, int]] = []
    for item in call.items:
        one, seen = slots.get(item.outlet_id), found.get(item.outlet.external_id)
        if one is None:
            continue
        if seen is None:
            _read_failed(one, "the answer did not name this listing", now)
        elif _is_readable(tx, tenant_id, one, seen, now) and _has_settled(tx, tenant_id, one, seen, window, now):
            judged.append((one, seen, to_us(seen.read_at)))
    _conclude(tx, tenant_id, whose, judged, window, now)
    save(tx, tenant_id, slots.values())
    _hear_again(tx, tenant_id, slots.values())
    close_account_tasks(tx, tenant_id, account_id, now)


def _hear_again(tx: Tx, tenant_id: int, slots: Iterable[PriceSlot]) -> None:
    """What was parked may have been marked while its call was out: the shop's price of now may be another one."""
    marks.look_again(tx, tenant_id, [slot.outlet_id for slot in slots if slot.state is SlotState.PARKED])


def _read_failed(slot: PriceSlot, reason: str, now: int, wait_s: float | None = None) -> None:
    slot.go(SlotEvent.READ_FAILED)
    slot.attempts += 1
    slot.verified = 0
    slot.reason = f"read failed: {reason}"[:REASON_MAX]
    slot.wait_until = now + us(max(wait_s or 0.0, backoff_s(READ_RETRY_S, slot.attempts, READ_RETRY_S_MAX)))


def _is_readable(tx: Tx, tenant_id: int, slot: PriceSlot, seen: PriceSeen, now: int) -> bool:
    """Whether the read tells a price; if not, the slot is dealt with. A listing that is over has its task by its number already."""
    last = slot.attempts + 1 >= GONE_MAX
    if seen.state == "gone" and not last:
        _read_failed(slot, "the channel does not know this listing", now)
    elif seen.state in ("gone", "ended", "draft"):
        _give_up(tx, tenant_id, slot)
        park(tx, tenant_id, slot, SlotEvent.CLOSED, "closed", f"the listing is {seen.state}", None)
    elif seen.price is None and not last:
        _read_failed(slot, seen.problem or "the channel gave no price", now)
    elif seen.price is None:
        why = seen.problem or "the channel gave no price"
        _give_up(tx, tenant_id, slot)
        park(tx, tenant_id, slot, SlotEvent.CLOSED, "unreadable", why, None)
        open_task(tx, tenant_id, now, REFUSED, subject_of(slot.outlet_id), "A listing's price can't be read", why)
    else:
        return True
    return False


def _give_up(tx: Tx, tenant_id: int, slot: PriceSlot) -> None:
    """The write under way is not waited for any more (it may still land: `late_prices`)."""
    slot.sent = slot.acked_at = None
    tx.run(
        "UPDATE price_attempt SET outcome = 'UNSEEN' WHERE tenant_id = :t AND outlet_id = :o AND outcome IN ('ACCEPTED', 'UNKNOWN')",
        t=tenant_id,
        o=slot.outlet_id,
    )


def _has_settled(tx: Tx, tenant_id: int, slot: PriceSlot, seen: PriceSeen, window: Windows, now: int) -> bool:
    """Judge the write that is not yet seen, if there is one. False: look again later, or parked for good.

    Accepted: until twice the publish window; the third in a row that never shows parks. Unknown: one read tells.
    """
    assert seen.price is not None
    if slot.sent is None:
        return True
    if seen.price.minor == slot.sent:
        slot.since_at, slot.unseen, slot.sent, slot.acked_at = slot.sent_at, 0, None, None
        slot.believed = seen.price.minor
        tx.run(
            "UPDATE price_attempt SET seen_at = :at, outcome = 'SEEN' WHERE tenant_id = :t AND outlet_id = :o "
            "AND outcome IN ('ACCEPTED', 'UNKNOWN')",
            at=now,
            t=tenant_id,
            o=slot.outlet_id,
        )
        return True
    if slot.acked_at is not None:
        if now < slot.acked_at + window.deadline:
            look_s = next_look_s((now - slot.acked_at) / SECOND, window.first_look / SECOND, window.deadline / SECOND)
            slot.go(SlotEvent.NOT_YET)
            slot.wait_until = max(now + us(0.5), slot.acked_at + us(look_s))
            return False
        slot.unseen += 1
        if slot.unseen >= UNSEEN_MAX:
            told, asks = in_words(slot.sent, seen.price.currency), in_words(seen.price.minor, seen.price.currency)
            why = f"{UNSEEN_MAX} times the channel took {told} and went on asking {asks}"
            slot.believed, slot.believed_at = seen.price.minor, to_us(seen.read_at)
            _give_up(tx, tenant_id, slot)
            park(tx, tenant_id, slot, SlotEvent.NEVER_SEEN, "unseen", why, None)
            open_task(
                tx, tenant_id, now, NEVER_SEEN, subject_of(slot.outlet_id), "A listing does not take its price", why
            )
            return False
    _give_up(tx, tenant_id, slot)
    return True


def _conclude(
    tx: Tx,
    tenant_id: int,
    whose: Following,
    judged: Sequence[tuple[PriceSlot, PriceSeen, int]],
    window: Windows,
    now: int,
) -> None:
    """With the hub's prices as they are now: rest, a price to tell, another look, or a person."""
    ids = [slot.outlet_id for slot, _, _ in judged]
    currencies = {slot.outlet_id: seen.price.currency for slot, seen, _ in judged if seen.price is not None}
    asked = prices_of(tx, tenant_id, ids, currencies, whose.policy, now)
    marked = marks_of(tx, tenant_id, ids)
    late = late_prices(tx, tenant_id, [slot for slot, _, _ in judged], now)
    marks.taken(tx, tenant_id, list(marked))
    for slot, seen, read_at in judged:
        assert seen.price is not None
        before, known, mark = slot.believed, slot.offer, marked.get(slot.outlet_id)
        slot.believed, slot.believed_at, slot.verified = seen.price.minor, read_at, 1
        slot.rested = slot.rested if slot.currency == seen.price.currency else None
        slot.currency, slot.attempts = seen.price.currency, 0
        price, writes = asked[slot.outlet_id], late.get(slot.outlet_id, [])
        echo = any((minor, currency) == (slot.believed, slot.currency) for minor, currency, _ in writes)
        if isinstance(price, NoPrice):
            park_for_no_price(tx, tenant_id, slot, price, mark, whose.account, now)
        elif mark is not None and mark.reread:
            slot.offer = price.price.minor
            _wait(slot, mark, now, "asked to look again while it was read")
            slot.verified = 0
        else:
            # Somebody else's price: it was right when we last saw it, nothing of ours is late, and the shop's has not changed.
            changed = before is not None and before != slot.believed and before == known == price.price.minor
            _next(tx, tenant_id, slot, price, mark, writes, window, now, drifted=changed and not echo, known=known)


def _next(
    tx: Tx,
    tenant_id: int,
    slot: PriceSlot,
    price: Priced,
    mark: Mark | None,
    late: Sequence[tuple[int, str, int]],
    window: Windows,
    now: int,
    *,
    drifted: bool,
    known: int | None,
) -> None:
    slot.offer = price.price.minor
    if slot.believed == slot.offer:
        ends = [(taken_at + window.usual, taken_at + window.late) for minor, _, taken_at in late if minor != slot.offer]
        again_at = min((at for both in ends for at in both if at > (slot.believed_at or 0)), default=None)
        if again_at is None:
            rest(tx, tenant_id, slot, price, mark, now)
            return
        _wait(slot, mark, now, "right, but an earlier write may still change it")
        slot.verified, slot.wait_until = LOOK_AGAIN, max(again_at, now)
        return
    if drifted and _fights(tx, tenant_id, slot, mark, now):
        return
    _wait(slot, mark, now, "repair: somebody or something else wrote this price" if drifted else "")
    slot.priority = PRICE_CHANGED if known is not None and known != slot.offer else slot.priority


def _wait(slot: PriceSlot, mark: Mark | None, now: int, reason: str) -> None:
    slot.go(SlotEvent.READ_DIFFERS)
    slot.since_at = slot.since_at or (mark.since_at if mark else now)
    slot.wait_until = None
    slot.reason = reason


def _fights(tx: Tx, tenant_id: int, slot: PriceSlot, mark: Mark | None, now: int) -> bool:
    """A price that was changed at the channel is repaired; the third time within a week it stops, and a person is told."""
    if slot.repairs_since is None or slot.repairs_since <= now - REPAIR_DAYS * DAY:
        slot.repairs, slot.repairs_since = 0, now
    slot.repairs += 1
    subject = subject_of(slot.outlet_id)
    what = "A listing asked another price than it was told"
    note(tx, tenant_id, now, "reconcile", what, subject, shown=slot.believed, offer=slot.offer, repair=slot.repairs)
    if slot.repairs < REPAIRS_MAX:
        slot.priority = PRICE_REPAIR
        return False
    asks, should = in_words(slot.believed, slot.currency), in_words(slot.offer, slot.currency)
    why = f"someone or something else sets this price, the third time in {REPAIR_DAYS} days: it asks {asks}, the shop {should}"
    park(tx, tenant_id, slot, SlotEvent.FOUGHT, "fought", why, mark)
    open_task(tx, tenant_id, now, FOUGHT, subject, "Someone or something else sets this listing's price", slot.reason)
    return True


# --- the ends of a write ------------------------------------------------------------------------------------------------


def settle_price_write(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    can: Capabilities,
    call: PriceWriteCall,
    outcomes: Sequence[Outcome] | BaseException,
    now: int,
) -> None:
    """Take in the ends of a write, matched per item; an item without its own end is Unknown. Numbers that went along end with it."""
    slots = load(tx, tenant_id, [item.outlet_id for item in call.items])
    window = windows(tx, tenant_id, account_row(tx, tenant_id, account_id), "price_attempt")
    ends: dict[str, Outcome] = {}
    rows, told = [], []
    for index, item in enumerate(call.items):
        outcome: Outcome
        if isinstance(outcomes, BaseException):
            outcome = Unknown(f"the call broke: {words(outcomes)}")
        elif index < len(outcomes):
            outcome = outcomes[index]
        else:
            outcome = Unknown("the answer did not name this item")
        ends[item.outlet.external_id] = outcome
        slot = slots.get(item.outlet_id)
        if slot is None or slot.state is not SlotState.SENDING:
            continue
        word = _end_write(tx, tenant_id, account_id, slot, outcome, window, now)
        rows.append((word, slot.reason, now if word == "ACCEPTED" else None, tenant_id, item.attempt_no))
        told += [item.outlet_id] if word == "ACCEPTED" else []
    tx.many(
        "UPDATE price_attempt SET outcome = ?, reason = ?, accepted_at = ? WHERE tenant_id = ? AND attempt_no = ?", rows
    )
    events.tell(tx, tenant_id, now, "price.changed", [{"listing": outlet_id} for outlet_id in told])
    usage.add(tx, tenant_id, now, "prices", [(account_id, sum(row[2] is not None for row in rows))])
    save(tx, tenant_id, slots.values())
    _hear_again(tx, tenant_id, slots.values())
    if call.along:
        # One write, one end: every number of the listing was in it.
        numbers = carrying.ends_of_numbers(ends, call.along, next(iter(ends.values())))
        settle_write(
            tx, tenant_id, account_id, can, WriteCall(tenant_id, account_id, call.priority, call.along), numbers, now
        )


def _end_write(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    slot: PriceSlot,
    outcome: Outcome,
    window: Windows,
    now: int,
) -> str:
    """Move one price slot by its end; return the attempt's word."""
    slot.reason = ""
    if isinstance(outcome, Accepted):
        slot.go(SlotEvent.ACCEPTED)
        slot.attempts = slot.verified = 0
        slot.acked_at, slot.wait_until = now, now + window.first_look
        return "ACCEPTED"
    if isinstance(outcome, Unknown):
        slot.go(SlotEvent.NO_ANSWER)
        slot.attempts += 1
        slot.verified = 0
        slot.wait_until = now + us(backoff_s(UNKNOWN_READ_S, slot.attempts, UNKNOWN_READ_S_MAX))
        slot.reason = f"no answer: {outcome.reason}"[:REASON_MAX]
        return "UNKNOWN"
    told = slot.sent
    slot.sent = slot.acked_at = None  # nothing was done: what was believed before still holds
    if isinstance(outcome, Throttled):
        _held_back(slot, f"throttled: {outcome.reason}", outcome.wait_s, now)
        return "THROTTLED"
    if outcome.stale:
        slot.go(SlotEvent.STALE)
        slot.verified = 0
        slot.attempts += 1
        late = slot.attempts - STALE_MAX
        slot.wait_until = now + us(backoff_s(READ_RETRY_S, late, READ_RETRY_S_MAX)) if late > 0 else None
        slot.reason = f"another price was there: {outcome.reason}"[:REASON_MAX]
    elif outcome.code == "unauthorized":
        ask_to_sign_in(tx, tenant_id, account_id, words(outcome.reason), now)
        _held_back(slot, f"not signed in: {outcome.reason}", SIGN_IN_S, now)
    elif outcome.code in NOT_ON_SALE:
        park(tx, tenant_id, slot, SlotEvent.REJECTED, "not_on_sale", f"told when it is on sale: {outcome.reason}", None)
    elif outcome.code in NOT_SENT:
        _held_back(slot, f"not sent: {outcome.reason}", NOT_SENT_WAIT_S, now)
    elif told == slot.believed:
        _held_back(slot, f"it went along with a price that was refused: {outcome.reason}", 0.0, now)
    else:
        _refused(tx, tenant_id, slot, outcome, told, now)
    return "REJECTED"


def _held_back(slot: PriceSlot, reason: str, wait_s: float | None, now: int) -> None:
    slot.go(SlotEvent.THROTTLED)
    slot.attempts += 1
    wait = wait_s if wait_s is not None else backoff_s(THROTTLED_S, slot.attempts, THROTTLED_S_MAX)
    slot.wait_until = now + us(wait)
    slot.reason = reason[:REASON_MAX]


def _refused(tx: Tx, tenant_id: int, slot: PriceSlot, outcome: Rejected, told: int | None, now: int) -> None:
    """A no to this price parks it with the channel's words; another price of the shop is tried."""
    why = f"refused {in_words(told, slot.currency)}: {outcome.reason}"
    park(tx, tenant_id, slot, SlotEvent.REJECTED, "refused", why, None)
    open_task(tx, tenant_id, now, REFUSED, subject_of(slot.outlet_id), "A listing refuses its price", slot.reason)
