"""The whole way with four marketplaces beside the service: a sale here is a number there. The marketplaces' own word is what counts.

One emulator and one service for all stories; each has a product of its own. Durations at the marketplaces are sixty times shorter.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.scenario.service import EBAY, Shop, until

from oneshelf.channels.abilities import Ships
from oneshelf.core.errors import OneshelfError
from oneshelf.demo.emulator import Marketplaces, entered
from oneshelf.onboarding.bring_up import BroughtUp, bring_up
from oneshelf.onboarding.marketplace import Preview
from oneshelf.web.asking import ask
from oneshelf.web.commands import COMMANDS
from oneshelf.wiring import build_channel

#: On the path of the emulator, which is a process of its own.
SOURCE = str(Path(__file__).resolve().parents[2] / "src")

pytestmark = pytest.mark.asyncio(loop_scope="module")

FACTOR = 60.0
CHANNELS = ("shopify", "amazon", "ebay", "etsy")
ACCOUNT = {channel: number for number, channel in enumerate(CHANNELS, 1)}
STOCK = 20
PRODUCTS = (
    "KEEP",
    "REACH",
    "LOST",
    "TWICE",
    "STOP",
    "HTML-SHOPIFY",
    "HTML-AMAZON",
    "HTML-EBAY",
    "HTML-ETSY",
    "TOKEN",
    "LAST",
    "SHIP",
    "BOUGHT",
    "PINNED",
    "HERE",
    "THERE",
    "PROBE",
)


#: What tells each marketplace of a parcel, by its own name.
TELLS = {
    "amazon": "confirmShipment",
    "ebay": "createShippingFulfillment",
    "etsy": "createReceiptShipment",
}


class Street:
    """Four marketplaces and one shop."""

    def __init__(self, marketplaces: Marketplaces, shop: Shop, up: list[BroughtUp]) -> None:
        self.marketplaces = marketplaces
        self.shop = shop
        self.up = up

    async def buy(self, channel: str, sku: str, pieces: int = 1) -> str:
        sale = await self.marketplaces.ask("POST", "/buy", {"channel": channel, "lines": {sku: pieces}})
        return str(sale["order_id"]).rsplit("/", 1)[-1]

    async def shown(self, sku: str) -> dict[str, int]:
        """What buyers see of a SKU on each channel."""
        state = await self.marketplaces.ask("GET", "/state")
        return {channel: state["marketplaces"][channel]["stock"].get(sku) for channel in CHANNELS}

    async def shows(self, sku: str, pieces: int, channels: tuple[str, ...] = CHANNELS, within_s: float = 30.0) -> None:
        """Wait until these channels show this number."""

        async def there() -> bool:
            now = await self.shown(sku)
            return all(now[channel] == pieces for channel in channels)

        try:
            await until(there, "", within_s)
        except AssertionError:
            raise AssertionError(f"{sku} should be {pieces} on {channels}, is {await self.shown(sku)}") from None

    async def booked(self, channel: str, sku: str) -> list[str]:
        """The order ids of a channel's lines of a SKU; each order once. Hub copies are not orders of the hub's own."""
        rows = await self.shop.all(
            "SELECT o.order_id FROM order_line l JOIN orders o ON o.order_no = l.order_no "
            "WHERE l.account_id = :a AND l.sku = :s AND o.copy_key = '' ORDER BY o.order_id",
            a=ACCOUNT[channel],
            s=sku,
        )
        return [order_id for (order_id,) in rows]

    async def books(self, channel: str, sku: str, order_ids: list[str]) -> None:
        """Wait until exactly these are booked. A number may be right before: a lower read holds the pieces (S9.2)."""

        async def there() -> bool:
            return len(await self.booked(channel, sku)) >= len(order_ids)

        await until(there, f"{channel} booked")
        assert await self.booked(channel, sku) == sorted(order_ids)

    async def copies(self, channel: str, order_id: str) -> int:
        """How many orders of the shop say that they are this marketplace order."""
        orders = (await self.marketplaces.ask("GET", "/orders?channel=shopify"))["orders"]
        return [(one["source_name"], one["source_identifier"]) for one in orders].count((channel, order_id))

    async def copy_of(self, channel: str, order_id: str) -> tuple[str] | None:
        """The hub order of a marketplace order, once it is made."""
        return await self.shop.one(
            "SELECT hub_order_id FROM orders WHERE account_id = :a AND order_id = :o AND hub_order_id IS NOT NULL",
            a=ACCOUNT[channel],
            o=order_id,
        )

    async def fault(self, name: str, chance: float, channel: str = "*") -> None:
        await self.marketplaces.ask("POST", "/faults", {"name": name, "chance": chance, "channel": channel})

    async def injected(self, name: str) -> int:
        faults = await self.marketplaces.ask("GET", "/faults")
        return int(faults["injected"].get(name, 0))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def street(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Street]:
    """All four channels connected by the merchant's own way, and live."""
    folder = tmp_path_factory.mktemp("street")
    goods = [
        {"sku": sku, "title": sku.title(), "price_minor": 1200, "currency": "USD", "stock": STOCK} for sku in PRODUCTS
    ]
    (folder / "products.json").write_text(json.dumps(goods))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", SOURCE, prepend=os.pathsep)
        marketplaces = await Marketplaces.start(seed=11, factor=FACTOR, products_file=str(folder / "products.json"))
    shop = await Shop.open(
        folder / "data", poll_shopify_s=3, poll_amazon_s=3, poll_ebay_s=3, poll_etsy_s=3, not_found_after_s=2
    )

    async def accept(_: Preview) -> bool:
        return True

    up = []
    try:
        for channel in CHANNELS:
            if channel == "etsy":
                await marketplaces.ask("POST", "/etsy/webhooks", {"url": f"{shop.url}/webhooks/etsy"})
            typed = entered(channel, marketplaces.credentials[channel], marketplaces.urls[channel], FACTOR)
            callback = None if channel == "amazon" else f"{shop.url}/webhooks/{channel}"
            up.append(
                await bring_up(
                    shop.service,
                    typed,
                    build=build_channel,
                    callback_url=callback,
                    say=lambda _: None,
                    accept=accept,
                    look_every_s=0.2,
                )
            )
        # These stories follow one number: sales within seconds of each other would leave a reserve otherwise (S2.2).
        await COMMANDS["rule"](shop.service, {"adaptive": False})
        yield Street(marketplaces, shop, up)
    finally:
        await shop.close()
        await marketplaces.stop()


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def no_faults_after(street: Street) -> AsyncIterator[None]:
    yield
    await street.marketplaces.ask("DELETE", "/faults")


