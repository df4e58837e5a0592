"""What the Shopify connector writes into the hub: holds, counts, copies of marketplace orders; and every documented refusal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from shopify_script import SETTINGS, Script, check_request, data, payload, reply, schema, top_level

from oneshelf.channels.contract import (
    HubCopy,
    HubLineDraft,
    HubOrderDraft,
    Move,
    NoAnswer,
    Response,
)
from oneshelf.channels.shopify import connect
from oneshelf.channels.shopify import documents as docs
from oneshelf.channels.shopify.draft import DraftProblem, order_input
from oneshelf.channels.shopify.money import converted, to_minor, to_text
from oneshelf.core.facts import Address, BuyerSeen, OrderSeen, Payment
from oneshelf.core.ids import ChannelName
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown

SHOPIFY = connect(SETTINGS)
ITEM, PLACE = "gid://shopify/InventoryItem/11", "gid://shopify/Location/1"
PAGE_END = {"hasNextPage": False, "endCursor": None}


def errors(code: str | None, message: str = "no", field: list[str] | None = None) -> list[dict[str, Any]]:
    error: dict[str, Any] = {"field": field, "message": message}
    return [error if code is None else {**error, "code": code}]


# --- moves ----------------------------------------------------------------------------------------------------------------


def moved(*user_errors: dict[str, Any]) -> dict[str, Any]:
    group = None if user_errors else {"id": "gid://shopify/InventoryAdjustmentGroup/1"}
    return {"inventoryMoveQuantities": {"inventoryAdjustmentGroup": group, "userErrors": list(user_errors)}}


async def test_a_hold_moves_available_to_reserved() -> None:
    http = Script(("MoveQuantities", moved()))
    outcome = await SHOPIFY.move(http, [Move(ITEM, PLACE, 2, hold=True)], "key-1", "gid://oneshelf/Hold/7")
    assert outcome == Accepted("gid://shopify/InventoryAdjustmentGroup/1")
    assert http.variables == {
        "key": "key-1",
        "input": {
            "reason": "reservation_created",
            "referenceDocumentUri": "gid://oneshelf/Hold/7",
            "changes": [
                {
                    "inventoryItemId": ITEM,
                    "quantity": 2,
                    "from": {"locationId": PLACE, "name": "available", "changeFromQuantity": None},
                    "to": {
                        "locationId": PLACE,
                        "name": "reserved",
                        "changeFromQuantity": None,
                        "ledgerDocumentUri": "gid://oneshelf/Ledger/holds",
                    },
                }
            ],
        },
    }
    # An omitted changeFromQuantity is an error at run time: null must be on the wire.
    assert http.requests[0].body.count(b'"changeFromQuantity":null') == 2
    assert b"@idempotent(key: $key)" in http.requests[0].body


async def test_giving_back_goes_the_other_way() -> None:
    http = Script(("MoveQuantities", moved()), ("MoveQuantities", moved()))
    await SHOPIFY.move(http, [Move("11", "1", 2, hold=False)], "key-2", "line 5/1")
    (change,) = http.variables["input"]["changes"]
    assert (change["from"]["name"], change["to"]["name"]) == ("reserved", "available")
    assert "ledgerDocumentUri" in change["from"] and "ledgerDocumentUri" not in change["to"]
    assert http.variables["input"]["reason"] == "reservation_deleted"
    assert http.variables["input"]["referenceDocumentUri"] == "gid://oneshelf/Document/line%205%2F1"
    await SHOPIFY.move(http, [Move("11", "1", 2, hold=False), Move("12", "1", 2, hold=True)], "key-3", "r")
    assert http.variables["input"]["reason"] == "reservation_updated"
    ledgers = {
        x["ledgerDocumentUri"]
        for c in http.variables["input"]["changes"]
        for x in (c["from"], c["to"])
        if "ledgerDocumentUri" in x
    }
    assert len(ledgers) == 1  # at most 2 a call


async def test_moves_that_no_call_can_carry() -> None:
    assert await SHOPIFY.move(Script(), [], "k", "r") == Accepted()
    assert isinstance(await SHOPIFY.move(Script(), [Move(ITEM, PLACE, 0, hold=True)], "k", "r"), Rejected)
    assert isinstance(await SHOPIFY.move(Script(), [Move(ITEM, PLACE, 1, hold=True)] * 251, "k", "r"), Rejected)


QUANTITY_ERRORS: list[tuple[str, type, bool]] = [
    ("CHANGE_FROM_QUANTITY_STALE", Rejected, True),
    ("IDEMPOTENCY_CONCURRENT_REQUEST", Throttled, False),
    ("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", Rejected, False),
    ("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", Rejected, False),
    ("INVALID_QUANTITY_NEGATIVE", Rejected, False),
    ("INVALID_INVENTORY_ITEM", Rejected, False),
    ("INVALID_LOCATION", Rejected, False),
    ("MOVE_QUANTITIES_FAILED", Rejected, False),
    ("NON_MUTABLE_INVENTORY_ITEM", Rejected, False),
    ("SERVICE_UNAVAILABLE", Unknown, False),
]


@pytest.mark.parametrize(("code", "kind", "stale"), QUANTITY_ERRORS, ids=[e[0] for e in QUANTITY_ERRORS])
async def test_refused_moves(code: str, kind: type, stale: bool) -> None:
    outcome = await SHOPIFY.move(
        Script(("MoveQuantities", moved(*errors(code)))), [Move(ITEM, PLACE, 1, True)], "k", "r"
    )
    assert type(outcome) is kind
    if isinstance(outcome, Rejected):
        assert (outcome.code, outcome.stale) == (code, stale)


async def test_all_move_errors_of_the_schema_are_refusals_or_waits() -> None:
    official = schema("2026-10")
    if official is None:
        pytest.skip("the official schemas are not present")
    for code in official.type_map["InventoryMoveQuantitiesUserErrorCode"].values:
        outcome = await SHOPIFY.move(
            Script(("MoveQuantities", moved(*errors(code)))), [Move(ITEM, PLACE, 1, True)], "k", "r"
        )
        assert not isinstance(outcome, Accepted), code


# --- counts ---------------------------------------------------------------------------------------------------------------


def written(*user_errors: dict[str, Any]) -> dict[str, Any]:
    return {"inventorySetQuantities": {"inventoryAdjustmentGroup": None, "userErrors": list(user_errors)}}


async def test_a_count_is_a_compare_and_set_on_on_hand() -> None:
    http = Script(("SetQuantities", written()))
    assert await SHOPIFY.set_on_hand(http, "11", "1", 7, 9, "key", "gid://oneshelf/Count/3") == Accepted()
    assert http.variables["input"]["name"] == "on_hand"
    assert http.variables["input"]["quantities"] == [
        {"inventoryItemId": ITEM, "locationId": PLACE, "quantity": 7, "changeFromQuantity": 9}
    ]


async def test_a_stale_count_says_so() -> None:
    script = Script(("SetQuantities", written(*errors("CHANGE_FROM_QUANTITY_STALE", "it is 8"))))
    assert await SHOPIFY.set_on_hand(script, "11", "1", 7, 9, "key", "r") == Rejected(
        "it is 8", "CHANGE_FROM_QUANTITY_STALE", stale=True
    )


# --- the key --------------------------------------------------------------------------------------------------------------


def defined(created: bool, *user_errors: dict[str, Any]) -> dict[str, Any]:
    definition = {"id": "gid://shopify/MetafieldDefinition/1"} if created else None
    return {"metafieldDefinitionCreate": {"createdDefinition": definition, "userErrors": list(user_errors)}}


@pytest.mark.parametrize(
    ("answer", "ok"),
    (
        (defined(True), True),
        (defined(False, *errors("TAKEN")), True),
        (defined(False, *errors("UNSTRUCTURED_ALREADY_EXISTS")), False),
        (top_level("ACCESS_DENIED"), False),
        (reply(500, b""), False),
    ),
)
async def test_ensure_order_key(answer: dict[str, Any] | Response, ok: bool) -> None:
    http = Script(("DefineOrderKey", answer))
    finding = await SHOPIFY.ensure_order_key(http)
    assert finding.ok is ok and bool(finding.todo) is not ok
    assert http.variables["definition"] == {
        "name": "Marketplace order",
        "namespace": "$app",
        "key": "external_order_id",
        "type": "id",
        "ownerType": "ORDER",
    }


async def test_find_copy() -> None:
    order = {"id": "gid://shopify/Order/5600000000001", "name": "#1007", "cancelledAt": None}
    http = Script(("FindCopy", {"orderByIdentifier": order}))
    assert await SHOPIFY.find_copy(http, "amazon:1:902") == HubCopy("5600000000001", "#1007")
    assert http.variables == {"value": "amazon:1:902"}
    order = {**order, "cancelledAt": "2026-11-23T00:00:00Z"}
    found = await SHOPIFY.find_copy(Script(("FindCopy", {"orderByIdentifier": order})), "k")
    assert found is not None and found.cancelled
    assert await SHOPIFY.find_copy(Script(("FindCopy", {"orderByIdentifier": None})), "k") is None


# --- making a copy --------------------------------------------------------------------------------------------------------

PLACED = datetime(2026, 11, 23, 3, 41, 7, tzinfo=UTC)


def draft(**changes: Any) -> HubOrderDraft:
    """Two pieces at 19.90 and one at 5.01, shipping 3.99, 4.00 off, VAT inside: 44.80."""
    source = OrderSeen(
        order_id="902-3159896-1390916",
        payment=Payment.PAID,
        lines=(),
        placed_at=PLACED,
        updated_at=PLACED,
        buyer=BuyerSeen(name="Ada Muster", email="ada@example.com"),
        ship_to=Address("Ada Luise Muster", "Beispielweg 1", None, "Berlin", None, "10115", "DE", "+49 30 1"),
        ship_by_at=datetime(2026, 11, 24, 22, 59, 59, tzinfo=UTC),
        deep_link="https://sellercentral.example/orders/902-3159896-1390916",
        note="ring twice",
    )
    values: dict[str, Any] = {
        "external_key": "amazon:1:902-3159896-1390916",
        "channel": ChannelName.AMAZON,
        "marketplace_order_id": "902-3159896-1390916",
        "currency": "EUR",
        "lines": (
            HubLineDraft("688", "42", 2, 1990, "Mug", "MUG", (("VAT", "0.19", 635, True),)),
            HubLineDraft("689", "gid://shopify/ProductVariant/43", 1, 501, "Cup", "CUP"),
        ),
        "shipping_minor": 399,
        "discount_minor": 400,
        "total_minor": 2 * 1990 + 501 + 399 - 400,
        "placed_at": PLACED,
        "source": source,
        "taxes_included": True,
        **changes,
    }
    return HubOrderDraft(**values)


def imported(**changes: Any) -> dict[str, Any]:
    order = {
        "id": "gid://shopify/Order/5600000000001",
        "name": "#1007",
        "displayFinancialStatus": "PAID",
        "totalPriceSet": {"presentmentMoney": {"amount": "44.80", "currencyCode": "EUR"}},
    }
    return {"orderCreate": {"order": order, "userErrors": [], **changes}}


async def test_a_copy_carries_everything_and_claims_stock() -> None:
    http = Script(("ImportOrder", imported()))
    outcome = await SHOPIFY.create_order(http, draft(), ignore_policy=False)
    assert outcome == Accepted(
        "5600000000001", {"name": "#1007", "financial_status": "PAID", "total_minor": 4480, "currency": "EUR"}
    )
    assert http.variables["options"] == {
        "inventoryBehaviour": "DECREMENT_OBEYING_POLICY",
        "sendReceipt": False,
        "sendFulfillmentReceipt": False,
    }
    assert http.variables["order"] == {
        "currency": "EUR",
        "processedAt": "2026-11-23T03:41:07Z",
        "sourceName": "amazon",
        "sourceIdentifier": "902-3159896-1390916",
        "sourceUrl": "https://sellercentral.example/orders/902-3159896-1390916",
        "tags": ["oneshelf", "amazon"],
        "note": "ring twice",
        "taxesIncluded": True,
        "test": False,
        "customAttributes": [
            {"key": "oneshelf_key", "value": "amazon:1:902-3159896-1390916"},
            {"key": "marketplace", "value": "amazon"},
            {"key": "marketplace_order_id", "value": "902-3159896-1390916"},
            {"key": "ship_by", "value": "2026-11-24T22:59:59Z"},
        ],
        "metafields": [
            {"namespace": "$app", "key": "external_order_id", "type": "id", "value": "amazon:1:902-3159896-1390916"}
        ],
        "lineItems": [
            {
                "variantId": "gid://shopify/ProductVariant/42",
                "quantity": 2,
                "requiresShipping": True,
                "taxable": True,
                "priceSet": eur("19.90"),
                "taxLines": [{"title": "VAT", "rate": "0.19", "priceSet": eur("6.35"), "channelLiable": True}],
                "properties": [{"name": "oneshelf_line_id", "value": "688"}],
            },
            {
                "variantId": "gid://shopify/ProductVariant/43",
                "quantity": 1,
                "requiresShipping": True,
                "taxable": False,
                "priceSet": eur("5.01"),
                "taxLines": [],
                "properties": [{"name": "oneshelf_line_id", "value": "689"}],
            },
        ],
        "shippingLines": [{"title": "Shipping", "source": "amazon", "priceSet": eur("3.99"), "taxLines": []}],
        "discountCode": {"itemFixedDiscountCode": {"code": "AMAZON-DISCOUNT", "amountSet": eur("4.00")}},
        "transactions": [
            {
                "kind": "SALE",
                "status": "SUCCESS",
                "gateway": "amazon",
                "amountSet": eur("44.80"),
                "processedAt": "2026-11-23T03:41:07Z",
            }
        ],
        "email": "ada@example.com",
        "customer": {"toUpsert": {"email": "ada@example.com"}},
        "shippingAddress": {
            "firstName": "Ada Luise",
            "lastName": "Muster",
            "address1": "Beispielweg 1",
            "city": "Berlin",
            "zip": "10115",
            "countryCode": "DE",
            "phone": "+49 30 1",
        },
    }


def eur(amount: str) -> dict[str, Any]:
    return {"shopMoney": {"amount": amount, "currencyCode": "EUR"}}


async def test_ignoring_policy_claims_whatever_is_there() -> None:
    http = Script(("ImportOrder", imported()))
    await SHOPIFY.create_order(http, draft(), ignore_policy=True)
    assert http.variables["options"]["inventoryBehaviour"] == "DECREMENT_IGNORING_POLICY"


def paid_total(order: dict[str, Any], money: str = "shopMoney") -> Decimal:
    """Shopify's own sum, from what is sent."""

    def amount(bag: dict[str, Any]) -> Decimal:
        return Decimal(bag[money]["amount"])

    total = sum((amount(i["priceSet"]) * i["quantity"] for i in order["lineItems"]), Decimal(0))
    total += sum((amount(s["priceSet"]) for s in order["shippingLines"]), Decimal(0))
    if not order["taxesIncluded"]:
        taxed = [*order["lineItems"], *order["shippingLines"]]
        total += sum((amount(t["priceSet"]) for line in taxed for t in line["taxLines"]), Decimal(0))
    if "discountCode" in order:
        total -= amount(order["discountCode"]["itemFixedDiscountCode"]["amountSet"])
    return total


