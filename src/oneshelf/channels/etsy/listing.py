"""A listing's inventory document: which outlets it has, what they show, and the whole body a write needs. Pure.

In: Etsy's ListingInventory as plain JSON values. Out: outlet keys, numbers, the PUT body.
Never: stores product or offering ids as keys; they may change on every write (etsy/open-api #523, #432).
Source: Etsy Open API v3, getListingInventory and updateListingInventory; tutorials/listings, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from oneshelf.channels.etsy.wire import EtsyMoney, text, whole
from oneshelf.core.errors import Unreadable

State = Literal["live", "out_of_stock", "inactive", "ended", "draft"]

#: Etsy's listing states in our words. Source: Etsy Open API v3, ShopListing.state.
STATES: dict[str, State] = {
    "active": "live",
    "inactive": "inactive",
    "sold_out": "out_of_stock",
    "draft": "draft",
    "expired": "ended",
}

#: Properties that are a buyer's words, no variation: 54 is personalisation, and there may be several.
#: Source: Etsy personalisation migration guide, "Reading transaction personalization data", read 2026-11.
PERSONALISATION = 54


class Shown(NamedTuple):
    """What buyers can buy of one outlet now."""

    quantity: int
    state: State


def _list(value: Any, what: str) -> list[Any]:
    """Return a list, null as an empty one. Raises Unreadable: what we dropped from a document, a write would delete."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unreadable(f"Etsy inventory: {what} is no list")
    return value


def _dicts(value: Any, what: str) -> list[dict[str, Any]]:
    found = _list(value, what)
    if not all(isinstance(one, dict) for one in found):
        raise Unreadable(f"Etsy inventory: {what} are not all objects")
    return found


