"""Renders the shop's records as the JSON of the Etsy Open API v3.

In: records of shop.py. Out: dicts. Never: decides anything but how a thing looks.
Source: Etsy Open API v3 document, component schemas ShopListing, ListingInventory, ShopReceipt, Payment, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .shop import ListedProduct, Listing, PropertyValue, Receipt, Refund, Shop, Transaction, divisor_of

CARRIERS = {
    "US": ("usps", "ups", "fedex", "dhl", "dhl-express", "ontrac", "lasership", "globegistics", "asendia"),
    "*": ("usps", "ups", "fedex", "dhl", "dhl-express", "deutsche-post", "royal-mail", "canada-post", "australia-post"),
}
#: Carrier keys that createReceiptShipment keeps; any other name is dropped. Source: fulfillment tutorial (a part).
CARRIER_KEYS = frozenset(
    {
        "usps", "ups", "fedex", "dhl", "dhl-express", "dhl-global-mail", "dhl-germany", "deutsche-post", "dpd",
        "gls", "hermes", "evri", "royal-mail", "parcelforce", "canada-post", "australia-post", "new-zealand-post",
        "la-poste-colissimo", "colissimo", "chronopost", "mondial-relay", "postnl", "bpost", "posten-norge",
        "postnord", "correos", "poste-italiane", "swiss-post", "austrian-post", "an-post", "india-post", "delhivery",
        "china-post", "japan-post", "yamato", "ontrac", "lasership", "asendia", "aramex", "purolator", "other",
    }
)  # fmt: skip


def stamp(instant: datetime | None) -> int | None:
    """Return whole seconds since 1970, or None."""
    return None if instant is None else int(instant.timestamp())


def money(minor: int, currency: str) -> dict[str, Any]:
    return {"amount": minor, "divisor": divisor_of(currency), "currency_code": currency}


def listing_document(
    listing: Listing, shop: Shop, *, inventory: bool = False, images: bool = False, stale: bool = False
) -> dict[str, Any]:
    """Return a ShopListingWithAssociations. `stale`: with the quantities before the last change."""
    document = {**bare_listing_document(listing, shop), "skus": sorted({p.sku for p in listing.products if p.sku})}
    document["views"] = 0
    if inventory:
        document["inventory"] = inventory_document(listing, stale=stale)
    if images:
        document["images"] = []
    return document


def bare_listing_document(listing: Listing, shop: Shop) -> dict[str, Any]:
    """Return a ShopListing: without skus and other associations."""
    created, updated = stamp(listing.created_at), stamp(listing.updated_at)
    cheapest = min(p.price_minor for p in listing.products)
    return {
        "listing_id": listing.listing_id,
        "user_id": shop.user_id,
        "shop_id": shop.shop_id,
        "title": listing.title,
        "description": listing.texts.get("description", listing.title),
        "state": listing.state,
        "creation_timestamp": created,
        "created_timestamp": created,
        "ending_timestamp": stamp(listing.ends_at),
        "original_creation_timestamp": created,
        "last_modified_timestamp": updated,
        "updated_timestamp": updated,
        "state_timestamp": stamp(listing.state_at),
        "quantity": listing.quantity(),
        "shop_section_id": None,
        "featured_rank": 0,
        "url": f"https://www.etsy.com/listing/{listing.listing_id}",
        "num_favorers": 0,
        "non_taxable": False,
        "is_taxable": True,
        "is_customizable": False,
        "is_personalizable": False,
        "listing_type": "physical",
        "tags": [],
        "materials": [],
        "shipping_profile_id": 1,
        "return_policy_id": 1,
        "processing_min": 1,
        "processing_max": 2,
        "who_made": "i_did",
        "when_made": "2020_2026",
        "is_supply": False,
        "is_private": False,
        "style": [],
        "file_data": "",
        "has_variations": any(p.property_values for p in listing.products),
        "should_auto_renew": listing.should_auto_renew,
        "language": "en-US",
        "price": money(cheapest, listing.currency),
        "taxonomy_id": 1,
        "readiness_state_id": listing.products[0].readiness_state_id if listing.state == "active" else None,
    }


def inventory_document(listing: Listing, *, show_deleted: bool = False, stale: bool = False) -> dict[str, Any]:
    """Return a ListingInventory. Not valid as the body of a PUT: ids, Money and scale_name must go."""
    products = [*listing.products, *(listing.deleted if show_deleted else [])]
    return {
        "products": [_product(p, listing.currency, stale=stale) for p in products],
        "price_on_property": list(listing.price_on_property),
        "quantity_on_property": list(listing.quantity_on_property),
        "sku_on_property": list(listing.sku_on_property),
        "readiness_state_on_property": list(listing.readiness_state_on_property),
    }


def _product(product: ListedProduct, currency: str, *, stale: bool) -> dict[str, Any]:
    old = product.shown_before
    return {
        "product_id": product.product_id,
        "sku": product.sku,
        "is_deleted": product.is_deleted,
        "offerings": [
            {
                "offering_id": product.offering_id,
                "quantity": old if stale and old is not None else product.quantity,
                "is_enabled": product.is_enabled,
                "is_deleted": product.is_deleted,
                "price": money(product.price_minor, currency),
                "readiness_state_id": product.readiness_state_id,
            }
        ],
        "property_values": [_property_value(v) for v in product.property_values],
    }


def _property_value(value: PropertyValue) -> dict[str, Any]:
    return {
        "property_id": value.property_id,
        "property_name": value.property_name,
        "scale_id": value.scale_id,
        "scale_name": None if value.scale_id is None else "Letter sizes",
        "value_ids": list(value.value_ids),
        "values": list(value.values),
    }


def status_word(status: str, case: str) -> str:
    """Return the status as the live API writes it ("Fully Refunded"), or as the document does (`case` "lower")."""
    return status if case == "lower" else status.title()


def receipt_document(receipt: Receipt, shop: Shop, switches: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ShopReceipt. With the region gate on, address and e-mail are null."""
    gated = bool(switches["region_gate"])
    created, updated = stamp(receipt.created_at), stamp(receipt.updated_at)
    lines = [receipt.name, receipt.line1, receipt.line2, f"{receipt.city}, {receipt.region} {receipt.postal_code}"]
    currency = receipt.currency

    def address(text: str) -> str | None:
        return None if gated else text

    return {
        "receipt_id": receipt.receipt_id,
        "receipt_type": 0,
        "seller_user_id": shop.user_id,
        "seller_email": "seller@shop.test",
        "buyer_user_id": receipt.buyer_user_id,
        "buyer_email": receipt.email if switches["buyer_email_approved"] and not gated else None,
        "name": receipt.name,
        "first_line": address(receipt.line1),
        "second_line": address(receipt.line2),
        "city": address(receipt.city),
        "state": address(receipt.region),
        "zip": address(receipt.postal_code),
        "status": status_word(receipt.status, str(switches["status_case"])),
        "formatted_address": address("\n".join([*filter(None, lines), receipt.country])),
        "country_iso": address(receipt.country),
        "payment_method": "cc",
        "payment_email": None,
        "message_from_seller": None,
        "message_from_buyer": None,
        "message_from_payment": None,
        "is_paid": receipt.paid_at is not None,
        "is_shipped": receipt.shipped_at is not None,
        "create_timestamp": created,
        "created_timestamp": created,
        "update_timestamp": updated,
        "updated_timestamp": updated,
        "is_gift": False,
        "gift_message": "",
        "gift_sender": "",
        "grandtotal": money(receipt.grand_minor, currency),
        "subtotal": money(receipt.goods_minor, currency),
        "total_price": money(receipt.goods_minor, currency),
        "total_shipping_cost": money(receipt.shipping_minor, currency),
        "total_tax_cost": money(receipt.tax_minor, currency),
        "total_vat_cost": money(0, currency),
        "discount_amt": money(0, currency),
        "gift_wrap_price": money(0, currency),
        "shipments": [
            {
                "receipt_shipping_id": shipment.shipment_id,
                "shipment_notification_timestamp": stamp(shipment.notified_at),
                "carrier_name": shipment.carrier_name,
                "tracking_code": shipment.tracking_code,
            }
            for shipment in receipt.shipments
        ],
        "transactions": [transaction_document(line, receipt, shop) for line in receipt.transactions],
        "refunds": [_refund(refund, currency) for refund in receipt.refunds],
    }


