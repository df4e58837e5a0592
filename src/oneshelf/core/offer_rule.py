"""One rule for offers, and the numbers that it gives at a level of stock (SEMANTICS 2.1, 2.4, 2.8). Pure.

In: a rule, K. Out: the numbers in force. Which rule speaks is decided by core/precedence; what an outlet may show, by core/offer.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .offer import NO_CAP, OfferPolicy
from .precedence import Selector

#: Larger numbers than this are a mistake of somebody's.
PIECES_MAX = 1_000_000_000


class Numbers(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a rule says. Pieces, except `min_show` and `exactly` (listings) and `safety_percent` (0 to 100 of K are offered at most;
    None: all). `cap` None: no cap.

    `exactly`: the listing shows this number as long as buffer and stock allow; then nothing is set aside for the other channels,
    because all beyond it is. `adaptive` False: the fixed buffer only, nothing is set aside. `cap_auto`: the cap follows the pace (S2.8), if no fixed one is smaller.
    """

    safety_stock: int = 0
    safety_percent: int | None = None
    cap: int | None = None
    exactly: int | None = None
    min_show: int = 1
    adaptive: bool = True
    cap_auto: bool = False

    @property
    def sets_aside(self) -> bool:
        """Whether pieces are set aside for what other channels may sell (S2.2)."""
        return self.adaptive and self.exactly is None

    def policy(
        self, *, units_per_listing: int, channel_max: int, auto_cap: int, closed: bool, wider: int = 0
    ) -> OfferPolicy:
        """Return what core/offer takes. `auto_cap`: the pace's cap in pieces (S2.8); `closed`: the outlet is to show 0 (S8.14);
        `wider`: pieces kept off beside the buffer, for a while."""
        cap = NO_CAP if self.cap is None else self.cap
        if self.cap_auto:
            cap = min(cap, auto_cap)
        return OfferPolicy(
            safety_stock=self.safety_stock + wider,
            safety_percent=self.safety_percent,
            cap=0 if closed else cap,
            units_per_listing=units_per_listing,
            channel_max=channel_max,
            min_show=self.min_show,
            exactly=self.exactly,
        )


PLAIN = Numbers()


class OfferRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule. `low` holds instead of `numbers` while K is `low_at` pieces or fewer (None: never).

    `except_locations`: locations whose pieces these outlets don't offer, beside those that don't serve the account (S2.14).
    """

    selector: Selector = Selector()
    numbers: Numbers = PLAIN
    low_at: int | None = None
    low: Numbers = PLAIN
    except_locations: tuple[str, ...] = ()

    def is_low(self, available: int) -> bool:
        return self.low_at is not None and available <= self.low_at

    def numbers_at(self, available: int) -> Numbers:
        """Return what holds at this K (pieces, may be negative).

        >>> rule = OfferRule(numbers=Numbers(safety_stock=1), low_at=5, low=Numbers(safety_stock=3))
        >>> rule.numbers_at(6).safety_stock, rule.numbers_at(5).safety_stock
        (1, 3)
        """
        return self.low if self.is_low(available) else self.numbers


#: Where no rule fits.
NO_RULE = OfferRule()


def check(rule: OfferRule) -> None:
    """Raise ValueError with words if a rule can't be one. The selector is checked by core/precedence."""
    for numbers, where in ((rule.numbers, ""), (rule.low, " of low stock")):
        _check(numbers, where)
    if rule.low_at is None and rule.low != PLAIN:
        raise ValueError("numbers for low stock need the level from which they hold")
    if rule.low_at is not None and not 0 <= rule.low_at <= PIECES_MAX:
        raise ValueError("low stock begins at 0 pieces or more")


def _check(numbers: Numbers, where: str) -> None:
    least: dict[str, tuple[Any, int]] = {
        "the safety stock": (numbers.safety_stock, 0),
        "the cap": (numbers.cap, 0),
        "the exact number": (numbers.exactly, 0),
        "the smallest number shown": (numbers.min_show, 1),
    }
    for name, (value, low) in least.items():
        if value is not None and not low <= value <= PIECES_MAX:
            raise ValueError(f"{name}{where} is {low} or more, got {value}")
    if numbers.safety_percent is not None and not 0 <= numbers.safety_percent <= 100:
        raise ValueError(f"a percentage{where} is 0 to 100, got {numbers.safety_percent}")
