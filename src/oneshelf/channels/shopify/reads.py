"""What the shop is and shows: shop, locations, levels, variants.

In: ids, cursors. Out: contract words (AccountSeen, HubLocation, HubLevel, Seen, ListingFound). Never: writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from oneshelf.channels.contract import (
    AccountSeen,
    CataloguePage,
    Http,
    HubFacts,
    HubLevel,
    HubLocation,
    ListingFound,
    Outlet,
    Seen,
)
from oneshelf.channels.shopify import documents as docs
from oneshelf.channels.shopify import ids
from oneshelf.channels.shopify.form import all_records, record, records, text, texts, whole
from oneshelf.channels.shopify.graphql import GraphQL
from oneshelf.channels.shopify.money import to_minor, to_money
from oneshelf.core.errors import Retry
from oneshelf.core.facts import Address

#: Pages of locations or of one item's levels: 20 × 50, the most that any plan allows.
PAGES_MAX = 20

#: What a product's status says about its variants. Source: Shopify Admin GraphQL ProductStatus, 2026-10. Unknown ones are live.
STATE: dict[str, Literal["live", "inactive", "draft"]] = {
    "ACTIVE": "live",
    "UNLISTED": "live",
    "ARCHIVED": "inactive",
    "DRAFT": "draft",
}


class Reader:
    """Reads through one shop's endpoint."""

    def __init__(self, graphql: GraphQL, currency: str | None) -> None:
        self._graphql = graphql
        self._currency = currency

    async def who(self, http: Http) -> AccountSeen:
        answer = await self._graphql.ask(http, docs.SHOP)
        shop = record(answer.data.get("shop"))
        domain, currency = text(shop.get("myshopifyDomain")), text(shop.get("currencyCode"))
        if domain is None or currency is None:
            raise Retry("the shop did not say its domain and currency")
        scopes = records(record(answer.data.get("currentAppInstallation")).get("accessScopes"))
        return AccountSeen(
            external_id=domain.lower(),
            label=text(shop.get("name")) or domain,
            currency=currency,
            extra={
                "scopes": sorted(str(s.get("handle")) for s in scopes if isinstance(s, dict)),
                "timezone": text(shop.get("ianaTimezone")),
                "taxes_included": shop.get("taxesIncluded") is True,
                "plan": record(shop.get("plan")),
                "version_served": answer.version,
            },
        )

    async def currency(self, http: Http) -> str:
        """Return the shop's currency: the setting, or asked once and kept."""
        if self._currency is None:
            self._currency = (await self.who(http)).currency
        return self._currency

    async def locations(self, http: Http) -> list[HubLocation]:
        found: list[HubLocation] = []
        after = None
        for _ in range(PAGES_MAX):
            answer = await self._graphql.ask(http, docs.LOCATIONS, {"cursor": after})
            page = record(answer.data.get("locations"))
            found += [_location(node) for node in all_records(page.get("nodes"), "locations")]
            info = record(page.get("pageInfo"))
            if not info.get("hasNextPage"):
                return found
            after = info.get("endCursor")
        raise Retry(f"more than {PAGES_MAX} pages of locations")

    async def levels(self, http: Http, item_ids: Sequence[str]) -> list[HubLevel]:
        """Return the levels of tracked items; an item without a level, untracked or gone has none."""
        found: list[HubLevel] = []
        for item, read_at in (await self._items(http, item_ids)).values():
            if item is not None and item.get("tracked") is not False:
                found += [hub_level(item["id"], level, read_at) for level in item["levels"]]
        return found

    async def read(self, http: Http, outlets: Sequence[Outlet]) -> list[Seen]:
        """Return `available` of each (item, location), as it is: it may be below 0. Untracked items show no number."""
        wanted = [(outlet.external_id, *ids.split_outlet(outlet.external_id)) for outlet in outlets]
        items = await self._items(http, list(dict.fromkeys(item for _, item, _ in wanted)))
        return [_seen(external_id, items[item], location) for external_id, item, location in wanted]

    async def _items(self, http: Http, item_ids: Sequence[str]) -> dict[str, tuple[dict[str, Any] | None, datetime]]:
        """Item gid → (item with all its levels, or None if Shopify knows it not; when read)."""
        found: dict[str, tuple[dict[str, Any] | None, datetime]] = {}
        for start in range(0, len(item_ids), docs.ITEMS_A_CALL):
            asked = [ids.gid("InventoryItem", i) for i in item_ids[start : start + docs.ITEMS_A_CALL]]
            answer = await self._graphql.ask(http, docs.ITEM_LEVELS, {"ids": asked}, each=len(asked))
            nodes = answer.data.get("nodes")
            if not isinstance(nodes, list) or len(nodes) != len(asked):
                raise Retry("the answer does not hold one node for each item asked for")
            for item_id, node in zip(asked, nodes, strict=True):
                whole_item = None if node is None else await self._all_levels(http, node)
                found[item_id] = (whole_item, answer.shown_at)
        return found

    async def _all_levels(self, http: Http, item: dict[str, Any]) -> dict[str, Any]:
        page = record(item.get("inventoryLevels"))
        levels = all_records(page.get("nodes"), "levels")
        for _ in range(PAGES_MAX):
            info = record(page.get("pageInfo"))
            if not info.get("hasNextPage"):
                return {**item, "levels": levels}
            variables = {"id": item["id"], "cursor": info.get("endCursor")}
            part = (await self._graphql.ask(http, docs.MORE_LEVELS, variables)).data.get("part") or {}
            page = record(part.get("inventoryLevels"))
            levels += all_records(page.get("nodes"), "levels")
        raise Retry(f"more than {PAGES_MAX} pages of levels of {item['id']}")

    async def components(self, http: Http, variant_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """Return {variant gid: {SKU: pieces}} of the bundles among these; SKU '' for a component without one."""
        found: dict[str, dict[str, int]] = {}
        for start in range(0, len(variant_ids), docs.BUNDLES_A_CALL):
            asked = [ids.gid("ProductVariant", one) for one in variant_ids[start : start + docs.BUNDLES_A_CALL]]
            answer = await self._graphql.ask(http, docs.COMPONENTS, {"ids": asked}, each=len(asked))
            for node in records(answer.data.get("nodes")):
                if node and node.get("requiresComponents"):
                    parts = found.setdefault(str(node["id"]), {})
                    for one in records(record(node.get("productVariantComponents")).get("nodes")):
                        sku = text(record(one.get("productVariant")).get("sku")) or ""
                        parts[sku] = parts.get(sku, 0) + (whole(one.get("quantity")) or 0)
        return {variant: parts for variant, parts in found.items() if parts}

    async def catalogue(self, http: Http, cursor: dict[str, Any] | None) -> CataloguePage:
        """Read a page of variants. `cursor` {"only": gid}: just those of that product or inventory item (a CatalogueHint)."""
        only = str((cursor or {}).get("only") or "")
        if "/InventoryItem/" in only:
            answer = await self._graphql.ask(http, docs.VARIANTS_OF_ITEM, {"id": only})
            item = answer.data.get("inventoryItem")
            page = {"nodes": []} if item is None else record(record(item).get("variants"))  # None: deleted
        else:
            product = ids.number(only)
            variables = {
                "cursor": (cursor or {}).get("after"),
                "filter": f"product_id:{product}" if product else None,
            }
            answer = await self._graphql.ask(http, docs.VARIANTS, variables)
            page = record(answer.data.get("productVariants"))
        currency = text(record(answer.data.get("shop")).get("currencyCode")) or await self.currency(http)
        nodes = [n for n in all_records(page.get("nodes"), "variants") if not only or _belongs(n, only)]
        info = record(page.get("pageInfo"))
        after = {**({"only": only} if only else {}), "after": info.get("endCursor")}
        return CataloguePage(
            tuple(listing(node, currency) for node in nodes), after if info.get("hasNextPage") else None
        )


def _belongs(node: dict[str, Any], only: str) -> bool:
    """The search is checked: an ignored filter would return every variant."""
    return only in (record(node.get("product")).get("id"), record(node.get("inventoryItem")).get("id"))


def _location(node: dict[str, Any]) -> HubLocation:
    return HubLocation(
        location_id=str(node["id"]),
        name=text(node.get("name")) or "",
        active=node.get("isActive") is True,
        fulfils_online=node.get("fulfillsOnlineOrders") is True,
        is_fulfillment_service=node.get("isFulfillmentService") is True,
        address=_address(record(node.get("address"))),
        point=_point(record(node.get("address"))),
    )


def _address(told: dict[str, Any]) -> Address | None:
    """A location's address; Shopify may know no more than its country. Source: LocationAddress, 2026-10."""
    found = Address(
        line1=text(told.get("address1")),
        city=text(told.get("city")),
        region=text(told.get("provinceCode")),
        postal_code=text(told.get("zip")),
        country=text(told.get("countryCode")),
    )
    return found if found != Address() else None


def _point(told: dict[str, Any]) -> tuple[float, float] | None:
    lat, lon = told.get("latitude"), told.get("longitude")
    known = isinstance(lat, int | float) and isinstance(lon, int | float) and (lat, lon) != (0, 0)
    return (float(lat), float(lon)) if known else None  # type: ignore[arg-type]


def quantities(level: dict[str, Any]) -> dict[str, int]:
    """Return name → quantity, without those that have no number."""
    found = {}
    for entry in records(level.get("quantities")):
        value = whole(entry.get("quantity"))
        if value is not None:
            found[str(entry.get("name"))] = value
    return found


def hub_level(item_id: str, level: dict[str, Any], read_at: datetime) -> HubLevel:
    """Return one level. Raises Retry if a name that decides is missing: unknown is not 0."""
    have = quantities(level)
    missing = [name for name in ("on_hand", "available", "committed", "reserved") if name not in have]
    location_id = text(record(level.get("location")).get("id"))
    if missing or location_id is None:
        raise Retry(f"a level of {item_id} without {', '.join(missing) or 'its location'}")
    return HubLevel(
        item_id=item_id,
        location_id=location_id,
        on_hand=have["on_hand"],
        available=have["available"],
        committed=have["committed"],
        reserved=have["reserved"],
        unavailable=have.get("damaged", 0) + have.get("quality_control", 0) + have.get("safety_stock", 0),
        incoming=have.get("incoming", 0),
        read_at=read_at,
    )


def _seen(external_id: str, item: tuple[dict[str, Any] | None, datetime], location: str | None) -> Seen:
    node, read_at = item
    if node is None or "tracked" not in node:
        return Seen(external_id, None, read_at, state="gone", problem="Shopify knows no such item")
    if node.get("tracked") is False:
        return Seen(external_id, None, read_at, problem="the item is not tracked")
    levels = [level for level in node["levels"] if location in (None, record(level.get("location")).get("id"))]
    if not levels:
        return Seen(external_id, None, read_at, state="gone", problem="the item is not stocked there")
    numbers = [quantities(level).get("available") for level in levels]
    if any(number is None for number in numbers):
        return Seen(external_id, None, read_at, problem="Shopify gave no number")
    return Seen(external_id, sum(number or 0 for number in numbers), read_at)


def listing(node: dict[str, Any], currency: str) -> ListingFound:
    """Return one variant. Its outlets are its inventory item at each location; the listing names the item alone.

    A bundle's parent (`requiresComponents`) has no stock of its own, so it is untracked here; its components are variants.
    """
    item, product = record(node.get("inventoryItem")), record(node.get("product"))
    variant_id, item_id = ids.number(node.get("id")), text(item.get("id"))
    if variant_id is None or item_id is None:
        raise Retry("a variant without its id or its inventory item")
    sku = text(node.get("sku")) or text(item.get("sku"))
    return ListingFound(
        outlet_external_id=item_id,
        write_unit=item_id,
        listing_keys=tuple(_keys(variant_id, item_id, sku)),
        sku=sku,
        title=title(text(product.get("title")), text(node.get("title"))),
        quantity=whole(node.get("inventoryQuantity")),
        state=STATE.get(str(product.get("status")), "live"),
        untracked=item.get("tracked") is False or node.get("requiresComponents") is True,
        price_minor=to_minor(node.get("price"), currency),
        currency=currency,
        facts=_facts(node, product, item, currency),
        extra={
            "variant_id": str(node.get("id")),
            "item_id": item_id,
            "product_id": text(product.get("id")) or "",
            **({"bundle": True} if node.get("requiresComponents") is True else {}),
        },
    )


def _facts(node: dict[str, Any], product: dict[str, Any], item: dict[str, Any], currency: str) -> HubFacts:
    """What the merchant keeps about the product. Source: Shopify Admin GraphQL 2026-10: Product.vendor, productType, tags,
    ProductVariant.compareAtPrice (the shop's currency), InventoryItem.unitCost (scope read_products or read_inventory)."""
    cost = record(item.get("unitCost"))
    return HubFacts(
        vendor=text(product.get("vendor")) or "",
        product_type=text(product.get("productType")) or "",
        tags=texts(product.get("tags")),
        cost=to_money(cost.get("amount"), text(cost.get("currencyCode"))),
        compare_at=to_money(node.get("compareAtPrice"), currency),
        barcode=text(node.get("barcode")) or "",
    )


def _keys(variant_id: str, item_id: str, sku: str | None) -> Iterable[str]:
    yield f"variant:{variant_id}"
    yield f"item:{item_id}"
    if sku:
        yield f"sku:{sku}"


def title(product: str | None, variant: str | None) -> str:
    """Return product and variant title; a product without options has one variant called "Default Title"."""
    if not variant or variant == "Default Title":
        return product or ""
    return f"{product} - {variant}" if product else variant
