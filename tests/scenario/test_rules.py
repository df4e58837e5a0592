"""Rules for offers through the real database: what they speak of, which one speaks, what a change would do, files (SEMANTICS 2.1, 2.4, 2.14)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.scenario.engine import AMAZON, CAN, EBAY, ETSY, SHOP, TENANT, World, order

from oneshelf.channels.contract import HubFacts, ListingFound
from oneshelf.core.offer_rule import Numbers, OfferRule
from oneshelf.core.precedence import Selector
from oneshelf.core.stock import Entry
from oneshelf.db.store import Store, transaction
from oneshelf.listings import policy, risk, rule_sheet
from oneshelf.listings.policy import Change
from oneshelf.onboarding import shop
from oneshelf.publish import approving, guard, rule_changes
from oneshelf.stock import ledger
from oneshelf.watch.explain import Explanation, explain
from oneshelf.watch.replay import Offers, Replayed, replay

MARKETS = {a: CAN[a] for a in (AMAZON, EBAY, ETSY)}


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 8)
    world.open()
    world.complete()
    world.wake()
    return world


def in_tx(world: World, step: Any) -> Any:
    with transaction(world.store) as tx:
        return step(tx)


def keep(world: World, selector: Selector = Selector(), rule: OfferRule = OfferRule(), **numbers: Any) -> None:
    whole = msgspec.structs.replace(rule, selector=selector, numbers=Numbers(**numbers))
    in_tx(world, lambda tx: policy.keep(tx, TENANT, whole, world.now, by="Ada"))


def drop_all(world: World) -> None:
    in_tx(world, lambda tx: tx.run("DELETE FROM offer_rule WHERE tenant_id = :t", t=TENANT))


def facts(world: World, sku: str, **of_it: Any) -> None:
    """The shop tells what it keeps about a product."""
    extra = {"item_id": f"item-{sku}", "variant_id": f"variant-{sku}", "product_id": "p"}
    found = ListingFound(
        f"item-{sku}|L1", f"item-{sku}", (f"variant:{sku}",), sku, sku, 1, extra=extra, facts=HubFacts(**of_it)
    )
    in_tx(world, lambda tx: shop.keep_variants(tx, TENANT, SHOP, [found], world.now))


def why(world: World, account_id: int, sku: str = "MUG") -> Any:
    found: Explanation = in_tx(
        world,
        lambda tx: explain(
            tx, TENANT, sku, now=world.now, can={"amazon": CAN[AMAZON], "ebay": CAN[EBAY], "etsy": CAN[ETSY]}
        ),
    )
    line = next(line for line in found.outlets if line.account_id == account_id)
    assert line.ladder is not None
    assert sum(term.amount for term in line.ladder.terms) == line.ladder.offer * line.ladder.units_per_listing
    return line.ladder


class TestNumbers:
    def test_S2_12_a_buffer_on_two_channels(self, world: World) -> None:
        for channel in ("amazon", "etsy"):
            keep(world, Selector(channel=channel), safety_stock=5)
        assert world.offers("MUG") == (3, 8, 3)
        world.hub.cell("MUG", "L1").on_hand -= 3
        world.read("MUG")
        world.complete()
        world.tick(5)
        world.read("MUG")
        assert world.k("MUG") == 5 and world.offers("MUG") == (0, 5, 0)

    def test_an_exact_number_is_shown_while_buffer_and_stock_allow(self, world: World) -> None:
        keep(world, Selector(EBAY), exactly=2)
        assert world.offer(EBAY, "MUG") == 2
        keep(world, Selector(EBAY), exactly=6, safety_stock=3)
        assert world.offer(EBAY, "MUG") == 5  # the buffer goes first
        keep(world, Selector(EBAY), exactly=50)
        assert world.offer(EBAY, "MUG") == 8
        ladder = why(world, EBAY)
        assert ladder.rules[0].says == "show exactly 50"
        world.hear(SHOP, order("S-1", world.now, MUG=9))
        assert world.k("MUG") == -1 and world.offer(EBAY, "MUG") == 0  # never above what is there

    def test_low_stock_has_numbers_of_its_own(self, world: World) -> None:
        low = OfferRule(low_at=6, low=Numbers(safety_stock=4))
        keep(world, Selector(channel="ebay"), low, safety_stock=1)
        assert world.offer(EBAY, "MUG") == 7
        assert "low stock" not in why(world, EBAY).terms[1].reason
        world.hear(SHOP, order("S-1", world.now, MUG=2))
        assert world.offer(EBAY, "MUG") == 2
        assert why(world, EBAY).terms[1].reason == "rule for every SKU on eBay, its numbers for low stock"

    def test_S2_14_a_rule_leaves_a_location_out(self, store: Store) -> None:
        world = World(store)
        world.item("MUG", L1=5, L2=3)
        world.open()
        keep(world, Selector(EBAY), OfferRule(except_locations=("L1",)))
        assert world.offers("MUG") == (8, 3, 8)
        terms = why(world, EBAY).terms
        assert [(t.name, t.amount) for t in terms[:2]] == [
            ("Available", 8),
            ("Lies where it does not serve this account", -5),
        ]
        in_tx(world, lambda tx: risk.set_locations(tx, TENANT, EBAY, ["L1"], world.now, by="Ada"))
        assert world.offer(EBAY, "MUG") == 0  # L1 serves it, and the rule leaves L1 out

    def test_S1_11_an_exact_number_of_a_part_says_nothing_of_a_bundle(self, world: World) -> None:
        world.item("CUP", 8)
        world.open_stock()
        world.list(EBAY, "SET", {"MUG": 2, "CUP": 1})
        keep(world, Selector(EBAY, "", "sku", "MUG"), exactly=1)
        assert (world.offer(EBAY, "MUG"), world.offer(EBAY, "SET")) == (1, 4)
        keep(world, Selector(EBAY), exactly=3)
        assert world.offer(EBAY, "SET") == 3


class TestWhichSpeaks:
    def test_tags_vendors_and_types_of_the_shop(self, world: World) -> None:
        facts(world, "MUG", vendor="Kiln", product_type="Tableware", tags=("Fragile", "sale"))
        keep(world, Selector(), safety_stock=1)
        assert world.offers("MUG") == (7, 7, 7)
        keep(world, Selector(goods="type", value="tableware"), safety_stock=2)
        keep(world, Selector(goods="vendor", value="KILN"), safety_stock=3)
        assert world.offers("MUG") == (5, 5, 5)
        keep(world, Selector(goods="tag", value="sale"), safety_stock=4)
        keep(world, Selector(goods="tag", value="fragile"), safety_stock=5)
        assert world.offers("MUG") == (3, 3, 3)  # by the alphabet
        keep(world, Selector(goods="tag", value="Sale", rank=1), safety_stock=4)
        assert world.offers("MUG") == (4, 4, 4)  # by rank; the spelling made no second rule
        keep(world, Selector(goods="sku", value="MUG"), safety_stock=6)
        keep(world, Selector(channel="etsy"), safety_stock=7)
        assert world.offers("MUG") == (2, 2, 1)
        trace = why(world, ETSY).rules
        assert [(one.for_what, one.lost) for one in trace[:2]] == [
            ("every SKU on Etsy", ""),
            ("MUG on every marketplace", "a rule for one channel goes before one for all accounts"),
        ]
        assert len(trace) == 7

    def test_what_the_shop_says_of_an_item_moves_its_numbers(self, world: World) -> None:
        keep(world, Selector(goods="tag", value="fragile"), safety_stock=5)
        world.wake()
        in_tx(world, lambda tx: tx.run("DELETE FROM dirty_listing"))
        facts(world, "MUG", tags=("kitchen",))
        assert world.offers("MUG") == (8, 8, 8)
        facts(world, "MUG", tags=("kitchen", "fragile"))
        assert world.offers("MUG") == (3, 3, 3)
        assert world.value("SELECT COUNT(*) FROM dirty_listing") == 3
        in_tx(world, lambda tx: tx.run("DELETE FROM dirty_listing"))
        facts(world, "MUG", tags=("kitchen", "fragile"))
        assert world.value("SELECT COUNT(*) FROM dirty_listing") == 0

    @pytest.mark.parametrize(
        ("rule", "words"),
        (
            (OfferRule(Selector(99)), "account 99 is not connected"),
            (OfferRule(Selector(SHOP)), "rules are for marketplaces"),
            (OfferRule(Selector(channel="etzy")), "no channel 'etzy'"),
            (OfferRule(Selector(goods="sku", value="NOWHERE")), "no SKU NOWHERE"),
            (OfferRule(numbers=Numbers(safety_stock=-1)), "safety stock is 0 or more"),
            (OfferRule(numbers=Numbers(safety_percent=101)), "percentage is 0 to 100"),
            (OfferRule(low=Numbers(cap=1)), "need the level"),
            (OfferRule(low_at=1, low=Numbers(min_show=0)), "smallest number shown of low stock"),
            (OfferRule(except_locations=("L9",)), "no location L9"),
        ),
    )
    def test_what_can_t_be_kept_is_refused_in_words(self, world: World, rule: OfferRule, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            in_tx(world, lambda tx: rule_changes.check(tx, TENANT, [Change(rule.selector, rule)]))


def rule(selector: Selector = Selector(), **numbers: Any) -> Change:
    return Change(selector, OfferRule(selector, Numbers(**numbers)))


def look(world: World, *changes: Change) -> rule_changes.Looked:
    return in_tx(world, lambda tx: rule_changes.look(tx, TENANT, changes, MARKETS, world.now))


class TestPreview:
    def test_a_preview_names_each_listing_and_changes_nothing(self, world: World) -> None:
        world.item("CUP", 2)
        world.open_stock()
        before = world.rows("SELECT * FROM offer_rule"), world.offers("MUG"), world.offers("CUP")
        looked = look(world, rule(Selector(channel="ebay"), safety_stock=2))
        assert [(one.external_id, one.was, one.would) for one in looked.effects] == [("CUP", 2, 0), ("MUG", 8, 6)]
        (ebay,) = looked.accounts
        assert (ebay.channel, ebay.concerned, ebay.weighed.to_zero, ebay.weighed.lower) == ("ebay", 2, 1, 1)
        assert (world.rows("SELECT * FROM offer_rule"), world.offers("MUG"), world.offers("CUP")) == before
        keep(world, Selector(channel="ebay"), safety_stock=2)
        assert (world.offer(EBAY, "CUP"), world.offer(EBAY, "MUG")) == (0, 6)  # as was said
        back = look(world, Change(Selector(channel="ebay"), None))
        assert [(one.external_id, one.was, one.would) for one in back.effects] == [("MUG", 6, 8), ("CUP", 0, 2)]


def bought(world: World, account_id: int, name: str = "MUG", pieces: int = 1) -> None:
    number = world.value("SELECT COUNT(*) FROM orders")
    world.hear(account_id, order(f"O-{number}", world.now, **{name: pieces}))


class TestReplay:
    def replay(self, world: World, *changes: Change) -> Replayed:
        return in_tx(world, lambda tx: replay(tx, TENANT, changes, MARKETS, world.now))

    def test_a_buffer_would_have_kept_the_last_piece_for_the_shop(self, store: Store) -> None:
        """One piece: the shop sells it, and within the minute Amazon sells it once more. Five days later it is counted again."""
        world = World(store)
        world.item("MUG", 1)
        world.open()
        keep(world, adaptive=False)
        world.tick(86_400)
        bought(world, SHOP)
        world.tick(20)
        bought(world, AMAZON)
        assert world.k("MUG") == -1
        world.tick(5 * 86_400)
        found = self.replay(world, rule(safety_stock=1, adaptive=False))
        assert (found.skus, found.happened.sold, found.happened.oversold) == (1, 2, 1)
        assert (found.now.oversold, found.changed.oversold, found.avoided) == (1, 0, 1)
        assert (found.changed.sold, found.withheld) == (1, 1)
        assert [one.sku for one in found.most] == ["MUG"]

    def test_a_buffer_that_nobody_needed_withholds_sales(self, store: Store) -> None:
        world = World(store)
        world.item("MUG", 3)
        world.open()
        keep(world, adaptive=False)
        for _ in range(3):
            world.tick(86_400)
            bought(world, EBAY)
        world.tick(86_400)
        assert world.k("MUG") == 0
        found = self.replay(world, rule(safety_stock=2, adaptive=False))
        assert (found.avoided, found.withheld, found.changed.sold) == (0, 2, 1)
        same = self.replay(world, rule(adaptive=False))
        assert (same.avoided, same.withheld, same.changed) == (0, 0, same.now)
        elsewhere = self.replay(world, rule(Selector(channel="etsy"), safety_stock=2))
        assert (elsewhere.avoided, elsewhere.withheld) == (0, 0)

    def test_a_walk_offers_what_the_planner_offers(self, world: World) -> None:
        """At every stock, under every kind of rule: the replay must not be a second planner."""
        for _ in range(3):
            world.tick(3)
            bought(world, SHOP)
        outlets = {account_id: world.outlet(account_id, "MUG") for account_id in MARKETS}
        rules: tuple[dict[str, Any], ...] = (
            {"safety_stock": 2, "min_show": 3},
            {"safety_percent": 50, "cap": 3},
            {"exactly": 2},
            {"cap_auto": True},
            {"adaptive": False},
        )
        for number, wanted in enumerate(rules * 2):
            keep(world, Selector(channel="ebay"), OfferRule(low_at=2, low=Numbers(safety_stock=1)), **wanted)
            strict = number >= len(rules)
            in_tx(world, lambda tx, strict=strict: risk.set_strict(tx, TENANT, "MUG", strict, world.now, by="Ada"))
            for pieces in (-1, 1, 3, 9, 40):
                change = Entry(f"t:{number}:{pieces}", "MUG", "L1", "counted", on_hand=pieces - world.k("MUG"))
                in_tx(world, lambda tx, change=change: ledger.post(tx, TENANT, [change], world.now))
                offer = in_tx(
                    world, lambda tx: Offers(tx, TENANT, ["MUG"], ["L1", "L2"], MARKETS, (), world.now).of("MUG")
                )
                walked = tuple(offer(outlet_id, [pieces, 0]) for outlet_id in outlets.values())
                assert walked == world.offers("MUG"), (wanted, strict, pieces)

    def test_a_rule_for_other_goods_is_not_walked(self, world: World) -> None:
        bought(world, EBAY)
        world.item("CUP", 5)
        assert self.replay(world, rule(Selector(goods="sku", value="CUP"), safety_stock=1)).skus == 0


class TestFiles:
    def test_rules_go_out_and_come_in_the_same(self, world: World) -> None:
        facts(world, "MUG", tags=("=SUM(A1)",))
        keep(world, Selector(goods="tag", value="=SUM(A1)", rank=3), safety_stock=1, safety_percent=50)
        keep(
            world, Selector(EBAY), OfferRule(low_at=4, low=Numbers(exactly=1), except_locations=("L2",)), cap_auto=True
        )
        text = in_tx(world, lambda tx: rule_sheet.to_csv(policy.all_rules(tx, TENANT)))
        assert "'=SUM(A1)" in text and ",=SUM" not in text  # no spreadsheet takes it for a formula
        again = in_tx(world, lambda tx: rule_sheet.read_csv(tx, TENANT, text))
        assert (again.changes, again.same, again.problems) == ([], 2, [])
        kept = in_tx(world, lambda tx: policy.all_rules(tx, TENANT))
        drop_all(world)
        again = in_tx(world, lambda tx: rule_sheet.read_csv(tx, TENANT, text))
        assert [one.rule for one in again.changes] == kept

    def test_wrong_rows_are_told_by_row_and_right_ones_kept_and_undone(self, world: World) -> None:
        keep(world, Selector(), safety_stock=1)
        keep(world, Selector(ETSY), safety_stock=2)
        text = (
            "action,account,channel,goods,value,keep,set_aside\n"
            ",,,,,3,\n,,amazon,sku,MUG,4,no\n,,,sku,NOWHERE,1,\n,x,,all,,1,\n,,,all,,9,\n,,,tag,sale,-1,\ndrop,4,,all,,,\ndrop,3,,all,,,\n,,,moon,x,1,\n"
        )
        wanted = in_tx(world, lambda tx: rule_sheet.read_csv(tx, TENANT, text))
        assert [number for number, _ in wanted.problems] == [4, 5, 6, 7, 9, 10]
        assert wanted.problems[2] == (6, "row 2 speaks of the same")
        looked = look(world, *wanted.changes)
        waits = in_tx(world, lambda tx: approving.import_rules(tx, TENANT, wanted.changes, looked, world.now, by="Ada"))
        assert waits == 0 and world.offers("MUG") == (4, 5, 5)
        keep(world, Selector(channel="amazon", goods="sku", value="MUG"), safety_stock=8)  # somebody changes one since
        undo = in_tx(world, lambda tx: rule_sheet.last_import(tx, TENANT))
        assert len(undo.changed_since) == 1
        looked = look(world, *undo.changes)
        in_tx(world, lambda tx: approving.undo_import(tx, TENANT, undo, looked, world.now, by="Ada"))
        assert world.offers("MUG") == (0, 7, 6)
        assert in_tx(world, lambda tx: rule_sheet.last_import(tx, TENANT)) is None

    def test_a_file_without_its_columns_is_refused(self, world: World) -> None:
        found = in_tx(world, lambda tx: rule_sheet.read_csv(tx, TENANT, "sku,keep\nMUG,1\n"))
        assert found.problems == [(1, "the file has no column goods, value; it needs goods, value")]


@pytest.fixture
def large(store: Store) -> World:
    """Twelve SKUs of 5 pieces on every channel."""
    world = World(store)
    for number in range(12):
        world.item(f"SKU-{number:02}", 5)
    world.open()
    world.complete()
    world.wake()
    return world


def decided(world: World, *changes: Change) -> rule_changes.Changed:
    return in_tx(
        world,
        lambda tx: rule_changes.decide(
            tx, TENANT, changes, rule_changes.look(tx, TENANT, changes, MARKETS, world.now), world.now, by="Ada"
        ),
    )


class TestGuard:
    def test_a_rule_that_empties_an_account_waits_and_is_made_on_a_yes(self, large: World) -> None:
        done = decided(large, rule(Selector(EBAY), safety_stock=5))
        assert done.guard_no and done.looked.alarm == "Ebay: 12 of 12 listings would show 0"
        assert large.offer(EBAY, "SKU-00") == 5 and large.tasks("guard_waits") == ["guard_waits"]
        (waiting,) = in_tx(large, lambda tx: guard.waiting(tx, TENANT))
        assert waiting.effect[0]["weighed"]["to_zero"] == 12
        in_tx(large, lambda tx: approving.approve(tx, TENANT, done.guard_no, large.now, by="Ada"))
        assert large.offers("SKU-00") == (5, 0, 5) and large.tasks("guard_waits") == []
        with pytest.raises(LookupError, match="no change 1 waits"):
            in_tx(large, lambda tx: approving.approve(tx, TENANT, done.guard_no, large.now, by="Ada"))

    def test_a_rule_that_multiplies_waits_and_is_forgotten_on_a_no(self, large: World) -> None:
        keep(large, Selector(EBAY), safety_stock=4)
        done = decided(large, Change(Selector(EBAY), None))
        assert done.guard_no and "3 times as much" in done.looked.alarm
        assert in_tx(large, lambda tx: guard.refuse(tx, TENANT, done.guard_no, large.now, by="Ada")) is True
        assert large.offer(EBAY, "SKU-00") == 1 and in_tx(large, lambda tx: guard.waiting(tx, TENANT)) == []

    @pytest.mark.parametrize("limits", ({"on": False}, {"least": 13}, {"percent": 100}))
    def test_its_limits_are_the_merchants(self, large: World, limits: dict[str, Any]) -> None:
        wanted = msgspec.structs.replace(guard.Limits(), **limits)
        in_tx(large, lambda tx: guard.set_limits(tx, TENANT, wanted, large.now, by="Ada"))
        assert decided(large, rule(Selector(EBAY), safety_stock=5)).guard_no == 0
        assert large.offer(EBAY, "SKU-00") == 0

    def test_a_few_listings_go_at_once(self, large: World) -> None:
        for number in range(9):
            assert decided(large, rule(Selector(EBAY, "", "sku", f"SKU-{number:02}"), safety_stock=5)).guard_no == 0
        assert large.offer(EBAY, "SKU-08") == 0

    def test_links_from_a_file_and_other_locations_wait_too(self, large: World) -> None:
        large.item("NONE", 0)
        links = {large.outlet(EBAY, f"SKU-{number:02}"): {"NONE": 1} for number in range(12)}
        wanted = approving.Wanted(links, [], 0, [])
        done = in_tx(large, lambda tx: approving.change_links(tx, TENANT, wanted, MARKETS, large.now, by="Ada"))
        assert done.guard_no and large.offer(EBAY, "SKU-00") == 5
        other = in_tx(
            large, lambda tx: approving.change_locations(tx, TENANT, EBAY, ["L2"], MARKETS, large.now, by="Ada")
        )
        assert other.guard_no and large.offer(EBAY, "SKU-00") == 5
        for number in (other.guard_no, done.guard_no):
            in_tx(large, lambda tx, number=number: approving.approve(tx, TENANT, number, large.now, by="Ada"))
        assert large.offer(EBAY, "SKU-00") == 0
        assert large.rows("SELECT DISTINCT sku FROM link WHERE outlet_id = :o", o=large.outlet(EBAY, "SKU-05")) == [
            ("NONE",)
        ]
