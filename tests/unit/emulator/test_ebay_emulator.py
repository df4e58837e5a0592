"""The emulated eBay keeps eBay's rules: tokens, day counters, row by row writes, hidden checkouts, signed messages."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from openapi_answers import check_answer

from oneshelf_emulator.clock import VirtualClock
from oneshelf_emulator.door import Answer, call
from oneshelf_emulator.ebay import Ebay
from oneshelf_emulator.throttle import FaultGate
from oneshelf_emulator.world import Address, Buyer, Product, Sale, World

INVENTORY_SPEC = "ebay/normalized/sell_inventory_v1_oas3.json"
ORDERS_SPEC = "ebay/normalized/sell_fulfillment_v1_oas3.json"
NOTIFICATION_SPEC = "ebay/normalized/commerce_notification_v1_oas3.json"
ANNA = Buyer(
    "anna", "Anna Ode", "anna@mail.test", Address("Anna Ode", "1 Elm St", "Springfield", "IL", "62701", "US", "+12175550100")
)  # fmt: skip
PRODUCTS = [
    Product("MUG", "Mug", 1250, "USD", 5),
    Product("A/B 1", "Slash", 500, "USD", 4),
    Product("TEE-RED-M", "Tee red M", 1990, "USD", 7),
    Product("TEE-RED-L", "Tee red L", 1990, "USD", 3),
]
INV, FUL, NOT = "/sell/inventory/v1", "/sell/fulfillment/v1", "/commerce/notification/v1"
ROOT = "https://api.ebay.com/oauth/api_scope"
BULK = f"{INV}/bulk_update_price_quantity"


@dataclass
class Client:
    ebay: Ebay
    app: Any
    who: dict[str, Any]

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        json_body: Any = None,
        form: Any = None,
        token: str | None = None,
        **headers: str,
    ) -> tuple[Answer, Any]:
        sent = {"authorization": f"Bearer {self.who['access_token'] if token is None else token}"}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        body = b""
        if json_body is not None:
            body, sent["content-type"] = json.dumps(json_body).encode(), "application/json"
        if form is not None:
            body, sent["content-type"] = urlencode(form).encode(), "application/x-www-form-urlencoded"
        answer = await call(self.app, method, path, headers=sent, body=body)
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return answer, json.loads(answer.body) if is_json and answer.body else None

    async def mint(self, **form: str) -> tuple[Answer, Any]:
        basic = base64.b64encode(f"{self.who['client_id']}:{self.who['client_secret']}".encode()).decode()
        return await self("POST", "/identity/v1/oauth2/token", form=form, authorization=f"Basic {basic}")

    async def app_token(self) -> str:
        _, body = await self.mint(grant_type="client_credentials", scope=ROOT)
        return str(body["access_token"])

    async def write(self, *entries: dict[str, Any]) -> tuple[int, list[tuple[int, int | None]]]:
        """Send a bulk update; return the status and (statusCode, errorId) of every row."""
        answer, body = await self("POST", BULK, json_body={"requests": list(entries)})
        rows = body.get("responses", [])
        return answer.status, [(r["statusCode"], r["errors"][0]["errorId"] if "errors" in r else None) for r in rows]

    async def error(self, method: str, path: str, **more: Any) -> tuple[int, int]:
        answer, body = await self(method, path, **more)
        return answer.status, body["errors"][0]["errorId"]

    async def post_order(self, method: str, path: str, **more: Any) -> tuple[Answer, Any]:
        return await self(
            method,
            f"/post-order/v2/cancellation{path}",
            authorization=f"IAF {self.who['access_token']}",
            x_ebay_c_marketplace_id="EBAY_US",
            **more,
        )


def open_shop(**switches: Any) -> tuple[World, Ebay, Client]:
    world = World(clock=VirtualClock())
    ebay = Ebay(world, **switches)
    ebay.stock_up(PRODUCTS)
    return world, ebay, Client(ebay, FaultGate(ebay.app, world, "ebay"), ebay.credentials())


def advance(world: World, seconds: float) -> None:
    assert isinstance(world.clock, VirtualClock)
    world.clock.advance(seconds)


def quantity(sku: str, pieces: Any) -> dict[str, Any]:
    return {"sku": sku, "shipToLocationAvailability": {"quantity": pieces}}


def bought(ebay: Ebay, **lines: int) -> Sale:
    sale = ebay.buy(ANNA, lines or {"MUG": 1})
    assert sale is not None
    return sale


def orders_path(**query: Any) -> str:
    return f"{FUL}/order?{urlencode(query, quote_via=quote)}"


# --- tokens and gates ----------------------------------------------------------------------------------------------


async def test_three_grants_and_a_refresh_token_that_stays() -> None:
    _, _, client = open_shop()
    answer = await call(
        client.app,
        "GET",
        "/oauth2/authorize",
        query=urlencode(
            {
                "client_id": client.who["client_id"],
                "redirect_uri": client.who["ru_name"],
                "response_type": "code",
                "scope": f"{ROOT}/sell.inventory {ROOT}/sell.fulfillment",
                "state": "s1",
            }
        ),
    )
    back = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (answer.status, back["state"]) == (302, ["s1"])
    form = {"grant_type": "authorization_code", "code": back["code"][0], "redirect_uri": client.who["ru_name"]}
    answer, grant = await client.mint(**form)
    assert (answer.status, grant["expires_in"], grant["refresh_token_expires_in"]) == (200, 7200, 47304000)
    assert grant["token_type"] == "User Access Token"
    answer, body = await client.mint(**form)
    assert (answer.status, body["error"]) == (400, "invalid_grant")
    for _ in range(2):  # not rotated
        answer, fresh = await client.mint(grant_type="refresh_token", refresh_token=grant["refresh_token"])
        assert (answer.status, "refresh_token" in fresh) == (200, False)
    assert (await client("GET", f"{INV}/inventory_item/MUG", token=fresh["access_token"]))[0].status == 200
    answer, body = await client.mint(
        grant_type="refresh_token", refresh_token=grant["refresh_token"], scope=f"{ROOT}/sell.finances"
    )
    assert (answer.status, body["error"]) == (400, "invalid_scope")


async def test_a_wrong_secret_is_401_and_a_gated_scope_is_refused() -> None:
    _, _, client = open_shop()
    answer, body = await client(
        "POST", "/identity/v1/oauth2/token", form={"grant_type": "client_credentials", "scope": ROOT},
        authorization="Basic " + base64.b64encode(b"a:b").decode(),
    )  # fmt: skip
    assert (answer.status, body["error"]) == (401, "invalid_client")
    answer, body = await client.mint(grant_type="client_credentials", scope=f"{ROOT}/sell.cancellation")
    assert (answer.status, body["error"]) == (400, "invalid_scope")


async def test_a_revoked_consent_kills_the_refresh_token() -> None:
    _, ebay, client = open_shop()
    ebay.console("revoke")
    answer, body = await client.mint(grant_type="refresh_token", refresh_token=client.who["refresh_token"])
    assert (answer.status, body["error"]) == (400, "invalid_grant")
    assert await client.error("GET", f"{INV}/inventory_item/MUG") == (401, 1001)


async def test_tokens_expire_and_scopes_and_kinds_are_checked() -> None:
    world, _, client = open_shop()
    assert await client.error("GET", f"{INV}/inventory_item/MUG", token="nonsense") == (401, 1001)
    assert await client.error("GET", f"{INV}/inventory_item/MUG", token=await client.app_token()) == (403, 1100)
    assert await client.error("GET", f"{NOT}/topic") == (403, 1100)
    advance(world, 7199)
    assert (await client("GET", f"{INV}/inventory_item/MUG"))[0].status == 200
    advance(world, 1)
    assert await client.error("GET", f"{INV}/inventory_item/MUG") == (401, 1001)


async def test_the_day_counter_refuses_with_2001_and_starts_anew_at_pacific_midnight() -> None:
    world, _, client = open_shop(limits={"sell.inventory": 2})
    for _ in range(2):
        assert (await client("GET", f"{INV}/inventory_item/MUG"))[0].status == 200
    answer, body = await client("GET", f"{INV}/inventory_item/MUG")
    assert (answer.status, body["errors"][0]["errorId"], "retry-after" in answer.headers) == (429, 2001, False)
    token = await client.app_token()
    _, rates = await client("GET", "/developer/analytics/v1_beta/rate_limit/?api_name=inventory", token=token)
    rate = rates["rateLimits"][0]["resources"][0]["rates"][0]
    assert (rate["count"], rate["limit"], rate["remaining"], rate["reset"]) == (2, 2, 0, "2026-11-24T08:00:00.000Z")
    check_answer("ebay/developer_analytics_v1_beta_oas3.json", "RateLimitsResponse", rates)
    advance(world, 18 * 3600)
    grant = client.ebay.credentials()
    assert (await client("GET", f"{INV}/inventory_item/MUG", token=grant["access_token"]))[0].status == 200


async def test_faults_speak_ebays_language() -> None:
    world, _, client = open_shop()
    world.faults.arm("throttle", "ebay", "bulkUpdatePriceQuantity")
    assert await client.error("POST", BULK, json_body={"requests": [quantity("MUG", 1)]}) == (429, 2001)
    world.faults.arm("expired_token", "ebay", "getOrders")
    assert await client.error("GET", f"{FUL}/order") == (401, 1001)


async def test_unknown_paths_parameters_and_fields_are_refused() -> None:
    _, _, client = open_shop()
    assert await client.error("GET", "/sell/nothing") == (404, 2002)
    assert await client.error("GET", f"{FUL}/order?fulfilment=1") == (400, 2004)
    assert await client.error("POST", BULK, json_body={"requests": [{"sku": "MUG", "quantity": 3}]}) == (400, 2004)
    answer, _ = await client("GET", f"{FUL}/order?filter=creationdate:[2026-11-01T00:00:00.000Z..]")
    assert (answer.status, answer.headers["content-type"].split(";")[0]) == (400, "text/html")


# --- inventory -----------------------------------------------------------------------------------------------------


async def test_inventory_documents_fit_the_official_schemas() -> None:
    _, ebay, client = open_shop(location_distribution=True)
    answer, items = await client("GET", f"{INV}/inventory_item?limit=3&offset=0", accept_language="en-US")
    assert (answer.status, items["total"], items["size"], len(items["inventoryItems"])) == (200, 4, 3, 3)
    loose = [{**item, "product": {**item["product"], "aspects": "patched"}} for item in items["inventoryItems"]]
    check_answer(INVENTORY_SPEC, "InventoryItems", {**items, "inventoryItems": loose})
    _, offers = await client("GET", f"{INV}/offer?sku=MUG")
    check_answer(INVENTORY_SPEC, "Offers", offers)
    assert offers["offers"][0]["listing"]["listingStatus"] == "ACTIVE"
    _, locations = await client("GET", f"{INV}/location")
    check_answer(INVENTORY_SPEC, "LocationResponse", locations)
    _, location = await client("GET", f"{INV}/location/MAIN")
    check_answer(INVENTORY_SPEC, "InventoryLocationResponse", location)
    assert await client.error("GET", f"{INV}/location/ELSEWHERE") == (404, 25805)


async def test_the_offset_of_items_is_a_page_number() -> None:
    _, _, client = open_shop()

    async def page(offset: int) -> list[str]:
        _, body = await client("GET", f"{INV}/inventory_item?limit=3&offset={offset}", accept_language="en-US")
        return [item["sku"] for item in body["inventoryItems"]]

    assert await page(0) == ["MUG", "A/B 1", "TEE-RED-M"]
    assert await page(1) == ["TEE-RED-L"]
    beyond = f"{INV}/inventory_item?limit=3&offset=2"
    assert await client.error("GET", beyond, accept_language="en-US") == (400, 25706)
    assert await client.error("GET", f"{INV}/inventory_item?limit=201", accept_language="en-US") == (400, 25706)
    assert await client.error("GET", f"{INV}/inventory_item") == (400, 25709)
    assert await client.error("GET", f"{INV}/inventory_item", accept_language="*") == (400, 25709)


async def test_a_sku_with_a_slash_is_one_path_segment() -> None:
    _, _, client = open_shop()
    _, item = await client("GET", f"{INV}/inventory_item/A%2FB%201")
    assert item["availability"]["shipToLocationAvailability"]["quantity"] == 4


async def test_offers_are_found_by_sku_only() -> None:
    _, _, client = open_shop()
    assert await client.error("GET", f"{INV}/offer") == (400, 25709)
    assert await client.error("GET", f"{INV}/offer?sku=NOPE") == (404, 25713)
    assert await client.error("GET", f"{INV}/inventory_item/NOPE") == (404, 25702)


async def test_bulk_update_answers_row_by_row_and_changes_only_what_is_sent() -> None:
    _, ebay, client = open_shop(failed_bulk_200_share=0.0)
    _, offers = await client("GET", f"{INV}/offer?sku=MUG")
    offer_id = offers["offers"][0]["offerId"]
    status, rows = await client.write(quantity("MUG", 3), quantity("NOPE", 1), quantity("TEE-RED-M", -1))
    assert (status, rows) == (207, [(200, None), (404, 25702), (400, 25709)])
    assert (ebay.shown("MUG"), ebay.shown("TEE-RED-M")) == (3, 7)
    price = {"offerId": offer_id, "price": {"value": "13.5", "currency": "USD"}}
    assert await client.write({"sku": "MUG", "offers": [price]}) == (200, [(200, None)])
    _, offers = await client("GET", f"{INV}/offer?sku=MUG")
    assert offers["offers"][0]["pricingSummary"]["price"] == {"value": "13.50", "currency": "USD"}
    assert ebay.shown("MUG") == 3
    answer, body = await client("POST", BULK, json_body={"requests": [quantity("MUG", 2)]})
    check_answer(INVENTORY_SPEC, "BulkPriceQuantityResponse", body)


async def test_a_200_can_carry_failed_rows() -> None:
    _, _, client = open_shop(failed_bulk_200_share=1.0)
    assert await client.write(quantity("NOPE", 1)) == (200, [(404, 25702)])


async def test_the_smaller_of_item_and_offer_quantity_is_shown_and_an_offer_quantity_sticks() -> None:
    _, ebay, client = open_shop()
    _, offers = await client("GET", f"{INV}/offer?sku=MUG")
    pin = {"sku": "MUG", "offers": [{"offerId": offers["offers"][0]["offerId"], "availableQuantity": 2}]}
    assert await client.write(pin) == (200, [(200, None)])
    assert ebay.shown("MUG") == 2
    await client.write(quantity("MUG", 9))
    assert ebay.shown("MUG") == 2
    await client.write(quantity("MUG", 1))
    assert ebay.shown("MUG") == 1


async def test_bulk_update_refuses_what_its_prose_forbids() -> None:
    _, ebay, client = open_shop(failed_bulk_200_share=0.0)
    offer = {sku: ebay.seller.offers_of(sku)[0].offer_id for sku in ("MUG", "TEE-RED-M")}
    assert await client.error("POST", BULK, json_body={"requests": [quantity("MUG", 1)] * 26}) == (400, 25709)
    assert await client.error("POST", BULK, json_body={"requests": []}) == (400, 25709)
    assert await client.error("POST", BULK, json_body={"requests": [{"offers": []}]}) == (400, 25708)
    assert await client.error("POST", BULK, form={"requests": "1"}) == (415, 2004)
    rows = [
        {"sku": "MUG"},
        quantity("TEE-RED-L", "3"),
        {"sku": "TEE-RED-M", "offers": [{"offerId": offer["MUG"], "availableQuantity": 1}]},
        {"sku": "A/B 1", "offers": [{"offerId": "1", "availableQuantity": 1}]},
    ]
    assert await client.write(*rows) == (207, [(400, 25709), (400, 25709), (400, 25709), (404, 25713)])
    twice = [{"offerId": offer["MUG"], "availableQuantity": n} for n in (1, 2)]
    assert (await client.write({"sku": "MUG", "offers": twice}))[1] == [(400, 25709)] * 2
    number = {"offerId": offer["MUG"], "price": {"value": 13.5, "currency": "USD"}}
    assert (await client.write({"sku": "MUG", "offers": [number]}))[1] == [(400, 25709)]
    foreign = {"offerId": offer["MUG"], "price": {"value": "13.50", "currency": "EUR"}}
    assert (await client.write({"sku": "MUG", "offers": [foreign]}))[1] == [(400, 25709)]
    assert (await client.write(quantity("MUG", 1), quantity("MUG", 2)))[1] == [(200, None), (400, 25709)]


async def test_the_251st_revision_of_a_day_is_refused_and_variations_share_the_count() -> None:
    world, ebay, client = open_shop(revisions_per_day=3, failed_bulk_200_share=0.0)
    rows = [
        (await client.write(quantity(sku, 2)))[1][0] for sku in ("TEE-RED-M", "TEE-RED-L", "TEE-RED-M", "TEE-RED-M")
    ]
    assert rows == [(200, None), (200, None), (200, None), (400, 25002)]
    assert (await client.write(quantity("MUG", 2)))[1] == [(200, None)]
    advance(world, 18 * 3600)
    client.who = ebay.credentials()
    assert (await client.write(quantity("TEE-RED-M", 1)))[1] == [(200, None)]


def test_the_published_revision_limit_is_250() -> None:
    assert open_shop()[1].switches["revisions_per_day"] == 250


async def test_two_writes_at_once_on_one_listing_meet_25025() -> None:
    world, ebay, client = open_shop(write_busy_s=1.0)
    await client.write(quantity("TEE-RED-M", 2))
    body = {"requests": [quantity("TEE-RED-L", 1)]}
    assert await client.error("POST", BULK, json_body=body) == (500, 25025)
    assert ebay.shown("TEE-RED-L") == 3
    advance(world, 1)
    assert (await client.write(quantity("TEE-RED-L", 1)))[1] == [(200, None)]


async def test_partial_batch_and_never_applied() -> None:
    world, ebay, client = open_shop(failed_bulk_200_share=0.0)
    world.faults.arm("partial_batch", "ebay")
    assert await client.write(quantity("MUG", 2), quantity("TEE-RED-M", 2)) == (207, [(500, 25001), (200, None)])
    world.faults.arm("never_applied", "ebay")
    assert await client.write(quantity("MUG", 2)) == (200, [(200, None)])
    assert ebay.shown("MUG") == 5


async def test_zero_with_out_of_stock_control_keeps_the_listing() -> None:
    _, ebay, client = open_shop()
    listing = ebay.seller.offers_of("MUG")[0].listing_id
    await client.write(quantity("MUG", 0))
    _, offers = await client("GET", f"{INV}/offer?sku=MUG")
    assert offers["offers"][0]["listing"]["listingStatus"] == "OUT_OF_STOCK"
    await client.write(quantity("MUG", 4))
    assert (ebay.shown("MUG"), ebay.seller.offers_of("MUG")[0].listing_id) == (4, listing)


async def test_zero_without_out_of_stock_control_ends_the_listing_and_a_publish_gives_a_new_one() -> None:
    _, ebay, client = open_shop(out_of_stock_control=False, failed_bulk_200_share=0.0)
    offer = ebay.seller.offers_of("MUG")[0]
    old = offer.listing_id
    await client.write(quantity("TEE-RED-M", 0))
    assert ebay.shown("TEE-RED-L") == 3  # a variation at zero does not end the others
    await client.write(quantity("MUG", 0))
    assert await client.write(quantity("MUG", 4)) == (207, [(404, 25713)])
    path = f"{INV}/offer/{offer.offer_id}/publish"
    assert (await client("POST", path))[0].status == 411
    assert await client.error("POST", path, json_body={}) == (400, 25002)
    body = {"product": {"title": "Mug"}, "availability": {"shipToLocationAvailability": {"quantity": 4}}}
    await client("PUT", f"{INV}/inventory_item/MUG", json_body=body, content_language="en-US")
    _, published = await client("POST", path, json_body={})
    assert published["listingId"] != old
    assert ebay.shown("MUG") == 4
    _, again = await client("POST", path, json_body={})
    assert again["warnings"][0]["errorId"] == 25402


async def test_a_put_of_an_item_wipes_what_it_leaves_out() -> None:
    _, ebay, client = open_shop()
    path = f"{INV}/inventory_item/MUG"
    body = {"availability": {"shipToLocationAvailability": {"quantity": 2}}}
    assert await client.error("PUT", path, json_body=body) == (400, 25709)
    answer, _ = await client("PUT", path, json_body=body, content_language="en-US")
    assert (answer.status, answer.body, ebay.shown("MUG")) == (204, b"", 2)
    _, item = await client("GET", path)
    assert "product" not in item and "condition" not in item
    answer, _ = await client("PUT", f"{INV}/inventory_item/NEW", json_body={}, content_language="en-US")
    assert answer.status == 201


async def test_bulk_get_reports_unknown_skus() -> None:
    _, _, client = open_shop()
    answer, body = await client(
        "POST", f"{INV}/bulk_get_inventory_item", json_body={"requests": [{"sku": "MUG"}, {"sku": "NOPE"}]}
    )
    assert (answer.status, [row["statusCode"] for row in body["responses"]]) == (207, [200, 404])
    doubled = {"requests": [{"sku": "MUG"}] * 2}
    assert await client.error("POST", f"{INV}/bulk_get_inventory_item", json_body=doubled) == (400, 25734)
    many = {"requests": [{"sku": str(n)} for n in range(26)]}
    assert await client.error("POST", f"{INV}/bulk_get_inventory_item", json_body=many) == (400, 25727)


async def test_a_stale_read_shows_the_quantity_of_before() -> None:
    world, _, client = open_shop()
    await client.write(quantity("MUG", 2))
    world.faults.arm("stale_read", "ebay", "getInventoryItem")
    seen = []
    for _ in range(2):
        _, item = await client("GET", f"{INV}/inventory_item/MUG")
        seen.append(item["availability"]["shipToLocationAvailability"]["quantity"])
    assert seen == [5, 2]


# --- orders --------------------------------------------------------------------------------------------------------


async def test_a_sale_lowers_item_and_offer_before_the_order_is_visible() -> None:
    world, ebay, client = open_shop(order_lag_s=30, pin_offers=True)
    sale = bought(ebay, MUG=2)
    offer = ebay.seller.offers_of("MUG")[0]
    assert (ebay.shown("MUG"), ebay.seller.items["MUG"].quantity) == (3, 3)
    assert (offer.available_quantity, offer.sold_quantity) == (3, 2)
    assert (await client("GET", f"{FUL}/order"))[1]["total"] == 0
    assert await client.error("GET", f"{FUL}/order/{sale.order_id}") == (404, 32100)
    advance(world, 30)
    _, page = await client("GET", f"{FUL}/order")
    assert [order["orderId"] for order in page["orders"]] == [sale.order_id]
    assert ebay.buy(ANNA, {"MUG": 4}) is None
    assert ebay.buy(ANNA, {"MUG": 1, "TEE-RED-L": 4}) is None
    assert ebay.shown("MUG") == 3


async def test_orders_fit_the_official_schema() -> None:
    world, ebay, client = open_shop()
    sale = bought(ebay, **{"MUG": 2, "TEE-RED-M": 1})
    advance(world, 5)
    _, page = await client("GET", f"{FUL}/order?fieldGroups=TAX_BREAKDOWN")
    order = page["orders"][0]
    assert order.pop("legacyOrderId").startswith(ebay.seller.offers_of("MUG")[0].listing_id or "?")
    check_answer(ORDERS_SPEC, "OrderSearchPagedCollection", page)
    assert order["lineItems"][0]["lineItemCost"] == {"value": "25.00", "currency": "USD"}  # extended
    assert order["pricingSummary"]["total"] == {"value": "50.89", "currency": "USD"}
    assert order["creationDate"] == "2026-11-23T14:23:00.000Z"
    assert order["buyer"]["buyerRegistrationAddress"]["email"].endswith("@members.ebay.com")
    assert order["lineItems"][1]["variationAspects"] == [{"name": "Size", "value": "M"}]
    assert (await client("GET", f"{FUL}/order/{sale.order_id}"))[1]["orderPaymentStatus"] == "PAID"


NOW = "2026-11-23T14:23:05.000Z"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"filter": "orderfulfillmentstatus:{NOT_STARTED}"}, 30800),
        ({"filter": "orderfulfillmentstatus:{NOT_STARTED|FULFILLED}"}, 30800),
        ({"filter": "creationdate:2026-11-01"}, 30800),
        ({"filter": "modifieddate:[2026-11-01T00:00:00.000Z..]"}, 30700),
        ({"filter": "nonsense"}, 30700),
        ({"filter": "creationdate:[2026-11-01T00:00:00Z..]"}, 30810),
        ({"filter": f"creationdate:[..{NOW}]"}, 30820),
        ({"filter": "lastmodifieddate:[2024-01-01T00:00:00.000Z..]"}, 30830),
        ({"filter": "creationdate:[2026-11-23T14:00:00.000Z..2026-11-23T13:00:00.000Z]"}, 30840),
        ({"filter": "lastmodifieddate:[2026-11-23T14:00:00.000Z..2026-11-23T14:23:05.001Z]"}, 30850),
        ({"orderIds": ",".join(str(n) for n in range(51))}, 30900),
        ({"offset": "-1"}, 31000),
        ({"limit": "201"}, 31100),
        ({"fieldGroups": "ALL"}, 32800),
    ],
)
async def test_the_filter_grammar_refuses_with_its_own_numbers(query: dict[str, str], code: int) -> None:
    world, _, client = open_shop()
    advance(world, 5)
    assert await client.error("GET", orders_path(**query)) == (400, code)


async def test_windows_are_inclusive_pages_count_records_and_creationdate_beats_lastmodified() -> None:
    world, ebay, client = open_shop(order_lag_s=0)
    ids = []
    for _ in range(3):
        ids.append(bought(ebay, **{"TEE-RED-M": 1}).order_id)
        advance(world, 60)

    async def found(**query: Any) -> list[str]:
        answer, page = await client("GET", orders_path(**query))
        assert answer.status == 200, page
        return [order["orderId"] for order in page["orders"]]

    first, second = "2026-11-23T14:23:00.000Z", "2026-11-23T14:24:00.000Z"
    assert await found() == ids
    assert await found(filter=f"creationdate:[{first}..{second}]") == ids[:2]
    assert await found(filter=f"lastmodifieddate:[{second}..]") == ids[1:]
    both = f"lastmodifieddate:[{second}..],creationdate:[{first}..{first}],orderfulfillmentstatus:{{NOT_STARTED|IN_PROGRESS}}"
    assert await found(filter=both) == ids[:1]
    assert await found(filter="orderfulfillmentstatus:{FULFILLED|IN_PROGRESS}") == []
    assert await found(limit=2, offset=1) == ids[1:]
    assert await found(orderIds=f"{ids[2]},none", limit=1) == [ids[2]]
    _, page = await client("GET", orders_path(limit=1, offset=1))
    assert (page["total"], page["limit"], page["offset"]) == (3, 1, 1)
    assert "offset=2" in page["next"] and "offset=0" in page["prev"]


async def test_an_unpaid_checkout_is_hidden_and_appears_under_another_id() -> None:
    world, ebay, client = open_shop(unpaid_share=1.0, unpaid_s=600, order_lag_s=0)
    sale = bought(ebay)
    before = sale.order_id
    assert ebay.shown("MUG") == 4
    assert (await client("GET", f"{FUL}/order"))[1]["total"] == 0
    advance(world, 600)
    _, page = await client("GET", orders_path(filter="lastmodifieddate:[2026-11-23T14:33:00.000Z..]"))
    assert [order["orderId"] for order in page["orders"]] == [sale.order_id]
    assert sale.order_id != before
    assert page["orders"][0]["creationDate"] == "2026-11-23T14:23:00.000Z"
    assert sale.paid_at == world.clock.now()


async def test_a_checkout_that_lapses_never_appears() -> None:
    world, ebay, client = open_shop(unpaid_share=1.0, lapse_share=1.0, unpaid_s=600)
    sale = bought(ebay)
    advance(world, 700)
    assert sale.cancelled_at is not None
    assert (await client("GET", f"{FUL}/order"))[1]["total"] == 0
    assert (ebay.shown("MUG"), ebay.orders()[0]["state"]) == (4, "lapsed")


async def test_buyer_data_fades() -> None:
    world, ebay, client = open_shop()
    sale = bought(ebay)
    seen = []
    for days in (13, 2, 76):
        advance(world, days * 86400)
        client.who = ebay.credentials()
        _, order = await client("GET", f"{FUL}/order/{sale.order_id}")
        contact = order["buyer"]["buyerRegistrationAddress"]
        seen.append(("email" in contact, "fullName" in contact, "addressLine1" in contact["contactAddress"]))
    assert seen == [(True, True, True), (False, True, True), (False, False, False)]


async def test_a_shipment_answers_201_with_a_location_and_a_line_is_fulfilled_at_its_first_unit() -> None:
    world, ebay, client = open_shop()
    sale = bought(ebay, **{"MUG": 3, "TEE-RED-M": 1})
    advance(world, 5)
    path = f"{FUL}/order/{sale.order_id}"
    _, order = await client("GET", path)
    mug, tee = (line["lineItemId"] for line in order["lineItems"])
    parcel = {
        "lineItems": [{"lineItemId": mug, "quantity": 1}],
        "shippingCarrierCode": "USPS",
        "trackingNumber": "9400A",
    }
    answer, _ = await client("POST", f"{path}/shipping_fulfillment", json_body=parcel)
    assert (answer.status, answer.body) == (201, b"")
    assert answer.headers["location"].endswith("/shipping_fulfillment/9400A")
    _, order = await client("GET", path)
    assert [line["lineItemFulfillmentStatus"] for line in order["lineItems"]] == ["FULFILLED", "NOT_STARTED"]
    assert order["orderFulfillmentStatus"] == "IN_PROGRESS"
    answer, _ = await client(
        "POST", f"{path}/shipping_fulfillment", json_body={"lineItems": [{"lineItemId": tee, "quantity": 1}]}
    )
    assert answer.headers["location"].endswith("/1000")
    _, parcels = await client("GET", f"{path}/shipping_fulfillment")
    assert parcels["total"] == 2
    check_answer(ORDERS_SPEC, "ShippingFulfillmentPagedCollection", parcels)
    assert sale.shipped == {"MUG": 1, "TEE-RED-M": 1}
    await client("POST", f"{path}/shipping_fulfillment", json_body=parcel)  # no dedupe
    assert (await client("GET", f"{path}/shipping_fulfillment"))[1]["total"] == 3
    ebay.switches["shipment_dedupe"] = True
    assert await client.error("POST", f"{path}/shipping_fulfillment", json_body=parcel) == (409, 34100)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"lineItems": None}, 32600),
        ({"lineItems": [{"lineItemId": "1", "quantity": 1}]}, 32200),
        ({"lineItems": "twice"}, 32210),
        ({"lineItems": "three"}, 32600),
        ({"trackingNumber": "94 00"}, 32300),
        ({"trackingNumber": None}, 32300),
        ({"shippingCarrierCode": None}, 32300),
        ({"shippedDate": "2026-11-23"}, 32500),
        ({"shippedDate": "2026-12-23T00:00:00.000Z"}, 32500),
        ({"tracking": "1"}, 2004),
    ],
)
async def test_a_shipment_is_checked(change: dict[str, Any], code: int) -> None:
    world, ebay, client = open_shop()
    sale = bought(ebay)
    advance(world, 5)
    path = f"{FUL}/order/{sale.order_id}"
    line = {"lineItemId": (await client("GET", path))[1]["lineItems"][0]["lineItemId"], "quantity": 1}
    words = {"twice": [line, line], "three": [{**line, "quantity": 3}]}
    items = change.get("lineItems")
    change = {**change, "lineItems": words[items]} if isinstance(items, str) else change
    body = {"lineItems": [line], "shippingCarrierCode": "USPS", "trackingNumber": "9400", **change}
    body = {name: value for name, value in body.items() if value is not None}
    assert await client.error("POST", f"{path}/shipping_fulfillment", json_body=body) == (400, code)


async def test_a_refund_is_pending_then_refunded() -> None:
    world, ebay, client = open_shop(refund_s=60)
    sale = bought(ebay)
    advance(world, 5)
    path = f"{FUL}/order/{sale.order_id}/issue_refund"

    def body(value: str) -> dict[str, Any]:
        return {"reasonForRefund": "SELLER_CANCEL", "orderLevelRefundAmount": {"value": value, "currency": "USD"}}

    _, refund = await client("POST", path, json_body=body("5.00"))
    assert refund["refundStatus"] == "PENDING"
    assert await client.error("POST", path, json_body=body("1.00")) == (400, 34922)
    advance(world, 60)
    _, order = await client("GET", f"{FUL}/order/{sale.order_id}")
    assert (order["orderPaymentStatus"], order["paymentSummary"]["refunds"][0]["refundStatus"]) == (
        "PARTIALLY_REFUNDED",
        "REFUNDED",
    )
    assert await client.error("POST", path, json_body=body("99.00")) == (400, 34915)
    await client("POST", path, json_body=body("13.49"))
    advance(world, 60)
    assert await client.error("POST", path, json_body=body("1.00")) == (400, 34917)
    assert await client.error("POST", path, json_body={**body("1"), "reasonForRefund": "X"}) == (400, 34903)


# --- cancellation --------------------------------------------------------------------------------------------------


def cancel_body(order: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "legacyOrderId": order["legacyOrderId"],
        "cancelReason": "OUT_OF_STOCK_OR_CANNOT_FULFILL",
        "buyerPaid": True,
        **more,
    }


async def test_a_seller_cancel_refunds_and_gives_no_stock_back_unless_relisted() -> None:
    world, ebay, client = open_shop(refund_s=60)
    for relist, left in (([], 4), ([{"itemId": "1", "transactionId": "2", "quantity": 1}], 4)):
        sale = bought(ebay)
        advance(world, 5)
        path = f"{FUL}/order/{sale.order_id}"
        _, order = await client("GET", path)
        answer, case = await client.post_order("POST", "", json_body=cancel_body(order, relistLineItem=relist))
        assert answer.status == 201
        assert (await client("GET", path))[1]["cancelStatus"]["cancelState"] == "IN_PROGRESS"
        advance(world, 60)
        _, order = await client("GET", path)
        assert (order["cancelStatus"]["cancelState"], order["orderPaymentStatus"]) == ("CANCELED", "FULLY_REFUNDED")
        assert order["cancelStatus"]["cancelRequests"][0]["cancelRequestState"] == "COMPLETED"
        _, page = await client("GET", f"{FUL}/order?orderIds={sale.order_id}")
        assert page["orders"][0]["cancelStatus"]["cancelRequests"] == []
        _, detail = await client.post_order("GET", f"/{case['cancelId']}?fieldgroups=FULL")
        assert detail["cancelDetail"]["cancelStatus"] == "CANCEL_CLOSED_WITH_REFUND"
        assert ebay.shown("MUG") == left
        assert sale.cancelled_at == world.clock.now()


async def test_post_order_wants_iaf_a_marketplace_and_an_unshipped_order() -> None:
    world, ebay, client = open_shop()
    sale = bought(ebay)
    advance(world, 5)
    _, order = await client("GET", f"{FUL}/order/{sale.order_id}")
    body = cancel_body(order)
    answer, refusal = await client("POST", "/post-order/v2/cancellation", json_body=body)
    assert (answer.status, refusal["error"][0]["errorId"]) == (401, 1001)
    iaf = f"IAF {client.who['access_token']}"
    answer, refusal = await client("POST", "/post-order/v2/cancellation", json_body=body, authorization=iaf)
    assert (answer.status, refusal["error"][0]["httpStatusCode"]) == (400, 400)
    for wrong in ({"cancelReason": "BORED"}, {"buyerPaid": False}, {"legacyOrderId": "1-2"}, {"extra": 1}):
        assert (await client.post_order("POST", "", json_body={**body, **wrong}))[0].status in (400, 404)
    ebay.console("ship", order_id=sale.order_id, tracking="9400")
    answer, refusal = await client.post_order("POST", "", json_body=body)
    assert (answer.status, "shipped" in refusal["error"][0]["message"]) == (400, True)
    _, verdict = await client.post_order(
        "POST", "/check_eligibility", json_body={"legacyOrderId": order["legacyOrderId"]}
    )
    assert verdict["eligible"] is False


async def test_a_buyers_wish_waits_for_the_seller() -> None:
    world, ebay, client = open_shop(refund_s=1)
    first, second = bought(ebay), bought(ebay)
    advance(world, 5)
    cases = [ebay.console("request_cancel", order_id=sale.order_id)["cancel_id"] for sale in (first, second)]
    _, found = await client.post_order("GET", "/search?role=SELLER&limit=1")
    assert (found["total"], found["paginationOutput"]["totalPages"]) == (2, 2)
    assert (await client.post_order("POST", f"/{cases[0]}/approve"))[0].status == 200
    assert (await client.post_order("POST", f"/{cases[1]}/reject", json_body={"trackingNumber": "1"}))[0].status == 200
    advance(world, 1)
    states = [(await client("GET", f"{FUL}/order/{sale.order_id}"))[1]["cancelStatus"] for sale in (first, second)]
    assert [state["cancelState"] for state in states] == ["CANCELED", "NONE_REQUESTED"]
    assert states[1]["cancelRequests"][0]["cancelRequestState"] == "REJECTED"
    assert (await client.post_order("POST", f"/{cases[0]}/approve"))[0].status == 400


# --- notifications -------------------------------------------------------------------------------------------------

TOKEN = "t" * 40
ENDPOINT = "https://app.example/ebay/notify"


async def echo_challenge(url: str) -> tuple[int, str, bytes]:
    endpoint, _, query = url.partition("?")
    code = parse_qs(query)["challenge_code"][0]
    answer = hashlib.sha256((code + TOKEN + endpoint).encode()).hexdigest()
    return 200, "application/json", json.dumps({"challengeResponse": answer}).encode()


def destination_body(endpoint: str = ENDPOINT, **delivery: Any) -> dict[str, Any]:
    config = {"endpoint": endpoint, "verificationToken": TOKEN, **delivery}
    return {"name": "shelf", "status": "ENABLED", "deliveryConfig": config}


def subscription_body(destination_id: str, topic: str = "ORDER_CONFIRMATION", version: str = "1.1") -> dict[str, Any]:
    payload = {"format": "JSON", "schemaVersion": version, "deliveryProtocol": "HTTPS"}
    return {"topicId": topic, "destinationId": destination_id, "status": "ENABLED", "payload": payload}


async def subscribed(client: Client) -> str:
    client.ebay.notifications.fetch = echo_challenge
    token = await client.app_token()
    await client("PUT", f"{NOT}/config", json_body={"alertEmail": "a@b.example"}, token=token)
    answer, _ = await client("POST", f"{NOT}/destination", json_body=destination_body(), token=token)
    destination_id = answer.headers["location"].rpartition("/")[2]
    answer, _ = await client("POST", f"{NOT}/subscription", json_body=subscription_body(destination_id))
    assert answer.status == 201
    return destination_id


async def test_setting_up_a_destination_walks_into_every_trap() -> None:
    _, ebay, client = open_shop()
    ebay.notifications.fetch = echo_challenge
    token = await client.app_token()

    async def refused(body: dict[str, Any]) -> tuple[int, int]:
        return await client.error("POST", f"{NOT}/destination", json_body=body, token=token)

    assert await refused(destination_body()) == (409, 195003)
    assert await client.error("GET", f"{NOT}/config", token=token) == (404, 195026)
    assert await client.error("PUT", f"{NOT}/config", json_body={"alertEmail": "x"}, token=token) == (400, 195025)
    await client("PUT", f"{NOT}/config", json_body={"alertEmail": "a@b.example"}, token=token)
    assert await refused(destination_body("http://app.example/x")) == (400, 195017)
    assert await refused(destination_body(verificationToken="short")) == (400, 195019)
    assert await refused(destination_body(verificationToken="u" * 40)) == (409, 195020)
    answer, _ = await client("POST", f"{NOT}/destination", json_body=destination_body(), token=token)
    assert answer.status == 201
    assert await refused(destination_body()) == (409, 195021)
    _, listed = await client("GET", f"{NOT}/destination?limit=10", token=token)
    check_answer(NOTIFICATION_SPEC, "DestinationSearchResponse", listed)
    assert await client.error("GET", f"{NOT}/destination?limit=5", token=token) == (400, 195004)


@pytest.mark.parametrize(
    "answer",
    [
        (200, "text/plain", None),
        (500, "application/json", None),
        (200, "application/json", b"\xef\xbb\xbf{}"),
        (200, "application/json", b'{"challengeResponse":"00"}'),
    ],
)
async def test_a_wrong_challenge_answer_is_195020(answer: tuple[int, str, bytes | None]) -> None:
    _, ebay, client = open_shop()

    async def fetch(url: str) -> tuple[int, str, bytes]:
        right = await echo_challenge(url)
        return answer[0], answer[1], right[2] if answer[2] is None else answer[2]

    ebay.notifications.fetch = fetch
    token = await client.app_token()
    await client("PUT", f"{NOT}/config", json_body={"alertEmail": "a@b.example"}, token=token)
    refusal = await client.error("POST", f"{NOT}/destination", json_body=destination_body(), token=token)
    assert refusal == (409, 195020)


async def test_a_subscription_needs_the_right_kind_of_token_and_is_unique() -> None:
    _, _, client = open_shop()
    destination_id = await subscribed(client)
    token = await client.app_token()
    body = subscription_body(destination_id)
    assert await client.error("POST", f"{NOT}/subscription", json_body=body) == (409, 195012)
    assert await client.error("POST", f"{NOT}/subscription", json_body=body, token=token) == (403, 195011)
    deletion = subscription_body(destination_id, "MARKETPLACE_ACCOUNT_DELETION", "1.0")
    assert await client.error("POST", f"{NOT}/subscription", json_body=deletion) == (403, 195011)
    assert (await client("POST", f"{NOT}/subscription", json_body=deletion, token=token))[0].status == 201
    assert await client.error("POST", f"{NOT}/subscription", json_body=subscription_body("x", version="1.0")) == (
        400,
        195007,
    )
    old = subscription_body(destination_id, version="9.9")
    assert await client.error("POST", f"{NOT}/subscription", json_body=old) == (400, 195008)
    cancellation = subscription_body(destination_id, "ORDER_CANCELLATION_ACTIVITY", "1.0")
    assert await client.error("POST", f"{NOT}/subscription", json_body=cancellation) == (403, 195011)
    _, listed = await client("GET", f"{NOT}/subscription?limit=10")
    check_answer(NOTIFICATION_SPEC, "SubscriptionSearchResponse", listed)
    assert [each["topicId"] for each in listed["subscriptions"]] == ["ORDER_CONFIRMATION"]
    _, topic = await client("GET", f"{NOT}/topic/ORDER_CONFIRMATION", token=token)
    check_answer(NOTIFICATION_SPEC, "Topic", topic)
    assert await client.error("DELETE", f"{NOT}/destination/{destination_id}", token=token) == (409, 195024)


async def test_one_signed_message_a_line_and_three_attempts() -> None:
    world, ebay, client = open_shop()
    await subscribed(client)
    got: list[tuple[dict[str, str], bytes]] = []

    async def deliver(url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> int:
        got.append((headers, body))
        return 412 if len(got) == 1 else 200

    world.courier.deliver = deliver
    sale = bought(ebay, **{"MUG": 2, "TEE-RED-M": 1})
    for wait_s in (2, 10):
        advance(world, wait_s)
        await world.courier.idle()
    assert [json.loads(body)["notification"]["publishAttemptCount"] for _, body in got] == [1, 1, 2]
    first, second, again = (json.loads(body)["notification"] for _, body in got)
    assert first["notificationId"] == again["notificationId"] != second["notificationId"]
    assert first["data"] == {
        "user": {"userId": client.who["user_id"], "username": client.who["username"]},
        "order": {
            "orderId": sale.order_id,
            "orderLineItems": [
                {
                    "orderLineItemId": ebay.order_desk.orders[sale.order_id].lines[0].line_item_id,
                    "listingId": ebay.seller.offers_of("MUG")[0].listing_id,
                    "quantity": 2,
                }
            ],
        },
    }
    token = await client.app_token()
    for headers, body in got:
        fields = json.loads(base64.b64decode(headers["x-ebay-signature"]))
        assert (fields["alg"], fields["digest"]) == ("ecdsa", "SHA1")
        _, key = await client("GET", f"{NOT}/public_key/{fields['kid']}", token=token)
        check_answer(NOTIFICATION_SPEC, "PublicKey", key)
        text = key["key"].replace("-----BEGIN PUBLIC KEY-----", "").replace("-----END PUBLIC KEY-----", "")
        public = serialization.load_der_public_key(base64.b64decode(text))
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(base64.b64decode(fields["signature"]), body, ec.ECDSA(hashes.SHA1()))
        with pytest.raises(InvalidSignature):
            public.verify(base64.b64decode(fields["signature"]), body + b" ", ec.ECDSA(hashes.SHA1()))
    assert await client.error("GET", f"{NOT}/public_key/other", token=token) == (404, 195001)


async def test_a_dead_endpoint_is_marked_down_and_hears_no_more() -> None:
    world, ebay, client = open_shop(mark_down_after=1)
    destination_id = await subscribed(client)
    calls: list[str] = []

    async def deliver(url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> int:
        calls.append(url)
        return 500

    world.courier.deliver = deliver
    for _ in range(2):
        bought(ebay)
        for wait_s in (2, 10, 60):
            advance(world, wait_s)
            await world.courier.idle()
    token = await client.app_token()
    _, destination = await client("GET", f"{NOT}/destination/{destination_id}", token=token)
    assert (len(calls), destination["status"]) == (3, "MARKED_DOWN")
    path = f"{NOT}/destination/{destination_id}"
    assert (await client("PUT", path, json_body=destination_body(), token=token))[0].status == 204
    assert (await client("GET", path, token=token))[1]["status"] == "ENABLED"


async def test_account_deletion_and_the_test_message_go_out() -> None:
    world, ebay, client = open_shop()
    destination_id = await subscribed(client)
    token = await client.app_token()
    deletion = subscription_body(destination_id, "MARKETPLACE_ACCOUNT_DELETION", "1.0")
    answer, _ = await client("POST", f"{NOT}/subscription", json_body=deletion, token=token)
    got: list[Any] = []

    async def deliver(url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> int:
        got.append(json.loads(body))
        return 204

    world.courier.deliver = deliver
    ebay.console("account_deletion", username="anna_x")
    subscription_id = answer.headers["location"].rpartition("/")[2]
    answer, _ = await client("POST", f"{NOT}/subscription/{subscription_id}/test", token=token)
    advance(world, 1)
    await world.courier.idle()
    assert answer.status == 202
    assert got[0]["metadata"]["topic"] == "MARKETPLACE_ACCOUNT_DELETION"
    assert [each["notification"]["data"]["username"] for each in got] == ["anna_x", client.who["username"]]


# --- the rest ------------------------------------------------------------------------------------------------------


async def test_trading_tells_and_sets_out_of_stock_control() -> None:
    _, ebay, client = open_shop(out_of_stock_control=False)

    async def trading(name: str, inner: str, token: str = "") -> str:
        xml = f'<{name}Request xmlns="urn:ebay:apis:eBLBaseComponents">{inner}</{name}Request>'
        headers = {
            "x-ebay-api-call-name": name,
            "x-ebay-api-siteid": "0",
            "x-ebay-api-compatibility-level": "1395",
            "x-ebay-api-iaf-token": token or client.who["access_token"],
        }
        answer = await call(client.app, "POST", "/ws/api.dll", headers=headers, body=xml.encode())
        assert answer.status == 200
        return answer.body.decode()

    show = "<ShowOutOfStockControlPreference>true</ShowOutOfStockControlPreference>"
    assert "<OutOfStockControlPreference>false<" in await trading("GetUserPreferences", show)
    await trading("SetUserPreferences", "<OutOfStockControlPreference>true</OutOfStockControlPreference>")
    assert "<OutOfStockControlPreference>true<" in await trading("GetUserPreferences", show)
    assert ebay.switches["out_of_stock_control"] is True
    assert "<Ack>Failure</Ack>" in await trading("GetUserPreferences", show, token="bad")
    assert "<Ack>Failure</Ack>" in await trading("GetItem", "")


async def test_identity_tells_the_immutable_user_id() -> None:
    _, _, client = open_shop()
    _, user = await client("GET", "/commerce/identity/v1/user/")
    assert (user["userId"], user["username"]) == (client.who["user_id"], client.who["username"])


def test_one_seed_gives_one_world() -> None:
    worlds = [open_shop() for _ in range(2)]
    assert len({bought(ebay).order_id for _, ebay, _ in worlds}) == 1
    assert len({json.dumps(ebay.notifications.public_key(ebay.notifications.kid)) for _, ebay, _ in worlds}) == 1
    assert len({json.dumps(ebay.state()) for _, ebay, _ in worlds}) == 1


def test_the_console_refuses_what_it_does_not_know() -> None:
    world, ebay, _ = open_shop()
    with pytest.raises(ValueError, match="unknown action"):
        ebay.console("explode")
    with pytest.raises(ValueError, match="no order"):
        ebay.console("cancel", order_id="1")
    ebay.console("set_quantity", sku="MUG", quantity=8)
    ebay.console("set_offer_quantity", sku="MUG", quantity=3)
    assert ebay.shown("MUG") == 3
    ebay.console("end_listing", sku="MUG")
    assert ebay.shown("MUG") == 0
    ebay.console("relist", sku="MUG")
    assert ebay.shown("MUG") == 3
    sale = bought(ebay)
    ebay.console("cancel", order_id=sale.order_id, restock=True)
    advance(world, 5)
    assert (ebay.shown("MUG"), sale.cancelled_at) == (3, world.clock.now())
    with pytest.raises(ValueError, match="unknown switches"):
        Ebay(World(clock=VirtualClock()), nonsense=1)


def test_a_compressed_clock_shortens_days_and_tokens() -> None:
    world = World(clock=VirtualClock(factor=60))
    ebay = Ebay(world)
    assert ebay.credentials()["expires_in"] == 120
    assert ebay.quotas.days.ends_at() - world.clock.now() == timedelta(seconds=1440)


GARBAGE = [None, True, -1, 10**400, 1e308, "", "\ud800", [], {}, [[]], [None]]


@pytest.mark.parametrize("junk", GARBAGE, ids=lambda junk: repr(junk)[:12])
async def test_garbage_is_refused_without_a_server_error(junk: Any) -> None:
    world, ebay, client = open_shop()
    sale = bought(ebay)
    advance(world, 5)
    offer = {"offerId": ebay.seller.offers_of("MUG")[0].offer_id, "price": junk, "availableQuantity": junk}
    bulk = [
        {"requests": junk},
        {"requests": [junk]},
        {"requests": [{"sku": junk}]},
        {"requests": [quantity("MUG", junk)]},
    ]
    calls = [(BULK, each) for each in (*bulk, {"requests": [{"sku": "MUG", "offers": [offer]}]})]
    calls += [
        (f"{FUL}/order/{sale.order_id}/shipping_fulfillment", {"lineItems": junk}),
        (f"{FUL}/order/{sale.order_id}/issue_refund", {"reasonForRefund": junk}),
        (f"{NOT}/subscription", {"topicId": junk}),
    ]
    for path, body in calls:
        answer, _ = await client("POST", path, json_body=body)
        assert answer.status in (200, 207, 400, 404, 409), (path, body)
    answer, _ = await client.post_order("POST", "", json_body={"legacyOrderId": junk, "cancelReason": junk})
    assert answer.status in (400, 404)
    assert not [each for each in world.diary if each.what == "emulator_error"]