def transaction_document(line: Transaction, receipt: Receipt, shop: Shop) -> dict[str, Any]:
    """Return a ShopReceiptTransaction: one line, with sku and product_id as of the sale."""
    created = stamp(receipt.created_at)
    gone = line.listing_id not in shop.listings
    return {
        "transaction_id": line.transaction_id,
        "title": line.title,
        "description": line.title,
        "seller_user_id": shop.user_id,
        "buyer_user_id": receipt.buyer_user_id,
        "create_timestamp": created,
        "created_timestamp": created,
        "paid_timestamp": stamp(receipt.paid_at),
        "shipped_timestamp": stamp(receipt.shipped_at),
        "quantity": line.quantity,
        "listing_image_id": None,
        "receipt_id": receipt.receipt_id,
        "is_digital": False,
        "file_data": "",
        "listing_id": None if gone else line.listing_id,
        "transaction_type": "listing",
        "product_id": line.product_id,
        "sku": line.sku or None,
        "price": money(line.price_minor, receipt.currency),
        "shipping_cost": money(0, receipt.currency),
        "variations": [
            {
                "property_id": value.property_id,
                "value_id": value.value_ids[0] if value.value_ids else None,
                "formatted_name": value.property_name,
                "formatted_value": ", ".join(value.values),
                "question_id": None,
            }
            for value in line.property_values
        ],
        "product_data": [_property_value(value) for value in line.property_values],
        "shipping_profile_id": 1,
        "min_processing_days": 1,
        "max_processing_days": 2,
        "shipping_method": None,
        "shipping_upgrade": None,
        "expected_ship_date": (created or 0) + 2 * 86400,
        "buyer_coupon": 0,
        "shop_coupon": 0,
    }


