"""The emulated Etsy keeps Etsy's rules: keys, tokens, budgets, whole-listing writes, silent cancels, webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from openapi_answers import check_answer

from oneshelf_emulator.clock import VirtualClock
from oneshelf_emulator.door import Answer, call
from oneshelf_emulator.etsy import Etsy
from oneshelf_emulator.etsy.broken import STATES
from oneshelf_emulator.throttle import FaultGate
from oneshelf_emulator.world import Address, Buyer, Product, World

SPEC = "etsy/etsy_openapi_v3.normalized.json"
ANNA = Buyer("anna", "Anna Ode", "anna@mail.test", Address("Anna Ode", "1 Elm St", "Springfield", "IL", "62701", "US"))
PRODUCTS = [
    Product("MUG", "Mug", 1250, "USD", 5),
    Product("TEE-RED-M", "Tee red M", 1990, "USD", 7),
    Product("TEE-RED-L", "Tee red L", 1990, "USD", 3),
]
A = "/v3/application"


@dataclass
class Client:
    """A careful client: the right key and a fresh token unless told otherwise."""

    etsy: Etsy
    app: Any
    who: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.headers = {
            "x-api-key": f"{self.who['keystring']}:{self.who['shared_secret']}",
            "authorization": f"Bearer {self.who['access_token']}",
        }

    async def __call__(
        self, method: str, path: str, *, json_body: Any = None, form: Any = None, drop: str = "", **extra: str
    ) -> tuple[Answer, Any]:
        headers = {**{k: v for k, v in self.headers.items() if k != drop}, **extra}
        body = b""
        if json_body is not None:
            body, headers["content-type"] = json.dumps(json_body).encode(), "application/json"
        if form is not None:
            body, headers["content-type"] = urlencode(form).encode(), "application/x-www-form-urlencoded"
        answer = await call(self.app, method, path, headers=headers, body=body)
        return answer, json.loads(answer.body)

    @property
    def shop(self) -> str:
        return f"{A}/shops/{self.who['shop_id']}"

    async def listing_of(self, sku: str) -> int:
        _, page = await self("GET", f"{self.shop}/listings?limit=100&includes=Inventory")
        return next(each["listing_id"] for each in page["results"] if sku in each["skus"])


def open_shop(**switches: Any) -> tuple[World, Etsy, Client]:
    world = World(clock=VirtualClock())
    etsy = Etsy(world, **{"qps": 1000, **switches})
    etsy.stock_up(PRODUCTS)
    return world, etsy, Client(etsy, FaultGate(etsy.app, world, "etsy"), etsy.credentials())


def clock_of(world: World) -> VirtualClock:
    assert isinstance(world.clock, VirtualClock)
    return world.clock


def as_input(inventory: dict[str, Any]) -> dict[str, Any]:
    """Turn what getListingInventory says into what updateListingInventory takes."""
    products = [
        {
            "sku": product["sku"],
            "property_values": [
                {k: v for k, v in value.items() if k != "scale_name"} for value in product["property_values"]
            ],
            "offerings": [
                {
                    "price": offering["price"]["amount"] / offering["price"]["divisor"],
                    "quantity": offering["quantity"],
                    "is_enabled": offering["is_enabled"],
                    "readiness_state_id": offering["readiness_state_id"],
                }
                for offering in product["offerings"]
            ],
        }
        for product in inventory["products"]
    ]
    on_property = {key: value for key, value in inventory.items() if key.endswith("_on_property")}
    return {"products": products, **on_property}


async def read_input(client: Client, sku: str) -> tuple[str, dict[str, Any]]:
    path = f"{A}/listings/{await client.listing_of(sku)}/inventory"
    _, inventory = await client("GET", path)
    return path, as_input(inventory)


# --- keys, tokens, budgets ---------------------------------------------------------------------------------------


async def test_the_key_needs_its_secret_on_every_call() -> None:
    _, _, client = open_shop()
    assert (await client("GET", f"{A}/openapi-ping"))[0].status == 200
    answer, body = await client("GET", f"{A}/openapi-ping", **{"x-api-key": client.who["keystring"]})
    assert (answer.status, body) == (403, {"error": "Shared secret is required in x-api-key header."})
    assert (await client("GET", f"{A}/openapi-ping", drop="x-api-key"))[0].status == 401
    assert (await client("GET", f"{A}/openapi-ping", **{"x-api-key": "a:b"}))[0].status == 403


async def test_a_refresh_returns_a_new_pair_and_kills_the_old_refresh_token() -> None:
    _, _, client = open_shop()
    form = {
        "grant_type": "refresh_token",
        "client_id": client.who["keystring"],
        "refresh_token": client.who["refresh_token"],
    }
    answer, first = await client("POST", "/v3/public/oauth/token", form=form)
    assert answer.status == 200
    assert first["refresh_token"] != client.who["refresh_token"]
    assert first["access_token"].split(".")[0] == str(client.who["user_id"])
    answer, body = await client("POST", "/v3/public/oauth/token", form=form)
    assert (answer.status, body["error"]) == (400, "invalid_grant")
    answer, _ = await client("POST", "/v3/public/oauth/token", form={**form, "refresh_token": first["refresh_token"]})
    assert answer.status == 200


async def test_an_access_token_lives_one_hour_shortened_by_the_clock() -> None:
    world = World(clock=VirtualClock(factor=60))
    etsy = Etsy(world)
    client = Client(etsy, etsy.app, etsy.credentials())
    assert client.who["expires_in"] == 60
    clock_of(world).advance(59)
    assert (await client("GET", f"{A}/users/me"))[0].status == 200
    clock_of(world).advance(2)
    answer, body = await client("GET", f"{A}/users/me")
    assert (answer.status, body) == (
        401,
        {"error": "invalid_token", "error_description": "access token is expired"},
    )


async def consent(client: Client, **changes: str) -> Answer:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": client.who["keystring"],
        "redirect_uri": client.who["redirect_uri"],
        "scope": "listings_r shops_r",
        "state": "s1",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **changes,
    }
    return await call(client.app, "GET", "/oauth/connect", query=urlencode(query))


async def test_consent_with_pkce_gives_a_code_that_works_once_and_only_its_scopes() -> None:
    _, _, client = open_shop()
    answer = await consent(client)
    back = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (answer.status, back["state"]) == (302, ["s1"])
    form = {
        "grant_type": "authorization_code",
        "client_id": client.who["keystring"],
        "redirect_uri": client.who["redirect_uri"],
        "code": back["code"][0],
        "code_verifier": "v" * 43,
    }
    answer, pair = await client("POST", "/v3/public/oauth/token", form=form)
    assert (answer.status, pair["token_type"], pair["expires_in"]) == (200, "Bearer", 3600)
    assert (await client("POST", "/v3/public/oauth/token", form=form))[1]["error"] == "invalid_grant"
    token = f"Bearer {pair['access_token']}"
    assert (await client("GET", f"{A}/users/me", authorization=token))[0].status == 200
    answer, body = await client("GET", f"{client.shop}/receipts", authorization=token)
    assert (answer.status, body["error"]) == (403, "insufficient_scope")
    assert (await client("POST", f"{A}/scopes", form={"token": pair["access_token"]}))[1] == {
        "scopes": ["listings_r", "shops_r"]
    }


@pytest.mark.parametrize(
    "change",
    [
        {"redirect_uri": "https://elsewhere.example/"},
        {"code_challenge_method": "plain"},
        {"scope": "all"},
        {"state": ""},
    ],
)
async def test_consent_refuses_what_etsy_refuses(change: dict[str, str]) -> None:
    _, _, client = open_shop()
    assert (await consent(client, **change)).status == 400


async def test_a_wrong_verifier_is_refused() -> None:
    _, _, client = open_shop()
    code = parse_qs(urlsplit((await consent(client)).headers["location"]).query)["code"][0]
    form = {
        "grant_type": "authorization_code",
        "client_id": client.who["keystring"],
        "redirect_uri": client.who["redirect_uri"],
        "code": code,
        "code_verifier": "w" * 43,
    }
    assert (await client("POST", "/v3/public/oauth/token", form=form))[0].status == 400


async def test_the_second_and_the_day_are_budgets_with_headers_and_two_texts() -> None:
    world, _, client = open_shop(qps=2, qpd=5)
    headers = (await client("GET", f"{A}/openapi-ping"))[0].headers
    assert (headers["x-limit-per-second"], headers["x-remaining-this-second"]) == ("2", "1")
    assert (headers["x-limit-per-day"], headers["x-remaining-today"]) == ("5", "4")
    await client("GET", f"{A}/openapi-ping")
    answer, body = await client("GET", f"{A}/openapi-ping")
    assert (answer.status, body, answer.headers["retry-after"]) == (
        429,
        {"error": "Exceeded per second rate limit"},
        "1",
    )
    assert answer.headers["x-remaining-today"] == "3"  # a refused call costs nothing
    for _ in range(3):
        clock_of(world).advance(1)
        assert (await client("GET", f"{A}/openapi-ping"))[0].status == 200
    clock_of(world).advance(1)
    answer, body = await client("GET", f"{A}/openapi-ping")
    assert (answer.status, body) == (429, {"error": "Exceeded daily rate limit"})
    wait_s = int(answer.headers["retry-after"])
    assert 86_300 < wait_s <= 86_400
    clock_of(world).advance(wait_s)
    assert (await client("GET", f"{A}/openapi-ping", drop="authorization"))[0].status == 200


async def test_faults_speak_etsys_language() -> None:
    world, _, client = open_shop()
    world.faults.arm("expired_token", "etsy", "getMe")
    answer, body = await client("GET", f"{A}/users/me")
    assert (answer.status, body["error"]) == (401, "invalid_token")
    world.faults.arm("throttle", "etsy", "getMe")
    answer, _ = await client("GET", f"{A}/users/me")
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")


# --- listings and inventory --------------------------------------------------------------------------------------


async def test_skus_with_one_prefix_are_one_listing_and_documents_fit_the_official_schemas() -> None:
    _, _, client = open_shop()
    answer, page = await client("GET", f"{client.shop}/listings?state=active&includes=Inventory")
    assert (answer.status, page["count"]) == (200, 2)
    tee = next(each for each in page["results"] if each["has_variations"])
    assert (tee["skus"], tee["quantity"]) == (["TEE-RED-L", "TEE-RED-M"], 10)
    check_answer(SPEC, "ShopListingsWithAssociations", page)
    _, inventory = await client("GET", f"{A}/listings/{tee['listing_id']}/inventory?includes=Listing")
    check_answer(SPEC, "ListingInventoryWithAssociations", inventory)
    for path, schema in (
        (f"{A}/users/me", "Self"),
        (client.shop, "Shop"),
        (f"{A}/openapi-ping", "Pong"),
        (f"{A}/listings/{tee['listing_id']}", "ShopListingWithAssociations"),
        (f"{A}/listings/batch?listing_ids={tee['listing_id']}", "ShopListingsWithAssociations"),
        (f"{A}/listings/batch/inventory?listing_ids={tee['listing_id']}", "ShopListingsWithAssociations"),
        (f"{client.shop}/readiness-state-definitions", "ShopProcessingProfiles"),
        (f"{A}/shipping-carriers?origin_country_iso=US", "ShippingCarriers"),
    ):
        answer, body = await client("GET", path)
        assert answer.status == 200, path
        check_answer(SPEC, schema, body)


async def test_one_missing_id_fails_the_whole_inventory_batch() -> None:
    _, _, client = open_shop()
    mug = await client.listing_of("MUG")
    assert (await client("GET", f"{A}/listings/batch/inventory?listing_ids={mug},1"))[0].status == 404
    many = ",".join(str(each) for each in range(1, 102))
    assert (await client("GET", f"{A}/listings/batch/inventory?listing_ids={many}"))[0].status == 400


async def test_a_put_replaces_the_whole_listing_and_makes_new_ids() -> None:
    _, etsy, client = open_shop()
    path, body = await read_input(client, "TEE-RED-M")
    _, before = await client("GET", path)
    body["products"] = [p for p in body["products"] if p["sku"] == "TEE-RED-M"]
    body["products"][0]["offerings"][0]["quantity"] = 4
    answer, after = await client("PUT", path, json_body=body)
    assert answer.status == 200
    check_answer(SPEC, "ListingInventory", after)
    assert [p["sku"] for p in after["products"]] == ["TEE-RED-M"]
    old = {p["product_id"] for p in before["products"]}
    assert after["products"][0]["product_id"] not in old
    assert (etsy.shown("TEE-RED-M"), etsy.shown("TEE-RED-L")) == (4, 0)
    _, deleted = await client("GET", f"{path}?show_deleted=true")
    assert [(p["sku"], p["is_deleted"]) for p in deleted["products"]] == [("TEE-RED-M", False), ("TEE-RED-L", True)]


async def test_the_last_write_wins_over_a_sale_between_read_and_write() -> None:
    _, etsy, client = open_shop()
    path, body = await read_input(client, "TEE-RED-M")
    assert etsy.buy(ANNA, {"TEE-RED-M": 2}) is not None
    assert etsy.shown("TEE-RED-M") == 5
    assert (await client("PUT", path, json_body=body))[0].status == 200
    assert etsy.shown("TEE-RED-M") == 7  # oversold by two: the race that Etsy does not stop


def broken_bodies() -> list[tuple[str, Any]]:
    def offering(key: str, value: Any) -> Any:
        return lambda b: b["products"][0]["offerings"][0].__setitem__(key, value)

    return [
        ("cannot be greater than 999", offering("quantity", 1000)),
        ("cannot be less than 0", offering("quantity", -1)),
        ("Expected int value", offering("quantity", "7")),
        ("Expected int value", offering("quantity", True)),
        ("Expected float value", offering("price", {"amount": 1990, "divisor": 100})),
        ("/price", offering("price", 0.1)),
        ("price of products must be consistent", offering("price", 21.0)),
        ("readiness_state_id is required", offering("readiness_state_id", None)),
        ("Invalid readiness_state_id", offering("readiness_state_id", 5)),
        ("Invalid parameter in offerings: offering_id", offering("offering_id", 5)),
        ("Missing required parameter 'readiness_state_id'", lambda b: b["products"][0]["offerings"][0].pop("readiness_state_id")),
        ("Missing required parameter 'offerings'", lambda b: b["products"][0].pop("offerings")),
        ("Missing required parameter 'products'", lambda b: b.pop("products")),
        ("Missing required parameter 'values'", lambda b: b["products"][0]["property_values"][0].pop("values")),
        ("parentheses", lambda b: b["products"][0]["property_values"][0].__setitem__("values", ["M (large)"])),
        ("Invalid parameter in products: product_id", lambda b: b["products"][0].__setitem__("product_id", 7)),
        ("quantity of products must be consistent", lambda b: b.__setitem__("quantity_on_property", [])),
        ("sku of products must be consistent", lambda b: b.__setitem__("sku_on_property", [])),
        ("must be among the properties", lambda b: b.__setitem__("price_on_property", [200])),
        ("Duplicate product", lambda b: b["products"].append(json.loads(json.dumps(b["products"][0])))),
        ("same set of properties", lambda b: b["products"][0].__setitem__("property_values", [])),
        ("at least one product", lambda b: b.__setitem__("products", [])),
        (
            "One offering must have quantity greater than 0",
            lambda b: [p["offerings"][0].__setitem__("quantity", 0) for p in b["products"]],
        ),
        (
            "One offering must have quantity greater than 0",
            lambda b: [p["offerings"][0].__setitem__("is_enabled", False) for p in b["products"]],
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "damage"), broken_bodies())
async def test_a_body_that_breaks_a_rule_is_refused_and_changes_nothing(text: str, damage: Any) -> None:
    _, etsy, client = open_shop()
    path, body = await read_input(client, "TEE-RED-M")
    damage(body)
    answer, refusal = await client("PUT", path, json_body=body)
    assert answer.status == 400
    assert text in refusal["error"]
    assert (etsy.shown("TEE-RED-M"), etsy.shown("TEE-RED-L")) == (7, 3)


async def test_what_get_says_is_not_what_put_takes() -> None:
    _, _, client = open_shop()
    path, _ = await read_input(client, "MUG")
    _, inventory = await client("GET", path)
    assert (await client("PUT", path, json_body=inventory))[0].status == 400


async def test_a_shared_quantity_is_one_number_for_all_products_and_falls_for_all() -> None:
    _, etsy, client = open_shop()
    path, body = await read_input(client, "TEE-RED-M")
    body["quantity_on_property"] = []
    for product in body["products"]:
        product["offerings"][0]["quantity"] = 6
    assert (await client("PUT", path, json_body=body))[0].status == 200
    assert etsy.buy(ANNA, {"TEE-RED-M": 4, "TEE-RED-L": 3}) is None
    assert etsy.buy(ANNA, {"TEE-RED-M": 4, "TEE-RED-L": 1}) is not None
    assert (etsy.shown("TEE-RED-M"), etsy.shown("TEE-RED-L")) == (1, 1)
    listing, _ = etsy.shop.find("TEE-RED-M") or pytest.fail("gone")
    assert listing.quantity() == 1


async def test_inactive_and_back_costs_nothing_and_quantity_is_ignored_by_patch() -> None:
    _, etsy, client = open_shop()
    mug = await client.listing_of("MUG")
    fees = etsy.shop.fees_minor
    path = f"{client.shop}/listings/{mug}"
    answer, body = await client("PATCH", path, form={"state": "inactive", "quantity": 1})
    assert (answer.status, body["state"], etsy.shown("MUG")) == (200, "inactive", 0)
    assert (await client("GET", f"{A}/listings/{mug}"))[0].status == 200
    assert (await client("GET", f"{A}/listings/{mug}", drop="authorization"))[0].status == 404
    check_answer(SPEC, "ShopListing", body)
    await client("PATCH", path, form={"state": "active"})
    assert (etsy.shown("MUG"), etsy.shop.fees_minor) == (5, fees)
    assert (await client("PATCH", path, form={"state": "sold_out"}))[0].status == 400
    assert (await client("PATCH", path, form={"stat": "active"}))[0].status == 400


async def test_the_last_unit_makes_sold_out_and_coming_back_costs_a_fee_and_shows_one() -> None:
    _, etsy, client = open_shop()
    mug = await client.listing_of("MUG")
    assert etsy.buy(ANNA, {"MUG": 6}) is None
    assert etsy.buy(ANNA, {"MUG": 5}) is not None
    assert etsy.state()["listings"][str(mug)] == "sold_out"
    fees = etsy.shop.fees_minor
    path = f"{A}/listings/{mug}/inventory"
    _, inventory = await client("GET", path)
    body = as_input(inventory)
    body["products"][0]["offerings"][0]["quantity"] = 9
    assert (await client("PUT", path, json_body=body))[0].status == 200
    assert etsy.shown("MUG") == 0  # a write does not undo sold_out
    await client("PATCH", f"{client.shop}/listings/{mug}", form={"state": "active"})
    assert (etsy.shown("MUG"), etsy.shop.fees_minor) == (1, fees + 20)


async def test_a_listing_expires_after_four_months_unless_it_renews() -> None:
    world, etsy, client = open_shop()
    mug = await client.listing_of("MUG")
    await client("PATCH", f"{client.shop}/listings/{mug}", form={"should_auto_renew": "false"})
    fees = etsy.shop.fees_minor
    clock_of(world).advance(123 * 86400)
    assert (etsy.shown("MUG"), etsy.shown("TEE-RED-M")) == (0, 7)
    assert etsy.state()["listings"][str(mug)] == "expired"
    assert etsy.shop.fees_minor == fees + 20


async def test_a_write_that_is_never_applied_answers_well() -> None:
    world, etsy, client = open_shop()
    path, body = await read_input(client, "MUG")
    body["products"][0]["offerings"][0]["quantity"] = 1
    world.faults.arm("never_applied", "etsy", "updateListingInventory")
    assert (await client("PUT", path, json_body=body))[0].status == 200
    assert etsy.shown("MUG") == 5


async def test_a_stale_read_shows_the_quantity_of_before() -> None:
    world, etsy, client = open_shop()
    path, _ = await read_input(client, "MUG")
    etsy.buy(ANNA, {"MUG": 2})
    world.faults.arm("stale_read", "etsy", "getListingInventory")
    _, stale = await client("GET", path)
    _, fresh = await client("GET", path)
    assert [each["products"][0]["offerings"][0]["quantity"] for each in (stale, fresh)] == [5, 3]


# --- receipts ----------------------------------------------------------------------------------------------------


async def test_an_order_is_open_then_processing_then_paid_and_takes_stock_at_once() -> None:
    world, etsy, client = open_shop(open_s=10, processing_s=1800)
    sale = etsy.buy(ANNA, {"MUG": 2})
    assert sale is not None and etsy.shown("MUG") == 3
    path = f"{client.shop}/receipts/{sale.order_id}"
    seen = []
    for wait_s in (0, 10, 1800):
        clock_of(world).advance(wait_s)
        _, receipt = await client("GET", path)
        seen.append((receipt["status"], receipt["is_paid"]))
    assert seen == [("Open", False), ("Payment Processing", False), ("Paid", True)]
    assert sale.paid_at == world.clock.now()
    assert receipt["total_price"] == {"amount": 2500, "divisor": 100, "currency_code": "USD"}
    assert receipt["grandtotal"]["amount"] == 2500 + 499 + 200
    line = receipt["transactions"][0]
    assert (line["sku"], line["quantity"], line["price"]["amount"]) == ("MUG", 2, 1250)


async def test_receipts_fit_the_official_schema_in_lower_case() -> None:
    world, etsy, client = open_shop(status_case="lower")
    sale = etsy.buy(ANNA, {"TEE-RED-M": 1, "MUG": 1})
    assert sale is not None
    clock_of(world).advance(10)
    etsy.console("refund", order_id=sale.order_id, amount_minor=100)
    path = f"{client.shop}/receipts/{sale.order_id}"
    body = {"tracking_code": "9400", "carrier_name": "usps"}
    answer, shipped = await client("POST", f"{path}/tracking", json_body=body)
    assert answer.status == 200
    check_answer(SPEC, "ShopReceipt", shipped)
    for tail, schema in (("", "ShopReceipt"), ("/transactions", "ShopReceiptTransactions"), ("/payments", "Payments")):
        check_answer(SPEC, schema, (await client("GET", path + tail))[1])
    check_answer(SPEC, "ShopReceipts", (await client("GET", f"{client.shop}/receipts"))[1])
    transaction = shipped["transactions"][0]["transaction_id"]
    check_answer(SPEC, "ShopReceiptTransaction", (await client("GET", f"{client.shop}/transactions/{transaction}"))[1])


async def test_receipt_filters_sort_and_page() -> None:
    world, etsy, client = open_shop()
    ids = []
    for _ in range(3):
        sale = etsy.buy(ANNA, {"MUG": 1})
        assert sale is not None
        ids.append(int(sale.order_id))
        clock_of(world).advance(100)
    first_created = int(world.sales[0].placed_at.timestamp())
    path = f"{client.shop}/receipts"

    async def found(query: str) -> list[int]:
        answer, page = await client("GET", f"{path}?{query}")
        assert answer.status == 200, page
        return [each["receipt_id"] for each in page["results"]]

    assert await found("") == ids[::-1]
    assert await found("sort_on=updated&sort_order=asc&limit=2&offset=1") == ids[1:]
    assert await found(f"max_created={first_created}") == [ids[0]]
    assert await found(f"min_last_modified={first_created + 100}&sort_order=up") == ids[1:]
    await client("POST", f"{path}/{ids[0]}/tracking", json_body={"tracking_code": "1", "carrier_name": "usps"})
    assert await found("was_shipped=true") == [ids[0]]
    assert await found("was_paid=True&was_shipped=False&sort_order=asc") == ids[1:]
    for wrong in ("limit=101", "limit=0", "offset=-1", "min_created=5", "was_paid=yes", "sort_on=id", "min_modified=1"):
        assert (await client("GET", f"{path}?{wrong}"))[0].status == 400, wrong


async def test_a_cancel_is_silent_late_and_gives_nothing_back_unless_asked() -> None:
    world, etsy, client = open_shop()
    sales = [etsy.buy(ANNA, {"MUG": 1}) for _ in range(2)]
    clock_of(world).advance(60)
    kept, restocked = (sale.order_id for sale in sales if sale)
    _, before = await client("GET", f"{client.shop}/receipts/{kept}")
    etsy.console("cancel", order_id=kept)
    assert etsy.shown("MUG") == 3
    etsy.console("cancel", order_id=restocked, restock=True)
    assert etsy.shown("MUG") == 4
    _, after = await client("GET", f"{client.shop}/receipts/{kept}")
    assert (after["status"], after["refunds"][0]["amount"]["amount"]) == ("Canceled", after["grandtotal"]["amount"])
    assert after["updated_timestamp"] == before["updated_timestamp"]
    assert sales[0] is not None and sales[0].cancelled_at == world.clock.now()
    etsy.switches["cancelled_receipt_404"] = True
    assert (await client("GET", f"{client.shop}/receipts/{kept}"))[0].status == 404


async def test_a_payment_in_process_blocks_the_cancel() -> None:
    world, etsy, _ = open_shop(processing_s=86400)
    sale = etsy.buy(ANNA, {"MUG": 1})
    clock_of(world).advance(10)
    assert sale is not None
    with pytest.raises(ValueError, match="processing"):
        etsy.console("cancel", order_id=sale.order_id)
    etsy.console("payment_failed", order_id=sale.order_id)
    assert etsy.orders()[0]["state"] == "canceled"
    clock_of(world).advance(90000)
    assert etsy.orders()[0]["state"] == "canceled"


async def test_there_is_no_cancel_and_no_refund_route() -> None:
    _, _, client = open_shop()
    for tail in ("cancel", "refund", "refunds"):
        assert (await client("POST", f"{client.shop}/receipts/1/{tail}", json_body={}))[0].status == 404


async def paid_order(world: World, etsy: Etsy, client: Client, **lines: int) -> str:
    sale = etsy.buy(ANNA, lines or {"MUG": 1})
    assert sale is not None
    clock_of(world).advance(10)
    return f"{client.shop}/receipts/{sale.order_id}"


async def test_every_tracking_call_mails_the_buyer_and_an_unknown_carrier_is_dropped() -> None:
    world, etsy, client = open_shop()
    path = await paid_order(world, etsy, client)
    for carrier in ("snail-express", "other"):
        body = {"tracking_code": "ZX1", "carrier_name": carrier}
        answer, receipt = await client("POST", f"{path}/tracking", json_body=body)
        assert (answer.status, receipt["status"]) == (200, "Completed")
    assert [s["carrier_name"] for s in receipt["shipments"]] == ["", "other"]
    assert len(etsy.shop.mails) == 2


async def test_a_form_body_loses_its_fields_and_us_orders_need_a_number() -> None:
    world, etsy, client = open_shop()
    path = await paid_order(world, etsy, client)
    answer, body = await client("POST", f"{path}/tracking", form={"tracking_code": "9400", "carrier_name": "usps"})
    assert (answer.status, body["error"]) == (400, "A tracking number is required")
    answer, _ = await client("POST", f"{path}/tracking", json_body={"tracking_code": 9400, "carrier_name": "usps"})
    assert answer.status == 400
    etsy.switches["shop_country"] = "CA"
    answer, body = await client("PUT", path, form={"was_shipped": "true"})
    assert (answer.status, body["is_shipped"], body["shipments"]) == (200, True, [])


async def test_the_region_gate_hides_addresses_and_forbids_tracking() -> None:
    world, etsy, client = open_shop(region_gate=True)
    path = await paid_order(world, etsy, client)
    _, receipt = await client("GET", path)
    assert (receipt["first_line"], receipt["country_iso"], receipt["name"]) == (None, None, "Anna Ode")
    answer, body = await client("POST", f"{path}/tracking", json_body={"tracking_code": "1", "carrier_name": "usps"})
    assert (answer.status, body) == (403, {"error": "Unauthorized"})


async def test_foreign_things_are_refused() -> None:
    _, _, client = open_shop()
    assert (await client("GET", f"{A}/shops/1/receipts"))[0].status == 403
    assert (await client("GET", f"{A}/listings/1/inventory"))[0].status == 404
    assert (await client("GET", f"{client.shop}/receipts/1"))[0].status == 404
    assert (await client("GET", f"{client.shop}/receipts/abc"))[0].status == 400
    assert (await client("GET", f"{A}/nothing"))[0].status == 404


# --- webhooks ----------------------------------------------------------------------------------------------------


async def test_webhooks_are_thin_signed_and_signed_anew_at_every_try() -> None:
    world, etsy, client = open_shop()
    got: list[tuple[dict[str, str], bytes]] = []

    async def deliver(url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> int:
        got.append((headers, body))
        return 500 if len(got) < 3 else 200

    world.courier.deliver = deliver
    etsy.console("set_webhook", url="http://app.test/hook", events=["order.paid"])
    sale = etsy.buy(ANNA, {"MUG": 1})
    for wait_s in (5, 0, 5):
        clock_of(world).advance(wait_s)
        await world.courier.idle()
    assert sale is not None and len(got) == 3
    assert json.loads(got[0][1]) == {
        "event_type": "order.paid",
        "resource_url": f"https://openapi.etsy.com{client.shop}/receipts/{sale.order_id}",
        "shop_id": client.who["shop_id"],
    }
    key = base64.b64decode(client.who["webhook_secret"].removeprefix("whsec_"))
    for headers, body in got:
        text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
    assert len({headers["webhook-id"] for headers, _ in got}) == 1
    assert int(got[2][0]["webhook-timestamp"]) - int(got[0][0]["webhook-timestamp"]) == 5
    etsy.console("ship", order_id=sale.order_id, tracking="9400", carrier="usps")  # order.shipped was not asked for
    clock_of(world).advance(1)
    await world.courier.idle()
    assert len(got) == 3


async def test_a_quantity_write_sends_no_inventory_updated_but_zero_sends_out_of_stock() -> None:
    world, etsy, client = open_shop()
    got: list[str] = []

    async def deliver(url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> int:
        got.append(json.loads(body)["event_type"])
        return 200

    world.courier.deliver = deliver
    etsy.set_webhook("http://app.test/hook")
    path, body = await read_input(client, "TEE-RED-M")
    for quantity in (2, 0):
        body["products"][0]["offerings"][0]["quantity"] = quantity
        await client("PUT", path, json_body=body)
        clock_of(world).advance(1)
        await world.courier.idle()
    assert got == ["inventory.out_of_stock"]


def test_a_personal_app_has_no_webhooks() -> None:
    _, etsy, _ = open_shop(app_kind="personal")
    with pytest.raises(ValueError, match="commercial"):
        etsy.set_webhook("http://app.test/hook")


def test_the_console_refuses_what_the_site_refuses() -> None:
    _, etsy, _ = open_shop()
    with pytest.raises(ValueError, match="unknown action"):
        etsy.console("explode")
    with pytest.raises(ValueError, match="greater than 0"):
        etsy.console("set_quantity", sku="MUG", quantity=0)
    etsy.console("set_quantity", sku="MUG", quantity=8)
    assert etsy.shown("MUG") == 8
    assert json.loads(json.dumps(etsy.state()))["stock"]["MUG"] == 8
    with pytest.raises(ValueError, match="unknown switches"):
        Etsy(World(clock=VirtualClock()), nonsense=1)


GARBAGE = [None, True, -1, 10**400, 1e308, "", "\ud800", [], {}, [[]], [None]]


@pytest.mark.parametrize("junk", GARBAGE, ids=lambda junk: repr(junk)[:12])
async def test_garbage_is_refused_without_a_server_error(junk: Any) -> None:
    world, etsy, client = open_shop()
    path, body = await read_input(client, "MUG")
    receipt = await paid_order(world, etsy, client)
    product, offering = body["products"][0], body["products"][0]["offerings"][0]
    bodies = [junk, {**body, "products": junk}, {**body, "products": [{**product, "offerings": junk}]}]
    bodies += [{**body, "products": [{**product, "offerings": [{**offering, key: junk}]}]} for key in offering]
    statuses = {(await client("PUT", path, json_body=each))[0].status for each in bodies if each is not None}
    statuses.add((await client("POST", f"{receipt}/tracking", json_body={"tracking_code": junk}))[0].status)
    assert statuses <= {200, 400}
    assert not [each for each in world.diary if each.what == "emulator_error"]


# --- faults and broken states --------------------------------------------------------------------------------------


async def test_a_500_after_the_write_was_taken_and_a_slow_answer() -> None:
    world, etsy, client = open_shop()
    path, body = await read_input(client, "MUG")
    for each in body["products"]:
        each["offerings"][0]["quantity"] = 9
    world.faults.arm("error_500_after", "etsy", "updateListingInventory")
    assert (await client("PUT", path, json_body=body))[0].status == 500
    assert etsy.shown("MUG") == 9, "it was done all the same"
    world.faults.arm("slow_answer", "etsy", "getListingInventory")
    began = time.monotonic()
    answer, document = await client("GET", path)
    assert (answer.status, document["products"][0]["sku"]) == (200, "MUG")
    assert time.monotonic() - began >= 2.0


async def test_a_used_up_day_refuses_until_it_frees_and_is_told_in_the_headers() -> None:
    world, etsy, client = open_shop(qpd=50)
    before = STATES["quota_used_up"].begin(etsy, frees_in_s=30)
    answer, body = await client("GET", f"{A}/users/me")
    assert (answer.status, body["error"]) == (429, "Exceeded daily rate limit")
    assert (answer.headers["retry-after"], answer.headers["x-remaining-today"]) == ("30", "0")
    clock_of(world).advance(31)
    answer, _ = await client("GET", f"{A}/users/me")
    assert (answer.status, answer.headers["x-remaining-today"]) == (200, "49")
    STATES["quota_used_up"].end(etsy, before)


async def test_a_shop_on_vacation_sells_nothing_and_says_so() -> None:
    _, etsy, client = open_shop()
    kept = STATES["vacation"].begin(etsy)
    assert (etsy.buy(ANNA, {"MUG": 1}), etsy.shown("MUG")) == (None, 0)
    assert (await client("GET", client.shop))[1]["is_vacation"] is True
    STATES["vacation"].end(etsy, kept)
    assert etsy.buy(ANNA, {"MUG": 1}) is not None
    assert (await client("GET", client.shop))[1]["is_vacation"] is False


async def test_two_writers_of_one_listing_the_later_one_wins_whole() -> None:
    _, etsy, client = open_shop()
    path, first = await read_input(client, "MUG")
    _, second = await read_input(client, "MUG")
    first["products"][0]["offerings"][0]["quantity"] = 3
    second["products"][0]["offerings"][0]["price"] = 21.0
    was = second["products"][0]["offerings"][0]["quantity"]
    assert {(await client("PUT", path, json_body=body))[0].status for body in (first, second)} == {200}
    assert etsy.shown("MUG") == was, "the number of the first writer is gone"
