"""What leaves the shelf is told to its marketplace: once, whole, and read before any retry (SEMANTICS 10)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.scenario.engine import AMAZON, EBAY, ETSY, SHOP, TENANT, World, changed, key_of, order
from tests.scenario.fake_market import SHIPS, FakeMarket
from tests.scenario.invariants import check, check_shipments

from oneshelf.channels.abilities import ShipAbility, ShipmentTold
from oneshelf.core.facts import LineSeen, ShipmentSeen
from oneshelf.core.instants import SECOND, from_us
from oneshelf.core.outcome import Rejected, Throttled, Unknown
from oneshelf.db.store import Store, transaction
from oneshelf.orders import intents
from oneshelf.shipping import deadlines, telling
from oneshelf.tenants.accounts import change_setting


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 20)
    world.item("CUP", 20)
    return world.open()


@pytest.fixture
def market(world: World) -> FakeMarket:
    return FakeMarket(world)


def sell(world: World, account_id: int, order_id: str, **pieces: Any) -> str:
    """A paid order, imported; returns its hub order."""
    world.hear(account_id, order(order_id, world.now, **pieces))
    world.run_hub()
    world.hub_news()
    return str(world.order(account_id, order_id, "hub_order_id"))


def fulfil(world: World, hub_order: str, number: str | None = "1Z 99", **pieces: int) -> str:
    shipment = world.hub.fulfil(world.tick(60), hub_order, **pieces)
    if number:
        world.hub.track(world.tick(), hub_order, shipment, number)
    world.hub_news()
    return shipment


def states(world: World) -> list[str]:
    return [s for (s,) in world.rows("SELECT state FROM shipment ORDER BY shipped_at, shipment_id, line_id")]


class TestTold:
    def test_S10_1_a_fulfilment_is_told_with_units_carrier_and_number(self, world: World, market: FakeMarket) -> None:
        shipment = fulfil(world, sell(world, AMAZON, "A-1", MUG=2))
        assert states(world) == ["QUEUED"]
        assert market.run(AMAZON) == 1
        parcel = market.calls[0]
        assert (parcel.key, parcel.units, parcel.carrier, parcel.tracking_number) == (
            shipment,
            {"MUG": 2},
            "UPS",
            "1Z 99",
        )
        assert states(world) == ["CONFIRMED"]
        check_shipments(world, market)

    @pytest.mark.parametrize(("account_id", "left_out"), ((AMAZON, 1), (EBAY, 1), (ETSY, 0)))
    def test_S10_1_one_parcel_with_its_address_and_all_numbers_and_what_can_not_be_said_is_noted(
        self, world: World, market: FakeMarket, account_id: int, left_out: int
    ) -> None:
        hub_order = sell(world, account_id, "M-1", MUG=1)
        shipment = world.hub.fulfil(world.tick(60), hub_order)
        world.hub.track(world.tick(), hub_order, shipment, "1Z1", "UPS", "1Z2", "1Z3", url="https://ups.example/1Z1")
        world.hub_news()
        assert market.run(account_id) == 1
        (parcel,) = market.calls
        assert (parcel.tracking_number, parcel.more_tracking_numbers) == ("1Z1", ("1Z2", "1Z3"))
        assert parcel.tracking_url == "https://ups.example/1Z1"
        what = "A parcel goes with its first tracking number: its marketplace takes one"
        assert world.value("SELECT COUNT(*) FROM journal WHERE what = :w", w=what) == left_out

    def test_S4_3_the_same_news_again_tells_nothing_again(self, world: World, market: FakeMarket) -> None:
        hub_order = sell(world, EBAY, "E-1", MUG=1)
        fulfil(world, hub_order)
        market.run(EBAY)
        for _ in range(3):
            world.hub._touch(world.hub.orders[hub_order], world.tick(60))
            world.hub_news()
            market.run(EBAY)
        assert len(market.mails) == 1

    def test_S10_3_two_parcels_are_two_keys_and_never_more_than_the_line(
        self, world: World, market: FakeMarket
    ) -> None:
        hub_order = sell(world, EBAY, "E-1", MUG=3)
        first = fulfil(world, hub_order, "T1", MUG=1)
        market.run(EBAY)
        second = fulfil(world, hub_order, "T2", MUG=2)
        market.run(EBAY)
        assert [(p.key, p.units) for p in market.calls] == [(first, {"MUG": 1}), (second, {"MUG": 2})]
        check_shipments(world, market)

    def test_S10_3_both_parcels_heard_at_once_go_one_after_the_other(self, world: World, market: FakeMarket) -> None:
        hub_order = sell(world, EBAY, "E-1", MUG=2, CUP=1)
        world.hub.fulfil(world.tick(60), hub_order, MUG=1)
        world.hub.fulfil(world.tick(60), hub_order)
        world.hub_news()
        call = market.plan(EBAY)
        assert market.plan(EBAY) is None, "one unanswered call an order"
        market.settle(call, market.ship(EBAY, "E-1", call.parcel))
        market.run(EBAY)
        assert [p.units for p in market.calls] == [{"MUG": 1}, {"CUP": 1, "MUG": 1}]

    def test_S10_7_a_pack_is_told_when_all_its_pieces_are_in_fulfilments(
        self, world: World, market: FakeMarket
    ) -> None:
        world.list(AMAZON, "PACK", {"MUG": 2})
        hub_order = sell(world, AMAZON, "A-1", PACK=2)
        fulfil(world, hub_order, "T1", MUG=1)
        assert market.run(AMAZON) == 0
        second = fulfil(world, hub_order, "T2", MUG=2)
        market.run(AMAZON)
        fulfil(world, hub_order, "T3", MUG=1)
        market.run(AMAZON)
        assert [(p.key, p.units) for p in market.calls][0] == (second, {"PACK": 1})
        assert [p.units for p in market.calls] == [{"PACK": 1}, {"PACK": 1}]
        check_shipments(world, market)

    def test_S10_7_a_bundle_too(self, world: World, market: FakeMarket) -> None:
        world.list(AMAZON, "SET", {"MUG": 1, "CUP": 2})
        hub_order = sell(world, AMAZON, "A-1", SET=1)
        fulfil(world, hub_order, "T1", MUG=1, CUP=1)
        assert market.run(AMAZON) == 0
        fulfil(world, hub_order, "T2", CUP=1)
        market.run(AMAZON)
        assert [p.units for p in market.calls] == [{"SET": 1}]

    def test_S0_7_nothing_leaves_for_an_account_that_is_not_live(self, world: World, market: FakeMarket) -> None:
        fulfil(world, sell(world, EBAY, "E-1", MUG=1))
        world.rows("UPDATE account SET state = 'MATCHED' WHERE account_id = 3 RETURNING 1")
        assert market.plan(EBAY) is None
        world.live(EBAY)
        assert market.run(EBAY) == 1

    def test_S0_7_what_left_before_the_account_went_live_was_told_then(self, world: World, market: FakeMarket) -> None:
        hub_order = sell(world, EBAY, "E-1", MUG=2)
        world.hub.fulfil(world.tick(60), hub_order, MUG=1)
        world.rows("UPDATE account SET live_at = :now WHERE account_id = 3 RETURNING 1", now=world.tick(60))
        world.hub.fulfil(world.tick(60), hub_order, MUG=1)
        world.hub_news()
        market.run(EBAY)
        assert [p.units for p in market.calls] == [{"MUG": 1}]

    def test_an_own_order_of_the_shop_is_told_nobody(self, world: World, market: FakeMarket) -> None:
        fulfil(world, world.hub.sell(world.tick(), MUG=1))
        assert states(world) == []


class TestUnanswered:
    """S10.2, I18: Etsy mails the buyer on every success; no answer is read before anything else."""

    @pytest.mark.parametrize("account_id", [AMAZON, EBAY, ETSY])
    def test_S10_2_done_but_unheard_it_is_found_and_the_buyer_gets_one_mail(
        self, world: World, market: FakeMarket, account_id: int
    ) -> None:
        fulfil(world, sell(world, account_id, "X-1", MUG=1))
        market.run(account_id, lambda kind: "lost_answer")
        assert states(world) == ["UNKNOWN"]
        world.tick(5)
        market.run(account_id)
        assert (states(world), len(market.mails), len(market.calls)) == (["CONFIRMED"], 1, 1)
        check_shipments(world, market)

    def test_S10_2_without_a_number_it_is_found_by_its_units(self, world: World, market: FakeMarket) -> None:
        fulfil(world, sell(world, EBAY, "E-1", MUG=1), None)
        market.run(EBAY, lambda kind: "lost_answer")
        world.tick(5)
        market.run(EBAY)
        assert (states(world), len(market.mails)) == (["CONFIRMED"], 1)

    def test_I18_lost_on_the_way_it_is_sent_again_after_two_reads_a_minute_apart(
        self, world: World, market: FakeMarket
    ) -> None:
        fulfil(world, sell(world, EBAY, "E-1", MUG=1))
        market.run(EBAY, lambda kind: "lost_request")
        world.tick(5)
        market.run(EBAY)
        assert (states(world), market.mails) == (["UNKNOWN"], [])
        world.tick(54)
        assert market.plan(EBAY) is None
        world.tick(2)
        market.run(EBAY)
        assert (states(world), len(market.mails)) == (["CONFIRMED"], 1)

    def test_I18_a_read_without_an_answer_says_nothing(self, world: World, market: FakeMarket) -> None:
        fulfil(world, sell(world, EBAY, "E-1", MUG=1))
        market.run(EBAY, lambda kind: "lost_request")
        for _ in range(4):
            world.tick(400)
            market.look(market.plan(EBAY), None, "timed out")
        assert states(world) == ["UNKNOWN"]
        world.tick(400)
        market.look(market.plan(EBAY), [])
        assert states(world) == ["UNKNOWN"], "not found once"

    @pytest.mark.parametrize("account_id", [AMAZON, EBAY, ETSY])
    @pytest.mark.parametrize("first", ["OLD", None])
    def test_S10_2_a_number_that_changed_meanwhile_is_no_second_parcel(
        self, world: World, market: FakeMarket, account_id: int, first: str | None
    ) -> None:
        hub_order = sell(world, account_id, "X-1", MUG=1)
        shipment = fulfil(world, hub_order, first)
        market.run(account_id, lambda kind: "lost_answer")
        world.hub.track(world.tick(5), hub_order, shipment, "NEW")
        world.hub_news()
        for _ in range(4):
            market.run(account_id)
            world.tick(61)
        assert (len(market.mails), states(world)) == (1, ["CONFIRMED"])
        if account_id == AMAZON:  # it takes changes: the new number goes out at once, under the same key
            assert [one.tracking_number for one in market.told(AMAZON, "X-1")] == ["NEW"]
        else:
            assert (len(market.calls), world.tasks()) == (1, ["ship_tracking_changed"])
        check_shipments(world, market)

    def test_S10_2_the_new_number_entered_there_by_hand_asks_nobody(self, world: World, market: FakeMarket) -> None:
        hub_order = sell(world, EBAY, "X-1", MUG=1)
        shipment = fulfil(world, hub_order, "OLD")
        market.run(EBAY, lambda kind: "lost_answer")
        world.hub.track(world.tick(5), hub_order, shipment, "NEW")
        world.hub_news()
        [(name, told)] = market.parcels[(EBAY, "X-1")].items()
        market.parcels[(EBAY, "X-1")][name] = msgspec.structs.replace(told, tracking_number="NEW")
        market.run(EBAY)
        assert (states(world), len(market.calls), world.tasks()) == (["CONFIRMED"], 1, [])

    def test_throttled_nothing_was_done(self, world: World, market: FakeMarket) -> None:
        fulfil(world, sell(world, EBAY, "E-1", MUG=1))
        market.settle(market.plan(EBAY), Throttled(30.0, "slow down"))
        assert market.plan(EBAY) is None
        world.tick(31)
        assert isinstance(market.plan(EBAY), telling.TellCall)

    @pytest.mark.parametrize("applied", [True, False])
    def test_I17_a_process_that_died_between_call_and_record_tells_once(
        self, world: World, market: FakeMarket, applied: bool
    ) -> None:
        fulfil(world, sell(world, ETSY, "T-1", MUG=1))
        call = market.plan(ETSY)
        if applied:
            market.ship(ETSY, "T-1", call.parcel)
        with transaction(world.store) as tx:
            telling.recover(tx, TENANT)
        assert states(world) == ["UNKNOWN"]
        for _ in range(3):
            world.tick(61)
            market.run(ETSY)
        assert (states(world), len(market.mails)) == (["CONFIRMED"], 1)

    def test_I17_another_accounts_end_says_nothing_about_a_call_under_way(
        self, world: World, market: FakeMarket
    ) -> None:
        fulfil(world, sell(world, EBAY, "E-1", MUG=1))
        assert isinstance(market.plan(EBAY), telling.TellCall)
        with transaction(world.store) as tx:
            assert telling.recover(tx, TENANT, ETSY) == 0
            assert intents.recover_account(tx, TENANT, ETSY, is_hub=False) == 0
            assert telling.recover(tx, TENANT, EBAY) == 1
        assert states(world) == ["UNKNOWN"]

    def test_while_one_is_unknown_no_other_parcel_of_the_order_goes(self, world: World, market: FakeMarket) -> None:
        hub_order = sell(world, EBAY, "E-1", MUG=2)
        fulfil(world, hub_order, "T1", MUG=1)
        market.run(EBAY, lambda kind: "lost_answer")
        fulfil(world, hub_order, "T2", MUG=1)
        call = market.plan(EBAY)
        assert isinstance(call, telling.LookCall)
        market.look(call, market.told(EBAY, "E-1"))
        market.run(EBAY)
        assert sorted(mail[2] for mail in market.mails) == ["T1", "T2"]
        check_shipments(world, market)

    def test_news_of_the_hub_during_the_call_is_not_lost(self, world: World, market: FakeMarket) -> None:
        hub_order = sell(world, AMAZON, "A-1", MUG=1)
        shipment = fulfil(world, hub_order, "OLD")
        call = market.plan(AMAZON)
        world.hub.track(world.tick(60), hub_order, shipment, "NEW")
        world.hub_news()
        market.settle(call, market.ship(AMAZON, "A-1", call.parcel))
        market.run(AMAZON)
        assert [(p.tracking_number, p.version) for p in market.calls] == [("OLD", 1), ("NEW", 2)]
        assert [one.tracking_number for one in market.told(AMAZON, "A-1")] == ["NEW"]


class TestChanged:
    def test_S10_3_a_new_number_is_a_new_version_of_the_same_key(self, world: World, market: FakeMarket) -> None:
        hub_order = sell(world, AMAZON, "A-1", MUG=1)
        shipment = fulfil(world, hub_order, None)
        market.run(AMAZON)
        world.hub.track(world.tick(60), hub_order, shipment, "T9")
        world.hub_news()
        market.run(AMAZON)
        assert [(p.key, p.version, p.reference) for p in market.calls] == [
            (shipment, 1, None),
            (shipment, 2, f"ref-{shipment}"),
        ]
        assert len(market.mails) == 1
        check_shipments(world, market)

    def test_S10_3_where_the_channel_takes_no_change_a_person_enters_it_once(
        self, world: World, market: FakeMarket
    ) -> None:
        hub_order = sell(world, EBAY, "E-1", MUG=1)
        shipment = fulfil(world, hub_order, "T1")
        market.run(EBAY)
        world.hub.track(world.tick(60), hub_order, shipment, "T2")
        world.hub_news()
        assert market.run(EBAY) == 0
        assert (world.tasks(), states(world), len(market.calls)) == (["ship_tracking_changed"], ["CONFIRMED"], 1)
        world.hub._touch(world.hub.orders[hub_order], world.tick(60))
        world.hub_news()
        assert market.run(EBAY) == 0

    def test_S10_5_a_cancelled_fulfilment_that_was_told_is_an_alert_and_not_told_again(
        self, world: World, market: FakeMarket
    ) -> None:
        hub_order = sell(world, EBAY, "E-1", MUG=1)
        shipment = fulfil(world, hub_order, "T1")
        market.run(EBAY)
        world.hub.cancel_fulfilment(world.tick(60), hub_order, shipment)
        world.hub_news()
        assert world.tasks() == ["fulfilment_cancelled"]
        fulfil(world, hub_order, "T2")
        market.run(EBAY)
        assert (len(market.calls), len(market.mails)) == (1, 1), "its units are told already"
        check_shipments(world, market)
        check(world)

    def test_S10_5_cancelled_before_it_was_told_nothing_is(self, world: World, market: FakeMarket) -> None:
        hub_order = sell(world, EBAY, "E-1", MUG=1)
        shipment = fulfil(world, hub_order, "T1")
        world.hub.cancel_fulfilment(world.tick(60), hub_order, shipment)
        world.hub_news()
        assert (market.run(EBAY), states(world), world.tasks()) == (0, ["CALLED_OFF"], [])
        again = fulfil(world, hub_order, "T2")
        market.run(EBAY)
        assert [p.key for p in market.calls] == [again]


class TestNever:
    def test_S10_2_no_call_for_what_its_marketplace_cancelled(self, world: World, market: FakeMarket) -> None:
        sold = order("E-1", world.now, MUG=1)
        world.hear(EBAY, sold)
        world.run_hub()
        world.hub_news()
        fulfil(world, world.order(EBAY, "E-1", "hub_order_id"))
        world.hear(EBAY, msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.tick(60))))
        assert (market.run(EBAY), states(world)) == (0, ["CALLED_OFF"])

    def test_S10_3_pieces_cancelled_there_are_not_told(self, world: World, market: FakeMarket) -> None:
        sold = order("E-1", world.now, MUG=3)
        world.hear(EBAY, sold)
        world.run_hub()
        world.hub_news()
        hub_order = world.order(EBAY, "E-1", "hub_order_id")
        fulfil(world, hub_order)
        world.hear(EBAY, changed(sold, world.tick(60), cancelled_pieces=1))
        market.run(EBAY)
        assert [p.units for p in market.calls] == [{"MUG": 2}]

    def test_refused_is_a_task_in_the_marketplaces_words(self, world: World, market: FakeMarket) -> None:
        fulfil(world, sell(world, EBAY, "E-1", MUG=1))
        market.refuse = Rejected("carrier code is unknown", "32100")
        market.run(EBAY)
        assert (states(world), world.tasks()) == (["REFUSED"], ["ship"])
        assert "carrier code is unknown" in world.value("SELECT why FROM task WHERE kind = 'ship'")
        assert market.plan(EBAY) is None

    def test_a_refused_parcel_goes_again_with_another_number_and_its_task_ends(
        self, world: World, market: FakeMarket
    ) -> None:
        hub_order = sell(world, EBAY, "E-1", MUG=1)
        shipment = fulfil(world, hub_order, "BAD")
        market.refuse = Rejected("no such number", "32200")
        market.run(EBAY)
        market.refuse = None
        world.hub.track(world.tick(60), hub_order, shipment, "GOOD")
        world.hub_news()
        market.run(EBAY)
        assert (states(world), world.tasks()) == (["CONFIRMED"], [])

    def test_a_shop_that_may_not_tell_shipments_is_a_state_with_a_task(self, world: World, market: FakeMarket) -> None:
        fulfil(world, sell(world, ETSY, "T-1", MUG=1))
        market.refuse = Rejected("transactions_w with shipping is not enabled", "not_allowed")
        market.run(ETSY)
        assert "does not let this app tell shipments" in world.value("SELECT why FROM task WHERE kind = 'ship'")


class TestWholeReceipts:
    """S10.6: Etsy takes whole receipts: the first fulfilment is told, later ones recorded only [or hold until all]."""

    def test_S10_6_the_first_is_told_later_ones_recorded(self, world: World, market: FakeMarket) -> None:
        hub_order = sell(world, ETSY, "T-1", MUG=2)
        first = fulfil(world, hub_order, "T1", MUG=1)
        market.run(ETSY)
        fulfil(world, hub_order, "T2", MUG=1)
        market.run(ETSY)
        assert ([p.key for p in market.calls], states(world)) == ([first], ["CONFIRMED", "RECORDED"])

    def test_S10_6_or_held_until_all_has_left(self, world: World, market: FakeMarket) -> None:
        with transaction(world.store) as tx:
            change_setting(tx, TENANT, ETSY, telling.WHOLE_ORDERS, "all")
        hub_order = sell(world, ETSY, "T-1", MUG=2)
        fulfil(world, hub_order, "T1", MUG=1)
        assert market.run(ETSY) == 0
        last = fulfil(world, hub_order, "T2", MUG=1)
        world.tick(telling.TRACKING_WAIT_S)
        market.run(ETSY)
        assert ([p.key for p in market.calls], states(world)) == ([last], ["RECORDED", "CONFIRMED"])

    def test_a_marketplace_that_wants_a_number_waits_for_it(
        self, world: World, market: FakeMarket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(SHIPS, EBAY, ShipAbility(True, True, False, needs_tracking=True, counts=True))
        hub_order = sell(world, EBAY, "E-1", MUG=1)
        shipment = fulfil(world, hub_order, None)
        assert (market.run(EBAY), world.tasks()) == (0, ["ship_tracking"])
        world.hub.track(world.tick(60), hub_order, shipment, "T1")
        world.hub_news()
        market.run(EBAY)
        assert (states(world), world.tasks()) == (["CONFIRMED"], [])


class TestShippedThere:
    """S10.6: a shipment at the marketplace that is not ours."""

    def test_S10_6_an_echo_of_ours_is_not_told_again(self, world: World, market: FakeMarket) -> None:
        sold = order("E-1", world.now, MUG=1)
        world.hear(EBAY, sold)
        world.run_hub()
        world.hub_news()
        market.parcels[(EBAY, "E-1")] = {"x": ShipmentTold("ref-x", {"MUG": 1}, "UPS", "1z99")}
        world.hear(EBAY, changed(sold, world.tick(60), shipped=1))
        fulfil(world, world.order(EBAY, "E-1", "hub_order_id"), "1Z 99")
        assert isinstance(market.plan(EBAY), telling.LookCall)
        market.run(EBAY)
        assert (market.calls, states(world)) == ([], ["CONFIRMED"])
        assert world.value("SELECT reference FROM shipment") == "ref-x"

    def test_S10_6_shipped_there_under_another_number_is_recorded_only(self, world: World, market: FakeMarket) -> None:
        sold = order("E-1", world.now, MUG=1)
        world.hear(EBAY, sold)
        world.run_hub()
        world.hub_news()
        market.parcels[(EBAY, "E-1")] = {"x": ShipmentTold("ref-x", {"MUG": 1}, "UPS", "BOUGHT-THERE")}
        world.hear(EBAY, changed(sold, world.tick(60), shipped=1))
        fulfil(world, world.order(EBAY, "E-1", "hub_order_id"), "1Z 99")
        market.run(EBAY)
        assert (market.calls, states(world)) == ([], ["RECORDED"])

    def test_S10_6_the_rest_of_a_line_is_told(self, world: World, market: FakeMarket) -> None:
        sold = order("E-1", world.now, MUG=3)
        world.hear(EBAY, sold)
        world.run_hub()
        world.hub_news()
        market.parcels[(EBAY, "E-1")] = {"x": ShipmentTold("ref-x", {"MUG": 1}, "UPS", "BOUGHT-THERE")}
        world.hear(EBAY, changed(sold, world.tick(60), shipped=1))
        fulfil(world, world.order(EBAY, "E-1", "hub_order_id"), "1Z 99")
        market.run(EBAY)
        assert [p.units for p in market.calls] == [{"MUG": 2}]

    def test_a_copy_made_by_somebody_else_is_looked_at_before_the_first_word(
        self, world: World, market: FakeMarket
    ) -> None:
        world.hear(EBAY, order("E-1", world.now, MUG=1))
        theirs = LineSeen("h1", ("sku:MUG",), 1, shipped=1, sku="MUG")
        parcel = ShipmentSeen("F1", from_us(world.tick(60)), {"h1": 1}, "1Z99", "UPS")
        copy = order("H-1", world.now, lines=[theirs])
        world.hear(SHOP, msgspec.structs.replace(copy, copy_of_key=key_of(EBAY, "E-1"), shipments=(parcel,)))
        assert isinstance(market.plan(EBAY), telling.LookCall)
        market.run(EBAY)
        assert [p.key for p in market.calls] == ["F1"]


class TestDeadline:
    def alerts(self, world: World) -> list[str]:
        with transaction(world.store) as tx:
            deadlines.alert(tx, TENANT, world.now)
        return world.tasks("ship_deadline")

    def test_S10_4_four_hours_before_ship_by_a_person_hears_of_it(self, world: World, market: FakeMarket) -> None:
        by = world.now + 10 * 3600 * SECOND
        world.hear(EBAY, msgspec.structs.replace(order("E-1", world.now, MUG=1), ship_by_at=from_us(by)))
        world.run_hub()
        world.hub_news()
        world.now = by - 4 * 3600 * SECOND - 1
        assert self.alerts(world) == []
        world.tick(1)
        assert self.alerts(world) == ["ship_deadline"]
        fulfil(world, world.order(EBAY, "E-1", "hub_order_id"))
        assert self.alerts(world) == ["ship_deadline"], "it left, but its marketplace does not know"
        market.run(EBAY)
        assert self.alerts(world) == []

    def test_S10_4_the_order_that_is_due_first_is_told_first(self, world: World, market: FakeMarket) -> None:
        for name, hours in (("E-1", 48), ("E-2", 5)):
            by = from_us(world.now + hours * 3600 * SECOND)
            world.hear(EBAY, msgspec.structs.replace(order(name, world.now, MUG=1), ship_by_at=by))
        world.run_hub()
        world.hub_news()
        for name in ("E-1", "E-2"):
            fulfil(world, world.order(EBAY, name, "hub_order_id"), name)
        market.run(EBAY)
        assert [mail[1] for mail in market.mails] == ["E-2", "E-1"]

    def test_F45_orders_that_wait_for_an_answer_take_no_other_order_s_turn(
        self, world: World, market: FakeMarket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(telling, "LOOK_AT", 1)
        copies = {name: sell(world, EBAY, name, MUG=2) for name in ("E-1", "E-2", "E-3")}
        fulfil(world, copies["E-1"], "T1", MUG=1)
        market.run(EBAY, lambda kind: "lost_answer")
        world.rows(
            "UPDATE shipment SET due_at = :at RETURNING 1", at=world.now + 3600 * SECOND
        )  # it is looked for again then
        fulfil(world, copies["E-1"], "T2", MUG=1)
        fulfil(world, copies["E-2"], "T3", MUG=1)
        under_way = market.plan(EBAY)
        assert isinstance(under_way, telling.TellCall) and under_way.order_id == "E-2"
        fulfil(world, copies["E-2"], "T4", MUG=1)
        fulfil(world, copies["E-3"], "T5", MUG=1)
        call = market.plan(EBAY)
        assert isinstance(call, telling.TellCall) and call.order_id == "E-3"


def test_I6_any_mixture_of_faults_tells_every_parcel_once(world: World, market: FakeMarket) -> None:
    """Each call meets another end in turn; every order of two parcels ends told, each once."""
    ends = ["lost_answer", "throttle", "ok", "lost_request", "lost_answer", "ok", "lost_request"] * 4
    faults = iter([*ends, *["ok"] * 500])
    for account_id, name in ((AMAZON, "A-1"), (EBAY, "E-1"), (EBAY, "E-2")):
        hub_order = sell(world, account_id, name, MUG=2, CUP=1)
        fulfil(world, hub_order, f"{name}-T1", MUG=1)
        fulfil(world, hub_order, f"{name}-T2")
    for round_no in range(40):
        world.tick(61)
        if round_no % 5 == 3:
            with transaction(world.store) as tx:
                telling.recover(tx, TENANT)
        for account_id in (AMAZON, EBAY):
            market.run(account_id, lambda kind: next(faults))
    assert set(states(world)) == {"CONFIRMED"}
    assert sorted(mail[2] for mail in market.mails) == sorted(
        f"{name}-T{n}" for name in ("A-1", "E-1", "E-2") for n in (1, 2)
    )
    check_shipments(world, market)
    check(world)


def test_I18_an_exception_in_a_connector_is_neither_yes_nor_no(world: World, market: FakeMarket) -> None:
    fulfil(world, sell(world, EBAY, "E-1", MUG=1))
    market.settle(market.plan(EBAY), Unknown("KeyError: trackingNumber"))
    assert states(world) == ["UNKNOWN"]
