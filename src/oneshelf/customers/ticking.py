"""What time alone does to customers (nobody buys, and lapses), and what other rules would do.

In: the clock, rules. Out: stages. Never: looks at a customer whose stage is not due.
"""

from __future__ import annotations

from oneshelf.core.stage import STAGES, Bought, StageRules, standing
from oneshelf.db.tx import Tx

from .counting import recount, sums_of

#: Customers looked at in one step: a step is one transaction, and orders wait behind it.
CUSTOMERS_A_STEP = 500


def tick(tx: Tx, tenant_id: int, now: int) -> bool:
    """Look at customers whose stage time has changed (nobody buys, and lapses). True: there are more."""
    due = [
        number
        for (number,) in tx.all(
            "SELECT customer_no FROM customer WHERE tenant_id = :t AND stage_due_at <= :now ORDER BY stage_due_at, customer_no LIMIT :n",
            t=tenant_id,
            now=now,
            n=CUSTOMERS_A_STEP,
        )
    ]
    recount(tx, tenant_id, due, now)
    return len(due) == CUSTOMERS_A_STEP


def preview(tx: Tx, tenant_id: int, rules: StageRules, now: int) -> dict[str, int]:
    """Return how many customers would stand where under these rules. Changes nothing."""
    found: dict[str, int] = dict.fromkeys(STAGES, 0)
    for one in sums_of(tx, tenant_id).values():
        stage = standing(rules, Bought(one.purchases, one.first_at, one.last_at, one.spend), now).stage
        if stage:
            found[stage] += 1
    return found
