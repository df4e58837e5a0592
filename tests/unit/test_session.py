"""A session: pays, signs, renews once for all, never uses a token that is not stored, never repeats a write that may have been done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import msgspec
import pytest

from oneshelf.channels.contract import BudgetSeen, Http, NoAnswer, RateLimit, Request, Response, Secret
from oneshelf.channels.session import Priority, Session
from oneshelf.core.errors import Retry, SignInAgain
from oneshelf.publish.limiter import Limiter
from oneshelf.runtime.clock import ManualClock

CLOCK_START = ManualClock().now()
WRITES = RateLimit(name="writes", operations=("patch",), source="test", rate_per_s=5, burst=100)
PATCH = Request(method="PATCH", url="https://channel.example/a", operation="patch", writes=True)


class Channel:
    """A channel with one refresh token that rotates: each renewal makes the one before it void."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.access = "a0"
        self.refresh = "r0"
        self.renewals = 0
        self.done: list[str] = []
        self.sent: list[Request] = []
        self.fault: Callable[[Request], None] | None = None
        self.gate: asyncio.Event | None = None
        self.headers: dict[str, str] = {}

    async def request(self, request: Request) -> Response:
        self.sent.append(request)
        await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            self.fault(request)
        if request.bare:
            if request.body.decode() != self.refresh:
                return self.answer(400, b"invalid_grant")
            self.renewals += 1
            self.access, self.refresh = f"a{self.renewals}", f"r{self.renewals}"
            return self.answer(200, f"{self.access} {self.refresh}".encode(), self.headers)
        if request.headers.get("authorization") != self.access:
            return self.answer(401, b"")
        self.done.append(request.url)
        return self.answer(200, b"ok", self.headers)

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> Response:
        return Response(status=status, headers=headers or {}, body=body, received_at=self.clock.now())


class Auth:
    def authorized(self, request: Request, secret: Secret) -> Request:
        return msgspec.structs.replace(request, headers={**request.headers, "authorization": secret.values["access"]})

    def needs_renewal(self, secret: Secret, now: object) -> bool:
        return not secret.values["access"] or (secret.expires_at is not None and secret.expires_at <= now)  # type: ignore[operator]

    async def renew(self, http: Http, secret: Secret, now: object) -> Secret:
        response = await http.request(
            Request(
                method="POST",
                url="https://channel.example/token",
                operation="token",
                body=secret.values["refresh"].encode(),
                bare=True,
            )
        )
        if response.status == 400:
            raise SignInAgain("refused")
        if response.status != 200:
            raise Retry("token endpoint")
        access, refresh = response.body.decode().split()
        return Secret(values={"access": access, "refresh": refresh})

    def token_refused(self, response: Response) -> bool:
        return response.status == 401


class Store:
    """One row, as the database keeps it: a save against another version changes nothing."""

    def __init__(self, secret: Secret) -> None:
        self.secret = secret
        self.saves: list[int] = []
        self.broken = False

    async def load(self) -> Secret:
        await asyncio.sleep(0)
        return self.secret

    async def save(self, secret: Secret, expected_version: int) -> Secret:
        await asyncio.sleep(0)
        if self.broken:
            raise OSError("disk full")
        if self.secret.version == expected_version:
            self.secret = secret
            self.saves.append(secret.version)
        return self.secret


def budget_seen(request: Request, response: Response) -> list[BudgetSeen]:
    left = response.headers.get("x-left")
    return [] if left is None else [BudgetSeen(limit="writes", left=float(left))]


class World:
    def __init__(self, access: str = "a0") -> None:
        self.clock = ManualClock()
        self.channel = Channel(self.clock)
        self.store = Store(Secret(values={"access": access, "refresh": "r0"}))
        self.limiter = Limiter((WRITES,), self.clock)
        self.session = self.another_session()

    def another_session(self) -> Session:
        return Session(self.channel, Auth(), self.store, self.limiter, self.clock, budget_seen=budget_seen)

    def level(self) -> float:
        return float(self.limiter.snapshot(self.clock.now())["writes"]["level"])


