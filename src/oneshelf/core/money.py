"""Sums that must agree to the minor unit (SEMANTICS 14.5, 14.6)."""

from __future__ import annotations

from collections.abc import Sequence

#: Decimals of the currencies that have not two. Source: ISO 4217 list one (SIX), read 2026-11; BYR left it in 2017 and is still written.
_DECIMALS = {
    **dict.fromkeys(
        [
            "BIF",
            "BYR",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}


def decimals(currency: str) -> int:
    """Return how many decimals the currency's minor unit has.

    >>> decimals("EUR"), decimals("JPY"), decimals("KWD")
    (2, 0, 3)
    """
    return _DECIMALS.get(currency.upper(), 2)


def in_words(minor: int | None, currency: str) -> str:
    """Return an amount for people.

    >>> in_words(1250, "EUR"), in_words(1250, "JPY"), in_words(None, "EUR")
    ('12.50 EUR', '1250 JPY', 'no price')
    """
    if minor is None:
        return "no price"
    places = decimals(currency)
    whole, part = divmod(abs(minor), 10**places)
    text = f"{whole}.{part:0{places}d}" if places else str(whole)
    return f"{'-' if minor < 0 else ''}{text} {currency}".rstrip()


def share_out(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` minor units by weights, by largest remainder; the parts add up to `total`. All weights 0: evenly.

    >>> share_out(1999, [1, 1])
    [1000, 999]
    >>> share_out(-5, [3, 1])
    [-4, -1]
    """
    if not weights:
        if total:
            raise ValueError(f"{total} can't be shared out among nobody")
        return []
    if any(weight < 0 for weight in weights):
        raise ValueError(f"a weight below 0 in {list(weights)}")
    if total < 0:
        return [-part for part in share_out(-total, weights)]
    whole = sum(weights)
    if whole == 0:
        weights, whole = [1] * len(weights), len(weights)
    parts = [total * weight // whole for weight in weights]
    left = total - sum(parts)
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in by_remainder[:left]:
        parts[i] += 1
    return parts


def unit_prices(subtotal_minor: int, pieces: int) -> list[tuple[int, int]]:
    """Return (pieces, unit price) pairs that add up to `subtotal_minor`: one pair if it divides, else two, one minor unit apart.

    >>> unit_prices(1999, 2)
    [(1, 1000), (1, 999)]
    """
    if pieces <= 0:
        raise ValueError(f"a price for {pieces} pieces")
    low, more = divmod(subtotal_minor, pieces)
    if not more:
        return [(pieces, low)]
    return [(more, low + 1), (pieces - more, low)]
