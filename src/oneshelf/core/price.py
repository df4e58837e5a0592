"""What a listing ought to ask, and why; or why there is no price for it. Pure: the one place where a price is decided.

In: what the listing sells and what the hub asks for it, the listing's currency, the account's policy, the merchant's terms. Out: a price
with every step that led to it, or a reason. Never: gives a price of 0 or less, below its floor or its minimum margin, or in another
currency than the listing's; looks at what the listing asks now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any, Literal

import msgspec

from .facts import Money
from .money import decimals, in_words
from .price_formula import Formula, after, parse_rounding, rounded
from .price_terms import NO_TERMS, PriceSale, Said, Terms, amount_of, formula_of, margin_of


class HubPart(msgspec.Struct, frozen=True):
    """One SKU of a listing. `units`: pieces of it that one unit of the listing sells; `price`, `cost`, `compare_at`: what the hub asks for
    a piece, what a piece costs, and the struck-out price, None where it is not known; `deleted`: it does not exist in the hub any more."""

    sku: str
    units: int
    price: Money | None
    deleted: bool = False
    cost: Money | None = None
    compare_at: Money | None = None


class PricePolicy(msgspec.Struct, frozen=True):
    """What the merchant lets us do with an account's prices. `follows`: ask what the hub asks, or what his rules make of it. `band`: a
    price further from what is asked than so many percent waits for his yes. `fee`: the channel's, in percent of the price."""

    follows: bool = False
    band: int = 50
    fee: str = "0"


OFF = PricePolicy()
FOLLOW = PricePolicy(follows=True)


class Priced(msgspec.Struct, frozen=True):
    """Ask this. `why`: the terms as they are kept with an attempt, plain JSON values. `regular`: what it asks when no sale is on."""

    price: Money
    why: dict[str, Any]

    @property
    def regular(self) -> int:
        return int(self.why.get("regular", self.price.minor))


#: Why there is no price. The listing keeps the one it has.
NoPriceCode = Literal[
    "off", "not_linked", "deleted", "unknown", "mixed", "currency", "cost", "rounding", "limits", "not_positive"
]
NO_PRICE_CODES: tuple[NoPriceCode, ...] = (
    "deleted",
    "unknown",
    "mixed",
    "currency",
    "cost",
    "rounding",
    "limits",
    "not_positive",
)


class NoPrice(msgspec.Struct, frozen=True):
    """There is nothing to ask, and why: `code` for machines, `reason` for the merchant."""

    code: NoPriceCode
    reason: str


class _Nothing(Exception):
    """Leaves the calculation with the reason why there is no price."""

    def __init__(self, code: NoPriceCode, reason: str) -> None:
        super().__init__(reason)
        self.none = NoPrice(code, reason)


def decide_price(
    parts: Sequence[HubPart], currency: str | None, policy: PricePolicy, terms: Terms = NO_TERMS
) -> Priced | NoPrice:
    """Return what a listing asks under this policy and these terms. `currency`: the listing's own; None: it was never read, so the hub's
    is taken.

    1. The hub's price of every piece that one unit sells, added up.  2. The rule's formula.  3. The rate.  4. The rounding.  5. Floor,
    ceiling, minimum margin.  6. A sale, by 2 to 5 once more, never above the price without it.

    >>> mug = HubPart("MUG", 2, Money(1250, "EUR"))
    >>> decide_price([mug], "EUR", FOLLOW).price
    Money(minor=2500, currency='EUR')
    >>> decide_price([mug], "USD", FOLLOW).code
    'currency'
    """
    if not policy.follows:
        return NoPrice("off", "this account's prices are left alone")
    if not parts:
        return NoPrice("not_linked", "no SKU is tied to it")
    try:
        asked = _added_up(parts)
        wanted = currency or asked.currency
        work = _Work(parts, asked, wanted, terms)
        regular = work.out(terms.price, terms.rounding, formula_of(terms.price))
        price = regular if terms.sale is None else work.sale(terms.sale, regular)
    except _Nothing as nothing:
        return nothing.none
    why: dict[str, Any] = {
        "policy": "follow" if terms.plain else "rules",
        "currency": asked.currency,
        "parts": [
            {"sku": part.sku, "units": part.units, "hub_price": part.price.minor if part.price else None}
            for part in parts
        ],
    }
    if work.steps:
        why["steps"] = work.steps
    if terms.sale is not None:
        why |= {"regular": regular, "sale": terms.sale.rule_no}
    return Priced(Money(price, wanted), why)


