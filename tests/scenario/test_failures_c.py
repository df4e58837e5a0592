"""Failures of real systems, C: echo and propagation (docs/reference/failures.md)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scenario.engine import EBAY, World, changed, order
from tests.scenario.invariants import check
from tests.scenario.town import NUMBER_WRITES, OFTEN_S, Town, sent, thing, town

from oneshelf.core.http import Request
from oneshelf.db.store import Store


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 5)
    world.item("CUP", 4)
    world.open()
    world.tick(60)
    return world


def test_FC_C01_one_change_is_one_write_a_channel_and_its_echoes_are_none(tmp_path: Path) -> None:
    """Four pieces come; every channel notifies of its new number, also of the ones that we wrote. Then hours of silence."""
    with town(tmp_path, thing("MUG", 5)) as there:
        there.calls.clear()
        heard = there.value("SELECT COUNT(*) FROM inbox WHERE source IN ('webhook', 'queue')")
        there.console("shopify", "receive", sku="MUG", quantity=4)
        there.shows("MUG", 9)
        there.wait(3 * 3_600)
        numbers = [len(there.writes(channel, *NUMBER_WRITES)) for channel in ("amazon", "ebay", "etsy")]
        assert numbers == [1, 1, 1]
        assert {one.operation for one in there.writes("shopify")} <= {"StartExport", "oauth_token"}
        assert there.value("SELECT COUNT(*) FROM inbox WHERE source IN ('webhook', 'queue')") > heard
        assert there.rows("SELECT on_hand FROM ledger_entry WHERE reason <> 'first count' AND on_hand <> 0") == [(4,)]
        there.true()


def test_FC_C05_a_poll_after_the_parcel_left_does_not_undo_it(world: World) -> None:
    """The poll brings the order as the marketplace still knows it, unshipped and with a newer instant."""
    placed = order("E-1", world.now, MUG=1)
    world.hear(EBAY, placed)
    world.to_rest()
    copy_id = world.order(EBAY, "E-1", "hub_order_id")
    world.hub.fulfil(world.tick(60), copy_id, MUG=1)
    world.hub_news()
    assert (world.line(EBAY, "E-1"), world.level("MUG")) == ("S", (4, 0, 0, 0))
    world.tick(60)
    world.hear(EBAY, changed(placed, world.now), source="poll")
    assert (world.line(EBAY, "E-1"), world.level("MUG")) == ("S", (4, 0, 0, 0))
    check(world)


def test_FC_C07_a_channel_that_did_not_take_the_number_is_told_again_although_nothing_changed_since(
    tmp_path: Path,
) -> None:
    with town(tmp_path, thing("MUG", 5)) as there:
        there.faults.set("error_500", 1.0, "ebay")
        there.buy("etsy", MUG=1)
        there.shows("MUG", 4, "shopify", "amazon", "etsy", within_s=300)
        there.wait(600)
        assert there.shown("MUG")["ebay"] == 5
        there.faults.set("error_500", 0.0, "ebay")
        there.shows("MUG", 4, within_s=600)
        there.true()


def two_rooms(there: Town) -> None:
    there.console("shopify", "add_location", name="Attic")
    there.console("shopify", "receive", sku="MUG", quantity=3, location="Attic")


def test_FC_C08_what_one_location_took_is_not_taken_for_what_the_other_took(tmp_path: Path) -> None:
    """Both rooms are counted; the shop's answer about the first is an error, the second is taken. Each is done once, by itself."""
    with town(tmp_path, thing("MUG", 5), channels=("shopify", "ebay"), before=two_rooms) as there:
        places = dict(there.rows("SELECT name, location_id FROM location"))
        first, attic = places.pop(next(name for name in places if name != "Attic")), places["Attic"]
        to_fail = ["SetQuantities"]

        def fail_once(channel: str, request: Request) -> None:
            if request.operation in to_fail:
                there.faults.arm("error_500", "shopify")
                to_fail.clear()

        there.net.before_write = fail_once
        there.calls.clear()
        there.command("count", sku="MUG", location=first, quantity=7)
        there.command("count", sku="MUG", location=attic, quantity=1)

        def on_hand() -> dict[str, int]:
            return dict(there.rows("SELECT location_id, on_hand FROM stock_level WHERE sku = 'MUG'"))

        there.until(lambda: on_hand() == {first: 5, attic: 1}, "the attic alone is done")
        there.until(lambda: on_hand() == {first: 7, attic: 1}, "the other is told again", within_s=600)
        assert len(there.writes("shopify", "SetQuantities")) == 3
        there.shows("MUG", 8)
        there.true()


