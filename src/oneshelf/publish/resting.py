"""How a slot is weighed against its offer, and how it comes to rest. Shared by planning and settling.

Tables: slot, and dirty_listing through listings/dirty. Never: calls anybody.
"""

from __future__ import annotations

from collections.abc import Sequence

from oneshelf.core.drift import Sales
from oneshelf.core.instants import SECOND
from oneshelf.core.slot import (
    AGED_S,
    LOWER_SAFE,
    RAISE,
    REPAIR,
    REPAIRS_MAX,
    URGENT_MAX,
    SlotEvent,
    SlotState,
    priority_of,
)
from oneshelf.db.journal import open_task
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty

from .numbers import Number
from .slots import LOOK_AGAIN, AccountRow, Mark, Slot

DAY = 86_400 * SECOND

#: Kinds of tasks about one outlet; the subject is `subject_of`. They close when the outlet shows its offer.
REFUSED = "listing_refused"
CLOSED = "listing_closed"
NEVER_SEEN = "write_never_seen"
FOUGHT = "someone_else_writes"
TASK_KINDS = (REFUSED, CLOSED, NEVER_SEEN, FOUGHT)
#: News for a person, not a state of the outlet: it stays until the person closes it.
EDITED = "edited_at_the_channel"
#: A person must connect the account again; the subject is its id.
SIGN_IN = "connect_again"

#: S8.10: more listings than this sell within the outlet's windows: a rush. Then a safe number is looked at so often, and told at last
#: after so long.
RUSH = 0.5
RUSH_LOOK_S = 10.0
RUSH_WAIT_S = AGED_S
LEFT_ALONE = "left alone in a rush: what it shows is safe"
#: A strict SKU (8.7, 8.8).
WAITS = "waits: the other outlets are counted first (strict)"
CLOSES = "closes first, is counted, then opens again (strict)"
#: Its listing has used up its writes of the day, or was reopened within the hour (8.11, 8.16).
RATIONED = "waits: the channel lets this listing be told only so often"
#: Opening its listing would show one piece of an offering that is strict and has none to show (8.7, 8.16).
SHOWS_ONE = "waits: its listing would open with one piece of a SKU that must never be sold twice"
#: Part of a flood from the shop (publish/floods).
GUARDED = "waits for your word: oneshelf guard list"
#: Waits that we choose, or a channel's rations ask for: no measure of how long a number needs (3.4), they would widen the windows, and
#: those the wait.
CHOSEN = (LEFT_ALONE, WAITS, CLOSES, RATIONED, SHOWS_ONE, GUARDED)

#: Longest reason kept with a slot or an attempt, characters.
REASON_MAX = 300


def us(seconds: float) -> int:
    """Return seconds as microseconds."""
    return round(seconds * SECOND)


def words(error: BaseException | str) -> str:
    """Return what an error says, short."""
    return (str(error) or type(error).__name__)[:REASON_MAX]


def ask_to_sign_in(tx: Tx, tenant_id: int, account_id: int, why: str, now: int) -> None:
    """Open the task "connect this account again"; its listings are not at fault and are tried on."""
    open_task(tx, tenant_id, now, SIGN_IN, str(account_id), "Connect this account again", why)


def subject_of(outlet_id: int) -> str:
    """How tasks and the journal name an outlet."""
    return f"outlet:{outlet_id}"


def shown_range(slot: Slot, sales: Sales, skew: int) -> tuple[int, int]:
    """Return the least and the most that a verified outlet shows now: what was believed less its own sales since.

    A sale within `skew` microseconds of the read may be in it or not (the two clocks and the second it is stamped with can't tell).
    Who decides takes the most, the unsafe side, and looks again later if the two differ.
    """
    if slot.believed is None or slot.believed_at is None:
        raise ValueError("an outlet that was never read shows nobody knows what")
    certain = sales.between(slot.believed_at + skew)
    possible = sales.between(slot.believed_at - skew)
    return max(0, slot.believed - possible), max(0, slot.believed - certain)


