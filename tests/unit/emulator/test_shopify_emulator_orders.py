"""The emulated Shopify: web sales, imports, fulfilment, cancels and refunds, and what each does to stock and money."""

from __future__ import annotations

import json
from typing import Any

from shopify_client import ANNA, IMPORT, Client, money, new_client

from oneshelf_emulator.door import call
from oneshelf_emulator.shopify.bulk import PIECE
from oneshelf_emulator.world import Product

OBEY, IGNORE = "DECREMENT_OBEYING_POLICY", "DECREMENT_IGNORING_POLICY"
CANCEL = """mutation C($id: ID!, $restock: Boolean!, $money: Boolean!) { orderCancel(orderId: $id, reason: CUSTOMER,
  restock: $restock, refundMethod: { originalPaymentMethodsRefund: $money }) { job { id done }
  orderCancelUserErrors { code field message } } }"""
REFUND = """mutation R($input: RefundInput!, $key: String!) { refundCreate(input: $input) @idempotent(key: $key) {
  refund { id totalRefundedSet { shopMoney { amount } } refundLineItems(first: 5) { nodes { quantity restockType
  restocked location { id } } } } order { displayFinancialStatus } userErrors { field message } } }"""
STATE = """query S($id: ID!) { order(id: $id) { cancelledAt closedAt displayFinancialStatus displayFulfillmentStatus tags
  currentTotalPriceSet { shopMoney { amount } } customAttributes { key value } sourceName sourceIdentifier
  app { id } customer { id defaultEmailAddress { emailAddress } numberOfOrders }
  lineItems(first: 10) { nodes { id quantity currentQuantity unfulfilledQuantity refundableQuantity } }
  fulfillments { id status } refunds { id } transactions { id kind gateway amountSet { shopMoney { amount } } } } }"""
DEFINE = """mutation D { metafieldDefinitionCreate(definition: { name: "Id", namespace: "$app", key: "external_order_id",
  type: "id", ownerType: ORDER }) { createdDefinition { id namespace } userErrors { code message } } }"""
BY_ID = """query B($v: String!) { orderByIdentifier(identifier: { customId: { namespace: "$app",
  key: "external_order_id", value: $v } }) { id } }"""
HOLD = """mutation H($id: ID!, $handle: String!) { fulfillmentOrderHold(id: $id, fulfillmentHold: { reason: OTHER,
  handle: $handle }) { fulfillmentHold { id } fulfillmentOrder { status } userErrors { code message } } }"""
RELEASE = """mutation R($id: ID!) { fulfillmentOrderReleaseHold(id: $id) { fulfillmentOrder { status }
  userErrors { code message } } }"""
MOVE = """mutation M($id: ID!, $place: ID!, $lines: [FulfillmentOrderLineItemInput!]) {
  fulfillmentOrderMove(id: $id, newLocationId: $place, fulfillmentOrderLineItems: $lines) {
  movedFulfillmentOrder { id status assignedLocation { location { id } } }
  originalFulfillmentOrder { id status } userErrors { code field message } } }"""


async def state(client: Client, order_id: str) -> dict[str, Any]:
    result: dict[str, Any] = (await client(STATE, {"id": order_id}))["order"]
    return result


async def refunded(client: Client, order_id: str, line: str, pieces: int, kind: str, **more: Any) -> dict[str, Any]:
    row = {"lineItemId": line, "quantity": pieces, "restockType": kind, **more.pop("row", {})}
    given = {"orderId": order_id, "refundLineItems": [row], **more}
    result: dict[str, Any] = (await client(REFUND, {"input": given, "key": client.key()}))["refundCreate"]
    return result


# -- web sales -------------------------------------------------------------------------------------------------------


async def test_a_web_sale_is_paid_and_claims_its_stock_at_once() -> None:
    client = new_client()
    sale = client.shop.buy(ANNA, {"MUG": 3})
    assert sale is not None and sale.lines == {"MUG": 3} and sale.paid_at == client.clock.now()
    assert client.shop.world.sales == [sale]
    assert await client.level("MUG") == (10, 7, 3, 0)
    order = await state(client, f"gid://shopify/Order/{sale.order_id}")
    assert (order["displayFinancialStatus"], order["sourceName"]) == ("PAID", "web")
    assert order["customer"]["defaultEmailAddress"] == {"emailAddress": "anna@mail.test"}
    assert order["app"] == {"id": "gid://shopify/App/580111"}


