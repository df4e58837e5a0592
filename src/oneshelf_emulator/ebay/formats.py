"""How eBay writes instants, amounts and pages, and how strictly it reads them.

In: Python values or wire text. Out: the other one. Never: keeps anything.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

AMOUNT = re.compile(r"\d{1,9}(\.\d{1,2})?")
INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
#: Currencies without minor units.
WHOLE_CURRENCIES = frozenset({"JPY", "KRW", "VND", "TWD"})


def is_number(text: str) -> bool:
    """Whether `text` is a whole number of 0 or more that fits 64 bits."""
    return re.fullmatch(r"[0-9]{1,18}", text) is not None


def instant(at: datetime) -> str:
    """Return ISO 8601 in UTC with milliseconds and Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def instant_of(text: str) -> datetime:
    """Return the instant of `text`. Raises ValueError for anything but UTC with milliseconds and Z."""
    if not INSTANT.fullmatch(text):
        raise ValueError(text)
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def amount(minor: int, currency: str) -> dict[str, str]:
    """Return an Amount: a string value with its currency."""
    sign, minor = ("-", -minor) if minor < 0 else ("", minor)
    value = str(minor) if currency in WHOLE_CURRENCIES else f"{minor // 100}.{minor % 100:02d}"
    return {"value": sign + value, "currency": currency}


def minor_of(value: Any, currency: str) -> int:
    """Return the minor units of an amount's string value. Raises ValueError."""
    if not isinstance(value, str) or not AMOUNT.fullmatch(value):
        raise ValueError(f"not an amount: {value!r}")
    whole, _, part = value.partition(".")
    if currency in WHOLE_CURRENCIES:
        if part.strip("0"):
            raise ValueError(f"{currency} has no minor units")
        return int(whole)
    return int(whole) * 100 + int(part.ljust(2, "0") or 0)
