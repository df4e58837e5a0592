"""What Amazon meters, as data: one token bucket an operation and seller + application pair, and a few per application.

In: nothing. Out: `LIMITS`, and what an answer's headers say. Never: waiting.
The operation names are Amazon's operation ids. Source of all defaults: the usage plans in Amazon's API models (orders_2026-01-01,
listingsItems_2021-08-01, notifications, sellers), commit 34dc93f of 2026-08-05; per-application limits: page
"Listings Items API rate limits", read 2026-11 (an older copy; may have changed).
"""

from __future__ import annotations

import math

from oneshelf.channels.contract import BudgetSeen, RateLimit, Request, Response

_PLAN = "usage plan in Amazon's model {}, read 2026-11"
_ORDERS = _PLAN.format("orders_2026-01-01")
_LISTINGS = _PLAN.format("listingsItems_2021-08-01")
_NOTIFICATIONS = _PLAN.format("notifications")
_LISTINGS_APP = "Amazon page listings-items-api-rate-limits, read 2026-11"


#: So many calls of a plan's burst are left to the way: Amazon counts a call when it arrives, and one that was slow is counted among
#: those that were sent after it.
LATE_CALLS = 1


def _plan(operation: str, rate_per_s: float, burst: float, source: str) -> RateLimit:
    return RateLimit(
        name=operation, operations=(operation,), source=source, rate_per_s=rate_per_s, burst=burst - LATE_CALLS
    )


LIMITS: tuple[RateLimit, ...] = (
    _plan("searchOrders", 0.0056, 20, _ORDERS),
    _plan("getOrder", 0.5, 30, _ORDERS),
    _plan("confirmShipment", 2, 10, _PLAN.format("ordersV0")),
    _plan("searchListingsItems", 5, 5, _LISTINGS),
    _plan("getListingsItem", 5, 10, _LISTINGS),
    _plan("patchListingsItem", 5, 5, _LISTINGS),
    _plan("getMarketplaceParticipations", 0.016, 15, _PLAN.format("sellers")),
    _plan("createFeedDocument", 0.5, 15, _PLAN.format("feeds_2021-06-30")),
    _plan("createFeed", 0.0083, 15, _PLAN.format("feeds_2021-06-30")),
    _plan("getFeeds", 0.0222, 10, _PLAN.format("feeds_2021-06-30")),
    _plan("getFeed", 2, 15, _PLAN.format("feeds_2021-06-30")),
    _plan("getFeedDocument", 0.0222, 10, _PLAN.format("feeds_2021-06-30")),
    _plan("createReport", 0.0167, 15, _PLAN.format("reports_2021-06-30")),
    _plan("getReport", 2, 15, _PLAN.format("reports_2021-06-30")),
    _plan("getReportDocument", 0.0167, 15, _PLAN.format("reports_2021-06-30")),
    _plan("getDestinations", 1, 5, _NOTIFICATIONS),
    _plan("createDestination", 1, 5, _NOTIFICATIONS),
    _plan("getSubscription", 1, 5, _NOTIFICATIONS),
    _plan("createSubscription", 1, 5, _NOTIFICATIONS),
    _plan("deleteSubscriptionById", 1, 5, _NOTIFICATIONS),
    RateLimit(
        name="app:patchListingsItem",
        operations=("patchListingsItem",),
        source=_LISTINGS_APP,
        scope="app",
        rate_per_s=500,
        burst=500,
    ),
    RateLimit(
        name="app:getListingsItem",
        operations=("getListingsItem",),
        source=_LISTINGS_APP,
        scope="app",
        rate_per_s=100,
        burst=100,
    ),
)

_RATE_PER_S = {limit.name: limit.rate_per_s for limit in LIMITS if limit.rate_per_s}

#: A wait shorter than this is not worth a timer.
THROTTLE_WAIT_S_MIN = 1.0


def throttle_wait_s(operation: str) -> float:
    """Return how long to stay away after a 429: one refill of this operation's bucket, at least a second.

    Amazon promises no Retry-After. Source: Amazon page "Usage Plans and Rate Limits", read 2026-11.
    """
    rate_per_s = _RATE_PER_S.get(operation)
    return max(THROTTLE_WAIT_S_MIN, 1.0 / rate_per_s) if rate_per_s else THROTTLE_WAIT_S_MIN


def budget_seen(request: Request, response: Response) -> list[BudgetSeen]:
    """Read the plan's present rate from `x-amzn-RateLimit-Limit` (a rate to adopt, never "left"), and a 429's wait.

    The header is best effort: on 200, 201, 202, 204, 400 and 404 only.
    Source: Amazon page "Response format" and "Usage Plans and Rate Limits", read 2026-11.
    """
    if request.operation not in _RATE_PER_S:
        return []
    if response.status == 429:
        return [BudgetSeen(limit=request.operation, left=0, wait_s=throttle_wait_s(request.operation))]
    try:
        rate_per_s = float(response.headers.get("x-amzn-ratelimit-limit", ""))
    except ValueError:
        return []
    if not math.isfinite(rate_per_s) or rate_per_s <= 0:
        return []
    return [BudgetSeen(limit=request.operation, rate_per_s=rate_per_s)]
