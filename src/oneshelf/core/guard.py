"""When a change is so large that a person looks at it first: how many listings of an account it would put to 0, or multiply. Pure.

In: what listings show and would show. Out: counts, and an alarm in words. Never: decides what is done about it (publish/guard).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

PERCENT = 20
LEAST = 10
FACTOR = 3
#: The least that counts as multiplied, whatever the merchant says.
FACTOR_MIN = 2
HOLD_S = 900

Way = Literal["zero", "multiply"]


class Limits(msgspec.Struct, frozen=True):
    """When the guard speaks: more than `percent` of an account's listings, and at least `least` of them, would go to 0 or show `factor`
    times as much or more. `hold_s`: how long a flood of zeros from the shop waits for a person before it goes out all the same, seconds.
    `on` False: never."""

    on: bool = True
    percent: int = PERCENT
    least: int = LEAST
    factor: int = FACTOR
    hold_s: int = HOLD_S


class Weighed(msgspec.Struct, frozen=True):
    """What a change does to an account's `listings`: how many of them go each way. `multiplied` are among `higher`."""

    listings: int
    to_zero: int = 0
    lower: int = 0
    higher: int = 0
    multiplied: int = 0


def check(limits: Limits) -> None:
    """Raise ValueError with words."""
    if not 0 <= limits.percent <= 100:
        raise ValueError("a percentage is 0 to 100")
    if limits.least < 1 or limits.factor < FACTOR_MIN:
        raise ValueError(f"at least 1 listing, and at least {FACTOR_MIN} times as much")
    if not 0 <= limits.hold_s <= 86_400:
        raise ValueError("zeros wait for a day at most")


def way_of(was: int, would: int, factor: int) -> Way | None:
    """Return which of the two dangerous ways a number goes; None: neither. From 0 nothing multiplies."""
    if was > 0 and would == 0:
        return "zero"
    return "multiply" if was > 0 and would >= factor * was else None


def weigh(numbers: Iterable[tuple[int, int]], listings: int, factor: int = FACTOR) -> Weighed:
    """Count. `numbers`: (was, would) of the listings that are concerned; `listings`: all that the account has.

    >>> weigh([(5, 0), (5, 4), (1, 9), (2, 2)], 50)
    Weighed(listings=50, to_zero=1, lower=1, higher=1, multiplied=1)
    """
    to_zero = lower = higher = multiplied = 0
    for was, would in numbers:
        way = way_of(was, would, factor)
        to_zero += way == "zero"
        multiplied += way == "multiply"
        lower += 0 < would < was
        higher += would > was
    return Weighed(listings, to_zero, lower, higher, multiplied)


def is_too_many(count: int, listings: int, limits: Limits) -> bool:
    """Whether so many of an account's listings are more than goes out unasked."""
    return limits.on and count >= limits.least and count * 100 > listings * limits.percent


def alarm(weighed: Weighed, limits: Limits) -> str:
    """Return what a person should look at first, in words; "" if nothing."""
    words = []
    if is_too_many(weighed.to_zero, weighed.listings, limits):
        words.append(f"{weighed.to_zero} of {weighed.listings} listings would show 0")
    if is_too_many(weighed.multiplied, weighed.listings, limits):
        words.append(
            f"{weighed.multiplied} of {weighed.listings} listings would show {limits.factor} times as much or more"
        )
    return " and ".join(words)
