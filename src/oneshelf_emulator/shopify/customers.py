"""Customers, as far as orders bring them: found by id or e-mail, made when unknown.

Source: contracts sheet shopify section 8 (`customer`) and the descriptions of OrderCreateCustomerInput, …AssociateCustomerAttributesInput and
…UpsertCustomerAttributesInput in the Admin GraphQL schema 2026-10: `toUpsert` finds by e-mail when no id is given; a phone number
that another customer has is an error; tags 250 a customer, 255 characters each; the order's address becomes the default address.
Marketing consent is no part of it: a customer that an order makes has not subscribed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .records import Address, Customer

if TYPE_CHECKING:
    from .shop import Shopify

TAGS_MAX, TAG_LENGTH_MAX = 250, 255
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")
#: What an international number has, digits; what may stand between them.
_DIGITS = range(7, 16)
_PHONE = re.compile(r"\+?[\d\s().-]+\Z")


class CustomerRefused(ValueError):
    """Shopify's message, and which field of `customer` it is about."""

    def __init__(self, message: str, *path: str) -> None:
        super().__init__(message)
        self.path = path


def by_email(shop: Shopify, email: str | None) -> Customer | None:
    """Return the customer with this e-mail, compared without case."""
    return shop.customers_by_email.get(email.strip().lower()) if email else None


def customer_for(shop: Shopify, given: dict[str, Any], home: Address | None) -> Customer:
    """Return the customer that `OrderCreateCustomerInput` means. Raises CustomerRefused."""
    if "toAssociate" in given:
        wanted = given["toAssociate"]
        found = shop.store.find(wanted["id"], Customer) if wanted.get("id") else by_email(shop, wanted.get("email"))
        if found is None:
            raise CustomerRefused("Customer does not exist", "toAssociate")
        return found
    return upsert(shop, given["toUpsert"], home)


def upsert(shop: Shopify, given: dict[str, Any], home: Address | None) -> Customer:
    """Find a customer by id or e-mail and update it, or make it. Raises CustomerRefused; nothing is changed then."""
    _refuse_nonsense(given)
    found: Customer | None
    if given.get("id"):
        found = shop.store.find(given["id"], Customer)
        if found is None:
            raise CustomerRefused("Customer does not exist", "toUpsert", "id")
        if by_email(shop, given.get("email")) not in (None, found):
            raise CustomerRefused("Email has already been taken", "toUpsert", "email")
    else:
        found = by_email(shop, given.get("email"))
    phone = given.get("phone")
    if phone and any(other.phone == phone and other is not found for other in shop.store.all(Customer)):
        raise CustomerRefused("Phone has already been taken", "toUpsert", "phone")
    is_new = found is None
    if found is None:
        if not any(given.get(key) for key in ("email", "phone", "firstName", "lastName")):
            raise CustomerRefused("A name, phone number, or email address must be present", "toUpsert")
        now = shop.store.now()
        found = shop.store.add(Customer(shop.store.new_id("Customer"), now, now))
    _update(shop, found, given, home)
    shop.tell_customer(found, "customers/create" if is_new else "customers/update")
    return found


def delete(shop: Shopify, email: str) -> None:
    """The merchant deletes a customer who has no order yet, or whose orders were erased. Raises ValueError."""
    found = by_email(shop, email)
    if found is None:
        raise ValueError(f"there is no customer {email}")
    del shop.customers_by_email[email.strip().lower()]
    shop.store.drop(found)


def _refuse_nonsense(given: dict[str, Any]) -> None:
    email, phone, tags = given.get("email"), given.get("phone"), given.get("tags") or []
    if email and not _EMAIL.match(email):
        raise CustomerRefused("Email is invalid", "toUpsert", "email")
    if phone and not (_PHONE.match(phone) and sum(sign.isdigit() for sign in phone) in _DIGITS):
        raise CustomerRefused("Phone is invalid", "toUpsert", "phone")
    if len(tags) > TAGS_MAX or any(len(tag) > TAG_LENGTH_MAX for tag in tags):
        raise CustomerRefused("Tags exceeds the maximum", "toUpsert", "tags")


def _update(shop: Shopify, customer: Customer, given: dict[str, Any], home: Address | None) -> None:
    if given.get("email") and customer.email:
        shop.customers_by_email.pop(customer.email.strip().lower(), None)
    for key, name in (("email", "email"), ("phone", "phone"), ("firstName", "first_name"), ("lastName", "last_name")):
        if given.get(key):
            setattr(customer, name, given[key])
    if given.get("note"):
        customer.note = given["note"]
    customer.tags = sorted({*customer.tags, *(given.get("tags") or [])})
    if home is not None:
        customer.default_address = home
    if customer.email:
        shop.customers_by_email[customer.email.strip().lower()] = customer
