"""A marketplace order → Shopify's OrderCreateOrderInput. Pure.

In: a HubOrderDraft, the shop's currency, the source name. Out: the input and its options. Raises DraftProblem when the amounts do
not add up. Never: sends, or invents a rate.

How the total agrees to the minor unit (S14.5): every line has its own unit price and tax lines, shipping its price, and the whole
discount stands as one fixed discount code. Shopify takes such a code off the items only; what is larger than the items (a discount
on shipping) lowers the shipping price instead. The payment is one SALE over the total on a gateway named after the channel.
Source: Shopify Admin GraphQL orderCreate and its inputs, 2026-10, read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from oneshelf.channels.contract import HubLineDraft, HubOrderDraft
from oneshelf.channels.shopify import ids
from oneshelf.channels.shopify.form import LINE_KEY, ORDER_KEY
from oneshelf.channels.shopify.money import converted, to_text
from oneshelf.core.facts import Address
from oneshelf.core.relay import real_email

#: The custom id of a copy: unique by its definition (type id), found by orderByIdentifier.
METAFIELD_NAMESPACE, METAFIELD_KEY, METAFIELD_TYPE = "$app", "external_order_id", "id"

#: Lengths that Shopify refuses beyond. Source: Shopify docs, "API limits" (tags 40 characters on orders), read 2026-11.
TAG_MAX = 40

#: ISO 3166 has GB; marketplaces also say UK.
_COUNTRY = {"UK": "GB"}

Tax = tuple[str, str | None, int, bool]


class DraftProblem(ValueError):
    """The draft can't become a hub order as it is."""


def order_input(draft: HubOrderDraft, shop_currency: str, source_name: str) -> dict[str, Any]:
    """Return OrderCreateOrderInput. Raises DraftProblem."""
    money = _Money(draft, shop_currency)
    off_items, off_shipping = _discounts(draft)
    total = _total(draft)
    if total != draft.total_minor:
        raise DraftProblem(
            f"lines + shipping + tax − discount are {total}, the marketplace's total is {draft.total_minor}"
        )
    order: dict[str, Any] = {
        "currency": shop_currency,
        "processedAt": _iso(draft.placed_at),
        "sourceIdentifier": draft.marketplace_order_id,
        "tags": [tag[:TAG_MAX] for tag in draft.tags] or ["oneshelf", draft.channel.value],
        "taxesIncluded": draft.taxes_included,
        "test": False,
        "customAttributes": _attributes(draft),
        "metafields": [
            {
                "namespace": METAFIELD_NAMESPACE,
                "key": METAFIELD_KEY,
                "type": METAFIELD_TYPE,
                "value": draft.external_key,
            }
        ],
        "lineItems": [_line(line, draft, money) for line in draft.lines],
        "shippingLines": [_shipping(draft, money, draft.shipping_minor - off_shipping)],
    }
    if money.rate is not None:
        order["presentmentCurrency"] = draft.currency
    if source_name:
        order["sourceName"] = source_name
    if (draft.source.deep_link or "").startswith("https://"):
        order["sourceUrl"] = draft.source.deep_link
    if draft.source.note:
        order["note"] = draft.source.note
    if off_items:
        code = f"{draft.channel.value}-discount".upper()
        order["discountCode"] = {"itemFixedDiscountCode": {"code": code, "amountSet": money.bag(off_items)}}
    order.update(_payment(draft, money, off_items, off_shipping))
    order.update(_people(draft))
    return order


def options(ignore_policy: bool) -> dict[str, Any]:
    """Return OrderCreateOptionsInput. Without `inventoryBehaviour` Shopify would claim nothing; the marketplace writes to the buyer."""
    behaviour = "DECREMENT_IGNORING_POLICY" if ignore_policy else "DECREMENT_OBEYING_POLICY"
    return {"inventoryBehaviour": behaviour, "sendReceipt": False, "sendFulfillmentReceipt": False}


class _Money:
    """Amounts of one order as MoneyBagInput: in shop currency, and in the marketplace's where that is another."""

    def __init__(self, draft: HubOrderDraft, shop_currency: str) -> None:
        self.currency, self.shop_currency = draft.currency, shop_currency
        self.rate = None if draft.currency == shop_currency else _rate(draft)
        if self.rate is None and draft.currency != shop_currency:
            raise DraftProblem(f"the order is in {draft.currency}, the shop in {shop_currency}, and there is no rate")

    def shop_minor(self, minor: int) -> int:
        if self.rate is None:
            return minor
        return converted(minor, self.currency, self.shop_currency, self.rate)

    def bag(self, minor: int, shop_minor: int | None = None) -> dict[str, Any]:
        in_shop = self.shop_minor(minor) if shop_minor is None else shop_minor
        bag = {"shopMoney": _money_input(in_shop, self.shop_currency)}
        if self.rate is not None:
            bag["presentmentMoney"] = _money_input(minor, self.currency)
        return bag


def _money_input(minor: int, currency: str) -> dict[str, str]:
    return {"amount": to_text(minor, currency), "currencyCode": currency}


def _rate(draft: HubOrderDraft) -> Decimal | None:
    if draft.rate is None:
        return None
    try:
        rate = Decimal(draft.rate)
    except InvalidOperation as error:
        raise DraftProblem(f"{draft.rate!r} is no rate") from error
    if not rate.is_finite() or rate <= 0:
        raise DraftProblem(f"{draft.rate!r} is no rate")
    return rate


def _items(draft: HubOrderDraft) -> int:
    return sum(line.unit_price_minor * line.pieces for line in draft.lines)


def _taxes(draft: HubOrderDraft) -> list[Tax]:
    return [tax for taxes in (*(line.taxes for line in draft.lines), draft.shipping_taxes) for tax in taxes]


