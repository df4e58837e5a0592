"""The reference days: the same seed gives the same table, every piece is accounted for, and each rule really is another rule."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import pytest

from oneshelf.publish.slots import Mark, Slot
from oneshelf_simulator.policies.bench import NAIVE, TITLES, Line, gap_closed, line_of, marks_of, play_one, together
from oneshelf_simulator.policies.day import Day
from oneshelf_simulator.policies.keeper import Keeper
from oneshelf_simulator.policies.market import Market, Sale
from oneshelf_simulator.policies.rules import POLICIES
from oneshelf_simulator.policies.scenarios import (
    AMAZON,
    EBAY,
    ETSY,
    HUB,
    SCENARIOS,
    SECOND,
    World,
    world_of,
)
from oneshelf_simulator.policies.telling import as_json, bars, markdown, svg

SCALE = 0.01


@pytest.fixture(scope="module")
def flash() -> dict[str, Line]:
    """Every policy on the same small flash."""
    return {policy: play_one(("flash", policy, 3, SCALE)) for policy in TITLES}


def played(scenario: str, policy: str, seed: int = 3, planted: str = "") -> tuple[Market, Keeper]:
    day = Day(world_of(SCENARIOS[scenario], seed, SCALE), seed)
    keeper = Keeper(day, replace(POLICIES[policy], planted=planted))
    return day.play(keeper), keeper


def test_the_same_seed_gives_the_same_line_and_another_seed_another(flash: dict[str, Line]) -> None:
    assert play_one(("flash", "adaptive", 3, SCALE)) == flash["adaptive"]
    assert play_one(("flash", "adaptive", 4, SCALE)) != flash["adaptive"]


def test_every_buyer_and_every_piece_is_accounted_for(flash: dict[str, Line]) -> None:
    for line in flash.values():
        assert line.buyers == line.sold + sum(line.oversold.values()) + line.turned_away, line.policy
        assert line.stock == line.sold + line.left, line.policy
        assert 0 <= line.sold <= line.best <= min(line.buyers, line.stock), line.policy
        assert line.marks <= sum(line.oversold.values()), line.policy
    assert len({(line.buyers, line.best, line.stock) for line in flash.values()}) == 1, "the same day for all"


def test_each_rule_is_another_rule(flash: dict[str, Line]) -> None:
    told = {policy: (line.sold, line.writes, line.calls) for policy, line in flash.items()}
    assert len(set(told.values())) == len(TITLES), told
    assert flash["buffer5"].lost > flash["buffer2"].lost > flash["adaptive"].lost
    assert flash["mirror"].lost == flash[NAIVE].lost == 0, "who shows everything sells everything"
    assert flash["strict"].oversold == {} and flash["strict"].lost > flash["adaptive"].lost
    assert flash["adaptive"].cost < flash["mirror"].cost < flash[NAIVE].cost


def test_a_planted_fault_no_reserve_oversells(flash: dict[str, Line]) -> None:
    market, _ = played("flash", "adaptive", planted="no_reserve")
    planted = line_of("flash", "adaptive", market.count())
    assert sum(planted.oversold.values()) > sum(flash["adaptive"].oversold.values())


@pytest.mark.parametrize("policy", ["adaptive", "strict"])
def test_what_is_heard_at_the_end_is_what_was_sold_and_nothing_shows_more_than_there_is(policy: str) -> None:
    market, keeper = played("normal", policy)
    for sku in market.world.skus:
        left = market.world.stock[sku] - len(market.sales[sku])
        assert keeper.items[sku].k == left and keeper.items[sku].provs == []
        assert sum(market.shown[c][sku] for c in range(4)) <= max(0, left) or policy == "adaptive"
        assert market.shown[HUB][sku] <= left


def test_S8_10_where_a_days_calls_are_short_numbers_are_told_all_day_and_the_window_is_the_channels_own() -> None:
    """Etsy has 100 calls for this day. They come back one by one: each read took one, and its write waited until the read was stale."""
    day = Day(world_of(SCENARIOS["flash"], 3, SCALE), 3)
    keeper = Keeper(day, POLICIES["adaptive"])
    told, tell = [], keeper._tell

    def note(c: int, sku: int, slot: Slot, quantity: int, mark: Mark | None, now: int) -> None:
        if c == ETSY and quantity:
            told.append(now // (3_600 * SECOND))
        tell(c, sku, slot, quantity, mark, now)

    keeper._tell = note  # type: ignore[method-assign]
    day.play(keeper)
    assert len({hour for hour in told if hour >= 3}) >= 5, told
    assert keeper.publish[ETSY] <= 30 * SECOND


@pytest.mark.parametrize("placed_s", [(43_195, 43_205), (43_205, 43_195)])
def test_S3_6_a_rush_is_counted_alike_whichever_sale_is_heard_first(placed_s: tuple[int, int]) -> None:
    """Noon lies between the two: sums of a rush begin anew each hour."""
    day = Day(world_of(SCENARIOS["normal"], 3, SCALE), 3)
    keeper = Keeper(day, POLICIES["adaptive"])
    keeper.start()
    day.now = now = 43_230 * SECOND
    for at in placed_s:
        keeper.heard(Sale(0, ETSY, at * SECOND, now, now), now)
    assert keeper._counter(keeper.items[0], now) == pytest.approx(math.exp(-35 / 300) + math.exp(-25 / 300))


def a_market(stock: int, shown: int) -> Market:
    normal = SCENARIOS["normal"]
    market = Market(World(normal, normal.channels, [stock], [[0.0] * 4], []), 1)
    for channel in range(4):
        market.shown[channel][0] = shown
    return market


def test_S13_1_a_sale_that_could_not_be_known_is_window_one_that_could_is_late() -> None:
    market = a_market(1, 1)
    assert market.buy(0, HUB, 0) is not None
    quick = market.buy(4 * SECOND, EBAY, 0)
    late = market.buy(3_600 * SECOND, ETSY, 0)
    assert quick is not None and quick.oversold == "window"
    assert late is not None and late.oversold == "late"
    assert market.count().oversold == {"window": 1, "late": 1}


def test_S13_1_a_piece_that_a_write_put_back_is_race() -> None:
    market = a_market(1, 1)
    assert market.buy(0, AMAZON, 0) is not None
    market.land(AMAZON, 0, 1, sent=SECOND, base_at=-1, now=20 * SECOND)  # read before the sale, sent before its news
    again = market.buy(30 * SECOND, AMAZON, 0)
    assert again is not None and again.oversold == "race"


def test_who_bought_last_loses_and_only_some_channels_count_it() -> None:
    market = a_market(1, 1)
    for at, channel in ((0, EBAY), (SECOND, HUB), (2 * SECOND, AMAZON)):
        market.buy(at, channel, 0)
    assert sum(market.count().oversold.values()) == 2
    assert marks_of(market) == 1, "Amazon counts a cancel against the seller, the shop does not"


def test_the_table_the_picture_and_the_json_tell_the_same(flash: dict[str, Line]) -> None:
    lines = together(list(flash.values()), ["flash"], list(TITLES))
    gap = gap_closed(lines, flash["adaptive"], NAIVE)
    assert gap is not None and 0 < gap <= 100
    table, rows = markdown(lines), as_json(lines)
    for line, row in zip(lines, rows, strict=True):
        assert f"{line.lost_percent:.2f} %" in table and row["oversold"] == line.oversold
        assert f"{line.oversold_per_10k:.1f} oversold · {line.lost_percent:.2f} % lost" in svg(lines)


def test_the_bars_are_judged_by_what_was_played(flash: dict[str, Line]) -> None:
    lines = together(list(flash.values()), ["flash"], list(TITLES))
    found = {bar: (here, met) for bar, _, here, met in bars(lines)}
    line = flash["adaptive"]
    assert found["oversold in the flash"] == (f"{line.oversold_per_10k:.1f}", line.oversold_per_10k <= 3)
    assert found["pieces lost in the flash"] == (f"{line.lost_percent:.2f} %", line.lost_percent <= 0.3)
    assert found["strict, oversold"][1] and found["adaptive, late"][1]
    worse = replaced(lines, "adaptive", sold=line.sold - line.best // 100, oversold={"window": 9, "late": 1})
    assert {bar for bar, _, _, met in bars(worse) if not met} >= {
        "oversold in the flash",
        "pieces lost in the flash",
        "adaptive, late",
    }
    assert not dict((bar, met) for bar, _, _, met in bars(replaced(lines, "strict", oversold={"race": 1})))[
        "strict, oversold"
    ]


def replaced(lines: list[Line], policy: str, **changes: object) -> list[Line]:
    return [msgspec.structs.replace(line, **changes) if line.policy == policy else line for line in lines]
