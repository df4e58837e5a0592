"""The Admin GraphQL API over HTTP: auth, versions, cost, execution, and the three layers of failure.

In: `POST /admin/api/{version}/graphql.json`.
Out: Shopify's answers, with `extensions.cost`, `X-Shopify-API-Version` and `X-Request-Id` on each.
Never: answers what our own SDL does not have; lets an exception become a traceback.
Source: contracts sheet shopify sections 2, 3, 4 and 15.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    NoDeprecatedCustomRule,
    NullValueNode,
    OperationDefinitionNode,
    build_ast_schema,
    execute_sync,
    parse,
    print_ast,
    type_from_ast,
    validate,
)
from graphql.utilities import validate_input_value, value_from_ast_untyped
from graphql.validation.validate import assert_valid_sdl
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..throttle import Bucket
from . import (
    fulfilment_mutations,
    inventory_mutations,
    metafields,
    order_create,
    order_mutations,
    other_mutations,
    scopes,
)
from .bulk import Bulk
from .cost import QUERY_COST_MAX, Meter
from .errors import internal_error, static_error, variable_error
from .paging import Page
from .reading import Query, compiled
from .resolvers import VERSIONS, Reads, Resolver, attach
from .scalars import make_strict

if TYPE_CHECKING:
    from .shop import Shopify

_log = logging.getLogger(__name__)
_DOCS = "https://shopify.dev/api/usage/rate-limits"
_DEPRECATED = "https://shopify.dev/api/usage/versioning#making-requests-to-deprecated-api-versions"
ARRAY_MAX = 250
DOCUMENTS_KEPT = 512
#: Points a second and bucket of the plans. Source: contracts sheet shopify section 4 [D 10][C].
PLANS = {"standard": (100.0, 2_000.0), "advanced": (200.0, 4_000.0), "plus": (1_000.0, 20_000.0)}
#: Versions that have run out are served by the oldest one here; those that other shops still have are not emulated.
_OLDEST_ALIVE = "2025-10"


@dataclass
class Context:
    """What resolvers know of their request."""

    granted: frozenset[str]
    request_id: str
    bulk: bool = False
    #: Bulk queries run piece by piece: which nodes of their top connections are told now, and what these hold in all.
    window: tuple[int, int] = (0, 0)
    tops: dict[str, Page] = field(default_factory=dict)
    search: list[dict[str, Any]] = field(default_factory=list)
    #: Which of the nodes that are asked for is broken in this request (fault partial_batch).
    broken_node: int | None = None

    @property
    def denied(self) -> frozenset[str]:
        return scopes.denied(self.granted)

    def connection(self, info: GraphQLResolveInfo[Any], make: Callable[[], Page]) -> Page:
        """Return a connection as it is told: of a bulk query's top ones the present piece."""
        if not self.bulk or info.path.prev is not None:
            return make()
        name = str(info.path.key)
        if name not in self.tops:
            self.tops[name] = make()
        return self.tops[name].part(*self.window)

    @property
    def is_over(self) -> bool:
        """Whether the present piece was the last."""
        return all(self.window[1] >= len(top.nodes) for top in self.tops.values())

    def warn(self, info: GraphQLResolveInfo[Any], query: str | None, warnings: list[dict[str, str]]) -> None:
        """Keep search warnings for `extensions.search`."""
        if warnings:
            path = info.path.as_list() if info.path else []
            self.search.append({"path": path, "query": query, "warnings": warnings})


@dataclass(frozen=True)
class _Document:
    text: str
    ast: DocumentNode | None
    errors: list[dict[str, Any]]
    operations: dict[str, OperationDefinitionNode]
    fragments: dict[str, FragmentDefinitionNode]
    deprecated: bool = False


# What does not depend on a shop is made once a process: its schema's text, read and checked, and each query, read and checked against it.


@cache
def _sdl() -> DocumentNode:
    sdl = parse((Path(__file__).parent / "schema.graphql").read_text())
    assert_valid_sdl(sdl)
    return sdl


def _schema() -> GraphQLSchema:
    """Make a schema of our SDL, for one shop to attach its resolvers to."""
    schema = build_ast_schema(_sdl(), assume_valid_sdl=True)
    make_strict(schema)
    return schema


@cache
def _plain_schema() -> GraphQLSchema:
    """The schema that queries are validated against: nobody's resolvers are attached to it."""
    return _schema()


