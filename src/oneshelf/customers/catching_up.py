"""Orders that were stored before anybody matched them: from before this version, or from a time when the
plan had no matching.

In: stored orders, a page a step, in the order in which they were booked. Out: what `matching` makes of them. Tables: upkeep (its own row).
Never: matches an order again that has its customer.
"""

from __future__ import annotations

import json

from oneshelf.core.plan import Capability
from oneshelf.db.tx import Tx
from oneshelf.tenants.plan import allows

from .bought import stored_orders
from .matching import follow

ORDERS_A_STEP = 200
NAME = "customers"
#: Never due again by itself: the row says that all are through.
_NEVER = 2**62


def step(tx: Tx, tenant_id: int, now: int) -> bool:
    """Match the next page. True: there are more. While the plan has no matching, the next one that has it begins from the first order."""
    if not allows(tx, tenant_id, Capability.CUSTOMER_MATCHING):
        tx.run("DELETE FROM upkeep WHERE tenant_id = :t AND account_id = 0 AND name = :n", t=tenant_id, n=NAME)
        return False
    row = tx.one(
        "SELECT state, due_at FROM upkeep WHERE tenant_id = :t AND account_id = 0 AND name = :n", t=tenant_id, n=NAME
    )
    if row is not None and row[1] > now:
        return False
    after_no = 0 if row is None else int(json.loads(row[0]).get("after_no", 0))
    orders = stored_orders(tx, tenant_id, after_no, ORDERS_A_STEP)
    follow(tx, tenant_id, orders, now)
    more = len(orders) == ORDERS_A_STEP
    tx.run(
        """INSERT INTO upkeep (tenant_id, account_id, name, state, done_at, due_at) VALUES (:t, 0, :n, :s, :now, :due)
           ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET state = excluded.state, done_at = excluded.done_at,
               due_at = excluded.due_at""",
        t=tenant_id,
        n=NAME,
        s=json.dumps({"after_no": orders[-1].order_no if orders else after_no}),
        now=now,
        due=now if more else _NEVER,
    )
    return more
