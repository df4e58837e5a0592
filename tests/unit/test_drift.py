"""What reads mean (SEMANTICS 8.4, 9.2 to 9.4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.core.drift import Sales, Verdict, judge, judge_unit, judge_write


def test_sales_count_after_one_instant_and_until_another() -> None:
    sales = Sales(((10, 1), (20, 2), (30, 4)))
    assert sales.between(10) == 6
    assert sales.between(9) == 7
    assert sales.between(10, 20) == 2
    assert sales.between(30) == 0


@pytest.mark.parametrize(
    ("seen", "believed", "certain", "possible", "verdict"),
    [
        (5, None, 0, 0, Verdict("first")),
        (5, 5, 0, 0, Verdict("echo")),
        (3, 5, 2, 2, Verdict("echo")),
        (3, 5, 1, 3, Verdict("echo")),
        (3, 5, 0, 0, Verdict("missing", 2)),
        (3, 5, 1, 1, Verdict("missing", 1)),
        (7, 5, 0, 0, Verdict("excess", 2)),
        (5, 5, 2, 2, Verdict("excess", 2)),
        (0, 2, 5, 5, Verdict("echo")),  # what is shown is never below 0
    ],
)
def test_a_read_without_a_write_under_way(
    seen: int, believed: int | None, certain: int, possible: int, verdict: Verdict
) -> None:
    assert judge(seen, believed, certain=certain, possible=possible) == verdict


@pytest.mark.parametrize(
    ("seen", "sent", "base", "ambiguous", "verdict"),
    [
        (5, 5, 2, 0, Verdict("seen")),
        (4, 5, 2, 1, Verdict("seen")),  # sold one since
        (2, 5, 2, 0, Verdict("not_yet")),
        (1, 5, 2, 1, Verdict("not_yet")),
        (4, 5, 2, 0, Verdict("seen", 1)),  # landed, and one was sold that nobody told
        (1, 5, 2, 0, Verdict("not_yet")),  # not landed, one unheard: the next read tells
        (0, 0, 3, 0, Verdict("seen")),
        (3, 0, 3, 0, Verdict("not_yet")),
        (2, 0, 3, 1, Verdict("not_yet")),
        (3, 4, 3, 1, Verdict("doubtful")),  # not landed, or landed and one sold
        (3, 3, 3, 0, Verdict("doubtful")),  # a sibling of the number that changed: the same before and after
        (2, 3, 5, 0, Verdict("seen", 1)),
        (4, 3, 5, 0, Verdict("not_yet")),
        (9, 3, 5, 0, Verdict("not_yet")),
        (2, 5, 5, 0, Verdict("seen", 3)),  # the write changed nothing: what is missing is missing beside it
        (2, 3, None, 0, Verdict("seen", 1)),
        (4, 3, None, 0, Verdict("not_yet")),
    ],
)
def test_S8_4_a_read_while_a_write_is_not_yet_seen(
    seen: int, sent: int, base: int | None, ambiguous: int, verdict: Verdict
) -> None:
    assert judge_write(seen, sent=sent, base=base, ambiguous=ambiguous) == verdict


counts = st.integers(0, 30)


@given(counts, counts, counts, counts)
def test_S8_4_what_own_sales_explain_is_never_missing(sent: int, base: int, ambiguous: int, sold: int) -> None:
    """Applied, with any part of the ambiguous sales after it: seen, and nothing is held for orders that are here already."""
    seen = max(0, sent - min(sold, ambiguous))
    verdict = judge_write(seen, sent=sent, base=base, ambiguous=ambiguous)
    assert verdict.kind in ("seen", "doubtful") and verdict.units == 0
    assert (verdict.kind == "doubtful") == (base - ambiguous <= seen <= base)


@given(counts, counts, counts, counts)
def test_S8_4_missing_is_what_neither_the_number_nor_own_sales_explain(
    seen: int, sent: int, base: int, ambiguous: int
) -> None:
    verdict = judge_write(seen, sent=sent, base=base, ambiguous=ambiguous)
    if verdict.kind == "seen":
        assert verdict.units == max(0, sent - seen - ambiguous)


@given(counts, counts, counts, counts)
def test_a_read_is_explained_by_the_smallest_claim(seen: int, believed: int, certain: int, more: int) -> None:
    verdict = judge(seen, believed, certain=certain, possible=certain + more)
    low, high = max(0, believed - certain - more), max(0, believed - certain)
    explained = {"missing": low - seen, "excess": seen - high, "echo": 0}[verdict.kind]
    assert verdict.units == explained >= 0
    assert (verdict.kind == "echo") == (low <= seen <= high)


def test_S8_15_a_unit_has_landed_when_none_that_changed_shows_the_old_number() -> None:
    seen, not_yet, doubtful = Verdict("seen"), Verdict("not_yet"), Verdict("doubtful")
    assert judge_unit([(seen, True), (doubtful, False)]) == "landed"
    assert judge_unit([(not_yet, True), (seen, True)]) == "not_yet"
    assert judge_unit([(seen, True), (not_yet, False)]) == "landed"
    assert judge_unit([(doubtful, True), (doubtful, False)]) == "doubtful"
