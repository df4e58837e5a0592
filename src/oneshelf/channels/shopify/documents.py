"""Every GraphQL document that we send, each by itself, with what it costs at most.

In: nothing. Out: `Document`s. Never: sends one, or builds one from text at run time.

Costs are the dearest reading of Shopify's rules (an object 1, a connection `first` times its node, a mutation 10), because the
exact formula of connections is not published; one document may not exceed 1,000 points on any plan.
Source: Shopify docs, "GraphQL Admin API rate limits" (shopify.dev/docs/api/usage/limits), API version 2026-10, read 2026-11.
"""

from __future__ import annotations

import msgspec

#: One document may not cost more on any plan.
COST_MAX = 1000

#: Ids of one `nodes(ids:)` call: 15 × 17 points, and below COST_MAX even if every quantity were charged.
ITEMS_A_CALL = 15
#: Variants of one reading of prices: 100 × 2 points.
PRICES_A_CALL = 100
#: Entries of one input array. Source: Shopify docs, "API limits", read 2026-11.
ARRAY_MAX = 250


class Document(msgspec.Struct, frozen=True):
    """One operation. `cost`: points at most; `cost_each`: points for each id in its `ids` variable."""

    name: str
    text: str
    cost: int
    cost_each: int = 0
    writes: bool = False


_HEAD = """
fragment OrderHead on Order {
  id name createdAt updatedAt cancelledAt test sourceIdentifier note email phone
  displayFinancialStatus taxesIncluded presentmentCurrencyCode
  customAttributes { key value }
  metafield(namespace: "$app", key: "external_order_id") { value }
  customer { id firstName lastName }
  shippingAddress { name address1 address2 city province provinceCode zip countryCodeV2 phone }
  shippingLines(first: 1) { nodes { title } }
  totalPriceSet { presentmentMoney { amount currencyCode } }
  totalTaxSet { presentmentMoney { amount currencyCode } }
  totalShippingPriceSet { presentmentMoney { amount currencyCode } }
  totalDiscountsSet { presentmentMoney { amount currencyCode } }
}
"""

_LINE = """
fragment Line on LineItem {
  id name sku quantity currentQuantity unfulfilledQuantity requiresShipping
  variant { id }
  originalUnitPriceSet { presentmentMoney { amount currencyCode } }
  totalDiscountSet { presentmentMoney { amount currencyCode } }
  customAttributes { key value }
}
"""

#: Tracking numbers that the short order form shows; a parcel that has as many is read in the long form.
SHORT_TRACKING = 5

_FULFILLMENT = "id status createdAt location { id }"
_TRACKING = "{ company number url }"
_FULFILLMENT_LINES = "nodes { quantity lineItem { id } } pageInfo { hasNextPage endCursor }"
_REFUND = "id createdAt"
_REFUND_LINES = "nodes { id quantity restockType lineItem { id } location { id } } pageInfo { hasNextPage endCursor }"
_WORK = "id status assignedLocation { location { id } }"
_WORK_LINES = "nodes { remainingQuantity lineItem { id } } pageInfo { hasNextPage endCursor }"

#: How many fulfilments and refunds the short order form shows. As many as this: there may be more, read the long form.
SHORT_LISTS = 3

_SHORT = (
    "...OrderHead"
    " lineItems(first: 5) { nodes { ...Line } pageInfo { hasNextPage endCursor } }"
    f" fulfillments(first: {SHORT_LISTS}) {{ {_FULFILLMENT} trackingInfo(first: {SHORT_TRACKING}) {_TRACKING}"
    f" fulfillmentLineItems(first: 5) {{ {_FULFILLMENT_LINES} }} }}"
    f" refunds(first: {SHORT_LISTS}) {{ {_REFUND} refundLineItems(first: 5) {{ {_REFUND_LINES} }} }}"
    f" fulfillmentOrders(first: 2) {{ nodes {{ {_WORK} lineItems(first: 5) {{ {_WORK_LINES} }} }}"
    " pageInfo { hasNextPage endCursor } }"
)

