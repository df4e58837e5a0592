"""Strict SKUs are not oversold: exposure, raises, close–count–reopen, the hub held back (SEMANTICS 2.9, 8.6 to 8.8, I15)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.engine import AMAZON, EBAY, ETSY, SHOP, TENANT, World, changed, order
from tests.scenario.fair import MARKETS, Fair

from oneshelf.core.instants import SECOND
from oneshelf.db.sqlite import SqliteStore
from oneshelf.db.store import Store, transaction
from oneshelf.imports import moves
from oneshelf.listings import dirty, risk
from oneshelf.orders import claims
from oneshelf.publish.exposure import exposures, of_slot
from oneshelf.publish.slots import Slot
from oneshelf.publish.strict import Turn, close_or_wait, hold_back, next_turn
from oneshelf.watch.explain import explain


def make_strict(world: World, strict: bool = True) -> None:
    with transaction(world.store) as tx:
        risk.set_strict(tx, TENANT, "MUG", strict, world.now, by="Ada")


def fair(store: Store, seed: int, on_hand: int, *, strict: bool = True) -> Fair:
    return Fair(store, seed, on_hand, make_strict if strict else lambda world: None)


@pytest.mark.parametrize(
    ("believed", "sent", "stored", "unsettled", "until", "complete", "exposure"),
    [
        (5, None, 5, 0, None, None, 5),  # quiet
        (5, 3, 8, 0, None, None, 8),  # in flight, or accepted and not seen: r + q
        (3, None, 3, 8, 100, 99, 8),  # seen, but not every sale before the read is told
        (3, None, 3, 8, 100, None, 8),  # its feed was never read whole
        (3, None, 3, 8, 100, 100, 3),  # settled
        (0, 2, 2, 9, 100, 99, 9),  # a write on top of one that is not settled
        (None, None, 0, 0, None, None, 0),
    ],
)
def test_S8_6_exposure(
    believed: int | None,
    sent: int | None,
    stored: int,
    unsettled: int,
    until: int | None,
    complete: int | None,
    exposure: int,
) -> None:
    assert of_slot(believed, sent, stored, unsettled, until, complete) == exposure


def test_S2_9_the_hub_is_held_back_and_everything_is_dealt_out(store: Store) -> None:
    at = fair(store, 1, 9)
    world = at.world
    assert world.row("MUG") == "9/9/0/0"
    for _ in range(90):
        at.second()
        assert at.promised <= 9 or world.row("MUG") == "9/9/0/0"
    assert world.row("MUG") == "9/2/0/7"
    assert at.shown == {AMAZON: 3, EBAY: 2, ETSY: 2}
    assert at.rest() == []
    assert world.expected("MUG") == 2  # so a read of it is an echo
    with transaction(store) as tx:
        one = exposures(tx, TENANT, ["MUG"], world.now)["MUG"]
        assert (one.k, one.hub, one.total, one.room()) == (9, 2, 9, 0)
        assert hold_back(tx, TENANT, world.now, ["MUG"]) == 0


def test_S2_9_what_the_shop_got_back_whole_is_held_back_again_by_calls_of_its_own(store: Store) -> None:
    at = fair(store, 1, 9)
    for strict in (True, False, True, False):
        make_strict(at.world, strict)
        for _ in range(120):
            at.second()
    sql = "SELECT kind, version, state FROM intent WHERE entity LIKE 'strict:%' ORDER BY intent_no"
    assert at.world.rows(sql) == [
        ("hold", 1, "DONE"),
        ("unhold", 2, "DONE"),
        ("hold", 3, "DONE"),
        ("unhold", 4, "DONE"),
    ]


def test_S2_10_the_shops_number_says_what_is_dealt_out(store: Store) -> None:
    at = fair(store, 1, 9)
    for _ in range(60):
        at.second()
    with transaction(store) as tx:
        shop, amazon, *_ = explain(tx, TENANT, "MUG", now=at.world.now).outlets
    assert shop.ladder is not None and amazon.ladder is not None
    assert (shop.should, shop.shows, shop.state) == (2, 2, "true")
    assert [(term.name, term.amount) for term in shop.ladder.terms] == [
        ("Available", 9),
        ("Dealt out to the other outlets", -7),
    ]
    assert ("Dealt out to the other outlets", -6) in [(term.name, term.amount) for term in amazon.ladder.terms]


def test_S8_6_a_write_that_was_given_up_may_land_yet_and_counts(store: Store) -> None:
    at = fair(store, 1, 9)
    for _ in range(60):
        at.second()
    world = at.world
    outlet = world.outlet(AMAZON, "MUG")

    def exposed() -> int:
        with transaction(store) as tx:
            return exposures(tx, TENANT, ["MUG"], world.now)["MUG"].outlets[outlet]

    assert exposed() == 3
    with transaction(store) as tx:
        tx.run(
            "INSERT INTO attempt (tenant_id, attempt_no, outlet_id, account_id, quantity, started_at, outcome) "
            "VALUES (1, 999, :o, :a, 4, :at, 'UNSEEN')",
            o=outlet,
            a=AMAZON,
            at=world.now,
        )
    assert exposed() == 3 + 4
    world.tick(240 + 12)  # twice Amazon's window after it was taken at the latest
    assert exposed() == 3


def test_S2_9_strict_no_more_gives_the_hub_everything_back(store: Store) -> None:
    at = fair(store, 1, 9)
    for _ in range(60):
        at.second()
    make_strict(at.world, False)
    for _ in range(60):
        at.second()
    assert at.world.row("MUG") == "9/9/0/0"
    assert at.shown == dict.fromkeys(MARKETS, 9)
    assert at.world.value("SELECT COUNT(*) FROM claim WHERE open = 1") == 0


def test_S2_9_more_strict_skus_than_one_look_holds_are_looked_at_in_turn_and_first_those_that_owe(store: Store) -> None:
    world = World(store)
    skus = [f"MUG-{n}" for n in range(7)]
    with transaction(store) as tx:
        tx.many("INSERT INTO item (tenant_id, sku) VALUES (1, ?)", [(sku,) for sku in (*skus, "NOT-STRICT")])
        for sku in skus:
            risk.set_strict(tx, TENANT, sku, True, world.now, by="Ada")
    world.list(EBAY, "MUG-6", {"MUG-6": 1})
    world.list(EBAY, "NOT-STRICT", {"NOT-STRICT": 1})
    with transaction(store) as tx:
        dirty.mark(tx, TENANT, ["MUG-6", "NOT-STRICT"], world.now, "test")
        turns = [next_turn(tx, TENANT, limit=3)]
        while turns[-1].more:
            turns.append(next_turn(tx, TENANT, turns[-1].after, limit=3))
    assert [(sorted(turn.skus), turn.after) for turn in turns] == [
        (["MUG-0", "MUG-1", "MUG-2", "MUG-6"], "MUG-2"),
        (["MUG-3", "MUG-4", "MUG-5", "MUG-6"], "MUG-5"),
        (["MUG-6"], ""),
    ]


def test_S2_9_those_that_are_strict_no_more_have_their_turn_until_nothing_is_held_back(store: Store) -> None:
    at = fair(store, 1, 9)
    for _ in range(60):
        at.second()
    make_strict(at.world, False)
    with transaction(store) as tx:
        assert next_turn(tx, TENANT) == Turn(frozenset({"MUG"}))
        assert next_turn(tx, TENANT, "SOME") == Turn(frozenset({"MUG"}))
    for _ in range(60):
        at.second()
    with transaction(store) as tx:
        assert next_turn(tx, TENANT) == Turn(frozenset())


def test_S2_9_what_was_imported_beside_what_is_held_back_gives_that_back(store: Store) -> None:
    """Found by the simulator: the copy was made while its piece was held back, and the shop stood at -1 for good."""
    at = fair(store, 1, 1)
    for _ in range(60):
        at.second()
    assert at.world.row("MUG") == "1/0/0/1"
    assert at.buy(AMAZON)
    for _ in range(120):
        at.second()
    assert (at.left, at.promised) == (0, 0)
    assert at.world.row("MUG") == "1/0/1/0"
    assert at.rest() == []


def test_I15_what_a_read_showed_below_zero_is_given_back_once(store: Store) -> None:
    """Found by the simulator: an order's hold was given back after its import, and by the read from before that the shop's share too: it
    stood above zero, beside the piece that Amazon still showed."""
    at = fair(store, 1, 1)
    for _ in range(60):
        at.second()
    world = at.world
    world.hub.sell(world.tick(), MUG=1)
    world.hub_news()
    (claim_key,) = [key for (key,) in world.rows("SELECT claim_key FROM claim WHERE claim_key LIKE 'strict:%'")]
    world.rows("UPDATE hub_level SET available = -1, wanted = 0 RETURNING 1")

    def wants() -> int:
        with transaction(store) as tx:
            hold_back(tx, TENANT, world.now, ["MUG"])
        return int(world.value("SELECT want FROM claim WHERE claim_key LIKE 'strict:%'"))

    with transaction(store) as tx:  # something else that was held there is given back
        moves._change_claims(tx, TENANT, [[0, claim_key, "MUG", "L1", -1, ""]], world.now)
    world.rows("UPDATE claim SET held = 1 RETURNING 1")
    assert wants() == 1
    world.rows("UPDATE hub_level SET wanted = 0 RETURNING 1")  # read again, and still below
    assert wants() == 0


def test_I15_nothing_is_given_back_to_a_shop_that_no_read_has_shown_below_zero(store: Store) -> None:
    """Found by the simulator: two pieces had come in and nobody had heard. By our books the shop stood at -1 after its sale; in truth the
    return put a second piece on sale there, beside the one that Amazon still showed."""
    at = fair(store, 1, 1)
    for _ in range(60):
        at.second()
    world = at.world
    assert world.row("MUG") == "1/0/0/1"
    world.hub.cell("MUG", "L1").on_hand += 2
    world.hub.sell(world.tick(), MUG=1)
    world.hub_news()
    with transaction(store) as tx:
        hold_back(tx, TENANT, world.now, ["MUG"])
    assert world.k("MUG") == 0
    assert world.value("SELECT want FROM claim WHERE claim_key LIKE 'strict:%'") == 1
    assert world.value("SELECT wanted FROM hub_level") == 1


def test_S2_9_what_the_shop_had_not_to_hold_back_is_wanted_no_more_when_it_is_sold(store: Store) -> None:
    """Found by the simulator: refused for want of pieces, the claim went on wanting them for good, and took the next ones that came in."""
    at = fair(store, 1, 2)
    world = at.world
    world.hub.sell(world.tick(), MUG=2)  # nobody has told us
    with transaction(store) as tx:
        hold_back(tx, TENANT, world.now, ["MUG"])
    world.run_hub()
    assert world.value("SELECT want FROM claim WHERE claim_key LIKE 'strict:%' AND refused = 1") > 0
    world.hub_news()
    assert world.k("MUG") == 0
    with transaction(store) as tx:
        hold_back(tx, TENANT, world.now, ["MUG"])
    assert world.value("SELECT want FROM claim WHERE claim_key LIKE 'strict:%'") == 0


def test_S2_9_with_one_piece_left_one_outlet_shows_it(store: Store) -> None:
    at = fair(store, 1, 1)
    for _ in range(60):
        at.second()
    assert (at.shown, at.world.row("MUG")) == ({AMAZON: 1, EBAY: 0, ETSY: 0}, "1/0/0/1")


def test_S8_8_a_raise_beside_a_shown_number_closes_counts_and_opens(store: Store) -> None:
    at = fair(store, 1, 9)
    for _ in range(90):
        at.second()
    numbers = []
    at.world.hub.cell("MUG", "L1").on_hand += 4
    at.on_hand += 4
    for _ in range(400):
        at.second()
        if not numbers or numbers[-1] != at.shown[EBAY]:
            numbers.append(at.shown[EBAY])
        assert at.promised <= at.left
    assert numbers == [2, 0, 3]
    assert sum(at.shown.values()) + at.world.hub.cell("MUG", "L1").available == 13
    assert at.rest() == []


def test_S8_7_a_sale_that_nobody_has_told_yet_stops_a_raise(store: Store) -> None:
    """eBay sells its last one unheard; nobody is told a number that counts on it."""
    at = fair(store, 1, 4)
    for _ in range(60):
        at.second()
    assert at.shown == {AMAZON: 1, EBAY: 1, ETSY: 1}
    assert at.buy(EBAY)
    for _ in range(120):
        at.second()
        assert at.promised <= at.left
    assert (at.left, at.promised) == (3, 3)


@pytest.mark.parametrize("waited_s, again_s", [(0, 3), (60, 15), (7_200, 300)])
def test_S8_7_a_number_that_waits_long_is_looked_at_less_often(waited_s: int, again_s: int) -> None:
    slot = Slot(1, AMAZON, "MUG", since_at=1, believed=0)
    assert close_or_wait([slot], 1 + waited_s * SECOND) == set()
    assert slot.wait_until == 1 + (waited_s + again_s) * SECOND


@pytest.mark.parametrize("seed", range(12))
def test_I15_no_write_of_ours_promises_a_piece_twice(sqlite_migrated: Any, tmp_path: Path, seed: int) -> None:
    """Buyers everywhere, news late, writes late, some lost or unanswered: what stands on sale is never more than there is."""
    path = tmp_path / "oneshelf.db"
    shutil.copy(sqlite_migrated, path)
    store = SqliteStore(str(path))
    store.open()
    try:
        at = fair(store, seed, 6 + seed)
        for _ in range(40):
            at.second()
        at.faults = 0.2 if seed % 2 else 0.0
        for _ in range(150):
            if at.chance.random() < 0.15:
                at.buy(at.chance.choice([SHOP, *MARKETS]))
            at.second()
            assert at.promised <= at.left, "\n".join(at.log[-20:])
        at.faults = 0.0
        for _ in range(360):  # a write that nobody answered may land for twice Amazon's window
            at.second()
            assert at.promised <= at.left
        assert at.left >= 0
        assert at.promised == at.left  # and at rest everything is on sale again
        for account_id in MARKETS:
            assert at.shown[account_id] == at.world.offer(account_id, "MUG")
    finally:
        store.close()


def test_the_same_fair_oversells_when_nobody_is_strict(sqlite_migrated: Any, tmp_path: Path) -> None:
    """The twin with the guard off: else the test above would prove nothing."""
    found = 0
    for seed in range(6):
        path = tmp_path / f"{seed}.db"
        shutil.copy(sqlite_migrated, path)
        store = SqliteStore(str(path))
        store.open()
        at = fair(store, seed, 6, strict=False)
        for _ in range(40):
            at.second()
        for _ in range(60):
            if at.chance.random() < 0.5:
                at.buy(at.chance.choice([SHOP, *MARKETS]))
            at.second()
        found += max(0, -at.left)
        store.close()
    assert found > 0


def test_S8_7_what_amazon_has_put_back_itself_is_not_given_back_to_the_shop_too(store: Store) -> None:
    """Found by the simulator: a cancelled order's hold was undone at once, and its pieces stood in the shop beside the same ones there."""
    at = fair(store, 1, 60)
    for second in range(240):
        if second % 10 == 0 and second >= 90:
            assert at.buy(AMAZON if second == 90 else SHOP)
        at.second()
    world = at.world
    placed = world.tick()
    assert at.shown[AMAZON] > 3
    at.shown[AMAZON] -= 3
    pending = order("A-1", placed, paid=False, MUG=3)
    world.hear(AMAZON, pending)
    for _ in range(30):
        at.second()
    assert at.promised <= at.left - 3
    at.shown[AMAZON] += 3  # by itself
    world.hear(AMAZON, changed(pending, world.tick(), cancelled_pieces=3))
    with transaction(store) as tx:
        hold_back(tx, TENANT, world.now, ["MUG"])
    world.run_hub()
    assert at.promised <= at.left
    for _ in range(120):
        at.second()
        assert at.promised <= at.left
    assert at.promised == at.left


