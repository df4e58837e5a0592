"""What is missing at one eBay account, and what a person does about it. Reads only.

In: the account's calls. Out: findings with stable codes. Never: changes anything (that is `subscribe`).
Source: eBay errorIds 1001 and 1100; Sell Account getPrivileges; Developer Analytics getRateLimits, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from oneshelf.channels.contract import Finding, Http, Request, Response
from oneshelf.channels.ebay.answers import body_of_read
from oneshelf.channels.ebay.auth import EbayAuth
from oneshelf.channels.ebay.limits import rates_of
from oneshelf.channels.ebay.wire import decoded, inside, whole
from oneshelf.core.errors import Park, SignInAgain, Unreadable

#: A consent that ends sooner than this is told.
CONSENT_WARNING = timedelta(days=30)
#: The last tenth of a daily budget serves urgent numbers only (S8.11).
LEFT_SHARE_MIN = 0.1

#: (scope, address, operation): a cheap read that needs this scope and no other.
PROBES = (
    ("commerce.identity.readonly", "apiz", "/commerce/identity/v1/user/", "getUser"),
    ("sell.inventory", "api", "/sell/inventory/v1/inventory_item?limit=1&offset=0", "getInventoryItems"),
    ("sell.fulfillment", "api", "/sell/fulfillment/v1/order?limit=1&offset=0", "getOrders"),
    ("commerce.notification.subscription", "api", "/commerce/notification/v1/subscription?limit=10", "subscription"),
    ("sell.account.readonly", "api", "/sell/account/v1/privilege", "getPrivileges"),
)


class Checks:
    """Looks at one account."""

    def __init__(self, endpoint: str, apiz_endpoint: str, locale: str, auth: EbayAuth) -> None:
        self._hosts = {"api": endpoint.rstrip("/"), "apiz": apiz_endpoint.rstrip("/")}
        self._locale = locale
        self._auth = auth

    async def access(self, http: Http) -> tuple[list[Finding], bool]:
        """Return whether the token is taken and each scope there; False: nothing else can be asked. Raises Retry, NoAnswer."""
        findings, privileges = [], None
        for scope, host, path, operation in PROBES:
            request = Request("GET", f"{self._hosts[host]}{path}", operation, {"accept-language": self._locale})
            response = await http.request(request)
            if response.status == 401:
                return [_access_lost("eBay does not take the token: connect the account again")], False
            findings.append(_scope(scope, request, response))
            if operation == "getPrivileges" and response.status == 200:
                privileges = response
            asked_at = response.received_at
        head = Finding("eBay access", ok=True, code="access")
        return [
            head,
            *self._consent(asked_at),
            *findings,
            *([] if privileges is None else _privileges(privileges)),
        ], True

    def _consent(self, now: datetime) -> list[Finding]:
        ends_at = self._auth.consent_ends_at
        if ends_at is None:
            return []
        todo = f"The seller's consent ends on {ends_at:%d %B %Y}: connect the account again before that."
        soon = ends_at - now <= CONSENT_WARNING
        return [Finding("eBay consent", ok=not soon, todo=todo if soon else "", code="access", which="consent")]

    async def quota(self, http: Http, app_secret: Mapping[str, str]) -> list[Finding]:
        """Return the application's daily budgets that are nearly used up. Raises Retry, NoAnswer."""
        url = f"{self._hosts['api']}/developer/analytics/v1_beta/rate_limit/"
        request = Request("GET", url, "getRateLimits")
        try:
            response = await self._auth.as_application(http, request, app_secret)
            if response.status == 204:
                return []
            rates = rates_of(body_of_read(request, response, dict[str, Any]))
        except Park as bad:
            return [Finding("eBay call limits", ok=False, todo=f"They could not be read: {bad}", code="quota")]
        short = {name: left for name, (limit, left) in rates.items() if left < limit * LEFT_SHARE_MIN}
        if not short:
            return [Finding("eBay call limits", ok=True, code="quota")]
        return [
            Finding(
                f"eBay call limit {name}",
                ok=False,
                todo=f"Only {left} calls are left until midnight Pacific; ask eBay for more by its application growth check.",
                code="quota",
                which=name,
            )
            for name, left in short.items()
        ]


def pinned(listings: Sequence[Any]) -> Finding:
    """Return whether offer-level quantities hold numbers down among these listings."""
    held = [one.outlet_external_id for one in listings if one.extra.get("pinned")]
    todo = (
        f"Offers hold the number down: {', '.join(held[:5])}. Clear the offer-level quantity; eBay shows the lower of the two."
        if held
        else ""
    )
    return Finding("eBay offer-level quantities", ok=not held, todo=todo, code="feature", which="pinned")


def _access_lost(todo: str) -> Finding:
    return Finding("eBay access", ok=False, todo=todo, code="access")


def _scope(scope: str, request: Request, response: Response) -> Finding:
    what = f"eBay scope {scope}"
    if response.status == 403:
        todo = f"Connect the account again and agree to {scope}: a scope that was added later needs a new consent."
        return Finding(what, ok=False, todo=todo, code="scope", which=scope)
    try:
        if response.status != 404:
            body_of_read(request, response, dict[str, Any])
    except SignInAgain:
        raise
    except Park as bad:
        return Finding(what, ok=False, todo=str(bad), code="scope", which=scope)
    return Finding(what, ok=True, code="scope", which=scope)


def _privileges(response: Response) -> list[Finding]:
    try:
        answer = decoded(response.body, dict[str, Any], "privileges")
    except Unreadable:
        return []
    done = answer.get("sellerRegistrationCompleted") is not False
    registered = Finding(
        "eBay seller registration",
        ok=done,
        todo="" if done else "Finish the seller registration on eBay: until then nothing can be sold.",
        code="feature",
        which="registration",
    )
    left = whole(inside(answer, "sellingLimit", "quantity"))
    limit = Finding(
        "eBay selling limit",
        ok=left != 0,
        todo="" if left != 0 else "The monthly selling limit is used up: ask eBay for a higher one.",
        code="quota",
        which="selling_limit",
    )
    return [registered, limit]
