"""What is there, what was bought, and why a number is what it is."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from oneshelf.core.instants import to_us
from oneshelf.runtime.clock import SystemClock
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, err, out, print_json, reader, settings_of


@app.command()
def stock(
    sku: Annotated[str | None, typer.Argument(help="One SKU; without it, all that begin with --prefix.")] = None,
    count: Annotated[int | None, typer.Option(help="Enter a count: so many pieces lie there.")] = None,
    location: Annotated[str | None, typer.Option(help="Where it was counted, by the location's id.")] = None,
    prefix: Annotated[str, typer.Option(help="Only SKUs that begin with this.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 200,
    as_json: Json = False,
) -> None:
    """What is there: on hand, committed, reserved, unavailable, available; or enter a count."""
    from oneshelf.watch.listing import stock_rows

    if count is not None:
        if sku is None:
            err.print("Say which SKU was counted: oneshelf stock SKU --count N.")
            raise typer.Exit(2)
        done = ask_service("count", {"sku": sku, "quantity": count, "location": location})
        print_json(done) if as_json else out.print(f"Taken up: {count} × {sku}. It counts when Shopify has taken it.")
        return
    with reader(settings_of()) as tx:
        rows = stock_rows(tx, FIRST_TENANT, sku=sku, prefix=prefix, limit=limit)
    if sku is not None and not rows:
        err.print(f"There is no SKU {sku} on the shelf.")
        raise typer.Exit(2)
    if as_json:
        print_json(rows)
        return
    table = Table()
    for name in ("SKU", "location", "on hand", "committed", "reserved", "unavailable", "available"):
        table.add_column(name, justify="left" if name in ("SKU", "location") else "right")
    for row in rows:
        table.add_row(
            row.sku,
            row.location,
            *(str(n) for n in (row.on_hand, row.committed, row.reserved, row.unavailable, row.available)),
        )
    out.print(table)


@app.command()
def explain(
    sku: Annotated[str, typer.Argument(help="The SKU.")],
    channel: Annotated[str | None, typer.Option(help="Only this channel's number.")] = None,
    as_json: Json = False,
) -> None:
    """Why is this number what it is: every term, and the events behind it."""
    from oneshelf.watch import explain as why

    with reader(settings_of()) as tx:
        known = tx.one("SELECT 1 FROM item WHERE tenant_id = :t AND sku = :s", t=FIRST_TENANT, s=sku)
        if known is None:
            err.print(f"There is no SKU {sku} on the shelf.")
            raise typer.Exit(2)
        explanation = why.explain(tx, FIRST_TENANT, sku, channel, now=to_us(SystemClock().now()))
    if as_json:
        print_json(explanation)
    else:
        from oneshelf.watch.told import print_explanation

        print_explanation(explanation, out)


@app.command()
def check(as_json: Json = False) -> None:
    """Audit: levels = sum of entries, orders at the channels = orders stored, every offer = what is shown. Exit 1 on a breach."""
    audit = ask_service("check", {})
    if as_json:
        print_json(audit)
    else:
        out.print(
            f"{audit['levels']} levels, {audit['entries']} entries: {'each level is the sum of its entries' if not any(b['rule'] == 'I1' for b in audit['breaches']) else 'NOT all levels are the sum of their entries'}"
        )
        for one in audit["channels"]:
            line = f"{one['channel']}: {one['orders_stored']} of {one['orders_there']} orders stored"
            if one["outlets_read"]:
                line += f", {one['outlets_right']} of {one['outlets_read']} numbers right, {one['on_their_way']} on their way"
            if one["prices_read"]:
                line += f", {one['prices_right']} of {one['prices_read']} prices right, {one['prices_on_their_way']} on their way"
                line += f", {one['prices_parked']} parked" if one["prices_parked"] else ""
            out.print(line + (f" ({one['problem']})" if one["problem"] else ""))
        for breach in audit["breaches"]:
            out.print(f"[bold]{breach['rule']}[/bold] {breach['channel']} {breach['what']}", highlight=False)
    raise typer.Exit(1 if audit["breaches"] else 0)
