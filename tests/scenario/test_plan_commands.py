"""Plans, tasks and alerts by command: a running service and the command line beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.scenario.service import EBAY, TENANT, Elsewhere, Shop, connected, until
from typer.testing import CliRunner

from oneshelf.channels.contract import ListingFound
from oneshelf.cli import app
from oneshelf.core.errors import Park
from oneshelf.core.instants import to_us
from oneshelf.core.stock import Entry
from oneshelf.db.journal import open_task
from oneshelf.db.tx import Tx
from oneshelf.listings import links
from oneshelf.listings.policy import EVERY_ACCOUNT, EVERY_SKU, set_rule
from oneshelf.stock import ledger
from oneshelf.web.commands import COMMANDS


@pytest_asyncio.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    elsewhere = Elsewhere()
    shop = await Shop.open(tmp_path)
    await connected(shop, elsewhere)
    yield shop
    await shop.close()
    await elsewhere.close()


async def mugs(shop: Shop) -> None:
    """Eight mugs, a listing on eBay, a buffer of five."""
    now = to_us(shop.service.clock.now())
    there = ListingFound("m", "m", ("sku:M",), "MUG", "Mug", None)

    def step(tx: Tx) -> None:
        tx.run("INSERT INTO location (tenant_id, location_id, name) VALUES (1, 'L1', 'L1') ON CONFLICT DO NOTHING")
        tx.run("INSERT INTO item (tenant_id, sku, title) VALUES (1, 'MUG', 'Mug') ON CONFLICT DO NOTHING")
        ledger.post(tx, TENANT, [Entry(key="k", sku="MUG", location_id="L1", reason="count", on_hand=8)], now)
        links.keep_listings(tx, TENANT, EBAY, [there], now)
        (number,) = tx.one("SELECT outlet_id FROM outlet WHERE external_id = 'm'") or (0,)
        links.link(tx, TENANT, number, {"MUG": 1}, now, by="a test")
        set_rule(tx, TENANT, EVERY_ACCOUNT, EVERY_SKU, now, by="m", safety_stock=5, adaptive=False)

    await shop.service.writer.do(step)


async def told(shop: Shop, command: str, **payload: Any) -> Any:
    return await COMMANDS[command](shop.service, payload)


async def test_a_downgrade_is_looked_at_done_and_its_raise_accepted(shop: Shop) -> None:
    await mugs(shop)
    looked = await told(shop, "plan_set", plan="starter")
    assert (looked["done"], looked["frozen"], looked["would_rise"]) == (False, True, 1)
    assert [(one["shows"], one["would_show"]) for one in looked["rises"]] == [(3, 8)]
    assert await shop.all("SELECT * FROM plan") == []
    done = await told(shop, "plan_set", plan="starter", yes=True)
    assert (done["done"], done["would_rise"]) == (True, 1)
    assert await shop.one("SELECT name, frozen FROM plan") == ("starter", 1)
    assert (await told(shop, "plan_accept_raise"))["done"] is False
    assert (await told(shop, "plan_accept_raise", yes=True))["done"] is True
    assert await shop.one("SELECT frozen FROM plan") == (0,)
    assert (await told(shop, "plan_accept_raise", yes=True)) == {
        "plan": "starter",
        "frozen": False,
        "done": False,
        "would_rise": 0,
        "rises": [],
    }


async def test_calls_to_the_channels_are_counted_at_the_latest_when_the_service_stops(shop: Shop) -> None:
    async def called() -> bool:
        return any(one.calls for one in shop.service.running.values())

    await until(called, "a channel was called")
    made = {one.account_id: one.calls for one in shop.service.running.values()}
    await shop.close()
    await shop.open_again()
    counted = dict(
        await shop.all("SELECT account_id, SUM(count) FROM usage_day WHERE name = 'calls' GROUP BY account_id")
    )
    assert all(counted.get(account_id, 0) >= calls for account_id, calls in made.items())


async def test_an_alert_can_be_tried_and_says_what_is_missing(shop: Shop) -> None:
    added = await told(shop, "alert_add", way="email", address="a@example.com", least="urgent")
    assert (added["receiver"], added["secret"], added["mail_server_set"]) == (1, "", False)
    tried = await told(shop, "alert_test", receiver=1)
    assert (tried["taken"], "ONESHELF_SMTP_HOST" in tried["problem"]) == (False, True)
    assert await shop.all("SELECT * FROM alert_message") == []  # a test is not tried again
    await told(shop, "alert_remove", receiver=1)
    with pytest.raises(Park, match="no receiver 1"):
        await told(shop, "alert_test", receiver=1)


async def test_the_command_line_lists_shows_puts_off_and_ends_tasks(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONESHELF_DATA_DIR", str(shop.settings.data_dir))
    now = to_us(shop.service.clock.now())
    await shop.service.writer.do(lambda tx: open_task(tx, TENANT, now, "second_copy", f"{EBAY}/E-1", "Cancel it"))

    async def run(*words: str) -> tuple[int, Any]:
        done = await asyncio.to_thread(CliRunner().invoke, app, [*words, "--json"])
        return done.exit_code, json.loads(done.stdout)

    code, listed = await run("tasks", "list", "--severity", "urgent")
    assert (code, [one["kind"] for one in listed["tasks"]], listed["open"]["urgent"]) == (1, ["second_copy"], 1)
    number = str(listed["tasks"][0]["task"])
    code, one = await run("tasks", "show", number)
    assert (code, one["channel"], one["order"], one["ends"]) == (0, "ebay", "E-1", "")
    assert (await run("tasks", "snooze", number, "--hours", "2"))[1]["snoozed_until"]
    assert (await run("tasks", "list"))[0] == 0
    assert (await run("tasks", "done", number))[1]["closed_by"] == "merchant"
    code, shown = await run("plan", "show")
    assert (code, shown["plan"], all(one["has"] for one in shown["capabilities"])) == (0, "self-hosted", True)
