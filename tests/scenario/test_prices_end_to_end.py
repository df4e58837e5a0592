"""Prices the whole way, with four marketplaces beside the service: what the shop asks is what each marketplace's own books say.

One emulator and one service for all stories; each has a product of its own. Durations at the marketplaces are sixty times shorter.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.scenario.service import Shop, until

from oneshelf.core.errors import Park
from oneshelf.core.instants import SECOND, to_us
from oneshelf.demo.emulator import Marketplaces, entered
from oneshelf.onboarding.bring_up import bring_up
from oneshelf.onboarding.marketplace import Preview
from oneshelf.web.commands import COMMANDS
from oneshelf.wiring import build_channel

#: On the path of the emulator, which is a process of its own.
SOURCE = str(Path(__file__).resolve().parents[2] / "src")

pytestmark = pytest.mark.asyncio(loop_scope="module")

FACTOR = 60.0
MARKETS = ("amazon", "ebay", "etsy")
CHANNELS = ("shopify", *MARKETS)
ACCOUNT = {channel: number for number, channel in enumerate(CHANNELS, 1)}
ASKED, STOCK = 1200, 20
PRODUCTS = ("FOLLOW", "LOST", "BUSY", "SALE", "HAND", "LEFT")
#: What tells each marketplace a price, by its own name.
TELLS = {"amazon": "patchListingsItem", "ebay": "bulkUpdatePriceQuantity", "etsy": "updateListingInventory"}


class Town:
    """Four marketplaces and one shop whose prices are followed."""

    def __init__(self, marketplaces: Marketplaces, shop: Shop) -> None:
        self.marketplaces = marketplaces
        self.shop = shop

    async def console(self, channel: str, action: str, **how: Any) -> Any:
        return await self.marketplaces.ask("POST", "/console", {"channel": channel, "action": action, **how})

    async def state(self, channel: str) -> dict[str, Any]:
        return dict((await self.marketplaces.ask("GET", "/state"))["marketplaces"][channel])

    async def asked(self, sku: str) -> dict[str, int]:
        """What each marketplace's own books say of the price."""
        offer = (await self.state("amazon"))["offers"][sku]
        amazon = round(offer["our_price"][0]["schedule"][0]["value_with_tax"] * 100)
        rest = {channel: (await self.state(channel))["prices"][sku] for channel in ("ebay", "etsy")}
        return {"amazon": amazon, **rest}

    async def asks(self, sku: str, minor: int, within_s: float = 60.0) -> None:
        async def there() -> bool:
            return set((await self.asked(sku)).values()) == {minor}

        try:
            await until(there, "", within_s)
        except AssertionError:
            slots = await self.shop.all("SELECT account_id, state, offer, believed, reason FROM price_slot")
            raise AssertionError(f"{sku} should ask {minor}, asks {await self.asked(sku)}: {slots}") from None

    async def settled(self, sku: str) -> None:
        """Wait until every listing of a SKU has been seen to ask its price."""

        async def there() -> bool:
            rows = await self.shop.all(
                "SELECT s.state FROM price_slot s JOIN link k ON k.outlet_id = s.outlet_id WHERE k.sku = :s", s=sku
            )
            return {state for (state,) in rows} == {"QUIET"}

        await until(there, f"the prices of {sku} are seen", 60)

    async def attempts(self, sku: str) -> dict[str, list[tuple[int, str]]]:
        rows = await self.shop.all(
            "SELECT a.channel, t.price_minor, t.outcome FROM price_attempt t JOIN link k ON k.outlet_id = t.outlet_id "
            "JOIN account a ON a.account_id = t.account_id WHERE k.sku = :s ORDER BY t.attempt_no",
            s=sku,
        )
        found: dict[str, list[tuple[int, str]]] = {channel: [] for channel in MARKETS}
        for channel, minor, outcome in rows:
            found[channel].append((minor, outcome))
        return found

    async def cli(self, *args: str) -> tuple[int, str]:
        """`oneshelf prices …` as a person types it, beside the running service."""
        env = {
            **os.environ,
            "ONESHELF_DATA_DIR": str(self.shop.settings.data_dir),
            "PYTHONPATH": SOURCE,
            "COLUMNS": "200",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "oneshelf.cli", "prices", *args, env=env, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    async def shown(self, sku: str) -> dict[str, int]:
        return {channel: (await self.state(channel))["stock"][sku] for channel in CHANNELS}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """All four channels connected by the merchant's own way, and live; no price is followed yet."""
    folder = tmp_path_factory.mktemp("town")
    goods = [
        {"sku": sku, "title": sku.title(), "price_minor": ASKED, "currency": "USD", "stock": STOCK} for sku in PRODUCTS
    ]
    (folder / "products.json").write_text(json.dumps(goods))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", SOURCE, prepend=os.pathsep)
        marketplaces = await Marketplaces.start(seed=12, factor=FACTOR, products_file=str(folder / "products.json"))
    shop = await Shop.open(
        folder / "data", poll_shopify_s=3, poll_amazon_s=3, poll_ebay_s=3, poll_etsy_s=3, not_found_after_s=2
    )

    async def accept(_: Preview) -> bool:
        return True

    try:
        for channel in CHANNELS:
            if channel == "etsy":
                await marketplaces.ask("POST", "/etsy/webhooks", {"url": f"{shop.url}/webhooks/etsy"})
            typed = entered(channel, marketplaces.credentials[channel], marketplaces.urls[channel], FACTOR)
            await bring_up(
                shop.service,
                typed,
                build=build_channel,
                callback_url=None if channel == "amazon" else f"{shop.url}/webhooks/{channel}",
                say=lambda _: None,
                accept=accept,
                look_every_s=0.2,
            )
        # These stories follow one number: sales within seconds of each other would leave a reserve otherwise (S2.2).
        await COMMANDS["rule"](shop.service, {"adaptive": False})
        yield Town(marketplaces, shop)
    finally:
        await shop.close()
        await marketplaces.stop()


async def test_P2_nothing_is_told_before_the_switch_and_the_preview_says_what_would_be(town: Town) -> None:
    await town.console("ebay", "set_price", sku="LEFT", price_minor=4900)
    await town.console("shopify", "set_price", sku="LEFT", price_minor=1300)

    async def heard() -> bool:
        return await town.shop.one("SELECT price_minor FROM item WHERE sku = 'LEFT'") == (1300,)

    await until(heard, "the shop's new price is heard of", 30)
    shown = await COMMANDS["prices_follow"](town.shop.service, {"account_id": ACCOUNT["ebay"]})
    assert (shown["linked"], shown["right"], shown["fall"], shown["far"]) == (6, 5, 1, 1)
    row = next(row for row in shown["rows"] if row["external_id"] == "LEFT")
    assert (row["asks"], row["would_ask"], shown["follows"]) == (4900, 1300, False)
    code, told = await town.cli("follow", str(ACCOUNT["ebay"]))
    assert (
        code == 0
        and "1 would ask more" not in told
        and "1 less (1 change by more than 50 %)" in told
        and "49.00 USD" in told
    )
    with pytest.raises(Park, match="more than 50 %"):
        await COMMANDS["prices_follow"](town.shop.service, {"account_id": ACCOUNT["ebay"], "yes": True})
    with pytest.raises(Park, match="change them in the shop"):
        await COMMANDS["prices_follow"](town.shop.service, {"account_id": ACCOUNT["shopify"], "yes": True})
    assert await town.asked("LEFT") == {"amazon": 1200, "ebay": 4900, "etsy": 1200}
    for channel in MARKETS:
        done = await COMMANDS["prices_follow"](
            town.shop.service, {"account_id": ACCOUNT[channel], "yes": True, "far": True}
        )
        assert done["follows"] is True
    await town.asks("LEFT", 1300)


async def test_P4_a_price_changed_in_the_shop_is_asked_at_every_marketplace(town: Town) -> None:
    await town.console("shopify", "set_price", sku="FOLLOW", price_minor=1499)
    facts = {
        "vendor": "Kiln",
        "product_type": "Tableware",
        "tags": ["sale"],
        "cost_minor": 700,
        "compare_at_minor": 1999,
    }
    await town.console("shopify", "set_facts", sku="FOLLOW", **facts)
    await town.asks("FOLLOW", 1499)

    async def heard() -> bool:
        columns = "vendor, product_type, tags, cost_minor, cost_currency, compare_at_minor"
        told = await town.shop.one(f"SELECT {columns} FROM item WHERE sku = 'FOLLOW'")
        return told == ("Kiln", "Tableware", '["sale"]', 700, "USD", 1999)

    await until(heard, "what the shop keeps about the product is heard of", 30)
    await town.settled("FOLLOW")
    assert await town.shown("FOLLOW") == dict.fromkeys(CHANNELS, STOCK)
    audit = await COMMANDS["check"](town.shop.service, {})
    counts = {one["channel"]: one["prices_right"] for one in audit["channels"]}
    assert audit["breaches"] == [] and counts == {"shopify": 0, "amazon": 6, "ebay": 6, "etsy": 6}


async def test_P5_a_price_whose_answer_is_lost_is_read_and_told_once(town: Town) -> None:
    before = (await town.marketplaces.ask("GET", "/faults"))["injected"].get("cut_answer", 0)
    for channel, operation in TELLS.items():
        cut = {"name": "cut_answer", "channel": channel, "operation": operation, "times": 1}
        await town.marketplaces.ask("POST", "/arm", cut)
    await town.console("shopify", "set_price", sku="LOST", price_minor=1750)
    await town.asks("LOST", 1750)
    await town.settled("LOST")
    assert await town.attempts("LOST") == dict.fromkeys(MARKETS, [(1750, "SEEN")])
    assert (await town.marketplaces.ask("GET", "/faults"))["injected"]["cut_answer"] == before + 3
    await town.marketplaces.ask("DELETE", "/faults")


async def test_P9_prices_that_change_while_the_listing_sells_leave_the_numbers_right(town: Town) -> None:
    sold = 0
    for minor in (1210, 1220, 1230):
        await town.console("shopify", "set_price", sku="BUSY", price_minor=minor)
        for channel in ("etsy", "etsy", "ebay"):
            await town.marketplaces.ask("POST", "/buy", {"channel": channel, "lines": {"BUSY": 1}})
            sold += 1
    await town.asks("BUSY", 1230)

    async def right() -> bool:
        return await town.shown("BUSY") == dict.fromkeys(CHANNELS, STOCK - sold)

    try:
        await until(right, "", 60)
    except AssertionError:
        raise AssertionError(f"{STOCK - sold} are left, shown is {await town.shown('BUSY')}") from None
    rows = await town.shop.one("SELECT COUNT(*) FROM order_line WHERE sku = 'BUSY' AND account_id IN (3, 4)")
    assert rows == (sold,)


async def test_P8_a_sale_price_set_at_amazon_stays(town: Town) -> None:
    now = datetime.now(UTC)
    start, end = (now - timedelta(days=1)).isoformat()[:10], (now + timedelta(days=9)).isoformat()[:10]
    await town.console("amazon", "set_sale", sku="SALE", price_minor=990, start_at=start, end_at=end)
    await town.console("shopify", "set_price", sku="SALE", price_minor=1600)
    await town.asks("SALE", 1600)
    await town.settled("SALE")
    offer = (await town.state("amazon"))["offers"]["SALE"]
    [sale] = offer["discounted_price"][0]["schedule"]
    assert (sale["value_with_tax"], sale["start_at"][:10], sale["end_at"][:10]) == (9.9, start, end)


async def test_P10_a_price_set_by_hand_is_found_and_put_right(town: Town) -> None:
    for channel in MARKETS:
        await town.console(channel, "set_price", sku="HAND", price_minor=9900)
    audit = await COMMANDS["check"](town.shop.service, {})
    assert [(one["rule"], one["channel"]) for one in audit["breaches"]] == [("P5", channel) for channel in MARKETS]
    assert audit["breaches"][0]["what"] == "HAND asks 99.00 USD, it should be 12.00 USD"
    await town.shop.run("UPDATE price_slot SET believed_at = 0")  # a day later

    def sweep_now(tx: Any) -> int:
        from oneshelf.reconcile.price_sweep import sweep_prices

        now = to_us(town.shop.service.clock.now())
        return sum(sweep_prices(tx, 1, ACCOUNT[channel], now, tick_s=86_400) for channel in MARKETS)

    assert await town.shop.service.writer.do(sweep_now) > 0
    town.shop.service.wake_all()
    await town.asks("HAND", ASKED)
    lines = await town.shop.all(
        "SELECT what FROM journal WHERE what = 'A listing asked another price than it was told'"
    )
    assert len(lines) == 3


async def test_P13_P17_P19_a_rule_a_cost_and_a_sale_reach_every_marketplace(town: Town) -> None:
    service, ruled = town.shop.service, {"goods": "sku", "value": "FOLLOW", "yes": True}
    await town.console("shopify", "set_facts", sku="FOLLOW", cost_minor=1000)

    async def known() -> bool:
        return await town.shop.one("SELECT cost_minor FROM item WHERE sku = 'FOLLOW'") == (1000,)

    await until(known, "the shop's unit cost is heard of", 30)
    done = await COMMANDS["price_rule"](service, {**ruled, "price": "cost + 40%", "rounding": "ending .99"})
    assert {(row["channel"], row["will_be"]) for row in done["rows"]} == {(channel, 1399) for channel in MARKETS}
    await town.asks("FOLLOW", 1399)
    await town.console("shopify", "set_facts", sku="FOLLOW", cost_minor=1100)
    await town.asks("FOLLOW", 1499)
    now = to_us(service.clock.now())
    window = {"starts_at": now, "ends_at": now + 3_600 * SECOND}
    sale = await COMMANDS["price_sale"](service, {**ruled, **window, "price": "price - 20%"})
    await town.asks("FOLLOW", 1199)
    await COMMANDS["price_drop"](service, {"rule": sale["rule"], "yes": True})
    await town.asks("FOLLOW", 1499)


async def test_P2_an_account_that_is_switched_off_keeps_its_prices(town: Town) -> None:
    await COMMANDS["prices_off"](town.shop.service, {"account_id": ACCOUNT["etsy"]})
    await town.console("shopify", "set_price", sku="LEFT", price_minor=1350)

    async def told() -> bool:
        now = await town.asked("LEFT")
        return now["amazon"] == now["ebay"] == 1350

    await until(told, "the accounts that follow ask it", 60)
    assert (await town.asked("LEFT"))["etsy"] == 1300
