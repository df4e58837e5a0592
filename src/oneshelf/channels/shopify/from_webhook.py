"""A webhook's order (REST shape) → `OrderForm`. Pure.

In: the raw body of an orders/* webhook. Out: OrderForm. Raises Unreadable. Never: decides what counts mean (form.py).
Source: Shopify webhook payload samples 2026-07 (orders/create, refunds/create, fulfillments/create), read 2026-11.
"""

from __future__ import annotations

from typing import Any

import msgspec

from oneshelf.channels.shopify import ids
from oneshelf.channels.shopify.form import (
    LINE_KEY,
    ORDER_KEY,
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

#: A field whose exact type does not matter: read with a helper that takes what it can.
Loose = Any


class _Amount(msgspec.Struct):
    amount: Loose = None
    currency_code: Loose = None


class _Bag(msgspec.Struct):
    presentment_money: _Amount | None = None


class _Property(msgspec.Struct):
    name: Loose = None
    value: Loose = None


class _Ref(msgspec.Struct):
    admin_graphql_api_id: Loose = None


class _Line(msgspec.Struct):
    id: Loose = None
    admin_graphql_api_id: Loose = None
    variant_id: Loose = None
    sku: Loose = None
    name: Loose = None
    title: Loose = None
    quantity: Loose = None
    current_quantity: Loose = None
    fulfillable_quantity: Loose = None
    requires_shipping: Loose = True
    price: Loose = None
    price_set: _Bag | None = None
    total_discount: Loose = None
    total_discount_set: _Bag | None = None
    properties: list[_Property] | None = None


class _Fulfillment(msgspec.Struct):
    id: Loose = None
    admin_graphql_api_id: Loose = None
    status: Loose = None
    created_at: Loose = None
    location_id: Loose = None
    tracking_company: Loose = None
    tracking_number: Loose = None
    tracking_numbers: list[Loose] | None = None
    tracking_url: Loose = None
    tracking_urls: list[Loose] | None = None
    line_items: list[_Line] | None = None


class _RefundLine(msgspec.Struct):
    id: Loose = None
    line_item_id: Loose = None
    line_item: _Ref | None = None
    quantity: Loose = None
    restock_type: Loose = None
    location_id: Loose = None


class _Refund(msgspec.Struct):
    id: Loose = None
    created_at: Loose = None
    refund_line_items: list[_RefundLine] | None = None


class _Customer(msgspec.Struct):
    id: Loose = None
    admin_graphql_api_id: Loose = None
    first_name: Loose = None
    last_name: Loose = None


class _Address(msgspec.Struct):
    name: Loose = None
    address1: Loose = None
    address2: Loose = None
    city: Loose = None
    province: Loose = None
    province_code: Loose = None
    zip: Loose = None
    country_code: Loose = None
    phone: Loose = None


class _ShippingLine(msgspec.Struct):
    title: Loose = None
    is_removed: Loose = False


class _Order(msgspec.Struct):
    id: Loose = None
    admin_graphql_api_id: Loose = None
    name: Loose = None
    created_at: Loose = None
    updated_at: Loose = None
    cancelled_at: Loose = None
    financial_status: Loose = None
    source_identifier: Loose = None
    note: Loose = None
    email: Loose = None
    phone: Loose = None
    taxes_included: Loose = False
    currency: Loose = None
    presentment_currency: Loose = None
    note_attributes: list[_Property] | None = None
    customer: _Customer | None = None
    shipping_address: _Address | None = None
    shipping_lines: list[_ShippingLine] | None = None
    total_price: Loose = None
    total_price_set: _Bag | None = None
    total_tax: Loose = None
    total_tax_set: _Bag | None = None
    total_shipping_price_set: _Bag | None = None
    total_discounts: Loose = None
    total_discounts_set: _Bag | None = None
    line_items: list[_Line] | None = None
    fulfillments: list[_Fulfillment] | None = None
    refunds: list[_Refund] | None = None


_decoder = msgspec.json.Decoder(_Order)


def order_form(body: bytes) -> OrderForm:
    """Return the order of an orders/* webhook. Raises Unreadable."""
    try:
        body.decode()  # unread fields are skipped unseen; a body that is no UTF-8 is not trusted in part
        order = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"an order that is no readable JSON: {error}") from error
    order_id = ids.exact(order.id, order.admin_graphql_api_id)
    if order_id is None:
        raise Unreadable("an order without an id")
    if order.line_items is None:
        raise Unreadable(f"order {order_id} without line_items")
    currency = text(order.presentment_currency) or text(order.currency)
    address, customer = order.shipping_address, order.customer or _Customer()
    return OrderForm(
        order_id=order_id,
        number=text(order.name) or "",
        created_at=instant(order.created_at),
        updated_at=instant(order.updated_at),
        cancelled_at=instant(order.cancelled_at),
        financial_status=(text(order.financial_status) or "").lower(),
        lines=[_line(line, currency, order_id) for line in order.line_items],
        shipments=[_shipment(f, order_id) for f in order.fulfillments or []],
        refund_lines=[_refund_line(r, line) for r in order.refunds or [] for line in r.refund_line_items or []],
        locations={},
        buyer=buyer_of(
            ids.exact(customer.id, customer.admin_graphql_api_id),
            text(customer.first_name),
            text(customer.last_name),
            text(order.email),
            text(order.phone),
        ),
        ship_to=None if address is None else _address(address),
        total=_money(order.total_price_set, order.total_price, currency),
        tax=_money(order.total_tax_set, order.total_tax, currency),
        shipping=_money(order.total_shipping_price_set, None, currency),
        discount=_money(order.total_discounts_set, order.total_discounts, currency),
        taxes_included=order.taxes_included is True,
        shipping_title=next((text(s.title) for s in order.shipping_lines or [] if s.is_removed is not True), None),
        note=text(order.note) or "",
        key_attribute=_property(order.note_attributes, ORDER_KEY),
        source_identifier=text(order.source_identifier),
    )


