"""The price that each outlet ought to ask at an instant, with its terms; and the one place where the hub's facts are compared.

In: the hub's prices and facts, links, policies, rules, rates. Out: prices, reasons, marks. Tables: reads item, link, outlet, account;
marks through marks.py. Never: stores what it computes; looks at what an outlet asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import msgspec

from oneshelf.core.facts import Money
from oneshelf.core.precedence import Book, ItemFacts, fits, folded
from oneshelf.core.price import HubPart, NoPrice, Priced, PricePolicy, decide_price
from oneshelf.core.price_terms import NO_TERMS, PriceRule, PriceSale, Terms, put_together
from oneshelf.core.rates import Rates
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.tenants.rates import rates_of

from . import marks
from .rules import facts_of, rules_of, sales_of, spoken_of


class PriceBook(msgspec.Struct, frozen=True):
    """What the merchant said, as far as it may concern some SKUs."""

    rules: Book[PriceRule]
    sales: Book[PriceSale]
    rates: Rates

    def terms(self, items: list[ItemFacts], account_id: int, channel: str, fee: str, at: int) -> Terms:
        """Return what holds for a listing of these items. A rule speaks of it if it fits every one of them."""
        first, *others = items
        rules, sales = (
            [
                one
                for one in book.fitting(first, account_id, channel)
                if all(fits(one.selector, item, account_id, channel) for item in others)
            ]
            for book in (self.rules, self.sales)
        )
        return put_together(rules, sales, at, fee=Fraction(fee), rates=self.rates)  # type: ignore[arg-type]


def book_of(tx: Tx, tenant_id: int, skus: Iterable[str] | None, at: int) -> PriceBook:
    """Return the rules, the sales that are not over, and the rates that may concern these SKUs, or any."""
    wanted = None if skus is None else set(skus)
    return PriceBook(
        Book(rules_of(tx, tenant_id, wanted)),
        Book(sales_of(tx, tenant_id, wanted, ending_after=at)),
        rates_of(tx, tenant_id),
    )


@lru_cache(maxsize=4096)
def _tags(text: str) -> tuple[str, ...]:
    return tuple(msgspec.json.decode(text, type=list[str]))


class _Listing(msgspec.Struct):
    account_id: int = 0
    channel: str = ""
    parts: list[HubPart] = []
    items: list[ItemFacts] = []


def prices_of(
    tx: Tx,
    tenant_id: int,
    outlet_ids: Iterable[int],
    currencies: Mapping[int, str],
    policy: PricePolicy,
    at: int,
    *,
    book: PriceBook | None = None,
) -> dict[int, Priced | NoPrice]:
    """Return {outlet: its price at this instant, or why there is none} for every outlet asked about. `currencies`: the listings' own, as
    far as known. `book`: by these rules instead of those that are kept."""
    wanted = sorted(set(outlet_ids))
    listings = {outlet_id: _Listing() for outlet_id in wanted}
    for outlet_id, account_id, channel, sku, units, *facts in tx.all(
        """SELECT k.outlet_id, o.account_id, a.channel, k.sku, k.units, i.price_minor, i.currency, i.deleted, i.cost_minor,
                  i.cost_currency, i.compare_at_minor, i.tags, i.vendor, i.product_type
             FROM link k JOIN outlet o ON o.tenant_id = k.tenant_id AND o.outlet_id = k.outlet_id
             JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
             LEFT JOIN item i ON i.tenant_id = k.tenant_id AND i.sku = k.sku
            WHERE k.tenant_id = :t AND k.outlet_id {in:ids} ORDER BY k.outlet_id, k.sku""",
        t=tenant_id,
        ids=wanted,
    ):
        one = listings[outlet_id]
        one.account_id, one.channel = account_id, channel
        one.parts.append(_part(sku, units, *facts[:6]))
        tags, vendor, kind = facts[6:]
        one.items.append(ItemFacts(sku, _tags(tags or "[]"), vendor or "", kind or ""))
    if book is None:
        book = book_of(tx, tenant_id, {item.sku for one in listings.values() for item in one.items}, at)
    found: dict[int, Priced | NoPrice] = {}
    for outlet_id, one in listings.items():
        terms = book.terms(one.items, one.account_id, one.channel, policy.fee, at) if one.items else NO_TERMS
        found[outlet_id] = decide_price(one.parts, currencies.get(outlet_id) or None, policy, terms)
    return found


def _part(
    sku: str,
    units: int,
    minor: int | None,
    currency: str | None,
    deleted: int | None,
    cost: int | None,
    cost_currency: str | None,
    compare_at: int | None,
) -> HubPart:
    return HubPart(
        sku,
        units,
        Money(minor, currency) if minor is not None and currency else None,
        bool(deleted),
        Money(cost, cost_currency) if cost is not None and cost_currency else None,
        Money(compare_at, currency) if compare_at is not None and currency else None,
    )


# --- the hub, heard -----------------------------------------------------------------------------------------------------


class ItemTold(msgspec.Struct, frozen=True):
    """What a reading of the hub says of a SKU, as far as prices may depend on it."""

    price: tuple[int | None, str | None]
    cost: tuple[int | None, str | None] = (None, None)
    compare_at: int | None = None
    facts: ItemFacts = ItemFacts("")


def hear_hub(tx: Tx, tenant_id: int, told: Mapping[str, ItemTold], now: int) -> int:
    """Compare the hub's prices, and the facts that price rules speak of, with those that are stored: call it before they are stored.

    Every reading of the hub comes through here. Outlets of a SKU whose price may be another one are marked. Returns how many SKUs
    that were; a SKU that is new changes nothing.
    """
    before = {
        sku: (ItemTold((minor, currency), (cost, cost_currency), compare_at), bool(deleted))
        for sku, minor, currency, deleted, cost, cost_currency, compare_at in tx.all(
            "SELECT sku, price_minor, currency, deleted, cost_minor, cost_currency, compare_at_minor FROM item "
            "WHERE tenant_id = :t AND sku {in:skus}",
            t=tenant_id,
            skus=list(told),
        )
    }
    priced = sorted(sku for sku in before if before[sku][0].price != told[sku].price or before[sku][1])
    marks.mark(tx, tenant_id, priced, now, "the shop's price changed")
    ruled = _changed_for_rules(tx, tenant_id, {sku: was for sku, (was, _) in before.items()}, told)
    for what, skus in ruled.items():
        marks.mark(tx, tenant_id, skus, now, f"the shop's {what} changed")
    if priced and tx.one("SELECT 1 FROM price_policy WHERE tenant_id = :t AND mode = 'follow'", t=tenant_id):
        for sku in priced:
            was, is_now = before[sku][0].price, told[sku].price
            if was != is_now:
                what, terms = "The shop's price changed", {"was": was[0], "is_now": is_now[0], "currency": is_now[1]}
                note(tx, tenant_id, now, "shopify", what, f"sku:{sku}", **terms)
    return len({*priced, *(sku for skus in ruled.values() for sku in skus)})


def _changed_for_rules(
    tx: Tx, tenant_id: int, before: Mapping[str, ItemTold], told: Mapping[str, ItemTold]
) -> dict[str, list[str]]:
    """Return {what changed: SKUs}, only of what some rule is made of or speaks of."""
    names = spoken_of(tx, tenant_id)
    if not names:
        return {}
    changed: dict[str, list[str]] = {}
    stored = facts_of(tx, tenant_id, before)
    for sku, was in sorted(before.items()):
        is_now: ItemTold = told[sku]
        if ("cost", "") in names and was.cost != is_now.cost:
            changed.setdefault("unit cost", []).append(sku)
        if ("compare_at", "") in names and was.compare_at != is_now.compare_at:
            changed.setdefault("struck-out price", []).append(sku)
        if (_names(stored[sku]) ^ _names(is_now.facts)) & names:
            changed.setdefault("tags, vendor or product type", []).append(sku)
    return changed


def _names(facts: ItemFacts) -> set[tuple[str, Any]]:
    tags = {("tag", folded(tag)) for tag in facts.tags}
    return tags | {("vendor", folded(facts.vendor)), ("type", folded(facts.product_type))}
