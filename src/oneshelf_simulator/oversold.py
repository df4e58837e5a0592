"""Oversold pieces by cause: the window before anybody could have known, a race with a write of ours, a hand, a cancelled order's piece that
its channel put on sale again, or *late*.

In: purchases as they happen, when each was first heard of, what went wrong where and when. Out: counts; a breach for each *late* piece.
Never: asks the product what it thinks.

The last pieces go at d; c sells another at t. c should have known of a purchase x at d from `min(heard, due) + 5 s + c's call and
processing` on, and the time counts on while c, d or the engine was in trouble. If what c should have known of leaves fewer pieces than c
sold, nobody else is to blame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from .options import POLL_S
from .shelf import Shelf, plain_id

SECOND = 1_000_000
#: From the news to the last write that tells of it, seconds, beside what the channel itself needs.
TELL_S = 5.0
#: A channel's call interval and its processing of a write, seconds.
PROCESSING_S = {"shopify": 10.0, "amazon": 135.0, "ebay": 25.0, "etsy": 25.0}
#: How long after the purchase a channel's feed shows it at the latest, seconds.
VISIBLE_S = {"shopify": 10.0, "amazon": 150.0, "ebay": 30.0, "etsy": 30.0}
#: How long one failed call may keep a channel from being told: our patience doubles.
TROUBLE_S = 120.0
#: A write that was accepted and not applied, a read that was stale: found out only when nothing is seen.
LIE_S = 900.0
#: Edits at the shop are found by a bulk export at the latest, seconds.
EDIT_S = 1_000.0
#: A hand at a marketplace, and a piece that it put back, are found when its outlet is read again, seconds.
HAND_S = 1_500.0


class Oversold:
    """`raised(channel, sku, since)`: whether a write of ours above 0 was sent to that outlet since an instant (microseconds)."""

    def __init__(
        self,
        shelf: Shelf,
        heard_at: dict[tuple[str, str], int],
        now_us: Callable[[], int],
        raised: Callable[[str, str, int], bool],
    ) -> None:
        self.shelf = shelf
        self.heard_at = heard_at
        self.now_us = now_us
        self.raised = raised
        self.counts: Counter[str] = Counter()
        self.late: list[str] = []
        self._troubles: dict[str, list[tuple[int, int]]] = {}
        self._edits: list[tuple[int, str, int]] = []
        self._hands: dict[tuple[str, str], int] = {}
        self._put_back: dict[tuple[str, str], int] = {}

    def trouble(self, channel: str, seconds: float = TROUBLE_S) -> None:
        """Something went wrong there (`*`: with the engine); it may take so long until it is made up for."""
        now = self.now_us()
        end = now + int(seconds * SECOND)
        spans = self._troubles.setdefault(channel, [])
        if spans and spans[-1][1] >= now:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((now, end))

    def edited(self, sku: str, pieces: int) -> None:
        """Pieces left the shelf without a sale."""
        self._edits.append((self.now_us(), sku, pieces))

    def hand(self, channel: str, sku: str) -> None:
        self._hands[(channel, sku)] = self.now_us()

    def put_back(self, channel: str, order_id: str) -> None:
        """The channel put a cancelled order's pieces on sale again by itself, or because the seller ticked that."""
        for sale in self.shelf.sales():
            if sale.channel == channel and plain_id(sale.order_id) == order_id:
                for sku in sale.lines:
                    self._put_back[(channel, sku)] = self.now_us()

    def sold(self, sale: Any) -> None:
        """Judge one purchase at the moment in which it is accepted."""
        owed = self.shelf.owed()
        for sku, pieces in sale.lines.items():
            k = self.shelf.on_hand[sku] - self.shelf.damaged[sku] - owed[sku]
            if k < 0:
                cause = self._cause(sale, sku, k)
                over = min(pieces, -k)
                self.counts[cause] += over
                if cause == "late":
                    self.late.append(f"{over} of {sku} sold at {sale.channel} by {sale.order_id}, K {k}")

    def _cause(self, sale: Any, sku: str, k: int) -> str:
        now = self.now_us()
        if now - self._hands.get((sale.channel, sku), -(10**18)) < HAND_S * SECOND:
            return "hand"
        if now - self._put_back.get((sale.channel, sku), -(10**18)) < HAND_S * SECOND:
            return "put_back"
        unknown = sum(pieces for at, one, pieces in self._edits if one == sku and now - at < EDIT_S * SECOND)
        for other in self.shelf.sales():
            elsewhere = other.channel != sale.channel and sku in other.lines and not other.cancelled_at
            if elsewhere and self._known_from(other, sale.channel) > now:
                unknown += other.lines[sku]
        if k + unknown >= 0:
            return "window"
        return "race" if self.raised(sale.channel, sku, now - int(LIE_S * SECOND)) else "late"

    def _known_from(self, other: Any, channel: str) -> int:
        """The instant from which `channel` should have been told of a purchase elsewhere."""
        placed = int(other.placed_at.timestamp() * SECOND)
        heard = self.heard_at.get((other.channel, plain_id(other.order_id)), 10**18)
        due = placed + int((2 * POLL_S[other.channel] + VISIBLE_S[other.channel]) * SECOND)
        known = min(heard, due) + int((TELL_S + PROCESSING_S[channel]) * SECOND)
        return known + self._troubled(placed, known, {channel, other.channel, "shopify", "*"})

    def _troubled(self, start: int, end: int, where: set[str]) -> int:
        """How long, from `start` on, one of these was in trouble: each such moment moves the end."""
        spans = sorted(span for name in where for span in self._troubles.get(name, ()) if span[1] > start)
        extra, reached = 0, start
        for begin, stop in spans:
            if begin > end + extra:
                break
            extra += max(0, stop - max(begin, reached))
            reached = max(reached, stop)
        return extra
