"""What `oneshelf inbox record` takes out of a shelf: everything that came and can be read, less the persons in it."""

from __future__ import annotations

import msgspec
import pytest
from tests.scenario.engine import CHANNELS, EBAY, ETSY, TENANT, FactParser, World, order

from oneshelf.channels.contract import RawMessage
from oneshelf.core.errors import Park
from oneshelf.core.facts import Address, BuyerSeen, ErasureAsked, Fact, OrderSeen
from oneshelf.customers.erasing import erase_messages
from oneshelf.db.store import Store, transaction
from oneshelf.intake.handle import Parses
from oneshelf.watch.recording import AnyLine, Ended, ListingLine, MessageLine, decode, encode, record

OTTILIE = BuyerSeen(channel_buyer_id="ottilie_z", name="Ottilie Zauberflock", email="ottilie@example.com")
HOME = Address(name="Ottilie Zauberflock", line1="Am Quirl 7", city="Musterstadt", postal_code="93149", country="DE")


class Unable(FactParser):
    """A connector that can't read anything."""

    def parse(self, message: RawMessage) -> list[Fact]:
        raise Park("it is written in another way than we know")


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 10)
    return world.open()


def bought(world: World, order_id: str, **more: object) -> OrderSeen:
    return msgspec.structs.replace(order(order_id, world.now, MUG=2), buyer=OTTILIE, ship_to=HOME, **more)


def recorded(world: World, parsers: dict[int, Parses] | None = None, since: int = 0) -> list[AnyLine]:
    with transaction(world.store) as tx:
        parsers = parsers if parsers is not None else dict.fromkeys(CHANNELS, FactParser())
        lines = list(record(tx, TENANT, parsers, world.now, since=since))
    return list(decode(encode(line) for line in lines))


def messages(lines: list[AnyLine]) -> list[MessageLine]:
    return [line for line in lines if isinstance(line, MessageLine)]


def end(lines: list[AnyLine]) -> Ended:
    assert isinstance(lines[-1], Ended)
    return lines[-1]


def test_a_message_is_recorded_without_its_person_and_with_all_else(world: World) -> None:
    world.hear(EBAY, bought(world, "E-1", note="Please ring at Zauberflock"))
    lines = recorded(world)
    [message] = messages(lines)
    assert (message.account_id, message.topic, message.source, message.received_at) == (
        EBAY,
        "orders",
        "webhook",
        world.now,
    )
    for word in ("ottilie", "Ottilie", "Zauberflock", "Quirl", "Musterstadt", "93149"):
        assert word not in message.body
    [fact] = FactParser().parse(RawMessage("orders", message.body.encode()))
    assert isinstance(fact, OrderSeen)
    assert fact.lines == bought(world, "E-1").lines
    assert (end(lines).messages, end(lines).left_out) == (1, 0)
    assert (end(lines).orders, end(lines).committed) == (1, {"MUG": 2})
    mug = next(line for line in lines if isinstance(line, ListingLine) and line.account_id == EBAY)
    assert (mug.names, mug.parts) == (("sku:MUG",), {"MUG": 1})


def test_what_was_emptied_what_is_about_a_person_and_what_is_unreadable_is_left_out_and_counted(world: World) -> None:
    for place in range(3):
        world.hear(EBAY, bought(world, f"E-{place}"))
    world.hear(ETSY, bought(world, "T-1"))
    world.hear(EBAY, ErasureAsked("erase", "somebody_else"))
    with transaction(world.store) as tx:
        erase_messages(tx, TENANT, [1], world.now)
    lines = recorded(world, {**dict.fromkeys(CHANNELS, FactParser()), ETSY: Unable()})
    assert (end(lines).messages, end(lines).erased, end(lines).about_persons, end(lines).unreadable) == (2, 1, 1, 1)
    assert len(messages(lines)) == 2
    without_etsy = {account_id: FactParser() for account_id in CHANNELS if account_id != ETSY}
    assert end(recorded(world, without_etsy)).unreadable == 1  # of an account that is gone nobody reads anything


def test_since_is_when_it_was_received(world: World) -> None:
    world.hear(EBAY, bought(world, "E-1"))
    later = world.tick(60)
    world.hear(EBAY, bought(world, "E-2"))
    assert [one.received_at for one in messages(recorded(world, since=later))] == [later]


def test_what_is_not_handled_yet_is_not_recorded(world: World) -> None:
    world.hear(EBAY, bought(world, "E-1"), handled=False)
    assert messages(recorded(world)) == []
