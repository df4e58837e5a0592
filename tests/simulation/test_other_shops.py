"""Beside the seeds of every change: shops of several locations, and processes that die at every so many-th point."""

from __future__ import annotations

import msgspec
import pytest

from oneshelf_simulator.options import draw
from oneshelf_simulator.runs import run_many, sweep_options
from oneshelf_simulator.world import play

#: Seeds of shops of three locations, one of which closes in the second.
LOCATIONS_SEEDS = (42, 45)
LOCATIONS_DAYS = 0.03

pytestmark = pytest.mark.timeout(1_500)


def test_shops_of_several_locations_come_to_rest() -> None:
    """One whose merchant has us say where orders leave from, and one where the shop says it."""
    wanted = [draw(seed, "hostile", LOCATIONS_DAYS, 3) for seed in LOCATIONS_SEEDS]
    assert {one.routed for one in wanted} == {True, False}
    summary = run_many(wanted, say=lambda line: None)
    assert [(one.rule, one.what, one.seed) for one in summary.breaches] == []
    assert summary.wishes["carried"] > 0 and summary.wishes["routed"] == 1 and summary.wishes["closed"] == 1


def test_a_process_that_dies_at_every_so_many_th_point_loses_nothing() -> None:
    options = [
        msgspec.structs.replace(sweep_options(number, 40, locations), fault_s=500.0)
        for number, locations in ((0, 1), (1, 3), (2, 1))
    ]
    assert {one.crash_point for one in options} == {"before", "after", "await"}
    assert [one.locations for one in options] == [1, 3, 1]
    for one in options:
        report = play(one)
        assert report.breach is None and report.crashes >= 5, one.crash_point
