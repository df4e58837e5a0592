"""Slots as rows: loading, saving, and the calls planned from them.

Tables it owns: slot, attempt. Never: decides anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from oneshelf.channels.contract import Outlet
from oneshelf.core.instants import SECOND
from oneshelf.core.plan import Capability
from oneshelf.core.slot import (
    PUBLISH_WINDOW_S,
    PUBLISH_WINDOW_S_MAX,
    PUBLISH_WINDOW_S_MIN,
    VERIFY_FIRST_S,
    WINDOW_SAMPLES,
    WINDOW_SAMPLES_MIN,
    SlotEvent,
    SlotState,
    next_state,
)
from oneshelf.db.tx import Tx
from oneshelf.tenants.accounts import SHOW_ZERO, WIDER
from oneshelf.tenants.plan import Plan

#: The initial publish window of a channel that the table does not know, seconds.
OTHER_WINDOW_S = 10.0


#: `Slot.verified`: shows its offer, but an earlier write or a sale of that moment may still change it.
LOOK_AGAIN = 2


class Slot(msgspec.Struct):
    """One outlet's publishing state. Numbers are listings; instants are microseconds.

    `believed`: the last number read (or the yes of a compare-and-set), true at `believed_at` if `verified`; own sales placed later are
    subtracted when needed, never stored. `verified` LOOK_AGAIN: true and right, but to be read once more at `wait_until`. `sent`: the last number sent and not yet seen, told after `base` was read; `acked_at` when
    the channel said yes. `odd`: by how much a read was higher than anything explains, waiting since `odd_since` for the feed (9.3).
    `attempts`: failures in a row. `unseen`: accepted writes in a row that never showed. `generation`: of the mark last looked at. `v`: listings it sells a second. `exposure`: what it may sell without our knowing while a write is
    not seen; `unsettled`: that of writes that were seen, until its feed is complete through `unsettled_until` (S8.6).
    """

    outlet_id: int
    account_id: int
    write_unit: str
    state: SlotState = SlotState.QUIET
    offer: int = 0
    priority: int = 6
    since_at: int | None = None
    wait_until: int | None = None
    believed: int | None = None
    believed_at: int | None = None
    verified: int = 0
    sent: int | None = None
    base: int | None = None
    base_at: int | None = None
    sent_at: int | None = None
    acked_at: int | None = None
    exposure: int = 0
    attempts: int = 0
    unseen: int = 0
    odd_since: int | None = None
    odd: int = 0
    generation: int = 0
    repairs: int = 0
    repairs_since: int | None = None
    reason: str = ""
    v: float = 0.0
    unsettled: int = 0
    unsettled_until: int | None = None

    def go(self, event: SlotEvent) -> None:
        """Take the one state that follows (core/slot). Raises ValueError for an event that can't happen now."""
        self.state = next_state(self.state, event)


_COLUMNS = Slot.__struct_fields__
_SELECT = ", ".join(_COLUMNS)
_SAVE = (
    f"INSERT INTO slot (tenant_id, {_SELECT}) VALUES ({', '.join('?' * (len(_COLUMNS) + 1))}) "
    f"ON CONFLICT (tenant_id, outlet_id) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS if column != "outlet_id")
)


def slot_of(row: tuple[Any, ...]) -> Slot:
    """Make a slot of a row of `_COLUMNS`."""
    slot = Slot(*row)
    slot.state = SlotState(slot.state)
    return slot


def load(tx: Tx, tenant_id: int, outlet_ids: Iterable[int]) -> dict[int, Slot]:
    """Return {outlet: slot} of those that have one."""
    rows = tx.all(
        f"SELECT {_SELECT} FROM slot WHERE tenant_id = :t AND outlet_id {{in:ids}}", t=tenant_id, ids=sorted(outlet_ids)
    )
    return {row[0]: slot_of(row) for row in rows}


def load_units(tx: Tx, tenant_id: int, account_id: int, units: Iterable[str]) -> list[Slot]:
    """Return every slot of these write units, in order of their outlets."""
    rows = tx.all(
        f"SELECT {', '.join('s.' + c for c in _COLUMNS)} FROM outlet o JOIN slot s ON s.tenant_id = o.tenant_id AND s.outlet_id = o.outlet_id "
        "WHERE o.tenant_id = :t AND o.account_id = :a AND o.write_unit {in:units} ORDER BY s.outlet_id",
        t=tenant_id,
        a=account_id,
        units=sorted(set(units)),
    )
    return [slot_of(row) for row in rows]


def save(tx: Tx, tenant_id: int, slots: Iterable[Slot]) -> None:
    """Write these slots whole."""
    tx.many(
        _SAVE,
        [
            (tenant_id, *(str(v) if isinstance(v, SlotState) else v for v in (getattr(s, c) for c in _COLUMNS)))
            for s in sorted(slots, key=lambda slot: slot.outlet_id)
        ],
    )


class Mark(msgspec.Struct, frozen=True):
    """A dirty mark as it stands."""

    generation: int
    since_at: int
    reread: bool
    why: str


