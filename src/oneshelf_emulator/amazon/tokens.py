"""Login with Amazon: the token endpoint and the check of every call's token.

Source: page connecting-to-the-selling-partner-api (token flow); page grantless-operations; threads
amzn/selling-partner-api-docs#499, #2379, #268 (error bodies), read 2026-11.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse

from ..clock import Clock
from .wire import DENIED, Refusal

TOKEN_LIFE_S = 3600.0
CODE_LIFE_S = 300.0
GRANTLESS_SCOPES = {"sellingpartnerapi::notifications": "notifications"}
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@dataclass
class _Token:
    grant: str  # "seller" or "notifications"
    expires_at: datetime


class Tokens:
    """Client id and secret, refresh tokens, and the access tokens that are alive."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self.clock = clock
        self.rng = rng
        self.client_id = f"amzn1.application-oa2-client.{self._random(32).lower()}"
        self.client_secret = f"amzn1.oa2-cs.v1.{self._random(64).lower()}"
        self.refresh_token = f"Atzr|{self._random(120)}"
        self._refresh = {self.refresh_token}
        self._codes: dict[str, tuple[datetime, str | None]] = {}  # when it dies, which redirect_uri it went to
        self._alive: dict[str, _Token] = {}

    def _random(self, length: int) -> str:
        return "".join(self.rng.choices(_ALPHABET, k=length))

    def check(self, token: str | None, grant: str) -> None:
        """Raise Refusal (403) unless `token` is alive and of the kind that the operation asks for."""
        if not token:
            raise Refusal(403, DENIED, "Access token is missing in the request header.")
        known = self._alive.get(token)
        if known is None:
            raise Refusal(403, DENIED, "The access token you provided is revoked, malformed or invalid.")
        if known.expires_at <= self.clock.now():
            raise Refusal(403, DENIED, "The access token you provided has expired.")
        if known.grant != grant:
            raise Refusal(403, DENIED, "The access token you provided is not of the kind that this operation asks for.")

    def expire_all(self) -> None:
        """Let every access token expire now."""
        for token in self._alive.values():
            token.expires_at = self.clock.now()

    def revoke(self) -> None:
        """The seller takes the application's rights away: refresh and access tokens are dead."""
        self._refresh.clear()
        self._alive.clear()

    def grant_again(self) -> None:
        """The seller authorizes the application again, with the same refresh token (U: Amazon may give another)."""
        self._refresh.add(self.refresh_token)

    def authorize(self, redirect_uri: str | None = None) -> str:
        """The seller grants the rights (again); return the authorization code, alive for five minutes. It works once."""
        code = self._random(20)
        self._codes[code] = (self.clock.now() + timedelta(seconds=self.clock.shortened(CODE_LIFE_S)), redirect_uri)
        return code

    async def endpoint(self, request: Request) -> JSONResponse:
        """Answer POST /auth/o2/token."""
        try:
            return JSONResponse(self._grant(await _form(request)), headers={"cache-control": "no-store"})
        except _No as no:
            return JSONResponse({"error": no.error, "error_description": str(no)}, no.status)

    def _grant(self, form: dict[str, str]) -> dict[str, object]:
        kind = form.get("grant_type", "")
        if kind not in ("refresh_token", "authorization_code", "client_credentials"):
            raise _No(400, "unsupported_grant_type", "The authorization grant type is not supported")
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
            raise _No(401, "invalid_client", "Client authentication failed")
        if kind == "client_credentials":
            grant = GRANTLESS_SCOPES.get(form.get("scope", ""))
            if grant is None:
                raise _No(400, "invalid_scope", "The requested scope is invalid, unknown, or malformed")
            return self._issue(grant)
        if kind == "authorization_code":
            dies_at, redirect_uri = self._codes.pop(form.get("code", ""), (self.clock.now(), None))
            if dies_at <= self.clock.now():
                raise _No(400, "invalid_grant", "The request has an invalid grant parameter : code")
            if redirect_uri is not None and form.get("redirect_uri", redirect_uri) != redirect_uri:
                raise _No(400, "invalid_grant", "The request has an invalid grant parameter : redirect_uri")
            self._refresh.add(self.refresh_token)
        elif form.get("refresh_token") not in self._refresh:
            raise _No(400, "invalid_grant", "The request has an invalid grant parameter : refresh_token")
        return {**self._issue("seller"), "refresh_token": self.refresh_token}

    def _issue(self, grant: str) -> dict[str, object]:
        now, life_s = self.clock.now(), self.clock.shortened(TOKEN_LIFE_S)
        self._alive = {text: each for text, each in self._alive.items() if each.expires_at > now - timedelta(days=1)}
        token = f"Atza|{self._random(100)}"
        self._alive[token] = _Token(grant, now + timedelta(seconds=life_s))
        return {"access_token": token, "token_type": "bearer", "expires_in": max(1, int(life_s))}


class _No(Exception):
    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error


async def _form(request: Request) -> dict[str, str]:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise _No(400, "invalid_request", "The request is not application/x-www-form-urlencoded")
    try:
        return {name: values[-1] for name, values in parse_qs((await request.body()).decode()).items()}
    except UnicodeDecodeError:
        raise _No(400, "invalid_request", "The request is malformed") from None
