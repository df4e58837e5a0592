"""A service with its site and a token, to be asked as a program asks. Used by the tests of the API."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import aiohttp
from tests.scenario.service import Shop
from yarl import URL

from oneshelf.core.instants import to_us
from oneshelf.tenants import api_tokens
from oneshelf.tenants.seal import new_key_file


async def open_shop(folder: Path, sqlite_migrated: Path, **more: Any) -> Shop:
    """Start a service on a copy of an empty, migrated database."""
    os.mkdir(folder)
    shutil.copy(sqlite_migrated, folder / "oneshelf.db")
    new_key_file(folder / "oneshelf.key")
    return await Shop.open(folder, **more)


class Answer(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]

    @property
    def kind(self) -> str:
        """The kind of a problem, "" of anything else."""
        if self.headers.get("content-type", "") != "application/problem+json":
            return ""
        return str(self.body["type"]).removeprefix("urn:oneshelf:problem:")


class Asking:
    """Asks /api/v1 with one token."""

    def __init__(self, shop: Shop, secret: str) -> None:
        self.shop = shop
        self.secret = secret
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))

    @classmethod
    async def with_scopes(cls, shop: Shop, *scopes: str, name: str = "test") -> Asking:
        now = to_us(shop.service.clock.now())
        made = await shop.service.writer.do(
            lambda tx: api_tokens.create(tx, shop.service.tenant_id, name, scopes or ("all",), now, by="a test")
        )
        return cls(shop, made.secret)

    async def close(self) -> None:
        await self._http.close()

    async def ask(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **query: Any
    ) -> Answer:
        """`body`: bytes go as they are, anything else as JSON."""
        sent = {"Authorization": f"Bearer {self.secret}", **(headers or {})}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "text/csv" if path.endswith(".csv") else "application/json")
        address = f"{self.shop.url}/api/v1{path}" + (f"?{urlencode(query)}" if query else "")
        url = URL(address, encoded=True)
        async with self._http.request(method, url, data=data, headers=sent, allow_redirects=False) as answer:
            text = await answer.read()
            return Answer(
                answer.status,
                json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text,
                {name.lower(): value for name, value in answer.headers.items()},
            )

    async def get(self, path: str, **query: Any) -> Answer:
        return await self.ask("GET", path, **query)

    async def post(self, path: str, body: Any = None, *, key: str = "", **query: Any) -> Answer:
        return await self.ask("POST", path, body, headers={"Idempotency-Key": key} if key else None, **query)
