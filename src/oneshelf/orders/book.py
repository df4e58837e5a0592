"""Books order facts: one batch, in order of arrival, decided in Python, written set-based (DESIGN D4).

1. Load what the batch touches.  2. Decide fact by fact.  3. Write orders, lines, entries, marks.  4. Coverage.  5. Claims and intents.
Facts are never refused. An older snapshot, or the same again, changes nothing and says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

import msgspec

from oneshelf.core.facts import LineSeen, OrderSeen, Payment, ReturnSeen
from oneshelf.core.instants import SECOND, to_us, to_us_or_none
from oneshelf.core.order import LineState, buckets, follow, order_state
from oneshelf.core.stock import Entry, Level
from oneshelf.db.journal import close_task, open_task
from oneshelf.db.tx import Tx, next_values
from oneshelf.listings import dirty
from oneshelf.listings.links import Tie, ties_for
from oneshelf.stock import ledger
from oneshelf.stock.levels import levels_of, locations_in_scope

from . import copies, covering, provisional
from .accounts import Account, external_key, load_accounts, parse_external_key
from .routing import choose_location
from .rows import LineRow, OrderRow, load_lines, load_orders, save_lines, save_orders

Booked = Literal["booked", "already_done"]


class Heard(msgspec.Struct, frozen=True):
    """An order snapshot with how and when it reached us."""

    account_id: int
    order: OrderSeen
    received_at: int
    fetched_at: int
    source: str
    #: Book it although this very snapshot was seen (a listing was linked meanwhile).
    again: bool = False


_ALERT_TASKS = {
    "stop_the_parcel": "Stop the parcel: the order was cancelled after its release",
    "shipped_after_cancel": "A cancelled order was shipped",
    "cancel_crossed_parcel": "The cancel was accepted after the parcel had left",
}


class Batch:
    """What one batch has loaded, and what it will write."""

    def __init__(self, tx: Tx, tenant_id: int, heard: Sequence[Heard], now: int) -> None:
        self.tx = tx
        self.tenant_id = tenant_id
        self.now = now
        self.accounts = load_accounts(tx, tenant_id)
        self.by_external = {(a.channel, a.external_id): a for a in self.accounts.values()}
        self.hub = next((a for a in self.accounts.values() if a.is_hub), None)
        self.in_scope = locations_in_scope(tx, tenant_id)
        self.entries: list[Entry] = []
        self.new_takers: list[tuple[LineRow, int, int]] = []  # line, placed_at, pieces newly taken
        self.dirty_lines: dict[tuple[int, str, str], LineRow] = {}
        self.dirty_orders: dict[int, OrderRow] = {}
        self.gone_lines: list[tuple[int, str]] = []
        self.reread_outlets: set[int] = set()
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
    """Book a batch of order snapshots in order of arrival. Returns one answer a snapshot."""
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
    skus = ledger.skus_of(batch.entries)
    dirty.mark(tx, tenant_id, skus, now, "an order")
    dirty.mark_outlets(tx, tenant_id, sorted(batch.reread_outlets), now, "own cancel", reread=True)
    covering.recompute(tx, tenant_id, skus, now)
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
    if order is not None and not h.again and not _is_news(order, h):
        return "already_done"
    if order is None:
        order = batch.orders[key] = _new_order(batch, account, h, batch.numbers[key])
    _take_header(order, account, h)
    batch.dirty_orders[order.order_no] = order
    copied = batch.copied_order(h)
    if copied is not None and copied in batch.orders and order.standing in ("live", "copy"):
        copies.follow_copy(batch, batch.orders[copied], order, h)
        return "booked"
    for line in h.order.lines:
        _book_line(batch, account, order, h, line)
    for came_back in h.order.returns:
        _book_return(batch, order, h, came_back)
    return "booked"


def _instant(h: Heard) -> int:
    return to_us(h.order.updated_at) if h.order.updated_at is not None else h.fetched_at


def _is_news(order: OrderRow, h: Heard) -> bool:
    """S4.3: newer by the channel's own time; of the same time, a complete one after an incomplete one, or one fetched later."""
    stored = order.updated_at if order.updated_at is not None else order.fetched_at or 0
    theirs = _instant(h)
    if theirs != stored:
        return theirs > stored or (h.order.complete and not order.complete)
    if h.order.complete != bool(order.complete):
        return h.order.complete
    return h.fetched_at > (order.fetched_at or 0)


