"""Messages that come through a queue of ours (Amazon: SQS): received in a thread, stored, and only then deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from oneshelf.channels.contract import RawMessage
from oneshelf.core.instants import to_us
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from .inbox import Raw, keep

log = structlog.get_logger()

#: SQS gives at most 10 messages a call and waits at most 20 s for the first. Source: Amazon SQS API reference, ReceiveMessage.
MESSAGES_A_CALL = 10
WAIT_S = 20
FAILED_WAIT_S = 5.0
#: Between two looks at an empty queue, when a look itself does not wait.
EMPTY_WAIT_S = 1.0


class QueueAccount(Protocol):
    """One account that hears through this queue."""

    tenant_id: int
    account_id: int

    def wants(self, body: bytes) -> bool:
        """Whether this message is about this account."""

    def names_nobody(self, body: bytes) -> bool:
        """Whether it can't be read, or names no seller at all. The queue is ours: it is kept in sight (S4.1)."""

    def message(self, body: bytes, message_id: str) -> RawMessage: ...


def sqs_client(region: str, endpoint: str | None, credentials: dict[str, str]) -> Any:
    """Return a boto3 SQS client. `credentials`: aws_access_key_id and aws_secret_access_key, or empty for the machine's own role."""
    return boto3.client(
        "sqs",
        region_name=region,
        endpoint_url=endpoint,
        config=Config(connect_timeout=5, read_timeout=WAIT_S + 10, retries={"max_attempts": 2, "mode": "standard"}),
        **credentials,
    )


class Where(Protocol):
    """Where a queue of ours is. `endpoint`: another than AWS's own."""

    @property
    def url(self) -> str | None: ...
    @property
    def region(self) -> str: ...
    @property
    def endpoint(self) -> str | None: ...


async def client_of(where: Where, app: Mapping[str, str], make: Callable[..., Any] = sqs_client) -> Any:
    """Return an SQS client, by the app's AWS keys or the machine's own role. botocore raises much on a mistyped address."""
    keys = {name: app[name] for name in ("aws_access_key_id", "aws_secret_access_key") if app.get(name)}
    return await asyncio.to_thread(make, where.region, where.endpoint, keys)


async def run(
    client: Any,
    queue_url: str,
    accounts: Callable[[], list[QueueAccount]],
    writer: Writer,
    clock: Clock,
    on_news: Callable[[], None],
    stop: asyncio.Event,
    wait_s: int = WAIT_S,
) -> None:
    """1. Receive.  2. Store each with the account it names.  3. Delete what is durable.

    A message for another seller is left to expire; one that nobody can read is stored with the first account and parked in sight.
    """
    while not stop.is_set():
        try:
            answer = await _receive(client, queue_url, wait_s)
            messages = answer.get("Messages", [])
        except Exception as error:  # botocore raises much beside its own errors when an answer is not SQS's
            log.warning("queue_unreachable", queue=queue_url, problem=type(error).__name__)
            await _pause(stop, FAILED_WAIT_S)
            continue
        if not messages and wait_s == 0:
            await _pause(stop, EMPTY_WAIT_S)
        kept = await asyncio.gather(*(_keep(m, accounts(), writer, clock) for m in messages), return_exceptions=True)
        durable = [m for m, end in zip(messages, kept, strict=True) if end in ("stored", "already_done")]
        if "stored" in kept:
            on_news()
        if durable:
            entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(durable)]
            try:
                await asyncio.to_thread(client.delete_message_batch, QueueUrl=queue_url, Entries=entries)
            except (BotoCoreError, ClientError) as error:
                log.warning("queue_delete_failed", problem=type(error).__name__)  # they come again and change nothing


async def _receive(client: Any, queue_url: str, wait_s: int) -> dict[str, Any]:
    """Wait for messages. Who is cancelled meanwhile (the account begins anew, the service stops) can't stop the thread that waits: what
    it is still given goes back into the queue at once, instead of being hidden until its visibility timeout is over."""
    call = asyncio.ensure_future(
        asyncio.to_thread(
            client.receive_message, QueueUrl=queue_url, MaxNumberOfMessages=MESSAGES_A_CALL, WaitTimeSeconds=wait_s
        )
    )
    try:
        answer: dict[str, Any] = await asyncio.shield(call)
        return answer
    except asyncio.CancelledError:
        handing_back = asyncio.ensure_future(_hand_back(call, client, queue_url))
        _handing_back.add(handing_back)
        handing_back.add_done_callback(_handing_back.discard)
        raise


#: What is on its way back into a queue; a task that nobody holds may vanish.
_handing_back: set[asyncio.Task[None]] = set()


async def _hand_back(call: asyncio.Future[dict[str, Any]], client: Any, queue_url: str) -> None:
    try:
        messages = (await call).get("Messages", [])
        if not messages:
            return
        entries = [
            {"Id": str(i), "ReceiptHandle": m["ReceiptHandle"], "VisibilityTimeout": 0} for i, m in enumerate(messages)
        ]
        await asyncio.to_thread(client.change_message_visibility_batch, QueueUrl=queue_url, Entries=entries)
    except (
        Exception
    ) as error:  # botocore raises much beside its own errors; they come back when their visibility timeout is over
        log.warning("queue_not_handed_back", queue=queue_url, problem=type(error).__name__)


async def _keep(message: dict[str, Any], accounts: list[QueueAccount], writer: Writer, clock: Clock) -> str:
    body = message["Body"].encode()
    account = next((one for one in accounts if one.wants(body)), None)
    if account is None and accounts and accounts[0].names_nobody(body):
        account = accounts[0]
    if account is None:
        log.info("queue_message_for_nobody", message_id=message["MessageId"])
        return "nobody"
    raw = account.message(body, message["MessageId"])
    return await writer.do_item(
        keep,
        Raw(
            account.tenant_id,
            account.account_id,
            raw.topic,
            raw.delivery_key,
            "queue",
            raw.headers,
            raw.body,
            to_us(clock.now()),
        ),
    )


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