async def test_every_channel_is_connected_with_its_notifications(street: Street) -> None:
    assert [(one.channel, one.live) for one in street.up] == [(channel, True) for channel in CHANNELS]
    missing = [(finding.what, finding.todo) for one in street.up for finding in one.findings if not finding.ok]
    assert [what for what, _ in missing if not what.startswith("Etsy")] == []  # Etsy's are entered by a person
    state = (await street.marketplaces.ask("GET", "/state"))["marketplaces"]
    assert [one["status"] if isinstance(one, dict) else one for one in state["ebay"]["destinations"].values()] == [
        "ENABLED"
    ]


async def test_a_listing_made_in_seller_hub_is_told_and_brought_over(street: Street) -> None:
    """By the running service's own commands, and by the command line's words."""
    made = {"sku": "HUB-TEE", "sizes": ["S", "M"], "quantity": 3}
    bare = {"sku": "HUB-BARE", "named": False}
    ids = []
    for args in (made, bare):
        action = {"channel": "ebay", "action": "list_in_seller_hub", **args}
        ids.append((await street.marketplaces.ask("POST", "/console", action))["listing_id"])
    shop, account = street.shop, {"account_id": ACCOUNT["ebay"]}

    async def known(total: int) -> Any:
        await ask(shop.settings, "reread", account)

        async def read() -> bool:
            return not (await ask(shop.settings, "reread_state", account))["busy"]

        await until(read, "the catalogue read")
        preview = await ask(shop.settings, "migrate", account)
        assert preview["total"] == total, preview
        return preview

    preview = await known(2)
    assert preview["wanted"] == ids[:1] and preview["outcomes"] == []
    assert [task for task in await shop.tasks() if task[0] == "unmanaged_listings"]
    with pytest.raises(OneshelfError, match="999: not among"):
        await ask(shop.settings, "migrate", {**account, "listings": ["999"], "yes": True})
    with pytest.raises(OneshelfError, match="nothing has to be brought over"):
        await ask(shop.settings, "migrate", {"account_id": ACCOUNT["etsy"]})
    done = await ask(shop.settings, "migrate", {**account, "listings": ids, "yes": True})
    assert [(one["listing_id"], one["outcome"]) for one in done["outcomes"]] == [
        (ids[0], "accepted"),
        (ids[1], "rejected"),
    ]
    assert "has no SKU" in done["outcomes"][1]["reason"]
    await known(1)
    found = await shop.all("SELECT external_id, ration_unit FROM outlet WHERE external_id LIKE 'HUB-%' ORDER BY 1")
    assert found == [("HUB-TEE-M", ids[0]), ("HUB-TEE-S", ids[0])]
    command = [sys.executable, "-m", "oneshelf.cli", "listings", "migrate", str(ACCOUNT["ebay"])]
    there = {**os.environ, "PYTHONPATH": SOURCE, "ONESHELF_DATA_DIR": str(shop.settings.data_dir), "COLUMNS": "200"}

    async def said(*more: str) -> tuple[str, int | None]:
        cli = await asyncio.create_subprocess_exec(*command, *more, env=there, stdout=asyncio.subprocess.PIPE)
        return (await cli.communicate())[0].decode(), cli.returncode

    words, code = await said()
    assert code == 0 and ids[1] in words and "1 listings are out of reach" in words and "for good" in words, words
    words, code = await said(ids[1], "--yes")
    assert code == 1 and f"{ids[1]}: rejected" in words and "0 of 1 brought over" in words, words
    words, code = await said("--json")
    assert code == 0 and json.loads(words)["listings"][0]["listing_id"] == ids[1]


