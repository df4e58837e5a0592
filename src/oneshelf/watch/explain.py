"""Why a number is what it is: the equation, the entries behind it, what each outlet should show and shows (SEMANTICS 1, 2, 2.10).

In: a SKU. Out: one Explanation, ready for JSON: numbers, words, instants (aware UTC), never None for 0 or 0 for "not known".
Tables: reads stock, orders, listings, slots, attempts, claims, tasks. Never: changes a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from oneshelf.channels.contract import Capabilities
from oneshelf.core.instants import from_us
from oneshelf.core.stock import Level, oversold
from oneshelf.db.tx import Tx
from oneshelf.orders import elsewhere
from oneshelf.stock.levels import levels_of

from .accounts import AccountNow, accounts_now
from .lines import OutletLine, lines_of

#: How many ledger entries an explanation shows, and tries per outlet.
ENTRIES_MAX = 50
ATTEMPTS_MAX = 5
ORDERS_MAX = 50

#: Tasks that are no SKU's, although their subject may look like an outlet's.
_NOT_OF_A_SKU = ("parked_message", "connect_again", "sign_in")


class LocationLevel(msgspec.Struct, frozen=True):
    """The buckets at one location, pieces. `counts`: in scope, so part of the equation."""

    location_id: str
    name: str
    counts: bool
    on_hand: int
    committed: int
    reserved: int
    unavailable: int
    incoming: int
    available: int


class Equation(msgspec.Struct, frozen=True):
    """on_hand − committed − reserved − unavailable = available, over the locations that count. `oversold`: max(0, −available)."""

    on_hand: int
    committed: int
    reserved: int
    unavailable: int
    available: int
    incoming: int
    oversold: int


class EntryLine(msgspec.Struct, frozen=True):
    """One ledger entry: what it changed, and `available` (where it counts) right after it."""

    entry_no: int
    key: str
    reason: str
    source: str
    location_id: str
    on_hand: int
    committed: int
    reserved: int
    unavailable: int
    incoming: int
    change: int
    available_after: int
    posted_at: datetime
    channel: str | None
    order_no: int | None
    order_id: str | None
    placed_at: datetime | None
    received_at: datetime | None
    hub_order_id: str | None


class AttemptLine(msgspec.Struct, frozen=True):
    """One try to tell an outlet a number: sent, accepted, seen are three things."""

    attempt_no: int
    outlet_id: int
    channel: str
    quantity: int
    was: int | None
    dirty_at: datetime | None
    sent_at: datetime
    accepted_at: datetime | None
    seen_at: datetime | None
    outcome: str
    reason: str


class OrderLine(msgspec.Struct, frozen=True):
    """One order line that holds pieces of the SKU. `pieces` still on the shelf for it."""

    order_no: int
    order_id: str
    number: str
    channel: str
    pieces: int
    state: str
    coverage: str
    payment: str
    placed_at: datetime
    ship_by_at: datetime | None
    hub_order_id: str | None


class ClaimLine(msgspec.Struct, frozen=True):
    """How a marketplace line's pieces are taken out of the hub's `available` (S9.5): `want` = `held` + `elsewhere` + `imported` when settled.

    `elsewhere`: pieces that `location_id` has not, held at other locations.
    """

    claim_key: str
    order_id: str | None
    channel: str | None
    location_id: str
    want: int
    held: int
    imported: int
    refused: bool
    elsewhere: int


class TaskLine(msgspec.Struct, frozen=True):
    """What only a person can do."""

    task_no: int
    kind: str
    what: str
    why: str
    opened_at: datetime
    due_at: datetime | None


class Explanation(msgspec.Struct, frozen=True):
    """Everything behind one SKU's numbers at one moment. `not_linked`: channels that have no listing of it."""

    sku: str
    title: str
    tracked: bool
    equation: Equation
    locations: list[LocationLevel]
    outlets: list[OutletLine]
    not_linked: list[str]
    entries: list[EntryLine]
    entries_total: int
    orders: list[OrderLine]
    claims: list[ClaimLine]
    attempts: list[AttemptLine]
    tasks: list[TaskLine]
    provisional: int


