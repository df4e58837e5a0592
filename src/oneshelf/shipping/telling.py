"""One parcel at a time told to its marketplace (SEMANTICS 10).

1. The row is durable (orders wrote it).  2. Sent once.  3. No answer: read (looking.py), and only what is not there is sent again.
What is owed is computed at the moment of sending: never more units than the line has, nothing for what its marketplace cancelled.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from oneshelf.channels.abilities import Parcel, ShipAbility
from oneshelf.core.backoff import backoff_s
from oneshelf.core.instants import SECOND, from_us
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled
from oneshelf.core.shipment import ShipmentEvent, ShipmentState
from oneshelf.db import events
from oneshelf.db.backup import restored_at
from oneshelf.db.journal import close_task, note, open_task
from oneshelf.db.tx import Tx
from oneshelf.orders.accounts import Account, load_accounts
from oneshelf.orders.rows import LineRow, OrderRow, load_lines, load_orders_by_no
from oneshelf.orders.shipments import ShipmentRow, load_shipments, save_shipments

#: How long an unanswered call is left before it is looked at, and a throttled one before it is tried, doubling.
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 300.0
#: A parcel without the tracking number that its marketplace asks for is looked at again so often.
TRACKING_WAIT_S = 300.0
#: How far the shop's clock, which says when a parcel left, and ours may be apart.
CLOCKS_APART_S = 600
#: How many parcels that can't go now are passed over in one look.
LOOK_AT = 50

#: Account setting: what a marketplace that takes whole receipts is told of an order in several parcels ("first" [default] or "all").
WHOLE_ORDERS = "ship_whole_orders"


class TellCall(msgspec.Struct):
    """Tell this parcel. `rows` are SENT by now."""

    order_id: str
    parcel: Parcel
    known: dict[str, Any]
    rows: list[ShipmentRow]


class LookCall(msgspec.Struct):
    """Read what the marketplace knows of this order."""

    order_id: str
    rows: list[ShipmentRow]


class Units(msgspec.Struct):
    """One marketplace line in units of the listing. `wanted`: still asked for, shipped ones included. `told_shipped`: what the
    marketplace calls shipped. `ours`: what we told it, or may have told it."""

    wanted: int
    told_shipped: int
    ours: int

    @property
    def foreign(self) -> int:
        """Units that were shipped at the marketplace without us."""
        return max(0, self.told_shipped - self.ours)


def due_at(tx: Tx, tenant_id: int, account_id: int) -> int | None:
    """When `plan` may have something at the earliest: a cheap look."""
    row = tx.one(
        "SELECT MIN(due_at) FROM shipment WHERE tenant_id = :t AND account_id = :a AND state IN ('QUEUED', 'UNKNOWN')",
        t=tenant_id,
        a=account_id,
    )
    return None if row is None else row[0]


def plan(tx: Tx, tenant_id: int, account_id: int, ability: ShipAbility, now: int) -> TellCall | LookCall | None:
    """Return the account's next call, the order that must be out first before others; None if nothing is due."""
    account = load_accounts(tx, tenant_id).get(account_id)
    if account is None or not account.is_live:
        return None
    for order_no in _orders_due(tx, tenant_id, account_id, now):
        order = load_orders_by_no(tx, tenant_id, [order_no])[order_no]
        rows = load_shipments(tx, tenant_id, order_no)
        call = _next_of_order(tx, tenant_id, account, ability, order, rows, now)
        if call is not None:
            return call
    return None


