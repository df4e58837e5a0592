"""What a marketplace's own list of shipments says about a parcel: read before every retry (SEMANTICS 10.2, 10.6).

In: the list, or why it could not be read. Out: CONFIRMED, QUEUED again, or nothing to tell.
Never: takes one missing read for a no: absence counts twice, the second NOT_FOUND_AFTER_S after the call.
"""

from __future__ import annotations

from collections.abc import Sequence

from oneshelf.channels.abilities import ShipmentTold
from oneshelf.core.instants import SECOND
from oneshelf.core.shipment import ShipmentEvent, ShipmentState, same_number
from oneshelf.db.tx import Tx
from oneshelf.orders.rows import load_orders_by_no
from oneshelf.orders.shipments import ShipmentRow, load_shipments, save_shipments

from .telling import LookCall, Units, confirm, end, put_off, units_of, wait_s

#: How long after the call a "not found" may count for the second time.
NOT_FOUND_AFTER_S = 60.0


def settle(
    tx: Tx,
    tenant_id: int,
    call: LookCall,
    told: Sequence[ShipmentTold] | None,
    problem: str,
    now: int,
    not_found_after_s: float = NOT_FOUND_AFTER_S,
) -> None:
    """Record what the read says; `told` None: it had no answer, `problem` says why."""
    states = (ShipmentState.QUEUED, ShipmentState.UNKNOWN)
    everyone = load_shipments(tx, tenant_id, call.rows[0].order_no)
    wanted = {(row.shipment_id, row.line_id) for row in call.rows}
    rows = [row for row in everyone if (row.shipment_id, row.line_id) in wanted and row.state in states]
    if not rows:
        return
    if told is None:
        for row in rows:
            row.attempts += 1
        put_off(tx, tenant_id, rows, now + int(wait_s(rows[0].attempts) * SECOND), problem)
        return
    order = load_orders_by_no(tx, tenant_id, [rows[0].order_no])[rows[0].order_no]
    taken = {row.reference for row in everyone if row.reference and row.shipment_id != rows[0].shipment_id}
    found = _find(rows, [one for one in told if one.reference not in taken])
    if found is not None:
        if same_number(found.tracking_number, rows[0].tracking_number):
            for row in rows:  # whoever entered it: it knows the newest number
                row.sent_version = row.version
        confirm(tx, tenant_id, order, rows, found.reference, now)
    elif rows[0].state == ShipmentState.UNKNOWN:
        _not_there(tx, tenant_id, rows, now, not_found_after_s)
    else:
        _not_ours(tx, tenant_id, rows, told, units_of(tx, tenant_id, order, everyone), now)


def _find(rows: list[ShipmentRow], told: Sequence[ShipmentTold]) -> ShipmentTold | None:
    """Which of the marketplace's shipments this parcel is: by its number, the newest or the one that it was told under; one that was
    told without a number by its reference or its units."""
    first = rows[0]
    for number in (first.tracking_number, first.sent_number):
        found = next((one for one in told if same_number(one.tracking_number, number)), None)
        if found is not None:
            return found
    if first.sent_number if first.sent_version else first.tracking_number:
        return None
    bare = [one for one in told if not one.tracking_number]
    units = {row.line_id: row.units for row in rows}
    by_name = next((one for one in bare if one.reference and one.reference == first.reference), None)
    return by_name or next((one for one in bare if one.units in (None, units)), None)


def _not_there(tx: Tx, tenant_id: int, rows: list[ShipmentRow], now: int, not_found_after_s: float) -> None:
    may_count_at = (rows[0].first_sent_at or now) + int(not_found_after_s * SECOND)
    for row in rows:
        row.not_found += 1
        row.attempts = 0
    if rows[0].not_found >= 2 and now >= may_count_at:
        for row in rows:
            row.take(ShipmentEvent.NOT_FOUND)
        put_off(tx, tenant_id, rows, now, "read twice: it is not there")
    else:
        put_off(tx, tenant_id, rows, max(may_count_at, now + SECOND), "not found yet")


def _not_ours(
    tx: Tx, tenant_id: int, rows: list[ShipmentRow], told: Sequence[ShipmentTold], units: dict[str, Units], now: int
) -> None:
    """None of them is this parcel: what was shipped there without us is not told again; the rest goes out."""
    whole = any(one.units is None for one in told)  # a channel that does not say which lines ships whole orders (S10.6)
    gone: list[ShipmentRow] = []
    for row in rows:
        row.looked = 1
        of_line = units[row.line_id]
        listed = sum(one.units.get(row.line_id, 0) for one in told if one.units is not None)
        left = 0 if whole else of_line.wanted - max(listed, of_line.told_shipped, of_line.ours)
        row.units = min(row.units, max(0, left))
        if not row.units:
            gone.append(row)
    end(tx, tenant_id, gone, ShipmentEvent.NEEDLESS, "it was shipped at the marketplace", now)
    kept = [row for row in rows if row.units]
    for row in kept:
        row.take(ShipmentEvent.NOT_FOUND)
        row.due_at = now
    save_shipments(tx, tenant_id, kept)
