"""A sale between the computing of a number and the clearing of its mark must leave the mark (I12)."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from tests.race.together import at_once, writing
from tests.unit.seeding import NOW, TENANT, account, entry, linked, location, marks, stock

from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty
from oneshelf.runtime.writer import Writer
from oneshelf.stock import ledger
from oneshelf.stock.levels import available_of

Clear = Callable[[Tx, int, int, int], object]


def by_generation(tx: Tx, outlet_id: int, generation: int, _: int) -> object:
    return dirty.clear(tx, TENANT, outlet_id, generation)


def unconditionally(tx: Tx, outlet_id: int, _generation: int, _now: int) -> object:
    return tx.run("DELETE FROM dirty_listing WHERE outlet_id = :o", o=outlet_id)


def by_time(tx: Tx, outlet_id: int, _generation: int, now: int) -> object:
    return tx.run("DELETE FROM dirty_listing WHERE outlet_id = :o AND since_at <= :now", o=outlet_id, now=now)


def shop(store: Store) -> int:
    with transaction(store) as tx:
        location(tx, "L1")
        stock(tx, 1_000)
        return linked(tx, account(tx), "mug", {"MUG": 1})


def sell(tx: Tx, number: int, now: int) -> None:
    ledger.post(tx, TENANT, [entry(f"commit:{number}", committed=1)], now)
    dirty.mark(tx, TENANT, ["MUG"], now, "an order")


class Publisher:
    """Tells the outlet its number in two steps, with the network between them."""

    def __init__(self, writer: Writer, outlet_id: int, clear: Clear) -> None:
        self.writer, self.outlet_id, self.clear = writer, outlet_id, clear
        self.shown = 1_000

    def tell(self, network: Callable[[], None], now: int) -> bool:
        """Tell the newest number if it is owed; False: nothing is."""

        def plan(tx: Tx) -> tuple[int, int] | None:
            generation = marks(tx).get(self.outlet_id)
            return None if generation is None else (generation, available_of(tx, TENANT, ["MUG"])["MUG"])

        planned = self.writer.submit(plan).result(20)
        if planned is None:
            return False
        generation, number = planned
        network()
        self.shown = number
        self.writer.submit(lambda tx: self.clear(tx, self.outlet_id, generation, now)).result(20)
        return True


def told_at_rest(store: Store, clear: Clear) -> tuple[int, int]:
    """One sale, and another while the first number is on its way; then publish until nothing is owed. Returns (shown, K)."""
    outlet_id = shop(store)
    with writing(store) as writer:
        publisher = Publisher(writer, outlet_id, clear)
        writer.submit(lambda tx: sell(tx, 1, NOW)).result(20)
        publisher.tell(lambda: writer.submit(lambda tx: sell(tx, 2, NOW + 5)).result(20), NOW + 9)
        while publisher.tell(lambda: None, NOW + 10):
            pass
        return publisher.shown, writer.submit(lambda tx: available_of(tx, TENANT, ["MUG"])["MUG"]).result(20)


def test_a_mark_set_while_a_number_is_on_its_way_stays(store: Store) -> None:
    assert told_at_rest(store, by_generation) == (998, 998)


@pytest.mark.parametrize("clear", [unconditionally, by_time])
def test_twin_a_mark_cleared_by_anything_but_its_generation_is_lost(store: Store, clear: Clear) -> None:
    assert told_at_rest(store, clear) == (999, 998)  # the second piece is sold and still on sale, for good


def test_many_sellers_and_one_publisher_end_at_the_true_number(store: Store) -> None:
    outlet_id = shop(store)
    with writing(store) as writer:
        publisher = Publisher(writer, outlet_id, by_generation)
        selling = threading.Event()
        selling.set()

        def act(number: int) -> None:
            if number == 0:
                while publisher.tell(lambda: None, NOW) or selling.is_set():
                    pass
                return
            for i in range(30):
                writer.submit(lambda tx, i=i: sell(tx, number * 100 + i, NOW)).result(20)

        publishing = threading.Thread(target=act, args=(0,))
        publishing.start()
        assert at_once(4, lambda n: act(n + 1)) == [None] * 4
        selling.clear()
        publishing.join(20)
        assert not publishing.is_alive()
    assert publisher.shown == 1_000 - 120
