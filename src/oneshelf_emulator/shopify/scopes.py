"""Which access scope opens which part of the schema: of each set, any one is enough.

Source: access requirements published with the Admin GraphQL schema 2026-10 (root fields, types, single fields).
"""

from __future__ import annotations

from functools import lru_cache

_FULFILMENT_READ = (
    "read_assigned_fulfillment_orders",
    "read_merchant_managed_fulfillment_orders",
    "read_third_party_fulfillment_orders",
    "read_marketplace_fulfillment_orders",
)
_FULFILMENT_WRITE = (
    "write_assigned_fulfillment_orders",
    "write_merchant_managed_fulfillment_orders",
    "write_third_party_fulfillment_orders",
)
_MANAGED_WRITE = _FULFILMENT_WRITE[1:]

TYPES: dict[str, tuple[str, ...]] = {
    "Location": ("read_locations", "read_inventory"),
    "InventoryItem": ("read_inventory", "read_products"),
    "InventoryLevel": ("read_inventory",),
    "InventoryAdjustmentGroup": ("read_inventory",),
    "InventoryProperties": ("read_inventory",),
    "ProductVariant": ("read_products",),
    "Product": ("read_products",),
    "Order": ("read_orders", "read_marketplace_orders"),
    "LineItem": ("read_orders", "read_marketplace_orders"),
    "Refund": ("read_orders", "read_marketplace_orders"),
    "OrderTransaction": ("read_orders", "read_marketplace_orders"),
    "FulfillmentOrder": _FULFILMENT_READ,
    "Fulfillment": ("read_orders", *_FULFILMENT_READ),
    "Customer": ("read_customers",),
}
FIELDS: dict[str, tuple[str, ...]] = {
    **{
        f"Location.{name}": ("read_locations",)
        for name in [
            "address",
            "createdAt",
            "deactivatedAt",
            "fulfillsOnlineOrders",
            "hasActiveInventory",
            "inventoryLevel",
            "inventoryLevels",
            "isActive",
            "isFulfillmentService",
            "name",
            "shipsInventory",
            "updatedAt",
        ]
    },
    "InventoryItem.duplicateSkuCount": ("read_inventory",),
    "QueryRoot.ordersCount": ("read_orders", "read_marketplace_orders"),
    "QueryRoot.orderByIdentifier": ("read_orders", "read_marketplace_orders"),
    **{
        f"Mutation.{name}": ("write_inventory",)
        for name in [
            "inventorySetQuantities",
            "inventoryAdjustQuantities",
            "inventoryMoveQuantities",
            "inventoryActivate",
            "inventoryDeactivate",
        ]
    },
    **{
        f"Mutation.{name}": ("write_orders",)
        for name in ["orderCreate", "orderCancel", "orderUpdate", "orderMarkAsPaid", "orderClose", "refundCreate"]
    },
    "Mutation.fulfillmentCreate": _FULFILMENT_WRITE,
    "Mutation.fulfillmentTrackingInfoUpdate": _FULFILMENT_WRITE,
    "Mutation.fulfillmentCancel": _FULFILMENT_WRITE,
    "Mutation.fulfillmentOrderMove": _MANAGED_WRITE,
    "Mutation.fulfillmentOrderSplit": _MANAGED_WRITE,
    "Mutation.fulfillmentOrderHold": _MANAGED_WRITE,
    "Mutation.fulfillmentOrderReleaseHold": _MANAGED_WRITE,
    "Mutation.productVariantsBulkUpdate": ("write_products",),
}
#: What a sync of stock and orders asks for (contracts sheet section 3): granted by default.
DEFAULT = frozenset(
    [
        "read_products",
        "write_products",
        "read_inventory",
        "write_inventory",
        "read_locations",
        "read_orders",
        "write_orders",
        "read_customers",
        "write_customers",
        "read_merchant_managed_fulfillment_orders",
        "write_merchant_managed_fulfillment_orders",
        "read_assigned_fulfillment_orders",
        "write_assigned_fulfillment_orders",
        "read_third_party_fulfillment_orders",
        "write_third_party_fulfillment_orders",
        "read_fulfillments",
        "write_fulfillments",
        "read_returns",
    ]
)


def with_implied(granted: frozenset[str]) -> frozenset[str]:
    """A write scope includes its read scope."""
    return granted | {"read_" + scope.removeprefix("write_") for scope in granted if scope.startswith("write_")}


def required_text(scopes: tuple[str, ...]) -> str:
    """Return the wording of `requiredAccess`."""
    quoted = [f"`{scope}` access scope" for scope in scopes]
    return (", ".join(quoted[:-1]) + " or " + quoted[-1] if len(quoted) > 1 else quoted[0]) + "."


@lru_cache(maxsize=64)
def denied(granted: frozenset[str]) -> frozenset[str]:
    """Return the types and `Type.field` names that these scopes do not open."""
    have = with_implied(granted)
    return frozenset(
        name for table in (TYPES, FIELDS) for name, scopes in table.items() if not have.intersection(scopes)
    )
