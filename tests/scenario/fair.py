"""A fair: a shop and three marketplaces that sell by themselves, buyers at random, news and writes that take their time; the real steps.

The count of what was sold is the fair's own: it knows nothing of ledgers, claims or offers.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.scenario.engine import AMAZON, CAN, EBAY, ETSY, SHOP, TENANT, World, order

from oneshelf.channels.contract import Offer, Seen
from oneshelf.core.instants import SECOND, from_us
from oneshelf.core.outcome import Accepted, Outcome, Throttled, Unknown
from oneshelf.db.store import Store, transaction
from oneshelf.publish.planning import WaitUntil, plan
from oneshelf.publish.reads import settle_read
from oneshelf.publish.recovery import at_rest
from oneshelf.publish.slots import ReadCall
from oneshelf.publish.strict import hold_back, next_turn
from oneshelf.publish.waking import wake
from oneshelf.publish.writes import settle_write

MARKETS = (AMAZON, EBAY, ETSY)
#: How long writes take to land and news to come, seconds at most.
LANDS_S = {AMAZON: 20, EBAY: 3, ETSY: 2}
NEWS_S = {SHOP: 3, AMAZON: 15, EBAY: 8, ETSY: 40}
POLL_S = {SHOP: 10, AMAZON: 30, EBAY: 20, ETSY: 60}


class Fair:
    """One SKU, MUG, shown nowhere at first."""

    def __init__(
        self, store: Store, seed: int, on_hand: int, setup: Callable[[World], None] = lambda world: None
    ) -> None:
        self.chance = random.Random(seed)
        self.world = World(store)
        self.world.item("MUG", on_hand)
        self.on_hand = on_hand
        self.sold = 0
        self.shown = dict.fromkeys(MARKETS, 0)
        self.landing: list[tuple[int, int, int]] = []  # when, where, number
        self.unheard: list[tuple[int, int, str, int]] = []  # when heard, account, order, placed at
        self.fresh: dict[int, dict[str, Seen]] = {account_id: {} for account_id in MARKETS}
        self.log: list[str] = []
        self.writes = 0
        self.faults = 0.0
        setup(self.world)
        self.world.open()
        self.world.complete()

    @property
    def left(self) -> int:
        return self.on_hand - self.sold

    @property
    def promised(self) -> int:
        """What stands on sale now, or will when what was taken has landed."""
        hub = sum(max(0, cell.available) for cell in self.world.hub.cells.values())
        return hub + sum(self.shown.values()) + sum(number for _, _, number in self.landing)

    # --- buyers ---------------------------------------------------------------------------------------------------------

    def buy(self, account_id: int) -> bool:
        """Somebody wants one there, and gets it if it is shown."""
        now = self.world.now
        if account_id == SHOP:
            cell = self.world.hub.cell("MUG", "L1")
            if cell.available <= 0:
                return False
            self.world.hub.sell(now, MUG=1)
        else:
            if self.shown[account_id] <= 0:
                return False
            self.shown[account_id] -= 1
            name = f"{account_id}-{self.sold}"
            heard = now + self.chance.randint(1, NEWS_S[account_id]) * SECOND
            self.unheard.append((heard, account_id, name, now))
        self.sold += 1
        self.log.append(f"{(now - self.world.now) // SECOND} {account_id} sells: {self.left} left, {self.shown}")
        return True

    # --- time -----------------------------------------------------------------------------------------------------------

    def second(self) -> None:
        world = self.world
        now = world.tick(1)
        for at, account_id, number in [one for one in self.landing if one[0] <= now]:
            self.landing.remove((at, account_id, number))
            self.shown[account_id] = number
        for one in sorted(one for one in self.unheard if one[0] <= now):
            self.unheard.remove(one)
            self._hear(*one)
        if (now // SECOND) % NEWS_S[SHOP] == 0:
            world.hub_news()
        for account_id, every in POLL_S.items():
            if (now // SECOND) % every == 0:
                self._poll(account_id)
        if (now // SECOND) % 60 == 0:
            world.export()
        with transaction(world.store) as tx:
            hold_back(tx, TENANT, now, next_turn(tx, TENANT).skus)
        world.run_hub()
        world.read_wanted()
        for account_id in MARKETS:
            self._publish(account_id)

    def _hear(self, _: int, account_id: int, name: str, placed_at: int) -> None:
        self.world.hear(account_id, order(name, placed_at, updated=self.world.now, MUG=1))

    def _poll(self, account_id: int) -> None:
        """A whole poll: everything placed until now is in it."""
        if account_id == SHOP:
            self.world.hub_news()
        for one in [one for one in self.unheard if one[1] == account_id]:
            self.unheard.remove(one)
            self._hear(*one)
        self.world.complete(account_id)

    def _publish(self, account_id: int) -> None:
        world, can = self.world, CAN[account_id]
        for _ in range(4):
            with transaction(world.store) as tx:
                wake(tx, TENANT, account_id, can, world.now)
                call = plan(tx, TENANT, account_id, can, world.now, fresh=self.fresh[account_id])
            if isinstance(call, WaitUntil):
                return
            if isinstance(call, ReadCall):
                seen = [Seen(i.outlet.external_id, self.shown[account_id], from_us(world.now)) for i in call.items]
                self.fresh[account_id] = {one.external_id: one for one in seen}
                with transaction(world.store) as tx:
                    settle_read(tx, TENANT, account_id, can, call, seen, world.now)
                continue
            offers = [Offer(item.outlet, item.quantity) for item in call.items]
            ends = [self._write(account_id, offer.quantity) for offer in offers]
            with transaction(world.store) as tx:
                settle_write(tx, TENANT, account_id, can, call, ends, world.now)
            return

    def _write(self, account_id: int, number: int) -> Outcome:
        self.writes += 1
        how = self.chance.random()
        if how < self.faults / 2:
            return Throttled(2.0, "slow down")
        lands = self.world.now + self.chance.randint(0, LANDS_S[account_id]) * SECOND
        if how < self.faults * 0.75:
            return Unknown("timed out")  # it never came there
        self.landing.append((lands, account_id, number))
        if lands <= self.world.now:
            self.landing.pop()
            self.shown[account_id] = number
        return Unknown("timed out") if how < self.faults else Accepted()

    def rest(self) -> list[str]:
        """What keeps the marketplaces from rest (the shop's own outlet is nobody's to write)."""
        mine = f"outlet {self.world.outlet(SHOP, 'MUG')} "
        with transaction(self.world.store) as tx:
            return [why for why in at_rest(tx, TENANT) if not why.startswith(mine)]
