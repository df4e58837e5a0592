"""Books stored orders again when what they sold has got a name, or a person has said what they are (SEMANTICS 0.6, 4.5).

In: an outlet that was linked, an answer. Out: the orders as if the link or the answer had been there when they were heard.
Never: asks a channel: the stored snapshot is enough.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal

from oneshelf.core.instants import SECOND
from oneshelf.db.journal import close_task, note
from oneshelf.db.tx import Tx
from oneshelf.listings.links import ties_for

from .batch import heard_again
from .book import book
from .copies import IMPORTABLE, LINK_BEFORE_SHIP_BY_S, importable
from .rows import load_lines, load_orders_by_no

#: So many orders are booked in one go: what one batch of news takes at most.
BATCH = 256

Answer = Literal["new", "off_count"]


def relink(tx: Tx, tenant_id: int, outlet_id: int, now: int) -> int:
    """Book the orders that waited for this outlet's link, each with its original time of purchase. Returns how many.

    Call it in the transaction that linked the outlet.
    """
    rows = tx.all(
        "SELECT account_id, listing_key FROM listing_key WHERE tenant_id = :t AND outlet_id = :o",
        t=tenant_id,
        o=outlet_id,
    )
    if not rows:
        return 0
    lines = _waiting_lines(tx, tenant_id, rows[0][0])
    return _book_waiting(tx, tenant_id, lines, {key for _, key in rows}, now)


def relink_account(tx: Tx, tenant_id: int, account_id: int, now: int) -> int:
    """The same for every link of an account: after its catalogue was read and matched. A listing that turned out to be filled by the
    channel waits for no link either. Returns how many orders were booked."""
    lines = _waiting_lines(tx, tenant_id, account_id)
    ties = ties_for(tx, tenant_id, account_id, {key for _, keys in lines for key in keys}) if lines else {}
    return _book_waiting(
        tx, tenant_id, lines, {key for key, tie in ties.items() if tie.parts or tie.fulfilled_by_channel}, now
    )


def _waiting_lines(tx: Tx, tenant_id: int, account_id: int) -> list[tuple[int, list[str]]]:
    """Return order number and listing keys of each line that waits for a link: few, where an account's listings are many."""
    rows = tx.all(
        "SELECT order_no, listing_keys FROM order_line WHERE tenant_id = :t AND account_id = :a AND state = 'U'",
        t=tenant_id,
        a=account_id,
    )
    return [(order_no, json.loads(keys)) for order_no, keys in rows]


def _book_waiting(tx: Tx, tenant_id: int, lines: list[tuple[int, list[str]]], listing_keys: set[str], now: int) -> int:
    waiting = sorted({order_no for order_no, keys in lines if listing_keys.intersection(keys)})
    for start in range(0, len(waiting), BATCH):
        book_again(tx, tenant_id, waiting[start : start + BATCH], now)
    return len(waiting)


def book_again(tx: Tx, tenant_id: int, order_nos: Iterable[int], now: int) -> None:
    """Book stored orders once more from what is kept of them. Changes only what the world around them has changed."""
    orders = load_orders_by_no(tx, tenant_id, order_nos)
    book(tx, tenant_id, [heard_again(order) for _, order in sorted(orders.items())], now)


def import_without_link(tx: Tx, tenant_id: int, now: int, limit: int = BATCH) -> int:
    """S14.1: orders that wait for a link and must leave soon are imported without those lines; their task stays. One of which nothing is
    linked is not. Returns how many, `limit` at most."""
    rows = tx.all(
        # CROSS JOIN: the few unlinked lines first. SQLite would begin with all orders, which lie in the order asked for.
        """SELECT DISTINCT o.order_no FROM order_line l CROSS JOIN orders o
            WHERE l.tenant_id = :t AND l.state = 'U' AND o.tenant_id = l.tenant_id AND o.order_no = l.order_no
              AND o.standing = 'live' AND o.payment = 'paid' AND o.hub_order_id IS NULL
              AND o.ship_by_at <= :bound
              AND EXISTS (SELECT 1 FROM order_line k WHERE k.tenant_id = o.tenant_id AND k.order_no = o.order_no AND k.committed > 0
                             AND k.state {in:importable})
              AND NOT EXISTS (SELECT 1 FROM intent n WHERE n.tenant_id = o.tenant_id AND n.kind = 'import'
                                 AND n.entity = CAST(o.account_id AS TEXT) || '/' || o.order_id)
            ORDER BY o.order_no LIMIT :n""",
        t=tenant_id,
        bound=now + LINK_BEFORE_SHIP_BY_S * SECOND,
        importable=sorted(IMPORTABLE),
        n=limit,
    )
    orders = load_orders_by_no(tx, tenant_id, [order_no for (order_no,) in rows])
    lines = load_lines(tx, tenant_id, orders)
    ripe = [no for no, order in orders.items() if importable(order, lines.get(no, {}).values(), now)]
    for order_no in ripe:
        what = "An order is imported without a line that is not linked: it must leave soon"
        note(tx, tenant_id, now, "orders", what, f"order:{order_no}")
    book_again(tx, tenant_id, ripe, now)
    return len(ripe)


def import_what_waits(tx: Tx, tenant_id: int, account_id: int, now: int) -> int:
    """S0.7: orders that were heard while nothing might leave for their account are imported. Returns how many were looked at."""
    waiting = [
        order_no
        for (order_no,) in tx.all(
            """SELECT o.order_no FROM orders o
                WHERE o.tenant_id = :t AND o.account_id = :a AND o.standing = 'live' AND o.payment = 'paid' AND o.hub_order_id IS NULL
                  AND o.state IN ('OPEN', 'PARTIAL')
                  AND NOT EXISTS (SELECT 1 FROM intent n WHERE n.tenant_id = o.tenant_id AND n.kind = 'import'
                                     AND n.entity = CAST(o.account_id AS TEXT) || '/' || o.order_id)
                ORDER BY o.order_no""",
            t=tenant_id,
            a=account_id,
        )
    ]
    for start in range(0, len(waiting), BATCH):
        book_again(tx, tenant_id, waiting[start : start + BATCH], now)
    return len(waiting)


def answer(tx: Tx, tenant_id: int, order_no: int, said: Answer, now: int, *, by: str) -> None:
    """S0.6: say what an order placed before its account went live is. `off_count`: its pieces left the count already, so it takes
    nothing; `new`: it is as any order, and is imported. Raises ValueError if nobody asks about it (any more)."""
    order = load_orders_by_no(tx, tenant_id, [order_no]).get(order_no)
    if order is None or order.standing != "ask":
        raise ValueError(f"order {order_no} waits for no answer")
    tx.run(
        "UPDATE orders SET standing = :s WHERE tenant_id = :t AND order_no = :no",
        s="live" if said == "new" else "off_count",
        t=tenant_id,
        no=order_no,
    )
    note(tx, tenant_id, now, by, "Said what an order from before the start is", f"order:{order_no}", said=said)
    close_task(tx, tenant_id, now, "order_before_live", f"{order.account_id}/{order.order_id}")
    book_again(tx, tenant_id, [order_no], now)