ORDERS_CHANGED = Document(
    "OrdersChanged",
    "query OrdersChanged($filter: String!, $cursor: String) {"
    " orders(first: 5, after: $cursor, query: $filter, sortKey: UPDATED_AT) {"
    f" nodes {{ {_SHORT} }} pageInfo {{ hasNextPage endCursor }} }} }}" + _HEAD + _LINE,
    cost=926,
)
ORDER = Document("Order", f"query Order($id: ID!) {{ order(id: $id) {{ {_SHORT} }} }}" + _HEAD + _LINE, cost=185)

# The long form, for orders that do not fit the short one: the head with the ids of its parts, then each part by pages.
ORDER_HEAD = Document(
    "OrderHeadAndParts",
    "query OrderHeadAndParts($id: ID!) { order(id: $id) { ...OrderHead"
    " fulfillments(first: 250) { id } refunds(first: 250) { id }"
    " fulfillmentOrders(first: 100) { nodes { id } pageInfo { hasNextPage endCursor } } } }" + _HEAD,
    cost=616,
)
ORDER_LINES = Document(
    "OrderLines",
    "query OrderLines($id: ID!, $cursor: String) { part: order(id: $id) {"
    " lineItems(first: 100, after: $cursor) { nodes { ...Line } pageInfo { hasNextPage endCursor } } } }" + _LINE,
    cost=702,
)
FULFILLMENT = Document(
    "Fulfillment",
    f"query Fulfillment($id: ID!, $cursor: String) {{ part: fulfillment(id: $id) {{ {_FULFILLMENT} trackingInfo(first: 250) {_TRACKING}"
    f" fulfillmentLineItems(first: 100, after: $cursor) {{ {_FULFILLMENT_LINES} }} }} }}",
    cost=453,
)
REFUND = Document(
    "RefundById",
    f"query RefundById($id: ID!, $cursor: String) {{ part: refund(id: $id) {{ {_REFUND}"
    f" refundLineItems(first: 100, after: $cursor) {{ {_REFUND_LINES} }} }} }}",
    cost=302,
)
FULFILLMENT_ORDER = Document(
    "FulfillmentOrder",
    f"query FulfillmentOrder($id: ID!, $cursor: String) {{ part: fulfillmentOrder(id: $id) {{ {_WORK}"
    f" lineItems(first: 100, after: $cursor) {{ {_WORK_LINES} }} }} }}",
    cost=204,
)

SHOP = Document(
    "Shop",
    """query Shop {
  shop { id name myshopifyDomain currencyCode ianaTimezone taxesIncluded plan { publicDisplayName partnerDevelopment shopifyPlus } }
  currentAppInstallation { id accessScopes { handle } }
}""",
    cost=4,
)

#: What keeps copies unique, and whether customer data is shown to us: what a check looks at.
ORDER_KEY = Document(
    "OrderKey",
    """query OrderKey {
  metafieldDefinitions(ownerType: ORDER, namespace: "$app", key: "external_order_id", first: 1) { nodes { id type { name } } }
}""",
    cost=3,
)
NEWEST_ORDER = Document(
    "NewestOrder",
    """query NewestOrder {
  orders(first: 1, sortKey: ID, reverse: true) {
    nodes { id email customer { id firstName } shippingAddress { name address1 } }
  }
}""",
    cost=4,
)

LOCATIONS = Document(
    "Locations",
    """query Locations($cursor: String) {
  locations(first: 50, after: $cursor, includeInactive: true, includeLegacy: true, sortKey: ID) {
    nodes {
      id name isActive fulfillsOnlineOrders isFulfillmentService
      address { address1 city provinceCode zip countryCode latitude longitude }
    }
    pageInfo { hasNextPage endCursor }
  }
}""",
    cost=101,
)

#: All quantity names of an item at a location, in one read (S0.3).
QUANTITY_NAMES = (
    "available",
    "committed",
    "on_hand",
    "reserved",
    "incoming",
    "damaged",
    "quality_control",
    "safety_stock",
)
_NAMES = ", ".join(f'"{name}"' for name in QUANTITY_NAMES)
_LEVEL = f"id location {{ id }} quantities(names: [{_NAMES}]) {{ name quantity }}"

