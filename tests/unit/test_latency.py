"""Latency is what really happened, per channel, in seconds (SEMANTICS 12.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dashboard_seed as shop
from oneshelf.core.instants import SECOND
from oneshelf.db.store import Store, transaction
from oneshelf.watch import slowness
from oneshelf.watch.latency import latency, percentile, percentiles

NOW = 1_795_443_792 * SECOND


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=300))
def test_a_percentile_is_a_measured_value_with_enough_at_or_below_it(values: list[int]) -> None:
    values.sort()
    for percent in (50, 95, 99):
        p = percentile(values, percent)
        assert p in values
        assert sum(1 for v in values if v <= p) * 100 >= percent * len(values)
        assert sum(1 for v in values if v < p) * 100 < percent * len(values)


def test_nothing_measured_is_not_zero() -> None:
    assert percentiles([]) == {"p50": None, "p95": None, "p99": None, "n": 0}
    assert percentiles([0]) == {"p50": 0.0, "p95": 0.0, "p99": 0.0, "n": 1}


@pytest.fixture
def seeded(store: Store) -> Store:
    shop.seed(store, NOW)
    return store


def test_each_channel_is_measured_on_its_own_orders_and_writes(seeded: Store) -> None:
    with seeded.reader() as tx:
        found = latency(tx, shop.TENANT)
    assert list(found) == ["shopify", "amazon", "ebay", "etsy"]
    amazon = found["amazon"]
    assert amazon["notice"] == {"p50": 1.2, "p95": 3.0, "p99": 3.0, "n": 3}
    assert amazon["decide"] == {"p50": 0.002, "p95": 0.002, "p99": 0.002, "n": 3}
    assert amazon["publish"]["p50"] == 0.7
    assert (amazon["effect"]["p50"], amazon["effect"]["p99"]) == (3.0, 3.8)
    assert amazon["publish"]["n"] == amazon["effect"]["n"] == 6
    # Etsy accepted one number that nobody has seen there yet: told, but no effect to measure.
    assert (found["etsy"]["publish"]["n"], found["etsy"]["effect"]["n"]) == (8, 7)
    # The hub is told by imports and shows them at once.
    assert found["shopify"]["publish"]["n"] == 5
    assert found["shopify"]["effect"] == {"p50": None, "p95": None, "p99": None, "n": 0}


def test_orders_from_before_the_account_was_live_are_not_measured(seeded: Store) -> None:
    tx = seeded.begin()
    tx.run("UPDATE account SET live_at = :at WHERE account_id = :a", at=NOW - 150 * SECOND, a=shop.AMAZON)
    seeded.commit()
    with seeded.reader() as tx:
        notice = latency(tx, shop.TENANT)["amazon"]["notice"]
    assert (notice["n"], notice["p99"]) == (2, 1.2)


def test_an_instant_that_the_channel_did_not_give_is_not_measured_as_news(seeded: Store) -> None:
    tx = seeded.begin()
    tx.run(
        "UPDATE orders SET placed_note = 'missing' WHERE account_id = :a AND order_id = '27-12880-45519'", a=shop.EBAY
    )
    seeded.commit()
    with seeded.reader() as tx:
        ebay = latency(tx, shop.TENANT)["ebay"]
    assert (ebay["notice"]["n"], ebay["decide"]["n"]) == (1, 2)


def test_only_the_last_so_many_count(seeded: Store) -> None:
    with seeded.reader() as tx:
        found = latency(tx, shop.TENANT, last=2)
    assert (found["amazon"]["notice"]["n"], found["amazon"]["publish"]["n"]) == (2, 2)


def test_S12_1_our_own_parts_being_slow_is_a_task_until_they_are_quick_again(seeded: Store) -> None:
    def slow(at: int) -> list[str]:
        slowness.look(tx, shop.TENANT, at)
        rows = tx.all("SELECT subject FROM task WHERE kind = 'ours_slow' AND closed_at IS NULL ORDER BY subject")
        return [subject for (subject,) in rows]

    with transaction(seeded) as tx:
        tx.run("DELETE FROM attempt")
        tx.run("UPDATE orders SET standing = 'history'")
        for number in range(40):
            where = {"no": 1_000 + number, "at": NOW + number * SECOND, "late": 3 * SECOND if number >= 20 else SECOND}
            tx.run(
                "INSERT INTO orders (tenant_id, order_no, account_id, order_id, placed_at, received_at, decided_at, payment, state) "
                "VALUES (1, :no, 2, CAST(:no AS TEXT), :at, :at, :at + :late, 'paid', 'OPEN')",
                **where,
            )
            tx.run(
                "INSERT INTO attempt (tenant_id, attempt_no, outlet_id, account_id, quantity, was, generation, dirty_at, started_at, "
                "accepted_at) VALUES (1, :no, 1, 2, :q, 5, 1, :at, :at, :at + :late)",
                q=0 if number % 2 else 4,
                **{**where, "late": 6 * SECOND},
            )
        assert slow(NOW + 3_599 * SECOND) == ["decide", "publish"], "20 numbers to zero in 6 s; what fell to 4 may wait"
        assert slow(NOW + 3_699 * SECOND) == [], "none of it is of the last hour"