def products_of(inventory: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the products that are not deleted. Raises Unreadable."""
    return [product for product in _dicts(inventory.get("products"), "products") if not product.get("is_deleted")]


def offerings_of(product: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the offerings that are not deleted (Etsy gives one a product). Raises Unreadable."""
    return [offering for offering in _dicts(product.get("offerings"), "offerings") if not offering.get("is_deleted")]


def values_of(product: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the property values. Raises Unreadable."""
    return _dicts(product.get("property_values"), "property_values")


# --- names -----------------------------------------------------------------------------------------------------------


def _plain(value: Any) -> str:
    """Keep a value from looking like the key's own punctuation."""
    words = text(value) or ""
    for mark, stand_in in (("%", "%25"), (";", "%3B"), ("=", "%3D"), ("/", "%2F"), ("|", "%7C")):
        words = words.replace(mark, stand_in)
    return words


def pairs(values: Iterable[Mapping[str, Any]], only: Iterable[int] | None = None) -> str:
    """Return "200=Red;513=Large": property id = value, by property id. `only`: just these properties."""
    wanted = None if only is None else set(only)
    found: dict[int, str] = {}
    for value in values:
        number = whole(value.get("property_id"))
        if number is None or number == PERSONALISATION or (wanted is not None and number not in wanted):
            continue
        words = value.get("values")
        found[number] = "|".join(_plain(word) for word in words) if isinstance(words, list) else _plain(words)
    return ";".join(f"{number}={found[number]}" for number in sorted(found))


def id_pairs(values: Iterable[Mapping[str, Any]]) -> str:
    """Return "200=1213;513=2152": the same by value ids, "" unless every value has one. Texts may be translated, ids not."""
    found: dict[int, str] = {}
    for value in values:
        number = whole(value.get("property_id"))
        if number is None or number == PERSONALISATION:
            continue
        given = value.get("value_ids")
        ids = [whole(one) for one in given] if isinstance(given, list) else []
        if not ids or None in ids:
            return ""
        found[number] = "|".join(str(one) for one in ids)
    return ";".join(f"{number}={found[number]}" for number in sorted(found))


def listing_keys(listing_id: str, values: list[dict[str, Any]], sku: str | None) -> tuple[str, ...]:
    """Return every name of one product, the most certain first; catalogue and orders use the same."""
    named, numbered = pairs(values), id_pairs(values)
    keys = [f"product:{listing_id}/{named}"]
    if numbered:
        keys.append(f"product:{listing_id}/#{numbered}")
    if not named:
        keys.append(f"listing:{listing_id}")
    if sku:
        keys.append(f"sku:{sku}")
    return tuple(keys)


def outlet_of(listing_id: str, inventory: Mapping[str, Any], product: Mapping[str, Any]) -> str:
    """Return the key of the outlet whose number this product shows.

    Quantities differ only along `quantity_on_property`: none there means one number for the whole listing, and products that
    agree on those properties share one. Source: updateListingInventory, `*_on_property`.
    """
    given = _list(inventory.get("quantity_on_property"), "quantity_on_property")
    named = pairs(values_of(product), [number for number in map(whole, given) if number])
    return f"{listing_id}/{named}" if named else listing_id


# --- what is shown ---------------------------------------------------------------------------------------------------


def document_of(listing_id: str, state: str | None, inventory: Mapping[str, Any], *, single: bool) -> dict[str, Any]:
    """Return what a later write needs back. `single`: it was read by its own call (the batch may leave out
    readiness_state_id, without which a write is not valid)."""
    return {"listing_id": listing_id, "state": state or "active", "single": single, "inventory": dict(inventory)}


def _number(offering: Mapping[str, Any]) -> int:
    number = whole(offering.get("quantity"))
    if number is None:
        raise Unreadable("Etsy inventory: an offering without a quantity")
    return number


def shown(document: Mapping[str, Any]) -> dict[str, Shown]:
    """Return what each outlet shows. A listing that is not active shows 0, whatever its document keeps. Raises Unreadable."""
    listing_id, inventory = str(document["listing_id"]), document["inventory"]
    state = STATES.get(str(document["state"]), "live")
    found: dict[str, Shown] = {}
    for product in products_of(inventory):
        key = outlet_of(listing_id, inventory, product)
        offerings = offerings_of(product)
        enabled = [offering for offering in offerings if offering.get("is_enabled") is not False]
        quantity = max((_number(offering) for offering in enabled), default=0)
        here: State = state
        if state == "live" and quantity == 0:
            here = "inactive" if offerings and not enabled else "out_of_stock"
        this = Shown(quantity if state == "live" else 0, here)
        # Products of one outlet carry one number; should they not, the larger is what can be sold.
        found[key] = max(found.get(key, this), this, key=lambda one: (one.quantity, one.state == "out_of_stock"))
    return found


# --- the whole body --------------------------------------------------------------------------------------------------


def _price(value: Any) -> float | int:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        price = msgspec.convert(value, EtsyMoney, strict=False)
    except msgspec.ValidationError as bad:
        raise Unreadable(f"Etsy inventory: an offering without a price ({bad})") from bad
    if price.divisor <= 0:
        raise Unreadable(f"Etsy inventory: a price with divisor {price.divisor}")
    # The one place where money is a float: Etsy's write takes "a float equal to amount divided by divisor".
    return price.amount / price.divisor


def _offering(offering: Mapping[str, Any], quantity: int, *, enable: bool) -> dict[str, Any]:
    enabled = offering.get("is_enabled") is not False
    return {
        "price": _price(offering.get("price")),
        "quantity": quantity,
        "is_enabled": enabled or enable,
        "readiness_state_id": whole(offering.get("readiness_state_id")),
    }


def _property(value: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        "property_id": value.get("property_id"),
        "value_ids": _list(value.get("value_ids"), "value_ids"),
        "values": _list(value.get("values"), "values"),
        "scale_id": whole(value.get("scale_id")),
    }
    # property_name may be null on read but not on write.
    return {**kept, "property_name": value["property_name"]} if value.get("property_name") else kept


def put_body(document: Mapping[str, Any], wanted: Mapping[str, int]) -> dict[str, Any]:
    """Return the PUT body: every product, `wanted` numbers in their outlets, all else as just read. Raises Unreadable.

    Drops what only a read carries (product_id, offering_id, is_deleted, scale_name, deleted products). In a listing that is not
    active "as just read" is 0: the numbers its document keeps are those from before it was closed.
    Source: github.com/etsy/open-api #337, #134 (what is left out is deleted).
    """
    listing_id, inventory = str(document["listing_id"]), document["inventory"]
    closed = STATES.get(str(document["state"]), "live") != "live"
    products = []
    for product in products_of(inventory):
        key = outlet_of(listing_id, inventory, product)
        offerings = []
        for offering in offerings_of(product):
            number = wanted.get(key)
            kept = 0 if closed else _number(offering)
            offerings.append(_offering(offering, kept if number is None else number, enable=bool(number)))
        values = [_property(value) for value in values_of(product)]
        products.append({"sku": product.get("sku") or "", "property_values": values, "offerings": offerings})
    along = ("price_on_property", "quantity_on_property", "sku_on_property", "readiness_state_on_property")
    return {"products": products, **{name: _list(inventory.get(name), name) for name in along}}


def sells_nothing(body: Mapping[str, Any]) -> bool:
    """Return True if no offering of the body could be bought: Etsy refuses such a write (etsy/open-api #395, #501, #560)."""
    return not any(
        offering["quantity"] > 0 and offering["is_enabled"]
        for product in body["products"]
        for offering in product["offerings"]
    )


def lacks_readiness(document: Mapping[str, Any]) -> bool:
    """Return True if the document came from a batch read and misses a readiness_state_id that a read by itself may give."""
    if document.get("single"):
        return False
    return any(
        offering.get("readiness_state_id") is None
        for product in products_of(document["inventory"])
        for offering in offerings_of(product)
    )


def variations(body: Mapping[str, Any]) -> int:
    """Return the number of properties the products vary by; three need max_variations_supported=3."""
    return max((len(product["property_values"]) for product in body["products"]), default=0)
