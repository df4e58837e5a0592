"""All that is kept of a person, as plain values for a file.

In: order numbers, a customer. Out: values for JSON. Never: writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from oneshelf.core.instants import iso
from oneshelf.db.tx import Tx

from . import merging, profiles


def orders_of(tx: Tx, tenant_id: int, order_nos: Iterable[int]) -> list[dict[str, Any]]:
    """Return orders with their persons, money and lines."""
    numbers = list(order_nos)
    lines: dict[int, list[dict[str, Any]]] = {}
    for order_no, line_id, sku, title, pieces in tx.all(
        "SELECT order_no, line_id, sku, title, ordered FROM order_line WHERE tenant_id = :t AND order_no {in:nos} "
        "ORDER BY order_no, line_id",
        t=tenant_id,
        nos=numbers,
    ):
        lines.setdefault(order_no, []).append({"line_id": line_id, "sku": sku, "title": title, "pieces": pieces})
    return [
        {
            "order_id": order_id,
            "number": number,
            "placed_at": iso(placed_at),
            "state": state,
            "currency": currency,
            "total_minor": total_minor,
            **json.loads(person),
            "lines": lines.get(order_no, []),
        }
        for order_no, order_id, number, placed_at, state, currency, total_minor, person in tx.all(
            "SELECT order_no, order_id, number, placed_at, state, currency, total_minor, person FROM orders WHERE tenant_id = :t "
            "AND order_no {in:nos} ORDER BY order_no",
            t=tenant_id,
            nos=numbers,
        )
    ]


def customers_of(tx: Tx, tenant_id: int, order_nos: Iterable[int]) -> list[dict[str, Any]]:
    """Return the profiles whose orders these are."""
    roots = tx.all(
        """SELECT DISTINCT c.root_no FROM customer_order k
             JOIN customer c ON c.tenant_id = k.tenant_id AND c.customer_no = k.customer_no
            WHERE k.tenant_id = :t AND k.order_no {in:nos} ORDER BY c.root_no""",
        t=tenant_id,
        nos=list(order_nos),
    )
    return [msgspec.to_builtins(profiles.profile(tx, tenant_id, root_no)) for (root_no,) in roots]


def export(tx: Tx, tenant_id: int, customer_no: int) -> dict[str, Any]:
    """Return everything that is kept of a customer. Raises NoCustomer."""
    found = profiles.profile(tx, tenant_id, customer_no)
    root_no = found.customer.customer_no
    suggested = [
        msgspec.to_builtins(one)
        for state in ("OPEN", "CONFIRMED", "DISMISSED")
        for one in merging.suggestions(tx, tenant_id, state=state, limit=profiles.LIMIT_MAX)
        if {one.first_no, one.second_no} & {root_no, *found.parts}
    ]
    return {
        "customer": msgspec.to_builtins(found),
        "orders": orders_of(tx, tenant_id, [row[0] for row in rows_of(tx, tenant_id, root_no)]),
        "suggestions": suggested,
    }


def rows_of(tx: Tx, tenant_id: int, root_no: int) -> list[tuple[int, int, str, str, str]]:
    """(number, account, order id, state, standing) of a customer's orders, their copies in the shop too."""
    return [
        (row[0], row[1], row[2], row[3], row[4])
        for row in tx.all(
            """SELECT o.order_no, o.account_id, o.order_id, o.state, o.standing FROM customer c
                 JOIN customer_order k ON k.tenant_id = c.tenant_id AND k.customer_no = c.customer_no
                 JOIN orders o ON o.tenant_id = k.tenant_id AND o.order_no = k.order_no
                WHERE c.tenant_id = :t AND c.root_no = :r ORDER BY o.order_no""",
            t=tenant_id,
            r=root_no,
        )
    ]