async def test_S8_16_an_offer_that_pins_its_number_is_a_task_until_it_is_cleared(street: Street) -> None:
    shop, account = street.shop, {"account_id": ACCOUNT["ebay"]}

    async def pinned() -> list[str]:
        await ask(shop.settings, "reread", account)

        async def read() -> bool:
            return not (await ask(shop.settings, "reread_state", account))["busy"]

        await until(read, "the catalogue read")
        return [why for kind, _, why in await shop.tasks() if kind == "pinned_listings"]

    pin = {"channel": "ebay", "action": "set_offer_quantity", "sku": "PINNED"}
    await street.marketplaces.ask("POST", "/console", {**pin, "quantity": 3})
    [why] = await pinned()
    assert "(PINNED)" in why and "Clear the offer's own quantity" in why
    assert (await street.shown("PINNED"))["ebay"] == 3, (
        "what is written is the item's number: the offer's holds it down"
    )
    await street.marketplaces.ask("POST", "/console", {**pin, "quantity": None})
    assert await pinned() == []
    await street.shows("PINNED", STOCK)


async def test_S8_16_without_out_of_stock_control_ebay_does_not_go_live(street: Street) -> None:
    control = {"channel": "ebay", "action": "set_out_of_stock_control"}
    live = {"account_id": ACCOUNT["ebay"], "yes": True}
    await street.marketplaces.ask("POST", "/console", {**control, "on": False})
    try:
        with pytest.raises(OneshelfError, match="can't go live yet.*without it a listing ends at 0"):
            await ask(street.shop.settings, "live", live)
        assert (await ask(street.shop.settings, "live", {**live, "yes": False}))["live"] is False
    finally:
        await street.marketplaces.ask("POST", "/console", {**control, "on": True})
    assert (await ask(street.shop.settings, "live", live))["live"] is True


async def test_a_sale_on_each_channel_reaches_all_the_others(street: Street) -> None:
    left = STOCK
    for channel in CHANNELS:
        order_id = await street.buy(channel, "REACH", 2)
        left -= 2
        await street.shows("REACH", left)
        await street.books(channel, "REACH", [order_id])
        if channel in ("ebay", "etsy"):  # Amazon's is unpaid for half a minute here, and not written before
            await until(lambda c=channel, o=order_id: street.copies(c, o), "the order stands in the shop")
            assert await street.copies(channel, order_id) == 1
    taken = street.shop.service.counts.taken
    assert all(taken.get(channel, 0) > 0 for channel in ("shopify", "ebay", "etsy")), taken
    assert street.shop.service.counts.forged == {}
    queued = await street.shop.one("SELECT COUNT(*) FROM inbox WHERE source = 'queue'")
    assert queued is not None and queued[0] > 0


