"""Metering: how much was done for a tenant on a day, by account.

In: counts, from whoever writes something anyway. Out: the counts of a span of days. Tables it owns: usage_day.
Never: a transaction of its own on the way of an order or a number; what a plan costs.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Literal

import msgspec

from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx

#: orders: stored for the first time. numbers, prices: accepted by the channel. calls: requests to the channel, of whatever kind.
Metered = Literal["orders", "numbers", "prices", "calls"]
DAY_US = 86_400 * SECOND


class Used(msgspec.Struct, frozen=True):
    """What was done on one day (UTC) for one account. `account_id` 0: for none that is known any more."""

    day: date
    account_id: int
    channel: str
    orders: int
    numbers: int
    prices: int
    calls: int


def add(tx: Tx, tenant_id: int, now: int, name: Metered, counts: Iterable[tuple[int, int]]) -> None:
    """Add (account, how many) to this day's counts, in the transaction that wrote what is counted."""
    tx.many(
        """INSERT INTO usage_day (tenant_id, day, account_id, name, count) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (tenant_id, day, account_id, name) DO UPDATE SET count = usage_day.count + excluded.count""",
        [(tenant_id, now // DAY_US, account_id, name, count) for account_id, count in counts if count > 0],
    )


def usage(tx: Tx, tenant_id: int, first: date, last: date) -> list[Used]:
    """Return what was done from one day to another, both included, the newest first. Days without anything are left out."""
    rows = tx.all(
        """SELECT u.day, u.account_id, COALESCE(MIN(a.channel), ''),
                  CAST(SUM(CASE WHEN u.name = 'orders' THEN u.count ELSE 0 END) AS BIGINT),
                  CAST(SUM(CASE WHEN u.name = 'numbers' THEN u.count ELSE 0 END) AS BIGINT),
                  CAST(SUM(CASE WHEN u.name = 'prices' THEN u.count ELSE 0 END) AS BIGINT),
                  CAST(SUM(CASE WHEN u.name = 'calls' THEN u.count ELSE 0 END) AS BIGINT)
             FROM usage_day u LEFT JOIN account a ON a.tenant_id = u.tenant_id AND a.account_id = u.account_id
            WHERE u.tenant_id = :t AND u.day BETWEEN :first AND :last
            GROUP BY u.day, u.account_id ORDER BY u.day DESC, u.account_id""",
        t=tenant_id,
        first=_day_no(first),
        last=_day_no(last),
    )
    return [Used(_day(row[0]), *row[1:]) for row in rows]


def _day_no(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _day(number: int) -> date:
    return datetime.fromtimestamp(number * 86_400, UTC).date()
