"""A price rule's arithmetic as the merchant writes it: formulas and roundings. Pure, exact: fractions, never floats.

In: a short text. Out: steps, and what they give. Never: evaluates anything but these few forms; knows a rule, a listing or a table.

A formula is read from left to right, one step after the other: a start (`shop`, `cost`, `compare_at`, in a sale `price`, or an amount)
and steps `* 1.4`, `/ 1.19`, `+ 3.00`, `- 0.50`, `+ 10%`, `- 10%`. A percentage is always of what stands before it. A factor after an
amount is refused: `shop + 3 * 2` would be read in two ways.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor
from typing import Literal

import msgspec

#: What a formula may begin with, beside an amount.
StartName = Literal["shop", "cost", "compare_at", "price", "amount"]
STARTS: tuple[StartName, ...] = ("shop", "cost", "compare_at", "price")
STEPS_MAX = 8
_TOKEN = re.compile(r"\s*(?:(?P<word>[a-z_]+)|(?P<sign>[-+*/×−])|(?P<number>\d+(?:\.\d+)?)(?P<percent>\s*%)?)")
_NUMBER_MAX = 10**9
_DECIMALS_MAX = 6


class Step(msgspec.Struct, frozen=True):
    """One step: times `value`, plus `value` percent of what stands before it, or plus `value` in major units of the rule's currency."""

    kind: Literal["times", "percent", "plus"]
    value: Fraction
    text: str


class Formula(msgspec.Struct, frozen=True):
    """`start` names what it begins with; `amount`: major units, only for "amount". `text`: as it is kept and shown."""

    start: StartName
    amount: Fraction
    steps: tuple[Step, ...]
    text: str

    @property
    def has_amount(self) -> bool:
        """Whether it holds an amount of money, so that it needs a currency."""
        return self.start == "amount" or any(step.kind == "plus" for step in self.steps)


def number(text: str) -> Fraction:
    """Return a plain decimal number, 0 or more. Raises ValueError with what is wrong.

    >>> number("1.40")
    Fraction(7, 5)
    """
    whole, _, part = text.partition(".")
    if not (whole.isascii() and whole.isdigit()) or ("." in text and not (part.isascii() and part.isdigit())):
        raise ValueError(f"{text!r} is no number; write it as 19.99")
    if int(whole) > _NUMBER_MAX or len(part) > _DECIMALS_MAX:
        raise ValueError(f"{text!r}: at most {_NUMBER_MAX}, with at most {_DECIMALS_MAX} decimals")
    return Fraction(text)


@lru_cache(maxsize=4096)
def parse_formula(text: str) -> Formula:
    """Return the steps of a formula. Raises ValueError with what is wrong and how to write it.

    >>> parse_formula("cost*1.4 +3.00").text
    'cost * 1.4 + 3.00'
    """
    tokens = _tokens(text)
    if not tokens:
        raise ValueError("an empty formula; write for example shop + 10%, cost * 1.4 + 3.00, or 19.99")
    start, amount, rest = tokens[0], Fraction(0), tokens[1:]
    name: StartName = next((one for one in STARTS if one == start), "amount")
    written = [start]
    if name == "amount" and start[0].isdigit() and not start.endswith("%"):
        amount = number(start)
        if amount <= 0:
            raise ValueError("a fixed price is above 0")
    elif name == "amount":
        raise ValueError(f"a formula begins with {', '.join(STARTS)} or an amount, not with {start!r}")
    steps: list[Step] = []
    while rest:
        if len(rest) < 2 or rest[0] not in "+-*/" or not rest[1][0].isdigit():
            raise ValueError(f"after {' '.join(written)!r} there must be a step such as * 1.4, + 3.00 or - 10%")
        step = _step(rest[0], rest[1])
        if step.kind == "times" and any(before.kind == "plus" for before in steps):
            raise ValueError(
                f"a factor ({step.text}) after an amount could be read in two ways: write the factor first, or a percentage"
            )
        steps.append(step)
        written.append(step.text)
        rest = rest[2:]
    if len(steps) > STEPS_MAX:
        raise ValueError(f"a formula has at most {STEPS_MAX} steps")
    return Formula(name, amount, tuple(steps), " ".join(written))


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(
                f"{text[at:].split()[0]!r} can't be read in a formula; write for example cost * 1.4 + 3.00"
            )
        if match["word"]:
            found.append(match["word"])
        elif match["sign"]:
            found.append({"×": "*", "−": "-"}.get(match["sign"], match["sign"]))
        else:
            found.append(match["number"] + ("%" if match["percent"] else ""))
        at = match.end()
    return found


