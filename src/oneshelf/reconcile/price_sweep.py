"""Reading back what every listing asks, slowly, to find prices that somebody else set; and what prices wait for besides.

In: the clock. Out: outlets marked to be read. Tables: reads price_slot, slot, link, writes price_slot's swept_at; marks through
pricing/marks.
Never: reads or writes a channel itself: publish does, after the numbers.
"""

from __future__ import annotations

from math import ceil

from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx
from oneshelf.pricing import marks
from oneshelf.pricing.policy import policy_of

from .sweep import SWEEP_TICK_S

#: Each price is read once in this time.
PRICE_SWEEP_EVERY_S = 24 * 3_600.0

_OURS = """FROM outlet o LEFT JOIN price_slot s ON s.tenant_id = o.tenant_id AND s.outlet_id = o.outlet_id
          WHERE o.tenant_id = :t AND o.account_id = :a AND o.fulfilled_by_channel = 0 AND o.state NOT IN ('ended', 'draft', 'gone')
            AND EXISTS (SELECT 1 FROM link k WHERE k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id)"""


def sweep_prices(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    now: int,
    *,
    every_s: float = PRICE_SWEEP_EVERY_S,
    tick_s: float = SWEEP_TICK_S,
) -> int:
    """Mark the outlets of an account that follows which are to be read now; call every `tick_s`. Returns how many.

    1. New ones, and ones linked again.  2. Those parked until their listing is on sale, when its number was
    seen to be since they were last tried.  3. An even share of those not read
    for `every_s`, the oldest first, each once in that time; parked ones are tried again that way.
    """
    if not policy_of(tx, tenant_id, account_id).follows:
        return 0
    whose = {"t": tenant_id, "a": account_id}
    found = tx.all(
        f"""SELECT o.outlet_id {_OURS} AND NOT EXISTS (SELECT 1 FROM price_mark d WHERE d.tenant_id = o.tenant_id AND d.outlet_id = o.outlet_id)
               AND (s.outlet_id IS NULL OR (s.state = 'PARKED' AND (s.parked IN ('ended', 'no_price/not_linked', 'no_price/off')
                 OR (s.parked = 'not_on_sale'
                 AND EXISTS (SELECT 1 FROM slot q WHERE q.tenant_id = s.tenant_id AND q.account_id = s.account_id
                               AND q.write_unit = s.write_unit AND q.believed > 0
                               AND q.believed_at > COALESCE(s.sent_at, 0))))))
             ORDER BY o.outlet_id""",
        **whose,
    )
    total = tx.one(f"SELECT COUNT(*) {_OURS}", **whose)
    assert total is not None
    old = tx.all(
        f"""SELECT o.outlet_id {_OURS} AND s.state IN ('QUIET', 'PARKED') AND s.parked <> 'not_on_sale'
               AND (s.believed_at IS NULL OR s.believed_at <= :old) AND (s.swept_at IS NULL OR s.swept_at <= :old)
             ORDER BY COALESCE(s.believed_at, 0), o.outlet_id LIMIT :share""",
        old=now - round(every_s * SECOND),
        share=ceil(total[0] * tick_s / every_s),
        **whose,
    )
    tx.run(
        "UPDATE price_slot SET swept_at = :now WHERE tenant_id = :t AND outlet_id {in:ids}",
        t=tenant_id,
        now=now,
        ids=[row[0] for row in old],
    )
    wanted = sorted({row[0] for row in [*found, *old]})
    marks.mark_outlets(tx, tenant_id, wanted, now, "sweep", reread=True)
    return len(wanted)
