"""The front door: verify the signature on the raw body, store the raw message, answer (SEMANTICS 4.1). No decision is made here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from oneshelf.channels.contract import Claimed, Door, RawRequest
from oneshelf.core.errors import Unreadable
from oneshelf.core.ids import ChannelName
from oneshelf.core.instants import to_us
from oneshelf.db.journal import close_task, open_task
from oneshelf.db.tx import Tx
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from .inbox import Raw, delivery_key, keep

log = structlog.get_logger()

#: Shopify gives the whole request 5 s, eBay 3 s: rather an unanswered message, which they send again, than a late one.
ANSWER_WITHIN_S = 2.5
#: So long a message may take to arrive; then whoever sends it so slowly is let go.
BODY_WITHIN_S = 10.0
#: So many refused messages of one channel without a genuine one between them: a person looks at the secret (FC-D12).
REFUSED_IN_A_ROW = 20

#: A message that names nobody: of any account of its channel.
ANYBODY = ""
#: What the connector could not read so far as to say its topic; it is parked when it is handled.
UNREADABLE_TOPIC = "webhook:unreadable"


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
    """What came to the door since the start, by channel. `unreadable` are of those taken; `in_a_row`: refused since the last taken."""

    def __init__(self) -> None:
        self.taken: dict[str, int] = {}
        self.forged: dict[str, int] = {}
        self.unreadable: dict[str, int] = {}
        self.in_a_row: dict[str, int] = {}

    @staticmethod
    def add(where: dict[str, int], channel: str) -> int:
        where[channel] = where.get(channel, 0) + 1
        return where[channel]


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
            return PlainTextResponse(f"No {channel} account that sends webhooks is connected here.", 404)
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                body = await _body(request, body_max)
        except TimeoutError:
            return PlainTextResponse(f"A message has to arrive within {BODY_WITHIN_S:g} s.", 408)
        except ClientDisconnect:
            return PlainTextResponse("The message was cut off.", 400)  # nobody hears this; it comes again
        if body is None:
            return PlainTextResponse(f"A message may have {body_max} bytes at most.", 413)
        raw = RawRequest(
            method=request.method,
            # Not request.url: older versions of Starlette raise on a Host header that is no host.
            url=f"{public_url or _address(request)}{request.scope['path']}",
            query=dict(request.query_params),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
        )
        if request.method != "POST":
            return _answer_challenge(doors, door, channel, raw)
        return await _take(doors, door, channel, raw, writer, clock, counts, on_news)

    return [Route("/webhooks/{channel}", receive, methods=["GET", "POST"])]


async def _body(request: Request, body_max: int) -> bytes | None:
    """Read the body, never more than `body_max` bytes; None if it is larger."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > body_max:
        return None
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > body_max:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _address(request: Request) -> str:
    return f"{request.scope['scheme']}://{request.headers.get('host', '')}"


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
    try:
        claimed = door.claimed(raw)
    except Unreadable:
        # If it is genuine all the same it is kept in sight: a refusal would cost the subscription (S4.1).
        claimed = Claimed(ANYBODY, UNREADABLE_TOPIC, None, key_id=door.key_id(raw))
    receiver = await _signed_for(doors, door, channel, raw, claimed, clock)
    if receiver is None:
        _note_refused(doors, channel, claimed.topic, writer, clock, counts)
        return PlainTextResponse("This message is not signed by the channel it names.", door.forged_status)
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
        async with asyncio.timeout(ANSWER_WITHIN_S):
            kept = await writer.do_item(keep, message)
    except Exception as error:  # whatever it was, it is not stored, so they must send it again
        log.error("webhook_not_stored", channel=str(channel), topic=claimed.topic, problem=type(error).__name__)
        return PlainTextResponse("Could not be stored; send it again.", 503)
    _note_taken(receiver, channel, claimed.topic, writer, clock, counts)
    if kept == "stored":
        on_news()
    return Response(status_code=200)


async def _signed_for(
    doors: Doors, door: Door, channel: ChannelName, raw: RawRequest, claimed: Claimed, clock: Clock
) -> Receiver | None:
    """Return the account that the message is for, if the channel signed it. One for anybody goes to the first whose secret fits."""
    if claimed.account_external_id == ANYBODY:
        candidates = list(doors.receivers(channel))
    else:
        named = doors.receiver(channel, claimed.account_external_id)
        candidates = [named] if named is not None else []
    for receiver in candidates:
        if await _is_genuine(doors, door, channel, raw, claimed, receiver, clock):
            return receiver
    return None


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


def _note_refused(doors: Doors, channel: ChannelName, topic: str, writer: Writer, clock: Clock, counts: Counts) -> None:
    """FC-D12: a wrong secret refuses every genuine message, and polling hides it. So a person is told."""
    Counts.add(counts.forged, channel)
    log.warning("forged_webhook", channel=str(channel), topic=topic[:100])
    if Counts.add(counts.in_a_row, channel) != REFUSED_IN_A_ROW:
        return
    for tenant_id in {receiver.tenant_id for receiver in doors.receivers(channel)}:
        writer.submit(partial(_open_alarm, tenant_id=tenant_id, channel=channel, now=to_us(clock.now())))


def _open_alarm(tx: Tx, tenant_id: int, channel: ChannelName, now: int) -> None:
    open_task(
        tx,
        tenant_id,
        now,
        "webhooks_refused",
        channel,
        f"Look at the secret that {channel.title()}'s webhooks are signed with",
        f"{REFUSED_IN_A_ROW} in a row were not signed with the one we have. Orders still come by polling, but later. "
        "Enter the app's current secret; if it is right, somebody else is knocking and is refused.",
    )


def _note_taken(
    receiver: Receiver, channel: ChannelName, topic: str, writer: Writer, clock: Clock, counts: Counts
) -> None:
    refused = counts.in_a_row.pop(channel, 0)
    if Counts.add(counts.taken, channel) == 1 or refused >= REFUSED_IN_A_ROW:  # an alarm may be older than this process
        now = to_us(clock.now())
        writer.submit(lambda tx: close_task(tx, receiver.tenant_id, now, "webhooks_refused", channel))
    if topic == UNREADABLE_TOPIC:
        Counts.add(counts.unreadable, channel)


async def _in_time(fetching: Awaitable[str | None]) -> str | None:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await fetching
    except TimeoutError:
        return None
