"""Channel accounts and their sealed secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from oneshelf.core.errors import Park
from oneshelf.core.secret import Secret
from oneshelf.db import events
from oneshelf.db.tx import Tx, next_values

from .seal import Sealer

#: The tenant of a self-hosted merchant.
FIRST_TENANT = 1
#: The account setting that is "1" while every listing of the account is to show 0: before a pause, and in it (S8.14).
SHOW_ZERO = "show_zero"
#: The account setting that says how many pieces more than its rules keep off the account's listings while something is wrong.
WIDER = "wider_buffer"


class AccountTaken(Park):
    """This channel account is connected to another tenant already."""


class AccountRow(msgspec.Struct, frozen=True):
    """One channel account as the runtime needs it. `settings`: the connector's plain strings."""

    tenant_id: int
    account_id: int
    channel: str
    external_id: str
    label: str
    state: str
    settings: dict[str, str]
    currency: str
    connected_at: int
    live_at: int | None
    opened_at: int | None


_COLUMNS = (
    "tenant_id, account_id, channel, external_id, label, state, settings, currency, connected_at, live_at, opened_at"
)


def ensure_tenant(tx: Tx, tenant_id: int, name: str, now: int) -> None:
    """Make the tenant if it isn't there."""
    tx.run(
        "INSERT INTO tenant (tenant_id, name, created_at) VALUES (:t, :n, :now) ON CONFLICT (tenant_id) DO NOTHING",
        t=tenant_id,
        n=name,
        now=now,
    )


def accounts(tx: Tx, tenant_id: int) -> list[AccountRow]:
    """Return the tenant's accounts, the hub first."""
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM account WHERE tenant_id = :t AND state <> 'DISCONNECTED' "
        "ORDER BY CASE WHEN channel = 'shopify' THEN 0 ELSE 1 END, account_id",
        t=tenant_id,
    )
    return [_account(row) for row in rows]


def departed_accounts(tx: Tx, tenant_id: int) -> list[AccountRow]:
    """Return the tenant's disconnected accounts of which a secret is still kept."""
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM account a WHERE tenant_id = :t AND state = 'DISCONNECTED' AND EXISTS (SELECT 1 FROM credential c "
        "WHERE c.tenant_id = a.tenant_id AND c.account_id = a.account_id) ORDER BY account_id",
        t=tenant_id,
    )
    return [_account(row) for row in rows]


def account_by_external_id(tx: Tx, channel: str, external_id: str) -> AccountRow | None:
    """Return the account of whichever tenant has it: one account, one tenant (S0.1)."""
    row = tx.one(
        f"SELECT {_COLUMNS} FROM account WHERE channel = :c AND external_id = :e AND state <> 'DISCONNECTED'",
        c=channel,
        e=external_id,
    )
    return None if row is None else _account(row)


def _account(row: tuple[Any, ...]) -> AccountRow:
    return AccountRow(**{**dict(zip(AccountRow.__struct_fields__, row, strict=True)), "settings": json.loads(row[6])})


def add_account(
    tx: Tx,
    tenant_id: int,
    *,
    channel: str,
    external_id: str,
    label: str,
    settings: Mapping[str, str],
    currency: str,
    now: int,
) -> int:
    """Store a connected account and return its id; connecting it again keeps its id and history.

    Raises AccountTaken while another tenant has it; one that was disconnected there may be connected here (S0.1).
    """
    row = tx.one(
        "SELECT tenant_id, account_id, state FROM account WHERE channel = :c AND external_id = :e "
        "AND (tenant_id = :t OR state <> 'DISCONNECTED') ORDER BY CASE WHEN tenant_id = :t THEN 1 ELSE 0 END",
        t=tenant_id,
        c=channel,
        e=external_id,
    )
    if row is not None and row[0] != tenant_id:
        raise AccountTaken(
            f"{channel} account {external_id} belongs to another merchant here. Disconnect it there first."
        )
    if row is not None:
        state = "CONNECTED" if row[2] == "DISCONNECTED" else row[2]
        tx.run(
            "UPDATE account SET label = :l, settings = :s, currency = :cur, state = :state WHERE tenant_id = :t AND account_id = :a",
            l=label,
            s=json.dumps(dict(settings)),
            cur=currency,
            state=state,
            t=tenant_id,
            a=row[1],
        )
        return int(row[1])
    account_id = next_values(tx, tenant_id, "account")[0]
    tx.run(
        """INSERT INTO account (tenant_id, account_id, channel, external_id, label, state, settings, currency, connected_at)
           VALUES (:t, :a, :c, :e, :l, 'CONNECTED', :s, :cur, :now)""",
        t=tenant_id,
        a=account_id,
        c=channel,
        e=external_id,
        l=label,
        s=json.dumps(dict(settings)),
        cur=currency,
        now=now,
    )
    return account_id


