"""Brings a database to the schema of this version (Alembic), and refuses one of a newer version."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, create_engine, event, inspect, pool
from sqlalchemy.exc import DBAPIError

from oneshelf.core.errors import Stop

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Connection, Engine

    from .store import Store


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


@cache
def _scripts() -> ScriptDirectory:
    """The migrations that we ship, read once a process."""
    return ScriptDirectory.from_config(_config())


def sqlalchemy_url(url: str) -> URL | str:
    """Return the SQLAlchemy form of our database URL (psycopg 3 for PostgreSQL). A path is taken as it is, whatever its letters."""
    if url.startswith("sqlite:///"):
        return URL.create("sqlite", database=url.removeprefix("sqlite:///"))
    for plain in ("postgresql://", "postgres://"):
        if url.startswith(plain):
            return "postgresql+psycopg://" + url.removeprefix(plain)
    return url


def migrate(store: Store) -> None:
    """Run what is missing in one transaction: killed half-way, nothing was changed (RELIABILITY F12).

    Raises Stop if the database is newer than we are or is another program's; the driver's own error for anything else.
    """
    scripts = _scripts()
    engine = create_engine(sqlalchemy_url(store.url), poolclass=pool.NullPool)
    if store.dialect == "sqlite":
        _begin_for_schema_too(engine)
    try:
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
            if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
                raise Stop(
                    f"This database was written by a newer Oneshelf (schema {current}; this one knows up to "
                    f"{scripts.get_current_head()}). Install that version again; nothing was changed."
                )
            if current is None and (others := inspect(connection).get_table_names()):
                raise Stop(
                    f"This database holds the tables of another program ({', '.join(sorted(others)[:3])}). "
                    "Give Oneshelf one of its own; nothing was changed."
                )
            if current != scripts.get_current_head():
                config = _config()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                connection.commit()
    except DBAPIError as error:
        raise (error.orig or error) from error
    finally:
        engine.dispose()


def _begin_for_schema_too(engine: Engine) -> None:
    """Python's sqlite3 begins no transaction before CREATE TABLE, so each statement would stand alone; begin one ourselves."""

    @event.listens_for(engine, "connect")
    def _leave_it_to_us(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")
