"""What the last days would have been under other offers: one SKU's stored history, walked again (pure).

In: the pieces at the start, what happened in order, and how an outlet's offer follows from the pieces. Out: what would have been sold,
withheld, oversold.

What it assumes, all of it:

1. Buyers come when they came, and want what they wanted; one who finds too little buys what is shown and no other piece instead.
2. An outlet shows what it was offered one window ago (how late it is heard of and told), less what it sold itself since.
3. The shop sells always: it is served first and shows its own number.
4. What was not sold lies there for the next buyer. Counts, receipts and returns are as they were, as is a cancel of what was sold.
5. Paces, windows and strict SKUs are those of today, throughout.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

#: The hub in `Event.outlet_id`.
HUB = 0


class Event(msgspec.Struct, frozen=True):
    """Something that moved the pieces at one location. `at`: microseconds. `pieces`: always above 0 for "sale" (taken) and "back"
    (given); for "move" what is added, below 0 taken away. `sale`: which sale it is, or belongs to ("" for a move of nobody's).

    `units`: pieces that one unit of the listing takes.
    """

    at: int
    kind: Literal["sale", "back", "move"]
    location: int
    pieces: int
    sale: str = ""
    outlet_id: int = HUB
    units: int = 1


class Outcome(msgspec.Struct, frozen=True):
    """What a walk came to, in pieces, and of the last two in sales too. `withheld`: wanted and not shown. `oversold`: sold beyond what was
    there."""

    sold: int = 0
    withheld: int = 0
    oversold: int = 0
    sales_withheld: int = 0
    sales_oversold: int = 0

    def plus(self, other: Outcome) -> Outcome:
        return Outcome(
            self.sold + other.sold,
            self.withheld + other.withheld,
            self.oversold + other.oversold,
            self.sales_withheld + other.sales_withheld,
            self.sales_oversold + other.sales_oversold,
        )


#: (outlet, pieces at each location) → listings that it shows.
Offer = Callable[[int, Sequence[int]], int]


def walk(start: Sequence[int], events: Sequence[Event], offer: Offer | None, window_of: Mapping[int, int]) -> Outcome:
    """Walk the events in order. `start`: pieces at each location before them. `offer` None: everybody got what he wanted, which is what
    really happened. `window_of`: outlet → how late its number is, microseconds.

    >>> sale = [Event(10, "sale", 0, 1, "a", 7), Event(20, "sale", 0, 1, "b", 8)]
    >>> walk([1], sale, None, {}).oversold
    1
    >>> walk([1], sale, lambda outlet, k: sum(k), {7: 5, 8: 5})
    Outcome(sold=1, withheld=1, oversold=0, sales_withheld=1, sales_oversold=0)
    """
    k = list(start)
    times: list[int] = []
    levels: list[tuple[int, ...]] = []
    own: dict[int, list[tuple[int, int]]] = {}
    sold_of: dict[str, int] = {}
    wanted_of: dict[str, int] = {}
    sold = withheld = oversold = sales_withheld = sales_oversold = 0
    before = tuple(start)
    for event in events:
        pieces = event.pieces
        if event.kind == "sale":
            wanted_of[event.sale] = wanted_of.get(event.sale, 0) + pieces
            if offer is not None and event.outlet_id != HUB:
                since = event.at - window_of.get(event.outlet_id, 0)
                place = bisect_right(times, since)
                shown = offer(event.outlet_id, levels[place - 1] if place else before)
                shown -= sum(units for at, units in own.get(event.outlet_id, ()) if at > since)
                pieces = min(pieces, max(0, shown) * event.units) // event.units * event.units
            if pieces:
                own.setdefault(event.outlet_id, []).append((event.at, pieces // event.units))
            missing = min(pieces, max(0, pieces - max(0, sum(k))))
            sold, withheld, oversold = sold + pieces, withheld + event.pieces - pieces, oversold + missing
            sales_withheld += pieces < event.pieces
            sales_oversold += missing > 0
            sold_of[event.sale] = sold_of.get(event.sale, 0) + pieces
            k[event.location] -= pieces
        elif event.kind == "back":
            given = min(pieces, sold_of.get(event.sale, pieces))
            if event.sale in sold_of:
                sold_of[event.sale] -= given
            k[event.location] += given
        elif not event.sale or sold_of.get(event.sale, pieces) >= wanted_of.get(event.sale, 0):
            k[event.location] += pieces
        times.append(event.at)
        levels.append(tuple(k))
    return Outcome(sold, withheld, oversold, sales_withheld, sales_oversold)
