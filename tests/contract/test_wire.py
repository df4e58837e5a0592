"""Every request that a connector makes and every answer of its emulated marketplace, against the official documents.

One walk a channel through everything that it can do (`walk`); what it can do is asked of the connector, so that a new ability is
walked without a change here. Where the documents are absent the walk is made all the same, unjudged.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from official import PRESENT, Judge
from wire import CALLBACK, Wire

from oneshelf.channels.abilities import (
    Cancels,
    CancelWish,
    Checks,
    CopyChange,
    FollowsCatalogue,
    Migrates,
    Parcel,
    PriceOffer,
    Prices,
    Ships,
)
from oneshelf.channels.contract import (
    CataloguePage,
    Cursor,
    ExportState,
    Hub,
    HubLineDraft,
    HubOrderDraft,
    ListingFound,
    Move,
    Offer,
    Outlet,
    RawMessage,
    Request,
    Response,
    Unmanaged,
)
from oneshelf.core.facts import Money, OrderSeen, Payment
from oneshelf.core.ids import ChannelName
from oneshelf.core.outcome import Accepted, Rejected

NAMES = ("shopify", "amazon", "ebay", "etsy")


async def listings_of(wire: Wire) -> list[ListingFound]:
    found: list[ListingFound] = []
    cursor: dict[str, Any] | None = None
    while True:
        page: CataloguePage = await wire.channel.catalogue(wire, cursor)
        found += page.listings
        cursor = page.cursor
        wire.pass_time(page.again_in_s)
        if cursor is None:
            return found


async def news_since(wire: Wire, cursor: Cursor) -> list[RawMessage]:
    """One whole run of the feed."""
    messages: list[RawMessage] = []
    while True:
        page = await wire.channel.fetch(wire, cursor, wire.clock.now())
        messages += page.messages
        cursor = page.cursor
        if cursor.run is None:
            return messages


def outlet_of(listing: ListingFound) -> Outlet:
    return Outlet(listing.outlet_external_id, listing.write_unit, listing.extra)


def bought(wire: Wire, skus: list[str]) -> str:
    """Somebody buys one of each; return the order's id once the marketplace has done with it."""
    before = {order["id"] for order in wire.market.orders()}
    assert wire.market.buy(wire.buyer(), dict.fromkeys(skus, 1)) is not None
    wire.pass_time()
    (new,) = {order["id"] for order in wire.market.orders()} - before
    return str(new)


async def order(wire: Wire, order_id: str) -> OrderSeen:
    message = await wire.channel.fetch_order(wire, order_id)
    assert message is not None
    (fact,) = [fact for fact in wire.channel.parse(message) if isinstance(fact, OrderSeen)]
    return fact


async def walk(wire: Wire) -> None:
    """1. Who, subscriptions, check.  2. Catalogue and numbers.  3. Orders.  4. Each ability.  5. The hub's own."""
    channel = wire.channel
    assert (await channel.who(wire)).external_id
    await channel.subscribe(wire, CALLBACK[wire.name], wire.app_secret)
    if isinstance(channel, Checks):
        await channel.check(wire, CALLBACK[wire.name], wire.app_secret)
        wire.pass_time()  # a check takes several calls, the catalogue more: no limiter paces them here
    found = [one for one in await listings_of(wire) if not one.fulfilled_by_channel and one.sku]
    assert found
    since = wire.clock.now()
    if isinstance(channel, Hub):
        await walk_hub(wire, found)
    else:
        await walk_numbers(wire, found)
    order_id = bought(wire, [str(found[0].sku), str(found[1].sku)])
    heard = await news_since(wire, Cursor(since=since - timedelta(minutes=5)))
    assert order_id in {f.order_id for m in heard for f in channel.parse(m) if isinstance(f, OrderSeen)}
    if isinstance(channel, FollowsCatalogue):
        hinted = str(found[2].extra.get("product_id") or found[2].write_unit)
        assert found[2].outlet_external_id in {
            one.outlet_external_id for one in await channel.listings_of(wire, hinted)
        }
    if isinstance(channel, Prices):
        await walk_prices(wire, found)
    if isinstance(channel, Ships):
        await walk_shipments(wire, await order(wire, order_id))
    if isinstance(channel, Migrates):
        await walk_migration(wire)
    if isinstance(channel, Cancels):
        await walk_cancel(wire, await order(wire, bought(wire, [str(found[3].sku)])))
        if channel.cancels.how != "person" and channel.cancels.lines:
            two = await order(wire, bought(wire, [str(found[3].sku), str(found[4].sku)]))
            await walk_cancel(wire, two, lines=1)


