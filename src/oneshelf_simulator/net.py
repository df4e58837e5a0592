"""The network between the engine and the emulated marketplaces, without sockets: it loses, delays, doubles, cuts and lies.

In: the engine's requests, the marketplaces' webhooks and queue messages. Out: answers, or none, late or at once.
Owns: what is under way; what each channel's troubles were and when. Never: looks inside the engine.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from email.utils import format_datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from oneshelf.core.http import NoAnswer, Request, Response
from oneshelf_emulator import door
from oneshelf_emulator.emulation import Emulation

from .loop import OWNER, SimLoop
from .options import Options
from .trace import Trace

#: One way through the network, seconds.
WAY_S = (0.005, 0.12)
#: A slow answer takes so long, seconds (F44).
SLOW_S = 29.0
#: A webhook that is late by hours, seconds (F15).
LATE_S = (1_200.0, 3 * 3_600.0)
#: So many copies of one webhook at most (F14).
FLOOD_MAX = 50
#: What a message of the queue is hidden for after it was received, seconds. Source: Amazon SQS, default visibility timeout.
HIDDEN_S = 30.0
HTML = b"<html><body><h1>Bad gateway</h1></body></html>"


class Life(Protocol):
    """The engine as the network sees it: one life of it."""

    number: int
    context: contextvars.Context
    app: ASGIApp
    waiting: set[asyncio.Future[Any]]


def channel_of(url: str) -> str:
    return (urlsplit(url).hostname or "").removesuffix(".test")


class Net:
    """Both directions. `life`: the living engine, or None. `on_write`: called when a write of the engine has been decided on and not done."""

    def __init__(
        self, loop: SimLoop, emulation: Emulation, options: Options, trace: Trace, strike: Callable[[str, str], bool]
    ) -> None:
        self.loop = loop
        self.emulation = emulation
        self.options = options
        self.trace = trace
        self.strike = strike
        self.rng = random.Random(f"{options.seed}:net")
        self.outside = contextvars.copy_context()
        self.life: Life | None = None
        #: Channels that nobody reaches, and that reach nobody, until this instant (F45); all answers slow until (F44).
        self.dark_until: dict[str, float] = {}
        self.slow_until = 0.0
        self.lost_until = 0.0
        self.before_write: Callable[[str, Request], None] = lambda channel, request: None
        self.on_delivered: Callable[[str, bytes], None] = lambda channel, body: None
        self.on_stored: Callable[[str, bytes], None] = lambda message_id, body: None
        self.on_trouble: Callable[[str], None] = lambda channel: None
        self.on_answer: Callable[[str, Request, int | None], None] = lambda channel, request, status: None
        self.on_request: Callable[[str, Request], None] = lambda channel, request: None
        #: By channel and operation: the most calls in one minute.
        self.busiest: Counter[tuple[str, str]] = Counter()
        self._minute, self._in_minute = 0, Counter[tuple[str, str]]()
        self.kill_at_answer: Callable[[], bool] = lambda: False
        self.in_flight: dict[str, int] = {}
        self._count = 0
        self._last_answered: dict[str, int] = {}
        emulation.connect(self.deliver, None, {})

    def is_dark(self, channel: str) -> bool:
        return self.dark_until.get(channel, 0.0) > self.loop.time()

    # --- the engine calls ----------------------------------------------------------------------------------------------

    def http(self, life: Life, now: Callable[[], Any]) -> SimHttp:
        return SimHttp(self, life, now)

    async def request(self, life: Life, request: Request, now: Callable[[], Any]) -> Response:
        """One request of the engine. The world carries it in a task of its own: it arrives although who asked has died."""
        future: asyncio.Future[Response] = self.loop.create_future()
        self._count += 1
        number, channel = self._count, channel_of(request.url)
        self.trace.note("call", number, channel, request.operation, request.method)
        self.on_request(channel, request)
        self._note_pace(channel, request.operation)
        work = self._carry(life, request, future, channel, number, now)
        self.loop.create_task(work, context=self.outside)
        return await future

    def _note_pace(self, channel: str, operation: str) -> None:
        minute, what = int(self.loop.time() // 60), (channel, operation)
        if minute != self._minute:
            self._minute = minute
            self._in_minute.clear()
        self._in_minute[what] += 1
        self.busiest[what] = max(self.busiest[what], self._in_minute[what])

    async def _carry(
        self,
        life: Life,
        request: Request,
        future: asyncio.Future[Response],
        channel: str,
        number: int,
        now: Callable[[], Any],
    ) -> None:
        started, limit = self.loop.time(), request.timeout_s

        def give_up() -> None:
            self._fail(life, future, channel, request, number, f"no answer within {limit:g} s", sent=True)

        timer = self.loop.call_later(limit, give_up, context=self.outside)
        app = self.emulation.apps.get(channel)
        if app is None or self.is_dark(channel):
            self._fail(life, future, channel, request, number, "connection refused", sent=False)
            return timer.cancel()
        if self.strike("refused", channel):
            self._fail(life, future, channel, request, number, "name not resolved", sent=False)
            return timer.cancel()
        await asyncio.sleep(self.rng.uniform(*WAY_S))
        if request.writes:
            self.before_write(channel, request)
        if self.strike("timeout_before", channel):
            return None
        try:
            answer = await self._ask(app, request)
        except TimeoutError:
            return None
        lost, cut = self.strike("timeout_after", channel), self.strike("cut_answer", channel)
        wrong, late = self.strike("wrong_answer", channel), self.strike("late_answer", channel)
        slow = self.loop.time() < self.slow_until or self.strike("slow", channel)
        await asyncio.sleep(SLOW_S if slow else self.rng.uniform(2.0, 9.5) if late else self.rng.uniform(*WAY_S))
        if lost or self.loop.time() - started > limit:
            return None
        timer.cancel()
        length = answer.headers.get("content-length")
        if cut or (length is not None and length.isdigit() and int(length) > len(answer.body)):
            self._fail(life, future, channel, request, number, "the answer was cut off", sent=True)
            return None
        received_at = now()
        headers = {**answer.headers, "date": format_datetime(self.emulation.clock.now(), usegmt=True)}
        response = Response(answer.status, headers, answer.body, received_at)
        if wrong:
            response = Response(200, {"content-type": "text/html"}, HTML, received_at)
        self._answer(life, future, channel, request, number, response)
        return None

    async def _ask(self, app: ASGIApp, request: Request) -> door.Answer:
        parts = urlsplit(request.url)
        headers = {**request.headers, "host": parts.netloc}
        return await door.call(
            app, request.method, parts.path or "/", query=parts.query, headers=headers, body=request.body
        )

    def _answer(
        self,
        life: Life,
        future: asyncio.Future[Response],
        channel: str,
        request: Request,
        number: int,
        response: Response,
    ) -> None:
        if future.done() or life is not self.life:
            return
        if self.kill_at_answer():
            return
        if number < self._last_answered.get(channel, 0):
            self.trace.counts["overtaken"] += 1
        self._last_answered[channel] = max(number, self._last_answered.get(channel, 0))
        self.trace.note("answer", number, response.status, len(response.body))
        if response.status >= 400:
            self.on_trouble(channel)
        self.on_answer(channel, request, response.status)
        self.on_delivered(channel, response.body)
        future.set_result(response)

    def _fail(
        self,
        life: Life,
        future: asyncio.Future[Response],
        channel: str,
        request: Request,
        number: int,
        reason: str,
        *,
        sent: bool,
    ) -> None:
        if future.done() or life is not self.life:
            return
        self.trace.note("no_answer", number, reason.replace(" ", "_"))
        self.on_trouble(channel)
        self.on_answer(channel, request, None)
        future.set_exception(NoAnswer(f"{channel}: {reason}", sent=sent))

    # --- the marketplaces call -----------------------------------------------------------------------------------------

    async def deliver(self, url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> int:
        """One try of one webhook. Raises ConnectionError where nobody listens."""
        channel = urlsplit(url).path.rsplit("/", 1)[-1]
        if self.loop.time() < self.lost_until:
            self.strike("all_lost_message", channel)
            return 200  # lost on the way, although the sender thinks otherwise (F17)
        if self.strike("webhook_late", channel):
            self.loop.call_later(
                self.rng.uniform(*LATE_S), self._again, url, headers, body, timeout_s, context=self.outside
            )
            return 200
        if self.strike("webhook_flood", channel):
            for _ in range(self.rng.randint(2, FLOOD_MAX)):
                delay = self.rng.uniform(0.0, 600.0)
                self.loop.call_later(delay, self._again, url, headers, body, timeout_s, context=self.outside)
        return await self._into(channel, url, headers, body, timeout_s)

    def _again(self, url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> None:
        channel = urlsplit(url).path.rsplit("/", 1)[-1]

        async def once_more() -> None:
            try:
                await self._into(channel, url, headers, body, timeout_s)
            except (ConnectionError, TimeoutError):
                return  # nobody tries again what was only a copy

        self.loop.create_task(once_more(), context=self.outside)

    async def _into(self, channel: str, url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> int:
        await asyncio.sleep(self.rng.uniform(*WAY_S))
        if self.is_dark(channel):
            raise ConnectionError("the channel is dark")
        status = (await self.knock("POST", url, headers, body, timeout_s)).status
        self.trace.note("webhook", channel, headers.get("X-Shopify-Topic", ""), len(body), status)
        if 200 <= status < 300:
            self.on_delivered(channel, body)
            self.on_stored(_message_id(headers, body), body)
        return status

    async def knock(self, method: str, url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> door.Answer:
        """Send one request to the engine's own door, in the engine's own life."""
        life = self.life
        if life is None:
            raise ConnectionError("nobody listens")
        parts = urlsplit(url)
        work = door.call(life.app, method, parts.path, query=parts.query, headers=headers, body=body)
        return await self.inside(life, work, timeout_s)

    async def inside(self, life: Life, work: Awaitable[Any], timeout_s: float | None = None) -> Any:
        """Let the engine do something and wait for it from outside. Raises ConnectionError if it dies meanwhile."""
        future: asyncio.Future[Any] = self.loop.create_future()
        life.waiting.add(future)

        async def doing() -> None:
            try:
                result = await work
            except Exception as error:
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)

        self.loop.create_task(doing(), context=life.context)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        finally:
            life.waiting.discard(future)

    async def fetch(self, url: str) -> tuple[int, str, bytes]:
        """eBay's challenge: a GET at our door."""
        answer = await self.knock("GET", url, {}, b"", 5.0)
        return answer.status, answer.headers.get("content-type", ""), answer.body


