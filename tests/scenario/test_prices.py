"""Prices out (docs/concepts/prices.md), on both databases, against a marketplace in memory that asks prices and shows numbers."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.scenario.price_bench import PriceBench
from tests.scenario.publish_bench import SHOP, T

from oneshelf.channels.abilities import Sale
from oneshelf.channels.contract import NoAnswer
from oneshelf.core.facts import Money
from oneshelf.core.instants import SECOND, from_us
from oneshelf.core.outcome import Rejected
from oneshelf.core.slot import SlotState
from oneshelf.db.store import Store
from oneshelf.publish import price_planning, recovery
from oneshelf.publish.planning import WaitUntil
from oneshelf.publish.price_slots import PriceReadCall, PriceWriteCall

MINUTE = 60


def at_rest_with(store: Store, asks: int = 1000, channel: str = "ebay") -> PriceBench:
    """A bench whose one listing asks what the shop asks and shows what there is; nothing is owed."""
    bench = PriceBench(store, channel)
    bench.listing("MUG", {"MUG": 1}, asks)
    bench.hub(MUG=asks)
    bench.stock("MUG", 5)
    bench.mark_prices()
    bench.run(MINUTE)
    assert bench.rest() == [] and bench.price_slot("MUG").believed == asks
    bench.now += MINUTE * SECOND
    bench.prices.reads.clear()
    bench.prices.writes.clear()
    bench.market.writes.clear()
    return bench


def test_P2_no_price_leaves_before_the_merchant_switched_it_on(store: Store) -> None:
    bench = PriceBench(store, follow=False)
    bench.listing("MUG", {"MUG": 1}, 1900)
    bench.hub(MUG=1000)
    bench.stock("MUG", 5)
    bench.hub(MUG=1200)
    bench.run(MINUTE)
    assert bench.prices.reads == [] and bench.prices.writes == [] and bench.asked() == {"MUG": 1900}
    bench.switch(follow=True)
    bench.run(MINUTE)
    assert bench.asked() == {"MUG": 1200}
    bench.switch(follow=False)
    bench.hub(MUG=1300)
    bench.run(MINUTE)
    assert bench.asked() == {"MUG": 1200}


def test_P2_an_account_that_was_disconnected_begins_with_its_prices_left_alone(store: Store) -> None:
    from oneshelf.onboarding.leaving import leave

    bench = at_rest_with(store)
    bench.hub(MUG=1250)
    bench.tx(lambda tx: leave(tx, T, SHOP, bench.now, by="Ada"))
    assert bench.all("SELECT COUNT(*) FROM price_mark") == [(0,)]
    bench.account("LIVE")
    bench.hub(MUG=1300)
    bench.run(MINUTE)
    assert bench.prices.writes == [] and bench.asked() == {"MUG": 1000}


def test_P4_P5_a_price_changed_in_the_shop_is_read_told_seen_and_rests(store: Store) -> None:
    bench = at_rest_with(store)
    bench.hub(MUG=1250)
    assert bench.step_price() == "read MUG"
    assert bench.step_price() == "write MUG=1250"
    slot = bench.price_slot("MUG")
    assert (slot.state, slot.sent, slot.verified) == (SlotState.APPLYING, 1250, 0)
    assert bench.step_price() == "wait"
    bench.now += SECOND
    assert bench.step_price() == "read MUG"
    slot = bench.price_slot("MUG")
    assert (slot.state, slot.believed, slot.sent) == (SlotState.QUIET, 1250, None)
    assert bench.price_attempts("MUG") == [(1250, "SEEN")]
    assert bench.all("SELECT COUNT(*) FROM price_mark") == [(0,)] and bench.rest() == []


def test_P4_a_reading_without_a_changed_price_marks_nothing(store: Store) -> None:
    bench = at_rest_with(store)
    bench.hub(MUG=1000)
    assert bench.all("SELECT COUNT(*) FROM price_mark") == [(0,)]
    bench.hub(MUG=1001)
    assert bench.all("SELECT COUNT(*) FROM price_mark") == [(1,)]


def test_P3_a_pack_asks_for_all_its_pieces_and_a_bundle_for_its_parts(store: Store) -> None:
    bench = PriceBench(store)
    bench.listing("PACK", {"MUG": 3}, 1)
    bench.listing("SET", {"MUG": 1, "POT": 2}, 1)
    bench.hub(MUG=1000, POT=250)
    bench.stock("MUG", 50)
    bench.stock("POT", 50)
    bench.mark_prices()
    bench.run(MINUTE)
    assert bench.asked() == {"PACK": 3000, "SET": 1500}


@pytest.mark.parametrize(
    ("price", "currency", "code"),
    [(0, "EUR", "not_positive"), (-5, "EUR", "not_positive"), (None, "EUR", "unknown"), (900, "USD", "currency")],
)
def test_P3_what_can_t_be_followed_is_never_sent_and_stands_in_sight(
    store: Store, price: int | None, currency: str, code: str
) -> None:
    bench = at_rest_with(store)
    bench.hub_in(currency, MUG=price)
    bench.run(MINUTE)
    assert bench.prices.writes == [] and bench.asked() == {"MUG": 1000}
    slot = bench.price_slot("MUG")
    assert (slot.state, slot.parked) == (SlotState.PARKED, f"no_price/{code}")
    assert bench.open_tasks() == ["no_price_to_follow"] and bench.rest() == []
    bench.hub(MUG=1100)
    bench.run(MINUTE)
    assert bench.asked() == {"MUG": 1100} and bench.open_tasks() == []


def test_P3_a_listing_in_another_currency_keeps_its_price_until_it_asks_in_the_shop_s(store: Store) -> None:
    bench = PriceBench(store)
    bench.listing("MUG", {"MUG": 1}, 1)
    bench.prices.asks["MUG"] = Money(1, "GBP")
    bench.hub(MUG=1000)
    bench.mark_prices()
    bench.run(MINUTE)
    assert bench.price_slot("MUG").parked == "no_price/currency" and bench.prices.writes == []
    bench.prices.asks["MUG"] = Money(1, "EUR")
    bench.mark_prices()
    bench.run(MINUTE)
    assert bench.asked() == {"MUG": 1000}


def test_P5_a_timeout_after_success_is_read_and_not_sent_twice(store: Store) -> None:
    bench = at_rest_with(store)
    bench.prices.no_answer = True
    bench.hub(MUG=1250)
    bench.run(2)
    slot = bench.price_slot("MUG")
    assert slot.state is SlotState.UNKNOWN and slot.reason == "no answer: the call broke: timed out"
    bench.prices.no_answer = False
    bench.run(MINUTE)
    assert bench.prices.writes == [{"MUG": 1250}] and bench.asked() == {"MUG": 1250}
    assert bench.price_attempts("MUG") == [(1250, "SEEN")] and bench.rest() == []


def test_P5_a_timeout_without_success_is_read_and_then_sent_again(store: Store) -> None:
    bench = at_rest_with(store)
    calls: list[int] = []
    real = bench.prices.publish

    def publish(offers: object, carries: bool) -> object:
        if not calls:
            calls.append(1)
            raise NoAnswer("timed out", sent=True)
        return real(offers, carries)  # type: ignore[arg-type]

    bench.prices.publish = publish  # type: ignore[method-assign, assignment]
    bench.hub(MUG=1250)
    bench.run(5 * MINUTE)
    assert bench.asked() == {"MUG": 1250}
    assert bench.price_attempts("MUG") == [(1250, "UNSEEN"), (1250, "SEEN")]


def test_P5_an_older_price_that_lands_late_is_seen_and_put_right(store: Store) -> None:
    bench = at_rest_with(store)
    bench.prices.lands_after = 18 * SECOND
    bench.prices.no_answer = True
    bench.hub(MUG=1250)
    bench.run(1)  # told 1250; no answer, and not shown for a while
    bench.prices.lands_after, bench.prices.no_answer = 0, False
    bench.hub(MUG=1300)
    bench.run(3 * MINUTE)
    assert bench.prices.writes[:2] == [{"MUG": 1250}, {"MUG": 1300}]
    assert bench.asked() == {"MUG": 1300} and bench.rest() == []
    assert bench.price_slot("MUG").repairs == 0, "our own late write is nobody else's"


def test_P5_the_newest_price_goes_when_the_shop_changed_it_while_the_call_was_out(store: Store) -> None:
    bench = at_rest_with(store)
    bench.hub(MUG=1250)
    bench.step_price()
    bench.prices.before_write = lambda: (setattr(bench.prices, "before_write", lambda: None), bench.hub(MUG=1400))[0]
    assert bench.step_price() == "write MUG=1250"
    bench.run(MINUTE)
    assert bench.asked() == {"MUG": 1400} and bench.rest() == []


def test_P5_a_write_never_seen_three_times_is_parked_in_sight(store: Store) -> None:
    bench = at_rest_with(store)
    bench.prices.lands_after = 10**15
    bench.hub(MUG=1250)
    bench.run(10 * MINUTE)
    assert bench.price_slot("MUG").parked == "unseen" and bench.open_tasks() == ["price_never_seen"]
    assert len(bench.prices.writes) == 3


def test_P11_a_refused_price_is_parked_and_another_price_of_the_shop_is_tried(store: Store) -> None:
    bench = at_rest_with(store)
    bench.prices.answers = lambda offer: Rejected("below the minimum") if offer.price.minor < 100 else None
    bench.hub(MUG=50)
    bench.run(MINUTE)
    slot = bench.price_slot("MUG")
    assert (slot.state, slot.reason) == (SlotState.PARKED, "refused 0.50 EUR: below the minimum")
    assert bench.open_tasks() == ["price_refused"] and len(bench.prices.writes) == 1
    bench.run(600)
    assert len(bench.prices.writes) == 1
    bench.hub(MUG=1100)
    bench.run(MINUTE)
    assert bench.asked() == {"MUG": 1100} and bench.open_tasks() == [] and bench.rest() == []


def test_P11_a_price_refused_while_the_shop_changed_it_is_tried_with_the_new_one(store: Store) -> None:
    bench = at_rest_with(store)
    bench.prices.answers = lambda offer: Rejected("below the minimum") if offer.price.minor < 100 else None
    bench.hub(MUG=50)
    bench.step_price()

    def meanwhile() -> None:
        bench.prices.before_write = lambda: None
        bench.hub(MUG=1100)
        bench.tx(lambda tx: price_planning.wake(tx, T, SHOP, bench.now))

    bench.prices.before_write = meanwhile
    assert bench.step_price() == "write MUG=50"
    bench.run(MINUTE)
    assert bench.asked() == {"MUG": 1100} and bench.rest() == []


def test_P11_a_person_says_try_again(store: Store) -> None:
    bench = at_rest_with(store)
    bench.prices.answers = lambda offer: Rejected("listing under review")
    bench.hub(MUG=1100)
    bench.run(MINUTE)
    bench.prices.answers = lambda offer: None
    assert bench.tx(lambda tx: recovery.retry_prices(tx, T, [bench.ids["MUG"]], bench.now, "Ada")) == 1
    bench.run(MINUTE)
    assert bench.asked() == {"MUG": 1100} and bench.open_tasks() == []


def test_P8_a_sale_and_a_struck_out_price_that_the_merchant_set_stay(store: Store) -> None:
    bench = at_rest_with(store, channel="amazon")
    sale = Sale(Money(800, "EUR"), from_us(bench.now), from_us(bench.now) + timedelta(days=3))
    bench.prices.sales["MUG"], bench.prices.compare_at["MUG"] = sale, Money(2000, "EUR")
    bench.hub(MUG=1250)
    bench.run(10 * MINUTE)
    assert bench.asked() == {"MUG": 1250}
    assert bench.prices.sales == {"MUG": sale} and bench.prices.compare_at == {"MUG": Money(2000, "EUR")}


def test_P8_a_price_not_above_the_running_sale_is_asked_about_and_not_sent(store: Store) -> None:
    bench = at_rest_with(store, channel="amazon")
    bench.prices.sales["MUG"] = Sale(Money(800, "EUR"), from_us(bench.now), from_us(bench.now) + timedelta(days=3))
    bench.hub(MUG=700)
    bench.run(MINUTE)
    assert bench.prices.writes == [] and bench.price_slot("MUG").parked == "sale"
    assert "8.00 EUR" in bench.price_slot("MUG").reason and bench.open_tasks() == ["price_refused"]
    del bench.prices.sales["MUG"]
    bench.mark_prices()
    bench.run(10 * MINUTE)
    assert bench.asked() == {"MUG": 700} and bench.open_tasks() == []


def test_P10_a_price_set_by_hand_at_the_channel_is_repaired_and_the_third_time_asked_about(store: Store) -> None:
    bench = at_rest_with(store)
    for day in range(3):
        bench.prices.asks["MUG"] = Money(1900 + day, "EUR")
        bench.mark_prices()
        bench.run(MINUTE)
        bench.now += 86_400 * SECOND
    assert bench.prices.writes == [{"MUG": 1000}, {"MUG": 1000}]
    slot = bench.price_slot("MUG")
    assert (slot.parked, bench.asked(), bench.open_tasks()) == ("fought", {"MUG": 1902}, ["someone_else_prices"])
    assert "19.02 EUR" in slot.reason
    bench.hub(MUG=1100)
    bench.mark_prices()
    bench.run(MINUTE)
    assert bench.asked() == {"MUG": 1902}, "only a person ends a fight"
    bench.tx(lambda tx: recovery.retry_prices(tx, T, [bench.ids["MUG"]], bench.now, "Ada"))
    bench.run(MINUTE)
    assert bench.asked() == {"MUG": 1100} and bench.open_tasks() == []


def test_P12_what_was_on_its_way_at_a_crash_is_read_first(store: Store) -> None:
    bench = at_rest_with(store)
    bench.hub(MUG=1250)
    bench.step_price()
    call = bench.plan_price()
    assert isinstance(call, PriceWriteCall)
    bench.prices.asks["MUG"] = Money(1250, "EUR")  # it was done, and we died before the answer
    bench.recover()
    assert bench.price_slot("MUG").state is SlotState.UNKNOWN
    assert bench.price_attempts("MUG") == [(1250, "UNKNOWN")]
    assert bench.step_price() == "read MUG"
    bench.run(MINUTE)
    assert bench.prices.writes == [] and bench.price_attempts("MUG") == [(1250, "SEEN")] and bench.rest() == []


def test_P12_after_a_restart_a_verified_price_is_read_again_before_it_is_told(store: Store) -> None:
    bench = at_rest_with(store)
    bench.hub(MUG=1250)
    bench.step_price()
    bench.fresh_prices = {}  # the last reads live in memory
    assert bench.step_price() == "read MUG"
    assert bench.step_price() == "write MUG=1250"


def test_P5_reads_that_fail_wait_longer_each_time(store: Store) -> None:
    bench = at_rest_with(store)
    bench.hub(MUG=1250)
    bench.prices.read_fails = NoAnswer("down", sent=True)
    waits = []
    for _ in range(3):
        assert bench.step_price() == "read MUG"
        slot = bench.price_slot("MUG")
        assert slot.wait_until is not None
        waits.append((slot.wait_until - bench.now) // SECOND)
        bench.now = slot.wait_until
    assert waits == [1, 2, 4]


def test_P5_a_price_that_can_t_be_read_is_parked_in_words(store: Store) -> None:
    bench = at_rest_with(store)
    del bench.prices.asks["MUG"]
    bench.hub(MUG=1250)
    bench.run(MINUTE)
    slot = bench.price_slot("MUG")
    assert (slot.parked, slot.reason, bench.open_tasks()) == (
        "unreadable",
        "the channel gave no price",
        ["price_refused"],
    )


def test_P5_a_paused_account_is_told_no_price(store: Store) -> None:
    bench = at_rest_with(store)
    bench.account("PAUSED")
    bench.hub(MUG=1250)
    bench.run(MINUTE)
    assert bench.prices.writes == []
    bench.account("LIVE")
    bench.run(MINUTE)
    assert bench.asked() == {"MUG": 1250}


def test_P7_numbers_and_prices_spend_from_one_ration_of_a_listing(store: Store) -> None:
    import msgspec

    bench = at_rest_with(store)
    bench.can = msgspec.structs.replace(bench.can, writes_per_unit_day=28)  # 25 of them are kept for what is urgent
    for minor in (1001, 1002, 1003):
        bench.hub(MUG=minor)
        bench.run(MINUTE)
    already = len(bench.market.writes) + len(bench.prices.writes)
    bench.stock("MUG", 2)  # a raise: not urgent
    bench.run(MINUTE)
    assert bench.market.writes == [] and bench.market.shown == {"MUG": 5}, already
    assert bench.slot("MUG").reason == "waits: the channel lets this listing be told only so often"
    bench.hub(MUG=1004)
    bench.run(MINUTE)
    assert bench.asked()["MUG"] == 1003
    bench.stock("MUG", -7)  # a zero is
    bench.run(MINUTE)
    assert bench.market.shown == {"MUG": 0}


def test_P5_an_unlinked_listing_keeps_its_price(store: Store) -> None:
    from oneshelf.pricing import marks

    bench = at_rest_with(store)
    bench.tx(lambda tx: tx.run("DELETE FROM link WHERE outlet_id = :o", o=bench.ids["MUG"]))
    bench.tx(lambda tx: marks.mark_outlets(tx, T, [bench.ids["MUG"]], bench.now, "unlinked"))
    bench.hub(MUG=1250)
    bench.run(MINUTE)
    assert bench.prices.writes == [] and bench.price_slot("MUG").parked == "no_price/not_linked" and bench.rest() == []


def test_P5_many_prices_go_in_one_call(store: Store) -> None:
    bench = PriceBench(store)
    for n in range(12):
        bench.listing(f"M{n:02}", {f"M{n:02}": 1}, 100)
    bench.hub(**{f"M{n:02}": 200 for n in range(12)})
    bench.mark_prices()
    call = bench.plan_price()
    assert isinstance(call, PriceReadCall) and len(call.items) == 10
    bench.call_price(call)
    second = bench.plan_price(["read"])
    assert isinstance(second, PriceReadCall) and len(second.items) == 2
    bench.call_price(second)
    write = bench.plan_price()
    assert isinstance(write, PriceWriteCall) and len(write.items) == 12
    bench.call_price(write)
    assert isinstance(bench.plan_price(), WaitUntil)
    assert set(bench.asked().values()) == {200}
