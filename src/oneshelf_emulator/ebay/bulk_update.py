"""Judges and carries out bulkUpdatePriceQuantity: up to 25 entries, each with an answer of its own.

In: the parsed body. Out: the rows of the answer and its HTTP status; changed items, offers and listings.
Never: creates or publishes anything.
Source: Sell Inventory 1.18.5 (bulkUpdatePriceQuantity, schemas and prose); recorded calls of 2026-09; KB 5100.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .formats import minor_of
from .refused import Refused, error_object
from .seller import Item, Listing, Offer, Seller

ENTRIES_MAX = 25
SKU_LENGTH_MAX = 50


@dataclass
class Plan:
    """One judged entry."""

    item: Item
    quantity: int | None
    distributions: list[dict[str, Any]] | None
    offers: list[tuple[Offer, int | None, int | None]]  # offer, available quantity, price in minor units
    listings: list[Listing]


class BulkUpdate:
    """The write that a stock sync lives on."""

    def __init__(
        self, seller: Seller, rng: random.Random, switches: Mapping[str, Any], strikes: Callable[[str], bool]
    ) -> None:
        self.seller = seller
        self.rng = rng
        self.switches = switches
        self.strikes = strikes

    def run(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return (HTTP status, answer). Raises Refused if the call as a whole is no good; then nothing is done."""
        entries = body.get("requests")
        if not isinstance(entries, list) or not entries:
            raise Refused(25709, "requests")
        if len(entries) > ENTRIES_MAX:
            raise Refused(25709, f"requests. The number of requests cannot exceed {ENTRIES_MAX}")
        for entry in entries:
            _check_shape(entry)
        self._check_concurrency(entries)
        seen_skus: set[str] = set()
        rows: list[dict[str, Any]] = []
        for entry in entries:
            rows.extend(self._entry(entry, repeated=entry["sku"] in seen_skus))
            seen_skus.add(entry["sku"])
        failed = any(row["statusCode"] != 200 for row in rows)
        hidden = failed and self.rng.random() < float(self.switches["failed_bulk_200_share"])
        return (207 if failed and not hidden else 200), {"responses": rows}

    def _entry(self, entry: Mapping[str, Any], *, repeated: bool) -> list[dict[str, Any]]:
        """Judge one entry and carry it out, all or nothing; return a row per offer, or one row without offers."""
        sku = entry["sku"]
        try:
            if repeated:
                raise Refused(25709, "sku. The SKU is repeated in the request")
            if self.strikes("partial_batch"):
                raise Refused(25001, "Please try again later.")
            plan = self._plan(entry)
            if not self.strikes("never_applied"):
                self._apply(plan)
        except Refused as refusal:
            failure = {"sku": sku, "statusCode": refusal.status, "errors": [refusal.error]}
            offer_ids = [each.get("offerId") for each in entry.get("offers", [])]
            return [{**failure, "offerId": each} for each in offer_ids if isinstance(each, str)] or [failure]
        rows = [{"sku": sku, "offerId": offer.offer_id, "statusCode": 200} for offer, _, _ in plan.offers]
        return rows or [{"sku": sku, "statusCode": 200}]

    def _plan(self, entry: Mapping[str, Any]) -> Plan:
        sku = entry["sku"]
        item = self.seller.known_item(sku)
        if item is None:
            raise Refused(25702, sku, sku=sku)
        ship_to = entry.get("shipToLocationAvailability")
        wishes = entry.get("offers", [])
        if ship_to is None and not wishes:
            raise Refused(25709, "shipToLocationAvailability. Give a quantity, an offer, or both")
        published = [offer for offer in self.seller.offers_of(sku) if offer.status == "PUBLISHED"]
        if not published:
            raise Refused(25713, f"no published offer of SKU {sku}")
        offers = [self._offer(wish, sku) for wish in wishes]
        if len({offer.offer_id for offer, _, _ in offers}) != len(offers):
            raise Refused(25709, "offerId. The offer is repeated in the request")
        touched = published if ship_to is not None else [offer for offer, _, _ in offers]
        listings = {listing.listing_id: listing for each in touched if (listing := self.seller.listing_of(each))}
        for listing in listings.values():
            if not self.seller.may_revise(listing):
                raise Refused(
                    25002, f"You have reached the number of revisions allowed per day for listing {listing.listing_id}."
                )
        quantity, distributions = _quantities(ship_to, str(self.switches["location_key"]))
        return Plan(item, quantity, distributions, offers, list(listings.values()))

    def _offer(self, wish: Mapping[str, Any], sku: str) -> tuple[Offer, int | None, int | None]:
        offer = self.seller.offers.get(wish.get("offerId", ""))
        if offer is None or offer.status != "PUBLISHED":
            raise Refused(25713, str(wish.get("offerId")))
        if offer.sku != sku:
            raise Refused(25709, f"offerId. Offer {offer.offer_id} is not an offer of SKU {sku}")
        available, price = wish.get("availableQuantity"), wish.get("price")
        if available is None and price is None:
            raise Refused(25709, "offers. Give availableQuantity, price, or both")
        minor = None
        if price is not None:
            try:
                minor = minor_of(price.get("value"), offer.currency)
            except ValueError:
                raise Refused(25709, "price.value") from None
            if price.get("currency") != offer.currency or minor <= 0:
                raise Refused(25709, "price.currency" if minor > 0 else "price.value")
        return offer, None if available is None else _whole(available, "availableQuantity"), minor

    def _apply(self, plan: Plan) -> None:
        if plan.quantity is not None:
            plan.item.set_quantity(plan.quantity)
        if plan.distributions is not None:
            plan.item.distributions = plan.distributions
        for offer, available, price_minor in plan.offers:
            offer.available_quantity = offer.available_quantity if available is None else available
            offer.price_minor = offer.price_minor if price_minor is None else price_minor
        for listing in plan.listings:
            self.seller.count_revision(listing)
        self.seller.settle(plan.item.sku)

    def _check_concurrency(self, entries: list[Any]) -> None:
        now = self.seller.world.clock.now()
        offers = [offer for entry in entries for offer in self.seller.offers_of(entry["sku"])]
        listings = [listing for offer in offers if (listing := self.seller.listing_of(offer))]
        self.seller.check_revisable(listings, now)


