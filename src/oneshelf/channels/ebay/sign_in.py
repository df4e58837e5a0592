"""How a seller gives us access in the browser: eBay's consent page and the code that comes back.

In: what the sign-in was begun with, and the callback's query. Out: addresses, secrets. Never: stores a secret.
Source: developer.ebay.com OAuth guides, authorization code grant, read 2026-11. The code lives about 299 s and works once. eBay calls
back to the address that lies behind the RuName; `redirect_uri` is the RuName, not an address.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime

from oneshelf.channels.abilities import SignedIn, SignInWish
from oneshelf.channels.contract import Http, Secret
from oneshelf.channels.ebay.auth import CONSENT_URL, EbayAuth, consent_url
from oneshelf.core.errors import Park

_TOKEN_PATH = "/identity/v1/oauth2/token"
_ENDPOINT = "https://api.ebay.com"
_SANDBOX_CONSENT_URL = "https://auth.sandbox.ebay.com/oauth2/authorize"


class EbaySignIn:
    """The authorization code grant. app: client_id, client_secret, ru_name, and verification_token (no part of signing in, but eBay's
    notifications need it from the first minute on). settings: endpoint, token_url, consent_url (all optional)."""

    app_names = ("client_id", "client_secret", "ru_name", "verification_token")

    def consent_url(self, wish: SignInWish) -> str:
        """Return eBay's consent page. Raises Park naming what is missing."""
        _needed(wish, "client_id")
        base = wish.settings.get("consent_url") or (
            _SANDBOX_CONSENT_URL if "api.sandbox.ebay.com" in wish.settings.get("endpoint", "") else CONSENT_URL
        )
        return consent_url(wish.app["client_id"], _ru_name(wish), wish.state, base=base)

    def code(self, wish: SignInWish, query: Mapping[str, str], now: datetime) -> str:
        """Return the code. `query` is URL-decoded once, as a query is read; decoding again would break it. Raises Park."""
        if not hmac.compare_digest(query.get("state", "").encode(), wish.state.encode()):
            raise Park("eBay's answer belongs to another sign-in; begin again from Oneshelf")
        error = query.get("error", "")
        if error == "access_denied":
            raise Park("The seller did not agree on eBay's page; begin again and agree to all that is asked")
        if error == "invalid_scope":
            raise Park("eBay does not grant this application what Oneshelf asks for; see the keyset's OAuth scopes")
        if error:
            raise Park(f"eBay refused the sign-in: {error[:100]} {query.get('error_description', '')[:200]}".strip())
        if not query.get("code"):
            raise Park("eBay's answer has no code; begin again from Oneshelf")
        return query["code"]

    async def signed_in(self, http: Http, wish: SignInWish, query: Mapping[str, str], now: datetime) -> SignedIn:
        """Trade the code for tokens. Raises Park (a code of another or used sign-in too: SignInAgain), Retry."""
        code = self.code(wish, query, now)
        _needed(wish, "client_id")
        _needed(wish, "client_secret")
        own = {
            "client_id": wish.app["client_id"],
            "client_secret": wish.app["client_secret"],
            "ru_name": _ru_name(wish),
        }
        endpoint = (wish.settings.get("endpoint") or _ENDPOINT).rstrip("/")
        auth = EbayAuth(wish.settings.get("token_url") or f"{endpoint}{_TOKEN_PATH}")
        secret = await auth.sign_in(http, Secret(own), code, now)
        if not secret.values.get("refresh_token"):
            raise Park("eBay gave no refresh token: access would end in two hours; begin again")
        return SignedIn(secret)


def _needed(wish: SignInWish, name: str) -> None:
    if not wish.app.get(name):
        raise Park(f"eBay: {name} of the application is missing; enter the keyset of developer.ebay.com first")


def _ru_name(wish: SignInWish) -> str:
    """Return the RuName: eBay's name for our address, as the keyset shows it."""
    name = wish.app.get("ru_name") or wish.settings.get("ru_name") or wish.redirect_uri
    if not name or "://" in name:
        raise Park(
            "eBay: ru_name is missing; it is the RuName that the keyset shows for our redirect address, not the address"
        )
    return name
