"""The catalogue after connecting: hints, nights, listings that end, come back, are renamed; the hub's own changes (SEMANTICS 4.5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.scenario.engine import EBAY, SHOP, TENANT, World, order
from wire import Wire

from oneshelf.channels.contract import CataloguePage, HubFacts, HubLocation, ListingFound
from oneshelf.core.errors import Park, Retry
from oneshelf.core.facts import CatalogueHint, LocationsHint, Money
from oneshelf.core.instants import from_us
from oneshelf.core.precedence import ItemFacts, Selector
from oneshelf.db.sqlite import SqliteStore
from oneshelf.db.store import Store, transaction
from oneshelf.listings import hints, items, links
from oneshelf.onboarding import following, hub, shop
from oneshelf.runtime.writer import Writer


class Clock:
    """The world's clock."""

    def __init__(self, world: World) -> None:
        self.world = world

    def now(self) -> Any:
        return from_us(self.world.now)

    def monotonic(self) -> float:
        return self.world.now / 1e6


def listing(name: str, sku: str | None = None, **more: Any) -> ListingFound:
    return ListingFound(name, name, (f"sku:{name}",), sku or name, name.title(), 3, **more)


class Catalogue:
    """A marketplace's catalogue, three listings a page."""

    def __init__(self, *found: ListingFound) -> None:
        self.found = list(found)
        self.pages = 0
        self.dies_at: int | None = None

    async def catalogue(self, http: Any, cursor: dict[str, Any] | None) -> CataloguePage:
        at = 0 if cursor is None else cursor["at"]
        if self.dies_at == at:
            self.dies_at = None
            raise Retry("busy")
        self.pages += 1
        rest = at + 3 < len(self.found)
        return CataloguePage(tuple(self.found[at : at + 3]), {"at": at + 3} if rest else None, len(self.found))


class Followed(Catalogue):
    async def listings_of(self, http: Any, external_id: str) -> list[ListingFound]:
        return [one for one in self.found if one.write_unit == external_id]


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 10)
    return world.open()


class Follower:
    """Runs the steps as the loop does, over the world's own database."""

    def __init__(self, world: World, writer: Writer) -> None:
        self.world = world
        self.writer = writer

    async def reread(self, channel: Any, account_id: int = EBAY) -> following.Run:
        return await following.reread(
            TENANT,
            account_id,
            channel,
            None,
            self.writer,
            Clock(self.world),
            look_every_s=0.01,  # type: ignore[arg-type]
        )

    async def hints(self, channel: Any, account_id: int = EBAY) -> int:
        return await following.follow_hints(TENANT, account_id, channel, None, self.writer, Clock(self.world))  # type: ignore[arg-type]


