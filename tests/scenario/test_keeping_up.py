"""A hub copy keeps up with its marketplace order: what is told later, and what was shipped there (SEMANTICS 5.4, 10.6, 14.7)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.scenario.engine import AMAZON, EBAY, SHOP, TENANT, World, changed, key_of, order
from tests.scenario.fake_market import FakeMarket
from tests.scenario.invariants import check, check_at_rest, check_shipments

from oneshelf.channels.abilities import CopyChange, ShipmentTold
from oneshelf.core.facts import Address, BuyerSeen, LineSeen, Money, OrderSeen, ShipmentSeen
from oneshelf.core.instants import from_us
from oneshelf.core.outcome import Rejected, Unknown
from oneshelf.db.store import Store, transaction
from oneshelf.imports.changes import NO_ABILITY, ChangeCall, FulfilCall
from oneshelf.orders import intents
from oneshelf.orders.keeping_up import ECHO_WAIT_S

OSLO = Address(name="Jane Doe", line1="Gate 1", city="Oslo", country="NO")


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 10)
    world.item("CUP", 10)
    return world.open()


@pytest.fixture
def sold(world: World) -> OrderSeen:
    """An imported order without a person."""
    sold = order("E-1", world.now, MUG=2)
    world.hear(EBAY, sold)
    world.run_hub()
    world.hub_news()
    return sold


def later(world: World, sold: OrderSeen, **more: Any) -> OrderSeen:
    seen = msgspec.structs.replace(sold, updated_at=from_us(world.tick(60)), **more)
    world.hear(EBAY, seen)
    return seen


def carry(world: World) -> list[CopyChange]:
    """Carry out the changes that are owed; return them."""
    done = []
    world.tick(5)
    while (call := world.plan_change()) is not None:
        world.carry_out(call)
        done.append(call.change)
        assert len(done) < 10, "the same change for ever"
        world.tick(5)
    return done


class TestToldLater:
    def test_S14_7_an_address_that_comes_later_is_carried_to_the_copy_once(self, world: World, sold: OrderSeen) -> None:
        later(world, sold, ship_to=OSLO)
        assert carry(world) == [CopyChange(ship_to=OSLO)]
        later(world, sold, ship_to=OSLO)
        assert carry(world) == []

    def test_S14_7_only_what_the_marketplace_changed_is_named(self, world: World) -> None:
        sold = order("E-1", world.now, MUG=2)
        sold = msgspec.structs.replace(sold, ship_to=OSLO, buyer=BuyerSeen(email="a@x.example", phone="+471"))
        world.hear(EBAY, sold)
        world.run_hub()
        later(world, sold, buyer=BuyerSeen(email="b@x.example", phone="+471"))
        assert carry(world) == [CopyChange(email="b@x.example")]

    def test_what_the_draft_had_is_not_told_again(self, world: World) -> None:
        sold = msgspec.structs.replace(order("E-1", world.now, MUG=2), ship_to=OSLO, note="Gift: congratulations")
        world.hear(EBAY, sold)
        world.run_hub()
        later(world, sold)
        assert carry(world) == []

    def test_what_came_while_the_copy_was_made_is_carried(self, world: World) -> None:
        sold = order("E-1", world.now, MUG=2)
        world.hear(EBAY, sold)
        call = world.plan_import()
        later(world, sold, ship_to=OSLO)
        world.settle(call, world.do(call))
        assert carry(world) == [CopyChange(ship_to=OSLO)]

    def test_also_when_the_copys_own_news_settled_the_import(self, world: World) -> None:
        sold = order("E-1", world.now, MUG=2)
        world.hear(EBAY, sold)
        call = world.plan_import()
        later(world, sold, ship_to=OSLO)
        world.do(call)
        world.settle(call, Unknown("timed out"))
        world.hub_news()
        assert carry(world) == [CopyChange(ship_to=OSLO)]

    def test_many_changes_are_one_call(self, world: World, sold: OrderSeen) -> None:
        seen = later(world, sold, ship_to=OSLO)
        later(world, seen, note="Gift: from aunt May")
        assert carry(world) == [CopyChange(ship_to=OSLO, notes=("Ebay: Gift: from aunt May",))]

    def test_what_changed_during_the_call_is_owed_next(self, world: World, sold: OrderSeen) -> None:
        seen = later(world, sold, ship_to=OSLO)
        world.tick(5)
        call = world.plan_change()
        assert isinstance(call, ChangeCall)
        moved = msgspec.structs.replace(OSLO, line1="Gate 2")
        later(world, seen, ship_to=moved)
        world.settle(call, world.do(call))
        assert carry(world) == [CopyChange(ship_to=moved)]

    @pytest.mark.parametrize("applied", [True, False])
    def test_I17_without_an_answer_the_same_change_goes_again(
        self, world: World, sold: OrderSeen, applied: bool
    ) -> None:
        later(world, sold, ship_to=OSLO)
        world.tick(5)
        call = world.plan_change()
        if applied:
            world.do(call)
        with transaction(world.store) as tx:
            intents.recover(tx, TENANT)
        assert carry(world) == [CopyChange(ship_to=OSLO)]

    def test_refused_is_a_task_and_not_tried_for_ever(self, world: World, sold: OrderSeen) -> None:
        later(world, sold, ship_to=OSLO)
        world.tick(5)
        world.settle(world.plan_change(), Rejected("Country is not supported", "INVALID"))
        assert world.tasks() == ["change_copy"]
        later(world, sold, ship_to=OSLO)
        assert carry(world) == []

    def test_a_hub_that_takes_no_changes_leaves_them_to_a_person_in_sight(self, world: World, sold: OrderSeen) -> None:
        later(world, sold, ship_to=OSLO)
        world.tick(5)
        world.settle(world.plan_change(), NO_ABILITY)
        assert world.rows("SELECT kind, why FROM task WHERE closed_at IS NULL") == [
            ("change_copy", "Oneshelf can't do this in the shop")
        ]

    def test_S11_5_what_was_told_is_kept_without_the_person(self, world: World, sold: OrderSeen) -> None:
        later(world, sold, ship_to=OSLO, buyer=BuyerSeen(email="jane@x.example"))
        carry(world)
        kept = str(world.rows("SELECT told FROM copy_told")) + str(
            world.rows("SELECT payload FROM intent WHERE kind = 'change_copy'")
        )
        assert "Oslo" not in kept and "jane" not in kept

    def test_a_copy_that_somebody_else_made_is_theirs_until_the_marketplace_changes_something(
        self, world: World
    ) -> None:
        sold = msgspec.structs.replace(order("E-1", world.now, MUG=1), ship_to=OSLO)
        world.hear(EBAY, sold)
        copy = order("H-1", world.now, lines=[LineSeen("h1", ("sku:MUG",), 1, sku="MUG")])
        world.hear(SHOP, msgspec.structs.replace(copy, copy_of_key=key_of(EBAY, "E-1")))
        assert carry(world) == []
        moved = msgspec.structs.replace(OSLO, line1="Gate 2")
        later(world, sold, ship_to=moved)
        assert carry(world) == [CopyChange(ship_to=moved)]

    def test_S0_7_nothing_leaves_for_an_account_that_is_not_live(self, world: World, sold: OrderSeen) -> None:
        world.rows("UPDATE account SET state = 'MATCHED' WHERE account_id = 3 RETURNING 1")
        later(world, sold, ship_to=OSLO)
        assert carry(world) == []


class TestWishes:
    def test_a_buyers_wish_to_cancel_is_a_task_and_stands_on_the_copy(self, world: World, sold: OrderSeen) -> None:
        seen = later(world, sold, cancel_asked="bought by mistake")
        assert world.tasks() == ["buyer_asks_cancel"]
        (change,) = carry(world)
        assert (change.notes, change.tags) == (
            ("Ebay: the buyer asks to cancel (bought by mistake)",),
            ("buyer asks to cancel",),
        )
        later(world, seen, cancel_asked="")
        assert (world.tasks(), carry(world)) == ([], [])

    def test_S5_4_money_given_back_is_a_line_on_the_copy_and_moves_no_stock(
        self, world: World, sold: OrderSeen
    ) -> None:
        before = world.level("MUG")
        later(world, sold, refunded=Money(505, "EUR"))
        (change,) = carry(world)
        assert change.notes == ("Ebay: 5.05 EUR refunded there in all",)
        assert world.level("MUG") == before
        assert world.rows(
            "SELECT detail FROM journal WHERE what = 'A marketplace changed an order after its import'"
        ) == [('{"fields": ["refunded"]}',)]

    def test_yen_have_no_cents(self, world: World, sold: OrderSeen) -> None:
        later(world, sold, refunded=Money(505, "JPY"))
        assert carry(world)[0].notes == ("Ebay: 505 JPY refunded there in all",)

    def test_more_ordered_later_is_held_and_a_task(self, world: World, sold: OrderSeen) -> None:
        lines = (msgspec.structs.replace(sold.lines[0], ordered=3), LineSeen("CUP", ("sku:CUP",), 1, sku="CUP"))
        later(world, sold, lines=lines)
        world.run_hub()
        assert (world.row("MUG"), world.row("CUP"), world.tasks()) == ("10/7/2/1", "10/9/0/1", ["add_to_copy"])
        what = world.value("SELECT what FROM task WHERE kind = 'add_to_copy'")
        assert "1 × CUP" in what and "1 × MUG" in what
        check(world)


class TestShippedThere:
    """S10.6: a label bought at the marketplace: the line is S at once, its copy is fulfilled, once."""

    def shipped(self, world: World, sold: OrderSeen, units: int = 2) -> OrderSeen:
        parcel = ShipmentSeen("P1", from_us(world.tick(60)), {"MUG": units}, "LABEL-1", "USPS")
        seen = changed(sold, world.now, shipped=units, shipments=(parcel,))
        world.hear(EBAY, seen)
        return seen

    def test_S10_6_the_copy_is_fulfilled_once_with_the_marketplaces_number(self, world: World, sold: OrderSeen) -> None:
        market = FakeMarket(world)
        market.parcels[(EBAY, "E-1")] = {"x": ShipmentTold("ref-x", {"MUG": 2}, "USPS", "LABEL-1")}
        self.shipped(world, sold)
        assert (world.line(EBAY, "E-1"), world.level("MUG")) == ("S", (10, 2, 0, 0))
        world.tick(ECHO_WAIT_S)
        call = world.plan_fulfilment()
        assert isinstance(call, FulfilCall)
        assert (call.parcel.units, call.parcel.tracking_number, call.parcel.carrier) == ({"MUG": 2}, "LABEL-1", "USPS")
        world.settle(call, world.do(call))
        world.hub_news()
        self.shipped(world, sold)
        world.tick(ECHO_WAIT_S)
        assert world.plan_fulfilment() is None
        assert world.level("MUG") == (8, 0, 0, 0)
        market.run(EBAY)
        assert market.calls == [], "the marketplace knows it already"
        check_shipments(world, market)
        world.to_rest()
        check_at_rest(world, {})

    def test_S10_6_a_fulfilment_that_comes_within_the_wait_is_the_echo(self, world: World, sold: OrderSeen) -> None:
        self.shipped(world, sold)
        world.tick(ECHO_WAIT_S - 20)
        assert world.plan_fulfilment() is None
        world.hub.fulfil(world.tick(10), world.order(EBAY, "E-1", "hub_order_id"))
        world.hub_news()
        world.tick(ECHO_WAIT_S)
        assert world.plan_fulfilment() is None

    def test_S10_6_not_imported_yet_it_is_imported_first(self, world: World) -> None:
        sold = order("E-1", world.now, MUG=2)
        world.hear(EBAY, sold)
        self.shipped(world, sold)
        world.tick(ECHO_WAIT_S)
        assert world.plan_fulfilment() is None
        world.run_hub()
        world.hub_news()
        world.tick(ECHO_WAIT_S)
        call = world.plan_fulfilment()
        assert isinstance(call, FulfilCall)
        world.settle(call, world.do(call))
        world.to_rest()
        check_at_rest(world, {})

    def test_S10_6_a_marketplace_that_ships_whole_orders_makes_no_parcel_of_our_first_one(
        self, world: World, sold: OrderSeen
    ) -> None:
        """Etsy calls all of a receipt shipped when it is told of its first parcel. The second piece still lies on the shelf."""
        market = FakeMarket(world)
        hub_order = world.order(EBAY, "E-1", "hub_order_id")
        world.hub.fulfil(world.tick(60), hub_order, MUG=1)
        world.hub_news()
        market.run(EBAY)
        reference = market.parcels[(EBAY, "E-1")]
        whole = ShipmentSeen(next(iter(reference.values())).reference, from_us(world.tick(60)), {"MUG": 2})
        world.hear(EBAY, changed(sold, world.now, shipped=2, shipments=(whole,)))
        world.tick(ECHO_WAIT_S)
        assert world.plan_fulfilment() is None
        assert (world.line(EBAY, "E-1"), world.level("MUG")) == ("S", (9, 1, 0, 0))
        world.hub.fulfil(world.tick(60), hub_order, MUG=1)
        world.hub_news()
        assert world.level("MUG") == (8, 0, 0, 0)

    @pytest.mark.parametrize("applied", [True, False])
    def test_I6_without_an_answer_the_copy_is_read_before_it_is_fulfilled_again(
        self, world: World, sold: OrderSeen, applied: bool
    ) -> None:
        self.shipped(world, sold)
        world.tick(ECHO_WAIT_S)
        call = world.plan_fulfilment()
        assert call is not None
        if applied:
            world.do(call)
        with transaction(world.store) as tx:
            intents.recover(tx, TENANT)
        assert world.plan_fulfilment() is None, "the copy was not read since"
        assert "fetch_order" in [kind for (kind,) in world.rows("SELECT kind FROM intent WHERE state = 'WAITING'")]
        hub_order = call.hub_order_id
        world.hub._touch(world.hub.orders[hub_order], world.tick(60))
        world.hub_news()
        again = world.plan_fulfilment()
        assert (again is None) == applied
        if again is not None:
            world.settle(again, world.do(again))
            world.hub_news()
        assert len(world.hub.orders[hub_order].shipments) == 1
        assert world.level("MUG") == (8, 0, 0, 0)

    def test_S10_5_what_we_told_of_a_cancelled_fulfilment_is_no_shipment_of_its_own(
        self, world: World, sold: OrderSeen
    ) -> None:
        market = FakeMarket(world)
        hub_order = world.order(EBAY, "E-1", "hub_order_id")
        parcel = world.hub.fulfil(world.tick(60), hub_order)
        world.hub_news()
        market.run(EBAY)
        world.hub.cancel_fulfilment(world.tick(60), hub_order, parcel)
        world.hub_news()
        self.shipped(world, sold)
        world.tick(ECHO_WAIT_S)
        assert world.plan_fulfilment() is None

    def test_a_bundle_is_a_persons(self, world: World) -> None:
        world.list(AMAZON, "SET", {"MUG": 1, "CUP": 1})
        sold = order("A-1", world.now, SET=1)
        world.hear(AMAZON, sold)
        world.run_hub()
        world.hub_news()
        world.hear(AMAZON, changed(sold, world.tick(60), shipped=1))
        world.tick(ECHO_WAIT_S)
        assert (world.plan_fulfilment(), world.tasks()) == (None, ["fulfil_copy"])

    def test_refused_is_a_task(self, world: World, sold: OrderSeen) -> None:
        self.shipped(world, sold)
        world.tick(ECHO_WAIT_S)
        world.settle(world.plan_fulfilment(), Rejected("a hold is on it", "not_open"))
        assert world.tasks() == ["fulfil_copy"]
