"""What else the Amazon connector can do: sign a seller in, say what is missing, read one SKU again, prices."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from oneshelf.channels.abilities import (
    Checks,
    FollowsCatalogue,
    PriceOffer,
    Prices,
    PriceSeen,
    Sale,
    SignInWish,
    SignsIn,
)
from oneshelf.channels.amazon import SIGN_IN, Amazon, connect
from oneshelf.channels.contract import Outlet, Request, Response
from oneshelf.core.errors import Park, Retry, SignInAgain
from oneshelf.core.facts import Money
from oneshelf.core.outcome import Accepted, Rejected

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
US, CA = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2"
ARN = "arn:aws:sqs:us-east-1:444455556666:queue1"
SETTINGS = {
    "seller_id": "SELLER",
    "marketplace_ids": f"{US},{CA}",
    "queue_url": "https://sqs.us-east-1.amazonaws.com/444455556666/queue1",
    "queue_arn": ARN,
}
APP = {"application_id": "amzn1.sp.solution.x", "client_id": "c", "client_secret": "s"}
WISH = SignInWish({"marketplace_ids": US}, APP, "https://shelf.example/connect/amazon/callback", "st" * 30, "ve" * 30)
BACK = {"state": "st" * 30, "spapi_oauth_code": "CODE", "selling_partner_id": "SELLER"}


class Desk:
    """An Http that answers by operation, and remembers what it was asked."""

    def __init__(self, **answers: tuple[int, Any]) -> None:
        self.answers = answers
        self.asked: list[Request] = []

    async def request(self, request: Request) -> Response:
        self.asked.append(request)
        status, body = self.answers[request.operation]
        return Response(status=status, headers={}, body=json.dumps(body).encode(), received_at=NOW)


def amazon(**more: str) -> Amazon:
    return connect({**SETTINGS, **more})


def test_it_has_the_abilities() -> None:
    assert isinstance(SIGN_IN, SignsIn)
    for ability in (Checks, FollowsCatalogue, Prices):
        assert isinstance(amazon(), ability)


# --- sign-in ----------------------------------------------------------------------------------------------------------


def test_the_consent_page_is_that_of_the_main_marketplace() -> None:
    url = urlsplit(SIGN_IN.consent_url(WISH))
    assert (url.netloc, url.path) == ("sellercentral.amazon.com", "/apps/authorize/consent")
    asked = {"application_id": APP["application_id"], "state": WISH.state, "redirect_uri": WISH.redirect_uri}
    assert dict(parse_qsl(url.query)) == asked
    draft = SignInWish({"marketplace_ids": "A1F83G8C2ARO7P", "application_state": "draft"}, APP, "https://x", "s", "v")
    url = urlsplit(SIGN_IN.consent_url(draft))
    assert url.netloc == "sellercentral-europe.amazon.com" and dict(parse_qsl(url.query))["version"] == "beta"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "other"}, "another sign-in"),
        ({"error": "access_denied"}, "no access"),
        ({"selling_partner_id": ""}, "no seller"),
        ({"spapi_oauth_code": ""}, "no code"),
    ],
)
def test_a_callback_that_is_not_ours_is_refused(change: dict[str, str], words: str) -> None:
    with pytest.raises(Park, match=words):
        SIGN_IN.code(WISH, {**BACK, **change}, NOW)


async def test_the_code_gives_tokens_and_the_seller() -> None:
    tokens = {"access_token": "Atza|1", "refresh_token": "Atzr|1", "token_type": "bearer", "expires_in": 3600}
    desk = Desk(lwaToken=(200, tokens))
    got = await SIGN_IN.signed_in(desk, WISH, BACK, NOW)
    assert got.settings == {"seller_id": "SELLER"} and got.secret.values["refresh_token"] == "Atzr|1"
    assert got.secret.expires_at == NOW + timedelta(hours=1)
    sent = dict(parse_qsl(desk.asked[0].body.decode()))
    assert sent["grant_type"] == "authorization_code" and sent["code"] == "CODE" and desk.asked[0].bare
    with pytest.raises(SignInAgain, match="rotated"):
        await SIGN_IN.signed_in(Desk(lwaToken=(401, {"error": "invalid_client"})), WISH, BACK, NOW)
    with pytest.raises(Retry):
        await SIGN_IN.signed_in(Desk(lwaToken=(503, {})), WISH, BACK, NOW)


# --- the check --------------------------------------------------------------------------------------------------------


def healthy() -> dict[str, tuple[int, Any]]:
    def place(id_: str) -> dict[str, Any]:
        return {
            "marketplace": {"id": id_, "name": id_, "defaultCurrencyCode": "USD"},
            "participation": {"isParticipating": True, "hasSuspendedListings": False},
        }

    return {
        "getMarketplaceParticipations": (200, {"payload": [place(US), place(CA)]}),
        "getOrder": (404, {"errors": []}),
        "searchListingsItems": (200, {"items": [], "numberOfResults": 0}),
        "getFeeds": (200, {"feeds": []}),
        "lwaToken": (200, {"access_token": "grantless", "expires_in": 3600}),
        "getDestinations": (200, {"payload": [{"destinationId": "d", "resource": {"sqs": {"arn": ARN}}}]}),
        "getSubscription": (200, {"payload": {"subscriptionId": "s", "destinationId": "d"}}),
    }


async def wrong(settings: dict[str, str] | None = None, **answers: tuple[int, Any]) -> set[tuple[str, str]]:
    found = await amazon(**(settings or {})).check(Desk(**{**healthy(), **answers}), None, APP)
    assert all(one.ok or one.todo for one in found)
    return {(one.code, one.which) for one in found if not one.ok}


async def test_the_check_names_what_is_missing() -> None:
    assert await wrong() == set()
    assert await wrong(getFeeds=(403, {})) == {("scope", "getFeeds")}
    assert await wrong(getSubscription=(404, {})) == {("subscription", "ORDER_CHANGE")}
    assert await wrong(getMarketplaceParticipations=(200, {"payload": []})) == {("location", US), ("location", CA)}
    assert await wrong({"queue_arn": ARN + ".fifo"}) == {("queue", "")}
    assert await wrong({"queue_url": ""}) == {("queue", "")}
    listing_kinds = {"LISTINGS_ITEM_MFN_QUANTITY_CHANGE", "LISTINGS_ITEM_STATUS_CHANGE"}
    assert await wrong({"event_bridge_account_id": "1"}) == {("subscription", kind) for kind in listing_kinds}


# --- one SKU, prices --------------------------------------------------------------------------------------------------

ENTRY = {
    "marketplace_id": US,
    "currency": "USD",
    "audience": "ALL",
    "start_at": {"value": "2020-01-01T00:00:00Z"},
    "our_price": [{"schedule": [{"value_with_tax": 19.99}]}],
    "discounted_price": [{"schedule": [{"start_at": "2026-11-20", "end_at": "2026-11-30", "value_with_tax": 14.99}]}],
}
ITEM = {
    "sku": "A/1",
    "summaries": [{"marketplaceId": US, "productType": "LUGGAGE", "status": ["BUYABLE"]}],
    "attributes": {"purchasable_offer": [{**ENTRY, "audience": "B2B"}, ENTRY]},
    "offers": [
        {"marketplaceId": US, "offerType": "B2B", "price": {"amount": "9.00", "currencyCode": "USD"}},
        {"marketplaceId": US, "offerType": "B2C", "price": {"amount": "14.99", "currencyCode": "USD"}},
    ],
    "fulfillmentAvailability": [{"fulfillmentChannelCode": "DEFAULT", "quantity": 3}],
}
OUTLET = Outlet("A/1", "A/1", {"marketplace_ids": [US], "product_type": "LUGGAGE"})
SAID = {"sku": "A/1", "status": "ACCEPTED", "submissionId": "x", "issues": []}


async def test_a_sku_is_read_again() -> None:
    (found,) = await amazon().listings_of(Desk(getListingsItem=(200, ITEM)), "A/1")
    assert (found.outlet_external_id, found.quantity, found.price_minor) == ("A/1", 3, 1499)
    assert await amazon().listings_of(Desk(getListingsItem=(404, {})), "A/1") == []


async def seen() -> PriceSeen:
    (price,) = await amazon().read_prices(Desk(searchListingsItems=(200, {"items": [ITEM]})), [OUTLET])
    return price


async def test_while_a_sale_runs_the_price_is_the_regular_one() -> None:
    price = await seen()
    assert price.price == Money(1999, "USD") and price.sale is not None and price.sale.price == Money(1499, "USD")


async def told(offer: PriceOffer) -> dict[str, Any]:
    desk = Desk(patchListingsItem=(200, SAID))
    assert isinstance((await amazon().publish_prices(desk, [offer]))[0], Accepted)
    body = json.loads(desk.asked[0].body)
    assert "A%2F1" in desk.asked[0].url and body["productType"] == "LUGGAGE" and "quantity" not in str(body)
    (patch,) = body["patches"]
    assert patch["path"] == "/attributes/purchasable_offer"
    return {"op": patch["op"], **patch["value"][0]}


async def test_a_price_keeps_what_the_offer_has_and_a_sale_goes_away() -> None:
    plain = await told(PriceOffer(OUTLET, Money(2150, "USD")))
    assert plain["op"] == "merge" and plain["our_price"] == [{"schedule": [{"value_with_tax": 21.5}]}]
    ended = await told(PriceOffer(OUTLET, Money(2150, "USD"), seen=await seen()))
    assert ended["op"] == "replace" and "discounted_price" not in ended and ended["start_at"] == ENTRY["start_at"]
    sale = Sale(Money(1500, "USD"), NOW, NOW + timedelta(days=2))
    on_sale = await told(PriceOffer(OUTLET, Money(2150, "USD"), sale=sale, seen=await seen()))
    window = {"start_at": "2026-11-23T12:00:00.000Z", "end_at": "2026-11-25T12:00:00.000Z", "value_with_tax": 15.0}
    assert on_sale["op"] == "merge" and on_sale["discounted_price"] == [{"schedule": [window]}]


@pytest.mark.parametrize(("price", "code"), [(Money(100, "EUR"), "currency"), (Money(0, "USD"), "price")])
async def test_a_price_that_cannot_be_is_refused_without_a_call(price: Money, code: str) -> None:
    (outcome,) = await amazon().publish_prices(Desk(), [PriceOffer(OUTLET, price)])
    assert isinstance(outcome, Rejected) and outcome.code == code
