"""Brings a database to the schema of this version (Alembic), and refuses one of a newer version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, pool

from oneshelf.core.errors import Stop

if TYPE_CHECKING:
    from .store import Store


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def sqlalchemy_url(url: str) -> str:
    """Return the SQLAlchemy form of our database URL (psycopg 3 for PostgreSQL)."""
    for plain in ("postgresql://", "postgres://"):
        if url.startswith(plain):
            return "postgresql+psycopg://" + url.removeprefix(plain)
    return url


def migrate(store: Store) -> None:
    """Run what is missing, each migration in a transaction of its own. Raises Stop if the database is newer than we are."""
    config = _config(sqlalchemy_url(store.url))
    scripts = ScriptDirectory.from_config(config)
    engine = create_engine(sqlalchemy_url(store.url), poolclass=pool.NullPool)
    try:
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
            if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
                raise Stop(
                    f"This database was written by a newer Oneshelf (schema {current}; this one knows up to "
                    f"{scripts.get_current_head()}). Install that version again; nothing was changed."
                )
            if current != scripts.get_current_head():
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                connection.commit()
    finally:
        engine.dispose()
