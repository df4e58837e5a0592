"""Etsy's OAuth 2.0: authorization code with PKCE, and refresh tokens that rotate.

In: the consent query and the token form. Out: codes and token pairs, or `Refused`.
Never: checks what a token is used for (wire.py asks for a scope).
Source: https://developers.etsy.com/documentation/essentials/authentication, read 2026-11.
"""

from __future__ import annotations

import base64
import hashlib
import random
import re
import string
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..clock import Clock
from .refused import Refused

ACCESS_LIFE_S = 3600.0
REFRESH_LIFE_S = 90 * 86400.0
CODE_LIFE_S = 600.0
SCOPES = frozenset(
    f"{area}_{right}"
    for area, rights in {
        "address": "rw", "billing": "r", "cart": "rw", "email": "r", "favorites": "rw", "feedback": "r",
        "listings": "rwd", "profile": "rw", "recommend": "rw", "shops": "rw", "transactions": "rw",
    }.items()
    for right in rights
)  # fmt: skip
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
STATE = re.compile(r"\S+")


@dataclass
class Code:
    redirect_uri: str
    challenge: str
    scopes: frozenset[str]
    dies_at: datetime


@dataclass
class Grant:
    """What one consent gave. Its refresh token changes with every refresh."""

    scopes: frozenset[str]
    refresh_token: str
    refresh_dies_at: datetime


@dataclass
class Access:
    scopes: frozenset[str]
    dies_at: datetime


class Tokens:
    """The app's codes and tokens for one user."""

    def __init__(self, clock: Clock, rng: random.Random, *, keystring: str, user_id: int) -> None:
        self.clock = clock
        self.rng = rng
        self.keystring = keystring
        self.user_id = user_id
        self.redirect_uris: set[str] = set()
        self._codes: dict[str, Code] = {}
        self._grants: dict[str, Grant] = {}
        self._access: dict[str, Access] = {}

    def consent(self, query: dict[str, str]) -> tuple[str, str]:
        """The seller presses "Grant access": return (code, redirect_uri). Raises Refused for what Etsy shows as a page."""
        scopes = frozenset(query.get("scope", "").split())
        if query.get("response_type") != "code":
            raise Refused(400, "invalid_request", "response_type must be code")
        if query.get("client_id") != self.keystring:
            raise Refused(400, "invalid_request", "unknown client_id")
        if query.get("redirect_uri") not in self.redirect_uris:
            raise Refused(400, "invalid_request", "The redirect URL is not permitted.")
        if not scopes or scopes - SCOPES:
            raise Refused(400, "invalid_scope", f"unknown scopes: {' '.join(sorted(scopes - SCOPES))}")
        if not STATE.fullmatch(query.get("state", "")):
            raise Refused(400, "invalid_request", "state is required")
        if query.get("code_challenge_method") != "S256" or not CHALLENGE.fullmatch(query.get("code_challenge", "")):
            raise Refused(400, "invalid_request", "a code_challenge with method S256 is required")
        code = self._word(60)
        self._codes[code] = Code(query["redirect_uri"], query["code_challenge"], scopes, self._in(CODE_LIFE_S))
        return code, query["redirect_uri"]

    def exchange(self, form: dict[str, str]) -> dict[str, object]:
        """Answer the token endpoint. Raises Refused 400."""
        if form.get("client_id") != self.keystring:
            raise Refused(400, "invalid_client", "client_id does not match a known application")
        match form.get("grant_type"):
            case "authorization_code":
                return self._exchange_code(form)
            case "refresh_token":
                return self._refresh(form)
        raise Refused(400, "unsupported_grant_type", "grant_type must be authorization_code or refresh_token")

    def grant(self, scopes: frozenset[str]) -> dict[str, object]:
        """Open a grant and return its first token pair."""
        return self._pair(scopes)

    def check(self, bearer: str) -> frozenset[str]:
        """Return the scopes of an access token. Raises Refused 401."""
        user, _, secret = bearer.partition(".")
        access = self._access.get(bearer)
        if not secret or user != str(self.user_id) or access is None:
            raise Refused(401, "invalid_token", "access token is invalid")
        if access.dies_at <= self.clock.now():
            raise Refused(401, "invalid_token", "access token is expired")
        return access.scopes

    def revoke_all(self) -> None:
        """The seller disconnects the app in the account settings."""
        self._codes.clear()
        self._grants.clear()
        self._access.clear()

    def expire_all(self) -> None:
        """Nobody refreshed for 90 days: every refresh token runs out, and every access token with it."""
        for grant in self._grants.values():
            grant.refresh_dies_at = self.clock.now()
        self.expire_access()

    def change_scopes(self, *, taken: frozenset[str] = frozenset(), given: frozenset[str] = frozenset()) -> None:
        """Let every living consent have been one for other scopes."""
        living: list[Grant | Access] = [*self._grants.values(), *self._access.values()]
        for each in living:
            each.scopes = (each.scopes - taken) | given

    def expire_access(self) -> None:
        """Let every access token run out now; refresh tokens live on."""
        for access in self._access.values():
            access.dies_at = self.clock.now()

    def _exchange_code(self, form: dict[str, str]) -> dict[str, object]:
        code = self._codes.pop(form.get("code", ""), None)  # single use, also when the rest is wrong
        if code is None or code.dies_at <= self.clock.now():
            raise Refused(400, "invalid_grant", "code is invalid, expired or already used")
        if form.get("redirect_uri") != code.redirect_uri:
            raise Refused(400, "invalid_grant", "redirect_uri does not match the authorization request")
        verifier = form.get("code_verifier", "")
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if not VERIFIER.fullmatch(verifier) or digest != code.challenge:
            raise Refused(400, "invalid_grant", "code_verifier does not match the code_challenge")
        return self._pair(code.scopes)

    def _refresh(self, form: dict[str, str]) -> dict[str, object]:
        grant = self._grants.pop(form.get("refresh_token", ""), None)  # the old one stops working here
        if grant is None or grant.refresh_dies_at <= self.clock.now():
            raise Refused(400, "invalid_grant", "refresh token is invalid, expired or already used")
        return self._pair(grant.scopes)

    def _pair(self, scopes: frozenset[str]) -> dict[str, object]:
        access, refresh = (f"{self.user_id}.{self._word(86)}" for _ in range(2))
        long_dead = self.clock.now() - timedelta(seconds=self.clock.shortened(ACCESS_LIFE_S))
        self._access = {token: a for token, a in self._access.items() if a.dies_at > long_dead}
        self._access[access] = Access(scopes, self._in(ACCESS_LIFE_S))
        self._grants[refresh] = Grant(scopes, refresh, self._in(REFRESH_LIFE_S))
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": max(1, int(self.clock.shortened(ACCESS_LIFE_S))),
            "refresh_token": refresh,
        }

    def _in(self, seconds: float) -> datetime:
        return self.clock.now() + timedelta(seconds=self.clock.shortened(seconds))

    def _word(self, length: int) -> str:
        return "".join(self.rng.choices(string.ascii_letters + string.digits + "-_", k=length))
