"""Numbers on their way, in every interleaving (SEMANTICS 8, 9.1 to 9.4; I12, I13, I16, I18): the rules hold, and without each they don't."""

from __future__ import annotations

import pytest
from tests.model.explore import Counterexample, Graph, explore
from tests.model.publishing import Engine, Rules, World

from oneshelf.core.slot import SlotState


def look(engine: Engine) -> Graph[World]:
    """Every state is right, and from each one the truth can still come to be shown everywhere."""
    graph = explore(engine.start, engine.moves, engine.wrong)
    graph.require_always_possible(engine.at_rest, "shown right everywhere")
    return graph


def found(engine: Engine) -> Counterexample:
    with pytest.raises(Counterexample) as caught:
        look(engine)
    return caught.value


def test_I13_two_outlets_and_two_pieces_with_an_answer_lost() -> None:
    graph = look(Engine(stock=2, outlets=2, orders=2, faults=1))
    assert len(graph) > 3_500


def test_I13_more_buyers_than_pieces_and_writes_that_put_sold_pieces_back() -> None:
    graph = look(Engine(stock=2, outlets=2, orders=3, faults=0))
    assert len(graph) > 5_000
    assert any(world.overwritten for world in graph.states), "no sale was overwritten: this world proves nothing"


def test_I13_writes_that_land_in_another_order_than_they_were_taken() -> None:
    assert len(look(Engine(stock=2, outlets=2, orders=3, faults=0, rules=Rules(in_order=False)))) > 5_000


def test_S8_3_a_compare_and_set_never_puts_a_sold_piece_back() -> None:
    graph = look(Engine(stock=2, outlets=2, orders=3, faults=1, rules=Rules(compare=True)))
    assert len(graph) > 2_000
    assert not any(world.overwritten for world in graph.states)


def test_one_outlet_needs_no_write_for_its_own_sales() -> None:
    """S8.5 and 9.6: alone it counts by itself, whatever is heard when."""
    graph = look(Engine(stock=3, outlets=1, orders=4, faults=1))
    assert not any("write" in move for _, move in graph.came_from)


# --- each guard off -------------------------------------------------------------------------------------------------------


def test_twin_S8_5_without_comparing_times_a_sold_piece_stays_on_sale() -> None:
    """ "The channel has counted it already" is true only of a sale after the last fact; before it, the number has it already."""
    wrong = found(Engine(stock=2, outlets=2, orders=3, faults=0, rules=Rules(by_time=False)))
    assert wrong.wrong == "I13: B is quiet and shows 1; its offer is 0"
    assert wrong.path == ["sell A", "hear A", "sell B", "read B", "hear B"]


def test_twin_S8_4_own_sales_taken_at_face_value_count_twice() -> None:
    """A sale between the read and the verify read, heard before that one: it lowers K by its order, and again by what the read misses."""
    engine = Engine(stock=3, outlets=2, orders=2, faults=0, rules=Rules(ambiguous=False))
    with pytest.raises(Counterexample, match="S9.1: a sale is counted twice: K is 0, and 2 of 3 were sold") as caught:
        explore(engine.start, engine.moves, lambda w: twice if (twice := engine.wrong(w) or "")[:4] == "S9.1" else None)
    assert caught.value.path[-3:] == ["sell B", "hear B", "read B"] and len(caught.value.path) == 8


def test_twin_S8_4_and_a_listing_shows_0_for_good() -> None:
    """Nobody's order uses the second count up: where it is not released either, the last piece is shown nowhere any more."""
    engine = Engine(stock=3, outlets=2, orders=2, faults=0, rules=Rules(ambiguous=False, due_is_released=False))
    graph = explore(engine.start, engine.moves, lambda world: None)
    at_zero = (
        number
        for number, world in enumerate(graph.states)
        if all(one.state is SlotState.QUIET and not (one.dirty or one.landing or one.shown) for one in world.outlets)
        and all(sale.heard for sale in world.sales)
        and world.ever_sold == 2
    )
    number = next(at_zero)
    assert len(graph.path(number)) == 14, graph.path(number)
    assert set(graph.after[number]) <= {number}, "something still happens"


def test_twin_I18_silence_taken_for_a_yes_leaves_a_sold_piece_on_sale() -> None:
    wrong = found(Engine(stock=2, outlets=2, orders=2, faults=1, rules=Rules(unknown_is_read=False)))
    assert wrong.wrong.startswith("I13: B is quiet")
    assert wrong.path[-1] in ("write 0 lost B", "write 1 lost B") and len(wrong.path) <= 5


def test_twin_I12_a_yes_taken_for_seen_puts_a_sold_piece_back_for_good() -> None:
    wrong = found(Engine(stock=2, outlets=2, orders=2, faults=0, rules=Rules(accepted_is_seen=False)))
    assert wrong.wrong.startswith("I13: B is quiet")
    assert "write 1 taken B" in wrong.path and len(wrong.path) <= 7


def test_twin_S8_4_a_proof_that_stands_although_an_earlier_sale_was_heard_since() -> None:
    wrong = found(Engine(stock=2, outlets=2, orders=3, faults=0, rules=Rules(proof_is_doubted=False)))
    assert wrong.wrong == "I13: B is quiet and shows 1; its offer is 0"
    write, land = wrong.path.index("write 1 taken B"), wrong.path.index("land B=1")
    assert "read B" in wrong.path[write:land], "it was taken for seen before it landed"


def test_twin_S9_2_an_order_that_leaves_its_reservation_standing_is_counted_twice() -> None:
    wrong = found(Engine(stock=2, outlets=2, orders=2, faults=0, rules=Rules(orders_consume=False)))
    assert wrong.wrong.startswith("S9.1: a sale is counted twice")


def test_twin_S9_2_a_fall_that_is_not_held_is_written_over() -> None:
    """Read, unheard, not held: the offer is higher than what is shown, so the engine raises it: the sold piece is on sale again."""
    held = Engine(stock=2, outlets=1, orders=2, faults=0, rules=Rules(sweep=True))
    assert not any("write" in move for _, move in look(held).came_from)
    blind = Engine(stock=2, outlets=1, orders=2, faults=0, rules=Rules(sweep=True, falls_are_held=False))
    graph = explore(blind.start, blind.moves, lambda world: None)
    assert any("write 2 taken A" in move for _, move in graph.came_from)


@pytest.mark.slow
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize(
    ("stock", "outlets", "orders", "faults", "rules", "states"),
    [
        (3, 2, 3, 0, Rules(), 20_000),
        (3, 2, 4, 0, Rules(), 100_000),
        (2, 2, 3, 1, Rules(), 60_000),
        (2, 2, 3, 1, Rules(in_order=False), 60_000),
        (2, 2, 3, 0, Rules(sweep=True), 20_000),
        (3, 2, 6, 0, Rules(compare=True), 50_000),
    ],
)
def test_I13_larger_worlds(stock: int, outlets: int, orders: int, faults: int, rules: Rules, states: int) -> None:
    graph = look(Engine(stock, outlets, orders, faults, rules))
    print(f"{len(graph)} states")
    assert len(graph) > states
