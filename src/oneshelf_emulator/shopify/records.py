"""What the shop knows, as plain records: products, stock levels, orders, fulfilments, customers, subscriptions.

Attribute names are Shopify's field names in snake case, so that GraphQL can read them by name. Records hold facts and
figures derived from them; whatever changes them is in inventory.py, orders.py and fulfilment.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from .money import Bag, Money

#: Stored quantity names; `on_hand` is derived. Source: contracts sheet shopify section 5 [D 15].
STORED_NAMES = ("available", "committed", "reserved", "damaged", "quality_control", "safety_stock", "incoming")
ON_HAND_NAMES = STORED_NAMES[:-1]


@dataclass(eq=False)
class Record:
    """Anything with an id. `gid` is its global id, `legacy_resource_id` the number in webhook payloads."""

    kind: ClassVar[str]
    id: int

    @property
    def gid(self) -> str:
        return f"gid://shopify/{self.kind}/{self.id}"

    @property
    def legacy_resource_id(self) -> int:
        return self.id


@dataclass(eq=False)
class Location(Record):
    kind = "Location"
    name: str
    country_code: str
    created_at: datetime
    updated_at: datetime
    is_active: bool = True
    fulfills_online_orders: bool = True
    is_fulfillment_service: bool = False
    deactivated_at: datetime | None = None
    address1: str | None = None
    city: str | None = None
    zip: str | None = None
    province_code: str | None = None
    latitude: float | None = None
    longitude: float | None = None

    @property
    def ships_inventory(self) -> bool:
        return self.is_active

    @property
    def sells_online(self) -> bool:
        """Whether web checkout counts its stock."""
        return self.is_active and self.fulfills_online_orders


@dataclass(eq=False)
class Product(Record):
    kind = "Product"
    title: str
    vendor: str
    created_at: datetime
    updated_at: datetime
    status: str = "ACTIVE"
    product_type: str = ""
    tags: list[str] = field(default_factory=list)
    variants: list[ProductVariant] = field(default_factory=list)

    @property
    def handle(self) -> str:
        return "-".join("".join(c if c.isalnum() else " " for c in self.title.lower()).split()) or str(self.id)

    @property
    def published_at(self) -> datetime | None:
        return self.created_at if self.status == "ACTIVE" else None


@dataclass(eq=False)
class InventoryItem(Record):
    kind = "InventoryItem"
    sku: str
    created_at: datetime
    updated_at: datetime
    tracked: bool = True
    requires_shipping: bool = True
    unit_cost: Money | None = None
    is_bundle: bool = False  # a bundle's parent: its stock cannot be written (NON_MUTABLE_INVENTORY_ITEM)
    variants: list[ProductVariant] = field(default_factory=list)
    levels: dict[int, InventoryLevel] = field(default_factory=dict)  # by location id


@dataclass(eq=False)
class ProductVariant(Record):
    kind = "ProductVariant"
    product: Product
    inventory_item: InventoryItem
    price: Money
    created_at: datetime
    updated_at: datetime
    title: str = "Default Title"
    compare_at_price: Money | None = None
    barcode: str | None = None
    inventory_policy: str = "DENY"
    taxable: bool = True
    position: int = 1
    components: list[Component] = field(default_factory=list)

    @property
    def sku(self) -> str:
        return self.inventory_item.sku

    @property
    def display_name(self) -> str:
        return f"{self.product.title} - {self.title}"

    @property
    def requires_components(self) -> bool:
        return self.inventory_item.is_bundle

    @property
    def inventory_quantity(self) -> int:
        """The sum of `available` over active levels; of a bundle, how many its components make."""
        if self.components:
            return min(each.product_variant.inventory_quantity // each.quantity for each in self.components)
        return sum(level.quantity("available") for level in self.inventory_item.levels.values() if level.is_active)

    @property
    def sellable_online_quantity(self) -> int:
        if self.components:
            return min(each.product_variant.sellable_online_quantity // each.quantity for each in self.components)
        levels = self.inventory_item.levels.values()
        return sum(level.quantity("available") for level in levels if level.is_active and level.location.sells_online)

    @property
    def available_for_sale(self) -> bool:
        unlimited = not self.inventory_item.tracked or self.inventory_policy == "CONTINUE"
        return self.product.status == "ACTIVE" and (unlimited or self.sellable_online_quantity > 0)


@dataclass(eq=False)
class Component(Record):
    """A variant that a bundle is made of, and how many of it."""

    kind = "ProductVariantComponent"
    product_variant: ProductVariant
    quantity: int


@dataclass(eq=False)
class InventoryLevel(Record):
    kind = "InventoryLevel"
    item: InventoryItem
    location: Location
    created_at: datetime
    updated_at: datetime
    is_active: bool = True
    quantities: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STORED_NAMES, 0))
    changed_at: dict[str, datetime] = field(default_factory=dict)
    before: dict[str, int] | None = None  # quantities before the last change, for fault stale_read

    @property
    def gid(self) -> str:
        return f"gid://shopify/InventoryLevel/{self.id}?inventory_item_id={self.item.id}"

    def quantity(self, name: str) -> int:
        """Return one quantity by name, `on_hand` included. Raises KeyError for an unknown name."""
        if name == "on_hand":
            return sum(self.quantities[each] for each in ON_HAND_NAMES)
        return self.quantities[name]


@dataclass(eq=False)
class AdjustmentGroup(Record):
    kind = "InventoryAdjustmentGroup"
    created_at: datetime
    reason: str
    reference_document_uri: str | None
    by_app: bool
    entries: list[AdjustmentEntry] = field(default_factory=list)


@dataclass
class AdjustmentEntry:
    """One named quantity that moved."""

    level: InventoryLevel
    name: str
    delta: int
    quantity_after_change: int | None
    ledger_document_uri: str | None = None

    @property
    def item(self) -> InventoryItem:
        return self.level.item

    @property
    def location(self) -> Location:
        return self.level.location


@dataclass(eq=False)
class Address(Record):
    """A mailing address. Provinces and countries are carried as codes."""

    kind = "MailingAddress"
    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    address1: str | None = None
    address2: str | None = None
    city: str | None = None
    zip: str | None = None
    province_code: str | None = None
    country_code_v2: str | None = None
    phone: str | None = None

    @property
    def name(self) -> str | None:
        return " ".join(part for part in (self.first_name, self.last_name) if part) or None

    @property
    def province(self) -> str | None:
        return self.province_code

    @property
    def country(self) -> str | None:
        return self.country_code_v2


@dataclass(eq=False)
class Customer(Record):
    kind = "Customer"
    created_at: datetime
    updated_at: datetime
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    note: str | None = None
    tags: list[str] = field(default_factory=list)
    default_address: Address | None = None
    orders: list[Any] = field(default_factory=list)  # Order

    @property
    def display_name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part) or self.email or str(self.id)

    @property
    def number_of_orders(self) -> int:
        return len(self.orders)


@dataclass(eq=False)
class MetafieldDefinition(Record):
    kind = "MetafieldDefinition"
    name: str
    namespace: str
    key: str
    owner_type: str
    type_name: str
    unique: bool
    description: str | None = None


@dataclass(eq=False)
class Metafield(Record):
    kind = "Metafield"
    namespace: str
    key: str
    type: str
    value: str
    created_at: datetime
    updated_at: datetime


@dataclass(eq=False)
class Job(Record):
    """An asynchronous order cancellation under way."""

    kind = "Job"
    uuid: str
    done: bool = False

    @property
    def gid(self) -> str:
        return f"gid://shopify/Job/{self.uuid}"


@dataclass(eq=False)
class BulkOperation(Record):
    kind = "BulkOperation"
    query: str
    created_at: datetime
    status: str = "CREATED"
    error_code: str | None = None
    completed_at: datetime | None = None
    object_count: int = 0
    root_object_count: int = 0
    file_size: int | None = None
    url: str | None = None
    partial_data_url: str | None = None
    type: str = "QUERY"


@dataclass(eq=False)
class WebhookSubscription(Record):
    kind = "WebhookSubscription"
    topic: str  # as in the enum: ORDERS_CREATE
    uri: str
    created_at: datetime
    updated_at: datetime
    filter: str | None = None
    include_fields: list[str] = field(default_factory=list)
    metafield_namespaces: list[str] = field(default_factory=list)
    name: str | None = None
    format: str = "JSON"


@dataclass
class TaxLine:
    title: str
    rate: float | None
    price_set: Bag
    channel_liable: bool = False

    @property
    def rate_percentage(self) -> float | None:
        return None if self.rate is None else round(self.rate * 100, 6)


@dataclass(eq=False)
class ShippingLine(Record):
    kind = "ShippingLine"
    title: str
    price: Bag
    code: str | None = None
    source: str | None = None
    tax_lines: list[TaxLine] = field(default_factory=list)

    @property
    def original_price_set(self) -> Bag:
        return self.price

    @property
    def discounted_price_set(self) -> Bag:
        return self.price

    @property
    def custom(self) -> bool:
        return True
