"""Listings that were made in Seller Hub or by Trading: on sale, and unknown to Sell Inventory until migrated.

In: the seller's hand; a wish to migrate. Out: listings, a row of the answer. Never: answers HTTP.
Source: Sell Inventory 1.18.5, bulkMigrateListing (requirements, 25718); contracts sheet ebay 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..world import Product
from .refused import error_object
from .seller import Listing, Seller


class Elsewhere:
    """What the seller lists outside of Sell Inventory, and how it comes under it."""

    def __init__(self, seller: Seller) -> None:
        self.seller = seller

    def list(
        self,
        sku: str,
        *,
        title: str = "Made in Seller Hub",
        price_minor: int = 1_000,
        currency: str = "USD",
        quantity: int = 1,
        sizes: Sequence[str] = (),
        named: bool = True,
        fixed_price: bool = True,
        policies: bool = True,
    ) -> Listing:
        """Make one listing; `sizes`: its variations `SKU-size`. `named` False: without SKUs. Raises ValueError if the SKU is taken."""
        skus = [f"{sku}-{size}" for size in sizes] or [sku]
        if any(each in self.seller.items for each in skus):
            raise ValueError(f"{sku} is taken")
        products = [Product(each, title, int(price_minor), currency, int(quantity)) for each in skus]
        listing = self.seller.list_new(products, sku if sizes else None, title)
        self.take_out(listing, named=named)
        listing.fixed_price, listing.policies = bool(fixed_price), bool(policies)
        return listing

    def take_out(self, listing: Listing, *, named: bool = True) -> None:
        """Make a listing one that was never under Sell Inventory."""
        listing.managed = False
        for offer_id in listing.offer_ids:
            item = self.seller.items[self.seller.offers[offer_id].sku]
            item.managed, item.named = False, named
            for key in item.group_keys:
                self.seller.groups.pop(key, None)
            item.group_keys = []

    def migrate(self, listing_id: str) -> dict[str, Any]:
        """Bring one listing under Sell Inventory, for good; return its row."""
        marketplace = str(self.seller.switches["marketplace_id"])
        row: dict[str, Any] = {"listingId": listing_id, "marketplaceId": marketplace, "inventoryItems": []}
        listing = self.seller.listings.get(listing_id)
        obstacle = self._obstacle(listing)
        if listing is not None:
            offers = [self.seller.offers[offer_id] for offer_id in listing.offer_ids]
            named = [offer for offer in offers if self.seller.items[offer.sku].named]
            row["inventoryItems"] = [{"sku": offer.sku} for offer in named]
        if listing is None or obstacle:
            return {**row, "statusCode": 400, "errors": [error_object(25718, obstacle)]}
        listing.managed = True
        key = f"migrated-{listing_id}" if len(offers) > 1 else None
        for offer in offers:
            item = self.seller.items[offer.sku]
            item.managed, item.group_keys = True, [key] if key else []
        if key:
            self.seller.groups[key] = [offer.sku for offer in offers]
            row["inventoryItemGroupKey"] = key
        row["inventoryItems"] = [{"sku": offer.sku, "offerId": offer.offer_id} for offer in offers]
        return {**row, "statusCode": 200}

    def _obstacle(self, listing: Listing | None) -> str:
        if listing is None or listing.status == "ENDED":
            return "The listing does not exist or has ended."
        if listing.managed:
            return "The listing has been migrated already."
        if not listing.fixed_price:
            return "Only fixed price listings can be migrated."
        if not all(self.seller.items[self.seller.offers[each].sku].named for each in listing.offer_ids):
            return "The listing, or one of its variations, has no SKU."
        if not listing.policies:
            return "Business policies with immediate payment are needed."
        return ""
