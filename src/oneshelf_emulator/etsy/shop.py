"""The truth of one Etsy shop: listings with their offerings, receipts, fees.

In: sales, inventory replacements that were already judged, state changes. Out: the records that documents.py renders.
Never: knows HTTP, JSON or tokens.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

#: A listing lives four months. Source: Etsy help "How to renew a listing", contracts sheet etsy section 10.
LISTING_LIFE_S = 122 * 86400.0
#: What a listing, a renewal and each further unit sold cost, in US cents. Source: Etsy fees policy.
LISTING_FEE_MINOR = 20
#: The largest quantity of one offering. Source: etsy/open-api #214.
QUANTITY_MAX = 999
#: Currencies without minor units.
WHOLE_CURRENCIES = frozenset({"JPY", "KRW", "VND", "TWD", "HUF"})


def divisor_of(currency: str) -> int:
    """Return how many minor units make one unit of `currency` (as Etsy's Money states it)."""
    return 1 if currency in WHOLE_CURRENCIES else 100


@dataclass(frozen=True)
class PropertyValue:
    """One choice of a buyer, for example Size M."""

    property_id: int
    property_name: str
    values: tuple[str, ...]
    value_ids: tuple[int, ...]
    scale_id: int | None = None


@dataclass
class ListedProduct:
    """One product of a listing with its one offering. `shown_before` is the quantity before the last change."""

    product_id: int
    offering_id: int
    sku: str
    price_minor: int
    quantity: int
    is_enabled: bool
    readiness_state_id: int
    property_values: tuple[PropertyValue, ...] = ()
    is_deleted: bool = False
    shown_before: int | None = None

    def values_on(self, property_ids: frozenset[int]) -> tuple[tuple[int, tuple[str, ...]], ...]:
        """Return the choices along `property_ids`, in a fixed order: products with the same ones share a number."""
        return tuple(sorted((v.property_id, v.values) for v in self.property_values if v.property_id in property_ids))

    def combination(self) -> tuple[tuple[int, tuple[str, ...]], ...]:
        return tuple(sorted((v.property_id, v.values) for v in self.property_values))

    def set_quantity(self, quantity: int) -> None:
        if quantity != self.quantity:
            self.shown_before, self.quantity = self.quantity, quantity


@dataclass
class Listing:
    """One listing. `state`: active, inactive, sold_out, draft or expired."""

    listing_id: int
    title: str
    currency: str
    created_at: datetime
    updated_at: datetime
    state_at: datetime
    ends_at: datetime
    products: list[ListedProduct]
    state: str = "active"
    should_auto_renew: bool = True
    price_on_property: tuple[int, ...] = ()
    quantity_on_property: tuple[int, ...] = ()
    sku_on_property: tuple[int, ...] = ()
    readiness_state_on_property: tuple[int, ...] = ()
    deleted: list[ListedProduct] = field(default_factory=list)
    texts: dict[str, object] = field(default_factory=dict)

    def pool(self, product: ListedProduct) -> list[ListedProduct]:
        """Return the products that share one quantity with `product` (itself included)."""
        along = frozenset(self.quantity_on_property)
        key = product.values_on(along)
        return [each for each in self.products if each.values_on(along) == key]

    def quantity(self) -> int:
        """Return what the listing as a whole offers: enabled offerings, a shared number counted once."""
        along = frozenset(self.quantity_on_property)
        pools: dict[tuple[tuple[int, tuple[str, ...]], ...], int] = {}
        for product in self.products:
            if product.is_enabled:
                pools[product.values_on(along)] = product.quantity
        return sum(pools.values())


@dataclass
class Transaction:
    """One line of a receipt, as of the sale."""

    transaction_id: int
    listing_id: int
    product_id: int
    sku: str
    title: str
    quantity: int
    price_minor: int
    property_values: tuple[PropertyValue, ...]


@dataclass
class Refund:
    amount_minor: int
    created_at: datetime
    reason: str
    note: str
    refund_id: int


@dataclass
class Shipment:
    shipment_id: int
    carrier_name: str
    tracking_code: str
    notified_at: datetime


@dataclass
class Receipt:
    """One order. `status` holds the words of the document in lower case."""

    receipt_id: int
    buyer_key: str
    buyer_user_id: int
    email: str
    name: str
    line1: str
    line2: str
    city: str
    region: str
    postal_code: str
    country: str
    currency: str
    created_at: datetime
    updated_at: datetime
    transactions: list[Transaction]
    shipping_minor: int
    tax_minor: int
    status: str = "open"
    paid_at: datetime | None = None
    shipped_at: datetime | None = None
    cancelled_at: datetime | None = None
    is_delivered: bool = False
    shipments: list[Shipment] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    payment_id: int = 0

    @property
    def goods_minor(self) -> int:
        return sum(line.price_minor * line.quantity for line in self.transactions)

    @property
    def grand_minor(self) -> int:
        return self.goods_minor + self.shipping_minor + self.tax_minor

    @property
    def refunded_minor(self) -> int:
        return sum(refund.amount_minor for refund in self.refunds)


class Ids:
    """Rising ids with gaps, a row for each kind, seeded."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._last: dict[str, int] = {}

    def next(self, kind: str, first: int) -> int:
        """Return the next id of `kind`; the row starts somewhere above `first`."""
        last = self._last.get(kind) or first + self._rng.randrange(1_000_000)
        self._last[kind] = last + self._rng.randrange(1, 50)
        return self._last[kind]


class Shop:
    """The listings and receipts of one seller."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.ids = Ids(rng)
        self.shop_id = rng.randrange(10_000_000, 60_000_000)
        self.user_id = rng.randrange(100_000_000, 900_000_000)
        self.shop_name = "EmulatedGoods"
        self.currency = "USD"
        self.listings: dict[int, Listing] = {}
        self.receipts: dict[int, Receipt] = {}
        self.readiness_states = {rng.randrange(1_000_000_000, 2_000_000_000): ("ready_to_ship", 1, 2)}
        self.fees_minor = 0
        self.fee_entries: list[tuple[datetime, int, str]] = []
        self.mails: list[tuple[datetime, int, str]] = []
        self.value_ids: dict[str, int] = {}  # option text -> id
        self._buyers: dict[str, int] = {}
        self._where: dict[str, set[int]] = {}  # sku -> listing ids that carry it or once did

    def index(self, listing: Listing) -> None:
        """Remember which skus `listing` carries. Call it after its products changed."""
        self.listings[listing.listing_id] = listing
        for product in listing.products:
            self._where.setdefault(product.sku, set()).add(listing.listing_id)

    def new_product_ids(self) -> tuple[int, int]:
        return self.ids.next("product", 14_000_000_000), self.ids.next("offering", 15_000_000_000)

    def buyer_user_id(self, key: str) -> int:
        """Return the Etsy user id of the person `key`: the same one on every order."""
        if key not in self._buyers:
            self._buyers[key] = self.ids.next("buyer", 500_000_000)
        return self._buyers[key]

    def charge(self, now: datetime, units: int, why: str) -> None:
        """Take the listing fee `units` times."""
        if units > 0:
            self.fees_minor += units * LISTING_FEE_MINOR
            self.fee_entries.append((now, units * LISTING_FEE_MINOR, why))

    def age(self, listing: Listing, now: datetime, life_s: float) -> None:
        """Renew (for a fee) or expire a listing whose four months are over. Called before every look at it."""
        while listing.state == "active" and now >= listing.ends_at:
            if listing.should_auto_renew:
                self.charge(now, 1, "renew_expired")
                listing.ends_at += timedelta(seconds=life_s)
            else:
                self.move(listing, "expired", listing.ends_at)

    def move(self, listing: Listing, state: str, now: datetime) -> None:
        listing.state, listing.state_at, listing.updated_at = state, now, now

    def find(self, sku: str) -> tuple[Listing, ListedProduct] | None:
        """Return where `sku` is offered: the place that offers most, among active listings first. None if nowhere."""
        best: tuple[tuple[bool, int], Listing, ListedProduct] | None = None
        for listing_id in sorted(self._where.get(sku, ())):
            listing = self.listings.get(listing_id)
            for product in listing.products if listing else ():
                if listing and product.sku == sku:
                    rank = (listing.state == "active" and product.is_enabled, product.quantity)
                    if best is None or rank > best[0]:
                        best = (rank, listing, product)
        return best and (best[1], best[2])

    def offered(self, sku: str) -> int:
        """Return how many of `sku` a buyer can put into the cart now."""
        found = self.find(sku)
        if found is None or found[0].state != "active" or not found[1].is_enabled:
            return 0
        return found[1].quantity

    def take(self, listing: Listing, product: ListedProduct, pieces: int, now: datetime, *, shared: str) -> None:
        """Lower the offering by a sale of `pieces`, at the instant of the order; the last one makes it sold_out."""
        for each in listing.pool(product) if shared == "all" else [product]:
            each.set_quantity(each.quantity - pieces)
        left = listing.quantity()
        self.charge(now, pieces if left or listing.should_auto_renew else pieces - 1, "renew_sold")
        if left == 0:
            self.move(listing, "sold_out", now)

    def give_back(self, line: Transaction, now: datetime) -> None:
        """Put a cancelled line back on sale, by sku, as a seller does who ticks "restock" (never reopens a listing)."""
        found = self.find(line.sku)
        if found:
            listing, product = found
            for each in listing.pool(product):
                each.set_quantity(min(QUANTITY_MAX, each.quantity + line.quantity))
            if listing.state == "sold_out" and listing.quantity() > 0:
                self.charge(now, 1, "renew_restocked")
                self.move(listing, "active", now)
