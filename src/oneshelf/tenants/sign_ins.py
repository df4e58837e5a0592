"""Sign-ins in a browser that are under way: kept sealed until the callback, taken once, gone after a quarter of an hour.

In: what was entered, and the fresh state that the channel hands back. Out: the same, once.
Tables it owns: sign_in. Never: keeps the state itself in the clear (a reader of the database can't finish somebody's sign-in).
"""

from __future__ import annotations

import hashlib

import msgspec

from oneshelf.core.errors import Park
from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx

from .seal import Sealer

#: How long the merchant has to say yes at the channel.
LIFE_US = 15 * 60 * SECOND
#: `account_id` that sign-ins are sealed for: there is no account yet.
_NO_ACCOUNT = 0


OVER = "This sign-in was used already or took longer than 15 minutes. Begin again where you began."


class SignInOver(Park):
    """This sign-in is not under way: it was used already, or took longer than 15 minutes."""


class Pending(msgspec.Struct, frozen=True):
    """A sign-in under way. `settings` and `app` by the connector's own names."""

    channel: str
    settings: dict[str, str]
    app: dict[str, str]
    redirect_uri: str
    state: str
    verifier: str


def hash_of(state: str) -> str:
    """Return under which key a state is kept."""
    return hashlib.sha256(state.encode()).hexdigest()


def keep(tx: Tx, sealer: Sealer, tenant_id: int, pending: Pending, now: int) -> str:
    """Keep a sign-in; forget those that are over. Returns its key."""
    tx.run("DELETE FROM sign_in WHERE tenant_id = :t AND expires_at <= :now", t=tenant_id, now=now)
    key = hash_of(pending.state)
    tx.run(
        "INSERT INTO sign_in (tenant_id, state_hash, channel, sealed, created_at, expires_at) VALUES (:t, :k, :c, :s, :now, :end)",
        t=tenant_id,
        k=key,
        c=pending.channel,
        s=sealer.seal(msgspec.json.encode(pending), tenant_id, _NO_ACCOUNT, f"sign_in:{key}"),
        now=now,
        end=now + LIFE_US,
    )
    return key


def is_over(tx: Tx, tenant_id: int, key: str, now: int) -> bool:
    """Whether nobody came back in time; False too for one that was taken or is not known."""
    row = tx.one("SELECT expires_at FROM sign_in WHERE tenant_id = :t AND state_hash = :k", t=tenant_id, k=key)
    return row is not None and row[0] <= now


def take(tx: Tx, sealer: Sealer, tenant_id: int, channel: str, state: str, now: int) -> Pending:
    """Return the sign-in of this state and forget it: a second callback finds nothing. Raises SignInOver."""
    key = hash_of(state)
    row = tx.one(
        "DELETE FROM sign_in WHERE tenant_id = :t AND state_hash = :k AND channel = :c RETURNING sealed, expires_at",
        t=tenant_id,
        k=key,
        c=channel,
    )
    if row is None or row[1] <= now:
        raise SignInOver(OVER)
    return msgspec.json.decode(sealer.open(bytes(row[0]), tenant_id, _NO_ACCOUNT, f"sign_in:{key}"), type=Pending)
