"""What goes wrong at a Shopify shop and stays wrong: `POST /_emulator/break`.

Each state is made of what Shopify itself does in it, by the hand in console.py where the admin has one for it.
Source: contracts sheet shopify sections 3, 5 and 12; Shopify docs "access scopes", "webhooks", "locations", read 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..broken import Broken, no_end
from . import console
from . import records as r

if TYPE_CHECKING:
    from .shop import Shopify

ELSEWHERE = "https://old.example/webhooks/shopify"


def _scope_taken(shop: Shopify, scope: str = "write_orders") -> frozenset[str]:
    """The app's next version asks for less and the merchant updates it: tokens from now on have less."""
    before = shop.granted_scopes
    if scope not in before:
        raise ValueError(f"the app has no scope {scope!r}; it has: {', '.join(sorted(before))}")
    console.set_scopes(shop, sorted(before - {scope}))
    shop.auth.expire_all()
    return before


def _scope_given(shop: Shopify, before: frozenset[str]) -> None:
    console.set_scopes(shop, sorted(before))
    shop.auth.expire_all()


def _subscription_deleted(shop: Shopify, topic: str = "ORDERS_CREATE") -> None:
    console.delete_subscription(shop, topic)


def _callback_elsewhere(shop: Shopify, url: str = ELSEWHERE) -> None:
    """Another installation of the same app has moved the subscriptions to its own address."""
    for each in shop.store.all(r.WebhookSubscription):
        each.uri = url


def _location_deactivated(shop: Shopify, location: str | None = None) -> str:
    """The merchant closes a location. Shopify keeps at least one: another is there, which serves no online orders."""
    places = shop.store.all(r.Location)
    name = location or places[0].name
    if not any(place.is_active and place.name != name for place in places):
        console.add_location(shop, "Attic", online=False)
    console.deactivate_location(shop, name)
    return name


def _location_active(shop: Shopify, name: str) -> None:
    console.activate_location(shop, name)


def _installed(shop: Shopify, kept: dict[str, object]) -> None:
    """The merchant installs the app again: new tokens are given, subscriptions and old tokens are gone."""
    shop.installed = True


STATES: dict[str, Broken] = {
    "scope_taken": Broken("the app's tokens lack a scope (`scope`): ACCESS_DENIED", _scope_taken, _scope_given),
    "subscription_deleted": Broken(
        "a webhook subscription (`topic`) is gone; who wants it subscribes again", _subscription_deleted, no_end
    ),
    "callback_elsewhere": Broken(
        "every subscription points at another address (`url`); who wants the news subscribes again",
        _callback_elsewhere,
        no_end,
    ),
    "location_deactivated": Broken(
        "a location (`location`, else the first) is deactivated: it stocks and sells nothing",
        _location_deactivated,
        _location_active,
    ),
    "uninstalled": Broken(
        "the merchant has uninstalled the app: 401, tokens refused, subscriptions gone, app/uninstalled is sent",
        lambda shop: console.uninstall(shop),
        _installed,
    ),
    "shop_frozen": Broken(
        "the shop's plan is not paid: 402 Payment Required on every call",
        lambda shop: console.set_shop_status(shop, 402),
        lambda shop, kept: console.set_shop_status(shop, None),
    ),
}
