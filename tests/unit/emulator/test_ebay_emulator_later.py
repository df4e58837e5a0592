"""The emulated eBay: the report of active listings, listings made elsewhere, signatures, the international programme, line refunds."""

from __future__ import annotations

import base64
import io
import zipfile
from typing import Any
from xml.etree import ElementTree

import pytest
from openapi_answers import check_answer
from test_ebay_emulator import (
    FUL,
    INV,
    INVENTORY_SPEC,
    ORDERS_SPEC,
    Client,
    advance,
    bought,
    cancel_body,
    open_shop,
    quantity,
)

TASK_FIELDS = {
    "taskId", "status", "feedType", "creationDate", "completionDate", "schemaVersion", "detailHref", "filterCriteria",
}  # fmt: skip
FEED = "/sell/feed/v1"
ASKED = {"feedType": "LMS_ACTIVE_INVENTORY_REPORT", "schemaVersion": "1.0"}
NS = "{urn:ebay:apis:eBLBaseComponents}"


# --- the report ---------------------------------------------------------------------------------------------------------


async def asked(client: Client, body: Any = ASKED, site: str = "EBAY_US") -> str:
    answer, _ = await client("POST", f"{FEED}/inventory_task", json_body=body, x_ebay_c_marketplace_id=site)
    assert answer.status == 202 and not answer.body
    return answer.headers["location"].rpartition("/")[2]


async def rows(client: Client, task: str) -> dict[str, tuple[str, int]]:
    answer, _ = await client("GET", f"{FEED}/task/{task}/download_result_file")
    assert answer.headers["content-type"] == "application/octet-stream"
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        root = ElementTree.fromstring(archive.read(archive.namelist()[0]))
    found = {}
    for details in root.iter(f"{NS}SKUDetails"):
        listing = details.findtext(f"{NS}ItemID") or ""
        for one in list(details.iter(f"{NS}Variation")) or [details]:
            found[one.findtext(f"{NS}SKU") or "?"] = (listing, int(one.findtext(f"{NS}Quantity") or -1))
    return found


async def test_the_report_is_made_in_time_and_holds_every_active_listing() -> None:
    world, ebay, client = open_shop(report_s=60)
    ebay.console("list_in_seller_hub", sku="HUB", quantity=2)
    task = await asked(client, {**ASKED, "filterCriteria": {"listingFormat": "FIXED_PRICE"}})
    for seconds, status in ((0, "QUEUED"), (40, "IN_PROCESS"), (20, "COMPLETED")):
        advance(world, seconds)
        _, document = await client("GET", f"{FEED}/inventory_task/{task}")
        assert document["status"] == status
        if status != "COMPLETED":
            assert await client.error("GET", f"{FEED}/task/{task}/download_result_file") == (404, 160014)
    assert set(document) == TASK_FIELDS
    found = await rows(client, task)
    assert found["HUB"][1] == 2 and found["MUG"][1] == 5
    assert found["TEE-RED-M"][0] == found["TEE-RED-L"][0] and len({listing for listing, _ in found.values()}) == 4
    await client.write(quantity("MUG", 0))
    assert "MUG" not in await rows(client, await asked_later(world, client)), "out of stock: the worse of two readings"
    ebay.switches["report_has_out_of_stock"] = True
    assert (await rows(client, await asked_later(world, client)))["MUG"][1] == 0


async def asked_later(world: Any, client: Client) -> str:
    task = await asked(client)
    advance(world, 60)
    return task


