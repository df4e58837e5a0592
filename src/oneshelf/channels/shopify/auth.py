"""Tokens and signatures of a Shopify shop.

In: the account's Secret; webhooks as they came in. Out: authorized requests, renewed secrets, yes or no to a signature.
Never: stores a secret, or writes one into an error.

Secret.values, and what they mean together (the first that fits):

| keys | grant |
|---|---|
| `refresh_token`, `client_id`, `client_secret` (and `access_token`) | expiring offline token with a rotating refresh token |
| `session_token`, `client_id`, `client_secret` | token exchange: an embedded page's session token, once, for an expiring offline token |
| `client_id`, `client_secret` (and `access_token`) | client credentials: ask again before the end |
| `access_token` alone | a token without an end (`shpat_…`): never renewed |

Source: Shopify docs, "Client credentials grant", "Offline access tokens" and "Token exchange" (shopify.dev/docs/apps/build/authentication-authorization),
read 2026-11.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from oneshelf.channels.contract import Claimed, Http, NoAnswer, RawRequest, Request, Response, Secret
from oneshelf.channels.shopify.form import instant
from oneshelf.core.errors import Retry, SignInAgain, Unreadable

#: OAuth errors that no second try repairs. Source: RFC 6749 section 5.2.
#: `shop_not_permitted`: the app is not installed in the shop. U: its spelling is from reports, Shopify's documentation lists no errors.
REFUSED = {
    "invalid_grant",
    "invalid_client",
    "unauthorized_client",
    "invalid_request",
    "application_cannot_be_found",
    "shop_not_permitted",
    "invalid_subject_token",
}

#: Source: @shopify/shopify-api 15.0.0, tokenExchange (RFC 8693).
TOKEN_EXCHANGE = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
    "requested_token_type": "urn:shopify:params:oauth:token-type:offline-access-token",
    "expiring": "1",
}


class ShopifyAuth:
    """Proves who calls. `token_url`: POST https://{shop}/admin/oauth/access_token."""

    def __init__(self, token_url: str) -> None:
        self.token_url = token_url
        #: When the refresh token of the last call's secret ends; None: there is none, or Shopify did not say.
        self.refresh_ends_at: datetime | None = None

    def authorized(self, request: Request, secret: Secret) -> Request:
        self.refresh_ends_at = refresh_ends_at(secret)
        headers = {**request.headers, "X-Shopify-Access-Token": secret.values.get("access_token", "")}
        return msgspec.structs.replace(request, headers=headers)

    def needs_renewal(self, secret: Secret, now: datetime) -> bool:
        if not secret.values.get("access_token"):
            return True
        return "client_id" in secret.values and secret.ends_soon(now)

    async def renew(self, http: Http, secret: Secret, now: datetime) -> Secret:
        """Ask for a new access token once. Raises SignInAgain when refused for good, Retry otherwise. A refresh token that has ended by
        our clock is asked with all the same: Shopify's clock decides."""
        asked = self._grant(secret)
        request = Request(
            method="POST",
            url=self.token_url,
            operation="oauth_token",
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            body=msgspec.json.encode(asked),
            cost=0,
            writes=True,  # a refresh token is used up by its use
            bare=True,
        )
        try:
            response = await http.request(request)
        except NoAnswer as error:
            raise Retry(f"Shopify's token endpoint gave no answer: {error.reason}") from error
        try:
            return with_tokens(secret, token_answer(response), now)
        except SignInAgain as error:
            if "subject_token" in asked:
                why = "a session token lives one minute: take a new one from the app's page and connect at once"
                raise SignInAgain(f"{error}: {why}") from error
            if "refresh_token" not in asked:
                raise
            raise SignInAgain(_why_refresh_failed(secret, now, error)) from error

    def _grant(self, secret: Secret) -> dict[str, str]:
        values = secret.values
        if not values.get("client_id") or not values.get("client_secret"):
            raise SignInAgain("Shopify refuses the token, and there is no client id and secret to ask for another")
        asked = {"client_id": values["client_id"], "client_secret": values["client_secret"]}
        if values.get("refresh_token"):
            return {**asked, "grant_type": "refresh_token", "refresh_token": values["refresh_token"]}
        if values.get("session_token"):
            return {**asked, **TOKEN_EXCHANGE, "subject_token": values["session_token"]}
        return {**asked, "grant_type": "client_credentials"}

    def token_refused(self, response: Response) -> bool:
        return response.status == 401


