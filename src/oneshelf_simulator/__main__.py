"""The simulator's command line: `python -m oneshelf_simulator`, also `oneshelf sim`.

Exit code 0: every invariant held. 1: a breach, or a seed that was not the same when played twice. 2: the command was wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import msgspec

from oneshelf.watch.recording import NoRecording, decode

from .options import PROFILES, Options, draw, read_options
from .playback import is_recording, play_recording, tell
from .runs import Summary, line_of, run_many, run_twice, shrink, sweep, together
from .world import Failure, play


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; return the exit code."""
    asked = _parser().parse_args(arguments)
    said = sys.stderr

    def say(line: str) -> None:
        print(line, file=said, flush=True)

    if asked.teeth:
        from . import teeth

        found = teeth.bite(asked.teeth_only.split(",") if asked.teeth_only else None, say=say)
        print(json.dumps([msgspec.to_builtins(one) for one in found]) if asked.json else teeth.tell(found))
        return 0 if all(one.caught_by for one in found) else 1
    if asked.replay is not None and not asked.replay.is_file():
        say(f"There is no file {asked.replay}.")
        return 2
    if asked.replay is not None and is_recording(asked.replay):
        return _play_recording(asked.replay, as_json=asked.json)
    if asked.replay is not None:
        options = _options_of(asked.replay)
        report = play(options, write=say if asked.trace else None)
        say(line_of(report))
        summary = together([report])
    elif asked.crash_points:
        summary = sweep(asked.crash_points, asked.seed, asked.locations, say=say)
    else:
        seeds = range(asked.seed, asked.seed + asked.runs)
        wanted = [draw(seed, asked.profile, asked.days, asked.locations) for seed in seeds]
        play_all = run_twice if asked.twice else run_many
        summary = play_all(wanted, say=say, processes=1 if asked.runs == 1 else 2)
    for place, failure in enumerate(summary.breaches):
        if asked.shrink and place == 0:
            say("making it smaller …")
            summary.breaches[0] = failure = shrink(failure, say=say)
        _write(failure, say_where=say)
    if asked.json:
        print(json.dumps(msgspec.to_builtins(summary)))
    else:
        _tell(summary)
    return 1 if summary.breaches or summary.differing else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("oneshelf sim", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--runs", type=int, default=1, help="so many seeds, in two processes")
    parser.add_argument("--twice", action="store_true", help="play each seed twice and compare the traces")
    parser.add_argument("--days", type=float, default=0.25, help="simulated days of faults a run")
    parser.add_argument("--profile", choices=PROFILES, default="busy")
    parser.add_argument("--locations", type=int, default=1, help="so many locations of the shop")
    parser.add_argument(
        "--replay",
        type=Path,
        help="play again: a failure, from the file it was written to; or a file of `oneshelf inbox record`",
    )
    parser.add_argument("--trace", action="store_true", help="with --replay: write each happening")
    parser.add_argument("--no-shrink", dest="shrink", action="store_false", help="leave a failing run as it is")
    parser.add_argument("--teeth", action="store_true", help="plant faults into the engine and see each caught")
    parser.add_argument("--teeth-only", default="", help="names of planted faults, comma-joined")
    parser.add_argument("--crash-points", type=int, default=0, help="die at so many commits and awaits, run after run")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    return parser


def _play_recording(file: Path, *, as_json: bool) -> int:
    """Play a recorded inbox into an empty shelf. Exit code 1: the levels are not the sums of their entries."""
    with file.open("rb") as lines:
        try:
            played = play_recording(decode(lines))
        except NoRecording as error:
            print(f"{file}: {error}", file=sys.stderr)
            return 2
    print(json.dumps(msgspec.to_builtins(played)) if as_json else tell(played))
    return 1 if played.breaches else 0


def _options_of(file: Path) -> Options:
    """A file holds a failure, a summary, or bare options."""
    document = json.loads(file.read_text())
    if "breaches" in document:
        document = document["breaches"][0]
    return read_options(json.dumps(document.get("options", document)))


def _write(failure: Failure, *, say_where: object) -> None:
    """Keep a failure for --replay, and say all of it."""
    file = Path(f"oneshelf-sim-{failure.seed}.json")
    file.write_text(json.dumps(msgspec.to_builtins(failure), indent=1))
    lines = [
        f"BREACH {failure.rule}: {failure.what}",
        f"seed {failure.seed}, at {failure.at_s:g} s. Again: oneshelf sim --replay {file}",
        "options: " + json.dumps(failure.options),
        "the last happenings:",
        *failure.last,
        "levels:",
        *failure.levels,
    ]
    print("\n".join(lines), file=sys.stderr, flush=True)


def _tell(summary: Summary) -> None:
    print(
        f"{summary.runs} runs, {summary.simulated_s / 86400:.2f} simulated days, {summary.sales} sales, "
        f"{summary.crashes} crashes, {sum(summary.faults.values())} faults, {len(summary.breaches)} breaches, "
        f"at rest after {summary.rest_s_max:g} s at most. Trace {summary.trace_hash[:16]}"
    )
    if summary.differing:
        print(f"NOT the same when played again: seeds {', '.join(map(str, summary.differing))}")
    elif summary.twice:
        print(f"{summary.twice} seeds played again: the same traces, byte by byte")


if __name__ == "__main__":
    sys.exit(main())
