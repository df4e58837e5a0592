"""Shopify's search: the `query:` grammar, and an index that lags behind the truth.

In: records that were touched; query texts.
Out: records that match, as the index saw them last, and warnings about fields that nobody knows.
Never: refuses a query for an unknown field: that term is ignored, so that a typo returns everything.
Source: contracts sheet shopify section 11; Shopify API search syntax.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from .order_records import Order
from .records import Customer, InventoryItem, Location, Product, ProductVariant, Record

Values = dict[str, Any]


@dataclass(frozen=True)
class Text:
    """A value that is searched by words, not by equality."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, value: str | None) -> Text:
        return cls(tuple(re.findall(r"\w+", (value or "").lower())))

    def holds(self, other: Text) -> bool:
        """Return whether the words of `other` stand here side by side."""
        n = len(other.words)
        return any(self.words[i : i + n] == other.words for i in range(len(self.words) - n + 1)) if n else False


def _order(order: Order) -> Values:
    state = ["cancelled" if order.cancelled_at else "closed" if order.closed_at else "open"]
    fulfillment = {"FULFILLED": ["fulfilled", "shipped"], "PARTIALLY_FULFILLED": ["partial"]}
    return {
        "id": order.id,
        "name": Text.of(order.name),
        "created_at": order.created_at,
        "updated_at": order.updated_at,
        "processed_at": order.processed_at,
        "source_identifier": order.source_identifier,
        "source_name": order.source_name,
        "tag": list(order.tags),
        "email": order.email,
        "status": [*state, "any"] if order.closed_at and not order.cancelled_at else [*state, "not_closed", "any"],
        "financial_status": [order.display_financial_status, "any"],
        "fulfillment_status": [
            order.display_fulfillment_status,
            *fulfillment.get(order.display_fulfillment_status, ["unshipped", "unfulfilled"]),
        ],
        "sku": [Text.of(line.sku) for line in order.line_items],
        "test": order.test,
        "customer_id": order.customer.id if order.customer else None,
        "_text": [Text.of(order.name), Text.of(order.email), *(Text.of(line.sku) for line in order.line_items)],
    }


def _variant(variant: ProductVariant) -> Values:
    item = variant.inventory_item
    return {
        "id": variant.id,
        "sku": Text.of(item.sku),
        "barcode": variant.barcode,
        "title": Text.of(variant.title),
        "product_id": variant.product.id,
        "product_status": variant.product.status,
        "location_id": [level.location.id for level in item.levels.values() if level.is_active],
        "inventory_quantity": variant.inventory_quantity,
        "managed": item.tracked,
        "tag": list(variant.product.tags),
        "vendor": variant.product.vendor,
        "updated_at": variant.updated_at,
        "_text": [Text.of(item.sku), Text.of(variant.display_name)],
    }


def _product(product: Product) -> Values:
    return {
        "id": product.id,
        "title": Text.of(product.title),
        "status": product.status,
        "vendor": product.vendor,
        "product_type": product.product_type,
        "tag": list(product.tags),
        "handle": product.handle,
        "sku": [Text.of(variant.sku) for variant in product.variants],
        "inventory_total": sum(variant.inventory_quantity for variant in product.variants),
        "created_at": product.created_at,
        "updated_at": product.updated_at,
        "_text": [Text.of(product.title), *(Text.of(variant.sku) for variant in product.variants)],
    }


def _item(item: InventoryItem) -> Values:
    return {
        "id": item.id,
        "sku": Text.of(item.sku),
        "created_at": item.created_at,
        "updated_at": item.updated_at,
        "_text": [Text.of(item.sku)],
    }


def _customer(customer: Customer) -> Values:
    return {
        "id": customer.id,
        "email": customer.email,
        "phone": customer.phone,
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "tag": list(customer.tags),
        "orders_count": customer.number_of_orders,
        "customer_date": customer.created_at,
        "updated_at": customer.updated_at,
        "_text": [Text.of(customer.display_name), Text.of(customer.email)],
    }


def _location(location: Location) -> Values:
    return {
        "id": location.id,
        "name": Text.of(location.name),
        "active": location.is_active,
        "created_at": location.created_at,
        "_text": [Text.of(location.name)],
    }


_VALUES: dict[str, Callable[[Any], Values]] = {
    "Order": _order,
    "ProductVariant": _variant,
    "Product": _product,
    "InventoryItem": _item,
    "Customer": _customer,
    "Location": _location,
}


class Index:
    """What search knows. A touched record is read again `lag_s` later (shortened by the clock's factor)."""

    def __init__(self, later: Callable[[float, Callable[[], None]], None], lag_s: float) -> None:
        self.later = later
        self.lag_s = lag_s
        self._seen: dict[str, dict[int, tuple[Record, Values]]] = {kind: {} for kind in _VALUES}
        self._due: set[tuple[str, int]] = set()

    def touch(self, record: Record, *, at_once: bool = False) -> None:
        """Let search hear of a change."""
        key = (record.kind, record.id)
        if at_once or self.lag_s <= 0:
            self._read(record)
        elif key not in self._due:
            self._due.add(key)
            self.later(self.lag_s, lambda: self._read(record))

    def _read(self, record: Record) -> None:
        self._due.discard((record.kind, record.id))
        self._seen[record.kind][record.id] = (record, _VALUES[record.kind](record))

    def forget(self, record: Record) -> None:
        self._seen[record.kind].pop(record.id, None)

    def search(self, kind: str, query: str | None) -> tuple[list[tuple[Record, Values]], list[dict[str, str]]]:
        """Return the (record, indexed values) that match, in no order, and warnings."""
        seen = self._seen[kind].values()
        if not seen or not query or not query.strip():
            return list(seen), []
        plan = compiled(query, frozenset(next(iter(seen))[1]))
        test = plan.test
        return [entry for entry in seen if test is None or test(entry[1])], plan.warnings


