"""The worked examples of SEMANTICS 15, step by step, with their numbers: ledger, the shop's row, offers."""

from __future__ import annotations

import pytest
from tests.scenario.engine import AMAZON, EBAY, ETSY, SHOP, World, changed, order
from tests.scenario.invariants import check, check_at_rest

from oneshelf.core.instants import SECOND
from oneshelf.core.outcome import Accepted
from oneshelf.db.store import Store
from oneshelf.imports import copy_orders


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


class TestFirstLoad:
    """S15 "first load": two locations, open orders in the shop, a damaged piece."""

    @pytest.fixture
    def world(self, store: Store) -> World:
        world = World(store)
        world.item("A", L1=6, L2=3)
        world.item("B", L1=1)
        world.item("C", L1=1, L2=3)
        world.hub.cell("C", "L2").unavailable = 1
        for location_id, pieces in (("L1", {"A": 2}), ("L1", {"B": 1}), ("L1", {"C": 2})):
            world.hub.sell(world.now, location_id, **pieces)
        world.safety(ETSY, 5)
        world.tick(60)
        world.open_stock()
        world.hub_news()
        world.settle_opening()
        return world

    def test_S0_4_the_shop_is_as_the_example_says(self, world: World) -> None:
        rows = [world.row("A", "L1"), world.row("A", "L2"), world.row("B"), world.row("C", "L1"), world.row("C", "L2")]
        assert rows == ["6/4/2/0", "3/3/0/0", "1/0/1/0", "1/-1/2/0", "3/2/0/0"]

    def test_S0_4_levels_and_open_orders_make_the_ledger(self, world: World) -> None:
        assert world.level("A") == (9, 2, 0, 0)
        assert world.level("B") == (1, 1, 0, 0)
        assert world.level("C") == (4, 2, 0, 1)
        check(world)

    def test_S0_5_k_of_each_location_is_what_the_shop_calls_available(self, world: World) -> None:
        places = [("A", "L1"), ("A", "L2"), ("B", "L1"), ("C", "L1"), ("C", "L2")]
        assert [world.k(*place) for place in places] == [4, 3, 0, -1, 2]

    def test_S2_1_offers_after_the_first_load(self, world: World) -> None:
        assert [world.offers(sku) for sku in "ABC"] == [(7, 7, 2), (0, 0, 0), (1, 1, 0)]

    def test_S0_6_an_unanswered_pending_order_older_than_live_is_reserved_and_held(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now - 3600 * SECOND, paid=False, A=1))
        assert world.run_hub() == 0, "nothing leaves before the account is live"
        world.live()
        world.tick(3)
        world.run_hub()
        assert world.level("A") == (9, 2, 1, 0)
        assert world.row("A") == "6/3/2/1"
        assert world.offers("A") == (6, 6, 1)
        assert world.tasks() == ["order_before_live"]
        check(world)


class TestLastUnit:
    """S15 "last unit (A)"."""

    @pytest.fixture
    def world(self, store: Store) -> World:
        world = World(store)
        world.item("MUG", 1)
        world.open()
        world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=1))
        return world

    def test_the_pending_order_takes_the_last_piece_at_once(self, world: World) -> None:
        assert world.level("MUG") == (1, 0, 1, 0)
        assert world.offers("MUG") == (0, 0, 0)

    def test_the_shop_is_expected_to_show_it_until_it_is_held(self, world: World) -> None:
        assert world.expected("MUG") == 1
        world.run_hub()
        assert world.row("MUG") == "1/0/0/1"
        assert world.expected("MUG") == 0

    def test_paid_it_is_imported_and_then_the_hold_is_given_back(self, world: World) -> None:
        world.run_hub()
        world.tick(1800)
        world.hear(AMAZON, order("A-1", world.now - 1800 * SECOND, updated=world.now, MUG=1))
        call = world.plan_import()
        world.settle(call, world.do(call))
        assert world.level("MUG") == (1, 1, 0, 0)
        assert world.row("MUG") == "1/-1/1/1"
        world.run_hub()
        assert world.row("MUG") == "1/0/1/0"
        check(world)

    def test_expired_instead_it_goes_back_on_sale_everywhere(self, world: World) -> None:
        world.run_hub()
        placed = world.now
        world.tick(1800)
        world.hear(AMAZON, order("A-1", placed, paid=False, updated=world.now, cancelled=True, MUG=1))
        world.run_hub()
        assert world.k("MUG") == 1
        assert world.row("MUG") == "1/1/0/0"
        assert world.offers("MUG") == (1, 1, 1)
        reread = world.rows("SELECT outlet_id FROM dirty_listing WHERE reread = 1")
        assert reread == [(world.outlet(AMAZON, "MUG"),)], "Amazon puts its piece back by itself: read it"


