"""Prices: read what a SKU asks in one marketplace, and tell it another. Never: a quantity, another marketplace's or audience's offer.

A price belongs to a marketplace and currency, an outlet to a seller: an outlet's price is that of the first of its marketplaces that
has the price's currency. ACCEPTED is not applied: only a read proves it.
Source: model listingsItems_2021-08-01 (offers, PatchOperation); page merge-a-listing; selling-partner-api-docs issues 3002 (replace
resets what is left out) and 3698 (value_with_tax is a number); the form of a sale price is a developer's example (U); read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from oneshelf.channels.abilities import PriceAbility, PriceOffer, PriceSeen, Sale
from oneshelf.channels.amazon import listings, wire
from oneshelf.channels.amazon.account import Account, QueryValue, build
from oneshelf.channels.amazon.answers import body_of_read, decoded, outcome_of_refusal, outcome_of_silence
from oneshelf.channels.amazon.client import timestamp
from oneshelf.channels.amazon.marketplaces import MARKETPLACES
from oneshelf.channels.amazon.money import AmountSeen, known, money_of
from oneshelf.channels.amazon.orders import instant
from oneshelf.channels.contract import Http, NoAnswer, Outlet
from oneshelf.core.errors import Unreadable
from oneshelf.core.facts import Money
from oneshelf.core.money import decimals
from oneshelf.core.outcome import Outcome, Rejected

PRICES = PriceAbility(
    write_batch=1,
    read_batch=listings.PAGE_SIZE,
    # "Minutes" is all that Amazon says, as for quantities.
    visible_after_s=120,
    operations={"read": "searchListingsItems", "write": "patchListingsItem"},
    # To take a sale away the whole offer has to be written, and so to be known.
    reads_before_write=True,
    sale_window=True,
)
#: The audience of everybody; others (B2B) are offers of their own. Source: sheet of purchasable_offer, read 2026-11.
EVERYBODY = "ALL"
_DATA = ("summaries", "attributes", "offers", "fulfillmentAvailability", "issues")


async def read_prices(http: Http, account: Account, outlets: Sequence[Outlet]) -> list[PriceSeen]:
    """Read up to 20 outlets. One PriceSeen each, in order; one that Amazon does not return is "gone".

    A SKU with a comma is read by itself. Raises Retry, Park, SignInAgain, NoAnswer.
    """
    joined = [outlet for outlet in outlets if "," not in outlet.external_id]
    found: dict[str, PriceSeen] = {}
    if joined:
        query: dict[str, QueryValue] = {
            "identifiersType": "SKU",
            "identifiers": [outlet.external_id for outlet in joined],
            "marketplaceIds": account.marketplace_ids,
            "includedData": _DATA,
            "pageSize": listings.PAGE_SIZE,
        }
        request = build(account, "searchListingsItems", listings.items_path(account), query)
        response = await http.request(request)
        items = {
            item.sku: item
            for item in decoded(request, body_of_read(request, response), wire.SearchListingsAnswer).items
        }
        for outlet in joined:
            found[outlet.external_id] = _seen(items.get(outlet.external_id), outlet, account, response.shown_at)
    return [found.get(each.external_id) or await _read_one(http, account, each) for each in outlets]


async def _read_one(http: Http, account: Account, outlet: Outlet) -> PriceSeen:
    query: dict[str, QueryValue] = {"marketplaceIds": account.marketplace_ids, "includedData": _DATA}
    request = build(account, "getListingsItem", listings.item_path(account, outlet.external_id), query)
    response = await http.request(request)
    if response.status == 404:
        return _seen(None, outlet, account, response.shown_at)
    return _seen(decoded(request, body_of_read(request, response), wire.Item), outlet, account, response.shown_at)


async def publish_price(http: Http, account: Account, offer: PriceOffer) -> Outcome:
    """Tell one SKU its price in one marketplace. `merge` keeps what the offer has besides; a sale goes away by `replace` of the whole.

    Rejected(code="currency") without a call where no marketplace of the outlet has the price's currency; code="price" for one that is
    not above 0; code="compare_at" for a struck-out price, which Amazon takes from the product's list price.
    """
    marketplace_id = marketplace_of(account, offer.outlet, offer.price.currency)
    if marketplace_id is None:
        return Rejected(f"this SKU is on sale in no marketplace that counts in {offer.price.currency}", code="currency")
    if offer.price.minor <= 0 or (offer.sale and offer.sale.price.minor <= 0):
        return Rejected("Amazon takes no price of 0", code="price")
    if offer.sale and offer.sale.price.currency != offer.price.currency:
        return Rejected("the sale price has another currency than the price", code="currency")
    if offer.compare_at is not None:
        return Rejected("a struck-out price is the product's list price at Amazon, not the offer's", code="compare_at")
    request = build(
        account,
        "patchListingsItem",
        listings.item_path(account, offer.outlet.external_id),
        {"marketplaceIds": [marketplace_id], "includedData": ["issues"], "issueLocale": "en_US"},
        method="PATCH",
        body={
            "productType": offer.outlet.extra.get("product_type") or listings.OFFER_PRODUCT_TYPE,
            "patches": [_patch(offer, marketplace_id)],
        },
        writes=True,
    )
    try:
        response = await http.request(request)
    except NoAnswer as lost:
        return outcome_of_silence(lost)
    if not 200 <= response.status < 300:
        return outcome_of_refusal(request, response)
    return listings.submission_outcome(response, offer.outlet.external_id)


def marketplace_of(account: Account, outlet: Outlet, currency: str | None) -> str | None:
    """Return the first marketplace of the outlet, the account's order, that counts in `currency` (None: the first of all)."""
    listed_in = outlet.extra.get("marketplace_ids") or account.marketplace_ids
    for marketplace_id in listed_in:
        place = MARKETPLACES.get(str(marketplace_id))
        if currency is None or (place and place.currency == currency):
            return str(marketplace_id)
    return None