def _new_order(batch: Batch, account: Account, h: Heard, order_no: int) -> OrderRow:
    placed_at, note = h.received_at, "missing"
    if h.order.placed_at is not None:
        placed_at, note = to_us(h.order.placed_at), ""
        if placed_at > h.received_at:  # S6.3: nobody buys in the future
            placed_at, note = h.received_at, "clamped"
    return OrderRow(
        order_no=order_no,
        account_id=h.account_id,
        order_id=h.order.order_id,
        number=h.order.number,
        placed_at=placed_at,
        placed_note=note,
        received_at=h.received_at,
        decided_at=batch.now,
        updated_at=None,
        fetched_at=None,
        payment=str(h.order.payment),
        cancelled=0,
        complete=0,
        state="",
        source=h.source,
        standing=_standing(batch, account, h, placed_at),
        currency=None,
        total_minor=None,
        ship_by_at=None,
        document="{}",
        person="{}",
        hub_order_id=None,
        copy_of_order_no=None,
        imported_at=None,
        version=0,
        copy_key=h.order.copy_of_key or "" if account.is_hub else "",
    )


def _standing(batch: Batch, account: Account, h: Heard, placed_at: int) -> str:
    """S0.6: what an order is to the ledger. `live`: as any order. `history`: no entry. `counted`: its hub copy counts it.
    `ask`: reserved, not imported, until a person answers. `channel`: the channel ships it from its own stock."""
    order = h.order
    if order.fulfilled_by_channel:
        return "channel"
    if account.is_hub:
        copied = batch.copied_order(h)
        return "copy" if copied is not None and copied in batch.orders else "live"
    if external_key(account, order.order_id) in batch.counted_copies:
        return "counted"
    if account.live_at is not None and placed_at >= account.live_at:
        return "live"
    nothing_open = order.cancelled or all(line.shipped >= line.ordered - line.cancelled for line in order.lines)
    if nothing_open:
        return "history"
    open_task(
        batch.tx,
        batch.tenant_id,
        batch.now,
        "order_before_live",
        f"{account.account_id}/{order.order_id}",
        f"Say whether {account.label} order {order.order_id} is off your count already",
        "It was placed before this account went live; until you answer, its pieces are reserved and it is not imported",
    )
    return "ask"


def _take_header(order: OrderRow, account: Account, h: Heard) -> None:
    seen = h.order
    order.version += 1
    order.updated_at = max(order.updated_at or 0, _instant(h))
    order.fetched_at = max(order.fetched_at or 0, h.fetched_at)
    order.payment = str(seen.payment)
    order.cancelled = int(seen.cancelled)
    if seen.complete or not order.complete:
        order.complete = int(seen.complete)
        order.number = seen.number or order.number
        order.ship_by_at = to_us_or_none(seen.ship_by_at)
        if seen.totals is not None:
            order.currency, order.total_minor = seen.totals.total.currency, seen.totals.total.minor
        order.document = msgspec.json.encode(msgspec.structs.replace(seen, buyer=None, ship_to=None)).decode()
        # S14.7: what a later snapshot withholds is not forgotten, what it adds completes.
        if seen.buyer is not None or seen.ship_to is not None:
            person = {"buyer": msgspec.to_builtins(seen.buyer), "ship_to": msgspec.to_builtins(seen.ship_to)}
            order.person = json.dumps({**json.loads(order.person), **{k: v for k, v in person.items() if v}})
    else:
        order.complete = 0  # the kept document is older than the order's state: it is read again before it is used
    if account.is_hub and seen.copy_of_key:
        order.copy_key = seen.copy_of_key


def _tie_of(batch: Batch, account_id: int, seen: LineSeen) -> Tie | None:
    ties = batch.ties.get(account_id, {})
    return next((ties[key] for key in seen.listing_keys if key in ties), None)


def _book_line(batch: Batch, account: Account, order: OrderRow, h: Heard, seen: LineSeen) -> None:
    stored = batch.lines.setdefault(order.order_no, {})
    mine = {sku: line for (line_id, sku), line in stored.items() if line_id == seen.line_id}
    tie = _tie_of(batch, account.account_id, seen)
    if order.standing == "channel" or seen.fulfilled_by_channel or (tie is not None and tie.fulfilled_by_channel):
        return  # S1.12: its stock is not on our shelf
    linked = {sku: line.units_per_listing for sku, line in mine.items() if sku}
    parts = linked or (tie.parts if tie is not None else {})
    if not parts:
        _keep_unlinked(batch, account, order, seen, mine.get(""))
        return
    if "" in mine:
        batch.gone_lines.append((order.order_no, seen.line_id))
        stored.pop((seen.line_id, ""), None)
        batch.dirty_lines.pop((order.order_no, seen.line_id, ""), None)
        close_task(batch.tx, batch.tenant_id, batch.now, "unlinked_order", f"{account.account_id}/{order.order_id}")
    for sku, units in parts.items():
        line = mine.get(sku)
        if line is None:
            line = _new_line(account, order, seen, sku, units, tie.outlet_id if tie else 0)
            stored[(seen.line_id, sku)] = line
        _advance(batch, account, order, h, line, seen)


