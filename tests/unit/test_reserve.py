"""What is set aside and how the rest is shared (SEMANTICS 2.3, 2.6 to 2.9, 2.12 to 2.14): the numbers written out, and what always holds."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from oneshelf.core.offer import NO_CAP, NO_OTHERS, OfferPolicy, offer_quantity, shared_of
from oneshelf.core.reserve import (
    EPSILON_MAX,
    EPSILON_MIN,
    MEAN_WALKED_MAX,
    Risk,
    Seller,
    auto_cap,
    epsilon_of_money,
    plan,
    plan_strict,
    quantile,
    shares_of,
)

DAY, HOUR = 86_400.0, 3_600.0
AMAZON, EBAY, ETSY = "amazon", "ebay", "etsy"


def sellers(v: tuple[float, float, float, float], per_s: float) -> tuple[Seller, dict[str, Seller]]:
    """Shopify, and Amazon, eBay, Etsy with the windows of the test vectors (2.13): n = 5, 130, 5, 305 s; p = 2, 120, 10, 5 s."""
    hub, amazon, ebay, etsy = (one / per_s for one in v)
    return Seller((3,), hub, 5.0, 2.0, absolute=False), {
        AMAZON: Seller((0,), amazon, 130.0, 120.0),
        EBAY: Seller((1,), ebay, 5.0, 10.0),
        ETSY: Seller((2,), etsy, 305.0, 5.0),
    }


@pytest.mark.parametrize(
    ("mean", "pieces"),
    [(0.0, 0), (0.005, 0), (0.0101, 1), (0.1, 1), (0.2, 2), (0.5, 3), (1, 5), (2, 7), (5, 15), (10, 28), (20, 53)],
)
def test_S2_6_exact_values(mean: float, pieces: int) -> None:
    assert quantile(mean) == pieces


@pytest.mark.parametrize(("mean", "pieces"), [(0.01, 0), (0.2, 2), (1, 4), (5, 11), (20, 31)])
def test_S2_6_exact_values_of_poisson(mean: float, pieces: int) -> None:
    assert quantile(mean, 0.01, 0.0) == pieces


def _exact(mean: Fraction, epsilon: Fraction, dispersion: Fraction) -> int:
    """The definition, in rational numbers: size 1/d must be whole."""
    size = int(1 / dispersion)
    chance = Fraction(1) / (1 + dispersion * mean) ** size
    total, b = chance, 0
    while 1 - total > epsilon:
        chance *= Fraction(b + size, b + 1) * (dispersion * mean / (1 + dispersion * mean))
        b += 1
        total += chance
    return b


@given(
    st.fractions(Fraction(1, 1000), 40, max_denominator=1000),
    st.sampled_from([Fraction(1, 1000), Fraction(1, 100), Fraction(1, 10)]),
    st.sampled_from([Fraction(1, 4), Fraction(1, 2), Fraction(1)]),
)
def test_S2_6_is_the_smallest_number_that_is_enough(mean: Fraction, epsilon: Fraction, dispersion: Fraction) -> None:
    wanted = {_exact(mean, epsilon * shift, dispersion) for shift in (Fraction(1), 1 + Fraction(1, 10**9))}
    assert quantile(float(mean), float(epsilon), float(dispersion)) in wanted  # exactly at ε the last bit may decide


@pytest.mark.parametrize("dispersion", [0.0, 1e-12, 0.001, 0.25, 2.0])
@pytest.mark.parametrize("mean", [700.0, 1_000.0, 4_000.0, MEAN_WALKED_MAX, 10 * MEAN_WALKED_MAX])
def test_S2_6_is_stable_for_large_means(mean: float, dispersion: float) -> None:
    b = quantile(mean, 0.01, dispersion)
    deviation = math.sqrt(mean + dispersion * mean * mean)
    assert mean + 1.5 * deviation < b < mean + 12 * deviation


def _at_most(b: int, mean: float, dispersion: float) -> float:
    """P(X ≤ b), summed from 0 in logarithms."""

    def log_chance(x: int) -> float:
        if dispersion == 0.0:
            return x * math.log(mean) - mean - math.lgamma(x + 1)
        size = 1 / dispersion
        hit = size / (size + mean)
        return (
            math.lgamma(x + size) - math.lgamma(size) - math.lgamma(x + 1) + size * math.log(hit) + x * math.log1p(-hit)
        )

    return math.fsum(math.exp(log_chance(x)) for x in range(b + 1))


@pytest.mark.parametrize("dispersion", [0.0, 0.0001, 0.001])
@pytest.mark.parametrize("mean", [400.0, 1_000.0, 4_000.0])
def test_S2_6_is_the_smallest_number_that_is_enough_for_large_means_too(mean: float, dispersion: float) -> None:
    """There the walk begins far above 0."""
    b = quantile(mean, 0.01, dispersion)
    assert _at_most(b - 1, mean, dispersion) < 0.99 <= _at_most(b, mean, dispersion)


@given(st.floats(0, 3_000), st.floats(0, 200), st.sampled_from([0.0, 0.25]))
def test_S2_6_never_falls_when_more_is_expected(mean: float, more: float, dispersion: float) -> None:
    assert quantile(mean, 0.01, dispersion) <= quantile(mean + more, 0.01, dispersion)


def test_S2_6_a_smaller_epsilon_sets_more_aside() -> None:
    assert [quantile(2.0, epsilon) for epsilon in (0.1, 0.01, 0.001)] == [4, 7, 10]


def test_quantile_refuses_what_makes_no_sense() -> None:
    for mean, epsilon, dispersion in ((-1.0, 0.01, 0.25), (1.0, 0.0, 0.25), (1.0, 0.01, -1.0), (math.nan, 0.01, 0.25)):
        with pytest.raises(ValueError):
            quantile(mean, epsilon, dispersion)


@pytest.mark.parametrize(
    ("margin", "oversold", "epsilon"),
    [(100, 9_900, 0.01), (100, 2_400, 0.04), (0, 5, EPSILON_MIN), (5, 0, EPSILON_MAX), (5, 5, EPSILON_MAX)],
)
def test_S2_7_epsilon_from_money(margin: int, oversold: int, epsilon: float) -> None:
    assert epsilon_of_money(margin, oversold) == epsilon


def test_S2_7_nonsense_is_refused() -> None:
    for margin, oversold in ((0, 0), (-1, 5), (5, -1)):
        with pytest.raises(ValueError, match="the cost of an oversold order are 0 or more, and not both 0"):
            epsilon_of_money(margin, oversold)


S2_13 = [
    # v, per, K, mu, reserve, share, Q(own), offer: hub first
    ((0.4, 0.35, 0.15, 0.1), DAY, 1, (0.0018, 0.0010, 0.0006), (0, 0, 0), (0, 1, 0), (0, 0, 0), (1, 1, 1, 1)),
    ((16, 14, 6, 4), DAY, 3, (0.0709, 0.0407, 0.0247), (1, 1, 1), (0, 2, 0), (1, 0, 0), (3, 2, 2, 2)),
    (
        (800, 700, 300, 200),
        HOUR,
        200,
        (85.14, 48.89, 29.58),
        (217, 126, 77),
        (15, 108, 4),
        (62, 4, 2),
        (200, 0, 104, 123),
    ),
    ((800, 700, 300, 200), HOUR, 120, (85.14, 48.89, 29.58), (217, 126, 77), (6, 40, 1), (62, 4, 2), (120, 0, 36, 43)),
    ((800, 700, 300, 200), HOUR, 40, (85.14, 48.89, 29.58), (217, 126, 77), (0, 0, 0), (62, 4, 2), (40, 0, 0, 0)),
    (
        (100, 1400, 300, 200),
        HOUR,
        200,
        (84.17, 73.19, 53.89),
        (214, 187, 138),
        (40, 144, 5),
        (120, 4, 2),
        (200, 0, 140, 62),
    ),
]


@pytest.mark.parametrize(("v", "per", "k", "means", "reserves", "shares", "own", "offers"), S2_13)
def test_S2_13(v, per, k, means, reserves, shares, own, offers) -> None:  # type: ignore[no-untyped-def]
    hub, others = sellers(v, per)
    planned = plan(k, hub, others)
    found = [planned[name] for name in (AMAZON, EBAY, ETSY)]
    assert [one.mean for one in found] == pytest.approx(means, abs=6e-3 if per == HOUR else 6e-5)
    assert tuple(one.reserve for one in found) == reserves
    assert tuple(one.share for one in found) == shares
    assert tuple(one.own for one in found) == own
    assert (max(0, k), *(offer_quantity(k, OfferPolicy(), one) for one in found)) == offers


@pytest.mark.parametrize(
    ("k", "policy", "offer"),
    [
        (8, OfferPolicy(safety_stock=5), 3),
        (5, OfferPolicy(safety_stock=5), 0),
        (1, OfferPolicy(), 1),
        (5, OfferPolicy(units_per_listing=2), 2),
    ],
)
def test_S2_12(k: int, policy: OfferPolicy, offer: int) -> None:
    hub, others = sellers((0.4, 0.35, 0.15, 0.1), DAY)  # slow
    planned = plan(k, hub, others)
    assert [offer_quantity(k, policy, planned[name]) for name in (AMAZON, EBAY, ETSY)] == [offer] * 3


def test_S2_2_own_sales_count_only_where_writes_are_absolute() -> None:
    hub, others = sellers((0, 360, 0, 0), HOUR)
    alone = plan(50, hub, others)[AMAZON]
    guarded = plan(50, hub, {**others, AMAZON: Seller((0,), 0.1, 130.0, 120.0, absolute=False)})[AMAZON]
    assert (alone.mean, alone.reserve, alone.own) == (pytest.approx(12.0), 33, 33)
    assert (guarded.mean, guarded.reserve, guarded.own) == (0.0, 0, 0)


def test_S2_3_nobody_sells_equal_shares_and_ties_go_by_rank() -> None:
    hub, others = sellers((0, 0, 0, 0), DAY)
    assert [plan(2, hub, others)[name].share for name in (AMAZON, EBAY, ETSY)] == [1, 1, 0]
    assert shares_of(2, [((2,), 1.0), ((0,), 1.0), ((1,), 1.0)]) == [0, 1, 1]
    assert shares_of(5, []) == []


@pytest.mark.parametrize(
    ("v", "n", "p", "cap"), [(0.0, 5, 5, 20), (0.1, 60, 40, 40), (0.1001, 60, 40, 41), (0.05, 60, 40, 20)]
)
def test_S2_8_the_automatic_cap(v: float, n: float, p: float, cap: int) -> None:
    assert auto_cap(Seller((0,), v, n, p)) == cap


def test_S2_9_a_strict_sku_is_dealt_out_and_the_last_piece_stands_once() -> None:
    hub, others = sellers((800, 700, 300, 200), HOUR)
    at_hub, planned = plan_strict(20, hub, others)
    assert (at_hub, *(planned[name].floor for name in (AMAZON, EBAY, ETSY))) == (8, 7, 3, 2)
    at_hub, planned = plan_strict(1, hub, others)
    assert (at_hub, *(offer_quantity(1, OfferPolicy(), planned[name]) for name in (AMAZON, EBAY, ETSY))) == (1, 0, 0, 0)
    at_hub, planned = plan_strict(1, *sellers((0, 0, 0, 0), DAY))  # nobody sells: the dearest to cancel goes first
    assert (at_hub, *(planned[name].floor for name in (AMAZON, EBAY, ETSY))) == (0, 1, 0, 0)


def test_S2_9_a_strict_share_says_what_it_is_and_what_the_others_have() -> None:
    hub, others = sellers((800, 700, 300, 200), HOUR)
    one = plan_strict(20, hub, others)[1][EBAY]
    assert (one.strict, one.share, one.floor, one.reserve) == (True, 3, 3, 17)
    gone = plan_strict(-2, hub, others)[1][EBAY]
    assert (gone.strict, gone.share, gone.floor, gone.reserve) == (True, 0, 0, 0)


def test_S2_3_without_a_hub_that_sells_the_outlets_share_all_of_it() -> None:
    _, others = sellers((800, 700, 300, 200), HOUR)
    assert sum(one.share for one in plan(40, None, others).values()) == 40
    at_hub, strict = plan_strict(40, None, others)
    assert (at_hub, sum(one.share for one in strict.values())) == (0, 40)


def test_S2_3_a_hub_alone_has_nobody_to_plan_for() -> None:
    hub, _ = sellers((800, 700, 300, 200), HOUR)
    assert plan(40, hub, {}) == {}
    assert plan_strict(40, hub, {}) == (40, {})


def test_S2_6_a_merchant_whose_sales_are_even_sets_less_aside() -> None:
    hub, others = sellers((800, 700, 300, 200), HOUR)
    even, uneven = (plan(900, hub, others, Risk(0.01, dispersion))[AMAZON] for dispersion in (0.0, 0.25))
    assert (even.mean, even.reserve) == (uneven.mean, quantile(uneven.mean, 0.01, 0.0))
    assert even.reserve < uneven.reserve


def test_S2_14_an_outlet_never_shows_more_than_lies_where_it_is_served_from() -> None:
    hub, others = sellers((0, 0, 0, 0), DAY)
    planned = plan(9, hub, others)[ETSY]
    assert planned.share == 3
    assert offer_quantity(2, OfferPolicy(), planned) == 2  # K_c 2 of K 9
    assert offer_quantity(-1, OfferPolicy(), planned) == 0


speeds = st.floats(0, 2)
windows = st.floats(2, 2_000)
some = st.lists(st.tuples(speeds, windows, windows, st.booleans()), min_size=1, max_size=6)
policies = st.builds(
    OfferPolicy,
    safety_stock=st.integers(0, 20),
    safety_percent=st.none() | st.integers(0, 100),
    cap=st.just(NO_CAP) | st.integers(0, 80),
    units_per_listing=st.integers(1, 5),
    channel_max=st.just(1_000_000) | st.integers(0, 40),
    min_show=st.integers(1, 4),
)


def _made(rows: list[tuple[float, float, float, bool]]) -> tuple[Seller, dict[int, Seller]]:
    made = [Seller((i,), v, n, p, absolute) for i, (v, n, p, absolute) in enumerate(rows)]
    return made[0], dict(enumerate(made[1:]))


@given(st.integers(-20, 500), some, policies, st.booleans())
def test_I11_never_below_0_above_the_limit_the_cap_or_what_is_there(
    k: int, rows: list[tuple[float, float, float, bool]], policy: OfferPolicy, strict: bool
) -> None:
    hub, outlets = _made(rows)
    planned = plan_strict(k, hub, outlets)[1] if strict else plan(k, hub, outlets)
    for one in planned.values():
        pieces = offer_quantity(k, policy, one) * policy.units_per_listing
        assert 0 <= pieces <= max(0, min(k - policy.safety_stock, policy.cap, k))
        assert pieces <= offer_quantity(k, policy, NO_OTHERS) * policy.units_per_listing


@given(st.integers(-20, 500), some)
def test_S2_3_shares_add_up_to_the_rest_and_strict_ones_to_what_is_there(
    k: int, rows: list[tuple[float, float, float, bool]]
) -> None:
    hub, outlets = _made(rows)
    at_hub, strict = plan_strict(k, hub, outlets)
    assert at_hub + sum(one.share for one in strict.values()) == max(0, k)
    assert min([at_hub, *(one.share for one in strict.values())]) >= 0
    assume(outlets)
    planned = plan(k, hub, outlets)
    p_max = max(one.publish_s for one in outlets.values())
    assert sum(one.share for one in planned.values()) == max(0, k - quantile(hub.v * (hub.notice_s + p_max)))


@given(st.integers(-20, 300), st.integers(0, 50), some)
def test_S2_3_the_rest_and_what_is_left_after_the_reserve_never_fall_when_more_is_there(
    k: int, more: int, rows: list[tuple[float, float, float, bool]]
) -> None:
    """A single share may fall by one when the whole grows (largest remainder does that); all shares together never do, nor does what
    the reserve leaves."""
    hub, outlets = _made(rows)
    before, after = plan(k, hub, outlets), plan(k + more, hub, outlets)
    assert sum(one.share for one in before.values()) <= sum(one.share for one in after.values())
    for key, one in before.items():
        assert one.reserve == after[key].reserve
        left = shared_of(k, OfferPolicy(), type(one)(reserve=one.reserve))
        assert (
            left
            <= shared_of(k + more, OfferPolicy(), type(one)(reserve=one.reserve))
            <= shared_of(k + more, OfferPolicy(), after[key])
        )
        assert after[key].share >= one.share - 1


@given(st.integers(0, 300), some, st.floats(1.0, 8.0))
def test_S3_2_a_later_channel_never_makes_the_others_show_more_beyond_their_share(
    k: int, rows: list[tuple[float, float, float, bool]], times: float
) -> None:
    hub, outlets = _made(rows)
    assume(outlets)
    deaf = Seller(hub.rank, hub.v, hub.notice_s * times, hub.publish_s, hub.absolute)
    for key, one in plan(k, hub, outlets).items():
        assert one.reserve <= plan(k, deaf, outlets)[key].reserve


def test_S2_7_a_merchant_who_fears_oversells_sets_more_aside() -> None:
    hub, others = sellers((16, 14, 6, 4), DAY)
    assert [plan(9, hub, others, Risk(epsilon))[AMAZON].reserve for epsilon in (0.1, 0.01, 0.001)] == [0, 1, 2]
