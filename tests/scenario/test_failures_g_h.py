"""Failures of real systems, G: money, time, rounding; H: locations and bundles (docs/reference/failures.md)."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.scenario.engine import EBAY, TENANT, World, order
from tests.scenario.town import CHANNELS, Town, thing, town

from oneshelf.core.instants import to_us
from oneshelf.db.store import Store, transaction
from oneshelf.listings import policy


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 5)
    world.item("CUP", 4)
    world.open()
    world.tick(60)
    return world


def amazon_asks(there: Town, sku: str = "MUG") -> tuple[float, str]:
    """What Amazon's own books say that the seller asks."""
    offer = there.shops["amazon"].state()["offers"][sku]
    return offer["our_price"][0]["schedule"][0]["value_with_tax"], offer["currency"]


def test_FC_G03_a_price_is_told_in_another_currency_only_by_a_rate_that_somebody_gave(tmp_path: Path) -> None:
    """The shop asks in dollars, Amazon in pounds. 15.00 dollars are never 15.00 pounds: without a rate there is no price, in sight."""
    pounds = {"amazon": {"marketplace_ids": ("A1F83G8C2ARO7P",)}}
    with town(tmp_path, thing("MUG", 5, 1_200), channels=("shopify", "amazon"), switches=pounds) as there:
        began = amazon_asks(there)
        assert began[1] == "GBP"
        there.command("prices_follow", account_id=there.account["amazon"], yes=True, far=True)
        there.console("shopify", "set_price", sku="MUG", price_minor=1_500)
        there.wait()
        assert amazon_asks(there) == began
        assert [kind for kind, _, _ in there.tasks()] == ["no_price_to_follow"]
        there.command("rate", currency="GBP", rate="1.25", source="a bank")
        there.until(lambda: amazon_asks(there) == (12.0, "GBP"), "15.00 USD by the rate")
        there.until(lambda: there.tasks() == [], "nobody is asked any more")


@pytest.mark.parametrize(
    ("place", "start"),
    [
        ("Pacific/Kiritimati", datetime(2026, 11, 23, 9, 40, tzinfo=UTC)),  # +14: midnight is at 10:00
        ("Etc/GMT+12", datetime(2026, 11, 23, 11, 40, tzinfo=UTC)),  # -12: midnight is at 12:00
        ("Europe/Berlin", datetime(2026, 10, 25, 0, 40, tzinfo=UTC)),  # the hour from 02:00 to 03:00 comes twice
        ("America/New_York", datetime(2027, 3, 14, 6, 40, tzinfo=UTC)),  # the hour from 02:00 to 03:00 does not come
    ],
)
def test_FC_G06_wherever_the_machine_stands_no_order_is_lost_or_moved_by_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, start: datetime
) -> None:
    """Orders before, at and after midnight or the change of the clocks; half of them are only heard by polls."""
    monkeypatch.setenv("TZ", place)
    time.tzset()
    try:
        with town(tmp_path, thing("MUG", 60), start=start) as there:
            for n in range(6):
                there.faults.set("webhook_drop", n % 2 * 1.0)
                for channel in CHANNELS:
                    there.buy(channel, MUG=1)
                there.wait(600)
            there.wait(600)
            placed = {str(sale.order_id).rsplit("/", 1)[-1]: sale.placed_at for sale in there.emulation.world.sales}
            stored = dict(there.rows("SELECT order_id, placed_at FROM orders WHERE copy_key = ''"))
            assert stored.keys() == placed.keys() and len(stored) == 24
            assert max(abs(stored[one] - to_us(at)) for one, at in placed.items()) < 1_000_000
            kept = [sale for sale in there.emulation.world.sales if sale.cancelled_at is None]
            there.shows("MUG", 60 - len(kept))
            assert len(kept) >= 20 and there.tasks() == []
    finally:
        monkeypatch.undo()
        time.tzset()


