"""Failures of real systems, B: duplicates, loss, order of arrival (docs/reference/failures.md)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.scenario.engine import AMAZON, EBAY, START, TENANT, World, order
from tests.scenario.test_shipping_worker import Here

from oneshelf.channels.contract import Cursor, Page
from oneshelf.core.errors import Park
from oneshelf.db.store import Store, transaction
from oneshelf.intake.inbox import Raw, keep
from oneshelf.intake.poll import keep_failure, load_feed
from oneshelf.intake.worker import EMPTY_PAGES_MAX, poll_once
from oneshelf.runtime.bell import Bell


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 5)
    world.open()
    world.tick(60)
    return world


def test_FC_B02_what_was_heard_before_a_restart_is_known_after_it(world: World) -> None:
    """Nothing about duplicates is kept in memory: a retry that comes two days later changes nothing."""
    raw = Raw(TENANT, EBAY, "orders", "orders:delivery-1", "webhook", {}, b"[]", world.now)
    with transaction(world.store) as tx:
        assert keep(tx, [raw]) == ["stored"]
    placed = order("E-1", world.now, MUG=2)
    world.hear(EBAY, placed)
    world.store.close()
    world.store.open()
    world.tick(2 * 86_400)
    with transaction(world.store) as tx:
        assert keep(tx, [raw]) != ["stored"]
    world.hear(EBAY, placed)
    assert world.level("MUG") == (5, 2, 0, 0)
    assert world.value("SELECT COUNT(*) FROM orders") == 1


def test_FC_B09_a_message_that_becomes_visible_behind_a_later_one_is_handled(world: World) -> None:
    """The reader looks for what is new, not for what has a higher number than the last."""
    world.hear(EBAY, order("E-1", world.now, MUG=1), handled=False)
    [row] = world.rows("SELECT * FROM inbox WHERE state = 'NEW'")
    with transaction(world.store) as tx:
        tx.run("DELETE FROM inbox WHERE state = 'NEW'")
    world.hear(AMAZON, order("A-1", world.now, MUG=1))
    assert world.order(AMAZON, "A-1") == "OPEN"
    with transaction(world.store) as tx:  # the transaction with the lower number commits only now
        tx.many(f"INSERT INTO inbox VALUES ({', '.join('?' * len(row))})", [row])
    world.handle()
    assert world.order(EBAY, "E-1") == "OPEN"
    assert world.level("MUG") == (5, 2, 0, 0)


class Circles:
    """A channel whose pages lead nowhere: the page addresses of `ring` again and again, or ever new ones."""

    name = "ebay"

    def __init__(self, ring: int | None) -> None:
        self.ring = ring
        self.pages = 0

    async def fetch(self, http: Any, cursor: Cursor, now: Any) -> Page:
        self.pages += 1
        assert self.pages < 1_000, "it would go on for ever"
        token = self.pages if self.ring is None else self.pages % self.ring
        return Page((), Cursor(START, {"token": token}))


@pytest.mark.parametrize(("ring", "pages"), [(1, 2), (3, 4), (None, EMPTY_PAGES_MAX + 1)])
async def test_FC_B17_a_feed_that_leads_nowhere_ends_and_begins_anew(
    world: World, ring: int | None, pages: int
) -> None:
    channel, here = Circles(ring), Here(world)
    with pytest.raises(Park, match="begins anew") as ended:
        await poll_once(TENANT, EBAY, channel, None, here, here, world.now, Bell())  # type: ignore[arg-type]
    assert channel.pages == pages
    with transaction(world.store) as tx:
        keep_failure(tx, TENANT, EBAY, str(ended.value), world.now, forget_run=True)
        feed = load_feed(tx, TENANT, EBAY)
    assert feed.cursor is None, "the next run does not go on in the circle"
    assert world.value("SELECT problem FROM feed WHERE account_id = :a", a=EBAY) == str(ended.value)
