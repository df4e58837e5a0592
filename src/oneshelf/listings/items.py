"""What rules may know of the hub's items, and which items a rule speaks of.

In: SKUs, selectors. Out: facts, SKUs. Tables: reads item. Never: decides between rules (core/precedence).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from oneshelf.core.precedence import ItemFacts, Selector, folded
from oneshelf.db.tx import Tx

#: Columns of an item by what a selector calls them.
_COLUMNS = {"vendor": "vendor", "type": "product_type", "tag": "tags"}


def facts_of(tx: Tx, tenant_id: int, skus: Iterable[str]) -> dict[str, ItemFacts]:
    """Return the facts of every SKU asked about; one that the hub does not have is a SKU and nothing else."""
    wanted = sorted(set(skus))
    found = {sku: ItemFacts(sku) for sku in wanted}
    for sku, vendor, product_type, tags in tx.all(
        "SELECT sku, vendor, product_type, tags FROM item WHERE tenant_id = :t AND sku {in:skus}",
        t=tenant_id,
        skus=wanted,
    ):
        found[sku] = ItemFacts(sku, _tags(tags), vendor, product_type)
    return found


def skus_of(tx: Tx, tenant_id: int, selector: Selector) -> list[str] | None:
    """Return the SKUs that a selector's goods name, in order; None: every SKU. Reads the whole shelf for a tag, vendor or type, so it
    is for changes of rules, not for planning."""
    if selector.goods == "all":
        return None
    if selector.goods == "sku":
        return [selector.value]
    column, wanted = _COLUMNS[selector.goods], folded(selector.value)
    rows = tx.all(f"SELECT sku, {column} FROM item WHERE tenant_id = :t AND {column} NOT IN ('', '[]')", t=tenant_id)
    if selector.goods == "tag":
        return sorted(sku for sku, tags in rows if wanted in {folded(tag) for tag in _tags(tags)})
    return sorted(sku for sku, value in rows if folded(value) == wanted)


def changed(tx: Tx, tenant_id: int, told: Mapping[str, ItemFacts]) -> list[str]:
    """Return the SKUs of which the hub now tells other facts than are stored: call it before they are stored. A new SKU is none."""
    before = facts_of(tx, tenant_id, told)
    known = {
        sku
        for (sku,) in tx.all(
            "SELECT sku FROM item WHERE tenant_id = :t AND sku {in:skus}", t=tenant_id, skus=list(told)
        )
    }
    return sorted(sku for sku, facts in told.items() if sku in known and before[sku] != facts)


def _tags(stored: str) -> tuple[str, ...]:
    return () if stored == "[]" else tuple(msgspec.json.decode(stored, type=list[str]))
