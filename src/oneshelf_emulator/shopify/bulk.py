"""Bulk queries: the whole answer as JSONL, made in the background and fetched by its address.

Source: contracts sheet shopify section 11 [D 29]; Shopify docs "bulk operations: queries".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
    parse,
    validate,
)

from . import payloads
from .errors import Payload, user_error
from .records import BulkOperation

if TYPE_CHECKING:
    from .graphql_api import Api, Context

SLOTS = 5
CONNECTIONS_MAX = 5
DEPTH_MAX = 3  # a connection at the top and two levels below
URL_LIFE_S = 7 * 86_400.0
#: Nodes of the top connection that are read in one go, and the pause after it, in which other requests are answered.
PIECE = 50
PAUSE_S = 0.001


class Bulk:
    """The bulk operations of one app in one shop."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.shop = api.shop
        self._results: dict[str, tuple[bytes, datetime]] = {}

    def run(self, arguments: Payload, granted: frozenset[str]) -> Payload:
        """bulkOperationRunQuery."""
        text = arguments["query"]
        problem = self._problem(text)
        if problem is not None:
            return {"bulkOperation": None, "userErrors": [user_error(problem, ["query"], "INVALID")]}
        store = self.shop.store
        if sum(each.status in ("CREATED", "RUNNING", "CANCELING") for each in store.all(BulkOperation)) >= SLOTS:
            message = f"Bulk operations limit reached: {SLOTS} bulk query operations are already running."
            return {"bulkOperation": None, "userErrors": [user_error(message, None, "LIMIT_REACHED")]}
        operation = store.add(BulkOperation(store.new_id("BulkOperation"), text, store.now()))
        self.shop.later(float(self.shop.switches["bulk_start_s"]), lambda: self._start(operation, granted))  # type: ignore[arg-type]
        return {"bulkOperation": operation, "userErrors": []}

    def cancel(self, arguments: Payload) -> Payload:
        """bulkOperationCancel."""
        operation = self.shop.store.find(arguments["id"], BulkOperation)
        if operation is None:
            return {"bulkOperation": None, "userErrors": [user_error("Bulk operation does not exist", ["id"])]}
        if operation.status not in ("CREATED", "RUNNING"):
            error = user_error("A bulk operation cannot be canceled when it is completed", ["id"])
            return {"bulkOperation": operation, "userErrors": [error]}
        operation.status = "CANCELING"
        self.shop.later(1.0, lambda: self._end(operation, "CANCELED"))
        return {"bulkOperation": operation, "userErrors": []}

    def fetch(self, name: str) -> bytes | None:
        """Return the bytes of a result by the name in its address; None if unknown or expired."""
        found = self._results.get(name)
        return found[0] if found and found[1] > self.shop.world.clock.now() else None

    # -- checking ---------------------------------------------------------------------------------------------------

    def _problem(self, text: str) -> str | None:
        try:
            document = parse(text, no_location=True)
        except GraphQLError as error:
            return f"Invalid bulk query: {error.message}"
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        if len(operations) != 1 or operations[0].operation is not OperationType.QUERY:
            return "Bulk queries must contain exactly one query operation."
        errors = validate(self.api.schema, document)
        if errors:
            return f"Invalid bulk query: {errors[0].message}"
        roots = [s.name.value for s in operations[0].selection_set.selections if isinstance(s, FieldNode)]
        if "node" in roots or "nodes" in roots:
            return "Bulk queries cannot use the top-level fields `node` and `nodes`."
        count, depth, problem = self._measure(
            operations[0].selection_set, self.api.schema.query_type, _fragments(document)
        )
        if problem:
            return problem
        if count == 0:
            return "Bulk queries must contain at least one connection."
        if count > CONNECTIONS_MAX:
            return f"Bulk queries cannot contain more than {CONNECTIONS_MAX} connections."
        return "Bulk queries cannot nest connections more than 2 levels deep." if depth > DEPTH_MAX else None

    def _measure(
        self, selections: SelectionSetNode, parent: Any, fragments: dict[str, FragmentDefinitionNode]
    ) -> tuple[int, int, str | None]:
        """Return how many connections, how deep, and what is wrong with their parents."""
        count, depth, problem = 0, 0, None
        for field in _fields(selections, fragments):
            definition = parent.fields.get(field.name.value)
            if definition is None or field.selection_set is None:
                continue
            kind = get_named_type(definition.type)
            inner, below, wrong = self._measure(field.selection_set, kind, fragments)
            problem = problem or wrong
            count, depth = count + inner, max(depth, below)
            if not kind.name.endswith("Connection"):
                continue
            count, depth = count + 1, max(depth, below + 1)
            if inner and not _selects_id(field.selection_set, fragments):
                problem = problem or "The parent 'node' field for a nested connection must select the 'id' field."
        return count, depth, problem

    # -- running ----------------------------------------------------------------------------------------------------

    def _start(self, operation: BulkOperation, granted: frozenset[str]) -> None:
        if operation.status != "CREATED":
            return
        operation.status = "RUNNING"
        self._piece(operation, parse(operation.query, no_location=True), self.api.bulk_context(granted), 0, [])

    def _piece(
        self, operation: BulkOperation, document: DocumentNode, context: Context, start: int, body: list[bytes]
    ) -> None:
        """Read some nodes, then let others have their turn: a shop of 100,000 items takes half a minute."""
        if operation.status != "RUNNING":
            return
        result = self.api.run_bulk(document, context, start, PIECE)
        if result.errors:
            code = (result.errors[0].extensions or {}).get("code")
            operation.error_code = "ACCESS_DENIED" if code == "ACCESS_DENIED" else "INTERNAL_SERVER_ERROR"
            seconds = float(self.shop.switches["bulk_run_s"])  # type: ignore[arg-type]
            self.shop.later(seconds, lambda: self._end(operation, "FAILED"))
            return
        definition = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
        for line in _lines(
            definition.selection_set, self.api.schema.query_type, result.data or {}, _fragments(document), None
        ):
            operation.object_count += 1
            operation.root_object_count += "__parentId" not in line
            # Slashes are escaped, as Shopify's files have them.
            text = json.dumps(line, separators=(",", ":"), ensure_ascii=False).replace("/", "\\/")
            body.append(text.encode() + b"\n")
        if not context.is_over:
            self.shop.later(PAUSE_S, lambda: self._piece(operation, document, context, start + PIECE, body))
            return
        seconds = float(self.shop.switches["bulk_run_s"])  # type: ignore[arg-type]
        seconds += operation.object_count * float(self.shop.switches["bulk_per_object_s"])  # type: ignore[arg-type]
        self.shop.later(seconds, lambda: self._finish(operation, body))

    def _finish(self, operation: BulkOperation, lines: list[bytes]) -> None:
        if operation.status != "RUNNING":
            return
        if lines:
            body = b"".join(lines)
            name = f"bulk-{operation.id}-{self.shop.store.new_uuid()}.jsonl"
            clock = self.shop.world.clock
            self._results[name] = (body, clock.now() + timedelta(seconds=clock.shortened(URL_LIFE_S)))
            operation.file_size = len(body)
            operation.url = f"{self.shop.base_url}/bulk-results/{name}"
        self._end(operation, "COMPLETED")

    def _end(self, operation: BulkOperation, status: str) -> None:
        operation.status = status
        operation.completed_at = self.shop.store.now()
        self.shop.webhooks.emit("bulk_operations/finish", operation.gid, lambda: payloads.bulk_operation(operation))