def _message_id(headers: Mapping[str, str], body: bytes) -> str:
    """By what a channel's message is known however often it is sent: a later try of eBay's has another body."""
    for name in ("X-Shopify-Webhook-Id", "webhook-id"):
        if name in headers:
            return headers[name]
    found: str = json.loads(body)["notification"]["notificationId"]
    return found


class SimHttp:
    """The engine's `Http`. Of a dead life nothing leaves."""

    def __init__(self, net: Net, life: Life, now: Callable[[], Any]) -> None:
        self._net = net
        self._life = life
        self._now = now

    async def request(self, request: Request) -> Response:
        assert OWNER.get() == self._life.number, "a call of somebody else's"
        return await self._net.request(self._life, request, self._now)

    async def lines(self, request: Request, *, line_bytes_max: int, bytes_max: int) -> AsyncIterator[bytes]:
        """As `Http.lines`: an export of such a small world comes in one piece."""
        answer = await self.request(request)
        if answer.status != 200:
            raise NoAnswer(f"{request.operation}: HTTP {answer.status} instead of the file", sent=True)
        for line in answer.body.split(b"\n"):
            if line:
                yield line

    async def close(self) -> None:
        return


class Queue:
    """A queue as the engine's client sees SQS: at least once, unordered, a received message hidden for a while."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self._messages: deque[dict[str, Any]] = deque()
        self._hidden: dict[str, tuple[float, dict[str, Any]]] = {}
        self._waiting: list[asyncio.Future[Any]] = []
        self._count = 0
        self.credentials = {
            "endpoint_url": "http://queue.test",
            "queue_url": "http://queue.test/000000000000/news",
            "queue_arn": "arn:aws:sqs:us-east-1:000000000000:news",
            "region": "us-east-1",
            "access_key_id": "sim",
            "secret_access_key": "sim",
        }

    async def send(self, queue_arn: str, body: str) -> None:
        if self.net.loop.time() < self.net.lost_until:
            self.net.strike("all_lost_message", "amazon")
            return
        self._count += 1
        message = {"MessageId": f"m-{self._count}", "Body": body}
        if self.net.strike("webhook_late", "amazon"):
            delay = self.net.rng.uniform(*LATE_S)
            self.net.loop.call_later(delay, self._put, message, context=self.net.outside)
            return
        self._put(message)

    def _put(self, message: dict[str, Any]) -> None:
        self._messages.append(message)
        for future in self._waiting:
            _ring(future)
        self._waiting.clear()

    # The client's face (boto3): a call that waits returns a future, which the loop's executor waits for.

    def receive_message(self, *, QueueUrl: str, MaxNumberOfMessages: int, WaitTimeSeconds: int) -> Any:
        return asyncio.ensure_future(self._receive(MaxNumberOfMessages, WaitTimeSeconds))

    async def _receive(self, most: int, wait_s: float) -> dict[str, Any]:
        loop = self.net.loop
        self._unhide()
        if not self._messages:
            news: asyncio.Future[Any] = loop.create_future()
            self._waiting.append(news)
            timer = loop.call_later(wait_s, _ring, news)
            await news
            timer.cancel()
            self._unhide()
        if self.net.is_dark("amazon"):
            raise ConnectionError("the queue is not reached")
        found: list[dict[str, Any]] = []
        while self._messages and len(found) < most:
            message = dict(self._messages.popleft())
            self._count += 1
            message["ReceiptHandle"] = f"r-{self._count}"
            self._hidden[message["ReceiptHandle"]] = (loop.time() + HIDDEN_S, message)
            found.append(message)
            self.net.trace.note("queue", message["MessageId"])
            self.net.on_delivered("amazon", message["Body"].encode())
        return {"Messages": found} if found else {}

    def _unhide(self) -> None:
        now = self.net.loop.time()
        for handle in [handle for handle, (until, _) in self._hidden.items() if until <= now]:
            self._messages.append(self._hidden.pop(handle)[1])

    def delete_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> Any:
        for entry in Entries:
            self._hidden.pop(entry["ReceiptHandle"], None)
        return {}


def _ring(news: asyncio.Future[Any]) -> None:
    if not news.done():
        news.set_result(None)


def queue_of(net: Net, emulation: Emulation) -> Queue:
    """Make the queue that Amazon's notifications come through."""
    queue = Queue(net)
    emulation.connect(net.deliver, queue.send, queue.credentials)
    return queue
