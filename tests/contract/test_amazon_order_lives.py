"""What an Amazon order lives through, against the emulated marketplace and Amazon's own examples: unpaid, paid, asked for, given up,
partly cancelled, a gift, a business's, abroad. What the connector makes of each, read by id as after any notice.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from wire import Wire

from oneshelf.channels.abilities import CancelWish, Parcel
from oneshelf.channels.amazon.parse import parse
from oneshelf.channels.contract import Cursor, RawMessage
from oneshelf.core.facts import Ignored, OrderSeen, Payment
from oneshelf.core.outcome import Accepted, Rejected
from oneshelf_emulator.world import Product

PAYLOADS = Path(__file__).parent / "payloads" / "amazon"
DAY_S = 86_400.0
US, DE, JP = "ATVPDKIKX0DER", "A1PA6795UKMFR9", "A1VC38T7YXB528"
CALM = {"pending_cancel_chance": 0.0, "slow_payment_chance": 0.0}


def shop(currency: str = "USD", **switches: Any) -> Wire:
    goods = [Product(sku, sku.title(), 1200, currency, 9) for sku in ("MUG", "CUP")]
    return Wire("amazon", goods, **{**CALM, **switches})


def buy(wire: Wire, **lines: int) -> str:
    sale = wire.market.buy(wire.buyer(), lines)
    assert sale is not None
    return str(sale.order_id)


async def seen(wire: Wire, order_id: str) -> OrderSeen:
    message = await wire.channel.fetch_order(wire, order_id)
    assert message is not None
    (fact,) = wire.channel.parse(message)
    assert isinstance(fact, OrderSeen)
    assert wire.judge.violations == []
    return fact


def counts(order: OrderSeen) -> list[tuple[str | None, int, int, int]]:
    return [(line.sku, line.ordered, line.cancelled, line.shipped) for line in order.lines]


def example(name: str, edit: Any = lambda order: None) -> OrderSeen:
    document = copy.deepcopy(json.loads((PAYLOADS / f"{name}.json").read_bytes()))
    edit(document)
    (fact,) = parse(RawMessage(topic="poll:order", body=json.dumps(document).encode()))
    assert isinstance(fact, OrderSeen)
    return fact


# --- paid, unpaid, given up -------------------------------------------------------------------------------------------


async def test_unpaid_it_holds_without_a_person_and_paid_it_can_be_shipped() -> None:
    wire = shop(pending_s=1800)
    order_id = buy(wire, MUG=2)
    unpaid = await seen(wire, order_id)
    assert (unpaid.payment, unpaid.buyer, unpaid.ship_to, unpaid.totals) == (Payment.PENDING, None, None, None)
    assert counts(unpaid) == [("MUG", 2, 0, 0)]
    wire.pass_time(1900)
    paid = await seen(wire, order_id)
    assert paid.payment is Payment.PAID and paid.ship_to is not None and paid.totals is not None
    assert paid.updated_at is not None and unpaid.updated_at is not None and paid.updated_at > unpaid.updated_at


@pytest.mark.parametrize("days", [3, 21])
async def test_quirk_pending_for_weeks_it_holds_by_no_clock_of_ours_until_amazon_says_otherwise(days: int) -> None:
    wire = shop(pending_s=40 * DAY_S)
    order_id = buy(wire, MUG=2)
    wire.pass_time(days * DAY_S)
    assert (await seen(wire, order_id)).payment is Payment.PENDING
    wire.market.console("fail_payment", order_id=order_id)
    over = await seen(wire, order_id)
    assert over.cancelled and counts(over) == [("MUG", 2, 2, 0)]


async def test_what_nobody_ships_amazon_gives_up_and_we_hear_it() -> None:
    wire = shop(auto_cancel_s=11 * DAY_S)
    order_id = buy(wire, MUG=2)
    wire.pass_time(12 * DAY_S)
    over = await seen(wire, order_id)
    assert over.cancelled and counts(over) == [("MUG", 2, 2, 0)]


async def test_quirk_list_misses_an_order_that_is_found_by_its_id() -> None:
    """Open orders are read again by id once a day: a cancel that the list never shows would hold the pieces for ever."""
    wire = shop(list_miss_chance=1.0)
    since = wire.clock.now()
    order_id = buy(wire, MUG=2)
    wire.market.console("fail_payment", order_id=order_id)
    wire.pass_time(3600)
    page = await wire.channel.fetch(wire, Cursor(since=since), wire.clock.now())
    assert page.messages == () and page.cursor.run is None
    assert (await seen(wire, order_id)).cancelled
    assert wire.channel.can.rereads_open_orders_s == DAY_S


# --- cancels ----------------------------------------------------------------------------------------------------------


async def test_a_buyers_wish_is_a_question_until_it_is_done() -> None:
    wire = shop()
    order_id = buy(wire, MUG=2)
    wire.market.console("pay", order_id=order_id)
    wire.market.console("buyer_cancel", order_id=order_id, reason="ORDERED_BY_MISTAKE")
    asked = await seen(wire, order_id)
    assert (asked.cancel_asked, asked.cancelled, counts(asked)) == ("ORDERED_BY_MISTAKE", False, [("MUG", 2, 0, 0)])
    wire.market.console("cancel_order", order_id=order_id, reason="BuyerCanceled")
    done = await seen(wire, order_id)
    assert (done.cancel_asked, done.cancelled, counts(done)) == ("", True, [("MUG", 2, 2, 0)])


def test_a_wish_without_a_reason_is_one_and_after_the_parcel_it_is_none() -> None:
    def wish(order: dict[str, Any]) -> None:
        order["orderItems"][0]["cancellation"] = {"cancellationRequest": {"requester": "BUYER"}}

    assert example("order_unshipped_gift_br", wish).cancel_asked == "asked"
    assert example("order_shipped_gb", wish).cancel_asked == ""


async def test_what_is_left_of_a_partly_shipped_order_can_be_cancelled() -> None:
    wire = shop()
    order_id = buy(wire, MUG=3, CUP=1)
    wire.pass_time()
    channel: Any = wire.channel
    before = await seen(wire, order_id)
    mug = next(line.line_id for line in before.lines if line.sku == "MUG")
    known = {"marketplace_id": before.marketplace_id}
    assert isinstance(
        await channel.ship(wire, order_id, Parcel("901", {mug: 1}, wire.clock.now(), "UPS", "1Z"), known), Accepted
    )
    wish = CancelWish(order_id, {mug: 2}, False, "k", known)
    assert (await channel.cancel_state(wire, wish, None)).state == "none"
    taken = await channel.cancel(wire, wish)
    assert isinstance(taken, Accepted) and (await channel.cancel_state(wire, wish, taken.reference)).state == "running"
    wire.pass_time()
    assert (await channel.cancel_state(wire, wish, taken.reference)).state == "done"
    after = await seen(wire, order_id)
    assert counts(after) == [("MUG", 3, 2, 1), ("CUP", 1, 0, 0)] and not after.cancelled
    # The other line is open: a wish for it is not done.
    cup = next(line.line_id for line in before.lines if line.sku == "CUP")
    other = msgspec.structs.replace(wish, lines={cup: 1})
    assert (await channel.cancel_state(wire, other, None)).state == "none"


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_amazons_own_gift_is_told_to_the_packer() -> None:
    order = example("order_unshipped_gift_br")
    assert order.note == "Gift, wrapped (STANDARD): Feliz Natal! Espero que goste do seu novo alto-falante inteligente!"


def test_a_business_order_names_the_business_and_its_number() -> None:
    def number(order: dict[str, Any]) -> None:
        order["buyer"] |= {"buyerCompanyName": "Oliveira Tecnologia Ltda", "buyerPurchaseOrderNumber": "PO-7"}

    assert (
        example("order_unshipped_business_br", number).note
        == "business order of Oliveira Tecnologia Ltda, its number PO-7"
    )
    assert example("order_unshipped_business_br").note.startswith("business order")
    assert example("order_unshipped_taxed_us").note == "the buyer collects it in the store: not to be shipped"


def test_where_to_leave_the_parcel_is_told() -> None:
    def wanted(order: dict[str, Any]) -> None:
        order["recipient"]["deliveryPreference"] = {"dropOffLocation": "PORCH", "addressInstruction": "behind the mill"}

    assert "delivery: PORCH, behind the mill" in example("order_unshipped_gift_br", wanted).note


async def test_gifts_and_businesses_come_whole_from_the_marketplace() -> None:
    wire = shop(gift_chance=1.0, business_chance=1.0)
    order_id = buy(wire, MUG=1)
    wire.pass_time()
    note = (await seen(wire, order_id)).note
    assert "Gift, wrapped" in note and "business order of" in note and "PO-" in note


async def test_tax_that_amazon_collects_is_not_the_sellers() -> None:
    wire = shop()
    order_id = buy(wire, MUG=2)
    wire.pass_time()
    order = await seen(wire, order_id)
    taxes = [tax for line in order.lines for tax in line.taxes]
    assert taxes and all(tax.collected_by_channel for tax in taxes)
    assert example("order_shipped_facilitator_tr").totals is not None


@pytest.mark.parametrize(
    ("place", "currency", "each_minor", "domain"),
    [(US, "USD", 1200, "com"), (DE, "EUR", 1200, "de"), (JP, "JPY", 1200, "co.jp")],
)
async def test_each_marketplace_has_its_currency_and_its_relay_address(
    place: str, currency: str, each_minor: int, domain: str
) -> None:
    wire = shop(currency, marketplace_ids=(place,))
    order_id = buy(wire, MUG=2)
    wire.pass_time()
    order = await seen(wire, order_id)
    assert order.totals is not None and order.totals.items.minor == 2 * each_minor
    assert {order.totals.total.currency, order.lines[0].subtotal.currency} == {currency}  # type: ignore[union-attr]
    assert order.buyer is not None and order.buyer.email is not None and order.buyer.email_is_relay
    assert order.buyer.email.endswith(f"@marketplace.amazon.{domain}")


async def test_without_the_role_for_persons_the_order_is_whole_but_nameless() -> None:
    wire = shop(roles=())
    order_id = buy(wire, MUG=2)
    wire.pass_time()
    order = await seen(wire, order_id)
    assert order.buyer is None and counts(order) == [("MUG", 2, 0, 0)] and order.totals is not None
    assert order.ship_to is not None and (order.ship_to.name, order.ship_to.line1) == (None, None)


async def test_a_role_that_is_missing_is_found_by_what_is_refused_and_named() -> None:
    async def wrong(*missing: str) -> dict[str, str]:
        wire = shop(missing_roles=missing)
        channel: Any = wire.channel
        await channel.subscribe(wire, None, wire.app_secret)
        return {one.which: one.todo for one in await channel.check(wire, None, wire.app_secret) if not one.ok}

    assert await wrong() == {}
    (listing,) = (await wrong("product-listing")).items()
    assert listing[0] == "searchListingsItems" and "'Product Listing'" in listing[1] and "sign in" in listing[1]
    both = await wrong("product-listing", "inventory-and-order-tracking")
    assert both.keys() == {"getOrder", "searchListingsItems", "getFeeds"}
    assert "'Inventory and Order Tracking'" in both["getFeeds"]


async def test_a_parcel_without_the_role_is_refused_and_not_lost() -> None:
    wire = shop(missing_roles=("inventory-and-order-tracking",))
    order_id = buy(wire, MUG=1)
    wire.pass_time()
    channel: Any = wire.channel
    line = (await seen(wire, order_id)).lines[0].line_id
    outcome = await channel.ship(wire, order_id, Parcel("901", {line: 1}, wire.clock.now(), "UPS", "1Z"), {})
    assert isinstance(outcome, Rejected) and outcome.code == "unauthorized"


# --- what is no sale of ours ------------------------------------------------------------------------------------------


async def test_a_multi_channel_order_of_amazons_stock_is_no_sale() -> None:
    wire = shop()
    wire.market.console("move_to_amazon", sku="CUP", quantity=5)
    told = wire.market.console("sell_elsewhere", sku="CUP", pieces=2)
    wire.pass_time()
    message = await wire.channel.fetch_order(wire, told["order_id"])
    assert message is not None
    (fact,) = wire.channel.parse(message)
    assert isinstance(fact, Ignored) and "multi-channel" in fact.reason
    assert wire.judge.violations == [] and wire.market.shelf.listings["CUP"].fba_stock == 3


async def test_an_order_that_amazon_ships_takes_nothing_from_our_shelf() -> None:
    wire = shop()
    wire.market.console("move_to_amazon", sku="CUP", quantity=5)
    order_id = buy(wire, CUP=1)
    wire.pass_time(3600)
    order = await seen(wire, order_id)
    assert order.fulfilled_by_channel and all(line.fulfilled_by_channel for line in order.lines)


async def test_a_replacement_costs_nothing_and_takes_pieces() -> None:
    wire = shop()
    first = buy(wire, MUG=1)
    wire.pass_time()
    again = wire.market.console("replacement", order_id=first)["order_id"]
    wire.pass_time()
    order = await seen(wire, again)
    assert order.totals is not None and order.totals.total.minor == 0
    assert (order.payment, counts(order)) == (
        Payment.PAID,
        [("MUG", 1, 0, 0)],
    ) and f"replacement of {first}" in order.note
