"""eBay's OAuth: Basic authentication, three grants, refresh tokens that are not rotated.

In: the consent query and the token form. Out: codes and tokens, or TokenRefused.
Never: decides what an operation needs (wire.py does).
Source: https://developer.ebay.com/api-docs/static/oauth-tokens.html and oauth-rate-limits.html, read 2026-11.
"""

from __future__ import annotations

import base64
import binascii
import random
import string
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import unquote

from ..clock import Clock
from .quotas import Quotas
from .refused import TokenRefused

ACCESS_LIFE_S = 7200
REFRESH_LIFE_S = 47_304_000
CODE_LIFE_S = 299.0
ROOT = "https://api.ebay.com/oauth/api_scope"
BAD_CODE = "the provided authorization grant code is invalid or was issued to another client"
BAD_REFRESH = "the provided authorization refresh token is invalid or was issued to another client"
BAD_SCOPE = "The requested scope is invalid, unknown, malformed, or exceeds the scope granted to the client"
SCOPES = frozenset(
    [ROOT]
    + [
        f"{ROOT}/{name}"
        for name in (
            "sell.inventory", "sell.inventory.readonly", "sell.fulfillment", "sell.fulfillment.readonly",
            "sell.finances", "sell.account", "sell.account.readonly", "commerce.identity.readonly",
            "commerce.notification.subscription", "commerce.notification.subscription.readonly",
            "sell.marketing", "sell.marketing.readonly", "sell.analytics.readonly", "sell.payment.dispute",
            "sell.reputation", "sell.reputation.readonly",
        )
    ]
)  # fmt: skip


@dataclass
class Code:
    scopes: frozenset[str]
    dies_at: datetime


@dataclass
class Grant:
    """A seller's consent, behind one refresh token."""

    scopes: frozenset[str]
    dies_at: datetime


@dataclass
class Access:
    """`kind`: "user" or "application"."""

    kind: str
    scopes: frozenset[str]
    dies_at: datetime


