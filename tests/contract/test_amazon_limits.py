"""What Amazon's answers say about its usage plans, taken in by the limiter: a plan may grow and shrink, for each seller by itself.

The whole way: a session that pays, an answer with its headers, the budget of the very next call.
"""

from __future__ import annotations

from typing import Any

import pytest

from oneshelf.channels.amazon import Amazon, connect
from oneshelf.channels.contract import Request, Response, Secret
from oneshelf.channels.session import Session
from oneshelf.publish.limiter import AppBudgets, Limiter, Priority
from oneshelf.runtime.clock import ManualClock
from oneshelf.tenants.credentials import HeldCredentials

PATCH, SEARCH = "patchListingsItem", "searchOrders"
SECRET = {"client_id": "c", "client_secret": "s", "refresh_token": "r", "access_token": "a"}


class Seller:
    """One seller's session with a limiter of its own; Amazon answers each call as `answers` next says."""

    def __init__(self, name: str, clock: ManualClock, app: AppBudgets | None = None) -> None:
        self.clock = clock
        self.channel: Amazon = connect({"seller_id": name, "marketplace_ids": "ATVPDKIKX0DER"})
        self.limiter = Limiter(self.channel.limits, clock, app)
        far = clock.now().replace(year=2027)
        held = HeldCredentials(Secret(values=dict(SECRET), expires_at=far))
        self.session = Session(
            self, self.channel.auth, held, self.limiter, clock, budget_seen=self.channel.budget_seen  # type: ignore[arg-type]
        )  # fmt: skip
        self.answer: tuple[int, str | None] = (200, None)

    async def request(self, request: Request) -> Response:
        status, rate = self.answer
        return Response(status, {} if rate is None else {"x-amzn-ratelimit-limit": rate}, b"{}", self.clock.now())

    async def told(self, operation: str, status: int, rate: str | None) -> None:
        self.answer = (status, rate)
        await self.session.request(Request("GET", "https://sellingpartnerapi-na.amazon.com/x", operation))

    def wait_s(self, operation: str) -> float:
        """Spend what is left at once; return how long the next call waits."""
        for _ in range(1_000):
            wait_s = self.limiter.try_take(operation, Priority.POLL, self.clock.now())
            if wait_s > 0:
                return wait_s
        raise AssertionError(f"{operation} is not metered")


@pytest.fixture
def seller() -> Seller:
    return Seller("S1", ManualClock())


@pytest.mark.parametrize(("operation", "rate_per_s", "burst"), [("searchListingsItems", 5, 5), (SEARCH, 0.0056, 20)])
def test_I19_calls_that_are_slow_on_their_way_make_those_after_them_none_too_many(
    seller: Seller, operation: str, rate_per_s: float, burst: int
) -> None:
    """Found by the simulator: Amazon's bucket begins to refill when the first call arrives, ours when it was sent. The rates are those of
    Amazon's plans, counted here as Amazon says it counts: a token bucket by the instant a call arrives."""
    begin, sent = seller.clock.now(), []
    while len(sent) < burst * 2:
        wait_s = seller.limiter.try_take(operation, Priority.POLL, seller.clock.now())
        if wait_s > 0:
            seller.clock.advance(wait_s)
        else:
            sent.append((seller.clock.now() - begin).total_seconds())
    late_s, tokens, last = 0.9 / rate_per_s, float(burst), 0.0
    for at in sorted(at + late_s if at == 0.0 else at for at in sent):
        tokens = min(float(burst), tokens + (at - last) * rate_per_s) - 1
        last = at
        assert tokens >= 0, f"refused after {at:.3f} s"


async def test_the_plans_default_holds_while_no_answer_says_otherwise(seller: Seller) -> None:
    assert seller.wait_s(SEARCH) == pytest.approx(1 / 0.0056, abs=0.1)
    assert seller.wait_s(PATCH) == pytest.approx(1 / 5, abs=1e-3)


async def test_a_header_that_lowers_the_rate_is_adopted(seller: Seller) -> None:
    await seller.told(PATCH, 200, "0.5")
    assert seller.wait_s(PATCH) == pytest.approx(2.0, abs=1e-3)


async def test_a_header_that_raises_the_rate_is_adopted(seller: Seller) -> None:
    await seller.told(SEARCH, 200, "0.0167")
    assert seller.wait_s(SEARCH) == pytest.approx(1 / 0.0167, abs=0.1)


async def test_the_latest_header_counts_and_an_absent_one_changes_nothing(seller: Seller) -> None:
    await seller.told(PATCH, 200, "0.5")
    await seller.told(PATCH, 202, "10.0")
    await seller.told(PATCH, 200, None)
    assert seller.wait_s(PATCH) == pytest.approx(0.1, abs=1e-3)


async def test_a_rate_is_the_operations_own(seller: Seller) -> None:
    await seller.told("getListingsItem", 404, "1.0")
    assert seller.wait_s(PATCH) == pytest.approx(0.2, abs=1e-3)
    assert seller.wait_s("getListingsItem") == pytest.approx(1.0, abs=1e-3)


async def test_a_rate_is_one_sellers_own_and_the_applications_limits_are_shared() -> None:
    """Usage plans are per seller and application; a few limits are the application's, whoever the seller is."""
    clock = ManualClock()
    limits = connect({"seller_id": "S", "marketplace_ids": "ATVPDKIKX0DER"}).limits
    app = AppBudgets(limits, clock)
    one, other = Seller("S1", clock, app), Seller("S2", clock, app)
    await one.told(PATCH, 200, "0.5")
    assert one.wait_s(PATCH) == pytest.approx(2.0, abs=1e-3)
    assert other.wait_s(PATCH) == pytest.approx(0.2, abs=1e-3)
    scopes = {limit.name: limit.scope for limit in limits}
    assert scopes["app:patchListingsItem"] == scopes["app:getListingsItem"] == "app"
    assert {scope for name, scope in scopes.items() if not name.startswith("app:")} == {"account"}
    shared = one.limiter.snapshot(clock.now())["app:patchListingsItem"]
    assert shared == other.limiter.snapshot(clock.now())["app:patchListingsItem"] and shared["level"] < 500


async def test_a_429_waits_one_refill_of_the_operations_plan(seller: Seller) -> None:
    """No Retry-After is promised."""
    await seller.told(SEARCH, 429, None)
    assert seller.wait_s(SEARCH) == pytest.approx(1 / 0.0056, abs=0.1)
    assert seller.wait_s("getOrder") == pytest.approx(2.0, abs=1e-3)


def test_no_limit_of_amazons_is_a_days(seller: Seller) -> None:
    """So nothing is kept back for priorities 1 and 2 here; where a channel has a day's budget, the last tenth is (test_limiter)."""
    days: list[Any] = [limit for limit in seller.channel.limits if limit.per_day is not None]
    assert days == [] and seller.channel.can.writes_per_unit_day is None
