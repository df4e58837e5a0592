"""Numbers that the shop says all at once (publish/floods, ADR 0015): zeros wait a while, raises until a yes, sales never."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.scenario.publish_bench import Bench, T

from oneshelf.core.instants import SECOND
from oneshelf.core.stock import Entry
from oneshelf.db.store import Store
from oneshelf.listings import dirty
from oneshelf.publish import approving, guard
from oneshelf.stock import ledger

NAMES = [f"N{number:02}" for number in range(12)]
HOLD_S = 900


def street(store: Store, channel: str = "ebay", pieces: int = 5, together: tuple[str, ...] = ()) -> Bench:
    """Twelve listings that show what there is and are at rest."""
    bench = Bench(store, channel)
    for name in NAMES:
        bench.outlet(name, {name: 1}, shown=pieces, unit=name if name not in together else "LISTING")
        bench.stock(name, pieces)
    bench.run(60)
    assert bench.rest() == []
    bench.now += 3600 * SECOND
    bench.market.writes.clear()
    return bench


@pytest.fixture
def bench(store: Store) -> Bench:
    return street(store)


def count(bench: Bench, names: list[str], change: int, key: str = "edit") -> None:
    """The shop's counts of these move in one read."""
    bench._orders += 1

    def step(tx: Any) -> None:
        entries = [Entry(f"{key}:{name}:L1:r{bench._orders}", name, "L1", "counted", on_hand=change) for name in names]
        ledger.post(tx, T, entries, bench.now)
        dirty.mark(tx, T, names, bench.now, "counted")

    bench.tx(step)


def waiting(bench: Bench) -> list[Any]:
    return bench.tx(lambda tx: guard.waiting(tx, T))  # type: ignore[return-value]


def lapse(bench: Bench) -> None:
    bench.tx(lambda tx: guard.lapse(tx, T, bench.now))


def test_a_flood_of_zeros_waits_and_goes_out_by_itself(bench: Bench) -> None:
    count(bench, NAMES, -5)
    bench.run(60)
    assert bench.market.writes == [] and set(bench.market.shown.values()) == {5}
    (one,) = waiting(bench)
    assert (one.kind, one.held) == (
        "hub",
        12,
    ) and one.why == "12 of 12 listings would show 0, because the shop changed its stock"
    assert bench.open_tasks() == ["guard_waits"]
    bench.run(HOLD_S - 120)
    assert bench.market.writes == []
    bench.run(180)
    lapse(bench)
    bench.run(60)
    assert set(bench.market.shown.values()) == {0}
    assert waiting(bench) == [] and bench.open_tasks() == [] and bench.rest() == []


def test_a_yes_lets_them_go_at_once(bench: Bench) -> None:
    count(bench, NAMES, -5)
    bench.run(10)
    (one,) = waiting(bench)
    bench.tx(lambda tx: approving.approve(tx, T, one.guard_no, bench.now, by="Ada"))
    bench.run(60)
    assert set(bench.market.shown.values()) == {0} and bench.rest() == []


def test_a_no_leaves_time_to_put_the_shop_right(bench: Bench) -> None:
    count(bench, NAMES, -5)
    bench.run(10)
    (one,) = waiting(bench)
    bench.tx(lambda tx: guard.refuse(tx, T, one.guard_no, bench.now, by="Ada"))
    bench.run(2 * HOLD_S)
    assert bench.market.writes == []
    count(bench, NAMES, 5)
    bench.run(60)
    lapse(bench)
    assert bench.market.writes == [] and waiting(bench) == [] and bench.rest() == []


def test_after_a_no_a_single_zero_is_no_flood(bench: Bench) -> None:
    count(bench, NAMES[1:], -5)
    bench.run(10)
    bench.tx(lambda tx: guard.refuse(tx, T, waiting_no(tx), bench.now, by="Ada"))
    bench.run(HOLD_S)
    count(bench, ["N00"], -5)
    bench.run(60)
    assert bench.market.shown["N00"] == 0 and bench.market.shown["N01"] == 5


def waiting_no(tx: Any) -> int:
    return guard.waiting(tx, T)[0].guard_no


def test_a_zero_that_is_a_sale_never_waits(bench: Bench) -> None:
    for name in NAMES:
        bench.sell(name, 5)
    bench.run(60)
    assert set(bench.market.shown.values()) == {0} and waiting(bench) == []


def test_the_first_sale_of_a_held_sku_frees_its_zero(bench: Bench) -> None:
    count(bench, NAMES, -5)
    bench.run(10)
    bench.sell("N00", 1)
    bench.run(60)
    assert bench.market.shown["N00"] == 0 and bench.market.shown["N01"] == 5
    assert waiting(bench)[0].held == 11


def test_a_reservation_at_the_shop_counts_as_its_hand(bench: Bench) -> None:
    """A count that falls is first taken for a sale that is not heard yet (S9.2)."""
    count(bench, NAMES, -5, key="prov:1:0")
    bench.run(60)
    assert bench.market.writes == [] and waiting(bench)[0].held == 12


def test_a_flood_of_raises_waits_for_a_yes_and_lowers_go(bench: Bench) -> None:
    count(bench, NAMES, 45)
    bench.run(4 * HOLD_S)
    assert bench.market.writes == [] and waiting(bench)[0].lapses_at is None
    count(bench, ["N00"], -47)
    bench.run(60)
    assert bench.market.shown["N00"] == 3
    (one,) = waiting(bench)
    bench.tx(lambda tx: approving.approve(tx, T, one.guard_no, bench.now, by="Ada"))
    bench.run(600)
    assert bench.market.shown["N01"] == 50 and bench.rest() == []


def test_a_few_zeros_go_at_once_and_the_rest_of_the_flood_waits(bench: Bench) -> None:
    count(bench, NAMES[:9], -5)
    bench.run(60)
    assert [name for name, shown in bench.market.shown.items() if shown == 0] == NAMES[:9]
    count(bench, NAMES[9:], -5)
    bench.run(60)
    assert [name for name, shown in bench.market.shown.items() if shown] == NAMES[9:]


def test_an_etsy_listing_that_is_written_anyway_takes_its_zero_along(store: Store) -> None:
    bench = street(store, "etsy", together=("N00", "N01"))
    count(bench, [name for name in NAMES if name != "N01"], -5)
    bench.run(60)
    assert bench.market.writes == [] and waiting(bench)[0].held == 11
    count(bench, ["N01"], -2)
    bench.run(60)
    assert bench.market.writes == [{"N00": 0, "N01": 3}]


def test_a_closed_location_is_the_shops_hand_too(bench: Bench) -> None:
    def close(tx: Any) -> None:
        tx.run("UPDATE location SET active = 0 WHERE tenant_id = :t", t=T)
        dirty.mark(tx, T, NAMES, bench.now, "a location opened or closed")

    bench.tx(close)
    bench.run(60)
    assert bench.market.writes == [] and waiting(bench)[0].held == 12


@pytest.mark.parametrize("limits", ({"on": False}, {"hold_s": 0}))
def test_it_can_be_switched_off(bench: Bench, limits: dict[str, Any]) -> None:
    wanted = msgspec.structs.replace(guard.Limits(), **limits)
    bench.tx(lambda tx: guard.set_limits(tx, T, wanted, bench.now, by="Ada"))
    count(bench, NAMES, -5)
    bench.run(60)
    assert set(bench.market.shown.values()) == {0}
