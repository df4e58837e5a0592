"""What the channels really send, through the running service's front door: stored once, read rightly, answered 2xx.

The samples are the channels' own (Shopify's webhook reference, eBay's AsyncAPI contracts, Etsy's webhook page, Amazon's notification
schemas), found by ONESHELF_CONTRACTS or beside the repository; without them these tests are skipped.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.scenario.service import (
    AMAZON,
    EBAY,
    EBAY_APP,
    ETSY,
    SHOPIFY,
    Elsewhere,
    Knocking,
    Shop,
    connected,
    ebay_notice,
    on_sale,
    until,
)

from oneshelf.core.ids import ChannelName
from oneshelf.intake import queue as queues

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTRACTS = Path(
    os.environ.get("ONESHELF_CONTRACTS") or Path(__file__).resolve().parents[2].parent / "shared" / "contracts"
)
needs_contracts = pytest.mark.skipif(
    not CONTRACTS.is_dir(), reason="the channels' published samples are not here (ONESHELF_CONTRACTS)"
)
NEVER_S = 86_400  # nobody answers the polls here, so they need not ask twice

SELLER = {"userId": "ma8vp1jySJC", "username": "emulated_goods"}


@pytest.fixture(scope="module")
def queue() -> Iterator[dict[str, Any]]:
    """A real SQS endpoint with one queue: {"client", "settings"}."""
    moto = pytest.importorskip("moto.server")
    import boto3

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"aws_access_key_id": "t", "aws_secret_access_key": "t"}
    client = boto3.client("sqs", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", **keys)
    url = client.create_queue(QueueName="front-door")["QueueUrl"]
    settings = {"queue_url": url, "queue_region": "us-east-1", "queue_endpoint": f"http://{host}:{port}"}
    yield {"client": client, "settings": settings}
    server.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def door(tmp_path: Path, queue: dict[str, Any]) -> AsyncIterator[Knocking]:
    """A running service with one account of each channel, and who knocks at it."""
    elsewhere = Elsewhere()
    shop = await Shop.open(
        tmp_path, poll_shopify_s=NEVER_S, poll_amazon_s=NEVER_S, poll_ebay_s=NEVER_S, poll_etsy_s=NEVER_S
    )
    await connected(shop, elsewhere, queue["settings"])
    knocking = Knocking(shop, elsewhere)
    yield knocking
    await knocking.close()
    await shop.close()
    await elsewhere.close()


# --- Shopify -------------------------------------------------------------------------------------------------------------

IGNORED = [
    "app/scopes_update",
    "bulk_operations/finish",
    "customers/create",
    "customers/delete",
    "customers/merge",
    "customers/update",
    "fulfillment_events/create",
    "fulfillment_events/delete",
    "fulfillment_holds/added",
    "fulfillment_holds/released",
    "fulfillment_orders/cancelled",
    "fulfillment_orders/hold_released",
    "fulfillment_orders/merged",
    "fulfillment_orders/moved",
    "fulfillment_orders/order_routing_complete",
    "fulfillment_orders/placed_on_hold",
    "fulfillment_orders/progress_reported",
    "fulfillment_orders/scheduled_fulfillment_order_ready",
    "fulfillment_orders/split",
    "inventory_shipments/receive_items",
    "inventory_transfers/complete",
    "inventory_transfers/updated",
    "orders/risk_assessment_changed",
    "returns/process",
    "returns/update",
    "shop/update",
    "variants/in_stock",
    "variants/out_of_stock",
]
#: The order itself; the level; the catalogue; a person. Topics that name an order are in ORDER_NAMED.
TAKEN = [
    "orders/create",
    "orders/updated",
    "orders/cancelled",
    "orders/paid",
    "orders/fulfilled",
    "orders/partially_fulfilled",
    "inventory_levels/update",
    "inventory_levels/connect",
    "inventory_levels/disconnect",
    "inventory_items/create",
    "inventory_items/update",
    "inventory_items/delete",
    "products/create",
    "products/update",
    "products/delete",
    "locations/activate",
    "locations/create",
    "locations/deactivate",
    "locations/delete",
    "locations/update",
    "app/uninstalled",
    "customers/redact",
    "customers/data_request",
    "shop/redact",
]
#: The ids in the samples are rounded where they are JSON numbers above 2^53, so this is the order they name.
ORDER_NAMED = {
    **dict.fromkeys(
        [
            "orders/edited",
            "orders/delete",
            "refunds/create",
            "fulfillments/create",
            "fulfillments/update",
            "order_transactions/create",
        ],
        "820982911946154500",
    ),
    **dict.fromkeys(
        ["returns/approve", "returns/cancel", "returns/close", "returns/decline", "returns/reopen", "returns/request"],
        "4783296544821",
    ),
}


def samples() -> dict[str, bytes]:
    """Topic → body of every sample in Shopify's webhook reference."""
    found = sorted((CONTRACTS / "shopify" / "webhooks").glob("*.sample.json"))
    return {path.name.removesuffix(".sample.json").replace(".", "/", 1): path.read_bytes() for path in found}


