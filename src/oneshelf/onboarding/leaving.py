"""An account goes: nothing is told any more, its keys are deleted, its history stays (SEMANTICS 0.7).

In: an account. Out: the same, DISCONNECTED. Never: deletes an order, an entry, a listing or a link: connecting again goes on with them.
"""

from __future__ import annotations

from oneshelf.core.instants import SECOND
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.tenants.accounts import set_state

#: A platform may ask for erasure after the end: so long the webhook secret is kept, to know that it is the platform who asks.
SECRET_KEPT_US = 60 * 86_400 * SECOND


def leave(tx: Tx, tenant_id: int, account_id: int, now: int, *, by: str) -> int:
    """Disconnect. Returns how many linked listings keep the number that they show now."""
    set_state(tx, tenant_id, account_id, "DISCONNECTED", now)
    tx.run(
        "DELETE FROM credential WHERE tenant_id = :t AND account_id = :a AND kind <> 'app'", t=tenant_id, a=account_id
    )
    outlets = "SELECT outlet_id FROM outlet WHERE tenant_id = :t AND account_id = :a"
    tx.run(f"DELETE FROM dirty_listing WHERE tenant_id = :t AND outlet_id IN ({outlets})", t=tenant_id, a=account_id)
    tx.run(f"DELETE FROM price_mark WHERE tenant_id = :t AND outlet_id IN ({outlets})", t=tenant_id, a=account_id)
    # Connected again it begins with its prices left alone, as every account.
    for table in ("upkeep", "listing_hint", "price_policy"):
        tx.run(f"DELETE FROM {table} WHERE tenant_id = :t AND account_id = :a", t=tenant_id, a=account_id)
    tx.run(
        "UPDATE task SET closed_at = :now WHERE tenant_id = :t AND closed_at IS NULL AND subject = :a AND kind IN "
        "('connect_again', 'queue_not_usable', 'subscriptions', 'catalogue_shrank', 'unmanaged_listings', 'pinned_listings')",
        now=now,
        t=tenant_id,
        a=str(account_id),
    )
    note(tx, tenant_id, now, by, "The account was disconnected", f"account:{account_id}")
    row = tx.one(
        f"SELECT COUNT(DISTINCT outlet_id) FROM link WHERE tenant_id = :t AND outlet_id IN ({outlets})",
        t=tenant_id,
        a=account_id,
    )
    return int(row[0]) if row else 0


def showing_more_than_zero(tx: Tx, tenant_id: int, account_id: int) -> int:
    """How many of the account's linked listings are believed to show more than 0."""
    row = tx.one(
        "SELECT COUNT(*) FROM slot s JOIN outlet o ON o.tenant_id = s.tenant_id AND o.outlet_id = s.outlet_id "
        "WHERE s.tenant_id = :t AND s.account_id = :a AND s.believed > 0 AND o.fulfilled_by_channel = 0",
        t=tenant_id,
        a=account_id,
    )
    return int(row[0]) if row else 0


def forget_old_secrets(tx: Tx, tenant_id: int, now: int) -> int:
    """Delete the webhook secrets of accounts that went long ago. Returns how many."""
    return tx.run(
        "DELETE FROM credential WHERE tenant_id = :t AND updated_at < :old AND account_id IN "
        "(SELECT account_id FROM account WHERE tenant_id = :t AND state = 'DISCONNECTED')",
        t=tenant_id,
        old=now - SECRET_KEPT_US,
    )