TAX_ON_TOP = {
    "taxes_included": False,
    "shipping_taxes": (("Sales tax", None, 33, True),),
    "total_minor": 4480 + 635 + 33,
}


@pytest.mark.parametrize(
    "changes",
    (
        {},
        TAX_ON_TOP,
        {"discount_minor": 0, "total_minor": 4880},
        {"discount_minor": 4481 + 100, "total_minor": 299},  # more than the items: 1.00 off shipping
        {"currency": "USD", "rate": "0.917", "rate_source": "ECB 2026-11-20"},
        {"currency": "JPY", "rate": "0.0061", "rate_source": "ECB 2026-11-20", **TAX_ON_TOP},
    ),
    ids=("included", "on_top", "no_discount", "discount_on_shipping", "dollars", "yen"),
)
async def test_the_total_agrees_to_the_minor_unit(changes: dict[str, Any]) -> None:
    http = Script(("ImportOrder", imported()))
    assert isinstance(await SHOPIFY.create_order(http, draft(**changes), ignore_policy=False), Accepted)
    order = http.variables["order"]
    (sale,) = order["transactions"]
    assert Decimal(sale["amountSet"]["shopMoney"]["amount"]) == paid_total(order)
    if "rate" in changes:
        assert order["presentmentCurrency"] == changes["currency"] and order["currency"] == "EUR"
        total = Decimal(sale["amountSet"]["presentmentMoney"]["amount"])
        assert total == paid_total(order, "presentmentMoney")
        assert to_minor(str(total), changes["currency"]) == changes.get("total_minor", 4480)
        rate = {a["key"]: a["value"] for a in order["customAttributes"]}["exchange_rate"]
        assert rate == f"{changes['rate']} ECB 2026-11-20"


