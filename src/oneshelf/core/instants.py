"""Instants inside the engine: whole microseconds since 1970 in UTC, as the database keeps them.

Connectors speak aware datetimes; the engine compares, sorts and stores integers, exact on both databases (I24).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)

SECOND = 1_000_000


def to_us(at: datetime) -> int:
    """Return an aware datetime as microseconds since 1970. Raises ValueError without a time zone."""
    if at.tzinfo is None:
        raise ValueError(f"an instant without a time zone: {at!r}")
    return (at - _EPOCH) // _US


def to_us_or_none(at: datetime | None) -> int | None:
    return None if at is None else to_us(at)


def from_us(us: int) -> datetime:
    """Return microseconds since 1970 as an aware UTC datetime."""
    return _EPOCH + timedelta(microseconds=us)


def until_s(instants: Iterable[int | None], now: int, most_s: float) -> float:
    """Return the seconds from `now` to the earliest of these instants that is still to come; at most `most_s`."""
    ahead = [at - now for at in instants if at is not None and at > now]
    return min([most_s, *(us / SECOND for us in ahead)])


def iso(us: int | None) -> str | None:
    """Return the instant as ISO 8601 with milliseconds and Z, or None."""
    if us is None:
        return None
    return from_us(us).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant_of(text: str) -> int:
    """Return an instant that a person wrote: ISO 8601, without a zone UTC, a day alone its first moment. Raises ValueError with words.

    >>> instant_of("1970-01-01T00:00:01Z"), instant_of("1970-01-02"), instant_of("1970-01-01T01:00+01:00")
    (1000000, 86400000000, 0)
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no time. Write it like 2026-11-27T08:00 (UTC), 2026-11-27T08:00+01:00 or 2026-11-27."
        ) from None
    return to_us(at if at.tzinfo is not None else at.replace(tzinfo=UTC))
