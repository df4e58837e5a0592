"""An order of more pieces than its location has: the rest is held where it lies, or the web shop sells it (SEMANTICS 9.5, ADR 0027)."""

from __future__ import annotations

import pytest
from tests.scenario.engine import AMAZON, EBAY, TENANT, World, changed, order
from tests.scenario.invariants import check, check_at_rest

from oneshelf.core.instants import SECOND
from oneshelf.core.outcome import Rejected, Unknown
from oneshelf.db.store import Store, transaction
from oneshelf.orders import manual_holds, routing


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", L1=2, L2=2)
    return world.open()


def settle(world: World) -> None:
    """Calls are carried out and what was asked to be read is read, until neither is owed."""
    for _ in range(20):
        calls = world.run_hub()
        world.tick(1)
        if not calls and not world.read_wanted():
            return
    raise AssertionError("still calling and reading after 20 rounds")


def on_sale(world: World, sku: str = "MUG") -> int:
    """What the web shop may sell of it, over its locations."""
    return sum(max(0, cell.available) for (s, _), cell in world.hub.cells.items() if s == sku)


def held(world: World) -> dict[str, int]:
    """Pieces held for marketplace orders and suspected sales, by location, as our claims have it."""
    return dict(world.rows("SELECT location_id, CAST(SUM(held) AS BIGINT) FROM claim WHERE held > 0 GROUP BY 1"))


def test_S9_5_what_one_location_has_not_is_held_at_another(world: World) -> None:
    world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=3))
    settle(world)
    assert (world.row("MUG", "L1"), world.row("MUG", "L2")) == ("2/0/0/2", "2/1/0/1")
    assert (world.k("MUG"), on_sale(world)) == (1, 1)
    check_at_rest(world, {"MUG": 3})


def test_S9_5_imported_both_holds_go_back(world: World) -> None:
    sold = order("A-1", world.now, paid=False, MUG=3)
    world.hear(AMAZON, sold)
    settle(world)
    world.hear(AMAZON, order("A-1", world.now, updated=world.tick(), MUG=3))
    world.to_rest()
    assert (world.row("MUG", "L1"), world.row("MUG", "L2")) == ("2/-1/3/0", "2/2/0/0")
    assert world.value("SELECT COUNT(*) FROM claim WHERE elsewhere > 0 OR held > 0") == 0
    check_at_rest(world, {"MUG": 3})


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_S9_5_cancelled_before_the_import_no_more_is_held_than_is_left(world: World, gone: int) -> None:
    sold = order("A-1", world.now, paid=False, MUG=3)
    world.hear(AMAZON, sold)
    settle(world)
    world.hear(AMAZON, changed(sold, world.tick(), cancelled_pieces=gone))
    world.to_rest()
    assert (sum(held(world).values()), on_sale(world)) == (3 - gone, 1 + gone)
    check_at_rest(world, {"MUG": 3 - gone})


def test_S9_5_its_own_location_gets_pieces_and_the_hold_moves_there(world: World) -> None:
    world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=3))
    settle(world)
    world.hub.cell("MUG", "L1").on_hand += 1
    world.to_rest()
    assert held(world) == {"L1": 3}
    assert (world.row("MUG", "L1"), world.row("MUG", "L2")) == ("3/0/0/3", "2/2/0/0")
    check_at_rest(world, {"MUG": 3})


def test_S9_5_what_comes_in_at_another_location_is_held_for_who_waits_for_it(world: World) -> None:
    world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=5))
    settle(world)
    assert (held(world), on_sale(world)) == ({"L1": 2, "L2": 2}, 0)
    world.hub.cell("MUG", "L2").on_hand += 2
    world.to_rest()
    assert (held(world), on_sale(world), world.k("MUG")) == ({"L1": 2, "L2": 3}, 1, 1)
    check_at_rest(world, {"MUG": 5})


def test_S9_5_carried_away_before_it_was_held_it_is_held_where_it_lies_now(world: World) -> None:
    world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=2))
    world.hub.cell("MUG", "L1").on_hand -= 2
    world.hub.cell("MUG", "L2").on_hand += 2
    settle(world)
    assert (held(world), on_sale(world)) == ({"L2": 2}, 2)
    world.to_rest()
    assert (held(world), on_sale(world), world.k("MUG")) == ({"L2": 2}, 2, 2)
    check_at_rest(world, {"MUG": 2})