def _orders_due(tx: Tx, tenant_id: int, account_id: int, now: int) -> list[int]:
    """One unanswered call an order: its answer, or a look once that is due, says what is owed next. Those that wait for it take nobody's place."""
    rows = tx.all(
        """SELECT s.order_no, MIN(COALESCE(o.ship_by_at, s.shipped_at + 864000000000)), MIN(s.due_at) FROM shipment s
             JOIN orders o ON o.tenant_id = s.tenant_id AND o.order_no = s.order_no
            WHERE s.tenant_id = :t AND s.account_id = :a AND s.state IN ('QUEUED', 'UNKNOWN') AND s.due_at <= :now
              AND NOT EXISTS (SELECT 1 FROM shipment w WHERE w.tenant_id = s.tenant_id AND w.order_no = s.order_no AND w.state = 'SENT')
              AND (s.state = 'UNKNOWN' OR NOT EXISTS (SELECT 1 FROM shipment w WHERE w.tenant_id = s.tenant_id
                                                         AND w.order_no = s.order_no AND w.state = 'UNKNOWN' AND w.due_at > :now))
            GROUP BY s.order_no ORDER BY 2, 3, 1 LIMIT :limit""",
        t=tenant_id,
        a=account_id,
        now=now,
        limit=LOOK_AT,
    )
    return [order_no for order_no, _, _ in rows]


def _next_of_order(
    tx: Tx, tenant_id: int, account: Account, ability: ShipAbility, order: OrderRow, rows: list[ShipmentRow], now: int
) -> TellCall | LookCall | None:
    unknown = [row for row in rows if row.state == ShipmentState.UNKNOWN]
    if unknown:  # nothing else of this order goes before we know
        due = [row for row in unknown if row.due_at <= now]
        return LookCall(order.order_id, _one_parcel(due)) if due else None
    units = units_of(tx, tenant_id, order, rows)
    queued = [row for row in rows if row.state == ShipmentState.QUEUED and row.due_at <= now]
    while queued:
        mine = _one_parcel(queued)
        queued = [row for row in queued if row.shipment_id != mine[0].shipment_id]
        call = _plan_parcel(tx, tenant_id, account, ability, order, rows, mine, units, now)
        if call is not None:
            return call
    return None


def _one_parcel(rows: list[ShipmentRow]) -> list[ShipmentRow]:
    return [row for row in rows if row.shipment_id == rows[0].shipment_id]


def units_of(tx: Tx, tenant_id: int, order: OrderRow, rows: list[ShipmentRow]) -> dict[str, Units]:
    """Return the units of each marketplace line of the order; of a bundle the part that has least decides."""
    found: dict[str, Units] = {}
    lines: list[LineRow] = list(load_lines(tx, tenant_id, [order.order_no]).get(order.order_no, {}).values())
    for line in lines:
        wanted = max(0, line.ordered - line.told_cancelled) // line.units_per_listing
        told_shipped = line.told_shipped // line.units_per_listing
        ours = sum(row.units for row in rows if row.line_id == line.line_id and _counts(row))
        if line.line_id in found:
            wanted = min(wanted, found[line.line_id].wanted)
            told_shipped = max(told_shipped, found[line.line_id].told_shipped)
        found[line.line_id] = Units(wanted, told_shipped, ours)
    return found


def _counts(row: ShipmentRow) -> bool:
    """Whether the marketplace has these units from us, or may have."""
    return row.told_version > 0 or row.state in (ShipmentState.SENT, ShipmentState.UNKNOWN)