async def test_deny_stops_checkout_at_the_sum_over_online_locations() -> None:
    client = new_client()
    client.shop.console("add_location", name="Shop floor", online=False)
    client.shop.console("receive", sku="CUP", quantity=9, location="Shop floor")
    assert client.shop.shown("CUP") == 1
    assert client.shop.buy(ANNA, {"CUP": 2}) is None
    assert client.shop.buy(ANNA, {"CUP": 1, "MUG": 11}) is None
    assert client.shop.buy(ANNA, {"HAT": 1}) is None
    assert client.shop.buy(ANNA, {"CUP": 1}) is not None and client.shop.shown("CUP") == 0
    client.shop.console("set_variant", sku="MUG", status="DRAFT")
    assert client.shop.buy(ANNA, {"MUG": 1}) is None
    client.shop.console("set_variant", sku="CUP", policy="CONTINUE")
    assert client.shop.buy(ANNA, {"CUP": 2}) is not None
    assert await client.level("CUP") == (1, -2, 3, 0)


async def test_an_order_that_no_place_has_alone_is_split_over_places() -> None:
    client = new_client(stock={"MUG": {"Main warehouse": 2, "North": 3}})
    sale = client.shop.buy(ANNA, {"MUG": 5})
    assert sale is not None
    assert (await client.level("MUG"), await client.level("MUG", "North")) == ((2, 0, 2, 0), (3, 0, 3, 0))
    client.clock.advance(3)
    works = await client.work(f"gid://shopify/Order/{sale.order_id}")
    assert [w["lineItems"]["nodes"][0]["totalQuantity"] for w in works] == [3, 2]


# -- imports ---------------------------------------------------------------------------------------------------------


async def test_the_three_ways_to_claim_stock() -> None:
    client = new_client()
    await client.imported(("MUG", 2), claim="BYPASS")
    assert await client.level("MUG") == (10, 10, 0, 0)
    await client.imported(("MUG", 2), claim=OBEY)
    assert await client.level("MUG") == (10, 8, 2, 0)
    order = client.order_input(("MUG", 9))
    answer = (await client(IMPORT, {"order": order, "options": {"inventoryBehaviour": OBEY}}))["orderCreate"]
    assert answer["order"] is None and answer["userErrors"][0]["code"] == "INVENTORY_CLAIM_FAILED"
    assert await client.level("MUG") == (10, 8, 2, 0)
    await client.imported(("MUG", 9), claim=IGNORE)
    assert await client.level("MUG") == (10, -1, 11, 0)
    assert len(client.shop.orders()) == 3


async def test_without_options_nothing_is_claimed_and_nothing_ships_unless_said() -> None:
    client = new_client()
    order = client.order_input(("MUG", 2))
    del order["lineItems"][0]["requiresShipping"]
    answer = (await client(IMPORT, {"order": order}))["orderCreate"]
    assert answer["order"]["lineItems"]["nodes"][0]["requiresShipping"] is False
    assert await client.level("MUG") == (10, 10, 0, 0)


async def test_money_decides_the_financial_status() -> None:
    client = new_client()
    lines = {"shippingLines": [{"title": "Post", "priceSet": money("3.99")}], "taxesIncluded": True}
    paid = await client.imported(("MUG", 2), paid="43.99", **lines)
    part = await client.imported(("MUG", 2), paid="43.98", **lines)
    none = await client.imported(("MUG", 2), **lines)
    assert paid["totalPriceSet"]["shopMoney"]["amount"] == "43.99"
    assert [o["displayFinancialStatus"] for o in (paid, part, none)] == ["PAID", "PARTIALLY_PAID", "PENDING"]
    tax = {"title": "VAT", "rate": "0.19", "priceSet": money("7.60")}
    taxed = await client.imported(("MUG", 2), taxLines=[tax])
    assert taxed["totalPriceSet"]["shopMoney"]["amount"] == "47.6"  # MoneyV2 has no padding
    coupon = {"itemFixedDiscountCode": {"code": "TEN", "amountSet": money("10.00")}}
    cheaper = await client.imported(("MUG", 2), discountCode=coupon, taxesIncluded=True)
    assert cheaper["totalPriceSet"]["shopMoney"]["amount"] == "30.0"


async def test_a_discount_is_shared_out_over_the_lines_to_the_cent() -> None:
    client = new_client()
    coupon = {"itemFixedDiscountCode": {"code": "TEN", "amountSet": money("10.00")}}
    order = await client.imported(("MUG", 2), ("CUP", 1), discountCode=coupon, taxesIncluded=True, paid="50.00")
    query = """query D($id: ID!) { order(id: $id) { lineItems(first: 5) { nodes { id discountAllocations {
        allocatedAmountSet { shopMoney { amount } } } } } } }"""
    lines = (await client(query, {"id": order["id"]}))["order"]["lineItems"]["nodes"]
    shares = [line["discountAllocations"][0]["allocatedAmountSet"]["shopMoney"]["amount"] for line in lines]
    assert shares == ["6.67", "3.33"]
    done = client.shop.console("refund_lines", order=order["id"], lines={"MUG": 2})
    assert done["financial_status"] == "PARTIALLY_REFUNDED"
    after = await state(client, order["id"])
    assert after["transactions"][1]["amountSet"]["shopMoney"]["amount"] == "33.33"
    assert after["currentTotalPriceSet"]["shopMoney"]["amount"] == "16.67"


