"""Listings with many variations: Etsy allows 70 values a property and several properties; work grows with their number, not its square."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from test_etsy_connector import SHOP, Scripted

from oneshelf.channels.batches import read_batches
from oneshelf.channels.contract import Offer, Outlet
from oneshelf.channels.etsy import listing as etsy_listing
from oneshelf.core.outcome import Accepted

COLORS, SIZES = 70, 10


def product(color: int, size: int) -> dict[str, Any]:
    chosen = [(200, "Primary color", color), (62809790503, "Size", size)]
    return {
        "product_id": 1_000 * color + size,
        "sku": f"TEE-{color}-{size}",
        "is_deleted": False,
        "property_values": [
            {
                "property_id": own,
                "property_name": name,
                "scale_id": None,
                "value_ids": [n + 1],
                "values": [f"{name} {n}"],
            }
            for own, name, n in chosen
        ],
        "offerings": [
            {
                "offering_id": 1,
                "price": {"amount": 1990, "divisor": 100, "currency_code": "USD"},
                "quantity": color + size,
                "is_enabled": True,
                "is_deleted": False,
                "readiness_state_id": 1,
            }
        ],
    }


def document(listing_id: int) -> dict[str, Any]:
    along = [200, 62809790503]
    return {
        "listing_id": listing_id,
        "state": "active",
        "title": "Tee",
        "inventory": {
            "products": [product(color, size) for color in range(COLORS) for size in range(SIZES)],
            "price_on_property": [],
            "quantity_on_property": along,
            "sku_on_property": along,
            "readiness_state_on_property": [],
        },
    }


async def outlets_of(row: dict[str, Any]) -> list[Outlet]:
    page = await SHOP.catalogue(Scripted((200, {"count": 1, "results": [row]})), None)
    return [Outlet(one.outlet_external_id, one.write_unit, one.extra) for one in page.listings]


async def test_a_listing_is_looked_through_once_however_many_of_its_variations_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [document(7), document(8)]
    outlets = [outlet for row in rows for outlet in await outlets_of(row)]
    assert len(outlets) == 2 * COLORS * SIZES
    looked: list[int] = []
    real = etsy_listing.outlet_of

    def counted(*given: Any) -> str:
        looked.append(1)
        return real(*given)

    monkeypatch.setattr(etsy_listing, "outlet_of", counted)
    seen = await SHOP.read(Scripted((200, {"count": 2, "results": copy.deepcopy(rows)})), outlets)
    assert [one.quantity for one in seen] == [c + s for _ in rows for c in range(COLORS) for s in range(SIZES)]
    assert len(looked) == len(outlets)
    looked.clear()
    prices = await SHOP.read_prices(Scripted((200, {"count": 2, "results": copy.deepcopy(rows)})), outlets)
    assert {one.price.minor for one in prices if one.price} == {1990}
    assert len(looked) == 2 * len(outlets), "once for the numbers, once for the prices"


async def test_one_write_takes_the_whole_of_a_large_listing() -> None:
    row = document(7)
    outlets = await outlets_of(row)
    both = {"count": 2, "results": [row, document(8)]}
    seen = await SHOP.read(Scripted((200, both)), [*outlets, *await outlets_of(document(8))])
    offers = [Offer(outlet, 5, one) for outlet, one in zip(outlets, seen, strict=False)]
    http = Scripted((200, row["inventory"]))
    assert await SHOP.publish(http, offers) == [Accepted("7")] * (COLORS * SIZES)


def test_a_read_takes_a_hundred_listings_where_etsy_counts_listings_and_a_hundred_outlets_where_outlets_are_counted() -> (
    None
):
    rows = [(f"listing {n // 70}", n) for n in range(70 * 150)]
    by_listing = list(read_batches(rows, SHOP.can))
    assert [len(batch) for batch in by_listing] == [7_000, 3_500]
    ebay_like = [len(batch) for batch in read_batches(rows[:250], _counts_outlets())]
    assert ebay_like == [100, 100, 50]
    assert [n for batch in by_listing for n in batch] == list(range(70 * 150))


def _counts_outlets() -> Any:
    return msgspec.structs.replace(SHOP.can, reads_units=False)
