"""The emulated Amazon's further roads: events through EventBridge, the consent page, lists of feeds, reports."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from amazon_client import CUP, DE, FAR, GOODS, MUG, US, Client, error, quantity

from oneshelf_emulator import amazon
from oneshelf_emulator.amazon.console import CONSOLE
from oneshelf_emulator.amazon.marketplace import SWITCHES
from oneshelf_emulator.door import Answer, call
from oneshelf_emulator.world import Product

MFN, STATUS = "LISTINGS_ITEM_MFN_QUANTITY_CHANGE", "LISTINGS_ITEM_STATUS_CHANGE"
REPORTS = "/reports/2021-06-30"
ALL_LISTINGS = "GET_MERCHANT_LISTINGS_ALL_DATA"
BACK = "https://shelf.example/connect/amazon/callback"


# Events


async def bus(client: Client, *kinds: str) -> None:
    """Subscribe types to the seller's event bus."""
    spec = {
        "name": "bus",
        "resourceSpecification": {"eventBridge": {"region": "us-east-1", "accountId": "123456789012"}},
    }
    made = await client.ask("POST", "/notifications/v1/destinations", spec, token=await client.grantless())
    body = {"payloadVersion": "1.0", "destinationId": json.loads(made.body)["payload"]["destinationId"]}
    for kind in kinds:
        answer = await client.ask("POST", f"/notifications/v1/subscriptions/{kind}", body)
        assert answer.status == 200, answer.body


def told(client: Client, kind: str) -> list[Any]:
    return [each for each in client.messages() if each.get("detail-type") == kind]


async def test_every_change_of_a_quantity_is_an_event_a_sale_first_of_all():
    client = Client(notify_on_placement=False)
    await client.subscribe()
    await bus(client, MFN)
    client.buy(CUP=2)
    await client.pass_time(3)
    (event,) = client.messages()  # and no ORDER_CHANGE
    assert event["source"].startswith("aws.partner/sellingpartnerapi.amazon.com/123456789012/")
    assert (event["detail-type"], event["account"], event["region"]) == (MFN, "123456789012", "us-east-1")
    payload = {"SellerId": client.amazon.seller_id, "FulfillmentChannelCode": "DEFAULT", "Sku": CUP, "Quantity": 7}
    assert (event["detail"]["NotificationType"], event["detail"]["Payload"]) == (MFN, payload)
    await client.patch(CUP, quantity(9))
    await client.patch(MUG, quantity(5))  # the number that it shows: no change
    await client.pass_time(130)
    client.amazon.console("set_quantity", sku=MUG, quantity=1)
    await client.pass_time(3)
    assert [(each["detail"]["Payload"]["Sku"], each["detail"]["Payload"]["Quantity"]) for each in told(client, MFN)] == [
        (CUP, 7), (CUP, 9), (MUG, 1),
    ]  # fmt: skip


async def test_a_cancel_that_gives_back_is_an_event_and_amazons_own_stock_is_none():
    client = Client()
    await bus(client, MFN)
    sale = client.buy(CUP=2)
    client.amazon.console("buyer_cancel", order_id=sale.order_id)
    client.buy(FAR=1)
    await client.pass_time(3)
    assert sorted(each["detail"]["Payload"]["Quantity"] for each in told(client, MFN)) == [7, 9]


async def test_without_a_rule_in_the_sellers_account_no_event_arrives():
    client = Client(bus_rule=False)
    await bus(client, MFN)
    client.buy(CUP=2)
    await client.pass_time(3)
    assert client.messages() == []


async def test_a_listing_that_closes_sells_out_or_goes_is_a_status_event():
    client = Client()
    await bus(client, STATUS)
    client.buy(MUG_1=5)
    await client.pass_time(3)
    client.amazon.console("close_listing", sku=CUP)
    await client.pass_time(3)
    client.amazon.console("reopen_listing", sku=CUP)
    await client.pass_time(3)
    client.amazon.console("delete_listing", sku=CUP)
    await client.pass_time(3)
    said = [each["detail"]["Payload"] for each in told(client, STATUS)]
    assert [(each["Sku"], each["Status"]) for each in said] == [
        (MUG, ["DISCOVERABLE"]), (CUP, []), (CUP, ["BUYABLE", "DISCOVERABLE"]), (CUP, ["DELETED"]),
    ]  # fmt: skip


