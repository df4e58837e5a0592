"""Where one call writes price and quantity of a whole listing together (Etsy), a price write is a write of its numbers too: the same slots,
attempts and reads know of it, so that neither undoes the other.

In: the listing about to be priced. Out: the numbers that go along, written down as the writes that they are; or until when to wait.
Tables it owns: slot, attempt. Never: raises a number above its offer or above what was just read; joins a number that is open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from oneshelf.channels.contract import Capabilities, Outlet
from oneshelf.core.instants import SECOND
from oneshelf.core.outcome import Outcome, Rejected, Throttled
from oneshelf.core.slot import BASE_FRESH_S, SlotEvent, SlotState
from oneshelf.db.tx import Tx

from .exposure import room_for
from .numbers import numbers_of
from .planning import Told, outlets_of
from .planning import record as record_numbers
from .slots import AccountRow, Slot, WriteItem, load_units, marks_of, save

#: How long a price waits for its listing's numbers to be read, and for a difference among them to be explained.
READ_WAIT_S = 1.0
ODD_WAIT_S = 30.0


class Along(msgspec.Struct, frozen=True):
    """What goes along: `told`, the numbers as writes; `quantities`, outlet → the most that the call may write. `wait_until`: not now."""

    told: tuple[Told, ...] = ()
    quantities: Mapping[int, int] = {}
    outlets: Mapping[int, Outlet] = {}
    wait_until: int | None = None
    reason: str = ""
    #: Nothing of the listing would be on sale: such a write is not taken.
    shows_nothing: bool = False


NOTHING = Along()


def take_along(
    tx: Tx, tenant_id: int, account: AccountRow, unit: str, priced: set[int], can: Capabilities, now: int
) -> Along:
    """Return the numbers of a listing that go along with its prices: what was just read, never more than the offer.

    `priced`: outlets that the call names; the others' numbers go as the connector reads them. Nothing about the numbers may be open, and
    they must have been read just now: if not, that is asked for and the price waits.
    """
    slots = [
        slot for slot in load_units(tx, tenant_id, account.account_id, [unit]) if slot.state is not SlotState.PARKED
    ]
    if any(slot.state not in (SlotState.QUIET, SlotState.WAITING) for slot in slots):
        return Along(
            wait_until=now + round(READ_WAIT_S * SECOND), reason="waits: a number of its listing is on its way"
        )
    if any(slot.odd_since is not None for slot in slots):
        return Along(
            wait_until=now + round(ODD_WAIT_S * SECOND), reason="waits: its listing shows more than orders explain"
        )
    ids = [slot.outlet_id for slot in slots]
    marked = marks_of(tx, tenant_id, ids)
    stale = [slot for slot in slots if not _just_read(slot, account.there(now))]
    if stale:
        for slot in stale:
            if slot.verified != 0:  # no mark: the number owes nobody anything, it is only looked at
                slot.go(SlotEvent.DIRTY)
                slot.verified = 0
        save(tx, tenant_id, stale)
        return Along(wait_until=now + round(READ_WAIT_S * SECOND), reason="waits: its listing's numbers are read first")
    numbers = numbers_of(tx, tenant_id, account.account_id, ids, can, now)
    told = []
    for slot in slots:
        number = numbers.get(slot.outlet_id)
        if number is None or slot.believed is None:
            continue
        slot.offer = number.offer
        quantity = min(slot.believed, number.offer) if slot.outlet_id in priced else slot.believed
        # What only goes along was not owed: it says nothing of how long a number takes.
        owed = marked.get(slot.outlet_id) if quantity != slot.believed else None
        told.append(Told(slot, quantity, number, owed))
    strict = {one.slot.outlet_id: one.quantity for one in told if one.number.strict and one.quantity}
    if strict and not room_for(tx, tenant_id, strict, now):
        return Along(
            wait_until=now + round(ODD_WAIT_S * SECOND),
            reason="waits: a piece of a strict SKU would be promised twice (S8.7)",
        )
    if told and len(told) == len(slots) and not any(one.quantity for one in told):
        return Along(shows_nothing=True)
    quantities = {one.slot.outlet_id: one.quantity for one in told if one.slot.outlet_id in priced}
    return Along(tuple(told), quantities, outlets_of(tx, tenant_id, ids))


def _just_read(slot: Slot, there: int) -> bool:
    fresh = slot.believed_at is not None and slot.believed_at >= there - round(BASE_FRESH_S * SECOND)
    return fresh and slot.verified != 0


def record(tx: Tx, tenant_id: int, account: AccountRow, along: Along, now: int) -> tuple[WriteItem, ...]:
    """Write the numbers down as writes: their slots are SENDING from now on."""
    return record_numbers(tx, tenant_id, account, along.told, along.outlets, now) if along.told else ()


def ends_of_numbers(outcomes: Mapping[str, Outcome], along: Sequence[WriteItem], otherwise: Outcome) -> list[Outcome]:
    """Return the end of each number that went along: that of its listing's write. A refused price says nothing against a number, which was
    then not written. `otherwise`: where the outlet itself was not named."""
    ends: list[Outcome] = []
    for item in along:
        end = outcomes.get(item.outlet.external_id, otherwise)
        ends.append(Throttled(0.0, f"it went along with a price: {end.reason}") if isinstance(end, Rejected) else end)
    return ends