ITEM_LEVELS = Document(
    "ItemLevels",
    "query ItemLevels($ids: [ID!]!) { nodes(ids: $ids) { id ... on InventoryItem { tracked"
    f" inventoryLevels(first: 5) {{ nodes {{ {_LEVEL} }} pageInfo {{ hasNextPage endCursor }} }} }} }} }}",
    cost=0,
    cost_each=17,
)
MORE_LEVELS = Document(
    "MoreLevels",
    "query MoreLevels($id: ID!, $cursor: String) { part: inventoryItem(id: $id) { id tracked"
    f" inventoryLevels(first: 50, after: $cursor) {{ nodes {{ {_LEVEL} }} pageInfo {{ hasNextPage endCursor }} }} }} }}",
    cost=152,
)

_VARIANT = """
fragment Variant on ProductVariant {
  id title sku barcode price compareAtPrice inventoryQuantity requiresComponents
  product { id title status vendor productType tags }
  inventoryItem { id sku tracked unitCost { amount currencyCode } }
}
"""
VARIANTS = Document(
    "Variants",
    """query Variants($cursor: String, $filter: String) {
  shop { currencyCode }
  productVariants(first: 100, after: $cursor, query: $filter, sortKey: ID) {
    nodes { ...Variant }
    pageInfo { hasNextPage endCursor }
  }
}"""
    + _VARIANT,
    cost=402,
)
#: Bundles of one reading of components: 10 × (2 + 30 × 2) points, and a bundle has at most 30. Source:
#: productVariantRelationshipBulkUpdate, 2026-10.
BUNDLES_A_CALL = 10
COMPONENTS = Document(
    "Components",
    """query Components($ids: [ID!]!) {
  nodes(ids: $ids) {
    ... on ProductVariant {
      id requiresComponents
      productVariantComponents(first: 30) { nodes { quantity productVariant { sku } } }
    }
  }
}""",
    cost=1,
    cost_each=62,
)
VARIANTS_OF_ITEM = Document(
    "VariantsOfItem",
    """query VariantsOfItem($id: ID!) {
  shop { currencyCode }
  inventoryItem(id: $id) { variants(first: 50) { nodes { ...Variant } } }
}"""
    + _VARIANT,
    cost=203,
)

# --- bulk exports: the bodies go as a string variable; they cost nothing themselves ------------------------------------

LEVELS_EXPORT = (
    "query LevelsExport { inventoryItems { edges { node { id"
    f" inventoryLevels {{ edges {{ node {{ item {{ tracked }} {_LEVEL} }} }} }} }} }} }} }}"
)
CATALOGUE_EXPORT = (
    "query CatalogueExport { productVariants { edges { node {"
    " id title sku barcode price compareAtPrice inventoryQuantity requiresComponents"
    " product { id title status vendor productType tags }"
    " inventoryItem { id sku tracked unitCost { amount currencyCode } } } } } }"
)

START_EXPORT = Document(
    "StartExport",
    """mutation StartExport($query: String!) {
  bulkOperationRunQuery(query: $query, groupObjects: false) {
    bulkOperation { id status createdAt }
    userErrors { code field message }
  }
}""",
    cost=10,
    writes=True,
)
EXPORT_STATE = Document(
    "ExportState",
    "query ExportState($id: ID!) { bulkOperation(id: $id) { id status errorCode objectCount url createdAt } }",
    cost=1,
)

# --- stock --------------------------------------------------------------------------------------------------------------

MOVE = Document(
    "MoveQuantities",
    """mutation MoveQuantities($input: InventoryMoveQuantitiesInput!, $key: String!) {
  inventoryMoveQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id }
    userErrors { code field message }
  }
}""",
    cost=10,
    writes=True,
)
SET_QUANTITIES = Document(
    "SetQuantities",
    """mutation SetQuantities($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id }
    userErrors { code field message }
  }
}""",
    cost=10,
    writes=True,
)

# --- the copy of a marketplace order ------------------------------------------------------------------------------------

