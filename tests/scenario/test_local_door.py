"""Commands on this machine: asked of the running service, or carried out on the file at rest; nobody else is obeyed."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest
from tests.scenario.service import EBAY, SHOPIFY, Elsewhere, Shop, connected, on_sale

from oneshelf.core.errors import OneshelfError
from oneshelf.web.local import FILE, ask


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
        ("link", {"outlet_id": 1, "parts": {"NOWHERE": 1}}, "no SKU NOWHERE"),
        ("connect", {"account": {"channel": "etsy", "settings": {"shop_id": "not a number"}}}, "shop_id"),
    ],
)
async def test_what_can_t_be_done_is_said_to_the_person_who_asked(
    shop: Shop, command: str, payload: dict, words: str
) -> None:
    with pytest.raises(OneshelfError, match=words):
        await ask(shop.settings, command, payload)
    assert shop.service.health() is None


async def test_a_rule_is_kept_by_the_running_service_and_by_the_file_at_rest(shop: Shop) -> None:
    await on_sale(shop, SHOPIFY, "sku:MUG", "MUG")
    assert (await ask(shop.settings, "rule", {"sku": "MUG", "safety_stock": 5}))["sku"] == "MUG"
    assert await shop.all("SELECT sku, safety_stock FROM offer_policy WHERE tenant_id = 1") == [("MUG", 5)]
    await shop.close()
    assert (await ask(shop.settings, "rule", {"sku": "MUG", "drop": True}))["dropped"] is True
    await shop.open_again()
    assert await shop.all("SELECT sku FROM offer_policy WHERE tenant_id = 1") == []
