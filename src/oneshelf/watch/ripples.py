"""The newest sales, and when each other channel was told of them and showed it.

In: orders, lines, attempts, marks, intents. Out: one row a sale. Tables: reads them, owns none.
Never: draws an offer that did not change; claims "shown" without a read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from oneshelf.core.instants import SECOND, from_us
from oneshelf.db.tx import Tx
from oneshelf.stock.levels import available_of

from .accounts import AccountNow

#: A sale looks for its writes among those that began at most this long after it was decided.
CARRIED_WITHIN_S = 600


class Stop(msgspec.Struct, frozen=True):
    """One other channel of a sale. `state`: shown, accepted, sent, waiting. `after_s`: seconds from the purchase (None while waiting)."""

    outlet_id: int
    channel: str
    state: Literal["shown", "accepted", "sent", "waiting"]
    quantity: int | None
    told_after_s: float | None
    after_s: float | None


class Sale(msgspec.Struct, frozen=True):
    """One sold line. `left_before` → `left`: available around its entry (None: it posted none). `stops`: the channels that had to hear.

    `everywhere_s`: seconds until the last of them showed it; None while one is open, or when nobody had to hear.
    """

    order_no: int
    line_id: str
    order_id: str
    sku: str
    title: str
    channel: str
    pieces: int
    placed_at: datetime
    received_at: datetime
    source: str
    left_before: int | None
    left: int | None
    stops: list[Stop]
    everywhere_s: float | None

    @property
    def open(self) -> int:
        """How many channels have not shown it yet."""
        return sum(1 for stop in self.stops if stop.state != "shown")


class _Line(msgspec.Struct, frozen=True):
    order_no: int
    line_id: str
    order_id: str
    sku: str
    title: str
    account_id: int
    pieces: int
    placed_at: int
    received_at: int
    decided_at: int
    source: str
    outlet_id: int
    imported_at: int | None


def sales_of(tx: Tx, tenant_id: int, accounts: Sequence[AccountNow], limit: int) -> list[Sale]:
    """Return the `limit` newest sold lines with their ripples, newest first."""
    on = {a.account_id: a for a in accounts if a.is_on}
    lines = _lines(tx, tenant_id, on, limit)
    if not lines:
        return []
    skus = sorted({line.sku for line in lines})
    left = _left(tx, tenant_id, lines, skus)
    told = _told(tx, tenant_id, lines, skus, on)
    hub = next((a for a in on.values() if a.is_hub), None)
    holds = _holds(tx, tenant_id, lines) if hub is not None else {}
    sales = []
    for line in lines:
        stops = told[(line.order_no, line.line_id, line.sku)]
        if hub is not None and line.account_id != hub.account_id:
            stops = [_hub_stop(line, holds), *stops]
        sales.append(_sale(line, on[line.account_id].channel, left.get((line.order_no, line.sku)), stops))
    return sales


def _lines(tx: Tx, tenant_id: int, on: Mapping[int, AccountNow], limit: int) -> list[_Line]:
    rows = tx.all(
        """SELECT o.order_no, l.line_id, o.order_id, l.sku, COALESCE(i.title, l.title), o.account_id, l.ordered, o.placed_at, o.received_at,
                  o.decided_at, o.source, l.outlet_id, o.imported_at
             FROM (SELECT * FROM orders WHERE tenant_id = :t AND standing = 'live' ORDER BY order_no DESC LIMIT :n) o
             JOIN order_line l ON l.tenant_id = o.tenant_id AND l.order_no = o.order_no
             LEFT JOIN item i ON i.tenant_id = l.tenant_id AND i.sku = l.sku
            WHERE l.sku <> '' AND l.state <> 'U' ORDER BY o.order_no DESC, l.line_id, l.sku LIMIT :n""",
        t=tenant_id,
        n=limit,
    )
    return [_Line(*row) for row in rows if row[5] in on]


def _left(
    tx: Tx, tenant_id: int, lines: Sequence[_Line], skus: Sequence[str]
) -> dict[tuple[int, str], tuple[int, int]]:
    """Return {(order, SKU): (available before, after)} of the entry that took the pieces: this moment's, less what came later."""
    first = tx.one(
        "SELECT MIN(entry_no) FROM ledger_entry WHERE tenant_id = :t AND sku {in:skus} AND posted_at >= :since",
        t=tenant_id,
        skus=list(skus),
        since=min(line.decided_at for line in lines),
    )
    if first is None or first[0] is None:
        return {}
    rows = tx.all(
        """SELECT e.sku, e.order_no, e.on_hand - e.committed - e.reserved - e.unavailable, e.reason
             FROM ledger_entry e JOIN location l ON l.tenant_id = e.tenant_id AND l.location_id = e.location_id
            WHERE e.tenant_id = :t AND e.sku {in:skus} AND e.entry_no >= :first AND l.active = 1 AND l.in_scope = 1
            ORDER BY e.entry_no DESC""",
        t=tenant_id,
        skus=list(skus),
        first=first[0],
    )
    after = available_of(tx, tenant_id, skus)
    found: dict[tuple[int, str], tuple[int, int]] = {}
    for sku, order_no, change, reason in rows:
        now = after.get(sku, 0)
        after[sku] = now - change
        if order_no is not None and change < 0 and reason.startswith("sold"):
            found[(order_no, sku)] = (now - change, now)
    return found


