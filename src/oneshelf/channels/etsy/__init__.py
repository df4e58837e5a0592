"""Etsy: one shop.

In: settings, and `Http` for each call. Out: the Channel of contract.py. Never: knows another connector, or keeps anything but
its settings. Read next: README.md, then receipt.py, listing.py, shelf.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from oneshelf.channels.abilities import (
    CancelAbility,
    CancelState,
    CancelWish,
    Parcel,
    PriceAbility,
    PriceOffer,
    PriceSeen,
    ShipAbility,
    ShipmentTold,
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
from oneshelf.channels.etsy import checks, feed, limits, parcels, prices, shelf
from oneshelf.channels.etsy.auth import EtsyAuth, EtsyDoor
from oneshelf.channels.etsy.client import ROWS_MAX, EtsyClient
from oneshelf.channels.etsy.parse import parse
from oneshelf.channels.etsy.signing_in import ENDPOINT, EtsySignIn
from oneshelf.channels.etsy.wire import text, whole
from oneshelf.core.errors import SignInAgain
from oneshelf.core.facts import Fact, OrderSeen
from oneshelf.core.ids import ChannelName
from oneshelf.core.outcome import Outcome, Rejected

__all__ = ["SIGN_IN", "Etsy", "connect"]

#: How a seller signs in, before an account exists.
SIGN_IN = EtsySignIn()

CAN = Capabilities(
    write="absolute",
    write_batch=ROWS_MAX,
    read_batch=ROWS_MAX,
    visible_after_s=5.0,
    visibility_delay_s=float(feed.VISIBILITY_DELAY_S),
    poll_interval_s=60.0,
    has_webhooks=True,
    reads_before_write=True,
    reads_units=True,
    # Source: error text "There was a problem with /quantity : cannot be greater than 999" (etsy/open-api #214).
    max_quantity=999,
    zero_is_state=True,
    # Source: Etsy Open API v3, updateListing, `state`: "Setting a `sold_out` listing to `active` will update the quantity to 1 …", read 2026-11.
    opens_with_one=True,
    # Cancels and refunds may never show in the feed; an hour keeps the cost below the day's budget for some dozens of open orders.
    rereads_open_orders_s=3_600.0,
)

#: A person cancels on etsy.com; refunds may be asked back by cases and cost reviews. Source: no such operation in the Open API v3.
CANCELS = CancelAbility(how="person", lines=False, counts_against="Etsy counts cases and reviews; there is no rate")


class Etsy:
    """One Etsy shop as a Channel. One listing is one write unit: pass all offers of a listing in one publish."""

    name = ChannelName.ETSY
    operations = {
        "read": "getListingsInventoryByListingIds",
        "read_one": "getListingInventory",
        "write": "updateListingInventory",
    }

    def __init__(self, *, shop_id: str = "", endpoint: str = ENDPOINT, token_url: str = "") -> None:
        if shop_id and not shop_id.isdigit():
            raise ValueError(f"Etsy shop_id {shop_id!r} is not a number")
        self.shop_id = shop_id
        self.can = CAN
        self.ships: ShipAbility = parcels.SHIPS
        self.prices: PriceAbility = prices.PRICES
        self.cancels: CancelAbility = CANCELS
        self.limits: tuple[RateLimit, ...] = limits.LIMITS
        #: The same object as `auth`, with what only signing in needs.
        self.oauth = EtsyAuth(token_url or f"{endpoint.rstrip('/')}/v3/public/oauth/token")
        self.auth: Auth = self.oauth
        self.door: Door = EtsyDoor()
        self._client = EtsyClient(endpoint, shop_id)

    def parse(self, message: RawMessage) -> list[Fact]:
        """Read one message. Raises Unreadable."""
        return parse(message, self.shop_id)

    def budget_seen(self, request: Request, response: Response) -> list[BudgetSeen]:
        """Read the rate headers."""
        return limits.budget_seen(request, response)

    async def who(self, http: Http) -> AccountSeen:
        """Ask for the shop of the signed-in user: two reads. Raises SignInAgain if the user has none."""
        me = await self._client.get_me(http)
        shop_id = whole(me.get("shop_id"))
        if not shop_id or shop_id < 0:
            raise SignInAgain("Etsy: this user owns no shop; sign in as the shop's owner")
        shop = await self._client.get_shop(http, str(shop_id))
        return AccountSeen(
            external_id=str(shop_id),
            label=text(shop.get("shop_name")) or str(shop_id),
            currency=text(shop.get("currency_code")) or "",
            extra={"user_id": str(whole(me.get("user_id")) or "")},
        )

    async def subscribe(self, http: Http, callback_url: str | None, app_secret: Mapping[str, str]) -> list[Finding]:
        """Say what is left to do by hand: Etsy has no API for webhooks, only commercial apps have them, polling covers the rest.

        Source: Etsy developer documentation, essentials/webhooks, read 2026-11.
        """
        return [checks.webhooks(callback_url, app_secret)]

    async def check(self, http: Http, callback_url: str | None, app_secret: Mapping[str, str]) -> list[Finding]:
        """Say what is missing: access, scopes, quota, shop, processing profiles, the right to ship, webhooks. Reads only."""
        return await checks.check(self._client, http, self.shop_id, callback_url, app_secret)

    async def listings_of(self, http: Http, external_id: str) -> list[ListingFound]:
        """Read one listing again, whole, with all its products. Empty: Etsy does not know it."""
        return await shelf.listings_of(self._client, http, external_id)

    async def catalogue(self, http: Http, cursor: dict[str, Any] | None) -> CataloguePage:
        """Read up to 100 listings of one state."""
        return await shelf.catalogue(self._client, http, cursor)

    async def fetch(self, http: Http, cursor: Cursor, now: datetime) -> Page:
        """Read one page of changed receipts."""
        return await feed.fetch(self._client, http, cursor, now)

    async def fetch_order(self, http: Http, order_id: str) -> RawMessage | None:
        """Read one receipt by id."""
        return await feed.fetch_order(self._client, http, order_id)

    async def read(self, http: Http, outlets: Sequence[Outlet]) -> list[Seen]:
        """Read what outlets show; one listing by itself (the document a write needs), several by batch."""
        return await shelf.read(self._client, http, outlets)

    async def publish(self, http: Http, offers: Sequence[Offer]) -> list[Outcome]:
        """Write each listing named once, from the document in `seen` (or a fresh one)."""
        return await shelf.publish(self._client, http, offers)

    async def read_prices(self, http: Http, outlets: Sequence[Outlet]) -> list[PriceSeen]:
        """Read what outlets ask."""
        return await prices.read(self._client, http, outlets)

    async def publish_prices(self, http: Http, offers: Sequence[PriceOffer]) -> list[Outcome]:
        """Write each listing once, freshly read: its prices, and numbers as handed along or as just read."""
        return await prices.publish(self._client, http, offers)

    async def shipments(self, http: Http, order_id: str) -> list[ShipmentTold]:
        """Read the parcels on a receipt."""
        return await parcels.shipments(self._client, http, order_id)

    async def ship(self, http: Http, order_id: str, parcel: Parcel, known: Mapping[str, Any]) -> Outcome:
        """Tell one parcel of a receipt."""
        return await parcels.ship(self._client, http, order_id, parcel)

    def cancel_link(self, order_id: str) -> str:
        """Return the receipt's page, where a person cancels it."""
        return f"https://www.etsy.com/your/orders/sold?order_id={order_id}"

    async def cancel(self, http: Http, wish: CancelWish) -> Outcome:
        """Etsy has no call for it (S7)."""
        return Rejected("Etsy has no call that cancels; do it on etsy.com", code="person")

    async def cancel_state(self, http: Http, wish: CancelWish, reference: str | None) -> CancelState:
        """Read whether a person has cancelled it. Raises Retry, SignInAgain, NoAnswer."""
        message = await feed.fetch_order(self._client, http, wish.order_id)
        if message is None:
            # A cancelled receipt has answered 404 (etsy/open-api #338, #160), as a foreign one does: no proof either way.
            return CancelState(
                "none", "Etsy does not show this order any more; look on etsy.com whether it is cancelled"
            )
        facts = self.parse(message)
        if any(isinstance(fact, OrderSeen) and fact.cancelled for fact in facts):
            return CancelState("done")
        return CancelState("none", "nobody has cancelled it on etsy.com yet")


def connect(settings: Mapping[str, str]) -> Etsy:
    """Make the connector of one shop.

    `shop_id`: the shop's number (may be absent before `who` is asked). `endpoint`: API host, default https://openapi.etsy.com.
    `token_url`: default `<endpoint>/v3/public/oauth/token`. Secret.values: keystring, shared_secret, access_token, refresh_token.
    app_secret: webhook_secret (`whsec_…`). Raises ValueError on a shop_id that is not a number.
    """
    return Etsy(
        shop_id=settings.get("shop_id", ""),
        endpoint=settings.get("endpoint") or ENDPOINT,
        token_url=settings.get("token_url", ""),
    )
