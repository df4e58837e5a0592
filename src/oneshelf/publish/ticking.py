"""The planner's tick: time alone changes offers, at its own steps (SEMANTICS 3.1, 3.4, 3.5, 3.8).

1. Measure each account's windows.  2. Say which SKUs time may have moved: a burst, a channel we can't hear, an edge of an announced
sale, a window that changed; every SKU once a night.  3. Plan those again, some hundred a transaction.  4. Mark whose offer changed.
5. When all are planned, say so: a tick that a crash cut off is made again from where the last whole one stood.
Tables it owns: channel_window, planner. Never: marks an outlet whose offer is what it was; calls anybody.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from oneshelf.channels.contract import Capabilities
from oneshelf.core import pace
from oneshelf.core.instants import SECOND
from oneshelf.core.slot import WINDOW_SAMPLES, WINDOW_SAMPLES_MIN
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty
from oneshelf.listings.announced import edges_between

from .numbers import numbers_of
from .planner import windows_of
from .slots import account_row, windows

#: S3.1: a notice window is never longer than this.
NOTICE_S_MAX = 1_800.0
#: With notifications it is never shorter than this.
NOTICE_S_MIN = 5.0
#: A measured window counts as changed when it moved by more than this part: windows that shiver would never let offers rest.
MOVED = 0.2
#: Clocks that differ by so much more or less than before, microseconds, are no news.
CLOCK_STEP = 2 * SECOND
#: Among how many of the tenant's newest orders each account's are looked for.
ORDERS_LOOKED_AT = 2_000
#: How many spans of deafness are remembered.
DEAF_SPANS_MAX = 20
#: How many SKUs are planned in one transaction.
PLANNED_AT_ONCE = 250
#: A SKU of which fewer pieces than this sell within the widest windows has no reserve, whatever else holds: Q of less is 0 for every ε
#: that a merchant can have (S2.7: at least 0.001).
_MEAN_THAT_MATTERS = 0.001


class Heard(msgspec.Struct, frozen=True):
    """How an account is heard, as its connector and the settings say it. Seconds. `notified`: webhooks or a queue. `ahead_s`: by how much
    the channel's clock is ahead of ours, as far as its answers tell: when its orders were placed, and through when its feed is complete,
    are by its own. None: nobody has asked it yet.
    """

    account_id: int
    can: Capabilities
    poll_s: float
    notified: bool
    ahead_s: float | None = None

    def there(self, at: int) -> int:
        """Return an instant of ours by the channel's clock."""
        return at + round((self.ahead_s or 0.0) * SECOND)

    @property
    def notice_s_min(self) -> float:
        """S3.1: its floor, and what is taken until enough is measured (S0.8)."""
        return NOTICE_S_MIN if self.notified else self.poll_s + self.can.visibility_delay_s

    @property
    def grace_s(self) -> float:
        """S3.2: silence that is usual."""
        return 2 * self.poll_s + self.can.visibility_delay_s


# --- windows ----------------------------------------------------------------------------------------------------------


