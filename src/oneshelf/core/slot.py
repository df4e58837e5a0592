"""An outlet's publishing state: which state follows which, and how urgent a number is (SEMANTICS 8.2, 8.9).

In: states, events, numbers. Out: the next state, a priority, waits in seconds.
Never: acts, knows a clock or a table.
"""

from __future__ import annotations

from enum import StrEnum


class SlotState(StrEnum):
    """QUIET: the last number sent was seen. WAITING: owes a number or a read. PARKED: a person, or a change of the listing."""

    QUIET = "QUIET"
    WAITING = "WAITING"
    READING = "READING"
    SENDING = "SENDING"
    APPLYING = "APPLYING"
    UNKNOWN = "UNKNOWN"
    PARKED = "PARKED"


class SlotEvent(StrEnum):
    """What happens to a slot. The first group comes from outside, the second is our own planning, the rest are ends of calls."""

    DIRTY = "dirty"
    RETRIED = "retried"  # a person, or the listing was changed or is read again by the sweep
    CLOSED = "closed"  # the listing can't take a number: ended, deactivated by hand, not ours any more
    RESTARTED = "restarted"

    EQUAL = "equal"  # believed = offer, verified: nothing to say
    READ = "read"  # budget given for a read
    SEND = "send"  # budget given for a write

    READ_DIFFERS = "read_differs"  # a number must be sent, or the difference is not yet explained
    READ_FAILED = "read_failed"
    NOT_YET = "not_yet"  # an accepted write is not seen yet, and may still be
    NEVER_SEEN = "never_seen"  # the third write that was accepted and not seen
    FOUGHT = "fought"  # the third repair in a day

    SEEN_AT_ONCE = "seen_at_once"  # compare-and-set: the yes says what is shown
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    STALE = "stale"
    THROTTLED = "throttled"
    NO_ANSWER = "no_answer"


_S, _E = SlotState, SlotEvent

SLOT_TRANSITIONS: dict[tuple[SlotState, SlotEvent], SlotState] = {
    (_S.QUIET, _E.DIRTY): _S.WAITING,
    (_S.QUIET, _E.EQUAL): _S.QUIET,
    (_S.QUIET, _E.READ): _S.READING,  # Etsy: read with the listing it is part of
    (_S.QUIET, _E.SEND): _S.SENDING,  # Etsy: written with the listing it is part of
    (_S.QUIET, _E.CLOSED): _S.PARKED,
    (_S.QUIET, _E.RETRIED): _S.WAITING,
    (_S.WAITING, _E.DIRTY): _S.WAITING,
    (_S.WAITING, _E.RETRIED): _S.WAITING,
    (_S.WAITING, _E.EQUAL): _S.QUIET,
    (_S.WAITING, _E.READ): _S.READING,
    (_S.WAITING, _E.SEND): _S.SENDING,
    (_S.WAITING, _E.CLOSED): _S.PARKED,
    (_S.READING, _E.DIRTY): _S.READING,
    (_S.READING, _E.RETRIED): _S.READING,
    (_S.READING, _E.EQUAL): _S.QUIET,
    # SEMANTICS goes from READING to SENDING at once; in between the slot waits, verified, for the write's own budget.
    (_S.READING, _E.READ_DIFFERS): _S.WAITING,
    (_S.READING, _E.READ_FAILED): _S.WAITING,
    (_S.READING, _E.NOT_YET): _S.APPLYING,
    (_S.READING, _E.NEVER_SEEN): _S.PARKED,
    (_S.READING, _E.FOUGHT): _S.PARKED,
    (_S.READING, _E.CLOSED): _S.PARKED,
    (_S.SENDING, _E.DIRTY): _S.SENDING,
    (_S.SENDING, _E.RETRIED): _S.SENDING,
    (_S.SENDING, _E.SEEN_AT_ONCE): _S.WAITING,
    (_S.SENDING, _E.ACCEPTED): _S.APPLYING,
    (_S.SENDING, _E.REJECTED): _S.PARKED,
    (_S.SENDING, _E.STALE): _S.WAITING,
    (_S.SENDING, _E.THROTTLED): _S.WAITING,
    (_S.SENDING, _E.NO_ANSWER): _S.UNKNOWN,
    (_S.APPLYING, _E.DIRTY): _S.APPLYING,
    (_S.APPLYING, _E.RETRIED): _S.APPLYING,
    (_S.APPLYING, _E.READ): _S.READING,
    (_S.UNKNOWN, _E.DIRTY): _S.UNKNOWN,
    (_S.UNKNOWN, _E.RETRIED): _S.UNKNOWN,
    (_S.UNKNOWN, _E.READ): _S.READING,
    (_S.PARKED, _E.DIRTY): _S.PARKED,
    (_S.PARKED, _E.CLOSED): _S.PARKED,
    (_S.PARKED, _E.RETRIED): _S.WAITING,
    # A crash leaves nothing that is never tried again (I17).
    (_S.QUIET, _E.RESTARTED): _S.QUIET,
    (_S.WAITING, _E.RESTARTED): _S.UNKNOWN,
    (_S.READING, _E.RESTARTED): _S.UNKNOWN,
    (_S.SENDING, _E.RESTARTED): _S.UNKNOWN,
    (_S.APPLYING, _E.RESTARTED): _S.UNKNOWN,
    (_S.UNKNOWN, _E.RESTARTED): _S.UNKNOWN,
    (_S.PARKED, _E.RESTARTED): _S.PARKED,
}

