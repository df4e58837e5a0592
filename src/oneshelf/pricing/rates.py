"""What an exchange rate does to prices.

In: the merchant's rate. Out: the rate kept, marks of the outlets whose price it may be a part of. Tables: reads price_slot, price_rule.
Never: keeps a rate elsewhere than in tenants/rates.
"""

from __future__ import annotations

from oneshelf.core.precedence import Selector
from oneshelf.db.tx import Tx
from oneshelf.tenants.rates import set_rate

from . import marks
from .rules import reach


def enter_rate(tx: Tx, tenant_id: int, currency: str, rate: str, source: str, now: int, *, by: str) -> int:
    """Keep a rate and mark whom it concerns. Returns how many listings that are. Raises ValueError with how to write one."""
    set_rate(tx, tenant_id, currency, rate, source, now, by=by)
    found = concerned_by(tx, tenant_id, currency.strip().upper())
    marks.mark_outlets(tx, tenant_id, found, now, f"the rate of {currency.strip().upper()} changed")
    return len(found)


def concerned_by(tx: Tx, tenant_id: int, currency: str) -> list[int]:
    """Return the outlets of accounts that follow which ask in this currency, or whose rules or costs hold amounts in it."""
    found = {
        outlet_id
        for (outlet_id,) in tx.all(
            """SELECT s.outlet_id FROM price_slot s
                 JOIN price_policy p ON p.tenant_id = s.tenant_id AND p.account_id = s.account_id AND p.mode = 'follow'
                WHERE s.tenant_id = :t AND s.currency = :c""",
            t=tenant_id,
            c=currency,
        )
    }
    selectors = [
        Selector(*row)
        for row in tx.all(
            "SELECT account_id, channel, goods, value, rank FROM price_rule WHERE tenant_id = :t AND currency = :c",
            t=tenant_id,
            c=currency,
        )
    ]
    selectors += [
        Selector(goods="sku", value=sku)
        for (sku,) in tx.all(
            "SELECT sku FROM item WHERE tenant_id = :t AND cost_currency = :c AND currency <> :c",
            t=tenant_id,
            c=currency,
        )
    ]
    return sorted(found.union(*(reach(tx, tenant_id, selector) for selector in selectors)))