# -- the grammar ----------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:(?P<open>\()|(?P<close>\))|(?P<minus>-)(?=\S)
        |(?P<field>[A-Za-z_][\w.$-]*):\s*(?P<op>>=|<=|>|<|=)?\s*(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s()]+)
        |(?P<word>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s()]+))""",
    re.VERBOSE,
)
Test = Callable[[Values], bool]


@dataclass
class Plan:
    """A compiled query: `test` None means that nothing was left to ask."""

    test: Test | None
    warnings: list[dict[str, str]] = field(default_factory=list)


@lru_cache(maxsize=1024)
def compiled(query: str, known: frozenset[str]) -> Plan:
    """Compile a query text for records with the `known` fields."""
    parser = _Parser(query, known)
    return Plan(parser.either(), parser.warnings)


class _Parser:
    """Terms side by side mean AND; OR binds looser; `-` and NOT negate one term."""

    def __init__(self, text: str, known: frozenset[str]) -> None:
        self.tokens = [match for match in _TOKEN.finditer(text.strip())]
        self.at = 0
        self.known = known
        self.warnings: list[dict[str, str]] = []

    def _word(self) -> str | None:
        return self.tokens[self.at]["word"] if self.at < len(self.tokens) else None

    def either(self) -> Test | None:
        tests = [self.both()]
        while self._word() == "OR":
            self.at += 1
            tests.append(self.both())
        real = [test for test in tests if test is not None]
        if not real:
            return None
        return real[0] if len(real) == 1 else lambda values: any(test(values) for test in real)

    def both(self) -> Test | None:
        tests: list[Test] = []
        while self.at < len(self.tokens) and not self.tokens[self.at]["close"] and self._word() != "OR":
            if self._word() == "AND":
                self.at += 1
                continue
            test = self.one()
            if test is not None:
                tests.append(test)
        if not tests:
            return None
        return tests[0] if len(tests) == 1 else lambda values: all(test(values) for test in tests)

    def one(self) -> Test | None:
        token = self.tokens[self.at]
        self.at += 1
        if token["minus"] or token["word"] == "NOT":
            inner = self.one() if self.at < len(self.tokens) else None
            return None if inner is None else lambda values: not inner(values)
        if token["open"]:
            group = self.either()
            if self.at < len(self.tokens) and self.tokens[self.at]["close"]:
                self.at += 1
            return group
        if token["field"]:
            return self._term(token["field"], token["op"] or "=", _unquoted(token["value"]))
        wanted = Text.of(_unquoted(token["word"] or ""))
        return lambda values: any(text.holds(wanted) for text in values.get("_text", ()))

    def _term(self, name: str, op: str, raw: str) -> Test | None:
        if name not in self.known or name.startswith("_"):
            self._warn(name, "Invalid search field for this query.", "invalid_field")
            return None
        if name.endswith(("_at", "_date")) and _instant(raw) is None and raw != "*":
            self._warn(name, f"Input `{raw}` is not an accepted value.", "invalid_value")
            return None
        return lambda values: _matches(values.get(name), op, raw)

    def _warn(self, name: str, message: str, code: str) -> None:
        self.warnings.append({"field": name, "message": message, "code": code})


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def _instant(raw: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(raw.replace("Z", "+00:00"))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _compare(op: str, left: Any, right: Any) -> bool:
    if op == ">=":
        return bool(left >= right)
    if op == "<=":
        return bool(left <= right)
    if op == ">":
        return bool(left > right)
    return bool(left < right) if op == "<" else bool(left == right)


def _matches(value: Any, op: str, raw: str) -> bool:
    if isinstance(value, list):
        return any(_matches(each, op, raw) for each in value)
    if raw == "*":
        return value is not None and value != Text(())
    if value is None:
        return False
    if isinstance(value, datetime):
        at = _instant(raw)
        if at is None:
            return False
        if op == "=" and len(raw) == 10:  # a date means its whole day
            return at <= value < at + timedelta(days=1)
        return _compare(op, value, at)
    if isinstance(value, bool):
        return value == (raw.lower() == "true")
    if isinstance(value, int):
        number = raw.rsplit("/", 1)[-1]
        return any(_compare(op, value, int(n)) for n in number.split(",") if n.lstrip("-").isdigit())
    if isinstance(value, Text):
        if raw.endswith("*"):
            return any(word.startswith(raw[:-1].lower()) for word in value.words)
        return value.holds(Text.of(raw))
    if raw.endswith("*"):
        return str(value).lower().startswith(raw[:-1].lower())
    return str(value).lower() == raw.lower()
