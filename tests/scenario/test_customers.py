"""One person, across channels: matching, counters, stages, merging, forgetting (SEMANTICS 11, 14.7; I23)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from tests.scenario.engine import AMAZON, EBAY, ETSY, SHOP, TENANT, World, changed, key_of, order

from oneshelf.core.facts import Address, BuyerSeen, ErasureAsked, Money, OrderSeen, Payment
from oneshelf.core.instants import SECOND
from oneshelf.core.outcome import Rejected
from oneshelf.core.plan import NotInPlan
from oneshelf.core.stage import StageRules
from oneshelf.customers import (
    catching_up,
    counting,
    erasing_customer,
    exporting,
    merging,
    privacy,
    profiles,
    retention,
    stages,
    ticking,
)
from oneshelf.customers.hub_customer import hub_customer_of
from oneshelf.db.store import Store, transaction
from oneshelf.imports.copy_orders import CreateCall

DAY = 86_400 * SECOND
PHONE = "+12125550123"
HOME = Address(name="Jane Doe", line1="1 Road", city="New York", postal_code="10001", country="US")
JANE = BuyerSeen(channel_buyer_id="7", name="Jane Doe", email="Jane@X.com", phone=PHONE)


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 100)
    return world.open()


def by(seen: OrderSeen, buyer: BuyerSeen | None, ship_to: Address | None = HOME) -> OrderSeen:
    return msgspec.structs.replace(seen, buyer=buyer, ship_to=ship_to)


def buys(
    world: World,
    account_id: int,
    order_id: str,
    buyer: BuyerSeen | None,
    ship_to: Address | None = HOME,
    pieces: int = 1,
) -> OrderSeen:
    """A paid order is heard; a minute passes."""
    seen = by(order(order_id, world.now, MUG=pieces), buyer, ship_to)
    world.hear(account_id, seen)
    world.tick(60)
    return seen


def copy_of(order_id: str, seen: OrderSeen) -> OrderSeen:
    """The shop's copy of an Etsy order."""
    return msgspec.structs.replace(seen, copy_of_key=key_of(ETSY, order_id))


def customer_of(world: World, account_id: int, order_id: str) -> int | None:
    rows = world.rows(
        "SELECT c.root_no FROM orders o JOIN customer_order k ON k.order_no = o.order_no JOIN customer c ON c.customer_no = k.customer_no "
        f"WHERE o.account_id = {account_id} AND o.order_id = '{order_id}'"
    )
    return rows[0][0] if rows else None


def rule_of(world: World, order_id: str) -> str:
    return str(
        world.rows(
            f"SELECT k.rule FROM customer_order k JOIN orders o ON o.order_no = k.order_no WHERE o.order_id = '{order_id}'"
        )[0][0]
    )


def look(world: World, number: int) -> profiles.Profile:
    with transaction(world.store) as tx:
        return profiles.profile(tx, TENANT, number)


def do(world: World, step: Any, *numbers: int) -> Any:
    with transaction(world.store) as tx:
        return step(tx, TENANT, *numbers, world.now, by="merchant")


def suggested(world: World, state: str = "OPEN") -> list[merging.Suggestion]:
    with transaction(world.store) as tx:
        return merging.suggestions(tx, TENANT, state=state)


def agrees(world: World) -> None:
    """I23, counted again from the stored orders."""
    with transaction(world.store) as tx:
        assert counting.differing_sums(tx, TENANT) == []
        assert counting.differing_orders(tx, TENANT, 0, 10_000) == ([], None)


