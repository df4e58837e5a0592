"""The head of an order: whether a snapshot is news, what the order is to the ledger, and what is kept of it (SEMANTICS 0.6, 4.3, 6.3).

In: a snapshot, the stored row. Out: the row, changed. Tables it owns: none (book writes what it changes).
Never: looks at lines' states; posts an entry.
"""

from __future__ import annotations

import json
from typing import Literal

import msgspec

from oneshelf.core.facts import LineSeen, OrderSeen, Payment
from oneshelf.core.instants import SECOND, to_us, to_us_or_none
from oneshelf.db.journal import open_task

from .accounts import Account
from .batch import Batch, Heard
from .rows import OrderRow

#: More pieces than this in one count is a mistake of somebody's, not a sale: the snapshot is parked, with its reason.
PIECES_MAX = 1_000_000_000
#: `orders.person` of an order whose person was never told, or is erased.
NOBODY = "{}"
#: Standings of which nothing is in the ledger: counted elsewhere, or off the count before we came.
NOT_IN_LEDGER = ("history", "counted", "copy", "off_count")


def refuse_nonsense(order: OrderSeen) -> None:
    """Raise ValueError on counts that can't be true: below 0, beyond PIECES_MAX, or one line told twice."""
    if not order.order_id:
        raise ValueError("an order without an id")
    seen: set[str] = set()
    for line in order.lines:
        if line.line_id in seen:
            raise ValueError(f"line {line.line_id} stands twice in order {order.order_id}")
        seen.add(line.line_id)
        for name in ("ordered", "cancelled", "shipped"):
            if not 0 <= getattr(line, name) <= PIECES_MAX:
                _refuse_count(getattr(line, name), f"line {line.line_id}, {name}")
    for shipment in order.shipments:
        for line_id, units in shipment.units.items():
            _refuse_count(units, f"shipment {shipment.shipment_id} of line {line_id}")
    for came_back in order.returns:
        _refuse_count(came_back.pieces, f"return {came_back.return_line_id}")


def _refuse_count(count: int, where: str) -> None:
    if not 0 <= count <= PIECES_MAX:
        raise ValueError(f"{where}: {count} is no count of pieces (0 to {PIECES_MAX})")


def instant(h: Heard) -> int:
    """When the snapshot was true by its channel, in microseconds; without that, when it was fetched."""
    return to_us(h.order.updated_at) if h.order.updated_at is not None else h.fetched_at


def _age(h: Heard) -> tuple[int, int, int]:
    """What tells which of two snapshots is the newer: the channel's own time, and of one time a read goes before a message. Channels tell
    their time in whole seconds, and a message shows what was, however late it comes. A message that is newer than a read of the same second
    costs the time until the next poll; one that is older, taken for newer, would stand for good: that poll brings what was read already."""
    return instant(h), int(h.was_read), h.fetched_at


def _stored_age(order: OrderRow) -> tuple[int, int, int]:
    return order.updated_at or 0, order.was_read, order.fetched_at or 0


def news(order: OrderRow, h: Heard) -> Literal["all", "document", "nothing"]:
    """S4.3: newer by `_age`: all of it is news.

    "document": it is older, but brings the money and the buyer that nobody has told yet; its counts are out of date.
    """
    if _age(h) > _stored_age(order):
        return "all"
    return "document" if h.order.complete and not order.complete else "nothing"


def new_order(batch: Batch, account: Account, h: Heard, order_no: int) -> OrderRow:
    placed_at, note = _placed(account, h)
    named_by = None if account.is_hub else batch.named_by(account, h.order.order_id)
    standing = _standing(batch, account, h, placed_at, named_by)
    if named_by is not None and standing == "live":
        batch.heard_first.append(named_by[0])
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
        was_read=0,
        payment=str(h.order.payment),
        cancelled=0,
        complete=0,
        state="",
        source=h.source,
        standing=standing,
        currency=None,
        total_minor=None,
        ship_by_at=None,
        document="{}",
        person=NOBODY,
        hub_order_id=named_by[1] if named_by is not None and standing == "counted" else None,
        copy_of_order_no=None,
        imported_at=None,
        version=0,
        copy_key=(h.order.copy_of_key or "") if account.is_hub else "",
    )


def _placed(account: Account, h: Heard) -> tuple[int, str]:
    """S6.3: the channel's time of purchase; nobody buys in the future, by the channel's clock as far as we know how it differs from ours;
    missing: when it was received."""
    if h.order.placed_at is None:
        return h.received_at, "missing"
    placed_at, latest = to_us(h.order.placed_at), account.latest(h.received_at)
    return (latest, "clamped") if placed_at > latest else (placed_at, "")