def weigh(slot: Slot, number: Number, shown: int | None, account: AccountRow, mark: Mark | None, now: int) -> None:
    """Give the slot its offer and its priority against what it shows (None: not known).

    What becomes urgent is owed from this moment: for how long it might wait before says nothing of how long we need (3.4).
    """
    was = slot.priority
    elsewhere = number.exposed - slot.exposure * number.units if number.exposed else 0
    first_fill = mark is not None and account.live_at is not None and mark.since_at <= account.live_at
    slot.offer = number.offer
    slot.v = number.v
    slot.priority = priority_of(
        shown,
        number.offer,
        believed_pieces=(shown or 0) * number.units,
        available=number.available,
        reserve=number.reserve,
        exposed=slot.exposure * number.units + max(0, elsewhere),
        first_fill=first_fill,
    )
    if slot.since_at is not None and was > URGENT_MAX >= slot.priority:
        slot.since_at = now


def left_alone(slot: Slot, number: Number, shown: int | None, absolute: bool, now: int) -> bool:
    """S8.10: in a rush an absolute outlet keeps its number while that is safe, not empty and not below half its offer: each write is a
    chance for the race. Not for longer than RUSH_WAIT_S at a time. The slot then waits."""
    if not absolute or number.rush <= RUSH or shown is None or not slot.verified:
        return False
    if slot.priority not in (LOWER_SAFE, RAISE) or shown == 0 or 2 * shown < slot.offer:
        return False
    if slot.since_at is not None and now - slot.since_at > RUSH_WAIT_S * SECOND:
        return False
    slot.wait_until = now + us(RUSH_LOOK_S)
    slot.reason = LEFT_ALONE
    return True


def rest(tx: Tx, tenant_id: int, slot: Slot, mark: Mark | None, now: int) -> None:
    """The outlet shows its offer: clear the mark that was considered, close its tasks.

    A mark set again since `mark` was read stays, and so does the work.
    """
    slot.go(SlotEvent.EQUAL)
    if mark is not None:
        dirty.clear(tx, tenant_id, slot.outlet_id, mark.generation)
    _close_tasks(tx, tenant_id, slot.outlet_id, now)
    slot.generation = 0
    slot.since_at = slot.wait_until = slot.odd_since = None
    slot.odd = slot.attempts = slot.unseen = 0
    slot.exposure = slot.believed or 0
    slot.priority = REPAIR
    slot.reason = ""
    slot.verified = min(slot.verified, 1)


def rest_or_look_again(
    tx: Tx,
    tenant_id: int,
    account: AccountRow,
    slot: Slot,
    mark: Mark | None,
    looks: Sequence[int],
    sure: bool,
    now: int,
) -> None:
    """The outlet shows its offer, as far as was read.

    `looks`: when to look for an earlier write of ours that may still land (slots.looks_for); not `sure`: the clocks can't tell yet
    whether a sale was in the read. As long as one of these is later than the last read, the slot waits for the next.
    """
    due = [*looks] if sure else [*looks, now + 2 * account.skew]
    again_at = min((at for at in due if account.there(at) > (slot.believed_at or 0)), default=None)
    if again_at is None:
        rest(tx, tenant_id, slot, mark, now)
        return
    slot.go(SlotEvent.READ_DIFFERS if slot.state is SlotState.READING else SlotEvent.DIRTY)
    slot.verified, slot.priority, slot.wait_until = LOOK_AGAIN, REPAIR, max(again_at, now)
    slot.since_at = slot.since_at or (mark.since_at if mark else now)
    slot.attempts = 0
    slot.reason = "right, but an earlier write or a sale of this moment may still change it"


def _close_tasks(tx: Tx, tenant_id: int, outlet_id: int, now: int) -> None:
    """End the tasks about this outlet, in one statement: most outlets that come to rest have none."""
    tx.run(
        """UPDATE task SET closed_at = :now
            WHERE tenant_id = :t AND closed_at IS NULL AND kind {in:kinds} AND subject = :subject""",
        t=tenant_id,
        now=now,
        kinds=list(TASK_KINDS),
        subject=subject_of(outlet_id),
    )


def is_fought_over(slot: Slot, now: int) -> bool:
    """Whether somebody else keeps writing here: repaired as often as we do in a day (9.4)."""
    return slot.repairs >= REPAIRS_MAX and slot.repairs_since is not None and slot.repairs_since > now - DAY
