"""Raw eBay message → facts. Pure.

In: a stored notification or polled order. Out: facts. Never: network. An order notification has no SKU: it only says "read this order".
Source: eBay AsyncAPI contracts of the topics, getTopic answers of 2026-09, read 2026-11.
"""

from __future__ import annotations

from typing import Any

from oneshelf.channels.contract import RawMessage
from oneshelf.channels.ebay.auth import seller_of
from oneshelf.channels.ebay.order import order_seen
from oneshelf.channels.ebay.wire import decoded, inside, objects, text
from oneshelf.core.errors import Unreadable
from oneshelf.core.facts import AccessLost, ErasureAsked, Fact, Ignored, OrderHint

ORDER_TOPICS = {"ORDER_CONFIRMATION", "ITEM_MARKED_SHIPPED", "ORDER_CANCELLATION_ACTIVITY"}

#: Known, and why they say nothing to us.
IGNORED_TOPICS = {
    "ORDER_RETURN_ACTIVITY": "returns move stock only through the hub",
    "ORDER_INQUIRY_ACTIVITY": "an inquiry moves no stock",
    "NEW_MESSAGE": "messages are not ours",
    "LISTING": "listings are read by the catalogue",
    "OFFER_ACTIVITY": "best offers move no stock until they become an order",
}
#: Families of the same kind. Source: getTopics.
IGNORED_FAMILIES = ("FEEDBACK_", "ITEM_", "LISTING_")


def parse(message: RawMessage, user_id: str) -> list[Fact]:
    """Read one message. Raises Unreadable."""
    topic = message.topic
    if topic == "poll:order":
        return [order_seen(message.body)]
    if topic in IGNORED_TOPICS:
        return [Ignored(IGNORED_TOPICS[topic])]
    if topic not in {*ORDER_TOPICS, "MARKETPLACE_ACCOUNT_DELETION", "AUTHORIZATION_REVOCATION"}:
        if topic.startswith(IGNORED_FAMILIES):
            return [Ignored(f"{topic} moves no stock")]
        raise Unreadable(f"eBay notification of an unknown topic: {topic!r}")
    data = inside(decoded(message.body, dict[str, Any], topic), "notification", "data")
    if not isinstance(data, dict):
        raise Unreadable(f"eBay {topic} without data")
    if topic == "MARKETPLACE_ACCOUNT_DELETION":
        return _erasures(data)
    seller = seller_of(data)
    if user_id and seller and seller != user_id:
        raise Unreadable(f"eBay {topic} is about another seller")
    if topic == "AUTHORIZATION_REVOCATION":
        return [AccessLost(text(data.get("revokeReason")) or "the seller withdrew access on eBay")]
    return _hints(topic, data)


def _hints(topic: str, data: dict[str, Any]) -> list[Fact]:
    named = [
        inside(data, "order", "orderId"),
        data.get("orderId"),
        inside(data, "itemMarkedShipped", "orderId"),
        *[line.get("orderId") for line in objects(inside(data, "orderCancellation", "cancellationLineItems"))],
    ]
    orders = list(dict.fromkeys(order for order in map(text, named) if order))
    if not orders:
        raise Unreadable(f"eBay {topic} names no order")
    return [OrderHint(order) for order in orders]


def _erasures(data: dict[str, Any]) -> list[Fact]:
    """Return one a name: orders know a buyer by username, which for some sellers is the immutable user id."""
    names = dict.fromkeys(name for name in (text(data.get("userId")), text(data.get("username"))) if name)
    if not names:
        raise Unreadable("eBay MARKETPLACE_ACCOUNT_DELETION names nobody")
    return [ErasureAsked("erase", name) for name in names]