def _new_line(account: Account, order: OrderRow, seen: LineSeen, sku: str, units: int, outlet_id: int) -> LineRow:
    return LineRow(
        order_no=order.order_no,
        line_id=seen.line_id,
        sku=sku,
        units_per_listing=units,
        listing_keys=json.dumps(seen.listing_keys),
        title=seen.title,
        state="",
        ordered=0,
        cancelled=0,
        told_cancelled=0,
        removed=0,
        shipped=0,
        told_shipped=0,
        reserved=0,
        committed=0,
        location_id="",
        version=0,
        outlet_id=outlet_id,
        placed_s=order.placed_at // SECOND,
        rank=account.rank,
        account_id=account.account_id,
        order_id=order.order_id,
        coverage="",
        short_since=None,
        pin=0,
    )


def _keep_unlinked(batch: Batch, account: Account, order: OrderRow, seen: LineSeen, line: LineRow | None) -> None:
    """S4.5: stored, in sight, holding nothing; linking it later books it with its original time."""
    if line is None:
        line = _new_line(account, order, seen, "", 1, 0)
        batch.lines[order.order_no][(seen.line_id, "")] = line
        open_task(
            batch.tx,
            batch.tenant_id,
            batch.now,
            "unlinked_order",
            f"{account.account_id}/{order.order_id}",
            f"Link what {account.label} sold in order {order.order_id}",
            f"“{seen.title or seen.sku or seen.line_id}” is not tied to a SKU, so nothing is held for it",
            order.ship_by_at,
        )
    line.state = str(LineState.UNLINKED)
    line.ordered, line.cancelled = seen.ordered, seen.cancelled
    batch.dirty_lines[(order.order_no, seen.line_id, "")] = line


def _advance(batch: Batch, account: Account, order: OrderRow, h: Heard, line: LineRow, seen: LineSeen) -> None:
    """Take one line to what the snapshot says and write the entries that this costs."""
    units = line.units_per_listing
    ordered = seen.ordered * units
    base = _gone_before_opening(account, h, seen) * units
    line.ordered = ordered - base
    line.told_shipped = max(0, seen.shipped * units - base)
    told_cancelled = (ordered - seen.shipped * units) if h.order.cancelled else seen.cancelled * units
    was_cancelled = line.cancelled
    line.told_cancelled = max(0, told_cancelled)
    line.cancelled = max(line.told_cancelled, line.removed)
    if account.is_hub:
        ship(batch, account, order, line, h, {seen.line_id}, base)
    settle_line(batch, account, order, line, paid=h.order.payment is Payment.PAID, ended=ended_by(h.order))
    if line.cancelled > was_cancelled and line.outlet_id and not account.is_hub:
        batch.reread_outlets.add(line.outlet_id)  # S8.5


def ended_by(order: OrderSeen) -> bool:
    return order.cancelled or order.payment is Payment.FAILED


def _gone_before_opening(account: Account, h: Heard, seen: LineSeen) -> int:
    """S0.4: at the hub, what was fulfilled at or before T0 is inside the first count; in units of the line."""
    if not account.is_hub or account.opened_at is None:
        return 0
    return sum(
        shipment.units.get(seen.line_id, 0)
        for shipment in h.order.shipments
        if not shipment.cancelled
        and shipment.created_at is not None
        and to_us(shipment.created_at) <= account.opened_at
    )


