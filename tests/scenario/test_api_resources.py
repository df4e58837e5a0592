"""Every route of the API: a full shop is shown as its document says, and nothing of it to another tenant (F54)."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import psycopg
import pytest
from tests.scenario.api import Asking, open_shop
from tests.scenario.service import EBAY, SHOPIFY, Elsewhere, Shop, connected, on_sale

import dashboard_seed
from oneshelf.core.errors import OneshelfError
from oneshelf.core.instants import to_us
from oneshelf.db.tables import metadata
from oneshelf.db.tx import Tx
from oneshelf.tenants.seal import new_key_file
from oneshelf.web.commands import COMMANDS


@pytest.fixture
async def shop(tmp_path: Path, sqlite_migrated: Path) -> AsyncIterator[Shop]:
    shop = await open_shop(tmp_path / "data", sqlite_migrated)
    yield shop
    await shop.close()


@pytest.fixture
async def postgres_shop(tmp_path: Path, postgres_server: str, postgres_migrated: str) -> AsyncIterator[Shop]:
    name = f"oneshelf_api_{os.getpid()}"
    server = postgres_server if "{database}" in postgres_server else postgres_server + "/{database}"
    with psycopg.connect(server.replace("{database}", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {postgres_migrated}")
    os.mkdir(tmp_path / "data")
    new_key_file(tmp_path / "data" / "oneshelf.key")
    shop = await Shop.open(tmp_path / "data", database_url=server.replace("{database}", name))
    yield shop
    await shop.close()
    with psycopg.connect(server.replace("{database}", "postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def api(shop: Shop) -> AsyncIterator[Asking]:
    asking = await Asking.with_scopes(shop)
    yield asking
    await asking.close()


class _Open:
    """The service's own transaction, for a seed that wants a store."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def begin(self) -> Tx:
        return self._tx

    def commit(self) -> None:
        pass


async def fill(shop: Shop) -> None:
    """Put Northlight Home into the books."""
    now = to_us(shop.service.clock.now())
    await shop.service.writer.do(lambda tx: dashboard_seed.seed(_Open(tx), now))  # type: ignore[arg-type]


def validator(document: dict[str, Any], operation: dict[str, Any]) -> jsonschema.Draft202012Validator:
    ((_, answer),) = [(s, a) for s, a in operation["responses"].items() if s.startswith("2")]
    schema = answer["content"]["application/json"]["schema"]
    return jsonschema.Draft202012Validator({**schema, "components": document["components"]})


NOW = {"at": "2100-01-01T00:00:00Z"}  # what is to come is refused; the clock of a test is now
QUERY: dict[str, dict[str, str]] = {
    "/stock/explanation": {"sku": "BLK-MUG-01"},
    "/prices": {"sku": "BLK-MUG-01"},
    "/stock/then": {"sku": "BLK-MUG-01", **NOW},
    "/listings/{listing}/then": NOW,
    "/orders/{order}/then": NOW,
    "/customers/{customer}/then": NOW,
}


async def test_a_full_shop_is_shown_as_the_document_says(shop: Shop, api: Asking) -> None:
    await fill(shop)
    document = (await api.get("/openapi.json")).body
    ids = {
        "{listing}": (await shop.one("SELECT MIN(outlet_id) FROM attempt"))[0],  # type: ignore[index]
        "{order}": (await shop.one("SELECT MIN(order_no) FROM orders WHERE copy_key = ''"))[0],  # type: ignore[index]
        "{account}": 2,
        "{number}": 1,
        "{customer}": 1,
    }
    shown = {}
    for path, methods in document["paths"].items():
        address = path
        for name, number in ids.items():
            address = address.replace(name, str(number))
        if "get" not in methods or "{" in address or path.endswith(("/check", "/live", "/preview", "/catalogue")):
            continue
        if path.startswith("/customers/{customer}"):
            continue  # nobody of this shop is matched
        answer = await api.get(address, **QUERY.get(path, {}))
        assert answer.status == 200, (path, answer)
        if path.endswith(".csv"):
            assert b"BLK-MUG-01" in answer.body or path.endswith("/rules.csv")
            continue
        validator(document, methods["get"]).validate(answer.body)
        shown[path] = answer.body["items"] if isinstance(answer.body, dict) and "items" in answer.body else answer.body
    empty = {path for path, body in shown.items() if body == []}
    assert empty <= {
        "/alerts/receivers",
        "/bundles",
        "/inbox/parked",
        "/listings/{listing}/attempts",
        "/orders/parcels",
        "/orders/short",
        "/orders/conflicts",
        "/privacy/requests",
        "/rules/sales",
        "/rules/strict",
        "/status/changes",
        "/status/unrest",
        "/status/usage",
        "/status/probes",
        "/stock/holds",
        "/customers",
        "/customers/suggestions",
        "/prices/waiting",
        "/webhooks/endpoints",
        "/webhooks/events",
    }, "a list of which this test sees no row proves nothing"


