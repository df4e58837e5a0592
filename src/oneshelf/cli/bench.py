"""Benchmarks, each beside a reference in the same run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from oneshelf.runtime.logs import configure_logs

from .base import Json, app, err, out, print_json, run

group = typer.Typer(no_args_is_help=True, help="Benchmarks, each beside a reference in the same run.")
app.add_typer(group, name="bench")


@group.command("orders")
def bench_orders(
    orders: Annotated[int, typer.Option(help="How many orders.", min=100)] = 20_000,
    skus: Annotated[int, typer.Option(help="How many SKUs they name.", min=1)] = 10_000,
    database_url: Annotated[str | None, typer.Option(help="Another database than a fresh SQLite file.")] = None,
    as_json: Json = False,
) -> None:
    """Orders decided and durable per second, beside a bare loop that writes the same rows."""
    from oneshelf.demo.bench import run_orders, tell_orders

    configure_logs("error", "auto")
    result = run_orders(orders=orders, skus=skus, database_url=database_url)
    print_json(result) if as_json else tell_orders(result, out)


@group.command("catalogue")
def bench_catalogue(
    skus: Annotated[int, typer.Option(help="How many products each marketplace lists.", min=10)] = 10_000,
    channel: Annotated[list[str] | None, typer.Option(help="Only this channel; may be given several times.")] = None,
    as_json: Json = False,
) -> None:
    """Read a whole catalogue from each channel: time and memory, beside the least time that the channel's own limits allow."""
    from oneshelf.demo import catalogue
    from oneshelf.demo.stage import CHANNELS

    configure_logs("error", "auto")
    unknown = sorted(set(channel or ()) - set(CHANNELS))
    if unknown:
        err.print(f"There is no channel {', '.join(unknown)}: one of {', '.join(CHANNELS)}.")
        raise typer.Exit(2)
    reads = run(catalogue.run(skus, channel or CHANNELS, (lambda line: None) if as_json else out.print))
    print_json(reads) if as_json else catalogue.tell(reads, out)


@group.command("recovery")
def bench_recovery(
    messages: Annotated[int, typer.Option(help="How many messages its inbox holds.", min=1)] = 1_000_000,
    lives: Annotated[int, typer.Option(help="How often it is killed and started, each way.", min=1)] = 3,
    as_json: Json = False,
) -> None:
    """How soon a service that was ended with kill -9 decides again, beside the same with a small inbox. A million messages need 5 GB of disk."""
    from oneshelf.demo import recovery

    configure_logs("error", "auto")
    result = run(recovery.run(messages, lives, (lambda line: None) if as_json else out.print))
    print_json(result) if as_json else recovery.tell(result, out)


@group.command("policies")
def bench_policies(
    scenario: Annotated[list[str] | None, typer.Option(help="Only this day; may be given several times.")] = None,
    policy: Annotated[list[str] | None, typer.Option(help="Only this rule, beside the naive mirror.")] = None,
    seeds: Annotated[int, typer.Option(help="How many days of each are added up.", min=1)] = 3,
    scale: Annotated[float, typer.Option(help="1: 10,000 SKUs and 20,000 orders a day.", min=0.001, max=1.0)] = 0.1,
    svg: Annotated[Path | None, typer.Option(help="Write the picture there.")] = None,
    as_json: Json = False,
) -> None:
    """What each rule for numbers costs on six reference days: oversold orders by cause, pieces that found no buyer, writes."""
    arguments = ["--seeds", str(seeds), "--scale", str(scale)]
    for name, values in (("--scenario", scenario or ()), ("--policy", policy or ())):
        for value in values:
            arguments += [name, value]
    arguments += ["--svg", str(svg)] if svg is not None else []
    arguments += ["--json"] if as_json else []
    try:
        done = subprocess.run([sys.executable, "-m", "oneshelf_simulator.policies", *arguments], check=False)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(done.returncode)


@group.command("contested")
def bench_contested(
    trials: Annotated[int, typer.Option(help="How often a last piece is sold several times.", min=1)] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same counts.")] = 1,
    as_json: Json = False,
) -> None:
    """Sell last pieces on two to four channels within seconds: who bought first gets it, everybody else is told. Exit code 1: not so."""
    from oneshelf.demo import contested

    configure_logs("error", "auto")
    result = contested.run(trials, seed, (lambda line: None) if as_json else out.print)
    print_json(result) if as_json else contested.tell(result, out)
    if result.violations:
        raise typer.Exit(1)