def _added_up(parts: Sequence[HubPart]) -> Money:
    """Return the hub's price of every piece that one unit sells."""
    total, currencies = 0, set()
    for part in parts:
        if part.deleted:
            raise _Nothing("deleted", f"{part.sku} was deleted in the shop")
        if part.price is None:
            raise _Nothing("unknown", f"the shop's price of {part.sku} is not known")
        total += part.units * part.price.minor
        currencies.add(part.price.currency)
    if len(currencies) > 1:
        raise _Nothing("mixed", f"its SKUs are priced in {' and '.join(sorted(currencies))}")
    return Money(total, currencies.pop())


class _Work:
    """One listing's calculation, in major units, and the steps of it for people."""

    def __init__(self, parts: Sequence[HubPart], asked: Money, wanted: str, terms: Terms) -> None:
        self.parts = parts
        self.asked = asked
        self.wanted = wanted
        self.terms = terms
        self.pieces = sum(part.units for part in parts)
        self.steps: list[dict[str, Any]] = []

    def note(self, step: str, value: Fraction, currency: str, rule_no: int | None = None) -> None:
        """Keep a step: what was done, and what stands after it, with two digits more than can be asked."""
        line: dict[str, Any] = {"step": step, "gives": _digits(value, decimals(currency)), "currency": currency}
        self.steps.append(line if rule_no is None else {**line, "rule": rule_no})

    def rate(self, have: str, want: str) -> Fraction:
        rate = self.terms.rates.between(have, want)
        if rate is None:
            missing = self.terms.rates.missing(have, want)[0]
            raise _Nothing(
                "currency",
                f"it asks in {want}, the shop in {self.asked.currency}, and there is no rate for prices: "
                f"oneshelf rates set {missing} RATE --source WHERE",
            )
        return rate

    def out(self, said: Said | None, rounding: Said | None, formula: Formula, regular: int | None = None) -> int:
        """Return what a formula gives, in the listing's minor units, rounded and within its limits."""
        # Without an amount a formula is the same in every currency: it is worked out in the shop's.
        works_in = said.currency if said is not None and formula.has_amount and said.currency else self.asked.currency
        if regular is not None and formula.start == "price" and not formula.has_amount:
            works_in = self.wanted
        value = self.start(formula, works_in, regular)
        rule_no = said.rule_no if said is not None else None
        if said is not None:
            self.note(formula.text.split(" ")[0], value, works_in, rule_no)
        for step in formula.steps:
            value = after(step, value)
            self.note(step.text, value, works_in, rule_no)
        if works_in != self.wanted:
            value *= self.rate(works_in, self.wanted)
            self.note(f"at {self.terms.rates.words(works_in, self.wanted)}", value, self.wanted)
        if value <= 0:
            raise _Nothing("not_positive", self.not_positive(said))
        return self.within(self.to_minor(value, rounding))

    def not_positive(self, said: Said | None) -> str:
        if said is None:
            return "the shop's price is 0 or less, which is never sent"
        return f"rule {said.rule_no} ({said.text}) makes it 0 or less, which is never sent"

    def start(self, formula: Formula, works_in: str, regular: int | None) -> Fraction:
        """Return what a formula begins with. A fixed price is one piece's, as the shop's is."""
        if formula.start == "amount":
            return formula.amount * self.pieces
        if formula.start == "price" and regular is not None:
            return _major(regular, self.wanted) * self.rate(self.wanted, works_in)
        if formula.start == "cost":
            return self.cost(works_in, "the rule begins with it")
        rate, total = self.rate(self.asked.currency, works_in), Fraction(0)
        for part in self.parts:
            assert part.price is not None
            struck = part.compare_at if formula.start == "compare_at" else None
            higher = struck is not None and struck.currency == part.price.currency and struck.minor > part.price.minor
            money = struck if struck is not None and higher else part.price
            total += part.units * _major(money.minor, money.currency)
        return total * rate

    def cost(self, works_in: str, why: str) -> Fraction:
        total = Fraction(0)
        for part in self.parts:
            if part.cost is None:
                raise _Nothing("cost", f"the unit cost of {part.sku} is not known, and {why}: enter it in the shop")
            total += part.units * _major(part.cost.minor, part.cost.currency) * self.rate(part.cost.currency, works_in)
        return total

    def to_minor(self, value: Fraction, rounding: Said | None) -> int:
        """Round to what may be asked, halves up."""
        if rounding is not None:
            wish = parse_rounding(rounding.text)
            before, value = value, rounded(value, wish)
            if value != before:
                self.note(f"rounded: {wish.text}", value, self.wanted, rounding.rule_no)
            if (value * _unit(self.wanted)).denominator != 1:
                raise _Nothing("rounding", f"{wish.text} of rule {rounding.rule_no} can't be asked in {self.wanted}")
        minor = floor(value * _unit(self.wanted) + Fraction(1, 2))
        if minor <= 0:
            raise _Nothing("not_positive", f"it comes to less than the smallest amount of {self.wanted}")
        return minor

    def within(self, minor: int) -> int:
        """Bring a price within its limits: the lowest counts more than the highest, and both must be possible."""
        terms, lowest, highest = self.terms, 0, None
        which = ""
        if terms.margin is not None:
            lowest, which = self.with_margin(terms.margin), f"minimum margin {terms.margin.text} %"
        if terms.floor is not None and (least := self.limit(terms.floor, ceil)) >= lowest:
            lowest, which = least, "floor"
        if terms.ceiling is not None:
            highest = self.limit(terms.ceiling, floor)
            if lowest > highest:
                low, high = in_words(lowest, self.wanted), in_words(highest, self.wanted)
                raise _Nothing("limits", f"its {which} makes it at least {low}, and its ceiling at most {high}")
        if minor < lowest:
            rule = terms.floor if which == "floor" else terms.margin
            self.note(which, _major(lowest, self.wanted), self.wanted, rule.rule_no if rule else None)
            return lowest
        if highest is not None and minor > highest:
            assert terms.ceiling is not None
            if highest <= 0:
                raise _Nothing("limits", f"its ceiling is less than the smallest amount of {self.wanted}")
            self.note("ceiling", _major(highest, self.wanted), self.wanted, terms.ceiling.rule_no)
            return highest
        return minor

    def limit(self, said: Said, way: Callable[[Fraction], int]) -> int:
        """Return a floor or ceiling of every piece that one unit sells, in the listing's minor units."""
        amount = amount_of(said.text)
        assert amount is not None
        value = amount * self.pieces * self.rate(said.currency, self.wanted)
        return way(value * _unit(self.wanted))

    def with_margin(self, said: Said) -> int:
        """Return the lowest price of which, after the channel's fee and the cost, the margin remains."""
        margin = margin_of(said.text)
        assert margin is not None
        left = 100 - margin - self.terms.fee
        if left <= 0:
            raise _Nothing(
                "limits",
                f"a margin of {said.text} % (rule {said.rule_no}) and a fee of {_plain(self.terms.fee)} % leave nothing for its cost",
            )
        cost = self.cost(self.wanted, f"its minimum margin of {said.text} % (rule {said.rule_no}) needs it")
        return ceil(cost * 100 / left * _unit(self.wanted))

    def sale(self, sale: PriceSale, regular: int) -> int:
        """Return the price in a sale."""
        said = Said(sale.rule_no, sale.currency, sale.price)
        rounding = Said(sale.rule_no, sale.currency, sale.rounding) if sale.rounding else self.terms.rounding
        if sale.rounding == "none":
            rounding = None
        self.note("sale begins with", _major(regular, self.wanted), self.wanted, sale.rule_no)
        reduced = self.out(said, rounding, formula_of(said), regular)
        if reduced > regular:
            self.note("a sale never asks more", _major(regular, self.wanted), self.wanted, sale.rule_no)
        return min(regular, reduced)


