"""Reads for the schema: which record's which figure stands behind which field.

A field without an entry here is the attribute of the same name in snake case (or the key, of a dict).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    get_named_type,
)

from . import protected, scopes
from .errors import check_gid
from .metafields import order_by_custom_id, own_namespace
from .money import Money
from .order_records import Fulfillment, FulfillmentOrder, Order, Refund, RefundLine
from .orders import suggested_refund
from .paging import PAGE_SIZE_MAX, Page, check_size, page
from .records import (
    STORED_NAMES,
    BulkOperation,
    Customer,
    InventoryItem,
    InventoryLevel,
    Job,
    Location,
    MetafieldDefinition,
    Product,
    ProductVariant,
    Record,
    WebhookSubscription,
)

if TYPE_CHECKING:
    from .shop import Shopify

Resolver = Callable[..., Any]
VERSIONS = ("2026-10", "2026-07")


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _by_name(name: str) -> Resolver:
    attribute = "gid" if name == "id" else _snake(name)

    def resolve(source: Any, _info: GraphQLResolveInfo[Any], **_arguments: Any) -> Any:
        return source.get(name) if type(source) is dict else getattr(source, attribute)

    resolve.attribute = attribute  # type: ignore[attr-defined]  # for reading.py
    return resolve


def attach(schema: GraphQLSchema, table: dict[str, Resolver], shop: Shopify) -> None:
    """Give every field its resolver, behind a guard where a scope or the approval for customer data is asked for."""
    for type_name, kind in schema.type_map.items():
        if type_name.startswith("__"):
            continue
        if isinstance(kind, GraphQLInterfaceType):
            kind.resolve_type = lambda value, *_: value.kind
        if not isinstance(kind, GraphQLObjectType):
            continue
        for name, field in kind.fields.items():
            resolve = table.get(f"{type_name}.{name}") or _by_name(name)
            if f"{type_name}.{name}" in protected.FIELDS:
                resolve = _if_approved(shop, f"{type_name}.{name}", resolve)
            field.resolve = _guarded(f"{type_name}.{name}", get_named_type(field.type).name, resolve)


def _if_approved(shop: Shopify, field: str, resolve: Resolver) -> Resolver:
    def guard(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        return None if protected.withheld(shop, field) else resolve(source, info, **arguments)

    return guard


def _guarded(field: str, returned: str, resolve: Resolver) -> Resolver:
    kind = returned.removesuffix("Connection")
    keys = [key for key in (field, kind) if key in scopes.FIELDS or key in scopes.TYPES]
    if field == "Order.fulfillmentOrders" or field.endswith("Payload.node") or not keys:
        return resolve

    def guard(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        closed = info.context.denied
        for key in keys if closed else ():
            if key in closed:
                raise access_denied(info.field_name, scopes.FIELDS.get(key) or scopes.TYPES[key])
        return resolve(source, info, **arguments)

    return guard


def access_denied(field: str, needed: tuple[str, ...]) -> GraphQLError:
    required = scopes.required_text(needed)
    return GraphQLError(
        f"Access denied for {field} field. Required access: {required}",
        extensions={
            "code": "ACCESS_DENIED",
            "documentation": "https://shopify.dev/api/usage/access-scopes",
            "requiredAccess": required,
        },
    )


def _connection(nodes: Callable[..., Any]) -> Resolver:
    """A connection over plain records in order of id."""

    def resolve(
        source: Any, info: GraphQLResolveInfo[Any], first: int | None = None, last: int | None = None,
        after: str | None = None, before: str | None = None, reverse: bool = False, **arguments: Any,
    ) -> Page:  # fmt: skip
        if not info.context.bulk:
            check_size(first, last, info.field_name)

        def whole() -> Page:
            entries = [(each.id, each.id, each) for each in nodes(source, info, **arguments)]
            return page(entries, first=first, last=last, after=after, before=before, reverse=reverse)

        return info.context.connection(info, whole)  # type: ignore[no-any-return]

    return resolve


def _listed(nodes: Callable[[Any], list[Any]]) -> Resolver:
    """A plain list with `first`."""

    def resolve(source: Any, _info: GraphQLResolveInfo[Any], first: int | None = None, **_: Any) -> list[Any]:
        return nodes(source)[:first]

    return resolve


class Reads:
    """The table of resolvers of one shop."""

    def __init__(self, shop: Shopify) -> None:
        self.shop = shop

    def table(self) -> dict[str, Resolver]:
        return {**self._roots(), **self._stock(), **self._orders(), **self._small()}

    # -- search and lookup ------------------------------------------------------------------------------------------

    def _found(self, kind: type[Record], default: str) -> Resolver:
        shop = self.shop

        def resolve(
            _source: Any, info: GraphQLResolveInfo[Any], first: int | None = None, last: int | None = None,
            after: str | None = None, before: str | None = None, reverse: bool = False,
            query: str | None = None, sortKey: str = default, **arguments: Any,
        ) -> Page:  # fmt: skip
            if not info.context.bulk:
                check_size(first, last, info.field_name)
            name = sortKey.lower()

            def whole() -> Page:
                if query and query.strip():
                    rows, warnings = shop.index.search(kind.kind, query)
                    info.context.warn(info, query, warnings)
                    known = [(each, values) for each, values in rows if shop.store.get(kind, each.id) is each]
                else:
                    known = [(each, {}) for each in shop.store.all(kind)]
                entries = [
                    (_sort_value(each, values, name), each.id, each)
                    for each, values in known
                    if self._is_listed(each, arguments)
                ]
                return page(entries, first=first, last=last, after=after, before=before, reverse=reverse)

            return info.context.connection(info, whole)  # type: ignore[no-any-return]

        return resolve

    def _is_listed(self, record: Any, arguments: dict[str, Any]) -> bool:
        if isinstance(record, Order):
            return self.shop.visible(record)
        if isinstance(record, Location):
            if record.is_fulfillment_service and not arguments.get("includeLegacy"):
                return False
            return record.is_active or bool(arguments.get("includeInactive"))
        return True

    def _one(self, kind: type[Record]) -> Resolver:
        shop = self.shop

        def resolve(_source: Any, _info: GraphQLResolveInfo[Any], id: str | None = None) -> Any:
            if id is None:  # location(): the shop's first
                return shop.store.all(kind)[0]
            check_gid(id, kind.kind)
            found = shop.store.find(id, kind)
            if isinstance(found, Order) and not shop.visible(found):
                return None
            if isinstance(found, FulfillmentOrder) and not found.shown:
                return None
            return found

        return resolve

    def _count(self, kind: type[Record]) -> Resolver:
        def resolve(_s: Any, info: GraphQLResolveInfo[Any], query: str | None = None, limit: int | None = None) -> Any:
            rows, warnings = self.shop.index.search(kind.kind, query)
            info.context.warn(info, query, warnings)
            number = sum(self._is_listed(record, {}) for record, _ in rows)
            capped = limit is not None and number > limit
            return {"count": limit if capped else number, "precision": "AT_LEAST" if capped else "EXACT"}

        return resolve

    def _node(self, _source: Any, info: GraphQLResolveInfo[Any], id: str) -> Any:
        check_gid(id)
        found = self.shop.store.find_any(id)
        if found is None or found.kind in ("Job", "RefundLineItem"):  # these are no nodes
            return None
        if found.kind in info.context.denied:
            raise access_denied(info.field_name, scopes.TYPES[found.kind])
        if isinstance(found, Order) and not self.shop.visible(found):
            return None
        return None if isinstance(found, FulfillmentOrder) and not found.shown else found

    def _nodes(self, source: Any, info: GraphQLResolveInfo[Any], ids: list[str]) -> list[Any]:
        if len(ids) > PAGE_SIZE_MAX:
            raise GraphQLError(
                f"The input array size of {len(ids)} is greater than the maximum allowed of {PAGE_SIZE_MAX}.",
                extensions={"code": "MAX_INPUT_SIZE_EXCEEDED"},
            )
        found = [self._node(source, info, gid) for gid in ids]
        context = info.context
        if found and context.broken_node is None and self.shop.world.faults.roll("partial_batch", "shopify", "nodes"):
            context.broken_node = self.shop.chance.randrange(len(found))
        if found and context.broken_node is not None:  # also when the query is begun a second time (reading.py)
            found[context.broken_node % len(found)] = GraphQLError(
                "Internal error.", extensions={"code": "INTERNAL_SERVER_ERROR"}
            )
        return found

    def _roots(self) -> dict[str, Resolver]:
        shop = self.shop
        found: dict[str, tuple[type[Record], str]] = {
            "orders": (Order, "PROCESSED_AT"),
            "products": (Product, "ID"),
            "productVariants": (ProductVariant, "ID"),
            "inventoryItems": (InventoryItem, "ID"),
            "locations": (Location, "NAME"),
            "customers": (Customer, "ID"),
        }
        ones: dict[str, type[Record]] = {
            "order": Order, "product": Product, "productVariant": ProductVariant, "inventoryItem": InventoryItem,
            "inventoryLevel": InventoryLevel, "location": Location, "customer": Customer, "fulfillment": Fulfillment,
            "fulfillmentOrder": FulfillmentOrder, "refund": Refund, "bulkOperation": BulkOperation, "job": Job,
            "webhookSubscription": WebhookSubscription,
        }  # fmt: skip
        counts: dict[str, type[Record]] = {
            "ordersCount": Order,
            "productsCount": Product,
            "productVariantsCount": ProductVariant,
        }
        return {
            **{f"QueryRoot.{name}": self._found(kind, default) for name, (kind, default) in found.items()},
            **{f"QueryRoot.{name}": self._one(kind) for name, kind in ones.items()},
            **{f"QueryRoot.{name}": self._count(kind) for name, kind in counts.items()},
            "QueryRoot.node": self._node,
            "QueryRoot.nodes": self._nodes,
            "QueryRoot.orderByIdentifier": lambda _s, _i, identifier: self._by_identifier(identifier),
            "QueryRoot.shop": lambda *_: shop.shop_document(),
            "QueryRoot.publicApiVersions": lambda *_: [
                {"handle": v, "displayName": v + (" (Latest)" if v == VERSIONS[0] else ""), "supported": True}
                for v in VERSIONS
            ],
            "QueryRoot.currentAppInstallation": lambda _s, info: shop.installation(info.context.granted),
            "QueryRoot.inventoryProperties": lambda *_: {"quantityNames": quantity_names()},
            "QueryRoot.currentBulkOperation": lambda *_, **__: next(reversed(shop.store.all(BulkOperation)), None),
            "QueryRoot.bulkOperations": _connection(lambda *_, **__: shop.store.all(BulkOperation)),
            "QueryRoot.fulfillmentOrders": _connection(self._work),
            "QueryRoot.webhookSubscriptions": _connection(self._subscriptions),
            "QueryRoot.metafieldDefinitions": _connection(self._definitions),
        }

    def _by_identifier(self, identifier: dict[str, Any]) -> Order | None:
        if "id" in identifier:
            check_gid(identifier["id"], "Order")
            return self.shop.order(identifier["id"])
        found = order_by_custom_id(self.shop, identifier["customId"])
        return found if found is not None and self.shop.visible(found) else None

    def _work(
        self, _source: Any, _info: GraphQLResolveInfo[Any], includeClosed: bool = False
    ) -> list[FulfillmentOrder]:
        shown = [work for work in self.shop.store.all(FulfillmentOrder) if work.shown]
        return [work for work in shown if includeClosed or work.status not in ("CLOSED", "CANCELLED")]

    def _subscriptions(
        self, _s: Any, _i: GraphQLResolveInfo[Any], topics: list[str] | None = None, uri: str | None = None
    ) -> list[WebhookSubscription]:
        every = self.shop.store.all(WebhookSubscription)
        return [s for s in every if (topics is None or s.topic in topics) and (uri is None or s.uri == uri)]

    def _definitions(
        self, _s: Any, _i: GraphQLResolveInfo[Any], ownerType: str, key: str | None = None, namespace: str | None = None
    ) -> list[MetafieldDefinition]:
        space = own_namespace(self.shop, namespace) if namespace else None
        return [
            each
            for each in self.shop.store.all(MetafieldDefinition)
            if each.owner_type == ownerType
            and (key is None or each.key == key)
            and (space is None or each.namespace == space)
        ]

    def _suggested_refund(
        self,
        order: Order,
        _info: GraphQLResolveInfo[Any],
        refundLineItems: list[dict[str, Any]] | None = None,
        refundShipping: bool | None = None,
        shippingAmount: str | None = None,
        suggestFullRefund: bool = False,
    ) -> dict[str, Any]:
        if suggestFullRefund:
            parts = [(line, line.refundable_quantity) for line in order.line_items]
            return suggested_refund(order, parts, order.current_shipping_price_set)
        parts = []
        for given in refundLineItems or []:
            check_gid(given["lineItemId"], "LineItem")
            line = next((each for each in order.line_items if each.gid == given["lineItemId"]), None)
            if line is not None:
                parts.append((line, min(given["quantity"], line.refundable_quantity)))
        shipping = order.current_shipping_price_set if refundShipping else None
        if shippingAmount is not None:
            money = Money.of(shippingAmount, order.currency_code)
            shipping = order.current_shipping_price_set.share(
                money.minor, max(1, order.current_shipping_price_set.shop_money.minor)
            )
        return suggested_refund(order, parts, shipping)

    # -- products and stock -----------------------------------------------------------------------------------------

    def _stock(self) -> dict[str, Resolver]:
        def level_of(item: InventoryItem, _i: Any, locationId: str, includeInactive: bool = False) -> Any:
            check_gid(locationId, "Location")
            location = self.shop.store.find(locationId, Location)
            level = item.levels.get(location.id) if location else None
            return level if level and (level.is_active or includeInactive) else None

        def levels_of(item: InventoryItem, _i: Any, includeInactive: bool = False) -> list[InventoryLevel]:
            return [level for level in item.levels.values() if level.is_active or includeInactive]

        def levels_at(place: Location, _i: Any, includeInactive: bool = False) -> list[InventoryLevel]:
            levels = [level for level in self.shop.store.all(InventoryLevel) if level.location is place]
            return [level for level in levels if level.is_active or includeInactive]

        def level_at(place: Location, _i: Any, inventoryItemId: str, includeInactive: bool = False) -> Any:
            check_gid(inventoryItemId, "InventoryItem")
            item = self.shop.store.find(inventoryItemId, InventoryItem)
            level = item.levels.get(place.id) if item else None
            return level if level and (level.is_active or includeInactive) else None

        return {
            "Location.address": lambda place, _i: {
                "address1": place.address1,
                "city": place.city,
                "zip": place.zip,
                "provinceCode": place.province_code,
                "countryCode": place.country_code,
                "latitude": place.latitude,
                "longitude": place.longitude,
                "formatted": [part for part in (place.address1, place.city, place.country_code) if part],
            },
            "Location.deactivatedAt": lambda place, _i: place.deactivated_at and place.deactivated_at.isoformat(),
            "Location.hasActiveInventory": lambda place, info: any(
                level.quantity("on_hand") for level in levels_at(place, info)
            ),
            "Location.inventoryLevel": level_at,
            "Location.inventoryLevels": _connection(levels_at),
            "InventoryItem.inventoryLevel": level_of,
            "InventoryItem.inventoryLevels": _connection(levels_of),
            "InventoryItem.duplicateSkuCount": lambda item, _i: self.shop.sku_count(item.sku) - 1,
            "InventoryItem.variant": lambda item, _i: item.variants[0],
            "InventoryItem.variants": _connection(lambda item, _i: item.variants),
            "InventoryLevel.quantities": self._quantities,
            "ProductVariant.productVariantComponents": _connection(lambda variant, _i: variant.components),
            "Product.totalInventory": lambda p, _i: sum(variant.inventory_quantity for variant in p.variants),
            "Product.tracksInventory": lambda p, _i: any(variant.inventory_item.tracked for variant in p.variants),
            "Product.variants": _connection(lambda p, _i, **_: p.variants),
            "Product.variantsCount": lambda p, _i: {"count": len(p.variants), "precision": "EXACT"},
            "InventoryAdjustmentGroup.app": lambda *_: self.shop.app_document(),
            "InventoryAdjustmentGroup.changes": _changes,
        }

    def _quantities(
        self, level: InventoryLevel, _info: GraphQLResolveInfo[Any], names: list[str]
    ) -> list[dict[str, Any]]:
        unknown = [name for name in names if name != "on_hand" and name not in STORED_NAMES]
        if unknown:
            raise GraphQLError(
                f"The following quantity names are invalid: {', '.join(unknown)}", extensions={"code": "BAD_REQUEST"}
            )
        return [
            {
                "id": f"gid://shopify/InventoryQuantity/{level.id}?inventory_item_id={level.item.id}&name={name}",
                "name": name,
                "quantity": self.shop.ledger.shown(level, name),
                "updatedAt": level.changed_at.get(name),
            }
            for name in names
        ]

    # -- orders -----------------------------------------------------------------------------------------------------

    def _orders(self) -> dict[str, Resolver]:
        def attributes(source: Any, _i: GraphQLResolveInfo[Any]) -> list[dict[str, Any]]:
            return [{"key": key, "value": value} for key, value in source.custom_attributes]

        def metafield(order: Order, _i: Any, key: str, namespace: str | None = None) -> Any:
            space = own_namespace(self.shop, namespace)
            return next((m for m in order.metafields if (m.namespace, m.key) == (space, key)), None)

        def metafields(order: Order, _i: Any, namespace: str | None = None, keys: list[str] | None = None) -> list[Any]:
            space = own_namespace(self.shop, namespace) if namespace else None
            wanted = [m for m in order.metafields if space is None or m.namespace == space]
            return [m for m in wanted if not keys or m.key in keys or f"{m.namespace}.{m.key}" in keys]

        def work(order: Order, info: GraphQLResolveInfo[Any]) -> list[FulfillmentOrder]:
            if "FulfillmentOrder" in info.context.denied:  # silently
                return []
            return [each for each in order.fulfillment_orders if each.shown]

        return {
            "Order.app": lambda o, _i: {"id": f"gid://shopify/App/{o.app_id}", "name": o.app_name},
            "Order.customAttributes": attributes,
            "Order.fulfillmentOrders": _connection(work),
            "Order.fulfillments": _listed(lambda order: order.fulfillments),
            "Order.refunds": _listed(lambda order: order.refunds),
            "Order.transactions": _listed(lambda order: order.transactions),
            "Order.lineItems": _connection(lambda order, _i: order.line_items),
            "Order.suggestedRefund": self._suggested_refund,
            "Order.shippingLines": _connection(lambda order, _i: order.shipping_lines),
            "Order.metafield": metafield,
            "Order.metafields": _connection(metafields),
            "LineItem.customAttributes": attributes,
            "LineItemGroup.customAttributes": attributes,
            "LineItem.discountAllocations": lambda line, _i: (
                [] if line.discount is None else [{"allocatedAmountSet": line.discount}]
            ),
            "LineItem.taxLines": _listed(lambda line: line.tax_lines),
            "LineItem.totalDiscountSet": lambda line, _i: line.price * 0,
            "OrderTransaction.kind": lambda t, _i: t.transaction_kind,
            "OrderTransaction.manualPaymentGateway": lambda t, _i: t.gateway == "manual",
            "OrderTransaction.order": lambda t, _i: self.shop.order_of_transaction(t),
            "OrderTransaction.parentTransaction": lambda t, _i: t.parent,
            "Refund.refundLineItems": _connection(lambda refund, _i: refund.lines),
            "Refund.transactions": _connection(lambda refund, _i: refund.transactions),
            "RefundLineItem.id": lambda line, _i: _gid_of(line),
            "Fulfillment.fulfillmentLineItems": _connection(lambda f, _i: f.pieces),
            "Fulfillment.fulfillmentOrders": _connection(
                lambda f, _i: [w for w in f.order.fulfillment_orders if f in w.fulfillments]
            ),
            "Fulfillment.trackingInfo": _listed(lambda f: f.tracking()),
            **self._work_fields(),
        }

    def _work_fields(self) -> dict[str, Resolver]:
        return {
            "FulfillmentOrder.assignedLocation": lambda w, _i: {
                "name": w.location.name,
                "countryCode": w.location.country_code,
                "location": w.location,
            },
            "FulfillmentOrder.fulfillAt": lambda w, _i: w.created_at,
            "FulfillmentOrder.fulfillmentHolds": lambda w, _i: w.holds,
            "FulfillmentOrder.fulfillments": _connection(lambda w, _i: w.fulfillments),
            "FulfillmentOrder.lineItems": _connection(lambda w, _i: [x for x in w.lines if x.total_quantity]),
            "FulfillmentOrder.orderId": lambda w, _i: w.order.gid,
            "FulfillmentOrder.orderName": lambda w, _i: w.order.name,
            "FulfillmentOrder.orderProcessedAt": lambda w, _i: w.order.processed_at,
            "FulfillmentOrder.requestStatus": lambda *_: "UNSUBMITTED",
            "FulfillmentOrder.supportedActions": lambda w, _i: [{"action": name} for name in w.actions],
            "FulfillmentOrderLineItem.inventoryItemId": lambda x, _i: (
                x.line_item.variant.inventory_item.gid if x.line_item.variant else None
            ),
            "FulfillmentOrderLineItem.productTitle": lambda x, _i: x.line_item.title,
            **{
                f"FulfillmentOrderLineItem.{name}": lambda x, _i, attribute=_snake(name): getattr(
                    x.line_item, attribute
                )
                for name in ("requiresShipping", "sku", "variant", "variantTitle", "vendor")
            },
            "FulfillmentHold.displayReason": lambda hold, _i: hold.reason.replace("_", " ").capitalize(),
            "FulfillmentHold.heldByApp": lambda hold, _i: self.shop.app_document() if hold.by_app else None,
            "FulfillmentHold.heldByRequestingApp": lambda hold, _i: hold.by_app,
        }

    def _small(self) -> dict[str, Resolver]:
        return {
            "Customer.defaultEmailAddress": lambda c, _i: {"emailAddress": c.email} if c.email else None,
            "Customer.defaultPhoneNumber": lambda c, _i: {"phoneNumber": c.phone} if c.phone else None,
            "Customer.orders": _connection(lambda c, _i, **_: [o for o in c.orders if self.shop.visible(o)]),
            "MetafieldDefinition.type": lambda d, _i: {"name": d.type_name, "category": d.type_name.upper()},
            "WebhookSubscription.apiVersion": lambda *_: {
                "handle": self.shop.switches["webhook_api_version"],
                "displayName": self.shop.switches["webhook_api_version"],
                "supported": True,
            },
        }


def _sort_value(record: Any, values: dict[str, Any], name: str) -> Any:
    """Return what a record is sorted by: as the index saw it if it did, else as it is."""
    seen = values.get(name)
    if isinstance(seen, int | datetime):
        return seen
    value = getattr(record, _SORT_ATTRIBUTE.get(name, name))
    return "" if value is None else value


_SORT_ATTRIBUTE = {"order_number": "number"}


def _changes(
    group: Any, _info: GraphQLResolveInfo[Any], inventoryItemIds: list[str] | None = None,
    locationIds: list[str] | None = None, quantityNames: list[str] | None = None,
) -> list[Any]:  # fmt: skip
    return [
        entry
        for entry in group.entries
        if (inventoryItemIds is None or entry.item.gid in inventoryItemIds)
        and (locationIds is None or entry.location.gid in locationIds)
        and (quantityNames is None or entry.name in quantityNames)
    ]


def _gid_of(line: RefundLine) -> str:
    return line.gid


def quantity_names() -> list[dict[str, Any]]:
    """Return the shop's list of quantity names and how they are made up."""
    parts = [name for name in STORED_NAMES if name != "incoming"]
    rows = [
        {
            "name": name,
            "displayName": name.replace("_", " ").capitalize(),
            "isInUse": True,
            "belongsTo": [] if name == "incoming" else ["on_hand"],
            "comprises": [],
        }
        for name in STORED_NAMES
    ]
    total = {"name": "on_hand", "displayName": "On hand", "isInUse": True, "belongsTo": [], "comprises": parts}
    return [*rows, total]