async def test_a_request_is_paid_signed_and_sent() -> None:
    world = World()
    response = await world.session.request(PATCH)
    assert response.status == 200
    assert world.channel.sent[0].headers == {"authorization": "a0"}
    assert PATCH.headers == {}
    assert world.channel.renewals == 0


async def test_what_the_answer_says_about_the_budget_is_adopted() -> None:
    world = World()
    world.channel.headers = {"x-left": "40"}
    await world.session.request(PATCH)
    assert world.level() == 40


async def test_a_bare_request_is_sent_as_it_is_and_unpaid() -> None:
    world = World()
    await world.session.request(msgspec.structs.replace(PATCH, bare=True, body=b"r0"))
    assert world.channel.sent[0].headers == {}
    assert world.level() == 100


async def test_fifty_requests_that_find_the_token_ended_renew_it_once() -> None:
    world = World(access="")
    answers = await asyncio.gather(*(world.session.request(PATCH) for _ in range(50)))
    assert {a.status for a in answers} == {200}
    assert [r.operation for r in world.channel.sent].count("token") == 1
    assert world.store.saves == [1]
    assert world.session.renewals == 1


async def test_fifty_requests_whose_token_is_refused_renew_it_once_and_are_done_once_each() -> None:
    world = World(access="revoked")
    requests = [msgspec.structs.replace(PATCH, url=f"https://channel.example/{n}") for n in range(50)]
    answers = await asyncio.gather(*(world.session.request(r) for r in requests))
    assert {a.status for a in answers} == {200}
    assert [r.operation for r in world.channel.sent].count("token") == 1
    assert sorted(world.channel.done) == sorted(r.url for r in requests)


async def test_a_token_refused_twice_is_the_connectors_to_judge() -> None:
    world = World()

    def forget(request: Request) -> None:
        world.channel.access = "nobody's"

    world.channel.fault = forget
    response = await world.session.request(PATCH)
    assert response.status == 401
    assert len([r for r in world.channel.sent if not r.bare]) == 2


async def test_the_second_sending_is_paid_too() -> None:
    world = World(access="revoked")
    await world.session.request(PATCH)
    assert world.level() == 98


async def test_a_renewed_token_is_stored_before_it_is_used() -> None:
    world = World(access="")
    stored_at_use: list[dict[str, str]] = []

    def look(request: Request) -> None:
        if not request.bare:
            stored_at_use.append(world.store.secret.values)

    world.channel.fault = look
    await world.session.request(PATCH)
    assert stored_at_use == [{"access": "a1", "refresh": "r1"}]


async def test_a_renewed_pair_that_could_not_be_stored_is_not_used_and_not_lost() -> None:
    world = World(access="")
    world.store.broken = True
    with pytest.raises(OSError, match="disk full"):
        await world.session.request(PATCH)
    assert world.channel.done == []
    world.store.broken = False
    assert (await world.session.request(PATCH)).status == 200
    assert world.channel.renewals == 1
    assert world.store.secret == Secret(values={"access": "a1", "refresh": "r1"}, version=1)


async def test_who_is_cancelled_while_renewing_does_not_lose_the_new_pair() -> None:
    world = World(access="")
    world.channel.gate = asyncio.Event()
    asker = asyncio.create_task(world.session.request(PATCH))
    for _ in range(10):
        await asyncio.sleep(0)
    asker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asker
    world.channel.gate.set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert world.store.secret.values == {"access": "a1", "refresh": "r1"}
    assert (await world.session.request(PATCH)).status == 200
    assert world.channel.renewals == 1


async def test_a_newer_secret_of_another_worker_is_used_instead_of_renewing() -> None:
    world = World(access="revoked")
    world.channel.access = "theirs"

    def meanwhile(request: Request) -> None:
        world.store.secret = Secret(values={"access": "theirs", "refresh": "r9"}, version=7)

    world.channel.fault = meanwhile
    assert (await world.session.request(PATCH)).status == 200
    assert world.channel.renewals == 0
    assert world.store.secret.version == 7


async def test_when_another_worker_stored_while_we_renewed_theirs_is_used() -> None:
    world = World(access="")

    def meanwhile(request: Request) -> None:
        if request.bare:
            world.store.secret = Secret(values={"access": "theirs", "refresh": "r9"}, version=1)
        else:
            world.channel.access = "theirs"

    world.channel.fault = meanwhile
    await world.session.request(PATCH)
    assert world.channel.sent[1].headers["authorization"] == "theirs"
    assert world.store.secret.values["refresh"] == "r9"
    assert world.store.saves == []


