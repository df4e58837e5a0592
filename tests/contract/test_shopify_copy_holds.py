"""Shopify: a copy is held until it may leave, and released (SEMANTICS 6.5). Beside the emulated shop, with the official schema listening."""

from __future__ import annotations

from shopify_script import Script
from test_shopify_connector_later import copied
from wire import Wire

from oneshelf.channels.abilities import HoldsCopy, Parcel
from oneshelf.channels.contract import NoAnswer
from oneshelf.channels.shopify import connect, copy_holds
from oneshelf.core.outcome import Accepted, Rejected, Throttled, Unknown
from oneshelf_emulator.shopify import console
from oneshelf_emulator.shopify.order_records import Order


def holds_of(wire: Wire) -> list[list[str]]:
    """The handles of the holds of each fulfilment order of the last order."""
    order = wire.market.store.all(Order)[-1]
    return [[hold.handle for hold in one.holds] for one in order.fulfillment_orders]


async def test_a_copy_is_held_once_and_let_go() -> None:
    wire = Wire("shopify")
    hub, order_id = await copied(wire)
    assert isinstance(hub, HoldsCopy)
    for _ in range(2):  # the second says the same, and changes nothing
        assert await hub.hold_copy(wire, order_id, "k") == Accepted(order_id)
        assert holds_of(wire) == [[copy_holds.HANDLE]]
    parcel = Parcel(key="p", units={"L1": 1}, shipped_at=wire.clock.now())
    assert isinstance(await hub.fulfil_copy(wire, order_id, parcel), Rejected)  # nobody packs it
    for _ in range(2):
        assert await hub.release_copy(wire, order_id, "k") == Accepted(order_id)
        assert holds_of(wire) == [[]]
    assert isinstance(await hub.fulfil_copy(wire, order_id, parcel), Accepted)
    assert wire.judge.violations == []


async def test_a_hold_of_the_merchants_stays() -> None:
    wire = Wire("shopify")
    hub, order_id = await copied(wire)
    console.hold(wire.market, order_id, "HIGH_RISK_OF_FRAUD")
    assert await hub.hold_copy(wire, order_id, "k") == Accepted(order_id)
    assert await hub.release_copy(wire, order_id, "k") == Accepted(order_id)
    assert len(holds_of(wire)[0]) == 1


async def test_what_has_left_can_t_be_held() -> None:
    wire = Wire("shopify")
    hub, order_id = await copied(wire, 1)
    parcel = Parcel(key="p", units={"L1": 1}, shipped_at=wire.clock.now())
    assert isinstance(await hub.fulfil_copy(wire, order_id, parcel), Accepted)
    outcome = await hub.hold_copy(wire, order_id, "k")
    assert isinstance(outcome, Rejected) and outcome.code == "not_open"
    missing = await hub.release_copy(wire, "1", "k")
    assert isinstance(missing, Rejected) and missing.code == "NOT_FOUND"


WORK = {
    "id": "gid://shopify/FulfillmentOrder/7",
    "status": "OPEN",
    "supportedActions": [{"action": "HOLD"}],
    "fulfillmentHolds": [],
}


def work(*nodes: object) -> dict[str, object]:
    return {
        "part": {
            "id": "gid://shopify/Order/1",
            "fulfillmentOrders": {"nodes": list(nodes), "pageInfo": {"hasNextPage": False, "endCursor": None}},
        }
    }


async def test_every_end_has_its_outcome() -> None:
    shop = connect({"shop": "demo", "currency": "USD"})
    duplicate = {"code": copy_holds.DUPLICATE, "field": None, "message": "in use"}
    limit = {"code": "FULFILLMENT_ORDER_HOLD_LIMIT_REACHED", "field": None, "message": "too many"}

    def told(errors: object) -> dict[str, object]:
        return {"fulfillmentOrderHold": {"fulfillmentHold": None, "userErrors": errors}}

    routing = await shop.hold_copy(Script(("HoldWork", work())), "1", "k")
    assert isinstance(routing, Throttled) and routing.wait_s == copy_holds.ROUTING_WAIT_S
    for answer, outcome in (
        (told([]), Accepted),
        (told([duplicate]), Accepted),
        (told([limit]), Rejected),
        (NoAnswer("timed out", sent=True), Unknown),
    ):
        script = Script(("HoldWork", work(WORK)), ("HoldCopy", answer))
        assert isinstance(await shop.hold_copy(script, "1", "k"), outcome)
    silent = Script(("HoldWork", NoAnswer("timed out", sent=True)))
    assert isinstance(await shop.release_copy(silent, "1", "k"), Throttled)  # only a read: nothing was done
