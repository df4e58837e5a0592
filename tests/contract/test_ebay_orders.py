"""eBay: what an order can go through, by recorded orders changed as the documents say, and by the emulated eBay from end to end."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from test_ebay_connector import changed, document, seen, us_order
from test_ebay_connector_abilities import ALL, ELIGIBLE, an_order
from test_ebay_connector_requests import Scripted, seller
from test_wire import bought, order
from wire import Wire

from oneshelf.channels.abilities import CancelWish
from oneshelf.channels.contract import Offer, Outlet
from oneshelf.core.facts import Money, OrderSeen, Payment
from oneshelf.core.outcome import Accepted, Rejected
from oneshelf_emulator.world import Product


def usd(value: str) -> dict[str, str]:
    return {"value": value, "currency": "USD"}


# --- refunds ------------------------------------------------------------------------------------------------------------


def refunded(of_order: list[Any], of_line: list[Any]) -> Money | None:
    whole = document("order_us_tax")
    whole["paymentSummary"]["refunds"] = of_order
    whole["lineItems"][0]["refunds"] = of_line
    return seen(whole).refunded


def test_quirk_a_refund_of_a_line_stands_at_its_line_only() -> None:
    """Schema OrderRefund: "does not include line item level refunds"; a line's refund has a date once it is issued."""
    line = {"refundId": "1", "amount": usd("2.00"), "refundDate": "2026-11-01T10:00:00.000Z"}
    whole = {"refundId": "2", "amount": usd("5.00"), "refundStatus": "REFUNDED"}
    assert refunded([], [line]) == Money(200, "USD")
    assert refunded([whole], [line]) == Money(700, "USD")
    assert refunded([{**whole, "refundId": "1"}], [line]) == Money(500, "USD"), "told twice, given back once"
    assert refunded([{**whole, "refundId": "1", "refundStatus": "PENDING"}], [line]) == Money(0, "USD")
    assert refunded([], [{"refundId": "1", "amount": usd("2.00")}]) == Money(0, "USD"), "not issued yet"
    assert refunded([], [{**line, "amount": {"value": "2.00", "currency": "EUR"}}]) is None, "two currencies"


async def test_a_partial_refund_moves_money_and_no_stock() -> None:
    wire = Wire("ebay")
    order_id = bought(wire, [next(iter(wire.market.state()["stock"]))])
    before = await order(wire, order_id)
    assert before.refunded == Money(0, "USD") and before.totals is not None
    wire.market.console("refund", order_id=order_id, amount_minor=100)
    wire.pass_time()
    after = await order(wire, order_id)
    assert (after.refunded, after.payment, after.cancelled) == (Money(100, "USD"), Payment.PAID, False)
    assert [line.cancelled for line in after.lines] == [0]
    wire.market.console("refund", order_id=order_id)
    wire.pass_time()
    assert not (await order(wire, order_id)).cancelled, "a full refund is no cancel"


# --- unpaid, cancelled, several lines -------------------------------------------------------------------------------------


async def test_an_unpaid_order_is_pending_then_paid_then_cancelled() -> None:
    wire = Wire("ebay")
    wire.market.switches.update(payment_pending_share=1.0, payment_pending_s=1e9)
    skus = list(wire.market.state()["stock"])[:2]
    order_id = bought(wire, skus)
    pending = await order(wire, order_id)
    assert pending.payment is Payment.PENDING and len(pending.lines) == 2 and not pending.cancelled
    wire.market.console("pay", order_id=order_id)
    assert (await order(wire, order_id)).payment is Payment.PAID
    wire.market.console("request_cancel", order_id=order_id, reason="BUYER_CANCEL_ORDER")
    asked = await order(wire, order_id)
    assert asked.cancel_asked and not asked.cancelled and [line.cancelled for line in asked.lines] == [0, 0]
    [case] = wire.market.cancellations.cases
    wire.market.console("approve_cancel", cancel_id=case)
    wire.pass_time()
    gone = await order(wire, order_id)
    assert gone.cancelled and [line.cancelled for line in gone.lines] == [line.ordered for line in gone.lines]
    assert gone.totals is not None and gone.cancel_asked == ""
    # Tax that eBay collected comes back from eBay: it is not in the refund's amount (schema OrderRefund).
    assert gone.refunded == Money(gone.totals.total.minor - gone.totals.tax.minor, gone.totals.total.currency)


async def test_quirk_an_unpaid_checkout_is_hidden_and_has_another_id_once_paid() -> None:
    wire = Wire("ebay")
    wire.market.switches.update(unpaid_share=1.0, unpaid_s=10_000)
    sku = next(iter(wire.market.state()["stock"]))
    sale = wire.market.buy(wire.buyer(), {sku: 1})
    hidden = sale.order_id
    assert await wire.channel.fetch_order(wire, hidden) is None
    wire.market.console("pay", order_id=hidden)
    wire.pass_time()
    assert sale.order_id != hidden and (await order(wire, sale.order_id)).payment is Payment.PAID


