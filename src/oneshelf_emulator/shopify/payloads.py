"""Webhook payloads: REST-shaped documents of the shop's records, built from the same figures as GraphQL's answers.

Snake case, numeric ids, money as text, tags as one comma-separated text, instants with the shop's offset.
Source: contracts sheet shopify section 12; Shopify's documented sample payloads, API version 2026-07.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .money import Bag
from .order_records import Fulfillment, FulfillmentOrder, Hold, LineItem, Order, Refund, Transaction
from .records import Address, BulkOperation, Customer
from .stock_payloads import instant, inventory_item, inventory_level, location, product

if TYPE_CHECKING:
    from .shop import Shopify

Document = dict[str, Any]
__all__ = [
    "address", "bulk_operation", "customer", "fulfillment", "fulfillment_order", "hold", "instant", "inventory_item",
    "inventory_level", "line_item", "location", "order", "product", "refund", "shop", "transaction",
]  # fmt: skip


def _bag_pair(name: str, bag: Bag) -> Document:
    return {name: bag.shop_money.text, f"{name}_set": bag.document()}


def address(it: Address | None) -> Document | None:
    if it is None:
        return None
    return {
        "first_name": it.first_name,
        "address1": it.address1,
        "phone": it.phone,
        "city": it.city,
        "zip": it.zip,
        "province": it.province,
        "country": it.country,
        "last_name": it.last_name,
        "address2": it.address2,
        "company": it.company,
        "latitude": None,
        "longitude": None,
        "name": it.name,
        "country_code": it.country_code_v2,
        "province_code": it.province_code,
    }


def customer(it: Customer, currency: str) -> Document:
    home = address(it.default_address)
    if home is not None and it.default_address is not None:
        extra = {"id": it.default_address.id, "customer_id": it.id, "country_name": home["country"], "default": True}
        home = {key: value for key, value in home.items() if key not in ("latitude", "longitude")} | extra
    return {
        "id": it.id,
        "created_at": instant(it.created_at),
        "updated_at": instant(it.updated_at),
        "first_name": it.first_name,
        "last_name": it.last_name,
        "state": "disabled",
        "note": it.note,
        "verified_email": True,
        "multipass_identifier": None,
        "tax_exempt": False,
        "email": it.email,
        "phone": it.phone,
        "currency": currency,
        "tax_exemptions": [],
        "admin_graphql_api_id": it.gid,
        "default_address": home,
    }


def _tax_lines(lines: list[Any]) -> list[Document]:
    return [
        {
            "channel_liable": tax.channel_liable,
            "price": tax.price_set.shop_money.text,
            "price_set": tax.price_set.document(),
            "rate": tax.rate,
            "title": tax.title,
        }
        for tax in lines
    ]


def line_item(it: LineItem, zero: Bag) -> Document:
    """One order line. `fulfillable_quantity` is what is still to send, `current_quantity` what is still wanted."""
    status = "fulfilled" if it.fulfilled and not it.unfulfilled_quantity else "partial" if it.fulfilled else None
    return {
        "id": it.id,
        "admin_graphql_api_id": it.gid,
        "attributed_staffs": [],
        "current_quantity": it.current_quantity,
        "fulfillable_quantity": it.unfulfilled_quantity,
        "fulfillment_service": "manual",
        "fulfillment_status": status,
        "gift_card": False,
        "grams": 0,
        "name": it.name,
        **_bag_pair("price", it.price),
        "product_exists": it.variant is not None,
        "product_id": it.variant.product.id if it.variant else None,
        "properties": [{"name": key, "value": value} for key, value in it.custom_attributes],
        "quantity": it.quantity,
        "requires_shipping": it.requires_shipping,
        "sales_line_item_group_id": None,
        "sku": it.sku,
        "taxable": it.taxable,
        "title": it.title,
        **_bag_pair("total_discount", zero),
        "variant_id": it.variant.id if it.variant else None,
        "variant_inventory_management": "shopify" if it.variant and it.variant.inventory_item.tracked else None,
        "variant_title": it.variant_title,
        "vendor": it.vendor,
        "tax_lines": _tax_lines(it.tax_lines),
        "duties": [],
        "discount_allocations": [
            {
                "amount": each.shop_money.text,
                "discount_application_index": 0,
                "amount_set": each.document(),
            }
            for each in ([it.discount] if it.discount else [])
        ],
    }


def _inner_line_item(it: LineItem, zero: Bag) -> Document:
    """An order line as refunds and fulfilments repeat it: without its current quantity."""
    left_out = ("attributed_staffs", "current_quantity", "sales_line_item_group_id")
    return {key: value for key, value in line_item(it, zero).items() if key not in left_out}


def transaction(it: Transaction, order: Order) -> Document:
    unsettled = {"amount": "0.0", "currency": order.currency_code}
    return {
        "id": it.id,
        "order_id": order.id,
        "kind": it.transaction_kind.lower(),
        "gateway": it.gateway,
        "status": it.status.lower(),
        "message": None,
        "created_at": instant(it.created_at),
        "test": it.test,
        "authorization": None,
        "location_id": None,
        "user_id": None,
        "parent_id": it.parent.id if it.parent else None,
        "processed_at": instant(it.processed_at),
        "device_id": None,
        "error_code": None,
        "source_name": order.source_name,
        "receipt": {},
        "amount": it.amount_set.shop_money.text,
        "currency": order.currency_code,
        "payment_id": f"{order.name}.{it.id % 1000}",
        "total_unsettled_set": {"presentment_money": unsettled, "shop_money": unsettled},
        "manual_payment_gateway": False,
        "amount_rounding": None,
        "admin_graphql_api_id": it.gid,
    }


def refund(it: Refund) -> Document:
    order = it.order
    return {
        "id": it.id,
        "order_id": order.id,
        "created_at": instant(it.created_at),
        "note": it.note,
        "user_id": None,
        "processed_at": instant(it.processed_at),
        "duties": [],
        "total_duties_set": order.zero.document(),
        "return": None,
        "refund_shipping_lines": [],
        "restock": any(line.restocked for line in it.lines),
        "admin_graphql_api_id": it.gid,
        "order_adjustments": [],
        "refund_line_items": [
            {
                "id": line.id,
                "quantity": line.quantity,
                "line_item_id": line.line_item.id,
                "location_id": line.location.id if line.location else None,
                "restock_type": line.restock_type.lower(),
                "subtotal": float(line.subtotal_set.shop_money.text),
                "total_tax": float(line.total_tax_set.shop_money.text),
                "subtotal_set": line.subtotal_set.document(),
                "total_tax_set": line.total_tax_set.document(),
                "line_item": _inner_line_item(line.line_item, order.zero),
            }
            for line in it.lines
        ],
        "transactions": [transaction(each, order) for each in it.transactions],
    }


def fulfillment(it: Fulfillment) -> Document:
    order = it.order
    return {
        "id": it.id,
        "order_id": order.id,
        "status": it.status.lower(),
        "created_at": instant(it.created_at),
        "service": "manual",
        "updated_at": instant(it.updated_at),
        "tracking_company": it.company,
        "shipment_status": None,
        "location_id": it.location.id,
        "origin_address": None,
        "email": order.email,
        "destination": address(order.shipping_address),
        "line_items": [
            _inner_line_item(piece.line_item, order.zero) | {"quantity": piece.quantity} for piece in it.pieces
        ],
        "tracking_number": it.numbers[0] if it.numbers else None,
        "tracking_numbers": list(it.numbers),
        "tracking_url": it.urls[0] if it.urls else None,
        "tracking_urls": list(it.urls),
        "receipt": {},
        "name": it.name,
        "admin_graphql_api_id": it.gid,
    }


def _order_money(it: Order) -> Document:
    current_tax, current_total = it.current_total_tax_set, it.current_total_price_set
    return {
        "current_shipping_price_set": it.current_shipping_price_set.document(),
        **_bag_pair("current_subtotal_price", it.current_subtotal_price_set),
        "current_total_additional_fees_set": None,
        **_bag_pair("current_total_discounts", it.total_discounts_set),
        "current_total_duties_set": None,
        **_bag_pair("current_total_price", current_total),
        **_bag_pair("current_total_tax", current_tax),
        "original_total_additional_fees_set": None,
        "original_total_duties_set": None,
        **_bag_pair("subtotal_price", it.subtotal_price_set),
        "total_cash_rounding_payment_adjustment_set": it.zero.document(),
        "total_cash_rounding_refund_adjustment_set": it.zero.document(),
        **_bag_pair("total_discounts", it.total_discounts_set),
        **_bag_pair("total_line_items_price", it.line_items_total),
        "total_outstanding": it.total_outstanding_set.shop_money.text,
        **_bag_pair("total_price", it.total_price_set),
        "total_shipping_price_set": it.total_shipping_price_set.document(),
        **_bag_pair("total_tax", it.total_tax_set),
        "total_tip_received": "0.00",
    }


def _shipping_lines(it: Order) -> list[Document]:
    return [
        {
            "id": line.id,
            "carrier_identifier": None,
            "code": line.code,
            "current_discounted_price_set": line.price.document(),
            **_bag_pair("discounted_price", line.price),
            "is_removed": False,
            "phone": None,
            **_bag_pair("price", line.price),
            "requested_fulfillment_service_id": None,
            "source": line.source,
            "title": line.title,
            "tax_lines": _tax_lines(line.tax_lines),
            "discount_allocations": [],
        }
        for line in it.shipping_lines
    ]


def order(it: Order) -> Document:
    """The whole order as topics orders/* carry it."""
    sent = {"FULFILLED": "fulfilled", "PARTIALLY_FULFILLED": "partial"}.get(it.display_fulfillment_status)
    return {
        "id": it.id,
        "admin_graphql_api_id": it.gid,
        "app_id": it.app_id,
        "browser_ip": None,
        "buyer_accepts_marketing": False,
        "cancel_reason": it.cancel_reason.lower() if it.cancel_reason else None,
        "cancelled_at": instant(it.cancelled_at),
        "cart_token": None,
        "checkout_token": None,
        "client_details": None,
        "closed_at": instant(it.closed_at),
        "confirmation_number": None,
        "confirmed": True,
        "contact_email": it.email,
        "created_at": instant(it.created_at),
        "currency": it.currency_code,
        "customer_locale": "en",
        "device_id": None,
        "discount_codes": [
            {"code": code, "amount": it.total_discounts_set.shop_money.text, "type": "fixed_amount"}
            for code in it.discount_codes
        ],
        "duties_included": False,
        "email": it.email,
        "estimated_taxes": False,
        "financial_status": it.display_financial_status.lower(),
        "fulfillment_status": sent,
        "landing_site": None,
        "landing_site_ref": None,
        "location_id": None,
        "merchant_business_entity_id": "MTU0ODM4MDAwOQ",
        "merchant_of_record_app_id": None,
        "name": it.name,
        "note": it.note,
        "note_attributes": [{"name": key, "value": value} for key, value in it.custom_attributes],
        "number": it.number - 1000,
        "order_number": it.number,
        "order_status_url": f"https://shop.example/orders/{it.id}/authenticate",
        "payment_gateway_names": it.payment_gateway_names,
        "phone": it.phone,
        "po_number": it.po_number,
        "presentment_currency": it.presentment_currency_code,
        "processed_at": instant(it.processed_at),
        "reference": None,
        "referring_site": None,
        "source_identifier": it.source_identifier,
        "source_name": it.source_name,
        "source_url": it.registered_source_url,
        "tags": ", ".join(it.tags),
        "tax_exempt": False,
        "tax_lines": _tax_lines(it.tax_lines),
        "taxes_included": it.taxes_included,
        "test": it.test,
        "token": f"{it.id:x}",
        "total_weight": 0,
        "updated_at": instant(it.updated_at),
        "user_id": None,
        **_order_money(it),
        "billing_address": address(it.billing_address),
        "customer": customer(it.customer, it.currency_code) if it.customer else None,
        "discount_applications": [
            {
                "target_type": "line_item",
                "type": "discount_code",
                "value": it.total_discounts_set.shop_money.text,
                "value_type": "fixed_amount",
                "allocation_method": "across",
                "target_selection": "all",
                "code": code,
            }
            for code in it.discount_codes
        ],
        "fulfillments": [fulfillment(each) for each in it.fulfillments],
        "line_items": [line_item(line, it.zero) for line in it.line_items],
        "payment_terms": None,
        "refunds": [refund(each) for each in it.refunds],
        "shipping_address": address(it.shipping_address),
        "shipping_lines": _shipping_lines(it),
        "returns": [],
        "line_item_groups": [],
    }


def fulfillment_order(it: FulfillmentOrder) -> Document:
    return {"id": it.gid, "status": it.status.lower()}


def hold(it: Hold, app_id: int) -> Document:
    return {
        "id": it.gid,
        "reason": it.reason.lower(),
        "reason_notes": it.reason_notes,
        "held_by_requesting_app": it.by_app,
        "handle": it.handle,
        "held_by_app": {"id": f"gid://shopify/App/{app_id}"} if it.by_app else None,
    }


def bulk_operation(it: BulkOperation) -> Document:
    return {
        "admin_graphql_api_id": it.gid,
        "completed_at": instant(it.completed_at),
        "created_at": instant(it.created_at),
        "error_code": it.error_code.lower() if it.error_code else None,
        "status": it.status.lower(),
        "type": "query",
    }


def shop(it: Shopify) -> Document:
    """The shop itself, as app/uninstalled and shop/update carry it."""
    return {
        "id": it.shop_id,
        "name": it.shop_name,
        "email": it.shop_email,
        "domain": it.domain,
        "country": "DE",
        "currency": it.currency,
        "customer_email": it.shop_email,
        "timezone": "(GMT+00:00) UTC",
        "iana_timezone": "Etc/UTC",
        "shop_owner": "Emulated Merchant",
        "plan_display_name": "Grow",
        "plan_name": "professional",
        "myshopify_domain": it.domain,
        "taxes_included": it.taxes_included,
        "weight_unit": "kg",
        "country_code": "DE",
        "enabled_presentment_currencies": [it.currency],
        "created_at": instant(it.created_at),
        "updated_at": instant(it.created_at),
    }
