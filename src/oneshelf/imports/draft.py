"""A marketplace order as it is to stand in the hub: whole pieces, sums that agree to the minor unit (SEMANTICS 14.5, 14.6). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from oneshelf.channels.contract import HubLineDraft, HubOrderDraft
from oneshelf.core.errors import Park
from oneshelf.core.facts import LineSeen, OrderSeen, TaxLine
from oneshelf.core.ids import ChannelName
from oneshelf.core.instants import from_us
from oneshelf.core.money import share_out, unit_prices
from oneshelf.core.rates import ExchangeRate
from oneshelf.orders.rows import LineRow, OrderRow

#: What the marketplace's own sums may differ by, in minor units a line, before a person must look: rounding of its taxes.
ROUNDING_MINOR_PER_LINE = 2


class CannotImport(Park):
    """The order can't be written into the hub as it is; it waits for a person."""


class HubItem(msgspec.Struct, frozen=True):
    """What the hub calls a SKU. `price_minor` is its own price, used to share a bundle's price among its parts."""

    sku: str
    variant_id: str
    title: str
    price_minor: int


def draft(
    order: OrderRow,
    seen: OrderSeen,
    lines: Sequence[LineRow],
    items: Mapping[str, HubItem],
    *,
    channel: ChannelName,
    external_key: str,
    shop_currency: str,
    rate: ExchangeRate | None,
    customer_id: str | None = None,
    with_customer: bool = True,
) -> HubOrderDraft:
    """Return the hub order to make. Raises CannotImport with what a person can do.

    `customer_id`, `with_customer`: as in HubOrderDraft.
    """
    totals = seen.totals
    if totals is None:
        raise CannotImport(f"Order {order.order_id} came without its money; read it again at the channel.")
    currency = totals.total.currency
    if currency != shop_currency and rate is None:
        raise CannotImport(
            f"Order {order.order_id} is in {currency}, the shop in {shop_currency}, and there is no exchange rate. "
            f"Enter one: oneshelf rates set {currency} RATE --source WHERE."
        )
    drafts: list[HubLineDraft] = []
    whole = True
    for line_seen in seen.lines:
        mine = [line for line in lines if line.line_id == line_seen.line_id and line.ordered > line.cancelled]
        asked_for = line_seen.ordered > line_seen.cancelled or bool(mine)
        # A cancelled line may have no row with a SKU: it was never linked, or takes nothing from the shelf.
        cancelled = line_seen.cancelled or any(line.cancelled for line in lines if line.line_id == line_seen.line_id)
        whole = whole and not cancelled and (bool(mine) or not asked_for)
        drafts += _line_drafts(line_seen, mine, items, order)
    if not drafts:
        raise CannotImport(f"Order {order.order_id}: nothing of it is to be sent from the shop.")
    items_minor = sum(d.pieces * d.unit_price_minor for d in drafts)
    taxes_minor = sum(tax[2] for d in drafts for tax in d.taxes)
    shipping_taxes = tuple(_tax(tax) for tax in totals.shipping_taxes)
    shipping = totals.shipping.minor
    discount = totals.discount.minor if whole else _part(totals.discount.minor, items_minor, totals.items.minor)
    outside = 0 if totals.taxes_included else taxes_minor + sum(tax[2] for tax in shipping_taxes)
    total = items_minor + shipping + outside - discount
    if whole:
        rest = totals.total.minor - total
        if abs(rest) > ROUNDING_MINOR_PER_LINE * max(1, len(seen.lines)):
            raise CannotImport(
                f"Order {order.order_id}: its lines, shipping and tax make {total}, the marketplace says {totals.total.minor} "
                f"(minor units of {currency}). Compare it there; nothing was imported."
            )
        shipping, discount = (shipping + rest, discount) if rest > 0 else (shipping, discount - rest)
        total = totals.total.minor
    return HubOrderDraft(
        external_key=external_key,
        channel=channel,
        marketplace_order_id=order.order_id,
        currency=currency,
        lines=tuple(drafts),
        shipping_minor=shipping,
        discount_minor=discount,
        total_minor=total,
        placed_at=from_us(order.placed_at),
        source=seen,
        shipping_title=totals.shipping_title,
        shipping_taxes=shipping_taxes,
        taxes_included=totals.taxes_included,
        rate=rate.value if rate is not None and currency != shop_currency else None,
        rate_source=rate.source if rate is not None and currency != shop_currency else "",
        tags=("oneshelf", str(channel)),
        customer_id=customer_id,
        with_customer=with_customer,
    )


def _part(amount: int, of: int, whole: int) -> int:
    """The part of an amount that falls on `of` of `whole`, both 0 or more; all of it if there is no whole."""
    return amount if whole <= 0 else share_out(amount, [min(of, whole), max(0, whole - of)])[0]


def _tax(tax: TaxLine) -> tuple[str, str | None, int, bool]:
    return (tax.title, tax.rate, tax.amount.minor, tax.collected_by_channel)


def _line_drafts(
    seen: LineSeen, mine: Sequence[LineRow], items: Mapping[str, HubItem], order: OrderRow
) -> list[HubLineDraft]:
    """One line becomes its pieces; a bundle becomes its parts, priced by largest remainder on the hub's prices (S14.6)."""
    if not mine:
        return []
    if seen.subtotal is None:
        raise CannotImport(
            f"Order {order.order_id}: line {seen.line_id} came without a price; read it again at the channel."
        )
    asked = max(1, seen.ordered)
    left = asked - max(line.cancelled // line.units_per_listing for line in mine)
    subtotal = share_out(seen.subtotal.minor, [left, asked - left])[0] if left < asked else seen.subtotal.minor
    weights = [_item(items, line, order).price_minor * (line.ordered - line.cancelled) for line in mine]
    drafts: list[HubLineDraft] = []
    for line, part in zip(mine, share_out(subtotal, weights), strict=True):
        item = items[line.sku]
        for pieces, unit_price in unit_prices(part, line.ordered - line.cancelled):
            drafts.append(
                HubLineDraft(
                    marketplace_line_id=seen.line_id,
                    variant_id=item.variant_id,
                    pieces=pieces,
                    unit_price_minor=unit_price,
                    title=seen.title or item.title,
                    sku=line.sku,
                )
            )
    return _with_taxes(drafts, seen, left, asked)


def _with_taxes(drafts: list[HubLineDraft], seen: LineSeen, left: int, asked: int) -> list[HubLineDraft]:
    """Share each tax of the line over its hub lines, so that the parts add up to the tax."""
    weights = [d.pieces * d.unit_price_minor for d in drafts]
    shares: list[list[tuple[str, str | None, int, bool]]] = [[] for _ in drafts]
    for tax in seen.taxes:
        amount = share_out(tax.amount.minor, [left, asked - left])[0] if left < asked else tax.amount.minor
        for i, minor in enumerate(share_out(amount, weights)):
            shares[i].append((tax.title, tax.rate, minor, tax.collected_by_channel))
    return [msgspec.structs.replace(d, taxes=tuple(taxes)) for d, taxes in zip(drafts, shares, strict=True)]


def _item(items: Mapping[str, HubItem], line: LineRow, order: OrderRow) -> HubItem:
    item = items.get(line.sku)
    if item is None or not item.variant_id:
        raise CannotImport(
            f"Order {order.order_id}: {line.sku} is not in the shop any more. Make the product again or link another."
        )
    return item
