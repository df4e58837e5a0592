"""Renders items, offers and orders as the JSON of the Sell APIs.

In: records of seller.py and orders.py. Out: dicts. Never: decides anything but how a thing looks.
Source: Sell Inventory 1.18.5 and Sell Fulfillment 1.20.6 component schemas, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from .cancellations import Cancellation
from .formats import amount, instant
from .orders import Fulfillment, Line, Order
from .seller import Item, Offer, Seller

EMAIL_DAYS = 14
CONTACT_DAYS = 90


def item_document(item: Item, *, stale: bool = False) -> dict[str, Any]:
    """Return an InventoryItem with sku and locale. `stale`: with the quantity before the last change."""
    quantity = item.shown_before if stale and item.shown_before is not None else item.quantity
    document: dict[str, Any] = {"sku": item.sku, "locale": item.locale, **item.other}
    if item.product is not None:
        document["product"] = item.product
    if item.condition is not None:
        document["condition"] = item.condition
    if quantity is not None:
        ship_to: dict[str, Any] = {
            "quantity": quantity,
            "allocationByFormat": {"auction": 0, "fixedPrice": quantity},
        }
        if item.distributions:
            ship_to["availabilityDistributions"] = item.distributions
        document["availability"] = {"shipToLocationAvailability": ship_to}
    if item.group_keys:
        document["inventoryItemGroupKeys"] = item.group_keys
    return document


def offer_document(offer: Offer, seller: Seller) -> dict[str, Any]:
    """Return an EbayOfferDetailsWithAll."""
    listing, item = seller.listing_of(offer), seller.items.get(offer.sku)
    unpinned = (item.quantity or 0) if item else 0
    document: dict[str, Any] = {
        "offerId": offer.offer_id,
        "sku": offer.sku,
        "marketplaceId": offer.marketplace_id,
        "format": "FIXED_PRICE",
        "availableQuantity": unpinned if offer.available_quantity is None else offer.available_quantity,
        "categoryId": "9355",
        "hideBuyerDetails": False,
        "includeCatalogProductDetails": True,
        "listingDuration": "GTC",
        "listingPolicies": {
            "paymentPolicyId": "6200000000",
            "returnPolicyId": "6200000001",
            "fulfillmentPolicyId": "6200000002",
        },
        "merchantLocationKey": "MAIN",
        "pricingSummary": {"price": amount(offer.price_minor, offer.currency)},
        "status": offer.status,
    }
    if listing is not None:
        document["listing"] = {
            "listingId": listing.listing_id,
            "listingStatus": listing.status,
            "soldQuantity": offer.sold_quantity,
        }
    return document


def order_document(
    order: Order, seller: Seller, requests: list[Cancellation], now: datetime, shortened_day: timedelta, *, taxes: bool
) -> dict[str, Any]:
    """Return an Order. `requests`: what cancelRequests shows (getOrders shows none).

    The e-mail goes after 14 days, name, phone and street after 90 (`shortened_day` is the length of a day).
    """
    currency = order.currency
    age = now - order.created_at
    contact = _contact(order, email=age < EMAIL_DAYS * shortened_day, person=age < CONTACT_DAYS * shortened_day)
    address = order.buyer.address
    lines = [_line(line, order, seller, taxes=taxes) for line in order.lines]
    total = amount(order.total_minor, currency)
    cancel: dict[str, Any] = {"cancelState": order.cancel_state, "cancelRequests": [_request(r) for r in requests]}
    if order.cancelled_at:
        cancel["cancelledDate"] = instant(order.cancelled_at)
    return {
        "orderId": order.order_id,
        "legacyOrderId": order.legacy_order_id,
        "creationDate": instant(order.created_at),
        "lastModifiedDate": instant(order.modified_at),
        "orderFulfillmentStatus": order.status(),
        "orderPaymentStatus": order.payment_status,
        "sellerId": seller.username,
        "buyer": {
            "username": order.username,
            "taxAddress": {
                "city": address.city,
                "stateOrProvince": address.region,
                "postalCode": address.postal_code,
                "countryCode": address.country,
            },
            "buyerRegistrationAddress": contact,
        },
        "pricingSummary": {
            "priceSubtotal": amount(order.goods_minor, currency),
            "deliveryCost": amount(order.delivery_minor, currency),
            "total": total,
        },
        "cancelStatus": cancel,
        "paymentSummary": {
            "totalDueSeller": total,
            "payments": [_payment(order)],
            "refunds": [_refund(refund, order) for refund in order.refunds if refund.line_item_id is None],
        },
        "fulfillmentStartInstructions": [_instructions(order, contact)],
        "fulfillmentHrefs": [
            f"https://api.ebay.com/sell/fulfillment/v1/order/{order.order_id}/shipping_fulfillment/{f.fulfillment_id}"
            for f in order.fulfillments
        ],
        "lineItems": lines,
        "ebayCollectAndRemitTax": order.tax_minor > 0,
        "salesRecordReference": order.order_id.rpartition("-")[2],
        "totalFeeBasisAmount": amount(order.total_minor + order.tax_minor, currency),
        "totalMarketplaceFee": amount((order.total_minor + order.tax_minor) * 13 // 100, currency),
    }


#: Where parcels of the international programme go first.
HUB = {
    "addressLine1": "1850 Airport Exchange Blvd",
    "addressLine2": "Suite 200",
    "city": "Erlanger",
    "stateOrProvince": "KY",
    "postalCode": "41025",
    "countryCode": "US",
}


def _instructions(order: Order, contact: dict[str, Any]) -> dict[str, Any]:
    """Return how to send it: to the buyer, or by eBay's hub, whose reference must be on the label."""
    step: dict[str, Any] = {
        "shipTo": contact,
        "shippingCarrierCode": "USPS",
        "shippingServiceCode": "USPSGroundAdvantage",
    }
    found: dict[str, Any] = {
        "fulfillmentInstructionsType": "SHIP_TO",
        "minEstimatedDeliveryDate": instant(order.created_at + timedelta(days=3)),
        "maxEstimatedDeliveryDate": instant(order.created_at + timedelta(days=6)),
        "shippingStep": step,
    }
    if order.hub_reference:
        found["ebaySupportedFulfillment"] = True
        found["finalDestinationAddress"] = contact["contactAddress"]
        step["shipTo"] = {**contact, "companyName": "eBay International Shipping", "contactAddress": HUB}
        step["shipToReferenceId"] = order.hub_reference
    return found


