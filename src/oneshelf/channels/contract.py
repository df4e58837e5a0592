"""What every connector is, as the rest of the product sees it.

A connector is built per channel account: `Shopify(settings)`. It builds requests without authorization; the `Http` it is
given adds that (through the connector's own `Auth`), meters the call and sends it. Everything a connector awaits is `Http`.
Only `wiring` knows which connectors exist.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from oneshelf.core.facts import Address, Fact, Money, OrderSeen

# The network and the secret come as arguments. They are values of core, named here too for who reads a connector.
from oneshelf.core.http import Http as Http
from oneshelf.core.http import NoAnswer as NoAnswer
from oneshelf.core.http import Request as Request
from oneshelf.core.http import Response as Response
from oneshelf.core.ids import ChannelName
from oneshelf.core.outcome import Outcome
from oneshelf.core.secret import Secret as Secret

# --- secrets ----------------------------------------------------------------------------------------------------------


class Auth(Protocol):
    """How one channel proves who calls."""

    def authorized(self, request: Request, secret: Secret) -> Request:
        """Return the request with its authorization headers."""

    def needs_renewal(self, secret: Secret, now: datetime) -> bool:
        """Return True if there is no access token or it ends within a minute."""

    async def renew(self, http: Http, secret: Secret, now: datetime) -> Secret:
        """Ask for a new access token once (the request is `bare`). Raises SignInAgain when refused for good, Retry otherwise.

        The caller makes the new secret durable before it uses it.
        """

    def token_refused(self, response: Response) -> bool:
        """Return True if this answer says that the access token is not valid (nothing was done)."""


# --- limits -----------------------------------------------------------------------------------------------------------


class RateLimit(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a channel meters, as data.

    `scope`: "account" (per seller and app) or "app" (all sellers share it). A bucket of `burst` that refills `rate_per_s`;
    and/or `per_day` calls in a sliding day. `operations`: the Request.operation names that spend from it ("*": all).
    `counts`: what the bucket holds: "cost" (a call takes its Request.cost, 1 where nothing else is said) or "calls" (always 1).
    A channel that counts in fixed windows needs `burst` + `rate_per_s` × window ≤ its number.
    """

    name: str
    operations: tuple[str, ...]
    source: str
    scope: Literal["account", "app"] = "account"
    rate_per_s: float | None = None
    burst: float = 1.0
    per_day: int | None = None
    counts: Literal["cost", "calls"] = "cost"