def test_S8_7_what_came_back_to_amazon_may_be_sold_again_though_it_shows_nothing(store: Store) -> None:
    """Found by the simulator: its buyer cancelled, Amazon put the piece back itself and sold it again, unheard. Heard of the cancel, and
    reading 0, we told it 1."""
    at = fair(store, 1, 1)
    world = at.world
    while at.shown[AMAZON] == 0 or world.now // SECOND % 30 != 5:
        at.second()
    assert at.buy(AMAZON)
    sold = order("A-1", world.now, paid=False, MUG=1)
    at.unheard.clear()
    world.hear(AMAZON, sold)
    for _ in range(30):
        at.second()
    at.shown[AMAZON], at.sold = 1, 0  # by itself
    cancelled = changed(sold, world.now, cancelled_pieces=1)
    assert at.buy(AMAZON)
    at.unheard[:] = [(world.now + 60 * SECOND, *one[1:]) for one in at.unheard]  # by the next poll
    world.hear(AMAZON, cancelled)
    assert world.k("MUG") == 1
    for _ in range(120):
        at.second()
        assert at.promised <= at.left == 0
    assert at.rest() == []


class TestAtSeveralLocations:
    """The shop sells what all its locations have together: what one lacks takes off what another shows."""

    @pytest.fixture
    def world(self, store: Store) -> World:
        """Five at two locations. One that is held back at L2 was carried to L1, and L2 stands at -1."""
        world = World(store)
        world.item("MUG", L1=4, L2=1)
        make_strict(world)
        world.open()
        with transaction(store) as tx:
            claims.save(tx, TENANT, [claims.ClaimRow(self.KEY, "MUG", "L2", 1, 1, 0, 1, 0, "", world.now, 0, 1)])
        cell = world.hub.cell("MUG", "L2")
        cell.reserved, cell.on_hand = 1, 0
        world.hub.cell("MUG", "L1").on_hand = 5
        for _ in range(4):
            world.read("MUG")
            world.complete()
            world.tick(60)
        assert [world.level("MUG", place)[0] for place in ("L1", "L2")] == [5, 0]
        return world

    KEY = "strict:MUG:L2"

    def wants(self, world: World, ebay_shows: int) -> int:
        """What is to be held back at L2, with these pieces at eBay and none at the others."""
        shown = [(world.outlet(a, "MUG"), a, ebay_shows if a == EBAY else 0) for a in MARKETS]
        with transaction(world.store) as tx:
            tx.many(
                "INSERT INTO slot (tenant_id, outlet_id, account_id, write_unit, believed, verified) VALUES (1, ?, ?, 'MUG', ?, 1) "
                "ON CONFLICT (tenant_id, outlet_id) DO UPDATE SET believed = excluded.believed",
                shown,
            )
            hold_back(tx, TENANT, world.now, ["MUG"])
        return int(world.value("SELECT want FROM claim WHERE claim_key = :k", k=self.KEY))

    def test_I15_nothing_comes_back_where_less_than_nothing_is_while_more_is_on_sale_than_may_be(
        self, world: World
    ) -> None:
        """Found by the simulator: five in the shop and two at a marketplace, of six."""
        assert self.wants(world, ebay_shows=2) == 1
        assert self.wants(world, ebay_shows=0) == 0

    def test_I15_nor_while_another_location_has_more_than_is_explained(self, world: World) -> None:
        """Found by the simulator: what was missing had been carried there, and stood on sale."""
        world.rows("UPDATE hub_level SET odd_since = :now, odd = 7 WHERE location_id = 'L1' RETURNING 1", now=world.now)
        assert self.wants(world, ebay_shows=0) == 1
        world.rows("UPDATE hub_level SET odd_since = NULL, odd = 0 RETURNING 1")
        assert self.wants(world, ebay_shows=0) == 0
