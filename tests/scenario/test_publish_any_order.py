"""Any interleaving of sales, news, edits, hints, failures, late writes and crashes: afterwards everything comes to rest at the truth.

Invariants, checked when the outside is quiet (SEMANTICS 13): I13 every outlet shows its offer and is believed to; no mark, no
provisional reservation is left; 9.6 what follows is silence. And all the time: I12 one call a unit; I16 no number above the offer of
its moment; no number is invented: pieces on the shelf change only by what the merchant did.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from tests.scenario.publish_bench import SHOP, START, Bench, T

from oneshelf.channels.contract import Offer
from oneshelf.core.errors import Retry
from oneshelf.core.instants import SECOND
from oneshelf.core.outcome import Outcome, Throttled, Unknown
from oneshelf.core.slot import SlotState
from oneshelf.db.store import Store
from oneshelf.orders import provisional
from oneshelf.orders.sales import own_sales
from oneshelf.publish.planning import WaitUntil
from oneshelf.publish.slots import ReadCall, WriteCall
from oneshelf.reconcile.sweep import read_all

STEPS = 60


class Rush:
    """One seed's world: a few listings of two SKUs, and everything that may happen to them."""

    def __init__(self, store: Store, channel: str, seed: int, ahead_s: int) -> None:
        self.random = random.Random(seed)
        self.bench = Bench(store, channel, ahead_s=ahead_s)
        self.unheard: list[Callable[[], None]] = []
        self.call: ReadCall | WriteCall | None = None
        self.log: list[str] = []
        self.dice = 0.0
        bench = self.bench
        bench.outlet("A", {"MUG": 1}, shown=0, unit="U")
        bench.outlet("B", {"MUG": 2}, shown=3, unit="U")
        bench.outlet("C", {"CUP": 1}, shown=1)
        bench.stock("MUG", 9)
        bench.stock("CUP", 4)
        bench.market.answers = self.answer
        self.happenings = [
            (10, self.work),
            (6, self.let_time_pass),
            (4, self.sell),
            (3, self.hear_one),
            (2, self.count),
            (1, self.hint),
            (1, self.crash),
            (1, self.poll),
            (1, self.slow_or_fast),
        ]

    def answer(self, offer: Offer) -> Outcome | None:
        self.check_offer(offer)
        if not self.bench.can.reads_before_write:  # there one answer is for the whole listing
            self.dice = self.random.random()
        dice = self.dice
        if dice < 0.08:
            return Unknown("cut off, not done")
        if dice < 0.14:
            return Throttled(self.random.choice((None, 3.0)))
        return None

    def check_offer(self, offer: Offer) -> None:
        """I16: at the moment of sending no number is above what the levels allow (the bench sends as soon as it has planned)."""
        k = dict(
            self.bench.all(
                "SELECT sku, SUM(on_hand - committed - reserved - unavailable) FROM stock_level GROUP BY sku"
            )
        )
        sku, units = {"A": ("MUG", 1), "B": ("MUG", 2), "C": ("CUP", 1)}[offer.outlet.external_id]
        self.planned_k = getattr(self, "planned_k", {})
        allowed = max(0, self.planned_k.get(sku, int(k[sku]))) // units
        assert offer.quantity <= allowed, f"{offer.outlet.external_id} told {offer.quantity}, K allows {allowed}"

    # --- what may happen ----------------------------------------------------------------------------------------------

    def work(self) -> None:
        """Plan a call, or finish the one under way: other things may happen in between."""
        bench = self.bench
        if self.call is not None:
            call, self.call = self.call, None
            dice = self.dice = self.random.random()
            bench.market.read_fails = Retry("down") if dice < 0.1 else None
            bench.market.no_answer = dice > 0.93
            bench.call(call)
            bench.market.read_fails, bench.market.no_answer = None, False
            return
        bench.wake()
        call = bench.plan()
        if isinstance(call, WaitUntil):
            return
        units = [item.outlet.write_unit for item in call.items]
        if bench.can.reads_before_write and isinstance(call, WriteCall):
            assert len(set(units)) == 1
        rows = bench.all("SELECT sku, SUM(on_hand - committed - reserved - unavailable) FROM stock_level GROUP BY sku")
        self.planned_k = {sku: int(pieces) for sku, pieces in rows}
        self.call = call

    def let_time_pass(self) -> None:
        """A call is answered, or given up, within seconds (Request.timeout_s); nothing else is that quick."""
        waits = (0.05, 0.4, 1, 3) if self.call is not None else (0.05, 0.4, 1, 3, 12, 40)
        self.bench.now += round(self.random.choice(waits) * SECOND)

    def sell(self) -> None:
        bench = self.bench
        bench.market.let_land(bench.now)
        name = self.random.choice(("A", "B", "C"))
        if bench.market.shown[name] > 0:
            self.unheard.append(bench.sell(name, 1, heard=False))

    def hear_one(self) -> None:
        if self.unheard:
            self.unheard.pop(self.random.randrange(len(self.unheard)))()

    def count(self) -> None:
        self.bench.stock(self.random.choice(("MUG", "CUP")), self.random.choice((-2, -1, 1, 3)))

    def hint(self) -> None:
        self.bench.mark(self.random.choice(("A", "B", "C")), reread=True)

    def crash(self) -> None:
        """The process dies; a call under way may have been made, its answer is lost."""
        if isinstance(self.call, WriteCall) and self.random.random() < 0.5:
            offers = [Offer(i.outlet, i.quantity) for i in self.call.items]
            self.bench.market.publish(offers, self.bench.now)
        self.call = None
        self.bench.recover()

    def poll(self) -> None:
        """The feed is complete: everything sold was heard before."""
        while self.unheard:
            self.hear_one()
        bench = self.bench
        bench.complete_through(bench.there)
        bench.tx(lambda tx: provisional.settle_due(tx, T, SHOP, bench.there, 2, bench.now))
        bench.searched()
        bench.tx(lambda tx: provisional.settle_due(tx, T, SHOP, bench.there, 2, bench.now))

    def slow_or_fast(self) -> None:
        self.bench.market.lands_after = round(self.random.choice((0, 0, 2, 8)) * SECOND)

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        weights = [weight for weight, _ in self.happenings]
        for _ in range(STEPS):
            happening = self.random.choices(self.happenings, weights)[0][1]
            self.log.append(f"{(self.bench.now - START) / SECOND:9.3f} {happening.__name__}")
            happening()

    def calm(self) -> None:
        """The outside stands still: the last news comes, the feed is polled as it always is."""
        bench = self.bench
        bench.market.lands_after = 0
        bench.market.answers = lambda offer: None
        if self.call is not None:
            self.work()
        self.planned_k = {}
        for turn in range(12):
            if turn == 6:
                # A number that a sale unheard makes look as if it had landed, and that lands later, only the sweep can find.
                bench.tx(lambda tx: read_all(tx, T, SHOP, bench.now, "sweep"))
            self.poll()
            bench.run(60)
            bench.now += 5 * SECOND
        bench.run(3_600)


