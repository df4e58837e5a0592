"""P9: where one call writes price and number of a whole listing together (Etsy), neither undoes the other. On both databases."""

from __future__ import annotations

import pytest
from tests.scenario.price_bench import PriceBench
from tests.scenario.publish_bench import SHOP, T

from oneshelf.core.instants import SECOND
from oneshelf.core.outcome import Rejected
from oneshelf.core.slot import SlotState
from oneshelf.db.store import Store
from oneshelf.publish.planning import WaitUntil, look
from oneshelf.publish.price_slots import PriceWriteCall
from oneshelf.publish.slots import ReadCall, WriteCall
from oneshelf.reconcile.price_sweep import sweep_prices

MINUTE = 60


def at_rest(store: Store, *, shown: int = 5) -> PriceBench:
    """A listing of two variations, RED and BLUE, which show and ask what they should."""
    bench = PriceBench(store, "etsy")
    for name in ("RED", "BLUE"):
        bench.listing(name, {name: 1}, 1000, shown=shown, unit="77")
        bench.stock(name, shown)
    bench.hub(RED=1000, BLUE=1000)
    bench.mark_prices()
    bench.run(MINUTE)
    assert bench.rest() == []
    bench.now += MINUTE * SECOND
    bench.complete_through(bench.now)
    for seen in (
        bench.market.writes,
        bench.market.reads,
        bench.prices.writes,
        bench.prices.reads,
        bench.prices.carried,
    ):
        seen.clear()
    return bench


def to_the_write(bench: PriceBench) -> PriceWriteCall:
    """Read what has to be read; return the price write as it is planned."""
    for _ in range(20):
        bench.wake()
        call = bench.plan()
        if not isinstance(call, WaitUntil):
            bench.call(call)
            continue
        price = bench.plan_price()
        if isinstance(price, PriceWriteCall):
            return price
        if isinstance(price, WaitUntil):
            bench.now += SECOND
        else:
            bench.call_price(price)
    raise AssertionError("no price write was planned")


def test_P9_a_price_takes_the_numbers_along_as_just_read_and_they_know_of_it(store: Store) -> None:
    bench = at_rest(store)
    bench.hub(RED=1250, BLUE=1000)
    call = to_the_write(bench)
    assert {item.outlet.external_id: item.quantity for item in call.items} == {"RED": 5, "BLUE": 5}
    assert {item.outlet.external_id: item.price_minor for item in call.items} == {"RED": 1250, "BLUE": 1000}
    assert bench.slot("RED").state is SlotState.SENDING and bench.slot("RED").sent == 5
    bench.call_price(call)
    bench.run(MINUTE)
    assert bench.asked() == {"RED": 1250, "BLUE": 1000} and bench.market.shown == {"RED": 5, "BLUE": 5}
    assert bench.market.writes == [] and bench.attempts("RED")[-1][0] == 5
    assert bench.rest() == []


def test_P9_a_sale_between_the_read_and_the_write_is_not_put_back_on_sale(store: Store) -> None:
    bench = at_rest(store)
    bench.hub(RED=1250)
    call = to_the_write(bench)
    hear = bench.sell("RED", 2, heard=False)
    bench.call_price(call)
    assert bench.prices.carried == [{"RED": 3, "BLUE": 5}] and bench.market.shown == {"RED": 3, "BLUE": 5}
    bench.run(30)
    hear()
    bench.complete_through(bench.now)
    bench.run(MINUTE)
    assert bench.market.shown == {"RED": 3, "BLUE": 5} and bench.asked()["RED"] == 1250
    assert bench.rest() == [] and bench.provisional() == 0


def test_P9_a_sale_that_the_price_write_overwrote_is_told_again(store: Store) -> None:
    bench = at_rest(store)
    bench.hub(RED=1250)
    call = to_the_write(bench)
    bench.prices.lands_after = 2 * SECOND  # it lands with the number of before the sale
    bench.call_price(call)
    bench.now += SECOND
    hear = bench.sell("RED", 2, heard=False)
    bench.now += 2 * SECOND
    bench.market.let_land(bench.now)
    assert bench.market.shown["RED"] == 5
    hear()
    bench.complete_through(bench.now)
    bench.run(5 * MINUTE)
    assert bench.market.shown == {"RED": 3, "BLUE": 5} and bench.asked()["RED"] == 1250 and bench.rest() == []


