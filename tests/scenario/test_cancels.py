"""A short line: its grace, who decides, and a cancel that is asked for once (SEMANTICS 7)."""

from __future__ import annotations

import msgspec
import pytest
from tests.scenario.engine import AMAZON, EBAY, ETSY, SHOP, TENANT, World, changed, order
from tests.scenario.fake_market import CANCELS, FakeMarket
from tests.scenario.invariants import check, check_at_rest, check_cancels

from oneshelf.channels.abilities import CancelAbility, CancelState
from oneshelf.core.facts import OrderSeen
from oneshelf.core.instants import SECOND, from_us
from oneshelf.core.outcome import Rejected
from oneshelf.db.store import Store, transaction
from oneshelf.orders import intents, short
from oneshelf.orders.cancel_rate import rate_of
from oneshelf.orders.decisions import NotDecided
from oneshelf.tenants.accounts import change_setting

GRACE = short.GRACE_S


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 1)
    world.item("CUP", 10)
    return world.open()


@pytest.fixture
def market(world: World) -> FakeMarket:
    return FakeMarket(world)


def auto(world: World, *account_ids: int, **settings: str) -> None:
    with transaction(world.store) as tx:
        for account_id in account_ids:
            for name, value in {short.MODE_SHORT: "auto", short.MODE_REMOVED: "auto", **settings}.items():
                change_setting(tx, TENANT, account_id, name, value)


def oversell(world: World, account_id: int, order_id: str = "X-1", **more: int) -> OrderSeen:
    """Someone buys the last mug on Etsy first; then this order comes. Returns it."""
    world.hear(ETSY, order("T-0", world.now, MUG=1))
    late = order(order_id, world.tick(10), MUG=1, **more)
    world.hear(account_id, late)
    world.run_hub()
    world.hub_news()
    return late


def settle_feeds(world: World) -> None:
    """The grace is over, and every channel has been heard through now."""
    world.tick(GRACE + 60)
    world.complete()


class TestGrace:
    def test_S7_1_not_within_the_grace(self, world: World, market: FakeMarket) -> None:
        auto(world, AMAZON)
        oversell(world, AMAZON)
        world.tick(GRACE - 1)
        world.complete()
        assert (market.decide(), world.line(AMAZON, "X-1")) == (set(), "O")
        world.tick(1)
        assert (market.decide(), world.line(AMAZON, "X-1")) == ({AMAZON}, "X")

    @pytest.mark.parametrize("silent", [SHOP, EBAY, ETSY])
    def test_S6_5_not_before_every_channel_was_heard_past_its_purchase(
        self, world: World, market: FakeMarket, silent: int
    ) -> None:
        auto(world, AMAZON)
        oversell(world, AMAZON)
        world.tick(GRACE + 60)
        world.complete(*({SHOP, AMAZON, EBAY, ETSY} - {silent}))
        assert (market.decide(), world.line(AMAZON, "X-1")) == (set(), "O")
        world.complete(silent)
        assert market.decide() == {AMAZON}

    def test_S7_1_covered_within_the_grace_nobody_is_asked(self, world: World, market: FakeMarket) -> None:
        auto(world, AMAZON)
        oversell(world, AMAZON)
        world.hear(ETSY, msgspec.structs.replace(order("T-0", world.now, MUG=1), cancelled=True))
        settle_feeds(world)
        assert (market.decide(), world.line(AMAZON, "X-1", "coverage"), world.tasks()) == (set(), "COVERED", [])

    def test_S7_1_short_only_behind_unpaid_orders_it_waits_for_them(self, world: World, market: FakeMarket) -> None:
        auto(world, EBAY)
        world.hear(AMAZON, order("A-0", world.now, paid=False, MUG=1))
        world.hear(EBAY, order("E-1", world.tick(10), MUG=1))
        settle_feeds(world)
        assert (market.decide(), world.line(EBAY, "E-1", "coverage")) == (set(), "SHORT")
        world.tick(short.PENDING_WAIT_S)
        world.complete()
        assert market.decide() == {EBAY}

    def test_S7_1_but_not_past_ship_by_less_a_day(self, world: World, market: FakeMarket) -> None:
        auto(world, EBAY)
        world.hear(AMAZON, order("A-0", world.now, paid=False, MUG=1))
        by = from_us(world.now + (24 * 3600 + 3600) * SECOND)
        world.hear(EBAY, msgspec.structs.replace(order("E-1", world.tick(10), MUG=1), ship_by_at=by))
        settle_feeds(world)
        assert market.decide() == set()
        world.tick(3600)
        assert market.decide() == {EBAY}

    def test_S5_an_unpaid_short_line_is_never_cancelled_by_us(self, world: World, market: FakeMarket) -> None:
        auto(world, AMAZON)
        world.hear(ETSY, order("T-0", world.now, MUG=1))
        world.hear(AMAZON, order("A-1", world.tick(10), paid=False, MUG=1))
        settle_feeds(world)
        assert (market.decide(), world.line(AMAZON, "A-1")) == (set(), "P")


