"""What the channels really show and sell, and the count of what went wrong, by cause.

In: buyers, numbers that land. Out: sales; oversold pieces, sorted; pieces that found no buyer. It counts for itself.
Never: imports the product; asks the keeper what it thinks.

The causes are those of docs/concepts/never-oversell.md. The piece that c sells at t is *window* if not everything sold elsewhere could be
known at c by then: min(heard, due) + TELL_S + c's call interval and processing. Else it is *race* if a write of ours had put pieces back at
that outlet, else *late*.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from .scenarios import CALL_S, HUB, SECOND, World

#: From the news to the number's leaving, seconds.
TELL_S = 5.0
#: For how long pieces that a write has put back may still be sold before somebody should have looked, seconds.
RACE_S = 900.0


@dataclass
class Sale:
    """`heard`: first delivery of its news; `due`: when the next poll had to show it."""

    sku: int
    channel: int
    at: int
    heard: int
    due: int
    oversold: str = ""


@dataclass
class Count:
    """Of one day. `buyers` = `sold` + `oversold` + `turned_away`; `stock` = `sold` + `left`. `best`: what who knows the future sells."""

    buyers: int = 0
    sold: int = 0
    turned_away: int = 0
    stock: int = 0
    left: int = 0
    best: int = 0
    oversold: Counter[str] = field(default_factory=Counter)
    marks: int = 0
    writes: int = 0
    calls: int = 0

    @property
    def lost(self) -> int:
        """Pieces that lay there, were wanted, and were not sold."""
        return self.best - self.sold


class Market:
    """Four channels that sell by themselves. `shown[c][sku]`."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.shown = [[0] * len(world.stock) for _ in world.channels]
        self.sales: list[list[Sale]] = [[] for _ in world.stock]
        self.wanted = [0] * len(world.stock)
        self.writes = 0
        self.calls = 0
        self._news = random.Random(f"{seed}:news")
        self._landing = random.Random(f"{seed}:landing")
        self._lands_at: dict[tuple[int, int], int] = {}
        self._put_back: dict[tuple[int, int], int] = {}

    # --- buyers -------------------------------------------------------------------------------------------------------

    def buy(self, at: int, channel: int, sku: int) -> Sale | None:
        """Somebody wants one there, and gets it if it is shown."""
        self.wanted[sku] += 1
        lateness = (
            self._news.random(),
            self._news.random(),
        )  # drawn for every buyer, so that policies do not shift each other's chance
        if self.shown[channel][sku] <= 0:
            return None
        self.shown[channel][sku] -= 1
        heard, due = self._heard(at, channel, *lateness)
        sale = Sale(sku, channel, at, heard, due)
        sold = self.sales[sku]
        if len(sold) >= self.world.stock[sku]:
            sale.oversold = self._cause(sale, self.world.stock[sku] - len(sold) - 1)
        sold.append(sale)
        return sale

    def _heard(self, at: int, channel: int, lost: float, late: float) -> tuple[int, int]:
        c = self.world.channels[channel]
        due = self.polled_at(channel, at + round(c.visible_s * SECOND))
        if c.news_s is None or lost < c.lost:
            return due, due
        low, high = c.news_s
        return min(due, at + round((low + (high - low) * late) * SECOND)), due

    def polled_at(self, channel: int, after: int) -> int:
        """Return when the next poll of a channel is, at `after` or later. Each has its own phase."""
        every = round(self.world.channels[channel].poll_s * SECOND)
        phase = every * channel // len(self.world.channels)
        return after + (phase - after) % every

    # --- what is told -------------------------------------------------------------------------------------------------

    def land_at(self, channel: int, sku: int, answered: int) -> int:
        """Draw when a write that was just taken lands: after those that were taken before."""
        low, high = self.world.channels[channel].lands_s
        at = answered + round(self._landing.uniform(low, high) * SECOND)
        at = max(at, self._lands_at.get((channel, sku), 0) + 1)
        self._lands_at[(channel, sku)] = at
        return at

    def land(self, channel: int, sku: int, quantity: int, sent: int, base_at: int, now: int) -> None:
        """An absolute number lands: what was sold here since its base and was not heard when it was sent is on sale again."""
        overwritten = sum(
            sale.channel == channel and sale.heard > sent and sale.at > base_at for sale in reversed(self.sales[sku])
        )
        if quantity and overwritten:
            self._put_back[(channel, sku)] = now
        self.shown[channel][sku] = quantity

    def move(self, sku: int, pieces: int) -> None:
        """The hub's number moves by so many: no race there."""
        self.shown[HUB][sku] += pieces

    # --- the count ----------------------------------------------------------------------------------------------------

    def _cause(self, sale: Sale, short: int) -> str:
        c = self.world.channels[sale.channel]
        needs = round((TELL_S + c.interval_s + CALL_S + c.lands_s[1]) * SECOND)
        unknown = sum(
            other.channel != sale.channel and min(other.heard, other.due) + needs > sale.at
            for other in self.sales[sale.sku]
        )
        if short + unknown >= 0:
            return "window"
        put_back = self._put_back.get((sale.channel, sale.sku))
        return "race" if put_back is not None and sale.at - put_back < RACE_S * SECOND else "late"

    def count(self) -> Count:
        """Count the day when it is over."""
        found = Count(writes=self.writes, calls=self.calls)
        for sku, sold in enumerate(self.sales):
            stock, wanted = self.world.stock[sku], self.wanted[sku]
            found.buyers += wanted
            found.stock += stock
            found.best += min(stock, wanted)
            found.sold += min(stock, len(sold))
            found.left += max(0, stock - len(sold))
            found.turned_away += wanted - len(sold)
            found.oversold.update(sale.oversold for sale in sold if sale.oversold)
        return found