@lru_cache(maxsize=DOCUMENTS_KEPT)
def _document(text: str) -> _Document:
    try:
        ast = parse(text, max_tokens=20_000)
    except GraphQLError as error:
        return _Document(text, None, [static_error(error)], {}, {})
    errors = [static_error(error) for error in validate(_plain_schema(), ast)]
    operations = {
        node.name.value if node.name else "": node
        for node in ast.definitions
        if isinstance(node, OperationDefinitionNode)
    }
    fragments = {node.name.value: node for node in ast.definitions if isinstance(node, FragmentDefinitionNode)}
    deprecated = not errors and bool(validate(_plain_schema(), ast, [NoDeprecatedCustomRule]))
    return _Document(text, ast, errors, operations, fragments, deprecated)


class Api:
    """Executes requests for one shop."""

    def __init__(self, shop: Shopify) -> None:
        self.shop = shop
        self.schema = _schema()
        self.bulk = Bulk(self)
        attach(self.schema, {**Reads(shop).table(), **self._mutations()}, shop)
        restore, size = PLANS[str(shop.switches["plan"])]
        self.bucket = Bucket(restore, size, shop.world.clock)
        self._queries: dict[tuple[str, str | None], Query | None] = {}

    # -- mutations --------------------------------------------------------------------------------------------------

    def _mutations(self) -> dict[str, Resolver]:
        shop = self.shop
        once = {
            "inventorySetQuantities": inventory_mutations.set_quantities,
            "inventoryAdjustQuantities": inventory_mutations.adjust_quantities,
            "inventoryMoveQuantities": inventory_mutations.move_quantities,
            "inventoryActivate": inventory_mutations.activate,
            "refundCreate": order_mutations.refund_create,
        }
        plain = {
            "orderCreate": order_create.order_create,
            "orderCancel": order_mutations.order_cancel,
            "orderUpdate": order_mutations.order_update,
            "orderMarkAsPaid": order_mutations.order_mark_as_paid,
            "orderClose": order_mutations.order_close,
            "tagsAdd": lambda shop, given: order_mutations.change_tags(shop, given, add=True),
            "tagsRemove": lambda shop, given: order_mutations.change_tags(shop, given, add=False),
            "fulfillmentCreate": fulfilment_mutations.fulfillment_create,
            "fulfillmentCancel": fulfilment_mutations.fulfillment_cancel,
            "fulfillmentTrackingInfoUpdate": fulfilment_mutations.tracking_update,
            "fulfillmentOrderMove": fulfilment_mutations.work_move,
            "fulfillmentOrderSplit": fulfilment_mutations.work_split,
            "fulfillmentOrderHold": fulfilment_mutations.work_hold,
            "fulfillmentOrderReleaseHold": fulfilment_mutations.work_release,
            "metafieldDefinitionCreate": metafields.definition_create,
            "productVariantsBulkUpdate": other_mutations.variants_update,
            "webhookSubscriptionDelete": other_mutations.subscription_delete,
            "bulkOperationCancel": lambda _shop, given: self.bulk.cancel(given),
            "inventoryDeactivate": inventory_mutations.deactivate,
        }
        scoped = {
            "webhookSubscriptionCreate": lambda given, granted: other_mutations.subscription_create(
                shop, given, granted
            ),
            "bulkOperationRunQuery": self.bulk.run,
        }
        table: dict[str, Resolver] = {}
        for name, act in once.items():
            table[f"Mutation.{name}"] = lambda _root, info, act=act, **given: act(shop, info, given)
        for name, do in plain.items():
            table[f"Mutation.{name}"] = lambda _root, info, do=do, **given: self._without_key(info, do, given)
        for name, go in scoped.items():
            table[f"Mutation.{name}"] = lambda _root, info, go=go, **given: go(given, info.context.granted)
        return table

    def _without_key(self, info: GraphQLResolveInfo[Any], do: Any, given: dict[str, Any]) -> Any:
        """Refuse @idempotent where Shopify does not document it: the caller would trust a protection that is not there."""
        if any(directive.name.value == "idempotent" for directive in info.field_nodes[0].directives or ()):
            raise GraphQLError(
                f"The @idempotent directive is not supported for the {info.field_name} mutation.",
                extensions={"code": "BAD_REQUEST"},
            )
        return do(self.shop, given)

    # -- HTTP -------------------------------------------------------------------------------------------------------

    def version_for(self, asked: str) -> str | None:
        """Return the version that serves a request, or None for an unknown one."""
        if asked in VERSIONS:
            return asked
        year, _, month = asked.partition("-")
        is_quarter = year.isdigit() and len(year) == 4 and month in ("01", "04", "07", "10")
        return VERSIONS[-1] if is_quarter and asked < _OLDEST_ALIVE else None

    async def endpoint(self, request: Request) -> Response:
        """Answer one request."""
        request_id = self.shop.new_request_id()
        version = self.version_for(request.path_params["version"])
        if version is None:
            return JSONResponse({"errors": "Not Found"}, 404, {"X-Request-Id": request_id})
        headers = {"X-Request-Id": request_id, "X-Shopify-API-Version": version}
        closed = self.shop.closed_answer()
        if closed is not None:
            return JSONResponse({"errors": closed[1]}, closed[0], headers)
        granted = self.shop.auth.granted(request.headers.get("x-shopify-access-token"))
        if granted is None:
            return JSONResponse({"errors": UNAUTHORIZED}, 401, headers)
        try:
            given = json.loads(await request.body())
            if not isinstance(given, dict) or not isinstance(given.get("query"), str):
                raise ValueError
        except ValueError:
            return JSONResponse({"errors": {"query": "Required parameter missing or invalid"}}, 400, headers)
        answer = self.answer(given, Context(granted, request_id))
        if _document(given["query"]).deprecated:
            headers["X-Shopify-API-Deprecated-Reason"] = _DEPRECATED
        return JSONResponse(answer, 200, headers)

    def operation_of(self, body: bytes) -> str:
        """Return the first root field of a request, the name by which faults can be aimed at it."""
        try:
            given = json.loads(body)
            document = _document(given["query"])
            operation = self._operation(document, given.get("operationName"))
        except (ValueError, KeyError, TypeError, GraphQLError):
            return "graphql"
        first = operation.selection_set.selections[0]
        return first.name.value if isinstance(first, FieldNode) else "graphql"

    def throttled(self, requested: int = 10) -> dict[str, Any]:
        """Return the answer to a query that the bucket cannot pay: HTTP 200, no data."""
        error = {"message": "Throttled", "extensions": {"code": "THROTTLED", "documentation": _DOCS}}
        return {"errors": [error], "extensions": {"cost": self._cost(requested, None)}}

    def _cost(self, requested: int, actual: int | None) -> dict[str, Any]:
        bucket = self.bucket
        return {
            "requestedQueryCost": requested,
            "actualQueryCost": actual,
            "throttleStatus": {
                "maximumAvailable": bucket.burst,
                "currentlyAvailable": math.floor(bucket.level),
                # What a client has to reckon with on the shared clock.
                "restoreRate": bucket.rate_per_s * bucket.clock.factor,
            },
        }

    # -- one request ------------------------------------------------------------------------------------------------

    def answer(self, given: dict[str, Any], context: Context) -> dict[str, Any]:
        """Validate, price and execute one request."""
        document = _document(given["query"])
        if document.errors:
            return {"errors": document.errors}
        assert document.ast is not None
        try:
            operation = self._operation(document, given.get("operationName"))
        except GraphQLError as error:
            return {"errors": [{"message": error.message}]}
        variables = given.get("variables") or {}
        if not isinstance(variables, dict):
            return {"errors": [{"message": "Variables must be an object"}]}
        problems = self._variable_errors(operation, variables) or self._array_errors(operation, variables)
        if problems:
            return {"errors": problems}
        meter = Meter(self.schema, document.fragments, _with_defaults(operation, variables), self._share)
        requested = meter.price(operation)
        if requested > QUERY_COST_MAX:
            return {"errors": [_too_dear(requested)]}
        if not self.bucket.take(requested):
            return self.throttled(requested)
        result = self._execute(document, operation, variables, context)
        actual = min(requested, meter.price(operation, result.data or {}))
        self.bucket.give_back(requested - actual)
        return self._formatted(result, context, self._cost(requested, actual))

    def _execute(
        self, document: _Document, operation: OperationDefinitionNode, variables: dict[str, Any], context: Context
    ) -> ExecutionResult:
        """A query that goes well takes the short way (reading.py)."""
        assert document.ast is not None
        name = operation.name.value if operation.name else None
        key = (document.text, name)
        if key not in self._queries:
            if len(self._queries) >= DOCUMENTS_KEPT:
                self._queries.clear()
            self._queries[key] = compiled(self.schema, operation, document.fragments)
        query = self._queries[key]
        if query is not None and (data := query.read(variables, context)) is not None:
            return ExecutionResult(data, None)
        context.search.clear()
        return execute_sync(
            self.schema, document.ast, context_value=context, variable_values=variables, operation_name=name
        )

    @property
    def _share(self) -> float:
        return float(self.shop.switches["connection_cost_share"])  # type: ignore[arg-type]

    def _formatted(self, result: ExecutionResult, context: Context, cost: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer["errors"] = [self._execution_error(error, context) for error in result.errors]
        answer["extensions"] = {"cost": cost, **({"search": context.search} if context.search else {})}
        return answer

    def _execution_error(self, error: GraphQLError, context: Context) -> dict[str, Any]:
        if error.original_error is not None and not isinstance(error.original_error, GraphQLError):
            _log.error("the Shopify emulator failed on %s", error.path, exc_info=error.original_error)
            return {**internal_error(context.request_id), "path": error.path}
        return dict(error.formatted)

    def bulk_context(self, granted: frozenset[str]) -> Context:
        """Return what `run_bulk` keeps between the pieces of one bulk query."""
        return Context(granted, self.shop.new_request_id(), bulk=True)

    def run_bulk(self, document: DocumentNode, context: Context, start: int, size: int) -> ExecutionResult:
        """Execute a piece of a bulk query: `size` nodes of its top connections; those below give all they have."""
        context.window = (start, start + size)
        return execute_sync(self.schema, document, context_value=context)

    # -- documents and variables ------------------------------------------------------------------------------------

    @staticmethod
    def _operation(document: _Document, name: Any) -> OperationDefinitionNode:
        if name:
            if name not in document.operations:
                raise GraphQLError(f"No operation named {json.dumps(name)}")
            return document.operations[name]
        if len(document.operations) != 1:
            raise GraphQLError("An operation name is required")
        return next(iter(document.operations.values()))

    def _variable_errors(self, operation: OperationDefinitionNode, given: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for definition in operation.variable_definitions or ():
            name = definition.variable.name.value
            kind = type_from_ast(self.schema, definition.type)
            if name not in given and definition.default_value is not None:
                continue
            text = print_ast(definition.type)
            problems: list[dict[str, Any]] = []
            if name not in given and not text.endswith("!"):
                continue

            def keep(error: GraphQLError, path: list[Any], problems: list[dict[str, Any]] = problems) -> None:
                problems.append({"path": list(path), "explanation": _explained(error.message)})

            validate_input_value(given.get(name), kind, keep)  # type: ignore[arg-type]
            if problems:
                at = definition.loc.start_token if definition.loc else None
                where = {"line": at.line, "column": at.column} if at else None
                found.append(variable_error(name, text, given.get(name), problems, where))
        return found

    def _array_errors(self, operation: OperationDefinitionNode, given: dict[str, Any]) -> list[dict[str, Any]]:
        """No input array may be longer than 250, wherever it stands."""
        literals = [
            value_from_ast_untyped(argument.value, given)
            for selection in operation.selection_set.selections
            if isinstance(selection, FieldNode)
            for argument in selection.arguments or ()
            if not isinstance(argument.value, NullValueNode)
        ]
        size = _longest_array([list(given.values()), literals])
        if size <= ARRAY_MAX:
            return []
        message = f"The input array size of {size} is greater than the maximum allowed of {ARRAY_MAX}."
        return [{"message": message, "extensions": {"code": "MAX_INPUT_SIZE_EXCEEDED"}}]


UNAUTHORIZED = "[API] Invalid API key or access token (unrecognized login or wrong password)"


def _too_dear(cost: int) -> dict[str, Any]:
    message = (
        f"Query cost is {cost}, which exceeds the single query max cost limit ({QUERY_COST_MAX}).\n\n"
        "See https://shopify.dev/concepts/about-apis/rate-limits for more information on how the cost of a query is "
        "calculated.\n\nTo query larger amounts of data with fewer limits, bulk operations should be used instead."
    )
    extensions = {"code": "MAX_COST_EXCEEDED", "cost": cost, "maxCost": QUERY_COST_MAX, "documentation": _DOCS}
    return {"message": message, "extensions": extensions}


def _with_defaults(operation: OperationDefinitionNode, given: dict[str, Any]) -> dict[str, Any]:
    defaults = {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
    }
    return {**defaults, **given}


def _longest_array(value: Any, outermost: bool = True) -> int:
    if isinstance(value, dict):
        return max((_longest_array(each, False) for each in value.values()), default=0)
    if isinstance(value, list):
        inner = max((_longest_array(each, outermost and isinstance(each, list)) for each in value), default=0)
        return inner if outermost else max(inner, len(value))
    return 0


def _explained(message: str) -> str:
    """Word a coercion problem as Shopify words the commonest ones."""
    if "unknown field" in message:
        start = message.index("unknown field '") + len("unknown field '")
        name = message[start : message.index("'", start)]
        kind = message.split("'")[1]
        return f"Field is not defined on {kind}: {name}"
    if "to be provided" in message or "is required" in message or "not to be None" in message:
        return "Expected value to not be null"
    return message
