"""The simulator's judge says why a piece was sold twice: on the emulated marketplaces' own books, with the purchases made here."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator

import pytest

from oneshelf_simulator.options import draw
from oneshelf_simulator.shelf import plain_id
from oneshelf_simulator.told import Told
from oneshelf_simulator.world import World

#: Longer than any channel's news may take, seconds.
LONG_S = 20_000.0

Begin = Callable[..., World]


@pytest.fixture
def begin() -> Iterator[Begin]:
    begun: list[World] = []

    def build(*, list_miss: float, told: bool) -> World:
        """A world whose engine never starts. `list_miss`: the share of Amazon's orders that no search shows; `told`: whether its listings
        were told a number above 0 since."""
        options = draw(1, "calm", 0.01)
        options.list_miss, options.pending_cancel_chance = list_miss, 0.0
        world = World(options)
        world.oversold.told = Told(lambda sql, *_: [(1,)] if told and "a.quantity > 0" in sql else [], lambda: True)
        begun.append(world)
        return world

    yield build
    for world in begun:
        shutil.rmtree(world.folder)


def _sold_twice(world: World, *, heard: bool) -> dict[str, int]:
    """Amazon sells all of a SKU, stands there as though it had not, and sells one more: pieces by cause."""
    sku = world.products[0].sku
    amazon = world.emulation.marketplaces["amazon"]

    async def sell() -> None:
        assert world.workload.buy_there("amazon", {sku: 0}, pieces=amazon.shown(sku))
        if heard:
            order = plain_id(world.emulation.world.sales[-1].order_id)
            world.oversold.heard_at[("amazon", order)] = world.oversold.now_us()
        await asyncio.sleep(LONG_S)
        amazon.console("set_quantity", sku=sku, quantity=1)
        assert world.workload.buy_there("amazon", {sku: 0}, pieces=1)

    world.loop.run(sell())
    return {cause: pieces for cause, pieces in world.oversold.counts.items() if pieces}


def test_F21_an_order_that_nobody_could_hear_of_is_no_fault_though_its_channel_was_told_its_pieces_again(
    begin: Begin,
) -> None:
    assert _sold_twice(begin(list_miss=1.0, told=True), heard=False) == {"window": 1}


def test_F21_one_that_a_message_told_of_is(begin: Begin) -> None:
    assert _sold_twice(begin(list_miss=1.0, told=True), heard=True) == {"race": 1}


def test_F21_one_that_the_searches_show_is(begin: Begin) -> None:
    assert _sold_twice(begin(list_miss=0.0, told=True), heard=False) == {"race": 1}


def test_a_number_that_went_up_by_itself_is_late(begin: Begin) -> None:
    assert _sold_twice(begin(list_miss=1.0, told=False), heard=False) == {"late": 1}