def measure(tx: Tx, tenant_id: int, heard: Sequence[Heard], now: int) -> list[int]:
    """Measure the windows of these accounts and keep them. Returns the accounts whose window moved."""
    before = {
        row[0]: row[1:]
        for row in tx.all(
            "SELECT account_id, notice, publish, grace, absolute, deaf, ahead FROM channel_window WHERE tenant_id = :t",
            t=tenant_id,
        )
    }
    heard = [_with_clock(one, before.get(one.account_id)) for one in heard]
    deaf = _deaf(tx, tenant_id, heard, {a: json.loads(row[4]) for a, row in before.items()}, now)
    late = _how_late(tx, tenant_id, {one.account_id: one for one in heard}, deaf)
    moved, rows = [], []
    for one in heard:
        notice = _notice(one, late.get(one.account_id, []))
        publish = windows(tx, tenant_id, account_row(tx, tenant_id, one.account_id)).publish
        had = before.get(one.account_id)
        if had is not None:  # a little more or less is no news
            notice, publish = _kept(had[0], notice), _kept(had[1], publish)
        now_is = (notice, publish, round(one.grace_s * SECOND), int(one.can.write == "absolute"))
        spans, ahead = json.dumps(deaf.get(one.account_id, [])), one.there(0)
        if had is None or tuple(had[:4]) != now_is:
            moved.append(one.account_id)
        if had is None or tuple(had) != (*now_is, spans, ahead):
            rows.append((tenant_id, one.account_id, *now_is, spans, ahead, now))
    tx.many(
        """INSERT INTO channel_window (tenant_id, account_id, notice, publish, grace, absolute, deaf, ahead, measured_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (tenant_id, account_id) DO UPDATE SET notice = excluded.notice, publish = excluded.publish,
               grace = excluded.grace, absolute = excluded.absolute, deaf = excluded.deaf, ahead = excluded.ahead, measured_at = excluded.measured_at""",
        rows,
    )
    return moved


def _with_clock(one: Heard, had: tuple[Any, ...] | None) -> Heard:
    """As was last measured, if the channel was not asked yet or its clock is hardly another."""
    if had is None or (one.ahead_s is not None and abs(one.there(0) - had[5]) >= CLOCK_STEP):
        return one
    return msgspec.structs.replace(one, ahead_s=had[5] / SECOND)


def _kept(old: int, new: int) -> int:
    return old if abs(new - old) <= MOVED * old else new


def _deaf(
    tx: Tx, tenant_id: int, heard: Sequence[Heard], before: Mapping[int, list[list[int]]], now: int
) -> dict[int, list[list[int]]]:
    """Return {account: the last spans in which we could not hear it, by its own clock}: since its feed was complete, while that is longer
    ago than usual."""
    complete = dict(
        tx.all("SELECT account_id, complete_through_at FROM feed WHERE tenant_id = :t AND name = 'orders'", t=tenant_id)
    )
    found = {}
    for one in heard:
        spans = [list(span) for span in before.get(one.account_id, [])]
        since, there = complete.get(one.account_id), one.there(now)
        if since is not None and since < there - round(one.grace_s * SECOND):
            if spans and spans[-1][1] >= since:
                spans[-1][1] = there
            else:
                spans.append([since, there])
        found[one.account_id] = spans[-DEAF_SPANS_MAX:]
    return found


def _how_late(
    tx: Tx, tenant_id: int, heard: Mapping[int, Heard], deaf: Mapping[int, list[list[int]]]
) -> dict[int, list[int]]:
    """Return {account: received − placed of its newest orders}, without first loads and without what was placed while we could not hear
    it (S3.2 covers that). A channel that sells rarely is measured on fewer."""
    found: dict[int, list[int]] = {}
    for account_id, placed_at, received_at in tx.all(
        """SELECT o.account_id, o.placed_at, o.received_at
             FROM (SELECT * FROM orders WHERE tenant_id = :t ORDER BY order_no DESC LIMIT :n) o
             JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
            WHERE o.placed_at >= COALESCE(a.live_at, a.opened_at) AND o.placed_note = '' AND o.copy_key = '' ORDER BY o.order_no DESC""",
        t=tenant_id,
        n=ORDERS_LOOKED_AT,
    ):
        took = found.setdefault(account_id, [])
        unheard = any(since < placed_at <= until for since, until in deaf.get(account_id, ()))
        if len(took) < WINDOW_SAMPLES and not unheard:
            there = heard[account_id].there(received_at) if account_id in heard else received_at
            took.append(max(0, there - placed_at))
    return found


