"""Tables as CSV, for people and their spreadsheets. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

#: What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV with a heading. A text that a spreadsheet would take for a formula gets a leading apostrophe."""
    out = io.StringIO()
    write = csv.writer(out)
    write.writerow(columns)
    for row in rows:
        write.writerow([_plain(str(cell)) for cell in row])
    return out.getvalue()


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def rows_of(text: str, needed: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Give each row of a CSV file as (row number, {column: cell}); the heading is row 1. Cells come without the blanks around them and
    the apostrophe before a formula. Raises ValueError naming a needed column that is not there."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    missing = [name for name in needed if name not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"the file needs the column{'s' if len(missing) > 1 else ''} {' and '.join(missing)}")
    for number, row in enumerate(reader, 2):
        yield number, {name: _cell(cell) for name, cell in row.items() if isinstance(name, str)}


def _cell(cell: object) -> str:
    text = cell.strip() if isinstance(cell, str) else ""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text
