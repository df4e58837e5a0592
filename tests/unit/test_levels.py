"""Reading levels: K is what lies at the locations that count (S0.2, S1.2)."""

from __future__ import annotations

from tests.unit.seeding import NOW, TENANT, entry, location, stock

from oneshelf.core.stock import Level
from oneshelf.db.store import Store, transaction
from oneshelf.stock import ledger
from oneshelf.stock.levels import available_of, levels_of, locations_in_scope


def test_S1_2_K_sums_the_locations_in_scope_and_may_be_negative(store: Store) -> None:
    with transaction(store) as tx:
        location(tx, "L1")
        location(tx, "L2")
        stock(tx, 4, "MUG", "L1")
        stock(tx, 2, "MUG", "L2")
        ledger.post(tx, TENANT, [entry("commit:1", "MUG", "L2", committed=9)], NOW)
        assert available_of(tx, TENANT, ["MUG"]) == {"MUG": -3}


def test_S0_2_a_location_that_is_closed_out_of_scope_or_unknown_does_not_count(store: Store) -> None:
    with transaction(store) as tx:
        location(tx, "L1")
        location(tx, "closed", active=0)
        location(tx, "store window", in_scope=0)
        for place, pieces in [("L1", 1), ("closed", 10), ("store window", 100), ("unheard of", 1_000)]:
            stock(tx, pieces, "MUG", place)
        assert available_of(tx, TENANT, ["MUG"]) == {"MUG": 1}
        assert len(levels_of(tx, TENANT, ["MUG"])) == 4  # levels are kept everywhere, in scope or not


def test_a_sku_without_a_level_has_nothing(store: Store) -> None:
    with transaction(store) as tx:
        location(tx, "L1")
        stock(tx, 4, "MUG")
        assert available_of(tx, TENANT, ["MUG", "HAT"]) == {"MUG": 4, "HAT": 0}
        assert available_of(tx, TENANT, []) == {}
        assert levels_of(tx, TENANT, ["HAT"]) == {}


def test_all_four_subtractions(store: Store) -> None:
    with transaction(store) as tx:
        location(tx, "L1")
        moved = entry("open:1", on_hand=20, committed=3, reserved=4, foreign_reserved=2, unavailable=5, incoming=50)
        ledger.post(tx, TENANT, [moved], NOW)
        assert available_of(tx, TENANT, ["MUG"]) == {"MUG": 8}
        assert levels_of(tx, TENANT, ["MUG"]) == {
            ("MUG", "L1"): Level(20, 3, 4, foreign_reserved=2, unavailable=5, incoming=50)
        }


def test_locations_come_most_important_first(store: Store) -> None:
    with transaction(store) as tx:
        location(tx, "b", priority=1)
        location(tx, "c", priority=0)
        location(tx, "a", priority=1)
        location(tx, "closed", active=0)
        assert locations_in_scope(tx, TENANT) == ["c", "a", "b"]


def test_I20_tenants_share_no_levels(store: Store) -> None:
    with transaction(store) as tx:
        location(tx, "L1")
        location(tx, "L1", tenant_id=2)
        stock(tx, 4)
        stock(tx, 7, tenant_id=2)
        assert available_of(tx, 1, ["MUG"]) == {"MUG": 4}
        assert available_of(tx, 2, ["MUG"]) == {"MUG": 7}
        assert locations_in_scope(tx, 3) == []
