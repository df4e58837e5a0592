"""`orderCreate`: reading the input, refusing what Shopify refuses, and building the order.

In: `OrderCreateOrderInput` and `OrderCreateOptionsInput`, already of the right shape.
Out: user errors, or the order placed.
Never: idempotent. A repeated call makes a second order unless a unique metafield stops it.
Source: contracts sheet shopify section 8; Shopify docs of `orderCreate`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from .customers import CustomerRefused, customer_for
from .errors import Payload, user_error
from .metafields import MetafieldRefused, metafields_for
from .money import Bag, Money
from .order_records import LineItem, Order, Transaction
from .orders import place, route
from .records import Address, Customer, Location, Product, ProductVariant, ShippingLine, TaxLine

if TYPE_CHECKING:
    from .shop import Shopify

#: Values of `sourceName` that belong to Shopify's own channels [K].
PROTECTED_SOURCES = frozenset({"web", "pos", "shopify_draft_order", "iphone", "android"})
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")


class Refused(Exception):
    """The input breaks a rule; carries the user errors."""

    def __init__(self, message: str, *path: str | int, code: str = "INVALID") -> None:
        super().__init__(message)
        self.errors = [user_error(message, ("order", *path), code)]


def order_create(shop: Shopify, arguments: Payload) -> Payload:
    """Answer the mutation."""
    if shop.too_many_orders():
        message = "Too many orders were created in the last minute. Please try again later."
        return {"order": None, "userErrors": [user_error(message, None, "INVALID")]}
    reader = _Reader(shop, arguments["order"])
    try:
        order, fulfil_at = reader.order()
    except Refused as refusal:
        return {"order": None, "userErrors": refusal.errors}
    behaviour = (arguments.get("options") or {}).get("inventoryBehaviour", "BYPASS")
    order.inventory_behaviour = behaviour
    shares = route(shop, order.line_items, behaviour)
    if shares is None:
        message = "Unable to reserve inventory for one or more line items."
        return {"order": None, "userErrors": [user_error(message, ["order", "lineItems"], "INVENTORY_CLAIM_FAILED")]}
    try:
        order.customer = reader.customer(order)  # last: a refused order leaves no customer behind
    except Refused as refusal:
        return {"order": None, "userErrors": refusal.errors}
    shop.count_order()
    place(shop, order, shares)
    if fulfil_at is not None:
        shop.fulfil_all(order, fulfil_at)
    shop.world.note("shopify", "order imported", order=order.name, source=order.source_identifier, claim=behaviour)
    return {"order": order, "userErrors": []}


class _Reader:
    """Builds one order from its input. Raises Refused at the first broken rule."""

    def __init__(self, shop: Shopify, given: Payload) -> None:
        self.shop = shop
        self.given = given
        self.currency = given.get("currency") or shop.currency
        self.presentment = given.get("presentmentCurrency") or self.currency

    def order(self) -> tuple[Order, dict[str, Any] | None]:
        given, shop, store = self.given, self.shop, self.shop.store
        if self.currency != shop.currency:
            raise Refused(f"Currency must be the shop's currency ({shop.currency}).", "currency")
        self._check_customer_fields()
        lines = self._lines()
        number = shop.next_order_number()
        now = store.now()
        order = Order(
            store.new_id("Order"), number, given.get("name") or f"#{number}", now, now,
            self._processed_at(now), self.currency, self.presentment, self._source_name(), shop.app_id, shop.app_name,
        )  # fmt: skip
        order.line_items = lines
        order.shipping_lines = self._shipping_lines()
        order.order_tax_lines = self._order_tax_lines()
        order.taxes_included = bool(given.get("taxesIncluded"))
        self._discount(order)
        order.transactions = self._transactions(now)
        order.forced_financial_status = given.get("financialStatus")
        order.email, order.phone, order.note = given.get("email"), given.get("phone"), given.get("note")
        order.po_number, order.test = given.get("poNumber"), bool(given.get("test"))
        order.tags = sorted({tag.strip() for tag in given.get("tags") or [] if tag.strip()})
        order.custom_attributes = [(each["key"], each["value"]) for each in given.get("customAttributes") or []]
        order.shipping_address = read_address(shop, given.get("shippingAddress"))
        order.billing_address = read_address(shop, given.get("billingAddress"))
        order.source_identifier = given.get("sourceIdentifier")
        order.registered_source_url = given.get("sourceUrl")
        self._metafields(order)
        return order, self._fulfilment()

    # -- parts ------------------------------------------------------------------------------------------------------

    def _bag(self, given: Payload | None, *path: str | int, minimum: int | None = 0) -> Bag:
        """Read an amount in both currencies; the buyer's must be given when it differs from the shop's."""
        if given is None:
            raise Refused("Price can't be blank.", *path)
        shop_money = Money.of(given["shopMoney"]["amount"], given["shopMoney"]["currencyCode"])
        if shop_money.currency != self.currency:
            raise Refused(f"Shop money must be in {self.currency}.", *path, "shopMoney", "currencyCode")
        other = given.get("presentmentMoney")
        if other is None:
            if self.presentment != self.currency:
                raise Refused(f"Presentment money in {self.presentment} is missing.", *path, "presentmentMoney")
            presentment = shop_money
        else:
            presentment = Money.of(other["amount"], other["currencyCode"])
            if presentment.currency != self.presentment:
                raise Refused(f"Presentment money must be in {self.presentment}.", *path, "presentmentMoney")
        if minimum is not None and shop_money.minor < minimum:
            raise Refused("Price must be greater than or equal to 0.", *path)
        return Bag(shop_money, presentment)

    def _taxes(self, given: Sequence[Payload] | None, *path: str | int) -> list[TaxLine]:
        lines = []
        for i, tax in enumerate(given or []):
            if tax.get("priceSet") is None:
                raise Refused("Tax line price can't be blank.", *path, i, "priceSet")
            price = self._bag(tax["priceSet"], *path, i, "priceSet")
            lines.append(TaxLine(tax["title"], float(tax["rate"]), price, bool(tax.get("channelLiable"))))
        return lines

    def _lines(self) -> list[LineItem]:
        given = self.given.get("lineItems")
        if not given:
            raise Refused("Line items must have at least one line item", "lineItems")
        return [self._line(line, i) for i, line in enumerate(given)]

    def _line(self, given: Payload, i: int) -> LineItem:
        path = ("lineItems", i)
        shop = self.shop
        if given["quantity"] < 1:
            raise Refused("Quantity must be greater than 0", *path, "quantity")
        variant: ProductVariant | None = None
        if given.get("variantId") is not None:
            variant = shop.store.find(given["variantId"], ProductVariant)
            if variant is None:
                raise Refused("Variant does not exist", *path, "variantId")
            if variant.components:  # what Shopify does with a parent here is not documented: nobody should rely on it
                raise Refused("Variant requires components and can't be ordered by itself", *path, "variantId")
        if given.get("productId") is not None and shop.store.find(given["productId"], Product) is None:
            raise Refused("Product does not exist", *path, "productId")
        title = given.get("title") or (variant.product.title if variant else None)
        if not title:
            raise Refused("Title can't be blank", *path, "title")
        if given.get("priceSet") is not None:
            price = self._bag(given["priceSet"], *path, "priceSet")
        elif variant is not None and self.presentment == self.currency:
            price = Bag(variant.price, variant.price)
        else:
            raise Refused("Price can't be blank", *path, "priceSet")
        default = variant.title if variant and variant.title != "Default Title" else None
        return LineItem(
            shop.store.new_id("LineItem"),
            title,
            given["quantity"],
            price,
            variant,
            sku=given.get("sku") or (variant.sku if variant else None),
            vendor=given.get("vendor") or (variant.product.vendor if variant else None),
            variant_title=given.get("variantTitle") or default,
            requires_shipping=bool(given.get("requiresShipping")),  # false unless said otherwise: quirk 2 of the sheet
            taxable=bool(given.get("taxable", True)),
            tax_lines=self._taxes(given.get("taxLines"), *path, "taxLines"),
            custom_attributes=[(each["name"], each["value"]) for each in given.get("properties") or []],
        )

    def _shipping_lines(self) -> list[ShippingLine]:
        lines = []
        for i, line in enumerate(self.given.get("shippingLines") or []):
            path = ("shippingLines", i)
            price = self._bag(line["priceSet"], *path, "priceSet")
            taxes = self._taxes(line.get("taxLines"), *path, "taxLines")
            number = self.shop.store.new_id("ShippingLine")
            lines.append(ShippingLine(number, line["title"], price, line.get("code"), line.get("source"), taxes))
        return lines

    def _order_tax_lines(self) -> list[TaxLine]:
        taxes = self.given.get("taxLines")
        on_lines = [*(self.given.get("lineItems") or []), *(self.given.get("shippingLines") or [])]
        if taxes and any(line.get("taxLines") for line in on_lines):
            raise Refused("Tax lines can be given on the order or on its lines, not on both", "taxLines")
        return self._taxes(taxes, "taxLines")

    def _discount(self, order: Order) -> None:
        fixed = (self.given.get("discountCode") or {}).get("itemFixedDiscountCode")
        if fixed is None:
            return
        path = ("discountCode", "itemFixedDiscountCode")
        order.discount = self._bag(fixed.get("amountSet"), *path, "amountSet")
        order.discount_codes = [fixed["code"]]
        if order.subtotal_price_set.shop_money.minor < 0:
            raise Refused("Discount can't be larger than the line items", *path, "amountSet")
        allocate(order.line_items, order.discount)

    def _transactions(self, now: datetime) -> list[Transaction]:
        result = []
        for i, each in enumerate(self.given.get("transactions") or []):
            amount = self._bag(each["amountSet"], "transactions", i, "amountSet")
            kind = each.get("kind") or "SALE"
            if kind not in ("SALE", "AUTHORIZATION", "CAPTURE", "VOID", "REFUND"):
                raise Refused(f"Transaction kind {kind} is not supported", "transactions", i, "kind")
            number = self.shop.store.new_id("OrderTransaction")
            status, at = each.get("status") or "SUCCESS", each.get("processedAt") or now
            test = bool(each.get("test"))
            result.append(Transaction(number, kind, status, each.get("gateway"), amount, now, at, test=test))
        return result

    def _processed_at(self, now: datetime) -> datetime:
        """A time to come is clamped to now (2026-07 and later)."""
        given: datetime | None = self.given.get("processedAt")
        return min(given, now).replace(microsecond=0) if given else now

    def _source_name(self) -> str:
        name = self.given.get("sourceName")
        if name in PROTECTED_SOURCES:
            if self.shop.switches["protected_source_name"] == "refuse":
                raise Refused(f"Source name '{name}' is protected", "sourceName")
            name = None
        return name or str(self.shop.app_id)

    def _check_customer_fields(self) -> None:
        given = self.given
        if given.get("customerId") is not None and given.get("customer") is not None:
            raise Refused(
                "Only one of customer and customerId can be given", "customerId", code="REDUNDANT_CUSTOMER_FIELDS"
            )
        if given.get("email") and not _EMAIL.match(given["email"]):
            raise Refused("Email is invalid", "email")

    def _metafields(self, order: Order) -> None:
        try:
            order.metafields = metafields_for(self.shop, "ORDER", self.given.get("metafields") or [])
        except MetafieldRefused as refusal:
            raise Refused(str(refusal), "metafields", *refusal.path) from None

    def customer(self, order: Order) -> Customer | None:
        given = self.given.get("customer")
        if self.given.get("customerId") is not None:
            given = {"toAssociate": {"id": self.given["customerId"]}}
        if given is None:
            return None
        try:
            return customer_for(self.shop, given, order.shipping_address)
        except CustomerRefused as problem:
            raise Refused(str(problem), "customer", *problem.path) from None

    def _fulfilment(self) -> dict[str, Any] | None:
        given = self.given.get("fulfillment")
        if given is None:
            return {} if self.given.get("fulfillmentStatus") == "FULFILLED" else None
        location = self.shop.store.find(given["locationId"], Location)
        if location is None or not location.is_active:
            raise Refused("Location does not exist", "fulfillment", "locationId")
        return {"location": location, "company": given.get("trackingCompany"), "number": given.get("trackingNumber")}


def allocate(lines: Sequence[LineItem], discount: Bag) -> None:
    """Share a discount on the whole order out over its lines, by their price."""
    weights = [line.original_total_set.shop_money.minor for line in lines]
    for line, part in zip(lines, discount.split(weights), strict=True):
        line.discount = part


def read_address(shop: Shopify, given: Payload | None) -> Address | None:
    """Build an address from MailingAddressInput."""
    if given is None:
        return None
    return Address(
        shop.store.new_id("MailingAddress"),
        first_name=given.get("firstName"),
        last_name=given.get("lastName"),
        company=given.get("company"),
        address1=given.get("address1"),
        address2=given.get("address2"),
        city=given.get("city"),
        zip=given.get("zip"),
        province_code=given.get("provinceCode") or given.get("province"),
        country_code_v2=given.get("countryCode") or given.get("country"),
        phone=given.get("phone"),
    )


class Pace:
    """How many orders were created in the last minute (trial and development stores: 5)."""

    def __init__(self, shop: Shopify) -> None:
        self.shop = shop
        self.times: list[datetime] = []

    def is_full(self) -> bool:
        limit = self.shop.switches["orders_per_minute"]
        clock = self.shop.world.clock
        since = clock.now() - timedelta(seconds=clock.shortened(60.0))
        self.times = [at for at in self.times if at > since]
        return limit is not None and len(self.times) >= int(limit)  # type: ignore[call-overload]

    def count(self) -> None:
        self.times.append(self.shop.world.clock.now())