def marks_of(tx: Tx, tenant_id: int, outlet_ids: Iterable[int]) -> dict[int, Mark]:
    """Return {outlet: its dirty mark} of those that have one."""
    rows = tx.all(
        "SELECT outlet_id, generation, since_at, reread, why FROM dirty_listing WHERE tenant_id = :t AND outlet_id {in:ids}",
        t=tenant_id,
        ids=sorted(outlet_ids),
    )
    return {row[0]: Mark(row[1], row[2], bool(row[3]), row[4]) for row in rows}


# --- calls ------------------------------------------------------------------------------------------------------------


class ReadItem(msgspec.Struct, frozen=True):
    """One outlet to read. `generation`: of its mark when the read was planned (0: none)."""

    outlet_id: int
    outlet: Outlet
    generation: int = 0


class ReadCall(msgspec.Struct, frozen=True):
    """A read to make now; its slots are READING. At most `can.read_batch` items (a unit larger than that goes whole). `spread`: it may have
    waited for a day's calls to come back, so that when it sees a number says nothing of how long that took."""

    tenant_id: int
    account_id: int
    priority: int
    items: tuple[ReadItem, ...]
    spread: bool = False


class WriteItem(msgspec.Struct, frozen=True):
    """One outlet to tell `quantity` listings. `attempt_no`: its attempt row."""

    outlet_id: int
    outlet: Outlet
    quantity: int
    attempt_no: int
    generation: int = 0


class WriteCall(msgspec.Struct, frozen=True):
    """A write to make now; its slots are SENDING, its attempts are recorded. Commit before sending."""

    tenant_id: int
    account_id: int
    priority: int
    items: tuple[WriteItem, ...]


# --- accounts ---------------------------------------------------------------------------------------------------------


class AccountRow(msgspec.Struct, frozen=True):
    """What publishing needs to know of an account. Instants in microseconds."""

    account_id: int
    channel: str
    state: str
    skew: int
    live_at: int | None
    #: What its writes are taken to need until they are measured (0.8), microseconds; the account's setting "publish_window_s" goes first.
    start_window: int = 0
    #: Every listing is to show 0, whatever is there (8.14).
    shows_zero: bool = False
    #: The tenant's plan has inventory sync.
    in_plan: bool = True
    #: Pieces kept off every listing beside what its rule keeps off, for a while (publish/safe_pause).
    wider: int = 0
    #: By how much the channel's clock is ahead of ours. When a listing was read, sold and heard through are instants of the channel.
    ahead: int = 0

    def there(self, at: int) -> int:
        """Return an instant of ours by the channel's clock."""
        return at + self.ahead

    @property
    def writes(self) -> bool:
        """Nothing leaves unless the account is LIVE (0.7) and the plan has it. Closing every listing needs no plan."""
        return self.state == "LIVE" and (self.in_plan or self.shows_zero)

    @property
    def reads(self) -> bool:
        return self.state != "DISCONNECTED" and (self.in_plan or self.shows_zero)


def account_row(tx: Tx, tenant_id: int, account_id: int) -> AccountRow:
    """Return the account. Raises LookupError if there is none."""
    row = tx.one(
        "SELECT a.account_id, a.channel, a.state, a.skew_s, a.live_at, a.settings, p.name, COALESCE(w.ahead, 0) FROM account a "
        "LEFT JOIN plan p ON p.tenant_id = a.tenant_id "
        "LEFT JOIN channel_window w ON w.tenant_id = a.tenant_id AND w.account_id = a.account_id "
        "WHERE a.tenant_id = :t AND a.account_id = :a",
        t=tenant_id,
        a=account_id,
    )
    if row is None:
        raise LookupError(f"tenant {tenant_id} has no account {account_id}")
    return AccountRow(row[0], row[1], row[2], row[3] * SECOND, row[4], *_set_for(row[1], row[5], row[6]), row[7])


@lru_cache(maxsize=1_024)
def _set_for(channel: str, settings: str, plan: str | None) -> tuple[int, bool, bool, int]:
    """What an account's settings and its tenant's plan come to: every look at every account asks, and they hardly ever change."""
    said = json.loads(settings)
    start_s = said.get("publish_window_s") or PUBLISH_WINDOW_S.get(channel, OTHER_WINDOW_S)
    in_plan = Plan.named(plan).allows(Capability.INVENTORY_SYNC)
    return round(float(start_s) * SECOND), said.get(SHOW_ZERO) == "1", in_plan, int(said.get(WIDER) or 0)


def orders_complete_through(tx: Tx, tenant_id: int, account_id: int) -> int | None:
    """Return through which instant every order of the account has been received, or None before the first whole poll (3.3)."""
    row = tx.one(
        "SELECT complete_through_at FROM feed WHERE tenant_id = :t AND account_id = :a AND name = 'orders'",
        t=tenant_id,
        a=account_id,
    )
    return None if row is None else row[0]