async def test_polls_bring_what_every_lost_notification_was_about(street: Street) -> None:
    await street.fault("webhook_drop", 1.0)
    heard = "SELECT COUNT(*) FROM inbox WHERE source IN ('webhook', 'queue')"
    await asyncio.sleep(0.5)  # what was on its way has come
    before = await street.shop.one(heard)
    orders = {channel: await street.buy(channel, "LOST") for channel in CHANNELS}
    await street.shows("LOST", STOCK - 4)
    for channel, order_id in orders.items():
        await street.books(channel, "LOST", [order_id])
    assert await street.injected("webhook_drop") >= 4
    assert await street.shop.one(heard) == before


async def test_doubled_and_overtaken_notifications_count_once(street: Street) -> None:
    await street.fault("webhook_double", 1.0)
    await street.fault("webhook_reorder", 0.5)
    orders = {channel: [await street.buy(channel, "TWICE") for _ in range(2)] for channel in CHANNELS}
    await street.shows("TWICE", STOCK - 8)
    for channel, order_ids in orders.items():
        await street.books(channel, "TWICE", order_ids)
    assert await street.injected("webhook_double") >= 8
    for channel in ("ebay", "etsy"):
        for order_id in orders[channel]:
            await until(lambda c=channel, o=order_id: street.copies(c, o), "the order stands in the shop")
            assert await street.copies(channel, order_id) == 1


async def test_a_service_that_was_down_catches_up(street: Street) -> None:
    await street.shop.close()
    orders = {channel: [await street.buy(channel, "STOP") for _ in range(2)] for channel in CHANNELS}
    assert await street.shown("STOP") == dict.fromkeys(CHANNELS, STOCK - 2)
    await street.shop.open_again()
    await street.shows("STOP", STOCK - 8)
    for channel, order_ids in orders.items():
        await street.books(channel, "STOP", order_ids)
    # And it is heard again at the same door, without another sign-in or subscription.
    orders["ebay"].append(await street.buy("ebay", "STOP"))
    await street.shows("STOP", STOCK - 9)
    await street.books("ebay", "STOP", orders["ebay"])


@pytest.mark.parametrize("down", CHANNELS)
async def test_a_channel_that_answers_with_a_page_stops_no_other(street: Street, down: str) -> None:
    """F30: reads, polls and writes are answered 503 with HTML. Nothing of it is lost, nobody else waits."""
    sku = f"HTML-{down.upper()}"
    others = tuple(channel for channel in CHANNELS if channel != down)
    await street.fault("error_503_html", 1.0, down)
    first = await street.buy(others[0], sku)
    there = await street.buy(down, sku)
    # What the channel that is down sold may come by its own notification; the numbers of the others go on either way.
    told = tuple(channel for channel in others if channel != "shopify")

    async def lower() -> bool:
        now = await street.shown(sku)
        return all(now[channel] < STOCK for channel in told)

    await until(lower, f"{told} hear of the sale while {down} is down")

    async def failing() -> Any:
        return await street.shop.one(
            "SELECT problem FROM feed WHERE account_id = :a AND failing_since IS NOT NULL AND problem <> ''",
            a=ACCOUNT[down],
        )

    assert await until(failing, f"that {down}'s feed fails is in sight")
    assert await street.injected("error_503_html") > 0
    await street.marketplaces.ask("DELETE", "/faults")
    await street.shows(sku, STOCK - 2)
    for channel, order_id in ((others[0], first), (down, there)):
        await street.books(channel, sku, [order_id])
    assert street.shop.service.health() is None and not street.shop.service.stopping.is_set()


async def test_a_token_call_that_is_answered_with_a_page_is_tried_again(street: Street) -> None:
    """F42: a page is not a refusal of the seller's consent, so nobody is asked to connect again."""
    before = await street.injected("error_503_html")
    page = {"name": "error_503_html", "channel": "ebay", "operation": "createToken", "times": 3}
    await street.marketplaces.ask("POST", "/arm", page)
    await street.marketplaces.ask("POST", "/console", {"channel": "ebay", "action": "expire_tokens"})
    await street.buy("etsy", "TOKEN")
    await street.shows("TOKEN", STOCK - 1, ("shopify", "amazon", "etsy"))
    await street.shows("TOKEN", STOCK - 1)
    assert await street.injected("error_503_html") == before + 3
    assert await street.shop.all("SELECT kind FROM task WHERE kind = 'connect_again'") == []  # not even for a moment