def test_FC_G08_a_markdown_stops_at_the_margin_a_far_price_waits_and_0_is_never_told(tmp_path: Path) -> None:
    """12.00 that cost 8.00. Seventy per cent off would be a loss: the rule's margin of 10 % holds it at 8.80, and that waits for a yes."""
    goods = thing("MUG", 5, 1_200, cost_minor=800)
    with town(tmp_path, goods, channels=("shopify", "ebay")) as there:
        ebay = there.account["ebay"]

        def asked() -> int:
            return int(there.shops["ebay"].state()["prices"]["MUG"])

        there.command("prices_follow", account_id=ebay, yes=True)
        there.command("price_rule", price="shop - 70%", margin="10", yes=True)
        there.until(lambda: there.rows("SELECT state FROM price_slot") == [("QUIET",)], "its price is told", 900)
        held = asked()
        assert 800 < held < 1_200 and held >= 880, held
        there.console("shopify", "set_price", sku="MUG", price_minor=0)
        there.wait()
        assert asked() > 0
        assert all(b'"value":"0' not in one.body for one in there.writes("ebay"))
        there.console("shopify", "set_price", sku="MUG", price_minor=12_000)
        there.until(lambda: there.tasks("price_waits"), "a price ten times as high waits for a person")
        assert asked() == held


def test_FC_G09_ninety_per_cent_of_one_piece_is_none_and_the_others_sell_it(world: World) -> None:
    with transaction(world.store) as tx:
        policy.set_rule(tx, TENANT, EBAY, "", world.now, by="a test", safety_percent=90)
    assert world.offer(EBAY, "MUG") == 4
    world.hear(EBAY, order("E-1", world.now, MUG=4))
    assert world.k("MUG") == 1
    assert world.offers("MUG") == (1, 0, 1), "the others sell the last one"


# --- H -----------------------------------------------------------------------------------------------------------------


def test_FC_H01_open_orders_that_the_shop_has_taken_off_already_are_not_taken_off_again(tmp_path: Path) -> None:
    """Two of five are sold before we are connected: the shop calls three available, and says itself that two are committed."""

    def sold_before(there: Town) -> None:
        there.buy("shopify", MUG=2)
        there.wait(30)

    with town(tmp_path, thing("MUG", 5), channels=("shopify", "ebay"), before=sold_before) as there:
        there.shows("MUG", 3)
        assert there.level("MUG") == (5, 2, 0, 0)
        [web] = there.shops["shopify"].orders()
        there.console("shopify", "fulfil", order=web["gid"])
        there.until(lambda: there.level("MUG") == (3, 0, 0, 0), "they have left")
        there.wait(300)
        assert there.shown("MUG") == {"shopify": 3, "ebay": 3}
        there.true()


def two_rooms(there: Town) -> None:
    there.console("shopify", "add_location", name="Attic")
    there.console("shopify", "receive", sku="MUG", quantity=3, location="Attic")


def rooms(there: Town) -> dict[str, tuple[int, int]]:
    """On hand and committed by the room's name; the first one is "Main"."""
    found = there.rows(
        "SELECT l.name, s.on_hand, s.committed FROM stock_level s JOIN location l ON l.location_id = s.location_id "
        "WHERE s.sku = 'MUG'"
    )
    return {name.split()[0]: (on_hand, committed) for name, on_hand, committed in found}


def test_FC_H03_pieces_are_taken_from_the_room_that_the_order_names_and_no_other(tmp_path: Path) -> None:
    """One online number, two rooms. The shop says that the order leaves from the smaller one; the other's count is not touched."""
    with town(tmp_path, thing("MUG", 9), channels=("shopify", "ebay"), before=two_rooms) as there:
        there.shows("MUG", 12)
        order_id = there.buy("ebay", MUG=2)
        there.until(lambda: there.copies(), "it stands in the shop")
        there.wait(120)
        assert rooms(there) == {"Main": (9, 2), "Attic": (3, 0)}, "most of it lies there"
        there.console("shopify", "move_fulfilment_order", order=order_id, location="Attic")
        there.until(lambda: rooms(there) == {"Main": (9, 0), "Attic": (3, 2)}, "the order tells its room")
        there.console("shopify", "fulfil", order=order_id)
        there.until(lambda: rooms(there) == {"Main": (9, 0), "Attic": (1, 0)}, "it left from there")
        there.wait(300)
        assert there.shown("MUG") == {"shopify": 10, "ebay": 10}
        there.true()