# --- where it goes --------------------------------------------------------------------------------------------------------


async def test_quirk_the_hubs_reference_stands_right_above_its_street() -> None:
    wire = Wire("ebay")
    order_id = bought(wire, [next(iter(wire.market.state()["stock"]))])
    at_home = await order(wire, order_id)
    reference = wire.market.console("send_through_hub", order_id=order_id)["reference"]
    through = await order(wire, order_id)
    assert through.ship_to is not None and at_home.ship_to is not None
    assert through.ship_to.line1 == f"Reference #{reference}"
    assert through.ship_to.line2 == "1850 Airport Exchange Blvd, Suite 200"
    assert (through.ship_to.city, through.ship_to.name) == ("Erlanger", at_home.ship_to.name)
    assert f"Reference #{reference}" in through.note and "Reference" not in at_home.note


def test_a_reference_that_names_itself_is_not_named_twice_and_a_company_keeps_its_line() -> None:
    start = document()["order"]["fulfillmentStartInstructions"]
    start[0]["shippingStep"]["shipToReferenceId"] = "Reference #99"
    assert changed(fulfillmentStartInstructions=start).ship_to.line1 == "Reference #99"  # type: ignore[union-attr]
    start = deepcopy(document()["order"]["fulfillmentStartInstructions"])
    ship_to = start[0]["shippingStep"]["shipTo"]
    ship_to.update(fullName="Eva Muster", companyName="Muster GmbH")
    ship_to["contactAddress"].update(addressLine1="Weg 1", addressLine2="3. Stock")
    address = changed(fulfillmentStartInstructions=start).ship_to
    assert address is not None and (address.line1, address.line2) == ("Weg 1", "Muster GmbH, 3. Stock")
    ship_to.update(fullName="Muster GmbH")
    assert changed(fulfillmentStartInstructions=start).ship_to.line2 == "3. Stock"  # type: ignore[union-attr]


def test_quirk_the_buyers_mail_is_a_relay_and_is_gone_after_14_days() -> None:
    known = changed()
    assert known.buyer is not None and known.buyer.email_is_relay
    buyer = document()["order"]["buyer"]
    start = document()["order"]["fulfillmentStartInstructions"]
    buyer.get("buyerRegistrationAddress", {}).pop("email", None)
    start[0]["shippingStep"]["shipTo"].pop("email", None)
    later = changed(buyer=buyer, fulfillmentStartInstructions=start)
    assert later.buyer is not None and later.buyer.email is None
    assert later.buyer.channel_buyer_id == known.buyer.channel_buyer_id


# --- tax and currencies -----------------------------------------------------------------------------------------------------


def with_tax(*taxes: dict[str, Any]) -> OrderSeen:
    whole = document("order_us_tax")
    whole["lineItems"][0]["ebayCollectAndRemitTaxes"] = list(taxes)
    return seen(whole)


def test_ebays_tax_number_is_told_for_customs() -> None:
    vat = {"taxType": "IMPORT_VAT", "amount": usd("10.11"), "ebayReference": {"name": "IOSS", "value": "IM2760000742"}}
    abroad = with_tax(vat)
    assert "For customs: eBay collects the tax, its IOSS number is IM2760000742." in abroad.note
    assert [tax.collected_by_channel for tax in abroad.lines[0].taxes] == [True]
    assert "customs" not in with_tax({**vat, "ebayReference": {"name": "DDG", "value": "1"}}).note
    assert "customs" not in us_order().note


def test_amounts_that_ebay_converted_are_taken_in_the_orders_currency() -> None:
    """`value` is after the conversion, `convertedFromValue` before it: schema Amount."""
    whole = document("order_us_tax")
    line, summary = whole["lineItems"][0], whole["pricingSummary"]
    for amount in (line["lineItemCost"], summary["total"], summary["priceSubtotal"]):
        amount.update(convertedFromValue="1.00", convertedFromCurrency="CAD")
    converted = seen(whole)
    assert converted.totals == us_order().totals and converted.totals is not None


# --- nothing left ------------------------------------------------------------------------------------------------------------


async def show(wire: Wire, sku: str, quantity: int) -> tuple[str, str]:
    """Write a number; return the id and state of the listing that sells it now."""
    [found] = await wire.channel.listings_of(wire, sku)  # type: ignore[attr-defined]
    [outcome] = await wire.channel.publish(wire, [Offer(Outlet(sku, sku, found.extra), quantity)])
    assert isinstance(outcome, Accepted), outcome
    wire.pass_time()
    listing = wire.market.seller.listing_of(wire.market.seller.offers_of(sku)[0])
    return listing.listing_id, listing.status