def _fragments(document: Any) -> dict[str, FragmentDefinitionNode]:
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


def _fields(selections: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode]) -> Iterator[FieldNode]:
    for selection in selections.selections:
        if isinstance(selection, FieldNode):
            yield selection
        elif isinstance(selection, FragmentSpreadNode):
            yield from _fields(fragments[selection.name.value].selection_set, fragments)
        elif isinstance(selection, InlineFragmentNode):
            yield from _fields(selection.selection_set, fragments)


def _node_field(
    selections: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode]
) -> tuple[str, FieldNode] | None:
    """Return how a connection's nodes are asked for ("edges" or "nodes") and the field that selects the node."""
    for part in _fields(selections, fragments):
        if part.name.value == "nodes":
            return "nodes", part
        if part.name.value == "edges" and part.selection_set:
            for inner in _fields(part.selection_set, fragments):
                if inner.name.value == "node":
                    return "edges", inner
    return None


def _selects_id(selections: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode]) -> bool:
    found = _node_field(selections, fragments)
    if found is None or found[1].selection_set is None:
        return False
    return any(field.name.value == "id" and not field.alias for field in _fields(found[1].selection_set, fragments))


def _lines(
    selections: SelectionSetNode,
    kind: Any,
    data: Payload,
    fragments: dict[str, FragmentDefinitionNode],
    parent_id: str | None,
) -> Iterator[Payload]:
    """Yield one object a connection node, each followed by those of the connections nested in it."""
    for field, inner_kind, value in _split(selections, kind, data, fragments)[1]:
        assert field.selection_set is not None
        found = _node_field(field.selection_set, fragments)
        if found is None or value is None:
            continue
        how, node_field = found
        assert node_field.selection_set is not None
        node_kind = get_named_type(inner_kind.fields["nodes"].type)
        key = node_field.alias.value if node_field.alias else node_field.name.value
        rows = next(v for k, v in value.items() if isinstance(v, list)) if value else []
        for node in rows if how == "nodes" else [row[key] for row in rows]:
            plain, _ = _split(node_field.selection_set, node_kind, node, fragments)
            yield plain if parent_id is None else {**plain, "__parentId": parent_id}
            yield from _lines(node_field.selection_set, node_kind, node, fragments, node.get("id"))


def _split(
    selections: SelectionSetNode, kind: Any, data: Payload, fragments: dict[str, FragmentDefinitionNode]
) -> tuple[Payload, list[tuple[FieldNode, Any, Any]]]:
    """Part an object into what stays on its line and the connections in it, at whatever depth of plain objects."""
    plain: Payload = {}
    nested: list[tuple[FieldNode, Any, Any]] = []
    for field in _fields(selections, fragments):
        key = field.alias.value if field.alias else field.name.value
        if key not in data:
            continue
        value = data[key]
        definition = getattr(kind, "fields", {}).get(field.name.value)
        inner = get_named_type(definition.type) if definition else None
        if inner is not None and inner.name.endswith("Connection"):
            nested.append((field, inner, value))
        elif isinstance(value, dict) and field.selection_set is not None:
            plain[key], deeper = _split(field.selection_set, inner, value, fragments)
            nested += deeper
        else:
            plain[key] = value
    return plain, nested
