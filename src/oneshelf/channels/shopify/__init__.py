"""Shopify: the hub. Assembles the connector; see README.md beside this file.

In: settings, raw messages, offers, moves, drafts. Out: facts, what the shop shows, outcomes. Never: sleeps, retries or paces.
Read next: README.md, parse.py and form.py (news in), graphql.py (one call), stock.py and copies.py (writes), documents.py.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from oneshelf.channels.abilities import (
    CancelAbility,
    CancelState,
    CancelWish,
    CopyChange,
    Parcel,
    Placed,
    PriceAbility,
    PriceOffer,
    PriceSeen,
)
from oneshelf.channels.contract import (
    AccountSeen,
    Auth,
    BudgetSeen,
    Capabilities,
    CataloguePage,
    CopyPart,
    Cursor,
    Door,
    ExportState,
    Finding,
    Http,
    HubCopy,
    HubLevel,
    HubLocation,
    HubOrderDraft,
    ListingFound,
    Move,
    Offer,
    Outlet,
    Page,
    RateLimit,
    RawMessage,
    Request,
    Response,
    Seen,
)
from oneshelf.channels.shopify import documents as docs
from oneshelf.channels.shopify import ids
from oneshelf.channels.shopify.auth import ShopifyAuth, ShopifyDoor
from oneshelf.channels.shopify.cancels import CANCELS, Canceller
from oneshelf.channels.shopify.checks import Checker
from oneshelf.channels.shopify.copies import CopyKeeper
from oneshelf.channels.shopify.copy_holds import CopyHolds
from oneshelf.channels.shopify.copy_moves import CopyMoves
from oneshelf.channels.shopify.exports import Exporter
from oneshelf.channels.shopify.graphql import GraphQL
from oneshelf.channels.shopify.later import LaterLife
from oneshelf.channels.shopify.limits import NEW_ORDERS, POINTS, budget_seen
from oneshelf.channels.shopify.order_read import OrderReader
from oneshelf.channels.shopify.parse import parse
from oneshelf.channels.shopify.prices import PRICES, Pricer
from oneshelf.channels.shopify.reads import Reader
from oneshelf.channels.shopify.signing_in import SIGN_IN
from oneshelf.channels.shopify.stock import StockWriter
from oneshelf.channels.shopify.subscriptions import Subscriber, scope_findings
from oneshelf.core.errors import Retry
from oneshelf.core.facts import Fact
from oneshelf.core.ids import ChannelName
from oneshelf.core.outcome import Outcome, Rejected

__all__ = ["SIGN_IN", "Shopify", "connect"]

API_VERSION = "2026-10"

#: Search shows an order a little after it was made; S4.6.
VISIBILITY_DELAY_S = 10.0

#: Source: Shopify docs, OAuth "Security checks" (the shop parameter), read 2026-11.
_SHOP = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com")

#: Pages of one product's variants: 2,048 variants at most by 100. Source: Shopify docs, "API limits", read 2026-11.
PAGES_OF_ONE_MAX = 25

CAPABILITIES = Capabilities(
    write="compare_and_set",
    write_batch=docs.ARRAY_MAX,
    read_batch=4 * docs.ITEMS_A_CALL,
    visible_after_s=2.0,
    visibility_delay_s=VISIBILITY_DELAY_S,
    poll_interval_s=10.0,
    has_webhooks=True,
)


def connect(settings: Mapping[str, str]) -> Shopify:
    """Build the connector of one shop. Raises ValueError on a setting that can't be.

    | setting | meaning | default |
    |---|---|---|
    | `shop` | the shop's domain, "x.myshopify.com" (or just "x") | needed |
    | `endpoint` | where its API is | `https://{shop}` |
    | `token_url` | where tokens are asked for | `{endpoint}/admin/oauth/access_token` |
    | `api_version` | GraphQL version in the path | 2026-10 |
    | `currency` | the shop's currency, so that it need not be asked | asked once |
    | `source_name` | `sourceName` of imported orders; "" sends none | the marketplace's name |
    | `plan` | "development": the shop takes five new orders a minute | none |
    """
    return Shopify(settings)


class Shopify:
    """One shop. Implements contract.Channel and contract.Hub."""

    name = ChannelName.SHOPIFY
    prices: PriceAbility = PRICES
    cancels: CancelAbility = CANCELS
    can = CAPABILITIES

    def __init__(self, settings: Mapping[str, str]) -> None:
        shop = settings.get("shop", "").strip().lower()
        self.shop = shop if "." in shop else f"{shop}.myshopify.com"
        if not _SHOP.fullmatch(self.shop):
            raise ValueError(f"{shop!r} is no shop: give the domain that ends in .myshopify.com")
        endpoint = (settings.get("endpoint") or f"https://{self.shop}").rstrip("/")
        api_version = settings.get("api_version") or API_VERSION
        graphql = GraphQL(endpoint, api_version)
        self.limits: tuple[RateLimit, ...] = (
            (POINTS, NEW_ORDERS) if settings.get("plan") == "development" else (POINTS,)
        )
        auth = ShopifyAuth(settings.get("token_url") or f"{endpoint}/admin/oauth/access_token")
        self.auth: Auth = auth
        self.door: Door = ShopifyDoor()
        self._reader = Reader(graphql, settings.get("currency") or None)
        self._orders = OrderReader(graphql, VISIBILITY_DELAY_S)
        self._exporter = Exporter(graphql, self._reader)
        self._stock = StockWriter(graphql)
        self._copies = CopyKeeper(graphql, self._reader, settings.get("source_name"))
        self._later = LaterLife(graphql, self._copies)
        self._canceller = Canceller(graphql, self._copies)
        self._holds = CopyHolds(graphql, self._copies)
        self._moves = CopyMoves(graphql, self._copies)
        self._pricer = Pricer(graphql, self._reader)
        self._subscriber = Subscriber(graphql)
        self._checker = Checker(graphql, self._reader, self._subscriber, auth, api_version, settings.get("plan", ""))

    # --- Channel ---------------------------------------------------------------------------------------------------------

    def parse(self, message: RawMessage) -> list[Fact]:
        return parse(message, self.shop)

    def budget_seen(self, request: Request, response: Response) -> list[BudgetSeen]:
        return budget_seen(request, response)

    async def who(self, http: Http) -> AccountSeen:
        return await self._reader.who(http)

    async def subscribe(self, http: Http, callback_url: str | None, app_secret: Mapping[str, str]) -> list[Finding]:
        account = await self._reader.who(http)
        scopes = scope_findings(account.extra["scopes"])
        return [self._checker.version(account), *scopes, *await self._subscriber.subscribe(http, callback_url)]

    async def check(self, http: Http, callback_url: str | None, app_secret: Mapping[str, str]) -> list[Finding]:
        return await self._checker.check(http, callback_url, app_secret)

    async def listings_of(self, http: Http, external_id: str) -> list[ListingFound]:
        """Read a product's variants again, or an item's. `external_id`: a gid, or a product's number."""
        gid = external_id if external_id.startswith("gid://") else ids.gid("Product", external_id)
        found: list[ListingFound] = []
        cursor: dict[str, Any] | None = {"only": gid}
        for _ in range(PAGES_OF_ONE_MAX):
            page = await self._reader.catalogue(http, cursor)
            found += page.listings
            if page.cursor is None:
                return found
            cursor = page.cursor
        raise Retry(f"{gid} has more than {PAGES_OF_ONE_MAX} pages of variants")

    async def components(self, http: Http, variant_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        return await self._reader.components(http, variant_ids)

    async def read_prices(self, http: Http, outlets: Sequence[Outlet]) -> list[PriceSeen]:
        return await self._pricer.read(http, outlets)

    async def publish_prices(self, http: Http, offers: Sequence[PriceOffer]) -> list[Outcome]:
        return await self._pricer.publish(http, offers)

    async def catalogue(self, http: Http, cursor: dict[str, Any] | None) -> CataloguePage:
        return await self._reader.catalogue(http, cursor)

    async def fetch(self, http: Http, cursor: Cursor, now: datetime) -> Page:
        return await self._orders.fetch(http, cursor, now)

    async def fetch_order(self, http: Http, order_id: str) -> RawMessage | None:
        return await self._orders.fetch_order(http, order_id)

    async def read(self, http: Http, outlets: Sequence[Outlet]) -> list[Seen]:
        return await self._reader.read(http, outlets)

    async def publish(self, http: Http, offers: Sequence[Offer]) -> list[Outcome]:
        """The hub is served by itself (S2): its numbers change by holds, imports and counts only."""
        return [Rejected("the hub's numbers are not written by slots", "not_written") for _ in offers]

    def cancel_link(self, order_id: str) -> str:
        return f"https://{self.shop}/admin/orders/{order_id}"

    async def cancel(self, http: Http, wish: CancelWish) -> Outcome:
        return await self._canceller.cancel(http, wish)

    async def cancel_state(self, http: Http, wish: CancelWish, reference: str | None) -> CancelState:
        return await self._canceller.state(http, wish, reference)

    # --- Hub -------------------------------------------------------------------------------------------------------------

    async def locations(self, http: Http) -> list[HubLocation]:
        return await self._reader.locations(http)

    async def levels(self, http: Http, item_ids: Sequence[str]) -> list[HubLevel]:
        return await self._reader.levels(http, item_ids)

    async def start_levels_export(self, http: Http) -> ExportState | Outcome:
        return await self._exporter.start(http, docs.LEVELS_EXPORT)

    async def start_catalogue_export(self, http: Http) -> ExportState | Outcome:
        return await self._exporter.start(http, docs.CATALOGUE_EXPORT)

    async def export_state(self, http: Http, export_id: str) -> ExportState:
        return await self._exporter.state(http, export_id)

    def levels_export(self, http: Http, state: ExportState) -> AsyncIterator[list[HubLevel]]:
        return self._exporter.levels(http, state)

    def catalogue_export(self, http: Http, state: ExportState) -> AsyncIterator[list[ListingFound]]:
        return self._exporter.catalogue(http, state)

    async def move(self, http: Http, moves: Sequence[Move], key: str, reference: str) -> Outcome:
        return await self._stock.move(http, moves, key, reference)

    async def set_on_hand(
        self, http: Http, item_id: str, location_id: str, quantity: int, expected: int, key: str, reference: str
    ) -> Outcome:
        return await self._stock.set_on_hand(http, item_id, location_id, quantity, expected, key, reference)

    async def find_copy(self, http: Http, external_key: str) -> HubCopy | None:
        return await self._copies.find_copy(http, external_key)

    async def create_order(self, http: Http, draft: HubOrderDraft, *, ignore_policy: bool) -> Outcome:
        return await self._copies.create_order(http, draft, ignore_policy=ignore_policy)

    async def cancel_copy(self, http: Http, hub_order_id: str, reason: str, key: str) -> Outcome:
        return await self._copies.cancel_copy(http, hub_order_id, reason, key)

    async def remove_pieces(
        self, http: Http, hub_order_id: str, pieces: Mapping[CopyPart, int], reason: str, key: str
    ) -> Outcome:
        return await self._copies.remove_pieces(http, hub_order_id, pieces, reason, key)

    async def ensure_order_key(self, http: Http) -> Finding:
        return await self._copies.ensure_order_key(http)

    async def change_copy(self, http: Http, hub_order_id: str, change: CopyChange, key: str) -> Outcome:
        """`key` names the intent for the caller; orderUpdate takes none, the same change twice is the same order."""
        return await self._later.change(http, hub_order_id, change)

    async def hold_copy(self, http: Http, hub_order_id: str, key: str) -> Outcome:
        """`key` names the intent for the caller; the hold carries a handle of ours, so that it stands once."""
        return await self._holds.hold(http, hub_order_id)

    async def release_copy(self, http: Http, hub_order_id: str, key: str) -> Outcome:
        return await self._holds.release(http, hub_order_id)

    async def move_copy(self, http: Http, hub_order_id: str, wanted: Sequence[Placed]) -> Outcome:
        return await self._moves.move(http, hub_order_id, wanted)

    async def fulfil_copy(self, http: Http, hub_order_id: str, parcel: Parcel) -> Outcome:
        return await self._later.fulfil(http, hub_order_id, parcel)
