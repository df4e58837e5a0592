"""Parcels, returns and places: how the hub's fulfilments move stock (SEMANTICS 5.4, 5.7, 10.5, 10.6).

In: a hub order's snapshot and the line it is about (the order's own, or the one it copies). Out: entries, each once.
Never: believes a marketplace's shipment about the shelf; decides a state.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from oneshelf.core.facts import ReturnSeen, ShipmentSeen
from oneshelf.core.instants import to_us
from oneshelf.core.stock import Entry
from oneshelf.db.journal import open_task

from .accounts import Account
from .batch import Batch, Heard
from .placing import choose_location
from .rows import LineRow, OrderRow


def place(batch: Batch, line: LineRow) -> str:
    """Give a line that has no location yet one by the routing rule, until the hub says otherwise (S5.7)."""
    if not line.location_id:
        line.location_id = choose_location(line.sku, batch.levels, batch.serving(line.account_id))
    return line.location_id


def follow_word(batch: Batch, line: LineRow, hub_line_ids: Collection[str], h: Heard) -> None:
    """S5.7: the hub's fulfilment order has the last word; what the line holds moves there, K unchanged.

    Served from several places: the line stands at the one with most pieces.
    """
    said: dict[str, int] = {}
    for hub_line_id in hub_line_ids:
        for location_id, pieces in h.order.locations.get(hub_line_id, {}).items():
            said[location_id] = said.get(location_id, 0) + pieces
    if said:
        move_line(batch, line, most_of(said))


def most_of(said: Mapping[str, int]) -> str:
    """Return the location that has most pieces."""
    return max(said, key=lambda where: (said[where], where))


def move_line(batch: Batch, line: LineRow, location_id: str) -> None:
    """Move what a line holds to another location (`alloc:`)."""
    if location_id == line.location_id:
        return
    if line.location_id and (line.reserved or line.committed):
        line.version += 1
        _carry(batch, line, f"{line.version}", location_id, line.committed, line.reserved)
    line.location_id = location_id
    batch.dirty_lines[(line.order_no, line.line_id, line.sku)] = line


def _carry(batch: Batch, line: LineRow, mark: str, to: str, committed: int, reserved: int = 0) -> None:
    batch.moved_by_hub.add(line.sku)
    for where, sign in ((line.location_id, -1), (to, 1)):
        batch.move(
            Entry(
                key=f"alloc:{line.key}:{mark}:{where}",
                sku=line.sku,
                location_id=where,
                reason="served from another location",
                reserved=sign * reserved,
                committed=sign * committed,
                source=f"order {line.order_id}",
                order_no=line.order_no,
            )
        )


def ship(
    batch: Batch,
    account: Account,
    order: OrderRow,
    line: LineRow,
    h: Heard,
    hub_line_ids: Collection[str],
    per_unit: int,
) -> None:
    """S10.6: stock leaves by hub fulfilments, each once; a cancelled one puts its pieces back.

    `account` is the hub. What left at or before T0 is inside the first count: it is shipped, and posts nothing (S0.4).
    """
    shipped = 0
    for shipment in h.order.shipments:
        pieces = per_unit * sum(shipment.units.get(hub_line_id, 0) for hub_line_id in hub_line_ids)
        if not shipment.cancelled:
            shipped += pieces
        if pieces and not _in_first_count(account, shipment):
            _post(batch, order, line, shipment, pieces)
    line.shipped = shipped


def _in_first_count(account: Account, shipment: ShipmentSeen) -> bool:
    return bool(account.opened_at and shipment.created_at and to_us(shipment.created_at) <= account.opened_at)


def _post(batch: Batch, order: OrderRow, line: LineRow, shipment: ShipmentSeen, pieces: int) -> None:
    ship_key, unship_key = f"ship:{line.key}:{shipment.shipment_id}", f"unship:{line.key}:{shipment.shipment_id}"
    place(batch, line)
    if not shipment.cancelled and ship_key not in batch.shipped_keys:
        batch.shipped_keys.add(ship_key)
        _leave(batch, order, line, ship_key, shipment, pieces, "shipped")
    elif shipment.cancelled and ship_key in batch.shipped_keys and unship_key not in batch.shipped_keys:
        batch.shipped_keys.add(unship_key)
        _leave(batch, order, line, unship_key, shipment, -pieces, "shipment cancelled")
        if line.told_shipped and not batch.accounts[line.account_id].is_hub:
            what = f"Say what happens with order {order.order_id}: its fulfilment was cancelled in Shopify"
            why = "Its marketplace was told that it is on its way, and that can't be taken back"
            open_task(batch.tx, batch.tenant_id, batch.now, "fulfilment_cancelled", line.key, what, why)


def _leave(
    batch: Batch, order: OrderRow, line: LineRow, key: str, shipment: ShipmentSeen, pieces: int, reason: str
) -> None:
    """The pieces leave from where the parcel was packed, whatever location the line stood at."""
    where = shipment.location_id or line.location_id
    if where != line.location_id:
        mark = f"{'' if pieces > 0 else 'un'}{shipment.shipment_id}"
        _carry(batch, line, mark, where, pieces)
    batch.move(
        Entry(
            key=key,
            sku=line.sku,
            location_id=where,
            reason=reason,
            on_hand=-pieces,
            committed=-pieces,
            source=f"order {order.order_id}",
            order_no=order.order_no,
        )
    )
    line.committed -= pieces


def come_back(batch: Batch, account: Account, line: LineRow, came_back: ReturnSeen) -> None:
    """S5.4: a piece restocked in the hub after its shipment is on the shelf again, where the hub says."""
    if account.opened_at and came_back.created_at is not None and to_us(came_back.created_at) <= account.opened_at:
        return
    batch.move(
        Entry(
            key=f"return:{came_back.return_line_id}",
            sku=line.sku,
            location_id=came_back.location_id or place(batch, line),
            reason="returned and restocked",
            on_hand=came_back.pieces,
            source=f"order {line.order_id}",
            order_no=line.order_no,
        )
    )