async def test_the_same_on_postgresql(postgres_shop: Shop) -> None:
    asking = await Asking.with_scopes(postgres_shop)
    await test_a_full_shop_is_shown_as_the_document_says(postgres_shop, asking)
    await pages_add_up(asking)
    items = [{"sku": "BLK-MUG-01", "quantity": 3, "location": dashboard_seed.LEEDS}, {"sku": "NOPE", "quantity": 1}]
    done = await asking.post("/stock/counts/bulk", {"items": items}, key="a")
    again = await asking.post("/stock/counts/bulk", {"items": items}, key="a")
    assert done.body == again.body and done.body["done"] == 1
    await asking.close()


async def test_pages_of_every_list_add_up_to_the_whole(shop: Shop, api: Asking) -> None:
    await fill(shop)
    await pages_add_up(api)


def still(item: dict[str, Any]) -> dict[str, Any]:
    """Without what another second makes another number."""
    return {name: value for name, value in item.items() if name != "age_s"}


async def pages_add_up(api: Asking) -> None:
    document = (await api.get("/openapi.json")).body
    for path, methods in document["paths"].items():
        names = {p["name"] for p in methods.get("get", {}).get("parameters", [])}
        if "cursor" not in names or "{" in path:
            continue
        whole = (await api.get(path, limit=200)).body
        assert whole["next"] is None
        found, cursor = [], ""
        for _ in range(20):
            page = (await api.get(path, limit=3, **({"cursor": cursor} if cursor else {}))).body
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                break
            assert len(page["items"]) == 3
        else:
            found += (await api.get(path, limit=200, cursor=cursor)).body["items"]
        assert [still(one) for one in found] == [still(one) for one in whole["items"]], path