class TestEchoFirst:
    """S15 "echo first": a read that shows our own import before its answer."""

    @pytest.fixture
    def world(self, store: Store) -> World:
        world = World(store)
        world.item("MUG", 10)
        world.open()
        world.hear(ETSY, order("E-1", world.now, MUG=1))
        return world

    @pytest.mark.parametrize("applied", [False, True])
    def test_S9_5_with_the_import_in_flight_10_and_9_are_explained(self, world: World, applied: bool) -> None:
        call = world.plan_import()
        outcome = world.do(call) if applied else Accepted("later")
        told = world.read("MUG")
        assert world.row("MUG") == ("10/9/1/0" if applied else "10/10/0/0")
        assert (told.echoes, told.odd) == (1, 0)
        assert world.level("MUG") == (10, 1, 0, 0)
        assert isinstance(outcome, Accepted)

    def test_the_answer_settles_it_and_9_is_expected(self, world: World) -> None:
        call = world.plan_import()
        outcome = world.do(call)
        world.read("MUG")
        world.settle(call, outcome)
        assert world.expected("MUG") == 9
        assert world.read("MUG").echoes == 1
        check(world)

    def test_S14_2_its_orders_create_settles_it_before_the_answer(self, world: World) -> None:
        call = world.plan_import()
        outcome = world.do(call)
        world.hub_news()
        assert world.expected("MUG") == 9
        world.settle(call, outcome)
        assert world.expected("MUG") == 9
        assert world.level("MUG") == (10, 1, 0, 0)
        assert world.open_intents() == []
        check(world)


class TestEdit:
    """S15 "edit": the merchant sets on_hand while a Pending order is held."""

    @pytest.fixture
    def world(self, store: Store) -> World:
        world = World(store)
        world.item("MUG", 10)
        world.open()
        world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=2))
        world.run_hub()
        world.tick(5)
        world.hub.cell("MUG", "L1").on_hand = 7
        return world

    def test_S9_2_a_lower_read_is_reserved_at_once(self, world: World) -> None:
        assert world.row("MUG") == "7/5/0/2"
        told = world.read("MUG")
        assert told.poll_hub
        assert world.level("MUG") == (10, 0, 5, 0)
        assert world.k("MUG") == 5

    def test_S9_2_when_the_feed_is_complete_it_becomes_one_edit(self, world: World) -> None:
        world.read("MUG")
        world.tick(10)
        world.complete(SHOP)
        assert world.read_wanted() == 1
        assert world.level("MUG") == (7, 0, 2, 0)
        assert len(world.entries("edit:")) == 1
        assert world.k("MUG") == 5
        check(world)


class TestSameSecond:
    """S15 "same second": the last piece, sold on two channels in one second."""

    @pytest.fixture
    def world(self, store: Store) -> World:
        world = World(store)
        world.item("MUG", 1)
        world.open()
        placed = world.now
        world.hear(EBAY, order("E-1", placed + 400_000, MUG=1))
        world.run_hub()
        world.hub_news()
        world.hear(AMAZON, order("A-1", placed + 700_000, paid=False, MUG=1))
        world.run_hub()
        return world

    def test_S6_2_amazon_wins_by_rank_although_heard_last(self, world: World) -> None:
        assert world.level("MUG") == (1, 1, 1, 0)
        assert world.line(AMAZON, "A-1", "coverage") == "COVERED"
        assert world.line(EBAY, "E-1", "coverage") == "SHORT"

    def test_S9_5_the_hold_is_refused_and_expected_is_0(self, world: World) -> None:
        assert world.row("MUG") == "1/0/1/0"
        assert world.expected("MUG") == 0
        assert world.read("MUG").echoes == 1
        check(world)

    def test_amazon_expires_and_ebay_is_covered(self, world: World) -> None:
        world.tick(1800)
        world.hear(
            AMAZON, order("A-1", world.now - 1800 * SECOND, paid=False, updated=world.now, cancelled=True, MUG=1)
        )
        assert world.k("MUG") == 0
        assert world.line(EBAY, "E-1", "coverage") == "COVERED"
        assert world.tasks("short_line") == []
        check(world)