def test_P9_a_number_that_is_due_to_fall_falls_with_the_price_and_none_rises(store: Store) -> None:
    bench = at_rest(store)
    bench.hub(RED=1250)
    call = to_the_write(bench)
    bench.call_price(call)
    bench.run(MINUTE)
    bench.now += MINUTE * SECOND
    bench.hub(RED=1300)
    bench.step_price()
    bench.mark("RED", reread=True)
    bench.wake()
    read = bench.plan()
    assert isinstance(read, ReadCall)
    bench.call(read)
    bench.stock("RED", -3)
    bench.stock("BLUE", 4)
    bench.wake()
    write = bench.plan_price()
    assert isinstance(write, PriceWriteCall)
    assert {item.outlet.external_id: item.quantity for item in write.items} == {"RED": 2, "BLUE": 5}


def test_P9_a_listing_that_shows_nothing_is_priced_when_it_is_on_sale_again(store: Store) -> None:
    bench = at_rest(store)
    bench.stock("RED", -5)
    bench.stock("BLUE", -5)
    bench.run(MINUTE)
    assert bench.market.shown == {"RED": 0, "BLUE": 0}
    bench.hub(RED=1250)
    bench.run(5 * MINUTE)
    assert bench.prices.writes == [] and bench.market.shown == {"RED": 0, "BLUE": 0}
    assert bench.price_slot("RED").parked == "not_on_sale" and bench.rest() == [] and bench.open_tasks() == []
    bench.now += 2 * 3_600 * SECOND
    bench.stock("RED", 4)
    bench.run(5 * MINUTE)
    assert bench.market.shown == {"RED": 4, "BLUE": 0} and bench.prices.writes == []
    assert bench.tx(lambda tx: sweep_prices(tx, T, SHOP, bench.now)) == 1
    bench.run(5 * MINUTE)
    assert bench.asked()["RED"] == 1250 and bench.market.shown == {"RED": 4, "BLUE": 0} and bench.rest() == []


def test_P9_a_listing_that_the_channel_calls_closed_is_no_task_and_is_told_later(store: Store) -> None:
    bench = at_rest(store)
    bench.prices.answers = lambda offer: Rejected("the listing is inactive", code="inactive")
    bench.hub(RED=1250)
    bench.run(MINUTE)
    assert bench.price_slot("RED").parked == "not_on_sale" and bench.open_tasks() == []
    assert len(bench.prices.writes) == 1 and bench.market.shown == {"RED": 5, "BLUE": 5}
    bench.prices.answers = lambda offer: None
    assert bench.tx(lambda tx: sweep_prices(tx, T, SHOP, bench.now)) == 0, "nothing was seen of it since"
    bench.stock("BLUE", -1)
    bench.run(MINUTE)
    assert bench.tx(lambda tx: sweep_prices(tx, T, SHOP, bench.now)) >= 1
    bench.run(MINUTE)
    assert bench.asked()["RED"] == 1250 and bench.rest() == []


def test_P9_a_price_waits_while_a_number_of_its_listing_is_not_seen(store: Store) -> None:
    bench = at_rest(store)
    bench.market.lands_after = 4 * SECOND
    bench.stock("BLUE", -1)
    bench.wake()
    while not isinstance(call := bench.plan(), WriteCall):
        assert isinstance(call, ReadCall)
        bench.call(call)
    bench.hub(RED=1250)
    assert bench.step_price() == "read BLUE RED", "a read disturbs nobody"
    assert isinstance(bench.plan_price(["write"]), WaitUntil), "its number is SENDING"
    bench.call(call)
    assert bench.slot("BLUE").state is SlotState.APPLYING
    assert isinstance(bench.plan_price(["write"]), WaitUntil), "its number is not seen"
    bench.run(MINUTE)
    assert bench.market.shown == {"RED": 5, "BLUE": 4} and bench.asked()["RED"] == 1250 and bench.rest() == []


