"""The marketplaces' own specifications, as judges of what goes over the wire in both directions.

In: a request of a connector, an answer of an emulated marketplace. Out: violations, in words; none means that it fits.
Stricter than the documents: a field or a parameter that they do not know is a violation too.
The documents are read where they are present (ONESHELF_CONTRACTS, or shared/contracts beside the repository).
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema
from graphql import DocumentNode, GraphQLSchema, build_schema, execute_sync, parse, validate
from graphql.execution import get_variable_values

from oneshelf.channels.contract import Request, Response

SHOPIFY_VERSION = "2026-10"
CONTRACTS = Path(os.environ.get("ONESHELF_CONTRACTS") or Path(__file__).parents[3] / "shared" / "contracts")
PRESENT = (CONTRACTS / "etsy").is_dir()

#: Base path → document. Amazon's models name whole paths and are joined.
EBAY = {
    "/sell/inventory/v1": "ebay/normalized/sell_inventory_v1_oas3.json",
    "/sell/fulfillment/v1": "ebay/normalized/sell_fulfillment_v1_oas3.json",
    "/commerce/notification/v1": "ebay/normalized/commerce_notification_v1_oas3.json",
    "/commerce/identity/v1": "ebay/commerce_identity_v1_oas3.json",
    "/developer/analytics/v1_beta": "ebay/developer_analytics_v1_beta_oas3.json",
    "/post-order/v2": "ebay/postorder_cancellation_oas3.json",
    "/sell/account/v1": "ebay/sell_account_v1_oas3.json",
    "/sell/feed/v1": "ebay/sell_feed_v1_oas3.json",
}

#: What no document of ours describes: sign-in, pre-signed addresses, the old XML door. Channel → pattern of the path → why.
UNDESCRIBED = {
    "shopify": {
        r"/admin/oauth/access_token": "sign-in",
        r"/bulk-results/.*": "a finished export, by its signed address",
    },
    "amazon": {
        r"/auth/o2/token": "sign-in",
        r"/(feed|report)-storage/.*": "a document, by its signed address",
    },
    "ebay": {r"/identity/v1/oauth2/token": "sign-in", r"/ws/api\.dll": "the XML door"},
    "etsy": {r"/v3/public/oauth/token": "sign-in"},
}

#: What any operation may answer beside what its document lists: the gateways in front answer these.
ALWAYS = {"401", "403", "429", "500", "502", "503", "504"}

#: Where the documents contradict their own words or what is seen live; pattern of a violation → the better source.
DEFECTS = {
    r"answer 20\d\..*status: '(Paid|Completed|Open|Payment Processing|Canceled|Fully Refunded|Partially Refunded)' is not one of .*": (
        "the live API capitalises (etsy/open-api discussions)"
    ),
    r"answer 200.*legacyOrderId' was unexpected\)": "given live beside orderId; Post-Order takes no other",
    r"answer 4\d\d: Additional properties are not allowed \('errors' was unexpected\)": "eBay's errors come in a list `errors` (Handling error messages)",
    r"answer 40[01]: Additional properties are not allowed \('error_description' was unexpected\)": "Etsy's token errors have a description (Authentication page)",
    r"answer 200\..*product\.aspects: .* is not of type 'string'": "aspects are a map of lists, as the field's own text says (Sell Inventory)",
}


def _known_defect(violation: str) -> bool:
    return any(re.fullmatch(pattern, violation) for pattern in DEFECTS)


class Judge:
    """Holds every call against the documents, and counts."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.requests: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.undescribed: Counter[str] = Counter()
        self.violations: list[str] = []

    def told(self) -> str:
        """Return the counts in one line: requests, answers, and how many different cases (operation and status) they were."""
        return (
            f"{self.channel:<8} {sum(self.requests.values()):>4} requests of {len(self.requests):>2} operations, "
            f"{sum(self.answers.values()):>4} answers in {len(self.answers):>2} cases, {sum(self.undescribed.values()):>3} outside "
            f"the documents ({', '.join(sorted(self.undescribed)) or 'none'}), {len(self.violations)} violations"
        )

    def judge(self, request: Request, response: Response | None) -> list[str]:
        """Return what is wrong with one call, and remember it."""
        found = self._found(request, response)
        self.violations += found
        return found

    def _found(self, request: Request, response: Response | None) -> list[str]:
        address = urlsplit(request.url)
        if self.channel == "shopify" and address.path.endswith("/graphql.json"):
            return self._graphql(request, response)
        operation = find(self.channel, request.method, address.path)
        if operation is None:
            for pattern, why in UNDESCRIBED[self.channel].items():
                if re.fullmatch(pattern, address.path):
                    self.undescribed[why] += 1
                    return []
            return [f"{self.channel}: no such operation: {request.method} {address.path}"]
        self.requests[operation.name] += 1
        found = operation.wrong_request(request)
        if response is not None:
            self.answers[f"{operation.name} {response.status}"] += 1
            found += operation.wrong_answer(response)
        return [f"{self.channel} {operation.name}: {one}" for one in found]

    def _graphql(self, request: Request, response: Response | None) -> list[str]:
        body = json.loads(request.body)
        name = body.get("operationName") or "(anonymous)"
        self.requests[name] += 1
        found = wrong_document(body["query"], body.get("variables") or {})
        if response is not None and response.status == 200:
            self.answers[f"{name} 200"] += 1
            answer = json.loads(response.body)
            if answer.get("data") and not answer.get("errors"):
                found += wrong_data(body["query"], body.get("variables") or {}, answer["data"])
        return [f"shopify {name}: {one}" for one in found]