def _plan_parcel(
    tx: Tx,
    tenant_id: int,
    account: Account,
    ability: ShipAbility,
    order: OrderRow,
    rows: list[ShipmentRow],
    mine: list[ShipmentRow],
    units: dict[str, Units],
    now: int,
) -> TellCall | LookCall | None:
    """The call that this parcel is owed; None if it is not needed, or not yet."""
    if any(row.told_version for row in mine):
        return _plan_change(tx, tenant_id, ability, order, mine, now)
    if not mine[0].looked and (
        any(units[row.line_id].foreign for row in mine)
        or not _made_by_us(tx, tenant_id, order)
        or _may_be_forgotten(tx, tenant_id, mine[0])
    ):
        return LookCall(order.order_id, mine)
    if _needless(ability, account_mode(tx, tenant_id, order.account_id), rows, mine, units):
        end(
            tx,
            tenant_id,
            mine,
            ShipmentEvent.NEEDLESS,
            "this marketplace takes whole orders: another parcel tells it",
            now,
        )
        return None
    if not ability.partial and not _whole(rows, units) and account_mode(tx, tenant_id, order.account_id) == "all":
        put_off(tx, tenant_id, mine, now + int(TRACKING_WAIT_S * SECOND), "waits for the order's other parcels")
        return None
    mine = _within(tx, tenant_id, mine, units, now)
    if not mine:
        return None
    if ability.needs_tracking and not mine[0].tracking_number:
        why = "the marketplace takes no parcel without a tracking number"
        put_off(tx, tenant_id, mine, now + int(TRACKING_WAIT_S * SECOND), why)
        what = f"Enter a tracking number for order {order.order_id} in Shopify"
        open_task(tx, tenant_id, now, "ship_tracking", subject(order, mine[0]), what, why, order.ship_by_at)
        return None
    return _send(tx, tenant_id, ability, order, mine, now)


def _within(tx: Tx, tenant_id: int, mine: list[ShipmentRow], units: dict[str, Units], now: int) -> list[ShipmentRow]:
    """S10.3 and 10.2: never more units than the line has, nothing for what was cancelled or shipped there."""
    kept = []
    for row in mine:
        of_line = units[row.line_id]
        left = of_line.wanted - of_line.ours - (of_line.foreign if row.looked else 0)
        row.units = min(row.units, max(0, left))
        if row.units:
            kept.append(row)
    gone = [row for row in mine if not row.units]
    if gone:
        end(tx, tenant_id, gone, ShipmentEvent.CALLED_OFF, "its marketplace asks for no more of it", now)
    return kept


def _needless(
    ability: ShipAbility, mode: str, rows: list[ShipmentRow], mine: list[ShipmentRow], units: dict[str, Units]
) -> bool:
    """S10.6: a marketplace of whole receipts hears of the first parcel [or of the one that makes it whole]."""
    if ability.partial:
        return False
    others = [row for row in rows if row.shipment_id != mine[0].shipment_id and not row.cancelled]
    if any(_counts(row) for row in others):
        return True
    if mode != "all" or not _whole(rows, units):
        return False
    last = max(
        (row for row in rows if row.state == ShipmentState.QUEUED), key=lambda row: (row.shipped_at, row.shipment_id)
    )
    return last.shipment_id != mine[0].shipment_id


def _whole(rows: list[ShipmentRow], units: dict[str, Units]) -> bool:
    """Whether all that the marketplace asks for is in parcels."""
    left = {line_id: of_line.wanted for line_id, of_line in units.items()}
    for row in rows:
        if row.state != ShipmentState.CALLED_OFF:
            left[row.line_id] = left.get(row.line_id, 0) - row.units
    return all(pieces <= 0 for pieces in left.values())


def account_mode(tx: Tx, tenant_id: int, account_id: int) -> str:
    """Return what the account says about whole orders: "first" or "all"."""
    row = tx.one("SELECT settings FROM account WHERE tenant_id = :t AND account_id = :a", t=tenant_id, a=account_id)
    return "all" if row is not None and json.loads(row[0]).get(WHOLE_ORDERS) == "all" else "first"


def _made_by_us(tx: Tx, tenant_id: int, order: OrderRow) -> bool:
    """Whether our import made the copy. Another program that made it may tell its marketplace too: then look first."""
    row = tx.one(
        "SELECT 1 FROM intent WHERE tenant_id = :t AND kind = 'import' AND entity = :e AND first_sent_at IS NOT NULL",
        t=tenant_id,
        e=f"{order.account_id}/{order.order_id}",
    )
    return row is not None


def _may_be_forgotten(tx: Tx, tenant_id: int, row: ShipmentRow) -> bool:
    """Whether the parcel left before a backup was put back: then it may have been told, and the copy does not know."""
    restored = restored_at(tx, tenant_id)
    return restored is not None and row.shipped_at <= restored + CLOCKS_APART_S * SECOND


