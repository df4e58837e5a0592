"""Reading what eBay writes: bodies, instants, amounts, errors. Pure.

In: bytes and loose values. Out: our types. Never: guesses what matters (Unreadable says why).
Source: eBay Sell APIs: amounts are texts, instants ISO 8601 in UTC with milliseconds, ids texts; read 2026-11.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, NamedTuple, TypeVar

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


def decoded(body: bytes, kind: type[T], what: str) -> T:
    """Decode JSON, numbers also when they came as texts. Raises Unreadable."""
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except RecursionError as bad:
        raise Unreadable(f"eBay {what}: nested too deeply") from bad
    except (msgspec.MsgspecError, UnicodeDecodeError) as bad:
        raise Unreadable(f"eBay {what}: {bad}") from bad


def text(value: Any) -> str | None:
    """Return a text without outer blanks, None for nothing."""
    if value is None or isinstance(value, dict | list | bool):
        return None
    return str(value).strip() or None


def whole(value: Any) -> int | None:
    """Return a whole number also when it came as text, None when it is none or beyond what any id or count can be."""
    if isinstance(value, str) and len(value) <= _TEXT_MAX and value.strip().lstrip("-").isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _WHOLE_MAX:
        return None
    return value


def inside(value: Any, *path: str) -> Any:
    """Return what lies at `path` in nested objects, None when a step is missing."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, nothing for anything else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def instant(value: Any) -> datetime | None:
    """Return an ISO 8601 instant, with or without milliseconds; None for nothing or nonsense."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def iso(at: datetime) -> str:
    """Return an instant as eBay wants it: 2026-01-01T00:00:00.000Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def money(value: Any) -> Money | None:
    """Return `{"value": "12.50", "currency": "USD"}` in minor units, None for nothing. Raises Unreadable on no number."""
    amount, currency = text(inside(value, "value")), text(inside(value, "currency"))
    if amount is None or currency is None:
        return None
    try:
        minor = int((Decimal(amount) * 10 ** decimals(currency)).quantize(Decimal(1), rounding=ROUND_HALF_UP))
    except (InvalidOperation, ValueError, OverflowError) as bad:
        raise Unreadable(f"eBay amount {amount[:40]!r} is no number") from bad
    if abs(minor) > _MINOR_MAX:
        raise Unreadable(f"eBay amount {amount!r} is no price")
    return Money(minor, currency)


def amount(price: Money) -> dict[str, str]:
    """Return money as eBay writes it: `{"value": "12.50", "currency": "USD"}`."""
    value = Decimal(price.minor).scaleb(-decimals(price.currency))
    return {"value": f"{value:f}", "currency": price.currency}


class Explained(NamedTuple):
    """eBay's own id and words for a failure; id 0 when the body is not eBay's error form (HTML from the edge happens)."""

    error_id: int
    words: str


_WORDS_MAX = 300


def explained(errors: Any) -> Explained:
    """Read the first of `errors`: {errorId, message, longMessage, parameters}; Post-Order says `parameter`. Never raises."""
    for error in objects(errors):
        said = [text(error.get("longMessage")) or text(error.get("message"))]
        said += [
            text(parameter.get("value")) for parameter in objects(error.get("parameters") or error.get("parameter"))
        ]
        words = " · ".join(word for word in said if word)[:_WORDS_MAX]
        return Explained(whole(error.get("errorId")) or 0, words or "no words")
    return Explained(0, "")


def explained_body(body: bytes) -> Explained:
    """Read an error answer; Post-Order names its list `error`. Never raises."""
    try:
        answer = decoded(body, dict[str, Any], "error")
    except Unreadable:
        return Explained(0, "")
    return explained(answer.get("errors") or answer.get("error"))
