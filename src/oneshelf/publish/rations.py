"""How often an outlet may be told something, a number or a price, where the channel counts that (SEMANTICS 8.11, 8.16).

In: attempts. Out: until when an outlet has to wait. Tables: reads attempt, price_attempt. Never: waits.
"""

from __future__ import annotations

from collections.abc import Sequence

from oneshelf.channels.contract import Capabilities
from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx

#: Of an outlet's writes a day, so many serve only priorities 1 and 2 (8.11).
WRITES_KEPT_A_DAY = 25
#: When an outlet that has used up its day is looked at again.
USED_UP_WAIT_S = 600
#: A sold-out listing that is reopened is renewed for a fee: at most once in this time (8.16).
REOPEN_EVERY_S = 3_600

_DONE = "('ACCEPTED', 'SEEN', 'UNKNOWN', 'UNSEEN', 'DOUBTED', 'SUPERSEDED')"


def used_up(tx: Tx, tenant_id: int, can: Capabilities, outlet_ids: Sequence[int], now: int) -> dict[int, int]:
    """Return {outlet: until when it should wait, unless it is urgent} for those that have used up their day's writes."""
    if can.writes_per_unit_day is None:
        return {}
    rows = tx.all(
        f"""SELECT outlet_id, COUNT(*) FROM (
                SELECT outlet_id FROM attempt WHERE tenant_id = :t AND outlet_id {{in:ids}} AND started_at > :day
                   AND outcome IN {_DONE}
                UNION ALL
                SELECT outlet_id FROM price_attempt WHERE tenant_id = :t AND outlet_id {{in:ids}} AND started_at > :day
                   AND outcome IN {_DONE}) told GROUP BY outlet_id""",
        t=tenant_id,
        ids=list(outlet_ids),
        day=now - 86_400 * SECOND,
    )
    most = can.writes_per_unit_day - WRITES_KEPT_A_DAY
    return {outlet_id: now + USED_UP_WAIT_S * SECOND for outlet_id, times in rows if times >= most}


def reopened_until(tx: Tx, tenant_id: int, outlet_ids: Sequence[int], now: int) -> int | None:
    """Return until when these outlets' listing may not be reopened again (microseconds), None: it may."""
    row = tx.one(
        f"""SELECT MAX(started_at) FROM attempt WHERE tenant_id = :t AND outlet_id {{in:ids}} AND started_at > :since
               AND was = 0 AND quantity > 0 AND outcome IN {_DONE}""",
        t=tenant_id,
        ids=list(outlet_ids),
        since=now - REOPEN_EVERY_S * SECOND,
    )
    return None if row is None or row[0] is None else int(row[0]) + REOPEN_EVERY_S * SECOND