#: A right body of every write, so that only the address is wrong.
BODIES: dict[str, Any] = {
    "define_bundle": {"sku": "SET", "parts": {"BLK-MUG-01": 2}},
    "change_location": {"capacity": 5},
    "change_routing": {"split": False},
    "add_receiver": {"way": "email", "address": "no address"},
    "route_order": {"not_from": ["Leeds"]},
    "change_plan": {"plan": "pro"},
    "schedule_probe": {"sku": "BLK-MUG-01"},
    "begin_safe_pause": {"freeze": True},
    "change_stages": {"vip_purchases": 20},
    "change_price_limits": {"band": 30},
    "enter_count": {"sku": "BLK-MUG-01", "quantity": 3, "location": dashboard_seed.LEEDS},
    "enter_counts": {"items": [{"sku": "BLK-MUG-01", "quantity": 3, "location": dashboard_seed.LEEDS}]},
    "import_counts": b"sku,quantity,location\nBLK-MUG-01,3,Leeds\n",
    "set_rule": {"goods": "sku", "value": "BLK-MUG-01", "safety_stock": 2},
    "preview_rule": {"goods": "sku", "value": "BLK-MUG-01", "safety_stock": 2},
    "set_rules": {"items": [{"goods": "sku", "value": "BLK-MUG-01", "safety_stock": 2}]},
    "import_rules": b"goods,value,keep\nsku,BLK-MUG-01,2\n",
    "decide_guarded": {"approve": True},
    "set_guard_limits": {"percent": 30},
    "set_price_rule": {"goods": "sku", "value": "BLK-MUG-01", "price": "shop + 10%"},
    "set_price_rules": {"items": [{"goods": "sku", "value": "BLK-MUG-01", "price": "shop + 10%"}]},
    "set_price_sale": {
        "goods": "sku",
        "value": "BLK-MUG-01",
        "price": "shop - 10%",
        "starts_at": "2100-01-01T00:00:00Z",
        "ends_at": "2100-01-02T00:00:00Z",
    },
    "import_price_rules": b"kind,goods,value,price\nrule,sku,BLK-MUG-01,shop + 10%\n",
    "answer_waiting_prices": {"word": "yes", "listings": [1]},
    "find_customers": {"find": "a"},
    "answer_suggestion": {"first": 1, "second": 2, "same": True},
    "merge_customer": {"into": 2},
    "import_links": b"listing,parts\n1,BLK-MUG-01=1\n",
    "link_listing": {"parts": {"BLK-MUG-01": 1}},
    "link_listings": {"items": [{"listing": 1, "parts": {"BLK-MUG-01": 1}}, {"listing": 2}]},
    "decide_line": {"word": "wait"},
    "answer_order": {"word": "new"},
    "pin_line": {"place": "first"},
    "pause_account": {},
    "go_live": {"accept": True},
    "set_account_locations": {"locations": [dashboard_seed.LEEDS]},
    "leave_to_oneshelf": {"short": "auto"},
    "set_rate": {"currency": "EUR", "rate": "1.1", "source": "a test"},
    "set_strict": {"sku": "BLK-MUG-01", "strict": True},
    "set_risk": {"margin": 1, "oversold": 2},
    "announce_sale": {
        "name": "x",
        "skus": ["BLK-MUG-01"],
        "starts_at": "2030-01-01T00:00:00Z",
        "ends_at": "2030-01-02T00:00:00Z",
        "factor": 2,
    },
    "follow_prices": {},
    "retry_prices": {"items": [{"listing": 1}]},
    "hold_stock": {"sku": "BLK-MUG-01", "pieces": 1, "until": "2100-01-01T00:00:00Z"},
    "end_task": {"anyway": True},
    "snooze_task": {"for_s": 60},
    "begin_probe": {"sku": "BLK-MUG-01"},
    "create_endpoint": {"url": "ftp://erp.example.com/"},
    "change_endpoint": {"about": "x"},
    "enable_endpoint": {"enabled": False},
    "replay_events": {},
    "retry_parked": {"seqs": [1]},
    "set_parked_aside": {"seqs": [1]},
}
#: What changes nothing of anybody's: the price of an oversell is our own word about any SKU; a rate needs a shop first.
#: A search finds nobody.
OWN_WORDS = {
    "change_plan",
    "accept_raise",
    "change_routing",
    "change_stages",
    "add_receiver",
    "find_customers",
    "set_risk",
    "set_rate",
    "create_endpoint",
    "set_guard_limits",
}


#: Words of Northlight Home that nobody else may read.
TELLTALE = ("BLK-MUG", "Northlight", "northlight", "gid://")


async def another_tenants(shop: Shop) -> dict[str, list[tuple[Any, ...]]]:
    """Make Northlight Home another tenant's, and the service's own a tenant with nothing. Return the other's books."""
    await fill(shop)
    await shop.run(
        "INSERT INTO announced_sale (tenant_id, sale_no, name, starts_at, ends_at, factor) VALUES (1, 1, 's', 0, 9e18, 2)"
    )
    for name in metadata.tables:
        if name != "api_token":
            await shop.run(f"UPDATE {name} SET tenant_id = 2 WHERE tenant_id = 1")
    await shop.run("INSERT INTO tenant (tenant_id, name, created_at) VALUES (1, 'nothing', 0)")
    return await books_of(shop, 2)


async def books_of(shop: Shop, tenant_id: int) -> dict[str, list[tuple[Any, ...]]]:
    return {name: await shop.all(f"SELECT * FROM {name} WHERE tenant_id = {tenant_id}") for name in metadata.tables}


