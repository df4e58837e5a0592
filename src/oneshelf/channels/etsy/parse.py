"""Raw Etsy message → facts. Pure.

In: a stored webhook or polled receipt. Out: facts. Never: fetches an address that a message names; it only reads the id out of it.
Source: Etsy developer documentation, essentials/webhooks; github.com/etsy/open-api #1509, #1564, #1747, read 2026-11.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from oneshelf.channels.contract import RawMessage
from oneshelf.channels.etsy.receipt import order_seen
from oneshelf.channels.etsy.wire import decoded, text, whole
from oneshelf.core.errors import Unreadable
from oneshelf.core.facts import CatalogueHint, Fact, Ignored, OrderHint, OutletHint

_RECEIPT = re.compile(r"(?:/v3)?/application/shops/(?P<shop>\d{1,20})/receipts/(?P<id>\d{1,20})")
_LISTING = re.compile(
    r"(?:/v3)?/application/(?:shops/(?P<shop>\d{1,20})/)?listings/(?P<id>\d{1,20})(?:/inventory(?:/.*)?)?"
)

ORDER_EVENTS = {"order.paid", "order.canceled", "order.shipped"}
#: A number of the listing may have moved. `inventory.updated` speaks of price, SKU and state, so the catalogue is read too.
NUMBER_EVENTS = {"inventory.updated", "inventory.out_of_stock"}
CATALOGUE_EVENTS = {"inventory.created", "inventory.updated", "inventory.deleted", "listing.created", "listing.updated"}
IGNORED_EVENTS = {"order.delivered": "delivery moves neither stock nor money"}


def parse(message: RawMessage, shop_id: str) -> list[Fact]:
    """Read one message. Raises Unreadable."""
    topic = message.topic
    if topic == "poll:order":
        return [order_seen(message.body)]
    if topic in IGNORED_EVENTS:
        return [Ignored(IGNORED_EVENTS[topic])]
    if topic in ORDER_EVENTS:
        return [OrderHint(_named(message, _RECEIPT, "receipt_id", shop_id))]
    facts: list[Fact] = []
    if topic in NUMBER_EVENTS:
        facts.append(OutletHint(_named(message, _LISTING, "listing_id", shop_id)))
    if topic in CATALOGUE_EVENTS or topic == "listing.deleted":
        facts.append(
            CatalogueHint(_named(message, _LISTING, "listing_id", shop_id), deleted=topic == "listing.deleted")
        )
    if not facts:
        raise Unreadable(f"Etsy event of an unknown kind: {topic!r}")
    return facts


def _named(message: RawMessage, form: re.Pattern[str], field: str, shop_id: str) -> str:
    """Return the id that the message names, from the path of resource_url if that is of our own form, else from the field."""
    body = decoded(message.body, dict[str, Any], message.topic)
    inner = body.get("data")
    nested: dict[str, Any] = inner if isinstance(inner, dict) else {}
    address = text(body.get("resource_url")) or text(nested.get("resource_url"))
    if address:
        try:
            path = urlsplit(address).path
        except ValueError:
            path = ""
        found = form.fullmatch(path)
        if not found:
            raise Unreadable(f"Etsy {message.topic}: resource_url is not one of ours")
        if shop_id and found["shop"] and found["shop"] != shop_id:
            raise Unreadable(f"Etsy {message.topic}: resource_url names shop {found['shop']}")
        return found["id"]
    number = whole(body.get(field)) or whole(nested.get(field))
    if not number or number < 0:
        raise Unreadable(f"Etsy {message.topic}: names no {field}")
    return str(number)