class TestAsked:
    """S7.2: the default is to ask; M with the choices."""

    def asked(self, world: World) -> str:
        assert world.tasks("short_decision") == ["short_decision"]
        return str(world.value("SELECT why FROM task WHERE kind = 'short_decision' AND closed_at IS NULL"))

    def test_S7_2_nothing_is_cancelled_unless_the_merchant_said_so(self, world: World, market: FakeMarket) -> None:
        oversell(world, AMAZON)
        settle_feeds(world)
        assert (market.decide(), world.line(AMAZON, "X-1"), market.plan_cancel(AMAZON)) == (set(), "M", None)
        words = self.asked(world)
        assert "wait|backorder|cancel" in words and "set to ask" in words
        assert world.tasks("short_line") == []
        check(world)

    def test_S7_5_with_the_rate_now_after_and_the_limit(self, world: World, market: FakeMarket) -> None:
        for n in range(3):
            world.hear(AMAZON, order(f"A-{n}", world.now, CUP=1))
        oversell(world, AMAZON)
        settle_feeds(world)
        market.decide()
        assert "0.00 % now, 25.00 % after it, limit 2.5 %" in self.asked(world)

    def test_S7_5_over_the_days_that_the_channel_looks_at(self, world: World) -> None:
        """Amazon counts a week; eBay three months, or twelve where few were sold in three."""
        ability = CancelAbility("call", True, "a defect", 2.0, rate_days=7, few_orders=3, rate_days_of_few=60)
        for n in range(2):
            world.hear(EBAY, order(f"E-{n}", world.now, CUP=1))
        world.tick(8 * 86_400)

        def rate(**more: int) -> tuple[int, int]:
            with transaction(world.store) as tx:
                found = rate_of(tx, TENANT, EBAY, msgspec.structs.replace(ability, **more), world.now)
            return found.orders, found.days

        assert rate(few_orders=0) == (0, 7), "older orders are not in a week"
        assert rate() == (2, 60), "few were sold: it looks further back"
        for n in range(2, 5):
            world.hear(EBAY, order(f"E-{n}", world.now, CUP=1))
        assert rate() == (3, 7)

    def test_S7_5_a_cancel_that_was_taken_counts(self, world: World, market: FakeMarket) -> None:
        auto(world, AMAZON)
        world.hear(AMAZON, order("A-0", world.now, CUP=1))
        oversell(world, AMAZON)
        settle_feeds(world)
        market.decide()
        market.job = CancelState("done")
        market.run_cancels(AMAZON)
        world.tick(60)
        market.run_cancels(AMAZON)
        with transaction(world.store) as tx:
            found = rate_of(tx, TENANT, AMAZON, CANCELS[AMAZON], world.now)
        assert (found.orders, found.cancels, found.now_percent, found.after_percent) == (2, 1, 50.0, 100.0)

    def test_S7_4_etsy_has_no_way_but_a_deep_link(self, world: World, market: FakeMarket) -> None:
        auto(world, ETSY)
        world.hear(AMAZON, order("A-0", world.now, MUG=1))
        world.hear(ETSY, order("T-1", world.tick(10), MUG=1))
        settle_feeds(world)
        market.decide()
        assert world.line(ETSY, "T-1") == "M"
        assert f"https://example.test/{ETSY}/T-1" in self.asked(world)

    def test_S7_4_ebay_cancels_whole_orders_only(self, world: World, market: FakeMarket) -> None:
        auto(world, EBAY)
        oversell(world, EBAY, CUP=1)
        settle_feeds(world)
        assert (market.decide(), world.line(EBAY, "X-1", sku="MUG")) == (set(), "M")
        assert "whole orders only" in self.asked(world)

    def test_S7_2_an_order_older_than_a_day_is_asked_about(self, world: World, market: FakeMarket) -> None:
        auto(world, AMAZON)
        oversell(world, AMAZON)
        world.tick(25 * 3600)
        world.complete()
        assert (market.decide(), world.line(AMAZON, "X-1")) == (set(), "M")

    @pytest.mark.parametrize(("limit", "state"), [("999", "M"), ("1000", "X")])
    def test_S7_2_one_above_the_value_limit_too(self, world: World, market: FakeMarket, limit: str, state: str) -> None:
        auto(world, AMAZON, **{short.VALUE_SETTING: limit})
        oversell(world, AMAZON)
        settle_feeds(world)
        market.decide()
        assert world.line(AMAZON, "X-1") == state

    def test_S7_1_covered_later_the_task_ends(self, world: World, market: FakeMarket) -> None:
        oversell(world, AMAZON)
        settle_feeds(world)
        market.decide()
        world.hear(ETSY, msgspec.structs.replace(order("T-0", world.now, MUG=1), cancelled=True))
        assert (world.tasks("short_decision"), world.line(AMAZON, "X-1", "coverage")) == ([], "COVERED")
        check(world)

    def test_cancelled_by_its_channel_the_task_ends(self, world: World, market: FakeMarket) -> None:
        sold = oversell(world, ETSY, "T-1")
        settle_feeds(world)
        market.decide()
        world.hear(ETSY, msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.tick())))
        assert (world.tasks("short_decision"), world.line(ETSY, "T-1")) == ([], "C")

    def test_S0_7_a_paused_account_cancels_nothing(self, world: World, market: FakeMarket) -> None:
        auto(world, AMAZON)
        oversell(world, AMAZON)
        settle_feeds(world)
        world.rows("UPDATE account SET state = 'PAUSED' WHERE account_id = 2 RETURNING 1")
        assert market.decide() == set()
        world.live(AMAZON)
        market.decide()
        world.rows("UPDATE account SET state = 'PAUSED' WHERE account_id = 2 RETURNING 1")
        assert market.plan_cancel(AMAZON) is None


