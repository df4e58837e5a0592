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
import sqlite3
from pathlib import Path

from oneshelf.core.errors import Stop

from .sqlite import SqliteStore
from .tx import Tx

#: More numbers than any shop gives out between two copies: after a restore its counters go on behind them.
NUMBERS_LEFT_OUT = 1_000_000
_MARK = (
    "INSERT INTO counter (tenant_id, name, value) SELECT tenant_id, 'copied', CAST({at} AS BIGINT) FROM tenant WHERE 1 = 1 "
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
    tx.run(
        "UPDATE counter SET value = value + :n WHERE tenant_id = :t AND name <> 'restored'",
        n=NUMBERS_LEFT_OUT,
        t=tenant_id,
    )
    tx.run(
        "INSERT INTO counter (tenant_id, name, value) VALUES (:t, 'restored', :now) "
        "ON CONFLICT (tenant_id, name) DO UPDATE SET value = excluded.value",
        t=tenant_id,
        now=now,
    )
    return int(row[0])


def restored_at(tx: Tx, tenant_id: int) -> int | None:
    """Return when a start last found that a copy had been put back (microseconds); None: never."""
    row = tx.one("SELECT value FROM counter WHERE tenant_id = :t AND name = 'restored'", t=tenant_id)
    return None if row is None else int(row[0])
