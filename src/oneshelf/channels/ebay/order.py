"""One eBay order (with its shipping fulfillments) → OrderSeen. Pure.

In: the stored document `{"order": …, "shippingFulfillments": [...] | null}`, or a bare order. Out: the order in our words, amounts
adding up to what the buyer pays. Never: network.
Source: eBay Sell Fulfillment v1.20.6, schemas Order, LineItem, ShippingFulfillment, read 2026-11.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from oneshelf.channels.ebay.wire import UNITS_MAX, decoded, inside, instant, money, objects, text, whole
from oneshelf.core.errors import Unreadable
from oneshelf.core.facts import (
    Address,
    BuyerSeen,
    LineSeen,
    Money,
    OrderSeen,
    OrderTotals,
    Payment,
    ShipmentSeen,
    TaxLine,
)
from oneshelf.core.money import share_out

#: orderPaymentStatus → payment. A refund, full too, moves money, not stock (S5.4); only cancelState cancels.
PAYMENT: dict[str, Payment] = {
    "PENDING": Payment.PENDING,
    "PAID": Payment.PAID,
    "FAILED": Payment.FAILED,
    "PARTIALLY_REFUNDED": Payment.PAID,
    "FULLY_REFUNDED": Payment.PAID,
}

#: cancelStatus.cancelState → cancelled. IN_PROGRESS is a wish, not yet a fact.
CANCELLED: dict[str, bool] = {"NONE_REQUESTED": False, "IN_PROGRESS": False, "CANCELED": True}


class _Line(msgspec.Struct, rename="camel"):
    line_item_id: Any
    quantity: int
    legacy_item_id: Any = None
    legacy_variation_id: Any = None
    sku: Any = None
    title: Any = None
    line_item_cost: Any = None
    discounted_line_item_cost: Any = None
    line_item_fulfillment_status: Any = None
    line_item_fulfillment_instructions: Any = None
    listing_marketplace_id: Any = None
    taxes: Any = None
    ebay_collect_and_remit_taxes: Any = None
    refunds: Any = None
    gift_details: Any = None


class _Order(msgspec.Struct, rename="camel"):
    order_id: Any
    line_items: list[_Line]
    creation_date: Any = None
    last_modified_date: Any = None
    order_payment_status: Any = None
    order_fulfillment_status: Any = None
    cancel_status: Any = None
    buyer: Any = None
    buyer_checkout_notes: Any = None
    pricing_summary: Any = None
    payment_summary: Any = None
    fulfillment_start_instructions: Any = None
    program: Any = None


class _Document(msgspec.Struct, rename="camel"):
    order: _Order | None = None
    shipping_fulfillments: Any = None


#: Tax references without a customs declaration: digital goods, and goods sent within Germany or from it.
_NO_CUSTOMS = {"DDG", "OSS"}

#: Hosts of the sites that are not ebay.com. A seller's pages open on any of them.
SITES = {
    "EBAY_GB": "www.ebay.co.uk",
    "EBAY_DE": "www.ebay.de",
    "EBAY_AT": "www.ebay.at",
    "EBAY_CH": "www.ebay.ch",
    "EBAY_FR": "www.ebay.fr",
    "EBAY_IT": "www.ebay.it",
    "EBAY_ES": "www.ebay.es",
    "EBAY_NL": "www.ebay.nl",
    "EBAY_BE": "www.ebay.be",
    "EBAY_IE": "www.ebay.ie",
    "EBAY_PL": "www.ebay.pl",
    "EBAY_CA": "www.ebay.ca",
    "EBAY_AU": "www.ebay.com.au",
}


def order_link(order_id: str, marketplace_id: str | None) -> str:
    """Return an order's page in Seller Hub, where a person cancels it. Not a documented address: eBay's own pages link so."""
    host = SITES.get(marketplace_id or "", "www.ebay.com")
    return f"https://{host}/mesh/ord/details?orderid={quote(order_id, safe='')}"


def listing_key(item_id: str, variation_id: str | None) -> str:
    """Return how a listing (or one variation of it) is named in catalogue and orders alike. Variation "0" is none."""
    return f"listing:{item_id}/{variation_id if variation_id and variation_id != '0' else ''}"


def order_seen(body: bytes) -> OrderSeen:
    """Read one order. Raises Unreadable without id, lines or their counts."""
    document = decoded(body, _Document, "order")
    order = document.order or decoded(body, _Order, "order")
    order_id = text(order.order_id)
    if order_id is None:
        raise Unreadable("eBay order without orderId")
    cancel_state = (text(inside(order.cancel_status, "cancelState")) or "").upper()
    cancelled = CANCELLED.get(cancel_state, False)
    instructions = objects(order.fulfillment_start_instructions)
    kinds = {(text(one.get("fulfillmentInstructionsType")) or "").upper() for one in instructions}
    by_ebay = "FULFILLED_BY_EBAY" in kinds or text(inside(order.program, "fulfillmentProgram", "fulfilledBy")) == "EBAY"
    shipments = _shipments(document.shipping_fulfillments, order)
    shipped = _shipped(document.shipping_fulfillments, shipments, order)
    bare = tuple(
        _line(one, shipped, cancelled=cancelled, by_ebay=by_ebay, digital=kinds == {"DIGITAL"})
        for one in order.line_items
    )
    lines, totals, remark = _with_money(order, bare)
    dates = [instant(inside(one.line_item_fulfillment_instructions, "shipByDate")) for one in order.line_items]
    return OrderSeen(
        order_id=order_id,
        number=order_id,
        # An unknown word holds stock and does not ship.
        payment=PAYMENT.get((text(order.order_payment_status) or "").upper(), Payment.PENDING),
        lines=lines,
        placed_at=instant(order.creation_date),
        updated_at=instant(order.last_modified_date),
        cancelled=cancelled,
        cancelled_at=instant(inside(order.cancel_status, "cancelledDate")) if cancelled else None,
        marketplace_id=next((text(one.listing_marketplace_id) for one in order.line_items), None),
        shipments=shipments,
        buyer=_buyer(order),
        ship_to=_address(instructions),
        totals=totals,
        ship_by_at=min((at for at in dates if at), default=None),
        fulfilled_by_channel=by_ebay,
        deep_link=order_link(order_id, next((text(one.listing_marketplace_id) for one in order.line_items), None)),
        note=_note(order, instructions, cancel_state, remark),
        cancel_asked=_cancel_asked(order, cancel_state),
        refunded=_refunded(order),
    )


def _cancel_asked(order: _Order, cancel_state: str) -> str:
    """Return the buyer's reason while the seller has to answer. Only a read by id names who asks; without it somebody does."""
    requests = objects(inside(order.cancel_status, "cancelRequests"))
    for one in requests:
        by_buyer = (text(one.get("cancelInitiator")) or "BUYER").upper() == "BUYER"
        if by_buyer and (text(one.get("cancelRequestState")) or "").upper() == "REQUESTED":
            return text(one.get("cancelReason")) or "asked"
    return "asked" if cancel_state == "IN_PROGRESS" and not requests else ""


