"""One day played: buyers, news, polls, calls and what lands, in order of time.

In: a world, a keeper (who decides what is told). Out: a `Count`. Never: decides a number.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, Protocol

from .market import Market, Sale
from .scenarios import DAY_S, FLASH_AT_S, SECOND, World

#: The world is played this much longer than people buy, so that the last news is heard.
AFTER_S = 3_600
TICK_S = 30


class Keeper(Protocol):
    """Who is told the news and tells numbers."""

    def start(self) -> None: ...
    def heard(self, sale: Sale, now: int) -> None: ...
    def polled(self, channel: int, complete: int, now: int) -> None: ...
    def tick(self, now: int) -> None: ...
    def resend(self, now: int) -> None: ...


class Day:
    """The clock and what is due."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.market = Market(world, seed)
        self.now = 0
        self._due: list[tuple[int, bool, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0

    def at(self, when: int, what: Callable[..., None], *arguments: Any, last: bool = False) -> None:
        """Do it then; of things of one instant in the order in which they were asked for, those that are `last` after the others."""
        self._number += 1
        heapq.heappush(self._due, (max(when, self.now), last, self._number, what, arguments))

    def play(self, keeper: Keeper) -> Market:
        """Play the day to its end."""
        keeper.start()
        end = (DAY_S + AFTER_S) * SECOND
        for channel in range(len(self.world.channels)):
            self.at(self.market.polled_at(channel, 1), self._poll, channel, keeper, last=True)
        self.at(TICK_S * SECOND, self._tick, keeper)
        if self.world.scenario.resend:
            self.at(FLASH_AT_S * SECOND, lambda: keeper.resend(self.now))
        buyers = iter(self.world.buyers)
        buyer = next(buyers, None)
        while True:
            if buyer is not None and (not self._due or buyer[0] <= self._due[0][0]):
                self.now = buyer[0]
                sale = self.market.buy(*buyer)
                if sale is not None:
                    self.at(sale.heard, self._news, keeper, sale)
                buyer = next(buyers, None)
                continue
            when, _, _, what, arguments = heapq.heappop(self._due)
            if when > end:
                return self.market
            self.now = when
            what(*arguments)

    def _news(self, keeper: Keeper, sale: Sale) -> None:
        keeper.heard(sale, self.now)

    def _poll(self, channel: int, keeper: Keeper) -> None:
        """What it shows is news of this instant, and was heard just before."""
        c = self.world.channels[channel]
        keeper.polled(channel, self.now - round(c.visible_s * SECOND) - 1, self.now)
        self.at(self.now + round(c.poll_s * SECOND), self._poll, channel, keeper, last=True)

    def _tick(self, keeper: Keeper) -> None:
        keeper.tick(self.now)
        self.at(self.now + TICK_S * SECOND, self._tick, keeper, last=True)
