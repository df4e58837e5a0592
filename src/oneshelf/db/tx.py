"""One transaction, as the steps see it: statements in one SQL that both databases speak, on the raw connection (DESIGN D7).

Parameters are `:name`. A set is `{in:name}`: one parameter holding a list (SQLite: json_each; PostgreSQL: = ANY). `many` takes
tuples for `?`. Core constructs cost 2.3 times the CPU in batches, so the hot path doesn't use them.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import msgspec
from psycopg.errors import InFailedSqlTransaction
from psycopg.pq import TransactionStatus

from oneshelf.core.errors import OneshelfError

_NAME = re.compile(r"(?<!:):([a-z_][a-z0-9_]*)")
_SET = re.compile(r"\{in:([a-z_][a-z0-9_]*)\}")
#: A newer SQLite (3.53 does, 3.40 does not) plans by the value of a parameter that stands alone after LIMIT, and so makes the statement anew
#: at each call: a simulation took a quarter more CPU. As a part of a sum it is not looked at (`sqlite3ExprIsInteger` in its source).
_LIMIT = re.compile(r"\bLIMIT (:[a-z_][a-z0-9_]*)")


class TransactionLost(OneshelfError):
    """The database took the whole transaction back by itself (a full disk, an I/O error); nothing may be written outside one."""


class Tx(Protocol):
    """An open transaction. Rows are tuples."""

    dialect: str

    def all(self, sql: str, **params: Any) -> list[tuple[Any, ...]]: ...

    def one(self, sql: str, **params: Any) -> tuple[Any, ...] | None: ...

    def run(self, sql: str, **params: Any) -> int:
        """Execute and return how many rows it touched."""

    def many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """Execute once a row (`?` placeholders) and return how many rows were touched in all."""

    def savepoint(self) -> Any:
        """A context in which a failure undoes only what happened inside."""


@lru_cache(maxsize=1024)
def _for_sqlite(sql: str) -> tuple[str, frozenset[str]]:
    sets = frozenset(_SET.findall(sql))
    return _LIMIT.sub(r"LIMIT (0 + \1)", _SET.sub(r"IN (SELECT value FROM json_each(:\1))", sql)), sets


@lru_cache(maxsize=1024)
def _for_postgres(sql: str) -> tuple[str, frozenset[str]]:
    sets = frozenset(_SET.findall(sql))
    sql = _SET.sub(r"= ANY(:\1)", sql.replace("%", "%%"))
    return _NAME.sub(r"%(\1)s", sql), sets


@lru_cache(maxsize=1024)
def _many_for_postgres(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


class SqliteTx:
    """A transaction on a sqlite3 connection (autocommit mode; BEGIN and COMMIT are the caller's)."""

    dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._depth = 0

    def _still_open(self) -> None:
        """A step may have swallowed the error that says so: the next statement would stand alone, committed at once."""
        if not self.connection.in_transaction:
            raise TransactionLost("the database took the transaction back by itself")

    def _params(self, sets: frozenset[str], params: dict[str, Any]) -> dict[str, Any]:
        for name in sets:
            params[name] = msgspec.json.encode(list(params[name])).decode()
        return params

    def all(self, sql: str, **params: Any) -> list[tuple[Any, ...]]:
        text, sets = _for_sqlite(sql)
        return self.connection.execute(text, self._params(sets, params)).fetchall()

    def one(self, sql: str, **params: Any) -> tuple[Any, ...] | None:
        text, sets = _for_sqlite(sql)
        row: tuple[Any, ...] | None = self.connection.execute(text, self._params(sets, params)).fetchone()
        return row

    def run(self, sql: str, **params: Any) -> int:
        text, sets = _for_sqlite(sql)
        return self.connection.execute(text, self._params(sets, params)).rowcount

    def many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
        if not rows:
            return 0
        return self.connection.executemany(sql, rows).rowcount

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        self._still_open()
        self._depth += 1
        name = f"s{self._depth}"
        self.connection.execute(f"SAVEPOINT {name}")
        try:
            yield
            self._still_open()
        except BaseException:
            # A full disk or an I/O error takes the whole transaction back by itself: then there is nothing left to undo, and the error
            # that says so must reach the writer as it is.
            if self.connection.in_transaction:
                self.connection.execute(f"ROLLBACK TO {name}")
                self.connection.execute(f"RELEASE {name}")
            raise
        else:
            self.connection.execute(f"RELEASE {name}")
        finally:
            self._depth -= 1


class PostgresTx:
    """A transaction on a psycopg connection."""

    dialect = "postgresql"

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def _execute(self, sql: str, params: dict[str, Any]) -> Any:
        text, sets = _for_postgres(sql)
        for name in sets:  # a list becomes an array; a tuple or set would not
            params[name] = list(params[name])
        return self.connection.execute(text, params)

    def all(self, sql: str, **params: Any) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._execute(sql, params).fetchall()
        return rows

    def one(self, sql: str, **params: Any) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._execute(sql, params).fetchone()
        return row

    def run(self, sql: str, **params: Any) -> int:
        return int(self._execute(sql, params).rowcount)

    def many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
        if not rows:
            return 0
        with self.connection.cursor() as cursor:
            cursor.executemany(_many_for_postgres(sql), rows)
            return int(cursor.rowcount)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        with self.connection.transaction():
            yield
            # A step that swallowed a database error has left a transaction that takes nothing any more; it is undone alone.
            if self.connection.info.transaction_status == TransactionStatus.INERROR:
                raise InFailedSqlTransaction("a database error was swallowed; nothing of this step was kept")


T = TypeVar("T")


class _TakenBack(Exception):
    """Ends a rehearsal."""


def rehearse(tx: Tx, step: Callable[[Tx], T]) -> T:
    """Do a step and take all of it back; return what it gave. Raises what the step raises. So a preview is never a second way of doing it."""
    done: list[T] = []
    try:
        with tx.savepoint():
            done.append(step(tx))
            raise _TakenBack
    except _TakenBack:
        return done[0]


#: The counter of numbers that may have been given out by what a backup has replaced: every counter begins behind it (db/backup).
LEFT_OUT = "left_out"


def next_values(tx: Tx, tenant_id: int, name: str, count: int = 1) -> range:
    """Take `count` numbers of the tenant's own counter `name`; they are given out once and grow.

    The writer owns the tenant, so nobody else takes from it at the same time.
    """
    row = tx.one(
        f"""INSERT INTO counter (tenant_id, name, value) VALUES (:tenant, :name, :count + COALESCE(
               (SELECT value FROM counter WHERE tenant_id = :tenant AND name = '{LEFT_OUT}'), 0))
           ON CONFLICT (tenant_id, name) DO UPDATE SET value = counter.value + :count RETURNING value""",
        tenant=tenant_id,
        name=name,
        count=count,
    )
    assert row is not None
    return range(row[0] - count + 1, row[0] + 1)


def in_chunks(rows: Iterable[tuple[Any, ...]], size: int = 500) -> Iterator[list[tuple[Any, ...]]]:
    """Cut a long list of rows into pieces of at most `size`."""
    chunk: list[tuple[Any, ...]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
