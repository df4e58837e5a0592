"""PostgreSQL: the engine for many machines. The same steps, the same SQL; psycopg on the raw connection (DESIGN D6, D7)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from oneshelf.core.errors import Stop

from .store import StoreBroken
from .tx import PostgresTx
from .version import bring_to_newest

#: Key of the session lock that says "I write this database". One process at a time, as with the SQLite file.
WRITER_LOCK = 0x6F6E6573
#: How long a new writer waits for that lock: the server notices a moment late that a stopped or killed one is gone.
LOCK_WAIT_MS = 3_000
#: Classes of error codes that are about the server, not about what was sent: connection, resources, operator, system.
#: Source: PostgreSQL 18 documentation, appendix A, error codes (53, 57P, 58, 08). 54 (program limit: a key too long for its index) is data.
SERVER_IN_TROUBLE = ("08", "53", "57P", "58")


class PostgresStore:
    """The writing end of one PostgreSQL database."""

    dialect = "postgresql"

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: psycopg.Connection | None = None

    def open(self) -> None:
        try:
            self._connection = psycopg.connect(self.url, autocommit=True, application_name="oneshelf")
        except psycopg.OperationalError as error:
            raise Stop(
                f"PostgreSQL does not answer: {' '.join(str(error).split())} Check ONESHELF_DATABASE_URL and the server."
            ) from error
        try:
            self._check_durability()
            self._take_lock(self._connection)
            bring_to_newest(self, self._connection)
        except psycopg.Error as error:
            stop = self.must_stop(error)
            self.close()
            raise stop or Stop(f"PostgreSQL refused to prepare the database: {str(error).strip()}.") from error
        except BaseException:
            self.close()
            raise

    def _take_lock(self, connection: psycopg.Connection) -> None:
        try:
            connection.execute(f"SET lock_timeout = {LOCK_WAIT_MS}")
            connection.execute("SELECT pg_advisory_lock(%s)", (WRITER_LOCK,))
            connection.execute("RESET lock_timeout")
        except errors.LockNotAvailable as error:
            raise Stop(
                "Another oneshelf writes this database. Stop it first, or give this one a database of its own."
            ) from error

    def _check_durability(self) -> None:
        """D7b: an answered order must survive a power cut; refuse to run on a server that is told not to keep it."""
        assert self._connection is not None
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            row = self._connection.execute(f"SHOW {setting}").fetchone()
            if row is None or row[0] == "off":
                raise Stop(
                    f"PostgreSQL runs with {setting} = off: an answered order could be lost. Set {setting} = on and restart it."
                )

    @property
    def connection(self) -> psycopg.Connection:
        if self._connection is None:
            raise Stop("The database is not open.")
        return self._connection

    def check_rest(self) -> None:
        """Nothing: PostgreSQL looks after its own files (data checksums, amcheck)."""

    def begin(self) -> PostgresTx:
        self.connection.execute("BEGIN")
        return PostgresTx(self.connection)

    def commit(self) -> None:
        # PostgreSQL answers a COMMIT of a failed transaction with ROLLBACK and no error: that must never count as durable.
        if self.connection.execute("COMMIT").statusmessage != "COMMIT":
            raise errors.InFailedSqlTransaction("PostgreSQL took the transaction back instead of committing it")

    def rollback(self) -> None:
        if self.connection.closed:
            return
        if self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            self.connection.execute("ROLLBACK")

    def must_stop(self, error: BaseException) -> StoreBroken | None:
        if not isinstance(error, psycopg.Error) or self.is_transient(error):
            return None
        words = " ".join(str(error).split())
        if isinstance(error, errors.DiskFull):
            return StoreBroken("PostgreSQL's disk is full. Nothing more was answered; make room and start again.")
        if isinstance(error, (errors.DataCorrupted, errors.IndexCorrupted)):
            return StoreBroken(f"PostgreSQL says that data is damaged ({words}). Restore it, then start again.")
        if isinstance(error, errors.ReadOnlySqlTransaction):
            return StoreBroken(f"PostgreSQL takes no writes ({words}): a standby? Start again when it is the primary.")
        if self._connection is not None and self._connection.closed:
            return StoreBroken(f"The connection to PostgreSQL was lost ({words}). Start again when it is back.")
        if error.sqlstate is not None and error.sqlstate.startswith(SERVER_IN_TROUBLE):
            return StoreBroken(f"PostgreSQL can't go on ({words}). Look at the server, then start again.")
        return None

    def is_transient(self, error: BaseException) -> bool:
        return isinstance(error, (errors.SerializationFailure, errors.DeadlockDetected, errors.LockNotAvailable))

    @contextmanager
    def reader(self) -> Iterator[PostgresTx]:
        with psycopg.connect(self.url, autocommit=True, application_name="oneshelf-read") as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield PostgresTx(connection)
            connection.execute("ROLLBACK")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