def test_converted_payment_is_the_sum_of_the_converted_parts() -> None:
    """Three pieces at 0.01 USD and a rate of 0.5: each becomes 0.01 EUR, so Shopify's total is 0.03, not 0.02."""
    cheap = draft(
        currency="USD",
        rate="0.5",
        lines=(HubLineDraft("1", "42", 3, 1, "Pin", "PIN"),),
        shipping_minor=0,
        discount_minor=0,
        total_minor=3,
    )
    (sale,) = order_input(cheap, "EUR", "amazon")["transactions"]
    assert sale["amountSet"] == {**eur("0.03"), "presentmentMoney": {"amount": "0.03", "currencyCode": "USD"}}


async def test_tax_without_a_rate_gets_the_one_that_was_paid() -> None:
    """0.33 on 3.99 is 8.27 %."""
    order = order_input(draft(**TAX_ON_TOP), "EUR", "")
    assert order["shippingLines"][0]["taxLines"][0]["rate"] == "0.0827"
    assert "sourceName" not in order


@pytest.mark.parametrize(
    "changes",
    (
        {"total_minor": 4481},
        {"currency": "USD"},  # no rate
        {"currency": "USD", "rate": "one"},
        {"currency": "USD", "rate": "0"},
        {"discount_minor": -1, "total_minor": 4881},
        {"discount_minor": 9000, "total_minor": -4120},
    ),
)
async def test_a_draft_that_does_not_add_up_is_never_sent(changes: dict[str, Any]) -> None:
    outcome = await SHOPIFY.create_order(Script(), draft(**changes), ignore_policy=False)
    assert isinstance(outcome, Rejected) and outcome.code == "draft_problem"
    with pytest.raises(DraftProblem):
        order_input(draft(**changes), "EUR", "amazon")


