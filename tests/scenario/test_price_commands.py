"""The commands about prices: what the command line tells, what a switch and a link set going, what can't be done and why."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.scenario.price_bench import PriceBench
from tests.scenario.publish_bench import SHOP, T
from tests.scenario.service import EBAY, Elsewhere, connected, on_sale, until
from tests.scenario.service import Shop as Service
from typer.testing import CliRunner

from oneshelf.cli import app
from oneshelf.core.errors import Park
from oneshelf.core.instants import SECOND
from oneshelf.core.outcome import Rejected
from oneshelf.db.sqlite import SqliteStore
from oneshelf.db.store import Store
from oneshelf.reconcile.price_sweep import sweep_prices
from oneshelf.web.commands import COMMANDS


def cli(*args: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["prices", *args], env={"COLUMNS": "200"})
    return done.exit_code, done.stdout


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shelf in a file: one price is right, one is refused."""
    store = SqliteStore(str(tmp_path / "oneshelf.db"))
    store.open()
    bench = PriceBench(store)
    for name in ("MUG", "POT"):
        bench.listing(name, {name: 1}, 1000)
        bench.stock(name, 5)
    bench.hub(MUG=1250, POT=30)
    bench.prices.answers = lambda offer: Rejected("too low") if offer.price.minor < 100 else None
    bench.mark_prices()
    bench.run(60)
    store.close()
    monkeypatch.setenv("ONESHELF_DATA_DIR", str(tmp_path))
    return tmp_path


def test_show_tells_the_terms_what_is_asked_and_every_try(file: Path) -> None:
    code, told = cli("show", "MUG", "--json")
    [one] = json.loads(told)["listings"]
    assert code == 0 and json.loads(told)["hub_price"] == 1250
    assert (one["should"], one["asks"], one["currency"], one["state"], one["follows"]) == (
        1250,
        1250,
        "EUR",
        "true",
        True,
    )
    assert one["why"]["parts"] == [{"sku": "MUG", "units": 1, "hub_price": 1250}]
    assert [(a["price"], a["was"], a["outcome"]) for a in one["attempts"]] == [(1250, 1000, "SEEN")]
    code, told = cli("show", "POT")
    assert code == 0 and "should ask 0.30 EUR, asks 10.00 EUR; parked: refused 0.30 EUR: too low" in told
    assert cli("show", "NOPE")[0] == 2


def test_rules_are_looked_at_set_told_and_dropped_by_command(file: Path) -> None:
    key = CliRunner().invoke(app, ["key", "new"])
    assert key.exit_code == 0
    with sqlite3.connect(file / "oneshelf.db") as db:
        db.execute(
            "UPDATE account SET currency = 'EUR', settings = :s WHERE channel = 'shopify'",
            {"s": '{"shop":"x.myshopify.com"}'},
        )
        db.execute("UPDATE account SET settings = :s WHERE channel = 'ebay'", {"s": '{"marketplace_id":"EBAY_DE"}'})
    code, told = cli("set", "--sku", "MUG", "--price", "shop+10%", "--round", "ending .99")
    assert code == 0 and "13.99 EUR" in told and "Nothing was changed" in told and "no price rules" in cli("rules")[1]
    code, told = cli("set", "--sku", "MUG", "--price", "shop+10%", "--round", "ending .99", "--yes", "--json")
    assert code == 0 and (json.loads(told)["rule"], json.loads(told)["rise"], json.loads(told)["done"]) == (1, 1, True)
    assert cli("rules")[1] == "1  all accounts, sku MUG: price shop + 10%, rounded to ending .99\n"
    code, told = cli("show", "MUG")
    assert (
        "should ask 13.99 EUR, asks 12.50 EUR; on its way" in told
        and "rounded: ending .99 → 13.99 EUR (rule 1)" in told
    )
    out = str(file / "rules.csv")
    assert cli("export", out)[0] == 0 and "there already" in cli("import", out, "--yes")[1]
    (file / "rules.csv").write_text("kind,goods,value,price\nrule,sku,NOPE,shop\n")
    code, told = cli("import", out)
    assert code == 1 and "row 2: the shop has no SKU NOPE" in told and "mend the rows first" in told
    assert cli("drop", "1", "--yes")[0] == 0 and cli("undo", "--yes")[0] == 0
    assert "sku MUG" in cli("rules")[1], "as before the import"
    assert cli("sale", "--price", "price - 10%", "--start", "soon", "--end", "later")[0] == 2
    assert cli("set", "--sku", "MUG", "--tag", "gift", "--price", "shop")[0] == 2
    assert cli("waiting")[1] == "No price waits for your word.\n" and cli("approve")[0] == 2


def test_list_tells_each_account_s_switch_and_why_prices_are_parked(file: Path) -> None:
    [one] = json.loads(cli("list", "--json")[1])
    assert (one["follows"], one["right"], one["on_the_way"], one["parked"]) == (True, 1, 0, 1)
    assert one["reasons"] == {"refused 0.30 EUR: too low": 1}
    assert "follows the shop; 1 right, 0 on their way, 1 parked" in cli("list")[1]


