"""The least time that a channel's limits allow for some calls."""

from __future__ import annotations

from collections import Counter

from oneshelf.channels.contract import RateLimit
from oneshelf.demo.catalogue import bound_s

SLOW = RateLimit(name="slow", operations=("search",), source="test", rate_per_s=5, burst=10)
DAY = RateLimit(name="day", operations=("*",), source="test", per_day=100)
COSTS = RateLimit(name="cost", operations=("*",), source="test", rate_per_s=100, burst=2000)


def test_what_exceeds_a_burst_waits_for_its_refill() -> None:
    assert bound_s([SLOW], Counter(search=10), Counter(search=10)) == 0
    assert bound_s([SLOW], Counter(search=5000), Counter(search=5000, other=7)) == 998


def test_a_bucket_of_costs_counts_costs_and_one_of_calls_counts_calls() -> None:
    calls, cost = Counter(export=2), Counter(export=3000)
    assert bound_s([COSTS], calls, cost) == 10
    by_calls = RateLimit(name="c", operations=("*",), source="test", rate_per_s=1, burst=1, counts="calls")
    assert bound_s([by_calls], calls, cost) == 1


def test_what_a_day_does_not_hold_takes_another() -> None:
    assert bound_s([DAY], Counter(search=100), Counter(search=100)) == 0
    assert bound_s([DAY], Counter(search=200), Counter(search=200)) == 86_400
    assert bound_s([DAY], Counter(search=250), Counter(search=250)) == 2 * 86_400
