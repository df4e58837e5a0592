"""What a channel may be able to do beside telling orders and taking numbers: one protocol an ability.

A connector that has an ability offers its methods and its data (`prices`, `ships`, `cancels`); who needs one asks with `isinstance`.
As in `contract`: every method makes one bounded piece of network work through `http`, never sleeps, never retries, and a call
that asks for something ends in an Outcome that needs proof.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from oneshelf.core.facts import Address, Money
from oneshelf.core.http import Http
from oneshelf.core.outcome import Outcome
from oneshelf.core.secret import Secret

from .contract import Finding, ListingFound, Outlet, Seen

# --- signing in -------------------------------------------------------------------------------------------------------


class SignInWish(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a sign-in in the browser needs. `settings` and `app` by the connector's own names; `state` and `verifier` are fresh
    random text (43 to 128 of A-Z a-z 0-9 - . _ ~), kept until the callback; `redirect_uri` exactly as registered."""

    settings: Mapping[str, str]
    app: Mapping[str, str]
    redirect_uri: str
    state: str
    verifier: str


class SignedIn(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a sign-in gave: the account's secret, and settings that the callback told (Shopify: shop; Amazon: seller_id)."""

    secret: Secret
    settings: dict[str, str] = {}


@runtime_checkable
class SignsIn(Protocol):
    """How a merchant gives us access in the browser. A connector module offers one as `SIGN_IN`, before an account exists."""

    @property
    def app_names(self) -> tuple[str, ...]:
        """What the merchant's app at the channel is known by: asked for where it was not given. The how-to says where to find each."""

    def consent_url(self, wish: SignInWish) -> str:
        """Return where to send the merchant. Raises Park naming the setting that is missing or wrong."""

    def code(self, wish: SignInWish, query: Mapping[str, str], now: datetime) -> str:
        """Return the code of a callback, checked: state (constant time), signature, age. Raises Park with what to do."""

    async def signed_in(self, http: Http, wish: SignInWish, query: Mapping[str, str], now: datetime) -> SignedIn:
        """Trade the code for tokens (the request is `bare`). Raises Park when refused for good, NoAnswer or Retry otherwise."""


@runtime_checkable
class Unsubscribes(Protocol):
    """A channel that can be told to send nothing more."""

    async def unsubscribe(self, http: Http, callback_url: str | None, app_secret: Mapping[str, str]) -> list[Finding]:
        """Take back every subscription of ours that points at `callback_url` (None: the queue). Safe to repeat; those that are gone
        are not missed. Raises NoAnswer, Retry, SignInAgain."""


@runtime_checkable
class Checks(Protocol):
    """A channel that can say what is missing. Reads only; safe at any time."""

    async def check(self, http: Http, callback_url: str | None, app_secret: Mapping[str, str]) -> list[Finding]:
        """Look at access, scopes, subscriptions, queue, locations and features. Each Finding has a stable `code`; one that is not
        `ok` says in `todo` what a person does next. Raises NoAnswer, Retry, SignInAgain."""


# --- the catalogue, followed ------------------------------------------------------------------------------------------


@runtime_checkable
class FollowsCatalogue(Protocol):
    """A channel of which a part of the catalogue can be read again."""

    async def listings_of(self, http: Http, external_id: str) -> list[ListingFound]:
        """Read again what a CatalogueHint named, whole: every listing that belongs to it now. Empty: it does not exist (any more),
        which is weak evidence."""


class MigrateAbility(msgspec.Struct, frozen=True):
    """`batch`: listings a call. `what`: what it does to a listing, for the person who has to agree."""

    batch: int
    what: str


@runtime_checkable
class Migrates(Protocol):
    """A channel where listings made elsewhere are out of our reach until they are brought over, for good."""

    migration: MigrateAbility

    async def migrate(self, http: Http, listing_ids: Sequence[str]) -> list[Outcome]:
        """Bring over at most `migration.batch` listings; one outcome a listing, in order. Only when a person asks."""


# --- prices -----------------------------------------------------------------------------------------------------------


class PriceAbility(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a channel's prices are like, as data.

    `write_batch`, `read_batch`: outlets a call. `reads_before_write`: a write needs a fresh read of its unit. `carries_quantity`: one
    call writes price and quantity together (Etsy), so that each has to carry the other as it is. `compare_at`: takes a struck-out
    price. `sale_window`: takes a reduced price with a start and an end. `visible_after_s`: how long after acceptance it is usually
    seen. `operations`: "read", "write" → Request.operation, to have the budget before the price is computed.
    """

    write_batch: int
    read_batch: int
    visible_after_s: float
    operations: Mapping[str, str]
    reads_before_write: bool = False
    carries_quantity: bool = False
    compare_at: bool = False
    sale_window: bool = False


class Sale(msgspec.Struct, frozen=True):
    """A reduced price from `starts_at` to before `ends_at`, UTC."""

    price: Money
    starts_at: datetime
    ends_at: datetime


class PriceSeen(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an outlet asks now. `price` None: the channel gave none (unknown is not 0). `state` and `document` as Seen."""

    external_id: str
    price: Money | None
    read_at: datetime
    compare_at: Money | None = None
    sale: Sale | None = None
    state: Literal["live", "out_of_stock", "inactive", "ended", "draft", "gone"] = "live"
    document: Any = None
    problem: str = ""


class PriceOffer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Ask `price` (above 0) at this outlet. What `sale` and `compare_at` leave None is taken away where the channel has it.

    `quantity`: only where the price carries it: the most that is sent along, less if fewer are shown. `seen`: the read it is based on.
    """

    outlet: Outlet
    price: Money
    compare_at: Money | None = None
    sale: Sale | None = None
    quantity: int | None = None
    seen: PriceSeen | Seen | None = None


@runtime_checkable
class Prices(Protocol):
    """A channel whose prices can be read and written."""

    prices: PriceAbility

    async def read_prices(self, http: Http, outlets: Sequence[Outlet]) -> list[PriceSeen]:
        """Read what they ask now; at most `prices.read_batch`. One PriceSeen an outlet. Raises Retry or NoAnswer."""

    async def publish_prices(self, http: Http, offers: Sequence[PriceOffer]) -> list[Outcome]:
        """Tell them; at most `prices.write_batch`. Exactly one outcome an offer, in order. Touches no quantity, except what
        `carries_quantity` hands along. Never raises for what the channel did."""


# --- shipments, told to a marketplace ---------------------------------------------------------------------------------


class ShipAbility(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a channel can be told about parcels, as data.

    `partial`: some lines or units of an order. `several`: a second parcel is another shipment (Etsy: a tracking number more).
    `edits`: tracking of a told parcel can be changed by the same key. `needs_tracking`: refuses a parcel without number.
    `counts`: units a line can be told (False: a line goes whole). `more_numbers`: further tracking numbers of a parcel reach the buyer.
    """

    partial: bool
    several: bool
    edits: bool
    needs_tracking: bool
    counts: bool
    more_numbers: bool = False


class Parcel(msgspec.Struct, frozen=True, omit_defaults=True):
    """One parcel to tell. `key`: ours, the same on every try (hub fulfilment id); `version` grows when its tracking changes.
    `units`: marketplace line id → units of the listing. `carrier`: as the hub names it ("UPS", "Royal Mail"), mapped by the
    connector's table, unknown → its "other" + the name (S10.4). `reference`: the channel's id of an earlier version.
    `more_tracking_numbers`: those beside the first, for channels that can say them; none takes them as parcels of their own."""

    key: str
    units: dict[str, int]
    shipped_at: datetime
    carrier: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None
    version: int = 1
    reference: str | None = None
    more_tracking_numbers: tuple[str, ...] = ()


class ShipmentTold(msgspec.Struct, frozen=True, omit_defaults=True):
    """One parcel as the marketplace knows it. `units` None: the channel does not say which lines."""

    reference: str
    units: dict[str, int] | None
    carrier: str | None = None
    tracking_number: str | None = None
    shipped_at: datetime | None = None


@runtime_checkable
class Ships(Protocol):
    """A marketplace that can be told what was shipped."""

    ships: ShipAbility

    async def shipments(self, http: Http, order_id: str) -> list[ShipmentTold]:
        """Read what the marketplace knows, before any retry (S10.2). Raises Retry, NoAnswer, Park."""

    async def ship(self, http: Http, order_id: str, parcel: Parcel, known: Mapping[str, Any]) -> Outcome:
        """Tell one parcel. `known`: what the order's snapshot keeps (marketplace_id). Accepted.reference: the channel's id."""


# --- cancels of what we can't deliver ---------------------------------------------------------------------------------


class CancelAbility(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a cancel means at a channel, as data (S7). `how`: "call" (answered at once), "job" (asked, later read), "person" (no API).
    `lines`: single lines of an order; False: whole orders only. `counts_against`: what it costs the seller, in words.
    `limit_percent`: the channel's limit of the seller's rate, None where it has none. `rate_days`: over how many days it counts;
    `rate_days_of_few`: over how many where fewer than `few_orders` were sold in those (0: makes no difference)."""

    how: Literal["call", "job", "person"]
    lines: bool
    counts_against: str = ""
    limit_percent: float | None = None
    rate_days: int = 30
    few_orders: int = 0
    rate_days_of_few: int = 30


class CancelWish(msgspec.Struct, frozen=True, omit_defaults=True):
    """Cancel these units because they are not there. `lines`: line id → units; `whole`: that is all of the order that is open.
    `key`: the same on every try. `known`: what the order's snapshot keeps (marketplace_id, legacy ids)."""

    order_id: str
    lines: dict[str, int]
    whole: bool
    key: str
    known: dict[str, Any] = {}


class CancelState(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a cancel is. "done" and "refused" are the channel's word; "none": it knows of no such cancel."""

    state: Literal["running", "done", "refused", "none"]
    reason: str = ""


@runtime_checkable
class Cancels(Protocol):
    """A channel at which a line that we can't deliver can be cancelled, by us or by a person."""

    cancels: CancelAbility

    def cancel_link(self, order_id: str) -> str:
        """Return where a person cancels this order."""

    async def cancel(self, http: Http, wish: CancelWish) -> Outcome:
        """Ask for it, once. Accepted.reference: what `cancel_state` asks for. "person": always Rejected(code="person")."""

    async def cancel_state(self, http: Http, wish: CancelWish, reference: str | None) -> CancelState:
        """Read how far it is; `reference` None: our call had no answer, look whether it was taken. Raises Retry, NoAnswer."""


# --- the hub's copies, kept up with their marketplace orders ----------------------------------------------------------


class CopyChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the marketplace said of an order after its hub copy was made; only what is set changes, the rest is the merchant's (S14.7).

    `ship_to` replaces the address, `email` and `phone` the order's. `notes`: lines to add to the note, each once (one that stands there
    already is not added). `tags`: to add. Nothing of it sends the buyer a message.
    """

    ship_to: Address | None = None
    email: str | None = None
    phone: str | None = None
    notes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@runtime_checkable
class ChangesCopy(Protocol):
    """A hub whose orders can be changed after they were made."""

    async def change_copy(self, http: Http, hub_order_id: str, change: CopyChange, key: str) -> Outcome:
        """Set what `change` names. Safe to repeat: the same change twice is the same order."""


@runtime_checkable
class FulfilsCopy(Protocol):
    """A hub in which we can say that a copy has left, because its marketplace says so (S10.6)."""

    async def fulfil_copy(self, http: Http, hub_order_id: str, parcel: Parcel) -> Outcome:
        """Make one fulfilment with this parcel; `parcel.units` are marketplace line id → pieces. The buyer is not told.

        Never more than is open: Rejected(code="not_open") where fewer pieces are. Accepted.reference: the fulfilment's id. Who calls
        reads the copy after a call without answer, before it calls again."""


@runtime_checkable
class HoldsCopy(Protocol):
    """A hub whose orders can be kept from being packed until it is sure whose pieces these are (S6.5). Both are safe to repeat."""

    async def hold_copy(self, http: Http, hub_order_id: str, key: str) -> Outcome:
        """Keep the copy from being fulfilled. Rejected(code="not_open") where nothing of it is left to send."""

    async def release_copy(self, http: Http, hub_order_id: str, key: str) -> Outcome:
        """Lift our holds of the copy, and no others."""


@runtime_checkable
class HasBundles(Protocol):
    """A hub whose variants may be made of others."""

    async def components(self, http: Http, variant_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """Return {variant id: {SKU: pieces}} of those of these variants that are bundles; SKU '' for a component without one. Raises
        NoAnswer, Retry."""


class Placed(msgspec.Struct, frozen=True):
    """What is still open of one SKU of a marketplace line is to leave from this location. `line_id`: the marketplace's."""

    line_id: str
    sku: str
    location_id: str


@runtime_checkable
class MovesCopy(Protocol):
    """A hub in which we can say from where a copy leaves (S5.7). It is safe to repeat: what stands there already is not moved."""

    async def move_copy(self, http: Http, hub_order_id: str, wanted: Sequence[Placed]) -> Outcome:
        """Have the open pieces of these lines leave from these locations; lines that are not named stay where they are.

        Accepted.detail["where"]: [line id, SKU, location id, pieces] of what is open, read after it was done. Rejected(code=…):
        IN_PROGRESS: work has begun where it is; NOT_THERE + location id: that location can't have it; NOT_OPEN: nothing is left.
        """


#: Codes of a refused `move_copy`.
IN_PROGRESS = "in_progress"
NOT_THERE = "not_there:"
NOT_OPEN = "not_open"
