"""The step that hears of dirty marks: every marked outlet gets a slot, an offer, a priority, or rests.

In: dirty marks, levels, rules. Out: slots. Tables it owns: slot.
Never: calls anybody; clears a mark whose outlet does not show its offer.
"""

from __future__ import annotations

from collections.abc import Sequence

from oneshelf.channels.contract import Capabilities
from oneshelf.core.drift import NO_SALES, Sales
from oneshelf.core.slot import IN_FLIGHT, REPAIR, URGENT_MAX, SlotEvent, SlotState
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty
from oneshelf.orders.sales import sales_of

from . import floods
from .landing import doubt
from .numbers import Number, numbers_of
from .resting import is_fought_over, left_alone, rest_or_look_again, shown_range, weigh
from .slots import (
    AccountRow,
    Mark,
    Slot,
    account_row,
    late_looks,
    load,
    save,
)

#: How many marks one wake takes: a bound on one transaction.
WAKE_MAX = 1_000


def wake(tx: Tx, tenant_id: int, account_id: int, can: Capabilities, now: int) -> int:
    """Look at every mark set since the last time: give its outlet a slot, an offer, a priority. Returns how many (at most WAKE_MAX;
    as many as that: call again).

    1. Marks newer than their slot.  2. Marks of outlets that are not ours to write are dropped.  3. Offers from this moment's levels.
    4. What an outlet took off by itself needs no write (8.5): it rests.  5. The others wait by urgency.  6. What is part of a flood from
    the shop waits for a person.
    """
    rows = tx.all(
        """SELECT d.outlet_id, d.generation, d.since_at, d.reread, d.why, o.write_unit,
                  o.fulfilled_by_channel, o.state, a.channel
             FROM dirty_listing d
             JOIN outlet o ON o.tenant_id = d.tenant_id AND o.outlet_id = d.outlet_id
             JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
            WHERE d.tenant_id = :t AND d.generation > d.taken AND o.account_id = :a LIMIT :n""",
        t=tenant_id,
        a=account_id,
        n=WAKE_MAX,
    )
    if not rows:
        return 0
    dirty.taken(tx, tenant_id, [row[0] for row in rows])
    account = account_row(tx, tenant_id, account_id)
    slots = load(tx, tenant_id, [row[0] for row in rows])
    numbers = numbers_of(tx, tenant_id, account_id, [row[0] for row in rows], can, now)
    sales = sales_of(
        tx, tenant_id, {s.outlet_id: s.believed_at - account.skew for s in slots.values() if s.believed_at}
    )
    if can.write == "absolute":
        doubt(tx, tenant_id, account, slots.values(), now)
    late = late_looks(tx, tenant_id, account, list(slots.values()), now)
    changed = []
    moved: list[floods.Moved] = []
    for outlet_id, generation, since_at, reread, why, write_unit, by_channel, listing, channel in rows:
        mark = Mark(generation, since_at, bool(reread), why)
        slot = slots.get(outlet_id)
        number = numbers.get(outlet_id)
        if number is None or by_channel or channel == "shopify" or listing in ("ended", "draft", "gone"):
            _not_ours(tx, tenant_id, slot, outlet_id, mark, listing)
            changed.extend([slot] if slot else [])
            continue
        if slot is None:
            slot = Slot(outlet_id, account_id, write_unit)
        elif account.writes and not number.strict and slot.offer != number.offer:
            moved.append(floods.Moved(outlet_id, slot.offer, number.offer, why))
        slot.write_unit = write_unit
        slot.generation = generation
        _hear(
            tx,
            tenant_id,
            slot,
            mark,
            number,
            sales.get(outlet_id, NO_SALES),
            late.get(outlet_id, ()),
            account,
            can,
            now,
        )
        changed.append(slot)
    save(tx, tenant_id, changed)
    floods.hear(tx, tenant_id, account_id, moved, now)
    return len(rows)


def _not_ours(tx: Tx, tenant_id: int, slot: Slot | None, outlet_id: int, mark: Mark, listing: str) -> None:
    """An outlet that is unlinked, filled by the channel or over: it gets no number, and its mark goes."""
    dirty.clear(tx, tenant_id, outlet_id, mark.generation)
    if slot is None:
        return
    slot.generation = 0
    if slot.state in (SlotState.QUIET, SlotState.WAITING, SlotState.PARKED):
        slot.go(SlotEvent.CLOSED)
        slot.reason = f"not ours to write: {listing if listing in ('ended', 'draft', 'gone') else 'not linked, or the channel fulfils it'}"


def _hear(
    tx: Tx,
    tenant_id: int,
    slot: Slot,
    mark: Mark,
    number: Number,
    sales: Sales,
    looks: Sequence[int],
    account: AccountRow,
    can: Capabilities,
    now: int,
) -> None:
    """One slot hears of its mark. `looks`: when to look for an earlier write of ours that may still land."""
    if slot.state is SlotState.PARKED:
        again = (mark.reread or mark.why.startswith("linked")) and not is_fought_over(slot, now)
        weigh(slot, number, slot.believed, account, mark, now)
        slot.go(SlotEvent.RETRIED if again else SlotEvent.DIRTY)
        if again:
            slot.verified = slot.unseen = slot.attempts = 0
            slot.wait_until = None
            slot.since_at = mark.since_at
        return
    if slot.state in IN_FLIGHT or slot.state in (SlotState.APPLYING, SlotState.UNKNOWN):
        slot.go(SlotEvent.DIRTY)
        _hear_in_flight(slot, mark, number, account, now)
        return
    if mark.reread:
        slot.verified = 0
    low, high = shown_range(slot, sales, account.skew) if slot.believed is not None else (0, None)
    weigh(slot, number, high, account, mark, now)
    if slot.verified and high == slot.offer:
        rest_or_look_again(tx, tenant_id, account, slot, mark, looks, low == high, now)
        return
    slot.verified = min(slot.verified, 1)
    if slot.attempts == 0 or slot.priority <= URGENT_MAX:
        slot.wait_until = None
    if slot.odd_since is not None and high is not None and slot.offer != max(0, high - slot.odd):
        slot.odd_since, slot.odd = None, 0  # a number is due whatever explains the difference
    slot.since_at = slot.since_at or mark.since_at
    slot.go(SlotEvent.DIRTY)
    left_alone(slot, number, high, can.write == "absolute", now)


def _hear_in_flight(slot: Slot, mark: Mark, number: Number, account: AccountRow, now: int) -> None:
    """A call is out or a write is not seen yet: remember the offer; what is urgent and differs from the number under way is looked
    at at once, and may add a write (8.1)."""
    under_way = slot.believed if slot.sent is None else max(slot.sent, slot.base or 0)
    weigh(slot, number, under_way, account, mark, now)
    if slot.sent is not None and slot.offer == slot.sent:
        slot.priority = REPAIR
    elif slot.state is SlotState.APPLYING and slot.priority <= URGENT_MAX:
        slot.wait_until = None
