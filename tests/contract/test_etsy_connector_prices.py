"""Etsy: prices and numbers go in one write, and neither undoes the other."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from oneshelf.channels.abilities import PriceOffer, Prices
from oneshelf.channels.contract import Offer, Outlet, Request, Response
from oneshelf.channels.etsy import connect
from oneshelf.core.facts import Money
from oneshelf.core.outcome import Accepted

DOCUMENT = json.loads((Path(__file__).parent / "payloads" / "etsy" / "inventory_two_sizes.json").read_text())
NOW = datetime(2026, 11, 3, tzinfo=UTC)
SHOP = connect({"shop_id": "12345"})
M, L = (Outlet(f"123456789/200=Red;62809790503={size}", "123456789") for size in "ML")
BY_SIZE = {"price_on_property": [62809790503]}


class Shelf:
    def __init__(self, **changes: Any) -> None:
        self.document = {**copy.deepcopy(DOCUMENT), **changes}
        self.put: list[Any] = []

    async def request(self, request: Request) -> Response:
        if request.method == "PUT":
            self.put.append(json.loads(request.body))
        return Response(200, {}, json.dumps(self.document).encode(), NOW)


def told(body: Any) -> list[tuple[float, int]]:
    return [(one["offerings"][0]["price"], one["offerings"][0]["quantity"]) for one in body["products"]]


async def test_a_price_keeps_numbers_and_a_number_keeps_prices() -> None:
    assert isinstance(SHOP, Prices)
    shelf = Shelf(**BY_SIZE)
    assert await SHOP.publish_prices(shelf, [PriceOffer(M, Money(2150, "USD"))]) == [Accepted("123456789")]
    assert told(shelf.put[0]) == [(21.5, 7), (19.9, 3)]
    await SHOP.publish_prices(shelf, [PriceOffer(M, Money(2150, "USD"), quantity=2)])
    assert told(shelf.put[1]) == [(21.5, 2), (19.9, 3)]
    await SHOP.publish(shelf, [Offer(M, 1)])
    assert told(shelf.put[2]) == [(19.9, 1), (19.9, 3)]


@pytest.mark.parametrize(
    ("changes", "price", "code"),
    [
        ({}, Money(2150, "USD"), "price_shared"),
        (BY_SIZE, Money(0, "USD"), "price"),
        (BY_SIZE, Money(2150, "EUR"), "currency"),
        ({**BY_SIZE, "listing": {"state": "inactive"}}, Money(2150, "USD"), "inactive"),
    ],
)
async def test_a_price_that_cannot_stand_is_refused_unsent(changes: dict, price: Money, code: str) -> None:
    shelf = Shelf(**changes)
    [outcome] = await SHOP.publish_prices(shelf, [PriceOffer(M, price)])
    assert (outcome.code, shelf.put) == (code, [])


async def test_a_shared_price_is_written_when_all_agree_and_read_back() -> None:
    shelf = Shelf()
    both = [PriceOffer(one, Money(2150, "USD")) for one in (M, L)]
    assert await SHOP.publish_prices(shelf, both) == [Accepted("123456789")] * 2
    assert told(shelf.put[0]) == [(21.5, 7), (21.5, 3)]
    assert [one.price for one in await SHOP.read_prices(shelf, [M, L])] == [Money(1990, "USD")] * 2


async def test_P9_a_number_handed_along_is_the_most_that_is_written() -> None:
    """Fewer were just read: somebody bought since, and that is not put back on sale. A zero stays a zero."""
    shelf = Shelf(**BY_SIZE)
    await SHOP.publish_prices(shelf, [PriceOffer(M, Money(2150, "USD"), quantity=9)])
    assert told(shelf.put[0]) == [(21.5, 7), (19.9, 3)]
    shelf.document["products"][0]["offerings"][0]["quantity"] = 0
    await SHOP.publish_prices(shelf, [PriceOffer(M, Money(2150, "USD"), quantity=9)])
    assert told(shelf.put[1]) == [(21.5, 0), (19.9, 3)]
