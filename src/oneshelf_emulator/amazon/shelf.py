"""What Amazon shows for each SKU: submitted attributes, the live quantity, the price.

Owns: the listings. The merchant quantity belongs to seller and SKU, not to a marketplace; price and attributes are kept
per marketplace. Source: thread amzn/selling-partner-api-docs#3167, amzn/selling-partner-api-models#4356, read 2026-11.
Never: answers a request.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ..clock import Clock
from ..world import Product
from .limits import FBA_CODES, MARKETPLACES
from .patches import Attributes, Issue, apply_patch, attribute_of, issue
from .wire import DECIMALS

MERCHANT = "DEFAULT"
_ASIN = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
#: How old a number is that fault stale_read shows, seconds (shortened by the clock factor).
STALE_S = 300.0


@dataclass
class Listing:
    """One SKU of the seller.

    `live` is what can be bought now, by channel code (None: Amazon's own stock, counted in `fba_stock`).
    `attributes` is what was last submitted, by marketplace.
    """

    sku: str
    asin: str | None
    title: str
    created_at: datetime
    updated_at: datetime
    product_type: str = "PRODUCT"
    condition: str = "new_new"
    attributes: dict[str, Attributes] = field(default_factory=dict)
    live: dict[str, int | None] = field(default_factory=dict)
    fba_stock: int = 0
    complete: bool = True
    closed: bool = False
    issues: list[Issue] = field(default_factory=list)
    history: deque[tuple[datetime, int]] = field(default_factory=lambda: deque(maxlen=50))

    @property
    def by_amazon(self) -> bool:
        """True if Amazon ships it (FBA). A merchant quantity makes it merchant-fulfilled, and strands Amazon's."""
        return MERCHANT not in self.live and any(code.startswith("AMAZON_") for code in self.live)

    @property
    def buyable_pieces(self) -> int:
        """How many a buyer can put into the cart now."""
        if not self.complete or self.closed:
            return 0
        return self.fba_stock if self.by_amazon else self.live.get(MERCHANT) or 0


class Shelf:
    """All listings of the seller, and how submissions and sales change them."""

    def __init__(
        self, clock: Clock, rng: random.Random, marketplace_ids: Sequence[str], created_apart_s: float = 60.0
    ) -> None:
        self.clock = clock
        self.rng = rng
        self.marketplace_ids = tuple(marketplace_ids)
        self.created_apart_s = created_apart_s
        self.opened_at = clock.now() - timedelta(days=365)
        self.fba_code = FBA_CODES[MARKETPLACES[self.marketplace_ids[0]].region]
        self.listings: dict[str, Listing] = {}
        #: Called after every change of a merchant quantity, whoever changed it.
        self.quantity_changed: Callable[[Listing], None] = lambda listing: None
        #: Called when a listing is no more.
        self.deleted: Callable[[Listing], None] = lambda listing: None

    def stock(self, product: Product, *, by_amazon: bool) -> Listing:
        """Create the complete listing of a product in every marketplace of the seller."""
        # Long ago. A search reaches 1,000 and goes on from a creation date: only where dates differ it comes to the end.
        created_at = self.opened_at + timedelta(seconds=self.created_apart_s * len(self.listings))
        listing = Listing(product.sku, self._asin(), product.title, created_at, created_at)
        for where in self.marketplace_ids:
            listing.attributes[where] = _first_attributes(product, where, listing.asin or "")
        if by_amazon:
            listing.live[self.fba_code] = None
            listing.fba_stock = product.stock
            entry: dict[str, Any] = {"fulfillment_channel_code": self.fba_code}
        else:
            entry = {"fulfillment_channel_code": MERCHANT, "quantity": product.stock}
        for attributes in listing.attributes.values():
            attributes["fulfillment_availability"] = [dict(entry)]
        self.listings[product.sku] = listing
        if not by_amazon:
            self.set_live(listing, product.stock)
        return listing

    def _asin(self) -> str:
        return "B0" + "".join(self.rng.choices(_ASIN, k=8))

    def set_live(self, listing: Listing, quantity: int) -> None:
        """Write the live merchant quantity. Never negative."""
        before = listing.live.get(MERCHANT)
        listing.live[MERCHANT] = max(0, quantity)
        listing.history.append((self.clock.now(), max(0, quantity)))
        if before != listing.live[MERCHANT]:
            self.quantity_changed(listing)

    def move_live(self, sku: str, pieces: int) -> None:
        """Sell (`pieces` negative) or give back; a listing without merchant quantity is left alone."""
        listing = self.listings.get(sku)
        if listing is not None and listing.live.get(MERCHANT) is not None:
            self.set_live(listing, (listing.live[MERCHANT] or 0) + pieces)

    def stale_live(self, listing: Listing) -> int | None:
        """Return the live merchant quantity of some minutes ago (fault stale_read)."""
        then = self.clock.now() - timedelta(seconds=self.clock.shortened(STALE_S))
        older = [quantity for at, quantity in listing.history if at <= then]
        return older[-1] if older else (listing.history[0][1] if listing.history else None)

    def apply_patches(
        self, sku: str, product_type: str, patches: Sequence[Mapping[str, Any]], marketplaces: Sequence[str]
    ) -> Listing:
        """Carry out checked patches. An unknown SKU becomes an incomplete listing that nobody can buy."""
        listing = self.listings.get(sku) or self._incomplete(sku, product_type, marketplaces)
        for patch in patches:
            for where in marketplaces:
                apply_patch(listing.attributes.setdefault(where, {}), patch)
            if attribute_of(patch) == "fulfillment_availability":
                self._apply_availability(listing, patch)
        listing.updated_at = self.clock.now()
        return listing

    def put(self, sku: str, product_type: str, attributes: Attributes, where: str, *, complete: bool) -> Listing:
        """Create the listing, or replace its attributes in one marketplace."""
        now = self.clock.now()
        asin = (attributes.get("merchant_suggested_asin") or [{}])[0].get("value")
        title = (attributes.get("item_name") or [{}])[0].get("value")
        listing = self.listings.get(sku)
        if listing is None:
            listing = self.listings[sku] = Listing(sku, asin or self._asin(), str(title or sku), now, now)
        listing.product_type, listing.updated_at = product_type, now
        listing.complete, listing.closed = complete or listing.complete, False
        if listing.complete:
            listing.issues = [each for each in listing.issues if "MISSING_ATTRIBUTE" not in each["categories"]]
        listing.attributes[where] = {name: [dict(entry) for entry in entries] for name, entries in attributes.items()}
        entries = attributes.get("fulfillment_availability")
        if entries:
            self._apply_availability(listing, {"op": "replace", "value": entries})
        return listing

    def delete(self, sku: str) -> None:
        """Remove a listing; an unknown SKU is fine."""
        listing = self.listings.pop(sku, None)
        if listing is not None:
            self.deleted(listing)

    def _incomplete(self, sku: str, product_type: str, marketplaces: Sequence[str]) -> Listing:
        now = self.clock.now()
        missing = issue(
            "90220", "'condition_type' is required but not supplied.", "condition_type", "MISSING_ATTRIBUTE"
        )
        missing["marketplaceIds"] = list(marketplaces)
        listing = Listing(sku, None, sku, now, now, product_type, complete=False, issues=[missing])
        self.listings[sku] = listing
        return listing

    def _apply_availability(self, listing: Listing, patch: Mapping[str, Any]) -> None:
        entries: Sequence[Mapping[str, Any]] = patch.get("value") or []
        if patch["op"] == "delete":
            for code in [entry["fulfillment_channel_code"] for entry in entries] or list(listing.live):
                listing.live.pop(code, None)
            return
        for entry in entries:
            code = entry["fulfillment_channel_code"]
            if code == MERCHANT:
                if "quantity" in entry:
                    self.set_live(listing, entry["quantity"])
            else:
                listing.live[code] = None

    def price_minor(self, listing: Listing, where: str) -> int | None:
        """Return what one piece costs in `where` now, in minor units, or None if there is no offer."""
        currency = MARKETPLACES[where].currency
        for offer in listing.attributes.get(where, {}).get("purchasable_offer", []):
            if offer.get("marketplace_id") == where and offer.get("audience", "ALL") == "ALL":
                amount = _in_force(offer, self.clock.now())
                if amount is not None:
                    return int((amount * 10 ** DECIMALS.get(currency, 2)).to_integral_value())
        return None


def _first_attributes(product: Product, where: str, asin: str) -> Attributes:
    place = MARKETPLACES[where]
    amount = Decimal(product.price_minor) / 10 ** DECIMALS.get(product.currency, 2)
    return {
        "condition_type": [{"value": "new_new", "marketplace_id": where}],
        "item_name": [{"value": product.title, "language_tag": place.language, "marketplace_id": where}],
        "merchant_suggested_asin": [{"value": asin, "marketplace_id": where}],
        "purchasable_offer": [
            {
                "marketplace_id": where,
                "currency": place.currency,
                "audience": "ALL",
                "our_price": [{"schedule": [{"value_with_tax": float(amount)}]}],
            }
        ],
    }


def _in_force(offer: Mapping[str, Any], now: datetime) -> Decimal | None:
    """Return the sale price if one runs today, else the regular one."""
    today = now.date().isoformat()
    for schedule in _flat(offer.get("discounted_price")):
        if str(schedule.get("start_at", ""))[:10] <= today <= str(schedule.get("end_at", "9999-12-31"))[:10]:
            return Decimal(str(schedule["value_with_tax"]))
    regular = _flat(offer.get("our_price"))
    return Decimal(str(regular[0]["value_with_tax"])) if regular else None


def _flat(prices: Sequence[Mapping[str, Any]] | None) -> list[Mapping[str, Any]]:
    return [each for price in prices or [] for each in price.get("schedule", [])]
