"""Marketplace orders written into the shop: once, through lost answers; refusals become tasks (SEMANTICS 14.1 to 14.4, 14.7)."""

from __future__ import annotations

import msgspec
import pytest
from tests.scenario.engine import AMAZON, EBAY, ETSY, SHOP, TENANT, World, changed, key_of, order
from tests.scenario.invariants import check, check_at_rest

from oneshelf.core.facts import Address, BuyerSeen, LineSeen, Money, Payment
from oneshelf.core.instants import SECOND, from_us
from oneshelf.core.outcome import Accepted, Rejected, Throttled, Unknown
from oneshelf.db.store import Store, transaction
from oneshelf.imports.copy_orders import CorrectCall, CreateCall, FindCall
from oneshelf.onboarding.marketplace import Preview, go_live
from oneshelf.orders.relink import relink
from oneshelf.tenants.accounts import set_matched


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 10)
    world.item("CUP", 3)
    return world.open()


def create(world: World) -> CreateCall:
    call = world.plan_import()
    assert isinstance(call, CreateCall)
    return call


def find(world: World) -> FindCall:
    call = world.plan_import()
    assert isinstance(call, FindCall)
    return call


class TestWhen:
    def test_S14_1_pending_never(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, paid=False, MUG=1))
        assert world.plan_import() is None

    def test_S14_1_once_when_it_is_paid(self, world: World) -> None:
        sold = order("A-1", world.now, paid=False, MUG=1)
        world.hear(AMAZON, sold)
        world.hear(AMAZON, msgspec.structs.replace(sold, payment=Payment.PAID, updated_at=from_us(world.tick())))
        world.run_hub()
        world.hear(AMAZON, msgspec.structs.replace(sold, payment=Payment.PAID, updated_at=from_us(world.tick())))
        world.run_hub()
        assert len(world.hub.orders) == 1

    def test_S14_1_a_short_line_too(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, CUP=5))
        world.run_hub()
        assert (len(world.hub.orders), world.row("CUP")) == (1, "3/-2/5/0")

    def test_S14_1_an_unlinked_line_keeps_it_waiting_and_its_linked_lines_are_held(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, MUG=2, POT=1))
        world.run_hub()
        assert (world.hub.orders, world.row("MUG"), world.tasks()) == ({}, "10/8/0/2", ["unlinked_order"])
        outlet_id = world.list(EBAY, "POT", {"CUP": 1})
        with transaction(world.store) as tx:
            relink(tx, TENANT, outlet_id, world.now)
        world.run_hub()
        world.tick(1)
        world.run_hub()
        assert (world.row("MUG"), world.row("CUP")) == ("10/8/2/0", "3/2/1/0")

    def test_what_is_cancelled_before_its_turn_is_not_imported(self, world: World) -> None:
        sold = order("E-1", world.now, MUG=1)
        world.hear(EBAY, sold)
        world.hear(EBAY, msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.tick())))
        world.run_hub()
        assert world.hub.orders == {}

    def test_and_revived_it_is_imported_after_all(self, world: World) -> None:
        sold = order("E-1", world.now, MUG=1)
        world.hear(EBAY, sold)
        world.hear(EBAY, msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.tick())))
        world.run_hub()
        world.hear(EBAY, msgspec.structs.replace(sold, updated_at=from_us(world.tick())))
        world.run_hub()
        assert (len(world.hub.orders), world.row("MUG")) == (1, "10/9/1/0")

    def test_S0_7_not_while_its_account_is_not_live(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, MUG=1))
        world.rows("UPDATE account SET state = 'MATCHED' WHERE account_id = 3 RETURNING 1")
        assert world.plan_import() is None
        world.live(EBAY)
        world.tick(60)
        assert world.plan_import() is not None

    def test_S0_7_what_was_heard_while_it_was_not_live_is_imported_when_it_is(self, world: World) -> None:
        """A disconnected account that is connected again: its orders are heard before the preview is accepted."""
        world.rows("UPDATE account SET state = 'MATCHED' WHERE account_id = 3 RETURNING 1")
        world.hear(EBAY, order("E-1", world.now, MUG=1))
        world.tick(60)
        assert world.plan_import() is None
        with transaction(world.store) as tx:
            go_live(tx, TENANT, EBAY, Preview(1, 0, 1, 0, 0, 0, 0), world.now, accepted=True)
        world.run_hub()
        assert (len(world.hub.orders), world.row("MUG")) == (1, "10/9/1/0")

    @pytest.mark.parametrize(("state", "after"), [("LIVE", "LIVE"), ("PAUSED", "PAUSED"), ("CONNECTED", "MATCHED")])
    def test_S0_7_an_account_at_work_stays_so_while_it_is_connected_again(
        self, world: World, state: str, after: str
    ) -> None:
        """Found by the simulator: Etsy's sign-in had run out, and an order that came while it was renewed was never imported."""
        world.rows("UPDATE account SET state = :s WHERE account_id = 3 RETURNING 1", s=state)
        with transaction(world.store) as tx:
            set_matched(tx, TENANT, EBAY, world.now)
        assert world.value("SELECT state FROM account WHERE account_id = 3") == after

    def test_S8_14_a_paused_channels_orders_are_imported_all_the_same(self, world: World) -> None:
        world.rows("UPDATE account SET state = 'PAUSED' WHERE account_id = 3 RETURNING 1")
        world.hear(EBAY, order("E-1", world.now, MUG=1))
        world.run_hub()
        assert len(world.hub.orders) == 1


