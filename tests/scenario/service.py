"""The whole service, as it runs: its own database, its loops, its site on a free port. And what stands around it in tests.

In: a folder. Out: `Shop` (a service with a front door), `Elsewhere` (the channels' addresses for a service without marketplaces),
`Knocking` (messages signed as each channel signs them). Never: decides for the service; looks into it other than by its tables.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from oneshelf.core.instants import to_us
from oneshelf.core.secret import Secret
from oneshelf.db.tx import Tx
from oneshelf.settings import Settings
from oneshelf.tenants.accounts import accounts, add_account, ensure_tenant, save_secret
from oneshelf.web.local import close_door
from oneshelf.web.serve import listen, quiet_server
from oneshelf.wiring import Service

TENANT = 1
SHOPIFY, AMAZON, EBAY, ETSY = 1, 2, 3, 4
#: Whom the accounts of `connected` belong to. Those of eBay, Etsy and Amazon are the ones that the official examples name.
EXTERNAL = {SHOPIFY: "front-door.myshopify.com", AMAZON: "A3TH9S8BH6GOGM-na", EBAY: "ma8vp1jySJC", ETSY: "12345"}
SHOPIFY_SECRET = "shopify-app-secret"
ETSY_KEY = b"an etsy signing key of some bytes"
EBAY_APP = {
    "client_id": "ebay-app",
    "client_secret": "ebay-cert",
    "verification_token": "front-door-verification-token-0123456789",
}
#: So long a test waits for something that should come within a second or two.
WITHIN_S = 20.0


class Shop:
    """One service with its site. It can be stopped and started again at the same address."""

    def __init__(self, settings: Settings, port: int) -> None:
        self.settings = settings
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.service: Service
        self._server: uvicorn.Server
        self._serving: asyncio.Task[None]

    @classmethod
    async def open(cls, folder: Path, **more: Any) -> Shop:
        """Start a new service in `folder`; `more` are settings."""
        sock = listen("127.0.0.1", 0)
        port = sock.getsockname()[1]
        settings = Settings(
            **{
                "data_dir": folder,
                "public_url": f"http://127.0.0.1:{port}",
                "allow_private_endpoints": True,
                "queue_wait_s": 1,
                **more,
            }
        )
        shop = cls(settings, port)
        await shop._start(sock)
        return shop

    async def _start(self, sock: socket.socket) -> None:
        self.service = Service(self.settings)
        await self.service.start()
        self._server = quiet_server(self.service, self.url)
        self._serving = asyncio.ensure_future(self._server.serve(sockets=[sock]))

    async def close(self) -> None:
        """Stop door and service; the folder stays."""
        self._server.should_exit = True
        await self.service.stop()
        await asyncio.wait([self._serving], timeout=5)
        close_door(self.settings)

    async def open_again(self) -> None:
        """Start at the same address with what the folder holds."""
        await self._start(listen("127.0.0.1", self.port))

    # --- what it knows -----------------------------------------------------------------------------------------------------

    async def all(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        return await self.service.writer.do(lambda tx: [tuple(row) for row in tx.all(sql, **values)])

    async def one(self, sql: str, **values: Any) -> tuple[Any, ...] | None:
        rows = await self.all(sql, **values)
        return rows[0] if rows else None

    async def run(self, sql: str, **values: Any) -> None:
        def step(tx: Tx) -> None:
            tx.run(sql, **values)

        await self.service.writer.do(step)

    async def inbox(self, account_id: int | None = None) -> list[tuple[str, str, str]]:
        """Topic, state, note of every message that came by itself, oldest first."""
        rows = await self.all(
            "SELECT account_id, topic, state, note FROM inbox WHERE source IN ('webhook', 'queue') ORDER BY seq"
        )
        return [row[1:] for row in rows if account_id in (None, row[0])]

    async def handled(self, rows: int) -> list[tuple[str, str, str]]:
        """Wait until exactly `rows` messages have come by themselves and none of any kind is new; return them."""

        async def there() -> bool:
            counts = await self.one(
                "SELECT SUM(CASE WHEN source IN ('webhook', 'queue') THEN 1 ELSE 0 END), "
                "SUM(CASE WHEN state = 'NEW' THEN 1 ELSE 0 END) FROM inbox"
            )
            return counts is not None and (counts[0] or 0) >= rows and not counts[1]

        await until(there, f"{rows} messages handled")
        found = await self.inbox()
        assert len(found) == rows, found
        return found

    async def tasks(self) -> list[tuple[str, str, str]]:
        """Kind, subject, why of every open task."""
        return await self.all("SELECT kind, subject, why FROM task WHERE closed_at IS NULL ORDER BY task_no")

    async def lines(self, account_id: int) -> list[tuple[Any, ...]]:
        """Order id, line id, SKU, state, ordered, cancelled, shipped of every line of an account."""
        return await self.all(
            "SELECT order_id, line_id, sku, state, ordered, told_cancelled, told_shipped FROM order_line "
            "WHERE account_id = :a ORDER BY order_id, line_id, sku",
            a=account_id,
        )


async def until(there: Callable[[], Awaitable[Any]], what: str, within_s: float = WITHIN_S) -> Any:
    """Wait until `there` gives something true; return it."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = await there()
        if found:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {within_s:g} s: {what}")


