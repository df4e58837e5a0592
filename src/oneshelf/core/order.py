"""The life of an order line (SEMANTICS 5). States are a table; counts are pieces."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec


class LineState(StrEnum):
    """State of the open pieces of a line. UNLINKED: no SKU is known for it yet, it holds nothing (S4.5)."""

    __hash__ = (
        str.__hash__
    )  # as the text that it equals, and without a call into Python: a key for every line of every order

    UNLINKED = "U"
    PENDING = "P"
    OPEN = "O"
    RELEASED = "R"
    SHIPPED = "S"
    CANCELLED = "C"
    CANCEL_WANTED = "X"
    MERCHANT = "M"


class LineEvent(StrEnum):
    """What can happen to a line."""

    __hash__ = str.__hash__

    PLACED = "placed"
    PAID = "paid"
    CANCELLED = "cancelled"
    SHIPPED = "shipped"
    RELEASE = "release"
    CANCEL_WANTED = "cancel_wanted"
    CANCEL_ACCEPTED = "cancel_accepted"
    CANCEL_REFUSED = "cancel_refused"
    EXPIRED = "expired"


Alert = Literal["stop_the_parcel", "shipped_after_cancel", "cancel_crossed_parcel"]


class Refused(Exception):
    """Our own move is not allowed in this state; the line is as it was."""


S, E = LineState, LineEvent

#: (state, event) → state. An event of ours that is missing here is refused; a channel's is never refused (S1.10).
LINE_TRANSITIONS: dict[tuple[LineState, LineEvent], LineState] = {
    (S.PENDING, E.PLACED): S.PENDING,
    (S.PENDING, E.PAID): S.OPEN,
    (S.PENDING, E.CANCELLED): S.CANCELLED,
    (S.PENDING, E.SHIPPED): S.SHIPPED,
    (S.PENDING, E.CANCEL_WANTED): S.CANCEL_WANTED,
    (S.PENDING, E.EXPIRED): S.CANCELLED,
    (S.OPEN, E.PLACED): S.OPEN,
    (S.OPEN, E.PAID): S.OPEN,
    (S.OPEN, E.CANCELLED): S.CANCELLED,
    (S.OPEN, E.SHIPPED): S.SHIPPED,
    (S.OPEN, E.RELEASE): S.RELEASED,
    (S.OPEN, E.CANCEL_WANTED): S.CANCEL_WANTED,
    (S.RELEASED, E.PLACED): S.RELEASED,
    (S.RELEASED, E.PAID): S.RELEASED,
    (S.RELEASED, E.CANCELLED): S.CANCELLED,  # the parcel may be on its way: alert
    (S.RELEASED, E.SHIPPED): S.SHIPPED,
    (S.RELEASED, E.RELEASE): S.RELEASED,
    (S.CANCEL_WANTED, E.PLACED): S.CANCEL_WANTED,
    (S.CANCEL_WANTED, E.PAID): S.CANCEL_WANTED,
    (S.CANCEL_WANTED, E.CANCELLED): S.CANCELLED,
    (S.CANCEL_WANTED, E.SHIPPED): S.SHIPPED,  # somebody shipped what we wanted to cancel: alert
    (S.CANCEL_WANTED, E.CANCEL_WANTED): S.CANCEL_WANTED,
    (S.CANCEL_WANTED, E.CANCEL_ACCEPTED): S.CANCELLED,
    (S.CANCEL_WANTED, E.CANCEL_REFUSED): S.MERCHANT,
    (S.CANCEL_WANTED, E.EXPIRED): S.CANCELLED,
    (S.MERCHANT, E.PLACED): S.MERCHANT,
    (S.MERCHANT, E.PAID): S.MERCHANT,
    (S.MERCHANT, E.CANCELLED): S.CANCELLED,
    (S.MERCHANT, E.SHIPPED): S.SHIPPED,
    (S.MERCHANT, E.RELEASE): S.RELEASED,
    (S.MERCHANT, E.CANCEL_WANTED): S.CANCEL_WANTED,
    (S.MERCHANT, E.CANCEL_ACCEPTED): S.CANCELLED,
    (S.MERCHANT, E.CANCEL_REFUSED): S.MERCHANT,
    (S.MERCHANT, E.EXPIRED): S.CANCELLED,
    (S.SHIPPED, E.PLACED): S.SHIPPED,
    (S.SHIPPED, E.PAID): S.SHIPPED,
    (S.SHIPPED, E.CANCELLED): S.SHIPPED,  # really happens: the cancel crossed the parcel
    (S.SHIPPED, E.SHIPPED): S.SHIPPED,
    (S.SHIPPED, E.CANCEL_ACCEPTED): S.SHIPPED,
    (S.CANCELLED, E.PLACED): S.CANCELLED,
    (S.CANCELLED, E.PAID): S.CANCELLED,  # a revived line goes through `revived`, not through here
    (S.CANCELLED, E.CANCELLED): S.CANCELLED,
    (S.CANCELLED, E.SHIPPED): S.SHIPPED,  # alert
    (S.CANCELLED, E.CANCEL_ACCEPTED): S.CANCELLED,
    (S.CANCELLED, E.EXPIRED): S.CANCELLED,
}

#: What a channel tells. Total: in every state each of these has an answer.
TOLD = (E.PLACED, E.PAID, E.CANCELLED, E.SHIPPED)

ALERTS: dict[tuple[LineState, LineEvent], Alert] = {
    (S.RELEASED, E.CANCELLED): "stop_the_parcel",
    (S.CANCEL_WANTED, E.SHIPPED): "shipped_after_cancel",
    (S.CANCELLED, E.SHIPPED): "shipped_after_cancel",
    (S.SHIPPED, E.CANCEL_ACCEPTED): "cancel_crossed_parcel",
}

FIRST: dict[LineEvent, LineState] = {
    E.PLACED: S.PENDING,
    E.PAID: S.OPEN,
    E.CANCELLED: S.CANCELLED,
    E.SHIPPED: S.SHIPPED,
}


def transition(state: LineState | None, event: LineEvent) -> LineState:
    """Return the next state. Raises Refused for a move of ours that the table does not have."""
    after = FIRST.get(event) if state is None or state is S.UNLINKED else LINE_TRANSITIONS.get((state, event))
    if after is None:
        raise Refused(f"a line in state {'NONE' if state is None else state.name} can't take {event.value}")
    return after


class Counts(msgspec.Struct, frozen=True, gc=False):
    """The four counts of a line, in pieces. `shipped`: left the shelf (hub fulfilments). `told_shipped`: what its channel says."""

    ordered: int
    cancelled: int = 0
    shipped: int = 0
    told_shipped: int = 0

    @property
    def open(self) -> int:
        """Pieces that still lie on the shelf for this line."""
        return max(0, self.ordered - self.cancelled - self.shipped)


class Step(msgspec.Struct, frozen=True, gc=False):
    """The line after a snapshot."""

    state: LineState
    alerts: tuple[Alert, ...] = ()


def follow(state: LineState | None, counts: Counts, *, paid: bool, ended: bool, revived: bool = False) -> Step:
    """Return the state after one snapshot with these counts.

    `ended`: nothing more is wanted (cancelled or payment failed). The snapshot is turned into the event of the table that says most:
    shipped, else cancelled, else paid or placed. A shipped line of which nothing has left any more, or of which pieces are
    wanted again (its fulfilment was cancelled, more was ordered), begins anew: the newest snapshot decides, not the way to it (S4.4).
    """
    wanted = counts.ordered - counts.cancelled
    gone = max(counts.shipped, counts.told_shipped)
    if state is S.SHIPPED and (gone < wanted or not gone):
        state = None
    if revived and state is S.CANCELLED and gone < wanted:
        state = None
    if gone > 0 and gone >= wanted:  # also when all of it was cancelled: the cancel crossed the parcel
        if state is S.SHIPPED:
            return Step(state)
        event = E.SHIPPED
    elif wanted <= 0 or ended:
        if state is S.CANCELLED:
            return Step(state)
        event = E.CANCELLED
    else:
        event = E.PAID if paid else E.PLACED
    alert = None if state is None else ALERTS.get((state, event))
    return Step(transition(state, event), () if alert is None else (alert,))


def buckets(state: LineState, counts: Counts, *, paid: bool) -> tuple[int, int]:
    """Return (reserved, committed): what the line has in the ledger in this state, in pieces (I3)."""
    if state in (S.UNLINKED, S.CANCELLED):
        return 0, 0
    if state is S.PENDING or (state in (S.CANCEL_WANTED, S.MERCHANT) and not paid):
        return counts.open, 0
    return 0, counts.open


def order_state(states: list[LineState]) -> str:
    """S5.2: all lines equal → that state's name; else PARTIAL."""
    kinds = set(states)
    if not kinds:
        return "EMPTY"
    return next(iter(kinds)).name if len(kinds) == 1 else "PARTIAL"