async def test_imports_that_break_a_rule_are_refused_with_path_and_code() -> None:
    client = new_client()
    tax = {"title": "VAT", "rate": "0.19", "priceSet": money("1.00")}
    line = client.order_input(("MUG", 1))["lineItems"][0]

    async def refused(**change: Any) -> tuple[str, list[str]]:
        order = {**client.order_input(("MUG", 1)), **change}
        error = (await client(IMPORT, {"order": order}))["orderCreate"]["userErrors"][0]
        return error["code"], error["field"][1:]

    dollars = {"shopMoney": {"amount": "1.00", "currencyCode": "USD"}}
    both = {"customerId": "gid://shopify/Customer/1", "customer": {"toUpsert": {"email": "a@b.test"}}}
    assert await refused(lineItems=[]) == ("INVALID", ["lineItems"])
    assert await refused(lineItems=[{**line, "quantity": 0}]) == ("INVALID", ["lineItems", "0", "quantity"])
    assert await refused(lineItems=[{**line, "priceSet": dollars}]) == (
        "INVALID",
        ["lineItems", "0", "priceSet", "shopMoney", "currencyCode"],
    )
    assert await refused(lineItems=[{"quantity": 1}]) == ("INVALID", ["lineItems", "0", "title"])
    assert await refused(taxLines=[tax], lineItems=[{**line, "taxLines": [tax]}]) == ("INVALID", ["taxLines"])
    assert await refused(shippingLines=[{"title": "x", "priceSet": money("-1.00")}]) == (
        "INVALID",
        ["shippingLines", "0", "priceSet"],
    )
    assert await refused(presentmentCurrency="USD") == ("INVALID", ["lineItems", "0", "priceSet", "presentmentMoney"])
    assert await refused(sourceName="web") == ("INVALID", ["sourceName"])
    assert await refused(email="nobody") == ("INVALID", ["email"])
    assert await refused(**both) == ("REDUNDANT_CUSTOMER_FIELDS", ["customerId"])
    assert client.shop.orders() == []


async def test_a_unique_id_stops_a_second_import_and_finds_the_first() -> None:
    client = new_client()
    missing = await client.raw(BY_ID, {"v": "etsy:1"})
    assert "definition of type 'id' is required" in missing["errors"][0]["message"]
    created = (await client(DEFINE))["metafieldDefinitionCreate"]
    assert created["createdDefinition"]["namespace"] == f"app--{client.shop.app_id}"
    assert (await client(DEFINE))["metafieldDefinitionCreate"]["userErrors"][0]["code"] == "TAKEN"
    tag = {"metafields": [{"namespace": "$app", "key": "external_order_id", "type": "id", "value": "etsy:1"}]}
    assert (await client(BY_ID, {"v": "etsy:1"}))["orderByIdentifier"] is None
    order = await client.imported(("MUG", 1), **tag)
    assert (await client(BY_ID, {"v": "etsy:1"}))["orderByIdentifier"] == {"id": order["id"]}
    again = (await client(IMPORT, {"order": client.order_input(("MUG", 1), **tag)}))["orderCreate"]
    assert again["userErrors"][0]["field"] == ["order", "metafields", "0", "value"]
    client.shop.switches["taken_id_metafield"] = "drop"
    assert (await client.imported(("MUG", 1), **tag))["id"] != order["id"]
    assert (await client(BY_ID, {"v": "etsy:1"}))["orderByIdentifier"] == {"id": order["id"]}


async def test_customers_are_found_by_mail_and_a_taken_phone_is_refused() -> None:
    client = new_client()
    client.shop.buy(ANNA, {"MUG": 1})
    upsert = {"customer": {"toUpsert": {"email": "Anna@Mail.test", "tags": ["etsy"], "phone": "+4930901820"}}}
    order = await state(client, (await client.imported(("MUG", 1), **upsert))["id"])
    assert order["customer"]["numberOfOrders"] == "2"
    other = client.order_input(("MUG", 1), customer={"toUpsert": {"email": "bob@mail.test", "phone": "+4930901820"}})
    answer = (await client(IMPORT, {"order": other}))["orderCreate"]
    assert answer["userErrors"][0]["message"] == "Phone has already been taken"


