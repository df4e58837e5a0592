"""What Etsy shows, and telling it: catalogue, reads, whole-listing writes.

In: outlets and offers. Out: listings found, numbers seen, one outcome an offer. Never: writes a listing it has not just read, or
leaves a product out of a write (what is left out is deleted).
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from oneshelf.channels.contract import (
    CataloguePage,
    Http,
    ListingFound,
    NoAnswer,
    Offer,
    Outlet,
    Response,
    Seen,
)
from oneshelf.channels.etsy import listing as etsy_listing
from oneshelf.channels.etsy.answers import outcome_of_refusal
from oneshelf.channels.etsy.client import EtsyClient
from oneshelf.channels.etsy.wire import EtsyMoney, decoded, money, text, whole
from oneshelf.core.errors import Park, Retry, SignInAgain, Unreadable
from oneshelf.core.facts import Money
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown

#: Listings are swept one state a call. Source: getListingsByShop, `state`.
SWEEP = ("active", "inactive", "sold_out", "draft", "expired")
#: Rows read twice, because a listing that leaves the state meanwhile shifts the rest.
_ROWS_AGAIN = 10
#: What to wait when a write's own read failed without naming a time.
_WAIT_S = 5.0

_NO_RECORD = "Etsy keeps no inventory record of this listing; open and save its inventory once on etsy.com"


def unit_of(outlet: Outlet) -> str:
    """Return the listing id of an outlet."""
    return outlet.write_unit or outlet.external_id.partition("/")[0]


# --- catalogue -------------------------------------------------------------------------------------------------------


async def catalogue(client: EtsyClient, http: Http, cursor: dict[str, Any] | None) -> CataloguePage:
    """Read up to 100 listings of one state. Raises Retry, SignInAgain, Park, NoAnswer."""
    at, offset = int((cursor or {}).get("state", 0)), int((cursor or {}).get("offset", 0))
    try:
        listings = await client.get_listings_by_shop(http, SWEEP[at], offset)
    except SignInAgain:
        raise
    except Park as refused:
        if not offset:
            raise
        raise Park(
            f"Etsy lists only the first {offset:,} of your {SWEEP[at]} listings, so the rest can't be read: close what you no longer sell, "
            f"or make variations of what belongs together (up to 70 a listing). Etsy said: {refused}"
        ) from refused
    found = tuple(one for row in listings.results for one in listings_found(row))
    count = len(listings.results)
    end = offset + count
    more = count > 0 and (end < listings.count if listings.count is not None else count >= 100)
    if more:
        return CataloguePage(found, {"state": at, "offset": max(offset + 1, end - _ROWS_AGAIN)})
    return CataloguePage(found, {"state": at + 1, "offset": 0} if at + 1 < len(SWEEP) else None)


async def listings_of(client: EtsyClient, http: Http, listing_id: str) -> list[ListingFound]:
    """Read one listing with its products: two reads. Raises Retry, SignInAgain, Park, NoAnswer."""
    if not listing_id.isdigit():
        return []
    row, _ = await client.get_listing(http, listing_id)
    if row is None:
        return []
    answer = await client.get_listing_inventory(http, listing_id)
    return listings_found(row if answer is None else {**row, "inventory": answer[0]})


def listings_found(row: dict[str, Any]) -> list[ListingFound]:
    """Return one ListingFound a product of a listing; those that share a number name one outlet."""
    listing_id, title = str(whole(row.get("listing_id")) or ""), text(row.get("title")) or ""
    if not listing_id:
        return []
    state = str(row.get("state") or "active")
    inventory = row.get("inventory")
    if not isinstance(inventory, dict) or not inventory.get("products"):
        return [_without_record(listing_id, title, state, row)]
    try:
        return _products_found(listing_id, title, state, inventory, digital=row.get("listing_type") == "download")
    except Unreadable as bad:
        # One listing that can't be read must not hide the others.
        found = _without_record(listing_id, title, state, row)
        return [msgspec.structs.replace(found, quantity=None, extra={"problem": str(bad)})]


def _products_found(
    listing_id: str, title: str, state: str, inventory: dict[str, Any], *, digital: bool
) -> list[ListingFound]:
    numbers = etsy_listing.shown(etsy_listing.document_of(listing_id, state, inventory, single=False))
    found = []
    for product in etsy_listing.products_of(inventory):
        key = etsy_listing.outlet_of(listing_id, inventory, product)
        values, sku, price = etsy_listing.values_of(product), text(product.get("sku")), price_of(product)
        given = [value.get("values") for value in values]
        words = [text(word) for one in given if isinstance(one, list) for word in one]
        found.append(
            ListingFound(
                outlet_external_id=key,
                write_unit=listing_id,
                listing_keys=etsy_listing.listing_keys(listing_id, values, sku),
                sku=sku,
                title=" · ".join([title, *(word for word in words if word)]),
                quantity=numbers[key].quantity,
                state=numbers[key].state,
                price_minor=None if price is None else price.minor,
                currency=None if price is None else price.currency,
                untracked=digital,
            )
        )
    return found


def _without_record(listing_id: str, title: str, state: str, row: dict[str, Any]) -> ListingFound:
    given = row.get("skus")
    skus = [sku for sku in map(text, given) if sku] if isinstance(given, list) else []
    sku = skus[0] if len(skus) == 1 else None
    live = etsy_listing.STATES.get(state, "live") == "live"
    quantity = whole(row.get("quantity"))
    return ListingFound(
        outlet_external_id=listing_id,
        write_unit=listing_id,
        listing_keys=etsy_listing.listing_keys(listing_id, [], sku),
        sku=sku,
        title=title,
        quantity=quantity if live else 0,
        state="out_of_stock" if live and quantity == 0 else etsy_listing.STATES.get(state, "live"),
        untracked=row.get("listing_type") == "download",
        extra={"no_inventory_record": True},
    )


def price_of(product: dict[str, Any]) -> Money | None:
    """Return what a product asks, None where that can't be read."""
    for offering in etsy_listing.offerings_of(product):
        try:
            return money(msgspec.convert(offering.get("price"), EtsyMoney, strict=False))
        except (msgspec.ValidationError, Unreadable):
            continue
    return None


