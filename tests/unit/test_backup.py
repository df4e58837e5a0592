"""A copy of the shelf, beside a running writer, and putting it back: whole, never over another file, in words where it can't be done (F11)."""

from __future__ import annotations

import json
import sqlite3
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from oneshelf.cli import app
from oneshelf.core.errors import Stop
from oneshelf.core.instants import SECOND
from oneshelf.db.backup import back_up, mark_restored, put_back, restored_at, take_mark
from oneshelf.db.sqlite import SqliteStore
from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import next_values

NOW = 1_795_000_000 * SECOND


@pytest.fixture
def shelf(sqlite_migrated: Path, tmp_path: Path) -> SqliteStore:
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "oneshelf.db"
    path.write_bytes(sqlite_migrated.read_bytes())
    return SqliteStore(str(path))


def add(store: SqliteStore, value: int) -> None:
    with transaction(store) as tx:
        tx.run("INSERT INTO counter (tenant_id, name, value) VALUES (1, :n, :v)", n=f"row-{value}", v=value)


def rows(path: Path) -> list[int]:
    with sqlite3.connect(path) as connection:
        return [row[0] for row in connection.execute("SELECT value FROM counter WHERE name LIKE 'row-%' ORDER BY 1")]


def test_a_copy_is_made_beside_an_open_writer_of_what_is_committed(shelf: SqliteStore, tmp_path: Path) -> None:
    shelf.open()
    add(shelf, 1)
    tx = shelf.begin()  # a transaction under way: it keeps nobody waiting, and is not in the copy
    tx.run("INSERT INTO counter (tenant_id, name, value) VALUES (1, 'row-2', 2)")
    size = back_up(shelf.url, tmp_path / "copy.db", NOW)
    shelf.commit()
    assert (rows(tmp_path / "copy.db"), rows(shelf.path)) == ([1], [1, 2])
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    assert sorted(one.name for one in tmp_path.iterdir()) == ["copy.db", "data"] and size > 0
    shelf.close()


def test_copies_made_under_load_are_each_of_one_commit(shelf: SqliteStore, tmp_path: Path) -> None:
    shelf.open()
    ends = threading.Event()

    def write() -> None:
        value = 0
        while not ends.is_set():
            with transaction(shelf) as tx:
                for _ in range(2):  # two rows a commit: an odd count would be half of one
                    value += 1
                    tx.run("INSERT INTO counter (tenant_id, name, value) VALUES (1, :n, :v)", n=f"row-{value}", v=value)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(10):
            back_up(shelf.url, tmp_path / f"{number}.db", NOW)
    finally:
        ends.set()
        writer.join()
    shelf.close()
    counts = [len(rows(tmp_path / f"{number}.db")) for number in range(10)]
    assert [count % 2 for count in counts] == [0] * 10 and counts == sorted(counts) and counts[-1] > counts[0]


def test_what_was_there_is_kept_and_the_copy_takes_its_place(shelf: SqliteStore, tmp_path: Path) -> None:
    shelf.open()
    add(shelf, 1)
    back_up(shelf.url, tmp_path / "copy.db", NOW)
    add(shelf, 2)
    shelf.connection.execute("PRAGMA wal_checkpoint")  # its WAL stays beside it, as a kill leaves it
    with pytest.raises(Stop, match="Another process writes"):
        put_back(shelf.url, tmp_path / "copy.db", NOW)
    shelf.close()
    made_at, kept = put_back(shelf.url, tmp_path / "copy.db", NOW + 7 * SECOND)
    assert made_at == NOW and kept is not None and kept.name == f"oneshelf.db.before-{NOW // SECOND + 7}"
    assert (rows(shelf.path), rows(kept), rows(tmp_path / "copy.db")) == ([1], [1, 2], [1])


def test_what_a_killed_process_left_beside_its_file_goes_with_it(shelf: SqliteStore, tmp_path: Path) -> None:
    shelf.open()
    back_up(shelf.url, tmp_path / "copy.db", NOW)
    add(shelf, 2)
    beside = {name: shelf.path.with_name(shelf.path.name + name).read_bytes() for name in ("-wal",)}
    shelf.close()
    for name, content in beside.items():
        shelf.path.with_name(shelf.path.name + name).write_bytes(content)
    _, kept = put_back(shelf.url, tmp_path / "copy.db", NOW)
    assert kept is not None and kept.with_name(kept.name + "-wal").exists()
    assert not shelf.path.with_name(shelf.path.name + "-wal").exists()
    shelf.open()
    shelf.close()
    assert rows(shelf.path) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no backup of a shelf"),
        (b"not a database at all" * 50, "no backup of a shelf"),
        (None, "There is no file"),
    ],
)
def test_what_is_no_backup_is_refused_and_nothing_is_changed(
    shelf: SqliteStore, tmp_path: Path, content: bytes | None, words: str
) -> None:
    before = shelf.path.read_bytes()
    if content is not None:
        (tmp_path / "copy.db").write_bytes(content)
    with pytest.raises(Stop, match=words):
        put_back(shelf.url, tmp_path / "copy.db", NOW)
    assert shelf.path.read_bytes() == before and [one.name for one in shelf.path.parent.iterdir()] == ["oneshelf.db"]


def test_a_plain_copy_of_the_file_is_refused_with_what_to_do(shelf: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_bytes(shelf.path.read_bytes())
    with pytest.raises(Stop, match="oneshelf restored"):
        put_back(shelf.url, tmp_path / "copy.db", NOW)


def test_a_backup_is_never_written_over_another_file_and_none_is_left_half(shelf: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("mine")
    with pytest.raises(Stop, match="Name another file"):
        back_up(shelf.url, tmp_path / "copy.db", NOW)
    assert (tmp_path / "copy.db").read_text() == "mine"
    shelf.path.write_bytes(b"x" * 4096)
    with pytest.raises(Stop, match="could not be copied"):
        back_up(shelf.url, tmp_path / "other.db", NOW)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["copy.db", "data"]


@pytest.mark.parametrize("do", [back_up, put_back])
def test_PostgreSQL_has_its_own_tools(do: Any, tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"pg_\w+.*oneshelf restored"):
        do("postgresql://user@host/shelf", tmp_path / "copy.db", NOW)


def test_a_counter_that_begins_after_a_restore_begins_behind_what_may_have_been_given_out(store: Store) -> None:
    with transaction(store) as tx:
        next_values(tx, 1, "intent", 5)
        mark_restored(tx, NOW)
        assert take_mark(tx, 1, NOW) == NOW
        assert [next_values(tx, 1, name)[0] for name in ("intent", "count")] == [1_000_006, 1_000_001]
        assert restored_at(tx, 1) == NOW and restored_at(tx, 2) is None


# --- the commands --------------------------------------------------------------------------------------------------------------


def command(*words: str) -> tuple[int, Any]:
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exception is None or isinstance(done.exception, (SystemExit, Stop)), done.exception
    return (done.exit_code, json.loads(done.stdout)) if done.exit_code == 0 else (done.exit_code, done.exception)


def test_the_commands_copy_put_back_and_mark(
    shelf: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONESHELF_DATA_DIR", str(shelf.path.parent))
    file = tmp_path / "copy.db"
    code, made = command("backup", str(file))
    assert code == 0 and made["bytes"] == file.stat().st_size and made["key_file"].endswith("oneshelf.key")
    code, again = command("backup", str(file))
    assert code == 1 and "Name another file" in str(again)  # `main` says a Stop in a line and ends with 2
    code, put = command("restore", str(file))
    assert code == 0 and put["made_at"] == made["made_at"] and Path(put["kept"]).exists()
    assert command("restored") == (0, {"marked": True})
