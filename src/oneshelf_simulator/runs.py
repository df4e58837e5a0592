"""Many runs: over seeds and processes, what they came to together, and a failing one made small.

In: seeds or a file. Out: a Summary. Never: decides what a breach is.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import msgspec

from .options import Options, draw
from .world import Failure, Report, play

PROCESSES = 2
#: How many further runs a failing one is made small with.
SHRINKS_MAX = 24


class Summary(msgspec.Struct):
    """`faults`: how often each struck. `wishes`: what merchants asked for, and what came of it. `trace_hash`: over the runs' hashes in order of their seeds.
    `twice`: of how many seeds a second play was compared; `differing`: seeds whose second play had another trace."""

    runs: int
    simulated_s: float
    breaches: list[Failure]
    faults: dict[str, int]
    crashes: int
    trace_hash: str
    sales: int = 0
    oversold: dict[str, int] = {}
    checks: dict[str, int] = {}
    rest_s_max: float = 0.0
    wishes: dict[str, int] = {}
    twice: int = 0
    differing: list[int] = []


def run_many(wanted: list[Options], *, say: Callable[[str], None], processes: int = PROCESSES) -> Summary:
    """Play each; `say` is told of each as it ends."""
    return together(_reports(wanted, say, processes))


def run_twice(wanted: list[Options], *, say: Callable[[str], None], processes: int = PROCESSES) -> Summary:
    """Play each, and then again in fresh processes, where strings hash otherwise: the traces have to be equal, byte by byte."""
    first = _reports(wanted, say, processes)
    again = _in_fresh_processes(wanted, lambda line: None, processes)
    summary = together(first)
    summary.twice = len(again)
    pairs = zip(first, again, strict=True)
    summary.differing = [one.seed for one, other in pairs if one.trace_hash != other.trace_hash]
    return summary


def _reports(wanted: list[Options], say: Callable[[str], None], processes: int) -> list[Report]:
    reports = []
    if processes <= 1 or len(wanted) <= 1:
        for options in wanted:
            reports.append(play(options))
            say(line_of(reports[-1]))
        return reports
    return _in_fresh_processes(wanted, say, processes)


def _in_fresh_processes(wanted: list[Options], say: Callable[[str], None], processes: int) -> list[Report]:
    reports = []
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for report in pool.map(play, wanted):
            reports.append(report)
            say(line_of(report))
    return reports


#: A sweep's lives: so many points of a kind each, a start's own among them.
SWEEP_EVERY = {"before": 97, "after": 97, "await": 1_009}
SWEEP_S = 3_600.0


def sweep_options(number: int, seed: int, locations: int = 1) -> Options:
    """One run of a crash sweep: a small busy shop without another fault; each run dies at other points than the ones before it."""
    kind = tuple(SWEEP_EVERY)[number % len(SWEEP_EVERY)]
    every = SWEEP_EVERY[kind]
    return msgspec.structs.replace(
        draw(seed + number, "busy", SWEEP_S / 86_400, locations),
        chances={},
        counts={},
        crash_point=kind,
        crash_every=every,
        crash_offset=number * 37 % every,
        down_s_max=2.0,
    )


def sweep(
    points: int, seed: int, locations: int = 1, *, say: Callable[[str], None], processes: int = PROCESSES
) -> Summary:
    """Let the process die at `points` commits and awaits at least, run after run."""
    reports: list[Report] = []
    while sum(report.crashes for report in reports) < points:
        more = [sweep_options(len(reports) + number, seed, locations) for number in range(2 * processes)]
        reports += _reports(more, lambda line: None, processes)
        say(f"{sum(report.crashes for report in reports)} of {points} crashes survived")
        if any(report.breach is not None for report in reports):
            break
    return together(reports)


def line_of(report: Report) -> str:
    """One run in a line."""
    end = (
        f"breach {report.breach.rule}: {report.breach.what[:160]}"
        if report.breach
        else f"at rest after {report.rest_s or 0:g} s"
    )
    return f"seed {report.seed} {report.profile}: {report.sales} sales, {report.crashes} crashes, {end}"


def together(reports: list[Report]) -> Summary:
    """What the runs came to."""
    faults: Counter[str] = Counter()
    oversold: Counter[str] = Counter()
    checks: Counter[str] = Counter()
    wishes: Counter[str] = Counter()
    digest = hashlib.sha256()
    for report in reports:
        faults.update(report.faults)
        oversold.update(report.oversold)
        checks.update(report.checks)
        wishes.update(report.wishes)
        digest.update(report.trace_hash.encode())
    return Summary(
        runs=len(reports),
        simulated_s=round(sum(report.simulated_s for report in reports), 3),
        breaches=[report.breach for report in reports if report.breach is not None],
        faults=dict(sorted(faults.items())),
        crashes=sum(report.crashes for report in reports),
        trace_hash=reports[0].trace_hash if len(reports) == 1 else digest.hexdigest(),
        sales=sum(report.sales for report in reports),
        oversold=dict(sorted(oversold.items())),
        checks=dict(sorted(checks.items())),
        wishes=dict(sorted(wishes.items())),
        rest_s_max=max((report.rest_s or 0.0 for report in reports), default=0.0),
    )


def shrink(failure: Failure, *, say: Callable[[str], None], tries: int = SHRINKS_MAX) -> Failure:
    """Make a failing run small: shorter, then with one fault after the other switched off, as long as the same rule is broken."""
    best = failure
    options = msgspec.convert(failure.options, type=Options)

    def still_fails(smaller: Options) -> Failure | None:
        nonlocal tries
        if tries <= 0:
            return None
        tries -= 1
        found = play(smaller).breach
        return found if found is not None and found.rule == failure.rule else None

    while options.fault_s > 900 and tries > 0:
        smaller = msgspec.structs.replace(options, fault_s=options.fault_s / 2)
        if (found := still_fails(smaller)) is None:
            break
        options, best = smaller, found
        say(f"still {failure.rule} within {options.fault_s:.0f} s")
    for fault in options.switched_on():
        if (found := still_fails(options.without(fault))) is not None:
            options, best = options.without(fault), found
            say(f"still {failure.rule} without {fault}")
    return best
