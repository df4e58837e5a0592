"""What comes out of our SQS queue: the notification in the body, whom it is about, and its inbox key.

In: one SQS message body, as SP-API put it there or as an EventBridge rule forwarded it (`detail`). Out: a RawMessage for the inbox and
a `QueueClaim`. Pure; never the queue itself (that loop is intake's).
Amazon writes its envelope in two spellings: PascalCase for orders, listings, FBA inventory, transactions; camelCase for feeds, reports,
inventory events. Keys are therefore looked up without regard to case.
Source: Amazon notification schemas, commit 34dc93f; page "Set up notifications (Amazon SQS / EventBridge)", read 2026-11.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import msgspec

from oneshelf.channels.amazon.marketplaces import MARKETPLACES
from oneshelf.channels.contract import RawMessage
from oneshelf.core.errors import Unreadable

#: The AWS account that SP-API sends from; our queue's policy must let it in. Source: page "Set up notifications (Amazon SQS)".
NOTIFICATIONS_ACCOUNT = "437568002678"
UNREADABLE_TOPIC = "queue:unreadable"
_MERCHANT_PREFIX = "amzn1.merchant.o."


class QueueClaim(msgspec.Struct, frozen=True):
    """Whom a message says it is about. The queue is ours and its policy lets only Amazon write, so the claim is as good as the policy.

    `seller_id` None: the message names no seller. `region` None: it names no marketplace we know.
    """

    topic: str
    seller_id: str | None
    region: str | None
    notification_id: str | None


class Notification(msgspec.Struct, frozen=True):
    """One notification, its envelope read. `payload` keeps Amazon's own keys."""

    type: str
    payload: dict[str, Any]
    event_time: str | None
    notification_id: str | None


def unwrap(body: bytes) -> Notification:
    """Read the envelope. Raises Unreadable on anything that is not a notification."""
    try:
        body.decode()
        document: Any = msgspec.json.decode(body)
        detail = value_of(document, "detail")
        if detail is not None:
            # An EventBridge rule that forwards only the matched part may have made text of it.
            document = msgspec.json.decode(detail) if isinstance(detail, str) else detail
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as damaged:
        raise Unreadable(f"not readable JSON: {type(damaged).__name__}") from None
    kind, payload = value_of(document, "NotificationType"), value_of(document, "Payload")
    if not isinstance(kind, str) or not kind or not isinstance(payload, dict):
        raise Unreadable("not an SP-API notification: no type or no payload")
    return Notification(
        type=kind.strip().upper(),
        payload=payload,
        event_time=text_of(document, "EventTime"),
        notification_id=text_of(value_of(document, "NotificationMetadata"), "NotificationId"),
    )


def claim(body: bytes) -> QueueClaim:
    """Say whom a message is about. Raises Unreadable."""
    notification = unwrap(body)
    place = MARKETPLACES.get(_deep_text(notification.payload, "MarketplaceId") or "")
    return QueueClaim(
        topic=f"queue:{notification.type}",
        seller_id=_seller_of(notification.payload),
        region=place.region if place else None,
        notification_id=notification.notification_id,
    )


def queue_message(body: bytes, message_id: str, received_at: datetime | None = None) -> RawMessage:
    """Make the inbox row of one SQS message. Never raises: what can't be read is stored too, and parked by `parse` (S4.1).

    The key is the topic and Amazon's NotificationId (SQS ids differ when the same notification is sent again), without one the body's
    SHA-256 (S4.2).
    """
    try:
        notification = unwrap(body)
        topic, key = f"queue:{notification.type}", notification.notification_id
    except Unreadable:
        topic, key = UNREADABLE_TOPIC, None
    return RawMessage(
        topic=topic,
        body=body,
        headers={"sqs-message-id": message_id},
        delivery_key=f"{topic}:{key or hashlib.sha256(body).hexdigest()}",
        fetched_at=received_at,
    )


def value_of(document: Any, name: str) -> Any:
    """Return a key's value without regard to case, None where there is none."""
    if not isinstance(document, dict):
        return None
    if name in document:
        return document[name]
    return next((value for key, value in document.items() if key.lower() == name.lower()), None)


def text_of(document: Any, name: str) -> str | None:
    """Return a key's text; numbers as text; None for blank, null, or a nested thing."""
    value = value_of(document, name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip() or None


def _seller_of(payload: dict[str, Any]) -> str | None:
    named = _deep_text(payload, "SellerId") or _deep_text(payload, "SellingPartnerId")
    if named is None:
        # Vendor accounts ("amzn1.vg.…") are not sellers.
        account_id = _deep_text(payload, "AccountId") or ""
        named = account_id.removeprefix(_MERCHANT_PREFIX) if account_id.startswith(_MERCHANT_PREFIX) else None
    return named


def _deep_text(document: Any, name: str, levels: int = 3) -> str | None:
    """Find a text by its key in the first few levels of a payload, first come first."""
    found = text_of(document, name)
    if found is not None or levels == 0:
        return found
    inner = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    for value in list(inner)[:20]:
        found = _deep_text(value, name, levels - 1)
        if found is not None:
            return found
    return None
