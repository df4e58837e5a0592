"""Orders API 2026-01-01: searchOrders, getOrder, and cancelOrder behind a switch.

Searching lags two minutes behind; what an order shows depends on includedData, its status and the application's roles.
Source: Amazon model orders_2026-01-01; page orders-api-migration-guide; page access-orders-pii; read 2026-11.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .book import CANCELLED, PARTIALLY_SHIPPED, PENDING, SHIPPED, UNSHIPPED, Item, Order
from .limits import MARKETPLACES, ORDERS
from .wire import DENIED, Refusal, json_object, listed, money, number, one, operation, parse_instant, stamp

if TYPE_CHECKING:
    from .marketplace import Amazon

DATA_SETS = frozenset(
    {
        "BUYER",
        "RECIPIENT",
        "PROCEEDS",
        "EXPENSE",
        "PROMOTION",
        "CANCELLATION",
        "FULFILLMENT",
        "PACKAGES",
        "TAX",
        "PAYMENT",
        "FULFILLMENT_ORDERS",
    }
)
STATUSES = frozenset(
    {"PENDING_AVAILABILITY", PENDING, UNSHIPPED, PARTIALLY_SHIPPED, SHIPPED, CANCELLED, "UNFULFILLABLE"}
)
#: Orders are visible to a search this long after their change, seconds (shortened by the clock factor).
LAG_S = 120.0
TOKEN_LIFE_S = 86_400.0
ORDER_ID = re.compile(r"^\d{3}-\d{7}-\d{7}$")
#: Reasons of cancelOrder, and what the order acknowledgement feed calls them.
CANCEL_CODES = {
    "NO_INVENTORY": "NoInventory",
    "BUYER_CANCELLED": "BuyerCanceled",
    "SHIPPING_ADDRESS_UNDELIVERABLE": "ShippingAddressUndeliverable",
    "CUSTOMER_EXCHANGE": "CustomerExchange",
    "PRICING_ERROR": "GeneralAdjustment",
}


@dataclass
class _Page:
    """What a pagination token stands for."""

    asked: str
    before: datetime
    start: int
    ids: list[str]  # the ids of the whole result, in order; empty if pages are computed anew (switch `paging`)
    dies_at: datetime


class OrdersApi:
    """Reading orders."""

    def __init__(self, amazon: Amazon) -> None:
        self.amazon = amazon
        self._rng = amazon.world.rng("amazon:pages")
        self._pages: dict[str, _Page] = {}

    def routes(self) -> list[Route]:
        return [
            Route(ORDERS, operation(self.amazon, "searchOrders", self.search), methods=["GET"]),
            Route(ORDERS + "/{order_id}", operation(self.amazon, "getOrder", self.get), methods=["GET"]),
            Route(
                ORDERS + "/{order_id}/cancellation",
                operation(self.amazon, "cancelOrder", self.cancel),
                methods=["PUT"],
            ),
        ]

    def find(self, order_id: str) -> Order:
        """Return the order of this id. Raises Refusal (400, 404)."""
        if not ORDER_ID.match(order_id):
            raise Refusal(400, f"OrderId: {order_id} is invalid, should be in 3-7-7 format.")
        order = self.amazon.book.orders.get(order_id)
        delay = self.amazon.world.clock.shortened(float(str(self.amazon.switches["get_order_lag_s"])))
        if order is None or order.created_at > self.amazon.world.clock.now() - timedelta(seconds=delay):
            raise Refusal(404, "The resource you requested doesn't exist.", order_id)
        return order

    async def get(self, request: Request) -> Response:
        order = self.find(request.path_params["order_id"])
        return JSONResponse({"order": self.render(order, self._data_sets(request))})

    async def cancel(self, request: Request) -> Response:
        """Answer cancelOrder: whole orders only. Came and went in Amazon's model, hence behind a switch."""
        if not self.amazon.switches["cancel_order_call"]:
            raise Refusal(403, DENIED)
        order = self.find(request.path_params["order_id"])
        body = await json_object(request)
        reason = CANCEL_CODES.get(str(body.get("cancelReasonCode")))
        if reason is None:
            raise Refusal(400, "Invalid Input", f"cancelReasonCode must be one of {', '.join(CANCEL_CODES)}")
        if order.by_amazon or order.status != UNSHIPPED:
            raise Refusal(400, "Invalid Input", f"the order cannot be cancelled in state {order.status}")
        self.amazon.book.cancel(order, "MERCHANT", reason, gives_back=reason != "NoInventory")
        return JSONResponse({}, 202)

    # Searching

    async def search(self, request: Request) -> Response:
        now = self.amazon.world.clock.now()
        by, after, before = self._window(request, now)
        parts = self._data_sets(request)
        size = number(request, "maxResultsPerPage", 100, 1, 100)
        asked = str(sorted((name, value) for name, value in request.query_params.items() if name != "paginationToken"))
        page = self._page(one(request, "paginationToken"), asked, now)
        if page:
            before = page.before
        found = self._found(request, by, after, before, now)
        if page and page.ids:
            by_id = {order.order_id: order for order in found}
            # On later pages an order of the result is shown as it stands by then, even if it left the window.
            found = [by_id.get(order_id) or self.amazon.book.orders[order_id] for order_id in page.ids]
        start = page.start if page else 0
        answer: dict[str, Any] = {"orders": [self.render(order, parts) for order in found[start : start + size]]}
        if start + size < len(found):
            kept = [order.order_id for order in found] if self.amazon.switches["paging"] == "snapshot" else []
            answer["pagination"] = {"nextToken": self._token(_Page(asked, before, start + size, kept, now), now)}
        answer["lastUpdatedBefore" if by == "lastUpdated" else "createdBefore"] = stamp(before)
        return JSONResponse(answer)

    def _window(self, request: Request, now: datetime) -> tuple[str, datetime, datetime]:
        given = {name: one(request, name) for name in ("createdAfter", "createdBefore", "lastUpdatedAfter",
                                                       "lastUpdatedBefore")}  # fmt: skip
        if (given["createdAfter"] is None) == (given["lastUpdatedAfter"] is None):
            raise Refusal(400, "Invalid Input", "exactly one of createdAfter and lastUpdatedAfter is required")
        by = "created" if given["createdAfter"] is not None else "lastUpdated"
        other = "lastUpdated" if by == "created" else "created"
        if given[f"{other}Before"] is not None:
            raise Refusal(400, "Invalid Input", f"{other}Before does not go with {by}After")
        after = parse_instant(str(given[f"{by}After"]), f"{by}After")
        newest = now - timedelta(seconds=self.amazon.world.clock.shortened(LAG_S))
        text = given[f"{by}Before"]
        before = parse_instant(text, f"{by}Before") if text is not None else newest
        if before > newest:
            raise Refusal(400, "Invalid Input", f"{by}Before must be at least two minutes before the request")
        if text is not None and before < after:
            raise Refusal(400, "Invalid Input", f"{by}Before lies before {by}After")
        return by, after, before

    def _page(self, token: str | None, asked: str, now: datetime) -> _Page | None:
        if token is None:
            return None
        page = self._pages.get(token)
        if page is None or page.dies_at <= now:
            raise Refusal(400, "Invalid Input", "paginationToken is unknown or expired")
        if page.asked != asked:
            raise Refusal(400, "Invalid Input", "the other parameters must be those of the first request")
        return page

    def _token(self, page: _Page, now: datetime) -> str:
        page.dies_at = now + timedelta(seconds=self.amazon.world.clock.shortened(TOKEN_LIFE_S))
        token = f"{self._rng.getrandbits(160):040x}"
        self._pages[token] = page
        while len(self._pages) > 1_000:
            self._pages.pop(next(iter(self._pages)))
        return token

    def _found(self, request: Request, by: str, after: datetime, before: datetime, now: datetime) -> list[Order]:
        statuses = listed(request, "fulfillmentStatuses", allowed=STATUSES)
        parties = listed(request, "fulfilledBy", allowed=("MERCHANT", "AMAZON"))
        places = listed(request, "marketplaceIds", most=50)
        for place in places or []:
            if place not in MARKETPLACES:
                raise Refusal(400, "Invalid Input", f"'{place}' is not a marketplace id")
            if place not in self.amazon.marketplace_ids:
                raise Refusal(403, DENIED, f"the seller does not sell in {place}")
        visible_at = now - timedelta(seconds=self.amazon.world.clock.shortened(LAG_S))
        found: list[tuple[datetime, str, Order]] = []
        for latest in self.amazon.book.orders.values():
            if not latest.listed or (by == "lastUpdated" and latest.updated_at < after):
                continue
            order = latest.as_of(visible_at)
            if order is None:
                continue
            instant = order.created_at if by == "created" else order.updated_at
            if not after <= instant <= before:
                continue
            party = "AMAZON" if order.by_amazon else "MERCHANT"
            wanted = ((statuses, order.status), (places, order.marketplace.id), (parties, party))
            if all(allowed is None or value in allowed for allowed, value in wanted):
                found.append((instant, order.order_id, order))
        return [order for _, _, order in sorted(found, key=lambda each: each[:2])]

    def _data_sets(self, request: Request) -> frozenset[str]:
        return frozenset(listed(request, "includedData", allowed=DATA_SETS) or [])

    # Rendering

    def render(self, order: Order, parts: frozenset[str]) -> dict[str, Any]:
        """Return the Order document with the data sets asked for."""
        document: dict[str, Any] = {
            "orderId": order.order_id,
            "createdTime": stamp(order.created_at),
            "lastUpdatedTime": stamp(order.updated_at),
            "salesChannel": {
                "channelName": "NON_AMAZON" if order.elsewhere else "AMAZON",
                "marketplaceId": order.marketplace.id,
                "marketplaceName": order.marketplace.name,
            },
            "orderItems": [self._item(order, item, parts) for item in order.items],
        }
        if order.business:
            document["programs"] = ["AMAZON_BUSINESS"]
        if order.seller_order_id:
            document["orderAliases"] = [{"aliasId": order.seller_order_id, "aliasType": "SELLER_ORDER_ID"}]
        if order.replaces:
            document["associatedOrders"] = [{"orderId": order.replaces, "associationType": "REPLACEMENT_ORIGINAL_ID"}]
        blocks = {
            "BUYER": ("buyer", self._buyer(order)),
            "RECIPIENT": ("recipient", self._recipient(order)),
            "PROCEEDS": ("proceeds", self._proceeds(order)),
            "FULFILLMENT": ("fulfillment", _fulfillment(order)),
            "PACKAGES": ("packages", None if order.by_amazon else _packages(order)),
            "PAYMENT": ("payment", self._payment(order)),
        }
        for part, (name, block) in blocks.items():
            if part in parts and block:
                document[name] = block
        return document

    def _shows_money(self, order: Order) -> bool:
        return order.status != PENDING or bool(self.amazon.switches["price_on_pending"])

    def _has_role(self, role: str) -> bool:
        return role in self.amazon.roles

    def _buyer(self, order: Order) -> dict[str, Any]:
        buyer: dict[str, Any] = {}
        ready = order.status in (UNSHIPPED, PARTIALLY_SHIPPED, SHIPPED)
        if ready and not order.by_amazon and self._has_role("direct-to-consumer-shipping"):
            buyer["buyerEmail"] = order.relay_email
        if order.status != PENDING and self._has_role("tax-invoicing"):
            buyer["buyerName"] = order.buyer.name
        if order.business and order.status != PENDING:
            buyer["buyerCompanyName"], buyer["buyerPurchaseOrderNumber"] = order.business
        return buyer

    def _recipient(self, order: Order) -> dict[str, Any] | None:
        if order.status in (PENDING, CANCELLED):
            return None
        home = order.buyer.address
        address: dict[str, Any] = {"city": home.city, "stateOrRegion": home.region, "countryCode": home.country}
        if self._has_role("direct-to-consumer-shipping"):
            address |= {"name": home.name, "addressLine1": home.line1, "postalCode": home.postal_code}
            address["addressType"] = "RESIDENTIAL"
            if home.line2:
                address["addressLine2"] = home.line2
            late = order.status == SHIPPED and self.amazon.world.clock.now() > order.deliver_by[1]
            if home.phone and not order.by_amazon and not late:
                address["phone"] = home.phone
        return {"deliveryAddress": address}

    def _proceeds(self, order: Order) -> dict[str, Any] | None:
        if not self._shows_money(order):
            return None
        currency = order.marketplace.currency
        sums: dict[str, int] = {}
        for item in order.items:
            for kind, minor in _breakdown(item).items():
                sums[kind] = sums.get(kind, 0) + minor
        return {
            "grandTotal": money(sum(sums.values()), currency),
            "breakdowns": [{"type": kind, "subtotal": money(minor, currency)} for kind, minor in sums.items()],
        }

    def _payment(self, order: Order) -> dict[str, Any] | None:
        if order.status in (PENDING, CANCELLED):
            return None
        total = sum(sum(_breakdown(item).values()) for item in order.items)
        amount = money(total, order.marketplace.currency)
        return {"paymentExecutions": [{"paymentMethod": "CreditCard", "paymentAmount": amount}]}

    def _item(self, order: Order, item: Item, parts: frozenset[str]) -> dict[str, Any]:
        product: dict[str, Any] = {
            "asin": item.asin,
            "title": item.title,
            "sellerSku": item.sku,
            "condition": {"conditionType": "NEW", "conditionSubtype": "NEW"},
        }
        if self._shows_money(order):
            product["price"] = {"unitPrice": money(item.unit_minor, order.marketplace.currency)}
        document: dict[str, Any] = {
            "orderItemId": item.order_item_id,
            "quantityOrdered": item.quantity,
            "product": product,
        }
        if "PROCEEDS" in parts and self._shows_money(order):
            document["proceeds"] = _item_proceeds(item, order.marketplace.currency)
        if "FULFILLMENT" in parts:
            document["fulfillment"] = {
                "quantityFulfilled": item.shipped,
                "quantityUnfulfilled": item.open_pieces,
            }
            if item.gift and self._shows_money(order) and not order.by_amazon:
                gift = {"giftWrapLevel": "STANDARD"}
                if self._has_role("direct-to-consumer-shipping"):  # the words are personal data
                    gift["giftMessage"] = "Happy birthday!"
                document["fulfillment"]["packing"] = {"giftOption": gift}
        if "CANCELLATION" in parts and (item.cancel_requested or item.cancelled_by):
            document["cancellation"] = _cancellation(item)
        if "PROMOTION" in parts and item.discount_minor:
            document["promotion"] = {"breakdowns": [{"promotionId": "EMULATOR-10-PERCENT"}]}
        if "TAX" in parts and item.tax_minor:
            collection = {"model": "MARKETPLACE_FACILITATOR", "responsibleParty": "Amazon Services, Inc."}
            document["tax"] = {"taxCollections": [collection]}
        return document


