"""What an HTTP answer of Etsy means: the one place that sorts its statuses.

In: request and answer. Out: the body, or Retry / SignInAgain / Park for reads, an `Outcome` for writes. Never: network.
Source: responses of the Etsy OpenAPI document; texts from github.com/etsy/open-api, read 2026-11.
"""

from __future__ import annotations

from typing import Any, TypeVar

from oneshelf.channels.contract import Request, Response
from oneshelf.channels.etsy.limits import wait_s
from oneshelf.channels.etsy.wire import decoded, text
from oneshelf.core.errors import Park, Retry, SignInAgain, Unreadable, UsedUp
from oneshelf.core.outcome import Outcome, Rejected, Throttled, Unknown

_REASON_MAX = 300

T = TypeVar("T")


def reason(response: Response) -> str:
    """Return Etsy's words for a failure, or the status when the body is not Etsy's (HTML happens). Never raises."""
    try:
        document = decoded(response.body, dict[str, Any], "error")
    except Unreadable:
        return f"HTTP {response.status}"
    words = [text(document.get(name)) for name in ("error", "error_description")]
    return ": ".join(word for word in words if word)[:_REASON_MAX] or f"HTTP {response.status}"


def body_of_read(request: Request, response: Response, kind: type[T]) -> T:
    """Return a read's decoded body. Raises SignInAgain on 401/403, Retry on 408, 429, 5xx and unreadable bodies, Park on other 4xx."""
    status = response.status
    if 200 <= status < 300:
        try:
            return decoded(response.body, kind, request.operation)
        except Unreadable as bad:
            raise Retry(str(bad)) from bad
    why = f"Etsy {request.operation} answered {status}: {reason(response)}"
    if status in (401, 403):
        raise SignInAgain(why)
    if status == 429:
        raise UsedUp(why, wait_s=wait_s(response))
    if 400 <= status < 500 and status not in (408, 409):
        raise Park(why)
    raise Retry(why)


def outcome_of_refusal(response: Response) -> Outcome:
    """Sort an answer to a write that is not 2xx. 409: the listing was changed meanwhile; read it again (stale)."""
    status, why = response.status, reason(response)
    if status in (401, 403):
        return Rejected(reason=why, code="unauthorized")
    if status == 409:
        return Rejected(reason=why, code="conflict", stale=True)
    if status == 429:
        return Throttled(wait_s=wait_s(response), reason=why)
    if 400 <= status < 500 and status != 408:
        return Rejected(reason=why, code=str(status))
    return Unknown(reason=f"HTTP {status}: {why}")
