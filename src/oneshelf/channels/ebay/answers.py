"""What an HTTP answer of eBay means: the one place that sorts its statuses.

In: request and answer. Out: the body, or Retry / SignInAgain / Park for reads, an `Outcome` for writes. Never: network.
Source: error form and codes of eBay Sell Inventory 1.18.5 and Fulfillment 1.20.6 (x-response-codes), read 2026-11.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from oneshelf.channels.contract import Request, Response
from oneshelf.channels.ebay.limits import wait_s
from oneshelf.channels.ebay.wire import Explained, decoded, explained, explained_body, whole
from oneshelf.core.errors import Park, Retry, SignInAgain, Unreadable, UsedUp
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown

T = TypeVar("T")

#: A 4xx that passes by itself: "dates can't be in the future", said where our clock is ahead of eBay's.
_PASSES = {30850}
#: System error; concurrent access to the item or its group. Nothing is promised about what was done.
_UNSETTLED = {25001, 25025, 30500}
_TOO_MANY = 2001
#: 25002 wraps whatever the listing engine said; some of it passes by itself.
_WRAPPER = 25002
_PASSING = re.compile(r"try again|later|temporar|timed? ?out|internal error", re.IGNORECASE)
#: The wording of the 251st revision is not published; these name the count of revisions, not the act.
_REVISIONS = re.compile(
    r"\b250\b.*\brevis|\brevis.*\b250\b|revisions? (limit|threshold)|(number|limit|maximum|too many)\W+(\w+\W+){0,2}revisions",
    re.IGNORECASE,
)
#: How long to leave a listing alone whose 250 revisions of the day are spent; the day's end is eBay's.
_REVISIONS_WAIT_S = 3_600.0


def body_of_read(request: Request, response: Response, kind: type[T]) -> T:
    """Return a read's decoded body. Raises SignInAgain on 401/403, Retry on 408, 429, 5xx and unreadable bodies, Park on other 4xx."""
    status = response.status
    if 200 <= status < 300:
        try:
            return decoded(response.body, kind, request.operation)
        except Unreadable as bad:
            raise Retry(str(bad)) from bad
    why = f"eBay {request.operation} answered {status}: {_said(response)}"
    if status in (401, 403):
        raise SignInAgain(why)
    if status == 429:
        raise UsedUp(why, wait_s=wait_s(response))
    if 400 <= status < 500 and status != 408 and explained_body(response.body).error_id not in _PASSES:
        raise Park(why)
    raise Retry(why)


def _said(response: Response) -> str:
    error = explained_body(response.body)
    return f"{error.error_id} {error.words}" if error.words else "no eBay error"


def outcome_of_refusal(response: Response) -> Outcome:
    """Sort a whole answer to a write that is not 2xx."""
    if response.status == 429:
        return Throttled(wait_s=wait_s(response), reason=_said(response))
    return _refusal(response.status, explained_body(response.body))


def outcome_of_row(row: dict[str, Any]) -> Outcome:
    """Sort one entry of a bulk answer: a 200 as a whole can carry failed entries."""
    status = whole(row.get("statusCode"))
    if status is None:
        return Unknown("eBay gave this entry no statusCode")
    if 200 <= status < 300:
        return Accepted(reference=str(row.get("sku") or "") or None)
    return _refusal(status, explained(row.get("errors")))


def _refusal(status: int, error: Explained) -> Outcome:
    why = f"{error.error_id} {error.words}" if error.words else f"HTTP {status}"
    if status in (401, 403):
        return Rejected(why, code="unauthorized")
    if status == 429 or error.error_id == _TOO_MANY:
        return Throttled(reason=why)
    if _REVISIONS.search(error.words):
        return Throttled(wait_s=_REVISIONS_WAIT_S, reason=why)
    if status == 408 or not 400 <= status < 500 or error.error_id in _UNSETTLED:
        return Unknown(why)
    if error.error_id == _WRAPPER and _PASSING.search(error.words):
        return Unknown(why)
    return Rejected(why, code=str(error.error_id or status))
