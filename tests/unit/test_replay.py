"""The last days walked again (core/replay): what is assumed, by examples, and what must hold for any history."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from oneshelf.core.replay import HUB, Event, Outcome, walk

events = st.lists(
    st.builds(
        Event,
        st.integers(0, 100),
        st.just("sale"),
        st.integers(0, 1),
        st.integers(1, 4),
        st.sampled_from("abcdef"),
        st.sampled_from((HUB, 7, 8)),
    )
    | st.builds(
        Event, st.integers(0, 100), st.just("back"), st.integers(0, 1), st.integers(1, 3), st.sampled_from("abcdef")
    )
    | st.builds(Event, st.integers(0, 100), st.just("move"), st.integers(0, 1), st.integers(-3, 3)),
    max_size=30,
).map(lambda found: sorted(found, key=lambda one: one.at))
starts = st.lists(st.integers(0, 9), min_size=2, max_size=2)


def everything(_outlet: int, _k: Sequence[int]) -> int:
    return 1_000


def nothing(_outlet: int, _k: Sequence[int]) -> int:
    return 0


def what_is_there(_outlet: int, k: Sequence[int]) -> int:
    return max(0, sum(k))


@given(starts, events)
def test_every_wanted_piece_is_sold_or_withheld(start: list[int], history: list[Event]) -> None:
    wanted = sum(one.pieces for one in history if one.kind == "sale")
    for offer in (everything, nothing, what_is_there, None):
        outcome = walk(start, history, offer, {7: 5, 8: 50})
        assert outcome.sold + outcome.withheld == wanted
        assert 0 <= outcome.oversold <= outcome.sold


@given(starts, events)
def test_who_shows_everything_sells_what_really_was_sold(start: list[int], history: list[Event]) -> None:
    assert walk(start, history, everything, {}) == walk(start, history, None, {})


@given(starts, events)
def test_who_shows_nothing_sells_only_at_the_shop(start: list[int], history: list[Event]) -> None:
    at_shop = sum(one.pieces for one in history if one.kind == "sale" and one.outlet_id == HUB)
    assert walk(start, history, nothing, {}).sold == at_shop


@given(starts, events)
def test_told_at_once_no_marketplace_oversells(start: list[int], history: list[Event]) -> None:
    """Without a window only the shop, and pieces that are taken away by hand, can bring it below 0."""
    alone = [one for one in history if one.outlet_id != HUB or one.kind != "sale"]
    assert walk(start, alone, what_is_there, {}).oversold == 0


def test_what_was_not_sold_lies_there_for_the_next_buyer() -> None:
    history = [Event(10, "sale", 0, 2, "a", 7), Event(20, "sale", 0, 2, "b", HUB)]
    assert walk([2], history, nothing, {}) == Outcome(sold=2, withheld=2, oversold=0, sales_withheld=1)
    assert walk([2], history, None, {}).oversold == 2


def test_a_cancel_gives_back_only_what_was_sold() -> None:
    history = [Event(10, "sale", 0, 1, "a", 7), Event(20, "back", 0, 1, "a"), Event(30, "sale", 0, 2, "b", HUB)]
    assert walk([1], history, nothing, {}).oversold == 1
    assert walk([1], history, None, {}).oversold == 1


def test_a_listing_shows_the_number_of_one_window_ago_less_its_own_sales() -> None:
    history = [Event(10, "sale", 0, 1, "a", HUB), Event(12, "sale", 0, 1, "b", 7), Event(13, "sale", 0, 1, "c", 7)]
    assert walk([1], history, what_is_there, {7: 5}) == Outcome(
        2, 1, 1, 1, 1
    )  # b finds the old number, c finds it sold
    assert walk([1], history, what_is_there, {7: 1}) == Outcome(1, 2, 0, 2, 0)


def test_packs_are_sold_whole() -> None:
    assert walk([5], [Event(1, "sale", 0, 6, "a", 7, units=2)], lambda _o, k: k[0] // 2, {}) == Outcome(4, 2, 0, 1, 0)