# --- read ------------------------------------------------------------------------------------------------------------


class _Found(NamedTuple):
    """One listing as read. `document` None: it is gone, or has no inventory record (`bare` is its whole quantity)."""

    read_at: datetime
    document: dict[str, Any] | None = None
    gone: bool = False
    bare: int | None = None
    state: str = "active"


async def read(client: EtsyClient, http: Http, outlets: Sequence[Outlet]) -> list[Seen]:
    """Read what the outlets show. Raises Retry, SignInAgain, Park, NoAnswer."""
    units = list(dict.fromkeys(unit_of(outlet) for outlet in outlets))
    found = await _documents(client, http, units)
    shown = {unit: _shown(found[unit]) for unit in units}  # once a listing: it may have thousands of variations
    return [_seen(outlet, found[unit_of(outlet)], shown[unit_of(outlet)]) for outlet in outlets]


def _shown(found: _Found) -> dict[str, etsy_listing.Shown] | str:
    """Return what each outlet of a listing shows, or why that can't be read."""
    try:
        return {} if found.document is None else etsy_listing.shown(found.document)
    except Unreadable as bad:
        return str(bad)


def _seen(outlet: Outlet, found: _Found, shown: dict[str, etsy_listing.Shown] | str) -> Seen:
    name = outlet.external_id
    if found.gone:
        return Seen(name, None, found.read_at, state="gone")
    if found.document is None:
        state = etsy_listing.STATES.get(found.state, "live")
        quantity = found.bare if state == "live" else 0
        return Seen(name, quantity if "/" not in name else None, found.read_at, state=state, problem=_NO_RECORD)
    if isinstance(shown, str):
        return Seen(name, None, found.read_at, problem=shown)
    here = shown.get(name)
    if here is None:
        why = "the listing has no such variation any more"
        return Seen(name, None, found.read_at, state="gone", document=found.document, problem=why)
    return Seen(name, here.quantity, found.read_at, state=here.state, document=found.document)