class TestClaiming:
    def test_S14_4_not_held_it_claims_under_the_policy(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, MUG=1))
        assert not create(world).ignore_policy

    def test_S14_4_claim_failed_reads_the_shop_and_is_sent_ignoring_the_policy(self, world: World) -> None:
        world.hub.sell(world.tick(), CUP=3)
        world.hear(EBAY, order("E-1", world.now, CUP=1))
        call = create(world)
        outcome = world.do(call)
        assert outcome == Rejected("not enough to claim", "INVENTORY_CLAIM_FAILED")
        world.settle(call, outcome)
        assert world.value("SELECT wanted FROM hub_level WHERE sku = 'CUP' AND location_id = 'L1'") == 1
        again = create(world)
        assert again.ignore_policy
        world.settle(again, world.do(again))
        assert world.row("CUP") == "3/-1/4/0"
        world.to_rest()
        assert world.k("CUP") == -1
        check_at_rest(world, {"CUP": 1})

    def test_S9_5_cancelled_while_it_is_created_it_is_cancelled_there_afterwards(self, world: World) -> None:
        sold = order("E-1", world.now, MUG=1)
        world.hear(EBAY, sold)
        call = create(world)
        outcome = world.do(call)
        world.hear(EBAY, msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.tick())))
        world.settle(call, outcome)
        correction = world.plan_correction()
        assert isinstance(correction, CorrectCall) and correction.pieces is None
        world.carry_out(correction)
        world.to_rest()
        assert world.row("MUG") == "10/10/0/0"
        check_at_rest(world, {})

    def test_S5_6_one_piece_cancelled_while_it_is_created_is_taken_off_afterwards(self, world: World) -> None:
        sold = order("E-1", world.now, MUG=3)
        world.hear(EBAY, sold)
        call = create(world)
        outcome = world.do(call)
        world.hear(EBAY, changed(sold, world.tick(), cancelled_pieces=1))
        world.settle(call, outcome)
        world.to_rest()
        assert world.row("MUG") == "10/8/2/0"
        check_at_rest(world, {"MUG": 2})

    @pytest.mark.parametrize("heard", [True, False])
    def test_S5_6_a_part_left_while_the_cancel_was_asked_for_and_the_rest_is_taken_off(
        self, world: World, heard: bool
    ) -> None:
        sold = order("E-1", world.now, MUG=1, CUP=1)
        world.hear(EBAY, sold)
        world.run_hub()
        world.hub_news()
        world.hear(EBAY, msgspec.structs.replace(sold, cancelled=True, updated_at=from_us(world.tick(60))))
        call = world.plan_correction()
        assert isinstance(call, CorrectCall) and call.pieces is None
        world.hub.fulfil(world.now, call.hub_order_id, MUG=1)
        outcome = world.do(call)
        if heard:
            world.hub_news()
        world.settle(call, outcome)
        assert world.tasks("cancel_copy") == ([] if heard else ["cancel_copy"]), (
            "a person is asked while nobody knows why"
        )
        world.to_rest()
        assert (world.row("MUG"), world.row("CUP"), world.tasks("cancel_copy")) == ("9/9/0/0", "3/3/0/0", [])

    @pytest.mark.parametrize("cancelled", [1, 2])
    def test_S5_6_a_bundle_is_taken_off_part_by_part(self, world: World, cancelled: int) -> None:
        """Found by the simulator: a person was asked to, and until then the pieces stood on the copy while the shop could not sell them."""
        world.list(ETSY, "SET", {"MUG": 2, "CUP": 1})
        sold = order("T-1", world.now, SET=2, MUG=1)
        world.hear(ETSY, sold)
        world.run_hub()
        world.hub_news()
        less = msgspec.structs.replace(sold.lines[0], cancelled=cancelled)
        world.hear(ETSY, msgspec.structs.replace(sold, lines=(less, sold.lines[1]), updated_at=from_us(world.tick(60))))
        call = world.plan_correction()
        assert call is not None and call.pieces == {("SET", "MUG"): 2 * cancelled, ("SET", "CUP"): cancelled}
        world.carry_out(call)
        world.to_rest()
        assert (world.row("MUG"), world.tasks()) == (f"10/{5 + 2 * cancelled}/{5 - 2 * cancelled}/0", [])
        check_at_rest(world, {"MUG": 5 - 2 * cancelled, "CUP": 2 - cancelled})


