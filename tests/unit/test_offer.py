"""What an outlet may show (SEMANTICS 2): the examples written out, and what must hold for any numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.core.offer import (
    NO_CAP,
    NO_OTHERS,
    OfferPolicy,
    Others,
    bundle_available,
    explain_offer,
    limit_of,
    offer_quantity,
)

pieces = st.integers(-50, 400)
policies = st.builds(
    OfferPolicy,
    safety_stock=st.integers(0, 60),
    safety_percent=st.none() | st.integers(0, 100),
    cap=st.just(NO_CAP) | st.integers(0, 80),
    units_per_listing=st.integers(1, 12),
    channel_max=st.just(1_000_000) | st.integers(0, 40),
    min_show=st.integers(1, 6),
    exactly=st.none() | st.integers(0, 12),
)
others_of = st.builds(Others, reserve=st.integers(0, 300), floor=st.integers(0, 150))


@pytest.mark.parametrize(
    ("available", "policy", "shown"),
    [
        (8, OfferPolicy(safety_stock=5), 3),
        (5, OfferPolicy(safety_stock=5), 0),
        (1, OfferPolicy(), 1),
        (5, OfferPolicy(units_per_listing=2), 2),
        (0, OfferPolicy(), 0),
        (-3, OfferPolicy(), 0),
    ],
)
def test_S2_12_examples(available: int, policy: OfferPolicy, shown: int) -> None:
    assert offer_quantity(available, policy) == shown


@pytest.mark.parametrize(
    ("available", "policy", "limit"),
    [
        (8, OfferPolicy(safety_stock=5), 3),
        (3, OfferPolicy(safety_stock=5), 0),
        (-1, OfferPolicy(), 0),
        (9, OfferPolicy(safety_percent=50), 4),  # floor(0.5 × 9)
        (9, OfferPolicy(safety_percent=100), 9),
        (9, OfferPolicy(safety_percent=0), 0),
        (-9, OfferPolicy(safety_percent=50), 0),
        (10, OfferPolicy(safety_stock=3, safety_percent=50), 5),  # both: the stricter one
        (10, OfferPolicy(safety_stock=7, safety_percent=50), 3),
    ],
)
def test_S2_1_the_merchants_buffer_leaves_a_limit_that_is_never_negative(
    available: int, policy: OfferPolicy, limit: int
) -> None:
    assert limit_of(available, policy) == limit


@pytest.mark.parametrize(
    ("available", "policy", "shown"),
    [
        (2_000, OfferPolicy(channel_max=999), 999),  # Etsy's most
        (5, OfferPolicy(cap=3), 3),
        (5, OfferPolicy(cap=0), 0),
        (7, OfferPolicy(cap=5, units_per_listing=2), 2),
        (2, OfferPolicy(min_show=3), 0),
        (3, OfferPolicy(min_show=3), 3),
        (9, OfferPolicy(units_per_listing=4, min_show=3), 0),  # two packs, below the three that are worth showing
        (1, OfferPolicy(units_per_listing=2), 0),
    ],
)
def test_S2_5_packs_channel_maximum_and_the_least_worth_showing(
    available: int, policy: OfferPolicy, shown: int
) -> None:
    assert offer_quantity(available, policy) == shown


# S2.13, the columns after the planner has done its part: K, reserve, share − Q(own) as the floor, offers of the last three outlets.
@pytest.mark.parametrize(
    ("available", "reserve", "floor", "offers"),
    [
        (1, (0, 0, 0), (0, 1, 0), (1, 1, 1)),
        (3, (1, 1, 1), (1, 0, 0), (2, 2, 2)),
        (200, (217, 126, 77), (0, 104, 2), (0, 104, 123)),
        (120, (217, 126, 77), (0, 36, 0), (0, 36, 43)),
        (40, (217, 126, 77), (0, 0, 0), (0, 0, 0)),
        (200, (214, 187, 138), (0, 140, 3), (0, 140, 62)),
    ],
)
def test_S2_13_what_is_left_after_the_others_or_the_fair_share(
    available: int, reserve: tuple[int, ...], floor: tuple[int, ...], offers: tuple[int, ...]
) -> None:
    got = tuple(offer_quantity(available, OfferPolicy(), Others(r, f)) for r, f in zip(reserve, floor, strict=True))
    assert got == offers


def test_S2_4_the_fair_share_never_breaks_the_merchants_limit_or_cap() -> None:
    assert offer_quantity(10, OfferPolicy(safety_stock=6), Others(reserve=10, floor=9)) == 4
    assert offer_quantity(10, OfferPolicy(cap=2), Others(reserve=10, floor=9)) == 2


def test_S2_10_a_cap_of_nothing_takes_everything_and_says_so() -> None:
    terms = explain_offer(5, OfferPolicy(cap=0))
    assert (terms.capped, terms.pieces, terms.offer) == (5, 0, 0)
    assert explain_offer(5, OfferPolicy(units_per_listing=2)).units_per_listing == 2


@given(pieces, policies, others_of)
def test_I11_an_offer_is_within_every_bound(available: int, policy: OfferPolicy, others: Others) -> None:
    offer = offer_quantity(available, policy, others)
    taken = offer * policy.units_per_listing
    assert offer >= 0
    assert taken <= max(0, available)
    assert taken <= limit_of(available, policy)
    assert taken <= policy.cap
    assert offer <= policy.channel_max and (policy.exactly is None or offer <= policy.exactly)
    assert offer == 0 or offer >= policy.min_show


@given(pieces, policies, others_of)
def test_nothing_is_left_out_without_a_reason(available: int, policy: OfferPolicy, others: Others) -> None:
    """One listing more would break a bound, or the whole is below the least worth showing."""
    offer = offer_quantity(available, policy, others)
    more = (offer + 1) * policy.units_per_listing
    allowed = max(others.floor, available - others.reserve)
    could = more <= limit_of(available, policy) and more <= allowed and more <= policy.cap
    assert not could or offer + 1 > policy.most or (offer == 0 and policy.min_show > 1)


@given(pieces, policies, others_of)
def test_S2_10_the_terms_add_up_to_the_very_same_number(available: int, policy: OfferPolicy, others: Others) -> None:
    terms = explain_offer(available, policy, others)
    assert terms.offer == offer_quantity(available, policy, others)
    taken_away = (terms.safety, terms.reserve, terms.capped, terms.rounding, terms.hidden)
    assert all(term >= 0 for term in taken_away)
    assert max(0, available) - sum(taken_away) == terms.offer * policy.units_per_listing
    assert max(0, available) - terms.safety - terms.reserve >= terms.pieces
    assert terms.rounding < policy.units_per_listing
    assert terms.hidden == 0 or terms.offer == 0


@given(pieces, policies, others_of)
def test_one_piece_more_never_shows_less(available: int, policy: OfferPolicy, others: Others) -> None:
    assert offer_quantity(available, policy, others) <= offer_quantity(available + 1, policy, others)


def test_S2_10_each_subtraction_has_its_own_term() -> None:
    policy = OfferPolicy(safety_stock=5, cap=9, units_per_listing=4)
    terms = explain_offer(20, policy, Others(reserve=8))
    # 20 − 5 safety = 15; others may sell 8 of the 20 → 12; at most 9; two packs of 4, one piece over.
    assert (terms.available, terms.safety, terms.reserve, terms.capped) == (20, 5, 3, 3)
    assert (terms.pieces, terms.rounding, terms.hidden, terms.offer) == (9, 1, 0, 2)


def test_S2_10_below_the_least_worth_showing_is_a_term_of_its_own() -> None:
    terms = explain_offer(5, OfferPolicy(units_per_listing=2, min_show=3))
    assert (terms.rounding, terms.hidden, terms.offer) == (1, 4, 0)


def test_S1_11_a_bundle_is_as_many_as_its_scarcest_part() -> None:
    assert bundle_available({"MUG": 7, "LID": 3}, {"MUG": 2, "LID": 1}) == 3
    assert bundle_available({"MUG": 5, "LID": 9}, {"MUG": 2, "LID": 1}) == 2
    assert bundle_available({"MUG": 5}, {"MUG": 2, "LID": 1}) == 0
    assert bundle_available({"MUG": -1, "LID": 9}, {"MUG": 2, "LID": 1}) == -1


@given(pieces, st.integers(1, 9))
def test_one_part_of_n_is_the_same_as_a_pack_of_n(available: int, n: int) -> None:
    bundle = offer_quantity(bundle_available({"MUG": available}, {"MUG": n}), OfferPolicy(), NO_OTHERS)
    assert bundle == offer_quantity(available, OfferPolicy(units_per_listing=n))
