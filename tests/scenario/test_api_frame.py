"""The API's frame: who is let in, what is refused and in which words, pages, writes that are sent twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.scenario.api import Asking, open_shop
from tests.scenario.service import Shop

from oneshelf.tenants import api_tokens
from oneshelf.web.asking import ask

PLACE = "gid://shopify/Location/1"


@pytest.fixture
async def shop(tmp_path: Path, sqlite_migrated: Path) -> AsyncIterator[Shop]:
    shop = await open_shop(tmp_path / "data", sqlite_migrated)
    await shop.run("INSERT INTO tenant (tenant_id, name, created_at) VALUES (1, 'one', 0), (2, 'two', 0)")
    await shop.run("INSERT INTO location (tenant_id, location_id, name) VALUES (1, :l, 'Shelf')", l=PLACE)
    for number in range(5):
        await shop.run("INSERT INTO item (tenant_id, sku, title, item_id) VALUES (1, :s, :s, :s)", s=f"MUG-{number}")
        await shop.run(
            "INSERT INTO stock_level (tenant_id, sku, location_id, on_hand) VALUES (1, :s, :l, 7), (2, :s, :l, 99)",
            s=f"MUG-{number}",
            l=PLACE,
        )
    yield shop
    await shop.close()


@pytest.fixture
async def api(shop: Shop) -> AsyncIterator[Asking]:
    asking = await Asking.with_scopes(shop)
    yield asking
    await asking.close()


async def test_only_a_token_opens_it_and_a_revoked_one_does_not(shop: Shop, api: Asking) -> None:
    assert (await api.get("/stock/levels")).status == 200
    whole = api.secret
    for wrong in ("", "x", whole[:-1] + ("A" if whole[-1] != "A" else "B"), whole.replace("_1_", "_2_"), "é" * 60):
        api.secret = wrong
        answer = await api.get("/stock/levels")
        assert (answer.status, answer.kind) == (401, "no-token"), wrong
        assert answer.headers["www-authenticate"] == 'Bearer realm="oneshelf"'
    api.secret = whole
    await ask(shop.settings, "token_revoke", {"token": 1})
    assert (await api.get("/stock/levels")).status == 401


async def test_the_secret_is_kept_as_a_hash_and_the_last_use_to_the_hour(shop: Shop, api: Asking) -> None:
    await api.get("/stock/levels")
    await asyncio.sleep(0.05)
    ((hashed, used),) = await shop.all("SELECT secret_hash, used_at FROM api_token")
    assert len(hashed) == 64 and api.secret.split("_", 2)[2] not in hashed
    assert used % 3_600_000_000 == 0


async def test_a_scope_opens_its_area_and_a_write_its_reads(shop: Shop) -> None:
    reading = await Asking.with_scopes(shop, "stock:read", name="reads")
    writing = await Asking.with_scopes(shop, "stock:write", name="writes")
    other = await Asking.with_scopes(shop, "orders:write", name="other")
    count = {"sku": "MUG-1", "quantity": 3}
    assert [(await one.get("/stock/levels")).status for one in (reading, writing, other)] == [200, 200, 403]
    assert [(await one.post("/stock/counts", count)).status for one in (reading, writing)] == [403, 200]
    refused = await reading.post("/stock/counts", count)
    assert refused.body["detail"] == "The token 'reads' does not open stock:write."
    for one in (reading, writing, other):
        await one.close()


async def test_what_a_token_may_open_is_said_when_it_is_made(shop: Shop) -> None:
    for payload, words in (
        ({"name": "", "scopes": ["read"]}, "1 to 100 printable"),
        ({"name": "erp", "scopes": ["stock:peek"]}, "no scope 'stock:peek'"),
        ({"name": "erp", "scopes": []}, "at least one scope"),
    ):
        with pytest.raises(Exception, match=words):
            await ask(shop.settings, "token_create", payload)
    done = await ask(shop.settings, "token_create", {"name": "erp", "scopes": ["read"]})
    assert not {"privacy:read", "customers:read"} & set(done["scopes"]) and "stock:read" in done["scopes"]
    with pytest.raises(Exception, match="already"):
        await ask(shop.settings, "token_create", {"name": "erp", "scopes": ["read"]})


async def test_pages_go_on_where_they_were_whatever_comes_in_between(shop: Shop, api: Asking) -> None:
    first = (await api.get("/stock/levels", limit=2)).body
    assert [row["sku"] for row in first["items"]] == ["MUG-0", "MUG-1"]
    await shop.run("INSERT INTO stock_level (tenant_id, sku, location_id) VALUES (1, 'A', 'L'), (1, 'MUG-11', 'L')")
    second = (await api.get("/stock/levels", limit=2, cursor=first["next"])).body
    assert [row["sku"] for row in second["items"]] == ["MUG-11", "MUG-2"]
    last = (await api.get("/stock/levels", limit=5, cursor=second["next"])).body
    assert [row["sku"] for row in last["items"]] == ["MUG-3", "MUG-4"] and last["next"] is None
    assert "MUG" not in first["next"], "a cursor shows nothing"


async def test_a_cursor_is_of_one_list_with_its_filters(api: Asking) -> None:
    cursor = (await api.get("/stock/levels", limit=1)).body["next"]
    for query in ({"cursor": cursor, "prefix": "MUG"}, {"cursor": cursor[:-6] + "AAAAAA"}, {"cursor": "/../"}):
        answer = await api.get("/stock/levels", **query)
        assert (answer.status, answer.kind) == (422, "not-valid"), query
        assert "Begin again without it" in answer.body["detail"]


async def test_every_error_is_a_problem_that_says_what_to_do(api: Asking) -> None:
    for method, path, body, status, kind, words in (
        ("GET", "/nowhere", None, 404, "not-found", "no such address"),
        ("DELETE", "/stock/levels", None, 405, "method-not-allowed", "another method"),
        ("GET", "/stock/levels?limit=0", None, 422, "not-valid", "query:limit"),
        ("POST", "/stock/counts", None, 415, "media-type", "Content-Type: application/json"),
        ("POST", "/stock/counts", b"{", 400, "not-understood", "not JSON"),
        ("POST", "/stock/counts", b'{"sku": ' + b"[" * 10_000, 400, "not-understood", ""),
        ("POST", "/stock/counts", {"sku": "MUG-1", "quantity": "3"}, 422, "not-valid", "/quantity: input should be"),
        ("POST", "/stock/counts", {"sku": "MUG-1", "quantity": 3, "x": 1}, 422, "not-valid", "/x: extra"),
        ("POST", "/stock/counts", {"sku": "NOPE", "quantity": 3}, 404, "not-found", "tracked SKU"),
        ("POST", "/stock/counts", {"sku": "A\x00B", "quantity": 3}, 422, "not-valid", "character 0"),
        ("POST", "/stock/counts", b'{"sku": "\\ud800", "quantity": 1}', 422, "not-valid", "/sku"),
    ):
        answer = await api.ask(method, path, body)
        assert (answer.status, answer.kind) == (status, kind), (path, body, answer)
        assert answer.body["status"] == status and words in answer.body["detail"], answer.body
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_what_nobody_foresaw_is_a_problem_with_a_reference_and_no_more(
    api: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("jane@example.com")

    monkeypatch.setitem(__import__("oneshelf.web.commands", fromlist=["COMMANDS"]).COMMANDS, "count", broken)
    answer = await api.post("/stock/counts", {"sku": "MUG-1", "quantity": 3}, key="k")
    assert (answer.status, answer.kind) == (500, "broken")
    assert "jane" not in str(answer.body) and answer.body["instance"].startswith("urn:oneshelf:log:")
    again = await api.post("/stock/counts", {"sku": "MUG-1", "quantity": 3}, key="k")
    assert (again.status, again.kind) == (409, "interrupted"), "nobody knows whether it was done"


async def test_the_same_write_with_the_same_key_is_done_once(shop: Shop, api: Asking) -> None:
    count = {"sku": "MUG-1", "quantity": 3}
    first = await api.post("/stock/counts", count, key="a")
    again = await api.post("/stock/counts", count, key="a")
    assert first.status == again.status == 200 and first.body == again.body
    assert again.headers["idempotent-replayed"] == "true"
    assert await shop.one("SELECT COUNT(*) FROM intent WHERE kind = 'count'") == (1,)
    other = await api.post("/stock/counts", {**count, "quantity": 4}, key="a")
    assert (other.status, other.kind) == (422, "key-used")
    assert (await api.post("/stock/counts", count, key="b")).body != first.body


async def test_a_key_at_work_is_refused_until_it_is_done_and_lost_if_the_service_ends(shop: Shop, api: Asking) -> None:
    await api.post("/stock/counts", {"sku": "MUG-1", "quantity": 3}, key="a")
    await shop.run("UPDATE api_answer SET state = 'RUNNING'")
    assert (await api.post("/stock/counts", {"sku": "MUG-1", "quantity": 3}, key="a")).kind == "under-way"
    await shop.close()
    await shop.open_again()
    assert (await api.post("/stock/counts", {"sku": "MUG-1", "quantity": 3}, key="a")).kind == "interrupted"


async def test_a_refusal_leaves_its_key_free(shop: Shop, api: Asking) -> None:
    count = {"sku": "NEW", "quantity": 3}
    assert (await api.post("/stock/counts", count, key="a")).status == 404
    await shop.run("INSERT INTO item (tenant_id, sku, item_id) VALUES (1, 'NEW', 'i')")
    assert (await api.post("/stock/counts", count, key="a")).status == 200


async def test_keys_are_forgotten_after_a_day(shop: Shop, api: Asking) -> None:
    await api.post("/stock/counts", {"sku": "MUG-1", "quantity": 3}, key="a")
    await shop.run("UPDATE api_answer SET created_at = created_at - 86400000001")
    await api.post("/stock/counts", {"sku": "MUG-1", "quantity": 3}, key="b")
    assert await shop.all("SELECT idempotency_key FROM api_answer") == [("b",)]


async def test_a_dry_run_says_what_would_be_and_does_nothing(shop: Shop, api: Asking) -> None:
    answer = await api.post("/stock/counts", {"sku": "MUG-1", "quantity": 3}, dry_run="true")
    assert answer.status == 200 and answer.body["quantity"] == 3
    assert await shop.one("SELECT COUNT(*) FROM intent") == (0,)


async def test_who_did_it_is_kept(shop: Shop, api: Asking) -> None:
    await api.post("/stock/counts", {"sku": "MUG-1", "quantity": 3})
    ((payload,),) = await shop.all("SELECT payload FROM intent")
    assert json.loads(payload)["by"] == "api:test", (
        "the journal's line is written with it when the shop has taken the count"
    )


async def test_a_token_has_so_many_requests_a_minute(tmp_path: Path, sqlite_migrated: Path) -> None:
    shop = await open_shop(tmp_path / "few", sqlite_migrated, api_requests_per_minute=3)
    await shop.run("INSERT INTO tenant (tenant_id, name, created_at) VALUES (1, 'one', 0)")
    one, two = [await Asking.with_scopes(shop, name=name) for name in ("one", "two")]
    answers = [await one.get("/stock/levels") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]
    assert answers[3].headers["ratelimit-policy"] == '"token";q=3;w=60'
    assert 1 <= int(answers[3].headers["retry-after"]) <= 20
    assert (await two.get("/stock/levels")).status == 200
    await one.close()
    await two.close()
    await shop.close()


@pytest.mark.parametrize("length", ["100000000", "1" + "0" * 40])
async def test_F47_a_body_of_100_MB_is_refused_unread(shop: Shop, api: Asking, length: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
    writer.write(
        f"POST /api/v1/stock/counts HTTP/1.1\r\nHost: elsewhere\r\nAuthorization: Bearer {api.secret}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{{".encode()
    )
    status = await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    assert b" 413 " in status or (len(length) > 20 and b" 400 " in status)


async def test_F47_a_body_that_does_not_say_how_long_it_is_is_cut_off(api: Asking) -> None:
    async def endless():  # type: ignore[no-untyped-def]
        for _ in range(100):
            yield b" " * 1_000_000

    headers = {"Authorization": f"Bearer {api.secret}", "Content-Type": "application/json"}
    import aiohttp

    async with aiohttp.ClientSession() as http:
        try:
            async with http.post(f"{api.shop.url}/api/v1/stock/counts", data=endless(), headers=headers) as answer:
                assert answer.status == 413
        except aiohttp.ClientError:
            pass  # cut off before the answer was read: just as well


async def test_the_document_is_there_for_everybody_and_speaks_of_every_route(api: Asking) -> None:
    api.secret = ""
    answer = await api.get("/openapi.json")
    assert answer.status == 200 and answer.body["openapi"] == "3.1.0"
    levels = answer.body["paths"]["/stock/levels"]["get"]
    assert levels["security"] == [{"token": []}] and "Scope: `stock:read`" in levels["description"]
    assert levels["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("Page_StockRow_")
    assert set(levels["responses"]) == {"200", "default"}


async def test_any_host_may_ask_with_a_token_and_pages_stay_shut(api: Asking) -> None:
    answer = await api.ask("GET", "/stock/levels", headers={"Host": "shelf.example"})
    assert answer.status == 200
    assert (await api.ask("GET", "/../../stock", headers={"Host": "shelf.example"})).status in (403, 404)


async def test_scopes_are_whole() -> None:
    assert set(api_tokens.GROUPS["all"]) == set(api_tokens.SCOPES)
