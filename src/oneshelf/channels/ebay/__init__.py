"""eBay: one seller.

In: settings, and `Http` for each call. Out: the Channel of contract.py. Never: knows another connector.
Read next: README.md, then order.py, shelf.py, feed.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from oneshelf.channels.abilities import (
    CancelAbility,
    CancelState,
    CancelWish,
    MigrateAbility,
    Parcel,
    PriceAbility,
    PriceOffer,
    PriceSeen,
    ShipAbility,
    ShipmentTold,
    SignsIn,
)
from oneshelf.channels.contract import (
    AccountSeen,
    Auth,
    BudgetSeen,
    Capabilities,
    CataloguePage,
    Cursor,
    Door,
    Finding,
    Http,
    ListingFound,
    Offer,
    Outlet,
    Page,
    RateLimit,
    RawMessage,
    Request,
    Response,
    Seen,
)
from oneshelf.channels.ebay import cancels, checks, feed, limits, parcels, prices, shelf
from oneshelf.channels.ebay.auth import EbayAuth, EbayDoor, key_id_fits
from oneshelf.channels.ebay.catalogue import Catalogue
from oneshelf.channels.ebay.client import BULK_MAX, LOCALES, EbayClient
from oneshelf.channels.ebay.notifications import Notifications
from oneshelf.channels.ebay.order import order_link
from oneshelf.channels.ebay.parse import parse
from oneshelf.channels.ebay.sign_in import EbaySignIn
from oneshelf.channels.ebay.wire import text
from oneshelf.core.errors import Park, SignInAgain
from oneshelf.core.facts import Fact
from oneshelf.core.ids import ChannelName
from oneshelf.core.outcome import Outcome

__all__ = ["SIGN_IN", "Ebay", "connect"]

#: How a seller signs in, before an account exists.
SIGN_IN: SignsIn = EbaySignIn()

ENDPOINT = "https://api.ebay.com"
APIZ_ENDPOINT = "https://apiz.ebay.com"

#: Source: the sites' countries; a seller registered elsewhere may sell there all the same.
CURRENCIES = {
    "EBAY_US": "USD",
    "EBAY_MOTORS_US": "USD",
    "EBAY_CA": "CAD",
    "EBAY_GB": "GBP",
    "EBAY_AU": "AUD",
    "EBAY_CH": "CHF",
    "EBAY_PL": "PLN",
    **dict.fromkeys(("EBAY_DE", "EBAY_AT", "EBAY_FR", "EBAY_IT", "EBAY_ES", "EBAY_NL", "EBAY_BE", "EBAY_IE"), "EUR"),
}

CAN = Capabilities(
    write="absolute",
    write_batch=BULK_MAX,
    read_batch=BULK_MAX,
    visible_after_s=10.0,
    visibility_delay_s=float(feed.VISIBILITY_DELAY_S),
    poll_interval_s=20.0,
    has_webhooks=True,
    # Source: eBay Sell Inventory, bulkUpdatePriceQuantity: each listing can be revised up to 250 times in one calendar day.
    writes_per_unit_day=250,
)

OUT_OF_STOCK = "out_of_stock_control"
_ASK_PREFERENCE = "<ShowOutOfStockControlPreference>true</ShowOutOfStockControlPreference>"
_PREFERENCE = re.compile(rb"<OutOfStockControlPreference>\s*(true|false)\s*</OutOfStockControlPreference>")


class Ebay:
    """One eBay seller as a Channel."""

    name = ChannelName.EBAY
    operations = {"read": "bulkGetInventoryItem", "write": "bulkUpdatePriceQuantity"}
    prices: PriceAbility = prices.ABILITY
    ships: ShipAbility = parcels.SHIPS
    cancels: CancelAbility = cancels.ABILITY
    migration: MigrateAbility = shelf.MIGRATION

    def __init__(
        self,
        *,
        user_id: str = "",
        marketplace_id: str = "EBAY_US",
        endpoint: str = ENDPOINT,
        apiz_endpoint: str = APIZ_ENDPOINT,
        token_url: str = "",
        locale: str = "",
        alert_email: str = "",
    ) -> None:
        self.user_id = user_id
        self.marketplace_id = marketplace_id
        self.can = CAN
        self.limits: tuple[RateLimit, ...] = limits.LIMITS
        #: The same object as `auth`, with what only signing in needs.
        self.oauth = EbayAuth(token_url or f"{endpoint.rstrip('/')}/identity/v1/oauth2/token")
        self.auth: Auth = self.oauth
        self.door: Door = EbayDoor()
        self._alert_email = alert_email
        self._client = EbayClient(endpoint, apiz_endpoint, locale or LOCALES.get(marketplace_id, "en-US"))
        self._catalogue = Catalogue(self._client, marketplace_id, CURRENCIES.get(marketplace_id, "USD"))
        self._feed = feed.Feed(self._client)
        self._notifications = Notifications(endpoint, self.oauth)
        self._checks = checks.Checks(
            endpoint, apiz_endpoint, locale or LOCALES.get(marketplace_id, "en-US"), self.oauth
        )
        self._cancels = cancels.Cancels(self._client, marketplace_id)

    def parse(self, message: RawMessage) -> list[Fact]:
        """Read one message. Raises Unreadable."""
        return parse(message, self.user_id)

    def budget_seen(self, request: Request, response: Response) -> list[BudgetSeen]:
        """Read what a 429 asks to wait."""
        return limits.budget_seen(request, response)

    async def who(self, http: Http) -> AccountSeen:
        """Ask whom the token belongs to. `external_id` is the immutable userId; usernames change."""
        user = await self._client.get_user(http)
        user_id = text(user.get("userId"))
        if user_id is None:
            raise SignInAgain("eBay: the token belongs to no user")
        site = text(user.get("registrationMarketplaceId"))
        return AccountSeen(
            external_id=user_id,
            label=text(user.get("username")) or user_id,
            currency=CURRENCIES.get(self.marketplace_id, "USD"),
            extra={"registration_marketplace_id": site} if site else {},
        )

    async def public_key(self, http: Http, key_id: str, app_secret: Mapping[str, str]) -> str:
        """Return the key for `Claimed.key_id`, to be kept (about an hour) as app_secret["key:<key_id>"].

        Anyone can name an unknown id: the caller limits such questions (10,000 calls a day). Raises Park on an unknown id, Retry,
        SignInAgain, NoAnswer. Source: Commerce Notification getPublicKey; "cache for about one hour".
        """
        if not key_id_fits(key_id):
            raise Park(f"{key_id!r} is no key id of eBay's")
        return await self._notifications.public_key(http, key_id, app_secret)

    async def subscribe(self, http: Http, callback_url: str | None, app_secret: Mapping[str, str]) -> list[Finding]:
        """Set up notifications and check the out-of-stock control. Raises Retry, SignInAgain, NoAnswer."""
        findings = [await self._out_of_stock_control(http)]
        if callback_url is None:
            todo = "Give Oneshelf a public https address: eBay demands account-deletion notices, and orders are only polled."
            return [*findings, Finding("eBay notifications", ok=False, todo=todo)]
        found = await self._notifications.subscribe(http, callback_url, app_secret, self._alert_email)
        return [*findings, *found]

    async def check(self, http: Http, callback_url: str | None, app_secret: Mapping[str, str]) -> list[Finding]:
        """Look at access, scopes, notifications, features and budgets. Raises NoAnswer, Retry, SignInAgain."""
        findings, can_ask = await self._checks.access(http)
        if not can_ask:
            return findings
        known = self.marketplace_id in CURRENCIES
        todo = "" if known else f"{self.marketplace_id} is no site that Oneshelf knows: prices are taken for USD."
        findings.append(Finding("eBay currency", ok=known, todo=todo, code="currency"))
        findings.append(await self._out_of_stock_control(http))
        if not any(one.which == "sell.inventory" and not one.ok for one in findings):
            findings.append(checks.pinned(await self._catalogue.first(http)))
        findings += await self._checks.quota(http, app_secret)
        if callback_url is None:
            todo = "Give Oneshelf a public https address: eBay demands account-deletion notices, and orders are only polled."
            return [*findings, Finding("eBay notifications", ok=False, todo=todo, code="subscription")]
        return [*findings, *await self._notifications.check(http, callback_url, app_secret)]

    async def _out_of_stock_control(self, http: Http) -> Finding:
        """Without it eBay ends a listing at 0, and putting it back makes a new one (S8.16)."""
        what = "eBay out-of-stock control"
        response = await self._client.trading(http, "GetUserPreferences", _ASK_PREFERENCE)
        found = _PREFERENCE.search(response.body) if response.status == 200 else None
        if found is None:
            return Finding(
                what,
                ok=True,
                code="feature",
                which=OUT_OF_STOCK,
                todo="It could not be read; make sure it is on in eBay's site preferences.",
            )
        if found.group(1) == b"true":
            return Finding(what, ok=True, code="feature", which=OUT_OF_STOCK)
        return Finding(
            what,
            ok=False,
            code="feature",
            which=OUT_OF_STOCK,
            holds_back=True,
            todo="Switch it on in eBay's site preferences: without it a listing ends at 0.",
        )

    async def catalogue(self, http: Http, cursor: dict[str, Any] | None) -> CataloguePage:
        """Read a part of the inventory items and the listings they are in."""
        return await self._catalogue.page(http, cursor)

    async def listings_of(self, http: Http, external_id: str) -> list[ListingFound]:
        """Read one SKU again."""
        return await shelf.listings_of(self._client, http, external_id, self.marketplace_id)

    async def migrate(self, http: Http, listing_ids: Sequence[str]) -> list[Outcome]:
        """Bring up to 5 listings made elsewhere under Sell Inventory, for good. Only when a person asks."""
        return await shelf.migrate(self._client, http, listing_ids)

    async def fetch(self, http: Http, cursor: Cursor, now: datetime) -> Page:
        """Read one page of changed orders, with their parcels."""
        return await self._feed.fetch(http, cursor, now)

    async def fetch_order(self, http: Http, order_id: str) -> RawMessage | None:
        """Read one order by id, with its parcels."""
        return await self._feed.fetch_order(http, order_id)

    async def read(self, http: Http, outlets: Sequence[Outlet]) -> list[Seen]:
        """Read item-level quantities of up to 25 SKUs."""
        return await shelf.read(self._client, http, outlets)

    async def publish(self, http: Http, offers: Sequence[Offer]) -> list[Outcome]:
        """Write item-level quantities of up to 25 SKUs."""
        return await shelf.publish(self._client, http, offers)

    async def read_prices(self, http: Http, outlets: Sequence[Outlet]) -> list[PriceSeen]:
        """Read the offers of up to 10 SKUs."""
        return await prices.read_prices(self._client, http, outlets, self.marketplace_id)

    async def publish_prices(self, http: Http, offers: Sequence[PriceOffer]) -> list[Outcome]:
        """Write the prices of up to 25 SKUs' published offers; quantities stay as they are."""
        return await prices.publish_prices(self._client, http, offers)

    async def shipments(self, http: Http, order_id: str) -> list[ShipmentTold]:
        """Read the parcels that eBay knows of an order."""
        return await parcels.shipments(self._client, http, order_id)

    async def ship(self, http: Http, order_id: str, parcel: Parcel, known: Mapping[str, Any]) -> Outcome:
        """Tell one parcel, once."""
        return await parcels.ship(self._client, http, order_id, parcel)

    def cancel_link(self, order_id: str) -> str:
        """Return the order's page in Seller Hub."""
        return order_link(order_id, self.marketplace_id)

    async def cancel(self, http: Http, wish: CancelWish) -> Outcome:
        """Cancel a whole order that can't be delivered, or agree to the buyer's wish to cancel it."""
        return await self._cancels.cancel(http, wish)

    async def cancel_state(self, http: Http, wish: CancelWish, reference: str | None) -> CancelState:
        """Read how far a cancel is; without a reference, by the order."""
        return await self._cancels.cancel_state(http, wish, reference)


def connect(settings: Mapping[str, str]) -> Ebay:
    """Make the connector of one seller.

    `user_id`: eBay's immutable userId (may be absent before `who` is asked). `marketplace_id`: default EBAY_US. `endpoint`: default
    https://api.ebay.com. `apiz_endpoint`: identity host, default https://apiz.ebay.com. `token_url`: default
    `<endpoint>/identity/v1/oauth2/token`. `locale`: Accept-Language, default the marketplace's. `alert_email`: where eBay sends alerts
    about notifications. Secret.values: client_id, client_secret, refresh_token, access_token, ru_name.
    app_secret: client_id, client_secret, verification_token (32 to 80 of [A-Za-z0-9_-]), "key:<kid>" (from `public_key`).
    """
    return Ebay(
        user_id=settings.get("user_id", ""),
        marketplace_id=settings.get("marketplace_id") or "EBAY_US",
        endpoint=settings.get("endpoint") or ENDPOINT,
        apiz_endpoint=settings.get("apiz_endpoint") or APIZ_ENDPOINT,
        token_url=settings.get("token_url", ""),
        locale=settings.get("locale", ""),
        alert_email=settings.get("alert_email", ""),
    )
