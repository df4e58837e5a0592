"""SQLite: the embedded default. WAL, synchronous=FULL, BEGIN IMMEDIATE, one file, one writing process (DESIGN D5)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oneshelf.core.errors import Stop

from .statistics import write_statistics
from .store import StoreBroken
from .tx import SqliteTx, TransactionLost
from .version import bring_to_newest

#: How long a statement waits for a lock that another process holds (a backup tool, say) before it gives up.
BUSY_TIMEOUT_MS = 5_000
#: Pages of the WAL after which SQLite folds it into the file: 16 MB, so that a hot minute does not checkpoint all the time.
WAL_AUTOCHECKPOINT_PAGES = 4_000
#: A file of up to so many bytes is read whole before anything else; of a larger one the tables are, the small ones first, up to so many
#: rows, and the rest beside the work: a gigabyte takes about a second when it lies in memory.
WHOLE_BYTES_MAX = 256_000_000
ROWS_BEFORE_MAX = 100_000


def _kind(error: sqlite3.Error) -> int | None:
    """SQLite's primary result code; None for an error of Python's own module (a closed connection, a value of an unknown type)."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _look_at(connection: sqlite3.Connection, table: str = "") -> str | None:
    """What SQLite finds wrong with the structure of a table and its indexes, of all without a name; None: nothing."""
    found = connection.execute(f'PRAGMA quick_check("{table}")' if table else "PRAGMA quick_check(1)").fetchone()[0]
    return None if found == "ok" else str(found)


class SqliteStore:
    """The writing end of one SQLite file."""

    dialect = "sqlite"

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.url = f"sqlite:///{path}"
        self._connection: sqlite3.Connection | None = None
        self._lock_file: int | None = None
        #: Tables that were too large to be read before the start.
        self._unread: list[str] = []

    def open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            was_here = self._take_lock()
            self._check(was_here)
            self._connection = self._connect()
            bring_to_newest(self, self._connection)
            write_statistics(self._connection)
        except sqlite3.Error as error:
            self.close()
            raise self.must_stop(error) or Stop(f"{self.path} can't be opened: {error}.") from error
        except OSError as error:
            self.close()
            raise Stop(f"{self.path} can't be opened: {error.strerror}. Check the folder and its rights.") from error
        except BaseException:
            self.close()
            raise

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Have the right to write this file without opening it. Raises Stop when somebody else has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._take_lock()
            yield
        finally:
            self.close()

    def _take_lock(self) -> bool:
        """Take the right to write this file. Returns whether a Oneshelf has had it before."""
        was_here = os.path.exists(f"{self.path}.lock")
        self._lock_file = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Stop(
                f"Another process writes {self.path}. Only one may: stop the other `oneshelf serve`, or ask it instead of the file."
            ) from error
        os.ftruncate(self._lock_file, 0)
        os.write(self._lock_file, f"{os.getpid()}\n".encode())
        return was_here

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
            timeout=BUSY_TIMEOUT_MS / 1000,
        )
        os.chmod(self.path, 0o600)
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode.lower() != "wal":
            raise Stop(
                f"{self.path} lies on a file system without shared memory (journal mode {mode}). Use a local disk."
            )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_AUTOCHECKPOINT_PAGES}")
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute("PRAGMA temp_store = MEMORY")
        return connection

    def _check(self, was_here: bool) -> None:
        """Read the structure: a damaged file is found before the first message is answered. What is large is left to `check_rest`.

        Through a connection that can't write: closing the writing one would fold a left-over WAL into the damaged file.
        """
        self._unread = []
        if not self.path.exists():
            return
        size = self.path.stat().st_size
        if size == 0:
            if was_here:  # SQLite would take it for a new database and begin with an empty shelf
                raise self._damaged("it was cut off to 0 bytes")
            return
        with contextlib.closing(self.open_for_reading()) as connection:
            if size <= WHOLE_BYTES_MAX:
                found = _look_at(connection)
            else:
                found = self._look_at_the_small(connection)
        if found is not None:
            raise self._damaged(found)

    def _look_at_the_small(self, connection: sqlite3.Connection) -> str | None:
        sizes = []
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            sizes.append((connection.execute(f'SELECT COALESCE(MAX(rowid), 0) FROM "{table}"').fetchone()[0], table))
        before = 0
        for rows, table in sorted(sizes):
            before += rows
            if before > ROWS_BEFORE_MAX:
                self._unread.append(table)
            elif (found := _look_at(connection, table)) is not None:
                return found
        return None

    def check_rest(self) -> StoreBroken | None:
        """Read what was too large to be read before the start; takes a second or more a gigabyte. Return what to say if it is damaged."""
        for table in self._unread:
            try:
                # A connection each: a long read keeps the WAL growing.
                with contextlib.closing(self.open_for_reading()) as connection:
                    found = _look_at(connection, table)
            except sqlite3.Error as error:
                if _kind(error) not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR):
                    continue  # what keeps a reader out for a while is no damage; the other tables are read all the same
                found = str(error)
            if found is not None:
                return self._damaged(found, "That was found while the service ran: keep this file, too.")
        return None

    def open_for_reading(self) -> sqlite3.Connection:
        address = f"{self.path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        return connection

    def _damaged(self, what: object, since: str = "Nothing was written.") -> StoreBroken:
        words = " ".join(str(what).split())
        return StoreBroken(
            f"{self.path} is damaged ({words}). {since} Put the newest backup in its place and start again: "
            "orders since then are read from the channels."
        )

    @property
    def connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise Stop(f"{self.path} is not open.")
        return self._connection

    def begin(self) -> SqliteTx:
        self.connection.execute("BEGIN IMMEDIATE")
        return SqliteTx(self.connection)

    def commit(self) -> None:
        self.connection.execute("COMMIT")

    def rollback(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def must_stop(self, error: BaseException) -> StoreBroken | None:
        if isinstance(error, TransactionLost):
            return StoreBroken(
                f"{self.path}: {error}. Nothing of it was answered. Look whether the disk is full or failing, then start again."
            )
        if not isinstance(error, sqlite3.Error):
            return None
        match _kind(error):
            case sqlite3.SQLITE_FULL:
                return StoreBroken(
                    f"The disk that holds {self.path} is full. Oneshelf stopped before it answered anything it could not keep; "
                    "make room and start it again."
                )
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                return self._damaged(error)
            case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                return StoreBroken(
                    f"{self.path} can't be written ({error}). Check the disk and the rights, then start again."
                )
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED | sqlite3.SQLITE_PROTOCOL:
                return StoreBroken(
                    f"{self.path} was locked by another program for more than {BUSY_TIMEOUT_MS / 1000:g} s. "
                    "Close what has it open (a database browser, a copy job) and start again."
                )
        return None

    def is_transient(self, error: BaseException) -> bool:
        return False

    @contextmanager
    def reader(self) -> Iterator[SqliteTx]:
        with contextlib.closing(self.open_for_reading()) as connection:
            connection.execute("BEGIN")
            yield SqliteTx(connection)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None
