"""Sums that agree to the minor unit (SEMANTICS 14.5, 14.6)."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.core.money import decimals, share_out, unit_prices


@pytest.mark.parametrize(
    ("currency", "places"), [("EUR", 2), ("HUF", 2), ("IDR", 2), ("jpy", 0), ("XPF", 0), ("TND", 3), ("CLF", 4)]
)
def test_S14_5_a_currency_has_the_decimals_of_ISO_4217(currency: str, places: int) -> None:
    assert decimals(currency) == places


totals = st.integers(-100_000, 100_000)
weights_of = st.lists(st.integers(0, 5_000), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (1999, [1, 1], [1000, 999]),
        (100, [1, 1, 1], [34, 33, 33]),
        (-100, [1, 1, 1], [-34, -33, -33]),
        (5, [3, 1], [4, 1]),
        (7, [0, 0, 0], [3, 2, 2]),
        (0, [5, 5], [0, 0]),
        (10, [0, 3], [0, 10]),
        (1, [1, 2], [0, 1]),  # remainders 1/3 and 2/3: the larger one
        (0, [], []),
    ],
)
def test_S14_6_largest_remainder(total: int, weights: list[int], parts: list[int]) -> None:
    assert share_out(total, weights) == parts


def test_nobody_to_share_with_and_weights_below_0_are_refused() -> None:
    with pytest.raises(ValueError, match="among nobody"):
        share_out(1, [])
    with pytest.raises(ValueError, match="below 0"):
        share_out(1, [1, -1])


@given(totals, weights_of)
def test_the_parts_add_up_and_none_is_a_whole_unit_from_its_exact_share(total: int, weights: list[int]) -> None:
    parts = share_out(total, weights)
    assert sum(parts) == total
    whole = sum(weights)
    exact = [Fraction(total * weight, whole) if whole else Fraction(total, len(weights)) for weight in weights]
    assert all(abs(part - share) < 1 for part, share in zip(parts, exact, strict=True))


@given(totals, weights_of)
def test_who_weighs_nothing_gets_nothing_and_signs_never_mix(total: int, weights: list[int]) -> None:
    parts = share_out(total, weights)
    if any(weights):
        assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if weight == 0)
    assert all(part * total >= 0 for part in parts)


@given(totals, weights_of)
def test_who_weighs_more_never_gets_less(total: int, weights: list[int]) -> None:
    parts = share_out(total, weights)
    for weight, part in zip(weights, parts, strict=True):
        for other, theirs in zip(weights, parts, strict=True):
            assert weight <= other or abs(part) >= abs(theirs)


@pytest.mark.parametrize(
    ("subtotal", "pieces", "pairs"),
    [
        (1999, 2, [(1, 1000), (1, 999)]),  # S14.6: 19.99 for 2 = 10.00 + 9.99
        (2000, 2, [(2, 1000)]),
        (0, 3, [(3, 0)]),
        (1, 3, [(1, 1), (2, 0)]),
        (500, 1, [(1, 500)]),
        (-5, 2, [(1, -2), (1, -3)]),
    ],
)
def test_S14_6_a_price_that_does_not_divide_becomes_two_lines(
    subtotal: int, pieces: int, pairs: list[tuple[int, int]]
) -> None:
    assert unit_prices(subtotal, pieces) == pairs


@given(totals, st.integers(1, 60))
def test_unit_prices_add_up_in_pieces_and_money_and_lie_one_unit_apart(subtotal: int, pieces: int) -> None:
    pairs = unit_prices(subtotal, pieces)
    assert sum(n for n, _ in pairs) == pieces
    assert sum(n * price for n, price in pairs) == subtotal
    assert 1 <= len(pairs) <= 2 and all(n > 0 for n, _ in pairs)
    assert max(price for _, price in pairs) - min(price for _, price in pairs) == len(pairs) - 1


@pytest.mark.parametrize("pieces", [0, -1])
def test_a_price_for_no_pieces_is_refused(pieces: int) -> None:
    with pytest.raises(ValueError, match="pieces"):
        unit_prices(100, pieces)