async def test_the_shops_currency_is_asked_once_where_it_is_not_set() -> None:
    shop = connect({"shop": "demo"})
    answer = data({"shop": {"myshopifyDomain": "demo.myshopify.com", "currencyCode": "EUR", "name": "D"}})
    http = Script(("Shop", answer), ("ImportOrder", imported()), ("ImportOrder", imported()))
    for _ in range(2):
        assert isinstance(await shop.create_order(http, draft(), ignore_policy=False), Accepted)
    http.done()


async def test_nothing_is_sent_when_the_currency_can_not_be_asked() -> None:
    shop = connect({"shop": "demo"})
    answers: list[tuple[Response | NoAnswer, type]] = [
        (reply(503, b""), Throttled),
        (NoAnswer("cut", sent=True), Throttled),
        (reply(401, b""), Rejected),
    ]
    for answer, kind in answers:
        assert isinstance(await shop.create_order(Script(("Shop", answer)), draft(), ignore_policy=False), kind)


async def test_I19_a_currency_that_no_answer_told_is_asked_for_later_each_time() -> None:
    """Unless the shop says when: else each order that waits asks once a second, for as long as the shop is away."""
    shop = connect({"shop": "demo"})
    for answer, wait_s in (
        (reply(503, b""), None),
        (NoAnswer("cut", sent=True), None),
        (reply(429, b"", {"retry-after": "7"}), 7.0),
    ):
        told = await shop.create_order(Script(("Shop", answer)), draft(), ignore_policy=False)
        assert isinstance(told, Throttled) and told.wait_s == wait_s


