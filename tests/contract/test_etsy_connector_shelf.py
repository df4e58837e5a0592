"""Etsy: catalogue, reads, whole-listing writes; every request against the published specification."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema
import pytest

from oneshelf.channels.contract import NoAnswer, Offer, Outlet, Request, Response, Seen
from oneshelf.channels.etsy import connect
from oneshelf.core.errors import Park, Retry
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown

PAYLOADS = Path(__file__).parent / "payloads" / "etsy"
CONTRACTS = Path(os.environ.get("ONESHELF_CONTRACTS") or Path(__file__).parents[3] / "shared" / "contracts")
NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
SHOP = connect({"shop_id": "12345"})
ROOT = "https://openapi.etsy.com/v3/application"

M = "123456789/200=Red;62809790503=M"
L = "123456789/200=Red;62809790503=L"


class Scripted:
    """An Http that gives prepared answers in order, and holds every request against Etsy's specification."""

    def __init__(self, *answers: object) -> None:
        self.answers, self.asked = list(answers), []

    async def request(self, request: Request) -> Response:
        self.asked.append(request)
        fits_the_specification(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body, *headers = answer
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Response(status, headers[0] if headers else {}, raw, NOW)

    @property
    def done(self) -> list[str]:
        return [f"{one.method} {one.url.removeprefix(ROOT)}" for one in self.asked]


@cache
def specification() -> dict[str, Any] | None:
    path = CONTRACTS / "etsy" / "etsy_openapi_v3.normalized.json"
    return json.loads(path.read_text()) if path.exists() else None


def fits_the_specification(request: Request) -> None:
    spec = specification()
    if spec is None:
        return
    address = urlsplit(request.url)
    for path, methods in spec["paths"].items():
        if re.fullmatch(re.sub(r"\{[a-z_]+\}", r"\\d+", path), address.path) and request.method.lower() in methods:
            operation = methods[request.method.lower()]
            break
    else:
        raise AssertionError(f"no such operation: {request.method} {address.path}")
    assert operation["operationId"] == request.operation
    known = {
        parameter["name"]: parameter["schema"] for parameter in operation["parameters"] if parameter["in"] == "query"
    }
    for name, value in parse_qsl(address.query):
        assert name in known, f"{request.operation} has no parameter {name}"
        jsonschema.validate(_typed(value, known[name]), known[name])
    if request.body:
        [(kind, form)] = operation["requestBody"]["content"].items()
        assert request.headers["content-type"] == kind
        body = json.loads(request.body) if kind == "application/json" else dict(parse_qsl(request.body.decode()))
        jsonschema.validate(body, _nullable(form["schema"]))


def _typed(value: str, schema: dict[str, Any]) -> Any:
    if schema.get("type") == "array":
        return [_typed(one, schema["items"]) for one in value.split(",")]
    return int(value) if schema.get("type") == "integer" else value


def _nullable(schema: Any) -> Any:
    """OpenAPI 3.0 writes null as `nullable`; a read-only copy in JSON Schema's words."""
    if isinstance(schema, list):
        return [_nullable(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {name: _nullable(one) for name, one in schema.items() if name not in ("nullable", "format")}
    if schema.get("nullable") and isinstance(copy.get("type"), str):
        copy["type"] = [copy["type"], "null"]
    return copy


def inventory(state: str = "active", **changes: object) -> dict[str, Any]:
    document = {**json.loads((PAYLOADS / "inventory_two_sizes.json").read_text()), **changes}
    document["listing"]["state"] = state
    return document


def single(state: str = "active", quantity: int = 4) -> dict[str, Any]:
    product = inventory()["products"][0]
    product["property_values"], product["offerings"][0]["quantity"] = [], quantity
    return inventory(state, products=[product], quantity_on_property=[], sku_on_property=[])


def keeps(medium: int, large: int) -> dict[str, Any]:
    """Etsy's answer to a write of numbers: what the listing keeps."""
    document = inventory("inactive")
    numbers = {"TEE-RED-M": medium, "TEE-RED-L": large}
    for product in document["products"]:
        for offering in product["offerings"]:
            offering["quantity"] = numbers.get(product["sku"], offering["quantity"])
    return document


def outlet(key: str) -> Outlet:
    return Outlet(key, key.partition("/")[0])


async def seen(document: dict[str, Any], *keys: str) -> list[Seen]:
    return await SHOP.read(Scripted((200, document)), [outlet(key) for key in keys])


async def publish(document: dict[str, Any], wanted: dict[str, int], *answers: object) -> tuple[Scripted, list[Outcome]]:
    shown = await seen(document, *wanted)
    http = Scripted(*answers)
    offers = [Offer(outlet(one.external_id), wanted[one.external_id], one) for one in shown]
    return http, await SHOP.publish(http, offers)


def written(request: Request) -> dict[str, tuple[int, bool]]:
    return {
        product["sku"]: (product["offerings"][0]["quantity"], product["offerings"][0]["is_enabled"])
        for product in json.loads(request.body)["products"]
    }


# --- the judge itself ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(specification() is None, reason="Etsy's specification is not here (ONESHELF_CONTRACTS)")
@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", f"{ROOT}/shops/12345/receipts?limit=101", "getShopReceipts"),
        Request("GET", f"{ROOT}/shops/12345/receipts?page=2", "getShopReceipts"),
        Request("GET", f"{ROOT}/shops/12345/receipts?sort_on=modified", "getShopReceipts"),
        Request("GET", f"{ROOT}/shops/12345/orders", "getShopReceipts"),
        Request(
            "PUT",
            f"{ROOT}/listings/1/inventory",
            "updateListingInventory",
            {"content-type": "application/json"},
            b'{"products":[{"offerings":[{"price":1.0,"quantity":1,"is_enabled":true}]}]}',
        ),
        Request(
            "PATCH",
            f"{ROOT}/shops/1/listings/1",
            "updateListing",
            {"content-type": "application/json"},
            b'{"state":"x"}',
        ),
    ],
)
def test_planted_violations_are_seen(request_: Request) -> None:
    with pytest.raises((AssertionError, jsonschema.ValidationError)):
        fits_the_specification(request_)


# --- catalogue -------------------------------------------------------------------------------------------------------


def listing(number: int, **changes: object) -> dict[str, Any]:
    whole = inventory()
    whole.pop("listing")
    row = {
        "listing_id": number,
        "title": "T-shirt",
        "state": "active",
        "quantity": 10,
        "skus": ["TEE"],
        "inventory": whole,
    }
    return {**row, **changes}


async def test_catalogue_names_an_outlet_an_offering() -> None:
    http = Scripted((200, {"count": 1, "results": [listing(123456789)]}))
    page = await SHOP.catalogue(http, None)
    assert http.done == ["GET /shops/12345/listings?state=active&limit=100&offset=0&includes=Inventory"]
    medium, large = page.listings
    assert (medium.outlet_external_id, large.outlet_external_id) == (M, L)
    assert medium.listing_keys == (
        "product:123456789/200=Red;62809790503=M",
        "product:123456789/#200=1213;62809790503=2152",
        "sku:TEE-RED-M",
    )
    assert (medium.write_unit, medium.quantity, medium.sku, medium.state) == ("123456789", 7, "TEE-RED-M", "live")
    assert (medium.title, medium.price_minor, medium.currency) == ("T-shirt · Red · M", 1990, "USD")
    assert page.cursor == {"state": 1, "offset": 0}


async def test_catalogue_sweeps_five_states_and_ends() -> None:
    http = Scripted(*[(200, {"count": 0, "results": []})] * 5)
    cursor: dict[str, Any] | None = None
    for _ in range(5):
        cursor = (await SHOP.catalogue(http, cursor)).cursor
    assert cursor is None
    assert [part.split("state=")[1].split("&")[0] for part in http.done] == [
        "active",
        "inactive",
        "sold_out",
        "draft",
        "expired",
    ]


async def test_catalogue_pages_overlap() -> None:
    hundred = [listing(number, inventory=None) for number in range(1, 101)]
    page = await SHOP.catalogue(Scripted((200, {"count": 150, "results": hundred})), None)
    assert page.cursor == {"state": 0, "offset": 90}
    last = await SHOP.catalogue(Scripted((200, {"count": 150, "results": hundred[:60]})), page.cursor)
    assert last.cursor == {"state": 1, "offset": 0}


async def test_products_that_share_a_quantity_share_an_outlet() -> None:
    shared = listing(5)
    shared["inventory"]["quantity_on_property"] = []
    by_color = listing(6)
    by_color["inventory"]["quantity_on_property"] = [200]
    page = await SHOP.catalogue(Scripted((200, {"count": 2, "results": [shared, by_color]})), None)
    assert [one.outlet_external_id for one in page.listings] == ["5", "5", "6/200=Red", "6/200=Red"]
    assert len({one.listing_keys for one in page.listings}) == 4


async def test_closed_listings_show_nothing() -> None:
    rows = [
        listing(5, state="inactive"),
        listing(6, state="sold_out", inventory=None, quantity=0),
        listing(7, inventory=None, quantity=3),
    ]
    page = await SHOP.catalogue(Scripted((200, {"count": 3, "results": rows})), None)
    assert [(one.quantity, one.state) for one in page.listings] == [
        (0, "inactive"),
        (0, "inactive"),
        (0, "out_of_stock"),
        (3, "live"),
    ]
    assert page.listings[3].listing_keys == ("product:7/", "listing:7", "sku:TEE")


# --- read ------------------------------------------------------------------------------------------------------------


async def test_one_listing_is_read_by_itself() -> None:
    http = Scripted((200, inventory()))
    medium, large = await SHOP.read(http, [outlet(M), outlet(L)])
    assert http.done == ["GET /listings/123456789/inventory?includes=Listing"]
    assert (medium.quantity, medium.state, large.quantity) == (7, "live", 3)
    assert medium.document == large.document
    assert medium.document["state"] == "active" and "listing" not in medium.document["inventory"]


async def test_several_are_read_by_batch_and_one_missing_does_not_hide_the_others() -> None:
    here = {"count": 1, "results": [listing(1)]}
    http = Scripted(
        (404, {"error": "Resource not found"}),  # 1, 2, 3 together
        (200, single()),  # 1 alone
        (404, {"error": "Resource not found"}),  # 2, 3 together
        (404, {"error": "Resource not found"}),  # inventory of 2
        (404, {"error": "Resource not found"}),  # listing 2
        (200, single(quantity=0)),  # 3 alone
    )
    first, second, third = await SHOP.read(http, [outlet("1"), outlet("2"), outlet("3")])
    assert http.done[0] == "GET /listings/batch/inventory?listing_ids=1,2,3"
    assert (first.quantity, second.quantity, second.state) == (4, None, "gone")
    assert (third.quantity, third.state) == (0, "out_of_stock")
    http = Scripted((200, here), (200, single()))
    one, two = await SHOP.read(http, [Outlet("1/200=Red;62809790503=L", "1"), outlet("2")])
    assert (one.quantity, two.quantity) == (3, 4)


async def test_no_inventory_record_is_not_gone() -> None:
    http = Scripted((404, {"error": "Resource not found"}), (200, {"listing_id": 8, "state": "active", "quantity": 2}))
    [one] = await SHOP.read(http, [outlet("8")])
    assert (one.quantity, one.state, one.document) == (2, "live", None)
    assert "no inventory record" in one.problem


async def test_variation_that_vanished_is_gone_and_unreadable_number_is_unknown() -> None:
    [one] = await seen(inventory(), "123456789/200=Blue")
    assert (one.quantity, one.state) == (None, "gone")
    broken = single()
    broken["products"][0]["offerings"][0]["quantity"] = None
    [two] = await seen(broken, "123456789")
    assert (two.quantity, two.state) == (None, "live")
    assert "without a quantity" in two.problem


async def test_disabled_offering_shows_nothing() -> None:
    document = inventory()
    document["products"][0]["offerings"][0]["is_enabled"] = False
    medium, large = await seen(document, M, L)
    assert (medium.quantity, medium.state, large.quantity) == (0, "inactive", 3)


async def test_read_that_fails_is_tried_again() -> None:
    with pytest.raises(Retry):
        await SHOP.read(Scripted((503, b"<html>")), [outlet("1")])


# --- publish ---------------------------------------------------------------------------------------------------------


async def test_a_write_keeps_every_product_and_sends_what_a_read_gave() -> None:
    http, outcomes = await publish(inventory(), {M: 2}, (200, {}))
    assert http.done == ["PUT /listings/123456789/inventory"]
    assert outcomes == [Accepted("123456789")]
    assert json.loads(http.asked[0].body) == {
        "products": [
            {
                "sku": "TEE-RED-M",
                "property_values": [
                    {
                        "property_id": 200,
                        "property_name": "Primary color",
                        "scale_id": None,
                        "value_ids": [1213],
                        "values": ["Red"],
                    },
                    {
                        "property_id": 62809790503,
                        "property_name": "Size",
                        "scale_id": 42,
                        "value_ids": [2152],
                        "values": ["M"],
                    },
                ],
                "offerings": [{"price": 19.9, "quantity": 2, "is_enabled": True, "readiness_state_id": 1234567890}],
            },
            {
                "sku": "TEE-RED-L",
                "property_values": [
                    {
                        "property_id": 200,
                        "property_name": "Primary color",
                        "scale_id": None,
                        "value_ids": [1213],
                        "values": ["Red"],
                    },
                    {
                        "property_id": 62809790503,
                        "property_name": "Size",
                        "scale_id": 42,
                        "value_ids": [2153],
                        "values": ["L"],
                    },
                ],
                "offerings": [{"price": 19.9, "quantity": 3, "is_enabled": True, "readiness_state_id": 1234567890}],
            },
        ],
        "price_on_property": [],
        "quantity_on_property": [200, 62809790503],
        "sku_on_property": [200, 62809790503],
        "readiness_state_on_property": [],
    }
    assert http.asked[0].writes


async def test_one_write_a_listing_for_all_its_offers() -> None:
    http, outcomes = await publish(inventory(), {M: 2, L: 0}, (200, {}))
    assert [written(one) for one in http.asked] == [{"TEE-RED-M": (2, True), "TEE-RED-L": (0, True)}]
    assert outcomes == [Accepted("123456789")] * 2


async def test_all_zero_closes_the_listing_instead() -> None:
    http, outcomes = await publish(inventory(), {M: 0, L: 0}, (200, {}))
    assert http.done == ["PATCH /shops/12345/listings/123456789"]
    assert http.asked[0].body == b"state=inactive"
    assert outcomes == [Accepted("123456789")] * 2


async def test_zero_on_a_closed_listing_sends_nothing() -> None:
    for state in ("inactive", "sold_out", "draft", "expired"):
        http, outcomes = await publish(single(state), {"123456789": 0})
        assert http.done == []
        assert isinstance(outcomes[0], Accepted)


async def test_reopening_writes_numbers_first_and_forgets_the_ones_from_before() -> None:
    http, outcomes = await publish(inventory("inactive"), {M: 5}, (200, keeps(5, 0)), (200, {}))
    assert http.done == ["PUT /listings/123456789/inventory", "PATCH /shops/12345/listings/123456789"]
    assert written(http.asked[0]) == {"TEE-RED-M": (5, True), "TEE-RED-L": (0, True)}
    assert http.asked[1].body == b"state=active"
    assert outcomes == [Accepted("123456789")]


async def test_FC_D08_a_listing_that_keeps_other_numbers_than_it_was_told_stays_closed() -> None:
    """Etsy says yes and does nothing: open, the old number is on sale, and a strict SKU's piece twice (I15)."""
    http, outcomes = await publish(inventory("inactive"), {M: 1}, (200, keeps(5, 0)))
    assert http.done == ["PUT /listings/123456789/inventory"]
    assert isinstance(outcomes[0], Unknown)
    http, outcomes = await publish(inventory("inactive"), {M: 1}, (200, {}), (200, keeps(1, 0)), (200, {}))
    assert [line.split()[0] for line in http.done] == ["PUT", "GET", "PATCH"]
    assert outcomes == [Accepted("123456789")]
    http, outcomes = await publish(inventory("inactive"), {M: 1}, (200, {}), (503, {}))
    assert isinstance(outcomes[0], Unknown)


async def test_reopening_that_fails_half_way() -> None:
    http, outcomes = await publish(
        inventory("inactive"), {M: 5, L: 0}, (200, keeps(5, 0)), (400, {"error": "no shipping profile"})
    )
    assert outcomes == [Rejected("no shipping profile", code="400"), Accepted("123456789")]
    http, outcomes = await publish(inventory("inactive"), {M: 5}, (400, {"error": "quantity cannot be empty"}))
    assert len(http.done) == 1
    assert outcomes == [Rejected("quantity cannot be empty", code="400")]


async def test_sold_out_is_renewed_first_and_only_for_a_quantity() -> None:
    http, outcomes = await publish(single("sold_out", 0), {"123456789": 6}, (200, {}), (200, {}))
    assert http.done == ["PATCH /shops/12345/listings/123456789", "PUT /listings/123456789/inventory"]
    assert written(http.asked[1]) == {"TEE-RED-M": (6, True)}
    assert outcomes == [Accepted("123456789")]
    http, outcomes = await publish(single("sold_out", 0), {"123456789": 6}, (500, {"error": "Server Error"}))
    assert len(http.done) == 1 and isinstance(outcomes[0], Unknown)
    http, outcomes = await publish(single("sold_out", 0), {"123456789": 6}, (200, {}), (429, {"error": "per second"}))
    assert isinstance(outcomes[0], Unknown)


async def test_drafts_and_expired_listings_are_the_merchants() -> None:
    for state in ("draft", "expired"):
        http, [outcome] = await publish(single(state), {"123456789": 6})
        assert http.done == []
        assert isinstance(outcome, Rejected) and outcome.code == state


async def test_disabled_offering_is_enabled_by_a_quantity_and_left_alone_otherwise() -> None:
    document = inventory()
    document["products"][0]["offerings"][0]["is_enabled"] = False
    http, _ = await publish(document, {L: 1}, (200, {}))
    assert written(http.asked[0]) == {"TEE-RED-M": (7, False), "TEE-RED-L": (1, True)}
    http, _ = await publish(document, {M: 4}, (200, {}))
    assert written(http.asked[0])["TEE-RED-M"] == (4, True)
    http, _ = await publish(document, {L: 0}, (200, {}))
    assert http.done == ["PATCH /shops/12345/listings/123456789"]


async def test_shared_quantity_is_written_to_every_product() -> None:
    document = inventory(quantity_on_property=[])
    http, _ = await publish(document, {"123456789": 4}, (200, {}))
    assert written(http.asked[0]) == {"TEE-RED-M": (4, True), "TEE-RED-L": (4, True)}


async def test_three_variations_are_announced() -> None:
    document = inventory()
    for product in document["products"]:
        product["property_values"].append(
            {"property_id": 513, "property_name": "Fit", "scale_id": None, "value_ids": [9], "values": ["Slim"]}
        )
    http, _ = await publish(document, {M: 1}, (200, {}))
    assert http.done == ["PUT /listings/123456789/inventory?max_variations_supported=3"]


async def test_without_a_document_the_listing_is_read_first() -> None:
    http = Scripted((200, inventory()), (200, {}))
    assert await SHOP.publish(http, [Offer(outlet(M), 1)]) == [Accepted("123456789")]
    assert [one.method for one in http.asked] == ["GET", "PUT"]


async def test_a_batch_read_that_lacks_readiness_is_read_again_by_itself() -> None:
    row = listing(123456789)
    for product in row["inventory"]["products"]:
        product["offerings"][0]["readiness_state_id"] = None
    batch = Scripted((200, {"count": 2, "results": [row, listing(2)]}))
    medium, other = await SHOP.read(batch, [outlet(M), Outlet("2/200=Red;62809790503=M", "2")])
    http = Scripted((200, inventory()), (200, {}), (200, {}))
    offers = [Offer(outlet(M), 1, medium), Offer(Outlet("2/200=Red;62809790503=M", "2"), 1, other)]
    assert await SHOP.publish(http, offers) == [Accepted("123456789"), Accepted("2")]
    assert [one.method for one in http.asked] == ["GET", "PUT", "PUT"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((400, {"error": "cannot be greater than 999"}), Rejected("cannot be greater than 999", code="400")),
        ((401, {"error": "invalid_token"}), Rejected("invalid_token", code="unauthorized")),
        ((403, {"error": "Unauthorized"}), Rejected("Unauthorized", code="unauthorized")),
        ((404, {"error": "Resource not found"}), Rejected("Resource not found", code="404")),
        ((409, {"error": "changed"}), Rejected("changed", code="conflict", stale=True)),
        ((408, b""), Unknown("HTTP 408: HTTP 408")),
        ((500, {"error": "Server Error"}), Unknown("HTTP 500: Server Error")),
        ((503, b"<html>"), Unknown("HTTP 503: HTTP 503")),
        ((302, b""), Unknown("HTTP 302: HTTP 302")),
        ((200, b"<html>"), Unknown("Etsy write: JSON is malformed: invalid character (byte 0)")),
        (NoAnswer("timed out", sent=True), Unknown("timed out")),
        (NoAnswer("refused", sent=False), Throttled(None, "refused")),
    ],
)
async def test_an_answer_becomes_an_outcome(answer: object, expected: Outcome) -> None:
    _, outcomes = await publish(inventory(), {M: 2, L: 1}, answer)
    assert outcomes == [expected, expected]


