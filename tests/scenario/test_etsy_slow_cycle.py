"""Etsy cancels and refunds that move no update time are heard by the slow cycle, by id, through the running service (SEMANTICS 4.6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from tests.scenario.service import until

from oneshelf.core.instants import to_us
from oneshelf.demo.stage import Stage, set_stage
from oneshelf.intake import worker as intake

pytestmark = [pytest.mark.timeout(120)]


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = await set_stage(seed=12, products=6, folder=tmp_path / "data")
    try:
        await stage.connect(lambda line: None)
        yield stage
    finally:
        await stage.strike()


async def test_S4_6_a_silent_cancel_is_heard_by_id_though_no_poll_shows_it(stage: Stage) -> None:
    etsy = next(one for one in stage.brought_up if one.channel == "etsy").account_id
    ask, writer = stage.marketplaces.ask, stage.service.writer
    stock = (await ask("GET", "/state"))["marketplaces"]["etsy"]["stock"]
    sku = max(stock, key=lambda each: stock[each])
    order_id = (await ask("POST", "/buy", {"channel": "etsy", "lines": {sku: 1}}))["order_id"]

    async def order() -> tuple[str, int]:
        row = await writer.do(
            lambda tx: tx.one(
                "SELECT o.state, l.told_cancelled FROM orders o JOIN order_line l ON l.tenant_id = o.tenant_id AND "
                "l.account_id = o.account_id AND l.order_id = o.order_id WHERE o.account_id = :a AND o.order_id = :o",
                a=etsy,
                o=order_id,
            )
        )
        return (row[0], row[1]) if row is not None else ("", 0)

    async def paid() -> bool:
        return (await order())[0] in ("OPEN", "RELEASED")

    await until(paid, "the order was paid", 40)
    await ask("POST", "/faults", {"name": "webhook_drop", "chance": 1, "channel": "etsy"})
    # For eleven minutes the polls reach back to it and would see it changed. As if those were over: no poll shows it.
    no_poll = {"name": "error_500", "channel": "etsy", "operation": "getShopReceipts", "times": 10_000}
    await ask("POST", "/arm", no_poll)
    await ask("POST", "/console", {"channel": "etsy", "action": "cancel", "order_id": order_id, "restock": False})
    await asyncio.sleep(6)  # a poll of the stage and more
    assert (await order())[1] == 0, "neither a webhook nor a poll told it"

    one = stage.service.running[etsy]
    assert one.channel.can.rereads_open_orders_s == 3_600
    now = to_us(stage.service.clock.now())
    # The hour is over: whatever was read before now is read again.
    asked = await writer.do(lambda tx: intake.reread_open_orders(tx, one.tenant_id, etsy, now, 0.0))
    assert asked >= 1
    one.poke_fetch.ring()

    async def cancelled() -> bool:
        return (await order())[1] == 1

    await until(cancelled, "the cancel was heard", 30)


async def test_S4_6_an_order_that_was_just_read_is_not_read_again(stage: Stage) -> None:
    etsy = next(one for one in stage.brought_up if one.channel == "etsy").account_id
    stock = (await stage.marketplaces.ask("GET", "/state"))["marketplaces"]["etsy"]["stock"]
    sku = max(stock, key=lambda each: stock[each])
    await stage.marketplaces.ask("POST", "/buy", {"channel": "etsy", "lines": {sku: 1}})
    writer = stage.service.writer

    async def there() -> bool:
        return bool(await writer.do(lambda tx: tx.all("SELECT 1 FROM orders WHERE account_id = :a", a=etsy)))

    await until(there, "the order came", 40)
    now = to_us(stage.service.clock.now())
    assert await writer.do(lambda tx: intake.reread_open_orders(tx, 1, etsy, now, 3_600.0)) == 0


async def test_S4_6_an_order_that_was_read_as_it_was_before_is_not_asked_for_at_every_look(stage: Stage) -> None:
    """Found beside a run of the simulator: after its first hour an open order was read every thirty seconds, until the day's calls were gone."""
    etsy = next(one for one in stage.brought_up if one.channel == "etsy").account_id
    stock = (await stage.marketplaces.ask("GET", "/state"))["marketplaces"]["etsy"]["stock"]
    sku = max(stock, key=lambda each: stock[each])
    sale = await stage.marketplaces.ask("POST", "/buy", {"channel": "etsy", "lines": {sku: 1}})
    writer = stage.service.writer

    async def fetched_at() -> int:
        rows = await writer.do(
            lambda tx: tx.all(
                "SELECT fetched_at FROM orders WHERE order_id = :o AND payment = 'paid'", o=str(sale["order_id"])
            )
        )
        return int(rows[0][0]) if rows else 0

    async def there() -> bool:
        return bool(await fetched_at())

    await until(there, "the order was paid", 40)
    for _ in range(2):
        now = to_us(stage.service.clock.now())
        asked = partial(intake.reread_open_orders, tenant_id=1, account_id=etsy, now=now, every_s=0.0)
        assert await writer.do(asked) >= 1
        stage.service.running[etsy].poke_fetch.ring()

        async def read(since: int = now) -> bool:
            return await fetched_at() > since

        await until(read, "the order was read", 20)