def people(buyer: BuyerSeen | None, ship_to: Address | None, **more: Any) -> dict[str, Any]:
    base = draft()
    source = OrderSeen("9", Payment.PAID, (), PLACED, PLACED, buyer=buyer, ship_to=ship_to)
    order = order_input(draft(source=source, **more), "EUR", "amazon")
    assert set(order_input(base, "EUR", "amazon")) >= {"email", "customer", "shippingAddress"}
    check_request({"query": docs.IMPORT_ORDER.text, "variables": {"order": order, "options": None}})
    return {name: order[name] for name in ("email", "customer", "shippingAddress", "phone") if name in order}


def test_a_relay_address_is_contact_but_no_customer() -> None:
    relay = BuyerSeen(name="A", email="x@marketplace.amazon.de", email_is_relay=True, phone="+49")
    assert people(relay, None) == {"email": "x@marketplace.amazon.de"}


def test_S11_2_a_known_customer_is_named_by_id_and_keeps_the_login_he_has() -> None:
    """The relay's address is this order's contact; his own e-mail, name and phone are not touched."""
    relay = BuyerSeen(name="A", email="x@marketplace.amazon.de", email_is_relay=True, phone="+49")
    customer = {"toAssociate": {"id": "gid://shopify/Customer/7"}}
    assert people(relay, None, customer_id="7") == {"email": "x@marketplace.amazon.de", "customer": customer}
    real = BuyerSeen(name="A", email="a@x.com")
    assert people(real, None, customer_id="gid://shopify/Customer/7")["customer"] == customer
    assert people(real, None) == {"email": "a@x.com", "customer": {"toUpsert": {"email": "a@x.com"}}}
    assert people(real, None, customer_id="7", with_customer=False) == {"email": "a@x.com"}


def test_S11_4_consent_is_never_sent() -> None:
    for more in ({}, {"customer_id": "7"}):
        sent = json.dumps(people(BuyerSeen(name="A", email="a@x.com"), Address(phone="+49"), **more)).lower()
        assert not [word for word in ("consent", "marketing", "subscribe") if word in sent]


@pytest.mark.parametrize("email", ["noreply@x.com", "a@members.ebay.com"])
def test_an_address_that_is_nobodys_makes_no_customer(email: str) -> None:
    assert people(BuyerSeen(name="A", email=email), None) == {"email": email}


def test_withheld_people_are_left_out() -> None:
    assert people(None, None) == {}
    assert people(BuyerSeen(channel_buyer_id="b"), Address()) == {}


@pytest.mark.parametrize(
    ("region", "country", "sent"),
    (
        ("CA", "US", {"provinceCode": "CA", "countryCode": "US"}),
        ("US-CA", "us", {"provinceCode": "CA", "countryCode": "US"}),
        ("California", "US", {"province": "California", "countryCode": "US"}),
        (None, "UK", {"countryCode": "GB"}),
        (None, "Germany", {}),
    ),
)
def test_region_and_country(region: str | None, country: str, sent: dict[str, str]) -> None:
    address = Address(city="X", region=region, country=country)
    assert people(None, address) == {"shippingAddress": {"city": "X", **sent}}


async def test_an_order_of_nothing_needs_no_payment() -> None:
    free = draft(lines=(HubLineDraft("1", "42", 1, 0, "Gift", "G"),), shipping_minor=0, discount_minor=0, total_minor=0)
    order = order_input(free, "EUR", "etsy")
    assert order["financialStatus"] == "PAID" and "transactions" not in order
    check_request({"query": docs.IMPORT_ORDER.text, "variables": {"order": order, "options": None}})


def test_a_variable_that_does_not_fit_would_be_seen() -> None:
    if schema("2026-10") is None:
        pytest.skip("the official schemas are not present")
    order = {**order_input(draft(), "EUR", "amazon"), "inventoryBehaviour": "BYPASS"}
    with pytest.raises(AssertionError):
        check_request({"query": docs.IMPORT_ORDER.text, "variables": {"order": order, "options": None}})


CREATE_ERRORS: list[tuple[list[dict[str, Any]], Outcome]] = [
    (errors("INVENTORY_CLAIM_FAILED", "short"), Rejected("short", "INVENTORY_CLAIM_FAILED")),
    (
        errors("INVALID", "Customer does not exist", ["order", "customer", "toAssociate"]),
        Rejected("Customer does not exist", "CUSTOMER_REFUSED"),
    ),
    (
        errors("INVALID", "Email is invalid", ["order", "customer"]) + errors("INVALID", "x", ["order", "lineItems"]),
        Rejected("Email is invalid; x", "INVALID"),
    ),
    (
        errors("INVALID", "Value must be unique", ["order", "metafields", "0", "value"]),
        Rejected("Value must be unique", "KEY_TAKEN"),
    ),
    (
        errors(None, "Metafield value has already been taken"),
        Rejected("Metafield value has already been taken", "KEY_TAKEN"),
    ),
    (
        errors("INVALID", "Too many attempts. Please try again later."),
        Throttled(60.0, "Too many attempts. Please try again later."),
    ),
    (errors("INVALID", "variant not found", ["order", "lineItems", "0"]), Rejected("variant not found", "INVALID")),
    (errors("SHOP_DORMANT", "dormant"), Rejected("dormant", "SHOP_DORMANT")),
    (errors("TAX_LINE_RATE_MISSING", "rate"), Rejected("rate", "TAX_LINE_RATE_MISSING")),
]