async def test_what_is_shipped_in_the_shop_is_told_to_each_marketplace_once(street: Street) -> None:
    """The first answer of each is cut off: it is read then, and the marketplace knows one parcel."""
    orders = {channel: await street.buy(channel, "SHIP") for channel in CHANNELS if channel != "shopify"}
    hub_orders: dict[str, str] = {}
    for channel, order_id in orders.items():
        row = await until(lambda c=channel, o=order_id: street.copy_of(c, o), f"{channel} imported", 90)
        hub_orders[channel] = row[0]
    before = await street.injected("cut_answer")
    for channel, operation in TELLS.items():
        cut = {"name": "cut_answer", "channel": channel, "operation": operation, "times": 1}
        await street.marketplaces.ask("POST", "/arm", cut)
    for channel, hub_order in hub_orders.items():
        parcel = {"company": "UPS", "number": f"1Z{channel.upper()}", "url": ""}
        action = {"channel": "shopify", "action": "fulfil", "order": hub_order, "tracking": parcel}
        await street.marketplaces.ask("POST", "/console", action)

    async def confirmed() -> bool:
        rows = await street.shop.all("SELECT state FROM shipment")
        return len(rows) == 3 and {state for (state,) in rows} == {"CONFIRMED"}

    try:
        await until(confirmed, "", 90)
    except AssertionError:
        raise AssertionError(str(await street.shop.all("SELECT account_id, state, reason FROM shipment"))) from None
    for channel, order_id in orders.items():
        there = (await street.marketplaces.ask("GET", f"/orders?channel={channel}"))["orders"]
        assert next(one for one in there if one["id"] == order_id)["shipped"], channel
        one = street.shop.service.running[ACCOUNT[channel]]
        assert isinstance(one.channel, Ships)
        told = await one.channel.shipments(one.session, order_id)
        assert [parcel.tracking_number for parcel in told] == [f"1Z{channel.upper()}"], channel
    assert await street.injected("cut_answer") == before + 3
    shelf = await street.shop.one("SELECT on_hand, committed FROM stock_level WHERE sku = 'SHIP'")
    assert shelf == (STOCK - 3, 0)


async def test_S10_6_what_a_marketplace_shipped_first_is_fulfilled_in_the_shop_once(street: Street) -> None:
    """A label bought on eBay and on Etsy: the copy leaves too, with the same number, and the marketplace keeps one parcel."""
    orders = {channel: await street.buy(channel, "BOUGHT") for channel in ("ebay", "etsy")}
    for channel, order_id in orders.items():
        await until(lambda c=channel, o=order_id: street.copy_of(c, o), f"{channel} imported", 90)
        action = {
            "channel": channel,
            "action": "ship",
            "order_id": order_id,
            "tracking": f"94{channel.upper()}",
            "carrier": "usps",
        }
        await street.marketplaces.ask("POST", "/console", action)

    async def waited_for() -> bool:
        rows = await street.shop.all("SELECT entity FROM intent WHERE kind = 'fulfil_copy'")
        return len(rows) == 2

    await until(waited_for, "both wait for a fulfilment of the shop's own", 60)
    await street.shop.run("UPDATE intent SET due_at = 0 WHERE kind = 'fulfil_copy'")  # two minutes later

    async def gone() -> bool:
        return await street.shop.one("SELECT on_hand, committed FROM stock_level WHERE sku = 'BOUGHT'") == (
            STOCK - 2,
            0,
        )

    try:
        await until(gone, "", 90)
    except AssertionError:
        intents = await street.shop.all("SELECT kind, state, reason, entity FROM intent WHERE kind = 'fulfil_copy'")
        raise AssertionError(str((intents, await street.shop.tasks()))) from None
    shop_orders = {
        one["id"]: one for one in (await street.marketplaces.ask("GET", "/orders?channel=shopify"))["orders"]
    }
    for channel, order_id in orders.items():
        (copy,) = await street.copy_of(channel, order_id) or ("",)
        assert shop_orders[str(copy)]["fulfilled"] == {"BOUGHT": 1}
    for channel, order_id in orders.items():
        one = street.shop.service.running[ACCOUNT[channel]]
        assert isinstance(one.channel, Ships)
        told = await one.channel.shipments(one.session, order_id)
        assert [parcel.tracking_number for parcel in told] == [f"94{channel.upper()}"], channel