class TestMatching:
    def test_S11_1_the_channels_own_buyer_comes_first(self, world: World) -> None:
        buys(world, EBAY, "E-1", BuyerSeen(channel_buyer_id="jane_7", name="Jane"), None)
        buys(world, EBAY, "E-2", BuyerSeen(channel_buyer_id="JANE_7", name="Janet"), None)
        assert (rule_of(world, "E-1"), rule_of(world, "E-2")) == ("d", "a")
        assert customer_of(world, EBAY, "E-1") == customer_of(world, EBAY, "E-2")
        buys(world, ETSY, "R-1", BuyerSeen(channel_buyer_id="jane_7", name="Jane"), None)  # another channel's name
        assert customer_of(world, ETSY, "R-1") != customer_of(world, EBAY, "E-1")

    def test_S11_1_b_an_email_is_trimmed_and_lower_case_and_nothing_else(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        buys(world, ETSY, "R-1", BuyerSeen(channel_buyer_id="77", email=" jane@x.COM "), None)
        buys(world, ETSY, "R-2", BuyerSeen(channel_buyer_id="78", email="jane+etsy@x.com"), None)
        assert rule_of(world, "R-1") == "b" and customer_of(world, ETSY, "R-1") == 1
        assert rule_of(world, "R-2") == "d"

    def test_S11_1_c_a_phone_counts_for_one_hub_customer_of_the_same_family_name(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        mine = msgspec.structs.replace(HOME, phone="(212) 555-0123", postal_code="99999", name="DOE, Janet")
        buys(world, AMAZON, "A-1", None, mine)
        assert rule_of(world, "A-1") == "c" and customer_of(world, AMAZON, "A-1") == 1
        buys(world, AMAZON, "A-2", None, msgspec.structs.replace(mine, name="Jane Roe"))
        assert rule_of(world, "A-2") == "d"
        assert [(one.why, one.sure) for one in suggested(world)] == [(("the same phone",), "possible")]

    def test_FC_J07_a_shared_number_with_two_e_mails_decides_nothing(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        buys(
            world, SHOP, "1002", BuyerSeen(channel_buyer_id="8", name="John Doe", email="john@x.com", phone=PHONE), None
        )
        buys(world, AMAZON, "A-1", BuyerSeen(name="Jane Doe"), msgspec.structs.replace(HOME, phone=PHONE))
        assert rule_of(world, "1002") == "d"  # FC-J07: another e-mail in the same house
        assert rule_of(world, "A-1") == "d"
        assert {one.sure for one in suggested(world)} == {"very likely", "likely"}

    def test_FC_J02_the_same_phone_and_name_on_two_marketplaces_is_a_suggestion_and_no_merge(
        self, world: World
    ) -> None:
        buys(world, EBAY, "E-1", BuyerSeen(channel_buyer_id="jane", name="Jane Doe", phone=PHONE))
        buys(world, AMAZON, "A-1", None, msgspec.structs.replace(HOME, phone=PHONE))
        assert rule_of(world, "A-1") == "d"
        assert [one.sure for one in suggested(world)] == ["very likely"]

    @pytest.mark.parametrize("phone", ["0000000000", "+1 212 555 0123 ext. 4711", "call me"])
    def test_a_number_that_is_nobodys_joins_nobody(self, world: World, phone: str) -> None:
        """Amazon forwards calls of many buyers through one number and tells them apart by the extension."""
        for n in range(2):
            buys(world, SHOP, f"100{n}", BuyerSeen(channel_buyer_id=f"{n}", name="Jane Doe", phone=phone), None)
        assert customer_of(world, SHOP, "1000") != customer_of(world, SHOP, "1001") and not suggested(world)

    def test_a_presents_phone_is_not_the_buyers(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        friend = Address(name="Jim Roe", postal_code="1", phone=PHONE, country="US")
        buys(world, ETSY, "R-1", BuyerSeen(channel_buyer_id="5", name="Ann Poe"), friend)
        assert rule_of(world, "R-1") == "d" and not suggested(world)

    def test_FC_J01_a_relay_address_is_known_again_in_its_channel_and_nowhere_else(self, world: World) -> None:
        relay = BuyerSeen(name="J", email="Abc@marketplace.amazon.de", email_is_relay=True)
        buys(world, AMAZON, "A-1", relay, None)
        buys(world, ETSY, "R-1", BuyerSeen(channel_buyer_id="9", name="K", email="abc@marketplace.amazon.de"), None)
        buys(world, SHOP, "1001", BuyerSeen(channel_buyer_id="1", name="L", email="abc@marketplace.amazon.de"), None)
        buys(world, SHOP, "1002", BuyerSeen(name="M", email="abc@marketplace.amazon.de"), None)  # other software's copy
        orders = ((AMAZON, "A-1"), (ETSY, "R-1"), (SHOP, "1001"), (SHOP, "1002"))
        assert len({customer_of(world, *one) for one in orders}) == 4

    @pytest.mark.parametrize("blank", [None, "", " "])
    def test_FC_J01_guests_without_an_address_are_not_one_person(self, world: World, blank: str | None) -> None:
        buys(world, EBAY, "E-1", BuyerSeen(name="Jane", email=blank), None)
        buys(world, SHOP, "1001", BuyerSeen(name="John", email=blank), None)
        buys(world, EBAY, "E-2", BuyerSeen(name="Joan", email=blank), None)
        assert len({customer_of(world, *one) for one in ((EBAY, "E-1"), (SHOP, "1001"), (EBAY, "E-2"))}) == 3

    def test_FC_J03_a_relay_address_with_the_orders_mark_and_without_is_one_buyer(self, world: World) -> None:
        relay = BuyerSeen(name="J", email="Abc@marketplace.amazon.de", email_is_relay=True)
        buys(world, AMAZON, "A-1", relay, None)
        buys(world, AMAZON, "A-2", msgspec.structs.replace(relay, email="abc+111-222@marketplace.amazon.de"), None)
        assert rule_of(world, "A-2") == "a" and customer_of(world, AMAZON, "A-2") == customer_of(world, AMAZON, "A-1")

    def test_S11_3_email_wins_over_a_phone_and_the_conflict_is_flagged(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        buys(
            world,
            SHOP,
            "1002",
            BuyerSeen(channel_buyer_id="8", name="Ann Poe", email="ann@x.com", phone="+12125550199"),
            None,
        )
        buys(world, ETSY, "R-1", BuyerSeen(channel_buyer_id="77", name="Ann Poe", email="ann@x.com", phone=PHONE), None)
        assert customer_of(world, ETSY, "R-1") == customer_of(world, SHOP, "1002") != customer_of(world, SHOP, "1001")
        assert [(one.first_no, one.second_no, one.conflict) for one in suggested(world)] == [(1, 2, True)]

    def test_an_order_that_names_nobody_has_no_customer_until_it_does(self, world: World) -> None:
        """S14.7: what is withheld is completed later. Blank never matches (FC-J01)."""
        buys(world, SHOP, "1001", JANE)
        seen = buys(world, AMAZON, "A-1", None, Address(city="New York", country="US"))
        assert customer_of(world, AMAZON, "A-1") is None
        later = by(changed(seen, world.tick()), None, msgspec.structs.replace(HOME, phone=PHONE))
        world.hear(AMAZON, later)
        assert customer_of(world, AMAZON, "A-1") == 1 and look(world, 1).customer.purchases == 2
        agrees(world)

    def test_S14_7_a_profile_of_one_order_goes_when_the_order_turns_out_to_be_somebodys(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        seen = buys(world, ETSY, "R-1", BuyerSeen(channel_buyer_id="77", name="J"), None)
        assert customer_of(world, ETSY, "R-1") == 2
        world.hear(
            ETSY, by(changed(seen, world.tick()), BuyerSeen(channel_buyer_id="77", name="J", email="jane@x.com"))
        )
        assert customer_of(world, ETSY, "R-1") == 1
        assert world.rows("SELECT customer_no FROM customer") == [(1,)]
        buys(world, ETSY, "R-2", BuyerSeen(channel_buyer_id="77"), None)
        assert customer_of(world, ETSY, "R-2") == 1
        agrees(world)

    def test_a_profile_of_two_orders_stays_and_a_person_is_asked(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        seen = buys(world, ETSY, "R-1", BuyerSeen(channel_buyer_id="77", name="J"), None)
        buys(world, ETSY, "R-2", BuyerSeen(channel_buyer_id="77", name="J"), None)
        world.hear(
            ETSY, by(changed(seen, world.tick()), BuyerSeen(channel_buyer_id="77", name="J", email="jane@x.com"))
        )
        assert customer_of(world, ETSY, "R-1") == customer_of(world, ETSY, "R-2") == 2
        assert [(one.first_no, one.second_no, one.why) for one in suggested(world)] == [(1, 2, ("the same e-mail",))]

    def test_many_who_share_a_phone_are_not_suggested(self, world: World) -> None:
        for n in range(9):
            buys(world, EBAY, f"E-{n}", BuyerSeen(channel_buyer_id=f"b{n}", name=f"A N{n}", phone=PHONE), None)
        assert len(suggested(world)) == 15  # among the first six; the seventh says that the number is nobody's
        assert len(world.rows("SELECT 1 FROM customer_sign WHERE sign LIKE 'phone:%'")) == 6

    def test_a_batch_sees_what_it_taught_itself(self, world: World) -> None:
        first = by(order("1001", world.now, MUG=1), JANE)
        second = by(order("1002", world.now, MUG=1), JANE)
        world.hear(SHOP, first, handled=False)
        world.hear(SHOP, second, handled=False)
        world.hear(ETSY, by(order("R-1", world.now, MUG=1), BuyerSeen(email="jane@x.com")), handled=False)
        world.handle()
        assert world.rows("SELECT customer_no, purchases FROM customer") == [(1, 3)]

    def test_I20_a_sign_of_one_tenant_is_not_one_of_another(self) -> None:
        from oneshelf.core.person import Person, signs_of

        assert not {s.key for s in signs_of(1, "etsy", Person(JANE, HOME)).all} & {
            s.key for s in signs_of(2, "etsy", Person(JANE, HOME)).all
        }


class TestScenarioB:
    """S11.6, as the user tells it; twice, once for each marketplace."""

    def test_S11_6_jane_of_the_shop_buys_on_etsy_with_her_real_email(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE, pieces=2)
        assert (look(world, 1).customer.stage, look(world, 1).customer.purchases) == ("new", 1)
        buys(world, ETSY, "R-1", BuyerSeen(channel_buyer_id="77", name="Jane Doe", email="jane@x.com"))
        jane = look(world, 1)
        assert jane.customer.per_channel == {"etsy": 1, "shopify": 1} and jane.customer.purchases == 2
        assert (jane.customer.pieces, jane.customer.stage, jane.customer.favourite) == (3, "active", "etsy")
        assert jane.customer.money == (profiles.Money("EUR", 2, 3000, 0, 1500),)
        assert [(one.channel, one.rule) for one in jane.orders] == [
            ("etsy", "the same e-mail"),
            ("shopify", "a new customer"),
        ]
        told_by = {(one.kind, one.channel): one.from_order for one in jane.known_by}
        assert told_by[("buyer", "etsy")] == "R-1" and told_by[("email", "")] == "1001"
        assert [(one.before, one.after) for one in jane.stages] == [("", "new"), ("new", "active")]
        assert world.rows("SELECT subject, detail FROM journal WHERE what = 'Customer stage changed'") == [
            ("customer:1", '{"before": "new", "after": "active", "why": "2 purchases"}')
        ]
        assert world.rows("SELECT COUNT(*) FROM customer") == [(1,)] and not suggested(world)
        agrees(world)

    def test_S11_6_on_amazon_her_phone_names_her_and_without_it_a_person_is_asked(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        relay = BuyerSeen(name="Jane Doe", email="q1@marketplace.amazon.com", email_is_relay=True)
        buys(world, AMAZON, "A-1", relay, msgspec.structs.replace(HOME, phone=PHONE))
        assert rule_of(world, "A-1") == "c" and look(world, 1).customer.per_channel == {"amazon": 1, "shopify": 1}
        buys(world, AMAZON, "A-2", msgspec.structs.replace(relay, email="q2@marketplace.amazon.com"))
        assert customer_of(world, AMAZON, "A-2") == 2
        (one,) = suggested(world)
        assert (one.first_no, one.second_no, one.sure) == (1, 2, "likely")
        assert (one.why, one.channel, one.order_id) == (("the same full name and postal code",), "amazon", "A-2")
        do(world, merging.confirm, 2, 1)
        jane = look(world, 2)
        assert (jane.customer.customer_no, jane.parts, jane.customer.purchases, jane.customer.stage) == (
            1,
            (2,),
            3,
            "loyal",
        )
        buys(world, AMAZON, "A-3", msgspec.structs.replace(relay, email="q2@marketplace.amazon.com"))
        assert look(world, 1).customer.purchases == 4
        agrees(world)


class TestCounting:
    def test_FC_J05_an_order_told_again_counts_once_and_a_cancel_takes_it_back(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        seen = buys(world, ETSY, "R-1", BuyerSeen(email="jane@x.com"), pieces=3)
        world.hear(ETSY, seen, seen)
        world.hear(ETSY, changed(seen, world.tick()))
        assert (look(world, 1).customer.purchases, look(world, 1).customer.pieces) == (2, 4)
        world.hear(ETSY, changed(seen, world.tick(), cancelled=True))
        jane = look(world, 1).customer
        assert (jane.purchases, jane.pieces, jane.per_channel, jane.stage) == (1, 1, {"shopify": 1}, "new")
        assert jane.money == (profiles.Money("EUR", 1, 1000, 0, 1000),)
        assert [one.counted for one in look(world, 1).orders] == [False, True]
        agrees(world)

    def test_an_unpaid_order_counts_when_it_is_paid(self, world: World) -> None:
        pending = by(order("A-1", world.now, paid=False, MUG=1), JANE)
        world.hear(AMAZON, pending)
        assert (look(world, 1).customer.purchases, look(world, 1).customer.stage) == (0, "")
        world.hear(AMAZON, by(changed(pending, world.tick(), payment=Payment.PAID), JANE))
        assert (look(world, 1).customer.purchases, look(world, 1).customer.stage) == (1, "new")
        agrees(world)

    def test_refunds_stand_beside_the_spend(self, world: World) -> None:
        seen = buys(world, ETSY, "R-1", JANE, pieces=2)
        world.hear(ETSY, msgspec.structs.replace(changed(seen, world.tick()), refunded=Money(500, "EUR")))
        assert look(world, 1).customer.money == (profiles.Money("EUR", 1, 2000, 500, 2000),)
        agrees(world)

    def test_a_hub_copy_counts_nothing_and_tells_the_shops_customer(self, world: World) -> None:
        buys(world, ETSY, "R-1", BuyerSeen(channel_buyer_id="77", name="Jane Doe", email="jane@x.com"))
        copy = copy_of("R-1", by(order("1002", world.now, MUG=1), JANE))
        world.hear(SHOP, copy)
        jane = look(world, 1)
        assert (jane.customer.purchases, jane.customer.in_hub, jane.customer.per_channel) == (1, True, {"etsy": 1})
        assert ("buyer", "shopify") in {(one.kind, one.channel) for one in jane.known_by}
        buys(world, SHOP, "1003", BuyerSeen(channel_buyer_id="7", email="new@x.com"), None)
        assert customer_of(world, SHOP, "1003") == 1
        agrees(world)

    def test_a_hub_order_that_turns_out_to_be_a_copy_counts_no_more(self, world: World) -> None:
        """S0.6: the shop's copy was heard first, made by other software."""
        world.hear(SHOP, copy_of("R-1", by(order("1002", world.now, MUG=1), JANE)))
        assert look(world, 1).customer.purchases == 1
        buys(world, ETSY, "R-1", BuyerSeen(channel_buyer_id="77", name="Jane Doe", email="jane@x.com"))
        assert look(world, 1).customer.per_channel == {"etsy": 1}
        agrees(world)

    def test_what_another_wrote_into_the_counters_is_found(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        world.rows("UPDATE customer SET purchases = 5 RETURNING 1")
        world.rows("UPDATE customer_order SET pieces = 9 RETURNING 1")
        with transaction(world.store) as tx:
            assert len(counting.differing_sums(tx, TENANT)) == 1
            assert len(counting.differing_orders(tx, TENANT, 0, 10)[0]) == 1


class TestStages:
    def test_time_alone_moves_a_customer_who_buys_nothing(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        for days, stage in ((31, "active"), (150, "at_risk"), (190, "lapsed")):
            world.tick(days * 86_400)
            with transaction(world.store) as tx:
                assert not ticking.tick(tx, TENANT, world.now)
            assert look(world, 1).customer.stage == stage
        assert [(one.before, one.after, one.why) for one in look(world, 1).stages] == [
            ("", "new", "the first purchase"),
            ("new", "active", "bought within 180 days"),
            ("active", "at_risk", "no purchase for 180 days"),
            ("at_risk", "lapsed", "no purchase for 365 days"),
        ]
        buys(world, ETSY, "R-1", BuyerSeen(email="jane@x.com"))
        assert look(world, 1).customer.stage == "active"

    def test_other_rules_are_shown_before_they_are_taken(self, world: World) -> None:
        for n in range(3):
            buys(world, SHOP, f"100{n}", JANE)
        rules = StageRules(vip_spend_minor=3000, vip_currency="EUR")
        with transaction(world.store) as tx:
            assert ticking.preview(tx, TENANT, rules, world.now)["vip"] == 1
            assert stages.counts(tx, TENANT)["loyal"] == 1
            stages.set_rules(tx, TENANT, rules, world.now, by="merchant")
            ticking.tick(tx, TENANT, world.now)
        jane = look(world, 1).customer
        assert (jane.stage, jane.stage_why) == ("vip", "spent 30.00 EUR or more")

    @pytest.mark.parametrize(
        "changes", [{"at_risk_days": 400}, {"loyal_purchases": 11}, {"new_days": 0}, {"vip_spend_minor": 5}]
    )
    def test_rules_that_contradict_each_other_are_refused(self, changes: dict[str, int]) -> None:
        with pytest.raises(ValueError, match="must be|can't|each|amount"):
            StageRules(**changes)


class TestMerging:
    def test_a_merge_shows_both_and_taking_apart_restores_both(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        world.tick(DAY // SECOND)
        buys(world, EBAY, "E-1", BuyerSeen(channel_buyer_id="jd", name="J D"), None)
        before = (look(world, 1), look(world, 2))
        merged = do(world, merging.merge, 2, 1)
        assert (merged.customer_no, merged.into, merged.both_in_hub) == (2, 1, False)
        assert look(world, 2).customer.per_channel == {"ebay": 1, "shopify": 1}
        world.tick(5)
        do(world, merging.unmerge, 2)
        after = (look(world, 1), look(world, 2))
        assert [msgspec.structs.replace(one, stages=()) for one in before] == [
            msgspec.structs.replace(one, stages=()) for one in after
        ]
        agrees(world)

    def test_S11_3_two_hub_customers_are_merged_here_and_stay_two_there(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        buys(world, SHOP, "1002", BuyerSeen(channel_buyer_id="8", name="J", email="j@y.com"), None)
        assert len(world.rows("SELECT 1 FROM customer")) == 2
        assert do(world, merging.merge, 2, 1).both_in_hub
        buys(world, ETSY, "R-1", BuyerSeen(email="j@y.com"), None)
        number = world.rows("SELECT order_no FROM orders WHERE order_id = 'R-1'")[0][0]
        with transaction(world.store) as tx:
            assert hub_customer_of(tx, TENANT, number) == "8"  # the copy stands under the one whose e-mail it is

    def test_an_order_that_came_in_between_goes_where_its_evidence_says(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        buys(world, EBAY, "E-1", BuyerSeen(channel_buyer_id="jd", name="J D"), None)
        do(world, merging.merge, 1, 2)
        buys(world, EBAY, "E-2", BuyerSeen(channel_buyer_id="jd", name="J D", email="jane@x.com"), None)
        buys(world, ETSY, "R-1", BuyerSeen(channel_buyer_id="77", email="jane@x.com"), None)
        assert look(world, 1).customer.purchases == 4
        do(world, merging.unmerge, 1)
        assert look(world, 1).customer.per_channel == {"etsy": 1, "shopify": 1}
        assert look(world, 2).customer.per_channel == {"ebay": 2}
        agrees(world)

    def test_words_that_can_not_be_taken_say_why(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        for step, numbers, words in (
            (merging.merge, (1, 1), "are one already"),
            (merging.merge, (1, 9), "There is no customer 9"),
            (merging.unmerge, (1,), "is not part of another"),
            (merging.confirm, (1, 1), "Nothing was suggested"),
            (merging.dismiss, (1, 1), "Nothing was suggested"),
        ):
            with pytest.raises(merging.NotMerged, match=words):
                do(world, step, *numbers)

    def test_a_dismissed_suggestion_does_not_come_back(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        buys(world, EBAY, "E-1", BuyerSeen(channel_buyer_id="jd", name="Jane Doe"))
        do(world, merging.dismiss, 2, 1)
        buys(world, EBAY, "E-2", BuyerSeen(channel_buyer_id="jd", name="Jane Doe"))
        assert not suggested(world) and len(suggested(world, "DISMISSED")) == 1
        # A part that is merged in later brings no second question about the same two.
        buys(world, EBAY, "E-3", BuyerSeen(channel_buyer_id="other", name="X Y"), None)
        do(world, merging.merge, 3, 2)
        buys(world, EBAY, "E-4", BuyerSeen(channel_buyer_id="other", name="Jane Doe"))
        assert not suggested(world)

    def test_who_was_taken_apart_is_not_suggested_again(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        buys(world, EBAY, "E-1", BuyerSeen(channel_buyer_id="jd", name="Jane Doe"))
        do(world, merging.confirm, 1, 2)
        assert not suggested(world) and len(suggested(world, "CONFIRMED")) == 1
        do(world, merging.unmerge, 2)
        buys(world, EBAY, "E-2", BuyerSeen(channel_buyer_id="jd", name="Jane Doe"))
        assert not suggested(world) and len(suggested(world, "DISMISSED")) == 1

    def test_a_part_that_has_parts_is_taken_out_with_them(self, world: World) -> None:
        for n in range(1, 4):
            buys(world, EBAY, f"E-{n}", BuyerSeen(channel_buyer_id=f"b{n}", name=f"N{n}"), None)
        do(world, merging.merge, 3, 2)
        do(world, merging.merge, 2, 1)
        assert (look(world, 3).customer.customer_no, look(world, 1).customer.purchases) == (1, 3)
        with pytest.raises(merging.NotMerged, match="holds 2, 3: name the one"):
            do(world, merging.unmerge, 1)
        do(world, merging.unmerge, 2)
        assert (look(world, 3).customer.customer_no, look(world, 2).parts, look(world, 1).parts) == (2, (3,), ())
        agrees(world)


class TestForgetting:
    def erased(self, world: World) -> None:
        for _ in range(20):
            with transaction(world.store) as tx:
                if not privacy.step(tx, TENANT, world.now):
                    return

    def test_S11_5_an_erased_customer_keeps_purchases_and_is_nobody(self, world: World) -> None:
        seen = buys(world, ETSY, "R-1", JANE)
        world.hear(ETSY, changed(seen, world.tick(), shipped=1))
        other = buys(world, EBAY, "E-1", BuyerSeen(channel_buyer_id="jd", email="jane@x.com", name="Jane Doe"))
        with transaction(world.store) as tx:
            found = erasing_customer.erase(tx, TENANT, 1, world.now, by="merchant")
        assert (found.orders, found.waiting) == (2, 1)
        self.erased(world)
        world.hear(EBAY, changed(other, world.tick(), shipped=1))
        world.tick(3_700)
        self.erased(world)
        everything = str(
            [
                world.rows(f"SELECT * FROM {t}")
                for t in ("orders", "customer_sign", "journal", "task", "privacy_request")
            ]
        ) + "".join(bytes(body).decode() for (body,) in world.rows("SELECT body FROM inbox"))
        assert "Jane" not in everything and "x.com" not in everything
        jane = look(world, 1)
        assert (jane.customer.name, jane.known_by, jane.customer.purchases, jane.customer.pieces) == ("", (), 2, 2)
        buys(world, ETSY, "R-2", JANE)
        assert customer_of(world, ETSY, "R-2") == 2
        agrees(world)

    def test_S11_5_when_the_time_is_up_only_the_channels_own_buyer_is_known_again(self, world: World) -> None:
        seen = buys(world, EBAY, "E-1", BuyerSeen(channel_buyer_id="jd", name="Jane Doe", phone=PHONE))
        world.hear(EBAY, changed(seen, world.tick(), shipped=1))
        for _ in range(2):
            with transaction(world.store) as tx:
                retention.step(tx, TENANT, world.now, 0)
            world.tick(31 * 86_400)
        assert world.rows("SELECT person FROM orders") == [("{}",)]
        assert [(one.kind, one.value) for one in look(world, 1).known_by] == [("buyer", "")]
        buys(world, EBAY, "E-2", BuyerSeen(channel_buyer_id="jd", name="Jane Doe"))
        assert customer_of(world, EBAY, "E-2") == 1
        buys(world, EBAY, "E-3", BuyerSeen(channel_buyer_id="jd"), None)
        world.hear(EBAY, ErasureAsked("erase", "jd"))
        self.erased(world)
        assert not world.rows("SELECT sign FROM customer_sign WHERE sign LIKE 'buyer:%'")

    def test_what_the_shop_still_carries_is_still_known(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        seen = buys(world, ETSY, "R-1", BuyerSeen(channel_buyer_id="77", email="jane@x.com"))
        world.hear(ETSY, changed(seen, world.tick(), shipped=1))
        for _ in range(2):
            with transaction(world.store) as tx:
                retention.step(tx, TENANT, world.now, 0)
            world.tick(31 * 86_400)
        assert {one.kind for one in look(world, 1).known_by} == {"buyer", "email", "phone", "home"}

    def test_an_export_has_all_that_is_kept(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        buys(world, ETSY, "R-1", BuyerSeen(channel_buyer_id="77", email="jane@x.com", name="Jane Doe"))
        buys(world, EBAY, "E-1", BuyerSeen(channel_buyer_id="jd", name="Jane Doe"))
        with transaction(world.store) as tx:
            found = exporting.export(tx, TENANT, 1)
        assert [one["order_id"] for one in found["orders"]] == ["1001", "R-1"]
        assert found["orders"][0]["buyer"]["phone"] == PHONE and found["orders"][0]["lines"][0]["pieces"] == 1
        assert found["customer"]["customer"]["purchases"] == 2 and len(found["suggestions"]) == 1
        json.dumps(found)

    def test_tables_of_customers_hold_no_personal_data(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        buys(world, EBAY, "E-1", BuyerSeen(channel_buyer_id="jane_7", name="Jane Doe"))
        do(world, merging.confirm, 1, 2)
        kept = str(
            [
                world.rows(f"SELECT * FROM {t}")
                for t in ("customer", "customer_sign", "customer_order", "customer_suggestion")
            ]
        )
        kept += str(world.rows("SELECT * FROM stage_change")) + str(world.rows("SELECT * FROM journal"))
        assert not [word for word in ("Jane", "jane", "Doe", "doe", "x.com", "555", "10001") if word in kept]


class TestInTheShop:
    """The copy of a marketplace order stands in the shop under the customer it knows (S11.2, S11.3)."""

    def copied(self, world: World) -> CreateCall:
        call = world.plan_import()
        assert isinstance(call, CreateCall)
        return call

    def test_S11_2_an_order_with_a_relay_address_stands_under_the_customer_whose_phone_it_brings(
        self, world: World
    ) -> None:
        buys(world, SHOP, "1001", JANE)
        relay = BuyerSeen(name="Jane Doe", email="q1@marketplace.amazon.com", email_is_relay=True)
        buys(world, AMAZON, "A-1", relay, msgspec.structs.replace(HOME, phone=PHONE))
        assert self.copied(world).draft.customer_id == "7"

    def test_an_order_of_a_buyer_whom_the_shop_does_not_know_names_no_customer(self, world: World) -> None:
        buys(world, ETSY, "R-1", BuyerSeen(channel_buyer_id="77", email="jane@x.com"))
        call = self.copied(world)
        assert call.draft.customer_id is None and call.draft.with_customer

    def test_a_customer_who_was_deleted_there_does_not_hold_the_order_up(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        buys(world, ETSY, "R-1", BuyerSeen(channel_buyer_id="77", email="jane@x.com"))
        world.settle(self.copied(world), Rejected("Customer does not exist", "CUSTOMER_REFUSED"))
        again = self.copied(world)
        assert again.draft.customer_id is None and not again.draft.with_customer
        world.settle(again, Rejected("Customer does not exist", "CUSTOMER_REFUSED"))  # whatever that is, a person looks
        assert world.plan_import() is None and world.rows("SELECT kind FROM task WHERE closed_at IS NULL") == [
            ("import",)
        ]


class TestPlan:
    def test_a_plan_without_matching_stores_everything_and_the_next_one_catches_up(self, world: World) -> None:
        world.rows("INSERT INTO plan (tenant_id, name, since_at) VALUES (1, 'free', 1) RETURNING 1")
        buys(world, SHOP, "1001", JANE)
        buys(world, ETSY, "R-1", BuyerSeen(email="jane@x.com"))
        assert world.rows("SELECT COUNT(*) FROM customer") == [(0,)]
        assert world.rows("SELECT COUNT(*) FROM orders WHERE person <> '{}'") == [(2,)]
        with transaction(world.store) as tx:
            assert not catching_up.step(tx, TENANT, world.now)
        with pytest.raises(NotInPlan, match="Customer matching is not in the plan Free"):
            do(world, merging.merge, 1, 2)
        world.rows("UPDATE plan SET name = 'starter' RETURNING 1")
        with transaction(world.store) as tx:
            assert not catching_up.step(tx, TENANT, world.now)
        assert look(world, 1).customer.per_channel == {"etsy": 1, "shopify": 1}
        agrees(world)


class TestLooking:
    def test_a_customer_is_found_by_email_phone_number_and_name(self, world: World) -> None:
        buys(world, SHOP, "1001", JANE)
        buys(world, EBAY, "E-1", BuyerSeen(channel_buyer_id="b", name="Zoë O’Neil"), None)
        with transaction(world.store) as tx:
            for find, numbers in (
                ("JANE@x.com", [1]), (PHONE, [1]), ("2", [2]), ("o’nei", [2]), ("zoë", [2]), ("jane_%", []), ("", [2, 1]),
            ):  # fmt: skip
                assert [one.customer_no for one in profiles.listed(tx, TENANT, find=find)] == numbers, find
            assert [one.customer_no for one in profiles.listed(tx, TENANT, channel="ebay")] == [2]
            assert profiles.listed(tx, TENANT, several_channels=True) == []
            assert [one.customer_no for one in profiles.listed(tx, TENANT, stage="new", limit=1, after=1)] == [1]
            with pytest.raises(profiles.NoCustomer, match="no stage"):
                profiles.listed(tx, TENANT, stage="old")
            with pytest.raises(profiles.NoCustomer, match="no customer 9"):
                profiles.profile(tx, TENANT, 9)
