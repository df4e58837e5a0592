"""Every static sandbox case of the operations that we call: Amazon's own answer → our client → the fact, the outcome or the refusal.

The cases are the `x-amzn-api-sandbox` examples of Amazon's models, flattened; what our client must make of each stands in `MADE_OF`,
read by hand against the case. An operation that we call and that has cases, but no way to walk them here, fails.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from oneshelf.channels.abilities import CancelWish, Parcel
from oneshelf.channels.amazon import Amazon, connect
from oneshelf.channels.contract import CataloguePage, Cursor, Finding, Offer, Outlet, Request, Response, Seen
from oneshelf.core.errors import Park, Retry, SignInAgain
from oneshelf.core.facts import Fact, Ignored, OrderSeen
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown

CONTRACTS = Path(os.environ.get("ONESHELF_CONTRACTS", Path(__file__).parents[3] / "shared" / "contracts")) / "amazon"
pytestmark = pytest.mark.skipif(not CONTRACTS.is_dir(), reason="Amazon's models are not here; set ONESHELF_CONTRACTS")

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ARN = "arn:aws:sqs:us-east-2:444455556666:queue1"
APP = {"client_id": "amzn1.application-oa2-client.x", "client_secret": "s"}
SETTINGS = {
    "seller_id": "A3TH9S8BH6GOGM",
    "marketplace_ids": "ATVPDKIKX0DER,A2EUQ1WTGCTBG2",
    "queue_url": "https://sqs.us-east-2.amazonaws.com/444455556666/queue1",
    "queue_arn": ARN,
}
CHANNEL = connect(SETTINGS)
SKU, ORDER = "GM-ZDPI-9B4E", "902-1106328-1059050"
WISH = CancelWish(ORDER, {"1": 1}, True, "k", {"marketplace_id": "ATVPDKIKX0DER"})
NO = {"errors": [{"code": "NotFound", "message": "none"}]}
OPEN_ORDER = {
    "order": {
        "orderId": ORDER,
        "createdTime": "2026-11-23T10:00:00Z",
        "lastUpdatedTime": "2026-11-23T10:00:00Z",
        "fulfillment": {"fulfillmentStatus": "UNSHIPPED", "fulfilledBy": "MERCHANT"},
        "orderItems": [{"orderItemId": "1", "quantityOrdered": 1}],
    }
}
#: What else is asked on the way to an operation, and what it is answered.
BESIDE: dict[str, tuple[int, Any]] = {
    "lwaToken": (200, {"access_token": "grantless", "expires_in": 3600}),
    "getOrder": (200, OPEN_ORDER),
    "createFeedDocument": (201, {"feedDocumentId": "d", "url": "https://storage.example/d"}),
    "feedUpload": (200, None),
    "createFeed": (202, {"feedId": "1"}),
    "getFeed": (200, {"feedId": "1", "processingStatus": "DONE", "resultFeedDocumentId": "r"}),
    "feedDownload": (503, None),
    "getDestinations": (200, {"payload": []}),
    "createDestination": (200, {"payload": {"destinationId": "TEST_CASE_200_DESTINATION_ID"}}),
    "getSubscription": (404, NO),
    "createSubscription": (200, {"payload": {"subscriptionId": "s", "destinationId": "d"}}),
    "getMarketplaceParticipations": (200, {"payload": []}),
    "searchListingsItems": (200, {"items": []}),
    "getFeeds": (200, {"feeds": []}),
}

Case = Mapping[str, Any]


class Sandbox:
    """An Http that answers the case's operation with the case, and what is beside it as it must be."""

    def __init__(self, case: Case) -> None:
        self.answers = {**BESIDE, case["operationId"]: (case["status"], case["response"])}
        self.asked: Counter[str] = Counter()
        self.downloaded = ""

    async def lines(self, request: Request, *, line_bytes_max: int, bytes_max: int) -> AsyncIterator[bytes]:
        self.downloaded = request.url
        for line in (b"item-name\tseller-sku", b"Luggage\tGM-ZDPI-9B4E"):
            yield line

    async def request(self, request: Request) -> Response:
        self.asked[request.operation] += 1
        status, body = self.answers[request.operation]
        return Response(status, {}, b"" if body is None else json.dumps(body).encode(), NOW)


# --- words for what came out ------------------------------------------------------------------------------------------


def told(fact: Fact) -> str:
    if isinstance(fact, Ignored):
        return f"ignored: {fact.reason}"
    assert isinstance(fact, OrderSeen)
    lines = ", ".join(
        f"{one.ordered} {one.sku} (-{one.cancelled} cancelled, {one.shipped} shipped)" for one in fact.lines
    )
    total = f"{fact.totals.total.minor} {fact.totals.total.currency}" if fact.totals else "no totals"
    by = " by Amazon" if fact.fulfilled_by_channel else ""
    return f"{fact.order_id} {fact.payment}{by}: {lines}; {total}"


