"""Is it true, and was it: the proof that no order is lost, drift by cause, what was known at a moment."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.scenario.engine import AMAZON, CAN, CHANNELS, EBAY, ETSY, SHOP, TENANT, FactParser, World, order

from oneshelf.channels.contract import Cursor, NoAnswer, Page, RawMessage
from oneshelf.core.facts import BuyerSeen, Fact, OrderSeen
from oneshelf.core.ids import ChannelName
from oneshelf.core.instants import SECOND, from_us, instant_of, iso
from oneshelf.customers import merging
from oneshelf.db.journal import note, open_task
from oneshelf.db.store import Store, transaction
from oneshelf.publish.resting import FOUGHT
from oneshelf.watch import drift, proof, time_travel
from oneshelf.watch.check import Checked
from oneshelf.watch.time_travel import NotThen

MINUTE, DAY = 60 * SECOND, 86_400 * SECOND


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 10)
    world.item("CUP", L1=2, L2=1)
    return world.open()


class Lister(FactParser):
    """A channel that lists these orders; two a page."""

    def __init__(self, account_id: int, orders: list[OrderSeen], *, answers: bool = True) -> None:
        self.name, self.can = ChannelName(CHANNELS[account_id]), CAN[account_id]
        self._orders = orders
        self._answers = answers

    async def fetch(self, http: Any, cursor: Cursor, now: Any) -> Page:
        if not self._answers:
            raise NoAnswer("timed out", sent=True)
        start = 0 if cursor.run is None else int(cursor.run["at"])
        some: list[Fact] = list(self._orders[start : start + 2])
        body = msgspec.json.encode(some)
        message = RawMessage(topic="orders", body=body, headers={}, delivery_key=f"page-{start}", fetched_at=from_us(0))
        after = {"at": start + 2} if start + 2 < len(self._orders) else None
        return Page((message,), Cursor(cursor.since, after))


class At:
    """A clock that stands at the world's moment."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> Any:
        return from_us(self._world.now)


