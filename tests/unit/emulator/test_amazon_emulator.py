"""Amazon, emulated: as strict as its models, as late as sellers know it."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from amazon_client import ARN, CUP, DE, FAR, JANE, MUG, US, Client, error, live, parcel, quantity

from oneshelf_emulator.amazon import Amazon
from oneshelf_emulator.clock import VirtualClock
from oneshelf_emulator.door import call
from oneshelf_emulator.world import Product, World

# Tokens


@pytest.mark.parametrize(
    ("form", "status", "name"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"refresh_token": "Atzr|other"}, 400, "invalid_grant"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "scope": "orders"}, 400, "invalid_scope"),
        ({"grant_type": "authorization_code", "code": "x"}, 400, "invalid_grant"),
    ],
)
async def test_a_wrong_login_is_refused_by_its_name(form: dict[str, str], status: int, name: str):
    answer = await Client().login(**form)
    assert (answer.status, json.loads(answer.body)["error"]) == (status, name)


async def test_a_token_lives_an_hour_and_the_factor_shortens_it():
    client = Client(factor=60)
    answer = json.loads((await client.login()).body)
    assert answer["expires_in"] == 60
    assert answer["token_type"] == "bearer"
    path = "/sellers/v1/marketplaceParticipations"
    assert (await client.ask("GET", path, token=answer["access_token"])).status == 200
    client.clock.advance(61)
    assert error(await client.ask("GET", path, token=answer["access_token"])) == (403, "Unauthorized")


async def test_seller_and_grantless_tokens_are_not_interchangeable():
    client = Client()
    token = await client.grantless()
    assert (await client.ask("GET", "/notifications/v1/destinations", token=token)).status == 200
    assert (await client.ask("GET", "/notifications/v1/destinations")).status == 403
    assert (await client.ask("GET", "/sellers/v1/marketplaceParticipations", token=token)).status == 403


async def test_a_revoked_seller_comes_back_by_a_code():
    client = Client()
    client.amazon.console("revoke")
    assert (await client.login()).status == 400
    code = client.amazon.console("authorize")["code"]
    answer = await client.login(grant_type="authorization_code", code=code)
    assert answer.status == 200
    assert (await client.login()).status == 200
    assert (await client.login(grant_type="authorization_code", code=code)).status == 400


# Throttle and headers


async def test_search_orders_allows_twenty_then_one_in_179_seconds():
    client = Client()
    statuses = [(await client.search()).status for _ in range(21)]
    assert statuses == [200] * 20 + [429]
    client.clock.advance(170)
    assert error(await client.search()) == (429, "QuotaExceeded")
    client.clock.advance(10)
    assert (await client.search()).status == 200


async def test_the_rate_header_is_there_only_where_it_is_promised():
    client = Client()
    fine = await client.search()
    assert fine.headers["x-amzn-ratelimit-limit"] == "0.0056"
    bad = await client.search(maxResultsPerPage="0")
    assert (bad.status, bad.headers["x-amzn-ratelimit-limit"]) == (400, "0.0056")
    denied = await client.ask("GET", "/orders/2026-01-01/orders", token="wrong")
    assert denied.status == 403
    assert "x-amzn-ratelimit-limit" not in denied.headers
    client.world.faults.arm("throttle", "amazon", "searchOrders")
    throttled = await client.search()
    assert throttled.status == 429
    assert not {"x-amzn-ratelimit-limit", "retry-after"} & throttled.headers.keys()
    assert all(each.headers["x-amzn-requestid"] for each in (fine, bad, denied, throttled))


# Listings


async def test_a_patch_is_accepted_at_once_and_applied_later():
    client = Client()
    answer = await client.patch(MUG, quantity(12))
    assert (answer["http"], answer["status"], answer["issues"]) == (200, "ACCEPTED", [])
    client.clock.advance(14)
    assert client.amazon.shown(MUG) == 5
    client.clock.advance(107)
    assert client.amazon.shown(MUG) == 12
    assert live(await client.item(MUG)) == {"DEFAULT": 12}


async def test_the_last_accepted_write_wins_even_if_both_wait():
    client = Client()
    for pieces in (11, 12, 13, 14):
        await client.patch(MUG, quantity(pieces))
    client.clock.advance(200)
    assert client.amazon.shown(MUG) == 14


async def test_a_sale_lowers_the_live_number_not_the_submitted_one_and_a_write_gives_it_back():
    client = Client()
    client.buy(MUG_1=2)
    item = await client.item(MUG)
    assert live(item) == {"DEFAULT": 3}
    assert item["attributes"]["fulfillment_availability"][0]["quantity"] == 5
    await client.patch(MUG, quantity(5))
    client.clock.advance(121)
    assert client.amazon.shown(MUG) == 5  # the overwrite race of an absolute quantity


async def test_merge_keeps_the_lead_time_and_replace_drops_it():
    client = Client()
    await client.patch(MUG, quantity(5, lead_time_to_ship_max_days=3), op="replace")
    await client.patch(MUG, quantity(6))
    client.clock.advance(300)
    [entry] = (await client.item(MUG))["attributes"]["fulfillment_availability"]
    assert (entry["quantity"], entry["lead_time_to_ship_max_days"]) == (6, 3)
    await client.patch(MUG, quantity(7), op="replace")
    client.clock.advance(300)
    [entry] = (await client.item(MUG))["attributes"]["fulfillment_availability"]
    assert "lead_time_to_ship_max_days" not in entry


async def test_a_merchant_quantity_strands_the_stock_in_amazons_warehouse():
    client = Client()
    before = await client.item(FAR)
    assert live(before) == {"AMAZON_NA": None}
    assert client.amazon.shown(FAR) == 4
    await client.patch(FAR, quantity(2), op="replace")
    client.clock.advance(121)
    assert live(await client.item(FAR)) == {"AMAZON_NA": None, "DEFAULT": 2}
    assert client.amazon.shown(FAR) == 2
    assert [each.detail for each in client.world.diary if each.what == "fba_stranded"] == [{"sku": FAR, "pieces": 4}]
    patch = {"op": "delete", "path": "/attributes/fulfillment_availability", "value": quantity(0)}
    await client.ask("PATCH", client.path(FAR), {"productType": "PRODUCT", "patches": [patch]}, marketplaceIds=US)
    client.clock.advance(121)
    assert client.amazon.shown(FAR) == 4


async def test_an_unknown_sku_is_accepted_and_becomes_a_listing_nobody_can_buy():
    client = Client()
    assert (await client.patch("NEW", quantity(3)))["status"] == "ACCEPTED"
    assert (await client.ask("GET", client.path("NEW"), marketplaceIds=US)).status == 404
    client.clock.advance(121)
    item = await client.item("NEW")
    assert item["summaries"][0]["status"] == []
    assert item["issues"][0]["categories"] == ["MISSING_ATTRIBUTE"]
    assert client.amazon.shown("NEW") == 0


@pytest.mark.parametrize(
    "value",
    [
        quantity(-1),
        quantity("3"),
        quantity(2.5),
        quantity(True),
        [{"quantity": 3}],
        [{"fulfillment_channel_code": "WAREHOUSE", "quantity": 3}],
        quantity(3, lead_time_to_ship_max_days=31),
        quantity(3, leadTime=2),
        quantity(3, restock_date="soon"),
        [{"fulfillment_channel_code": "DEFAULT", "lead_time_to_ship_max_days": 2}],
        [],
    ],
)
async def test_a_wrong_quantity_is_invalid_and_changes_nothing(value: Any):
    client = Client()
    answer = await client.patch(MUG, value)
    assert (answer["http"], answer["status"]) == (200, "INVALID")
    assert answer["issues"][0]["severity"] == "ERROR"
    client.clock.advance(300)
    assert client.amazon.shown(MUG) == 5


@pytest.mark.parametrize(
    "body",
    [
        {"patches": [{"op": "merge", "path": "/attributes/fulfillment_availability", "value": quantity(1)}]},
        {"productType": "PRODUCT", "patches": []},
        {"productType": "PRODUCT", "patches": [{"op": "remove", "path": "/attributes/size"}]},
        {"productType": "PRODUCT", "patches": [{"op": "replace", "path": "/attributes/size", "value": {"a": 1}}]},
        {"productType": "PRODUCT", "patches": [{"op": "replace", "path": "/attributes/size/0/value", "value": [{}]}]},
        {"productType": "PRODUCT", "patches": "all"},
        [],
    ],
)
async def test_a_body_against_the_model_is_a_bad_request(body: Any):
    client = Client()
    answer = await client.ask("PATCH", client.path(MUG), body, marketplaceIds=US)
    assert answer.status == 400


async def test_requests_that_miss_their_address_are_refused():
    client = Client()
    assert (await client.ask("GET", client.path(MUG))).status == 400
    assert (await client.ask("GET", client.path(MUG), marketplaceIds="NOWHERE")).status == 400
    assert (await client.ask("GET", client.path(MUG), marketplaceIds=DE)).status == 403
    assert (await client.ask("GET", f"{client.seller}/MUG/1", marketplaceIds=US)).status == 403
    other = client.path(MUG).replace(client.amazon.seller_id, "AOTHER")
    assert (await client.ask("GET", other, marketplaceIds=US)).status == 403
    assert (await client.ask("GET", client.path(MUG), marketplaceIds=US, includedData="stock")).status == 400
    plain = await call(client.door, "PATCH", client.path(MUG), query=f"marketplaceIds={US}",
                       headers={"x-amz-access-token": client.token, "content-type": "text/plain"}, body=b"{}")  # fmt: skip
    assert plain.status == 415


async def test_reading_shows_summaries_only_unless_asked_for_more():
    client = Client()
    answer = await client.ask("GET", client.path(MUG), marketplaceIds=US)
    assert json.loads(answer.body).keys() == {"sku", "summaries"}


async def test_a_price_is_per_marketplace_in_its_currency():
    client = Client()
    offer = {"marketplace_id": US, "currency": "USD", "our_price": [{"schedule": [{"value_with_tax": 24.5}]}]}
    assert (await client.patch(MUG, [offer], "replace", "purchasable_offer"))["status"] == "ACCEPTED"
    client.clock.advance(121)
    assert (await client.item(MUG))["offers"][0]["price"] == {"amount": "24.50", "currencyCode": "USD"}
    wrong = await client.patch(MUG, [{**offer, "currency": "EUR"}], "replace", "purchasable_offer")
    assert (wrong["status"], wrong["issues"][0]["categories"]) == ("INVALID", ["INVALID_PRICE"])


async def test_search_takes_twenty_skus_and_pages_by_ten():
    client = Client()
    client.amazon.stock_up([Product(f"S{n}", "S", 100, "USD", n) for n in range(20)])
    skus = ",".join(f"S{n}" for n in range(20))
    query = {
        "marketplaceIds": US,
        "identifiers": skus,
        "identifiersType": "SKU",
        "includedData": "fulfillmentAvailability",
    }
    first = json.loads((await client.ask("GET", client.seller, **query)).body)
    assert (first["numberOfResults"], len(first["items"])) == (20, 10)
    token = first["pagination"]["nextToken"]
    second = json.loads((await client.ask("GET", client.seller, **query, pageToken=token)).body)
    assert "nextToken" not in second["pagination"]
    assert {each["sku"] for each in first["items"] + second["items"]} == set(skus.split(","))
    assert (await client.ask("GET", client.seller, marketplaceIds=US, pageToken=token)).status == 400
    many = {**query, "identifiers": skus + ",S20"}
    assert (await client.ask("GET", client.seller, **many)).status == 400
    client.clock.advance(5)
    assert (await client.ask("GET", client.seller, **{**query, "pageSize": "21"})).status == 400
    assert (await client.ask("GET", client.seller, marketplaceIds=US, identifiers="S1")).status == 400


async def test_paging_ends_at_a_thousand_and_goes_on_from_a_creation_date():
    client = Client(factor=1000)
    client.amazon.stock_up([Product(f"S{n}", "S", 100, "USD", 1) for n in range(1100)])
    query = {"marketplaceIds": US, "sortBy": "createdDate", "sortOrder": "ASC", "pageSize": "20"}
    seen: list[Any] = []
    more: dict[str, str] = {}
    for _ in range(60):
        client.clock.advance(0.01)
        page = json.loads((await client.ask("GET", client.seller, **query, **more)).body)
        seen += page["items"]
        token = page.get("pagination", {}).get("nextToken")
        if token is None:
            break
        more = {"pageToken": token}
    assert (page["numberOfResults"], len(seen)) == (1103, 1000)
    query["createdAfter"] = seen[-1]["summaries"][0]["createdDate"]
    rest = json.loads((await client.ask("GET", client.seller, **query)).body)
    assert rest["numberOfResults"] == 104  # the last one again, and the 103 that paging did not reach


async def test_put_makes_an_offer_delete_takes_it_away_and_a_preview_does_neither():
    client = Client()
    offer = {"marketplace_id": US, "currency": "USD", "our_price": [{"schedule": [{"value_with_tax": 9.99}]}]}
    body = {
        "productType": "PRODUCT",
        "requirements": "LISTING_OFFER_ONLY",
        "attributes": {
            "condition_type": [{"value": "new_new", "marketplace_id": US}],
            "merchant_suggested_asin": [{"value": "B071VG5N9D", "marketplace_id": US}],
            "fulfillment_availability": quantity(8),
            "purchasable_offer": [offer],
        },
    }
    preview = await client.ask("PUT", client.path("P"), body, marketplaceIds=US, mode="VALIDATION_PREVIEW")
    assert json.loads(preview.body)["status"] == "VALID"
    assert json.loads((await client.ask("PUT", client.path("P"), body, marketplaceIds=US)).body)["status"] == "ACCEPTED"
    client.clock.advance(121)
    assert client.amazon.shown("P") == 8
    assert (await client.ask("PUT", client.path("P"), body, marketplaceIds=f"{US},{DE}")).status == 400
    del body["attributes"]["condition_type"]
    assert json.loads((await client.ask("PUT", client.path("P"), body, marketplaceIds=US)).body)["status"] == "INVALID"
    assert (await client.ask("DELETE", client.path("P"), marketplaceIds=US)).status == 200
    client.clock.advance(241)
    assert client.amazon.shown("P") == 0


async def test_a_write_that_is_never_applied_looks_the_same():
    client = Client()
    client.world.faults.arm("never_applied", "amazon")
    assert (await client.patch(MUG, quantity(12)))["status"] == "ACCEPTED"
    client.clock.advance(300)
    assert client.amazon.shown(MUG) == 5


async def test_a_stale_read_shows_the_number_of_some_minutes_ago():
    client = Client()
    client.clock.advance(400)
    client.buy(MUG_1=2)
    client.world.faults.arm("stale_read", "amazon", "getListingsItem")
    assert live(await client.item(MUG)) == {"DEFAULT": 5}
    assert live(await client.item(MUG)) == {"DEFAULT": 3}


# Orders


async def test_a_pending_order_holds_stock_and_hides_people_and_money():
    client = Client()
    sale = client.buy(MUG_1=2)
    order = await client.order(sale)
    assert order["fulfillment"]["fulfillmentStatus"] == "PENDING"
    assert not {"recipient", "buyer", "proceeds", "payment"} & order.keys()
    assert "price" not in order["orderItems"][0]["product"]
    assert client.amazon.shown(MUG) == 3


async def test_after_half_an_hour_it_is_paid_and_says_who_and_how_much():
    client = Client()
    sale = client.buy(MUG_1=2)
    client.clock.advance(1799)
    assert sale.paid_at is None
    client.clock.advance(1)
    assert sale.paid_at == client.clock.now()
    order = await client.order(sale)
    assert order["fulfillment"]["fulfillmentStatus"] == "UNSHIPPED"
    assert order["buyer"].keys() == {"buyerEmail"}
    assert order["buyer"]["buyerEmail"].endswith("@marketplace.amazon.com")
    assert order["recipient"]["deliveryAddress"]["name"] == "Jane Doe"
    item = order["orderItems"][0]
    assert item["product"]["price"]["unitPrice"] == {"amount": "19.99", "currencyCode": "USD"}
    parts = {each["type"]: each["subtotal"]["amount"] for each in item["proceeds"]["breakdowns"]}
    assert (parts["ITEM"], parts["TAX"]) in (("39.98", "3.30"), ("39.98", "3.71"))  # with or without shipping
    assert item["tax"]["taxCollections"][0]["model"] == "MARKETPLACE_FACILITATOR"
    assert item["fulfillment"] == {"quantityFulfilled": 0, "quantityUnfulfilled": 2}


async def test_without_included_data_an_order_has_no_status():
    client = Client()
    answer = await client.ask("GET", f"/orders/2026-01-01/orders/{client.buy(CUP=1).order_id}")
    order = json.loads(answer.body)["order"]
    assert order.keys() == {"orderId", "createdTime", "lastUpdatedTime", "salesChannel", "orderItems"}
    assert order["orderItems"][0].keys() == {"orderItemId", "quantityOrdered", "product"}


async def test_without_the_role_personal_data_is_simply_absent():
    client = Client(roles=())
    sale = client.buy(CUP=1)
    client.clock.advance(1800)
    order = await client.order(sale)
    assert "buyer" not in order
    assert order["recipient"]["deliveryAddress"].keys() == {"city", "stateOrRegion", "countryCode"}


async def test_an_unpaid_order_is_cancelled_and_the_quantity_comes_back():
    client = Client(pending_cancel_chance=1.0)
    sale = client.buy(MUG_1=2)
    client.clock.advance(1800)
    assert client.amazon.shown(MUG) == 5
    assert sale.cancelled_at is not None
    order = await client.order(sale)
    assert order["fulfillment"]["fulfillmentStatus"] == "CANCELLED"
    assert order["orderItems"][0]["cancellation"]["cancellationExecution"]["cancelledBy"] in ("BUYER", "AMAZON")


async def test_a_search_lags_two_minutes_and_says_up_to_when():
    client = Client()
    sale = client.buy(CUP=1)
    client.clock.advance(119)
    assert json.loads((await client.search()).body)["orders"] == []
    client.clock.advance(2)
    found = json.loads((await client.search()).body)
    assert [each["orderId"] for each in found["orders"]] == [sale.order_id]
    assert found["lastUpdatedBefore"] == "2026-11-23T14:23:01.000Z"
    # Paid now: until two minutes have passed the search still shows what was.
    client.clock.advance(1800 - 121)
    found = json.loads((await client.search(includedData="FULFILLMENT")).body)
    assert found["orders"][0]["fulfillment"]["fulfillmentStatus"] == "PENDING"
    client.clock.advance(121)
    found = json.loads((await client.search(includedData="FULFILLMENT")).body)
    assert found["orders"][0]["fulfillment"]["fulfillmentStatus"] == "UNSHIPPED"


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"createdAfter": "2026-11-01T00:00:00Z", "lastUpdatedAfter": "2026-11-01T00:00:00Z"},
        {"createdAfter": "2026-11-01T00:00:00Z", "lastUpdatedBefore": "2026-11-02T00:00:00Z"},
        {"lastUpdatedAfter": "2026-11-01"},
        {"lastUpdatedAfter": "yesterday"},
        {"lastUpdatedAfter": "2026-11-23T14:00:00Z", "lastUpdatedBefore": "2026-11-23T14:22:00Z"},
        {"lastUpdatedAfter": "2026-11-23T14:00:00Z", "lastUpdatedBefore": "2026-11-23T13:00:00Z"},
        {"lastUpdatedAfter": "2026-11-01T00:00:00Z", "includedData": "EVERYTHING"},
        {"lastUpdatedAfter": "2026-11-01T00:00:00Z", "fulfillmentStatuses": "Pending"},
        {"lastUpdatedAfter": "2026-11-01T00:00:00Z", "maxResultsPerPage": "101"},
        {"lastUpdatedAfter": "2026-11-01T00:00:00Z", "paginationToken": "made-up"},
        {"lastUpdatedAfter": "2026-11-01T00:00:00Z", "marketplaceIds": ",".join([US] * 51)},
    ],
)
async def test_a_search_against_the_rules_is_invalid_input(query: dict[str, str]):
    answer = await Client().ask("GET", "/orders/2026-01-01/orders", **query)
    assert error(answer) == (400, "InvalidInput")


async def test_a_pagination_token_belongs_to_its_parameters():
    client = Client()
    for _ in range(5):
        client.buy(CUP=1)
    client.clock.advance(121)
    query = {"maxResultsPerPage": "2", "includedData": "FULFILLMENT"}
    seen, token, pages = [], {}, 0
    while True:
        page = json.loads((await client.search(**query, **token)).body)
        seen += [each["orderId"] for each in page["orders"]]
        pages += 1
        if "pagination" not in page:
            break
        token = {"paginationToken": page["pagination"]["nextToken"]}
        # What changes between the pages neither hides nor doubles an order.
        client.amazon.console("pay", order_id=seen[0]) if pages == 1 else None
    assert (pages, len(set(seen)), len(seen)) == (3, 5, 5)
    assert (await client.search(maxResultsPerPage="3", includedData="FULFILLMENT", **token)).status == 400
    client.clock.advance(86_401)
    client.token = ""
    assert (await client.search(**query, **token)).status == 400


async def test_searches_filter_by_status_party_and_marketplace():
    client = Client()
    client.buy(CUP=1), client.buy(FAR=1)
    paid = client.buy(CUP=2)
    client.amazon.console("pay", order_id=paid.order_id)
    client.clock.advance(121)

    async def ids(**query: str) -> set[str]:
        return {each["orderId"] for each in json.loads((await client.search(**query)).body)["orders"]}

    assert await ids(fulfillmentStatuses="UNSHIPPED,SHIPPED") == {paid.order_id}
    assert len(await ids(fulfilledBy="MERCHANT")) == 2
    assert len(await ids(fulfilledBy="AMAZON", marketplaceIds=US)) == 1
    assert (await client.search(marketplaceIds=DE)).status == 403


async def test_get_order_refuses_foreign_ids():
    client = Client()
    assert (await client.ask("GET", "/orders/2026-01-01/orders/123-1234567-1234567")).status == 404
    assert (await client.ask("GET", "/orders/2026-01-01/orders/TEST_CASE_400")).status == 400


async def test_an_order_of_amazons_own_stock_leaves_the_shelf_alone():
    client = Client()
    sale = client.buy(FAR=1)
    assert client.amazon.shown(FAR) == 3
    assert client.world.sales == []
    client.clock.advance(1800)
    order = await client.order(sale)
    assert order["fulfillment"]["fulfilledBy"] == "AMAZON"
    assert "buyer" not in order
    assert "packages" not in order
    assert "phone" not in order["recipient"]["deliveryAddress"]


async def test_nobody_buys_more_than_is_shown():
    client = Client()
    assert client.amazon.buy(JANE, {MUG: 6}) is None
    assert client.amazon.buy(JANE, {MUG: 1, CUP: 10}) is None
    assert client.amazon.buy(JANE, {"NONE": 1}) is None
    assert (client.amazon.shown(MUG), client.amazon.shown(CUP), client.world.sales) == (5, 9, [])


async def test_seller_cancels_give_back_by_their_reason_and_not_while_pending():
    client = Client()
    first, second = client.buy(CUP=2), client.buy(CUP=3)
    with pytest.raises(ValueError, match="PENDING"):
        client.amazon.console("cancel_order", order_id=first.order_id)
    client.clock.advance(1800)
    client.amazon.console("cancel_order", order_id=first.order_id, reason="NoInventory")
    assert client.amazon.shown(CUP) == 4
    client.amazon.console("cancel_order", order_id=second.order_id, reason="BuyerCanceled")
    assert client.amazon.shown(CUP) == 7
    with pytest.raises(ValueError, match="nothing left"):
        client.amazon.console("cancel_order", order_id=second.order_id)


async def test_a_buyers_cancel_is_done_while_pending_and_only_a_request_later():
    client = Client()
    early, late = client.buy(CUP=1), client.buy(CUP=1)
    client.amazon.console("buyer_cancel", order_id=early.order_id)
    assert client.amazon.shown(CUP) == 8
    client.clock.advance(1800)
    client.amazon.console("buyer_cancel", order_id=late.order_id)
    order = await client.order(late)
    assert order["fulfillment"]["fulfillmentStatus"] == "UNSHIPPED"
    assert order["orderItems"][0]["cancellation"]["cancellationRequest"]["requester"] == "BUYER"
    assert client.amazon.shown(CUP) == 8


async def test_what_is_never_shipped_amazon_cancels():
    client = Client()
    sale = client.buy(CUP=1)
    client.clock.advance(1800 + 11 * 86_400 - 1)
    assert client.amazon.orders()[0]["state"] == "UNSHIPPED"
    client.clock.advance(2)
    assert client.amazon.orders()[0]["state"] == "CANCELLED"
    assert sale.cancelled_at is not None


async def test_a_replacement_costs_nothing_and_takes_stock():
    client = Client()
    sale = client.buy(CUP=2)
    client.clock.advance(1800)
    client.amazon.console("replacement", order_id=sale.order_id)
    assert client.amazon.shown(CUP) == 5
    client.clock.advance(1800)
    order = await client.order(client.world.sales[-1])
    assert order["associatedOrders"] == [{"orderId": sale.order_id, "associationType": "REPLACEMENT_ORIGINAL_ID"}]
    assert order["proceeds"]["grandTotal"]["amount"] == "0.00"


async def test_yen_have_no_decimals():
    world = World(clock=VirtualClock())
    amazon = Amazon(world, marketplace_ids=("A1VC38T7YXB528",))
    amazon.stock_up([Product("Y", "Y", 5980, "JPY", 3)])
    assert amazon.listings_api.render(amazon.shelf.listings["Y"], ["A1VC38T7YXB528"], ["offers"])["offers"][0][
        "price"
    ] == {"amount": "5980", "currencyCode": "JPY"}


# Shipping


async def test_parcels_move_the_status_and_the_same_number_edits():
    client = Client()
    sale = client.buy(CUP=3)
    path = f"/orders/v0/orders/{sale.order_id}/shipmentConfirmation"
    order = await client.order(sale)
    assert (await client.ask("POST", path, parcel(order, 1))).status == 400  # pending
    client.clock.advance(1800)
    answer = await client.ask("POST", path, parcel(order, 1))
    assert (answer.status, answer.body) == (204, b"")
    assert (await client.order(sale))["fulfillment"]["fulfillmentStatus"] == "PARTIALLY_SHIPPED"
    assert (await client.ask("POST", path, parcel(order, 2, trackingNumber="1Z0"))).status == 204  # edits parcel 1
    shipped = await client.order(sale)
    assert shipped["orderItems"][0]["fulfillment"] == {"quantityFulfilled": 2, "quantityUnfulfilled": 1}
    assert [each["trackingNumber"] for each in shipped["packages"]] == ["1Z0"]
    assert (await client.ask("POST", path, parcel(order, 2, "2"))).status == 400  # one is left
    assert (await client.ask("POST", path, parcel(order, 1, "2"))).status == 204
    assert (await client.order(sale))["fulfillment"]["fulfillmentStatus"] == "SHIPPED"
    assert sale.shipped == {CUP: 3}


@pytest.mark.parametrize(
    "more",
    [
        {"packageReferenceId": 1},
        {"packageReferenceId": "A"},
        {"packageReferenceId": "0"},
        {"trackingNumber": None},
        {"carrierCode": ""},
        {"carrierCode": "Other"},
        {"shipDate": "02/21/2022"},
        {"orderItems": []},
        {"orderItems": [{"orderItemId": "1", "quantity": 1}]},
        {"orderItems": [{"orderItemId": 5, "quantity": 1}]},
    ],
)
async def test_a_wrong_parcel_is_refused(more: dict[str, Any]):
    client = Client()
    sale = client.buy(CUP=1)
    client.clock.advance(1800)
    body = parcel(await client.order(sale), 1, reference=more.pop("packageReferenceId", "1"), **more)
    assert (await client.ask("POST", f"/orders/v0/orders/{sale.order_id}/shipmentConfirmation", body)).status == 400
    assert sale.shipped == {}


async def test_amazons_own_orders_cannot_be_confirmed():
    client = Client()
    sale = client.buy(FAR=1)
    client.clock.advance(1800)
    body = parcel(await client.order(sale), 1)
    assert (await client.ask("POST", f"/orders/v0/orders/{sale.order_id}/shipmentConfirmation", body)).status == 400


# Notifications


async def test_every_change_of_an_order_is_told_to_the_queue():
    client = Client()
    assert (await client.subscribe()).status == 200
    sale = client.buy(MUG_1=2)
    await client.pass_time(3)
    [message] = client.messages()
    content = message["Payload"]["OrderChangeNotification"]
    assert content["AmazonOrderId"] == sale.order_id
    assert content["Summary"]["OrderStatus"] == "Pending"
    assert content["Summary"]["DestinationPostalCode"] is None
    assert [(each["SellerSKU"], each["Quantity"]) for each in content["Summary"]["OrderItems"]] == [(MUG, 2)]
    await client.pass_time(1810)
    assert client.messages()[1]["Payload"]["OrderChangeNotification"]["Summary"]["OrderStatus"] == "Unshipped"
    client.amazon.console("buyer_cancel", order_id=sale.order_id)
    await client.pass_time(3)
    assert client.messages()[2]["Payload"]["OrderChangeNotification"]["OrderChangeType"] == "BuyerRequestedChange"
    assert {arn for arn, _ in client.amazon.sent} == {ARN}


async def test_a_doubled_message_has_the_same_notification_id():
    client = Client()
    await client.subscribe()
    client.world.faults.arm("webhook_double", "amazon", "ORDER_CHANGE")
    client.buy(CUP=1)
    await client.pass_time(60)
    ids = [each["NotificationMetadata"]["NotificationId"] for each in client.messages()]
    assert len(ids) >= 2
    assert len(set(ids)) == 1


async def test_a_queue_out_of_reach_is_tried_again():
    client = Client()
    await client.subscribe()
    tries = []

    async def send(arn: str, body: str) -> None:
        tries.append(body)
        if len(tries) == 1:
            raise ConnectionError

    client.amazon.send_message = send
    client.buy(CUP=1)
    for _ in range(20):
        await client.pass_time(1)
    assert len(tries) == 2


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("ORDER_CHANGE", {"payloadVersion": "2.0"}),
        ("ORDER_CHANGE", {"destinationId": "none"}),
        ("ORDER_CHANGED", {}),
        ("LISTINGS_ITEM_MFN_QUANTITY_CHANGE", {}),  # EventBridge only
        ("ORDER_CHANGE", {"processingDirective": {"eventFilter": {"eventFilterType": "ANY_OFFER_CHANGED"}}}),
        ("ORDER_CHANGE", {"processingDirective": {"eventFilter": {"eventFilterType": "ORDER_CHANGE",
                                                                  "orderChangeTypes": ["Sale"]}}}),
        ("ORDER_CHANGE", {"processingDirective": {"eventFilter": {"eventFilterType": "ORDER_CHANGE"},
                                                  "filterExpression": "true"}}),
    ],
)  # fmt: skip
async def test_a_wrong_subscription_is_refused(kind: str, body: dict[str, Any]):
    version = body.pop("payloadVersion", "1.0")
    assert (await Client().subscribe(kind, version, **body)).status == 400


async def test_a_second_subscription_is_a_conflict_and_a_deleted_one_is_silent():
    client = Client()
    first = await client.subscribe()
    assert (await client.subscribe()).status == 409
    made = json.loads(first.body)["payload"]
    assert (await client.ask("GET", "/notifications/v1/subscriptions/ORDER_CHANGE")).status == 200
    path = f"/notifications/v1/subscriptions/ORDER_CHANGE/{made['subscriptionId']}"
    assert (await client.ask("DELETE", path)).status == 403  # by id: grantless
    assert (await client.ask("DELETE", path, token=await client.grantless())).status == 200
    assert (await client.ask("GET", "/notifications/v1/subscriptions/ORDER_CHANGE")).status == 404
    client.buy(CUP=1)
    await client.pass_time(60)
    assert client.messages() == []


async def test_a_fifo_queue_silently_gets_nothing():
    client = Client()
    assert (await client.subscribe(arn=ARN + ".fifo")).status == 200
    client.buy(CUP=1)
    await client.pass_time(60)
    assert client.messages() == []


async def test_a_filter_keeps_other_changes_away():
    client = Client()
    wish = {"eventFilterType": "ORDER_CHANGE", "orderChangeTypes": ["BuyerRequestedChange"]}
    await client.subscribe(processingDirective={"eventFilter": wish})
    sale = client.buy(CUP=1)
    await client.pass_time(1900)
    assert client.messages() == []
    client.amazon.console("buyer_cancel", order_id=sale.order_id)
    await client.pass_time(5)
    assert len(client.messages()) == 1


# Feeds


async def feed(
    client: Client, kind: str, content: bytes, content_type: str = "text/xml; charset=UTF-8"
) -> dict[str, Any]:
    made = await client.ask("POST", "/feeds/2021-06-30/documents", {"contentType": content_type})
    assert made.status == 201
    document = json.loads(made.body)
    url = document["url"].removeprefix(client.amazon.base_url)
    wrong = await call(client.door, "PUT", url, headers={"content-type": "text/plain"}, body=content)
    assert wrong.status == 403
    assert (await call(client.door, "PUT", url, headers={"content-type": content_type}, body=content)).status == 200
    body = {"feedType": kind, "marketplaceIds": [US], "inputFeedDocumentId": document["feedDocumentId"]}
    answer = await client.ask("POST", "/feeds/2021-06-30/feeds", body)
    assert answer.status == 202, answer.body
    return json.loads(answer.body)


async def feed_state(client: Client, feed_id: str) -> dict[str, Any]:
    return json.loads((await client.ask("GET", f"/feeds/2021-06-30/feeds/{feed_id}")).body)


async def feed_result(client: Client, document_id: str) -> bytes:
    found = json.loads((await client.ask("GET", f"/feeds/2021-06-30/documents/{document_id}")).body)
    assert found["compressionAlgorithm"] == "GZIP"
    answer = await call(client.door, "GET", found["url"].removeprefix(client.amazon.base_url))
    return gzip.decompress(answer.body)


def acknowledgement(client: Client, order_id: str, items: list[tuple[str, str]], status: str = "Failure") -> bytes:
    lines = "".join(
        f"<Item><AmazonOrderItemCode>{code}</AmazonOrderItemCode><CancelReason>{reason}</CancelReason></Item>"
        for code, reason in items
    )
    return (
        f"<?xml version='1.0'?><AmazonEnvelope><Header><DocumentVersion>1.01</DocumentVersion><MerchantIdentifier>"
        f"{client.amazon.seller_id}</MerchantIdentifier></Header><MessageType>OrderAcknowledgement</MessageType>"
        f"<Message><MessageID>1</MessageID><OrderAcknowledgement><AmazonOrderID>{order_id}</AmazonOrderID>"
        f"<MerchantOrderID>H-1</MerchantOrderID><StatusCode>{status}</StatusCode>{lines}</OrderAcknowledgement></Message>"
        f"</AmazonEnvelope>"
    ).encode()


async def test_an_acknowledgement_feed_cancels_lines_in_its_own_time():
    client = Client()
    sale = client.buy(CUP=2)
    client.clock.advance(1800)
    item = (await client.order(sale))["orderItems"][0]["orderItemId"]
    made = await feed(
        client, "POST_ORDER_ACKNOWLEDGEMENT_DATA", acknowledgement(client, sale.order_id, [(item, "NoInventory")])
    )
    assert (await feed_state(client, made["feedId"]))["processingStatus"] == "IN_QUEUE"
    client.clock.advance(301)
    state = await feed_state(client, made["feedId"])
    assert state["processingStatus"] == "DONE"
    assert b"<MessagesSuccessful>1</MessagesSuccessful>" in await feed_result(client, state["resultFeedDocumentId"])
    assert client.amazon.orders()[0]["state"] == "CANCELLED"
    assert client.amazon.shown(CUP) == 7  # no inventory: the quantity stays down


async def test_a_wrong_acknowledgement_is_done_with_an_error_in_the_report():
    client = Client()
    sale = client.buy(CUP=2)  # still pending
    item = (await client.order(sale))["orderItems"][0]["orderItemId"]
    for items in ([(item, "NoInventory")], [("1", "NoInventory")], [(item, "Bored")], []):
        made = await feed(client, "POST_ORDER_ACKNOWLEDGEMENT_DATA", acknowledgement(client, sale.order_id, items))
        client.clock.advance(301)
        state = await feed_state(client, made["feedId"])
        assert b"<MessagesWithError>1</MessagesWithError>" in await feed_result(client, state["resultFeedDocumentId"])
    assert client.amazon.orders()[0]["state"] == "PENDING"


async def test_a_success_acknowledgement_ties_the_sellers_number():
    client = Client()
    sale = client.buy(CUP=1)
    await feed(client, "POST_ORDER_ACKNOWLEDGEMENT_DATA", acknowledgement(client, sale.order_id, [], "Success"))
    client.clock.advance(301)
    order = await client.order(sale)
    assert order["orderAliases"] == [{"aliasId": "H-1", "aliasType": "SELLER_ORDER_ID"}]


async def test_a_listings_feed_reports_each_message():
    client = Client()
    patch = {"op": "merge", "path": "/attributes/fulfillment_availability", "value": quantity(3)}
    bad = {**patch, "value": quantity(-3)}
    messages = [
        {"messageId": 1, "sku": MUG, "operationType": "PATCH", "productType": "PRODUCT", "patches": [patch]},
        {"messageId": 2, "sku": CUP, "operationType": "PATCH", "productType": "PRODUCT", "patches": [bad]},
    ]
    header = {"sellerId": client.amazon.seller_id, "version": "2.0"}
    content = json.dumps({"header": header, "messages": messages}).encode()
    made = await feed(client, "JSON_LISTINGS_FEED", content, "application/json; charset=UTF-8")
    client.clock.advance(301)
    state = await feed_state(client, made["feedId"])
    report = json.loads(await feed_result(client, state["resultFeedDocumentId"]))
    assert report["summary"] == {"errors": 1, "warnings": 0, "messagesProcessed": 2, "messagesAccepted": 1,
                                 "messagesInvalid": 1}  # fmt: skip
    assert report["issues"][0]["messageId"] == 2
    assert (client.amazon.shown(MUG), client.amazon.shown(CUP)) == (3, 9)


async def test_feeds_wait_for_each_other_and_only_waiting_ones_can_be_cancelled():
    client = Client()
    first = (await feed(client, "POST_PRODUCT_DATA", b"<x/>"))["feedId"]
    second = (await feed(client, "POST_PRODUCT_DATA", b"<x/>"))["feedId"]
    client.clock.advance(181)
    assert (await feed_state(client, second))["processingStatus"] == "IN_QUEUE"
    assert (await client.ask("DELETE", f"/feeds/2021-06-30/feeds/{second}")).status == 200
    client.clock.advance(301)
    assert (await feed_state(client, first))["processingStatus"] == "FATAL"  # legacy kind
    assert (await feed_state(client, second))["processingStatus"] == "CANCELLED"
    assert (await client.ask("DELETE", f"/feeds/2021-06-30/feeds/{first}")).status == 400


def test_unknown_switches_and_actions_are_errors():
    with pytest.raises(ValueError, match="unknown Amazon switches"):
        Amazon(World(clock=VirtualClock()), pending="1")
    with pytest.raises(ValueError, match="unknown action"):
        Client().amazon.console("dance")
    with pytest.raises(ValueError, match="no listing"):
        Client().amazon.console("set_quantity", sku="X", quantity=1)
