"""Installing the app at the emulated Shopify: consent page, codes, session tokens."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from shopify_client import Client, new_client

from oneshelf_emulator.door import Answer, call


@pytest.fixture
def client() -> Client:
    return new_client()


BACK = "https://shelf.example/connect/shopify/callback"


async def page(client: Client, method: str = "GET", **query: str) -> Answer:
    asked = {
        "client_id": client.shop.client_id, "scope": "read_orders,write_orders", "redirect_uri": BACK, "state": "s1", **query,
    }  # fmt: skip
    text = urlencode(asked)
    form = {"content-type": "application/x-www-form-urlencoded"}
    if method == "POST":
        return await call(client.shop.app, "POST", "/admin/oauth/authorize", headers=form, body=text.encode())
    return await call(client.shop.app, "GET", "/admin/oauth/authorize", query=text)


async def test_the_merchant_installs_and_the_code_works_once(client: Client) -> None:
    client.shop.console("register_redirect_uri", uri=BACK)
    client.shop.console("uninstall")
    shown = await page(client)
    assert shown.status == 200 and b"write_orders" in shown.body and client.shop.installed is False
    back = await page(client, "POST", button="install")
    assert back.status == 302 and client.shop.granted_scopes == {"read_orders", "write_orders"}
    query = dict(parse_qsl(urlsplit(back.headers["location"]).query))
    signed = "&".join(f"{k}={v}" for k, v in sorted(query.items()) if k != "hmac")
    assert query["hmac"] == hmac.new(client.shop.client_secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    assert (query["state"], query["shop"]) == ("s1", client.shop.domain)
    status, first = await client.grant(code=query["code"], expiring="1")
    assert (status, first["expires_in"], "refresh_token" in first) == (200, 3600, True)
    assert (await client.grant(code=query["code"], expiring="1"))[0] == 400
    again = await page(client)
    assert again.status == 302, "an installed app that asks for nothing new is sent back at once"
    code = dict(parse_qsl(urlsplit(again.headers["location"]).query))["code"]
    assert "refresh_token" not in (await client.grant(code=code))[1], "without `expiring` a token never ends"


@pytest.mark.parametrize(
    ("query", "words"),
    (
        ({"client_id": "x"}, b"client_id"),
        ({"redirect_uri": "https://evil.example/"}, b"whitelisted"),
        ({"scope": "read_everything"}, b"read_everything"),
        ({"scope": ""}, b"invalid_scope"),
        ({"grant_options[]": "per-user"}, b"not emulated"),
    ),
)
async def test_what_can_not_be_agreed_to_is_no_page(client: Client, query: dict[str, str], words: bytes) -> None:
    client.shop.console("register_redirect_uri", uri=BACK)
    for method in ("GET", "POST"):
        answer = await page(client, method, **query)
        assert answer.status == 400 and words in answer.body


async def test_a_merchant_who_says_no_stays_in_the_shop(client: Client) -> None:
    client.shop.console("register_redirect_uri", uri=BACK)
    client.shop.console("uninstall")
    answer = await page(client, "POST", button="cancel")
    assert (answer.status, client.shop.installed) == (200, False)


async def test_a_session_token_is_exchanged_within_its_minute(client: Client) -> None:
    asked = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        "requested_token_type": "urn:shopify:params:oauth:token-type:offline-access-token",
        "expiring": "1",
    }
    token = client.shop.console("session_token")["session_token"]
    assert (await client.grant(**asked, subject_token=token))[0] == 200
    head, signature = token.rsplit(".", 1)
    forged = f"{head}.{'A' * len(signature)}"
    for bad in (forged, "", "a.b"):
        assert (await client.grant(**asked, subject_token=bad))[1]["error"] == "invalid_subject_token"
    assert (await client.grant(**{**asked, "requested_token_type": "x"}, subject_token=token))[0] == 400
    client.clock.advance(61)
    assert (await client.grant(**asked, subject_token=token))[1]["error"] == "invalid_subject_token"
