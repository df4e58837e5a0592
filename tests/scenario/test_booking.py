"""Booking orders: once, in any order, with the state table, the hub copy's word, and what it refuses (SEMANTICS 4, 5, 6.3, 10.6)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from tests.scenario.engine import AMAZON, EBAY, ETSY, SHOP, TENANT, World, changed, key_of, order
from tests.scenario.invariants import check, check_at_rest

from oneshelf.core.facts import LineSeen, Money, OrderHint, OrderSeen, Payment, ShipmentSeen
from oneshelf.core.instants import SECOND, from_us
from oneshelf.db.store import Store, transaction
from oneshelf.orders.batch import Heard
from oneshelf.orders.book import book
from oneshelf.orders.relink import relink, relink_account


@pytest.fixture
def world(store: Store) -> World:
    """Ten mugs and three cups, every account live."""
    world = World(store)
    world.item("MUG", 10)
    world.item("CUP", 3)
    return world.open()


def heard(world: World, account_id: int, seen: OrderSeen) -> list[str]:
    with transaction(world.store) as tx:
        return list(book(tx, TENANT, [Heard(account_id, seen, world.now, world.now, "webhook")], world.now))


def line(pieces: int, **more: object) -> LineSeen:
    return msgspec.structs.replace(
        LineSeen("MUG", ("sku:MUG",), pieces, sku="MUG", subtotal=Money(1000 * pieces, "EUR")), **more
    )


class TestOnce:
    def test_S4_3_the_same_snapshot_again_changes_nothing_and_says_so(self, world: World) -> None:
        sold = order("A-1", world.now, MUG=1)
        assert heard(world, AMAZON, sold) == ["booked"]
        assert heard(world, AMAZON, sold) == ["already_done"]
        assert world.level("MUG") == (10, 1, 0, 0)

    def test_FC_B01_webhook_and_poll_of_one_order_count_once(self, world: World) -> None:
        sold = order("E-1", world.now, MUG=1)
        world.hear(EBAY, sold, source="webhook")
        world.tick(20)
        world.hear(EBAY, sold, source="poll")
        assert world.level("MUG") == (10, 1, 0, 0)
        assert len(world.entries("commit:")) == 1

    def test_FC_B04_two_accounts_may_both_have_order_1001(self, world: World) -> None:
        world.hear(EBAY, order("1001", world.now, MUG=1))
        world.hear(ETSY, order("1001", world.now, MUG=2))
        assert world.level("MUG") == (10, 3, 0, 0)

    def test_S4_3_an_older_snapshot_changes_nothing(self, world: World) -> None:
        placed = world.now
        world.tick(60)
        world.hear(EBAY, order("E-1", placed, updated=placed + 50 * SECOND, MUG=2))
        world.hear(EBAY, order("E-1", placed, paid=False, MUG=1))
        assert world.level("MUG") == (10, 2, 0, 0)

    def test_S4_3_newer_by_its_own_instant_counts_although_fetched_earlier(self, world: World) -> None:
        placed = world.now
        with transaction(world.store) as tx:
            late, early = placed + 90 * SECOND, placed + 30 * SECOND
            first = order("E-1", placed, updated=placed + 10 * SECOND, MUG=1)
            second = order("E-1", placed, updated=placed + 20 * SECOND, MUG=2)
            third = msgspec.structs.replace(second, lines=(line(3),))
            book(tx, TENANT, [Heard(EBAY, first, late, late, "poll")], late)
            book(tx, TENANT, [Heard(EBAY, second, early, early, "poll")], late)
            book(tx, TENANT, [Heard(EBAY, third, early, early + SECOND, "poll")], late)
        assert world.level("MUG") == (10, 3, 0, 0)

    def test_FC_B05_a_cancel_that_comes_before_the_order_leaves_nothing_held(self, world: World) -> None:
        sold = order("E-1", world.now, MUG=1)
        world.hear(EBAY, msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.tick(5))))
        world.hear(EBAY, sold)
        assert world.level("MUG") == (10, 0, 0, 0)
        assert world.line(EBAY, "E-1") == "C"
        assert world.entries("commit:") + world.entries("release:") == []

    def test_FC_B06_a_fulfilment_that_comes_before_the_order_leaves_one_piece_gone(self, world: World) -> None:
        order_id = world.hub.sell(world.now, MUG=1)
        before = world.hub.snapshot(order_id)
        world.hub.fulfil(world.tick(60), order_id)
        world.hear(SHOP, world.hub.snapshot(order_id))
        world.hear(SHOP, before)
        assert world.level("MUG") == (9, 0, 0, 0)
        assert world.line(SHOP, order_id) == "S"


class TestQuantities:
    def test_S4_7_a_changed_quantity_posts_the_difference_as_an_entry_of_its_own(self, world: World) -> None:
        sold = order("W-1", world.now, MUG=3)
        world.hear(SHOP, sold)
        world.hear(SHOP, msgspec.structs.replace(sold, lines=(line(5),), updated_at=from_us(world.tick())))
        world.hear(SHOP, msgspec.structs.replace(sold, lines=(line(5, cancelled=4),), updated_at=from_us(world.tick())))
        assert world.level("MUG") == (10, 1, 0, 0)
        moved = world.rows("SELECT committed FROM ledger_entry WHERE committed <> 0 ORDER BY entry_no")
        assert moved == [(3,), (2,), (-4,)]

    def test_FC_F13_a_line_of_quantity_0_is_legal_and_takes_nothing(self, world: World) -> None:
        world.hear(ETSY, order("T-1", world.now, lines=[line(0), LineSeen("CUP", ("sku:CUP",), 1, sku="CUP")]))
        assert (world.level("MUG"), world.level("CUP")) == ((10, 0, 0, 0), (3, 1, 0, 0))

    def test_FC_H07_a_pack_takes_its_pieces(self, world: World) -> None:
        world.list(AMAZON, "MUG6", {"MUG": 6})
        world.hear(AMAZON, order("A-1", world.now, MUG6=1))
        assert world.level("MUG") == (10, 6, 0, 0)

    def test_S1_11_a_bundle_takes_every_part_in_one_transaction(self, world: World) -> None:
        world.list(ETSY, "SET", {"MUG": 2, "CUP": 1})
        world.hear(ETSY, order("T-1", world.now, SET=2))
        assert (world.level("MUG"), world.level("CUP")) == ((10, 4, 0, 0), (3, 2, 0, 0))
        assert world.offer(ETSY, "SET") == 1

    def test_FC_A04_a_bundle_and_a_single_of_one_order_share_the_pieces(self, world: World) -> None:
        world.list(ETSY, "SET", {"MUG": 1, "CUP": 3})
        world.hear(ETSY, order("T-1", world.now, SET=1, CUP=1))
        assert world.k("CUP") == -1
        assert [
            world.value("SELECT coverage FROM order_line WHERE line_id = :l AND sku = 'CUP'", l=l_id)
            for l_id in ("SET", "CUP")
        ] == [
            "SHORT",
            "COVERED",
        ], "by key: CUP comes before SET, and what is left is too little for 3"
        check(world)

    def test_FC_E05_two_lines_of_one_sku_are_two_lines(self, world: World) -> None:
        two = [LineSeen("l1", ("sku:MUG",), 1, sku="MUG"), LineSeen("l2", ("sku:MUG",), 2, sku="MUG")]
        world.hear(EBAY, order("E-1", world.now, lines=two))
        assert world.level("MUG") == (10, 3, 0, 0)
        check(world)


class TestUnlinked:
    def test_S4_5_an_unknown_sku_holds_nothing_and_is_in_sight(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, POT=1))
        assert world.line(EBAY, "E-1") == "U"
        assert world.tasks() == ["unlinked_order"]
        assert world.value("SELECT COUNT(*) FROM ledger_entry WHERE sku = ''") == 0

    def test_S4_5_linking_books_it_with_its_original_time(self, world: World) -> None:
        placed = world.now
        world.hear(EBAY, order("E-1", placed, POT=2))
        world.tick(3600)
        outlet_id = world.list(EBAY, "POT", {"CUP": 1})
        with transaction(world.store) as tx:
            assert relink(tx, TENANT, outlet_id, world.now) == 1
        assert world.level("CUP") == (3, 2, 0, 0)
        assert world.line(EBAY, "E-1", "placed_s") == placed // SECOND
        assert world.tasks() == []
        check(world)

    def test_S4_5_the_task_stays_while_another_line_is_unlinked(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, POT=1, PAN=1))
        outlet_id = world.list(EBAY, "POT", {"CUP": 1})
        with transaction(world.store) as tx:
            relink(tx, TENANT, outlet_id, world.now)
        assert world.tasks() == ["unlinked_order"]
        assert world.rows("SELECT line_id, state FROM order_line ORDER BY line_id") == [("PAN", "U"), ("POT", "O")]

    def test_S4_5_what_was_cancelled_meanwhile_is_not_booked(self, world: World) -> None:
        sold = order("E-1", world.now, POT=3)
        world.hear(EBAY, sold)
        world.hear(EBAY, changed(sold, world.tick(60), cancelled_pieces=2))
        outlet_id = world.list(EBAY, "POT", {"CUP": 1})
        with transaction(world.store) as tx:
            relink(tx, TENANT, outlet_id, world.now)
        assert world.level("CUP") == (3, 1, 0, 0)

    def test_S4_5_what_a_short_notice_told_since_is_not_lost_when_it_is_linked(self, world: World) -> None:
        sold = order("A-1", world.now, POT=2)
        world.hear(AMAZON, sold)
        notice = changed(sold, world.tick(60), cancelled_pieces=1, complete=False, totals=None)
        world.hear(AMAZON, notice)
        outlet_id = world.list(AMAZON, "POT", {"CUP": 1})
        with transaction(world.store) as tx:
            relink(tx, TENANT, outlet_id, world.now)
        assert world.level("CUP") == (3, 1, 0, 0)

    def test_S4_5_a_whole_catalogue_linked_later_books_what_waited_for_it(self, world: World) -> None:
        world.hear(ETSY, order("T-1", world.now, POT=1))
        world.hear(ETSY, order("T-2", world.now, PAN=1))
        world.list(ETSY, "POT", {"CUP": 1})
        with transaction(world.store) as tx:
            assert relink_account(tx, TENANT, ETSY, world.now) == 1
        assert world.level("CUP") == (3, 1, 0, 0)

    @pytest.mark.parametrize("how", ["cancelled", "failed", "all of its pieces"])
    def test_S4_5_one_of_which_nothing_is_wanted_any_more_asks_nobody(self, world: World, how: str) -> None:
        sold = order("E-1", world.now, POT=2)
        world.hear(EBAY, sold)
        more: dict[str, Any] = {
            "cancelled": {"cancelled": True},
            "failed": {"payment": Payment.FAILED},
            "all of its pieces": {"cancelled_pieces": 2},
        }[how]
        world.hear(EBAY, changed(sold, world.tick(60), **more))
        assert (world.order(EBAY, "E-1"), world.tasks()) == ("CANCELLED", [])
        outlet_id = world.list(EBAY, "POT", {"CUP": 1})
        with transaction(world.store) as tx:
            relink(tx, TENANT, outlet_id, world.now)
        assert world.level("CUP") == (3, 0, 0, 0)
        check(world)

    def test_S4_5_one_that_is_wanted_again_is_asked_about_again(self, world: World) -> None:
        sold = order("E-1", world.now, POT=2)
        world.hear(EBAY, changed(sold, world.tick(1), cancelled=True))
        assert (world.order(EBAY, "E-1"), world.tasks()) == ("CANCELLED", [])
        world.hear(EBAY, changed(sold, world.tick(60)))
        assert (world.order(EBAY, "E-1"), world.tasks()) == ("UNLINKED", ["unlinked_order"])

    def test_S14_1_a_cancelled_line_without_a_link_does_not_hold_up_the_import(self, world: World) -> None:
        sold = order("E-1", world.now, POT=1, MUG=1)
        world.hear(EBAY, sold)
        world.run_hub()
        assert world.order(EBAY, "E-1", "hub_order_id") is None
        world.hear(EBAY, changed(sold, world.tick(60), cancelled_pieces=1))
        world.run_hub()
        assert world.order(EBAY, "E-1", "hub_order_id") is not None
        check(world)

    def test_S0_6_nobody_is_asked_to_link_what_is_history(self, world: World) -> None:
        long_ago = world.now - 30 * 86_400 * SECOND
        world.hear(EBAY, changed(order("E-1", long_ago, POT=1), long_ago, shipped=1))
        assert (world.order(EBAY, "E-1", "standing"), world.tasks()) == ("history", [])

    def test_an_order_of_a_listing_that_is_gone_still_takes_its_sku(self, world: World) -> None:
        world.rows("UPDATE outlet SET state = 'gone' WHERE account_id = 3 RETURNING 1")
        world.hear(EBAY, order("E-1", world.now, MUG=1))
        assert world.level("MUG") == (10, 1, 0, 0)

    def test_FC_D07_what_the_channel_ships_from_its_own_stock_is_not_ours(self, world: World) -> None:
        world.list(AMAZON, "FBA", {"MUG": 1}, fulfilled_by_channel=True)
        world.hear(AMAZON, order("A-1", world.now, FBA=1))
        world.hear(AMAZON, msgspec.structs.replace(order("A-2", world.now, MUG=1), fulfilled_by_channel=True))
        assert world.level("MUG") == (10, 0, 0, 0)
        assert world.tasks() == []

    def test_S1_12_a_web_line_without_a_variant_is_no_stock_and_no_task(self, world: World) -> None:
        tip = LineSeen("tip", (), 1, title="Tip")
        world.hear(SHOP, order("W-1", world.now, lines=[line(1), tip]))
        assert world.level("MUG") == (10, 1, 0, 0)
        assert world.tasks() == []

    def test_S1_12_a_digital_line_takes_no_piece(self, world: World) -> None:
        world.hear(ETSY, order("T-1", world.now, lines=[line(1, needs_shipping=False)]))
        assert world.level("MUG") == (10, 0, 0, 0)


class TestStates:
    """The rows of S5 that facts can make; rows of our own moves are unit tests of the table."""

    def test_pending_is_reserved_and_paid_is_committed(self, world: World) -> None:
        sold = order("A-1", world.now, paid=False, MUG=1)
        world.hear(AMAZON, sold)
        assert (world.line(AMAZON, "A-1"), world.level("MUG")) == ("P", (10, 0, 1, 0))
        world.hear(AMAZON, msgspec.structs.replace(sold, payment=Payment.PAID, updated_at=from_us(world.tick())))
        assert (world.line(AMAZON, "A-1"), world.level("MUG")) == ("O", (10, 1, 0, 0))

    def test_S5_3_a_cancelled_oversold_line_frees_nothing_physical(self, world: World) -> None:
        sold = order("E-1", world.now, CUP=4)
        world.hear(EBAY, sold)
        assert (world.k("CUP"), world.level("CUP")[0]) == (-1, 3)
        world.hear(EBAY, msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.tick())))
        assert (world.k("CUP"), world.level("CUP")[0]) == (3, 3)
        assert world.tasks("short_line") == []

    def test_S5_1_an_unpaid_order_never_expires_by_time(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=1))
        world.tick(21 * 86_400)
        world.complete()
        assert world.level("MUG") == (10, 0, 1, 0)

    def test_FC_F15_payment_that_failed_gives_the_pieces_back(self, world: World) -> None:
        sold = order("E-1", world.now, paid=False, MUG=1)
        world.hear(EBAY, sold)
        world.hear(EBAY, msgspec.structs.replace(sold, payment=Payment.FAILED, updated_at=from_us(world.tick())))
        assert (world.line(EBAY, "E-1"), world.level("MUG")) == ("C", (10, 0, 0, 0))

    def test_S5_3_a_partial_cancel_gives_back_only_those_pieces(self, world: World) -> None:
        sold = order("T-1", world.now, MUG=3)
        world.hear(ETSY, sold)
        world.hear(ETSY, changed(sold, world.tick(), cancelled_pieces=1))
        assert (world.line(ETSY, "T-1"), world.level("MUG")) == ("O", (10, 2, 0, 0))

    def test_S5_2_an_order_of_unequal_lines_is_partial(self, world: World) -> None:
        sold = order("T-1", world.now, MUG=1, CUP=1)
        world.hear(ETSY, sold)
        world.hear(ETSY, changed(sold, world.tick(), cancelled_pieces=1))
        assert world.order(ETSY, "T-1") == "PARTIAL"

    def test_a_revived_order_takes_its_pieces_again(self, world: World) -> None:
        sold = order("W-1", world.now, MUG=2)
        world.hear(SHOP, sold)
        world.hear(SHOP, msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.tick())))
        assert world.level("MUG") == (10, 0, 0, 0)
        world.hear(SHOP, msgspec.structs.replace(sold, updated_at=from_us(world.tick())))
        assert (world.line(SHOP, "W-1"), world.level("MUG")) == ("O", (10, 2, 0, 0))

    def test_a_cancel_that_crossed_the_parcel_keeps_the_order_shipped(self, world: World) -> None:
        order_id = world.hub.sell(world.now, MUG=1)
        world.hub.fulfil(world.tick(60), order_id)
        world.hub.cancel(world.tick(1), order_id)
        world.hub_news()
        assert (world.line(SHOP, order_id), world.level("MUG")) == ("S", (9, 0, 0, 0))

    def test_a_line_shipped_after_its_cancel_is_shipped_and_alerts(self, world: World) -> None:
        sold = order("E-1", world.now, MUG=1)
        world.hear(EBAY, sold)
        world.hear(EBAY, msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.tick())))
        world.hear(EBAY, changed(sold, world.tick(), shipped=1))
        assert world.line(EBAY, "E-1") == "S"
        assert world.tasks() == ["shipped_after_cancel"]

    def test_a_release_that_was_cancelled_asks_to_stop_the_parcel(self, world: World) -> None:
        sold = order("E-1", world.now, MUG=1)
        world.hear(EBAY, sold)
        world.rows("UPDATE order_line SET state = 'R' WHERE account_id = 3 RETURNING 1")
        world.hear(EBAY, msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.tick())))
        assert world.tasks() == ["stop_the_parcel"]
        assert world.level("MUG") == (10, 0, 0, 0)

    def test_S10_6_shipped_at_the_marketplace_keeps_its_pieces_committed_until_the_hub_fulfils(
        self, world: World
    ) -> None:
        sold = order("E-1", world.now, MUG=1)
        world.hear(EBAY, sold)
        world.run_hub()
        world.hub_news()
        world.hear(EBAY, changed(sold, world.tick(60), shipped=1))
        assert (world.line(EBAY, "E-1"), world.level("MUG")) == ("S", (10, 1, 0, 0))
        (copy_id,) = world.hub.orders
        world.hub.fulfil(world.tick(60), copy_id)
        world.hub_news()
        assert (world.line(EBAY, "E-1"), world.level("MUG")) == ("S", (9, 0, 0, 0))
        check(world)

    def test_S10_6_first_heard_when_shipped_it_is_still_imported(self, world: World) -> None:
        sold = changed(order("E-1", world.now, MUG=1), world.now + SECOND, shipped=1)
        world.tick(5)
        world.hear(EBAY, sold)
        assert (world.line(EBAY, "E-1"), world.level("MUG")) == ("S", (10, 1, 0, 0))
        world.run_hub()
        assert world.row("MUG") == "10/9/1/0"

    def test_S5_4_a_refund_without_cancel_moves_no_stock(self, world: World) -> None:
        order_id = world.hub.sell(world.now, MUG=1)
        world.hub_news()
        world.hub.pay(world.tick(), order_id)
        world.hub_news()
        assert world.level("MUG") == (10, 1, 0, 0)


class TestParcels:
    @pytest.fixture
    def world(self, store: Store) -> World:
        world = World(store)
        world.item("MUG", L1=6, L2=4)
        return world.open()

    def test_S5_7_without_a_word_a_line_stands_where_most_is_available(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, MUG=3))
        world.hear(EBAY, order("E-2", world.now, MUG=1))
        assert [world.line(EBAY, o, "location_id") for o in ("E-1", "E-2")] == ["L1", "L2"]

    def test_S5_7_the_hubs_word_goes_before_the_rule(self, world: World) -> None:
        world.hub.sell(world.now, "L2", MUG=1)
        world.hub_news()
        assert (world.k("MUG", "L1"), world.k("MUG", "L2")) == (6, 3)

    def test_S5_7_a_later_word_moves_what_is_committed_and_k_stays(self, world: World) -> None:
        order_id = world.hub.sell(world.now, "L1", MUG=2)
        world.hub_news()
        world.hub.move_line(world.tick(60), order_id, f"{order_id}-MUG", "L2")
        world.hub_news()
        assert (world.k("MUG", "L1"), world.k("MUG", "L2"), world.k("MUG")) == (6, 2, 8)
        assert len(world.entries("alloc:")) == 2
        check(world)

    def test_S5_7_the_copys_word_moves_the_marketplace_line(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, MUG=2))
        world.run_hub()
        (copy_id,) = world.hub.orders
        world.hub.move_line(world.tick(60), copy_id, world.hub.orders[copy_id].lines[0].line_id, "L2")
        world.hub_news()
        assert world.line(EBAY, "E-1", "location_id") == "L2"
        assert (world.k("MUG", "L1"), world.k("MUG", "L2")) == (6, 2)
        assert world.read("MUG").echoes == 2

    def test_S10_6_a_parcel_leaves_from_where_it_was_packed(self, store: Store) -> None:
        world = World(store, says_location=False)
        world.item("MUG", L1=6, L2=4)
        world.open()
        order_id = world.hub.sell(world.now, "L2", MUG=1)
        world.hub_news()
        assert world.line(SHOP, order_id, "location_id") == "L1"
        world.hub.fulfil(world.tick(60), order_id)
        world.hub_news()
        assert world.level("MUG", "L1") == (6, 0, 0, 0)
        assert world.level("MUG", "L2") == (3, 0, 0, 0)
        check(world)

    def test_FC_F08_two_parcels_of_one_order_count_by_their_pieces(self, world: World) -> None:
        order_id = world.hub.sell(world.now, MUG=3)
        world.hub.fulfil(world.tick(60), order_id, MUG=1)
        world.hub_news()
        assert (world.line(SHOP, order_id), world.level("MUG")) == ("O", (9, 2, 0, 0))
        world.hub.fulfil(world.tick(60), order_id, MUG=2)
        world.hub_news()
        assert (world.line(SHOP, order_id), world.level("MUG")) == ("S", (7, 0, 0, 0))

    def test_S10_5_a_cancelled_fulfilment_puts_its_pieces_back_and_the_line_is_open_again(self, world: World) -> None:
        order_id = world.hub.sell(world.now, MUG=2)
        shipment_id = world.hub.fulfil(world.tick(60), order_id)
        world.hub_news()
        world.hub.cancel_fulfilment(world.tick(60), order_id, shipment_id)
        world.hub_news()
        assert (world.line(SHOP, order_id), world.level("MUG")) == ("O", (10, 2, 0, 0))
        check(world)

    def test_S10_5_the_marketplace_that_was_told_of_it_is_a_persons_task(self, world: World) -> None:
        sold = order("E-1", world.now, MUG=1)
        world.hear(EBAY, sold)
        world.run_hub()
        (copy_id,) = world.hub.orders
        shipment_id = world.hub.fulfil(world.tick(60), copy_id)
        world.hub_news()
        world.hear(EBAY, changed(sold, world.tick(1), shipped=1))
        world.hub.cancel_fulfilment(world.tick(60), copy_id, shipment_id)
        world.hub_news()
        assert world.tasks() == ["fulfilment_cancelled"]
        assert (world.line(EBAY, "E-1"), world.level("MUG")) == ("S", (10, 1, 0, 0))

    def test_S5_4_a_return_to_another_location_lands_there(self, world: World) -> None:
        order_id = world.hub.sell(world.now, "L1", MUG=1)
        world.hub.fulfil(world.tick(60), order_id)
        world.hub.orders[order_id].lines[0].location_id = "L2"
        world.hub.take_back(world.tick(60), order_id, f"{order_id}-MUG", 1)
        world.hub_news()
        assert (world.level("MUG", "L1"), world.level("MUG", "L2")) == ((5, 0, 0, 0), (5, 0, 0, 0))

    def test_an_order_of_a_disconnected_account_still_leaves_the_shelf(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, MUG=1))
        world.run_hub()
        world.hub_news()
        world.rows("UPDATE account SET state = 'DISCONNECTED' WHERE account_id = 3 RETURNING 1")
        (copy_id,) = world.hub.orders
        world.hub.fulfil(world.tick(60), copy_id)
        world.hub_news()
        assert world.level("MUG") == (9, 0, 0, 0)
        check(world)


class TestCopies:
    """S5.5, S5.6 and S14.2: what happens on the hub copy happens to the order, and the other way round."""

    @pytest.fixture
    def world(self, store: Store) -> World:
        world = World(store)
        world.item("MUG", 10)
        world.open()
        self.sold = order("E-1", world.now, MUG=3)
        world.hear(EBAY, self.sold)
        world.run_hub()
        world.hub_news()
        (self.copy_id,) = world.hub.orders
        self.line_id = world.hub.orders[self.copy_id].lines[0].line_id
        return world

    def test_FC_C02_the_copy_is_no_second_sale(self, world: World) -> None:
        assert world.level("MUG") == (10, 3, 0, 0)
        assert world.order(SHOP, self.copy_id, "standing") == "copy"

    def test_S5_5_pieces_removed_in_the_hub_are_free_again_and_the_marketplace_is_a_task(self, world: World) -> None:
        world.hub.remove(world.tick(60), self.copy_id, self.line_id, 1)
        world.hub_news()
        assert world.level("MUG") == (10, 2, 0, 0)
        assert world.tasks() == ["tell_marketplace"]
        assert world.plan_correction() is None, "it was taken off there already"

    def test_S5_5_the_marketplaces_own_cancel_answers_that_task(self, world: World) -> None:
        world.hub.remove(world.tick(60), self.copy_id, self.line_id, 1)
        world.hub_news()
        world.hear(EBAY, changed(self.sold, world.tick(60), cancelled_pieces=1))
        assert world.level("MUG") == (10, 2, 0, 0)
        assert world.tasks() == []

    def test_S5_5_removed_without_restock_is_an_edit_beside(self, world: World) -> None:
        world.hub.remove(world.tick(60), self.copy_id, self.line_id, 1, restock=False)
        world.hub_news()
        world.read("MUG")
        world.to_rest()
        assert world.level("MUG") == (9, 2, 0, 0)
        check_at_rest(world, {"MUG": 2})

    def test_S5_6_a_whole_cancel_cancels_the_copy(self, world: World) -> None:
        world.hear(EBAY, msgspec.structs.replace(self.sold, cancelled=True, updated_at=from_us(world.tick(60))))
        world.run_hub()
        assert world.hub.orders[self.copy_id].cancelled
        assert world.row("MUG") == "10/10/0/0"
        world.to_rest()
        check_at_rest(world, {})

    def test_S5_6_a_partial_cancel_takes_its_pieces_off_the_copy_once(self, world: World) -> None:
        world.hear(EBAY, changed(self.sold, world.tick(60), cancelled_pieces=1))
        world.run_hub()
        assert world.row("MUG") == "10/8/2/0"
        world.hear(EBAY, changed(self.sold, world.tick(60), cancelled_pieces=1))
        world.run_hub()
        assert world.row("MUG") == "10/8/2/0", "its own news is still to come"
        world.to_rest()
        assert world.row("MUG") == "10/8/2/0"
        check_at_rest(world, {"MUG": 2})

    def test_S5_6_two_cancels_in_a_row_take_two_pieces(self, world: World) -> None:
        world.hear(EBAY, changed(self.sold, world.tick(60), cancelled_pieces=1))
        world.run_hub()
        world.hear(EBAY, changed(self.sold, world.tick(60), cancelled_pieces=2))
        world.to_rest()
        assert world.row("MUG") == "10/9/1/0"
        assert world.tasks() == []
        check_at_rest(world, {"MUG": 1})

    def test_S5_6_the_copys_news_may_come_before_the_answer_of_the_correction(self, world: World) -> None:
        world.hear(EBAY, changed(self.sold, world.tick(60), cancelled_pieces=1))
        call = world.plan_correction()
        outcome = world.do(call)
        world.hub_news()
        world.hear(EBAY, changed(self.sold, world.tick(60), cancelled_pieces=2))
        world.settle(call, outcome)
        world.to_rest()
        assert world.row("MUG") == "10/9/1/0"
        check_at_rest(world, {"MUG": 1})

    def test_a_cancel_takes_the_orders_pieces_off_and_leaves_the_merchants(self, world: World) -> None:
        world.hub.add(world.tick(60), self.copy_id, self.line_id, 1)
        world.hub_news()
        world.hear(EBAY, changed(self.sold, world.tick(60), cancelled_pieces=1))
        world.to_rest()
        assert world.row("MUG") == "10/7/3/0", "two of the order's and one of his"
        assert world.k("MUG") == 7

    def test_S5_5_what_the_marketplace_cancelled_before_the_import_and_he_removes_after_it_are_two_pieces(
        self, store: Store
    ) -> None:
        world = World(store)
        world.item("MUG", 10)
        world.open()
        world.hear(EBAY, changed(order("E-1", world.now, MUG=3), world.now, cancelled_pieces=1))
        world.run_hub()
        (copy_id,) = world.hub.orders
        world.hub.remove(world.tick(60), copy_id, world.hub.orders[copy_id].lines[0].line_id, 1)
        world.hub_news()
        assert (world.level("MUG"), world.row("MUG")) == ((10, 1, 0, 0), "10/9/1/0")
        check(world)

    def test_S5_6_a_cancel_of_the_whole_is_asked_for_once(self, world: World) -> None:
        gone = msgspec.structs.replace(self.sold, cancelled=True, updated_at=from_us(world.tick(60)))
        world.hear(EBAY, gone)
        world.run_hub()
        world.hear(EBAY, msgspec.structs.replace(gone, updated_at=from_us(world.tick(60))))
        assert world.plan_correction() is None

    def test_S5_6_of_an_order_whose_parcel_has_left_the_open_pieces_are_taken_off(self, world: World) -> None:
        """Found by the simulator: Shopify does not cancel an order with a fulfilled line, and the rest stayed committed there for ever."""
        world.hub.fulfil(world.tick(60), self.copy_id, MUG=1)
        world.hub_news()
        world.hear(EBAY, changed(self.sold, world.tick(60), cancelled_pieces=2))
        world.to_rest()
        assert world.row("MUG") == "9/9/0/0" and world.line(EBAY, "E-1", "shipped") == 1
        assert [kind for kind in world.tasks() if "cancel_copy" in str(kind)] == []

    def test_S5_6_the_same_where_the_cancel_was_asked_before_the_parcel_was_heard_of(self, world: World) -> None:
        world.hub.fulfil(world.tick(60), self.copy_id, MUG=1)
        world.hear(EBAY, changed(self.sold, world.tick(60), cancelled_pieces=3))
        world.carry_out(world.plan_correction())
        assert [kind for kind in world.tasks() if "cancel_copy" in str(kind)] != []
        world.hub_news()
        world.to_rest()
        assert world.row("MUG") == "9/9/0/0"
        assert [kind for kind in world.tasks() if "cancel_copy" in str(kind)] == []

    def test_what_the_merchant_added_and_took_back_is_no_cancel(self, world: World) -> None:
        world.hub.add(world.tick(60), self.copy_id, self.line_id, 1)
        world.hub_news()
        world.hub.remove(world.tick(60), self.copy_id, self.line_id, 1)
        world.hub_news()
        assert (world.line(EBAY, "E-1", "cancelled"), world.tasks()) == (0, [])

    def test_pieces_added_to_the_copy_are_the_merchants_and_are_not_taken_off_again(self, world: World) -> None:
        world.hub.add(world.tick(60), self.copy_id, self.line_id, 1)
        world.hub_news()
        assert world.plan_correction() is None
        assert world.line(EBAY, "E-1", "ordered") == 3
        world.to_rest()
        assert world.k("MUG") == 6
        check(world)

    def test_I6_a_second_copy_is_a_persons_task(self, world: World) -> None:
        world.hear(
            SHOP,
            msgspec.structs.replace(world.hub.snapshot(self.copy_id), order_id="9999"),
        )
        assert world.tasks() == ["second_copy"]
        assert world.level("MUG") == (10, 3, 0, 0)

    def test_FC_E05_a_copy_made_by_somebody_else_pairs_each_line_once(self, store: Store) -> None:
        world = World(store)
        world.item("MUG", 10)
        world.open()
        two = [LineSeen("l1", ("sku:MUG",), 1, sku="MUG"), LineSeen("l2", ("sku:MUG",), 2, sku="MUG")]
        world.hear(EBAY, order("E-1", world.now, lines=two))
        theirs = [LineSeen("h1", ("sku:MUG",), 2, sku="MUG"), LineSeen("h2", ("sku:MUG",), 1, cancelled=1, sku="MUG")]
        world.tick(60)
        world.hear(
            SHOP,
            order(
                "77",
                world.now,
                lines=theirs,
            ),
        )
        world.hear(
            SHOP,
            msgspec.structs.replace(order("78", world.now, lines=theirs), copy_of_key=key_of(EBAY, "E-1")),
        )
        states = world.rows("SELECT line_id, state, cancelled FROM order_line WHERE account_id = 3 ORDER BY line_id")
        assert states == [("l1", "C", 1), ("l2", "O", 0)]

    def test_S14_2_a_hub_order_that_names_its_source_only_later_gives_its_pieces_to_it(self, store: Store) -> None:
        world = World(store)
        world.item("MUG", 10)
        world.open()
        world.hear(EBAY, order("E-1", world.now, MUG=1))
        theirs = order("77", world.tick(5), MUG=1)
        world.hear(SHOP, theirs)
        assert world.level("MUG") == (10, 2, 0, 0)
        named = msgspec.structs.replace(theirs, copy_of_key=key_of(EBAY, "E-1"), updated_at=from_us(world.tick(5)))
        world.hear(SHOP, named)
        assert world.level("MUG") == (10, 1, 0, 0)
        assert world.order(EBAY, "E-1", "hub_order_id") == "77"
        check(world)

    def test_a_hub_order_of_which_a_parcel_has_left_takes_it_off_the_shelf_once(self, store: Store) -> None:
        world = World(store)
        world.item("MUG", 10)
        world.open()
        world.hear(EBAY, order("E-1", world.now, MUG=1))
        hub_id = world.hub.sell(world.tick(5), MUG=1)
        world.hub.fulfil(world.tick(5), hub_id)
        world.hub_news()
        world.hub.orders[hub_id].copy_of_key = key_of(EBAY, "E-1")
        world.hub.pay(world.tick(5), hub_id)
        world.hub_news()
        assert world.level("MUG")[0] == 9
        check(world)


class TestTime:
    def test_S6_3_a_purchase_in_the_future_is_taken_as_received_now_and_flagged(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now + 3600 * SECOND, MUG=1))
        assert (world.order(EBAY, "E-1", "placed_at"), world.order(EBAY, "E-1", "placed_note")) == (
            world.now,
            "clamped",
        )

    def test_S6_3_what_is_future_is_by_the_channels_clock_where_ours_is_behind(self, world: World) -> None:
        """Found by the simulator: with a clock five minutes behind, a sale lay before the read that it came after, and the proof that a
        number had landed stood though the sale had only made it look so."""
        sql = "INSERT INTO channel_window (tenant_id, account_id, notice, publish, grace, absolute, ahead, measured_at) VALUES (1, :a, 0, 0, 0, 1, :n, 0) RETURNING 1"
        world.rows(sql, a=EBAY, n=300 * SECOND)
        world.hear(EBAY, order("E-1", world.now + 299 * SECOND, MUG=1), order("E-2", world.now + 3600 * SECOND, MUG=1))
        placed = [
            (world.order(EBAY, name, "placed_at"), world.order(EBAY, name, "placed_note")) for name in ("E-1", "E-2")
        ]
        assert placed == [(world.now + 299 * SECOND, ""), (world.now + 302 * SECOND, "clamped")]

    def test_S6_3_without_a_time_it_counts_from_its_arrival_until_the_channel_says(self, world: World) -> None:
        sold = order("E-1", world.now, MUG=1)
        arrived = world.tick(90)
        world.hear(EBAY, msgspec.structs.replace(sold, placed_at=None))
        assert (world.order(EBAY, "E-1", "placed_at"), world.order(EBAY, "E-1", "placed_note")) == (arrived, "missing")
        world.hear(EBAY, msgspec.structs.replace(sold, updated_at=from_us(world.tick())))
        assert world.order(EBAY, "E-1", "placed_note") == ""
        assert world.line(EBAY, "E-1", "placed_s") * SECOND == arrived - 90 * SECOND

    def test_S4_3_an_order_without_update_times_goes_by_when_it_was_fetched(self, world: World) -> None:
        sold = msgspec.structs.replace(order("E-1", world.now, MUG=1), updated_at=None)
        world.hear(EBAY, sold)
        world.tick()
        world.hear(EBAY, msgspec.structs.replace(sold, lines=(line(2),)))
        assert world.level("MUG") == (10, 2, 0, 0)


class TestShortNotices:
    """Snapshots without money (`complete` False): enough to hold stock."""

    def test_a_short_notice_holds_stock_and_is_not_imported(self, world: World) -> None:
        world.hear(AMAZON, msgspec.structs.replace(order("A-1", world.now, MUG=1), complete=False, totals=None))
        assert world.level("MUG") == (10, 1, 0, 0)
        assert (world.plan_import(), world.tasks()) == (None, [])

    def test_an_older_whole_document_brings_its_money_and_not_its_counts(self, world: World) -> None:
        sold = order("A-1", world.now, MUG=3)
        world.hear(AMAZON, changed(sold, world.tick(60), cancelled_pieces=1, complete=False, totals=None))
        world.hear(AMAZON, sold)
        assert world.level("MUG") == (10, 2, 0, 0)
        assert world.order(AMAZON, "A-1", "total_minor") == 3000
        assert world.plan_import() is not None

    def test_a_newer_short_notice_does_not_take_the_money_away(self, world: World) -> None:
        sold = order("A-1", world.now, MUG=3)
        world.hear(AMAZON, sold)
        world.hear(AMAZON, changed(sold, world.tick(60), cancelled_pieces=1, complete=False, totals=None))
        assert world.level("MUG") == (10, 2, 0, 0)
        assert (world.order(AMAZON, "A-1", "complete"), world.order(AMAZON, "A-1", "total_minor")) == (1, 3000)

    def test_S14_5_more_ordered_by_a_short_notice_waits_for_its_price(self, world: World) -> None:
        sold = order("A-1", world.now, MUG=1)
        world.hear(AMAZON, sold, handled=True)
        notice = msgspec.structs.replace(
            sold, lines=(line(2),), updated_at=from_us(world.tick(60)), complete=False, totals=None
        )
        world.hear(AMAZON, notice)
        assert world.order(AMAZON, "A-1", "complete") == 0


class TestNonsense:
    @pytest.mark.parametrize(
        "bad",
        [{"ordered": -1}, {"ordered": 2_000_000_000}, {"cancelled": -1}, {"shipped": -3}],
        ids=["below 0", "beyond a thousand million", "cancelled below 0", "shipped below 0"],
    )
    def test_FC_B15_impossible_counts_are_parked_with_their_reason_and_stop_nothing(
        self, world: World, bad: dict[str, int]
    ) -> None:
        odd = order("E-1", world.now, lines=[msgspec.structs.replace(line(1), **bad)])
        world.hear(EBAY, odd, handled=False)
        world.hear(EBAY, order("E-2", world.now, MUG=1), handled=False)
        world.handle()
        assert world.level("MUG") == (10, 1, 0, 0)
        (state, note), *_ = world.rows("SELECT state, note FROM inbox ORDER BY seq")
        assert state == "PARKED" and "no count of pieces" in note
        assert world.tasks() == ["parked_message"]

    def test_one_line_told_twice_is_parked(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, lines=[line(1), line(1)]))
        assert world.tasks() == ["parked_message"]
        assert world.level("MUG") == (10, 0, 0, 0)

    def test_a_shipment_of_fewer_than_no_pieces_is_parked(self, world: World) -> None:
        parcel = ShipmentSeen("F1", datetime(2026, 11, 20, 15, tzinfo=UTC), {"MUG": -1})
        world.hear(SHOP, msgspec.structs.replace(order("W-1", world.now, MUG=1), shipments=(parcel,)))
        assert world.tasks() == ["parked_message"]

    def test_text_that_a_database_cannot_keep_is_parked_and_stops_nothing(self, world: World) -> None:
        world.hear(EBAY, order("E\x00-1", world.now, MUG=1), handled=False)
        world.hear(EBAY, order("E-2", world.now, MUG=1), handled=False)
        world.handle()
        assert world.line(EBAY, "E-2") == "O"
        check(world)

    def test_more_cancelled_than_ordered_holds_nothing(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, lines=[line(1, cancelled=2)]))
        assert (world.line(EBAY, "E-1"), world.level("MUG")) == ("C", (10, 0, 0, 0))

    def test_an_unknown_currency_holds_stock_all_the_same(self, world: World) -> None:
        odd = order("E-1", world.now, lines=[line(1, subtotal=Money(5, "XXX"))])
        world.hear(EBAY, odd)
        assert world.level("MUG") == (10, 1, 0, 0)

    def test_an_order_without_lines_is_kept(self, world: World) -> None:
        world.hear(EBAY, OrderSeen("E-1", Payment.PAID, (), from_us(world.now), from_us(world.now)))
        assert world.order(EBAY, "E-1") == "EMPTY"

    def test_a_message_that_is_no_json_is_parked(self, world: World) -> None:
        world.hear(EBAY, OrderHint("E-9"), handled=False)
        world.rows("UPDATE inbox SET body = :b RETURNING 1", b=b"\xff{")
        world.handle()
        assert world.tasks() == ["parked_message"]


class TestHints:
    def test_S9_1_a_hint_becomes_one_read(self, world: World) -> None:
        world.hear(AMAZON, OrderHint("A-1"))
        world.hear(AMAZON, OrderHint("A-1"))
        assert world.value("SELECT COUNT(*) FROM intent WHERE kind = 'fetch_order'") == 1
        assert world.level("MUG") == (10, 0, 0, 0)

    def test_a_hint_that_comes_while_its_order_is_being_read_asks_for_another_read(self, world: World) -> None:
        world.hear(AMAZON, OrderHint("A-1"))
        world.rows("UPDATE intent SET state = 'SENDING' WHERE kind = 'fetch_order' RETURNING 1")
        world.hear(AMAZON, OrderHint("A-1"))
        assert world.value("SELECT COUNT(*) FROM intent WHERE kind = 'fetch_order'") == 2
