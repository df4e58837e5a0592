"""The databases that tests share one after the other: the next test finds nothing of the one before."""

from __future__ import annotations

import psycopg

from conftest import PostgresDatabases


def _ask(databases: PostgresDatabases, name: str, sql: str) -> list[tuple[object, ...]]:
    address = (
        databases.server.replace("{database}", name)
        if "{database}" in databases.server
        else f"{databases.server}/{name}"
    )
    with psycopg.connect(address, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def test_one_that_is_given_back_is_empty_and_one_of_another_shape_is_not_given_again(
    postgres_databases: PostgresDatabases,
) -> None:
    name = postgres_databases.take()
    _ask(postgres_databases, name, "INSERT INTO counter (tenant_id, name, value) VALUES (1, 'attempt', 7)")
    postgres_databases.give_back(name)
    again = postgres_databases.take()
    assert again == name
    assert _ask(postgres_databases, again, "SELECT * FROM counter") == []
    _ask(postgres_databases, again, "ALTER TABLE counter ADD COLUMN more INTEGER")
    postgres_databases.give_back(again)
    assert postgres_databases.take() != name
