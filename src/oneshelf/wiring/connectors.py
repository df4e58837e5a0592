"""Which connectors there are: the only place that knows them all.

In: a channel's name and an account's settings. Out: its connector. Never: an account, a call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from oneshelf.channels import amazon, ebay, etsy, shopify
from oneshelf.channels.abilities import SignsIn
from oneshelf.channels.contract import Channel
from oneshelf.core.ids import ChannelName

CONNECTORS: dict[ChannelName, Callable[[Mapping[str, str]], Channel]] = {
    ChannelName.SHOPIFY: shopify.connect,
    ChannelName.AMAZON: amazon.connect,
    ChannelName.EBAY: ebay.connect,
    ChannelName.ETSY: etsy.connect,
}

#: How a merchant signs in to each channel in the browser, where its connector can do that.
SIGN_INS: dict[str, SignsIn] = {
    module.__name__.rsplit(".", 1)[-1]: module.SIGN_IN
    for module in (shopify, amazon, ebay, etsy)
    if hasattr(module, "SIGN_IN")
}


def build_channel(channel: str, settings: Mapping[str, str]) -> Channel:
    """Return the connector of one account. Raises ValueError naming the setting that is wrong."""
    return CONNECTORS[ChannelName(channel)](settings)
