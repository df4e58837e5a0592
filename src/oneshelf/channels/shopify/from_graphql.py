"""Our own order document (GraphQL shape) → `OrderForm`. Pure.

In: one order node of documents.ORDERS_CHANGED / ORDER, or the long form that order_read.py puts together. Out: OrderForm.
Raises Unreadable. Never: decides what counts mean (form.py).
Source: Shopify Admin GraphQL schema 2026-10 (Order, LineItem, Fulfillment, Refund, FulfillmentOrder), read 2026-11.
"""

from __future__ import annotations

from typing import Any

import msgspec

from oneshelf.channels.shopify import ids
from oneshelf.channels.shopify.form import (
    LINE_KEY,
    ORDER_KEY,
    WORK_DONE,
    FormLine,
    FormRefundLine,
    FormShipment,
    OrderForm,
    buyer_of,
    instant,
    text,
    texts,
    whole,
)
from oneshelf.channels.shopify.money import to_money
from oneshelf.core.errors import Unreadable
from oneshelf.core.facts import Address, Money

Loose = Any


class _Camel(msgspec.Struct, rename="camel"):
    pass


class _Ref(_Camel):
    id: Loose = None


class _Amount(_Camel):
    amount: Loose = None
    currency_code: Loose = None


class _Bag(_Camel):
    presentment_money: _Amount | None = None


class _Attribute(_Camel):
    key: Loose = None
    value: Loose = None


class _Line(_Camel):
    id: Loose = None
    name: Loose = None
    sku: Loose = None
    quantity: Loose = None
    current_quantity: Loose = None
    unfulfilled_quantity: Loose = None
    requires_shipping: Loose = True
    variant: _Ref | None = None
    original_unit_price_set: _Bag | None = None
    total_discount_set: _Bag | None = None
    custom_attributes: list[_Attribute] | None = None


class _Lines(_Camel):
    nodes: list[_Line] | None = None


class _Units(_Camel):
    quantity: Loose = None
    remaining_quantity: Loose = None
    line_item: _Ref | None = None


class _UnitsPage(_Camel):
    nodes: list[_Units] | None = None


class _Tracking(_Camel):
    company: Loose = None
    number: Loose = None
    url: Loose = None


class _Fulfillment(_Camel):
    id: Loose = None
    status: Loose = None
    created_at: Loose = None
    location: _Ref | None = None
    tracking_info: list[_Tracking] | None = None
    fulfillment_line_items: _UnitsPage | None = None


class _RefundLine(_Camel):
    id: Loose = None
    quantity: Loose = None
    restock_type: Loose = None
    line_item: _Ref | None = None
    location: _Ref | None = None


class _RefundLines(_Camel):
    nodes: list[_RefundLine] | None = None


class _Refund(_Camel):
    id: Loose = None
    created_at: Loose = None
    refund_line_items: _RefundLines | None = None


class _Assigned(_Camel):
    location: _Ref | None = None


class _Work(_Camel):
    id: Loose = None
    status: Loose = None
    assigned_location: _Assigned | None = None
    line_items: _UnitsPage | None = None


class _Works(_Camel):
    nodes: list[_Work] | None = None


class _Value(_Camel):
    value: Loose = None


class _Customer(_Camel):
    id: Loose = None
    first_name: Loose = None
    last_name: Loose = None


class _Address(_Camel):
    name: Loose = None
    address1: Loose = None
    address2: Loose = None
    city: Loose = None
    province: Loose = None
    province_code: Loose = None
    zip: Loose = None
    country_code: Loose = msgspec.field(default=None, name="countryCodeV2")
    phone: Loose = None


class _ShippingLine(_Camel):
    title: Loose = None


class _ShippingLines(_Camel):
    nodes: list[_ShippingLine] | None = None


class _Order(_Camel):
    id: Loose = None
    name: Loose = None
    created_at: Loose = None
    updated_at: Loose = None
    cancelled_at: Loose = None
    source_identifier: Loose = None
    note: Loose = None
    email: Loose = None
    phone: Loose = None
    display_financial_status: Loose = None
    taxes_included: Loose = False
    custom_attributes: list[_Attribute] | None = None
    metafield: _Value | None = None
    customer: _Customer | None = None
    shipping_address: _Address | None = None
    shipping_lines: _ShippingLines | None = None
    total_price_set: _Bag | None = None
    total_tax_set: _Bag | None = None
    total_shipping_price_set: _Bag | None = None
    total_discounts_set: _Bag | None = None
    line_items: _Lines | None = None
    fulfillments: list[_Fulfillment] | None = None
    refunds: list[_Refund] | None = None
    fulfillment_orders: _Works | None = None


_decoder = msgspec.json.Decoder(_Order)


