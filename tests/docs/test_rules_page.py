"""Every rule of the engine's list is shown by a test that exists, or says why it is not built."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "reference" / "rules.md"
#: How many rules each section has, and how many invariants there are.
SECTIONS = {0: 8, 1: 12, 2: 14, 3: 8, 4: 7, 5: 7, 6: 7, 7: 5, 8: 16, 9: 7, 10: 7, 11: 6, 12: 2, 14: 7}
INVARIANTS = 24


def rows() -> list[tuple[str, str, str]]:
    return re.findall(r"^\| ([\dI][\d.]*) \| (.+?) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)


def all_tests() -> set[str]:
    """The names of all tests, by their source."""
    files = (ROOT / "tests").rglob("test_*.py")
    return {
        name for file in files for name in re.findall(r"^ *(?:async )?def (test_\w+)\(", file.read_text(), re.MULTILINE)
    }


def test_every_rule_stands_on_the_page_once_and_in_order() -> None:
    wanted = [f"{section}.{rule}" for section, count in SECTIONS.items() for rule in range(1, count + 1)]
    wanted += [f"I{number}" for number in range(1, INVARIANTS + 1)]
    assert [rule for rule, _, _ in rows()] == wanted


def test_every_rule_names_tests_that_exist_or_says_why_it_is_not_built() -> None:
    known = all_tests()
    for rule, _, shown in rows():
        named = re.findall(r"`(test_\w+)`", shown)
        assert named or re.match(r"not built: \S+ \S+ \S+", shown), f"{rule} is shown by nothing"
        assert not set(named) - known, f"{rule} names {set(named) - known}"


def test_a_rule_in_a_tests_name_is_on_the_page() -> None:
    listed = {rule for rule, _, _ in rows()}
    named = {f"{s}.{r}" for name in all_tests() for s, r in re.findall(r"^test_S(\d+)_(\d+)(?:_|$)", name)}
    assert {rule for rule in named if int(rule.split(".")[0]) in SECTIONS} <= listed