class Through:
    """The writer's `do` on the store that the world holds open."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def do(self, step: Any) -> Any:
        await asyncio.sleep(0)
        with transaction(self.store) as tx:
            return step(tx)


@pytest.fixture
async def follower(world: World) -> AsyncIterator[Follower]:
    yield Follower(world, Through(world.store))  # type: ignore[arg-type]


def states(world: World) -> dict[str, str]:
    return dict(world.rows("SELECT external_id, state FROM outlet WHERE account_id = :a ORDER BY external_id", a=EBAY))


MANY = [listing(f"N{n}") for n in range(7)]


class TestNight:
    async def test_new_listings_are_linked_and_their_orders_booked_while_live(
        self, world: World, follower: Follower
    ) -> None:
        with transaction(world.store) as tx:
            tx.run(
                "INSERT INTO item (tenant_id, sku, title, variant_id, item_id) VALUES (1, 'CUP', 'Cup', 'v', 'item-CUP')"
            )
        world.hear(EBAY, order("E-1", world.now, CUP=1))
        assert world.order(EBAY, "E-1") == "UNLINKED"
        run = await follower.reread(Catalogue(listing("MUG"), listing("CUP")))
        assert (run.read, run.total, run.new, run.linked, run.booked, run.done) == (2, 2, 1, 1, 1, True)
        assert world.order(EBAY, "E-1") != "UNLINKED"
        assert world.value("SELECT state FROM account WHERE account_id = :a", a=EBAY) == "LIVE"
        assert world.value(
            "SELECT COUNT(*) FROM dirty_listing d JOIN outlet o ON o.outlet_id = d.outlet_id WHERE o.external_id = 'CUP'"
        )

    async def test_a_reading_that_was_interrupted_goes_on_where_it_stopped(
        self, world: World, follower: Follower
    ) -> None:
        channel = Catalogue(listing("MUG"), *MANY)
        channel.dies_at = 6
        with pytest.raises(Retry):
            await follower.reread(channel)
        assert world.rows("SELECT failures, problem FROM upkeep WHERE name = 'catalogue'") == [(1, "busy")]
        world.tick(600)
        run = await follower.reread(channel)
        assert (channel.pages, run.read, run.done) == (3, 8, True)
        assert world.rows("SELECT failures, problem FROM upkeep WHERE name = 'catalogue'") == [(0, "")]

    async def test_a_kill_between_pages_loses_none(self, world: World, follower: Follower) -> None:
        channel = Catalogue(listing("MUG"), *MANY)
        real, told = follower.writer.do, 0

        async def dies(step: Any) -> Any:
            nonlocal told
            told += 1
            if told == 3:  # 1: begin, 2: the first page
                raise ZeroDivisionError
            return await real(step)

        follower.writer.do = dies  # type: ignore[method-assign]
        with pytest.raises(ZeroDivisionError):
            await follower.reread(channel)
        follower.writer.do = real  # type: ignore[method-assign]
        run = await follower.reread(channel)
        assert (run.read, run.done) == (8, True)
        assert set(states(world)) == {"MUG", *(one.outlet_external_id for one in MANY)}

    async def test_what_two_nights_do_not_show_is_gone_and_may_come_back(
        self, world: World, follower: Follower
    ) -> None:
        both, one = Catalogue(listing("MUG"), listing("CUP")), Catalogue(listing("CUP"))
        await follower.reread(both)
        world.tick(86_400)
        await follower.reread(one)
        assert states(world)["MUG"] == "live"  # one silence is weak
        world.tick(86_400)
        await follower.reread(one)
        assert states(world) == {"CUP": "live", "MUG": "gone"}
        outlet = world.outlet(EBAY, "MUG")
        assert world.rows("SELECT sku FROM link WHERE outlet_id = :o", o=outlet) == [("MUG",)]
        world.tick(86_400)
        await follower.reread(both)
        assert states(world)["MUG"] == "live"
        assert world.value("SELECT reread FROM dirty_listing WHERE outlet_id = :o", o=outlet) == 1

    async def test_a_catalogue_that_shrank_is_looked_at_by_a_person(self, world: World, follower: Follower) -> None:
        names = [listing(f"X{n:02}") for n in range(20)]
        await follower.reread(Catalogue(listing("MUG"), *names))
        for _ in range(3):
            world.tick(86_400)
            await follower.reread(Catalogue(listing("MUG")))
        assert set(states(world).values()) == {"live"}
        assert world.tasks("catalogue_shrank") == ["catalogue_shrank"]
        await follower.reread(Catalogue(listing("MUG"), *names))
        assert world.tasks("catalogue_shrank") == []

    async def test_the_same_page_twice_ends_the_reading(self, world: World, follower: Follower) -> None:
        class Loop(Catalogue):
            async def catalogue(self, http: Any, cursor: dict[str, Any] | None) -> CataloguePage:
                return CataloguePage((listing("MUG"),), {"at": 1}, None)

        with pytest.raises(Park):
            await follower.reread(Loop())


class TestHints:
    async def test_many_hints_are_one_read(self, world: World, follower: Follower) -> None:
        for _ in range(5):
            world.hear(EBAY, CatalogueHint("CUP"))
        channel = Followed(listing("MUG"), listing("CUP"))
        assert await follower.hints(channel) == 0  # the rest may still come
        world.tick(3)
        assert await follower.hints(channel) == 1
        assert states(world)["CUP"] == "live"
        assert world.value("SELECT COUNT(*) FROM listing_hint") == 0

    async def test_an_ended_listing_gives_its_slot_back_and_takes_it_up_again(
        self, world: World, follower: Follower
    ) -> None:
        outlet = world.outlet(EBAY, "MUG")
        for state in ("ended", "live"):
            with transaction(world.store) as tx:
                tx.run("DELETE FROM dirty_listing WHERE outlet_id = :o", o=outlet)
            world.hear(EBAY, CatalogueHint("MUG"))
            world.tick(3)
            await follower.hints(Followed(listing("MUG", state=state)))
            assert states(world)["MUG"] == state
            assert world.value("SELECT COUNT(*) FROM dirty_listing WHERE outlet_id = :o", o=outlet) == 1

    async def test_silence_twice_is_gone(self, world: World, follower: Follower) -> None:
        world.hear(EBAY, CatalogueHint("MUG", deleted=True))
        world.tick(3)
        await follower.hints(Followed())
        assert states(world)["MUG"] == "live"
        world.tick(60)
        await follower.hints(Followed())
        assert states(world)["MUG"] == "gone"

    async def test_a_renamed_listing_keeps_its_link_and_asks(self, world: World, follower: Follower) -> None:
        world.hear(EBAY, CatalogueHint("MUG"))
        world.tick(3)
        await follower.hints(Followed(listing("MUG", sku="MUG-BLUE")))
        assert world.tasks("listing_renamed") == ["listing_renamed"]
        assert world.rows("SELECT sku FROM link WHERE outlet_id = :o", o=world.outlet(EBAY, "MUG")) == [("MUG",)]

    async def test_a_channel_that_cannot_read_one_reads_all_sooner(self, world: World, follower: Follower) -> None:
        with transaction(world.store) as tx:
            following.plan_next(tx, TENANT, EBAY, world.now + following.NIGHT_US)
            hints.want(tx, TENANT, EBAY, "CUP", world.now)
        world.tick(3)
        assert await follower.hints(Catalogue()) == 1
        assert world.value("SELECT due_at FROM upkeep WHERE name = 'catalogue'") == world.now

    async def test_a_failed_read_is_tried_again_later(self, world: World, follower: Follower) -> None:
        class Busy(Followed):
            async def listings_of(self, http: Any, external_id: str) -> list[ListingFound]:
                raise Retry("busy", wait_s=40)

        world.hear(EBAY, CatalogueHint("MUG"))
        world.tick(3)
        await follower.hints(Busy())
        world.tick(30)
        assert await follower.hints(Followed(listing("MUG"))) == 0
        world.tick(11)
        assert await follower.hints(Followed(listing("MUG"))) == 1


def variant(sku: str, item: str | None = None, **more: Any) -> ListingFound:
    extra = {"item_id": item or f"item-{sku}", "variant_id": f"variant-{sku}", "product_id": "product-1"}
    return ListingFound(
        f"{extra['item_id']}|L1", extra["item_id"], (f"variant:{sku}",), sku, sku, 1, extra=extra, **more
    )


class TestShop:
    def keep(self, world: World, *found: ListingFound) -> shop.Kept:
        with transaction(world.store) as tx:
            return shop.keep_variants(tx, TENANT, SHOP, found, world.now)

    def test_a_new_sku_links_the_listings_that_waited_and_is_read(self, world: World) -> None:
        world.list(EBAY, "CUP", None)
        world.hear(EBAY, order("E-1", world.now, CUP=1))
        kept = self.keep(world, variant("MUG"), variant("CUP"))
        assert (kept.new, kept.linked, kept.booked) == (1, 1, 1)
        assert world.rows("SELECT DISTINCT sku FROM hub_level WHERE wanted = 1") == [("CUP",)]

    def test_a_renamed_sku_keeps_our_key(self, world: World) -> None:
        self.keep(world, variant("MUG-2", "item-MUG"))
        assert world.rows("SELECT sku, item_id, deleted FROM item") == [("MUG", "item-MUG", 0)]
        assert world.tasks("hub_sku_renamed") == ["hub_sku_renamed"]
        self.keep(world, variant("MUG"))
        assert world.tasks("hub_sku_renamed") == []

    def test_a_sku_given_to_a_second_variant_is_refused(self, world: World) -> None:
        self.keep(world, variant("MUG", "item-other"))
        assert world.rows("SELECT item_id FROM item WHERE sku = 'MUG'") == [("item-MUG",)]
        assert world.tasks("duplicate_sku") == ["duplicate_sku"]

    def test_a_deleted_sku_is_told_0_elsewhere(self, world: World) -> None:
        assert world.offer(EBAY, "MUG") == 10
        with transaction(world.store) as tx:
            missing = shop.missing_items(tx, TENANT, set())
            assert shop.delete_items(tx, TENANT, SHOP, missing, world.now) == 1
        assert world.offer(EBAY, "MUG") == 0
        assert world.tasks("hub_deleted") == ["hub_deleted"]

    def test_what_the_shop_keeps_about_a_product_is_kept_here(self, world: World) -> None:
        facts = HubFacts(
            "Kiln", "Tableware", ("kitchen", "Sale"), Money(750, "EUR"), Money(2400, "EUR"), "4012345678901"
        )
        self.keep(world, variant("MUG", facts=facts), variant("CUP"))
        columns = "vendor, product_type, tags, cost_minor, cost_currency, compare_at_minor, barcode"
        assert world.rows(f"SELECT {columns} FROM item ORDER BY sku") == [
            ("", "", "[]", None, None, None, ""),
            ("Kiln", "Tableware", '["kitchen","Sale"]', 750, "EUR", 2400, "4012345678901"),
        ]
        mug = ItemFacts("MUG", ("kitchen", "Sale"), "Kiln", "Tableware")
        with transaction(world.store) as tx:
            assert items.facts_of(tx, TENANT, ["MUG", "NEW"]) == {"MUG": mug, "NEW": ItemFacts("NEW")}
            for goods, value in (("tag", "SALE"), ("vendor", "kiln "), ("type", "tableware"), ("sku", "MUG")):
                assert items.skus_of(tx, TENANT, Selector(goods=goods, value=value)) == ["MUG"]
            assert items.skus_of(tx, TENANT, Selector()) is None
            told = {
                "MUG": msgspec.structs.replace(mug, tags=("kitchen",)),
                "CUP": ItemFacts("CUP"),
                "NEW": ItemFacts("NEW", (), "Kiln"),
            }
            assert items.changed(tx, TENANT, told) == ["MUG"]

    def test_an_untracked_sku_asks(self, world: World) -> None:
        self.keep(world, variant("MUG", untracked=True))
        assert world.tasks("hub_untracked") == ["hub_untracked"]

    def test_a_closed_location_counts_no_more(self, world: World) -> None:
        places = [HubLocation(one, one, one == "L2", True, False) for one in ("L1", "L2")]
        with transaction(world.store) as tx:
            shop.keep_places(tx, TENANT, places, world.now)
        assert world.offer(EBAY, "MUG") == 0
        assert world.value("SELECT COUNT(*) FROM dirty_listing") > 0


class TestLargeShelf:
    """A product changes with nearly every sale: its hint must not cost more the more the shop sells."""

    def steps(self, folder: Path, shelf: int) -> dict[str, int]:
        """Return how many hundreds of steps SQLite takes for a hint of each kind on a shelf of so many SKUs."""
        store = SqliteStore(str(folder / f"{shelf}.db"))
        store.open()
        world = World(store)
        names = [f"S{n}" for n in range(shelf)]
        with transaction(store) as tx:
            hub.keep_items(tx, TENANT, SHOP, [self.of_product(name) for name in names], world.now)
            following.keep_found(tx, TENANT, EBAY, [listing(name) for name in names], world.now)
            links.match_by_sku(tx, TENANT, EBAY, world.now)
        new = self.of_product("NEW", "product-S7")
        told = {
            "product": (SHOP, "product-S7", [self.of_product("S7")]),
            "item": (SHOP, "item-S8", [self.of_product("S8")]),
            "new variant": (SHOP, "product-S7", [self.of_product("S7"), new]),
            "listing": (EBAY, "S9", [listing("S9")]),
        }
        counted = {kind: self.count(world, *of) for kind, of in told.items()}
        store.close()
        return counted

    def of_product(self, sku: str, product: str = "") -> ListingFound:
        one = variant(sku)
        return msgspec.structs.replace(one, extra={**one.extra, "product_id": product or f"product-{sku}"})

    def count(self, world: World, account_id: int, name: str, found: list[ListingFound]) -> int:
        hundreds = 0

        def tell() -> int:
            nonlocal hundreds
            hundreds += 1
            return 0

        with transaction(world.store) as tx:
            hints.want(tx, TENANT, account_id, name, world.now)
            [hint] = hints.due(tx, TENANT, account_id, world.tick(60), 1)
            tx.connection.set_progress_handler(tell, 100)  # type: ignore[attr-defined]
            following._take_hint(tx, TENANT, account_id, account_id == SHOP, hint, found, None, world.now)
            tx.connection.set_progress_handler(None, 0)  # type: ignore[attr-defined]
        return hundreds

    def test_a_hint_costs_the_same_on_a_shelf_ten_times_as_large(self, tmp_path: Path) -> None:
        small, large = self.steps(tmp_path, 300), self.steps(tmp_path, 3000)
        assert all(small.values())
        assert {kind: n for kind, n in large.items() if n > 1.5 * small[kind]} == {}


class TestLocations:
    """A location that opens or closes in the shop changes every number: heard by webhook, not in the night."""

    async def test_a_closed_location_is_read_at_once_and_its_pieces_are_no_longer_offered(
        self, world: World, follower: Follower
    ) -> None:
        wire = Wire("shopify")
        shown = [place.location_id for place in await wire.channel.locations(wire)]  # type: ignore[attr-defined]
        world.rows("DELETE FROM dirty_listing RETURNING 1")
        world.hear(SHOP, LocationsHint(), LocationsHint())
        assert world.value("SELECT COUNT(*) FROM listing_hint WHERE external_id = :n", n=hints.LOCATIONS) == 1
        world.tick(10)
        assert await self.follow(world, follower, wire) == 1
        places = dict(world.rows("SELECT location_id, active FROM location"))
        assert [one for one, active in places.items() if active] == shown, "ours is not told any more: closed"
        assert world.value("SELECT COUNT(*) FROM listing_hint") == 0

    async def test_a_shop_that_does_not_answer_is_asked_again(self, world: World, follower: Follower) -> None:
        wire = Wire("shopify")
        world.hear(SHOP, LocationsHint())
        world.tick(10)
        wire.market.console("set_shop_status", status=423)
        before = world.rows("SELECT location_id, active FROM location")
        assert await self.follow(world, follower, wire) == 1
        assert world.rows("SELECT location_id, active FROM location") == before
        assert world.rows("SELECT failures, empty FROM listing_hint") == [(1, 0)]
        wire.market.console("set_shop_status", status=None)
        world.tick(3_600)
        assert await self.follow(world, follower, wire) == 1
        assert world.value("SELECT COUNT(*) FROM listing_hint") == 0

    async def follow(self, world: World, follower: Follower, wire: Wire) -> int:
        return await following.follow_hints(TENANT, SHOP, wire.channel, wire, follower.writer, Clock(world))  # type: ignore[arg-type]