def _notice(one: Heard, late: list[int]) -> int:
    """S3.1: p99 of how late the last orders were heard, within its floor and ceiling."""
    floor, ceiling = round(one.notice_s_min * SECOND), round(NOTICE_S_MAX * SECOND)
    if len(late) < WINDOW_SAMPLES_MIN:
        return floor
    late.sort()
    return min(ceiling, max(floor, late[min(len(late) - 1, len(late) * 99 // 100)]))


def measure_medians(tx: Tx, tenant_id: int, now: int) -> None:
    """S3.5: keep the pace of each account's median SKU, for those that are new."""
    day = pace.day_of(now)
    for window in windows_of(tx, tenant_id, now).values():
        sold = tx.all(
            "SELECT pieces FROM pace WHERE tenant_id = :t AND account_id = :a", t=tenant_id, a=window.account_id
        )
        count = tx.one(
            """SELECT COUNT(*) FROM outlet o JOIN link k ON k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id
                WHERE o.tenant_id = :t AND o.account_id = :a AND o.fulfilled_by_channel = 0""",
            t=tenant_id,
            a=window.account_id,
        )
        rates = [pace.rate(pieces, window.counted_since, day) for (pieces,) in sold]
        tx.run(
            "UPDATE channel_window SET median = :m WHERE tenant_id = :t AND account_id = :a",
            t=tenant_id,
            a=window.account_id,
            m=pace.median(rates, max(int(count[0]) if count else 0, len(rates))),
        )


# --- which SKUs -------------------------------------------------------------------------------------------------------


class Tick(msgspec.Struct, frozen=True):
    """What one tick asks for: `skus` to plan again; `at`: its instant (microseconds); `nightly`: it is a night's."""

    at: int
    skus: list[str]
    nightly: bool


def tick(tx: Tx, tenant_id: int, heard: Sequence[Heard], now: int) -> Tick:
    """Measure, and return the SKUs that time may have moved since the last whole tick; give them to `plan_again`, PLANNED_AT_ONCE at a
    time, then say `planned`."""
    row = tx.one("SELECT ticked_at, nightly_at, moved FROM planner WHERE tenant_id = :t", t=tenant_id)
    ticked_at, nightly_at, unplanned = row or (0, 0, "[]")
    was_deaf = _deaf_at(tx, tenant_id, ticked_at)
    moved = {*json.loads(unplanned), *measure(tx, tenant_id, heard, now)}
    nightly = nightly_at < pace.day_of(now)
    if nightly:
        measure_medians(tx, tenant_id, now)
    _remember(tx, tenant_id, ticked_at, nightly_at, sorted(moved))
    if nightly:
        rows = tx.all("SELECT DISTINCT sku FROM link WHERE tenant_id = :t ORDER BY sku", t=tenant_id)
        return Tick(now, [sku for (sku,) in rows], nightly)
    found = windows_of(tx, tenant_id, now)
    blind = {a for a, window in found.items() if window.blind} | was_deaf.keys()
    skus = set(_bursting(tx, tenant_id, min(ticked_at, now)))
    ahead = max((window.whole for window in found.values()), default=0)
    skus.update(edges_between(tx, tenant_id, pace.step_of(ticked_at), pace.step_of(now), ahead))
    if moved or blind:
        # Who could not be heard until now was at most this much wider.
        widest = ahead + (max(0, now - min(was_deaf.values())) if was_deaf else 0)
        skus.update(_that_sell(tx, tenant_id, moved | blind, widest, now))
    return Tick(now, sorted(skus), nightly)


def planned(tx: Tx, tenant_id: int, done: Tick) -> None:
    """All that this tick asked for is planned again: the next one begins here."""
    row = tx.one("SELECT nightly_at FROM planner WHERE tenant_id = :t", t=tenant_id)
    nightly_at = done.at if done.nightly else row[0] if row else 0
    _remember(tx, tenant_id, done.at, nightly_at, [])


def _remember(tx: Tx, tenant_id: int, ticked_at: int, nightly_at: int, moved: list[int]) -> None:
    tx.run(
        """INSERT INTO planner (tenant_id, ticked_at, nightly_at, moved) VALUES (:t, :at, :night, :moved)
           ON CONFLICT (tenant_id) DO UPDATE SET ticked_at = excluded.ticked_at, nightly_at = excluded.nightly_at, moved = excluded.moved""",
        t=tenant_id,
        at=ticked_at,
        night=nightly_at,
        moved=json.dumps(moved),
    )


def _deaf_at(tx: Tx, tenant_id: int, at: int) -> dict[int, int]:
    """Return {account: since when} of the accounts that could not be heard at the last tick."""
    rows = tx.all(
        "SELECT account_id, deaf, ahead FROM channel_window WHERE tenant_id = :t AND deaf <> '[]'", t=tenant_id
    )
    last = {account_id: (*json.loads(deaf)[-1], ahead) for account_id, deaf, ahead in rows}
    return {account_id: since - ahead for account_id, (since, until, ahead) in last.items() if until >= at + ahead}


def _bursting(tx: Tx, tenant_id: int, before: int) -> list[str]:
    """Return the SKUs whose burst counter says that something is going on, or said so at the last tick (it may be over)."""
    then = pace.step_of(before)
    counters: dict[str, float] = {}
    for sku, total, hour in tx.all(
        "SELECT sku, burst, burst_hour FROM pace WHERE tenant_id = :t AND burst_hour >= :hour",
        t=tenant_id,
        hour=pace.hour_of(then) - 1,
    ):
        # The larger of the two instants' counters is the earlier one's, as far as the sums of now can tell.
        counters[sku] = counters.get(sku, 0.0) + pace.burst_at(total, hour, then)
    return [sku for sku, counter in counters.items() if counter >= pace.BURST_MIN]


def _that_sell(tx: Tx, tenant_id: int, account_ids: Iterable[int], widest: int, now: int) -> list[str]:
    """Return the SKUs listed at these accounts that sell fast enough, anywhere, for a window to matter."""
    least = _MEAN_THAT_MATTERS / (widest / SECOND)
    # The sum that gives this rate; a velocity counted for a day is the most that a sum can give.
    most_per_sum = pace.rate(1.0, now - pace.DAY, pace.day_of(now))
    rows = tx.all(
        "SELECT p.sku FROM pace p WHERE p.tenant_id = :t GROUP BY p.sku HAVING SUM(p.pieces) > :least",
        t=tenant_id,
        least=least / most_per_sum,
    )
    listed = {
        sku
        for (sku,) in tx.all(
            """SELECT DISTINCT k.sku FROM outlet o JOIN link k ON k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id
                WHERE o.tenant_id = :t AND o.account_id {in:accounts}""",
            t=tenant_id,
            accounts=sorted(account_ids),
        )
    }
    return [sku for (sku,) in rows if sku in listed]


# --- plan again -------------------------------------------------------------------------------------------------------


def plan_again(tx: Tx, tenant_id: int, can: Mapping[int, Capabilities], skus: Sequence[str], now: int) -> int:
    """Compute the offers of these SKUs and mark the outlets whose offer is another than the one they were last weighed against.

    `can`: of every marketplace account. Returns how many were marked.
    """
    of_account: dict[int, dict[int, int]] = {}
    for outlet_id, account_id, offer in tx.all(
        """SELECT DISTINCT s.outlet_id, s.account_id, s.offer FROM link k CROSS JOIN slot s
            WHERE k.tenant_id = :t AND k.sku {in:skus} AND s.tenant_id = k.tenant_id AND s.outlet_id = k.outlet_id
              AND s.state <> 'PARKED'""",
        t=tenant_id,
        skus=list(skus),
    ):
        of_account.setdefault(account_id, {})[outlet_id] = offer
    changed: list[int] = []
    for account_id, offers in of_account.items():
        if account_id in can:
            numbers = numbers_of(tx, tenant_id, account_id, offers, can[account_id], now)
            changed += [o for o, number in numbers.items() if number.offer != offers[o]]
    dirty.mark_outlets(tx, tenant_id, sorted(changed), now, "time")
    return len(changed)
