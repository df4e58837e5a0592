"""Webhooks that we send, from the thing that happens to a real receiver; and where they must never go (F50)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from aiohttp.abc import AbstractResolver
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from tests.scenario.api import Asking, open_shop
from tests.scenario.service import Shop, until

from oneshelf.core.errors import OneshelfError
from oneshelf.runtime.transport import AioHttp
from oneshelf.web.asking import ask
from oneshelf.web.serve import listen
from oneshelf.webhooks.deliveries import Call
from oneshelf.webhooks.worker import ANSWER_MAX, send


class Receiver:
    """A program that hears. It answers with `status`, keeps what came, and checks each signature as the specification says."""

    def __init__(self) -> None:
        self.status = 204
        self.secret = ""
        self.heard: list[dict[str, Any]] = []
        self.ids: list[str] = []
        sock = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        routes = [
            Route("/hook", self._hook, methods=["POST"]),
            Route("/elsewhere", lambda request: RedirectResponse("/hook", 307), methods=["POST"]),
            Route("/long", lambda request: Response(b"x" * (ANSWER_MAX + 1)), methods=["POST"]),
        ]
        config = uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off", access_log=False)
        self._server = uvicorn.Server(config)
        self._server.install_signal_handlers = lambda: None  # type: ignore[method-assign]
        self._serving = asyncio.ensure_future(self._server.serve(sockets=[sock]))

    async def close(self) -> None:
        self._server.should_exit = True
        await asyncio.wait([self._serving], timeout=5)

    async def _hook(self, request: Request) -> Response:
        body = await request.body()
        message_id, sent_at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        mac = hmac.new(key, f"{message_id}.{sent_at}.".encode() + body, hashlib.sha256).digest()
        assert f"v1,{base64.b64encode(mac).decode()}" in request.headers["webhook-signature"].split(" ")
        assert abs(time.time() - int(sent_at)) < 60
        self.ids.append(message_id)
        if self.status < 300:
            self.heard.append(json.loads(body))
        return Response(status_code=self.status)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    yield receiver
    await receiver.close()


@pytest.fixture
async def shop(tmp_path: Path, sqlite_migrated: Path) -> AsyncIterator[Shop]:
    shop = await open_shop(tmp_path / "data", sqlite_migrated, webhooks_allow_private=True)
    await shop.run("INSERT INTO tenant (tenant_id, name, created_at) VALUES (1, 'one', 0)")
    await shop.run("INSERT INTO item (tenant_id, sku, item_id) VALUES (1, 'MUG', 'i')")
    yield shop
    await shop.close()


async def test_what_happens_is_heard_signed_and_once_more_when_it_was_refused(shop: Shop, receiver: Receiver) -> None:
    made = await ask(shop.settings, "webhook_create", {"url": f"{receiver.url}/hook", "kinds": ["stock.changed"]})
    receiver.secret = made["secret"]
    number = made["endpoint"]
    tested = await ask(shop.settings, "webhook_test", {"endpoint": number})
    await until(lambda: _has(receiver, 1), "a test event")
    assert receiver.heard[0]["type"] == "webhook.test" and receiver.heard[0]["data"] == {"endpoint": number}
    receiver.status = 500
    from oneshelf.core.stock import Entry
    from oneshelf.stock import ledger

    entry = Entry(key="open:MUG:L1", sku="MUG", location_id="L1", reason="test", on_hand=5)
    await shop.service.writer.do(lambda tx: ledger.post(tx, 1, [entry], 1))
    shop.service.webhooks_bell.ring()

    async def refused() -> bool:
        row = await shop.one("SELECT status, tries FROM webhook_delivery WHERE state = 'WAITING'")
        return row == (500, 1)

    await until(refused, "a refused delivery")
    receiver.status = 200
    await ask(shop.settings, "webhook_replay", {"endpoint": number, "events": [tested["event"] + 1]})
    await until(lambda: _has(receiver, 2), "the event")
    assert receiver.heard[1]["data"] == {"sku": "MUG", "location": "L1"} and receiver.heard[1]["timestamp"].endswith(
        "Z"
    )
    assert receiver.ids[-1] == receiver.ids[-2], "the same message has the same id"

    async def settled() -> bool:
        return await shop.one("SELECT COUNT(*) FROM webhook_delivery WHERE state = 'DONE'") == (2,)

    await until(settled, "both done")


async def _has(receiver: Receiver, count: int) -> bool:
    return len(receiver.heard) >= count


async def test_a_program_manages_its_own_endpoint(shop: Shop, receiver: Receiver) -> None:
    api = await Asking.with_scopes(shop, "webhooks:write")
    made = await api.post("/webhooks/endpoints", {"url": f"{receiver.url}/hook", "about": "erp"}, key="a")
    again = await api.post("/webhooks/endpoints", {"url": f"{receiver.url}/hook", "about": "erp"}, key="a")
    assert again.body == {**made.body, "secret": ""}, "a secret is shown once, and not kept"
    where = f"/webhooks/endpoints/{made.body['endpoint']}"
    changed = await api.ask("PATCH", where, {"kinds": ["task.opened"]})
    assert changed.body["kinds"] == ["task.opened"] and changed.body["about"] == "erp"
    assert (await api.ask("PATCH", where, {"kinds": ["task.eaten"]})).kind == "not-possible"
    assert (await api.ask("PUT", f"{where}/enabled", {"enabled": False})).body["state"] == "DISABLED"
    assert (await api.ask("PUT", f"{where}/enabled", {"enabled": True})).body["state"] == "ACTIVE"
    rotated = await api.post(f"{where}/secret")
    assert rotated.body["secret"].startswith("whsec_") and rotated.body["secret"] != made.body["secret"]
    receiver.secret = made.body["secret"]
    await api.post(f"{where}/test")
    await until(lambda: _has(receiver, 1), "signed by the older secret too")
    assert (await api.get("/webhooks/events")).body["items"][0]["kind"] == "webhook.test"
    assert (await api.get(f"{where}/deliveries")).body["items"][0]["kind"] == "webhook.test"
    assert (await api.post(f"{where}/replay", {"since": "2020-01-01T00:00:00Z"})).body["events"] == 0, "of its kinds"
    assert (await api.ask("DELETE", where)).status == 200
    assert (await api.get(where)).status == 404
    await api.close()


async def test_without_the_setting_a_private_receiver_is_refused(tmp_path: Path, sqlite_migrated: Path) -> None:
    shop = await open_shop(tmp_path / "data", sqlite_migrated)  # channels may be private there, webhooks not
    with pytest.raises(OneshelfError, match="ONESHELF_WEBHOOKS_ALLOW_PRIVATE"):
        await ask(shop.settings, "webhook_create", {"url": "http://127.0.0.1:1/hook"})
    await shop.close()


class Names(AbstractResolver):
    """Every name leads to this address."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[Any]:
        flags = socket.AI_NUMERICHOST
        return [{"hostname": host, "host": self.address, "port": port, "family": family, "proto": 0, "flags": flags}]

    async def close(self) -> None:
        pass


