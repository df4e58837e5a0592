"""Shopify: a copy's fulfilment orders moved to other locations (SEMANTICS 5.7). Beside the emulated shop, with the official schema listening."""

from __future__ import annotations

from typing import Any

from shopify_script import Script
from test_shopify_connector_later import copied
from wire import Wire

from oneshelf.channels.abilities import IN_PROGRESS, NOT_OPEN, NOT_THERE, MovesCopy, Parcel, Placed
from oneshelf.channels.contract import NoAnswer
from oneshelf.channels.shopify import connect, copy_moves
from oneshelf.channels.shopify.form import LINE_KEY
from oneshelf.core.facts import Address
from oneshelf.core.outcome import Accepted, Rejected, Throttled, Unknown
from oneshelf_emulator.shopify import console
from oneshelf_emulator.shopify.order_records import Order
from oneshelf_emulator.shopify.records import Location


def north(wire: Wire, *stocked: str) -> str:
    """A second location that stocks these SKUs; returns its id."""
    console.add_location(wire.market, "North")
    for sku in stocked:
        console.receive(wire.market, sku, 5, "North")
    return wire.market.store.all(Location)[-1].gid


def work(wire: Wire) -> dict[str, list[tuple[str, int]]]:
    """Location → (SKU, pieces to send) of what is live of the last order."""
    order = wire.market.store.all(Order)[-1]
    return {
        one.location.name: [(line.line_item.sku or "", line.remaining_quantity) for line in one.open_lines]
        for one in order.fulfillment_orders
        if one.is_live
    }


def sku_of(wire: Wire) -> str:
    return wire.market.store.all(Order)[-1].line_items[0].sku or ""


async def test_a_copy_is_moved_once_and_its_claim_goes_along() -> None:
    wire = Wire("shopify")
    hub, order_id = await copied(wire)
    assert isinstance(hub, MovesCopy)
    sku = sku_of(wire)
    goal = north(wire, sku)
    pieces = sum(n for _, n in work(wire)["Main warehouse"])
    for _ in range(2):  # the second moves nothing, and says the same
        outcome = await hub.move_copy(wire, order_id, [Placed("L1", sku, goal)])
        assert outcome == Accepted(order_id, {"where": [["L1", sku, goal, pieces]]})
        assert work(wire) == {"North": [(sku, pieces)]}
    level = next(one for one in wire.market.state()["levels"] if one["sku"] == sku and one["location"] == "North")
    assert (level["available"], level["committed"]) == (5 - pieces, pieces)
    assert wire.judge.violations == []


async def test_a_line_that_is_not_named_stays() -> None:
    wire = Wire("shopify")
    hub, order_id = await copied(wire)
    goal = north(wire, sku_of(wire))
    before = work(wire)
    assert isinstance(hub, MovesCopy)
    outcome = await hub.move_copy(wire, order_id, [Placed("L9", "OTHER", goal)])
    assert (outcome, work(wire)) == (Accepted(order_id, {"where": [["L1", sku_of(wire), *_stands(wire)]]}), before)


def _stands(wire: Wire) -> tuple[str, int]:
    first = wire.market.store.all(Order)[-1].fulfillment_orders[0]
    return first.location.gid, sum(line.remaining_quantity for line in first.open_lines)


async def test_a_location_that_does_not_stock_it_is_named() -> None:
    wire = Wire("shopify")
    hub, order_id = await copied(wire)
    goal = north(wire)
    assert isinstance(hub, MovesCopy)
    outcome = await hub.move_copy(wire, order_id, [Placed("L1", sku_of(wire), goal)])
    assert isinstance(outcome, Rejected) and outcome.code == NOT_THERE + goal
    closed = await hub.move_copy(wire, order_id, [Placed("L1", sku_of(wire), "gid://shopify/Location/1")])
    assert isinstance(closed, Rejected) and closed.code == NOT_THERE + "gid://shopify/Location/1"


async def test_what_is_being_packed_or_has_left_stays() -> None:
    wire = Wire("shopify")
    hub, order_id = await copied(wire, 1)
    goal = north(wire, sku_of(wire))
    assert isinstance(hub, MovesCopy)
    console.report_progress(wire.market, order_id)
    outcome = await hub.move_copy(wire, order_id, [Placed("L1", sku_of(wire), goal)])
    assert isinstance(outcome, Rejected) and outcome.code == IN_PROGRESS
    parcel = Parcel(key="p", units={"L1": 1}, shipped_at=wire.clock.now())
    assert isinstance(await hub.fulfil_copy(wire, order_id, parcel), Accepted)  # type: ignore[attr-defined]
    outcome = await hub.move_copy(wire, order_id, [Placed("L1", sku_of(wire), goal)])
    assert isinstance(outcome, Rejected) and outcome.code == NOT_OPEN
    missing = await hub.move_copy(wire, "1", [Placed("L1", sku_of(wire), goal)])
    assert isinstance(missing, Rejected) and missing.code == "NOT_FOUND"


