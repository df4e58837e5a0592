"""Judges the body of updateListingInventory: the whole listing or nothing.

In: the parsed JSON body. Out: the products that the body describes, or `Refused` with Etsy's sentence.
Never: touches a listing (shop.py holds them, wire.py replaces them).
Source: Etsy Open API v3 document, updateListingInventory (schema and prose); etsy/open-api #134 #214 #395 #501 #560.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .refused import Refused
from .shop import QUANTITY_MAX, ListedProduct, PropertyValue, Shop, divisor_of

#: Option values per property. Source: etsy/open-api #567.
VALUES_PER_PROPERTY_MAX = 70
#: In US dollars or the like. Source: developers' reports.
PRICE_MIN, PRICE_MAX = 0.20, 50_000.0
ON_PROPERTY = ("price_on_property", "quantity_on_property", "sku_on_property", "readiness_state_on_property")


@dataclass(frozen=True)
class Replacement:
    """A judged body: every product of the listing from now on, without ids."""

    products: list[ListedProduct]
    on_property: dict[str, tuple[int, ...]]


def judge(
    body: Any, shop: Shop, *, currency: str, variations_max: int, sku_max: int, sum_max: int | None
) -> Replacement:
    """Return what `body` asks for. Raises Refused 400 at the first thing that Etsy would not take.

    `sum_max`: the ceiling of the listing's sum (None: only 999 an offering), unconfirmed.
    """
    record = _record(body, {"products", *ON_PROPERTY}, "body")
    if "products" not in record:
        raise Refused(400, "Missing required parameter 'products'")
    entries = _list(record["products"], "products")
    if not entries:
        raise Refused(400, "There was a problem with /products : must contain at least one product")
    products = [_product(entry, shop, currency=currency, sku_max=sku_max) for entry in entries]
    on_property = {name: _ids(record.get(name), name) for name in ON_PROPERTY}
    _check_properties(products, variations_max)
    _check_on_property(products, on_property)
    offered = [p.quantity for p in products if p.is_enabled]
    if not any(offered):
        raise Refused(400, "One offering must have quantity greater than 0")
    if sum_max is not None and sum(offered) > sum_max:
        raise Refused(400, f"There was a problem with /quantity : cannot be greater than {sum_max}")
    return Replacement(products, on_property)


def _product(entry: Any, shop: Shop, *, currency: str, sku_max: int) -> ListedProduct:
    record = _record(entry, {"sku", "property_values", "offerings"}, "products")
    if "offerings" not in record:
        raise Refused(400, "Missing required parameter 'offerings'")
    sku = record.get("sku")
    if sku is not None and not isinstance(sku, str):
        raise Refused(400, "Expected string value for 'sku'")
    if sku and len(sku) > sku_max:
        raise Refused(400, f"There was a problem with /sku : cannot be longer than {sku_max} characters")
    values = tuple(_property_value(v) for v in _list(record.get("property_values", []), "property_values"))
    offerings = _list(record["offerings"], "offerings")
    if len(offerings) != 1:
        raise Refused(400, "There was a problem with /offerings : must contain exactly one offering")
    offering = _record(offerings[0], {"price", "quantity", "is_enabled", "readiness_state_id"}, "offerings")
    for name in ("price", "quantity", "is_enabled", "readiness_state_id"):
        if name not in offering:
            raise Refused(400, f"Missing required parameter '{name}'")
    if not isinstance(offering["is_enabled"], bool):
        raise Refused(400, "Expected boolean value for 'is_enabled'")
    return ListedProduct(
        product_id=0,
        offering_id=0,
        sku=sku or "",
        price_minor=_price(offering["price"], currency),
        quantity=_quantity(offering["quantity"]),
        is_enabled=offering["is_enabled"],
        readiness_state_id=_readiness(offering["readiness_state_id"], shop),
        property_values=values,
    )


def _property_value(entry: Any) -> PropertyValue:
    record = _record(entry, {"property_id", "property_name", "scale_id", "value_ids", "values"}, "property_values")
    for name in ("property_id", "value_ids", "values"):
        if name not in record:
            raise Refused(400, f"Missing required parameter '{name}'")
    property_id = _positive(record["property_id"], "property_id")
    name = record.get("property_name") or ""
    values = _list(record["values"], "values")
    if not isinstance(name, str) or not all(isinstance(v, str) and v for v in values) or not values:
        raise Refused(400, "Expected non-empty string values for 'values' and 'property_name'")
    if any(sign in text for text in (name, *values) for sign in "()"):
        raise Refused(400, "There was a problem with /property_values : parentheses are not allowed")
    value_ids = tuple(_positive(v, "value_ids") for v in _list(record["value_ids"], "value_ids"))
    if value_ids and len(value_ids) != len(values):
        raise Refused(400, "There was a problem with /property_values : value_ids and values differ in length")
    scale_id = record.get("scale_id")
    return PropertyValue(
        property_id, name, tuple(values), value_ids, None if scale_id is None else _positive(scale_id, "scale_id")
    )


def _check_properties(products: Sequence[ListedProduct], variations_max: int) -> None:
    """Every product must choose along the same properties, and no two may choose the same."""
    names = {tuple(sorted(v.property_id for v in p.property_values)) for p in products}
    if len(names) > 1:
        raise Refused(400, "All products must have the same set of properties")
    properties = names.pop()
    if len(set(properties)) != len(properties):
        raise Refused(400, "A product must not name the same property twice")
    if len(properties) > variations_max:
        raise Refused(400, f"A listing can have at most {variations_max} variations")
    if len(products) > 1 and not properties:
        raise Refused(400, "A listing with several products needs property_values on each")
    if len({p.combination() for p in products}) != len(products):
        raise Refused(400, "Duplicate product: two products have the same property_values")
    for property_id in properties:
        options = {v.values for p in products for v in p.property_values if v.property_id == property_id}
        if len(options) > VALUES_PER_PROPERTY_MAX:
            raise Refused(400, f"A property can have at most {VALUES_PER_PROPERTY_MAX} option values")


def _check_on_property(products: Sequence[ListedProduct], on_property: dict[str, tuple[int, ...]]) -> None:
    """Prices, quantities, SKUs and processing profiles may differ only along the properties that say so."""
    used = {v.property_id for p in products for v in p.property_values}
    attributes: dict[str, Callable[[ListedProduct], object]] = {
        "price_on_property": lambda p: p.price_minor,
        "quantity_on_property": lambda p: p.quantity,
        "sku_on_property": lambda p: p.sku,
        "readiness_state_on_property": lambda p: p.readiness_state_id,
    }
    for name, attribute in attributes.items():
        along = frozenset(on_property[name])
        if along - used:
            raise Refused(400, f"The property ids in {name} must be among the properties of the products")
        seen: dict[object, object] = {}
        for product in products:
            if seen.setdefault(product.values_on(along), attribute(product)) != attribute(product):
                what = name.removesuffix("_on_property")
                raise Refused(400, f"The {what} of products must be consistent with {name}")


def _quantity(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(400, "Expected int value for 'quantity'")
    if value < 0:
        raise Refused(400, "There was a problem with /quantity : cannot be less than 0")
    if value > QUANTITY_MAX:
        raise Refused(400, f"There was a problem with /quantity : cannot be greater than {QUANTITY_MAX}")
    return value


def _price(value: Any, currency: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(400, "Expected float value for 'price'")
    if not PRICE_MIN <= value <= PRICE_MAX:
        raise Refused(400, f"There was a problem with /price : must be between {PRICE_MIN} and {PRICE_MAX:.0f}")
    minor = round(value * divisor_of(currency))
    if abs(minor - value * divisor_of(currency)) > 1e-6:
        raise Refused(400, "There was a problem with /price : has more decimals than the currency")
    return minor


def _readiness(value: Any, shop: Shop) -> int:
    if value is None:
        raise Refused(400, "A readiness_state_id is required for physical listings")
    if _positive(value, "readiness_state_id") not in shop.readiness_states:
        raise Refused(400, f"Invalid readiness_state_id: {value}")
    return int(value)


def _record(value: Any, known: set[str], where: str) -> dict[str, Any]:
    """Return `value` as an object. The output of getListingInventory is no valid input: its extra fields are named."""
    if not isinstance(value, dict):
        raise Refused(400, f"Expected object value for '{where}'")
    unknown = sorted(set(value) - known)
    if unknown:
        raise Refused(400, f"Invalid parameter in {where}: {', '.join(map(str, unknown))}")
    return value


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise Refused(400, f"Expected array value for '{name}'")
    return value


def _ids(value: Any, name: str) -> tuple[int, ...]:
    return () if value is None else tuple(_positive(each, name) for each in _list(value, name))


def _positive(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Refused(400, f"Expected positive int value for '{name}'")
    return value
