"""Amazon's further roads, the whole way: a sale that only the event bus tells, and a seller who signs in in the browser.

The marketplaces are a process of their own, the queue is a real SQS server, the service runs as it does. Durations at the marketplaces are
sixty times shorter; the order search is asked so rarely that it tells nothing in time.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from tests.scenario.service import Shop, until

from oneshelf.demo.emulator import Marketplaces, entered
from oneshelf.onboarding.bring_up import BroughtUp, bring_up
from oneshelf.onboarding.connect import Entered
from oneshelf.onboarding.marketplace import Preview
from oneshelf.web.commands import COMMANDS
from oneshelf.wiring import build_channel

SOURCE = str(Path(__file__).resolve().parents[2] / "src")
pytestmark = pytest.mark.asyncio(loop_scope="module")

FACTOR = 60.0
STOCK = 20
#: Far longer than the tests take: what is heard is heard from the queue.
NEVER_S = 3600
MFN = "LISTINGS_ITEM_MFN_QUANTITY_CHANGE"


class Street:
    """Shopify, Amazon and eBay, and one shop."""

    def __init__(self, marketplaces: Marketplaces, shop: Shop) -> None:
        self.marketplaces = marketplaces
        self.shop = shop
        self.said: list[str] = []

    def typed(self, channel: str) -> Entered:
        return entered(channel, self.marketplaces.credentials[channel], self.marketplaces.urls[channel], FACTOR)

    async def bring_up(self, typed: Entered) -> BroughtUp:
        async def accept(_: Preview) -> bool:
            return True

        callback = None if typed.channel == "amazon" else f"{self.shop.url}/webhooks/{typed.channel}"
        return await bring_up(
            self.shop.service,
            typed,
            build=build_channel,
            callback_url=callback,
            say=self.said.append,
            accept=accept,
            look_every_s=0.2,
        )

    async def shown(self, channel: str, sku: str) -> int:
        state = await self.marketplaces.ask("GET", "/state")
        return int(state["marketplaces"][channel]["stock"][sku])

    async def amazon(self, action: str, **args: Any) -> Any:
        return await self.marketplaces.ask("POST", "/console", {"channel": "amazon", "action": action, **args})


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def street(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Street]:
    folder = tmp_path_factory.mktemp("roads")
    goods = [
        {"sku": sku, "title": sku.title(), "price_minor": 1200, "currency": "USD", "stock": STOCK}
        for sku in ("BUS", "OTHER")
    ]
    (folder / "products.json").write_text(json.dumps(goods))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", SOURCE, prepend=os.pathsep)
        marketplaces = await Marketplaces.start(seed=12, factor=FACTOR, products_file=str(folder / "products.json"))
    shop = await Shop.open(folder / "data", poll_shopify_s=3, poll_amazon_s=NEVER_S, poll_ebay_s=3)
    try:
        # These stories follow one number: sales within seconds of each other would leave a reserve otherwise (S2.2).
        await COMMANDS["rule"](shop.service, {"adaptive": False})
        yield Street(marketplaces, shop)
    finally:
        await shop.close()
        await marketplaces.stop()


async def test_a_seller_signs_in_on_amazons_own_page_and_is_connected(street: Street) -> None:
    await street.bring_up(street.typed("shopify"))
    keys = street.marketplaces.credentials["amazon"]
    typed = street.typed("amazon")
    settings = {name: value for name, value in typed.settings.items() if name != "seller_id"}
    settings |= {
        "consent_url": keys["consent_url"],
        "application_state": keys["application_state"],
        "event_bridge_account_id": keys["event_bridge_account_id"],
    }
    app = {**typed.app, "application_id": keys["application_id"]}
    begun = await COMMANDS["sign_in"](street.shop.service, {"channel": "amazon", "settings": settings, "app": app})
    async with aiohttp.ClientSession() as browser:
        async with browser.get(begun["url"]) as page:
            assert page.status == 200 and "Confirm" in await page.text()
        async with browser.post(begun["url"], data={"answer": "confirm"}, allow_redirects=False) as decided:
            back = decided.headers["location"]
        assert back.startswith(begun["redirect_uri"]) and "spapi_oauth_code=" in back
        # The seller's browser reaches us by our public name; here that name is this very port.
        async with browser.get(back, allow_redirects=False) as answer:
            assert answer.status == 303, await answer.text()

    async def done() -> bool:
        state = await COMMANDS["sign_in_state"](street.shop.service, {"key": begun["key"]})
        assert state["state"] != "failed", state
        return bool(state["state"] == "done")

    await until(done, "signed in and brought up", 60)
    rows = await street.shop.all("SELECT external_id, state FROM account WHERE channel = 'amazon'")
    assert rows == [(f"{keys['seller_id']}:na", "MATCHED")]
    (found,) = [one for one in await COMMANDS["channels_check"](street.shop.service, {}) if one["channel"] == "amazon"]
    looked = {(each.get("code"), each.get("which")): each for each in found["findings"]}
    assert looked["scope", "getFeeds"]["ok"] and looked["scope", "searchListingsItems"]["ok"]
    assert looked["subscription", "ORDER_CHANGE"]["ok"] and looked["subscription", MFN]["ok"]
    assert [each for each in found["findings"] if not each["ok"]] == []


async def test_a_sale_that_only_the_event_bus_tells_is_heard_within_seconds(street: Street) -> None:
    """Placement may send no ORDER_CHANGE (unconfirmed either way): the falling quantity is the first sign, and a read proves it."""
    typed = street.typed("amazon")
    keys = street.marketplaces.credentials["amazon"]
    typed = msgspec.structs.replace(
        typed, settings={**typed.settings, "event_bridge_account_id": keys["event_bridge_account_id"]}
    )
    assert (await street.bring_up(typed)).live
    assert (await street.bring_up(street.typed("ebay"))).live
    await street.amazon("switch", name="notify_on_placement", value=False)
    await street.amazon("switch", name="pending_s", value=NEVER_S * FACTOR)
    await until(lambda: _is(street, "ebay", STOCK), "eBay shows the stock", 30)
    # The loop that was reading the queue before the account began anew may still take a message, which then comes back after 30 s.
    await asyncio.sleep(3)
    before = await street.shop.one("SELECT COUNT(*) FROM inbox WHERE topic = :t", t=f"queue:{MFN}")
    began = time.monotonic()
    sale = await street.marketplaces.ask("POST", "/buy", {"channel": "amazon", "lines": {"BUS": 3}})
    await until(lambda: _is(street, "ebay", STOCK - 3), "eBay shows three fewer", 20)
    took_s = time.monotonic() - began
    assert took_s < 10, f"{took_s:.1f} s"
    after = await street.shop.one("SELECT COUNT(*) FROM inbox WHERE topic = :t", t=f"queue:{MFN}")
    assert before and after and after[0] > before[0]
    order_id = str(sale["order_id"]).rsplit("/", 1)[-1]
    told = await street.shop.all("SELECT topic FROM inbox WHERE body LIKE :o", o=f"%{order_id}%")
    assert told == [], "no ORDER_CHANGE and no order document told of it"
    held = await street.shop.all("SELECT pieces FROM provisional WHERE state = 'OPEN'")
    assert [pieces for (pieces,) in held] == [3]


async def test_the_order_that_comes_later_takes_what_was_held_and_nothing_twice(street: Street) -> None:
    orders = (await street.marketplaces.ask("GET", "/orders?channel=amazon"))["orders"]
    (order,) = [one for one in orders if one["lines"] == {"BUS": 3}]
    await street.amazon("pay", order_id=order["id"])

    async def booked() -> bool:
        rows = await street.shop.all("SELECT 1 FROM orders WHERE order_id = :o", o=order["id"])
        return bool(rows)

    await until(booked, "the order is booked", 20)
    await until(lambda: _none_held(street), "nothing is held any more", 20)
    await asyncio.sleep(2)
    assert await street.shown("ebay", "BUS") == STOCK - 3


async def _is(street: Street, channel: str, pieces: int) -> bool:
    return await street.shown(channel, "BUS") == pieces


async def _none_held(street: Street) -> bool:
    return await street.shop.all("SELECT 1 FROM provisional WHERE state = 'OPEN'") == []
