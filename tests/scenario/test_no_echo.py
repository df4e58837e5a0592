"""Nothing that we write makes us write again: after the last outside fact one write and two reads an outlet, at most (SEMANTICS 9.6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from tests.scenario.publish_bench import Bench
from tests.scenario.test_publish_drift import edit_by_hand, feed_complete

from oneshelf.core.instants import SECOND
from oneshelf.db.store import Store

MINUTE = 60 * SECOND
DAY_S = 86_400


def unheard_sale(bench: Bench) -> None:
    """A sale is seen by its number first; its order comes later, which is the last fact."""
    hear = bench.sell("MUG", 2, heard=False)
    bench.now += MINUTE
    bench.mark("MUG", reread=True)
    bench.run(60)
    bench.now += MINUTE
    hear()


def lowered_by_hand(bench: Bench) -> None:
    edit_by_hand(bench, 1)
    bench.run(60)
    bench.now += 10 * MINUTE
    feed_complete(bench)


def raised_by_hand(bench: Bench) -> None:
    edit_by_hand(bench, 9)
    bench.run(60)
    bench.now += 10 * MINUTE
    feed_complete(bench)


def own_sale(bench: Bench) -> None:
    hear = bench.sell("MUG", 1, heard=False)
    bench.now += (
        5 * SECOND
    )  # a sale of the very second of a read is looked at once more: the two clocks can't tell (8.5)
    hear()


def own_cancel(bench: Bench) -> None:
    hear: Callable[..., None] = bench.sell("MUG", 2)
    bench.now += MINUTE
    bench.run(60)
    hear(cancelled=2)


FACTS: dict[str, Callable[[Bench], None]] = {
    "found": lambda bench: bench.stock("MUG", 4),
    "lost": lambda bench: bench.stock("MUG", -2),
    "all_lost": lambda bench: bench.stock("MUG", -5),
    "own_sale": own_sale,
    "own_cancel": own_cancel,
    "hint": lambda bench: bench.mark("MUG", reread=True),
    "unheard_sale": unheard_sale,
    "lowered_by_hand": lowered_by_hand,
    "raised_by_hand": raised_by_hand,
}


@pytest.mark.parametrize("fact", FACTS)
@pytest.mark.parametrize("channel", ["ebay", "amazon", "etsy"])
@pytest.mark.parametrize("lands_after_s", [0, 3])
def test_S9_6_after_the_last_outside_fact_one_write_and_two_reads_an_outlet(
    store: Store, channel: str, fact: str, lands_after_s: int
) -> None:
    bench = Bench(store, channel)
    for name in ("MUG", "TWIN"):  # two listings of one SKU; at Etsy of one write unit
        bench.outlet(name, {"MUG": 1}, shown=5, unit="UNIT" if channel == "etsy" else name)
    bench.stock("MUG", 5)
    bench.run(600)
    assert bench.rest() == []
    bench.now += 10 * MINUTE
    bench.market.lands_after = lands_after_s * SECOND
    FACTS[fact](bench)
    bench.market.reads.clear()
    bench.market.writes.clear()
    bench.run(DAY_S)
    reads = Counter(name for names in bench.market.reads for name in names)
    writes = Counter(name for offers in bench.market.writes for name in offers)
    assert bench.rest() == []
    assert max(writes.values(), default=0) <= 1, (writes, reads)
    # A write that is accepted and not shown yet is looked for at 1, 2 and 4 seconds (8.2): each look is a read more.
    assert max(reads.values(), default=0) <= (2 if not lands_after_s else 4), (writes, reads)