# The consent page


def consent(client: Client, **changes: str) -> str:
    asked = {"application_id": client.amazon.application_id, "state": "s&1", "redirect_uri": BACK, "version": "beta"}
    return urlencode({name: value for name, value in {**asked, **changes}.items() if value})


async def decided(client: Client, answer: str) -> dict[str, str]:
    page = await call(
        client.door, "POST", "/apps/authorize/consent", query=consent(client), body=f"answer={answer}".encode()
    )
    assert page.status == 302
    address = urlsplit(page.headers["location"])
    assert f"{address.scheme}://{address.netloc}{address.path}" == BACK
    return dict(parse_qsl(address.query))


async def test_the_seller_says_yes_and_the_code_works_once_for_its_own_address():
    client = Client()
    page = await call(client.door, "GET", "/apps/authorize/consent", query=consent(client))
    assert page.status == 200 and b"Confirm" in page.body
    client.amazon.tokens.revoke()
    back = await decided(client, "confirm")
    assert back.keys() == {"state", "selling_partner_id", "spapi_oauth_code"}
    assert (back["state"], back["selling_partner_id"]) == ("s&1", client.amazon.seller_id)
    form = {"grant_type": "authorization_code", "code": back["spapi_oauth_code"], "redirect_uri": BACK}
    got = await client.login(**form)
    assert got.status == 200 and json.loads(got.body)["refresh_token"]
    assert (await client.login(**form)).status == 400
    other = await decided(client, "confirm")
    form = {**form, "code": other["spapi_oauth_code"], "redirect_uri": "https://elsewhere.example/"}
    assert json.loads((await client.login(**form)).body)["error"] == "invalid_grant"


async def test_the_seller_says_no():
    assert await decided(Client(), "cancel") == {"state": "s&1", "error": "access_denied"}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"application_id": "amzn1.sp.solution.other"}, b"MD9000"),
        ({"state": ""}, b"MD9000"),
        ({"redirect_uri": ""}, b"MD5101"),
        ({"redirect_uri": "http://shelf.example/plain"}, b"MD5101"),
        ({"version": ""}, b"MD1000"),
    ],
)
async def test_a_consent_address_that_is_wrong_is_not_shown(wrong: dict[str, str], code: bytes):
    client = Client()
    for method in ("GET", "POST"):
        page = await call(client.door, method, "/apps/authorize/consent", query=consent(client, **wrong))
        assert page.status == 400 and code in page.body


async def test_a_published_application_is_no_beta():
    client = Client(application_state="published")
    assert (await call(client.door, "GET", "/apps/authorize/consent", query=consent(client))).status == 400
    assert (await call(client.door, "GET", "/apps/authorize/consent", query=consent(client, version=""))).status == 200


# Lists


async def made_feed(client: Client) -> str:
    made = json.loads((await client.ask("POST", "/feeds/2021-06-30/documents", {"contentType": "text/xml"})).body)
    url = made["url"].removeprefix(client.amazon.base_url)
    await call(client.door, "PUT", url, headers={"content-type": "text/xml"}, body=b"<none/>")
    body = {
        "feedType": "POST_ORDER_ACKNOWLEDGEMENT_DATA",
        "marketplaceIds": [US],
        "inputFeedDocumentId": made["feedDocumentId"],
    }
    return str(json.loads((await client.ask("POST", "/feeds/2021-06-30/feeds", body)).body)["feedId"])


