"""Webhooks: subscriptions, and the deliveries that changes in the shop set off.

In: `emit` from whatever changes the shop.
Out: signed parcels for the courier, one a subscription.
Never: tells who caused the change: an app's own writes come back to it like everyone's.
Source: contracts sheet shopify section 12; Shopify docs "webhooks: best practices", "https", "delivery structure".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..courier import Parcel
from .protected import redacted
from .records import WebhookSubscription
from .search import Text, compiled

if TYPE_CHECKING:
    from .shop import Shopify

#: Waits between the tries, seconds: 8 retries, doubling, 4 hours in all. The exact times are not published [U].
RETRY_LADDER_S = (56.0, 113.0, 226.0, 452.0, 904.0, 1807.0, 3614.0, 7228.0)
#: Whole time a receiver has for one try, seconds.
TIMEOUT_S = 5.0
#: Read scopes of a topic's resource; any one of them is enough.
_SCOPES = {
    "orders": ("read_orders",),
    "refunds": ("read_orders",),
    "order_transactions": ("read_orders",),
    "returns": ("read_returns",),
    "inventory_levels": ("read_inventory",),
    "inventory_items": ("read_inventory", "read_products"),
    "products": ("read_products",),
    "variants": ("read_products",),
    "fulfillments": ("read_fulfillments", "read_orders"),
    "fulfillment_orders": (
        "read_assigned_fulfillment_orders",
        "read_merchant_managed_fulfillment_orders",
        "read_third_party_fulfillment_orders",
    ),
    "locations": ("read_locations",),
    "customers": ("read_customers",),
}
#: Resources whose quick changes are merged into one message.
_DEBOUNCED = {"orders/updated", "products/update", "inventory_levels/update", "inventory_items/update"}
_RESOURCES = (
    "fulfillment_orders",
    "fulfillment_events",
    "inventory_levels",
    "inventory_items",
    "order_transactions",
    "bulk_operations",
    "inventory_shipments",
    "inventory_transfers",
)


def topic_path(topic: str) -> str:
    """Return the wire name of a topic: `ORDERS_CREATE` is `orders/create`."""
    text = topic.lower()
    for resource in _RESOURCES:
        if text.startswith(resource + "_"):
            return f"{resource}/{text[len(resource) + 1 :]}"
    return text.replace("_", "/", 1)


def missing_scope(topic: str, granted: frozenset[str]) -> str | None:
    """Return the scope that a subscription to `topic` (enum name) lacks, or None."""
    needed = _SCOPES.get(topic_path(topic).split("/")[0], ())
    return None if not needed or granted.intersection(needed) else needed[0]


def address_problem(uri: str | None, allow_loopback_http: bool) -> str | None:
    """Return why a delivery address is refused, or None."""
    if not uri or not uri.strip():
        return "Address can't be blank"
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
    except ValueError:
        return "Address is invalid"
    if parts.scheme == "https" and host:
        return None
    if parts.scheme == "http" and (host in ("localhost", "127.0.0.1", "::1") or host.endswith(".test")):
        return None if allow_loopback_http else "Address protocol http:// is not supported"
    if parts.scheme == "http":
        return "Address protocol http:// is not supported"
    return "Address is invalid"


class Webhooks:
    """Sends what subscribers asked to hear."""

    def __init__(self, shop: Shopify) -> None:
        self.shop = shop
        self._waiting: set[tuple[str, str]] = set()

    def subscriptions(self, topic: str) -> list[WebhookSubscription]:
        """Return the subscriptions to a topic by its wire name."""
        return [each for each in self.shop.store.all(WebhookSubscription) if topic_path(each.topic) == topic]

    def emit(self, topic: str, resource: str, build: Callable[[], Any], *, event_id: str | None = None) -> None:
        """Tell subscribers that `resource` (any stable name of it) changed.

        The payload is built when the message is assembled, `webhook_assembly_s` later: of two quick changes both
        messages may show the second. Until then further changes of a debounced topic are merged into this one.
        """
        if not self.subscriptions(topic):
            return
        key = (topic, resource)
        if topic in _DEBOUNCED and self.shop.switches["webhook_debounce"]:
            if key in self._waiting:
                return
            self._waiting.add(key)
        triggered_at = self.shop.world.clock.now()
        event = event_id or self.shop.store.new_uuid()

        def assemble() -> None:
            self._waiting.discard(key)
            payload = build()
            if payload is not None:
                self._send(topic, redacted(self.shop, payload), triggered_at, event)

        self.shop.later(float(self.shop.switches["webhook_assembly_s"]), assemble)  # type: ignore[arg-type]

    def _send(self, topic: str, payload: dict[str, Any], triggered_at: datetime, event_id: str) -> None:
        for subscription in self.subscriptions(topic):
            if subscription.filter and not _passes(subscription.filter, payload):
                continue
            shown = payload
            if subscription.include_fields:
                shown = {key: value for key, value in payload.items() if key in subscription.include_fields}
            body = json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()
            self.shop.world.courier.send(self._parcel(subscription, topic, body, triggered_at, event_id))

    def _parcel(
        self, subscription: WebhookSubscription, topic: str, body: bytes, triggered_at: datetime, event_id: str
    ) -> Parcel:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Shopify-Captain-Hook",
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-Sha256": self.signature(body),
            "X-Shopify-Shop-Domain": self.shop.domain,
            "X-Shopify-API-Version": str(self.shop.switches["webhook_api_version"]),
            "X-Shopify-Webhook-Id": self.shop.store.new_uuid(),
            "X-Shopify-Event-Id": event_id,
            "X-Shopify-Triggered-At": triggered_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z"),
        }
        if subscription.name:
            headers["X-Shopify-Name"] = subscription.name
        return Parcel(
            channel="shopify",
            topic=topic,
            url=subscription.uri,
            headers=headers,
            body=body,
            ladder=tuple(self.shop.switches["webhook_retry_ladder_s"]),  # type: ignore[arg-type]
            timeout_s=TIMEOUT_S,
            on_dead=lambda: self._give_up(subscription),
        )

    def signature(self, body: bytes) -> str:
        """Return base64(HMAC-SHA256(client secret, raw body))."""
        digest = hmac.new(self.shop.client_secret.encode(), body, hashlib.sha256).digest()
        return base64.b64encode(digest).decode()

    def _give_up(self, subscription: WebhookSubscription) -> None:
        """Remove a subscription made by API after 8 failed retries in a row [C 36]. The app is not told."""
        if self.shop.store.get(WebhookSubscription, subscription.id) is None:
            return
        self.shop.store.drop(subscription)
        self.shop.world.note(
            "shopify", "webhook subscription removed", topic=topic_path(subscription.topic), uri=subscription.uri
        )


def _passes(query: str, payload: dict[str, Any]) -> bool:
    """Apply a subscription's filter to the top-level fields of a payload."""
    values = {key: value for key, value in payload.items() if isinstance(value, str | int | bool)}
    test = compiled(query, frozenset(payload)).test
    return test is None or test({**values, "_text": [Text(())]})