class TestWords:
    """A merchant's word: wait, backorder, cancel."""

    @pytest.fixture
    def asked(self, world: World, market: FakeMarket) -> OrderSeen:
        sold = oversell(world, AMAZON)
        settle_feeds(world)
        market.decide()
        return sold

    def test_wait_asks_again_a_day_later(self, world: World, market: FakeMarket, asked: OrderSeen) -> None:
        market.word("X-1", "MUG", "wait")
        market.decide()
        assert world.tasks() == []
        world.tick(24 * 3600)
        world.complete()
        market.decide()
        assert world.tasks() == ["short_decision"]

    def test_backorder_asks_no_more(self, world: World, market: FakeMarket, asked: OrderSeen) -> None:
        market.word("X-1", "", "backorder")
        world.tick(30 * 24 * 3600)
        world.complete()
        market.decide()
        assert world.tasks() == []
        check(world)

    def test_cancel_asks_the_channel(self, world: World, market: FakeMarket, asked: OrderSeen) -> None:
        assert "asked to cancel" in market.word("X-1", "MUG", "cancel")
        assert (world.line(AMAZON, "X-1"), world.tasks()) == ("X", [])
        market.job = CancelState("done")
        market.run_cancels(AMAZON)
        world.tick(60)
        market.run_cancels(AMAZON)
        assert (world.line(AMAZON, "X-1"), len(market.cancel_calls)) == ("C", 1)
        check_cancels(world, market)

    def test_I10_what_is_not_short_is_not_cancelled(self, world: World, market: FakeMarket) -> None:
        world.hear(AMAZON, order("A-1", world.now, CUP=1))
        settle_feeds(world)
        with pytest.raises(NotDecided, match="not short"):
            market.word("A-1", "CUP", "cancel")

    def test_I10_nor_within_the_grace(self, world: World, market: FakeMarket) -> None:
        oversell(world, AMAZON)
        world.tick(60)
        world.complete()
        with pytest.raises(NotDecided, match="minutes ago"):
            market.word("X-1", "MUG", "cancel")

    def test_I10_nor_unsettled(self, world: World, market: FakeMarket) -> None:
        oversell(world, AMAZON)
        world.tick(GRACE + 60)
        with pytest.raises(NotDecided, match="heard"):
            market.word("X-1", "MUG", "cancel")

    def test_where_no_program_may_cancel_it_says_where_to(self, world: World, market: FakeMarket) -> None:
        oversell(world, ETSY, "T-1")
        settle_feeds(world)
        market.decide()
        with pytest.raises(NotDecided, match="https://example.test/4/T-1"):
            market.word("T-1", "MUG", "cancel")

    def test_an_order_that_does_not_exist(self, world: World, market: FakeMarket) -> None:
        with pytest.raises(NotDecided, match="no order NOPE"):
            market.word("NOPE", "", "wait")