# --- a service without marketplaces --------------------------------------------------------------------------------------


class Elsewhere:
    """What the service calls where no marketplace stands: eBay's tokens and public keys; for all else a page of HTML."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = {}
        self.keys: dict[str, str] = {}
        self.status = 503
        sock = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        routes = [
            Route("/identity/v1/oauth2/token", self._token, methods=["POST"]),
            Route("/commerce/notification/v1/public_key/{kid}", self._public_key),
            Route("/{rest:path}", self._nothing, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]
        config = uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off", access_log=False)
        self._server = uvicorn.Server(config)
        self._server.install_signal_handlers = lambda: None  # type: ignore[method-assign]
        self._serving = asyncio.ensure_future(self._server.serve(sockets=[sock]))

    async def close(self) -> None:
        self._server.should_exit = True
        await asyncio.wait([self._serving], timeout=5)

    def _count(self, what: str) -> None:
        self.asked[what] = self.asked.get(what, 0) + 1

    async def _token(self, request: Request) -> Response:
        self._count("token")
        return JSONResponse({"access_token": "application", "expires_in": 7200, "token_type": "Application"})

    async def _public_key(self, request: Request) -> Response:
        self._count("public_key")
        key = self.keys.get(request.path_params["kid"])
        if key is None:
            error = {"errorId": 195001, "domain": "API_NOTIFICATION", "message": "Invalid or missing public key id."}
            return JSONResponse({"errors": [error]}, 404)
        return JSONResponse({"key": key, "algorithm": "ECDSA", "digest": "SHA1"})

    async def _nothing(self, request: Request) -> Response:
        self._count("else")
        return HTMLResponse("<html><body><h1>Service Unavailable</h1></body></html>", self.status)


async def connected(shop: Shop, elsewhere: Elsewhere, queue: dict[str, str] | None = None) -> None:
    """Put one account of each channel into the books, as if connected and live, and start its loops. Nobody answers for them."""
    url = elsewhere.url
    settings: dict[int, tuple[str, dict[str, str], dict[str, str], dict[str, str]]] = {
        SHOPIFY: (
            "shopify",
            {"shop": EXTERNAL[SHOPIFY], "endpoint": url},
            {"access_token": "shpat_x"},
            {"client_id": "c", "client_secret": SHOPIFY_SECRET},
        ),
        AMAZON: (
            "amazon",
            {
                "seller_id": "A3TH9S8BH6GOGM",
                "marketplace_ids": "ATVPDKIKX0DER",
                "endpoint": url,
                "token_url": f"{url}/auth/o2/token",
                **(queue or {}),
            },
            {"client_id": "c", "client_secret": "s", "refresh_token": "r"},
            {"client_id": "c", "client_secret": "s", "aws_access_key_id": "t", "aws_secret_access_key": "t"},
        ),
        EBAY: (
            "ebay",
            {"marketplace_id": "EBAY_US", "endpoint": url, "apiz_endpoint": url},
            {"client_id": "ebay-app", "client_secret": "ebay-cert", "refresh_token": "r", "access_token": "t"},
            EBAY_APP,
        ),
        ETSY: (
            "etsy",
            {"shop_id": "12345", "endpoint": url, "token_url": f"{url}/v3/public/oauth/token"},
            {"keystring": "k", "shared_secret": "s", "access_token": "1.t", "refresh_token": "1.r"},
            {"webhook_secret": "whsec_" + base64.b64encode(ETSY_KEY).decode()},
        ),
    }
    now = to_us(shop.service.clock.now())
    years_ago = now - 10 * 365 * 86_400_000_000  # the official examples are old: they must be orders, not history

    def store(tx: Tx) -> None:
        ensure_tenant(tx, TENANT, "Front door", now)
        for account_id, (channel, plain, secret, app) in settings.items():
            made = add_account(
                tx,
                TENANT,
                channel=channel,
                external_id=EXTERNAL[account_id],
                label=channel.title(),
                settings=plain,
                currency="USD",
                now=now,
            )
            assert made == account_id
            sealer = shop.service.sealer
            save_secret(tx, sealer, TENANT, account_id, "account", Secret(values=secret), None, now)
            save_secret(tx, sealer, TENANT, account_id, "app", Secret(values=app), None, now)
        tx.run(
            "UPDATE account SET state = 'LIVE', live_at = :then, opened_at = CASE WHEN channel = 'shopify' THEN :then END "
            "WHERE tenant_id = 1",
            then=years_ago,
        )
        tx.run("INSERT INTO location (tenant_id, location_id, name) VALUES (1, 'gid://shopify/Location/1', 'Shelf')")

    await shop.service.writer.do(store)
    for row in await shop.service.writer.do(lambda tx: accounts(tx, TENANT)):
        await shop.service.run_account(row)


async def on_sale(shop: Shop, account_id: int, key: str, sku: str, *, state: str = "live") -> int:
    """Put one listing of a SKU up; `key` is how its orders name it. Returns the outlet's id."""
    from oneshelf.channels.contract import ListingFound
    from oneshelf.listings import links

    name = key.partition(":")[2]
    found = ListingFound(
        outlet_external_id=name,
        write_unit=name,
        listing_keys=(key,),
        sku=sku,
        title=sku,
        quantity=5,
        state=state,  # type: ignore[arg-type]
    )

    def step(tx: Tx) -> int:
        now = to_us(shop.service.clock.now())
        tx.run(
            "INSERT INTO item (tenant_id, sku, title, variant_id, item_id) VALUES (1, :s, :s, :v, :i) "
            "ON CONFLICT (tenant_id, sku) DO NOTHING",
            s=sku,
            v=f"gid://shopify/ProductVariant/{sku}",
            i=f"gid://shopify/InventoryItem/{sku}",
        )
        links.keep_listings(tx, TENANT, account_id, [found], now)
        row = tx.one("SELECT outlet_id FROM outlet WHERE account_id = :a AND external_id = :e", a=account_id, e=name)
        assert row is not None
        links.link(tx, TENANT, int(row[0]), {sku: 1}, now, by="a test")
        return int(row[0])

    return await shop.service.writer.do(step)


