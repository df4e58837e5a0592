"""The orders that a channel itself lists, read the way a poll reads them, for whoever compares them with ours.

In: one account and an instant. Out: {order id: when it was placed}. Tables: reads feed. Never: stores anything.
"""

from __future__ import annotations

from datetime import timedelta

from oneshelf.channels.contract import Channel, Cursor, Http
from oneshelf.core.facts import OrderSeen
from oneshelf.core.instants import from_us, to_us
from oneshelf.db.tx import Tx
from oneshelf.runtime.clock import Clock

#: A bound on how many pages of orders one look reads.
PAGES_MAX = 2_000


async def orders_there(channel: Channel, http: Http, since: int, clock: Clock) -> dict[str, int]:
    """Return {order id: placed_at, 0 if the channel does not say} of what its feed shows as changed since `since` (microseconds).

    An order changes at the latest when it is placed, so everything placed since then is among them. Raises what the connector raises.
    """
    cursor = Cursor(since=from_us(since) - timedelta(seconds=1))
    there: dict[str, int] = {}
    for _ in range(PAGES_MAX):
        page = await channel.fetch(http, cursor, clock.now())
        for message in page.messages:
            for fact in channel.parse(message):
                if isinstance(fact, OrderSeen):
                    there[fact.order_id] = to_us(fact.placed_at) if fact.placed_at is not None else 0
        if page.cursor.run is None or page.cursor == cursor:
            break
        cursor = page.cursor
    return there


def complete_through(tx: Tx, tenant_id: int, account_id: int) -> int:
    """Return through which instant of placing our own feed is complete; 0 before its first poll has ended."""
    row = tx.one(
        "SELECT complete_through_at FROM feed WHERE tenant_id = :t AND account_id = :a AND name = 'orders'",
        t=tenant_id,
        a=account_id,
    )
    return 0 if row is None or row[0] is None else int(row[0])
