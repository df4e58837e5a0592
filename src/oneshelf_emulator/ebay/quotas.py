"""Calls an application may make in a day, per API, and revisions a listing may see in a day.

In: one count per call or revision. Out: whether it may pass, and the rows of the analytics answer.
Never: knows what is called.
Source: https://developer.ebay.com/develop/get-started/api-call-limits, read 2026-11; recorded rate limit answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ..clock import Clock
from .formats import instant

#: Calls per day and application. Source: production rate limit answers, 2026-09-30.
CALLS_PER_DAY = {
    "sell.inventory": 2_000_000,
    "sell.fulfillment": 100_000,
    "sell.fulfillment.issuerefund": 100_000,
    "sell.account": 25_000,
    "sell.feed": 100_000,
    "lms_task": 400,  # tasks a day, feed type and seller
    "commerce.notification": 10_000,
    "commerce.identity": 10_000,
    "post-order.cancellation": 5_000,
    "trading": 5_000,
    "token.client_credentials": 1_000,
    "token.authorization_code": 10_000,
    "token.refresh_token": 50_000,
}
PACIFIC = ZoneInfo("America/Los_Angeles")
DAY_S = 86_400.0


class Days:
    """Which day it is at eBay: calendar days of the US Pacific coast; days of the shared clock if it is compressed."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._start = clock.now()

    def today(self) -> str:
        now = self.clock.now()
        if self.clock.factor == 1:
            return now.astimezone(PACIFIC).date().isoformat()
        return str(int((now - self._start).total_seconds() // self.clock.shortened(DAY_S)))

    def ends_at(self) -> datetime:
        """Return when the counters start anew."""
        now = self.clock.now()
        if self.clock.factor == 1:
            local = now.astimezone(PACIFIC)
            midnight = local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            return midnight.astimezone(UTC)
        return self._start + timedelta(seconds=(int(self.today()) + 1) * self.clock.shortened(DAY_S))


class Quotas:
    """The day counters of one application. The switch `limits` (API name -> calls per day) overrides the known ones."""

    def __init__(self, days: Days, switches: Mapping[str, Any]) -> None:
        self.days = days
        self.switches = switches
        self._used: dict[tuple[str, str], int] = {}

    def limit(self, api: str) -> int:
        return int(self.switches["limits"].get(api, CALLS_PER_DAY[api]))

    def used(self, api: str) -> int:
        return self._used.get((self.days.today(), api), 0)

    def take(self, api: str) -> bool:
        """Count one call of `api` if today's limit allows it; return whether it did."""
        day, used = self.days.today(), self.used(api)
        if used >= self.limit(api):
            return False
        self._used = {key: count for key, count in self._used.items() if key[0] == day}
        self._used[(day, api)] = used + 1
        return True

    def count(self, api: str, calls: int) -> None:
        """Let today's count of `api` be `calls`."""
        self._used[(self.days.today(), api)] = calls

    def document(self, api_name: str | None, api_context: str | None) -> dict[str, Any]:
        """Return a RateLimitsResponse for the REST APIs, filtered by name ("inventory") and context ("sell")."""
        reset = instant(self.days.ends_at())
        rows = []
        for api in CALLS_PER_DAY:
            context, _, name = api.partition(".")
            if context not in ("sell", "commerce") or (api_context or context).lower() != context:
                continue
            if (api_name or name).lower() != name:
                continue
            limit, used = self.limit(api), self.used(api)
            window_s = int(self.days.clock.shortened(DAY_S))
            rate = {"count": used, "limit": limit, "remaining": limit - used, "reset": reset, "timeWindow": window_s}
            resources = [{"name": api, "rates": [rate]}]
            rows.append({"apiContext": context, "apiName": name, "apiVersion": "v1", "resources": resources})
        return {"rateLimits": rows}
