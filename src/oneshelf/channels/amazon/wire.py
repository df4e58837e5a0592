"""Amazon's documents as typed shapes: only the fields that we read, all else skipped.

In: bytes. Out: structs. Never: meaning. What decides (ids, counts, status) is typed here and refused when wrong; what only
informs (names, addresses, parcels) stays raw and is read leniently by `informing`.
Source: Amazon models orders_2026-01-01 and listingsItems_2021-08-01; notification schemas; commit 34dc93f, read 2026-11.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from oneshelf.channels.amazon.money import AmountSeen
from oneshelf.core.errors import Unreadable

T = TypeVar("T")

#: Text that Amazon now and then could send as a number.
Text = str | int | None


class _Shape(msgspec.Struct, rename="camel"):
    """JSON in camelCase."""


# --- orders 2026-01-01 ------------------------------------------------------------------------------------------------


class SalesChannel(_Shape):
    channel_name: str | None = None
    marketplace_id: str | None = None


class Window(_Shape):
    earliest_date_time: str | None = None
    latest_date_time: str | None = None


class OrderFulfillment(_Shape):
    fulfillment_status: str | None = None
    fulfilled_by: str | None = None
    ship_by_window: Raw = Raw(b"")


class Price(_Shape):
    unit_price: AmountSeen | None = None


class Product(_Shape):
    asin: Text = None
    title: Text = None
    seller_sku: Text = None
    price: Price | None = None


class DetailedBreakdown(_Shape):
    subtype: str | None = None
    value: AmountSeen | None = None


class Breakdown(_Shape):
    type: str | None = None
    subtotal: AmountSeen | None = None
    detailed_breakdowns: list[DetailedBreakdown] | None = None


class ItemProceeds(_Shape):
    breakdowns: list[Breakdown] | None = None


class OrderProceeds(_Shape):
    grand_total: AmountSeen | None = None
    breakdowns: list[Breakdown] | None = None


class ItemFulfillment(_Shape):
    quantity_fulfilled: int | None = None
    quantity_unfulfilled: int | None = None
    packing: Raw = Raw(b"")


class GiftOption(_Shape):
    gift_message: Text = None
    gift_wrap_level: Text = None


class Packing(_Shape):
    gift_option: GiftOption | None = None


class CancellationRequest(_Shape):
    requester: Text = None
    cancel_reason: Text = None


class CancellationExecution(_Shape):
    cancelled_by: Text = None
    cancel_reason: Text = None


class Cancellation(_Shape):
    cancellation_request: CancellationRequest | None = None
    cancellation_execution: CancellationExecution | None = None


class TaxCollection(_Shape):
    model: str | None = None


class ItemTax(_Shape):
    tax_collections: list[TaxCollection] | None = None


class OrderItem(_Shape):
    order_item_id: str | int
    quantity_ordered: int
    product: Product | None = None
    proceeds: ItemProceeds | None = None
    cancellation: Cancellation | None = None
    fulfillment: ItemFulfillment | None = None
    tax: ItemTax | None = None


class AssociatedOrder(_Shape):
    order_id: str | None = None
    association_type: str | None = None


class Order(_Shape):
    order_id: str
    order_items: list[OrderItem]
    created_time: str | None = None
    last_updated_time: str | None = None
    sales_channel: SalesChannel | None = None
    associated_orders: list[AssociatedOrder] | None = None
    fulfillment: OrderFulfillment | None = None
    proceeds: OrderProceeds | None = None
    programs: Raw = Raw(b"")
    buyer: Raw = Raw(b"")
    recipient: Raw = Raw(b"")
    packages: Raw = Raw(b"")


class Buyer(_Shape):
    buyer_name: Text = None
    buyer_email: Text = None
    buyer_company_name: Text = None
    buyer_purchase_order_number: Text = None


class CustomerAddress(_Shape):
    name: Text = None
    company_name: Text = None
    address_line1: Text = None
    address_line2: Text = None
    address_line3: Text = None
    city: Text = None
    municipality: Text = None
    district_or_county: Text = None
    state_or_region: Text = None
    postal_code: Text = None
    country_code: Text = None
    phone: Text = None


class DeliveryPreference(_Shape):
    drop_off_location: Text = None
    address_instruction: Text = None


class Recipient(_Shape):
    delivery_address: CustomerAddress | None = None
    delivery_preference: DeliveryPreference | None = None


class PackageStatus(_Shape):
    status: str | None = None


class PackageItem(_Shape):
    order_item_id: str | int
    quantity: int


class Package(_Shape):
    package_reference_id: str | int
    created_time: str | None = None
    ship_time: str | None = None
    package_status: PackageStatus | None = None
    carrier: Text = None
    tracking_number: Text = None
    package_items: list[PackageItem] | None = None


class OrderPackages(_Shape):
    packages: list[Package] | None = None


class OrderHead(_Shape):
    """What the inbox key of one order document is made of."""

    order_id: str
    last_updated_time: str = ""


class SearchOrdersAnswer(_Shape):
    orders: list[Raw]
    pagination: Pagination | None = None
    last_updated_before: str | None = None


class GetOrderAnswer(_Shape):
    order: Raw


class Pagination(_Shape):
    next_token: str | None = None


# --- listings items 2021-08-01 ----------------------------------------------------------------------------------------


class Summary(_Shape):
    marketplace_id: str | None = None
    asin: Text = None
    product_type: str | None = None
    status: list[str] | None = None
    item_name: Text = None
    created_date: str | None = None


class Audience(_Shape):
    value: str | None = None


class ListingOffer(_Shape):
    marketplace_id: str | None = None
    offer_type: str | None = None
    price: AmountSeen | None = None
    audience: Audience | None = None


class Availability(_Shape):
    fulfillment_channel_code: str | None = None
    quantity: int | None = None


class Issue(_Shape):
    code: Text = None
    message: Text = None
    severity: str | None = None


class Item(_Shape):
    sku: str
    summaries: list[Summary] | None = None
    attributes: Raw = Raw(b"")
    offers: list[ListingOffer] | None = None
    fulfillment_availability: list[Availability] | None = None
    issues: list[Issue] | None = None


class SubmittedAvailability(msgspec.Struct):
    """One entry of `attributes.fulfillment_availability`: what was last submitted, not what is live."""

    fulfillment_channel_code: str | None = None


class Attributes(msgspec.Struct):
    fulfillment_availability: list[SubmittedAvailability] | None = None


class OfferAttributes(msgspec.Struct):
    """`attributes.purchasable_offer` as last submitted, each entry whole: what we do not read is written back with a price."""

    purchasable_offer: list[dict[str, Any]] | None = None


class SearchListingsAnswer(_Shape):
    items: list[Item]
    number_of_results: int | None = None
    pagination: Pagination | None = None


class SubmissionAnswer(_Shape):
    status: str
    sku: str | None = None
    submission_id: str | None = None
    issues: list[Issue] | None = None


# --- sellers, notifications -------------------------------------------------------------------------------------------


class SellerMarketplace(_Shape):
    id: str
    name: str = ""
    default_currency_code: str = ""


class Participation(_Shape):
    is_participating: bool = False
    has_suspended_listings: bool = False


class MarketplaceParticipation(_Shape):
    marketplace: SellerMarketplace
    participation: Participation | None = None
    store_name: str = ""


class ParticipationsAnswer(_Shape):
    payload: list[MarketplaceParticipation]


class Sqs(_Shape):
    arn: str | None = None


class EventBridge(_Shape):
    account_id: str | None = None
    region: str | None = None


class DestinationResource(_Shape):
    sqs: Sqs | None = None
    event_bridge: EventBridge | None = None


class Destination(_Shape):
    destination_id: str
    resource: DestinationResource | None = None


class DestinationsAnswer(_Shape):
    payload: list[Destination] | None = None


class DestinationAnswer(_Shape):
    payload: Destination


class Subscription(_Shape):
    subscription_id: str
    destination_id: str


class SubscriptionAnswer(_Shape):
    payload: Subscription


# --- feeds ------------------------------------------------------------------------------------------------------------


class FeedDocument(_Shape):
    feed_document_id: str
    url: str
    compression_algorithm: str | None = None


class FeedMade(_Shape):
    feed_id: str


class Feed(_Shape):
    feed_id: str
    processing_status: str
    result_feed_document_id: str | None = None


# --- reports ----------------------------------------------------------------------------------------------------------


class ReportMade(_Shape):
    report_id: str


class Report(_Shape):
    report_id: str
    processing_status: str
    report_document_id: str | None = None


class ReportDocument(_Shape):
    report_document_id: str
    url: str


# --- decoding ---------------------------------------------------------------------------------------------------------


def deciding(body: bytes, kind: type[T]) -> T:
    """Decode what we must be able to read. Raises Unreadable, with the field's name and never its content."""
    try:
        # Bytes that are no UTF-8 are refused even inside fields that we skip: such a message was damaged on its way.
        body.decode()
        return msgspec.json.decode(body, type=kind, strict=False)
    except msgspec.ValidationError as wrong:
        raise Unreadable(f"unexpected shape: {wrong}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as damaged:
        raise Unreadable(f"not readable JSON: {type(damaged).__name__}") from None


def informing(raw: Raw, kind: type[T]) -> T | None:
    """Decode what only informs; None when it is absent, null or of another shape."""
    if not bytes(raw) or bytes(raw) == b"null":
        return None
    try:
        return msgspec.json.decode(raw, type=kind, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def text(value: Any) -> str | None:
    """Return trimmed text, None for what is absent or blank (Amazon sends "" for an absent address line)."""
    trimmed = "" if value is None else str(value).strip()
    return trimmed or None
