"""Claims on the shop: what K loses to a marketplace the shop loses once (SEMANTICS 9.5), through lost answers and crashes (I17)."""

from __future__ import annotations

import msgspec
import pytest
from tests.scenario.engine import AMAZON, EBAY, ETSY, SHOP, World, changed, order
from tests.scenario.invariants import check, check_at_rest

from oneshelf.core.instants import SECOND, from_us
from oneshelf.core.outcome import Throttled, Unknown
from oneshelf.db.store import Store
from oneshelf.imports.moves import KEY_LIFE_S, MoveCall


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 10)
    world.item("CUP", 1)
    return world.open()


def claim(world: World, order_id: str) -> tuple[int, int, int]:
    """want, held, imported"""
    (row,) = world.rows(
        "SELECT c.want, c.held, c.imported FROM claim c JOIN orders o ON o.order_no = c.order_no WHERE o.order_id = :o",
        o=order_id,
    )
    return row  # type: ignore[return-value]


class TestHolds:
    def test_S9_5_a_pending_order_is_held_at_once(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=2))
        world.run_hub()
        assert (world.row("MUG"), claim(world, "A-1")) == ("10/8/0/2", (2, 2, 0))

    def test_S9_5_an_order_that_is_imported_at_once_needs_no_hold(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, MUG=2))
        assert world.plan_moves() is None
        world.run_hub()
        assert (world.row("MUG"), claim(world, "E-1")) == ("10/8/2/0", (2, 0, 2))

    def test_S9_5_an_import_that_cannot_begin_within_2_s_is_held(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, MUG=2))
        world.tick(1)
        assert world.plan_moves() is None
        world.tick(1.5)
        call = world.plan_moves()
        assert call is not None and [m.pieces for m in call.moves] == [2]

    def test_S9_5_of_what_a_hold_just_took_the_next_one_gets_the_rest(self, world: World) -> None:
        world.item("PAN", 3)
        world.read("PAN")
        world.hear(AMAZON, order("A-1", world.now, paid=False, PAN=2))
        world.hear(AMAZON, order("A-2", world.now, paid=False, PAN=2))
        for _ in range(6):
            world.run_hub()
            world.tick(1)
            world.read_wanted()
        assert (world.row("PAN"), claim(world, "A-2")) == ("3/0/0/3", (2, 1, 0))
        assert not world.read_wanted(), "the shop has none left: it is not asked again and again"

    def test_S9_5_while_the_import_is_under_way_nothing_is_held(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, MUG=2))
        world.plan_import()
        world.tick(3)
        assert world.plan_moves() is None

    def test_S9_5_a_hold_that_waits_its_turn_is_not_sent_while_the_import_is_under_way(self, world: World) -> None:
        sold = order("A-1", world.now, paid=False, MUG=2)
        world.hear(AMAZON, sold)
        world.hear(AMAZON, order("A-1", world.now, updated=world.tick(1), MUG=2))
        assert world.plan_import() is not None
        assert world.plan_moves() is None

    def test_S14_4_the_import_waits_while_a_hold_of_it_is_under_way(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, MUG=2))
        world.tick(3)
        call = world.plan_moves()
        assert world.plan_import() is None
        world.settle(call, world.do(call))
        world.tick(1)
        made = world.plan_import()
        assert made is not None and made.ignore_policy, "held: the pieces are claimed already"  # type: ignore[union-attr]

    def test_S9_5_cancelled_before_the_import_the_hold_goes_back(self, world: World) -> None:
        sold = order("A-1", world.now, paid=False, MUG=2)
        world.hear(AMAZON, sold)
        world.run_hub()
        world.hear(AMAZON, changed(sold, world.tick(), cancelled_pieces=1))
        world.run_hub()
        assert world.row("MUG") == "10/9/0/1"
        world.hear(AMAZON, msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.tick())))
        world.run_hub()
        assert (world.row("MUG"), claim(world, "A-1")) == ("10/10/0/0", (0, 0, 0))

    def test_S9_5_cancelled_while_the_hold_is_in_flight_it_goes_back_too(self, world: World) -> None:
        sold = order("A-1", world.now, paid=False, MUG=2)
        world.hear(AMAZON, sold)
        call = world.plan_moves()
        outcome = world.do(call)
        world.hear(AMAZON, msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.tick())))
        world.settle(call, outcome)
        world.run_hub()
        assert world.row("MUG") == "10/10/0/0"

    def test_S9_5_more_ordered_while_the_hold_is_in_flight_is_held_after_it(self, world: World) -> None:
        sold = order("A-1", world.now, paid=False, MUG=2)
        world.hear(AMAZON, sold)
        call = world.plan_moves()
        line = msgspec.structs.replace(sold.lines[0], ordered=3)
        world.hear(AMAZON, msgspec.structs.replace(sold, lines=(line,), updated_at=from_us(world.tick())))
        world.settle(call, world.do(call))
        world.run_hub()
        assert (world.row("MUG"), claim(world, "A-1")) == ("10/7/0/3", (3, 3, 0))

    def test_S9_5_what_is_there_is_held_and_the_rest_stays_open(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, paid=False, CUP=2))
        world.run_hub()
        assert (world.row("CUP"), claim(world, "A-1")) == ("1/0/0/1", (2, 1, 0))
        world.tick(60)
        assert world.run_hub() == 0, "not asked for again until something changes"
        assert world.read("CUP").echoes == 1
        assert world.k("CUP") == -1

    def test_S9_5_a_hold_of_more_than_is_left_takes_what_is_left(self, world: World) -> None:
        """Found by the simulator: refused whole, it left two pieces on sale that a web buyer took although K was below 0."""
        world.hub.sell(world.now, MUG=8)  # nobody has told us
        world.tick(90)
        world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=3))
        world.run_hub()
        assert (world.row("MUG"), claim(world, "A-1")) == ("10/2/8/0", (3, 0, 0))
        world.read_wanted()
        world.tick(3)
        world.run_hub()
        assert (world.row("MUG"), claim(world, "A-1")) == ("10/0/8/2", (3, 2, 0))
        assert world.run_hub() == 0, "not asked for again until something changes"

    def test_S9_5_a_read_while_it_is_asked_for_tells_what_to_ask_for_next(self, world: World) -> None:
        """Found by the simulator: the read came between the refusal and its answer, and no other was asked for."""
        world.hub.sell(world.now, MUG=8)  # nobody has told us
        world.tick(90)
        world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=3))
        call = world.plan_moves()
        outcome = world.do(call)
        world.read("MUG")
        world.settle(call, outcome)
        world.tick(3)
        world.run_hub()
        assert (world.row("MUG"), claim(world, "A-1")) == ("10/0/8/2", (3, 2, 0))
        assert world.run_hub() == 0, "not asked for again until something changes"

    def test_S9_5_refused_it_is_asked_for_again_when_the_order_changes(self, world: World) -> None:
        sold = order("A-1", world.now, paid=False, CUP=2)
        world.hear(AMAZON, sold)
        world.run_hub()
        world.hear(AMAZON, changed(sold, world.tick(60), cancelled_pieces=1))
        world.run_hub()
        assert (world.row("CUP"), claim(world, "A-1")) == ("1/0/0/1", (1, 1, 0))

    def test_S9_5_refused_it_is_asked_for_again_when_the_shop_has_enough(self, world: World) -> None:
        """Found by the simulator: a restock went on sale whole, and a web buyer took a piece that Amazon had sold."""
        world.hear(AMAZON, order("A-1", world.now, paid=False, CUP=2))
        world.run_hub()
        world.hub.cell("CUP", "L1").on_hand += 3
        world.tick(60)
        world.read("CUP")
        world.tick(60)
        world.run_hub()
        assert (world.row("CUP"), claim(world, "A-1")) == ("4/2/0/2", (2, 2, 0))
        world.to_rest()
        assert world.k("CUP") == 2

    def test_S9_5_refused_it_is_asked_for_again_when_another_gives_back_what_it_held(self, world: World) -> None:
        """Found by the simulator: with the shop's messages lost no read came, and for an hour three pieces stood on sale that a strict
        SKU's shares had dealt to nobody."""
        sold = order("A-1", world.now, paid=False, CUP=1)
        world.hear(AMAZON, sold)
        world.run_hub()
        world.hear(AMAZON, order("A-2", world.now, paid=False, CUP=1))
        world.run_hub()
        world.read_wanted()
        assert claim(world, "A-2") == (1, 0, 0)
        world.hear(AMAZON, msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.tick())))
        world.run_hub()
        world.tick(3)
        world.run_hub()
        assert (world.row("CUP"), claim(world, "A-2")) == ("1/0/0/1", (1, 1, 0))

    def test_S9_5_refused_it_is_asked_for_again_when_an_order_of_the_shop_is_cancelled(self, world: World) -> None:
        """Found by the simulator: with the shop's messages about levels lost, two sold pieces stood on sale for half an hour."""
        web = world.hub.sell(world.now, CUP=1)
        world.hub_news()
        world.hear(AMAZON, order("A-1", world.now, paid=False, CUP=1))
        world.run_hub()
        assert claim(world, "A-1") == (1, 0, 0)
        world.hub.cancel(world.tick(60), web)
        world.hub_news()
        world.tick(3)
        world.run_hub()
        assert (world.row("CUP"), claim(world, "A-1")) == ("1/0/0/1", (1, 1, 0))

    def test_S9_5_refused_it_is_asked_for_again_when_a_piece_comes_back(self, world: World) -> None:
        """Found by the simulator: returned on the copy of another order, it stood on sale for six minutes."""
        world.hear(EBAY, order("E-1", world.now, CUP=1))
        world.run_hub()
        world.hub_news()
        (copy_id,) = world.hub.orders
        world.hub.fulfil(world.tick(60), copy_id, CUP=1)
        world.hub_news()
        world.hear(AMAZON, order("A-1", world.now, paid=False, CUP=1))
        world.run_hub()
        assert claim(world, "A-1") == (1, 0, 0)
        world.hub.take_back(world.tick(60), copy_id, world.hub.orders[copy_id].lines[0].line_id, 1)
        world.hub_news()
        world.tick(3)
        world.run_hub()
        assert (world.row("CUP"), claim(world, "A-1")) == ("1/0/0/1", (1, 1, 0))

    def test_S9_5_what_a_cancelled_copy_gave_back_is_no_edit_before_the_copy_tells(self, world: World) -> None:
        """Found by the simulator: an old difference of as many pieces, of another cause, was taken for confirmed by it."""
        sold = order("E-1", world.now, MUG=1)
        world.hear(EBAY, sold)
        world.run_hub()
        world.hub_news()
        world.hear(EBAY, msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.tick(60))))
        world.carry_out(world.plan_correction())
        world.complete(SHOP, through=world.now - 40 * SECOND)
        world.rows(
            "UPDATE hub_level SET odd = 1, odd_since = :at WHERE sku = 'MUG' RETURNING 1", at=world.now - 50 * SECOND
        )
        world.tick(30)
        world.read("MUG")
        assert (world.k("MUG"), world.entries("edit")) == (10, [])
        world.to_rest()
        assert (world.k("MUG"), world.row("MUG")) == (10, "10/10/0/0")

    def test_FC_D10_one_impossible_hold_does_not_keep_the_others_waiting(self, world: World) -> None:
        world.hub.sell(world.now, CUP=1)  # nobody has told us
        world.hear(AMAZON, order("A-1", world.now, paid=False, CUP=2), handled=False)
        world.hear(AMAZON, order("A-2", world.now, paid=False, MUG=2), handled=False)
        world.hear(ETSY, order("T-1", world.now, paid=False, MUG=1), handled=False)
        world.handle()
        call = world.plan_moves()
        assert call is not None and len(call.moves) == 3
        world.carry_out(call)
        assert world.run_hub() == 3, "one by one"
        assert (world.row("MUG"), world.row("CUP")) == ("10/7/0/3", "1/0/1/0")

    def test_S9_5_a_return_that_is_refused_leaves_no_claim(self, world: World) -> None:
        sold = order("A-1", world.now, paid=False, MUG=2)
        world.hear(AMAZON, sold)
        world.run_hub()
        world.hub.cell("MUG", "L1").reserved = 0
        world.hear(AMAZON, msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.tick())))
        world.run_hub()
        world.to_rest()  # of several locations a read tells first whether this one has closed
        assert claim(world, "A-1") == (0, 0, 0)
        check_at_rest(world, {})

    @pytest.mark.parametrize("refused", [True, False], ids=["refused", "not needed any more"])
    def test_I13_a_claim_that_wanted_less_while_a_further_hold_was_under_way_gives_back_what_it_has(
        self, world: World, refused: bool
    ) -> None:
        """One call at a time a claim: its return could not be written while the hold was there, so the hold's end has to."""
        sold = order("A-1", world.now, paid=False, MUG=8)
        world.hear(AMAZON, sold)
        world.run_hub()
        world.hub.sell(world.tick(), MUG=2)  # unheard: the shop has none left
        world.hear(AMAZON, order("A-1", world.now - SECOND, paid=False, updated=world.tick(), MUG=10))
        call = world.plan_moves() if refused else None
        world.hear(AMAZON, order("A-1", world.now, paid=False, updated=world.tick(), cancelled=True, MUG=10))
        if call is not None:
            world.settle(call, world.do(call))
        world.to_rest()
        assert world.row("MUG") == "10/8/2/0"