class TestCarriedOut:
    """S7.3: intent row, call, read back; sent at most once a line; no answer is settled by reading."""

    @pytest.fixture
    def wanted(self, world: World, market: FakeMarket) -> OrderSeen:
        auto(world, SHOP, AMAZON, EBAY)
        sold = oversell(world, AMAZON)
        settle_feeds(world)
        market.decide()
        return sold

    def test_S7_3_while_wanted_it_is_not_covered(self, world: World, market: FakeMarket, wanted: OrderSeen) -> None:
        assert world.line(AMAZON, "X-1", "coverage") == ""
        assert (market.decide(), world.k("MUG")) == (set(), -1)
        check(world)

    def test_S5_3_done_it_is_released_its_copy_cancelled_and_its_outlet_read(
        self, world: World, market: FakeMarket, wanted: OrderSeen
    ) -> None:
        market.run_cancels(AMAZON)
        assert world.line(AMAZON, "X-1") == "X"
        market.job = CancelState("done")
        world.tick(60)
        market.run_cancels(AMAZON)
        assert (world.line(AMAZON, "X-1"), world.k("MUG"), world.level("MUG")[0]) == ("C", 0, 1)
        outlet_id = world.outlet(AMAZON, "MUG")
        assert world.value("SELECT reread FROM dirty_listing WHERE outlet_id = :o", o=outlet_id) == 1
        assert ("fetch_order", "2/X-1") in world.rows("SELECT kind, entity FROM intent WHERE state = 'WAITING'")
        world.run_hub()
        world.hub_news()
        assert world.hub.orders[world.order(AMAZON, "X-1", "hub_order_id")].cancelled
        assert world.row("MUG") == "1/0/1/0"
        check(world)
        check_cancels(world, market)

    def test_I10_the_order_read_before_its_cancel_shows_does_not_cancel_again(
        self, world: World, market: FakeMarket, wanted: OrderSeen
    ) -> None:
        market.job = CancelState("done")
        market.run_cancels(AMAZON)
        world.tick(60)
        market.run_cancels(AMAZON)
        world.hear(AMAZON, msgspec.structs.replace(wanted, updated_at=from_us(world.tick(5))))
        assert world.line(AMAZON, "X-1") == "O", "its channel's newer word counts"
        settle_feeds(world)
        market.decide()
        market.run_cancels(AMAZON)
        assert (world.line(AMAZON, "X-1"), len(market.cancel_calls)) == ("M", 1)
        check_cancels(world, market)

    def test_S7_3_done_but_unheard_it_is_read_not_asked_again(
        self, world: World, market: FakeMarket, wanted: OrderSeen
    ) -> None:
        market.run_cancels(AMAZON, lambda kind: "lost_answer")
        market.job = CancelState("done")
        world.tick(10)
        market.run_cancels(AMAZON)
        assert (world.line(AMAZON, "X-1"), len(market.cancel_calls)) == ("C", 1)

    def test_I10_lost_on_the_way_it_is_never_sent_again_but_given_to_a_person(
        self, world: World, market: FakeMarket, wanted: OrderSeen
    ) -> None:
        market.run_cancels(AMAZON, lambda kind: "lost_request")
        world.tick(5)
        market.run_cancels(AMAZON)
        assert world.line(AMAZON, "X-1") == "X", "not found once is not enough"
        world.tick(60)
        market.run_cancels(AMAZON)
        assert (world.line(AMAZON, "X-1"), market.cancel_calls) == ("M", [])
        assert "knows of no such cancel" in world.value(
            "SELECT why FROM task WHERE kind = 'short_decision' AND closed_at IS NULL"
        )
        with pytest.raises(NotDecided, match="sent to cancel once"):
            market.word("X-1", "MUG", "cancel")

    def test_throttled_nothing_was_done_and_it_is_asked_later(
        self, world: World, market: FakeMarket, wanted: OrderSeen
    ) -> None:
        market.run_cancels(AMAZON, lambda kind: "throttle")
        assert world.line(AMAZON, "X-1") == "X"
        world.tick(2)
        market.run_cancels(AMAZON)
        assert len(market.cancel_calls) == 1

    @pytest.mark.parametrize("applied", [True, False])
    def test_I17_a_process_that_died_between_call_and_record_asks_once(
        self, world: World, market: FakeMarket, wanted: OrderSeen, applied: bool
    ) -> None:
        call = market.plan_cancel(AMAZON)
        if applied:
            market.ask_cancel(AMAZON, call)
        with transaction(world.store) as tx:
            intents.recover(tx, TENANT)
        market.job = CancelState("done")
        for _ in range(3):
            world.tick(61)
            market.run_cancels(AMAZON)
        assert world.line(AMAZON, "X-1") == ("C" if applied else "M")
        check_cancels(world, market)

    def test_S5_refused_it_is_the_merchants(self, world: World, market: FakeMarket, wanted: OrderSeen) -> None:
        market.refuse = Rejected("the order is shipped", "InvalidState")
        market.run_cancels(AMAZON)
        assert (world.line(AMAZON, "X-1"), world.tasks()) == ("M", ["short_decision"])
        assert "the order is shipped" in world.value(
            "SELECT why FROM task WHERE kind = 'short_decision' AND closed_at IS NULL"
        )
        check(world)

    def test_a_job_that_ends_refused_too(self, world: World, market: FakeMarket, wanted: OrderSeen) -> None:
        market.run_cancels(AMAZON)
        market.job = CancelState("refused", "NoInventory is not accepted")
        world.tick(60)
        market.run_cancels(AMAZON)
        assert world.line(AMAZON, "X-1") == "M"

    def test_I10_pieces_that_came_before_it_was_sent_withdraw_it(
        self, world: World, market: FakeMarket, wanted: OrderSeen
    ) -> None:
        world.hub.cell("MUG", "L1").on_hand += 1
        world.read("MUG")
        world.tick(60)
        world.complete()
        world.read("MUG")
        assert market.run_cancels(AMAZON) == 0
        assert (market.cancel_calls, world.line(AMAZON, "X-1"), world.line(AMAZON, "X-1", "coverage")) == (
            [],
            "M",
            "COVERED",
        )
        check(world)

    def test_I8_shipped_meanwhile_it_is_not_sent(self, world: World, market: FakeMarket, wanted: OrderSeen) -> None:
        world.hear(AMAZON, changed(wanted, world.tick(60), shipped=1))
        assert (market.run_cancels(AMAZON), world.line(AMAZON, "X-1")) == (0, "S")
        assert "shipped_after_cancel" in world.tasks()

    def test_S7_4_ebay_answers_at_once(self, world: World, market: FakeMarket) -> None:
        auto(world, EBAY)
        oversell(world, EBAY)
        settle_feeds(world)
        market.decide()
        market.run_cancels(EBAY)
        assert (world.line(EBAY, "X-1"), market.cancel_calls[0].whole) == ("C", True)

    def test_S7_4_amazon_cancels_one_line_of_several(self, world: World, market: FakeMarket) -> None:
        auto(world, AMAZON)
        oversell(world, AMAZON, CUP=2)
        settle_feeds(world)
        market.decide()
        market.job = CancelState("done")
        market.run_cancels(AMAZON)
        wish = market.cancel_calls[0]
        assert (wish.lines, wish.whole) == ({"MUG": 1}, False)
        world.tick(60)
        market.run_cancels(AMAZON)
        assert [world.line(AMAZON, "X-1", sku=sku) for sku in ("MUG", "CUP")] == ["C", "O"]
        world.run_hub()
        world.hub_news()
        assert (world.row("MUG"), world.row("CUP")) == ("1/0/1/0", "10/8/2/0")
        check(world)

    def test_S7_4_a_web_order_of_the_shop_is_cancelled_there(self, world: World, market: FakeMarket) -> None:
        auto(world, SHOP)
        world.hear(ETSY, order("T-0", world.now, MUG=1))
        web = world.hub.sell(world.tick(10), MUG=1)
        world.hub_news()
        world.rows("UPDATE orders SET total_minor = 1000 WHERE account_id = 1 RETURNING 1")
        world.run_hub()
        settle_feeds(world)
        assert (market.decide(), world.line(SHOP, web)) == ({SHOP}, "X")
        market.run_cancels(SHOP)
        world.hub.cancel(world.tick(), web)
        world.hub_news()
        assert world.line(SHOP, web) == "C"
        market.job = CancelState("done")
        world.tick(60)
        market.run_cancels(SHOP)
        world.to_rest()
        check_at_rest(world, {"MUG": 1})
        check_cancels(world, market)


