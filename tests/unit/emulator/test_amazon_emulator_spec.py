"""What the emulated Amazon answers, held against Amazon's own models and schemas (where they are at hand)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from amazon_client import ALL, CUP, FAR, MUG, US, Client, parcel, quantity
from jsonschema import Draft7Validator

from oneshelf_emulator.amazon import limits
from oneshelf_emulator.amazon.feed_contents import listings

CONTRACTS = Path(os.environ.get("ONESHELF_CONTRACTS", Path(__file__).parents[4] / "shared" / "contracts")) / "amazon"
pytestmark = pytest.mark.skipif(not CONTRACTS.is_dir(), reason=f"Amazon's models are not at hand ({CONTRACTS})")


def closed(schema: Any) -> Any:
    """Forbid fields that the model does not name: an invented field is a mistake of the emulator."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    out = {name: closed(each) for name, each in schema.items()}
    if isinstance(out.get("properties"), dict) and out.get("type") == "object" and "additionalProperties" not in out:
        out["additionalProperties"] = False
    return out


def model(name: str) -> dict[str, Any]:
    return json.loads((CONTRACTS / "models" / name).read_text())


def check(body: bytes | Any, file: str, definition: str) -> None:
    schema = closed({"definitions": model(file)["definitions"]}) | {"$ref": f"#/definitions/{definition}"}
    content = json.loads(body) if isinstance(body, bytes) else body
    problems = [f"{list(each.absolute_path)}: {each.message}" for each in Draft7Validator(schema).iter_errors(content)]
    assert problems == []


async def world_of_orders() -> Client:
    """Every state, every party, with parcels, cancels and requests."""
    client = Client(promotion_chance=0.5, roles=("direct-to-consumer-shipping", "tax-invoicing"))
    await client.subscribe()
    client.buy(CUP=1), client.buy(FAR=1)
    cancelled, shipped, asked, kept = (client.buy(CUP=1, MUG_1=1) for _ in range(4))
    for sale in (cancelled, shipped, asked, kept):
        client.amazon.console("pay", order_id=sale.order_id)
    client.amazon.console("cancel_order", order_id=cancelled.order_id)
    client.amazon.console("buyer_cancel", order_id=asked.order_id)
    body = parcel(await client.order(shipped), 1)
    await client.ask("POST", f"/orders/v0/orders/{shipped.order_id}/shipmentConfirmation", body)
    client.amazon.console("replacement", order_id=kept.order_id)
    await client.pass_time(1900)
    return client


async def test_orders_fit_the_model():
    client = await world_of_orders()
    answer = await client.search(includedData=ALL, maxResultsPerPage="3")
    check(answer.body, "orders_2026-01-01.json", "SearchOrdersResponse")
    seen = set()
    for truth in client.amazon.orders():
        one = await client.ask("GET", f"/orders/2026-01-01/orders/{truth['id']}", includedData=ALL)
        check(one.body, "orders_2026-01-01.json", "GetOrderResponse")
        seen.add(truth["state"])
    assert seen == {"CANCELLED", "PARTIALLY_SHIPPED", "UNSHIPPED"}
    check((await client.search(maxResultsPerPage="0")).body, "orders_2026-01-01.json", "ErrorList")


async def test_order_change_fits_the_schema():
    client = await world_of_orders()
    schema = json.loads((CONTRACTS / "schemas" / "notifications" / "OrderChangeNotification.json").read_text())
    validator = Draft7Validator(closed(schema))
    messages = client.messages()
    assert len(messages) > 10
    for message in messages:
        assert [each.message for each in validator.iter_errors(message)] == []


async def test_listings_fit_the_model():
    client = Client()
    await client.patch("NEW", quantity(1))
    client.amazon.console("suppress", sku=CUP)
    client.clock.advance(121)
    for sku in (MUG, CUP, FAR, "NEW"):
        check(await client.item(sku), "listingsItems_2021-08-01.json", "Item")
    found = await client.ask("GET", client.seller, marketplaceIds=US, pageSize="2",
                             includedData="summaries,attributes,issues,offers,fulfillmentAvailability,productTypes,relationships")  # fmt: skip
    check(found.body, "listingsItems_2021-08-01.json", "ItemSearchResults")
    for value in (quantity(3), quantity(-3)):
        answer = await client.patch(MUG, value)
        answer.pop("http")
        check(answer, "listingsItems_2021-08-01.json", "ListingsItemSubmissionResponse")


async def test_sellers_notifications_and_feeds_fit_their_models():
    client = Client()
    answer = await client.ask("GET", "/sellers/v1/marketplaceParticipations")
    check(answer.body, "sellers.json", "GetMarketplaceParticipationsResponse")
    check((await client.subscribe()).body, "notifications.json", "CreateSubscriptionResponse")
    token = await client.grantless()
    answer = await client.ask("GET", "/notifications/v1/destinations", token=token)
    check(answer.body, "notifications.json", "GetDestinationsResponse")
    answer = await client.ask("POST", "/feeds/2021-06-30/documents", {"contentType": "text/xml"})
    check(answer.body, "feeds_2021-06-30.json", "CreateFeedDocumentResponse")


