"""Who calls eBay, and who knocks: tokens, and the signature on notifications.

In: secrets as arguments. Out: headers, new secrets, yes or no. Never: stores a secret.
Secret.values: client_id, client_secret, refresh_token, access_token, ru_name (for signing in). app_secret: client_id, client_secret,
verification_token, "key:<kid>".
Source: developer.ebay.com OAuth guides; Commerce Notification API overview, "Verifying a notification", read 2026-11.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from oneshelf.channels.contract import Claimed, Http, NoAnswer, RawRequest, Request, Response, Secret
from oneshelf.channels.ebay import signing
from oneshelf.channels.ebay.limits import wait_s
from oneshelf.channels.ebay.wire import decoded, inside, instant, iso, text
from oneshelf.core.errors import Park, Retry, SignInAgain, Unreadable, UsedUp

CONSENT_URL = "https://auth.ebay.com/oauth2/authorize"
_SCOPE = "https://api.ebay.com/oauth/api_scope"
#: What the connector asks the seller for. Adding one later needs a new consent.
SCOPES = (
    _SCOPE,
    f"{_SCOPE}/sell.inventory",
    f"{_SCOPE}/sell.fulfillment",
    f"{_SCOPE}/commerce.notification.subscription",
    f"{_SCOPE}/commerce.identity.readonly",
    # Selling limits and business policies, for `check`.
    f"{_SCOPE}/sell.account.readonly",
)

#: Trading takes the token in a header of its own. Source: Trading API, OAuth: X-EBAY-API-IAF-TOKEN.
TRADING_OPERATIONS = {"GetUserPreferences"}
#: Post-Order takes it under a scheme of its own. Source: Post-Order v2: `Authorization: IAF <token>`.
POST_ORDER_OPERATIONS = {
    "createCancellation",
    "checkCancellationEligibility",
    "searchCancellations",
    "getCancellation",
    "approveCancellationRequest",
}

#: Errors of the token address that no waiting cures. Source: developer.ebay.com OAuth errors.
_FOR_GOOD = {"invalid_grant", "invalid_client", "unauthorized_client", "invalid_scope"}
_KID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_PEM_MARK = re.compile(r"-----(BEGIN|END) PUBLIC KEY-----|\s")
_DIGESTS: dict[str, type[hashes.HashAlgorithm]] = {"SHA1": hashes.SHA1, "SHA256": hashes.SHA256}

#: Topics about a person, not about one seller's account.
ABOUT_ANYONE = {"MARKETPLACE_ACCOUNT_DELETION"}


class _Token(msgspec.Struct):
    access_token: str
    expires_in: int = 7200
    refresh_token: str = ""
    refresh_token_expires_in: int = 0


def consent_url(client_id: str, ru_name: str, state: str, *, base: str = CONSENT_URL) -> str:
    """Return where to send the seller. `ru_name`: eBay's name for our redirect address, not the address."""
    asked = {
        "client_id": client_id,
        "redirect_uri": ru_name,
        "response_type": "code",
        "scope": " ".join(SCOPES),
        "state": state,
    }
    return f"{base}?{urlencode(asked, quote_via=quote)}"