def _check_shape(entry: Any) -> None:
    """Refuse the whole call for what is not a PriceQuantity at all."""
    if not isinstance(entry, dict):
        raise Refused(2004, "requests must hold objects")
    sku = entry.get("sku")
    if not isinstance(sku, str) or not sku or len(sku) > SKU_LENGTH_MAX:
        raise Refused(25708, "A SKU has 1 to 50 characters")
    _known(entry, {"sku", "shipToLocationAvailability", "offers"})
    ship_to, offers = entry.get("shipToLocationAvailability", {}), entry.get("offers", [])
    if not isinstance(ship_to, dict) or not isinstance(offers, list):
        raise Refused(2004, "shipToLocationAvailability must be an object, offers a list")
    _known(ship_to, {"quantity", "availabilityDistributions"})
    for offer in offers:
        if not isinstance(offer, dict) or not isinstance(offer.get("price", {}), dict):
            raise Refused(2004, "offers must hold objects")
        if not isinstance(offer.get("offerId"), str):
            raise Refused(25709, "offerId")
        _known(offer, {"offerId", "availableQuantity", "price"})
        _known(offer.get("price", {}), {"value", "currency"})


def _quantities(ship_to: Mapping[str, Any] | None, location: str) -> tuple[int | None, list[dict[str, Any]] | None]:
    if ship_to is None:
        return None, None
    if not ship_to:
        raise Refused(25709, "shipToLocationAvailability")
    quantity = _whole(ship_to["quantity"], "quantity") if "quantity" in ship_to else None
    places = ship_to.get("availabilityDistributions")
    if places is None:
        return quantity, None
    if not isinstance(places, list) or not all(isinstance(place, dict) for place in places):
        raise Refused(25709, "availabilityDistributions")
    for place in places:
        _known(place, {"merchantLocationKey", "quantity", "fulfillmentTime"})
        if place.get("merchantLocationKey") != location:
            raise Refused(25709, "merchantLocationKey")
        _whole(place.get("quantity"), "availabilityDistributions.quantity")
    return quantity, [dict(place) for place in places]


def _whole(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Refused(25709, f"{name}. Give a whole number of 0 or more")
    return value


def _known(record: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(record) - known)
    if unknown:
        raise Refused(2004, f"unknown field: {', '.join(map(str, unknown))}")


def failed_row(sku: str, error_id: int, status: int, what: str) -> dict[str, Any]:
    """Return a row of a bulk read that found nothing."""
    return {"sku": sku, "statusCode": status, "errors": [error_object(error_id, what, sku=sku)]}
