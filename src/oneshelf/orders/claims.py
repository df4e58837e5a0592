"""What K loses to a marketplace the hub loses once: claims, and the holds that carry them out (SEMANTICS 9.5).

A claim belongs to a marketplace line or to a provisional reservation. `want`: pieces the hub should not offer for it.
`held`: pieces moved from available to reserved there. `imported`: pieces of its hub copy that are still open there. `elsewhere`: pieces of
`want` that are held, or asked for, at other locations (elsewhere.py).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx, next_values

#: Namespace of our idempotency keys: UUIDv5(tenant, operation, entity, version), the same on every retry (S4.2).
_KEYS = uuid.UUID("6f2f7f1e-6d0b-4f7e-9a55-0e1a51e1f001")
#: An open order line waits this long for its import to begin before its pieces are held (S9.5).
HOLD_AFTER_S = 2.0
#: `ClaimRow.refused`: the hub had not so many pieces; it is asked again when it has. The merchant gave them back by hand: it is not.
NOT_THERE, GIVEN_BACK = 1, 2


class ClaimRow(msgspec.Struct, gc=False):
    """One row of `claim`, in the order of its columns."""

    claim_key: str
    sku: str
    location_id: str
    want: int
    held: int
    imported: int
    version: int
    order_no: int
    line_id: str
    since_at: int
    refused: int
    open: int
    elsewhere: int = 0

    @property
    def lacks(self) -> int:
        """The pieces that its own location does not hold, nor has in a hub copy."""
        return max(0, self.want - self.held - self.imported)


_COLUMNS = ", ".join(ClaimRow.__struct_fields__)
_SAVE = (
    f"INSERT INTO claim (tenant_id, {_COLUMNS}) VALUES ({', '.join('?' * (len(ClaimRow.__struct_fields__) + 1))}) "
    "ON CONFLICT (tenant_id, claim_key, sku) DO UPDATE SET location_id = excluded.location_id, want = excluded.want, "
    "held = excluded.held, imported = excluded.imported, version = excluded.version, refused = excluded.refused, "
    "open = excluded.open, elsewhere = excluded.elsewhere"
)


def idempotency_key(tenant_id: int, operation: str, entity: str, version: int) -> str:
    """Return the key of one intent: the same for every retry of it, another for another version."""
    # UUIDv5 by hand (RFC 9562, 5.5): uuid.uuid5 makes an object of it and a text of that, for three times the price.
    name = f"{tenant_id}\n{operation}\n{entity}\n{version}".encode()
    digest = hashlib.sha1(_KEYS.bytes + name, usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def load(tx: Tx, tenant_id: int, claim_keys: Iterable[str]) -> dict[str, ClaimRow]:
    """Return the claims of these keys that there are."""
    return load_where(tx, tenant_id, "claim_key {in:keys}", keys=list(claim_keys))


def load_where(tx: Tx, tenant_id: int, where: str, **params: Any) -> dict[str, ClaimRow]:
    """Return the claims of which `where` (SQL with `params`) holds, by key."""
    rows = tx.all(f"SELECT {_COLUMNS} FROM claim WHERE tenant_id = :t AND ({where})", t=tenant_id, **params)
    return {row[0]: ClaimRow(*row) for row in rows}


def save(tx: Tx, tenant_id: int, claims: Iterable[ClaimRow]) -> None:
    """Store claims; one that wants nothing and has nothing is closed."""
    rows = []
    for claim in claims:
        claim.open = int(bool(claim.want or claim.held or claim.imported or claim.elsewhere))
        rows.append((tenant_id, *msgspec.structs.astuple(claim)))
    tx.many(_SAVE, rows)


def ask_again(tx: Tx, tenant_id: int, there: Iterable[tuple[str, str, int]]) -> None:
    """At these (SKU, location) the hub has so many pieces, or gets so many back: a hold that was refused for want of them is owed again, as
    many as there are, or a web buyer takes what was sold already (S9.5). Counts of 0 and less say nothing."""
    places = sorted({(sku, location_id) for sku, location_id, pieces in there if pieces > 0})
    tx.many(
        "UPDATE claim SET refused = 0 WHERE tenant_id = ? AND sku = ? AND location_id = ? AND open = 1 AND refused = ?",
        [(tenant_id, sku, location_id, NOT_THERE) for sku, location_id in places],
    )


def add_intent(
    tx: Tx,
    tenant_id: int,
    kind: str,
    entity: str,
    version: int,
    payload: dict[str, Any],
    now: int,
    *,
    due_at: int | None = None,
    priority: int = 3,
) -> bool:
    """Write down what we mean to do, before anything is done. False: this very intent exists already."""
    return add_intents(tx, tenant_id, kind, [(entity, version, payload)], now, due_at=due_at, priority=priority) == 1


def add_intents(
    tx: Tx,
    tenant_id: int,
    kind: str,
    wanted: Sequence[tuple[str, int, dict[str, Any]]],
    now: int,
    *,
    due_at: int | None = None,
    priority: int = 3,
) -> int:
    """Write down many intents of one kind, each (entity, version, payload). Returns how many are new."""
    if not wanted:
        return 0
    numbers = next_values(tx, tenant_id, "intent", len(wanted))
    return tx.many(
        """INSERT INTO intent (tenant_id, intent_no, kind, entity, version, idempotency_key, priority, payload, created_at, due_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_id, kind, entity, version) DO NOTHING""",
        [
            (
                tenant_id,
                number,
                kind,
                entity,
                version,
                idempotency_key(tenant_id, kind, entity, version),
                priority,
                msgspec.json.encode(payload).decode(),
                now,
                now if due_at is None else due_at,
            )
            for number, (entity, version, payload) in zip(numbers, wanted, strict=True)
        ],
    )


def has_open_intent(
    tx: Tx,
    tenant_id: int,
    kinds: tuple[str, ...],
    entity: str,
    *,
    states: tuple[str, ...] = ("WAITING", "SENDING", "UNKNOWN"),
) -> bool:
    """Whether an intent of one of these kinds for this entity is still to be done or settled."""
    return (
        tx.one(
            "SELECT 1 FROM intent WHERE tenant_id = :t AND entity = :e AND kind {in:kinds} AND state {in:states}",
            t=tenant_id,
            e=entity,
            kinds=list(kinds),
            states=list(states),
        )
        is not None
    )


def may_move(tx: Tx, tenant_id: int, claim: ClaimRow) -> bool:
    """Whether a claim may come to lie at another location: nothing is held for it here, and no hold without an answer may be."""
    return not claim.held and not has_open_intent(
        tx, tenant_id, ("hold",), claim.claim_key, states=("SENDING", "UNKNOWN")
    )


def plan(tx: Tx, tenant_id: int, claims: Iterable[ClaimRow], now: int, *, at_once: bool) -> None:
    """Write the hold or unhold intent that each claim is owed; one at a time a claim, the next when that is settled.

    `at_once` False: an import is on its way and takes the pieces by itself; hold only if it has not begun in HOLD_AFTER_S.
    """
    for claim in claims:
        missing = claim.want - claim.held - claim.imported
        if missing == 0 or (missing > 0 and claim.refused) or (missing < 0 and claim.held == 0):
            continue
        if has_open_intent(tx, tenant_id, ("hold", "unhold"), claim.claim_key):
            continue
        claim.version += 1
        kind = "hold" if missing > 0 else "unhold"
        pieces = missing if missing > 0 else min(claim.held, -missing)
        due_at = now if kind == "unhold" or at_once else now + int(HOLD_AFTER_S * SECOND)
        payload = {"claim_key": claim.claim_key, "sku": claim.sku, "location_id": claim.location_id, "pieces": pieces}
        add_intent(
            tx,
            tenant_id,
            kind,
            claim.claim_key,
            claim.version,
            payload,
            now,
            due_at=due_at,
            priority=2 if missing > 0 else 4,
        )