class EbayAuth:
    """Bearer token of a seller. The refresh token lives about 18 months and is not replaced by a renewal."""

    def __init__(self, token_url: str) -> None:
        self._token_url = token_url
        self._application: dict[str, str] = {}
        #: When the consent ends, as the secret of the last call said.
        self.consent_ends_at: datetime | None = None

    def authorized(self, request: Request, secret: Secret) -> Request:
        """Return the request with the seller's token."""
        token = secret.values.get("access_token", "")
        self.consent_ends_at = instant(secret.values.get("refresh_expires_at"))
        if request.operation in TRADING_OPERATIONS:
            return msgspec.structs.replace(request, headers={**request.headers, "x-ebay-api-iaf-token": token})
        if request.operation in POST_ORDER_OPERATIONS:
            own = signing.signed(request, secret)
            return msgspec.structs.replace(own, headers={**own.headers, "authorization": f"IAF {token}"})
        return msgspec.structs.replace(request, headers={**request.headers, "authorization": f"Bearer {token}"})

    def needs_renewal(self, secret: Secret, now: datetime) -> bool:
        """Return True if there is no access token or it ends soon."""
        return not secret.values.get("access_token") or secret.ends_soon(now)

    async def renew(self, http: Http, secret: Secret, now: datetime) -> Secret:
        """Ask for a new access token. Raises SignInAgain (revoked, password changed, too old), Retry."""
        if not secret.values.get("refresh_token"):
            raise SignInAgain("eBay: there is no refresh token; connect the account again")
        ends_at = instant(secret.values.get("refresh_expires_at"))
        if ends_at is not None and ends_at <= now:
            raise SignInAgain(
                f"eBay: the seller's consent ended on {ends_at:%d %B %Y} (it lasts about 18 months); connect the account again"
            )
        form = {"grant_type": "refresh_token", "refresh_token": secret.values["refresh_token"]}
        return _renewed(secret, await self._mint(http, secret.values, form, "token"), now)

    async def sign_in(self, http: Http, secret: Secret, code: str, now: datetime) -> Secret:
        """Trade the (once URL-decoded) code of the consent page for tokens; it works once, within about five minutes."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": secret.values.get("ru_name", ""),
        }
        return _renewed(secret, await self._mint(http, secret.values, form, "token"), now)

    def token_refused(self, response: Response) -> bool:
        """Return True on 401: errorId 1001 "Invalid access token"; nothing was done."""
        return response.status == 401

    async def as_application(self, http: Http, request: Request, app_secret: Mapping[str, str]) -> Response:
        """Send a request with the application's own token, minting one where there is none or it was refused.

        eBay mints 1,000 such tokens a day: the last one is kept in memory. Raises SignInAgain, Retry, Park, NoAnswer.
        """
        client = app_secret.get("client_id", "")
        if not client or not app_secret.get("client_secret"):
            raise Park("eBay: client_id and client_secret of the application are missing")
        kept = self._application.get(client)
        if kept:
            response = await http.request(_bearing(request, kept))
            if response.status != 401:
                return response
        form = {"grant_type": "client_credentials", "scope": _SCOPE}
        minted = await self._mint(http, app_secret, form, "applicationToken")
        self._application[client] = minted.access_token
        return await http.request(_bearing(request, minted.access_token))

    async def _mint(self, http: Http, client: Mapping[str, str], form: Mapping[str, str], operation: str) -> _Token:
        pair = f"{client.get('client_id', '')}:{client.get('client_secret', '')}".encode()
        request = Request(
            method="POST",
            url=self._token_url,
            operation=operation,
            headers={
                "content-type": "application/x-www-form-urlencoded",
                "authorization": f"Basic {base64.b64encode(pair).decode()}",
            },
            body=urlencode(form).encode(),
            bare=True,
        )
        try:
            response = await http.request(request)
        except NoAnswer as gone:
            raise Retry(f"eBay token: {gone.reason}") from gone
        if response.status == 429:
            raise UsedUp("eBay token: rate limit", wait_s=wait_s(response))
        try:
            document = decoded(response.body, dict[str, Any], "token answer")
        except Unreadable:
            document = {}
        error = text(document.get("error")) or f"HTTP {response.status}"
        if error in _FOR_GOOD or response.status in (401, 403):
            raise SignInAgain(
                f"eBay refused the sign-in: {error} {text(document.get('error_description')) or ''}".strip()
            )
        try:
            if response.status == 200:
                return msgspec.convert(document, _Token, strict=False)
        except msgspec.ValidationError as bad:
            raise Retry(f"eBay token: unreadable answer ({bad})") from bad
        raise Retry(f"eBay token: {error}")


def _bearing(request: Request, token: str) -> Request:
    headers = {**request.headers, "authorization": f"Bearer {token}"}
    return msgspec.structs.replace(request, headers=headers, bare=True)


def _renewed(secret: Secret, token: _Token, now: datetime) -> Secret:
    values = {**secret.values, "access_token": token.access_token}
    if token.refresh_token:
        values["refresh_token"] = token.refresh_token
        values.pop("refresh_expires_at", None)
        if token.refresh_token_expires_in > 0:
            values["refresh_expires_at"] = iso(now + timedelta(seconds=token.refresh_token_expires_in))
    return secret.renewed(values, token.expires_in, now)


# --- the door --------------------------------------------------------------------------------------------------------


class EbayDoor:
    """ECDSA over the raw body by a key of eBay's; one key signs for all sellers, so the seller named inside is what counts."""

    forged_status = 412

    def challenge(self, request: RawRequest, app_secret: Mapping[str, str]) -> tuple[int, str, bytes] | None:
        """Answer sha256(challenge_code + verification token + address), in hex.

        The address is the very text given to eBay as the destination: this request's without its query.
        """
        code, token = request.query.get("challenge_code"), app_secret.get("verification_token")
        if request.method.upper() != "GET" or not code or not token:
            return None
        address = request.url.partition("#")[0].partition("?")[0]
        answer = hashlib.sha256(f"{code}{token}{address}".encode()).hexdigest()
        return 200, "application/json", msgspec.json.encode({"challengeResponse": answer})

    def claimed(self, request: RawRequest) -> Claimed:
        """Read topic and seller. An erasure names any eBay user, no seller of ours: its account is "" (all of this channel)."""
        body = decoded(request.body, dict[str, Any], "notification")
        topic = text(inside(body, "metadata", "topic"))
        notice = inside(body, "notification")
        if not topic or not isinstance(notice, dict):
            raise Unreadable("eBay notification without topic or content")
        user = "" if topic in ABOUT_ANYONE else seller_of(notice.get("data"))
        if user is None:
            raise Unreadable(f"eBay {topic} names no user")
        return Claimed(
            account_external_id=user,
            topic=topic,
            delivery_id=text(notice.get("notificationId")),
            key_id=self.key_id(request),
            triggered_at=instant(notice.get("eventDate")),
        )

    def key_id(self, request: RawRequest) -> str | None:
        return _signature(request).get("kid")

    def verify(self, request: RawRequest, app_secret: Mapping[str, str], now: datetime) -> bool:
        """Return True if the key named by the signature, from app_secret["key:<kid>"], signed this body."""
        signature = _signature(request)
        digest = _DIGESTS.get(signature.get("digest", "SHA1").upper())
        pem = app_secret.get(f"key:{signature.get('kid', '')}", "")
        if digest is None or not pem:
            return False
        try:
            # The key comes as PEM on one line, which PEM readers refuse: its content is read instead.
            key = load_der_public_key(base64.b64decode(_PEM_MARK.sub("", pem), validate=True))
            if not isinstance(key, ec.EllipticCurvePublicKey):
                return False
            key.verify(base64.b64decode(signature.get("signature", "")), request.body, ec.ECDSA(digest()))
        except (InvalidSignature, ValueError, binascii.Error):
            return False
        return True