def _step(sign: str, text: str) -> Step:
    value, written = number(text.removesuffix("%")), f"{sign} {text}"
    if text.endswith("%"):
        if sign not in "+-" or (sign == "-" and value >= 100):
            raise ValueError(f"{written!r}: a percentage is added or taken away, and less than 100 is taken away")
        return Step("percent", value if sign == "+" else -value, written)
    if sign in "*/":
        if value <= 0:
            raise ValueError(f"{written!r}: a factor is above 0")
        return Step("times", value if sign == "*" else 1 / value, written)
    return Step("plus", value if sign == "+" else -value, written)


def after(step: Step, value: Fraction) -> Fraction:
    """Return what a step makes of a value in major units.

    >>> after(_step("+", "10%"), Fraction(20))
    Fraction(22, 1)
    """
    if step.kind == "times":
        return value * step.value
    return value * (100 + step.value) / 100 if step.kind == "percent" else value + step.value


# --- rounding ---------------------------------------------------------------------------------------------------------

Way = Literal["nearest", "up", "down"]


class Rounding(msgspec.Struct, frozen=True):
    """The prices that may be asked: `ending` plus every whole number of `every`, major units. Halves go up. `text`: as kept."""

    every: Fraction
    ending: Fraction
    way: Way
    text: str


@lru_cache(maxsize=1024)
def parse_rounding(text: str) -> Rounding:
    """Return a rounding: `ending .99`, `ending 9.95 down`, `step 0.05 up`; the way is nearest where none is said. Raises ValueError.

    An ending repeats at the next power of ten: .99 every 1, 9.95 every 10.

    >>> parse_rounding("ending .99").every
    Fraction(1, 1)
    """
    words = text.split()
    if len(words) not in (2, 3) or words[0] not in ("ending", "step"):
        raise ValueError(f"{text!r} is no rounding; write ending .99, or step 0.05, and after it up or down")
    way = words[2] if len(words) == 3 else "nearest"
    if way not in ("nearest", "up", "down"):
        raise ValueError(f"a rounding goes nearest, up or down, not {way!r}")
    value = number(f"0{words[1]}" if words[1].startswith(".") else words[1])
    kept = f"{words[0]} {words[1]}" + ("" if way == "nearest" else f" {way}")
    if words[0] == "step":
        if value <= 0:
            raise ValueError("a step is above 0")
        return Rounding(value, Fraction(0), way, kept)  # type: ignore[arg-type]
    every = Fraction(1)
    while value >= every:
        every *= 10
    return Rounding(every, value, way, kept)  # type: ignore[arg-type]


def rounded(value: Fraction, rounding: Rounding) -> Fraction:
    """Return the price that may be asked for this one; never 0 or less: then it is the smallest that is above 0.

    >>> rounded(Fraction("13.75"), parse_rounding("ending .99"))
    Fraction(1399, 100)
    >>> rounded(Fraction("13.20"), parse_rounding("ending .99"))
    Fraction(1299, 100)
    """
    place = (value - rounding.ending) / rounding.every
    count = {"nearest": floor(place + Fraction(1, 2)), "up": ceil(place), "down": floor(place)}[rounding.way]
    found = rounding.ending + count * rounding.every
    if found > 0:
        return found
    return rounding.ending if rounding.ending > 0 else rounding.every
