"""The merchant's rules for what an outlet may offer. The narrowest rule wins whole; rules are not added up.

In: account and SKUs. Out: the rule of each.
Tables it owns: offer_policy.
Never: computes an offer.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from oneshelf.core.offer import NO_CAP
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.tenants.plan import plan_of

from . import dirty

#: In `offer_policy`: the rule is for every account, or for every SKU.
EVERY_ACCOUNT = 0
EVERY_SKU = ""


class Rule(msgspec.Struct, frozen=True):
    """One rule. Pieces, except `min_show` (listings) and `safety_percent` (0 to 100 of K are offered at most; None: all)."""

    safety_stock: int = 0
    safety_percent: int | None = None
    cap: int = NO_CAP
    min_show: int = 1
    #: False: the fixed buffer only; nothing is set aside for what other channels may sell.
    adaptive: bool = True
    #: The cap follows the pace (S2.8), if no fixed one is smaller.
    cap_auto: bool = False
    #: Whose rule it is: what the merchant would change.
    account_id: int = EVERY_ACCOUNT
    sku: str = EVERY_SKU


NO_RULE = Rule()


def rules_for(tx: Tx, tenant_id: int, account_id: int, skus: Iterable[str]) -> dict[str, Rule]:
    """Return the rule of each SKU at this account; none where the plan has no buffer stock and the raise was accepted.

    The first that exists of: this account and SKU, this account, this SKU everywhere, everything; else no rule. Ask for "" to get the
    account's own rule.
    """
    wanted = set(skus)
    if not plan_of(tx, tenant_id).rules_count:
        return dict.fromkeys(wanted, NO_RULE)
    rows = tx.all(
        """SELECT account_id, sku, safety_stock, safety_percent, cap, min_show, adaptive, cap_auto FROM offer_policy
            WHERE tenant_id = :t AND account_id {in:accounts} AND sku {in:skus}""",
        t=tenant_id,
        accounts=[account_id, EVERY_ACCOUNT],
        skus=[*wanted, EVERY_SKU],
    )
    rules = {
        (account, sku): Rule(
            safety, percent, NO_CAP if cap is None else cap, min_show, bool(adaptive), bool(cap_auto), account, sku
        )
        for account, sku, safety, percent, cap, min_show, adaptive, cap_auto in rows
    }
    found = {}
    for sku in wanted:
        places = ((account_id, sku), (account_id, EVERY_SKU), (EVERY_ACCOUNT, sku), (EVERY_ACCOUNT, EVERY_SKU))
        found[sku] = next((rules[place] for place in places if place in rules), NO_RULE)
    return found


def set_rule(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    sku: str,
    now: int,
    *,
    by: str,
    safety_stock: int = 0,
    safety_percent: int | None = None,
    cap: int | None = None,
    min_show: int = 1,
    adaptive: bool = True,
    cap_auto: bool = False,
) -> None:
    """Keep a rule (account 0, SKU "": all) and mark every outlet dirty that it may concern. Raises ValueError on a bad number."""
    if safety_stock < 0 or min_show < 1 or (cap is not None and cap < 0):
        raise ValueError("safety stock and cap are 0 or more, the smallest number shown is 1 or more")
    if safety_percent is not None and not 0 <= safety_percent <= 100:
        raise ValueError(f"a percentage is 0 to 100, got {safety_percent}")
    tx.run(
        """INSERT INTO offer_policy (tenant_id, account_id, sku, safety_stock, safety_percent, cap, min_show, adaptive, cap_auto)
           VALUES (:t, :a, :sku, :safety, :percent, :cap, :min_show, :adaptive, :cap_auto)
           ON CONFLICT (tenant_id, account_id, sku) DO UPDATE SET safety_stock = excluded.safety_stock,
               safety_percent = excluded.safety_percent, cap = excluded.cap, min_show = excluded.min_show,
               adaptive = excluded.adaptive, cap_auto = excluded.cap_auto""",
        t=tenant_id,
        a=account_id,
        sku=sku,
        safety=safety_stock,
        percent=safety_percent,
        cap=cap,
        min_show=min_show,
        adaptive=int(adaptive),
        cap_auto=int(cap_auto),
    )
    note(
        tx,
        tenant_id,
        now,
        by,
        "Offer rule set",
        f"rule:{account_id}:{sku}",
        safety_stock=safety_stock,
        safety_percent=safety_percent,
        cap=cap,
        min_show=min_show,
        adaptive=adaptive,
        cap_auto=cap_auto,
    )
    _mark(tx, tenant_id, account_id, sku, now)


def drop_rule(tx: Tx, tenant_id: int, account_id: int, sku: str, now: int, *, by: str) -> bool:
    """Take a rule back. False: there was none."""
    dropped = tx.run(
        "DELETE FROM offer_policy WHERE tenant_id = :t AND account_id = :a AND sku = :sku",
        t=tenant_id,
        a=account_id,
        sku=sku,
    )
    if not dropped:
        return False
    note(tx, tenant_id, now, by, "Offer rule taken back", f"rule:{account_id}:{sku}")
    _mark(tx, tenant_id, account_id, sku, now)
    return True


def _mark(tx: Tx, tenant_id: int, account_id: int, sku: str, now: int) -> None:
    rows = tx.all(
        """SELECT DISTINCT o.outlet_id FROM outlet o
             JOIN link k ON k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id
             JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
            WHERE o.tenant_id = :t AND a.channel <> 'shopify' AND o.fulfilled_by_channel = 0
              AND (:every_account = 1 OR o.account_id = :a) AND (:every_sku = 1 OR k.sku = :sku)""",
        t=tenant_id,
        a=account_id,
        sku=sku,
        every_account=int(account_id == EVERY_ACCOUNT),
        every_sku=int(sku == EVERY_SKU),
    )
    dirty.mark_outlets(tx, tenant_id, [outlet_id for (outlet_id,) in rows], now, "an offer rule changed")
