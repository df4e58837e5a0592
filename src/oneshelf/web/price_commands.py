"""Commands about prices: look, follow, leave alone, try again. One function each, as in commands.py."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from oneshelf.channels.abilities import Prices
from oneshelf.channels.session import Priority
from oneshelf.core.errors import NotThere, Park
from oneshelf.core.ids import HUB
from oneshelf.core.instants import to_us
from oneshelf.db.tx import Tx
from oneshelf.onboarding.price_preview import accept, agreed, preview
from oneshelf.pricing.agreed import say
from oneshelf.pricing.policy import switch
from oneshelf.publish.recovery import retry_prices
from oneshelf.wiring import Running, Service


class NoPrices(Park):
    """Prices can't be told there."""


def _account(service: Service, payload: dict[str, Any]) -> tuple[Running, Prices]:
    one = service.running.get(int(payload["account_id"]))
    if one is None:
        raise NotThere(
            f"Account {payload['account_id']} is not connected. `oneshelf channels list` shows the accounts."
        )
    if one.channel.name is HUB:
        raise NoPrices("The shop's prices are what the others follow; change them in the shop.")
    if not isinstance(one.channel, Prices):
        raise NoPrices(f"{one.channel.name} can't be told prices.")
    return one, one.channel


async def run_prices_follow(service: Service, payload: dict[str, Any]) -> Any:
    """Say what would change if an account's prices followed the shop's; with `yes` (and `far`) let them."""
    one, channel = _account(service, payload)
    http = one.session.with_priority(Priority.CATALOGUE)
    now = to_us(service.clock.now())
    shown = await preview(service.tenant_id, one.account_id, channel, http, service.writer, now)
    if payload.get("yes"):
        accept(shown, yes=True, far=bool(payload.get("far")))

        def step(tx: Tx) -> None:
            say(tx, service.tenant_id, agreed(shown), "yes", now, by=service.by)
            switch(tx, service.tenant_id, one.account_id, follow=True, now=now, by=service.by)

        await service.writer.do(step)
        one.bell.ring()
    return {**msgspec.to_builtins(shown), "account_id": one.account_id, "follows": bool(payload.get("yes"))}


async def run_prices_off(service: Service, payload: dict[str, Any]) -> Any:
    """Leave an account's prices alone from now on."""
    one, _ = _account(service, payload)
    now = to_us(service.clock.now())
    await service.writer.do(
        partial(switch, tenant_id=service.tenant_id, account_id=one.account_id, follow=False, now=now, by=service.by)
    )
    return {"account_id": one.account_id, "follows": False}


async def run_prices_retry(service: Service, payload: dict[str, Any]) -> Any:
    """Try a parked price again."""
    outlet_id, now = int(payload["outlet_id"]), to_us(service.clock.now())
    tried = await service.writer.do(
        partial(retry_prices, tenant_id=service.tenant_id, outlet_ids=[outlet_id], now=now, by=service.by)
    )
    if not tried:
        raise NotThere(f"The price of listing {outlet_id} is not parked.")
    service.wake_all()
    return {"outlet_id": outlet_id}
