"""Shopify: what happens to a copy after it was made, prices, sign-in, and what a check finds. Beside the emulated shop."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from shopify_script import NOW, Script, reply
from test_wire import bought, listings_of
from wire import Wire

from oneshelf.channels.abilities import (
    Cancels,
    ChangesCopy,
    Checks,
    CopyChange,
    FollowsCatalogue,
    FulfilsCopy,
    Parcel,
    PriceOffer,
    Prices,
    SignInWish,
    SignsIn,
)
from oneshelf.channels.contract import Finding, HubLineDraft, HubOrderDraft, NoAnswer, Outlet, Secret
from oneshelf.channels.shopify import SIGN_IN, connect
from oneshelf.channels.shopify.later import changed_fields, choose_work
from oneshelf.core.errors import Park, Retry, SignInAgain
from oneshelf.core.facts import Address, Money, OrderSeen, Payment
from oneshelf.core.ids import ChannelName
from oneshelf.core.outcome import Accepted, Rejected, Throttled
from oneshelf_emulator.shopify.records import MetafieldDefinition

JANE = Address(name="Jane Roe", line1="1 Elm St", city="Springfield", region="IL", postal_code="62701", country="US")


async def copied(wire: Wire, pieces: int = 2, lines: int = 0) -> tuple[Any, str]:
    """A copy of a marketplace order of `pieces`, or of so many lines of one, with its fulfilment order."""
    hub: Any = wire.channel
    found = (await listings_of(wire))[0]
    assert (await hub.ensure_order_key(wire)).ok
    seen = OrderSeen("902-1", Payment.PAID, (), wire.clock.now(), wire.clock.now())
    draft = HubOrderDraft(
        external_key="amazon:A1:902-1",
        channel=ChannelName.AMAZON,
        marketplace_order_id="902-1",
        currency="USD",
        lines=tuple(
            HubLineDraft(f"L{n}", str(found.extra["variant_id"]), 1 if lines else pieces, 1000, "Mug", str(found.sku))
            for n in range(1, max(1, lines) + 1)
        ),
        shipping_minor=0,
        discount_minor=0,
        total_minor=1000 * (lines or pieces),
        placed_at=wire.clock.now(),
        source=seen,
    )
    made = await hub.create_order(wire, draft, ignore_policy=True)
    assert isinstance(made, Accepted) and made.reference
    wire.pass_time()
    return hub, made.reference


def parcel(wire: Wire, units: dict[str, int], **more: Any) -> Parcel:
    return Parcel("P1", units, wire.clock.now(), "UPS", "1Z999AA10123456784", **more)


async def fact_of(wire: Wire, order_id: str) -> OrderSeen:
    message = await wire.channel.fetch_order(wire, order_id)
    assert message is not None
    (seen,) = wire.channel.parse(message)
    assert isinstance(seen, OrderSeen)
    return seen


def test_the_shop_has_these_abilities() -> None:
    shop = connect({"shop": "demo"})
    for ability in (Cancels, Checks, FollowsCatalogue, Prices, ChangesCopy, FulfilsCopy):
        assert isinstance(shop, ability), ability.__name__
    assert isinstance(SIGN_IN, SignsIn)


# --- later changes --------------------------------------------------------------------------------------------------------


async def test_S14_7_what_the_marketplace_said_later_stands_on_the_copy_once() -> None:
    wire = Wire("shopify")
    hub, order_id = await copied(wire)
    change = CopyChange(ship_to=JANE, email="jane@example.com", notes=("Amazon: gift",), tags=("buyer asks to cancel",))
    assert await hub.change_copy(wire, order_id, change, "k") == Accepted(order_id)
    again = await hub.change_copy(wire, order_id, change, "k")
    assert again == Accepted(order_id, {"already": True})
    seen = await fact_of(wire, order_id)
    assert seen.ship_to is not None and seen.ship_to.line1 == "1 Elm St"


def test_a_change_adds_to_what_the_merchant_wrote_and_takes_nothing_away() -> None:
    order = {"note": "call first", "tags": ["VIP"], "email": "old@example.com", "phone": None, "shippingAddress": None}
    change = CopyChange(notes=("Etsy: gift",), tags=("vip", "gift"), phone="+1 555 0100")
    assert changed_fields(order, change) == {
        "note": "call first\nEtsy: gift",
        "tags": ["VIP", "gift"],
        "phone": "+1 555 0100",
    }
    assert changed_fields(order, CopyChange()) == {}


def test_a_long_note_of_the_merchants_keeps_its_beginning() -> None:
    long = "x" * 4_995
    assert changed_fields({"note": long}, CopyChange(notes=("Etsy: gift",)))["note"] == long + "\nEtsy"
    assert changed_fields({"note": "x" * 5_000}, CopyChange(notes=("Etsy: gift",))) == {}


async def test_a_copy_that_is_not_there_can_not_be_changed() -> None:
    wire = Wire("shopify")
    hub: Any = wire.channel
    outcome = await hub.change_copy(wire, "99", CopyChange(notes=("a",)), "k")
    assert isinstance(outcome, Rejected) and outcome.code == "NOT_FOUND"


# --- shipped at the marketplace first ----------------------------------------------------------------------------------------


async def test_S10_6_a_copy_is_fulfilled_piece_by_piece_and_never_beyond_what_is_open() -> None:
    wire = Wire("shopify")
    hub, order_id = await copied(wire, pieces=2)
    assert isinstance(await hub.fulfil_copy(wire, order_id, parcel(wire, {"L1": 1})), Accepted)
    wire.pass_time(600)
    seen = await fact_of(wire, order_id)
    assert [line.shipped for line in seen.lines] == [1]
    assert [one.tracking_number for one in seen.shipments] == ["1Z999AA10123456784"]
    refused = await hub.fulfil_copy(wire, order_id, parcel(wire, {"L1": 2}))
    assert isinstance(refused, Rejected) and refused.code == "not_open"
    assert isinstance(await hub.fulfil_copy(wire, order_id, parcel(wire, {"L1": 1})), Accepted)
    wire.pass_time(600)
    assert [line.shipped for line in (await fact_of(wire, order_id)).lines] == [2]


def work(location: str, status: str, service: bool = False, **open_pieces: int) -> dict[str, Any]:
    nodes = [
        {"id": f"gid://shopify/FulfillmentOrderLineItem/{location}{line}", "remainingQuantity": count,
         "lineItem": {"id": f"gid://shopify/LineItem/{line[1:]}"}}
        for line, count in open_pieces.items()
    ]  # fmt: skip
    place = {"location": {"id": f"gid://shopify/Location/{location}", "isFulfillmentService": service}}
    actions = {"OPEN": ["CREATE_FULFILLMENT", "MOVE"], "ON_HOLD": ["RELEASE_HOLD"]}
    return {
        "id": f"gid://shopify/FulfillmentOrder/{location}",
        "status": status,
        "supportedActions": [{"action": name} for name in actions.get(status, [])],
        "assignedLocation": place,
        "lineItems": {"nodes": nodes},
    }


def hub_line(number: int, marketplace_line: str) -> dict[str, Any]:
    attributes = [{"key": "_oneshelf_line", "value": marketplace_line}]
    return {"id": f"gid://shopify/LineItem/{number}", "customAttributes": attributes}


def test_a_parcel_leaves_from_one_location_that_has_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    from oneshelf.channels.shopify.form import LINE_KEY

    lines = [hub_line(1, "A"), hub_line(2, "A"), hub_line(3, "B")]
    for line in lines:
        line["customAttributes"][0]["key"] = LINE_KEY
    there = [work("1", "OPEN", l1=1), work("2", "OPEN", l1=1, l2=1, l3=5), work("3", "CLOSED", l3=9)]
    chosen = choose_work(lines, there, {"A": 2, "B": 1})
    assert chosen is not None
    assert [one["fulfillmentOrderId"] for one in chosen] == ["gid://shopify/FulfillmentOrder/2"]
    assert [item["quantity"] for item in chosen[0]["fulfillmentOrderLineItems"]] == [1, 1, 1]
    assert choose_work(lines, there, {"A": 3}) is None
    assert choose_work(lines, [work("1", "ON_HOLD", l1=1)], {"A": 1}) is None
    assert choose_work(lines, there, {"Z": 1}) is None
    assert choose_work(lines, [work("4", "IN_PROGRESS", l3=1)], {"B": 1}) is None, "no action that allows it"
    assert choose_work(lines, [work("5", "OPEN", service=True, l3=1)], {"B": 1}) is None, "another app's service"


async def test_quirk_of_2024_10_what_lies_at_another_apps_service_is_not_fulfilled_by_us() -> None:
    wire = Wire("shopify")
    hub, order_id = await copied(wire, pieces=2)
    wire.market.console("add_location", name="Their warehouse", service=True)
    wire.market.console("move_fulfilment_order", order=order_id, location="Their warehouse", lines=None)
    wire.pass_time(600)
    refused = await hub.fulfil_copy(wire, order_id, parcel(wire, {"L1": 2}))
    assert isinstance(refused, Rejected) and refused.code == "not_ours"
    assert "enter the parcel there" in refused.reason
    assert [line.shipped for line in (await fact_of(wire, order_id)).lines] == [0]


async def test_a_fulfilment_order_of_more_lines_than_a_page_is_fulfilled_whole() -> None:
    """60 marketplace lines: the first page of a fulfilment order has 40."""
    wire = Wire("shopify")
    hub, order_id = await copied(wire, lines=60)
    units = {f"L{n}": 1 for n in range(1, 61)}
    assert isinstance(await hub.fulfil_copy(wire, order_id, parcel(wire, units)), Accepted)
    wire.pass_time(600)
    assert [line.shipped for line in (await fact_of(wire, order_id)).lines] == [1] * 60


async def test_S5_6_a_piece_of_a_line_beyond_the_first_page_is_given_back_where_it_lies() -> None:
    wire = Wire("shopify")
    hub, order_id = await copied(wire, lines=60)
    place = next(iter((await fact_of(wire, order_id)).locations.values()))
    told: list[Any] = []

    class Listening:
        async def request(self, request: Any) -> Any:
            told.append(json.loads(request.body)["variables"])
            return await wire.request(request)

    key = "5d8a5e0a-43f1-5a3e-9f5e-3a0b1a4b7f10"
    assert isinstance(await hub.remove_pieces(Listening(), order_id, {("L55", ""): 1}, "cancelled", key), Accepted)
    (entry,) = told[-1]["input"]["refundLineItems"]
    assert entry["locationId"] in place


async def test_S10_4_all_tracking_numbers_and_the_address_arrive_and_are_told_back() -> None:
    wire = Wire("shopify")
    hub, order_id = await copied(wire)
    numbers = {"more_tracking_numbers": ("1Z999AA10123456785",), "tracking_url": "https://track.example/1Z?a=b"}
    assert isinstance(await hub.fulfil_copy(wire, order_id, parcel(wire, {"L1": 2}, **numbers)), Accepted)
    wire.pass_time(600)
    (seen,) = (await fact_of(wire, order_id)).shipments
    assert (seen.tracking_number, seen.more_tracking_numbers) == ("1Z999AA10123456784", ("1Z999AA10123456785",))
    assert seen.tracking_url == "https://track.example/1Z?a=b"


# --- prices ---------------------------------------------------------------------------------------------------------------------


async def test_prices_of_two_products_are_two_calls_and_each_is_seen() -> None:
    wire = Wire("shopify")
    shop: Any = wire.channel
    outlets = [Outlet(one.outlet_external_id, one.write_unit, one.extra) for one in (await listings_of(wire))[:2]]
    seen = await shop.read_prices(wire, outlets)
    higher = [Money(one.price.minor + 100, "USD") for one in seen]
    offers = [
        PriceOffer(outlet, price, compare_at=Money(99_900, "USD"))
        for outlet, price in zip(outlets, higher, strict=True)
    ]
    assert all(isinstance(one, Accepted) for one in await shop.publish_prices(wire, offers))
    again = await shop.read_prices(wire, outlets)
    assert [(one.price, one.compare_at) for one in again] == [(price, Money(99_900, "USD")) for price in higher]


@pytest.mark.parametrize(
    ("price", "code"),
    [(Money(0, "USD"), "not_a_price"), (Money(-5, "USD"), "not_a_price"), (Money(5, "EUR"), "currency")],
)
async def test_a_price_that_is_none_is_never_sent(price: Money, code: str) -> None:
    shop = connect({"shop": "demo", "currency": "USD"})
    outlet = Outlet("i", "i", {"variant_id": "gid://shopify/ProductVariant/1", "product_id": "gid://shopify/Product/1"})
    (outcome,) = await shop.publish_prices(Script(), [PriceOffer(outlet, price)])
    assert isinstance(outcome, Rejected) and outcome.code == code


async def test_a_variant_that_is_gone_asks_nothing() -> None:
    wire = Wire("shopify")
    shop: Any = wire.channel
    (seen,) = await shop.read_prices(wire, [Outlet("x", "x", {"variant_id": "gid://shopify/ProductVariant/404"})])
    assert (seen.price, seen.state) == (None, "gone")


# --- what a check finds ----------------------------------------------------------------------------------------------------------


async def test_a_shop_in_order_has_nothing_to_do_and_one_without_subscriptions_is_told_each() -> None:
    wire = Wire("shopify")
    shop: Any = wire.channel
    address = "https://shelf.example/webhooks/shopify"
    assert (await shop.ensure_order_key(wire)).ok
    before = await shop.check(wire, address, wire.app_secret)
    assert {one.code for one in before if not one.ok} == {"subscription"}
    await shop.subscribe(wire, address, wire.app_secret)
    after = await shop.check(wire, address, wire.app_secret)
    assert [one for one in after if not one.ok] == []
    moved = await shop.check(wire, "https://elsewhere.example/webhooks/shopify", {})
    assert {(one.code, one.which) for one in moved if not one.ok} >= {
        ("callback", address),
        ("feature", "webhook_secret"),
    }


async def check(wire: Wire) -> dict[str, Finding]:
    """The findings of this shop that ask for something, by what they are about."""
    shop: Any = wire.channel
    found = await shop.check(wire, "https://shelf.example/webhooks/shopify", wire.app_secret)
    return {one.which: one for one in found if not one.ok and one.code != "subscription"}


async def test_a_check_finds_the_missing_key_of_copies_and_one_of_another_type() -> None:
    wire = Wire("shopify")
    assert "connect the shop again" in (await check(wire))["order_key"].todo
    shop: Any = wire.channel
    assert (await shop.ensure_order_key(wire)).ok
    assert "order_key" not in await check(wire)
    wire.market.store.all(MetafieldDefinition)[0].type_name = "single_line_text_field"
    assert "single_line_text_field instead of id" in (await check(wire))["order_key"].todo


async def test_a_check_finds_a_development_store_that_is_not_paced() -> None:
    wire = Wire("shopify")
    assert "new_orders" not in await check(wire)
    wire.market.switches["orders_per_minute"] = 5
    slow = (await check(wire))["new_orders"]
    assert (slow.code, "plan = development" in slow.todo) == ("quota", True)
    wire.channel = connect({**wire.settings, "plan": "development"})
    assert "new_orders" not in await check(wire)
    wire.market.switches["orders_per_minute"] = None
    assert "take the setting plan away" in (await check(wire))["new_orders"].todo


@pytest.mark.parametrize("how", ("error", "null"))
async def test_quirk_protected_customer_data_is_told_as_an_error_or_as_null_and_stops_nothing(how: str) -> None:
    wire = Wire("shopify")
    order_id = bought(wire, [str((await listings_of(wire))[0].sku)])
    assert "customer_data" not in await check(wire)
    wire.market.switches["protected_data"] = how
    assert "protected customer data" in (await check(wire))["customer_data"].todo
    seen = await fact_of(wire, order_id)
    assert seen.lines[0].ordered == 1
    assert seen.buyer is None or (seen.buyer.name, seen.buyer.email) == (None, None)
    assert seen.ship_to is None or (seen.ship_to.name, seen.ship_to.line1) == (None, None)


async def test_a_check_warns_before_the_refresh_token_ends() -> None:
    wire = Wire("shopify")
    await wire.channel.who(wire)  # an access token is at hand: nothing is renewed below
    soon, late = (wire.clock.now() + timedelta(days=days) for days in (10, 60))
    for ends_at, named in ((soon, True), (late, False)):
        values = {**wire.secret.values, "refresh_token": "r", "refresh_token_expires_at": ends_at.isoformat()}
        wire.secret = Secret(values, wire.secret.expires_at, wire.secret.version)
        found = await check(wire)
        assert ("refresh_token" in found) is named


async def test_a_check_without_the_scope_for_orders_names_the_scope_and_goes_on() -> None:
    wire = Wire("shopify")
    wire.market.console("set_scopes", scopes=["read_products", "read_inventory", "read_locations"])
    wire.market.console("expire_tokens")
    found = await check(wire)
    assert {"read_orders", "write_inventory"} <= set(found)


# --- signing in ------------------------------------------------------------------------------------------------------------------

APP = {"client_id": "id", "client_secret": "shpss_secret"}
WISH = SignInWish({"shop": "demo"}, APP, "https://shelf.example/connect/shopify/callback", "state-1", "v" * 43)


def callback(secret: str = "shpss_secret", **changes: str) -> dict[str, str]:
    query = {
        "code": "c0de",
        "shop": "demo.myshopify.com",
        "state": "state-1",
        "timestamp": str(int(NOW.timestamp())),
        "host": "YWRtaW4=",
        **changes,
    }
    text = "&".join(f"{name}={value}" for name, value in sorted(query.items()))
    return {**query, "hmac": hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}


def test_the_merchant_is_sent_to_his_own_shop_with_every_scope() -> None:
    url = urlsplit(SIGN_IN.consent_url(WISH))
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (url.netloc, url.path) == ("demo.myshopify.com", "/admin/oauth/authorize")
    assert query["redirect_uri"] == WISH.redirect_uri and query["state"] == "state-1"
    assert "write_inventory" in query["scope"].split(",")


def test_a_callback_of_shopify_is_taken() -> None:
    assert SIGN_IN.code(WISH, callback(), NOW) == "c0de"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (callback(secret="another"), "not signed"),
        ({**callback(), "code": "stolen"}, "not signed"),
        (callback(state="state-2"), "another sign-in"),
        (callback(shop="other.myshopify.com"), "another shop"),
        (callback(timestamp=str(int(NOW.timestamp()) - 91)), "too old"),
        (callback(timestamp="soon"), "too old"),
        (callback(code=""), "no code"),
        ({}, "not signed"),
    ],
)
def test_any_other_callback_is_refused_with_what_to_do(query: dict[str, str], words: str) -> None:
    with pytest.raises(Park, match=words):
        SIGN_IN.code(WISH, query, NOW)


@pytest.mark.parametrize("shop", ["", "demo.example.com", "../evil"])
def test_what_is_no_shop_is_named(shop: str) -> None:
    with pytest.raises(Park, match="is no shop"):
        SIGN_IN.consent_url(SignInWish({"shop": shop}, APP, "https://x", "s", "v"))


async def test_the_code_is_traded_for_an_expiring_token_with_its_refresh_token() -> None:
    answer = {
        "access_token": "shpat_1",
        "scope": "x",
        "expires_in": 3600,
        "refresh_token": "shprt_1",
        "refresh_token_expires_in": 7776000,
    }
    http = Script(("oauth_token", reply(200, answer)))
    signed = await SIGN_IN.signed_in(http, WISH, callback(), NOW)
    assert signed.settings == {"shop": "demo.myshopify.com"}
    assert signed.secret.expires_at == NOW + timedelta(hours=1)
    assert {name: signed.secret.values[name] for name in ("access_token", "refresh_token", "client_id")} == {
        "access_token": "shpat_1",
        "refresh_token": "shprt_1",
        "client_id": "id",
    }
    (request,) = http.requests
    assert request.bare and request.url == "https://demo.myshopify.com/admin/oauth/access_token"
    assert b'"expiring":"1"' in request.body


async def test_a_code_that_is_refused_begins_anew_and_one_without_answer_may_be_tried_again() -> None:
    with pytest.raises(Park):
        await SIGN_IN.signed_in(
            Script(("oauth_token", reply(400, {"error": "invalid_request"}))), WISH, callback(), NOW
        )
    with pytest.raises(Retry):
        await SIGN_IN.signed_in(Script(("oauth_token", reply(503, b"<html>"))), WISH, callback(), NOW)


async def test_nothing_is_sent_when_the_copy_can_not_be_read() -> None:
    shop = connect({"shop": "demo", "currency": "USD"})
    silent = NoAnswer("timed out", sent=True)
    told = await shop.change_copy(Script(("CopyFace", silent)), "1", CopyChange(notes=("a",)), "k")
    assert isinstance(told, Throttled) and told.wait_s is None  # whoever asks waits longer each time
    parcel_ = Parcel("P", {"L1": 1}, NOW)
    assert isinstance(await shop.fulfil_copy(Script(("CopyLines", silent)), "1", parcel_), Throttled)


async def test_an_embedded_pages_session_token_is_exchanged_once_for_a_token_that_rotates() -> None:
    wire = Wire("shopify")
    token = wire.market.console("session_token")["session_token"]
    keys = {name: wire.secret.values[name] for name in ("client_id", "client_secret")}
    wire.secret = Secret({**keys, "session_token": token})
    assert (await wire.channel.who(wire)).external_id == "oneshelf-emulated.myshopify.com"
    first = wire.secret.values
    assert first["access_token"] and first["refresh_token"] and "session_token" not in first
    wire.clock.advance(3600)
    assert (await wire.channel.who(wire)).external_id
    assert wire.secret.values["refresh_token"] != first["refresh_token"]


async def test_a_session_token_that_is_over_says_so() -> None:
    wire = Wire("shopify")
    token = wire.market.console("session_token")["session_token"]
    keys = {name: wire.secret.values[name] for name in ("client_id", "client_secret")}
    wire.secret = Secret({**keys, "session_token": token})
    wire.clock.advance(61)
    with pytest.raises(SignInAgain, match="lives one minute") as raised:
        await wire.channel.who(wire)
    assert token not in str(raised.value)