def _plan_change(
    tx: Tx, tenant_id: int, ability: ShipAbility, order: OrderRow, mine: list[ShipmentRow], now: int
) -> TellCall | None:
    """S10.3: tracking of a told parcel is told by the same key where the channel allows, else a person does it."""
    if ability.edits:
        return _send(tx, tenant_id, ability, order, mine, now)
    for row in mine:
        row.take(ShipmentEvent.FOUND)
        row.reason, row.settled_at = "its tracking changed later; that is a person's to enter", now
    save_shipments(tx, tenant_id, mine)
    what = f"Enter the new tracking number of order {order.order_id} at its marketplace: {mine[0].tracking_number}"
    why = "It was told before the number changed, and this marketplace lets no program change it"
    open_task(tx, tenant_id, now, "ship_tracking_changed", subject(order, mine[0]), what, why)
    return None


def _send(tx: Tx, tenant_id: int, ability: ShipAbility, order: OrderRow, mine: list[ShipmentRow], now: int) -> TellCall:
    for row in mine:
        row.take(ShipmentEvent.SEND)
        row.sent_version, row.sent_number = row.version, row.tracking_number
        row.first_sent_at, row.not_found = now, 0
        row.attempts += 1
    save_shipments(tx, tenant_id, mine)
    first = mine[0]
    more = tuple(first.more_numbers.split("\n")) if first.more_numbers else ()
    if more and first.attempts == 1 and not ability.more_numbers:
        what = "A parcel goes with its first tracking number: its marketplace takes one"
        note(tx, tenant_id, now, "shipping", what, f"order:{order.order_no}", parcel=first.shipment_id, left_out=more)
    parcel = Parcel(
        key=first.shipment_id,
        units={row.line_id: row.units for row in mine},
        shipped_at=from_us(first.shipped_at),
        carrier=first.carrier or None,
        tracking_number=first.tracking_number or None,
        tracking_url=first.tracking_url or None,
        version=max(row.version for row in mine),
        reference=first.reference or None,
        more_tracking_numbers=more,
    )
    return TellCall(order.order_id, parcel, known_of(order), mine)


def known_of(order: OrderRow) -> dict[str, Any]:
    """What a connector may need of the stored snapshot beside the order's id: its marketplace and number."""
    document = json.loads(order.document)
    return {"marketplace_id": document.get("marketplace_id"), "number": order.number}


def subject(order: OrderRow, row: ShipmentRow) -> str:
    """How tasks name a parcel."""
    return f"{order.account_id}/{order.order_id}/{row.shipment_id}"


def _fresh(tx: Tx, tenant_id: int, rows: list[ShipmentRow]) -> list[ShipmentRow]:
    """The rows as they are now: news of the hub may have come while the call was under way."""
    wanted = {(row.shipment_id, row.line_id) for row in rows}
    return [row for row in load_shipments(tx, tenant_id, rows[0].order_no) if (row.shipment_id, row.line_id) in wanted]


def settle(tx: Tx, tenant_id: int, call: TellCall, outcome: Outcome, now: int) -> None:
    """Record what the marketplace said. Throttled: nothing was done. Unknown: read before anything else (I18)."""
    rows = [row for row in _fresh(tx, tenant_id, call.rows) if row.state == ShipmentState.SENT]
    if not rows:
        return
    order = load_orders_by_no(tx, tenant_id, [rows[0].order_no])[rows[0].order_no]
    if isinstance(outcome, Accepted):
        confirm(tx, tenant_id, order, rows, outcome.reference or "", now)
    elif isinstance(outcome, Rejected):
        _refused(tx, tenant_id, order, rows, outcome, now)
    else:
        event = ShipmentEvent.THROTTLED if isinstance(outcome, Throttled) else ShipmentEvent.UNANSWERED
        named = outcome.wait_s if isinstance(outcome, Throttled) else None
        due_at = now + int((named if named is not None else wait_s(rows[0].attempts)) * SECOND)
        for row in rows:
            row.take(event)
        put_off(tx, tenant_id, rows, due_at, outcome.reason)


