"""Sell Fulfillment: orders, shipments, refunds.

In: a Call that passed the gates. Out: the document that the answer carries, or Refused.
Never: changes stock.
Source: Sell Fulfillment 1.20.6, read 2026-11; contracts sheet ebay 5, 10, 12.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.responses import Response

from . import documents
from .filters import Search, field_groups, search_of
from .formats import instant_of, minor_of
from .orders import Order
from .refused import Refused
from .wire import Call, Operation

if TYPE_CHECKING:
    from .emulator import Ebay

BASE = "/sell/fulfillment/v1"
READ = ("sell.fulfillment", "sell.fulfillment.readonly")
TRACKING = re.compile(r"[A-Za-z0-9]{1,100}")
REFUND_REASONS = frozenset(
    {
        "BUYER_CANCEL", "SELLER_CANCEL", "ITEM_NOT_RECEIVED", "BUYER_RETURN", "ITEM_NOT_AS_DESCRIBED",
        "OTHER_ADJUSTMENT", "SHIPPING_DISCOUNT",
    }
)  # fmt: skip
COMMENT_LENGTH_MAX = 100


class FulfillmentApi:
    def __init__(self, ebay: Ebay) -> None:
        self.ebay = ebay

    def table(self) -> list[Operation]:
        def op(name: str, method: str, path: str, scopes: tuple[str, ...], handler: Any, api: str = "") -> Operation:
            signed = name == "issueRefund"  # it moves money
            return Operation(
                name, method, BASE + path, api or "sell.fulfillment", "user", scopes, handler, signed=signed
            )

        parcels = "/order/{orderId}/shipping_fulfillment"
        refund_api = "sell.fulfillment.issuerefund"
        return [
            op("getOrders", "GET", "/order", READ, self.get_orders),
            op("getOrder", "GET", "/order/{orderId}", READ, self.get_order),
            op("getShippingFulfillments", "GET", parcels, READ, self.get_parcels),
            op("getShippingFulfillment", "GET", parcels + "/{fulfillmentId}", READ, self.get_parcel),
            op("createShippingFulfillment", "POST", parcels, ("sell.fulfillment",), self.create_parcel),
            op("issueRefund", "POST", "/order/{orderId}/issue_refund", ("sell.finances",), self.refund, refund_api),
        ]

    def get_orders(self, call: Call) -> Any:
        query = call.query("filter", "orderIds", "limit", "offset", "fieldGroups")
        search = search_of(query, self.ebay.world.clock.now())
        found = [order for order in self.ebay.order_desk.visible() if _matches(order, search)]
        page = found[search.offset : search.offset + search.limit]
        answer: dict[str, Any] = {
            "href": self._href(query, search.limit, search.offset),
            "total": len(found),
            "limit": search.limit,
            "offset": search.offset,
            "orders": [self._order(order, listed=True, taxes=search.taxes) for order in page],
        }
        if search.offset + search.limit < len(found):
            answer["next"] = self._href(query, search.limit, search.offset + search.limit)
        if search.offset:
            answer["prev"] = self._href(query, search.limit, max(0, search.offset - search.limit))
        return answer

    def get_order(self, call: Call) -> Any:
        taxes = field_groups(call.query("fieldGroups"))
        return self._order(self._find(call), listed=False, taxes=taxes)

    def get_parcels(self, call: Call) -> Any:
        parcels = [documents.fulfillment_document(parcel) for parcel in self._find(call).fulfillments]
        return {"total": len(parcels), "fulfillments": parcels}

    def get_parcel(self, call: Call) -> Any:
        wanted = call.part("fulfillmentId")
        for parcel in self._find(call).fulfillments:
            if parcel.fulfillment_id == wanted:
                return documents.fulfillment_document(parcel)
        raise Refused(32110, wanted)

    def create_parcel(self, call: Call) -> Any:
        order = self._find(call)
        body = call.body("lineItems", "shippedDate", "shippingCarrierCode", "trackingNumber")
        lines = self._shipped_lines(order, body.get("lineItems"))
        carrier, tracking = body.get("shippingCarrierCode"), body.get("trackingNumber")
        if (carrier is None) != (tracking is None):
            raise Refused(32300)
        if tracking is not None and (not isinstance(tracking, str) or not TRACKING.fullmatch(tracking)):
            raise Refused(32300)
        if carrier is not None and (not isinstance(carrier, str) or not carrier.strip()):
            raise Refused(32300)
        repeated = any(tracking and parcel.tracking == tracking for parcel in order.fulfillments)
        if repeated and self.ebay.switches["shipment_dedupe"]:
            raise Refused(34100)
        now = self.ebay.world.clock.now()
        at = now
        if body.get("shippedDate") is not None:
            try:
                at = instant_of(str(body["shippedDate"]))
            except ValueError:
                raise Refused(32500) from None
            if at > now:
                raise Refused(32500)
        if order.payment_status not in ("PAID", "PARTIALLY_REFUNDED") or order.cancel_state == "CANCELED":
            raise Refused(32600)
        fulfillment_id = tracking or "999"
        if not self.ebay.strikes("never_applied", "createShippingFulfillment"):
            fulfillment_id = self.ebay.order_desk.ship(order, lines, carrier=carrier, tracking=tracking, at=at)
        location = f"https://api.ebay.com{BASE}/order/{order.order_id}/shipping_fulfillment/{fulfillment_id}"
        return Response(status_code=201, headers={"location": location})

    def refund(self, call: Call) -> Any:
        order = self.ebay.order_desk.find(call.part("orderId"))
        if order is None:
            raise Refused(34913)
        if not call.raw:
            raise Refused(34902)
        body = call.body("reasonForRefund", "comment", "refundItems", "orderLevelRefundAmount")
        if str(body.get("reasonForRefund")) not in REFUND_REASONS:
            raise Refused(34903)
        if len(str(body.get("comment", ""))) > COMMENT_LENGTH_MAX:
            raise Refused(34921)
        parts = self._refund_parts(order, body)
        if order.paid_at is None:
            raise Refused(34929)
        if any(refund.status == "PENDING" for refund in order.refunds):
            raise Refused(34922)
        left = order.total_minor - order.refunded_minor
        if left == 0:
            raise Refused(34917)
        if sum(minor for _, minor in parts) > left:
            raise Refused(34915)
        refunds = [self.ebay.order_desk.refund(order, minor, line) for line, minor in parts]
        return {"refundId": refunds[0].refund_id, "refundStatus": "PENDING"}

    def _refund_parts(self, order: Order, body: dict[str, Any]) -> list[tuple[str | None, int]]:
        whole, items = body.get("orderLevelRefundAmount"), body.get("refundItems")
        if (whole is None) == (not items):
            raise Refused(34905)
        if whole is not None:
            return [(None, _refund_minor(whole, order.currency))]
        if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
            raise Refused(34905)
        known = {line.line_item_id for line in order.lines}
        parts: list[tuple[str | None, int]] = []
        for each in items:
            if not isinstance(each.get("lineItemId"), str):
                raise Refused(34910)
            if each["lineItemId"] not in known:
                raise Refused(34914)
            parts.append((each["lineItemId"], _refund_minor(each.get("refundAmount"), order.currency)))
        return parts

    def _shipped_lines(self, order: Order, entries: Any) -> dict[str, int]:
        if not isinstance(entries, list) or not entries:
            raise Refused(32600)
        lines: dict[str, int] = {}
        known = {line.line_item_id: line for line in order.lines}
        for entry in entries:
            if not isinstance(entry, dict) or set(entry) - {"lineItemId", "quantity"}:
                raise Refused(32600)
            line_item_id, pieces = entry.get("lineItemId"), entry.get("quantity")
            if not isinstance(line_item_id, str) or line_item_id not in known:
                raise Refused(32200, str(line_item_id)[:40])
            if line_item_id in lines:
                raise Refused(32210)
            if not isinstance(pieces, int) or isinstance(pieces, bool) or pieces < 1:
                raise Refused(32600)
            if order.shipped_units(line_item_id) + pieces > known[line_item_id].quantity:
                raise Refused(32600)
            lines[line_item_id] = pieces
        return lines

    def _order(self, order: Order, *, listed: bool, taxes: bool) -> dict[str, Any]:
        """`listed`: as getOrders shows it, with cancelRequests always empty."""
        requests = [] if listed else self.ebay.cancellations.of(order)
        world = self.ebay.world
        return documents.order_document(
            order, self.ebay.seller, requests, world.clock.now(), self.ebay.wire.day(), taxes=taxes
        )

    def _href(self, query: dict[str, str], limit: int, offset: int) -> str:
        rest = {key: value for key, value in query.items() if key not in ("limit", "offset")}
        return f"https://api.ebay.com{BASE}/order?{urlencode({**rest, 'limit': limit, 'offset': offset})}"

    def _find(self, call: Call) -> Order:
        order = self.ebay.order_desk.find(call.part("orderId"))
        if order is None:
            raise Refused(32100, call.part("orderId")[:40])
        return order


def _matches(order: Order, search: Search) -> bool:
    if search.order_ids:
        return order.order_id in search.order_ids or order.legacy_order_id in search.order_ids
    for span, at in ((search.created, order.created_at), (search.modified, order.modified_at)):
        # what the wire shows has milliseconds, and the ends are inclusive
        shown = at.replace(microsecond=at.microsecond // 1000 * 1000)
        if span and (shown < span[0] or (span[1] is not None and shown > span[1])):
            return False
    return search.statuses is None or order.status() in search.statuses


def _refund_minor(value: Any, currency: str) -> int:
    if not isinstance(value, dict) or value.get("currency") != currency:
        raise Refused(34909)
    try:
        minor = minor_of(value.get("value"), currency)
    except ValueError:
        raise Refused(34907) from None
    if minor <= 0:
        raise Refused(34907)
    return minor
