"""The picture of one sale travelling: pure functions of data, as numbers for an SVG.

Axis: log(1 + 1.6 t) from the sale to 30 s; what took longer stands at its end, the table says how long.
"""

from __future__ import annotations

import math
from datetime import datetime

import msgspec

from oneshelf.watch.accounts import NAMES
from oneshelf.watch.ripples import Sale, Stop

from .words import listed, seconds

WIDTH = 330
LEFT, RIGHT = 12.0, 318.0
END_S = 30.0
#: Dots are drawn at least so far apart that their letters can be read.
DOT = 17.0
LETTERS = {"shopify": "Sh", "amazon": "Am", "ebay": "eB", "etsy": "Et"}


class Dot(msgspec.Struct, frozen=True):
    """One channel on the line. `open`: not shown there yet."""

    x: float
    channel: str
    letters: str
    open: bool


class Ripple(msgspec.Struct, frozen=True):
    """One sale's line: its dots, how far it has run, and the same in words."""

    dots: list[Dot]
    run_to: float
    words: str


def letters(channel: str) -> str:
    """Return the two letters that always stand with a channel's colour."""
    return LETTERS.get(channel, channel[:2].capitalize())


def place(t_s: float) -> float:
    """Return the x of an instant `t_s` seconds after the sale."""
    t = min(max(0.0, t_s), END_S)
    return LEFT + (RIGHT - LEFT) * math.log(1 + 1.6 * t) / math.log(1 + 1.6 * END_S)


def ripple(sale: Sale, now: datetime) -> Ripple:
    """Lay one sale out at `now` (to whole seconds, so that an open one is not drawn anew all the time)."""
    elapsed_s = float(math.floor(max(0.0, (now - sale.placed_at).total_seconds())))
    times = [
        (stop.after_s if stop.state == "shown" and stop.after_s is not None else elapsed_s, stop) for stop in sale.stops
    ]
    times.sort(key=lambda one: (one[1].state != "shown", one[0]))
    dots: list[Dot] = []
    x = LEFT
    for t, stop in times:
        x = max(place(t), x + DOT if dots else LEFT + DOT)
        dots.append(Dot(round(x, 1), stop.channel, letters(stop.channel), stop.state != "shown"))
    return Ripple(dots, dots[-1].x if dots else LEFT, _words(sale))


def _words(sale: Sale) -> str:
    if not sale.stops:
        return "no other channel had to hear of it"
    return listed([_stop_words(stop) for stop in sale.stops])


def _stop_words(stop: Stop) -> str:
    name = NAMES.get(stop.channel, stop.channel)
    if stop.state == "shown":
        return f"{name} after {seconds(stop.after_s)}"
    return f"{name} {'accepted, not seen yet' if stop.state == 'accepted' else 'still on its way'}"
