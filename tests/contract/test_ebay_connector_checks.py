"""eBay: what `check` says is missing, and what the rate answer tells the budgets. Requests are held against the specifications."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from test_ebay_connector_requests import APP, EMPTY, HERE, NOW, TOKEN, URL, Scripted, preference, seller, subscribed

from oneshelf.channels.abilities import Checks
from oneshelf.channels.contract import Finding, Request, Response, Secret
from oneshelf.channels.ebay.limits import LIMITS
from oneshelf.core.errors import Retry

USER = (200, {"userId": "ma8vp1jySJC", "username": "tees4u"})
NO_ITEMS = (200, {"href": "h", "limit": 1, "size": 0, "total": 0, "inventoryItems": []})
NO_ORDERS = (200, {"href": "h", "limit": 1, "offset": 0, "total": 0, "orders": []})
PRIVILEGES = (200, {"sellerRegistrationCompleted": True, "sellingLimit": {"quantity": 500}})
DENIED = (403, {"errors": [{"errorId": 1100, "message": "Access denied"}]})


def rates(**left: int) -> tuple[int, dict[str, Any]]:
    rows = [
        {"name": name.replace("_", "."), "rates": [{"limit": 1000, "remaining": n, "timeWindow": 86400}]}
        for name, n in left.items()
    ]
    return 200, {"rateLimits": [{"apiContext": "sell", "apiName": "x", "resources": rows}]}


def topics(*names: str, status: str = "ENABLED") -> tuple[int, dict[str, Any]]:
    rows = [subscribed(name, status) for name in names]
    return 200, {"subscriptions": rows, "href": "h", "limit": 100, "total": len(rows)}


USERS_TOPICS = ("ORDER_CONFIRMATION", "ITEM_MARKED_SHIPPED", "ORDER_CANCELLATION_ACTIVITY")
APPS_TOPICS = ("MARKETPLACE_ACCOUNT_DELETION", "AUTHORIZATION_REVOCATION")


def good() -> dict[str, Any]:
    return {
        "identity": USER,
        "inventory": NO_ITEMS,
        "fulfillment": NO_ORDERS,
        "subscription": EMPTY,
        "privileges": PRIVILEGES,
        "preference": preference("true"),
        "catalogue": NO_ITEMS,
        "token": TOKEN,
        "rates": rates(sell_inventory=900),
        "config": (200, {"alertEmail": "a@b.c"}),
        "destinations": (200, {"destinations": [HERE], "href": "h"}),
        "user topics": topics(*USERS_TOPICS),
        "app topics": topics(*APPS_TOPICS),
    }


async def check(**other: Any) -> list[Finding]:
    answers = {**good(), **{name.replace("_", " "): told for name, told in other.items()}}
    http = Scripted(*answers.values())
    found = await seller().check(http, URL, APP)
    assert not any(one.writes for one in http.asked) and not http.answers
    return found


def missing(found: list[Finding]) -> list[tuple[str, str]]:
    assert all(one.todo for one in found if not one.ok) and all(one.code for one in found)
    return [(one.code, one.which) for one in found if not one.ok]


async def test_all_is_well() -> None:
    assert isinstance(seller(), Checks)
    found = await check()
    assert missing(found) == []
    assert {one.code for one in found} == {"access", "scope", "feature", "quota", "currency", "subscription"}


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"fulfillment": DENIED}, [("scope", "sell.fulfillment")]),
        ({"subscription": DENIED}, [("scope", "commerce.notification.subscription")]),
        ({"preference": preference("false")}, [("feature", "out_of_stock_control")]),
        ({"privileges": (200, {"sellerRegistrationCompleted": False})}, [("feature", "registration")]),
        (
            {"privileges": (200, {"sellerRegistrationCompleted": True, "sellingLimit": {"quantity": 0}})},
            [("quota", "selling_limit")],
        ),
        ({"rates": rates(sell_inventory=99, sell_fulfillment=100)}, [("quota", "sell.inventory")]),
        (
            {"destinations": (200, {"destinations": [{**HERE, "status": "MARKED_DOWN"}], "href": "h"})},
            [("subscription", "destination")],
        ),
        ({"user_topics": topics(*USERS_TOPICS, status="DISABLED")}, [("subscription", "ORDER_CONFIRMATION")]),
        ({"user_topics": topics("ORDER_CONFIRMATION")}, []),
        ({"app_topics": EMPTY}, [("subscription", name) for name in APPS_TOPICS]),
        ({"config": (404, {"errors": [{"errorId": 195026}]})}, [("subscription", "config")]),
    ],
)
async def test_each_thing_that_is_missing_is_named(other: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert missing(await check(**other)) == expected


async def test_a_token_that_is_not_taken_says_only_that() -> None:
    http = Scripted((401, {"errors": [{"errorId": 1001}]}))
    found = await seller().check(http, URL, APP)
    assert missing(found) == [("access", "")] and len(http.asked) == 1
    with pytest.raises(Retry):
        await seller().check(Scripted(USER, (500, {})), URL, APP)


async def test_a_consent_that_ends_soon_is_told() -> None:
    for days, ok in ((29, False), (31, True)):
        ebay, ends = seller(), NOW + timedelta(days=days)
        ebay.auth.authorized(Request("GET", "u", "x"), Secret({"refresh_expires_at": ends.isoformat()}))
        found = await ebay.check(Scripted(*good().values()), URL, APP)
        assert [one.ok for one in found if one.which == "consent"] == [ok]


async def test_an_offer_that_pins_its_number_is_told() -> None:
    item = {"sku": "A", "locale": "en_US", "availability": {"shipToLocationAvailability": {"quantity": 7}}}
    listed = (200, {"href": "h", "limit": 25, "size": 1, "total": 1, "inventoryItems": [item]})
    pin = {"offerId": "1", "status": "PUBLISHED", "marketplaceId": "EBAY_US", "availableQuantity": 2}
    answers = good()
    told = list(answers.values())
    place = list(answers).index("catalogue")
    told[place : place + 1] = [listed, (200, {"offers": [pin], "total": 1, "href": "h", "limit": 100, "size": 1})]
    assert missing(await seller().check(Scripted(*told), URL, APP)) == [("feature", "pinned")]


def test_the_rate_answer_tells_each_budget_what_is_left() -> None:
    body = json.dumps(rates(sell_inventory=17, commerce_unknown=3)[1]).encode()
    [seen] = seller().budget_seen(Request("GET", "u", "getRateLimits"), Response(200, {}, body, NOW))
    assert (seen.limit, seen.left_today) == ("sell.inventory", 17)
    assert seller().budget_seen(Request("GET", "u", "getRateLimits"), Response(200, {}, b"<html>", NOW)) == []


def test_post_order_has_a_budget_of_its_own() -> None:
    [limit] = [one for one in LIMITS if "createCancellation" in one.operations]
    assert (limit.name, limit.per_day, limit.scope) == ("post-order.cancellation", 5_000, "app")