@pytest.mark.parametrize(("user_errors", "outcome"), CREATE_ERRORS, ids=[str(o)[:60] for _, o in CREATE_ERRORS])
async def test_refused_copies(user_errors: list[dict[str, Any]], outcome: Outcome) -> None:
    answer = data({"orderCreate": {"order": None, "userErrors": user_errors}})
    assert await SHOPIFY.create_order(Script(("ImportOrder", answer)), draft(), ignore_policy=False) == outcome


@pytest.mark.parametrize(
    "answer",
    (
        NoAnswer("timed out", sent=True),
        reply(502, b"<html>"),
        reply(200, {"data": {"orderCreate": None}}),
        reply(200, {"data": {"orderCreate": {"order": None, "userErrors": []}}}),
        reply(
            200,
            {
                "data": {"orderCreate": None},
                "errors": [{"message": "Internal", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}],
            },
        ),
    ),
)
async def test_a_copy_that_may_have_been_made_is_unknown(answer: Response | NoAnswer) -> None:
    outcome = await SHOPIFY.create_order(Script(("ImportOrder", answer)), draft(), ignore_policy=False)
    assert isinstance(outcome, Unknown)


async def test_an_order_beside_an_error_was_made() -> None:
    answer = reply(
        200, {"data": imported(), "errors": [{"message": "no read_customers", "path": ["orderCreate", "order", "x"]}]}
    )
    outcome = await SHOPIFY.create_order(Script(("ImportOrder", answer)), draft(), ignore_policy=False)
    assert isinstance(outcome, Accepted) and outcome.reference == "5600000000001"


# --- cancelling a copy ----------------------------------------------------------------------------------------------------


def cancelled(*user_errors: dict[str, Any]) -> dict[str, Any]:
    job = None if user_errors else {"id": "gid://shopify/Job/1", "done": False}
    return {"orderCancel": {"job": job, "orderCancelUserErrors": list(user_errors)}}


async def test_cancel_starts_a_job() -> None:
    http = Script(("CancelOrder", cancelled()))
    assert await SHOPIFY.cancel_copy(http, "56", "cancelled on Amazon", "k") == Accepted(
        "gid://shopify/Job/1", {"done": False}
    )
    assert http.variables == {
        "orderId": "gid://shopify/Order/56",
        "reason": "OTHER",
        "note": "cancelled on Amazon",
        "notify": False,
    }
    for text in (b"restock: true", b"originalPaymentMethodsRefund: true"):
        assert text in http.requests[0].body


@pytest.mark.parametrize(
    ("reason", "code"), (("inventory", "INVENTORY"), ("CUSTOMER", "CUSTOMER"), ("x" * 300, "OTHER"))
)
async def test_cancel_reasons(reason: str, code: str) -> None:
    http = Script(("CancelOrder", cancelled()))
    await SHOPIFY.cancel_copy(http, "56", reason, "k")
    assert http.variables["reason"] == code and len(http.variables["note"]) <= 255


@pytest.mark.parametrize(("cancelled_at", "kind"), (("2026-11-23T00:00:00Z", Accepted), (None, Rejected)))
async def test_a_refused_cancel_reads_whether_it_was_cancelled_already(cancelled_at: str | None, kind: type) -> None:
    order = {"id": "gid://shopify/Order/56", "cancelledAt": cancelled_at}
    http = Script(("CancelOrder", cancelled(*errors("INVALID"))), ("OrderCancelled", {"order": order}))
    assert type(await SHOPIFY.cancel_copy(http, "56", "x", "k")) is kind
    http.done()


@pytest.mark.parametrize("answer", (reply(503, b""), {"order": None}, NoAnswer("cut", sent=True)))
async def test_a_refused_cancel_stays_refused_when_the_order_can_not_be_read(answer: Any) -> None:
    http = Script(("CancelOrder", cancelled(*errors("NOT_FOUND", "gone"))), ("OrderCancelled", answer))
    assert await SHOPIFY.cancel_copy(http, "56", "x", "k") == Rejected("gone", "NOT_FOUND")


async def test_a_cancel_that_broke_inside_is_unknown() -> None:
    http = Script(("CancelOrder", cancelled(*errors("INTERNAL_ERROR"))))
    assert isinstance(await SHOPIFY.cancel_copy(http, "56", "x", "k"), Unknown)


# --- taking pieces off ----------------------------------------------------------------------------------------------------


def money(amount: str) -> dict[str, Any]:
    return {"presentmentMoney": {"amount": amount, "currencyCode": "EUR"}}


def copy_line(
    number: int, key: str, price: str, quantity: int, open_: int | None = None, **changes: Any
) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/LineItem/{number}",
        "quantity": quantity,
        "currentQuantity": quantity if open_ is None else open_,
        "unfulfilledQuantity": quantity if open_ is None else open_,
        "customAttributes": [{"key": "oneshelf_line_id", "value": key}],
        "originalUnitPriceSet": money(price),
        "discountAllocations": [],
        "taxLines": [],
        **changes,
    }