class TestUnanswered:
    """S14.3: read before retry; "not found" counts after two reads, the second 60 s after the call."""

    @pytest.fixture
    def call(self, world: World) -> CreateCall:
        world.hear(EBAY, order("E-1", world.now, MUG=1))
        return create(world)

    def test_S14_3_done_but_unheard_it_is_found_and_not_made_again(self, world: World, call: CreateCall) -> None:
        world.do(call)
        world.settle(call, Unknown("timed out"))
        world.tick(5)
        world.settle_find(find(world))
        world.run_hub()
        assert (len(world.hub.orders), world.row("MUG"), world.expected("MUG")) == (1, "10/9/1/0", 9)

    def test_S14_3_not_found_once_is_not_enough(self, world: World, call: CreateCall) -> None:
        world.settle(call, Unknown("timed out"))
        world.tick(5)
        world.settle_find(find(world))
        world.tick(54)
        assert world.plan_import() is None

    def test_S14_3_twice_and_60_s_after_the_call_it_is_sent_again(self, world: World, call: CreateCall) -> None:
        world.settle(call, Unknown("timed out"))
        world.tick(5)
        world.settle_find(find(world))
        world.tick(56)
        world.settle_find(find(world))
        again = create(world)
        assert again.draft.external_key == key_of(EBAY, "E-1")
        world.settle(again, world.do(again))
        assert len(world.hub.orders) == 1

    def test_S14_3_a_read_without_an_answer_counts_as_none(self, world: World, call: CreateCall) -> None:
        world.settle(call, Unknown("timed out"))
        for _ in range(5):
            world.tick(400)
            world.settle_find(find(world), "no answer")
        world.tick(400)
        world.settle_find(find(world))
        world.tick(400)
        assert isinstance(world.plan_import(), FindCall), "one not found so far"

    def test_F45_a_shop_that_was_away_for_hours_is_asked_again_and_not_at_once(
        self, world: World, call: CreateCall
    ) -> None:
        """A wait that doubled 1,024 times is no number any more: the step broke each time, and asked again at once."""
        with transaction(world.store) as tx:
            tx.run("UPDATE intent SET attempts = 5000")
        world.settle(call, Unknown("timed out"))
        world.tick(400)
        world.settle_find(find(world), "connection refused")
        assert world.plan_import() is None
        world.tick(400)
        assert isinstance(world.plan_import(), FindCall)

    def test_S14_3_the_60_s_count_from_the_call_that_got_no_answer_not_from_one_that_was_put_off(
        self, world: World, call: CreateCall
    ) -> None:
        world.settle(call, Throttled(100.0, "slow down"))
        world.tick(101)
        again = create(world)
        world.settle(again, Unknown("timed out"))
        world.tick(5)
        world.settle_find(find(world))
        world.tick(10)
        assert world.plan_import() is None

    def test_S14_3_the_key_taken_it_is_found(self, world: World, call: CreateCall) -> None:
        world.do(call)
        world.settle(call, Unknown("timed out"))
        world.rows(
            "UPDATE intent SET state = 'WAITING', due_at = :now WHERE kind = 'import' RETURNING 1", now=world.now
        )
        world.run_hub()
        assert (len(world.hub.orders), world.row("MUG")) == (1, "10/9/1/0")
        assert (world.order(EBAY, "E-1", "hub_order_id"), world.tasks()) == (next(iter(world.hub.orders)), [])

    def test_S14_2_its_orders_create_settles_an_unanswered_call(self, world: World, call: CreateCall) -> None:
        world.do(call)
        world.settle(call, Unknown("timed out"))
        world.hub_news()
        world.tick(60)
        assert world.plan_import() is None
        assert world.expected("MUG") == 9
        assert world.order(EBAY, "E-1", "hub_order_id") is not None

    @pytest.mark.parametrize("applied", [True, False])
    def test_I17_a_process_that_died_between_call_and_answer_makes_one_order(
        self, world: World, call: CreateCall, applied: bool
    ) -> None:
        if applied:
            world.do(call)
        world.restart()
        for _ in range(4):
            world.tick(61)
            world.run_hub()
        assert (len(world.hub.orders), world.row("MUG")) == (1, "10/9/1/0")
        world.to_rest()
        check_at_rest(world, {"MUG": 1})

    def test_I18_a_yes_without_an_order_is_no_yes(self, world: World, call: CreateCall) -> None:
        world.settle(call, Accepted())
        world.tick(5)
        assert isinstance(world.plan_import(), FindCall)

    def test_S9_5_while_it_is_unknown_both_numbers_are_explained(self, world: World, call: CreateCall) -> None:
        world.do(call)
        world.settle(call, Unknown("timed out"))
        assert world.read("MUG").odd == 0
        assert world.k("MUG") == 9


