"""One Etsy receipt → OrderSeen. Pure.

In: a ShopReceipt as Etsy sends it. Out: the whole order in our words, amounts adding up to `grandtotal`. Never: network.
Source: Etsy Open API v3, schemas ShopReceipt, ShopReceiptTransaction, read 2026-08; live behaviour from github.com/etsy/open-api.
"""

from __future__ import annotations

from typing import Any

import msgspec

from oneshelf.channels.etsy import listing as etsy_listing
from oneshelf.channels.etsy.wire import UNITS_MAX, EtsyMoney, decoded, instant, money, text, whole
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

#: (status, is_paid) → (payment, cancelled). Live words are capitalised ("Paid"): compared in lower case (#806).
TRUTH: dict[tuple[str, bool], tuple[Payment, bool]] = {
    ("open", False): (Payment.PENDING, False),
    ("open", True): (Payment.PAID, False),  # the status lags behind the money
    ("payment processing", False): (Payment.PENDING, False),
    ("payment processing", True): (Payment.PENDING, False),  # not yet to be shipped, whatever the flag says
    ("paid", True): (Payment.PAID, False),
    ("paid", False): (Payment.PENDING, False),  # contradicts itself: hold, do not ship
    ("completed", True): (Payment.PAID, False),
    ("completed", False): (Payment.PAID, False),  # paid and shipped by definition
    ("canceled", True): (Payment.PAID, True),
    ("canceled", False): (Payment.FAILED, True),
    ("cancelled", True): (Payment.PAID, True),
    ("cancelled", False): (Payment.FAILED, True),
    # A refund, full too, moves money, not stock: it need not be a cancel (S5.4).
    ("fully refunded", True): (Payment.PAID, False),
    ("fully refunded", False): (Payment.PAID, False),
    ("partially refunded", True): (Payment.PAID, False),
    ("partially refunded", False): (Payment.PAID, False),
}


class _Transaction(msgspec.Struct):
    transaction_id: int
    quantity: int
    listing_id: int | None = None
    sku: Any = None
    title: Any = None
    price: Any = None
    variations: list[dict[str, Any]] | None = None
    product_data: list[dict[str, Any]] | None = None
    is_digital: bool | None = None
    expected_ship_date: Any = None


class _Receipt(msgspec.Struct):
    receipt_id: int
    transactions: list[_Transaction]
    status: str | None = None
    is_paid: bool | None = None
    is_shipped: bool | None = None
    created_timestamp: Any = None
    create_timestamp: Any = None
    updated_timestamp: Any = None
    update_timestamp: Any = None
    buyer_user_id: Any = None
    buyer_email: Any = None
    name: Any = None
    first_line: Any = None
    second_line: Any = None
    city: Any = None
    state: Any = None
    zip: Any = None
    country_iso: Any = None
    message_from_buyer: Any = None
    is_gift: Any = None
    gift_message: Any = None
    gift_sender: Any = None
    grandtotal: Any = None
    total_price: Any = None
    total_shipping_cost: Any = None
    total_tax_cost: Any = None
    total_vat_cost: Any = None
    discount_amt: Any = None
    gift_wrap_price: Any = None
    shipments: list[dict[str, Any]] | None = None
    refunds: Any = None


#: Words in a refund's status that say the money did not go back (yet). Etsy lists no words: every other one counts as given back.
#: Source: schema ShopRefund, `status` ("The status indication string for the refund"), read 2026-08.
_NOT_GIVEN_BACK = ("fail", "cancel", "declin", "reject", "pending")


def order_seen(body: bytes) -> OrderSeen:
    """Read one receipt. Raises Unreadable without id, lines or their counts."""
    receipt = decoded(body, _Receipt, "receipt")
    payment, cancelled = _standing(receipt)
    shipped = bool(receipt.is_shipped) or (receipt.status or "").strip().lower() == "completed"
    bare = tuple(_line(one, cancelled=cancelled, shipped=shipped) for one in receipt.transactions)
    lines, totals, remark = _with_money(receipt, bare)
    updated_at = instant(receipt.updated_timestamp) or instant(receipt.update_timestamp)
    dates = [at for at in (instant(one.expected_ship_date) for one in receipt.transactions) if at]
    return OrderSeen(
        order_id=str(receipt.receipt_id),
        number=str(receipt.receipt_id),
        payment=payment,
        lines=lines,
        placed_at=instant(receipt.created_timestamp) or instant(receipt.create_timestamp),
        updated_at=updated_at,
        cancelled=cancelled,
        cancelled_at=updated_at if cancelled else None,
        shipments=_shipments(receipt, lines),
        buyer=_buyer(receipt),
        ship_to=_address(receipt),
        totals=totals,
        ship_by_at=min(dates, default=None),
        deep_link=f"https://www.etsy.com/your/orders/sold?order_id={receipt.receipt_id}",
        note=_note(receipt, remark),
        # `cancel_asked` stays empty: a receipt does not say that a buyer asks for a cancel (schema ShopReceipt).
        refunded=_refunded(receipt),
    )