# --- GraphQL ------------------------------------------------------------------------------------------------------------


def shopify_schema_file(version: str) -> Path:
    return CONTRACTS / "shopify" / f"admin-{version}.nodesc.graphql.gz"


@cache
def shopify_schema(version: str = SHOPIFY_VERSION) -> GraphQLSchema:
    text = gzip.decompress(shopify_schema_file(version).read_bytes()).decode()
    return build_schema(text, assume_valid=True, no_location=True)


@cache
def examined(query: str, version: str) -> tuple[DocumentNode, tuple[str, ...]]:
    """A document, and what the official schema refuses of it. Ours are some ninety, each sent hundreds of times."""
    document = parse(query)
    return document, tuple(error.message for error in validate(shopify_schema(version), document))


def wrong_document(query: str, variables: Mapping[str, Any], version: str = SHOPIFY_VERSION) -> list[str]:
    """Say what the official schema refuses of a document or its variables."""
    official = shopify_schema(version)
    document, errors = examined(query, version)
    if errors:
        return list(errors)
    operation = next(d for d in document.definitions if d.kind == "operation_definition")
    values = get_variable_values(official, operation.variable_definitions or (), dict(variables))
    return [error.message for error in values] if isinstance(values, list) else []


def wrong_data(query: str, variables: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    """Say what the official schema would not have answered: `data` is run through it and must come out as it went in."""
    document, _ = examined(query, SHOPIFY_VERSION)
    result = execute_sync(
        shopify_schema(),
        document,
        root_value=data,
        variable_values=dict(variables),
        field_resolver=_aliased,
        type_resolver=_by_id,
    )
    if result.errors:
        return [f"{error.message} at {error.path}" for error in result.errors]
    return [] if result.data == data else ["the answer has fields that were not asked for"]


def _by_id(value: Any, info: Any, abstract: Any) -> str:
    """Name the type of a value behind an interface: by its id ("gid://shopify/Order/1"), else the only type that was asked about."""
    if isinstance(value, Mapping) and str(value.get("id", "")).startswith("gid://shopify/"):
        return str(value["id"]).split("/")[3]
    asked = [
        selection.type_condition.name.value
        for node in info.field_nodes
        for selection in node.selection_set.selections
        if selection.kind == "inline_fragment" and selection.type_condition
    ]
    return str(value["__typename"]) if "__typename" in value else asked[0]


def _aliased(source: Any, info: Any, **_: Any) -> Any:
    """Take a value by the name that it has in the answer: its alias, where there is one."""
    return source.get(info.path.key) if isinstance(source, Mapping) else None


# --- OpenAPI, both generations --------------------------------------------------------------------------------------------


class Operation:
    """One operation of one document."""

    def __init__(
        self,
        name: str,
        spec: Mapping[str, Any],
        shared: list[dict[str, Any]],
        definitions: Mapping[str, Any],
        path: str,
    ) -> None:
        self.name = name
        self.path = path
        self._spec = spec
        self._definitions = definitions
        self._parameters = [_resolved(one, definitions) for one in [*shared, *spec.get("parameters", [])]]

    # requests

    def wrong_request(self, request: Request) -> list[str]:
        found = self._wrong_query(request) + self._wrong_headers(request)
        schema, kinds = self._body_schema()
        if not request.body:
            needed = any(p["in"] == "body" and p.get("required") for p in self._parameters)
            return found + (
                ["the body is missing"] if needed or self._spec.get("requestBody", {}).get("required") else []
            )
        if schema is None:
            return found if self.path.startswith("/post-order/") else [*found, "a body where none is known"]
        kind = {k.lower(): v for k, v in request.headers.items()}.get("content-type", "").partition(";")[0]
        if kinds and kind not in kinds:
            found.append(f"content-type {kind or 'missing'}, known: {', '.join(kinds)}")
        try:
            value = dict(parse_qsl(request.body.decode())) if "form" in kind else json.loads(request.body)
        except ValueError:
            return [*found, "the body is no JSON"]
        return found + self._misfits(schema, value, "body", from_text="form" in kind)

    def _wrong_query(self, request: Request) -> list[str]:
        if self.path.startswith("/post-order/"):
            return []  # its document lists no parameters at all
        known = {p["name"]: p for p in self._parameters if p["in"] == "query"}
        asked = parse_qsl(urlsplit(request.url).query, keep_blank_values=True)
        found = [f"no parameter {name}" for name, _ in asked if name not in known]
        found += [f"parameter {n} is missing" for n, p in known.items() if p.get("required") and n not in dict(asked)]
        for name, text in asked:
            if name in known:
                schema = known[name].get("schema") or {
                    k: v for k, v in known[name].items() if k not in ("in", "name", "required")
                }
                found += self._misfits(schema, _typed(text, schema), f"parameter {name}", from_text=True)
        return found

    def _wrong_headers(self, request: Request) -> list[str]:
        sent = {name.lower() for name in request.headers}
        skipped = {"authorization", "content-type"}
        needed = [p["name"] for p in self._parameters if p["in"] == "header" and p.get("required")]
        return [f"header {name} is missing" for name in needed if name.lower() not in sent | skipped]

    def _body_schema(self) -> tuple[Any, list[str]]:
        for one in self._parameters:
            if one["in"] == "body":
                return one["schema"], ["application/json"]
        content = _resolved(self._spec.get("requestBody", {}), self._definitions).get("content", {})
        return (next(iter(content.values()))["schema"], list(content)) if content else (None, [])

    # answers

    def wrong_answer(self, response: Response) -> list[str]:
        status = str(response.status)
        listed = self._spec["responses"].get(status)
        if listed is None:
            return (
                []
                if status in ALWAYS or self.path.startswith("/post-order/")
                else [f"status {status} is not in its document"]
            )
        listed = _resolved(listed, self._definitions)
        schema = listed.get("schema")
        if schema is None:
            content = listed.get("content") or {}
            schema = next(iter(content.values())).get("schema") if content else None
        if schema is None:
            described = self.path.startswith("/post-order/") or int(status) >= 400
            return ["a body where none is known"] if response.body.strip() and not described else []
        if set(listed.get("content") or ()) == {"application/octet-stream"}:
            kind = {k.lower(): v for k, v in response.headers.items()}.get("content-type", "").partition(";")[0]
            return [] if kind == "application/octet-stream" else [f"content-type {kind or 'missing'} of a file"]
        if not response.body.strip():
            located = status == "201" and "location" in response.headers
            return [] if int(status) >= 400 or status == "204" or located else ["the answer is empty"]
        try:
            value = json.loads(response.body)
        except ValueError:
            return ["the answer is no JSON"]
        return [one for one in self._misfits(schema, value, f"answer {status}") if not _known_defect(one)]

    def _misfits(self, schema: Any, value: Any, where: str, *, from_text: bool = False) -> list[str]:
        whole = {**_strict(schema, self._definitions), **self._definitions}
        errors = jsonschema.Draft202012Validator(whole).iter_errors(value)
        leaves = [leaf for error in errors for leaf in _leaves(error)]
        return [
            f"{where}{e.json_path[1:]}: {e.message[:160]}" for e in leaves if not (from_text and e.validator == "type")
        ]


def _leaves(error: Any) -> list[Any]:
    """Return what is really wrong behind an `anyOf` that allows null."""
    inner = [one for one in error.context or [] if one.validator != "type" or one.validator_value != "null"]
    return [leaf for one in inner for leaf in _leaves(one)] if inner else [error]


def _typed(text: str, schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if kind == "array":
        return text.split(",")
    if kind in ("integer", "number") and re.fullmatch(r"-?\d+(\.\d+)?", text):
        return int(text) if kind == "integer" and "." not in text else float(text)
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def _resolved(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, Mapping) and "$ref" in node:
        found: Any = definitions
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return found
    return node


def _merged(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Join the parts of an `allOf`, so that what no part knows can be refused."""
    whole: dict[str, Any] = {key: value for key, value in node.items() if key != "allOf"}
    for part in node["allOf"]:
        found = _resolved(part, definitions)
        found = _merged(found, definitions) if "allOf" in found else found
        for key, value in found.items():
            if key == "properties":
                whole["properties"] = {**value, **whole.get("properties", {})}
            elif key == "required":
                whole["required"] = [*value, *whole.get("required", [])]
            else:
                whole.setdefault(key, value)
    return whole


def _strict(node: Any, definitions: Mapping[str, Any], naming: bool = False) -> Any:
    """Turn an OpenAPI schema into a JSON Schema that knows `nullable` and refuses unknown fields. `naming`: keys are names."""
    if isinstance(node, list):
        return [_strict(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if "allOf" in node and not naming:
        return _strict(_merged(node, definitions), definitions)
    made = {
        key: _strict(value, definitions, naming=key in ("properties", "definitions", "schemas") and not naming)
        for key, value in node.items()
    }
    if naming:
        return made
    for word in ("format", "example", "discriminator", "xml", "readOnly", "externalDocs"):
        made.pop(word, None)
    if made.get("type") == "object" and "enum" in made:
        del made["type"]  # eBay's identity and analytics documents call their words objects
    # The first generation writes a flag where JSON Schema wants a number.
    for word in ("exclusiveMinimum", "exclusiveMaximum", "required"):
        if isinstance(made.get(word), bool):
            made.pop(word)
    if isinstance(made.get("properties"), dict) and made["properties"] and "anyOf" not in made:
        made.setdefault("additionalProperties", False)
    if made.pop("nullable", False):
        return {"anyOf": [{"type": "null"}, made]}
    return made


@cache
def operations(channel: str) -> list[tuple[str, re.Pattern[str], Operation]]:
    """Return (method, path pattern, operation) of all documents of a channel; literal paths before those with parameters."""
    found: list[tuple[str, re.Pattern[str], Operation]] = []
    for base, path in _documents(channel):
        document = json.loads(path.read_text())
        definitions = {
            name: _strict(document[name], document, naming=name == "definitions")
            for name in ("components", "definitions", "parameters", "responses")
            if name in document
        }
        for template, methods in document["paths"].items():
            shared = methods.get("parameters", [])
            whole = base + template
            pattern = re.compile(re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(whole.rstrip("/"))) + "/?")
            for method, spec in methods.items():
                if isinstance(spec, dict) and "responses" in spec:
                    name = spec.get("operationId") or f"{method} {template}"
                    found.append((method.upper(), pattern, Operation(name, spec, shared, definitions, whole)))
    return sorted(found, key=lambda one: one[2].path.count("{"))


def _documents(channel: str) -> list[tuple[str, Path]]:
    if channel == "amazon":
        return [
            ("", path) for path in sorted((CONTRACTS / "amazon" / "models").glob("*.json")) if "draft" not in path.name
        ]
    if channel == "ebay":
        return [(base, CONTRACTS / name) for base, name in EBAY.items()]
    return [("", CONTRACTS / "etsy" / "etsy_openapi_v3.normalized.json")]


def find(channel: str, method: str, path: str) -> Operation | None:
    """Return the operation that serves this method and path, or None."""
    if channel == "shopify":
        return None
    return next((op for m, pattern, op in operations(channel) if m == method.upper() and pattern.fullmatch(path)), None)
