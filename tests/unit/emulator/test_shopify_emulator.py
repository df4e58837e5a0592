"""The emulated Shopify: its door (tokens, versions, errors, cost, scopes), its schema, its stock."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
)
from shopify_client import ANNA, PRODUCTS, Client, new_client

from oneshelf_emulator.clock import VirtualClock
from oneshelf_emulator.door import call
from oneshelf_emulator.shopify import SWITCHES, Shopify
from oneshelf_emulator.shopify.console import ACTIONS
from oneshelf_emulator.throttle import FaultGate
from oneshelf_emulator.world import Product, World

REPO = Path(__file__).resolve().parents[3]
CONTRACTS = Path(os.environ.get("ONESHELF_CONTRACTS", REPO.parent / "shared" / "contracts")) / "shopify"
needs_contracts = pytest.mark.skipif(not CONTRACTS.is_dir(), reason="the official schema is not beside this repository")

SET = """mutation Set($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id changes { name delta quantityAfterChange } } userErrors { code field message } } }"""
ADJUST = SET.replace("inventorySetQuantities", "inventoryAdjustQuantities").replace("SetQ", "AdjustQ")
MOVE = SET.replace("inventorySetQuantities", "inventoryMoveQuantities").replace("SetQ", "MoveQ")


def set_input(client: Client, quantity: int, was: int | None, sku: str = "MUG", **more: Any) -> dict[str, Any]:
    entry = {"inventoryItemId": client.item(sku), "locationId": client.place(), "quantity": quantity}
    return {"name": "available", "reason": "correction", "quantities": [{**entry, "changeFromQuantity": was}], **more}


def codes(payload: dict[str, Any]) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


# -- schema ----------------------------------------------------------------------------------------------------------


def _arguments(field: Any) -> dict[str, tuple[str, str]]:
    return {name: (str(each.type), str(_default(each))) for name, each in field.args.items()}


def _default(argument: Any) -> Any:
    default = getattr(argument, "default", None)
    if default is None:
        return None
    literal = default.literal
    return literal.value if literal is not None and hasattr(literal, "value") else default.value


def _differences(ours: GraphQLSchema, official: GraphQLSchema) -> list[str]:
    found: list[str] = []
    for name, kind in ours.type_map.items():
        theirs = official.type_map.get(name)
        if name.startswith("__"):
            continue
        if theirs is None or type(theirs) is not type(kind):
            found.append(f"type {name}")
        elif isinstance(kind, GraphQLEnumType):
            found += [f"value {name}.{value}" for value in kind.values if value not in theirs.values]  # type: ignore[attr-defined]
        elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            found += _field_differences(name, kind, theirs)
    return found


def _field_differences(name: str, kind: Any, theirs: Any) -> list[str]:
    found: list[str] = []
    for key, field in kind.fields.items():
        other = theirs.fields.get(key)
        if other is None or str(other.type) != str(field.type):
            found.append(f"field {name}.{key}")
        elif not isinstance(kind, GraphQLInputObjectType):
            given, allowed = _arguments(field), _arguments(other)
            found += [f"argument {name}.{key}({arg})" for arg in given if given[arg] != allowed.get(arg)]
            left_out = set(allowed) - set(given)
            found += [f"required {name}.{key}({arg})" for arg in left_out if allowed[arg][0].endswith("!")]
        elif _default(field) is not None and str(_default(field)) != str(_default(other)):
            found.append(f"default {name}.{key}")
    return found


@needs_contracts
@pytest.mark.parametrize("version", ["2026-10", "2026-07"])
def test_our_schema_is_a_part_of_the_official_one(version: str) -> None:
    text = gzip.decompress((CONTRACTS / f"admin-{version}.nodesc.graphql.gz").read_bytes()).decode()
    official = build_schema(text, no_location=True, assume_valid=True)
    ours = build_schema((REPO / "src/oneshelf_emulator/shopify/schema.graphql").read_text())
    assert _differences(ours, official) == []
    assert len(ours.mutation_type.fields) == 26  # type: ignore[union-attr]


@needs_contracts
async def test_every_document_of_the_contract_but_price_lists_is_answered() -> None:
    client = new_client()
    texts = (CONTRACTS / "operations.graphql").read_text()
    variables = json.loads((CONTRACTS / "operations.variables.json").read_text())
    from graphql import parse, print_ast

    refused = []
    for definition in parse(texts).definitions:
        name = definition.name.value  # type: ignore[attr-defined]
        answer = await client.raw(print_ast(definition), variables.get(name))
        client.clock.advance(20)  # the bucket fills up again
        if "errors" in answer:
            refused.append(name)
    # Price lists are not emulated; an export body without page sizes is for bulk queries only.
    assert refused == ["SetListPrices", "CatalogueExportBody"]


async def test_a_field_that_shopify_does_not_have_is_refused_in_its_words() -> None:
    answer = await new_client().raw("query Q { shop { id nickname } }")
    assert answer == {
        "errors": [
            {
                "message": "Field 'nickname' doesn't exist on type 'Shop'",
                "locations": [{"line": 1, "column": 21}],
                "extensions": {"code": "undefinedField", "typeName": "Shop", "fieldName": "nickname"},
            }
        ]
    }


async def test_a_variable_with_an_unknown_field_is_refused_with_its_path() -> None:
    client = new_client()
    given = set_input(client, 5, 10)
    given["quantities"][0]["compareQuantity"] = 10
    error = (await client.raw(SET, {"input": given, "key": "k"}))["errors"][0]
    assert error["extensions"]["code"] == "INVALID_VARIABLE"
    assert error["extensions"]["problems"][0]["path"] == ["quantities", 0]
    assert "compareQuantity" in error["message"]


@pytest.mark.parametrize(
    ("kind", "bad"), [("DateTime", "2026-11-23"), ("Decimal", 19.9), ("Money", "19,90"), ("URL", "not a url")]
)
async def test_scalars_are_strict(kind: str, bad: Any) -> None:
    place = {
        "DateTime": {"processedAt": bad},
        "Decimal": {
            "shippingLines": [{"title": "x", "priceSet": {"shopMoney": {"amount": bad, "currencyCode": "EUR"}}}]
        },
        "URL": {"sourceUrl": bad},
    }
    query, variables = (
        "mutation M($v: OrderCreateOrderInput!) { orderCreate(order: $v) { order { id } } }",
        place.get(kind),
    )
    if kind == "Money":
        query = """mutation M($v: [ProductVariantsBulkInput!]!) { productVariantsBulkUpdate(
            productId: "gid://shopify/Product/1", variants: $v) { product { id } } }"""
        variables = [{"price": bad}]  # type: ignore[assignment]
    errors = (await new_client().raw(query, {"v": variables}))["errors"]
    assert [error["extensions"]["code"] for error in errors] == ["INVALID_VARIABLE"]


# -- the door --------------------------------------------------------------------------------------------------------


async def test_client_credentials_give_a_token_whose_life_is_shortened_by_the_clock() -> None:
    clock = VirtualClock(factor=100.0)
    shop = Shopify(World(clock=clock))
    client = Client(shop, clock, None)  # type: ignore[arg-type]
    status, granted = await client.grant(grant_type="client_credentials")
    assert (status, granted["expires_in"]) == (200, 863)
    client.token = granted["access_token"]
    assert (await client("{ shop { name } }"))["shop"]["name"] == "Emulated Shop"
    clock.advance(865)
    assert (await client.raw("{ shop { name } }"))["errors"].startswith("[API] Invalid API key or access token")
    assert client.last is not None and client.last.status == 401


async def test_a_refresh_token_works_once_and_brings_the_next() -> None:
    client = new_client()
    first = client.shop.credentials()["refresh_token"]
    status, granted = await client.grant(grant_type="refresh_token", refresh_token=first)
    assert (status, granted["expires_in"]) == (200, 3600)
    assert (await client.grant(grant_type="refresh_token", refresh_token=first))[0] == 400
    again = await client.grant(grant_type="refresh_token", refresh_token=granted["refresh_token"])
    assert again[0] == 200
    assert client.shop.credentials()["refresh_token"] not in (first, granted["refresh_token"])


async def test_a_wrong_secret_and_an_unknown_grant_get_no_token() -> None:
    client = new_client()
    assert (await client.grant(grant_type="client_credentials", client_secret="x"))[0] == 400
    assert (await client.grant(grant_type="password"))[1]["error"] == "unsupported_grant_type"


async def test_versions_known_expired_and_unknown() -> None:
    client = new_client()
    served = {}
    for version in ("2026-10", "2026-07", "2024-04", "2026-01", "2027-01", "unstable", "x"):
        client.version = version
        await client.raw("{ shop { name } }")
        assert client.last is not None
        served[version] = (client.last.status, client.last.headers.get("x-shopify-api-version"))
    assert served == {
        "2026-10": (200, "2026-10"),
        "2026-07": (200, "2026-07"),
        "2024-04": (200, "2026-07"),
        "2026-01": (404, None),
        "2027-01": (404, None),
        "unstable": (404, None),
        "x": (404, None),
    }


async def test_a_missing_scope_denies_the_field_and_leaves_the_rest() -> None:
    client = new_client(scopes=["read_products"])
    answer = await client.raw('{ shop { name } order(id: "gid://shopify/Order/1") { id } }')
    assert answer["data"] == {"shop": {"name": "Emulated Shop"}, "order": None}
    assert answer["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert "`read_orders`" in answer["errors"][0]["extensions"]["requiredAccess"]
    answer = await client.raw(SET, {"input": set_input(client, 5, 10), "key": "k"})
    assert answer["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert client.shop.shown("MUG") == 10


async def test_the_bucket_throttles_with_status_200_and_refills() -> None:
    client = new_client()
    query = """{ orders(first: 250, sortKey: UPDATED_AT) { nodes { id app { id } customer { id } currentTotalPriceSet {
        shopMoney { amount } } lineItems(first: 20) { nodes { id } } } } }"""
    client.shop.api.bucket.take(1_500)
    answer = await client.raw(query)
    assert client.last is not None and client.last.status == 200
    cost = answer["extensions"]["cost"]
    assert answer["errors"][0]["extensions"]["code"] == "THROTTLED" and "data" not in answer
    assert cost["requestedQueryCost"] == 689 and cost["actualQueryCost"] is None
    assert cost["throttleStatus"] == {"maximumAvailable": 2000.0, "currentlyAvailable": 500, "restoreRate": 100.0}
    client.clock.advance((689 - 500) / 100)
    answer = await client.raw(query)
    assert answer["extensions"]["cost"]["actualQueryCost"] == 1  # the difference is given back
    assert answer["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] == 688


async def test_one_query_may_not_cost_more_than_1000() -> None:
    error = (await new_client().raw("{ orders(first: 250) { nodes { lineItems(first: 250) { nodes { id } } } } }"))[
        "errors"
    ][0]
    assert error["extensions"]["code"] == "MAX_COST_EXCEEDED" and error["extensions"]["maxCost"] == 1000


async def test_a_page_size_is_asked_for_and_limited() -> None:
    client = new_client()
    assert (await client.raw("{ products { nodes { id } } }"))["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert (await client.raw("{ products(first: 251) { nodes { id } } }"))["errors"]
    gids = [f"gid://shopify/Product/{n}" for n in range(251)]
    answer = await client.raw("query N($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": gids})
    assert answer["errors"][0]["extensions"]["code"] == "MAX_INPUT_SIZE_EXCEEDED"


async def test_garbage_gets_an_answer_never_a_traceback() -> None:
    client = new_client()
    await client("{ shop { id } }")
    headers = {"X-Shopify-Access-Token": client.token, "content-type": "application/json"}
    for body in (b"", b"[]", b"{}", b'{"query": 5}', b"\xff\xfe"):
        answer = await call(client.shop.app, "POST", "/admin/api/2026-10/graphql.json", headers=headers, body=body)
        assert answer.status == 400
    for query in ("", "{", "query A { shop { id } } query B { shop { id } }", '{ order(id: "x") { id } }'):
        assert (await client.raw(query))["errors"], query
        assert client.last is not None and client.last.status == 200


async def test_faults_of_the_gate_wear_shopifys_clothes() -> None:
    client = new_client()
    await client("{ shop { id } }")
    gate = FaultGate(client.shop.app, client.shop.world, "shopify")
    headers = {"X-Shopify-Access-Token": client.token, "content-type": "application/json"}
    body = json.dumps({"query": 'mutation { orderClose(input: {id: "gid://shopify/Order/1"}) { order { id } } }'})
    client.shop.world.faults.arm("throttle", "shopify", "orderClose")
    throttled = await call(gate, "POST", "/admin/api/2026-10/graphql.json", headers=headers, body=body.encode())
    client.shop.world.faults.arm("expired_token", "shopify", "orderClose")
    expired = await call(gate, "POST", "/admin/api/2026-10/graphql.json", headers=headers, body=body.encode())
    assert throttled.status == 200 and b'"THROTTLED"' in throttled.body
    assert expired.status == 401


async def test_a_closed_shop_answers_its_status() -> None:
    client = new_client()
    await client("{ shop { id } }")
    client.shop.console("set_shop_status", status=423)
    await client.raw("{ shop { id } }")
    assert client.last is not None and client.last.status == 423


# -- stock -----------------------------------------------------------------------------------------------------------


async def test_setting_available_moves_on_hand_with_it() -> None:
    client = new_client()
    payload = (await client(SET, {"input": set_input(client, 12, 10), "key": "k"}))["inventorySetQuantities"]
    assert payload["inventoryAdjustmentGroup"]["changes"] == [
        {"name": "available", "delta": 2, "quantityAfterChange": 12},
        {"name": "on_hand", "delta": 2, "quantityAfterChange": 12},
    ]
    assert await client.level("MUG") == (12, 12, 0, 0)


async def test_a_stale_compare_and_set_changes_nothing_and_burns_its_key() -> None:
    client = new_client()
    given = {"input": set_input(client, 12, 9), "key": "k"}
    assert codes((await client(SET, given))["inventorySetQuantities"]) == ["CHANGE_FROM_QUANTITY_STALE"]
    assert codes((await client(SET, given))["inventorySetQuantities"]) == ["IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"]
    other = {"input": set_input(client, 12, 10), "key": "k"}
    assert codes((await client(SET, other))["inventorySetQuantities"]) == ["IDEMPOTENCY_KEY_PARAMETER_MISMATCH"]
    assert await client.level("MUG") == (10, 10, 0, 0)


async def test_a_replayed_key_acts_once_and_shows_the_present() -> None:
    client = new_client()
    given = {"input": set_input(client, 12, None), "key": "k"}
    first = (await client(SET, given))["inventorySetQuantities"]["inventoryAdjustmentGroup"]
    client.shop.console("set_available", sku="MUG", quantity=3)
    replay = (await client(SET, given))["inventorySetQuantities"]["inventoryAdjustmentGroup"]
    assert replay["id"] == first["id"] and replay["changes"][0]["quantityAfterChange"] == 3
    assert await client.level("MUG") == (3, 3, 0, 0)
    client.clock.advance(86_401)  # after a day a key is new again
    client.token = ""
    await client(SET, given)
    assert await client.level("MUG") == (12, 12, 0, 0)


async def test_a_key_in_use_is_answered_concurrent() -> None:
    client = new_client()
    client.shop.console("occupy_key", key="k", seconds=60)
    given = {"input": set_input(client, 12, None), "key": "k"}
    assert codes((await client(SET, given))["inventorySetQuantities"]) == ["IDEMPOTENCY_CONCURRENT_REQUEST"]
    client.clock.advance(61)
    assert codes((await client(SET, given))["inventorySetQuantities"]) == []


async def test_what_the_schema_leaves_optional_is_asked_for_all_the_same() -> None:
    client = new_client()
    given = set_input(client, 12, None)
    del given["quantities"][0]["changeFromQuantity"]
    error = (await client.raw(SET, {"input": given, "key": "k"}))["errors"][0]
    assert error["extensions"]["code"] == "INVALID_FIELD_ARGUMENTS"
    assert error["message"].startswith("InventoryQuantityInput must include the following argument: changeFromQuantity")
    bare = SET.replace(" @idempotent(key: $key)", "").replace(", $key: String!", "")
    error = (await client.raw(bare, {"input": set_input(client, 12, None)}))["errors"][0]
    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert error["message"] == "The @idempotent directive is required for this mutation but was not provided."
    blank = (await client.raw(SET, {"input": set_input(client, 12, None), "key": " "}))["errors"][0]
    assert blank["extensions"]["code"] == "BAD_REQUEST"
    assert await client.level("MUG") == (10, 10, 0, 0)


async def test_one_bad_entry_refuses_the_whole_call() -> None:
    client = new_client()
    given = set_input(client, 12, None)
    given["quantities"] += set_input(client, 4, 7, sku="CUP")["quantities"]
    payload = (await client(SET, {"input": given, "key": "k"}))["inventorySetQuantities"]
    assert payload["userErrors"][0]["field"] == ["input", "quantities", "1", "changeFromQuantity"]
    assert (await client.level("MUG"), await client.level("CUP")) == ((10, 10, 0, 0), (1, 1, 0, 0))


async def test_set_quantities_refuses_names_reasons_pairs_and_bounds() -> None:
    client = new_client()

    async def refused(**change: Any) -> list[str]:
        given = {**set_input(client, 12, None), **change}
        return codes((await client(SET, {"input": given, "key": client.key()}))["inventorySetQuantities"])

    entry = set_input(client, 12, None)["quantities"][0]
    assert await refused(name="committed") == ["INVALID_NAME"]
    assert await refused(reason="because") == ["INVALID_REASON"]
    assert await refused(referenceDocumentUri="no uri") == ["INVALID_REFERENCE_DOCUMENT"]
    assert await refused(quantities=[entry, entry]) == ["NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"]
    assert await refused(quantities=[{**entry, "quantity": 1_000_000_001}]) == ["INVALID_QUANTITY_TOO_HIGH"]
    assert await refused(name="on_hand", quantities=[{**entry, "quantity": -1}]) == ["INVALID_QUANTITY_NEGATIVE"]
    assert await refused(quantities=[{**entry, "inventoryItemId": "gid://shopify/InventoryItem/1"}]) == [
        "INVALID_INVENTORY_ITEM"
    ]
    client.shop.console("set_variant", sku="CUP", bundle=True)
    cup = {**entry, "inventoryItemId": client.item("CUP")}
    assert await refused(quantities=[cup]) == ["NON_MUTABLE_INVENTORY_ITEM"]
    answer = await client.raw(SET, {"input": {**set_input(client, 1, None), "quantities": [entry] * 251}, "key": "z"})
    assert answer["errors"][0]["extensions"]["code"] == "MAX_INPUT_SIZE_EXCEEDED"


async def test_adjust_adds_below_zero_and_minds_its_ledger_documents() -> None:
    client = new_client()

    async def adjust(name: str, delta: int, **more: Any) -> list[str]:
        entry = {"inventoryItemId": client.item("MUG"), "locationId": client.place(), "delta": delta}
        changes = [{**entry, "changeFromQuantity": None, **more}]
        given = {"name": name, "reason": "correction", "changes": changes}
        return codes((await client(ADJUST, {"input": given, "key": client.key()}))["inventoryAdjustQuantities"])

    assert await adjust("available", -12) == []
    assert await adjust("available", 1, ledgerDocumentUri="app://x/1") == ["INVALID_AVAILABLE_DOCUMENT"]
    assert await adjust("damaged", 1) == ["INVALID_QUANTITY_DOCUMENT"]
    assert await adjust("damaged", 1, ledgerDocumentUri="gid://shopify/Order/1") == ["INTERNAL_LEDGER_DOCUMENT"]
    assert await adjust("damaged", 2, ledgerDocumentUri="app://x/1") == []
    assert await adjust("incoming", 7, ledgerDocumentUri="app://x/1") == []
    assert await adjust("on_hand", 1, ledgerDocumentUri="app://x/1") == ["INVALID_QUANTITY_NAME"]
    assert await adjust("committed", 1, ledgerDocumentUri="app://x/1") == ["INVALID_QUANTITY_NAME"]
    assert await client.level("MUG") == (0, -2, 0, 0)  # 2 damaged are on hand, 7 incoming are not


async def test_a_hold_moves_available_to_reserved_and_stops_at_what_is_there() -> None:
    client = new_client()

    async def move(pieces: int, origin: str, goal: str, **more: Any) -> list[str]:
        ends = {}
        for side, name in (("from", origin), ("to", goal)):
            ends[side] = {"locationId": client.place(), "name": name, "changeFromQuantity": None}
            if name != "available":
                ends[side]["ledgerDocumentUri"] = "app://hold/1"
        change = {"inventoryItemId": client.item("MUG"), "quantity": pieces, **ends, **more}
        given = {"reason": "reservation_created", "referenceDocumentUri": "app://hold/1", "changes": [change]}
        return codes((await client(MOVE, {"input": given, "key": client.key()}))["inventoryMoveQuantities"])

    assert await move(4, "available", "reserved") == []
    assert await client.level("MUG") == (10, 6, 0, 4)
    assert await move(7, "available", "reserved") == ["INVALID_QUANTITY_NEGATIVE"]
    assert await move(5, "reserved", "available") == ["INVALID_QUANTITY_NEGATIVE"]
    assert await move(1, "reserved", "reserved") == ["SAME_QUANTITY_NAME"]
    assert await move(1, "available", "committed") == ["INVALID_QUANTITY_NAME"]
    assert await client.level("MUG") == (10, 6, 0, 4)
    client.shop.console("add_location", name="Attic")
    goal = {"locationId": client.place("Attic"), "name": "reserved", "changeFromQuantity": None}
    assert await move(1, "available", "reserved", to={**goal, "ledgerDocumentUri": "app://x/1"}) == [
        "DIFFERENT_LOCATIONS"
    ]


async def test_stock_set_at_a_place_that_does_not_stock_the_item_gives_an_inactive_level() -> None:
    client = new_client()
    client.shop.console("add_location", name="Attic")
    given = set_input(client, 3, None)
    given["quantities"][0]["locationId"] = client.place("Attic")
    assert codes((await client(SET, {"input": given, "key": "k"}))["inventorySetQuantities"]) == []
    assert await client.level("MUG", "Attic") == (3, 3, 0, 0)
    assert client.shop.shown("MUG") == 10
    activate = """mutation A($i: ID!, $l: ID!) { inventoryActivate(inventoryItemId: $i, locationId: $l)
        @idempotent(key: "a") { inventoryLevel { isActive } userErrors { message } } }"""
    answer = await client(activate, {"i": client.item("MUG"), "l": client.place("Attic")})
    assert answer["inventoryActivate"] == {"inventoryLevel": {"isActive": True}, "userErrors": []}
    assert client.shop.shown("MUG") == 13


async def test_fault_never_applied_accepts_and_forgets() -> None:
    client = new_client()
    client.shop.world.faults.arm("never_applied", "shopify", "inventorySetQuantities")
    payload = (await client(SET, {"input": set_input(client, 3, 10), "key": "k"}))["inventorySetQuantities"]
    assert payload == {"inventoryAdjustmentGroup": None, "userErrors": []}
    assert await client.level("MUG") == (10, 10, 0, 0)


async def test_fault_stale_read_shows_the_number_before_the_last_change() -> None:
    client = new_client()
    client.shop.console("set_available", sku="MUG", quantity=4)
    client.shop.world.faults.arm("stale_read", "shopify", "quantities", times=4)
    assert await client.level("MUG") == (10, 10, 0, 0)
    assert await client.level("MUG") == (4, 4, 0, 0)


async def test_fault_partial_batch_leaves_a_hole_beside_the_data() -> None:
    client = new_client()
    client.shop.world.faults.arm("partial_batch", "shopify", "nodes")
    ids = [client.item("MUG"), client.item("CUP"), "gid://shopify/InventoryItem/1"]
    answer = await client.raw("query N($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ids})
    assert answer["data"]["nodes"].count(None) in (1, 2) and len(answer["data"]["nodes"]) == 3
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["INTERNAL_SERVER_ERROR"]


async def test_a_deprecated_field_is_told_in_a_header() -> None:
    client = new_client()
    query = "query I($id: ID!) { inventoryItem(id: $id) { %s } }"
    await client(query % "variant { id }", {"id": client.item("MUG")})
    assert client.last is not None and "x-shopify-api-deprecated-reason" in client.last.headers
    await client(query % "variants(first: 1) { nodes { id } }", {"id": client.item("MUG")})
    assert "x-shopify-api-deprecated-reason" not in client.last.headers


def test_the_readme_names_every_switch_and_console_action() -> None:
    text = (REPO / "src/oneshelf_emulator/shopify/README.md").read_text()
    missing = [name for name in (*SWITCHES, *ACTIONS) if f"`{name}`" not in text]
    assert missing == []


async def test_one_seed_gives_one_shop() -> None:
    first, again, other = new_client(), new_client(), new_client(seed=2)
    for client in (first, again, other):
        client.shop.buy(ANNA, {"MUG": 1})
        client.clock.advance(5)
    assert first.shop.orders() == again.shop.orders() and first.item("MUG") == again.item("MUG")
    assert first.shop.orders()[0]["id"] != other.shop.orders()[0]["id"]


async def test_products_in_a_foreign_currency_are_refused_by_the_shop() -> None:
    client = new_client()
    with pytest.raises(ValueError, match="USD"):
        client.shop.stock_up([Product("HAT", "Hat", 100, "USD", 1)])
    assert [product.sku for product in PRODUCTS] == ["MUG", "CUP"]
    with pytest.raises(ValueError, match="unknown switches"):
        Shopify(World(clock=VirtualClock()), colour="red")