def test_P10_the_sweep_finds_new_listings_at_once_and_reads_the_others_once_a_day(store: Store) -> None:
    bench = PriceBench(store)
    bench.listing("MUG", {"MUG": 1}, 1000)
    bench.hub(MUG=1000)
    bench.stock("MUG", 5)

    def sweep() -> Any:
        return bench.tx(lambda tx: sweep_prices(tx, T, SHOP, bench.now))

    assert sweep() == 1, "it has no price slot yet"
    assert sweep() == 0, "it is marked"
    bench.run(60)
    assert bench.price_slot("MUG").believed == 1000 and sweep() == 0
    bench.now += 23 * 3_600 * SECOND
    assert sweep() == 0
    bench.now += 2 * 3_600 * SECOND
    assert sweep() == 1
    bench.switch(follow=False)
    assert sweep() == 0


def test_P10_a_price_that_is_fought_over_keeps_no_other_from_being_swept(store: Store) -> None:
    bench = PriceBench(store)
    for name in ("BOWL", "MUG"):
        bench.listing(name, {name: 1}, 1000)
        bench.stock(name, 5)
    bench.hub(BOWL=1000, MUG=1000)

    def sweep() -> Any:
        return bench.tx(lambda tx: sweep_prices(tx, T, SHOP, bench.now))

    assert sweep() == 2
    bench.run(60)
    fought = bench.price_slot("BOWL").outlet_id
    bench.tx(
        lambda tx: tx.run("UPDATE price_slot SET state = 'PARKED', parked = 'fought' WHERE outlet_id = :o", o=fought)
    )
    bench.now += 25 * 3_600 * SECOND
    for _ in range(3):
        sweep()
        bench.run(60)
    read_at = bench.price_slot("MUG").believed_at
    assert read_at is not None and read_at > bench.now - 3_600 * SECOND


@pytest_asyncio.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Service]:
    elsewhere = Elsewhere()
    shop = await Service.open(tmp_path)
    await connected(shop, elsewhere)
    yield shop
    await shop.close()
    await elsewhere.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("command", "payload", "words"),
    [
        ("prices_follow", {"account_id": 99}, "Account 99 is not connected"),
        ("prices_follow", {"account_id": 1}, "change them in the shop"),
        ("prices_off", {"account_id": 1}, "change them in the shop"),
        ("prices_retry", {"outlet_id": 7}, "listing 7 is not parked"),
        ("price_rule", {"price": "shop +"}, "after 'shop' there must be a step"),
        ("price_rule", {"price": "shop", "goods": "sku", "value": "NOPE"}, "the shop has no SKU NOPE"),
        ("price_rule", {"price": "shop", "account_id": 99}, "no marketplace account 99"),
        ("price_rule", {"price": "shop", "channel": "shopify"}, "what the rules start from"),
        ("price_rule", {"price": "shop", "channel": "ebäy"}, "there is no channel 'ebäy': one of amazon, ebay, etsy"),
        ("price_sale", {"price": "price - 10%", "starts_at": 1, "ends_at": 2}, "does not end in the past"),
        ("price_drop", {"rule": 7}, "no price rule or sale 7"),
        ("price_limits", {"account_id": 1, "band": 10}, "no connected marketplace"),
        ("price_limits", {"account_id": EBAY, "fee": "100"}, "below 100 percent"),
        ("price_word", {"word": "yes", "listings": [7]}, "no price of 7 waits"),
        ("price_undo", {}, "no import is there to be undone"),
        ("rate", {"currency": "USD", "rate": "0", "source": "ECB"}, "a rate above 0 and its source"),
    ],
)
async def test_what_cannot_be_done_says_why(
    shop: Service, command: str, payload: dict[str, object], words: str
) -> None:
    with pytest.raises(Park, match=words):
        await COMMANDS[command](shop.service, payload)


@pytest.mark.asyncio
async def test_a_listing_that_is_linked_or_unlinked_is_priced_anew(shop: Service) -> None:
    outlet = await on_sale(shop, EBAY, "sku:MUG", "MUG")
    await shop.run(
        "INSERT INTO price_policy (tenant_id, account_id, mode, changed_at) VALUES (1, :a, 'follow', 0)", a=EBAY
    )
    await COMMANDS["link"](shop.service, {"outlet_id": outlet, "parts": {"MUG": 2}})
    slots = "SELECT parked FROM price_slot WHERE outlet_id = :o"

    async def parked() -> Any:
        row = await shop.one(slots, o=outlet)
        return row if row and row[0] else None

    assert await until(parked, "the shop's price of it is not known") == ("no_price/unknown",)
    await COMMANDS["unlink"](shop.service, {"outlet_id": outlet})

    async def unlinked() -> Any:
        return await shop.one(slots, o=outlet) == ("no_price/not_linked",)

    await until(unlinked, "it is not linked any more")