# --- messages as the channels sign them ------------------------------------------------------------------------------------


class Knocking:
    """Sends messages to a shop's front door."""

    def __init__(self, shop: Shop, elsewhere: Elsewhere) -> None:
        self.shop = shop
        self.asked = elsewhere.asked
        self.http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.kid = "0f4ddc46-6b3c-4f18-8c32-9f1a8f5b8e0a"
        pem = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        elsewhere.keys[self.kid] = pem.decode().replace("\n", "")  # eBay gives it on one line
        self._count = 0

    async def close(self) -> None:
        await self.http.close()

    def fresh(self) -> str:
        self._count += 1
        return f"00000000-0000-4000-8000-{self._count:012d}"

    async def post(self, channel: str, body: bytes, headers: dict[str, str]) -> int:
        """POST and return the status. Never follows a redirect.

        A kept connection may be closed by the door in the moment in which it is used again: then it is delivered again, as every
        channel does.
        """
        url = f"{self.shop.url}/webhooks/{channel}"
        for again in (True, False):
            try:
                async with self.http.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                    await answer.read()
                    return answer.status
            except aiohttp.ClientConnectionError:
                if not again:
                    raise
        raise AssertionError("never reached")

    def shopify_headers(
        self, topic: str, body: bytes, *, delivery: str | None = None, shop: str = EXTERNAL[SHOPIFY]
    ) -> dict[str, str]:
        mac = hmac.new(SHOPIFY_SECRET.encode(), body, hashlib.sha256).digest()
        return {
            "Content-Type": "application/json",
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-Sha256": base64.b64encode(mac).decode(),
            "X-Shopify-Shop-Domain": shop,
            "X-Shopify-API-Version": "2026-10",
            "X-Shopify-Webhook-Id": delivery or self.fresh(),
        }

    async def shopify(self, topic: str, body: bytes, **how: Any) -> int:
        return await self.post("shopify", body, self.shopify_headers(topic, body, **how))

    def etsy_headers(self, body: bytes, *, delivery: str | None = None, age_s: float = 0) -> dict[str, str]:
        delivery = delivery or f"msg_{self.fresh()}"
        stamp = str(int(time.time() - age_s))
        mac = hmac.new(ETSY_KEY, f"{delivery}.{stamp}.".encode() + body, hashlib.sha256).digest()
        return {
            "Content-Type": "application/json",
            "webhook-id": delivery,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
        }

    async def etsy(self, body: bytes, **how: Any) -> int:
        return await self.post("etsy", body, self.etsy_headers(body, **how))

    def ebay_headers(self, body: bytes, *, kid: str | None = None) -> dict[str, str]:
        signature = base64.b64encode(self.key.sign(body, ec.ECDSA(hashes.SHA1()))).decode()
        told = {"alg": "ecdsa", "kid": kid or self.kid, "signature": signature, "digest": "SHA1"}
        header = base64.b64encode(json.dumps(told).encode()).decode()
        return {"Content-Type": "application/json", "X-EBAY-SIGNATURE": header}

    async def ebay(self, body: bytes, **how: Any) -> int:
        return await self.post("ebay", body, self.ebay_headers(body, **how))


def ebay_notice(topic: str, data: dict[str, Any], notification_id: str) -> bytes:
    """The envelope of eBay's AsyncAPI contracts, compact as eBay sends it."""
    notice = {
        "notificationId": notification_id,
        "eventDate": "2026-07-01T10:00:00.000Z",
        "publishDate": "2026-07-01T10:00:01.000Z",
        "publishAttemptCount": 1,
        "data": data,
    }
    metadata = {"topic": topic, "schemaVersion": "1.0", "deprecated": False}
    return json.dumps({"metadata": metadata, "notification": notice}, separators=(",", ":")).encode()
