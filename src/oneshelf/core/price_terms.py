"""What the merchant said about a listing's price, put together: rules in their order, rates, fees. Pure.

In: rules, the narrowest first. Out: terms, each with the rule that gave it. Never: decides a price (core/price), finds the rules that fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

import msgspec

from .money import decimals
from .precedence import Selector
from .price_formula import Formula, Rounding, number, parse_formula, parse_rounding
from .rates import Rates

#: In a rule: nothing of the kind, although a wider rule says something.
NONE = "none"


class PriceRule(msgspec.Struct, frozen=True):
    """What one rule says. Each text: "" says nothing, a wider rule may; "none" says that there is none. `price`: a formula; `rounding`;
    `floor`, `ceiling`: of one piece, major units of `currency`, as the amounts of the formula are; `margin`: percent of the price."""

    rule_no: int = 0
    selector: Selector = Selector()
    price: str = ""
    rounding: str = ""
    floor: str = ""
    ceiling: str = ""
    margin: str = ""
    currency: str = ""


class PriceSale(msgspec.Struct, frozen=True):
    """A sale: its formula may begin with `price`, what the listing asks without it. From `starts_at` to before `ends_at`."""

    rule_no: int
    price: str
    starts_at: int
    ends_at: int
    selector: Selector = Selector()
    rounding: str = ""
    currency: str = ""


def refuse_mistakes(rule: PriceRule | PriceSale) -> None:
    """Raise ValueError with what is wrong in a rule's texts."""
    sale = isinstance(rule, PriceSale)
    formula = parse_formula(rule.price) if rule.price not in ("", NONE) else None
    if formula is not None and formula.start == "price" and not sale:
        raise ValueError("`price` is what a sale begins with; a rule begins with shop, cost, compare_at or an amount")
    if rule.rounding not in ("", NONE):
        rounding = parse_rounding(rule.rounding)
        if rule.currency:
            _representable(rounding, rule.currency)
    has_amount = formula is not None and formula.has_amount
    if isinstance(rule, PriceRule):
        floor, ceiling = amount_of(rule.floor), amount_of(rule.ceiling)
        has_amount = has_amount or floor is not None or ceiling is not None
        if floor is not None and ceiling is not None and floor > ceiling:
            raise ValueError(f"the floor {rule.floor} is above the ceiling {rule.ceiling}")
        margin_of(rule.margin)
        if not any((rule.price, rule.rounding, rule.floor, rule.ceiling, rule.margin)):
            raise ValueError("the rule says nothing: give a price, a rounding, a floor, a ceiling or a margin")
    elif formula is None or rule.starts_at >= rule.ends_at:
        raise ValueError("a sale needs a price, and ends after it starts")
    if has_amount and not (len(rule.currency) == 3 and rule.currency.isascii() and rule.currency.isupper()):
        raise ValueError("an amount needs its currency, three capital letters")


def _representable(rounding: Rounding, currency: str) -> None:
    if any((value * 10 ** decimals(currency)).denominator != 1 for value in (rounding.every, rounding.ending)):
        raise ValueError(f"{currency} has {decimals(currency)} decimals: {rounding.text} can't be asked in it")


def amount_of(text: str) -> Fraction | None:
    """Return a floor or ceiling in major units; None where there is none. Raises ValueError."""
    if text in ("", NONE):
        return None
    value = number(text)
    if value <= 0:
        raise ValueError("a floor or ceiling is above 0; write none for nothing")
    return value


def margin_of(text: str) -> Fraction | None:
    """Return a minimum margin in percent of the price, 0 to below 100; None where there is none. Raises ValueError."""
    if text in ("", NONE):
        return None
    value = number(text)
    if value >= 100:
        raise ValueError("a margin is 0 to below 100 percent of the price")
    return value


# --- put together -------------------------------------------------------------------------------------------------------


class Said(msgspec.Struct, frozen=True):
    """One of the merchant's words, with the rule that holds it."""

    rule_no: int
    currency: str
    text: str


class Terms(msgspec.Struct, frozen=True):
    """What holds for one listing; None: nobody said anything, or none was wanted. `fee`: the channel's, in percent of the price."""

    price: Said | None = None
    rounding: Said | None = None
    floor: Said | None = None
    ceiling: Said | None = None
    margin: Said | None = None
    sale: PriceSale | None = None
    fee: Fraction = Fraction(0)
    rates: Rates = Rates()

    @property
    def plain(self) -> bool:
        """Whether the shop's price is asked as it is, but for its currency."""
        return not (self.price or self.rounding or self.floor or self.ceiling or self.margin or self.sale)


NO_TERMS = Terms()
_NAMES = ("price", "rounding", "floor", "ceiling", "margin")


def put_together(
    rules: Sequence[PriceRule], sales: Iterable[PriceSale], at: int, *, fee: Fraction, rates: Rates
) -> Terms:
    """Return what holds at an instant. Each kind of word is taken from the first rule that says it; of the sales that are on, the first."""
    said: dict[str, Said] = {}
    for rule in rules:
        for name in _NAMES:
            text = getattr(rule, name)
            if text and name not in said:
                said[name] = Said(rule.rule_no, rule.currency, text)
    sale = next((one for one in sales if one.starts_at <= at < one.ends_at), None)
    return Terms(**{n: w for n, w in said.items() if w.text != NONE}, sale=sale, fee=fee, rates=rates)


def formula_of(said: Said | None) -> Formula:
    """Return the formula of a word; the shop's price where nobody said another."""
    return parse_formula(said.text if said is not None else "shop")