def _breakdown(item: Item) -> dict[str, int]:
    """Return the proceeds of a line by type. A discount is negative, so that the sum is what is paid."""
    sums = {"ITEM": item.unit_minor * item.quantity}
    if item.shipping_minor:
        sums["SHIPPING"] = item.shipping_minor
    if item.discount_minor:
        sums["DISCOUNT"] = -item.discount_minor
    if item.tax_minor or item.shipping_tax_minor:
        sums["TAX"] = item.tax_minor + item.shipping_tax_minor
    return sums


def _item_proceeds(item: Item, currency: str) -> dict[str, Any]:
    sums = _breakdown(item)
    breakdowns: list[dict[str, Any]] = []
    for kind, minor in sums.items():
        entry: dict[str, Any] = {"type": kind, "subtotal": money(minor, currency)}
        if kind == "TAX":
            parts = {"ITEM": item.tax_minor, "SHIPPING": item.shipping_tax_minor}
            entry["detailedBreakdowns"] = [
                {"subtype": name, "value": money(part, currency)} for name, part in parts.items() if part
            ]
        if kind == "DISCOUNT":
            entry["detailedBreakdowns"] = [{"subtype": "ITEM", "value": money(minor, currency)}]
        breakdowns.append(entry)
    return {"proceedsTotal": money(sum(sums.values()), currency), "breakdowns": breakdowns}


