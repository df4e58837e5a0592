"""Cancels of what can't be delivered: asked once, followed to their end, refused in the marketplace's own words."""

from __future__ import annotations

import gzip
from typing import Any

import msgspec
import pytest
from test_parcels import story
from wire import Wire

from oneshelf.channels.abilities import CancelWish
from oneshelf.channels.amazon.cancels import all_closed, envelope, refusal_in
from oneshelf.channels.contract import NoAnswer, Request, Response
from oneshelf.core.errors import Retry
from oneshelf.core.facts import OrderSeen
from oneshelf.core.outcome import Accepted, Rejected, Throttled, Unknown

KEY = "6f1c1f60-4f4c-5f6e-9d52-6a8b0f9b6a10"


def wish(seen: OrderSeen, lines: dict[str, int] | None = None) -> CancelWish:
    wanted = lines if lines is not None else {line.line_id: line.ordered for line in seen.lines}
    known = {"marketplace_id": seen.marketplace_id}
    return CancelWish(seen.order_id, wanted, lines is None, KEY, known)


class Deaf:
    """The wire, on which one operation ends as told."""

    def __init__(self, wire: Wire, operation: str, end: NoAnswer | Response) -> None:
        self.wire, self.operation, self.end = wire, operation, end

    async def request(self, request: Request) -> Response:
        if request.operation != self.operation:
            return await self.wire.request(request)
        if isinstance(self.end, NoAnswer):
            raise self.end
        return self.end


async def test_amazon_cancels_one_line_of_two_and_keeps_the_other() -> None:
    wire, channel, seen = await story("amazon", lines=2)
    only = wish(seen, {seen.lines[0].line_id: 1})
    taken = await channel.cancel(wire, only)
    assert isinstance(taken, Accepted)
    assert (await channel.cancel_state(wire, only, taken.reference)).state == "running"
    wire.pass_time()
    assert (await channel.cancel_state(wire, only, taken.reference)).state == "done"
    message = await channel.fetch_order(wire, seen.order_id)
    (now,) = channel.parse(message)
    assert {line.line_id: line.cancelled for line in now.lines} == {seen.lines[0].line_id: 1, seen.lines[1].line_id: 0}


async def test_units_that_were_cancelled_before_are_no_sign_of_this_cancel() -> None:
    wire, channel, seen = await story("amazon", pieces=3)
    (line,) = seen.lines
    before = msgspec.structs.replace(seen, lines=(msgspec.structs.replace(line, cancelled=2),))
    asked = wish(seen, {line.line_id: 1})
    assert not all_closed(before, asked)
    assert all_closed(msgspec.structs.replace(seen, lines=(msgspec.structs.replace(line, cancelled=3),)), asked)


async def test_amazon_refuses_a_pending_order_in_its_report() -> None:
    wire = Wire("amazon")
    channel: Any = wire.channel
    assert wire.market.buy(wire.buyer(), {wire.emulation.products[0].sku: 1}) is not None
    (order,) = wire.market.book.orders.values()
    lines = {item.order_item_id: 1 for item in order.items}
    asked = CancelWish(order.order_id, lines, True, KEY)
    taken = await channel.cancel(wire, asked)
    for _ in range(60):
        wire.clock.advance(5.0)
        state = await channel.cancel_state(wire, asked, taken.reference)
        if state.state != "running":
            break
    assert state.state == "refused" and "PENDING" in state.reason


async def test_what_was_not_handed_in_cancels_nothing() -> None:
    wire, channel, seen = await story("amazon")
    for operation in ("createFeedDocument", "feedUpload"):
        for end in (NoAnswer("timed out", sent=True), Response(503, {}, b"", wire.clock.now())):
            assert isinstance(await channel.cancel(Deaf(wire, operation, end), wish(seen)), Throttled)
    lost = await channel.cancel(Deaf(wire, "createFeed", NoAnswer("timed out", sent=True)), wish(seen))
    assert isinstance(lost, Unknown)
    assert (await channel.cancel_state(wire, wish(seen), None)).state == "none"


async def test_a_feed_whose_answer_was_lost_is_found_by_what_it_did() -> None:
    wire, channel, seen = await story("amazon")
    assert isinstance(await channel.cancel(wire, wish(seen)), Accepted)
    wire.pass_time()
    assert (await channel.cancel_state(wire, wish(seen), None)).state == "done"


@pytest.mark.parametrize(
    "body",
    [b"<html>", b'<!DOCTYPE a [<!ENTITY b "c">]><AmazonEnvelope/>', b"<AmazonEnvelope/>"],
    ids=["a page", "entities", "no summary"],
)
def test_what_is_no_report_says_nothing(body: bytes) -> None:
    with pytest.raises(Retry):
        refusal_in(body)


async def test_a_damaged_result_is_read_again() -> None:
    wire, channel, seen = await story("amazon")
    taken = await channel.cancel(wire, wish(seen))
    bad = Response(200, {}, gzip.compress(b"<a/>")[:-4], wire.clock.now())
    http = Deaf(wire, "feedDownload", bad)
    hidden = Deaf(wire, "getOrder", await _order_as_it_was(wire, channel, seen))
    http.wire = hidden  # type: ignore[assignment]
    wire.pass_time()
    with pytest.raises(Retry):
        await channel.cancel_state(http, wish(seen), taken.reference)


async def _order_as_it_was(wire: Wire, channel: Any, seen: OrderSeen) -> Response:
    """The order's answer of before, so that only the report can tell."""
    kept: list[Response] = []

    class Keeping:
        async def request(self, request: Request) -> Response:
            kept.append(await wire.request(request))
            return kept[-1]

    await channel.fetch_order(Keeping(), seen.order_id)
    return kept[-1]


def test_ids_can_not_break_out_of_the_feed() -> None:
    """F49: a hostile id stays text."""
    feed = envelope("A&B", "1</AmazonOrderID>", ["<x/>"])
    assert b"<AmazonOrderID>1&lt;/AmazonOrderID&gt;</AmazonOrderID>" in feed
    assert b"A&amp;B" in feed and b"&lt;x/&gt;" in feed


async def test_etsy_is_left_to_a_person_with_a_link_and_watched() -> None:
    wire, channel, seen = await story("etsy")
    outcome = await channel.cancel(wire, wish(seen))
    assert isinstance(outcome, Rejected) and outcome.code == "person"
    assert channel.cancel_link(seen.order_id) == f"https://www.etsy.com/your/orders/sold?order_id={seen.order_id}"
    assert (await channel.cancel_state(wire, wish(seen), None)).state == "none"
    wire.market.console("cancel", order_id=seen.order_id)
    wire.pass_time(60)
    assert (await channel.cancel_state(wire, wish(seen), None)).state == "done"
