"""Notifications API v1: destinations, subscriptions, and the messages that go into the seller's queue.

Delivery is at least once, unordered and sometimes absent: the courier's faults apply.
Listing notices go to EventBridge, which here has a rule that sends them on to the same queue.
Source: Amazon model notifications; schemas under schemas/notifications; pages notifications-api-v1-use-case-guide and
set-up-notifications-with-amazon-eventbridge; thread amzn/selling-partner-api-models#1441 (FIFO queues get nothing); read 2026-11.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..courier import Parcel
from .book import CANCELLED, PARTIALLY_SHIPPED, PENDING, SHIPPED, UNSHIPPED, Order
from .shelf import MERCHANT, Listing
from .wire import Refusal, json_object, one, operation, stamp

if TYPE_CHECKING:
    from .marketplace import Amazon

#: Puts one message into a queue: (queue ARN, body). Raises if the queue cannot be reached.
SendMessage = Callable[[str, str], Awaitable[None]]

ARN = re.compile(r"^arn:aws:sqs:\S+:\S+:\S+")
#: Payload versions by type, and the transport that carries it.
TYPES = {
    "ORDER_CHANGE": ("1.0", "sqs"),
    "FEED_PROCESSING_FINISHED": ("2020-09-04", "sqs"),
    "REPORT_PROCESSING_FINISHED": ("2020-09-04", "sqs"),
    "LISTINGS_ITEM_STATUS_CHANGE": ("1.0", "eventBridge"),
    "LISTINGS_ITEM_ISSUES_CHANGE": ("2023-12-13", "eventBridge"),
    "LISTINGS_ITEM_MFN_QUANTITY_CHANGE": ("1.0", "eventBridge"),
}
CHANGE_TYPES = frozenset({"BuyerRequestedChange", "DeliveryTipChange", "OrderStatusChange"})
V0_STATUS = {
    PENDING: "Pending",
    UNSHIPPED: "Unshipped",
    PARTIALLY_SHIPPED: "PartiallyShipped",
    SHIPPED: "Shipped",
    CANCELLED: "Canceled",
}
#: Where the seller's EventBridge rule sends events while no queue is known.
RULE_TARGET = "arn:aws:sqs:us-east-1:123456789012:events"
#: Amazon's own retries towards a queue, seconds.
LADDER_S = (5.0, 30.0, 120.0, 600.0)


class NotificationsApi:
    """Who wants to hear what, and telling them."""

    def __init__(self, amazon: Amazon) -> None:
        self.amazon = amazon
        self._rng = amazon.world.rng("amazon:notifications")
        self.destinations: dict[str, dict[str, Any]] = {}
        self.subscriptions: dict[str, dict[str, dict[str, Any]]] = {}  # type → id → document

    def routes(self) -> list[Route]:
        def route(path: str, method: str, name: str, handler: Any, grant: str) -> Route:
            endpoint = operation(self.amazon, name, handler, grant)
            return Route("/notifications/v1" + path, endpoint, methods=[method])

        grantless, seller = "notifications", "seller"
        return [
            route("/destinations", "GET", "getDestinations", self.get_destinations, grantless),
            route("/destinations", "POST", "createDestination", self.create_destination, grantless),
            route("/destinations/{id}", "GET", "getDestination", self.get_destination, grantless),
            route("/destinations/{id}", "DELETE", "deleteDestination", self.delete_destination, grantless),
            route("/subscriptions/{type}", "GET", "getSubscription", self.get_subscription, seller),
            route("/subscriptions/{type}", "POST", "createSubscription", self.create_subscription, seller),
            route("/subscriptions/{type}/{id}", "GET", "getSubscriptionById", self.get_by_id, grantless),
            route("/subscriptions/{type}/{id}", "DELETE", "deleteSubscriptionById", self.delete_by_id, grantless),
        ]

    def _id(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    # Destinations

    async def get_destinations(self, request: Request) -> Response:
        return JSONResponse({"payload": list(self.destinations.values())})

    async def create_destination(self, request: Request) -> Response:
        body = await json_object(request)
        name, wanted = body.get("name"), body.get("resourceSpecification")
        if not isinstance(name, str) or not 1 <= len(name) <= 256:
            raise Refusal(400, "Invalid Input", "name is required, with at most 256 characters")
        resource = _resource(wanted)
        for known in self.destinations.values():
            if known["resource"] == resource or known["name"] == name:
                raise Refusal(409, "A destination with this name or resource exists already.")
        key = self._id()
        document = {"destinationId": key, "name": name, "resource": resource}
        self.destinations[key] = document
        return JSONResponse({"payload": document})

    def _destination(self, request: Request) -> dict[str, Any]:
        document = self.destinations.get(request.path_params["id"])
        if document is None:
            raise Refusal(404, "The destination does not exist.")
        return document

    async def get_destination(self, request: Request) -> Response:
        return JSONResponse({"payload": self._destination(request)})

    async def delete_destination(self, request: Request) -> Response:
        document = self._destination(request)
        if any(sub["destinationId"] == document["destinationId"] for sub in self._all_subscriptions()):
            raise Refusal(409, "The destination has subscriptions.")
        del self.destinations[document["destinationId"]]
        return JSONResponse({})

    # Subscriptions

    def _all_subscriptions(self) -> list[dict[str, Any]]:
        return [each for by_id in self.subscriptions.values() for each in by_id.values()]

    def _type(self, request: Request) -> str:
        kind: str = request.path_params["type"]
        if kind not in TYPES:
            raise Refusal(400, "Invalid Input", f"{kind} is not a notification type")
        return kind

    async def create_subscription(self, request: Request) -> Response:
        kind, body = self._type(request), await json_object(request)
        version, transport = TYPES[kind]
        if body.get("payloadVersion") != version:
            raise Refusal(400, "Invalid Input", f"payloadVersion of {kind} is {version}")
        destination = self.destinations.get(str(body.get("destinationId")))
        if destination is None:
            raise Refusal(400, "Invalid Input", "destinationId is unknown")
        if transport not in destination["resource"]:
            raise Refusal(400, "Invalid Input", f"{kind} is delivered by {transport} only")
        directive = body.get("processingDirective")
        _check_directive(kind, directive)
        for known in self.subscriptions.get(kind, {}).values():
            if known.get("processingDirective") == directive:
                raise Refusal(409, f"A subscription to {kind} exists already.")
        document = {"subscriptionId": self._id(), "payloadVersion": version, "destinationId": body["destinationId"]}
        if directive is not None:
            document["processingDirective"] = directive
        self.subscriptions.setdefault(kind, {})[document["subscriptionId"]] = document
        return JSONResponse({"payload": document})

    async def get_subscription(self, request: Request) -> Response:
        kind, version = self._type(request), one(request, "payloadVersion")
        for document in self.subscriptions.get(kind, {}).values():
            if version in (None, document["payloadVersion"]):
                return JSONResponse({"payload": document})
        raise Refusal(404, f"There is no subscription to {kind}.")

    def _by_id(self, request: Request) -> tuple[str, dict[str, Any]]:
        kind = self._type(request)
        document = self.subscriptions.get(kind, {}).get(request.path_params["id"])
        if document is None:
            raise Refusal(404, "The subscription does not exist.")
        return kind, document

    async def get_by_id(self, request: Request) -> Response:
        return JSONResponse({"payload": self._by_id(request)[1]})

    async def delete_by_id(self, request: Request) -> Response:
        kind, document = self._by_id(request)
        del self.subscriptions[kind][document["subscriptionId"]]
        return JSONResponse({})

    # Messages

    def order_changed(self, order: Order, change_type: str, reason: str) -> None:
        """Send ORDER_CHANGE as the order stands now."""
        payload = {"OrderChangeNotification": self._order_change(order, change_type, reason)}
        for subscription in self.subscriptions.get("ORDER_CHANGE", {}).values():
            directive = subscription.get("processingDirective") or {}
            wanted = (directive.get("eventFilter") or {}).get("orderChangeTypes")
            if wanted is None or change_type in wanted:
                self._send("ORDER_CHANGE", subscription, _pascal("ORDER_CHANGE", payload))

    def feed_finished(self, feed: dict[str, Any]) -> None:
        """Send FEED_PROCESSING_FINISHED for a feed document."""
        content = {
            "sellerId": self.amazon.seller_id,
            "accountId": f"amzn1.merchant.o.{self.amazon.seller_id}",
            "feedId": feed["feedId"],
            "feedType": feed["feedType"],
            "processingStatus": feed["processingStatus"],
        }
        if "resultFeedDocumentId" in feed:
            content["resultFeedDocumentId"] = feed["resultFeedDocumentId"]
        self._tell("FEED_PROCESSING_FINISHED", {"feedProcessingFinishedNotification": content}, _camel)

    def report_finished(self, report: dict[str, Any]) -> None:
        """Send REPORT_PROCESSING_FINISHED for a report."""
        content = {
            "sellerId": self.amazon.seller_id,
            "accountId": f"amzn1.merchant.o.{self.amazon.seller_id}",
            **{name: report[name] for name in ("reportId", "reportType", "processingStatus")},
        }
        if "reportDocumentId" in report:
            content["reportDocumentId"] = report["reportDocumentId"]
        self._tell("REPORT_PROCESSING_FINISHED", {"reportProcessingFinishedNotification": content}, _camel)

    def quantity_changed(self, listing: Listing) -> None:
        """Send LISTINGS_ITEM_MFN_QUANTITY_CHANGE: on every change of the available quantity, a sale as a submission."""
        payload = {
            "SellerId": self.amazon.seller_id,
            "FulfillmentChannelCode": MERCHANT,
            "Sku": listing.sku,
            "Quantity": listing.live[MERCHANT],
        }
        self._tell("LISTINGS_ITEM_MFN_QUANTITY_CHANGE", payload, _pascal)
        last_two = [quantity for _, quantity in list(listing.history)[-2:]]
        if len(last_two) < 2 or (last_two[0] > 0) is not (last_two[1] > 0):
            self.status_changed(listing)

    def status_changed(self, listing: Listing, *, deleted: bool = False) -> None:
        """Send LISTINGS_ITEM_STATUS_CHANGE, one a marketplace; the type's name as the subscription and Amazon's example have it."""
        for where in listing.attributes:
            payload = {
                "SellerId": self.amazon.seller_id,
                "MarketplaceId": where,
                "Sku": listing.sku,
                "CreatedDate": stamp(listing.created_at),
                "Status": ["DELETED"] if deleted else self.amazon.listings_api.status_of(listing, where),
            }
            if listing.asin:
                payload["Asin"] = listing.asin
            self._tell("LISTINGS_ITEM_STATUS_CHANGE", payload, _pascal)

    def _tell(self, kind: str, payload: dict[str, Any], spelt: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
        for subscription in self.subscriptions.get(kind, {}).values():
            self._send(kind, subscription, spelt(kind, payload))

    def _send(self, kind: str, subscription: dict[str, Any], message: dict[str, Any]) -> None:
        world = self.amazon.world
        resource = self.destinations[subscription["destinationId"]]["resource"]
        bus = resource.get("eventBridge")
        # The seller's own AWS account: a rule on the partner's bus sends each event on to the queue.
        arn = self.amazon.queue.get("queue_arn", RULE_TARGET) if bus else resource["sqs"]["arn"]
        if arn.endswith(".fifo") or (bus and not self.amazon.switches["bus_rule"]):
            return  # a FIFO queue silently gets nothing
        now, low_high = stamp(world.clock.now()), self.amazon.switches["notify_s"]
        camel = "notificationType" in message
        message["eventTime" if camel else "EventTime"] = now
        metadata = {
            "ApplicationId": self.amazon.application_id,
            "SubscriptionId": subscription["subscriptionId"],
            "PublishTime": now,
            "NotificationId": self._id(),
        }
        if camel:
            metadata = {name[0].lower() + name[1:]: value for name, value in metadata.items()}
        message["notificationMetadata" if camel else "NotificationMetadata"] = metadata
        body = json.dumps(self._event(kind, bus, message, now) if bus else message).encode()
        parcel = Parcel("amazon", kind, arn, {}, body, ladder=LADDER_S, carry=self._carry)
        world.courier.send(parcel, self._rng.uniform(*low_high))

    def _event(self, kind: str, bus: dict[str, Any], message: dict[str, Any], now: str) -> dict[str, Any]:
        """Wrap a notification as EventBridge does. Source: AWS page "Events in Amazon EventBridge" (event structure), read 2026-11."""
        return {
            "version": "0",
            "id": self._id(),
            "detail-type": kind,
            "source": bus["name"],
            "account": bus["accountId"],
            "time": now[:19] + "Z",
            "region": bus["region"],
            "resources": [],
            "detail": message,
        }

    async def _carry(self, url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> int:
        await self.amazon.send_message(url, body.decode())
        return 200

    def _order_change(self, order: Order, change_type: str, reason: str) -> dict[str, Any]:
        shipped = sum(item.shipped for item in order.items)
        paid = order.status in (UNSHIPPED, PARTIALLY_SHIPPED, SHIPPED)
        return {
            "NotificationLevel": "OrderLevel",
            "SellerId": self.amazon.seller_id,
            "AmazonOrderId": order.order_id,
            "OrderChangeType": change_type,
            "OrderChangeTrigger": {"TimeOfOrderChange": stamp(order.updated_at), "ChangeReason": reason},
            "Summary": {
                "MarketplaceId": order.marketplace.id,
                "OrderStatus": V0_STATUS[order.status],
                "PurchaseDate": stamp(order.created_at),
                "DestinationPostalCode": order.buyer.address.postal_code if paid else None,
                "FulfillmentType": "AFN" if order.by_amazon else "MFN",
                "OrderType": "StandardOrder",
                "NumberOfItemsShipped": shipped,
                "NumberOfItemsUnshipped": sum(item.open_pieces for item in order.items),
                "EarliestShipDate": stamp(order.ship_by[0]),
                "LatestShipDate": stamp(order.ship_by[1]),
                "EarliestDeliveryDate": stamp(order.deliver_by[0]),
                "LatestDeliveryDate": stamp(order.deliver_by[1]),
                "OrderPrograms": ["Replacement"] if order.replaces else [],
                "ShippingPrograms": [],
                "OrderItems": [
                    {
                        "OrderItemId": item.order_item_id,
                        "SellerSKU": item.sku,
                        "SupplySourceId": None,
                        "OrderItemStatus": "Shipped" if item.shipped == item.quantity else "Unshipped",
                        "Quantity": item.quantity,
                        "QuantityShipped": item.shipped,
                        "IsBuyerRequestedCancel": item.cancel_requested is not None,
                    }
                    for item in order.items
                ],
            },
        }


def _pascal(kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    version = TYPES[kind][0]
    return {"NotificationVersion": "1.0", "NotificationType": kind, "PayloadVersion": version, "Payload": payload}


def _camel(kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    version = TYPES[kind][0]
    return {"notificationVersion": version, "notificationType": kind, "payloadVersion": version, "payload": payload}


def _resource(wanted: Any) -> dict[str, Any]:
    if not isinstance(wanted, dict) or len({"sqs", "eventBridge"} & wanted.keys()) != 1:
        raise Refusal(400, "Invalid Input", "resourceSpecification needs exactly one of sqs and eventBridge")
    if "sqs" in wanted:
        arn = wanted["sqs"].get("arn") if isinstance(wanted["sqs"], dict) else None
        if not isinstance(arn, str) or len(arn) > 1000 or not ARN.match(arn):
            raise Refusal(400, "Invalid Input", "sqs.arn is not the ARN of a queue")
        return {"sqs": {"arn": arn}}
    bridge = wanted["eventBridge"]
    if not isinstance(bridge, dict) or not all(isinstance(bridge.get(name), str) for name in ("region", "accountId")):
        raise Refusal(400, "Invalid Input", "eventBridge needs region and accountId")
    name = f"aws.partner/sellingpartnerapi.amazon.com/{bridge['accountId']}/emulator"
    return {"eventBridge": {"region": bridge["region"], "accountId": bridge["accountId"], "name": name}}


def _check_directive(kind: str, directive: Any) -> None:
    if directive is None:
        return
    if not isinstance(directive, dict) or {"eventFilter", "filterExpression"} <= directive.keys():
        raise Refusal(400, "Invalid Input", "processingDirective takes eventFilter or filterExpression, not both")
    expression = directive.get("filterExpression", "x")
    if not isinstance(expression, str) or not 1 <= len(expression) <= 256:
        raise Refusal(400, "Invalid Input", "filterExpression has 1 to 256 characters")
    chosen = directive.get("eventFilter")
    if chosen is None:
        return
    if not isinstance(chosen, dict) or chosen.get("eventFilterType") != kind:
        raise Refusal(400, "Invalid Input", f"eventFilterType must be {kind}")
    changes = chosen.get("orderChangeTypes", [])
    if not isinstance(changes, list) or not CHANGE_TYPES.issuperset(str(each) for each in changes):
        raise Refusal(400, "Invalid Input", f"orderChangeTypes must be among {', '.join(sorted(CHANGE_TYPES))}")