class TestRefused:
    def test_a_refusal_is_a_task_in_the_shops_own_words_and_its_pieces_are_held(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, MUG=2))
        world.settle(create(world), Rejected("Customer address is invalid", "INVALID"))
        assert world.tasks() == ["import"]
        assert "Customer address is invalid" in world.value("SELECT why FROM task WHERE kind = 'import'")
        world.tick(3)
        world.run_hub()
        assert world.row("MUG") == "10/8/0/2"
        assert world.expected("MUG") == 8

    def test_imported_by_hand_the_task_ends(self, world: World) -> None:
        world.hear(EBAY, order("E-1", world.now, MUG=2))
        world.settle(create(world), Rejected("no", "INVALID"))
        by_hand = msgspec.structs.replace(order("77", world.tick(60), MUG=2), copy_of_key=key_of(EBAY, "E-1"))
        world.hear(SHOP, by_hand)
        assert (world.tasks(), world.level("MUG")) == ([], (10, 2, 0, 0))

    def test_S14_5_without_a_rate_it_waits_as_a_task_and_is_held(self, world: World) -> None:
        dollars = order("E-1", world.now, MUG=2)
        totals = dollars.totals
        assert totals is not None
        none, all_of_it = Money(0, "USD"), Money(2000, "USD")
        world.hear(
            EBAY,
            msgspec.structs.replace(
                dollars,
                totals=msgspec.structs.replace(
                    totals, items=all_of_it, shipping=none, tax=none, discount=none, total=all_of_it
                ),
            ),
        )
        assert world.plan_import() is None
        world.run_hub()
        assert (world.hub.orders, world.tasks(), world.row("MUG")) == ({}, ["import"], "10/8/0/2")
        assert "rates set USD" in world.value("SELECT why FROM task WHERE kind = 'import'")
        check(world)

    def test_one_order_that_cannot_be_drafted_stops_no_other(self, world: World) -> None:
        odd = order("E-1", world.now, lines=[LineSeen("l", ("sku:MUG",), 1, sku="MUG", subtotal=Money(-5, "EUR"))])
        world.hear(EBAY, odd)
        world.rows("UPDATE item SET price_minor = -1 WHERE sku = 'MUG' RETURNING 1")
        world.hear(ETSY, order("T-1", world.now, CUP=1))
        world.run_hub()
        assert world.row("CUP") == "3/2/1/0"
        assert world.tasks() == ["import"]