async def walk_numbers(wire: Wire, found: list[ListingFound]) -> None:
    channel = wire.channel
    outlet = outlet_of(found[0])
    (seen,) = await channel.read(wire, [outlet])
    assert seen.quantity is not None
    for quantity in (seen.quantity + 1, 0, 4):
        (seen,) = await channel.read(wire, [outlet])
        (outcome,) = await channel.publish(wire, [Offer(outlet, quantity, seen)])
        assert isinstance(outcome, Accepted), outcome
        wire.pass_time()
        (after,) = await channel.read(wire, [outlet])
        assert after.quantity == quantity
    await channel.read(wire, [outlet_of(one) for one in found[: channel.can.read_batch]])


async def walk_migration(wire: Wire) -> None:
    """What was made in Seller Hub is told, brought over, and then found as any other; what can't be is refused by itself."""
    channel: Any = wire.channel
    console = wire.market.console
    console("list_in_seller_hub", sku="HUB-SHIRT", sizes=["S", "M"], quantity=3)
    console("list_in_seller_hub", sku="HUB-BARE", named=False)
    unmanaged = await unmanaged_of(wire)
    (shirt,) = [one for one in unmanaged if one.skus]
    (bare,) = [one for one in unmanaged if one.problem]
    assert shirt.skus == ("HUB-SHIRT-S", "HUB-SHIRT-M")
    outcomes = await channel.migrate(wire, [bare.listing_id, shirt.listing_id])
    assert [type(one) for one in outcomes] == [Rejected, Accepted]
    assert [one.listing_id for one in await unmanaged_of(wire)] == [bare.listing_id]
    assert {"HUB-SHIRT-S", "HUB-SHIRT-M"} <= {one.sku for one in await listings_of(wire)}


async def unmanaged_of(wire: Wire) -> tuple[Unmanaged, ...]:
    cursor: dict[str, Any] | None = None
    while True:
        page = await wire.channel.catalogue(wire, cursor)
        if page.again_in_s:
            wire.pass_time(page.again_in_s)
        cursor = page.cursor
        if cursor is None:
            assert page.unmanaged is not None
            return page.unmanaged


async def walk_prices(wire: Wire, found: list[ListingFound]) -> None:
    channel: Any = wire.channel
    outlet = outlet_of(found[4])
    (seen,) = await channel.read_prices(wire, [outlet])
    assert seen.price is not None and seen.price.minor > 0
    shown = await channel.read(wire, [outlet]) if wire.name != "shopify" else []
    new = Money(seen.price.minor + 150, seen.price.currency)
    quantity = shown[0].quantity if channel.prices.carries_quantity else None
    (outcome,) = await channel.publish_prices(wire, [PriceOffer(outlet, new, quantity=quantity, seen=seen)])
    assert isinstance(outcome, Accepted), outcome
    wire.pass_time()
    (after,) = await channel.read_prices(wire, [outlet])
    assert after.price == new
    if shown:
        (still,) = await channel.read(wire, [outlet])
        assert still.quantity == shown[0].quantity, "a price undoes no number"


async def walk_shipments(wire: Wire, seen: OrderSeen) -> None:
    channel: Any = wire.channel
    units = {line.line_id: line.ordered for line in seen.lines}
    if channel.ships.partial:
        units = {seen.lines[0].line_id: 1}
    known = {"marketplace_id": seen.marketplace_id}
    parcel = Parcel("gid://shopify/Fulfillment/901", units, wire.clock.now(), "UPS", "1Z999AA10123456784")
    outcome = await channel.ship(wire, seen.order_id, parcel, known)
    assert isinstance(outcome, Accepted), outcome
    wire.pass_time()
    (told,) = await channel.shipments(wire, seen.order_id)
    assert told.tracking_number == "1Z999AA10123456784"
    again = await order(wire, seen.order_id)
    assert sum(line.shipped for line in again.lines) == sum(units.values())


async def walk_cancel(wire: Wire, seen: OrderSeen, lines: int | None = None) -> None:
    """Cancel the order, or its first `lines`."""
    channel: Any = wire.channel
    chosen = seen.lines[:lines]
    wish = CancelWish(
        order_id=seen.order_id,
        lines={line.line_id: line.ordered for line in chosen},
        whole=lines is None,
        key=f"6f1c1f60-4f4c-5f6e-9d52-6a8b0f9b6a1{lines or 0}",
        known={"marketplace_id": seen.marketplace_id},
    )
    outcome = await channel.cancel(wire, wish)
    if channel.cancels.how == "person":
        assert isinstance(outcome, Rejected) and outcome.code == "person"
        assert channel.cancel_link(seen.order_id).startswith("https://")
        return
    assert isinstance(outcome, Accepted), outcome
    wire.pass_time()
    assert (await channel.cancel_state(wire, wish, outcome.reference)).state == "done"
    again = await order(wire, seen.order_id)
    gone = {line.line_id for line in chosen}
    assert again.cancelled or all((line.cancelled == line.ordered) is (line.line_id in gone) for line in again.lines)


