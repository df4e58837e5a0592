"""Every way a marketplace can be broken is told apart by `oneshelf channels check --json`, in words for who must act, and ends when
it is mended: the service runs beside the emulated marketplaces, and the command asks it as a person does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.scenario.service import until
from typer.testing import CliRunner

from oneshelf.cli import app
from oneshelf.demo.emulator import entered
from oneshelf.demo.run import _rest
from oneshelf.demo.stage import CHANNELS, Stage, set_stage
from oneshelf.onboarding import subscribing
from oneshelf.onboarding.bring_up import bring_up
from oneshelf.wiring import build_channel

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

#: How long a mended marketplace may be told broken: the next poll has to come, and a pause that the channel asked for to end.
MENDED_WITHIN_S = 60.0


class Person:
    """Who sits at the terminal of the running service."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self._env = {"ONESHELF_DATA_DIR": str(folder)}
        self.ids = {one.channel: one.account_id for one in stage.brought_up}

    async def check(self, channel: str = "") -> tuple[int, list[dict[str, Any]]]:
        """Exit code of `channels check [ACCOUNT] --json`, and the accounts it told of."""
        which = [str(self.ids[channel])] if channel else []
        run = await asyncio.to_thread(
            CliRunner().invoke, app, ["channels", "check", *which, "--json"], env=self._env, catch_exceptions=False
        )
        return run.exit_code, json.loads(run.stdout)

    async def wrong(self, channel: str) -> list[dict[str, Any]]:
        """The findings that are not ok; the exit code says the same."""
        code, [account] = await self.check(channel)
        found = [one for one in account["findings"] if not one["ok"]]
        assert (code, account["ok"]) == ((1, False) if found else (0, True))
        return found

    async def set_broken(self, channel: str, state: str, *, broken: bool = True, **how: Any) -> None:
        await self.stage.marketplaces.ask(
            "POST", "/break", {"channel": channel, "state": state, "broken": broken, **how}
        )

    async def look_hourly(self, channel: str) -> None:
        """What the service does every hour by itself."""
        service = self.stage.service
        one = service.running[self.ids[channel]]
        await subscribing.look(
            one.tenant_id,
            one.account_id,
            one.channel,
            one.session,
            service.callback_url(one.channel.name),
            one.app,
            service.writer,
            service.clock,
        )

    async def connect_again(self, channel: str) -> None:
        """What the todo asks for: sign in again, and go live."""

        async def accept(_: Any) -> bool:
            return True

        marketplaces = self.stage.marketplaces
        credentials = (await marketplaces.ask("GET", "/credentials"))[channel]
        await bring_up(
            self.stage.service,
            entered(channel, credentials, marketplaces.urls[channel], self.stage.factor),
            build=build_channel,
            callback_url=self.stage.service.callback_url(self.stage.service.running[self.ids[channel]].channel.name),
            say=lambda line: None,
            accept=accept,
            look_every_s=0.3,
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def person(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Person]:
    folder = tmp_path_factory.mktemp("checking") / "data"
    stage = await set_stage(seed=11, products=6, folder=folder)
    try:
        await stage.connect(lambda line: None)
        stock = (await stage.marketplaces.ask("GET", "/state"))["marketplaces"]["etsy"]["stock"]
        sku = max(stock, key=lambda each: stock[each])
        await stage.marketplaces.ask("POST", "/buy", {"channel": "etsy", "lines": {sku: 1}})
        await asyncio.sleep(2)
        await _rest(stage)
        person = Person(stage, folder)
        for channel in person.ids:
            # The next one that the service makes by itself is an hour away: none comes between a state and what is told of it.
            await person.look_hourly(channel)
        yield person
    finally:
        await stage.strike()


async def test_all_is_well_and_the_exit_code_says_so(person: Person) -> None:
    code, accounts = await person.check()
    assert [account["channel"] for account in accounts] == list(CHANNELS)
    assert {one["what"]: one for account in accounts for one in account["findings"] if not one["ok"]} == {}
    assert code == 0
    codes = {account["channel"]: {one["code"] for one in account["findings"]} for account in accounts}
    assert all({"access", "scope", "subscription", "clock", "feed", "credentials"} <= each for each in codes.values())
    assert "queue" in codes["amazon"] and "location" in codes["shopify"]


#: channel, state, what it takes, code, which, words that tell the person what to do, how it is mended beside the emulator's end.
BY_ITSELF, HOURLY, PERSON = "", "the hourly look", "connecting again"
STATES: list[tuple[str, str, Mapping[str, Any], str, str, str, str]] = [
    ("shopify", "scope_taken", {}, "scope", "write_orders", "grant write_orders", BY_ITSELF),
    ("shopify", "subscription_deleted", {}, "subscription", "ORDERS_CREATE", "by itself", HOURLY),
    ("shopify", "callback_elsewhere", {}, "callback", "https://old.example/webhooks/shopify", "stop it", HOURLY),
    ("shopify", "location_deactivated", {}, "location", "", "fulfil online orders", BY_ITSELF),
    ("shopify", "shop_frozen", {}, "access", "closed", "Log in to Shopify", BY_ITSELF),
    ("shopify", "uninstalled", {}, "access", "", "oneshelf channels connect shopify", PERSON),
    ("shopify", "down", {}, "answer", "", "Nothing to do but wait", BY_ITSELF),
    ("shopify", "clock_off", {}, "clock", "", "5 min behind Shopify's: set it", BY_ITSELF),
    ("amazon", "role_taken", {}, "scope", "searchListingsItems", "the role 'Product Listing'", BY_ITSELF),
    ("amazon", "subscription_deleted", {}, "subscription", "ORDER_CHANGE", "by itself", HOURLY),
    ("amazon", "queue_missing", {}, "queue", "missing", "make it again", BY_ITSELF),
    ("amazon", "queue_not_allowed", {}, "queue", "policy", "allows account 437568002678", BY_ITSELF),
    ("amazon", "revoked", {}, "access", "", "oneshelf channels connect amazon", PERSON),
    ("amazon", "down", {}, "answer", "", "Nothing to do but wait", BY_ITSELF),
    ("amazon", "clock_off", {}, "clock", "", "5 min behind Amazon's: set it", BY_ITSELF),
    ("ebay", "scope_taken", {}, "scope", "sell.account.readonly", "agree to sell.account.readonly", BY_ITSELF),
    ("ebay", "subscription_deleted", {}, "subscription", "ORDER_CONFIRMATION", "by itself", HOURLY),
    ("ebay", "subscription_disabled", {}, "subscription", "ORDER_CONFIRMATION", "by itself", HOURLY),
    ("ebay", "callback_elsewhere", {}, "callback", "https://old.example/webhooks/ebay", "stop it", HOURLY),
    ("ebay", "marked_down", {}, "subscription", "destination", "can be reached from outside", HOURLY),
    ("ebay", "out_of_stock_control_off", {}, "feature", "out_of_stock_control", "Switch it on", BY_ITSELF),
    ("ebay", "quota_used_up", {}, "quota", "", "eBay lets us make no more calls", BY_ITSELF),
    ("ebay", "refresh_expired", {}, "access", "", "oneshelf channels connect ebay", PERSON),
    ("ebay", "revoked", {}, "access", "", "oneshelf channels connect ebay", PERSON),
    ("ebay", "down", {}, "answer", "", "Nothing to do but wait", BY_ITSELF),
    ("etsy", "scope_taken", {}, "scope", "transactions_w", "grant transactions_w", BY_ITSELF),
    ("etsy", "vacation", {}, "feature", "vacation", "End the vacation on etsy.com", BY_ITSELF),
    ("etsy", "no_shipping", {}, "feature", "shipping", "enter tracking numbers on etsy.com", BY_ITSELF),
    ("etsy", "quota_used_up", {"left": 900}, "quota", "", "Poll less often", BY_ITSELF),
    # Longer than a check has patience (15 s): a poll that is refused first makes the check wait for what is left of it.
    ("etsy", "quota_used_up", {"frees_in_s": 35}, "quota", "", "Etsy lets us make no more calls", BY_ITSELF),
    ("etsy", "refresh_expired", {}, "access", "", "oneshelf channels connect etsy", PERSON),
    ("etsy", "disconnected", {}, "access", "", "oneshelf channels connect etsy", PERSON),
    ("etsy", "down", {}, "answer", "", "Nothing to do but wait", BY_ITSELF),
    ("etsy", "clock_off", {}, "clock", "", "5 min behind Etsy's: set it", BY_ITSELF),
]


@pytest.mark.parametrize(
    ("channel", "state", "how", "code", "which", "words", "mended"),
    STATES,
    ids=[f"{each[0]}-{each[1]}{'-low' if 'left' in each[2] else ''}" for each in STATES],
)
async def test_a_broken_state_is_told_by_its_code_and_in_words_and_ends(
    person: Person, channel: str, state: str, how: Mapping[str, Any], code: str, which: str, words: str, mended: str
) -> None:
    async def well() -> bool:
        """A look costs calls, of which Amazon gives few: not at once again."""
        if await person.wrong(channel) == []:
            return True
        await asyncio.sleep(1.0)
        return False

    await until(well, f"{channel} well, after the state before", MENDED_WITHIN_S)
    await person.set_broken(channel, state, **how)
    found = await person.wrong(channel)
    assert [(one["code"], one.get("which", "")) for one in found] == [(code, which)], found
    assert words in found[0]["todo"], found[0]["todo"]

    await person.set_broken(channel, state, broken=False)
    if mended == HOURLY:
        assert await person.wrong(channel) != []
        await person.look_hourly(channel)
    elif mended == PERSON:
        await person.connect_again(channel)

    await until(well, f"{channel} {state} mended", MENDED_WITHIN_S)


async def test_a_feature_that_is_mended_is_told_broken_no_longer_than_it_is(person: Person) -> None:
    """It is asked for at every check, and kept by the hourly look: once is enough, and what is kept is old."""
    await person.set_broken("ebay", "out_of_stock_control_off")
    await person.look_hourly("ebay")
    assert [(one["code"], one.get("which")) for one in await person.wrong("ebay")] == [
        ("feature", "out_of_stock_control")
    ]
    await person.set_broken("ebay", "out_of_stock_control_off", broken=False)
    assert await person.wrong("ebay") == []


async def test_a_closed_location_that_stock_is_counted_at_is_told_by_name(person: Person) -> None:
    """Another one serves online orders, so the shop goes on selling; what we count at the closed one is not for sale."""
    console = {"channel": "shopify", "action": "add_location", "name": "Second", "online": True}
    await person.stage.marketplaces.ask("POST", "/console", console)
    await person.set_broken("shopify", "location_deactivated")
    [found] = await person.wrong("shopify")
    assert (found["code"], found["what"]) == ("location", f"Location {found['which']} is open")
    assert f"{found['which']} is deactivated in Shopify" in found["todo"]
    await person.set_broken("shopify", "location_deactivated", broken=False)
    assert await person.wrong("shopify") == []


async def test_every_state_that_the_emulator_knows_is_checked_here(person: Person) -> None:
    known = (await person.stage.marketplaces.ask("GET", "/break"))["known"]
    there = {(channel, state) for channel, states in known.items() for state in states}
    assert there - {(each[0], each[1]) for each in STATES} == {("ebay", "clock_off")}


async def test_what_is_repaired_stands_in_the_journal(person: Person) -> None:
    rows = await person.stage.service.writer.do(
        lambda tx: [tuple(row) for row in tx.all("SELECT what, detail FROM journal WHERE what LIKE '%made again%'")]
    )
    await person.set_broken("shopify", "subscription_deleted", topic="REFUNDS_CREATE")
    await person.look_hourly("shopify")
    await person.set_broken("shopify", "subscription_deleted", broken=False)
    after = await person.stage.service.writer.do(
        lambda tx: [tuple(row) for row in tx.all("SELECT what, detail FROM journal WHERE what LIKE '%made again%'")]
    )
    [(what, detail)] = [row for row in after if row not in rows]
    assert (what, json.loads(detail)) == ("Shopify: a dropped subscription was made again", {"which": "REFUNDS_CREATE"})
