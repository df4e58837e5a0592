"""One GraphQL call: request out, answer in, all three layers of failure looked at.

In: a Document and its variables. Out: an `Answer` or a `Failure`. Never: retries, sleeps, or says "no" where it can't be known.

HTTP 200 proves nothing: the status, the top-level `errors` and (by the caller) the `userErrors` are all read.
Source: Shopify docs, "GraphQL Admin API: status and error codes" (shopify.dev/docs/api/admin-graphql#status_and_error_codes), read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from oneshelf.channels.contract import Http, NoAnswer, Request, Response
from oneshelf.channels.shopify.documents import Document
from oneshelf.channels.shopify.limits import Cost, is_throttled, retry_after_s
from oneshelf.core.errors import Closed, Park, Retry, SignInAgain, UsedUp
from oneshelf.core.outcome import Outcome, Rejected, Throttled, Unknown

#: Fields that protected customer data may turn into errors; the rest of the answer is still good.
#: Source: Shopify docs, "Protected customer data" (unapproved fields come back as errors or null), read 2026-11.
PERSONAL = {"customer", "email", "phone", "shippingAddress", "billingAddress", "note", "firstName", "lastName"}

#: Nothing was executed: the document or its variables were refused as a whole.
STATIC_ERRORS = {
    "MAX_COST_EXCEEDED",
    "BAD_REQUEST",
    "INVALID_VARIABLE",
    "INVALID_FIELD_ARGUMENTS",
    "undefinedField",
    "undefinedType",
    "argumentLiteralsIncompatible",
    "argumentNotAccepted",
    "missingRequiredArguments",
    "missingRequiredInputObjectAttribute",
    "variableMismatch",
    "variableRequiresValidType",
    "variableNotDefined",
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
}

#: The shop is out of service for a while; nothing was done. 402 frozen, 423 locked.
SHOP_CLOSED = {402, 423}
SHOP_CLOSED_WAIT_S = 60.0


class Failure(msgspec.Struct, frozen=True):
    """Why a call gave nothing. `unknown`: it may have been done; every other kind: it was not."""

    kind: Literal["throttled", "unauthorized", "refused", "unknown"]
    reason: str
    code: str = ""
    wait_s: float | None = None


class Answer(msgspec.Struct, frozen=True):
    """`data`, and the errors that came beside it."""

    data: dict[str, Any]
    errors: tuple[dict[str, Any], ...]
    received_at: datetime
    shown_at: datetime
    version: str = ""


class GraphQL:
    """One shop's endpoint."""

    def __init__(self, endpoint: str, api_version: str) -> None:
        self.url = f"{endpoint.rstrip('/')}/admin/api/{api_version}/graphql.json"

    async def ask(
        self, http: Http, document: Document, variables: Mapping[str, Any] | None = None, *, each: int = 0
    ) -> Answer:
        """Read. `each`: ids in the call, for its cost. Raises Retry, SignInAgain, Park, NoAnswer."""
        found = read_answer(await http.request(self._request(document, variables, each)))
        if isinstance(found, Failure):
            raise _raised(found)
        _refuse_holes(found.errors)
        return found

    async def tell(self, http: Http, document: Document, variables: Mapping[str, Any]) -> Answer | Failure:
        """Write. Never raises for what the channel or the network did."""
        try:
            response = await http.request(self._request(document, variables, 0))
        except NoAnswer as error:
            if error.sent:
                return Failure("unknown", f"no answer: {error.reason}")
            return Failure("throttled", f"not sent: {error.reason}")
        return read_answer(response)

    def _request(self, document: Document, variables: Mapping[str, Any] | None, each: int) -> Request:
        # Nulls are kept: an omitted changeFromQuantity is an error, null means "no check".
        body = {"query": document.text, "variables": dict(variables or {}), "operationName": document.name}
        return Request(
            method="POST",
            url=self.url,
            operation=document.name,
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            body=msgspec.json.encode(body),
            cost=float(document.cost + document.cost_each * each),
            writes=document.writes,
        )


def read_answer(response: Response) -> Answer | Failure:
    """Return the answer's data, or what kind of failure it is."""
    failure = _http_failure(response)
    if failure is not None:
        return failure
    try:
        body = msgspec.json.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Failure("unknown", "HTTP 200, but no readable JSON")
    if not isinstance(body, dict):
        return Failure("unknown", "HTTP 200, but no object")
    raw = body.get("errors")
    errors = tuple(e for e in raw if isinstance(e, dict)) if isinstance(raw, list) else ()
    if raw and not errors:  # Shopify's older form: "errors": "[API] Invalid API key…"
        return Failure("unknown", f"errors: {str(raw)[:200]}")
    data = body.get("data")
    if isinstance(data, dict) and any(value is not None for value in data.values()):
        return Answer(
            data, errors, response.received_at, response.shown_at, response.headers.get("x-shopify-api-version", "")
        )
    if errors:
        return _top_level_failure(errors, body.get("extensions"))
    if isinstance(data, dict):
        return Answer(
            data, (), response.received_at, response.shown_at, response.headers.get("x-shopify-api-version", "")
        )
    return Failure("unknown", "HTTP 200 without data or errors")


