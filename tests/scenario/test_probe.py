"""The probe: what it waits for at each account, and that its piece always comes back (SEMANTICS 12.2)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.scenario.engine import AMAZON, CAN, CHANNELS, EBAY, ETSY, TENANT, World
from tests.scenario.test_truth import At, Inline

from oneshelf.channels.contract import NoAnswer, Outlet, Seen
from oneshelf.core.ids import ChannelName
from oneshelf.core.instants import SECOND, from_us
from oneshelf.db.store import Store, transaction
from oneshelf.orders.manual_holds import CannotHold, list_holds
from oneshelf.tenants.accounts import set_state
from oneshelf.watch import probe
from oneshelf.watch.check import Checked
from oneshelf.watch.probe import CannotProbe, ProbeRow


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 5)
    return world.open()


class Shows:
    """A marketplace that shows these numbers, one a look; the last for ever. None: no answer."""

    def __init__(self, account_id: int, *numbers: int | None) -> None:
        self.name, self.can = ChannelName(CHANNELS[account_id]), CAN[account_id]
        self._numbers = list(numbers)

    async def read(self, http: Any, outlets: list[Outlet]) -> list[Seen]:
        number = self._numbers.pop(0) if len(self._numbers) > 1 else self._numbers[0]
        if number is None:
            raise NoAnswer("timed out", sent=True)
        return [Seen(outlet.external_id, number, from_us(0)) for outlet in outlets]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(probe, "FIRST_LOOKS_EVERY_S", 0.001)


async def probed(world: World, *shows: tuple[int, Shows], limit_s: float = 600.0) -> ProbeRow:
    accounts = [Checked(account_id, one, None, 0) for account_id, one in shows]  # type: ignore[arg-type]
    begun = await probe.start(TENANT, "MUG", accounts, Inline(world), At(world), by="Ada")  # type: ignore[arg-type]

    class Going(At):
        """A second passes at every look."""

        def now(self) -> Any:
            return from_us(world.tick(1))

    return await probe.look(TENANT, begun, Inline(world), Going(world), asyncio.Event(), limit_s=limit_s)  # type: ignore[arg-type]


def held(world: World) -> list[int]:
    with transaction(world.store) as tx:
        return [one.pieces for one in list_holds(tx, TENANT)]


async def test_S12_2_a_number_is_waited_for_and_fewer_are_right_too(world: World) -> None:
    done = await probed(world, (AMAZON, Shows(AMAZON, 5, 5, 4)), (EBAY, Shows(EBAY, 3)), (ETSY, Shows(ETSY, None, 4)))
    assert [(one.channel, one.verdict, one.looks) for one in done.seen] == [
        ("amazon", "shown", 3),
        ("ebay", "shown", 1),
        ("etsy", "shown", 1),
    ]
    assert all(one.shown_s is not None and one.told_s is None for one in done.seen), "nobody was told: no attempt"
    assert (done.state, done.within_goal, held(world), world.k("MUG")) == ("DONE", True, [], 5)


async def test_S12_2_what_one_piece_does_not_change_is_called_unchanged(world: World) -> None:
    world.safety(ETSY, 9)
    with transaction(world.store) as tx:
        set_state(tx, TENANT, AMAZON, "PAUSED", world.now)
    done = await probed(world, (AMAZON, Shows(AMAZON, 5)), (ETSY, Shows(ETSY, 0)))
    assert [one.verdict for one in done.seen] == ["not_live", "unchanged"]
    assert done.within_goal is False, "nothing was measured: nothing is promised"


async def test_S12_2_a_channel_that_never_shows_it_ends_by_the_limit(world: World) -> None:
    done = await probed(world, (EBAY, Shows(EBAY, 5)), (ETSY, Shows(ETSY, None)), limit_s=20)
    assert [(one.verdict, one.shown_s) for one in done.seen] == [("not_shown", None), ("no_answer", None)]
    assert done.seen[1].note == "no answer: timed out"
    assert (done.within_goal, held(world)) == (False, [])


async def test_S12_2_a_probe_that_breaks_gives_its_piece_back(world: World) -> None:
    with pytest.raises(ZeroDivisionError):

        class Broken(Shows):
            async def read(self, http: Any, outlets: list[Outlet]) -> list[Seen]:
                raise ZeroDivisionError

        await probed(world, (EBAY, Broken(EBAY, 1)))
    with transaction(world.store) as tx:
        (row,) = probe.probes(tx, TENANT)
    assert (row.state, row.problem, held(world)) == ("FAILED", "ZeroDivisionError", [])


async def test_S12_2_a_probe_that_died_gives_its_piece_back(world: World) -> None:
    where = (TENANT, "MUG", [Checked(EBAY, Shows(EBAY, 5), None, 0)], Inline(world), At(world))  # type: ignore[arg-type,list-item]
    await probe.start(*where, by="Ada")  # type: ignore[arg-type]
    with pytest.raises(CannotProbe, match="A probe is running"):
        await probe.start(*where, by="Ada")  # type: ignore[arg-type]
    assert held(world) == [1]
    with transaction(world.store) as tx:
        assert probe.recover(tx, TENANT, world.tick(5)) == 1
        assert probe.recover(tx, TENANT, world.now) == 0
        (row,) = probe.probes(tx, TENANT)
    assert (row.state, row.problem, held(world)) == ("FAILED", "the service died meanwhile", [])


async def test_nothing_to_hold_is_no_probe(world: World) -> None:
    world.hub.sell(world.now, MUG=5)
    world.hub_news()
    with pytest.raises(CannotHold, match="0 available"):
        await probed(world, (EBAY, Shows(EBAY, 0)))


def test_a_scheduled_sku_has_its_turn_once_every_so_many_days(world: World) -> None:
    with transaction(world.store) as tx:
        assert probe.due(tx, TENANT, world.now) is None
        probe.set_schedule(tx, TENANT, "MUG", 30, world.now, by="Ada")
        assert (probe.due(tx, TENANT, world.now), probe.due(tx, TENANT, world.now + SECOND)) == ("MUG", None)
        assert probe.due(tx, TENANT, world.now + 30 * 86_400 * SECOND) == "MUG"
        probe.set_schedule(tx, TENANT, "", 30, world.now, by="Ada")
        assert (probe.schedule(tx, TENANT), probe.due(tx, TENANT, world.now + 99 * 86_400 * SECOND)) == (None, None)
        with pytest.raises(CannotProbe, match="no SKU CUP"):
            probe.set_schedule(tx, TENANT, "CUP", 30, world.now, by="Ada")
        with pytest.raises(CannotProbe, match="Say 1 to 365"):
            probe.set_schedule(tx, TENANT, "MUG", 0, world.now, by="Ada")