def _refunded(order: _Order) -> Money | None:
    """Return what was given back so far; refunds that are pending or failed are not. None: not said, or in several currencies.

    A refund of single lines stands at these lines only, and has a date once it is issued. Amounts are the seller's: tax that eBay
    collected and gives back is not in them. Source: schemas OrderRefund ("does not include line item level refunds"), LineItemRefund.
    """
    refunds, total = inside(order.payment_summary, "refunds"), inside(order.pricing_summary, "total")
    try:
        whole_order = money(total)
        if whole_order is None or not isinstance(refunds, list):
            return None
        known = {text(one.get("refundId")) for one in objects(refunds)} - {None}
        done = [one for one in objects(refunds) if (text(one.get("refundStatus")) or "").upper() == "REFUNDED"]
        of_lines = [one for line in order.line_items for one in objects(line.refunds)]
        done += [one for one in of_lines if one.get("refundDate") and text(one.get("refundId")) not in known]
        return Money(sum(_minor(one.get("amount"), whole_order.currency) for one in done), whole_order.currency)
    except Unreadable:
        return None


# --- lines -----------------------------------------------------------------------------------------------------------


def _line_id(one: _Line) -> str:
    line_id = text(one.line_item_id)
    if line_id is None:
        raise Unreadable("eBay order: a line without lineItemId")
    return line_id


