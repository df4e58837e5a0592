"""eBay's pages say what the tests show: every quirk of the connector's page, every line of the emulator's list names one that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONNECTOR = ROOT / "src" / "oneshelf" / "channels" / "ebay" / "README.md"
EMULATOR = ROOT / "src" / "oneshelf_emulator" / "ebay" / "README.md"


def named_tests() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        found |= set(re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE))
    return found


def rows(page: Path, heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    part = page.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize(
    ("page", "heading", "least"),
    [(CONNECTOR, "Quirks", 41), (EMULATOR, "What it takes to be faithful", 18)],
    ids=["connector", "emulator"],
)
def test_every_row_names_a_test_that_exists(page: Path, heading: str, least: int) -> None:
    found, known = rows(page, heading), named_tests()
    assert len(found) >= least
    for cells in found:
        named = re.findall(r"`(test_\w+)`", cells[-1])
        assert len(cells) == 3 and all(cells), cells
        assert named and not set(named) - known, f"{cells[0]}: {cells[-1]} is no test of ours"
