"""An order as this room sees it, and the stored orders in that form: what matching and counting are made of.

In: rows of orders and lines. Out: `BoughtOrder`s. Never: writes. The booking of orders makes the same from what it holds in memory.
"""

from __future__ import annotations

import msgspec

from oneshelf.core.ids import HUB
from oneshelf.core.purchase import Purchase, purchase
from oneshelf.db.tx import Tx


class BoughtOrder(msgspec.Struct, frozen=True, gc=False):
    """`person`: as the order keeps it, JSON. `copy_of`: of a hub order that copies a marketplace order, that order's number, else 0."""

    order_no: int
    channel: str
    placed_at: int
    person: str
    copy_of: int
    purchase: Purchase

    @property
    def in_hub(self) -> bool:
        return self.channel == HUB


def stored_orders(tx: Tx, tenant_id: int, after_no: int, limit: int) -> list[BoughtOrder]:
    """Return the next orders by number, as they are stored."""
    rows = tx.all(
        """SELECT o.order_no, a.channel, o.placed_at, o.person, o.copy_of_order_no, o.copy_key, o.payment, o.currency, o.total_minor,
                  o.document
             FROM orders o JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
            WHERE o.tenant_id = :t AND o.order_no > :after ORDER BY o.order_no LIMIT :limit""",
        t=tenant_id,
        after=after_no,
        limit=limit,
    )
    wanted: dict[int, dict[str, int]] = {}
    for order_no, line_id, pieces in tx.all(
        "SELECT order_no, line_id, ordered - cancelled FROM order_line WHERE tenant_id = :t AND order_no {in:nos}",
        t=tenant_id,
        nos=[row[0] for row in rows],
    ):
        of = wanted.setdefault(order_no, {})
        of[line_id] = of.get(line_id, 0) + pieces
    sources = _sources(tx, tenant_id, sorted({row[5] for row in rows if row[5]}))
    found = []
    for order_no, channel, placed_at, person, copy_of, copy_key, payment, currency, total_minor, document in rows:
        counts = purchase(
            payment=payment,
            currency=currency,
            total_minor=total_minor,
            document=document,
            wanted=wanted.get(order_no, {}),
        )
        source = copy_of or sources.get(copy_key, 0)
        found.append(BoughtOrder(order_no, channel, placed_at, person, source, counts))
    return found


def _sources(tx: Tx, tenant_id: int, copy_keys: list[str]) -> dict[str, int]:
    """The marketplace orders that hub orders name: by channel:account:order id, or by an order id that one account has (S14.2)."""
    if not copy_keys:
        return {}
    ids = {key: key.rpartition(":")[2] for key in copy_keys}
    rows = tx.all(
        """SELECT o.order_no, o.order_id, a.channel, a.external_id FROM orders o
             JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
            WHERE o.tenant_id = :t AND o.order_id {in:ids} AND a.channel <> :hub""",
        t=tenant_id,
        ids=sorted({*ids.values(), *copy_keys}),
        hub=str(HUB),
    )
    found: dict[str, int] = {}
    for key in copy_keys:
        exact = [row[0] for row in rows if f"{row[2]}:{row[3]}:{row[1]}" == key]
        plain = [row[0] for row in rows if row[1] == key]
        if exact or len(plain) == 1:
            found[key] = (exact or plain)[0]
    return found
