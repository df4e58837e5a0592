"""The money of one Amazon order, to the minor unit (S14.5).

In: the typed order. Out: each line's subtotal, discount, taxes, and `OrderTotals`. Pure. Never: rates, rounding, guesses at prices.

    what Amazon calls it                          where it goes
    ITEM                                          line subtotal (else unit price × quantity ordered)
    DISCOUNT, less its SHIPPING/… details         line discount; all of it in totals.discount
    TAX, less its SHIPPING/… details              line tax; the rest in totals.shipping_taxes
    SHIPPING, GIFT_WRAP, COD_FEE, OTHER, and an
    order's own DELIVERY_TIP                      totals.shipping, named in shipping_title

Source: model orders_2026-01-01 (ItemProceedsBreakdown, OrderProceedsBreakdown, ItemTaxCollection) and Amazon's own v0 field map, read
2026-11. Whether tax is inside the prices is not said anywhere: the grand total tells.
"""

from __future__ import annotations

from collections import defaultdict

from oneshelf.channels.amazon import wire
from oneshelf.channels.amazon.marketplaces import MARKETPLACES
from oneshelf.channels.amazon.money import AmountSeen, money_of
from oneshelf.core.errors import Unreadable
from oneshelf.core.facts import Money, OrderTotals, TaxLine

FACILITATOR = "MARKETPLACE_FACILITATOR"
_EXTRA_TITLES = {
    "SHIPPING": "Shipping",
    "GIFT_WRAP": "gift wrap",
    "COD_FEE": "cash on delivery fee",
    "OTHER": "other charges",
    "DELIVERY_TIP": "delivery tip",
}
#: An order's own breakdown types that are not the sum of its items'. Source: model, OrderProceedsBreakdown.type.
_ORDER_LEVEL_ONLY = ("DELIVERY_TIP",)


class LineMoney:
    """What one item costs. Amounts in minor units of `currency`; `subtotal` None where Amazon gave no price (mostly Pending)."""

    def __init__(self, item: wire.OrderItem) -> None:
        self.currency: str | None = None
        amounts: dict[str, int] = defaultdict(int)
        elsewhere: dict[str, int] = defaultdict(int)  # the part of DISCOUNT or TAX that is not the item's own
        priced = False
        for breakdown in (item.proceeds.breakdowns if item.proceeds else None) or []:
            kind = (breakdown.type or "OTHER").upper()
            amount = self._minor(breakdown.subtotal)
            if amount is None:
                continue
            priced = priced or kind == "ITEM"
            if kind in ("DISCOUNT", "TAX"):
                amounts[kind] += abs(amount)
                elsewhere[kind] += min(abs(amount), self._of_extras(breakdown))
            else:
                amounts[kind if kind in (*_EXTRA_TITLES, "ITEM") else "OTHER"] += amount
        unit_price = self._minor(item.product.price.unit_price if item.product and item.product.price else None)
        if not priced and unit_price is not None:
            amounts["ITEM"], priced = unit_price * item.quantity_ordered, True
        self.subtotal = amounts["ITEM"] if priced else None
        self.discount = amounts["DISCOUNT"] - elsewhere["DISCOUNT"]
        self.extras_discount = elsewhere["DISCOUNT"]
        self.tax = amounts["TAX"] - elsewhere["TAX"]
        self.extras_tax = elsewhere["TAX"]
        self.extras = {kind: amounts[kind] for kind in _EXTRA_TITLES if amounts[kind]}
        collections = (item.tax.tax_collections if item.tax else None) or []
        self.collected_by_channel = any((c.model or "").upper() == FACILITATOR for c in collections)

    def money(self, minor: int | None) -> Money | None:
        """Return `minor` in this line's currency, None where there is neither."""
        return Money(minor, self.currency) if minor is not None and self.currency else None

    def tax_lines(self, minor: int) -> tuple[TaxLine, ...]:
        """Return the one tax Amazon tells of (it names no rate), or nothing."""
        amount = self.money(minor)
        return (TaxLine("Tax", amount, collected_by_channel=self.collected_by_channel),) if amount and minor else ()

    def _minor(self, seen: AmountSeen | None) -> int | None:
        money = money_of(seen)
        if money is None:
            return None
        if self.currency not in (None, money.currency):
            raise Unreadable("one order item in two currencies")
        self.currency = money.currency
        return money.minor

    def _of_extras(self, breakdown: wire.Breakdown) -> int:
        total = 0
        for detail in breakdown.detailed_breakdowns or []:
            if (detail.subtype or "").upper() in _EXTRA_TITLES:
                total += abs(self._minor(detail.value) or 0)
        return total


def without_price(currency: str) -> LineMoney:
    """Return the money of a line that costs nothing (replacement orders)."""
    free = LineMoney(wire.OrderItem(order_item_id="", quantity_ordered=0))
    free.currency, free.subtotal = currency, 0
    return free


def totals_of(order: wire.Order, lines: list[LineMoney]) -> tuple[OrderTotals | None, str]:
    """Add the lines up and compare with Amazon's grand total.

    Returns (None, "") while a line has no price. The grand total equal to the parts with tax: tax comes on top; equal to them without:
    tax is inside the prices (`taxes_included`; then items + shipping − discount = total). Any other difference is carried as a charge
    or a discount, so that the sum is Amazon's to the minor unit, and the note says so.
    """
    currencies = {line.currency for line in lines if line.currency}
    if not lines or any(line.subtotal is None for line in lines):
        return None, ""
    if len(currencies) != 1:
        raise Unreadable("one order in two currencies")
    currency = currencies.pop()
    extras: dict[str, int] = defaultdict(int)
    for line in lines:
        for kind, minor in line.extras.items():
            extras[kind] += minor
    for breakdown in (order.proceeds.breakdowns if order.proceeds else None) or []:
        own = money_of(breakdown.subtotal) if (breakdown.type or "").upper() in _ORDER_LEVEL_ONLY else None
        if own is not None and own.currency == currency:
            extras[(breakdown.type or "").upper()] += own.minor
    items = sum(line.subtotal or 0 for line in lines)
    discount = sum(line.discount + line.extras_discount for line in lines)
    tax = sum(line.tax + line.extras_tax for line in lines)
    before_tax = items + sum(extras.values()) - discount
    grand = money_of(order.proceeds.grand_total) if order.proceeds else None
    if grand is not None and grand.currency != currency:
        raise Unreadable("an order's total in another currency than its items")
    total = grand.minor if grand is not None else before_tax + tax
    included = bool(tax) and total == before_tax
    difference = total - before_tax - (0 if included else tax)
    note = ""
    if difference:
        note = f"Amazon's total differs from its parts by {difference} minor units of {currency}"
        extras["OTHER"] += max(0, difference)
        discount += max(0, -difference)
    titles = [title for kind, title in _EXTRA_TITLES.items() if extras.get(kind)]
    totals = OrderTotals(
        items=Money(items, currency),
        shipping=Money(sum(extras.values()), currency),
        tax=Money(tax, currency),
        discount=Money(discount, currency),
        total=Money(total, currency),
        taxes_included=included,
        shipping_taxes=tuple(tax_line for line in lines for tax_line in line.tax_lines(line.extras_tax)),
        shipping_title=(", ".join(titles) or "Shipping").capitalize(),
    )
    return totals, note


def currency_of_marketplace(marketplace_id: str | None) -> str | None:
    """Return the marketplace's currency, None for one we don't know. One order has one marketplace."""
    place = MARKETPLACES.get(marketplace_id or "")
    return place.currency if place else None
