"""A hub copy keeps up with its marketplace order: what was told later, and what was shipped there (SEMANTICS 10.6, 14.7).

In: an order that was just booked. Out: intents `change_copy` and `fulfil_copy`, a task where a buyer asks for a cancel.
Never: names what the marketplace did not change since the copy was told: the rest of the copy is the merchant's to edit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping

import msgspec

from oneshelf.core.facts import ShipmentSeen
from oneshelf.core.instants import SECOND
from oneshelf.core.shipment import ShipmentState, same_number
from oneshelf.db.journal import close_task, note, open_task
from oneshelf.db.tx import Tx

from . import claims
from .accounts import Account
from .rows import LineRow, OrderRow
from .shipments import ShipmentRow, load_shipments

CHANGE = "change_copy"
FULFIL = "fulfil_copy"
#: Changes within so many seconds are one call.
COALESCE_S = 2
#: S10.6: the hub's own fulfilment of the same parcel may still be on its way to us; so long it is waited for.
ECHO_WAIT_S = 120


def said(order: OrderRow) -> dict[str, str]:
    """Return a digest a field of what the marketplace says of an order now; a field it says nothing of is missing."""
    document, person = json.loads(order.document), json.loads(order.person)
    buyer = person.get("buyer") or {}
    fields = {
        "ship_to": person.get("ship_to"),
        "email": buyer.get("email"),
        "phone": buyer.get("phone"),
        "note": document.get("note"),
        "cancel_asked": document.get("cancel_asked"),
        "refunded": (document.get("refunded") or {}).get("minor"),
    }
    return {name: _digest(order, value) for name, value in fields.items() if value}


def _digest(order: OrderRow, value: object) -> str:
    text = json.dumps([order.account_id, order.order_id, value], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def load_told(tx: Tx, tenant_id: int, order_nos: Iterable[int]) -> dict[int, dict[str, str]]:
    """Return what the copies of these orders were told, by order number; one without a row was never looked at."""
    rows = tx.all(
        "SELECT order_no, told FROM copy_told WHERE tenant_id = :t AND order_no {in:nos}",
        t=tenant_id,
        nos=list(order_nos),
    )
    return {order_no: json.loads(told) for order_no, told in rows}


def save_told(tx: Tx, tenant_id: int, order_no: int, told: Mapping[str, str]) -> None:
    tx.run(
        "INSERT INTO copy_told (tenant_id, order_no, told) VALUES (:t, :o, :told) "
        "ON CONFLICT (tenant_id, order_no) DO UPDATE SET told = excluded.told",
        t=tenant_id,
        o=order_no,
        told=json.dumps(dict(told)),
    )


def changed(order: OrderRow, told: Mapping[str, str]) -> list[str]:
    """Return the fields of which the marketplace says something else than the copy was told."""
    return sorted(name for name, digest in said(order).items() if told.get(name) != digest)


def follow(tx: Tx, tenant_id: int, orders: list[OrderRow], accounts: Mapping[int, Account], now: int) -> None:
    """Write what the copies of these orders owe them."""
    for order in orders:
        _answer_buyer(tx, tenant_id, order, accounts[order.account_id], now)
    copied = [
        o for o in orders if o.hub_order_id is not None and o.standing == "live" and accounts[o.account_id].is_live
    ]
    told = load_told(tx, tenant_id, [order.order_no for order in copied]) if copied else {}
    for order in copied:
        if order.order_no not in told:
            told[order.order_no] = _first_told(tx, tenant_id, order)
            save_told(tx, tenant_id, order.order_no, told[order.order_no])
        want_change(tx, tenant_id, order, told[order.order_no], now)


def _first_told(tx: Tx, tenant_id: int, order: OrderRow) -> dict[str, str]:
    """What the copy was made with; of one that somebody else made: what is said now, but for what a copy never carries."""
    row = tx.one(
        "SELECT payload FROM intent WHERE tenant_id = :t AND kind = 'import' AND entity = :e ORDER BY version DESC LIMIT 1",
        t=tenant_id,
        e=f"{order.account_id}/{order.order_id}",
    )
    made_with = json.loads(row[0]).get("told") if row is not None else None
    if made_with is not None:
        return dict(made_with)
    return {name: digest for name, digest in said(order).items() if name not in ("cancel_asked", "refunded")}


def want_change(tx: Tx, tenant_id: int, order: OrderRow, told: Mapping[str, str], now: int) -> None:
    """Write the intent, if the marketplace changed something; one at a time an order, the fields are looked up when it goes."""
    fields = changed(order, told)
    name = f"{order.account_id}/{order.order_id}"
    if not fields or claims.has_open_intent(tx, tenant_id, (CHANGE,), name):
        return
    payload = {"order_no": order.order_no}
    due_at = now + COALESCE_S * SECOND
    row = tx.one(
        "SELECT COUNT(*) FROM intent WHERE tenant_id = :t AND kind = :k AND entity = :e", t=tenant_id, k=CHANGE, e=name
    )
    version = int(row[0]) + 1 if row else 1
    if claims.add_intent(tx, tenant_id, CHANGE, name, version, payload, now, due_at=due_at, priority=4):
        what = "A marketplace changed an order after its import"
        note(tx, tenant_id, now, "orders", what, f"order:{order.order_no}", fields=fields)


class _Wish(msgspec.Struct):
    """The one word that is wanted of every document: the rest of it is passed over, not made."""

    cancel_asked: str = ""


_wish = msgspec.json.Decoder(_Wish)


def _answer_buyer(tx: Tx, tenant_id: int, order: OrderRow, account: Account, now: int) -> None:
    """A buyer's wish to cancel is the merchant's to answer, before anything of it leaves."""
    name = f"{order.account_id}/{order.order_id}"
    asked = _wish.decode(order.document).cancel_asked
    if asked and order.state not in ("CANCELLED", "SHIPPED") and order.standing == "live":
        what = f"Answer the buyer of {account.label} order {order.order_id}, who wants to cancel it"
        open_task(
            tx,
            tenant_id,
            now,
            "buyer_asks_cancel",
            name,
            what,
            "Hold its parcel until it is answered",
            order.ship_by_at,
        )
    elif order.version > 1:
        close_task(tx, tenant_id, now, "buyer_asks_cancel", name)


def want_fulfilment(tx: Tx, tenant_id: int, order: OrderRow, lines: list[LineRow], now: int) -> None:
    """S10.6: pieces shipped at the marketplace, of which no fulfilment is known: the copy is to be fulfilled, once."""
    if order.hub_order_id is None or not any(line.told_shipped > line.shipped for line in lines):
        return
    name = f"{order.account_id}/{order.order_id}"
    if not missing_in_hub(order, lines, load_shipments(tx, tenant_id, order.order_no)):
        return
    if claims.has_open_intent(tx, tenant_id, (FULFIL,), name):
        return
    row = tx.one(
        "SELECT COUNT(*) FROM intent WHERE tenant_id = :t AND kind = :k AND entity = :e", t=tenant_id, k=FULFIL, e=name
    )
    version = int(row[0]) + 1 if row else 1
    due_at = now + ECHO_WAIT_S * SECOND
    claims.add_intent(
        tx, tenant_id, FULFIL, name, version, {"order_no": order.order_no}, now, due_at=due_at, priority=4
    )


def missing_in_hub(
    order: OrderRow, lines: Iterable[LineRow], rows: Collection[ShipmentRow]
) -> dict[str, dict[str, int]]:
    """Return {line id: {sku: pieces}} that the marketplace calls shipped and no fulfilment accounts for.

    What we told it of a fulfilment that was cancelled since is no shipment of its own (S10.5); nor is what a marketplace that ships
    only whole orders (Etsy) made of our first parcel: the rest still lies on the shelf (S10.6).
    """
    echoed = _more_than_we_told(order, rows)
    called_back: dict[str, int] = {}
    for row in rows:
        if row.cancelled and (row.told_version or row.state in (ShipmentState.SENT, ShipmentState.UNKNOWN)):
            called_back[row.line_id] = called_back.get(row.line_id, 0) + row.units
    missing: dict[str, dict[str, int]] = {}
    for line in lines:
        ours = called_back.get(line.line_id, 0) * line.units_per_listing
        ours += echoed.get(line.line_id, 0) * line.units_per_listing
        pieces = min(line.told_shipped - line.shipped - ours, line.counts.open)
        if line.sku and pieces > 0:
            missing.setdefault(line.line_id, {})[line.sku] = pieces
    return missing


def _more_than_we_told(order: OrderRow, rows: Collection[ShipmentRow]) -> dict[str, int]:
    """Return {line id: units} by which the marketplace's parcels that are ours hold more than we told of them."""
    told = [row for row in rows if row.is_told and not row.cancelled]
    more: dict[str, int] = {}
    for parcel in msgspec.convert(json.loads(order.document).get("shipments", []), list[ShipmentSeen]):
        ours = [
            row
            for row in told
            if same_number(row.tracking_number, parcel.tracking_number) or row.reference == parcel.shipment_id
        ]
        if ours and not parcel.cancelled:
            for line_id, units in parcel.units.items():
                more[line_id] = more.get(line_id, 0) + units - sum(r.units for r in ours if r.line_id == line_id)
    return {line_id: units for line_id, units in more.items() if units > 0}
