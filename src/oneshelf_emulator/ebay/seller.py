"""The truth of one eBay seller's shelf: inventory items, offers, listings.

In: sales, judged writes, the seller's hand. Out: records that documents.py renders.
Never: knows HTTP or tokens.
Source: Sell Inventory 1.18.5 (texts of availability and offer fields), KB 5100, 1546, 1450; contracts sheet ebay 7 to 9.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..world import Product, World
from .quotas import Days
from .refused import Refused

#: Revisions of one listing in one calendar day, whatever API. Source: eBay Trading documentation, revising listings.
REVISIONS_PER_DAY = 250


@dataclass
class Item:
    """One inventory item. `quantity` None: never given (shows nothing). `shown_before`: quantity before the last change.

    `managed` False: its listing was made in Seller Hub or by Trading, so Sell Inventory does not know it. `named` False: it has no SKU
    at eBay, `sku` is ours alone.
    """

    sku: str
    locale: str
    quantity: int | None
    distributions: list[dict[str, Any]] = field(default_factory=list)
    product: dict[str, Any] | None = None
    condition: str | None = "NEW"
    other: dict[str, Any] = field(default_factory=dict)
    group_keys: list[str] = field(default_factory=list)
    shown_before: int | None = None
    managed: bool = True
    named: bool = True

    def set_quantity(self, quantity: int | None) -> None:
        if quantity != self.quantity:
            self.shown_before, self.quantity = self.quantity, quantity


@dataclass
class Listing:
    """One listing, of one offer or of a group of variations. `status`: ACTIVE, OUT_OF_STOCK or ENDED."""

    listing_id: str
    title: str
    offer_ids: list[str]
    status: str = "ACTIVE"
    revisions: dict[str, int] = field(default_factory=dict)
    busy_until: datetime | None = None
    managed: bool = True
    fixed_price: bool = True
    policies: bool = True


@dataclass
class Offer:
    """One fixed-price offer. `available_quantity` None: the item's quantity alone decides."""

    offer_id: str
    sku: str
    marketplace_id: str
    price_minor: int
    currency: str
    available_quantity: int | None = None
    listing_id: str | None = None
    status: str = "PUBLISHED"
    sold_quantity: int = 0
    variation_id: str | None = None


