"""The page of the REST API, made from its OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from oneshelf.db.events import KINDS
from oneshelf.tenants.api_tokens import GROUPS, SCOPES
from oneshelf.web.api.document import document
from oneshelf.web.api.problems import KINDS as PROBLEMS
from oneshelf.web.api.resources import ALL


def api_document() -> dict[str, Any]:
    """The document as /api/v1/openapi.json gives it, without a service."""
    app = FastAPI(title="Oneshelf", version="1", openapi_url=None)
    for routes in ALL:
        app.include_router(routes)
    return document(app)


def shape(schema: dict[str, Any]) -> str:
    """A schema in a word or two."""
    if "$ref" in schema:
        return f"`{schema['$ref'].rsplit('/', 1)[-1]}`"
    if "anyOf" in schema:
        return " or ".join(shape(one) for one in schema["anyOf"])
    if schema.get("type") == "array" and "items" in schema and schema["items"]:
        return f"list of {shape(schema['items'])}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map to {shape(schema['additionalProperties'])}"
    return {"null": "null", "string": "text"}.get(schema.get("type", ""), schema.get("type", "any"))


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def operation(method: str, path: str, one: dict[str, Any], document: dict[str, Any]) -> str:
    """One operation: what it does, its parameters, its body, its answer."""
    scope = one["description"].rsplit("Scope: `", 1)[1].rstrip("`.")
    lines = [f"### {method.upper()} {path}\n", f"{cell(one['summary'])} Scope `{scope}`.\n"]
    rows = [
        f"| `{p['name']}` | {p['in']} | {shape(p['schema'])} | {cell(p.get('description', ''))} |"
        for p in one.get("parameters", [])
        if p["in"] != "header" and p["name"] not in ("cursor", "limit", "dry_run")
    ]
    names = {p["name"] for p in one.get("parameters", [])}
    for media_type, content in one.get("requestBody", {}).get("content", {}).items():
        schema = content["schema"]
        if "$ref" not in schema:
            rows.append(f"| | body | `{media_type}` | |")
            continue
        body = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
        needed = body.get("required", [])
        for name, field in body["properties"].items():
            must = "" if name in needed else "may be left out. "
            rows.append(f"| `{name}` | body | {shape(field)} | {must}{cell(field.get('description', ''))} |")
    if rows:
        lines.append("\n".join(["| name | in | kind | what |", "|---|---|---|---|", *rows]) + "\n")
    ((status, answer),) = [(s, a) for s, a in one["responses"].items() if s.startswith("2")]
    ((media_type, content),) = answer["content"].items()
    gives = "a CSV file" if media_type == "text/csv" else shape(content["schema"])
    more = [
        word for word, name in (("in pages", "cursor"), ("may be rehearsed (`dry_run`)", "dry_run")) if name in names
    ]
    lines.append(
        f"Gives {gives}{f' with status {status}' if status != '200' else ''}{', ' + ', '.join(more) if more else ''}.\n"
    )
    return "\n".join(lines)


def shapes(document: dict[str, Any]) -> str:
    """Every shape that is sent or taken, by name."""
    parts = []
    for name, schema in sorted(document["components"]["schemas"].items()):
        if "properties" not in schema:
            continue
        rows = [
            f"| `{field}` | {shape(of)} | {cell(of.get('description', ''))} |"
            for field, of in schema["properties"].items()
        ]
        about = cell(schema.get("description", ""))
        parts.append(
            "\n".join(
                [
                    f"### {name}\n",
                    *([f"{about}\n"] if about else []),
                    "| field | kind | what |",
                    "|---|---|---|",
                    *rows,
                    "",
                ]
            )
        )
    return "\n".join(parts)


def page() -> str:
    made = api_document()
    parts = [
        "# REST API\n",
        "What the service answers below `/api/v1`. [How to use it](../how-to/use-the-api.md) · [Webhooks](../how-to/webhooks.md) · the same\n"
        "as OpenAPI 3.1: `/api/v1/openapi.json`, for everybody, without a token.\n",
        "This page is generated: `make docs`.\n",
        "## Scopes\n",
        f"{', '.join(f'`{scope}`' for scope in SCOPES)}. `AREA:write` opens `AREA:read` too. "
        f"`read` is short for every read but `customers:read` and `privacy:read` ({len(GROUPS['read'])} scopes), `all` for every scope.\n",
        "## Problems\n",
        "Every error is `application/problem+json` (RFC 9457). `type` is `urn:oneshelf:problem:` and one of:\n",
        "\n".join(
            ["| kind | status | title |", "|---|---|---|"]
            + [f"| `{kind}` | {status} | {title} |" for kind, (status, title) in PROBLEMS.items()]
        )
        + "\n",
        "## Events\n",
        "What webhooks tell, and `GET /webhooks/events` lists. `data` holds these ids:\n",
        "\n".join(["| kind | what |", "|---|---|"] + [f"| `{kind}` | {what} |" for kind, what in KINDS.items()]) + "\n",
    ]
    for tag in dict.fromkeys(routes.area for routes in ALL):
        about = next(routes.about for routes in ALL if routes.area == tag)
        parts.append(f"## {tag}\n\n{about}\n")
        for path, methods in made["paths"].items():
            parts += [operation(m, path, one, made) for m, one in methods.items() if tag in one["tags"]]
    parts.append("## Shapes\n")
    parts.append(shapes(made))
    return "\n".join(parts)