async def test_two_workers_with_one_refresh_token_both_go_on() -> None:
    world = World(access="")
    other = world.another_session()
    answers = await asyncio.gather(world.session.request(PATCH), other.request(PATCH))
    assert [a.status for a in answers] == [200, 200]
    assert world.channel.renewals == 1


async def test_a_refusal_for_good_is_told_and_costs_nothing_more() -> None:
    world = World(access="")
    world.store.secret = Secret(values={"access": "", "refresh": "void"})
    over: list[str] = []
    world.limiter.answered = lambda operation, now, seen=(): over.append(operation)  # type: ignore[method-assign]
    with pytest.raises(SignInAgain):
        await world.session.request(PATCH)
    assert len(world.channel.sent) == 1
    assert over == ["patch"]


async def test_no_answer_to_the_renewal_says_that_the_write_was_not_sent() -> None:
    world = World(access="")

    def silence(request: Request) -> None:
        raise NoAnswer("timed out", sent=True)

    world.channel.fault = silence
    with pytest.raises(NoAnswer) as caught:
        await world.session.request(PATCH)
    assert caught.value.sent is False


async def test_a_write_without_an_answer_is_not_sent_again() -> None:
    world = World()

    def silence(request: Request) -> None:
        raise NoAnswer("timed out", sent=True)

    world.channel.fault = silence
    with pytest.raises(NoAnswer) as caught:
        await world.session.request(PATCH)
    assert caught.value.sent is True
    assert len(world.channel.sent) == 1


async def test_a_token_about_to_end_is_renewed_first() -> None:
    world = World()
    world.store.secret = msgspec.structs.replace(world.store.secret, expires_at=CLOCK_START + timedelta(minutes=5))
    await world.session.request(PATCH)
    assert world.channel.renewals == 0
    world.clock.advance(300)
    await world.session.request(PATCH)
    assert world.channel.renewals == 1


async def test_a_granted_call_is_not_paid_twice_and_the_next_one_is() -> None:
    world = World()
    assert world.limiter.try_take("patch", Priority.ZERO_OUT, world.clock.now()) == 0.0
    view = world.session.granted("patch")
    asked: list[str] = []
    acquire = world.limiter.acquire

    async def noted(operation: str, priority: int, cost: float = 1.0) -> None:
        asked.append(operation)
        await acquire(operation, priority, cost)

    world.limiter.acquire = noted  # type: ignore[method-assign]
    await view.with_priority(1).request(PATCH)
    assert asked == []
    await view.request(msgspec.structs.replace(PATCH, operation="get"))
    assert asked == ["get"]
    await view.request(PATCH)
    assert asked == ["get", "patch"]
    await world.session.request(PATCH)
    assert asked == ["get", "patch", "patch"]


async def test_a_view_asks_at_its_own_priority() -> None:
    world = World()
    asked: list[int] = []

    async def noted(operation: str, priority: int, cost: float = 1.0) -> None:
        asked.append(priority)

    world.limiter.acquire = noted  # type: ignore[method-assign]
    await world.session.request(PATCH)
    await world.session.with_priority(Priority.CATALOGUE).request(PATCH)
    await world.session.request(PATCH)
    assert asked == [3, 6, 3]


async def test_budget_headers_that_make_no_sense_do_not_lose_the_answer_of_a_write() -> None:
    world = World()
    world.channel.headers = {"x-left": "soon"}
    assert (await world.session.request(PATCH)).status == 200


async def test_calls_are_counted_by_operation_and_end() -> None:
    world = World(access="revoked")
    await world.session.request(PATCH)
    await world.session.with_priority(1).request(PATCH)

    def silence(request: Request) -> None:
        world.clock.advance(2.5)
        raise NoAnswer("cut", sent=True)

    world.channel.fault = silence
    with pytest.raises(NoAnswer):
        await world.session.request(PATCH)
    patch = world.session.calls["patch"]
    assert patch.calls == 4
    assert patch.answers == {"4xx": 1, "2xx": 2, "no answer": 1}
    assert patch.seconds == 2.5
    assert world.session.calls["token"].answers == {"2xx": 1}
    assert msgspec.to_builtins(patch)["calls"] == 4