class BudgetSeen(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an answer said about a budget: new rate or size, what is left, or how long to wait."""

    limit: str
    rate_per_s: float | None = None
    burst: float | None = None
    left: float | None = None
    left_today: int | None = None
    wait_s: float | None = None


# --- news in ----------------------------------------------------------------------------------------------------------


class RawRequest(msgspec.Struct, frozen=True):
    """A webhook as it came in. Header names in lower case; `body` is the raw bytes. `url` is the full public address."""

    method: str
    url: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Claimed(msgspec.Struct, frozen=True):
    """Whom and what a webhook claims to be about. Believed only after `verify` (S0.1).

    `delivery_id` is None where the channel gives none; the inbox then keys on topic + SHA-256 of the body.
    """

    account_external_id: str
    topic: str
    delivery_id: str | None
    key_id: str | None = None
    triggered_at: datetime | None = None


class RawMessage(msgspec.Struct, frozen=True):
    """One stored message: what `parse` reads. `topic` "poll:order" is one order document from the feed or a read by id."""

    topic: str
    body: bytes
    headers: dict[str, str] = {}
    #: The inbox key within (account): S4.2.
    delivery_key: str = ""
    fetched_at: datetime | None = None


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a feed stands. `since`: everything updated before it has been read. `run` is the connector's own, opaque state of a
    pagination run in progress (frozen window, page token), None between runs."""

    since: datetime
    run: dict[str, Any] | None = None


class Page(msgspec.Struct, frozen=True):
    """One page of a feed. When the last page of a run came, `cursor.run` is None and `complete_through_at` says through which
    instant of *placing* every order has now been received (the run's upper bound less the visibility delay), else None."""

    messages: tuple[RawMessage, ...]
    cursor: Cursor
    complete_through_at: datetime | None = None


class Door(Protocol):
    """How a channel's webhooks are received. All pure."""

    def challenge(self, request: RawRequest, app_secret: Mapping[str, str]) -> tuple[int, str, bytes] | None:
        """Return (status, content type, body) if this is the channel asking whether the address is ours, else None."""

    def claimed(self, request: RawRequest) -> Claimed:
        """Return what the request says about itself, unverified. Raises Unreadable."""

    def key_id(self, request: RawRequest) -> str | None:
        """Return which of the channel's public keys the request says it is signed by; None where one secret signs."""

    def verify(self, request: RawRequest, app_secret: Mapping[str, str], now: datetime) -> bool:
        """Return True if the channel signed these very bytes. Constant time. `app_secret` holds the connector's own names;
        a key fetched for `Claimed.key_id` is in it under "key:<key_id>"."""

    #: What a forged request is answered (eBay 412, others 401).
    forged_status: int


# --- numbers out ------------------------------------------------------------------------------------------------------


class HubFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the hub keeps about a variant beside its price: what rules may speak of, and what a price may be made of.

    `tags` as the hub spells them. `cost`: what one piece costs the merchant; None: not told, which is not 0.
    """

    vendor: str = ""
    product_type: str = ""
    tags: tuple[str, ...] = ()
    cost: Money | None = None
    compare_at: Money | None = None
    barcode: str = ""


class ListingFound(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing on sale, found in the channel's catalogue. Several may share one outlet.

    `outlet_external_id`: the outlet's own key (Amazon: seller SKU; eBay: inventory SKU; Etsy: listing id or listing id + property
    pairs; Shopify: inventory item id + "|" + location id). `write_unit`: what one write call covers (Etsy: the listing; others: the
    outlet). `listing_keys`: every name under which an order line may name it. `ration_unit`: what the channel counts writes by where
    that is more than the outlet (eBay: the listing, whose variations share one count); "": the outlet alone.
    """

    outlet_external_id: str
    write_unit: str
    listing_keys: tuple[str, ...]
    sku: str | None
    title: str
    quantity: int | None
    state: Literal["live", "out_of_stock", "inactive", "ended", "draft"] = "live"
    fulfilled_by_channel: bool = False
    untracked: bool = False
    price_minor: int | None = None
    currency: str | None = None
    ration_unit: str = ""
    #: Only from the hub.
    facts: HubFacts | None = None
    #: What else the connector wants to be given back with each Offer (offer ids, marketplace id…). `pinned` true: something at the
    #: channel holds the number below what we write (S8.16).
    extra: dict[str, Any] = {}


class Unmanaged(msgspec.Struct, frozen=True, omit_defaults=True):
    """A listing that is on sale there and out of our calls' reach until a person brings it over (`abilities.Migrates`).

    `skus`: what it sells, as far as it has names. `problem`: why it can't be brought over as it is, "" if nothing is seen to speak
    against it.
    """

    listing_id: str
    skus: tuple[str, ...] = ()
    problem: str = ""


class CataloguePage(msgspec.Struct, frozen=True):
    """A part of the catalogue. `cursor` None: that was the last. `total` where the channel says it.

    `again_in_s`: the channel is still making what comes next; ask on with `cursor` no sooner than after so many seconds. `unmanaged`: told
    by the last page where the channel can say it; None: not known.
    """

    listings: tuple[ListingFound, ...]
    cursor: dict[str, Any] | None
    total: int | None = None
    again_in_s: float = 0.0
    unmanaged: tuple[Unmanaged, ...] | None = None


class Outlet(msgspec.Struct, frozen=True, omit_defaults=True):
    """An outlet as publish names it to a connector."""

    external_id: str
    write_unit: str
    extra: dict[str, Any] = {}


class Seen(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an outlet shows now. `quantity` None: the channel gave no number (unknown is not 0: FC-D13).

    `state` as ListingFound.state, or "gone" (the channel says it does not exist). `document` is what a whole-listing write needs
    back (Etsy); shared by the outlets of one write unit.
    """

    external_id: str
    quantity: int | None
    read_at: datetime
    state: Literal["live", "out_of_stock", "inactive", "ended", "draft", "gone"] = "live"
    document: Any = None
    problem: str = ""


class Offer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tell this outlet to show `quantity` listings (0 or more). `seen` is the read it is based on, where there is one."""

    outlet: Outlet
    quantity: int
    seen: Seen | None = None


class Capabilities(msgspec.Struct, frozen=True):
    """What a channel can do, as data.

    `write`: "compare_and_set" (the hub) or "absolute". `write_batch` / `read_batch`: outlets a call; with `reads_units` a read counts
    write units, however many outlets they hold (Etsy: up to 100 listings). `reads_before_write`: a write needs a fresh read of its unit, zero too (Etsy). `visible_after_s`: how long after acceptance a write is usually seen.
    `visibility_delay_s`: how late its feed shows an order (S4.6). `poll_interval_s`: the default. `zero_is_state`: all-zero is not a
    quantity but a state of the listing (S8.16). `opens_with_one`: a sold-out listing that is opened again shows one piece, of whichever
    offering, until it is told its numbers.
    """

    write: Literal["compare_and_set", "absolute"]
    write_batch: int
    read_batch: int
    visible_after_s: float
    visibility_delay_s: float
    poll_interval_s: float
    has_webhooks: bool
    reads_before_write: bool = False
    reads_units: bool = False
    max_quantity: int = 1_000_000
    zero_is_state: bool = False
    opens_with_one: bool = False
    #: The order leaves the feed's sight when cancelled, so open orders are read again by id (S4.6).
    rereads_open_orders_s: float | None = None
    #: Messages come through a queue of ours (Amazon: SQS).
    has_queue: bool = False
    #: How often one ration unit may be told a number in a day (eBay: 250 revisions); the last 25 are for priorities 1 and 2 (S8.11).
    writes_per_unit_day: int | None = None


class AccountSeen(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who the credentials belong to. `external_id` as SEMANTICS 0.1."""

    external_id: str
    label: str
    currency: str
    extra: dict[str, Any] = {}


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was looked at: whether it is as it should be, and what to do if not.

    `code` is stable, for machines: access scope subscription callback queue location feature currency quota clock; `which` names the
    one of several. `holds_back`: as long as it is not ok, the account may not go live (S8.16).
    """

    what: str
    ok: bool
    todo: str = ""
    code: str = ""
    which: str = ""
    holds_back: bool = False


@runtime_checkable
class Channel(Protocol):
    """One marketplace account. `parse` is pure. Every other method makes one bounded piece of network work through `http` and
    never sleeps or retries: pacing belongs to the limiter, patience to the worker."""

    name: ChannelName
    can: Capabilities
    limits: tuple[RateLimit, ...]
    auth: Auth
    door: Door

    def parse(self, message: RawMessage) -> list[Fact]:
        """Raises Unreadable on what can't be read; known-and-ignored kinds give [Ignored(...)]."""

    def budget_seen(self, request: Request, response: Response) -> list[BudgetSeen]:
        """What this answer tells about budgets (rate headers, cost bucket, 429 waits)."""

    async def who(self, http: Http) -> AccountSeen:
        """Ask whom the credentials belong to."""

    async def subscribe(self, http: Http, callback_url: str | None, app_secret: Mapping[str, str]) -> list[Finding]:
        """Make sure that every subscription we need exists and points at `callback_url` (None: the queue). Safe to repeat."""

    async def catalogue(self, http: Http, cursor: dict[str, Any] | None) -> CataloguePage:
        """Read a part of all listings. Starts at None."""

    async def fetch(self, http: Http, cursor: Cursor, now: datetime) -> Page:
        """Read one page of orders changed since the cursor. At least once: pages may overlap. Follows one frozen query a run."""

    async def fetch_order(self, http: Http, order_id: str) -> RawMessage | None:
        """Read one order by id. None: the channel says it does not know it (weak evidence)."""

    async def read(self, http: Http, outlets: Sequence[Outlet]) -> list[Seen]:
        """Read what they show now; at most `can.read_batch`. One Seen an outlet. Raises Retry or NoAnswer."""

    async def publish(self, http: Http, offers: Sequence[Offer]) -> list[Outcome]:
        """Tell them; at most `can.write_batch`. Exactly one outcome an offer, in order. Never raises for what the channel did."""


@runtime_checkable
class NamesItsCalls(Protocol):
    """A connector that says what one read and one write are metered as, so that the budget can be had before the number is computed.

    `operations`: "read" and "write" → Request.operation; "read_one" where a read of a single write unit is another operation.
    """

    operations: Mapping[str, str]


# --- what only the hub can do -----------------------------------------------------------------------------------------


class HubLocation(msgspec.Struct, frozen=True):
    """A location of the hub (S0.2). `point`: (latitude, longitude) in degrees, where the hub knows them."""

    location_id: str
    name: str
    active: bool
    fulfils_online: bool
    is_fulfillment_service: bool
    address: Address | None = None
    point: tuple[float, float] | None = None


class HubLevel(msgspec.Struct, frozen=True):
    """All quantities of one (item, location), read in one query. `unavailable` = damaged + quality_control + safety_stock."""

    item_id: str
    location_id: str
    on_hand: int
    available: int
    committed: int
    reserved: int
    unavailable: int
    incoming: int
    read_at: datetime


class Move(msgspec.Struct, frozen=True):
    """Move `pieces` (above 0) from available to reserved (`hold`), or back (`hold` False)."""

    item_id: str
    location_id: str
    pieces: int
    hold: bool


class HubLineDraft(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a hub order to be made: whole pieces of one variant at one unit price (S14.6).

    `marketplace_line_id` goes into the line's properties, so that the copy's lines can be matched back."""

    marketplace_line_id: str
    variant_id: str
    pieces: int
    unit_price_minor: int
    title: str
    sku: str
    taxes: tuple[tuple[str, str | None, int, bool], ...] = ()  # title, rate, minor, collected by channel


class HubOrderDraft(msgspec.Struct, frozen=True, omit_defaults=True):
    """A marketplace order as it is to stand in the hub. All amounts in minor units of `currency`; they add up to `total_minor`."""

    external_key: str
    channel: ChannelName
    marketplace_order_id: str
    currency: str
    lines: tuple[HubLineDraft, ...]
    shipping_minor: int
    discount_minor: int
    total_minor: int
    placed_at: datetime
    source: OrderSeen
    shipping_title: str = "Shipping"
    shipping_taxes: tuple[tuple[str, str | None, int, bool], ...] = ()
    taxes_included: bool = False
    #: shop currency amount per one unit of `currency`, as a decimal string, with its date and source; None when they are the same.
    rate: str | None = None
    rate_source: str = ""
    tags: tuple[str, ...] = ()
    #: The hub's own id of the customer whose order it is. None: by the real e-mail of `source`, else nobody.
    customer_id: str | None = None
    #: False: the hub refused the customer; the order stands without one.
    with_customer: bool = True


class HubCopy(msgspec.Struct, frozen=True, omit_defaults=True):
    """A hub order found by the marketplace order's key."""

    hub_order_id: str
    name: str
    cancelled: bool = False


class ExportState(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a bulk export is. `url` once it is done (None when empty)."""

    export_id: str
    status: Literal["running", "done", "failed"]
    objects: int = 0
    url: str | None = None
    reason: str = ""


#: What of a copy stands for a marketplace line: its id, and the SKU where it is made of several (a bundle); "" where it is of one.
CopyPart = tuple[str, str]


@runtime_checkable
class Hub(Channel, Protocol):
    """What the hub can do beside being a channel. What not only a hub can do stands in `abilities`."""

    async def locations(self, http: Http) -> list[HubLocation]: ...

    async def levels(self, http: Http, item_ids: Sequence[str]) -> list[HubLevel]:
        """Read all quantity names of these items (at most 250 levels' worth a call) at all their locations."""

    async def start_levels_export(self, http: Http) -> ExportState | Outcome: ...

    async def start_catalogue_export(self, http: Http) -> ExportState | Outcome: ...

    async def export_state(self, http: Http, export_id: str) -> ExportState: ...

    def levels_export(self, http: Http, state: ExportState) -> AsyncIterator[list[HubLevel]]:
        """Download a finished levels export, a batch at a time. `read_at` is when the export was started: a hint to read, never a
        judgement. Raises Retry; the batches before it are true, but not all."""

    def catalogue_export(self, http: Http, state: ExportState) -> AsyncIterator[list[ListingFound]]:
        """Download a finished catalogue export, a batch at a time: one ListingFound a variant; `extra` has variant_id, item_id,
        product_id. Raises Retry; the batches before it are true, but not all."""

    async def move(self, http: Http, moves: Sequence[Move], key: str, reference: str) -> Outcome:
        """Hold or give back, all or nothing, at most 250, no compare, with the durable idempotency key."""

    async def set_on_hand(
        self, http: Http, item_id: str, location_id: str, quantity: int, expected: int, key: str, reference: str
    ) -> Outcome:
        """Write a count entered here, compare-and-set on on_hand. `Rejected(stale=True)` when the number was another."""

    async def find_copy(self, http: Http, external_key: str) -> HubCopy | None:
        """Find the hub order that carries this key, by custom id (a primary look-up), not by search. Raises Retry/NoAnswer."""

    async def create_order(self, http: Http, draft: HubOrderDraft, *, ignore_policy: bool) -> Outcome:
        """Make the hub order, claiming stock (S14.4). Accepted.reference is the hub order's id.
        `Rejected(code="INVENTORY_CLAIM_FAILED")` when stock is short under DENY. Key taken → Rejected(code="KEY_TAKEN"). The customer refused, nothing made →
        Rejected(code="CUSTOMER_REFUSED")."""

    async def cancel_copy(self, http: Http, hub_order_id: str, reason: str, key: str) -> Outcome:
        """Cancel the whole hub order: restock true, buyer not told, money booked on the import's gateway. Accepted: the job is
        started, or it was cancelled already."""

    async def remove_pieces(
        self, http: Http, hub_order_id: str, pieces: Mapping[CopyPart, int], reason: str, key: str
    ) -> Outcome:
        """Take unfulfilled pieces off the copy (refundCreate, type CANCEL), all of them or none."""

    async def ensure_order_key(self, http: Http) -> Finding:
        """Make sure that the metafield definition (type id) that keeps copies unique exists (S14.2)."""
