"""Who calls Etsy, and who knocks: tokens, and the signature on webhooks.

In: secrets as arguments. Out: headers, new secrets, yes or no. Never: stores a secret.
Secret.values: keystring, shared_secret, access_token, refresh_token.
Source: Etsy developer documentation, essentials/authentication and essentials/webhooks, read 2026-11.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from oneshelf.channels.contract import Claimed, Http, NoAnswer, RawRequest, Request, Response, Secret
from oneshelf.channels.etsy.limits import wait_s
from oneshelf.channels.etsy.wire import decoded, instant, text, whole
from oneshelf.core.errors import Retry, SignInAgain, Unreadable, UsedUp

CONSENT_URL = "https://www.etsy.com/oauth/connect"
#: What the connector asks the seller for. Source: scopes of the operations used, Etsy OpenAPI document.
SCOPES = ("transactions_r", "transactions_w", "listings_r", "listings_w", "shops_r")

_TOLERANCE_S = 300
#: Errors of the token address that no waiting cures. Source: RFC 6749 5.2; a used or stale refresh token gives invalid_grant.
_FOR_GOOD = {"invalid_grant", "invalid_client", "unauthorized_client", "invalid_scope"}


class _Tokens(msgspec.Struct):
    access_token: str
    refresh_token: str = ""
    expires_in: int = 3600


def api_key(secret: Secret) -> str:
    """Return the x-api-key value. The shared secret became compulsory on 2026-02-09 (etsy/open-api #1529)."""
    keystring, shared = secret.values.get("keystring", ""), secret.values.get("shared_secret", "")
    return f"{keystring}:{shared}" if shared else keystring


def consent_url(keystring: str, redirect_uri: str, state: str, verifier: str) -> str:
    """Return where to send the seller. `verifier`: 43 to 128 random characters, kept for `sign_in` (PKCE is mandatory)."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": keystring,
        "redirect_uri": redirect_uri,
        "scope": " ".join(SCOPES),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{CONSENT_URL}?{urlencode(asked)}"


class EtsyAuth:
    """Bearer token plus app key. A refresh token works once: the caller makes the new pair durable before it uses it."""

    def __init__(self, token_url: str) -> None:
        self._token_url = token_url

    def authorized(self, request: Request, secret: Secret) -> Request:
        """Return the request with the app key and the bearer token."""
        headers = {
            **request.headers,
            "x-api-key": api_key(secret),
            "authorization": f"Bearer {secret.values.get('access_token', '')}",
        }
        if request.operation == "tokenScopes":
            # The one call that names the token in its body. Source: tokenScopes, form field `token`.
            body = urlencode({"token": secret.values.get("access_token", "")}).encode()
            return msgspec.structs.replace(request, headers=headers, body=body)
        return msgspec.structs.replace(request, headers=headers)

    def needs_renewal(self, secret: Secret, now: datetime) -> bool:
        """Return True if there is no access token or it ends soon."""
        return not secret.values.get("access_token") or secret.ends_soon(now)

    async def renew(self, http: Http, secret: Secret, now: datetime) -> Secret:
        """Trade the refresh token for a new pair. Raises SignInAgain, Retry. The old refresh token is dead afterwards."""
        if not secret.values.get("refresh_token"):
            raise SignInAgain("Etsy: there is no refresh token; connect the shop again")
        form = {
            "grant_type": "refresh_token",
            "client_id": secret.values.get("keystring", ""),
            "refresh_token": secret.values["refresh_token"],
        }
        return await self._token(http, secret, form, now)

    async def sign_in(
        self, http: Http, secret: Secret, code: str, redirect_uri: str, verifier: str, now: datetime
    ) -> Secret:
        """Trade the code of the consent page for the first pair. `redirect_uri` exactly as registered."""
        form = {
            "grant_type": "authorization_code",
            "client_id": secret.values.get("keystring", ""),
            "redirect_uri": redirect_uri,
            "code": code,
            "code_verifier": verifier,
        }
        return await self._token(http, secret, form, now)

    def token_refused(self, response: Response) -> bool:
        """Return True on 401: `{"error":"invalid_token",…}`; nothing was done."""
        return response.status == 401

    async def _token(self, http: Http, secret: Secret, form: Mapping[str, str], now: datetime) -> Secret:
        request = Request(
            method="POST",
            url=self._token_url,
            operation="token",
            headers={"content-type": "application/x-www-form-urlencoded", "x-api-key": api_key(secret)},
            body=urlencode(form).encode(),
            bare=True,
            writes=True,
        )
        try:
            response = await http.request(request)
        except NoAnswer as gone:
            raise Retry(f"Etsy token: {gone.reason}") from gone
        if response.status == 429:
            raise UsedUp("Etsy token: rate limit", wait_s=wait_s(response))
        try:
            document = decoded(response.body, dict[str, Any], "token answer")
        except Unreadable:
            document = {}
        error = text(document.get("error")) or f"HTTP {response.status}"
        if error in _FOR_GOOD or response.status in (401, 403):
            raise SignInAgain(
                f"Etsy refused the sign-in: {error} {text(document.get('error_description')) or ''}".strip()
            )
        if response.status != 200:
            raise Retry(f"Etsy token: {error}")
        try:
            tokens = msgspec.convert(document, _Tokens, strict=False)
        except msgspec.ValidationError as bad:
            raise Retry(f"Etsy token: unreadable answer ({bad})") from bad
        values = {**secret.values, "access_token": tokens.access_token}
        if tokens.refresh_token:
            values["refresh_token"] = tokens.refresh_token
        return secret.renewed(values, tokens.expires_in, now)


class EtsyDoor:
    """Standard Webhooks: HMAC-SHA256 over `id.timestamp.body` with the key behind `whsec_`.

    app_secret["webhook_secret"]: the signing secret shown in the developer site; several, blank separated, during a rotation.
    """

    forged_status = 401

    def challenge(self, request: RawRequest, app_secret: Mapping[str, str]) -> tuple[int, str, bytes] | None:
        """Etsy asks nothing of an address."""
        return None

    def claimed(self, request: RawRequest) -> Claimed:
        """Read shop and event. Flat is what arrives, nested in `data` what was documented (etsy/open-api #1564)."""
        body = decoded(request.body, dict[str, Any], "webhook")
        inner = body.get("data")
        nested: dict[str, Any] = inner if isinstance(inner, dict) else {}
        shop = whole(body.get("shop_id")) or whole(nested.get("shop_id"))
        topic = text(body.get("event_type")) or text(nested.get("event_type"))
        if not shop or shop < 0:
            raise Unreadable("Etsy webhook without shop_id")
        if not topic:
            raise Unreadable("Etsy webhook without event_type")
        return Claimed(
            account_external_id=str(shop),
            topic=topic,
            delivery_id=request.headers.get("webhook-id") or None,
            triggered_at=instant(request.headers.get("webhook-timestamp")),
        )

    def key_id(self, request: RawRequest) -> str | None:
        return None

    def verify(self, request: RawRequest, app_secret: Mapping[str, str], now: datetime) -> bool:
        """Return True if one of the signatures fits and the timestamp is within five minutes of `now`."""
        delivery = request.headers.get("webhook-id", "")
        stamp = request.headers.get("webhook-timestamp", "")
        seconds = whole(stamp)
        if not delivery or seconds is None or abs(now.astimezone(UTC).timestamp() - seconds) > _TOLERANCE_S:
            return False
        signed = f"{delivery}.{stamp}.".encode() + request.body
        offered = [part.partition(",") for part in request.headers.get("webhook-signature", "").split()]
        # "v1,<base64>" is what usually comes, bare base64 what the documentation shows. Other versions are not ours.
        candidates = [tail if comma else head for head, comma, tail in offered if not comma or head == "v1"]
        fits = False
        for key in _keys(app_secret.get("webhook_secret", "")):
            expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
            for candidate in candidates:
                fits |= hmac.compare_digest(expected, candidate.encode())
        return fits


def _keys(secrets: str) -> list[bytes]:
    keys = []
    for secret in secrets.split():
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            continue
        if key:
            keys.append(key)
    return keys