class Tokens:
    """The application's codes and tokens for one seller."""

    def __init__(
        self, clock: Clock, rng: random.Random, quotas: Quotas, *, client: tuple[str, str], runame: str
    ) -> None:
        self.clock = clock
        self.rng = rng
        self.quotas = quotas
        self.client_id, self.client_secret = client
        self.runame = runame
        self.accept_url = "https://app.example/ebay/callback"
        self._codes: dict[str, Code] = {}
        self._grants: dict[str, Grant] = {}
        self._access: dict[str, Access] = {}

    def consent(self, query: dict[str, str]) -> str:
        """The seller agrees: return the code. Raises TokenRefused."""
        if query.get("client_id") != self.client_id or query.get("response_type") != "code":
            raise TokenRefused(400, "invalid_request", "client_id or response_type is wrong")
        if query.get("redirect_uri") != self.runame:
            raise TokenRefused(400, "invalid_request", "redirect_uri must be the RuName of the application")
        code = f"v^1.1#i^1#f^0#p^3#r^1#I^3#t^{self._word(48)}"  # must be decoded exactly once
        self._codes[code] = Code(self._scopes(query.get("scope", "")), self._in(CODE_LIFE_S))
        return code

    def exchange(self, authorization: str, form: dict[str, str]) -> dict[str, object]:
        """Answer the token endpoint. Raises TokenRefused."""
        self._check_client(authorization)
        grant_type = form.get("grant_type", "")
        if grant_type not in ("authorization_code", "refresh_token", "client_credentials"):
            raise TokenRefused(400, "unsupported_grant_type", "grant type in request is not supported")
        if not self.quotas.take(f"token.{grant_type}"):
            raise TokenRefused(429, "invalid_request", "the number of token requests for today is exceeded")
        if grant_type == "client_credentials":
            return self._access_token("application", self._scopes(form.get("scope", "")))
        if grant_type == "refresh_token":
            return self._refresh(form)
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.dies_at <= self.clock.now():
            raise TokenRefused(400, "invalid_grant", BAD_CODE)
        if form.get("redirect_uri") != self.runame:
            raise TokenRefused(400, "invalid_grant", "redirect_uri must be the RuName of the application")
        return self.grant(code.scopes)

    def grant(self, scopes: frozenset[str]) -> dict[str, object]:
        """Open a consent and return its tokens."""
        refresh = f"v^1.1#i^1#p^3#I^3#f^0#r^1#t^{self._word(60)}"
        self._grants[refresh] = Grant(scopes, self._in(REFRESH_LIFE_S))
        return {
            **self._access_token("user", scopes),
            "refresh_token": refresh,
            "refresh_token_expires_in": self._shortened(REFRESH_LIFE_S),
        }

    def check(self, token: str) -> Access | None:
        """Return what a token may do, or None if it is unknown, expired or revoked."""
        access = self._access.get(token)
        return access if access and access.dies_at > self.clock.now() else None

    def revoke(self) -> None:
        """The seller withdraws consent: user tokens and refresh tokens die."""
        self._grants.clear()
        self._access = {token: each for token, each in self._access.items() if each.kind == "application"}

    def expire_all(self) -> None:
        """The consent has run out: every refresh token, and every user token with it."""
        for grant in self._grants.values():
            grant.dies_at = self.clock.now()
        self._access = {token: each for token, each in self._access.items() if each.kind == "application"}

    def change_scopes(self, *, taken: frozenset[str] = frozenset(), given: frozenset[str] = frozenset()) -> None:
        """Let every living consent have been one to other scopes."""
        living: list[Grant | Access] = [*self._grants.values()]
        living += [each for each in self._access.values() if each.kind == "user"]
        for each in living:
            each.scopes = (each.scopes - taken) | given

    def expire_access(self) -> None:
        """Let every access token run out now."""
        self._access.clear()

    def _refresh(self, form: dict[str, str]) -> dict[str, object]:
        grant = self._grants.get(form.get("refresh_token", ""))
        if grant is None or grant.dies_at <= self.clock.now():
            raise TokenRefused(400, "invalid_grant", BAD_REFRESH)
        wanted = self._scopes(form["scope"]) if form.get("scope") else grant.scopes
        if wanted - grant.scopes:
            raise TokenRefused(400, "invalid_scope", BAD_SCOPE)
        return self._access_token("user", wanted)

    def _access_token(self, kind: str, scopes: frozenset[str]) -> dict[str, object]:
        token = f"v^1.1#i^1#p^{3 if kind == 'user' else 1}#r^0#f^0#t^{self._word(80)}"
        now = self.clock.now()
        self._access = {key: each for key, each in self._access.items() if each.dies_at > now}
        self._access[token] = Access(kind, scopes, self._in(ACCESS_LIFE_S))
        name = "User Access Token" if kind == "user" else "Application Access Token"
        return {"access_token": token, "expires_in": self._shortened(ACCESS_LIFE_S), "token_type": name}

    def _check_client(self, authorization: str) -> None:
        scheme, _, encoded = authorization.partition(" ")
        try:
            pair = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            pair = ""
        if scheme.lower() != "basic" or unquote(pair) != f"{self.client_id}:{self.client_secret}":
            raise TokenRefused(401, "invalid_client", "client authentication failed")

    def _scopes(self, text: str) -> frozenset[str]:
        scopes = frozenset(text.split())
        if not scopes or scopes - SCOPES:
            raise TokenRefused(400, "invalid_scope", BAD_SCOPE)
        return scopes

    def _in(self, seconds: float) -> datetime:
        return self.clock.now() + timedelta(seconds=self.clock.shortened(seconds))

    def _shortened(self, seconds: float) -> int:
        return max(1, int(self.clock.shortened(seconds)))

    def _word(self, length: int) -> str:
        return "".join(self.rng.choices(string.ascii_letters + string.digits, k=length))
