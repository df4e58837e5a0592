"""A parcel told to a marketplace: its states as a table, and which units go with which parcel (SEMANTICS 10).

One row is one hub fulfilment and one marketplace line. Units are listings (a two-pack counts 1), pieces are pieces of a SKU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from .order import Refused


class ShipmentState(StrEnum):
    """QUEUED: owed. SENT: a call is under way. UNKNOWN: it had no answer, read first. CONFIRMED: the marketplace knows it.
    REFUSED: it said no, a person must act. RECORDED: nothing to tell (another parcel told it, or it was shipped there).
    CALLED_OFF: the fulfilment was cancelled, or nobody wants its units any more, before anything was told."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    UNKNOWN = "UNKNOWN"
    CONFIRMED = "CONFIRMED"
    REFUSED = "REFUSED"
    RECORDED = "RECORDED"
    CALLED_OFF = "CALLED_OFF"


class ShipmentEvent(StrEnum):
    """What can happen to it. FOUND and NOT_FOUND are what a read of the marketplace says."""

    FULFILLED = "fulfilled"
    SEND = "send"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    THROTTLED = "throttled"
    UNANSWERED = "unanswered"
    FOUND = "found"
    NOT_FOUND = "not_found"
    CHANGED = "changed"
    NEEDLESS = "needless"
    CALLED_OFF = "called_off"


S, E = ShipmentState, ShipmentEvent

#: (state, event) → state; what is missing is refused. A retry passes through a read: SENT never follows UNKNOWN (S10.2, I18).
SHIPMENT_TRANSITIONS: dict[tuple[ShipmentState | None, ShipmentEvent], ShipmentState] = {
    (None, E.FULFILLED): S.QUEUED,
    (S.QUEUED, E.FULFILLED): S.QUEUED,
    (S.QUEUED, E.SEND): S.SENT,
    (S.QUEUED, E.FOUND): S.CONFIRMED,  # an echo: somebody told it before us
    (S.QUEUED, E.NOT_FOUND): S.QUEUED,
    (S.QUEUED, E.CHANGED): S.QUEUED,
    (S.QUEUED, E.NEEDLESS): S.RECORDED,
    (S.QUEUED, E.CALLED_OFF): S.CALLED_OFF,
    (S.SENT, E.ACCEPTED): S.CONFIRMED,
    (S.SENT, E.REJECTED): S.REFUSED,
    (S.SENT, E.THROTTLED): S.QUEUED,
    (S.SENT, E.UNANSWERED): S.UNKNOWN,
    (S.SENT, E.CHANGED): S.SENT,
    (S.UNKNOWN, E.FOUND): S.CONFIRMED,
    (S.UNKNOWN, E.NOT_FOUND): S.QUEUED,
    (S.UNKNOWN, E.CHANGED): S.UNKNOWN,
    (S.CONFIRMED, E.CHANGED): S.QUEUED,  # a new version of the same key (S10.3)
    (S.REFUSED, E.CHANGED): S.QUEUED,
    (S.RECORDED, E.CHANGED): S.RECORDED,
    (S.CALLED_OFF, E.FULFILLED): S.QUEUED,  # its units are wanted again
    (S.CALLED_OFF, E.CHANGED): S.CALLED_OFF,
}


def transition(state: ShipmentState | None, event: ShipmentEvent) -> ShipmentState:
    """Return the next state. Raises Refused for a step that the table does not have."""
    after = SHIPMENT_TRANSITIONS.get((state, event))
    if after is None:
        raise Refused(f"a shipment in state {'NONE' if state is None else state} can't take {event.value}")
    return after


class Left(msgspec.Struct, frozen=True):
    """One fulfilment that left: the pieces of one marketplace line in it, by SKU."""

    shipment_id: str
    pieces: Mapping[str, int]


def units_by_parcel(
    per_unit: Mapping[str, int], wanted: int, parcels: Sequence[Left], told: Mapping[str, int]
) -> dict[str, int]:
    """Return {shipment id: units} for the parcels of one line that are not in `told`.

    `per_unit`: pieces of each SKU in one unit (a pack: one SKU; a bundle: several). `wanted`: units that the marketplace still asks for,
    shipped ones included. `parcels`: what left and was not cancelled, oldest first. `told`: units that the marketplace was told, or may
    have been, by fulfilment, cancelled ones too: it is never un-shipped, so that they count for good (S10.5).
    A unit goes with the parcel that completes it (S10.7); together never more than `wanted` (S10.3).

    >>> units_by_parcel({"CUP": 2}, 2, [Left("F1", {"CUP": 1}), Left("F2", {"CUP": 3})], {})
    {'F1': 0, 'F2': 2}
    """
    gone = dict.fromkeys(per_unit, 0)
    complete = 0
    fresh: list[tuple[str, int]] = []
    for parcel in parcels:
        for sku, pieces in parcel.pieces.items():
            gone[sku] += pieces
        before, complete = complete, min(gone[sku] // n for sku, n in per_unit.items())
        if parcel.shipment_id not in told:
            fresh.append((parcel.shipment_id, complete - before))
    left = max(0, min(complete, wanted) - sum(told.values()))
    units: dict[str, int] = {}
    for shipment_id, own in fresh:
        units[shipment_id] = min(own, left)
        left -= units[shipment_id]
    return units


def same_number(one: str | None, other: str | None) -> bool:
    """Whether two tracking numbers are one: marketplaces fold case and drop blanks and dashes."""
    return bool(one and other) and _plain(one) == _plain(other)


def _plain(number: str | None) -> str:
    return "".join(c for c in (number or "").casefold() if c.isalnum())