def test_S9_5_pieces_that_another_order_is_owed_there_stay_its(world: World) -> None:
    world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=1))  # L1: 1 left, so the next stands at L2
    world.hear(AMAZON, order("A-2", world.now, paid=False, MUG=2))
    assert world.line(AMAZON, "A-2", "location_id") == "L2"
    world.hear(AMAZON, order("A-3", world.now, paid=False, MUG=2))
    settle(world)
    assert (held(world), on_sale(world), world.k("MUG")) == ({"L1": 2, "L2": 2}, 0, -1)
    rows = world.rows("SELECT held FROM claim c JOIN orders o ON o.order_no = c.order_no WHERE o.order_id = 'A-2'")
    assert rows == [(2,)]
    check_at_rest(world, {"MUG": 5})


def test_S9_5_refused_there_too_it_is_asked_for_again_when_a_read_shows_it(world: World) -> None:
    world.hub.sell(world.now, "L2", MUG=2)  # unheard
    world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=3))
    calls = world.run_hub()
    assert calls < 10, "a refusal is not answered with the same call"
    assert held(world) == {"L1": 2}
    world.to_rest()
    assert (held(world), world.k("MUG"), on_sale(world)) == ({"L1": 2}, -1, 0)
    world.hub.cell("MUG", "L2").on_hand += 1
    world.to_rest()
    assert (held(world), on_sale(world)) == ({"L1": 2, "L2": 1}, 0)
    check_at_rest(world, {"MUG": 3})


def test_S9_5_locations_that_refuse_whatever_they_show_are_not_asked_all_the_time(store: Store) -> None:
    """Shopify may refuse for another reason than the pieces: an item that is not stocked there any more."""
    world = World(store)
    with transaction(store) as tx:
        tx.run("INSERT INTO location (tenant_id, location_id, name, priority) VALUES (:t, 'L3', 'L3', 2)", t=TENANT)
    world.item("MUG", L1=2, L2=2, L3=2)
    world.open()
    world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=3))
    asked = []
    for _ in range(300):
        world.tick(1)
        world.read_wanted()
        call = world.plan_moves()
        if call is not None and call.moves[0].location_id != "L1":
            asked.append(call.moves[0].location_id)
            world.settle(call, Rejected("not stocked there", "NOT_STOCKED"))
        elif call is not None:
            world.carry_out(call)
    assert set(asked) == {"L2", "L3"}
    assert len(asked) <= 20, "each about once a minute, and once more when its level was read"


def test_S9_5_given_back_by_hand_there_it_is_not_held_again(world: World) -> None:
    world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=3))
    settle(world)
    world.hub.cell("MUG", "L2").reserved -= 1
    world.to_rest()
    assert held(world) == {"L1": 2}
    assert world.row("MUG", "L2") == "2/2/0/0"
    check(world)


def test_I18_without_an_answer_it_is_asked_again_and_held_once(world: World) -> None:
    world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=3))
    for _ in range(20):
        call = world.plan_moves()
        if call is not None and call.moves[0].location_id == "L2":
            break
        if call is None:
            world.read_wanted()
        else:
            world.carry_out(call)
    else:
        raise AssertionError("nothing was asked of L2")
    world.do(call)
    world.settle(call, Unknown("timed out"))
    world.restart()
    world.tick(5)
    settle(world)
    assert (held(world), world.row("MUG", "L2")) == ({"L1": 2, "L2": 1}, "2/1/0/1")
    world.to_rest()
    check_at_rest(world, {"MUG": 3})