def _line(one: _Line, shipped: dict[str, int], *, cancelled: bool, by_ebay: bool, digital: bool) -> LineSeen:
    line_id, sku, item = _line_id(one), text(one.sku), text(one.legacy_item_id)
    if not 0 <= one.quantity <= UNITS_MAX:
        raise Unreadable(f"eBay order: line {line_id} counts {one.quantity}")
    keys = [listing_key(item, text(one.legacy_variation_id))] if item else []
    if sku:
        keys.append(f"sku:{sku}")
    gone = min(shipped.get(line_id, 0), one.quantity)
    return LineSeen(
        line_id=line_id,
        listing_keys=tuple(keys),
        ordered=one.quantity,
        shipped=gone,
        # eBay cancels whole orders only.
        cancelled=one.quantity - gone if cancelled else 0,
        sku=sku,
        title=text(one.title) or "",
        fulfilled_by_channel=by_ebay,
        needs_shipping=not digital,
    )


def _shipped(fulfillments: Any, shipments: tuple[ShipmentSeen, ...], order: _Order) -> dict[str, int]:
    """Return units shipped a line, from the list of fulfillments.

    A line is FULFILLED as soon as any of its units is shipped, so without the list only one unit is certain.
    """
    if fulfillments is None:
        fulfilled = [one for one in order.line_items if text(one.line_item_fulfillment_status) == "FULFILLED"]
        return {_line_id(one): 1 for one in fulfilled}
    units: dict[str, int] = {}
    for shipment in shipments:
        for line_id, count in shipment.units.items():
            units[line_id] = units.get(line_id, 0) + count
    return units


def _shipments(fulfillments: Any, order: _Order) -> tuple[ShipmentSeen, ...]:
    ordered = {_line_id(one): one.quantity for one in order.line_items}
    parcels = []
    for place, parcel in enumerate(objects(fulfillments)):
        units: dict[str, int] = {}
        for line in objects(parcel.get("lineItems")):
            line_id, count = text(line.get("lineItemId")) or "", whole(line.get("quantity"))
            # A parcel that names a line without a count holds all of it.
            units[line_id] = units.get(line_id, 0) + (ordered.get(line_id, 0) if count is None else max(0, count))
        parcels.append(
            ShipmentSeen(
                shipment_id=text(parcel.get("fulfillmentId")) or f"{text(order.order_id)}-{place + 1}",
                created_at=instant(parcel.get("shippedDate")),
                units=units,
                tracking_number=text(parcel.get("shipmentTrackingNumber")),
                carrier=text(parcel.get("shippingCarrierCode")),
            )
        )
    return tuple(parcels)


# --- money -----------------------------------------------------------------------------------------------------------


def _minor(value: Any, currency: str) -> int:
    amount = money(value)
    if amount is None:
        return 0
    if amount.currency != currency:
        raise Unreadable(f"amounts in {currency} and {amount.currency}")
    return amount.minor


def _with_money(order: _Order, lines: tuple[LineSeen, ...]) -> tuple[tuple[LineSeen, ...], OrderTotals | None, str]:
    """Return the lines with money, the totals, and a remark. Unreadable money does not keep the stock from being held."""
    try:
        return _priced(order, lines)
    except Unreadable as bad:
        return lines, None, f"The order's money can't be read: {bad}."