def _patch(offer: PriceOffer, marketplace_id: str) -> dict[str, Any]:
    known = offer.seen.document if isinstance(offer.seen, PriceSeen) else None
    entry: dict[str, Any] = (
        dict(known) if isinstance(known, dict) and known.get("marketplace_id") == marketplace_id else {}
    )
    takes_sale_away = offer.sale is None and "discounted_price" in entry
    key = {
        "marketplace_id": marketplace_id,
        "currency": offer.price.currency,
        "audience": entry.get("audience") or EVERYBODY,
    }
    told: dict[str, Any] = {**key, "our_price": [{"schedule": [{"value_with_tax": _number(offer.price)}]}]}
    if offer.sale is not None:
        window = {"start_at": timestamp(offer.sale.starts_at), "end_at": timestamp(offer.sale.ends_at)}
        told["discounted_price"] = [{"schedule": [{**window, "value_with_tax": _number(offer.sale.price)}]}]
    if takes_sale_away:
        entry.pop("discounted_price")
        return {"op": "replace", "path": "/attributes/purchasable_offer", "value": [{**entry, **told}]}
    return {"op": "merge", "path": "/attributes/purchasable_offer", "value": [told]}


def _number(price: Money) -> msgspec.Raw:
    """Write an amount as a JSON number, digit by digit, never through a float."""
    return msgspec.Raw(format(Decimal(price.minor).scaleb(-decimals(known(price.currency))), "f").encode())


def _seen(item: wire.Item | None, outlet: Outlet, account: Account, read_at: datetime) -> PriceSeen:
    """Tell an outlet's price: the live one; while a sale runs that is the sale's (U), so the submitted regular one."""
    if item is None:
        return PriceSeen(outlet.external_id, None, read_at, state="gone")
    marketplace_id = marketplace_of(account, outlet, None) or ""
    entry = _entry(item, marketplace_id)
    sale = _sale(entry)
    price = _live(item, marketplace_id)
    if sale and price == sale.price and sale.starts_at <= read_at < sale.ends_at:
        price = _amount(_first(entry, "our_price").get("value_with_tax"), entry) or price
    errors = [str(i.message or i.code or "") for i in item.issues or [] if (i.severity or "").upper() == "ERROR"]
    return PriceSeen(
        external_id=outlet.external_id,
        price=price,
        read_at=read_at,
        sale=sale,
        state=listings.state_of(item, listings.quantity_of(item)),
        document=entry or None,
        problem="; ".join(errors)[:300],
    )


def _live(item: wire.Item, marketplace_id: str) -> Money | None:
    for each in item.offers or []:
        audience = (each.audience.value if each.audience else None) or EVERYBODY
        if each.marketplace_id == marketplace_id and (each.offer_type or "").upper() == "B2C" and audience == EVERYBODY:
            try:
                return money_of(each.price)
            except Unreadable:
                return None
    return None


def _entry(item: wire.Item, marketplace_id: str) -> dict[str, Any]:
    """Return what was last submitted for everybody in this marketplace; {} where that can't be read."""
    attributes = wire.informing(item.attributes, wire.OfferAttributes)
    for entry in (attributes.purchasable_offer if attributes else None) or []:
        if entry.get("marketplace_id") == marketplace_id and (entry.get("audience") or EVERYBODY) == EVERYBODY:
            return entry
    return {}


def _first(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the first schedule of a price, {} for another shape."""
    prices = entry.get(name)
    price = prices[0] if isinstance(prices, list) and prices else None
    schedule = price.get("schedule") if isinstance(price, dict) else None
    first = schedule[0] if isinstance(schedule, list) and schedule else None
    return first if isinstance(first, dict) else {}


def _sale(entry: Mapping[str, Any]) -> Sale | None:
    told = _first(entry, "discounted_price")
    price = _amount(told.get("value_with_tax"), entry)
    starts_at, ends_at = instant(str(told.get("start_at") or "")), instant(str(told.get("end_at") or ""))
    return Sale(price, starts_at, ends_at) if price and starts_at and ends_at else None


def _amount(value: Any, entry: Mapping[str, Any]) -> Money | None:
    try:
        amount = Decimal(str(value)) if isinstance(value, int | float | str) else None
        return money_of(AmountSeen(amount, str(entry.get("currency") or "")))
    except (InvalidOperation, Unreadable):
        return None
