"""What eBay shows, and telling it: one listing, reads, item-level quantity writes.

In: outlets and offers. Out: listings found, numbers seen, one outcome an offer. Never: writes an offer-level quantity (it would pin the
listing: shown = min(item, offer)), or PUTs an inventory item (a partial body wipes it).
Source: eBay Sell Inventory 1.18.5, bulkUpdatePriceQuantity; eBay KB 5100, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from oneshelf.channels.abilities import MigrateAbility
from oneshelf.channels.contract import Http, ListingFound, NoAnswer, Offer, Outlet, Seen
from oneshelf.channels.ebay.answers import body_of_read, outcome_of_refusal, outcome_of_row
from oneshelf.channels.ebay.client import NO_SKU, EbayClient
from oneshelf.channels.ebay.order import listing_key
from oneshelf.channels.ebay.wire import decoded, explained, explained_body, inside, money, objects, text, whole
from oneshelf.core.errors import Unreadable
from oneshelf.core.outcome import Accepted, Outcome, Throttled, Unknown

State = Literal["live", "out_of_stock", "inactive", "ended", "draft"]

#: Source: bulkMigrateListing: one to five listings; its migration requirements and unsupported features.
MIGRATE_MAX = 5
MIGRATION = MigrateAbility(
    batch=MIGRATE_MAX,
    what="eBay brings the listing under its Inventory API, for good: it keeps its number, sales and watchers, but other programs that "
    "revise it by Trading are refused from then on, and buyer requirements and listing upgrades on it can't be changed any more. It "
    "needs a fixed price, a SKU on it and on each variation, a city or postal code, and business policies whose payment policy asks "
    "for immediate payment.",
)

#: listingStatus in our words. Source: ListingStatusEnum. Live sometimes says ACTIVE with quantity 0.
STATES: dict[str, State] = {
    "ACTIVE": "live",
    "OUT_OF_STOCK": "out_of_stock",
    "INACTIVE": "inactive",
    "ENDED": "ended",
    "EBAY_ENDED": "ended",
    "NOT_LISTED": "draft",
}


#: Several offers of a SKU: the one that sells most counts.
_BEST_FIRST: tuple[State, ...] = ("live", "out_of_stock", "inactive", "ended", "draft")


# --- listings ---------------------------------------------------------------------------------------------------------


async def listings_of(client: EbayClient, http: Http, sku: str, marketplace_id: str) -> list[ListingFound]:
    """Read one SKU again, with its offers. Empty: eBay says that there is no such item."""
    item = await client.get_inventory_item(http, sku)
    if item is None:
        return []
    return [listing_found(item, sku, await client.get_offers(http, sku), marketplace_id)]


async def migrate(client: EbayClient, http: Http, listing_ids: Sequence[str]) -> list[Outcome]:
    """Bring up to 5 listings made elsewhere under Sell Inventory, for good: Trading's revise calls are refused afterwards.

    One outcome a listing, in order; Accepted.reference: the group's key, or the SKU. Each needs a fixed price, a SKU on it and on every
    variation, and business policies. Source: bulkMigrateListing (25718 "Cannot migrate listing").
    """
    if not 1 <= len(listing_ids) <= MIGRATE_MAX:
        raise ValueError(f"bulkMigrateListing takes 1 to {MIGRATE_MAX} listings, not {len(listing_ids)}")
    try:
        response = await client.bulk_migrate_listing(http, listing_ids)
    except NoAnswer as gone:
        lost: Outcome = Unknown(gone.reason) if gone.sent else Throttled(reason=gone.reason)
        return [lost for _ in listing_ids]
    rows = {text(row.get("listingId")): row for row in _rows(response.body)}
    if not 200 <= response.status < 300 and not rows:
        return [outcome_of_refusal(response) for _ in listing_ids]
    return [_migrated(rows.get(listing_id)) for listing_id in listing_ids]


def _migrated(row: dict[str, Any] | None) -> Outcome:
    if row is None:
        return Unknown("eBay's answer leaves this listing out")
    outcome = outcome_of_row(row)
    if not isinstance(outcome, Accepted):
        return outcome
    skus = [text(one.get("sku")) for one in objects(row.get("inventoryItems"))]
    return Accepted(reference=text(row.get("inventoryItemGroupKey")) or next((sku for sku in skus if sku), None))


def item_quantity(item: Any) -> int | None:
    """Return the item-level quantity of an inventory item, None when it has none."""
    return whole(inside(item, "availability", "shipToLocationAvailability", "quantity"))


def listing_found(
    item: dict[str, Any], sku: str, offers: Sequence[dict[str, Any]], marketplace_id: str, problem: str = ""
) -> ListingFound:
    """Return one inventory item as an outlet. `extra`: its offers; `pinned` if an offer-level quantity holds the number down."""
    fixed = fixed_price(offers)
    grouped = item.get("inventoryItemGroupKeys") or item.get("groupIds")
    groups = [name for name in map(text, grouped) if name] if isinstance(grouped, list) else []
    published = published_first(fixed, marketplace_id)
    quantity = item_quantity(item)
    limits = [n for n in (whole(one.get("availableQuantity")) for one in published) if n is not None]
    pinned = quantity is not None and any(number < quantity for number in limits)
    shown = quantity if quantity is None else min([quantity, *limits])
    price = _price(published or fixed)
    listing_ids = [text(inside(one, "listing", "listingId")) for one in published]
    # A variation's id is not in this API: a group's members are known by SKU only.
    keys = [] if groups else [listing_key(listing_id, None) for listing_id in listing_ids if listing_id]
    return ListingFound(
        outlet_external_id=sku,
        write_unit=sku,
        listing_keys=(*dict.fromkeys(keys), f"sku:{sku}"),
        sku=sku,
        title=text(inside(item, "product", "title")) or "",
        quantity=shown,
        state=state_of(published, shown),
        price_minor=price[0],
        currency=price[1],
        # Revisions are counted a listing: the variations of a group share them (250 a day).
        ration_unit=next((one for one in listing_ids if one), None) or next(iter(groups), sku),
        extra={
            "offers": offers_kept(fixed),
            "pinned": pinned,
            "grouped": bool(groups),
            **({"problem": problem} if problem else {}),
        },
    )


def fixed_price(offers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the fixed-price ones: an auction's number is not ours."""
    return [one for one in offers if (text(one.get("format")) or "FIXED_PRICE").upper() == "FIXED_PRICE"]


