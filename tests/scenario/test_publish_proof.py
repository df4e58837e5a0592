"""A sale that nobody has heard of can make a write look as if it had landed (S8.4, I12, I13).

The verify read shows no more than was written: by the write, or by a sale before it? Once that sale's order arrives, the proof is worth nothing
any more, and the write may still land: it is looked for until it can't.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.scenario.publish_bench import Bench, T

from oneshelf.core.instants import SECOND
from oneshelf.core.slot import SlotState
from oneshelf.db.store import Store
from oneshelf.publish.exposure import exposures


@pytest.fixture
def bench(store: Store) -> Bench:
    bench = Bench(store, "ebay")
    bench.outlet("B", {"MUG": 1}, shown=2)
    bench.stock("MUG", 2)
    bench.run()
    assert bench.slot("B").state is SlotState.QUIET
    bench.now += 60 * SECOND
    return bench


def sold_during_a_write(bench: Bench, *, before_the_write: int, after_the_read: int) -> list[Callable[[], None]]:
    """One piece is sold elsewhere; B is read and told 1, which lands 12 s later; its own buyers come meanwhile. How to hear of them."""
    bench.stock("MUG", -1)
    assert bench.step() == "read B"
    bench.now += 4 * SECOND  # further apart than two clocks may be
    unheard = [bench.sell("B", heard=False) for _ in range(before_the_write)]
    bench.market.lands_after = 12 * SECOND
    bench.now += 4 * SECOND
    assert bench.step() == "write B=1"
    bench.now += 4 * SECOND
    assert bench.step() == "read B"
    bench.now += 4 * SECOND
    unheard += [bench.sell("B", heard=False) for _ in range(after_the_read)]
    return unheard


def test_a_write_that_an_unheard_sale_made_look_landed_is_looked_for_when_the_sale_is_heard(bench: Bench) -> None:
    first, second = sold_during_a_write(bench, before_the_write=1, after_the_read=1)
    assert bench.slot("B").state is SlotState.QUIET
    bench.now += 5 * SECOND  # 1 lands: the piece that the second buyer took is on sale again
    second()
    first()
    bench.run(60)
    bench.market.let_land(bench.now)
    assert bench.market.shown["B"] == 0
    assert bench.rest() == []


def test_the_same_where_the_read_held_a_piece_for_a_second_unheard_sale(bench: Bench) -> None:
    first, second = sold_during_a_write(bench, before_the_write=2, after_the_read=0)
    assert bench.provisional() == 1
    bench.now += 5 * SECOND
    first()
    second()
    bench.run(60)
    bench.market.let_land(bench.now)
    assert bench.market.shown["B"] == 0
    assert (bench.rest(), bench.provisional()) == ([], 0)


def test_heard_before_it_lands_it_is_waited_for(bench: Bench) -> None:
    first, second = sold_during_a_write(bench, before_the_write=1, after_the_read=1)
    first()
    second()
    bench.run(1)
    assert bench.slot("B").state is SlotState.WAITING  # shows its offer, 0, and is read once more
    bench.run(60)
    bench.market.let_land(bench.now)
    assert bench.market.shown["B"] == 0
    assert bench.rest() == []


def test_an_order_placed_after_the_read_takes_back_no_proof(bench: Bench) -> None:
    assert sold_during_a_write(bench, before_the_write=0, after_the_read=0) == []
    bench.run(60)
    assert bench.slot("B").state is SlotState.QUIET
    reads = len(bench.market.reads)
    bench.sell("B")
    bench.run(3_600)
    assert bench.market.shown["B"] == 0
    assert len(bench.market.reads) == reads


def exposed(bench: Bench) -> int:
    return bench.tx(lambda tx: exposures(tx, T, ["MUG"], bench.now)["MUG"].outlets[bench.ids["B"]])  # type: ignore[return-value]


def test_S8_6_what_a_late_zero_explains_may_have_been_sold_until_the_feed_has_told(bench: Bench) -> None:
    """Found by the simulator: a strict SKU's last piece was told again, beside a buyer who had just taken it and whom nobody had heard."""
    bench.market.no_answer, bench.market.lands_after = True, 10_000 * SECOND
    bench.stock("MUG", -2)
    assert bench.step() == "write B=0"
    bench.market.no_answer, bench.market.lands_after = False, 0
    bench.stock("MUG", 2)
    bench.run(60)
    assert bench.attempts("B")[-1] == (0, "UNSEEN") and bench.market.shown["B"] == 2

    bench.complete_through(bench.there)
    bench.now += 60 * SECOND
    assert exposed(bench) == 2
    bench.sell("B", 2, heard=False)
    bench.mark("B", reread=True)
    assert bench.step() == "read B"
    assert bench.slot("B").believed == 0 and bench.provisional() == 0
    assert exposed(bench) == 2
    bench.complete_through(bench.there + 60 * SECOND)
    assert exposed(bench) == 0


@pytest.mark.parametrize("ahead_s", [0, 300, -300])
def test_S8_6_what_an_own_cancel_may_have_put_back_counts_until_it_is_read(store: Store, ahead_s: int) -> None:
    """Found by the simulator: the shop got pieces of a strict SKU back beside five that Amazon had just put back on sale itself."""
    bench = Bench(store, "amazon", ahead_s=ahead_s)
    bench.outlet("B", {"MUG": 1}, shown=2)
    bench.stock("MUG", 2)
    bench.run()
    bench.now += 60 * SECOND
    bench.complete_through(bench.there)
    placed = bench.there
    bench.sell("B")
    bench.now += 600 * SECOND
    bench.complete_through(bench.there)
    assert exposed(bench) == 1
    bench.market.shown["B"] = 2
    bench.hear("o2", "B", 1, placed, cancelled=1)
    assert exposed(bench) == 2
    assert bench.step() == "read B"
    assert exposed(bench) == 2
    bench.run(10)
    assert (exposed(bench), bench.rest()) == (2, [])
    bench.sell("B")
    assert exposed(bench) == 1
