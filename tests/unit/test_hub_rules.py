"""What the hub ought to show and how a read of it is judged (SEMANTICS 9.5)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.core.hub import CALLS_JUDGED_MAX, Apart, Judgement, apart, expected, explained, judge

changes_of = st.lists(st.integers(-4, 4), max_size=6)


@pytest.mark.parametrize(
    ("available", "counted", "claimed", "held_back", "shows"),
    [
        (0, 1, 0, 0, 1),  # last unit: Amazon's pending is heard, nothing held yet
        (0, 1, 1, 0, 0),  # held
        (0, 1, 2, 0, -1),  # held and imported: both
        (-1, 2, 1, 0, 0),  # same second: one imported, the hold of the other refused
        (5, 0, 0, 2, 3),  # a strict SKU keeps two back
        (-1, 0, 0, 0, -1),  # never lifted from −1 to 0 (S2)
    ],
)
def test_S9_5_expected(available: int, counted: int, claimed: int, held_back: int, shows: int) -> None:
    assert expected(available, counted, claimed, held_back) == shows
    assert held_back or expected(available, counted, claimed) == shows


def test_S15_echo_first_an_import_under_way_explains_both_numbers() -> None:
    assert explained(10, [-1]) == {10, 9}
    assert judge(9, 10, [-1]) == Judgement(off=0, settled=False)
    assert judge(10, 10, [-1]) == Judgement(off=0, settled=False)
    assert judge(9, 9, []) == Judgement(off=0, settled=True)
    assert judge(9, 9, [0]) == Judgement(off=0, settled=True)


def subsets(value: int, changes: list[int]) -> set[int]:
    return {value + sum(chosen) for n in range(len(changes) + 1) for chosen in itertools.combinations(changes, n)}


@given(st.integers(-20, 20), changes_of)
def test_every_subset_of_the_calls_in_flight_is_explained(value: int, changes: list[int]) -> None:
    assert explained(value, changes) == subsets(value, changes)


@given(st.integers(-30, 30), st.integers(-20, 20), changes_of)
def test_a_read_beside_all_explained_values_is_off_by_its_distance_to_the_nearest(
    read: int, value: int, changes: list[int]
) -> None:
    verdict = judge(read, value, changes)
    assert verdict is not None
    values = subsets(value, changes)
    distance = min(abs(read - v) for v in values)
    assert abs(verdict.off) == distance
    assert read - verdict.off in values
    assert verdict.settled == (distance == 0 and not any(changes))
    if distance and read - distance in values and read + distance in values:
        assert verdict.off == -distance  # in doubt a sale unheard, never a piece that appeared


def test_between_two_equally_near_values_it_is_a_sale_unheard_and_never_a_piece_that_appeared() -> None:
    assert explained(4, [2]) == {4, 6}
    assert judge(5, 4, [2]) == Judgement(off=-1, settled=False)


def test_more_calls_than_can_be_judged_are_not_judged() -> None:
    assert explained(0, [1] * CALLS_JUDGED_MAX) == set(range(CALLS_JUDGED_MAX + 1))
    assert explained(0, [1] * (CALLS_JUDGED_MAX + 1)) is None
    assert judge(0, 0, [1] * (CALLS_JUDGED_MAX + 1)) is None
    assert judge(0, 0, [0] * (CALLS_JUDGED_MAX + 1)) == Judgement(off=0, settled=True)  # calls that change nothing


@given(
    carried=st.lists(st.integers(-4, 4), min_size=2, max_size=4),
    served=st.lists(st.integers(-4, 4), min_size=4, max_size=4),
    held=st.lists(st.integers(0, 3), min_size=4, max_size=4),
)
def test_S5_7_what_goes_together_is_told_apart_by_the_pieces_on_hand(
    carried: list[int], served: list[int], held: list[int]
) -> None:
    """Pieces were carried and counted, and orders that we know of are served from elsewhere; some of it was reserved on suspicion."""
    places = [f"L{n}" for n in range(len(carried))]
    served = served[: len(places) - 1]
    served.append(-sum(served))
    lies = dict(zip(places, carried, strict=True))
    offs = {place: lies[place] - more + on_hold for place, more, on_hold in zip(places, served, held, strict=False)}
    found = apart(offs, dict(zip(places, held, strict=False)), lies)
    if found is None:  # nothing differs, or what is fewer may be a sale: that is never explained away
        assert not any(lies[p] - s for p, s in zip(places, served, strict=True)) or (
            sum(carried) and min(offs.values()) < 0
        )
        return
    assert {place: one.on_hand for place, one in found.items()} == lies
    assert [one.committed for one in found.values()] == served and sum(served) == 0


def test_S5_7_without_a_word_of_the_pieces_on_hand_all_counts_as_carried() -> None:
    """A parcel from A has left that we have not heard of."""
    assert apart({"A": -2, "B": 2}, {}, {"A": -3, "B": 2}) == {"A": Apart(-2, 0), "B": Apart(2, 0)}


@pytest.mark.parametrize(
    ("offs", "lies"),
    [
        ({"A": 0, "B": 0}, {"A": 0, "B": 0}),
        ({"A": 3, "B": -1}, {"A": 3, "B": -1}),  # carried, it may be; one fewer at B may be a sale all the same
        ({"A": 2, "B": 0}, {"A": 1, "B": 0}),  # more than lies there: a parcel or a return is not known yet
    ],
)
def test_S5_7_what_is_equal_and_what_may_be_a_sale_is_not_told_apart(
    offs: dict[str, int], lies: dict[str, int]
) -> None:
    assert apart(offs, {}, lies) is None
