"""How often an outlet may be told something, a number or a price, where the channel counts that (SEMANTICS 8.11, 8.16).

In: attempts. Out: who has to wait, and until when. Tables: reads attempt, price_attempt and outlet. Never: waits.

eBay counts the revisions of a LISTING, so its variations spend from one count. Its day is a calendar day; ours is the last 24 hours,
which never allows more in a calendar day than eBay does. Unconfirmed: whether a refused revision counts, and whether several variations
in one call count once. We count each attempt that may have reached the listing: all but what was throttled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from oneshelf.channels.contract import Capabilities
from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx

#: Of a listing's writes a day, so many serve only priorities 1 and 2 (8.11).
WRITES_KEPT_A_DAY = 25
#: When an outlet whose listing has used up its day is looked at again.
USED_UP_WAIT_S = 600
#: A sold-out listing that is reopened is renewed for a fee: at most once in this time (8.16).
REOPEN_EVERY_S = 3_600

_DONE = "('ACCEPTED', 'SEEN', 'UNKNOWN', 'UNSEEN', 'DOUBTED', 'SUPERSEDED')"
_DAY = 86_400 * SECOND


class Rations:
    """What the outlets of one batch may still be told; what the batch itself takes counts at once."""

    def __init__(self, unit_of: Mapping[int, str], spent: Mapping[str, int], most: float) -> None:
        self._unit_of = unit_of
        self._spent = dict(spent)
        self._most = most

    def take(self, outlet_id: int, *, urgent: bool) -> bool:
        """Count one write of this outlet's listing, unless it has to wait. What is urgent is always tried: eBay may have begun
        another day, and a listing that shows too many is worse than a refused call."""
        unit = self._unit_of.get(outlet_id, "")
        spent = self._spent.get(unit, 0)
        if spent >= self._most and not urgent:
            return False
        self._spent[unit] = spent + 1
        return True


def rations_of(
    tx: Tx, tenant_id: int, account_id: int, can: Capabilities, outlet_ids: Sequence[int], now: int
) -> Rations:
    """Return what is left for these outlets: their listings' counts of the last 24 hours, by all outlets that share them."""
    if can.writes_per_unit_day is None or not outlet_ids:
        return Rations({}, {}, math.inf)
    rows = tx.all(
        "SELECT outlet_id, ration_unit FROM outlet WHERE tenant_id = :t AND outlet_id {in:ids}",
        t=tenant_id,
        ids=list(outlet_ids),
    )
    named = sorted({unit for _, unit in rows if unit})
    if named:
        rows += tx.all(
            "SELECT outlet_id, ration_unit FROM outlet WHERE tenant_id = :t AND account_id = :a AND ration_unit {in:units}",
            t=tenant_id,
            a=account_id,
            units=named,
        )
    # An outlet without a listing of its own name is counted by itself; no listing's name begins so.
    unit_of = {outlet_id: unit or f"outlet {outlet_id}" for outlet_id, unit in rows}
    spent: dict[str, int] = {}
    for outlet_id, times in _told_today(tx, tenant_id, account_id, list(unit_of), now):
        spent[unit_of[outlet_id]] = spent.get(unit_of[outlet_id], 0) + times
    return Rations(unit_of, spent, can.writes_per_unit_day - WRITES_KEPT_A_DAY)


def _told_today(tx: Tx, tenant_id: int, account_id: int, outlet_ids: Sequence[int], now: int) -> list[tuple[int, int]]:
    """Return (outlet, attempts of the last 24 hours, of numbers and of prices). Begins at the day's first attempt, however long the
    history is."""
    told: list[tuple[int, int]] = []
    for table in ("attempt", "price_attempt"):
        first = tx.one(
            f"SELECT attempt_no FROM {table} WHERE tenant_id = :t AND account_id = :a AND started_at > :day ORDER BY started_at LIMIT 1",
            t=tenant_id,
            a=account_id,
            day=now - _DAY,
        )
        if first is None:
            continue
        rows = tx.all(
            f"""SELECT outlet_id, COUNT(*) FROM {table} WHERE tenant_id = :t AND outlet_id {{in:ids}} AND attempt_no >= :first
                   AND started_at > :day AND outcome <> 'THROTTLED' GROUP BY outlet_id""",
            t=tenant_id,
            ids=list(outlet_ids),
            first=first[0],
            day=now - _DAY,
        )
        told += [(int(outlet_id), int(times)) for outlet_id, times in rows]
    return told


def reopened_until(tx: Tx, tenant_id: int, outlet_ids: Sequence[int], now: int) -> int | None:
    """Return until when these outlets' listing, sold out, may not be reopened again (microseconds), None: it may. Opening one that we had
    deactivated costs nothing and does not count."""
    row = tx.one(
        f"""SELECT MAX(started_at) FROM attempt WHERE tenant_id = :t AND outlet_id {{in:ids}} AND started_at > :since
               AND renews = 1 AND outcome IN {_DONE}""",
        t=tenant_id,
        ids=list(outlet_ids),
        since=now - REOPEN_EVERY_S * SECOND,
    )
    return None if row is None or row[0] is None else int(row[0]) + REOPEN_EVERY_S * SECOND
