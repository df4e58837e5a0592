"""Failures of real systems, A: concurrency and oversell (docs/reference/failures.md says which test shows which case)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scenario.engine import AMAZON, EBAY, ETSY, World, changed, order
from tests.scenario.invariants import check
from tests.scenario.town import thing, town

from oneshelf.core.instants import SECOND
from oneshelf.core.stock import Entry
from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import Tx
from oneshelf.listings import policy
from oneshelf.stock.ledger import differences, post
from oneshelf.watch.conflicts import conflicts
from oneshelf.watch.latency import latency
from oneshelf.watch.oversold import Oversold, by_cause


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 1)
    world.open()
    world.tick(60)
    return world


def stock(store: Store, pieces: int) -> World:
    world = World(store)
    world.item("MUG", pieces)
    world.open()
    world.tick(60)
    return world


def test_FC_A01_of_two_buyers_in_one_instant_one_gets_it_and_the_other_is_named(world: World) -> None:
    for account_id, order_id in ((EBAY, "E-1"), (AMAZON, "A-1")):
        world.hear(account_id, order(order_id, world.now, MUG=1), handled=False)
    world.handle()
    assert world.line(AMAZON, "A-1", "coverage") == "COVERED"
    assert world.line(EBAY, "E-1", "coverage") == "SHORT"
    assert world.rows("SELECT what FROM task WHERE kind = 'short_line' AND closed_at IS NULL") == [
        ("Decide about order E-1: MUG is sold out",)
    ]
    assert world.offers("MUG") == (0, 0, 0)
    assert world.level("MUG") == (1, 2, 0, 0), "both sales are facts; the piece is on the shelf once"
    check(world)


def test_FC_A02_of_120_unpaid_buyers_of_4_pieces_the_first_four_are_covered(store: Store) -> None:
    """Reserved as soon as they are seen, long before anybody has paid."""
    world = stock(store, 4)
    start = world.now
    world.tick(121)
    for n in reversed(range(120)):
        account_id = (AMAZON, EBAY, ETSY)[n % 3]
        world.hear(account_id, order(f"O-{n}", start + n * SECOND, paid=False, MUG=1), handled=False)
    world.handle()
    covered = {o for (o,) in world.rows("SELECT order_id FROM order_line WHERE coverage = 'COVERED'")}
    assert covered == {"O-0", "O-1", "O-2", "O-3"}
    assert world.value("SELECT COUNT(*) FROM order_line WHERE coverage = 'SHORT'") == 116
    assert world.level("MUG") == (4, 0, 120, 0)
    assert world.offers("MUG") == (0, 0, 0)


def test_FC_A05_a_release_told_twice_and_in_two_ways_gives_back_once(world: World) -> None:
    placed = order("A-1", world.now, paid=False, MUG=1)
    world.hear(AMAZON, placed)
    assert world.level("MUG") == (1, 0, 1, 0)
    for seconds, gone in ((1, changed(placed, world.now + SECOND, cancelled_pieces=1)), (2, None)):
        told = gone or order("A-1", placed_at(world), paid=False, updated=world.now + 2 * SECOND, cancelled=True, MUG=1)
        world.tick(seconds)
        world.hear(AMAZON, told)
        world.hear(AMAZON, told, source="poll")
    assert world.level("MUG") == (1, 0, 0, 0)
    assert len(world.entries("release:")) == 1
    with transaction(world.store) as tx:
        assert differences(tx, 1) == []


def test_FC_A05_a_level_and_a_reservation_that_drifted_are_found_and_made_up_by_entries(tmp_path: Path) -> None:
    """Somebody edits the database: a reservation is gone from the level, and a release is posted twice. No entry is changed."""
    with town(tmp_path, thing("MUG", 5), channels=("shopify", "amazon", "ebay")) as there:
        sold = there.buy("amazon", MUG=2)
        there.shows("MUG", 3)
        before = there.rows("SELECT entry_key, on_hand, committed, reserved FROM ledger_entry ORDER BY entry_no")

        def drift(tx: Tx) -> None:
            place, order_no = tx.all("SELECT location_id, order_no FROM order_line")[0]
            double = Entry("release:by hand", "MUG", place, "released", reserved=-2, order_no=order_no)
            post(tx, 1, [double], there.now_us())
            tx.run("UPDATE stock_level SET reserved = reserved - 1")

        there.tx(drift)
        assert there.level("MUG") == (5, 0, -1, 0)
        found = there.command("check")["breaches"]
        assert [one["rule"] for one in found][:2] == ["I1", "I3"] and f"order {sold} holds 2 reserved" in found[1][
            "what"
        ]
        done = there.command("check", repair=True)
        assert len(done["repaired"]) == 2 and [one for one in done["breaches"] if one["rule"] in ("I1", "I3")] == []
        assert there.level("MUG") == (5, 0, 2, 0)
        after = there.rows("SELECT entry_key, on_hand, committed, reserved FROM ledger_entry ORDER BY entry_no")
        assert after[: len(before)] == before, "entries are never changed"
        repairs = [one for one in after if one[0].startswith("repair:")]
        assert repairs == [("repair:1", 0, 0, 0), ("repair:2", 0, 0, 2)]
        assert there.rows("SELECT COUNT(*) FROM journal WHERE what = 'The books were put right'") == [(2,)]
        assert there.command("check", repair=True)["repaired"] == []
        there.shows("MUG", 3, within_s=300)
        there.wait(600)
        assert there.level("MUG") == (5, 0, 2, 0)
        there.true()


def placed_at(world: World) -> int:
    return int(world.order(AMAZON, "A-1", "placed_at"))


def test_FC_A08_a_buffer_keeps_pieces_for_direct_sales_and_the_shared_rest_is_still_contested(store: Store) -> None:
    """5 kept of 8: both show the same 3. Two orders of 3 eat into the buffer; both are covered, then nothing is shown."""
    world = stock(store, 8)
    world.safety(AMAZON, 5)
    world.safety(ETSY, 5)
    with transaction(world.store) as tx:  # the buffer alone: no reserve for the pace of this story
        policy.set_rule(tx, 1, EBAY, "", world.now, by="a test", adaptive=False)
    assert (world.offer(AMAZON, "MUG"), world.offer(ETSY, "MUG")) == (3, 3)
    world.hear(AMAZON, order("A-1", world.now, MUG=3), handled=False)
    world.hear(ETSY, order("T-1", world.now, MUG=3), handled=False)
    world.handle()
    assert (world.offer(AMAZON, "MUG"), world.offer(ETSY, "MUG")) == (0, 0)
    assert world.offer(EBAY, "MUG") == 2
    world.hear(EBAY, order("E-1", world.tick(5), MUG=2))
    world.hear(AMAZON, order("A-2", world.tick(5), MUG=1))
    assert world.line(AMAZON, "A-2", "coverage") == "SHORT"
    assert world.value("SELECT COUNT(*) FROM order_line WHERE coverage = 'SHORT'") == 1
    check(world)


def test_FC_A09_sales_are_added_up_and_quantities_never_merged(store: Store) -> None:
    """10 here and there; 2 sold on eBay, 3 in the shop, both read before either order is heard: 5, not the lower of 8 and 7."""
    world = stock(store, 10)
    at = world.now
    world.tick(5)
    world.missed_at(EBAY, "MUG", 2)
    sold = world.hub.sell(at, MUG=3)
    world.read("MUG")
    assert world.k("MUG") == 5
    world.hear(EBAY, order("E-1", at, MUG=2))
    world.hub_news()
    assert world.k("MUG") == 5
    assert world.level("MUG") == (10, 5, 0, 0)
    assert world.hub.orders[sold].order_id == sold
    # A restock meanwhile is not erased by either.
    world.hub.cell("MUG", "L1").on_hand += 4
    world.to_rest()
    assert world.k("MUG") == 9 and world.offers("MUG") == (9, 9, 9)
    check(world)


def test_FC_A06_each_sale_is_told_as_it_comes_and_the_window_is_measured_and_shown(tmp_path: Path) -> None:
    """The last piece goes in the shop and, 0.2 s later, at Amazon: no interval is waited for, and what the window was can be read."""
    with town(tmp_path, thing("MUG", 1)) as there:
        web = there.buy("shopify", MUG=1)
        there.wait(0.2)
        amazon = there.buy("amazon", MUG=1)
        there.shows("MUG", 0, within_s=10)
        there.wait()
        assert there.tx(lambda tx: by_cause(tx, 1)) == Oversold(window=1)
        [found] = there.tx(lambda tx: conflicts(tx, 1, {}, there.now_us()))
        assert (found.loser.order_id, found.winners[0].order_id) == (web, amazon)
        assert "both were bought in the same second" in found.verdict
        measured = there.tx(lambda tx: latency(tx, 1))
        assert measured["shopify"]["notice"]["p99"] < 2 and measured["amazon"]["notice"]["p99"] < 30
        for channel in ("ebay", "etsy"):
            assert measured[channel]["publish"]["p99"] < 2 and measured[channel]["effect"]["p99"] < 5


def test_FC_A12_before_a_cancel_there_is_time_for_stock_to_come_and_then_the_merchants_word(tmp_path: Path) -> None:
    """A piece too many is sold on Amazon. The first time stock comes within the grace; the second time nobody brings any."""
    with town(tmp_path, thing("MUG", 1)) as there:
        there.buy("etsy", MUG=1)
        there.wait(1.1)
        there.buy("amazon", MUG=1)
        there.wait(120)
        short = "SELECT account_id, state FROM order_line WHERE coverage = 'SHORT'"
        assert there.rows(short) == [(there.account["amazon"], "P")]
        there.console("shopify", "receive", sku="MUG", quantity=1)
        there.wait(3_600)
        assert (there.rows(short), there.tasks()) == ([], [])
        there.console("shopify", "receive", sku="MUG", quantity=1)
        there.shows("MUG", 1)
        there.buy("etsy", MUG=1)
        there.wait(1.1)
        loser = there.buy("amazon", MUG=1)
        there.wait(4 * 3_600)
        assert there.rows("SELECT order_id, state FROM order_line WHERE coverage = 'SHORT'") == [(loser, "M")]
        [(_, subject, what)] = there.tasks("short_decision")
        why = there.value("SELECT why FROM task WHERE kind = 'short_decision' AND closed_at IS NULL")
        assert "limit 2.5 %" in why, (subject, what, why)
        [conflict] = there.tx(lambda tx: conflicts(tx, 1, {}, there.now_us()))
        tried = {way.name: way.pieces for way in conflict.exits}
        assert tried == dict.fromkeys(("other_location", "incoming", "unavailable", "held", "unpaid", "buffer"), 0)
        there.command("decide", order=loser, word="backorder")
        there.wait(6 * 3_600)
        assert there.tasks() == []
        assert [one["state"] for one in there.shops["amazon"].orders()] == ["UNSHIPPED"] * 2, "nothing was cancelled"
