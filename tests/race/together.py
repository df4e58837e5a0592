"""How the race tests make things happen at once: threads that start together, and transactions that meet at a statement."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
import pytest

from oneshelf.db.store import Store
from oneshelf.db.tx import PostgresTx, Tx
from oneshelf.runtime.writer import Writer

T = TypeVar("T")
WAIT_S = 20


def at_once(count: int, act: Callable[[int], T]) -> list[T | Exception]:
    """Call `act(0)` … `act(count − 1)` in threads that begin together; return each one's result, or what it raised."""
    start = threading.Barrier(count)

    def run(number: int) -> T | Exception:
        start.wait(WAIT_S)
        try:
            return act(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@contextmanager
def writing(store: Store) -> Iterator[Writer]:
    """A writer on the fixture's store, which is open again afterwards."""
    store.close()
    writer = Writer(store)
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()
        store.open()


def only_postgresql(store: Store) -> None:
    """Several writing connections: SQLite has one, by its lock."""
    if store.dialect != "postgresql":
        pytest.skip("one file, one writing connection: the races through the writer are above")


class Meeting(PostgresTx):
    """A transaction that waits for the others after each read of `table`: the moment in which a guard outside the statement fails."""

    def __init__(self, connection: psycopg.Connection, table: str, others: threading.Barrier) -> None:
        super().__init__(connection)
        self._table = f"FROM {table}"
        self._others = others

    def _meet(self, sql: str) -> None:
        if self._table in sql and sql.lstrip().startswith("SELECT"):
            self._others.wait(WAIT_S)

    def all(self, sql: str, **params: Any) -> list[tuple[Any, ...]]:
        rows = super().all(sql, **params)
        self._meet(sql)
        return rows

    def one(self, sql: str, **params: Any) -> tuple[Any, ...] | None:
        row = super().one(sql, **params)
        self._meet(sql)
        return row


def connections_at_once(store: Store, count: int, table: str, step: Callable[[Tx, int], T]) -> list[T | Exception]:
    """Run `step` in `count` transactions of connections of their own, all of which have read `table` before any goes on."""
    meeting = threading.Barrier(count)

    def act(number: int) -> T:
        with psycopg.connect(store.url) as connection, connection.transaction():
            return step(Meeting(connection, table, meeting), number)

    return at_once(count, act)
