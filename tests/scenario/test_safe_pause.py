"""The safe pause: everything at once, and one undo that puts back exactly what was (SEMANTICS 8.14)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.scenario.engine import AMAZON, EBAY, ETSY, SHOP, TENANT, World, order

from oneshelf.db.store import Store, transaction
from oneshelf.publish import pausing, safe_pause
from oneshelf.publish.safe_pause import CannotPause, Undone
from oneshelf.watch.explain import explain


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 8)
    world.item("CUP", 9)
    world.list(EBAY, "SET", {"MUG": 1, "CUP": 2})
    world.open()
    world.safety(EBAY, 2)
    return world


def start(world: World, **wanted: Any) -> safe_pause.SafePause:
    with transaction(world.store) as tx:
        return safe_pause.start(tx, TENANT, world.now, by="Ada", **wanted)


def undo(world: World) -> Undone:
    with transaction(world.store) as tx:
        return safe_pause.undo(tx, TENANT, world.now, by="Ada")


def as_it_is(world: World) -> list[tuple[Any, ...]]:
    return [
        *world.rows("SELECT account_id, state, settings FROM account ORDER BY account_id"),
        *world.rows("SELECT account_id, goods, value, safety_stock, cap FROM offer_rule"),
    ]


@pytest.mark.parametrize(
    "wanted",
    [
        {"freeze": True},
        {"zero_first": True},
        {"pieces": 3},
        {"freeze": True, "pieces": 3},
        {"zero_first": True, "pieces": 3, "account_ids": [EBAY]},
    ],
)
def test_undo_puts_back_exactly_what_was(world: World, wanted: dict[str, Any]) -> None:
    before, offers = as_it_is(world), (world.offers("MUG"), world.offer(EBAY, "SET"))
    made = start(world, **wanted)
    assert as_it_is(world) != before and made.by == "Ada"
    done = undo(world)
    assert (as_it_is(world), (world.offers("MUG"), world.offer(EBAY, "SET"))) == (before, offers)
    assert done.left == [] and sorted({*done.resumed, *done.narrowed}) == wanted.get(
        "account_ids", [AMAZON, EBAY, ETSY]
    )
    with transaction(world.store) as tx:
        assert safe_pause.current(tx, TENANT) is None


def test_wider_buffers_stand_beside_every_rule_and_say_so(world: World) -> None:
    assert (world.offers("MUG"), world.offer(EBAY, "SET")) == ((8, 6, 8), 3)
    start(world, pieces=3)
    assert world.offers("MUG") == (5, 3, 5)
    assert world.offer(EBAY, "SET") == 2, "each part keeps its own: of 9 cups 5 are left"
    with transaction(world.store) as tx:
        (line,) = [one for one in explain(tx, TENANT, "MUG", "ebay", now=world.now).outlets if one.external_id == "MUG"]
    assert line.ladder is not None
    (term,) = [term for term in line.ladder.terms if term.name == "Kept off by the buffer"]
    assert term.amount == -5 and "3 more while buffers are widened" in term.reason
    assert world.rows("SELECT COUNT(*) FROM dirty_listing") != [(0,)]


def test_what_a_person_changed_meanwhile_stays(world: World) -> None:
    start(world, freeze=True)
    with transaction(world.store) as tx:
        pausing.resume(tx, TENANT, EBAY, world.now, by="Bea")
    assert undo(world) == Undone(resumed=[AMAZON, ETSY], narrowed=[], left=[EBAY])


def test_only_one_at_a_time_and_never_the_shop(world: World) -> None:
    with pytest.raises(CannotPause, match="Say what it does"):
        start(world)
    with pytest.raises(CannotPause, match="no live marketplace account"):
        start(world, freeze=True, account_ids=[SHOP])
    with pytest.raises(CannotPause, match="can't be kept back"):
        start(world, pieces=-1)
    with pytest.raises(CannotPause, match="nothing to undo"):
        undo(world)
    start(world, freeze=True)
    with pytest.raises(CannotPause, match="Undo it first"):
        start(world, pieces=1)


def test_while_it_is_on_orders_are_booked(world: World) -> None:
    start(world, freeze=True)
    world.hear(EBAY, order("E-1", world.now, MUG=3))
    assert world.k("MUG") == 5
