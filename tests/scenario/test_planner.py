"""Offers leave to the other channels what they may sell before we hear of it (SEMANTICS 2, 3), through the real database."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.scenario.engine import AMAZON, CAN, EBAY, ETSY, SHOP, TENANT, World, order

from oneshelf.core.instants import SECOND
from oneshelf.core.pace import DAY
from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import Tx
from oneshelf.listings import announced, policy, risk
from oneshelf.publish import ticking
from oneshelf.publish.numbers import numbers_of
from oneshelf.publish.planner import plan_skus, windows_of
from oneshelf.watch.explain import explain


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 9)
    world.open()
    world.complete()
    world.wake()
    return world


def sell(
    world: World, account_id: int, count: int, *, every_s: float = 1.0, name: str = "MUG", pieces: int = 1
) -> None:
    for _ in range(count):
        world.tick(every_s)
        number = world.value("SELECT COUNT(*) FROM orders")
        world.hear(account_id, order(f"O-{number}", world.now, **{name: pieces}))


def in_tx(world: World, step: Any) -> Any:
    with transaction(world.store) as tx:
        return step(tx)


def v_of(world: World, account_id: int, name: str = "MUG", sku: str = "MUG") -> float:
    """Pieces a day that an outlet is taken to sell."""
    planned = in_tx(world, lambda tx: plan_skus(tx, TENANT, [sku], {sku: 9}, world.now))
    if account_id == SHOP:
        return planned.hub[sku].v * 86_400
    seller = planned.sellers.get((world.outlet(account_id, name), sku))
    return 0.0 if seller is None else seller.v * 86_400


def rule(world: World, account_id: int, sku: str, **wanted: Any) -> None:
    in_tx(world, lambda tx: policy.set_rule(tx, TENANT, account_id, sku, world.now, by="Ada", **wanted))


class TestPaces:
    def test_S3_5_a_sale_counts_once_however_often_it_is_told(self, world: World) -> None:
        bought = order("A-1", world.now, MUG=2)
        world.hear(AMAZON, bought)
        world.hear(AMAZON, bought)
        world.hear(AMAZON, msgspec.structs.replace(bought, updated_at=None))
        assert v_of(world, AMAZON) == pytest.approx(2.0, rel=0.1)  # two pieces on the first day
        assert v_of(world, EBAY) == 0.0

    def test_S1_11_a_bundle_counts_its_parts_as_often_as_it_takes_them(self, world: World) -> None:
        world.item("CUP", 9)
        world.open_stock()
        world.list(EBAY, "SET", {"MUG": 3, "CUP": 1})
        sell(world, EBAY, 1, name="SET")
        assert v_of(world, EBAY, "SET", "MUG") == pytest.approx(3.0, rel=0.1)
        assert v_of(world, EBAY, "SET", "CUP") == pytest.approx(1.0, rel=0.1)

    def test_S3_5_the_shop_sells_as_one_outlet(self, world: World) -> None:
        sell(world, SHOP, 1)
        assert v_of(world, SHOP) == pytest.approx(1.0, rel=0.1)
        assert world.rows("SELECT outlet_id, account_id FROM pace") == [(0, SHOP)]

    def test_S0_6_history_counts_for_velocity_and_holds_nothing(self, world: World) -> None:
        placed = world.now - 3 * DAY
        seen = order("A-0", placed, MUG=1)
        line = msgspec.structs.replace(seen.lines[0], shipped=1)
        world.hear(AMAZON, msgspec.structs.replace(seen, lines=(line,)))
        assert world.order(AMAZON, "A-0", "standing") == "history"
        assert 0.0 < v_of(world, AMAZON) < 1.0
        assert world.k("MUG") == 9

    def test_S3_5_a_new_sku_is_taken_to_sell_as_its_channels_median(self, world: World) -> None:
        for _ in range(3):
            sell(world, AMAZON, 1)
        world.tick(2 * 86_400)
        world.item("NEW", 5)
        assert v_of(world, AMAZON, "NEW", "NEW") == 0.0
        in_tx(world, lambda tx: ticking.measure(tx, TENANT, world.heard(), world.now))
        in_tx(world, lambda tx: tx.run("UPDATE channel_window SET median = 0.00001 WHERE account_id = :a", a=AMAZON))
        assert v_of(world, AMAZON, "NEW", "NEW") == pytest.approx(0.864)
        assert v_of(world, AMAZON) > 0.864  # what is measured stays
        world.tick(15 * 86_400)
        assert v_of(world, AMAZON, "NEW", "NEW") == 0.0  # not new any more


class TestOffers:
    def test_S2_slow_movers_are_shown_everywhere(self, world: World) -> None:
        sell(world, EBAY, 1)
        assert world.offers("MUG") == (8, 8, 8)

    def test_S3_6_a_rush_is_set_aside_at_once_and_let_go_when_it_is_over(self, world: World) -> None:
        sell(world, SHOP, 3, every_s=5)
        assert world.k("MUG") == 6
        amazon, ebay, etsy = world.offers("MUG")
        # v of the shop: 3 in 300 s. Amazon's window: 5 + 120 s → 1.25 pieces; eBay's 15 s → 0.15; Etsy's 10 s → 0.1.
        assert (amazon, ebay, etsy) == (1, 4, 5)
        assert world.tick(1800) and world.offers("MUG") == (6, 6, 6)

    def test_S2_4_when_the_reserve_leaves_too_little_the_fair_share_is_shown(self, world: World) -> None:
        sell(world, SHOP, 3)
        sell(world, EBAY, 3)
        outlet = world.outlet(AMAZON, "MUG")
        number = in_tx(world, lambda tx: numbers_of(tx, TENANT, AMAZON, [outlet], CAN[AMAZON], world.now))[outlet]
        others = number.why["others"]
        assert number.available == 3
        assert number.offer == max(0, 3 - others["reserve"], others["floor"])
        assert others["reserve"] > 3

    def test_the_hub_is_never_held_back(self, world: World) -> None:
        sell(world, EBAY, 6)
        assert world.k("MUG") == 3
        assert sum(world.offers("MUG")) < 9
        assert world.expected("MUG") == 9  # what the shop shows until it has the copies; nothing is set aside there

    def test_off_switch_per_channel_and_sku(self, world: World) -> None:
        sell(world, SHOP, 3, every_s=5)
        rule(world, AMAZON, "", adaptive=False)
        assert world.offers("MUG") == (6, 4, 5)
        rule(world, 0, "MUG", adaptive=False, safety_stock=1)
        assert world.offers("MUG") == (6, 5, 5)  # Amazon's own rule is narrower: account before SKU
        rule(world, AMAZON, "MUG", adaptive=True)
        assert world.offers("MUG") == (1, 5, 5)

    def test_S2_8_the_cap_that_follows_the_pace(self, world: World) -> None:
        in_tx(world, lambda tx: tx.run("UPDATE stock_level SET on_hand = 500 WHERE sku = 'MUG'"))
        rule(world, ETSY, "MUG", cap_auto=True)
        assert world.offers("MUG") == (500, 500, 20)
        rule(world, ETSY, "MUG", cap_auto=True, cap=7)
        assert world.offer(ETSY, "MUG") == 7

    def test_S2_7_money_moves_the_reserve(self, world: World) -> None:
        sell(world, SHOP, 3, every_s=5)
        assert world.offer(AMAZON, "MUG") == 1
        in_tx(world, lambda tx: risk.set_risk(tx, TENANT, "MUG", (100, 900), world.now, by="Ada"))  # ε 0.1
        assert world.offer(AMAZON, "MUG") == 3
        in_tx(world, lambda tx: risk.set_risk(tx, TENANT, "MUG", None, world.now, by="Ada"))
        in_tx(world, lambda tx: risk.set_risk(tx, TENANT, "", (1, 999_999), world.now, by="Ada"))  # ε 0.001
        assert world.offer(AMAZON, "MUG") == 0

    def test_S2_14_an_account_that_some_locations_serve_shows_what_lies_there(self, store: Store) -> None:
        world = World(store)
        world.item("MUG", L1=6, L2=3)
        world.open()
        in_tx(world, lambda tx: risk.set_locations(tx, TENANT, EBAY, ["L2"], world.now, by="Ada"))
        assert world.offers("MUG") == (9, 3, 9)
        with pytest.raises(LookupError):
            in_tx(world, lambda tx: risk.set_locations(tx, TENANT, EBAY, ["L9"], world.now, by="Ada"))

    def test_I11_what_another_location_owes_is_not_on_offer(self, store: Store) -> None:
        """Two mugs lie where eBay is served from, and the shop has sold one more than lies at the other location."""
        world = World(store)
        world.item("MUG", L1=1, L2=2)
        world.open()
        in_tx(world, lambda tx: risk.set_locations(tx, TENANT, EBAY, ["L2"], world.now, by="Ada"))
        world.hub.sell(world.tick(), "L1", MUG=2)
        world.hub_news()
        assert (world.k("MUG", "L1"), world.k("MUG", "L2")) == (-1, 2)
        assert world.offer(EBAY, "MUG") <= world.k("MUG") == 1

    def test_S1_11_a_bundle_leaves_of_each_part_what_the_others_may_sell(self, world: World) -> None:
        world.item("CUP", 90)
        world.open_stock()
        world.list(AMAZON, "SET", {"MUG": 2, "CUP": 1})
        assert world.offer(AMAZON, "SET") == 4
        sell(world, SHOP, 3, every_s=5)
        assert world.offer(AMAZON, "SET") == 0  # 6 mugs, 5 set aside

    def test_S2_9_a_strict_sku_is_dealt_out(self, world: World) -> None:
        in_tx(world, lambda tx: risk.set_strict(tx, TENANT, "MUG", True, world.now, by="Ada"))
        assert sum(world.offers("MUG")) <= 9
        assert world.offers("MUG") == (3, 2, 2)  # and 2 in the shop
        rule(world, AMAZON, "MUG", adaptive=False)
        assert world.offer(AMAZON, "MUG") == 3  # the off switch does not make a strict SKU loose


class TestWindows:
    def test_S0_8_until_enough_is_measured(self, world: World) -> None:
        found = in_tx(world, lambda tx: windows_of(tx, TENANT, world.now))
        assert [(one.notice // SECOND, one.publish // SECOND) for one in found.values()] == [
            (5, 2),
            (330, 120),
            (5, 10),
            (5, 5),
        ]
        world.planner_tick()
        found = in_tx(world, lambda tx: windows_of(tx, TENANT, world.now))
        assert [(one.notice // SECOND, one.publish // SECOND) for one in found.values()] == [
            (5, 2),
            (5, 120),
            (5, 10),
            (5, 5),
        ]
        silent = [msgspec.structs.replace(one, notified=False) for one in world.heard()]
        in_tx(world, lambda tx: ticking.measure(tx, TENANT, silent, world.now))
        found = in_tx(world, lambda tx: windows_of(tx, TENANT, world.now))
        assert [one.notice // SECOND for one in found.values()] == [20, 330, 50, 90]  # poll + visibility delay

    def _late(self, world: World, account_id: int, seconds: float, count: int, *, every_s: float = 60) -> None:
        for _ in range(count):
            world.tick(every_s)
            number = world.value("SELECT COUNT(*) FROM orders")
            world.hear(account_id, order(f"L-{number}", world.now - int(seconds * SECOND), MUG=1))

    def _notice_s(self, world: World, account_id: int) -> float:
        in_tx(world, lambda tx: ticking.measure(tx, TENANT, world.heard(), world.now))
        return in_tx(world, lambda tx: windows_of(tx, TENANT, world.now))[account_id].notice / SECOND

    def test_S3_1_the_99th_percentile_of_how_late_orders_were_heard(self, world: World) -> None:
        world.tick(3600)
        self._late(world, EBAY, 40, 19)
        world.complete()
        assert self._notice_s(world, EBAY) == 5  # not yet twenty
        self._late(world, EBAY, 40, 1)
        world.complete()
        assert self._notice_s(world, EBAY) == 40
        self._late(world, EBAY, 44, 20)
        world.complete()
        assert self._notice_s(world, EBAY) == 40  # a little more is no news
        self._late(world, EBAY, 3_000, 20)
        world.complete()
        assert self._notice_s(world, EBAY) == 1_800  # its ceiling
        assert self._notice_s(world, ETSY) == 5

    def test_S3_1_what_was_placed_while_the_channel_was_down_is_no_measure(self, world: World) -> None:
        world.tick(3600)
        world.complete()
        self._late(world, EBAY, 40, 30)
        world.complete()
        assert self._notice_s(world, EBAY) == 40
        world.tick(1000)
        assert in_tx(world, lambda tx: ticking.measure(tx, TENANT, world.heard(), world.now)) == []
        self._late(world, EBAY, 900, 30, every_s=1)  # heard when it came back
        world.complete()
        assert self._notice_s(world, EBAY) == 40

    def test_F28_a_channel_whose_clock_is_behind_is_not_unheard(self, world: World) -> None:
        """Found by the simulator: with our clock five minutes fast, every poll moved the window, the offers, and a write."""
        sell(world, EBAY, 1, pieces=6)
        behind = [msgspec.structs.replace(one, ahead_s=-299.0) for one in world.heard()]

        def blind(heard: list[ticking.Heard]) -> set[int]:
            in_tx(world, lambda tx: ticking.measure(tx, TENANT, heard, world.now))
            found = in_tx(world, lambda tx: windows_of(tx, TENANT, world.now))
            return {one.blind // SECOND for one in found.values()}

        world.tick(600)
        world.complete(through=world.now - 299 * SECOND)
        assert blind(behind) == {0}
        assert blind(world.heard()) == {0}  # a new life that has not asked yet goes by what was known
        same = [msgspec.structs.replace(one, ahead_s=0.0) for one in behind]
        assert blind(same) != {0}

    def test_F28_how_late_an_order_was_heard_is_by_the_channels_clock(self, world: World) -> None:
        world.tick(3600)
        self._late(world, EBAY, 340, 20)
        world.complete()
        behind = [msgspec.structs.replace(one, ahead_s=-300.0) for one in world.heard()]
        in_tx(world, lambda tx: ticking.measure(tx, TENANT, behind, world.now))
        assert in_tx(world, lambda tx: windows_of(tx, TENANT, world.now))[EBAY].notice // SECOND == 40

    def test_S3_2_a_channel_that_we_cannot_hear_closes_scarce_skus_by_itself(self, world: World) -> None:
        sell(world, EBAY, 1, pieces=6)
        world.complete()
        world.tick(60)
        world.complete()
        world.planner_tick()
        world.wake()
        assert world.offers("MUG") == (3, 3, 3)
        world.tick(4 * 3600)
        world.complete(SHOP, AMAZON, ETSY)
        skus, marked = world.planner_tick()
        assert skus == ["MUG"] and marked == 2
        amazon, ebay, etsy = world.offers("MUG")
        assert amazon < 3 and etsy < 3  # eBay may have sold since
        assert ebay == 3  # what eBay shows can't be told to it anyway, and its own sales it takes off itself
        world.wake()
        world.tick(30)
        world.complete()
        skus, marked = world.planner_tick()  # it is heard again
        assert skus == ["MUG"] and marked == 2
        assert world.offers("MUG") == (3, 3, 3)
        world.wake()
        world.tick(30)
        world.complete()
        assert world.planner_tick() == ([], 0)


class TestTick:
    def test_S3_8_nothing_happens_nothing_is_planned(self, world: World) -> None:
        skus, marked = world.planner_tick()  # the first of the day: all
        assert (skus, marked) == (["MUG"], 0)
        world.tick(30)
        world.complete()
        assert world.planner_tick() == ([], 0)
        world.tick(86_400)
        world.complete()
        assert world.planner_tick() == (["MUG"], 0)

    def test_S3_8_a_burst_that_ends_opens_again_by_time_alone(self, world: World) -> None:
        world.planner_tick()
        sell(world, SHOP, 3, every_s=5)
        world.wake()
        marks = []
        for _ in range(40):
            world.tick(30)
            world.complete()
            skus, marked = world.planner_tick()
            marks.append(marked)
            world.wake()
            told = dict(world.rows("SELECT account_id, offer FROM slot"))
            assert (told[AMAZON], told[EBAY], told[ETSY]) == world.offers("MUG")  # no step was missed
        assert world.offers("MUG") == (6, 6, 6)
        assert sum(marks) == 3 and skus == []  # below three in 300 s it was over

    def test_I17_what_a_tick_found_is_found_again_if_it_dies_before_it_has_planned(self, world: World) -> None:
        assert world.planner_tick(dies=True) == (["MUG"], 0)  # the night's
        assert world.planner_tick() == (["MUG"], 0)
        sell(world, SHOP, 3, every_s=5)
        world.wake()
        world.tick(300)
        world.complete()
        assert world.planner_tick(dies=True) == (["MUG"], 0)  # its burst is over
        world.tick(30)
        world.complete()
        assert world.planner_tick() == (["MUG"], 3)
        world.tick(30)
        world.complete()
        assert world.planner_tick() == ([], 0)

    def test_I17_a_window_that_moved_is_not_forgotten_if_the_tick_dies(self, world: World) -> None:
        sell(world, SHOP, 1)
        world.complete()
        world.tick(3600)
        world.complete()
        world.planner_tick()
        in_tx(world, lambda tx: tx.run("UPDATE channel_window SET publish = publish * 9 WHERE account_id = :a", a=EBAY))
        assert world.planner_tick(dies=True) == (["MUG"], 0)  # measured anew, it is another
        assert world.planner_tick()[0] == ["MUG"]
        assert world.planner_tick()[0] == []

    def test_S3_7_an_announced_sale_from_its_windows_before_the_start_until_its_end(self, world: World) -> None:
        sell(world, SHOP, 3, every_s=400)
        world.complete()
        world.planner_tick()
        world.wake()
        assert world.offers("MUG") == (6, 6, 6)
        start = (world.now // SECOND // 30 + 40) * 30 * SECOND
        said = in_tx(
            world,
            lambda tx: announced.announce(
                tx, TENANT, "Friday", ["MUG"], start, start + 600 * SECOND, 500.0, world.now, by="Ada"
            ),
        )
        assert said == 1
        seen: dict[int, tuple[int, int, int]] = {}
        while world.now < start + 700 * SECOND:
            world.tick(30)
            world.complete()
            world.planner_tick()
            world.wake()
            seen[(world.now - start) // SECOND] = told = tuple(
                offer for (offer,) in world.rows("SELECT offer FROM slot ORDER BY account_id")
            )
            assert told == world.offers("MUG")
        opened = [at for at, told in seen.items() if told != (6, 6, 6)]
        assert -130 <= min(opened) < -90  # Amazon's 125 s before it
        assert 560 <= max(opened) < 600

    def test_S3_7_a_sale_that_makes_no_sense_is_refused(self, world: World) -> None:
        for skus, start, end, factor in (
            ([], 0, 9, 2.0),
            (["MUG"], world.now + 9, world.now + 9, 2.0),
            (["MUG"], world.now - 9, world.now - 1, 2.0),
            (["MUG"], world.now, world.now + 9, 1.0),
            (["NO"], world.now, world.now + 9, 2.0),
        ):
            with pytest.raises((ValueError, LookupError)), transaction(world.store) as tx:
                announced.announce(tx, TENANT, "x", skus, start, end, factor, world.now, by="Ada")
        assert world.value("SELECT COUNT(*) FROM announced_sale") == 0

    def test_S3_7_called_off_it_is_over(self, world: World) -> None:
        sell(world, SHOP, 3, every_s=400)

        def announce(tx: Tx) -> int:
            return announced.announce(
                tx, TENANT, "Friday", ["MUG"], world.now, world.now + 600 * SECOND, 500.0, world.now, by="Ada"
            )

        sale_no = in_tx(world, announce)
        assert world.offer(AMAZON, "MUG") < 6
        assert in_tx(world, lambda tx: announced.call_off(tx, TENANT, sale_no, world.now, by="Ada")) == ["MUG"]
        assert world.offer(AMAZON, "MUG") == 6
        assert in_tx(world, lambda tx: announced.call_off(tx, TENANT, sale_no, world.now, by="Ada")) is None


worlds = st.fixed_dictionaries(
    {
        "on_hand": st.integers(0, 30),
        "sales": st.lists(st.tuples(st.sampled_from([SHOP, AMAZON, EBAY, ETSY]), st.integers(1, 4)), max_size=8),
        "strict": st.booleans(),
        "adaptive": st.booleans(),
        "safety": st.integers(0, 4),
        "percent": st.none() | st.integers(0, 100),
        "cap": st.none() | st.integers(0, 12),
        "cap_auto": st.booleans(),
        "min_show": st.integers(1, 3),
        "units": st.integers(1, 3),
        "wait_s": st.sampled_from([1, 120, 4_000]),
    }
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(worlds)
def test_S2_10_why_adds_up_in_any_world(sqlite_migrated: Any, tmp_path_factory: Any, w: dict[str, Any]) -> None:
    """Every ladder's terms add up to what the outlet should show; what would change it would; every subtraction has its reason."""
    import shutil

    from oneshelf.db.sqlite import SqliteStore

    path = tmp_path_factory.mktemp("why") / "oneshelf.db"
    shutil.copy(sqlite_migrated, path)
    store = SqliteStore(str(path))
    store.open()
    try:
        world = World(store)
        world.item("MUG", w["on_hand"])
        world.item("CUP", 5)
        pack = world.list(EBAY, "PACK", {"MUG": w["units"]})
        world.list(ETSY, "SET", {"MUG": w["units"], "CUP": 1})
        world.open()
        wanted = {
            "safety_stock": w["safety"],
            "safety_percent": w["percent"],
            "cap": w["cap"],
            "min_show": w["min_show"],
        }
        rule(world, EBAY, "MUG", adaptive=w["adaptive"], cap_auto=w["cap_auto"], **wanted)
        if w["strict"]:
            in_tx(world, lambda tx: risk.set_strict(tx, TENANT, "MUG", True, world.now, by="Ada"))
        for account_id, pieces in w["sales"]:
            sell(world, account_id, 1, pieces=pieces)
        world.tick(w["wait_s"])
        with store.reader() as tx:
            e = explain(
                tx, TENANT, "MUG", now=world.now, can={"etsy": CAN[ETSY], "ebay": CAN[EBAY], "amazon": CAN[AMAZON]}
            )
        assert {line.outlet_id for line in e.outlets} >= {pack}
        for line in e.outlets:
            assert line.ladder is not None
            assert sum(term.amount for term in line.ladder.terms) == line.ladder.offer * line.ladder.units_per_listing
            assert line.should == line.ladder.offer
            assert all(term.reason for term in line.ladder.terms[1:] if term.amount < 0)
            assert len(line.ladder.would_change) <= 3
            if line.outlet_id:
                assert line.should == world.offer(line.account_id, line.external_id)
                assert all(change.offer != line.should for change in line.ladder.would_change)
    finally:
        store.close()
