"""Exchange rates."""

from __future__ import annotations

from typing import Annotated

import typer

from .base import Json, app, ask_service, out, print_json

group = typer.Typer(no_args_is_help=True, help="Exchange rates for orders in another currency than the shop's.")
app.add_typer(group, name="rates")


@group.command("set")
def rates_set(
    currency: Annotated[str, typer.Argument(help="The order's currency, e.g. EUR.")],
    rate: Annotated[str, typer.Argument(help="How much of the shop's currency one unit is worth.")],
    source: Annotated[str, typer.Option(help="Where the rate is from, with its date.")],
    as_json: Json = False,
) -> None:
    """Enter a dated exchange rate; orders that waited for it are imported."""
    done = ask_service("rate", {"currency": currency, "rate": rate, "source": source})
    print_json(done) if as_json else out.print(
        f"1 {done['currency']} = {done['rate']} ({source}). {done['orders_tried_again']} orders are tried again."
    )
