"""Price and number of one listing go in one whole-listing write (Etsy): two such writes at once undo one another (P9, I12)."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.race.together import at_once, writing
from tests.scenario.price_bench import PriceBench
from tests.scenario.publish_bench import SHOP, T

from oneshelf.core.instants import SECOND
from oneshelf.db.store import Store
from oneshelf.db.tx import Tx
from oneshelf.publish import carrying, planning, price_planning
from oneshelf.publish.price_slots import PriceWriteCall
from oneshelf.publish.slots import WriteCall

WAIT_S = 20


class Listing:
    """One listing as Etsy keeps it. A write replaces all of it: what the caller did not mean to change is as the caller last read it."""

    def __init__(self) -> None:
        self.price, self.number = 1000, 5
        self.history: list[tuple[int, int]] = []
        self._one = threading.Lock()

    def read(self) -> tuple[int, int]:
        return self.price, self.number

    def put(self, price: int, number: int) -> None:
        with self._one:
            self.price, self.number = price, number
            self.history.append((price, number))


def ready(store: Store) -> PriceBench:
    """A listing that owes the world both: price 1000 → 1250, number 5 → 2. Both were just read."""
    bench = PriceBench(store, "etsy")
    bench.listing("MUG", {"MUG": 1}, 1000, unit="77")
    bench.hub(MUG=1000)
    bench.stock("MUG", 5)
    bench.mark_prices()
    bench.run(60)
    bench.now += 60 * SECOND
    bench.hub(MUG=1250)
    assert bench.step_price() == "read MUG"
    bench.mark("MUG", reread=True)
    bench.wake()
    read = bench.plan()
    bench.call(read)  # type: ignore[arg-type]
    bench.stock("MUG", -3)
    bench.wake()
    return bench


def both_at_once(store: Store, first: str) -> Listing:
    """The number's and the price's call are planned one after the other and are out together: who was planned first writes last."""
    bench, listing = ready(store), Listing()
    planned, written = threading.Event(), threading.Event()

    def plan_number(tx: Tx) -> Any:
        return planning.plan(tx, T, SHOP, bench.can, bench.now, fresh=bench.fresh, kinds=["write"])

    def plan_price(tx: Tx) -> Any:
        fresh = bench.fresh_prices
        return price_planning.plan(tx, T, SHOP, bench.can, bench.ability, bench.now, fresh=fresh, kinds=["write"])

    def act(kind: str, writer: Any) -> None:
        if kind != first:
            assert planned.wait(WAIT_S)
        call = writer.submit(plan_number if kind == "number" else plan_price).result(WAIT_S)
        price, number = listing.read()
        if kind == first:
            planned.set()
            assert written.wait(WAIT_S)
        if isinstance(call, WriteCall):
            listing.put(price, call.items[0].quantity)
        elif isinstance(call, PriceWriteCall):
            most = call.items[0].quantity
            listing.put(call.items[0].price_minor, number if most is None else min(most, number))
        written.set()

    with writing(store) as writer:
        done = at_once(2, lambda n: act(("number", "price")[n], writer))
    assert done == [None, None], done
    return listing


@pytest.mark.parametrize("first", ["number", "price"])
def test_P9_of_two_writes_of_one_listing_only_one_is_out(store: Store, first: str) -> None:
    listing = both_at_once(store, first)
    # The price takes the number along that is due; the number alone goes with the price as it was read.
    assert listing.history == [(1000, 2) if first == "number" else (1250, 2)]


def without_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind looks at its own slots only, and a price takes no number along."""
    for module, guard in (
        (planning, "AND (:reads_first = 0 OR NOT EXISTS"),
        (price_planning, "AND (:carries = 0 OR NOT"),
    ):
        condition = module._WRITE_DUE
        assert guard in condition
        monkeypatch.setattr(module, "_WRITE_DUE", condition.partition(guard)[0])
    monkeypatch.setattr(carrying, "take_along", lambda *_: carrying.NOTHING)


def test_twin_a_number_joined_to_a_price_call_undoes_the_price(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    without_the_guard(monkeypatch)
    assert both_at_once(store, "number").history == [(1250, 5), (1000, 2)]


def test_twin_a_price_joined_to_a_number_call_puts_sold_pieces_on_sale_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_the_guard(monkeypatch)
    assert both_at_once(store, "price").history == [(1000, 2), (1250, 5)]
