"""Listings: read what they show, tell them a number, find some by name. One method an endpoint, carrying Amazon's names.

In: an Account, `Http`, outlets (one a seller SKU: its merchant quantity is one number for all marketplaces of the region).
Out: Seen, Outcome, ListingFound. Never: a quantity for a SKU that Amazon ships (it would turn the offer into a merchant's).
Source: model listingsItems_2021-08-01, commit 34dc93f; sheet sections 1 and 5, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from oneshelf.channels.amazon import wire
from oneshelf.channels.amazon.account import Account, QueryValue, build, path_part
from oneshelf.channels.amazon.answers import body_of_read, decoded, outcome_of_refusal, outcome_of_silence
from oneshelf.channels.amazon.money import money_of
from oneshelf.channels.contract import Http, ListingFound, NoAnswer, Offer, Outlet, Response, Seen
from oneshelf.core.errors import Unreadable
from oneshelf.core.facts import Money
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Unknown

#: Largest page, and most SKUs one search may name. Source: model, pageSize and identifiers.
PAGE_SIZE = 20

#: The merchant's own stock; AMAZON_NA, AMAZON_EU and the like are Amazon's.
MERCHANT_CHANNEL = "DEFAULT"
AMAZON_CHANNEL_PREFIX = "AMAZON"
#: Works for changes of the offer alone, whatever the product is. Source: selling-partner-api-docs issues 2068, 2167.
OFFER_PRODUCT_TYPE = "PRODUCT"

_READ_DATA = ("summaries", "fulfillmentAvailability", "issues")
CATALOGUE_DATA = ("summaries", "attributes", "fulfillmentAvailability", "offers")
_REASON_MAX = 300

State = Literal["live", "out_of_stock", "inactive", "draft"]


async def search_listings_items(http: Http, account: Account, outlets: Sequence[Outlet]) -> list[Seen]:
    """Read up to 20 outlets in one call. One Seen each, in order; one that Amazon does not return is "gone".

    A SKU with a comma cannot stand in a comma-joined parameter and is read by itself. Raises Retry, Park, SignInAgain, NoAnswer.
    """
    joined = [outlet.external_id for outlet in outlets if "," not in outlet.external_id]
    found: dict[str, Seen] = {}
    if joined:
        query: dict[str, QueryValue] = {
            "identifiersType": "SKU",
            "identifiers": joined,
            "marketplaceIds": account.marketplace_ids,
            "includedData": _READ_DATA,
            "pageSize": PAGE_SIZE,
        }
        request = build(account, "searchListingsItems", items_path(account), query)
        response = await http.request(request)
        answer = decoded(request, body_of_read(request, response), wire.SearchListingsAnswer)
        found = {item.sku: _seen(item, response.shown_at) for item in answer.items}
        missing = Seen(external_id="", quantity=None, read_at=response.shown_at, state="gone")
    seen = []
    for outlet in outlets:
        sku = outlet.external_id
        if "," in sku:
            seen.append(await get_listings_item(http, account, sku))
        else:
            seen.append(found.get(sku) or msgspec.structs.replace(missing, external_id=sku))
    return seen


async def get_listings_item(http: Http, account: Account, sku: str) -> Seen:
    """Read one outlet by its SKU. A 404 is "gone". Raises as `search_listings_items`."""
    query: dict[str, QueryValue] = {"marketplaceIds": account.marketplace_ids, "includedData": _READ_DATA}
    request = build(account, "getListingsItem", item_path(account, sku), query)
    response = await http.request(request)
    if response.status == 404:
        return Seen(external_id=sku, quantity=None, read_at=response.shown_at, state="gone")
    item = decoded(request, body_of_read(request, response), wire.Item)
    return msgspec.structs.replace(_seen(item, response.shown_at), external_id=sku)


async def patch_listings_item(http: Http, account: Account, offer: Offer) -> Outcome:
    """Tell one SKU its merchant quantity. `merge` keeps lead time and restock date, `replace` would reset them.

    ACCEPTED means taken in for processing: applied minutes later, and also said of a SKU that does not exist. Only a read proves it.
    """
    if _amazon_ships(offer):
        return Rejected(reason="Amazon ships this SKU; a quantity would break its offer", code="fulfilled_by_channel")
    sku = offer.outlet.external_id
    listed_in = offer.outlet.extra.get("marketplace_ids") or account.marketplace_ids
    availability = {"fulfillment_channel_code": MERCHANT_CHANNEL, "quantity": offer.quantity}
    request = build(
        account,
        "patchListingsItem",
        item_path(account, sku),
        {"marketplaceIds": [str(listed_in[0])], "includedData": ["issues"], "issueLocale": "en_US"},
        method="PATCH",
        body={
            "productType": OFFER_PRODUCT_TYPE,
            "patches": [{"op": "merge", "path": "/attributes/fulfillment_availability", "value": [availability]}],
        },
        writes=True,
    )
    try:
        response = await http.request(request)
    except NoAnswer as lost:
        return outcome_of_silence(lost)
    if not 200 <= response.status < 300:
        return outcome_of_refusal(request, response)
    return submission_outcome(response, sku)


async def find_listings(http: Http, account: Account, skus: Sequence[str]) -> list[ListingFound]:
    """Read up to 20 SKUs whole, as the catalogue tells them; one that Amazon does not know is left out. Raises as `search_listings_items`."""
    joined = [sku for sku in skus if "," not in sku]
    found: list[ListingFound] = []
    if joined:
        query: dict[str, QueryValue] = {
            "identifiersType": "SKU",
            "identifiers": joined,
            "marketplaceIds": account.marketplace_ids,
            "includedData": CATALOGUE_DATA,
            "pageSize": PAGE_SIZE,
        }
        request = build(account, "searchListingsItems", items_path(account), query)
        answer = decoded(request, body_of_read(request, await http.request(request)), wire.SearchListingsAnswer)
        found = [found_of(item, account) for item in answer.items]
    for sku in skus:
        if "," in sku:
            found += await listings_of(http, account, sku)
    return found


async def listings_of(http: Http, account: Account, sku: str) -> list[ListingFound]:
    """Read one SKU again, whole, as the catalogue tells it. Empty: Amazon does not know it. Raises as `search_listings_items`."""
    query: dict[str, QueryValue] = {"marketplaceIds": account.marketplace_ids, "includedData": CATALOGUE_DATA}
    request = build(account, "getListingsItem", item_path(account, sku), query)
    response = await http.request(request)
    if response.status == 404:
        return []
    item = decoded(request, body_of_read(request, response), wire.Item)
    return [found_of(msgspec.structs.replace(item, sku=sku), account)]


def items_path(account: Account) -> str:
    return f"/listings/2021-08-01/items/{path_part(account.seller_id)}"


def item_path(account: Account, sku: str) -> str:
    return f"{items_path(account)}/{path_part(sku)}"


def submission_outcome(response: Response, sku: str) -> Outcome:
    """Read a submission's answer. Source: model, ListingsItemSubmissionResponse (HTTP 200 also for INVALID)."""
    try:
        answer = msgspec.json.decode(response.body, type=wire.SubmissionAnswer, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Unknown(reason="an unreadable answer to the quantity")
    if answer.sku is not None and answer.sku != sku:
        return Unknown(reason="the answer is about another SKU")
    issues = [{"code": str(issue.code or ""), "message": str(issue.message or "")} for issue in answer.issues or []]
    status = answer.status.upper()
    if status == "ACCEPTED":
        return Accepted(reference=answer.submission_id, detail={"issues": issues} if issues else {})
    if status == "INVALID":
        reason = "; ".join(issue["message"] for issue in issues)[:_REASON_MAX]
        return Rejected(reason=reason or "invalid, without a reason", code=issues[0]["code"] if issues else "INVALID")
    return Unknown(reason=f"a submission status we don't know: {answer.status[:40]}")


def _amazon_ships(offer: Offer) -> bool:
    """Whether the catalogue or the last read says that Amazon ships this SKU."""
    document = offer.seen.document if offer.seen else None
    told = document.get("fulfilled_by_channel") if isinstance(document, dict) else None
    return bool(told or offer.outlet.extra.get("fulfilled_by_channel"))


def _codes(item: wire.Item) -> set[str]:
    """Return the fulfilment channels of an item: the live ones, else (nothing is live yet) those last submitted."""
    live = {(a.fulfillment_channel_code or "").upper() for a in item.fulfillment_availability or []} - {""}
    if live:
        return live
    attributes = wire.informing(item.attributes, wire.Attributes)
    submitted = (attributes.fulfillment_availability if attributes else None) or []
    return {(a.fulfillment_channel_code or "").upper() for a in submitted} - {""}


def _by_amazon(item: wire.Item) -> bool:
    return any(code.startswith(AMAZON_CHANNEL_PREFIX) for code in _codes(item))


def quantity_of(item: wire.Item) -> int | None:
    """Return the live merchant quantity; None where Amazon gives none. Should it ever be told twice, the lower one."""
    told = [
        availability.quantity
        for availability in item.fulfillment_availability or []
        if (availability.fulfillment_channel_code or "").upper() == MERCHANT_CHANNEL
        and availability.quantity is not None
    ]
    return min(told) if told else None


def state_of(item: wire.Item, quantity: int | None) -> State:
    """Decide by BUYABLE in any marketplace; a listing with nothing left loses it. No summary: never became a product."""
    if not item.summaries:
        return "draft"
    if any("BUYABLE" in (word.upper() for word in summary.status or []) for summary in item.summaries):
        return "live"
    return "out_of_stock" if quantity == 0 else "inactive"


def _seen(item: wire.Item, read_at: datetime) -> Seen:
    by_amazon = _by_amazon(item)
    quantity = None if by_amazon else quantity_of(item)
    errors = [str(i.message or i.code or "") for i in item.issues or [] if (i.severity or "").upper() == "ERROR"]
    return Seen(
        external_id=item.sku,
        quantity=quantity,
        read_at=read_at,
        state=state_of(item, quantity),
        document={"fulfilled_by_channel": True} if by_amazon else None,
        problem="; ".join(errors)[:_REASON_MAX],
    )


def found_of(item: wire.Item, account: Account) -> ListingFound:
    """Return one item of Amazon's as the catalogue tells it."""
    by_amazon = _by_amazon(item)
    quantity = None if by_amazon else quantity_of(item)
    summaries = {s.marketplace_id: s for s in item.summaries or [] if s.marketplace_id}
    listed_in = [id_ for id_ in account.marketplace_ids if id_ in summaries] or list(summaries)
    main = summaries[listed_in[0]] if listed_in else wire.Summary()
    prices = _prices(item)
    price = next((prices[id_] for id_ in listed_in if id_ in prices), None)
    return ListingFound(
        outlet_external_id=item.sku,
        write_unit=item.sku,
        listing_keys=(f"sku:{item.sku}",),
        sku=item.sku,
        title=wire.text(main.item_name) or "",
        quantity=quantity,
        state=state_of(item, quantity),
        fulfilled_by_channel=by_amazon,
        price_minor=price.minor if price else None,
        currency=price.currency if price else None,
        extra={
            "marketplace_ids": listed_in,
            "asin": wire.text(main.asin),
            "product_type": main.product_type,
            "fulfilled_by_channel": by_amazon,
            "prices": {id_: {"minor": each.minor, "currency": each.currency} for id_, each in prices.items()},
        },
    )


def _prices(item: wire.Item) -> dict[str, Money]:
    """Return the consumer price a marketplace; a price we can't read is left out, for it decides nothing here."""
    prices: dict[str, Money] = {}
    for offer in item.offers or []:
        if (offer.offer_type or "").upper() != "B2C" or not offer.marketplace_id:
            continue
        try:
            price = money_of(offer.price)
        except Unreadable:
            continue
        if price is not None:
            prices.setdefault(offer.marketplace_id, price)
    return prices
