"""Listing attributes: which bodies are refused, and what add, replace, merge and delete do to them. Pure.

Source: Amazon model listingsItems_2021-08-01 (PatchOperation, ListingsItemPatchRequest); page merge-a-listing; threads
amzn/selling-partner-api-models#2061 (entries are keyed), #4554 (top level only), #4841 (lead time needs quantity),
amzn/selling-partner-api-docs#3002 (replace resets what is left out); jlevers/selling-partner-api#493; read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from .limits import MARKETPLACES

Entry = dict[str, Any]
Attributes = dict[str, list[Entry]]
Issue = dict[str, Any]

OPS = ("add", "replace", "merge", "delete")
_PATH = re.compile(r"^/attributes/([a-z][a-z0-9_]*)$")
_CHANNEL = re.compile(r"^(DEFAULT|AMAZON_[A-Z]{2,3})$")

#: By which fields the entries of an attribute are told apart. All others: by marketplace and language.
SELECTORS = {
    "fulfillment_availability": ("fulfillment_channel_code",),
    "purchasable_offer": ("marketplace_id", "currency", "audience"),
}
DEFAULT_SELECTORS = ("marketplace_id", "language_tag")
LEAD_TIME_DAYS_MAX = 30
#: Greatest quantity that fits the field (a signed 32 bit integer on every client library).
QUANTITY_MAX = 2_147_483_647

#: Attributes that this emulator knows for any product type; others are refused as invalid.
KNOWN = frozenset({
    "fulfillment_availability", "purchasable_offer", "condition_type", "condition_note", "merchant_suggested_asin",
    "item_name", "brand", "bullet_point", "product_description", "list_price", "merchant_shipping_group",
    "main_product_image_locator", "externally_assigned_product_identifier", "product_tax_code", "max_order_quantity",
    "country_of_origin", "item_weight", "color", "size", "material",
})  # fmt: skip


class Malformed(ValueError):
    """The body breaks the published schema: the whole request is answered 400."""


def read_patches(body: Mapping[str, Any]) -> tuple[str, list[Mapping[str, Any]]]:
    """Return product type and patches of a PATCH body. Raises Malformed where the model forbids it."""
    product_type, patches = body.get("productType"), body.get("patches")
    if not isinstance(product_type, str) or not product_type:
        raise Malformed("productType is required and must be a string")
    if not isinstance(patches, list) or not patches:
        raise Malformed("patches is required and must hold at least one operation")
    for patch in patches:
        _check_patch(patch)
    return product_type, patches


def _check_patch(patch: Any) -> None:
    if not isinstance(patch, dict):
        raise Malformed("a patch must be an object")
    if patch.get("op") not in OPS:
        raise Malformed(f"op must be one of {', '.join(OPS)}, got {patch.get('op')!r}")
    if not isinstance(patch.get("path"), str) or not _PATH.match(patch["path"]):
        raise Malformed("Invalid parameters provided.")  # nested paths too
    value = patch.get("value")
    if value is None and patch["op"] == "delete":
        return
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise Malformed(f"value of {patch['path']} must be an array of objects")


def attribute_of(patch: Mapping[str, Any]) -> str:
    """Return the attribute that a checked patch is about."""
    found = _PATH.match(patch["path"])
    assert found
    return found[1]


def issues_of_patches(patches: Sequence[Mapping[str, Any]], marketplaces: Sequence[str]) -> list[Issue]:
    """Return what is wrong with the values of checked patches (ERROR: the submission is INVALID)."""
    issues: list[Issue] = []
    for patch in patches:
        name = attribute_of(patch)
        if name not in KNOWN:
            issues.append(issue("90000900", "The attributes are invalid.", name, "INVALID_ATTRIBUTE"))
        elif patch["op"] == "delete":
            issues += _missing_selectors(name, patch.get("value") or [])
        elif not patch["value"]:
            issues.append(_too_few(name))
        else:
            issues += issues_of_attribute(name, patch["value"], marketplaces)
    return issues


def issues_of_attribute(name: str, entries: Sequence[Entry], marketplaces: Sequence[str]) -> list[Issue]:
    """Return what is wrong with the entries of one attribute."""
    if name not in KNOWN:
        return [issue("90000900", "The attributes are invalid.", name, "INVALID_ATTRIBUTE")]
    check = _CHECKS.get(name)
    if check is None:
        return []
    return [found for entry in entries for found in check(entry, marketplaces)]


def issue(code: str, message: str, name: str, *categories: str, severity: str = "ERROR") -> Issue:
    """Return one Issue object of the Listings API."""
    return {
        "code": code,
        "message": message,
        "severity": severity,
        "attributeNames": [name],
        "categories": list(categories),
    }


def _too_few(name: str) -> Issue:
    return issue(
        "99022",
        f"The field '{name}' does not have enough values. The required minimum is '1' value(s).",
        name.split(".")[0],
        "INVALID_ATTRIBUTE",
    )


def _wrong(name: str, message: str, category: str = "INVALID_ATTRIBUTE") -> Issue:
    return issue("4000001", message, name, category)


def _missing_selectors(name: str, entries: Sequence[Entry]) -> list[Issue]:
    if name != "fulfillment_availability":
        return []
    return [_too_few(f"{name}.fulfillment_channel_code") for entry in entries if not entry.get(SELECTORS[name][0])]


def _availability_issues(entry: Entry, marketplaces: Sequence[str]) -> list[Issue]:
    name = "fulfillment_availability"
    code, quantity = entry.get("fulfillment_channel_code"), entry.get("quantity")
    if not isinstance(code, str) or not code:
        return [_too_few(f"{name}.fulfillment_channel_code")]
    found: list[Issue] = []
    if not _CHANNEL.match(code):
        found.append(_wrong(name, f"'{code}' is not a valid value of fulfillment_channel_code."))
    known = {"fulfillment_channel_code", "quantity", "lead_time_to_ship_max_days", "restock_date", "marketplace_id"}
    found += [_wrong(name, f"'{field}' is not a field of {name}.") for field in entry if field not in known]
    if "quantity" in entry and (not _is_whole(quantity) or not 0 <= int(quantity or 0) <= QUANTITY_MAX):
        found.append(_wrong(name, f"The value '{quantity}' of quantity must be a whole number of 0 or more."))
    optional = [field for field in ("lead_time_to_ship_max_days", "restock_date") if field in entry]
    if optional and "quantity" not in entry and code == "DEFAULT":
        found.append(_wrong(name, f"'quantity' is required but not supplied together with {optional[0]}."))
    lead = entry.get("lead_time_to_ship_max_days", 0)
    if not _is_whole(lead) or not 0 <= lead <= LEAD_TIME_DAYS_MAX:
        found.append(_wrong(name, f"lead_time_to_ship_max_days must lie between 0 and {LEAD_TIME_DAYS_MAX}."))
    if "restock_date" in entry and not _is_date(entry["restock_date"]):
        found.append(_wrong(name, "restock_date must be a date (YYYY-MM-DD)."))
    return found


def _offer_issues(entry: Entry, marketplaces: Sequence[str]) -> list[Issue]:
    name, price = "purchasable_offer", "INVALID_PRICE"
    where, currency = entry.get("marketplace_id"), entry.get("currency")
    if where not in MARKETPLACES or where not in marketplaces:
        return [_wrong(name, f"'{where}' is not a marketplace of this request.")]
    found: list[Issue] = []
    if currency != MARKETPLACES[where].currency:
        found.append(_wrong(name, f"'{currency}' is not the currency of {where}.", price))
    known = {"marketplace_id", "currency", "audience", "our_price", "discounted_price", "start_at", "end_at"}
    found += [_wrong(name, f"'{field}' is not a field of {name}.") for field in entry if field not in known]
    if "our_price" in entry and not _schedules(entry["our_price"]):
        return [*found, _too_few(f"{name}.our_price")]
    for schedule in _schedules(entry.get("our_price")) + _schedules(entry.get("discounted_price")):
        amount = schedule.get("value_with_tax")
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 < amount < 1e9:
            found.append(_wrong(name, f"The value '{amount}' of value_with_tax must be a number above 0.", price))
    return found


def _schedules(prices: Any) -> list[Entry]:
    if not isinstance(prices, list):
        return []
    return [
        each
        for price in prices
        if isinstance(price, dict) and isinstance(price.get("schedule"), list)
        for each in price["schedule"]
        if isinstance(each, dict)
    ]


_CHECKS: dict[str, Callable[[Entry, Sequence[str]], list[Issue]]] = {
    "fulfillment_availability": _availability_issues,
    "purchasable_offer": _offer_issues,
}


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_date(value: Any) -> bool:
    try:
        date.fromisoformat(value)
    except (TypeError, ValueError):
        try:
            datetime.fromisoformat(value)
        except (TypeError, ValueError):
            return False
    return True


def _key(name: str, entry: Entry) -> tuple[Any, ...]:
    fields = SELECTORS.get(name, DEFAULT_SELECTORS)
    return tuple(entry.get(field, "ALL" if field == "audience" else None) for field in fields)


def apply_patch(attributes: Attributes, patch: Mapping[str, Any]) -> None:
    """Change `attributes` as one checked patch says.

    `merge` keeps the fields that an entry of the same key already has; `add` and `replace` drop those left out. Both
    leave entries of other keys alone: a `replace` with another channel code adds an entry.
    """
    name, op, value = attribute_of(patch), patch["op"], patch.get("value")
    entries = attributes.get(name, [])
    if op == "delete":
        gone = {_key(name, entry) for entry in value or []}
        left = [entry for entry in entries if value and _key(name, entry) not in gone]
        attributes.pop(name, None)
        if left:
            attributes[name] = left
        return
    for new in value or []:
        place = next((i for i, entry in enumerate(entries) if _key(name, entry) == _key(name, new)), None)
        if place is None:
            entries = [*entries, dict(new)]
        else:
            merged = {**entries[place], **new} if op == "merge" else dict(new)
            entries = [*entries[:place], merged, *entries[place + 1 :]]
    attributes[name] = entries
