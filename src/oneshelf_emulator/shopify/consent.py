"""Installing the app in the browser: the consent page, and the code it gives; the session token of an embedded app's page.

In: `/admin/oauth/authorize` with what the app asks for; the merchant's button. Out: a redirect to the app with a signed query.
Never: gives a code for an app, an address or a scope that this shop does not know; says what a token may do (auth.py).
Source: contracts sheet shopify section 3; Shopify docs "authorization code grant", "session tokens" (HS256, signed with the client secret,
one minute).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from . import scopes

if TYPE_CHECKING:
    from .shop import Shopify

#: How long a code lives. Not documented for this grant [U]; RFC 6749 names ten minutes at most.
CODE_LIFE_S = 600.0
SESSION_LIFE_S = 60.0
#: Scopes beside those of `scopes.DEFAULT` that an app may ask for.
_MORE = {"read_all_orders", "read_marketplace_orders", "read_shipping", "read_reports"}


class Refused(Exception):
    """What is asked for is not shown as a page to agree to."""


@dataclass(frozen=True)
class Wish:
    """What an app asks for."""

    scopes: frozenset[str]
    redirect_uri: str
    state: str


class Consent:
    """Codes of one app for one shop. `redirect_uris`: the addresses in the app's configuration."""

    def __init__(self, shop: Shopify) -> None:
        self.shop = shop
        self.redirect_uris: set[str] = set()
        self._codes: dict[str, datetime] = {}

    async def page(self, request: Request) -> Response:
        """GET: the page, or at once the way back where nothing new is asked for. POST: the merchant's button."""
        if request.method == "POST":
            given = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        else:
            given = dict(request.query_params)
        try:
            wish = self.wish(given)
        except Refused as error:
            return HTMLResponse(f"<h1>Oauth error</h1><p>{escape(str(error))}</p>", 400)
        if request.method == "POST" and given.get("button") != "install":
            return HTMLResponse("<h1>Apps</h1><p>The app was not installed.</p>")
        if request.method == "GET" and not (self.shop.installed and wish.scopes <= self.shop.granted_scopes):
            return HTMLResponse(_page(self.shop.app_name, self.shop.domain, wish, given))
        return RedirectResponse(self.agreed(wish), 302)

    def wish(self, given: dict[str, str]) -> Wish:
        """Raises Refused, naming what is wrong."""
        if given.get("client_id") != self.shop.client_id:
            raise Refused("invalid_request: Could not find Shopify API application with that client_id")
        if given.get("redirect_uri", "") not in self.redirect_uris:
            raise Refused("invalid_request: The redirect_uri is not whitelisted")
        if any(name.startswith("grant_options") for name in given):
            raise Refused("per-user (online) tokens are not emulated")
        asked = frozenset(scope.strip() for scope in given.get("scope", "").split(",") if scope.strip())
        unknown = asked - scopes.DEFAULT - _MORE
        if unknown or not asked:
            raise Refused(f"invalid_scope: The access scope is invalid: {', '.join(sorted(unknown))}")
        return Wish(asked, given["redirect_uri"], given.get("state", ""))

    def agreed(self, wish: Wish) -> str:
        """The app is installed with these scopes; return where the merchant's browser goes."""
        shop = self.shop
        shop.installed = True
        shop.granted_scopes = wish.scopes
        code = f"{shop.chance.getrandbits(128):032x}"
        clock = shop.world.clock
        self._codes[code] = clock.now() + timedelta(seconds=clock.shortened(CODE_LIFE_S))
        query = {
            "code": code,
            "host": base64.b64encode(f"{shop.domain}/admin".encode()).decode().rstrip("="),
            "shop": shop.domain,
            "timestamp": str(int(clock.now().timestamp())),
            **({"state": wish.state} if wish.state else {}),
        }
        signed = "&".join(f"{name}={value}" for name, value in sorted(query.items()))
        query["hmac"] = hmac.new(shop.client_secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
        return f"{wish.redirect_uri}{'&' if '?' in wish.redirect_uri else '?'}{urlencode(query)}"

    def take(self, code: str) -> bool:
        """Use a code up; False: it is none, it was used or it is too old."""
        ends_at = self._codes.pop(code, None)
        return ends_at is not None and ends_at > self.shop.world.clock.now()

    # -- embedded apps ----------------------------------------------------------------------------------------------

    def session_token(self) -> str:
        """Return what App Bridge gives an embedded page: a JWT that says in which shop it stands."""
        shop, now = self.shop, int(self.shop.world.clock.now().timestamp())
        claims = {
            "iss": f"https://{shop.domain}/admin",
            "dest": f"https://{shop.domain}",
            "aud": shop.client_id,
            "sub": "42",
            "exp": now + int(SESSION_LIFE_S),
            "nbf": now,
            "iat": now,
            "jti": shop.store.new_uuid(),
            "sid": f"{shop.chance.getrandbits(128):032x}",
        }
        head = _segment({"alg": "HS256", "typ": "JWT"}) + b"." + _segment(claims)
        return (head + b"." + _signature(shop.client_secret, head)).decode()

    def is_session_token(self, token: str) -> bool:
        """Return whether a session token is ours, of this shop and young."""
        head, _, signature = token.rpartition(".")
        if not hmac.compare_digest(_signature(self.shop.client_secret, head.encode()), signature.encode()):
            return False
        claims = json.loads(_decoded(head.partition(".")[2]))
        now = self.shop.world.clock.now().timestamp()
        right = claims["aud"] == self.shop.client_id and claims["dest"] == f"https://{self.shop.domain}"
        return right and claims["nbf"] <= now < claims["exp"]


def _segment(value: dict[str, Any]) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=")


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _signature(secret: str, head: bytes) -> bytes:
    return base64.urlsafe_b64encode(hmac.new(secret.encode(), head, hashlib.sha256).digest()).rstrip(b"=")


def _page(app: str, domain: str, wish: Wish, given: dict[str, str]) -> str:
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in sorted(given.items())
    )
    wanted = "".join(f"<li>{escape(scope)}</li>" for scope in sorted(wish.scopes))
    return (
        f"<!doctype html><title>Install {escape(app)}</title><h1>Install {escape(app)} on {escape(domain)}</h1>"
        f'<p>This app will be able to:</p><ul>{wanted}</ul><form method="post" action="/admin/oauth/authorize">{fields}'
        '<button name="button" value="install">Install</button> <button name="button" value="cancel">Cancel</button></form>'
    )
