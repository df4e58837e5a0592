"""What was spent of the channels' budgets, kept so that a restart does not forget it. Tables it owns: budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from oneshelf.db.tx import Tx


def load(tx: Tx, tenant_id: int, account_id: int) -> dict[str, Any]:
    """Return {budget: its state} of an account, as the limiter gave it."""
    rows = tx.all("SELECT name, state FROM budget WHERE tenant_id = :t AND account_id = :a", t=tenant_id, a=account_id)
    return {name: msgspec.json.decode(state) for name, state in rows}


def keep(tx: Tx, spent: Mapping[tuple[int, int], Mapping[str, Any]]) -> None:
    """Keep {(tenant, account): {budget: state}}."""
    tx.many(
        "INSERT INTO budget (tenant_id, account_id, name, state) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET state = excluded.state",
        [
            (tenant_id, account_id, name, msgspec.json.encode(state).decode())
            for (tenant_id, account_id), budgets in spent.items()
            for name, state in budgets.items()
        ],
    )
