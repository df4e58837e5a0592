"""Reading what Etsy writes: bodies, instants, money, texts. Pure.

In: bytes and loose values. Out: our types. Never: guesses what matters (Unreadable says why).
"""

from __future__ import annotations

import html
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeVar

import msgspec

from oneshelf.core.errors import Unreadable
from oneshelf.core.facts import Money
from oneshelf.core.money import decimals

T = TypeVar("T")

#: Ids and counts fit 64 bits; amounts stay far below, so that their sums do too.
_WHOLE_MAX = 2**63 - 1
_TEXT_MAX = 24
_MINOR_MAX = 10**15
#: No line of an order counts more units.
UNITS_MAX = 10**9


class EtsyMoney(msgspec.Struct, frozen=True):
    """`amount` ÷ `divisor` of `currency_code`. Source: Etsy Open API v3, schema Money."""

    amount: int
    currency_code: str
    divisor: int = 100


def decoded(body: bytes, kind: type[T], what: str) -> T:
    """Decode JSON, numbers also when they came as strings. Raises Unreadable."""
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except RecursionError as bad:
        raise Unreadable(f"Etsy {what}: nested too deeply") from bad
    except (msgspec.MsgspecError, UnicodeDecodeError) as bad:
        raise Unreadable(f"Etsy {what}: {bad}") from bad


def text(value: Any) -> str | None:
    """Return a text as people wrote it (Etsy escapes HTML in some), None for nothing."""
    if value is None or isinstance(value, dict | list | bool):
        return None
    return html.unescape(str(value)).strip() or None


def whole(value: Any) -> int | None:
    """Return a whole number also when it came as text, None when it is none or beyond what any id or count can be."""
    if isinstance(value, str) and len(value) <= _TEXT_MAX and value.strip().lstrip("-").isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _WHOLE_MAX:
        return None
    return value


def instant(value: Any) -> datetime | None:
    """Return unix seconds (number or text) or ISO 8601 as an aware instant, None for nothing or 0."""
    seconds = whole(value)
    try:
        if seconds:
            return datetime.fromtimestamp(seconds, UTC)
        if isinstance(value, str) and "T" in value:
            at = datetime.fromisoformat(value.replace("Z", "+00:00"))
            return at if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def money(value: EtsyMoney) -> Money:
    """Return Etsy's amount in minor units, halves rounded up (Etsy sends none). Raises Unreadable on a divisor of 0."""
    if value.divisor <= 0 or abs(value.amount) > _MINOR_MAX:
        raise Unreadable(f"Etsy money of {value.amount} with divisor {value.divisor}")
    exact = Decimal(value.amount) * (10 ** decimals(value.currency_code)) / Decimal(value.divisor)
    return Money(int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP)), value.currency_code)
