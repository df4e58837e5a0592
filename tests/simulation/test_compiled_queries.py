"""The emulated shop's short way of executing queries says, byte for byte, what graphql-core says."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from graphql import execute_sync

from oneshelf_emulator.shopify import Shopify, graphql_api
from oneshelf_emulator.world import World
from oneshelf_simulator.options import draw
from oneshelf_simulator.world import play


def test_every_query_of_the_product_is_answered_alike_on_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Counter[str] = Counter()

    def both(self: Any, document: Any, operation: Any, variables: dict[str, Any], context: Any) -> Any:
        name = operation.name.value
        query = graphql_api.compiled(self.schema, operation, document.fragments)
        data = None if query is None else query.read(variables, context)
        warned, context.search[:] = list(context.search), []
        slow = execute_sync(
            self.schema, document.ast, context_value=context, variable_values=variables, operation_name=name
        )
        if query is not None:
            assert slow.errors is None and json.dumps(data) == json.dumps(slow.data), name
            assert warned == context.search, name
            asked[name] += 1
        return slow

    monkeypatch.setattr(graphql_api.Api, "_execute", both)
    report = play(draw(7, "calm", 0.02))
    assert report.breach is None and report.sales > 0
    assert len(asked) >= 8 and asked["OrdersChanged"] > 10


def test_what_does_not_go_well_is_left_to_graphql_core() -> None:
    api = Shopify(World(seed=1)).api
    for text in (
        "{ shop { name @skip(if: false) } }",
        '{ order(id: "nonsense") { id } }',
        "{ __schema { types { name } } }",
    ):
        document = graphql_api._document(text)
        query = graphql_api.compiled(api.schema, api._operation(document, None), document.fragments)
        assert query is not None
        assert query.read({}, graphql_api.Context(frozenset(), "r")) is None, text