async def test_feeds_are_listed_newest_first_by_their_filters_and_pages():
    client = Client(feed_s=(10, 10))
    ids = []
    for _ in range(3):
        ids.append(await made_feed(client))
        client.clock.advance(1)
    path = "/feeds/2021-06-30/feeds"
    kind = {"feedTypes": "POST_ORDER_ACKNOWLEDGEMENT_DATA"}
    first = json.loads((await client.ask("GET", path, pageSize="2", **kind)).body)
    assert [each["feedId"] for each in first["feeds"]] == [ids[2], ids[1]]
    rest = json.loads((await client.ask("GET", path, nextToken=first["nextToken"])).body)
    assert [each["feedId"] for each in rest["feeds"]] == [ids[0]] and "nextToken" not in rest
    none = json.loads((await client.ask("GET", path, processingStatuses="DONE", **kind)).body)
    assert none == {"feeds": []}
    assert json.loads((await client.ask("GET", path, feedTypes="JSON_LISTINGS_FEED")).body) == {"feeds": []}


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"processingStatuses": "DONE"},
        {"feedTypes": "A", "processingStatuses": "BAD_VALUE"},
        {"feedTypes": "A", "pageSize": "101"},
        {"feedTypes": "A", "createdSince": "yesterday"},
        {"nextToken": "made up"},
        {"nextToken": "x", "feedTypes": "A"},
    ],
)
async def test_a_list_of_feeds_against_the_model_is_refused(query: dict[str, str]):
    assert (await Client().ask("GET", "/feeds/2021-06-30/feeds", **query)).status == 400


# Reports


async def report(client: Client, *places: str) -> str:
    body = {"reportType": ALL_LISTINGS, "marketplaceIds": list(places or (US,))}
    answer = await client.ask("POST", f"{REPORTS}/reports", body)
    assert answer.status == 202, answer.body
    return str(json.loads(answer.body)["reportId"])


async def state(client: Client, report_id: str) -> dict[str, Any]:
    return dict(json.loads((await client.ask("GET", f"{REPORTS}/reports/{report_id}")).body))


async def fetched(client: Client, document_id: str, **query: str) -> Answer:
    found = json.loads((await client.ask("GET", f"{REPORTS}/documents/{document_id}", **query)).body)
    assert found["reportDocumentId"] == document_id and found["compressionAlgorithm"] == "GZIP"
    return await call(client.door, "GET", found["url"].removeprefix(client.amazon.base_url))


async def rows(client: Client, report_id: str) -> list[dict[str, str]]:
    lines = gzip.decompress((await fetched(client, (await state(client, report_id))["reportDocumentId"])).body)
    head, *rest = [line.split("\t") for line in lines.decode("cp1252").splitlines()]
    return [dict(zip(head, row, strict=True)) for row in rest]


async def test_a_report_is_queued_worked_on_and_tells_every_listing():
    client = Client(report_s=(100, 100))
    await client.subscribe("REPORT_PROCESSING_FINISHED", "2020-09-04")
    report_id = await report(client)
    assert (await state(client, report_id))["processingStatus"] == "IN_QUEUE"
    client.clock.advance(50)
    assert (await state(client, report_id))["processingStatus"] == "IN_PROGRESS"
    client.clock.advance(51)
    done = await state(client, report_id)
    assert (done["processingStatus"], done["reportType"], done["marketplaceIds"]) == ("DONE", ALL_LISTINGS, [US])
    found = {each["seller-sku"]: each for each in await rows(client, report_id)}
    assert found.keys() == {MUG, CUP, FAR}
    assert (found[MUG]["quantity"], found[MUG]["price"], found[MUG]["fulfillment-channel"]) == ("5", "19.99", "DEFAULT")
    assert (found[FAR]["quantity"], found[FAR]["fulfillment-channel"], found[FAR]["status"]) == (
        "",
        "AMAZON_NA",
        "Active",
    )
    await client.pass_time(3)
    (message,) = client.messages()
    finished = message["payload"]["reportProcessingFinishedNotification"]
    assert (finished["reportId"], finished["reportDocumentId"]) == (report_id, done["reportDocumentId"])


async def test_an_address_lives_five_minutes_takes_no_token_and_says_how_it_is_packed():
    client = Client(report_s=(1, 1))
    report_id = await report(client)
    client.clock.advance(2)
    document_id = (await state(client, report_id))["reportDocumentId"]
    plain = await fetched(client, document_id)
    assert plain.headers["content-type"] == "text/plain; charset=Cp1252" and "content-encoding" not in plain.headers
    unpacking = await fetched(client, document_id, enableContentEncodingUrlHeader="true")
    assert unpacking.headers["content-encoding"] == "gzip" and unpacking.body == plain.body
    url = json.loads((await client.ask("GET", f"{REPORTS}/documents/{document_id}")).body)["url"]
    path = url.removeprefix(client.amazon.base_url)
    assert (await call(client.door, "GET", path, headers={"x-amz-access-token": client.token})).status == 403
    client.clock.advance(301)
    assert (await call(client.door, "GET", path)).status == 403


