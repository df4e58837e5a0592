"""What an HTTP answer means: the one place that sorts Amazon's statuses.

In: request and answer. Out: the body, or Retry / SignInAgain / Park for reads, an `Outcome` for writes. Never: network.
Codes are not uniform across Amazon's APIs, so the HTTP status decides, never the code.
Source: error responses in Amazon's models; page "Response format", read 2026-11.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import msgspec

from oneshelf.channels.amazon.limits import throttle_wait_s
from oneshelf.channels.contract import NoAnswer, Request, Response
from oneshelf.core.errors import Park, Retry, SignInAgain, UsedUp
from oneshelf.core.outcome import Outcome, Rejected, Throttled, Unknown

_REASON_MAX = 300

T = TypeVar("T")


class Explained(NamedTuple):
    """Amazon's own code and words for a failure; both empty when the body is not Amazon's error form."""

    code: str
    text: str


def explained(response: Response) -> Explained:
    """Read `{"errors": [{code, message, details}]}`. Some operations give the bare list. Never raises."""
    try:
        document: Any = msgspec.json.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Explained("", f"HTTP {response.status} without a readable reason")
    errors = document.get("errors") if isinstance(document, dict) else document
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    code = str(first.get("code") or "")
    words = [str(first[name]) for name in ("message", "details") if first.get(name)]
    return Explained(code, ": ".join(dict.fromkeys(words))[:_REASON_MAX] or f"HTTP {response.status}")


def body_of_read(request: Request, response: Response) -> bytes:
    """Return a read's body. Raises SignInAgain on 401/403, Retry on 408, 429, 5xx and oddities, Park on other 4xx."""
    status, operation = response.status, request.operation
    if 200 <= status < 300:
        return response.body
    why = f"Amazon {operation} answered {status}: {explained(response).text}"
    if status in (401, 403):
        raise SignInAgain(why)
    if status == 429:
        raise UsedUp(why, wait_s=throttle_wait_s(operation))
    if 400 <= status < 500 and status != 408:
        raise Park(why)
    raise Retry(why)


def decoded(request: Request, body: bytes, kind: type[T]) -> T:
    """Decode a read's body, numbers also when they came as strings. Raises Retry: a cut or HTML answer may pass."""
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as bad:
        raise Retry(f"Amazon {request.operation} gave an unreadable answer ({type(bad).__name__})") from bad


def outcome_of_refusal(request: Request, response: Response) -> Outcome:
    """Sort an answer to a write that is not 2xx: 4xx is a no, 429 nothing done, anything else unknown.

    Source: Listings Items model statuses 400, 403, 413, 415, 429, 500, 503, read 2026-11.
    """
    status = response.status
    why = explained(response)
    if status in (401, 403):
        return Rejected(reason=why.text, code="unauthorized")
    if status == 429:
        return Throttled(wait_s=throttle_wait_s(request.operation), reason=why.text)
    if 400 <= status < 500 and status != 408:
        return Rejected(reason=why.text, code=why.code or str(status))
    return Unknown(reason=f"HTTP {status}: {why.text}")


def outcome_of_silence(lost: NoAnswer) -> Outcome:
    """No answer to a write: nothing arrived when it was not sent, else only a read can tell."""
    if lost.sent:
        return Unknown(reason=lost.reason)
    return Throttled(reason=lost.reason)
