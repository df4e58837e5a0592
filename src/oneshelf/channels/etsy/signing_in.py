"""How a seller signs in to Etsy in the browser: authorization code with PKCE (S256).

In: the app's keystring and shared_secret, fresh state and verifier. Out: where to send the seller; then the first pair of tokens
and the shop's number. Never: stores anything.
Source: Etsy developer documentation, essentials/authentication, read 2026-11.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from oneshelf.channels.abilities import SignedIn, SignInWish
from oneshelf.channels.contract import Http, Request, Secret
from oneshelf.channels.etsy.answers import body_of_read
from oneshelf.channels.etsy.auth import EtsyAuth, consent_url
from oneshelf.channels.etsy.wire import whole
from oneshelf.core.errors import Park, SignInAgain

ENDPOINT = "https://openapi.etsy.com"
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class EtsySignIn:
    """Etsy's consent page. `app`: keystring, shared_secret. `settings`: endpoint, token_url (both optional)."""

    app_names = ("keystring", "shared_secret")

    def consent_url(self, wish: SignInWish) -> str:
        """Return the consent page's address. Raises Park naming what is missing."""
        _app(wish)
        if not _VERIFIER.fullmatch(wish.verifier) or not wish.state:
            raise Park("Etsy: a sign-in needs a state and a verifier of 43 to 128 of A-Z a-z 0-9 - . _ ~")
        return consent_url(wish.app["keystring"], wish.redirect_uri, wish.state, wish.verifier)

    def code(self, wish: SignInWish, query: Mapping[str, str], now: datetime) -> str:
        """Return the callback's code. Etsy signs no callback: the state is what proves it is ours. Raises Park."""
        if not wish.state or not hmac.compare_digest(query.get("state", "").encode(), wish.state.encode()):
            raise Park("Etsy: this callback is of another sign-in; begin again.")
        if query.get("error"):
            raise Park(f"Etsy: the sign-in was not granted ({query['error'][:80]}); grant it as the shop's owner.")
        if not query.get("code"):
            raise Park("Etsy: the callback carries no code; begin again.")
        return query["code"]

    async def signed_in(self, http: Http, wish: SignInWish, query: Mapping[str, str], now: datetime) -> SignedIn:
        """Trade the code, then ask whose shop it is (getMe). Raises Park, Retry, NoAnswer."""
        _app(wish)
        code = self.code(wish, query, now)
        endpoint = (wish.settings.get("endpoint") or ENDPOINT).rstrip("/")
        auth = EtsyAuth(wish.settings.get("token_url") or f"{endpoint}/v3/public/oauth/token")
        app = Secret({name: wish.app[name] for name in self.app_names})
        secret = await auth.sign_in(http, app, code, wish.redirect_uri, wish.verifier, now)
        if not secret.values.get("refresh_token"):
            raise SignInAgain("Etsy gave no refresh token; begin the sign-in again.")
        ask = Request(method="GET", url=f"{endpoint}/v3/application/users/me", operation="getMe", bare=True)
        request = auth.authorized(ask, secret)
        me = body_of_read(request, await http.request(request), dict[str, Any])
        user_id = secret.values["access_token"].partition(".")[0]
        if user_id.isdigit() and whole(me.get("user_id")) != int(user_id):
            raise SignInAgain("Etsy: the token belongs to another user than getMe names; begin the sign-in again.")
        shop_id = whole(me.get("shop_id"))
        if not shop_id or shop_id < 0:
            raise SignInAgain("Etsy: this user owns no shop; sign in as the shop's owner.")
        return SignedIn(secret, {"shop_id": str(shop_id)})


def _app(wish: SignInWish) -> None:
    for name in EtsySignIn.app_names:
        if not wish.app.get(name):
            raise Park(f"Etsy: the app's {name} is missing; it stands at etsy.com/developers/your-apps.")