@needs_contracts
async def test_every_sample_of_shopify_ends_as_its_topic_says(door: Knocking) -> None:
    shop, bodies = door.shop, samples()
    assert set(bodies) == {*IGNORED, *TAKEN, *ORDER_NAMED}
    await shop.run(
        "INSERT INTO item (tenant_id, sku, item_id) VALUES (1, 'LENS', 'gid://shopify/InventoryItem/271878346596884015')"
    )
    await shop.run(
        "INSERT INTO location (tenant_id, location_id, name) VALUES (1, 'gid://shopify/Location/24826418', 'Store')"
    )
    for topic, body in bodies.items():
        assert await door.shopify(topic, body) == 200, topic
    rows = await shop.handled(len(bodies))
    assert sorted(topic for topic, _, _ in rows) == sorted(bodies)
    for topic, state, note in rows:
        assert (state, bool(note)) == ("DONE", topic in IGNORED), (topic, state, note)

    # One order in six of them, told by its exact id; cancelled; its lines name no variant of the shop, so no stock is theirs.
    [order] = await shop.all("SELECT order_id, payment, cancelled, placed_at, complete FROM orders")
    assert order == ("820982911946154508", "pending", 1, 1_640_995_200_000_000, 1)
    assert await shop.lines(SHOPIFY) == []
    asked = await shop.all("SELECT DISTINCT entity FROM intent WHERE kind = 'fetch_order' ORDER BY entity")
    assert asked == [("1/4783296544821",), ("1/820982911946154500",)]
    wanted = await shop.all("SELECT sku, location_id FROM hub_level WHERE wanted = 1")
    assert wanted == [("LENS", "gid://shopify/Location/24826418")]
    assert await shop.one("SELECT state FROM account WHERE account_id = 1") == ("PAUSED",)  # app/uninstalled
    kinds = sorted(kind for kind, _, _ in await shop.tasks())
    assert kinds == ["connect_again", "privacy_export"]


@needs_contracts
async def test_a_second_delivery_of_every_sample_changes_nothing(door: Knocking) -> None:
    shop = door.shop
    sent = {topic: door.shopify_headers(topic, body) for topic, body in samples().items()}
    for _ in range(2):
        for topic, body in samples().items():
            assert await door.post("shopify", body, sent[topic]) == 200
    await shop.handled(len(sent))
    assert len(await shop.tasks()) == 2
    assert await shop.one("SELECT COUNT(*) FROM orders") == (1,)


@needs_contracts
async def test_an_order_of_shopifys_sample_shape_is_booked_line_by_line(door: Knocking) -> None:
    shop = door.shop
    await on_sale(shop, SHOPIFY, "variant:101", "CAMERA")
    await on_sale(shop, SHOPIFY, "variant:102", "CASE")
    sample = json.loads(samples()["orders/create"])
    sample.update(cancelled_at=None, financial_status="paid")
    for line, variant, pieces in zip(sample["line_items"], (101, 102), (2, 3), strict=False):
        line.update(variant_id=variant, quantity=pieces, current_quantity=pieces, fulfillable_quantity=pieces)
    assert await door.shopify("orders/create", json.dumps(sample).encode()) == 200
    await shop.handled(1)
    assert await shop.lines(SHOPIFY) == [
        ("820982911946154508", "487817672276298554", "CAMERA", "O", 2, 0, 0),
        ("820982911946154508", "789012345678901234", "CASE", "O", 3, 0, 0),
    ]
    levels = await shop.all("SELECT sku, committed FROM stock_level ORDER BY sku")
    assert levels == [("CAMERA", 2), ("CASE", 3)]


# --- eBay ----------------------------------------------------------------------------------------------------------------


