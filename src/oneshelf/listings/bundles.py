"""Bundles, kits and packs: SKUs that are made of others (SEMANTICS 1.11; B1 to B6).

In: the merchant's definitions, and those of the shop. Out: parts by SKU; the listings of that SKU, tied to them.
Tables it owns: bundle_part. Never: gives a bundle stock of its own; makes a bundle of bundles; changes what an order took.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from oneshelf.db.journal import note
from oneshelf.db.tx import Tx

from . import links

#: Shopify's own limit, and more than a person can check. Source: productVariantRelationshipBulkUpdate, 2026-10.
PARTS_MAX = 30
UNITS_MAX = 10_000

MERCHANT, SHOPIFY = "merchant", "shopify"


class Bundle(msgspec.Struct, frozen=True):
    """A SKU and the pieces of others that one of it takes. `source`: who defined it, merchant or shopify. `listings`: how many listings
    have this SKU, `linked`: how many of them are tied to just these parts. `makes`: how many there can be made of now."""

    sku: str
    parts: dict[str, int]
    source: str
    listings: int = 0
    linked: int = 0
    makes: int = 0


class ListingChange(msgspec.Struct, frozen=True):
    """A listing whose parts change. Parts: SKU → pieces; empty: not linked."""

    listing: int
    account: int
    channel: str
    title: str
    before: dict[str, int]
    after: dict[str, int]


def bundles(tx: Tx, tenant_id: int) -> list[Bundle]:
    """Return every bundle, by SKU."""
    sources = dict(tx.all("SELECT DISTINCT sku, source FROM bundle_part WHERE tenant_id = :t", t=tenant_id))
    defined = links.bundle_parts(tx, tenant_id)
    tied = _listings_of(tx, tenant_id, defined)
    available = _available(tx, tenant_id, {part for parts in defined.values() for part in parts})
    return [
        Bundle(
            sku,
            parts,
            sources[sku],
            len(tied.get(sku, [])),
            sum(one.before == parts for one in tied.get(sku, [])),
            min(max(0, available.get(part, 0)) // units for part, units in parts.items()),
        )
        for sku, parts in defined.items()
    ]


def _available(tx: Tx, tenant_id: int, skus: Iterable[str]) -> dict[str, int]:
    """K of each SKU over the locations in scope (as stock/levels, which stands above this room)."""
    return {
        sku: int(pieces)
        for sku, pieces in tx.all(
            """SELECT s.sku, CAST(SUM(s.on_hand - s.committed - s.reserved - s.unavailable) AS BIGINT)
                 FROM stock_level s JOIN location l ON l.tenant_id = s.tenant_id AND l.location_id = s.location_id
                WHERE s.tenant_id = :t AND s.sku {in:skus} AND l.active = 1 AND l.in_scope = 1 GROUP BY s.sku""",
            t=tenant_id,
            skus=sorted(set(skus)),
        )
    }


def _listings_of(tx: Tx, tenant_id: int, defined: Mapping[str, Mapping[str, int]]) -> dict[str, list[ListingChange]]:
    """Return {bundle SKU: the marketplaces' listings of that SKU}, `after` being the bundle's parts."""
    rows = tx.all(
        """SELECT o.sku_text, o.outlet_id, o.account_id, a.channel, o.title FROM outlet o
             JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
            WHERE o.tenant_id = :t AND a.channel <> 'shopify' AND a.state <> 'DISCONNECTED' AND o.fulfilled_by_channel = 0
              AND o.state NOT IN ('ended', 'draft', 'gone') AND o.sku_text {in:skus} ORDER BY o.outlet_id""",
        t=tenant_id,
        skus=sorted(defined),
    )
    before: dict[int, dict[str, int]] = {}
    for outlet_id, sku, units in tx.all(
        "SELECT outlet_id, sku, units FROM link WHERE tenant_id = :t AND outlet_id {in:ids}",
        t=tenant_id,
        ids=[row[1] for row in rows],
    ):
        before.setdefault(outlet_id, {})[sku] = units
    found: dict[str, list[ListingChange]] = {}
    for sku, outlet_id, account_id, channel, title in rows:
        change = ListingChange(outlet_id, account_id, channel, title, before.get(outlet_id, {}), dict(defined[sku]))
        found.setdefault(sku, []).append(change)
    return found


def set_bundle(
    tx: Tx, tenant_id: int, sku: str, parts: Mapping[str, int], now: int, *, by: str, source: str = MERCHANT
) -> list[ListingChange]:
    """Define a bundle, or define it anew, and tie the listings of its SKU to its parts: those that are not linked, and those that were
    tied by its SKU (to its former parts, or to the SKU itself). One that a person linked otherwise stays as it is.

    Returns the listings that changed. Raises ValueError in words for what can't be a bundle.
    """
    _refuse(tx, tenant_id, sku, parts)
    former = links.bundle_parts(tx, tenant_id, [sku]).get(sku, {})
    tx.run("DELETE FROM bundle_part WHERE tenant_id = :t AND sku = :s", t=tenant_id, s=sku)
    tx.many(
        "INSERT INTO bundle_part (tenant_id, sku, part_sku, units, source) VALUES (?, ?, ?, ?, ?)",
        [(tenant_id, sku, part, units, source) for part, units in sorted(parts.items())],
    )
    if former != dict(parts):
        note(tx, tenant_id, now, by, "A bundle was defined", f"sku:{sku}", parts=dict(parts))
    changed = []
    for one in _listings_of(tx, tenant_id, {sku: parts}).get(sku, []):
        if one.before != one.after and one.before in ({}, {sku: 1}, former):
            links.link(tx, tenant_id, one.listing, one.after, now, by=f"the bundle {sku}")
            changed.append(one)
    return changed


def _refuse(tx: Tx, tenant_id: int, sku: str, parts: Mapping[str, int]) -> None:
    if not sku or not parts:
        raise ValueError("a bundle has a SKU of its own and at least one part")
    if len(parts) > PARTS_MAX:
        raise ValueError(f"a bundle has at most {PARTS_MAX} different parts, this one has {len(parts)}")
    if odd := sorted(part for part, units in parts.items() if not 1 <= units <= UNITS_MAX):
        raise ValueError(f"of {', '.join(odd)} a bundle takes 1 to {UNITS_MAX} pieces")
    if sku in parts:
        raise ValueError(f"{sku} can't be a part of itself")
    items = {
        name: (bool(tracked), bool(deleted))
        for name, tracked, deleted in tx.all(
            "SELECT sku, tracked, deleted FROM item WHERE tenant_id = :t AND sku {in:skus}",
            t=tenant_id,
            skus=[sku, *parts],
        )
    }
    if items.get(sku) == (True, False):
        raise ValueError(
            f"{sku} has stock of its own in the shop: a listing that is to take other pieces is linked by itself, "
            f"oneshelf listings link LISTING PART=2, or take {sku} off stock there"
        )
    if nested := sorted(links.bundle_parts(tx, tenant_id, parts)):
        raise ValueError(
            f"{', '.join(nested)} is a bundle itself: name its parts instead, a bundle has no bundles in it"
        )
    holders = tx.all(
        "SELECT DISTINCT sku FROM bundle_part WHERE tenant_id = :t AND part_sku = :s ORDER BY sku", t=tenant_id, s=sku
    )
    if holders:
        raise ValueError(f"{sku} is a part of {', '.join(one for (one,) in holders)}: a bundle has no bundles in it")
    if missing := sorted(part for part in parts if part not in items or items[part][1]):
        raise ValueError(f"the shop has no SKU {', '.join(missing)}")
    if untracked := sorted(part for part in parts if not items[part][0]):
        raise ValueError(f"Shopify does not count the stock of {', '.join(untracked)}: nothing can be sold by it")


def drop_bundle(tx: Tx, tenant_id: int, sku: str, now: int, *, by: str) -> int:
    """Forget a bundle. Its listings stay tied to their parts, and say how many that are; raises LookupError if there is none."""
    parts = links.bundle_parts(tx, tenant_id, [sku]).get(sku)
    if parts is None:
        raise LookupError(f"there is no bundle {sku}")
    tied = sum(one.before == parts for one in _listings_of(tx, tenant_id, {sku: parts}).get(sku, []))
    tx.run("DELETE FROM bundle_part WHERE tenant_id = :t AND sku = :s", t=tenant_id, s=sku)
    note(tx, tenant_id, now, by, "A bundle was dropped", f"sku:{sku}")
    return tied
