"""Parcels told to each marketplace: carriers, numbers, what can't be told, what an answer proves, and what is read before a retry."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from test_wire import NAMES, order
from wire import Wire

from oneshelf.channels.abilities import Parcel, Ships
from oneshelf.channels.amazon import parcels as amazon
from oneshelf.channels.contract import Request, Response
from oneshelf.channels.ebay import parcels as ebay
from oneshelf.channels.etsy import parcels as etsy
from oneshelf.core.errors import Park
from oneshelf.core.facts import OrderSeen
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Unknown

MARKETPLACES = tuple(name for name in NAMES if name != "shopify")
UPS = "1Z999AA10123456784"


class Listening:
    """The wire, with the bodies of what was written."""

    def __init__(self, wire: Wire, instead: Response | None = None) -> None:
        self.wire, self.instead = wire, instead
        self.written: list[dict[str, Any]] = []

    async def request(self, request: Request) -> Response:
        if request.writes:
            self.written.append(json.loads(request.body))
            if self.instead is not None:
                return self.instead
        return await self.wire.request(request)


async def story(name: str, pieces: int = 1, lines: int = 1) -> tuple[Wire, Any, OrderSeen]:
    """A paid order of `lines` lines with `pieces` each."""
    wire = Wire(name)
    skus = [product.sku for product in wire.emulation.products[:lines]]
    before = {one["id"] for one in wire.market.orders()}
    assert wire.market.buy(wire.buyer(), dict.fromkeys(skus, pieces)) is not None
    wire.pass_time()
    (order_id,) = {one["id"] for one in wire.market.orders()} - before
    channel = wire.channel
    assert isinstance(channel, Ships)
    return wire, channel, await order(wire, str(order_id))


def parcel(wire: Wire, units: dict[str, int], **more: Any) -> Parcel:
    given = {"key": "901", "carrier": "UPS", "tracking_number": UPS, **more}
    return Parcel(units=units, shipped_at=wire.clock.now() - timedelta(minutes=1), **given)


def known(seen: OrderSeen) -> dict[str, Any]:
    return {"marketplace_id": seen.marketplace_id}


@pytest.mark.parametrize("name", ["amazon", "ebay"])
async def test_S10_3_two_parcels_of_one_line_are_two_shipments_with_their_units(name: str) -> None:
    wire, channel, seen = await story(name, pieces=3)
    (line,) = seen.lines
    first = parcel(wire, {line.line_id: 1})
    second = parcel(wire, {line.line_id: 2}, key="902", tracking_number="1Z999AA10123456785")
    for one in (first, second):
        assert isinstance(await channel.ship(wire, seen.order_id, one, known(seen)), Accepted)
    wire.pass_time()
    told = await channel.shipments(wire, seen.order_id)
    assert sorted((one.tracking_number, one.units[line.line_id]) for one in told) == [
        (UPS, 1),
        ("1Z999AA10123456785", 2),
    ]
    assert (await order(wire, seen.order_id)).lines[0].shipped == 3


async def test_S10_2_amazon_edits_the_package_of_the_same_key() -> None:
    wire, channel, seen = await story("amazon")
    units = {seen.lines[0].line_id: 1}
    answers = [
        await channel.ship(wire, seen.order_id, parcel(wire, units), known(seen)),
        await channel.ship(wire, seen.order_id, parcel(wire, units, version=2, tracking_number="1Z2"), known(seen)),
    ]
    assert answers == [Accepted("901"), Accepted("901")]
    (told,) = await channel.shipments(wire, seen.order_id)
    assert (told.reference, told.tracking_number) == ("901", "1Z2")


@pytest.mark.parametrize("name", ["ebay", "etsy"])
async def test_a_told_parcel_that_can_not_be_changed_is_left_to_a_person(name: str) -> None:
    wire, channel, seen = await story(name)
    http = Listening(wire)
    changed = parcel(wire, {seen.lines[0].line_id: 1}, version=2, reference="1")
    outcome = await channel.ship(http, seen.order_id, changed, known(seen))
    assert isinstance(outcome, Rejected) and outcome.code == "no_edit"
    assert http.written == []


async def test_amazon_is_told_nothing_without_a_tracking_number() -> None:
    wire, channel, seen = await story("amazon")
    http = Listening(wire)
    bare = parcel(wire, {seen.lines[0].line_id: 1}, tracking_number=None)
    outcome = await channel.ship(http, seen.order_id, bare, known(seen))
    assert isinstance(outcome, Rejected) and outcome.code == "no_tracking"
    assert http.written == []


async def test_ebay_takes_a_parcel_without_a_number() -> None:
    wire, channel, seen = await story("ebay")
    bare = parcel(wire, {seen.lines[0].line_id: 1}, tracking_number=None, carrier=None)
    assert isinstance(await channel.ship(wire, seen.order_id, bare, known(seen)), Accepted)
    assert len(await channel.shipments(wire, seen.order_id)) == 1
    assert (await order(wire, seen.order_id)).lines[0].shipped == 1


async def test_etsy_wants_a_number_within_the_united_states_and_says_so() -> None:
    wire, channel, seen = await story("etsy")
    outcome = await channel.ship(wire, seen.order_id, parcel(wire, {}, tracking_number=None), known(seen))
    assert outcome == Rejected("A tracking number is required", code="400")


async def test_more_units_than_were_bought_are_refused_by_the_marketplace() -> None:
    for name in ("amazon", "ebay"):
        wire, channel, seen = await story(name)
        outcome = await channel.ship(wire, seen.order_id, parcel(wire, {seen.lines[0].line_id: 2}), known(seen))
        assert isinstance(outcome, Rejected), (name, outcome)


async def test_etsy_says_when_a_shop_may_not_ship_by_the_api() -> None:
    wire, channel, seen = await story("etsy")
    no = Response(403, {}, b'{"error": "Your shop is not allowed"}', wire.clock.now())
    outcome = await channel.ship(Listening(wire, no), seen.order_id, parcel(wire, {}), known(seen))
    assert isinstance(outcome, Rejected) and outcome.code == "not_allowed"


@pytest.mark.parametrize("name", MARKETPLACES)
async def test_a_page_with_a_good_status_proves_no_parcel(name: str) -> None:
    wire, channel, seen = await story(name)
    page = Response(200, {"content-type": "text/html"}, b"<html>ok</html>", wire.clock.now())
    told: Outcome = await channel.ship(Listening(wire, page), seen.order_id, parcel(wire, {"1": 1}), known(seen))
    assert isinstance(told, Unknown)


@pytest.mark.parametrize(
    ("name", "order_id"), [("amazon", "999-9999999-9999999"), ("ebay", "99-99999-99999"), ("etsy", "999")]
)
async def test_an_order_that_the_marketplace_does_not_know_has_no_list(name: str, order_id: str) -> None:
    channel: Any = (wire := Wire(name)).channel
    with pytest.raises(Park):
        await channel.shipments(wire, order_id)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("UPS", ("UPS", None)),
        ("Royal Mail", ("Royal Mail", None)),
        ("royal-mail", ("Royal Mail", None)),
        ("Bike Courier Ltd", ("Other", "Bike Courier Ltd")),
        (None, ("Other", "Other")),
    ],
)
def test_S10_4_an_unknown_carrier_is_amazons_other_with_its_name(
    name: str | None, code: tuple[str, str | None]
) -> None:
    assert amazon.carrier_of(name) == code


def test_S10_4_an_unknown_carrier_keeps_its_name_at_ebay_and_is_other_at_etsy() -> None:
    assert [ebay.carrier_of(name) for name in ("FedEx", "Bike Courier", None)] == ["FedEx", "Bike Courier", "Other"]
    assert [etsy.carrier_of(name) for name in ("USPS", "Bike Courier", None)] == ["usps", "other", "other"]


def test_ebay_takes_letters_and_digits_only_in_a_tracking_number() -> None:
    assert ebay.tracking_of("9400 1118-9922.3197") == "9400111899223197"


def test_a_package_number_is_positive_and_the_same_for_the_same_key() -> None:
    assert amazon.package_reference("gid://shopify/Fulfillment/255858046") == "255858046"
    assert amazon.package_reference("parcel") == amazon.package_reference("parcel") != amazon.package_reference("other")
    assert all(0 < int(amazon.package_reference(key)) < 10**16 for key in ("parcel", "0", "x-000", "9" * 40, ""))


async def test_S10_4_etsy_says_further_numbers_in_its_one_mail_to_the_buyer() -> None:
    """A call more would be a parcel and a mail more: createReceiptShipment takes one tracking_code, and a note_to_buyer."""
    wire, channel, seen = await story("etsy")
    listening = Listening(wire)
    units = {line.line_id: 1 for line in seen.lines}
    told = parcel(wire, units, more_tracking_numbers=("1Z2", "1Z3"))
    assert isinstance(await channel.ship(listening, seen.order_id, told, known(seen)), Accepted)
    assert [one["note_to_buyer"] for one in listening.written] == ["Further tracking numbers: 1Z2, 1Z3"]
    assert len(await channel.shipments(wire, seen.order_id)) == 1
