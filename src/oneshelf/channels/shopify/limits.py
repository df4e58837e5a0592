"""What Shopify meters, as data, and what its answers say about it. Pure.

In: requests and answers. Out: `RateLimit`s and `BudgetSeen`s. Never: waits.
Source: Shopify docs, "API limits" (shopify.dev/docs/api/usage/limits), read 2026-11: a bucket per app and shop, restored 100 points/s
and 2,000 deep on the standard plans, more on others. The answer's own numbers win at once.
"""

from __future__ import annotations

from typing import Any

import msgspec

from oneshelf.channels.contract import BudgetSeen, RateLimit, Request, Response

POINTS = RateLimit(
    name="points",
    operations=("*",),
    source="Shopify docs, API limits: 100 points/s, bucket 2,000 (standard plans); corrected by extensions.cost of each answer",
    scope="account",
    rate_per_s=100.0,
    burst=2000.0,
)

#: On trial and development stores. Source: Shopify Admin GraphQL mutation orderCreate, 2026-10 ("a maximum of five new orders per minute").
NEW_ORDERS = RateLimit(
    name="new_orders",
    operations=("ImportOrder",),
    source="Shopify Admin GraphQL orderCreate: five new orders a minute on trial and development stores",
    scope="account",
    rate_per_s=5 / 60,
    burst=5.0,
    counts="calls",
)

#: HTTP 429 is rare on GraphQL and says nothing of a bucket. Source: Shopify API libraries, default of Retry-After.
RETRY_AFTER_S = 1.0


class _Throttle(msgspec.Struct, rename="camel"):
    maximum_available: float | None = None
    currently_available: float | None = None
    restore_rate: float | None = None


class Cost(msgspec.Struct, rename="camel"):
    """`extensions.cost` of an answer."""

    requested_query_cost: float | None = None
    throttle_status: _Throttle | None = None

    def wait_s(self) -> float:
        """Seconds until the bucket holds what was asked for: (requested − available) ÷ restore rate; 1 if not all is said."""
        status = self.throttle_status
        if status is None or self.requested_query_cost is None or not status.restore_rate:
            return RETRY_AFTER_S
        return max(0.0, (self.requested_query_cost - (status.currently_available or 0.0)) / status.restore_rate)


class _Extensions(msgspec.Struct):
    cost: Cost | None = None


class _Answer(msgspec.Struct):
    extensions: _Extensions | None = None
    errors: Any = None


_decoder = msgspec.json.Decoder(_Answer)


def is_throttled(errors: object) -> bool:
    """Return True if a top-level error has the code THROTTLED."""
    return isinstance(errors, list) and any(
        isinstance(e, dict) and isinstance(e.get("extensions"), dict) and e["extensions"].get("code") == "THROTTLED"
        for e in errors
    )


def retry_after_s(response: Response) -> float:
    """Return the seconds of Retry-After, or the default."""
    try:
        return max(0.0, float(response.headers.get("retry-after", "")))
    except ValueError:
        return RETRY_AFTER_S


def budget_seen(request: Request, response: Response) -> list[BudgetSeen]:
    """Return what the answer says about the bucket."""
    if request.bare:
        return []
    if response.status == 429:
        return [BudgetSeen(limit=POINTS.name, wait_s=retry_after_s(response))]
    try:
        answer = _decoder.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    cost = answer.extensions.cost if answer.extensions else None
    if cost is None or cost.throttle_status is None:
        return []
    status = cost.throttle_status
    return [
        BudgetSeen(
            limit=POINTS.name,
            rate_per_s=status.restore_rate,
            burst=status.maximum_available,
            left=status.currently_available,
            wait_s=cost.wait_s() if is_throttled(answer.errors) else None,
        )
    ]
