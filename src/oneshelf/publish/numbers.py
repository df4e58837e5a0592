"""The number that each outlet ought to show at this moment, with every term of it (SEMANTICS 2).

In: levels, links, rules. Out: offers. Tables: reads link, stock_level, offer_policy.
Never: stores what it computes; looks at what an outlet shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from oneshelf.channels.contract import Capabilities
from oneshelf.core.offer import NO_OTHERS, OfferPolicy, OfferTerms, Others, bundle_available, explain_offer, limit_of
from oneshelf.db.tx import Tx
from oneshelf.listings.policy import EVERY_SKU, Rule, rules_for
from oneshelf.stock.levels import available_of


class Number(msgspec.Struct, frozen=True):
    """One outlet's offer. `available`: K in pieces of its SKU, for a bundle in whole bundles; `units`: pieces a listing sells (1 for
    a bundle). `why`: the terms as they are kept with an attempt (2.10)."""

    outlet_id: int
    offer: int
    available: int
    units: int
    reserve: int
    why: dict[str, Any]


def numbers_of(
    tx: Tx, tenant_id: int, account_id: int, outlet_ids: Iterable[int], can: Capabilities
) -> dict[int, Number]:
    """Return {outlet: number} from this moment's levels; outlets that are tied to no SKU are left out."""
    parts_of: dict[int, dict[str, int]] = {}
    for outlet_id, sku, units in tx.all(
        "SELECT outlet_id, sku, units FROM link WHERE tenant_id = :t AND outlet_id {in:ids}",
        t=tenant_id,
        ids=sorted(outlet_ids),
    ):
        parts_of.setdefault(outlet_id, {})[sku] = units
    skus = {sku for parts in parts_of.values() for sku in parts}
    if not skus:
        return {}
    k = available_of(tx, tenant_id, sorted(skus))
    for (sku,) in tx.all(
        "SELECT sku FROM item WHERE tenant_id = :t AND deleted = 1 AND sku {in:skus}", t=tenant_id, skus=sorted(skus)
    ):
        k[sku] = min(k[sku], 0)  # deleted in the shop: nobody can ship it from there
    rules = rules_for(tx, tenant_id, account_id, {*skus, EVERY_SKU})
    return {
        outlet_id: _bundle(outlet_id, parts, k, rules, can)
        if len(parts) > 1
        else _single(outlet_id, parts, k, rules, can)
        for outlet_id, parts in parts_of.items()
    }


def _policy(rule: Rule, units: int, can: Capabilities) -> OfferPolicy:
    return OfferPolicy(
        safety_stock=rule.safety_stock,
        safety_percent=rule.safety_percent,
        cap=rule.cap,
        units_per_listing=units,
        channel_max=can.max_quantity,
        min_show=rule.min_show,
    )


def _single(
    outlet_id: int, parts: dict[str, int], k: dict[str, int], rules: dict[str, Rule], can: Capabilities
) -> Number:
    ((sku, units),) = parts.items()
    others: Others = NO_OTHERS
    terms = explain_offer(k[sku], _policy(rules[sku], units, can), others)
    return Number(outlet_id, terms.offer, k[sku], units, others.reserve, {"sku": sku, **_words(terms, rules[sku])})


def _bundle(
    outlet_id: int, parts: dict[str, int], k: dict[str, int], rules: dict[str, Rule], can: Capabilities
) -> Number:
    """S1.11: each part gives what its own rule leaves of it; the bundle shows the least."""
    left = {
        sku: min(limit_of(k[sku], _policy(rules[sku], 1, can)), rules[sku].cap) if k[sku] > 0 else k[sku]
        for sku in parts
    }
    available = bundle_available(left, parts)
    whole = rules[EVERY_SKU]
    terms = explain_offer(available, OfferPolicy(channel_max=can.max_quantity, min_show=whole.min_show), NO_OTHERS)
    why = {
        "parts": {sku: {"available": k[sku], "left": left[sku], "units": units} for sku, units in parts.items()},
        **_words(terms, whole),
    }
    return Number(outlet_id, terms.offer, bundle_available(k, parts), 1, 0, why)


def _words(terms: OfferTerms, rule: Rule) -> dict[str, Any]:
    return {**msgspec.structs.asdict(terms), "rule": {"account_id": rule.account_id, "sku": rule.sku}}
