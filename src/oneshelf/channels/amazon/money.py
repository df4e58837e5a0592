"""Amazon's decimal strings ↔ minor units.

In: `{"amount": "19.90", "currencyCode": "EUR"}`. Out: `Money`. Never: floats, rounding.
Source: Amazon model orders_2026-01-01 (`Money`, `Decimal`), read 2026-11: yen come without decimals.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from babel.core import get_global

from oneshelf.core.errors import Unreadable
from oneshelf.core.facts import Money
from oneshelf.core.money import decimals

#: Minor units beyond this are no price; the bound keeps an absurd exponent from becoming a huge integer.
MINOR_MAX = 10**15


class AmountSeen(msgspec.Struct, rename="camel"):
    """An amount as Amazon writes it. A JSON number is read digit by digit, never through a float."""

    amount: Decimal | None = None
    currency_code: str | None = None


def known(currency: str) -> str:
    """Return the currency. Raises Unreadable for one that nobody has ever used."""
    if currency not in get_global("all_currencies"):
        raise Unreadable(f"unknown currency {currency!r}")
    return currency


def money_of(seen: AmountSeen | None) -> Money | None:
    """Return the amount in minor units, None where Amazon gave none. Raises Unreadable for a currency nobody knows, or for a
    fraction that the currency does not have."""
    if seen is None or seen.amount is None:
        return None
    currency = (seen.currency_code or "").upper()
    digits = decimals(known(currency))
    if not seen.amount.is_finite() or abs(seen.amount) > MINOR_MAX:
        raise Unreadable("an amount out of range")
    minor = seen.amount.scaleb(digits)
    if minor != minor.to_integral_value():
        raise Unreadable(f"an amount with more decimals than {currency} has")
    return Money(minor=int(minor), currency=currency)