class Inline:
    """A writer that carries a step out where it is asked to: for stories without loops."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def do(self, step: Any) -> Any:
        with transaction(self._world.store) as tx:
            return step(tx)


async def prove(world: World, *listers: tuple[int, Lister], days: int = 2) -> proof.Proof:
    checked = [Checked(account_id, one, None, world.now - 30 * DAY) for account_id, one in listers]  # type: ignore[arg-type]
    return await proof.prove(TENANT, checked, Inline(world), At(world), days=days)  # type: ignore[arg-type]


class TestProof:
    async def test_I4_every_order_of_a_channel_ends_somewhere_with_a_reason(self, world: World) -> None:
        bought = [
            order("paid", world.now, MUG=1),
            order("unpaid", world.now, paid=False, MUG=1),
            order("called-off", world.now, cancelled=True, MUG=1),
            order("unlinked", world.now, POT=1),
            order("waits", world.now, MUG=1),
        ]
        for one in bought[:-1]:
            world.hear(AMAZON, one)
        world.run_hub()
        world.hear(AMAZON, bought[-1])
        world.complete()
        world.tick(60)
        found = await prove(world, (AMAZON, Lister(AMAZON, bought)))
        (row,) = found.days
        assert (row.there, row.stored, row.imported, row.lost_in_all, row.not_listed) == (5, 5, 1, 0, 0)
        assert row.waiting == {"a listing of it is not linked": 1, "its import is under way": 1, "not paid yet": 1}
        assert row.ignored == {"cancelled before it was imported": 1}
        assert found.proved and row.stored == row.imported + sum(row.waiting.values()) + sum(row.ignored.values())

    async def test_I4_an_order_that_is_listed_and_not_kept_is_lost_by_name(self, world: World) -> None:
        world.complete()
        kept, lost = order("kept", world.now - MINUTE, MUG=1), order("lost", world.now - MINUTE, MUG=1)
        world.hear(EBAY, kept)
        found = await prove(world, (EBAY, Lister(EBAY, [kept, lost])))
        (row,) = found.days
        assert (found.proved, row.holds, row.lost, row.stored, row.there) == (False, False, ["lost"], 1, 2)

    async def test_I4_an_order_that_our_poll_has_yet_to_hear_of_is_not_judged(self, world: World) -> None:
        world.complete()
        young = order("young", world.now + SECOND, MUG=1)
        world.tick(5)
        found = await prove(world, (EBAY, Lister(EBAY, [young])))
        assert (found.proved, found.days[0].too_young, found.days[0].there) == (True, 1, 0)

    async def test_a_channel_that_does_not_answer_is_no_proof(self, world: World) -> None:
        found = await prove(world, (ETSY, Lister(ETSY, [], answers=False)))
        assert (found.proved, found.unread) == (False, {"4 etsy": "timed out"})

    async def test_days_stand_apart_and_what_the_channel_lists_no_more_is_told(self, world: World) -> None:
        today, before = order("today", world.now, MUG=1), order("before", world.now - DAY, MUG=1)
        for one in (today, before, order("hidden", world.now, MUG=1)):
            world.hear(EBAY, one)
        world.run_hub()
        world.complete()
        found = await prove(world, (EBAY, Lister(EBAY, [today, before])))
        assert [(row.day, row.there, row.not_listed) for row in found.days] == [
            ("2026-11-19", 1, 0),
            ("2026-11-20", 1, 1),
        ]
        assert [(row.day, row.there) for row in (await prove(world, (EBAY, Lister(EBAY, [before])), days=1)).days] == [
            ("2026-11-20", 0)
        ]
        with pytest.raises(ValueError, match="say 1 to 90"):
            await prove(world, days=91)


class TestDrift:
    def report(self, world: World) -> drift.DriftReport:
        with transaction(world.store) as tx:
            return drift.drift_report(tx, TENANT, world.now - DAY, world.now + 1)

    def test_S9_4_an_edit_in_the_shop_and_a_fallen_listing_are_told_apart(self, world: World) -> None:
        assert (self.report(world).counted, self.report(world).open_now) == ([], [])
        world.hub.cell("MUG", "L1").on_hand -= 2
        world.read("MUG")
        [open_one] = self.report(world).open_now
        assert (open_one.channel, open_one.subject, open_one.pieces) == ("shopify", "MUG", -2)
        world.missed_at(ETSY, "CUP", 1)
        world.tick(600)
        world.complete()
        world.read_wanted()
        found = {(one.cause, one.channel): (one.times, one.pieces) for one in self.report(world).counted}
        assert found == {("hub_edit", "shopify"): (1, -2), ("fallen", "etsy"): (1, 1)}
        assert self.report(world).open_now == []
        assert dict(self.report(world).most) == {"MUG": 1, "CUP": 1}

    def test_a_sale_that_a_number_showed_first_is_no_drift(self, world: World) -> None:
        sold = order("E-1", world.now, MUG=1)
        world.tick(5)
        world.missed_at(EBAY, "MUG", 1)
        world.hear(EBAY, sold)
        assert (self.report(world).counted, self.report(world).sales_heard_by_number) == ([], 1)

    def test_who_writes_against_us_is_named(self, world: World) -> None:
        outlet_id = world.outlet(EBAY, "MUG")
        with transaction(world.store) as tx:
            note(
                tx,
                TENANT,
                world.now,
                "reconcile",
                "Drift +: a listing showed more than any order explains",
                f"outlet:{outlet_id}",
                shown=9,
                listings=3,
            )
            open_task(tx, TENANT, world.now, FOUGHT, f"outlet:{outlet_id}", "Somebody writes")
        found = [(one.cause, one.channel, one.times, one.pieces) for one in self.report(world).counted]
        assert found == [("fought_over", "ebay", 1, 0), ("raised", "ebay", 1, 3)]


class TestTimeTravel:
    def test_a_skus_levels_at_any_moment_are_the_ledgers_of_then(self, world: World) -> None:
        opened = world.now
        world.tick(60)
        world.hear(EBAY, order("E-1", world.now, CUP=2))
        sold = world.now
        world.tick(60)

        def then(at: int) -> time_travel.StockThen:
            with transaction(world.store) as tx:
                return time_travel.stock_at(tx, TENANT, "CUP", at)

        assert (then(opened).available, then(sold - 1).available, then(sold).available) == (3, 3, 1)
        assert (then(opened).next_entry, then(sold).last_entry, then(sold).next_entry) == (iso(sold), iso(sold), None)
        now = {level.location_id: level.available for level in then(world.now).levels}
        assert now == {place: world.k("CUP", place) for place in ("L1", "L2")}
        with pytest.raises(NotThen, match="its first entry is of"):
            then(opened - DAY)
        with pytest.raises(NotThen, match="none since"), transaction(world.store) as tx:
            time_travel.stock_at(tx, TENANT, "NOTHING", world.now)

    def test_an_order_is_told_as_far_as_it_was_then(self, world: World) -> None:
        placed = world.now
        world.tick(30)
        heard = world.now
        world.hear(EBAY, order("E-1", placed, MUG=2))
        world.tick(30)
        world.run_hub()
        imported = world.now

        def then(at: int) -> time_travel.OrderThen:
            with transaction(world.store) as tx:
                return time_travel.order_at(tx, TENANT, "E-1", at)

        with pytest.raises(NotThen, match="first heard of at"):
            then(placed)
        before, after = then(heard), then(imported)
        assert before.pieces == {"MUG": {"reserved": 0, "committed": 2, "shipped": 0}}
        assert (before.hub_order_id, after.hub_order_id is not None) == (None, True)
        assert [one.what for one in before.happened][:3] == ["placed", "booked", "first heard of"]
        assert "import: done" in [one.what for one in after.happened] and "import: done" not in [
            one.what for one in before.happened
        ]
        with pytest.raises(NotThen, match="E-9 was not known"), transaction(world.store) as tx:
            time_travel.order_at(tx, TENANT, "E-9", world.now)

    def test_a_listing_is_told_as_far_as_it_was_proved_then(self, world: World) -> None:
        outlet_id = world.outlet(EBAY, "MUG")
        sent = world.now
        world.rows(
            "INSERT INTO attempt (tenant_id, attempt_no, outlet_id, account_id, quantity, generation, started_at, accepted_at, seen_at, "
            "outcome) VALUES (1, 1, :o, :a, 7, 1, :s, :acc, :seen, 'SEEN') RETURNING 1",
            o=outlet_id,
            a=EBAY,
            s=sent,
            acc=sent + 2 * SECOND,
            seen=sent + 5 * SECOND,
        )
        world.tick(30)
        world.hear(EBAY, order("E-1", world.now, MUG=2))

        def then(at: int) -> tuple[int | None, int, int | None, str]:
            with transaction(world.store) as tx:
                found = time_travel.listing_at(tx, TENANT, outlet_id, at)
            return found.seen, found.sold_since, found.told, found.told_state

        assert then(sent - 1) == (None, 0, None, "")
        assert then(sent) == (None, 0, 7, "sent")
        assert then(sent + 3 * SECOND) == (None, 0, 7, "accepted")
        assert then(sent + 6 * SECOND) == (7, 0, 7, "visible")
        assert then(world.now) == (7, 2, 7, "visible")
        with pytest.raises(NotThen, match="999 was not known"), transaction(world.store) as tx:
            time_travel.listing_at(tx, TENANT, 999, sent)


def test_a_moment_is_written_as_people_write_it() -> None:
    assert instant_of("2026-11-29") == instant_of("2026-11-29T00:00") == instant_of("2026-11-29T01:00+01:00")
    with pytest.raises(ValueError, match="is no time"):
        instant_of("yesterday")


def test_a_customer_is_told_as_they_were_known_then(world: World) -> None:
    jane = BuyerSeen(channel_buyer_id="7", name="Jane Doe", email="jane@x.com")

    def buys(account_id: int, order_id: str, buyer: BuyerSeen) -> int:
        seen = msgspec.structs.replace(order(order_id, world.now, MUG=1), buyer=buyer)
        world.hear(account_id, seen)
        return world.tick(60) - 60 * SECOND

    def then(customer_no: int, at: int) -> time_travel.CustomerThen:
        with transaction(world.store) as tx:
            return time_travel.customer_at(tx, TENANT, customer_no, at)

    first = buys(SHOP, "1001", jane)
    second = buys(ETSY, "R-1", jane)
    buys(EBAY, "E-1", BuyerSeen(channel_buyer_id="9", name="J. Doe", email="other@x.com"))
    with transaction(world.store) as tx:
        merging.merge(tx, TENANT, 2, 1, world.now, by="Ada")
    merged = world.tick(1)
    assert (then(1, first).purchases, then(1, first).stage, then(1, first).profiles) == (1, "new", [1])
    assert (then(1, second).per_channel, then(1, second).stage) == ({"etsy": 1, "shopify": 1}, "active")
    assert (then(1, merged - 3 * SECOND).purchases, then(1, merged).purchases, then(2, merged).profiles) == (
        2,
        3,
        [1, 2],
    )
    assert then(1, merged).money == [time_travel.SpentThen("EUR", 3, 3000)]
    with pytest.raises(NotThen, match="first known at"):
        then(1, first - 120 * SECOND)
    with pytest.raises(NotThen, match="Customer 99 was not known"):
        then(99, merged)
