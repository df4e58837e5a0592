"""Who gets the pieces: first by time of purchase, whoever is heard first (SEMANTICS 6)."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from tests.scenario.engine import AMAZON, EBAY, ETSY, SHOP, TENANT, World, changed, order
from tests.scenario.invariants import check

from oneshelf.core.facts import LineSeen
from oneshelf.core.instants import SECOND, from_us
from oneshelf.db.store import Store, transaction
from oneshelf.orders.pins import pin


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 2)
    world.open()
    world.tick(3600)
    return world


def verdicts(world: World, *orders: tuple[int, str]) -> list[str]:
    return [world.line(account_id, order_id, "coverage") for account_id, order_id in orders]


def sell(world: World, account_id: int, order_id: str, seconds: float, pieces: int = 1, **more: object) -> None:
    """An order placed so many seconds after START + 1 h."""
    world.hear(account_id, order(order_id, world.now - 3600 * SECOND + int(seconds * SECOND), MUG=pieces, **more))


class TestTheWalk:
    def test_S6_1_while_everything_fits_everyone_is_covered(self, world: World) -> None:
        sell(world, EBAY, "E-1", 0)
        sell(world, ETSY, "T-1", 1)
        assert verdicts(world, (EBAY, "E-1"), (ETSY, "T-1")) == ["COVERED", "COVERED"]
        assert world.tasks() == []

    def test_FC_A11_the_earlier_purchase_wins_although_it_is_heard_later(self, world: World) -> None:
        sell(world, EBAY, "E-1", 2, 2)
        sell(world, ETSY, "T-1", 1, 2)
        assert verdicts(world, (ETSY, "T-1"), (EBAY, "E-1")) == ["COVERED", "SHORT"]
        assert world.k("MUG") == -2
        check(world)

    def test_S6_2_in_one_second_the_dearer_cancellation_goes_first(self, world: World) -> None:
        for account_id, order_id, fraction in (
            (SHOP, "W", 0.1),
            (ETSY, "T", 0.2),
            (EBAY, "E", 0.3),
            (AMAZON, "A", 0.9),
        ):
            sell(world, account_id, order_id, fraction)
        assert verdicts(world, (AMAZON, "A"), (EBAY, "E"), (ETSY, "T"), (SHOP, "W")) == [
            "COVERED",
            "COVERED",
            "SHORT",
            "SHORT",
        ]

    def test_S6_2_of_one_channel_and_second_the_order_id_decides(self, world: World) -> None:
        sell(world, EBAY, "E-2", 0.1, 2)
        sell(world, EBAY, "E-1", 0.9, 2)
        assert verdicts(world, (EBAY, "E-1"), (EBAY, "E-2")) == ["COVERED", "SHORT"]

    def test_S6_4_a_line_too_large_is_short_and_a_smaller_later_one_is_covered(self, world: World) -> None:
        sell(world, EBAY, "E-1", 0, 3)
        sell(world, ETSY, "T-1", 1, 2)
        assert verdicts(world, (EBAY, "E-1"), (ETSY, "T-1")) == ["SHORT", "COVERED"]
        check(world)

    def test_S6_6_what_is_released_is_never_displaced(self, world: World) -> None:
        sell(world, EBAY, "E-1", 5, 2)
        world.rows("UPDATE order_line SET state = 'R' WHERE account_id = 3 RETURNING 1")
        sell(world, ETSY, "T-1", 1, 2)
        assert verdicts(world, (EBAY, "E-1"), (ETSY, "T-1")) == ["COVERED", "SHORT"]
        check(world)

    def test_S6_6_what_its_marketplace_calls_shipped_is_never_displaced(self, world: World) -> None:
        sold = order("E-1", world.now - 10 * SECOND, MUG=2)
        world.hear(EBAY, changed(sold, world.now - 5 * SECOND, shipped=2))
        sell(world, ETSY, "T-1", 1, 2)
        assert verdicts(world, (EBAY, "E-1"), (ETSY, "T-1")) == ["COVERED", "SHORT"]
        check(world)

    def test_S6_1_damaged_pieces_cover_nobody(self, world: World) -> None:
        sell(world, EBAY, "E-1", 0)
        sell(world, ETSY, "T-1", 1)
        world.hub.cell("MUG", "L1").unavailable = 1
        world.read("MUG")
        assert verdicts(world, (EBAY, "E-1"), (ETSY, "T-1")) == ["COVERED", "SHORT"]
        check(world)

    def test_S0_5_orders_older_than_ours_were_first(self, store: Store) -> None:
        world = World(store)
        world.item("MUG", 2)
        world.hub.cell("MUG", "L1").committed = 1
        world.open()
        world.hear(EBAY, order("E-1", world.now, MUG=2))
        assert world.k("MUG") == -1
        assert world.line(EBAY, "E-1", "coverage") == "SHORT"
        check(world)

    def test_pieces_at_a_location_out_of_scope_neither_cover_nor_claim(self, store: Store) -> None:
        world = World(store)
        world.item("MUG", L1=1, L2=5)
        world.rows("UPDATE location SET in_scope = 0 WHERE location_id = 'L2' RETURNING 1")
        world.open()
        world.hub.sell(world.now, "L2", MUG=1)
        world.hub_news()
        world.hear(EBAY, order("E-1", world.tick(5), MUG=1))
        world.hear(ETSY, order("T-1", world.tick(5), MUG=1))
        assert verdicts(world, (EBAY, "E-1"), (ETSY, "T-1")) == ["COVERED", "SHORT"]


class TestChanges:
    @pytest.fixture
    def world(self, world: World) -> World:
        """E-1 of 2 is covered, T-1 of 1, later, is short."""
        sell(world, EBAY, "E-1", 0, 2)
        sell(world, ETSY, "T-1", 1)
        return world

    def test_a_short_line_is_a_task_with_the_order_in_it(self, world: World) -> None:
        assert world.tasks() == ["short_line"]
        assert world.line(ETSY, "T-1", "short_since") == world.now

    def test_S7_1_another_cancel_covers_it_and_ends_the_task(self, world: World) -> None:
        sold = order("E-1", world.now - 3600 * SECOND, MUG=2)
        world.hear(EBAY, changed(sold, world.now, cancelled_pieces=1))
        assert verdicts(world, (EBAY, "E-1"), (ETSY, "T-1")) == ["COVERED", "COVERED"]
        assert world.tasks() == []
        assert world.line(ETSY, "T-1", "short_since") is None

    def test_S7_1_pieces_found_in_the_shop_cover_it(self, world: World) -> None:
        world.hub.cell("MUG", "L1").on_hand = 3
        world.read("MUG")
        world.tick(10)
        world.complete(SHOP)
        world.read_wanted()
        assert world.line(ETSY, "T-1", "coverage") == "COVERED"
        check(world)

    def test_its_own_cancel_ends_the_task(self, world: World) -> None:
        sold = order("T-1", world.now - 3599 * SECOND, MUG=1)
        world.hear(ETSY, msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.now)))
        assert world.tasks() == []
        assert world.line(ETSY, "T-1", "coverage") == ""

    def test_S6_1_a_line_that_we_want_cancelled_covers_nothing_and_is_not_short(self, world: World) -> None:
        world.rows("UPDATE order_line SET state = 'X' WHERE account_id = 3 RETURNING 1")
        sold = order("E-1", world.now - 3600 * SECOND, MUG=2)
        world.hear(EBAY, msgspec.structs.replace(sold, updated_at=from_us(world.now)))
        assert verdicts(world, (EBAY, "E-1"), (ETSY, "T-1")) == ["", "COVERED"]


class TestPins:
    @pytest.fixture
    def world(self, world: World) -> World:
        sell(world, EBAY, "E-1", 0, 2)
        sell(world, ETSY, "T-1", 1, 2)
        return world

    def put(self, world: World, account_id: int, order_id: str, word: int) -> None:
        order_no = world.order(account_id, order_id, "order_no")
        with transaction(world.store) as tx:
            pin(tx, TENANT, order_no, "MUG", "MUG", word, world.now, by="merchant")  # type: ignore[arg-type]

    def test_S6_7_a_pinned_line_is_covered_before_all_unpinned(self, world: World) -> None:
        self.put(world, ETSY, "T-1", 1)
        assert verdicts(world, (EBAY, "E-1"), (ETSY, "T-1")) == ["SHORT", "COVERED"]
        check(world)

    def test_S6_7_a_line_given_up_goes_last(self, world: World) -> None:
        self.put(world, EBAY, "E-1", -1)
        assert verdicts(world, (EBAY, "E-1"), (ETSY, "T-1")) == ["SHORT", "COVERED"]

    def test_S6_7_a_pin_taken_back_leaves_the_time_of_purchase(self, world: World) -> None:
        self.put(world, ETSY, "T-1", 1)
        self.put(world, ETSY, "T-1", 0)
        assert verdicts(world, (EBAY, "E-1"), (ETSY, "T-1")) == ["COVERED", "SHORT"]

    def test_S6_7_a_pin_is_in_the_audit_trail(self, world: World) -> None:
        self.put(world, ETSY, "T-1", 1)
        assert world.rows("SELECT actor, what FROM journal WHERE what LIKE '%pinned%'") == [
            ("merchant", "A line was pinned")
        ]

    def test_S6_6_a_pin_does_not_displace_what_is_released(self, world: World) -> None:
        world.rows("UPDATE order_line SET state = 'R' WHERE account_id = 3 RETURNING 1")
        self.put(world, ETSY, "T-1", 1)
        assert verdicts(world, (EBAY, "E-1"), (ETSY, "T-1")) == ["COVERED", "SHORT"]

    def test_a_pin_on_no_line_is_refused(self, world: World) -> None:
        with pytest.raises(ValueError, match="has no line"), transaction(world.store) as tx:
            pin(tx, TENANT, 999, "MUG", "MUG", 1, world.now, by="merchant")


def test_S6_5_every_arrival_order_of_five_orders_has_the_same_winners(store: Store) -> None:
    """S4.4 and S6: 120 arrival orders of five orders for 3 pieces; one takes 2."""
    world = World(store)
    world.open()
    told = [(EBAY, 0, 1), (AMAZON, 1, 2), (ETSY, 1, 1), (SHOP, 2, 1), (EBAY, 3, 1)]
    seen = set()
    step = 1 if store.dialect == "sqlite" else 7
    for n, arrival in enumerate(itertools.islice(itertools.permutations(range(5)), 0, None, step)):
        sku = f"S{n}"
        world.item(sku, 3)
        world.open_stock()
        start = world.tick(10) - 5 * SECOND
        for i in arrival:
            account_id, at_s, pieces = told[i]
            line = LineSeen("l", (f"sku:{sku}",), pieces, sku=sku)
            world.hear(account_id, order(f"{i}-{sku}", start + at_s * SECOND, lines=[line]), handled=False)
        world.handle()
        rows = world.rows("SELECT order_id, coverage FROM order_line WHERE sku = :s ORDER BY order_id", s=sku)
        seen.add(tuple(verdict for _, verdict in rows))
    assert seen == {("COVERED", "COVERED", "SHORT", "SHORT", "SHORT")}