#: States in which a call of ours is on its way: nothing else may be asked of the same write unit.
IN_FLIGHT = frozenset({SlotState.READING, SlotState.SENDING})


def next_state(state: SlotState, event: SlotEvent) -> SlotState:
    """Return the state after `event`. Raises ValueError for one that can't happen in `state`."""
    try:
        return SLOT_TRANSITIONS[(state, event)]
    except KeyError:
        raise ValueError(f"a slot that is {state} can't be {event}") from None


# --- how urgent (8.9) -------------------------------------------------------------------------------------------------

TO_ZERO = 1
LOWER_UNSAFE = 2
REOPEN = 3
LOWER_SAFE = 4
RAISE = 5
REPAIR = 6

#: The last priority that may overtake everything: it may add a write to one not yet seen, and spend reserves (8.1, 8.11).
URGENT_MAX = LOWER_UNSAFE


def priority_of(
    believed: int | None,
    offer: int,
    *,
    believed_pieces: int,
    available: int,
    reserve: int = 0,
    exposed: int = 0,
    first_fill: bool = False,
) -> int:
    """Return how urgent it is to tell an outlet `offer`, 1 (most) to 6.

    `believed`, `offer`: listings; None: never read. `believed_pieces`, `available` (K), `reserve`: pieces; `exposed`: the most pieces
    that all marketplace outlets of the SKU may still sell (8.6). `first_fill`: the outlet is dirty since before its account went
    live (0.7).
    """
    if believed is None:
        return TO_ZERO if offer == 0 else REPAIR if first_fill else RAISE
    if offer == 0 and believed > 0:
        return TO_ZERO
    if offer < believed:
        unsafe = believed_pieces > available - reserve and max(exposed, believed_pieces) > available
        return LOWER_UNSAFE if unsafe else LOWER_SAFE
    if offer == believed or first_fill:
        return REPAIR
    return REOPEN if believed == 0 else RAISE


def urgency(priority: int, believed: int | None, offer: int, v: float = 0.0) -> float:
    """Return the order inside a priority, larger first: priority 2 by what may be oversold, 1 and 3 by velocity, others by age.

    `v`: orders per second of the outlet; 0 while velocities are unknown, then age decides.
    """
    if priority == LOWER_UNSAFE and believed is not None:
        return (believed - offer) / (1 + max(0, offer)) * (v or 1.0)
    return v if priority in (TO_ZERO, REOPEN) else 0.0


# --- how long (8.2) ---------------------------------------------------------------------------------------------------

#: A read that failed is tried again after this, doubled each time.
READ_RETRY_S = 1.0
READ_RETRY_S_MAX = 300.0
#: A write without an answer is read after this, doubled each time.
UNKNOWN_READ_S = 5.0
UNKNOWN_READ_S_MAX = 300.0
#: A throttled write whose channel names no time.
THROTTLED_S = 1.0
THROTTLED_S_MAX = 60.0
#: What buyers may not see for a moment longer is tried again no later than this, however long the channel has been out of reach.
URGENT_S_MAX = 5.0
#: Our credentials are refused: a person must sign in; until then we look this often.
SIGN_IN_S = 60.0
#: The first look at an accepted write, then doubled each time, up to twice the publish window.
VERIFY_FIRST_S = 1.0
#: A window is never shorter (3.4), and a measured one never counts as longer.
PUBLISH_WINDOW_S_MIN = 2.0
PUBLISH_WINDOW_S_MAX = 600.0
#: How many attempts a measured window needs, and how many it looks at (0.8, 3.4).
WINDOW_SAMPLES_MIN = 20
WINDOW_SAMPLES = 200
#: Publish windows until enough is measured (0.8).
PUBLISH_WINDOW_S = {"shopify": 2.0, "amazon": 120.0, "ebay": 10.0, "etsy": 5.0}
#: The third write in a row that is accepted and never seen, and the third repair in a day, park the slot.
UNSEEN_MAX = 3
REPAIRS_MAX = 3
#: A compare-and-set that found another number is tried again this often, then waits as a failed read does (8.3).
STALE_MAX = 5
#: Waiting longer moves a slot up by one, never above 2 (8.10).
AGED_S = 600
#: A read this old is no base for an absolute write any more.
BASE_FRESH_S = 15.0
#: A channel that says "gone" is believed at the third time: absence is weak evidence.
GONE_MAX = 3


def next_look_s(since_ack_s: float, first_s: float, deadline_s: float) -> float:
    """Return how long after the channel's yes the next look at a write is due: `first_s` doubled until it is later than
    `since_ack_s`, at most `deadline_s`.

    >>> [next_look_s(s, 1.0, 20.0) for s in (0.0, 1.2, 2.5, 8.0, 16.1)]
    [1.0, 2.0, 4.0, 16.0, 20.0]
    """
    look_s = first_s
    while look_s <= since_ack_s and look_s < deadline_s:
        look_s *= 2
    return min(look_s, deadline_s)
