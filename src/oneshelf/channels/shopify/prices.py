"""Prices of the shop's variants: read by id, written product by product.

In: outlets (the variant and product in `extra`), prices. Out: prices seen, one outcome an offer. Never: quantities; a price of 0 or less.
Source: Shopify Admin GraphQL productVariantsBulkUpdate (all or nothing a product), ProductVariant.price and compareAtPrice in the shop's
currency, 2026-10, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oneshelf.channels.abilities import PriceAbility, PriceOffer, PriceSeen
from oneshelf.channels.contract import Http, NoAnswer, Outlet
from oneshelf.channels.shopify import documents as docs
from oneshelf.channels.shopify.copies import before_sending
from oneshelf.channels.shopify.graphql import Failure, GraphQL, outcome_of, refusal, user_errors
from oneshelf.channels.shopify.money import to_minor, to_text
from oneshelf.channels.shopify.reads import STATE, Reader
from oneshelf.core.errors import Park, Retry
from oneshelf.core.facts import Money
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Unknown

PRICES = PriceAbility(
    write_batch=docs.ARRAY_MAX,
    read_batch=docs.PRICES_A_CALL,
    visible_after_s=2.0,
    operations={"read": docs.VARIANT_PRICES.name, "write": docs.SET_PRICES.name},
    compare_at=True,
)


class Pricer:
    """Reads and writes prices of one shop."""

    def __init__(self, graphql: GraphQL, reader: Reader) -> None:
        self._graphql = graphql
        self._reader = reader

    async def read(self, http: Http, outlets: Sequence[Outlet]) -> list[PriceSeen]:
        """Return what each variant asks. Raises Retry, SignInAgain, Park, NoAnswer."""
        currency = await self._reader.currency(http)
        wanted = [str(outlet.extra.get("variant_id") or "") for outlet in outlets]
        asked = sorted({one for one in wanted if one})
        answer = await self._graphql.ask(http, docs.VARIANT_PRICES, {"ids": asked}, each=len(asked))
        found = {str(node["id"]): node for node in answer.data.get("nodes") or [] if isinstance(node, dict) and node}
        return [
            _seen(outlet.external_id, found.get(variant_id), currency, answer.shown_at)
            for outlet, variant_id in zip(outlets, wanted, strict=True)
        ]

    async def publish(self, http: Http, offers: Sequence[PriceOffer]) -> list[Outcome]:
        """Write each product's variants by one call. One outcome an offer, in order."""
        try:
            currency = await self._reader.currency(http)
        except (Park, Retry, NoAnswer) as error:
            return [before_sending(error)] * len(offers)
        outcomes: dict[int, Outcome] = {}
        products: dict[str, list[int]] = {}
        for place, offer in enumerate(offers):
            problem = _problem(offer, currency)
            if problem:
                outcomes[place] = problem
            else:
                products.setdefault(str(offer.outlet.extra["product_id"]), []).append(place)
        for product_id, places in products.items():
            outcome = await self._write(http, product_id, [offers[place] for place in places])
            outcomes |= dict.fromkeys(places, outcome)
        return [outcomes[place] for place in range(len(offers))]

    async def _write(self, http: Http, product_id: str, offers: Sequence[PriceOffer]) -> Outcome:
        variants = [
            {
                "id": offer.outlet.extra["variant_id"],
                "price": to_text(offer.price.minor, offer.price.currency),
                "compareAtPrice": to_text(offer.compare_at.minor, offer.compare_at.currency)
                if offer.compare_at
                else None,
            }
            for offer in offers
        ]
        answer = await self._graphql.tell(http, docs.SET_PRICES, {"product": product_id, "variants": variants})
        if isinstance(answer, Failure):
            return outcome_of(answer)
        payload = answer.data.get("productVariantsBulkUpdate")
        if not isinstance(payload, dict):
            return Unknown("productVariantsBulkUpdate gave no payload")
        errors = user_errors(payload)
        return refusal(errors) if errors else Accepted(product_id)


def _problem(offer: PriceOffer, currency: str) -> Rejected | None:
    if not offer.outlet.extra.get("variant_id") or not offer.outlet.extra.get("product_id"):
        return Rejected("the variant is not known; read the catalogue again", "unknown_variant")
    if offer.price.currency != currency:
        return Rejected(f"the shop's prices are in {currency}, not {offer.price.currency}", "currency")
    if offer.price.minor <= 0:
        return Rejected("a price of 0 or less is never sent", "not_a_price")
    if offer.sale is not None:
        return Rejected("Shopify's variants take no sale with start and end", "no_sale_window")
    return None


def _seen(external_id: str, node: dict[str, Any] | None, currency: str, read_at: Any) -> PriceSeen:
    if node is None:
        return PriceSeen(external_id, None, read_at, state="gone", problem="the shop shows no such variant")
    price, compare_at = to_minor(node.get("price"), currency), to_minor(node.get("compareAtPrice"), currency)
    return PriceSeen(
        external_id,
        None if price is None else Money(price, currency),
        read_at,
        compare_at=None if compare_at is None else Money(compare_at, currency),
        state=STATE.get(str((node.get("product") or {}).get("status")), "live"),
    )