async def _documents(client: EtsyClient, http: Http, ids: Sequence[str]) -> dict[str, _Found]:
    """Read listings: one by itself, several by batch. One unknown id fails a batch: then by halves, down to the one."""
    if not ids:
        return {}
    if len(ids) == 1:
        return {ids[0]: await read_document(client, http, ids[0])}
    answer = await client.get_listings_inventory_by_listing_ids(http, ids)
    if answer is None:
        half = len(ids) // 2
        return {**await _documents(client, http, ids[:half]), **await _documents(client, http, ids[half:])}
    listings, read_at = answer
    found: dict[str, _Found] = {}
    for row in listings.results:
        inventory, listing_id = row.get("inventory"), str(whole(row.get("listing_id")) or "")
        if isinstance(inventory, dict) and inventory.get("products") and row.get("state"):
            document = etsy_listing.document_of(listing_id, str(row["state"]), inventory, single=False)
            found[listing_id] = _Found(read_at, document)
    for missing in [one for one in ids if one not in found]:
        found[missing] = await read_document(client, http, missing)
    return found


async def read_document(client: EtsyClient, http: Http, listing_id: str) -> _Found:
    answer = await client.get_listing_inventory(http, listing_id)
    parent: dict[str, Any] | None = None
    if answer is not None:
        inventory, read_at = answer
        included = inventory.pop("listing", None)
        parent = included if isinstance(included, dict) and included.get("state") else None
        if parent is None:
            parent, _ = await client.get_listing(http, listing_id)
        state = str((parent or {}).get("state") or "active")
        return _Found(read_at, etsy_listing.document_of(listing_id, state, inventory, single=True), state=state)
    # "Listings you did not edit using the Etsy.com inventory tools have no inventory records": 404 need not mean gone.
    parent, read_at = await client.get_listing(http, listing_id)
    if parent is None:
        return _Found(read_at, gone=True)
    return _Found(read_at, bare=whole(parent.get("quantity")), state=str(parent.get("state") or "active"))


# --- publish ---------------------------------------------------------------------------------------------------------


async def publish(client: EtsyClient, http: Http, offers: Sequence[Offer]) -> list[Outcome]:
    """Write each listing once. One outcome an offer, in order."""
    units: dict[str, list[Offer]] = {}
    for offer in offers:
        units.setdefault(unit_of(offer.outlet), []).append(offer)
    outcomes: dict[str, Outcome] = {}
    for listing_id, group in units.items():
        outcomes.update(await _publish_listing(client, http, listing_id, group))
    return [outcomes[offer.outlet.external_id] for offer in offers]


async def _publish_listing(
    client: EtsyClient, http: Http, listing_id: str, offers: Sequence[Offer]
) -> dict[str, Outcome]:
    """1. Take the document just read (or read it).  2. Build the whole body.  3. Write, in the order the state asks for."""
    document = _just_read(offers)
    if document is None or _needs_own_read(document):
        try:
            found = await read_document(client, http, listing_id)
        except (Retry, NoAnswer, Park) as bad:
            return _all(offers, not_sent(bad))
        if found.document is None:
            gone = Rejected("Etsy does not know this listing", code="gone")
            return _all(offers, gone if found.gone else Rejected(_NO_RECORD, code="no_inventory_record"))
        document = found.document
    wanted = {offer.outlet.external_id: offer.quantity for offer in offers}
    try:
        known = etsy_listing.shown(document)
        body = etsy_listing.put_body(document, {key: wanted[key] for key in wanted if key in known})
    except Unreadable as bad:
        return _all(offers, Rejected(str(bad), code="unreadable"))
    lost = Rejected("the listing has no such variation any more", code="gone")
    outcomes = _all([offer for offer in offers if offer.outlet.external_id not in known], lost)
    there = [offer for offer in offers if offer.outlet.external_id in known]
    if there:
        outcomes |= await _write(client, http, listing_id, str(document["state"]), body, there)
    return outcomes


