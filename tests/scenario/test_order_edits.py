"""The merchant edits a web order in the shop: `orders/edited` names it only, and the order read again is a new snapshot."""

from __future__ import annotations

import msgspec
import pytest
from tests.scenario.engine import SHOP, World, changed, order

from oneshelf.core.facts import LineSeen, OrderHint, OrderSeen
from oneshelf.db.store import Store


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 10)
    world.item("CUP", 5)
    return world.open()


def edited(seen: OrderSeen, at: int, lines: tuple[LineSeen, ...]) -> OrderSeen:
    return msgspec.structs.replace(changed(seen, at), lines=lines)


def test_an_edit_is_read_again_and_books_what_it_changed(world: World) -> None:
    web = order("1001", world.now, MUG=2)
    world.hear(SHOP, web)
    assert world.level("MUG") == (10, 2, 0, 0)
    world.hear(SHOP, OrderHint("1001"))
    assert world.rows("SELECT entity, state FROM intent WHERE kind = 'fetch_order'") == [(f"{SHOP}/1001", "WAITING")]

    (mug,) = web.lines
    cup = msgspec.structs.replace(order("x", world.now, CUP=1).lines[0], line_id="added")
    more = edited(web, world.tick(), (msgspec.structs.replace(mug, ordered=3), cup))
    world.hear(SHOP, more)
    assert (world.level("MUG"), world.level("CUP")) == ((10, 3, 0, 0), (5, 1, 0, 0)), "one piece more, and a line more"

    fewer = edited(web, world.tick(), (msgspec.structs.replace(mug, ordered=3, cancelled=2), cup))
    world.hear(SHOP, fewer)
    assert world.level("MUG") == (10, 1, 0, 0), "what was taken off is given back"
    world.hear(SHOP, more)
    assert world.level("MUG") == (10, 1, 0, 0), "an older snapshot changes nothing"
