"""What a customer bought: counters that are the sum of the orders that count (SEMANTICS 11.4, I23), made anew whenever one changes.

In: profiles whose orders changed. Out: counters and stage on the profile at the root. Never: adds to a counter; it is always the sum.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from oneshelf.core.purchase import NOTHING
from oneshelf.core.stage import Bought, standing
from oneshelf.db.tx import Tx

from . import stages
from .bought import stored_orders


class Sums(msgspec.Struct, gc=False):
    """The sums of one customer, merged profiles together. Money: net minor units by currency."""

    purchases: int = 0
    pieces: int = 0
    first_at: int | None = None
    last_at: int | None = None
    spend: dict[str, int] = {}


def sums_of(tx: Tx, tenant_id: int, roots: Iterable[int] | None = None) -> dict[int, Sums]:
    """Return {root: sums} of these customers (None: all) who bought something."""
    # Two statements, not one with an OR: an OR would make the database read every order of every customer for each batch.
    those = "" if roots is None else "AND c.root_no {in:roots}"
    found: dict[int, Sums] = {}
    for root_no, currency, purchases, pieces, spend, refunded, first_at, last_at in tx.all(
        f"""SELECT c.root_no, o.currency, COUNT(*), SUM(o.pieces), SUM(o.spend_minor), SUM(o.refunded_minor), MIN(o.placed_at),
                  MAX(o.placed_at)
             FROM customer c JOIN customer_order o ON o.tenant_id = c.tenant_id AND o.customer_no = c.customer_no
            WHERE c.tenant_id = :t {those} AND o.counted = 1 GROUP BY c.root_no, o.currency""",
        t=tenant_id,
        **({} if roots is None else {"roots": sorted(roots)}),
    ):
        sums = found.setdefault(root_no, Sums())
        sums.purchases += int(purchases)
        sums.pieces += int(pieces)
        sums.first_at = min(first_at, sums.first_at or first_at)
        sums.last_at = max(last_at, sums.last_at or last_at)
        if currency:
            sums.spend[currency] = int(spend) - int(refunded)
    return found


def recount(tx: Tx, tenant_id: int, customer_nos: Iterable[int], now: int) -> None:
    """Count the customers anew that these profiles are part of, and see where they stand."""
    wanted = sorted(set(customer_nos))
    if not wanted:
        return
    roots = dict(
        tx.all(
            """SELECT r.customer_no, r.stage FROM customer r WHERE r.tenant_id = :t AND r.customer_no IN
                 (SELECT c.root_no FROM customer c WHERE c.tenant_id = :t AND c.customer_no {in:nos})""",
            t=tenant_id,
            nos=wanted,
        )
    )
    sums = sums_of(tx, tenant_id, roots)
    rules = stages.rules_of(tx, tenant_id)
    rows, changes = [], []
    for root_no, before in roots.items():
        one = sums.get(root_no) or Sums()
        at = standing(rules, Bought(one.purchases, one.first_at, one.last_at, one.spend), now)
        counters = (one.purchases, one.pieces, one.first_at, one.last_at)
        rows.append((*counters, at.why, at.due_at, at.stage, now, at.stage, tenant_id, root_no))
        if at.stage != before:
            changes.append(stages.Change(root_no, before, at.stage, at.why))
    tx.many(
        "UPDATE customer SET purchases = ?, pieces = ?, first_at = ?, last_at = ?, stage_why = ?, stage_due_at = ?, "
        "stage_at = CASE WHEN stage = ? THEN stage_at ELSE ? END, stage = ? WHERE tenant_id = ? AND customer_no = ?",
        rows,
    )
    stages.announce(tx, tenant_id, changes, now)


# --- does it agree? ------------------------------------------------------------------------------------------------------


def differing_sums(tx: Tx, tenant_id: int) -> list[str]:
    """I23: every customer's counters against the sum of their orders. Returns what differs, in words."""
    sums = sums_of(tx, tenant_id)
    found = []
    for number, *kept in tx.all(
        "SELECT customer_no, purchases, pieces, first_at, last_at FROM customer WHERE tenant_id = :t AND merged_into IS NULL",
        t=tenant_id,
    ):
        one = sums.get(number) or Sums()
        ought = [one.purchases, one.pieces, one.first_at, one.last_at]
        if kept != ought:
            found.append(
                f"customer {number} has {kept[0]} purchases of {kept[1]} pieces, the orders make {ought[0]} of {ought[1]}"
            )
    return found


def differing_orders(tx: Tx, tenant_id: int, after_no: int, limit: int) -> tuple[list[str], int | None]:
    """I23: what the next orders count against what is stored of them. Returns what differs, and the number to go on from (None: the end)."""
    orders = stored_orders(tx, tenant_id, after_no, limit)
    kept = {
        row[0]: row[1:]
        for row in tx.all(
            "SELECT order_no, counted, pieces, currency, spend_minor, refunded_minor, rule FROM customer_order WHERE tenant_id = :t "
            "AND order_no {in:nos}",
            t=tenant_id,
            nos=[order.order_no for order in orders],
        )
    }
    found = []
    for order in orders:
        row = kept.get(order.order_no)
        ought = NOTHING if order.copy_of else order.purchase
        wanted = (int(ought.counted), ought.pieces, ought.currency, ought.spend_minor, ought.refunded_minor)
        if row is not None and row[:5] != wanted:
            found.append(f"order number {order.order_no} counts {row[:5]} for its customer, it should count {wanted}")
    return found, orders[-1].order_no if len(orders) == limit else None