def _contact(order: Order, *, email: bool, person: bool) -> dict[str, Any]:
    address = order.buyer.address
    place: dict[str, Any] = {
        "city": address.city,
        "stateOrProvince": address.region,
        "postalCode": address.postal_code,
        "countryCode": address.country,
    }
    contact: dict[str, Any] = {"contactAddress": place}
    if person:
        contact["fullName"] = address.name
        place["addressLine1"] = address.line1
        if address.line2:
            place["addressLine2"] = address.line2
        if address.phone:
            contact["primaryPhone"] = {"phoneNumber": address.phone}
    if email:
        contact["email"] = order.email
    return contact


def _line(line: Line, order: Order, seller: Seller, *, taxes: bool) -> dict[str, Any]:
    currency = order.currency
    first = order.lines[0] is line
    delivery = order.delivery_minor if first else 0
    marketplace = seller.offers[line.offer_id].marketplace_id
    refunds = [refund for refund in order.refunds if refund.line_item_id == line.line_item_id]
    document: dict[str, Any] = {
        "lineItemId": line.line_item_id,
        "legacyItemId": line.listing_id,
        "title": line.title,
        "lineItemCost": amount(line.cost_minor, currency),  # extended: unit price times quantity
        "quantity": line.quantity,
        "soldFormat": "FIXED_PRICE",
        "listingMarketplaceId": marketplace,
        "purchaseMarketplaceId": marketplace,
        "lineItemFulfillmentStatus": order.line_status(line),
        "total": amount(line.cost_minor + delivery, currency),
        "deliveryCost": {"shippingCost": amount(delivery, currency)},
        "appliedPromotions": [],
        "taxes": [],
        "properties": {"buyerProtection": True},
        "refunds": [
            {
                "refundId": r.refund_id,
                "amount": amount(r.amount_minor, currency),
                **({"refundDate": instant(r.created_at)} if r.status == "REFUNDED" else {}),
            }
            for r in refunds
        ],
        "lineItemFulfillmentInstructions": {
            "minEstimatedDeliveryDate": instant(order.created_at + timedelta(days=3)),
            "maxEstimatedDeliveryDate": instant(order.created_at + timedelta(days=6)),
            "shipByDate": instant(order.created_at + timedelta(days=2)),
            "guaranteedDelivery": False,
        },
        "itemLocation": {"location": "Emulated City", "countryCode": "US", "postalCode": "94103"},
    }
    item = seller.items.get(line.sku)
    if item is None or item.named:
        document["sku"] = line.sku
    if line.variation_id:
        document["legacyVariationId"] = line.variation_id
        document["variationAspects"] = [{"name": name, "value": value} for name, value in line.aspects.items()]
    if taxes and order.tax_minor:
        share = order.tax_minor * line.cost_minor // max(1, order.goods_minor)
        tax = {"taxType": "STATE_SALES_TAX", "amount": amount(share, currency), "collectionMethod": "NET"}
        document["ebayCollectAndRemitTaxes"] = [tax]
    return document


