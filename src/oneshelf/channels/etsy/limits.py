"""What Etsy meters, as data.

Etsy counts per app key, all shops together; the figures are set per key and told on every answer, so the ones here are the
smallest seen and only hold until the first answer.
Source: Etsy developer documentation, essentials/rate-limits, read 2026-11; numbers seen: github.com/etsy/open-api discussions.
"""

from __future__ import annotations

from oneshelf.channels.contract import BudgetSeen, RateLimit, Request, Response

_SOURCE = (
    "developers.etsy.com essentials/rate-limits, read 2026-11; smallest figures seen: personal access 5 QPS, 5,000 QPD"
)

PER_SECOND = "per_second"
PER_DAY = "per_day"

#: Etsy counts the calls of a second; our buckets refill. A full bucket and what flows in while it is emptied pass within one second, so
#: each gets half of what Etsy allows.
PART = 0.5

LIMITS: tuple[RateLimit, ...] = (
    RateLimit(name=PER_SECOND, operations=("*",), source=_SOURCE, scope="app", rate_per_s=5.0 * PART, burst=5.0 * PART),
    RateLimit(name=PER_DAY, operations=("*",), source=_SOURCE, scope="app", per_day=5_000),
)

#: What to wait when a 429 names no time: the window of the count that ran out.
_DEFAULT_WAIT_S = {PER_SECOND: 1.0, PER_DAY: 900.0}


def _number(headers: dict[str, str], *names: str) -> float | None:
    for name in names:
        try:
            value = float(headers[name])
        except (KeyError, ValueError):
            continue
        if value >= 0:
            return value
    return None


def quota(response: Response) -> tuple[float | None, float | None]:
    """Return (calls left, calls allowed) of the sliding day, None where the answer does not say."""
    return _number(response.headers, "x-remaining-today"), _number(response.headers, "x-limit-per-day")


def wait_s(response: Response) -> float:
    """Return how long a 429 asks to wait, in seconds. Source: header retry-after, up to 86,400 seen (etsy/open-api #256)."""
    asked = _number(response.headers, "retry-after")
    return asked if asked is not None else _DEFAULT_WAIT_S[exceeded(response)]


def exceeded(response: Response) -> str:
    """Name the count a 429 is about. Source: texts "Exceeded per second rate limit" (#198), "… daily …" (#611)."""
    if b"daily" in response.body.lower():
        return PER_DAY
    left_today = _number(response.headers, "x-remaining-today")
    return PER_DAY if left_today == 0 else PER_SECOND


def budget_seen(request: Request, response: Response) -> list[BudgetSeen]:
    """Read the rate headers of an answer, and what a 429 asks to wait."""
    headers = response.headers
    per_second = _number(headers, "x-limit-per-second")
    # The documentation once misspelt this header (without the d).
    left = _number(headers, "x-remaining-this-second", "x-remaining-this-secon")
    left_today = _number(headers, "x-remaining-today")
    waits: dict[str, float] = {exceeded(response): wait_s(response)} if response.status == 429 else {}
    seen: list[BudgetSeen] = []
    if per_second is not None or left is not None or PER_SECOND in waits:
        seen.append(
            BudgetSeen(
                limit=PER_SECOND,
                rate_per_s=per_second * PART if per_second else None,
                burst=per_second * PART if per_second else None,
                left=left,
                wait_s=waits.get(PER_SECOND),
            )
        )
    if left_today is not None or PER_DAY in waits:
        seen.append(
            BudgetSeen(
                limit=PER_DAY,
                left_today=None if left_today is None else int(left_today),
                wait_s=waits.get(PER_DAY),
            )
        )
    return seen
