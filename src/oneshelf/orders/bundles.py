"""A bundle defined, with what follows for orders: those that waited are booked, open ones keep what they took, unless it is taken anew.

In: a SKU and its parts. Out: what changed, listing by listing and order by order. A preview is the same, taken back by its caller.
Never: changes an order that stands in the hub, or of which something has left (B4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from oneshelf.core.facts import OrderSeen
from oneshelf.core.stock import Entry
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.listings import bundles, dirty
from oneshelf.listings.bundles import MERCHANT, ListingChange
from oneshelf.pricing import marks
from oneshelf.stock import ledger

from . import claims, covering
from .accounts import load_accounts
from .lines import new_line
from .relink import book_again, relink
from .rows import LineRow, OrderRow, load_lines, load_orders_by_no, save_lines


class OpenOrder(msgspec.Struct, frozen=True):
    """An open order line of a listing that changed. `took`, `would_take`: pieces by SKU. `why_not`: why it can't be taken anew, '' if it
    can; `taken_anew`: it was."""

    order_id: str
    line_id: str
    took: dict[str, int]
    would_take: dict[str, int]
    why_not: str = ""
    taken_anew: bool = False


class BundleChange(msgspec.Struct, frozen=True):
    """What defining a bundle did. `booked`: orders that had waited for a link."""

    sku: str
    parts: dict[str, int]
    listings: list[ListingChange]
    booked: int
    open_orders: list[OpenOrder]
    makes: int


def define(
    tx: Tx,
    tenant_id: int,
    sku: str,
    parts: Mapping[str, int],
    now: int,
    *,
    by: str,
    retake: bool = False,
    source: str = MERCHANT,
) -> BundleChange:
    """Define a bundle, tie its listings, book what waited. `retake`: open orders that took other pieces take these instead, where nothing
    of them stands in the hub yet. Raises ValueError for what can't be a bundle."""
    changed = bundles.set_bundle(tx, tenant_id, sku, parts, now, by=by, source=source)
    outlets = [one.listing for one in changed]
    marks.mark_outlets(tx, tenant_id, outlets, now, "a bundle was defined")
    booked = sum(relink(tx, tenant_id, outlet_id, now) for outlet_id in outlets)
    others = [one.listing for one in changed if one.before]
    open_orders = _open_orders(tx, tenant_id, others, parts, now, retake=retake)
    made = next(one.makes for one in bundles.bundles(tx, tenant_id) if one.sku == sku)
    return BundleChange(sku, dict(parts), changed, booked, open_orders, made)


def _open_orders(
    tx: Tx, tenant_id: int, outlet_ids: Sequence[int], parts: Mapping[str, int], now: int, *, retake: bool
) -> list[OpenOrder]:
    rows = tx.all(
        "SELECT DISTINCT order_no, line_id FROM order_line WHERE tenant_id = :t AND outlet_id {in:ids} "
        "AND reserved + committed > 0 ORDER BY order_no, line_id",
        t=tenant_id,
        ids=list(outlet_ids),
    )
    orders = load_orders_by_no(tx, tenant_id, {order_no for order_no, _ in rows})
    lines = load_lines(tx, tenant_id, orders)
    found = []
    for order_no, line_id in rows:
        order, mine = orders[order_no], [line for (one, _), line in lines[order_no].items() if one == line_id]
        units = max(line.ordered // line.units_per_listing for line in mine)
        took = {line.sku: line.ordered for line in mine}
        wants = {sku: n * units for sku, n in parts.items()}
        if took == wants:
            continue
        why_not = _why_not(tx, tenant_id, order, mine)
        done = retake and not why_not
        if done:
            _retake(tx, tenant_id, order, mine, parts, now)
        found.append(OpenOrder(order.order_id, line_id, took, wants, why_not, done))
    return found


def _why_not(tx: Tx, tenant_id: int, order: OrderRow, mine: Iterable[LineRow]) -> str:
    if any(line.shipped or line.told_shipped for line in mine):
        return "something of it has left"
    name = f"{order.account_id}/{order.order_id}"
    if order.hub_order_id is not None:
        return "it stands in the shop: change it there"
    if claims.has_open_intent(tx, tenant_id, ("import",), name, states=("SENDING", "UNKNOWN")):
        return "it is on its way into the shop: change it there"
    return ""


def _retake(
    tx: Tx, tenant_id: int, order: OrderRow, mine: Sequence[LineRow], parts: Mapping[str, int], now: int
) -> None:
    """Give back what a line took of other SKUs, make the rows of the new parts, and book the order's own snapshot once more."""
    seen = next(
        one for one in msgspec.json.decode(order.document, type=OrderSeen).lines if one.line_id == mine[0].line_id
    )
    account = load_accounts(tx, tenant_id, disconnected=True)[order.account_id]
    gone = [line for line in mine if line.sku not in parts]
    _give_back(tx, tenant_id, gone, now)
    kept = {line.sku: line for line in mine if line.sku in parts}
    for sku, line in kept.items():
        line.units_per_listing = parts[sku]
    made = [
        new_line(account, order, seen, sku, units, mine[0].outlet_id)
        for sku, units in sorted(parts.items())
        if sku not in kept
    ]
    for line in made:
        line.version = _entries_of(tx, tenant_id, line)  # its keys were used, if it has had this part before
    save_lines(tx, tenant_id, [*kept.values(), *made])
    note(
        tx, tenant_id, now, "orders", "An open order took its pieces anew", f"order:{order.order_no}", parts=dict(parts)
    )
    book_again(tx, tenant_id, [order.order_no], now)


def _give_back(tx: Tx, tenant_id: int, gone: Sequence[LineRow], now: int) -> None:
    entries = [
        Entry(
            key=f"release:{line.key}:{line.version + 1}",
            sku=line.sku,
            location_id=line.location_id,
            reason="its listing sells other pieces",
            reserved=-line.reserved,
            committed=-line.committed,
            source=f"order {line.order_id}",
            order_no=line.order_no,
        )
        for line in gone
        if line.reserved or line.committed
    ]
    ledger.post(tx, tenant_id, entries, now)
    tx.many(
        "DELETE FROM order_line WHERE tenant_id = ? AND order_no = ? AND line_id = ? AND sku = ?",
        [(tenant_id, line.order_no, line.line_id, line.sku) for line in gone],
    )
    owed = claims.load(tx, tenant_id, [line.key for line in gone])
    for claim in owed.values():
        claim.want = 0
    claims.plan(tx, tenant_id, owed.values(), now, at_once=True)
    claims.save(tx, tenant_id, owed.values())
    skus = sorted({line.sku for line in gone})
    dirty.mark(tx, tenant_id, skus, now, "its listing sells other pieces")
    covering.recompute(tx, tenant_id, skus, now)


def _entries_of(tx: Tx, tenant_id: int, line: LineRow) -> int:
    row = tx.one(
        "SELECT COUNT(*) FROM ledger_entry WHERE tenant_id = :t AND order_no = :o AND sku = :s",
        t=tenant_id,
        o=line.order_no,
        s=line.sku,
    )
    return 0 if row is None else int(row[0])
