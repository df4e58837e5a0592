"""Why a listing asks what it asks, and how far its price is.

In: the tables. Out: rows for people and machines. Reads only.
"""

from __future__ import annotations

from typing import Any

import msgspec

from oneshelf.core.instants import iso
from oneshelf.core.precedence import Selector, key
from oneshelf.core.price import Priced
from oneshelf.core.price_terms import PriceRule, PriceSale
from oneshelf.db.tx import Tx
from oneshelf.pricing.levels import prices_of
from oneshelf.pricing.policy import policy_of
from oneshelf.pricing.rules import rules_of, sales_of

#: Attempts that one listing's answer tells of.
ATTEMPTS_TOLD = 10


class PriceTold(msgspec.Struct, frozen=True):
    """One try to tell a price, minor units. `outcome` as the attempt keeps it; instants as ISO 8601."""

    price: int
    was: int | None
    outcome: str
    reason: str
    started_at: str
    seen_at: str


class ListingPrice(msgspec.Struct, frozen=True):
    """One listing of a SKU. `should`: what it ought to ask by the account's policy, None where there is nothing, and `why` says why or gives
    the terms. `asks`: what it was last seen to ask. All minor units of `currency`. `state`: off, true, on its way, parked, not known."""

    listing: int
    account: int
    channel: str
    external_id: str
    follows: bool
    should: int | None
    asks: int | None
    currency: str
    seen_at: str
    state: str
    note: str
    why: dict[str, Any]
    attempts: list[PriceTold]


class AccountPrices(msgspec.Struct, frozen=True):
    """One marketplace account: its switch, its band and fee (percent), and its listings' prices by how far they are. `reasons`: why prices are parked → listings."""

    account: int
    channel: str
    label: str
    follows: bool
    band: int
    fee: str
    right: int
    on_the_way: int
    parked: int
    reasons: dict[str, int]


class KeptRule(msgspec.Struct, frozen=True):
    """A price rule or sale. `where`: whom it speaks of; `says`: what, in words. `kind`: rule or sale; instants as ISO 8601, "" for a
    rule. `state` of a sale: to come, on, over."""

    rule: int
    kind: str
    where: str
    says: str
    account: int
    channel: str
    goods: str
    value: str
    rank: int
    price: str
    rounding: str
    floor: str
    ceiling: str
    margin: str
    currency: str
    starts_at: str
    ends_at: str
    state: str


def rules(tx: Tx, tenant_id: int, at: int) -> list[KeptRule]:
    """Return the rules, the narrowest first, then the sales in order of their start, as they stand at this instant."""
    found = [_kept(rule, at) for rule in sorted(rules_of(tx, tenant_id), key=lambda rule: key(rule.selector))]
    sales = sorted(sales_of(tx, tenant_id), key=lambda sale: (sale.starts_at, sale.rule_no))
    return found + [_kept(sale, at) for sale in sales]


def _kept(rule: PriceRule | PriceSale, at: int) -> KeptRule:
    selector, says = (
        rule.selector,
        {n: getattr(rule, n, "") for n in ("price", "rounding", "floor", "ceiling", "margin")},
    )
    parts = [says["price"] and f"price {says['price']}", says["rounding"] and f"rounded to {says['rounding']}"]
    parts += [says[name] and f"{name} {says[name]}" for name in ("floor", "ceiling")]
    parts += [says["margin"] and f"margin {says['margin']} %", rule.currency and f"amounts in {rule.currency}"]
    window: tuple[str, str, str] = ("", "", "")
    if isinstance(rule, PriceSale):
        state = "over" if rule.ends_at <= at else "on" if rule.starts_at <= at else "to come"
        window = (iso(rule.starts_at) or "", iso(rule.ends_at) or "", state)
        parts.append(f"from {window[0]} to {window[1]} ({state})")
    return KeptRule(
        rule.rule_no,
        "sale" if isinstance(rule, PriceSale) else "rule",
        where(selector),
        ", ".join(part for part in parts if part),
        selector.account_id,
        selector.channel,
        selector.goods,
        selector.value,
        selector.rank,
        currency=rule.currency,
        starts_at=window[0],
        ends_at=window[1],
        state=window[2],
        **says,
    )


def where(selector: Selector) -> str:
    """Return in words whom a selector speaks of.

    >>> where(Selector(channel="ebay", goods="tag", value="gift"))
    'channel ebay, tag gift'
    """
    place = f"account {selector.account_id}" if selector.account_id else f"channel {selector.channel}"
    goods = "everything" if selector.goods == "all" else f"{selector.goods} {selector.value}"
    return f"{'all accounts' if selector.place == 'all' else place}, {goods}"