def contracts_of_ebay() -> dict[str, dict[str, Any]]:
    yaml = pytest.importorskip("yaml")
    found = (yaml.safe_load(path.read_text()) for path in sorted((CONTRACTS / "ebay" / "asyncapi").glob("*.yaml")))
    return {next(iter(one["channels"])): one for one in found}


def example(document: dict[str, Any], schema: dict[str, Any], name: str = "") -> Any:
    """A message as the contract describes it: every property there, the seller ours."""
    if "$ref" in schema:
        return example(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], name)
    kind = schema.get("type")
    if kind == "object":
        return {key: example(document, inner, key) for key, inner in schema["properties"].items()}
    if kind == "array":
        return [example(document, schema["items"], name)]
    if kind == "integer":
        return 1
    if kind == "boolean":
        return False
    known = {"userId": SELLER["userId"], "publicUserId": SELLER["userId"], "orderId": "11-14972-20806"}
    when = schema.get("format") == "date-time" or name.endswith("Date")
    return known.get(name) or schema.get("enum", ["2026-07-01T10:00:00.000Z" if when else f"a-{name}"])[0]


@needs_contracts
async def test_every_topic_of_ebays_contracts_ends_as_it_should(door: Knocking) -> None:
    shop = door.shop
    topics = contracts_of_ebay()
    assert set(topics) == {
        "ORDER_CONFIRMATION",
        "ITEM_MARKED_SHIPPED",
        "ORDER_CANCELLATION_ACTIVITY",
        "MARKETPLACE_ACCOUNT_DELETION",
        "AUTHORIZATION_REVOCATION",
    }
    for topic, document in topics.items():
        message = example(document, document["components"]["messages"]["message"]["payload"])
        message["metadata"]["topic"] = topic
        message["notification"]["notificationId"] = f"n-{topic}"
        body = json.dumps(message, separators=(",", ":")).encode()
        headers = door.ebay_headers(body)
        assert [await door.post("ebay", body, headers) for _ in range(2)] == [200, 200], topic
    rows = await shop.handled(5)
    assert sorted(rows) == sorted((topic, "DONE", "") for topic in topics)
    assert await shop.all("SELECT DISTINCT entity FROM intent WHERE kind = 'fetch_order'") == [
        (f"{EBAY}/11-14972-20806",)
    ]
    assert await shop.one("SELECT state FROM account WHERE account_id = 3") == ("PAUSED",)
    assert sorted(kind for kind, _, _ in await shop.tasks()) == ["connect_again"]
    assert await shop.all("SELECT DISTINCT kind FROM privacy_request") == [("erase",)]


async def test_an_account_deletion_names_no_seller_of_ours_and_is_taken(door: Knocking) -> None:
    body = ebay_notice(
        "MARKETPLACE_ACCOUNT_DELETION", {"username": "a_buyer", "userId": "zz9", "eiasToken": "nY+"}, "1"
    )
    assert await door.ebay(body) == 200
    assert await door.shop.handled(1) == [("MARKETPLACE_ACCOUNT_DELETION", "DONE", "")]
    asked = await door.shop.all("SELECT account_id, kind, inbox_seq FROM privacy_request")
    assert asked == [(EBAY, "erase", 1)] * 2  # by user id and by username
    assert await door.shop.tasks() == []


async def test_ebays_challenge_is_answered_for_the_address_it_was_given(door: Knocking) -> None:
    address = f"{door.shop.url}/webhooks/ebay"
    async with door.http.get(f"{address}?challenge_code=71745723-d031") as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        said = await answer.json()
    wanted = hashlib.sha256(f"71745723-d031{EBAY_APP['verification_token']}{address}".encode()).hexdigest()
    assert said == {"challengeResponse": wanted}
    for url in (address, f"{address}?challenge_code=", f"{door.shop.url}/webhooks/shopify?challenge_code=1"):
        async with door.http.get(url) as answer:
            assert answer.status == 405


# --- Etsy ----------------------------------------------------------------------------------------------------------------