def confirm(tx: Tx, tenant_id: int, order: OrderRow, rows: list[ShipmentRow], reference: str, now: int) -> None:
    """The marketplace knows the parcel: by its answer (SENT) or by its own list. A newer version of it is owed at once."""
    for row in rows:
        row.take(ShipmentEvent.ACCEPTED if row.state == ShipmentState.SENT else ShipmentEvent.FOUND)
        row.told_version = row.sent_version or row.version
        row.reference = reference or row.reference
        row.reason, row.settled_at, row.attempts = "", now, 0
        if row.version > row.told_version:
            row.take(ShipmentEvent.CHANGED)
            row.due_at = now
    save_shipments(tx, tenant_id, rows)
    for kind in ("ship", "ship_tracking"):
        close_task(tx, tenant_id, now, kind, subject(order, rows[0]))
    ids = {"order": order.order_no, "parcel": rows[0].shipment_id}
    events.tell(tx, tenant_id, now, "shipment.told", [ids])
    what = "A parcel was told to the marketplace"
    note(tx, tenant_id, now, "shipping", what, f"order:{order.order_no}", parcel=rows[0].shipment_id, as_=reference)


def _refused(tx: Tx, tenant_id: int, order: OrderRow, rows: list[ShipmentRow], outcome: Rejected, now: int) -> None:
    for row in rows:
        row.take(ShipmentEvent.REJECTED)
        row.reason, row.settled_at = outcome.reason[:500], now
    save_shipments(tx, tenant_id, rows)
    account = load_accounts(tx, tenant_id, disconnected=True)[order.account_id]
    number = f" (tracking {rows[0].tracking_number})" if rows[0].tracking_number else ""
    why = f"{account.label} refused it: {outcome.reason}"
    if outcome.code == "not_allowed":
        why = f"{account.label} does not let this app tell shipments of this shop: {outcome.reason}"
    what = f"Mark order {order.order_id} as shipped at {account.label} by hand{number}"
    open_task(tx, tenant_id, now, "ship", subject(order, rows[0]), what, why, order.ship_by_at)


def end(tx: Tx, tenant_id: int, rows: list[ShipmentRow], event: ShipmentEvent, reason: str, now: int) -> None:
    """Nothing is to be told of these, and why."""
    for row in rows:
        row.take(event)
        row.reason, row.settled_at = reason, now
    save_shipments(tx, tenant_id, rows)


def put_off(tx: Tx, tenant_id: int, rows: list[ShipmentRow], due_at: int, reason: str) -> None:
    for row in rows:
        row.due_at, row.reason = due_at, reason[:500]
    save_shipments(tx, tenant_id, rows)


def wait_s(attempts: int) -> float:
    """The wait before the next look, doubling from FIRST_WAIT_S to LONGEST_WAIT_S."""
    return backoff_s(FIRST_WAIT_S, attempts, LONGEST_WAIT_S)


def recover(tx: Tx, tenant_id: int, account_id: int | None = None) -> int:
    """At start, or when an account's loops have ended: a call that was under way may have been done (I17). Returns how many rows."""
    return tx.run(
        "UPDATE shipment SET state = 'UNKNOWN', reason = 'the service stopped before the answer' "
        "WHERE tenant_id = :t AND state = 'SENT' AND (CAST(:a AS BIGINT) IS NULL OR account_id = :a)",
        t=tenant_id,
        a=account_id,
    )


def next_due_at(tx: Tx, tenant_id: int, account_id: int) -> int | None:
    """When the account's earliest parcel is due, in microseconds; None if nothing waits."""
    row = tx.one(
        "SELECT MIN(due_at) FROM shipment WHERE tenant_id = :t AND account_id = :a AND state IN ('QUEUED', 'UNKNOWN')",
        t=tenant_id,
        a=account_id,
    )
    return None if row is None else row[0]
