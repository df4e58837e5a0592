"""A backup of an hour ago is put back: what happened since is found out, and nothing that was done since is done twice (RELIABILITY F11)."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.scenario.engine import AMAZON, EBAY, ETSY, SHOP, TENANT, World, order
from tests.scenario.fake_market import FakeMarket
from tests.scenario.invariants import check

from oneshelf.channels.contract import Move
from oneshelf.core.instants import SECOND, from_us
from oneshelf.db.backup import back_up, mark_restored, put_back
from oneshelf.db.sqlite import SqliteStore
from oneshelf.db.store import Store, transaction
from oneshelf.imports import adopting
from oneshelf.intake.worker import reread_open_orders
from oneshelf.onboarding.restored import begin_if_restored


class Kept:
    """A world whose ledger goes back to where it was; its shop and its marketplaces do not."""

    def __init__(self, world: World, copy: Path) -> None:
        self.world = world
        self.copy = copy
        back_up(world.store.url, copy, world.now)

    def put_back(self) -> None:
        world = self.world
        world.store.close()
        put_back(world.store.url, self.copy, world.now)
        world.store.open()
        world.hub.changed = list(world.hub.orders)  # its feed shows again what changed since
        with transaction(world.store) as tx:
            assert begin_if_restored(tx, TENANT, world.tick()) is not None
        world.restart()


@pytest.fixture
def world(sqlite_migrated: Path, tmp_path: Path) -> World:
    path = tmp_path / "oneshelf.db"
    path.write_bytes(sqlite_migrated.read_bytes())
    store = SqliteStore(str(path))
    store.open()
    world = World(store)
    world.item("MUG", 10)
    world.item("CUP", 1)
    return world.open()


def claims(world: World) -> list[tuple[int, ...]]:
    """want, held, imported of the open ones"""
    return world.rows("SELECT want, held, imported FROM claim WHERE open = 1 ORDER BY claim_key")  # type: ignore[return-value]


def test_S9_5_a_hold_that_the_copy_does_not_know_is_not_made_again(world: World, tmp_path: Path) -> None:
    kept = Kept(world, tmp_path / "copy.db")
    sold = order("A-1", world.tick(), paid=False, MUG=2)
    world.hear(AMAZON, sold)
    world.run_hub()
    assert world.row("MUG") == "10/8/0/2"
    kept.put_back()
    world.hear(AMAZON, sold)
    assert world.plan_moves() is None  # its level was not read yet: who knows what is held there?
    world.tick(3)
    world.read_wanted()
    world.run_hub()
    assert (world.row("MUG"), claims(world)) == ("10/8/0/2", [(2, 2, 0)])
    world.hear(AMAZON, order("A-1", sold_at := world.now - SECOND, updated=sold_at, cancelled=True, MUG=2))
    world.to_rest()
    assert (world.row("MUG"), claims(world), world.k("MUG")) == ("10/10/0/0", [], 10)
    check(world)


def test_S9_5_what_is_read_before_the_order_is_heard_is_not_on_sale_until_its_order_takes_it(
    world: World, tmp_path: Path
) -> None:
    kept = Kept(world, tmp_path / "copy.db")
    sold = order("A-1", world.tick(), paid=False, CUP=1)
    world.hear(AMAZON, sold)
    world.run_hub()
    kept.put_back()
    world.read_wanted()
    assert world.k("CUP") == 0
    world.hear(AMAZON, sold)
    world.run_hub()
    assert (world.k("CUP"), world.row("CUP"), claims(world)) == (0, "1/0/0/1", [(1, 1, 0)])
    assert world.line(AMAZON, "A-1", "coverage") == "COVERED"  # by the very piece that is held for it
    check(world)


def test_I6_an_order_that_was_imported_since_is_found_and_not_imported_again(world: World, tmp_path: Path) -> None:
    kept = Kept(world, tmp_path / "copy.db")
    sold = order("E-1", world.tick(), MUG=2)
    world.hear(EBAY, sold)
    world.run_hub()
    kept.put_back()
    world.hear(EBAY, sold)
    world.tick(3)
    world.read_wanted()
    world.run_hub()
    world.to_rest()
    assert (len(world.hub.orders), world.row("MUG"), world.level("MUG")) == (1, "10/8/2/0", (10, 2, 0, 0))
    check(world)


def test_S5_6_the_copy_of_an_order_that_is_first_heard_of_as_cancelled_is_taken_back(
    world: World, tmp_path: Path
) -> None:
    """It was imported and then cancelled since the backup, and its copy had not been cancelled yet."""
    kept = Kept(world, tmp_path / "copy.db")
    world.hear(EBAY, order("E-1", world.tick(), MUG=2))
    world.run_hub()
    kept.put_back()
    world.hear(EBAY, order("E-1", world.now - SECOND, updated=world.tick(), cancelled=True, MUG=2))
    world.read_wanted()
    world.to_rest()
    assert (world.row("MUG"), world.level("MUG"), claims(world)) == ("10/10/0/0", (10, 0, 0, 0), [])
    check(world)


def test_I6_a_parcel_that_was_told_since_is_looked_for_and_not_told_again(world: World, tmp_path: Path) -> None:
    market = FakeMarket(world)
    sold = order("T-1", world.tick(), MUG=2)
    world.hear(ETSY, sold)
    world.run_hub()
    world.hub_news()
    kept = Kept(world, tmp_path / "copy.db")
    hub_order = str(world.order(ETSY, "T-1", "hub_order_id"))
    shipment = world.hub.fulfil(world.tick(60), hub_order, MUG=2)
    world.hub.track(world.tick(), hub_order, shipment, "1Z 99")
    world.hub_news()
    assert market.run(ETSY) == 1
    kept.put_back()
    world.hub_news()
    market.run(ETSY)
    assert len(market.told(ETSY, "T-1")) == 1
    assert world.rows("SELECT state FROM shipment") == [("CONFIRMED",)]


def test_S9_5_holds_that_were_given_back_since_are_not_the_merchants_word(world: World, tmp_path: Path) -> None:
    """One order was imported since, the other still waits: which hold is gone can't be seen, and both end right."""
    first = order("A-1", world.tick(), paid=False, MUG=2)
    second = order("A-2", world.tick(), paid=False, MUG=3)
    world.hear(AMAZON, first)
    world.hear(AMAZON, second)
    world.run_hub()
    kept = Kept(world, tmp_path / "copy.db")
    paid = order("A-1", world.now, updated=world.tick(), MUG=2)
    world.hear(AMAZON, paid)
    world.run_hub()
    world.hub_news()
    world.run_hub()
    assert world.row("MUG") == "10/5/2/3"
    kept.put_back()
    world.read_wanted()
    world.hear(AMAZON, paid)
    world.tick(3)
    world.run_hub()
    world.to_rest()
    assert (world.row("MUG"), sorted(claims(world))) == ("10/5/2/3", [(2, 0, 2), (3, 3, 0)])
    check(world)