def _told(
    tx: Tx, tenant_id: int, lines: Sequence[_Line], skus: Sequence[str], on: Mapping[int, AccountNow]
) -> dict[tuple[int, str, str], list[Stop]]:
    """The other outlets of each sold SKU that had to hear of it: the write whose mark was set no later and that began no earlier."""
    outlets = tx.all(
        """SELECT k.sku, o.outlet_id, o.account_id, d.since_at, s.state FROM link k
             JOIN outlet o ON o.tenant_id = k.tenant_id AND o.outlet_id = k.outlet_id
             LEFT JOIN dirty_listing d ON d.tenant_id = o.tenant_id AND d.outlet_id = o.outlet_id
             LEFT JOIN slot s ON s.tenant_id = o.tenant_id AND s.outlet_id = o.outlet_id
            WHERE k.tenant_id = :t AND k.sku {in:skus} AND o.fulfilled_by_channel = 0 AND o.state NOT IN ('ended', 'draft', 'gone')""",
        t=tenant_id,
        skus=list(skus),
    )
    outlets.sort(
        key=lambda row: row[1]
    )  # here, not in SQL: SQLite would walk all outlets in order instead of finding these few
    attempts: dict[int, list[tuple[int, ...]]] = {}
    for row in tx.all(
        """SELECT outlet_id, dirty_at, started_at, accepted_at, seen_at, quantity, outcome FROM attempt
            WHERE tenant_id = :t AND outlet_id {in:ids} AND started_at >= :since AND dirty_at IS NOT NULL""",
        t=tenant_id,
        ids=sorted({row[1] for row in outlets}),
        since=min(line.decided_at for line in lines),
    ):
        attempts.setdefault(row[0], []).append(row)
    for tries in attempts.values():
        tries.sort(key=lambda row: row[2])
    found: dict[tuple[int, str, str], list[Stop]] = {}
    for line in lines:
        stops = []
        for sku, outlet_id, account_id, dirty_since, slot_state in outlets:
            if sku != line.sku or outlet_id == line.outlet_id or account_id not in on:
                continue
            stop = _stop(line, outlet_id, on[account_id].channel, attempts.get(outlet_id, ()), dirty_since, slot_state)
            if stop is not None:
                stops.append(stop)
        found[(line.order_no, line.line_id, line.sku)] = stops
    return found


def _stop(
    line: _Line,
    outlet_id: int,
    channel: str,
    attempts: Sequence[tuple[int, ...]],
    dirty_since: int | None,
    slot_state: str | None,
) -> Stop | None:
    carried = [
        a for a in attempts if a[1] <= line.decided_at <= a[2] and a[2] - line.decided_at <= CARRIED_WITHIN_S * SECOND
    ]
    seen = next((a for a in carried if a[4] is not None), None)
    last = seen or (carried[-1] if carried else None)
    if last is not None:
        told_s = None if last[3] is None else _since(line, last[3])
        if last[4] is not None:
            return Stop(outlet_id, channel, "shown", last[5], told_s, _since(line, last[4]))
        if slot_state != "QUIET":
            return Stop(outlet_id, channel, "accepted" if last[3] is not None else "sent", last[5], told_s, None)
        return None
    if dirty_since is not None and dirty_since <= line.decided_at:
        return Stop(outlet_id, channel, "waiting", None, None, None)
    return None


def _holds(tx: Tx, tenant_id: int, lines: Sequence[_Line]) -> dict[str, int]:
    """Return {claim key: when the hub first held its pieces}."""
    keys = [f"{line.account_id}/{line.order_id}/{line.line_id}/{line.sku}" for line in lines]
    rows = tx.all(
        """SELECT entity, MIN(settled_at) FROM intent WHERE tenant_id = :t AND kind = 'hold' AND state = 'DONE' AND entity {in:keys}
              AND reason = '' GROUP BY entity""",
        t=tenant_id,
        keys=keys,
    )
    return {entity: at for entity, at in rows if at is not None}


def _hub_stop(line: _Line, holds: Mapping[str, int]) -> Stop:
    key = f"{line.account_id}/{line.order_id}/{line.line_id}/{line.sku}"
    at = min((at for at in (line.imported_at, holds.get(key)) if at is not None), default=None)
    if at is None:
        return Stop(0, "shopify", "waiting", None, None, None)
    return Stop(0, "shopify", "shown", None, _since(line, at), _since(line, at))


def _since(line: _Line, at: int) -> float:
    return round(max(0, at - line.placed_at) / SECOND, 1)


def _sale(line: _Line, channel: str, left: tuple[int, int] | None, stops: list[Stop]) -> Sale:
    times = [stop.after_s for stop in stops]
    everywhere = None if not stops or any(t is None for t in times) else max(t for t in times if t is not None)
    before, after = left if left is not None else (None, None)
    return Sale(
        line.order_no,
        line.line_id,
        line.order_id,
        line.sku,
        line.title,
        channel,
        line.pieces,
        from_us(line.placed_at),
        from_us(line.received_at),
        line.source,
        before,
        after,
        stops,
        everywhere,
    )
