"""Exchange rates."""

from __future__ import annotations

from typing import Annotated

import typer

from oneshelf.core.instants import from_us
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, out, print_json, reader, settings_of

group = typer.Typer(
    no_args_is_help=True, help="Exchange rates for orders and prices in another currency than the shop's."
)
app.add_typer(group, name="rates")


@group.command("list")
def rates_list(as_json: Json = False) -> None:
    """The rates, with their source and the day on which they were entered."""
    from oneshelf.tenants.rates import entered, home_currency

    with reader(settings_of()) as tx:
        found, home = entered(tx, FIRST_TENANT), home_currency(tx, FIRST_TENANT)
    if as_json:
        print_json(found)
        return
    for one in found:
        line = f"1 {one.currency} = {one.rate} {home} ({one.source}; entered {from_us(one.entered_at):%Y-%m-%d})"
        out.print(line, highlight=False)
    if not found:
        out.print("There is no rate. Enter one: oneshelf rates set EUR 1.0855 --source 'ECB 2026-11-20'.")


@group.command("set")
def rates_set(
    currency: Annotated[str, typer.Argument(help="The other currency, e.g. EUR.")],
    rate: Annotated[str, typer.Argument(help="How much of the shop's currency one unit is worth.")],
    source: Annotated[str, typer.Option(help="Where the rate is from, with its date.")],
    preview: Annotated[bool, typer.Option("--preview", help="Only look which prices would change.")] = False,
    as_json: Json = False,
) -> None:
    """Enter a dated exchange rate; orders that waited for it are imported, prices that are made with it are told."""
    done = ask_service("rate", {"currency": currency, "rate": rate, "source": source, "preview": preview})
    if as_json:
        print_json(done)
        return
    verb = "are" if done["done"] else "would be"
    out.print(
        f"1 {done['currency']} = {done['rate']} ({source}). {done['orders_tried_again']} orders {verb} tried again; "
        f"{done['rise']} prices rise, {done['fall']} fall, {done['far']} of them by more than their account's band.",
        highlight=False,
    )
