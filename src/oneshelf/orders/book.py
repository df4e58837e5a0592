"""Books order facts: one batch, in order of arrival, decided in Python, written set-based (DESIGN D4).

1. Load what the batch touches.  2. Decide fact by fact.  3. Write orders, lines, entries, marks.  4. Coverage.  5. Claims and intents.
6. Whose orders they are (the room of customers decides).
Facts are never refused. An older snapshot, or the same again, changes nothing and says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from oneshelf.core.facts import LineSeen, OrderSeen, Payment
from oneshelf.core.instants import SECOND
from oneshelf.core.order import order_state
from oneshelf.db import events
from oneshelf.db.journal import close_task
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty
from oneshelf.listings.links import Tie
from oneshelf.routing import deciding
from oneshelf.stock import ledger
from oneshelf.tenants import usage

from . import claims, copies, covering, heading, parcels, provisional, routing
from .accounts import Account
from .batch import Batch, Heard, heard_again
from .buyers import follow_buyers
from .lines import keep_unlinked, new_line, now_linked, settle_line
from .pace import HUB_OUTLET
from .rows import LineRow, OrderRow, load_orders_by_no, save_lines, save_orders

Booked = Literal["booked", "already_done"]


def book(
    tx: Tx, tenant_id: int, heard: Sequence[Heard], now: int, *, moved_by_hub: set[str] | None = None
) -> list[Booked]:
    """Book a batch of order snapshots in order of arrival. Returns one answer a snapshot; `moved_by_hub` takes the SKUs of which the hub
    sends pieces from elsewhere than we knew: they are to be read again.

    Raises ValueError on counts that can't be true; nothing of the batch is written then.
    """
    for h in heard:
        heading.refuse_nonsense(h.order)
    batch = Batch(tx, tenant_id, heard, now)
    answers = [_book_one(batch, h) for h in heard]
    _write(batch)
    if moved_by_hub is not None:
        moved_by_hub |= batch.moved_by_hub
    follow_buyers(batch, heard)
    if batch.heard_first:
        copied = load_orders_by_no(tx, tenant_id, batch.heard_first)
        book(tx, tenant_id, [heard_again(order) for order in copied.values()], now, moved_by_hub=moved_by_hub)
    return answers


def _write(batch: Batch) -> None:
    """3. Orders, lines, entries, marks.  4. Coverage.  5. Claims, intents."""
    tx, tenant_id, now = batch.tx, batch.tenant_id, batch.now
    for order in batch.dirty_orders.values():
        states = [line.in_order for line in batch.lines.get(order.order_no, {}).values()]
        order.state = order_state(states) if states else ("COPY" if order.copy_key else "EMPTY")
    save_orders(tx, tenant_id, batch.dirty_orders.values())
    stored = [{"order": o.order_no, "account": o.account_id, "order_id": o.order_id} for o in batch.new_orders]
    events.tell(tx, tenant_id, now, "order.stored", stored)
    for order_no, line_id in batch.gone_lines:
        tx.run(
            "DELETE FROM order_line WHERE tenant_id = :t AND order_no = :o AND line_id = :l AND sku = ''",
            t=tenant_id,
            o=order_no,
            l=line_id,
        )
    save_lines(tx, tenant_id, batch.dirty_lines.values())
    deciding.save(tx, tenant_id, batch.decided.values())
    batch.paces.write(tx, tenant_id)
    ledger.post(tx, tenant_id, batch.entries, now)
    handed_over = _use_up_provisionals(batch)
    dirty.mark(tx, tenant_id, ledger.skus_of(batch.entries), now, "an order")
    dirty.mark_outlets(tx, tenant_id, sorted(batch.reread_outlets), now, "own cancel", reread=True)
    covering.recompute(tx, tenant_id, ledger.skus_of(batch.entries) | batch.touched, now)
    copies.follow_up(batch, handed_over)
    _hold_what_came_back(batch)
    _read_what_moved(batch)
    fresh = Counter(order.account_id for order in batch.new_orders if order.standing != "copy")
    usage.add(tx, tenant_id, now, "orders", fresh.items())


def _hold_what_came_back(batch: Batch) -> None:
    """S9.5: what an order gives back, a hold that was refused may have been waiting for. Where the hub has it not yet, the hold is refused
    again."""
    claims.ask_again(batch.tx, batch.tenant_id, [(e.sku, e.location_id, -e.takes) for e in batch.entries])


def _read_what_moved(batch: Batch) -> None:
    """S5.7: the hub's levels may have said before where it sends these from, and that was posted by itself (ADR 0026)."""
    if skus := sorted(batch.moved_by_hub):
        batch.tx.run(
            "UPDATE hub_level SET wanted = 1 WHERE tenant_id = :t AND sku {in:skus}", t=batch.tenant_id, skus=skus
        )


