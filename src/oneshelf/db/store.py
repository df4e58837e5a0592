"""Opens the database: one writing connection, readers of their own, migrations, and clear words when something is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from oneshelf.core.errors import Stop

from .tx import Tx


class StoreBroken(Stop):
    """The database can't be written any more; the service stops so that nothing is answered that isn't kept."""


class Store(Protocol):
    """What the writer needs of a database. About ten members a dialect; the SQL above is the same."""

    dialect: str
    url: str

    def open(self) -> None:
        """Connect, take the writer's right, check the file, migrate. Raises Stop with what to do."""

    def check_rest(self) -> StoreBroken | None:
        """Read, from any thread, what opening has left unread because it takes long. Return what to say if it is damaged."""

    def begin(self) -> Tx: ...

    def commit(self) -> None: ...

    def rollback(self) -> None: ...

    def must_stop(self, error: BaseException) -> StoreBroken | None:
        """Return what to say if this error means that the database can't go on (disk full, damaged, gone), else None."""

    def is_transient(self, error: BaseException) -> bool:
        """Whether the same batch may succeed when run again (serialization, deadlock, busy)."""

    def reader(self) -> Any:
        """Return a context manager giving a read-only Tx of its own connection."""

    def close(self) -> None: ...


def store_for(url: str) -> Store:
    """Return the store for a database URL: sqlite:///path or postgresql://… Raises Stop on another kind."""
    if url.startswith("sqlite:///"):
        from .sqlite import SqliteStore

        return SqliteStore(url.removeprefix("sqlite:///"))
    if url.startswith(("postgresql://", "postgres://")):
        from .postgres import PostgresStore

        return PostgresStore(url)
    kind = url.split(":", 1)[0]
    raise Stop(
        f"ONESHELF_DATABASE_URL begins with {kind!r}. Use sqlite:///path/to/oneshelf.db or postgresql://user@host/database."
    )


@contextmanager
def transaction(store: Store) -> Iterator[Tx]:
    """One transaction on the writing connection: for commands and tests; the service writes through runtime/writer."""
    tx = store.begin()
    try:
        yield tx
    except BaseException:
        store.rollback()
        raise
    store.commit()
