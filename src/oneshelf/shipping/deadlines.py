"""Orders whose marketplace wants them out soon: a word to a person, in time (SEMANTICS 10.4).

In: the clock, orders with a ship-by instant. Out: a task an order, closed when nothing of it is owed any more. An import
where waiting for a link would make it late. Never: ships.
"""

from __future__ import annotations

from oneshelf.core.instants import SECOND, from_us
from oneshelf.db.journal import close_task, open_task
from oneshelf.db.tx import Tx
from oneshelf.orders.accounts import load_accounts
from oneshelf.orders.relink import import_without_link

#: S10.4: so long before ship-by an order that was not told shipped is in danger.
ALERT_BEFORE_S = 4 * 3600
#: An order that is over for longer is no news any more.
ALERT_AFTER_S = 7 * 24 * 3600
KIND = "ship_deadline"


def alert(tx: Tx, tenant_id: int, now: int) -> int:
    """1. What waits for a link and must leave within a day is imported without it (S14.1).  2. Open a task for every order in danger, and
    close those that are not any more. Returns how many are in danger."""
    import_without_link(tx, tenant_id, now)
    accounts = {a.account_id: a for a in load_accounts(tx, tenant_id).values() if not a.is_hub and a.is_live}
    late = tx.all(
        # Sums, not a join in groups: that would be read in the groups' order, which is every order there ever was.
        """SELECT o.account_id, o.order_id, o.ship_by_at,
                  (SELECT CAST(SUM(l.committed) AS BIGINT) FROM order_line l WHERE l.tenant_id = o.tenant_id AND l.order_no = o.order_no
                      AND l.state <> 'C'),
                  (SELECT COUNT(*) FROM shipment s WHERE s.tenant_id = o.tenant_id AND s.order_no = o.order_no
                      AND s.cancelled = 0 AND s.state IN ('QUEUED', 'SENT', 'UNKNOWN', 'REFUSED'))
             FROM orders o
            WHERE o.tenant_id = :t AND o.ship_by_at BETWEEN :from_at AND :to_at AND o.standing = 'live' AND o.payment = 'paid'
            ORDER BY o.account_id, o.order_id""",
        t=tenant_id,
        from_at=now - ALERT_AFTER_S * SECOND,
        to_at=now + ALERT_BEFORE_S * SECOND,
    )
    in_danger: set[str] = set()
    for account_id, order_id, ship_by_at, committed, untold in late:
        if account_id not in accounts or committed is None or not (committed or untold):  # None: cancelled whole
            continue
        name = f"{account_id}/{order_id}"
        in_danger.add(name)
        by = f"{from_us(ship_by_at):%Y-%m-%d %H:%M} UTC"
        why = (
            "Its parcel has left, but the marketplace has not confirmed that it knows"
            if untold and not committed
            else "Not all of it has left yet"
        )
        what = f"Ship {accounts[account_id].label} order {order_id} by {by}"
        open_task(tx, tenant_id, now, KIND, name, what, why, ship_by_at)
    for (name,) in tx.all(
        "SELECT subject FROM task WHERE tenant_id = :t AND kind = :k AND closed_at IS NULL", t=tenant_id, k=KIND
    ):
        if name not in in_danger:
            close_task(tx, tenant_id, now, KIND, name)
    return len(in_danger)