def _use_up_provisionals(batch: Batch) -> dict[str, int]:
    """S9.2: own orders placed before the read use up what was reserved for them. Returns held pieces handed over, by line key."""
    if not batch.new_takers:
        return {}
    outlets = {line.outlet_id for line, _, _ in batch.new_takers if line.outlet_id} | {provisional.HUB_OUTLET}
    skus = {line.sku for line, _, _ in batch.new_takers}
    open_ones = provisional.open_for(batch.tx, batch.tenant_id, outlets, skus)
    if not open_ones:
        return {}
    handed_over: dict[str, int] = {}
    for line, placed_at, pieces in batch.new_takers:
        taken = provisional.consume(batch.tx, batch.tenant_id, open_ones, line, placed_at, pieces, batch.now)
        if taken:
            handed_over[line.key] = handed_over.get(line.key, 0) + taken
    return handed_over


def _book_one(batch: Batch, h: Heard) -> Booked:
    account = batch.accounts[h.account_id]
    key = (h.account_id, h.order.order_id)
    order = batch.orders.get(key)
    if order is None:
        order = batch.orders[key] = heading.new_order(batch, account, h, batch.numbers[key])
        batch.new_orders.append(order)
    elif not h.again:
        match heading.news(order, h):
            case "nothing":
                return "already_done"
            case "document":
                kept = heading.take_document(order, h.order, counts_of=heading.stored_document(order))
                batch.documents[order.order_no] = kept
                batch.dirty_orders[order.order_no] = order
                return "booked"
    _take_header(batch, order, account, h)
    source = batch.source_of(h)
    if source is not None and _becomes_copy(batch, account, order, h):
        copies.follow_copy(batch, source, order, h)
        return "booked"
    due = [pair for line in h.order.lines for pair in _lines_of(batch, account, order, h, line)]
    routing.place(batch, account, order, h, due)
    for row, line in due:
        _advance(batch, account, order, h, row, line)
    if account.is_hub:
        _book_returns(batch, account, order, h)
    return "booked"


def _becomes_copy(batch: Batch, account: Account, order: OrderRow, h: Heard) -> bool:
    """Whether this hub order stands for its source from now on. One that was booked for itself, because it did not name its source
    then, gives its pieces back first; one of which a parcel has left stays what it is."""
    own = list(batch.lines.get(order.order_no, {}).values())
    if order.standing == "live" and any(line.shipped for line in own):
        return False
    if order.standing == "live" and own:
        order.standing = "copy"
        for line in own:
            settle_line(batch, account, order, line, paid=h.order.payment is Payment.PAID, ended=ended_by(h.order))
    return order.standing in ("live", "copy")


def _take_header(batch: Batch, order: OrderRow, account: Account, h: Heard) -> None:
    placed_at = order.placed_at
    batch.documents[order.order_no] = heading.take(order, account, h)
    batch.dirty_orders[order.order_no] = order
    if order.placed_at != placed_at:
        for line in batch.lines.get(order.order_no, {}).values():
            line.placed_s = order.placed_at // SECOND
            batch.touched.add(line.sku)
            batch.dirty_lines[(line.order_no, line.line_id, line.sku)] = line
    if account.is_hub and h.order.copy_of_key and order.standing == "live":
        batch.naming[h.order.copy_of_key] = (order.order_no, order.order_id)


