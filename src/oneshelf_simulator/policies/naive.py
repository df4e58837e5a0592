"""The plainest way to keep four channels alike, for comparison: every change of the count is told to everyone else, in order, blindly.

In: sales. Out: numbers, one after the other. Nothing is coalesced, read first or put first. Never: asks the product anything.
"""

from __future__ import annotations

from collections import deque

from .day import Day
from .market import Sale
from .scenarios import CALL_S, SECOND

#: A pair of a read and a write is what a day's budget is said in.
CALLS_A_WRITE = 2


class NaiveMirror:
    """First come, first told."""

    def __init__(self, day: Day) -> None:
        self.day = day
        self.world, self.market = day.world, day.market
        self.count = list(self.world.stock)
        self.line: list[deque[tuple[int, int]]] = [deque() for _ in self.world.channels]
        self.free_at = [0] * len(self.world.channels)
        self.left = [c.per_day for c in self.world.channels]
        self.waits = [False] * len(self.world.channels)

    def start(self) -> None:
        for shown in self.market.shown:
            shown[:] = self.count

    def heard(self, sale: Sale, now: int) -> None:
        self.count[sale.sku] -= 1
        for channel in range(len(self.world.channels)):
            if channel != sale.channel:
                self._tell(channel, sale.sku, now)

    def polled(self, channel: int, complete: int, now: int) -> None:
        """It listens to news only."""

    def tick(self, now: int) -> None:
        """Time changes nothing."""

    def resend(self, now: int) -> None:
        for channel in range(len(self.world.channels)):
            for sku in self.world.skus:
                self._tell(channel, sku, now)

    def _tell(self, channel: int, sku: int, now: int) -> None:
        self.line[channel].append((sku, max(0, self.count[sku])))
        if not self.waits[channel]:
            self.waits[channel] = True
            self.day.at(max(now, self.free_at[channel]), self._call, channel)

    def _call(self, channel: int) -> None:
        now, c, line, left = self.day.now, self.world.channels[channel], self.line[channel], self.left[channel]
        if left is not None:
            if left < CALLS_A_WRITE:
                return  # nothing more today
            self.left[channel] = left - CALLS_A_WRITE
            self.market.calls += CALLS_A_WRITE - 1
        self.market.calls += 1
        for _ in range(min(c.write_batch, len(line))):
            sku, quantity = line.popleft()
            self.market.writes += 1
            answered = now + round(CALL_S * SECOND)
            self.day.at(self.market.land_at(channel, sku, answered), self._land, channel, sku, quantity, now)
        self.free_at[channel] = now + round(c.interval_s * SECOND)
        self.waits[channel] = bool(line)
        if line:
            self.day.at(self.free_at[channel], self._call, channel)

    def _land(self, channel: int, sku: int, quantity: int, sent: int) -> None:
        self.market.land(channel, sku, quantity, sent, sent, self.day.now)