def ship(
    batch: Batch, account: Account, order: OrderRow, line: LineRow, h: Heard, hub_line_ids: set[str], base: int = 0
) -> None:
    """S10.6: stock leaves by hub fulfilments, each once; a cancelled fulfilment puts its pieces back."""
    for shipment in h.order.shipments:
        if account.opened_at and shipment.created_at and to_us(shipment.created_at) <= account.opened_at:
            continue
        pieces = sum(shipment.units.get(hub_line_id, 0) for hub_line_id in hub_line_ids)
        if account.is_hub and order.account_id == line.account_id:
            pieces *= line.units_per_listing
        if not pieces:
            continue
        ship_key, unship_key = f"ship:{line.key}:{shipment.shipment_id}", f"unship:{line.key}:{shipment.shipment_id}"
        _place(batch, line, h)
        if not shipment.cancelled and ship_key not in batch.shipped_keys:
            batch.shipped_keys.add(ship_key)
            line.shipped += pieces
            _leave(batch, order, line, ship_key, pieces, "shipped")
        elif shipment.cancelled and ship_key in batch.shipped_keys and unship_key not in batch.shipped_keys:
            batch.shipped_keys.add(unship_key)
            line.shipped -= pieces
            _leave(batch, order, line, unship_key, -pieces, "shipment cancelled")


def _leave(batch: Batch, order: OrderRow, line: LineRow, key: str, pieces: int, reason: str) -> None:
    batch.move(
        Entry(
            key=key,
            sku=line.sku,
            location_id=line.location_id,
            reason=reason,
            on_hand=-pieces,
            committed=-pieces,
            source=f"order {order.order_id}",
            order_no=order.order_no,
        )
    )
    line.committed -= pieces


def _place(batch: Batch, line: LineRow, h: Heard) -> None:
    """Give the line a location: the hub's word if it has spoken, else the routing rule (S5.7)."""
    if line.location_id:
        return
    said = h.order.locations.get(line.line_id) if h.order.locations else None
    if said:
        line.location_id = max(said, key=lambda location_id: (said[location_id], location_id))
    else:
        line.location_id = choose_location(line.sku, batch.levels, batch.in_scope)


def settle_line(batch: Batch, account: Account, order: OrderRow, line: LineRow, *, paid: bool, ended: bool) -> None:
    """Follow the state table and post the difference between what the line should have in the ledger and what it has."""
    before = LineState(line.state) if line.state else None
    revived = before is LineState.CANCELLED and not ended and line.ordered > line.cancelled
    step = follow(before, line.counts, paid=paid, ended=ended, revived=revived)
    line.state = str(step.state)
    for alert in step.alerts:
        open_task(
            batch.tx,
            batch.tenant_id,
            batch.now,
            alert,
            line.key,
            f"{_ALERT_TASKS[alert]}: {account.label} {order.order_id}",
        )
    reserved, committed = (
        (0, 0)
        if order.standing in ("history", "counted", "copy")
        else buckets(step.state, line.counts, paid=paid and order.standing != "ask")
    )
    if order.standing == "ask":
        reserved, committed = reserved + committed, 0
    d_reserved, d_committed = reserved - line.reserved, committed - line.committed
    if d_reserved or d_committed:
        if not line.location_id:
            line.location_id = choose_location(line.sku, batch.levels, batch.in_scope)
        line.version += 1
        kind = "commit" if d_committed > 0 else "reserve" if d_reserved > 0 else "release"
        batch.move(
            Entry(
                key=f"{kind}:{line.key}:{line.version}",
                sku=line.sku,
                location_id=line.location_id,
                reason=_REASONS[kind],
                reserved=d_reserved,
                committed=d_committed,
                source=f"{account.channel} order {order.order_id}",
                order_no=order.order_no,
            )
        )
        line.reserved, line.committed = reserved, committed
        taken = d_reserved + d_committed
        if taken > 0:
            batch.new_takers.append((line, order.placed_at, taken))
    line.coverage = "" if line.reserved + line.committed == 0 else line.coverage or "COVERED"
    batch.dirty_lines[(line.order_no, line.line_id, line.sku)] = line


_REASONS = {"commit": "sold", "reserve": "sold, not yet paid", "release": "cancelled"}


def _book_return(batch: Batch, order: OrderRow, h: Heard, came_back: ReturnSeen) -> None:
    """S5.4: a piece restocked in the hub after its shipment is on the shelf again."""
    account = batch.accounts[h.account_id]
    at = to_us_or_none(came_back.created_at)
    if not account.is_hub or (account.opened_at and at is not None and at <= account.opened_at):
        return
    for (line_id, sku), line in batch.lines.get(order.order_no, {}).items():
        if line_id != came_back.line_id or not sku:
            continue
        batch.move(
            Entry(
                key=f"return:{came_back.return_line_id}",
                sku=sku,
                location_id=came_back.location_id or line.location_id,
                reason="returned and restocked",
                on_hand=came_back.pieces,
                source=f"order {order.order_id}",
                order_no=order.order_no,
            )
        )
