"""Etsy's refresh tokens work once: what becomes of a new pair that could not be stored, beside the emulated token address."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from urllib.parse import parse_qs

import msgspec
import pytest
from wire import Wire

from oneshelf.channels.contract import BudgetSeen, Request, Response, Secret
from oneshelf.channels.session import Session
from oneshelf.core.errors import SignInAgain

ASK = Request(method="GET", url="http://etsy.test/v3/application/users/me", operation="getMe")


class Store:
    """The stored pair. The first `failing` saves fail, as on a full disk; a stored one survives the process."""

    def __init__(self, secret: Secret, failing: int = 0) -> None:
        self.secret, self.failing = secret, failing

    async def load(self) -> Secret:
        return self.secret

    async def save(self, secret: Secret, expected_version: int) -> Secret:
        await asyncio.sleep(0)
        if self.failing:
            self.failing -= 1
            raise OSError("disk full")
        if self.secret.version == expected_version:
            self.secret = secret
        return self.secret


class Free:
    """A limiter that asks for nothing."""

    async def acquire(self, operation: str, priority: int, cost: float = 1.0) -> None:
        return

    def answered(self, operation: str, now: object, seen: list[BudgetSeen]) -> None:
        return


class Clock:
    """The marketplace's time, for the session."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def now(self) -> datetime:
        return self.wire.clock.now()

    def monotonic(self) -> float:
        return self.now().timestamp()


class Shop:
    """The emulated shop with its store; each `process()` starts anew from what is stored."""

    def __init__(self, failing: int = 0) -> None:
        self.wire = Wire("etsy")
        ends = self.wire.clock.now() + timedelta(hours=1)
        self.store = Store(msgspec.structs.replace(self.wire.secret, expires_at=ends), failing)
        self.refreshes: list[str] = []
        self.traded = 0
        self.bearers: list[str] = []
        self.stored_when_used: list[bool] = []

    def process(self) -> Session:
        channel = self.wire.channel
        return Session(self, channel.auth, self.store, Free(), Clock(self.wire), budget_seen=channel.budget_seen)

    def an_hour_later(self) -> None:
        self.wire.pass_time(3601)

    async def request(self, request: Request) -> Response:
        await asyncio.sleep(0)
        if request.operation == "token":
            self.refreshes.append(parse_qs(request.body.decode())["refresh_token"][0])
        else:
            bearer = request.headers["authorization"].removeprefix("Bearer ")
            self.bearers.append(bearer)
            self.stored_when_used.append(bearer == self.store.secret.values["access_token"])
        answer = await self.wire.sent(request)
        self.traded += request.operation == "token"
        await asyncio.sleep(0)  # the answer is on its way
        return answer


async def test_a_new_pair_that_could_not_be_stored_is_kept_stored_later_and_only_then_used() -> None:
    shop = Shop(failing=1)
    old = dict(shop.store.secret.values)
    session = shop.process()
    shop.an_hour_later()
    with pytest.raises(OSError, match="disk full"):
        await session.request(ASK)
    assert (shop.bearers, shop.store.secret.values) == ([], old)

    assert (await session.request(ASK)).status == 200
    assert shop.refreshes == [old["refresh_token"]]  # once: the pair in hand was stored, none was asked for
    assert shop.store.secret.values["refresh_token"] != old["refresh_token"]
    assert old["access_token"] not in shop.bearers and all(shop.stored_when_used)


@pytest.mark.parametrize("failing", [1, 3])
async def test_after_a_restart_the_pair_that_was_stored_late_goes_on(failing: int) -> None:
    shop = Shop(failing)
    session = shop.process()
    shop.an_hour_later()
    for _ in range(failing):
        with pytest.raises(OSError, match="disk full"):
            await session.request(ASK)
    assert (await session.request(ASK)).status == 200
    for _ in range(3):
        session = shop.process()
        shop.an_hour_later()
        assert (await session.request(ASK)).status == 200
    assert len(shop.refreshes) == len(set(shop.refreshes)) == 4
    assert all(shop.stored_when_used)


async def test_calls_at_once_during_a_failed_save_trade_the_refresh_token_once() -> None:
    shop = Shop(failing=1)
    session = shop.process()
    shop.an_hour_later()
    ends = await asyncio.gather(*(session.request(ASK) for _ in range(4)), return_exceptions=True)
    assert [type(one) for one in ends].count(OSError) == 1
    assert [one.status for one in ends if isinstance(one, Response)] == [200] * 3
    assert len(shop.refreshes) == 1


async def test_a_caller_that_is_stopped_while_renewing_loses_no_pair() -> None:
    shop = Shop()
    session = shop.process()
    shop.an_hour_later()
    asked = asyncio.create_task(session.request(ASK))
    for _ in range(100):
        if shop.traded:
            break
        await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert (await session.request(ASK)).status == 200
    assert len(shop.refreshes) == 1
    assert (await shop.process().request(ASK)).status == 200


async def test_a_process_that_dies_with_the_only_copy_asks_for_a_new_sign_in_and_sends_nothing() -> None:
    """No client can help this: Etsy has forgotten the old token, and nobody has the new one. It has to be said at once."""
    shop = Shop(failing=1)
    shop.an_hour_later()
    with pytest.raises(OSError, match="disk full"):
        await shop.process().request(ASK)
    with pytest.raises(SignInAgain, match="invalid_grant"):
        await shop.process().request(ASK)
    assert shop.bearers == []