def change_setting(tx: Tx, tenant_id: int, account_id: int, name: str, value: str) -> None:
    """Change one plain setting of an account; "" takes it away."""
    row = tx.one("SELECT settings FROM account WHERE tenant_id = :t AND account_id = :a", t=tenant_id, a=account_id)
    settings = json.loads(row[0]) if row else {}
    settings[name] = value
    if not value:
        del settings[name]
    tx.run(
        "UPDATE account SET settings = :s WHERE tenant_id = :t AND account_id = :a",
        s=json.dumps(settings),
        t=tenant_id,
        a=account_id,
    )


def set_state(tx: Tx, tenant_id: int, account_id: int, state: str, now: int) -> None:
    """Move an account along CONNECTED → MATCHED → PREVIEWED → LIVE ↔ PAUSED → DISCONNECTED (S0.7)."""
    tx.run(
        "UPDATE account SET state = :s, live_at = CASE WHEN CAST(:s AS TEXT) = 'LIVE' THEN COALESCE(live_at, :now) ELSE live_at END "
        "WHERE tenant_id = :t AND account_id = :a",
        s=state,
        now=now,
        t=tenant_id,
        a=account_id,
    )
    events.tell(tx, tenant_id, now, "account.state_changed", [{"account": account_id, "state": state}])


def set_matched(tx: Tx, tenant_id: int, account_id: int, now: int) -> None:
    """Its listings are tied. One that is at work already stays so: what arrives while it is connected again is imported as ever."""
    row = tx.one("SELECT state FROM account WHERE tenant_id = :t AND account_id = :a", t=tenant_id, a=account_id)
    if row is not None and row[0] not in ("LIVE", "PAUSED"):
        set_state(tx, tenant_id, account_id, "MATCHED", now)


def save_secret(
    tx: Tx,
    sealer: Sealer,
    tenant_id: int,
    account_id: int,
    kind: str,
    secret: Secret,
    expected_version: int | None,
    now: int,
) -> Secret:
    """Store a secret sealed if `expected_version` is still the stored one (None: whatever is stored); return what is stored now."""
    row = tx.one(
        "SELECT version FROM credential WHERE tenant_id = :t AND account_id = :a AND kind = :k",
        t=tenant_id,
        a=account_id,
        k=kind,
    )
    # What is replaced is not opened: after its key was lost, connecting the account again is the only way on.
    if row is not None and expected_version is not None and row[0] != expected_version:
        stored = load_secret(tx, sealer, tenant_id, account_id, kind)
        assert stored is not None
        return stored
    version = 0 if row is None else row[0] + 1
    kept = msgspec.structs.replace(secret, version=version)
    tx.run(
        """INSERT INTO credential (tenant_id, account_id, kind, sealed, version, updated_at) VALUES (:t, :a, :k, :s, :v, :now)
           ON CONFLICT (tenant_id, account_id, kind) DO UPDATE SET sealed = excluded.sealed, version = excluded.version,
               updated_at = excluded.updated_at, lease_until = 0""",
        t=tenant_id,
        a=account_id,
        k=kind,
        s=sealer.seal(msgspec.json.encode(kept), tenant_id, account_id, kind),
        v=version,
        now=now,
    )
    return kept


def load_secret(tx: Tx, sealer: Sealer, tenant_id: int, account_id: int, kind: str) -> Secret | None:
    """Return the opened secret, or None if there is none. Raises what `Sealer.open` raises."""
    row = tx.one(
        "SELECT sealed FROM credential WHERE tenant_id = :t AND account_id = :a AND kind = :k",
        t=tenant_id,
        a=account_id,
        k=kind,
    )
    if row is None:
        return None
    return msgspec.json.decode(sealer.open(bytes(row[0]), tenant_id, account_id, kind), type=Secret)