async def test_a_refused_customer_leaves_no_order_no_customer_and_its_key_free() -> None:
    client = new_client()
    client.shop.buy(ANNA, {"MUG": 1})
    bob = (await client.imported(("MUG", 1), customer={"toUpsert": {"email": "bob@mail.test"}}))["id"]
    bob_id = (await state(client, bob))["customer"]["id"]
    field = {"namespace": "$app", "key": "external_order_id", "type": "id", "value": "etsy:7"}
    await client(DEFINE)

    async def refused(customer: dict[str, Any]) -> tuple[str, list[str]]:
        order = client.order_input(("MUG", 1), customer=customer, metafields=[field])
        error = (await client(IMPORT, {"order": order}))["orderCreate"]["userErrors"][0]
        return error["message"], error["field"][1:]

    unknown = "gid://shopify/Customer/1"
    assert await refused({"toAssociate": {"id": unknown}}) == ("Customer does not exist", ["customer", "toAssociate"])
    assert await refused({"toAssociate": {}}) == ("Customer does not exist", ["customer", "toAssociate"])
    assert (await refused({"toUpsert": {"id": unknown}}))[1] == ["customer", "toUpsert", "id"]
    assert (await refused({"toUpsert": {}}))[1] == ["customer", "toUpsert"]
    assert (await refused({"toUpsert": {"email": "no address"}}))[0] == "Email is invalid"
    assert (await refused({"toUpsert": {"email": "c@d.test", "phone": "12"}}))[0] == "Phone is invalid"
    assert (await refused({"toUpsert": {"email": "c@d.test", "tags": ["x" * 256]}}))[0] == "Tags exceeds the maximum"
    taken = {"id": bob_id, "email": "anna@mail.test"}
    assert (await refused({"toUpsert": taken}))[0] == "Email has already been taken"
    order = await client.imported(("MUG", 1), customer={"toAssociate": {"id": bob_id}}, metafields=[field])
    assert (await state(client, order["id"]))["customer"]["defaultEmailAddress"] == {"emailAddress": "bob@mail.test"}
    client.shop.console("delete_customer", email="bob@mail.test")
    field = {**field, "value": "etsy:8"}
    assert (await refused({"toAssociate": {"id": bob_id}}))[0] == "Customer does not exist"
    assert not client.shop.customers_by_email.keys() & {"c@d.test", "bob@mail.test"}


async def test_five_orders_a_minute_if_switched_on() -> None:
    client = new_client(orders_per_minute=5)
    for _ in range(5):
        await client.imported(("MUG", 1))
    answer = (await client(IMPORT, {"order": client.order_input(("MUG", 1))}))["orderCreate"]
    assert answer["order"] is None and len(answer["userErrors"]) == 1
    client.clock.advance(61)
    await client.imported(("MUG", 1))


# -- search ----------------------------------------------------------------------------------------------------------


async def test_search_lags_reads_by_id_do_not_and_a_typo_returns_everything() -> None:
    client = new_client(search_lag_s=5.0)
    query = """query O($q: String) { orders(first: 10, query: $q, sortKey: UPDATED_AT) { nodes { name } } }"""

    async def names(text: str) -> list[str]:
        return [node["name"] for node in (await client(query, {"q": text}))["orders"]["nodes"]]

    await client.imported(("MUG", 1), name="E-1", sourceIdentifier="etsy-1", tags=["etsy"])
    client.clock.advance(60)
    await client.imported(("CUP", 1), name="E-2", sourceIdentifier="etsy-2")
    assert await names("source_identifier:'etsy-2'") == []
    client.clock.advance(6)
    assert await names("source_identifier:'etsy-2'") == ["E-2"]
    assert await names("updated_at:>='2026-11-23T14:24:00Z'") == ["E-2"]
    assert await names("updated_at:>'2026-11-23T14:23:00Z' AND updated_at:<'2026-11-23T14:23:59Z'") == []
    assert await names("tag:etsy OR sku:CUP") == ["E-1", "E-2"]
    assert await names("-tag:etsy status:open") == ["E-2"]
    assert await names("financial_status:paid") == []
    answer = await client.raw(query, {"q": "source_identifer:'etsy-2'"})
    assert len(answer["data"]["orders"]["nodes"]) == 2
    assert answer["extensions"]["search"][0]["warnings"][0]["field"] == "source_identifer"


async def test_cursors_page_through_changes_and_die_with_another_sort() -> None:
    client = new_client(search_lag_s=0.0)
    query = """query O($a: String, $s: OrderSortKeys!) { orders(first: 2, after: $a, sortKey: $s,
        query: "updated_at:>='2026-11-23T00:00:00Z'") { nodes { name } pageInfo { hasNextPage endCursor } } }"""
    for n in range(5):
        await client.imported(("MUG", 1), name=f"O{n}")
        client.clock.advance(1 if n % 2 else 0)
    seen: list[str] = []
    cursor = None
    while True:
        page = (await client(query, {"a": cursor, "s": "UPDATED_AT"}))["orders"]
        seen += [node["name"] for node in page["nodes"]]
        cursor = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == ["O0", "O1", "O2", "O3", "O4"]
    assert (await client.raw(query, {"a": cursor, "s": "ID"}))["errors"][0]["message"].startswith("Invalid cursor")


