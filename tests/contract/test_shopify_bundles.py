"""Shopify: bundles. The parent is no stock, its components are told, a buyer's order holds the components. Beside the emulated shop."""

from __future__ import annotations

from test_wire import bought, listings_of, order
from wire import Wire

from oneshelf.channels.abilities import HasBundles
from oneshelf_emulator.shopify import console


async def with_a_bundle() -> tuple[Wire, str, str]:
    """A shop with the bundle SET of two pieces of its first SKU and one of its second."""
    wire = Wire("shopify")
    first, second = (str(one.sku) for one in (await listings_of(wire))[:2])
    console.add_product(wire.market, "SET", "Set", 5000, 0)
    console.set_components(wire.market, "SET", {first: 2, second: 1})
    return wire, first, second


async def test_a_bundles_parent_is_told_as_one_and_its_components_by_SKU() -> None:
    wire, first, second = await with_a_bundle()
    hub = wire.channel
    assert isinstance(hub, HasBundles)
    every = {one.sku: one for one in await listings_of(wire)}
    parent, plain = every["SET"], every[first]
    assert (parent.untracked, parent.extra.get("bundle"), plain.untracked, plain.extra.get("bundle")) == (
        True,
        True,
        False,
        None,
    )
    asked = [str(parent.extra["variant_id"]), str(plain.extra["variant_id"]), "gid://shopify/ProductVariant/1"]
    assert await hub.components(wire, asked) == {str(parent.extra["variant_id"]): {first: 2, second: 1}}
    assert await hub.components(wire, []) == {}
    assert wire.judge.violations == []


async def test_an_order_of_a_bundle_holds_its_components() -> None:
    wire, first, second = await with_a_bundle()
    seen = await order(wire, bought(wire, ["SET"]))
    assert sorted((str(line.sku), line.ordered) for line in seen.lines) == sorted([(first, 2), (second, 1)])
    assert all(f"sku:{line.sku}" in line.listing_keys for line in seen.lines)
