"""Commands about one account and its messages: pause it, resume it; orders read again; what could not be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from oneshelf.channels.session import Priority
from oneshelf.core.errors import NotThere
from oneshelf.core.instants import iso, to_us
from oneshelf.db.tx import Tx
from oneshelf.intake import parked, rereading
from oneshelf.publish import pausing
from oneshelf.wiring import Running, Service


async def run_pause(service: Service, payload: dict[str, Any]) -> Any:
    """Stop an account's writes, at once or (`zero_first`) when all its listings show 0; say what goes on selling."""
    one = _running(service, payload)
    now, zero_first = to_us(service.clock.now()), bool(payload.get("zero_first"))

    def step(tx: Tx) -> tuple[bool, pausing.Exposed]:
        # What is exposed is said of the numbers as they ought to be, not of the zeros that were just asked for.
        found = pausing.exposed(tx, service.tenant_id, one.account_id, one.channel.can, now)
        return pausing.pause(tx, service.tenant_id, one.account_id, now, zero_first=zero_first, by=service.by), found

    paused, found = await service.writer.do(step)
    one.bell.ring()
    return {"account_id": one.account_id, "paused": paused, **msgspec.to_builtins(found)}


async def run_resume(service: Service, payload: dict[str, Any]) -> Any:
    """Let an account's writes begin again, with reads."""
    one = _running(service, payload)
    now = to_us(service.clock.now())
    marked = await service.writer.do(
        lambda tx: pausing.resume(tx, service.tenant_id, one.account_id, now, by=service.by)
    )
    one.bell.ring()
    return {"account_id": one.account_id, "paused": False, "to_be_read": marked}


async def run_orders_again(service: Service, payload: dict[str, Any]) -> Any:
    """Have an account's orders read again from a moment on (`since`, microseconds): beside the running service, or, where none runs,
    until it is done or fails."""
    one, now = _running(service, payload), to_us(service.clock.now())
    since, where = int(payload["since"]), (service.tenant_id, one.account_id)
    await service.writer.do(lambda tx: rereading.ask(tx, *where, since, now, by=service.by))
    if service.local_url:
        one.poke_fetch.ring()
    else:
        http = one.session.with_priority(Priority.POLL)
        while await rereading.read_page(*where, one.channel, http, service.writer, service.clock):
            pass
    return await run_orders_again_state(service, payload)


async def run_orders_again_state(service: Service, payload: dict[str, Any]) -> Any:
    """How far the reading of an account's orders is."""
    account_id = int(payload["account_id"])
    run, _, problem = await service.writer.do(lambda tx: rereading.load(tx, service.tenant_id, account_id))
    if run is None:
        raise NotThere(f"No orders of account {account_id} are read again. Begin: oneshelf channels reread-orders")
    return {
        "account_id": account_id,
        "since": iso(run.since),
        "pages": run.pages,
        "orders_read": run.read,
        "messages_new": run.new,
        "done": run.done,
        "problem": problem,
    }


async def run_inbox_retry(service: Service, payload: dict[str, Any]) -> Any:
    """Let parked messages be handled again."""
    return await _with_parked(service, payload, parked.retry)


async def run_inbox_set_aside(service: Service, payload: dict[str, Any]) -> Any:
    """Say that nothing is to be done with parked messages."""
    return await _with_parked(service, payload, parked.set_aside)


async def _with_parked(service: Service, payload: dict[str, Any], step: Callable[..., int]) -> Any:
    seqs, now = {int(seq) for seq in payload.get("seqs") or ()}, to_us(service.clock.now())
    done = await service.writer.do(lambda tx: step(tx, service.tenant_id, seqs, now, by=service.by))
    service.news.ring()
    return {"messages": done}


def _running(service: Service, payload: dict[str, Any]) -> Running:
    one = service.running.get(int(payload["account_id"]))
    if one is None:
        raise NotThere(
            f"Account {payload['account_id']} is not connected. `oneshelf channels list` shows the accounts."
        )
    return one
