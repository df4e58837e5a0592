"""The simulator, started as a program of its own: the product does not import what tries to break it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from .base import Json, app

PROFILES = ("calm", "busy", "flash", "hostile")


@app.command("sim")
def sim(
    seed: Annotated[int, typer.Option(help="The first seed.")] = 1,
    runs: Annotated[int, typer.Option(help="So many seeds, in two processes.", min=1)] = 1,
    days: Annotated[float, typer.Option(help="Simulated days of faults a run.", min=0.01)] = 0.25,
    twice: Annotated[bool, typer.Option(help="Play each seed twice; exit 1 if a trace differs.")] = False,
    profile: Annotated[str, typer.Option(help=f"One of {', '.join(PROFILES)}.")] = "busy",
    locations: Annotated[int, typer.Option(help="So many locations of the shop.", min=1, max=9)] = 1,
    replay: Annotated[
        Path | None,
        typer.Option(
            help="Play again: a failure from the file it was written to, or a file of `oneshelf inbox record`."
        ),
    ] = None,
    shrink: Annotated[bool, typer.Option(help="Make a failing run smaller before it is shown.")] = True,
    teeth: Annotated[bool, typer.Option(help="Plant faults into the engine, and see each caught.")] = False,
    crash_points: Annotated[
        int, typer.Option(help="Die at so many commits and awaits, run after run, without another fault.", min=0)
    ] = 0,
    as_json: Json = False,
) -> None:
    """Play the engine against the emulated marketplaces in virtual time, with faults and crashes, and audit it."""
    if profile not in PROFILES:
        raise typer.BadParameter(f"one of {', '.join(PROFILES)}", param_hint="--profile")
    arguments = ["--seed", str(seed), "--runs", str(runs), "--days", str(days), "--profile", profile]
    arguments += ["--locations", str(locations)] if locations > 1 else []
    arguments += ["--replay", str(replay)] if replay is not None else []
    arguments += ["--twice"] if twice else []
    arguments += [] if shrink else ["--no-shrink"]
    arguments += ["--teeth"] if teeth else []
    arguments += ["--crash-points", str(crash_points)] if crash_points else []
    arguments += ["--json"] if as_json else []
    try:
        done = subprocess.run([sys.executable, "-m", "oneshelf_simulator", *arguments], check=False)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(done.returncode)
