"""The one pure function that decides a price, and what is said of amounts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.core.facts import Money
from oneshelf.core.money import in_words
from oneshelf.core.price import FOLLOW, OFF, HubPart, NoPrice, Priced, PricePolicy, decide_price


def mug(minor: int | None = 1250, units: int = 1, currency: str = "EUR", *, deleted: bool = False) -> HubPart:
    return HubPart("MUG", units, None if minor is None else Money(minor, currency), deleted)


def test_P3_following_asks_what_the_hub_asks_and_says_why() -> None:
    assert decide_price([mug()], "EUR", FOLLOW) == Priced(
        Money(1250, "EUR"),
        {"policy": "follow", "currency": "EUR", "parts": [{"sku": "MUG", "units": 1, "hub_price": 1250}]},
    )


def test_P3_packs_and_bundles_ask_for_every_piece() -> None:
    price = decide_price([mug(1250, 2), HubPart("POT", 3, Money(99, "EUR"))], "EUR", FOLLOW)
    assert isinstance(price, Priced) and price.price == Money(2797, "EUR")


@pytest.mark.parametrize(
    ("parts", "currency", "policy", "code"),
    [
        ([mug()], "EUR", OFF, "off"),
        ([mug()], "EUR", PricePolicy(), "off"),
        ([], "EUR", FOLLOW, "not_linked"),
        ([mug(deleted=True)], "EUR", FOLLOW, "deleted"),
        ([mug(None)], "EUR", FOLLOW, "unknown"),
        ([mug(), HubPart("POT", 1, None)], "EUR", FOLLOW, "unknown"),
        ([mug(), HubPart("POT", 1, Money(5, "USD"))], "EUR", FOLLOW, "mixed"),
        ([mug()], "USD", FOLLOW, "currency"),
        ([mug(0)], "EUR", FOLLOW, "not_positive"),
        ([mug(-1)], None, FOLLOW, "not_positive"),
        ([mug(0)], "USD", FOLLOW, "currency"),
    ],
)
def test_P3_there_is_no_price_and_the_reason_is_named(
    parts: list[HubPart], currency: str | None, policy: PricePolicy, code: str
) -> None:
    price = decide_price(parts, currency, policy)
    assert isinstance(price, NoPrice) and price.code == code and price.reason


@given(
    st.lists(
        st.builds(
            HubPart,
            st.text(min_size=1),
            st.integers(1, 99),
            st.none() | st.builds(Money, st.integers(-(10**9), 10**9), st.sampled_from(["EUR", "USD", "JPY"])),
            st.booleans(),
        ),
        max_size=4,
    ),
    st.none() | st.sampled_from(["EUR", "USD"]),
    st.sampled_from([OFF, FOLLOW]),
)
def test_P3_no_price_is_ever_0_or_in_another_currency(
    parts: list[HubPart], currency: str | None, policy: PricePolicy
) -> None:
    price = decide_price(parts, currency, policy)
    if isinstance(price, Priced):
        assert policy.follows and price.price.minor > 0
        assert currency in (None, price.price.currency)
        assert price.price.minor == sum(part.units * part.price.minor for part in parts if part.price)


@pytest.mark.parametrize(
    ("minor", "currency", "words"),
    [(1250, "EUR", "12.50 EUR"), (5, "EUR", "0.05 EUR"), (-5, "EUR", "-0.05 EUR"), (1250, "JPY", "1250 JPY"),
     (1250, "KWD", "1.250 KWD"), (None, "EUR", "no price")],
)  # fmt: skip
def test_amounts_in_words(minor: int | None, currency: str, words: str) -> None:
    assert in_words(minor, currency) == words
