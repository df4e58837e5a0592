"""Cancels of the shop's own short orders: whole by a job, single lines by a refund, each once, and only what is still there."""

from __future__ import annotations

import json
from typing import Any

from test_wire import listings_of
from wire import Wire

from oneshelf.channels.abilities import Cancels, CancelWish
from oneshelf.channels.contract import NoAnswer, Request, Response
from oneshelf.core.facts import OrderSeen
from oneshelf.core.outcome import Accepted, Rejected, Throttled, Unknown

KEY = "6f1c1f60-4f4c-5f6e-9d52-6a8b0f9b6a10"


class Listening:
    """The wire, with what was written; one operation may lose its answer, before or after it was done."""

    def __init__(self, wire: Wire, deaf: str = "", done: bool = True) -> None:
        self.wire, self.deaf, self.done = wire, deaf, done
        self.written: list[tuple[str, dict[str, Any]]] = []

    async def request(self, request: Request) -> Response:
        if request.writes:
            self.written.append((request.operation, json.loads(request.body)))
        if request.operation != self.deaf:
            return await self.wire.request(request)
        if self.done:
            await self.wire.request(request)
        raise NoAnswer("timed out", sent=True)


async def sold(lines: int = 1, pieces: int = 1) -> tuple[Wire, Any, OrderSeen]:
    """A paid web order of `lines` lines that nothing is left of: `available` is below 0."""
    wire = Wire("shopify")
    skus = [str(one.sku) for one in (await listings_of(wire))[:lines]]
    before = {one["id"] for one in wire.market.orders()}
    assert wire.market.buy(wire.buyer(), dict.fromkeys(skus, pieces)) is not None
    wire.pass_time()
    (order_id,) = {one["id"] for one in wire.market.orders()} - before
    for sku in skus:
        wire.market.console("set_available", sku=sku, quantity=-pieces)
    return wire, wire.channel, await seen(wire, str(order_id))


async def seen(wire: Wire, order_id: str) -> OrderSeen:
    message = await wire.channel.fetch_order(wire, order_id)
    assert message is not None
    (fact,) = wire.channel.parse(message)
    assert isinstance(fact, OrderSeen)
    return fact


def wish(order: OrderSeen, *lines: int) -> CancelWish:
    chosen = [order.lines[n] for n in lines] if lines else list(order.lines)
    return CancelWish(order.order_id, {line.line_id: line.ordered for line in chosen}, not lines, KEY)


def levels(wire: Wire) -> dict[str, tuple[int, int]]:
    """SKU → (available, on_hand)."""
    return {one["sku"]: (one["available"], one["on_hand"]) for one in wire.market.state()["levels"]}


def order_record(wire: Wire, order_id: str) -> Any:
    return wire.market.order(f"gid://shopify/Order/{order_id}")


async def test_S7_a_short_order_of_one_line_is_cancelled_by_a_job_and_polled() -> None:
    wire, shop, order = await sold()
    assert isinstance(shop, Cancels)
    sku = str(order.lines[0].sku)
    before = levels(wire)[sku]
    listening = Listening(wire)
    taken = await shop.cancel(listening, wish(order))
    assert isinstance(taken, Accepted) and "/Job/" in str(taken.reference)
    ((operation, body),) = listening.written
    assert (operation, body["variables"]["reason"], body["variables"]["notify"]) == ("CancelOrder", "INVENTORY", True)
    assert "restock: true" in body["query"] and "originalPaymentMethodsRefund: true" in body["query"]
    assert (await shop.cancel_state(wire, wish(order), taken.reference)).state == "running"
    assert not (await seen(wire, order.order_id)).cancelled, "orderCancel answers before anything has happened"
    wire.pass_time()
    assert (await shop.cancel_state(wire, wish(order), taken.reference)).state == "done"
    now = await seen(wire, order.order_id)
    assert now.cancelled and now.lines[0].cancelled == 1
    assert levels(wire)[sku] == (0, before[1]) and before[0] == -1, "the claim is given back, no piece is invented"
    assert order_record(wire, order.order_id).display_financial_status == "REFUNDED"


