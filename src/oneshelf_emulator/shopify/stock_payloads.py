"""Webhook payloads of stock, products and locations; payloads.py has the rest and says how they are shaped."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .records import InventoryItem, InventoryLevel, Location, Product, ProductVariant

Document = dict[str, Any]


def instant(at: datetime | None) -> str | None:
    """Return an instant in the shop's zone (the emulated shop lives in UTC): `2026-11-23T14:23:00+00:00`."""
    return at.strftime("%Y-%m-%dT%H:%M:%S+00:00") if at else None


def inventory_level(it: InventoryLevel) -> Document:
    """Says nothing of reason, writer or other quantities; `available` is null for untracked items [K]."""
    return {
        "inventory_item_id": it.item.id,
        "location_id": it.location.id,
        "available": it.quantity("available") if it.item.tracked else None,
        "updated_at": instant(it.updated_at),
        "admin_graphql_api_id": it.gid,
    }


def inventory_item(it: InventoryItem) -> Document:
    return {
        "id": it.id,
        "sku": it.sku,
        "created_at": instant(it.created_at),
        "updated_at": instant(it.updated_at),
        "requires_shipping": it.requires_shipping,
        "cost": it.unit_cost.text if it.unit_cost else None,
        "country_code_of_origin": None,
        "province_code_of_origin": None,
        "harmonized_system_code": None,
        "tracked": it.tracked,
        "country_harmonized_system_codes": [],
        "weight_value": 0,
        "weight_unit": "kg",
        "admin_graphql_api_id": it.gid,
    }


def _variant(it: ProductVariant) -> Document:
    return {
        "admin_graphql_api_id": it.gid,
        "barcode": it.barcode,
        "compare_at_price": it.compare_at_price.text if it.compare_at_price else None,
        "created_at": instant(it.created_at),
        "id": it.id,
        "inventory_policy": it.inventory_policy.lower(),
        "position": it.position,
        "price": it.price.text,
        "product_id": it.product.id,
        "sku": it.sku,
        "taxable": it.taxable,
        "title": it.title,
        "updated_at": instant(it.updated_at),
        "option1": it.title,
        "option2": None,
        "option3": None,
        "image_id": None,
        "inventory_item_id": it.inventory_item.id,
        "inventory_quantity": it.inventory_quantity,
        "old_inventory_quantity": it.inventory_quantity,
    }


def product(it: Product) -> Document:
    """Only the first 100 variants come in full; all of them are named in `variant_gids`."""
    return {
        "admin_graphql_api_id": it.gid,
        "body_html": None,
        "created_at": instant(it.created_at),
        "handle": it.handle,
        "id": it.id,
        "product_type": it.product_type,
        "published_at": instant(it.published_at),
        "template_suffix": None,
        "title": it.title,
        "updated_at": instant(it.updated_at),
        "vendor": it.vendor,
        "status": it.status.lower(),
        "published_scope": "web",
        "tags": ", ".join(it.tags),
        "variants": [_variant(variant) for variant in it.variants[:100]],
        "options": [],
        "images": [],
        "image": None,
        "media": [],
        "variant_gids": [
            {"admin_graphql_api_id": each.gid, "updated_at": each.updated_at.strftime("%Y-%m-%dT%H:%M:%S.000Z")}
            for each in it.variants
        ],
        "has_variants_that_requires_components": False,
        "category": None,
    }


def location(it: Location) -> Document:
    return {
        "id": it.id,
        "name": it.name,
        "address1": it.address1,
        "address2": None,
        "city": it.city,
        "zip": it.zip,
        "province": None,
        "country": it.country_code,
        "phone": None,
        "created_at": instant(it.created_at),
        "updated_at": instant(it.updated_at),
        "country_code": it.country_code,
        "country_name": it.country_code,
        "province_code": it.province_code,
        "legacy": False,
        "active": it.is_active,
        "admin_graphql_api_id": it.gid,
    }