def _standing(receipt: _Receipt) -> tuple[Payment, bool]:
    status = (receipt.status or "").strip().lower()
    # Without the flag the status is believed; an unknown status holds stock and ships only if the money is there.
    paid = receipt.is_paid if receipt.is_paid is not None else status not in ("", "open", "payment processing")
    known = TRUTH.get((status, paid))
    return known if known is not None else (Payment.PAID if receipt.is_paid else Payment.PENDING, False)


def _line(one: _Transaction, *, cancelled: bool, shipped: bool) -> LineSeen:
    if not 0 <= one.quantity <= UNITS_MAX:
        raise Unreadable(f"Etsy receipt: transaction {one.transaction_id} counts {one.quantity}")
    return LineSeen(
        line_id=str(one.transaction_id),
        listing_keys=_keys(one),
        ordered=one.quantity,
        # Etsy ships and cancels whole receipts only.
        shipped=one.quantity if shipped else 0,
        cancelled=one.quantity if cancelled and not shipped else 0,
        sku=text(one.sku),
        title=text(one.title) or "",
        needs_shipping=not one.is_digital,
    )


def _keys(one: _Transaction) -> tuple[str, ...]:
    sku = text(one.sku)
    if one.listing_id is None:
        # The listing is gone; the SKU as of sale is all there is.
        return (f"sku:{sku}",) if sku else ()
    values = one.product_data or [_as_property(value) for value in one.variations or [] if _is_choice(value)]
    return etsy_listing.listing_keys(str(one.listing_id), values, sku)


def _is_choice(variation: dict[str, Any]) -> bool:
    """Return True for a product option, False for a personalisation answer, which is in the same list."""
    return variation.get("question_id") is None and whole(variation.get("property_id")) != etsy_listing.PERSONALISATION


def _as_property(variation: dict[str, Any]) -> dict[str, Any]:
    value_id = variation.get("value_id")
    return {
        "property_id": variation.get("property_id"),
        "values": [variation.get("formatted_value")],
        "value_ids": [] if value_id is None else [value_id],
    }


# --- money -----------------------------------------------------------------------------------------------------------


def _amount(value: Any) -> Money | None:
    if value is None:
        return None
    try:
        return money(msgspec.convert(value, EtsyMoney, strict=False))
    except msgspec.ValidationError as bad:
        raise Unreadable(str(bad)) from bad


def _minor(value: Any, currency: str) -> int:
    amount = _amount(value)
    if amount is None:
        return 0
    if amount.currency != currency:
        raise Unreadable(f"amounts in {currency} and {amount.currency}")
    return amount.minor


def _with_money(receipt: _Receipt, lines: tuple[LineSeen, ...]) -> tuple[tuple[LineSeen, ...], OrderTotals | None, str]:
    """Return the lines with money, the totals, and a remark. Unreadable money does not keep the stock from being held."""
    try:
        return _priced(receipt, lines)
    except Unreadable as bad:
        return lines, None, f"The order's money can't be read: {bad}."


def _priced(receipt: _Receipt, lines: tuple[LineSeen, ...]) -> tuple[tuple[LineSeen, ...], OrderTotals | None, str]:
    """Share discount and tax over the lines; tell when Etsy's parts missed its total.

    grandtotal = total_price − discount + tax + shipping; whether VAT and gift wrap come on top is told by which sum fits.
    """
    total = _amount(receipt.grandtotal)
    if total is None or not lines or any(one.price is None for one in receipt.transactions):
        return lines, None, ""
    currency = total.currency
    costs = _line_totals(receipt, currency)
    if min(costs) < 0:
        raise Unreadable("a line costs less than nothing")
    items = sum(costs)
    shipping, discount = _minor(receipt.total_shipping_cost, currency), abs(_minor(receipt.discount_amt, currency))
    tax, vat = _minor(receipt.total_tax_cost, currency), _minor(receipt.total_vat_cost, currency)
    wrap = _minor(receipt.gift_wrap_price, currency)
    gap = total.minor - (items + shipping + tax - discount)
    on_top = ((0, 0), (vat, 0), (0, wrap), (vat, wrap))
    added_vat, added_wrap = next((pair for pair in on_top if sum(pair) == gap), (0, 0))
    rest = gap - added_vat - added_wrap
    remark = ""
    if rest:
        # S14.5: the parts must meet the total. More was paid: a charge that Etsy does not itemise; less: a discount (free shipping).
        remark = f"Etsy's amounts miss its total by {rest} minor units of {currency}."
    shipping, discount = shipping + added_wrap + max(0, rest), discount + max(0, -rest)
    discounts = share_out(discount, costs)
    taxed = [max(0, cost - part) for cost, part in zip(costs, discounts, strict=True)]
    taxes = _taxes(receipt, tax, added_vat, taxed, currency)
    priced = tuple(
        msgspec.structs.replace(line, subtotal=Money(cost, currency), discount=Money(part, currency), taxes=own)
        for line, cost, part, own in zip(lines, costs, discounts, taxes, strict=True)
    )
    totals = OrderTotals(
        items=Money(items, currency),
        shipping=Money(shipping, currency),
        tax=Money(tax + added_vat, currency),
        discount=Money(discount, currency),
        total=total,
        shipping_title="Shipping and gift wrap" if added_wrap else "Shipping",
    )
    return priced, totals, remark