async def test_orders_older_than_60_days_are_null_without_the_scope() -> None:
    client = new_client()
    await client(DEFINE)
    tag = {"metafields": [{"namespace": "$app", "key": "external_order_id", "type": "id", "value": "etsy:1"}]}
    order = await client.imported(("MUG", 1), **tag)
    client.clock.advance(61 * 86_400)
    client.token = ""
    assert (await client(STATE, {"id": order["id"]}))["order"] is None
    assert (await client(BY_ID, {"v": "etsy:1"}))["orderByIdentifier"] is None
    client.shop.granted_scopes |= {"read_all_orders"}
    assert (await client(STATE, {"id": order["id"]}))["order"] is not None


# -- fulfilment ------------------------------------------------------------------------------------------------------


async def test_work_appears_after_routing_and_parcels_take_committed_and_on_hand() -> None:
    client = new_client(routing_delay_s=3.0)
    order = await client.imported(("MUG", 3), paid="60.00", taxesIncluded=True)
    assert await client.work(order["id"]) == []
    client.clock.advance(3)
    (work,) = await client.work(order["id"])
    assert (work["status"], work["lineItems"]["nodes"][0]["remainingQuantity"]) == ("OPEN", 3)
    assert (await client.ship(work, 4))["userErrors"][0]["message"].startswith("Invalid fulfillment order line item")
    first = await client.ship(work, 1)
    assert first["fulfillment"]["trackingInfo"][0]["url"] == "https://www.ups.com/track?tracknum=1Z"
    assert await client.level("MUG") == (9, 7, 2, 0)
    assert (await state(client, order["id"]))["displayFulfillmentStatus"] == "PARTIALLY_FULFILLED"
    assert (await client.ship(work))["userErrors"] == []
    assert await client.level("MUG") == (7, 7, 0, 0)
    done = await state(client, order["id"])
    assert done["displayFulfillmentStatus"] == "FULFILLED" and done["closedAt"] is not None
    assert "unfulfillable status= closed" in (await client.ship(work))["userErrors"][0]["message"]


async def test_a_cancelled_fulfilment_brings_the_claim_back_in_a_new_fulfilment_order() -> None:
    client = new_client()
    order = await client.imported(("MUG", 2))
    client.clock.advance(3)
    (work,) = await client.work(order["id"])
    sent = (await client.ship(work))["fulfillment"]["id"]
    query = "mutation U($id: ID!) { fulfillmentCancel(id: $id) { fulfillment { status } userErrors { message } } }"
    assert (await client(query, {"id": sent}))["fulfillmentCancel"]["fulfillment"] == {"status": "CANCELLED"}
    assert await client.level("MUG") == (10, 8, 2, 0)
    old, new = await client.work(order["id"])
    assert (old["status"], new["status"], new["lineItems"]["nodes"][0]["remainingQuantity"]) == ("CLOSED", "OPEN", 2)
    assert (await client(query, {"id": sent}))["fulfillmentCancel"]["userErrors"] != []
    assert (await client.ship(new))["userErrors"] == []


async def test_a_hold_stops_sending_until_released() -> None:
    client = new_client()
    order = await client.imported(("MUG", 2))
    client.clock.advance(3)
    (work,) = await client.work(order["id"])
    held = (await client(HOLD, {"id": work["id"], "handle": "short"}))["fulfillmentOrderHold"]
    assert held["fulfillmentOrder"] == {"status": "ON_HOLD"}
    assert (await state(client, order["id"]))["displayFulfillmentStatus"] == "ON_HOLD"
    again = (await client(HOLD, {"id": work["id"], "handle": "short"}))["fulfillmentOrderHold"]
    assert again["userErrors"][0]["code"] == "DUPLICATE_FULFILLMENT_HOLD_HANDLE"
    assert (await client.ship(work))["fulfillment"] is None
    assert (await client(RELEASE, {"id": work["id"]}))["fulfillmentOrderReleaseHold"]["fulfillmentOrder"] == {
        "status": "OPEN"
    }
    assert (await client.ship(work))["userErrors"] == []


