"""The terms of one offer as a ladder that adds up, and what would change it (SEMANTICS 2.10). Pure.

In: the planner's own terms (publish/numbers). Out: lines with signed amounts; the same number under other settings.
Never: computes an offer in a way of its own: the terms are those that publishing uses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from oneshelf.core.offer import NO_CAP, OfferPolicy, Others, offer_quantity


class Term(msgspec.Struct, frozen=True):
    """One line of the ladder: `amount` is added (below 0: taken away), in the ladder's unit."""

    name: str
    amount: int
    reason: str = ""


class Ladder(msgspec.Struct, frozen=True):
    """Why an outlet should show `offer` listings: the amounts of `terms` add up to `offer` × `units_per_listing`.

    `unit`: "pieces", or "bundles" for a listing of several SKUs (then `units_per_listing` is 1 and `parts` says what each gives).
    """

    unit: str
    terms: list[Term]
    units_per_listing: int
    offer: int
    parts: list[Part] = []
    would_change: list[Change] = []


class Part(msgspec.Struct, frozen=True):
    """One SKU of a bundle, pieces: what there is, what its rule leaves, how many a bundle takes."""

    sku: str
    available: int
    left: int
    units: int


class Change(msgspec.Struct, frozen=True):
    """One setting and the number it would give."""

    setting: str
    offer: int


def ladder_of(
    why: dict[str, Any], available: int, rule: str, *, policy: OfferPolicy | None = None, others: Others | None = None
) -> Ladder:
    """Build the ladder from the planner's terms.

    `why`: `Number.why`; `available`: `Number.available` (for a bundle in whole bundles, before its parts' rules); `rule`: whose rule
    it is, in words; `policy`, `others`: what the number was computed with, for `would_change` (single SKUs).
    """
    bundle = "parts" in why
    terms = [Term("Available" if not bundle else "Whole bundles that the parts make", available)]
    if bundle and available != why["available"]:
        terms.append(Term("Kept back by the rules of its parts", why["available"] - available))
    if why["available"] < 0:
        terms.append(Term("Sold beyond what there is", -why["available"], "a listing can't show less than 0"))
    terms.append(Term("Kept off by the buffer", -why["safety"], rule if why["safety"] else "no buffer applies"))
    terms.append(Term("May sell elsewhere before we hear of it", -why["reserve"]))
    for name, key, reason in (
        ("Above the cap", "capped", rule),
        ("Not enough for a whole listing", "rounding", f"a listing sells {why['units_per_listing']} pieces"),
        ("Below the smallest number to show", "hidden", rule),
    ):
        if why[key]:
            terms.append(Term(name, -why[key], reason))
    parts = (
        [Part(sku, p["available"], p["left"], p["units"]) for sku, p in sorted(why["parts"].items())] if bundle else []
    )
    changes = [] if policy is None else _changes(why["available"], policy, others or Others(reserve=why["reserve"]))
    unit = "bundles" if bundle else "pieces"
    return Ladder(unit, terms, why["units_per_listing"], why["offer"], parts, changes)


def _changes(available: int, policy: OfferPolicy, others: Others) -> list[Change]:
    """Three settings that would change the number, each with what it would give."""

    def under(**changes: Any) -> int:
        return offer_quantity(available, msgspec.structs.replace(policy, **changes), others)

    tries: list[tuple[str, Callable[[], int]]] = []
    if policy.safety_stock or policy.safety_percent is not None:
        tries.append(("Without the buffer", lambda: under(safety_stock=0, safety_percent=None)))
    if policy.cap != NO_CAP:
        tries.append(("Without the cap", lambda: under(cap=NO_CAP)))
    if policy.min_show > 1:
        tries.append(("Show every number from 1", lambda: under(min_show=1)))
    one_more = policy.safety_stock + policy.units_per_listing
    tries.append(
        (
            f"Keep {one_more} pieces off it" if one_more != 1 else "Keep 1 piece off it",
            lambda: under(safety_stock=one_more),
        )
    )
    units = policy.units_per_listing
    more = f"{units} more pieces on hand" if units > 1 else "1 more piece on hand"
    tries.append((more, lambda: offer_quantity(available + units, policy, others)))
    now = offer_quantity(available, policy, others)
    found = [Change(setting, number()) for setting, number in tries]
    return [change for change in found if change.offer != now][:3]