def _priced(order: _Order, lines: tuple[LineSeen, ...]) -> tuple[tuple[LineSeen, ...], OrderTotals | None, str]:
    """Whether eBay's collected tax is inside `total` depends on fieldGroups: the sum that fits decides (it is what the buyer paid)."""
    pricing = order.pricing_summary
    total = money(inside(pricing, "total"))
    if total is None or not lines:
        return lines, None, ""
    currency = total.currency
    costs = [_minor(one.line_item_cost, currency) for one in order.line_items]
    if min(costs) < 0:
        raise Unreadable("a line costs less than nothing")
    own, collected = _taxes(order, currency)
    items, shipping = sum(costs), _minor(inside(pricing, "deliveryCost"), currency)
    shipping -= abs(_minor(inside(pricing, "deliveryDiscount"), currency))
    discount = abs(_minor(inside(pricing, "priceDiscount"), currency))
    known = _minor(inside(pricing, "fee"), currency) + _minor(inside(pricing, "adjustment"), currency)
    own_tax, ebay_tax = _sum(own), _sum(collected)
    paid = total.minor
    if ebay_tax and paid - (items + shipping - discount + known + own_tax) == 0:
        paid += ebay_tax
    rest = paid - (items + shipping - discount + own_tax + ebay_tax)
    remark = ""
    if rest != known:
        remark = f"eBay's amounts miss its total by {rest - known} minor units of {currency}."
    shipping, discount = shipping + max(0, rest), discount + max(0, -rest)
    discounts = _discounts(order, costs, discount, currency)
    priced = tuple(
        msgspec.structs.replace(
            line, subtotal=Money(cost, currency), discount=Money(part, currency), taxes=(*mine, *theirs)
        )
        for line, cost, part, mine, theirs in zip(lines, costs, discounts, own, collected, strict=True)
    )
    totals = OrderTotals(
        items=Money(items, currency),
        shipping=Money(shipping, currency),
        tax=Money(own_tax + ebay_tax, currency),
        discount=Money(discount, currency),
        total=Money(paid, currency),
    )
    return priced, totals, remark


def _sum(taxes: list[tuple[TaxLine, ...]]) -> int:
    return sum(tax.amount.minor for line in taxes for tax in line)


def _taxes(order: _Order, currency: str) -> tuple[list[tuple[TaxLine, ...]], list[tuple[TaxLine, ...]]]:
    """Return, a line, the taxes of the seller's own and those that eBay collects and remits.

    With TAX_BREAKDOWN a collected tax also stands in `taxes`, under the same type: it counts once.
    """
    own, collected = [], []
    for one in order.line_items:
        theirs = [_tax(tax, currency, by_ebay=True) for tax in objects(one.ebay_collect_and_remit_taxes)]
        named = {tax.title for tax in theirs}
        mine = [_tax(tax, currency, by_ebay=False) for tax in objects(one.taxes)]
        collected.append(tuple(tax for tax in theirs if tax.amount.minor))
        own.append(tuple(tax for tax in mine if tax.amount.minor and tax.title not in named))
    return own, collected


def _tax(tax: dict[str, Any], currency: str, *, by_ebay: bool) -> TaxLine:
    title = (text(tax.get("taxType")) or "TAX").replace("_", " ").capitalize()
    return TaxLine(title, Money(_minor(tax.get("amount"), currency), currency), collected_by_channel=by_ebay)


def _discounts(order: _Order, costs: list[int], discount: int, currency: str) -> list[int]:
    """Return the discount a line: eBay's own if they meet the order's, else shared out by cost."""
    stated = [
        0 if one.discounted_line_item_cost is None else cost - _minor(one.discounted_line_item_cost, currency)
        for one, cost in zip(order.line_items, costs, strict=True)
    ]
    return stated if sum(stated) == discount else share_out(discount, costs)


# --- people ----------------------------------------------------------------------------------------------------------


def _phone(contact: Any) -> str | None:
    return text(inside(contact, "primaryPhone", "phoneNumber"))


