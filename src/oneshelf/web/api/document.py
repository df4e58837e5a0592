"""The OpenAPI document: FastAPI's, with the shapes of our structs, one kind of error, and the scope of each operation.

Never: is written by hand; a shape in it is the struct that is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from .once import KEY_MAX
from .problems import MEDIA_TYPE, Problem
from .route import GIVEN, KEY_HEADER

REF = "#/components/schemas/{name}"

ABOUT = """What the command line does, for programs. Tokens are made by `oneshelf tokens create`; each opens the areas of its scopes.

Every error is a problem (RFC 9457). Lists are pages: follow `next` until it is null. A write may carry an Idempotency-Key: sent again, it is
not done again. `dry_run=true` says what a write would do. Instants are ISO 8601 in UTC, money is minor units with its currency, quantities
are pieces.
"""


def document(app: FastAPI) -> dict[str, Any]:
    """Return the document, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version="3.1.0",
            summary="One shelf of stock, sold through many shops.",
            description=ABOUT,
            routes=app.routes,
            tags=app.openapi_tags,
            servers=[{"url": "/api/v1"}],
        )
        app.openapi_schema = _with_our_shapes(made)
    return app.openapi_schema


def _with_our_shapes(made: dict[str, Any]) -> dict[str, Any]:
    shapes, components = msgspec.json.schema_components([*GIVEN, Problem], ref_template=REF)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    clash = schemas.keys() & components.keys()
    assert not clash, f"two shapes of one name: {clash}"
    schemas.update(components)
    made["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "A token of `oneshelf tokens create`."}
    }
    wrong = {"description": "A problem", "content": {MEDIA_TYPE: {"schema": shapes[-1]}}}
    for operation in _operations(made):
        scope, gives, media_type = (operation.pop(name) for name in ("x-scope", "x-gives", "x-media-type"))
        operation["description"] = f"{operation.get('description', '')}\n\nScope: `{scope}`.".strip()
        ((status, answer),) = [(s, a) for s, a in operation["responses"].items() if s.startswith("2")]
        answer["content"] = {media_type: {"schema": shapes[gives]}}
        operation["responses"] = {status: answer, "default": wrong}
        if scope.endswith(":write"):
            operation.setdefault("parameters", []).append(_key())
    return made


def _operations(made: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in made["paths"].values():
        yield from methods.values()


def _key() -> dict[str, Any]:
    return {
        "name": KEY_HEADER,
        "in": "header",
        "required": False,
        "description": "New for each write; the same again gives the same answer, for a day.",
        "schema": {"type": "string", "minLength": 1, "maxLength": KEY_MAX},
    }
