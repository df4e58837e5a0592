"""Price slots as rows: loading, saving, coming to rest, being parked; and the price calls planned from them.

Tables it owns: price_slot, price_attempt. Never: decides a price (core/price), calls anybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from oneshelf.channels.abilities import PriceSeen
from oneshelf.channels.contract import Outlet
from oneshelf.core.instants import SECOND
from oneshelf.core.price import NO_PRICE_CODES, PRICE_CALL, PRICE_REPAIR, NoPrice, Priced, PricePolicy
from oneshelf.core.slot import SlotEvent, SlotState, next_state
from oneshelf.db.journal import open_task
from oneshelf.db.tx import Tx
from oneshelf.pricing import marks
from oneshelf.pricing.policy import policy_of

from .resting import REASON_MAX, subject_of
from .slots import CALL_S_MAX, LATE_MAX_S, AccountRow, Mark, WriteItem, account_row

#: Kinds of tasks about one listing's price; the subject is `subject_of`. They close when the listing asks its price.
REFUSED = "price_refused"
NEVER_SEEN = "price_never_seen"
FOUGHT = "someone_else_prices"
TASK_KINDS = (REFUSED, NEVER_SEEN, FOUGHT)
#: Listings of an account that can't follow, one task a reason; the subject is account:code.
NO_PRICE = "no_price_to_follow"
#: Prices of an account that are far from what their listings ask, one task an account; the subject is the account.
WAITS_TASK = "price_waits"
#: In `parked`: it waits for a person's word; he said no.
WAITS = "waits"
SAID_NO = "said_no"

#: States in which an answer of ours is still to come or to be seen.
UNDER_WAY = ("READING", "SENDING", "APPLYING", "UNKNOWN")


class PriceSlot(msgspec.Struct):
    """One outlet's price as it is published. Amounts are minor units of `currency`, the listing's own ('' until it was read); instants are
    microseconds. `believed`: what it was last seen to ask; `rested`: what it asked, without a sale, when that was last right; `sent`: what
    was sent and not yet seen. The other fields as in `Slot`;
    `parked`: why, for machines."""

    outlet_id: int
    account_id: int
    write_unit: str
    state: SlotState = SlotState.QUIET
    offer: int | None = None
    currency: str = ""
    priority: int = PRICE_REPAIR
    since_at: int | None = None
    wait_until: int | None = None
    believed: int | None = None
    believed_at: int | None = None
    verified: int = 0
    rested: int | None = None
    sent: int | None = None
    sent_at: int | None = None
    acked_at: int | None = None
    attempts: int = 0
    unseen: int = 0
    generation: int = 0
    repairs: int = 0
    repairs_since: int | None = None
    parked: str = ""
    reason: str = ""

    def go(self, event: SlotEvent) -> None:
        """Take the one state that follows (core/slot). Raises ValueError for an event that can't happen now."""
        self.state = next_state(self.state, event)


_COLUMNS = PriceSlot.__struct_fields__
_SELECT = ", ".join(_COLUMNS)
_SAVE = (
    f"INSERT INTO price_slot (tenant_id, {_SELECT}) VALUES ({', '.join('?' * (len(_COLUMNS) + 1))}) "
    f"ON CONFLICT (tenant_id, outlet_id) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS if column != "outlet_id")
)


def _slot_of(row: tuple[Any, ...]) -> PriceSlot:
    slot = PriceSlot(*row)
    slot.state = SlotState(slot.state)
    return slot


def load(tx: Tx, tenant_id: int, outlet_ids: Iterable[int]) -> dict[int, PriceSlot]:
    """Return {outlet: price slot} of those that have one."""
    rows = tx.all(
        f"SELECT {_SELECT} FROM price_slot WHERE tenant_id = :t AND outlet_id {{in:ids}}",
        t=tenant_id,
        ids=sorted(outlet_ids),
    )
    return {row[0]: _slot_of(row) for row in rows}