async def test_a_report_is_of_one_marketplace_and_what_its_text_lacks_is_a_question_mark():
    goods = [*GOODS, Product("ZAŻÓŁĆ", "Kubek żółty", 100, "USD", 1)]
    client = Client(marketplace_ids=(US, DE), report_s=(1, 1))
    client.amazon.stock_up(goods[3:])
    client.amazon.shelf.listings[MUG].attributes.pop(DE)
    report_id = await report(client, DE, US)
    client.clock.advance(2)
    assert (await state(client, report_id))["marketplaceIds"] == [DE]
    found = [each["seller-sku"] for each in await rows(client, report_id)]
    assert found == [CUP, FAR, "ZA?Ó??"]


async def test_the_same_report_again_within_its_cache_says_what_was():
    client = Client(report_s=(1, 1), report_cache_s=600.0)
    for expected, wait_s in (("9", 10), ("9", 600), ("7", 0)):
        report_id = await report(client)
        client.clock.advance(2)
        (cup,) = [each for each in await rows(client, report_id) if each["seller-sku"] == CUP]
        assert cup["quantity"] == expected
        if client.amazon.shown(CUP) == 9:
            client.buy(CUP=2)
        client.clock.advance(wait_s)


async def test_a_report_can_fail_be_cancelled_in_the_queue_and_find_nothing():
    client = Client(report_s=(100, 100), report_fatal=True)
    failed, cancelled = await report(client), await report(client)
    assert (await client.ask("DELETE", f"{REPORTS}/reports/{cancelled}")).status == 200
    client.clock.advance(101)
    assert (await state(client, failed))["processingStatus"] == "FATAL"
    assert (await state(client, cancelled))["processingStatus"] == "CANCELLED"
    assert (await client.ask("DELETE", f"{REPORTS}/reports/{failed}")).status == 400
    client.amazon.console("switch", name="report_fatal", value=False)
    client.amazon.shelf.listings.clear()
    empty = await report(client)
    client.clock.advance(101)
    assert (await state(client, empty))["processingStatus"] == "CANCELLED"
    listed = json.loads((await client.ask("GET", f"{REPORTS}/reports", reportTypes=ALL_LISTINGS)).body)["reports"]
    assert [each["reportId"] for each in listed] == [empty, failed, cancelled]


WRONG_REPORTS: list[tuple[dict[str, Any], int]] = [
    ({"marketplaceIds": [US]}, 400),
    ({"reportType": "BAD_FEE_DISCOUNTS_REPORT", "marketplaceIds": [US]}, 400),
    ({"reportType": ALL_LISTINGS}, 400),
    ({"reportType": ALL_LISTINGS, "marketplaceIds": [US] * 26}, 400),
    ({"reportType": ALL_LISTINGS, "marketplaceIds": [DE]}, 403),
    ({"reportType": ALL_LISTINGS, "marketplaceIds": [US], "reportOptions": {"custom": True}}, 400),
    ({"reportType": ALL_LISTINGS, "marketplaceIds": [US], "dataStartTime": "yesterday"}, 400),
]


@pytest.mark.parametrize(("body", "status"), WRONG_REPORTS)
async def test_a_report_against_the_model_is_refused(body: dict[str, Any], status: int):
    assert (await Client().ask("POST", f"{REPORTS}/reports", body)).status == status


async def test_what_does_not_exist_is_not_found():
    client = Client()
    assert error(await client.ask("GET", f"{REPORTS}/reports/1")) == (404, "404")
    assert error(await client.ask("GET", f"{REPORTS}/documents/1")) == (404, "404")


def test_the_readme_names_every_switch_and_console_action():
    text = (Path(amazon.__file__).parent / "README.md").read_text()
    missing = [name for name in SWITCHES if f"`{name}`" not in text]
    missing += [name for name in CONSOLE if f"`{name}(" not in text]
    assert missing == []