def _buyer(order: _Order) -> BuyerSeen:
    """Return the buyer. The e-mail is a members' relay, given for 14 days; the username may be eBay's immutable id."""
    known = inside(order.buyer, "buyerRegistrationAddress")
    ship_to = _ship_to(objects(order.fulfillment_start_instructions))
    return BuyerSeen(
        channel_buyer_id=text(inside(order.buyer, "username")),
        name=text(inside(known, "fullName")) or text(inside(ship_to, "fullName")),
        email=text(inside(known, "email")) or text(inside(ship_to, "email")),
        email_is_relay=True,
        phone=_phone(known) or _phone(ship_to),
    )


def _ship_to(instructions: list[dict[str, Any]]) -> Any:
    return next((found for one in instructions if (found := inside(one, "shippingStep", "shipTo"))), None)


def _address(instructions: list[dict[str, Any]]) -> Address | None:
    """Return where the parcel goes: for international programmes eBay's hub, with its reference right above the street.

    A company that the name does not tell goes with the second line. Source: schemas ShippingStep.shipToReferenceId ("immediately above
    the street address", "Reference #1234567890123456"), ExtendedContact.companyName.
    """
    ship_to = _ship_to(instructions)
    lines = inside(ship_to, "contactAddress")
    name, company = text(inside(ship_to, "fullName")), text(inside(ship_to, "companyName"))
    line1, line2 = text(inside(lines, "addressLine1")), text(inside(lines, "addressLine2"))
    reference = next(iter(_references(instructions)), None)
    if reference is not None:
        line1, line2 = _label(reference), ", ".join(part for part in (line1, line2) if part) or None
    elif company and company != name:
        line2 = ", ".join(part for part in (company, line2) if part)
    address = Address(
        name=name,
        line1=line1,
        line2=line2,
        city=text(inside(lines, "city")),
        region=text(inside(lines, "stateOrProvince")),
        postal_code=text(inside(lines, "postalCode")),
        country=text(inside(lines, "countryCode")),
        phone=_phone(ship_to),
    )
    return None if address == Address() else address


def _references(instructions: list[dict[str, Any]]) -> list[str]:
    found = [text(inside(one, "shippingStep", "shipToReferenceId")) for one in instructions]
    return list(dict.fromkeys(one for one in found if one))


def _label(reference: str) -> str:
    return reference if reference.lower().startswith("reference") else f"Reference #{reference}"


def _customs(order: _Order) -> list[tuple[str, str]]:
    """Return (kind, number) of eBay's tax registrations that the carrier must be given. Source: schema EbayTaxReference.name."""
    found: dict[tuple[str, str], None] = {}
    for line in order.line_items:
        for tax in objects(line.ebay_collect_and_remit_taxes):
            kind, number = text(inside(tax, "ebayReference", "name")), text(inside(tax, "ebayReference", "value"))
            if kind and number and kind.upper() not in _NO_CUSTOMS:
                found[kind, number] = None
    return list(found)


def _note(order: _Order, instructions: list[dict[str, Any]], cancel_state: str, remark: str) -> str:
    """Gather what the packer must know: the buyer's words, a wish to cancel, what must be on the label."""
    notes = [text(order.buyer_checkout_notes)]
    if cancel_state == "IN_PROGRESS":
        notes.append("A cancellation is asked for on eBay and not yet decided.")
    for reference in _references(instructions):
        notes.append(
            f"The label must carry {_label(reference)} right above the street (the address is eBay's hub, which sends it on)."
        )
    notes += [f"For customs: eBay collects the tax, its {name} number is {number}." for name, number in _customs(order)]
    for line in order.line_items:
        words = text(inside(line.gift_details, "message"))
        if words:
            notes.append(f"Gift from {text(inside(line.gift_details, 'senderName')) or 'the buyer'}: {words}")
    notes.append(remark)
    return "\n".join(note for note in notes if note)