def _standing(batch: Batch, account: Account, h: Heard, placed_at: int, named_by: tuple[int, str] | None) -> str:
    """S0.6: what an order is to the ledger. `live`: as any order. `history`: no entry. `counted`: its hub copy (`named_by`) counts it.
    `ask`: reserved, not imported, until a person answers. `channel`: the channel ships it from its own stock."""
    order = h.order
    if order.fulfilled_by_channel:
        return "channel"
    if account.is_hub:
        return "copy" if batch.source_of(h) is not None else "live"
    # Some channels tell the purchase to the second: within the second of going live it counts as after it.
    since_live = account.live_at is not None and placed_at // SECOND >= account.live_at // SECOND
    if named_by is not None and not (since_live and batch.may_stand_for_another(named_by[0])):
        return "counted"
    if since_live:
        return "live"
    if order.cancelled or all(line.shipped >= line.ordered - line.cancelled for line in order.lines):
        return "history"
    open_task(
        batch.tx,
        batch.tenant_id,
        batch.now,
        "order_before_live",
        f"{account.account_id}/{order.order_id}",
        f"Say whether {account.label} order {order.order_id} is off your count already",
        "It was placed before this account went live; until you answer, its pieces are reserved and it is not imported. "
        f"Answer: oneshelf orders answer {order.order_id} new (it is as any order) or off-count (its pieces left already)",
    )
    return "ask"


def take(order: OrderRow, account: Account, h: Heard) -> OrderSeen:
    """Take over what the whole snapshot says about the order itself. Returns what is kept of it as its document."""
    seen = h.order
    order.version += 1
    if not h.again:
        order.updated_at, order.was_read, order.fetched_at = max(_stored_age(order), _age(h))
    order.payment = str(seen.payment)
    order.cancelled = int(seen.cancelled)
    if order.placed_note == "missing" and seen.placed_at is not None:
        order.placed_at, order.placed_note = _placed(account, h)
    if seen.complete:
        document = take_document(order, seen)
    elif order.complete:
        kept = msgspec.json.decode(order.document, type=OrderSeen)
        document = _keep(order, _with_counts(kept, seen))
        # More was ordered, or it was not paid when the document was read: the money is in the next document.
        order.complete = int(kept.totals is not None and _ordered(kept) == _ordered(seen))
    else:
        document = _keep(order, seen)
    if account.is_hub and seen.copy_of_key:
        order.copy_key = seen.copy_of_key
    return document


def take_document(order: OrderRow, seen: OrderSeen, *, counts_of: OrderSeen | None = None) -> OrderSeen:
    """Keep a complete snapshot: number, deadline, money, buyer. `counts_of`: a newer snapshot that knows the counts better. Returns what is
    kept as the document."""
    # A page that was read before the buyer paid has no money, and may come after the word that he has: the next one is waited for.
    order.complete = int(counts_of is None or seen.totals is not None or order.payment != Payment.PAID)
    order.number = seen.number or order.number
    order.ship_by_at = to_us_or_none(seen.ship_by_at) or order.ship_by_at
    if seen.totals is not None:
        order.currency, order.total_minor = seen.totals.total.currency, seen.totals.total.minor
    return _keep(order, seen if counts_of is None else _with_counts(seen, counts_of))


def stored_document(order: OrderRow) -> OrderSeen | None:
    """Return the snapshot that is kept, None if there is none yet. Raises msgspec.MsgspecError if it can't be read."""
    return None if order.document == "{}" else msgspec.json.decode(order.document, type=OrderSeen)


def _keep(order: OrderRow, seen: OrderSeen) -> OrderSeen:
    """Returns the snapshot as the document has it: without the person."""
    bare = msgspec.structs.replace(seen, buyer=None, ship_to=None)
    if order.erased_at is not None:
        bare = msgspec.structs.replace(bare, note="")
    order.document = msgspec.json.encode(bare).decode()
    order.number = order.number or seen.number
    order.ship_by_at = order.ship_by_at or to_us_or_none(seen.ship_by_at)
    # S14.7: what a later snapshot withholds is not forgotten, what it adds completes.
    if order.erased_at is None and (seen.buyer is not None or seen.ship_to is not None):
        person = {"buyer": msgspec.to_builtins(seen.buyer), "ship_to": msgspec.to_builtins(seen.ship_to)}
        told = {k: v for k, v in person.items() if v}
        if order.person != NOBODY:
            kept = json.loads(order.person)
            told = {**kept, **{k: {**kept.get(k, {}), **v} for k, v in told.items()}}
        order.person = json.dumps(told)
    return bare


def _with_counts(document: OrderSeen, counts: OrderSeen) -> OrderSeen:
    """Return the document with the counts, payment and parcels of another snapshot of the same order."""
    newer = {line.line_id: line for line in counts.lines}

    def line_of(line: LineSeen) -> LineSeen:
        n = newer.pop(line.line_id, line)
        return msgspec.structs.replace(line, ordered=n.ordered, cancelled=n.cancelled, shipped=n.shipped)

    lines = tuple(line_of(line) for line in document.lines)
    return msgspec.structs.replace(
        document,
        lines=lines + tuple(newer.values()),
        payment=counts.payment,
        cancelled=counts.cancelled,
        cancelled_at=counts.cancelled_at,
        updated_at=counts.updated_at,
        shipments=counts.shipments or document.shipments,
    )


def _ordered(seen: OrderSeen) -> dict[str, int]:
    return {line.line_id: line.ordered for line in seen.lines}
