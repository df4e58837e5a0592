"""Tells SQLite how its columns spread, once, at opening: without statistics it takes `tenant_id = ?` for a handful of rows.

ANALYZE would measure the present, which for a new or quiet file says the opposite of the rush to come. What is written here is the
shape that a full shelf has: one tenant's rows are nearly all of a table, an account's a quarter, a state's a tenth, an id's a few.
Source: the form of sqlite_stat1 in https://www.sqlite.org/fileformat2.html#stat1tab.
"""

from __future__ import annotations

import sqlite3

#: As if every table had so many rows.
ROWS = 1_000_000
FEW = 10
_PART_OF_ROWS = {
    "account_id": 4,
    "state": 10,
    "closed_at": 10,
    "wanted": 10,
    "open": 10,
    "kind": 10,
}


def write_statistics(connection: sqlite3.Connection) -> None:
    """Replace the planner's statistics by the expected ones. Writes only if they differ: after a migration, not at every start."""
    wanted = _wanted(connection)
    if _stored(connection) == wanted:
        return  # SQLite read them when it opened the file
    connection.execute("ANALYZE sqlite_schema")  # makes the table
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM sqlite_stat1")
    connection.executemany("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", sorted(wanted))
    connection.execute("COMMIT")
    connection.execute("ANALYZE sqlite_schema")  # read them now


def _stored(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'").fetchone()
    return set(connection.execute("SELECT tbl, idx, stat FROM sqlite_stat1").fetchall()) if made else set()


def _wanted(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'alembic_version'"
    ).fetchall()
    wanted = set()
    for (table,) in tables:
        for _, index, unique, *_ in connection.execute(f"PRAGMA index_list({table})").fetchall():
            columns = [row[2] for row in connection.execute(f"PRAGMA index_info({index})").fetchall()]
            if columns and columns[0] == "tenant_id":
                wanted.add((table, index, _spread(columns, bool(unique))))
    return wanted


def _spread(columns: list[str], unique: bool) -> str:
    """How many rows share the first column, the first two, and so on."""
    left, spread = ROWS, [ROWS]
    for place, column in enumerate(columns):
        if place > 0:
            left = max(1, left // _PART_OF_ROWS[column]) if column in _PART_OF_ROWS else min(left, FEW)
        if unique and place == len(columns) - 1:
            left = 1
        spread.append(left)
    return " ".join(map(str, [ROWS, *spread[1:]]))