async def test_429_waits_as_long_as_it_says() -> None:
    limit = (429, {"error": "Exceeded per second rate limit"}, {"retry-after": "3"})
    _, outcomes = await publish(inventory(), {M: 2}, limit)
    assert outcomes == [Throttled(3.0, "Exceeded per second rate limit")]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([(503, b"")], Throttled(5.0, "Etsy getListingInventory answered 503: HTTP 503")),
        ([NoAnswer("cut", sent=True)], Throttled(5.0, "cut")),
        ([(401, {"error": "x"})], Rejected("Etsy getListingInventory answered 401: x", code="unauthorized")),
        ([(404, {}), (404, {})], Rejected("Etsy does not know this listing", code="gone")),
    ],
)
async def test_when_the_read_before_a_write_fails_nothing_is_written(answers: list[object], expected: Outcome) -> None:
    http = Scripted(*answers)
    assert await SHOP.publish(http, [Offer(outlet(M), 1)]) == [expected]
    assert all(one.method == "GET" for one in http.asked)


async def test_offer_for_a_lost_variation_is_refused_and_the_rest_written() -> None:
    http, outcomes = await publish(inventory(), {"123456789/200=Blue": 1, L: 2}, (200, {}))
    assert isinstance(outcomes[0], Rejected) and outcomes[0].code == "gone"
    assert outcomes[1] == Accepted("123456789")
    assert written(http.asked[0]) == {"TEE-RED-M": (7, True), "TEE-RED-L": (2, True)}


async def test_listings_are_written_one_by_one_and_answered_in_order() -> None:
    offers = []
    for number in ("1", "2"):
        [one] = await SHOP.read(Scripted((200, single())), [outlet(number)])
        offers.append(Offer(outlet(number), 2, one))
    http = Scripted((400, {"error": "no"}), (200, {}))
    assert await SHOP.publish(http, offers) == [Rejected("no", code="400"), Accepted("2")]


async def test_more_listings_than_etsy_pages_through_is_told_to_the_merchant() -> None:
    """Etsy refuses a row count beyond its ceiling (reported: 12,000); listings have no other way to go on."""
    refused = (400, {"error": "There was a problem with /offset : must be at least 0 and at most 12000"})
    with pytest.raises(Park, match=r"first 12,090 of your active listings.*up to 70 a listing"):
        await SHOP.catalogue(Scripted(refused), {"state": 0, "offset": 12_090})
    with pytest.raises(Park) as first:
        await SHOP.catalogue(Scripted(refused), None)
    assert "can't be read" not in str(first.value), "a refusal of the first page is not about its place"