def test_P9_no_number_is_joined_to_a_price_call_without_answer(store: Store) -> None:
    bench = at_rest(store)
    bench.hub(RED=1250)
    call = to_the_write(bench)
    bench.stock("BLUE", -5)  # the most urgent thing there is
    bench.wake()
    assert isinstance(bench.plan(), WaitUntil)
    bench.call_price(call)
    bench.run(MINUTE)
    assert bench.market.shown == {"RED": 5, "BLUE": 0} and bench.asked()["RED"] == 1250 and bench.rest() == []


def test_P9_a_number_that_comes_back_while_the_price_call_is_out_waits_for_its_answer(store: Store) -> None:
    bench = at_rest(store)
    bench.tx(lambda tx: tx.run("UPDATE slot SET state = 'PARKED'"))  # so that no number goes along
    bench.hub(RED=1250)
    call = to_the_write(bench)
    assert call.along == ()
    back = (
        "UPDATE slot SET state = 'WAITING', verified = 1, offer = 0, priority = 1, believed_at = :now, since_at = :now"
    )
    bench.tx(lambda tx: tx.run(back, now=bench.now))
    assert bench.tx(lambda tx: look(tx, T, SHOP, bench.can, bench.now)).write is None  # type: ignore[attr-defined]
    bench.call_price(call)
    assert bench.tx(lambda tx: look(tx, T, SHOP, bench.can, bench.now)).write == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(("pieces", "waits"), [(-5, False), (3, True)])
def test_P9_a_number_that_can_wait_waits_until_the_price_is_seen_a_zero_does_not(
    store: Store, pieces: int, waits: bool
) -> None:
    bench = at_rest(store)
    bench.hub(RED=1250)
    bench.prices.lands_after = 30 * SECOND
    bench.call_price(to_the_write(bench))
    bench.prices.lands_after = 0
    bench.market.landing.clear()  # the numbers are there already
    bench.stock("BLUE", pieces)
    done = []
    for _ in range(8):
        bench.wake()
        call = bench.plan()
        if isinstance(call, WriteCall):
            done.append(call)
            break
        if isinstance(call, WaitUntil):
            bench.now += SECOND
        else:
            bench.call(call)
    assert (not done) is waits and bench.price_slot("RED").state is SlotState.APPLYING


def test_P9_a_price_without_answer_leaves_price_and_numbers_unknown_and_both_are_read(store: Store) -> None:
    bench = at_rest(store)
    bench.hub(RED=1250)
    call = to_the_write(bench)
    bench.prices.no_answer = True
    bench.call_price(call)
    bench.prices.no_answer = False
    states = {bench.price_slot("RED").state, bench.slot("RED").state, bench.slot("BLUE").state}
    assert states == {SlotState.UNKNOWN}
    bench.run(2 * MINUTE)
    assert bench.prices.writes == [{"RED": 1250, "BLUE": 1000}] and bench.market.writes == []
    assert bench.market.shown == {"RED": 5, "BLUE": 5} and bench.asked()["RED"] == 1250 and bench.rest() == []


def test_P9_a_refused_price_parks_what_was_changed_and_no_number(store: Store) -> None:
    bench = at_rest(store)
    bench.prices.answers = lambda offer: Rejected("price too low", code="400")
    bench.hub(RED=20)
    bench.run(2 * MINUTE)
    assert bench.price_slot("RED").reason == "refused 0.20 EUR: price too low"
    assert bench.price_slot("BLUE").state is SlotState.QUIET
    assert bench.slot("RED").state is SlotState.QUIET and bench.open_tasks() == ["price_refused"]
    assert bench.market.shown == {"RED": 5, "BLUE": 5} and len(bench.prices.writes) == 1
    bench.stock("RED", -2)
    bench.run(MINUTE)
    assert bench.market.shown == {"RED": 3, "BLUE": 5}, "numbers go on"


def test_P9_a_crash_with_a_price_on_its_way_reads_price_and_numbers(store: Store) -> None:
    bench = at_rest(store)
    bench.hub(RED=1250)
    to_the_write(bench)
    bench.recover()
    assert bench.slot("RED").state is SlotState.UNKNOWN and bench.price_slot("RED").state is SlotState.UNKNOWN
    bench.run(3 * MINUTE)
    assert bench.asked()["RED"] == 1250 and bench.market.shown == {"RED": 5, "BLUE": 5} and bench.rest() == []
