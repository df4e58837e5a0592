"""The loop that tells: plan, call, settle. It sleeps while nobody hears.

In: the clock, a bell. Out: calls. Never: holds a transaction across a call; follows a redirect; reads more than a little of an answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial

import structlog

from oneshelf.core.errors import Stop
from oneshelf.core.http import Http, NoAnswer, Request
from oneshelf.core.instants import SECOND, to_us
from oneshelf.db.tx import Tx
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer
from oneshelf.tenants.seal import Sealer

from . import deliveries
from .deliveries import CALL_S, Call, Heard

log = structlog.get_logger()

#: How often new events are looked for while somebody hears, and how long the loop sleeps while nobody does.
LOOK_S = 1.0
SLEEP_S = 3_600.0
#: How often old events are forgotten.
FORGET_US = 3_600 * SECOND
#: Most of an answer that is read, bytes: only its status is looked at.
ANSWER_MAX = 64 * 1024


async def run(
    tenant_id: int, http: Http, sealer: Sealer, writer: Writer, clock: Clock, bell: Bell, stop: asyncio.Event
) -> None:
    """Tell until `stop` is set; calls under way are given their time. Raises Stop."""
    under_way: dict[asyncio.Task[None], int] = {}
    forgotten_at = 0
    while not stop.is_set():
        now = to_us(clock.now())
        heard = False
        try:
            if now - forgotten_at >= FORGET_US:
                await writer.do(partial(deliveries.forget, tenant_id=tenant_id, now=now))
                forgotten_at = now
            heard = await writer.do(lambda tx: deliveries.has_endpoints(tx, tenant_id))
            busy = Counter(under_way.values())
            calls = (
                await writer.do(partial(_plan, sealer=sealer, tenant_id=tenant_id, busy=busy, now=now)) if heard else []
            )
        except Stop:
            raise
        except Exception:
            log.exception("webhooks_broke")
            calls = []
        for call in calls:
            task = asyncio.ensure_future(_tell(tenant_id, http, writer, clock, call))
            under_way[task] = call.endpoint
            task.add_done_callback(partial(_ended, under_way, bell))
        await bell.wait(LOOK_S if heard else SLEEP_S, stop)
    if under_way:
        await asyncio.wait(under_way, timeout=CALL_S)


def _ended(under_way: dict[asyncio.Task[None], int], bell: Bell, task: asyncio.Task[None]) -> None:
    """The place of a call is free again."""
    del under_way[task]
    bell.ring()


def _plan(tx: Tx, sealer: Sealer, tenant_id: int, busy: Counter[int], now: int) -> list[Call]:
    return deliveries.plan(tx, sealer, tenant_id, busy, now)


async def _tell(tenant_id: int, http: Http, writer: Writer, clock: Clock, call: Call) -> None:
    heard = await send(http, call)
    try:
        await writer.do(lambda tx: deliveries.settle(tx, tenant_id, call, heard, to_us(clock.now())))
    except Exception:  # its lease ends, and it is tried again under the same id
        log.exception("webhook_not_settled", endpoint=call.endpoint)


async def send(http: Http, call: Call) -> Heard:
    """Make one call; a redirect is an answer like any other that is no yes."""
    request = Request("POST", call.url, "webhook", call.headers, call.body, timeout_s=CALL_S, writes=True, bare=True)
    try:
        answer = await http.request(request)
    except NoAnswer as error:
        return Heard(0, error.reason)
    if 200 <= answer.status < 300:
        return Heard(answer.status)
    wait = answer.headers.get("retry-after", "")
    wait_s = (
        int(wait)
        if wait.isascii() and wait.isdigit() and len(wait) < 8 and answer.status in (429, 502, 503, 504)
        else 0
    )
    return Heard(answer.status, f"it answered {answer.status}", wait_s)
