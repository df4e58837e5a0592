"""The emulated Shopify: fulfilment orders moved and split, locations with addresses, bundles that are bought as their components."""

from __future__ import annotations

from typing import Any

import pytest
from shopify_client import ANNA, Client, new_client

from oneshelf_emulator.shopify import console

MOVE = """mutation M($id: ID!, $place: ID!) { fulfillmentOrderMove(id: $id, newLocationId: $place) {
  movedFulfillmentOrder { id } userErrors { code field message } } }"""
SPLIT = """mutation S($splits: [FulfillmentOrderSplitInput!]!) { fulfillmentOrderSplit(fulfillmentOrderSplits: $splits) {
  fulfillmentOrderSplits { fulfillmentOrder { id } remainingFulfillmentOrder { id assignedLocation { location { id } } }
  replacementFulfillmentOrder { id } } userErrors { code field message } } }"""
TWO = {"MUG": {"Main warehouse": 10, "North": 4}}


async def split(client: Client, work: dict[str, Any], *quantities: int) -> dict[str, Any]:
    items = [{"id": work["lineItems"]["nodes"][0]["id"], "quantity": n} for n in quantities]
    given = {"fulfillmentOrderId": work["id"], "fulfillmentOrderLineItems": items}
    result: dict[str, Any] = (await client(SPLIT, {"splits": [given]}))["fulfillmentOrderSplit"]
    return result


async def test_work_that_is_being_packed_is_not_moved_and_the_refusal_has_its_code() -> None:
    client = new_client(stock=TWO)
    order = await client.imported(("MUG", 3))
    client.clock.advance(3)
    (work,) = await client.work(order["id"])
    console.report_progress(client.shop, order["id"])
    answer = (await client(MOVE, {"id": work["id"], "place": client.place("North")}))["fulfillmentOrderMove"]
    assert answer["movedFulfillmentOrder"] is None
    assert [one["code"] for one in answer["userErrors"]] == ["CANNOT_MOVE_FULFILLMENT_ORDER_WITH_REPORTED_PROGRESS"]
    assert await client.level("MUG") == (10, 7, 3, 0)
    assert (await client.ship(work))["userErrors"] == []


async def test_a_split_takes_pieces_into_a_fulfilment_order_of_their_own() -> None:
    client = new_client(stock=TWO)
    order = await client.imported(("MUG", 3))
    client.clock.advance(3)
    (work,) = await client.work(order["id"])
    done = await split(client, work, 1)
    assert done["userErrors"] == [] and done["fulfillmentOrderSplits"][0]["fulfillmentOrder"]["id"] == work["id"]
    kept, made = await client.work(order["id"])
    assert made["id"] == done["fulfillmentOrderSplits"][0]["remainingFulfillmentOrder"]["id"]
    assert [w["lineItems"]["nodes"][0]["remainingQuantity"] for w in (kept, made)] == [2, 1]
    assert await client.level("MUG") == (10, 7, 3, 0)  # no stock moves


@pytest.mark.parametrize(
    ("quantities", "code"),
    [
        ((), "NO_LINE_ITEMS_PROVIDED_TO_SPLIT"),
        ((0,), "GREATER_THAN"),
        ((4,), "INVALID_LINE_ITEM_QUANTITY"),
        ((3,), "INVALID_LINE_ITEM_QUANTITY"),  # nothing would be left
    ],
)
async def test_a_split_that_can_t_be_is_refused_by_code(quantities: tuple[int, ...], code: str) -> None:
    client = new_client(stock=TWO)
    order = await client.imported(("MUG", 3))
    client.clock.advance(3)
    (work,) = await client.work(order["id"])
    done = await split(client, work, *quantities)
    assert (done["fulfillmentOrderSplits"], [one["code"] for one in done["userErrors"]]) == (None, [code])
    assert len(await client.work(order["id"])) == 1


async def test_a_split_of_nothing_that_is_there_or_open() -> None:
    client = new_client(stock=TWO)
    order = await client.imported(("MUG", 3))
    client.clock.advance(3)
    (work,) = await client.work(order["id"])
    missing = await split(client, {**work, "id": "gid://shopify/FulfillmentOrder/1"}, 1)
    assert missing["userErrors"][0]["code"] == "FULFILLMENT_ORDER_NOT_FOUND"
    console.hold(client.shop, order["id"])
    held = await split(client, work, 1)
    assert (held["userErrors"][0]["code"], "ON_HOLD" in held["userErrors"][0]["message"]) == (None, True)


async def test_a_location_tells_its_address_as_it_was_entered() -> None:
    client = new_client()
    query = "query L { locations(first: 5) { nodes { address { city zip countryCode latitude longitude } } } }"
    console.set_address(client.shop, "Main warehouse", city="Kiel", zip="24103", latitude=54.3, longitude=10.1)
    told = (await client(query))["locations"]["nodes"][0]["address"]
    assert told == {"city": "Kiel", "zip": "24103", "countryCode": "DE", "latitude": 54.3, "longitude": 10.1}


async def test_a_bundle_is_bought_as_its_components_and_shows_what_they_make() -> None:
    client = new_client()
    console.add_product(client.shop, "SET", "Tea set", 5000, 99)
    console.set_components(client.shop, "SET", {"MUG": 2, "CUP": 1})
    assert client.shop.shown("SET") == min(client.shop.shown("MUG") // 2, client.shop.shown("CUP")) == 1
    sale = client.shop.buy(ANNA, {"SET": 1})
    assert sale is not None and sale.lines == {"SET": 1}
    query = """query O { orders(first: 1, sortKey: ID, reverse: true) { nodes { currentTotalPriceSet { shopMoney { amount } }
      lineItems(first: 5) { nodes { sku quantity lineItemGroup { title quantity variantSku } } } } } }"""
    (order,) = (await client(query))["orders"]["nodes"]
    group = {"title": "Tea set", "quantity": 1, "variantSku": "SET"}
    assert order["lineItems"]["nodes"] == [
        {"sku": "MUG", "quantity": 2, "lineItemGroup": group},
        {"sku": "CUP", "quantity": 1, "lineItemGroup": group},
    ]
    assert (await client.level("MUG"), await client.level("CUP")) == ((10, 8, 2, 0), (1, 0, 1, 0))
    assert client.shop.buy(ANNA, {"SET": 1}) is None
    variants = """query V { productVariants(first: 9, query: "sku:SET") { nodes { sku requiresComponents
      productVariantComponents(first: 5) { nodes { quantity productVariant { sku } } } } } }"""
    client.clock.advance(5)
    (found,) = (await client(variants))["productVariants"]["nodes"]
    assert found["requiresComponents"] and found["productVariantComponents"]["nodes"] == [
        {"quantity": 2, "productVariant": {"sku": "MUG"}},
        {"quantity": 1, "productVariant": {"sku": "CUP"}},
    ]


async def test_a_bundles_parent_is_neither_imported_nor_a_part_of_another() -> None:
    client = new_client()
    console.add_product(client.shop, "SET", "Tea set", 5000, 0)
    console.set_components(client.shop, "SET", {"MUG": 2})
    with pytest.raises(ValueError, match="none of them a bundle"):
        console.set_components(client.shop, "CUP", {"SET": 1})
    variant = client.shop.variant("SET")
    given = {"lineItems": [{"variantId": variant.gid, "quantity": 1}]}
    answer = await client(
        "mutation I($o: OrderCreateOrderInput!) { orderCreate(order: $o) { order { id } userErrors { message } } }",
        {"o": given},
    )
    assert answer["orderCreate"]["order"] is None
    assert "requires components" in answer["orderCreate"]["userErrors"][0]["message"]
