"""A shop comes by the browser: consent page, code, expiring token, rotating refresh token, with the emulated shop as a process of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from tests.scenario.service import Shop, until

from oneshelf.demo.emulator import Marketplaces
from oneshelf.web.commands import COMMANDS

SOURCE = str(Path(__file__).resolve().parents[2] / "src")
#: The marketplaces' durations are so many times shorter: an access token lives 12 minutes.
FACTOR = 5.0

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def marketplaces(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Marketplaces]:
    monkeypatch.setenv("PYTHONPATH", SOURCE, prepend=os.pathsep)
    started = await Marketplaces.start(seed=5, factor=FACTOR, products=5)
    yield started
    await started.stop()


@pytest_asyncio.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    one = await Shop.open(tmp_path, poll_shopify_s=3)
    yield one
    await one.close()


async def hand(marketplaces: Marketplaces, action: str, **arguments: Any) -> Any:
    """The merchant's hand in the admin."""
    return await marketplaces.ask("POST", "/console", {"channel": "shopify", "action": action, **arguments})


async def test_a_shop_is_connected_in_the_browser_and_stays_so_when_its_token_ends(
    shop: Shop, marketplaces: Marketplaces
) -> None:
    keys = marketplaces.credentials["shopify"]
    await hand(marketplaces, "uninstall")
    await hand(marketplaces, "register_redirect_uri", uri=f"{shop.url}/connect/shopify/callback")
    wish = {
        "channel": "shopify",
        "settings": {"shop": keys["shop_domain"], "endpoint": marketplaces.urls["shopify"]},
        "app": {"client_id": keys["client_id"], "client_secret": keys["client_secret"]},
    }
    begun = await COMMANDS["sign_in"](shop.service, wish)
    async with aiohttp.ClientSession() as browser:
        async with browser.get(begun["url"]) as shown:
            assert shown.status == 200 and "write_inventory" in await shown.text()
        form = {**dict(parse_qsl(urlsplit(begun["url"]).query)), "button": "install"}
        consent = begun["url"].partition("?")[0]
        async with browser.post(consent, data=form, allow_redirects=False) as agreed:
            assert agreed.status == 302
            back = agreed.headers["location"]
        forged = back.replace("timestamp=1", "timestamp=2")
        async with browser.get(forged, allow_redirects=False) as refused:
            assert refused.status == 400 and "not signed" in await refused.text()
    # A forged answer spends the sign-in: the merchant begins again, and is sent back at once, for the app is installed by now.
    begun = await COMMANDS["sign_in"](shop.service, wish)
    async with aiohttp.ClientSession() as browser, browser.get(begun["url"]) as landed:
        assert landed.status == 200 and "Connecting." in await landed.text()

    async def brought_up() -> bool:
        state = await COMMANDS["sign_in_state"](shop.service, {"key": begun["key"]})
        assert state["state"] != "failed", state
        return bool(state["state"] == "done")

    await until(brought_up, "the shop was brought up", 60.0)
    assert await shop.one("SELECT state FROM account WHERE channel = 'shopify'") == ("LIVE",)
    assert await shop.one("SELECT COUNT(*) FROM item") == (5,)

    one = shop.service.running[1]
    before = await one.session._credentials.load()
    assert before.values["refresh_token"] and before.expires_at is not None
    await hand(marketplaces, "expire_tokens")
    assert (await one.channel.who(one.session)).external_id == keys["shop_domain"]
    after = await one.session._credentials.load()
    assert after.values["refresh_token"] != before.values["refresh_token"], "it rotates, and the new one is stored"
    assert after.values["access_token"] != before.values["access_token"]
    findings = await one.channel.check(one.session, shop.service.callback_url("shopify"), one.app)  # type: ignore[attr-defined]
    assert [(finding.what, finding.todo) for finding in findings if not finding.ok] == []
    assert "refresh_token" in {finding.which for finding in findings}