def load_units(tx: Tx, tenant_id: int, account_id: int, units: Iterable[str]) -> list[PriceSlot]:
    """Return every price slot of these write units, in order of their outlets."""
    rows = tx.all(
        f"SELECT {_SELECT} FROM price_slot WHERE tenant_id = :t AND account_id = :a AND write_unit {{in:units}} ORDER BY outlet_id",
        t=tenant_id,
        a=account_id,
        units=sorted(set(units)),
    )
    return [_slot_of(row) for row in rows]


def save(tx: Tx, tenant_id: int, slots: Iterable[PriceSlot]) -> None:
    """Write these price slots whole."""
    tx.many(
        _SAVE,
        [
            (tenant_id, *(str(v) if isinstance(v, SlotState) else v for v in (getattr(s, c) for c in _COLUMNS)))
            for s in sorted(slots, key=lambda slot: slot.outlet_id)
        ],
    )


def marks_of(tx: Tx, tenant_id: int, outlet_ids: Iterable[int]) -> dict[int, Mark]:
    """Return {outlet: its price mark} of those that have one."""
    rows = tx.all(
        "SELECT outlet_id, generation, since_at, reread, why FROM price_mark WHERE tenant_id = :t AND outlet_id {in:ids}",
        t=tenant_id,
        ids=sorted(outlet_ids),
    )
    return {row[0]: Mark(row[1], row[2], bool(row[3]), row[4]) for row in rows}


class Following(msgspec.Struct, frozen=True):
    """An account and what may be done with its prices."""

    account: AccountRow
    policy: PricePolicy

    @property
    def writes(self) -> bool:
        """Nothing leaves unless the account is LIVE and its prices are switched on."""
        return self.account.writes and self.policy.follows


def following(tx: Tx, tenant_id: int, account_id: int, account: AccountRow | None = None) -> Following:
    """Return the account with its policy. `account`: its row, for who has it already. Raises LookupError if there is none."""
    return Following(account or account_row(tx, tenant_id, account_id), policy_of(tx, tenant_id, account_id))


# --- calls ------------------------------------------------------------------------------------------------------------


class PriceReadItem(msgspec.Struct, frozen=True):
    """One outlet whose price is to be read."""

    outlet_id: int
    outlet: Outlet


class PriceReadCall(msgspec.Struct, frozen=True):
    """A read to make now; its price slots are READING."""

    tenant_id: int
    account_id: int
    items: tuple[PriceReadItem, ...]
    priority: int = PRICE_CALL


class PriceWriteItem(msgspec.Struct, frozen=True):
    """One outlet to ask `price_minor` of `currency`. `seen`: the read it is based on; what stands there beside the price is sent along.
    `quantity`: the most that may go along, where the price carries it."""

    outlet_id: int
    outlet: Outlet
    price_minor: int
    currency: str
    attempt_no: int
    seen: PriceSeen
    quantity: int | None = None


class PriceWriteCall(msgspec.Struct, frozen=True):
    """A write to make now; its price slots are SENDING, its attempts recorded. `along`: the numbers that it carries, as writes of their
    own: their slots are SENDING too."""

    tenant_id: int
    account_id: int
    items: tuple[PriceWriteItem, ...]
    along: tuple[WriteItem, ...] = ()
    priority: int = PRICE_CALL


# --- rest and parking ---------------------------------------------------------------------------------------------------


def rest(tx: Tx, tenant_id: int, slot: PriceSlot, price: Priced, mark: Mark | None, now: int) -> None:
    """The outlet asks this price, which is right: clear the mark that was considered, close its tasks. A mark set again meanwhile stays."""
    slot.go(SlotEvent.EQUAL)
    if mark is not None:
        marks.clear(tx, tenant_id, slot.outlet_id, mark.generation)
    _close_tasks(tx, tenant_id, slot.outlet_id, now)
    slot.generation = slot.attempts = slot.unseen = 0
    slot.since_at = slot.wait_until = None
    slot.priority = PRICE_REPAIR
    slot.parked = slot.reason = ""
    slot.verified = min(slot.verified, 1)
    slot.rested = price.regular