@needs_contracts
async def test_every_event_of_etsy_ends_as_it_should(door: Knocking) -> None:
    shop = door.shop
    outlet_id = await on_sale(shop, ETSY, "listing:77", "MUG")
    page = json.loads((CONTRACTS / "etsy" / "webhook_events.json").read_text())
    events = [event["event_type"] for event in page["events"]]
    assert len(events) == 11
    for number, event in enumerate(events):
        rest = "shops/12345/receipts/54321" if event.startswith("order.") else "listings/77/inventory"
        address = f"https://openapi.etsy.com/v3/application/{rest}"
        # Both examples of shop_id are published: a number and a text.
        message = {**page["envelope_example"], "event_type": event, "resource_url": address}
        message["shop_id"] = "12345" if number % 2 else 12345
        body = json.dumps(message).encode()
        headers = door.etsy_headers(body)
        bare = {**headers, "webhook-signature": headers["webhook-signature"].removeprefix("v1,")}
        several = {**headers, "webhook-signature": f"v1,AAAA {headers['webhook-signature']}"}
        # The three published forms of the signature, each a delivery of the same message.
        assert [await door.post("etsy", body, form) for form in (several, bare, headers)] == [200, 200, 200]
    rows = await shop.handled(11)
    assert [topic for topic, _, _ in rows] == events
    assert [topic for topic, state, note in rows if state != "DONE" or note] == ["order.delivered"]
    assert await shop.all("SELECT DISTINCT entity FROM intent WHERE kind = 'fetch_order'") == [(f"{ETSY}/54321",)]
    assert await shop.all("SELECT outlet_id FROM dirty_listing") == [(outlet_id,)]


# --- Amazon --------------------------------------------------------------------------------------------------------------


def notifications() -> list[dict[str, Any]]:
    page = json.loads((CONTRACTS / "amazon" / "derived" / "notification_examples.json").read_text())
    return [example["message"] for example in page["examples"]]


def ours(message: dict[str, Any]) -> str:
    """The example, about our seller."""
    text = json.dumps(message)
    for other in ("merchantId", "AXXXXXXXXXXXXX", "A3AYAZLIQ7AX77", "A21CXK3C4ERTY8"):
        text = text.replace(f'"{other}"', '"A3TH9S8BH6GOGM"').replace(f".o.{other}", ".o.A3TH9S8BH6GOGM")
    return text


@needs_contracts
async def test_every_notification_example_of_amazon_comes_through_a_real_queue(
    door: Knocking, queue: dict[str, Any]
) -> None:
    shop, client, url = door.shop, queue["client"], queue["settings"]["queue_url"]
    outlet_id = await on_sale(shop, AMAZON, "sku:SellerSKUID1", "MUG")
    shoes = await on_sale(shop, AMAZON, "sku:NLS-SHOES-03", "SHOES")
    examples = notifications()
    assert len(examples) == 12
    for number, message in enumerate(examples):
        kind = message.get("NotificationType") or message["notificationType"]
        meta = message.get("NotificationMetadata") or message["notificationMetadata"]
        # Several examples of one kind have the same id: here each is a message of its own.
        meta["NotificationId" if "NotificationId" in meta else "notificationId"] = f"{kind}-{number}"
        for _ in range(2):  # SQS delivers at least once
            await asyncio.to_thread(client.send_message, QueueUrl=url, MessageBody=ours(message))
    rows = await shop.handled(12)
    assert [row for row in rows if row[1] != "DONE"] == []
    told = {
        "queue:LISTINGS_ITEM_ISSUES_CHANGE",
        "queue:LISTINGS_ITEM_MFN_QUANTITY_CHANGE",
        "queue:LISTINGS_ITEM_STATUS_CHANGE",
        "queue:ORDER_CHANGE",
    }
    assert {topic for topic, _, note in rows if not note} == told
    # The order is held from the notice alone, before anybody answered a read.
    assert await shop.lines(AMAZON) == [("903-8868176-2219830", "OIID34853450", "MUG", "O", 10, 0, 0)]
    assert await shop.one("SELECT complete, source FROM orders") == (0, "queue")
    assert await shop.all("SELECT DISTINCT entity FROM intent WHERE kind = 'fetch_order'") == [
        (f"{AMAZON}/903-8868176-2219830",)
    ]
    marked = await shop.all("SELECT outlet_id FROM dirty_listing ORDER BY outlet_id")
    assert marked == [(outlet_id,), (shoes,)]

    async def empty() -> bool:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        left = await asyncio.to_thread(client.get_queue_attributes, QueueUrl=url, AttributeNames=names)
        return all(count == "0" for count in left["Attributes"].values())

    await until(empty, "the queue is empty: what is durable is deleted")


