"""The ledger's one door (I1, I2, I17): each key once, levels the sum of their entries, facts never refused, decisions guarded."""

from __future__ import annotations

import random

import pytest
from tests.unit.seeding import NOW, TENANT, entry, stock

from oneshelf.core.stock import Entry, Level
from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import Tx
from oneshelf.stock import ledger
from oneshelf.stock.ledger import InsufficientStock
from oneshelf.stock.levels import levels_of

BUCKETS = ("on_hand", "committed", "reserved", "foreign_reserved", "unavailable", "incoming")


def level(tx: Tx, sku: str = "MUG", location_id: str = "L1", tenant_id: int = TENANT) -> Level:
    return levels_of(tx, tenant_id, [sku]).get((sku, location_id), Level())


def test_a_fact_moves_its_level_and_stays_in_the_book(store: Store) -> None:
    with transaction(store) as tx:
        stock(tx, 8)
        assert ledger.post(tx, TENANT, [entry("commit:1", committed=3)], NOW) == ["posted"]
        assert level(tx) == Level(on_hand=8, committed=3)
        assert tx.all("SELECT entry_key, entry_no, on_hand, committed FROM ledger_entry ORDER BY entry_no") == [
            ("open:MUG:L1", 1, 8, 0),
            ("commit:1", 2, 0, 3),
        ]


def test_S1_10_a_sale_is_posted_even_if_nothing_is_there(store: Store) -> None:
    with transaction(store) as tx:
        assert ledger.post(tx, TENANT, [entry("commit:1", committed=2)], NOW) == ["posted"]
        assert level(tx).available == -2


def test_S4_3_a_key_moves_once_however_often_it_is_posted(store: Store) -> None:
    with transaction(store) as tx:
        stock(tx, 8)
        one = entry("commit:1", committed=1)
        assert ledger.post(tx, TENANT, [one, one, entry("commit:2", committed=1)], NOW) == [
            "posted",
            "already_done",
            "posted",
        ]
        assert ledger.post(tx, TENANT, [one], NOW) == ["already_done"]
        assert level(tx).available == 6
    with transaction(store) as tx:
        assert ledger.post(tx, TENANT, [entry("commit:1", committed=7)], NOW) == ["already_done"]
        assert level(tx).available == 6


def test_nothing_to_post_is_nothing_done(store: Store) -> None:
    with transaction(store) as tx:
        assert ledger.post(tx, TENANT, [], NOW) == []
        assert tx.one("SELECT COUNT(*) FROM counter") == (0,)


def test_I20_tenants_share_neither_keys_nor_levels(store: Store) -> None:
    with transaction(store) as tx:
        assert ledger.post(tx, 1, [entry("commit:1", committed=1)], NOW) == ["posted"]
        assert ledger.post(tx, 2, [entry("commit:1", committed=5)], NOW) == ["posted"]
        assert level(tx, tenant_id=1).committed == 1
        assert level(tx, tenant_id=2).committed == 5


def test_one_call_moves_several_skus_and_locations(store: Store) -> None:
    with transaction(store) as tx:
        stock(tx, 5, "MUG", "L1")
        stock(tx, 5, "MUG", "L2")
        moves = [
            entry("transfer:1:from", "MUG", "L1", on_hand=-2),
            entry("transfer:1:to", "MUG", "L2", on_hand=2),
            entry("commit:1", "HAT", "L1", committed=1),
        ]
        ledger.post(tx, TENANT, moves, NOW)
        assert levels_of(tx, TENANT, ["MUG", "HAT"]) == {
            ("MUG", "L1"): Level(on_hand=3),
            ("MUG", "L2"): Level(on_hand=7),
            ("HAT", "L1"): Level(committed=1),
        }
        assert ledger.skus_of(moves) == {"MUG", "HAT"}


def test_a_failure_after_posting_takes_entry_and_level_back_together(store: Store) -> None:
    with transaction(store) as tx:
        stock(tx, 5)
        with pytest.raises(RuntimeError), tx.savepoint():
            ledger.post(tx, TENANT, [entry("commit:1", committed=2)], NOW)
            raise RuntimeError
        assert level(tx) == Level(on_hand=5)
        assert ledger.post(tx, TENANT, [entry("commit:1", committed=2)], NOW) == ["posted"]
        assert ledger.differences(tx, TENANT) == []


# --- decisions ------------------------------------------------------------------------------------------------------------


def test_a_decision_is_posted_while_enough_is_there_and_refused_after(store: Store) -> None:
    with transaction(store) as tx:
        stock(tx, 3)
        assert ledger.post_decision(tx, TENANT, entry("hold:1", reserved=2), NOW) == "posted"
        with pytest.raises(InsufficientStock, match=r"MUG at L1: 2 asked for, fewer are available; nothing was moved"):
            ledger.post_decision(tx, TENANT, entry("hold:2", reserved=2), NOW)
        assert level(tx) == Level(on_hand=3, reserved=2)
        assert ledger.post_decision(tx, TENANT, entry("hold:3", reserved=1), NOW) == "posted"
        assert level(tx).available == 0
        assert ledger.differences(tx, TENANT) == []


