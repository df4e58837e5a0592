"""Commands on this machine: asked of the running service, or carried out on the file at rest; nobody else is obeyed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from tests.scenario.service import EBAY, SHOPIFY, Elsewhere, Shop, connected, on_sale

from oneshelf.core.errors import OneshelfError
from oneshelf.web.asking import FILE, ask
from oneshelf.web.commands import COMMANDS


@pytest.fixture
async def shop(tmp_path: Path):
    shop = await Shop.open(tmp_path / "data")
    elsewhere = Elsewhere()
    await connected(shop, elsewhere)
    yield shop
    await elsewhere.close()
    await shop.close()


async def _post(url: str, token: str, payload: object = None) -> tuple[int, dict]:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http,
        http.post(url, json=payload or {}) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


async def test_only_this_starts_token_opens_the_door(shop: Shop) -> None:
    door = json.loads((shop.settings.data_dir / FILE).read_text())
    assert (await _post(f"{shop.url}/local/rate", door["token"][:-1] + "x"))[0] == 403
    assert (await _post(f"{shop.url}/local/rate", ""))[0] == 403
    status, said = await _post(
        f"{shop.url}/local/rate", door["token"], {"currency": "eur", "rate": "1.08", "source": "ECB 2026-11-20"}
    )
    assert (status, said["currency"]) == (200, "EUR")


async def test_the_token_is_readable_by_its_owner_only(shop: Shop) -> None:
    assert (shop.settings.data_dir / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("command", "payload", "words"),
    [
        ("rate", {"currency": "EURO", "rate": "1", "source": "x"}, "currency code"),
        ("rate", {"currency": "EUR", "rate": "-1", "source": "x"}, "above 0"),
        ("count", {"sku": "NOWHERE", "quantity": 3, "location": "L1"}, "not a tracked SKU"),
        ("count", {"sku": "NOWHERE", "quantity": -3, "location": "L1"}, "0 or more"),
        ("live", {"account_id": 99}, "not connected"),
        ("migrate", {"account_id": 99}, "not connected"),
        ("migrate", {"account_id": EBAY}, "not known which .* channels reread 3"),
        ("migrate", {"account_id": SHOPIFY}, "nothing has to be brought over"),
        ("rule", {"account_id": 99, "safety_stock": 1}, "not connected"),
        ("rule", {"safety_stock": -1}, "0 or more"),
        ("rule", {"sku": "MUG", "drop": True}, "no such rule"),
        ("rate", {"currency": "EUR", "rate": "inf", "source": "x"}, "above 0"),
        ("rule", {"sku": "NOWHERE", "safety_stock": 1}, "no SKU NOWHERE"),
        ("rule", {"channel": "moon", "safety_stock": 1}, "no channel 'moon'"),
        ("rule", {"safety_stock": "many"}, "Expected `int`"),
        ("rule", {"goods": "moon", "value": "x"}, "Invalid enum value 'moon'"),
        ("rule", {"preview": True, "drop": True}, "no such rule"),
        ("rules_undo", {}, "No import of rules"),
        ("guard_decide", {"guard": 9, "approve": True}, "no change 9 waits"),
        ("guard_decide", {"guard": 9, "approve": False}, "no change 9 waits"),
        ("guard_limits", {"percent": 101}, "0 to 100"),
        ("link", {"outlet_id": 1, "parts": {"NOWHERE": 1}}, "no SKU NOWHERE"),
        ("link", {"outlet_id": 999, "parts": {}}, "no listing 999"),
        ("link", {"outlet_id": "x", "parts": {}}, "not given as it should be"),
        ("unlink", {"outlet_id": 999}, "not linked"),
        ("connect", {"account": {"settings": {}}}, "channel"),
        ("connect", {"account": {"channel": "etzy"}}, "etzy"),
        ("connect", {"account": {"channel": "etsy", "settings": {"shop_id": "not a number"}}}, "shop_id"),
    ],
)
async def test_what_can_t_be_done_is_said_to_the_person_who_asked(
    shop: Shop, command: str, payload: dict, words: str
) -> None:
    with pytest.raises(OneshelfError, match=words):
        await ask(shop.settings, command, payload)
    assert shop.service.health() is None


async def test_what_is_missing_is_said_by_the_file_at_rest_too(shop: Shop) -> None:
    await shop.close()
    with pytest.raises(OneshelfError, match="not given as it should be"):
        await ask(shop.settings, "link", {"outlet_id": "x", "parts": {}})


async def test_a_service_that_breaks_off_is_said_in_words(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(*_: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setitem(COMMANDS, "count", breaks)
    with pytest.raises(OneshelfError, match="answered 500.*may have been done"):
        await ask(shop.settings, "count", {})

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    (shop.settings.data_dir / FILE).write_text(json.dumps({"url": f"http://127.0.0.1:{port}", "token": "t"}))
    with pytest.raises(OneshelfError, match="did not answer.*may have been done"):
        await ask(shop.settings, "count", {})
    server.close()


async def test_the_shops_own_variants_and_deleted_skus_are_not_linked_by_hand(shop: Shop) -> None:
    own = await on_sale(shop, SHOPIFY, "variant:1", "MUG")
    there = await on_sale(shop, EBAY, "sku:MUG", "MUG")
    for command, payload in (("link", {"parts": {"MUG": 1}}), ("unlink", {})):
        with pytest.raises(OneshelfError, match="the shop's own"):
            await ask(shop.settings, command, {"outlet_id": own, **payload})
    await shop.run("UPDATE item SET deleted = 1 WHERE sku = 'MUG'")
    with pytest.raises(OneshelfError, match="no SKU MUG"):
        await ask(shop.settings, "link", {"outlet_id": there, "parts": {"MUG": 1}})


async def test_S14_5_a_rate_tries_again_only_what_waited_for_it(shop: Shop) -> None:
    """An import that the shop refused is done by hand: sent again it would stand there twice."""
    for order_no, currency, sent in ((1, "EUR", None), (2, "GBP", None), (3, "EUR", 5)):
        await shop.run(
            "INSERT INTO orders (tenant_id, order_no, account_id, order_id, placed_at, received_at, decided_at, payment, state, currency) "
            "VALUES (1, :n, 3, :o, 0, 0, 0, 'paid', 'OPEN', :c)",
            n=order_no,
            o=f"O{order_no}",
            c=currency,
        )
        await shop.run(
            "INSERT INTO intent (tenant_id, intent_no, kind, entity, version, idempotency_key, state, payload, created_at, due_at, first_sent_at) "
            "VALUES (1, :n, 'import', :e, 1, :o, 'TASK', :p, 0, 0, :sent)",
            n=900 + order_no,
            e=f"3/O{order_no}",
            o=f"k{order_no}",
            p=json.dumps({"order_no": order_no}),
            sent=sent,
        )
    payload = {"currency": "eur", "rate": "1.08", "source": "ECB 2026-11-20"}
    done = await ask(shop.settings, "rate", payload)
    assert done["orders_tried_again"] == 1
    rows = await shop.all("SELECT intent_no FROM intent WHERE intent_no > 900 AND state = 'TASK' ORDER BY intent_no")
    assert {902, 903} <= {number for (number,) in rows}


async def test_a_rule_is_kept_by_the_running_service_and_by_the_file_at_rest(shop: Shop) -> None:
    await on_sale(shop, SHOPIFY, "sku:MUG", "MUG")
    assert (await ask(shop.settings, "rule", {"sku": "MUG", "safety_stock": 5}))["sku"] == "MUG"
    assert await shop.all("SELECT value, safety_stock FROM offer_rule WHERE tenant_id = 1") == [("MUG", 5)]
    await shop.close()
    preview = await ask(shop.settings, "rule", {"sku": "MUG", "drop": True, "preview": True})
    assert (preview["changed"], preview["preview"], preview["replay"]["days"]) == (0, True, 30)
    assert [one["says"] for one in await ask(shop.settings, "rules_list", {})] == ["keep 5 back"]
    assert (await ask(shop.settings, "rule", {"sku": "MUG", "drop": True}))["dropped"] is True
    file = {"text": "goods,value,keep\nsku,MUG,3\nsku,CUP,x\n"}
    looked = await ask(shop.settings, "rules_import", file)
    assert (looked["rules"], [tuple(one) for one in looked["problems"]], looked["made"]) == (
        1,
        [(3, "keep is a whole number of 0 or more, not 'x'")],
        False,
    )
    assert (await ask(shop.settings, "rules_import", {**file, "yes": True}))["made"] is True
    assert [one["says"] for one in await ask(shop.settings, "rules_list", {})] == ["keep 3 back"]
    assert (await ask(shop.settings, "rules_undo", {}))["made"] is True
    assert (await ask(shop.settings, "guard_limits", {"least": 4}))["least"] == 4
    assert (await ask(shop.settings, "guard_list", {}))["waiting"] == []
    await shop.open_again()
    assert await shop.all("SELECT value FROM offer_rule WHERE tenant_id = 1") == []


def test_a_command_that_asks_loads_no_service() -> None:
    """Most commands ask one that runs, or read the database; with what it is made of, half of their time would be loading."""
    heavy = {"oneshelf.wiring", "oneshelf.web.commands", "alembic", "sqlalchemy", "boto3", "fastapi"}
    look = f"import sys, oneshelf.cli, oneshelf.web.asking; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
