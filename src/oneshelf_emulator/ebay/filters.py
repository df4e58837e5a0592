"""The query of getOrders: its filter grammar and every number it refuses with.

In: the query string. Out: a Search, or Refused. Never: touches an order.
Source: Sell Fulfillment 1.20.6, getOrders parameters and x-response-codes 30700 to 32800, read 2026-11.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from .formats import instant_of, is_number
from .refused import Refused

LIMIT_DEFAULT, LIMIT_MAX = 50, 200
ORDER_IDS_MAX = 50
DEFAULT_DAYS = 90
YEARS_MAX = timedelta(days=731)
CRITERION = re.compile(r"([^:,\[\]{}]+):(\[[^\]]*\]|\{[^}]*\}|[^,]*)(?:,|$)")
STATUS_PAIRS = (frozenset({"NOT_STARTED", "IN_PROGRESS"}), frozenset({"FULFILLED", "IN_PROGRESS"}))


@dataclass(frozen=True)
class Search:
    """What getOrders looks for. With `order_ids` nothing else counts."""

    order_ids: tuple[str, ...] = ()
    created: tuple[datetime, datetime | None] | None = None
    modified: tuple[datetime, datetime | None] | None = None
    statuses: frozenset[str] | None = None
    limit: int = LIMIT_DEFAULT
    offset: int = 0
    taxes: bool = False


def search_of(query: dict[str, str], now: datetime) -> Search:
    """Return what the query asks for. Raises Refused."""
    if query.get("orderIds"):
        ids = tuple(each for each in query["orderIds"].split(",") if each)
        if len(ids) > ORDER_IDS_MAX:
            raise Refused(30900)
        return Search(order_ids=ids, limit=max(1, len(ids)))
    criteria = _criteria(query.get("filter", ""))
    created, modified = criteria.get("creationdate"), criteria.get("lastmodifieddate")
    created_span = _span(created, now) if created is not None else None
    modified_span = _span(modified, now) if modified is not None else None
    if created_span:
        modified_span = None  # if both are sent, only creationdate is used
    if not created_span and not modified_span and "filter" not in query:
        created_span = (now - timedelta(days=DEFAULT_DAYS), None)
    return Search(
        created=created_span,
        modified=modified_span,
        statuses=_statuses(criteria["orderfulfillmentstatus"]) if "orderfulfillmentstatus" in criteria else None,
        limit=_number(query.get("limit"), LIMIT_DEFAULT, low=1, high=LIMIT_MAX, error_id=31100),
        offset=_number(query.get("offset"), 0, low=0, high=None, error_id=31000),
        taxes=field_groups(query),
    )


def field_groups(query: dict[str, str]) -> bool:
    """Whether TAX_BREAKDOWN is asked for. Raises Refused 32800 for any other field group."""
    group = query.get("fieldGroups")
    if group not in (None, "", "TAX_BREAKDOWN"):
        raise Refused(32800, str(group))
    return group == "TAX_BREAKDOWN"


def _criteria(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = CRITERION.match(text, position)
        if match is None:
            raise Refused(30700, text[position : position + 60])
        name = match.group(1).strip().lower()
        if name not in ("creationdate", "lastmodifieddate", "orderfulfillmentstatus"):
            raise Refused(30700, name[:60])
        found[name] = match.group(2)
        position = match.end()
    return found


def _span(value: str, now: datetime) -> tuple[datetime, datetime | None]:
    if not (value.startswith("[") and value.endswith("]")) or ".." not in value:
        raise Refused(30800, value[:60])
    start_text, _, end_text = value[1:-1].partition("..")
    if not start_text:
        raise Refused(30820)
    try:
        start, end = instant_of(start_text), instant_of(end_text) if end_text else None
    except ValueError:
        raise Refused(30810) from None
    if start > now or (end and end > now):
        raise Refused(30850)
    if end and start > end:
        raise Refused(30840)
    if now - start > YEARS_MAX:
        raise Refused(30830)
    return start, end


def _statuses(value: str) -> frozenset[str]:
    statuses = frozenset(value[1:-1].split("|")) if value.startswith("{") and value.endswith("}") else frozenset()
    if statuses not in STATUS_PAIRS:
        raise Refused(30800, f"{value[:60]} for filter orderfulfillmentstatus")
    return statuses


def _number(text: str | None, default: int, *, low: int, high: int | None, error_id: int) -> int:
    if text is None:
        return default
    if not is_number(text) or not low <= int(text) or (high is not None and int(text) > high):
        raise Refused(error_id, text[:40])
    return int(text)