async def test_F54_a_tenant_with_nothing_sees_and_changes_nothing_of_a_full_one(shop: Shop, api: Asking) -> None:
    before = await another_tenants(shop)
    numbers = range(1, 5)
    document = (await api.get("/openapi.json")).body
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            names = [part for part in path.split("/") if part.startswith("{")]
            assert len(names) <= 1
            for number in numbers if names else (0,):
                address = path.replace(names[0], str(number)) if names else path
                body = BODIES.get(operation["operationId"]) if "requestBody" in operation else None
                assert body is not None or "requestBody" not in operation, operation["operationId"]
                answer = await api.ask(method.upper(), address, body, **QUERY.get(path, {}))
                where = (method, address, answer.body)
                if names or QUERY.get(path):
                    assert answer.status == 404, where
                elif method == "get":
                    assert answer.status == 200, where
                    for word in TELLTALE:
                        assert word not in str(answer.body), where
                elif path.endswith(".csv"):
                    assert (
                        answer.status == 409 or len(answer.body["problems"]) == 1 and not answer.body.get("change")
                    ), where
                elif answer.status == 207:
                    assert answer.body["done"] == 0 and {one["status"] for one in answer.body["items"]} <= {404, 409}, (
                        where
                    )
                elif operation["operationId"] not in OWN_WORDS:
                    assert answer.status in (404, 409), where
    assert await books_of(shop, 2) == before


#: What a command may be given, all at once: each takes what it knows.
EVERYTHING: dict[str, Any] = {
    "sku": "BLK-MUG-01",
    "skus": ["BLK-MUG-01"],
    "name": "x",
    "quantity": 1,
    "pieces": 1,
    "word": "cancel",
    "line": "1",
    "yes": True,
    "approve": True,
    "done": True,
    "strict": True,
    "enabled": False,
    "drop": True,
    "rank": 1,
    "factor": 2,
    "starts_at": 1_893_456_000_000_000,  # 2030
    "ends_at": 1_893_542_400_000_000,
    "units": 1,
    "currency": "EUR",
    "rate": "1.08",
    "source": "ECB",
    "scopes": ["all"],
    "url": "https://erp.example.com/",
    "events": ["*"],
    "plan": "pro",
    "way": "mail",
    "price": "10.00",
    "locations": None,
    "for_s": 60,
    "since": "2026-11-01T00:00:00Z",
    "address": "ada@example.com",
    "text": "account_id,listing,sku,units\n2,5,BLK-MUG-01,1\n",
    "to": "a@example.com",
    "parts": {"BLK-MUG-01": 2},
    "zero_first": False,
}
#: Which of those are numbers that somebody else's row may have.
NUMBERS = (
    *("account_id", "outlet_id", "listing", "order_no", "customer_no", "second_no", "into", "task", "receiver"),
    *("endpoint", "sale", "hold_no", "probe_no", "token", "change", "request", "rule", "id"),
)


async def test_F54_no_page_shows_anything_of_another_tenant(shop: Shop) -> None:
    await another_tenants(shop)
    outlets = [row[0] for row in await shop.all("SELECT outlet_id FROM outlet")]
    pages = ["/", "/stock", "/stock?q=MUG", "/sku/BLK-MUG-01", *(f"/why/{no}?sku=BLK-MUG-01" for no in outlets)]
    async with aiohttp.ClientSession() as http:
        for page in pages:
            async with http.get(shop.url + page) as answer:
                text = (await answer.text()).replace("BLK-MUG-01", "")  # what was asked for may be named
                assert answer.status == (404 if page.startswith(("/sku", "/why")) else 200), page
                assert [word for word in TELLTALE if word in text] == [], page