def park(tx: Tx, tenant_id: int, slot: PriceSlot, event: SlotEvent, code: str, reason: str, mark: Mark | None) -> None:
    """The price stays as it is until something changes. The mark that was considered goes: the slot says what is the matter."""
    slot.go(event)
    if mark is not None:
        marks.clear(tx, tenant_id, slot.outlet_id, mark.generation)
    slot.parked, slot.reason = code, reason[:REASON_MAX]
    slot.wait_until = slot.since_at = None
    slot.generation = slot.attempts = 0


def park_for_no_price(
    tx: Tx, tenant_id: int, slot: PriceSlot, none: NoPrice, mark: Mark | None, account: AccountRow, now: int
) -> None:
    """There is nothing to ask: the price stays, in sight. One task an account and reason: a whole account may ask in another currency."""
    slot.offer = None
    park(tx, tenant_id, slot, SlotEvent.CLOSED, f"no_price/{none.code}", none.reason, mark)
    _close_tasks(tx, tenant_id, slot.outlet_id, now)
    if none.code in ("off", "not_linked"):
        return
    what = f"Listings of {account.channel.title()} have no price to follow"
    why = f"For one of them: {none.reason}. They keep the price they have. All of them: oneshelf prices list"
    open_task(tx, tenant_id, now, NO_PRICE, f"{account.account_id}:{none.code}", what, why)


def close_account_tasks(tx: Tx, tenant_id: int, account_id: int, now: int) -> None:
    """End the tasks of reasons that no listing of the account has any more."""
    tx.run(
        """UPDATE task SET closed_at = :now WHERE tenant_id = :t AND closed_at IS NULL AND kind = :kind AND subject = :subject
              AND NOT EXISTS (SELECT 1 FROM price_slot s WHERE s.tenant_id = :t AND s.account_id = :a AND s.state = 'PARKED'
                AND s.parked = :waits)""",
        t=tenant_id,
        now=now,
        kind=WAITS_TASK,
        subject=str(account_id),
        a=account_id,
        waits=WAITS,
    )
    tx.run(
        """UPDATE task SET closed_at = :now WHERE tenant_id = :t AND closed_at IS NULL AND kind = :kind
              AND subject {in:subjects} AND NOT EXISTS (SELECT 1 FROM price_slot s WHERE s.tenant_id = :t AND s.account_id = :a
                AND s.state = 'PARKED' AND task.subject = CAST(:a AS TEXT) || ':' || SUBSTR(s.parked, 10)
                AND s.parked LIKE 'no_price/%')""",
        t=tenant_id,
        a=account_id,
        now=now,
        kind=NO_PRICE,
        subjects=[f"{account_id}:{code}" for code in NO_PRICE_CODES],
    )


def _close_tasks(tx: Tx, tenant_id: int, outlet_id: int, now: int) -> None:
    tx.run(
        """UPDATE task SET closed_at = :now
            WHERE tenant_id = :t AND closed_at IS NULL AND kind {in:kinds} AND subject = :subject""",
        t=tenant_id,
        now=now,
        kinds=list(TASK_KINDS),
        subject=subject_of(outlet_id),
    )


def late_prices(tx: Tx, tenant_id: int, slots: Iterable[PriceSlot], now: int) -> dict[int, list[tuple[int, str, int]]]:
    """Return {outlet: (price, currency, latest instant at which it may have been taken)} of writes that were given up and may still
    land. Outlets that were not written lately cost nothing."""
    since = now - LATE_MAX_S * SECOND
    lately = [slot.outlet_id for slot in slots if slot.sent_at is not None and slot.sent_at > since]
    if not lately:
        return {}
    rows = tx.all(
        """SELECT outlet_id, price_minor, currency, COALESCE(accepted_at, started_at + :call) FROM price_attempt
            WHERE tenant_id = :t AND outlet_id {in:ids} AND outcome IN ('SUPERSEDED', 'UNSEEN') AND started_at > :since
            ORDER BY attempt_no""",
        t=tenant_id,
        ids=lately,
        since=since,
        call=CALL_S_MAX * SECOND,
    )
    late: dict[int, list[tuple[int, str, int]]] = {}
    for outlet_id, minor, currency, taken_at in rows:
        late.setdefault(outlet_id, []).append((minor, currency, taken_at))
    return late