async def _write(
    client: EtsyClient, http: Http, listing_id: str, state: str, body: dict[str, Any], offers: Sequence[Offer]
) -> dict[str, Outcome]:
    """Write by the listing's state. Source: updateListing `state`; etsy/open-api #395 (all zero refused), #538 (reopening)."""

    answers: list[Response] = []

    async def call() -> Response:
        three = etsy_listing.variations(body) >= 3
        answers.append(await client.update_listing_inventory(http, listing_id, body, three_variations=three))
        return answers[-1]

    def put() -> Awaitable[Outcome]:
        return sent(call(), listing_id)

    def patch(to: str) -> Awaitable[Outcome]:
        return sent(client.update_listing(http, listing_id, to), listing_id)

    if etsy_listing.sells_nothing(body):
        # Etsy refuses a listing whose offerings are all 0; closing it is how it shows nothing, and costs no fee to undo.
        hidden = etsy_listing.STATES.get(state, "live") != "live"
        return _all(offers, Accepted(listing_id, {"state": state}) if hidden else await patch("inactive"))
    if state in ("draft", "expired"):
        # Publishing a draft or renewing an expired listing (fee, four months) is the merchant's to decide.
        no = Rejected(f"the listing is {state}; publish or renew it on Etsy first", code=state)
        return {o.outlet.external_id: no if o.quantity else Accepted(listing_id, {"state": state}) for o in offers}
    if state == "sold_out":
        # Active first: Etsy renews it (0.20 USD) with quantity 1, and only then takes numbers.
        opened = await patch("active")
        if not isinstance(opened, Accepted):
            return _all(offers, opened)
        written = await put()
        if not isinstance(written, Accepted):
            written = Unknown(f"Etsy reopened the listing with quantity 1, then the numbers failed: {written.reason}")
        return _all(offers, written)
    written = await put()
    if state == "inactive" and isinstance(written, Accepted):
        # Numbers first: what the closed listing kept is older than what we just wrote. A yes is not yet proof that they were taken
        # (FC-D08), and once it is open the old ones are on sale.
        if not await _keeps(client, http, listing_id, answers[-1].body, offers):
            return _all(offers, Unknown("Etsy said yes to the numbers and keeps others: the listing stays closed"))
        opened = await patch("active")
        return {o.outlet.external_id: opened if o.quantity else written for o in offers}
    return _all(offers, written)


async def _keeps(client: EtsyClient, http: Http, listing_id: str, answer: bytes, offers: Sequence[Offer]) -> bool:
    """Whether a closed listing keeps the numbers that it was told: what it will show once it is open. The answer to the write says so
    (updateListingInventory returns a ListingInventory); one that says nothing is asked for again."""
    try:
        inventory = decoded(answer, dict[str, Any], "write")
        if not etsy_listing.products_of(inventory):
            found = await read_document(client, http, listing_id)
            inventory = found.document["inventory"] if found.document is not None else {}
        kept = etsy_listing.shown(etsy_listing.document_of(listing_id, "active", inventory, single=True))
    except (Retry, NoAnswer, Park, SignInAgain, Unreadable):
        return False
    return all(
        offer.outlet.external_id in kept and kept[offer.outlet.external_id].quantity == offer.quantity
        for offer in offers
    )


def _just_read(offers: Sequence[Offer]) -> dict[str, Any] | None:
    seen = [offer.seen for offer in offers if offer.seen is not None and isinstance(offer.seen.document, dict)]
    if not seen:
        return None
    document: dict[str, Any] = max(seen, key=lambda one: one.read_at).document
    return document


def _needs_own_read(document: dict[str, Any]) -> bool:
    try:
        return etsy_listing.lacks_readiness(document)
    except Unreadable:
        return True


def _all(offers: Sequence[Offer], outcome: Outcome) -> dict[str, Outcome]:
    return {offer.outlet.external_id: outcome for offer in offers}


async def sent(call: Awaitable[Response], listing_id: str) -> Outcome:
    try:
        response = await call
    except NoAnswer as gone:
        return Unknown(gone.reason) if gone.sent else Throttled(reason=gone.reason)
    if not 200 <= response.status < 300:
        return outcome_of_refusal(response)
    try:
        decoded(response.body, dict[str, Any], "write")
    except Unreadable as bad:  # a page in between says 200 too
        return Unknown(str(bad))
    return Accepted(listing_id)


def not_sent(bad: Exception) -> Outcome:
    """Sort a failed read before a write: nothing was written."""
    if isinstance(bad, SignInAgain):
        return Rejected(str(bad), code="unauthorized")
    if isinstance(bad, Park):
        return Rejected(str(bad), code="read_failed")
    return Throttled(wait_s=getattr(bad, "wait_s", None) or _WAIT_S, reason=str(bad))