async def state_of(wire: Wire, sku: str) -> tuple[str, int | None]:
    [found] = await wire.channel.listings_of(wire, sku)  # type: ignore[attr-defined]
    return found.state, found.quantity


async def test_S8_16_quirk_zero_keeps_the_listing_with_out_of_stock_control_and_ends_it_without() -> None:
    wire = Wire("ebay", [Product("MUG", "Mug", 1_250, "USD", 5)])
    listing, status = await show(wire, "MUG", 0)
    assert status == "OUT_OF_STOCK" and await state_of(wire, "MUG") == ("out_of_stock", 0)
    assert await show(wire, "MUG", 4) == (listing, "ACTIVE"), "the same listing, by itself"
    assert await state_of(wire, "MUG") == ("live", 4)
    wire.market.console("set_out_of_stock_control", on=False)
    found = await wire.channel.check(wire, None, wire.app_secret)  # type: ignore[attr-defined]
    assert [one.holds_back for one in found if one.which == "out_of_stock_control"] == [True]
    assert await show(wire, "MUG", 0) == (listing, "ENDED")
    assert await state_of(wire, "MUG") == ("draft", 0), "its offer is unpublished now"
    [refused] = await wire.channel.publish(wire, [Offer(Outlet("MUG", "MUG"), 3)])
    assert isinstance(refused, Rejected) and refused.code == "25713", "only a new listing brings it back"


async def test_S8_16_quirk_the_lower_of_item_and_offer_is_shown_and_only_the_item_is_written() -> None:
    wire = Wire("ebay", [Product("MUG", "Mug", 1_250, "USD", 5)])
    wire.market.console("set_offer_quantity", sku="MUG", quantity=2)
    await show(wire, "MUG", 4)
    assert wire.market.shown("MUG") == 2
    [found] = await wire.channel.listings_of(wire, "MUG")  # type: ignore[attr-defined]
    assert (found.quantity, found.extra["pinned"]) == (2, True)
    assert [one.available_quantity for one in wire.market.seller.offers_of("MUG")] == [2], "never written by us"
    wire.market.console("set_offer_quantity", sku="MUG", quantity=None)
    assert wire.market.shown("MUG") == 4


# --- cancelling -------------------------------------------------------------------------------------------------------------


async def test_a_cancel_that_ebay_takes_and_then_calls_not_eligible_is_refused() -> None:
    """CreateCancelResponse: `cancelId` is left out, `orderEligibilityResult` given, if the order can't be cancelled (any more)."""
    verdict = {"orderEligibilityResult": {"eligible": False, "legacyOrderId": "x"}}
    outcome = await seller().cancel(Scripted(an_order(), ELIGIBLE, (200, verdict)), ALL)
    assert isinstance(outcome, Rejected) and outcome.code == "not_eligible"


async def test_quirk_sellers_of_the_eu_and_uk_sign_a_cancel_and_ebay_verifies_it() -> None:
    wire = Wire("ebay")
    wire.market.switches.update(signatures_required=True)
    keys = wire.market.signatures.credentials()
    sku = next(iter(wire.market.state()["stock"]))

    async def cancel(**signing: str) -> Any:
        facts = await order(wire, bought(wire, [sku]))
        lines = {line.line_id: line.ordered for line in facts.lines}
        wire.secret.values.update(signing)
        return await wire.channel.cancel(wire, CancelWish(facts.order_id, lines, True, "k", {}))  # type: ignore[attr-defined]

    unsigned = await cancel()
    assert isinstance(unsigned, Rejected) and unsigned.code == "signature"
    assert isinstance(await cancel(**keys), Accepted)
    other = await cancel(**{**keys, "signing_jwe": "another"})
    assert isinstance(other, Rejected) and other.code == "signature"
    assert wire.judge.violations == []


@pytest.mark.parametrize("word", ["legacy_order_id", "limit", "offset"])
async def test_quirk_cases_are_searched_by_documented_parameters(word: str) -> None:
    """Search Cancellations documents legacy_order_id; the emulated eBay refuses parameters that it does not document."""
    wire = Wire("ebay")
    facts = await order(wire, bought(wire, [next(iter(wire.market.state()["stock"]))]))
    lines = {line.line_id: line.ordered for line in facts.lines}
    wish = CancelWish(facts.order_id, lines, True, "k", {})
    asked: list[str] = []
    send = wire.sent

    async def watched(request: Any) -> Any:
        asked.append(request.url)
        return await send(request)

    wire.sent = watched  # type: ignore[method-assign]
    assert (await wire.channel.cancel_state(wire, wish, None)).state == "none"  # type: ignore[attr-defined]
    assert any(f"{word}=" in url for url in asked if "/cancellation/search" in url)