def order_form(body: bytes) -> OrderForm:
    """Return the order of one of our own documents. Raises Unreadable."""
    try:
        body.decode()  # unread fields are skipped unseen; a body that is no UTF-8 is not trusted in part
        order = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"an order that is no readable JSON: {error}") from error
    order_id = ids.number(order.id)
    if order_id is None:
        raise Unreadable("an order without an id")
    if order.line_items is None or order.line_items.nodes is None:
        raise Unreadable(f"order {order_id} without lineItems")
    address, customer = order.shipping_address, order.customer or _Customer()
    titles = order.shipping_lines.nodes if order.shipping_lines else None
    return OrderForm(
        order_id=order_id,
        number=text(order.name) or "",
        created_at=instant(order.created_at),
        updated_at=instant(order.updated_at),
        cancelled_at=instant(order.cancelled_at),
        financial_status=(text(order.display_financial_status) or "").lower(),
        lines=[_line(line, order_id) for line in order.line_items.nodes],
        shipments=[_shipment(f, order_id) for f in order.fulfillments or []],
        refund_lines=[
            _refund_line(refund, line)
            for refund in order.refunds or []
            for line in (refund.refund_line_items.nodes if refund.refund_line_items else None) or []
        ],
        locations=_locations(order.fulfillment_orders),
        buyer=buyer_of(
            ids.number(customer.id),
            text(customer.first_name),
            text(customer.last_name),
            text(order.email),
            text(order.phone),
        ),
        ship_to=None if address is None else _address(address),
        total=_money(order.total_price_set),
        tax=_money(order.total_tax_set),
        shipping=_money(order.total_shipping_price_set),
        discount=_money(order.total_discounts_set),
        taxes_included=order.taxes_included is True,
        shipping_title=text(titles[0].title) if titles else None,
        note=text(order.note) or "",
        key_metafield=text(order.metafield.value) if order.metafield else None,
        key_attribute=_attribute(order.custom_attributes, ORDER_KEY),
        source_identifier=text(order.source_identifier),
    )


def _line(line: _Line, order_id: str) -> FormLine:
    line_id, quantity = ids.number(line.id), whole(line.quantity)
    if line_id is None or quantity is None:
        raise Unreadable(f"order {order_id}: a line without an id or a quantity")
    current = whole(line.current_quantity)
    return FormLine(
        line_id=line_id,
        variant_id=ids.number(line.variant.id) if line.variant else None,
        sku=text(line.sku),
        title=text(line.name) or "",
        quantity=quantity,
        current=quantity if current is None else current,
        unfulfilled=whole(line.unfulfilled_quantity),
        needs_shipping=line.requires_shipping is not False,
        unit_price=_money(line.original_unit_price_set),
        discount=_money(line.total_discount_set),
        copy_of_line_id=_attribute(line.custom_attributes, LINE_KEY),
    )


def _shipment(seen: _Fulfillment, order_id: str) -> FormShipment:
    shipment_id = ids.number(seen.id)
    if shipment_id is None:
        raise Unreadable(f"order {order_id}: a fulfillment without an id")
    units: dict[str, int] = {}
    for unit in (seen.fulfillment_line_items.nodes if seen.fulfillment_line_items else None) or []:
        line_id, quantity = ids.number(unit.line_item.id if unit.line_item else None), whole(unit.quantity)
        if line_id is None or quantity is None:
            raise Unreadable(f"order {order_id}: a fulfillment line without a line or a quantity")
        units[line_id] = units.get(line_id, 0) + quantity
    tracking = seen.tracking_info or []
    return FormShipment(
        shipment_id=shipment_id,
        status=(text(seen.status) or "").lower(),
        created_at=instant(seen.created_at),
        units=units,
        tracking_numbers=texts(one.number for one in tracking),
        tracking_url=next(iter(texts(one.url for one in tracking)), None),
        carrier=next(iter(texts(one.company for one in tracking)), None),
        location_id=text(seen.location.id) if seen.location else None,
    )


def _refund_line(refund: _Refund, line: _RefundLine) -> FormRefundLine:
    line_id, pieces = ids.number(line.line_item.id if line.line_item else None), whole(line.quantity)
    if line_id is None or pieces is None:
        raise Unreadable(f"refund {refund.id}: a line without a line item or a quantity")
    return FormRefundLine(
        refund_line_id=ids.number(line.id) or f"{ids.number(refund.id)}/{line_id}",
        line_id=line_id,
        pieces=pieces,
        restock=(text(line.restock_type) or "no_restock").lower(),
        location_id=text(line.location.id) if line.location else None,
        created_at=instant(refund.created_at),
    )


def _locations(works: _Works | None) -> dict[str, dict[str, int]]:
    """Line id → {location: pieces still to be sent from there}, of the fulfilment orders that are not done."""
    found: dict[str, dict[str, int]] = {}
    for work in (works.nodes if works else None) or []:
        location = work.assigned_location.location if work.assigned_location else None
        if (text(work.status) or "").lower() in WORK_DONE or location is None or text(location.id) is None:
            continue
        for unit in (work.line_items.nodes if work.line_items else None) or []:
            line_id, pieces = ids.number(unit.line_item.id if unit.line_item else None), whole(unit.remaining_quantity)
            if line_id is not None and pieces:
                of_line = found.setdefault(line_id, {})
                of_line[str(location.id)] = of_line.get(str(location.id), 0) + pieces
    return found


def _attribute(attributes: list[_Attribute] | None, key: str) -> str | None:
    return next((text(a.value) for a in attributes or [] if a.key == key), None)


def _money(bag: _Bag | None) -> Money | None:
    if bag is None or bag.presentment_money is None:
        return None
    return to_money(bag.presentment_money.amount, bag.presentment_money.currency_code)


def _address(seen: _Address) -> Address:
    return Address(
        name=text(seen.name),
        line1=text(seen.address1),
        line2=text(seen.address2),
        city=text(seen.city),
        region=text(seen.province_code) or text(seen.province),
        postal_code=text(seen.zip),
        country=text(seen.country_code),
        phone=text(seen.phone),
    )
