"""Mutations on prices and webhook subscriptions.

Source: contracts sheet shopify sections 7 and 12; error codes of the Admin GraphQL schema 2026-10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import payloads
from .errors import Payload, user_error
from .money import Money
from .records import Product, ProductVariant, WebhookSubscription
from .webhooks import address_problem, missing_scope, topic_path

if TYPE_CHECKING:
    from .shop import Shopify


def variants_update(shop: Shopify, arguments: Payload) -> Payload:
    """productVariantsBulkUpdate: all rows or none, unless allowPartialUpdates."""
    product = shop.store.find(arguments["productId"], Product)
    if product is None:
        error = user_error("Product does not exist", ["productId"], "PRODUCT_DOES_NOT_EXIST")
        return {"product": None, "productVariants": None, "userErrors": [error]}
    errors: list[Payload] = []
    good: list[tuple[ProductVariant, Payload]] = []
    for i, given in enumerate(arguments["variants"]):
        row = _row(shop, product, given, i)
        if isinstance(row, dict):
            errors.append(row)
        else:
            good.append((row, given))
    if errors and not arguments.get("allowPartialUpdates"):
        return {"product": product, "productVariants": None, "userErrors": errors}
    for variant, given in good:
        _apply(shop, variant, given)
    if good:
        shop.ledger.touch_product(product)
    return {"product": product, "productVariants": [variant for variant, _ in good], "userErrors": errors}


def _row(shop: Shopify, product: Product, given: Payload, i: int) -> ProductVariant | Payload:
    def no(message: str, code: str, *field: str) -> Payload:
        return user_error(message, ("variants", i, *field), code)

    if given.get("id") is None:
        return no("Product variant is missing ID attribute", "PRODUCT_VARIANT_ID_MISSING", "id")
    variant = shop.store.find(given["id"], ProductVariant)
    if variant is None or variant.product is not product:
        return no("Product variant does not exist", "PRODUCT_VARIANT_DOES_NOT_EXIST", "id")
    if given.get("inventoryQuantities"):
        message = "Inventory quantities can only be provided during create. To update inventory for existing variants, use inventoryAdjustQuantities."
        return no(message, "NO_INVENTORY_QUANTITIES_ON_VARIANTS_UPDATE", "inventoryQuantities")
    for key in ("price", "compareAtPrice"):
        if given.get(key) is not None and given[key] < 0:
            return no("Price must be greater than or equal to 0", "GREATER_THAN_OR_EQUAL_TO", key)
    if "price" in given and given["price"] is None:
        return no("Price can't be blank", "INVALID_INPUT", "price")
    return variant


def _apply(shop: Shopify, variant: ProductVariant, given: Payload) -> None:
    if given.get("price") is not None:
        variant.price = Money.of(given["price"], shop.currency)
    if "compareAtPrice" in given:
        was = given["compareAtPrice"]
        variant.compare_at_price = None if was is None else Money.of(was, shop.currency)
    for key, name in (("barcode", "barcode"), ("inventoryPolicy", "inventory_policy"), ("taxable", "taxable")):
        if given.get(key) is not None:
            setattr(variant, name, given[key])
    variant.updated_at = shop.store.now()
    item, row = variant.inventory_item, given.get("inventoryItem") or {}
    if row:
        if row.get("sku") is not None:
            shop.rename(variant, row["sku"])
        item.tracked = item.tracked if row.get("tracked") is None else row["tracked"]
        if row.get("requiresShipping") is not None:
            item.requires_shipping = row["requiresShipping"]
        item.updated_at = shop.store.now()
        shop.index.touch(item)
        shop.webhooks.emit("inventory_items/update", item.gid, lambda: payloads.inventory_item(item))
    shop.index.touch(variant)


def subscription_create(shop: Shopify, arguments: Payload, granted: frozenset[str]) -> Payload:
    """webhookSubscriptionCreate."""
    topic, given = arguments["topic"], arguments["webhookSubscription"]

    def no(message: str, *path: str) -> Payload:
        return {"webhookSubscription": None, "userErrors": [user_error(message, path)]}

    lacking = missing_scope(topic, granted)
    if lacking is not None:
        name = topic_path(topic)
        return no(
            f"You do not have permission to create or update webhooks with {name} topic. This topic requires access to the {lacking} scope.",
            "topic",
        )
    uri = given.get("uri")
    problem = address_problem(uri, bool(shop.switches["allow_loopback_http"]))
    if problem is not None:
        return no(problem, "webhookSubscription", "uri")
    if len(given.get("name") or "") > 50:
        return no("Name is too long (maximum is 50 characters)", "webhookSubscription", "name")
    same = [each for each in shop.store.all(WebhookSubscription) if (each.topic, each.uri) == (topic, uri)]
    if any(each.filter == given.get("filter") for each in same):
        return no("Address for this topic has already been taken", "webhookSubscription", "uri")
    now = shop.store.now()
    subscription = WebhookSubscription(
        shop.store.new_id("WebhookSubscription"), topic, str(uri), now, now, given.get("filter"),
        list(given.get("includeFields") or []), list(given.get("metafieldNamespaces") or []), given.get("name"),
    )  # fmt: skip
    return {"webhookSubscription": shop.store.add(subscription), "userErrors": []}


def subscription_delete(shop: Shopify, arguments: Payload) -> Payload:
    """webhookSubscriptionDelete."""
    found = shop.store.find(arguments["id"], WebhookSubscription)
    if found is None:
        error = user_error("Webhook subscription does not exist", ["id"])
        return {"deletedWebhookSubscriptionId": None, "userErrors": [error]}
    shop.store.drop(found)
    return {"deletedWebhookSubscriptionId": found.gid, "userErrors": []}
