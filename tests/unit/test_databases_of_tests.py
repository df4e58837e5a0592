"""The databases that tests share one after the other: the next test finds nothing of the one before."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from conftest import PostgresDatabases
from oneshelf.db.postgres import PostgresStore


def _commit_nothing() -> None:
    return None


def _add_a_column(store: PostgresStore) -> None:
    store.connection.execute("ALTER TABLE counter ADD COLUMN more INTEGER")


def _leave_a_transaction_open(store: PostgresStore) -> None:
    store.begin()


def _lose_the_connection(store: PostgresStore) -> None:
    store.connection.close()


def _patch(store: PostgresStore) -> None:
    store.commit = _commit_nothing  # type: ignore[method-assign]


def test_one_that_is_given_back_is_empty_and_has_no_settings_of_the_test_before(
    postgres_databases: PostgresDatabases,
) -> None:
    store = postgres_databases.take()
    store.connection.execute("INSERT INTO counter (tenant_id, name, value) VALUES (1, 'attempt', 7)")
    store.connection.execute("SET lock_timeout = 123")
    postgres_databases.give_back(store)
    again = postgres_databases.take()
    assert again is store
    assert again.connection.execute("SELECT * FROM counter").fetchall() == []
    assert again.connection.execute("SHOW lock_timeout").fetchone() == ("0",)
    again.close()
    postgres_databases.give_back(again)
    assert postgres_databases.take() is store
    assert store.connection.execute("SELECT 1").fetchone() == (1,)
    postgres_databases.give_back(store)


@pytest.mark.parametrize("leave", [_add_a_column, _leave_a_transaction_open, _lose_the_connection, _patch])
def test_one_that_is_left_otherwise_is_dropped(
    postgres_databases: PostgresDatabases, leave: Callable[[PostgresStore], None]
) -> None:
    store = postgres_databases.take()
    leave(store)
    postgres_databases.give_back(store)
    another = postgres_databases.take()
    assert another.url != store.url
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(store.url)
    postgres_databases.give_back(another)
