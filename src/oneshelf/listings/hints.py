"""Which listings are to be read again because their channel said that they changed. Several hints are one read.

In: a hint. Out: what is due. Tables it owns: listing_hint. Never: reads a channel.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from oneshelf.core.backoff import backoff_s
from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx

#: A bulk edit tells of one product many times within seconds: wait so long for the rest.
GATHER_US = 2 * SECOND
#: The name under which the hub's locations are asked for; no channel names a listing so.
LOCATIONS = "locations"
FAILED_WAIT_US = 10 * SECOND
FAILED_WAIT_US_MAX = 3_600 * SECOND


class Hint(msgspec.Struct, frozen=True):
    """A listing or product to read again. `empty`: so often the channel has said that it does not exist."""

    external_id: str
    generation: int
    empty: int
    failures: int


def want(tx: Tx, tenant_id: int, account_id: int, external_id: str, now: int) -> None:
    """Ask for one listing to be read again."""
    want_all(tx, tenant_id, account_id, [external_id], now)


def want_all(tx: Tx, tenant_id: int, account_id: int, external_ids: Iterable[str], now: int) -> None:
    """Ask for several."""
    tx.many(
        """INSERT INTO listing_hint (tenant_id, account_id, external_id, since_at, due_at) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (tenant_id, account_id, external_id) DO UPDATE SET generation = listing_hint.generation + 1, empty = 0""",
        [(tenant_id, account_id, one, now, now + GATHER_US) for one in external_ids],
    )


def due(tx: Tx, tenant_id: int, account_id: int, now: int, limit: int) -> list[Hint]:
    """Return what may be read now, the longest waiting first."""
    rows = tx.all(
        "SELECT external_id, generation, empty, failures FROM listing_hint WHERE tenant_id = :t AND account_id = :a "
        "AND due_at <= :now ORDER BY due_at, external_id LIMIT :limit",
        t=tenant_id,
        a=account_id,
        now=now,
        limit=limit,
    )
    return [Hint(*row) for row in rows]


def next_at(tx: Tx, tenant_id: int, account_id: int) -> int | None:
    """When the earliest hint may be read."""
    row = tx.one(
        "SELECT MIN(due_at) FROM listing_hint WHERE tenant_id = :t AND account_id = :a", t=tenant_id, a=account_id
    )
    return None if row is None else row[0]


def done(tx: Tx, tenant_id: int, account_id: int, hint: Hint) -> None:
    """It was read. One that was hinted at again meanwhile stays."""
    tx.run(
        "DELETE FROM listing_hint WHERE tenant_id = :t AND account_id = :a AND external_id = :e AND generation = :g",
        t=tenant_id,
        a=account_id,
        e=hint.external_id,
        g=hint.generation,
    )


def again(tx: Tx, tenant_id: int, account_id: int, hint: Hint, now: int, *, empty: bool, wait_s: float = 0.0) -> None:
    """It could not be read, or the channel did not know it: once more later."""
    wait = int(backoff_s(FAILED_WAIT_US, hint.failures + hint.empty + 1, FAILED_WAIT_US_MAX))
    tx.run(
        "UPDATE listing_hint SET due_at = :due, empty = empty + :empty, failures = failures + :failed "
        "WHERE tenant_id = :t AND account_id = :a AND external_id = :e",
        due=now + max(wait, round(wait_s * SECOND)),
        empty=int(empty),
        failed=int(not empty),
        t=tenant_id,
        a=account_id,
        e=hint.external_id,
    )
