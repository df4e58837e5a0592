"""How long personal data is kept, and the step that ends it (SEMANTICS 11.5).

In: the time. Out: orders and raw messages without persons, a few a step.
Never: erases of the hub's own orders (they are the merchant's, and Shopify keeps them); touches an order that is not shipped.
"""

from __future__ import annotations

import msgspec

from oneshelf.core.facts import OrderSeen
from oneshelf.core.ids import ChannelName
from oneshelf.core.instants import to_us
from oneshelf.db.tx import Tx

from .erasing import OPEN_STATES, erase_messages, erase_orders
from .privacy import DAY_US

#: Days after shipment that the person of a marketplace order is kept: 30 of S11.5, or what the channel says where that is less. Amazon's
#: Data Protection Policy says at most 30 days after delivery (quoted by sellers; the policy itself is behind a login). eBay and Etsy name no
#: number of days; both ask for no longer than needed.
DAYS_AFTER_SHIPMENT = {ChannelName.AMAZON: 30, ChannelName.EBAY: 30, ChannelName.ETSY: 30}
#: Raw messages that were handled are kept so many days, to look into trouble.
RAW_DAYS = 7
#: Parked ones so many: a person still has to look at them, and an order that could not be read stands nowhere else.
PARKED_DAYS = 30
#: The step runs every hour; what it notices late must still be in time.
MARGIN_US = DAY_US // 2
ORDERS_A_STEP = 200
MESSAGES_A_STEP = 500


class Swept(msgspec.Struct, frozen=True):
    """What a step did; `more`: there is more to do at once."""

    closed: int
    orders: int
    messages: int
    more: bool


def step(tx: Tx, tenant_id: int, now: int, after_seq: int) -> tuple[Swept, int]:
    """1. Note which orders are over.  2. Erase persons whose time is up.  3. Empty old messages from `after_seq` on.

    Returns what it did and the seq to go on from.
    """
    closed = _note_closed(tx, tenant_id, now)
    orders = _erase_due(tx, tenant_id, now)
    messages, looked_at, after_seq = _empty_old_messages(tx, tenant_id, now, after_seq)
    parked = _empty_parked(tx, tenant_id, now)
    more = ORDERS_A_STEP in (closed, orders) or MESSAGES_A_STEP in (looked_at, parked)
    return Swept(closed, orders, messages + parked, more), after_seq


def _note_closed(tx: Tx, tenant_id: int, now: int) -> int:
    """An order is over from its first parcel on that the channel dated, else from when we first saw it over."""
    rows = tx.all(
        """SELECT o.order_no, o.document FROM orders o
             JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
            WHERE o.tenant_id = :t AND o.person <> '{}' AND o.closed_at IS NULL AND a.channel <> 'shopify'
              AND (NOT (o.state {in:open}) OR o.standing IN ('history', 'channel', 'off_count'))
            ORDER BY o.order_no LIMIT :limit""",
        t=tenant_id,
        open=list(OPEN_STATES),
        limit=ORDERS_A_STEP,
    )
    tx.many(
        "UPDATE orders SET closed_at = ? WHERE tenant_id = ? AND order_no = ?",
        [(min(now, _shipped_at(document) or now), tenant_id, order_no) for order_no, document in rows],
    )
    return len(rows)


def _shipped_at(document: str) -> int | None:
    """When the last parcel left, by the channel; None where it does not say."""
    try:
        seen = msgspec.json.decode(document, type=OrderSeen)
    except msgspec.MsgspecError:
        return None
    dated = [to_us(one.created_at) for one in seen.shipments if one.created_at is not None and not one.cancelled]
    return max(dated, default=None)


def _erase_due(tx: Tx, tenant_id: int, now: int) -> int:
    due: list[int] = []
    for channel, days in DAYS_AFTER_SHIPMENT.items():
        rows = tx.all(
            """SELECT o.order_no FROM orders o JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
                WHERE o.tenant_id = :t AND o.person <> '{}' AND o.closed_at <= :bound AND a.channel = :channel
                ORDER BY o.order_no LIMIT :limit""",
            t=tenant_id,
            bound=now - days * DAY_US + MARGIN_US,
            channel=str(channel),
            limit=ORDERS_A_STEP,
        )
        due += [order_no for (order_no,) in rows]
    due = due[:ORDERS_A_STEP]
    if due:
        erase_orders(tx, tenant_id, due, now, asked=False)
    return len(due)


def _empty_old_messages(tx: Tx, tenant_id: int, now: int, after_seq: int) -> tuple[int, int, int]:
    """Return (emptied, looked at, seq to go on from). Rows come in order of arrival, so the first young one is the end."""
    rows = tx.all(
        "SELECT seq, received_at, state FROM inbox WHERE tenant_id = :t AND seq > :after ORDER BY seq LIMIT :limit",
        t=tenant_id,
        after=after_seq,
        limit=MESSAGES_A_STEP,
    )
    old, looked_at, last = [], 0, after_seq
    for seq, received_at, state in rows:
        if received_at > now - RAW_DAYS * DAY_US or state == "NEW":
            break
        if state != "PARKED":
            old.append(seq)
        looked_at += 1
        last = seq
    erase_messages(tx, tenant_id, old, now)
    return len(old), looked_at, last


def _empty_parked(tx: Tx, tenant_id: int, now: int) -> int:
    """Empty parked messages whose time is up; their notes and tasks stay. Without a body there is nothing left to wait for: DONE."""
    rows = tx.all(
        "SELECT seq FROM inbox WHERE tenant_id = :t AND state = 'PARKED' AND received_at <= :bound ORDER BY seq LIMIT :limit",
        t=tenant_id,
        bound=now - PARKED_DAYS * DAY_US + MARGIN_US,
        limit=MESSAGES_A_STEP,
    )
    old = [seq for (seq,) in rows]
    erase_messages(tx, tenant_id, old, now)
    tx.run("UPDATE inbox SET state = 'DONE' WHERE tenant_id = :t AND seq {in:seqs}", t=tenant_id, seqs=old)
    return len(old)
