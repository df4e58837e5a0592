"""Customers, as far as orders bring them: found by id or e-mail, made when unknown.

Source: contracts sheet shopify section 8 (`customer`): `toUpsert` finds by e-mail when no id is given; a phone number
that another customer has is an error; the order's address becomes the customer's default address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .records import Address, Customer

if TYPE_CHECKING:
    from .shop import Shopify


def by_email(shop: Shopify, email: str | None) -> Customer | None:
    """Return the customer with this e-mail, compared without case."""
    return shop.customers_by_email.get(email.strip().lower()) if email else None


def customer_for(shop: Shopify, given: dict[str, Any], home: Address | None) -> Customer:
    """Return the customer that `OrderCreateCustomerInput` means. Raises ValueError with Shopify's message."""
    if "toAssociate" in given:
        wanted = given["toAssociate"]
        found = shop.store.find(wanted["id"], Customer) if wanted.get("id") else by_email(shop, wanted.get("email"))
        if found is None:
            raise ValueError("Customer does not exist")
        return found
    return upsert(shop, given["toUpsert"], home)


def upsert(shop: Shopify, given: dict[str, Any], home: Address | None) -> Customer:
    """Find a customer by id or e-mail and update it, or make it. Raises ValueError with Shopify's message."""
    found: Customer | None
    if given.get("id"):
        found = shop.store.find(given["id"], Customer)
        if found is None:
            raise ValueError("Customer does not exist")
    else:
        found = by_email(shop, given.get("email"))
    phone = given.get("phone")
    if phone and any(other.phone == phone and other is not found for other in shop.store.all(Customer)):
        raise ValueError("Phone has already been taken")
    is_new = found is None
    if found is None:
        if not any(given.get(key) for key in ("email", "phone", "firstName", "lastName")):
            raise ValueError("A name, phone number, or email address must be present")
        now = shop.store.now()
        found = shop.store.add(Customer(shop.store.new_id("Customer"), now, now))
    _update(shop, found, given, home)
    shop.tell_customer(found, "customers/create" if is_new else "customers/update")
    return found


def _update(shop: Shopify, customer: Customer, given: dict[str, Any], home: Address | None) -> None:
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