async def test_F54_no_command_touches_the_books_of_another_tenant_under_the_same_numbers(shop: Shop) -> None:
    """Two tenants have the same accounts, listings, orders and tasks, under the same numbers: what is asked of one changes one."""
    await another_tenants(shop)
    await shop.run("DELETE FROM tenant WHERE tenant_id = 1")
    await shop.run("UPDATE account SET external_id = external_id || '-2'")  # one account is one tenant's (S0.1)
    await fill(shop)
    await shop.run("UPDATE orders SET standing = 'live'")
    before = await books_of(shop, 2)
    orders = [order_id for (order_id,) in await shop.all("SELECT order_id FROM orders WHERE tenant_id = 1")]
    ((location,),) = await shop.all("SELECT MIN(location_id) FROM location")
    ours, changing = await books_of(shop, 1), set()
    for name, command in COMMANDS.items():
        for number in range(1, 5):
            payload = EVERYTHING | dict.fromkeys(NUMBERS, number) | {"seqs": [number], "account_ids": [number]}
            # What the door answers 409 and 400.
            with contextlib.suppress(OneshelfError, KeyError, TypeError, ValueError):
                await command(shop.service, payload | {"order": orders[number], "location": location})
        if (now := await books_of(shop, 1)) != ours:
            ours = now
            changing.add(name)
    assert len(changing) > 20, sorted(changing)  # else nothing was asked that could have changed anybody's
    assert await books_of(shop, 2) == before


async def test_F54_a_token_of_another_tenant_opens_nothing(shop: Shop, api: Asking) -> None:
    await shop.run("UPDATE api_token SET tenant_id = 2")
    assert (await api.get("/stock/levels")).status == 401


async def test_F53_metacharacters_of_sql_are_text(shop: Shop, api: Asking) -> None:
    await fill(shop)
    for evil in ("' OR '1'='1", "%", "_", "\\", "'; DROP TABLE item; --", "{in:x}", ":t"):
        assert (await api.get("/stock/levels", prefix=evil)).body["items"] == []
        assert (await api.get("/stock/levels", sku=evil)).body["items"] == []
        assert (await api.get("/orders", channel=evil, state=evil)).body["items"] == []
        assert (await api.get("/status/journal", subject=evil)).body["items"] == []
        assert (await api.get("/stock/explanation", sku=evil)).status == 404
        assert (await api.ask("PUT", "/rules/strict", {"sku": evil, "strict": True})).status == 404


async def test_stock_as_it_was_at_a_moment(shop: Shop, api: Asking) -> None:
    await fill(shop)
    at, on_hand = await shop.one("SELECT MIN(posted_at), MAX(on_hand) FROM ledger_entry WHERE sku = 'LMP-BRS-02'")  # type: ignore[misc]
    now = (await api.get("/stock/levels", sku="LMP-BRS-02")).body
    assert (await api.get("/stock/levels", sku="LMP-BRS-02", as_of="2100-01-01T00:00:00Z")).body == now
    long_ago = (await api.get("/stock/levels", sku="LMP-BRS-02", as_of="2000-01-01T00:00:00Z")).body["items"]
    assert [row["on_hand"] for row in long_ago] == [0 for _ in now["items"]]
    assert (await api.get("/stock/levels", as_of="2000-01-01T00:00:00")).kind == "not-valid"


async def test_each_of_many_has_its_own_outcome(shop: Shop, api: Asking) -> None:
    await fill(shop)
    items: list[Any] = [
        {"sku": "BLK-MUG-01", "quantity": 3, "location": dashboard_seed.LEEDS},
        {"sku": "NOPE", "quantity": 3, "location": dashboard_seed.LEEDS},
        {"sku": "BLK-MUG-01", "quantity": -1},
        "nothing",
        {"sku": "CND-FIG-220", "quantity": 4, "location": dashboard_seed.LEEDS},
    ]
    done = (await api.post("/stock/counts/bulk", {"items": items}, dry_run="true")).body
    assert await shop.one("SELECT COUNT(*) FROM intent WHERE kind = 'count'") == (0,)
    done = await api.post("/stock/counts/bulk", {"items": items})
    assert done.status == 207 and (done.body["done"], done.body["failed"]) == (2, 3)
    assert [one["status"] for one in done.body["items"]] == [200, 404, 422, 422, 200]
    assert done.body["items"][2]["problem"]["errors"][0]["at"] == "/quantity"
    assert await shop.one("SELECT COUNT(*) FROM intent WHERE kind = 'count'") == (2,)
    for wrong in ([], [items[0]] * 1_001):
        assert (await api.post("/stock/counts/bulk", {"items": wrong})).status == 422


