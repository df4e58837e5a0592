"""Pages by cursor: where a list was, not how far, so that rows that come in between move nothing.

In: a list's position. Out: a sealed text that only we can read, and back.
Never: takes a cursor of another tenant, another list, or other filters.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from fastapi import Query

from oneshelf.core.errors import OneshelfError
from oneshelf.tenants.seal import Sealer

from .problems import ApiError

LIMIT_MAX = 200
LIMIT = 50

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="Rows of a page.")]
CursorText = Annotated[
    str, Query(max_length=2_000, description="`next` of the page before, with the same filters; none: from the start.")
]

Row = TypeVar("Row")


class Page(msgspec.Struct, Generic[Row], frozen=True):
    """One page. `next`: the cursor of the page after it; null: this was the last."""

    items: list[Row]
    next: str | None


class Cursors:
    """Seals and opens cursors. They hold keys of rows, which nobody has to see in an address."""

    def __init__(self, sealer: Sealer, tenant_id: int) -> None:
        self._sealer = sealer
        self._tenant_id = tenant_id

    def seal(self, of: str, position: Sequence[Any]) -> str:
        """Return the cursor of a position in the list `of` (its address and filters)."""
        sealed = self._sealer.seal(msgspec.json.encode([of, *position]), self._tenant_id, 0, "cursor")
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, of: str, text: str) -> list[Any]:
        """Return the position. Raises ApiError for one that is not of this list."""
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            whose, *position = msgspec.json.decode(self._sealer.open(sealed, self._tenant_id, 0, "cursor"))
        except (binascii.Error, ValueError, OneshelfError):
            raise ApiError("not-valid", "This cursor is not ours. Begin again without it.") from None
        if whose != of:
            raise ApiError("not-valid", "This cursor belongs to another list or other filters. Begin again without it.")
        return position


def cut(
    rows: list[Row], limit: int, seal: Callable[[Sequence[Any]], str], key: Callable[[Row], Sequence[Any]]
) -> Page[Row]:
    """Make a page of rows of which one more than `limit` was asked for. `key`: the position of a row."""
    if len(rows) <= limit:
        return Page(rows, None)
    return Page(rows[:limit], seal(key(rows[limit - 1])))
