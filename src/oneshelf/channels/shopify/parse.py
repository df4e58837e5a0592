"""Raw message → facts. Pure.

In: webhooks by topic, and our own order documents ("poll:order"). Out: facts. Known-and-ignored kinds are listed with the reason;
unknown kinds raise Unreadable. Never: calls the network, or keeps anything.
Source: Shopify WebhookSubscriptionTopic 2026-10 and the topic list of 2026-07 (221 topics), read 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec

from oneshelf.channels.contract import RawMessage
from oneshelf.channels.shopify import from_graphql, from_webhook, ids
from oneshelf.channels.shopify.form import order_seen, text
from oneshelf.core.errors import Unreadable
from oneshelf.core.facts import (
    AccessLost,
    CatalogueHint,
    ErasureAsked,
    Fact,
    Ignored,
    LocationsHint,
    OrderHint,
    OutletHint,
)

#: Our own topic for an order document read by us.
POLLED_ORDER = "poll:order"

#: The whole order is in the payload.
ORDER_TOPICS = {
    "orders/create",
    "orders/updated",
    "orders/cancelled",
    "orders/paid",
    "orders/fulfilled",
    "orders/partially_fulfilled",
}

#: Only the order's id is in the payload, at this path; "" is the payload itself.
ORDER_HINT_TOPICS = {
    "orders/edited": ("order_edit", "order_id"),
    "orders/delete": ("", "id"),
    "refunds/create": ("", "order_id"),
    "fulfillments/create": ("", "order_id"),
    "fulfillments/update": ("", "order_id"),
    "order_transactions/create": ("", "order_id"),
}

OUTLET_TOPICS = {"inventory_levels/update", "inventory_levels/connect", "inventory_levels/disconnect"}

#: Topic → (kind of the gid, deleted).
CATALOGUE_TOPICS = {
    "products/create": ("Product", False),
    "products/update": ("Product", False),
    "products/delete": ("Product", True),
    "inventory_items/create": ("InventoryItem", False),
    "inventory_items/update": ("InventoryItem", False),
    "inventory_items/delete": ("InventoryItem", True),
}

#: Known single topics of resources we do listen to, which say nothing new.
IGNORED_TOPICS = {
    "orders/risk_assessment_changed": "risk moves no stock",
    "orders/shopify_protect_eligibility_changed": "protection moves no stock",
    "orders/link_requested": "a mail to the buyer moves no stock",
    "variants/in_stock": "inventory_levels/update says it with the location",
    "variants/out_of_stock": "inventory_levels/update says it with the location",
    "bulk_operations/finish": "exports are polled",
    "app/scopes_update": "scopes are read when the account is checked",
    "shop/update": "the shop is read when the account is checked",
}

#: Every other resource of the topic list: whatever happens to it moves no stock and no order of ours.
IGNORED_RESOURCES = {
    **dict.fromkeys(
        [
            "fulfillment_events",
            "fulfillment_holds",
            "inventory_shipments",
            "inventory_transfers",
            "variants",
            "draft_orders",
            "checkouts",
            "carts",
            "customers",
            "shipping_addresses",
        ],
        "told by the levels, the order or the nightly audit",
    ),
    **dict.fromkeys(
        [
            "app_purchases_one_time",
            "app_subscriptions",
            "audit_events",
            "channels",
            "collection_listings",
            "collection_publications",
            "collections",
            "companies",
            "company_contact_roles",
            "company_contacts",
            "company_locations",
            "customer.joined_segment",
            "customer.left_segment",
            "customer.tags_added",
            "customer.tags_removed",
            "customer_account_settings",
            "customer_groups",
            "customer_payment_methods",
            "customers_email_marketing_consent",
            "customers_marketing_consent",
            "customers_whats_app_marketing_consent",
            "delivery_promise_settings",
            "discounts",
            "disputes",
            "domains",
            "finance_app_staff_member",
            "finance_kyc_information",
            "locales",
            "markets",
            "markets_backup_region",
            "metafield_definitions",
            "metaobjects",
            "payment_schedules",
            "payment_terms",
            "product_feeds",
            "product_listings",
            "product_publications",
            "profiles",
            "reverse_deliveries",
            "reverse_fulfillment_orders",
            "scheduled_product_listings",
            "segments",
            "selling_plan_groups",
            "subscription_billing_attempts",
            "subscription_billing_cycle_edits",
            "subscription_billing_cycles",
            "subscription_contracts",
            "tax_services",
            "tender_transactions",
            "themes",
        ],
        "no matter of stock or orders",
    ),
}


def parse(message: RawMessage, shop: str) -> list[Fact]:
    """Return what the message says. `shop`: the shop's domain, for links. Raises Unreadable."""
    topic = message.topic
    if topic == POLLED_ORDER:
        return [order_seen(from_graphql.order_form(message.body), shop)]
    if topic in ORDER_TOPICS:
        return [order_seen(from_webhook.order_form(message.body), shop)]
    if topic in ORDER_HINT_TOPICS:
        return [_order_hint(topic, _object(message))]
    if topic in OUTLET_TOPICS:
        return [_outlet_hint(_object(message))]
    if topic in CATALOGUE_TOPICS:
        return [_catalogue_hint(topic, _object(message))]
    if topic in _SPECIAL:
        return [_SPECIAL[topic](_object(message))]
    if topic in IGNORED_TOPICS:
        return [Ignored(f"{topic}: {IGNORED_TOPICS[topic]}")]
    resource = topic.partition("/")[0]
    if resource == "locations":
        return [LocationsHint()]
    if resource in ("fulfillment_orders", "returns"):
        return [_named_order(topic, _object(message))]
    if resource in IGNORED_RESOURCES:
        return [Ignored(f"{topic}: {IGNORED_RESOURCES[resource]}")]
    raise Unreadable(f"the topic {topic[:80]!r} is unknown")