DEFINE_ORDER_KEY = Document(
    "DefineOrderKey",
    """mutation DefineOrderKey($definition: MetafieldDefinitionInput!) {
  metafieldDefinitionCreate(definition: $definition) {
    createdDefinition { id }
    userErrors { code field message }
  }
}""",
    cost=10,
    writes=True,
)
FIND_COPY = Document(
    "FindCopy",
    """query FindCopy($value: String!) {
  orderByIdentifier(identifier: { customId: { namespace: "$app", key: "external_order_id", value: $value } }) {
    id name cancelledAt
  }
}""",
    cost=1,
)
IMPORT_ORDER = Document(
    "ImportOrder",
    """mutation ImportOrder($order: OrderCreateOrderInput!, $options: OrderCreateOptionsInput) {
  orderCreate(order: $order, options: $options) {
    order {
      id name displayFinancialStatus
      totalPriceSet { presentmentMoney { amount currencyCode } }
    }
    userErrors { code field message }
  }
}""",
    cost=10,
    writes=True,
)
CANCEL_ORDER = Document(
    "CancelOrder",
    """mutation CancelOrder($orderId: ID!, $reason: OrderCancelReason!, $note: String, $notify: Boolean!) {
  orderCancel(
    orderId: $orderId, reason: $reason, restock: true, notifyCustomer: $notify, staffNote: $note
    refundMethod: { originalPaymentMethodsRefund: true }
  ) {
    job { id done }
    orderCancelUserErrors { code field message }
  }
}""",
    cost=10,
    writes=True,
)
ORDER_CANCELLED = Document(
    "OrderCancelled", "query OrderCancelled($id: ID!) { order(id: $id) { id cancelledAt } }", cost=1
)
JOB = Document("Job", "query Job($id: ID!) { job(id: $id) { id done } }", cost=1)
SUGGESTED_REFUND = Document(
    "SuggestedRefund",
    """query SuggestedRefund($id: ID!, $lines: [RefundLineItemInput!]) {
  order(id: $id) {
    suggestedRefund(refundLineItems: $lines) {
      suggestedTransactions { gateway amountSet { presentmentMoney { amount currencyCode } } parentTransaction { id } }
    }
  }
}""",
    cost=6,
)
COPY_LINES = Document(
    "CopyLines",
    """query CopyLines($id: ID!, $cursor: String) {
  part: order(id: $id) {
    id cancelledAt taxesIncluded presentmentCurrencyCode
    transactions(first: 20) { id kind status gateway amountSet { presentmentMoney { amount currencyCode } } }
    refunds(first: 50) { id note totalRefundedSet { presentmentMoney { amount currencyCode } } }
    lineItems(first: 50, after: $cursor) {
      nodes {
        id sku quantity currentQuantity unfulfilledQuantity
        customAttributes { key value }
        originalUnitPriceSet { presentmentMoney { amount currencyCode } }
        discountAllocations { allocatedAmountSet { presentmentMoney { amount currencyCode } } }
        taxLines { priceSet { presentmentMoney { amount currencyCode } } }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}""",
    cost=712,
)
#: Where an order's pieces will leave from, and whether we may send them. Its fulfilment orders' further lines: WORK_LINES.
WORK = Document(
    "Work",
    """query Work($id: ID!, $cursor: String) {
  part: order(id: $id) {
    id
    fulfillmentOrders(first: 10, after: $cursor) {
      nodes {
        id status supportedActions { action } assignedLocation { location { id isFulfillmentService } }
        lineItems(first: 40) { nodes { id remainingQuantity lineItem { id } } pageInfo { hasNextPage endCursor } }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}""",
    cost=852,
)
WORK_LINES = Document(
    "WorkLines",
    """query WorkLines($id: ID!, $cursor: String) {
  part: fulfillmentOrder(id: $id) {
    id
    lineItems(first: 250, after: $cursor) {
      nodes { id remainingQuantity lineItem { id } }
      pageInfo { hasNextPage endCursor }
    }
  }
}""",
    cost=502,
)
#: What a copy shows of itself, to set only what differs.
COPY_FACE = Document(
    "CopyFace",
    """query CopyFace($id: ID!) {
  order(id: $id) {
    id note email phone tags
    shippingAddress { firstName lastName address1 address2 city zip countryCodeV2 provinceCode province phone }
  }
}""",
    cost=2,
)
CHANGE_COPY = Document(
    "ChangeCopy",
    """mutation ChangeCopy($input: OrderInput!) {
  orderUpdate(input: $input) { order { id } userErrors { field message } }
}""",
    cost=10,
    writes=True,
)
FULFIL_COPY = Document(
    "FulfilCopy",
    """mutation FulfilCopy($fulfillment: FulfillmentInput!) {
  fulfillmentCreate(fulfillment: $fulfillment) { fulfillment { id status } userErrors { field message } }
}""",
    cost=10,
    writes=True,
)
VARIANT_PRICES = Document(
    "VariantPrices",
    """query VariantPrices($ids: [ID!]!) {
  nodes(ids: $ids) { ... on ProductVariant { id price compareAtPrice product { id status } } }
}""",
    cost=1,
    cost_each=2,
)
SET_PRICES = Document(
    "SetPrices",
    """mutation SetPrices($product: ID!, $variants: [ProductVariantsBulkInput!]!) {
  productVariantsBulkUpdate(productId: $product, variants: $variants) {
    productVariants { id price compareAtPrice }
    userErrors { field message code }
  }
}""",
    cost=10,
    writes=True,
)
REFUND_PIECES = Document(
    "RefundPieces",
    """mutation RefundPieces($input: RefundInput!, $key: String!) {
  refundCreate(input: $input) @idempotent(key: $key) {
    refund { id }
    userErrors { field message }
  }
}""",
    cost=10,
    writes=True,
)

