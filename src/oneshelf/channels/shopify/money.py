"""Shopify's money (decimal strings in JSON) as whole minor units, and back. Pure.

In: amounts as text with an ISO 4217 code. Out: minor units, or text for a request. Never: a float, or a rate of 1.0 by default.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from oneshelf.core.facts import Money
from oneshelf.core.money import decimals


def to_minor(amount: object, currency: str) -> int | None:
    """Return the amount in minor units, halves up; None if it is no number.

    >>> to_minor("19.90", "EUR"), to_minor("1980.0", "JPY"), to_minor(None, "EUR")
    (1990, 1980, None)
    """
    if amount is None or isinstance(amount, bool):
        return None
    try:
        value = Decimal(str(amount))
    except InvalidOperation:
        return None
    if not value.is_finite():
        return None
    return int(value.scaleb(decimals(currency)).to_integral_value(ROUND_HALF_UP))


def to_money(amount: object, currency: object) -> Money | None:
    """Return the amount as Money, or None if the amount is no number or the currency is missing."""
    if not isinstance(currency, str) or not currency:
        return None
    minor = to_minor(amount, currency)
    return None if minor is None else Money(minor, currency)


def to_text(minor: int, currency: str) -> str:
    """Return minor units as Shopify's Decimal.

    >>> to_text(1990, "EUR"), to_text(1980, "JPY"), to_text(-5, "KWD")
    ('19.90', '1980', '-0.005')
    """
    return f"{Decimal(minor).scaleb(-decimals(currency)):f}"


def converted(minor: int, currency: str, to_currency: str, rate: Decimal) -> int:
    """Return the amount in minor units of `to_currency`, halves up. `rate`: `to_currency` per one unit of `currency`."""
    value = Decimal(minor).scaleb(-decimals(currency)) * rate
    return int(value.scaleb(decimals(to_currency)).to_integral_value(ROUND_HALF_UP))
