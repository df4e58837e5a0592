"""eBay: what `check` says is missing, one SKU read again, migration, and what the rate answer tells the budgets. Requests are held against the specifications."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from test_ebay_connector_requests import APP, EMPTY, HERE, NOW, TOKEN, URL, Scripted, preference, seller, subscribed

from oneshelf.channels.abilities import Checks, FollowsCatalogue
from oneshelf.channels.contract import Finding, Request, Response, Secret
from oneshelf.channels.ebay.limits import LIMITS
from oneshelf.core.errors import Retry
from oneshelf.core.outcome import Accepted, Rejected, Unknown

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


# --- one SKU again, and listings made elsewhere -----------------------------------------------------------------------


async def test_one_sku_is_read_again_and_a_relisted_one_has_a_new_name() -> None:
    item = {"sku": "A/B", "locale": "en_US", "availability": {"shipToLocationAvailability": {"quantity": 7}}}
    offer = {"offerId": "1", "status": "PUBLISHED", "marketplaceId": "EBAY_US", "listing": {"listingId": "222"}}
    ebay = seller()
    http = Scripted((200, item), (200, {"offers": [offer], "total": 1, "href": "h", "limit": 100, "size": 1}))
    [found] = await ebay.listings_of(http, "A/B")
    assert http.asked[0].url.endswith("/inventory_item/A%2FB")
    assert (found.quantity, found.listing_keys[0], found.ration_unit) == (7, "listing:222/", "222")
    gone = Scripted((404, {"errors": [{"errorId": 25702, "message": "not found"}]}))
    assert isinstance(ebay, FollowsCatalogue) and await ebay.listings_of(gone, "A") == []


async def test_migration_ends_as_each_row_proves() -> None:
    rows = [
        {"listingId": "1", "marketplaceId": "EBAY_US", "statusCode": 200, "inventoryItems": [{"sku": "A"}]},
        {"listingId": "2", "statusCode": 400, "errors": [{"errorId": 25718, "message": "Cannot migrate listing."}]},
    ]
    http = Scripted((207, {"responses": rows}))
    outcomes = await seller().migrate(http, ["2", "1", "3"])
    assert http.asked[0].writes and json.loads(http.asked[0].body)["requests"][0] == {"listingId": "2"}
    assert outcomes[:2] == [Rejected("25718 Cannot migrate listing.", code="25718"), Accepted("A")]
    assert isinstance(outcomes[2], Unknown)
    assert [type(one) for one in await seller().migrate(Scripted((500, {})), ["1"])] == [Unknown]
    with pytest.raises(ValueError, match="1 to 5"):
        await seller().migrate(Scripted(), list("123456"))
