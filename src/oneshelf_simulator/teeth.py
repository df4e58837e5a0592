"""The teeth: each planted fault is played until an invariant catches it.

In: a mutant's name. Out: the invariant that caught it, and by which seed. Never: leaves a patch in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec

from .mutants import MUTANTS
from .options import Options, draw
from .world import play

#: Seeds that a mutant gets, and how long each rains.
SEEDS = range(101, 105)
DAYS = 0.05


class Bite(msgspec.Struct):
    """What became of a mutant. `caught_by` None: it got through."""

    name: str
    what: str
    caught_by: str | None
    seed: int | None
    runs: int


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The engine with this fault in it."""
    with ExitStack() as stack:
        MUTANTS[name].plant(stack)
        yield


def options_for(name: str, seed: int) -> Options:
    """A run with the occasions that the mutant needs, and few faults else."""
    needs = MUTANTS[name].needs
    options = draw(seed, "calm", DAYS)
    usual: dict[str, Any] = {
        "orders_per_h": 40.0,
        "stock_max": 6,
        "cancels_per_h": 4.0,
        "fulfil_share": 0.9,
        "fulfil_after_s": 900.0,
        "counts": {},
    }
    wanted = {**usual, **needs, "chances": {**options.chances, **needs.get("chances", {})}}
    return msgspec.structs.replace(options, **wanted)


def bite_one(name: str, seeds: Any = SEEDS) -> Bite:
    """Play seeds until the mutant is caught."""
    runs = 0
    for seed in seeds:
        runs += 1
        with planted(name):
            report = play(options_for(name, seed))
        if report.breach is not None:
            return Bite(name, MUTANTS[name].what, report.breach.rule, seed, runs)
    return Bite(name, MUTANTS[name].what, None, None, runs)


def bite(names: list[str] | None = None, *, say: Callable[[str], None]) -> list[Bite]:
    """Play every mutant."""
    found = []
    for name in names or list(MUTANTS):
        found.append(bite_one(name))
        say(f"{name}: {found[-1].caught_by or 'NOT CAUGHT'} (seed {found[-1].seed}, {found[-1].runs} runs)")
    return found


def tell(bites: list[Bite]) -> str:
    """The mutants as a Markdown table."""
    rows = ["| planted fault | what is wrong | caught by |", "|---|---|---|"]
    rows += [f"| `{one.name}` | {one.what} | {one.caught_by or '**nobody**'} |" for one in bites]
    return "\n".join(rows)
