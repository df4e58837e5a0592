"""Customer data that an app was not approved for: told as an error or as null, in webhooks as null.

Switch `protected_data`: "shown" (approved), "error" or "null". Which of the two forms a field takes is not documented [U].
Source: contracts sheet shopify section 3 [D 9]; the protected fields published beside the schema 2026-10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import GraphQLError

if TYPE_CHECKING:
    from .shop import Shopify

_ADDRESS = (
    "address1",
    "address2",
    "firstName",
    "lastName",
    "name",
    "phone",
    "zip",
    "formatted",
    "latitude",
    "longitude",
)
_CUSTOMER = ("displayName", "email", "firstName", "lastName", "phone")
FIELDS = frozenset(
    [
        "Order.email",
        "Order.phone",
        *(f"MailingAddress.{name}" for name in _ADDRESS),
        *(f"Customer.{name}" for name in _CUSTOMER),
    ]
)
_DOCS = "https://shopify.dev/docs/apps/launch/protected-customer-data"
_PEOPLE = ("customer", "shipping_address", "billing_address", "default_address", "destination")
_ORDER_KEYS = ("email", "contact_email", "phone")
_PERSON_KEYS = (
    "address1", "address2", "company", "email", "first_name", "last_name", "latitude", "longitude", "name", "phone", "zip",
)  # fmt: skip


def withheld(shop: Shopify, field: str) -> bool:
    """Return whether this field (`Type.field`) is answered null. Raises GraphQLError where it is answered with an error."""
    how = shop.switches["protected_data"]
    if how == "shown" or field not in FIELDS:
        return False
    if how == "error":
        name = field.partition(".")[2]
        message = f"This app is not approved to use the {name} field. See {_DOCS} for more details."
        raise GraphQLError(message, extensions={"code": "ACCESS_DENIED", "documentation": _DOCS})
    return True


def redacted(shop: Shopify, payload: dict[str, Any]) -> dict[str, Any]:
    """Return a webhook's payload as an app sees it."""
    if shop.switches["protected_data"] == "shown":
        return payload
    return _without(payload, _ORDER_KEYS)


def _without(value: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, inner in value.items():
        if key in keys and not isinstance(inner, dict):
            made[key] = None
        elif isinstance(inner, dict) and key in _PEOPLE:
            made[key] = _without(inner, _PERSON_KEYS)
        else:
            made[key] = (
                [_without(one, keys) if isinstance(one, dict) else one for one in inner]
                if isinstance(inner, list)
                else inner
            )
    return made
