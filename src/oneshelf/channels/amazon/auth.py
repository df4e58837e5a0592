"""Login with Amazon: the seller's access token, and a second, grantless one for notification destinations.

In: a `Secret` (client_id, client_secret, refresh_token, access_token). Out: authorized requests, renewed secrets. Never: storing.
Source: Amazon page "Connecting to the Selling Partner API"; notifications model (grantless scope), read 2026-11.
SigV4 signatures are ignored by Amazon since 2023-10-02 and are not sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode

import msgspec

from oneshelf.channels.amazon.account import USER_AGENT
from oneshelf.channels.contract import Http, NoAnswer, Request, Response, Secret
from oneshelf.core.errors import Retry, SignInAgain

NOTIFICATIONS_SCOPE = "sellingpartnerapi::notifications"
TOKEN_LIFE_S = 3600

#: OAuth errors that pass by themselves (RFC 6749 section 4.1.2.1); every other one needs a person.
_PASSING_ERRORS = {"temporarily_unavailable", "server_error", "slow_down"}


class _TokenAnswer(msgspec.Struct):
    access_token: str
    expires_in: int = TOKEN_LIFE_S
    refresh_token: str | None = None


class _TokenError(msgspec.Struct):
    error: str = ""
    error_description: str = ""


class LoginWithAmazon:
    """`Auth` of one seller. Secret values: "client_id", "client_secret", "refresh_token", "access_token"."""

    def __init__(self, token_url: str) -> None:
        self.token_url = token_url

    def authorized(self, request: Request, secret: Secret) -> Request:
        """Return the request with the access token. A bare request is returned as it is."""
        if request.bare:
            return request
        headers = {**request.headers, "x-amz-access-token": secret.values.get("access_token", "")}
        headers.setdefault("user-agent", USER_AGENT)
        return msgspec.structs.replace(request, headers=headers)

    def needs_renewal(self, secret: Secret, now: datetime) -> bool:
        """Return True if there is no access token, no known end of it, or it ends soon."""
        return not secret.values.get("access_token") or secret.expires_at is None or secret.ends_soon(now)

    async def renew(self, http: Http, secret: Secret, now: datetime) -> Secret:
        """Ask for a new access token with the refresh token. Raises SignInAgain when refused for good, Retry otherwise."""
        form = {"grant_type": "refresh_token", "refresh_token": secret.values.get("refresh_token", "")}
        answer = await self._token(http, form, secret.values)
        values = {**secret.values, "access_token": answer.access_token}
        if answer.refresh_token:
            values["refresh_token"] = answer.refresh_token
        return secret.renewed(values, answer.expires_in, now)

    async def sign_in(self, http: Http, app: Secret, code: str, redirect_uri: str, now: datetime) -> Secret:
        """Trade an authorization code for the seller's tokens: the code lives five minutes and works once.

        Raises SignInAgain when refused for good or without a refresh token, Retry otherwise.
        """
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        answer = await self._token(http, form, app.values)
        if not answer.refresh_token:
            raise SignInAgain("Login with Amazon gave no refresh token: access would end in an hour")
        values = {**app.values, "access_token": answer.access_token, "refresh_token": answer.refresh_token}
        return app.renewed(values, answer.expires_in, now)

    async def grantless_token(self, http: Http, app_secret: Mapping[str, str]) -> str:
        """Ask for a token that belongs to the application, not to a seller: destinations need it.

        Raises SignInAgain or Retry as `renew`. Source: notifications model; page "Grantless operations", read 2026-11.
        """
        form = {"grant_type": "client_credentials", "scope": NOTIFICATIONS_SCOPE}
        return (await self._token(http, form, app_secret)).access_token

    def token_refused(self, response: Response) -> bool:
        """Return True for 401 and 403: Amazon gives an expired token the same status as a missing role, so each is worth one
        renewal and no more. Source: descriptions of 403 in Amazon's models ("Expired Token"), read 2026-11."""
        return response.status in (401, 403)

    async def _token(self, http: Http, form: Mapping[str, str], app: Mapping[str, str]) -> _TokenAnswer:
        for name in ("client_id", "client_secret"):
            if not app.get(name):
                raise SignInAgain(f"the Amazon application's {name} is missing")
        request = Request(
            method="POST",
            url=self.token_url,
            operation="lwaToken",
            headers={"content-type": "application/x-www-form-urlencoded;charset=UTF-8", "user-agent": USER_AGENT},
            body=urlencode({**form, "client_id": app["client_id"], "client_secret": app["client_secret"]}).encode(),
            bare=True,
        )
        try:
            response = await http.request(request)
        except NoAnswer as lost:
            raise Retry(f"Login with Amazon did not answer: {lost.reason}") from lost
        return _token_of(response)


def _token_of(response: Response) -> _TokenAnswer:
    """Read the token answer. 400 and 401 with an OAuth error are a refusal; everything else may pass."""
    if response.status == 200:
        try:
            return msgspec.json.decode(response.body, type=_TokenAnswer, strict=False)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as bad:
            raise Retry("Login with Amazon gave an unreadable answer") from bad
    try:
        refusal = msgspec.json.decode(response.body, type=_TokenError)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        refusal = _TokenError()
    if response.status in (400, 401, 403) and refusal.error and refusal.error not in _PASSING_ERRORS:
        raise SignInAgain(
            f"Login with Amazon: {refusal.error} ({refusal.error_description[:200]}){_hint(refusal.error)}"
        )
    raise Retry(f"Login with Amazon answered HTTP {response.status}")


def _hint(error: str) -> str:
    """Say what to do. A client secret is rotated every 180 days. Source: selling-partner-api-docs issue 3030."""
    if error == "invalid_client":
        return "; its client secret was rotated or mistyped: enter the new one of Seller Central → Develop Apps"
    if error == "invalid_grant":
        return "; the authorization ended or the code was used: sign in to Amazon again"
    return ""