def test_FC_C09_a_correction_that_never_holds_ends_with_a_person(tmp_path: Path) -> None:
    """Another program writes 9 whenever eBay shows 5. Twice it is repaired, then we stop, and say that somebody else writes there."""
    with town(tmp_path, thing("MUG", 5), channels=("shopify", "ebay")) as there:
        there.calls.clear()
        for _ in range(16):
            there.wait(900)
            if there.shown("MUG")["ebay"] == 5:
                there.console("ebay", "set_quantity", sku="MUG", quantity=9)
        assert [subject for _, subject, _ in there.tasks("someone_else_writes")] != []
        assert len(there.writes("ebay", "bulkUpdatePriceQuantity")) == 2
        assert there.level("MUG") == (5, 0, 0, 0), "a number typed at a channel is no stock"


def test_FC_C10_stock_is_followed_by_its_own_topic_and_by_reading_never_by_the_products(tmp_path: Path) -> None:
    """A purchase fires the stock's webhook and the orders', no product's. Without the stock's an edit is found by the next export."""
    with town(tmp_path, thing("MUG", 5), channels=("shopify", "ebay"), looks_s=OFTEN_S) as there:
        topics = {one["topic"] for one in there.shops["shopify"].state()["subscriptions"]}
        assert {"INVENTORY_LEVELS_UPDATE", "ORDERS_CREATE", "ORDERS_UPDATED"} <= topics
        there.console("shopify", "delete_subscription", topic="PRODUCTS_UPDATE")
        there.buy("shopify", MUG=1)
        there.shows("MUG", 4, within_s=10)
        there.console("shopify", "set_on_hand", sku="MUG", quantity=8)
        there.shows("MUG", 7, within_s=180)
        for topic in topics:
            there.console("shopify", "delete_subscription", topic=topic)
        there.console("shopify", "set_on_hand", sku="MUG", quantity=3)
        there.wait(10)
        assert there.shown("MUG")["ebay"] == 7
        there.shows("MUG", 2, within_s=1_200)


def test_FC_C12_all_numbers_at_once_are_those_of_the_moment_and_put_no_sold_piece_back(tmp_path: Path) -> None:
    """eBay is paused while pieces sell everywhere, then told all its numbers at once, while more are sold."""
    goods = [thing(f"M{n:02}", 5) for n in range(30)]
    with town(tmp_path, *goods, channels=("shopify", "ebay", "etsy")) as there:
        there.command("pause", account_id=there.account["ebay"])
        for one in goods:
            there.buy("etsy", **{one.sku: 1})
            there.buy("ebay", **{one.sku: 1})
        there.wait(300)
        there.calls.clear()
        late = [one.sku for one in goods[10:20]]

        def sell_one(channel: str, request: Request) -> None:
            if late and channel == "ebay" and request.operation == "bulkUpdatePriceQuantity":
                there.buy("shopify", **{late.pop(): 1})

        there.net.before_write = sell_one
        there.command("resume", account_id=there.account["ebay"])
        there.wait(600)
        told: dict[str, list[int]] = {}
        for request in there.writes("ebay", "bulkUpdatePriceQuantity"):
            for one in sent(request)["requests"]:
                told.setdefault(one["sku"], []).append(one["shipToLocationAvailability"]["quantity"])
        assert {number for numbers in told.values() for number in numbers} <= {3, 2}
        left = {one.sku: 2 if one.sku in {f"M{n}" for n in range(10, 20)} - set(late) else 3 for one in goods}
        assert {one.sku: there.shown(one.sku)["ebay"] for one in goods} == left
        there.true()