def _signature(request: RawRequest) -> dict[str, str]:
    """Read the header x-ebay-signature: base64 of {"alg","kid","signature","digest"}. Nothing readable: an empty one."""
    try:
        raw = base64.b64decode(request.headers.get("x-ebay-signature", ""))
        found = msgspec.json.decode(raw, type=dict[str, Any])
    except (binascii.Error, msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    named = {name: value for name, value in found.items() if isinstance(value, str)}
    return named if key_id_fits(named.get("kid", "")) else {}


def key_id_fits(key_id: str) -> bool:
    """Return True if this can be a key id of eBay's (it becomes part of an address)."""
    return _KID.fullmatch(key_id) is not None


def seller_of(data: Any) -> str | None:
    """Return the user id that a notification's data names as the seller. Source: eBay AsyncAPI contracts, by topic."""
    paths = (
        ("user", "userId"),  # ORDER_CONFIRMATION
        ("orderCancellation", "seller", "userId"),  # ORDER_CANCELLATION_ACTIVITY
        ("itemMarkedShipped", "publicUserId"),  # ITEM_MARKED_SHIPPED as seen
        ("publicUserId",),  # ITEM_MARKED_SHIPPED as documented
        ("userId",),  # AUTHORIZATION_REVOCATION
    )
    for path in paths:
        user = text(inside(data, *path))
        if user:
            return user
    return None