class TestUnanswered:
    @pytest.fixture
    def call(self, world: World) -> MoveCall:
        world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=2))
        call = world.plan_moves()
        assert call is not None
        return call

    def test_S4_2_the_same_call_is_sent_again_under_the_same_key(self, world: World, call: MoveCall) -> None:
        world.do(call)
        world.settle(call, Unknown("timed out"))
        world.tick(5)
        again = world.plan_moves()
        assert again is not None and again.again
        assert again.batch.idempotency_key == call.batch.idempotency_key
        assert again.moves == call.moves
        world.carry_out(again)
        assert (world.row("MUG"), claim(world, "A-1")) == ("10/8/0/2", (2, 2, 0))

    def test_S4_2_a_throttled_call_comes_back_when_it_was_told(self, world: World, call: MoveCall) -> None:
        world.settle(call, Throttled(7.0, "slow down"))
        world.tick(6)
        assert world.plan_moves() is None
        world.tick(1)
        assert world.plan_moves() is not None

    def test_I18_a_throttled_repetition_says_nothing_about_the_call_that_had_no_answer(
        self, world: World, call: MoveCall
    ) -> None:
        world.do(call)
        world.settle(call, Unknown("timed out"))
        world.tick(5)
        again = world.plan_moves()
        assert again is not None
        world.settle(again, Throttled(60.0, "slow down"))
        world.read("MUG")
        assert (world.k("MUG"), world.value("SELECT SUM(foreign_reserved) FROM stock_level")) == (8, 0)
        world.to_rest()
        assert world.row("MUG") == "10/8/0/2"

    def test_I18_without_an_answer_it_is_neither_held_nor_not(self, world: World, call: MoveCall) -> None:
        world.settle(call, Unknown("timed out"))
        assert claim(world, "A-1") == (2, 0, 0)
        assert world.plan_moves() is None

    @pytest.mark.parametrize("applied", [True, False])
    def test_I17_a_process_that_died_between_call_and_answer_holds_once(
        self, world: World, call: MoveCall, applied: bool
    ) -> None:
        if applied:
            world.do(call)
        world.restart()
        world.tick(5)
        again = world.plan_moves()
        assert again is not None
        assert world.plan_moves() is None, "the batch is asked again, not its members beside it"
        world.carry_out(again)
        assert (world.row("MUG"), claim(world, "A-1")) == ("10/8/0/2", (2, 2, 0))
        world.tick(60)
        assert world.run_hub() == 0

    def test_S4_2_older_than_the_shop_keeps_keys_it_is_read_and_not_sent_again(
        self, world: World, call: MoveCall
    ) -> None:
        world.settle(call, Unknown("timed out"))
        world.tick(KEY_LIFE_S + 60)
        again = world.plan_moves()
        assert again is None or again.batch.idempotency_key != call.batch.idempotency_key
        assert world.value("SELECT wanted FROM hub_level WHERE location_id = 'L1' AND sku = 'MUG'") == 1