# --- webhooks -----------------------------------------------------------------------------------------------------------

SUBSCRIPTIONS = Document(
    "Subscriptions",
    """query Subscriptions($cursor: String) {
  webhookSubscriptions(first: 100, after: $cursor) {
    nodes { id topic uri filter includeFields }
    pageInfo { hasNextPage endCursor }
  }
}""",
    cost=101,
)
SUBSCRIBE = Document(
    "Subscribe",
    """mutation Subscribe($topic: WebhookSubscriptionTopic!, $uri: String!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: { uri: $uri, format: JSON }) {
    webhookSubscription { id }
    userErrors { field message }
  }
}""",
    cost=10,
    writes=True,
)
UNSUBSCRIBE = Document(
    "Unsubscribe",
    """mutation Unsubscribe($id: ID!) {
  webhookSubscriptionDelete(id: $id) {
    deletedWebhookSubscriptionId
    userErrors { field message }
  }
}""",
    cost=10,
    writes=True,
)

HOLD_WORK = Document(
    "HoldWork",
    """query HoldWork($id: ID!, $cursor: String) {
  part: order(id: $id) {
    id cancelledAt
    fulfillmentOrders(first: 20, after: $cursor) {
      nodes { id status supportedActions { action } fulfillmentHolds { id handle heldByRequestingApp } }
      pageInfo { hasNextPage endCursor }
    }
  }
}""",
    cost=62,
)
HOLD_COPY = Document(
    "HoldCopy",
    """mutation HoldCopy($id: ID!, $hold: FulfillmentOrderHoldInput!) {
  fulfillmentOrderHold(id: $id, fulfillmentHold: $hold) { fulfillmentHold { id } userErrors { code field message } }
}""",
    cost=10,
    writes=True,
)
RELEASE_COPY = Document(
    "ReleaseCopy",
    """mutation ReleaseCopy($id: ID!, $holdIds: [ID!]) {
  fulfillmentOrderReleaseHold(id: $id, holdIds: $holdIds) { fulfillmentOrder { id status } userErrors { code field message } }
}""",
    cost=10,
    writes=True,
)
MOVE_COPY = Document(
    "MoveCopy",
    """mutation MoveCopy($id: ID!, $location: ID!, $items: [FulfillmentOrderLineItemInput!]) {
  fulfillmentOrderMove(id: $id, newLocationId: $location, fulfillmentOrderLineItems: $items) {
    movedFulfillmentOrder { id assignedLocation { location { id } } }
    userErrors { code field message }
  }
}""",
    cost=10,
    writes=True,
)


#: Every document above, so that none escapes the checks against the official schemas.
ALL: tuple[Document, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Document))