def test_S9_3_holds_that_were_given_back_since_are_no_edit_while_a_call_of_ours_is_in_flight(
    world: World, tmp_path: Path
) -> None:
    """Found by the simulator: as long as one was, what the shop held was not compared, and the rest was the merchant's."""
    sold = {
        name: order(name, world.tick(), paid=False, MUG=pieces) for name, pieces in (("A-1", 2), ("A-2", 3), ("A-3", 1))
    }
    for seen in sold.values():
        world.hear(AMAZON, seen)
    world.run_hub()
    kept = Kept(world, tmp_path / "copy.db")
    gone = {
        name: msgspec.structs.replace(sold[name], cancelled=True, updated_at=from_us(world.tick()))
        for name in ("A-1", "A-3")
    }
    for seen in gone.values():
        world.hear(AMAZON, seen)
    world.run_hub()
    assert world.row("MUG") == "10/7/0/3"
    kept.put_back()
    world.hear(AMAZON, gone["A-1"])
    call = world.plan_moves()
    assert call is not None  # its return is on its way, a second time
    for _ in range(3):
        world.tick(60)
        world.complete(SHOP)
        world.read("MUG")
    assert world.rows("SELECT entry_key FROM ledger_entry WHERE entry_key LIKE 'edit:%'") == []
    world.settle(call, world.do(call))
    world.hear(AMAZON, gone["A-3"])
    world.to_rest()
    assert (world.row("MUG"), claims(world), world.k("MUG")) == ("10/7/0/3", [(3, 3, 0)], 7)
    assert world.rows("SELECT entry_key FROM ledger_entry WHERE entry_key LIKE 'edit:%'") == []
    check(world)


