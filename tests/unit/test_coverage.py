"""Who gets the pieces (SEMANTICS 6): examples, and properties against a walk written anew here."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.core.coverage import OpenLine, cover, is_settled, why_before
from oneshelf.core.instants import SECOND

RANK = {"amazon": 0, "ebay": 1, "etsy": 2, "shopify": 3}


def line(
    name: str, pieces: int = 1, placed_s: int = 100, state: str = "O", channel: str = "ebay", pin: int = 0
) -> OpenLine:
    """A line called `name`, which is its order id too; its own order number."""
    return OpenLine(
        order_no=sum(map(ord, name)),
        line_id="1",
        sku="MUG",
        pieces=pieces,
        state=state,
        placed_s=placed_s,
        rank=RANK[channel],
        account=channel,
        order_id=name,
        pin=pin,
    )


def walked(free: int, *lines: OpenLine) -> dict[str, str]:
    verdicts = cover(free, lines)
    return {each.order_id: verdicts[(each.order_no, each.line_id)] for each in lines}


def test_S6_2_the_first_by_time_of_purchase_gets_the_last_piece() -> None:
    assert walked(1, line("late", placed_s=101), line("early", placed_s=100)) == {"early": "COVERED", "late": "SHORT"}


@pytest.mark.parametrize(("first", "second"), [("amazon", "ebay"), ("ebay", "etsy"), ("etsy", "shopify")])
def test_S6_2_within_a_second_the_dearest_cancellation_goes_first(first: str, second: str) -> None:
    lines = line("b", channel=second), line("a", channel=first)
    assert walked(1, *lines) == {"a": "COVERED", "b": "SHORT"}
    lines = line("b", channel=first), line("a", channel=second)
    assert walked(1, *lines) == {"b": "COVERED", "a": "SHORT"}


def test_S6_2_then_account_order_and_line_decide() -> None:
    a, b = line("x", channel="ebay"), line("y", channel="ebay")
    assert walked(1, b, a) == {"x": "COVERED", "y": "SHORT"}
    one = OpenLine(1, "l2", "MUG", 1, "O", 100, 1, "5", "same")
    two = OpenLine(1, "l1", "MUG", 1, "O", 100, 1, "5", "same")
    assert cover(1, [one, two]) == {(1, "l1"): "COVERED", (1, "l2"): "SHORT"}
    other = OpenLine(2, "l1", "MUG", 1, "O", 100, 1, "4", "zzz")
    assert cover(1, [two, other]) == {(2, "l1"): "COVERED", (1, "l1"): "SHORT"}


def test_S6_4_a_line_too_large_is_short_and_a_later_smaller_one_is_covered() -> None:
    got = walked(2, line("three", 3, 100), line("two", 2, 101), line("one", 1, 102))
    assert got == {"three": "SHORT", "two": "COVERED", "one": "SHORT"}


@pytest.mark.parametrize("state", ["R", "S"])
def test_S6_6_possession_beats_priority(state: str) -> None:
    """Released to fulfilment, or told shipped by its channel and not yet taken off the shelf (S10.6): never displaced."""
    early, mine = line("early", placed_s=1), line("mine", placed_s=200, state=state)
    assert walked(1, early, mine) == {"mine": "COVERED", "early": "SHORT"}
    assert walked(0, early, mine) == {"mine": "COVERED", "early": "SHORT"}


@pytest.mark.parametrize("state", ["P", "O", "M"])
def test_S6_1_unpaid_open_and_waiting_for_the_merchant_are_walked_alike(state: str) -> None:
    assert walked(1, line("a", state=state, placed_s=1), line("b", placed_s=2)) == {"a": "COVERED", "b": "SHORT"}


@pytest.mark.parametrize("state", ["X", "C", "U"])
def test_S6_1_what_we_cancel_holds_nothing_and_gets_no_verdict(state: str) -> None:
    given_up, waiting = line("a", state=state, placed_s=1), line("b", placed_s=2)
    assert cover(1, [given_up, waiting]) == {(waiting.order_no, "1"): "COVERED"}


def test_a_line_without_open_pieces_gets_no_verdict() -> None:
    assert cover(1, [line("a", 0)]) == {}


def test_S6_7_a_pinned_line_goes_first_and_one_given_up_last() -> None:
    lines = line("early", placed_s=1), line("pinned", placed_s=9, pin=1), line("given up", placed_s=0, pin=-1)
    assert walked(1, *lines) == {"pinned": "COVERED", "early": "SHORT", "given up": "SHORT"}
    assert walked(2, *lines) == {"pinned": "COVERED", "early": "COVERED", "given up": "SHORT"}


def test_S6_7_a_pin_does_not_displace_what_is_released() -> None:
    assert walked(1, line("pinned", pin=1), line("released", state="R")) == {"released": "COVERED", "pinned": "SHORT"}


def test_nothing_on_the_shelf_or_less_covers_nobody() -> None:
    assert walked(0, line("a")) == {"a": "SHORT"}
    assert walked(-4, line("a")) == {"a": "SHORT"}


# --- against a walk written anew ------------------------------------------------------------------------------------------


@st.composite
def many_lines(draw: st.DrawFn) -> list[OpenLine]:
    count = draw(st.integers(0, 9))
    return [
        OpenLine(
            order_no=i // 2,
            line_id=f"l{i}",
            sku="MUG",
            pieces=draw(st.integers(0, 4)),
            state=draw(st.sampled_from("PORMPORMXCS")),
            placed_s=draw(st.integers(100, 103)),
            rank=draw(st.integers(0, 3)),
            account=draw(st.sampled_from(["1", "2"])),
            order_id=draw(st.sampled_from(["a", "b"])),
            pin=draw(st.sampled_from([0, 0, 0, 1, -1])),
        )
        for i in range(count)
    ]


def goes_before(a: OpenLine, b: OpenLine) -> bool:
    """S6.2 and S6.7 as one would say them aloud."""
    if a.pin != b.pin:
        return a.pin > b.pin
    if a.placed_s != b.placed_s:
        return a.placed_s < b.placed_s
    if a.rank != b.rank:
        return a.rank < b.rank
    if a.account != b.account:
        return a.account < b.account
    if a.order_id != b.order_id:
        return a.order_id < b.order_id
    return a.line_id < b.line_id


def naive(free: int, lines: list[OpenLine]) -> dict[tuple[int, str], str]:
    """Again and again: of those not yet judged, the one that goes before all others."""
    verdicts: dict[tuple[int, str], str] = {}
    left = free
    for each in lines:
        if each.state in ("R", "S"):
            left = left - each.pieces
            verdicts[(each.order_no, each.line_id)] = "COVERED"
    todo = [each for each in lines if each.state in "POM" and each.pieces > 0]
    while todo:
        (first,) = [a for a in todo if all(a is b or goes_before(a, b) for b in todo)]
        todo.remove(first)
        fits = left - first.pieces >= 0
        verdicts[(first.order_no, first.line_id)] = "COVERED" if fits else "SHORT"
        if fits:
            left = left - first.pieces
    return verdicts


@given(st.integers(-3, 12), many_lines())
def test_S6_1_the_walk(free: int, lines: list[OpenLine]) -> None:
    assert cover(free, lines) == naive(free, lines)


@given(st.integers(-3, 12), many_lines(), st.randoms(use_true_random=False))
def test_S4_4_the_order_of_arrival_does_not_matter(free: int, lines: list[OpenLine], chance: random.Random) -> None:
    shuffled = list(lines)
    chance.shuffle(shuffled)
    assert cover(free, shuffled) == cover(free, lines)


@given(st.integers(0, 12), st.integers(0, 6), many_lines())
def test_I7_what_is_covered_lies_on_the_shelf(on_hand: int, unavailable: int, lines: list[OpenLine]) -> None:
    verdicts = cover(on_hand - unavailable, lines)
    possessed = sum(each.pieces for each in lines if each.state in "RS")
    covered = sum(
        each.pieces
        for each in lines
        if each.state in "POM" and verdicts.get((each.order_no, each.line_id)) == "COVERED"
    )
    assert covered + possessed + unavailable <= max(on_hand, possessed + unavailable)


@given(st.integers(-3, 12), many_lines())
def test_S6_4_no_piece_is_left_idle_while_a_line_that_fits_is_short(free: int, lines: list[OpenLine]) -> None:
    verdicts = cover(free, lines)
    taken = sum(each.pieces for each in lines if verdicts.get((each.order_no, each.line_id)) == "COVERED")
    for each in lines:
        if verdicts.get((each.order_no, each.line_id)) == "SHORT":
            assert each.pieces > free - taken


@given(st.integers(-3, 12), many_lines())
def test_one_piece_lines_are_served_strictly_by_key(free: int, lines: list[OpenLine]) -> None:
    """Without sizes, nobody who goes before a covered one is short."""
    ones = [each for each in lines if each.state in "POM" and each.pieces == 1]
    verdicts = cover(free, ones)
    for a in ones:
        for b in ones:
            if goes_before(a, b) and verdicts[(b.order_no, b.line_id)] == "COVERED":
                assert verdicts[(a.order_no, a.line_id)] == "COVERED"


@pytest.mark.parametrize(
    ("winner", "loser", "why"),
    [
        (
            line("a", state="R"),
            line("b", placed_s=1),
            "it is released to fulfilment or has left: possession goes before everything",
        ),
        (
            line("a", state="S"),
            line("b", placed_s=1),
            "it is released to fulfilment or has left: possession goes before everything",
        ),
        (line("b", pin=1), line("a"), "it is pinned"),
        (line("b", placed_s=200), line("a", pin=-1), "the other is given up"),
        (line("b", placed_s=97), line("a", placed_s=100), "it was bought 3 s earlier, by the channels' own clocks"),
        (
            line("b", channel="amazon"),
            line("a", channel="ebay"),
            "both were bought in the same second; its channel goes first, where a cancel costs the seller more",
        ),
        (line("a"), line("b"), "both were bought in the same second on channels of equal rank; the order ids decide"),
        (
            line("b"),
            line("a", pieces=5),
            "it needs 1, the other 5: what was left did not suffice for that, and lines are not split",
        ),
    ],
)
def test_S6_2_the_words_agree_with_the_walk(winner: OpenLine, loser: OpenLine, why: str) -> None:
    assert walked(1, winner, loser) == {winner.order_id: "COVERED", loser.order_id: "SHORT"}
    assert why_before(winner, loser) == why


@pytest.mark.parametrize(
    ("through_s", "skew_s", "settled"),
    [
        ([101], 0, True),  # past the whole second of a purchase at 100.7 s
        ([100], 0, False),
        ([102], 2, False),  # the channel's clock may be two seconds behind
        ([103], 2, True),
        ([103, 102], 2, False),  # every channel has to be heard
        ([103, 0], 2, False),  # one that was never heard never settles anything
        ([], 0, True),
    ],
)
def test_S6_5_settled_is_when_every_channel_is_past_the_second_of_the_purchase(
    through_s: list[int], skew_s: int, settled: bool
) -> None:
    heard = [(through * SECOND, skew_s) for through in through_s]
    assert is_settled(100 * SECOND + 700_000, heard) is settled
    # A microsecond less, and none of these would be.
    assert is_settled(100 * SECOND + 700_000, [(through - 1, skew) for through, skew in heard]) is (heard == [])
