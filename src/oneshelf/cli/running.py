"""What runs: the service, the demo, the emulator."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from oneshelf import __version__
from oneshelf.runtime.logs import configure_logs

from .base import Json, app, err, out, print_json, run, settings_of


@app.command()
def version(as_json: Json = False) -> None:
    """Say which version this is."""
    print_json({"version": __version__}) if as_json else out.print(__version__)


@app.command()
def demo(
    seconds: Annotated[
        float | None, typer.Option(help="Let shoppers buy for so long; without it until Ctrl-C.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="One seed, one crowd of shoppers.")] = 7,
    faults: Annotated[
        bool, typer.Option(help="Drop, double and reorder 10 % of webhooks, fail 5 % of calls, lose 2 % of answers.")
    ] = False,
    headless: Annotated[bool, typer.Option(help="No live picture.")] = False,
    scenario: Annotated[
        str | None, typer.Option(help="Play one story instead: A (last-unit), B (one-customer) or C (buffer).")
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the page; 0 lets the system choose.")] = 0,
    orders_per_s: Annotated[
        float, typer.Option(help="How fast the shoppers buy, on all channels together.", min=0.1, max=100)
    ] = 2.0,
    as_json: Json = False,
) -> None:
    """Four marketplaces, one shelf, on this machine: watch it sell. Exit 0 only if every order is stored and imported and nothing was oversold late."""
    from oneshelf.demo import run as play
    from oneshelf.demo import scenarios

    configure_logs("error", "auto")
    if scenario is not None:
        story = run(scenarios.play(scenario, seed=seed, say=(lambda line: None) if as_json else out.print))
        if as_json:
            print_json(story.timeline)
        elif story.problem:
            out.print(f"[bold]Not as it should be:[/bold] {story.problem}")
        else:
            out.print("As it should be.")
        raise typer.Exit(1 if story.problem else 0)
    summary = run(
        play.run(
            seconds=seconds,
            seed=seed,
            faults=faults,
            headless=headless,
            as_json=as_json,
            port=port,
            orders_per_s=orders_per_s,
        )
    )
    if as_json:
        sys.stdout.write(play.as_json(summary) + "\n")
    else:
        play.tell(summary, out)
    raise typer.Exit(0 if summary.is_good else 1)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 lets the system choose.")] = None,
    as_json: Json = False,
) -> None:
    """Run the service: web, writer and workers in one process. Settings come from ONESHELF_… variables."""
    from oneshelf.web.serve import serve as run_service

    settings = settings_of(host=host, port=port)
    configure_logs(settings.log_level, settings.log_form)
    problem = run(
        run_service(
            settings,
            on_ready=lambda url: print_json({"url": url}) if as_json else out.print(f"Oneshelf listens at {url}"),
        )
    )
    if problem:
        err.print(problem)
        raise typer.Exit(2)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def emulator(context: typer.Context) -> None:
    """Run the four marketplaces alone. Options are the emulator's own: oneshelf emulator --help-emulator."""
    arguments = ["--help" if a == "--help-emulator" else a for a in context.args]
    os.execv(sys.executable, [sys.executable, "-m", "oneshelf_emulator", *arguments])