def test_what_nobody_claims_is_kept_off_sale_and_given_to_a_person(world: World, tmp_path: Path) -> None:
    kept = Kept(world, tmp_path / "copy.db")
    world.hub.move([Move(item_id="item-MUG", location_id="L1", pieces=2, hold=True)], "somebody's")
    kept.put_back()
    world.read_wanted()
    assert world.k("MUG") == 8

    def tell() -> list[str]:
        with transaction(world.store) as tx:
            adopting.tell_of_unclaimed(tx, TENANT, world.now)
        return [
            subject
            for (subject,) in world.rows(
                "SELECT subject FROM task WHERE kind = :k AND closed_at IS NULL", k=adopting.TASK
            )
        ]

    assert tell() == []
    world.tick(adopting.UNCLAIMED_AFTER_S)
    assert tell() == ["MUG"]
    (why,) = world.rows("SELECT why FROM task WHERE kind = :k", k=adopting.TASK)[0]
    place = world.value("SELECT name FROM location WHERE location_id = 'L1'")
    assert f": 2 at {place}. " in why
    world.hub.move([Move(item_id="item-MUG", location_id="L1", pieces=2, hold=False)], "given back")
    world.read("MUG")
    assert (tell(), world.k("MUG")) == ([], 10)


def test_S8_14_every_listing_is_read_before_a_number_leaves_and_a_person_is_told(world: World, tmp_path: Path) -> None:
    world.list(AMAZON, "MUG", {"MUG": 1})
    with transaction(world.store) as tx:
        tx.run("DELETE FROM dirty_listing")
    Kept(world, tmp_path / "copy.db").put_back()
    assert world.rows("SELECT why, reread FROM dirty_listing WHERE outlet_id = :o", o=world.outlet(AMAZON, "MUG")) == [
        ("a backup was put back", 1)
    ]
    assert world.tasks("restored") == ["restored"]
    assert world.rows("SELECT DISTINCT wanted, read_at FROM hub_level") == [(1, 0)]


def test_S4_6_an_order_whose_cancel_no_feed_shows_is_read_again_at_once(world: World, tmp_path: Path) -> None:
    world.hear(ETSY, order("T-1", world.tick(), MUG=1))
    kept = Kept(world, tmp_path / "copy.db")
    world.tick(60)  # its cancel is heard, and forgotten again
    with transaction(world.store) as tx:
        assert reread_open_orders(tx, TENANT, ETSY, world.now, 3600.0) == 0
    kept.put_back()
    with transaction(world.store) as tx:
        assert reread_open_orders(tx, TENANT, ETSY, world.tick(), 3600.0) == 1
    world.hear(ETSY, order("T-1", world.now - SECOND, updated=world.tick(), cancelled=True, MUG=1))
    with transaction(world.store) as tx:
        assert reread_open_orders(tx, TENANT, ETSY, world.tick(), 3600.0) == 0


def test_S4_2_no_number_that_was_given_out_since_is_given_out_again(world: World, tmp_path: Path) -> None:
    """The key of a batch of moves is made of its number: a shop that knows it would answer for the batch of then."""
    kept = Kept(world, tmp_path / "copy.db")
    world.hear(AMAZON, order("A-1", world.tick(), paid=False, MUG=2))
    world.run_hub()
    before = world.value("SELECT MAX(intent_no) FROM intent")
    kept.put_back()
    world.read_wanted()
    world.hear(AMAZON, order("A-2", world.tick(), paid=False, MUG=1))
    assert world.value("SELECT MIN(intent_no) FROM intent WHERE entity LIKE '%A-2%'") > before


def test_a_database_that_says_nothing_is_not_taken_for_a_backup_and_one_only_once(store: Store) -> None:
    world = World(store)
    with transaction(store) as tx:
        assert begin_if_restored(tx, TENANT, world.now) is None
        mark_restored(tx, world.now)
        assert begin_if_restored(tx, TENANT, world.now + 5) == world.now
        assert begin_if_restored(tx, TENANT, world.now + 6) is None
    assert world.value("SELECT value FROM counter WHERE name = 'restored'") == world.now + 5