def refresh_ends_at(secret: Secret) -> datetime | None:
    """Return when the refresh token ends, None if there is none or Shopify did not say."""
    return instant(secret.values.get("refresh_token_expires_at")) if secret.values.get("refresh_token") else None


def _why_refresh_failed(secret: Secret, now: datetime, error: SignInAgain) -> str:
    """Say in words what can have become of a refresh token. It lives 90 days and is replaced whenever it is used."""
    end = refresh_ends_at(secret)
    if end is not None and end <= now:
        why = f"the refresh token ended on {end:%d %B %Y}, because Oneshelf did not run for that long"
    else:
        why = "the refresh token was used elsewhere or withdrawn (is the app still installed, is its secret the same?)"
    return f"{error}: {why}. Connect the shop again: oneshelf channels connect shopify"


def token_answer(response: Response) -> dict[str, Any]:
    """Return what the token endpoint gave. Raises SignInAgain when it refused for good, Retry otherwise."""
    try:
        answer = msgspec.json.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        answer = {}
    if response.status == 200 and isinstance(answer.get("access_token"), str) and answer["access_token"]:
        return answer
    error = str(answer.get("error") or "")
    if error in REFUSED or response.status in (401, 403, 404):
        raise SignInAgain(f"Shopify refuses our credentials (HTTP {response.status} {error})")
    raise Retry(f"Shopify's token endpoint answered HTTP {response.status} {error}".rstrip())


def with_tokens(secret: Secret, answer: dict[str, Any], now: datetime) -> Secret:
    """Return the secret with the tokens of an answer, one version on."""
    values = {**secret.values, "access_token": str(answer["access_token"])}
    values.pop("session_token", None)  # it works once, and is over in a minute
    if answer.get("refresh_token"):
        values["refresh_token"] = str(answer["refresh_token"])
    if isinstance(answer.get("refresh_token_expires_in"), int):
        end = now + timedelta(seconds=answer["refresh_token_expires_in"])
        values["refresh_token_expires_at"] = end.isoformat()
    lasts_s = answer.get("expires_in")
    return secret.renewed(values, lasts_s if isinstance(lasts_s, int) else None, now)


class ShopifyDoor:
    """How webhooks are received. `app_secret`: "client_secret", and "previous_client_secret" during a rotation.

    Source: Shopify docs, "Deliver webhooks through HTTPS" (X-Shopify-Hmac-Sha256: base64 of HMAC-SHA256 over the raw body), read 2026-11.
    """

    forged_status = 401

    def challenge(self, request: RawRequest, app_secret: Mapping[str, str]) -> tuple[int, str, bytes] | None:
        """Shopify asks nothing beforehand."""
        return None

    def claimed(self, request: RawRequest) -> Claimed:
        shop = request.headers.get("x-shopify-shop-domain", "").strip().lower()
        topic = request.headers.get("x-shopify-topic", "").strip().lower()
        if not shop or not topic:
            raise Unreadable("a webhook without X-Shopify-Shop-Domain or X-Shopify-Topic")
        return Claimed(
            account_external_id=shop,
            topic=topic,
            delivery_id=request.headers.get("x-shopify-webhook-id", "").strip() or None,
            triggered_at=instant(request.headers.get("x-shopify-triggered-at")),
        )

    def key_id(self, request: RawRequest) -> str | None:
        return None

    def verify(self, request: RawRequest, app_secret: Mapping[str, str], now: datetime) -> bool:
        """Return True if the app's secret, or the one before it, signed these very bytes."""
        given = request.headers.get("x-shopify-hmac-sha256", "").strip().encode("utf-8", "replace")
        genuine = False
        for name in ("client_secret", "previous_client_secret"):
            secret = app_secret.get(name, "")
            wanted = base64.b64encode(hmac.new(secret.encode(), request.body, hashlib.sha256).digest())
            genuine |= bool(secret) and hmac.compare_digest(wanted, given)
        return genuine
