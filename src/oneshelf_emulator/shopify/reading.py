"""Queries that go well, executed without graphql-core's machinery for each field: half of what the emulated shop cost.

A document is compiled once into the fields that each type is asked for. What does not go well (an error, a null where none may be, a
directive, introspection) is left to graphql-core: `read` gives None and nothing has been answered. Reads change nothing, so a query may
be begun twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLAbstractType,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Undefined,
    VariableNode,
    is_abstract_type,
    is_leaf_type,
)
from graphql.execution.values import get_argument_values, get_variable_values
from graphql.pyutils import Path

Complete = Callable[["Run", Any, Path | None], Any]


class NotWell(Exception):
    """Graphql-core has to say what is wrong with this query."""


class Info:
    """What resolvers look at."""

    __slots__ = ("context", "field_name", "field_nodes", "path", "schema", "variable_values")

    def __init__(self, run: Run, field: Field, path: Path) -> None:
        self.context = run.context
        self.field_name = field.name
        self.field_nodes = field.nodes
        self.path = path
        self.schema = run.schema
        self.variable_values = run.variables.coerced if run.variables is not None else {}


class Field:
    """One field of one type, as a document asks for it."""

    __slots__ = ("attribute", "complete", "definition", "given", "is_leaf", "key", "name", "nodes", "resolve")

    is_leaf: bool

    def __init__(self, key: str, nodes: list[FieldNode], definition: GraphQLField, complete: Complete) -> None:
        self.key = key
        self.nodes = nodes
        self.name = nodes[0].name.value
        self.definition = definition
        self.complete = complete
        self.resolve = definition.resolve
        self.attribute: str | None = getattr(self.resolve, "attribute", None)
        #: Arguments that no variable changes; None: they are worked out at each run.
        self.given: dict[str, Any] | None = {}
        if definition.args:
            varies = any(_has_variable(argument.value) for argument in nodes[0].arguments or ())
            self.given = None if varies else get_argument_values(definition, nodes[0], None)


class Run:
    """One execution."""

    def __init__(self, schema: GraphQLSchema, variables: Any, context: Any) -> None:
        self.schema = schema
        self.variables = variables
        self.context = context


class Query:
    """A query operation of a document, compiled as far as it was needed."""

    def __init__(
        self, schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
    ) -> None:
        self.schema = schema
        self.operation = operation
        self.fragments = fragments
        root = schema.query_type
        assert root is not None
        self._root = self._object(root, [operation.selection_set])

    def read(self, given: dict[str, Any], context: Any) -> dict[str, Any] | None:
        """Return the data; None: ask graphql-core."""
        variables = get_variable_values(self.schema, self.operation.variable_definitions or (), given)
        if isinstance(variables, list):
            return None
        try:
            found: dict[str, Any] = self._root(Run(self.schema, variables, context), None, None)
        except Exception:  # whatever it was: graphql-core meets it again and says it in its words
            return None
        return found

    # --- compiling -------------------------------------------------------------------------------------------------------

    def _complete(self, kind: Any, sets: list[SelectionSetNode]) -> Complete:
        if isinstance(kind, GraphQLNonNull):
            inner = self._complete(kind.of_type, sets)

            def some(run: Run, value: Any, path: Path | None) -> Any:
                found = inner(run, value, path)
                if found is None:
                    raise NotWell
                return found

            return some
        if isinstance(kind, GraphQLList):
            each = self._complete(kind.of_type, sets)

            def many(run: Run, value: Any, path: Path | None) -> Any:
                if value is None:
                    return None
                if isinstance(value, str | dict):
                    raise NotWell
                return [each(run, one, Path(path, at, None)) for at, one in enumerate(value)]

            return many
        if is_leaf_type(kind):
            serialize = kind.coerce_output_value

            def leaf(run: Run, value: Any, path: Path | None) -> Any:
                if value is None:
                    return None
                found = serialize(value)
                if found is None or found is Undefined:
                    raise NotWell
                return found

            return leaf
        if is_abstract_type(kind):
            return self._abstract(kind, sets)
        return self._object(kind, sets)

    def _abstract(self, kind: GraphQLAbstractType, sets: list[SelectionSetNode]) -> Complete:
        known: dict[str, Complete] = {}

        def one_of(run: Run, value: Any, path: Path | None) -> Any:
            if value is None:
                return None
            name = kind.resolve_type(value, None, kind)  # type: ignore[misc, arg-type]
            if not isinstance(name, str):
                raise NotWell
            if name not in known:
                concrete = self.schema.get_type(name)
                if not isinstance(concrete, GraphQLObjectType):
                    raise NotWell
                known[name] = self._object(concrete, sets)
            return known[name](run, value, path)

        return one_of

    def _object(self, kind: GraphQLObjectType, sets: list[SelectionSetNode]) -> Complete:
        fields: list[Field | str] | None = None
        is_root = kind is self.schema.query_type

        def one(run: Run, value: Any, path: Path | None) -> Any:
            nonlocal fields
            if value is None and not is_root:
                return None
            if isinstance(value, Exception):
                raise value
            if fields is None:  # a type may hold itself: its fields are compiled when one is met
                fields = self._fields(kind, sets)
            found: dict[str, Any] = {}
            for field in fields:
                if isinstance(field, str):
                    found[field] = kind.name
                    continue
                attribute = field.attribute
                if attribute is not None and not field.definition.args:
                    result = value.get(field.name) if type(value) is dict else getattr(value, attribute)
                    below = path if field.is_leaf else Path(path, field.key, kind.name)
                else:
                    given = field.given
                    if given is None:
                        given = get_argument_values(field.definition, field.nodes[0], run.variables)
                    below = Path(path, field.key, kind.name)
                    result = field.resolve(value, Info(run, field, below), **given)  # type: ignore[misc]
                found[field.key] = field.complete(run, result, below)
            return found

        return one

    def _fields(self, kind: GraphQLObjectType, sets: Iterable[SelectionSetNode]) -> list[Field | str]:
        asked: dict[str, list[FieldNode]] = {}
        for selections in sets:
            self._collect(kind, selections, asked)
        fields: list[Field | str] = []
        for key, nodes in asked.items():
            name = nodes[0].name.value
            if name == "__typename":
                fields.append(key)
                continue
            definition = kind.fields[name]
            below = [node.selection_set for node in nodes if node.selection_set is not None]
            field = Field(key, nodes, definition, self._complete(definition.type, below))
            field.is_leaf = not below
            fields.append(field)
        return fields

    def _collect(
        self, kind: GraphQLObjectType, selections: SelectionSetNode, asked: dict[str, list[FieldNode]]
    ) -> None:
        for selection in selections.selections:
            if selection.directives:
                raise NotWell
            if isinstance(selection, FieldNode):
                key = selection.alias.value if selection.alias else selection.name.value
                asked.setdefault(key, []).append(selection)
                continue
            if isinstance(selection, FragmentSpreadNode):
                fragment: Any = self.fragments[selection.name.value]
            else:
                assert isinstance(selection, InlineFragmentNode)
                fragment = selection
            if self._fits(kind, fragment.type_condition):
                self._collect(kind, fragment.selection_set, asked)

    def _fits(self, kind: GraphQLObjectType, condition: Any) -> bool:
        if condition is None or condition.name.value == kind.name:
            return True
        wanted = self.schema.get_type(condition.name.value)
        return is_abstract_type(wanted) and self.schema.is_sub_type(wanted, kind)


def compiled(
    schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> Query | None:
    """Return the operation made ready, or None for what only graphql-core executes."""
    if operation.operation is not OperationType.QUERY or operation.directives:
        return None
    return Query(schema, operation, fragments)


def _has_variable(node: Any) -> bool:
    if isinstance(node, VariableNode):
        return True
    inner = [*(getattr(node, "values", None) or ()), *(field.value for field in getattr(node, "fields", None) or ())]
    return any(_has_variable(one) for one in inner)