def test_FC_H04_a_room_without_an_address_is_routed_by_what_is_known_and_says_what_is_not(tmp_path: Path) -> None:
    """Ours is to choose the room, nearest first. One has no address: nothing is computed from nothing, and the decision says so."""
    with town(tmp_path, thing("MUG", 9), channels=("shopify", "ebay"), before=two_rooms) as there:
        there.command("routing", router="oneshelf", criteria=["stock", "distance", "priority"])
        order_id = there.buy("ebay", MUG=1)
        there.until(lambda: there.copies(), "it stands in the shop")
        [(found, said)] = there.rows("SELECT places, said FROM route")
        assert list(json.loads(found).values()) == [there.value("SELECT location_id FROM location WHERE priority = 0")]
        by_name = {one["criterion"]: one for one in json.loads(said)["criteria"]}
        assert (by_name["distance"]["verdict"], by_name["priority"]["verdict"]) == ("unknown", "decided")
        assert by_name["distance"]["why"] == "the way to the buyer is not known from every location that is left"
        assert state_of(there, order_id) in ("O", "R"), "and it is sent"
        with pytest.raises(Exception, match="country code"):
            there.command("location", location="Attic", country="Germany")


def state_of(there: Town, order_id: str) -> str:
    return str(there.value("SELECT state FROM order_line WHERE order_id = :o", o=order_id))


def test_FC_H05_a_bundle_of_the_shop_and_its_parts_never_promise_a_piece_twice(tmp_path: Path) -> None:
    """SET is two mugs and a cup. Sold as a set or piece by piece, on whatever channel: it shows what the scarcest part allows."""
    with town(
        tmp_path,
        thing("MUG", 5),
        thing("CUP", 3),
        thing("SET", 0, 3_500),
        channels=("shopify", "ebay", "etsy"),
        before=lambda there: there.console("shopify", "set_components", sku="SET", components={"MUG": 2, "CUP": 1}),
    ) as there:
        there.until(lambda: there.shops["ebay"].shown("SET") == 2, "two sets can be made of five mugs", 7_200)
        there.buy("ebay", SET=1)
        there.shows("MUG", 3)
        there.shows("CUP", 2)
        there.until(lambda: there.shops["etsy"].shown("SET") == 1, "three mugs are one set")
        assert (there.level("MUG")[:2], there.level("CUP")[:2]) == ((5, 2), (3, 1))
        there.buy("etsy", CUP=2)
        there.until(lambda: there.shops["ebay"].shown("SET") == 0 == there.shops["etsy"].shown("SET"), "no cup, no set")
        there.shows("MUG", 3)
        there.true()


def test_FC_H06_a_held_bundle_takes_its_parts_once(world: World) -> None:
    """Unpaid, paid, imported: at each step every part is short by what was sold, and the bundle shows all that is left."""
    world.list(EBAY, "SET", {"MUG": 1, "CUP": 2})
    assert world.offer(EBAY, "SET") == 2
    placed = order("E-1", world.now, paid=False, SET=1)
    world.hear(EBAY, placed)
    seen = []
    for paid in (False, True):
        if paid:
            world.hear(EBAY, order("E-1", world.now, paid=True, updated=world.tick(5), SET=1))
        world.run_hub()
        seen.append((world.k("MUG"), world.k("CUP"), world.offer(EBAY, "SET")))
    assert seen == [(4, 2, 1), (4, 2, 1)]
