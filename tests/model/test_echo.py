"""Reads of the hub, in every interleaving (SEMANTICS 9): an echo is never an edit, one sale never counts twice."""

from __future__ import annotations

import pytest
from tests.model.echo import Rules, Shop, World
from tests.model.explore import Counterexample, Graph, explore


def look(shop: Shop) -> Graph[World]:
    graph = explore(shop.start, shop.moves, shop.wrong)
    graph.require_always_possible(shop.at_rest, "true")
    return graph


def found(shop: Shop) -> Counterexample:
    with pytest.raises(Counterexample) as caught:
        look(shop)
    return caught.value


def test_S9_5_holds_and_web_sales_under_way_are_never_an_edit() -> None:
    assert len(look(Shop(stock=3, lines=3, web=3, edits=0))) > 40_000


def test_S9_1_many_web_sales_are_each_counted_once() -> None:
    assert len(look(Shop(stock=3, lines=0, web=5, edits=0))) > 15_000


def test_S9_2_S9_3_an_edit_among_them_is_posted_in_the_end_and_nothing_else_is() -> None:
    """In between a fall may be taken for the wrong one of two; when all is heard the ledger says what is true."""
    assert len(look(Shop(stock=3, lines=2, web=2, edits=1))) > 20_000


# --- each guard off -------------------------------------------------------------------------------------------------------


def test_twin_S9_1_a_notification_that_commands_counts_a_sale_twice_in_three_steps() -> None:
    shop = Shop(stock=3, lines=0, web=1, edits=0, rules=Rules(hints_are_hints=False))
    with pytest.raises(Counterexample, match="S9.1: a sale is counted twice: K is 1") as caught:
        explore(shop.start, shop.moves, lambda w: None if "twice" not in (wrong := only_twice(shop, w)) else wrong)
    assert caught.value.path == ["the web sells", "told the number", "hear web 0"]


def only_twice(shop: Shop, world: World) -> str:
    k, least = shop.available(world), shop.stock - world.lines - len(world.web)
    return f"S9.1: a sale is counted twice: K is {k}" if k < least else ""


def test_twin_S9_5_without_the_calls_in_flight_a_hold_is_counted_as_a_sale() -> None:
    wrong = found(Shop(stock=3, lines=1, web=0, edits=0, rules=Rules(in_flight=False)))
    assert wrong.wrong == "S9.1: a sale is counted twice: K is 1"
    assert wrong.path == ["a marketplace sells", "hold", "the hold arrives", "ask", "read", "judge"]


def test_twin_ADR_6_without_the_overlap_the_answer_of_a_hold_makes_an_edit_of_it() -> None:
    """Asked before the hold arrived, judged after it was answered: the read looks one higher; a second hold does the same after the poll."""
    wrong = found(Shop(stock=3, lines=2, web=0, edits=0, rules=Rules(overlap=False)))
    assert wrong.wrong == "S9.4: an edit of +1 was posted and nobody edited anything"
    assert wrong.path.index("the hold is answered") < wrong.path.index("judge")


def test_twin_without_what_was_booked_meanwhile_a_web_sale_makes_an_edit() -> None:
    wrong = found(Shop(stock=3, lines=0, web=2, edits=0, rules=Rules(booked=False)))
    assert wrong.wrong == "S9.4: an edit of +1 was posted and nobody edited anything"


def test_twin_S9_2_an_order_that_leaves_its_reservation_standing_is_counted_twice() -> None:
    wrong = found(Shop(stock=3, lines=0, web=1, edits=0, rules=Rules(orders_consume=False)))
    assert wrong.wrong == "S9.1: a sale is counted twice: K is 1"
    assert wrong.path == ["the web sells", "ask", "read", "judge", "hear web 0"]


@pytest.mark.slow
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize(("lines", "web", "edits"), [(0, 6, 0), (4, 3, 0), (3, 2, 1), (2, 2, 2)])
def test_S9_larger_worlds(lines: int, web: int, edits: int) -> None:
    graph = look(Shop(stock=3, lines=lines, web=web, edits=edits))
    print(f"{len(graph)} states")
    assert len(graph) > 20_000
