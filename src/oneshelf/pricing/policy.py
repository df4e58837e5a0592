"""The merchant's switch: may an account's prices be told, and how.

In: his word. Out: the policy of an account. Tables it owns: price_policy. Never: switches an account on by itself.
"""

from __future__ import annotations

from oneshelf.core.plan import Capability
from oneshelf.core.precedence import Selector
from oneshelf.core.price import OFF, PricePolicy
from oneshelf.core.price_formula import number
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.tenants.plan import allows, require

from . import marks
from .rules import mark_reach

#: A band beyond this is none.
BAND_MAX = 10_000


def policy_of(tx: Tx, tenant_id: int, account_id: int) -> PricePolicy:
    """Return what may be done with an account's prices; nothing where he never said, or where his plan has no price sync."""
    row = tx.one(
        "SELECT mode, band, fee FROM price_policy WHERE tenant_id = :t AND account_id = :a", t=tenant_id, a=account_id
    )
    if row is None:
        return OFF
    follows = row[0] == "follow" and allows(tx, tenant_id, Capability.PRICE_SYNC)
    return PricePolicy(follows, row[1], row[2])


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


def set_limits(
    tx: Tx, tenant_id: int, account_id: int, now: int, *, by: str, band: int | None = None, fee: str | None = None
) -> PricePolicy:
    """Say how far a price may move before a person has to agree (`band`, percent of what is asked; 0: as far as it likes), and what the
    channel takes (`fee`, percent of the price: commission, and taxes that are in it). None: as it is. Raises ValueError."""
    before = policy_of(tx, tenant_id, account_id)
    if band is not None and not 0 <= band <= BAND_MAX:
        raise ValueError(f"a band is 0 (none) to {BAND_MAX} percent, got {band}")
    if fee is not None and number(fee.strip().removesuffix("%")) >= 100:
        raise ValueError("a fee is 0 to below 100 percent of the price")
    policy = PricePolicy(
        before.follows,
        before.band if band is None else band,
        before.fee if fee is None else fee.strip().removesuffix("%"),
    )
    tx.run(
        """INSERT INTO price_policy (tenant_id, account_id, mode, changed_at, changed_by, band, fee)
           VALUES (:t, :a, 'off', :now, :by, :band, :fee)
           ON CONFLICT (tenant_id, account_id) DO UPDATE SET band = excluded.band, fee = excluded.fee,
               changed_at = excluded.changed_at, changed_by = excluded.changed_by""",
        t=tenant_id,
        a=account_id,
        now=now,
        by=by,
        band=policy.band,
        fee=policy.fee,
    )
    what = "The limits of an account's prices were set"
    note(tx, tenant_id, now, by, what, f"account:{account_id}", band=policy.band, fee=policy.fee)
    if policy != before and policy.follows:
        mark_reach(tx, tenant_id, [Selector(account_id=account_id)], now, "the limits of its prices changed")
    return policy
