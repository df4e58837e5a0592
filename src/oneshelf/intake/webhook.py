"""The front door: verify the signature on the raw body, store the raw message, answer (SEMANTICS 4.1). No decision is made here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from oneshelf.channels.contract import Claimed, Door, RawRequest
from oneshelf.core.errors import OneshelfError, Unreadable
from oneshelf.core.ids import ChannelName
from oneshelf.core.instants import to_us
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from .inbox import Raw, delivery_key, keep

log = structlog.get_logger()

#: Shopify gives the whole request 5 s, eBay 3 s: rather an unanswered message, which they send again, than a late one.
ANSWER_WITHIN_S = 2.5


class Receiver(Protocol):
    """What the front door needs to know of one connected account."""

    @property
    def tenant_id(self) -> int: ...
    @property
    def account_id(self) -> int: ...
    def app_secret(self) -> Mapping[str, str]: ...


class Doors(Protocol):
    """Who is behind the door: given by wiring."""

    def door(self, channel: ChannelName) -> Door | None: ...

    def receiver(self, channel: ChannelName, external_id: str) -> Receiver | None: ...

    def receivers(self, channel: ChannelName) -> Sequence[Receiver]: ...

    async def signing_key(self, channel: ChannelName, receiver: Receiver, key_id: str) -> str | None: ...


class Counts:
    """What came to the door since the start, by channel: for display and the alarm of FC-D12."""

    def __init__(self) -> None:
        self.taken: dict[str, int] = {}
        self.forged: dict[str, int] = {}
        self.unreadable: dict[str, int] = {}

    @staticmethod
    def add(where: dict[str, int], channel: str) -> None:
        where[channel] = where.get(channel, 0) + 1


def routes(
    doors: Doors,
    writer: Writer,
    clock: Clock,
    counts: Counts,
    *,
    body_max: int,
    public_url: str,
    on_news: Callable[[], None],
) -> list[Route]:
    """Return the routes `/webhooks/{channel}`. `on_news` is called after something new was stored."""

    async def receive(request: Request) -> Response:
        try:
            channel = ChannelName(request.path_params["channel"])
        except ValueError:
            return PlainTextResponse("No such channel.", 404)
        door = doors.door(channel)
        if door is None:
            return PlainTextResponse(f"No {channel} account is connected here.", 404)
        body = await _body(request, body_max)
        if body is None:
            return PlainTextResponse(f"A message may have {body_max} bytes at most.", 413)
        raw = RawRequest(
            method=request.method,
            url=f"{public_url or str(request.base_url).rstrip('/')}{request.url.path}",
            query=dict(request.query_params),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
        )
        if request.method == "GET":
            return _answer_challenge(doors, door, channel, raw)
        return await _take(doors, door, channel, raw, writer, clock, counts, on_news)

    return [Route("/webhooks/{channel}", receive, methods=["GET", "POST"])]


async def _body(request: Request, body_max: int) -> bytes | None:
    """Read the body, never more than `body_max` bytes; None if it is larger."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > body_max:
        return None
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > body_max:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _answer_challenge(doors: Doors, door: Door, channel: ChannelName, raw: RawRequest) -> Response:
    for receiver in doors.receivers(channel):
        answer = door.challenge(raw, receiver.app_secret())
        if answer is not None:
            status, content_type, body = answer
            return Response(body, status, media_type=content_type)
    return PlainTextResponse("Webhooks come here by POST.", 405)


async def _take(
    doors: Doors,
    door: Door,
    channel: ChannelName,
    raw: RawRequest,
    writer: Writer,
    clock: Clock,
    counts: Counts,
    on_news: Callable[[], None],
) -> Response:
    """1. Who does it claim to be about?  2. Did the channel sign it?  3. Store it.  4. Answer."""
    forged = PlainTextResponse("This message is not signed by the channel it names.", door.forged_status)
    try:
        claimed = door.claimed(raw)
    except Unreadable:
        Counts.add(counts.unreadable, channel)
        return forged
    receiver = doors.receiver(channel, claimed.account_external_id)
    if receiver is None:
        Counts.add(counts.forged, channel)
        return forged
    if not await _is_genuine(doors, door, channel, raw, claimed, receiver, clock):
        Counts.add(counts.forged, channel)
        log.warning("forged_webhook", channel=str(channel), topic=claimed.topic)
        return forged
    message = Raw(
        tenant_id=receiver.tenant_id,
        account_id=receiver.account_id,
        topic=claimed.topic,
        delivery_key=delivery_key(claimed.topic, claimed.delivery_id, raw.body),
        source="webhook",
        headers={},
        body=raw.body,
        received_at=to_us(clock.now()),
    )
    try:
        kept = await asyncio.wait_for(writer.do_item(keep, message), ANSWER_WITHIN_S)
    except (TimeoutError, OneshelfError):
        return PlainTextResponse("Could not be stored; send it again.", 503)
    Counts.add(counts.taken, channel)
    if kept == "stored":
        on_news()
    return Response(status_code=200)


async def _is_genuine(
    doors: Doors, door: Door, channel: ChannelName, raw: RawRequest, claimed: Claimed, receiver: Receiver, clock: Clock
) -> bool:
    secret = dict(receiver.app_secret())
    if claimed.key_id is not None:
        key = await _in_time(doors.signing_key(channel, receiver, claimed.key_id))
        if key is None:
            return False
        secret[f"key:{claimed.key_id}"] = key
    return door.verify(raw, secret, clock.now())


async def _in_time(fetching: Awaitable[str | None]) -> str | None:
    try:
        return await asyncio.wait_for(fetching, ANSWER_WITHIN_S)
    except TimeoutError:
        return None
