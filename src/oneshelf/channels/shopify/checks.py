"""What a person has to know of a connected shop: reads only.

In: the account's `Http`, our address, the app's secret. Out: Findings, each with what to do. Never: changes anything.
Source: Shopify docs, "Protected customer data" (unapproved fields come back as errors or null); Shopify Admin GraphQL ShopPlan,
metafieldDefinitions, orderCreate (five new orders a minute on trial and development stores), 2026-10; read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from oneshelf.channels.contract import AccountSeen, Finding, Http
from oneshelf.channels.shopify import documents as docs
from oneshelf.channels.shopify.auth import ShopifyAuth
from oneshelf.channels.shopify.draft import METAFIELD_TYPE
from oneshelf.channels.shopify.form import record, records, text
from oneshelf.channels.shopify.graphql import PERSONAL, GraphQL
from oneshelf.channels.shopify.reads import Reader
from oneshelf.channels.shopify.subscriptions import Subscriber, scope_findings

#: Plans of stores that take five new orders a minute. Source: Shopify Admin GraphQL ShopPlan.publicDisplayName, 2026-10.
SLOW_PLANS = ("Development", "Trial", "Plus Trial")
#: A refresh token lives 90 days and is replaced at every use: one this near its end belongs to a service that hardly runs.
REFRESH_WARNING = timedelta(days=14)


class Checker:
    """Looks one shop over. `development`: the setting `plan` says that the shop takes five new orders a minute."""

    def __init__(
        self, graphql: GraphQL, reader: Reader, subscriber: Subscriber, auth: ShopifyAuth, api_version: str, plan: str
    ) -> None:
        self._graphql = graphql
        self._reader = reader
        self._subscriber = subscriber
        self._auth = auth
        self._api_version = api_version
        self._paced = plan == "development"

    async def check(self, http: Http, callback_url: str | None, app_secret: Mapping[str, str]) -> list[Finding]:
        """Access, API version, scopes, locations, the webhooks' secret, the copies' key, customer data, the plan's limit, the refresh
        token, subscriptions. Raises NoAnswer, Retry, SignInAgain."""
        account = await self._reader.who(http)
        found = [
            Finding(f"access to {account.label}", ok=True, code="access"),
            self.version(account),
            *scope_findings(account.extra["scopes"]),
            await self._location(http),
            _webhook_secret(app_secret),
            *self._pace(account.extra["plan"]),
        ]
        if {"read_orders", "write_orders"}.intersection(account.extra["scopes"]):
            found += await self._orders(http)
        return [*found, *await self._subscriber.check(http, callback_url)]

    def version(self, account: AccountSeen) -> Finding:
        """Whether the API version that we ask for is the one that answers: an expired one is served by the oldest supported."""
        served = account.extra["version_served"]
        ok = served in ("", self._api_version)
        todo = "" if ok else f"Shopify served {served} instead: update Oneshelf"
        return Finding(f"API version {self._api_version}", ok=ok, todo=todo, code="feature", which="api_version")

    async def _location(self, http: Http) -> Finding:
        places = await self._reader.locations(http)
        ok = any(one.active and one.fulfils_online and not one.is_fulfillment_service for one in places)
        todo = "In Shopify, let at least one active location fulfil online orders; else nothing is on sale"
        return Finding("a location that fulfils online orders", ok=ok, todo="" if ok else todo, code="location")

    def _pace(self, plan: Mapping[str, Any]) -> list[Finding]:
        slow = plan.get("partnerDevelopment") is True or plan.get("publicDisplayName") in SLOW_PLANS
        if slow is self._paced:
            return []
        what = "new orders at the pace of this store's plan"
        if slow:
            todo = (
                "A development or trial store takes five new orders a minute: give the setting plan = development and connect the "
                "shop again, so that copies wait for their turn instead of being refused"
            )
        else:
            todo = "This store takes more than five new orders a minute: take the setting plan away and connect the shop again"
        return [Finding(what, ok=False, todo=todo, code="quota", which="new_orders")]

    async def _orders(self, http: Http) -> list[Finding]:
        key = await self._graphql.ask(http, docs.ORDER_KEY)
        newest = await self._graphql.ask(http, docs.NEWEST_ORDER)
        nodes = records(record(newest.data.get("orders")).get("nodes"))
        return [
            _order_key(records(record(key.data.get("metafieldDefinitions")).get("nodes"))),
            _customer_data(newest.errors, nodes),
            *refresh_findings(self._auth.refresh_ends_at, newest.received_at),
        ]


def _webhook_secret(app_secret: Mapping[str, str]) -> Finding:
    ok = bool(app_secret.get("client_secret"))
    todo = "Connect the shop again with the app's client_secret: no webhook can be believed without"
    what = "the secret that webhooks are signed with"
    return Finding(what, ok=ok, todo="" if ok else todo, code="feature", which="webhook_secret")


def _order_key(definitions: list[dict[str, Any]]) -> Finding:
    types = [str(record(one.get("type")).get("name")) for one in definitions]
    todo = ""
    if not types:
        todo = "The field that keeps copies of marketplace orders unique is missing: connect the shop again, Oneshelf makes it"
    elif types != [METAFIELD_TYPE]:
        todo = (
            f"The order metafield $app.external_order_id has the type {types[0]} instead of {METAFIELD_TYPE}, so that copies are not "
            "kept unique: delete its definition, then connect the shop again"
        )
    return Finding(
        "unique key on copies of marketplace orders", ok=not todo, todo=todo, code="feature", which="order_key"
    )


def _customer_data(errors: tuple[dict[str, Any], ...], orders: list[dict[str, Any]]) -> Finding:
    """Judged by the newest order; without one, or without an address in it, nothing is known to be withheld."""
    withheld = any(PERSONAL.intersection(map(str, error.get("path") or [])) for error in errors)
    for order in orders:
        address = order.get("shippingAddress")
        withheld = withheld or (
            address is not None and not text(address.get("address1")) and not text(address.get("name"))
        )
    todo = (
        "Shopify withholds names and addresses from this app: in the Dev Dashboard, ask for access to protected customer data, level 2. "
        "Until then web orders come without buyer and address; stock is right all the same"
    )
    what = "names and addresses of buyers"
    return Finding(what, ok=not withheld, todo=todo if withheld else "", code="feature", which="customer_data")


def refresh_findings(ends_at: datetime | None, now: datetime) -> list[Finding]:
    """Return whether the refresh token ends soon; nothing where there is none."""
    if ends_at is None:
        return []
    soon = ends_at - now <= REFRESH_WARNING
    todo = f"The refresh token ends on {ends_at:%d %B %Y}: let Oneshelf run before that, or connect the shop again"
    return [
        Finding("sign-in to the shop", ok=not soon, todo=todo if soon else "", code="access", which="refresh_token")
    ]