async def test_a_deleted_ebay_account_is_heard_of(street: Street) -> None:
    action = {"channel": "ebay", "action": "account_deletion", "username": "gone_buyer", "user_id": "u-gone"}
    await street.marketplaces.ask("POST", "/console", action)

    async def asked() -> list[tuple[int, int]]:
        return await street.shop.all("SELECT account_id, inbox_seq FROM privacy_request WHERE kind = 'erase'")

    (account_id, seq), *_ = await until(asked, "a request to erase")
    assert account_id == EBAY
    row = await street.shop.one("SELECT topic, state, source FROM inbox WHERE seq = :s", s=seq)
    assert row == ("MARKETPLACE_ACCOUNT_DELETION", "DONE", "webhook")


async def test_R2_an_order_of_two_lines_leaves_from_two_locations_and_amazon_hears_of_each_once(street: Street) -> None:
    """THERE lies in the north only, HERE at both; the shop lets all of it leave from the north. Ours: the most important location first,
    so HERE leaves from the main one. Its fulfilment order is moved; both parcels are told, each once."""

    async def console(action: str, **more: Any) -> None:
        await street.marketplaces.ask("POST", "/console", {"channel": "shopify", "action": action, **more})

    await console("add_location", name="North")
    main = str((await street.shop.one("SELECT location_id FROM location") or ("",))[0])

    async def known() -> bool:
        return len(await street.shop.all("SELECT 1 FROM location WHERE active = 1")) == 2

    await until(known, "the second location is known", 60)
    await console("transfer", sku="HERE", quantity=5, origin="Main warehouse", goal="North")
    await console("transfer", sku="THERE", quantity=STOCK, origin="Main warehouse", goal="North")
    north = next(one for (one,) in await street.shop.all("SELECT location_id FROM location") if one != main)

    async def counted() -> bool:
        rows = await street.shop.all(
            "SELECT sku, on_hand FROM stock_level WHERE location_id = :l AND sku IN ('HERE', 'THERE') ORDER BY sku",
            l=north,
        )
        return rows == [("HERE", 5), ("THERE", STOCK)]

    await until(counted, "the transfer is in the ledger", 60)
    service = street.shop.service
    await COMMANDS["location"](service, {"location": "North", "priority": 5})
    await COMMANDS["routing"](service, {"router": "oneshelf", "criteria": ["stock", "priority"]})
    try:
        sale = await street.marketplaces.ask("POST", "/buy", {"channel": "amazon", "lines": {"HERE": 1, "THERE": 1}})
        order_id = str(sale["order_id"])
        (hub_order,) = await until(lambda: street.copy_of("amazon", order_id), "imported", 90)

        async def moved() -> bool:
            rows = await street.shop.all(
                "SELECT l.sku, l.location_id, r.state FROM order_line l JOIN route r ON r.order_no = l.order_no "
                "WHERE l.order_id = :o ORDER BY l.sku",
                o=order_id,
            )
            return rows == [("HERE", main, "DONE"), ("THERE", north, "DONE")]

        try:
            await until(moved, "", 60)
        except AssertionError:
            asked = await street.shop.all("SELECT state, reason, payload FROM intent WHERE kind = 'move_copy'")
            raise AssertionError(str((asked, await street.shop.all("SELECT * FROM route")))) from None
        for number, sku in enumerate(("HERE", "THERE"), 1):
            parcel = {"company": "UPS", "number": f"1ZTWO{number}", "url": ""}
            await console("fulfil", order=hub_order, lines={sku: 1}, tracking=parcel)

        async def told() -> bool:
            rows = await street.shop.all(
                "SELECT s.state FROM shipment s JOIN orders o ON o.order_no = s.order_no WHERE o.order_id = :o",
                o=order_id,
            )
            return [state for (state,) in rows] == ["CONFIRMED", "CONFIRMED"]

        await until(told, "both parcels are told", 90)
        one = service.running[ACCOUNT["amazon"]]
        assert isinstance(one.channel, Ships)
        parcels = await one.channel.shipments(one.session, order_id)
        assert sorted(str(parcel.tracking_number) for parcel in parcels) == ["1ZTWO1", "1ZTWO2"]
        levels = await street.shop.all(
            "SELECT sku, location_id, on_hand, committed FROM stock_level WHERE sku IN ('HERE', 'THERE') AND on_hand > 0 ORDER BY sku, on_hand"
        )
        assert levels == [("HERE", north, 5, 0), ("HERE", main, STOCK - 6, 0), ("THERE", north, STOCK - 1, 0)]
        assert (
            await street.shop.all(
                "SELECT 1 FROM ledger_entry WHERE sku IN ('HERE', 'THERE') AND entry_key LIKE 'edit:%' AND posted_at > (SELECT MIN(received_at) FROM orders WHERE order_id = :o)",
                o=order_id,
            )
            == []
        )
    finally:
        await COMMANDS["routing"](service, {"router": "shopify"})


