"""Is every number true right now? The figures of the first page.

In: what every room has stored. Out: one Overview. Tables: reads them, owns none.
Never: a scan of all listings in Python (counts come from indexes); an answer that the figures do not carry.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import msgspec

from oneshelf.core.instants import SECOND, from_us
from oneshelf.db.tx import Tx

from . import oversold as causes
from .accounts import AccountNow, accounts_now
from .explain import TaskLine
from .latency import Percentiles, latency, percentiles
from .ripples import Sale, sales_of
from .shown import ON_ITS_WAY_S

#: Orders and oversells are counted over this long: the same at every hour and in every time zone.
WINDOW_S = 24 * 3600
#: How many sales are drawn, and on how many the time "sold → shown everywhere" is measured.
SALES_SHOWN = 8
SALES_MEASURED = 100
TASKS_SHOWN = 5
#: How many of the newest messages and calls are looked through for "last heard" and "last told".
LOOKED_THROUGH = 2_000
#: A number that waits longer than this is late, microseconds.
_LATE = ON_ITS_WAY_S * SECOND


class Orders(msgspec.Struct, frozen=True):
    """Orders of the last 24 hours; every one is in exactly one of the others. `unpaid`: the channel still waits for the money.

    `elsewhere`: cancelled before they got there, sent by the channel itself, or off the count from before we were live.
    """

    total: int
    in_shopify: int
    on_their_way: int
    unpaid: int
    waiting_for_person: int
    elsewhere: int


class ChannelNow(msgspec.Struct, frozen=True):
    """One account. Counts are outlets (the hub: SKU and location). `listed` = `right` + `on_their_way` + `late` + `parked` + `unknown`.

    `heard_at`: the last message or poll; `told_at`: the last number the channel accepted. `budget_percent`: of the fullest budget.
    """

    account_id: int
    channel: str
    name: str
    label: str
    state: str
    is_hub: bool
    heard_at: datetime | None
    heard_by: str
    told_at: datetime | None
    complete_through_at: datetime | None
    silent_since: datetime | None
    problem: str
    listed: int
    right: int
    on_their_way: int
    late: int
    parked: int
    unknown: int
    waiting: int
    writes: int
    budget_percent: int | None


class Overview(msgspec.Struct, frozen=True):
    """Everything on the first page. `all_true`: every number of every live channel is what it should be, or on its way."""

    at: datetime
    all_true: bool
    right: int
    on_their_way: int
    late: int
    parked: int
    unknown: int
    listed: int
    orders: Orders
    short_lines: int
    short_pieces: int
    oversold: dict[str, int]
    sold_to_shown: Percentiles
    channels: list[ChannelNow]
    sales: list[Sale]
    latency: dict[str, dict[str, Percentiles]]
    tasks: list[TaskLine]
    tasks_open: int


def overview(tx: Tx, tenant_id: int, now: int) -> Overview:
    """Look at everything once, at `now` (microseconds UTC)."""
    accounts = accounts_now(tx, tenant_id)
    channels = channels_now(tx, tenant_id, accounts, now)
    counted = [c for c in channels if c.state in ("LIVE", "PAUSED")]
    sales = sales_of(tx, tenant_id, accounts, SALES_MEASURED)
    short = tx.one(
        "SELECT COUNT(*), CAST(COALESCE(SUM(reserved + committed), 0) AS BIGINT) FROM order_line "
        "WHERE tenant_id = :t AND coverage = 'SHORT' AND sku <> ''",
        t=tenant_id,
    )
    tasks, tasks_open = _tasks(tx, tenant_id)
    late, parked, unknown = (sum(getattr(c, name) for c in counted) for name in ("late", "parked", "unknown"))
    return Overview(
        at=from_us(now),
        all_true=bool(counted) and not (late or parked or unknown) and not any(c.silent_since for c in counted),
        right=sum(c.right for c in counted),
        on_their_way=sum(c.on_their_way for c in counted),
        late=late,
        parked=parked,
        unknown=unknown,
        listed=sum(c.listed for c in counted),
        orders=_orders(tx, tenant_id, accounts, now),
        short_lines=0 if short is None else short[0],
        short_pieces=0 if short is None else int(short[1]),
        oversold=msgspec.to_builtins(causes.by_cause(tx, tenant_id)),
        sold_to_shown=percentiles(round(s.everywhere_s * SECOND) for s in sales if s.everywhere_s is not None),
        channels=channels,
        sales=sales[:SALES_SHOWN],
        latency=latency(tx, tenant_id),
        tasks=tasks,
        tasks_open=tasks_open,
    )


def _tasks(tx: Tx, tenant_id: int) -> tuple[list[TaskLine], int]:
    count = tx.one("SELECT COUNT(*) FROM task WHERE tenant_id = :t AND closed_at IS NULL", t=tenant_id)
    rows = tx.all(
        """SELECT task_no, kind, what, why, opened_at, due_at FROM task WHERE tenant_id = :t AND closed_at IS NULL
            ORDER BY CASE WHEN due_at IS NULL THEN 1 ELSE 0 END, due_at, task_no DESC LIMIT :n""",
        t=tenant_id,
        n=TASKS_SHOWN,
    )
    lines = [TaskLine(no, kind, what, why, from_us(opened), _at(due)) for no, kind, what, why, opened, due in rows]
    return lines, 0 if count is None else count[0]


# --- orders ------------------------------------------------------------------------------------------------------------


def _orders(tx: Tx, tenant_id: int, accounts: Sequence[AccountNow], now: int) -> Orders:
    """Sort the orders of the last 24 hours by where they are. A hub copy is not an order of its own."""
    hub = next((a.account_id for a in accounts if a.is_hub), 0)
    since = now - WINDOW_S * SECOND
    rows = tx.all(
        """SELECT place, COUNT(*) FROM (
             SELECT CASE WHEN o.account_id = :hub OR o.hub_order_id IS NOT NULL THEN 'in_shopify'
                         WHEN o.standing = 'ask' THEN 'waiting_for_person'
                         WHEN o.standing <> 'live' OR o.cancelled = 1 OR o.state IN ('CANCELLED', 'SHIPPED') THEN 'elsewhere'
                         WHEN EXISTS (SELECT 1 FROM order_line l WHERE l.tenant_id = o.tenant_id AND l.order_no = o.order_no AND l.state = 'U')
                              THEN 'waiting_for_person'
                         WHEN EXISTS (SELECT 1 FROM intent n WHERE n.tenant_id = o.tenant_id AND n.kind = 'import' AND n.version = 1
                                      AND n.entity = CAST(o.account_id AS TEXT) || '/' || o.order_id AND n.state IN ('TASK', 'REFUSED'))
                              THEN 'waiting_for_person'
                         WHEN o.payment <> 'paid' THEN 'unpaid'
                         ELSE 'on_their_way' END AS place
               FROM orders o WHERE o.tenant_id = :t AND o.placed_at > :since AND o.standing <> 'copy') sorted GROUP BY place""",
        t=tenant_id,
        hub=hub,
        since=since,
    )
    count = dict(rows)
    return Orders(
        total=sum(count.values()),
        in_shopify=count.get("in_shopify", 0),
        on_their_way=count.get("on_their_way", 0),
        unpaid=count.get("unpaid", 0),
        waiting_for_person=count.get("waiting_for_person", 0),
        elsewhere=count.get("elsewhere", 0),
    )


# --- channels ----------------------------------------------------------------------------------------------------------


def channels_now(tx: Tx, tenant_id: int, accounts: Sequence[AccountNow], now: int) -> list[ChannelNow]:
    """Return every account with its counts, in the order of `accounts`."""
    counts = _slots(tx, tenant_id, accounts, now)
    heard = _heard(tx, tenant_id)
    budgets = _budgets(tx, tenant_id, now)
    found = []
    for account in accounts:
        if account.is_hub:
            listed, pending, late, waiting = _hub_counts(tx, tenant_id, now)
            parked = unknown = 0
        else:
            listed, pending, late, parked, unknown, waiting = counts.get(account.account_id, (0,) * 6)
        silent = account.silent_since(now)
        if silent is not None:
            unknown, pending, late, parked = listed, 0, 0, 0
        told_at, writes = _told(tx, tenant_id, account)
        heard_at, heard_by = _newest(heard.get(account.account_id), account.polled_at)
        found.append(
            ChannelNow(
                account.account_id,
                account.channel,
                account.name,
                account.label,
                account.state,
                account.is_hub,
                _at(heard_at),
                heard_by,
                _at(told_at),
                _at(account.complete_through_at),
                _at(silent),
                account.problem,
                listed,
                max(0, listed - pending - late - parked - unknown),
                pending,
                late,
                parked,
                unknown,
                waiting,
                writes,
                budgets.get(account.account_id),
            )
        )
    return found


def _at(us: int | None) -> datetime | None:
    return None if us is None else from_us(us)


def _newest(message: tuple[int, str] | None, polled_at: int | None) -> tuple[int | None, str]:
    if message is not None and (polled_at is None or message[0] >= polled_at):
        return message
    return polled_at, "poll" if polled_at is not None else ""


def _slots(tx: Tx, tenant_id: int, accounts: Sequence[AccountNow], now: int) -> dict[int, tuple[int, ...]]:
    """Return {account: (listed, pending, late, parked, unknown, waiting)} of linked outlets that take a number from us.

    Slots are counted by their index; only marks and slots at work are looked at one by one. QUIET means: seen there (I12).
    """
    totals: dict[int, dict[str, int]] = {}
    for account_id, state, count in tx.all(
        "SELECT account_id, state, COUNT(*) FROM slot WHERE tenant_id = :t GROUP BY account_id, state", t=tenant_id
    ):
        totals.setdefault(account_id, {})[state] = count
    rows = tx.all(
        """SELECT o.account_id, COALESCE(s.state, ''), s.sent, d.since_at, s.since_at, d.outlet_id
             FROM dirty_listing d
             JOIN outlet o ON o.tenant_id = d.tenant_id AND o.outlet_id = d.outlet_id
             LEFT JOIN slot s ON s.tenant_id = d.tenant_id AND s.outlet_id = d.outlet_id WHERE d.tenant_id = :t""",
        t=tenant_id,
    )
    marked = {row[5] for row in rows}
    live = {account.account_id for account in accounts if account.state == "LIVE"}
    for account in accounts:
        found_here = tx.all(
            """SELECT account_id, state, sent, NULL, since_at, outlet_id FROM slot WHERE tenant_id = :t AND account_id = :a
                  AND state IN ('WAITING', 'READING', 'SENDING', 'APPLYING')""",
            t=tenant_id,
            a=account.account_id,
        )
        rows += [row for row in found_here if row[5] not in marked]
    work: dict[int, list[int]] = {}
    for account_id, state, sent, dirty_since, slot_since, _ in rows:
        listed, pending, late, waiting = work.setdefault(account_id, [0, 0, 0, 0])
        listed += state == ""
        waiting += state in ("", "QUIET", "WAITING")
        if state not in ("PARKED", "UNKNOWN"):
            since = dirty_since if dirty_since is not None else slot_since
            is_late = account_id in live and sent is None and since is not None and now - since > _LATE
            late += is_late
            pending += not is_late
        work[account_id] = [listed, pending, late, waiting]
    found: dict[int, tuple[int, ...]] = {}
    for account_id in totals.keys() | work.keys():
        states = totals.get(account_id, {})
        unmade, pending, late, waiting = work.get(account_id, (0, 0, 0, 0))
        listed = sum(states.values()) + unmade
        found[account_id] = (listed, pending, late, states.get("PARKED", 0), states.get("UNKNOWN", 0), waiting)
    return found


def _hub_counts(tx: Tx, tenant_id: int, now: int) -> tuple[int, int, int, int]:
    """Return (levels, on their way, late, waiting) of the hub: reads asked for, differences unexplained, claims unsettled."""
    levels = tx.one(
        """SELECT COUNT(*), COALESCE(SUM(CASE WHEN odd_since IS NOT NULL AND odd_since < :late THEN 1 ELSE 0 END), 0),
                  COALESCE(SUM(CASE WHEN odd_since IS NOT NULL OR wanted = 1 THEN 1 ELSE 0 END), 0)
             FROM hub_level WHERE tenant_id = :t""",
        t=tenant_id,
        late=now - 5 * ON_ITS_WAY_S * SECOND,
    )
    claims = tx.one(
        "SELECT COUNT(DISTINCT sku), COUNT(*) FROM claim WHERE tenant_id = :t AND open = 1 AND refused = 0 AND want <> held + imported",
        t=tenant_id,
    )
    assert levels is not None and claims is not None
    total, late = int(levels[0]), int(levels[1])
    return total, min(total - late, int(levels[2]) - late + int(claims[0])), late, int(claims[1])


def _heard(tx: Tx, tenant_id: int) -> dict[int, tuple[int, str]]:
    """Return {account: (when, by which way)} of the newest message each sent."""
    rows = tx.all(
        """SELECT account_id, received_at, source FROM (SELECT account_id, received_at, source, seq FROM inbox WHERE tenant_id = :t
            ORDER BY seq DESC LIMIT :n) newest ORDER BY seq""",
        t=tenant_id,
        n=LOOKED_THROUGH,
    )
    return {account_id: (received_at, source) for account_id, received_at, source in rows}


def _told(tx: Tx, tenant_id: int, account: AccountNow) -> tuple[int | None, int]:
    """Return when the channel last accepted something from us, and how many writes of ours it was sent in the last hour."""
    if account.is_hub:
        row = tx.one(
            """SELECT MAX(settled_at), COUNT(*) FROM (SELECT settled_at FROM intent WHERE tenant_id = :t AND state = 'DONE'
                AND kind IN ('import', 'move_batch', 'remove', 'cancel_copy', 'count') ORDER BY intent_no DESC LIMIT :n) newest""",
            t=tenant_id,
            n=LOOKED_THROUGH,
        )
    else:
        row = tx.one(
            """SELECT MAX(accepted_at), COUNT(*) FROM (SELECT accepted_at FROM attempt WHERE tenant_id = :t AND account_id = :a
                ORDER BY started_at DESC LIMIT :n) newest""",
            t=tenant_id,
            a=account.account_id,
            n=LOOKED_THROUGH,
        )
    return (None, 0) if row is None else (row[0], row[1])


def _budgets(tx: Tx, tenant_id: int, now: int) -> dict[int, int]:
    """Return {account: percent used of its fullest budget}, refilled by the time since it was stored."""
    found: dict[int, int] = {}
    for account_id, state in tx.all("SELECT account_id, state FROM budget WHERE tenant_id = :t", t=tenant_id):
        used = _used(json.loads(state), now)
        if used is not None:
            found[account_id] = max(found.get(account_id, 0), used)
    return found


def _used(state: dict, now: int) -> int | None:
    parts = []
    if state.get("per_day") and state.get("left_today") is not None:
        parts.append(1 - state["left_today"] / state["per_day"])
    if state.get("rate_per_s") and state.get("burst") and "at" in state:
        away_s = max(0.0, (from_us(now) - datetime.fromisoformat(state["at"])).total_seconds())
        parts.append(1 - min(state["burst"], state.get("level", 0) + away_s * state["rate_per_s"]) / state["burst"])
    return None if not parts else round(100 * max(0.0, *parts))
