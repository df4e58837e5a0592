"""A scripted Shopify for the connector's tests: what it must be asked, and what it answers.

Where the official schemas are present (ONESHELF_CONTRACTS or <repo>/../shared/contracts), every request's document and variables are
checked against them, and every scripted answer is run through them, so that a script can't be asked or answer what Shopify can't.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from graphql import GraphQLSchema, execute_sync
from official import SHOPIFY_VERSION, examined, shopify_schema, shopify_schema_file, wrong_document

from oneshelf.channels.contract import NoAnswer, Request, Response

PAYLOADS = Path(__file__).parent / "payloads" / "shopify"
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
SETTINGS = {"shop": "demo.myshopify.com", "currency": "EUR"}


def schema(version: str) -> GraphQLSchema | None:
    """Return the official schema, None where it is not present."""
    return shopify_schema(version) if shopify_schema_file(version).exists() else None


def check_request(body: Mapping[str, Any], version: str = SHOPIFY_VERSION) -> None:
    """Fail if the document or its variables do not fit the official schema."""
    if schema(version) is not None:
        assert wrong_document(body["query"], body["variables"], version) == []


def as_shopify_would(body: Mapping[str, Any], answer: Any, version: str = SHOPIFY_VERSION) -> Any:
    """Run the scripted data through the official schema: what is missing, misnamed or null where it must not be fails."""
    official = schema(version)
    if official is None:
        return answer
    alias = re.search(r"part: (\w+)\(", body["query"])
    root = {(alias[1] if alias and name == "part" else name): value for name, value in answer.items()}
    document, _ = examined(body["query"], version)
    result = execute_sync(official, document, root_value=root, variable_values=dict(body["variables"]))
    assert not result.errors, result.errors
    return result.data


Step = tuple[str, Any]


class Script:
    """An Http that answers one step after the other. A step: (operation name, answer).

    Answer: a dict is `data` of a GraphQL answer; a Response or a NoAnswer is given as it is; a function is called with the body.
    """

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.requests: list[Request] = []
        self.bodies: list[dict[str, Any]] = []

    async def request(self, request: Request) -> Response:
        assert self.steps, f"not expected: {request.operation} {request.body[:300]!r}"
        operation, answer = self.steps.pop(0)
        assert request.operation == operation
        self.requests.append(request)
        if request.url.endswith("/graphql.json"):
            body = json.loads(request.body)
            assert body["operationName"] == operation
            check_request(body)
            self.bodies.append(body)
            if isinstance(answer, dict):
                return data(as_shopify_would(body, answer))
            if callable(answer):
                return answer(body)
        if isinstance(answer, NoAnswer):
            raise answer
        return answer

    async def lines(self, request: Request, *, line_bytes_max: int, bytes_max: int) -> AsyncIterator[bytes]:
        response = await self.request(request)
        assert request.bare
        if response.status != 200:
            raise NoAnswer(f"HTTP {response.status} instead of the file", sent=True)
        for line in response.body.split(b"\n"):
            yield line

    @property
    def variables(self) -> dict[str, Any]:
        """The variables of the last GraphQL request."""
        return self.bodies[-1]["variables"]

    def done(self) -> None:
        assert not self.steps, f"never asked: {[name for name, _ in self.steps]}"


def data(value: Any, **extensions: Any) -> Response:
    """A GraphQL answer with this data."""
    return reply(200, {"data": value, "extensions": extensions})


def reply(status: int, body: object, headers: dict[str, str] | None = None) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, headers or {}, raw, NOW)


def top_level(code: str | None, message: str = "no", root: str | None = None) -> Response:
    """HTTP 200 with a top-level error."""
    error: dict[str, Any] = {"message": message}
    if code:
        error["extensions"] = {"code": code}
    return reply(200, {"errors": [error], **({"data": {root: None}} if root else {})})


def payload(name: str) -> bytes:
    return (PAYLOADS / name).read_bytes()


Answerer = Callable[[dict[str, Any]], Response]
