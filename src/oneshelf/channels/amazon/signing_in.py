"""How a seller gives us access in the browser: Seller Central's consent page, and the code that comes back.

In: what the sign-in was begun with, the callback's query. Out: addresses, secrets. Never: stores a secret.
Source: Amazon pages website-authorization-workflow and renew-authorizations, read in excerpts 2026-11; the code lives five minutes
(selling-partner-api-docs issue 268). An authorization ends after 365 days, or when a role is added: the same way again renews it.
A redirect_uri that is not one of the application's is refused as MD5101, a draft application without version=beta as MD1000 (page
authorization-errors). The setting `consent_url` overrides the address.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode

from oneshelf.channels.abilities import SignedIn, SignInWish
from oneshelf.channels.amazon.account import TOKEN_URL
from oneshelf.channels.amazon.auth import LoginWithAmazon
from oneshelf.channels.amazon.marketplaces import MARKETPLACES
from oneshelf.channels.contract import Http, Secret
from oneshelf.core.errors import Park

#: Country of the main marketplace → its Seller Central. The five oldest European stores share one. Amazon's own list (page
#: seller-central-urls) could not be read. US, CA, MX, BR, GB, DE, FR, IT, ES: a table in PipedreamHQ/pipedream issue 19138; BE:
#: ScaleLeap/amazon-marketplaces; read 2026-11. U (unconfirmed): all others.
SELLER_CENTRALS = {
    "US": "https://sellercentral.amazon.com",
    "CA": "https://sellercentral.amazon.ca",
    "MX": "https://sellercentral.amazon.com.mx",
    "BR": "https://sellercentral.amazon.com.br",
    "GB": "https://sellercentral-europe.amazon.com",
    "DE": "https://sellercentral-europe.amazon.com",
    "FR": "https://sellercentral-europe.amazon.com",
    "IT": "https://sellercentral-europe.amazon.com",
    "ES": "https://sellercentral-europe.amazon.com",
    "IE": "https://sellercentral.amazon.ie",
    "NL": "https://sellercentral.amazon.nl",
    "BE": "https://sellercentral.amazon.com.be",
    "SE": "https://sellercentral.amazon.se",
    "PL": "https://sellercentral.amazon.pl",
    "ZA": "https://sellercentral.amazon.co.za",
    "EG": "https://sellercentral.amazon.eg",
    "TR": "https://sellercentral.amazon.com.tr",
    "SA": "https://sellercentral.amazon.sa",
    "AE": "https://sellercentral.amazon.ae",
    "IN": "https://sellercentral.amazon.in",
    "SG": "https://sellercentral.amazon.sg",
    "AU": "https://sellercentral.amazon.com.au",
    "JP": "https://sellercentral.amazon.co.jp",
}


class AmazonSignIn:
    """Amazon's website authorization. app: "application_id" (amzn1.sp.solution.…), "client_id", "client_secret".

    settings: "marketplace_ids" (the main one first: it decides which Seller Central); optional "application_state" = "draft" while the
    application is not published; overrides "consent_url", "token_url".
    """

    app_names = ("application_id", "client_id", "client_secret")

    def consent_url(self, wish: SignInWish) -> str:
        """Return Seller Central's consent page. Raises Park naming what is missing."""
        application_id = _needed(wish, "application_id")
        query = {"application_id": application_id, "state": wish.state, "redirect_uri": wish.redirect_uri}
        if wish.settings.get("application_state") == "draft":
            query["version"] = "beta"
        base = wish.settings.get("consent_url") or f"{_seller_central(wish)}/apps/authorize/consent"
        return f"{base}?{urlencode(query)}"

    def code(self, wish: SignInWish, query: Mapping[str, str], now: datetime) -> str:
        """Return the code of a callback of this very sign-in. Raises Park with what to do."""
        if not hmac.compare_digest(query.get("state", "").encode(), wish.state.encode()):
            raise Park("Amazon's answer belongs to another sign-in; begin again from Oneshelf")
        if query.get("error"):
            raise Park(f"Amazon gave no access ({query['error'][:100]}); begin again and confirm on Amazon's page")
        if not query.get("selling_partner_id", "").strip():
            raise Park("Amazon's answer names no seller; begin again from Oneshelf")
        expected = wish.settings.get("seller_id", "").strip()
        if expected and expected != query["selling_partner_id"].strip():
            raise Park(
                "Another Amazon seller signed in than this account's; sign in to Seller Central as the right one"
            )
        if not query.get("spapi_oauth_code"):
            raise Park("Amazon's answer has no code; begin again from Oneshelf")
        return query["spapi_oauth_code"]

    async def signed_in(self, http: Http, wish: SignInWish, query: Mapping[str, str], now: datetime) -> SignedIn:
        """Trade the code for tokens. Raises Park (a code that is old or used: SignInAgain) or Retry."""
        code = self.code(wish, query, now)
        app = {name: _needed(wish, name) for name in ("client_id", "client_secret")}
        login = LoginWithAmazon(wish.settings.get("token_url") or TOKEN_URL)
        secret = await login.sign_in(http, Secret(values=app), code, wish.redirect_uri, now)
        return SignedIn(secret, {"seller_id": query["selling_partner_id"].strip()})


def _needed(wish: SignInWish, name: str) -> str:
    value = wish.app.get(name, "").strip()
    if not value:
        raise Park(f"Amazon: {name} of the application is missing; Seller Central → Develop Apps shows it")
    return value


def _seller_central(wish: SignInWish) -> str:
    main = wish.settings.get("marketplace_ids", "").split(",")[0].strip()
    if not main:
        raise Park("Amazon: marketplace_ids is missing (comma-joined, the main one first)")
    if main not in MARKETPLACES:
        raise Park(f"Amazon: marketplace_ids begins with {main[:40]!r}, which is no marketplace that we know")
    return SELLER_CENTRALS[MARKETPLACES[main].country]