async def test_a_location_tells_its_address_as_far_as_the_shop_knows_it() -> None:
    wire = Wire("shopify")
    console.set_address(wire.market, "Main warehouse", "Hafen 1", "Hamburg", "20457", latitude=53.54, longitude=9.98)
    console.add_location(wire.market, "North")
    first, second = await wire.channel.locations(wire)  # type: ignore[attr-defined]
    assert first.address == Address(line1="Hafen 1", city="Hamburg", postal_code="20457", country="DE")
    assert (first.point, second.address, second.point) == ((53.54, 9.98), Address(country="DE"), None)


LINES = {
    "part": {
        "id": "gid://shopify/Order/5",
        "cancelledAt": None,
        "taxesIncluded": True,
        "presentmentCurrencyCode": "EUR",
        "transactions": [],
        "refunds": [],
        "lineItems": {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}},
    }
}


def line(number: int, sku: str, **more: Any) -> dict[str, Any]:
    return {"id": f"gid://shopify/LineItem/{number}", "sku": sku, "customAttributes": [], **more}


def fulfilment_order(number: int, location: str, *items: tuple[int, int]) -> dict[str, Any]:
    nodes = [
        {"id": f"item-{line}", "remainingQuantity": pieces, "lineItem": {"id": f"gid://shopify/LineItem/{line}"}}
        for line, pieces in items
    ]
    return {
        "id": f"gid://shopify/FulfillmentOrder/{number}",
        "status": "OPEN",
        "assignedLocation": {"location": {"id": location}},
        "lineItems": {"nodes": nodes},
    }


def named(marketplace_line: str) -> dict[str, Any]:
    return {"customAttributes": [{"key": LINE_KEY, "value": marketplace_line}]}


def test_next_step_moves_a_part_or_the_whole_of_one_fulfilment_order() -> None:
    lines = [line(1, "MUG", **named("L1")), line(2, "CUP", **named("L2")), line(3, "MUG", **named("L1"))]
    wanted = [Placed("L1", "MUG", "B"), Placed("L2", "CUP", "A")]
    keys = copy_moves.keys_of(lines, wanted)
    live = [fulfilment_order(7, "A", (1, 2), (2, 1), (3, 1))]
    step = copy_moves.next_step(keys, live, wanted)
    assert step is not None and (step.location_id, step.items) == (
        "B",
        [{"id": "item-1", "quantity": 2}, {"id": "item-3", "quantity": 1}],
    )
    whole = copy_moves.next_step(keys, [fulfilment_order(7, "A", (1, 2)), fulfilment_order(8, "A", (2, 1))], wanted)
    assert whole is not None and (whole.work["id"][-1], whole.items) == ("7", None)
    there = [fulfilment_order(7, "B", (1, 2), (3, 1)), fulfilment_order(8, "A", (2, 1), (1, 0))]
    assert copy_moves.next_step(keys, there, wanted) is None
    assert copy_moves.standing(keys, there) == [["L1", "MUG", "B", 2], ["L1", "MUG", "B", 1], ["L2", "CUP", "A", 1]]


def test_a_copy_that_somebody_else_made_is_known_by_its_SKUs() -> None:
    lines = [line(1, "MUG"), line(2, "CUP"), line(3, "POT")]
    wanted = [Placed("L1", "MUG", "B"), Placed("L2", "CUP", "A"), Placed("L3", "CUP", "A")]
    assert copy_moves.keys_of(lines, wanted) == {"1": ("L1", "MUG")}  # which CUP is which is not guessed


async def test_a_copy_without_fulfilment_orders_is_put_off_and_a_lost_read_moves_nothing() -> None:
    hub = connect({"shop": "demo.myshopify.com", "currency": "EUR"})
    assert isinstance(hub, MovesCopy)
    empty = {"part": {"id": "gid://shopify/Order/5", "fulfillmentOrders": {"nodes": [], "pageInfo": LAST}}}
    script = Script(("CopyLines", LINES), ("Work", empty))
    outcome = await hub.move_copy(script, "5", [Placed("L1", "MUG", "B")])
    assert isinstance(outcome, Throttled) and outcome.wait_s == copy_moves.ROUTING_WAIT_S
    lost = await hub.move_copy(Script(("CopyLines", NoAnswer("cut", sent=True))), "5", [Placed("L1", "MUG", "B")])
    assert isinstance(lost, Throttled | Unknown)


LAST = {"hasNextPage": False, "endCursor": None}
