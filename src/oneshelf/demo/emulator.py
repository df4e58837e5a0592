"""Starts the marketplaces as a process of their own and speaks to their control door."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Any

import aiohttp

from oneshelf.core.errors import Stop
from oneshelf.onboarding.connect import Entered

START_WITHIN_S = 60.0


class Marketplaces:
    """The emulator process. `urls`: its addresses; `credentials`: what a merchant would have got from each marketplace."""

    def __init__(self, process: asyncio.subprocess.Process, hello: dict[str, Any]) -> None:
        self._process = process
        self.credentials: dict[str, dict[str, Any]] = hello.pop("credentials")
        self.urls: dict[str, str] = hello
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))

    @classmethod
    async def start(
        cls,
        *,
        seed: int,
        factor: float,
        products: int | None = None,
        products_file: str | None = None,
        within_s: float = START_WITHIN_S,
    ) -> Marketplaces:
        """Start it and wait until everything answers. Raises Stop with its last words if it does not, or not `within_s`."""
        args = ["-m", "oneshelf_emulator", "--json", "--seed", str(seed), "--factor", str(factor)]
        if products is not None:
            args += ["--products", str(products)]
        if products_file is not None:
            args += ["--products-file", products_file]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *args,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us: the marketplaces are still needed for the count
        )
        assert process.stdout is not None and process.stderr is not None
        try:
            async with asyncio.timeout(within_s):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself
                process.kill()
            words = (await process.stderr.read()).decode(errors="replace")[-2000:]
            raise Stop(f"The emulated marketplaces did not start. Their last words: {words or '(none)'}")
        marketplaces = cls(process, json.loads(line))
        marketplaces._drains = [  # type: ignore[attr-defined]
            asyncio.ensure_future(_drain(process.stdout)),
            asyncio.ensure_future(_drain(process.stderr)),
        ]
        return marketplaces

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One call at the control door. Raises Stop with what it answered if that is not a yes."""
        async with self._http.request(method, f"{self.urls['control']}/_emulator{path}", json=body) as answer:
            said = await answer.json(content_type=None)
            if answer.status >= 400:
                raise Stop(f"The emulator's control door refused {method} {path}: {said}")
            return said

    async def sales(self) -> list[dict[str, Any]]:
        """Every purchase that a marketplace accepted: the truth that the summary is counted against."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self.ask("GET", f"/sales?since={len(found)}")
            if not page["sales"]:
                return found
            found += page["sales"]

    async def stop(self) -> None:
        await self._http.close()
        if self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(10):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(65536):
        pass


def entered(channel: str, c: dict[str, Any], url: str, factor: float) -> Entered:
    """What a merchant would type to connect this channel, from the credentials that the emulator hands out.

    `factor`: the emulator shortens the marketplaces' durations by it, so we are told the shorter ones.
    """
    quick = {"publish_window_s": str(max(2.0, 120 / factor))} if factor > 1 else {}
    if channel == "shopify":
        keys = {"client_id": c["client_id"], "client_secret": c["client_secret"]}
        return Entered(channel, {"shop": c["shop_domain"], "endpoint": url}, keys, keys)
    if channel == "amazon":
        queue = c["sqs"]
        settings = {
            "seller_id": c["seller_id"],
            "marketplace_ids": ",".join(c["marketplace_ids"]),
            "endpoint": url,
            "token_url": c["token_url"],
            "queue_url": queue["queue_url"],
            "queue_arn": queue["queue_arn"],
            "queue_region": queue["region"],
            "queue_endpoint": queue["endpoint_url"],
            "visibility_delay_s": str(max(1.0, 150 / factor)),
            **quick,
        }
        secret = {name: c[name] for name in ("client_id", "client_secret", "refresh_token")}
        app = {
            "client_id": c["client_id"],
            "client_secret": c["client_secret"],
            "aws_access_key_id": queue["access_key_id"],
            "aws_secret_access_key": queue["secret_access_key"],
        }
        return Entered(channel, settings, secret, app)
    if channel == "ebay":
        settings = {
            "marketplace_id": c["marketplace_id"],
            "alert_email": "alerts@example.com",
            **quick,
            "endpoint": url,
            "apiz_endpoint": url,
            "token_url": c["token_url"],
        }
        secret = {name: c[name] for name in ("client_id", "client_secret", "refresh_token", "ru_name")}
        secret |= {name: c[name] for name in ("signing_jwe", "signing_private_key") if name in c}
        app = {
            "client_id": c["client_id"],
            "client_secret": c["client_secret"],
            "verification_token": "demo-verification-token-0123456789abcdef",
        }
        return Entered(channel, settings, secret, app)
    settings = {"shop_id": str(c["shop_id"]), "endpoint": url, "token_url": c["token_url"], **quick}
    secret = {name: c[name] for name in ("keystring", "shared_secret", "refresh_token", "access_token")}
    return Entered("etsy", settings, secret, {"webhook_secret": c["webhook_secret"]})