class TestPeople:
    """S14.7: withheld address, e-mail, phone: imported without; later snapshots complete it."""

    def test_imported_without_an_address(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, MUG=1))
        made = create(world).draft
        assert (made.source.buyer, made.source.ship_to) == (None, None)

    def test_what_was_told_once_is_not_forgotten(self, world: World) -> None:
        sold = order("A-1", world.now, paid=False, MUG=1)
        told = msgspec.structs.replace(
            sold,
            buyer=BuyerSeen(channel_buyer_id="B1", name="Jane Doe"),
            ship_to=Address(name="Jane Doe", city="Oslo", country="NO"),
        )
        world.hear(AMAZON, told)
        world.hear(
            AMAZON,
            msgspec.structs.replace(
                sold, payment=Payment.PAID, updated_at=from_us(world.tick()), buyer=BuyerSeen(phone="+4712345678")
            ),
        )
        made = create(world).draft.source
        assert made.buyer == BuyerSeen(channel_buyer_id="B1", name="Jane Doe", phone="+4712345678")
        assert made.ship_to is not None and made.ship_to.city == "Oslo"

    def test_S11_5_personal_data_stands_in_its_own_column_only(self, world: World) -> None:
        world.hear(AMAZON, msgspec.structs.replace(order("A-1", world.now, MUG=1), buyer=BuyerSeen(name="Jane Doe")))
        assert "Jane" not in world.order(AMAZON, "A-1", "document")
        assert "Jane" in world.order(AMAZON, "A-1", "person")


def test_S9_6_an_order_costs_the_shop_at_most_three_calls(world: World) -> None:
    """Hold, import, and the hold's return; then nothing moves by itself."""
    sold = order("A-1", world.now, paid=False, MUG=2)
    world.hear(AMAZON, sold)
    calls = world.run_hub()
    world.hear(AMAZON, msgspec.structs.replace(sold, payment=Payment.PAID, updated_at=from_us(world.tick(60))))
    calls += world.run_hub()
    for _ in range(5):
        world.tick(61)
        world.hub_news()
        world.complete()
        world.read_wanted()
        calls += world.run_hub()
    assert calls == 3
    assert world.row("MUG") == "10/8/2/0"


def test_S14_1_a_page_from_before_it_was_paid_does_not_make_a_paid_order_whole(store: Store) -> None:
    """Amazon tells no money of an unpaid order; its page may be handled after the notice that it is paid (found by killing the service)."""
    world = World(store)
    world.item("MUG", 5)
    world.open()
    placed = world.now
    unpaid = msgspec.structs.replace(order("A-1", placed, paid=False, MUG=1), totals=None)
    paid = order("A-1", placed, updated=placed + 30 * SECOND, MUG=1)
    world.hear(AMAZON, msgspec.structs.replace(unpaid, complete=False))
    world.tick(31)
    world.hear(AMAZON, msgspec.structs.replace(paid, complete=False, totals=None))
    world.hear(AMAZON, unpaid)
    world.run_hub()
    assert world.rows("SELECT kind, state FROM intent WHERE kind = 'import'") == []
    world.tick(5)
    world.hear(AMAZON, paid)
    world.run_hub()
    assert world.rows("SELECT kind, state FROM intent WHERE kind = 'import'") == [("import", "DONE")]
    assert world.value("SELECT hub_order_id FROM orders WHERE order_id = 'A-1'")