class TestLostNews:
    """S15 "lost news": a sale seen only by its listing, its order by poll five minutes later."""

    @pytest.fixture
    def world(self, store: Store) -> World:
        world = World(store)
        world.item("MUG", 10)
        world.open()
        self.placed = world.now
        world.tick(2)
        world.missed_at(EBAY, "MUG", 1)
        world.run_hub()
        return world

    def test_the_missing_piece_is_reserved_and_held(self, world: World) -> None:
        assert world.level("MUG") == (10, 0, 1, 0)
        assert world.row("MUG") == "10/9/0/1"

    def test_its_order_uses_it_up_and_takes_the_hold_over(self, world: World) -> None:
        placed = world.now - 2 * SECOND
        world.tick(300)
        world.hear(EBAY, order("E-1", placed, MUG=1), source="poll")
        assert world.level("MUG") == (10, 1, 0, 0)
        assert world.offers("MUG") == (9, 9, 9)
        world.run_hub()
        assert world.row("MUG") == "10/9/1/0"
        check(world)
        world.to_rest()
        check_at_rest(world, {"MUG": 1})


class TestParts:
    """S15 "parts": an eBay line of 3, shipped, removed and shipped again in the shop."""

    def test_each_step_moves_one_piece(self, store: Store) -> None:
        world = World(store)
        world.item("MUG", 10)
        world.open()
        sold = order("E-1", world.now, MUG=3)
        world.hear(EBAY, sold)
        world.run_hub()
        world.hub_news()
        (copy_id,) = world.hub.orders
        seen = [(world.level("MUG"), world.row("MUG"))]
        world.tick(60)
        world.hub.fulfil(world.now, copy_id, MUG=1)
        world.hub_news()
        seen.append((world.level("MUG"), world.row("MUG")))
        world.hear(EBAY, changed(sold, world.tick(5), shipped=1))
        line_id = world.hub.orders[copy_id].lines[0].line_id
        world.hub.remove(world.now, copy_id, line_id, 1)
        world.hub_news()
        seen.append((world.level("MUG"), world.row("MUG")))
        world.tick(60)
        world.hub.fulfil(world.now, copy_id, MUG=1)
        world.hub_news()
        seen.append((world.level("MUG"), world.row("MUG")))
        assert seen == [
            ((10, 3, 0, 0), "10/7/3/0"),
            ((9, 2, 0, 0), "9/7/2/0"),
            ((9, 1, 0, 0), "9/8/1/0"),
            ((8, 0, 0, 0), "8/8/0/0"),
        ]
        assert world.line(EBAY, "E-1") == "S"
        assert world.read("MUG").echoes == 1
        check(world)


class TestPack:
    """S15 "pack": a two-pack on Amazon."""

    def test_one_pack_is_two_pieces_and_amazon_needs_no_write(self, store: Store) -> None:
        world = World(store)
        world.item("MUG", 5)
        world.list(AMAZON, "MUG2", {"MUG": 2})
        world.open()
        assert world.offer(AMAZON, "MUG2") == 2
        world.hear(AMAZON, order("A-1", world.now, MUG2=1))
        call = world.plan_import()
        assert isinstance(call, copy_orders.CreateCall)
        assert [(line.sku, line.pieces, line.unit_price_minor) for line in call.draft.lines] == [("MUG", 2, 500)]
        world.settle(call, world.do(call))
        assert world.level("MUG") == (5, 2, 0, 0)
        assert world.offer(AMAZON, "MUG2") == 1, "2 → 1 by itself"
        check(world)


class TestReturn:
    """S15 "return": a shipped piece restocked in the shop; the read comes before or after the refund's news."""

    @pytest.mark.parametrize("copy", [False, True], ids=["web order", "hub copy"])
    @pytest.mark.parametrize("read_first", [False, True])
    def test_S5_4_one_return_entry_and_no_edit(self, store: Store, copy: bool, read_first: bool) -> None:
        world = World(store)
        world.item("MUG", 9)
        world.open()
        if copy:
            world.hear(EBAY, order("E-1", world.now, MUG=1))
            world.run_hub()
            (order_id,) = world.hub.orders
        else:
            order_id = world.hub.sell(world.now, MUG=1)
        world.hub.fulfil(world.tick(60), order_id)
        world.hub_news()
        assert world.level("MUG") == (8, 0, 0, 0)
        world.tick(60)
        world.hub.take_back(world.now, order_id, world.hub.orders[order_id].lines[0].line_id, 1)
        if read_first:
            world.read("MUG")
            assert world.level("MUG") == (8, 0, 0, 0), "a higher read waits for the feed"
        world.hub_news()
        assert world.level("MUG") == (9, 0, 0, 0)
        assert (len(world.entries("return:")), world.entries("edit:")) == (1, [])
        world.to_rest()
        assert world.level("MUG") == (9, 0, 0, 0)
        assert (len(world.entries("return:")), world.entries("edit:")) == (1, [])
        check_at_rest(world, {})
