"""What eBay asks for a SKU, and telling it: the price of published fixed-price offers, never a quantity.

In: outlets and prices. Out: prices seen, one outcome an offer. Never: sends `availableQuantity` (it would pin the listing).
No struck-out price and no sale window: the call takes the price only. A struck-out price lies in the offer (a PUT that replaces all of
it), a sale in the marketing API, which is another scope. Each call is a revision: 250 a listing and day, shared with quantities.
Source: eBay Sell Inventory 1.18.5, bulkUpdatePriceQuantity, OfferPriceQuantity, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from oneshelf.channels.abilities import PriceAbility, PriceOffer, PriceSeen
from oneshelf.channels.contract import Http, NoAnswer, Outlet, Seen
from oneshelf.channels.ebay.client import BULK_MAX, EbayClient
from oneshelf.channels.ebay.shelf import fixed_price, offers_kept, published_first, state_of, write
from oneshelf.channels.ebay.wire import amount, inside, money
from oneshelf.core.errors import Park, Retry, SignInAgain, Unreadable
from oneshelf.core.outcome import Outcome, Rejected, Throttled

#: A read is one getOffers a SKU.
READ_BATCH = 10

ABILITY = PriceAbility(
    write_batch=BULK_MAX,
    read_batch=READ_BATCH,
    visible_after_s=10.0,
    operations={"read": "getOffers", "write": "bulkUpdatePriceQuantity"},
)


async def read_prices(
    client: EbayClient, http: Http, outlets: Sequence[Outlet], marketplace_id: str
) -> list[PriceSeen]:
    """Read the offers of each SKU; our marketplace's speaks for all. Raises Retry, SignInAgain, Park, NoAnswer."""
    seen = []
    for outlet in outlets:
        offers, read_at = await client.get_offers_at(http, outlet.external_id)
        seen.append(_seen(outlet.external_id, offers, read_at, marketplace_id))
    return seen


def _seen(sku: str, offers: Sequence[dict[str, Any]], read_at: datetime, marketplace_id: str) -> PriceSeen:
    fixed = fixed_price(offers)
    first = published_first(fixed, marketplace_id)
    document = offers_kept(fixed)
    if not first:
        return PriceSeen(
            sku, None, read_at, state="draft", document=document, problem="eBay has no published offer of it"
        )
    price, problem = None, ""
    try:
        price = money(inside(first[0], "pricingSummary", "price"))
    except Unreadable as bad:
        problem = str(bad)
    return PriceSeen(sku, price, read_at, state=state_of(first, None), document=document, problem=problem)


async def publish_prices(client: EbayClient, http: Http, offers: Sequence[PriceOffer]) -> list[Outcome]:
    """Tell the price to every published offer of a SKU that asks in this currency. One outcome an offer, in order.

    A large catalogue is known without its offers' ids: those that no read has told are asked for first.
    """
    entries: dict[str, Mapping[str, Any]] = {}
    refused: dict[int, Outcome] = {}
    for place, offer in enumerate(offers):
        entry = await _entry(client, http, offer)
        if isinstance(entry, dict):
            entries[offer.outlet.external_id] = entry
        else:
            refused[place] = entry
    outcomes = await write(client, http, entries)
    return [refused.get(place) or outcomes[offer.outlet.external_id] for place, offer in enumerate(offers)]


async def _entry(client: EbayClient, http: Http, offer: PriceOffer) -> dict[str, Any] | Rejected | Throttled:
    if offer.compare_at is not None or offer.sale is not None:
        return Rejected("eBay's price call takes no struck-out price and no sale", code="not_able")
    if offer.price.minor <= 0:
        return Rejected("eBay takes no price of 0 or less", code="price")
    known = _known_offers(offer)
    if any(one.get("published") and not one.get("offer_id") for one in known):
        try:
            known = offers_kept(fixed_price(await client.get_offers(http, offer.outlet.external_id)))
        except NoAnswer as gone:
            return Throttled(reason=f"nothing was told yet: {gone.reason}")
        except Retry as later:
            return Throttled(wait_s=later.wait_s, reason=str(later))
        except SignInAgain as refused:
            return Rejected(str(refused), code="unauthorized")
        except Park as refused:
            return Rejected(str(refused), code="no_offer")
    currency = offer.price.currency
    ids = [
        str(one["offer_id"])
        for one in known
        if one.get("offer_id") and one.get("published") and _currency(one) == currency
    ]
    if not ids:
        return Rejected(f"no published offer in {currency} is known; read the catalogue again", code="no_offer")
    price = amount(offer.price)
    return {"sku": offer.outlet.external_id, "offers": [{"offerId": each, "price": price} for each in ids]}


def _known_offers(offer: PriceOffer) -> Sequence[Mapping[str, Any]]:
    """Return the offers as just read, else as the catalogue found them."""
    seen: PriceSeen | Seen | None = offer.seen
    if isinstance(seen, PriceSeen) and seen.document is not None:
        return list(seen.document)
    return list(offer.outlet.extra.get("offers") or ())


def _currency(one: Mapping[str, Any]) -> str | None:
    currency = one.get("currency")
    return currency if isinstance(currency, str) else None