class TestHandedOver:
    def test_S9_5_a_provisionals_hold_passes_to_its_order_without_a_call(self, world: World) -> None:
        world.missed_at(EBAY, "MUG", 2)
        world.run_hub()
        world.hear(EBAY, order("E-1", world.now - SECOND, MUG=1))
        assert claim(world, "E-1") == (1, 1, 0)
        assert world.rows("SELECT want, held FROM claim WHERE order_no = 0") == [(1, 1)]
        world.run_hub()
        assert world.row("MUG") == "10/8/1/1"

    def test_S9_5_a_hold_that_was_still_in_flight_is_given_back_afterwards(self, world: World) -> None:
        world.missed_at(EBAY, "MUG", 1)
        call = world.plan_moves()
        outcome = world.do(call)
        world.hear(EBAY, order("E-1", world.now - SECOND, MUG=1))
        world.settle(call, outcome)
        world.to_rest()
        assert (world.row("MUG"), claim(world, "E-1")) == ("10/9/1/0", (1, 0, 1))
        check_at_rest(world, {"MUG": 1})

    def test_S9_5_an_order_of_two_channels_pieces_keeps_both_claims_apart(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=3))
        world.hear(EBAY, order("E-1", world.now, MUG=2))
        world.run_hub()
        assert world.row("MUG") == "10/5/2/3"
        assert world.expected("MUG") == 5
        check(world)

    def test_S9_5_sold_and_cancelled_in_one_breath_its_hold_is_given_back(self, world: World) -> None:
        world.missed_at(EBAY, "MUG", 1)
        world.run_hub()
        sold = order("E-1", world.now - SECOND, MUG=1)
        gone = msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.now))
        world.hear(EBAY, sold, handled=False)
        world.hear(EBAY, gone, handled=False)
        world.handle()
        world.run_hub()
        assert (world.row("MUG"), world.level("MUG")) == ("10/10/0/0", (10, 0, 0, 0))