def explain(
    tx: Tx,
    tenant_id: int,
    sku: str,
    channel: str | None = None,
    *,
    now: int,
    can: Mapping[str, Capabilities] | None = None,
) -> Explanation:
    """Explain one SKU; `channel`: only its outlets there (and their tries). Raises LookupError for a SKU we have never heard of.

    `can`: what each channel can do, by name (its largest number); `now`: this moment in microseconds, to call late things late.
    """
    item = tx.one("SELECT title, tracked FROM item WHERE tenant_id = :t AND sku = :s", t=tenant_id, s=sku)
    names, scope = _locations(tx, tenant_id)
    levels = {location: level for (_, location), level in levels_of(tx, tenant_id, [sku]).items()}
    accounts = accounts_now(tx, tenant_id)
    outlets = [
        line
        for line in lines_of(tx, tenant_id, [sku], accounts, can=can, now=now)[sku]
        if channel in (None, line.channel)
    ]
    if item is None and not levels and not outlets:
        raise LookupError(f"no SKU {sku!r} here")
    equation = equation_of(level for location, level in levels.items() if location in scope)
    channel_of = {account.account_id: account.channel for account in accounts}
    orders = _orders(tx, tenant_id, sku, channel_of)
    entries, total = _entries(tx, tenant_id, sku, scope, equation.available, channel_of)
    title = item[0] if item is not None else next((line.title for line in outlets if line.title), "")
    return Explanation(
        sku=sku,
        title=title,
        tracked=item is None or bool(item[1]),
        equation=equation,
        locations=[
            _location(location, names.get(location, location), location in scope, levels[location])
            for location in sorted(levels)
        ],
        outlets=outlets,
        not_linked=_not_linked(accounts, outlets, channel),
        entries=entries,
        entries_total=total,
        orders=orders,
        claims=_claims(tx, tenant_id, sku, channel_of),
        attempts=attempts_of(tx, tenant_id, {line.outlet_id: line.channel for line in outlets if line.outlet_id}),
        tasks=_tasks(tx, tenant_id, sku, outlets),
        provisional=_provisional(tx, tenant_id, sku),
    )


def equation_of(levels: Iterable[Level]) -> Equation:
    """Add the levels up; `available` is computed from the sums, so that the equation always adds up."""
    total = Level()
    for level in levels:
        total.on_hand += level.on_hand
        total.committed += level.committed
        total.reserved += level.reserved
        total.unavailable += level.unavailable
        total.incoming += level.incoming
    return Equation(
        total.on_hand,
        total.committed,
        total.reserved,
        total.unavailable,
        total.available,
        total.incoming,
        oversold(total.available),
    )


def _locations(tx: Tx, tenant_id: int) -> tuple[dict[str, str], set[str]]:
    rows = tx.all("SELECT location_id, name, active, in_scope FROM location WHERE tenant_id = :t", t=tenant_id)
    return {row[0]: row[1] for row in rows}, {row[0] for row in rows if row[2] and row[3]}


def _location(location_id: str, name: str, counts: bool, level: Level) -> LocationLevel:
    return LocationLevel(
        location_id,
        name,
        counts,
        level.on_hand,
        level.committed,
        level.reserved,
        level.unavailable,
        level.incoming,
        level.available,
    )


def _not_linked(accounts: Sequence[AccountNow], outlets: Sequence[OutletLine], channel: str | None) -> list[str]:
    have = {line.account_id for line in outlets}
    return [a.name for a in accounts if a.account_id not in have and channel in (None, a.channel)]


def _entries(
    tx: Tx, tenant_id: int, sku: str, scope: set[str], available: int, channel_of: dict[int, str]
) -> tuple[list[EntryLine], int]:
    """The newest entries, each with `available` after it: this moment's, less what came later."""
    count = tx.one("SELECT COUNT(*) FROM ledger_entry WHERE tenant_id = :t AND sku = :s", t=tenant_id, s=sku)
    rows = tx.all(
        """SELECT e.entry_no, e.entry_key, e.reason, e.source, e.location_id, e.on_hand, e.committed, e.reserved, e.unavailable,
                  e.incoming, e.posted_at, e.order_no, o.account_id, o.order_id, o.placed_at, o.received_at, o.hub_order_id
             FROM ledger_entry e LEFT JOIN orders o ON o.tenant_id = e.tenant_id AND o.order_no = e.order_no
            WHERE e.tenant_id = :t AND e.sku = :s ORDER BY e.entry_no DESC LIMIT :n""",
        t=tenant_id,
        s=sku,
        n=ENTRIES_MAX,
    )
    lines = []
    after = available
    for row in rows:
        number, key, reason, source, location, on_hand, committed, reserved, unavailable, incoming, *_ = row
        change = on_hand - committed - reserved - unavailable
        lines.append(
            EntryLine(
                number,
                key,
                reason,
                source,
                location,
                on_hand,
                committed,
                reserved,
                unavailable,
                incoming,
                change=change,
                available_after=after,
                posted_at=from_us(row[10]),
                channel=channel_of.get(row[12]),
                order_no=row[11],
                order_id=row[13],
                placed_at=_at(row[14]),
                received_at=_at(row[15]),
                hub_order_id=row[16],
            )
        )
        if location in scope:
            after -= change
    return lines, 0 if count is None else count[0]


def _at(us: int | None) -> datetime | None:
    return None if us is None else from_us(us)