class TestRemoved:
    """S5.5: pieces the merchant took off the copy."""

    def removed(self, world: World, account_id: int, **pieces: int) -> None:
        world.hear(account_id, order("X-1", world.now, **pieces))
        world.run_hub()
        world.hub_news()
        hub_order = world.order(account_id, "X-1", "hub_order_id")
        world.hub.remove(world.tick(60), hub_order, f"{hub_order}-0", 1)
        world.hub_news()

    def test_S5_5_the_marketplace_is_told_if_the_merchant_left_that_to_us(
        self, world: World, market: FakeMarket
    ) -> None:
        auto(world, AMAZON)
        self.removed(world, AMAZON, CUP=3)
        assert market.decide() == {AMAZON}
        market.job = CancelState("done")
        market.run_cancels(AMAZON)
        world.tick(60)
        market.run_cancels(AMAZON)
        assert [wish.lines for wish in market.cancel_calls] == [{"CUP": 1}]
        assert (world.line(AMAZON, "X-1", "told_cancelled"), world.line(AMAZON, "X-1"), world.tasks()) == (1, "O", [])
        assert market.decide() == set()
        check_cancels_of_removed(world, market)

    def test_S5_5_else_it_is_his_task(self, world: World, market: FakeMarket) -> None:
        self.removed(world, AMAZON, CUP=3)
        assert (market.decide(), world.tasks()) == (set(), ["tell_marketplace"])

    def test_S5_5_where_only_whole_orders_can_be_cancelled_it_stays_his(self, world: World, market: FakeMarket) -> None:
        auto(world, EBAY)
        self.removed(world, EBAY, CUP=3)
        assert (market.decide(), world.tasks()) == (set(), ["tell_marketplace"])

    def test_S5_5_a_whole_order_is_told(self, world: World, market: FakeMarket) -> None:
        auto(world, EBAY)
        self.removed(world, EBAY, CUP=1)
        assert market.decide() == {EBAY}
        market.run_cancels(EBAY)
        assert (market.cancel_calls[0].whole, world.tasks()) == (True, [])

    def test_S5_5_by_a_word_of_his(self, world: World, market: FakeMarket) -> None:
        self.removed(world, AMAZON, CUP=3)
        market.word("X-1", "CUP", "cancel")
        market.job = CancelState("done")
        market.run_cancels(AMAZON)
        world.tick(60)
        market.run_cancels(AMAZON)
        assert (len(market.cancel_calls), world.tasks()) == (1, [])


def check_cancels_of_removed(world: World, market: FakeMarket) -> None:
    """A removal is told once, and the books hold what is left."""
    assert len(market.cancel_calls) == 1
    check(world)