@pytest.mark.parametrize(
    ("body", "site", "error"),
    [
        ({**ASKED, "feedType": "LMS_ORDER_REPORT"}, "EBAY_US", (400, 160017)),
        ({**ASKED, "schemaVersion": "2.0"}, "EBAY_US", (400, 160018)),
        ({**ASKED, "filterCriteria": {"listingFormat": "ANY"}}, "EBAY_US", (400, 160019)),
        (ASKED, "US", (400, 160027)),
        ({**ASKED, "more": 1}, "EBAY_US", (400, 2004)),
    ],
)
async def test_a_report_asked_for_wrongly_is_refused(body: Any, site: str, error: tuple[int, int]) -> None:
    _, _, client = open_shop()
    path = f"{FEED}/inventory_task"
    assert await client.error("POST", path, json_body=body, x_ebay_c_marketplace_id=site) == error
    assert await client.error("GET", f"{path}/task-10-1") == (404, 160003)


async def test_reports_are_counted_and_may_fail() -> None:
    world, _, client = open_shop(limits={"lms_task": 1}, failed_report_share=1.0, report_s=1)
    task = await asked(client)
    path = f"{FEED}/inventory_task"
    assert await client.error("POST", path, json_body=ASKED, x_ebay_c_marketplace_id="EBAY_US") == (409, 160025)
    advance(world, 1)
    assert (await client("GET", f"{path}/{task}"))[1]["status"] == "FAILED"


# --- listings made elsewhere --------------------------------------------------------------------------------------------


async def migrated(client: Client, *ids: str) -> tuple[int, list[dict[str, Any]]]:
    body = {"requests": [{"listingId": one} for one in ids]}
    answer, document = await client("POST", f"{INV}/bulk_migrate_listing", json_body=body)
    check_answer(INVENTORY_SPEC, "BulkMigrateListingResponse", document)
    return answer.status, document["responses"]


async def test_a_listing_made_in_seller_hub_is_invisible_until_migrated() -> None:
    world, ebay, client = open_shop()
    made = ebay.console("list_in_seller_hub", sku="HUB", sizes=["S", "M"], quantity=2)["listing_id"]
    assert await client.error("GET", f"{INV}/inventory_item/HUB-S") == (404, 25702)
    assert await client.error("GET", f"{INV}/offer?sku=HUB-S") == (404, 25713)
    assert (await client("GET", f"{INV}/inventory_item"))[0].status == 400  # Accept-Language
    _, page = await client("GET", f"{INV}/inventory_item", accept_language="en-US")
    assert page["total"] == 4
    assert (await client.write(quantity("HUB-S", 1)))[1] == [(404, 25702)]
    sale = bought(ebay, **{"HUB-S": 1})  # it sells all the same
    advance(world, 5)
    _, order = await client("GET", f"{FUL}/order/{sale.order_id}")
    assert order["lineItems"][0]["sku"] == "HUB-S"
    status, [row] = await migrated(client, made)
    assert (status, row["statusCode"]) == (200, 200)
    assert [one["sku"] for one in row["inventoryItems"]] == ["HUB-S", "HUB-M"] and row["inventoryItemGroupKey"]
    _, item = await client("GET", f"{INV}/inventory_item/HUB-S")
    assert item["availability"]["shipToLocationAvailability"]["quantity"] == 1
    assert await client.write(quantity("HUB-S", 7)) == (200, [(200, None)]) and ebay.shown("HUB-S") == 7


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"named": False}, "has no SKU"),
        ({"fixed_price": False}, "fixed price"),
        ({"policies": False}, "Business policies"),
    ],
)
async def test_what_can_not_be_migrated_is_refused_by_itself(made: dict[str, Any], words: str) -> None:
    _, ebay, client = open_shop()
    good = ebay.console("list_in_seller_hub", sku="GOOD")["listing_id"]
    bad = ebay.console("list_in_seller_hub", sku="BAD", **made)["listing_id"]
    status, [first, second] = await migrated(client, bad, good)
    assert (status, first["statusCode"], second["statusCode"]) == (207, 400, 200)
    assert first["errors"][0]["errorId"] == 25718 and words in first["errors"][0]["message"]
    _, [again] = await migrated(client, good)
    assert "already" in again["errors"][0]["message"]
    six = {"requests": [{"listingId": str(n)} for n in range(6)]}
    assert await client.error("POST", f"{INV}/bulk_migrate_listing", json_body=six) == (400, 25709)


