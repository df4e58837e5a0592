"""eBay's Commerce Notification API: config, destinations with their challenge, subscriptions, signed messages.

In: registrations; events of the seller's orders and account. Out: parcels for the courier, signed by ECDSA over SHA-1.
Never: sends to a destination that did not answer the challenge, or that was marked down.
Source: Commerce Notification v1.6.7; https://developer.ebay.com/marketplace-account-deletion; getTopic answers 2026-09-30.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ..courier import Parcel
from ..world import World
from .formats import instant
from .oauth import ROOT, Access
from .refused import Refused

#: topicId -> (scope, schema versions, scopes a user token needs one of). Source: getTopic answers, 2026-09-30.
TOPICS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "ORDER_CONFIRMATION": ("USER", ("1.0", "1.1"), (f"{ROOT}/sell.fulfillment", f"{ROOT}/sell.fulfillment.readonly")),
    "ITEM_MARKED_SHIPPED": ("USER", ("1.0",), (f"{ROOT}/commerce.shipping",)),
    "ORDER_CANCELLATION_ACTIVITY": ("USER", ("1.0",), (f"{ROOT}/sell.cancellation.read", f"{ROOT}/sell.cancellation")),
    "ORDER_RETURN_ACTIVITY": ("USER", ("1.0",), (f"{ROOT}/sell.return.read", f"{ROOT}/sell.return")),
    "ORDER_INQUIRY_ACTIVITY": ("USER", ("1.0",), (f"{ROOT}/sell.inquiry.read", f"{ROOT}/sell.inquiry")),
    "MARKETPLACE_ACCOUNT_DELETION": ("APPLICATION", ("1.0",), (ROOT,)),
    "AUTHORIZATION_REVOCATION": ("APPLICATION", ("1.0",), (ROOT,)),
}
#: Waits before the second and third try, seconds. eBay does not publish them.
RETRY_S = (10.0, 60.0)
ATTEMPTS = 1 + len(RETRY_S)
ACKS = frozenset({200, 201, 202, 204})
VERIFICATION_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,80}")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
#: GETs an address: (status, content type, body). HTTP in production, an ASGI app in process.
Fetch = Callable[[str], Awaitable[tuple[int, str, bytes]]]


@dataclass
class Destination:
    destination_id: str
    name: str
    status: str
    endpoint: str
    verification_token: str
    dead_in_a_row: int = 0


@dataclass
class Subscription:
    subscription_id: str
    topic_id: str
    status: str
    destination_id: str
    schema_version: str
    created_at: datetime


class Notifications:
    """The notification side of one application."""

    def __init__(self, world: World, rng: random.Random, switches: Mapping[str, Any]) -> None:
        self.world = world
        self.rng = rng
        self.switches = switches
        self.fetch: Fetch = fetch_http
        self.alert_email: str | None = None
        self.destinations: dict[str, Destination] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.kid = self._uuid()
        secret = rng.randrange(1, 2**255)
        self._key = ec.derive_private_key(secret, ec.SECP256R1())

    # --- registration -------------------------------------------------------------------------------------------

    def need_config(self) -> None:
        if self.alert_email is None:
            raise Refused(195003)

    def set_config(self, alert_email: Any) -> None:
        if not isinstance(alert_email, str) or not EMAIL.fullmatch(alert_email):
            raise Refused(195025)
        self.alert_email = alert_email

    async def put_destination(self, body: Mapping[str, Any], old: Destination | None = None) -> Destination:
        """Create a destination, or replace `old`, after the challenge. Raises Refused."""
        self.need_config()
        delivery = body.get("deliveryConfig")
        delivery = delivery if isinstance(delivery, dict) else {}
        endpoint, token, name = delivery.get("endpoint"), delivery.get("verificationToken"), body.get("name", "")
        if body.get("status") not in ("ENABLED", "DISABLED"):
            raise Refused(195018)
        if not isinstance(name, str) or len(name) > 64 or "<" in name:
            raise Refused(195016)
        if not isinstance(endpoint, str) or not self._is_endpoint(endpoint):
            raise Refused(195017)
        if not isinstance(token, str) or not VERIFICATION_TOKEN.fullmatch(token):
            raise Refused(195019)
        if any(each.endpoint == endpoint and each is not old for each in self.destinations.values()):
            raise Refused(195021)
        await self._challenge(endpoint, token)
        destination = Destination(old.destination_id if old else self._uuid(), name, body["status"], endpoint, token)
        self.destinations[destination.destination_id] = destination
        return destination

    def delete_destination(self, destination: Destination) -> None:
        if any(each.destination_id == destination.destination_id for each in self.subscriptions.values()):
            raise Refused(195024)
        del self.destinations[destination.destination_id]

    def subscribe(self, body: Mapping[str, Any], access: Access) -> Subscription:
        """Create a subscription. One an application, topic and schema version. Raises Refused."""
        self.need_config()
        topic_id = body.get("topicId")
        if not isinstance(topic_id, str) or topic_id not in TOPICS:
            raise Refused(195002, status=400)
        self.check_token(topic_id, access)
        status, destination_id, version = self._judge(body, topic_id)
        if any(s.topic_id == topic_id and s.schema_version == version for s in self.subscriptions.values()):
            raise Refused(195012)
        now = self.world.clock.now()
        subscription = Subscription(self._uuid(), topic_id, status, destination_id, version, now)
        self.subscriptions[subscription.subscription_id] = subscription
        return subscription

    def update(self, subscription: Subscription, body: Mapping[str, Any]) -> None:
        """Replace status, destination and payload of a subscription. Raises Refused."""
        status, destination_id, version = self._judge(body, subscription.topic_id)
        subscription.status, subscription.destination_id = status, destination_id
        subscription.schema_version = version

    def enable(self, subscription: Subscription) -> None:
        if self.destinations[subscription.destination_id].status != "ENABLED":
            raise Refused(195015)
        subscription.status = "ENABLED"

    def check_token(self, topic_id: str, access: Access) -> None:
        """A USER topic needs a user token with one of its scopes, an APPLICATION topic an application token."""
        scope, _, needed = TOPICS[topic_id]
        fits = access.kind == scope.lower() and bool(access.scopes & set(needed))
        if not fits:
            raise Refused(195011)

    def _judge(self, body: Mapping[str, Any], topic_id: str) -> tuple[str, str, str]:
        payload = body.get("payload")
        payload = payload if isinstance(payload, dict) else {}
        destination_id = body.get("destinationId")
        if body.get("status") not in ("ENABLED", "DISABLED"):
            raise Refused(195006)
        if not isinstance(destination_id, str) or destination_id not in self.destinations:
            raise Refused(195007)
        if payload.get("schemaVersion") not in TOPICS[topic_id][1]:
            raise Refused(195008)
        if payload.get("format") != "JSON":
            raise Refused(195009)
        if payload.get("deliveryProtocol") != "HTTPS":
            raise Refused(195010)
        if body["status"] == "ENABLED" and self.destinations[destination_id].status != "ENABLED":
            raise Refused(195015)
        return body["status"], destination_id, payload["schemaVersion"]

    def _is_endpoint(self, endpoint: str) -> bool:
        """https only; plain http is let through for this machine and for names that end in .test."""
        parts = urlsplit(endpoint)
        host = parts.hostname or ""
        here = host in ("localhost", "127.0.0.1", "::1") or host.endswith(".test")
        return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and here))

    async def _challenge(self, endpoint: str, token: str) -> None:
        code = f"{self.rng.getrandbits(128):032x}"
        glue = "&" if "?" in endpoint else "?"
        expected = hashlib.sha256(f"{code}{token}{endpoint}".encode()).hexdigest()
        try:
            status, content_type, body = await self.fetch(f"{endpoint}{glue}challenge_code={quote(code)}")
            answer = json.loads(body.decode("utf-8"))  # a byte order mark is refused here
            said = answer.get("challengeResponse") if isinstance(answer, dict) else None
        except Exception:
            raise Refused(195020) from None
        if status != 200 or content_type.split(";")[0].strip() != "application/json" or said != expected:
            raise Refused(195020)

    # --- sending ------------------------------------------------------------------------------------------------

    def emit(self, topic_id: str, data: Mapping[str, Any]) -> None:
        """Send `data` to every enabled subscription of a topic."""
        for subscription in list(self.subscriptions.values()):
            if subscription.topic_id == topic_id and subscription.status == "ENABLED":
                self.send(subscription, data)

    def send(self, subscription: Subscription, data: Mapping[str, Any]) -> str:
        """Send one message and return its notificationId. Each try carries its own attempt count and signature."""
        destination = self.destinations[subscription.destination_id]
        notification_id = self._uuid()
        if destination.status != "ENABLED":
            return notification_id
        event_at = self.world.clock.now()
        tries = 0

        def message(attempt: int) -> bytes:
            notification = {
                "notificationId": notification_id,
                "eventDate": instant(event_at),
                "publishDate": instant(self.world.clock.now()),
                "publishAttemptCount": attempt,
                "data": data,
            }
            metadata = {
                "topic": subscription.topic_id,
                "schemaVersion": subscription.schema_version,
                "deprecated": False,
            }
            return json.dumps({"metadata": metadata, "notification": notification}, separators=(",", ":")).encode()

        async def carry(url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> int:
            nonlocal tries
            tries += 1
            if self.world.courier.deliver is None:
                return 0
            raw = message(min(tries, ATTEMPTS))
            status = await self.world.courier.deliver(url, self.headers(raw), raw, timeout_s)
            return status if status in ACKS else 0

        raw = message(1)
        self.world.courier.send(
            Parcel(
                channel="ebay",
                topic=subscription.topic_id,
                url=destination.endpoint,
                headers=self.headers(raw),
                body=raw,
                ladder=RETRY_S,
                carry=carry,
                on_dead=lambda: self._dead(destination),
                on_delivered=lambda: setattr(destination, "dead_in_a_row", 0),
            )
        )
        return notification_id

    def headers(self, raw: bytes) -> dict[str, str]:
        """Return the headers of a message: x-ebay-signature is base64 of JSON with an ECDSA signature over `raw`."""
        signature = base64.b64encode(self._key.sign(raw, ec.ECDSA(hashes.SHA1()))).decode()
        fields = {"alg": "ecdsa", "kid": self.kid, "signature": signature, "digest": "SHA1"}
        text = json.dumps(fields, separators=(",", ":")).encode()
        return {"content-type": "application/json", "x-ebay-signature": base64.b64encode(text).decode()}

    def public_key(self, kid: str) -> dict[str, str]:
        """Return a PublicKey document: the PEM on one line. Raises Refused 195001."""
        if kid != self.kid:
            raise Refused(195001)
        pem = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {"key": pem.decode().replace("\n", ""), "algorithm": "ECDSA", "digest": "SHA1"}

    def _dead(self, destination: Destination) -> None:
        destination.dead_in_a_row += 1
        self.world.note("ebay", "webhook_dead", destination_id=destination.destination_id)
        if destination.dead_in_a_row >= int(self.switches["mark_down_after"]):
            destination.status = "MARKED_DOWN"

    def _uuid(self) -> str:
        digits = f"{self.rng.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


async def fetch_http(url: str) -> tuple[int, str, bytes]:
    """GET `url` over HTTP; eBay waits a few seconds."""
    import aiohttp

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session, session.get(url) as answer:
        return answer.status, answer.headers.get("content-type", ""), await answer.read()
