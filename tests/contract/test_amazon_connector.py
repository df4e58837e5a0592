"""What the Amazon connector asks and how it takes the answers: requests against Amazon's models, every documented error, paging."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import pytest

from oneshelf.channels.abilities import CancelState, CancelWish, Parcel, PriceOffer
from oneshelf.channels.amazon import Amazon, connect
from oneshelf.channels.amazon.limits import LATE_CALLS
from oneshelf.channels.contract import (
    BudgetSeen,
    Channel,
    Cursor,
    NoAnswer,
    Offer,
    Outlet,
    RawRequest,
    Request,
    Response,
    Secret,
    Seen,
)
from oneshelf.core.errors import Park, Retry, SignInAgain, Unreadable, UsedUp
from oneshelf.core.facts import Money
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown

PAYLOADS = Path(__file__).parent / "payloads" / "amazon"
CONTRACTS = Path(os.environ.get("ONESHELF_CONTRACTS", Path(__file__).parents[3] / "shared" / "contracts"))
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ARN = "arn:aws:sqs:us-east-2:444455556666:queue1"
SETTINGS = {
    "seller_id": "A3TH9S8BH6GOGM",
    "marketplace_ids": "ATVPDKIKX0DER, A2EUQ1WTGCTBG2",
    "queue_url": "https://sqs.us-east-2.amazonaws.com/444455556666/queue1",
    "queue_arn": ARN,
}
APP = {"client_id": "amzn1.application-oa2-client.x", "client_secret": "s+/="}
LISTING = "/listings/2021-08-01/items/A3TH9S8BH6GOGM"


def payload(name: str) -> bytes:
    return (PAYLOADS / f"answer_{name}.json").read_bytes()


def answer(status: int, body: object = b"", **headers: str) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(
        status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}, body=raw, received_at=NOW
    )


class Script:
    """An Http that answers as written, in order, and remembers what it was asked."""

    def __init__(self, *steps: tuple[str, Response | NoAnswer]) -> None:
        self.steps: Iterator[tuple[str, Response | NoAnswer]] = iter(steps)
        self.asked: list[Request] = []

    async def request(self, request: Request) -> Response:
        operation, reply = next(self.steps)
        assert request.operation == operation
        self.asked.append(request)
        if isinstance(reply, NoAnswer):
            raise reply
        return reply

    async def lines(self, request: Request, *, line_bytes_max: int, bytes_max: int) -> AsyncIterator[bytes]:
        assert request.operation == "reportDownload" and request.bare
        for line in (b"seller-sku\tquantity", b"A/1\t3"):
            yield line


def amazon(**more: str) -> Amazon:
    return connect({**SETTINGS, **more})


def query_of(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query, strict_parsing=True).items()}


def offer(sku: str, quantity: int, *, seen: Seen | None = None, **extra: object) -> Offer:
    return Offer(outlet=Outlet(external_id=sku, write_unit=sku, extra=dict(extra)), quantity=quantity, seen=seen)


def outlets(*skus: str) -> list[Outlet]:
    return [Outlet(external_id=sku, write_unit=sku) for sku in skus]


# --- settings, door, auth ---------------------------------------------------------------------------------------------


def test_it_is_a_channel_with_production_hosts() -> None:
    channel = amazon()
    assert isinstance(channel, Channel)
    assert channel.account.endpoint == "https://sellingpartnerapi-na.amazon.com"
    assert channel.account.external_id == "A3TH9S8BH6GOGM:na"
    assert channel.account.marketplace_ids == ("ATVPDKIKX0DER", "A2EUQ1WTGCTBG2")
    assert connect({**SETTINGS, "marketplace_ids": "A1PA6795UKMFR9"}).account.region == "eu"


@pytest.mark.parametrize("wrong", [{"seller_id": " "}, {"marketplace_ids": ","}, {"region": "moon"}])
def test_wrong_settings_are_named(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        connect({**SETTINGS, **wrong})


def test_nothing_that_knocks_is_amazon() -> None:
    door = amazon().door
    knock = RawRequest(method="POST", url="https://shelf.example/hooks", query={}, headers={}, body=b"{}")
    assert door.challenge(knock, {}) is None and door.verify(knock, {}, NOW) is False
    with pytest.raises(Unreadable):
        door.claimed(knock)


SECRET = Secret(values={**APP, "refresh_token": "Atzr|old"}, version=3)


async def test_renewal_sends_the_refresh_grant_and_counts_up() -> None:
    auth = amazon().auth
    grant = {"access_token": "Atza|new", "refresh_token": "Atzr|new", "token_type": "bearer", "expires_in": 3600}
    http = Script(("lwaToken", answer(200, grant)))
    renewed = await auth.renew(http, SECRET, NOW)
    sent = http.asked[0]
    assert (sent.method, sent.url, sent.bare) == ("POST", "https://api.amazon.com/auth/o2/token", True)
    assert dict(parse_qsl(sent.body.decode())) == {"grant_type": "refresh_token", "refresh_token": "Atzr|old", **APP}
    assert renewed.values["access_token"] == "Atza|new" and renewed.values["refresh_token"] == "Atzr|new"
    assert (renewed.expires_at, renewed.version) == (NOW + timedelta(hours=1), 4)
    assert not auth.needs_renewal(renewed, NOW + timedelta(minutes=58))
    assert auth.needs_renewal(renewed, NOW + timedelta(minutes=59)) and auth.needs_renewal(SECRET, NOW)
    request = auth.authorized(Request("GET", "https://x", "getOrder"), renewed)
    assert request.headers["x-amz-access-token"] == "Atza|new" and request.headers["user-agent"].startswith("Oneshelf/")


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer(401, {"error": "invalid_client", "error_description": "Client authentication failed"}), SignInAgain),
        (answer(400, {"error": "invalid_grant", "error_description": "invalid", "error_index": "1"}), SignInAgain),
        (answer(400, {"error": "temporarily_unavailable"}), Retry),
        (answer(400, b"<html>"), Retry),
        (answer(429, {"error": "slow_down"}), Retry),
        (answer(503, b""), Retry),
        (answer(500, {"error": "unknown_error"}), Retry),
        (answer(200, b"<html>"), Retry),
        (NoAnswer("timeout", sent=True), Retry),
    ],
)
async def test_token_errors(reply: Response | NoAnswer, error: type[Exception]) -> None:
    with pytest.raises(error):
        await amazon().auth.renew(Script(("lwaToken", reply)), SECRET, NOW)


def test_only_401_and_403_say_that_the_token_is_refused() -> None:
    auth = amazon().auth
    assert [auth.token_refused(answer(s)) for s in (200, 400, 401, 403, 429, 500)] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]


# --- orders -----------------------------------------------------------------------------------------------------------


def page_of(token: str | None, bound: str | None = "2026-11-23T11:58:00Z", orders: Sequence[object] = ()) -> Response:
    document: dict[str, Any] = {"orders": list(orders), "pagination": {"nextToken": token} if token else {}}
    if bound:
        document["lastUpdatedBefore"] = bound
    return answer(200, document)


async def test_a_run_asks_one_frozen_query_and_ends_at_the_effective_bound() -> None:
    channel, since = amazon(), NOW - timedelta(minutes=20)
    http = Script(("searchOrders", page_of("t/1=", "2026-11-23T11:57:00Z")), ("searchOrders", page_of(None)))
    first = await channel.fetch(http, Cursor(since=since), NOW)
    assert (first.cursor.since, first.complete_through_at) == (since, None)
    # The run survives a restart as JSON, and other settings or a later clock do not change its query.
    stored = json.loads(json.dumps(first.cursor.run))
    last = await channel.fetch(http, Cursor(since=since, run=stored), NOW + timedelta(minutes=3))
    assert last.cursor.run is None
    assert last.complete_through_at == last.cursor.since == datetime(2026, 11, 23, 11, 57, tzinfo=UTC)
    one, two = (query_of(request) for request in http.asked)
    assert one == {
        "lastUpdatedAfter": "2026-11-23T11:40:00.000Z",
        "marketplaceIds": "ATVPDKIKX0DER,A2EUQ1WTGCTBG2",
        "includedData": "BUYER,RECIPIENT,PROCEEDS,PROMOTION,CANCELLATION,FULFILLMENT,PACKAGES,TAX",
        "maxResultsPerPage": "100",
    }
    assert two == {**one, "paginationToken": "t/1="}


async def test_nothing_younger_than_the_visibility_delay_is_called_complete() -> None:
    for bound in ("2026-11-23T11:58:00Z", None):
        page = await amazon().fetch(
            Script(("searchOrders", page_of(None, bound))), Cursor(since=NOW - timedelta(hours=1)), NOW
        )
        assert page.complete_through_at == NOW - timedelta(seconds=150)


async def test_a_cursor_from_the_future_asks_no_empty_window() -> None:
    http = Script(("searchOrders", page_of(None)))
    await amazon().fetch(http, Cursor(since=NOW), NOW)
    assert query_of(http.asked[0])["lastUpdatedAfter"] == "2026-11-23T11:57:30.000Z"


async def test_order_documents_come_byte_by_byte_with_their_inbox_key() -> None:
    http = Script(("searchOrders", answer(200, payload("orders_search"))))
    page = await amazon().fetch(http, Cursor(since=NOW - timedelta(hours=1)), NOW)
    (message,) = page.messages
    assert message.topic == "poll:order" and message.body in payload("orders_search") and message.fetched_at == NOW
    assert re.fullmatch(r"250-1234567-8901234:2024-12-25T06:45:00Z:[0-9a-f]{16}", message.delivery_key)
    assert page.cursor.run is not None and page.cursor.run["token"] == "2YgYW55IGNhcm5hbCBwbGVhc3VyZS4"


async def test_one_unreadable_order_on_a_page_stops_nothing() -> None:
    whole = json.loads(payload("orders_get"))["order"]
    page = await amazon().fetch(
        Script(("searchOrders", page_of(None, orders=[{"strange": 1}, whole]))), Cursor(since=NOW), NOW
    )
    assert [message.delivery_key.split(":")[0] for message in page.messages] == ["unreadable", "171-9876543-2109876"]


async def test_a_page_token_that_amazon_no_longer_takes_starts_the_run_again() -> None:
    since = NOW - timedelta(minutes=20)
    http = Script(("searchOrders", page_of("t1")), ("searchOrders", answer(400, payload("orders_search_400"))))
    first = await amazon().fetch(http, Cursor(since=since), NOW)
    again = await amazon().fetch(http, first.cursor, NOW)
    assert (again.messages, again.cursor, again.complete_through_at) == ((), Cursor(since=since), None)


READ_ERRORS: list[tuple[Response, type[Exception]]] = [
    (answer(400, payload("orders_search_400")), Park),
    (answer(401, {"errors": [{"code": "Unauthorized", "message": "Access denied"}]}), SignInAgain),
    (
        answer(403, {"errors": [{"code": "Unauthorized", "message": "Access to requested resource is denied."}]}),
        SignInAgain,
    ),
    (answer(413, b""), Park),
    (answer(415, b""), Park),
    (answer(429, {"errors": [{"code": "QuotaExceeded", "message": "You exceeded your quota"}]}), UsedUp),
    (answer(500, {"errors": [{"code": "InternalFailure", "message": "Please try again."}]}), Retry),
    (answer(503, b"<html>busy</html>"), Retry),
    (answer(200, b"<html>busy</html>"), Retry),
    (answer(200, payload("orders_search")[:200]), Retry),
    (answer(302, b""), Retry),
]


@pytest.mark.parametrize(("reply", "error"), READ_ERRORS)
async def test_read_errors(reply: Response, error: type[Exception]) -> None:
    channel = amazon()
    calls = {
        "searchOrders": lambda http: channel.fetch(http, Cursor(since=NOW), NOW),
        "getOrder": lambda http: channel.fetch_order(http, "171-9876543-2109876"),
        "searchListingsItems": lambda http: channel.read(http, outlets("S")),
        "getMarketplaceParticipations": channel.who,
    }
    for operation, call in calls.items():
        with pytest.raises(error) as raised:
            await call(Script((operation, reply)))
        # A SignInAgain or an Unreadable is a Park too: the sort must be this very one.
        assert type(raised.value) is error


async def test_throttled_search_waits_one_refill() -> None:
    with pytest.raises(Retry) as throttled:
        await amazon().fetch(Script(("searchOrders", answer(429))), Cursor(since=NOW), NOW)
    assert throttled.value.wait_s is not None and 178 < throttled.value.wait_s < 179


async def test_one_order_is_read_by_id_and_absence_is_none() -> None:
    http = Script(("getOrder", answer(200, payload("orders_get"))), ("getOrder", answer(404)))
    message = await amazon().fetch_order(http, "171-9876543-2109876")
    assert message is not None and len(amazon().parse(message)) == 1
    assert urlsplit(http.asked[0].url).path == "/orders/2026-01-01/orders/171-9876543-2109876"
    assert await amazon().fetch_order(http, "171-0000000-0000000") is None


async def test_a_lost_read_passes_through() -> None:
    with pytest.raises(NoAnswer):
        await amazon().fetch_order(Script(("getOrder", NoAnswer("timeout", sent=True))), "171-1")


# --- reading listings -------------------------------------------------------------------------------------------------


def listing(sku: str, availability: object, status: Sequence[str] = ("BUYABLE",), **more: object) -> dict[str, object]:
    one = {
        "marketplaceId": "ATVPDKIKX0DER",
        "status": list(status),
        "itemName": "Mug",
        "createdDate": more.pop("created", ""),
    }
    return {"sku": sku, "summaries": [one], "fulfillmentAvailability": availability, **more}


def found(*items: object, **more: object) -> Response:
    return answer(200, {"numberOfResults": len(items), "items": list(items), **more})


DEFAULT = "DEFAULT"


async def test_read_matches_by_sku_and_keeps_the_order() -> None:
    http = Script(("searchListingsItems", answer(200, payload("listings_search"))))
    first, second = await amazon().read(http, outlets("NOT-THERE", "GM-ZDPI-9B4E"))
    assert (first.external_id, first.quantity, first.state) == ("NOT-THERE", None, "gone")
    assert (second.external_id, second.quantity, second.state) == ("GM-ZDPI-9B4E", 100, "live")
    assert "'size' is required" in second.problem
    assert query_of(http.asked[0])["identifiers"] == "NOT-THERE,GM-ZDPI-9B4E"
    assert query_of(http.asked[0])["pageSize"] == "20"


@pytest.mark.parametrize(
    ("item", "quantity", "state"),
    [
        (listing("S", [{"fulfillmentChannelCode": DEFAULT, "quantity": "7"}]), 7, "live"),
        (listing("S", [{"fulfillmentChannelCode": DEFAULT, "quantity": 0}], ["DISCOVERABLE"]), 0, "out_of_stock"),
        (listing("S", [{"fulfillmentChannelCode": DEFAULT, "quantity": 4}], []), 4, "inactive"),
        (listing("S", [{"fulfillmentChannelCode": DEFAULT}]), None, "live"),
        (listing("S", []), None, "live"),
        (listing("S", None, ["BUYABLE", "FROM_THE_FUTURE"]), None, "live"),
        ({"sku": "S", "fulfillmentAvailability": [{"fulfillmentChannelCode": DEFAULT, "quantity": 4}]}, 4, "draft"),
        (
            listing("S", [{"fulfillmentChannelCode": "AMAZON_EU"}, {"fulfillmentChannelCode": DEFAULT, "quantity": 4}]),
            None,
            "live",
        ),
    ],
)
async def test_what_a_listing_shows(item: dict[str, object], quantity: int | None, state: str) -> None:
    (seen,) = await amazon().read(Script(("searchListingsItems", found(item))), outlets("S"))
    assert (seen.quantity, seen.state, seen.read_at) == (quantity, state, NOW)


async def test_a_sku_with_a_comma_is_read_by_itself() -> None:
    http = Script(
        ("searchListingsItems", found(listing("B", [{"fulfillmentChannelCode": DEFAULT, "quantity": 2}]))),
        ("getListingsItem", answer(200, payload("listings_item"))),
        ("getListingsItem", answer(404)),
    )
    seen = await amazon().read(http, outlets("A,1", "B", "A,2"))
    assert [(s.external_id, s.quantity, s.state) for s in seen] == [
        ("A,1", 100, "live"),
        ("B", 2, "live"),
        ("A,2", None, "gone"),
    ]
    assert urlsplit(http.asked[1].url).path == f"{LISTING}/A%2C1"


# --- publishing -------------------------------------------------------------------------------------------------------


async def publish(reply: Response | NoAnswer, the_offer: Offer | None = None) -> Outcome:
    (outcome,) = await amazon().publish(Script(("patchListingsItem", reply)), [the_offer or offer("GM-ZDPI-9B4E", 10)])
    return outcome


async def test_quantity_is_merged_into_the_merchants_channel() -> None:
    http = Script(("patchListingsItem", answer(200, payload("listings_patch_accepted"))))
    await amazon().publish(http, [offer("A/1 #ä", 10, marketplace_ids=["A2EUQ1WTGCTBG2"])])
    (sent,) = http.asked
    assert sent.method == "PATCH" and sent.writes and sent.headers["content-type"] == "application/json"
    assert urlsplit(sent.url).path == f"{LISTING}/A%2F1%20%23%C3%A4"
    assert query_of(sent)["marketplaceIds"] == "A2EUQ1WTGCTBG2"
    value = [{"fulfillment_channel_code": "DEFAULT", "quantity": 10}]
    patch = {"op": "merge", "path": "/attributes/fulfillment_availability", "value": value}
    assert json.loads(sent.body) == {"productType": "PRODUCT", "patches": [patch]}


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (answer(200, payload("listings_patch_accepted")), Accepted, None),
        (answer(200, {"sku": "VALIDATION_INVALID", "status": "INVALID"}), Unknown, None),
        (answer(200, {"status": "INVALID", "issues": [{"code": "90000900", "message": "No."}]}), Rejected, "90000900"),
        (answer(200, {"status": "VALID"}), Unknown, None),
        (answer(200, {"sku": "ANOTHER", "status": "ACCEPTED"}), Unknown, None),
        (answer(200, b"<html>"), Unknown, None),
        (answer(200, b""), Unknown, None),
        (answer(400, payload("listings_patch_400")), Rejected, "BAD_REQUEST"),
        (answer(401), Rejected, "unauthorized"),
        (answer(403, {"errors": [{"code": "Unauthorized", "message": "denied"}]}), Rejected, "unauthorized"),
        (answer(404, {"errors": [{"code": "NotFound", "message": "no"}]}), Rejected, "NotFound"),
        (answer(408), Unknown, None),
        (answer(413), Rejected, "413"),
        (answer(415), Rejected, "415"),
        (answer(429, {"errors": [{"code": "QuotaExceeded", "message": "for the application"}]}), Throttled, None),
        (answer(500, {"errors": [{"code": "InternalFailure", "message": "again"}]}), Unknown, None),
        (answer(503, b"<html>"), Unknown, None),
        (NoAnswer("timeout", sent=True), Unknown, None),
        (NoAnswer("refused", sent=False), Throttled, None),
    ],
)
async def test_each_answer_to_a_quantity_has_its_outcome(
    reply: Response | NoAnswer, kind: type[Outcome], code: str | None
) -> None:
    outcome = await publish(reply)
    assert isinstance(outcome, kind)
    assert getattr(outcome, "code", None) == code
    if isinstance(outcome, Accepted):
        assert outcome.reference == "f1dc2914-75dd-11ea-bc55-0242ac130003"
    if isinstance(outcome, Throttled):
        assert outcome.wait_s == (None if isinstance(reply, NoAnswer) else 1)


async def test_official_invalid_answer_is_a_no_with_its_issue() -> None:
    outcome = await publish(answer(200, payload("listings_patch_invalid")), offer("VALIDATION_INVALID", 1))
    assert outcome == Rejected(reason="The attributes are invalid.", code="90000900")


async def test_amazons_own_stock_never_gets_a_quantity() -> None:
    told_by_read = Seen(external_id="S", quantity=None, read_at=NOW, document={"fulfilled_by_channel": True})
    for each in (offer("S", 1, fulfilled_by_channel=True), offer("S", 1, seen=told_by_read)):
        http = Script()
        (outcome,) = await amazon().publish(http, [each])
        assert isinstance(outcome, Rejected) and outcome.code == "fulfilled_by_channel" and http.asked == []


async def test_one_outcome_an_offer_in_order() -> None:
    http = Script(
        ("patchListingsItem", answer(503)),
        ("patchListingsItem", answer(200, {"status": "ACCEPTED", "submissionId": "s"})),
    )
    outcomes = await amazon().publish(http, [offer("A", 1), offer("F", 2, fulfilled_by_channel=True), offer("B", 3)])
    assert [type(outcome) for outcome in outcomes] == [Unknown, Rejected, Accepted]


# --- catalogue --------------------------------------------------------------------------------------------------------


async def test_catalogue_gives_one_outlet_a_sku() -> None:
    page = await amazon().catalogue(Script(("searchListingsItems", answer(200, payload("listings_search")))), None)
    (item,) = page.listings
    assert (item.outlet_external_id, item.listing_keys, item.quantity) == ("GM-ZDPI-9B4E", ("sku:GM-ZDPI-9B4E",), 100)
    assert (item.price_minor, item.currency, item.state) == (10000, "USD", "live")
    assert item.extra["prices"]["A2EUQ1WTGCTBG2"] == {"minor": 13000, "currency": "CAD"}
    assert item.extra["marketplace_ids"] == ["ATVPDKIKX0DER", "A2EUQ1WTGCTBG2"]
    assert page.total == 3 and page.cursor is not None


async def test_catalogue_marks_what_amazon_ships_live_or_only_submitted() -> None:
    live = listing("L", [{"fulfillmentChannelCode": "AMAZON_NA", "quantity": 3}])
    submitted = listing("A", [], attributes={"fulfillment_availability": [{"fulfillment_channel_code": "AMAZON_EU"}]})
    own = listing("M", [{"fulfillmentChannelCode": DEFAULT, "quantity": 1}], attributes="none of ours")
    page = await amazon().catalogue(Script(("searchListingsItems", found(live, submitted, own))), None)
    assert [(item.fulfilled_by_channel, item.quantity) for item in page.listings] == [
        (True, None),
        (True, None),
        (False, 1),
    ]


async def test_catalogue_goes_on_behind_the_thousandth_item() -> None:
    """Two pages reach the end of paging, the rest is found from the last creation date on."""

    def page(n: int, total: int, token: str | None) -> tuple[str, Response]:
        items = [listing(f"S{n}{i}", [], created=f"2026-01-0{n}T00:00:00Z") for i in range(2)]
        pagination = {"nextToken": token} if token else {}
        return "searchListingsItems", answer(200, {"numberOfResults": total, "items": items, "pagination": pagination})

    http = Script(page(1, 5, "t"), page(2, 5, None), page(3, 2, None))
    cursor: dict[str, Any] | None = None
    skus, totals = [], []
    while True:
        got = await amazon().catalogue(http, cursor)
        skus += [item.outlet_external_id for item in got.listings]
        totals.append(got.total)
        cursor = json.loads(json.dumps(got.cursor))
        if cursor is None:
            break
    assert skus == ["S10", "S11", "S20", "S21", "S30", "S31"] and totals == [5, 5, 5]
    queries = [query_of(request) for request in http.asked]
    assert "createdAfter" not in queries[1] and queries[1]["pageToken"] == "t"
    assert queries[2]["createdAfter"] == "2026-01-02T00:00:00Z" and "pageToken" not in queries[2]


async def test_catalogue_goes_on_by_the_report_when_no_later_date_helps() -> None:
    http = Script(("searchListingsItems", answer(200, {"numberOfResults": 9, "items": []})))
    page = await amazon().catalogue(http, None)
    assert page.cursor == {"report": {"left": ["ATVPDKIKX0DER", "A2EUQ1WTGCTBG2"]}, "total": 9} and page.total == 9


# --- who, budgets, notifications --------------------------------------------------------------------------------------


async def test_who_names_seller_region_and_currency() -> None:
    seen = await amazon().who(Script(("getMarketplaceParticipations", answer(200, payload("sellers_participations")))))
    assert (seen.external_id, seen.label, seen.currency) == ("A3TH9S8BH6GOGM:na", "BestSellerStore", "USD")
    assert seen.extra["not_participating"] == ["A2EUQ1WTGCTBG2"]


def test_rate_header_is_a_rate_and_a_429_a_wait() -> None:
    channel, search = amazon(), Request("GET", "https://x", "searchOrders")
    told = answer(200, b"", x_amzn_ratelimit_limit="0.0167")
    assert channel.budget_seen(search, told) == [BudgetSeen(limit="searchOrders", rate_per_s=0.0167)]
    for odd in ("", "fast", "nan", "0", "-1", "inf"):
        assert channel.budget_seen(search, answer(200, b"", x_amzn_ratelimit_limit=odd)) == []
    (wait,) = channel.budget_seen(search, answer(429))
    assert wait.left == 0 and wait.wait_s == pytest.approx(178.6, abs=0.1)
    assert channel.budget_seen(Request("POST", "https://x", "lwaToken"), told) == []


TOKEN = ("lwaToken", answer(200, {"access_token": "Atza|app", "expires_in": 3600, "token_type": "bearer"}))
DESTINATIONS = ("getDestinations", answer(200, payload("notifications_destinations")))
NO_DESTINATIONS = ("getDestinations", answer(200, {"payload": []}))
MADE = ("createDestination", answer(200, payload("notifications_create_destination")))
NO_SUBSCRIPTION = ("getSubscription", answer(404))
SUBSCRIBED = ("createSubscription", answer(200, payload("notifications_create_subscription")))


async def test_first_subscription_makes_destination_and_subscription() -> None:
    http = Script(TOKEN, NO_DESTINATIONS, MADE, NO_SUBSCRIPTION, SUBSCRIBED)
    findings = await amazon().subscribe(http, None, APP)
    assert [(f.what, f.ok) for f in findings] == [("notifications ORDER_CHANGE", True)]
    token, look, make, _, create = http.asked
    assert dict(parse_qsl(token.body.decode())) == {
        "grant_type": "client_credentials",
        "scope": "sellingpartnerapi::notifications",
        **APP,
    }
    # Destinations belong to the application: their own token, sent as it is. Subscriptions are the seller's.
    assert look.bare and make.bare and make.headers["x-amz-access-token"] == "Atza|app"
    assert not create.bare and "x-amz-access-token" not in create.headers
    assert json.loads(make.body)["resourceSpecification"] == {"sqs": {"arn": ARN}}
    assert json.loads(create.body)["destinationId"] == "TEST_CASE_200_DESTINATION_ID"
    assert json.loads(create.body)["processingDirective"]["eventFilter"]["eventFilterType"] == "ORDER_CHANGE"


async def test_subscribing_again_changes_nothing() -> None:
    there = answer(200, {"payload": {"subscriptionId": "s", "payloadVersion": "1.0", "destinationId": "TEST_CASE_200"}})
    http = Script(TOKEN, DESTINATIONS, ("getSubscription", there))
    assert [f.ok for f in await amazon().subscribe(http, None, APP)] == [True]
    assert not any(request.writes for request in http.asked)


async def test_subscription_that_points_elsewhere_is_moved() -> None:
    http = Script(
        TOKEN,
        DESTINATIONS,
        ("getSubscription", answer(200, payload("notifications_get_subscription"))),
        ("deleteSubscriptionById", answer(200, {})),
        SUBSCRIBED,
    )
    assert [f.ok for f in await amazon().subscribe(http, None, APP)] == [True]
    assert http.asked[3].bare and json.loads(http.asked[4].body)["destinationId"] == "TEST_CASE_200"


async def test_conflicts_mean_that_it_is_there() -> None:
    conflict = answer(409, {"errors": [{"code": "Conflict", "message": "exists"}]})
    http = Script(
        TOKEN,
        NO_DESTINATIONS,
        ("createDestination", conflict),
        DESTINATIONS,
        NO_SUBSCRIPTION,
        ("createSubscription", conflict),
    )
    assert [f.ok for f in await amazon().subscribe(http, None, APP)] == [True]


async def test_listing_notices_go_to_the_event_bus_where_one_is_set() -> None:
    http = Script(
        TOKEN, DESTINATIONS, NO_SUBSCRIPTION, SUBSCRIBED, NO_DESTINATIONS, MADE, *[NO_SUBSCRIPTION, SUBSCRIBED] * 2
    )
    findings = await amazon(event_bridge_account_id="444455556666").subscribe(http, None, APP)
    assert [f.what.split()[-1] for f in findings] == [
        "ORDER_CHANGE",
        "LISTINGS_ITEM_MFN_QUANTITY_CHANGE",
        "LISTINGS_ITEM_STATUS_CHANGE",
    ]
    bus = json.loads(http.asked[5].body)["resourceSpecification"]["eventBridge"]
    assert bus == {"region": "us-east-1", "accountId": "444455556666"}
    assert "processingDirective" not in json.loads(http.asked[7].body)


@pytest.mark.parametrize(
    ("steps", "settings", "app"),
    [
        ([], {"queue_arn": ""}, APP),
        ([], {}, {}),
        ([("lwaToken", answer(401, {"error": "invalid_client"}))], {}, APP),
        ([TOKEN, ("getDestinations", answer(403))], {}, APP),
        ([TOKEN, ("getDestinations", NoAnswer("cut", sent=True))], {}, APP),
        ([TOKEN, DESTINATIONS, NO_SUBSCRIPTION, ("createSubscription", answer(400))], {}, APP),
        ([TOKEN, DESTINATIONS, ("getSubscription", answer(503))], {}, APP),
    ],
)
async def test_what_is_missing_is_found_and_said(
    steps: list[tuple[str, Response | NoAnswer]], settings: dict[str, str], app: dict[str, str]
) -> None:
    (finding,) = await amazon(**settings).subscribe(Script(*steps), None, app)
    assert not finding.ok and finding.todo


# --- every request against Amazon's models ----------------------------------------------------------------------------

#: The old orders model first: of an operation that both have, the newer one's word counts.
MODELS = (
    "ordersV0",
    "orders_2026-01-01",
    "feeds_2021-06-30",
    "listingsItems_2021-08-01",
    "notifications",
    "reports_2021-06-30",
    "sellers",
)


def swagger() -> dict[str, tuple[dict[str, Any], str, str, dict[str, Any]]]:
    """operation id → (its model, method, path, operation)."""
    folder = CONTRACTS / "amazon" / "models"
    if not folder.is_dir():
        pytest.skip("Amazon's models are not here; set ONESHELF_CONTRACTS")
    operations = {}
    for name in MODELS:
        model = json.loads((folder / f"{name}.json").read_bytes())
        for path, methods in model["paths"].items():
            for method, operation in methods.items():
                if isinstance(operation, dict) and "operationId" in operation:
                    operations[operation["operationId"]] = (model, method.upper(), path, operation)
    return operations


def check(request: Request) -> None:
    """Assert that a request fits its operation: method, path, each parameter, body. Unknown parameters are refused."""
    import jsonschema

    model, method, template, operation = swagger()[request.operation]
    assert request.method == method
    url = urlsplit(request.url)
    assert re.fullmatch(re.sub(r"\{\w+\}", "[^/?#]+", template), url.path), f"{url.path} is not {template}"
    parameters = [*operation.get("parameters", ()), *model["paths"][template].get("parameters", ())]
    known = {p["name"]: p for p in parameters if p["in"] == "query"}
    given = dict(part.split("=", 1) for part in url.query.split("&")) if url.query else {}
    assert given.keys() <= known.keys(), f"unknown parameters {given.keys() - known.keys()}"
    for name, parameter in known.items():
        assert name in given or not parameter.get("required"), f"{name} is required"
        if name in given:
            check_parameter(unquote(given[name]), parameter)
    bodies = [p for p in parameters if p["in"] == "body"]
    assert bool(bodies) == bool(request.body)
    if bodies:
        schema = {"definitions": model["definitions"], **bodies[0]["schema"]}
        jsonschema.Draft4Validator(schema).validate(json.loads(request.body))


def check_parameter(value: str, parameter: dict[str, Any]) -> None:
    values = value.split(",") if parameter["type"] == "array" else [value]
    rules = parameter.get("items", parameter)
    assert len(values) <= parameter.get("maxItems", len(values)), parameter["name"]
    for one in values:
        assert one in rules.get("enum", [one]), f"{one!r} in {parameter['name']}"
        if rules["type"] == "integer":
            assert int(one) <= parameter.get("maximum", int(one))
        if parameter.get("format") == "date-time":
            assert datetime.fromisoformat(one).tzinfo is not None


async def every_call() -> list[Request]:
    """Make the connector send each operation it knows."""
    channel = amazon(event_bridge_account_id="444455556666")
    moved = [
        ("getSubscription", answer(200, payload("notifications_get_subscription"))),
        ("deleteSubscriptionById", answer(200)),
        SUBSCRIBED,
    ]
    found_none = ("searchListingsItems", found())
    http = Script(
        ("searchOrders", page_of("t")),
        ("searchOrders", page_of(None)),
        ("getOrder", answer(200, payload("orders_get"))),
        found_none,
        (
            "searchListingsItems",
            answer(200, {"numberOfResults": 9, "items": [listing("S", [], created="2026-01-01T00:00:00Z")]}),
        ),
        found_none,
        ("getListingsItem", answer(404)),
        ("createReport", answer(202, {"reportId": "8"})),
        ("getReport", answer(200, {"reportId": "8", "processingStatus": "DONE", "reportDocumentId": "r"})),
        ("getReportDocument", answer(200, {"reportDocumentId": "r", "url": "https://storage.example/r"})),
        found_none,
        ("patchListingsItem", answer(503)),
        ("getMarketplaceParticipations", answer(200, payload("sellers_participations"))),
        TOKEN,
        DESTINATIONS,
        *moved,
        NO_DESTINATIONS,
        MADE,
        *[NO_SUBSCRIPTION, SUBSCRIBED] * 2,
        ("confirmShipment", answer(204)),
        ("createFeedDocument", answer(201, {"feedDocumentId": "d", "url": "https://storage.example/d"})),
        ("feedUpload", answer(200)),
        ("createFeed", answer(202, {"feedId": "7"})),
        ("getOrder", answer(200, payload("orders_get"))),
        ("getFeed", answer(200, {"feedId": "7", "processingStatus": "DONE", "resultFeedDocumentId": "r"})),
        ("getFeedDocument", answer(200, {"feedDocumentId": "r", "url": "https://storage.example/r"})),
        (
            "feedDownload",
            answer(
                200,
                b"<AmazonEnvelope><Message><ProcessingReport><ProcessingSummary/></ProcessingReport></Message></AmazonEnvelope>",
            ),
        ),
        ("getMarketplaceParticipations", answer(200, payload("sellers_participations"))),
        ("getOrder", answer(404)),
        found_none,
        ("getFeeds", answer(200, {"feeds": []})),
        TOKEN,
        DESTINATIONS,
        NO_SUBSCRIPTION,
        NO_DESTINATIONS,
        ("getListingsItem", answer(404)),
        found_none,
        ("patchListingsItem", answer(503)),
    )
    page = await channel.fetch(http, Cursor(since=NOW - timedelta(hours=1)), NOW)
    await channel.fetch(http, page.cursor, NOW)
    await channel.fetch_order(http, "171-9876543-2109876")
    await channel.read(http, outlets(*(f"S/{n}" for n in range(channel.can.read_batch))))
    catalogue = await channel.catalogue(http, None)
    await channel.catalogue(http, catalogue.cursor)
    await channel.read(http, outlets("A,1"))
    cursor: dict[str, Any] | None = {"report": {"left": ["ATVPDKIKX0DER"]}, "total": 9}
    while cursor is not None:
        cursor = (await channel.catalogue(http, cursor)).cursor
    await channel.publish(http, [offer("A/1", 3)])
    await channel.who(http)
    await channel.subscribe(http, None, APP)
    parcel = Parcel("901", {"05015851154158": 1}, NOW, "Bike Courier", "1Z999")
    await channel.ship(http, "171-9876543-2109876", parcel, {"marketplace_id": "ATVPDKIKX0DER"})
    wish = CancelWish("171-9876543-2109876", {"1": 1}, True, "k", {"marketplace_id": "ATVPDKIKX0DER"})
    await channel.cancel(http, wish)
    assert await channel.cancel_state(http, wish, "7") == CancelState("running", "the feed is done")
    unmetered = ("lwaToken", "feedUpload", "feedDownload")  # sign-in, and addresses outside the API
    await channel.check(http, None, APP)
    await channel.listings_of(http, "A/1")
    await channel.read_prices(http, outlets("A/1"))
    await channel.publish_prices(http, [PriceOffer(outlets("A/1")[0], Money(1999, "USD"))])
    return [request for request in http.asked if request.operation not in unmetered]


async def test_every_request_fits_amazons_model_and_is_metered() -> None:
    requests = await every_call()
    metered = {operation for limit in amazon().limits for operation in limit.operations}
    assert {request.operation for request in requests} == metered
    for request in requests:
        check(request)


async def test_limits_are_amazons_own_plans() -> None:
    swagger()
    plans = json.loads((CONTRACTS / "amazon" / "derived" / "operations.json").read_bytes())
    by_operation = {
        plan["operationId"]: (plan["rate"], plan["burst"])
        for plan in sorted(plans["operations"], key=lambda one: "ordersV0" not in one["model"])
        if plan["model"].removesuffix(".json") in MODELS
    }
    account_limits = [limit for limit in amazon().limits if limit.scope == "account"]
    assert {limit.name: (limit.rate_per_s, limit.burst + LATE_CALLS) for limit in account_limits} == {
        limit.name: by_operation[limit.name] for limit in account_limits
    }


PLANTED = {
    "unknown parameter": lambda r: r.url + "&page=2",
    "wrong value": lambda r: r.url.replace("FULFILLMENT", "STATUS"),
    "wrong path": lambda r: r.url.replace("/orders?", "/order?"),
    "no zone": lambda r: r.url.replace(".000Z", ".000"),
}


@pytest.mark.parametrize("violation", PLANTED)
async def test_planted_violations_are_seen(violation: str) -> None:
    request = (await every_call())[0]
    check(request)
    url = PLANTED[violation](request)
    assert url != request.url
    with pytest.raises(AssertionError):
        check(Request(request.method, url, request.operation))


async def test_planted_body_violation_is_seen() -> None:
    import jsonschema

    request = next(r for r in await every_call() if r.operation == "patchListingsItem")
    body = request.body.replace(b'"merge"', b'"remove"')
    with pytest.raises(jsonschema.ValidationError):
        check(Request(request.method, request.url, request.operation, body=body))