async def test_what_the_queue_brings_for_others_is_left_and_what_nobody_can_read_is_parked(
    door: Knocking, queue: dict[str, Any]
) -> None:
    shop, client, url = door.shop, queue["client"], queue["settings"]["queue_url"]
    other = {"NotificationType": "ORDER_CHANGE", "Payload": {"OrderChangeNotification": {"SellerId": "AOTHERSELLER"}}}
    for body in ("not json", "[]", json.dumps(other), '{"NotificationType":"SOMETHING_NEW","Payload":{}}'):
        await asyncio.to_thread(client.send_message, QueueUrl=url, MessageBody=body)
    rows = await shop.handled(3)
    assert sorted((topic, state) for topic, state, _ in rows) == [
        ("queue:SOMETHING_NEW", "PARKED"),
        ("queue:unreadable", "PARKED"),
        ("queue:unreadable", "PARKED"),
    ]
    assert all(note for _, _, note in rows)
    assert [kind for kind, _, _ in await shop.tasks()] == ["parked_message"] * 3

    async def one_is_left() -> bool:  # what was stored is deleted a moment later
        name = "ApproximateNumberOfMessagesNotVisible"
        left = await asyncio.to_thread(client.get_queue_attributes, QueueUrl=url, AttributeNames=[name])
        return bool(left["Attributes"][name] == "1")

    await until(one_is_left, "only the message for others is left")
    await asyncio.to_thread(client.purge_queue, QueueUrl=url)


async def test_a_mistyped_queue_is_told_and_stops_nothing(tmp_path: Path) -> None:
    elsewhere, shop = Elsewhere(), await Shop.open(tmp_path, poll_shopify_s=NEVER_S)
    knocking = Knocking(shop, elsewhere)
    try:
        await connected(
            shop, elsewhere, {"queue_url": "x", "queue_region": "us-east-1", "queue_endpoint": "no address"}
        )
        [(kind, subject, why)] = await until(shop.tasks, "a task")
        assert (kind, subject) == ("queue_not_usable", str(AMAZON)) and "no address" in why
        assert await knocking.shopify("shop/update", b'{"id":1}') == 200
        await shop.handled(1)
        assert not shop.service.stopping.is_set()
    finally:
        await knocking.close()
        await shop.close()
        await elsewhere.close()


async def test_an_odd_answer_of_the_queue_is_waited_out(door: Knocking, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's page in place of SQS's answer raises what is no error of SQS."""
    monkeypatch.setattr(queues, "FAILED_WAIT_S", 0.05)

    class Client:
        answers: list[Any] = [
            "<html>",
            ValueError("not JSON"),
            {"Messages": [{"MessageId": "1", "ReceiptHandle": "r", "Body": "x"}]},
        ]
        deleted: list[Any] = []

        def receive_message(self, **_: Any) -> Any:
            if not self.answers:
                return {}
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        def delete_message_batch(self, Entries: list[Any], **_: Any) -> None:
            self.deleted += Entries

    service, stop = door.shop.service, asyncio.Event()
    amazon = service.receivers(ChannelName.AMAZON)
    running = asyncio.ensure_future(
        queues.run(Client(), "url", lambda: list(amazon), service.writer, service.clock, service.news.ring, stop, 0)
    )
    await door.shop.handled(1)
    stop.set()
    await running
    assert Client.deleted == [{"Id": "0", "ReceiptHandle": "r"}]


async def test_FC_D12_the_counts_say_what_came_and_a_secret_that_refuses_all_is_told(door: Knocking) -> None:
    shop, body = door.shop, b'{"id":1}'
    headers = door.shopify_headers("shop/update", body)
    wrong = {**headers, "X-Shopify-Hmac-Sha256": base64.b64encode(b"x" * 32).decode()}
    for _ in range(19):
        assert await door.post("shopify", body, wrong) == 401
    assert await shop.tasks() == []
    assert await door.post("shopify", body, wrong) == 401
    [(kind, subject, why)] = await until(shop.tasks, "a task")
    assert (kind, subject) == ("webhooks_refused", "shopify") and "20 in a row" in why
    assert await door.post("shopify", body, headers) == 200
    await shop.handled(1)
    assert await shop.tasks() == []
    counts = shop.service.counts
    assert (counts.taken, counts.forged) == ({"shopify": 1}, {"shopify": 20})
