"""A channel is paused and resumed: its writes stop, its news never, and it begins again with reads (SEMANTICS 8.14)."""

from __future__ import annotations

import pytest
from tests.scenario.publish_bench import HUB, SHOP, Bench, T
from tests.scenario.test_publish import at_rest_with

from oneshelf.core.instants import SECOND
from oneshelf.db.store import Store
from oneshelf.publish import pausing
from oneshelf.publish.pausing import Exposed, NotPaused

MINUTE = 60 * SECOND


def pause(bench: Bench, *, zero_first: bool = False) -> bool:
    return bench.tx(lambda tx: pausing.pause(tx, T, SHOP, bench.now, zero_first=zero_first, by="Ada"))  # type: ignore[return-value]


def resume(bench: Bench) -> int:
    return bench.tx(lambda tx: pausing.resume(tx, T, SHOP, bench.now, by="Ada"))  # type: ignore[return-value]


def exposed(bench: Bench) -> Exposed:
    return bench.tx(lambda tx: pausing.exposed(tx, T, SHOP, bench.can, bench.now))  # type: ignore[return-value]


def state(bench: Bench) -> str:
    return str(bench.all(f"SELECT state FROM account WHERE account_id = {SHOP}")[0][0])


def test_S8_14_paused_no_number_leaves_and_it_says_what_is_exposed(store: Store) -> None:
    bench = at_rest_with(store, 5)
    assert pause(bench)
    bench.stock("MUG", -3)
    assert bench.run(3_600) == []
    found = exposed(bench)
    assert (found.showing, found.pieces, found.unread, found.above_offer) == (1, 5, 0, 1)
    assert [(one.listing, one.shows, one.offer) for one in found.too_many] == [("MUG", 5, 2)]


def test_S8_14_a_paused_channels_sales_are_booked_all_the_same(store: Store) -> None:
    bench = at_rest_with(store, 5)
    pause(bench)
    bench.now += MINUTE
    bench.sell("MUG", 2)
    assert bench.all("SELECT SUM(on_hand - committed - reserved) FROM stock_level") == [(3,)]


def test_S8_14_resumed_it_reads_before_it_writes(store: Store) -> None:
    bench = at_rest_with(store, 5)
    pause(bench)
    bench.stock("MUG", -3)
    bench.run(3_600)
    bench.market.shown["MUG"] = 9  # a hand raised it meanwhile
    assert resume(bench) == 1
    assert bench.run(60) == ["read", "write", "read"]
    assert (state(bench), bench.market.shown) == ("LIVE", {"MUG": 2})


def test_S8_14_shown_zero_first_it_is_paused_once_all_is_seen_at_zero(store: Store) -> None:
    bench = at_rest_with(store, 5)
    bench.outlet("SET", {"MUG": 1, "CUP": 2}, shown=2)
    bench.stock("CUP", 9)
    bench.run(600)
    bench.now += MINUTE
    bench.market.lands_after = 3 * SECOND
    assert not pause(bench, zero_first=True)
    bench.wake()
    assert not bench.tx(lambda tx: pausing.pause_when_zero(tx, T, SHOP, bench.now)), "told is not seen"
    bench.run(600)
    assert bench.market.shown == {"MUG": 0, "SET": 0}
    assert bench.tx(lambda tx: pausing.pause_when_zero(tx, T, SHOP, bench.now))
    assert (state(bench), exposed(bench).showing) == ("PAUSED", 0)
    bench.stock("MUG", 4)
    assert bench.run(3_600) == []
    resume(bench)
    bench.run(600)
    assert bench.market.shown == {"MUG": 9, "SET": 4}


def test_S8_14_called_back_before_it_shows_zero(store: Store) -> None:
    bench = at_rest_with(store, 5)
    pause(bench, zero_first=True)
    resume(bench)
    bench.run(600)
    assert (state(bench), bench.market.shown) == ("LIVE", {"MUG": 5})


def test_what_is_not_live_is_not_paused_and_what_is_not_paused_not_resumed(store: Store) -> None:
    bench = at_rest_with(store, 5)
    with pytest.raises(NotPaused, match="not paused"):
        resume(bench)
    pause(bench)
    with pytest.raises(NotPaused, match="only a LIVE one"):
        pause(bench)
    with pytest.raises(NotPaused, match="The shop can't be paused"):
        bench.tx(lambda tx: pausing.pause(tx, T, HUB, bench.now, zero_first=False, by="Ada"))
    with pytest.raises(NotPaused, match="no account 77"):
        bench.tx(lambda tx: pausing.pause(tx, T, 77, bench.now, zero_first=False, by="Ada"))