async def walk_hub(wire: Wire, found: list[ListingFound]) -> None:
    hub: Any = wire.channel
    place = next(one for one in await hub.locations(wire) if one.active)
    item = str(found[0].extra["item_id"])
    (level,) = [one for one in await hub.levels(wire, [item]) if one.location_id == place.location_id]
    for export, read in (
        (hub.start_levels_export, hub.levels_export),
        (hub.start_catalogue_export, hub.catalogue_export),
    ):
        state = await export(wire)
        assert isinstance(state, ExportState)
        wire.pass_time()
        state = await hub.export_state(wire, state.export_id)
        assert state.status == "done"
        assert [one async for batch in read(wire, state) for one in batch]
    key = "0f7b0b0e-2f1c-5b6e-8f0e-0d4f6e5c2a1{}"
    for n, hold in enumerate((True, False)):
        move = Move(item, place.location_id, 1, hold)
        assert isinstance(await hub.move(wire, [move], key.format(n), "gid://oneshelf/Moves/1"), Accepted)
    counted = await hub.set_on_hand(
        wire, item, place.location_id, level.on_hand + 2, level.on_hand, key.format(2), "gid://oneshelf/Count/1"
    )
    assert isinstance(counted, Accepted), counted
    assert (await hub.ensure_order_key(wire)).ok
    await walk_copy(wire, found[0])


async def walk_copy(wire: Wire, listing: ListingFound) -> None:
    """A marketplace order's copy: made, found, changed, one piece taken off, the other sent with two tracking numbers."""
    hub: Any = wire.channel
    now = wire.clock.now()
    draft = HubOrderDraft(
        external_key="amazon:A1:902-7",
        channel=ChannelName.AMAZON,
        marketplace_order_id="902-7",
        currency="USD",
        lines=(HubLineDraft("L1", str(listing.extra["variant_id"]), 2, 1000, "Mug", str(listing.sku)),),
        shipping_minor=0,
        discount_minor=0,
        total_minor=2000,
        placed_at=now,
        source=OrderSeen("902-7", Payment.PAID, (), now, now),
    )
    made = await hub.create_order(wire, draft, ignore_policy=True)
    assert isinstance(made, Accepted) and made.reference
    wire.pass_time()
    copy = await hub.find_copy(wire, draft.external_key)
    assert copy is not None and copy.hub_order_id == made.reference
    change = CopyChange(notes=("Amazon: gift",), tags=("gift",))
    assert isinstance(await hub.change_copy(wire, made.reference, change, "k"), Accepted)
    key = "0f7b0b0e-2f1c-5b6e-8f0e-0d4f6e5c2a17"
    assert isinstance(await hub.remove_pieces(wire, made.reference, {("L1", ""): 1}, "cancelled", key), Accepted)
    numbers = {"tracking_url": "https://track.example/1Z", "more_tracking_numbers": ("1Z999AA10123456785",)}
    parcel = Parcel("P1", {"L1": 1}, now, "UPS", "1Z999AA10123456784", **numbers)  # type: ignore[arg-type]
    assert isinstance(await hub.fulfil_copy(wire, made.reference, parcel), Accepted)
    wire.pass_time()
    (line,) = (await order(wire, made.reference)).lines
    assert (line.cancelled, line.shipped) == (1, 1)


@pytest.mark.parametrize("name", NAMES)
async def test_everything_a_connector_asks_and_is_answered_fits_the_official_documents(
    name: str, record_property: Any
) -> None:
    """Prints its counts: `make wire`."""
    wire = Wire(name)
    await walk(wire)
    if not PRESENT:
        pytest.skip("walked, but the official documents are not here to judge it")
    print(f"\n{wire.judge.told()}")
    assert wire.judge.violations == []
    record_property("requests", sum(wire.judge.requests.values()))
    record_property("answers", sum(wire.judge.answers.values()))
    assert len(wire.judge.requests) >= 8, "the walk goes through the operations, not past them"


# --- the judges have teeth ----------------------------------------------------------------------------------------------

JSON = {"content-type": "application/json"}
NOW = Wire("etsy").clock.now()
ORDERS = "https://sellingpartnerapi-na.amazon.com/orders/2026-01-01/orders"
CONFIRM = "https://sellingpartnerapi-na.amazon.com/orders/v0/orders/902-1106328-1059050/shipmentConfirmation"
BULK = "https://api.ebay.com/sell/inventory/v1/bulk_update_price_quantity"
RECEIPTS = "https://openapi.etsy.com/v3/application/shops/1/receipts"
GRAPHQL = "https://x.myshopify.com/admin/api/2026-10/graphql.json"


