"""What others may sell before we can react, and what each outlet may count on (SEMANTICS 2.2, 2.3, 2.6, 2.7, 2.9). Pure.

In: K, and of everybody who sells the SKU how fast and how late. Out: per outlet what to set aside, and its fair share.
Never: knows a channel by name, a clock or a table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import msgspec

from .offer import Others

#: S2.6: how often a stock-out may end in an oversell, and how uneven sales are (variance = mean + dispersion × mean²; 0: Poisson).
EPSILON = 0.01
DISPERSION = 0.25
#: S2.7: a merchant's money moves ε between these.
EPSILON_MIN = 0.001
EPSILON_MAX = 0.1

#: Up to this mean the quantile is walked to exactly; beyond it grows in proportion, which is never too little.
MEAN_WALKED_MAX = 20_000.0
#: The walk begins so many standard deviations below the mean; what lies before weighs less than a double can hold.
_DEVIATIONS = 12.0


class Risk(msgspec.Struct, frozen=True):
    """How much a merchant lets happen: `epsilon` per stock-out, `dispersion` of his sales."""

    epsilon: float = EPSILON
    dispersion: float = DISPERSION


NO_WORD = Risk()

Key = TypeVar("Key")


def epsilon_of_money(margin_minor: int, oversold_minor: int) -> float:
    """S2.7: ε = m / (m + o), within EPSILON_MIN and EPSILON_MAX.

    `margin_minor`: what is lost if a piece stays unsold; `oversold_minor`: what one oversold order costs; same currency, 0 or more, not
    both 0. Raises ValueError otherwise.

    >>> epsilon_of_money(100, 2400)
    0.04
    """
    if margin_minor < 0 or oversold_minor < 0 or margin_minor + oversold_minor == 0:
        raise ValueError("the margin and the cost of an oversold order are 0 or more, and not both 0")
    return min(EPSILON_MAX, max(EPSILON_MIN, margin_minor / (margin_minor + oversold_minor)))


@lru_cache(maxsize=65_536)
def quantile(mean: float, epsilon: float = EPSILON, dispersion: float = DISPERSION) -> int:
    """Return Q(mean) of S2.6: the smallest whole b ≥ 0 with P(X > b) ≤ ε, X negative binomial with this mean and variance
    `mean + dispersion × mean²` (Poisson for dispersion 0).

    Raises ValueError for a mean below 0, an ε not between 0 and 1, a dispersion below 0.

    >>> [quantile(m) for m in (0.005, 0.0101, 0.5, 20.0)]
    [0, 1, 3, 53]
    """
    if not mean >= 0.0 or not 0.0 < epsilon < 1.0 or not dispersion >= 0.0:
        raise ValueError(f"no quantile of mean {mean}, ε {epsilon}, dispersion {dispersion}")
    if mean == 0.0:
        return 0
    if mean > MEAN_WALKED_MAX:
        return math.ceil(quantile(MEAN_WALKED_MAX, epsilon, dispersion) * (mean / MEAN_WALKED_MAX))
    deviation = math.sqrt(mean + dispersion * mean * mean)
    b = max(0, math.floor(mean - _DEVIATIONS * deviation))
    chance = math.exp(_log_chance(b, mean, dispersion))
    so_far, wanted = chance, 1.0 - epsilon
    # P(b + 1) = P(b) × (mean + b × dispersion × mean) ÷ (b + 1) ÷ (1 + dispersion × mean); for dispersion 0 that is Poisson's.
    spread = 1.0 + dispersion * mean
    while so_far < wanted:
        chance *= mean * (1.0 + b * dispersion) / ((b + 1) * spread)
        b += 1
        so_far += chance
        if chance < 1e-18 and b > mean:  # rounding may leave the sum just below 1 − ε for an ε near 0
            break
    return b


def _log_chance(b: int, mean: float, dispersion: float) -> float:
    """Return log P(X = b)."""
    if dispersion * mean < 1e-9:
        return b * math.log(mean) - mean - math.lgamma(b + 1)
    size = 1.0 / dispersion
    spread = dispersion * mean
    log_none = -size * math.log1p(spread)
    if b == 0:
        return log_none
    return (
        math.lgamma(b + size)
        - math.lgamma(size)
        - math.lgamma(b + 1)
        + log_none
        + b * (math.log(spread) - math.log1p(spread))
    )


class Seller(msgspec.Struct, frozen=True):
    """Somebody who sells the SKU. `v`: pieces a second; `notice_s` (n) and `publish_s` (p): S3.1, S3.4.

    `rank`: who goes first among equals (S6.2), unique among the sellers of a SKU. `absolute`: takes only whole numbers, so that its
    own sales during a write are overwritten.
    """

    rank: tuple[int, ...]
    v: float
    notice_s: float
    publish_s: float
    absolute: bool = True


def shares_of(pieces: int, weights: Sequence[tuple[tuple[int, ...], float]]) -> list[int]:
    """Share `pieces` (0 or more) out by largest remainder; the shares add up to `pieces`. All weights 0: equal; ties: lower rank first.

    `weights`: (rank, weight), ranks unique.

    >>> shares_of(2, [((0,), 1.0), ((1,), 1.0), ((2,), 1.0)])
    [1, 1, 0]
    """
    if not weights:
        return []
    total = math.fsum(weight for _, weight in weights)
    parts = [weight / total if total > 0.0 else 1.0 / len(weights) for _, weight in weights]
    # Exact halves and thirds must tie whatever the last bit says, so that the rank decides.
    exact = [round(pieces * part, 9) for part in parts]
    shares = [math.floor(one) for one in exact]
    left = pieces - sum(shares)
    order = sorted(range(len(weights)), key=lambda i: (-round(exact[i] - shares[i], 9), weights[i][0]))
    for i in order[:left]:
        shares[i] += 1
    return shares


def plan(k: int, hub: Seller | None, outlets: Mapping[Key, Seller], risk: Risk = NO_WORD) -> dict[Key, Others]:
    """Return what each outlet must leave to the others, and what it may show all the same (S2.2, S2.3). The hub is served first.

    `k`: available pieces, may be negative. `hub` None: there is none that sells.
    """
    every = [*outlets.values(), *([hub] if hub is not None else [])]
    total_v = math.fsum(one.v for one in every)
    total_heard = math.fsum(one.v * one.notice_s for one in every)
    p_max = max((one.publish_s for one in outlets.values()), default=0.0)

    def q(mean: float) -> int:
        return quantile(max(0.0, mean), risk.epsilon, risk.dispersion)

    hub_sells = q(hub.v * (hub.notice_s + p_max)) if hub is not None else 0
    rest = max(0, k - hub_sells)
    shares = shares_of(rest, [(c.rank, c.v / (c.notice_s + c.publish_s)) for c in outlets.values()])
    found = {}
    for (key, c), share in zip(outlets.items(), shares, strict=True):
        others = (total_heard - c.v * c.notice_s) + (total_v - c.v) * c.publish_s
        own = c.v * c.publish_s if c.absolute else 0.0
        mean = max(0.0, others) + own
        own_pieces = q(own)
        found[key] = Others(
            reserve=q(mean),
            floor=max(0, share - own_pieces),
            mean=mean,
            share=share,
            own=own_pieces,
        )
    return found


def plan_strict(k: int, hub: Seller | None, outlets: Mapping[Key, Seller]) -> tuple[int, dict[Key, Others]]:
    """Return (the hub's share, each outlet's) of a strict SKU: shares of K by velocity, hub included, that add up to max(0, K) (S2.9)."""
    every = [*outlets.values(), *([hub] if hub is not None else [])]
    shares = shares_of(max(0, k), [(one.rank, one.v) for one in every])
    found = {
        key: Others(reserve=max(0, k) - share, floor=share, share=share, strict=True)
        for key, share in zip(outlets, shares, strict=False)
    }
    return (shares[-1] if hub is not None else 0), found


def auto_cap(seller: Seller) -> int:
    """S2.8: `max(20, 4 × v × (n + p))`, in pieces, rounded up.

    >>> auto_cap(Seller((0,), 0.1, 60.0, 40.0))
    40
    """
    return max(20, math.ceil(round(4.0 * seller.v * (seller.notice_s + seller.publish_s), 9)))
