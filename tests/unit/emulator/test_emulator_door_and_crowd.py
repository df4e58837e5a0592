"""The catalogue, the shoppers, the control door, and the process as a whole on real sockets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import aiohttp
import boto3
import pytest
from yarl import URL

from oneshelf_emulator.catalogue import BadCatalogue, demo_products, parse_products, read_products
from oneshelf_emulator.clock import Clock, VirtualClock
from oneshelf_emulator.control import control_app
from oneshelf_emulator.door import Answer, call
from oneshelf_emulator.emulation import Emulation
from oneshelf_emulator.server import Addresses, EmulatorServer
from oneshelf_emulator.shoppers import Plan, Shoppers
from oneshelf_emulator.world import Product, Sale, World


class Stall:
    """A marketplace reduced to its counter."""

    def __init__(self, world: World, channel: str, stock: dict[str, int]) -> None:
        self.world, self.channel, self.stock = world, channel, stock
        self.refused = 0

    def shown(self, sku: str) -> int:
        return self.stock.get(sku, 0)

    def buy(self, buyer, lines):
        if any(self.stock[sku] < pieces for sku, pieces in lines.items()):
            self.refused += 1
            return None
        for sku, pieces in lines.items():
            self.stock[sku] -= pieces
        number = len(self.world.sales)
        sale = Sale(self.channel, f"{self.channel}-{number}", self.world.clock.now(), dict(lines), buyer.key)
        sale.email = buyer.email  # type: ignore[attr-defined]
        self.world.sales.append(sale)
        return sale


def fair(stock: int = 10_000, count: int = 12) -> tuple[World, Shoppers, dict[str, Stall]]:
    world = World(seed=3, clock=VirtualClock())
    products = [Product(p.sku, p.title, p.price_minor, p.currency, stock, p.weight) for p in demo_products(count)]
    stalls = {name: Stall(world, name, {p.sku: stock for p in products}) for name in ("amazon", "etsy")}
    return world, Shoppers(world, stalls, products), stalls


def test_the_demo_catalogue_is_the_same_for_the_same_seed_and_valid_at_any_size():
    products = demo_products(500, seed=4)
    assert products == demo_products(500, seed=4)
    assert products != demo_products(500, seed=5)
    assert len({each.sku for each in products}) == 500
    assert all(1 <= each.stock <= 60 and each.price_minor > 0 and len(each.sku) <= 40 for each in products)
    assert products[0].weight == 1.0
    assert products[9].weight == pytest.approx(0.1)


@pytest.mark.parametrize(
    "entries",
    [
        [],
        {},
        [{"sku": "A"}],
        [{"sku": "A", "title": "a", "price_minor": 1, "currency": "USD", "stock": -1}],
        [{"sku": "A", "title": "a", "price_minor": 1, "currency": "USD", "stock": 1}] * 2,
    ],
)
def test_a_bad_catalogue_is_refused(entries):
    with pytest.raises(BadCatalogue):
        parse_products(entries)


def test_a_catalogue_is_read_from_a_file(tmp_path: Path):
    path = tmp_path / "goods.json"
    path.write_text(json.dumps([{"sku": "A/1", "title": "a", "price_minor": 150, "currency": "EUR", "stock": 2}]))
    assert read_products(path) == [Product("A/1", "a", 150, "EUR", 2)]
    with pytest.raises(BadCatalogue):
        read_products(tmp_path / "none.json")


def test_shoppers_come_at_the_rate_and_in_the_shares_asked_for():
    world, shoppers, _ = fair()
    shoppers.start(Plan(orders_per_s=5, seconds=400, shares={"amazon": 3, "etsy": 1}))
    world.clock.advance(500)
    placed = shoppers.placed
    assert 1_850 < sum(placed.values()) < 2_150
    assert 0.70 < placed["amazon"] / sum(placed.values()) < 0.80
    assert shoppers.report()["running"] is False
    lines = [len(sale.lines) for sale in world.sales]
    assert lines.count(1) / len(lines) > 0.9
    assert max(lines) <= 3


def test_the_same_person_buys_on_several_channels_with_the_same_mail():
    world, shoppers, _ = fair()
    shoppers.start(Plan(orders_per_s=5, seconds=200))
    world.clock.advance(200)
    seen: dict[str, set[tuple[str, str]]] = {}
    for sale in world.sales:
        seen.setdefault(sale.buyer_key, set()).add((sale.channel, sale.email))  # type: ignore[attr-defined]
    both = [each for each in seen.values() if {channel for channel, _ in each} == {"amazon", "etsy"}]
    assert len(both) > 20
    assert all(len({mail for _, mail in each}) == 1 for each in seen.values())
    assert len(seen) > len(world.sales) / 2


def test_the_same_seed_sells_the_same_and_another_does_not():
    def run(seed: int) -> list[tuple[str, dict[str, int]]]:
        world, shoppers, _ = fair(stock=20)
        shoppers.start(Plan(orders_per_s=5), seed=seed)
        world.clock.advance(60)
        return [(sale.channel, sale.lines) for sale in world.sales]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_a_flash_sale_multiplies_some_skus_for_its_time_only():
    world, shoppers, _ = fair()
    hot = shoppers.products[-1].sku  # the least wanted one
    shoppers.start(Plan(mode="flash", orders_per_s=2, flash_skus=[hot], flash_after_s=100, flash_s=100))
    pieces = []
    for _ in range(3):
        before = sum(sale.lines.get(hot, 0) for sale in world.sales)
        orders = len(world.sales)
        world.clock.advance(100)
        pieces.append((sum(sale.lines.get(hot, 0) for sale in world.sales) - before, len(world.sales) - orders))
    (calm, few), (wild, many), (after, again) = pieces
    assert calm < 20
    assert after < 20
    assert wild > 20 * max(calm, 1)
    assert many > 2.5 * few
    assert many > 2.5 * again


def test_nobody_buys_what_is_not_shown_and_they_are_counted():
    world, shoppers, stalls = fair(stock=2, count=2)
    shoppers.start(Plan(orders_per_s=5, seconds=60))
    world.clock.advance(60)
    assert all(stall.refused == 0 for stall in stalls.values())  # they looked before they asked
    assert sum(sum(sale.lines.values()) for sale in world.sales) == 8
    assert sum(shoppers.turned_away.values()) > 200


@pytest.mark.parametrize(
    "plan",
    [
        Plan(mode="mad"),
        Plan(orders_per_s=0),
        Plan(shares={"walmart": 1}),
        Plan(shares={"etsy": 0}),
        Plan(mode="flash", flash_skus=["NONE"]),
        Plan(flash_factor=0.5),
    ],
)
def test_a_senseless_plan_is_refused(plan: Plan):
    _, shoppers, _ = fair()
    with pytest.raises(ValueError):
        shoppers.start(plan)


# The control door


def small_emulation(**more) -> Emulation:
    clock = more.pop("clock", None) or VirtualClock()
    return Emulation(seed=2, clock=clock, products=demo_products(5), channels=("amazon",), **more)


async def ask(emulation: Emulation, method: str, path: str, body: object = None) -> tuple[int, dict]:
    raw = b"" if body is None else json.dumps(body).encode()
    answer: Answer = await call(control_app(emulation), method, f"/_emulator{path}", body=raw)
    return answer.status, json.loads(answer.body)


async def test_buy_state_sales_and_diary_tell_the_same_story():
    emulation = small_emulation()
    sku = emulation.products[0].sku
    stock = emulation.products[0].stock
    buyer = {"email": "jane@example.com", "name": "Jane", "address": {"city": "Salem"}}
    status, sale = await ask(emulation, "POST", "/buy", {"channel": "amazon", "buyer": buyer, "lines": {sku: 1}})
    assert (status, sale["channel"], sale["lines"]) == (200, "amazon", {sku: 1})
    _, state = await ask(emulation, "GET", "/state")
    assert state["marketplaces"]["amazon"]["stock"][sku] == stock - 1
    _, sales = await ask(emulation, "GET", "/sales")
    assert [each["order_id"] for each in sales["sales"]] == [sale["order_id"]]
    assert (await ask(emulation, "GET", f"/sales?since={sales['next']}"))[1]["sales"] == []
    _, diary = await ask(emulation, "GET", "/diary?since=0")
    assert diary["diary"][-1]["what"] == "order_placed"
    status, refusal = await ask(emulation, "POST", "/buy", {"channel": "amazon", "lines": {sku: 99}})
    assert (status, refusal["shown"]) == (409, {sku: stock - 1})


async def test_a_virtual_clock_can_be_moved_a_real_one_only_shortened():
    emulation = small_emulation()
    before = emulation.clock.now()
    assert (await ask(emulation, "POST", "/clock", {"advance_s": 90, "factor": 2}))[0] == 200
    assert (emulation.clock.now() - before).total_seconds() == 90
    assert emulation.clock.factor == 2
    assert (await ask(small_emulation(clock=Clock()), "POST", "/clock", {"advance_s": 1}))[0] == 400
    assert (await ask(emulation, "POST", "/clock", {"factor": 0}))[0] == 400


async def test_faults_are_set_armed_counted_and_cleared():
    emulation = small_emulation()
    await ask(emulation, "POST", "/faults", {"name": "throttle", "chance": 1, "channel": "amazon"})
    answer = await call(emulation.apps["amazon"], "GET", "/sellers/v1/marketplaceParticipations")
    assert answer.status == 429
    status, shown = await ask(emulation, "GET", "/faults")
    assert (status, shown["injected"]) == (200, {"throttle": 1})
    await ask(emulation, "DELETE", "/faults")
    await ask(emulation, "POST", "/arm", {"name": "error_500", "channel": "amazon", "operation": "getOrder"})
    assert (await call(emulation.apps["amazon"], "GET", "/orders/2026-01-01/orders")).status == 403
    assert (await call(emulation.apps["amazon"], "GET", "/orders/2026-01-01/orders/1")).status == 500
    assert (await call(emulation.apps["amazon"], "GET", "/orders/2026-01-01/orders/1")).status == 403


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/faults", {"name": "nope", "chance": 0.5}, 400),
        ("/faults", {"name": "throttle", "chance": 2}, 400),
        ("/faults", {"name": "throttle"}, 400),
        ("/arm", {"name": "throttle", "channel": "walmart"}, 400),
        ("/shoppers", {"order_per_s": 1}, 400),
        ("/buy", {"channel": "amazon", "lines": {"A": -1}}, 400),
        ("/buy", {"channel": "amazon", "lines": {}}, 400),
        ("/console", {"channel": "amazon", "action": "dance"}, 400),
        ("/console", {"channel": "amazon", "action": "pay"}, 400),
        ("/etsy/webhooks", {"url": "http://x.test/"}, 400),
        ("/clock", [1], 400),
        ("/reset", {"products": 0}, 400),
        ("/none", {}, 404),
    ],
)
async def test_errors_say_what_to_do(path: str, body: object, status: int):
    got, answer = await ask(small_emulation(), "POST", path, body)
    assert got == status
    assert answer["error"]
    assert answer["do"]


async def test_a_reset_begins_anew_behind_the_same_address():
    emulation = small_emulation()
    app, secret = emulation.apps["amazon"], emulation.credentials()["amazon"]["refresh_token"]
    await ask(emulation, "POST", "/buy", {"channel": "amazon", "lines": {emulation.products[0].sku: 1}})
    await ask(emulation, "POST", "/faults", {"name": "throttle", "chance": 1})
    status, answer = await ask(emulation, "POST", "/reset", {"seed": 7, "products": 3})
    assert status == 200
    assert answer["credentials"]["amazon"]["refresh_token"] != secret
    assert emulation.apps["amazon"] is app
    assert emulation.world.sales == []
    assert (await call(app, "GET", "/sellers/v1/marketplaceParticipations")).status == 403
    assert len((await ask(emulation, "GET", "/products"))[1]["products"]) == 3
    await ask(emulation, "POST", "/reset", {"seed": 2})
    assert emulation.credentials()["amazon"]["refresh_token"] == secret


# Real sockets


async def test_on_sockets_a_slash_stays_encoded_and_a_cut_answer_is_cut():
    server = EmulatorServer(small_emulation(clock=Clock()), Addresses(with_queue=False))
    await server.start()
    try:
        urls = server.welcome()
        async with aiohttp.ClientSession() as session:
            # An encoded slash belongs to the SKU: the route is found and the missing token refused.
            async with session.get(URL(urls["amazon"] + "/listings/2021-08-01/items/S/A%2F1", encoded=True)) as answer:
                details = (await answer.json())["errors"][0]["details"]
            assert details == "Access token is missing in the request header."
            server.emulation.world.faults.arm("cut_answer", "amazon")
            with pytest.raises(aiohttp.ClientPayloadError):
                async with session.get(urls["amazon"] + "/nowhere") as answer:
                    await answer.read()
            server.emulation.world.faults.arm("timeout_before", "amazon")
            with pytest.raises(TimeoutError):
                await session.get(urls["amazon"] + "/nowhere", timeout=aiohttp.ClientTimeout(total=0.3))
    finally:
        await server.stop()


async def test_a_taken_port_is_an_error_with_its_name():
    first = EmulatorServer(small_emulation(), Addresses(with_queue=False))
    await first.start()
    try:
        port = int(first.urls["amazon"].rsplit(":", 1)[1])
        second = EmulatorServer(small_emulation(), Addresses(ports={"amazon": port}, with_queue=False))
        with pytest.raises(OSError, match="amazon cannot listen"):
            await second.start()
        await second.stop()
    finally:
        await first.stop()


def test_the_whole_process_starts_sells_tells_the_queue_and_stops():
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    process = subprocess.Popen(
        [sys.executable, "-m", "oneshelf_emulator", "--json", "--products", "4", "--factor", "100"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    try:
        assert process.stdout
        welcome = json.loads(process.stdout.readline())
        assert {"amazon", "control", "sqs", "credentials"} <= welcome.keys()
        _talk_to(welcome)
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert errors == ""


def _talk_to(welcome: dict) -> None:
    keys = welcome["credentials"]["amazon"]

    def post(url: str, body: object, headers: dict[str, str] | None = None) -> dict:
        form = isinstance(body, list)
        data = urlencode(body).encode() if form else json.dumps(body).encode()
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        with urlopen(Request(url, data, {"content-type": kind, **(headers or {})}), timeout=10) as answer:
            return json.load(answer)

    def token(*pairs: tuple[str, str]) -> dict[str, str]:
        who = [("client_id", keys["client_id"]), ("client_secret", keys["client_secret"])]
        return {"x-amz-access-token": post(keys["token_url"], [*who, *pairs])["access_token"]}

    grantless = token(("grant_type", "client_credentials"), ("scope", "sellingpartnerapi::notifications"))
    seller = token(("grant_type", "refresh_token"), ("refresh_token", keys["refresh_token"]))
    base = keys["endpoint"] + "/notifications/v1"
    where = {"name": "q", "resourceSpecification": {"sqs": {"arn": keys["sqs"]["queue_arn"]}}}
    destination = post(base + "/destinations", where, grantless)["payload"]["destinationId"]
    wish = {"payloadVersion": "1.0", "destinationId": destination}
    post(base + "/subscriptions/ORDER_CHANGE", wish, seller)
    with urlopen(welcome["control"] + "/_emulator/products", timeout=10) as answer:
        sku = json.load(answer)["products"][0]["sku"]
    sale = post(welcome["control"] + "/_emulator/buy", {"channel": "amazon", "lines": {sku: 1}})
    queue = boto3.client(
        "sqs", endpoint_url=keys["sqs"]["endpoint_url"], region_name=keys["sqs"]["region"],
        aws_access_key_id=keys["sqs"]["access_key_id"], aws_secret_access_key=keys["sqs"]["secret_access_key"],
    )  # fmt: skip
    got = queue.receive_message(QueueUrl=keys["sqs"]["queue_url"], WaitTimeSeconds=10)["Messages"]
    content = json.loads(got[0]["Body"])["Payload"]["OrderChangeNotification"]
    assert content["AmazonOrderId"] == sale["order_id"]
    assert content["Summary"]["OrderStatus"] == "Pending"