async def test_in_the_end_nothing_was_lost_and_nothing_counted_twice(street: Street) -> None:
    """Every sale that a marketplace accepted is stored once, and the ledger's sums are its levels."""
    sales = await street.marketplaces.sales()
    placed = sorted((sale["channel"], str(sale["order_id"]).rsplit("/", 1)[-1]) for sale in sales)
    rows = await street.shop.all(
        "SELECT a.channel, o.order_id FROM orders o JOIN account a ON a.account_id = o.account_id WHERE o.copy_key = ''"
    )
    assert sorted(rows) == placed and len(set(placed)) == len(placed)
    parked = await street.shop.all("SELECT topic, note FROM inbox WHERE state = 'PARKED'")
    assert parked == []
    for sku in PRODUCTS:
        sold = sum(line for sale in sales for name, line in sale["lines"].items() if name == sku)
        await street.shows(sku, STOCK - sold)


async def test_S12_2_a_probe_measures_every_channel_and_gives_its_piece_back(street: Street) -> None:
    shop = street.shop
    begun = await ask(shop.settings, "probe", {"sku": "PROBE"})
    with pytest.raises(OneshelfError, match="A probe is running"):
        await ask(shop.settings, "probe", {"sku": "PROBE"})
    state: dict[str, Any] = {}

    async def over() -> bool:
        state.update(await ask(shop.settings, "probe_state", {"probe_no": begun["probe_no"]}))
        return state["state"] != "RUNNING"

    await until(over, "the probe ended", 60.0)
    seen = {one["channel"]: one for one in state["seen"]}
    assert (state["state"], state["problem"], {channel: one["verdict"] for channel, one in seen.items()}) == (
        "DONE",
        "",
        dict.fromkeys(CHANNELS, "shown"),
    )
    for one in seen.values():
        assert one["listings"] == 1 and one["looks"] >= 1 and 0 <= one["told_s"] <= one["shown_s"], one
    # Everything is as before: the shop's row too.
    await street.shows("PROBE", STOCK)
    assert await shop.all("SELECT state FROM manual_hold") == [("RELEASED",)]
    with pytest.raises(OneshelfError, match="not a tracked SKU"):
        await ask(shop.settings, "probe", {"sku": "NOTHING"})


async def test_I4_no_order_is_lost_by_each_channels_own_list(street: Street) -> None:
    proof: dict[str, Any] = {}

    async def proved() -> bool:
        proof.update(await ask(street.shop.settings, "proof", {"days": 2}))
        return bool(proof["proved"]) and not any(row["too_young"] for row in proof["days"])

    await until(proved, "the proof", 60.0)
    by_channel = {channel: [row for row in proof["days"] if row["channel"] == channel] for channel in CHANNELS}
    for channel, rows in by_channel.items():
        ended = sum(row["imported"] + sum(row["waiting"].values()) + sum(row["ignored"].values()) for row in rows)
        assert ended == sum(row["stored"] for row in rows) == sum(row["there"] for row in rows) > 0, (channel, rows)


async def test_S2_12_a_buffer_keeps_the_last_pieces_for_the_shop(street: Street) -> None:
    """Scenario C: five kept off Amazon and Etsy. Shopify 8 → 3 there; Shopify 5 → 0."""
    two = ("amazon", "etsy")
    for channel in two:
        wanted = {"channel": channel, "goods": "sku", "value": "KEEP", "safety_stock": 5}
        preview = await ask(street.shop.settings, "rule", {**wanted, "preview": True})
        assert [(one["was"], one["would"]) for one in preview["listings"]] == [(STOCK, STOCK - 5)]
        assert (await ask(street.shop.settings, "rule", wanted))["made"] is True
    await street.shows("KEEP", STOCK - 5, two)
    for pieces, left in ((8, 3), (5, 0)):
        shown = (await street.shown("KEEP"))["shopify"]
        await street.marketplaces.ask(
            "POST", "/console", {"channel": "shopify", "action": "adjust", "sku": "KEEP", "delta": pieces - shown}
        )
        await street.shows("KEEP", left, two)
        await street.shows("KEEP", pieces, ("shopify", "ebay"))
