"""A connector beside its emulated marketplace, in one process and in virtual time, with the official documents listening in.

In: a channel's name. Out: the connector, an `Http` for it, and the marketplace. Every call in both directions is judged (`official`).
"""

from __future__ import annotations

import gzip
import random
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from official import PRESENT, Judge

from oneshelf.channels.contract import Channel, NoAnswer, Request, Response, Secret
from oneshelf.demo.emulator import entered
from oneshelf.wiring import build_channel
from oneshelf_emulator.clock import VirtualClock
from oneshelf_emulator.door import call
from oneshelf_emulator.emulation import Emulation
from oneshelf_emulator.people import Crowd
from oneshelf_emulator.world import Buyer, Product

#: Longer than any lag, pending or processing of the marketplaces.
A_WHILE_S = 4 * 3600.0
#: How long one call takes: calls a second stay within what each marketplace allows.
A_CALL_S = 0.25
CALLBACK = {
    "shopify": "https://shelf.example/webhooks/shopify",
    "ebay": "https://shelf.example/webhooks/ebay",
    "etsy": None,
    "amazon": None,
}

QUEUE = {
    "queue_url": "https://sqs.us-east-1.amazonaws.com/444455556666/orders",
    "queue_arn": "arn:aws:sqs:us-east-1:444455556666:orders",
    "region": "us-east-1",
    "endpoint_url": "",
    "access_key_id": "k",
    "secret_access_key": "s",
}


class Wire:
    """`Http` for one account: signs, renews, sends into the emulator's app, and has every call judged."""

    def __init__(self, name: str, products: list[Product] | None = None, **switches: Any) -> None:
        self.name = name
        self.clock = VirtualClock()
        self.emulation = Emulation(
            seed=3, clock=self.clock, channels=(name,), products=products, switches={name: switches}
        )
        if name == "amazon":
            self.emulation.connect(None, None, QUEUE)
        self.market: Any = self.emulation.marketplaces[name]
        typed = entered(name, self.emulation.credentials()[name], f"http://{name}.test", 1.0)
        self.app_secret = typed.app
        self.settings = dict(typed.settings)
        if name == "amazon":  # listing notices are set up too, so that their calls are judged
            self.settings["event_bridge_account_id"] = self.emulation.credentials()[name]["event_bridge_account_id"]
        self.channel: Channel = build_channel(name, self.settings)
        self.secret = Secret(values=dict(typed.secret))
        self.judge = Judge(name)
        self._crowd = Crowd(random.Random(3), returning_chance=0.0)

    def pass_time(self, seconds: float = A_WHILE_S) -> None:
        """Let the marketplace finish what it is about, in small steps."""
        for _ in range(20):
            self.clock.advance(seconds / 20)

    def buyer(self) -> Buyer:
        return self._crowd.next()

    async def request(self, request: Request) -> Response:
        if not request.bare:
            if self.channel.auth.needs_renewal(self.secret, self.clock.now()):
                self.secret = await self.channel.auth.renew(self, self.secret, self.clock.now())
            request = self.channel.auth.authorized(request, self.secret)
        response = await self.sent(request)
        if request.bare or not self.channel.auth.token_refused(response):
            return response
        self.secret = await self.channel.auth.renew(self, self.secret, self.clock.now())
        return await self.sent(self.channel.auth.authorized(request, self.secret))

    async def lines(self, request: Request, *, line_bytes_max: int, bytes_max: int) -> AsyncIterator[bytes]:
        assert request.bare
        response = await self.sent(request)
        assert response.status == 200
        packed = response.headers.get("content-encoding") == "gzip"
        for line in (gzip.decompress(response.body) if packed else response.body).splitlines():
            yield line

    async def sent(self, request: Request) -> Response:
        self.clock.advance(A_CALL_S)
        address = urlsplit(request.url)
        app = self.emulation.apps[self.name]
        try:
            headers = {"host": address.netloc, **request.headers}
            got = await call(app, request.method, address.path, query=address.query, headers=headers, body=request.body)
        except TimeoutError as error:
            raise NoAnswer("timed out", sent=True) from error
        response = Response(got.status, got.headers, got.body, self.clock.now())
        if PRESENT:
            self.judge.judge(request, response)
        return response