def get(url: str) -> Request:
    return Request("GET", url, "x")


def post(url: str, body: object, headers: dict[str, str] = JSON) -> Request:
    return Request("POST", url, "x", headers, json.dumps(body).encode())


def ask(query: str, **variables: Any) -> Request:
    return post(GRAPHQL, {"query": query, "variables": variables, "operationName": "Planted"})


def answered(status: int, body: object) -> Response:
    return Response(status, {}, json.dumps(body).encode(), NOW)


PLANTED = {
    "a path that is none": ("amazon", get(ORDERS + "/1/cancellation"), None, "no such operation"),
    "a parameter that is none": ("amazon", get(ORDERS + "?lastUpdatedSince=2026-01-01"), None, "no parameter"),
    "a value that is none": ("amazon", get(ORDERS + "?includedData=BUYERS"), None, "'BUYERS' is not one of"),
    "a body too few": ("amazon", Request("POST", CONFIRM, "x", JSON), None, "the body is missing"),
    "a field too few": ("amazon", post(CONFIRM, {"marketplaceId": "A"}), None, "'packageDetail' is a required"),
    "a field too many": ("ebay", post(BULK, {"requests": [{"sku": "A", "quantity": 3}]}), None, "'quantity' was unex"),
    "a word for a number": (
        "ebay",
        post(BULK, {"requests": [{"sku": "A", "shipToLocationAvailability": {"quantity": "3"}}]}),
        None,
        "'3' is not of type 'integer'",
    ),
    "a body of another kind": (
        "ebay",
        post(BULK, {"requests": []}, {"content-type": "text/plain"}),
        None,
        "content-type",
    ),
    "a number too large": ("etsy", get(RECEIPTS + "?limit=101"), None, "101 is greater than"),
    "a status that is none": ("etsy", get(RECEIPTS), answered(418, {}), "status 418"),
    "an answer with a field too many": (
        "etsy",
        get(RECEIPTS),
        answered(200, {"count": 0, "results": [], "next": 1}),
        "'next' was",
    ),
    "an answer with a word for a number": (
        "etsy",
        get(RECEIPTS),
        answered(200, {"count": "0", "results": []}),
        "'0' is not of",
    ),
    "an answer that is no JSON": ("etsy", get(RECEIPTS), Response(200, {}, b"<html>", NOW), "no JSON"),
    "a GraphQL field that is none": (
        "shopify",
        ask("query Planted { shop { nam } }"),
        None,
        "Cannot query field 'nam'",
    ),
    "a GraphQL argument of another type": (
        "shopify",
        ask('query Planted { orders(first: "1") { nodes { id } } }'),
        None,
        "Int",
    ),
    "a GraphQL variable of another type": (
        "shopify",
        ask("query Planted($n: Int!) { orders(first: $n) { nodes { id } } }", n="one"),
        None,
        "Int cannot represent",
    ),
    "a GraphQL answer without what must be there": (
        "shopify",
        ask("query Planted { shop { name } }"),
        answered(200, {"data": {"shop": {"name": None}}}),
        "non-nullable",
    ),
    "a GraphQL answer with what was not asked": (
        "shopify",
        ask("query Planted { shop { name } }"),
        answered(200, {"data": {"shop": {"name": "A", "email": "a@b.c"}}}),
        "not asked for",
    ),
}


@pytest.mark.skipif(not PRESENT, reason="the official documents are not here")
@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_violation_of_each_kind_is_found(kind: str) -> None:
    channel, request, response, words = PLANTED[kind]
    found = Judge(channel).judge(request, response)
    print(f"\nplanted and found: {kind}")
    assert any(words in one for one in found), found


@pytest.mark.skipif(not PRESENT, reason="the official documents are not here")
def test_what_fits_is_let_pass() -> None:
    fits = [
        ("amazon", get(ORDERS + "?lastUpdatedAfter=2026-01-01T00:00:00Z&includedData=BUYER,FULFILLMENT"), None),
        ("ebay", post(BULK, {"requests": [{"sku": "A", "shipToLocationAvailability": {"quantity": 3}}]}), None),
        ("etsy", get(RECEIPTS + "?limit=100"), answered(200, {"count": 0, "results": []})),
        ("shopify", ask("query Planted { shop { name } }"), answered(200, {"data": {"shop": {"name": "A"}}})),
    ]
    assert [Judge(channel).judge(request, response) for channel, request, response in fits] == [[]] * 4