def _refund(refund: Refund, currency: str) -> dict[str, Any]:
    return {
        "amount": money(refund.amount_minor, currency),
        "created_timestamp": stamp(refund.created_at),
        "reason": refund.reason,
        "note_from_issuer": refund.note,
        "status": "succeeded",
    }


def payment_document(receipt: Receipt, shop: Shop) -> dict[str, Any]:
    """Return the Payment of a paid receipt. Fees: 6.5 % transaction, 3 % + 0.25 payment processing."""
    currency, gross = receipt.currency, receipt.grand_minor
    fees = round(gross * 0.095) + 25
    left = gross - receipt.refunded_minor
    paid, moved = stamp(receipt.paid_at), stamp(max([receipt.created_at, *(r.created_at for r in receipt.refunds)]))
    return {
        "payment_id": receipt.payment_id,
        "buyer_user_id": receipt.buyer_user_id,
        "shop_id": shop.shop_id,
        "receipt_id": receipt.receipt_id,
        "amount_gross": money(gross, currency),
        "amount_fees": money(fees, currency),
        "amount_net": money(gross - fees, currency),
        "posted_gross": money(gross, currency),
        "posted_fees": money(fees, currency),
        "posted_net": money(gross - fees, currency),
        "adjusted_gross": money(left, currency) if receipt.refunds else None,
        "adjusted_fees": money(fees, currency) if receipt.refunds else None,
        "adjusted_net": money(left - fees, currency) if receipt.refunds else None,
        "currency": currency,
        "shop_currency": shop.currency,
        "buyer_currency": currency,
        "shipping_user_id": receipt.buyer_user_id,
        "shipping_address_id": 1,
        "billing_address_id": 1,
        "status": "settled",
        "shipped_timestamp": stamp(receipt.shipped_at),
        "create_timestamp": paid,
        "created_timestamp": paid,
        "update_timestamp": moved,
        "updated_timestamp": moved,
        "payment_adjustments": [_adjustment(refund, receipt, shop) for refund in receipt.refunds],
    }


def _adjustment(refund: Refund, receipt: Receipt, shop: Shop) -> dict[str, Any]:
    at = stamp(refund.created_at)
    return {
        "payment_adjustment_id": refund.refund_id,
        "payment_id": receipt.payment_id,
        "status": "OK",
        "is_success": True,
        "user_id": shop.user_id,
        "reason_code": "CANCEL" if receipt.cancelled_at else "REFUND",
        "total_adjustment_amount": refund.amount_minor,
        "shop_total_adjustment_amount": refund.amount_minor,
        "buyer_total_adjustment_amount": refund.amount_minor,
        "total_fee_adjustment_amount": 0,
        "create_timestamp": at,
        "created_timestamp": at,
        "update_timestamp": at,
        "updated_timestamp": at,
        "payment_adjustment_items": [],
    }


def carriers_document(country: str) -> dict[str, Any]:
    names = CARRIERS.get(country, CARRIERS["*"])
    results = [
        {
            "shipping_carrier_id": number,
            "name": name,
            "domestic_classes": [{"mail_class_key": f"{name}_standard", "name": "Standard"}],
            "international_classes": [{"mail_class_key": f"{name}_international", "name": "International"}],
        }
        for number, name in enumerate(names, start=1)
    ]
    return {"count": len(results), "results": results}


def readiness_document(shop: Shop, readiness_state_id: int) -> dict[str, Any]:
    state, low, high = shop.readiness_states[readiness_state_id]
    return {
        "shop_id": shop.shop_id,
        "readiness_state_id": readiness_state_id,
        "readiness_state": state,
        "min_processing_days": low,
        "max_processing_days": high,
        "processing_days_display_label": f"{low}-{high} days",
    }


def shop_document(shop: Shop, now: datetime, country: str, *, on_vacation: bool = False) -> dict[str, Any]:
    opened = stamp(now)
    return {
        "shop_id": shop.shop_id,
        "user_id": shop.user_id,
        "shop_name": shop.shop_name,
        "create_date": opened,
        "created_timestamp": opened,
        "title": None,
        "announcement": None,
        "currency_code": shop.currency,
        "is_vacation": on_vacation,
        "update_date": opened,
        "updated_timestamp": opened,
        "listing_active_count": sum(each.state == "active" for each in shop.listings.values()),
        "login_name": shop.shop_name.lower(),
        "url": f"https://www.etsy.com/shop/{shop.shop_name}",
        "languages": ["en-US"],
        "is_shop_us_based": country == "US",
        "transaction_sold_count": sum(len(r.transactions) for r in shop.receipts.values()),
        "shipping_from_country_iso": country,
        "shop_location_country_iso": country,
    }
