"""The price that each outlet ought to ask at this moment, with its terms; and the one place where the hub's prices are compared.

In: the hub's prices, links, policies. Out: prices, reasons, marks. Tables: reads item, link, price_policy; marks through marks.py.
Never: stores what it computes; looks at what an outlet asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from oneshelf.core.facts import Money
from oneshelf.core.price import HubPart, NoPrice, Priced, PricePolicy, decide_price
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx

from . import marks


def prices_of(
    tx: Tx, tenant_id: int, outlet_ids: Iterable[int], currencies: Mapping[int, str], policy: PricePolicy
) -> dict[int, Priced | NoPrice]:
    """Return {outlet: its price, or why there is none} for every outlet asked about. `currencies`: the listings' own, as far as known."""
    wanted = sorted(set(outlet_ids))
    parts: dict[int, list[HubPart]] = {outlet_id: [] for outlet_id in wanted}
    for outlet_id, sku, units, minor, currency, deleted in tx.all(
        """SELECT k.outlet_id, k.sku, k.units, i.price_minor, i.currency, i.deleted FROM link k
             LEFT JOIN item i ON i.tenant_id = k.tenant_id AND i.sku = k.sku
            WHERE k.tenant_id = :t AND k.outlet_id {in:ids} ORDER BY k.outlet_id, k.sku""",
        t=tenant_id,
        ids=wanted,
    ):
        price = Money(minor, currency) if minor is not None and currency else None
        parts[outlet_id].append(HubPart(sku, units, price, bool(deleted)))
    return {
        outlet_id: decide_price(of_it, currencies.get(outlet_id) or None, policy) for outlet_id, of_it in parts.items()
    }


def hear_hub(tx: Tx, tenant_id: int, told: Mapping[str, tuple[int | None, str | None]], now: int) -> int:
    """Compare the hub's prices, SKU → (minor units, currency), with those that are stored: call it before they are stored.

    Every reading of the hub comes through here. Outlets of a SKU whose price changed are marked. Returns how many SKUs that were; a
    SKU that is new changes nothing.
    """
    before = {
        sku: (minor, currency, bool(deleted))
        for sku, minor, currency, deleted in tx.all(
            "SELECT sku, price_minor, currency, deleted FROM item WHERE tenant_id = :t AND sku {in:skus}",
            t=tenant_id,
            skus=list(told),
        )
    }
    changed = sorted(sku for sku, now_asked in told.items() if sku in before and before[sku] != (*now_asked, False))
    marks.mark(tx, tenant_id, changed, now, "the shop's price changed")
    if changed and tx.one("SELECT 1 FROM price_policy WHERE tenant_id = :t AND mode = 'follow'", t=tenant_id):
        for sku in changed:
            if before[sku][:2] != told[sku]:
                minor, currency = told[sku]
                what = "The shop's price changed"
                note(
                    tx,
                    tenant_id,
                    now,
                    "shopify",
                    what,
                    f"sku:{sku}",
                    was=before[sku][0],
                    is_now=minor,
                    currency=currency,
                )
    return len(changed)
