"""The shop's own bundles, taken up: a variant that is made of others is a bundle here too, and its listings elsewhere sell its parts (B6).

In: variants that the catalogue shows as bundles. Out: bundles, links, a task where one can't be.
Never: overwrites a bundle that the merchant defined here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oneshelf.channels.abilities import HasBundles
from oneshelf.channels.contract import Http, ListingFound
from oneshelf.db.journal import close_task, open_task
from oneshelf.db.tx import Tx
from oneshelf.listings.bundles import MERCHANT, SHOPIFY, drop_bundle
from oneshelf.orders.bundles import define


async def components_of(hub: object, http: Http, found: Sequence[ListingFound]) -> dict[str, dict[str, int]]:
    """Read what the bundles among these variants are made of: {SKU: {component: pieces}}. Raises NoAnswer, Retry."""
    here = {one.sku: str(one.extra.get("variant_id", "")) for one in found if one.sku and one.extra.get("bundle")}
    told = await hub.components(http, list(here.values())) if here and isinstance(hub, HasBundles) else {}
    return {sku: told[variant] for sku, variant in here.items() if variant in told}


def keep_bundles(
    tx: Tx, tenant_id: int, parts: Mapping[str, Mapping[str, int]], found: Sequence[ListingFound], now: int
) -> None:
    """Keep these bundles of the shop; a variant among `found` that was one is none any more."""
    plain = [one.sku for one in found if one.sku and not one.extra.get("bundle")]
    sources = dict(tx.all("SELECT DISTINCT sku, source FROM bundle_part WHERE tenant_id = :t", t=tenant_id))
    for sku in plain:
        if sources.get(sku) == SHOPIFY:
            drop_bundle(tx, tenant_id, sku, now, by="shopify")
            close_task(tx, tenant_id, now, "hub_bundle", sku)
    for sku, some in sorted(parts.items()):
        if sources.get(sku) == MERCHANT:
            continue
        try:
            if "" in some:
                raise ValueError("one of its components has no SKU")
            define(tx, tenant_id, sku, some, now, by="shopify", source=SHOPIFY)
            close_task(tx, tenant_id, now, "hub_bundle", sku)
        except ValueError as error:
            what = f"Look at the bundle {sku} in the shop: its listings elsewhere can't be linked by themselves"
            open_task(tx, tenant_id, now, "hub_bundle", sku, what, f"{error.args[0]}")
