"""Judges an emulator's answers by a marketplace's official OpenAPI document, where a copy of it is at hand.

In: a specification file, a schema name, an answer. Out: nothing, or an AssertionError that names the field.
Stricter than the document: a field that the schema does not know is refused too.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest


def contracts_directory() -> Path:
    """Return where the official documents lie; skip the test if they are not here."""
    beside = Path(__file__).resolve().parents[3].parent / "shared" / "contracts"
    directory = Path(os.environ.get("ONESHELF_CONTRACTS", beside))
    if not directory.is_dir():
        pytest.skip("the official specifications are not here (set ONESHELF_CONTRACTS)")
    return directory


def check_answer(specification: str, schema: str, answer: Any) -> None:
    """Assert that `answer` fits component `schema` of `specification` (a path below the contracts directory)."""
    document = _converted(str(contracts_directory() / specification))
    validator = jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{schema}", **document})
    errors = [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(answer)]
    assert errors == []


@cache
def _converted(path: str) -> dict[str, Any]:
    document = json.loads(Path(path).read_text())
    return {"components": {"schemas": _convert(document["components"]["schemas"], naming=True)}}


def _convert(node: Any, naming: bool = False) -> Any:
    """Turn OpenAPI 3.0 schemas into JSON Schema: `nullable`, and no unknown properties. `naming`: keys are names."""
    if isinstance(node, list):
        return [_convert(each) for each in node]
    if not isinstance(node, dict):
        return node
    converted = {key: _convert(value, naming=key == "properties" and not naming) for key, value in node.items()}
    if naming:
        return converted
    converted.pop("format", None)
    if isinstance(converted.get("properties"), dict) and converted["properties"]:
        converted.setdefault("additionalProperties", False)
    if converted.pop("nullable", False):
        return {"anyOf": [{"type": "null"}, converted]}
    return converted
