"""Copies of the database, and how a start learns that it stands on one.

In: a SQLite file, also beside the service that writes it. Out: a whole, consistent copy that says of itself when it was made.
Tables it owns: the counters `copied` (in a copy: when it was made) and `restored` (when a start found that it was put back), microseconds.
Never: overwrites a file; copies the key file.

What happened after a copy was made is not in it, and the channels remember all of it. Numbers that were given out since could be given
out again, for other things: a key that is made of one would then be known to a channel already, as something else's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

from oneshelf.core.errors import Stop
from oneshelf.core.instants import SECOND

from .sqlite import SqliteStore
from .tx import LEFT_OUT, Tx

#: More numbers than any shop gives out between two copies: after a restore its counters go on behind them.
NUMBERS_LEFT_OUT = 1_000_000
#: The first tenant has no row of its own before its first account.
_MARK = (
    "INSERT INTO counter (tenant_id, name, value) SELECT tenant_id, 'copied', CAST({at} AS BIGINT) "
    "FROM (SELECT tenant_id FROM tenant UNION SELECT 1) AS everybody WHERE 1 = 1 "
    "ON CONFLICT (tenant_id, name) DO UPDATE SET value = excluded.value"
)


def back_up(url: str, target: Path, now: int) -> int:
    """Write a copy of a SQLite database to a new file, readable by its owner only; return its size in bytes. Raises Stop."""
    if not url.startswith("sqlite:///"):
        raise Stop(
            "oneshelf backup copies a SQLite file; this shelf lies in PostgreSQL. Use pg_dump (or your provider's backups), and after "
            "putting one back: oneshelf restored, before the service starts."
        )
    source = Path(url.removeprefix("sqlite:///"))
    if not source.exists():
        raise Stop(f"There is no shelf at {source} yet.")
    part = target.with_name(f"{target.name}.part")
    try:
        if target.exists():
            raise Stop(f"{target} is there already. Name another file: a backup is never written over another.")
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        _copy(source, part, now)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        os.rename(part, target)
    except OSError as error:
        raise Stop(f"{target} can't be written: {error.strerror}.") from error
    except sqlite3.Error as error:
        raise Stop(f"{source} could not be copied to {target}: {error}.") from error
    finally:
        part.unlink(missing_ok=True)
    return target.stat().st_size


def _copy(source: Path, part: Path, now: int) -> None:
    """One read of the file as it is at one commit: writers are not kept waiting by it."""
    reading = SqliteStore(str(source)).open_for_reading()
    with contextlib.closing(reading), contextlib.closing(sqlite3.connect(part, isolation_level=None)) as copy:
        reading.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a WAL beside it
        copy.execute(_MARK.format(at="?"), (now,))
        found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise Stop(f"{source} is damaged ({found}); no backup was written. Put the newest backup in its place.")


def put_back(url: str, copy: Path, now: int) -> tuple[int, Path | None]:
    """Put a copy that `back_up` made in the place of the database of a stopped service. Returns when it was made (microseconds), and where
    the database that was there is kept now. Raises Stop, and nothing was changed."""
    if not url.startswith("sqlite:///"):
        raise Stop("This shelf lies in PostgreSQL. Put it back with pg_restore, then: oneshelf restored.")
    made_at = _made_at(copy)
    store = SqliteStore(url.removeprefix("sqlite:///"))
    part, kept = store.path.with_name(f"{store.path.name}.part"), None
    try:
        with store.locked():
            part.unlink(missing_ok=True)
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            shutil.copyfile(copy, part)
            with part.open("rb") as written:
                os.fsync(written.fileno())
            if store.path.exists():
                kept = store.path.with_name(f"{store.path.name}.before-{now // SECOND}")
                for beside in ("-wal", "-shm"):  # what was committed and not folded in yet goes with its file
                    there = store.path.with_name(store.path.name + beside)
                    if there.exists():
                        os.rename(there, kept.with_name(kept.name + beside))
                os.rename(store.path, kept)
            os.rename(part, store.path)
    except OSError as error:
        raise Stop(
            f"{store.path} can't be put back: {error.strerror}. Check the folder, its rights and its room."
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return made_at, kept


def _made_at(copy: Path) -> int:
    """Return when a copy was made. Raises Stop for a file that is none, or a damaged one."""
    if not copy.is_file():
        raise Stop(f"There is no file {copy}.")
    try:
        with contextlib.closing(SqliteStore(str(copy)).open_for_reading()) as reading:
            found = reading.execute("PRAGMA quick_check(1)").fetchone()[0]
            row = reading.execute("SELECT MIN(value) FROM counter WHERE name = 'copied'").fetchone()
    except sqlite3.Error as error:
        raise Stop(f"{copy} is no backup of a shelf, or a damaged one ({error}). Nothing was changed.") from error
    if found != "ok":
        raise Stop(f"{copy} is damaged ({found}). Take an older one; nothing was changed.")
    if row[0] is None:
        raise Stop(f"{copy} was not made by oneshelf backup. Put it in place yourself, then: oneshelf restored.")
    return int(row[0])


def mark_restored(tx: Tx, now: int) -> None:
    """Say that this database was put back from a copy that does not say so itself; the next start acts on it."""
    tx.run(_MARK.format(at=":now"), now=now)


def take_mark(tx: Tx, tenant_id: int, now: int) -> int | None:
    """At a start: return when the copy was made that this database is (microseconds), once; None if it is none. Counters go on beyond
    whatever was given out since."""
    row = tx.one("SELECT value FROM counter WHERE tenant_id = :t AND name = 'copied'", t=tenant_id)
    if row is None:
        return None
    tx.run("DELETE FROM counter WHERE tenant_id = :t AND name = 'copied'", t=tenant_id)
    for name in (LEFT_OUT, "restored"):
        tx.run(
            "INSERT INTO counter (tenant_id, name, value) VALUES (:t, :n, 0) ON CONFLICT (tenant_id, name) DO NOTHING",
            t=tenant_id,
            n=name,
        )
    tx.run("UPDATE counter SET value = value + :n WHERE tenant_id = :t", n=NUMBERS_LEFT_OUT, t=tenant_id)
    tx.run(
        "UPDATE counter SET value = :now WHERE tenant_id = :t AND name = 'restored'",
        t=tenant_id,
        now=now,
    )
    return int(row[0])


def restored_at(tx: Tx, tenant_id: int) -> int | None:
    """Return when a start last found that a copy had been put back (microseconds); None: never."""
    row = tx.one("SELECT value FROM counter WHERE tenant_id = :t AND name = 'restored'", t=tenant_id)
    return None if row is None else int(row[0])
