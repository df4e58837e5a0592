"""A small shop: what the hub does with stock and orders, by arithmetic of its own. The edge of the scenario tests.

In: sales, fulfilments, edits by its merchant; moves, imports and corrections by us. Out: levels and order snapshots as its connector
gives them. Never: imports a rule of ours (only the words of the contract: levels, outcomes, facts).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from oneshelf.channels.abilities import NOT_THERE, CopyChange, Parcel, Placed
from oneshelf.channels.contract import HubCopy, HubLevel, HubOrderDraft, Move
from oneshelf.core.facts import LineSeen, OrderSeen, Payment, ReturnSeen, ShipmentSeen
from oneshelf.core.instants import from_us
from oneshelf.core.outcome import Accepted, Outcome, Rejected


@dataclass
class Cell:
    """One (SKU, location), in pieces."""

    on_hand: int = 0
    committed: int = 0
    reserved: int = 0
    unavailable: int = 0
    incoming: int = 0

    @property
    def available(self) -> int:
        return self.on_hand - self.committed - self.reserved - self.unavailable

    @property
    def row(self) -> str:
        """on_hand / available / committed / reserved, as the worked examples write it."""
        return f"{self.on_hand}/{self.available}/{self.committed}/{self.reserved}"


@dataclass
class HubLine:
    line_id: str
    sku: str
    location_id: str
    quantity: int
    cancelled: int = 0
    shipped: int = 0
    copy_of_line_id: str | None = None

    @property
    def open(self) -> int:
        return self.quantity - self.cancelled - self.shipped


@dataclass
class HubOrder:
    order_id: str
    placed_at: int
    updated_at: int
    lines: list[HubLine]
    paid: bool = True
    cancelled: bool = False
    copy_of_key: str | None = None
    shipments: dict[str, ShipmentSeen] = field(default_factory=dict)
    returns: list[ReturnSeen] = field(default_factory=list)
    draft: HubOrderDraft | None = None

    def line(self, line_id: str) -> HubLine:
        return next(line for line in self.lines if line.line_id == line_id)


class FakeHub:
    """The shop. Instants in microseconds. `says_location`: its order snapshots name the location of each line."""

    def __init__(self, says_location: bool = True) -> None:
        self.cells: dict[tuple[str, str], Cell] = {}
        self.orders: dict[str, HubOrder] = {}
        self.by_key: dict[str, str] = {}
        self.answered: dict[str, Outcome] = {}
        self.removals: set[str] = set()
        self.changed: list[str] = []
        self.changes: list[tuple[str, CopyChange]] = []
        self.says_location = says_location
        self.refuses: set[str] = set()
        self.ahead = 0  # by how much its clock is ahead of ours, microseconds
        self._number = 1000

    def cell(self, sku: str, location_id: str) -> Cell:
        return self.cells.setdefault((sku, location_id), Cell())

    def _new_id(self) -> str:
        self._number += 1
        return str(self._number)

    def _touch(self, order: HubOrder, now: int) -> None:
        order.updated_at = max(order.updated_at + 1, now)
        self.changed.append(order.order_id)

    # --- what buyers and the merchant do --------------------------------------------------------------------------------

    def sell(self, now: int, location_id: str = "L1", *, paid: bool = True, **pieces: int) -> str:
        """A web sale: it commits, whether anything is there or not."""
        order_id = self._new_id()
        lines = [HubLine(f"{order_id}-{sku}", sku, location_id, n) for sku, n in pieces.items()]
        for line in lines:
            self.cell(line.sku, location_id).committed += line.quantity
        self.orders[order_id] = HubOrder(order_id, now, now, lines, paid)
        self.changed.append(order_id)
        return order_id

    def fulfil(self, now: int, order_id: str, *, location_id: str | None = None, **pieces: int) -> str:
        """A parcel leaves, with so many pieces of each SKU (none given: all that is open). Returns the fulfilment's id."""
        order = self.orders[order_id]
        units: dict[str, int] = {}
        for line in order.lines:
            wanted = min(line.open, pieces.get(line.sku, 0) if pieces else line.open)
            if not wanted:
                continue
            if location_id is not None and location_id != line.location_id:
                self.move_line(now, order_id, line.line_id, location_id)
            if pieces:
                pieces[line.sku] -= wanted
            line.shipped += wanted
            cell = self.cell(line.sku, line.location_id)
            cell.on_hand -= wanted
            cell.committed -= wanted
            units[line.line_id] = wanted
        shipment_id = f"F{self._new_id()}"
        where = order.lines[0].location_id
        order.shipments[shipment_id] = ShipmentSeen(shipment_id, from_us(now), units, location_id=where)
        self._touch(order, now)
        return shipment_id

    def track(
        self, now: int, order_id: str, shipment_id: str, number: str, carrier: str = "UPS", *more: str, url: str = ""
    ) -> None:
        """The merchant enters a parcel's tracking number, or another one, and further ones of it."""
        order = self.orders[order_id]
        order.shipments[shipment_id] = msgspec.structs.replace(
            order.shipments[shipment_id],
            tracking_number=number,
            carrier=carrier,
            tracking_url=url or None,
            more_tracking_numbers=more,
        )
        self._touch(order, now)

    def cancel_fulfilment(self, now: int, order_id: str, shipment_id: str) -> None:
        order = self.orders[order_id]
        shipment = order.shipments[shipment_id]
        for line_id, pieces in shipment.units.items():
            line = order.line(line_id)
            line.shipped -= pieces
            cell = self.cell(line.sku, line.location_id)
            cell.on_hand += pieces
            cell.committed += pieces
        order.shipments[shipment_id] = ShipmentSeen(
            shipment_id, shipment.created_at, shipment.units, location_id=shipment.location_id, cancelled=True
        )
        self._touch(order, now)

    def move_line(self, now: int, order_id: str, line_id: str, location_id: str) -> None:
        """The merchant lets another location serve what is open of a line."""
        order = self.orders[order_id]
        line = order.line(line_id)
        self.cell(line.sku, line.location_id).committed -= line.open
        self.cell(line.sku, location_id).committed += line.open
        line.location_id = location_id
        self._touch(order, now)

    def remove(self, now: int, order_id: str, line_id: str, pieces: int, *, restock: bool = True) -> None:
        """Take unfulfilled pieces off an order; without restock the shelf loses them too."""
        order = self.orders[order_id]
        line = order.line(line_id)
        pieces = min(pieces, line.open)
        line.cancelled += pieces
        cell = self.cell(line.sku, line.location_id)
        cell.committed -= pieces
        if not restock:
            cell.on_hand -= pieces
        self._touch(order, now)

    def add(self, now: int, order_id: str, line_id: str, pieces: int) -> None:
        """An edit of the order: more pieces of a line."""
        line = self.orders[order_id].line(line_id)
        line.quantity += pieces
        self.cell(line.sku, line.location_id).committed += pieces
        self._touch(self.orders[order_id], now)

    def cancel(self, now: int, order_id: str) -> None:
        order = self.orders[order_id]
        for line in order.lines:
            self.cell(line.sku, line.location_id).committed -= line.open
            line.cancelled += line.open
        order.cancelled = True
        self._touch(order, now)

    def pay(self, now: int, order_id: str) -> None:
        self.orders[order_id].paid = True
        self._touch(self.orders[order_id], now)

    def take_back(self, now: int, order_id: str, line_id: str, pieces: int) -> str:
        """A shipped piece came back and is restocked. Returns the id of the refund line."""
        order = self.orders[order_id]
        line = order.line(line_id)
        self.cell(line.sku, line.location_id).on_hand += pieces
        return_id = f"R{self._new_id()}"
        order.returns.append(ReturnSeen(return_id, line_id, pieces, line.location_id, from_us(now)))
        self._touch(order, now)
        return return_id

    # --- what we ask of it ------------------------------------------------------------------------------------------------

    def move(self, moves: Sequence[Move], key: str) -> Outcome:
        """Hold or give back, all or nothing; the same key is answered as before."""
        if key in self.answered:
            return self.answered[key]
        done: list[tuple[Cell, int]] = []
        self.answered[key] = Accepted()
        for m in moves:
            cell, pieces = self.cell(m.item_id.removeprefix("item-"), m.location_id), m.pieces if m.hold else -m.pieces
            if (m.hold and cell.available < pieces) or cell.reserved < -pieces:
                for other, put in done:
                    other.reserved -= put
                self.answered[key] = Rejected("not enough", "INSUFFICIENT_QUANTITY")
                break
            cell.reserved += pieces
            done.append((cell, pieces))
        return self.answered[key]

    def create_order(self, draft: HubOrderDraft, now: int, *, ignore_policy: bool, location_id: str = "L1") -> Outcome:
        if draft.external_key in self.by_key:
            return Rejected("the key is taken", "KEY_TAKEN")
        wanted: dict[str, int] = {}
        for line in draft.lines:
            wanted[line.sku] = wanted.get(line.sku, 0) + line.pieces
        if not ignore_policy and any(self.cell(sku, location_id).available < n for sku, n in wanted.items()):
            return Rejected("not enough to claim", "INVENTORY_CLAIM_FAILED")
        order_id = self._new_id()
        lines = [
            HubLine(
                f"{order_id}-{i}", line.sku, location_id, line.pieces, copy_of_line_id=line.marketplace_line_id or None
            )
            for i, line in enumerate(draft.lines)
        ]
        for line in lines:
            self.cell(line.sku, location_id).committed += line.quantity
        self.orders[order_id] = HubOrder(order_id, now, now, lines, copy_of_key=draft.external_key, draft=draft)
        self.by_key[draft.external_key] = order_id
        self.changed.append(order_id)
        return Accepted(order_id)

    def find_copy(self, key: str) -> HubCopy | None:
        order_id = self.by_key.get(key)
        return None if order_id is None else HubCopy(order_id, f"#{order_id}", self.orders[order_id].cancelled)

    def cancel_copy(self, order_id: str, now: int) -> Outcome:
        order = self.orders[order_id]
        if any(line.shipped for line in order.lines):
            return Rejected("Cannot cancel an order with fulfilled line items", "fulfilled")
        if not order.cancelled:
            self.cancel(now, order_id)
        return Accepted()

    @staticmethod
    def _stands_for(line: HubLine, part: tuple[str, str]) -> bool:
        return line.copy_of_line_id == part[0] and part[1] in ("", line.sku)

    def remove_pieces(self, order_id: str, pieces: Mapping[tuple[str, str], int], key: str, now: int) -> Outcome:
        if key in self.removals:
            return Accepted()
        order = self.orders[order_id]
        for part, wanted in pieces.items():
            mine = [line for line in order.lines if self._stands_for(line, part)]
            if wanted > sum(line.open for line in mine):
                return Rejected("fewer are open", "nothing_to_remove")
        for part, wanted in pieces.items():
            for line in order.lines:
                if self._stands_for(line, part) and wanted and line.open:
                    taken = min(wanted, line.open)
                    self.remove(now, order_id, line.line_id, taken)
                    wanted -= taken
        self.removals.add(key)
        return Accepted()

    def change_copy(self, order_id: str, change: CopyChange, now: int) -> Outcome:
        self.changes.append((order_id, change))
        return Accepted()

    def fulfil_copy(self, order_id: str, parcel: Parcel, now: int) -> Outcome:
        """One fulfilment of these pieces, with the parcel's number; never more than is open."""
        order = self.orders[order_id]
        mine = {line.copy_of_line_id: line for line in order.lines}
        if any(mine[line_id].open < pieces for line_id, pieces in parcel.units.items() if line_id in mine):
            return Rejected("fewer are open", "not_open")
        shipment = self.fulfil(now, order_id, **{mine[line_id].sku: n for line_id, n in parcel.units.items()})
        if parcel.tracking_number:
            self.track(now, order_id, shipment, parcel.tracking_number, parcel.carrier or "")
        return Accepted(shipment)

    def move_copy(self, order_id: str, wanted: Sequence[Placed], now: int) -> Outcome:
        """Let lines leave from elsewhere; a location that `refuses` them does not stock them."""
        order = self.orders[order_id]
        goals = {(one.line_id, one.sku): one.location_id for one in wanted}
        for line in order.lines:
            goal = goals.get((line.copy_of_line_id or "", line.sku))
            if goal and goal != line.location_id and line.open:
                if goal in self.refuses:
                    return Rejected("it does not stock it", NOT_THERE + goal)
                self.move_line(now, order_id, line.line_id, goal)
        where = [[line.copy_of_line_id, line.sku, line.location_id, line.open] for line in order.lines if line.open]
        return Accepted(order_id, {"where": where})

    # --- what it shows ----------------------------------------------------------------------------------------------------

    def levels(self, skus: Iterable[str], now: int) -> list[HubLevel]:
        wanted = set(skus)
        return [
            HubLevel(
                item_id=f"item-{sku}",
                location_id=location_id,
                on_hand=cell.on_hand,
                available=cell.available,
                committed=cell.committed,
                reserved=cell.reserved,
                unavailable=cell.unavailable,
                incoming=cell.incoming,
                read_at=from_us(now + self.ahead),
            )
            for (sku, location_id), cell in sorted(self.cells.items())
            if sku in wanted
        ]

    def snapshot(self, order_id: str) -> OrderSeen:
        order = self.orders[order_id]
        return OrderSeen(
            order_id=order_id,
            payment=Payment.PAID if order.paid else Payment.PENDING,
            lines=tuple(
                LineSeen(
                    line_id=line.line_id,
                    listing_keys=(f"sku:{line.sku}",),
                    ordered=line.quantity,
                    cancelled=line.cancelled,
                    shipped=line.shipped,
                    sku=line.sku,
                    copy_of_line_id=line.copy_of_line_id,
                )
                for line in order.lines
            ),
            placed_at=from_us(order.placed_at),
            updated_at=from_us(order.updated_at),
            cancelled=order.cancelled,
            number=f"#{order_id}",
            shipments=tuple(order.shipments.values()),
            returns=tuple(order.returns),
            copy_of_key=order.copy_of_key,
            locations={line.line_id: {line.location_id: line.open} for line in order.lines if line.open > 0}
            if self.says_location
            else {},
        )
