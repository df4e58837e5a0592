"""Books order facts: one batch, in order of arrival, decided in Python, written set-based (DESIGN D4).

1. Load what the batch touches.  2. Decide fact by fact.  3. Write orders, lines, entries, marks.  4. Coverage.  5. Claims and intents.
Facts are never refused. An older snapshot, or the same again, changes nothing and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from oneshelf.core.facts import LineSeen, OrderSeen, Payment
from oneshelf.core.instants import SECOND
from oneshelf.core.order import order_state
from oneshelf.core.stock import Entry, Level
from oneshelf.db.journal import close_task
from oneshelf.db.tx import Tx, next_values
from oneshelf.listings import dirty
from oneshelf.listings.links import Tie, ties_for
from oneshelf.stock import ledger
from oneshelf.stock.levels import levels_of, locations_in_scope

from . import copies, covering, heading, parcels, provisional
from .accounts import Account, external_key, load_accounts, parse_external_key
from .lines import keep_unlinked, new_line, now_linked, settle_line
from .rows import LineRow, OrderRow, load_lines, load_orders, save_lines, save_orders

Booked = Literal["booked", "already_done"]

#: What a hub order must stand for so that it is a copy: an order that our ledger counts. Else it counts itself (S0.6, S14.2).
_COPIED = ("live", "ask")


class Heard(msgspec.Struct, frozen=True):
    """An order snapshot with how and when it reached us."""

    account_id: int
    order: OrderSeen
    received_at: int
    fetched_at: int
    source: str
    #: Book it although this very snapshot was seen (a listing was linked meanwhile).
    again: bool = False


class Batch:
    """What one batch has loaded, and what it will write."""

    def __init__(self, tx: Tx, tenant_id: int, heard: Sequence[Heard], now: int) -> None:
        self.tx = tx
        self.tenant_id = tenant_id
        self.now = now
        self.accounts = load_accounts(tx, tenant_id, disconnected=True)
        self.by_external = {(a.channel, a.external_id): a for a in self.accounts.values()}
        self.hub = next((a for a in self.accounts.values() if a.is_hub and a.is_connected), None)
        self.in_scope = locations_in_scope(tx, tenant_id)
        self.entries: list[Entry] = []
        self.new_takers: list[tuple[LineRow, int, int]] = []  # line, placed_at, pieces newly taken
        self.dirty_lines: dict[tuple[int, str, str], LineRow] = {}
        self.dirty_orders: dict[int, OrderRow] = {}
        self.gone_lines: list[tuple[int, str]] = []
        self.reread_outlets: set[int] = set()
        self.touched: set[str] = set()  # SKUs of which a line changed, with or without an entry
        self.on_copy: dict[str, int] = {}  # line key → pieces still open on its hub copy
        self._load(heard)

    def _load(self, heard: Sequence[Heard]) -> None:
        keys = {(h.account_id, h.order.order_id) for h in heard}
        copied = {key for h in heard if (key := self.copied_order(h)) is not None}
        self.orders = load_orders(self.tx, self.tenant_id, keys | copied)
        self.lines = load_lines(self.tx, self.tenant_id, [order.order_no for order in self.orders.values()])
        fresh = sorted(keys - self.orders.keys())
        self.numbers = dict(
            zip(fresh, next_values(self.tx, self.tenant_id, "orders", len(fresh)) if fresh else (), strict=True)
        )
        self.counted_copies = self._hub_orders_that_name(fresh)
        self.ties = self._load_ties(heard)
        skus = {sku for ties in self.ties.values() for tie in ties.values() for sku in tie.parts}
        skus |= {sku for lines in self.lines.values() for _, sku in lines if sku}
        self.levels: dict[tuple[str, str], Level] = levels_of(self.tx, self.tenant_id, skus)
        self.shipped_keys = self._known_shipments(heard)

    def _load_ties(self, heard: Sequence[Heard]) -> dict[int, dict[str, Tie]]:
        names: dict[int, set[str]] = {}
        for h in heard:
            names.setdefault(h.account_id, set()).update(key for line in h.order.lines for key in line.listing_keys)
        return {
            account_id: ties_for(self.tx, self.tenant_id, account_id, sorted(keys))
            for account_id, keys in names.items()
        }

    def _hub_orders_that_name(self, fresh: Sequence[tuple[int, str]]) -> dict[str, tuple[int, str]]:
        """Hub orders that name a marketplace order which we only now hear of (S0.6, S14.2)."""
        keys = [external_key(self.accounts[a], order_id) for a, order_id in fresh if not self.accounts[a].is_hub]
        if not keys:
            return {}
        rows = self.tx.all(
            "SELECT copy_key, order_no, order_id FROM orders WHERE tenant_id = :t AND copy_key {in:keys} AND copy_key <> ''",
            t=self.tenant_id,
            keys=keys,
        )
        return {key: (order_no, order_id) for key, order_no, order_id in rows}

    def _known_shipments(self, heard: Sequence[Heard]) -> set[str]:
        """Which of the shipments that these snapshots show have moved stock already."""
        ids = {s.shipment_id for h in heard if self.accounts[h.account_id].is_hub for s in h.order.shipments}
        if not ids:
            return set()
        keys = []
        for h in heard:
            for shipment in h.order.shipments:
                for line in self._lines_shipped_with(h):
                    keys += [f"ship:{line.key}:{shipment.shipment_id}", f"unship:{line.key}:{shipment.shipment_id}"]
        rows = self.tx.all(
            "SELECT entry_key FROM ledger_entry WHERE tenant_id = :t AND entry_key {in:keys}",
            t=self.tenant_id,
            keys=keys,
        )
        return {key for (key,) in rows}

    def _lines_shipped_with(self, h: Heard) -> list[LineRow]:
        """The stored lines that the fulfilments of this hub order may ship: its own, or those of the order that it copies."""
        key = self.copied_order(h) or (h.account_id, h.order.order_id)
        order = self.orders.get(key)
        return [] if order is None else list(self.lines.get(order.order_no, {}).values())

    def copied_order(self, h: Heard) -> tuple[int, str] | None:
        """Return (account id, order id) of the marketplace order that this hub order names, if it is one of ours."""
        if h.order.copy_of_key is None or not self.accounts[h.account_id].is_hub:
            return None
        parsed = parse_external_key(h.order.copy_of_key)
        if parsed is None:
            return None
        account = self.by_external.get((parsed[0], parsed[1]))  # type: ignore[arg-type]
        return None if account is None else (account.account_id, parsed[2])

    def source_of(self, h: Heard) -> OrderRow | None:
        """Return the stored marketplace order that this hub order is the copy of, None if it counts by itself."""
        copied = self.copied_order(h)
        source = None if copied is None else self.orders.get(copied)
        return source if source is not None and source.standing in _COPIED else None

    def move(self, entry: Entry) -> None:
        """Take an entry up: it will be posted, and later choices in this batch see it."""
        if entry.moves_nothing:
            return
        self.entries.append(entry)
        where = (entry.sku, entry.location_id)
        level = self.levels.get(where)
        if level is None:
            level = self.levels[where] = Level()
        level.add(entry)


def book(tx: Tx, tenant_id: int, heard: Sequence[Heard], now: int) -> list[Booked]:
    """Book a batch of order snapshots in order of arrival. Returns one answer a snapshot.

    Raises ValueError on counts that can't be true; nothing of the batch is written then.
    """
    for h in heard:
        heading.refuse_nonsense(h.order)
    batch = Batch(tx, tenant_id, heard, now)
    answers = [_book_one(batch, h) for h in heard]
    _write(batch)
    return answers


def _write(batch: Batch) -> None:
    """3. Orders, lines, entries, marks.  4. Coverage.  5. Claims, intents."""
    tx, tenant_id, now = batch.tx, batch.tenant_id, batch.now
    for order in batch.dirty_orders.values():
        states = [line.line_state for line in batch.lines.get(order.order_no, {}).values()]
        order.state = order_state(states) if states else ("COPY" if order.copy_key else "EMPTY")
    save_orders(tx, tenant_id, batch.dirty_orders.values())
    for order_no, line_id in batch.gone_lines:
        tx.run(
            "DELETE FROM order_line WHERE tenant_id = :t AND order_no = :o AND line_id = :l AND sku = ''",
            t=tenant_id,
            o=order_no,
            l=line_id,
        )
    save_lines(tx, tenant_id, batch.dirty_lines.values())
    ledger.post(tx, tenant_id, batch.entries, now)
    handed_over = _use_up_provisionals(batch)
    dirty.mark(tx, tenant_id, ledger.skus_of(batch.entries), now, "an order")
    dirty.mark_outlets(tx, tenant_id, sorted(batch.reread_outlets), now, "own cancel", reread=True)
    covering.recompute(tx, tenant_id, ledger.skus_of(batch.entries) | batch.touched, now)
    copies.follow_up(batch, handed_over)


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
    elif not h.again:
        match heading.news(order, h):
            case "nothing":
                return "already_done"
            case "document":
                heading.take_document(order, h.order, counts_of=heading.stored_document(order))
                batch.dirty_orders[order.order_no] = order
                return "booked"
    _take_header(batch, order, account, h)
    source = batch.source_of(h)
    if source is not None and _becomes_copy(batch, account, order, h):
        copies.follow_copy(batch, source, order, h)
        return "booked"
    for line in h.order.lines:
        _book_line(batch, account, order, h, line)
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
    heading.take(order, account, h)
    batch.dirty_orders[order.order_no] = order
    if order.placed_at != placed_at:
        for line in batch.lines.get(order.order_no, {}).values():
            line.placed_s = order.placed_at // SECOND
            batch.touched.add(line.sku)
            batch.dirty_lines[(line.order_no, line.line_id, line.sku)] = line
    if account.is_hub and h.order.copy_of_key and order.standing == "live":
        batch.counted_copies[h.order.copy_of_key] = (order.order_no, order.order_id)


def _tie_of(batch: Batch, account_id: int, seen: LineSeen) -> Tie | None:
    ties = batch.ties.get(account_id, {})
    return next((ties[key] for key in seen.listing_keys if key in ties), None)


def _takes_no_stock(account: Account, order: OrderRow, seen: LineSeen, tie: Tie | None) -> bool:
    """S1.12: not from our shelf (fulfilled by the channel, untracked), or nothing that lies on one (digital, a custom item)."""
    if order.standing == "channel" or seen.fulfilled_by_channel or (tie is not None and tie.fulfilled_by_channel):
        return True
    return not seen.listing_keys if account.is_hub else not seen.needs_shipping


def _book_line(batch: Batch, account: Account, order: OrderRow, h: Heard, seen: LineSeen) -> None:
    stored = batch.lines.setdefault(order.order_no, {})
    mine = {sku: line for (line_id, sku), line in stored.items() if line_id == seen.line_id}
    tie = _tie_of(batch, account.account_id, seen)
    if _takes_no_stock(account, order, seen, tie) and not mine:
        return
    linked = {sku: line.units_per_listing for sku, line in mine.items() if sku}
    parts = linked or (tie.parts if tie is not None else {})
    if not parts:
        keep_unlinked(batch, account, order, seen, mine.get(""))
        return
    if "" in mine:
        now_linked(batch, account, order, seen.line_id)
    for sku, units in parts.items():
        line = mine.get(sku)
        if line is None:
            line = new_line(account, order, seen, sku, units, tie.outlet_id if tie else 0)
            stored[(seen.line_id, sku)] = line
        _advance(batch, account, order, h, line, seen)


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
