"""A client of the emulated Amazon, in process, and the goods it finds there."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from oneshelf_emulator.amazon import Amazon
from oneshelf_emulator.clock import VirtualClock
from oneshelf_emulator.door import Answer, call
from oneshelf_emulator.throttle import FaultGate
from oneshelf_emulator.world import Address, Buyer, Product, Sale, World

US, DE = "ATVPDKIKX0DER", "A1PA6795UKMFR9"
ALL = "BUYER,RECIPIENT,PROCEEDS,EXPENSE,PROMOTION,CANCELLATION,FULFILLMENT,PACKAGES,TAX,PAYMENT,FULFILLMENT_ORDERS"
ARN = "arn:aws:sqs:us-east-1:123456789012:q"
JANE = Buyer(
    "jane", "Jane Doe", "jane@x.com", Address("Jane Doe", "1 Main St", "Salem", "OR", "97301", "US", "+15035550100")
)
MUG, CUP, FAR = "MUG/1", "CUP", "FAR"
GOODS = [
    Product(MUG, "Mug", 1999, "USD", 5),
    Product(CUP, "Cup", 500, "USD", 9),
    Product(FAR, "Far", 700, "USD", 4),
]


class Client:
    """One application that talks to the emulated Amazon."""

    def __init__(self, **switches: Any) -> None:
        # Nobody fails to pay and nobody pays late, unless a test says so.
        calm = {"pending_cancel_chance": 0.0, "slow_payment_chance": 0.0, "notify_s": (1.0, 2.0)}
        factor = switches.pop("factor", 1.0)
        self.clock = VirtualClock(factor=factor)
        self.world = World(seed=5, clock=self.clock)
        self.amazon = Amazon(self.world, **{**calm, **switches})
        self.amazon.stock_up(GOODS, by_amazon=[FAR])
        self.door = FaultGate(self.amazon.app, self.world, "amazon")
        self.seller = f"/listings/2021-08-01/items/{self.amazon.seller_id}"
        self.token = ""

    async def login(self, **form: str) -> Answer:
        keys = self.amazon.credentials()
        fields = {
            "grant_type": "refresh_token",
            "refresh_token": keys["refresh_token"],
            "client_id": keys["client_id"],
            "client_secret": keys["client_secret"],
        }
        headers = {"content-type": "application/x-www-form-urlencoded;charset=UTF-8"}
        body = urlencode({**fields, **form}).encode()
        return await call(self.door, "POST", "/auth/o2/token", headers=headers, body=body)

    async def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None, **query: str) -> Answer:
        if not self.token and token is None:
            self.token = json.loads((await self.login()).body)["access_token"]
        headers = {"x-amz-access-token": token or self.token, "user-agent": "test/1 (Language=Python)"}
        if body is not None:
            headers["content-type"] = "application/json"
        raw = b"" if body is None else json.dumps(body).encode()
        return await call(self.door, method, path, query=urlencode(query), headers=headers, body=raw)

    async def grantless(self) -> str:
        answer = await self.login(grant_type="client_credentials", scope="sellingpartnerapi::notifications")
        return json.loads(answer.body)["access_token"]

    def path(self, sku: str) -> str:
        return f"{self.seller}/{quote(sku, safe='')}"

    async def item(self, sku: str, parts: str = "summaries,attributes,issues,offers,fulfillmentAvailability") -> Any:
        answer = await self.ask("GET", self.path(sku), marketplaceIds=US, includedData=parts)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    async def patch(self, sku: str, value: Any, op: str = "merge", attribute: str = "fulfillment_availability") -> Any:
        patch = {"op": op, "path": f"/attributes/{attribute}", "value": value}
        body = {"productType": "PRODUCT", "patches": [patch]}
        answer = await self.ask("PATCH", self.path(sku), body, marketplaceIds=US)
        return json.loads(answer.body) | {"http": answer.status}

    async def order(self, sale: Sale, parts: str = ALL) -> Any:
        answer = await self.ask("GET", f"/orders/2026-01-01/orders/{sale.order_id}", includedData=parts)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)["order"]

    async def search(self, **query: str) -> Answer:
        query = {"lastUpdatedAfter": "2026-11-01T00:00:00Z", **query}
        return await self.ask("GET", "/orders/2026-01-01/orders", **query)

    def buy(self, **lines: int) -> Sale:
        sale = self.amazon.buy(JANE, {sku.replace("_", "/"): pieces for sku, pieces in lines.items()})
        assert sale is not None
        return sale

    async def subscribe(self, kind: str = "ORDER_CHANGE", version: str = "1.0", arn: str = ARN, **more: Any) -> Answer:
        token = await self.grantless()
        spec = {
            "name": f"n{len(self.amazon.notifications.destinations)}",
            "resourceSpecification": {"sqs": {"arn": arn}},
        }
        made = await self.ask("POST", "/notifications/v1/destinations", spec, token=token)
        if made.status == 200:
            destination = json.loads(made.body)["payload"]["destinationId"]
        else:
            destination = next(iter(self.amazon.notifications.destinations))
        body = {"payloadVersion": version, "destinationId": destination, **more}
        return await self.ask("POST", f"/notifications/v1/subscriptions/{kind}", body)

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.world.courier.idle()

    def messages(self) -> list[Any]:
        return [json.loads(body) for _, body in self.amazon.sent]


def quantity(pieces: Any, **more: Any) -> list[dict[str, Any]]:
    return [{"fulfillment_channel_code": "DEFAULT", "quantity": pieces, **more}]


def live(item: Any) -> dict[str, int | None]:
    return {each["fulfillmentChannelCode"]: each.get("quantity") for each in item["fulfillmentAvailability"]}


def error(answer: Answer) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["errors"][0]["code"]


def parcel(order: Any, pieces: int, reference: Any = "1", **more: Any) -> dict[str, Any]:
    item = {"orderItemId": order["orderItems"][0]["orderItemId"], "quantity": pieces}
    detail = {"packageReferenceId": reference, "carrierCode": "UPS", "trackingNumber": "1Z9",
              "shipDate": "2026-11-23T15:00:00Z", "orderItems": [item]}  # fmt: skip
    return {"marketplaceId": US, "packageDetail": {**detail, **more}}
