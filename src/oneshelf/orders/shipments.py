"""What the hub's fulfilments owe the marketplace: one row a fulfilment and marketplace line (SEMANTICS 10.1, 10.3, 10.5, 10.7).

In: the copy's snapshot and the lines that its lines stand for. Out: rows of `shipment`, which the shipping room carries out.
Never: calls; takes a row back that the marketplace was told, or may have been.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from oneshelf.core.facts import ShipmentSeen
from oneshelf.core.instants import to_us
from oneshelf.core.shipment import Left, ShipmentEvent, ShipmentState, transition, units_by_parcel
from oneshelf.db.journal import open_task
from oneshelf.db.tx import Tx

from .batch import Batch, Heard
from .rows import LineRow, OrderRow

#: States in which the marketplace has not been told, nor may have been (beside `told_version`).
_UNTOLD = (ShipmentState.QUEUED, ShipmentState.CALLED_OFF)


class ShipmentRow(msgspec.Struct):
    """One row of `shipment`, in the order of its columns. Units of the listing; instants in microseconds UTC. `more_numbers`: tracking
    numbers beside the first, a line each."""

    order_no: int
    shipment_id: str
    line_id: str
    account_id: int
    units: int
    state: str
    version: int
    sent_version: int
    told_version: int
    carrier: str
    tracking_number: str
    tracking_url: str
    more_numbers: str
    shipped_at: int
    reference: str
    cancelled: int
    looked: int
    attempts: int
    not_found: int
    due_at: int
    first_sent_at: int | None
    settled_at: int | None
    reason: str
    sent_number: str

    @property
    def is_told(self) -> bool:
        """Whether its units are, or may be, the marketplace's knowledge: they stand."""
        return self.told_version > 0 or ShipmentState(self.state) not in _UNTOLD

    def take(self, event: ShipmentEvent) -> None:
        """Take one step of the state table. Raises Refused."""
        self.state = str(transition(ShipmentState(self.state), event))


_COLUMNS = ", ".join(ShipmentRow.__struct_fields__)
_CHANGES = ", ".join(f"{c} = excluded.{c}" for c in ShipmentRow.__struct_fields__[4:])
_SAVE = (
    f"INSERT INTO shipment (tenant_id, {_COLUMNS}) VALUES ({', '.join('?' * (len(ShipmentRow.__struct_fields__) + 1))}) "
    f"ON CONFLICT (tenant_id, order_no, shipment_id, line_id) DO UPDATE SET {_CHANGES}"
)


def load_shipments(tx: Tx, tenant_id: int, order_no: int) -> list[ShipmentRow]:
    """Return the rows of one order, oldest parcel first."""
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM shipment WHERE tenant_id = :t AND order_no = :o ORDER BY shipped_at, shipment_id, line_id",
        t=tenant_id,
        o=order_no,
    )
    return [ShipmentRow(*row) for row in rows]


def save_shipments(tx: Tx, tenant_id: int, rows: Iterable[ShipmentRow]) -> None:
    tx.many(_SAVE, [(tenant_id, *msgspec.structs.astuple(row)) for row in rows])


def owe(batch: Batch, source: OrderRow, h: Heard, stands_for: Mapping[str, tuple[LineRow, Collection[str]]]) -> None:
    """Write what the fulfilments of a copy's snapshot owe the marketplace of the order that it copies.

    `stands_for`: line key → the line and the hub lines that stand for it. What left before the account went live was told by whoever
    shipped it then (S0.7), and an order that its own copy counts is somebody else's to tell (S0.6).
    """
    live_at = batch.accounts[source.account_id].live_at
    if source.standing != "live" or live_at is None:
        return
    parcels = [s for s in h.order.shipments if s.created_at is None or to_us(s.created_at) >= live_at]
    if not parcels:
        return
    parcels.sort(key=lambda s: (to_us(s.created_at) if s.created_at else batch.now, s.shipment_id))
    rows = {(row.shipment_id, row.line_id): row for row in load_shipments(batch.tx, batch.tenant_id, source.order_no)}
    by_line: dict[str, list[tuple[LineRow, Collection[str]]]] = {}
    for (line_id, sku), line in batch.lines.get(source.order_no, {}).items():
        if sku:
            by_line.setdefault(line_id, []).append(stands_for.get(line.key, (line, ())))
    for line_id, parts in by_line.items():
        _owe_line(batch, source, line_id, parts, parcels, rows)
    for parcel in parcels:
        for row in [row for (shipment_id, _), row in rows.items() if shipment_id == parcel.shipment_id]:
            _follow(batch, source, row, parcel)
    save_shipments(batch.tx, batch.tenant_id, rows.values())


