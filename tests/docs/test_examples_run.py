"""Examples in docstrings are run: what they show is what comes out."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import oneshelf

TOP = Path(oneshelf.__file__).parent
WITH_EXAMPLES = sorted(
    ".".join(["oneshelf", *path.relative_to(TOP).with_suffix("").parts])
    for path in TOP.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
