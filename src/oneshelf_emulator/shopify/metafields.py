"""Metafields and their definitions, as far as orders need them: above all the unique ones that find an order again.

Source: contracts sheet shopify section 8 (defence 2); Shopify docs "working with custom ids".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from graphql import GraphQLError

from .errors import Payload, user_error
from .order_records import Order
from .records import Metafield, MetafieldDefinition

if TYPE_CHECKING:
    from .shop import Shopify

_KEY = re.compile(r"[A-Za-z0-9_-]{2,64}\Z")
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{3,255}\Z")
#: Types that this shop knows. Source: Shopify docs "metafield data types".
TYPES = frozenset(
    [
        "id",
        "boolean",
        "date",
        "date_time",
        "json",
        "number_integer",
        "number_decimal",
        "single_line_text_field",
        "multi_line_text_field",
        "url",
        "list.single_line_text_field",
    ]
)


class MetafieldRefused(Exception):
    """A metafield breaks a rule; `path` leads to it from the list."""

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.path = path


def own_namespace(shop: Shopify, namespace: str | None) -> str:
    """Resolve `$app` (also when left out) to the app's own namespace."""
    own = f"app--{shop.app_id}"
    if namespace is None or namespace == "$app":
        return own
    return own + "--" + namespace.removeprefix("$app:") if namespace.startswith("$app:") else namespace


def definition_of(shop: Shopify, owner: str, namespace: str, key: str) -> MetafieldDefinition | None:
    for each in shop.store.all(MetafieldDefinition):
        if (each.owner_type, each.namespace, each.key) == (owner, namespace, key):
            return each
    return None


def definition_create(shop: Shopify, arguments: Payload) -> Payload:
    """metafieldDefinitionCreate."""
    given = arguments["definition"]
    namespace = own_namespace(shop, given.get("namespace"))

    def no(message: str, field: str, code: str) -> Payload:
        error = user_error(message, ["definition", field], code)
        return {"createdDefinition": None, "userErrors": [error]}

    if not given["name"].strip():
        return no("Name can't be blank", "name", "BLANK")
    if not _KEY.match(given["key"]):
        return no("Key contains one or more invalid characters.", "key", "INVALID_CHARACTER")
    if not _NAMESPACE.match(namespace):
        return no("Namespace contains one or more invalid characters.", "namespace", "INVALID_CHARACTER")
    if given["type"] not in TYPES:
        return no(f"Type name {given['type']} is not a valid type.", "type", "INCLUSION")
    if definition_of(shop, given["ownerType"], namespace, given["key"]):
        return no("Key is in use for Order metafields on the namespace.", "key", "TAKEN")
    unique = given["type"] == "id" or bool(((given.get("capabilities") or {}).get("uniqueValues") or {}).get("enabled"))
    definition = MetafieldDefinition(
        shop.store.new_id("MetafieldDefinition"), given["name"], namespace, given["key"], given["ownerType"],
        given["type"], unique, given.get("description"),
    )  # fmt: skip
    return {"createdDefinition": shop.store.add(definition), "userErrors": []}


def metafields_for(shop: Shopify, owner: str, given: list[Payload]) -> list[Metafield]:
    """Build the metafields of a new record. Raises MetafieldRefused.

    A value that a unique definition already has is refused, or its metafield silently dropped: which of the two the
    real `orderCreate` does is not known (switch taken_id_metafield).
    """
    result: list[Metafield] = []
    now = shop.store.now()
    for i, each in enumerate(given):
        namespace, key, value = own_namespace(shop, each.get("namespace")), each.get("key"), each.get("value")
        if not key or not value:
            raise MetafieldRefused("Key and value can't be blank", i)
        definition = definition_of(shop, owner, namespace, key)
        type_name = each.get("type") or (definition.type_name if definition else None)
        if type_name is None:
            raise MetafieldRefused("Type can't be blank", i, "type")
        if type_name not in TYPES:
            raise MetafieldRefused(f"Type {type_name} is not a valid type", i, "type")
        if definition is not None and definition.type_name != type_name:
            raise MetafieldRefused(
                f"Type must be consistent with the definition's type: {definition.type_name}", i, "type"
            )
        if type_name == "id" and definition is None:
            raise MetafieldRefused("Metafields of type id require a definition", i, "type")
        if definition is not None and definition.unique and order_with(shop, namespace, key, value):
            if shop.switches["taken_id_metafield"] == "user_error":
                raise MetafieldRefused("Value has already been taken", i, "value")
            continue
        result.append(Metafield(shop.store.new_id("Metafield"), namespace, key, type_name, value, now, now))
    return result


def order_with(shop: Shopify, namespace: str, key: str, value: str) -> Order | None:
    return shop.orders_by_metafield.get((namespace, key, value))


def order_by_custom_id(shop: Shopify, identifier: Payload) -> Order | None:
    """orderByIdentifier(customId): a primary lookup, never behind. Raises GraphQLError without a definition."""
    namespace = own_namespace(shop, identifier.get("namespace"))
    definition = definition_of(shop, "ORDER", namespace, identifier["key"])
    if definition is None or definition.type_name != "id":
        raise GraphQLError(
            "Metafield definition of type 'id' is required when using custom ids.", extensions={"code": "NOT_FOUND"}
        )
    return order_with(shop, namespace, identifier["key"], identifier["value"])
