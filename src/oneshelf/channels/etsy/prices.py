"""Prices at Etsy, which go with the numbers in one whole-listing write.

In: outlets and price offers. Out: prices seen, one outcome an offer. Never: changes a number, except down to what an offer hands along;
enables, opens or closes anything.
Source: Etsy Open API v3, updateListingInventory (`price_on_property`, price = amount ÷ divisor), read 2026-11.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oneshelf.channels.abilities import PriceAbility, PriceOffer, PriceSeen
from oneshelf.channels.contract import Http, NoAnswer
from oneshelf.channels.etsy import listing as etsy_listing
from oneshelf.channels.etsy import shelf
from oneshelf.channels.etsy.client import ROWS_MAX, EtsyClient
from oneshelf.channels.etsy.wire import whole
from oneshelf.core.errors import Park, Retry, Unreadable
from oneshelf.core.facts import Money
from oneshelf.core.money import decimals
from oneshelf.core.outcome import Outcome, Rejected

PRICES = PriceAbility(
    write_batch=ROWS_MAX,
    read_batch=ROWS_MAX,
    visible_after_s=5.0,
    operations={"read": "getListingsInventoryByListingIds", "write": "updateListingInventory"},
    reads_before_write=True,
    carries_quantity=True,
)


async def read(client: EtsyClient, http: Http, outlets: Sequence[Any]) -> list[PriceSeen]:
    """Read what they ask. Raises Retry, SignInAgain, Park, NoAnswer."""
    found = []
    asked_in: dict[int, dict[str, set[Money | None]]] = {}  # by document: outlets of one listing share theirs
    for outlet, seen in zip(outlets, await shelf.read(client, http, outlets), strict=True):
        price, problem = None, seen.problem
        if seen.document is not None and seen.state != "gone":
            if id(seen.document) not in asked_in:
                asked_in[id(seen.document)] = _asked(seen.document)
            asked = asked_in[id(seen.document)].get(outlet.external_id, set())
            price = next(iter(asked)) if len(asked) == 1 else None
            problem = problem or ("" if price else "its products ask several prices, or none")
        found.append(PriceSeen(seen.external_id, price, seen.read_at, None, None, seen.state, seen.document, problem))
    return found


async def publish(client: EtsyClient, http: Http, offers: Sequence[PriceOffer]) -> list[Outcome]:
    """Write each listing named once. One outcome an offer, in order."""
    units: dict[str, list[PriceOffer]] = {}
    for offer in offers:
        units.setdefault(shelf.unit_of(offer.outlet), []).append(offer)
    outcomes: dict[str, Outcome] = {}
    for listing_id, group in units.items():
        outcome = await _publish_listing(client, http, listing_id, group)
        outcomes |= {offer.outlet.external_id: outcome for offer in group}
    return [outcomes[offer.outlet.external_id] for offer in offers]


async def _publish_listing(client: EtsyClient, http: Http, listing_id: str, offers: Sequence[PriceOffer]) -> Outcome:
    """One write covers the listing: what is wrong with one price is the outcome of all its offers."""
    try:
        found = await shelf.read_document(client, http, listing_id)
    except (Retry, NoAnswer, Park) as bad:
        return shelf.not_sent(bad)
    if found.document is None:
        return Rejected("Etsy does not know this listing, or keeps no inventory record of it", code="gone")
    state = str(found.document["state"])
    if state != "active":
        return Rejected(f"the listing is {state}; its price is written when it is on sale", code=state)
    try:
        body = body_of(found.document, offers)
    except Unreadable as bad:
        return Rejected(str(bad), code="unreadable")
    if isinstance(body, Rejected):
        return body
    if etsy_listing.sells_nothing(body):
        return Rejected("nothing of the listing is on sale, and Etsy takes no such write", code="out_of_stock")
    three = etsy_listing.variations(body) >= 3
    return await shelf.sent(client.update_listing_inventory(http, listing_id, body, three_variations=three), listing_id)


def body_of(document: dict[str, Any], offers: Sequence[PriceOffer]) -> dict[str, Any] | Rejected:
    """Return the PUT body: prices of the offers, all else as just read. A number handed along is the most that is written: if fewer were
    just read, somebody bought since, and that stands. Raises Unreadable."""
    wanted = {offer.outlet.external_id: offer.price for offer in offers}
    numbers = {offer.outlet.external_id: offer.quantity for offer in offers if offer.quantity is not None}
    products = _products(document)
    if missing := set(wanted) - {key for key, _ in products}:
        return Rejected(f"the listing has no such variation any more: {sorted(missing)[0]}", code="gone")
    here = etsy_listing.shown(document)
    # A disabled outlet shows 0 and sells nothing, so nobody bought there: it keeps what is handed along.
    numbers = {
        key: most if here[key].state == "inactive" else min(most, here[key].quantity)
        for key, most in numbers.items()
        if key in here
    }
    body = etsy_listing.put_body(document, numbers)
    along = [number for number in map(whole, document["inventory"].get("price_on_property") or []) if number]
    asked: dict[str, float] = {}
    for (key, product), written in zip(products, body["products"], strict=True):
        price = wanted.get(key)
        if price is not None and (refused := _refused(price, product)):
            return refused
        offerings = etsy_listing.offerings_of(product)
        for before, offering in zip(offerings, written["offerings"], strict=True):
            offering["is_enabled"] = before.get("is_enabled") is not False
            if price is not None:
                offering["price"] = price.minor / 10 ** decimals(price.currency)
            shared = etsy_listing.pairs(etsy_listing.values_of(product), along)
            if asked.setdefault(shared, offering["price"]) != offering["price"]:
                return Rejected("these variations share one price at Etsy; offer them the same", code="price_shared")
    return body


def _refused(price: Money, product: dict[str, Any]) -> Rejected | None:
    if price.minor <= 0:
        return Rejected("a price must be above 0", code="price")
    now = shelf.price_of(product)
    if now is not None and now.currency != price.currency:
        return Rejected(f"the listing is priced in {now.currency}, not {price.currency}", code="currency")
    return None


def _asked(document: dict[str, Any]) -> dict[str, set[Money | None]]:
    """Return the prices that the products of each outlet ask."""
    asked: dict[str, set[Money | None]] = {}
    for key, product in _products(document):
        asked.setdefault(key, set()).add(shelf.price_of(product))
    return asked


def _products(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    listing_id, inventory = str(document["listing_id"]), document["inventory"]
    products = etsy_listing.products_of(inventory)
    return [(etsy_listing.outlet_of(listing_id, inventory, one), one) for one in products]