class Windows(msgspec.Struct, frozen=True):
    """How long this account's writes take, microseconds. `publish`: p_c (3.4). `first_look`: when a first look pays, after the yes.
    `late`: how long after it was taken a write that nobody waits for may still land, never less than the channel's start values
    say: what was quick for two hundred writes may be slow again. `usual`: within this, the start value, nearly all have landed."""

    publish: int
    first_look: int
    late: int
    usual: int

    @property
    def deadline(self) -> int:
        """How long after the channel's yes a write is looked for (8.2), microseconds."""
        return 2 * self.publish


def windows(tx: Tx, tenant_id: int, account: AccountRow, attempts: str = "attempt") -> Windows:
    """Measure, of numbers or (`attempts` "price_attempt") of prices, p_c = 99th percentile of seen − dirty of the account's last 200 seen
    attempts but those that had to wait for a day's calls to come back; the channel's start value until there are 20 (0.8). The first look
    is at half the median of seen − accepted, at least a second."""
    freely = "AND spread = 0" if attempts == "attempt" else ""
    rows = tx.all(
        f"""SELECT dirty_at, accepted_at, seen_at FROM {attempts}
            WHERE tenant_id = :t AND account_id = :a AND seen_at IS NOT NULL AND dirty_at IS NOT NULL AND accepted_at IS NOT NULL {freely}
            ORDER BY started_at DESC LIMIT :n""",
        t=tenant_id,
        a=account.account_id,
        n=WINDOW_SAMPLES,
    )
    start = account.start_window or round(PUBLISH_WINDOW_S.get(account.channel, OTHER_WINDOW_S) * SECOND)
    first_look = round(VERIFY_FIRST_S * SECOND)
    if len(rows) < WINDOW_SAMPLES_MIN:
        return Windows(start, first_look, 2 * start, start)
    took = sorted(seen - dirty for dirty, _, seen in rows)
    shown = sorted(seen - accepted for _, accepted, seen in rows)
    p99 = took[min(len(took) - 1, len(took) * 99 // 100)]
    publish = min(max(p99, round(PUBLISH_WINDOW_S_MIN * SECOND)), round(PUBLISH_WINDOW_S_MAX * SECOND))
    slowest = shown[min(len(shown) - 1, len(shown) * 99 // 100)]
    return Windows(publish, max(first_look, min(shown[len(shown) // 2] // 2, publish)), 2 * max(slowest, start), start)


class LateWrite(msgspec.Struct, frozen=True):
    """A write of ours that was overtaken, given up or never answered, and may still land. `taken_at`: the channel's yes; without
    one the latest instant at which it may have been taken. `doubted`: a read had shown it, as far as was known then."""

    attempt_no: int
    quantity: int
    sent_at: int
    taken_at: int
    doubted: bool = False


#: A call without an answer may have been taken this long after it was begun: the transport gives up after 10 s.
CALL_S_MAX = 12
#: A write older than this can't land any more, whatever was measured.
LATE_MAX_S = 1_200


def late_writes(tx: Tx, tenant_id: int, slots: Iterable[Slot], now: int) -> dict[int, list[LateWrite]]:
    """Return {outlet: its late writes}, oldest first. Outlets that were not written lately cost nothing."""
    since = now - LATE_MAX_S * SECOND
    lately = [slot.outlet_id for slot in slots if slot.sent_at is not None and slot.sent_at > since]
    if not lately:
        return {}
    rows = tx.all(
        """SELECT outlet_id, attempt_no, quantity, started_at, COALESCE(accepted_at, started_at + :call), outcome = 'DOUBTED' FROM attempt
            WHERE tenant_id = :t AND outlet_id {in:ids} AND outcome IN ('SUPERSEDED', 'UNSEEN', 'DOUBTED') AND started_at > :since
            ORDER BY attempt_no""",
        t=tenant_id,
        ids=lately,
        since=since,
        call=CALL_S_MAX * SECOND,
    )
    late: dict[int, list[LateWrite]] = {}
    for outlet_id, *write in rows:
        late.setdefault(outlet_id, []).append(LateWrite(*write))
    return late


#: {outlet: when to look for late writes of ours that may still land there} (microseconds).
Looks = Mapping[int, Sequence[int]]


def looks_for(late: Mapping[int, Iterable[LateWrite]], window: Windows) -> dict[int, list[int]]:
    """Return when to look for late writes: once nearly all have landed, for one that does sells what is not there until it is seen; and
    when none can any more, never later than LATE_MAX_S after it was sent."""
    most = LATE_MAX_S * SECOND
    return {
        outlet_id: [
            at
            for write in writes
            for at in (write.taken_at + window.usual, min(write.taken_at + window.late, write.sent_at + most))
        ]
        for outlet_id, writes in late.items()
    }


def late_looks(tx: Tx, tenant_id: int, account: AccountRow, slots: Iterable[Slot], now: int) -> dict[int, list[int]]:
    """Return when to look for earlier writes of ours that may still land, of the outlets that have some."""
    late = late_writes(tx, tenant_id, slots, now)
    return looks_for(late, windows(tx, tenant_id, account)) if late else {}
