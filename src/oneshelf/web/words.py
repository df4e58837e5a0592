"""Numbers, times and durations as a page says them (British English, UTC). Pure."""

from __future__ import annotations

from datetime import datetime

MINUS = "−"
NOT_KNOWN = "not known"


def number(value: int | None) -> str:
    """Return a whole number: `1,234`, `−1`, and `not known` for None. Null is never 0."""
    if value is None:
        return NOT_KNOWN
    return f"{MINUS if value < 0 else ''}{abs(value):,}"


def signed(value: int) -> str:
    """Return a change: `+2`, `−1`, `0`."""
    return f"+{value:,}" if value > 0 else number(value)


def seconds(value: float | None) -> str:
    """Return a duration: `2 ms`, `0.8 s`, `41 s`, `14 min`, `3 h`, `2 d`; `not known` for None."""
    if value is None:
        return NOT_KNOWN
    if value < 0.0995:
        return f"{round(value * 1000)} ms"
    if value < 9.95:
        return f"{value:.1f} s"
    if value < 99.5:
        return f"{round(value)} s"
    if value < 5_940:
        return f"{round(value / 60)} min"
    return f"{round(value / 3_600)} h" if value < 172_800 else f"{round(value / 86_400)} d"


def clock(at: datetime | None, now: datetime) -> str:
    """Return a clock time to the second within the day, else the date with it; `–` where there is none to say."""
    if at is None:
        return "–"
    if at.date() == now.date():
        return f"{at:%H:%M:%S}"
    if abs((now - at).days) < 300:
        return f"{at.day} {at:%b}, {at:%H:%M}"
    return f"{at.day} {at:%b %Y}"


def day(at: datetime, now: datetime) -> str:
    """Return the day of an instant: `Today, Mon 23 Nov`."""
    text = f"{at:%a} {at.day} {at:%b}"
    if at.date() == now.date():
        return f"Today, {text}"
    return text if at.year == now.year else f"{text} {at.year}"


def count(n: int, one: str, many: str = "") -> str:
    """Return `1 order`, `2 orders`."""
    return f"{number(n)} {one if n == 1 else many or one + 's'}"


def listed(names: list[str]) -> str:
    """Return `Amazon, eBay and Etsy`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
