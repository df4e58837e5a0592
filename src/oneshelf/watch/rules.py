"""The merchant's rules in words: all of them, and those that fit one SKU at one account with what decided between them (SEMANTICS 2.10).

In: rules. Out: lines, ready for JSON. Tables: reads offer_rule, account. Never: changes a rule; decides between rules (core/precedence).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from oneshelf.core.offer_rule import NO_RULE, Numbers, OfferRule
from oneshelf.core.precedence import Fitting, Selector
from oneshelf.db.tx import Tx
from oneshelf.listings import policy

from .accounts import NAMES, accounts_now


class RuleLine(msgspec.Struct, frozen=True):
    """One rule. `for_what` and `says`: the same in words."""

    rule: OfferRule
    for_what: str
    says: str


class TraceLine(msgspec.Struct, frozen=True):
    """A rule that fits an outlet. `lost`: why it does not speak; "" for the one that does."""

    for_what: str
    says: str
    lost: str


def rule_lines(tx: Tx, tenant_id: int) -> list[RuleLine]:
    """Return every rule, narrowest first: the order in which they are asked."""
    names, places = account_names(tx, tenant_id), location_names(tx, tenant_id)
    return [
        RuleLine(rule, for_what(rule.selector, names), says(rule, places)) for rule in policy.all_rules(tx, tenant_id)
    ]


def location_names(tx: Tx, tenant_id: int) -> dict[str, str]:
    return dict(tx.all("SELECT location_id, name FROM location WHERE tenant_id = :t", t=tenant_id))  # type: ignore[arg-type]


def account_names(tx: Tx, tenant_id: int) -> dict[int, str]:
    """Return {account: its name for a person}."""
    return {
        one.account_id: f"{one.name} ({one.label})" if one.label else one.name for one in accounts_now(tx, tenant_id)
    }


def trace_lines(
    trace: Sequence[Fitting[OfferRule]], names: Mapping[int, str], places: Mapping[str, str]
) -> list[TraceLine]:
    return [TraceLine(for_what(one.rule.selector, names), says(one.rule, places), one.lost) for one in trace]


def for_what(selector: Selector, names: Mapping[int, str]) -> str:
    """Say of what a rule speaks: "tag “sale” on eBay"."""
    goods = {
        "sku": selector.value,
        "tag": f"tag “{selector.value}”",
        "vendor": f"vendor “{selector.value}”",
        "type": f"type “{selector.value}”",
        "all": "every SKU",
    }[selector.goods]
    if selector.account_id:
        where = f"on {names.get(selector.account_id, f'account {selector.account_id}')}"
    else:
        where = f"on {NAMES.get(selector.channel, selector.channel)}" if selector.channel else "on every marketplace"
    return f"{goods} {where}"


def says(rule: OfferRule, places: Mapping[str, str]) -> str:
    """Say what a rule holds: "keep 5 back; when 3 or fewer are left: keep 2 back". `places`: the names of locations."""
    if rule == NO_RULE:
        return "nothing is kept back"
    words = _numbers(rule.numbers)
    if rule.low_at is not None:
        words += f"; when {rule.low_at} or fewer are left: {_numbers(rule.low)}"
    if rule.except_locations:
        words += f"; without what lies at {', '.join(places.get(one, one) for one in rule.except_locations)}"
    return words


def _numbers(numbers: Numbers) -> str:
    words = []
    if numbers.exactly is not None:
        words.append(f"show exactly {numbers.exactly}")
    if numbers.safety_stock:
        words.append(f"keep {numbers.safety_stock} back")
    if numbers.safety_percent is not None:
        words.append(f"at most {numbers.safety_percent} % of what is there")
    if numbers.cap is not None:
        words.append(f"never more than {numbers.cap}")
    if numbers.cap_auto:
        words.append("a cap that follows the pace")
    if numbers.min_show > 1:
        words.append(f"show from {numbers.min_show} on")
    if not numbers.adaptive:
        words.append("nothing set aside for other channels")
    return ", ".join(words) or "nothing is kept back"
