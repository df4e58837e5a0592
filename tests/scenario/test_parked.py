"""Messages that could not be used are listed, tried again, or set aside (SEMANTICS 4.1)."""

from __future__ import annotations

import pytest
from tests.scenario.engine import CHANNELS, EBAY, TENANT, FactParser, World, order

from oneshelf.channels.contract import RawMessage
from oneshelf.core.errors import NotThere, Park
from oneshelf.core.facts import Fact
from oneshelf.db.store import Store, transaction
from oneshelf.intake import parked
from oneshelf.intake.departed import handle_departed
from oneshelf.intake.handle import handle
from oneshelf.intake.parked import NotParked
from oneshelf.tenants.accounts import set_state


class Unable(FactParser):
    """A connector that can't read anything yet."""

    def parse(self, message: RawMessage) -> list[Fact]:
        raise Park("it is written in another way than we know")


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 10)
    return world.open()


def park(world: World, order_id: str = "E-1") -> int:
    world.hear(EBAY, order(order_id, world.now, MUG=1), handled=False)
    with transaction(world.store) as tx:
        handle(tx, TENANT, dict.fromkeys(CHANNELS, Unable()), world.now)
    return int(world.value("SELECT MAX(seq) FROM inbox"))


def retry(world: World, *seqs: int) -> int:
    with transaction(world.store) as tx:
        return parked.retry(tx, TENANT, seqs, world.now, by="Ada")


def test_S4_1_a_parked_message_is_in_sight_and_tried_again_it_is_booked(world: World) -> None:
    seq = park(world)
    with transaction(world.store) as tx:
        [one] = parked.parked(tx, TENANT)
    assert (one.seq, one.account, one.connected, one.why) == (
        seq,
        "Ebay",
        True,
        "it is written in another way than we know",
    )
    assert world.tasks() == ["parked_message"]
    assert retry(world, seq) == 1
    assert world.tasks() == []
    world.handle()
    assert (world.line(EBAY, "E-1"), world.k("MUG")) == ("O", 9)


def test_failing_again_it_waits_again(world: World) -> None:
    retry(world, park(world))
    with transaction(world.store) as tx:
        assert handle(tx, TENANT, dict.fromkeys(CHANNELS, Unable()), world.now).parked == 1
    assert world.tasks() == ["parked_message"]


def test_set_aside_its_task_ends_and_it_stays(world: World) -> None:
    seq = park(world)
    with transaction(world.store) as tx:
        assert parked.set_aside(tx, TENANT, [seq], world.now, by="Ada") == 1
        assert parked.parked(tx, TENANT) == []
    assert (world.tasks(), world.value("SELECT state FROM inbox WHERE seq = :s", s=seq)) == ([], "DONE")
    with pytest.raises(NotThere, match="is not parked"):
        retry(world, seq)


def test_S4_1_a_message_that_comes_before_its_connector_is_up_waits_for_it(world: World) -> None:
    world.hear(EBAY, order("E-1", world.now, MUG=1), handled=False)
    for up in ({}, {one: FactParser() for one in CHANNELS if one != EBAY}):
        with transaction(world.store) as tx:
            assert handle(tx, TENANT, up, world.now).rows == 0
    assert world.tasks() == []
    world.handle()
    assert (world.line(EBAY, "E-1"), world.k("MUG")) == ("O", 9)


def test_of_a_departed_account_it_is_tried_again_once_it_is_connected(world: World) -> None:
    seq = park(world)
    with transaction(world.store) as tx:
        set_state(tx, TENANT, EBAY, "DISCONNECTED", world.now)
    world.hear(EBAY, order("E-2", world.now, MUG=1), handled=False)
    with transaction(world.store) as tx:
        handle_departed(tx, TENANT, {EBAY: FactParser()}, world.now)
    assert sorted(world.tasks()) == ["departed_message", "parked_message"]
    with pytest.raises(NotParked, match="no longer connected"):
        retry(world, seq)
    assert retry(world) == 0, "all that can be: none"
    with transaction(world.store) as tx:
        set_state(tx, TENANT, EBAY, "LIVE", world.now)
    assert (retry(world), world.tasks()) == (2, [])
    world.handle()
    assert world.k("MUG") == 8
