"""Before a reservation is given up, its order is looked for once more (SEMANTICS 9.4)."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, cast

import msgspec
import pytest
from tests.scenario.engine import EBAY, TENANT, World, order

from oneshelf.channels.contract import Cursor, NoAnswer, Page, RawMessage
from oneshelf.core.facts import OrderSeen
from oneshelf.core.instants import from_us, to_us
from oneshelf.db.store import Store, transaction
from oneshelf.intake import searching
from oneshelf.orders import intents
from oneshelf.orders.provisional import LOOK_BACK_S
from oneshelf.runtime.bell import Bell


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 10)
    return world.open()


class Market:
    """A channel whose feed has pages; the last of them ends the run."""

    name = "ebay"

    def __init__(self, *pages: list[OrderSeen]) -> None:
        self.pages = list(pages)
        self.since: datetime | None = None
        self.fails = False

    async def fetch(self, http: Any, cursor: Cursor, now: datetime) -> Page:
        if self.fails:
            raise NoAnswer("timed out", sent=True)
        self.since = self.since or cursor.since
        at = 0 if cursor.run is None else cursor.run["page"]
        body = msgspec.json.encode(self.pages[at])
        message = RawMessage("orders", body, {}, delivery_key=f"found-{at}")
        run = {"page": at + 1} if at + 1 < len(self.pages) else None
        return Page((message,) if self.pages[at] else (), Cursor(cursor.since, run), None)


class Around:
    """The world's clock, and its writer: a step at once, in a transaction."""

    def __init__(self, world: World) -> None:
        self.world = world

    def now(self) -> datetime:
        return from_us(self.world.now)

    async def do(self, step: Any) -> Any:
        with transaction(self.world.store) as tx:
            return step(tx)


def search(world: World, market: Market) -> None:
    """What the loop does with the search that is due."""
    with transaction(world.store) as tx:
        [intent] = intents.due(tx, TENANT, ("find_orders",), world.now, 4, entity=f"{EBAY}/%")
        intents.sending(tx, TENANT, intent, world.now)
    how: Any = (TENANT, EBAY, market, None, Around(world), Around(world), intent, Bell())
    asyncio.run(searching.search(*cast(Any, how)))
    world.handle()


def seen_short(world: World) -> int:
    """A read shows one mug fewer than believed, and the feed is complete through it: no order came."""
    world.missed_at(EBAY, "MUG", 1)
    read_at = world.now
    world.tick(60)
    world.complete(searched=False)
    return read_at


def states(world: World) -> list[str]:
    return [s for (s,) in world.rows("SELECT state FROM provisional ORDER BY prov_id")]


def test_S9_4_before_it_is_released_its_order_is_looked_for(world: World) -> None:
    read_at = seen_short(world)
    assert (states(world), world.k("MUG")) == (["OPEN"], 9), "the feed alone is not enough"
    market = Market([], [])
    search(world, market)
    assert market.since is not None and to_us(market.since) == read_at - LOOK_BACK_S * 1_000_000
    assert (states(world), world.k("MUG")) == (["RELEASED"], 10)


def test_S9_4_the_order_that_is_found_uses_it_up(world: World) -> None:
    read_at = seen_short(world)
    search(world, Market([], [order("E-1", read_at - 1_000_000, MUG=1)]))
    assert (states(world), world.line(EBAY, "E-1"), world.k("MUG")) == (["CONSUMED"], "O", 9)


def test_S9_4_a_search_without_an_answer_is_no_search(world: World) -> None:
    seen_short(world)
    market = Market([])
    market.fails = True
    search(world, market)
    assert states(world) == ["OPEN"]
    market.fails = False
    world.tick(600)
    search(world, market)
    assert states(world) == ["RELEASED"]


def test_S9_4_two_reads_are_looked_for_by_one_search(world: World) -> None:
    world.missed_at(EBAY, "MUG", 1)
    world.tick(1)
    world.missed_at(EBAY, "MUG", 1)
    world.tick(60)
    world.complete(searched=False)
    world.complete(searched=False)
    assert world.value("SELECT COUNT(*) FROM intent WHERE kind = 'find_orders'") == 1
    search(world, Market([]))
    assert states(world) == ["RELEASED", "RELEASED"]
