"""What a query costs: asked for before it runs, and really used after.

Scalars and enums 0, an object 1, a mutation 10, a connection its page size times its node, of which a share is
charged. The exact formula for connections is not published any more [U]: switch connection_cost_share.
Source: contracts sheet shopify section 4 [D 10]; Shopify docs "rate limits".
"""

from __future__ import annotations

import math
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_leaf_type,
)

MUTATION_COST = 10
QUERY_COST_MAX = 1000


class Meter:
    """Prices one operation with its variables."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: dict[str, FragmentDefinitionNode],
        variables: dict[str, Any],
        share: float,
    ) -> None:
        self.schema = schema
        self.fragments = fragments
        self.variables = variables
        self.share = share

    def price(self, operation: OperationDefinitionNode, data: dict[str, Any] | None = None) -> int:
        """Return the points of an operation: as requested, or for the `data` it brought."""
        if operation.operation is OperationType.MUTATION:
            return MUTATION_COST * sum(isinstance(s, FieldNode) for s in operation.selection_set.selections)
        root = self.schema.query_type
        assert root is not None
        return math.ceil(self._selections(operation.selection_set, root, data) - 1e-9)

    def _selections(self, selections: SelectionSetNode, parent: Any, data: Any) -> float:
        """Sum the fields; of fragments on different types only the dearest counts."""
        total, dearest = 0.0, 0.0
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                total += self._field(selection, parent, data)
                continue
            if isinstance(selection, FragmentSpreadNode):
                fragment: Any = self.fragments[selection.name.value]
            else:
                fragment = selection
                assert isinstance(selection, InlineFragmentNode)
            on = fragment.type_condition
            kind = self.schema.type_map[on.name.value] if on else parent
            cost = self._selections(fragment.selection_set, kind, data)
            if kind is parent:
                total += cost
            else:
                dearest = max(dearest, cost)
        return total + dearest

    def _field(self, field: FieldNode, parent: Any, data: Any) -> float:
        definition = getattr(parent, "fields", {}).get(field.name.value)
        if definition is None or field.selection_set is None:
            return 0.0
        kind = get_named_type(definition.type)
        if is_leaf_type(kind) or kind.name == "PageInfo":
            return 0.0
        known = data is not None
        value = data.get(field.alias.value if field.alias else field.name.value) if isinstance(data, dict) else None
        if known and value is None:
            return 0.0
        if kind.name.endswith("Connection"):
            return self._connection(field, kind, value, known)
        if isinstance(value, list):
            parts = sum(1 + self._selections(field.selection_set, kind, each) for each in value if each is not None)
            sized = field.name.value == "nodes" or "first" in definition.args
            return self.share * parts if sized else parts
        one = 1 + self._selections(field.selection_set, kind, value)
        if "first" in definition.args and not known:  # a plain list with a size: refunds(first: 20)
            return self.share * one * max(1, self._number(field, "first"))
        if field.name.value == "nodes":
            return self.share * one * self._count_of(field, "ids")
        return one

    def _connection(self, field: FieldNode, kind: Any, value: Any, known: bool) -> float:
        assert field.selection_set is not None
        size = max(self._number(field, "first"), self._number(field, "last"))
        total = 1.0
        for part in field.selection_set.selections:
            if not isinstance(part, FieldNode) or part.selection_set is None or part.name.value == "pageInfo":
                continue
            holder, node_type = part, get_named_type(kind.fields[part.name.value].type)
            wraps = [part]
            if part.name.value == "edges":
                wraps = [s for s in part.selection_set.selections if isinstance(s, FieldNode) and s.selection_set]
                node_type = get_named_type(node_type.fields["node"].type)
            for node in wraps:
                assert node.selection_set is not None and isinstance(node_type, GraphQLObjectType)
                if not known:
                    total += self.share * size * (1 + self._selections(node.selection_set, node_type, None))
                    continue
                rows = value.get(holder.alias.value if holder.alias else holder.name.value) or []
                key = node.alias.value if node.alias else node.name.value
                found = [row.get(key) for row in rows] if holder is not node else rows
                total += sum(
                    self.share * (1 + self._selections(node.selection_set, node_type, each)) for each in found if each
                )
        return total

    def _argument(self, field: FieldNode, name: str) -> Any:
        return next((argument.value for argument in field.arguments or () if argument.name.value == name), None)

    def _number(self, field: FieldNode, name: str) -> int:
        value = self._argument(field, name)
        if isinstance(value, IntValueNode):
            return int(value.value)
        if isinstance(value, VariableNode):
            given = self.variables.get(value.name.value)
            return given if isinstance(given, int) else 0
        return 0

    def _count_of(self, field: FieldNode, name: str) -> int:
        value = self._argument(field, name)
        if isinstance(value, ListValueNode):
            return len(value.values)
        given = self.variables.get(value.name.value) if isinstance(value, VariableNode) else None
        return len(given) if isinstance(given, list) else 1
