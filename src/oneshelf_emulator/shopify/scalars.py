"""Shopify's own scalars, strict in both directions: graphql-core alone would accept anything for them.

Source: contracts sheet shopify sections 14.20 and 15; scalar descriptions of the Admin GraphQL schema 2026-10.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from graphql import GraphQLError, GraphQLScalarType, GraphQLSchema, ValueNode
from graphql.utilities import value_from_ast_untyped

_DECIMAL = re.compile(r"-?\d+(\.\d+)?\Z")
_DIGITS = re.compile(r"\d+\Z")
#: `2026-11-23T03:50:00Z`, with or without fraction, with an offset or Z. A date alone or a naive time is refused.
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)\Z")


def instant_text(at: datetime) -> str:
    """Return an instant as GraphQL answers carry it: whole seconds, UTC, `Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_instant(value: Any) -> datetime:
    """Read an ISO 8601 instant with its zone. Raises GraphQLError."""
    if not isinstance(value, str) or not _DATE_TIME.match(value):
        raise GraphQLError(f"invalid DateTime '{value}'")
    try:
        return datetime.fromisoformat(value.replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        raise GraphQLError(f"invalid DateTime '{value}'") from None


def _parse_decimal(value: Any) -> Decimal:
    """Accept decimal text only: a JSON number would already have been rounded by its sender's floats."""
    if not isinstance(value, str) or not _DECIMAL.match(value):
        raise GraphQLError(f"invalid decimal '{value}': a string such as \"29.99\" is expected")
    try:
        return Decimal(value)
    except InvalidOperation:
        raise GraphQLError(f"invalid decimal '{value}'") from None


def _parse_unsigned(value: Any) -> int:
    if not isinstance(value, str) or not _DIGITS.match(value) or int(value) >= 2**64:
        raise GraphQLError(f"invalid UnsignedInt64 '{value}'")
    return int(value)


def parse_url(value: Any) -> str:
    """Accept an absolute URL with scheme and host. Raises GraphQLError."""
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
    except ValueError:
        parts = None
    if parts is None or not parts.scheme or not parts.netloc or " " in value:
        raise GraphQLError(f"Invalid url '{value}'")
    return str(value)


def _show_unsigned(value: Any) -> str:
    return str(int(value))


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "DateTime": parse_instant,
    "Money": _parse_decimal,
    "Decimal": _parse_decimal,
    "UnsignedInt64": _parse_unsigned,
    "URL": parse_url,
}
_PRINTERS: dict[str, Callable[[Any], Any]] = {
    "DateTime": instant_text,
    "Money": lambda money: money if isinstance(money, str) else money.text,
    "Decimal": str,
    "UnsignedInt64": _show_unsigned,
    "URL": str,
}


def make_strict(schema: GraphQLSchema) -> None:
    """Give the schema's own scalars their parsers and printers."""
    for name, parse in _PARSERS.items():
        scalar = schema.type_map.get(name)
        if not isinstance(scalar, GraphQLScalarType):
            continue

        def literal(node: ValueNode, *_: Any, parse: Callable[[Any], Any] = parse, **__: Any) -> Any:
            value = value_from_ast_untyped(node)
            return parse(value)

        answer = _PRINTERS[name]
        # Old and new names of the hooks: graphql-core 3.3 has both.
        for hook, function in (("parse_value", parse), ("coerce_input_value", parse), ("parse_literal", literal),
                               ("coerce_input_literal", literal), ("serialize", answer), ("coerce_output_value", answer)):  # fmt: skip
            setattr(scalar, hook, function)
