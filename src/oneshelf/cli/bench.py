"""Benchmarks, each beside a reference in the same run."""

from __future__ import annotations

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
