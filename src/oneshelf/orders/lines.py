"""One line of an order: made, kept unlinked, and taken through the state table with the entries that this costs (SEMANTICS 4.5, 5).

In: a line as stored, what a snapshot says. Out: the line, changed; entries.
Never: writes; looks at another line.
"""

from __future__ import annotations

import msgspec

from oneshelf.core.facts import LineSeen
from oneshelf.core.instants import SECOND
from oneshelf.core.order import Counts, LineState, buckets, follow
from oneshelf.core.stock import Entry
from oneshelf.db.journal import close_task, open_task

from . import parcels
from .accounts import Account
from .batch import Batch
from .heading import NOT_IN_LEDGER
from .rows import LineRow, OrderRow

_ALERT_TASKS = {
    "stop_the_parcel": "Stop the parcel: the order was cancelled after its release",
    "shipped_after_cancel": "A cancelled order was shipped",
    "cancel_crossed_parcel": "The cancel was accepted after the parcel had left",
}
#: States in which a person may be asked about a line.
_ASKED_ABOUT = (LineState.MERCHANT, LineState.CANCEL_WANTED)
#: Standings of an order that takes pieces, so that somebody must say which.
_STANDINGS_ASKED_ABOUT = ("live", "ask")
_REASONS = {"commit": "sold", "reserve": "sold, not yet paid", "release": "cancelled"}


def new_line(account: Account, order: OrderRow, seen: LineSeen, sku: str, units: int, outlet_id: int) -> LineRow:
    return LineRow(
        order_no=order.order_no,
        line_id=seen.line_id,
        sku=sku,
        units_per_listing=units,
        listing_keys=msgspec.json.encode(seen.listing_keys).decode(),
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


def keep_unlinked(
    batch: Batch, account: Account, order: OrderRow, seen: LineSeen, line: LineRow | None, *, ended: bool
) -> None:
    """S4.5: stored, in sight, holding nothing; linking it later books it with its original time. One of which nothing is wanted any more
    is cancelled as any line, and nobody is asked about it."""
    if line is None:
        line = new_line(account, order, seen, "", 1, 0)
        batch.lines[order.order_no][(seen.line_id, "")] = line
    line.ordered, line.cancelled, line.told_shipped = seen.ordered, seen.cancelled, seen.shipped
    unwanted = not seen.shipped and (ended or seen.cancelled >= seen.ordered)
    line.state = str(LineState.CANCELLED if unwanted else LineState.UNLINKED)
    batch.dirty_lines[(order.order_no, seen.line_id, "")] = line
    if unwanted:
        _all_linked(batch, account, order)
    elif order.standing in _STANDINGS_ASKED_ABOUT:
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


def now_linked(batch: Batch, account: Account, order: OrderRow, line_id: str) -> None:
    """The unlinked row of a line makes room for its SKUs; with the last of the order its task ends."""
    stored = batch.lines[order.order_no]
    batch.gone_lines.append((order.order_no, line_id))
    stored.pop((line_id, ""), None)
    batch.dirty_lines.pop((order.order_no, line_id, ""), None)
    _all_linked(batch, account, order)


def _all_linked(batch: Batch, account: Account, order: OrderRow) -> None:
    """Close the order's task unless another line of it still waits for a link."""
    if not any(line.line_state is LineState.UNLINKED for line in batch.lines[order.order_no].values()):
        close_task(batch.tx, batch.tenant_id, batch.now, "unlinked_order", f"{account.account_id}/{order.order_id}")


def settle_line(batch: Batch, account: Account, order: OrderRow, line: LineRow, *, paid: bool, ended: bool) -> None:
    """Follow the state table and post the difference between what the line should have in the ledger and what it has."""
    before, counts = line.line_state if line.state else None, line.counts
    revived = before is LineState.CANCELLED and not ended and line.ordered > line.cancelled
    step = follow(before, counts, paid=paid, ended=ended, revived=revived)
    line.state = str(step.state)
    if before in _ASKED_ABOUT and step.state in (LineState.CANCELLED, LineState.SHIPPED):
        close_task(batch.tx, batch.tenant_id, batch.now, "short_decision", line.key)
    for alert in step.alerts:
        what = f"{_ALERT_TASKS[alert]}: {account.label} {order.order_id}"
        open_task(batch.tx, batch.tenant_id, batch.now, alert, line.key, what)
    _post(batch, account, order, line, *_wanted(order, step.state, counts, paid))
    _uncover(batch, line)
    batch.touched.add(line.sku)
    batch.dirty_lines[(line.order_no, line.line_id, line.sku)] = line


def _wanted(order: OrderRow, state: LineState, counts: Counts, paid: bool) -> tuple[int, int]:
    """Return (reserved, committed) that a line should have; an order still asked about is only reserved (S0.6)."""
    if order.standing in NOT_IN_LEDGER:
        return 0, 0
    reserved, committed = buckets(state, counts, paid=paid)
    return (reserved + committed, 0) if order.standing == "ask" else (reserved, committed)


def _post(batch: Batch, account: Account, order: OrderRow, line: LineRow, reserved: int, committed: int) -> None:
    d_reserved, d_committed = reserved - line.reserved, committed - line.committed
    if not d_reserved and not d_committed:
        return
    line.version += 1
    kind = "commit" if d_committed > 0 else "reserve" if d_reserved > 0 else "release"
    batch.move(
        Entry(
            key=f"{kind}:{line.key}:{line.version}",
            sku=line.sku,
            location_id=parcels.place(batch, line),
            reason=_REASONS[kind],
            reserved=d_reserved,
            committed=d_committed,
            source=f"{account.channel} order {order.order_id}",
            order_no=order.order_no,
        )
    )
    line.reserved, line.committed = reserved, committed
    if account.is_hub and line.version == 1:
        _out_of_the_remainder(batch, account, order, line, d_reserved + d_committed)
    if d_reserved + d_committed > 0:
        batch.new_takers.append((line, order.placed_at, d_reserved + d_committed))


def _out_of_the_remainder(batch: Batch, account: Account, order: OrderRow, line: LineRow, pieces: int) -> None:
    """S0.5: what the shop had committed beyond the orders that we knew at the start was kept back. An order from before then which is
    heard only now is among it: its pieces stand under its own name from here on, and once. When it was placed is by the shop's clock."""
    if account.live_at is None or order.placed_at > account.live_at + batch.ahead(account.account_id):
        return
    place = parcels.place(batch, line)
    kept = min(pieces, batch.kept_back(line.sku, place))
    if kept <= 0:
        return
    batch.move(
        Entry(
            key=f"open:{line.key}:rest",
            sku=line.sku,
            location_id=place,
            reason="an order from before Oneshelf has come",
            committed=-kept,
            source=f"{account.channel} order {order.order_id}",
        )
    )
    batch.let_go(line.sku, place, kept)


def _uncover(batch: Batch, line: LineRow) -> None:
    """A line that holds nothing, or that we want cancelled, is neither covered nor short (S6.1); one that is new counts as covered
    until the walk says otherwise."""
    if line.reserved + line.committed and line.line_state is not LineState.CANCEL_WANTED:
        line.coverage = line.coverage or "COVERED"
        return
    if line.coverage == "SHORT":
        close_task(batch.tx, batch.tenant_id, batch.now, "short_line", line.key)
    line.coverage, line.short_since = "", None
