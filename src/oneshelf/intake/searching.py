"""One more look for the order of a sale that a read has shown, before its reservation is given up (SEMANTICS 9.4).

In: intents `find_orders` (orders/provisional wrote them). Out: the orders of that time, stored like any that were read.
Never: moves the feed's cursor or its instant; takes a failed search for an empty one.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from oneshelf.channels.contract import Channel, Cursor, Http, NoAnswer, RawMessage
from oneshelf.core.errors import Park, Retry
from oneshelf.core.instants import from_us, to_us
from oneshelf.core.outcome import Unknown
from oneshelf.db.tx import Tx
from oneshelf.orders import intents
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from .inbox import Raw, keep

log = structlog.get_logger()

#: Pages of one search. What has more orders in that time is heard by its polls.
PAGES_MAX = 20
#: A search that fails so often is given up, and says so; meanwhile the pieces stay reserved.
TRIES_MAX = 6


async def search(
    tenant_id: int,
    account_id: int,
    channel: Channel,
    http: Http,
    writer: Writer,
    clock: Clock,
    intent: intents.Intent,
    news: Bell,
) -> None:
    """Read what changed since the intent's instant, by a cursor of its own, and store it; then the intent is DONE."""
    found: list[RawMessage] = []
    problem = ""
    try:
        cursor = Cursor(since=from_us(intent.payload["since"]))
        for _ in range(PAGES_MAX):
            page = await channel.fetch(http, cursor, clock.now())
            found += page.messages
            if page.cursor.run is None or page.cursor == cursor:
                break
            cursor = page.cursor
    except (NoAnswer, Retry, Park) as error:
        problem = str(error) or type(error).__name__
    except Exception as error:
        log.exception("order_search_failed", account_id=account_id)
        problem = f"our reader failed: {type(error).__name__}"
    now = to_us(clock.now())
    await writer.do(lambda tx: settle_search(tx, tenant_id, account_id, intent, found, problem, now))
    news.ring()


def settle_search(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    intent: intents.Intent,
    found: Sequence[RawMessage],
    problem: str,
    now: int,
) -> None:
    """Store what was found and record how the search ended; both are durable together."""
    keep(tx, [Raw(tenant_id, account_id, m.topic, m.delivery_key, "read", m.headers, m.body, now) for m in found])
    if not problem:
        intents.settle(tx, tenant_id, intent, "DONE", now)
    elif intent.attempts >= TRIES_MAX:
        intents.settle(tx, tenant_id, intent, "REFUSED", now, reason=problem)
    else:
        intents.put_off(tx, tenant_id, intent, Unknown(problem), now)
