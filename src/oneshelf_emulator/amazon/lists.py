"""How feeds and reports are listed: filters or a page token, never both.

Source: models feeds_2021-06-30 (getFeeds) and reports_2021-06-30 (getReports), read 2026-11.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from starlette.requests import Request

from .wire import Refusal, listed, number, one, parse_instant

STATUSES = frozenset({"CANCELLED", "DONE", "FATAL", "IN_PROGRESS", "IN_QUEUE"})
TYPES_MAX = 10
PAGES_KEPT = 1_000


class Row(NamedTuple):
    """One feed or report, with what it is filtered by."""

    kind: str
    status: str
    marketplace_ids: tuple[str, ...]
    created_at: datetime
    document: dict[str, Any]


class Pages:
    """The pages under way of one kind of list."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._left: dict[str, tuple[list[dict[str, Any]], int]] = {}

    def answer(
        self, request: Request, rows: Sequence[Row], types_name: str, kept_since: datetime
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return one page and the token of the next. Raises Refusal (400): neither types nor token, or a token and more."""
        token = one(request, "nextToken")
        if token is not None:
            if len(request.query_params) > 1:
                raise Refusal(400, "Invalid input", "nextToken takes no other parameter", "400")
            if token not in self._left:
                raise Refusal(400, "Invalid input", "nextToken is unknown", "400")
            found, size = self._left.pop(token)
        else:
            found, size = self._found(request, rows, types_name, kept_since)
        return found[:size], self._token(found[size:], size)

    def _found(
        self, request: Request, rows: Sequence[Row], types_name: str, kept_since: datetime
    ) -> tuple[list[dict[str, Any]], int]:
        kinds = listed(request, types_name, most=TYPES_MAX)
        if kinds is None:
            raise Refusal(400, "Invalid input", f"{types_name} or nextToken is required", "400")
        statuses = listed(request, "processingStatuses", allowed=STATUSES)
        places = listed(request, "marketplaceIds", most=10)
        size = number(request, "pageSize", 10, 1, 100)
        since, until = one(request, "createdSince"), one(request, "createdUntil")
        earliest = max(kept_since, parse_instant(since, "createdSince")) if since else kept_since
        latest = parse_instant(until, "createdUntil") if until else None
        found = [
            row
            for row in rows
            if row.kind in kinds
            and (statuses is None or row.status in statuses)
            and (places is None or set(places) & set(row.marketplace_ids))
            and row.created_at >= earliest
            and (latest is None or row.created_at <= latest)
        ]
        found.sort(key=lambda row: row.created_at, reverse=True)
        return [row.document for row in found], size

    def _token(self, rest: list[dict[str, Any]], size: int) -> str | None:
        if not rest:
            return None
        token = f"{self._rng.getrandbits(160):040x}"
        self._left[token] = (rest, size)
        while len(self._left) > PAGES_KEPT:
            self._left.pop(next(iter(self._left)))
        return token