def _payment(order: Order) -> dict[str, Any]:
    payment: dict[str, Any] = {
        "paymentMethod": "EBAY",
        "paymentReferenceId": order.legacy_order_id,
        "amount": amount(order.total_minor, order.currency),
        "paymentStatus": "PAID" if order.paid_at else ("FAILED" if order.payment_status == "FAILED" else "PENDING"),
    }
    if order.paid_at:
        payment["paymentDate"] = instant(order.paid_at)
    return payment


def _refund(refund: Any, order: Order) -> dict[str, Any]:
    return {
        "refundId": refund.refund_id,
        "amount": amount(refund.amount_minor, order.currency),
        "refundDate": instant(refund.created_at),
        "refundStatus": refund.status,
    }


def _request(case: Cancellation) -> dict[str, Any]:
    states = {"CANCEL_REQUESTED": "REQUESTED", "CANCEL_PENDING": "REQUESTED", "CANCEL_REJECTED": "REJECTED"}
    document = {
        "cancelRequestId": case.cancel_id,
        "cancelInitiator": case.requestor,
        "cancelReason": case.reason,
        "cancelRequestedDate": instant(case.requested_at),
        "cancelRequestState": states.get(case.status, "COMPLETED"),
    }
    if case.closed_at:
        document["cancelCompletedDate"] = instant(case.closed_at)
    return document


def fulfillment_document(parcel: Fulfillment) -> dict[str, Any]:
    """Return a ShippingFulfillment."""
    document: dict[str, Any] = {
        "fulfillmentId": parcel.fulfillment_id,
        "shippedDate": instant(parcel.shipped_at),
        "lineItems": [{"lineItemId": line, "quantity": pieces} for line, pieces in parcel.lines.items()],
    }
    if parcel.tracking:
        document["shipmentTrackingNumber"] = parcel.tracking
    if parcel.carrier:
        document["shippingCarrierCode"] = parcel.carrier
    return document


def cancellation_document(case: Cancellation, order: Order, seller: Seller) -> dict[str, Any]:
    """Return one cancellation as Post-Order shows it."""
    document: dict[str, Any] = {
        "cancelId": case.cancel_id,
        "marketplaceId": seller.offers[order.lines[0].offer_id].marketplace_id,
        "legacyOrderId": order.legacy_order_id,
        "requestorType": case.requestor,
        "cancelReason": case.reason,
        "cancelState": case.state,
        "cancelStatus": case.status,
        "cancelRequestDate": {"value": instant(case.requested_at)},
        "requestRefundAmount": _number(order),
        "lineItems": [
            {"itemId": line.listing_id, "transactionId": line.line_item_id, "quantity": line.quantity}
            for line in order.lines
        ],
    }
    if case.closed_at:
        document["cancelCloseDate"] = {"value": instant(case.closed_at)}
    return document


def _number(order: Order) -> Mapping[str, Any]:
    return {"value": order.total_minor / 100, "currency": order.currency}