def said(outcome: Outcome) -> str:
    match outcome:
        case Accepted(reference=reference):
            return f"accepted {reference}"
        case Rejected(reason=reason, code=code):
            return f"rejected {code}: {reason}"
        case Throttled(reason=reason):
            return f"throttled: {reason}"
        case Unknown(reason=reason):
            return f"unknown: {reason}"


def shown(seen: Seen) -> str:
    return f"{seen.external_id} shows {seen.quantity}, {seen.state}" + (", by Amazon" if seen.document else "")


def missing(findings: list[Finding], which: str) -> str:
    wrong = [each for each in findings if not each.ok and each.which in (which, "destination")]
    assert wrong or any(each.which == which for each in findings)
    return f"missing: {wrong[0].todo}" if wrong else "as it should be"


# --- the way to each operation ----------------------------------------------------------------------------------------


async def orders(channel: Amazon, http: Sandbox) -> str:
    page = await channel.fetch(http, Cursor(since=NOW - timedelta(hours=1)), NOW)
    facts = [told(fact) for message in page.messages for fact in channel.parse(message)]
    return " | ".join([*facts, "goes on" if page.cursor.run else "complete"])


async def order(channel: Amazon, http: Sandbox) -> str:
    message = await channel.fetch_order(http, ORDER)
    assert message is not None
    return " | ".join(told(fact) for fact in channel.parse(message))


async def shipment(channel: Amazon, http: Sandbox) -> str:
    parcel = Parcel("901", {"79039765272157": 1}, NOW, "FedEx", "112345678")
    return said(await channel.ship(http, ORDER, parcel, {}))


async def reading(channel: Amazon, http: Sandbox) -> str:
    outlets = [Outlet(sku, sku) for sku in (SKU, "NONE")]
    return " | ".join(shown(seen) for seen in await channel.read(http, outlets))


async def one_listing(channel: Amazon, http: Sandbox) -> str:
    (one,) = await channel.listings_of(http, SKU)
    return f"{one.sku} {one.state} {one.quantity}, {one.price_minor} {one.currency}: {one.title}"


async def quantity(channel: Amazon, http: Sandbox, sku: str = SKU) -> str:
    (outcome,) = await channel.publish(http, [Offer(Outlet(sku, sku), 3)])
    return said(outcome)


async def seller(channel: Amazon, http: Sandbox) -> str:
    who = await channel.who(http)
    return f"{who.external_id} {who.label} {who.currency}"


async def cancel(channel: Amazon, http: Sandbox) -> str:
    return said(await channel.cancel(http, WISH))


async def cancelled(channel: Amazon, http: Sandbox) -> str:
    state = await channel.cancel_state(http, WISH, "1")
    return f"{state.state}: {state.reason}"


async def feeds_role(channel: Amazon, http: Sandbox) -> str:
    return missing(await channel.check(http, None, APP), "getFeeds")


async def subscription(channel: Amazon, http: Sandbox) -> str:
    found = missing(await channel.subscribe(http, None, APP), "ORDER_CHANGE")
    calls = [name for name in http.asked if name.endswith(("Destination", "Subscription", "SubscriptionById"))]
    return f"{found} after {', '.join(calls)}"


async def moved_subscription(channel: Amazon, http: Sandbox) -> str:
    http.answers["getSubscription"] = (200, {"payload": {"subscriptionId": "old", "destinationId": "elsewhere"}})
    return await subscription(channel, http)


def step(page: CataloguePage) -> str:
    skus = [one.outlet_external_id for one in page.listings]
    return f"{json.dumps(page.cursor)}, wait {page.again_in_s:g} s" + (f", found {skus}" if skus else "")


def at(**state: Any) -> dict[str, Any]:
    return {"report": {"left": ["ATVPDKIKX0DER"], **state}, "total": 9}


async def report_asked(channel: Amazon, http: Sandbox) -> str:
    return step(await channel.catalogue(http, at()))


async def report_looked_at(channel: Amazon, http: Sandbox) -> str:
    return step(await channel.catalogue(http, at(id="ID323", looks=3)))


async def report_read(channel: Amazon, http: Sandbox) -> str:
    """A channel of its own: one that has read the document before would not ask for it again."""
    page = await connect(SETTINGS).catalogue(http, at(id="ID323", looks=3, document="d"))
    return f"{step(page)} of {http.downloaded}"


