"""Tokens: `POST /admin/oauth/access_token` (four grants) and the check of `X-Shopify-Access-Token`.

Lifetimes are shortened by the clock's factor, and `expires_in` says the shortened number.
Source: contracts sheet shopify section 3; Shopify docs "client credentials grant", "offline access tokens".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from .shop import Shopify

CLIENT_CREDENTIALS_LIFE_S = 86_399.0
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
OFFLINE_TOKEN = "urn:shopify:params:oauth:token-type:offline-access-token"

Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class _Token:
    granted: frozenset[str]
    expires_at: datetime | None  # None: never (legacy custom app)


class Auth:
    """The tokens of one app for one shop."""

    def __init__(self, shop: Shopify) -> None:
        self.shop = shop
        self._tokens: dict[str, _Token] = {}
        self._refresh: dict[str, datetime] = {}

    def granted(self, token: str | None) -> frozenset[str] | None:
        """Return the scopes of a token, or None if it is missing, wrong or expired."""
        found = self._tokens.get(token or "")
        if found is None or (found.expires_at is not None and found.expires_at <= self.shop.world.clock.now()):
            return None
        return found.granted

    def never_expiring(self) -> str:
        """Return a token of the old kind, copied by hand from the admin; it never expires."""
        return self._new("shpat_", None)

    def new_refresh_token(self) -> str:
        """Return a refresh token, as the end of an authorization code grant leaves one."""
        token = "shprt_" + self._secret()
        self._refresh[token] = self._after(self._life_s("refresh_token_s"))
        return token

    def is_refresh_token(self, token: str) -> bool:
        """Return whether a refresh token has not been used up."""
        return token in self._refresh

    def expire_all(self) -> None:
        """Let every token that can expire expire now. Refresh tokens stay."""
        self._tokens = {text: token for text, token in self._tokens.items() if token.expires_at is None}

    def revoke_all(self) -> None:
        """The app was uninstalled: nothing opens the shop any more."""
        self._tokens.clear()
        self._refresh.clear()

    def _life_s(self, switch: str) -> float:
        return float(self.shop.switches[switch])  # type: ignore[arg-type]

    def _secret(self) -> str:
        return f"{self.shop.chance.getrandbits(128):032x}"

    def _after(self, seconds: float) -> datetime:
        clock = self.shop.world.clock
        return clock.now() + timedelta(seconds=clock.shortened(seconds))

    def _new(self, prefix: str, life_s: float | None) -> str:
        text = prefix + self._secret()
        expires_at = None if life_s is None else self._after(life_s)
        self._tokens[text] = _Token(self.shop.granted_scopes, expires_at)
        return text

    def exchange(self, content_type: str, body: bytes) -> Answer:
        """Answer the token endpoint; JSON and form bodies are both taken."""
        given = _read(content_type, body)
        if given is None:
            return 400, {"error": "invalid_request", "error_description": "The request body could not be read."}
        if not self.shop.installed:
            return 400, {"error": "shop_not_permitted", "error_description": "The app is not installed on this shop."}
        if given.get("client_id") != self.shop.client_id or given.get("client_secret") != self.shop.client_secret:
            return 400, {"error": "invalid_client", "error_description": "The client credentials are invalid."}
        grant = given.get("grant_type")
        scope = ",".join(sorted(self.shop.granted_scopes))
        clock = self.shop.world.clock
        if grant == "client_credentials":
            token = self._new("shpca_", CLIENT_CREDENTIALS_LIFE_S)
            return 200, {
                "access_token": token,
                "scope": scope,
                "expires_in": int(clock.shortened(CLIENT_CREDENTIALS_LIFE_S)),
            }
        if grant == "refresh_token":
            old = str(given.get("refresh_token", ""))
            expires_at = self._refresh.pop(old, None)
            if expires_at is None or expires_at <= clock.now():
                return 400, {"error": "invalid_grant", "error_description": "The refresh token is invalid or expired."}
            return 200, self._offline(expiring=True)
        if grant is None and given.get("code"):
            if not self.shop.consent.take(str(given["code"])):
                return 400, {
                    "error": "invalid_request",
                    "error_description": "The authorization code was not found or was already used",
                }
            return 200, self._offline(expiring=str(given.get("expiring", "")) == "1")
        if grant == TOKEN_EXCHANGE:
            return self._token_exchange(given)
        return 400, {"error": "unsupported_grant_type", "error_description": f"Grant type {grant!r} is not supported."}

    def _token_exchange(self, given: Mapping[str, Any]) -> Answer:
        """An embedded app's session token for an offline token."""
        if given.get("subject_token_type") != ID_TOKEN or given.get("requested_token_type") != OFFLINE_TOKEN:
            return 400, {"error": "invalid_request", "error_description": "The token types are not supported."}
        if not self.shop.consent.is_session_token(str(given.get("subject_token", ""))):
            return 400, {"error": "invalid_subject_token", "error_description": "The subject token is invalid."}
        return 200, self._offline(expiring=str(given.get("expiring", "")) == "1")

    def _offline(self, *, expiring: bool) -> dict[str, Any]:
        """An offline token; one that is asked for without `expiring` never ends (until 2027, and for custom apps)."""
        scope = ",".join(sorted(self.shop.granted_scopes))
        if not expiring:
            return {"access_token": self._new("shpat_", None), "scope": scope}
        clock = self.shop.world.clock
        return {
            "access_token": self._new("shpat_", self._life_s("access_token_s")),
            "scope": scope,
            "expires_in": int(clock.shortened(self._life_s("access_token_s"))),
            "refresh_token": self.new_refresh_token(),
            "refresh_token_expires_in": int(clock.shortened(self._life_s("refresh_token_s"))),
        }


def _read(content_type: str, body: bytes) -> Mapping[str, Any] | None:
    try:
        if "json" in content_type:
            document = json.loads(body)
            return document if isinstance(document, dict) else None
        return dict(parse_qsl(body.decode()))
    except ValueError:
        return None
