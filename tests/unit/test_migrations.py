"""A database comes to this version's schema from nothing, once, whole or not at all, and never from a newer one."""

from __future__ import annotations

import itertools
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine

from oneshelf.core.errors import Stop
from oneshelf.db.migrate import _config, sqlalchemy_url
from oneshelf.db.postgres import PostgresStore
from oneshelf.db.sqlite import SqliteStore
from oneshelf.db.store import Store, store_for, transaction
from oneshelf.db.tables import metadata
from oneshelf.db.version import newest

_numbers = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store, not opened, of a database with nothing in it."""
    if request.param == "sqlite":
        yield SqliteStore(str(tmp_path / "new" / "oneshelf.db"))
        return
    server: str = request.getfixturevalue("postgres_server")
    url = server if "{database}" in server else server + "/{database}"
    name = f"oneshelf_bare_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(url.replace("{database}", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield PostgresStore(url.replace("{database}", name))
    with psycopg.connect(url.replace("{database}", "postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def said(store: Store, *statements: str) -> list[tuple[object, ...]]:
    """Run statements on a connection of our own and return the last one's rows."""
    with create_engine(sqlalchemy_url(store.url)).begin() as connection:
        for statement in statements:
            rows = connection.exec_driver_sql(statement)
        return [tuple(row) for row in rows] if rows.returns_rows else []


def tables(store: Store) -> list[str]:
    listing = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        if store.dialect == "sqlite"
        else "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
    )
    return [str(name) for (name,) in said(store, listing)]


def test_from_nothing_and_then_again(bare: Store) -> None:
    bare.open()
    with transaction(bare) as tx:
        tx.run("INSERT INTO tenant (tenant_id, name, created_at) VALUES (1, 'first', 0)")
    bare.close()
    assert tables(bare) == sorted([*metadata.tables, "alembic_version"])
    bare.open()
    with bare.reader() as tx:
        assert tx.all("SELECT name FROM tenant") == [("first",)]
    bare.close()


def test_the_migrations_make_what_the_page_of_the_data_model_says(bare: Store) -> None:
    bare.open()
    bare.close()
    with create_engine(sqlalchemy_url(bare.url)).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
        assert compare_metadata(context, metadata) == []


def test_outlets_that_were_known_before_keep_what_their_writes_are_counted_by(bare: Store) -> None:
    if isinstance(bare, SqliteStore):
        bare.path.parent.mkdir()
    config = _config()
    with create_engine(sqlalchemy_url(bare.url)).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        for number, extra in enumerate(('{"ration_unit": "110"}', '{"pinned": true}', "{}"), start=1):
            connection.exec_driver_sql(
                "INSERT INTO outlet (tenant_id, outlet_id, account_id, external_id, write_unit, extra, found_at) "
                f"VALUES (1, {number}, 2, 'S{number}', 'S{number}', '{extra}', 0)"
            )
    bare.open()
    with bare.reader() as tx:
        assert tx.all("SELECT ration_unit FROM outlet ORDER BY outlet_id") == [("110",), ("",), ("",)]
    bare.close()


def test_every_key_begins_with_the_tenant() -> None:
    """DESIGN D6: any table can be distributed by tenant."""
    for table in metadata.tables.values():
        assert next(iter(table.primary_key.columns)).name == "tenant_id", table.name


def test_a_newer_schema_is_refused_with_words_and_left_alone(bare: Store) -> None:
    bare.open()
    bare.close()
    said(bare, "UPDATE alembic_version SET version_num = '9999'", "DROP TABLE journal")
    before = tables(bare)
    with pytest.raises(Stop, match=r"newer Oneshelf \(schema 9999; this one knows up to \d+\).*nothing was changed"):
        bare.open()
    assert tables(bare) == before
    assert said(bare, "SELECT version_num FROM alembic_version") == [("9999",)]
    with pytest.raises(Stop, match="newer Oneshelf"):  # the first refusal has let go of the writer's right
        bare.open()


def test_another_programs_database_is_refused_and_left_alone(bare: Store) -> None:
    if isinstance(bare, SqliteStore):
        bare.path.parent.mkdir()
    said(bare, "CREATE TABLE account (id INTEGER)", "INSERT INTO account VALUES (7)")
    with pytest.raises(Stop, match=r"another program \(account\).*nothing was changed"):
        bare.open()
    assert tables(bare) == ["account"]
    assert said(bare, "SELECT id FROM account") == [(7,)]


def test_F12_a_migration_that_fails_half_way_has_changed_nothing(bare: Store) -> None:
    seen: list[str] = []

    def fail_at_the_seventh(*args: object) -> None:
        if "CREATE TABLE" in str(args[2]):
            seen.append(str(args[2]))
            if len(seen) == 7:
                raise RuntimeError("here the power fails")

    event.listen(Engine, "before_cursor_execute", fail_at_the_seventh)
    try:
        with pytest.raises(RuntimeError, match="power"):
            bare.open()
    finally:
        event.remove(Engine, "before_cursor_execute", fail_at_the_seventh)
    assert tables(bare) == []
    bare.open()
    bare.close()
    assert "stock_level" in tables(bare)


_KILLED = """
import os, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from oneshelf.db.store import store_for
n = 0
def die(*args):
    global n
    n += "CREATE TABLE" in str(args[2])
    if n == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
event.listen(Engine, "after_cursor_execute", die)
store_for(sys.argv[1]).open()
"""


def test_F12_a_migration_killed_half_way_is_begun_again(bare: Store) -> None:
    ended = subprocess.run([sys.executable, "-c", _KILLED, bare.url, "12"], capture_output=True, timeout=60)
    assert ended.returncode == -9, ended.stderr.decode()
    again = store_for(bare.url)
    again.open()
    again.close()
    assert tables(bare) == sorted([*metadata.tables, "alembic_version"])


@pytest.mark.parametrize("name", ["a b.db", "what?.db", "50%.db", "#1.db", "größe.db"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    store = SqliteStore(str(tmp_path / name))
    store.open()
    with transaction(store) as tx:
        tx.run("INSERT INTO tenant (tenant_id, name, created_at) VALUES (1, 'first', 0)")
    with store.reader() as tx:
        assert tx.one("SELECT name FROM tenant") == ("first",)
    store.close()
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}.lock"}
    with sqlite3.connect(tmp_path / name) as connection:
        assert connection.execute("SELECT name FROM tenant").fetchall() == [("first",)]
    connection.close()


def test_a_database_of_this_version_is_opened_without_loading_alembic(store: Store) -> None:
    """With SQLAlchemy it takes a fifth of a service's start."""
    assert newest() == ScriptDirectory.from_config(_config()).get_current_head()
    url = store.url
    store.close()
    look = (
        "import sys; from oneshelf.db.store import store_for; store = store_for(sys.argv[1]); store.open(); store.close(); "
        "print({'alembic', 'sqlalchemy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", look, url], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
