"""The forms that Shopify gives its refusals: user errors, top-level errors, graphql-ruby style static errors.

Source: contracts sheet shopify section 2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from graphql import GraphQLError

from .store import split_gid

Payload = dict[str, Any]


def user_error(message: str, field: Sequence[str | int] | None = None, code: str | None = None) -> Payload:
    """Return one entry of `userErrors`; every step of `field` is text."""
    return {"field": [str(step) for step in field] if field is not None else None, "message": message, "code": code}


def internal_error(request_id: str) -> Payload:
    """Return the error that a failure on Shopify's side gives."""
    return {
        "message": f"Internal error. Looks like something went wrong on our end.\nRequest ID: {request_id}",
        "extensions": {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id},
    }


def missing_argument(type_name: str, argument: str) -> GraphQLError:
    """Return the error for an input field that the schema leaves optional and Shopify does not [C 4]."""
    return GraphQLError(
        f"{type_name} must include the following argument: {argument}.",
        extensions={"code": "INVALID_FIELD_ARGUMENTS"},
    )


def check_gid(value: Any, *kinds: str) -> None:
    """Raise unless `value` is a global id (of one of `kinds`, if given)."""
    parts = split_gid(value)
    if parts is None:
        raise GraphQLError(f"Invalid global id '{value}'", extensions={"code": "argumentLiteralsIncompatible"})
    if kinds and parts[0] not in kinds:
        raise GraphQLError("invalid id", extensions={"code": "RESOURCE_NOT_FOUND"})


_STATIC: list[tuple[re.Pattern[str], str, str, tuple[str, ...]]] = [
    (
        re.compile(r"Cannot query field '(?P<field>\w+)' on type '(?P<type>\w+)'"),
        "Field '{field}' doesn't exist on type '{type}'",
        "undefinedField",
        ("type:typeName", "field:fieldName"),
    ),
    (
        re.compile(r"Unknown argument '(?P<arg>\w+)' on field '(?P<type>\w+)\.(?P<field>\w+)'"),
        "Field '{field}' doesn't accept argument '{arg}'",
        "argumentNotAccepted",
        ("field:name", "arg:argumentName"),
    ),
    (
        re.compile(r"Argument '(?P<type>\w+)\.(?P<field>\w+)\((?P<arg>\w+):\)' of type '[^']+' is required"),
        "Field '{field}' is missing required arguments: {arg}",
        "missingRequiredArguments",
        ("field:name", "arg:arguments"),
    ),
    (
        re.compile(r"Field '(?P<field>\w+)' argument '(?P<arg>\w+)' of type '[^']+' is required"),
        "Field '{field}' is missing required arguments: {arg}",
        "missingRequiredArguments",
        ("field:name", "arg:arguments"),
    ),
    (
        re.compile(r"Unknown directive '@(?P<name>\w+)'"),
        "Directive @{name} is not defined",
        "undefinedDirective",
        ("name:directiveName",),
    ),
    (
        re.compile(r"Field '(?P<field>\w+)' of type '(?P<type>[^']+)' must have a selection of subfields"),
        "Field must have selections (field '{field}' returns {type} but has no selections. Did you mean '{field} {{ ... }}'?)",
        "selectionMismatch",
        ("field:nodeName", "type:typeName"),
    ),
    (
        re.compile(r"Variable '\$(?P<name>\w+)' is not defined"),
        "Variable ${name} is used but not declared",
        "variableNotDefined",
        ("name:variableName",),
    ),
    (
        re.compile(r"Variable '\$(?P<name>\w+)' is never used"),
        "Variable ${name} is declared but not used",
        "variableNotUsed",
        ("name:variableName",),
    ),
]


def static_error(error: GraphQLError) -> Payload:
    """Return an error found before execution, worded as graphql-ruby words it (the codes it is known by)."""
    document: Payload = {"message": error.message}
    if error.locations:
        document["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    for pattern, message, code, names in _STATIC:
        match = pattern.search(error.message)
        if match:
            found = match.groupdict()
            document["message"] = message.format(**found)
            extensions = {"code": code}
            for pair in names:
                here, there = pair.split(":")
                extensions[there] = found[here]
            document["extensions"] = extensions
            return document
    if error.message.startswith("Syntax Error"):
        document["message"] = "Parse error on " + error.message.removeprefix("Syntax Error: ")
        return document
    document["extensions"] = {"code": "argumentLiteralsIncompatible"}
    return document


def variable_error(name: str, type_text: str, value: Any, problems: list[Payload], location: Payload | None) -> Payload:
    """Return the error for a variable whose value does not fit its type."""
    first = problems[0]
    where = ".".join(str(step) for step in first["path"])
    text = f"{where} ({first['explanation']})" if where else first["explanation"]
    message = f"Variable ${name} of type {type_text} was provided invalid value"
    document: Payload = {
        "message": f"{message} for {text}" if where else message,
        "extensions": {"code": "INVALID_VARIABLE", "value": value, "problems": problems},
    }
    if location:
        document["locations"] = [location]
    return document
