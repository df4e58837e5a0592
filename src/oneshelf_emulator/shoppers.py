"""Demand: people who come at random, look, and buy where stock is shown.

In: a plan (rates, shares, a flash sale). Out: checkouts at the marketplaces.
Never: buys what is not shown; knows what the shelf really holds.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import Protocol

from .people import Crowd
from .world import Buyer, Product, Sale, World

#: How often a cart holds 1, 2 or 3 different SKUs, and 1, 2 or 3 pieces of one.
_LINES = ((1, 93), (2, 6), (3, 1))
_PIECES = ((1, 88), (2, 9), (3, 3))
#: Shares when none are given. Source: the reference sale of this project.
DEFAULT_SHARES = {"shopify": 40.0, "amazon": 35.0, "ebay": 15.0, "etsy": 10.0}
ORDERS_PER_S_MAX = 2_000.0


class Shop(Protocol):
    """What shoppers see of a marketplace."""

    def shown(self, sku: str) -> int: ...

    def buy(self, buyer: Buyer, lines: Mapping[str, int]) -> Sale | None: ...


@dataclass(frozen=True)
class Plan:
    """How people come. Seconds and rates are of the shared clock, not shortened.

    `orders_per_s` is the mean of a Poisson stream over all marketplaces. In a flash sale the demand for
    `flash_skus` (given, or `flash_count` of them picked by chance) is `flash_factor` times as large from
    `flash_after_s` on, for `flash_s`; the stream as a whole grows by what that adds.
    """

    mode: str = "steady"  # "steady" or "flash"
    orders_per_s: float = 1.0
    seconds: float | None = None
    shares: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_SHARES))
    flash_skus: Sequence[str] = ()
    flash_count: int = 3
    flash_factor: float = 100.0
    flash_after_s: float = 0.0
    flash_s: float = 60.0

    def check(self, channels: Sequence[str]) -> None:
        """Raise ValueError with what is wrong and what is allowed."""
        if self.mode not in ("steady", "flash"):
            raise ValueError(f"mode must be steady or flash, got {self.mode!r}")
        if not 0 < self.orders_per_s <= ORDERS_PER_S_MAX:
            raise ValueError(f"orders_per_s must lie above 0 and up to {ORDERS_PER_S_MAX:g}, got {self.orders_per_s}")
        strangers = self.shares.keys() - set(channels)
        if strangers:
            raise ValueError(f"shares name unknown channels: {', '.join(sorted(strangers))}")
        if any(share < 0 for share in self.shares.values()) or not any(self.shares.values()):
            raise ValueError("shares must be 0 or more, and not all 0")
        if self.flash_factor < 1 or self.flash_count < 1 or self.flash_s <= 0 or self.flash_after_s < 0:
            raise ValueError("flash_factor and flash_count are at least 1, flash_s above 0, flash_after_s at least 0")


class Shoppers:
    """Runs one plan at a time."""

    def __init__(self, world: World, shops: Mapping[str, Shop], products: Sequence[Product]) -> None:
        self.world = world
        self.shops = shops
        self.products = list(products)
        self.crowd = Crowd(world.rng("people"))
        self.plan: Plan | None = None
        self.placed: Counter[str] = Counter()
        self.turned_away: Counter[str] = Counter()
        self.flash_skus: tuple[str, ...] = ()
        self._rng: random.Random = world.rng("shoppers")
        self._run = 0
        self._started_at: datetime = world.clock.now()
        self._skus = [product.sku for product in self.products]
        self._usual = list(accumulate(product.weight for product in self.products))
        self._excited = self._usual

    def start(self, plan: Plan, seed: int | None = None) -> None:
        """Let people come by `plan`; an earlier plan ends. `seed` makes the stream of its own. Raises ValueError."""
        plan = self._only_open_shops(plan)
        plan.check(list(self.shops))
        unknown = set(plan.flash_skus) - set(self._skus)
        if unknown:
            raise ValueError(f"flash_skus are not in the catalogue: {', '.join(sorted(unknown))}")
        self.stop()
        if seed is not None:
            self._rng = random.Random(f"{seed}:shoppers")
            self.crowd.rng = random.Random(f"{seed}:people")
        self.plan = plan
        self._started_at = self.world.clock.now()
        if plan.mode == "flash":
            count = min(plan.flash_count, len(self._skus))
            self.flash_skus = tuple(plan.flash_skus) or tuple(self._rng.sample(self._skus, count))
            hot = set(self.flash_skus)
            self._excited = list(
                accumulate(each.weight * (plan.flash_factor if each.sku in hot else 1.0) for each in self.products)
            )
        self.world.note("*", "shoppers_started", mode=plan.mode, orders_per_s=plan.orders_per_s,
                        flash_skus=list(self.flash_skus))  # fmt: skip
        run = self._run
        if plan.seconds is not None:
            self.world.clock.after(plan.seconds, lambda: self.stop() if run == self._run else None, shortened=False)
        self._await_next(run)

    def stop(self) -> None:
        """No more people come. What they have bought stays bought."""
        self._run += 1
        if self.plan is not None:
            self.world.note("*", "shoppers_stopped", placed=dict(self.placed))
        self.plan = None
        self.flash_skus = ()

    def report(self) -> dict[str, object]:
        """Return what they do and did: orders and people who found nothing, by channel."""
        return {
            "running": self.plan is not None,
            "mode": self.plan.mode if self.plan else None,
            "orders_per_s": self.plan.orders_per_s if self.plan else 0.0,
            "flash_skus": list(self.flash_skus),
            "flash_now": self._is_flash(),
            "placed": dict(self.placed),
            "turned_away": dict(self.turned_away),
        }

    def _only_open_shops(self, plan: Plan) -> Plan:
        if plan.shares == DEFAULT_SHARES:
            here = {name: share for name, share in plan.shares.items() if name in self.shops}
            return Plan(**{**plan.__dict__, "shares": here})
        return plan

    def _is_flash(self) -> bool:
        if self.plan is None or self.plan.mode != "flash":
            return False
        passed_s = (self.world.clock.now() - self._started_at).total_seconds()
        return self.plan.flash_after_s <= passed_s < self.plan.flash_after_s + self.plan.flash_s

    def _await_next(self, run: int) -> None:
        plan = self.plan
        if plan is None:
            return
        passed_s = (self.world.clock.now() - self._started_at).total_seconds()
        rate = plan.orders_per_s
        if self._is_flash():
            rate = min(ORDERS_PER_S_MAX, rate * self._excited[-1] / self._usual[-1])
        wait_s = self._rng.expovariate(rate)
        if plan.mode == "flash" and passed_s < plan.flash_after_s:
            # Nobody sleeps through the beginning of the sale (a Poisson stream has no memory, so this is exact).
            until_s = plan.flash_after_s - passed_s
            if wait_s > until_s:
                self.world.clock.after(until_s, lambda: self._wake(run), shortened=False)
                return
        self.world.clock.after(wait_s, lambda: self._arrive(run), shortened=False)

    def _wake(self, run: int) -> None:
        if run == self._run:
            self._await_next(run)

    def _arrive(self, run: int) -> None:
        if run != self._run or self.plan is None:
            return
        plan = self.plan
        self._await_next(run)  # first: a marketplace that fails at its counter does not keep the others away
        self._shop(plan)

    def _shop(self, plan: Plan) -> None:
        rng = self._rng
        channel = rng.choices(list(plan.shares), weights=list(plan.shares.values()))[0]
        shop, buyer = self.shops[channel], self.crowd.next()
        cart: dict[str, int] = {}
        for _ in range(_drawn(rng, _LINES)):
            sku, pieces = self._pick(), _drawn(rng, _PIECES)
            pieces = min(pieces, shop.shown(sku) - cart.get(sku, 0))
            if pieces > 0:
                cart[sku] = cart.get(sku, 0) + pieces
        sale = shop.buy(buyer, cart) if cart else None
        if sale is None:
            self.turned_away[channel] += 1
        else:
            self.placed[channel] += 1

    def _pick(self) -> str:
        weights = self._excited if self._is_flash() else self._usual
        return self._skus[bisect(weights, self._rng.random() * weights[-1], hi=len(weights) - 1)]


def _drawn(rng: random.Random, table: Sequence[tuple[int, int]]) -> int:
    return rng.choices([value for value, _ in table], weights=[weight for _, weight in table])[0]
