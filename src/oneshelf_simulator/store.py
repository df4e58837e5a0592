"""A real SQLite file, written by the product's own store and writer in the simulator's one thread, with the moments where it can fail.

In: the engine's steps. Out: their results, after the commit. Owns: which transaction dies, and where.
Never: changes what a step does.
"""

from __future__ import annotations

import asyncio
import queue
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

from oneshelf.db.sqlite import SqliteStore
from oneshelf.db.store import Store, StoreBroken
from oneshelf.db.tx import SqliteTx, Tx
from oneshelf.runtime.writer import BATCH_MAX, BatchStep, Job, Writer

T = TypeVar("T")

#: How long a job waits in the queue, seconds: what arrives meanwhile goes into the same commit.
QUEUED_S_MAX = 0.004


class Died(BaseException):
    """The process ends here. Nothing of it may catch this and go on."""


class Fate(Protocol):
    """Decides what happens to one life of the engine."""

    def at(self, point: str) -> str | None:
        """The name of the fault that strikes at this point, or None. Striking is counted."""

    def pick(self, most: int) -> int:
        """Draw 1 to `most`."""

    def committed(self) -> None:
        """Something is durable now."""

    def die(self, how: str) -> None:
        """End this life."""


@cache
def _template() -> bytes:
    """An empty database of the present schema, made once a process: migrations have tests of their own."""
    folder = Path(tempfile.mkdtemp(prefix="oneshelf-sim-template-"))
    try:
        store = SqliteStore(str(folder / "empty.db"))
        store.open()
        store.close()
        return (folder / "empty.db").read_bytes()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def empty_store(folder: Path) -> SqliteStore:
    """Open an empty shelf in a folder; a loss of power may harm it."""
    (folder / "oneshelf.db").write_bytes(_template())
    store = SqliteStore(str(folder / "oneshelf.db"))
    store.open()
    store.connection.execute("PRAGMA synchronous = OFF")
    return store


class SimStore(SqliteStore):
    """The product's store, with a fate. `synchronous` is off: power failures are not simulated here, and committed is committed."""

    def __init__(self, path: str, fate: Fate) -> None:
        super().__init__(path)
        self.fate = fate
        self.dead = False
        self._changes = -1

    def _check(self, was_here: bool) -> None:
        """Not read whole at each of many restarts: damaged files have tests of their own (F10)."""

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    def open(self) -> None:
        if not self.path.exists():
            self.path.write_bytes(_template())
        super().open()

    def begin(self) -> SqliteTx:
        if self.fate.at("begin") == "locked":
            raise _sqlite_error("database is locked", sqlite3.SQLITE_BUSY)
        tx = super().begin()
        match self.fate.at("statement"):
            case "crash_in_statement":
                return _Counted(tx, self.fate.pick(12), lambda: self.die("crash_in_statement"))
            case "memory":
                return _Counted(tx, self.fate.pick(6), _out_of_memory)
        return tx

    def commit(self) -> None:
        if self.dead:
            raise Died("after its end")
        match self.fate.at("commit"):
            case "crash_before_commit":
                self.die("crash_before_commit")
            case "disk_full":
                super().rollback()
                raise _sqlite_error("database or disk is full", sqlite3.SQLITE_FULL)
            case "io_error":
                super().rollback()
                raise _sqlite_error("disk I/O error", sqlite3.SQLITE_IOERR)
        changes = self.connection.total_changes
        super().commit()
        if changes != self._changes:  # a look that wrote nothing shows the judge nothing new
            self._changes = changes
            self.fate.committed()
        if self.fate.at("committed") == "crash_after_commit":
            self.die("crash_after_commit")

    def die(self, how: str) -> None:
        self.abandon()
        self.fate.die(how)
        raise Died(how)

    def abandon(self) -> None:
        """What the kernel does when a process dies: the open transaction is gone, the lock is free."""
        self.dead = True
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        super().close()

    def rollback(self) -> None:
        if not self.dead:
            super().rollback()


def _sqlite_error(words: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(words)
    error.sqlite_errorcode = code
    return error


class _Counted(SqliteTx):
    """A transaction in which something happens before its `left`-th statement from now."""

    def __init__(self, tx: SqliteTx, left: int, happens: Callable[[], None]) -> None:
        super().__init__(tx.connection)
        self._left = left
        self._happens = happens

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._happens()

    def all(self, sql: str, **params: Any) -> list[tuple[Any, ...]]:
        self._count()
        return super().all(sql, **params)

    def one(self, sql: str, **params: Any) -> tuple[Any, ...] | None:
        self._count()
        return super().one(sql, **params)

    def run(self, sql: str, **params: Any) -> int:
        self._count()
        return super().run(sql, **params)

    def many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
        self._count()
        return super().many(sql, rows)


def _out_of_memory() -> None:
    raise MemoryError("no memory left (simulated)")


class _Ticket:
    """What a job's future is to the writer, where asker and writer share a thread: no lock, no condition, and the answer comes a turn of
    the loop later, as from a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Any] = self._loop.create_future()
        self.answer.add_done_callback(self._given_up)
        self._is_wanted = True

    def _given_up(self, answer: asyncio.Future[Any]) -> None:
        self._is_wanted = not answer.cancelled()

    def set_running_or_notify_cancel(self) -> bool:
        return self._is_wanted

    def set_result(self, result: Any) -> None:
        self._loop.call_soon(self._tell, result, None)

    def set_exception(self, error: BaseException) -> None:
        self._loop.call_soon(self._tell, None, error)

    def _tell(self, result: Any, error: BaseException | None) -> None:
        if self.answer.cancelled():
            return
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(result)


class InlineWriter(Writer):
    """The product's writer without its thread: what has arrived is drained a moment later, in one transaction, by the same code."""

    def __init__(
        self, store: Store, *, on_broken: Callable[[StoreBroken], None] | None = None, delay: random.Random
    ) -> None:
        super().__init__(store, on_broken=on_broken)
        self._delay = delay
        self._due = False
        self.dead = False

    def start(self) -> None:
        self.store.open()
        self._started.set()

    def stop(self) -> None:
        if not self.dead:
            self._drain_now()
            self._refuse_the_rest()
            self.store.close()

    async def do(self, step: Callable[[Tx], T]) -> T:
        result: T = await self._ask(Job(step, None, None, _Ticket()))
        return result

    async def do_item(self, batch: BatchStep, item: Any) -> Any:
        return await self._ask(Job(None, batch, item, _Ticket()))

    def _ask(self, job: Job) -> asyncio.Future[Any]:
        self._put(job)
        answer: asyncio.Future[Any] = job.future.answer
        return answer

    def _put(self, job: Any) -> None:
        if self.dead:
            return
        super()._put(job)
        if not self._due and self.broken is None:
            self._due = True
            loop = asyncio.get_running_loop()
            loop.call_later(self._delay.uniform(0.0, QUEUED_S_MAX), self._drain_now)

    def _drain_now(self) -> None:
        self._due = False
        jobs: list[Any] = []
        while len(jobs) < BATCH_MAX:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is not None and job.future.set_running_or_notify_cancel():
                jobs.append(job)
        if jobs:
            self._transact(jobs)
        if self.broken is not None and not self.dead:
            self._refuse_the_rest()
        elif not self._jobs.empty():
            self._drain_now()