WAYS: dict[str, Callable[[Amazon, Sandbox], Awaitable[str]]] = {
    "searchOrders": orders,
    "getOrder": order,
    "confirmShipment": shipment,
    "searchListingsItems": reading,
    "getListingsItem": one_listing,
    "patchListingsItem": quantity,
    "getMarketplaceParticipations": seller,
    "createFeedDocument": cancel,
    "createFeed": cancel,
    "getFeed": cancelled,
    "getFeedDocument": cancelled,
    "getFeeds": feeds_role,
    "getDestinations": subscription,
    "createDestination": subscription,
    "getSubscription": subscription,
    "createSubscription": subscription,
    "deleteSubscriptionById": moved_subscription,
    "createReport": report_asked,
    "getReport": report_looked_at,
    "getReportDocument": report_read,
}

MADE_OF: dict[str, str] = {
    "orders_2026-01-01.searchOrders.200.0": "250-1234567-8901234 paid by Amazon: 1 ECHO-DOT-4-JP-CHARCOAL (-0 cancelled, 1 shipped), 2 FIRE-TV-4K-MAX-JP (-0 cancelled, 2 shipped); 19940 JPY | goes on",
    "orders_2026-01-01.searchOrders.200.1": "202-7654321-1098765 paid: 1 ECHO-DOT-4-UK-CHARCOAL-SINGLE (-0 cancelled, 1 shipped); 3499 GBP | complete",
    "orders_2026-01-01.searchOrders.200.2": "171-2345678-9012345 paid: 1 DELL-I15-BR-001 (-0 cancelled, 0 shipped); 159990 BRL | complete",
    "orders_2026-01-01.searchOrders.400.0": "Park: Amazon searchOrders answered 400: Invalid Input",
    "orders_2026-01-01.getOrder.200.0": "171-9876543-2109876 paid: 1 ECHO-DOT-4-BR-PRETO (-0 cancelled, 0 shipped); 29990 BRL",
    "orders_2026-01-01.getOrder.200.1": "028-1234567-8901234 paid: 2 FIRE-HD10-TR-BLK (-0 cancelled, 2 shipped); 12500 TRY",
    "orders_2026-01-01.getOrder.200.2": "114-9876543-1234567 paid: 1 ECHO-POP-US-BLK (-0 cancelled, 0 shipped); 4999 USD",
    "orders_2026-01-01.getOrder.400.0": "Park: Amazon getOrder answered 400: Invalid Input",
    "ordersV0.confirmShipment.204.0": "accepted 901",
    "ordersV0.confirmShipment.400.0": "rejected Invalid Input: Invalid Input",
    "listingsItems_2021-08-01.getListingsItem.200.0": "GM-ZDPI-9B4E live 100, 10000 USD: Hardside Carry-On Spinner Suitcase Luggage",
    "listingsItems_2021-08-01.getListingsItem.400.0": "Park: Amazon getListingsItem answered 400: Invalid input",
    "listingsItems_2021-08-01.patchListingsItem.200.0": "accepted f1dc2914-75dd-11ea-bc55-0242ac130003",
    "listingsItems_2021-08-01.patchListingsItem.200.1": "unknown: a submission status we don't know: VALID",
    "listingsItems_2021-08-01.patchListingsItem.200.2": "rejected 90000900: The attributes are invalid.",
    "listingsItems_2021-08-01.patchListingsItem.400.0": "rejected BAD_REQUEST: Invalid input",
    "listingsItems_2021-08-01.searchListingsItems.200.0": "GM-ZDPI-9B4E shows 100, live | NONE shows None, gone",
    "listingsItems_2021-08-01.searchListingsItems.400.0": "Park: Amazon searchListingsItems answered 400: Invalid input",
    "feeds_2021-06-30.getFeeds.200.0": "as it should be",
    "feeds_2021-06-30.getFeeds.400.0": "as it should be",
    "feeds_2021-06-30.createFeed.202.0": "accepted 3485934",
    "feeds_2021-06-30.createFeed.400.0": "rejected 400: Invalid input",
    "feeds_2021-06-30.getFeed.200.0": "refused: the feed ended CANCELLED",
    "feeds_2021-06-30.getFeed.400.0": "Park: Amazon getFeed answered 400: Invalid input",
    "feeds_2021-06-30.createFeedDocument.201.0": "accepted 1",
    "feeds_2021-06-30.createFeedDocument.400.0": "rejected 400: Invalid input",
    "feeds_2021-06-30.getFeedDocument.200.0": "Retry: Amazon's result document could not be read (HTTP 503)",
    "feeds_2021-06-30.getFeedDocument.400.0": "Park: Amazon getFeedDocument answered 400: Invalid input",
    "notifications.getSubscription.200.0": "as it should be after createDestination, getSubscription",
    "notifications.createSubscription.200.0": "as it should be after createDestination, getSubscription, createSubscription",
    "notifications.deleteSubscriptionById.200.0": "as it should be after createDestination, getSubscription, deleteSubscriptionById, createSubscription",
    "notifications.getDestinations.200.0": "as it should be after getSubscription, createSubscription",
    "notifications.createDestination.200.0": "as it should be after createDestination, getSubscription, createSubscription",
    "sellers.getMarketplaceParticipations.200.0": "A3TH9S8BH6GOGM:na BestSellerStore USD",
    "reports_2021-06-30.createReport.202.0": (
        '{"report": {"left": ["ATVPDKIKX0DER"], "id": "ID323", "looks": 0}, "total": 9}, wait 15 s'
    ),
    "reports_2021-06-30.createReport.400.0": "Park: Amazon createReport answered 400: Invalid input",
    "reports_2021-06-30.getReport.200.0": (
        '{"report": {"left": ["ATVPDKIKX0DER"], "id": "ID323", "looks": 4}, "total": 9}, wait 15 s'
    ),
    "reports_2021-06-30.getReport.400.0": "Park: Amazon getReport answered 400: Invalid input",
    "reports_2021-06-30.getReportDocument.200.0": (
        "null, wait 0 s of https://d34o8swod1owfl.cloudfront.net/Report_47700__GET_MERCHANT_LISTINGS_ALL_DATA_.txt"
    ),
    "reports_2021-06-30.getReportDocument.400.0": "Park: Amazon getReportDocument answered 400: Invalid input",
}


