"""CSV as spreadsheets read and write it: a text that a spreadsheet would take for a formula gets a leading apostrophe, and loses it again."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV with a heading; None is an empty cell."""
    out = io.StringIO()
    write = csv.writer(out)
    write.writerow(columns)
    for row in rows:
        write.writerow(["" if cell is None else _plain(str(cell)) for cell in row])
    return out.getvalue()


def read_csv(text: str, needed: Iterable[str]) -> tuple[list[tuple[int, dict[str, str]]], str]:
    """Return [(row number, its cells by column)] and what is wrong with the heading ("" if nothing). The heading is row 1."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    missing = [column for column in needed if column not in (reader.fieldnames or ())]
    if missing:
        return [], f"the file needs the column{'s' if len(missing) > 1 else ''} {' and '.join(missing)}"
    found = []
    for number, row in enumerate(reader, 2):
        found.append(
            (
                number,
                {str(name): _bare((cell or "").strip()) for name, cell in row.items() if isinstance(cell, str | None)},
            )
        )
    return found, ""


def _plain(cell: str) -> str:
    return f"'{cell}" if cell[:1] in _FORMULAS else cell


def _bare(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _FORMULAS else cell
