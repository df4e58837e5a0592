"""Setting up Commerce Notification: configuration, destination, subscriptions. Safe to repeat.

In: the public address and the application's secrets. Out: findings. Never: deletes what it did not make.
Each step is a trap without the one before: configuration (195003), live address (eBay asks the challenge), destination, subscription.
Source: eBay Commerce Notification 1.6.7 and its error codes, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from oneshelf.channels.contract import Finding, Http, Request, Response
from oneshelf.channels.ebay.answers import body_of_read
from oneshelf.channels.ebay.auth import EbayAuth
from oneshelf.channels.ebay.wire import explained_body, inside, objects, text
from oneshelf.core.errors import Park, SignInAgain

_NAME = "Oneshelf"
_PAGES_MAX = 20
_ALREADY = {195012, 195021}


class Topic(NamedTuple):
    """A topic we want. `by_application`: its scope is APPLICATION. `needed`: work is not complete without it."""

    name: str
    schema_version: str
    by_application: bool = False
    needed: bool = True
    why_not: str = ""


TOPICS = (
    Topic("ORDER_CONFIRMATION", "1.1"),
    Topic("MARKETPLACE_ACCOUNT_DELETION", "1.0", by_application=True),
    Topic("AUTHORIZATION_REVOCATION", "1.0", by_application=True),
    # Their scopes are gated (commerce.shipping, sell.cancellation): refused for most keysets, and polling covers them.
    Topic(
        "ITEM_MARKED_SHIPPED", "1.0", needed=False, why_not="scope commerce.shipping is not granted; polling covers it"
    ),
    Topic(
        "ORDER_CANCELLATION_ACTIVITY",
        "1.0",
        needed=False,
        why_not="scope sell.cancellation is not granted; polling covers it",
    ),
)


class Notifications:
    """The notification set-up of one application and seller."""

    def __init__(self, endpoint: str, auth: EbayAuth) -> None:
        self._base = f"{endpoint.rstrip('/')}/commerce/notification/v1"
        self._auth = auth

    async def subscribe(
        self, http: Http, callback_url: str, app_secret: Mapping[str, str], alert_email: str
    ) -> list[Finding]:
        """Make sure that each wanted topic reaches `callback_url`. Raises Retry, SignInAgain, NoAnswer."""
        try:
            problem = await self._configure(http, app_secret, alert_email)
            if problem:
                return [Finding("eBay notifications: configuration", ok=False, todo=problem)]
            destination = await self._destination(http, callback_url, app_secret)
        except SignInAgain:
            raise
        except Park as bad:
            return [Finding("eBay notifications", ok=False, todo=str(bad))]
        findings = [Finding("eBay notifications: destination", ok=True)]
        for by_application in (False, True):
            wanted = [topic for topic in TOPICS if topic.by_application == by_application]
            findings += await self._subscriptions(http, app_secret, destination, wanted, by_application=by_application)
        return findings

    async def check(self, http: Http, callback_url: str, app_secret: Mapping[str, str]) -> list[Finding]:
        """Look whether notices reach `callback_url`; changes nothing. Raises Retry, SignInAgain, NoAnswer."""
        again = "Oneshelf sets it up again within the hour by itself; until then orders are heard by polling only."
        try:
            get = Request(method="GET", url=f"{self._base}/config", operation="config")
            response = await self._auth.as_application(http, get, app_secret)
            configured = response.status != 404
            if configured:
                body_of_read(get, response, dict[str, Any])
            every = await self._listed(http, "/destination", "destinations", "destination", app_secret)
            found = [one for one in every if inside(one, "deliveryConfig", "endpoint") == callback_url]
            if every and not found:
                return [
                    _elsewhere(callback_url, text(inside(every[0], "deliveryConfig", "endpoint")) or "another address")
                ]
            own = {text(one.get("destinationId")) for one in found}
            live = any(text(one.get("status")) == "ENABLED" for one in found)
            findings = [
                _found("eBay notifications: configuration", configured, "Enter alert_email. " + again, "config"),
                _found(
                    "eBay notifications: destination",
                    live,
                    "eBay has none that is enabled; it marks one down that does not answer: see that this address can be reached "
                    "from outside. " + again,
                    "destination",
                ),
            ]
            for by_application in (False, True):
                secret = app_secret if by_application else None
                rows = await self._listed(http, "/subscription", "subscriptions", "subscription", secret)
                on = {
                    text(r.get("topicId"))
                    for r in rows
                    if text(r.get("status")) == "ENABLED" and r.get("destinationId") in own
                }
                for topic in TOPICS:
                    if topic.by_application == by_application:
                        todo = (
                            f"eBay does not tell us {topic.name}: the subscription is gone or switched off. {again}"
                            if topic.needed
                            else f"Not had: {topic.why_not}."
                        )
                        findings.append(
                            _found(
                                f"eBay notifications: {topic.name}",
                                topic.name in on,
                                todo,
                                topic.name,
                                needed=topic.needed,
                            )
                        )
            return findings
        except SignInAgain:
            raise
        except Park as bad:
            return [Finding("eBay notifications", ok=False, todo=str(bad), code="subscription")]

    async def public_key(self, http: Http, key_id: str, app_secret: Mapping[str, str]) -> str:
        """Return the key that signs under this id, as eBay gives it. Raises Park on an unknown id, Retry, SignInAgain, NoAnswer."""
        request = Request(method="GET", url=f"{self._base}/public_key/{key_id}", operation="getPublicKey")
        response = await self._auth.as_application(http, request, app_secret)
        key = text(body_of_read(request, response, dict[str, Any]).get("key"))
        if key is None:
            raise Park(f"eBay gave no key for {key_id}")
        return key

    # --- steps ---------------------------------------------------------------------------------------------------

    async def _configure(self, http: Http, app_secret: Mapping[str, str], alert_email: str) -> str:
        get = Request(method="GET", url=f"{self._base}/config", operation="config")
        response = await self._auth.as_application(http, get, app_secret)
        if response.status != 404:
            body_of_read(get, response, dict[str, Any])
            return ""
        if not alert_email:
            return "Enter an e-mail address for eBay's alerts (alert_email); eBay sends no notifications without one."
        put = self._write("PUT", "/config", "config", {"alertEmail": alert_email})
        self._done(put, await self._auth.as_application(http, put, app_secret))
        return ""

    async def _destination(self, http: Http, callback_url: str, app_secret: Mapping[str, str]) -> str:
        token = app_secret.get("verification_token", "")
        wanted = {
            "name": _NAME,
            "status": "ENABLED",
            "deliveryConfig": {"endpoint": callback_url, "verificationToken": token},
        }
        for attempt in (1, 2):
            for found in await self._listed(http, "/destination", "destinations", "destination", app_secret):
                if inside(found, "deliveryConfig", "endpoint") != callback_url:
                    continue
                own = text(found.get("destinationId")) or ""
                known = inside(found, "deliveryConfig", "verificationToken")
                if text(found.get("status")) != "ENABLED" or known not in (None, token):
                    put = self._write("PUT", f"/destination/{own}", "destination", wanted)
                    self._done(put, await self._auth.as_application(http, put, app_secret))
                return own
            post = self._write("POST", "/destination", "destination", wanted)
            response = await self._auth.as_application(http, post, app_secret)
            if attempt == 1 and explained_body(response.body).error_id in _ALREADY:
                continue
            self._done(post, response)
            made = response.headers.get("location", "").rstrip("/").rpartition("/")[2]
            if made:
                return made
        raise Park("eBay keeps no destination for our address; try again")

    async def _subscriptions(
        self,
        http: Http,
        app_secret: Mapping[str, str],
        destination: str,
        wanted: list[Topic],
        *,
        by_application: bool,
    ) -> list[Finding]:
        secret = app_secret if by_application else None
        try:
            present = {
                text(one.get("topicId")): one
                for one in await self._listed(http, "/subscription", "subscriptions", "subscription", secret)
            }
        except Park as bad:
            return [
                Finding(f"eBay notifications: {topic.name}", ok=not topic.needed, todo=str(bad)) for topic in wanted
            ]
        return [await self._subscription(http, secret, destination, topic, present.get(topic.name)) for topic in wanted]

    async def _subscription(
        self,
        http: Http,
        secret: Mapping[str, str] | None,
        destination: str,
        topic: Topic,
        present: dict[str, Any] | None,
    ) -> Finding:
        what = f"eBay notifications: {topic.name}"
        body: dict[str, Any] = {
            "destinationId": destination,
            "status": "ENABLED",
            "payload": {"format": "JSON", "schemaVersion": topic.schema_version, "deliveryProtocol": "HTTPS"},
        }
        if present is None:
            request = self._write("POST", "/subscription", "subscription", {"topicId": topic.name, **body})
        elif present.get("destinationId") == destination and text(present.get("status")) == "ENABLED":
            return Finding(what, ok=True)
        else:
            own = text(present.get("subscriptionId")) or ""
            body["payload"]["schemaVersion"] = text(inside(present, "payload", "schemaVersion")) or topic.schema_version
            request = self._write("PUT", f"/subscription/{own}", "subscription", body)
        response = await self._ask(http, request, secret)
        error = explained_body(response.body)
        if 200 <= response.status < 300 or error.error_id in _ALREADY:
            return Finding(what, ok=True)
        if response.status >= 500 or response.status == 429:
            body_of_read(request, response, dict[str, Any])
        if not topic.needed:
            return Finding(what, ok=True, todo=f"Not had: {topic.why_not}.")
        return Finding(what, ok=False, todo=f"eBay refused it: {error.error_id} {error.words or response.status}")

    # --- parts ---------------------------------------------------------------------------------------------------

    def _write(self, method: str, path: str, operation: str, body: Mapping[str, Any]) -> Request:
        return Request(
            method=method,
            url=f"{self._base}{path}",
            operation=operation,
            headers={"content-type": "application/json"},
            body=msgspec.json.encode(body),
            writes=True,
        )

    async def _ask(self, http: Http, request: Request, secret: Mapping[str, str] | None) -> Response:
        """Send as the application, or (None) as the seller."""
        if secret is None:
            return await http.request(request)
        return await self._auth.as_application(http, request, secret)

    async def _listed(
        self, http: Http, path: str, field: str, operation: str, secret: Mapping[str, str] | None
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        query = "?limit=100"
        for _ in range(_PAGES_MAX):
            request = Request(method="GET", url=f"{self._base}{path}{query}", operation=operation)
            answer = body_of_read(request, await self._ask(http, request, secret), dict[str, Any])
            found += objects(answer.get(field))
            # Only the query of `next` is followed, never its host.
            after = (text(answer.get("next")) or "").partition("?")[2]
            if not after or f"?{after}" == query:
                break
            query = f"?{after}"
        return found

    def _done(self, request: Request, response: Response) -> None:
        """Raise unless the write was accepted (most answer 201 or 204 without a body)."""
        if not 200 <= response.status < 300:
            body_of_read(request, response, dict[str, Any])


def _elsewhere(callback_url: str, address: str) -> Finding:
    todo = (
        f"eBay sends its notices to {address} and not to {callback_url}. Oneshelf sets its own address up again within the hour by "
        "itself. If this comes back, another installation uses the same keyset: stop it, or give each a keyset of its own."
    )
    return Finding("eBay's notices come to this address", ok=False, todo=todo, code="callback", which=address)


def _found(what: str, there: bool, todo: str, which: str, *, needed: bool = True) -> Finding:
    return Finding(what, ok=there or not needed, todo="" if there else todo, code="subscription", which=which)
