"""Orders API v0: confirmShipment, the one v0 call that has no successor.

Source: Amazon model ordersV0 (ConfirmShipmentRequest); page confirm-the-shipment-status; threads
amzn/selling-partner-api-models#5094 (the reference is a string), #5037; jlevers/selling-partner-api#489, #528; read
2026-11.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .book import PARTIALLY_SHIPPED, SHIPPED, UNSHIPPED, Order, Package
from .wire import Refusal, json_object, operation, parse_instant

if TYPE_CHECKING:
    from .marketplace import Amazon

PATH = "/orders/v0/orders/{order_id}/shipmentConfirmation"
BAD_REFERENCE = "PackageReferenceId: is invalid, must be a positive numeric value."
BAD_ITEM = "OrderItemId {} is invalid, please obtain the value through the getOrderItems API or Manage Orders page"
NO_PACKAGE = "Failed to create package due to not finding a matching package or order already fulfilled"


class ShipmentsApi:
    """Confirms parcels. The same reference edits the earlier parcel."""

    def __init__(self, amazon: Amazon) -> None:
        self.amazon = amazon

    def routes(self) -> list[Route]:
        return [Route(PATH, operation(self.amazon, "confirmShipment", self.confirm), methods=["POST"])]

    async def confirm(self, request: Request) -> Response:
        order = self.amazon.orders_api.find(request.path_params["order_id"])
        body = await json_object(request)
        package = self._package(body, order)
        if order.by_amazon:
            raise Refusal(400, "The order is fulfilled by Amazon.")
        if order.status not in (UNSHIPPED, PARTIALLY_SHIPPED, SHIPPED):
            raise Refusal(400, NO_PACKAGE, f"the order is {order.status}")
        self._check_pieces(order, package)
        self.amazon.book.confirm(order, package)
        return Response(status_code=204)

    def _package(self, body: dict[str, Any], order: Order) -> Package:
        detail = body.get("packageDetail")
        if not isinstance(detail, dict):
            raise Refusal(400, "Please check the fields with invalid type [packageDetail]")
        if body.get("marketplaceId") != order.marketplace.id:
            raise Refusal(400, "MarketplaceId is invalid", f"the order was placed in {order.marketplace.id}")
        reference = detail.get("packageReferenceId")
        if not isinstance(reference, str) or not (reference.isascii() and reference.isdigit() and int(reference) > 0):
            raise Refusal(400, BAD_REFERENCE)
        texts = {name: detail.get(name) for name in ("carrierCode", "trackingNumber", "shipDate")}
        wrong = [name for name, value in texts.items() if not isinstance(value, str) or not value]
        wrong += [name for name in ("carrierName", "shippingMethod") if not isinstance(detail.get(name, ""), str)]
        if wrong:
            raise Refusal(400, f"Please check the fields with invalid type [{', '.join(wrong)}]")
        if detail["carrierCode"] == "Other" and not detail.get("carrierName"):
            raise Refusal(400, "carrierName is required when carrierCode is Other")
        if "codCollectionMethod" in body and (
            body["codCollectionMethod"] != "DirectPayment" or order.marketplace.country != "JP"
        ):
            raise Refusal(400, "codCollectionMethod is invalid")
        return Package(
            reference=reference,
            carrier=detail.get("carrierName") or detail["carrierCode"],
            service=detail.get("shippingMethod", ""),
            tracking=detail["trackingNumber"],
            shipped_at=_ship_date(detail["shipDate"]),
            created_at=self.amazon.world.clock.now(),
            pieces=_pieces(detail.get("orderItems"), order),
        )

    def _check_pieces(self, order: Order, package: Package) -> None:
        earlier = order.packages.get(package.reference)
        for order_item_id, pieces in package.pieces.items():
            item = order.item(order_item_id)
            assert item
            room = item.open_pieces + (earlier.pieces.get(order_item_id, 0) if earlier else 0)
            if pieces > room:
                raise Refusal(400, NO_PACKAGE, f"item {order_item_id} has {room} pieces to ship, not {pieces}")


def _ship_date(text: str) -> datetime:
    try:
        return parse_instant(text, "shipDate")
    except Refusal:
        raise Refusal(400, "Invalid Input", code="Invalid Input") from None


def _pieces(entries: Any, order: Order) -> dict[str, int]:
    if not isinstance(entries, list) or not entries:
        raise Refusal(400, "Please check the fields with invalid type [orderItems]")
    pieces: dict[str, int] = {}
    for entry in entries:
        key = entry.get("orderItemId") if isinstance(entry, dict) else None
        quantity = entry.get("quantity") if isinstance(entry, dict) else None
        if not isinstance(key, str) or order.item(key) is None:
            raise Refusal(400, BAD_ITEM.format(key))
        if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 1:
            raise Refusal(400, "Please check the fields with invalid type [quantity]")
        pieces[key] = pieces.get(key, 0) + quantity
    return pieces
