"""`oneshelf check` finds what is not as it should be, by the channels' own word (I1, I4, I13)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from oneshelf.channels.contract import Http, Outlet, Seen
from oneshelf.demo.run import _rest
from oneshelf.demo.stage import Stage, set_stage
from oneshelf.web.commands import run_check


async def _breaches(stage: Stage) -> list[tuple[str, str]]:
    audit = await run_check(stage.service, {})
    return [(breach["rule"], breach["channel"]) for breach in audit["breaches"]]


async def _change(stage: Stage, sql: str, **values: Any) -> None:
    await stage.service.writer.do(lambda tx: tx.run(sql, **values))


@pytest.mark.timeout(120)
async def test_each_kind_of_breach_is_found_and_named(tmp_path: Path) -> None:
    stage = await set_stage(seed=4, products=6, folder=tmp_path / "data")
    try:
        await stage.connect(lambda line: None)
        state = await stage.marketplaces.ask("GET", "/state")
        sku = max(state["marketplaces"]["ebay"]["stock"], key=lambda s: state["marketplaces"]["ebay"]["stock"][s])
        for channel in ("ebay", "shopify"):
            await stage.marketplaces.ask("POST", "/buy", {"channel": channel, "lines": {sku: 1}})
        await asyncio.sleep(2)
        await _rest(stage)
        assert await _breaches(stage) == []

        # Somebody edits a number in the marketplace's console.
        edit = {"channel": "ebay", "action": "set_quantity", "sku": sku, "quantity": 77}
        await stage.marketplaces.ask("POST", "/console", edit)
        assert ("I13", "ebay") in await _breaches(stage)

        # A level that is not the sum of its entries.
        await _change(stage, "UPDATE stock_level SET on_hand = on_hand + 1 WHERE sku = :s", s=sku)
        assert ("I1", "") in await _breaches(stage)
        await _change(stage, "UPDATE stock_level SET on_hand = on_hand - 1 WHERE sku = :s", s=sku)

        # A counter of a customer that the orders do not make.
        await _change(stage, "UPDATE customer SET purchases = purchases + 1")
        assert ("I23", "") in await _breaches(stage)
        await _change(stage, "UPDATE customer SET purchases = purchases - 1")

        # An order that stands at the channel and is not in our books; known as soon as the feed is complete through it.
        await _change(stage, "UPDATE orders SET order_id = 'gone' WHERE account_id = 1 AND copy_key = ''")
        found: list[tuple[str, str]] = []
        for _ in range(30):
            found = await _breaches(stage)
            if ("I4", "shopify") in found:
                break
            await asyncio.sleep(1)
        assert ("I4", "shopify") in found
    finally:
        await stage.strike()


class _SlowToAnswer:
    """A channel of which the first answer to the audit is old when it comes: meanwhile a piece was sold, and the new number was told."""

    def __init__(self, channel: Any, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._channel = channel
        self._meanwhile: Callable[[], Awaitable[None]] | None = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    async def read(self, http: Http, outlets: Sequence[Outlet]) -> list[Seen]:
        seen: list[Seen] = await self._channel.read(http, outlets)
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            await meanwhile()
        return seen


@pytest.mark.timeout(120)
async def test_a_number_that_was_told_while_the_audit_read_its_channel_is_no_breach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = await set_stage(seed=4, products=3, folder=tmp_path / "data")
    try:
        await stage.connect(lambda line: None)
        await _rest(stage)
        shown = (await stage.marketplaces.ask("GET", "/state"))["marketplaces"]["etsy"]["stock"]
        sku = max(shown, key=shown.__getitem__)

        async def sell_one_in_the_shop() -> None:
            await stage.marketplaces.ask("POST", "/buy", {"channel": "shopify", "lines": {sku: 1}})
            for _ in range(100):
                await asyncio.sleep(0.1)
                now = (await stage.marketplaces.ask("GET", "/state"))["marketplaces"]["etsy"]["stock"][sku]
                if now < shown[sku]:
                    break
            else:
                pytest.fail("Etsy was never told")
            await _rest(stage)

        checked = stage.service.checked()
        slow = [
            msgspec.structs.replace(one, channel=_SlowToAnswer(one.channel, sell_one_in_the_shop))
            if one.channel.name == "etsy"
            else one
            for one in checked
        ]
        monkeypatch.setattr(stage.service, "checked", lambda: slow)
        audit = await run_check(stage.service, {})
        assert audit["breaches"] == []
        [etsy] = [one for one in audit["channels"] if one["channel"] == "etsy"]
        assert etsy["outlets_right"] == etsy["outlets_read"] == len(shown)
    finally:
        await stage.strike()
