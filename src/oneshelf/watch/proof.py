"""The proof that no order is lost: per channel and day, what the channel lists = imported + waiting + ignored with its reason (I4).

In: each account's own list of orders, ours. Out: one row an account and day, and the orders that are missing, by name.
Tables: reads orders, order_line, intent. Never: stores what it read; judges an order that our own poll has not had its turn to hear of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial

import msgspec

from oneshelf.channels.contract import NoAnswer
from oneshelf.core.errors import Park, Retry
from oneshelf.core.instants import from_us, iso, to_us
from oneshelf.db.tx import Tx
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from .channel_orders import complete_through, orders_there
from .check import Checked

#: Orders that one row names of a kind; the others are counted.
NAMED_MAX = 50

#: What an order's standing (S0.6) means for the proof, where it is not imported and not waiting.
_IGNORED = {
    "history": "closed before the account went live",
    "off_count": "you said that its pieces left before",
    "channel": "the channel ships it from its own stock",
}


class DayProof(msgspec.Struct):
    """One account and one day (UTC, by the time of purchase).

    `there`: orders that the channel lists. `stored`: those of them that we keep = `imported` + the sum of `waiting` + the sum of `ignored`,
    each by its reason. `lost`: listed there and not kept. `unexplained`: kept, and none of the three. `not_listed`: kept, and the channel
    does not list them any more (eBay shows no order that was never paid). `too_young`: not judged, our own poll has yet to hear of them.
    """

    account_id: int
    channel: str
    day: str
    there: int = 0
    stored: int = 0
    imported: int = 0
    waiting: dict[str, int] = {}
    ignored: dict[str, int] = {}
    lost: list[str] = []
    lost_in_all: int = 0
    unexplained: list[str] = []
    not_listed: int = 0
    too_young: int = 0
    #: Nothing of it is lost or unexplained.
    holds: bool = True


class Proof(msgspec.Struct):
    """All of it. `proved`: every account was read and every row holds. `unread`: {account: why} of those that could not be."""

    since: str
    until: str
    days: list[DayProof]
    unread: dict[str, str]
    proved: bool


class Kept(msgspec.Struct, frozen=True):
    """One stored order, as far as the proof needs it. `end`: imported waiting ignored unexplained; `why`: in words."""

    order_id: str
    placed_at: int
    end: str
    why: str = ""


async def prove(
    tenant_id: int,
    checked: Sequence[Checked],
    writer: Writer,
    clock: Clock,
    *,
    days: int = 1,
) -> Proof:
    """Compare today and the `days` − 1 days before it (1 to 90). Raises ValueError beyond that."""
    if not 1 <= days <= 90:
        raise ValueError(f"{days} days can't be proved at once; say 1 to 90")
    now = clock.now()
    since = to_us(now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days - 1))
    proof = Proof(iso(since) or "", iso(to_us(now)) or "", [], {}, True)
    for one in checked:
        name = f"{one.account_id} {one.channel.name}"
        # What was placed before we were connected was never ours to hear.
        start = max(since, one.connected_at)
        try:
            there = await orders_there(one.channel, one.http, start, clock)
        except (NoAnswer, Retry, Park) as error:
            proof.unread[name] = str(error) or type(error).__name__
            continue
        proof.days += await writer.do(partial(_compare, tenant_id=tenant_id, one=one, there=there, since=start))
    proof.proved = not proof.unread and all(row.holds for row in proof.days)
    return proof


def _compare(tx: Tx, tenant_id: int, one: Checked, there: dict[str, int], since: int) -> list[DayProof]:
    through = complete_through(tx, tenant_id, one.account_id)
    kept = {order.order_id: order for order in kept_orders(tx, tenant_id, one.account_id, since, there)}
    # The channel's word on when it was placed; without one, ours.
    placed = {
        order_id: at or (kept[order_id].placed_at if order_id in kept else since) for order_id, at in there.items()
    }
    days: dict[str, DayProof] = {}

    def day_of(at: int) -> DayProof:
        name = f"{from_us(at):%Y-%m-%d}"
        return days.setdefault(name, DayProof(one.account_id, str(one.channel.name), name))

    for order_id, at in sorted(placed.items()):
        if at < since:
            continue  # an older order that changed since
        row = day_of(at)
        order = kept.get(order_id)
        if order is None and at > through:
            row.too_young += 1
            continue
        row.there += 1
        if order is None:
            row.lost_in_all += 1
            row.lost += [order_id] if len(row.lost) < NAMED_MAX else []
            continue
        row.stored += 1
        if order.end == "imported":
            row.imported += 1
        elif order.end == "waiting":
            row.waiting[order.why] = row.waiting.get(order.why, 0) + 1
        elif order.end == "ignored":
            row.ignored[order.why] = row.ignored.get(order.why, 0) + 1
        else:
            row.unexplained += [order_id] if len(row.unexplained) < NAMED_MAX else []
    for order in kept.values():
        if order.order_id not in there and order.placed_at >= since:
            day_of(order.placed_at).not_listed += 1
    for row in days.values():
        row.holds = not row.lost_in_all and not row.unexplained
    return [days[name] for name in sorted(days)]


def kept_orders(tx: Tx, tenant_id: int, account_id: int, since: int, also: Iterable[str] = ()) -> list[Kept]:
    """Return the stored orders of an account that were placed since `since`, and those of `also`, each with where it stands."""
    rows = tx.all(
        """SELECT o.order_id, o.placed_at, o.standing, o.state, o.payment, o.cancelled, o.hub_order_id, a.channel, a.state,
                  (SELECT COUNT(*) FROM order_line l WHERE l.tenant_id = o.tenant_id AND l.order_no = o.order_no AND l.state = 'U'),
                  (SELECT COUNT(*) FROM order_line l WHERE l.tenant_id = o.tenant_id AND l.order_no = o.order_no AND l.state <> 'C'),
                  n.state, n.reason
             FROM orders o JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
             LEFT JOIN intent n ON n.tenant_id = o.tenant_id AND n.kind = 'import'
                  AND n.entity = CAST(o.account_id AS TEXT) || '/' || o.order_id
                  AND n.version = (SELECT MAX(m.version) FROM intent m WHERE m.tenant_id = n.tenant_id AND m.kind = n.kind AND m.entity = n.entity)
            WHERE o.tenant_id = :t AND o.account_id = :a AND (o.placed_at >= :since OR o.order_id {in:also})""",
        t=tenant_id,
        a=account_id,
        since=since,
        also=sorted(also),
    )
    return [Kept(row[0], row[1], *_end(*row[2:])) for row in rows]


def _end(
    standing: str,
    state: str,
    payment: str,
    cancelled: int,
    hub_order_id: str | None,
    channel: str,
    account_state: str,
    unlinked: int,
    alive: int,
    intent: str | None,
    reason: str | None,
) -> tuple[str, str]:
    """Where one stored order stands, and why."""
    if channel == "shopify":
        return ("ignored", _IGNORED[standing]) if standing in _IGNORED else ("imported", "")
    if hub_order_id is not None or standing == "counted":
        return "imported", ""
    if standing in _IGNORED:
        return "ignored", _IGNORED[standing]
    if standing == "ask":
        return "waiting", "you are asked whether it is off your count already"
    if cancelled or state == "CANCELLED" or not alive:
        return "ignored", "cancelled before it was imported"
    if payment != "paid":
        return "waiting", "not paid yet"
    if account_state not in ("LIVE", "PAUSED"):
        return "waiting", "its account is not live"
    if unlinked:
        return "waiting", "a listing of it is not linked"
    if intent == "TASK":
        return "waiting", f"a task: {reason}" if reason else "a task"
    if intent in ("WAITING", "SENDING", "UNKNOWN"):
        return "waiting", "its import is under way"
    if state == "SHIPPED":
        return "ignored", "shipped before it was imported"
    return "unexplained", ""
