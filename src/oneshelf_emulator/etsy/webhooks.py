"""Etsy's webhooks: one endpoint an app, thin flat bodies, Standard Webhooks signatures.

In: events of the shop. Out: parcels for the courier; each try carries its own timestamp and signature.
Never: lets a client register (that is done by hand in the developer site).
Source: https://developers.etsy.com/documentation/essentials/webhooks, read 2026-11; etsy/open-api #1509 #1564 #1747.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Mapping
from typing import Any

from ..courier import Parcel
from ..world import World

EVENTS = frozenset(
    {
        "order.paid", "order.canceled", "order.shipped", "order.delivered",
        "inventory.created", "inventory.updated", "inventory.deleted", "inventory.out_of_stock",
        "listing.created", "listing.updated", "listing.deleted",
    }
)  # fmt: skip
#: Wait before each further try, seconds: "at once, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h".
LADDER_S = (0.0, 5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 36000.0)
LOG_LENGTH_MAX = 20_000


class Webhooks:
    """The endpoint that the developer set in the site, and what was sent to it."""

    def __init__(self, world: World, rng: random.Random, switches: Mapping[str, Any]) -> None:
        self.world = world
        self.rng = rng
        self.switches = switches
        self.url: str | None = None
        self.events: frozenset[str] = frozenset()
        self.secret = "whsec_" + base64.b64encode(rng.randbytes(32)).decode()
        self.sent: dict[str, tuple[str, bytes]] = {}  # webhook-id -> (event, body), for replay by hand

    def set(self, url: str | None, events: frozenset[str]) -> None:
        """Choose the endpoint and its events. Raises ValueError for a personal app or an unknown event."""
        if self.switches["app_kind"] != "commercial":
            raise ValueError("webhooks exist only for commercial apps")
        if events - EVENTS:
            raise ValueError(f"unknown events: {', '.join(sorted(events - EVENTS))}")
        self.url, self.events = url, events

    def emit(self, event: str, path: str, shop_id: int) -> None:
        """Send `event` about the resource at `path` (from /v3 on), if the endpoint asked for it."""
        if self.url is None or event not in self.events:
            return
        body = {
            "event_type": event,
            "resource_url": f"{self.switches['resource_host']}{path}",
            "shop_id": str(shop_id) if self.switches["webhook_shop_id"] == "string" else shop_id,
        }
        webhook_id = f"msg_{self.rng.getrandbits(96):024x}"
        raw = json.dumps(body, separators=(",", ":")).encode()
        if len(self.sent) >= LOG_LENGTH_MAX:
            self.sent.pop(next(iter(self.sent)))
        self.sent[webhook_id] = (event, raw)
        self._post(webhook_id, event, raw)

    def replay(self, webhook_id: str) -> None:
        """Send one message once more, as the developer can in the site. Raises ValueError for an unknown id."""
        if webhook_id not in self.sent:
            raise ValueError(f"no message {webhook_id} was sent")
        event, raw = self.sent[webhook_id]
        self._post(webhook_id, event, raw)

    def sign(self, webhook_id: str, timestamp: int, body: bytes) -> str:
        """Return the webhook-signature header."""
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        text = f"{webhook_id}.{timestamp}.".encode() + body
        signature = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
        return signature if self.switches["webhook_signature"] == "bare" else f"v1,{signature}"

    def _headers(self, webhook_id: str, body: bytes) -> dict[str, str]:
        timestamp = int(self.world.clock.now().timestamp())
        return {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": self.sign(webhook_id, timestamp, body),
        }

    def _post(self, webhook_id: str, event: str, raw: bytes) -> None:
        if self.url is None:
            return

        async def carry(url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> int:
            """Deliver one try, signed at its own time: a receiver refuses timestamps that are 5 minutes old."""
            if self.world.courier.deliver is None:
                return 0
            return await self.world.courier.deliver(url, self._headers(webhook_id, body), body, timeout_s)

        parcel = Parcel(
            channel="etsy",
            topic=event,
            url=self.url,
            headers=self._headers(webhook_id, raw),
            body=raw,
            ladder=LADDER_S,
            carry=carry,
            on_dead=lambda: self.world.note("etsy", "webhook_dead", event=event, webhook_id=webhook_id),
        )
        self.world.courier.send(parcel)
