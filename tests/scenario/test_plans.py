"""A plan that lacks a capability stops us deciding, never storing; a downgrade raises no number; what was done is counted."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from tests.scenario.engine import AMAZON, CAN, EBAY, ETSY, SHOP, TENANT, World, order
from tests.scenario.fake_market import FakeMarket
from tests.scenario.invariants import check

from oneshelf.core.errors import Park
from oneshelf.core.instants import from_us
from oneshelf.core.offer_rule import OfferRule
from oneshelf.core.plan import Capability, NotInPlan, PlanName
from oneshelf.core.precedence import Selector
from oneshelf.db.store import Store, transaction
from oneshelf.listings.policy import EVERY_ACCOUNT, EVERY_SKU, Change, set_rule
from oneshelf.orders import short
from oneshelf.pricing.policy import policy_of, switch
from oneshelf.publish import rule_changes
from oneshelf.publish.planning import look
from oneshelf.publish.slots import account_row
from oneshelf.tenants.accounts import change_setting
from oneshelf.tenants.plan import plan_named
from oneshelf.tenants.usage import usage
from oneshelf.watch import plan_change


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 8)
    return world.open()


def give(world: World, name: str) -> plan_change.PlanChange:
    with transaction(world.store) as tx:
        return plan_change.change(tx, TENANT, plan_named(name), world.now, by="a test")


def buffer(world: World, pieces: int) -> None:
    with transaction(world.store) as tx:
        set_rule(tx, TENANT, EVERY_ACCOUNT, EVERY_SKU, world.now, by="m", safety_stock=pieces, adaptive=False)


def rises(world: World) -> list[tuple[int, int]]:
    found = []
    with transaction(world.store) as tx:
        for account_id, outlets in plan_change.outlets_under_rules(tx, TENANT).items():
            found += plan_change.rises(tx, TENANT, account_id, outlets, CAN[account_id], world.now)
    return [(one.shows, one.would_show) for one in found]


@pytest.mark.parametrize("name", ["free", "starter", "pro", "agency", "enterprise", "self-hosted"])
def test_under_every_plan_every_order_counts_in_the_ledger(world: World, name: str) -> None:
    give(world, name)
    world.hear(EBAY, order("E-1", world.now, MUG=3))
    assert world.k("MUG") == 5
    check(world)


class TestInventory:
    def test_without_it_nothing_is_read_or_told_and_listings_stay_dirty(self, world: World) -> None:
        give(world, "free")
        world.hear(EBAY, order("E-1", world.now, MUG=3))
        world.wake()
        with transaction(world.store) as tx:
            due = look(tx, TENANT, AMAZON, CAN[AMAZON], world.now)
        assert (due.read, due.write) == (None, None)
        assert world.value("SELECT COUNT(*) FROM dirty_listing") > 0
        give(world, "starter")
        with transaction(world.store) as tx:
            assert look(tx, TENANT, AMAZON, CAN[AMAZON], world.now).read is not None

    def test_without_it_nothing_new_is_held_in_the_shop_and_with_it_again_what_waits_is(self, world: World) -> None:
        give(world, "free")
        world.hear(EBAY, order("E-1", world.now, paid=False, MUG=3))
        world.tick(60)
        assert world.plan_moves() is None
        give(world, "starter")
        assert world.plan_moves() is not None

    def test_closing_every_listing_needs_no_plan(self, world: World) -> None:
        give(world, "free")
        with transaction(world.store) as tx:
            assert not account_row(tx, TENANT, EBAY).writes
            change_setting(tx, TENANT, EBAY, "show_zero", "1")
            assert account_row(tx, TENANT, EBAY).writes

    def test_a_downgrade_says_which_listings_will_not_hear_of_sales_and_leaves_a_task(self, world: World) -> None:
        with transaction(world.store) as tx:
            tx.run("UPDATE slot SET believed = 8")
            tx.run("INSERT INTO slot (tenant_id, outlet_id, account_id, write_unit, believed) SELECT tenant_id, outlet_id, account_id, write_unit, 8 FROM outlet WHERE account_id = 3 ON CONFLICT DO NOTHING")  # fmt: skip
        told = give(world, "free")
        assert "1 listings show more than 0 and will not hear of sales" in told.warnings[0]
        assert world.tasks("plan_lacks") == ["plan_lacks"]
        give(world, "starter")
        assert world.tasks("plan_lacks") == []


class TestPrices:
    def test_without_it_prices_are_left_alone_and_with_it_again_they_are_looked_at(self, world: World) -> None:
        with transaction(world.store) as tx:
            switch(tx, TENANT, EBAY, follow=True, now=world.now, by="m")
            tx.run("DELETE FROM price_mark")
        give(world, "free")
        with transaction(world.store) as tx:
            assert not policy_of(tx, TENANT, EBAY).follows
            with pytest.raises(NotInPlan, match="Price sync is not in the plan Free; Starter"):
                switch(tx, TENANT, ETSY, follow=True, now=world.now, by="m")
            switch(tx, TENANT, AMAZON, follow=False, now=world.now, by="m")  # to leave alone needs no plan
        give(world, "starter")
        with transaction(world.store) as tx:
            assert policy_of(tx, TENANT, EBAY).follows
        assert world.value("SELECT COUNT(*) FROM price_mark") == 1


class TestBufferStock:
    def test_without_it_no_rule_is_changed_and_with_it_again_it_is(self, world: World) -> None:
        change = [Change(Selector(goods="sku", value="MUG"), OfferRule(Selector(goods="sku", value="MUG")))]
        give(world, "starter")
        with (
            pytest.raises(NotInPlan, match="Buffer stock is not in the plan Starter; Pro"),
            transaction(world.store) as tx,
        ):
            rule_changes.make(tx, TENANT, change, world.now, by="m")
        assert world.rows("SELECT 1 FROM offer_rule") == []
        give(world, "pro")
        with transaction(world.store) as tx:
            rule_changes.make(tx, TENANT, change, world.now, by="m")
        assert world.rows("SELECT value FROM offer_rule") == [("MUG",)]


class TestImports:
    def test_without_it_orders_wait_and_with_it_again_they_are_imported_once(self, world: World) -> None:
        give(world, "free")
        world.hear(EBAY, order("E-1", world.now, MUG=3))
        world.run_hub()
        assert (world.order(EBAY, "E-1", "hub_order_id"), world.plan_import()) == (None, None)
        with transaction(world.store) as tx:
            assert plan_change.show(tx, TENANT).waiting.imports == 1
        give(world, "starter")
        world.run_hub()
        assert world.order(EBAY, "E-1", "hub_order_id") is not None
        check(world)

    def test_a_call_that_had_no_answer_is_looked_after_all_the_same(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, MUG=3))
        call = world.plan_import()
        assert call is not None
        world.restart()
        give(world, "free")
        world.tick(120)
        assert type(world.plan_import()).__name__ == "FindCall"


class TestConflicts:
    def oversell(self, world: World) -> FakeMarket:
        market = FakeMarket(world)
        with transaction(world.store) as tx:
            change_setting(tx, TENANT, AMAZON, short.MODE_SHORT, "auto")
        world.hear(ETSY, order("T-0", world.now, MUG=8))
        world.hear(AMAZON, order("A-1", world.tick(10), MUG=1))
        world.tick(short.GRACE_S + 60)
        world.complete()
        return market

    def test_without_it_a_short_line_is_seen_and_nothing_is_decided(self, world: World) -> None:
        give(world, "free")
        market = self.oversell(world)
        assert (world.line(AMAZON, "A-1", "coverage"), world.tasks()) == ("SHORT", [])
        assert (market.decide(), world.line(AMAZON, "A-1")) == (set(), "O")
        give(world, "starter")
        assert (market.decide(), world.line(AMAZON, "A-1")) == ({AMAZON}, "X")


class TestBuffers:
    def test_a_downgrade_raises_no_number_and_freezes_the_rules(self, world: World) -> None:
        buffer(world, 5)
        assert [world.offer(a, "MUG") for a in (AMAZON, EBAY, ETSY)] == [3, 3, 3]
        told = give(world, "starter")
        assert told.frozen and "oneshelf plan accept-raise" in told.warnings[0]
        assert [world.offer(a, "MUG") for a in (AMAZON, EBAY, ETSY)] == [3, 3, 3]

    def test_the_raise_is_shown_first_and_happens_when_it_is_accepted(self, world: World) -> None:
        give(world, "pro")
        buffer(world, 5)
        give(world, "starter")
        before = world.rows("SELECT * FROM plan")
        shown = rises(world)
        assert [one[0] for one in shown] == [3, 3, 3] and all(one[1] > 3 for one in shown)
        assert world.rows("SELECT * FROM plan") == before  # looking changes nothing
        with transaction(world.store) as tx:
            tx.run("DELETE FROM dirty_listing")
            assert plan_change.accept_raise(tx, TENANT, world.now, by="m")
            assert not plan_change.accept_raise(tx, TENANT, world.now, by="m")
        assert [(3, world.offer(a, "MUG")) for a in (AMAZON, EBAY, ETSY)] == shown
        assert world.value("SELECT COUNT(*) FROM dirty_listing") == 3

    def test_an_upgrade_brings_the_rules_back(self, world: World) -> None:
        buffer(world, 5)
        give(world, "starter")
        with transaction(world.store) as tx:
            plan_change.accept_raise(tx, TENANT, world.now, by="m")
            tx.run("DELETE FROM dirty_listing")
        assert not give(world, "pro").frozen
        assert world.offer(EBAY, "MUG") == 3
        assert world.value("SELECT COUNT(*) FROM dirty_listing") == 3

    def test_from_frozen_to_a_smaller_plan_they_stay_frozen_and_accepted_stays_accepted(self, world: World) -> None:
        buffer(world, 5)
        give(world, "starter")
        assert give(world, "free").frozen
        with transaction(world.store) as tx:
            plan_change.accept_raise(tx, TENANT, world.now, by="m")
        assert not give(world, "starter").frozen

    def test_who_has_no_rules_has_nothing_to_accept(self, world: World) -> None:
        assert not give(world, "starter").frozen
        assert rises(world) == []


def test_a_plan_that_is_none_is_refused_with_the_names(world: World) -> None:
    with pytest.raises(Park, match="no plan 'gold'.*free, starter, pro"):
        plan_named("gold")
    assert plan_named(" Pro ") is PlanName.PRO


def test_a_change_says_what_is_gained_and_lost(world: World) -> None:
    assert give(world, "agency").loses == []  # from self-hosted: the same
    told = give(world, "starter")
    assert (told.gains, told.loses) == ([], [Capability.BUFFER_STOCK, Capability.ROUTING])
    assert told.meanwhile == [
        "Buffer stock: rules that are in force stay in force, and none can be changed",
        "Multi-warehouse routing: orders leave from where Shopify puts them",
    ]
    assert give(world, "self-hosted").gains == told.loses
    assert world.rows("SELECT * FROM plan") == []


def test_what_was_done_is_counted_by_day_and_account(world: World) -> None:
    today = from_us(world.now).date()
    world.hear(EBAY, order("E-1", world.now, MUG=1), order("E-2", world.now, MUG=1))
    world.hear(EBAY, order("E-1", world.now, MUG=1))  # heard again it is no second order
    world.run_hub()
    world.hub_news()  # its copy in the shop is none either
    world.hear(SHOP, order("S-1", world.now, MUG=1))
    with transaction(world.store) as tx:
        found = {(one.day, one.channel): one.orders for one in usage(tx, TENANT, today, today)}
        assert found == {(today, "shopify"): 1, (today, "ebay"): 2}
        assert usage(tx, TENANT, date(1970, 1, 1), datetime(1971, 1, 1, tzinfo=UTC).date()) == []
        assert usage(tx, TENANT + 1, today, today) == []