class TestPlaces:
    @pytest.fixture
    def world(self, store: Store) -> World:
        world = World(store)
        world.item("MUG", L1=6, L2=4)
        return world.open()

    def test_S9_5_held_at_one_location_and_served_from_another_both_rows_are_expected(self, world: World) -> None:
        sold = order("A-1", world.now, paid=False, MUG=2)
        world.hear(AMAZON, sold)
        world.run_hub()
        assert world.row("MUG", "L1") == "6/4/0/2"
        world.hear(AMAZON, order("A-1", world.now, updated=world.tick(60), MUG=2))
        call = world.plan_import()
        outcome = world.hub.create_order(call.draft, world.now, ignore_policy=True, location_id="L2")  # type: ignore[union-attr]
        world.hub_news()
        world.settle(call, outcome)
        assert (world.row("MUG", "L1"), world.row("MUG", "L2")) == ("6/4/0/2", "4/2/2/0")
        assert (world.expected("MUG", "L1"), world.expected("MUG", "L2")) == (4, 2)
        world.run_hub()
        assert (world.row("MUG", "L1"), world.row("MUG", "L2")) == ("6/6/0/0", "4/2/2/0")
        world.to_rest()
        check_at_rest(world, {"MUG": 2})
        assert world.entries("edit:") == []

    def test_S9_5_a_hold_is_handed_over_only_where_it_lies(self, world: World) -> None:
        world.missed_at(EBAY, "MUG", 3)
        world.run_hub()
        assert world.row("MUG", "L1") == "6/3/0/3"
        world.hear(EBAY, order("E-1", world.now - SECOND, paid=False, MUG=3))
        assert world.line(EBAY, "E-1", "location_id") == "L2"
        world.run_hub()
        assert (world.row("MUG", "L1"), world.row("MUG", "L2")) == ("6/6/0/0", "4/1/0/3")
        check(world)

    def test_S5_7_an_import_that_the_shop_serves_from_elsewhere_ends_without_an_edit(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, MUG=1))
        call = world.plan_import()
        outcome = world.hub.create_order(call.draft, world.now, ignore_policy=False, location_id="L2")  # type: ignore[union-attr]
        world.read("MUG")
        assert (world.k("MUG"), world.entries("prov:")) == (9, []), "where the shop takes it from is its own choice"
        world.settle(call, outcome)
        world.to_rest()
        assert (world.k("MUG", "L1"), world.k("MUG", "L2")) == (6, 3)
        check_at_rest(world, {"MUG": 1})
        assert world.entries("edit:") == []