def cases() -> dict[str, Case]:
    """Return the cases of the operations that we are metered for, by their ids. Orders are read by the newer API alone."""
    metered = {operation for limit in CHANNEL.limits for operation in limit.operations}
    told = json.loads((CONTRACTS / "derived" / "sandbox_cases.json").read_bytes())["cases"]
    return {
        each["id"]: each
        for each in told
        if each["operationId"] in metered and (each["model"], each["operationId"]) != ("ordersV0.json", "getOrder")
    }


async def made_of(case: Case) -> str:
    """Walk one case. A refusal is named by its kind and words."""
    way = WAYS.get(case["operationId"])
    assert way is not None, f"{case['operationId']} has sandbox cases and no way to walk them"
    http = Sandbox(case)
    try:
        if way is quantity and "sku" in case["match"]:
            made = await quantity(CHANNEL, http, case["match"]["sku"]["value"])
        else:
            made = await way(CHANNEL, http)
    except (Park, Retry, SignInAgain) as refusal:
        made = f"{type(refusal).__name__}: {refusal}"
    assert http.asked[case["operationId"]], f"{case['id']} was never asked"
    return made


async def wrong_in(told: Mapping[str, Case]) -> list[str]:
    """Return the cases that our client does not answer as written down, each with both words."""
    found = []
    for name, case in told.items():
        made = await made_of(case)
        if made != MADE_OF.get(name):
            found.append(f"{name}: made {made!r} of it, written down is {MADE_OF.get(name)!r}")
    return found


async def test_every_sandbox_case_gives_what_is_written_down(record_property: Any) -> None:
    told = cases()
    assert await wrong_in(told) == []
    assert told.keys() == MADE_OF.keys(), "each case is written down, and nothing else"
    count = Counter(case["operationId"] for case in told.values())
    record_property("cases", len(told))
    print(f"{len(told)} cases of {len(count)} operations: {dict(count)}")
    assert (len(told), len(count)) == (40, 20)


async def test_an_operation_with_cases_and_no_way_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(WAYS, "getFeed")
    with pytest.raises(AssertionError, match="getFeed has sandbox cases and no way to walk them"):
        await wrong_in(cases())


@pytest.mark.parametrize("name", MADE_OF)
async def test_a_planted_answer_is_seen_in_every_case(name: str) -> None:
    """Another answer than Amazon's must change what comes out: a case that cannot fail proves nothing."""
    case = cases()[name]
    planted = {**case, "status": 503, "response": {"errors": [{"code": "X", "message": "planted"}]}}
    (found,) = await wrong_in({name: planted})
    assert name in found


async def test_a_planted_number_is_seen() -> None:
    name = "listingsItems_2021-08-01.searchListingsItems.200.0"
    planted = json.loads(json.dumps(cases()[name]))
    planted["response"]["items"][0]["fulfillmentAvailability"][0]["quantity"] = 99
    (found,) = await wrong_in({name: planted})
    assert "shows 99" in found