class Seller:
    """Items, offers and listings of one seller."""

    def __init__(self, world: World, rng: random.Random, days: Days, switches: Mapping[str, Any]) -> None:
        self.world = world
        self.rng = rng
        self.days = days
        self.switches = switches
        self.user_id = "".join(rng.choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=11))
        self.username = f"emulated_goods_{rng.randrange(1000, 9999)}"
        self.items: dict[str, Item] = {}
        self.offers: dict[str, Offer] = {}
        self.listings: dict[str, Listing] = {}
        self.groups: dict[str, list[str]] = {}
        self._by_sku: dict[str, list[str]] = {}

    def stock_up(self, products: Sequence[Product]) -> None:
        """Make items, offers and listings. Skus with one prefix before the last "-" (not numeric) become variations."""
        groups: dict[str, list[Product]] = {}
        for product in products:
            prefix, _, last = product.sku.rpartition("-")
            alone = self.switches["group_by"] == "none" or not prefix or last.isdigit()
            groups.setdefault(product.sku if alone else f"group:{prefix}", []).append(product)
        for key, group in groups.items():
            grouped = len(group) > 1
            name = key.removeprefix("group:")
            title = name.replace("-", " ").title() if grouped else group[0].title
            self.list_new(group, name if grouped else None, title)

    def list_new(self, products: Sequence[Product], group: str | None, title: str) -> Listing:
        """Make items, offers and one listing; `group`: the key that its variations share."""
        if group:
            self.groups[group] = [product.sku for product in products]
        return self._list([self._make(product, group) for product in products], title)

    def known_item(self, sku: str) -> Item | None:
        """Return the item that Sell Inventory knows by this SKU, or None."""
        item = self.items.get(sku)
        return item if item and item.managed else None

    def known_offers(self, sku: str) -> list[Offer]:
        """Return the offers that Sell Inventory knows of this SKU."""
        return self.offers_of(sku) if self.known_item(sku) else []

    def offers_of(self, sku: str) -> list[Offer]:
        return [self.offers[offer_id] for offer_id in self._by_sku.get(sku, ())]

    def shown_by(self, offer: Offer) -> int:
        """Return what a buyer sees on this offer: the smaller of item and offer quantity, on an active listing."""
        listing = self.listings.get(offer.listing_id or "")
        if offer.status != "PUBLISHED" or listing is None or listing.status != "ACTIVE":
            return 0
        return self.could_show(offer)

    def could_show(self, offer: Offer) -> int:
        """Return the smaller of item and offer quantity, whatever the listing's state."""
        item = self.items.get(offer.sku)
        quantity = (item.quantity or 0) if item else 0
        return quantity if offer.available_quantity is None else min(quantity, offer.available_quantity)

    def best_offer(self, sku: str) -> Offer | None:
        """Return the offer that shows most of `sku`, or None if the sku has no published offer."""
        offers = [offer for offer in self.offers_of(sku) if offer.status == "PUBLISHED"]
        return max(offers, key=self.shown_by, default=None)

    def take(self, offer: Offer, pieces: int) -> None:
        """Lower item and offer by a sale, at once. The last piece makes OUT_OF_STOCK, or ends the listing."""
        item = self.items[offer.sku]
        item.set_quantity((item.quantity or 0) - pieces)
        left = pieces
        for place in item.distributions:
            taken = min(left, int(place.get("quantity", 0)))
            place["quantity"], left = int(place.get("quantity", 0)) - taken, left - taken
        if offer.available_quantity is not None:
            offer.available_quantity -= pieces
        offer.sold_quantity += pieces
        self.settle(offer.sku)

    def give_back(self, offer_id: str, pieces: int) -> None:
        """Put pieces back on sale (a relist was asked for). An ended listing stays ended."""
        offer = self.offers[offer_id]
        item = self.items.get(offer.sku)
        if item:
            item.set_quantity((item.quantity or 0) + pieces)
            if item.distributions:
                item.distributions[0]["quantity"] = int(item.distributions[0].get("quantity", 0)) + pieces
        if offer.available_quantity is not None:
            offer.available_quantity += pieces
        self.settle(offer.sku)

    def settle(self, sku: str) -> None:
        """Bring the listings of `sku` to the state that their quantities ask for."""
        for offer in self.offers_of(sku):
            listing = self.listings.get(offer.listing_id or "")
            if listing is None or listing.status == "ENDED":
                continue
            any_left = any(self.could_show(self.offers[each]) > 0 for each in listing.offer_ids)
            if any_left:
                listing.status = "ACTIVE"
            elif self.switches["out_of_stock_control"]:
                listing.status = "OUT_OF_STOCK"
            else:
                self.end(listing)

    def end(self, listing: Listing) -> None:
        """End a listing for good: its offers are unpublished, a new publish gives a new listing id."""
        listing.status = "ENDED"
        for offer_id in listing.offer_ids:
            self.offers[offer_id].status = "UNPUBLISHED"
        self.world.note("ebay", "listing_ended", listing_id=listing.listing_id)

    def publish(self, offers: Sequence[Offer]) -> Listing:
        """Publish unpublished offers as one new listing. Raises Refused 25002 if there is nothing to sell."""
        if not any(self.could_show(offer) for offer in offers):
            raise Refused(25002, "The quantity of the listing must be greater than 0.")
        first = self.items[offers[0].sku]
        return self._list(offers, str((first.product or {}).get("title", offers[0].sku)))

    def check_revisable(self, listings: Iterable[Listing], now: datetime) -> None:
        """Raise Refused if one of the listings is being written at this moment (25025)."""
        for listing in listings:
            if listing.busy_until and now < listing.busy_until:
                raise Refused(25025, "Please try again later.")

    def may_revise(self, listing: Listing) -> bool:
        """Whether today's revisions of the listing are not used up."""
        return listing.revisions.get(self.days.today(), 0) < int(self.switches["revisions_per_day"])

    def count_revision(self, listing: Listing) -> None:
        """Count one revision of today, and keep the listing busy for a moment if the switch says so."""
        day = self.days.today()
        listing.revisions = {day: listing.revisions.get(day, 0) + 1}
        busy_s = self.world.clock.shortened(float(self.switches["write_busy_s"]))
        if busy_s > 0:
            listing.busy_until = self.world.clock.now() + timedelta(seconds=busy_s)

    def listing_of(self, offer: Offer) -> Listing | None:
        return self.listings.get(offer.listing_id or "")

    def _make(self, product: Product, group: str | None) -> Offer:
        document: dict[str, Any] = {
            "title": product.title,
            "description": product.title,
            "imageUrls": [f"https://images.example/{len(self.items) + 1}.jpg"],
        }
        if group:
            document["aspects"] = {"Size": [product.sku.rpartition("-")[2]]}
        item = Item(product.sku, "en_US", max(0, product.stock), product=document, group_keys=[group] if group else [])
        if self.switches["location_distribution"]:
            item.distributions = [{"merchantLocationKey": "MAIN", "quantity": max(0, product.stock)}]
        self.items[product.sku] = item
        offer = Offer(
            offer_id=self._id(30_000_000_000, self.offers),
            sku=product.sku,
            marketplace_id=str(self.switches["marketplace_id"]),
            price_minor=product.price_minor,
            currency=product.currency,
            available_quantity=max(0, product.stock) if self.switches["pin_offers"] else None,
            variation_id=str(self.rng.randrange(400_000_000_000, 500_000_000_000)) if group else None,
        )
        self.offers[offer.offer_id] = offer
        self._by_sku.setdefault(product.sku, []).append(offer.offer_id)
        return offer

    def _id(self, first: int, taken: Mapping[str, Any]) -> str:
        """Return a fresh id of eleven or twelve digits at or above `first`."""
        while (new := str(first + self.rng.randrange(10_000_000_000))) in taken:
            pass
        return new

    def _list(self, offers: Sequence[Offer], title: str) -> Listing:
        listing_id = self._id(110_000_000_000, self.listings)
        listing = Listing(listing_id, title, [offer.offer_id for offer in offers])
        self.listings[listing_id] = listing
        for offer in offers:
            offer.listing_id, offer.status, offer.sold_quantity = listing_id, "PUBLISHED", 0
        if not any(self.could_show(offer) for offer in offers):
            listing.status = "OUT_OF_STOCK"
            if not self.switches["out_of_stock_control"]:
                self.end(listing)
        return listing
