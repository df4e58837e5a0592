"""The wire of Commerce Notification: config, destinations, topics, subscriptions, public keys.

In: a Call that passed the gates. Out: the document that the answer carries, or Refused.
Never: sends (notifications.py does).
Source: Commerce Notification v1.6.7, read 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from .formats import instant, is_number
from .notifications import TOPICS, Destination, Subscription
from .refused import Refused
from .wire import Call, Operation

if TYPE_CHECKING:
    from .emulator import Ebay

BASE = "/commerce/notification/v1"
APP = ("",)
SUBSCRIBE = ("", "commerce.notification.subscription")
SUBSCRIBE_READ = (*SUBSCRIBE, "commerce.notification.subscription.readonly")
LIMIT_MIN, LIMIT_MAX, LIMIT_DEFAULT = 10, 100, 20


class NotificationApi:
    def __init__(self, ebay: Ebay) -> None:
        self.ebay = ebay
        self.side = ebay.notifications

    def table(self) -> list[Operation]:
        def op(name: str, method: str, path: str, kind: str, scopes: tuple[str, ...], handler: Any) -> Operation:
            return Operation(name, method, BASE + path, "commerce.notification", kind, scopes, handler)

        destination, subscription = "/destination/{destination_id}", "/subscription/{subscription_id}"
        return [
            op("getConfig", "GET", "/config", "application", APP, self.get_config),
            op("updateConfig", "PUT", "/config", "application", APP, self.put_config),
            op("getDestinations", "GET", "/destination", "application", APP, self.get_destinations),
            op("createDestination", "POST", "/destination", "application", APP, self.create_destination),
            op("getDestination", "GET", destination, "application", APP, self.get_destination),
            op("updateDestination", "PUT", destination, "application", APP, self.put_destination),
            op("deleteDestination", "DELETE", destination, "application", APP, self.delete_destination),
            op("getTopics", "GET", "/topic", "application", APP, self.get_topics),
            op("getTopic", "GET", "/topic/{topic_id}", "application", APP, self.get_topic),
            op("getPublicKey", "GET", "/public_key/{public_key_id}", "application", APP, self.get_key),
            op("getSubscriptions", "GET", "/subscription", "any", SUBSCRIBE_READ, self.get_subscriptions),
            op("createSubscription", "POST", "/subscription", "any", SUBSCRIBE, self.create_subscription),
            op("getSubscription", "GET", subscription, "any", SUBSCRIBE_READ, self.get_subscription),
            op("updateSubscription", "PUT", subscription, "any", SUBSCRIBE, self.put_subscription),
            op("deleteSubscription", "DELETE", subscription, "any", SUBSCRIBE, self.delete_subscription),
            op("enableSubscription", "POST", subscription + "/enable", "any", SUBSCRIBE, self.enable),
            op("disableSubscription", "POST", subscription + "/disable", "any", SUBSCRIBE, self.disable),
            op("testSubscription", "POST", subscription + "/test", "any", SUBSCRIBE, self.test),
        ]

    def get_config(self, call: Call) -> Any:
        if self.side.alert_email is None:
            raise Refused(195026)
        return {"alertEmail": self.side.alert_email}

    def put_config(self, call: Call) -> Any:
        self.side.set_config(call.body("alertEmail").get("alertEmail"))
        return Response(status_code=204)

    def get_destinations(self, call: Call) -> Any:
        return self._page(call, "destination", [_destination(d) for d in self.side.destinations.values()])

    async def create_destination(self, call: Call) -> Any:
        destination = await self.side.put_destination(call.body("name", "status", "deliveryConfig"))
        location = f"https://api.ebay.com{BASE}/destination/{destination.destination_id}"
        return Response(status_code=201, headers={"location": location})

    def get_destination(self, call: Call) -> Any:
        return _destination(self._find_destination(call))

    async def put_destination(self, call: Call) -> Any:
        old = self._find_destination(call)
        await self.side.put_destination(call.body("name", "status", "deliveryConfig"), old)
        return Response(status_code=204)

    def delete_destination(self, call: Call) -> Any:
        self.side.delete_destination(self._find_destination(call))
        return Response(status_code=204)

    def get_topics(self, call: Call) -> Any:
        return self._page(call, "topic", [_topic(topic_id) for topic_id in TOPICS])

    def get_topic(self, call: Call) -> Any:
        topic_id = call.part("topic_id")
        if topic_id not in TOPICS:
            raise Refused(195002)
        return _topic(topic_id)

    def get_key(self, call: Call) -> Any:
        return self.side.public_key(call.part("public_key_id"))

    def get_subscriptions(self, call: Call) -> Any:
        scope = call.access.kind.upper()
        own = [s for s in self.side.subscriptions.values() if TOPICS[s.topic_id][0] == scope]
        return self._page(call, "subscription", [_subscription(each) for each in own])

    def create_subscription(self, call: Call) -> Any:
        body = call.body("topicId", "destinationId", "status", "payload")
        subscription = self.side.subscribe(body, call.access)
        location = f"https://api.ebay.com{BASE}/subscription/{subscription.subscription_id}"
        return Response(status_code=201, headers={"location": location})

    def get_subscription(self, call: Call) -> Any:
        return _subscription(self._find_subscription(call))

    def put_subscription(self, call: Call) -> Any:
        subscription = self._find_subscription(call)
        self.side.update(subscription, call.body("destinationId", "status", "payload"))
        return Response(status_code=204)

    def delete_subscription(self, call: Call) -> Any:
        del self.side.subscriptions[self._find_subscription(call).subscription_id]
        return Response(status_code=204)

    def enable(self, call: Call) -> Any:
        self.side.enable(self._find_subscription(call))
        return Response(status_code=204)

    def disable(self, call: Call) -> Any:
        self._find_subscription(call).status = "DISABLED"
        return Response(status_code=204)

    def test(self, call: Call) -> Any:
        subscription = self._find_subscription(call)
        notification_id = self.side.send(subscription, self.ebay.sample(subscription.topic_id))
        return JSONResponse({"notificationId": notification_id}, 202)

    def _page(self, call: Call, name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
        query = call.query("limit", "continuation_token")
        text = query.get("limit", str(LIMIT_DEFAULT))
        if not is_number(text) or not LIMIT_MIN <= int(text) <= LIMIT_MAX:
            raise Refused(195004)
        token = query.get("continuation_token", "0")
        if not is_number(token) or int(token) > len(rows):
            raise Refused(195005)
        limit, start = int(text), int(token)
        answer: dict[str, Any] = {
            "href": f"https://api.ebay.com{BASE}/{name}?limit={limit}",
            "limit": limit,
            "total": len(rows),
            f"{name}s": rows[start : start + limit],
        }
        if start + limit < len(rows):
            answer["next"] = f"https://api.ebay.com{BASE}/{name}?limit={limit}&continuation_token={start + limit}"
        return answer

    def _find_destination(self, call: Call) -> Destination:
        destination = self.side.destinations.get(call.part("destination_id"))
        if destination is None:
            raise Refused(195022)
        return destination

    def _find_subscription(self, call: Call) -> Subscription:
        subscription = self.side.subscriptions.get(call.part("subscription_id"))
        if subscription is None:
            raise Refused(195013)
        self.side.check_token(subscription.topic_id, call.access)
        return subscription


def _destination(destination: Destination) -> dict[str, Any]:
    return {
        "destinationId": destination.destination_id,
        "name": destination.name,
        "status": destination.status,
        "deliveryConfig": {
            "endpoint": destination.endpoint,
            "verificationToken": destination.verification_token,
        },
    }


def _subscription(subscription: Subscription) -> dict[str, Any]:
    return {
        "subscriptionId": subscription.subscription_id,
        "topicId": subscription.topic_id,
        "status": subscription.status,
        "creationDate": instant(subscription.created_at),
        "destinationId": subscription.destination_id,
        "payload": {"format": "JSON", "schemaVersion": subscription.schema_version, "deliveryProtocol": "HTTPS"},
    }


def _topic(topic_id: str) -> dict[str, Any]:
    scope, versions, scopes = TOPICS[topic_id]
    return {
        "topicId": topic_id,
        "description": f"{topic_id.replace('_', ' ').capitalize()}.",
        "status": "ENABLED",
        "context": "COMMERCE",
        "scope": scope,
        "filterable": False,
        "authorizationScopes": list(scopes),
        "supportedPayloads": [
            {"format": ["JSON"], "schemaVersion": version, "deliveryProtocol": "HTTPS", "deprecated": False}
            for version in versions
        ],
    }