async def test_moved_work_carries_its_claim_and_a_part_becomes_an_order_of_its_own() -> None:
    client = new_client(stock={"MUG": {"Main warehouse": 10, "North": 4}})
    order = await client.imported(("MUG", 3))
    client.clock.advance(3)
    (work,) = await client.work(order["id"])
    nowhere = (await client(MOVE, {"id": work["id"], "place": client.place()}))["fulfillmentOrderMove"]
    assert nowhere["movedFulfillmentOrder"] is None and nowhere["userErrors"]
    whole = (await client(MOVE, {"id": work["id"], "place": client.place("North")}))["fulfillmentOrderMove"]
    assert whole["movedFulfillmentOrder"]["id"] == work["id"] == whole["originalFulfillmentOrder"]["id"]
    assert (await client.level("MUG"), await client.level("MUG", "North")) == ((10, 10, 0, 0), (4, 1, 3, 0))
    part = [{"id": work["lineItems"]["nodes"][0]["id"], "quantity": 1}]
    answer = await client(MOVE, {"id": work["id"], "place": client.place(), "lines": part})
    moved = answer["fulfillmentOrderMove"]["movedFulfillmentOrder"]
    assert moved["id"] != work["id"]
    assert (await client.level("MUG"), await client.level("MUG", "North")) == ((10, 9, 1, 0), (4, 2, 2, 0))
    north, main = await client.work(order["id"])
    assert [w["lineItems"]["nodes"][0]["remainingQuantity"] for w in (north, main)] == [2, 1]
    both = [{"fulfillmentOrderId": each["id"]} for each in (north, main)]
    query = """mutation S($f: FulfillmentInput!) { fulfillmentCreate(fulfillment: $f) { userErrors { message } } }"""
    errors = (await client(query, {"f": {"lineItemsByFulfillmentOrder": both}}))["fulfillmentCreate"]["userErrors"]
    assert "same order and location" in errors[0]["message"]


# -- cancel and refund -----------------------------------------------------------------------------------------------


async def test_a_cancel_is_a_job_that_gives_stock_and_money_back() -> None:
    client = new_client()
    order = await client.imported(("MUG", 2), paid="40.00", taxesIncluded=True)
    given = {"id": order["id"], "restock": True, "money": True}
    job = (await client(CANCEL, given))["orderCancel"]["job"]
    assert job["done"] is False and await client.level("MUG") == (10, 8, 2, 0)
    client.clock.advance(3)
    assert (await client("query J($id: ID!) { job(id: $id) { done } }", {"id": job["id"]}))["job"] == {"done": True}
    after = await state(client, order["id"])
    assert after["cancelledAt"] and after["displayFinancialStatus"] == "REFUNDED"
    assert after["lineItems"]["nodes"][0]["currentQuantity"] == 0
    assert [t["gateway"] for t in after["transactions"]] == ["etsy", "etsy"]
    assert await client.level("MUG") == (10, 10, 0, 0)
    assert (await client.work(order["id"]))[0]["status"] == "CLOSED"
    error = (await client(CANCEL, given))["orderCancel"]["orderCancelUserErrors"][0]
    assert error["code"] == "INVALID" and "already been canceled" in error["message"]


async def test_a_cancel_without_restock_takes_the_pieces_off_the_shelf() -> None:
    client = new_client()
    order = await client.imported(("CUP", 3), claim=IGNORE)
    assert await client.level("CUP") == (1, -2, 3, 0)
    await client(CANCEL, {"id": order["id"], "restock": False, "money": False})
    client.clock.advance(3)
    assert await client.level("CUP") == (-2, -2, 0, 0)
    assert (await state(client, order["id"]))["displayFinancialStatus"] == "VOIDED"


async def test_a_sent_order_cannot_be_cancelled_and_a_closed_place_takes_no_restock() -> None:
    client = new_client(stock={"MUG": {"Main warehouse": 0, "North": 4}})
    order = await client.imported(("MUG", 1), paid="20.00", taxesIncluded=True)
    client.shop.console("deactivate_location", location="North")
    error = (await client(CANCEL, {"id": order["id"], "restock": True, "money": True}))["orderCancel"]
    assert error["orderCancelUserErrors"][0]["message"] == "Cannot restock inventory at a deactivated location"
    client.shop.console("activate_location", location="North")
    client.clock.advance(3)
    await client.ship((await client.work(order["id"]))[0])
    error = (await client(CANCEL, {"id": order["id"], "restock": True, "money": True}))["orderCancel"]
    assert error["orderCancelUserErrors"][0]["code"] == "INVALID"


