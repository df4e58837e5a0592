"""What eBay meters, as data.

Calls are counted per application and API, all sellers together, until midnight Pacific; answers carry no rate headers.
Source: developer.ebay.com/develop/get-started/api-call-limits and getRateLimits answers of 2026-09, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oneshelf.channels.contract import BudgetSeen, RateLimit, Request, Response
from oneshelf.channels.ebay.wire import decoded, objects, text, whole
from oneshelf.core.errors import Unreadable

_DAILY = "developer.ebay.com/develop/get-started/api-call-limits; getRateLimits of a production key, 2026-09-30"

LIMITS: tuple[RateLimit, ...] = (
    RateLimit(
        name="sell.inventory",
        operations=(
            "getInventoryItems",
            "getOffers",
            "getInventoryItem",
            "bulkGetInventoryItem",
            "bulkUpdatePriceQuantity",
            "bulkMigrateListing",
        ),
        source=_DAILY,
        scope="app",
        per_day=2_000_000,
    ),
    RateLimit(
        name="sell.fulfillment",
        operations=("getOrders", "getOrder", "getShippingFulfillments", "createShippingFulfillment"),
        source=_DAILY,
        scope="app",
        per_day=100_000,
    ),
    RateLimit(
        name="commerce.notification",
        operations=("getPublicKey", "config", "destination", "subscription"),
        source=_DAILY,
        scope="app",
        per_day=10_000,
    ),
    RateLimit(
        name="post-order.cancellation",
        operations=(
            "createCancellation",
            "checkCancellationEligibility",
            "searchCancellations",
            "getCancellation",
            "approveCancellationRequest",
        ),
        source=_DAILY,
        scope="app",
        per_day=5_000,
    ),
    RateLimit(
        name="sell.feed",
        operations=("createInventoryTask", "getInventoryTask", "getResultFile"),
        source=_DAILY,
        scope="app",
        per_day=100_000,
    ),
    RateLimit(name="sell.account", operations=("getPrivileges",), source=_DAILY, scope="app", per_day=25_000),
    RateLimit(name="trading", operations=("GetUserPreferences",), source=_DAILY, scope="app", per_day=5_000),
    RateLimit(
        name="token",
        operations=("token",),
        source="developer.ebay.com/api-docs/static/oauth-rate-limits.html, read 2026-11: refresh grants",
        scope="app",
        per_day=50_000,
    ),
    RateLimit(
        name="application_token",
        operations=("applicationToken",),
        source="developer.ebay.com/api-docs/static/oauth-rate-limits.html, read 2026-11: client credentials",
        scope="app",
        per_day=1_000,
    ),
    # Counted per LISTING and calendar day, whatever API: no request spends from it as a whole; the publisher keeps it per outlet.
    RateLimit(
        name="revisions",
        operations=("revision",),
        source="eBay Sell Inventory, bulkUpdatePriceQuantity: each listing can be revised up to 250 times in one calendar day",
        scope="account",
        per_day=250,
    ),
    # No figure is published per second; bursts meet 5xx from the edge. This pace is ours.
    RateLimit(
        name="pace", operations=("*",), source="ours: eBay publishes none", scope="app", rate_per_s=20.0, burst=20.0
    ),
)

#: What to wait on a 429 that names no time. Ours: eBay promises no Retry-After.
DEFAULT_WAIT_S = 30.0


def wait_s(response: Response) -> float:
    """Return how long a 429 asks to wait, in seconds."""
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return DEFAULT_WAIT_S


def rates_of(answer: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Return {resource, lower case: (limit, calls left)} of the daily windows in an answer of getRateLimits."""
    found = {}
    for api in objects(answer.get("rateLimits")):
        for resource in objects(api.get("resources")):
            for rate in objects(resource.get("rates")):
                limit, left, window = (whole(rate.get(name)) for name in ("limit", "remaining", "timeWindow"))
                name = (text(resource.get("name")) or "").lower()
                if name and limit and left is not None and window in (None, 86_400):
                    found[name] = (limit, left)
    return found


def budget_seen(request: Request, response: Response) -> list[BudgetSeen]:
    """Read what a 429 asks to wait, and what getRateLimits says is left today; no other answer tells of budgets.

    Source: errorId 2001 "The request limit has been reached for the resource."; Developer Analytics getRateLimits.
    """
    if request.operation == "getRateLimits" and response.status == 200:
        try:
            rates = rates_of(decoded(response.body, dict[str, Any], "rate limits"))
        except Unreadable:
            return []
        ours = {limit.name for limit in LIMITS if limit.per_day is not None}
        return [BudgetSeen(limit=name, left_today=left) for name, (_, left) in rates.items() if name in ours]
    if response.status != 429:
        return []
    named = [limit.name for limit in LIMITS if request.operation in limit.operations]
    return [BudgetSeen(limit=name, wait_s=wait_s(response)) for name in named or ["pace"]]
