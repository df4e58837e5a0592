"""Reading back what every outlet shows, slowly and all the time, to find drift (SEMANTICS 9.7).

In: the clock. Out: outlets marked to be read; lines for the nightly report. Tables: reads slot, writes its swept_at; marks through listings/dirty.
Never: reads or writes a channel itself: publish does, at priority 6.
"""

from __future__ import annotations

from math import ceil

import msgspec

from oneshelf.channels.contract import Capabilities
from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty
from oneshelf.orders.sales import own_sales
from oneshelf.publish.numbers import numbers_of
from oneshelf.publish.slots import account_row

#: Each outlet is read once in this time.
SWEEP_EVERY_S = 6 * 3_600.0
#: How often `sweep` is meant to be called.
SWEEP_TICK_S = 60.0
#: Differences that one report names; the others are counted.
NAMED_MAX = 200

_OURS = """FROM slot s JOIN outlet o ON o.tenant_id = s.tenant_id AND o.outlet_id = s.outlet_id
          WHERE s.tenant_id = :t AND s.account_id = :a AND s.state IN ('QUIET', 'PARKED')
            AND o.fulfilled_by_channel = 0 AND o.state NOT IN ('ended', 'draft', 'gone')"""


def sweep(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    now: int,
    *,
    every_s: float = SWEEP_EVERY_S,
    tick_s: float = SWEEP_TICK_S,
) -> int:
    """Mark the outlets to be read whose last read is older than `every_s`, the oldest first; call every `tick_s`. Returns how many.

    At most an even share a call, so that outlets read together at the start spread out. Parked ones are tried again that way. Each is asked
    for once in `every_s`: one that no read comes of keeps nobody else from being read.
    """
    total = tx.one(f"SELECT COUNT(*) {_OURS}", t=tenant_id, a=account_id)
    assert total is not None
    share = ceil(total[0] * tick_s / every_s)
    old = now - round(every_s * SECOND)
    rows = tx.all(
        f"""SELECT s.outlet_id {_OURS} AND (s.believed_at IS NULL OR s.believed_at <= :old_there) AND (s.swept_at IS NULL OR s.swept_at <= :old)
             ORDER BY COALESCE(s.believed_at, 0), s.outlet_id LIMIT :share""",
        t=tenant_id,
        a=account_id,
        old=old,
        old_there=account_row(tx, tenant_id, account_id).there(old),
        share=share,
    )
    found = [row[0] for row in rows]
    tx.run(
        "UPDATE slot SET swept_at = :now WHERE tenant_id = :t AND outlet_id {in:ids}", t=tenant_id, now=now, ids=found
    )
    dirty.mark_outlets(tx, tenant_id, found, now, "sweep", reread=True)
    return len(found)


def read_all(tx: Tx, tenant_id: int, account_id: int, now: int, why: str) -> int:
    """Mark every outlet of an account to be read before anything is decided (resuming after a pause, the nightly audit). Returns how
    many."""
    rows = tx.all(
        """SELECT DISTINCT o.outlet_id FROM outlet o
             JOIN link k ON k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id
            WHERE o.tenant_id = :t AND o.account_id = :a AND o.fulfilled_by_channel = 0
              AND o.state NOT IN ('ended', 'draft', 'gone') ORDER BY o.outlet_id""",
        t=tenant_id,
        a=account_id,
    )
    dirty.mark_outlets(tx, tenant_id, [row[0] for row in rows], now, why, reread=True)
    return len(rows)


class OfferAudit(msgspec.Struct, frozen=True):
    """What the audit of offers found. `wrong`: outlets at rest that do not show their offer: (outlet, believed, offer)."""

    looked_at: int
    wrong: tuple[tuple[int, int | None, int], ...]
    wrong_in_all: int


def audit_offers(tx: Tx, tenant_id: int, account_id: int, can: Capabilities, now: int) -> OfferAudit:
    """Compare every outlet at rest with its offer, computed anew; mark the wrong ones. None should be: a mark was lost, then."""
    rows = tx.all(
        """SELECT s.outlet_id, s.believed, s.believed_at FROM slot s
             LEFT JOIN dirty_listing d ON d.tenant_id = s.tenant_id AND d.outlet_id = s.outlet_id
            WHERE s.tenant_id = :t AND s.account_id = :a AND s.state = 'QUIET' AND d.outlet_id IS NULL ORDER BY s.outlet_id""",
        t=tenant_id,
        a=account_id,
    )
    numbers = numbers_of(tx, tenant_id, account_id, [row[0] for row in rows], can, now)
    sales = own_sales(tx, tenant_id, [row[0] for row in rows], {row[0]: row[2] for row in rows if row[2] is not None})
    wrong = []
    for outlet_id, believed, _ in rows:
        number = numbers.get(outlet_id)
        if number is not None and (believed is None or max(0, believed - sales[outlet_id]) != number.offer):
            wrong.append((outlet_id, believed, number.offer))
    dirty.mark_outlets(tx, tenant_id, [row[0] for row in wrong], now, "audit", reread=True)
    return OfferAudit(len(rows), tuple(wrong[:NAMED_MAX]), len(wrong))