async def test_a_file_is_read_unsigned_and_counted_by_how_it_ended() -> None:
    world = World()
    cut = False

    async def lines(request: Request, **bounds: int) -> AsyncIterator[bytes]:
        world.channel.sent.append(request)
        assert bounds == {"line_bytes_max": 10, "bytes_max": 100}
        yield b"one"
        if cut:
            raise NoAnswer("cut", sent=True)
        yield b"two"

    world.channel.lines = lines  # type: ignore[attr-defined]
    file = Request(method="GET", url="https://store.example/x?sig=1", operation="bulk_download", bare=True)
    read = [line async for line in world.session.lines(file, line_bytes_max=10, bytes_max=100)]
    assert read == [b"one", b"two"]
    assert "authorization" not in world.channel.sent[-1].headers
    cut = True
    with pytest.raises(NoAnswer):
        _ = [line async for line in world.session.lines(file, line_bytes_max=10, bytes_max=100)]
    calls = world.session.calls["bulk_download"]
    assert (calls.calls, calls.answers) == (2, {"2xx": 1, "no answer": 1})


# --- the channel's clock (F28) ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("date", "ahead_s"),
    [
        ("Mon, 23 Nov 2026 14:28:00 GMT", 300.5),
        ("Mon, 23 Nov 2026 14:18:00 GMT", -299.5),
        ("Mon, 23 Nov 2026 14:23:02 GMT", 0.0),
        ("yesterday", 0.0),
        ("", 0.0),
    ],
)
async def test_F28_the_present_is_told_by_the_channels_own_clock(date: str, ahead_s: float) -> None:
    world = World()
    world.channel.headers = {"date": date} if date else {}
    session = world.session
    await session.with_priority(Priority.VERIFY).request(PATCH)
    assert session.clock_ahead_s == ahead_s
    assert session.channel_now() == world.clock.now() + timedelta(seconds=ahead_s)


async def test_F28_what_an_answer_shows_was_so_at_an_instant_of_the_channels_clock() -> None:
    world = World()
    world.channel.headers = {"date": "Mon, 23 Nov 2026 14:28:00 GMT"}
    answer = await world.session.request(PATCH)
    assert answer.received_at == world.clock.now()
    assert answer.shown_at == world.clock.now() + timedelta(seconds=300.5)


async def test_F28_what_a_quick_answer_told_of_the_clocks_stands_until_one_contradicts_it() -> None:
    """A slow answer leaves half a minute open: its middle says less."""
    world = World()

    async def answer(took_s: float, ahead_s: float) -> float:
        said = world.clock.now() + timedelta(seconds=ahead_s)
        world.channel.headers = {"date": f"{said:%a, %d %b %Y %H:%M:%S GMT}"}
        world.channel.fault = lambda request: world.clock.advance(took_s)
        await world.session.request(PATCH)
        return world.session.clock_ahead_s

    assert await answer(20.0, 300.0) == 290.5
    assert await answer(1.0, 300.0) == 300.0
    assert await answer(20.0, 300.0) == 300.0
    assert await answer(20.0, 310.0) == 300.0
    assert await answer(20.0, 400.0) == 390.5
    assert await answer(0.0, 0.0) == 0.0


async def test_F28_a_slow_answer_and_another_server_say_nothing_about_the_channels_clock() -> None:
    world = World()

    def slow(request: Request) -> None:
        world.clock.advance(40.0)

    world.channel.headers = {"date": f"{world.clock.now():%a, %d %b %Y %H:%M:%S GMT}"}
    world.channel.fault = slow
    await world.session.request(PATCH)
    assert world.session.clock_ahead_s == 0.0

    world.channel.fault = None
    world.channel.headers = {"date": "Mon, 23 Nov 2026 14:00:00 GMT"}
    await world.session.request(msgspec.structs.replace(PATCH, headers={"authorization": "a0"}, bare=True, body=b"r0"))
    assert world.session.clock_ahead_s == 0.0