def test_a_decision_repeated_is_already_done_also_when_nothing_is_left(store: Store) -> None:
    with transaction(store) as tx:
        stock(tx, 1)
        hold = entry("hold:1", reserved=1)
        assert ledger.post_decision(tx, TENANT, hold, NOW) == "posted"
        assert ledger.post_decision(tx, TENANT, hold, NOW) == "already_done"
        assert level(tx).reserved == 1


def test_a_decision_that_gives_back_needs_nothing_to_be_there(store: Store) -> None:
    with transaction(store) as tx:
        ledger.post(tx, TENANT, [entry("commit:1", committed=4)], NOW)
        assert ledger.post_decision(tx, TENANT, entry("receipt:1", on_hand=2), NOW) == "posted"
        assert ledger.post_decision(tx, TENANT, entry("receipt:2", "HAT", on_hand=2), NOW) == "posted"
        assert level(tx).available == -2
        assert level(tx, "HAT").available == 2


def test_a_decision_about_a_sku_without_a_level_is_refused(store: Store) -> None:
    with transaction(store) as tx, pytest.raises(InsufficientStock):
        ledger.post_decision(tx, TENANT, entry("hold:1", reserved=1), NOW)


def test_a_decision_moves_every_bucket_that_its_entry_names(store: Store) -> None:
    with transaction(store) as tx:
        stock(tx, 9)
        hold = entry("hold:1", reserved=3, foreign_reserved=3, unavailable=1, incoming=2, committed=1)
        ledger.post_decision(tx, TENANT, hold, NOW)
        assert level(tx) == Level(on_hand=9, reserved=3, foreign_reserved=3, unavailable=1, incoming=2, committed=1)
        assert ledger.differences(tx, TENANT) == []


# --- the audit ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bucket", BUCKETS)
def test_I1_the_audit_names_every_bucket_that_differs(store: Store, bucket: str) -> None:
    with transaction(store) as tx:
        stock(tx, 5)
        assert ledger.differences(tx, TENANT) == []
        before = getattr(level(tx), bucket)
        tx.run(f"UPDATE stock_level SET {bucket} = {bucket} + 2")
        assert ledger.differences(tx, TENANT) == [("MUG", "L1", bucket, before + 2, before)]


def test_I1_the_audit_finds_a_lost_level_and_a_lost_entry(store: Store) -> None:
    with transaction(store) as tx:
        stock(tx, 5, "MUG")
        stock(tx, 4, "HAT")
        tx.run("DELETE FROM stock_level WHERE sku = 'MUG'")
        tx.run("DELETE FROM ledger_entry WHERE sku = 'HAT'")
        assert ledger.differences(tx, TENANT) == [("HAT", "L1", "on_hand", 4, 0), ("MUG", "L1", "on_hand", 0, 5)]


@pytest.mark.parametrize("seed", range(6))
def test_I1_I5_any_mix_of_facts_decisions_and_repeats_in_any_batches_leaves_the_same_sums(
    store: Store, seed: int
) -> None:
    """Arithmetic of its own: a dict of keys that count once; decisions only while K allows."""
    chance = random.Random(seed)
    posted: dict[str, Entry] = {}
    with transaction(store) as tx:
        for _ in range(60):
            entries = [
                entry(
                    f"k{chance.randint(1, 80)}",
                    chance.choice(["MUG", "HAT"]),
                    chance.choice(["L1", "L2"]),
                    **{bucket: chance.randint(-2, 3) for bucket in chance.sample(BUCKETS, 3)},
                )
                for _ in range(chance.randint(1, 5))
            ]
            if chance.random() < 0.4:
                one = entries[0]
                mine = [e for e in posted.values() if (e.sku, e.location_id) == (one.sku, one.location_id)]
                k = -sum(e.takes for e in mine)
                allowed = one.key in posted or one.takes <= 0 or k >= one.takes
                try:
                    answer = ledger.post_decision(tx, TENANT, one, NOW)
                    assert allowed and (answer == "already_done") == (one.key in posted)
                    posted.setdefault(one.key, one)
                except InsufficientStock:
                    assert not allowed
                continue
            answers = ledger.post(tx, TENANT, entries, NOW)
            for each, answer in zip(entries, answers, strict=True):
                assert answer == ("already_done" if each.key in posted else "posted")
                posted.setdefault(each.key, each)
        assert ledger.differences(tx, TENANT) == []
        for (sku, location_id), kept in levels_of(tx, TENANT, ["MUG", "HAT"]).items():
            mine = [e for e in posted.values() if (e.sku, e.location_id) == (sku, location_id)]
            for bucket in BUCKETS:
                assert getattr(kept, bucket) == sum(getattr(e, bucket) for e in mine)
            assert kept.available == -sum(e.takes for e in mine)
        assert tx.one("SELECT COUNT(*), COUNT(DISTINCT entry_no) FROM ledger_entry") == (len(posted), len(posted))
