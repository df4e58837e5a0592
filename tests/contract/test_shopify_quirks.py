"""Quirks of Shopify that touch us, each by name, against the emulated shop. The table in the connector's README names them all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from test_shopify_cancels import seen, sold, wish
from test_shopify_connector_later import copied, fact_of
from test_wire import bought, listings_of
from wire import Wire

from oneshelf.channels import shopify
from oneshelf.channels.contract import Outlet
from oneshelf.core.outcome import Accepted, Rejected

README = Path(shopify.__file__).parent / "README.md"
TESTS = Path(__file__).parents[1]
KEY = "5d8a5e0a-43f1-5a3e-9f5e-3a0b1a4b7f1{}"


def rows() -> list[tuple[str, list[str]]]:
    """Each row of the README's table of quirks: its first cell, and the tests that it names."""
    text = README.read_text().split("## Quirks")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith(("| quirk", "|---"))]
    return [(line.split("|")[1].strip(), re.findall(r"`(test_\w+)`", line)) for line in lines]


def test_every_quirk_of_the_readme_has_a_test_that_exists() -> None:
    there = {name for path in TESTS.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}
    found = rows()
    assert len(found) >= 20
    assert [quirk for quirk, tests in found if not tests] == []
    assert [name for _, tests in found for name in tests if name not in there] == []


async def place_and_item(wire: Wire) -> tuple[str, str]:
    found = (await listings_of(wire))[0]
    (place,) = await wire.channel.locations(wire)  # type: ignore[attr-defined]
    return place.location_id, str(found.extra["item_id"])


async def test_quirk_5_a_key_that_met_a_stale_number_is_spent() -> None:
    wire = Wire("shopify")
    hub: Any = wire.channel
    place, item = await place_and_item(wire)
    (level,) = await hub.levels(wire, [item])
    stale = await hub.set_on_hand(wire, item, place, 7, level.on_hand + 1, KEY.format(1), "gid://oneshelf/Count/1")
    assert isinstance(stale, Rejected) and stale.stale
    again = await hub.set_on_hand(wire, item, place, 7, level.on_hand + 1, KEY.format(1), "gid://oneshelf/Count/1")
    assert isinstance(again, Rejected) and again.code == "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"
    fresh = await hub.set_on_hand(wire, item, place, 7, level.on_hand, KEY.format(2), "gid://oneshelf/Count/1")
    assert isinstance(fresh, Accepted)


async def test_quirk_10_an_order_beyond_sixty_days_is_null_and_no_error() -> None:
    wire = Wire("shopify")
    order_id = bought(wire, [str((await listings_of(wire))[0].sku)])
    assert await wire.channel.fetch_order(wire, order_id) is not None
    wire.pass_time(61 * 86_400.0)
    assert await wire.channel.fetch_order(wire, order_id) is None


async def test_quirk_12_right_after_creation_an_order_has_no_fulfilment_order_and_that_says_nothing() -> None:
    wire = Wire("shopify")
    wire.market.switches["routing_delay_s"] = 1e6
    _, order_id = await copied(wire)
    early = await fact_of(wire, order_id)
    assert (early.locations, early.lines[0].ordered, early.cancelled) == ({}, 2, False)
    wire.pass_time(1e6)
    assert list((await fact_of(wire, order_id)).locations) == [early.lines[0].line_id]


async def test_quirk_18_a_paid_order_whose_location_was_closed_can_not_be_cancelled_with_restock() -> None:
    wire, shop, order = await sold()
    wire.market.console("deactivate_location", location="Main warehouse")
    refused = await shop.cancel(wire, wish(order))
    assert isinstance(refused, Rejected) and "deactivated location" in refused.reason
    assert not (await seen(wire, order.order_id)).cancelled


async def test_quirk_19_a_closed_location_shows_no_level() -> None:
    wire = Wire("shopify")
    hub: Any = wire.channel
    place, item = await place_and_item(wire)
    assert [one.location_id for one in await hub.levels(wire, [item])] == [place]
    wire.market.console("deactivate_location", location=place)
    assert await hub.levels(wire, [item]) == []
    (shown,) = await hub.read(wire, [Outlet(f"{item}|{place}", item)])
    assert (shown.quantity, shown.state) == (None, "gone")


async def test_quirk_22_a_bundles_parent_has_no_stock_of_its_own() -> None:
    wire = Wire("shopify")
    sku = str((await listings_of(wire))[0].sku)
    wire.market.console("set_variant", sku=sku, bundle=True)
    (parent,) = [one for one in await listings_of(wire) if one.sku == sku]
    assert parent.untracked
