"""Every failure on our list is answered once: by tests that exist, one of them of its own name."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
PAGE = (TESTS.parent / "docs" / "reference" / "failures.md").read_text(encoding="utf-8")

#: The cases by section. The numbers have gaps: a case that turned out to be another one was taken out.
CASES = {
    "A": (1, 2, 4, 5, 6, 8, 9, 11, 12),
    "B": (1, 2, 3, 4, 5, 6, 9, 10, 11, 13, 15, 17, 18),
    "C": (1, 2, 5, 7, 8, 9, 10, 12),
    "D": (1, 3, 6, 7, 8, 10, 11, 12, 13, 14, 15),
    "E": (1, 2, 3, 4, 5, 6, 8),
    "F": (1, 2, 4, 5, 6, 8, 10, 11, 12, 13, 15),
    "G": (1, 3, 4, 6, 8, 9),
    "H": (1, 3, 4, 5, 6, 7),
    "I": (1, 3, 4, 5, 7, 8, 9),
    "J": (1, 2, 3, 5, 7),
}
IDS = [f"FC-{section}{number:02}" for section, numbers in CASES.items() for number in numbers]
ROWS = re.findall(r"^\| (FC-\w+) \| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)


@cache
def names_in(path: str) -> set[str]:
    """The names of the tests in a file below tests/, those in classes too."""
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_")}


def test_every_case_stands_on_the_page_once_and_in_order() -> None:
    assert [case for case, _, _ in ROWS] == IDS


@pytest.mark.parametrize("case", IDS)
def test_a_case_is_shown_by_tests_that_exist_and_one_has_its_name(case: str) -> None:
    (shown,) = [shown for name, _, shown in ROWS if name == case]
    named = re.findall(r"`(\w+/\w+\.py)::(\w+)`", shown)
    assert shown.count("`") == 2 * len(named), "every name is a file below tests/ and a test in it"
    missing = [f"{path}::{test}" for path, test in named if not (TESTS / path).exists() or test not in names_in(path)]
    assert missing == []
    own = f"test_{case.replace('-', '_')}_"
    assert any(test.startswith(own) for _, test in named), f"no test is named {own}…"


def test_a_test_named_after_a_case_is_on_the_page() -> None:
    for path in sorted(TESTS.glob("*/test_*.py")):
        name = f"{path.parent.name}/{path.name}"
        for test in sorted(names_in(name)):
            if case := re.match(r"test_FC_([A-J]\d\d)_", test):
                (shown,) = [shown for found, _, shown in ROWS if found == f"FC-{case.group(1)}"]
                assert f"`{name}::{test}`" in shown, f"{test} shows FC-{case.group(1)} and is not named there"
