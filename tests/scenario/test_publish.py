"""Publishing through the states of SEMANTICS 8.2, on both databases, against a marketplace in memory."""

from __future__ import annotations

import pytest
from tests.scenario.publish_bench import CAS, SHOP, Bench, T

from oneshelf.channels.contract import NoAnswer, Offer
from oneshelf.core.errors import Retry, SignInAgain
from oneshelf.core.instants import SECOND
from oneshelf.core.outcome import Outcome, Rejected, Throttled, Unknown
from oneshelf.core.slot import SlotState
from oneshelf.db.store import Store
from oneshelf.listings import dirty
from oneshelf.publish import recovery
from oneshelf.publish.planning import WaitUntil, look
from oneshelf.publish.slots import ReadCall, WriteCall


@pytest.fixture
def bench(store: Store) -> Bench:
    return Bench(store)


def at_rest_with(store: Store, k: int, channel: str = "ebay", name: str = "MUG") -> Bench:
    """A bench whose one listing shows K and is at rest."""
    bench = Bench(store, channel)
    bench.outlet(name, {"MUG": 1}, shown=k)
    bench.stock("MUG", k)
    bench.run(60)
    assert bench.rest() == []
    assert bench.slot(name).believed == k
    bench.now += 60 * SECOND
    bench.market.reads.clear()
    bench.market.writes.clear()
    return bench


def test_S8_2_a_dirty_listing_is_read_then_told_then_seen_then_quiet(bench: Bench) -> None:
    bench.outlet("MUG", {"MUG": 1}, shown=0)
    bench.stock("MUG", 5)
    assert bench.step() == "read MUG"
    assert bench.slot("MUG").state is SlotState.WAITING
    assert bench.step() == "write MUG=5"
    slot = bench.slot("MUG")
    assert (slot.state, slot.verified, slot.sent, slot.base) == (SlotState.APPLYING, 0, 5, 0)
    assert bench.step() == "wait"
    bench.now += SECOND
    assert bench.step() == "read MUG"
    slot = bench.slot("MUG")
    assert (slot.state, slot.verified, slot.believed, slot.sent) == (SlotState.QUIET, 1, 5, None)
    assert bench.generation("MUG") is None
    assert bench.rest() == []


