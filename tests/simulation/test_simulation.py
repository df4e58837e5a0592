"""The simulator: the same seed gives the same bytes, and a modest number of seeds holds every invariant."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oneshelf_simulator import auditor
from oneshelf_simulator.__main__ import main
from oneshelf_simulator.faults import FAULTS, never_injected, table
from oneshelf_simulator.options import PROFILES, draw, read_options
from oneshelf_simulator.runs import Summary, run_many
from oneshelf_simulator.trace import Trace
from oneshelf_simulator.world import play

ROOT = Path(__file__).parents[2]
#: The seeds of every change: small hot worlds, together with every fault of the table, most of them in several. More by `make sim`.
CI_SEEDS = (5, 6, 7, 9, 10, 12, 14, 36)
CI_DAYS = 0.05
#: What has to come about over these seeds, of what merchants ask for.
WISHES = (
    "strict",
    "cancelled_short",
    "released_settled",
    "packs_sold",
    "bundles_sold",
    "bought_elsewhere_too",
    "lent_address_typed",
)

pytestmark = pytest.mark.timeout(1_500)


@pytest.fixture(scope="module")
def summary() -> Summary:
    return run_many([draw(seed, "hostile", CI_DAYS) for seed in CI_SEEDS], say=lambda line: None)


# --- determinism -------------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_in_two_processes_with_other_hashes() -> None:
    def start(hash_seed: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "oneshelf_simulator",
                "--seed",
                "5",
                "--days",
                "0.02",
                "--profile",
                "hostile",
                "--json",
            ],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
        )

    runs = [start("1"), start("4711")]
    told = [json.loads(run.communicate()[0]) for run in runs]
    assert told[0] == told[1]
    assert len(told[0]["trace_hash"]) == 64 and told[0]["faults"] and told[0]["runs"] == 1


def test_seeds_played_twice_are_the_same_and_one_that_is_not_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--twice", "--profile", "calm", "--days", "0.01", "--json"]
    assert main([*asked, "--seed", "3", "--runs", "2"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["twice"], told["differing"]) == (2, [])
    # What differs between two processes gets into the trace of this one.
    note = Trace.note
    monkeypatch.setattr(Trace, "note", lambda trace, kind, *details: note(trace, kind, hash(kind), *details))
    assert main([*asked[:-1], "--seed", "3"]) == 1
    assert "NOT the same when played again: seeds 3" in capsys.readouterr().out


def test_another_seed_gives_another_trace() -> None:
    hashes = {play(draw(seed, "calm", 0.01)).trace_hash for seed in (1, 2)}
    assert len(hashes) == 2


@pytest.mark.parametrize("profile", PROFILES)
def test_options_are_written_whole_and_read_again(profile: str) -> None:
    options = draw(7, profile, 0.25)
    assert read_options(options.to_json()) == options
    assert options == draw(7, profile, 0.25) != draw(8, profile, 0.25)


# --- the seeds of every change -------------------------------------------------------------------------------------------------


def test_every_invariant_holds_over_the_seeds(summary: Summary) -> None:
    assert [(one.rule, one.what, one.seed) for one in summary.breaches] == []
    assert summary.runs == len(CI_SEEDS) and summary.crashes > 0 and summary.sales > 100


@pytest.mark.parametrize("number", [number for number, fault in FAULTS.items() if fault.counters], ids="F{}".format)
def test_each_fault_of_the_table_was_injected(summary: Summary, number: int) -> None:
    assert number not in never_injected(summary.faults), f"F{number} {FAULTS[number].what} never happened"


@pytest.mark.parametrize("wish", WISHES)
def test_each_thing_a_merchant_asks_for_was_played(summary: Summary, wish: str) -> None:
    assert summary.wishes.get(wish, 0) > 0, f"{wish} never came about: draw more, or take other seeds"


def test_a_fault_that_never_happened_is_named() -> None:
    assert never_injected({}) == [number for number, fault in FAULTS.items() if fault.counters]


def test_each_invariant_was_checked(summary: Summary) -> None:
    after_each = {str(number) for number in (1, 3, 6, 7, 8, 9, 10, 11, 12, 15, 17, 18, 21, 22, 23)}
    assert {number for number in after_each if not summary.checks.get(number)} == set()


# --- the tables ------------------------------------------------------------------------------------------------------------------


def test_the_tables_name_every_fault_and_every_invariant() -> None:
    assert list(FAULTS) == list(range(1, 61))
    assert list(auditor.INVARIANTS) == list(range(1, 25))
    assert all(fault.counters or fault.elsewhere for fault in FAULTS.values())
    assert table().count("\n") == 62


def test_a_fault_that_is_covered_elsewhere_names_what_is_there() -> None:
    for number, fault in FAULTS.items():
        named = [word.strip(",;") for word in fault.elsewhere.split() if word.startswith("tests/")]
        assert [name for name in named if not (ROOT / name).exists()] == [], f"F{number}"
        assert not fault.elsewhere or named or "not yet" in fault.elsewhere, f"F{number}"


def test_the_page_has_the_tables_as_they_are() -> None:
    page = (ROOT / "docs" / "concepts" / "simulation.md").read_text()
    assert table() in page
    for number, how in auditor.INVARIANTS.items():
        assert f"| {number} | {how} |" in page


# --- the command --------------------------------------------------------------------------------------------------------------------


def test_the_product_starts_it_as_a_program_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "oneshelf.cli", "sim", "--profile", "calm", "--days", "0.01", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert set(told) >= {"runs", "simulated_s", "breaches", "faults", "crashes", "trace_hash"}
    assert "seed 1 calm" in done.stderr


def test_a_profile_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="one of calm, busy, flash, hostile"):
        draw(1, "stormy", 0.1)
