"""CSV as spreadsheets write and read it: encodings, delimiters, formulas. Pure.

In: a file's bytes; rows to write. Out: rows with their numbers, or what is wrong with the file; text.
Never: gives a spreadsheet a text that it would carry out as a formula; guesses silently (`Sheet.encoding` says what was taken).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import msgspec

#: Largest file that is read, bytes, and most rows of it.
BYTES_MAX = 5 * 1024 * 1024
ROWS_MAX = 50_000
#: Longest cell, characters: what a spreadsheet holds itself.
CELL_MAX = 32_767
DELIMITERS = ",;\t"
#: A cell that begins with one of these may be carried out when the file is opened (S: OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class SheetWrong(ValueError):
    """The file can't be read as a table at all."""


class SheetRow(msgspec.Struct, frozen=True):
    """One row. `number` as a spreadsheet counts, the heading is 1; `cells`: every column asked for, "" where it is empty."""

    number: int
    cells: dict[str, str]


class Sheet(msgspec.Struct, frozen=True):
    """A file. `given`: which columns it has, of those asked for; `ignored`: its other columns."""

    rows: list[SheetRow]
    given: tuple[str, ...]
    ignored: tuple[str, ...]
    encoding: str
    delimiter: str


def read(file: bytes | str, needed: Sequence[str], optional: Sequence[str] = ()) -> Sheet:
    """Read a CSV file whose first row names its columns, in any order and case. Empty rows are skipped.

    Raises SheetWrong: too large, no text, no such columns, a broken quote.
    """
    text, encoding = (file.removeprefix("\ufeff"), "utf-8") if isinstance(file, str) else decoded(file)
    if len(text) > BYTES_MAX:
        raise SheetWrong(f"the file is larger than {BYTES_MAX // 1024 // 1024} MB: cut it into parts")
    if "\0" in text:
        raise SheetWrong("the file is no text: save it as CSV")
    heading = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=heading.count)
    csv.field_size_limit(CELL_MAX)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = _rows(reader)
    except csv.Error as error:
        raise SheetWrong(f"line {reader.line_num} can't be read: {error}") from None
    if not rows:
        raise SheetWrong("the file is empty")
    (_, names), *others = rows
    names = [name.strip().lower() for name in names]
    wanted = (*needed, *optional)
    twice = sorted({name for name in names if name in wanted and names.count(name) > 1})
    missing = [name for name in needed if name not in names]
    if missing or twice:
        what = f"has no column {', '.join(missing)}" if missing else f"has the column {', '.join(twice)} twice"
        raise SheetWrong(f"the file {what}; it needs {', '.join(needed)}")
    place = {name: names.index(name) for name in wanted if name in names}
    made = [
        SheetRow(
            number,
            {name: plain(cells[at]) if (at := place.get(name, -1)) in range(len(cells)) else "" for name in wanted},
        )
        for number, cells in others
    ]
    return Sheet(made, tuple(place), tuple(name for name in names if name and name not in place), encoding, delimiter)


def decoded(file: bytes) -> tuple[str, str]:
    """Return a file's text and its encoding. Raises SheetWrong."""
    if len(file) > BYTES_MAX:
        raise SheetWrong(f"the file is larger than {BYTES_MAX // 1024 // 1024} MB: cut it into parts")
    marked = next((encoding for bom, encoding in _BOMS if file.startswith(bom)), None)
    for encoding in (marked,) if marked else ("utf-8", "cp1252"):
        try:
            return file.decode(encoding).removeprefix("\ufeff"), encoding.removesuffix("-sig")
        except UnicodeDecodeError:
            continue
    raise SheetWrong("the file is neither UTF-8 nor Windows text: save it as CSV UTF-8")


def _rows(reader: Iterable[list[str]]) -> list[tuple[int, list[str]]]:
    rows: list[tuple[int, list[str]]] = []
    for number, cells in enumerate(reader, 1):
        if len(rows) > ROWS_MAX:
            raise SheetWrong(f"the file has more than {ROWS_MAX} rows: cut it into parts")
        if any(cell.strip() for cell in cells):
            rows.append((number, cells))
    return rows


def plain(cell: str) -> str:
    """Return a cell as it was before `write` made it harmless, without blanks around it.

    >>> plain("'=A1"), plain(" 'tis "), plain("''=A1")
    ('=A1', "'tis", "'=A1")
    """
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and cell[1:2] in ("'", *_FORMULA) else cell


def harmless(text: str) -> str:
    """Return a text that no spreadsheet carries out; `plain` takes it back.

    >>> harmless("=A1"), harmless("MUG")
    ("'=A1", 'MUG')
    """
    dangerous = text[:1] in _FORMULA or (text[:1] == "'" and text[1:2] in ("'", *_FORMULA))
    return f"'{text}" if dangerous else text


def write(columns: Sequence[str], rows: Iterable[Sequence[str | int | None]]) -> str:
    """Return rows as CSV with a heading. None is an empty cell; numbers stay numbers, below 0 too."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if cell is None else cell if isinstance(cell, int) else harmless(cell) for cell in row])
    return out.getvalue()


def whole(cell: str, low: int, high: int) -> int | None:
    """Return a cell's whole number within the bounds, or None: "12", "12.0" as spreadsheets write it, "1 200"."""
    text = cell.replace("\u00a0", "").replace(" ", "")
    head, _, tail = text.partition(".")
    digits = head.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 15 or tail.strip("0"):
        return None
    value = int(head)
    return value if low <= value <= high else None
