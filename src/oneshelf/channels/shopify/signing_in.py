"""Signing in with the browser: the authorization code grant, with expiring tokens and a refresh token that rotates.

In: what the merchant gave, the callback's query. Out: where to send him; the account's secret. Never: a code of a callback that is not
signed, is old, or names another shop.
Source: Shopify docs, "Authorization code grant"; callback check (HMAC over the sorted query, 90 s): @shopify/shopify-api 15.0.0; read 2026-11.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode

import msgspec

from oneshelf.channels.abilities import SignedIn, SignInWish
from oneshelf.channels.contract import Http, Request, Secret
from oneshelf.channels.shopify.auth import token_answer, with_tokens
from oneshelf.channels.shopify.subscriptions import SCOPES
from oneshelf.core.errors import Park

SHOP = re.compile(r"^[a-z0-9][a-z0-9-]*\.myshopify\.com$")
#: A callback older than this is not taken.
CALLBACK_S_MAX = 90


class ShopifySignIn:
    """How a merchant gives us access to his shop. `wish.settings`: shop; overrides: endpoint, token_url, consent_url."""

    app_names = ("client_id", "client_secret")

    def consent_url(self, wish: SignInWish) -> str:
        client_id = wish.app.get("client_id", "")
        if not client_id or not wish.app.get("client_secret"):
            raise Park("Shopify needs the app's client_id and client_secret: take them from the Dev Dashboard")
        query = {
            "client_id": client_id,
            "scope": ",".join(SCOPES),
            "redirect_uri": wish.redirect_uri,
            "state": wish.state,
        }
        base = wish.settings.get("consent_url") or f"{_endpoint(wish)}/admin/oauth/authorize"
        return f"{base}?{urlencode(query)}"

    def code(self, wish: SignInWish, query: Mapping[str, str], now: datetime) -> str:
        """Raises Park unless the query is signed with the app's secret, young, of this shop and of this sign-in."""
        if not _is_signed(query, wish.app.get("client_secret", "")):
            raise Park("This answer is not signed by Shopify with this app's secret. Begin the sign-in again.")
        if not hmac.compare_digest(wish.state.encode(), query.get("state", "").encode()):
            raise Park("This answer belongs to another sign-in. Begin the sign-in again.")
        if query.get("shop", "") != _shop(wish):
            raise Park(f"This answer is about another shop than {_shop(wish)}. Begin the sign-in again.")
        said = query.get("timestamp", "")
        if not said.isdecimal() or abs(now.timestamp() - int(said[:15])) > CALLBACK_S_MAX:
            raise Park("This answer is too old. Begin the sign-in again.")
        if not query.get("code"):
            raise Park("Shopify gave no code: the app was not installed. Begin the sign-in again and install it.")
        return query["code"]

    async def signed_in(self, http: Http, wish: SignInWish, query: Mapping[str, str], now: datetime) -> SignedIn:
        code = self.code(wish, query, now)
        keys = {"client_id": wish.app["client_id"], "client_secret": wish.app["client_secret"]}
        request = Request(
            method="POST",
            url=wish.settings.get("token_url") or f"{_endpoint(wish)}/admin/oauth/access_token",
            operation="oauth_token",
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            body=msgspec.json.encode({**keys, "code": code, "expiring": "1"}),
            cost=0,
            writes=True,  # a code works once
            bare=True,
        )
        answer = token_answer(await http.request(request))
        return SignedIn(with_tokens(Secret(values=keys), answer, now), {"shop": _shop(wish)})


def _is_signed(query: Mapping[str, str], secret: str) -> bool:
    """Whether Shopify signed this query. Its pages show the values as they are, its library signs them percent-encoded: they differ
    only where a value has signs, and either needs the secret."""
    pairs = [(name, value) for name, value in sorted(query.items()) if name != "hmac"]
    given = query.get("hmac", "").encode()
    genuine = False
    for text in ("&".join(f"{name}={value}" for name, value in pairs), urlencode(pairs)):
        wanted = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest().encode()
        genuine |= bool(secret) and hmac.compare_digest(wanted, given)
    return genuine


def _shop(wish: SignInWish) -> str:
    shop = wish.settings.get("shop", "").strip().lower()
    shop = shop if "." in shop else f"{shop}.myshopify.com"
    if not SHOP.fullmatch(shop):
        raise Park(f"{shop!r} is no shop: give the domain that ends in .myshopify.com")
    return shop


def _endpoint(wish: SignInWish) -> str:
    return (wish.settings.get("endpoint") or f"https://{_shop(wish)}").rstrip("/")


SIGN_IN = ShopifySignIn()
