"""Levels and entries (SEMANTICS 1)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oneshelf.core.stock import Entry, Level, available, oversold

BUCKETS = ("on_hand", "committed", "reserved", "foreign_reserved", "unavailable", "incoming")
changes = st.fixed_dictionaries({bucket: st.integers(-9, 9) for bucket in BUCKETS})


def entry(**buckets: int) -> Entry:
    return Entry(key="k", sku="MUG", location_id="L1", reason="test", **buckets)


def test_S1_2_available_is_on_hand_less_what_is_owed_held_or_not_for_sale() -> None:
    assert Level(on_hand=9, committed=2, reserved=3, unavailable=1, incoming=50, foreign_reserved=3).available == 3
    assert Level(on_hand=1, committed=2).available == -1


def test_S1_3_oversold_is_what_nothing_on_hand_stands_behind() -> None:
    assert [oversold(k) for k in (-2, -1, 0, 3)] == [2, 1, 0, 0]


def test_S1_2_K_is_summed_over_locations_and_one_may_lack_what_another_has() -> None:
    assert available([Level(on_hand=1, committed=2), Level(on_hand=3, unavailable=1)]) == 1
    assert available([]) == 0


@given(st.lists(changes, max_size=12))
def test_I1_I2_a_level_is_the_sum_of_its_entries_and_K_falls_by_what_they_take(each: list[dict[str, int]]) -> None:
    level = Level()
    k = 0
    for buckets in each:
        one = entry(**buckets)
        level.add(one)
        k -= one.takes
        assert level.available == k
    for bucket in BUCKETS:
        assert getattr(level, bucket) == sum(buckets[bucket] for buckets in each)


def test_what_an_entry_takes() -> None:
    assert entry(committed=2).takes == 2
    assert entry(on_hand=-1, committed=-1).takes == 0  # a parcel leaves: K stands still
    assert entry(reserved=-1, committed=1).takes == 0  # paid
    assert entry(on_hand=3).takes == -3
    assert entry(incoming=5).takes == 0
    assert entry(unavailable=1).takes == 1


@given(changes)
def test_an_entry_moves_nothing_only_if_every_bucket_stands_still(buckets: dict[str, int]) -> None:
    assert entry(**buckets).moves_nothing == (not any(buckets.values()))
