"""The loops of one connected account: what runs for it, and with what in hand.

In: the service and an account. Out: loops, not yet started. Never: decides; starts or ends one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from oneshelf.channels import amazon
from oneshelf.channels.abilities import Cancels, Ships
from oneshelf.channels.contract import Hub
from oneshelf.channels.session import Priority
from oneshelf.core.ids import HUB, ChannelName
from oneshelf.core.instants import to_us
from oneshelf.db.journal import open_task
from oneshelf.db.tx import Tx
from oneshelf.imports import worker as hub_writes
from oneshelf.intake import queue as queues
from oneshelf.intake import worker as intake
from oneshelf.onboarding import keeping
from oneshelf.publish import worker as publishing
from oneshelf.reconcile import worker as hub_reads
from oneshelf.reconcile.price_sweep import sweep_prices
from oneshelf.reconcile.sweep import SWEEP_TICK_S, sweep
from oneshelf.runtime.bell import Bell
from oneshelf.shipping import worker as shipping

from .running import Running

if TYPE_CHECKING:
    from .service import Service

log = structlog.get_logger()

#: How often open orders are looked over for those that are due to be read again by id.
REREAD_LOOK_S = 30.0


def loops_of(service: Service, one: Running) -> Iterator[Awaitable[Any]]:
    """Every account is polled and followed; the hub is written to and read, a marketplace is published to and swept; who ships or
    cancels, and who hears through a queue, has a loop more."""
    channel = one.channel
    yield from _hearing(service, one)
    yield from keeping.loops(
        one, service.writer, service.clock, service.stopping, service.callback_url(channel.name), service.on_catalogue
    )
    if channel.name is HUB:
        yield from _of_hub(service, one)
    else:
        yield from _publishing(service, one)
    if isinstance(channel, Cancels) or (isinstance(channel, Ships) and channel.name is not HUB):
        yield shipping.run(
            tenant_id=one.tenant_id,
            account_id=one.account_id,
            channel=channel,
            http=one.session.with_priority(Priority.SHIP),
            writer=service.writer,
            clock=service.clock,
            bell=one.ship_bell,
            stop=service.stopping,
            on_changed=service.on_shipped,
            not_found_after_s=service.settings.not_found_after_s,
        )
    if isinstance(channel, amazon.Amazon) and channel.account.queue.url:
        yield _queue(service, one, channel, channel.account.queue.url)


def _hearing(service: Service, one: Running) -> Iterator[Awaitable[Any]]:
    channel = one.channel
    common = (
        one.tenant_id,
        one.account_id,
        channel,
        one.session.with_priority(Priority.POLL),
        service.writer,
        service.clock,
    )
    yield intake.poll_loop(
        *common,
        service.settings.poll_interval_s(channel.name, channel.can.poll_interval_s),
        one.row.connected_at,
        one.poke_poll,
        service.news,
        service.stopping,
        one.session.channel_now,
    )
    yield intake.fetch_loop(*common, one.poke_fetch, service.news, service.stopping)
    if channel.can.rereads_open_orders_s is not None:
        yield _reread(service, one, channel.can.rereads_open_orders_s)


def _of_hub(service: Service, one: Running) -> Iterator[Awaitable[Any]]:
    hub = one.channel
    assert isinstance(hub, Hub)
    yield hub_writes.run(
        tenant_id=one.tenant_id,
        hub=hub,
        http=one.session.with_priority(Priority.LOWER_UNSAFE),
        writer=service.writer,
        clock=service.clock,
        bell=service.hub_bell,
        on_settled=service.on_hub_written,
        stop=service.stopping,
        not_found_after_s=service.settings.not_found_after_s,
    )
    yield hub_reads.run(
        tenant_id=one.tenant_id,
        account_id=one.account_id,
        hub=hub,
        http=one.session.with_priority(Priority.POLL),
        writer=service.writer,
        clock=service.clock,
        bell=service.levels_bell,
        stop=service.stopping,
        poke_poll=one.poke_poll.ring,
        on_changed=service.wake_numbers,
    )


def _publishing(service: Service, one: Running) -> Iterator[Awaitable[Any]]:
    yield publishing.run(
        tenant_id=one.tenant_id,
        account_id=one.account_id,
        channel=one.channel,
        session=one.session,
        limiter=one.limiter,
        writer=service.writer,
        clock=service.clock,
        bell=one.bell,
        stop=service.stopping,
        on_settled=service.on_settled,
    )
    yield _sweep(service, one)


async def _queue(service: Service, one: Running, channel: amazon.Amazon, url: str) -> None:
    try:
        client = await queues.client_of(channel.account.queue, one.app, service.machine.queue_client)
    except Exception as error:  # a mistyped address must not stop the service; orders are polled all the same
        log.error("queue_not_usable", problem=str(error))
        await service.writer.do(partial(_tell_not_usable, now=to_us(service.clock.now()), one=one, problem=str(error)))
        return
    await queues.run(
        client,
        url,
        lambda: [r for r in service.running.values() if r.channel.name is ChannelName.AMAZON],  # type: ignore[misc]
        service.writer,
        service.clock,
        service.news.ring,
        service.stopping,
        wait_s=service.settings.queue_wait_s,
    )


def _tell_not_usable(tx: Tx, now: int, one: Running, problem: str) -> None:
    what = "Correct the address of Amazon's message queue"
    open_task(tx, one.tenant_id, now, "queue_not_usable", str(one.account_id), what, problem)


async def _reread(service: Service, one: Running, every_s: float) -> None:
    pause = Bell()
    while not service.stopping.is_set():
        asked = await service.writer.do(
            partial(
                intake.reread_open_orders,
                tenant_id=one.tenant_id,
                account_id=one.account_id,
                now=to_us(service.clock.now()),
                every_s=every_s,
            )
        )
        if asked:
            one.poke_fetch.ring()
        await pause.wait(REREAD_LOOK_S, service.stopping)


async def _sweep(service: Service, one: Running) -> None:
    """S9.7: every listing, its number and its price, is read again now and then, whoever wrote it meanwhile."""
    pause = Bell()
    tenant_id, account_id = one.tenant_id, one.account_id
    while not service.stopping.is_set():
        await pause.wait(SWEEP_TICK_S, service.stopping)
        now = to_us(service.clock.now())
        found = await service.writer.do(partial(sweep, tenant_id=tenant_id, account_id=account_id, now=now))
        found += await service.writer.do(partial(sweep_prices, tenant_id=tenant_id, account_id=account_id, now=now))
        if found:
            one.bell.ring()
