"""Etsy: signing in, and what is missing at a shop."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from oneshelf.channels.abilities import Checks, FollowsCatalogue, SignInWish, SignsIn
from oneshelf.channels.contract import Finding, Request, Response, Secret
from oneshelf.channels.etsy import SIGN_IN, connect
from oneshelf.core.errors import Park, SignInAgain

NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
SHOP = connect({"shop_id": "12345"})
APP = {"keystring": "key", "shared_secret": "shh"}
WISH = SignInWish({}, APP, "https://us.example/connect/etsy/callback", "st4te", "v" * 43)
BACK = {"state": "st4te", "code": "c0de"}
PAIR = {"access_token": "7.a", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "7.r"}
SCOPES = ["transactions_r", "transactions_w", "listings_r", "listings_w", "shops_r"]


class World:
    """An Http that answers each operation from a table."""

    def __init__(self, **answers: object) -> None:
        self.asked: list[Request] = []
        self.answers = {
            "token": PAIR,
            "tokenScopes": {"scopes": SCOPES},
            "getMe": {"user_id": 7, "shop_id": 12345},
            "getShop": {"shop_name": "Mugs", "currency_code": "USD", "is_vacation": False},
            "getShopReadinessStateDefinitions": {"count": 1, "results": [{"readiness_state_id": 1}]},
            "getShopReceipts": {"count": 0, "results": []},
            **answers,
        }
        self.headers: dict[str, str] = {}

    async def request(self, request: Request) -> Response:
        self.asked.append(request)
        answer = self.answers[request.operation]
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return Response(status, self.headers, json.dumps(body).encode(), NOW)


def test_the_abilities_are_there() -> None:
    assert isinstance(SIGN_IN, SignsIn)
    assert isinstance(SHOP, Checks)
    assert isinstance(SHOP, FollowsCatalogue)


async def test_a_sign_in_gives_the_pair_and_the_shop() -> None:
    asked = parse_qs(urlsplit(SIGN_IN.consent_url(WISH)).query)
    assert (asked["code_challenge_method"], asked["state"]) == (["S256"], ["st4te"])
    assert asked["scope"] == [" ".join(SCOPES)]
    world = World()
    done = await SIGN_IN.signed_in(world, WISH, BACK, NOW)
    assert done.settings == {"shop_id": "12345"}
    assert done.secret.values == {**APP, "access_token": "7.a", "refresh_token": "7.r"}
    form = parse_qs(world.asked[0].body.decode())
    assert (form["code"], form["code_verifier"], form["redirect_uri"]) == (["c0de"], ["v" * 43], [WISH.redirect_uri])
    assert world.asked[1].headers["authorization"] == "Bearer 7.a" and all(one.bare for one in world.asked)


@pytest.mark.parametrize(
    "query", [{}, {**BACK, "state": "other"}, {"state": "st4te"}, {"state": "st4te", "error": "access_denied"}]
)
async def test_a_callback_that_is_not_ours_or_not_granted(query: dict[str, str]) -> None:
    world = World()
    with pytest.raises(Park):
        await SIGN_IN.signed_in(world, WISH, query, NOW)
    assert world.asked == []


@pytest.mark.parametrize(
    "answers",
    [
        {"token": (400, {"error": "invalid_grant"})},
        {"token": {"access_token": "7.a"}},
        {"getMe": {"user_id": 8, "shop_id": 12345}},
        {"getMe": {"user_id": 7, "shop_id": None}},
    ],
)
async def test_a_sign_in_that_is_of_no_use_says_so(answers: dict) -> None:
    with pytest.raises(SignInAgain):
        await SIGN_IN.signed_in(World(**answers), WISH, BACK, NOW)


def test_a_sign_in_without_keys_or_verifier_is_refused() -> None:
    for wish in (msgspec.structs.replace(WISH, app={"keystring": "key"}), msgspec.structs.replace(WISH, verifier="v")):
        with pytest.raises(Park):
            SIGN_IN.consent_url(wish)


async def bad(world: World, callback: str | None = None) -> list[Finding]:
    found = await SHOP.check(world, callback, {})
    assert all(one.ok or one.todo for one in found)
    return [one for one in found if not one.ok]


async def test_a_shop_that_lacks_nothing() -> None:
    world = World()
    world.headers = {"x-remaining-today": "4000", "x-limit-per-day": "5000"}
    assert await bad(world) == []


@pytest.mark.parametrize(
    ("answers", "code", "which"),
    [
        ({"tokenScopes": {"scopes": SCOPES[:3] + SCOPES[4:]}}, "scope", "listings_w"),
        ({"getMe": {"user_id": 7, "shop_id": 999}}, "access", ""),
        ({"getShop": {"currency_code": "USD", "is_vacation": True}}, "feature", "vacation"),
        ({"getShop": {"currency_code": None}}, "currency", ""),
        ({"getShopReadinessStateDefinitions": {"count": 0, "results": []}}, "feature", "processing_profiles"),
        (
            {"getShopReceipts": {"count": 1, "results": [{"receipt_id": 1, "first_line": None, "transactions": [{}]}]}},
            "feature",
            "shipping",
        ),
    ],
)
async def test_each_thing_that_is_missing_has_its_code(answers: dict, code: str, which: str) -> None:
    assert [(one.code, one.which) for one in await bad(World(**answers))] == [(code, which)]


async def test_the_last_tenth_of_the_day_is_told() -> None:
    world = World()
    world.headers = {"x-remaining-today": "500", "x-limit-per-day": "5000"}
    assert [one.code for one in await bad(world)] == ["quota"]


async def test_a_digital_receipt_without_address_proves_nothing() -> None:
    digital = {"receipt_id": 1, "first_line": None, "transactions": [{"is_digital": True}]}
    assert await bad(World(getShopReceipts={"count": 1, "results": [digital]})) == []


def test_the_call_for_scopes_names_the_token() -> None:
    request = SHOP.auth.authorized(Request("POST", "u", "tokenScopes"), Secret({"access_token": "7.a"}))
    assert request.body == b"token=7.a"


async def test_a_listing_is_read_again_whole_and_a_lost_one_is_nothing() -> None:
    product = {"sku": "A", "property_values": [], "offerings": [{"quantity": 2, "is_enabled": True}]}
    row = {"listing_id": 5, "title": "T", "state": "active", "listing_type": "download"}
    world = World(getListing=row, getListingInventory={"products": [product], "quantity_on_property": []})
    [one] = await SHOP.listings_of(world, "5")
    assert (one.outlet_external_id, one.quantity, one.untracked) == ("5", 2, True)
    assert await SHOP.listings_of(World(getListing=(404, {"error": "Resource not found"})), "5") == []
    assert await SHOP.listings_of(World(), "../5") == []
