"""Mutations on orders that exist: cancel, refund, update, mark as paid, close, tags. Refusals first, then orders.py.

Source: contracts sheet shopify section 9; descriptions in the Admin GraphQL schema 2026-10.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graphql import GraphQLResolveInfo

from .errors import Payload, check_gid, user_error
from .money import Bag, Money
from .order_create import read_address
from .order_records import LineItem, Order, Transaction
from .orders import RefundWish, cancel, changed, customer_changed, refund, returnable
from .records import Customer, Job, Location, Product

if TYPE_CHECKING:
    from .shop import Shopify


# -- cancel ----------------------------------------------------------------------------------------------------------


def order_cancel(shop: Shopify, arguments: Payload) -> Payload:
    """orderCancel answers with a job; the order changes later."""
    order = shop.order(arguments["orderId"])
    problem, code = why_not_cancel(shop, order, restock=arguments["restock"])
    if len(arguments.get("staffNote") or "") > 255:
        problem, code = "Staff note is too long (maximum is 255 characters)", "INVALID"
    if problem or order is None:
        error = user_error(problem or "", ["orderId"], code)
        return {"job": None, "orderCancelUserErrors": [error], "userErrors": [error]}
    job = shop.store.add(Job(shop.store.new_id("Job"), shop.store.new_uuid()))
    money = bool((arguments.get("refundMethod") or {}).get("originalPaymentMethodsRefund"))
    reason, restock = arguments["reason"], arguments["restock"]

    def run() -> None:
        problem, _ = why_not_cancel(shop, order, restock=restock)  # something may have happened meanwhile
        if problem is None:
            cancel(shop, order, reason=reason, restock=restock, money=money, lost=_lies_in_closed_place(order))
        job.done = True

    shop.later(float(shop.switches["cancel_job_s"]), run)  # type: ignore[arg-type]
    return {"job": job, "orderCancelUserErrors": [], "userErrors": []}


def why_not_cancel(shop: Shopify, order: Order | None, *, restock: bool) -> tuple[str | None, str | None]:
    """Return message and code why an order cannot be cancelled, or (None, None)."""
    if order is None:
        return "Order does not exist", "NOT_FOUND"
    if order.cancelled_at is not None:
        return "Cannot cancel an order that has already been canceled", "INVALID"
    if any(each.status == "PENDING" for each in order.transactions):
        return "Cannot cancel an order with pending payments", "INVALID"
    if any(not each.cancelled for each in order.fulfillments) and shop.switches["cancel_after_fulfilment"] == "refuse":
        return "Cannot cancel an order with fulfilled line items", "INVALID"
    if restock and order.fully_paid and _lies_in_closed_place(order):
        return "Cannot restock inventory at a deactivated location", "INVALID"
    return None, None


def _lies_in_closed_place(order: Order) -> bool:
    return any(work.is_live and not work.location.is_active for work in order.fulfillment_orders)


# -- refund ----------------------------------------------------------------------------------------------------------


def refund_create(shop: Shopify, info: GraphQLResolveInfo[Any], arguments: Payload) -> Payload:
    """refundCreate: plain user errors, without code."""

    def refuse(_code: str, message: str) -> Payload:
        return {"refund": None, "order": None, "userErrors": [user_error(message)]}

    def run() -> tuple[Payload, Callable[[], Payload]]:
        answer = _refund(shop, arguments["input"])
        return answer, lambda: answer

    return shop.keys.once(info, arguments, run, refuse)


def _refund(shop: Shopify, given: Payload) -> Payload:
    def no(message: str, *path: str | int) -> Payload:
        return {"refund": None, "order": None, "userErrors": [user_error(message, path)]}

    order = shop.order(given["orderId"])
    if order is None:
        return no("Order does not exist", "orderId")
    wishes: list[RefundWish] = []
    for i, entry in enumerate(given.get("refundLineItems") or []):
        wish = read_refund_line(shop, order, entry, wishes)
        if isinstance(wish, str):
            return no(wish, "refundLineItems", i)
        wishes.append(wish)
    shipping = _shipping_refund(order, given.get("shipping"))
    if isinstance(shipping, str):
        return no(shipping, "shipping")
    transactions = _refund_transactions(shop, order, given)
    if isinstance(transactions, str):
        return no(transactions, "transactions")
    if not wishes and not transactions and shipping is None:
        return no("Refund must have line items, shipping or transactions", "refundLineItems")
    result = refund(shop, order, wishes, transactions, note=given.get("note"), shipping=shipping)
    return {"refund": result, "order": order, "userErrors": []}


def read_refund_line(shop: Shopify, order: Order, entry: Payload, before: list[RefundWish]) -> RefundWish | str:
    """Check one RefundLineItemInput; return the message if it is refused."""
    line = shop.store.find(entry["lineItemId"], LineItem)
    if line is None or line not in order.line_items:
        return "Line item does not exist"
    kind, pieces = entry.get("restockType") or "NO_RESTOCK", entry["quantity"]
    if kind == "LEGACY_RESTOCK":
        return "Restock type LEGACY_RESTOCK can't be used"
    if pieces < 1:
        return "Quantity must be greater than 0"
    taken = sum(wish.pieces for wish in before if wish.line is line)
    if pieces > line.refundable_quantity - taken:
        return "Quantity cannot refund more items than were purchased"
    location: Location | None = None
    if entry.get("locationId") is not None:
        location = shop.store.find(entry["locationId"], Location)
        if location is None or (kind != "NO_RESTOCK" and not location.is_active):
            return "Location does not exist or is not active"
    same = sum(wish.pieces for wish in before if wish.line is line and wish.restock_type == kind)
    if kind == "CANCEL" and pieces > line.unfulfilled_quantity - same:
        if shop.switches["refund_mixup"] == "refuse":
            return "Quantity cannot cancel more items than are unfulfilled"
        kind = "RETURN"
    elif kind == "RETURN" and pieces > returnable(line) - same:
        if shop.switches["refund_mixup"] == "refuse":
            return "Quantity cannot return more items than were fulfilled"
        kind = "CANCEL"
    if kind == "RETURN" and location is None:
        location = _sent_from(order, line)
        if location is None or not location.is_active:
            return "Location is required for restock type RETURN"
    return RefundWish(line, pieces, kind, location)


def _sent_from(order: Order, line: LineItem) -> Location | None:
    for fulfillment in order.fulfillments:
        if not fulfillment.cancelled and any(piece.line_item is line for piece in fulfillment.pieces):
            return fulfillment.location
    return None


def _shipping_refund(order: Order, given: Payload | None) -> Bag | None | str:
    if not given:
        return None
    left = order.current_shipping_price_set
    if given.get("fullRefund"):
        return left
    if given.get("amount") is None:
        return None
    shop_money = Money.of(given["amount"], order.currency_code)
    if shop_money.minor > left.shop_money.minor:
        return "Shipping refund exceeds what is left of the shipping price"
    if order.currency_code == order.presentment_currency_code:
        return Bag(shop_money, shop_money)
    return left.share(shop_money.minor, max(1, left.shop_money.minor))


def _refund_transactions(shop: Shopify, order: Order, given: Payload) -> list[Transaction] | str:
    currency = given.get("currency") or order.presentment_currency_code
    if currency != order.presentment_currency_code:
        return f"Currency must be the order's presentment currency ({order.presentment_currency_code})"
    left = (order.total_received_set - order.total_refunded_set).presentment_money.minor
    result: list[Transaction] = []
    for entry in given.get("transactions") or []:
        if entry["orderId"] != order.gid:
            return "Transaction belongs to another order"
        if entry["kind"] != "REFUND":
            return "Transaction kind must be REFUND"
        parent = shop.store.find(entry["parentId"], Transaction) if entry.get("parentId") else None
        if entry.get("parentId") and (parent is None or parent not in order.transactions):
            return "Parent transaction does not exist"
        amount = Money.of(entry["amount"], order.presentment_currency_code)
        left -= amount.minor
        if amount.minor <= 0:
            return "Amount must be greater than 0"
        if left < 0 and not given.get("allowOverRefunding"):
            return "Refund amount is greater than the amount that was received"
        number, now = shop.store.new_id("OrderTransaction"), shop.store.now()
        at = given.get("processedAt") or now
        bag = _both_currencies(order, amount)
        result.append(Transaction(number, "REFUND", "SUCCESS", entry["gateway"], bag, now, at, parent, order.test))
    return result


def _both_currencies(order: Order, presentment: Money) -> Bag:
    """Return a presentment amount with its value in the shop's currency, at the order's own rate."""
    if order.currency_code == order.presentment_currency_code:
        return Bag(presentment, presentment)
    total = order.total_price_set
    share = total.share(presentment.minor, max(1, total.presentment_money.minor))
    return Bag(share.shop_money, presentment)


# -- small ones ------------------------------------------------------------------------------------------------------


def order_update(shop: Shopify, arguments: Payload) -> Payload:
    """orderUpdate: lists overwrite."""
    given = arguments["input"]
    order = shop.order(given["id"])
    if order is None:
        return {"order": None, "userErrors": [user_error("Order does not exist", ["id"])]}
    for key, name in (("note", "note"), ("email", "email"), ("phone", "phone"), ("poNumber", "po_number")):
        if key in given:
            setattr(order, name, given[key])
    if given.get("tags") is not None:
        order.tags = sorted({tag.strip() for tag in given["tags"] if tag.strip()})
    if given.get("customAttributes") is not None:
        order.custom_attributes = [(each["key"], each["value"]) for each in given["customAttributes"]]
    if given.get("shippingAddress") is not None:
        order.shipping_address = read_address(shop, given["shippingAddress"])
    changed(shop, order)
    return {"order": order, "userErrors": []}


def order_mark_as_paid(shop: Shopify, arguments: Payload) -> Payload:
    order = shop.order(arguments["input"]["id"])
    if order is None:
        return {"order": None, "userErrors": [user_error("Order does not exist", ["id"])]}
    due = order.total_outstanding_set
    if due.shop_money.minor <= 0 or order.display_financial_status == "PAID":
        return {"order": None, "userErrors": [user_error("Order cannot be marked as paid.", ["id"])]}
    now, number = shop.store.now(), shop.store.new_id("OrderTransaction")
    order.transactions.append(shop.store.add(Transaction(number, "SALE", "SUCCESS", "manual", due, now, now)))
    order.forced_financial_status = None
    changed(shop, order, "orders/paid")
    return {"order": order, "userErrors": []}


def order_close(shop: Shopify, arguments: Payload) -> Payload:
    order = shop.order(arguments["input"]["id"])
    if order is None:
        return {"order": None, "userErrors": [user_error("Order does not exist", ["id"])]}
    order.closed_at = order.closed_at or shop.store.now()
    changed(shop, order)
    return {"order": order, "userErrors": []}


def change_tags(shop: Shopify, arguments: Payload, *, add: bool) -> Payload:
    """tagsAdd, tagsRemove on orders, customers and products."""
    check_gid(arguments["id"], "Order", "Customer", "Product", "DraftOrder", "Article")
    record: Any = shop.store.find_any(arguments["id"])
    if not isinstance(record, Order | Customer | Product):
        return {"node": None, "userErrors": [user_error("Resource does not exist", ["id"])]}
    given = {tag.strip() for text in arguments["tags"] for tag in text.split(",") if tag.strip()}
    if any(len(tag) > 255 for tag in given):
        return {"node": None, "userErrors": [user_error("Tag is too long (maximum is 255 characters)", ["tags"])]}
    lower = {tag.lower() for tag in given}
    kept = [tag for tag in record.tags if tag.lower() not in lower]
    record.tags = sorted([*kept, *given]) if add else kept
    if isinstance(record, Order):
        changed(shop, record)
    elif isinstance(record, Customer):
        customer_changed(shop, record, "customers/update")
    else:
        shop.ledger.touch_product(record)
    return {"node": record, "userErrors": []}
