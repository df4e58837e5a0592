"""Amazon (Selling Partner API) as a channel: what it can do, what it is metered by, and its parts put together.

In: one account's settings. Out: a `Channel`. Never: secrets kept, waiting, retrying.
Read next: README.md, then parse.py (news in), client.py and listings.py (calls out), queue.py (what our SQS queue holds).
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
    SignsIn,
)
from oneshelf.channels.amazon import cancels, checking, client, listings, notifications, parcels, prices
from oneshelf.channels.amazon import catalogue as catalogues
from oneshelf.channels.amazon import parse as parsing
from oneshelf.channels.amazon.account import VISIBILITY_DELAY_S, Account, account_of
from oneshelf.channels.amazon.auth import LoginWithAmazon
from oneshelf.channels.amazon.limits import LIMITS, budget_seen
from oneshelf.channels.amazon.queue import NOTIFICATIONS_ACCOUNT, QueueClaim, claim, queue_message
from oneshelf.channels.amazon.signing_in import AmazonSignIn
from oneshelf.channels.contract import (
    AccountSeen,
    Auth,
    BudgetSeen,
    Capabilities,
    CataloguePage,
    Claimed,
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
    RawRequest,
    Request,
    Response,
    Seen,
)
from oneshelf.core.errors import Unreadable
from oneshelf.core.facts import Fact
from oneshelf.core.ids import ChannelName
from oneshelf.core.outcome import Outcome

__all__ = ["NOTIFICATIONS_ACCOUNT", "SIGN_IN", "Amazon", "NoDoor", "QueueClaim", "claim", "connect", "queue_message"]

SIGN_IN: SignsIn = AmazonSignIn()

CAN = Capabilities(
    write="absolute",
    write_batch=1,
    read_batch=listings.PAGE_SIZE,
    # "Minutes" is all that Amazon says; the engine's own start value (S0.8).
    visible_after_s=120,
    visibility_delay_s=VISIBILITY_DELAY_S,
    # searchOrders refills one call per 179 s.
    poll_interval_s=180,
    has_webhooks=False,
    has_queue=True,
    # An order that the list misses but getOrder finds is on record (selling-partner-api-models issue 3945). Pieces of an unpaid one are
    # held until Amazon says otherwise (S5.1), so a cancel that was missed must be heard some day.
    rereads_open_orders_s=86_400.0,
)


def connect(settings: Mapping[str, str]) -> Amazon:
    """Make the channel of one seller in one region. Raises ValueError naming the setting that is missing or wrong.

    Settings: "seller_id" (merchant token, "A3TH9S8BH6GOGM"); "marketplace_ids" (comma-joined, the main one first);
    "region" ("na", "eu", "fe"; default: the main marketplace's). For notifications: "queue_url", "queue_arn"; optional
    "queue_region" (default: Amazon's AWS region for this API region), "event_bridge_account_id" (our AWS account, for listing notices).
    Overrides, production by default: "endpoint", "token_url", "queue_endpoint", "visibility_delay_s" (150).
    Secret values: "client_id", "client_secret", "refresh_token"; "access_token" is ours. App secret: "client_id", "client_secret".
    """
    return Amazon(account_of(settings))


class NoDoor:
    """Amazon sends no webhooks: nothing that knocks is Amazon."""

    forged_status = 401

    def challenge(self, request: RawRequest, app_secret: Mapping[str, str]) -> tuple[int, str, bytes] | None:
        return None

    def claimed(self, request: RawRequest) -> Claimed:
        raise Unreadable("Amazon sends no webhooks; its notifications come through the queue")

    def key_id(self, request: RawRequest) -> str | None:
        return None

    def verify(self, request: RawRequest, app_secret: Mapping[str, str], now: datetime) -> bool:
        return False


class Amazon:
    """One Amazon seller in one region."""

    name: ChannelName = ChannelName.AMAZON
    can: Capabilities = CAN
    limits: tuple[RateLimit, ...] = LIMITS
    prices: PriceAbility = prices.PRICES
    ships: ShipAbility = parcels.SHIPS
    cancels: CancelAbility = cancels.CANCELS
    operations = {"read": "searchListingsItems", "write": "patchListingsItem"}

    def __init__(self, account: Account) -> None:
        self.account = account
        self._login = LoginWithAmazon(account.token_url)
        self.auth: Auth = self._login
        self.door: Door = NoDoor()
        self._kept = catalogues.KeptSkus()

    def parse(self, message: RawMessage) -> list[Fact]:
        """Return the facts of one stored message. Raises Unreadable; a notification about another seller is one (S0.1)."""
        if message.topic.startswith("queue:"):
            seller_id = claim(message.body).seller_id
            if seller_id not in (None, self.account.seller_id):
                raise Unreadable("a notification about another seller")
        return parsing.parse(message)

    def claims(self, claimed: QueueClaim) -> bool:
        """Whether a queue message is about this account: the seller, and the region where the message names a marketplace."""
        same_region = claimed.region in (None, self.account.region)
        return claimed.seller_id == self.account.seller_id and same_region

    def budget_seen(self, request: Request, response: Response) -> list[BudgetSeen]:
        return budget_seen(request, response)

    async def who(self, http: Http) -> AccountSeen:
        return await client.get_marketplace_participations(http, self.account)

    async def subscribe(self, http: Http, callback_url: str | None, app_secret: Mapping[str, str]) -> list[Finding]:
        """Point ORDER_CHANGE at our queue. `callback_url` is not used: Amazon calls nobody."""
        return await notifications.subscribe(http, self.account, self._login, app_secret)

    async def check(self, http: Http, callback_url: str | None, app_secret: Mapping[str, str]) -> list[Finding]:
        """Look at access, roles, marketplaces, queue and subscriptions. Raises NoAnswer, Retry, SignInAgain."""
        return await checking.check(http, self.account, self._login, app_secret)

    async def listings_of(self, http: Http, external_id: str) -> list[ListingFound]:
        return await listings.listings_of(http, self.account, external_id)

    async def catalogue(self, http: Http, cursor: dict[str, Any] | None) -> CataloguePage:
        return await catalogues.catalogue(http, self.account, cursor, self._kept)

    async def fetch(self, http: Http, cursor: Cursor, now: datetime) -> Page:
        return await client.search_orders(http, self.account, cursor, now)

    async def fetch_order(self, http: Http, order_id: str) -> RawMessage | None:
        return await client.get_order(http, self.account, order_id)

    async def read(self, http: Http, outlets: Sequence[Outlet]) -> list[Seen]:
        return await listings.search_listings_items(http, self.account, outlets)

    async def publish(self, http: Http, offers: Sequence[Offer]) -> list[Outcome]:
        return [await listings.patch_listings_item(http, self.account, offer) for offer in offers]

    async def shipments(self, http: Http, order_id: str) -> list[ShipmentTold]:
        return await parcels.shipments(http, self.account, order_id)

    async def ship(self, http: Http, order_id: str, parcel: Parcel, known: Mapping[str, Any]) -> Outcome:
        return await parcels.ship(http, self.account, order_id, parcel, known)

    def cancel_link(self, order_id: str) -> str:
        return cancels.link(order_id)

    async def cancel(self, http: Http, wish: CancelWish) -> Outcome:
        return await cancels.cancel(http, self.account, wish)

    async def cancel_state(self, http: Http, wish: CancelWish, reference: str | None) -> CancelState:
        return await cancels.cancel_state(http, self.account, wish, reference)

    async def read_prices(self, http: Http, outlets: Sequence[Outlet]) -> list[PriceSeen]:
        return await prices.read_prices(http, self.account, outlets)

    async def publish_prices(self, http: Http, offers: Sequence[PriceOffer]) -> list[Outcome]:
        return [await prices.publish_price(http, self.account, offer) for offer in offers]