def _orders(tx: Tx, tenant_id: int, sku: str, channel_of: dict[int, str]) -> list[OrderLine]:
    rows = tx.all(
        """SELECT l.order_no, l.order_id, o.number, l.account_id, l.reserved + l.committed, l.state, l.coverage, o.payment, o.placed_at,
                  o.ship_by_at, o.hub_order_id
             FROM order_line l JOIN orders o ON o.tenant_id = l.tenant_id AND o.order_no = l.order_no
            WHERE l.tenant_id = :t AND l.sku = :s AND l.state IN ('P', 'O', 'R', 'M', 'X') AND l.reserved + l.committed > 0
            ORDER BY o.placed_at DESC, l.order_no DESC LIMIT :n""",
        t=tenant_id,
        s=sku,
        n=ORDERS_MAX,
    )
    return [
        OrderLine(
            row[0],
            row[1],
            row[2],
            channel_of.get(row[3], ""),
            row[4],
            row[5],
            row[6],
            row[7],
            placed_at=from_us(row[8]),
            ship_by_at=_at(row[9]),
            hub_order_id=row[10],
        )
        for row in rows
    ]


def _claims(tx: Tx, tenant_id: int, sku: str, channel_of: dict[int, str]) -> list[ClaimLine]:
    rows = tx.all(
        """SELECT c.claim_key, o.order_id, o.account_id, c.location_id, c.want, c.held, c.imported, c.refused
             FROM claim c LEFT JOIN orders o ON o.tenant_id = c.tenant_id AND o.order_no = c.order_no
            WHERE c.tenant_id = :t AND c.sku = :s AND c.open = 1 ORDER BY c.since_at DESC LIMIT :n""",
        t=tenant_id,
        s=sku,
        n=ORDERS_MAX,
    )
    away: Counter[str] = Counter()
    for key, _, _, location, _, held, _, _ in rows:
        if owner := elsewhere.owner_of(key, location):
            away[owner] += held
    return [
        ClaimLine(key, order_id, channel_of.get(account_id), location, want, held, imported, bool(refused), away[key])
        for key, order_id, account_id, location, want, held, imported, refused in rows
        if not elsewhere.owner_of(key, location)
    ]


def attempts_of(tx: Tx, tenant_id: int, channel_of: Mapping[int, str]) -> list[AttemptLine]:
    """Return the last tries of each of these outlets ({outlet: channel}), newest first."""
    lines: list[AttemptLine] = []
    for outlet_id, channel in channel_of.items():
        rows = tx.all(
            """SELECT attempt_no, quantity, was, dirty_at, started_at, accepted_at, seen_at, outcome, reason FROM attempt
                WHERE tenant_id = :t AND outlet_id = :o ORDER BY attempt_no DESC LIMIT :n""",
            t=tenant_id,
            o=outlet_id,
            n=ATTEMPTS_MAX,
        )
        lines += [
            AttemptLine(
                row[0],
                outlet_id,
                channel,
                row[1],
                row[2],
                _at(row[3]),
                from_us(row[4]),
                _at(row[5]),
                _at(row[6]),
                row[7],
                row[8],
            )
            for row in rows
        ]
    return sorted(lines, key=lambda line: line.attempt_no, reverse=True)


def _tasks(tx: Tx, tenant_id: int, sku: str, outlets: Sequence[OutletLine]) -> list[TaskLine]:
    """Open tasks that name the SKU, one of its outlets, one of its order lines, or one of those orders."""
    subjects = {sku, f"sku:{sku}"}
    for line in outlets:
        if line.outlet_id:
            subjects |= {str(line.outlet_id), f"outlet:{line.outlet_id}"}
    for account_id, order_id, line_id in tx.all(
        "SELECT account_id, order_id, line_id FROM order_line WHERE tenant_id = :t AND sku = :s AND state IN ('P', 'O', 'R', 'M', 'X')",
        t=tenant_id,
        s=sku,
    ):
        subjects |= {f"{account_id}/{order_id}", f"{account_id}/{order_id}/{line_id}/{sku}"}
    return task_lines(
        tx.all(
            """SELECT task_no, kind, what, why, opened_at, due_at FROM task
                WHERE tenant_id = :t AND closed_at IS NULL AND subject {in:subjects} ORDER BY COALESCE(due_at, opened_at), task_no""",
            t=tenant_id,
            subjects=sorted(subjects),
        )
    )


def task_lines(rows: Iterable[tuple[Any, ...]]) -> list[TaskLine]:
    """Make tasks of rows (task_no, kind, what, why, opened_at, due_at), without those that are no SKU's."""
    return [
        TaskLine(no, kind, what, why, from_us(opened_at), _at(due_at))
        for no, kind, what, why, opened_at, due_at in rows
        if kind not in _NOT_OF_A_SKU
    ]


def _provisional(tx: Tx, tenant_id: int, sku: str) -> int:
    """Pieces reserved because a read showed fewer than believed: sales whose orders have not arrived."""
    row = tx.one(
        "SELECT CAST(COALESCE(SUM(pieces), 0) AS BIGINT) FROM provisional WHERE tenant_id = :t AND sku = :s AND state = 'OPEN'",
        t=tenant_id,
        s=sku,
    )
    return 0 if row is None else int(row[0])
