"""What is true outside: time, chance, the physical shelf, and what happened.

Each marketplace module keeps its own stock counters and orders (as each marketplace itself counts them); the world
holds only what they share. Nothing here knows a wire format.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .clock import Clock
from .courier import Courier
from .faults import Faults

#: Lines of the diary kept in memory; the older half goes when it is full.
DIARY_LINES_MAX = 200_000


@dataclass(frozen=True)
class Address:
    """Where a buyer lives. `phone` in E.164 or None."""

    name: str
    line1: str
    city: str
    region: str
    postal_code: str
    country: str
    phone: str | None = None
    line2: str = ""


@dataclass(frozen=True)
class Buyer:
    """A person who shops. `key` is stable for one person on every marketplace."""

    key: str
    name: str
    email: str
    address: Address


@dataclass(frozen=True)
class Product:
    """One thing on the shelf. `price_minor`, `cost_minor` and `compare_at_minor` in minor units of `currency`; `weight` is its share of
    demand."""

    sku: str
    title: str
    price_minor: int
    currency: str
    stock: int
    weight: float = 1.0
    vendor: str = "Emulated"
    product_type: str = ""
    tags: Sequence[str] = ()
    cost_minor: int | None = None
    compare_at_minor: int | None = None
    barcode: str | None = None


@dataclass
class Sale:
    """A purchase that a marketplace accepted: the truth that an auditor counts. `lines` is {sku: pieces}."""

    channel: str
    order_id: str
    placed_at: datetime
    lines: dict[str, int]
    buyer_key: str
    paid_at: datetime | None = None
    cancelled_at: datetime | None = None
    shipped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Happening:
    """One line of the world's diary."""

    at: datetime
    channel: str
    what: str
    detail: dict[str, Any]


class World:
    """One run of the outside world. Everything random comes from `rng(name)`, so one seed gives one world."""

    def __init__(self, *, seed: int = 1, clock: Clock | None = None, courier: Courier | None = None) -> None:
        self.seed = seed
        self.clock = clock or Clock()
        self.faults = Faults(self.rng("faults"))
        self.courier = courier or Courier(self.clock, self.faults, self.rng("courier"))
        self.sales: list[Sale] = []
        self.diary: list[Happening] = []
        self.diary_dropped = 0  # how many of the oldest lines are gone
        self.listeners: list[Callable[[Happening], None]] = []

    def rng(self, name: str) -> random.Random:
        """Return a stream of chance of its own, so that one more draw in one place moves no other place."""
        return random.Random(f"{self.seed}:{name}")

    def note(self, channel: str, what: str, **detail: Any) -> None:
        """Write one line into the diary."""
        happening = Happening(self.clock.now(), channel, what, detail)
        self.diary.append(happening)
        if len(self.diary) > DIARY_LINES_MAX:
            del self.diary[: DIARY_LINES_MAX // 2]
            self.diary_dropped += DIARY_LINES_MAX // 2
        for listener in self.listeners:
            listener(happening)
