"""Reads query strings, forms and JSON bodies as strictly as the OpenAPI document allows. Raises Refused 400."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from .refused import Refused

#: The lowest instant that Etsy's timestamps may take.
EPOCH_MIN = 946_684_800
BOOLEANS = {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}


class Query:
    """The query of one request. A parameter that the operation does not know is refused."""

    def __init__(self, request: Request, known: Iterable[str]) -> None:
        self._items = request.query_params.multi_items()
        unknown = sorted({name for name, _ in self._items} - set(known) - {"legacy", "language"})
        if unknown:
            raise Refused(400, f"Unknown parameter: {', '.join(unknown)}")

    def text(self, name: str) -> str | None:
        values = [value for key, value in self._items if key == name]
        return values[-1] if values else None

    def integer(self, name: str, *, low: int, high: int | None = None, default: int | None = None) -> int | None:
        raw = self.text(name)
        if raw is None:
            return default
        if not re.fullmatch(r"-?[0-9]{1,19}", raw):
            raise Refused(400, f"Expected int value for '{name}' (got '{raw[:40]}')")
        value = int(raw)
        if value < low or (high is not None and value > high):
            most = "" if high is None else f" and at most {high}"
            raise Refused(400, f"There was a problem with /{name} : must be at least {low}{most}")
        return value

    def boolean(self, name: str) -> bool | None:
        """Return True, False, or None where the filter is not set (nullable in the document)."""
        raw = self.text(name)
        if raw is None or raw in ("", "null"):
            return None
        if raw not in BOOLEANS:
            raise Refused(400, f"Expected boolean value for '{name}' (got '{raw[:40]}')")
        return BOOLEANS[raw]

    def choice(self, name: str, choices: Iterable[str], default: str) -> str:
        raw = self.text(name)
        if raw is None:
            return default
        if raw not in set(choices):
            raise Refused(400, f"Invalid value for '{name}': must be one of {', '.join(choices)}")
        return raw

    def items(self, name: str) -> list[str]:
        """Return a list sent either as name=a&name=b or as name=a,b."""
        raw = [value for key, value in self._items if key == name]
        return [part for value in raw for part in value.split(",") if part]

    def subset(self, name: str, choices: frozenset[str]) -> set[str]:
        chosen = set(self.items(name))
        if chosen - choices:
            raise Refused(400, f"Invalid value for '{name}': {', '.join(sorted(chosen - choices))}")
        return chosen


def form_of(request: Request, body: bytes) -> dict[str, str]:
    """Return the form fields; {} if the body came as anything else (Etsy then sees no fields)."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").split(";")[0].strip() == "application/json"


def json_of(body: bytes) -> Any:
    """Return the parsed body. NaN, Infinity and lone surrogates are no JSON that could be answered."""
    try:
        parsed = json.loads(body, parse_constant=_no_constant)
        json.dumps(parsed, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Refused(400, "Request body is not valid JSON") from None
    return parsed


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