def _owe_line(
    batch: Batch,
    source: OrderRow,
    line_id: str,
    parts: list[tuple[LineRow, Collection[str]]],
    parcels: list[ShipmentSeen],
    rows: dict[tuple[str, str], ShipmentRow],
) -> None:
    """The units of one marketplace line that each fulfilment completes."""
    per_unit = {line.sku: line.units_per_listing for line, _ in parts}
    wanted = min((line.ordered - line.told_cancelled) // line.units_per_listing for line, _ in parts)
    left = [
        Left(p.shipment_id, {line.sku: sum(p.units.get(hub_line, 0) for hub_line in ids) for line, ids in parts})
        for p in parcels
        if not p.cancelled
    ]
    told = {
        shipment_id: row.units for (shipment_id, of_line), row in rows.items() if of_line == line_id and row.is_told
    }
    by_id = {p.shipment_id: p for p in parcels}
    for shipment_id, units in units_by_parcel(per_unit, wanted, left, told).items():
        row = rows.get((shipment_id, line_id))
        if row is None and units:
            rows[(shipment_id, line_id)] = _new(batch, source, line_id, by_id[shipment_id], units)
        elif row is not None and units != row.units:
            row.units = units
            row.take(ShipmentEvent.FULFILLED if units else ShipmentEvent.CALLED_OFF)
            row.due_at = batch.now


def _new(batch: Batch, source: OrderRow, line_id: str, parcel: ShipmentSeen, units: int) -> ShipmentRow:
    return ShipmentRow(
        order_no=source.order_no,
        shipment_id=parcel.shipment_id,
        line_id=line_id,
        account_id=source.account_id,
        units=units,
        state=str(transition(None, ShipmentEvent.FULFILLED)),
        version=1,
        sent_version=0,
        told_version=0,
        carrier=parcel.carrier or "",
        tracking_number=parcel.tracking_number or "",
        tracking_url=parcel.tracking_url or "",
        more_numbers="\n".join(parcel.more_tracking_numbers),
        shipped_at=to_us(parcel.created_at) if parcel.created_at else batch.now,
        reference="",
        cancelled=0,
        looked=0,
        attempts=0,
        not_found=0,
        due_at=batch.now,
        first_sent_at=None,
        settled_at=None,
        reason="",
        sent_number="",
    )


def _follow(batch: Batch, source: OrderRow, row: ShipmentRow, parcel: ShipmentSeen) -> None:
    """A fulfilment that was cancelled, or whose tracking was added or changed, after its row was written."""
    if parcel.cancelled:
        _cancelled(batch, source, row)
        return
    said = (parcel.carrier or row.carrier, parcel.tracking_number or row.tracking_number)
    same = said == (row.carrier, row.tracking_number)
    row.carrier, row.tracking_number = said
    # By themselves they are no news: marketplaces keep one carrier and one number.
    row.tracking_url = parcel.tracking_url or row.tracking_url
    row.more_numbers = "\n".join(parcel.more_tracking_numbers) or row.more_numbers
    if same:
        return
    if row.sent_version or row.told_version:
        row.version += 1
    before = row.state
    row.take(ShipmentEvent.CHANGED)
    if row.state != before or row.state == ShipmentState.QUEUED:
        row.due_at, row.attempts = batch.now, 0


def _cancelled(batch: Batch, source: OrderRow, row: ShipmentRow) -> None:
    """S10.5: a marketplace is not un-shipped. What it was not told yet it never hears."""
    if row.cancelled:
        return
    row.cancelled = 1
    if not row.is_told:
        if row.state == ShipmentState.QUEUED:
            row.take(ShipmentEvent.CALLED_OFF)
            row.reason = "its fulfilment was cancelled"
        return
    open_task(
        batch.tx,
        batch.tenant_id,
        batch.now,
        "fulfilment_cancelled",
        next(
            line.key for (line_id, sku), line in batch.lines[source.order_no].items() if sku and line_id == row.line_id
        ),
        f"Say what happens with order {source.order_id}: its fulfilment was cancelled in Shopify",
        "Its marketplace was told that it is on its way, and that can't be taken back",
        source.ship_by_at,
    )


def accounts_due(tx: Tx, tenant_id: int, now: int) -> list[int]:
    """Return the accounts with a parcel that is to be told, or looked for, now."""
    rows = tx.all(
        "SELECT DISTINCT account_id FROM shipment WHERE tenant_id = :t AND state IN ('QUEUED', 'UNKNOWN') AND due_at <= :now",
        t=tenant_id,
        now=now,
    )
    return [account_id for (account_id,) in rows]