def show(tx: Tx, tenant_id: int, sku: str, at: int) -> list[ListingPrice]:
    """Return every marketplace listing that sells this SKU, in order, and what it ought to ask at this instant."""
    rows = tx.all(
        """SELECT o.outlet_id, o.account_id, a.channel, o.external_id, s.state, s.believed, s.currency, s.believed_at, s.verified, s.reason
             FROM link k JOIN outlet o ON o.tenant_id = k.tenant_id AND o.outlet_id = k.outlet_id
             JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
             LEFT JOIN price_slot s ON s.tenant_id = o.tenant_id AND s.outlet_id = o.outlet_id
            WHERE k.tenant_id = :t AND k.sku = :sku AND a.channel <> 'shopify' AND a.state <> 'DISCONNECTED'
            ORDER BY o.account_id, o.outlet_id""",
        t=tenant_id,
        sku=sku,
    )
    found = []
    for outlet_id, account, channel, name, state, asks, currency, seen_at, verified, reason in rows:
        policy = policy_of(tx, tenant_id, account)
        price = prices_of(tx, tenant_id, [outlet_id], {outlet_id: currency or ""}, policy, at)[outlet_id]
        priced = isinstance(price, Priced)
        found.append(
            ListingPrice(
                listing=outlet_id,
                account=account,
                channel=channel,
                external_id=name,
                follows=policy.follows,
                should=price.price.minor if isinstance(price, Priced) else None,
                asks=asks,
                currency=currency or (price.price.currency if isinstance(price, Priced) else ""),
                seen_at=iso(seen_at) or "",
                state=_word(
                    policy.follows,
                    state,
                    bool(verified) and (not isinstance(price, Priced) or price.price.minor == asks),
                ),
                note=reason or ("" if isinstance(price, Priced) else price.reason),
                why=price.why if isinstance(price, Priced) else {"none": price.code},
                attempts=_attempts(tx, tenant_id, outlet_id) if priced or state is not None else [],
            )
        )
    return found


def _word(follows: bool, state: str | None, is_right: bool) -> str:
    if not follows:
        return "off"
    if state is None or state == "UNKNOWN":
        return "not known"
    if state == "PARKED":
        return "parked"
    return "true" if state == "QUIET" and is_right else "on its way"


def _attempts(tx: Tx, tenant_id: int, outlet_id: int) -> list[PriceTold]:
    rows = tx.all(
        """SELECT price_minor, was, outcome, reason, started_at, seen_at FROM price_attempt
            WHERE tenant_id = :t AND outlet_id = :o ORDER BY attempt_no DESC LIMIT :n""",
        t=tenant_id,
        o=outlet_id,
        n=ATTEMPTS_TOLD,
    )
    return [
        PriceTold(price, was, outcome, reason, iso(started_at) or "", iso(seen_at) or "")
        for price, was, outcome, reason, started_at, seen_at in rows
    ]


def by_account(tx: Tx, tenant_id: int) -> list[AccountPrices]:
    """Return every marketplace account with its switch."""
    states: dict[int, dict[str, int]] = {}
    reasons: dict[int, dict[str, int]] = {}
    for account, state, reason, listings in tx.all(
        """SELECT account_id, state, CASE WHEN state = 'PARKED' THEN reason ELSE '' END AS why, COUNT(*) FROM price_slot
            WHERE tenant_id = :t GROUP BY account_id, state, CASE WHEN state = 'PARKED' THEN reason ELSE '' END""",
        t=tenant_id,
    ):
        of = states.setdefault(account, {})
        of[state] = of.get(state, 0) + int(listings)
        if state == "PARKED":
            reasons.setdefault(account, {})[reason] = int(listings)
    found = []
    for account, channel, label in tx.all(
        "SELECT account_id, channel, label FROM account WHERE tenant_id = :t AND channel <> 'shopify' AND state <> 'DISCONNECTED' "
        "ORDER BY account_id",
        t=tenant_id,
    ):
        of = states.get(account, {})
        right, parked = of.get("QUIET", 0), of.get("PARKED", 0)
        policy = policy_of(tx, tenant_id, account)
        under_way = sum(of.values()) - right - parked
        found.append(
            AccountPrices(
                account,
                channel,
                label,
                policy.follows,
                policy.band,
                policy.fee,
                right,
                under_way,
                parked,
                reasons.get(account, {}),
            )
        )
    return found
