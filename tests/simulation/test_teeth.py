"""The simulator has teeth: a fault that is planted into the engine is caught, shown whole, and made smaller."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oneshelf_simulator.__main__ import main
from oneshelf_simulator.mutants import MUTANTS
from oneshelf_simulator.teeth import bite_one, options_for, planted
from oneshelf_simulator.world import play

pytestmark = pytest.mark.timeout(1_500)


@pytest.mark.parametrize("name", ["level_without_entry", "answer_without_storing", "anybody_raises", "always_settled"])
def test_a_planted_fault_is_caught(name: str) -> None:
    assert bite_one(name).caught_by is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_every_planted_fault_is_caught_and_its_world_without_it_holds(name: str) -> None:
    bite = bite_one(name)
    assert bite.caught_by is not None and bite.seed is not None
    assert play(options_for(name, bite.seed)).breach is None


def test_every_planted_fault_says_what_catches_it() -> None:
    assert len(MUTANTS) >= 15
    assert [name for name, mutant in MUTANTS.items() if not mutant.caught_by] == []


def test_a_planted_fault_leaves_nothing_behind() -> None:
    from oneshelf.stock import ledger

    before = ledger._write
    with planted("level_without_entry"):
        assert ledger._write is not before
    assert ledger._write is before


@pytest.fixture
def one_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder of the test, the options of a world in which the planted fault `one_more` is caught."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "options.json").write_text(options_for("one_more", 101).to_json())


@pytest.mark.usefixtures("one_more")
def test_a_failure_is_shown_whole_and_played_again(capsys: pytest.CaptureFixture[str]) -> None:
    with planted("one_more"):
        assert main(["--replay", "options.json", "--no-shrink", "--json"]) == 1
        told = capsys.readouterr()
        failure = json.loads(told.out)["breaches"][0]
        assert failure["rule"] == "I11" and len(failure["last"]) == 40 and failure["options"]["seed"] == 101
        assert "BREACH I11" in told.err and failure["levels"][0] in told.err and failure["last"][-1] in told.err
        assert main(["--replay", "oneshelf-sim-101.json", "--no-shrink", "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["breaches"][0] == failure
    assert main(["--replay", "oneshelf-sim-101.json", "--json"]) == 0


@pytest.mark.usefixtures("one_more")
def test_a_failure_is_made_smaller(capsys: pytest.CaptureFixture[str]) -> None:
    with planted("one_more"):
        assert main(["--replay", "options.json", "--json"]) == 1
    failure = json.loads(capsys.readouterr().out)["breaches"][0]
    assert failure["options"]["fault_s"] <= 900 and failure["options"]["chances"] == {}