def copy(lines: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    sale = {
        "id": "gid://shopify/OrderTransaction/70",
        "kind": "SALE",
        "status": "SUCCESS",
        "gateway": "amazon",
        "amountSet": money("44.80"),
    }
    order = {
        "id": "gid://shopify/Order/56",
        "taxesIncluded": True,
        "presentmentCurrencyCode": "EUR",
        "transactions": [sale],
        "refunds": [],
        "lineItems": {"nodes": lines, "pageInfo": PAGE_END},
    }
    return {"part": {**order, **changes}}


def work(*units: tuple[int, int, int], status: str = "OPEN") -> dict[str, Any]:
    """(line, location, pieces) each a fulfilment order."""
    nodes = [
        {
            "id": f"gid://shopify/FulfillmentOrder/{index}",
            "status": status,
            "supportedActions": [{"action": "CREATE_FULFILLMENT"}],
            "assignedLocation": {
                "location": {"id": f"gid://shopify/Location/{location}", "isFulfillmentService": False}
            },
            "lineItems": {
                "nodes": [
                    {
                        "id": f"gid://shopify/FulfillmentOrderLineItem/{index}",
                        "remainingQuantity": pieces,
                        "lineItem": {"id": f"gid://shopify/LineItem/{line}"},
                    }
                ],
                "pageInfo": PAGE_END,
            },
        }
        for index, (line, location, pieces) in enumerate(units)
    ]
    return {"part": {"id": "gid://shopify/Order/56", "fulfillmentOrders": {"nodes": nodes, "pageInfo": PAGE_END}}}


def refunded(*user_errors: dict[str, Any]) -> dict[str, Any]:
    refund = None if user_errors else {"id": "gid://shopify/Refund/9"}
    return {"refundCreate": {"refund": refund, "userErrors": list(user_errors)}}


async def test_pieces_are_taken_off_where_they_lie_and_booked_on_the_imports_sale() -> None:
    http = Script(
        ("CopyLines", copy([copy_line(1, "688", "19.90", 2), copy_line(2, "689", "5.01", 1)])),
        ("Work", work((1, 61, 2), (2, 61, 1))),
        ("RefundPieces", refunded()),
    )
    assert await SHOPIFY.remove_pieces(http, "56", {("688", ""): 1}, "cancelled on Amazon", "key-1") == Accepted(
        "gid://shopify/Refund/9"
    )
    assert http.variables == {
        "key": "key-1",
        "input": {
            "orderId": "gid://shopify/Order/56",
            "currency": "EUR",
            "notify": False,
            "note": "cancelled on Amazon [oneshelf key-1]",
            "refundLineItems": [
                {
                    "lineItemId": "gid://shopify/LineItem/1",
                    "quantity": 1,
                    "restockType": "CANCEL",
                    "locationId": "gid://shopify/Location/61",
                }
            ],
            "transactions": [
                {
                    "orderId": "gid://shopify/Order/56",
                    "kind": "REFUND",
                    "gateway": "amazon",
                    "amount": "19.90",
                    "parentId": "gid://shopify/OrderTransaction/70",
                }
            ],
        },
    }
    assert b"@idempotent(key: $key)" in http.requests[-1].body


async def removal(
    lines: list[dict[str, Any]], work_: dict[str, Any], pieces: dict[str, int], *, sku: str = "", **changes: Any
) -> dict[str, Any]:
    http = Script(("CopyLines", copy(lines, **changes)), ("Work", work_), ("RefundPieces", refunded()))
    assert isinstance(
        await SHOPIFY.remove_pieces(http, "56", {(line, sku): n for line, n in pieces.items()}, "r", "k"), Accepted
    )
    found: dict[str, Any] = http.variables["input"]
    return found


async def test_a_line_that_was_split_for_its_price_gives_from_both() -> None:
    """19.99 for 2 pieces: 10.00 + 9.99 (S14.6)."""
    made = await removal([copy_line(1, "688", "10.00", 1), copy_line(2, "688", "9.99", 1)], work(), {"688": 2})
    assert [(e["lineItemId"][-1], e["quantity"], e.get("locationId")) for e in made["refundLineItems"]] == [
        ("1", 1, None),
        ("2", 1, None),
    ]
    assert made["transactions"][0]["amount"] == "19.99"


async def test_a_bundles_line_gives_of_the_part_that_is_named() -> None:
    """Both lines of the copy name the marketplace's one line (S5.6)."""
    lines = [copy_line(1, "688", "10.00", 2, sku="MUG"), copy_line(2, "688", "5.00", 1, sku="CUP")]
    made = await removal(lines, work(), {"688": 1}, sku="CUP")
    assert [(e["lineItemId"][-1], e["quantity"]) for e in made["refundLineItems"]] == [("2", 1)]


async def test_pieces_at_two_locations_go_back_to_both() -> None:
    made = await removal([copy_line(1, "688", "1.00", 5)], work((1, 61, 2), (1, 62, 3)), {"688": 4})
    assert [(e["locationId"][-2:], e["quantity"]) for e in made["refundLineItems"]] == [("61", 2), ("62", 2)]


async def test_closed_work_names_no_location() -> None:
    made = await removal([copy_line(1, "688", "1.00", 1)], work((1, 61, 1), status="CLOSED"), {"688": 1})
    assert "locationId" not in made["refundLineItems"][0]


async def test_the_share_of_discount_and_tax_goes_with_the_piece() -> None:
    """One of 3 at 10.00, 1.00 off and 5.70 tax on the line: 10.00 − 0.33 + 1.90 = 11.57."""
    changes = {
        "discountAllocations": [{"allocatedAmountSet": money("1.00")}],
        "taxLines": [{"priceSet": money("5.70")}],
    }
    made = await removal([copy_line(1, "688", "10.00", 3, **changes)], work(), {"688": 1}, taxesIncluded=False)
    assert made["transactions"][0]["amount"] == "11.57"


async def test_no_more_is_booked_than_the_sale_has_left() -> None:
    refunds = [{"id": "gid://shopify/Refund/1", "note": "by hand", "totalRefundedSet": money("40.00")}]
    made = await removal([copy_line(1, "688", "19.90", 2)], work(), {"688": 1}, refunds=refunds)
    assert made["transactions"][0]["amount"] == "4.80"


async def test_without_a_sale_no_money_is_booked() -> None:
    assert "transactions" not in await removal([copy_line(1, "688", "19.90", 2)], work(), {"688": 1}, transactions=[])


@pytest.mark.parametrize(
    ("lines", "pieces"),
    (
        ([copy_line(1, "688", "1.00", 2, 1)], {"688": 2}),  # one left: shipped or removed
        ([copy_line(1, "688", "1.00", 2)], {"999": 1}),
        ([copy_line(1, "688", "1.00", 2)], {"688": 0}),
        ([copy_line(1, "688", "1.00", 2), copy_line(2, "689", "1.00", 1, 0)], {"688": 1, "689": 1}),
    ),
)
async def test_what_is_not_there_is_not_taken(lines: list[dict[str, Any]], pieces: dict[str, int]) -> None:
    http = Script(("CopyLines", copy(lines)), ("Work", work()))
    outcome = await SHOPIFY.remove_pieces(http, "56", {(line, ""): n for line, n in pieces.items()}, "r", "k")
    assert isinstance(outcome, Rejected) and outcome.code == "nothing_to_remove"


async def test_a_removal_that_was_done_is_not_done_twice() -> None:
    """The answer was lost; the pieces are gone and the refund carries our key."""
    refunds = [{"id": "gid://shopify/Refund/9", "note": "r [oneshelf k]", "totalRefundedSet": money("19.90")}]
    http = Script(("CopyLines", copy([copy_line(1, "688", "19.90", 2, 1)], refunds=refunds)), ("Work", work()))
    assert await SHOPIFY.remove_pieces(http, "56", {("688", ""): 1}, "r", "k") == Accepted(
        "gid://shopify/Refund/9", {"already": True}
    )
    http.done()


async def test_lines_of_a_long_copy_are_read_to_the_end() -> None:
    first = copy([copy_line(1, "687", "1.00", 1)])
    first["part"]["lineItems"]["pageInfo"] = {"hasNextPage": True, "endCursor": "p"}
    http = Script(
        ("CopyLines", first),
        ("CopyLines", copy([copy_line(2, "688", "2.00", 1)])),
        ("Work", work()),
        ("RefundPieces", refunded()),
    )
    assert isinstance(await SHOPIFY.remove_pieces(http, "56", {("688", ""): 1}, "r", "k"), Accepted)
    assert http.bodies[1]["variables"]["cursor"] == "p"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    (
        ({"part": None}, Rejected("the hub shows no order 56", "NOT_FOUND")),
        (reply(429, b"", {"retry-after": "2"}), Throttled(2.0, "HTTP 429")),
        (NoAnswer("cut", sent=True), Throttled),
        (reply(403, b""), Rejected),
        (reply(200, payload("throttled.json")), Throttled),
    ),
)
async def test_a_copy_that_can_not_be_read_loses_nothing(answer: Any, outcome: Any) -> None:
    found = await SHOPIFY.remove_pieces(Script(("CopyLines", answer)), "56", {"688": 1}, "r", "k")
    assert found == outcome if not isinstance(outcome, type) else isinstance(found, outcome)


