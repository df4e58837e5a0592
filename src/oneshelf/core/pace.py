"""How fast a SKU sells (SEMANTICS 3.5 to 3.7), from two sums that only ever grow. Pure. Instants are microseconds, rates a second.

Every sale is counted with a weight that grows with its instant, and the sum is divided by the weight of the instant at which it is
looked at ("forward decay"): nothing is ever faded in place, so that counting is one addition, in any order of arrival.

Time passes in steps: normal velocities stand still within a day (UTC), bursts within BURST_STEP_S. What depends on time alone changes at
a step and is planned again there (S3.8); between two steps the same facts give the same offers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from .instants import SECOND

DAY = 86_400 * SECOND
#: S3.5.
HALF_LIFE = 14 * DAY
#: S3.6: the time constant of the burst counter, and when it says that something is going on.
BURST_TAU_S = 300.0
BURST_MIN = 3.0
BURST_TIMES = 4.0
#: Bursts are looked at in steps of this (S3.8).
BURST_STEP_S = 30
#: A velocity that was counted for less than this is taken to be that old: one sale in the first minute is no rate of one a minute.
COUNTED_MIN = DAY

#: 2026-01-01. A weight fits a double for about forty years from here.
_LANDMARK = 1_767_225_600 * SECOND
#: A burst sum counts from the start of its own hour; carried over into the next hour it weighs this.
_HOUR = 3_600 * SECOND
BURST_FADE = math.exp(-3_600 / BURST_TAU_S)


def weight(at: int) -> float:
    """Return what a sale at this instant weighs in the sums of orders and pieces."""
    return float(2.0 ** ((at - _LANDMARK) / HALF_LIFE))


def hour_of(at: int) -> int:
    """Return the number of the hour to which a burst sum belongs."""
    return at // _HOUR


def burst_weight(at: int) -> float:
    """Return what a sale at this instant weighs in the burst sum of its hour."""
    return math.exp((at - hour_of(at) * _HOUR) / SECOND / BURST_TAU_S)


def burst_at(total: float, hour: int, at: int) -> float:
    """Return the burst counter at an instant: sales of the last minutes, decayed with BURST_TAU_S. `total`, `hour`: as stored."""
    age_s = (at - hour * _HOUR) / SECOND
    return 0.0 if age_s > 12 * 3_600 else total * math.exp(-age_s / BURST_TAU_S)


def day_of(at: int) -> int:
    """Return the instant at which normal velocities were last looked at: the start of the UTC day."""
    return at // DAY * DAY


def step_of(at: int) -> int:
    """Return the instant at which bursts, blindness and announced sales were last looked at."""
    step = BURST_STEP_S * SECOND
    return at // step * step


def rate(total: float, counted_since: int, at: int) -> float:
    """Return sales a second at an instant, from a sum counted since `counted_since`.

    A steady pace v counted long enough gives v × half-life ÷ ln 2; what was counted for a shorter time is held against that time.
    """
    if total <= 0.0:
        return 0.0
    age = max(COUNTED_MIN, at - counted_since)
    full: float = 1.0 - 2.0 ** (-age / HALF_LIFE)
    per_half_life: float = total / weight(at) * math.log(2.0) / full
    return per_half_life * SECOND / HALF_LIFE


class Sold(msgspec.Struct, frozen=True):
    """What one outlet has sold of a SKU, as stored: weighted orders and pieces, and the burst sum with its hour."""

    orders: float = 0.0
    pieces: float = 0.0
    burst: float = 0.0
    burst_hour: int = 0


def burst_factor(counter: float, normal: float) -> float:
    """S3.6: by how much all velocities of a SKU are multiplied; 1 unless the counter is ≥ BURST_MIN and more than BURST_TIMES the
    normal number of orders in BURST_TAU_S. `normal`: orders a second.

    >>> burst_factor(6.0, 0.005), burst_factor(6.0, 0.004), burst_factor(2.9, 0.0001)
    (1.0, 5.0, 1.0)
    """
    if counter < BURST_MIN or normal <= 0.0 or counter <= BURST_TIMES * normal * BURST_TAU_S:
        return 1.0
    return counter / BURST_TAU_S / normal


def median(rates: Iterable[float], count: int) -> float:
    """Return the median of `count` rates of which only those above 0 are given.

    >>> median([3.0, 1.0, 2.0], 4), median([1.0], 3)
    (1.0, 0.0)
    """
    known = sorted(rates)
    middle = (count - 1) // 2 - (count - len(known))
    return known[middle] if 0 <= middle < len(known) else 0.0