def call_to(url: str) -> Call:
    return Call(1, 1, url, {"content-type": "application/json"}, b"{}")


@pytest.mark.parametrize(
    "url",
    [
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://169.254.169.254/",
        "https://0.0.0.0/",
        "http://example.com/",
    ],
)
async def test_F50_no_form_of_a_private_address_is_called(url: str) -> None:
    http = AioHttp(allow_private=False, max_body=ANSWER_MAX)
    heard = await send(http, call_to(url))
    await http.close()
    assert heard.status == 0
    assert any(word in heard.problem for word in ("private address", "plain http", "not an address")), heard


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1", "::ffff:10.0.0.1"])
async def test_F50_a_name_that_leads_to_a_private_address_is_not_called(address: str) -> None:
    http = AioHttp(allow_private=False, max_body=ANSWER_MAX, resolver=Names(address))
    heard = await send(http, call_to("https://innocent.example.com/"))
    await http.close()
    assert heard.status == 0 and "leads to the private address" in heard.problem, heard


async def test_F50_a_redirect_is_not_followed_and_a_long_answer_not_read(receiver: Receiver) -> None:
    http = AioHttp(allow_private=True, max_body=ANSWER_MAX)
    moved = await send(http, call_to(f"{receiver.url}/elsewhere"))
    assert (moved.status, moved.taken, receiver.ids) == (307, False, [])
    long = await send(http, call_to(f"{receiver.url}/long"))
    assert long.status == 0 and "longer than" in long.problem
    await http.close()