async def test_refunds_cancel_unsent_pieces_return_sent_ones_and_remove_without_restock() -> None:
    client = new_client()
    order = await client.imported(("MUG", 4), paid="80.00", taxesIncluded=True)
    line = order["lineItems"]["nodes"][0]["id"]
    client.clock.advance(3)
    await client.ship((await client.work(order["id"]))[0], 1)
    assert await client.level("MUG") == (9, 6, 3, 0)
    pay = {"orderId": order["id"], "kind": "REFUND", "gateway": "etsy", "amount": "20.00"}
    done = await refunded(client, order["id"], line, 1, "CANCEL", transactions=[pay])
    assert done["refund"]["totalRefundedSet"]["shopMoney"]["amount"] == "20.0"
    assert done["order"] == {"displayFinancialStatus": "PARTIALLY_REFUNDED"}
    assert await client.level("MUG") == (9, 7, 2, 0)
    await refunded(client, order["id"], line, 1, "NO_RESTOCK")
    assert await client.level("MUG") == (8, 7, 1, 0)
    mixed_up = await refunded(client, order["id"], line, 2, "RETURN")
    assert mixed_up["userErrors"][0]["message"] == "Quantity cannot return more items than were fulfilled"
    back = await refunded(client, order["id"], line, 1, "RETURN", row={"locationId": client.place()})
    assert back["refund"]["refundLineItems"]["nodes"][0]["restocked"] is True
    assert await client.level("MUG") == (9, 8, 1, 0)
    figures = (await state(client, order["id"]))["lineItems"]["nodes"][0]
    assert figures == {
        "id": line, "quantity": 4, "currentQuantity": 1, "unfulfilledQuantity": 1, "refundableQuantity": 1,
    }  # fmt: skip
    too_many = await refunded(client, order["id"], line, 2, "CANCEL")
    assert too_many["refund"] is None