async def test_a_share_of_the_shelf_may_be_made_in_seller_hub() -> None:
    _, ebay, client = open_shop(seller_hub_share=1.0)
    _, page = await client("GET", f"{INV}/inventory_item", accept_language="en-US")
    assert page["total"] == 0 and ebay.shown("MUG") == 5


# --- signatures ---------------------------------------------------------------------------------------------------------


async def test_a_seller_of_the_eu_signs_what_moves_money_and_nothing_else() -> None:
    world, ebay, client = open_shop(signatures_required=True)
    assert base64.b64decode(client.who["signing_private_key"]) and client.who["signing_jwe"]
    assert "signing_jwe" not in open_shop()[1].credentials()
    sale = bought(ebay)
    advance(world, 5)
    _, order = await client("GET", f"{FUL}/order/{sale.order_id}")
    answer, refusal = await client.post_order("POST", "", json_body=cancel_body(order))
    assert (answer.status, refusal["error"][0]["errorId"]) == (403, 215000)
    wrong = {
        "signature_input": 'sig1=("content-digest" "x-ebay-signature-key" "@method" "@path" "@authority");created=1893456000',
        "signature": "sig1=:AAAA:",
        "x_ebay_signature_key": client.who["signing_jwe"],
    }
    answer, refusal = await client.post_order("POST", "", json_body=cancel_body(order), **wrong)
    assert (answer.status, refusal["error"][0]["errorId"]) == (403, 215122)
    asked = {"legacyOrderId": order["legacyOrderId"]}
    assert (await client.post_order("POST", "/check_eligibility", json_body=asked))[0].status == 200
    refund = {
        "reasonForRefund": "BUYER_CANCEL",
        "orderLevelRefundAmount": order["pricingSummary"]["total"],
    }
    assert await client.error("POST", f"{FUL}/order/{sale.order_id}/issue_refund", json_body=refund) == (403, 215000)


# --- orders -------------------------------------------------------------------------------------------------------------


async def test_an_order_by_the_international_programme_names_the_hub_and_its_reference() -> None:
    world, ebay, client = open_shop()
    sale = bought(ebay)
    reference = ebay.console("send_through_hub", order_id=sale.order_id)["reference"]
    advance(world, 5)
    _, order = await client("GET", f"{FUL}/order/{sale.order_id}")
    check_answer(ORDERS_SPEC, "FulfillmentStartInstruction", order["fulfillmentStartInstructions"][0])
    [start] = order["fulfillmentStartInstructions"]
    assert start["ebaySupportedFulfillment"] is True and start["shippingStep"]["shipToReferenceId"] == reference
    assert start["shippingStep"]["shipTo"]["contactAddress"]["city"] == "Erlanger"
    assert start["finalDestinationAddress"]["addressLine1"] == "1 Elm St"


async def test_a_refund_of_a_line_stands_at_the_line_only() -> None:
    world, ebay, client = open_shop(refund_s=10)
    sale = bought(ebay, MUG=2)
    advance(world, 5)
    path = f"{FUL}/order/{sale.order_id}"
    _, order = await client("GET", path)
    part = {
        "lineItemId": order["lineItems"][0]["lineItemId"],
        "refundAmount": {"value": "2.00", "currency": "USD"},
    }
    body = {"reasonForRefund": "OTHER_ADJUSTMENT", "refundItems": [part]}
    assert (await client("POST", f"{path}/issue_refund", json_body=body))[0].status == 200
    for seconds, dated in ((0, False), (10, True)):
        advance(world, seconds)
        _, order = await client("GET", path)
        assert order["paymentSummary"]["refunds"] == []
        [refund] = order["lineItems"][0]["refunds"]
        assert refund["amount"]["value"] == "2.00" and ("refundDate" in refund) is dated
