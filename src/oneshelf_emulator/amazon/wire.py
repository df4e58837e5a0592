"""The wire's own habits: errors, instants, money, query lists, and what every operation does before its own work.

In: requests. Out: answers in Amazon's shape, or `Refusal`. Never: knows an order or a listing.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .limits import RATED_STATUSES

if TYPE_CHECKING:
    from .marketplace import Amazon

Handler = Callable[[Request], Awaitable[Response]]

#: Currencies without a minor unit, and those with three decimals. All others have two.
DECIMALS = {"JPY": 0, "KRW": 0, "KWD": 3}

CODES = {
    400: "InvalidInput",
    403: "Unauthorized",
    404: "NotFound",
    409: "Conflict",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    429: "QuotaExceeded",
    500: "InternalFailure",
}
DENIED = "Access to requested resource is denied."


class Refusal(Exception):
    """Amazon says no. Carries its status and its `errors` entry."""

    def __init__(self, status: int, message: str, details: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.entry = {"code": code or CODES[status], "message": message, "details": details}

    def answer(self) -> JSONResponse:
        return JSONResponse({"errors": [self.entry]}, self.status)


def stamp(instant: datetime) -> str:
    """Return ISO 8601 in UTC with milliseconds, as Orders 2026-01-01 writes it."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03d}Z"


def parse_instant(text: str, name: str) -> datetime:
    """Return the aware instant written in ISO 8601, with or without fraction. Raises Refusal (400)."""
    try:
        instant = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped "+" arrives as a space
    except ValueError:
        raise Refusal(400, "Invalid Input", f"{name} is not a date in ISO 8601 format: {text}") from None
    if instant.tzinfo is None or "T" not in text:
        raise Refusal(400, "Invalid Input", f"{name} needs a time and a zone: {text}")
    return instant.astimezone(UTC)


def decimal_text(minor: int, currency: str) -> str:
    """Return an amount of minor units as the decimal string of its currency ("12.50"; JPY "5980")."""
    places = DECIMALS.get(currency, 2)
    if not places:
        return str(minor)
    sign, whole = ("-" if minor < 0 else ""), abs(minor)
    return f"{sign}{whole // 10**places}.{whole % 10**places:0{places}d}"


def money(minor: int, currency: str) -> dict[str, str]:
    """Return the Money object of the 2026 and Listings APIs."""
    return {"amount": decimal_text(minor, currency), "currencyCode": currency}


def one(request: Request, name: str) -> str | None:
    """Return a query parameter. Raises Refusal if it is given twice: lists are joined by commas here."""
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise Refusal(400, "Invalid Input", f"{name} is given {len(values)} times; join its values by commas")
    return values[0] if values else None


def listed(
    request: Request, name: str, *, allowed: Collection[str] | None = None, most: int | None = None
) -> list[str] | None:
    """Return a comma-joined query parameter as a list, or None if absent. Raises Refusal (400)."""
    text = one(request, name)
    if text is None:
        return None
    values = [value for value in text.split(",") if value]
    if not values:
        raise Refusal(400, "Invalid Input", f"{name} is empty")
    if most is not None and len(values) > most:
        raise Refusal(400, "Invalid Input", f"{name} holds {len(values)} values, at most {most} are allowed")
    if allowed is not None:
        unknown = [value for value in values if value not in allowed]
        if unknown:
            raise Refusal(400, "Invalid Input", f"{name} does not know {', '.join(unknown)}")
    return values


def number(request: Request, name: str, default: int, low: int, high: int) -> int:
    """Return an integer query parameter within its bounds. Raises Refusal (400)."""
    text = one(request, name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise Refusal(400, "Invalid Input", f"{name} must be a whole number between {low} and {high}, got {text}")
    return int(text)


async def json_object(request: Request) -> dict[str, Any]:
    """Return the body as a JSON object. Raises Refusal (400, 415)."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "The request content type is not supported.", "send application/json")
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise Refusal(400, "Invalid Input", "the body is not JSON") from None
    if not isinstance(body, dict):
        raise Refusal(400, "Invalid Input", "the body is not a JSON object")
    return body


def operation(amazon: Amazon, name: str, handler: Handler, grant: str = "seller") -> Handler:
    """Wrap a handler with what Amazon does at every operation: token, usage plan, error shape, headers."""

    async def endpoint(request: Request) -> Response:
        try:
            amazon.tokens.check(request.headers.get("x-amz-access-token"), grant)
            if name in amazon.without_role:
                raise Refusal(403, DENIED)
            if not amazon.buckets[name].take():
                raise Refusal(429, "You exceeded your quota for the requested resource.")
            answer = await handler(request)
        except Refusal as refusal:
            answer = refusal.answer()
        return amazon.headed(answer, name)

    return endpoint


def with_headers(answer: Response, request_id: str, rate_per_s: float | None) -> Response:
    """Add the headers that Amazon promises: the request id always, the rate on some statuses only."""
    answer.headers["x-amzn-RequestId"] = request_id
    if rate_per_s is not None and answer.status_code in RATED_STATUSES:
        answer.headers["x-amzn-RateLimit-Limit"] = f"{rate_per_s:g}"
    return answer