def test_S8_2_no_write_when_believed_is_the_offer(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.mark("MUG")
    assert bench.run(60) == []
    assert bench.market.writes == [] and bench.market.reads == []
    assert bench.generation("MUG") is None


def test_S8_5_a_sale_that_the_channel_took_off_itself_needs_no_write(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.sell("MUG", 2)
    assert bench.run(60) == []
    assert bench.market.shown == {"MUG": 3}
    assert bench.slot("MUG").state is SlotState.QUIET


def test_S8_5_a_sale_overwritten_by_our_write_is_written_again(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.stock("MUG", 3)
    assert bench.step() == "read MUG"
    hear = bench.sell("MUG", 1, heard=False)  # between the read and the write: shown 4, then 8 overwrites it
    assert bench.step() == "write MUG=8"
    assert bench.market.shown == {"MUG": 8}
    bench.now += 30 * SECOND
    bench.run(30)
    hear()
    bench.run(60)
    assert bench.market.shown == {"MUG": 7}
    assert bench.rest() == []


def test_S8_5_an_own_cancel_is_read_before_anything_is_decided(store: Store) -> None:
    bench = at_rest_with(store, 5)
    hear = bench.sell("MUG", 2)
    bench.now += 60 * SECOND
    bench.run(1)
    hear(cancelled=2)  # eBay does not put it back
    assert bench.step() == "read MUG"
    assert bench.step() == "write MUG=5"
    bench.run(60)
    assert bench.market.shown == {"MUG": 5} and bench.rest() == []


def test_S8_2_zero_goes_out_without_a_read_when_the_outlet_is_verified(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.stock("MUG", -5)
    assert bench.step() == "write MUG=0"


def test_S8_2_zero_goes_out_although_its_read_failed(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.stock("MUG", -5)
    bench.mark("MUG", reread=True)
    bench.market.read_fails = NoAnswer("down", sent=True)
    assert bench.step() == "read MUG"
    assert bench.step() == "write MUG=0"
    assert bench.market.shown == {"MUG": 0}
    assert len(bench.market.reads) == 1


def test_S8_2_a_failed_verify_read_does_not_send_zero_again(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.stock("MUG", -5)
    assert bench.step() == "write MUG=0"
    bench.market.read_fails = NoAnswer("down", sent=True)
    bench.run(30)
    bench.market.read_fails = None
    bench.run(300)
    assert bench.market.writes == [{"MUG": 0}]
    assert bench.slot("MUG").state is SlotState.QUIET


def test_S8_2_a_failed_read_waits_longer_each_time_and_says_why(bench: Bench) -> None:
    bench.outlet("MUG", {"MUG": 1}, shown=2)
    bench.stock("MUG", 5)
    bench.market.read_fails = Retry("the channel is down")
    waits = []
    for _ in range(3):
        assert bench.step() == "read MUG"
        slot = bench.slot("MUG")
        assert slot.state is SlotState.WAITING and slot.reason == "read failed: the channel is down"
        assert slot.wait_until is not None
        waits.append((slot.wait_until - bench.now) // SECOND)
        bench.now = slot.wait_until
    assert waits == [1, 2, 4]
    bench.market.read_fails = None
    bench.run(60)
    assert bench.market.shown == {"MUG": 5} and bench.slot("MUG").reason == ""


def test_S8_2_a_read_that_names_a_time_waits_that_long(bench: Bench) -> None:
    bench.outlet("MUG", {"MUG": 1}, shown=2)
    bench.stock("MUG", 5)
    bench.market.read_fails = Retry("slow down", wait_s=42.0)
    bench.step()
    assert bench.slot("MUG").wait_until == bench.now + 42 * SECOND


def test_S8_2_rejected_parks_and_only_a_person_or_the_listing_tries_again(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.market.answers = lambda offer: Rejected("no such category")
    bench.stock("MUG", 1)
    bench.run(60)
    slot = bench.slot("MUG")
    assert (slot.state, slot.reason) == (SlotState.PARKED, "refused: no such category")
    assert bench.open_tasks() == ["listing_refused"]
    bench.stock("MUG", 1)
    assert bench.run(600) == []
    bench.market.answers = lambda offer: None
    assert bench.tx(lambda tx: recovery.retry(tx, T, [bench.ids["MUG"]], bench.now, "Ada")) == 1
    bench.run(60)
    assert bench.market.shown == {"MUG": 7}
    assert bench.open_tasks() == [] and bench.rest() == []


def test_refused_credentials_park_no_listing_but_ask_for_a_sign_in(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.market.answers = lambda offer: Rejected("token revoked", code="unauthorized")
    bench.stock("MUG", 1)
    bench.run(10)
    assert bench.slot("MUG").state is SlotState.WAITING
    assert bench.open_tasks() == ["connect_again"]
    bench.market.answers = lambda offer: None
    bench.run(600)
    assert bench.market.shown == {"MUG": 6} and bench.open_tasks() == []


def test_a_sign_in_asked_for_by_a_read_is_a_task_too(bench: Bench) -> None:
    bench.outlet("MUG", {"MUG": 1}, shown=2)
    bench.stock("MUG", 0)
    bench.market.read_fails = SignInAgain("expired")
    bench.run(30)
    assert len(bench.market.reads) == 1 and bench.market.writes == []
    assert bench.open_tasks() == ["connect_again"]


def test_S8_2_throttled_waits_until_the_time_that_the_channel_names(store: Store) -> None:
    bench = at_rest_with(store, 5)
    answers: list[Outcome | None] = [Throttled(30.0, "429")]
    bench.market.answers = lambda offer: answers.pop(0) if answers else None
    bench.stock("MUG", -5)
    assert bench.step() == "write MUG=0"
    slot = bench.slot("MUG")
    assert slot.state is SlotState.WAITING and slot.wait_until == bench.now + 30 * SECOND
    bench.now += 29 * SECOND
    assert bench.step() == "wait"
    bench.now += 1 * SECOND
    assert bench.step() == "write MUG=0"
    assert bench.attempts("MUG")[-2:] == [(0, "THROTTLED"), (0, "ACCEPTED")]


@pytest.mark.parametrize("was_done", [True, False])
def test_I18_unknown_is_neither_yes_nor_no_before_a_read(store: Store, was_done: bool) -> None:
    bench = at_rest_with(store, 5)
    bench.stock("MUG", 4)
    assert bench.step() == "read MUG"
    if was_done:
        bench.market.no_answer = True
    else:
        bench.market.answers = lambda offer: Unknown("timed out")
    assert bench.step() == "write MUG=9"
    slot = bench.slot("MUG")
    assert (slot.state, slot.believed, slot.exposure) == (SlotState.UNKNOWN, 5, 14)
    assert slot.wait_until == bench.now + 5 * SECOND
    assert bench.generation("MUG") is not None
    bench.market.no_answer, bench.market.answers = False, lambda offer: None
    bench.now += 5 * SECOND
    assert bench.step() == "read MUG"
    assert bench.slot("MUG").state is (SlotState.QUIET if was_done else SlotState.WAITING)
    bench.run(120)
    assert bench.market.shown == {"MUG": 9} and bench.rest() == []
    assert len(bench.market.writes) == (1 if was_done else 2)


def test_an_unknown_write_that_lands_late_is_found_again(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.stock("MUG", 4)
    bench.step()
    bench.market.no_answer, bench.market.lands_after = True, 15 * SECOND
    assert bench.step() == "write MUG=9"
    bench.market.no_answer, bench.market.lands_after = False, 0
    bench.stock(
        "MUG", -4
    )  # what was sent is not wanted any more; the read at 5 s shows the old number, which is right again
    bench.run(60)
    assert bench.market.shown == {"MUG": 5}
    assert bench.rest() == []


def test_S8_2_an_accepted_write_is_looked_for_at_1_2_4_8_16_seconds(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.market.lands_after = 9 * SECOND
    bench.stock("MUG", 4)
    bench.step()
    bench.step()
    sent = bench.now
    looks = []
    for _ in range(5):
        wait = bench.plan()
        assert isinstance(wait, WaitUntil) and wait.at is not None
        bench.now = wait.at
        looks.append((bench.now - sent) // SECOND)
        assert bench.step() == "read MUG"
    assert looks == [1, 2, 4, 8, 16]
    assert bench.slot("MUG").state is SlotState.QUIET


def test_S8_2_three_writes_that_never_show_park_the_slot(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.market.lands_after = 10_000 * SECOND
    bench.stock("MUG", 4)
    bench.run(600)
    slot = bench.slot("MUG")
    assert slot.state is SlotState.PARKED
    assert slot.reason == "3 times the channel took 9 and went on showing 5"
    assert len(bench.market.writes) == 3
    assert bench.open_tasks() == ["write_never_seen"]
    assert [outcome for _, outcome in bench.attempts("MUG")][-3:] == ["UNSEEN"] * 3


def test_S8_1_something_urgent_adds_a_write_to_one_not_yet_seen(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.market.lands_after = 20 * SECOND
    bench.stock("MUG", 4)
    bench.step()
    assert bench.step() == "write MUG=9"
    bench.stock("MUG", -9)
    assert bench.step() == "read MUG"  # at once, not at 1 s: it may verify too
    assert bench.step() == "write MUG=0"
    assert bench.attempts("MUG")[-2:] == [(9, "UNSEEN"), (0, "ACCEPTED")]
    assert bench.slot("MUG").exposure == 5 + 9 + 0  # each of them may yet be sold from
    bench.run(120)
    assert bench.market.shown == {"MUG": 0} and bench.rest() == []


def test_S8_1_a_raise_that_lands_after_it_was_taken_back_is_seen_when_nearly_all_have_landed(store: Store) -> None:
    """Found by the simulator: it was looked for only when no write could land any more, and sold until then what was not there."""
    bench = Bench(store)
    bench.outlet("MUG", {"MUG": 1}, shown=3)
    bench.stock("MUG", 3)
    bench.run(60)
    bench.market.lands_after = 6 * SECOND
    bench.stock("MUG", 1)
    bench.run(2)
    bench.market.lands_after = 0
    bench.stock("MUG", -1)
    bench.run(3)
    assert bench.slot("MUG").reason.startswith("right, but an earlier write")
    bench.run(9)  # a write is usually seen within ten seconds there, and may take twenty
    assert bench.slot("MUG").state is SlotState.QUIET
    bench.run(60)
    assert bench.market.shown == {"MUG": 3} and bench.rest() == []


def test_S8_1_an_older_write_that_lands_after_the_newer_is_corrected(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.market.lands_after = 12 * SECOND
    bench.stock("MUG", 4)
    bench.step()
    assert bench.step() == "write MUG=9"
    bench.market.lands_after = 0
    bench.stock("MUG", -9)
    bench.step()
    assert bench.step() == "write MUG=0"
    bench.now += SECOND
    assert bench.step() == "read MUG"
    assert bench.slot("MUG").state is not SlotState.QUIET  # 9 may still land
    bench.complete_through(bench.now + 3_600 * SECOND)
    bench.run(120)
    assert bench.market.shown == {"MUG": 0} and bench.rest() == []


def test_I12_a_generation_is_never_cleared_by_an_older_write(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.stock("MUG", 4)
    bench.step()
    assert bench.step() == "write MUG=9"
    first = bench.generation("MUG")
    bench.stock("MUG", 2)
    assert bench.generation("MUG") == (first or 0) + 1
    bench.now += SECOND
    assert bench.step() == "read MUG"  # 9 is seen, but 11 is owed
    assert bench.generation("MUG") == (first or 0) + 1
    assert bench.slot("MUG").state is SlotState.WAITING
    bench.run(60)
    assert bench.market.shown == {"MUG": 11} and bench.generation("MUG") is None


def test_I12_at_most_one_unanswered_call_a_unit(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.stock("MUG", -5)
    bench.wake()
    call = bench.plan()
    assert isinstance(call, WriteCall)
    bench.stock("MUG", 3)
    bench.mark("MUG", reread=True)
    bench.wake()
    assert isinstance(bench.plan(), WaitUntil)
    bench.call(call)
    bench.run(60)
    assert bench.market.shown == {"MUG": 3}


def test_a_wish_to_read_that_comes_during_a_read_is_not_lost(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.mark("MUG", reread=True)
    bench.wake()
    call = bench.plan()
    assert isinstance(call, ReadCall)
    bench.mark("MUG", reread=True)
    bench.call(call)
    assert bench.run(1) == ["read"]
    assert bench.rest() == []


def test_I16_the_number_is_computed_at_sending(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.stock("MUG", 4)
    bench.step()
    bench.stock("MUG", -7)  # after the read, before the write; nobody woke
    call = bench.plan()
    assert isinstance(call, WriteCall)
    assert [item.quantity for item in call.items] == [2]
    why = bench.all("SELECT why FROM attempt ORDER BY attempt_no DESC LIMIT 1")[0][0]
    assert '"available": 2' in why and '"offer": 2' in why


@pytest.mark.parametrize("when", ["reading", "sending", "applying", "waiting", "unknown"])
def test_I17_a_crash_leaves_no_slot_that_is_never_tried_again(store: Store, when: str) -> None:
    bench = at_rest_with(store, 5)
    bench.stock("MUG", 4)
    bench.wake()
    if when != "waiting":
        call = bench.plan()
        if when != "reading":
            assert isinstance(call, ReadCall)
            bench.call(call)
            call = bench.plan()
            assert isinstance(call, WriteCall)
            if when == "sending":
                bench.market.publish([Offer(i.outlet, i.quantity) for i in call.items], bench.now)  # done, not answered
            else:
                bench.market.no_answer = when == "unknown"
                bench.call(call)
                bench.market.no_answer = False
    bench.recover()
    assert bench.slot("MUG").state is SlotState.UNKNOWN
    assert bench.step() == "read MUG"
    bench.run(120)
    assert bench.market.shown == {"MUG": 9} and bench.rest() == []
    assert len(bench.market.writes) == 1


def test_recover_leaves_what_is_at_rest(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.recover()
    assert bench.slot("MUG").state is SlotState.QUIET
    assert bench.run(60) == []


def test_an_answer_that_can_t_be_taken_in_is_read_again(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.stock("MUG", -5)
    bench.wake()
    call = bench.plan()
    assert isinstance(call, WriteCall)
    bench.tx(lambda tx: recovery.abandon(tx, T, call, "broke", bench.now))
    assert bench.slot("MUG").state is SlotState.UNKNOWN
    bench.run(60)
    assert bench.market.shown == {"MUG": 0} and bench.rest() == []


def test_S8_13_items_of_a_batch_end_one_by_one(bench: Bench) -> None:
    ends: dict[str, Outcome | None] = {
        "A": None,
        "B": Rejected("not this one"),
        "C": Throttled(20.0),
        "D": Unknown("no answer for it"),
    }
    for name in ends:
        bench.outlet(name, {name: 1}, shown=0)
        bench.stock(name, 3)
    bench.market.answers = lambda offer: ends[offer.outlet.external_id]
    assert bench.step() == "read A B C D"
    assert bench.step() == "write A=3 B=3 C=3 D=3"
    states = {name: bench.slot(name).state for name in ends}
    assert states == {
        "A": SlotState.APPLYING,
        "B": SlotState.PARKED,
        "C": SlotState.WAITING,
        "D": SlotState.UNKNOWN,
    }
    bench.market.answers = lambda offer: None
    bench.run(120)
    assert bench.market.shown == {"A": 3, "B": 0, "C": 3, "D": 3}


def test_S8_13_items_without_an_end_are_unknown(bench: Bench) -> None:
    for name in ("A", "B"):
        bench.outlet(name, {name: 1}, shown=0)
        bench.stock(name, 3)
    bench.step()
    full = bench.market.publish
    bench.market.publish = lambda offers, now: full(offers, now)[:1]  # type: ignore[method-assign]
    bench.step()
    assert (bench.slot("A").state, bench.slot("B").state) == (SlotState.APPLYING, SlotState.UNKNOWN)


def test_compare_and_set_is_seen_with_its_yes(bench: Bench) -> None:
    bench.can = CAS
    bench.outlet("MUG", {"MUG": 1}, shown=0)
    bench.stock("MUG", 5)
    assert bench.step() == "read MUG"
    assert bench.step() == "write MUG=5"
    assert bench.slot("MUG").state is SlotState.QUIET and bench.rest() == []
    bench.market.answers = lambda offer: Rejected("changed", stale=True)
    bench.now += 60 * SECOND
    bench.stock("MUG", 1)
    bench.step()
    bench.step()
    assert bench.slot("MUG").state is SlotState.WAITING
    bench.market.answers = lambda offer: None
    bench.run(10)
    assert bench.market.shown == {"MUG": 6} and bench.rest() == []


@pytest.mark.parametrize("state", ["CONNECTED", "MATCHED", "PREVIEWED", "PAUSED"])
def test_S0_7_nothing_leaves_unless_the_account_is_live(store: Store, state: str) -> None:
    bench = Bench(store, state=state)
    bench.outlet("MUG", {"MUG": 1}, shown=2)
    bench.stock("MUG", 5)
    assert bench.run(3_600) == ["read"]
    slot = bench.slot("MUG")
    assert (slot.believed, slot.verified, slot.offer) == (2, 1, 5)  # what the preview shows
    bench.stock("MUG", -5)
    bench.mark("MUG", reread=True)
    bench.market.read_fails = NoAnswer("down", sent=True)
    bench.run(60)
    assert bench.market.writes == [] and 1 < len(bench.market.reads) < 12
    bench.market.read_fails = None
    bench.account("LIVE")
    bench.run(600)
    assert bench.market.shown == {"MUG": 0} and bench.rest() == []


def test_disconnected_is_not_even_read(store: Store) -> None:
    bench = Bench(store, state="DISCONNECTED")
    bench.outlet("MUG", {"MUG": 1}, shown=2)
    bench.mark("MUG")
    assert bench.run(60) == []


def test_listings_that_are_not_ours_get_no_number(bench: Bench) -> None:
    bench.outlet("FBA", {"MUG": 1}, shown=7, by_channel=True)
    bench.outlet("LOOSE", {}, shown=7)
    bench.mark("FBA")
    bench.mark("LOOSE")
    assert bench.run(60) == []
    assert bench.market.shown == {"FBA": 7, "LOOSE": 7}
    assert bench.rest() == [] and bench.generation("FBA") is None


def test_S8_9_zero_first_then_lower_then_reopen_then_raise(store: Store) -> None:
    bench = Bench(store, "amazon")
    for name, shown in (("RAISE", 2), ("REOPEN", 0), ("LOWER", 9), ("ZERO", 4)):
        bench.outlet(name, {name: 1}, shown=shown)
        bench.stock(name, shown)
    bench.run(600)
    bench.now += 60 * SECOND
    for name, change in (("RAISE", 1), ("REOPEN", 1), ("LOWER", -1), ("ZERO", -4)):
        bench.stock(name, change)
    bench.market.writes.clear()
    bench.run(1)
    assert bench.market.writes == [{"ZERO": 0}, {"LOWER": 8}, {"REOPEN": 1}, {"RAISE": 3}]


def test_S9_6_one_write_and_two_reads_bring_rest(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.stock("MUG", 4)
    assert bench.run(600) == ["read", "write", "read"]
    assert bench.run(86_400) == []


def test_S1_11_a_bundle_shows_the_least_of_its_parts_and_a_pack_whole_packs(bench: Bench) -> None:
    bench.outlet("SET", {"CUP": 2, "POT": 1}, shown=0)
    bench.outlet("CUPS", {"CUP": 2}, shown=0)
    bench.stock("CUP", 7)
    bench.stock("POT", 2)
    bench.run(60)
    assert bench.market.shown == {"SET": 2, "CUPS": 3}
    bench.now += 60 * SECOND
    bench.sell("SET", 1)
    assert bench.run(60).count("write") == 1  # SET fell by itself; CUPS must follow
    assert bench.market.shown == {"SET": 1, "CUPS": 2}


def test_S8_9_of_two_unsafe_numbers_the_one_with_more_too_many_goes_first(store: Store) -> None:
    bench = Bench(store, "amazon")
    for name in ("FEW", "MANY"):
        bench.outlet(name, {name: 1}, shown=10)
        bench.stock(name, 10)
    bench.run(600)
    bench.now += 60 * SECOND
    bench.stock("FEW", -1)
    bench.now += SECOND
    bench.stock("MANY", -9)
    assert bench.step() == "read FEW MANY"
    assert bench.step() == "write MANY=1"
    assert bench.step() == "write FEW=9"


def test_S8_10_who_waits_ten_minutes_moves_up_by_one(bench: Bench) -> None:
    bench.outlet("MUG", {"MUG": 1}, shown=2)
    bench.stock("MUG", 2)
    bench.run(60)
    bench.stock("MUG", 3)
    bench.wake()
    assert bench.tx(lambda tx: look(tx, T, SHOP, bench.can, bench.now)).kinds == [("read", 5)]  # type: ignore[attr-defined]
    bench.now += 601 * SECOND
    assert bench.tx(lambda tx: look(tx, T, SHOP, bench.can, bench.now)).kinds == [("read", 4)]  # type: ignore[attr-defined]
    call = bench.plan()
    assert isinstance(call, ReadCall) and call.priority == 4


def test_a_zero_that_is_a_number_again_at_sending_is_read_first(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.stock("MUG", -5)
    bench.wake()
    bench.stock("MUG", 4)  # nobody woke since: the slot still says zero, and its last read is a minute old
    call = bench.plan()
    assert isinstance(call, ReadCall)


def test_a_wish_to_read_during_a_throttled_write_is_not_lost(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.stock("MUG", -5)
    bench.wake()
    call = bench.plan()
    assert isinstance(call, WriteCall)
    bench.mark("MUG", reread=True)
    bench.market.answers = lambda offer: Throttled(1.0)
    bench.call(call)
    assert bench.slot("MUG").verified == 0


@pytest.mark.parametrize(("found", "calls"), [(3, 25), (-5, 140)])
def test_F31_a_channel_out_of_reach_is_tried_less_and_less_but_never_long_for_what_is_urgent(
    store: Store, found: int, calls: int
) -> None:
    """In ten minutes some twenty tries for a raise, one in five seconds for a zero; then it is back and hears at once."""
    bench = at_rest_with(store, 5)
    bench.stock("MUG", found)
    bench.market.answers = lambda offer: Throttled(None, "not sent: refused")
    bench.run(600, most=2_000)
    tried = len(bench.attempts("MUG"))
    assert calls / 2 < tried <= calls
    bench.market.answers = lambda offer: None
    bench.run(61 if found > 0 else 5)
    assert bench.market.shown["MUG"] == 5 + found


def test_a_number_that_landed_late_is_known_as_seen(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.stock("MUG", 4)
    bench.step()
    bench.market.no_answer, bench.market.lands_after = True, 15 * SECOND
    bench.step()
    bench.market.no_answer, bench.market.lands_after = False, 0
    bench.stock("MUG", -4)
    bench.run(120)
    assert bench.attempts("MUG") == [(9, "SEEN"), (5, "SEEN")]


def test_I12_a_mark_is_cleared_by_its_own_generation_only(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.mark("MUG")
    bench.mark("MUG")
    assert bench.tx(lambda tx: dirty.clear(tx, T, 1, 1)) is False
    assert bench.generation("MUG") == 2
    assert bench.tx(lambda tx: dirty.clear(tx, T, 1, 2)) is True
    assert bench.generation("MUG") is None


def _rush(bench: Bench) -> None:
    """The outlet sells so fast that more than half a listing goes within its windows (5 + 10 s)."""
    for _ in range(12):
        bench.sell("MUG")
        bench.now += SECOND
    bench.run(5)


def test_S8_10_in_a_rush_a_safe_number_is_left_alone(store: Store) -> None:
    bench = at_rest_with(store, 40)
    _rush(bench)
    writes = len(bench.market.writes)
    bench.stock("MUG", 6)  # a raise, and what it shows is not below half of it
    assert bench.run(60).count("write") == 0
    assert "left alone" in bench.slot("MUG").reason
    assert len(bench.market.writes) == writes
    bench.run(1_200)  # it is over; the two that were still set aside then are the planner's tick's
    assert bench.rest() == [] and bench.market.shown == {"MUG": 32}
    last = bench.all("SELECT dirty_at, seen_at FROM attempt ORDER BY attempt_no")[-1]
    assert last[0] is None and last[1] is not None  # S3.4: the wait that we chose is not how long a write needs


def test_S3_4_what_was_left_alone_does_not_make_the_publish_window_longer(store: Store) -> None:
    bench = at_rest_with(store, 40)
    _rush(bench)
    bench.stock("MUG", 6)
    bench.run(1_200)
    queued = "SELECT COUNT(*), MAX(COALESCE(started_at - dirty_at, 0)) FROM attempt WHERE was > 0"
    told, longest = bench.tx(lambda tx: tx.one(queued))
    assert told > 0 and longest < 60 * SECOND
    assert bench.rest() == []


@pytest.mark.parametrize("found", [60, -20])
def test_S8_10_what_is_unsafe_or_below_half_is_told_in_a_rush_too(store: Store, found: int) -> None:
    bench = at_rest_with(store, 40)
    _rush(bench)
    writes = len(bench.market.writes)
    bench.stock("MUG", found)
    bench.run(5)
    assert len(bench.market.writes) > writes