async def test_reports_and_lists_fit_their_models():
    client = Client(report_s=(10, 10))
    body = {"reportType": "GET_MERCHANT_LISTINGS_ALL_DATA", "marketplaceIds": [US]}
    made = await client.ask("POST", "/reports/2021-06-30/reports", body)
    check(made.body, "reports_2021-06-30.json", "CreateReportResponse")
    client.clock.advance(11)
    report = await client.ask("GET", f"/reports/2021-06-30/reports/{json.loads(made.body)['reportId']}")
    check(report.body, "reports_2021-06-30.json", "Report")
    found = await client.ask("GET", f"/reports/2021-06-30/documents/{json.loads(report.body)['reportDocumentId']}")
    check(found.body, "reports_2021-06-30.json", "ReportDocument")
    listed = await client.ask("GET", "/reports/2021-06-30/reports", reportTypes="GET_MERCHANT_LISTINGS_ALL_DATA")
    check(listed.body, "reports_2021-06-30.json", "GetReportsResponse")
    refused = await client.ask("GET", "/reports/2021-06-30/reports/1")
    check(refused.body, "reports_2021-06-30.json", "ErrorList")
    listed = await client.ask("GET", "/feeds/2021-06-30/feeds", feedTypes="POST_ORDER_ACKNOWLEDGEMENT_DATA")
    check(listed.body, "feeds_2021-06-30.json", "GetFeedsResponse")


SCHEMAS = {
    "LISTINGS_ITEM_MFN_QUANTITY_CHANGE": "ListingsItemMfnQuantityChange",
    "LISTINGS_ITEM_STATUS_CHANGE": "ListingsItemStatusChangeNotification",
    "REPORT_PROCESSING_FINISHED": "ReportProcessingFinishedNotification",
}


async def test_listing_and_report_notices_fit_their_schemas():
    client = Client(report_s=(10, 10))
    await client.subscribe("REPORT_PROCESSING_FINISHED", "2020-09-04")
    spec = {"name": "b", "resourceSpecification": {"eventBridge": {"region": "us-east-1", "accountId": "123456789012"}}}
    made = await client.ask("POST", "/notifications/v1/destinations", spec, token=await client.grantless())
    check(made.body, "notifications.json", "CreateDestinationResponse")
    body = {"payloadVersion": "1.0", "destinationId": json.loads(made.body)["payload"]["destinationId"]}
    for kind in ("LISTINGS_ITEM_MFN_QUANTITY_CHANGE", "LISTINGS_ITEM_STATUS_CHANGE"):
        await client.ask("POST", f"/notifications/v1/subscriptions/{kind}", body)
    report = {"reportType": "GET_MERCHANT_LISTINGS_ALL_DATA", "marketplaceIds": [US]}
    await client.ask("POST", "/reports/2021-06-30/reports", report)
    client.buy(MUG_1=5)
    await client.pass_time(30)
    notices = [message.get("detail", message) for message in client.messages()]
    assert {each.get("NotificationType") or each["notificationType"] for each in notices} == SCHEMAS.keys()
    for notice in notices:
        kind = notice.get("NotificationType") or notice["notificationType"]
        schema = json.loads((CONTRACTS / "schemas" / "notifications" / f"{SCHEMAS[kind]}.json").read_text())
        problems = [each.message for each in Draft7Validator(closed(schema)).iter_errors(notice)]
        # Amazon's own schema allows only …_CHANGED, its example and the subscription say …_CHANGE.
        wrong = ["'LISTINGS_ITEM_STATUS_CHANGE' is not one of ['LISTINGS_ITEM_STATUS_CHANGED']"]
        assert problems == (wrong if kind == "LISTINGS_ITEM_STATUS_CHANGE" else [])


async def test_the_report_of_a_listings_feed_fits_its_schema():
    client = Client()
    schema = json.loads(
        (CONTRACTS / "schemas" / "feeds" / "listings-feed-processing-report-schema-v2.json").read_text()
    )
    message = {"messageId": 1, "sku": MUG, "operationType": "DELETE"}
    bad = {"messageId": 2, "sku": CUP, "operationType": "UPDATE", "productType": "P", "attributes": {"nonsense": [{}]}}
    header = {"sellerId": client.amazon.seller_id, "version": "2.0"}
    report = listings(client.amazon, "1", [US], json.dumps({"header": header, "messages": [message, bad]}).encode())
    assert [each.message for each in Draft7Validator(schema).iter_errors(json.loads(report))] == []


def test_every_plan_is_the_published_one():
    published = {each["operationId"]: each for each in json.loads((CONTRACTS / "derived" / "operations.json").read_text())["operations"]
                 if each["model"] != "ordersV0.json" or each["operationId"] == "confirmShipment"}  # fmt: skip
    for plan in limits.PLANS:
        if plan.operation == "cancelOrder":
            continue  # only in a draft of the model
        told = published[plan.operation]
        path = "/".join("{}" if part.startswith("{") else part for part in told["path"].split("/"))
        assert (plan.method, plan.path, plan.rate_per_s, plan.burst) == (
            told["method"], path, told["rate"], told["burst"],
        )  # fmt: skip


def test_marketplaces_are_the_published_ones():
    told = {
        each["id"]: each
        for each in json.loads((CONTRACTS / "derived" / "marketplaces.json").read_text())["marketplaces"]
    }
    for each in limits.MARKETPLACES.values():
        assert (each.currency, f"www.{each.domain}", each.region) == (
            told[each.id]["currency"], told[each.id]["domain"], told[each.id]["region"],
        )  # fmt: skip
