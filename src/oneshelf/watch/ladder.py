"""The terms of one offer as a ladder that adds up, and what would change it (SEMANTICS 2.10). Pure.

In: the planner's own terms (publish/numbers). Out: lines with signed amounts; the same number under other settings.
Never: computes an offer in a way of its own: the terms are those that publishing uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from oneshelf.core.offer import NO_CAP, NO_OTHERS, OfferPolicy, Others, offer_quantity

from .rules import TraceLine


class Term(msgspec.Struct, frozen=True):
    """One line of the ladder: `amount` is added (below 0: taken away), in the ladder's unit."""

    name: str
    amount: int
    reason: str = ""


class Ladder(msgspec.Struct, frozen=True):
    """Why an outlet should show `offer` listings: the amounts of `terms` add up to `offer` × `units_per_listing`.

    `unit`: "pieces", or "bundles" for a listing of several SKUs (then `units_per_listing` is 1 and `parts` says what each gives).
    `rules`: every rule that fits, the one that spoke first, and why the others lost (for a bundle: those for the whole listing).
    """

    unit: str
    terms: list[Term]
    units_per_listing: int
    offer: int
    parts: list[Part] = []
    would_change: list[Change] = []
    rules: list[TraceLine] = []


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
    why: dict[str, Any],
    available: int,
    rule: str,
    *,
    policy: OfferPolicy | None = None,
    others: Others | None = None,
    trace: Sequence[TraceLine] = (),
) -> Ladder:
    """Build the ladder from the planner's terms.

    `why`: `Number.why`; `available`: `Number.available` (for a bundle in whole bundles, before its parts' rules); `rule`: whose rule
    it is, in words; `policy`, `others`: what the number was computed with, for `would_change` (single SKUs).
    """
    bundle = "parts" in why
    everywhere = why.get("everywhere", available)
    terms = [Term("Available" if not bundle else "Whole bundles that the parts make", everywhere)]
    if everywhere != available:
        terms.append(
            Term(
                "Lies where it does not serve this account",
                available - everywhere,
                "the account's locations, or its rule",
            )
        )
    if bundle and available != why["available"]:
        kept = "by the rules of its parts, and for what else sells them"
        terms.append(Term("Kept back", why["available"] - available, kept))
    if why["available"] < 0:
        terms.append(Term("Sold beyond what there is", -why["available"], "a listing can't show less than 0"))
    terms.append(Term("Kept off by the buffer", -why["safety"], rule if why["safety"] else "no buffer applies"))
    terms.append(_of_others(why, rule))
    for name, key, reason in (
        (_above(why), "capped", rule),
        ("Not enough for a whole listing", "rounding", f"a listing sells {why['units_per_listing']} pieces"),
        ("Below the smallest number to show", "hidden", rule),
    ):
        if why[key]:
            terms.append(Term(name, -why[key], reason))
    parts = (
        [Part(sku, p["available"], p["left"], p["units"]) for sku, p in sorted(why["parts"].items())] if bundle else []
    )
    changes = [] if policy is None else _changes(why["available"], policy, others or others_of(why))
    unit = "bundles" if bundle else "pieces"
    return Ladder(unit, terms, why["units_per_listing"], why["offer"], parts, changes, list(trace))


def _above(why: dict[str, Any]) -> str:
    exactly = why.get("rule", {}).get("exactly")
    return "Above the cap" if exactly is None else f"Above the exact number, {exactly}"


def others_of(why: dict[str, Any]) -> Others:
    """Return what the planner said when this number was made."""
    return Others(**why["others"]) if "others" in why else Others(reserve=why["reserve"])


def _of_others(why: dict[str, Any], rule: str) -> Term:
    """What is left to the other outlets, and why so much (2.10): the reserve with its mean, or the fair share, or a strict share."""
    if "parts" in why:
        return Term("May sell elsewhere before we hear of it", -why["reserve"], "see its parts")
    if "others" not in why:
        return Term("May sell elsewhere before we hear of it", -why["reserve"])
    others = others_of(why)
    if others.strict:
        reason = f"never oversell: of {max(0, why['available'])} pieces its share is {others.share}; no other outlet shows them"
        return Term("Dealt out to the other outlets", -why["reserve"], reason)
    if why.get("rule", {}).get("exactly") is not None:
        return Term(
            "May sell elsewhere before we hear of it",
            -why["reserve"],
            "an exact number is shown, all beyond it is set aside",
        )
    if not why.get("rule", {}).get("adaptive", True):
        return Term("May sell elsewhere before we hear of it", -why["reserve"], f"switched off by the {rule}")
    if not others.reserve:
        likely = f"{others.mean:.2g} pieces are likely to" if others.mean else "nothing sells fast enough to"
        return Term("May sell elsewhere before we hear of it", -why["reserve"], f"{likely} sell elsewhere meanwhile")
    reason = f"{others.mean:.3g} pieces are likely to sell before we can react, so {others.reserve} are set aside"
    if others.floor > why["available"] - others.reserve:
        name = "Set aside for the other channels, down to its fair share"
        own = f", less {others.own} that it sells itself during a write" if others.own else ""
        return Term(name, -why["reserve"], f"{reason}; its share is {others.share}{own}")
    return Term("May sell elsewhere before we hear of it", -why["reserve"], reason)


def _changes(available: int, policy: OfferPolicy, others: Others) -> list[Change]:
    """Three settings that would change the number, each with what it would give."""

    def under(**changes: Any) -> int:
        return offer_quantity(available, msgspec.structs.replace(policy, **changes), others)

    tries: list[tuple[str, Callable[[], int]]] = []
    set_aside = others.reserve > 0 and not others.strict
    if set_aside:
        tries.append(("The fixed buffer only, nothing set aside", lambda: offer_quantity(available, policy, NO_OTHERS)))
    if policy.safety_stock or policy.safety_percent is not None:
        tries.append(("Without the buffer", lambda: under(safety_stock=0, safety_percent=None)))
    if policy.cap != NO_CAP:
        tries.append(("Without the cap", lambda: under(cap=NO_CAP)))
    if policy.exactly is not None:
        tries.append(("Without the exact number", lambda: under(exactly=None)))
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
    if (
        not others.strict and others.floor <= available - others.reserve
    ):  # else its share of one more piece is anybody's
        tries.append((more, lambda: offer_quantity(available + units, policy, others)))
    now = offer_quantity(available, policy, others)
    found = [Change(setting, number()) for setting, number in tries]
    return [change for change in found if change.offer != now][:3]