def _fulfillment(order: Order) -> dict[str, Any]:
    def window(pair: tuple[datetime, datetime]) -> dict[str, str]:
        return {"earliestDateTime": stamp(pair[0]), "latestDateTime": stamp(pair[1])}

    return {
        "fulfillmentStatus": order.status,
        "fulfilledBy": "AMAZON" if order.by_amazon else "MERCHANT",
        "fulfillmentServiceLevel": "STANDARD",
        "shipByWindow": window(order.ship_by),
        "deliverByWindow": window(order.deliver_by),
    }


def _cancellation(item: Item) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if item.cancel_requested:
        found["cancellationRequest"] = {"requester": "BUYER", "cancelReason": item.cancel_requested}
    if item.cancelled_by:
        found["cancellationExecution"] = {"cancelledBy": item.cancelled_by, "cancelReason": item.cancel_reason or ""}
    return found


def _packages(order: Order) -> list[dict[str, Any]]:
    return [
        {
            "packageReferenceId": package.reference,
            "createdTime": stamp(package.created_at),
            "packageStatus": {"status": "SHIPPED"},
            "carrier": package.carrier,
            "shipTime": stamp(package.shipped_at),
            "shippingService": package.service,
            "trackingNumber": package.tracking,
            "packageItems": [{"orderItemId": key, "quantity": pieces} for key, pieces in package.pieces.items()],
        }
        for package in order.packages.values()
    ]
