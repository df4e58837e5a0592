"""The grid: every policy on every scenario, over seeds, in two processes; what it came to, in one table.

In: names, seeds, a size. Out: `Line`s. Never: changes a day (scenarios.py) or a decision (keeper.py).
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

import msgspec

from oneshelf.core.coverage import OpenLine, cover

from .day import Day
from .keeper import RANK, Keeper
from .market import Count, Market
from .naive import NaiveMirror
from .rules import POLICIES
from .scenarios import NAMES, SCENARIOS, SECOND, world_of

#: Not one of the product's rules: the yardstick.
NAIVE = "naive"
TITLES = {NAIVE: "naive mirror: in order, blind", **{one.name: one.title for one in POLICIES.values()}}
PROCESSES = 2
#: What an oversold order costs in unsold pieces.
OVERSOLD_COSTS = 10
CAUSES = ("window", "late", "race", "hand")


class Line(msgspec.Struct):
    """One policy on one scenario, seeds added up. `oversold`: pieces by cause. `lost`: pieces that lay there, were wanted and not sold."""

    scenario: str
    policy: str
    seeds: int
    buyers: int
    sold: int
    turned_away: int
    best: int
    stock: int
    left: int
    oversold: dict[str, int]
    marks: int
    writes: int
    calls: int

    @property
    def orders(self) -> int:
        return self.sold + sum(self.oversold.values())

    @property
    def oversold_per_10k(self) -> float:
        return 10_000 * sum(self.oversold.values()) / max(1, self.orders)

    @property
    def lost(self) -> int:
        return self.best - self.sold

    @property
    def lost_percent(self) -> float:
        return 100 * self.lost / max(1, self.best)

    @property
    def cost(self) -> float:
        """Per 10,000 buyers. Who knows the future pays 0."""
        return 10_000 * (OVERSOLD_COSTS * sum(self.oversold.values()) + self.lost) / max(1, self.buyers)


def play_one(job: tuple[str, str, int, float]) -> Line:
    """Play one day. `job`: scenario, policy, seed, size."""
    scenario, policy, seed, scale = job
    world = world_of(SCENARIOS[scenario], seed, scale)
    day = Day(world, seed)
    keeper = NaiveMirror(day) if policy == NAIVE else Keeper(day, POLICIES[policy])
    market = day.play(keeper)
    count = market.count()
    count.marks = marks_of(market)
    return line_of(scenario, policy, count)


def line_of(scenario: str, policy: str, count: Count) -> Line:
    return Line(
        scenario=scenario,
        policy=policy,
        seeds=1,
        buyers=count.buyers,
        sold=count.sold,
        turned_away=count.turned_away,
        best=count.best,
        stock=count.stock,
        left=count.left,
        oversold=dict(sorted(count.oversold.items())),
        marks=count.marks,
        writes=count.writes,
        calls=count.calls,
    )


def marks_of(market: Market) -> int:
    """Who loses is the product's decision (first by time of purchase): how many of them stand where a cancel counts against the seller."""
    marks = 0
    for sku, sold in enumerate(market.sales):
        if len(sold) <= market.world.stock[sku]:
            continue
        lines = [
            OpenLine(n, "1", str(sku), 1, "O", sale.at // SECOND, RANK[NAMES[sale.channel]], "", str(n))
            for n, sale in enumerate(sold)
        ]
        verdicts = cover(market.world.stock[sku], lines)
        marks += sum(
            verdicts[(n, "1")] == "SHORT" and market.world.channels[sale.channel].marks for n, sale in enumerate(sold)
        )
    return marks


def run(
    scenarios: Sequence[str],
    policies: Sequence[str],
    seeds: Sequence[int],
    scale: float,
    *,
    say: Callable[[str], None] = lambda line: None,
    processes: int = PROCESSES,
) -> list[Line]:
    """Play the grid; `say` is told of each day as it ends. In order of scenarios, then policies."""
    jobs = [(scenario, policy, seed, scale) for seed in seeds for scenario in scenarios for policy in policies]
    lines: list[Line] = []
    if processes <= 1 or len(jobs) <= 1:
        for number, job in enumerate(jobs):
            lines.append(play_one(job))
            say(_progress(number, jobs, lines[-1]))
    else:
        with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
            for number, line in enumerate(pool.map(play_one, jobs)):
                lines.append(line)
                say(_progress(number, jobs, line))
    return together(lines, scenarios, policies)


def _progress(number: int, jobs: Sequence[tuple[str, str, int, float]], line: Line) -> str:
    return (
        f"{number + 1}/{len(jobs)} seed {jobs[number][2]} {line.scenario} {line.policy}: "
        f"{line.oversold_per_10k:.1f} oversold per 10,000 orders, {line.lost_percent:.2f} % lost"
    )


def together(lines: Sequence[Line], scenarios: Sequence[str], policies: Sequence[str]) -> list[Line]:
    """Add up the seeds of each pair."""
    found = []
    for scenario in scenarios:
        for policy in policies:
            some = [one for one in lines if (one.scenario, one.policy) == (scenario, policy)]
            if not some:
                continue
            oversold: Counter[str] = Counter()
            for one in some:
                oversold.update(one.oversold)
            sums = {
                name: sum(getattr(one, name) for one in some)
                for name in (
                    "buyers",
                    "sold",
                    "turned_away",
                    "best",
                    "stock",
                    "left",
                    "marks",
                    "writes",
                    "calls",
                    "seeds",
                )
            }
            found.append(Line(scenario=scenario, policy=policy, oversold=dict(sorted(oversold.items())), **sums))
    return found


def gap_closed(lines: Sequence[Line], line: Line, base: str) -> float | None:
    """Return 1 − cost ÷ the base policy's cost on the same scenario, in percent; None without a base that costs anything."""
    of = next((one for one in lines if (one.scenario, one.policy) == (line.scenario, base)), None)
    if of is None or of.cost <= 0:
        return None
    return 100 * (1 - line.cost / of.cost)