async def test_a_refund_is_idempotent_and_gives_back_no_more_than_came_in() -> None:
    client = new_client()
    order = await client.imported(("MUG", 2), paid="40.00", taxesIncluded=True)
    row = {"lineItemId": order["lineItems"]["nodes"][0]["id"], "quantity": 1, "restockType": "CANCEL"}
    given = {"input": {"orderId": order["id"], "refundLineItems": [row]}, "key": "k"}
    first, again = [(await client(REFUND, given))["refundCreate"] for _ in range(2)]
    assert first["refund"]["id"] == again["refund"]["id"] and await client.level("MUG") == (10, 9, 1, 0)
    pay = {"orderId": order["id"], "kind": "REFUND", "gateway": "etsy", "amount": "40.01"}
    much = (await client(REFUND, {"input": {"orderId": order["id"], "transactions": [pay]}, "key": "l"}))[
        "refundCreate"
    ]
    assert "greater than the amount" in much["userErrors"][0]["message"]
    bare = await client.raw(REFUND.replace("@idempotent(key: $key)", "").replace(", $key: String!", ""), given)
    assert bare["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_an_order_that_claimed_nothing_gives_nothing_back() -> None:
    client = new_client()
    order = await client.imported(("MUG", 2), claim="BYPASS")
    await client(CANCEL, {"id": order["id"], "restock": True, "money": False})
    client.clock.advance(3)
    assert await client.level("MUG") == (10, 10, 0, 0)


# -- the rest --------------------------------------------------------------------------------------------------------


async def test_update_tags_paid_and_close() -> None:
    client = new_client()
    order = await client.imported(("MUG", 1), tags=["b"])
    update = """mutation U($i: OrderInput!) { orderUpdate(input: $i) { order { note } userErrors { message } } }"""
    attributes = [{"key": "gift", "value": "yes"}]
    await client(update, {"i": {"id": order["id"], "note": "wrap", "customAttributes": attributes}})
    tags = (
        """mutation T($id: ID!, $t: [String!]!) { tagsAdd(id: $id, tags: $t) { node { id } userErrors { message } } }"""
    )
    await client(tags, {"id": order["id"], "t": ["a", "B"]})
    paid = """mutation P($id: ID!) { orderMarkAsPaid(input: { id: $id }) { order { id } userErrors { message } } }"""
    assert (await client(paid, {"id": order["id"]}))["orderMarkAsPaid"]["userErrors"] == []
    assert (await client(paid, {"id": order["id"]}))["orderMarkAsPaid"]["userErrors"] != []
    after = await state(client, order["id"])
    assert after["tags"] == ["B", "a"] and after["customAttributes"] == attributes
    assert after["displayFinancialStatus"] == "PAID"


async def test_prices_change_all_together_or_not_at_all() -> None:
    client = new_client()
    query = """mutation P($p: ID!, $v: [ProductVariantsBulkInput!]!) { productVariantsBulkUpdate(productId: $p,
        variants: $v) { productVariants { price } userErrors { code field } } }"""
    product = client.shop.variant("MUG").product.gid
    good = {"id": client.variant("MUG"), "price": "21.50"}

    async def update(*rows: dict[str, Any]) -> Any:
        return (await client(query, {"p": product, "v": list(rows)}))["productVariantsBulkUpdate"]

    stranger = await update(good, {"id": client.variant("CUP"), "price": "1.00"})
    assert [error["code"] for error in stranger["userErrors"]] == ["PRODUCT_VARIANT_DOES_NOT_EXIST"]
    assert client.shop.variant("MUG").price.text == "19.90"
    stocked = {**good, "inventoryQuantities": [{"locationId": client.place(), "availableQuantity": 3}]}
    assert (await update(stocked))["userErrors"][0]["code"] == "NO_INVENTORY_QUANTITIES_ON_VARIANTS_UPDATE"
    assert (await update(good))["productVariants"] == [{"price": "21.50"}]


async def test_a_bulk_export_is_jsonl_with_parents_and_five_slots() -> None:
    client = new_client(stock={"MUG": {"Main warehouse": 2, "North": 3}})
    body = """{ productVariants { edges { node { id sku inventoryItem { id inventoryLevels { edges { node {
        location { id } quantities(names: ["available"]) { name quantity } } } } } } } } }"""
    run = """mutation B($q: String!) { bulkOperationRunQuery(query: $q) { bulkOperation { id status }
        userErrors { code message } } }"""

    async def start(text: str) -> Any:
        return (await client(run, {"q": text}))["bulkOperationRunQuery"]

    for bad in (
        "{ shop { id } }",
        '{ node(id: "gid://shopify/Order/1") { id } }',
        "{ nothing }",
        body.replace("id sku", "sku"),
    ):
        assert (await start(bad))["userErrors"][0]["code"] == "INVALID", bad
    first = (await start(body))["bulkOperation"]
    assert first["status"] == "CREATED"
    for _ in range(4):
        await start(body)
    assert (await start(body))["userErrors"][0]["code"] == "LIMIT_REACHED"
    client.clock.advance(10)
    look = "query E($id: ID!) { bulkOperation(id: $id) { status url objectCount rootObjectCount } }"
    ended = (await client(look, {"id": first["id"]}))["bulkOperation"]
    assert (ended["status"], ended["objectCount"], ended["rootObjectCount"]) == ("COMPLETED", "5", "2")
    answer = await call(client.shop.app, "GET", ended["url"].removeprefix(client.shop.base_url))
    rows = [json.loads(line) for line in answer.body.decode().splitlines()]
    assert b"gid:\\/\\/shopify" in answer.body
    assert [row.get("__parentId") for row in rows] == [
        None,
        client.variant("MUG"),
        client.variant("MUG"),
        None,
        client.variant("CUP"),
    ]
    assert [row["quantities"][0]["quantity"] for row in rows if "quantities" in row] == [2, 3, 1]
    empty = (await start("{ customers { edges { node { id } } } }"))["bulkOperation"]
    client.clock.advance(10)
    assert (await client(look, {"id": empty["id"]}))["bulkOperation"]["url"] is None
    client.clock.advance(8 * 86_400)
    assert (await call(client.shop.app, "GET", ended["url"].removeprefix(client.shop.base_url))).status == 403


async def test_other_requests_are_answered_while_a_bulk_query_is_read() -> None:
    """A piece a turn: the event loop of an emulator with many items is never held for long."""
    client = new_client()
    for number in range(2 * PIECE + 50):
        client.shop.add_product(Product(f"B{number}", "Bulk", 100, "EUR", 1))
    query = "{ inventoryItems { edges { node { id inventoryLevels { edges { node { id } } } } } } locations { edges { node { id } } } }"
    started = await client(
        "mutation B($q: String!) { bulkOperationRunQuery(query: $q) { bulkOperation { id } userErrors { message } } }",
        {"q": query},
    )
    gid = started["bulkOperationRunQuery"]["bulkOperation"]["id"]
    turns: list[int] = []
    real = client.shop.api.run_bulk

    def counted(document: Any, context: Any, start: int, size: int) -> Any:
        turns.append(start)
        return real(document, context, start, size)

    client.shop.api.run_bulk = counted  # type: ignore[method-assign]
    client.clock.advance(1.0)
    assert turns == [0], "the first piece, and then a pause"
    client.clock.advance(60.0)
    items = 2 * PIECE + 52
    assert turns == list(range(0, items, PIECE))
    told = await client(
        "query B($id: ID!) { bulkOperation(id: $id) { status objectCount rootObjectCount url } }", {"id": gid}
    )
    operation = told["bulkOperation"]
    assert (operation["status"], operation["objectCount"], operation["rootObjectCount"]) == (
        "COMPLETED", str(2 * items + 1), str(items + 1),
    )  # fmt: skip
    body = client.shop.api.bulk.fetch(operation["url"].rsplit("/", 1)[1])
    assert body is not None and len(set(body.splitlines())) == 2 * items + 1