def _line_totals(receipt: _Receipt, currency: str) -> list[int]:
    """Return what each line costs. `price` is a unit's, unless only the bare prices meet total_price."""
    prices = [_minor(one.price, currency) for one in receipt.transactions]
    costs = [price * one.quantity for price, one in zip(prices, receipt.transactions, strict=True)]
    stated = None if receipt.total_price is None else _minor(receipt.total_price, currency)
    return prices if stated == sum(prices) and stated != sum(costs) else costs


def _taxes(receipt: _Receipt, tax: int, vat: int, weights: list[int], currency: str) -> list[tuple[TaxLine, ...]]:
    """Share tax over the lines. In the US Etsy collects and remits it itself; a withheld country with dollars is taken as US."""
    country = (text(receipt.country_iso) or "").upper()
    by_etsy = country == "US" or (not country and currency == "USD")
    shares: list[tuple[TaxLine, ...]] = [() for _ in weights]
    for title, amount, collected in (("Sales tax", tax, by_etsy), ("VAT", vat, True)):
        if amount:
            parts = share_out(amount, weights)
            shares = [
                (*own, TaxLine(title, Money(part, currency), collected_by_channel=collected))
                for own, part in zip(shares, parts, strict=True)
            ]
    return shares


def _refunded(receipt: _Receipt) -> Money | None:
    """Return what was given back so far; None: not said, unreadable, or in another currency than the order's."""
    refunds = receipt.refunds
    if not isinstance(refunds, list) or not all(isinstance(one, dict) for one in refunds):
        return None
    try:
        total = _amount(receipt.grandtotal)
        if total is None or any(one.get("amount") is None for one in refunds):
            return None
        done = [one for one in refunds if not any(word in str(one.get("status")).lower() for word in _NOT_GIVEN_BACK)]
        return Money(sum(abs(_minor(one["amount"], total.currency)) for one in done), total.currency)
    except Unreadable:
        return None


# --- people and parcels ----------------------------------------------------------------------------------------------


def _shipments(receipt: _Receipt, lines: tuple[LineSeen, ...]) -> tuple[ShipmentSeen, ...]:
    """Return the parcels. The first one marks the whole receipt shipped; a later one is a tracking number more, no more units."""
    units = {line.line_id: line.shipped for line in lines if line.shipped}
    parcels: list[ShipmentSeen] = []
    for place, shipment in enumerate(receipt.shipments or []):
        own = whole(shipment.get("receipt_shipping_id"))
        tracking = text(shipment.get("tracking_code"))
        shipment_id = str(own) if own else tracking or f"{receipt.receipt_id}-{place + 1}"
        if any(one.shipment_id == shipment_id for one in parcels):
            continue  # the same parcel told twice
        parcels.append(
            ShipmentSeen(
                shipment_id=shipment_id,
                created_at=instant(shipment.get("shipment_notification_timestamp")),
                units=units if place == 0 else {},
                tracking_number=tracking,
                carrier=text(shipment.get("carrier_name")),
            )
        )
    return tuple(parcels)


def _buyer(receipt: _Receipt) -> BuyerSeen:
    buyer_id = whole(receipt.buyer_user_id)
    return BuyerSeen(
        channel_buyer_id=str(buyer_id) if buyer_id else None, name=text(receipt.name), email=text(receipt.buyer_email)
    )


def _address(receipt: _Receipt) -> Address | None:
    """Return what Etsy tells of the address; all of it is withheld from apps outside its region programme."""
    address = Address(
        name=text(receipt.name),
        line1=text(receipt.first_line),
        line2=text(receipt.second_line),
        city=text(receipt.city),
        region=text(receipt.state),
        postal_code=text(receipt.zip),
        country=text(receipt.country_iso),
    )
    return None if address == Address() else address


def _note(receipt: _Receipt, remark: str) -> str:
    """Gather what the packer must know: the buyer's words, gift, personalisation, a withheld address."""
    notes = [text(receipt.message_from_buyer)]
    if receipt.is_gift is True:
        sender, words = text(receipt.gift_sender), text(receipt.gift_message)
        notes.append("Gift" + (f" from {sender}" if sender else "") + (f": {words}" if words else "."))
    for one in receipt.transactions:
        for answer in one.variations or []:
            if not _is_choice(answer) and text(answer.get("formatted_value")):
                name = text(answer.get("formatted_name")) or "Personalization"
                notes.append(f"{text(one.title) or one.transaction_id}: {name}: {text(answer.get('formatted_value'))}")
    shippable = any(not one.is_digital for one in receipt.transactions)
    if shippable and not text(receipt.first_line):
        notes.append("Etsy withholds the address; see the order on Etsy.")
    notes.append(remark)
    return "\n".join(note for note in notes if note)
