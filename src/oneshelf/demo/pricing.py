"""Prices in a demo: the three marketplaces follow the shop, a merchant changes prices while people buy, and the end is compared.

In: a stage. Out: what was changed, what each marketplace asks. Never: tells a price itself; the service does.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from oneshelf.web.price_commands import run_prices_follow

from .stage import Stage

MARKETPLACES = ("amazon", "ebay", "etsy")
#: How often the merchant changes a price.
CHANGE_EVERY_S = 2.0


async def follow(stage: Stage) -> None:
    """Let the marketplaces' prices follow the shop's, by the way a merchant goes: the preview, then a yes."""
    for one in list(stage.service.running.values()):
        if str(one.channel.name) in MARKETPLACES:
            await run_prices_follow(stage.service, {"account_id": one.account_id, "yes": True})


async def change_now_and_then(stage: Stage, seed: int, changed: dict[str, int]) -> None:
    """Change a price in the shop every CHANGE_EVERY_S until cancelled; `changed`: SKU → its last price, filled as it goes."""
    chance = random.Random(seed)
    products = (await stage.marketplaces.ask("GET", "/products"))["products"]
    while True:
        await asyncio.sleep(CHANGE_EVERY_S)
        product = chance.choice(products)
        minor = round(product["price_minor"] * chance.uniform(0.8, 1.2))
        change = {"channel": "shopify", "action": "set_price", "sku": product["sku"], "price_minor": minor}
        await stage.marketplaces.ask("POST", "/console", change)
        changed[product["sku"]] = minor


def asked(state: dict[str, Any], channel: str) -> dict[str, int]:
    """What a marketplace's own books say of its prices, minor units by SKU, from the emulator's state. Listings without an offer are left
    out."""
    there = state["marketplaces"][channel]
    if channel != "amazon":
        return dict(there["prices"])
    offers = {sku: offer for sku, offer in there["offers"].items() if offer and offer.get("our_price")}
    return {sku: round(offer["our_price"][0]["schedule"][0]["value_with_tax"] * 100) for sku, offer in offers.items()}


def different(changed: dict[str, int], asks: dict[str, dict[str, int]], hidden: set[tuple[str, str]]) -> list[str]:
    """Say which listing does not ask what the shop asks. `hidden`: (channel, SKU) of listings that are told when they are on sale again."""
    return [
        f"{channel} asks {asks[channel][sku]} for {sku}, the shop {minor} (minor units)"
        for sku, minor in sorted(changed.items())
        for channel in MARKETPLACES
        if sku in asks[channel] and asks[channel][sku] != minor and (channel, sku) not in hidden
    ]
