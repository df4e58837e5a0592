"""What a price rule makes of the shop's price: formulas, roundings, rates, limits, sales, each step named."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.core.facts import Money
from oneshelf.core.money import decimals
from oneshelf.core.price import FOLLOW, HubPart, NoPrice, Priced, beyond_band, decide_price
from oneshelf.core.price_formula import parse_formula, parse_rounding, rounded
from oneshelf.core.price_terms import NO_TERMS, PriceRule, PriceSale, Terms, put_together, refuse_mistakes
from oneshelf.core.rates import ExchangeRate, Rates

RATES = Rates("EUR", {"USD": ExchangeRate("0.80", "ECB 2026-11-20"), "JPY": ExchangeRate("0.0050", "ECB 2026-11-20")})


def mug(minor: int = 1250, units: int = 1, cost: int | None = 700, compare_at: int | None = None) -> HubPart:
    struck = Money(compare_at, "EUR") if compare_at is not None else None
    return HubPart("MUG", units, Money(minor, "EUR"), False, Money(cost, "EUR") if cost is not None else None, struck)


def terms(*rules: PriceRule, sales: tuple[PriceSale, ...] = (), at: int = 0, fee: int = 0) -> Terms:
    return put_together(rules, sales, at, fee=Fraction(fee), rates=RATES)


def asks(said: Terms, *parts: HubPart, currency: str = "EUR") -> int | str:
    """The price in minor units, or the code of the reason why there is none."""
    price = decide_price(parts or [mug()], currency, FOLLOW, said)
    return price.price.minor if isinstance(price, Priced) else price.code


def steps(said: Terms, *parts: HubPart, currency: str = "EUR") -> list[str]:
    price = decide_price(parts or [mug()], currency, FOLLOW, said)
    assert isinstance(price, Priced)
    return [f"{step['step']} → {step['gives']} {step['currency']}" for step in price.why["steps"]]


@pytest.mark.parametrize(
    ("rule", "minor"),
    [  # the worked examples of docs/concepts/prices.md: the shop asks 12.50, a piece costs 7.00
        (PriceRule(price="shop + 10%"), 1375),
        (PriceRule(price="shop - 10%"), 1125),
        (PriceRule(price="shop + 2.00", currency="EUR"), 1450),
        (PriceRule(price="19.99", currency="EUR"), 1999),
        (PriceRule(price="cost + 40%"), 980),
        (PriceRule(price="cost * 1.4 + 3.00", currency="EUR"), 1280),
        (PriceRule(price="shop / 1.19"), 1050),
        (PriceRule(price="shop + 10%", rounding="ending .99"), 1399),
        (PriceRule(price="shop + 10%", rounding="ending .99 down"), 1299),
        (PriceRule(price="shop + 1%", rounding="step 0.05"), 1265),
        (PriceRule(price="shop + 1%", rounding="step 0.05 down"), 1260),
        (PriceRule(price="shop", rounding="ending 9.95 up"), 1995),
        (PriceRule(price="shop - 50%", floor="9.90", currency="EUR"), 990),
        (PriceRule(price="9.89", floor="9.90", currency="EUR"), 990),
        (PriceRule(price="shop + 50%", ceiling="15", currency="EUR"), 1500),
        (PriceRule(price="15.01", ceiling="15", currency="EUR"), 1500),
        (PriceRule(price="cost", margin="30"), 1000),
        (PriceRule(price="none", rounding="none", floor="none", ceiling="none", margin="none"), 1250),
    ],
)
def test_P13_each_rule_gives_its_price_to_the_minor_unit(rule: PriceRule, minor: int) -> None:
    refuse_mistakes(rule)
    assert asks(terms(rule)) == minor


def test_P13_a_fixed_price_is_a_piece_s_and_an_amount_that_is_added_a_unit_s() -> None:
    pack = mug(units=3)
    assert asks(terms(PriceRule(price="19.99", currency="EUR")), pack) == 5997
    assert asks(terms(PriceRule(price="shop + 3.00", currency="EUR")), pack) == 4050
    assert asks(terms(PriceRule(price="shop - 90%", floor="9.90", currency="EUR")), pack) == 2970
    assert asks(terms(PriceRule(price="cost")), pack, HubPart("POT", 2, Money(1, "EUR"), cost=Money(50, "EUR"))) == 2200


def test_P13_the_struck_out_price_is_the_shop_s_where_there_is_none_above_it() -> None:
    rule = terms(PriceRule(price="compare_at"))
    assert [asks(rule, mug(compare_at=struck)) for struck in (1990, None, 1000)] == [1990, 1250, 1250]


def test_P14_every_step_is_told_in_order() -> None:
    said = terms(
        PriceRule(7, price="shop + 10%", rounding="ending .99", floor="20", currency="EUR"),
        PriceRule(3, price="cost * 2", margin="5"),
    )
    assert steps(said, currency="USD") == [
        "shop → 12.50 EUR",
        "+ 10% → 13.75 EUR",
        "at 1 USD = 0.80 EUR (ECB 2026-11-20) → 17.1875 USD",
        "rounded: ending .99 → 16.99 USD",
        "floor → 25.00 USD",
    ]
    price = decide_price([mug()], "USD", FOLLOW, said)
    assert isinstance(price, Priced) and [step.get("rule") for step in price.why["steps"]] == [7, 7, None, 7, 7]


def test_P14_each_word_is_taken_from_the_narrowest_rule_that_says_it() -> None:
    wide = PriceRule(1, price="shop + 10%", rounding="ending .99", margin="30")
    assert asks(terms(PriceRule(2, price="shop + 40%"), wide)) == 1799
    assert asks(terms(PriceRule(2, rounding="none"), wide)) == 1375
    assert asks(terms(PriceRule(2, price="cost", margin="none"), wide)) == 699


def test_P15_no_rate_no_price_and_never_1() -> None:
    assert asks(NO_TERMS, currency="USD") == "currency"
    assert asks(terms(), currency="USD") == 1563 and asks(terms(), currency="JPY") == 2500
    assert asks(terms(PriceRule(price="shop", floor="5", currency="GBP"))) == "currency"
    no = decide_price([mug()], "GBP", FOLLOW, terms())
    assert isinstance(no, NoPrice) and "oneshelf rates set GBP RATE --source WHERE" in no.reason
    assert asks(terms(PriceRule(price="19.99", currency="USD")), currency="USD") == 1999
    assert asks(terms(PriceRule(price="20", currency="USD"))) == 1600
    assert asks(terms(PriceRule(price="20", currency="USD")), currency="JPY") == 3200


@pytest.mark.parametrize(
    ("rule", "cost", "fee", "code"),
    [
        (PriceRule(price="cost + 10%"), None, 0, "cost"),
        (PriceRule(margin="10"), None, 0, "cost"),
        (PriceRule(margin="30", ceiling="9.99", currency="EUR"), 700, 0, "limits"),
        (PriceRule(floor="12", ceiling="15", currency="EUR", margin="60"), 700, 0, "limits"),
        (PriceRule(margin="90"), 700, 15, "limits"),
        (PriceRule(price="shop - 13.00", currency="EUR"), 700, 0, "not_positive"),
        (PriceRule(price="cost"), 0, 0, "not_positive"),
        (PriceRule(ceiling="0.001", currency="EUR"), 700, 0, "limits"),
    ],
)
def test_P16_where_the_limits_leave_nothing_there_is_no_price(
    rule: PriceRule, cost: int | None, fee: int, code: str
) -> None:
    assert asks(terms(rule, fee=fee), mug(cost=cost)) == code


def test_P16_the_minimum_margin_is_what_remains_after_the_fee_and_the_cost() -> None:
    # 7.00 / (1 − 13 % − 20 %) = 10.447…: 10.45 leaves 10.45 − 1.3585 − 7.00 = 2.0915, which is 20.01 %.
    assert asks(terms(PriceRule(price="cost", margin="20"), fee=13)) == 1045


def test_P16_a_rounding_that_the_currency_can_t_say_gives_no_price() -> None:
    assert asks(terms(PriceRule(rounding="ending .99")), currency="JPY") == "rounding"
    assert asks(terms(PriceRule(rounding="step 50 up")), currency="JPY") == 2500


def sale(price: str, starts_at: int = 10, ends_at: int = 20, **more: str) -> PriceSale:
    return PriceSale(9, price, starts_at, ends_at, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("at", "minor"), [(9, 1399), (10, 1099), (19, 1099), (20, 1399)])
def test_P17_a_sale_holds_from_its_start_to_before_its_end(at: int, minor: int) -> None:
    rule = PriceRule(1, price="shop + 10%", rounding="ending .99")
    assert asks(terms(rule, sales=(sale("price - 20%"),), at=at)) == minor


def test_P17_a_sale_never_asks_more_and_keeps_the_limits() -> None:
    assert asks(terms(sales=(sale("price + 20%"),), at=10)) == 1250
    assert asks(terms(PriceRule(margin="30"), sales=(sale("5.00", currency="EUR"),), at=10)) == 1000
    price = decide_price([mug()], "EUR", FOLLOW, terms(sales=(sale("price - 50%", rounding="ending .99"),), at=10))
    assert isinstance(price, Priced) and (price.price.minor, price.regular) == (599, 1250)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (PriceRule(price="shop +"), "there must be a step"),
        (PriceRule(price="shop + 3 * 2", currency="EUR"), "two ways"),
        (PriceRule(price="__import__('os')"), "begins with|can't be read"),
        (PriceRule(price="shop ** 9999"), "must be a step"),
        (PriceRule(price="shop - 100%"), "less than 100"),
        (PriceRule(price="shop * 0"), "above 0"),
        (PriceRule(price="price - 10%"), "a sale begins with"),
        (PriceRule(price="0.00", currency="EUR"), "above 0"),
        (PriceRule(price="19.99"), "needs its currency"),
        (PriceRule(price="shop + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1", currency="EUR"), "at most 8 steps"),
        (PriceRule(price="shop + 1e9", currency="EUR"), "must be a step"),
        (PriceRule(price="shop * 1٫5"), "can't be read|no number"),
        (PriceRule(rounding="ending"), "is no rounding"),
        (PriceRule(rounding="step 0"), "above 0"),
        (PriceRule(rounding="step 5 sideways"), "nearest, up or down"),
        (PriceRule(floor="-1", currency="EUR"), "is no number"),
        (PriceRule(floor="9", ceiling="8", currency="EUR"), "above the ceiling"),
        (PriceRule(margin="100"), "below 100"),
        (PriceRule(), "says nothing"),
        (sale("price", 20, 10), "ends after it starts"),
    ],
)
def test_P13_what_can_t_be_worked_out_is_refused_with_words(rule: PriceRule | PriceSale, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        refuse_mistakes(rule)


def test_P18_the_band_is_a_share_of_what_is_asked_both_ways() -> None:
    assert [beyond_band(1000, minor, 50) for minor in (499, 500, 1000, 1500, 1501)] == [True, False, False, False, True]


_AMOUNT = st.decimals("0.01", "500", places=2).map(str)
_STEPS = st.lists(
    st.sampled_from(["* 1.37", "/ 1.19", "+ 12%", "- 35%"]), max_size=3
).flatmap(lambda first: st.lists(st.sampled_from(["+ 3.00", "- 7.77", "+ 4%"]), max_size=2).map(lambda rest: [*first, *rest]))  # fmt: skip
_FORMULA = st.tuples(st.sampled_from(["shop", "cost", "compare_at", "19.99"]), _STEPS).map(
    lambda f: " ".join([f[0], *f[1]])
)
_ROUNDING = st.sampled_from(["", "none", "ending .99", "ending .95 down", "step 0.05 up", "ending 9.50", "step 100"])


@given(
    price=_FORMULA,
    rounding=_ROUNDING,
    floor=st.just("") | _AMOUNT,
    ceiling=st.just("") | _AMOUNT,
    margin=st.just("") | st.integers(0, 90).map(str),
    fee=st.integers(0, 30),
    reduced=st.none() | st.sampled_from(["price - 60%", "price", "0.01", "cost"]),
    minor=st.integers(-5, 100_000),
    units=st.integers(1, 5),
    cost=st.none() | st.integers(0, 50_000),
    currency=st.sampled_from(["EUR", "USD", "JPY"]),
)
def test_P16_no_price_is_below_its_floor_or_its_margin_or_0(
    price: str, rounding: str, floor: str, ceiling: str, margin: str, fee: int, reduced: str | None, minor: int, units: int,
    cost: int | None, currency: str,
) -> None:  # fmt: skip
    rule = PriceRule(1, price=price, rounding=rounding, floor=floor, ceiling=ceiling, margin=margin, currency="EUR")
    on = (sale(reduced, currency="EUR"),) if reduced else ()
    decided = decide_price([mug(minor, units, cost)], currency, FOLLOW, terms(rule, sales=on, at=10, fee=fee))
    if isinstance(decided, NoPrice):
        assert decided.reason
        return
    asked = Fraction(decided.price.minor, 10 ** decimals(currency))
    rate = RATES.between("EUR", currency)
    assert rate is not None and decided.price.minor > 0 and decided.price.currency == currency
    if floor:
        assert asked >= Fraction(floor) * units * rate
    if ceiling:
        assert asked <= Fraction(ceiling) * units * rate
    if margin:
        assert cost is not None
        assert asked * (100 - fee) / 100 - Fraction(cost, 100) * units * rate >= asked * int(margin) / 100
    assert decided.price.minor <= decided.regular


@given(st.fractions(Fraction(1, 1000), 10_000), st.sampled_from(["ending .99", "step 0.05", "ending 9.95", "step 20"]))
def test_P13_nearest_is_nearest_up_is_not_below_and_down_not_above(value: Fraction, text: str) -> None:
    nearest, up, down = (rounded(value, parse_rounding(text + way)) for way in ("", " up", " down"))
    assert up >= value and nearest in (up, down) or down > value
    assert down <= value or down == nearest == up
    assert abs(nearest - value) == min(abs(up - value), abs(down - value))
    assert parse_formula(parse_formula("cost*1.4+3.00").text).text == "cost * 1.4 + 3.00"
