"""Webhook subscriptions: every topic we need, whole payloads, at our address.

In: the address. Out: Findings. Never: touches subscriptions of other apps (Shopify lists only our own).
Source: Shopify Admin GraphQL webhookSubscriptions / webhookSubscriptionCreate, 2026-10; a subscription is deleted after 8 failed
deliveries in a row, so this is repeated every hour. Source: Shopify docs, "Webhooks: best practices", read 2026-11.
"""

from __future__ import annotations

from typing import Any

from oneshelf.channels.contract import Finding, Http
from oneshelf.channels.shopify import documents as docs
from oneshelf.channels.shopify.graphql import Failure, GraphQL, user_errors
from oneshelf.core.errors import Retry

#: orders/paid, fulfilled and partially_fulfilled are understood, but orders/updated says the same, so they are not asked for.
#: The privacy topics and app/uninstalled's like are part of the app's own configuration; Shopify's enum has none of the former.
TOPICS = (
    "ORDERS_CREATE",
    "ORDERS_UPDATED",
    "ORDERS_CANCELLED",
    "ORDERS_EDITED",
    "ORDERS_DELETE",
    "REFUNDS_CREATE",
    "FULFILLMENTS_CREATE",
    "FULFILLMENTS_UPDATE",
    "INVENTORY_LEVELS_UPDATE",
    "INVENTORY_LEVELS_CONNECT",
    "INVENTORY_LEVELS_DISCONNECT",
    "INVENTORY_ITEMS_UPDATE",
    "INVENTORY_ITEMS_DELETE",
    "PRODUCTS_CREATE",
    "PRODUCTS_UPDATE",
    "PRODUCTS_DELETE",
    "LOCATIONS_CREATE",
    "LOCATIONS_UPDATE",
    "LOCATIONS_ACTIVATE",
    "LOCATIONS_DEACTIVATE",
    "LOCATIONS_DELETE",
    "APP_UNINSTALLED",
)

#: What the calls and topics above need. Source: Shopify docs, "Access scopes", and requiredAccess in the schema data 2026-10.
SCOPES = (
    "read_products",
    "write_products",
    "read_inventory",
    "write_inventory",
    "read_locations",
    "read_orders",
    "write_orders",
    "read_customers",
    "write_customers",
    "read_merchant_managed_fulfillment_orders",
    "write_merchant_managed_fulfillment_orders",
    "read_fulfillments",
)

PAGES_MAX = 20


class Subscriber:
    """Keeps the subscriptions of one shop."""

    def __init__(self, graphql: GraphQL) -> None:
        self._graphql = graphql

    async def subscribe(self, http: Http, callback_url: str | None) -> list[Finding]:
        """Make what is missing, replace what is wrong. Raises Retry, SignInAgain, NoAnswer when the list can't be read."""
        if callback_url is None:
            return [
                Finding("webhooks", ok=False, todo="give Oneshelf a public address; until then the shop is only polled")
            ]
        have = await self._list(http)
        return [await self._ensure(http, topic, have.get(topic, []), callback_url) for topic in TOPICS]

    async def check(self, http: Http, callback_url: str | None) -> list[Finding]:
        """Look at every topic; reads only. Raises Retry, SignInAgain, NoAnswer."""
        if callback_url is None:
            todo = "Give Oneshelf a public https address (ONESHELF_PUBLIC_URL); until then the shop is only polled."
            return [Finding("webhooks", ok=False, todo=todo, code="subscription", which="address")]
        have = await self._list(http)
        addresses = {str(one.get("uri")) for mine in have.values() for one in mine}
        if addresses and callback_url not in addresses:
            return [_elsewhere(callback_url, min(addresses))]
        findings = []
        for topic in TOPICS:
            mine = [one for one in have.get(topic, []) if one.get("uri") == callback_url]
            cut = any(one.get("filter") or one.get("includeFields") for one in mine)
            todo = (
                ""
                if mine and not cut
                else f"Shopify no longer tells us {topic}. Oneshelf subscribes again within the hour by itself; to have it at once, "
                "connect the shop again. Until then it is only polled."
            )
            findings.append(Finding(f"webhook {topic}", ok=not todo, todo=todo, code="subscription", which=topic))
        return findings

    async def _list(self, http: Http) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        after = None
        for _ in range(PAGES_MAX):
            answer = await self._graphql.ask(http, docs.SUBSCRIPTIONS, {"cursor": after})
            page = answer.data.get("webhookSubscriptions") or {}
            for node in page.get("nodes") or []:
                found.setdefault(str(node.get("topic")), []).append(node)
            info = page.get("pageInfo") or {}
            if not info.get("hasNextPage"):
                return found
            after = info.get("endCursor")
        raise Retry(f"more than {PAGES_MAX} pages of subscriptions")

    async def _ensure(self, http: Http, topic: str, have: list[dict[str, Any]], uri: str) -> Finding:
        """A cut one at our address must go before the new one comes (an address is taken once a topic); one at another
        address goes after it, so that no news is missed."""
        cut = [s for s in have if s.get("uri") == uri and (s.get("filter") or s.get("includeFields"))]
        wrong = [s for s in have if s.get("uri") != uri]
        problem = ""
        for subscription in cut:
            problem = problem or await self._call(http, docs.UNSUBSCRIBE, {"id": subscription["id"]})
        if len(cut) == len(have) - len(wrong):
            problem = problem or await self._call(http, docs.SUBSCRIBE, {"topic": topic, "uri": uri})
        for subscription in wrong:
            problem = problem or await self._call(http, docs.UNSUBSCRIBE, {"id": subscription["id"]})
        return Finding(f"webhook {topic}", ok=not problem, todo=problem)

    async def _call(self, http: Http, document: docs.Document, variables: dict[str, Any]) -> str:
        """Return what went wrong, "" if nothing did."""
        answer = await self._graphql.tell(http, document, variables)
        if isinstance(answer, Failure):
            return f"{document.name}: {answer.reason}"
        payload = next(iter(answer.data.values()), None)
        errors = user_errors(payload if isinstance(payload, dict) else {})
        return f"{document.name}: {errors[0].get('message')}" if errors else ""


def _elsewhere(callback_url: str, address: str) -> Finding:
    todo = (
        f"Shopify sends its news to {address} and not to {callback_url}. Oneshelf subscribes again within the hour by itself. If this "
        "comes back, another installation uses the same app: stop it, or give each an app of its own."
    )
    return Finding("webhooks come to this address", ok=False, todo=todo, code="callback", which=address)


def scope_findings(granted: list[str]) -> list[Finding]:
    """Return one finding for each scope we need. A write scope includes its read scope."""
    have = set(granted) | {s.replace("write_", "read_", 1) for s in granted if s.startswith("write_")}
    return [
        Finding(
            f"scope {scope}",
            ok=scope in have,
            todo=""
            if scope in have
            else f"Let the app ask for {scope} (in its own settings at Shopify), then grant {scope} in the shop by connecting it again: "
            "oneshelf channels connect shopify",
            code="scope",
            which=scope,
        )
        for scope in SCOPES
    ]
