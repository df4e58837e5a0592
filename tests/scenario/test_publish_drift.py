"""What reads lead to: sales unheard, drift, repairs, ambiguous sales (SEMANTICS 8.4, 9.1 to 9.4), on both databases."""

from __future__ import annotations

import pytest
from tests.scenario.publish_bench import SHOP, Bench, T
from tests.scenario.test_publish import at_rest_with

from oneshelf.core.instants import SECOND
from oneshelf.core.slot import SlotState
from oneshelf.db.store import Store
from oneshelf.listings.policy import EVERY_ACCOUNT, drop_rule, rules_for, set_rule
from oneshelf.orders import provisional
from oneshelf.orders.sales import own_sales, sales_of
from oneshelf.publish import recovery
from oneshelf.reconcile.sweep import audit_offers, read_all, sweep

MINUTE = 60 * SECOND


def feed_complete(bench: Bench) -> None:
    """The order feed is polled to the end, orders are looked for once more, and provisionals that are due are settled, as intake does."""
    bench.complete_through(bench.now)
    bench.tx(lambda tx: provisional.settle_due(tx, T, SHOP, bench.now, 2, bench.now))
    bench.searched()
    bench.tx(lambda tx: provisional.settle_due(tx, T, SHOP, bench.now, 2, bench.now))


def edit_by_hand(bench: Bench, shown: int) -> None:
    bench.market.shown["MUG"] = shown
    bench.mark("MUG", reread=True)