async def test_what_the_local_door_does_the_api_does(shop: Shop, api: Asking) -> None:
    elsewhere = Elsewhere()
    await connected(shop, elsewhere)
    listing = await on_sale(shop, EBAY, "item:110001", "MUG")
    assert (await api.get("/accounts")).body[2]["account_id"] == EBAY
    assert (
        await api.get(
            "/accounts",
        )
    ).body[0]["channel"] == "shopify"
    live = await api.get(f"/accounts/{EBAY}/live")
    assert live.status == 200 and live.body["linked"] == 1 and live.body["live"] is False
    assert (await api.get(f"/accounts/{SHOPIFY}/live")).kind == "not-possible"
    paused = await api.post(f"/accounts/{EBAY}/pause", {}, dry_run="true")
    assert paused.body["paused"] is True
    assert (await api.get(f"/accounts/{EBAY}")).body["state"] == "LIVE", "it was a dry run"
    await api.post(f"/accounts/{EBAY}/pause", {})
    assert (await api.get(f"/accounts/{EBAY}")).body["state"] == "PAUSED"
    assert (await api.post(f"/accounts/{EBAY}/resume")).body["account_id"] == EBAY
    assert (await api.ask("DELETE", f"/listings/{listing}/link")).body == {"outlet_id": listing}
    assert (await api.get(f"/listings/{listing}")).body["parts"] == {}
    links = {"items": [{"listing": listing, "parts": {"MUG": 2}}, {"listing": 999}]}
    assert [one["status"] for one in (await api.post("/listings/links/bulk", links)).body["items"]] == [200, 404]
    assert (await api.get(f"/listings/{listing}")).body["parts"] == {"MUG": 2}
    assert (await api.ask("PUT", "/rules/strict", {"sku": "MUG", "strict": True})).body["changed"] is True
    assert (await api.get("/rules/strict")).body == ["MUG"]
    rule = {"goods": "sku", "value": "MUG", "safety_stock": 2}
    assert (await api.ask("PUT", "/rules", rule, dry_run="true")).body["preview"] is True
    assert (await api.get("/rules")).body == []
    assert (await api.ask("PUT", "/rules", rule)).body["made"] is True
    assert [one["rule"]["selector"]["value"] for one in (await api.get("/rules")).body] == ["MUG"]
    assert (await api.post("/rules/preview", {**rule, "safety_stock": 9})).body["replay"]["days"] == 30
    assert b"MUG" in (await api.get("/rules/rules.csv")).body
    assert (await api.ask("DELETE", "/rules", goods="sku", value="CUP")).status == 404
    assert (await api.ask("DELETE", "/rules", goods="sku", value="MUG")).body["made"] is True
    sale = await api.post("/rules/sales", {**BODIES["announce_sale"], "skus": ["MUG"]})
    assert [one["sale"] for one in (await api.get("/rules/sales")).body] == [sale.body["sale"]]
    assert (await api.ask("DELETE", f"/rules/sales/{sale.body['sale']}")).status == 200
    rate = await api.ask("PUT", "/rates", {"currency": "EUR", "rate": "1.0855", "source": "ECB 2026-11-20"})
    assert rate.body["currency"] == "EUR"
    changed = await api.ask("PATCH", f"/accounts/{EBAY}/leave", {"short": "auto"})
    assert list(changed.body["changed"].values()) == ["auto"]
    actors = {by for (by,) in await shop.all("SELECT DISTINCT actor FROM journal WHERE subject LIKE 'account:%'")}
    assert "api:test" in actors
    await elsewhere.close()


def test_bodies_are_of_operations_that_exist() -> None:
    from oneshelf.web.api.resources import ALL

    names = {route.operation_id for routes in ALL for route in routes.routes}  # type: ignore[attr-defined]
    assert set(itertools.chain(BODIES, OWN_WORDS)) <= names