def _line(line: _Line, currency: str | None, order_id: str) -> FormLine:
    line_id, quantity = ids.exact(line.id, line.admin_graphql_api_id), whole(line.quantity)
    if line_id is None or quantity is None:
        raise Unreadable(f"order {order_id}: a line without an id or a quantity")
    current = whole(line.current_quantity)
    return FormLine(
        line_id=line_id,
        variant_id=ids.number(line.variant_id),
        sku=text(line.sku),
        title=text(line.name) or text(line.title) or "",
        quantity=quantity,
        current=quantity if current is None else current,
        unfulfilled=whole(line.fulfillable_quantity),
        needs_shipping=line.requires_shipping is not False,
        unit_price=_money(line.price_set, line.price, currency),
        discount=_money(line.total_discount_set, line.total_discount, currency),
        copy_of_line_id=_property(line.properties, LINE_KEY),
    )


def _shipment(seen: _Fulfillment, order_id: str) -> FormShipment:
    shipment_id = ids.exact(seen.id, seen.admin_graphql_api_id)
    if shipment_id is None:
        raise Unreadable(f"order {order_id}: a fulfillment without an id")
    units: dict[str, int] = {}
    for line in seen.line_items or []:
        line_id, quantity = ids.exact(line.id, line.admin_graphql_api_id), whole(line.quantity)
        if line_id is None or quantity is None:
            raise Unreadable(f"order {order_id}: a fulfillment line without an id or a quantity")
        units[line_id] = units.get(line_id, 0) + quantity
    return FormShipment(
        shipment_id=shipment_id,
        status=(text(seen.status) or "").lower(),
        created_at=instant(seen.created_at),
        units=units,
        tracking_numbers=texts([seen.tracking_number, *(seen.tracking_numbers or [])]),
        tracking_url=next(iter(texts([seen.tracking_url, *(seen.tracking_urls or [])])), None),
        carrier=text(seen.tracking_company),
        location_id=_location(seen.location_id),
    )


def _refund_line(refund: _Refund, line: _RefundLine) -> FormRefundLine:
    line_id = ids.exact(line.line_item_id, line.line_item.admin_graphql_api_id if line.line_item else None)
    pieces = whole(line.quantity)
    if line_id is None or pieces is None:
        raise Unreadable(f"refund {refund.id}: a line without a line item or a quantity")
    return FormRefundLine(
        refund_line_id=ids.number(line.id) or f"{refund.id}/{line_id}",
        line_id=line_id,
        pieces=pieces,
        restock=(text(line.restock_type) or "no_restock").lower(),
        location_id=_location(line.location_id),
        created_at=instant(refund.created_at),
    )


def _location(value: object) -> str | None:
    found = ids.number(value)
    return None if found is None else ids.gid("Location", found)


def _property(properties: list[_Property] | None, name: str) -> str | None:
    return next((text(p.value) for p in properties or [] if p.name == name), None)


def _money(bag: _Bag | None, plain: object, currency: str | None) -> Money | None:
    if bag is not None and bag.presentment_money is not None:
        return to_money(bag.presentment_money.amount, bag.presentment_money.currency_code)
    return to_money(plain, currency)


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