def _object(message: RawMessage) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(message.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"{message.topic}: no readable JSON: {error}") from error
    if not isinstance(found, dict):
        raise Unreadable(f"{message.topic}: not an object")
    return found


def _order_hint(topic: str, payload: dict[str, Any]) -> Fact:
    outer, field = ORDER_HINT_TOPICS[topic]
    inner = payload.get(outer) if outer else payload
    if not isinstance(inner, dict):
        raise Unreadable(f"{topic} without {outer}")
    order_id = ids.number(inner.get(field))
    if order_id is None:
        raise Unreadable(f"{topic} without an order id")
    return OrderHint(order_id)


def _outlet_hint(payload: dict[str, Any]) -> Fact:
    """The level's gid names the item exactly in its query; its own number is not the location's."""
    query = parse_qs(urlsplit(text(payload.get("admin_graphql_api_id")) or "").query)
    item = ids.number(query.get("inventory_item_id", [None])[0]) or ids.number(payload.get("inventory_item_id"))
    location = ids.number(payload.get("location_id"))
    if item is None or location is None:
        raise Unreadable("an inventory level without its item or location")
    return OutletHint(ids.outlet(ids.gid("InventoryItem", item), ids.gid("Location", location)))


def _catalogue_hint(topic: str, payload: dict[str, Any]) -> Fact:
    kind, deleted = CATALOGUE_TOPICS[topic]
    found = ids.exact(payload.get("id"), payload.get("admin_graphql_api_id"))
    if found is None:
        raise Unreadable(f"{topic} without an id")
    return CatalogueHint(ids.gid(kind, found), deleted)


def _named_order(topic: str, payload: dict[str, Any]) -> Fact:
    """returns/* name their order in some payloads only, fulfillment_orders/* in no sample; where one is named, read it."""
    order = payload.get("order")
    if isinstance(order, dict):
        order_id = ids.exact(order.get("id"), order.get("admin_graphql_api_id"))
        if order_id is not None:
            return OrderHint(order_id)
    for part in (payload, *(value for value in payload.values() if isinstance(value, dict))):
        order_id = ids.number(part.get("order_id"))
        if order_id is not None:
            return OrderHint(order_id)
    return Ignored(f"{topic}: names no order; the next read of the order shows it")


def _uninstalled(payload: dict[str, Any]) -> Fact:
    return AccessLost("the app was uninstalled from the shop")


def _customer_erasure(payload: dict[str, Any]) -> Fact:
    return _privacy("erase", payload, "orders_to_redact")


def _customer_export(payload: dict[str, Any]) -> Fact:
    return _privacy("export", payload, "orders_requested")


def _privacy(kind: Literal["erase", "export"], payload: dict[str, Any], orders: str) -> Fact:
    """A customer may be named without an id (a guest's checkout), or by his orders alone."""
    customer = payload.get("customer")
    named = customer if isinstance(customer, dict) else {}
    subject = ids.number(named.get("id")) or text(named.get("email")) or text(named.get("phone")) or ""
    listed = payload.get(orders)
    order_ids = tuple(filter(None, map(ids.number, listed if isinstance(listed, list) else [])))
    if not subject and not order_ids:
        raise Unreadable("a privacy request that names neither a customer nor orders")
    return ErasureAsked(kind, subject, order_ids)


def _shop_erasure(payload: dict[str, Any]) -> Fact:
    return ErasureAsked("erase_shop", text(payload.get("shop_domain")) or text(payload.get("shop_id")) or "")


_SPECIAL: dict[str, Callable[[dict[str, Any]], Fact]] = {
    "app/uninstalled": _uninstalled,
    "customers/redact": _customer_erasure,
    "customers/data_request": _customer_export,
    "shop/redact": _shop_erasure,
}
