"""The same pieces wanted at once, the same entry posted at once. Each guard has a twin without it that must go wrong."""

from __future__ import annotations

import threading

import psycopg
import pytest
from tests.race.together import at_once, connections_at_once, only_postgresql, writing
from tests.unit.seeding import NOW, TENANT, entry, location, stock

from oneshelf.core.stock import Entry
from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import Tx
from oneshelf.stock import ledger
from oneshelf.stock.ledger import InsufficientStock
from oneshelf.stock.levels import available_of

WANT = 12
HAVE = 5


def hold(number: int) -> Entry:
    return entry(f"hold:{number}", reserved=1)


def shelf(store: Store) -> None:
    with transaction(store) as tx:
        location(tx, "L1")
        stock(tx, HAVE)


def k_of(store: Store) -> int:
    with store.reader() as tx:
        assert ledger.differences(tx, TENANT) == []
        return available_of(tx, TENANT, ["MUG"])["MUG"]


def outcome(ends: list[object]) -> tuple[int, int]:
    """(posted, refused); anything else is a failure of the test."""
    assert all(end == "posted" or isinstance(end, InsufficientStock) for end in ends), ends
    return ends.count("posted"), len(ends) - ends.count("posted")


# --- the last pieces ------------------------------------------------------------------------------------------------------


def test_holds_at_once_through_the_writer_never_take_more_than_there_is(store: Store) -> None:
    shelf(store)
    with writing(store) as writer:
        ends = at_once(
            WANT, lambda n: writer.submit(lambda tx: ledger.post_decision(tx, TENANT, hold(n), NOW)).result(20)
        )
    assert outcome(list(ends)) == (HAVE, WANT - HAVE)
    assert k_of(store) == 0


def test_twin_one_that_reads_in_one_step_and_takes_in_the_next_oversells(store: Store) -> None:
    shelf(store)
    everyone_has_read = threading.Barrier(WANT)
    with writing(store) as writer:

        def read_then_take(number: int) -> str:
            k = writer.submit(lambda tx: available_of(tx, TENANT, ["MUG"])["MUG"]).result(20)
            everyone_has_read.wait(20)
            if k < 1:
                raise InsufficientStock(hold(number))
            return writer.submit(lambda tx: ledger.post(tx, TENANT, [hold(number)], NOW)[0]).result(20)

        ends = at_once(WANT, read_then_take)
    assert outcome(list(ends)) == (WANT, 0)
    assert k_of(store) == HAVE - WANT  # oversold


def test_holds_at_once_from_several_connections_never_take_more_than_there_is(store: Store) -> None:
    only_postgresql(store)
    shelf(store)
    # All have looked for their key before any moves the number: no reading before the statement could help.
    ends = connections_at_once(
        store, WANT, "ledger_entry", lambda tx, n: ledger.post_decision(tx, TENANT, hold(n), NOW)
    )
    assert outcome(list(ends)) == (HAVE, WANT - HAVE)
    assert k_of(store) == 0


def test_twin_a_guard_before_the_statement_oversells_from_several_connections(store: Store) -> None:
    only_postgresql(store)
    shelf(store)

    def read_then_take(tx: Tx, number: int) -> str:
        row = tx.one("SELECT on_hand - committed - reserved - unavailable FROM stock_level WHERE sku = 'MUG'")
        if row is None or row[0] < 1:
            raise InsufficientStock(hold(number))
        return ledger.post(tx, TENANT, [hold(number)], NOW)[0]

    ends = connections_at_once(store, WANT, "stock_level", read_then_take)
    assert outcome(list(ends)) == (WANT, 0)
    assert k_of(store) == HAVE - WANT  # oversold


# --- the same entry -------------------------------------------------------------------------------------------------------


def sale() -> Entry:
    return entry("commit:ebay/1/1:1", committed=2)


def test_the_same_sale_at_once_through_the_writer_is_posted_once(store: Store) -> None:
    shelf(store)
    with writing(store) as writer:
        ends = at_once(WANT, lambda _: writer.submit(lambda tx: ledger.post(tx, TENANT, [sale()], NOW)[0]).result(20))
    assert sorted(map(str, ends)) == ["already_done"] * (WANT - 1) + ["posted"]
    assert k_of(store) == HAVE - 2


def test_twin_a_sale_without_a_key_of_its_own_is_posted_every_time(store: Store) -> None:
    shelf(store)
    with writing(store) as writer:

        def nameless(number: int) -> str:
            one = entry(f"commit:heard-as-number-{number}", committed=2)
            return writer.submit(lambda tx: ledger.post(tx, TENANT, [one], NOW)[0]).result(20)

        assert at_once(WANT, nameless) == ["posted"] * WANT
    assert k_of(store) == HAVE - 2 * WANT


@pytest.mark.parametrize("unique_key", [True, False])
def test_the_same_sale_from_several_connections_and_its_twin_without_the_unique_key(
    store: Store, unique_key: bool
) -> None:
    only_postgresql(store)
    shelf(store)
    if not unique_key:
        with transaction(store) as tx:
            tx.run("ALTER TABLE ledger_entry DROP CONSTRAINT ledger_entry_pkey")
    ends = connections_at_once(store, 4, "ledger_entry", lambda tx, _: ledger.post(tx, TENANT, [sale()], NOW)[0])
    if unique_key:
        assert ends.count("posted") == 1
        assert all(end == "posted" or isinstance(end, psycopg.errors.UniqueViolation) for end in ends), ends
        assert k_of(store) == HAVE - 2
    else:
        assert ends == ["posted"] * 4
        assert k_of(store) == HAVE - 8  # one sale, counted four times
