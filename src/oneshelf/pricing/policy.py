"""The merchant's switch: may an account's prices be told, and how.

In: his word. Out: the policy of an account. Tables it owns: price_policy. Never: switches an account on by itself.
"""

from __future__ import annotations

from oneshelf.core.plan import Capability
from oneshelf.core.price import FOLLOW, OFF, PricePolicy
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.tenants.plan import allows, require

from . import marks


def policy_of(tx: Tx, tenant_id: int, account_id: int) -> PricePolicy:
    """Return what may be done with an account's prices; nothing where he never said, or where his plan has no price sync."""
    row = tx.one("SELECT mode FROM price_policy WHERE tenant_id = :t AND account_id = :a", t=tenant_id, a=account_id)
    follows = row is not None and row[0] == "follow"
    return FOLLOW if follows and allows(tx, tenant_id, Capability.PRICE_SYNC) else OFF


def switch(tx: Tx, tenant_id: int, account_id: int, *, follow: bool, now: int, by: str) -> int:
    """Switch an account's prices on or off. On: every price is read, then told where it differs; returns how many listings that concerns.
    Raises NotInPlan.

    Off: nothing more is told; listings keep the price that they have. A price that is on its way is still looked after.
    """
    if follow:
        require(tx, tenant_id, Capability.PRICE_SYNC)
    tx.run(
        """INSERT INTO price_policy (tenant_id, account_id, mode, changed_at, changed_by) VALUES (:t, :a, :m, :now, :by)
           ON CONFLICT (tenant_id, account_id) DO UPDATE SET mode = excluded.mode, changed_at = excluded.changed_at,
               changed_by = excluded.changed_by""",
        t=tenant_id,
        a=account_id,
        m="follow" if follow else "off",
        now=now,
        by=by,
    )
    what = "Prices follow the shop from now on" if follow else "Prices are left alone from now on"
    note(tx, tenant_id, now, by, what, f"account:{account_id}")
    return marks.mark_account(tx, tenant_id, account_id, now, "switched on") if follow else 0