def _http_failure(response: Response) -> Failure | None:
    status = response.status
    if status == 200:
        return None
    if status in (401, 403):
        return Failure(
            "unauthorized", f"HTTP {status}: the token or the shop's permission is not valid", "unauthorized"
        )
    if status == 404:
        return Failure("unauthorized", "HTTP 404: there is no such shop or API version", "no_such_shop")
    if status in SHOP_CLOSED:
        return Failure("throttled", f"HTTP {status}: the shop is out of service", "shop_closed", SHOP_CLOSED_WAIT_S)
    if status == 429:
        return Failure("throttled", "HTTP 429", wait_s=retry_after_s(response))
    if status == 400:
        return Failure("refused", "HTTP 400: Shopify can't read the request", "bad_request")
    return Failure("unknown", f"HTTP {status}")


def _top_level_failure(errors: Sequence[dict[str, Any]], extensions: object) -> Failure:
    reason = "; ".join(str(e.get("message"))[:200] for e in errors[:3])
    codes = {code for code in map(error_code, errors) if code}
    if is_throttled(list(errors)):
        return Failure("throttled", reason, "THROTTLED", _wait_s(extensions))
    if "ACCESS_DENIED" in codes:
        return Failure("unauthorized", reason, "unauthorized")
    if "SHOP_INACTIVE" in codes:
        return Failure("throttled", reason, "SHOP_INACTIVE", SHOP_CLOSED_WAIT_S)
    if codes and codes <= STATIC_ERRORS:
        return Failure("refused", reason, sorted(codes)[0])
    return Failure("unknown", reason or "errors without a message")


def error_code(error: Mapping[str, Any]) -> str:
    """Return `extensions.code` of a top-level error, or ""."""
    extensions = error.get("extensions")
    return str(extensions.get("code") or "") if isinstance(extensions, dict) else ""


def _wait_s(extensions: object) -> float:
    cost = extensions.get("cost") if isinstance(extensions, dict) else None
    try:
        return msgspec.convert(cost or {}, Cost).wait_s()
    except msgspec.ValidationError:
        return Cost().wait_s()


def _refuse_holes(errors: Sequence[dict[str, Any]]) -> None:
    """Data beside errors is believed only if the holes are personal fields. Raises SignInAgain or Retry."""
    for error in errors:
        path = error.get("path")
        if isinstance(path, list) and PERSONAL.intersection(map(str, path)):
            continue
        reason = str(error.get("message"))[:200]
        if error_code(error) == "ACCESS_DENIED":
            raise SignInAgain(f"Shopify does not allow us a field we need: {reason}")
        raise Retry(f"Shopify's answer has a hole: {reason}")


def _raised(failure: Failure) -> Exception:
    if failure.kind == "unauthorized":
        return SignInAgain(failure.reason)
    if failure.kind == "refused":
        return Park(f"{failure.code}: {failure.reason}")
    if failure.code in ("shop_closed", "SHOP_INACTIVE"):
        return Closed(failure.reason, wait_s=failure.wait_s)
    if failure.kind == "throttled":
        return UsedUp(failure.reason, wait_s=failure.wait_s)
    return Retry(failure.reason, wait_s=failure.wait_s)


def outcome_of(failure: Failure) -> Outcome:
    """Return what a failed write means."""
    if failure.kind == "throttled":
        return Throttled(failure.wait_s, failure.reason)
    if failure.kind == "unknown":
        return Unknown(failure.reason)
    return Rejected(failure.reason, failure.code)


def user_errors(payload: Mapping[str, Any], name: str = "userErrors") -> list[dict[str, Any]]:
    """Return the payload's own errors."""
    found = payload.get(name)
    return [e for e in found if isinstance(e, dict)] if isinstance(found, list) else []


#: The service failed inside; whether something was done, only a read can tell.
UNSURE_CODES = {"SERVICE_UNAVAILABLE", "INTERNAL_ERROR"}
STALE_CODES = {"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE"}
#: The first try of the same key still runs: come back with the same key.
BUSY_CODE = "IDEMPOTENCY_CONCURRENT_REQUEST"


def refusal(errors: Sequence[Mapping[str, Any]]) -> Outcome:
    """Return what `userErrors` mean: a mutation is refused as a whole, so nothing of it was done."""
    reason = "; ".join(str(e.get("message"))[:200] for e in errors[:3])
    codes = [str(e.get("code") or "") for e in errors]
    if BUSY_CODE in codes:
        return Throttled(1.0, reason)
    if UNSURE_CODES.intersection(codes):
        return Unknown(reason)
    stale = next((code for code in codes if code in STALE_CODES), None)
    return Rejected(reason, stale or codes[0], stale=stale is not None)
