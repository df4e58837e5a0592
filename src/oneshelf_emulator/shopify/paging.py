"""Connections: slices of a sorted list with opaque cursors, valid only with the sort they came from.

Source: contracts sheet shopify section 11: cursors are base64 JSON {"last_id","last_value"}; `first` up to 250.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graphql import GraphQLError

PAGE_SIZE_MAX = 250


@dataclass
class Page:
    """One slice. `keys` (sort value, id) stand beside `nodes`."""

    nodes: list[Any]
    keys: list[tuple[Any, int]]
    has_next_page: bool
    has_previous_page: bool

    @property
    def cursors(self) -> list[str]:
        return [_cursor(key) for key in self.keys]

    def part(self, start: int, end: int) -> Page:
        """Return the nodes from `start` to before `end`."""
        more = end < len(self.nodes) or self.has_next_page
        return Page(self.nodes[start:end], self.keys[start:end], more, start > 0 or self.has_previous_page)

    @property
    def edges(self) -> list[dict[str, Any]]:
        return [{"cursor": cursor, "node": node} for cursor, node in zip(self.cursors, self.nodes, strict=True)]

    @property
    def page_info(self) -> dict[str, Any]:
        return {
            "hasNextPage": self.has_next_page,
            "hasPreviousPage": self.has_previous_page,
            "startCursor": _cursor(self.keys[0]) if self.keys else None,
            "endCursor": _cursor(self.keys[-1]) if self.keys else None,
        }


def _sortable(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    return value


def _cursor(key: tuple[Any, int]) -> str:
    return base64.b64encode(json.dumps({"last_id": key[1], "last_value": key[0]}).encode()).decode()


def _read_cursor(text: str, like: tuple[Any, int] | None) -> tuple[Any, int]:
    try:
        document = json.loads(base64.b64decode(text, validate=True))
        key = (document["last_value"], document["last_id"])
        if not isinstance(key[1], int) or (like is not None and type(key[0]) is not type(like[0])):
            raise ValueError
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise GraphQLError(
            "Invalid cursor for current pagination sort.", extensions={"code": "INVALID_CURSOR"}
        ) from None
    return key


def check_size(first: int | None, last: int | None, name: str) -> None:
    """Raise GraphQLError unless exactly one of `first`, `last` is given and lies between 0 and 250."""
    if (first is None) == (last is None):
        which = (
            "you must provide one of first or last"
            if first is None
            else "providing both first and last is not supported"
        )
        raise GraphQLError(which, extensions={"code": "BAD_REQUEST"})
    size = first if first is not None else last
    assert size is not None
    if not 0 <= size <= PAGE_SIZE_MAX:
        raise GraphQLError(
            f"{'first' if first is not None else 'last'} on {name} must be between 0 and {PAGE_SIZE_MAX}, got {size}",
            extensions={"code": "BAD_REQUEST"},
        )


def page(
    entries: Iterable[tuple[Any, int, Any]],
    *,
    first: int | None = None,
    last: int | None = None,
    after: str | None = None,
    before: str | None = None,
    reverse: bool = False,
) -> Page:
    """Cut a page out of `entries` (sort value, id, node). Values must be str or int, or datetime, all alike."""
    keyed = [((_sortable(value), number), node) for value, number, node in entries]
    by_key: Callable[[Any], Any] = lambda entry: entry[0]  # noqa: E731
    if any(keyed[i][0] > keyed[i + 1][0] for i in range(len(keyed) - 1)):
        keyed.sort(key=by_key)
    if reverse:
        keyed.reverse()
    like = keyed[0][0] if keyed else None
    start, end = 0, len(keyed)
    if after is not None:
        start = _position(keyed, _read_cursor(after, like), reverse, past=True)
    if before is not None:
        end = _position(keyed, _read_cursor(before, like), reverse, past=False)
    if first is not None:
        end = min(end, start + first)
    elif last is not None:
        start = max(start, end - last)
    part = keyed[start:end] if end > start else []
    return Page([node for _, node in part], [key for key, _ in part], end < len(keyed), start > 0)


def _position(keyed: list[tuple[tuple[Any, int], Any]], key: tuple[Any, int], reverse: bool, *, past: bool) -> int:
    """Return where `key` stands in the sorted list (just past it if `past`)."""
    low, high = 0, len(keyed)
    while low < high:
        middle = (low + high) // 2
        here = keyed[middle][0]
        goes_on = (here > key if reverse else here < key) or (past and here == key)
        low, high = (middle + 1, high) if goes_on else (low, middle)
    return low


def plain(nodes: Iterable[Any], **arguments: Any) -> Page:
    """Page records in order of id."""
    return page([(node.id, node.id, node) for node in nodes], **arguments)