async def test_S7_one_short_line_of_two_is_refunded_as_a_cancel_and_the_other_stays() -> None:
    wire, shop, order = await sold(lines=2)
    listening = Listening(wire)
    taken = await shop.cancel(listening, wish(order, 1))
    assert isinstance(taken, Accepted) and "/Refund/" in str(taken.reference)
    ((operation, body),) = listening.written
    given = body["variables"]["input"]
    assert (operation, body["variables"]["key"]) == ("RefundPieces", KEY)
    assert "@idempotent(key: $key)" in body["query"]
    assert [(one["quantity"], one["restockType"]) for one in given["refundLineItems"]] == [(1, "CANCEL")]
    assert given["notify"] is True
    paid = order.lines[1].subtotal
    assert paid is not None and [float(one["amount"]) for one in given["transactions"]] == [paid.minor / 100]
    assert (await shop.cancel_state(wire, wish(order, 1), taken.reference)).state == "done"
    now = await seen(wire, order.order_id)
    assert [line.cancelled for line in now.lines] == [0, 1] and not now.cancelled
    assert levels(wire)[str(order.lines[1].sku)][0] == 0 and levels(wire)[str(order.lines[0].sku)][0] == -1
    assert order_record(wire, order.order_id).display_financial_status == "PARTIALLY_REFUNDED"


async def test_I10_a_cancel_that_was_taken_is_not_asked_for_again() -> None:
    for lines, chosen in ((1, ()), (2, (1,))):
        wire, shop, order = await sold(lines=lines)
        assert isinstance(await shop.cancel(wire, wish(order, *chosen)), Accepted)
        wire.pass_time()
        listening = Listening(wire)
        again = await shop.cancel(listening, wish(order, *chosen))
        assert isinstance(again, Accepted) and again.detail == {"already": True}
        assert listening.written == []
        assert len(order_record(wire, order.order_id).refunds) == 1


async def test_I18_no_answer_is_followed_by_reading() -> None:
    for done, state in ((True, "done"), (False, "none")):
        for lines, chosen, deaf in ((1, (), "CancelOrder"), (2, (1,), "RefundPieces")):
            wire, shop, order = await sold(lines=lines)
            asked = wish(order, *chosen)
            assert isinstance(await shop.cancel(Listening(wire, deaf, done), asked), Unknown)
            wire.pass_time()
            assert (await shop.cancel_state(wire, asked, None)).state == state


async def test_S7_what_has_left_is_not_cancelled() -> None:
    wire, shop, order = await sold(lines=2)
    wire.market.console("fulfil", order=order.order_id, lines={order.lines[0].line_id: 1})
    wire.pass_time(600)
    listening = Listening(wire)
    refused = await shop.cancel(listening, wish(order, 0))
    assert isinstance(refused, Rejected) and refused.code == "not_open"
    assert listening.written == []
    # The rest of the order goes by a refund: the order itself can't be cancelled any more.
    left = CancelWish(order.order_id, {order.lines[1].line_id: 1}, True, KEY)
    assert isinstance(await shop.cancel(listening, left), Accepted)
    assert [operation for operation, _ in listening.written] == ["RefundPieces"]
    assert [(line.shipped, line.cancelled) for line in (await seen(wire, order.order_id)).lines] == [(1, 0), (0, 1)]


async def test_quirk_a_job_that_ends_without_its_cancel_is_a_refusal() -> None:
    """The parcel crossed the cancel: orderCancel was taken, and its job leaves the order as it is."""
    wire, shop, order = await sold()
    taken = await shop.cancel(wire, wish(order))
    assert isinstance(taken, Accepted)
    wire.market.console("fulfil", order=order.order_id)
    wire.pass_time()
    state = await shop.cancel_state(wire, wish(order), taken.reference)
    assert (state.state, "left the order as it was" in state.reason) == ("refused", True)


async def test_a_line_bought_twice_over_is_taken_off_whole() -> None:
    wire, shop, order = await sold(lines=2, pieces=3)
    assert isinstance(await shop.cancel(wire, wish(order, 0)), Accepted)
    assert [line.cancelled for line in (await seen(wire, order.order_id)).lines] == [3, 0]


async def test_nothing_is_asked_for_where_the_order_can_not_be_read() -> None:
    wire, shop, order = await sold()
    outcome = await shop.cancel(Listening(wire, "CopyLines", done=False), wish(order))
    assert isinstance(outcome, Throttled)
    gone = await shop.cancel(wire, CancelWish("99", {"1": 1}, True, KEY))
    assert isinstance(gone, Rejected) and gone.code == "NOT_FOUND"


def test_a_person_is_sent_to_the_orders_own_page() -> None:
    wire = Wire("shopify")
    shop: Any = wire.channel
    assert shop.cancel_link("56") == "https://oneshelf-emulated.myshopify.com/admin/orders/56"
