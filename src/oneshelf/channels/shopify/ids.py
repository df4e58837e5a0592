"""The forms of Shopify's ids that we use. Pure.

Orders, lines, fulfilments, refund lines, customers: the number as a string ("5600000000001"), the same in webhooks and GraphQL.
Locations, inventory items, variants, products: the whole gid, because the contract says so for locations, and levels hang on it.
An outlet: "<inventory item gid>|<location gid>".

Numbers in webhook JSON are exact on the wire, but a reader in between may have rounded them above 2^53; where a payload also has
`admin_graphql_api_id`, that wins. Source: Shopify webhook payload samples 2026-07, read 2026-11.
"""

from __future__ import annotations

_PREFIX = "gid://shopify/"


def gid(kind: str, value: object) -> str:
    """Return the gid of a number or of a gid.

    >>> gid("Order", 12), gid("Order", "gid://shopify/Order/12")
    ('gid://shopify/Order/12', 'gid://shopify/Order/12')
    """
    text = str(value)
    return text if text.startswith("gid://") else f"{_PREFIX}{kind}/{text}"


def number(value: object) -> str | None:
    """Return the number in a gid (or a plain number) as a string, None if there is none.

    >>> number("gid://shopify/LineItem/7"), number(7), number("gid://shopify/Job/a-b"), number(None)
    ('7', '7', None, None)
    """
    if value is None or isinstance(value, bool):
        return None
    text = str(value).rsplit("/", 1)[-1].split("?", 1)[0]
    return text if text.isascii() and text.isdigit() else None


def exact(numeric: object, graphql_id: object) -> str | None:
    """Return an id's number from a webhook, from its gid where it has one."""
    return number(graphql_id) or number(numeric)


def outlet(item_id: str, location_id: str) -> str:
    """Return the outlet's own key."""
    return f"{item_id}|{location_id}"


def split_outlet(external_id: str) -> tuple[str, str | None]:
    """Return (item gid, location gid or None: all of them)."""
    item, _, location = external_id.partition("|")
    return gid("InventoryItem", item), gid("Location", location) if location else None
