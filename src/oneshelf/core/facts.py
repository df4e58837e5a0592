"""What a channel says happened, in our words. Connectors make these; nothing here knows a wire format.

An order arrives as a whole snapshot (`OrderSeen`), never as a change: so facts commute, a second arrival changes nothing,
and an older snapshot is recognised by its instants (SEMANTICS 4.3, 4.4). A hint says only "go and read".
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec


class Money(msgspec.Struct, frozen=True, gc=False):
    """An amount in minor units (cents; yen have none) of an ISO 4217 currency."""

    minor: int
    currency: str


class Payment(StrEnum):
    """How far the buyer's money is. PENDING: unpaid or unconfirmed, holds stock, may not be shipped."""

    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"


class Address(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A postal address; None where the channel withholds a part. `country` ISO 3166 alpha-2, `phone` as given."""

    name: str | None = None
    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    region: str | None = None
    postal_code: str | None = None
    country: str | None = None
    phone: str | None = None


class BuyerSeen(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The buyer as the channel names them. `email_is_relay`: the channel's forwarding address, no identity (S11.2)."""

    channel_buyer_id: str | None = None
    name: str | None = None
    email: str | None = None
    email_is_relay: bool = False
    phone: str | None = None


class TaxLine(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One tax on a line or on shipping. `rate` is a decimal string ("0.0825") or None if the channel gives none."""

    title: str
    amount: Money
    rate: str | None = None
    collected_by_channel: bool = False


class LineSeen(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One order line. Counts are units of the listing (a two-pack counts 1), not pieces.

    `listing_keys` name what was bought, the most certain name first, each in the form that the channel's catalogue gives
    its listings ("sku:MUG-1", "listing:123/200=Red"). `ordered` is what the source still asks for plus `cancelled`.
    `subtotal` is the whole line before discount and tax.
    """

    line_id: str
    listing_keys: tuple[str, ...]
    ordered: int
    cancelled: int = 0
    shipped: int = 0
    sku: str | None = None
    title: str = ""
    subtotal: Money | None = None
    discount: Money | None = None
    taxes: tuple[TaxLine, ...] = ()
    fulfilled_by_channel: bool = False
    needs_shipping: bool = True
    #: On a hub copy: the marketplace line it stands for (our property on the hub line).
    copy_of_line_id: str | None = None


class ShipmentSeen(msgspec.Struct, frozen=True, omit_defaults=True):
    """One parcel: units a line. `shipment_id` is the channel's own. A cancelled one counts nothing.

    `more_tracking_numbers`: what the source names beside the first; `tracking_url` is the first's.
    """

    shipment_id: str
    created_at: datetime | None
    units: dict[str, int]
    tracking_number: str | None = None
    carrier: str | None = None
    tracking_url: str | None = None
    location_id: str | None = None
    cancelled: bool = False
    more_tracking_numbers: tuple[str, ...] = ()


class ReturnSeen(msgspec.Struct, frozen=True, omit_defaults=True):
    """Pieces that came back on the shelf in the hub (restocked after shipment). Key: the hub's refund line id."""

    return_line_id: str
    line_id: str
    pieces: int
    location_id: str | None
    created_at: datetime | None


class OrderTotals(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What the buyer pays: `items + shipping + tax − discount = total`, in the order's own currency (S14.5)."""

    items: Money
    shipping: Money
    tax: Money
    discount: Money
    total: Money
    taxes_included: bool = False
    shipping_taxes: tuple[TaxLine, ...] = ()
    shipping_title: str = "Shipping"


class OrderSeen(msgspec.Struct, frozen=True, omit_defaults=True, tag="order_seen", gc=False):
    """A channel's whole order as it stands at `updated_at`.

    `complete` False: enough to hold stock (lines, counts, payment), without money or buyer; the full document is fetched.
    `cancelled` True: nothing of it is wanted any more, except what is shipped.
    Hub orders carry `copy_of_*` when they name a marketplace order (custom id, sourceIdentifier), and `locations`
    (line id → {location id: pieces}) when the hub has said which location serves which line.
    """

    order_id: str
    payment: Payment
    lines: tuple[LineSeen, ...]
    placed_at: datetime | None
    updated_at: datetime | None
    cancelled: bool = False
    cancelled_at: datetime | None = None
    complete: bool = True
    number: str = ""
    marketplace_id: str | None = None
    shipments: tuple[ShipmentSeen, ...] = ()
    returns: tuple[ReturnSeen, ...] = ()
    buyer: BuyerSeen | None = None
    ship_to: Address | None = None
    totals: OrderTotals | None = None
    ship_by_at: datetime | None = None
    copy_of_key: str | None = None
    locations: dict[str, dict[str, int]] = {}
    fulfilled_by_channel: bool = False
    deep_link: str | None = None
    note: str = ""
    #: The buyer asks for a cancel that the seller has to answer: their reason, or "asked" without one. '' if nobody asks (any more).
    cancel_asked: str = ""
    #: Money given back at the channel so far, all refunds of the order together; None where the channel does not say (S5.4).
    refunded: Money | None = None


class OrderHint(msgspec.Struct, frozen=True, tag="order_hint"):
    """Something happened to this order; read it."""

    order_id: str


class OutletHint(msgspec.Struct, frozen=True, tag="outlet_hint"):
    """Something happened to this outlet's number; read it. Never a command (S9.1)."""

    external_id: str


class CatalogueHint(msgspec.Struct, frozen=True, tag="catalogue_hint"):
    """A product or listing was made, changed or deleted; read it again."""

    external_id: str
    deleted: bool = False


class LocationsHint(msgspec.Struct, frozen=True, tag="locations_hint"):
    """A location of the hub was opened, closed, renamed or deleted; read them all again."""


class AccessLost(msgspec.Struct, frozen=True, tag="access_lost"):
    """The merchant withdrew our access, or the app was uninstalled."""

    reason: str


class ErasureAsked(msgspec.Struct, frozen=True, omit_defaults=True, tag="erasure_asked"):
    """The channel asks to erase (or export) what we keep of one person. `kind` is the channel's topic. `subject`: how the channel names
    the person, '' where it names orders alone; `order_ids`: orders of that account that it names."""

    kind: Literal["erase", "export", "erase_shop"]
    subject: str
    order_ids: tuple[str, ...] = ()


class Ignored(msgspec.Struct, frozen=True, tag="ignored"):
    """A known message that says nothing to us, and why."""

    reason: str


Fact = OrderSeen | OrderHint | OutletHint | CatalogueHint | LocationsHint | AccessLost | ErasureAsked | Ignored
