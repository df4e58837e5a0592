"""A count written to the hub while a parcel leaves it: compare-and-set notices, a blind write loses pieces (S8.3)."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable

import pytest
from tests.race.together import writing
from tests.unit.seeding import NOW, TENANT, account, entry, item, location, stock

from oneshelf.core.instants import SECOND
from oneshelf.core.outcome import Accepted, Outcome, Rejected
from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import Tx
from oneshelf.imports import counts
from oneshelf.stock import ledger
from oneshelf.stock.levels import levels_of


class TinyHub:
    """One number that several hands move. `compares`: it writes only over the number that was expected."""

    def __init__(self, on_hand: int, *, compares: bool) -> None:
        self.on_hand = on_hand
        self.compares = compares
        self.stale = 0
        self.before_write: Callable[[], None] = lambda: None
        self._answered: dict[str, Outcome] = {}
        self._lock = threading.Lock()

    def ship(self) -> None:
        with self._lock:
            self.on_hand -= 1

    async def set_on_hand(
        self, http: object, item_id: str, location_id: str, quantity: int, expected: int, key: str, reference: str
    ) -> Outcome:
        self.before_write()
        with self._lock:
            if key in self._answered:
                return self._answered[key]
            if self.compares and self.on_hand != expected:
                self.stale += 1
                self._answered[key] = Rejected("the quantity has changed", "CHANGE_FROM_QUANTITY_STALE", stale=True)
            else:
                self.on_hand = quantity
                self._answered[key] = Accepted()
            return self._answered[key]


def seen(tx: Tx, hub: TinyHub) -> None:
    """A read of the hub's level."""
    tx.run(
        "INSERT INTO hub_level (tenant_id, sku, location_id, on_hand, read_at, wanted) VALUES (1, 'MUG', 'L1', :n, 0, 0) "
        "ON CONFLICT (tenant_id, sku, location_id) DO UPDATE SET on_hand = :n, wanted = 0",
        n=hub.on_hand,
    )


def shop(store: Store, hub: TinyHub) -> None:
    with transaction(store) as tx:
        account(tx, "shopify", "a.myshopify.com")
        location(tx, "L1")
        item(tx, "MUG")
        stock(tx, hub.on_hand)
        seen(tx, hub)


def counted(store: Store, *, compares: bool, counted_as: list[int], parcels: set[int]) -> tuple[int, int, int]:
    """Enter counts one after the other; before the write calls numbered in `parcels` a piece leaves the hub.

    Returns (hub's on_hand, our on_hand, stale answers).
    """
    hub = TinyHub(20, compares=compares)
    shop(store, hub)
    calls = 0
    with writing(store) as writer:

        def parcel() -> None:
            """The hub ships a piece, and tells us: its fact is booked at once, whatever is under way."""
            nonlocal calls
            calls += 1
            if calls in parcels:
                hub.ship()
                gone = entry(f"ship:{calls}", on_hand=-1)
                writer.submit(lambda tx: ledger.post(tx, TENANT, [gone], NOW)).result(20)

        hub.before_write = parcel
        now = NOW
        for quantity in counted_as:
            writer.submit(
                lambda tx, q=quantity, at=now: counts.enter(tx, TENANT, "MUG", "L1", q, at, by="test")
            ).result(20)
            for _ in range(10):
                call = writer.submit(lambda tx, at=now: counts.plan(tx, TENANT, at)).result(20)
                if call is not None:
                    outcome = asyncio.run(counts.send(hub, None, call))  # type: ignore[arg-type]
                    writer.submit(
                        lambda tx, call=call, outcome=outcome, at=now: counts.settle(tx, TENANT, call, outcome, at)
                    ).result(20)
                writer.submit(lambda tx: seen(tx, hub)).result(20)
                now += 31 * SECOND
        ours = writer.submit(lambda tx: levels_of(tx, TENANT, ["MUG"])[("MUG", "L1")].on_hand).result(20)
        assert writer.submit(lambda tx: ledger.differences(tx, TENANT)).result(20) == []
        assert writer.submit(lambda tx: tx.all("SELECT DISTINCT state FROM intent")).result(20) == [("DONE",)]
    return hub.on_hand, ours, hub.stale


def test_a_parcel_that_leaves_while_a_count_is_written_is_not_lost(store: Store) -> None:
    assert counted(store, compares=True, counted_as=[15], parcels={1}) == (15, 15, 1)


def test_twin_a_blind_write_leaves_the_hub_and_the_ledger_apart(store: Store) -> None:
    hub, ours, _ = counted(store, compares=False, counted_as=[15], parcels={1})
    assert (hub, ours) == (15, 14)  # one piece lies there that the ledger does not know of


def test_F40_stale_again_and_again_ends_with_the_same_number_on_both_sides(store: Store) -> None:
    assert counted(store, compares=True, counted_as=[15], parcels={1, 2, 3, 4, 5, 6, 7}) == (15, 15, 7)


@pytest.mark.parametrize("seed", range(3))
def test_any_counts_and_parcels_leave_hub_and_ledger_together(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    numbers = [chance.randint(5, 40) for _ in range(4)]
    hub, ours, _ = counted(store, compares=True, counted_as=numbers, parcels={chance.randint(1, 9) for _ in range(5)})
    assert hub == ours
