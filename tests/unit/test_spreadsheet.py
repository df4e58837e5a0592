"""Files as spreadsheets write them; what comes out of one may go in again, and nothing of it is a formula (F52)."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneshelf.core import spreadsheet
from oneshelf.core.spreadsheet import SheetWrong, read, whole, write

ROWS = [{"sku": "MUG", "pieces": "3"}, {"sku": "Tasse, groß", "pieces": "4"}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_way_a_spreadsheet_saves_it(encoding: str, delimiter: str, end: str) -> None:
    text = end.join(
        [f"Pieces {delimiter} SKU{delimiter}note", f"3{delimiter}MUG", "", f'4{delimiter}"Tasse, groß"{delimiter}x', ""]
    )
    sheet = read(text.encode(encoding), ["sku", "pieces"], ["location"])
    assert [row.cells for row in sheet.rows] == [{**row, "location": ""} for row in ROWS]
    assert [row.number for row in sheet.rows] == [2, 4]
    assert (sheet.delimiter, sheet.ignored, set(sheet.given)) == (delimiter, ("note",), {"sku", "pieces"})


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"sku\nMUG\n", "no column pieces; it needs sku, pieces"),
        (b"sku,pieces,sku\n", "column sku twice"),
        (b'sku,pieces\n"MUG,3\n', "line 2 can't be read"),
        (b"PK\x03\x04\x00\x00", "no text"),
        (b"sku,pieces\n\x81\x8d\n", "neither UTF-8 nor Windows"),
        (b"sku,pieces\n" + b"x" * 40_000 + b",3\n", "can't be read"),
        (b"x" * (spreadsheet.BYTES_MAX + 1), "larger than 5 MB"),
        (b"sku,pieces\n" + b"A,1\n" * (spreadsheet.ROWS_MAX + 1), "more than 50000 rows"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_is_no_table_is_refused_with_words(file: bytes, words: str) -> None:
    with pytest.raises(SheetWrong, match=words):
        read(file, ["sku", "pieces"])


CELL = st.text(alphabet=st.sampled_from("=+-@'\t\rAB,;\"\n ä1"), max_size=8).map(str.strip)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELL, CELL), max_size=4))
def test_F52_what_was_written_is_read_again_and_no_cell_is_a_formula(cells: list[tuple[str, str]]) -> None:
    text = write(["sku", "note"], [("x" + a, b) for a, b in cells])
    assert [tuple(row.cells.values()) for row in read(text, ["sku", "note"]).rows] == [("x" + a, b) for a, b in cells]
    for row in csv.reader(io.StringIO(text, newline="")):
        assert all(not cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)


def test_a_number_below_zero_stays_a_number() -> None:
    assert write(["change"], [(-3,), (None,), ("-3",)]) == 'change\r\n-3\r\n""\r\n\'-3\r\n'


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("12", 12),
        ("12.0", 12),
        ("1 200", 1200),
        ("-1", None),
        ("12.5", None),
        ("", None),
        ("1e3", None),
        ("٣", None),
        ("9" * 20, None),
    ],
)
def test_a_whole_number_of_a_cell(cell: str, number: int | None) -> None:
    assert whole(cell, 0, 10_000) == number