def check(rush: Rush) -> None:
    bench = rush.bench
    assert bench.rest() == []
    assert bench.provisional() == 0
    for name, (sku, units) in {"A": ("MUG", 1), "B": ("MUG", 2), "C": ("CUP", 1)}.items():
        k = int(
            bench.all(f"SELECT SUM(on_hand - committed - reserved - unavailable) FROM stock_level WHERE sku = '{sku}'")[
                0
            ][0]
        )
        slot = bench.slot(name)
        if slot.state is SlotState.PARKED:
            continue  # three repairs in a day, or three writes never seen, are a person's
        assert slot.believed is not None and slot.believed_at is not None
        sold = bench.tx(lambda tx, s=slot: own_sales(tx, T, [s.outlet_id], {s.outlet_id: s.believed_at})[s.outlet_id])
        offer = max(0, k) // units
        assert (bench.market.shown[name], slot.believed - sold, slot.offer) == (offer, offer, offer), name
        assert slot.verified == 1 and slot.sent is None and slot.odd == 0
    before = len(bench.market.reads) + len(bench.market.writes)
    bench.run(86_400)
    assert len(bench.market.reads) + len(bench.market.writes) == before


def story(store: Store, channel: str, seed: int, ahead_s: int = 0) -> None:
    rush = Rush(store, channel, seed, ahead_s)
    try:
        rush.run()
        rush.calm()
        check(rush)
    except BaseException:
        print(f"seed {seed} on {channel}:", *rush.log[-40:], sep="\n")
        raise


@pytest.mark.parametrize("channel", ["ebay", "etsy"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ahead_s", [-300, 300])
def test_F28_with_clocks_that_are_five_minutes_apart_too(store: Store, channel: str, seed: int, ahead_s: int) -> None:
    story(store, channel, seed, ahead_s)


@pytest.mark.parametrize("channel", ["ebay", "amazon", "etsy"])
@pytest.mark.parametrize("seed", range(8))
def test_I13_everything_comes_to_rest_at_the_truth(store: Store, channel: str, seed: int) -> None:
    story(store, channel, seed)
