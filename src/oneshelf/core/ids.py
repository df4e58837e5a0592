"""Names of things: channels, tenants, accounts, SKUs, outlets, locations."""

from __future__ import annotations

from enum import StrEnum
from typing import NewType

TenantId = NewType("TenantId", int)
AccountId = NewType("AccountId", int)
Sku = NewType("Sku", str)
#: A hub location's own id (Shopify: `gid://shopify/Location/…`). S0.2
LocationId = NewType("LocationId", str)
OutletId = NewType("OutletId", int)


class ChannelName(StrEnum):
    """A marketplace whose language a connector speaks."""

    __hash__ = str.__hash__  # as the text that it equals, and without a call into Python

    SHOPIFY = "shopify"
    AMAZON = "amazon"
    EBAY = "ebay"
    ETSY = "etsy"


HUB = ChannelName.SHOPIFY

#: Who goes first among orders of the same second: what a cancellation costs the seller there, dearest first. S6.2
CHANNEL_RANK: dict[ChannelName, int] = {
    ChannelName.AMAZON: 0,
    ChannelName.EBAY: 1,
    ChannelName.ETSY: 2,
    ChannelName.SHOPIFY: 3,
}