def _total(draft: HubOrderDraft) -> int:
    tax = 0 if draft.taxes_included else sum(minor for _, _, minor, _ in _taxes(draft))
    return _items(draft) + draft.shipping_minor + tax - draft.discount_minor


def _discounts(draft: HubOrderDraft) -> tuple[int, int]:
    """Return (taken off the items, taken off shipping)."""
    off_items = min(draft.discount_minor, _items(draft))
    off_shipping = draft.discount_minor - off_items
    if draft.discount_minor < 0 or off_shipping > draft.shipping_minor:
        raise DraftProblem(f"a discount of {draft.discount_minor} is below 0 or larger than items and shipping")
    return off_items, off_shipping


def _line(line: HubLineDraft, draft: HubOrderDraft, money: _Money) -> dict[str, Any]:
    return {
        "variantId": ids.gid("ProductVariant", line.variant_id),
        "quantity": line.pieces,
        "requiresShipping": True,
        "taxable": bool(line.taxes),
        "priceSet": money.bag(line.unit_price_minor),
        "taxLines": _tax_lines(line.taxes, line.unit_price_minor * line.pieces, draft.taxes_included, money),
        "properties": [{"name": LINE_KEY, "value": line.marketplace_line_id}],
    }


def _shipping(draft: HubOrderDraft, money: _Money, price_minor: int) -> dict[str, Any]:
    return {
        "title": draft.shipping_title or "Shipping",
        "source": draft.channel.value,
        "priceSet": money.bag(price_minor),
        "taxLines": _tax_lines(draft.shipping_taxes, price_minor, draft.taxes_included, money),
    }


def _tax_lines(taxes: Sequence[Tax], base_minor: int, included: bool, money: _Money) -> list[dict[str, Any]]:
    return [
        {
            "title": title or "Tax",
            "rate": rate if rate is not None else _effective_rate(minor, base_minor, included),
            "priceSet": money.bag(minor),
            "channelLiable": by_channel,
        }
        for title, rate, minor, by_channel in taxes
    ]


def _effective_rate(minor: int, base_minor: int, included: bool) -> str:
    """Shopify refuses a tax line without a rate; where the marketplace gives none, it is what was paid."""
    net = base_minor - minor if included else base_minor
    if net <= 0 or minor <= 0:
        return "0"
    return f"{(Decimal(minor) / Decimal(net)).quantize(Decimal('0.0001')):f}"


def _payment(draft: HubOrderDraft, money: _Money, off_items: int, off_shipping: int) -> dict[str, Any]:
    """One SALE over the total. Converted, it is the sum of the converted parts, as Shopify adds them up."""
    if draft.total_minor == 0:
        return {"financialStatus": "PAID"}
    parts = sum(money.shop_minor(line.unit_price_minor) * line.pieces for line in draft.lines)
    parts += money.shop_minor(draft.shipping_minor - off_shipping) - money.shop_minor(off_items)
    if not draft.taxes_included:
        parts += sum(money.shop_minor(minor) for _, _, minor, _ in _taxes(draft))
    return {
        "transactions": [
            {
                "kind": "SALE",
                "status": "SUCCESS",
                "gateway": draft.channel.value,
                "amountSet": money.bag(draft.total_minor, parts),
                "processedAt": _iso(draft.placed_at),
            }
        ]
    }


def _people(draft: HubOrderDraft) -> dict[str, Any]:
    """Customer, contact and address. A customer whom the shop knows is named by its id. Else by a real e-mail, by which the shop finds or
    makes one in the same call, so that a repeated call makes no second; a name or phone with it would overwrite an existing person's.
    A relay address is no identity: it is the order's contact, never a customer's login (S11.2). Consent is never sent (S11.4)."""
    people: dict[str, Any] = {}
    buyer, address = draft.source.buyer, draft.source.ship_to
    if buyer is not None and buyer.email:
        people["email"] = buyer.email
    if draft.with_customer and draft.customer_id is not None:
        people["customer"] = {"toAssociate": {"id": ids.gid("Customer", draft.customer_id)}}
    elif draft.with_customer and buyer is not None and not buyer.email_is_relay and real_email(buyer.email) is not None:
        people["customer"] = {"toUpsert": {"email": buyer.email}}
    if address is not None:
        sent = mailing_address(address)
        if sent:
            people["shippingAddress"] = sent
    return people


def mailing_address(address: Address) -> dict[str, str]:
    """Return MailingAddressInput with what the marketplace gave; nothing for what it withholds."""
    first, _, last = (address.name or "").strip().rpartition(" ")
    country = _COUNTRY.get((address.country or "").upper(), (address.country or "").upper())
    region = (address.region or "").strip()
    code = re.fullmatch(r"(?:[A-Z]{2}-)?([A-Z0-9]{1,3})", region)
    sent = {
        "firstName": first.strip(),
        "lastName": last,
        "address1": address.line1,
        "address2": address.line2,
        "city": address.city,
        "zip": address.postal_code,
        "countryCode": country if re.fullmatch(r"[A-Z]{2}", country) else "",
        "provinceCode": code[1] if code else "",
        "province": "" if code else region,
        "phone": address.phone,
    }
    return {name: value for name, value in sent.items() if value}


def _attributes(draft: HubOrderDraft) -> list[dict[str, str]]:
    found = {
        ORDER_KEY: draft.external_key,
        "marketplace": draft.channel.value,
        "marketplace_order_id": draft.marketplace_order_id,
    }
    if draft.source.ship_by_at is not None:
        found["ship_by"] = _iso(draft.source.ship_by_at)
    if draft.rate is not None:
        found["exchange_rate"] = f"{draft.rate} {draft.rate_source}".strip()
    return [{"key": key, "value": value} for key, value in found.items()]


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