class TestSuspected:
    def test_S9_5_its_pieces_pass_to_its_order_where_they_lie_without_a_call(self, world: World) -> None:
        sold_at = world.now - SECOND
        world.missed_at(EBAY, "MUG", 3)
        settle(world)
        assert held(world) == {"L1": 2, "L2": 1}
        sold = order("E-1", sold_at, paid=False, MUG=3)
        world.hear(EBAY, sold)
        assert held(world) == {"L1": 2, "L2": 1}
        assert world.value("SELECT COUNT(*) FROM claim WHERE order_no = 0 AND open = 1") == 0
        while (call := world.plan_moves()) is not None:  # it stands at L2, and comes to be held there
            world.carry_out(call)
            assert on_sale(world) <= 1
        settle(world)
        assert (held(world), on_sale(world)) == ({"L1": 1, "L2": 2}, 1)
        world.to_rest()
        check_at_rest(world, {"MUG": 3})

    def test_S9_5_a_part_of_them_passes_and_the_rest_stays(self, world: World) -> None:
        sold_at = world.now - SECOND
        world.missed_at(EBAY, "MUG", 4)
        settle(world)
        world.hear(EBAY, order("E-1", sold_at, paid=False, MUG=1))
        assert (held(world), on_sale(world)) == ({"L1": 2, "L2": 2}, 0)
        settle(world)
        assert (held(world), on_sale(world)) == ({"L1": 2, "L2": 2}, 0)

    def test_S9_5_an_order_that_stands_elsewhere_takes_them_where_they_lie(self, world: World) -> None:
        sold_at = world.now - SECOND
        world.missed_at(EBAY, "MUG", 1)
        settle(world)
        world.hear(EBAY, order("E-1", sold_at, paid=False, MUG=1))
        stands = world.line(EBAY, "E-1", "location_id")
        assert (held(world), on_sale(world)) == ({"L1": 1}, 3)
        settle(world)
        assert (stands, held(world), on_sale(world)) == ("L2", {"L2": 1}, 3)
        world.to_rest()
        check_at_rest(world, {"MUG": 1})

    def test_S9_2_no_order_came_and_all_goes_back(self, world: World) -> None:
        world.missed_at(EBAY, "MUG", 3)
        settle(world)
        world.to_rest()
        assert (held(world), on_sale(world)) == ({}, 4)
        check_at_rest(world, {})


def test_S5_7_moved_to_where_its_pieces_are_held_they_are_its_own(world: World) -> None:
    world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=2))
    world.hub.cell("MUG", "L1").on_hand -= 2
    settle(world)
    assert held(world) == {"L2": 2}
    key = world.line(AMAZON, "A-1", "order_no")
    line = f"{AMAZON}/A-1/{world.line(AMAZON, 'A-1', 'line_id')}/MUG"
    with transaction(world.store) as tx:
        routing.stand_at(tx, TENANT, key, {line: "L2"}, world.now)
    settle(world)
    assert world.rows("SELECT claim_key, held, elsewhere FROM claim WHERE open = 1") == [(line, 2, 0)]
    assert world.row("MUG", "L2") == "2/0/0/2"


@pytest.mark.parametrize("held_there", [True, False])
def test_S5_7_a_hold_without_an_answer_lies_where_it_was_asked_for(world: World, held_there: bool) -> None:
    """Found by chance in a story of many steps: the order was moved meanwhile, and its pieces counted as held where they were not."""
    world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=2))
    call = world.plan_moves()
    assert call is not None
    if held_there:
        world.do(call)
    world.settle(call, Unknown("timed out"))
    line = f"{AMAZON}/A-1/{world.line(AMAZON, 'A-1', 'line_id')}/MUG"
    order_no = world.line(AMAZON, "A-1", "order_no")
    with transaction(world.store) as tx:
        routing.stand_at(tx, TENANT, order_no, {line: "L2"}, world.now)
    if not held_there:
        world.hub.cell("MUG", "L1").on_hand = 0
    world.tick(5)
    settle(world)
    world.to_rest()
    assert held(world) == ({"L1": 2} if held_there else {"L2": 2})
    assert world.value("SELECT SUM(foreign_reserved) FROM stock_level") == 0
    check_at_rest(world, {"MUG": 2})


def test_manual_holds_stay_where_a_person_put_them(world: World) -> None:
    with transaction(world.store) as tx:
        manual_holds.hold(tx, TENANT, "MUG", 2, world.now + 3600 * SECOND, world.now, by="a test", location="L1")
    world.hub.cell("MUG", "L1").on_hand -= 1
    settle(world)
    assert set(held(world)) <= {"L1"}