def _tie_of(batch: Batch, account_id: int, seen: LineSeen) -> Tie | None:
    ties = batch.ties.get(account_id, {})
    return next((ties[key] for key in seen.listing_keys if key in ties), None)


def _takes_no_stock(account: Account, order: OrderRow, seen: LineSeen, tie: Tie | None) -> bool:
    """S1.12: not from our shelf (fulfilled by the channel, untracked), or nothing that lies on one (digital, a custom item)."""
    if order.standing == "channel" or seen.fulfilled_by_channel or (tie is not None and tie.fulfilled_by_channel):
        return True
    return not seen.listing_keys if account.is_hub else not seen.needs_shipping


def _lines_of(
    batch: Batch, account: Account, order: OrderRow, h: Heard, seen: LineSeen
) -> list[tuple[LineRow, LineSeen]]:
    """Return the rows that one line of a snapshot is about, new ones made: one a SKU that it takes from the shelf."""
    stored = batch.lines.setdefault(order.order_no, {})
    mine = {sku: line for (line_id, sku), line in stored.items() if line_id == seen.line_id} if stored else {}
    tie = _tie_of(batch, account.account_id, seen)
    if _takes_no_stock(account, order, seen, tie) and not any(mine):
        if mine:  # it waited for a link that it will not need
            now_linked(batch, account, order, seen.line_id)
        return []
    linked = {sku: line.units_per_listing for sku, line in mine.items() if sku}
    parts = linked or (tie.parts if tie is not None else {})
    if not parts:
        keep_unlinked(batch, account, order, seen, mine.get(""), ended=ended_by(h.order))
        return []
    found: list[tuple[LineRow, LineSeen]] = []
    if "" in mine:
        now_linked(batch, account, order, seen.line_id)
    for sku, units in parts.items():
        line = mine.get(sku)
        if line is None:
            line = new_line(account, order, seen, sku, units, tie.outlet_id if tie else 0)
            stored[(seen.line_id, sku)] = line
            if seen.ordered:
                outlet_id = HUB_OUTLET if account.is_hub else line.outlet_id
                # Paces are looked at by our clock, in whose future nobody buys (0025).
                bought_at = min(order.placed_at, h.received_at)
                batch.paces.count(sku, outlet_id, account.account_id, seen.ordered * units, bought_at)
        found.append((line, seen))
    return found


def _advance(batch: Batch, account: Account, order: OrderRow, h: Heard, line: LineRow, seen: LineSeen) -> None:
    """Take one line to what the snapshot says and write the entries that this costs."""
    units = line.units_per_listing
    line.ordered = seen.ordered * units
    line.told_shipped = seen.shipped * units
    was_cancelled = line.cancelled
    nobody_wants = seen.ordered - seen.shipped if h.order.cancelled else seen.cancelled
    line.told_cancelled = max(0, nobody_wants * units)
    line.cancelled = max(line.told_cancelled, line.removed)
    if account.is_hub and order.standing != "copy":
        parcels.follow_word(batch, line, {seen.line_id}, h)
        parcels.ship(batch, account, order, line, h, {seen.line_id}, units)
    settle_line(batch, account, order, line, paid=h.order.payment is Payment.PAID, ended=ended_by(h.order))
    if line.removed and line.told_cancelled >= line.removed:
        close_task(batch.tx, batch.tenant_id, batch.now, "tell_marketplace", line.key)
    if line.cancelled > was_cancelled and line.outlet_id and not account.is_hub:
        batch.reread_outlets.add(line.outlet_id)  # S8.5


def ended_by(order: OrderSeen) -> bool:
    """Whether nothing of the order is wanted any more, except what is shipped."""
    return order.cancelled or order.payment is Payment.FAILED


def _book_returns(batch: Batch, account: Account, order: OrderRow, h: Heard) -> None:
    lines = batch.lines.get(order.order_no, {})
    for came_back in h.order.returns:
        for (line_id, sku), line in lines.items():
            if line_id == came_back.line_id and sku:
                parcels.come_back(batch, account, line, came_back)
                batch.dirty_lines[(line.order_no, line.line_id, line.sku)] = line