def published_first(offers: Sequence[dict[str, Any]], marketplace_id: str) -> list[dict[str, Any]]:
    """Return the published ones, our marketplace's first; the offers of a SKU share one item quantity."""
    published = [one for one in offers if (text(one.get("status")) or "").upper() == "PUBLISHED"]
    return sorted(published, key=lambda one: text(one.get("marketplaceId")) != marketplace_id)


def offers_kept(offers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is to be known of a SKU's offers later."""
    return [
        {
            "offer_id": text(one.get("offerId")),
            "listing_id": text(inside(one, "listing", "listingId")),
            "marketplace_id": text(one.get("marketplaceId")),
            "available_quantity": whole(one.get("availableQuantity")),
            "published": (text(one.get("status")) or "").upper() == "PUBLISHED",
            "currency": text(inside(one, "pricingSummary", "price", "currency")),
        }
        for one in offers
    ]


def state_of(published: Sequence[dict[str, Any]], shown: int | None) -> State:
    """Return the best state among published offers; live with nothing to sell is out of stock (eBay sometimes says ACTIVE)."""
    if not published:
        return "draft"
    states = {
        STATES.get((text(inside(one, "listing", "listingStatus")) or "ACTIVE").upper(), "live") for one in published
    }
    best: State = next(one for one in _BEST_FIRST if one in states)
    return "out_of_stock" if best == "live" and shown == 0 else best


def _price(offers: Sequence[dict[str, Any]]) -> tuple[int | None, str | None]:
    for one in offers:
        try:
            price = money(inside(one, "pricingSummary", "price"))
        except Unreadable:
            continue
        if price:
            return price.minor, price.currency
    return None, None


# --- read ------------------------------------------------------------------------------------------------------------


async def read(client: EbayClient, http: Http, outlets: Sequence[Outlet]) -> list[Seen]:
    """Read item-level quantities. Raises Retry, SignInAgain, Park, NoAnswer.

    An offer-level pin is not read here: it was found by the catalogue, and what is written is the item-level number.
    """
    seen: dict[str, Seen] = {}
    await _read_into(seen, client, http, list(dict.fromkeys(outlet.external_id for outlet in outlets)))
    return [seen[outlet.external_id] for outlet in outlets]


async def _read_into(seen: dict[str, Seen], client: EbayClient, http: Http, skus: Sequence[str]) -> None:
    if not skus:
        return
    request, response = await client.bulk_get_inventory_item(http, skus)
    read_at = response.shown_at
    refused = response.status in (400, 404)
    if refused and len(skus) > 1 and not _rows(response.body):
        # One SKU that is unknown or not valid may fail them all: by halves, down to the one.
        half = len(skus) // 2
        await _read_into(seen, client, http, skus[:half])
        await _read_into(seen, client, http, skus[half:])
        return
    if refused and not _rows(response.body) and explained_body(response.body).error_id in NO_SKU:
        seen[skus[0]] = Seen(skus[0], None, read_at, state="gone")
        return
    rows = _rows(response.body) if refused else []
    if refused and not rows:  # this one alone is not taken: the others of its batch are read all the same
        error = explained_body(response.body)
        seen[skus[0]] = Seen(skus[0], None, read_at, problem=f"{error.error_id} {error.words or response.status}")
        return
    if not refused:
        rows = objects(body_of_read(request, response, dict[str, Any]).get("responses"))
    by_sku = {text(row.get("sku")): row for row in rows}
    for sku in skus:
        row = by_sku.get(sku)
        if row is None:
            seen[sku] = Seen(sku, None, read_at, problem="eBay gave this SKU no answer")
            continue
        status, error = whole(row.get("statusCode")) or 200, explained(row.get("errors"))
        if status == 404 or error.error_id in NO_SKU:
            seen[sku] = Seen(sku, None, read_at, state="gone")
        elif not 200 <= status < 300:
            seen[sku] = Seen(sku, None, read_at, problem=f"{error.error_id} {error.words}")
        else:
            quantity = item_quantity(row.get("inventoryItem"))
            problem = "" if quantity is not None else "the inventory item has no quantity"
            state: State = "out_of_stock" if quantity == 0 else "live"
            seen[sku] = Seen(sku, quantity, read_at, state=state, problem=problem)


def _rows(body: bytes) -> list[dict[str, Any]]:
    try:
        return objects(decoded(body, dict[str, Any], "bulk answer").get("responses"))
    except Unreadable:
        return []


# --- publish ---------------------------------------------------------------------------------------------------------


async def publish(client: EbayClient, http: Http, offers: Sequence[Offer]) -> list[Outcome]:
    """Write item-level quantities. One outcome an offer, in order."""
    entries = {
        offer.outlet.external_id: {
            "sku": offer.outlet.external_id,
            "shipToLocationAvailability": {"quantity": offer.quantity},
        }
        for offer in offers
    }
    outcomes = await write(client, http, entries)
    return [outcomes[offer.outlet.external_id] for offer in offers]


async def write(client: EbayClient, http: Http, entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Outcome]:
    """Send entries of bulkUpdatePriceQuantity, by SKU (at most 25), absolute numbers all. One outcome a SKU."""
    skus = list(entries)
    if not skus:
        return {}
    try:
        response = await client.bulk_update_price_quantity(http, list(entries.values()))
    except NoAnswer as gone:
        lost: Outcome = Unknown(gone.reason) if gone.sent else Throttled(reason=gone.reason)
        return dict.fromkeys(skus, lost)
    rows = _rows(response.body)
    if 200 <= response.status < 300 or (response.status == 400 and rows):
        return {sku: _of_rows(sku, entries[sku], rows) for sku in skus}
    outcome = outcome_of_refusal(response)
    if 400 <= response.status < 500 and response.status not in (401, 403, 408, 429) and len(skus) > 1:
        # Refused as a whole without a word on each: one bad entry may stand among good ones. Absolute numbers may be sent again,
        # so each half is asked by itself, down to the one it is about.
        half = len(skus) // 2
        first = await write(client, http, {sku: entries[sku] for sku in skus[:half]})
        return first | await write(client, http, {sku: entries[sku] for sku in skus[half:]})
    return dict.fromkeys(skus, outcome)


def _of_rows(sku: str, entry: Mapping[str, Any], rows: Sequence[dict[str, Any]]) -> Outcome:
    mine = [row for row in rows if text(row.get("sku")) == sku]
    if not mine:
        return Unknown("eBay's answer leaves this SKU out")
    outcomes = [outcome_of_row(row) for row in mine]
    bad = [one for one in outcomes if not isinstance(one, Accepted)]
    asked = {text(one.get("offerId")) for one in objects(entry.get("offers"))}
    named = {text(row.get("offerId")) for row in mine}
    if not bad and None not in named and not asked <= named:
        return Unknown("eBay's answer leaves one of this SKU's offers out")
    if not bad:
        return outcomes[0]
    # Rows that disagree: a part of it may have been done.
    return bad[0] if len(bad) == len(mine) else Unknown(f"eBay accepted a part only: {bad[0].reason}")
