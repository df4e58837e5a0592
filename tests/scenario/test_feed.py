"""Through which instant an account's orders are known (SEMANTICS 3.3, I22)."""

from __future__ import annotations

from tests.scenario.engine import EBAY, TENANT, World, order

from oneshelf.channels.contract import Cursor, Page
from oneshelf.core.instants import SECOND, from_us
from oneshelf.db.store import Store, transaction
from oneshelf.intake.poll import keep_failure, keep_page, load_feed


def page(world: World, through: int | None) -> None:
    done = Page((), Cursor(from_us(world.now)), None if through is None else from_us(through))
    with transaction(world.store) as tx:
        keep_page(tx, TENANT, EBAY, done, world.now)


def through(world: World) -> int | None:
    with transaction(world.store) as tx:
        return load_feed(tx, TENANT, EBAY).complete_through_at


def test_S3_3_only_a_finished_poll_moves_it_and_it_never_goes_back(store: Store) -> None:
    world = World(store)
    world.item("MUG", 1)
    world.open()
    start = world.now
    page(world, start)
    page(world, start - 60 * SECOND)
    assert through(world) == start, "an older bound"
    page(world, None)
    assert through(world) == start, "a page in the middle of a run"
    world.tick(60)
    world.hear(EBAY, order("E-1", world.now, MUG=1))
    assert through(world) == start, "a webhook says nothing about others"
    with transaction(store) as tx:
        keep_failure(tx, TENANT, EBAY, "down", world.now, forget_run=True)
    assert through(world) == start, "a failure"
    page(world, world.now)
    assert through(world) == world.now