def _unit(currency: str) -> int:
    """Return how many minor units make a major one."""
    return int(10 ** decimals(currency))


def _major(minor: int, currency: str) -> Fraction:
    return Fraction(minor, _unit(currency))


def _plain(value: Fraction) -> str:
    return f"{float(value):g}"


def _digits(value: Fraction, places: int) -> str:
    """Write an amount with as many digits as can be asked, and two more where it has them.

    >>> _digits(Fraction(55, 4), 2), _digits(Fraction(1, 3), 2)
    ('13.75', '0.3333')
    """
    scaled = floor(abs(value) * 10 ** (places + 2) + Fraction(1, 2))
    more = 2 if scaled % 100 else 0
    scaled, shown = (scaled, places + 2) if more else (scaled // 100, places)
    whole, part = divmod(scaled, 10**shown)
    text = f"{whole}.{part:0{shown}d}" if shown else str(whole)
    return f"-{text}" if value < 0 else text


# --- the band ---------------------------------------------------------------------------------------------------------


def beyond_band(asks: int | None, would_ask: int, percent: int) -> bool:
    """Whether a change is so large that a person has to agree: more than `percent` of what is asked, up or down.

    >>> beyond_band(1000, 1500, 50), beyond_band(1000, 1501, 50), beyond_band(None, 1, 50)
    (False, True, False)
    """
    return asks is not None and asks > 0 and abs(would_ask - asks) * 100 > asks * percent


# --- how urgent, how patient -------------------------------------------------------------------------------------------

#: Prices among themselves: what the shop changed goes before first fills and repairs.
PRICE_CHANGED = 5
PRICE_REPAIR = 6
#: What every price call asks the limiter with. It does not age: a price never overtakes a number.
PRICE_CALL = 6
#: The third time within this many days that somebody else's price is found stops the repairs.
REPAIR_DAYS = 7
