"""Which hub lines lose pieces, where they go back, and what money is booked. Pure.

In: the copy as read, pieces by marketplace line and SKU. Out: RefundInput. Raises RemovalProblem. Never: sends.

Only unfulfilled pieces are taken (type CANCEL gives back a claim; a fulfilled piece would need RETURN). Money is booked on the
import's own sale, so that nothing is paid out by a real gateway: pieces × (unit price − discount's share + tax's share), halves up,
and never more than that sale has left. Source: Shopify Admin GraphQL refundCreate, RefundInput, 2026-10, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, TypeVar

import msgspec

from oneshelf.channels.contract import CopyPart
from oneshelf.channels.shopify import ids
from oneshelf.channels.shopify.form import LINE_KEY, WORK_DONE, text, whole
from oneshelf.channels.shopify.money import to_minor, to_text

#: What names a line: the id of a hub's own, or the part of a marketplace's that it stands for.
K = TypeVar("K", str, CopyPart)


class RemovalProblem(ValueError):
    """These pieces can't be taken off this order."""


class CopyRead(msgspec.Struct):
    """A copy as read: the order's own fields, all its lines, all its fulfilment orders."""

    order: dict[str, Any]
    lines: list[dict[str, Any]]
    work: list[dict[str, Any]]


def already_done(copy: CopyRead, key: str) -> str | None:
    """Return the refund that carries the key, None if there is none."""
    for refund in copy.order.get("refunds") or []:
        if key and marked("", key) in str(refund.get("note") or ""):
            return str(refund.get("id"))
    return None


def refund_input(
    order_id: str, copy: CopyRead, pieces: Mapping[CopyPart, int], reason: str, key: str
) -> dict[str, Any]:
    """Return RefundInput for these pieces, all or nothing. Raises RemovalProblem."""
    currency = text(copy.order.get("presentmentCurrencyCode"))
    if currency is None:
        raise RemovalProblem("the order does not say its currency")
    taken = taken_lines(copy, pieces, stands_for)
    included = copy.order.get("taxesIncluded") is True
    amount = sum(_value(line, count, currency, included) for line, count in taken)
    made: dict[str, Any] = {
        "orderId": order_id,
        "currency": currency,
        "notify": False,
        "note": marked(reason, key),
        "refundLineItems": [entry for line, count in taken for entry in refund_lines(copy, line, count)],
    }
    sale = _sale(copy)
    if sale is not None:
        minor = min(int(amount + Fraction(1, 2)), _left(copy, sale, currency))
        if minor > 0:
            made["transactions"] = [
                {
                    "orderId": order_id,
                    "kind": "REFUND",
                    "gateway": sale.get("gateway") or "",
                    "amount": to_text(minor, currency),
                    "parentId": sale["id"],
                }
            ]
    return made


def marked(words: str, key: str) -> str:
    """Return a note that carries our key, so that a read finds what this intent has made."""
    return f"{words} [oneshelf {key}]".strip()


def taken_lines(
    copy: CopyRead, pieces: Mapping[K, int], is_of: Callable[[dict[str, Any], K], bool]
) -> list[tuple[dict[str, Any], int]]:
    """Pick the pieces from the hub lines that are of each key; a marketplace line that was split in two (S14.6) has several.

    Raises RemovalProblem where fewer are open.
    """
    taken: list[tuple[dict[str, Any], int]] = []
    for wanted_id, wanted in pieces.items():
        left = wanted
        for line in copy.lines:
            if left > 0 and is_of(line, wanted_id):
                count = min(left, open_pieces(line))
                left -= count
                if count > 0:
                    taken.append((line, count))
        if left > 0 or wanted <= 0:
            name = wanted_id if isinstance(wanted_id, str) else " ".join(part for part in wanted_id if part)
            raise RemovalProblem(f"line {name}: {wanted} wanted, {wanted - left} unfulfilled in the hub")
    return taken


def line_key(line: Mapping[str, Any]) -> str | None:
    """Return the marketplace line that a copy's line stands for."""
    attributes = line.get("customAttributes") or []
    return next((text(a.get("value")) for a in attributes if a.get("key") == LINE_KEY), None)


def stands_for(line: Mapping[str, Any], part: CopyPart) -> bool:
    """Whether a copy's line stands for this part of a marketplace line."""
    line_id, sku = part
    return line_key(line) == line_id and sku in ("", text(line.get("sku")))


def open_pieces(line: Mapping[str, Any]) -> int:
    """Return how many pieces of a hub line can still be taken off or sent."""
    current, unfulfilled = whole(line.get("currentQuantity")) or 0, whole(line.get("unfulfilledQuantity")) or 0
    return max(0, min(current, unfulfilled))


def refund_lines(copy: CopyRead, line: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """One refund line for each location that was to send the pieces; without fulfilment orders Shopify chooses."""
    entries = []
    for location, there in _locations(copy, str(line["id"])).items():
        part = min(count, there)
        if part > 0:
            entries.append(_entry(line, part, location))
            count -= part
    return entries if count <= 0 else [*entries, _entry(line, count, None)]


def _entry(line: Mapping[str, Any], count: int, location: str | None) -> dict[str, Any]:
    entry = {"lineItemId": line["id"], "quantity": count, "restockType": "CANCEL"}
    return entry if location is None else {**entry, "locationId": location}


def _locations(copy: CopyRead, line_id: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for work in copy.work:
        location = text(((work.get("assignedLocation") or {}).get("location") or {}).get("id"))
        if location is None or str(work.get("status")).lower() in WORK_DONE:
            continue
        for unit in (work.get("lineItems") or {}).get("nodes") or []:
            if ids.number((unit.get("lineItem") or {}).get("id")) == ids.number(line_id):
                found[location] = found.get(location, 0) + (whole(unit.get("remainingQuantity")) or 0)
    return found


def _value(line: Mapping[str, Any], count: int, currency: str, included: bool) -> Fraction:
    quantity = max(1, whole(line.get("quantity")) or 1)
    unit = _minor(line.get("originalUnitPriceSet"), currency)
    discount = sum(_minor(a.get("allocatedAmountSet"), currency) for a in line.get("discountAllocations") or [])
    tax = 0 if included else sum(_minor(t.get("priceSet"), currency) for t in line.get("taxLines") or [])
    return unit * count + Fraction((tax - discount) * count, quantity)


def _minor(bag: Any, currency: str) -> int:
    return to_minor(((bag or {}).get("presentmentMoney") or {}).get("amount"), currency) or 0


def _sale(copy: CopyRead) -> dict[str, Any] | None:
    for transaction in copy.order.get("transactions") or []:
        if transaction.get("kind") in ("SALE", "CAPTURE") and transaction.get("status") == "SUCCESS":
            return dict(transaction)
    return None


def _left(copy: CopyRead, sale: Mapping[str, Any], currency: str) -> int:
    refunded = sum(_minor(r.get("totalRefundedSet"), currency) for r in copy.order.get("refunds") or [])
    return max(0, _minor(sale.get("amountSet"), currency) - refunded)