def test_S9_1_a_hint_after_a_heard_sale_is_an_echo(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.sell("MUG", 1)
    bench.mark("MUG", reread=True)  # the channel's own notification of its new number
    bench.now += MINUTE
    assert bench.run(MINUTE) == ["read"]
    assert bench.provisional() == 0 and bench.market.writes == []


def test_S9_2_fewer_than_believed_is_held_until_its_order_comes(store: Store) -> None:
    bench = at_rest_with(store, 5)
    hear = bench.sell("MUG", 2, heard=False)
    bench.now += MINUTE
    bench.mark("MUG", reread=True)
    assert bench.run(60) == ["read"]
    assert bench.provisional() == 2
    slot = bench.slot("MUG")
    assert (slot.state, slot.believed, slot.offer) == (SlotState.QUIET, 3, 3)
    bench.now += MINUTE
    hear()
    assert bench.run(600) == []
    assert bench.provisional() == 0
    assert bench.all("SELECT SUM(on_hand - committed - reserved) FROM stock_level") == [(3,)]


def test_S9_2_a_pack_holds_its_pieces_and_a_bundle_its_parts(store: Store) -> None:
    bench = Bench(store)
    bench.outlet("PACK", {"MUG": 3}, shown=2)
    bench.outlet("SET", {"CUP": 2, "POT": 1}, shown=2)
    for sku, pieces in (("MUG", 6), ("CUP", 4), ("POT", 2)):
        bench.stock(sku, pieces)
    bench.run(60)
    bench.now += MINUTE
    for name in ("PACK", "SET"):
        bench.sell(name, 1, heard=False)
        bench.mark(name, reread=True)
    bench.now += MINUTE
    bench.run(60)
    assert bench.all("SELECT sku, pieces FROM provisional ORDER BY sku") == [("CUP", 2), ("MUG", 3), ("POT", 1)]
    assert bench.market.writes == [] and bench.rest() == []


def test_S9_4_fewer_without_an_order_is_released_and_repaired(store: Store) -> None:
    bench = at_rest_with(store, 5)
    edit_by_hand(bench, 3)
    bench.run(60)
    assert bench.provisional() == 2 and bench.market.shown == {"MUG": 3}
    bench.now += 10 * MINUTE
    feed_complete(bench)
    bench.run(60)
    assert bench.provisional() == 0
    assert bench.market.shown == {"MUG": 5} and bench.rest() == []
    assert len(bench.all("SELECT 1 FROM journal WHERE what LIKE 'Drift −%'")) == 1
    assert bench.all("SELECT SUM(on_hand) FROM stock_level") == [(5,)]


def test_S9_4_twice_fewer_in_a_day_asks_and_the_third_time_parks(store: Store) -> None:
    bench = at_rest_with(store, 5)
    tasks = ["edited_at_the_channel"], ["edited_at_the_channel", "someone_else_writes"]
    for asked in ([], *tasks):
        edit_by_hand(bench, 3)
        bench.run(60)
        bench.now += 10 * MINUTE
        feed_complete(bench)
        bench.run(60)
        bench.now += 10 * MINUTE
        assert bench.open_tasks() == asked
    assert bench.slot("MUG").state is SlotState.PARKED
    assert bench.market.shown == {"MUG": 3}


def test_S9_3_more_than_believed_waits_for_the_feed_then_is_repaired(store: Store) -> None:
    bench = at_rest_with(store, 5)
    edit_by_hand(bench, 9)
    assert bench.run(600) == ["read"]
    slot = bench.slot("MUG")
    assert (slot.state, slot.odd, slot.verified) == (SlotState.WAITING, 4, 0)
    assert slot.reason == "shows 4 more than any order explains; waits for its feed"
    assert bench.rest() == [
        "outlet 1 is WAITING: offer 5, believed 9 (shows 4 more than any order explains; waits for its feed)"
    ]
    feed_complete(bench)
    assert bench.run(60) == ["read", "write", "read"]
    assert bench.market.shown == {"MUG": 5} and bench.rest() == []
    assert bench.all("SELECT SUM(on_hand) FROM stock_level") == [(5,)]
    assert len(bench.all("SELECT 1 FROM journal WHERE what LIKE 'Drift +%' AND subject = 'outlet:1'")) == 1
    assert bench.slot("MUG").repairs == 1


def test_S9_3_a_cancel_that_explains_it_is_applied_first(store: Store) -> None:
    bench = at_rest_with(store, 5)
    hear = bench.sell("MUG", 2)
    bench.now += MINUTE
    bench.run(60)
    bench.market.shown["MUG"] = 5  # the channel put the cancelled pieces back; the cancel is not heard yet
    bench.mark("MUG", reread=True)
    assert bench.run(60) == ["read"]
    hear(cancelled=2)
    feed_complete(bench)
    bench.run(60)
    assert bench.market.writes == []
    assert bench.slot("MUG").repairs == 0 and bench.rest() == []
    assert bench.all("SELECT 1 FROM journal WHERE what LIKE 'Drift%'") == []


def test_S9_3_what_a_known_cancel_put_back_is_no_drift_and_does_not_wait_for_the_feed(store: Store) -> None:
    bench = at_rest_with(store, 1)
    hear = bench.sell("MUG")
    bench.stock("MUG", -1)  # sold here, and the piece is not there: K −1
    bench.now += MINUTE
    bench.run(60)
    bench.market.shown["MUG"] = 1  # the channel cancels the order and puts the piece back by itself: K 0
    hear(cancelled=1)
    assert bench.run(10) == ["read", "write", "read"]
    assert bench.market.shown == {"MUG": 0} and bench.rest() == [] and bench.slot("MUG").repairs == 0


def test_S9_3_a_cancel_heard_while_its_read_waits_for_the_feed_is_looked_at_at_once(store: Store) -> None:
    """Found by the simulator: the piece that Amazon had put back stood there for four minutes more, and was sold again."""
    bench = at_rest_with(store, 1)
    hear = bench.sell("MUG")
    bench.stock("MUG", -1)
    bench.now += MINUTE
    bench.run(60)
    bench.market.shown["MUG"] = 1
    bench.mark("MUG", reread=True)
    assert bench.run(60) == ["read"] and bench.slot("MUG").odd == 1
    hear(cancelled=1)
    assert bench.run(10) == ["read", "write", "read"]
    assert bench.market.shown == {"MUG": 0} and bench.rest() == [] and bench.slot("MUG").repairs == 0


def test_S9_3_what_is_more_than_a_known_cancel_put_back_waits(store: Store) -> None:
    bench = at_rest_with(store, 2)
    hear = bench.sell("MUG")
    bench.now += MINUTE
    bench.run(60)
    bench.market.shown["MUG"] = 6
    hear(cancelled=1)
    assert bench.run(10) == ["read"]
    assert bench.slot("MUG").odd == 4


def test_S9_3_a_cancel_explains_one_read_and_not_a_hand_that_comes_later(store: Store) -> None:
    bench = at_rest_with(store, 2)
    hear = bench.sell("MUG")
    bench.now += SECOND
    hear(cancelled=1)
    bench.now += MINUTE
    bench.run(60)
    assert bench.market.shown == {"MUG": 2} and bench.rest() == []
    bench.now += 10 * MINUTE
    edit_by_hand(bench, 9)
    assert bench.run(60) == ["read"]
    assert bench.slot("MUG").odd == 7


def test_S9_3_what_went_back_by_itself_is_no_sale(store: Store) -> None:
    bench = at_rest_with(store, 5)
    edit_by_hand(bench, 9)
    bench.run(60)
    edit_by_hand(bench, 5)  # the hand took it back before the feed was complete
    feed_complete(bench)
    bench.run(60)
    assert bench.provisional() == 0 and bench.market.writes == [] and bench.rest() == []


def test_S9_3_a_number_that_is_due_anyway_does_not_wait(store: Store) -> None:
    bench = at_rest_with(store, 5)
    edit_by_hand(bench, 9)
    bench.run(60)
    bench.stock("MUG", -5)  # sold elsewhere: nine on sale here and none on the shelf
    assert bench.step() == "read MUG"
    assert bench.step() == "write MUG=0"


def test_S9_4_the_third_repair_in_a_day_parks_and_a_person_may_try_again(store: Store) -> None:
    bench = at_rest_with(store, 5)
    for _ in range(2):
        edit_by_hand(bench, 9)
        bench.run(60)
        bench.now += 10 * MINUTE
        feed_complete(bench)
        bench.run(60)
        assert bench.market.shown == {"MUG": 5}
    edit_by_hand(bench, 9)
    bench.run(60)
    bench.now += 10 * MINUTE
    feed_complete(bench)
    bench.run(60)
    slot = bench.slot("MUG")
    assert slot.state is SlotState.PARKED and bench.market.shown == {"MUG": 9}
    assert bench.open_tasks() == ["someone_else_writes"]
    bench.mark("MUG", reread=True)
    assert bench.run(60) == []  # neither hints nor the sweep start the fight again within the day
    bench.tx(lambda tx: recovery.retry(tx, T, [1], bench.now, "Ada"))
    bench.now += MINUTE
    feed_complete(bench)
    bench.run(600)
    assert bench.market.shown == {"MUG": 5} and bench.open_tasks() == []


def test_S9_4_repairs_of_different_days_do_not_add_up(store: Store) -> None:
    bench = at_rest_with(store, 5)
    for _ in range(4):
        edit_by_hand(bench, 9)
        bench.run(60)
        bench.now += 10 * MINUTE
        feed_complete(bench)
        bench.run(60)
        assert bench.market.shown == {"MUG": 5}
        bench.now += 25 * 3_600 * SECOND


def test_S8_4_ambiguous_sales_do_not_leave_the_listing_at_zero(store: Store) -> None:
    """The thirteen steps: a sale between the base read and the write is heard at once; the verify read shows the number that
    overwrote it. Taking the sale off what was sent again would hold a piece for an order that is here already."""
    bench = at_rest_with(store, 2)
    bench.stock("MUG", -1)
    assert bench.step() == "read MUG"
    bench.sell("MUG", 1)  # shown 1, K 0 ... and the write of what K was then is on its way
    bench.market.lands_after = 3 * SECOND
    assert bench.step() == "write MUG=0"
    bench.run(120)
    assert bench.provisional() == 0
    assert bench.market.shown == {"MUG": 0} and bench.rest() == []
    bench.now += 10 * MINUTE
    bench.market.lands_after = 0
    bench.stock("MUG", 1)
    bench.run(120)
    assert bench.market.shown == {"MUG": 1} and bench.rest() == []


def test_S8_4_an_own_sale_after_the_base_is_not_missing_at_the_verify_read(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.stock("MUG", 4)
    bench.step()
    assert bench.step() == "write MUG=9"
    bench.sell("MUG", 1)
    bench.now += 10 * SECOND
    assert bench.step() == "read MUG"
    assert bench.provisional() == 0
    bench.run(60)
    assert bench.market.shown == {"MUG": 8} and bench.rest() == []


def test_S8_4_what_neither_the_write_nor_own_sales_explain_is_held(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.stock("MUG", 4)
    bench.step()
    assert bench.step() == "write MUG=9"
    hear = bench.sell("MUG", 2, heard=False)
    bench.now += 10 * SECOND
    assert bench.step() == "read MUG"
    assert bench.provisional() == 2
    hear()
    bench.run(60)
    assert bench.provisional() == 0 and bench.market.shown == {"MUG": 7} and bench.rest() == []


def test_a_sale_within_the_clocks_doubt_is_looked_at_again(store: Store) -> None:
    """A sale stamped a second after the read may have been in it: nobody may rest on the guess that it was not."""
    bench = at_rest_with(store, 5)
    bench.mark("MUG", reread=True)
    hear = bench.sell("MUG", 1, heard=False)
    bench.now += SECOND // 2
    bench.run(0)
    bench.now += SECOND // 2
    hear()
    assert bench.run(600).count("read") <= 2
    assert bench.provisional() == 0 and bench.rest() == []
    assert bench.slot("MUG").believed == bench.market.shown["MUG"] == 4


def test_no_number_is_not_zero(store: Store) -> None:
    bench = at_rest_with(store, 5)
    del bench.market.shown["MUG"]  # the answer does not name it
    bench.mark("MUG", reread=True)
    bench.run(5)
    slot = bench.slot("MUG")
    assert (slot.state, slot.believed) == (SlotState.WAITING, 5)
    assert slot.reason == "read failed: the answer did not name this listing"
    assert bench.provisional() == 0


@pytest.mark.parametrize("state", ["ended", "inactive"])
def test_a_listing_closed_by_hand_is_no_sale_but_a_task(store: Store, state: str) -> None:
    bench = at_rest_with(store, 5)
    bench.market.state["MUG"] = state
    edit_by_hand(bench, 0)
    bench.run(60)
    assert bench.provisional() == 0 and bench.market.writes == []
    assert bench.slot("MUG").state is SlotState.PARKED and bench.open_tasks() == ["listing_closed"]
    bench.market.state["MUG"] = "live"
    edit_by_hand(bench, 2)
    bench.run(60)
    assert bench.market.shown == {"MUG": 5} and bench.open_tasks() == [] and bench.rest() == []


def test_gone_is_believed_at_the_third_time(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.market.state["MUG"] = "gone"
    bench.mark("MUG", reread=True)
    bench.run(600)
    assert len(bench.market.reads) == 3
    assert bench.slot("MUG").state is SlotState.PARKED and bench.open_tasks() == ["listing_closed"]


# --- rules ------------------------------------------------------------------------------------------------------------


def test_the_narrowest_rule_wins_whole(store: Store) -> None:
    bench = Bench(store)

    def safety() -> int:
        return bench.tx(lambda tx: rules_for(tx, T, SHOP, ["MUG"]).of("MUG").numbers.safety_stock)  # type: ignore[return-value]

    def rule(account_id: int, sku: str, pieces: int) -> None:
        bench.tx(lambda tx: set_rule(tx, T, account_id, sku, bench.now, by="Ada", safety_stock=pieces))

    assert safety() == 0
    for account_id, sku, pieces in ((EVERY_ACCOUNT, "", 1), (EVERY_ACCOUNT, "MUG", 2), (SHOP, "", 3), (SHOP, "MUG", 4)):
        rule(account_id, sku, pieces)
        assert safety() == pieces
    assert bench.tx(lambda tx: drop_rule(tx, T, SHOP, "MUG", bench.now, by="Ada")) is True
    assert bench.tx(lambda tx: drop_rule(tx, T, SHOP, "MUG", bench.now, by="Ada")) is False
    assert safety() == 3


def test_S2_1_a_rule_moves_its_listings_at_once(store: Store) -> None:
    bench = at_rest_with(store, 8)
    bench.tx(lambda tx: set_rule(tx, T, SHOP, "", bench.now, by="Ada", safety_stock=5))
    bench.run(60)
    assert bench.market.shown == {"MUG": 3}
    bench.now += MINUTE
    bench.tx(lambda tx: set_rule(tx, T, SHOP, "MUG", bench.now, by="Ada", cap=2))
    bench.run(60)
    assert bench.market.shown == {"MUG": 2}
    with pytest.raises(ValueError, match="0 or more"):
        bench.tx(lambda tx: set_rule(tx, T, SHOP, "MUG", bench.now, by="Ada", safety_stock=-1))


def test_S1_11_a_rule_for_a_part_holds_for_the_bundle(store: Store) -> None:
    bench = Bench(store)
    bench.outlet("SET", {"CUP": 2, "POT": 1}, shown=0)
    bench.stock("CUP", 9)
    bench.stock("POT", 9)
    bench.tx(lambda tx: set_rule(tx, T, EVERY_ACCOUNT, "CUP", bench.now, by="Ada", safety_stock=4))
    bench.run(60)
    assert bench.market.shown == {"SET": 2}
    bench.now += MINUTE
    bench.tx(lambda tx: set_rule(tx, T, EVERY_ACCOUNT, "POT", bench.now, by="Ada", cap=1))
    bench.run(60)
    assert bench.market.shown == {"SET": 1}


# --- sweep and audit --------------------------------------------------------------------------------------------------


def test_the_sweep_reads_what_was_read_longest_ago_an_even_share_a_call(store: Store) -> None:
    bench = Bench(store)
    for n in range(6):
        bench.outlet(f"M{n}", {f"M{n}": 1}, shown=1)
        bench.stock(f"M{n}", 1)
    bench.run(60)

    def swept() -> int:
        return bench.tx(lambda tx: sweep(tx, T, SHOP, bench.now, every_s=3_600, tick_s=1_200))  # type: ignore[return-value]

    assert swept() == 0
    bench.now += 3_601 * SECOND
    assert swept() == 2
    assert bench.run(60) == ["read"] and len(bench.market.reads[-1]) == 2
    assert swept() == 2
    assert bench.rest() != []
    bench.run(60)
    assert swept() == 2
    bench.run(60)
    assert swept() == 0 and bench.rest() == []


@pytest.mark.parametrize("ahead_s", [-300, 300])
def test_the_sweep_goes_by_how_long_ago_a_listing_was_read_whatever_the_clocks_say(store: Store, ahead_s: int) -> None:
    """Found by the simulator: with a clock behind, each listing was read that much later."""
    bench = Bench(store, ahead_s=ahead_s)
    bench.outlet("MUG", {"MUG": 1}, shown=5)
    bench.stock("MUG", 5)
    bench.run(60)
    read_at = bench.slot("MUG").believed_at
    assert read_at is not None
    bench.now = read_at - bench.ahead + 3_500 * SECOND
    assert bench.tx(lambda tx: sweep(tx, T, SHOP, bench.now, every_s=3_600)) == 0
    bench.now += 110 * SECOND
    assert bench.tx(lambda tx: sweep(tx, T, SHOP, bench.now, every_s=3_600)) == 1


def test_the_sweep_finds_drift_and_tries_parked_listings_again(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.market.state["MUG"] = "ended"
    bench.mark("MUG", reread=True)
    bench.run(60)
    assert bench.slot("MUG").state is SlotState.PARKED
    bench.market.state["MUG"] = "live"
    bench.now += 7 * 3_600 * SECOND
    assert bench.tx(lambda tx: sweep(tx, T, SHOP, bench.now)) == 1
    bench.run(60)
    assert bench.slot("MUG").state is SlotState.QUIET and bench.rest() == []


def test_S9_7_a_listing_that_is_fought_over_keeps_no_other_from_being_swept(store: Store) -> None:
    """Found by the simulator: parked, it was the one that was read longest ago for ever, and all of the account's share."""
    bench = Bench(store)
    for name in ("BOWL", "MUG"):
        bench.outlet(name, {name: 1}, shown=5)
        bench.stock(name, 5)
    bench.run(60)
    fought = bench.slot("BOWL").outlet_id
    bench.now += 7 * 3_600 * SECOND
    bench.tx(
        lambda tx: tx.run(
            "UPDATE slot SET state = 'PARKED', repairs = 9, repairs_since = :now WHERE outlet_id = :o",
            o=fought,
            now=bench.now,
        )
    )
    for _ in range(3):
        bench.tx(lambda tx: sweep(tx, T, SHOP, bench.now))
        bench.run(60)
    assert bench.slot("BOWL").state is SlotState.PARKED
    read_at = bench.slot("MUG").believed_at
    assert read_at is not None and read_at > bench.now - 3_600 * SECOND


def test_the_audit_finds_an_outlet_at_rest_beside_its_offer(store: Store) -> None:
    bench = at_rest_with(store, 5)
    report = bench.tx(lambda tx: audit_offers(tx, T, SHOP, bench.can, bench.now))
    assert (report.looked_at, report.wrong, report.wrong_in_all) == (1, (), 0)  # type: ignore[attr-defined]
    bench.tx(lambda tx: tx.run("UPDATE stock_level SET on_hand = 3"))  # a mark was lost
    report = bench.tx(lambda tx: audit_offers(tx, T, SHOP, bench.can, bench.now))
    assert report.wrong == ((1, 5, 3),)  # type: ignore[attr-defined]
    bench.run(60)
    assert bench.market.shown == {"MUG": 3} and bench.rest() == []


def test_S8_14_resuming_starts_with_reads(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.account("PAUSED")
    bench.stock("MUG", -5)
    assert bench.run(3_600) == []
    bench.account("LIVE")
    bench.tx(lambda tx: read_all(tx, T, SHOP, bench.now, "resumed"))
    assert bench.run(60) == ["read", "write", "read"]
    assert bench.market.shown == {"MUG": 0}


def test_S9_3_a_number_due_with_the_same_read_does_not_wait_either(store: Store) -> None:
    bench = at_rest_with(store, 5)
    edit_by_hand(bench, 9)
    bench.stock("MUG", -1)
    assert bench.run(60) == ["read", "write", "read"]
    assert bench.market.shown == {"MUG": 4} and bench.slot("MUG").repairs == 0


def test_S9_4_after_a_person_said_try_again_the_count_begins_anew(store: Store) -> None:
    bench = at_rest_with(store, 5)
    for _ in range(3):
        edit_by_hand(bench, 3)
        bench.run(60)
        bench.now += 10 * MINUTE
        feed_complete(bench)
        bench.run(60)
        bench.now += 10 * MINUTE
    assert bench.slot("MUG").state is SlotState.PARKED
    bench.tx(lambda tx: recovery.retry(tx, T, [1], bench.now, "Ada"))
    bench.run(60)
    assert bench.market.shown == {"MUG": 5} and bench.rest() == []


def test_own_sales_count_a_line_once_and_from_each_outlets_own_instant(store: Store) -> None:
    bench = Bench(store)
    bench.outlet("SET", {"CUP": 2, "POT": 1}, shown=9)
    bench.outlet("CUPS", {"CUP": 2}, shown=9)
    first = bench.now
    bench.sell("SET", 3)
    bench.sell("CUPS", 1)
    bench.now += 10 * SECOND
    bench.sell("CUPS", 4)

    def sold(since: dict[int, int]) -> dict[int, int]:
        return bench.tx(lambda tx: own_sales(tx, T, [1, 2], since))  # type: ignore[return-value]

    assert sold({1: first - 1, 2: first - 1}) == {1: 3, 2: 5}
    assert sold({1: first, 2: first}) == {1: 0, 2: 4}
    assert sold({1: first - 1, 2: first}) == {1: 3, 2: 4}
    assert sold({1: first - 1}) == {1: 3, 2: 0}
    assert bench.tx(lambda tx: sales_of(tx, T, {2: first})[2].placed) == ((first + 10 * SECOND, 4),)
