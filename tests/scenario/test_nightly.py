"""The nightly audit: everything is looked at, slowly, and what was interrupted goes on (SEMANTICS 9.7)."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import pytest
from tests.scenario.engine import CAN, EBAY, SHOP, TENANT, World, changed, order

from oneshelf.channels.contract import NoAnswer, RawMessage
from oneshelf.core.facts import BuyerSeen, OrderSeen
from oneshelf.core.ids import ChannelName
from oneshelf.core.instants import SECOND, from_us, to_us
from oneshelf.db.store import Store, transaction
from oneshelf.onboarding import nightly

DAY_S = 86_400


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 10)
    return world.open()


class Channel:
    """What a channel says of an order by its id; it may stop answering after so many."""

    def __init__(self, account_id: int, *orders: OrderSeen) -> None:
        self.name = ChannelName.SHOPIFY if account_id == SHOP else ChannelName.EBAY
        self.can = CAN[account_id]
        self.orders = {one.order_id: one for one in orders}
        self.asked: list[str] = []
        self.answers = 100

    async def fetch_order(self, http: Any, order_id: str) -> RawMessage | None:
        if len(self.asked) >= self.answers:
            raise NoAnswer("timed out", sent=True)
        self.asked.append(order_id)
        seen = self.orders.get(order_id)
        if seen is None:
            return None
        body = msgspec.json.encode([seen])
        return RawMessage("orders", body, {}, delivery_key=f"{order_id}:{seen.updated_at}")


class Around:
    """The world's clock, and its writer."""

    def __init__(self, world: World) -> None:
        self.world = world

    def now(self) -> datetime:
        return from_us(self.world.now)

    async def do(self, step: Any) -> Any:
        with transaction(self.world.store) as tx:
            return step(tx)


def audit(world: World, account_id: int, channel: Channel) -> nightly.Night:
    how: Any = (TENANT, account_id, channel, None, Around(world), Around(world))
    night = asyncio.run(nightly.audit(*cast(Any, how)))
    world.handle()
    return night


def report(world: World) -> dict[str, Any]:
    return dict(
        json.loads(world.value("SELECT detail FROM journal WHERE actor = 'audit' ORDER BY line_no DESC LIMIT 1"))
    )


def test_S9_7_every_open_order_is_read_again_and_what_differs_is_booked(world: World) -> None:
    sold = [order(f"E-{n}", world.now, MUG=1) for n in range(3)]
    for one in sold:
        world.hear(EBAY, one)
    world.tick(60)
    silent = changed(sold[1], world.now, cancelled_pieces=1)  # nobody told us
    channel = Channel(EBAY, sold[0], silent, sold[2])
    night = audit(world, EBAY, channel)
    assert (channel.asked, night.orders) == (["E-0", "E-1", "E-2"], 3)
    assert (world.line(EBAY, "E-1"), world.k("MUG")) == ("C", 8)
    assert report(world)["orders"] == 3
    world.tick(60)
    audit(world, EBAY, channel)
    assert channel.asked[3:] == ["E-0", "E-2"], "what is over is not read for ever"


def test_S9_7_one_that_was_interrupted_goes_on_where_it_was(world: World) -> None:
    sold = [order(f"E-{n}", world.now, MUG=1) for n in range(5)]
    for one in sold:
        world.hear(EBAY, one)
    channel = Channel(EBAY, *sold)
    channel.answers = 2
    with pytest.raises(NoAnswer):
        audit(world, EBAY, channel)
    channel.answers = 100
    night = audit(world, EBAY, channel)
    assert channel.asked == ["E-0", "E-1", "E-2", "E-3", "E-4"]
    assert night.orders == 5


def test_S9_7_an_outlet_not_read_for_a_day_is_asked_for_one_beside_its_offer_marked(world: World) -> None:
    outlet_id = world.outlet(EBAY, "MUG")
    world.rows(
        "INSERT INTO slot (tenant_id, outlet_id, account_id, write_unit, state, believed, believed_at, verified) "
        "VALUES (1, :o, 3, 'MUG', 'QUIET', 10, :at, 1) RETURNING 1",
        o=outlet_id,
        at=world.now,
    )
    world.rows("DELETE FROM dirty_listing RETURNING 1")
    night = audit(world, EBAY, Channel(EBAY))
    assert (night.outlets, night.not_read, night.beside_offer) == (1, 0, 0)
    assert world.rows("SELECT 1 FROM dirty_listing WHERE outlet_id = :o", o=outlet_id) == []
    world.rows("UPDATE slot SET believed = 7 RETURNING 1")  # a mark was lost
    assert audit(world, EBAY, Channel(EBAY)).beside_offer == 1
    world.rows("DELETE FROM dirty_listing RETURNING 1")
    world.tick(DAY_S + 1)
    night = audit(world, EBAY, Channel(EBAY))
    assert night.not_read == 1
    assert world.rows("SELECT reread FROM dirty_listing WHERE outlet_id = :o", o=outlet_id) == [(1,)]


def test_S9_7_the_hub_levels_are_the_sums_of_their_entries_and_read_within_the_day(world: World) -> None:
    night = audit(world, SHOP, Channel(SHOP))
    assert (night.books_differ, night.not_read, world.tasks()) == (0, 0, [])
    world.rows("UPDATE stock_level SET on_hand = on_hand + 1 WHERE sku = 'MUG' AND location_id = 'L1' RETURNING 1")
    world.tick(DAY_S + 1)
    night = audit(world, SHOP, Channel(SHOP))
    assert (night.books_differ, world.tasks()) == (1, ["books_differ"])
    assert night.not_read > 0
    assert report(world)["books_differ"] == 1
    world.rows("UPDATE stock_level SET on_hand = on_hand - 1 WHERE sku = 'MUG' AND location_id = 'L1' RETURNING 1")
    audit(world, SHOP, Channel(SHOP))
    assert world.tasks() == []


def test_I23_the_customers_counters_are_counted_again_every_night(world: World) -> None:
    buyer = BuyerSeen(channel_buyer_id="7", name="Jane Doe")
    for n in range(3):
        world.hear(SHOP, msgspec.structs.replace(order(f"100{n}", world.now, MUG=1), buyer=buyer))
    assert audit(world, SHOP, Channel(SHOP)).customers_differ == 0 and world.tasks() == []
    world.rows("UPDATE customer SET purchases = purchases + 1 RETURNING 1")
    world.rows("UPDATE customer_order SET pieces = 7 WHERE order_no = 2 RETURNING 1")
    world.tick(DAY_S + 1)
    night = audit(world, SHOP, Channel(SHOP))
    assert (night.customers_differ, night.counted_to, world.tasks()) == (2, None, ["customers_differ"])
    assert report(world)["customers_differ"] == 2
    world.rows("UPDATE customer SET purchases = purchases - 1 RETURNING 1")
    world.rows("UPDATE customer_order SET pieces = 1 RETURNING 1")
    audit(world, SHOP, Channel(SHOP))
    assert world.tasks() == []


def test_S9_7_it_is_due_every_night(world: World) -> None:
    def due() -> int:
        with transaction(world.store) as tx:
            return nightly.due(tx, TENANT, EBAY, world.now)

    first = to_us(datetime(2026, 11, 21, 3, tzinfo=UTC))
    assert (due(), due()) == (first, first)
    world.tick((first - world.now) / SECOND)
    audit(world, EBAY, Channel(EBAY))
    assert due() == first + DAY_S * SECOND
