"""Every error as a problem (RFC 9457): what kind, what happened, what to do.

In: exceptions. Out: an answer of application/problem+json. Never: tells of anything inside that the caller did not send.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from oneshelf.core.errors import NotThere, OneshelfError, Park, Retry, SignInAgain, Stop

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"

#: Kind → (status, title). The kind is the end of the problem's `type`, for programs to look at.
KINDS: dict[str, tuple[int, str]] = {
    "not-understood": (400, "The request can't be read"),
    "no-token": (401, "A token is needed"),
    "no-scope": (403, "The token does not open this"),
    "not-found": (404, "There is nothing here"),
    "method-not-allowed": (405, "This can't be done at this address"),
    "too-slow": (408, "The request took too long to arrive"),
    "not-possible": (409, "It can't be done as things are"),
    "under-way": (409, "The same request is being carried out"),
    "interrupted": (409, "Not known whether it was done"),
    "too-large": (413, "The request is too large"),
    "media-type": (415, "The body is of another kind"),
    "not-valid": (422, "The request is not as it should be"),
    "key-used": (422, "This key belongs to another request"),
    "too-many": (429, "Too many requests"),
    "broken": (500, "Something is broken here"),
    "channel": (502, "The channel did not do it"),
    "stopped": (503, "The service can't keep anything now"),
}
TYPE = "urn:oneshelf:problem:"


class Wrong(msgspec.Struct, frozen=True):
    """One thing that is wrong with a request. `at`: a JSON pointer into the body, or `query:NAME`, `path:NAME`, `header:NAME`."""

    at: str
    what: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong (RFC 9457). `type` says the kind to programs, `detail` what to do to people. `instance` names a line of our log."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""
    errors: tuple[Wrong, ...] = ()


class ApiError(Exception):
    """Ends a request with a problem of one of KINDS."""

    def __init__(self, kind: str, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.headers = dict(headers or {})


def problem(
    kind: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Wrong] = (),
    instance: str = "",
) -> Response:
    """Return a problem as an answer."""
    status, title = KINDS[kind]
    body = Problem(TYPE + kind, title, status, detail, instance, tuple(errors))
    return Response(
        msgspec.json.encode(body), status, {"cache-control": "no-store", **(headers or {})}, media_type=MEDIA_TYPE
    )


def of_error(error: BaseException, path: str) -> Response:
    """Return what an exception means to the caller; what nobody foresaw is logged under a reference."""
    match error:
        case ApiError():
            return problem(error.kind, str(error), headers=error.headers)
        case RequestValidationError():
            return _not_valid(error)
        case HTTPException():
            return _of_http(error)
        case NotThere():
            return problem("not-found", str(error))
        case SignInAgain() | Retry():
            return problem("channel", str(error))
        case Park():
            return problem("not-possible", str(error))
        case Stop():
            return problem("stopped", str(error))
        case OneshelfError():
            return problem("not-possible", str(error))
    reference = secrets.token_hex(4).upper()
    log.error("api_failed", path=path, reference=reference, exc_info=error)
    text = f"Nothing of this request was kept unless it was done before. Reference {reference}: it stands in the log with the cause."
    return problem("broken", text, instance=f"urn:oneshelf:log:{reference}")


def _of_http(error: HTTPException) -> Response:
    if error.status_code == 404:
        return problem("not-found", "There is no such address. /api/v1/openapi.json lists them.")
    if error.status_code == 405:
        return problem("method-not-allowed", "This address takes another method.", headers=error.headers)
    return problem("not-understood", "The body can't be read. Send JSON.")


def _not_valid(error: RequestValidationError) -> Response:
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return problem("not-understood", "The body is not JSON.")
    wrong = [Wrong(_pointer(one["loc"]), _what(one)) for one in found]
    return problem("not-valid", "; ".join(f"{one.at}: {one.what}" for one in wrong[:5]), errors=wrong[:100])


def _pointer(place: Sequence[Any]) -> str:
    """Return where it is: `/parts/0/sku` in the body, `query:limit` elsewhere."""
    where, *names = place
    if where != "body":
        return f"{where}:{'.'.join(map(str, names))}"
    return "".join("/" + str(name).replace("~", "~0").replace("/", "~1") for name in names) or "/"


def _what(one: Mapping[str, Any]) -> str:
    """Return what is wrong, without what was sent (it may be a person's or a secret)."""
    text = str(one["msg"]).removeprefix("Value error, ")
    return text[:1].lower() + text[1:]
