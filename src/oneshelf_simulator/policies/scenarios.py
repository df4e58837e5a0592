"""The six reference days: who buys what and when, how late each channel is heard, what it lets us tell.

In: a scenario's name, a size, a seed. Out: a `World` of plain numbers. Never: imports the product; draws anything after that.
Instants are microseconds since the midnight on which the day begins.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace

SECOND = 1_000_000
DAY_S = 86_400
HUB, AMAZON, EBAY, ETSY = range(4)
NAMES = ("shopify", "amazon", "ebay", "etsy")

#: The whole size: one tenth of it is played unless another is asked for.
SKUS = 10_000
ORDERS_A_DAY = 20_000
FLASH_SKUS = 50
FLASH_AT_S, FLASH_S, FLASH_FACTOR = 43_200, 3_600, 100.0
#: Stock in days of demand; of a flash SKU in parts of what the flash asks for.
STOCK_DAYS = (0.2, 3.0)
FLASH_STOCK = (0.2, 1.2)
#: Gamma noise of a SKU's shares: the shape of each channel's draw.
SHARE_SHAPE = 4.0
#: The hub knows paces within this factor (one sigma).
PACE_SIGMA = math.log(1.35)


@dataclass(frozen=True)
class Channel:
    """Seconds, calls and outlets. `news_s`: a notification takes so long (None: there is none); `lost`: the part of them that never
    comes. `poll_s`, `visible_s`: a poll shows what was bought before it by `visible_s`. `lands_s`: from the yes to the listing.
    `calls_per_s` of reads and of writes each; `per_day` of both together."""

    name: str
    news_s: tuple[float, float] | None
    lost: float
    poll_s: float
    visible_s: float
    calls_per_s: float
    write_batch: int
    read_batch: int
    lands_s: tuple[float, float]
    per_day: int | None = None
    reads_first: bool = False
    #: Whether a cancelled order counts against the seller there.
    marks: bool = True

    @property
    def interval_s(self) -> float:
        return 1.0 / self.calls_per_s


WEBHOOK = (1.0, 5.0)
#: A yes takes this long, and so does a read; a move in the shop takes `lands_s` more.
CALL_S = 0.3
SHOPIFY = Channel("shopify", WEBHOOK, 0.01, 300.0, 0.0, 10.0, 250, 250, (0.2, 1.0), marks=False)
AMAZON_ = Channel("amazon", None, 0.0, 120.0, 10.0, 5.0, 1, 20, (15.0, 120.0))
EBAY_ = Channel("ebay", WEBHOOK, 0.01, 300.0, 0.0, 2.0, 25, 25, (1.0, 10.0))
ETSY_ = Channel("etsy", None, 0.0, 300.0, 5.0, 5.0, 1, 1, (1.0, 5.0), per_day=10_000, reads_first=True)
CHANNELS = (SHOPIFY, AMAZON_, EBAY_, ETSY_)


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    flash: bool = True
    resend: bool = False
    shares: tuple[float, ...] = (0.40, 0.35, 0.15, 0.10)
    channels: tuple[Channel, ...] = CHANNELS


def _all_webhooks() -> tuple[Channel, ...]:
    return tuple(replace(c, news_s=WEBHOOK, lost=0.01, poll_s=300.0, visible_s=0.0) for c in CHANNELS)


def _slow_polls() -> tuple[Channel, ...]:
    """The marketplaces by polls of 5 (eBay), 15 (Amazon) and 10 minutes (Etsy); the hub keeps its webhook."""
    slow = {"amazon": 900.0, "ebay": 300.0, "etsy": 600.0}
    return tuple(replace(c, news_s=None, lost=0.0, poll_s=slow[c.name]) if c.name in slow else c for c in CHANNELS)


SCENARIOS: dict[str, Scenario] = {
    one.name: one
    for one in (
        Scenario("normal", "normal day", flash=False),
        Scenario("flash", "flash"),
        Scenario("resend", "flash + full resend", resend=True),
        Scenario("webhooks", "flash, all webhooks", channels=_all_webhooks()),
        Scenario("amazon", "flash, Amazon-heavy", shares=(0.05, 0.70, 0.15, 0.10)),
        Scenario("polls", "flash, polls 5–15 min", channels=_slow_polls()),
    )
}


@dataclass
class World:
    """One day. `buyers`: (instant, channel, SKU), in order of time. `pace`: pieces a second that the hub believes in, by SKU and channel."""

    scenario: Scenario
    channels: tuple[Channel, ...]
    stock: list[int]
    pace: list[list[float]]
    buyers: list[tuple[int, int, int]]
    flash: list[int] = field(default_factory=list)

    @property
    def skus(self) -> range:
        return range(len(self.stock))


def world_of(scenario: Scenario, seed: int, scale: float) -> World:
    """Draw a day. The same seed gives every policy the same stock and buyers. `scale` 1: 10,000 SKUs and 20,000 orders a day."""
    chance = random.Random(f"{seed}:{scenario.name}:{scale}")
    skus, orders = max(10, round(SKUS * scale)), ORDERS_A_DAY * scale
    whole = math.fsum(1.0 / (place + 1) for place in range(skus))
    # The most popular SKUs are the ones on sale: only so does a flash sell more in its hour than the whole rest of the day, which is
    # what the reference figures show (a fixed buffer loses 11.7 % on a normal day and 5 % with a flash).
    flash = list(range(max(1, round(FLASH_SKUS * scale)))) if scenario.flash else []
    stock, pace, buyers = [], [], []
    for sku in range(skus):
        daily = orders / (sku + 1) / whole
        noisy = [share * chance.gammavariate(SHARE_SHAPE, 1.0 / SHARE_SHAPE) for share in scenario.shares]
        shares = [one / math.fsum(noisy) for one in noisy]
        wanted, span = daily, STOCK_DAYS
        if sku < len(flash):
            wanted, span = daily * FLASH_FACTOR * FLASH_S / DAY_S, FLASH_STOCK
        stock.append(max(1, round(wanted * chance.uniform(*span))))
        pace.append([daily / DAY_S * share * chance.lognormvariate(0.0, PACE_SIGMA) for share in shares])
        times = _times(chance, daily / DAY_S, 0.0, DAY_S)
        if sku < len(flash):
            extra = daily / DAY_S * (FLASH_FACTOR - 1.0)
            times += _times(chance, extra, FLASH_AT_S, FLASH_AT_S + FLASH_S)
        buyers += [(int(t * SECOND), chance.choices(range(4), shares)[0], sku) for t in times]
    buyers.sort()
    return World(scenario, _scaled(scenario.channels, scale), stock, pace, buyers, flash)


def _times(chance: random.Random, per_s: float, start: float, end: float) -> list[float]:
    times: list[float] = []
    t = start
    while True:
        t += chance.expovariate(per_s)
        if t >= end:
            return times
        times.append(t)


def _scaled(channels: tuple[Channel, ...], scale: float) -> tuple[Channel, ...]:
    """A day's budget shrinks with the catalogue; calls a second do not (they are not what is scarce)."""
    return tuple(c if c.per_day is None else replace(c, per_day=max(1, round(c.per_day * scale))) for c in channels)
