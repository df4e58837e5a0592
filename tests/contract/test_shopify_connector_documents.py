"""Every GraphQL document that the Shopify connector sends fits the official schemas and costs what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLSchema, get_named_type, parse, validate
from shopify_script import schema

from oneshelf.channels.shopify import documents as docs

VERSIONS = ("2026-10", "2026-07")


def official(version: str) -> GraphQLSchema:
    found = schema(version)
    if found is None:
        pytest.skip("the official schemas are not present (ONESHELF_CONTRACTS)")
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", docs.ALL, ids=lambda d: d.name)
def test_document_is_valid(document: docs.Document, version: str) -> None:
    assert [e.message for e in validate(official(version), parse(document.text))] == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("query", (docs.LEVELS_EXPORT, docs.CATALOGUE_EXPORT))
def test_export_body_is_valid_and_within_the_bulk_rules(query: str, version: str) -> None:
    assert [e.message for e in validate(official(version), parse(query))] == []
    connections = query.count("edges {")
    assert 1 <= connections <= 5  # and at most two levels below the first: nested one in the other here
    assert "node(" not in query and "nodes(" not in query


def test_a_misspelt_field_would_be_seen() -> None:
    planted = docs.ORDER.text.replace("currentQuantity", "currentQuantitty")
    assert planted != docs.ORDER.text
    assert validate(official("2026-10"), parse(planted))


@pytest.mark.parametrize("document", docs.ALL, ids=lambda d: d.name)
def test_names_are_those_of_the_operations(document: docs.Document) -> None:
    operations = [d for d in parse(document.text).definitions if d.kind == "operation_definition"]
    assert [(d.name.value, d.operation.value == "mutation") for d in operations] == [(document.name, document.writes)]


def test_every_document_that_the_connector_names_is_looked_at() -> None:
    """By the text of its modules: a document that is asked for and is not in ALL would go out unchecked."""
    folder = Path(docs.__file__).parent
    named = {name for path in folder.glob("*.py") for name in re.findall(r"\bdocs\.([A-Z][A-Z_]+)\b", path.read_text())}
    sent = {name for name in named if isinstance(getattr(docs, name), docs.Document)}
    assert len(sent) > 30
    assert [name for name in sorted(sent) if getattr(docs, name) not in docs.ALL] == []
    made_elsewhere = [
        path.name for path in folder.glob("*.py") if path.name != "documents.py" and "Document(" in path.read_text()
    ]
    assert made_elsewhere == []


def test_names_are_unique() -> None:
    names = [document.name for document in docs.ALL]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("document", docs.ALL, ids=lambda d: d.name)
def test_cost_is_the_dearest_reading_and_below_the_maximum(document: docs.Document) -> None:
    cost = dearest(official("2026-10"), document.text)
    if document.cost_each:
        assert document.cost_each == cost
        assert document.cost + document.cost_each * docs.ITEMS_A_CALL <= docs.COST_MAX
    else:
        assert document.cost == cost
    assert cost <= docs.COST_MAX


def test_items_in_one_call_stay_below_the_maximum_even_if_quantities_were_charged() -> None:
    each = 1 + 1 + 5 * (2 + len(docs.QUANTITY_NAMES))
    assert docs.ITEMS_A_CALL * each <= docs.COST_MAX


def dearest(official: GraphQLSchema, text: str) -> int:
    """An object 1, a connection or list `first` times its node (a connection 1 more), a mutation 10."""
    definitions = parse(text).definitions
    fragments = {d.name.value: d for d in definitions if d.kind == "fragment_definition"}
    operation = next(d for d in definitions if d.kind == "operation_definition")
    if operation.operation.value == "mutation":
        return 10

    def of(selection_set: Any, on: Any) -> int:
        return sum(one(selection, on) for selection in selection_set.selections)

    def one(node: Any, on: Any) -> int:
        if node.kind == "fragment_spread":
            fragment = fragments[node.name.value]
            return of(fragment.selection_set, official.type_map[fragment.type_condition.name.value])
        if node.kind == "inline_fragment":
            return of(node.selection_set, official.type_map[node.type_condition.name.value])
        if not node.selection_set or node.name.value == "pageInfo":
            return 0
        kind: Any = get_named_type(on.fields[node.name.value].type)
        first = next((int(a.value.value) for a in node.arguments or () if a.name.value == "first"), 1)
        if not kind.name.endswith("Connection"):
            return first * (1 + of(node.selection_set, kind))
        nodes = next(s for s in node.selection_set.selections if s.name.value == "nodes")
        return 1 + first * (1 + of(nodes.selection_set, get_named_type(kind.fields["nodes"].type)))

    return of(operation.selection_set, official.query_type)