@pytest.mark.parametrize(
    ("answer", "kind"),
    ((refunded(*errors(None, "no")), Rejected), (reply(500, b""), Unknown), (data({"refundCreate": None}), Unknown)),
)
async def test_refused_removal(answer: Any, kind: type) -> None:
    http = Script(("CopyLines", copy([copy_line(1, "688", "1.00", 1)])), ("Work", work()), ("RefundPieces", answer))
    assert type(await SHOPIFY.remove_pieces(http, "56", {("688", ""): 1}, "r", "k")) is kind


# --- money ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    (
        ("19.90", "EUR", 1990),
        ("19.9", "EUR", 1990),
        (19.9, "USD", 1990),
        ("1980", "JPY", 1980),
        ("1980.0", "jpy", 1980),
        ("1.005", "KWD", 1005),
        ("0.005", "EUR", 1),
        ("-0.01", "EUR", -1),
        ("NaN", "EUR", None),
        ("ten", "EUR", None),
        (True, "EUR", None),
    ),
)
def test_minor_units(amount: object, currency: str, minor: int | None) -> None:
    assert to_minor(amount, currency) == minor


def test_amounts_go_out_with_their_decimals() -> None:
    assert [to_text(5, c) for c in ("EUR", "JPY", "KWD")] == ["0.05", "5", "0.005"]
    assert converted(1990, "EUR", "JPY", Decimal("163.17")) == 3247  # 19.90 × 163.17 = 3247.083
