"""How fast a SKU sells (SEMANTICS 3.5, 3.6): sums that only grow, looked at whenever."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.core import pace
from oneshelf.core.instants import SECOND

NOW = 1_795_443_780_000_000
S = SECOND


def burst(placed: list[int], at: int) -> float:
    """The counter by the very sums that are stored."""
    hour, total = 0, 0.0
    for when in placed:
        new = pace.hour_of(when)
        if new > hour:
            total = total * pace.BURST_FADE if new == hour + 1 else 0.0
            hour = new
        total += pace.burst_weight(when) * (pace.BURST_FADE if new == hour - 1 else 1.0)
    return pace.burst_at(total, hour, at)


def test_S3_5_a_steady_pace_is_that_pace() -> None:
    placed = range(NOW - 200 * pace.DAY, NOW, 6 * 3_600 * S)  # four a day for 200 days
    total = sum(map(pace.weight, placed))
    assert pace.rate(total, NOW - 400 * pace.DAY, NOW) * 86_400 == pytest.approx(4.0, rel=0.01)


def test_S3_5_after_a_half_life_half_is_left() -> None:
    total = pace.weight(NOW)
    at_first, later = (pace.rate(total, 0, at) for at in (NOW, NOW + 14 * pace.DAY))
    assert later == pytest.approx(at_first / 2)
    assert at_first == pytest.approx(math.log(2) / (14 * 86_400))


def test_S3_5_what_was_counted_for_a_short_time_is_held_against_that_time() -> None:
    placed = range(NOW - 2 * pace.DAY, NOW, 3_600 * S)  # one an hour for two days
    total = sum(map(pace.weight, placed))
    assert pace.rate(total, NOW - 2 * pace.DAY, NOW) * 3_600 == pytest.approx(1.0, rel=0.03)
    one = pace.rate(pace.weight(NOW), NOW - 60 * S, NOW)  # one sale in the first minute is about one a day
    assert one * 86_400 == pytest.approx(1.0, rel=0.03)


def test_S3_5_who_sold_nothing_has_no_pace_and_half_a_piece_has_half_a_pace() -> None:
    assert pace.rate(0.0, 0, NOW) == 0.0
    assert 0.0 < pace.rate(0.5, 0, NOW) == pytest.approx(pace.rate(1.0, 0, NOW) / 2)


def test_S3_6_after_half_a_day_a_burst_is_nothing_at_all() -> None:
    hour = pace.hour_of(NOW)
    at_11, at_12_30 = (pace.burst_at(5.0, hour, hour * 3_600 * S + age_s * S) for age_s in (39_600, 45_000))
    assert at_11 > 0.0 == at_12_30


@given(st.lists(st.integers(NOW - 3 * 3_600 * S, NOW), max_size=8))
def test_S3_6_the_counter_is_the_same_in_any_order_of_arrival(placed: list[int]) -> None:
    wanted = sum(math.exp(-(NOW - when) / S / 300) for when in placed)
    assert burst(sorted(placed), NOW) == pytest.approx(wanted, rel=1e-4, abs=1e-4)


def test_S3_6_the_counter_runs_over_the_hour() -> None:
    hour = NOW // (3_600 * S) * 3_600 * S
    placed = [hour - 2 * S, hour - S, hour + S]
    assert burst(placed, hour + 2 * S) == pytest.approx(3.0, rel=0.02)
    assert burst(placed, hour + 302 * S) == pytest.approx(3.0 / math.e, rel=0.02)


@pytest.mark.parametrize(
    ("counter", "normal", "factor"),
    [
        (3.0, 1e-5, 1000.0),
        (2.99, 1e-5, 1.0),
        (6.0, 0.005, 1.0),
        (6.0, 0.0049, pytest.approx(4.0816, rel=1e-3)),
        (9.0, 0.0, 1.0),
    ],
)
def test_S3_6_at_least_three_and_more_than_four_times_normal(counter: float, normal: float, factor: float) -> None:
    assert pace.burst_factor(counter, normal) == pytest.approx(factor)


def test_S3_5_the_median_counts_those_that_sell_nothing() -> None:
    assert [pace.median([5.0, 1.0, 3.0], n) for n in (3, 4, 5, 6)] == [3.0, 1.0, 1.0, 0.0]
    assert pace.median([], 0) == 0.0


def test_S3_8_between_two_steps_time_stands_still() -> None:
    assert pace.step_of(NOW) == pace.step_of(NOW + 29 * S - NOW % (30 * S))
    assert pace.step_of(NOW) + 30 * S == pace.step_of(NOW + 30 * S)
    assert pace.day_of(NOW) == pace.day_of(pace.day_of(NOW) + pace.DAY - 1)


def test_a_weight_fits_for_decades() -> None:
    forty_years = NOW + 365 * 38 * pace.DAY
    assert all(math.isfinite(pace.weight(at)) for at in (0, NOW, forty_years))
    assert list(itertools.accumulate([pace.weight(forty_years)] * 2))[-1] < math.inf
