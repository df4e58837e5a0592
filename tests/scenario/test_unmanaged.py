"""Listings that were made elsewhere: a task says so, a person brings them over, and what is told stays true."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from tests.scenario.engine import EBAY, TENANT, World
from tests.scenario.test_following import Catalogue, Clock, Follower, Through, listing

from oneshelf.channels.abilities import MigrateAbility
from oneshelf.channels.contract import CataloguePage, Unmanaged
from oneshelf.core.errors import Retry, SignInAgain
from oneshelf.core.ids import ChannelName
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown
from oneshelf.db.store import Store, transaction
from oneshelf.onboarding import leaving, marketplace, unmanaged

FULL = Unmanaged("110", ("TEE-S", "TEE-M"))
BARE = Unmanaged("120", (), "It has no SKU.")


class Seller(Catalogue):
    """A channel that tells what is out of reach, after it has asked to wait once."""

    name = ChannelName.EBAY
    migration = MigrateAbility(batch=2, what="for good")

    def __init__(self, *found: Unmanaged) -> None:
        super().__init__(listing("MUG"))
        self.rest: tuple[Unmanaged, ...] | None = found
        self.asked: list[list[str]] = []
        self.answers: dict[str, Outcome] = {}

    async def catalogue(self, http: Any, cursor: dict[str, Any] | None) -> CataloguePage:
        if cursor is None:
            page = await super().catalogue(http, None)
            return CataloguePage(page.listings, {"rest": 1}, 1, again_in_s=0.01)
        return CataloguePage((), None, 1, unmanaged=self.rest)

    async def migrate(self, http: Any, listing_ids: Sequence[str]) -> list[Outcome]:
        self.asked.append(list(listing_ids))
        if self.answers.get("raise"):
            raise SignInAgain("revoked")
        return [self.answers.get(one, Accepted()) for one in listing_ids]


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 10)
    return world.open()


@pytest.fixture
async def follower(world: World) -> AsyncIterator[Follower]:
    yield Follower(world, Through(world.store))  # type: ignore[arg-type]


def tasks(world: World) -> list[tuple[Any, ...]]:
    return world.rows("SELECT what, why FROM task WHERE kind = 'unmanaged_listings' AND closed_at IS NULL")


def known(world: World) -> unmanaged.Known:
    with transaction(world.store) as tx:
        return unmanaged.known(tx, TENANT, EBAY)


async def bring_over(world: World, follower: Follower, channel: Any, *ids: str) -> dict[str, str]:
    ended = await unmanaged.bring_over(TENANT, EBAY, channel, None, follower.writer, Clock(world), ids)  # type: ignore[arg-type]
    return {one.listing_id: one.outcome for one in ended}


async def test_a_task_names_them_and_what_to_do_and_goes_when_they_are_none(world: World, follower: Follower) -> None:
    channel = Seller(FULL, BARE)
    await follower.reread(channel)
    [(what, why)] = tasks(world)
    assert what == "2 listings on Ebay are out of reach"
    assert "110, 120" in why and why.endswith(f"oneshelf listings migrate {EBAY}")
    assert known(world).listings == (FULL, BARE)
    channel.rest = (BARE,)
    await follower.reread(channel)
    assert [what for what, _ in tasks(world)] == ["1 listings on Ebay are out of reach"]
    channel.rest = None  # this time it could not tell: what was known stays
    await follower.reread(channel)
    assert known(world).listings == (BARE,) and len(tasks(world)) == 1
    channel.rest = ()
    await follower.reread(channel)
    assert tasks(world) == [] and known(world).total == 0


async def test_each_is_brought_over_by_itself_and_leaves_the_list(world: World, follower: Follower) -> None:
    many = [Unmanaged(str(n), (f"S{n}",)) for n in range(1, 6)]
    channel = Seller(*many)
    await follower.reread(channel)
    channel.answers = {"2": Rejected("no policies", code="25718"), "3": Unknown("cut off")}
    assert await bring_over(world, follower, channel, "1", "2", "3", "4", "5") == {
        "1": "accepted", "2": "rejected", "3": "unknown", "4": "accepted", "5": "accepted",
    }  # fmt: skip
    assert channel.asked == [["1", "2"], ["3", "4"], ["5"]]
    assert [one.listing_id for one in known(world).listings] == ["2", "3"]
    assert [what for what, _ in tasks(world)] == ["2 listings on Ebay are out of reach"]
    [(told,)] = world.rows("SELECT detail FROM journal WHERE what = 'Listings were brought over'")
    assert '"asked": 5' in told and '"done": 3' in told


@pytest.mark.parametrize("answer", [{"1": Throttled(30)}, {"raise": Throttled()}])
async def test_it_stops_where_the_channel_does_not_let_us_go_on(
    world: World, follower: Follower, answer: dict[str, Outcome]
) -> None:
    channel = Seller(*[Unmanaged(str(n)) for n in range(1, 6)])
    await follower.reread(channel)
    channel.answers = answer
    ended = await bring_over(world, follower, channel, "1", "2", "3", "4", "5")
    assert list(ended) == ["1", "2"] and len(channel.asked) == 1


async def test_the_task_goes_with_the_account(world: World, follower: Follower) -> None:
    await follower.reread(Seller(FULL))
    with transaction(world.store) as tx:
        leaving.leave(tx, TENANT, EBAY, world.now, by="merchant")
    assert tasks(world) == [] and known(world).read_at is None


class Stumbling(Seller):
    """Answers each page only after it has failed so many times."""

    def __init__(self, fails: int, *found: Unmanaged) -> None:
        super().__init__(*found)
        self.fails = self.left = fails

    async def catalogue(self, http: Any, cursor: dict[str, Any] | None) -> CataloguePage:
        if self.left:
            self.left -= 1
            raise Retry("busy", wait_s=0)
        self.left = self.fails
        return await super().catalogue(http, cursor)


async def first_reading(world: World, follower: Follower, channel: Any) -> None:
    await marketplace.read_catalogue(TENANT, EBAY, channel, None, follower.writer, Clock(world))  # type: ignore[arg-type]


async def test_the_first_reading_waits_for_the_channel_and_bears_a_lost_answer(
    world: World, follower: Follower
) -> None:
    await first_reading(world, follower, Stumbling(marketplace.TRIES_A_PAGE - 1, FULL))
    assert known(world).listings == (FULL,) and len(tasks(world)) == 1
    with pytest.raises(Retry, match="busy"):
        await first_reading(world, follower, Stumbling(marketplace.TRIES_A_PAGE))
