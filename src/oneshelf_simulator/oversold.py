"""Oversold pieces by cause: the window before anybody could have known, a race with a write of ours, a hand, or *late*.

In: purchases as they happen, when each was first heard of, what went wrong where and when. Out: counts; breaches, `late`, for what never may be.
Never: asks the product what it thinks.

The last pieces go at d; c sells another at t. c should have known of a purchase x at d from `min(heard, due) + 5 s + c's call and
processing` on, and the time counts on while c, d or the engine was in trouble. If what c should have known of leaves fewer pieces than c
sold, nobody else is to blame. What c put back by itself, when an order of its own was cancelled, is such news too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from .options import POLL_S
from .shelf import Shelf, plain_id
from .told import Told

SECOND = 1_000_000
#: Why a piece was sold twice. `race`: at a channel that takes only whole numbers.
CAUSES = ("window", "hand", "race", "race_compare_and_set", "late")
#: These are breaches: late, and a race where a write names the number that it is to replace (S13.1).
NEVER = ("late", "race_compare_and_set")
COMPARE_AND_SET = ("shopify",)
#: An instant that does not come, microseconds.
_NEVER = 10**18
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
#: A cancel that no feed shows is found by reading the order again, seconds.
REREAD_S = 4_500.0
#: What a cancelled order gives back stands in the shop until a hold takes what was sold elsewhere: two calls, seconds.
BACK_S = 15.0
#: A hand at a marketplace is found when its outlet is read again, seconds.
HAND_S = 1_500.0


class Oversold:
    """`heard_at`: when an order was first heard of; `put_back`: when its channel put its pieces back, when that was heard of.
    `told`: what we told the listings."""

    def __init__(
        self,
        shelf: Shelf,
        heard_at: dict[tuple[str, str], int],
        put_back: tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]],
        now_us: Callable[[], int],
        told: Told,
    ) -> None:
        self.shelf = shelf
        self.heard_at = heard_at
        self.put_back_at, self.put_back_heard_at = put_back
        self.now_us = now_us
        self.told = told
        self.counts: Counter[str] = Counter(dict.fromkeys(CAUSES, 0))
        self.late: list[tuple[str, str]] = []
        self._troubles: dict[str, list[tuple[int, int]]] = {}
        self._edits: list[tuple[int, str, int]] = []
        #: What put a number on sale that no sale of ours explains: {(cause, channel, SKU): [(when, how many seconds it lasts)]}.
        self._excused: dict[tuple[str, str, str], list[tuple[int, float]]] = {}

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

    def received(self, sku: str) -> None:
        """Pieces have come in at the shop, which shows them at once, whoever waits for them elsewhere."""
        self._excuse("hand", "shopify", sku, EDIT_S)

    def came_back(self, sku: str) -> None:
        """The shop has put pieces of a cancelled order back on sale."""
        self._excuse("window", "shopify", sku, BACK_S)

    def hand(self, channel: str, sku: str) -> None:
        """Somebody typed a number there."""
        self._excuse("hand", channel, sku, HAND_S)

    def _excuse(self, cause: str, channel: str, sku: str, seconds: float) -> None:
        self._excused.setdefault((cause, channel, sku), []).append((self.now_us(), seconds))

    def _is_excused(self, cause: str, channel: str, sku: str) -> bool:
        """Whether one of these still lasts: time in which the channel or the engine was in trouble does not count."""
        for at, seconds in self._excused.get((cause, channel, sku), ()):
            end = at + int(seconds * SECOND)
            if self.now_us() < end + self._troubled(at, end, {channel, "*"}):
                return True
        return False

    def sold(self, sale: Any) -> None:
        """Judge one purchase at the moment in which it is accepted."""
        owed = self.shelf.owed()
        for sku, pieces in self.shelf.pieces(sale).items():
            k = self.shelf.on_hand[sku] - self.shelf.damaged[sku] - owed[sku]
            if k < 0:
                cause = self._cause(sale, sku, k)
                over = min(pieces, -k)
                self.counts[cause] += over
                if cause in NEVER:
                    self.late.append((cause, f"{over} of {sku} sold at {sale.channel} by {sale.order_id}, K {k}"))

    def _cause(self, sale: Any, sku: str, k: int) -> str:
        now = self.now_us()
        if self._is_excused("hand", sale.channel, sku) or self.told.is_fought_over(sale.channel, sku):
            return "hand"
        if self._is_excused("window", sale.channel, sku):
            return "window"
        put_back = 0
        unknown = sum(
            pieces for at, one, pieces in self._edits if one == sku and self._edit_known_from(at, sale.channel) > now
        )
        for other in self.shelf.sales():
            here, elsewhere = self._taken(other, sale, sku)
            if elsewhere and not other.cancelled_at and self._known_from(other, sale.channel) > now:
                unknown += elsewhere
            if here and self._put_back_known_from(other) > now:
                put_back += here
            if here and self._is_told_again(other, sale.channel, sku):
                unknown += here
        # What the channel put back itself stands there, however many were sold too often before.
        if k + unknown + put_back >= 0 or put_back >= self.shelf.pieces(sale)[sku]:
            return "window"
        # A write that put pieces back is found by the next read, which a channel in trouble does not give.
        if not self.told.raised(sale.channel, sku, self._well_since(now, LIE_S, {sale.channel, "*"})):
            return "late"
        return "race_compare_and_set" if sale.channel in COMPARE_AND_SET else "race"

    def _taken(self, other: Any, sale: Any, sku: str) -> tuple[int, int]:
        """Pieces of a SKU that a purchase took from the listings of this sale, which count themselves, and by others: at other channels,
        or as a pack, a bundle, a single piece at the same one."""
        here = elsewhere = 0
        for listing, count in other.lines.items():
            pieces = count * self.shelf.goods.parts(other.channel, listing).get(sku, 0)
            if other.channel == sale.channel and listing in sale.lines and other is not sale:
                here += pieces
            elif other is not sale or len(self.shelf.goods.listings(sale, sku)) > 1:
                elsewhere += pieces
        return here, elsewhere

    def _known_from(self, other: Any, channel: str) -> int:
        """The instant from which `channel` should have been told of a purchase elsewhere."""
        placed = int(other.placed_at.timestamp() * SECOND)
        heard = self.heard_at.get((other.channel, plain_id(other.order_id)), _NEVER)
        known = min(heard, self._polled(other, placed)) + int((TELL_S + PROCESSING_S[channel]) * SECOND)
        return known + self._troubled(placed, known, {channel, other.channel, "shopify", "*"})

    def _is_told_again(self, other: Any, channel: str, sku: str) -> bool:
        """Whether a purchase that its channel has counted itself stands there as unsold again: of what no search shows and no message
        told of, nobody knows, so the next number that we tell has its pieces in it (F21, S9.2)."""
        if self.shelf.is_listed(other) or other.cancelled_at or self._known_from(other, channel) <= self.now_us():
            return False
        return self.told.raised(channel, sku, int(other.placed_at.timestamp() * SECOND))

    def _edit_known_from(self, at: int, channel: str) -> int:
        """The instant from which `channel` should have been told of pieces that left the shelf without a sale."""
        known = at + int(EDIT_S * SECOND)
        return known + self._troubled(at, known, {channel, "shopify", "*"})

    def _polled(self, other: Any, at: int) -> int:
        """The instant by which its channel's polls should have told what became of a purchase at `at`. What no search shows they never tell
        (F21): of that only what was heard counts."""
        if not self.shelf.is_listed(other):
            return _NEVER
        return at + int((2 * POLL_S[other.channel] + VISIBLE_S[other.channel]) * SECOND)

    def _put_back_known_from(self, other: Any) -> int:
        """The instant from which its channel should have been told again after it had put back what an order had taken; 0: it has not."""
        key = (other.channel, plain_id(other.order_id))
        at = self.put_back_at.get(key)
        if at is None:
            return 0
        due = self._polled(other, at)
        if other.channel == "etsy":  # its feed does not show a cancel: open orders are read again every hour (S4.6)
            due = at + int(REREAD_S * SECOND)
        known = min(self.put_back_heard_at.get(key, due), due) + int((TELL_S + PROCESSING_S[other.channel]) * SECOND)
        return known + self._troubled(at, known, {other.channel, "*"})

    def _well_since(self, now: int, seconds: float, where: set[str]) -> int:
        """The instant since which these were so many seconds without trouble until now."""
        left, reached = int(seconds * SECOND), now
        for begin, stop in sorted((span for name in where for span in self._troubles.get(name, ())), reverse=True):
            well = max(0, reached - stop)
            if well >= left:
                break
            left -= well
            reached = min(reached, begin)
        return reached - left

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
